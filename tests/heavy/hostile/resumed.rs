//! Resumed downloads on every platform: the result never mixes two versions, whatever the server responds, and never
//! contains bytes of a modified partial download.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::hostile::world::{Action, Dialect, FakeFile, World, dialects};
use crate::support::server::{Answer, Request};

const SIZE: usize = 600_000;
const CUT: usize = 200_000;

/// The content of a version.
fn version(number: u8) -> Vec<u8> {
    (0..SIZE).map(|at| at.to_le_bytes()[at % 3] ^ number).collect()
}

/// A response that ends after the first bytes of a version.
fn cut(number: u8, headers: &str) -> Answer {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n{headers}\r\n");
    Answer::raw([head.as_bytes(), &version(number)[..CUT]].concat())
}

fn whole(number: u8) -> Answer {
    Answer::status(200, &[("ETag", "\"2\"")], version(number))
}

/// A 206 response with the bytes of a version from `from` on.
fn rest(number: u8, from: usize, range: &str, headers: &str) -> Answer {
    let length = SIZE - from;
    let head = format!(
        "HTTP/1.1 206 Part\r\nContent-Length: {length}\r\nContent-Range: {range}\r\n{headers}Connection: close\r\n\r\n"
    );
    Answer::raw([head.as_bytes(), &version(number)[from..]].concat())
}

/// A platform with one file; `answer` responds to the requests for its content, numbered from 0.
fn world(
    dialect: &'static Dialect,
    answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
) -> (World, Arc<AtomicUsize>) {
    let file = FakeFile { size: SIZE.to_string(), ..FakeFile::new("f1", "data.bin") };
    let requested = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&requested);
    let world = World::with_override(dialect, vec![file], move |action, _, seen| match action {
        Action::Content(_) => Some(answer(count.fetch_add(1, Ordering::SeqCst), seen)),
        _ => None,
    });
    (world, requested)
}

fn get(world: &World) -> crate::support::sandbox::Run {
    world.haul(&["get", "id:f1", "-o", "out.bin"])
}

fn check(world: &World, number: u8, what: &str) {
    assert!(world.env.read("out.bin") == version(number), "{} {what}", world.dialect.provider);
    assert_eq!(world.env.files(), ["out.bin"], "{} {what}", world.dialect.provider);
}

/// Name, headers of the first response, response to the range request, and whether both are the same version.
type Case = (&'static str, &'static str, fn() -> Answer, bool);

fn valid_range() -> String {
    format!("bytes {CUT}-{}/{SIZE}", SIZE - 1)
}

const CASES: &[Case] = &[
    ("the same tag", "ETag: \"1\"\r\n", || rest(1, CUT, &valid_range(), "ETag: \"1\"\r\n"), true),
    ("no tag", "", || rest(1, CUT, &valid_range(), ""), true),
    ("another tag", "ETag: \"1\"\r\n", || rest(2, CUT, &valid_range(), "ETag: \"2\"\r\n"), false),
    ("a tag, then none", "ETag: \"1\"\r\n", || rest(2, CUT, &valid_range(), ""), false),
    ("no tag, then one", "", || rest(2, CUT, &valid_range(), "ETag: \"2\"\r\n"), false),
    ("a weak tag", "ETag: W/\"1\"\r\n", || rest(2, CUT, &valid_range(), "ETag: W/\"1\"\r\n"), false),
    (
        "another date",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        || rest(2, CUT, &valid_range(), "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n"),
        false,
    ),
    (
        "another total",
        "ETag: \"1\"\r\n",
        || rest(2, CUT, &format!("bytes {CUT}-{}/{}", SIZE - 1, SIZE + 1), "ETag: \"1\"\r\n"),
        false,
    ),
    (
        "another start",
        "ETag: \"1\"\r\n",
        || rest(2, CUT - 7, &format!("bytes {}-{}/{SIZE}", CUT - 7, SIZE - 1), "ETag: \"1\"\r\n"),
        false,
    ),
    ("no range", "ETag: \"1\"\r\n", || rest(2, CUT, "nonsense", "ETag: \"1\"\r\n"), false),
    ("416", "ETag: \"1\"\r\n", || Answer::status(416, &[], ""), false),
    (
        "416 with the total",
        "ETag: \"1\"\r\n",
        || Answer::status(416, &[("Content-Range", "bytes */600000")], ""),
        false,
    ),
];

