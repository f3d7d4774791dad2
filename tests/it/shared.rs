//! A server that several teams share: tokens, replicas, `/healthz` and shutdown.
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use haul::emulator::{PLATFORMS, to_hex};
use haul::error::Kind;
use haul::model::{File, FileId, NewFile};
use haul::progress::silent;
use haul::providers::{Download, Provider, Query};
use rustix::process::Signal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::platforms::{dialects, emulated, some};
use crate::support::process::ServeProcess;
use crate::support::proxy::RoundRobin;
use crate::support::raw::within;
use crate::support::rig::{Case, open_at, open_url};
use crate::support::sandbox::{HAUL, Sandbox};

/// A sandbox with a tokens file and a store.
struct Shared {
    env: Sandbox,
    tokens: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let env = Sandbox::new();
        let tokens = env.root().join("private/tokens");
        Self { env, tokens }
    }

    /// Creates a token.
    fn add(&self, arguments: &[&str]) -> String {
        let tokens = self.tokens.to_str().unwrap();
        let run =
            self.env.haul([&["serve", "token", "add", "--tokens", tokens][..], arguments].concat()).ok();
        run.stdout().trim_end().to_owned()
    }

    /// Starts a server over the store.
    fn serve(&self, more: &[&str]) -> ServeProcess {
        self.serve_by(self.env.interruptible(), more)
    }

    /// Starts a server over the store with this command, which runs haul with the appended arguments.
    fn serve_by(&self, mut command: Command, more: &[&str]) -> ServeProcess {
        let data = self.env.root().join("shared");
        command.args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        ServeProcess::of(&self.env, command.arg("--tokens").arg(&self.tokens).args(more))
    }
}

fn address(served: &ServeProcess) -> SocketAddr {
    served.address().parse().unwrap()
}

