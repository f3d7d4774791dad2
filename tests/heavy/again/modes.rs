//! `--if-exists skip` and `update` from fresh machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use haul::model::{Clock, FileId};
use haul::providers::{Download, Native};

use super::{machine, names, remote_cases, stored, tally};
use crate::platforms::some;
use crate::support::emulator::Emulator;
use crate::support::rig::{Case, Rig};
use crate::support::sandbox::{Run, Sandbox};

const DOCS: [(&str, &str); 3] = [("a.txt", "alpha"), ("b.txt", "beta!"), ("c.txt", "gamma")];

fn write(env: &Sandbox, docs: &[(&str, &str)]) {
    fs::create_dir_all(env.work().join("docs")).unwrap();
    for (name, content) in docs {
        env.write(format!("docs/{name}"), content);
    }
}

/// Uploads the folder from a machine without a ledger.
fn upload(case: &Case, served: &Arc<Emulator>, docs: &[(&str, &str)], options: &[&str]) -> Run {
    let env = machine(case, served, &served.root);
    write(&env, docs);
    env.haul([&["upload", "-r", "docs", "--flat", "--json"][..], options].concat())
}

/// Whether contents can be compared without a public link.
fn compares(case: &Case) -> bool {
    let can = case.can();
    let downloads = can.download == Download::Any && !can.link.is_some_and(|link| link.for_downloads);
    !can.checksums.is_empty() || can.upload.mark || downloads
}

fn conflicts(run: &Run) -> usize {
    run.errors().iter().filter(|line| line["error"]["kind"] == "conflict").count()
}

#[test]
fn skip_from_fresh_machines_leaves_one_copy() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let skip = |docs: &[(&str, &str)]| upload(&case, &served, docs, &["--if-exists", "skip"]);
        skip(&DOCS).ok();
        for _ in 0..2 {
            let run = skip(&DOCS);
            if compares(&case) {
                assert_eq!(run.status, 0, "{}: {run}", case.name());
                assert!(run.json().iter().all(|row| row["evidence"].is_string()), "{}: {run}", case.name());
            } else {
                assert_eq!((run.status, conflicts(&run)), (5, 3), "{}: {run}", case.name());
            }
            assert_eq!(names(&stored(&case, &served)), ["a.txt", "b.txt", "c.txt"], "{}", case.name());
        }
        let how = if compares(&case) { "compared" } else { "exit 5, 3 conflicts" };
        tally(&case, "3 files, `skip`, 3 fresh machines", &format!("3 files, {how}"));
        if compares(&case) && case.can().checksums.is_empty() && !case.can().upload.mark {
            let env = machine(&case, &served, &served.root);
            write(&env, &DOCS);
            let run = env.haul(["upload", "-r", "docs", "--flat", "--if-exists", "skip"]).ok();
            let end = "compared 3 files by downloading 15 B\n3 unchanged\n";
            assert!(run.stderr().ends_with(end), "{}: {run}", case.name());
        }
        // The size stays the same.
        let run = skip(&[("a.txt", "ALPHA"), DOCS[1], DOCS[2]]);
        let expected = if compares(&case) { (0, 4) } else { (5, 3) };
        assert_eq!((run.status, stored(&case, &served).len()), expected, "{}: {run}", case.name());
        tally(
            &case,
            "`skip` after a change of equal size",
            &format!("{} files, exit {}", expected.1, expected.0),
        );
    }
}

/// A platform that filters by name is asked for each name instead.
#[test]
fn a_folder_takes_one_listing() {
    for case in some(remote_cases()) {
        let is_name = |native: &&Native| native.field == "name";
        if case.can().list.native.iter().any(|native| is_name(&native)) {
            continue;
        }
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        upload(&case, &served, &DOCS, &[]).ok();
        served.requests();
        machine(&case, &served, &served.root).haul(["ls"]).ok();
        let listing = served.requests();
        upload(&case, &served, &DOCS, &["--if-exists", "skip", "--compare", "size"]);
        let listed = served.requests().into_iter().filter(|line| listing.contains(line)).count();
        assert_eq!(listed, listing.len(), "{}", case.name());
    }
}

