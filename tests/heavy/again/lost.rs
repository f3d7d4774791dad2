//! Uploads whose response is lost: they leave one new file, and keep an older file with the same name.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use haul::model::{Clock, NewFile};
use haul::providers::Duplicates;
use jiff::{SignedDuration, Timestamp};

use super::proxy::{Fault, start};
use super::{machine, remote_cases, stored, tally};
use crate::in_parallel;
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig};

/// The content of the new file.
const CONTENT: &str = "content that the proxy recognizes";

/// The file with the same name that exists before the upload.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Older {
    None,
    Equal,
    Different,
}

const OLDER: [Older; 3] = [Older::None, Older::Equal, Older::Different];
const MINUTES: SignedDuration = SignedDuration::from_mins(5);

const fn fault(status: Option<u16>) -> Fault {
    Fault { status, ahead: SignedDuration::ZERO, is_dated: true, lag: Duration::ZERO }
}

/// Uploads once and returns a description of the failure.
fn check(case: Case, fault: Fault, older: Older) -> Option<String> {
    let hour_ago = Timestamp::now().checked_sub(SignedDuration::from_hours(1)).unwrap();
    let served = Emulator::start(&case.setup(Clock(Some(hour_ago))));
    let before = match older {
        Older::None => None,
        Older::Equal => Some(CONTENT.to_owned()),
        Older::Different => Some(CONTENT.to_uppercase()),
    };
    let served = if let Some(content) = before {
        let served = Arc::new(served);
        let rig = Rig::on(case, Arc::clone(&served));
        let purpose = rig.can().upload.default_purpose.map(str::to_owned);
        rig.upload(&NewFile { purpose, ..NewFile::from_bytes("doc.txt", content) }).unwrap();
        drop(rig);
        Arc::into_inner(served).unwrap()
    } else {
        served
    };
    let ahead = fault.ahead;
    let shifted = Timestamp::now().checked_add(ahead).unwrap();
    let clock = if ahead.is_zero() { Clock(None) } else { Clock(Some(shifted)) };
    let served = Arc::new(served.again(&case.setup(clock)));
    let old: Vec<_> = stored(&case, &served).into_iter().map(|file| file.id).collect();
    let proxy = start(served.address, CONTENT, fault);
    let mut env = machine(&case, &served, &proxy.origin());
    if !fault.lag.is_zero() {
        // The file appears later than the sandbox's default permits.
        env.set("HAUL_APPEARS_WITHIN", "5s");
    }
    env.write("doc.txt", CONTENT);
    let run = env.haul(["upload", "doc.txt", "--ids"]);
    let after: Vec<_> = stored(&case, &served).into_iter().map(|file| file.id).collect();
    let mut new: Vec<_> = after.iter().filter(|id| !old.contains(id)).collect();
    let kept = old.iter().all(|id| after.contains(id));
    if older == Older::Equal && new.is_empty() && case.can().duplicates == Duplicates::Never {
        // Equal content is stored once.
        new.extend(&old);
    }
    let printed = new.first().is_some_and(|id| run.stdout().trim() == id.as_str());
    (run.status != 0 || new.len() != 1 || !kept || !printed).then(|| {
        format!("{} {fault:?} {older:?}: {} new files, older kept: {kept}\n{run}", case.name(), new.len())
    })
}

fn check_all(combinations: impl Iterator<Item = (Case, Fault, Older)>) {
    let all: Vec<_> = combinations.collect();
    let failed = Mutex::new(Vec::new());
    // Most of the time is spent waiting for late listings.
    in_parallel(10, &all, |(case, fault, older)| {
        failed.lock().unwrap().extend(check(*case, *fault, *older));
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), all.len(), failed.join("\n"));
    for case in remote_cases() {
        let count = all.iter().filter(|(of, ..)| of.name() == case.name()).count();
        tally(&case, &format!("{count} lost responses"), "1 new file each, older ones stay");
    }
}

/// Runs every dialect once, each with a different status and a different older file.
#[test]
fn a_lost_answer_leaves_one_new_file() {
    let statuses = [Some(520), Some(522), Some(524), Some(529), None];
    check_all(
        remote_cases()
            .enumerate()
            .map(move |(at, case)| (case, fault(statuses[at % statuses.len()]), OLDER[at % OLDER.len()])),
    );
}

/// Without a `Date`, only the ids and the contents show which files are new.
#[test]
fn a_lost_answer_of_a_platform_with_an_unknown_clock_leaves_one_new_file() {
    let late = Fault { ahead: -MINUTES, is_dated: false, ..fault(Some(502)) };
    check_all(remote_cases().enumerate().map(move |(at, case)| (case, late, OLDER[at % OLDER.len()])));
}

#[test]
#[ignore = "heavy: every status, clock and older file in every dialect"]
fn every_lost_answer_leaves_one_new_file() {
    let own = [Some(520), Some(522), Some(524), Some(529), None].map(fault);
    let clocks = [
        (SignedDuration::ZERO, false),
        (MINUTES, true),
        (-MINUTES, true),
        (MINUTES, false),
        (-MINUTES, false),
    ]
    .map(|(ahead, is_dated)| Fault { ahead, is_dated, ..fault(Some(524)) });
    let late = Fault { lag: Duration::from_secs(3), ..fault(Some(520)) };
    let faults: Vec<Fault> = own.into_iter().chain(clocks).chain([late]).collect();
    check_all(remote_cases().flat_map(move |case| {
        faults.clone().into_iter().flat_map(move |fault| OLDER.map(|older| (case, fault, older)))
    }));
}
