//! `haul sync` on every platform: requests counted at the server, and runs that are stopped and repeated.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use haul::model::Clock;
use haul::providers::Download;
use rustix::process::Signal;
use serde_json::Value;

use super::{machine, machine_to_stop, remote_cases, seeded, stored};
use crate::in_parallel;
use crate::platforms::some;
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig, TOKEN};
use crate::support::sandbox::{Run, Sandbox};

const FILES: usize = 12;

fn write(env: &Sandbox, number: usize, content: &str) {
    fs::create_dir_all(env.work().join("docs")).unwrap();
    env.write(format!("docs/{number:02}.txt"), content);
}

fn project(env: &Sandbox) {
    for number in 0..FILES {
        write(env, number, &format!("content {number}"));
    }
}

fn sync(env: &Sandbox, case: &Case, more: &[&str]) -> Run {
    let profile = format!("{}:", case.provider);
    env.haul([&["sync", "docs", &profile, "--json", "--compare", "download"], more].concat())
}

/// Counts the actions of a run.
fn count(run: &Run, action: &str) -> usize {
    run.json().iter().filter(|row| row["action"] == action).count()
}

/// The uploads and deletions that the platform has received since the last call.
fn changes(served: &Emulator) -> usize {
    let is_change = |line: &&Value| line["method"] != "GET" && line["method"] != "HEAD";
    let is_listing = |line: &&Value| line["path"].as_str().unwrap().ends_with("/query");
    served.log().iter().filter(|line| is_change(line) && !is_listing(line)).count()
}

/// The ids in the lock file.
fn ids(env: &Sandbox, case: &Case) -> BTreeSet<String> {
    let lock: Value = serde_json::from_slice(&env.read("haul.lock")).unwrap();
    let files = lock["targets"][case.provider]["files"].as_object().unwrap();
    files.values().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn stored_ids(case: &Case, served: &Arc<Emulator>) -> BTreeSet<String> {
    stored(case, served).into_iter().map(|file| file.id.0).collect()
}

/// Removes the lock file and the ledger.
fn forget(env: &Sandbox) {
    fs::remove_file(env.work().join("haul.lock")).unwrap();
    fs::remove_dir_all(env.home().join("state")).unwrap();
}

/// Whether files can be compared without a lock file and a ledger.
fn is_comparable(case: &Case) -> bool {
    let can = case.can();
    !can.checksums.is_empty() || can.upload.mark || can.download == Download::Any
}

#[test]
fn only_changes_are_sent() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        project(&env);
        let run = sync(&env, &case, &[]).ok();
        assert_eq!(
            (count(&run, "uploaded"), stored(&case, &served).len()),
            (FILES, FILES),
            "{}: {run}",
            case.name()
        );
        assert_eq!(ids(&env, &case), stored_ids(&case, &served), "{}", case.name());
        changes(&served);
        let run = sync(&env, &case, &[]).ok();
        assert_eq!((count(&run, "unchanged"), changes(&served)), (FILES, 0), "{}: {run}", case.name());
        let before = ids(&env, &case);
        // The size stays the same.
        write(&env, 3, "CONTENT 3");
        let run = sync(&env, &case, &[]);
        if case.can().delete {
            assert_eq!((run.status, count(&run, "replaced")), (0, 1), "{}: {run}", case.name());
            assert_eq!(ids(&env, &case).difference(&before).count(), 1, "{}", case.name());
        } else {
            assert_eq!((run.status, changes(&served)), (5, 0), "{}: {run}", case.name());
        }
        assert_eq!(ids(&env, &case), stored_ids(&case, &served), "{}: {run}", case.name());
        // From another machine, with the lock file only.
        let other = machine(&case, &served, &served.root);
        project(&other);
        write(&other, 3, if case.can().delete { "CONTENT 3" } else { "content 3" });
        fs::copy(env.work().join("haul.lock"), other.work().join("haul.lock")).unwrap();
        changes(&served);
        let run = sync(&other, &case, &[]).ok();
        assert_eq!((count(&run, "unchanged"), changes(&served)), (FILES, 0), "{}: {run}", case.name());
        // Without the lock file and the ledger.
        let third = machine(&case, &served, &served.root);
        project(&third);
        write(&third, 3, if case.can().delete { "CONTENT 3" } else { "content 3" });
        let run = sync(&third, &case, &[]);
        let expected = if is_comparable(&case) { (0, FILES) } else { (5, 0) };
        assert_eq!((run.status, count(&run, "adopted")), expected, "{}: {run}", case.name());
        assert_eq!(stored(&case, &served).len(), FILES, "{}: {run}", case.name());
    }
}

