//! Ctrl-C: stops within a second, reports what was done and leaves no incomplete file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::check;
use crate::support::sandbox::Sandbox;

/// Waits for a condition; the message of a timeout names it.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: never");
        std::thread::yield_now();
    }
}

#[test]
fn an_upload_stops_and_stores_nothing() {
    let env = Sandbox::new();
    fs::File::create(env.work().join("big.bin")).unwrap().set_len(64 << 30).unwrap();
    env.haul(["ls"]).ok();
    let incoming = env.store().join("incoming");
    let process = env.spawn(env.command().args(["upload", "big.bin"]));
    until("bytes in the store", || {
        fs::read_dir(&incoming)
            .unwrap()
            .any(|entry| entry.unwrap().metadata().is_ok_and(|found| found.len() > 0))
    });
    process.interrupt();
    let start = Instant::now();
    let run = process.end();
    // A second if the disk writes quickly; the limit allows for slow disks.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(run.status, 130);
    check!(run.stderr(), @"
    error: interrupted
      0 uploaded
    hint: run the same command again to continue
    ");
    assert!(env.ids().is_empty());
    // The next process clears what a killed one left.
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
}

#[test]
fn a_download_keeps_the_received_bytes() {
    let env = Sandbox::with_files(&["big.bin"]);
    // A sparse file of 8 GiB replaces the content, so that the download cannot finish before it is stopped.
    let blob = env.blob();
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::File::options().write(true).open(blob).unwrap().set_len(8 << 30).unwrap();
    let index = rusqlite::Connection::open(env.store().join("index.sqlite")).unwrap();
    index.execute("UPDATE files SET size = ?", [8_i64 << 30]).unwrap();
    let process = env.spawn(env.command().args(["get", "big.bin", "-o", "copy"]));
    let part = env.work().join("copy.part");
    until("bytes in the part", || fs::metadata(&part).is_ok_and(|found| found.len() > 0));
    process.interrupt();
    let run = process.end();
    assert_eq!(run.status, 130);
    check!(run.stderr(), @"
    error: interrupted
      0 downloaded
    hint: run the same command again to continue
    ");
    assert_eq!(env.files(), ["big.bin", "copy.part", "copy.part.json"]);
}
