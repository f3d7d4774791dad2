//! `haul serve` from the command line.
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::platforms::all;
use crate::platforms::wire::{Dialect, Fetch};
use crate::support::process::{Process, ServeProcess, peak_memory};
use crate::support::sandbox::{HAUL, Run, Sandbox, script};
use crate::support::terminal::{On, Terminal};

fn run(arguments: &[&str]) -> Run {
    Sandbox::new().haul([&["serve"], arguments].concat())
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_prints_its_address_serves_logs_and_stops() {
    let env = Sandbox::new();
    let log = env.root().join("requests.jsonl");
    let arguments = ["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--log", log.to_str().unwrap()];
    let mut served = ServeProcess::of(&env, env.command().args(arguments));
    let address = served.line.strip_prefix("http://").unwrap();
    assert!(get(address, "/").starts_with("HTTP/1.1 200"));
    assert!(get(address, "/local/x").starts_with("HTTP/1.1 403"));
    served.stop(Signal::TERM).fails(143);
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["status"]).collect::<Vec<_>>(), [200, 403]);
    assert!(!env.home().join("data").exists(), "an ephemeral store leaves nothing");
}

#[test]
fn a_terminal_gets_a_short_line_per_request() {
    let mut env = Sandbox::new();
    env.set("HAUL_NOW", "2026-03-01T12:00:00Z");
    let mut command = env.interruptible();
    command.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--fault", "fail=503 GET local/b"]);
    let mut terminal = Terminal::start(&env, command, 80, On::All);
    let shown = terminal.sees(&["http://127.0.0.1:", "MISTRAL_BASE_URL"]);
    let address = shown.lines().find_map(|line| line.strip_prefix("http://")).unwrap();
    get(address, "/local/x?signature=secret");
    let line = terminal.sees(&["GET /local/x", " ms\n"]);
    let line = line.lines().find(|line| line.contains("/local/x")).unwrap();
    assert!(line.starts_with("12:00:00Z GET /local/x?signature=*** 403, 23 B out, "), "{line}");
    get(address, "/local/b");
    terminal.sees(&["12:00:00Z GET /local/b 503, 33 B out, ", " ms, fault fail\n"]);
    terminal.interrupt();
    assert_eq!(terminal.end().status, 130);
}

#[test]
fn json_is_one_object_with_the_address() {
    let mut served = ServeProcess::start(&Sandbox::new(), [""; 0]);
    let object: Value = serde_json::from_str(&served.line).unwrap();
    assert_eq!(object.as_object().unwrap().keys().collect::<Vec<_>>(), ["url", "platforms", "env"]);
    assert!(get(object["url"].as_str().unwrap().trim_start_matches("http://"), "/").contains("offline"));
    served.stop(Signal::TERM).fails(143);
}

#[test]
fn a_run_is_killed_at_its_time_limit() {
    let env = Sandbox::new();
    let mut serve = env.command();
    serve.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]);
    let run = env.run_within(Duration::from_secs(2), "", &mut serve);
    assert!(run.is_killed() && run.stdout().starts_with("http://"), "{run}");
}

#[test]
fn a_wrapped_command_keeps_its_stdout_and_exit_status() {
    let ran = run(&["--ephemeral", "--", "sh", "-c", "echo only this; exit 7"]);
    assert_eq!((ran.status, ran.stdout().as_str(), ran.stderr().as_str()), (7, "only this\n", ""));
    run(&["--ephemeral", "--", "sh", "-c", "kill -9 $$"]).fails(137);
    let ran = run(&["--ephemeral", "--", "no-such-command"]);
    assert_eq!((ran.status, ran.stdout().as_str()), (127, ""));
    assert!(ran.stderr().starts_with("error: no-such-command: command not found\n"), "{ran}");
    run(&["--ephemeral", "--", "/"]).fails(126);
}