/// The response to a request without a body.
fn ask(address: SocketAddr, request: &str, headers: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let first = [request, " HTTP/1.1"].concat();
    let lines = [&[first.as_str(), "Connection: close"], headers, &["", ""]].concat().join("\r\n");
    stream.write_all(lines.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The status of a listing with a token.
fn status(address: SocketAddr, token: &str) -> String {
    let authorization = format!("Authorization: Bearer {token}");
    let answer = ask(address, "GET /openai/v1/files", &["Host: localhost", &authorization]);
    answer.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_new_token_is_printed_once_and_its_hash_is_stored_in_a_private_file() {
    let shared = Shared::new();
    let red = shared.add(&["red"]);
    let run = shared.env.haul(["serve", "token", "add", "red", "--read-only", "--json"]).ok();
    let row = &run.json()[0];
    assert_eq!((&row["space"], &row["read_only"]), (&Value::from("red"), &Value::from(true)));
    let default = Path::new(row["file"].as_str().unwrap()).to_owned();
    for path in [&shared.tokens, &default] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(fs::read_to_string(default).unwrap().ends_with(" read-only\n"));
    fs::write(&shared.tokens, fs::read_to_string(&shared.tokens).unwrap().trim_end()).unwrap();
    let blue = shared.add(&["blue"]);
    let text = fs::read_to_string(&shared.tokens).unwrap();
    assert_eq!(text.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), ["red", "blue"]);
    assert!(!text.contains(&red) && !text.contains(&blue) && red != blue);
    let tokens = shared.tokens.to_str().unwrap();
    let add = |space: &str| shared.env.haul(["serve", "token", "add", space, "--tokens", tokens]);
    add("Red").fails(2).says("space `Red`: must consist of");
    fs::write(&shared.tokens, format!("{text}green\n")).unwrap();
    add("blue").fails(2).says("tokens:3: missing SHA-256 of the token");
    let serve = || shared.env.haul(["serve", "--tokens", tokens]);
    serve().fails(2).says("tokens:3: missing SHA-256 of the token");
    fs::set_permissions(&shared.tokens, fs::Permissions::from_mode(0o640)).unwrap();
    for run in [serve(), add("blue")] {
        run.fails(2).says("other users can access the tokens file (mode 0640)");
    }
    serve().says("chmod 600");
    fs::remove_file(&shared.tokens).unwrap();
    serve().fails(3).says("haul serve token add SPACE --tokens");
}

/// A provider with a token.
fn open(case: &Case, root: &str, token: &str) -> Box<dyn Provider> {
    let base = emulated(case.provider).unwrap().base_path;
    open_at(case, &format!("{root}/{}{base}", case.provider), token)
}

fn listed(provider: &dyn Provider, run: &tokio::runtime::Runtime) -> Vec<FileId> {
    let query = Query::default();
    let (mut files, mut cursor) = (Vec::<File>::new(), None);
    loop {
        let page = run.block_on(provider.list(&query, cursor.as_deref())).unwrap();
        files.extend(page.files);
        cursor = page.next;
        if cursor.is_none() {
            return files.into_iter().map(|file| file.id).collect();
        }
    }
}

#[test]
fn the_tokens_of_a_space_share_files_on_all_replicas_and_see_no_others() {
    let shared = Shared::new();
    let [red, reader, blue] = [&["red"][..], &["red", "--read-only"], &["blue"]].map(|a| shared.add(a));
    let replicas = [(); 2].map(|()| shared.serve(&["--allow-host", "files.test"]));
    let proxy = RoundRobin::start(replicas.iter().map(address).collect());
    let root = format!("http://{}", proxy.address);
    let run = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = BTreeSet::new();
    // In the default dialect of the servers, once for each platform.
    let is_first = |case: &Case| {
        let Some(platform) = emulated(case.provider) else { return false };
        let default = platform.dialects.first().map(|word| format!("{}={word}", platform.name));
        let is_default = case.wire.is_none_or(|wire| Some(wire) == default.as_deref());
        is_default && seen.insert(case.provider)
    };
    for case in some(dialects().filter(is_first)) {
        let name = case.name();
        let [red, reader, blue] = [&red, &reader, &blue].map(|token| open(&case, &root, token));
        let content = format!("of {}", case.provider);
        let upload = |provider: &dyn Provider| {
            let new = NewFile {
                content_type: "application/pdf".to_owned(),
                sha256: provider.asks_for_sha256().then(|| to_hex(&Sha256::digest(&content))),
                ..NewFile::from_bytes("document.pdf", content.clone())
            };
            run.block_on(provider.upload(&new, silent()))
        };
        let file = upload(&*red).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The same bytes in the other space are another file.
        let other = upload(&*blue).unwrap_or_else(|error| panic!("{name}: {error}"));
        for provider in [&red, &reader] {
            assert_eq!(listed(&**provider, &run), std::slice::from_ref(&file.id), "{name}");
        }
        assert_eq!(listed(&*blue, &run), std::slice::from_ref(&other.id), "{name}");
        assert_eq!(run.block_on(reader.stat(&file.id)).unwrap().id, file.id, "{name}");
        run.block_on(blue.stat(&file.id)).unwrap_err();
        if red.capabilities().delete && case.deletes() {
            run.block_on(blue.delete(&file.id)).unwrap_err();
        }
        if red.capabilities().download == Download::Any {
            run.block_on(reader.download(&file.id, None)).unwrap_or_else(|error| panic!("{name}: {error}"));
            run.block_on(blue.download(&file.id, None)).map(drop).unwrap_err();
        }
        if red.capabilities().link.is_some() && !case.facts().signs_links {
            let link =
                run.block_on(reader.link(&file.id, None)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let content =
                run.block_on(open_url(&case, &link.url)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(content, format!("of {}", case.provider).as_bytes(), "{name}");
        }
        let refused = upload(&*reader).unwrap_err();
        assert_eq!((refused.status(), refused.kind()), (Some(403), Kind::Auth), "{name}: {refused}");
        if red.capabilities().delete && case.deletes() {
            let refused = run.block_on(reader.delete(&file.id)).unwrap_err();
            assert_eq!(refused.status(), Some(403), "{name}: {refused}");
            run.block_on(red.delete(&file.id)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(listed(&*reader, &run), [], "{name}");
        }
        assert_eq!(listed(&*blue, &run), [other.id], "{name}");
    }
    assert_eq!(seen.len(), PLATFORMS.len(), "{seen:?}");
    // URLs name the space, and the scheme that a proxy reports.
    let headers = [
        "Host: files.test",
        "X-Forwarded-Proto: https",
        &format!("x-goog-api-key: {red}"),
        "X-Goog-Upload-Protocol: resumable",
        "X-Goog-Upload-Command: start",
        "Content-Length: 0",
    ];
    let answer = ask(proxy.address, "POST /gemini/upload/v1beta/files", &headers);
    assert!(answer.contains("https://files.test/~red/gemini/upload/v1beta/files?upload_id="), "{answer}");
    // The path of another space does not help.
    for (path, expected) in
        [("/~blue/openai/v1/files", 401), ("/~red/openai/v1/files", 200), ("/~x/openai/v1/files", 401)]
    {
        let answer = ask(
            proxy.address,
            &format!("GET {path}"),
            &["Host: localhost", &format!("Authorization: Bearer {red}")],
        );
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{path}: {answer}");
    }
}

#[test]
fn the_tokens_are_read_again_on_sighup() {
    let shared = Shared::new();
    let red = shared.add(&["red"]);
    let mut served = shared.serve(&["--log", "-"]);
    let address = address(&served);
    assert_eq!(status(address, &red), "200");
    let blue = shared.add(&["blue"]);
    assert_eq!(status(address, &blue), "401");
    served.signal(Signal::HUP);
    assert!(within(|| status(address, &blue) == "200"));
    let text = fs::read_to_string(&shared.tokens).unwrap();
    fs::write(&shared.tokens, "blue not-a-hash\n").unwrap();
    served.signal(Signal::HUP);
    assert!(within(|| served
        .stderr()
        .contains("tokens:1: the second word must be a SHA-256 in hexadecimal")));
    assert_eq!([status(address, &red), status(address, &blue)], ["200", "200"]);
    let line = text.lines().find(|line| line.starts_with("blue")).unwrap();
    fs::write(&shared.tokens, line).unwrap();
    served.signal(Signal::HUP);
    assert!(within(|| status(address, &red) == "401"));
    assert_eq!(status(address, &blue), "200");
    let run = served.stop(Signal::TERM).fails(143);
    for token in [&red, &blue] {
        assert!(!run.stderr().contains(token.as_str()), "{run}");
    }
}

#[test]
fn the_tokens_are_read_again_even_if_sighup_was_ignored() {
    let shared = Shared::new();
    let red = shared.add(&["red"]);
    let mut command = shared.env.program("env");
    command.args(["--ignore-signal=HUP", HAUL]);
    let mut served = shared.serve_by(command, &[]);
    let address = address(&served);
    assert_eq!(status(address, &red), "200");
    let blue = shared.add(&["blue"]);
    served.signal(Signal::HUP);
    assert!(within(|| status(address, &blue) == "200"));
    served.stop(Signal::TERM).fails(143);
}

#[test]
fn a_stop_finishes_running_requests_and_rejects_new_ones() {
    let shared = Shared::new();
    let token = shared.add(&["red"]);
    let mut served = shared.serve(&["--allow-host", "box.test"]);
    let address = address(&served);
    let health = || ask(address, "GET /healthz", &["Host: 10.0.0.1", "Origin: https://evil.test"]);
    let answer = health();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
    let body = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--b--\r\n";
    let (sent, rest) = body.split_at(100);
    let mut running = TcpStream::connect(address).unwrap();
    let idle = TcpStream::connect(address).unwrap();
    write!(
        running,
        "POST /openai/v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{sent}",
        body.len()
    )
    .unwrap();
    // A response to a later request shows that this one has begun.
    health();
    served.signal(Signal::TERM);
    assert!(within(|| health().starts_with("HTTP/1.1 503 ")));
    assert!(health().ends_with(r#"{"status":"draining"}"#));
    let rejected =
        ask(address, "GET /openai/v1/files", &["Host: localhost", &format!("Authorization: Bearer {token}")]);
    assert!(
        rejected.starts_with("HTTP/1.1 503 ") && rejected.contains("the server is shutting down"),
        "{rejected}"
    );
    assert!(rejected.to_ascii_lowercase().contains("retry-after: 1\r\n"), "{rejected}");
    write!(running, "{rest}").unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    served.ended().fails(143);
    drop(idle);
    let again = shared.serve(&[]);
    let answer = ask(
        self::address(&again),
        "GET /openai/v1/files",
        &["Host: localhost", &format!("Authorization: Bearer {token}")],
    );
    assert!(answer.contains(r#""filename":"a""#), "{answer}");
}

#[test]
fn a_stop_ends_at_its_limit_or_at_a_second_signal() {
    for (limit, second) in [("0.2s", false), ("10m", true)] {
        let shared = Shared::new();
        let token = shared.add(&["red"]);
        let mut served = shared.serve(&["--drain", limit]);
        let mut running = TcpStream::connect(address(&served)).unwrap();
        running.write_all(b"GET /openai/v1/files HTTP/1.1\r\nHost: localhost\r\n").unwrap();
        let begun = Instant::now();
        let mut stalled = TcpStream::connect(address(&served)).unwrap();
        // The server accepts it and waits for its content.
        write!(
            stalled,
            "POST /openai/v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 900\r\n\r\n"
        )
        .unwrap();
        ask(address(&served), "GET /healthz", &["Host: localhost"]);
        served.signal(Signal::TERM);
        if second {
            assert!(within(|| served.stderr().contains("waiting up to 10 min")), "{}", served.stderr());
            served.signal(Signal::INT);
        }
        let run = served.ended().fails(if second { 130 } else { 143 });
        assert!(begun.elapsed() < Duration::from_mins(1), "{run}");
    }
}

#[test]
fn unknown_values_are_usage_errors() {
    let run = |arguments: &[&str]| Sandbox::new().haul([&["serve", "--print-env"], arguments].concat());
    run(&["--drain", "soon"]).fails(2).says("--drain soon: invalid duration");
    run(&["--tokens", "a", "--token", "b"]).fails(2).says("cannot be used with");
    run(&["--tokens", "a", "--", "true"]).fails(2).says("cannot be used with");
}