#[test]
fn adopted_files_are_kept_without_take_over() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        for number in 0..4 {
            write(&env, number, &format!("content {number}"));
        }
        sync(&env, &case, &[]).ok();
        forget(&env);
        changes(&served);
        let by_size = |more: &[&str]| sync(&env, &case, &[&["--compare", "size"], more].concat());
        let run = by_size(&[]);
        if run.status == 5 {
            // The listing shows neither sizes nor content.
            assert_eq!((count(&run, "adopted"), changes(&served)), (0, 0), "{}: {run}", case.name());
            assert!(
                !is_comparable(&case) && run.stderr().contains("--on-conflict upload"),
                "{}: {run}",
                case.name()
            );
            let run = by_size(&["--on-conflict", "upload"]).ok();
            assert_eq!(
                (count(&run, "uploaded"), stored(&case, &served).len()),
                (4, 8),
                "{}: {run}",
                case.name()
            );
            continue;
        }
        assert_eq!(
            (run.status, count(&run, "adopted"), changes(&served)),
            (0, 4, 0),
            "{}: {run}",
            case.name()
        );
        let adopted = ids(&env, &case);
        write(&env, 0, "CONTENT 0");
        fs::remove_file(env.work().join("docs/01.txt")).unwrap();
        let run = by_size(&["--delete"]).ok();
        assert_eq!((count(&run, "uploaded"), count(&run, "kept")), (1, 1), "{}: {run}", case.name());
        assert!(adopted.is_subset(&stored_ids(&case, &served)), "{}: {run}", case.name());
        write(&env, 2, "CONTENT 2");
        fs::remove_file(env.work().join("docs/03.txt")).unwrap();
        let before = stored_ids(&case, &served);
        let run = by_size(&["--delete", "--take-over"]);
        let after = stored_ids(&case, &served);
        if case.can().delete {
            assert_eq!(
                (run.status, count(&run, "replaced"), count(&run, "deleted")),
                (0, 1, 1),
                "{}: {run}",
                case.name()
            );
            assert_eq!(
                (before.difference(&after).count(), after.difference(&before).count()),
                (2, 1),
                "{}: {run}",
                case.name()
            );
        } else {
            assert_eq!((run.status, after), (5, before), "{}: {run}", case.name());
        }
    }
}

#[test]
fn a_row_that_disagrees_with_the_platform_is_a_conflict() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        write(&env, 0, "content");
        sync(&env, &case, &[]).ok();
        // The content on the platform differs from the lock file, or the platform returns no checksum.
        let lock = String::from_utf8(env.read("haul.lock")).unwrap();
        env.write("haul.lock", lock.replace("\"size\":7", "\"size\":8"));
        write(&env, 0, "content ");
        changes(&served);
        let run = sync(&env, &case, &[]);
        if run.status == 0 {
            assert!(!case.facts().lists_sizes_and_times, "{}: {run}", case.name());
            continue;
        }
        assert_eq!((run.status, changes(&served)), (5, 0), "{}: {run}", case.name());
        let run = sync(&env, &case, &["--on-conflict", "upload"]).ok();
        assert_eq!((count(&run, "uploaded"), stored(&case, &served).len()), (1, 2), "{}: {run}", case.name());
    }
}

#[test]
fn many_deletions_need_confirmation_and_two_runs_send_each_file_once() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        project(&env);
        let profile = format!("{}:", case.provider);
        let runs = [(); 2].map(|()| env.spawn(env.command().args(["sync", "docs", &profile, "-q"])));
        for run in runs {
            run.end().ok();
        }
        assert_eq!(stored(&case, &served).len(), FILES, "{}", case.name());
        for number in 1..FILES {
            fs::remove_file(env.work().join(format!("docs/{number:02}.txt"))).unwrap();
        }
        changes(&served);
        let run = sync(&env, &case, &["--delete"]).fails(2).says("11 of the 12 local files");
        assert_eq!(changes(&served), 0, "{}: {run}", case.name());
        let run = sync(&env, &case, &["--delete", "--yes"]);
        let (status, left) = if case.can().delete { (0, 1) } else { (5, FILES) };
        assert_eq!((run.status, stored(&case, &served).len()), (status, left), "{}: {run}", case.name());
    }
}