#[test]
fn a_command_on_a_platform_that_is_not_emulated_warns() {
    let warning = |name: &str| {
        format!("warning: `haul serve` does not emulate {name}: this command uses its real address")
    };
    let env = Sandbox::new().with_var("AZURE_STORAGE_ACCOUNT", "account");
    let here = "http://127.0.0.1:9";
    let served = |env: &Sandbox, line: &str| {
        env.haul(["serve", "--ephemeral", "--", "sh", "-c", &script(line)]).stderr()
    };
    for (name, address, variable) in [
        ("s3", "s3://bucket", "AWS_ENDPOINT_URL"),
        ("gcs", "gs://bucket", "STORAGE_EMULATOR_HOST"),
        ("azblob", "az://bucket", "AZURE_STORAGE_ENDPOINT"),
    ] {
        // Without credentials, nothing is sent.
        let line = format!("haul ls {address} --retries 0");
        let told = served(&env, &line);
        assert_eq!(told.lines().next(), Some(warning(name).as_str()), "{told}");
        let printed = env.shell(&format!("eval \"$(haul serve --print-env)\"; {line}")).stderr();
        assert_eq!(printed.matches(&warning(name)).count(), 1, "{printed}");
        let own = served(&env.clone().with_var(variable, here), &line);
        assert!(!own.contains("does not emulate"), "{own}");
        assert!(!env.shell(&line).stderr().contains("does not emulate"), "{name}");
    }
    let words = format!("AccountName=account;BlobEndpoint={here}/account");
    let azurite = env.clone().with_var("AZURE_STORAGE_CONNECTION_STRING", &words);
    assert!(!served(&azurite, "haul ls az://bucket --retries 0").contains("does not emulate"));
    assert!(!served(&env, "haul ls -p xai").contains("does not emulate"));
}

#[test]
fn unknown_values_are_usage_errors_that_list_the_valid_ones() {
    for (arguments, message) in [
        (["--fault", "explode"], "error: fault `explode`: unknown word `explode`"),
        (["--only", "nowhere"], "error: unknown platform `nowhere`"),
        (["--dialect", "nowhere=x"], "error: unknown platform `nowhere`"),
        (["--quirk", "nothing"], "error: quirk `nothing`: unknown name"),
        (["--listen", "127.0.0.1:0"], "error: --print-env requires a fixed port"),
        (["--listen", "foo"], "error: --listen foo: must be HOST:PORT or a port"),
        (["--listen", "localhost:99999"], "error: --listen localhost:99999: must be HOST:PORT or a port"),
    ] {
        let ran = run(&[&arguments[..], &["--print-env"]].concat());
        let err = ran.stderr();
        assert_eq!((ran.status, ran.stdout().as_str(), err.lines().next()), (2, "", Some(message)), "{err}");
        assert!(err.contains("hint: "), "{err}");
    }
}

#[test]
fn an_address_in_use_or_open_to_others_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = run(&["--listen", &address, "--", "true"]).fails(1);
    assert!(ran.stderr().starts_with(&format!("error: {address}: cannot listen\n")), "{ran}");
    let open = ["--ephemeral", "--listen", "0.0.0.0:0"];
    run(&[&open[..], &["--", "true"]].concat()).fails(2).says("other machines can reach this");
    for more in [&["--no-auth"][..], &["--token", "t"]] {
        run(&[&open[..], more, &["--", "true"]].concat()).ok();
    }
    for port in ["8080", ":8080"] {
        let ran = run(&["--print-env", "--listen", port]).ok();
        let printed = ran.stdout();
        assert!(printed.contains("export XAI_API_BASE='http://127.0.0.1:8080/xai/v1'\n"), "{printed}");
        assert_eq!(ran.stderr(), "");
    }
    let mistral = run(&["--print-env", "--only", "mistral"]).ok();
    let argument = "Python: `Mistral(server_url=\"http://127.0.0.1:8787\")`";
    assert!(mistral.stderr().starts_with("mistral: the official clients do not read"), "{mistral}");
    assert!(mistral.stderr().contains(argument), "{mistral}");
}

