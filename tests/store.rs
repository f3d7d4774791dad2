//! The store, as one process and as several see it.

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use haul::error::Kind;
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::model::{Checksums, Clock, File, FileId, Object};
use haul::store::{Blob, Listing, Options, SortKey, Store};
use jiff::Timestamp;
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

#[test]
fn an_expired_file_is_not_there_and_then_gone() {
    let home = tempfile::tempdir().unwrap();
    let store = open_at(home.path(), 100);
    let expires_at = Some(Timestamp::from_second(200).unwrap());
    let file = File { expires_at, ..record("a") };
    store.put("s", file, receive(&store, b"short-lived")).unwrap();
    put(&store, "b", b"kept");
    store.note("s", "k", "n", Some(&"a".into()), &Object::new()).unwrap();
    assert_eq!(store.expire().unwrap(), 0);
    let copy = store.copy_out("s", &"a".into()).unwrap();
    drop(store);

    let store = open_at(home.path(), 199);
    assert_eq!(store.list("s", &Listing::default()).unwrap().len(), 2);
    // Opening deletes some of what has expired, so the last one is put afterwards.
    let store = open_at(home.path(), 200);
    store.put("s", File { expires_at, ..record("c") }, receive(&store, b"late")).unwrap();
    for id in ["a", "c"].map(FileId::from) {
        assert_eq!(store.stat("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.get("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.delete("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.annotate("s", &id, &mut |_| Ok(())).unwrap_err().kind(), Kind::NotFound);
    }
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["b"]);
    assert_eq!(store.expire().unwrap(), 1);
    assert_eq!(contents(home.path()), 1);
    assert!(!copy.path.exists());
    assert!(store.notes("s", "k", None).unwrap().is_empty());
    assert!(is_tidy(home.path()));
}

#[test]
fn expire_deletes_any_number() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), Options { ephemeral: true, ..Options::default() }).unwrap();
    for n in 0..600 {
        let expires_at = Some(Timestamp::UNIX_EPOCH);
        let file = File { expires_at, ..record(&format!("f{n}")) };
        store.put("s", file, receive(&store, &[n as u8])).unwrap();
    }
    put(&store, "kept", &[7]);
    assert_eq!(contents(home.path()), 256);
    assert_eq!(store.expire().unwrap(), 600);
    assert_eq!(contents(home.path()), 1);
    assert!(is_tidy(home.path()));
}

#[test]
fn a_record_is_changed_but_not_what_its_content_says() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let before = put(&store, "a", b"hello");
    let changed = store
        .annotate("s", &"a".into(), &mut |file| {
            file.name = "b.txt".into();
            file.metadata.insert("k".into(), json!(1));
            (file.size, file.checksums) = (None, Checksums::default());
            Ok(())
        })
        .unwrap();
    assert_eq!(changed.name, "b.txt");
    assert_eq!((changed.size, &changed.checksums), (before.size, &before.checksums));
    assert_eq!(store.stat("s", &"a".into()).unwrap(), changed);
    let refused = store.annotate("s", &"a".into(), &mut |file| {
        file.name = "c.txt".into();
        Err(haul::error::Error::usage("no"))
    });
    assert_eq!(refused.unwrap_err().kind(), Kind::Usage);
    assert_eq!(store.stat("s", &"a".into()).unwrap(), changed);
}

#[test]
fn notes_are_kept_in_order_and_go_with_their_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"hello");
    let note = |n: i32| Object::from_iter([("n".to_owned(), json!(n))]);
    for (key, about, n) in [("z", Some("a"), 1), ("b", None, 2), ("c", Some("a"), 3)] {
        store.note("s", "k", key, about.map(FileId::from).as_ref(), &note(n)).unwrap();
    }
    store.note("s", "k", "z", Some(&"a".into()), &note(4)).unwrap();
    store.note("other", "k", "z", None, &note(5)).unwrap();
    let keys = |about: Option<&FileId>| {
        store.notes("s", "k", about).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(None), ["z", "b", "c"]);
    assert_eq!(keys(Some(&"a".into())), ["z", "c"]);
    assert_eq!(store.noted("s", "k", "z").unwrap(), Some(note(4)));
    assert!(store.forget("s", "k", "c").unwrap());
    assert!(!store.forget("s", "k", "c").unwrap());
    assert_eq!(store.note_once("s", "k", "b", &|| note(9)).unwrap(), note(2));
    assert_eq!(store.note_once("s", "k", "d", &|| note(9)).unwrap(), note(9));
    store.delete("s", &"a".into()).unwrap();
    assert_eq!(keys(None), ["b", "d"]);
    assert_eq!(store.noted("other", "k", "z").unwrap(), Some(note(5)));
}

