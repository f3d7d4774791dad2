//! Signals: a command stops within a second, reports what was done and leaves no incomplete file.

use std::fs;
use std::io::{PipeWriter, Write as _, pipe};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::check;
use crate::platforms::remote;
use crate::support::process::Process;
use crate::support::sandbox::{HAUL, Sandbox};
use crate::support::terminal::{On, Terminal};

const SIGNALS: [(Signal, i32, &str); 3] = [
    (Signal::INT, 130, "interrupted"),
    (Signal::TERM, 143, "interrupted by SIGTERM"),
    (Signal::HUP, 129, "interrupted by SIGHUP"),
];

/// Waits for a condition. On timeout, panics with a message that contains `what`.
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
    let process = env.spawn(env.interruptible().args(["upload", "big.bin"]));
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
    // The next process removes what an interrupted one left.
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
    let process = env.spawn(env.interruptible().args(["get", "big.bin", "-o", "copy"]));
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

/// Adds the options for a platform that accepts requests and never responds.
fn silent_platform(command: &mut Command) -> TcpListener {
    let platform = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", platform.local_addr().unwrap());
    command.args(["-p", remote().name, "--base-url", &url]).env("HAUL_TOKEN", "a-token-of-tests");
    platform
}

#[test]
fn each_signal_has_its_exit_code_and_message() {
    let env = Sandbox::new();
    for (signal, status, message) in SIGNALS {
        let mut command = env.interruptible();
        command.args(["ls", "--json"]);
        let platform = silent_platform(&mut command);
        let process = env.spawn(&mut command);
        let _asked = platform.accept().unwrap();
        process.signal(signal);
        let run = process.end().fails(status);
        assert_eq!(run.stdout(), "[]\n", "{run}");
        let error: Value = serde_json::from_str(&run.stderr()).unwrap();
        let error = &error["error"];
        assert_eq!(
            (error["kind"].as_str(), error["exit_code"].as_i64()),
            (Some("interrupted"), Some(status.into()))
        );
        assert_eq!(error["message"], message);
    }
}

/// Signals that a program cannot handle, or that haul does not handle.
const FATAL: [(Signal, i32); 2] = [(Signal::KILL, 137), (Signal::QUIT, 131)];

/// Whether the process has an unnamed file of five bytes in the folder for temporary files.
fn has_spooled(env: &Sandbox, process: &Process) -> bool {
    let handles = fs::read_dir(format!("/proc/{}/fd", process.id())).into_iter().flatten();
    handles.flatten().any(|handle| {
        let target = fs::read_link(handle.path()).unwrap_or_default();
        target.parent() == Some(env.root())
            && target.to_string_lossy().ends_with(" (deleted)")
            && fs::metadata(handle.path()).is_ok_and(|found| found.len() == 5)
    })
}

/// The files in the folder for temporary files.
fn temporary_files(env: &Sandbox) -> usize {
    let entries = fs::read_dir(env.root()).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().unwrap().is_file()).count()
}

/// `haul upload - --name NAME` with a standard input that the returned pipe keeps open.
fn upload_of_a_pipe(env: &Sandbox, mut command: Command) -> (Process, PipeWriter) {
    let (input, mut pipe) = pipe().unwrap();
    command.args(["upload", "-", "--name", "x.bin"]).stdin(input);
    let process = env.spawn(&mut command);
    pipe.write_all(b"hello").unwrap();
    (process, pipe)
}

#[test]
fn a_signal_ends_the_wait_for_standard_input_and_leaves_no_temporary_file() {
    let handled = SIGNALS.map(|(signal, status, _)| (signal, status));
    for (signal, status) in handled.into_iter().chain(FATAL) {
        let env = Sandbox::new();
        let (process, _pipe) = upload_of_a_pipe(&env, env.interruptible());
        until("bytes in a temporary file", || has_spooled(&env, &process));
        process.signal(signal);
        let begun = Instant::now();
        let run = process.end().fails(status);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}\n{run}", begun.elapsed());
        assert_eq!(temporary_files(&env), 0);
    }
}

#[test]
fn a_signal_while_standard_input_is_sent_leaves_no_temporary_file() {
    let env = Sandbox::new();
    let handled = SIGNALS.map(|(signal, status, _)| (signal, status, "run the same command again"));
    for (signal, status, hint) in
        handled.into_iter().chain(FATAL.map(|(signal, status)| (signal, status, "")))
    {
        let mut command = env.interruptible();
        let platform = silent_platform(&mut command);
        let (process, pipe) = upload_of_a_pipe(&env, command);
        drop(pipe);
        let _asked = platform.accept().unwrap();
        assert!(has_spooled(&env, &process));
        process.signal(signal);
        process.end().fails(status).says(hint);
        assert_eq!(temporary_files(&env), 0);
    }
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let env = Sandbox::with_files(&["a.txt"]);
    for (signal, name) in [(Signal::INT, "INT"), (Signal::HUP, "HUP")] {
        let mut command = env.bash(&format!("trap '' {name}; exec {HAUL} upload - --name x.bin"));
        let (input, mut pipe) = pipe().unwrap();
        let process = env.spawn(command.stdin(input));
        pipe.write_all(b"hello").unwrap();
        until("bytes in a temporary file", || has_spooled(&env, &process));
        process.signal(signal);
        drop(pipe);
        process.end().ok();
    }
}

#[test]
fn ctrl_c_at_a_question_ends_at_once() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    let mut command = env.interruptible();
    command.args(["rm", "*.txt"]);
    let mut terminal = Terminal::start(&env, command, 80, On::All);
    terminal.sees(&["[y/N] "]);
    terminal.interrupt();
    let begun = Instant::now();
    let run = terminal.end().fails(130);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(run.stdout().contains("[y/N] \n") && run.stdout().contains("interrupted"), "{run}");
    assert_eq!(env.ids().len(), 2);
}
