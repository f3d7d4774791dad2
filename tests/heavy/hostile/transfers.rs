//! The resources of interrupted and failed transfers: links, uploads with an unknown outcome, connections, memory.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use haul::error::Kind;
use haul::transfer::{Polling, wait_until_processed};

use crate::hostile::served::Served;
use crate::hostile::world::{
    Action, Dialect, FakeFile, Fetch, World, checked, dialects, fetch, json_answer, plain,
};
use crate::platforms::{all, some};
use crate::support::rig::{Case, Rig};
use crate::support::sandbox::{HAUL, Sandbox};
use crate::support::server::{Answer, Listener, Request};

/// Waits until the condition holds, for at most 20 seconds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "timeout: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The response to a download, if not the regular one.
type Override = fn() -> Option<Answer>;

/// The dialects that download through a public link.
fn linked() -> impl Iterator<Item = &'static Dialect> {
    dialects().filter(|dialect| fetch(dialect) == Fetch::Link)
}

/// A public link created for a download is revoked, whatever the outcome of the download.
#[test]
fn a_link_made_for_a_download_is_always_revoked() {
    for dialect in some(linked()) {
        check_link_is_revoked(dialect);
    }
}

fn check_link_is_revoked(dialect: &'static Dialect) {
    let large =
        FakeFile { content: vec![7; 8 << 20], size: (8 << 20).to_string(), ..FakeFile::new("f1", "big") };
    let cases: [(&str, i32, Override); 4] = [
        ("success", 0, || None),
        ("refused", 8, || Some(Answer::status(500, &[], "broken"))),
        ("cut", 7, || {
            Some(Answer::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nshort", 8 << 20)))
        }),
        ("wrong", 9, || Some(Answer::status(200, &[], "short"))),
    ];
    for (what, status, respond) in cases {
        let world = World::with_override(dialect, vec![large.clone()], move |action, _, _| match action {
            Action::Content(_) => respond(),
            _ => None,
        });
        let run = world.haul(&["get", "id:f1", "-o", "out"]).fails(status);
        let seen = world.server.requests();
        let made = seen.iter().filter(|seen| seen.head.starts_with("POST")).count();
        let revoked = format!("DELETE {}/f1/{}/link_1 ", dialect.replies().files, dialect.replies().links);
        let revocations = seen.iter().filter(|seen| seen.head.starts_with(&revoked)).count();
        assert!(made > 0, "{what}: {run}");
        assert_eq!(made, revocations, "{what}: {run}");
        assert!(
            seen.iter()
                .filter(|seen| seen.target.starts_with("/bytes/"))
                .all(|seen| seen.header("authorization").is_none())
        );
    }

    // After Ctrl-C during a stalled download.
    let world = World::with_override(dialect, vec![large], |action, _, _| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 8 << 20);
        matches!(action, Action::Content(_))
            .then(|| Answer::raw([head.as_bytes(), &vec![7; 500_000]].concat()).hang())
    });
    let process = world.env.spawn(world.env.interruptible().args(["get", "id:f1", "-o", "out"]));
    until("a partial download", || {
        fs::metadata(world.env.work().join("out.part")).is_ok_and(|part| part.len() > 0)
    });
    process.interrupt();
    let err = process.end().fails(130).stderr();
    assert_eq!((world.request_count("POST"), world.request_count("DELETE")), (1, 1), "{err}");
    assert!(err.contains("run the same command again to continue"), "{err}");
    assert_eq!(world.env.files(), ["out.part", "out.part.json"]);
}

/// The first Ctrl-C waits for the cleanup, here for a revocation without a response. The second exits at once, without
/// a summary.
#[test]
fn a_second_ctrl_c_exits_at_once() {
    for dialect in some(linked()) {
        check_ctrl_c(dialect);
    }
}

