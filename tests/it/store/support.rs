//! Shared helpers of the store tests.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use haul::model::{Clock, File, FileId, Object};
use haul::store::{Blob, Options, Store};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

#[cfg(feature = "shared")]
use crate::store::place::SharedPlace;

pub fn open(root: &Path) -> Store {
    open_with(root, Options::default())
}

pub fn open_unsynced(root: &Path) -> Store {
    open_with(root, Options { ephemeral: true, ..Options::default() })
}

pub fn open_at(root: &Path, seconds: i64) -> Store {
    let clock = Clock(Some(Timestamp::from_second(seconds).unwrap()));
    open_with(root, Options { ephemeral: true, clock, ..Options::default() })
}

/// Opens the store in a directory, or the shared store that replaces it.
fn open_with(root: &Path, options: Options) -> Store {
    #[cfg(feature = "shared")]
    if let Some(place) = SharedPlace::of(root) {
        return place.open(options.clock, options.warn);
    }
    Store::open(root, options).unwrap()
}

/// Opens a store in a directory, for tests that access its files.
pub fn open_directory(root: &Path) -> Store {
    Store::open(root, Options::default()).unwrap()
}

/// Whether the tests use a shared store.
pub fn is_shared() -> bool {
    #[cfg(feature = "shared")]
    return SharedPlace::new().is_some();
    #[cfg(not(feature = "shared"))]
    false
}

pub fn receive(store: &Store, content: &[u8]) -> Blob {
    let mut incoming = store.receive().unwrap();
    incoming.write_all(content).unwrap();
    incoming.finish().unwrap()
}

pub fn record(id: &str) -> File {
    File { provider: "local".into(), id: id.into(), name: format!("{id}.txt"), ..File::default() }
}

pub fn put(store: &Store, id: &str, content: &[u8]) -> File {
    store.put("s", record(id), receive(store, content)).unwrap()
}

/// Stores a note of the kind `k`.
pub fn note(store: &Store, space: &str, key: &str, about: Option<&str>, note: &Object) {
    let about = about.map(FileId::from);
    store.transaction(space, |change| change.note("k", key, about.as_ref(), note)).unwrap();
}

pub fn content(store: &Store, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.get("s", &id.into()).unwrap().1.read_to_end(&mut bytes).unwrap();
    bytes
}

pub fn ids(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.id.as_str()).collect()
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// The number of blobs in a directory.
pub fn contents(root: &Path) -> usize {
    files_below(&root.join("blobs")).len()
}

/// Checks the number of blobs: one per distinct content, or in a shared store one per file.
#[track_caller]
pub fn assert_contents(root: &Path, different: usize, files: usize) {
    #[cfg(feature = "shared")]
    if let Some(place) = SharedPlace::of(root) {
        assert!(place.is_tidy());
        assert_eq!(place.objects(), files);
        return;
    }
    let _ = files;
    assert_eq!(contents(root), different);
}

/// Whether the store is in this directory, although the tests use a shared store.
#[cfg(feature = "shared")]
fn is_directory(root: &Path) -> bool {
    root.join("lock").exists()
}

/// Whether no upload is in progress and no blob is in doubt.
pub fn is_tidy(root: &Path) -> bool {
    #[cfg(feature = "shared")]
    if let Some(place) = SharedPlace::of(root).filter(|_| !is_directory(root)) {
        return place.is_tidy();
    }
    files_below(&root.join("incoming")).is_empty() && files_below(&root.join("doubtful")).is_empty()
}

/// Runs one store test, such as `changes::child_changes`, in another process of this test program.
pub fn child(test: &str, root: &Path, argument: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("store::{test}"), "--ignored", "--nocapture"])
        .env("STORE_ROOT", root)
        .env("STORE_ARGUMENT", argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn child_input() -> Option<(PathBuf, String)> {
    Some((env::var_os("STORE_ROOT")?.into(), env::var("STORE_ARGUMENT").ok()?))
}

pub fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// The growth of a child's data memory to its peak, sampled by the child. The code and tables of the test program, which
/// grow with its tests, do not count.
pub struct Memory {
    start: u64,
    peak: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self { start: resident("RssAnon:"), peak: 0 }
    }
}

impl Memory {
    pub fn sample(&mut self) {
        self.peak = self.peak.max(resident("RssAnon:").saturating_sub(self.start));
    }

    /// Prints the peak in the form that [`peak`] parses.
    pub fn print(&mut self) {
        self.sample();
        println!("peak {} KiB", self.peak);
    }
}

fn resident(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The peak that a child printed with [`Memory::print`], in KiB.
pub fn peak(child: Child) -> u64 {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let peak = text.lines().find_map(|line| line.split_once("peak ")?.1.strip_suffix(" KiB")).unwrap();
    peak.parse().unwrap()
}