#[test]
fn update_replaces_only_what_has_changed() {
    for case in some(remote_cases()) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        // Where a download needs a public link, it has to be requested.
        let compare = if compares(&case) { "auto" } else { "download" };
        let update = |docs: &[(&str, &str)]| {
            upload(&case, &served, docs, &["--if-exists", "update", "--compare", compare])
        };
        let run = update(&DOCS);
        let can = case.can();
        if !can.delete && !can.replace {
            assert_eq!((run.status, stored(&case, &served).len()), (5, 0), "{}: {run}", case.name());
            tally(&case, "`update`, 1 of 3 changed", "exit 5, nothing sent");
            continue;
        }
        let ids = |files: Vec<haul::model::File>| -> BTreeMap<String, FileId> {
            files.into_iter().map(|file| (file.name, file.id)).collect()
        };
        let first = ids(stored(&case, &served));
        let comparable = compares(&case) || can.download == Download::Any;
        let run = update(&[("a.txt", "ALPHA"), DOCS[1], DOCS[2]]);
        let files = stored(&case, &served);
        assert_eq!(names(&files), ["a.txt", "b.txt", "c.txt"], "{}: {run}", case.name());
        assert_eq!(run.status, if comparable { 0 } else { 5 }, "{}: {run}", case.name());
        let second = ids(files);
        assert!(
            ["b.txt", "c.txt"].iter().all(|name| first[*name] == second[*name]),
            "{}: {run}",
            case.name()
        );
        tally(
            &case,
            "`update`, 1 of 3 changed",
            &format!("3 files, 2 with their ids, exit {}", if comparable { 0 } else { 5 }),
        );
        let rig = Rig::on(case, Arc::clone(&served));
        if comparable && can.download == Download::Any {
            let content = rig.run(rig.provider.download(&second["a.txt"], None)).unwrap();
            let link = content.release.clone();
            assert_eq!(rig.bytes(content), b"ALPHA", "{}", case.name());
            if let Some(link) = link {
                rig.run(rig.provider.unlink(&second["a.txt"], link.id.as_deref())).unwrap();
            }
        }
        if can.link.is_some_and(|link| link.for_downloads && link.list) {
            for id in second.values() {
                assert!(
                    rig.run(rig.provider.links(id)).unwrap().is_empty(),
                    "{}: a link is left",
                    case.name()
                );
            }
        }
    }
}

#[test]
fn replace_and_update_refuse_several_files_of_one_name() {
    for case in some(remote_cases().filter(|case| case.can().delete)) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        for content in ["one", "two"] {
            upload(&case, &served, &[("a.txt", content)], &[]).ok();
        }
        for mode in ["replace", "update"] {
            let run =
                upload(&case, &served, &[("a.txt", "six")], &["--if-exists", mode, "--compare", "download"]);
            let refused = run.stderr().contains("2 files have this name") || conflicts(&run) == 1;
            assert!(refused && run.status != 0, "{} {mode}: {run}", case.name());
        }
        assert_eq!(stored(&case, &served).len(), 2, "{}", case.name());
    }
}

#[test]
fn processes_with_one_ledger_leave_one_copy() {
    for case in some(remote_cases().filter(compares)) {
        let served = Arc::new(Emulator::start(&case.setup(Clock(None))));
        let env = machine(&case, &served, &served.root);
        env.write("a.txt", "alpha");
        env.write("b.txt", "beta");
        let words = ["upload", "a.txt", "b.txt", "--if-exists", "skip", "--ids"];
        let runs = [(); 4].map(|()| env.spawn(env.command().args(words))).map(|process| process.end().ok());
        assert_eq!(names(&stored(&case, &served)), ["a.txt", "b.txt"], "{}: {runs:?}", case.name());
        tally(&case, "4 processes with one ledger, 2 files, `skip`", "2 files");
        let ids = |run: &Run| run.stdout().lines().map(str::to_owned).collect::<BTreeSet<_>>();
        assert!(runs.iter().all(|run| ids(run) == ids(&runs[0])), "{}: {runs:?}", case.name());
        assert!(!runs.iter().any(|run| run.stderr().contains("warning")), "{}: {runs:?}", case.name());
    }
}
