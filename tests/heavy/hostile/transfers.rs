//! What a transfer leaves behind when it is stopped or told nonsense: links, half-known uploads, connections, memory.

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
use crate::hostile::world::{Ask, Dialect, Fetch, Told, World, dialects, fetch, json_answer, plain, sane};
use crate::platforms::{all, some};
use crate::support::rig::{Case, Rig};
use crate::support::sandbox::{HAUL, Sandbox};
use crate::support::server::{Answer, Listener, Request};

/// Waits until it is so; a test that would wait for ever says where.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: never");
        thread::sleep(Duration::from_millis(2));
    }
}

/// What becomes of a download, if not the honest thing.
type Twist = fn() -> Option<Answer>;

/// The platforms that download through a public link.
fn linked() -> impl Iterator<Item = &'static Dialect> {
    dialects().filter(|dialect| fetch(dialect) == Fetch::Link)
}

/// A public link made for a download is revoked however the download ends.
#[test]
fn a_link_made_for_a_download_is_released_however_that_ends() {
    for dialect in some(linked()) {
        a_link_is_released(dialect);
    }
}

fn a_link_is_released(dialect: &'static Dialect) {
    let large = Told { content: vec![7; 8 << 20], size: (8 << 20).to_string(), ..Told::new("f1", "big") };
    let cases: [(&str, i32, Twist); 4] = [
        ("success", 0, || None),
        ("refused", 8, || Some(Answer::status(500, &[], "broken"))),
        ("cut", 7, || {
            Some(Answer::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nshort", 8 << 20)))
        }),
        ("wrong", 9, || Some(Answer::status(200, &[], "short"))),
    ];
    for (what, status, twist) in cases {
        let world = World::twisted(dialect, vec![large.clone()], move |ask, _, _| match ask {
            Ask::Bytes(_) => twist(),
            _ => None,
        });
        let run = world.haul(&["get", "id:f1", "-o", "out"]).fails(status);
        let seen = world.server.requests();
        let made = seen.iter().filter(|seen| seen.head.starts_with("POST")).count();
        let revoked = format!("DELETE {}/f1/{}/link_1 ", dialect.replies().files, dialect.replies().links);
        let released = seen.iter().filter(|seen| seen.head.starts_with(&revoked)).count();
        assert!(made > 0, "{what}: {run}");
        assert_eq!(made, released, "{what}: {run}");
        assert!(
            seen.iter()
                .filter(|seen| seen.target.starts_with("/bytes/"))
                .all(|seen| seen.header("authorization").is_none())
        );
    }

    // After Ctrl-C, while the content hangs.
    let world = World::twisted(dialect, vec![large], |ask, _, _| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 8 << 20);
        matches!(ask, Ask::Bytes(_))
            .then(|| Answer::raw([head.as_bytes(), &vec![7; 500_000]].concat()).hang())
    });
    let process = world.env.spawn(world.env.command().args(["get", "id:f1", "-o", "out"]));
    until("a part", || fs::metadata(world.env.work().join("out.part")).is_ok_and(|part| part.len() > 0));
    process.interrupt();
    let err = process.end().fails(130).stderr();
    assert_eq!((world.asked("POST"), world.asked("DELETE")), (1, 1), "{err}");
    assert!(err.contains("run the same command again to continue"), "{err}");
    assert_eq!(world.env.files(), ["out.part", "out.part.json"]);
}

/// The first Ctrl-C puts things in order, here by a release that nobody answers; the second does not wait for that, so
/// there is not even a summary.
#[test]
fn a_second_ctrl_c_leaves_at_once() {
    for dialect in some(linked()) {
        ctrl_c_twice(dialect);
    }
}

fn ctrl_c_twice(dialect: &'static Dialect) {
    let big = Told { content: vec![7; 1000], size: (8 << 20).to_string(), ..Told::new("f1", "big") };
    for presses in [1, 2] {
        let releasing = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&releasing);
        let world = World::twisted(dialect, vec![big.clone()], move |ask, _, _| match ask {
            Ask::Bytes(_) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 8 << 20);
                Some(Answer::raw([head.as_bytes(), &vec![7; 500_000]].concat()).hang())
            }
            Ask::Unlink => {
                asked.store(true, Ordering::SeqCst);
                Some(Answer::raw("").hang())
            }
            _ => None,
        });
        let process = world.env.spawn(world.env.command().args(["get", "id:f1", "-o", "out"]));
        until("a part", || fs::metadata(world.env.work().join("out.part")).is_ok_and(|part| part.len() > 0));
        process.interrupt();
        until("a release", || releasing.load(Ordering::SeqCst));
        if presses == 2 {
            process.interrupt();
        }
        let err = process.end().fails(130).stderr();
        assert!(err.starts_with("error: interrupted"), "{err}");
        assert_eq!(err.contains("0 downloaded"), presses == 1, "{presses}: {err}");
    }
}

/// `--wait` asks until the platform is done with the file, and tells when it could not do it.
#[test]
fn waiting_ends_with_what_the_platform_says() {
    let all = dialects().filter_map(|dialect| Some((dialect, dialect.replies().processing?)));
    for (dialect, members) in some(all) {
        waiting_ends(dialect, members);
    }
}