fn check_ctrl_c(dialect: &'static Dialect) {
    let big = FakeFile { content: vec![7; 1000], size: (8 << 20).to_string(), ..FakeFile::new("f1", "big") };
    for presses in [1, 2] {
        let revoking = Arc::new(AtomicBool::new(false));
        let received = Arc::clone(&revoking);
        let world = World::with_override(dialect, vec![big.clone()], move |action, _, _| match action {
            Action::Content(_) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 8 << 20);
                Some(Answer::raw([head.as_bytes(), &vec![7; 500_000]].concat()).hang())
            }
            Action::Unlink => {
                received.store(true, Ordering::SeqCst);
                Some(Answer::raw("").hang())
            }
            _ => None,
        });
        let process = world.env.spawn(world.env.interruptible().args(["get", "id:f1", "-o", "out"]));
        until("a partial download", || {
            fs::metadata(world.env.work().join("out.part")).is_ok_and(|part| part.len() > 0)
        });
        process.interrupt();
        until("a revocation", || revoking.load(Ordering::SeqCst));
        if presses == 2 {
            process.interrupt();
        }
        let err = process.end().fails(130).stderr();
        assert!(err.starts_with("error: interrupted"), "{err}");
        assert_eq!(err.contains("0 downloaded"), presses == 1, "{presses}: {err}");
    }
}

/// `--wait` polls until the platform has finished processing the file, and reports a processing failure.
#[test]
fn waiting_ends_with_the_final_status_of_the_platform() {
    let all = dialects().filter_map(|dialect| Some((dialect, dialect.replies().processing?)));
    for (dialect, members) in some(all) {
        check_final_status(dialect, members);
    }
}

fn check_final_status(dialect: &'static Dialect, members: fn(&str, &str) -> String) {
    for (last, status) in [("indexed", 0), ("processed", 0), ("failed", 8), ("error", 8), ("cancelled", 8)] {
        let polls = AtomicUsize::new(0);
        let file = move |now: &str| {
            dialect.file(&FakeFile::new("f1", "up").with_members(&members(now, "page 3 \\u001b[31m")))
        };
        let world = World::with_override(dialect, Vec::new(), move |action, _, seen| match action {
            Action::Stat(_) => {
                // One poll returns `processing`, the next one the final status.
                let now = if polls.fetch_add(1, Ordering::SeqCst) == 0 { "processing" } else { last };
                Some(json_answer(200, file(now)))
            }
            _ if seen.head.starts_with("POST") => Some(json_answer(200, file("pending"))),
            _ => None,
        });
        world.env.write("up", "up");
        let run = world.haul(&["upload", "up", "--wait", "--json"]).fails(status);
        assert_eq!(world.request_count("GET"), 2, "{run}");
        assert_eq!(world.request_count("POST"), 1);
        if status == 8 {
            let message = run.errors()[0]["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(
                message,
                format!("up: {} failed to process it: {last}: page 3 \u{1b}[31m", dialect.provider)
            );
            assert_eq!(run.errors()[0]["error"]["ref"], "f1");
        } else {
            assert_eq!(run.json()[0]["status"], last);
        }
    }
}

/// The wait for a file that is never processed ends at the limit, which is an hour by default.
#[test]
fn waiting_ends_at_its_limit() {
    let processing = all().filter_map(|platform| platform.facts.processing);
    for case in some(processing) {
        check_wait_limit(case);
    }
}

fn check_wait_limit(case: Case) {
    let rig = Rig::new(case);
    let file = rig.put("doc", "content");
    let pauses = (Duration::from_millis(1), Duration::from_millis(4));
    let polling = Polling { pauses, longest: Duration::from_millis(40) };
    let error = rig.run(wait_until_processed(&rig.provider, file.clone(), polling)).unwrap_err();
    assert_eq!(error.kind(), Kind::Platform);
    assert!(
        error.message().starts_with("doc: still ")
            && error.message().ends_with(&format!("on {} after 0 min", case.provider))
    );
    assert_eq!(error.hints(), [format!("to check again: `haul info work:id:{}`", file.id)]);
    assert_eq!(Polling::default().longest, Duration::from_hours(1));
    let requests = rig.served.requests();
    let polls: Vec<&String> = requests.iter().skip_while(|it| !it.starts_with("GET")).collect();
    assert!(!polls.is_empty() && polls.iter().all(|it| it.starts_with("GET")), "{requests:?}");
}

