//! Files, records, notes and copies in a store.

use std::fs;
use std::io::Write;

use haul::error::Kind;
use haul::model::{Checksums, File, FileId, Object};
use haul::store::{Listing, Options, Store};
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::json;

use crate::store::support::*;

/// The size of the store's buffer.
const PIECE: usize = 256 * 1024;

#[test]
fn a_file_is_returned_as_it_was_put() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let object = |value| if let serde_json::Value::Object(object) = value { object } else { Object::new() };
    let file = File {
        provider: "elsewhere".into(),
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
fn checksums_cover_the_whole_content_for_any_size_and_chunking() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 7 * PIECE + 123] {
        let bytes: Vec<u8> = (0..=250).cycle().step_by(7).take(size).collect();
        for step in [1000, PIECE, 3 * PIECE + 1] {
            let mut incoming = store.receive().unwrap().with_md5();
            bytes.chunks(step).for_each(|chunk| incoming.write_all(chunk).unwrap());
            assert_eq!(incoming.size(), size as u64);
            let blob = incoming.finish().unwrap();
            assert_eq!(blob.size, size as u64);
            assert_eq!(blob.checksums.sha256, Some(sha256(&bytes)), "{size} by {step}");
            assert_eq!(blob.checksums.md5, Some(hex(&Md5::digest(&bytes))), "{size} by {step}");
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
    assert_contents(home.path(), 2, 3);
    store.delete("s", &"a".into()).unwrap();
    assert_contents(home.path(), 2, 2);
    assert_eq!(content(&store, "b"), b"same");
    store.replace("s", &"b".into(), receive(&store, b"other"), |_| Ok(())).unwrap();
    assert_contents(home.path(), 1, 2);
    assert_eq!(content(&store, "b"), b"other");
    store.delete("s", &"b".into()).unwrap();
    store.delete("s", &"c".into()).unwrap();
    assert_contents(home.path(), 0, 0);
    assert_eq!(store.delete("s", &"c".into()).unwrap_err().kind(), Kind::NotFound);
    assert!(is_tidy(home.path()));
}

#[test]
fn a_failed_or_abandoned_put_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"first");
    let taken = store.put("s", record("a"), receive(&store, b"second")).unwrap_err();
    assert_eq!(taken.to_string(), "a: the id already exists");
    assert_eq!(content(&store, "a"), b"first");
    let missing = store.replace("s", &"z".into(), receive(&store, b"third"), |_| Ok(())).unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    drop(receive(&store, b"fourth"));
    let mut incoming = store.receive().unwrap();
    incoming.write_all(&vec![0; 1_000_000]).unwrap();
    drop(incoming);
    assert_contents(home.path(), 1, 1);
    assert!(is_tidy(home.path()));
}

#[test]
fn truncated_or_missing_content_is_not_returned() {
    let home = tempfile::tempdir().unwrap();
    let store = open_directory(home.path());
    put(&store, "a", b"hello");
    let blob = files_below(&home.path().join("blobs")).remove(0);
    fs::write(&blob, b"hell").unwrap();
    let cut = store.get("s", &"a".into()).unwrap_err();
    assert_eq!(cut.to_string(), "a: its content is damaged");
    fs::remove_file(&blob).unwrap();
    assert_eq!(store.get("s", &"a".into()).unwrap_err().kind(), Kind::Failed);
    // Putting the same content again repairs it.
    put(&store, "b", b"hello");
    assert_eq!(content(&store, "a"), b"hello");
}

#[test]
fn an_expired_file_is_hidden_and_then_deleted() {
    let home = tempfile::tempdir().unwrap();
    let store = open_at(home.path(), 100);
    let expires_at = Some(Timestamp::from_second(200).unwrap());
    let file = File { expires_at, ..record("a") };
    store.put("s", file, receive(&store, b"short-lived")).unwrap();
    put(&store, "b", b"kept");
    note(&store, "s", "n", Some("a"), &Object::new());
    assert_eq!(store.expire().unwrap(), 0);
    let copy = (!is_shared()).then(|| store.copy_out("s", &"a".into()).unwrap());
    drop(store);

    let store = open_at(home.path(), 199);
    assert_eq!(store.list("s", &Listing::default()).unwrap().len(), 2);
    // Opening deletes some expired files, so the last one is put afterwards.
    let store = open_at(home.path(), 200);
    store.put("s", File { expires_at, ..record("c") }, receive(&store, b"late")).unwrap();
    for id in ["a", "c"].map(FileId::from) {
        assert_eq!(store.stat("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.get("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.delete("s", &id).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.annotate("s", &id, |_| Ok(())).unwrap_err().kind(), Kind::NotFound);
    }
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["b"]);
    assert_eq!(store.expire().unwrap(), 1);
    assert_contents(home.path(), 1, 1);
    assert!(copy.is_none_or(|copy| !copy.path.exists()));
    assert!(store.notes("s", "k", None).unwrap().is_empty());
    assert!(is_tidy(home.path()));
}