fn waiting_ends(dialect: &'static Dialect, members: fn(&str, &str) -> String) {
    for (said, status) in [("indexed", 0), ("processed", 0), ("failed", 8), ("error", 8), ("cancelled", 8)] {
        let asked = AtomicUsize::new(0);
        let file =
            move |now: &str| dialect.file(&Told::new("f1", "up").and(&members(now, "page 3 \\u001b[31m")));
        let world = World::twisted(dialect, Vec::new(), move |ask, _, seen| match ask {
            Ask::Stat(_) => {
                // Once more under way, then the end.
                let now = if asked.fetch_add(1, Ordering::SeqCst) == 0 { "processing" } else { said };
                Some(json_answer(200, file(now)))
            }
            _ if seen.head.starts_with("POST") => Some(json_answer(200, file("pending"))),
            _ => None,
        });
        world.env.write("up", "up");
        let run = world.haul(&["upload", "up", "--wait", "--json"]).fails(status);
        assert_eq!(world.asked("GET"), 2, "{run}");
        assert_eq!(world.asked("POST"), 1);
        if status == 8 {
            let message = run.errors()[0]["error"]["message"].as_str().unwrap().to_owned();
            assert_eq!(
                message,
                format!("up: {} failed to process it: {said}: page 3 \u{1b}[31m", dialect.provider)
            );
            assert_eq!(run.errors()[0]["error"]["ref"], "f1");
        } else {
            assert_eq!(run.json()[0]["status"], said);
        }
    }
}

/// A file that is never done is waited for no longer than the limit, which is an hour in the program.
#[test]
fn waiting_ends_at_its_limit() {
    let processing = all().filter_map(|platform| platform.facts.processing);
    for case in some(processing) {
        waiting_is_limited(case);
    }
}

fn waiting_is_limited(case: Case) {
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
    assert_eq!(error.hints(), [format!("to check again: `haul info -p work id:{}`", file.id)]);
    assert_eq!(Polling::default().longest, Duration::from_hours(1));
    let asked = rig.served.requests();
    assert!(asked.len() > 1 && asked[1..].iter().all(|request| request.starts_with("GET")), "{asked:?}");
}

/// If listings state neither size nor time, haul's own mark is not found and an older file has the name, haul reports
/// that it cannot tell, and neither sends twice nor takes the wrong file.
#[test]
fn a_lost_reply_that_cannot_be_told_from_an_older_twin_is_said() {
    let silent = all().filter(|platform| !platform.facts.states_size_and_times);
    for platform in some(silent) {
        an_older_twin_is_said(platform.name);
    }
}

fn an_older_twin_is_said(platform: &str) {
    // Not carried out, and an older twin: cannot tell.
    let served = Served::start(platform, &["--fault", "fail=500 POST nth=2"]);
    served.env.write("doc", "old");
    let old = served.haul(&["upload", "doc", "--ids"]).ok().lines().remove(0);
    served.env.write("doc", "new content");
    let run = served.haul(&["upload", "doc", "--retries", "0"]);
    // With a creation time in the listing it is known not to be this file, and is sent again; without, it is said.
    let told = run.stderr().contains("may be this file or an older one");
    let posts = served.requests("POST", 2);
    assert!((run.status == 7 && told && posts == 2) || run.status == 8, "{posts} {run}");
    if told {
        assert!(
            run.stderr().contains(&old) && run.stderr().contains("hint: check before you upload it again"),
            "{run}"
        );
    }
    assert_eq!(served.contents(), [b"old".to_vec()], "nothing was taken for it and nothing doubled");

    // Carried out and lost: found by the mark, whatever else has the name.
    let served = Served::start(platform, &["--fault", "lose POST nth=2"]);
    served.env.write("doc", "old");
    served.haul(&["upload", "doc"]).ok();
    served.env.write("doc", "new content");
    let id = served.haul(&["upload", "doc", "--ids"]).ok().lines().remove(0);
    assert_eq!(served.haul(&["get", &format!("id:{id}"), "-o", "-"]).ok().stdout(), "new content");
    assert_eq!((served.contents().len(), served.requests("POST", 2)), (2, 2));

    // Carried out and lost, and the mark cannot be looked for either: nothing is sent again blindly.
    let served =
        Served::start(platform, &["--fault", "lose POST nth=1", "--fault", "refuse=400 GET times=9"]);
    served.env.write("doc", "content");
    let run = served.haul(&["upload", "doc", "--retries", "1"]).fails(7);
    assert_eq!(served.requests("POST", 1), 1, "{run}");
    assert!(run.stderr().contains("hint: "), "{run}");
}

/// Several files in one request: all are there once, or the loss is told for all.
#[test]
fn files_sent_together_are_there_once_each() {
    for dialect in some(together()) {
        there_once_each(dialect.provider);
    }
}