/// If listings contain neither sizes nor times, no file has the upload's mark, and an older file has its name, haul
/// reports the ambiguity; it neither sends the file twice nor assumes the older one.
#[test]
fn a_lost_upload_with_an_older_namesake_is_reported() {
    let silent = all().filter(|platform| !platform.facts.lists_sizes_and_times);
    for platform in some(silent) {
        check_older_namesake(platform.name);
    }
}

fn check_older_namesake(platform: &str) {
    // The upload failed, and an older file has its name: ambiguous.
    let served = Served::start(platform, &["--fault", "fail=500 POST nth=2"]);
    served.env.write("doc", "old");
    let old = served.haul(&["upload", "doc", "--ids"]).ok().lines().remove(0);
    served.env.write("doc", "new content");
    let run = served.haul(&["upload", "doc", "--retries", "0"]);
    // A creation time in the listing excludes the older file, and the upload is retried. Without one it is reported.
    let ambiguous = run.stderr().contains("may be this file or an older one");
    let posts = served.requests("POST", 2);
    assert!((run.status == 7 && ambiguous && posts == 2) || run.status == 8, "{posts} {run}");
    if ambiguous {
        assert!(
            run.stderr().contains(&old) && run.stderr().contains("hint: check before you upload it again"),
            "{run}"
        );
    }
    assert_eq!(served.contents(), [b"old".to_vec()], "only the older file is stored");

    // The upload succeeded but its response was lost: found by the mark, although another file has the name.
    let served = Served::start(platform, &["--fault", "lose POST nth=2"]);
    served.env.write("doc", "old");
    served.haul(&["upload", "doc"]).ok();
    served.env.write("doc", "new content");
    let id = served.haul(&["upload", "doc", "--ids"]).ok().lines().remove(0);
    assert_eq!(served.haul(&["get", &format!("id:{id}"), "-o", "-"]).ok().stdout(), "new content");
    assert_eq!((served.contents().len(), served.requests("POST", 2)), (2, 2));

    // The response was lost and the listing fails: the upload is not retried.
    let served =
        Served::start(platform, &["--fault", "lose POST nth=1", "--fault", "refuse=400 GET times=9"]);
    served.env.write("doc", "content");
    let run = served.haul(&["upload", "doc", "--retries", "1"]).fails(7);
    assert_eq!(served.requests("POST", 1), 1, "{run}");
    assert!(run.stderr().contains("hint: "), "{run}");
}

/// Several files in one request: each is stored once, or each is reported as failed.
#[test]
fn files_of_one_request_are_stored_once_each() {
    for dialect in some(together()) {
        check_stored_once_each(dialect.provider);
    }
}

/// The dialects that accept several files in one request.
fn together() -> impl Iterator<Item = &'static Dialect> {
    dialects().filter(|dialect| dialect.can().upload.files_per_request > 1)
}