#[test]
fn the_help_of_a_quirk_names_the_clients_that_it_excludes() {
    let quirks = run(&["--quirks", "--jsonl"]).ok().jsonl();
    let quirk = quirks.iter().find(|row| row["quirk"] == "dfl-ids").unwrap();
    assert!(quirk["help"].as_str().unwrap().contains("clients of the legacy API reject"), "{quirk}");
}

#[test]
fn foreign_hosts_and_pages_are_refused() {
    let mut served = ServeProcess::start(&Sandbox::new(), ["--allow-host", "box.test"]);
    let address = served.address().to_owned();
    for (headers, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: box.test\r\nOrigin: http://localhost:3000\r\n", 200),
        ("Host: evil.test\r\n", 421),
        ("Host: localhost\r\nHost: localhost\r\n", 421),
        ("Host: localhost\r\nOrigin: https://evil.test\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET / HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answer}");
    }
    served.stop(Signal::TERM).fails(143);
}

#[test]
#[cfg(unix)]
fn idle_connections_leave_room_for_others() {
    let env = Sandbox::new();
    let serve = format!("ulimit -n 64; exec {HAUL} serve --ephemeral --listen 127.0.0.1:0 --json");
    let served = ServeProcess::of(&env, &mut env.bash(&serve));
    let idle: Vec<_> = (0..100).map(|_| TcpStream::connect(served.address()).unwrap()).collect();
    for mut stream in &idle {
        stream.write_all(b"GET / HT").unwrap();
    }
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn the_token_comes_from_a_file_or_a_variable() {
    let mut env = Sandbox::new();
    env.write("token", "from-file\n");
    env.write("empty", "\n");
    env.set("HAUL_SERVE_TOKEN", "from-variable");
    let token = |arguments: &[&str]| {
        let all = [&["serve", "--only", "xai", "--print-env"][..], arguments].concat();
        let printed = env.haul(all).ok().stdout();
        printed.lines().find_map(|line| Some(line.strip_prefix("export XAI_API_KEY=")?.to_owned())).unwrap()
    };
    assert_eq!(token(&[]), "'from-variable'");
    assert_eq!(token(&["--token-file", "token"]), "'from-file'");
    assert_eq!(token(&["--no-auth"]), "'any-token'");
    env.haul(["serve", "--token-file", "empty", "--print-env"]).fails(2).says("empty: contains no token");
}

#[test]
fn haul_uses_every_emulated_platform() {
    let env = Sandbox::with_files(&["a.txt"]);
    let platforms = haul::emulator::PLATFORMS.iter().map(|platform| platform.name);
    let line = platforms
        .fold(String::from("set -e; "), |line, name| line + &format!("haul config show -p {name} --jsonl; "));
    let run = env.haul(["serve", "--ephemeral", "--", "bash", "-c", &script(&line)]).ok();
    let rows = run.jsonl();
    let bases: Vec<_> = rows.iter().filter(|row| row["setting"] == "base_url").collect();
    assert_eq!(bases.len(), haul::emulator::PLATFORMS.len(), "{run}");
    assert!(bases.iter().all(|row| row["value"].as_str().unwrap().starts_with("http://127.0.0.1:")), "{run}");
    env.haul(["serve", "--ephemeral", "--", "bash", "-c", &script("haul upload -p activeloop a.txt")]).ok();
}

/// Starts a server whose log is a pipe that is not read. Also returns a connection to it, and the thread that discards the
/// responses.
fn logged_to_a_pipe(env: &Sandbox) -> (Child, TcpStream, JoinHandle<std::io::Result<u64>>) {
    let mut command = env.command();
    command.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0", "--log", "-"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let stream = TcpStream::connect(line.trim().trim_start_matches("http://")).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let answered = std::thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
    (child, stream, answered)
}

#[test]
fn a_log_that_is_not_read_does_not_prevent_the_end() {
    let env = Sandbox::new();
    let (mut child, mut stream, _) = logged_to_a_pipe(&env);
    // More lines than the pipe and the queue hold.
    let request = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(200));
    for _ in 0..3000 {
        stream.write_all(request.as_bytes()).unwrap();
    }
    drop(stream);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
}