/// Makes a command's finished uploads look unfinished, or finished but not recorded in the lock file.
fn interrupt(env: &Sandbox, is_finished: bool) {
    let lock = env.work().join("haul.lock");
    let command = blake3::hash(format!("sync {}", lock.display()).as_bytes()).to_hex()[..16].to_owned();
    let ledger = rusqlite::Connection::open(env.home().join("state/ledger.db")).unwrap();
    let state = if is_finished { "command = ?" } else { "command = ?, state = 'begun', id = NULL" };
    ledger.execute(&format!("UPDATE uploads SET {state}"), [command]).unwrap();
    fs::remove_file(lock).unwrap();
}

#[test]
fn a_file_that_is_edited_after_a_kill_leaves_no_orphan() {
    for case in some(remote_cases()) {
        for is_finished in [false, true] {
            let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
            let foreign = Rig::on(case, Arc::clone(&served)).put("foreign.txt", "of others");
            let env = machine(&case, &served, &served.root);
            for number in 0..3 {
                write(&env, number, &format!("content {number}"));
            }
            sync(&env, &case, &[]).ok();
            let [unchanged, edited, removed] = ["00", "01", "02"].map(|number| {
                let lock: Value = serde_json::from_slice(&env.read("haul.lock")).unwrap();
                let row = &lock["targets"][case.provider]["files"][format!("docs/{number}.txt")];
                row["id"].as_str().unwrap().to_owned()
            });
            interrupt(&env, is_finished);
            write(&env, 1, "CONTENT 1 is edited");
            fs::remove_file(env.work().join("docs/02.txt")).unwrap();
            let run = sync(&env, &case, &[]).ok();
            let stored = stored_ids(&case, &served);
            let rows = ids(&env, &case);
            assert!(rows.is_subset(&stored) && rows.len() == 2, "{} {is_finished}: {run}", case.name());
            assert!(
                stored.contains(&foreign.id.0) && rows.contains(&unchanged),
                "{} {is_finished}: {run}",
                case.name()
            );
            // Only a mark or a creation time shows that a file is not an older one.
            if case.can().delete && (case.can().upload.mark || case.can().list.stated.contains(&"created_at"))
            {
                assert!(
                    !stored.contains(&edited) && !stored.contains(&removed),
                    "{} {is_finished}: {run}",
                    case.name()
                );
                assert_eq!(stored.len(), 3, "{} {is_finished}: {run}", case.name());
            }
        }
    }
}

#[test]
fn a_renamed_file_keeps_a_file_that_the_next_run_may_delete() {
    for case in some(remote_cases().filter(|case| case.can().delete)) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        for number in 0..3 {
            write(&env, number, &format!("content {number}"));
        }
        sync(&env, &case, &[]).ok();
        // Two files exchange their names, and one is renamed.
        let path = |name: &str| env.work().join("docs").join(name);
        for (from, to) in [("00.txt", "x"), ("01.txt", "00.txt"), ("x", "01.txt"), ("02.txt", "03.txt")] {
            fs::rename(path(from), path(to)).unwrap();
        }
        let run = sync(&env, &case, &["--delete"]).ok();
        assert_eq!(ids(&env, &case), stored_ids(&case, &served), "{}: {run}", case.name());
        fs::remove_file(path("03.txt")).unwrap();
        let run = sync(&env, &case, &["--delete"]).ok();
        assert_eq!((count(&run, "deleted"), count(&run, "unchanged")), (1, 2), "{}: {run}", case.name());
        assert_eq!(stored(&case, &served).len(), 2, "{}: {run}", case.name());
    }
}

#[test]
fn a_deletion_keeps_a_replaced_file_that_another_path_has() {
    for case in some(remote_cases().filter(|case| case.can().delete)) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        write(&env, 0, "content 0");
        write(&env, 1, "content 1");
        sync(&env, &case, &[]).ok();
        // As if a run had failed to delete the file that it replaced for `00.txt`, and `01.txt` now uses that file.
        let mut lock: Value = serde_json::from_slice(&env.read("haul.lock")).unwrap();
        let files = &mut lock["targets"][case.provider]["files"];
        files["docs/00.txt"]["replaces"] = files["docs/01.txt"]["id"].clone();
        let other = files["docs/01.txt"]["id"].as_str().unwrap().to_owned();
        env.write("haul.lock", lock.to_string());
        fs::remove_file(env.work().join("docs/00.txt")).unwrap();
        let run = sync(&env, &case, &["--delete"]).ok();
        assert_eq!(count(&run, "deleted"), 1, "{}: {run}", case.name());
        assert_eq!(stored_ids(&case, &served), BTreeSet::from([other]), "{}: {run}", case.name());
    }
}

