//! The program over many files: what it reports, what it does again, and how it stops.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::transfer::platform::{Platform, noise};

fn run(mut command: Command) -> (i32, String, String) {
    told(command.output().unwrap())
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn report(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(lines: &[Value], outcome: &str) -> usize {
    lines.iter().filter(|line| line["outcome"] == outcome).count()
}

/// A folder with so many files in it.
fn docs(home: &Path, files: u64) {
    fs::create_dir_all(home.join("docs/sub")).unwrap();
    for number in 0..files {
        let sub = if number % 2 == 0 { "" } else { "sub/" };
        fs::write(home.join(format!("docs/{sub}{number}.txt")), noise(number, 3000)).unwrap();
    }
}

#[test]
fn a_report_tells_of_each_and_only_what_failed_is_done_again() {
    let platform = Platform::start(&["refuse=400 POST every=4"]);
    let home = tempfile::tempdir().unwrap();
    docs(home.path(), 12);
    let first = home.path().join("first.jsonl");
    let second = home.path().join("second.jsonl");
    let (status, _, err) =
        run(platform.haul(home.path(), &["upload", "-r", "docs", "-j", "2", "--report", "first.jsonl"]));
    assert_eq!(status, 1, "{err}");
    assert!(err.contains("9 uploaded, 3 failed"), "{err}");
    let lines = report(&first);
    assert_eq!((count(&lines, "done"), count(&lines, "failed")), (9, 3));
    let done = lines.iter().find(|line| line["outcome"] == "done").unwrap();
    assert!(done["id"].is_string() && done["error"].is_null(), "{done}");
    let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
    assert!(failed["id"].is_null() && failed["error"]["exit_code"] == 1, "{failed}");

    let again = ["upload", "--retry-from", "first.jsonl", "--report", "second.jsonl"];
    let (status, _, err) = run(platform.haul(home.path(), &again));
    let lines = report(&second);
    assert_eq!(count(&lines, "done") + count(&lines, "failed"), 3, "{err}");
    let (mut status, mut from) = (status, "second.jsonl");
    // Every fourth is refused, those that are sent again, too.
    for to in ["third.jsonl", "fourth.jsonl"] {
        if status != 0 {
            (status, ..) = run(platform.haul(home.path(), &["upload", "--retry-from", from, "--report", to]));
            from = to;
        }
    }
    assert_eq!(status, 0);
    let mut names = platform.names();
    names.dedup();
    assert_eq!(names.len(), 12, "{names:?}");
    assert_eq!(platform.stored().len(), 12);
    assert!(names.contains(&"sub/1.txt".to_owned()), "{names:?}");
}

#[test]
fn downloads_and_deletions_are_done_again_by_their_ids() {
    let platform = Platform::start(&["refuse=400 GET **/content times=2", "refuse=400 DELETE times=1"]);
    let home = tempfile::tempdir().unwrap();
    docs(home.path(), 6);
    assert_eq!(run(platform.haul(home.path(), &["upload", "-r", "--flat", "docs"])).0, 0);
    let get = ["get", "*.txt", "-o", "out/", "--report", "r.jsonl"];
    assert_eq!(run(platform.haul(home.path(), &get)).0, 1);
    assert_eq!(count(&report(&home.path().join("r.jsonl")), "failed"), 2);
    let (status, _, err) = run(platform.haul(home.path(), &["get", "--retry-from", "r.jsonl", "-o", "out/"]));
    assert_eq!(status, 0, "{err}");
    assert_eq!(fs::read_dir(home.path().join("out")).unwrap().count(), 6);
    assert_eq!(run(platform.haul(home.path(), &["rm", "*.txt", "--yes", "--report", "d.jsonl"])).0, 1);
    assert_eq!(platform.stored().len(), 1);
    assert_eq!(run(platform.haul(home.path(), &["rm", "--retry-from", "d.jsonl", "--yes"])).0, 0);
    assert!(platform.stored().is_empty());
}

#[test]
fn the_first_refused_token_stops_all_with_one_message() {
    let platform = Platform::start(&["refuse=401 POST"]);
    let home = tempfile::tempdir().unwrap();
    docs(home.path(), 60);
    let (status, _, err) = run(platform.haul(home.path(), &["upload", "-r", "docs", "-j", "4"]));
    assert_eq!(status, 4, "{err}");
    assert_eq!(err.matches("error: ").count(), 1, "{err}");
    assert!(platform.posts(1).len() <= 4, "{}", platform.posts(1).len());
}

#[test]
fn a_command_that_failed_goes_on_and_one_that_succeeded_starts_over() {
    let platform = Platform::start(&["refuse=400 POST nth=3"]);
    let home = tempfile::tempdir().unwrap();
    docs(home.path(), 5);
    let upload = ["upload", "-r", "docs"];
    assert_eq!(run(platform.haul(home.path(), &upload)).0, 1);
    let (status, out, err) = run(platform.haul(home.path(), &upload));
    assert_eq!((status, out.lines().count()), (0, 5), "all are printed: {err}");
    assert_eq!(err.matches("an earlier run had sent it").count(), 4, "{err}");
    assert_eq!((platform.stored().len(), platform.posts(6).len()), (5, 6));
    assert_eq!(run(platform.haul(home.path(), &upload)).0, 0);
    assert_eq!(platform.stored().len(), 10);
}

#[test]
fn skipping_compares_with_what_was_sent_where_the_platform_states_no_checksum() {
    let platform = Platform::start(&[]);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.txt");
    fs::write(&path, "one").unwrap();
    let skip = ["upload", "a.txt", "--if-exists", "skip"];
    let upload = || run(platform.haul(home.path(), &skip));
    assert_eq!(run(platform.haul(home.path(), &["upload", "a.txt"])).0, 0);
    let (_, _, err) = upload();
    assert!(err.contains("uploaded, since") && err.contains("has no checksum and was not sent"), "{err}");
    assert_eq!(platform.stored().len(), 2);
    let (status, _, err) = upload();
    assert_eq!((status, platform.stored().len()), (0, 2));
    assert!(err.contains("a.txt: reused file"), "{err}");
    fs::write(&path, "two").unwrap();
    upload();
    assert_eq!(platform.stored().len(), 3, "same name and size, other content");
}

#[test]
fn ctrl_c_stops_within_a_second_and_keeps_what_has_come() {
    let platform = Platform::start(&["drip=300000 GET **/content"]);
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("big.bin"), noise(1, 3_000_000)).unwrap();
    assert_eq!(run(platform.haul(home.path(), &["upload", "big.bin"])).0, 0);
    let child = platform.haul(home.path(), &["get", "big.bin", "-o", "copy.bin"]).spawn().unwrap();
    let part = home.path().join("copy.bin.part");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    let stopped = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (status, _, err) = told(child.wait_with_output().unwrap());
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
    assert_eq!(status, 130, "{err}");
    assert!(err.contains("interrupted") && err.contains("run the same command again to go on"), "{err}");
    let have = fs::metadata(&part).unwrap().len();
    assert!(have >= 100_000);
    let fetches = platform.fetches(1).len();
    let output = platform.haul(home.path(), &["get", "big.bin", "-o", "copy.bin"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(platform.fetches(fetches + 1)[fetches].sent, 3_000_000 - have);
    assert!(fs::read(home.path().join("copy.bin")).unwrap() == noise(1, 3_000_000));
}

#[test]
fn ctrl_c_leaves_an_upload_that_the_same_command_goes_on_with() {
    let platform = Platform::start(&["delay=5000 POST nth=3"]);
    let home = tempfile::tempdir().unwrap();
    docs(home.path(), 4);
    let upload = ["upload", "-r", "docs", "-j", "1"];
    let child = platform.haul(home.path(), &upload).spawn().unwrap();
    let begun = Instant::now();
    while platform.stored().len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (status, out, err) = told(child.wait_with_output().unwrap());
    assert_eq!((status, out.lines().count()), (130, 2), "{err}");
    assert!(err.contains("2 uploaded") && err.contains("run the same command again to go on"), "{err}");
    let (status, _, err) = run(platform.haul(home.path(), &upload));
    assert_eq!(status, 0, "{err}");
    assert_eq!(platform.stored().len(), 4, "the one whose answer never came was found");
    assert_eq!(platform.posts(4).len(), 4);
}