/// The platforms that accept several files in one request.
fn together() -> impl Iterator<Item = &'static Dialect> {
    dialects().filter(|dialect| dialect.can().upload.files_per_request > 1)
}

fn there_once_each(platform: &str) {
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
            // More than the sockets hold, so that a reset always comes before the end.
            served.env.write(name, name.repeat(1 << 20));
        }
        let words: Vec<&str> =
            ["upload", "--together", "--json"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let run = served.haul(&words).ok();
        assert_eq!(run.json().len(), 6, "{fault}: {run}");
        assert_eq!(served.names(), names, "{fault}: each once");
        for row in run.json() {
            let name = row["name"].as_str().unwrap();
            let id = format!("id:{}", row["id"].as_str().unwrap());
            assert_eq!(served.haul(&["get", &id, "-o", "-"]).ok().stdout(), name.repeat(1 << 20), "{fault}");
        }
        assert_eq!(served.requests("POST", posts), posts, "{fault}");
    }
    // For good: nothing is there, and each is told of.
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

/// An answer that tells of fewer files than were sent: those that are there are found, and only the others are sent
/// again.
#[test]
fn a_part_of_the_files_sent_together_is_found_and_the_rest_sent_again() {
    for dialect in some(together()) {
        a_part_is_found(dialect);
    }
}

fn a_part_is_found(dialect: &'static Dialect) {
    for kept in [3, 2, 1, 0] {
        let posts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&posts);
        // An hour after the sandbox's clock.
        let file = |name: &&str| {
            let told = Told { size: "1".to_owned(), ..Told::new(&format!("id-{name}"), name) };
            told.and(r#""created_at":1772370000"#)
        };
        let listed = move |names: &[&str]| dialect.page(&names.iter().map(file).collect::<Vec<_>>(), None);
        let world = World::twisted(dialect, Vec::new(), move |ask, _, seen| {
            let so_far = count.load(Ordering::SeqCst);
            if seen.head.starts_with("POST") {
                count.store(so_far + 1, Ordering::SeqCst);
                // It says nothing of the last one of three, and tells all of the others of a later request.
                return Some(json_answer(
                    200,
                    listed(if so_far == 0 { &["a", "b"] } else { &["a", "b", "c"][kept..] }),
                ));
            }
            (*ask == Ask::List).then(|| json_answer(200, listed(&["a", "b", "c"][..kept])))
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

/// A wire between the program and a server that counts what is opened.
struct Wire {
    listener: Listener,
    opened: Arc<AtomicUsize>,
}

impl Wire {
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

/// One pool for all: as many connections as there are workers, however many files there are; and one more where small
/// calls go beside the contents.
#[test]
fn many_files_open_no_more_connections_than_there_are_workers() {
    let served = Served::start(plain().provider, &[]);
    let wire = Wire::to(&served.address);
    let base = format!("http://{}/{}{}", wire.listener.address, plain().provider, plain().replies().base);
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
        sane("many", served.env.run(&mut command)).ok();
        let opened = wire.opened();
        assert!((1..=most).contains(&opened), "{arguments:?} opened {opened}");
    }
    assert_eq!(fs::read_dir(served.env.work().join("out")).unwrap().count(), 500);
    assert_eq!(served.names(), Vec::<String>::new());
    assert_eq!(served.requests("POST", 500), 500);
}

/// The most memory that a command took, in KiB. What it prints is thrown away.
pub fn peak(env: &Sandbox, arguments: &str) -> u64 {
    let line = format!("exec '{HAUL}' {arguments} >/dev/null");
    let (run, peak) = env.measure(env.program("bash").args(["-c", &line]));
    run.ok();
    peak
}

/// A server that takes an upload of any size and keeps nothing, and gives content of any size from nothing. Before the
/// end of each it waits until the peak of the memory has surely been looked at.
fn bottomless(dialect: &'static Dialect) -> Listener {
    const LOOK: Duration = Duration::from_millis(200);
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
                thread::sleep(LOOK);
                stream.write_all(&[7])?;
                continue;
            }
            if length > 0 {
                thread::sleep(LOOK);
            }
            let body = dialect.file(&Told { size: "null".to_owned(), ..Told::new(id, "n") });
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        Ok(())
    };
    Listener::new(move |stream| drop(serve(stream)))
}

/// Memory does not grow with a file, over a network either. The slack is what an allocator may keep of buffers that
/// came in another order; a buffer of the whole would be fifty times that.
#[test]
fn memory_does_not_grow_with_a_file_that_goes_over_a_network() {
    const SLACK: u64 = 4 * 1024;
    let has_no_limit = |dialect: &&Dialect| dialect.can().upload.max_bytes.is_none();
    let mut direct = dialects().filter(|dialect| fetch(dialect) == Fetch::Direct && dialect.set.is_empty());
    let dialect = direct.find(has_no_limit).unwrap();
    let server = bottomless(dialect);
    let mut env = Sandbox::new();
    let base = format!("http://{}{}", server.address, dialect.replies().base);
    env.use_platform(&Case::of(dialect.provider, "auto"), &base, "any");
    // The smaller one is large enough that all buffers are in use.
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
