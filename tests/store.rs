//! The store, as one process and as several see it.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use haul::error::Kind;
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::model::{Checksums, Clock, File, FileId, Object};
use haul::store::{Blob, Listing, Options, SortKey, Store};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

fn open(root: &Path) -> Store {
    Store::open(root, Options::default()).unwrap()
}

fn open_at(root: &Path, seconds: i64) -> Store {
    let clock = Clock(Some(Timestamp::from_second(seconds).unwrap()));
    Store::open(root, Options { ephemeral: true, clock }).unwrap()
}

fn receive(store: &Store, content: &[u8]) -> Blob {
    let mut incoming = store.receive().unwrap();
    incoming.write_all(content).unwrap();
    incoming.finish().unwrap()
}

fn record(id: &str) -> File {
    File { provider: "local".into(), id: id.into(), name: format!("{id}.txt"), ..File::default() }
}

fn put(store: &Store, id: &str, content: &[u8]) -> File {
    store.put("s", record(id), receive(store, content)).unwrap()
}

fn content(store: &Store, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.get("s", &id.into()).unwrap().1.read_to_end(&mut bytes).unwrap();
    bytes
}

fn ids(files: &[File]) -> Vec<&str> {
    files.iter().map(|file| file.id.as_str()).collect()
}

/// Every file below a directory.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

fn contents(root: &Path) -> usize {
    files_below(&root.join("blobs")).len()
}

/// Nothing is being received and nothing is in doubt.
fn is_tidy(root: &Path) -> bool {
    files_below(&root.join("incoming")).is_empty() && files_below(&root.join("doubtful")).is_empty()
}

/// This test program as another process that runs one of the tests below `child`.
fn child(test: &str, root: &Path, argument: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("STORE_ROOT", root)
        .env("STORE_ARGUMENT", argument)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn child_input() -> Option<(PathBuf, String)> {
    Some((env::var_os("STORE_ROOT")?.into(), env::var("STORE_ARGUMENT").ok()?))
}

#[test]
fn a_file_comes_back_as_it_was_put() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let object = |value| if let serde_json::Value::Object(object) = value { object } else { Object::new() };
    let file = File {
        provider: "xai".into(),
        profile: "work".into(),
        id: "f1".into(),
        name: "ünï\n.txt".into(),
        content_type: Some("text/plain".into()),
        purpose: Some("assistants".into()),
        path: Some("a/b".into()),
        status: Some("new".into()),
        created_at: Some("2026-01-02T03:04:05.678901Z".parse().unwrap()),
        updated_at: Some("2026-01-02T03:04:06Z".parse().unwrap()),
        expires_at: Some("2999-01-01T00:00:00Z".parse().unwrap()),
        metadata: object(json!({"z": 1, "a": {"b": [null, 2.5]}})),
        downloadable: Some(false),
        url: Some("http://127.0.0.1/x".into()),
        extra: object(json!({"object": "file"})),
        ..File::default()
    };
    let put = store.put("s", file.clone(), receive(&store, b"hello")).unwrap();
    let checksums = Checksums {
        sha256: Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".into()),
        blake3: Some("ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f".into()),
        md5: None,
    };
    assert_eq!(put, File { size: Some(5), checksums, ..file });
    assert_eq!(store.stat("s", &put.id).unwrap(), put);
    assert_eq!(store.list("s", &Listing::default()).unwrap(), [put]);
    assert_eq!(content(&store, "f1"), b"hello");
    assert_eq!(store.stat("other", &"f1".into()).unwrap_err().kind(), Kind::NotFound);
    assert!(is_tidy(home.path()));
}

#[test]
fn checksums_are_those_of_the_whole_content_whatever_its_size_and_however_it_comes() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), Options { ephemeral: true, ..Options::default() }).unwrap();
    const PIECE: usize = 256 * 1024;
    for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 7 * PIECE + 123] {
        let bytes: Vec<u8> = (0..size).map(|n| (n * 7 % 251) as u8).collect();
        for step in [1000, PIECE, 3 * PIECE + 1] {
            let mut incoming = store.receive().unwrap().with_md5();
            bytes.chunks(step).for_each(|chunk| incoming.write_all(chunk).unwrap());
            assert_eq!(incoming.size(), size as u64);
            let blob = incoming.finish().unwrap();
            let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            assert_eq!(blob.size, size as u64);
            assert_eq!(blob.checksums.sha256, Some(hex(&Sha256::digest(&bytes))), "{size} by {step}");
            assert_eq!(blob.checksums.md5, Some(hex(&md5::Md5::digest(&bytes))), "{size} by {step}");
            assert_eq!(blob.checksums.blake3, Some(blake3::hash(&bytes).to_hex().to_string()));
        }
    }
}

#[test]
fn identical_content_is_stored_once_and_freed_with_its_last_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"same");
    put(&store, "b", b"same");
    put(&store, "c", b"other");
    assert_eq!(contents(home.path()), 2);
    store.delete("s", &"a".into()).unwrap();
    assert_eq!(contents(home.path()), 2);
    assert_eq!(content(&store, "b"), b"same");
    store.replace("s", record("b"), receive(&store, b"other")).unwrap();
    assert_eq!(contents(home.path()), 1);
    assert_eq!(content(&store, "b"), b"other");
    store.delete("s", &"b".into()).unwrap();
    store.delete("s", &"c".into()).unwrap();
    assert_eq!(contents(home.path()), 0);
    assert_eq!(store.delete("s", &"c".into()).unwrap_err().kind(), Kind::NotFound);
    assert!(is_tidy(home.path()));
}

#[test]
fn a_put_that_fails_or_is_given_up_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"first");
    let taken = store.put("s", record("a"), receive(&store, b"second")).unwrap_err();
    assert_eq!(taken.to_string(), "a: this id is taken");
    assert_eq!(content(&store, "a"), b"first");
    let missing = store.replace("s", record("z"), receive(&store, b"third")).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    drop(receive(&store, b"fourth"));
    let mut incoming = store.receive().unwrap();
    incoming.write_all(&[0; 1_000_000]).unwrap();
    drop(incoming);
    assert_eq!(contents(home.path()), 1);
    assert!(is_tidy(home.path()));
}
