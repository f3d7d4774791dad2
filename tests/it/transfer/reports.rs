//! Commands on many files: reports, retries and cancellation.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::sandbox::Sandbox;
use crate::transfer::platform::{Platform, noise};

fn report(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(lines: &[Value], outcome: &str) -> usize {
    lines.iter().filter(|line| line["outcome"] == outcome).count()
}

/// A folder with this many files.
fn docs(folder: &Path, files: u64) {
    fs::create_dir_all(folder.join("docs/sub")).unwrap();
    for number in 0..files {
        let sub = if number % 2 == 0 { "" } else { "sub/" };
        fs::write(folder.join(format!("docs/{sub}{number}.txt")), noise(number, 3000)).unwrap();
    }
}

#[test]
fn a_report_lists_each_file_and_only_failed_ones_are_retried() {
    let platform = Platform::start(&["refuse=400 POST every=4"]);
    let env = platform.sandbox();
    docs(&env.work(), 12);
    let first = env.work().join("first.jsonl");
    let second = env.work().join("second.jsonl");
    let run = env.haul(["upload", "-r", "docs", "-j", "2", "--report", "first.jsonl"]);
    run.fails(1).says("9 uploaded, 3 failed");
    let lines = report(&first);
    assert_eq!((count(&lines, "done"), count(&lines, "failed")), (9, 3));
    let done = lines.iter().find(|line| line["outcome"] == "done").unwrap();
    assert!(done["id"].is_string() && done["error"].is_null(), "{done}");
    let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
    assert!(failed["id"].is_null() && failed["error"]["exit_code"] == 1, "{failed}");

    let again = ["upload", "--retry-from", "first.jsonl", "--report", "second.jsonl"];
    let run = env.haul(again);
    let lines = report(&second);
    assert_eq!(count(&lines, "done") + count(&lines, "failed"), 3, "{run}");
    let (mut status, mut from) = (run.status, "second.jsonl");
    // Every fourth request fails, including retries.
    for to in ["third.jsonl", "fourth.jsonl"] {
        if status != 0 {
            status = env.haul(["upload", "--retry-from", from, "--report", to]).status;
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
fn downloads_and_deletions_are_retried_by_id() {
    let platform = Platform::start(&["refuse=400 GET **/content times=2", "refuse=400 DELETE times=1"]);
    let env = platform.sandbox();
    docs(&env.work(), 6);
    env.haul(["upload", "-r", "--flat", "docs"]).ok();
    let get = ["get", "*.txt", "-o", "out/", "--report", "r.jsonl"];
    env.haul(get).fails(1);
    assert_eq!(count(&report(&env.work().join("r.jsonl")), "failed"), 2);
    env.haul(["get", "--retry-from", "r.jsonl", "-o", "out/"]).ok();
    assert_eq!(fs::read_dir(env.work().join("out")).unwrap().count(), 6);
    env.haul(["rm", "*.txt", "--yes", "--report", "d.jsonl"]).fails(1);
    assert_eq!(platform.stored().len(), 1);
    env.haul(["rm", "--retry-from", "d.jsonl", "--yes"]).ok();
    assert!(platform.stored().is_empty());
}

#[test]
fn the_first_refused_token_stops_all_files_with_one_message() {
    let platform = Platform::start(&["refuse=401 POST"]);
    let env = platform.sandbox();
    docs(&env.work(), 60);
    let run = env.haul(["upload", "-r", "docs", "-j", "4"]).fails(4);
    assert_eq!(run.stderr().matches("error: ").count(), 1, "{run}");
    assert!(platform.posts(1).len() <= 4, "{}", platform.posts(1).len());
}

#[test]
fn a_failed_command_continues_and_a_successful_one_starts_over() {
    let platform = Platform::start(&["refuse=400 POST nth=3"]);
    let env = platform.sandbox();
    docs(&env.work(), 5);
    let upload = ["upload", "-r", "docs"];
    env.haul(upload).fails(1);
    let run = env.haul(upload).ok();
    assert_eq!(run.lines().len(), 5, "all are printed: {run}");
    assert_eq!(run.stderr().matches("already uploaded by an earlier run").count(), 4, "{run}");
    assert_eq!((platform.stored().len(), platform.posts(6).len()), (5, 6));
    env.haul(upload).ok();
    assert_eq!(platform.stored().len(), 10);
}

#[test]
fn a_file_that_is_named_twice_is_sent_twice() {
    let platform = Platform::start(&[]);
    let env = platform.sandbox();
    env.write("a.txt", "one");
    let run = env.haul(["upload", "a.txt", "a.txt", "--ids"]).ok();
    assert_eq!((run.lines().len(), platform.stored().len()), (2, 2), "{run}");
    assert!(!run.stderr().contains("earlier run"), "{run}");
}

#[test]
fn skip_compares_with_earlier_uploads_on_a_platform_without_checksums() {
    let platform = Platform::start(&[]);
    let env = platform.sandbox();
    let path = env.work().join("a.txt");
    fs::write(&path, "one").unwrap();
    let skip = ["upload", "a.txt", "--if-exists", "skip"];
    let upload = || env.haul(skip);
    env.haul(["upload", "a.txt"]).ok();
    upload().ok().says("a.txt: reused file");
    assert_eq!(platform.stored().len(), 1);
    fs::write(&path, "two").unwrap();
    upload().ok().says("has different content");
    assert_eq!(platform.stored().len(), 2, "same name and size, other content");
}

/// haul uses the hash that it computed during the upload instead of reading the file again.
#[test]
fn skip_does_not_read_an_unchanged_file_again() {
    let platform = Platform::start(&[]);
    let env = platform.sandbox().with_real_clock();
    let path = env.write("a.txt", "one");
    let hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
    fs::File::options().write(true).open(path).unwrap().set_modified(hour_ago).unwrap();
    env.haul(["upload", "a.txt"]).ok();
    let ledger = rusqlite::Connection::open(env.home().join("state/ledger.db")).unwrap();
    let digest: String =
        ledger.query_row("SELECT digest FROM hashes WHERE kind = 'blake3'", [], |row| row.get(0)).unwrap();
    assert_eq!(digest, blake3::hash(b"one").to_hex().as_str());
    ledger.execute("UPDATE hashes SET digest = ?", ["00".repeat(32)]).unwrap();
    drop(ledger);
    env.haul(["upload", "a.txt", "--if-exists", "skip"]).ok().says("has different content");
}

#[test]
fn ctrl_c_stops_within_a_second_and_keeps_received_bytes() {
    let platform = Platform::start(&["drip=300000 GET **/content"]);
    let env = platform.sandbox();
    fs::write(env.work().join("big.bin"), noise(1, 3_000_000)).unwrap();
    env.haul(["upload", "big.bin"]).ok();
    let get = ["get", "big.bin", "-o", "copy.bin"];
    let process = env.spawn(env.interruptible().args(get));
    let part = env.work().join("copy.bin.part");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    let stopped = Instant::now();
    process.interrupt();
    let run = process.end();
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
    run.fails(130).says("interrupted").says("run the same command again to continue");
    let have = fs::metadata(&part).unwrap().len();
    assert!(have >= 100_000);
    let fetches = platform.fetches(1).len();
    env.haul(get).ok();
    assert_eq!(platform.fetches(fetches + 1)[fetches].sent, 3_000_000 - have);
    assert!(fs::read(env.work().join("copy.bin")).unwrap() == noise(1, 3_000_000));
}

#[test]
fn ctrl_c_leaves_an_upload_that_the_same_command_continues() {
    let platform = Platform::start(&["delay=5000 POST nth=3"]);
    let env = platform.sandbox();
    docs(&env.work(), 4);
    let upload = ["upload", "-r", "docs", "-j", "1"];
    let process = env.spawn(env.interruptible().args(upload));
    let begun = Instant::now();
    while platform.stored().len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    process.interrupt();
    let run = process.end().fails(130).says("2 uploaded").says("run the same command again to continue");
    assert_eq!(run.lines().len(), 2, "{run}");
    env.haul(upload).ok();
    assert_eq!(platform.stored().len(), 4, "the upload without an answer was found");
    assert_eq!(platform.posts(4).len(), 4);
}

/// Waits until a report has this many lines.
fn until_reported(path: &Path, lines: usize) {
    let begun = Instant::now();
    while fs::read_to_string(path).map_or(0, |text| text.lines().count()) < lines {
        assert!(begun.elapsed() < Duration::from_secs(20), "no {lines} lines");
        thread::sleep(Duration::from_millis(10));
    }
    // Gives the next item time to start.
    thread::sleep(Duration::from_secs(1));
}

#[test]
fn after_a_signal_the_report_lists_every_file_and_a_retry_completes_the_work() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let platform = Platform::start(&["slow=60000 POST nth=3"]);
        let env = platform.sandbox();
        docs(&env.work(), 6);
        let path = env.work().join("r.jsonl");
        let upload = ["upload", "-r", "docs", "-j", "1", "--json", "--report", "r.jsonl"];
        let process = env.spawn(env.interruptible().args(upload));
        until_reported(&path, 2);
        process.signal(signal);
        let run = process.end().fails(status);
        assert_eq!(run.json().len(), 2, "{run}");
        let lines = report(&path);
        let counts = ["done", "failed", "not_started"].map(|outcome| count(&lines, outcome));
        assert_eq!((counts, lines.len()), ([2, 1, 3], 6), "{lines:?}");
        let failed = lines.iter().find(|line| line["outcome"] == "failed").unwrap();
        assert_eq!(
            (&failed["error"]["kind"], &failed["error"]["exit_code"]),
            (&"interrupted".into(), &status.into())
        );
        env.haul(["upload", "--retry-from", "r.jsonl"]).ok();
        let names = ["0.txt", "2.txt", "4.txt", "sub/1.txt", "sub/3.txt", "sub/5.txt"];
        assert_eq!(platform.names(), names);
    }
}

#[test]
fn after_a_signal_the_report_lists_files_that_were_not_downloaded() {
    for refs in [&["*.txt"][..], &["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]] {
        let platform = Platform::start(&["slow=60000 GET **/content nth=3"]);
        let env = platform.sandbox();
        docs(&env.work(), 5);
        env.haul(["upload", "-r", "--flat", "docs"]).ok();
        let path = env.work().join("r.jsonl");
        let get = ["get", "-j", "1", "-o", "out/", "--report", "r.jsonl"];
        let process = env.spawn(env.interruptible().args(get).args(refs));
        until_reported(&path, 2);
        process.signal(Signal::TERM);
        process.end().fails(143);
        let lines = report(&path);
        let counts = ["done", "failed", "not_started"].map(|outcome| count(&lines, outcome));
        assert_eq!((counts, lines.len()), ([2, 1, 2], 5), "{lines:?}");
        env.haul(["get", "--retry-from", "r.jsonl", "-o", "out/"]).ok();
        assert_eq!(fs::read_dir(env.work().join("out")).unwrap().count(), 5);
    }
}

#[test]
fn a_report_that_cannot_name_every_file_is_not_retried() {
    let platform = Platform::start(&["slow=60000 GET **/files nth=1"]);
    let env = platform.sandbox();
    docs(&env.work(), 3);
    env.haul(["upload", "-r", "--flat", "docs"]).ok();
    let path = env.work().join("r.jsonl");
    let get = ["get", "--filter", "size > 0", "-o", "out/", "--report", "r.jsonl"];
    let process = env.spawn(env.interruptible().args(get));
    thread::sleep(Duration::from_secs(2));
    process.signal(Signal::TERM);
    process.end().fails(143);
    assert_eq!(count(&report(&path), "not_started"), 1);
    env.haul(["get", "--retry-from", "r.jsonl", "-o", "out/"])
        .fails(2)
        .says("run the original command again");
}

#[test]
fn after_fail_fast_a_retry_completes_the_work() {
    let platform = Platform::start(&["refuse=400 POST nth=3"]);
    let env = platform.sandbox();
    docs(&env.work(), 12);
    env.haul(["upload", "-r", "docs", "-j", "2", "--fail-fast", "--report", "r.jsonl"]).fails(1);
    let lines = report(&env.work().join("r.jsonl"));
    assert_eq!((count(&lines, "failed"), lines.len()), (1, 12), "{lines:?}");
    assert!(count(&lines, "not_started") >= 8, "{lines:?}");
    env.haul(["upload", "--retry-from", "r.jsonl"]).ok();
    let mut names = platform.names();
    names.dedup();
    assert_eq!((names.len(), platform.stored().len()), (12, 12));
}

#[test]
fn after_a_refused_token_a_retry_completes_the_work() {
    let platform = Platform::start(&["refuse=401 POST nth=3"]);
    let env = platform.sandbox();
    docs(&env.work(), 8);
    env.haul(["upload", "-r", "docs", "-j", "1", "--report", "r.jsonl"]).fails(4);
    let lines = report(&env.work().join("r.jsonl"));
    let counts = ["done", "failed", "not_started"].map(|outcome| count(&lines, outcome));
    assert_eq!(counts, [2, 1, 5], "{lines:?}");
    env.haul(["upload", "--retry-from", "r.jsonl"]).ok();
    assert_eq!(platform.stored().len(), 8);
}

#[test]
fn after_a_closed_pipe_a_retry_completes_the_work() {
    let platform = Platform::start(&[]);
    let env = platform.sandbox();
    docs(&env.work(), 40);
    env.shell("haul upload -r docs -j 1 --jsonl --report r.jsonl | head -1").ok();
    let lines = report(&env.work().join("r.jsonl"));
    assert_eq!((lines.len(), count(&lines, "failed")), (40, 0), "{lines:?}");
    env.haul(["upload", "--retry-from", "r.jsonl"]).ok();
    assert_eq!(platform.stored().len(), 40);
}

#[test]
fn a_retry_uploads_a_file_that_was_missing() {
    let env = Sandbox::new();
    env.write("a", "a");
    env.haul(["upload", "a", "nope", "--report", "r"]).fails(3);
    // Still missing: the second report names it, too.
    env.haul(["upload", "--retry-from", "r", "--report", "r2"]).fails(3);
    fs::create_dir(env.work().join("elsewhere")).unwrap();
    env.write("nope", "here now");
    let mut command = env.command();
    command.args(["upload", "--retry-from", "../r2"]).current_dir(env.work().join("elsewhere"));
    env.run(&mut command).ok();
    assert_eq!(env.haul(["ls", "--fields", "name"]).ok().lines(), ["nope", "a"]);
}

#[test]
fn a_retried_file_keeps_its_name_while_it_is_missing() {
    let platform = Platform::start(&["refuse=400 POST nth=2"]);
    let env = platform.sandbox();
    docs(&env.work(), 2);
    env.haul(["upload", "-r", "docs", "-j", "1", "--report", "r"]).fails(1);
    let path = env.work().join("docs/sub/1.txt");
    fs::rename(&path, env.work().join("kept")).unwrap();
    env.haul(["upload", "--retry-from", "r", "--report", "r2"]).fails(3);
    fs::rename(env.work().join("kept"), &path).unwrap();
    env.haul(["upload", "--retry-from", "r2"]).ok();
    assert_eq!(platform.names(), ["0.txt", "sub/1.txt"]);
}

#[test]
fn a_wait_for_a_rate_limit_is_announced() {
    let platform = Platform::start(&["429 GET **/v1/files times=1 retry-after=2"]);
    let run = platform.sandbox().haul(["ls"]).ok();
    assert!(run.stderr().starts_with("rate limited by xai, trying again in 2 s (2 of "), "{run}");
}
