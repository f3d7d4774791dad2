//! Uploads that are stopped by signals at random moments and run again until they succeed.

use std::sync::Arc;
use std::time::Duration;

use haul::model::Clock;
use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::{machine_to_stop, names, remote_cases, seeded, stored, tally};
use crate::in_parallel;
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig};

const FILES: usize = 40;

/// Uploads a folder, stopping the upload `stops` times. An older file with one of the names exists.
fn check(case: Case, stops: usize, seed: u64) {
    let hour_ago = Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    let served = Arc::new(Emulator::start(&case.setup(Clock(Some(hour_ago)))));
    let rig = Rig::on(case, Arc::clone(&served));
    let older = rig.put("07.txt", "older content");
    drop(rig);
    let served = Arc::into_inner(served).unwrap();
    let served = Arc::new(served.again(&case.setup(Clock(None))));
    let env = machine_to_stop(&case, &served);
    for number in 0..FILES {
        env.write(format!("docs/{number:02}.txt"), format!("content {number}").repeat(1 + number * 50));
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stopped = 0;
    loop {
        let process = env.spawn(env.command().args(["upload", "-r", "docs", "--flat", "-q", "-j", "4"]));
        if stopped < stops {
            std::thread::sleep(Duration::from_millis(random.u64(20..400)));
            let signal = [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL][random.usize(0..4)];
            process.signal(signal);
            stopped += 1;
        }
        let run = process.end();
        // A command that printed all rows is complete, even if a signal stopped it; another run would start over.
        if run.status == 0 || run.lines().len() == FILES {
            break;
        }
        assert!(matches!(run.status, 129 | 130 | 143) || run.is_killed(), "{}: {run}", case.name());
    }
    let files = stored(&case, &served);
    let expected: Vec<String> = (0..FILES).map(|number| format!("{number:02}.txt")).collect();
    let new: Vec<_> = files.iter().filter(|file| file.id != older.id).cloned().collect();
    assert_eq!(names(&new), expected, "{} after {stopped} stops, seed {seed}", case.name());
    assert_eq!(files.len(), FILES + 1, "{}: the older file stays", case.name());
    tally(
        &case,
        &format!("{FILES} files, {stopped} signals"),
        &format!("{} new files, 1 older", files.len() - 1),
    );
    let rig = Rig::on(case, Arc::clone(&served));
    for (number, name) in expected.iter().enumerate().step_by(7) {
        let file = new.iter().find(|file| file.name == *name).unwrap();
        if rig.can().download == haul::providers::Download::Any {
            let content = rig.run(rig.provider.download(&file.id, None)).unwrap();
            let expected = format!("content {number}").repeat(1 + number * 50);
            assert!(rig.bytes(content) == expected.as_bytes(), "{}: {name}", case.name());
        }
    }
}

#[test]
fn an_upload_survives_signals() {
    for (seed, case) in (1..).zip(remote_cases()) {
        check(case, 2, seed);
    }
}

#[test]
#[ignore = "heavy: 20 signals in every dialect"]
fn an_upload_survives_many_signals() {
    in_parallel(4, &seeded(5), |&(case, seed)| check(case, 4, seed));
}
