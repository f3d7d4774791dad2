//! The final comparison of three states: the reports of the commands, the listings and content of a server without
//! faults, and the files on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use haul::store::{self, Store};

use crate::soak::commands::Commands;
use crate::soak::expectation::{Expectation, Files, contradiction, platforms, text};
use crate::soak::server::Server;
use crate::support::sandbox::Sandbox;

/// The number of files per download command.
const BATCH: usize = 200;

pub fn compare(env: &Sandbox, commands: &Commands, expectations: Vec<Expectation>, seed: u64) {
    let mut expected = Expectation::new();
    for (platform, files) in expectations.into_iter().flatten() {
        let all = expected.entry(platform).or_default();
        for (id, stored) in files {
            if all.insert(id.clone(), stored).is_some() {
                commands.totals.report(&format!("{platform}: {id} was reported to two workers"));
            }
        }
    }
    let server = Server::start(env, &[], seed);
    let faultless = commands.redirect(&server);
    for (platform, _) in platforms() {
        let files = expected.entry(platform).or_default();
        check_listing(commands, &faultless, platform, files);
        check_content(commands, &faultless, platform, files);
    }
    server.stop();
    let stored: usize = expected.values().map(BTreeMap::len).sum();
    commands.totals.note("files compared in the end", stored as u64);
    check_disk(env, commands, &expected);
    check_leftovers(env, commands);

    // All files can be deleted. A pattern that matches no file is an error, so platforms without files are left out.
    let server = Server::start(env, &[], seed);
    let faultless = commands.redirect(&server);
    for (platform, _) in expected.iter().filter(|(_, files)| !files.is_empty()) {
        let run = faultless.run(&["rm", "-q", "-p", platform, "*", "--yes"].map(str::to_owned), None);
        if !run.succeeded() {
            commands.totals.report(&format!("{platform}: not all files can be deleted\n{}", run.stderr()));
        }
    }
    server.stop();
    check_disk(env, commands, &Expectation::new());
    commands.totals.differences.lock().unwrap().append(&mut faultless.totals.differences.lock().unwrap());
}

fn check_listing(commands: &Commands, faultless: &Commands, platform: &str, files: &Files) {
    let run = faultless.run(&["ls", "-p", platform, "--jsonl"].map(str::to_owned), None);
    let mut listed = BTreeSet::new();
    for row in run.rows() {
        let id = text(&row, "id");
        if !listed.insert(id.to_owned()) {
            commands.totals.report(&format!("{platform}: {id} is listed twice"));
        }
        match files.get(id) {
            None => commands.totals.report(&format!("{platform}: {} {id} is unexpected", row["name"])),
            Some(stored) => {
                if let Some(difference) = contradiction(&row, stored) {
                    commands.totals.report(&format!("{platform}: {id} is listed, but {difference}"));
                }
            }
        }
    }
    for (id, stored) in files.iter().filter(|(id, _)| !listed.contains(*id)) {
        commands.totals.report(&format!("{platform}: {} {id} is lost", stored.name));
    }
}

fn check_content(commands: &Commands, faultless: &Commands, platform: &str, files: &Files) {
    // Several files may share a name; each goes into the first batch without that name.
    let mut batches: Vec<(BTreeSet<&str>, Vec<&str>)> = Vec::new();
    for (id, stored) in files {
        let fits = |(names, ids): &&mut (BTreeSet<&str>, Vec<&str>)| {
            ids.len() < BATCH && !names.contains(stored.name.as_str())
        };
        if batches.iter_mut().find(fits).is_none() {
            batches.push((BTreeSet::new(), Vec::new()));
        }
        let Some((names, ids)) = batches.iter_mut().find(fits) else { unreachable!("one was added") };
        names.insert(&stored.name);
        ids.push(id);
    }
    for (_, ids) in batches {
        let folder = faultless.folder("all");
        let mut arguments = ["get", "-q", "-p", platform, "-o"].map(str::to_owned).to_vec();
        arguments.push(format!("{}/", folder.display()));
        arguments.extend(ids.iter().map(|id| format!("id:{id}")));
        let run = faultless.run(&arguments, None);
        if !run.succeeded() {
            commands.totals.report(&format!("{platform}: not all files are served\n{}", run.stderr()));
        }
        for id in ids {
            let stored = &files[id];
            if fs::read(folder.join(&stored.name)).ok() != Some(stored.content()) {
                commands
                    .totals
                    .report(&format!("{platform}: {} {id} is served with wrong bytes", stored.name));
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The index contains exactly the expected files with their content, and the store no other files.
fn check_disk(env: &Sandbox, commands: &Commands, expected: &Expectation) {
    let root = env.store();
    let store = Store::open(&root, store::Options::default()).unwrap();
    let mut content = BTreeSet::new();
    for (platform, _) in platforms() {
        let none = Files::new();
        let files = expected.get(platform).unwrap_or(&none);
        let listed = store.list(platform, &store::Listing::default()).unwrap();
        let known: BTreeSet<&str> = listed.iter().map(|file| file.id.as_str()).collect();
        for id in files.keys().filter(|id| !known.contains(id.as_str())) {
            commands.totals.report(&format!("{platform}: {id} is not in the index"));
        }
        for file in &listed {
            let Some(stored) = files.get(file.id.as_str()) else {
                commands.totals.report(&format!("{platform}: {} {} is in the index", file.name, file.id));
                continue;
            };
            content.extend(file.checksums.sha256.clone());
            let mut bytes = Vec::new();
            store.get(platform, &file.id).unwrap().1.read_to_end(&mut bytes).unwrap();
            if bytes != stored.content() {
                commands
                    .totals
                    .report(&format!("{platform}: {} {} has wrong bytes on disk", file.name, file.id));
            }
        }
    }
    let blobs: BTreeSet<String> = below(&root.join("blobs")).iter().map(|path| name_of(path)).collect();
    for blob in blobs.symmetric_difference(&content) {
        commands.totals.report(&format!("content {blob} is only on disk or only in the index"));
    }
    for folder in ["incoming", "doubtful", "links"] {
        for path in below(&root.join(folder)) {
            commands.totals.report(&format!("{} was left behind", path.display()));
        }
    }
}

fn check_leftovers(env: &Sandbox, commands: &Commands) {
    for folder in [env.root().join("tmp"), env.work()] {
        for path in below(&folder) {
            commands.totals.report(&format!("{} was left behind", path.display()));
        }
    }
    // Only a killed command may be unfinished in the ledger.
    let ledger = rusqlite::Connection::open(env.home().join("state/ledger.db")).unwrap();
    let unfinished = "SELECT count(DISTINCT command) FROM uploads WHERE command IS NOT NULL";
    let unfinished: u32 = ledger.query_row(unfinished, [], |row| row.get(0)).unwrap();
    commands.totals.note("unfinished commands", u64::from(unfinished));
    if u64::from(unfinished) > commands.totals.kills.load(Ordering::Relaxed) {
        commands.totals.report(&format!("{unfinished} commands are unfinished in the ledger"));
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// All files in a folder, recursively.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.append(&mut below(&path)) } else { found.push(path) }
    }
    found
}