/// A reader that pauses gets the lines that the queue holds and the number of the others.
#[test]
fn dropped_log_lines_are_counted_and_take_no_memory() {
    const REQUESTS: u64 = 6000;
    let env = Sandbox::new();
    let (mut child, mut stream, answered) = logged_to_a_pipe(&env);
    let before = peak_memory(child.id()).unwrap();
    // 36 MB of lines.
    let path = "x".repeat(6000);
    for number in 1..=REQUESTS {
        let end = if number == REQUESTS { "Connection: close\r\n" } else { "" };
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: localhost\r\n{end}\r\n").unwrap();
    }
    answered.join().unwrap().unwrap();
    let grown = peak_memory(child.id()).unwrap() - before;
    assert!(grown < 25_000, "{grown} KiB");
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let (mut shown, mut dropped) = (0, 0);
    while shown + dropped < REQUESTS {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "{shown} shown, {dropped} dropped");
        // Notes come before the log.
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        match line["dropped"].as_u64() {
            Some(count) => dropped += count,
            None => shown += 1,
        }
    }
    assert_eq!(shown + dropped, REQUESTS);
    assert!(dropped > 1000, "{dropped}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// Returns the body of the response, or `None` if the server died before it was complete. HTTP/1.0 avoids chunked
/// encoding.
fn exchange(address: &str, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer any\r\nContent-Length: {length}\r\n"
    );
    stream
        .write_all(format!("{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n").as_bytes())
        .ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&answer[..end]));
    let stated: usize = String::from_utf8_lossy(&answer[..end])
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(answer.len() - end);
    (answer.len() - end == stated).then(|| answer[end..].to_vec())
}

/// Content that is unique to each number.
fn noise(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = usize::try_from(state >> 46).unwrap();
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The files path and the content path of a platform that serves the bytes itself.
fn direct() -> (String, &'static str) {
    let mut dialects =
        all().filter_map(|platform| platform.wire.ok()).filter(|dialect| dialect.set.is_empty());
    let direct = |dialect: &'static Dialect| {
        let replies = dialect.replies.as_ref().filter(|replies| replies.fetch == Fetch::Direct)?;
        Some((format!("/{}{}", dialect.provider, replies.files), replies.content))
    };
    dialects.find_map(direct).unwrap()
}

fn upload(address: &str, number: u64) -> Option<String> {
    let mut form =
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{number}.bin\"\r\n\r\n")
            .into_bytes();
    form.extend(noise(number));
    form.extend(b"\r\n--b--\r\n");
    let answer = exchange(address, &format!("POST {}", direct().0), &form)?;
    Some(serde_json::from_slice::<Value>(&answer).unwrap()["id"].as_str().unwrap().to_owned())
}

#[test]
fn a_file_that_was_acknowledged_survives_kill_9() {
    let env = Sandbox::new();
    let kept = std::sync::Mutex::new(Vec::<(String, u64)>::new());
    let numbers = std::sync::atomic::AtomicU64::new(1);
    for life in 0..6 {
        let mut served = ServeProcess::of(&env, env.command().args(["serve", "--listen", "127.0.0.1:0"]));
        let address = served.address().to_owned();
        for (id, number) in kept.lock().unwrap().iter() {
            let (files, content) = direct();
            let content = exchange(&address, &format!("GET {files}/{id}/{content}"), b"");
            assert!(content == Some(noise(*number)), "{id} differs from the acknowledged content");
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let next = || numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let mut number = next();
                    while let Some(id) = upload(&address, number) {
                        kept.lock().unwrap().push((id, number));
                        number = next();
                    }
                });
            }
            // Uploads run continuously, so the kill interrupts a different phase of an upload in each round.
            std::thread::sleep(Duration::from_millis(60 + 37 * life));
            served.stop(Signal::KILL);
        });
    }
    assert!(kept.lock().unwrap().len() > 10, "too few uploads were acknowledged for a conclusion");
}