#[test]
fn expire_deletes_any_number_of_files() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    for n in 0..600_u16 {
        let expires_at = Some(Timestamp::UNIX_EPOCH);
        let file = File { expires_at, ..record(&format!("f{n}")) };
        store.put("s", file, receive(&store, &n.to_le_bytes()[..1])).unwrap();
    }
    put(&store, "kept", &[7]);
    assert_contents(home.path(), 256, 601);
    assert_eq!(store.expire().unwrap(), 600);
    assert_contents(home.path(), 1, 1);
    assert!(is_tidy(home.path()));
}

#[test]
fn a_change_of_a_record_keeps_the_facts_of_its_content() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let before = put(&store, "a", b"hello");
    let changed = store
        .annotate("s", &"a".into(), |file| {
            file.name = "b.txt".into();
            file.metadata.insert("k".into(), json!(1));
            (file.size, file.checksums) = (None, Checksums::default());
            Ok(())
        })
        .unwrap();
    assert_eq!(changed.name, "b.txt");
    assert_eq!((changed.size, &changed.checksums), (before.size, &before.checksums));
    assert_eq!(store.stat("s", &"a".into()).unwrap(), changed);
    let refused = store.annotate("s", &"a".into(), |file| {
        file.name = "c.txt".into();
        Err(haul::error::Error::usage("no"))
    });
    assert_eq!(refused.unwrap_err().kind(), Kind::Usage);
    assert_eq!(store.stat("s", &"a".into()).unwrap(), changed);
}

#[test]
fn notes_are_kept_in_order_and_deleted_with_their_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"hello");
    let text = |n: i32| Object::from_iter([("n".to_owned(), json!(n))]);
    for (key, about, n) in [("z", Some("a"), 1), ("b", None, 2), ("c", Some("a"), 3)] {
        note(&store, "s", key, about, &text(n));
    }
    note(&store, "s", "z", Some("a"), &text(4));
    note(&store, "other", "z", None, &text(5));
    let keys = |about: Option<&FileId>| {
        store.notes("s", "k", about).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(None), ["z", "b", "c"]);
    assert_eq!(keys(Some(&"a".into())), ["z", "c"]);
    assert_eq!(store.noted("s", "k", "z").unwrap(), Some(text(4)));
    assert!(store.forget("s", "k", "c").unwrap());
    assert!(!store.forget("s", "k", "c").unwrap());
    assert_eq!(store.note_once("s", "k", "b", &|| text(9)).unwrap(), text(2));
    assert_eq!(store.note_once("s", "k", "d", &|| text(9)).unwrap(), text(9));
    store.delete("s", &"a".into()).unwrap();
    assert_eq!(keys(None), ["b", "d"]);
    assert_eq!(store.noted("other", "k", "z").unwrap(), Some(text(5)));
}

#[test]
fn a_copy_is_read_only_and_deleted_with_its_file() {
    let home = tempfile::tempdir().unwrap();
    let store = open_directory(home.path());
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
    assert!(files_below(&home.path().join("links")).is_empty());
    assert!(is_tidy(home.path()));
}

#[test]
fn a_damaged_or_too_new_index_is_reported() {
    let home = tempfile::tempdir().unwrap();
    drop(open_directory(home.path()));
    let index = home.path().join("index.sqlite");
    let mut bytes = fs::read(&index).unwrap();
    // The user version is in bytes 60 to 63 of a SQLite file.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&index, &bytes).unwrap();
    let error = Store::open(home.path(), Options::default()).err().unwrap();
    assert!(
        error
            .message()
            .ends_with("unsupported store format 99: this version of haul supports formats up to 3"),
        "{error}"
    );
    assert!(!error.hints().is_empty());
    for damage in [b"not a database, but long enough to be looked at".as_slice(), &bytes[..3000]] {
        fs::write(&index, damage).unwrap();
        let error = Store::open(home.path(), Options::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.message().ends_with("the store's index is damaged"), "{error}");
    }
}
