//! The end: what the commands reported, what a server that does not fail lists and serves, and what is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use haul::store::{self, Store};

use crate::soak::belief::{Belief, Files, contradiction, platforms, text};
use crate::soak::commands::Commands;
use crate::soak::server::Server;
use crate::support::sandbox::Sandbox;

/// Files that one command fetches.
const BATCH: usize = 200;

pub fn compare(env: &Sandbox, commands: &Commands, beliefs: Vec<Belief>, seed: u64) {
    let mut believed = Belief::new();
    for (platform, files) in beliefs.into_iter().flatten() {
        let all = believed.entry(platform).or_default();
        for (id, kept) in files {
            if all.insert(id.clone(), kept).is_some() {
                commands.totals.differ(&format!("{platform}: {id} was reported to two workers"));
            }
        }
    }
    let server = Server::start(env, &[], seed);
    let calm = commands.redirect(&server);
    for (platform, _) in platforms() {
        let files = believed.entry(platform).or_default();
        listing_is_as_believed(commands, &calm, platform, files);
        content_is_as_believed(commands, &calm, platform, files);
    }
    server.stop();
    let kept: usize = believed.values().map(BTreeMap::len).sum();
    commands.totals.note("files compared in the end", kept as u64);
    disk_is_as_believed(env, commands, &believed);
    nothing_temporary_is_left(env, commands);

    // What was made can be taken away whole.
    let server = Server::start(env, &[], seed);
    let calm = commands.redirect(&server);
    for (platform, _) in platforms() {
        let ran = calm.run(&["rm", "-q", "-p", platform, "*", "--yes"].map(str::to_owned), None);
        if !ran.succeeded() {
            commands.totals.differ(&format!("{platform}: not all can be deleted\n{}", ran.stderr()));
        }
    }
    server.stop();
    disk_is_as_believed(env, commands, &Belief::new());
    commands.totals.differences.lock().unwrap().append(&mut calm.totals.differences.lock().unwrap());
}

fn listing_is_as_believed(commands: &Commands, calm: &Commands, platform: &str, files: &Files) {
    let ran = calm.run(&["ls", "-p", platform, "--jsonl"].map(str::to_owned), None);
    let mut listed = BTreeSet::new();
    for row in ran.rows() {
        let id = text(&row, "id");
        if !listed.insert(id.to_owned()) {
            commands.totals.differ(&format!("{platform}: {id} is listed twice"));
        }
        match files.get(id) {
            None => commands
                .totals
                .differ(&format!("{platform}: {} {id} is there and nobody knows of it", row["name"])),
            Some(kept) => {
                if let Some(what) = contradiction(&row, kept) {
                    commands.totals.differ(&format!("{platform}: {id} is listed, but {what}"));
                }
            }
        }
    }
    for (id, kept) in files.iter().filter(|(id, _)| !listed.contains(*id)) {
        commands.totals.differ(&format!("{platform}: {} {id} is lost", kept.name));
    }
}

fn content_is_as_believed(commands: &Commands, calm: &Commands, platform: &str, files: &Files) {
    // Several files may have one name: each goes into the first batch that has none of it.
    let mut batches: Vec<(BTreeSet<&str>, Vec<&str>)> = Vec::new();
    for (id, kept) in files {
        let fits = |(names, ids): &&mut (BTreeSet<&str>, Vec<&str>)| {
            ids.len() < BATCH && !names.contains(kept.name.as_str())
        };
        if batches.iter_mut().find(fits).is_none() {
            batches.push((BTreeSet::new(), Vec::new()));
        }
        let Some((names, ids)) = batches.iter_mut().find(fits) else { unreachable!("one was added") };
        names.insert(&kept.name);
        ids.push(id);
    }
    for (_, ids) in batches {
        let folder = calm.folder("all");
        let mut arguments = ["get", "-q", "-p", platform, "-o"].map(str::to_owned).to_vec();
        arguments.push(format!("{}/", folder.display()));
        arguments.extend(ids.iter().map(|id| format!("id:{id}")));
        let ran = calm.run(&arguments, None);
        if !ran.succeeded() {
            commands.totals.differ(&format!("{platform}: not all is served\n{}", ran.stderr()));
        }
        for id in ids {
            let kept = &files[id];
            if fs::read(folder.join(&kept.name)).ok() != Some(kept.content()) {
                commands.totals.differ(&format!("{platform}: {} {id} is served with other bytes", kept.name));
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

/// The index has the files that are believed in and no others, the content of each is whole, and nothing else is there.
fn disk_is_as_believed(env: &Sandbox, commands: &Commands, believed: &Belief) {
    let root = env.store();
    let store = Store::open(&root, store::Options::default()).unwrap();
    let mut content = BTreeSet::new();
    for (platform, _) in platforms() {
        let none = Files::new();
        let files = believed.get(platform).unwrap_or(&none);
        let listed = store.list(platform, &store::Listing::default()).unwrap();
        let known: BTreeSet<&str> = listed.iter().map(|file| file.id.as_str()).collect();
        for id in files.keys().filter(|id| !known.contains(id.as_str())) {
            commands.totals.differ(&format!("{platform}: {id} is not in the index"));
        }
        for file in &listed {
            let Some(kept) = files.get(file.id.as_str()) else {
                commands.totals.differ(&format!("{platform}: {} {} is in the index", file.name, file.id));
                continue;
            };
            content.extend(file.checksums.sha256.clone());
            let mut bytes = Vec::new();
            store.get(platform, &file.id).unwrap().1.read_to_end(&mut bytes).unwrap();
            if bytes != kept.content() {
                commands
                    .totals
                    .differ(&format!("{platform}: {} {} has other bytes on disk", file.name, file.id));
            }
        }
    }
    let blobs: BTreeSet<String> = below(&root.join("blobs")).iter().map(|path| name_of(path)).collect();
    for blob in blobs.symmetric_difference(&content) {
        commands.totals.differ(&format!("content {blob} is on disk and not in the index, or the reverse"));
    }
    for folder in ["incoming", "doubtful", "links"] {
        for path in below(&root.join(folder)) {
            commands.totals.differ(&format!("{} was left behind", path.display()));
        }
    }
}

fn nothing_temporary_is_left(env: &Sandbox, commands: &Commands) {
    for folder in [env.root().join("tmp"), env.work()] {
        for path in below(&folder) {
            commands.totals.differ(&format!("{} was left behind", path.display()));
        }
    }
    // The hashes of what was sent stay; a journal stays of a command that was killed when all was done.
    let journals = below(&env.home().join("state/uploads"))
        .iter()
        .filter(|path| !name_of(path).starts_with("hashes-"))
        .count() as u64;
    commands.totals.note("journals left", journals);
    if journals > commands.totals.kills.load(Ordering::Relaxed) {
        commands.totals.differ(&format!("{journals} journals were left behind"));
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// All files in a folder and in those below.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.append(&mut below(&path)) } else { found.push(path) }
    }
    found
}