fn check_stored_once_each(platform: &str) {
    for (fault, posts) in [
        ("", 1),
        ("lose POST times=1", 1),
        ("truncate-json POST times=1", 1),
        ("reset POST times=1", 2),
        ("refuse=503 POST times=1", 2),
        ("429 POST times=1 retry-after=0", 2),
        ("fail=500 POST times=1", 2),
        ("html=502 POST times=1", 2),
    ] {
        let options: &[&str] = if fault.is_empty() { &[] } else { &["--fault", fault] };
        let served = Served::start(platform, options);
        let names: Vec<String> = (0..6).map(|number| format!("doc{number}")).collect();
        for name in &names {
            // Larger than the socket buffers, so that a reset precedes the end of the body.
            served.env.write(name, name.repeat(1 << 20));
        }
        let words: Vec<&str> =
            ["upload", "--together", "--json"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let run = served.haul(&words).ok();
        assert_eq!(run.json().len(), 6, "{fault}: {run}");
        assert_eq!(served.names(), names, "{fault}: each file once");
        for row in run.json() {
            let name = row["name"].as_str().unwrap();
            let id = format!("id:{}", row["id"].as_str().unwrap());
            assert_eq!(served.haul(&["get", &id, "-o", "-"]).ok().stdout(), name.repeat(1 << 20), "{fault}");
        }
        assert_eq!(served.requests("POST", posts), posts, "{fault}");
    }
    // Permanent faults: no file is stored, and each is reported.
    for (fault, status) in [("refuse=401 POST", 4), ("refuse=413 POST", 5), ("fail=500 POST", 8)] {
        let served = Served::start(platform, &["--fault", fault]);
        for name in ["a", "b", "c"] {
            served.env.write(name, name);
        }
        let run = served
            .haul(&["upload", "--together", "a", "b", "c", "--retries", "1", "--report", "r"])
            .fails(status);
        assert_eq!(served.names(), Vec::<String>::new(), "{run}");
        assert_eq!(String::from_utf8(served.env.read("r")).unwrap().lines().count(), 3, "{run}");
    }
}

/// The response names fewer files than were sent: haul finds the stored ones and sends only the others again.
#[test]
fn only_missing_files_of_one_request_are_sent_again() {
    for dialect in some(together()) {
        check_missing_files(dialect);
    }
}

fn check_missing_files(dialect: &'static Dialect) {
    for kept in [3, 2, 1, 0] {
        let posts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&posts);
        // The creation time is an hour after the sandbox's clock.
        let file = |name: &&str| {
            let file = FakeFile { size: "1".to_owned(), ..FakeFile::new(&format!("id-{name}"), name) };
            file.with_members(r#""created_at":1772370000"#)
        };
        let listed = move |names: &[&str]| dialect.page(&names.iter().map(file).collect::<Vec<_>>(), None);
        let world = World::with_override(dialect, Vec::new(), move |action, _, seen| {
            let so_far = count.load(Ordering::SeqCst);
            if seen.head.starts_with("POST") {
                count.store(so_far + 1, Ordering::SeqCst);
                // The first response omits the last of three files; later ones name all files of their request.
                return Some(json_answer(
                    200,
                    listed(if so_far == 0 { &["a", "b"] } else { &["a", "b", "c"][kept..] }),
                ));
            }
            (*action == Action::List).then(|| json_answer(200, listed(&["a", "b", "c"][..kept])))
        });
        for name in ["a", "b", "c"] {
            world.env.write(name, name);
        }
        let run = world
            .haul(&["upload", "--together", "a", "b", "c", "--retries", "3", "--json", "--fields", "id"])
            .ok();
        let ids: Vec<String> = run.json().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, ["id-a", "id-b", "id-c"], "{run}");
        assert_eq!(posts.load(Ordering::SeqCst), if kept == 3 { 1 } else { 2 }, "{kept}: {run}");
    }
}

/// A relay between the program and a server that counts connections.
struct CountingRelay {
    listener: Listener,
    opened: Arc<AtomicUsize>,
}

impl CountingRelay {
    fn to(far: &str) -> Self {
        let opened = Arc::new(AtomicUsize::new(0));
        let (count, far) = (Arc::clone(&opened), far.to_owned());
        let listener = Listener::new(move |near| {
            count.fetch_add(1, Ordering::SeqCst);
            let far = TcpStream::connect(&far).unwrap();
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        });
        Self { listener, opened }
    }

    fn opened(&self) -> usize {
        self.opened.swap(0, Ordering::SeqCst)
    }
}