#[test]
fn versions_are_not_mixed_within_a_run() {
    for dialect in dialects() {
        for (what, first, second, same) in CASES {
            let (world, requested) = world(dialect, move |number, seen| match seen.header("range") {
                Some(_) => second(),
                None if number == 0 => cut(1, first),
                None => whole(2),
            });
            get(&world).ok();
            check(&world, if *same { 1 } else { 2 }, what);
            let count = requested.load(Ordering::SeqCst);
            assert_eq!(count, if *same { 2 } else { 3 }, "{} {what}", dialect.provider);
        }
    }
}

#[test]
fn versions_are_not_mixed_across_runs() {
    for dialect in dialects() {
        for (what, first, second, same) in CASES {
            let (world, requested) =
                world(dialect, move |number, seen| match (number, seen.header("range")) {
                    (0, _) => cut(1, first),
                    // Ends the first run.
                    (1, _) => Answer::cut(),
                    (_, Some(_)) => second(),
                    (_, None) => whole(2),
                });
            get(&world).fails(7);
            assert_eq!(world.env.files(), ["out.bin.part", "out.bin.part.json"]);
            get(&world).ok();
            check(&world, if *same { 1 } else { 2 }, what);
            let count = requested.load(Ordering::SeqCst);
            assert_eq!(count, if *same { 3 } else { 4 }, "{} {what}", dialect.provider);
        }
    }
}

#[test]
fn restarts_are_bounded() {
    for dialect in dialects() {
        for second in [|| Answer::status(416, &[], ""), || rest(2, CUT, &valid_range(), "ETag: \"2\"\r\n")] {
            let (world, requested) = world(dialect, move |_, seen| match seen.header("range") {
                Some(_) => second(),
                None => cut(1, "ETag: \"1\"\r\n"),
            });
            let run = get(&world).fails(7);
            assert!(run.stderr().contains("closed the connection partway through the content"), "{run}");
            assert!(!world.env.work().join("out.bin").exists());
            assert!(requested.load(Ordering::SeqCst) < 10, "{}", dialect.provider);
        }
    }
}

/// The server returns no checksum, so only the record of the partial download reveals the change.
#[test]
fn modified_parts_are_not_resumed() {
    for dialect in dialects() {
        let (world, requested) = world(dialect, |number, seen| match (number, seen.header("range")) {
            (0, _) => cut(1, "ETag: \"1\"\r\n"),
            (1, _) => Answer::cut(),
            (_, Some(_)) => rest(1, CUT, &valid_range(), "ETag: \"1\"\r\n"),
            (_, None) => whole(1),
        });
        get(&world).fails(7);
        let part = fs::File::options().write(true).open(world.env.work().join("out.bin.part")).unwrap();
        let modified = part.metadata().unwrap().modified().unwrap();
        part.write_all_at(&[!version(1)[77_777]], 77_777).unwrap();
        // The modification time does not reveal the change.
        part.set_modified(modified).unwrap();
        drop(part);
        get(&world).ok();
        check(&world, 1, "flipped");
        assert_eq!(
            requested.load(Ordering::SeqCst),
            3,
            "{}: one request for the whole content",
            dialect.provider
        );
    }
}

#[test]
fn duplicate_references_are_fetched_once() {
    for dialect in dialects() {
        let (world, requested) = world(dialect, |_, _| whole(2));
        let run = world.haul(&["get", "id:f1", "name:data.bin", "id:f1", "-o", "d/", "--report", "r"]).ok();
        assert_eq!(run.lines().len(), 1, "{run}");
        assert!(world.env.read("d/data.bin") == version(2));
        assert_eq!(requested.load(Ordering::SeqCst), 1, "{}", dialect.provider);
        assert_eq!(String::from_utf8(world.env.read("r")).unwrap().lines().count(), 1);
    }
}
