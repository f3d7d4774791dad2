//! Commands that run at the same time and share no state directory.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use haul::model::Clock;

use super::proxy::forwarding;
use super::{machine, remote_cases, stored, tally};
use crate::in_parallel;
use crate::support::emulator::Emulator;
use crate::support::process::Process;
use crate::support::rig::Case;
use crate::support::sandbox::{Run, Sandbox};

const CONTENT: &str = "content that the proxy recognizes";
const PROCESSES: usize = 4;

/// Each process sends its file before any of them receives a response, so that none can find the file of another.
#[test]
fn copies_of_simultaneous_commands_are_named() {
    let cases: Vec<Case> = remote_cases().collect();
    in_parallel(3, &cases, check);
}

fn check(case: &Case) {
    // A command with several files looks for copies at its end.
    for several in [false, true] {
        check_command(case, several);
    }
}

fn check_command(case: &Case, several: bool) {
    let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
    let waiting = (Mutex::new(0), Condvar::new());
    let proxy = forwarding(served.address, CONTENT, move || {
        let (count, all) = &waiting;
        let mut count = count.lock().unwrap();
        *count += 1;
        all.notify_all();
        // If the platform lists a file before its content arrives, a later process finds it and sends nothing.
        drop(all.wait_timeout_while(count, Duration::from_secs(5), |count| *count < PROCESSES).unwrap());
    });
    let machines: [_; PROCESSES] =
        std::array::from_fn(|number| (machine(case, &served, &proxy.origin()), format!("{number}.txt")));
    let processes = machines.each_ref().map(|(env, other)| {
        env.write("a.txt", CONTENT);
        env.write(other, "other content");
        let other = several.then_some(other);
        env.spawn(env.command().args(["upload", "--if-exists", "skip", "--json", "a.txt"]).args(other))
    });
    let runs = processes.map(|process| process.end().ok());
    let mut files = stored(case, &served);
    files.retain(|file| file.name == "a.txt");
    let ids: Vec<String> = files.into_iter().map(|file| file.id.0).collect();
    assert!(!ids.is_empty(), "{}", case.name());
    let names_both = |run: &Run| {
        let rows = run.json();
        let own = rows.iter().find(|row| row["name"] == "a.txt").unwrap()["id"].as_str().unwrap();
        let said = run.stderr();
        let own_note =
            format!("uploaded as {own}; another command uploaded a file with this name at the same time: ");
        ids.iter().any(|id| said.contains(&format!("{own_note}{id}")) && *id != own)
    };
    // The last process to upload sees the files of all the others.
    assert_eq!(runs.iter().any(names_both), ids.len() > 1, "{}: {ids:?}\n{runs:?}", case.name());
    let noted = if ids.len() > 1 { ", a note names both ids" } else { "" };
    tally(
        case,
        &format!("{PROCESSES} processes with separate ledgers, `skip`{}", if several { " of 2" } else { "" }),
        &format!("{} files{noted}", ids.len()),
    );
}

#[test]
fn a_store_gets_one_copy_from_simultaneous_commands() {
    for mode in ["skip", "update", "replace"] {
        let env = Sandbox::new().with_real_clock().with_var("HAUL_LEDGER", "off");
        env.write("a.txt", CONTENT);
        let upload = || env.spawn(env.command().args(["upload", "a.txt", "--if-exists", mode, "--ids"]));
        let runs = [(); PROCESSES + 2].map(|()| upload()).map(|process| process.end().ok());
        assert_eq!(env.ids().len(), 1, "{mode}: {runs:?}");
        assert!(runs.iter().all(|run| run.stdout() == runs[0].stdout()), "{mode}: {runs:?}");
    }
    let env = Sandbox::new().with_real_clock().with_var("HAUL_LEDGER", "off");
    env.write("a.txt", CONTENT);
    let upload = || env.spawn(env.command().args(["upload", "a.txt", "--if-exists", "fail"]));
    let runs = [(); PROCESSES].map(|()| upload()).map(Process::end);
    assert_eq!(runs.iter().filter(|run| run.status == 0).count(), 1, "{runs:?}");
    assert_eq!(env.ids().len(), 1);
}