#[test]
fn a_file_is_renewed_before_it_expires() {
    for case in
        some(remote_cases().filter(|case| case.can().upload.lifetime.is_some() || case.provider == "gemini"))
    {
        let start = "2026-11-01T00:00:00Z".parse().unwrap();
        let served = Emulator::start(&case.setup(Clock(Some(start))));
        let mut env = machine(&case, &served, &served.root);
        env.set("HAUL_NOW", "2026-11-01T00:00:00Z");
        write(&env, 0, "content");
        let lifetime = case.can().upload.lifetime.is_some();
        let options: &[&str] =
            if lifetime { &["--expires", "48h", "--renew", "24h"] } else { &["--renew", "24h"] };
        let served = Arc::new(served);
        sync(&env, &case, options).ok();
        let first = ids(&env, &case);
        let served = Arc::into_inner(served).unwrap();
        let before = served.root.clone();
        // 14 of 48 hours are left.
        env.set("HAUL_NOW", "2026-11-02T10:00:00Z");
        let later = "2026-11-02T10:00:00Z".parse().unwrap();
        let served = Arc::new(served.again(&case.setup(Clock(Some(later)))));
        let lock = String::from_utf8(env.read("haul.lock")).unwrap();
        env.write("haul.lock", lock.replace(&before, &served.root));
        env.use_platform(&case, &served.base(case.provider), TOKEN);
        let run = sync(&env, &case, options);
        assert_eq!(run.status, 0, "{}: {run}", case.name());
        let second = ids(&env, &case);
        assert!(count(&run, "renewed") == 1 && first != second, "{}: {run}", case.name());
        assert_eq!(second, stored_ids(&case, &served), "{}: {run}", case.name());
    }
}

/// Syncs changes, stopping the command `stops` times.
fn check(case: Case, stops: usize, seed: u64) {
    let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
    let foreign = Rig::on(case, Arc::clone(&served)).put("foreign.txt", "of others");
    let env = machine_to_stop(&case, &served);
    let mut random = fastrand::Rng::with_seed(seed);
    project(&env);
    let profile = format!("{}:", case.provider);
    let stop_and_repeat = |random: &mut fastrand::Rng| {
        for stop in 0.. {
            let command = ["sync", "docs", &profile, "-q", "-j", "4", "--delete", "--compare", "download"];
            let process = env.spawn(env.command().args(command));
            if stop < stops {
                std::thread::sleep(Duration::from_millis(random.u64(20..300)));
                process.signal([Signal::INT, Signal::TERM, Signal::KILL][random.usize(0..3)]);
            }
            let run = process.end();
            if run.status == 0 {
                break;
            }
            let is_stopped = matches!(run.status, 130 | 143) || run.is_killed();
            assert!(is_stopped, "{} seed {seed}: {run}", case.name());
        }
        let mut expected = ids(&env, &case);
        assert_eq!(expected.len(), FILES, "{} seed {seed}", case.name());
        expected.insert(foreign.id.0.clone());
        assert_eq!(stored_ids(&case, &served), expected, "{} seed {seed}", case.name());
    };
    stop_and_repeat(&mut random);
    if case.can().delete {
        for number in 0..FILES / 2 {
            write(&env, number, &format!("changed {number}"));
        }
        fs::rename(env.work().join("docs/07.txt"), env.work().join("docs/new.txt")).unwrap();
        stop_and_repeat(&mut random);
    }
    let run = sync(&env, &case, &[]).ok();
    assert_eq!(count(&run, "unchanged"), FILES, "{} seed {seed}: {run}", case.name());
}

#[test]
fn a_sync_survives_signals() {
    for (seed, case) in (1..).zip(some(remote_cases())) {
        check(case, 3, seed);
    }
}

#[test]
#[ignore = "heavy: 10 signals in every dialect"]
fn a_sync_survives_many_signals() {
    in_parallel(4, &seeded(2), |&(case, seed)| check(case, 5, seed));
}