/// Runs a shell script as the command of `haul serve`, and waits until the script is ready.
fn serve_script(env: &Sandbox, script: &str) -> Process {
    let mut command = env.interruptible();
    command.args(["serve", "--ephemeral", "--", "sh", "-c", script]);
    let process = env.spawn(&mut command);
    until_ready(env);
    process
}

/// Waits until the script has written the file `ready`.
fn until_ready(env: &Sandbox) {
    let ready = env.work().join("ready");
    let begun = Instant::now();
    while !ready.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number of folders of ephemeral stores.
fn ephemeral_folders(env: &Sandbox) -> usize {
    let entries = std::fs::read_dir(env.root()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("haul-")).count()
}

#[test]
fn a_signal_is_passed_to_the_command_and_its_end_is_awaited() {
    for (signal, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let env = Sandbox::new();
        let script = format!(
            "trap 'sleep 0.3; echo cleaned > cleaned; exit 7' {name}; \
            echo > ready; while :; do sleep 0.05; done"
        );
        let process = serve_script(&env, &script);
        assert_eq!(ephemeral_folders(&env), 1);
        process.signal(signal);
        process.end().fails(7);
        assert!(env.work().join("cleaned").exists(), "{name}");
        assert_eq!(ephemeral_folders(&env), 0, "{name}");
    }
}

#[test]
fn a_signal_reaches_the_children_of_the_command() {
    for signal in [Signal::TERM, Signal::HUP] {
        let env = Sandbox::new();
        // Without a terminal, as in CI.
        let mut command = env.program("setsid");
        let script = "sleep 60 & echo $! > child; mv child ready; wait";
        command.args(["env", "--default-signal", HAUL, "serve", "--ephemeral", "--", "bash", "-c", script]);
        let process = env.spawn(&mut command);
        until_ready(&env);
        let child = String::from_utf8(env.read("ready")).unwrap();
        process.signal(signal);
        process.end().fails(if signal == Signal::TERM { 143 } else { 129 });
        let stat = format!("/proc/{}/stat", child.trim());
        let begun = Instant::now();
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(begun.elapsed() < Duration::from_secs(10), "the child still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_command_can_read_the_terminal() {
    let env = Sandbox::new();
    let mut command = env.program("setsid");
    let script = "echo asks; read line < /dev/tty; echo got $line";
    command.args(["--ctty", HAUL, "serve", "--ephemeral", "--", "bash", "-c", script]);
    let mut terminal = Terminal::start(&env, command, 80, On::All);
    terminal.sees(&["asks"]);
    terminal.types("text\n");
    terminal.sees(&["got text"]);
    terminal.end().ok();
}

#[test]
fn a_command_that_the_signal_ends_gives_the_exit_code_of_the_signal() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let env = Sandbox::new();
        let process = serve_script(&env, "echo > ready; exec sleep 60");
        process.signal(signal);
        process.end().fails(status);
        assert_eq!(ephemeral_folders(&env), 0);
    }
}

#[test]
fn a_second_signal_kills_the_command() {
    let env = Sandbox::new();
    let script = "trap 'echo > asked' TERM; echo > ready; while :; do sleep 0.05; done";
    let process = serve_script(&env, script);
    process.signal(Signal::TERM);
    let begun = Instant::now();
    while !env.work().join("asked").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the signal did not arrive");
        std::thread::sleep(Duration::from_millis(5));
    }
    process.signal(Signal::TERM);
    process.end().fails(137);
}

#[test]
fn each_signal_stops_the_server_and_removes_its_files() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let env = Sandbox::new();
        let mut command = env.interruptible();
        let mut served =
            ServeProcess::of(&env, command.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]));
        assert_eq!(ephemeral_folders(&env), 1);
        assert_eq!(served.stop(signal).fails(status).stderr(), "stopped\n");
        assert_eq!(ephemeral_folders(&env), 0);
    }
}