#[test]
fn a_copy_is_read_only_and_goes_with_its_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"hello");
    let first = store.copy_out("s", &"a".into()).unwrap();
    let second = store.copy_out("s", &"a".into()).unwrap();
    assert_eq!(store.copies("s", &"a".into()).unwrap(), [first.clone(), second.clone()]);
    assert_eq!(fs::read(&first.path).unwrap(), b"hello");
    assert!(fs::metadata(&first.path).unwrap().permissions().readonly());
    assert!(store.remove_copy("s", &first.id).unwrap());
    assert!(!store.remove_copy("s", &first.id).unwrap());
    assert!(!first.path.exists() && second.path.exists());
    store.delete("s", &"a".into()).unwrap();
    assert_eq!(files_below(&home.path().join("links")), [""; 0].map(PathBuf::from));
    assert!(is_tidy(home.path()));
}

/// `count` files with ids, names, sizes and times in four different orders.
fn seed(store: &Store, count: usize) {
    for n in 0..count {
        let file = File {
            name: format!("n{}", n * 7 % 10),
            created_at: Some(Timestamp::from_second((n * 3 % 100) as i64).unwrap()),
            ..record(&format!("f{:04}", n * 387 % count))
        };
        store.put("s", file, receive(store, &vec![b'x'; n * 13 % 17])).unwrap();
    }
}

fn key(sort: SortKey, file: &File) -> (Option<Timestamp>, String, Option<u64>, String) {
    let id = file.id.0.clone();
    match sort {
        SortKey::Created => (file.created_at, String::new(), None, id),
        SortKey::Name => (None, file.name.clone(), None, id),
        SortKey::Size => (None, String::new(), file.size, id),
        SortKey::Id => (None, String::new(), None, id),
    }
}

#[test]
fn pages_in_every_order_give_each_file_once() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), Options { ephemeral: true, ..Options::default() }).unwrap();
    seed(&store, 1000);
    put(&store, "stranger", b"");
    store.delete("s", &"stranger".into()).unwrap();
    for sort in [SortKey::Created, SortKey::Name, SortKey::Size, SortKey::Id] {
        for descending in [false, true] {
            let mut listing = Listing { sort, descending, limit: 99, ..Listing::default() };
            let mut all: Vec<File> = Vec::new();
            loop {
                let page = store.list("s", &listing).unwrap();
                assert!(page.len() <= 99);
                let Some(last) = page.last() else { break };
                listing.after = Some(last.id.clone());
                all.extend(page);
            }
            assert_eq!(all.len(), 1000);
            let is_sorted = all.windows(2).all(|pair| {
                let (a, b) = (key(sort, &pair[0]), key(sort, &pair[1]));
                if descending { a > b } else { a < b }
            });
            assert!(is_sorted, "{sort:?} {descending}");
            let whole = Listing { sort, descending, ..Listing::default() };
            assert_eq!(store.list("s", &whole).unwrap(), all);
        }
    }
}

#[test]
fn a_listing_goes_on_after_a_file_that_was_deleted() {
    let home = tempfile::tempdir().unwrap();
    let store = open_at(home.path(), 100_000);
    seed(&store, 50);
    for sort in [SortKey::Created, SortKey::Name, SortKey::Size, SortKey::Id] {
        let mut listing = Listing { sort, limit: 4, ..Listing::default() };
        let whole = store.list("s", &Listing { limit: 0, ..listing.clone() }).unwrap();
        let last = whole[3].id.clone();
        store.delete("s", &last).unwrap();
        listing.after = Some(last);
        assert_eq!(store.list("s", &listing).unwrap(), whole[4..8]);
    }
    let after = |store: &Store, id: &FileId| {
        store.list("s", &Listing { after: Some(id.clone()), ..Listing::default() })
    };
    assert_eq!(after(&store, &"never".into()).unwrap_err().kind(), Kind::NotFound);
    // A day later, with another file deleted, it is forgotten.
    let gone = store.list("s", &Listing { limit: 2, ..Listing::default() }).unwrap();
    store.delete("s", &gone[0].id).unwrap();
    assert!(after(&store, &gone[0].id).is_ok());
    let later = open_at(home.path(), 100_001 + 86_400);
    later.delete("s", &gone[1].id).unwrap();
    assert_eq!(after(&later, &gone[0].id).unwrap_err().kind(), Kind::NotFound);
    assert!(after(&later, &gone[1].id).is_ok());
}

#[test]
fn names_ids_and_times_are_found_by_the_index() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), Options { ephemeral: true, ..Options::default() }).unwrap();
    seed(&store, 200);
    let all = store.list("s", &Listing::default()).unwrap();
    let found = |filter: Filter, expected: &dyn Fn(&File) -> bool| {
        let listing = Listing { filter: Some(filter), limit: 7, ..Listing::default() };
        let expected: Vec<File> = all.iter().filter(|file| expected(file)).take(7).cloned().collect();
        assert!(!expected.is_empty());
        assert_eq!(store.list("s", &listing).unwrap(), expected);
    };
    let compare = |field: &str, op, value| Filter {
        expr: Expr::Compare(Comparison { field: field.to_owned(), op, value }),
    };
    let time = Timestamp::from_second(50).unwrap();
    found(Filter::name_is("n3"), &|file| file.name == "n3");
    found(compare("id", Op::Eq, Value::Text("f0007".into())), &|file| file.id.as_str() == "f0007");
    found(compare("created_at", Op::Ge, Value::Time(time)), &|file| file.created_at >= Some(time));
    found(compare("created_at", Op::Gt, Value::Time(time)), &|file| file.created_at > Some(time));
    found(compare("created_at", Op::Lt, Value::Time(time)), &|file| file.created_at < Some(time));
    found(compare("created_at", Op::Le, Value::Time(time)), &|file| file.created_at <= Some(time));
    found(Filter::name_is("n3").and(compare("created_at", Op::Gt, Value::Time(time))), &|file| {
        file.name == "n3" && file.created_at > Some(time)
    });
}

