//! Ctrl-C: stops within a second, says what was done, leaves nothing half-written.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::check;
use crate::support::TestEnv;

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// Waits until it is so; a test that waits for ever says where.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: never");
        std::thread::yield_now();
    }
}

#[test]
fn an_upload_stops_and_stores_nothing() {
    let env = TestEnv::new();
    fs::File::create(env.work().join("big.bin")).unwrap().set_len(64 << 30).unwrap();
    env.haul(["ls"]).ok();
    let incoming = env.store().join("incoming");
    let mut command = env.command();
    command.args(["upload", "big.bin"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    until("bytes in the store", || {
        fs::read_dir(&incoming)
            .unwrap()
            .any(|entry| entry.unwrap().metadata().is_ok_and(|found| found.len() > 0))
    });
    interrupt(&child);
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(output.status.code(), Some(130));
    check!(String::from_utf8(output.stderr).unwrap(), @"
    error: interrupted
    caused by: 0 uploaded
    hint: run the same command again to go on
    ");
    assert!(env.ids().is_empty());
    // What a killed process leaves is cleared by whoever comes next.
    assert_eq!(fs::read_dir(&incoming).unwrap().count(), 0);
}

#[test]
fn a_download_keeps_its_part_and_goes_on() {
    let env = TestEnv::new();
    let size: u64 = 1 << 30;
    fs::File::create(env.work().join("big.bin")).unwrap().set_len(size).unwrap();
    env.haul(["upload", "big.bin", "--no-verify"]).ok();
    // The reader takes a little and then waits, so the download cannot end.
    let mut command = env.command();
    command.args(["get", "big.bin", "-o", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 4096]).unwrap();
    interrupt(&child);
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(130 | 0)), "{output:?}");
}