/// One connection pool for all files: at most one connection per worker, and one more for requests without content.
#[test]
fn connections_are_limited_by_the_number_of_workers() {
    let served = Served::start(plain().provider, &[]);
    let relay = CountingRelay::to(&served.address);
    let base = format!("http://{}/{}{}", relay.listener.address, plain().provider, plain().replies().base);
    for number in 0..500 {
        served.env.write(format!("docs/{number:03}.txt"), number.to_string());
    }
    for (arguments, most) in [
        (&["upload", "-q", "-r", "docs", "-j", "4"][..], 4),
        (&["ls", "--ids", "--page-size", "50"], 1),
        (&["get", "-q", "*.txt", "-o", "out/", "-j", "4"], 4 + 1),
        (&["rm", "-q", "*.txt", "--yes", "-j", "4"], 4 + 1),
    ] {
        let mut command = served.command(arguments);
        command.env("HAUL_BASE_URL", &base);
        checked("many", served.env.run(&mut command)).ok();
        let opened = relay.opened();
        assert!((1..=most).contains(&opened), "{arguments:?} opened {opened}");
    }
    assert_eq!(fs::read_dir(served.env.work().join("out")).unwrap().count(), 500);
    assert_eq!(served.names(), Vec::<String>::new());
    assert_eq!(served.requests("POST", 500), 500);
}

/// The peak memory of a command in KiB. Its output is discarded.
pub fn peak(env: &Sandbox, arguments: &str) -> u64 {
    let line = format!("exec '{HAUL}' {arguments} >/dev/null");
    let (run, peak) = env.measure(env.program("bash").args(["-c", &line]));
    run.ok();
    peak.resident
}

/// A server that accepts uploads of any size without storing them, and sends generated content of any size. It pauses
/// before the end of each, so that the memory is sampled at its peak.
fn unlimited_server(dialect: &'static Dialect) -> Listener {
    const SAMPLE: Duration = Duration::from_millis(200);
    let replies = dialect.replies();
    let serve = move |mut stream: TcpStream| -> io::Result<()> {
        while let Some(request) = Request::read_head(&mut stream)? {
            let length = request.length();
            io::copy(&mut (&mut stream).take(length), &mut io::sink())?;
            let below = request.target.strip_prefix(replies.files).unwrap_or_default();
            let id = below.split('/').nth(1).unwrap_or("1");
            if below.contains(&format!("/{}", replies.content)) {
                let size: u64 = id.parse().unwrap();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
                io::copy(&mut io::repeat(7).take(size - 1), &mut stream)?;
                thread::sleep(SAMPLE);
                stream.write_all(&[7])?;
                continue;
            }
            if length > 0 {
                thread::sleep(SAMPLE);
            }
            let body = dialect.file(&FakeFile { size: "null".to_owned(), ..FakeFile::new(id, "n") });
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        Ok(())
    };
    Listener::new(move |stream| drop(serve(stream)))
}

/// The memory of a transfer does not depend on the size of the file. The slack allows for the allocator; a buffer of the
/// whole file would be fifty times larger.
#[test]
fn memory_does_not_grow_with_a_transferred_file() {
    const SLACK: u64 = 4 * 1024;
    let has_no_limit = |dialect: &&Dialect| dialect.can().upload.max_bytes.is_none();
    let mut direct = dialects().filter(|dialect| fetch(dialect) == Fetch::Direct && dialect.set.is_empty());
    let dialect = direct.find(has_no_limit).unwrap();
    let server = unlimited_server(dialect);
    let mut env = Sandbox::new();
    let base = format!("http://{}{}", server.address, dialect.replies().base);
    env.use_platform(&Case::of(dialect.provider, "auto"), &base, "any");
    // The smaller file is large enough to fill all buffers.
    let sizes = [16_u64 << 20, 256 << 20];
    for size in sizes {
        fs::File::create(env.work().join(size.to_string())).unwrap().set_len(size).unwrap();
    }
    for [small, large] in [
        sizes.map(|size| peak(&env, &format!("upload {size}"))),
        sizes.map(|size| peak(&env, &format!("get id:{size} -o -"))),
        sizes.map(|size| peak(&env, &format!("get id:{size} -o copy --overwrite"))),
    ] {
        println!("{small} KiB for 16 MiB, {large} KiB for 256 MiB");
        assert!(large < small + SLACK, "{small} KiB for 16 MiB, {large} KiB for 256 MiB");
    }
}