#[test]
fn an_index_that_is_damaged_or_too_new_is_said_to_be() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let index = home.path().join("index.sqlite");
    let mut bytes = fs::read(&index).unwrap();
    // The user version is in bytes 60 to 63 of a SQLite file.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&index, &bytes).unwrap();
    let error = Store::open(home.path(), Options::default()).err().unwrap();
    assert!(error.message().ends_with("the store has format 99; this haul knows up to 2"), "{error}");
    assert!(!error.hints().is_empty());
    for damage in [b"not a database, but long enough to be looked at".as_slice(), &bytes[..3000]] {
        fs::write(&index, damage).unwrap();
        let error = Store::open(home.path(), Options::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.message().ends_with("the store's index is damaged"), "{error}");
    }
}

#[test]
#[ignore = "a child process of the tests below"]
fn child_writes() {
    let Some((root, name)) = child_input() else { return };
    let store = open(&root);
    for n in 0..40 {
        let id = format!("{name}-{n}");
        // Content that the other process puts and deletes at the same time.
        put(&store, &id, format!("shared {}", n % 3).as_bytes());
        if n % 2 == 1 {
            store.delete("s", &id.as_str().into()).unwrap();
        }
    }
}

#[test]
fn processes_that_write_at_once_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    // The store is not there yet: they make it at once, too.
    let children = ["a", "b", "c"].map(|name| child("child_writes", home.path(), name));
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let store = open(home.path());
    let files = store.list("s", &Listing::default()).unwrap();
    assert_eq!(files.len(), 3 * 20);
    for file in &files {
        let n: usize = file.id.as_str().split_once('-').unwrap().1.parse().unwrap();
        assert_eq!(n % 2, 0);
        assert_eq!(content(&store, file.id.as_str()), format!("shared {}", n % 3).as_bytes());
    }
    assert_eq!(contents(home.path()), 3);
    assert!(is_tidy(home.path()));
}

#[test]
fn threads_that_put_and_delete_the_same_content_never_lose_it() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    thread::scope(|scope| {
        for name in 0..4 {
            // A store each, as if they were processes.
            let store = Store::open(root, Options { ephemeral: true, ..Options::default() }).unwrap();
            scope.spawn(move || {
                for n in 0..50 {
                    let id = format!("{name}-{n}");
                    put(&store, &id, b"the same");
                    assert_eq!(content(&store, &id), b"the same");
                    store.delete("s", &id.as_str().into()).unwrap();
                }
            });
        }
    });
    assert_eq!(contents(root), 0);
    assert!(is_tidy(root));
}

#[test]
fn two_hundred_at_once_are_served() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    thread::scope(|scope| {
        for n in 0..200 {
            let store = store.clone();
            scope.spawn(move || {
                let id = format!("f{n}");
                put(&store, &id, id.as_bytes());
                assert_eq!(content(&store, &id), id.as_bytes());
            });
        }
    });
    assert_eq!(store.list("s", &Listing::default()).unwrap().len(), 200);
}

#[test]
fn what_a_living_process_receives_stays_when_another_starts() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let mut incoming = store.receive().unwrap();
    incoming.write_all(b"hel").unwrap();
    fs::write(home.path().join("incoming/left-behind"), b"by a crash").unwrap();
    open(home.path());
    assert_eq!(files_below(&home.path().join("incoming")).len(), 1);
    incoming.write_all(b"lo").unwrap();
    store.put("s", record("a"), incoming.finish().unwrap()).unwrap();
    assert_eq!(content(&store, "a"), b"hello");
}

#[test]
#[ignore = "a child process of the test below"]
fn child_puts_much() {
    let Some((root, size)) = child_input() else { return };
    let store = open(&root);
    let mut incoming = store.receive().unwrap().with_md5();
    let piece = vec![1; 1024 * 1024];
    for _ in 0..size.parse().unwrap() {
        incoming.write_all(&piece).unwrap();
    }
    store.put("s", record("a"), incoming.finish().unwrap()).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("peak {} KiB", peak.trim().trim_end_matches(" kB"));
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_size() {
    let peak = |mebibytes: &str| {
        let home = tempfile::tempdir().unwrap();
        let output = child("child_puts_much", home.path(), mebibytes).wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let peak = text.lines().find_map(|line| line.split_once("peak ")?.1.strip_suffix(" KiB")).unwrap();
        peak.parse::<u64>().unwrap()
    };
    let (small, large) = (peak("2"), peak("256"));
    assert!(large < 24 * 1024, "{large} KiB");
    assert!(large < small + 4 * 1024, "{large} KiB for 256 MiB, {small} KiB for 2 MiB");
}
