//! Concurrent changes to one file, and changes to several of its parts.

use std::thread;

use haul::error::{Error, Kind};
use haul::model::{File, Object};
use haul::store::{Listing, Store};
use serde_json::json;

use crate::store::support::*;

/// The number of changes of each kind per process.
const CHANGES: usize = 40;

/// Makes a change of one kind that can be identified afterwards.
fn change(store: &Store, kind: &str, name: &str) {
    for n in 0..CHANGES {
        let key = format!("{name}-{n}");
        let set = |file: &mut File| {
            file.metadata.insert(key.clone(), json!(n));
            Ok(())
        };
        match kind {
            "annotate" => store.annotate("s", &"a".into(), set).unwrap(),
            _ => store.replace("s", &"a".into(), receive(store, key.as_bytes()), set).unwrap(),
        };
    }
}

#[test]
#[ignore = "a child process of the test below"]
fn child_changes() {
    let Some((root, argument)) = child_input() else { return };
    let (kind, name) = argument.split_once(' ').unwrap();
    change(&open_unsynced(&root), kind, name);
}

#[test]
fn concurrent_changes_of_content_and_record_are_all_kept() {
    let home = tempfile::tempdir().unwrap();
    let store = open_unsynced(home.path());
    put(&store, "a", b"first");
    let children = [("annotate", "p"), ("replace", "q")]
        .map(|(kind, name)| child("changes::child_changes", home.path(), &format!("{kind} {name}")));
    let names = [("annotate", "r"), ("annotate", "s"), ("replace", "t"), ("replace", "u")];
    thread::scope(|scope| {
        for (kind, name) in names {
            let store = store.clone();
            scope.spawn(move || change(&store, kind, name));
        }
    });
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let file = store.stat("s", &"a".into()).unwrap();
    for name in ["p", "q", "r", "s", "t", "u"] {
        for n in 0..CHANGES {
            assert_eq!(file.metadata.get(&format!("{name}-{n}")), Some(&json!(n)), "{name}-{n} is lost");
        }
    }
    let last = String::from_utf8(content(&store, "a")).unwrap();
    assert!(last.ends_with(&format!("-{}", CHANGES - 1)), "{last}");
    assert_contents(home.path(), 1, 1);
    assert!(is_tidy(home.path()));
}

#[test]
fn new_content_keeps_the_unchanged_fields_of_the_record() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let before = put(&store, "a", b"first");
    let replaced = store.replace("s", &"a".into(), receive(&store, b"second"), |file| {
        assert_eq!(*file, before);
        file.name = "b.txt".into();
        // The caller cannot set these.
        file.id = "z".into();
        file.size = None;
        file.created_at = None;
        Ok(())
    });
    let replaced = replaced.unwrap();
    assert_eq!((replaced.id.as_str(), replaced.name.as_str(), replaced.size), ("a", "b.txt", Some(6)));
    assert_eq!(replaced.created_at, before.created_at);
    assert_eq!(replaced.checksums.sha256, Some(sha256(b"second")));
    assert_eq!(store.list("s", &Listing::default()).unwrap(), [replaced]);
    let refused = store.replace("s", &"a".into(), receive(&store, b"third"), |_| Err(Error::usage("no")));
    assert_eq!(refused.unwrap_err().kind(), Kind::Usage);
    assert_eq!(content(&store, "a"), b"second");
    assert_contents(home.path(), 1, 1);
    assert!(is_tidy(home.path()));
}

#[test]
fn a_transaction_is_atomic() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    put(&store, "a", b"a");
    let copy = (!is_shared()).then(|| store.copy_out("s", &"a".into()).unwrap());
    let has_copy = || copy.as_ref().is_some_and(|copy| copy.path.exists());
    let steps = |fail: bool| {
        let blobs = [b"b", b"c", b"d"].map(|bytes| receive(&store, bytes));
        store.transaction("s", |change| {
            let [b, c, d] = blobs;
            change.put(record("b"), b)?;
            change.replace(&"b".into(), c, |_| Ok(()))?;
            change.put(record("d"), d)?;
            change.note("k", "n", Some(&"d".into()), &Object::new())?;
            change.delete(&"d".into())?;
            change.delete(&"a".into())?;
            assert_eq!(ids(&change.list(&Listing::default())?), ["b"]);
            assert_eq!(change.stat(&"a".into()).unwrap_err().kind(), Kind::NotFound);
            // Others do not see the change yet.
            assert_eq!(ids(&store.list("s", &Listing::default())?), ["a"]);
            if fail { Err(Error::failed("no")) } else { Ok(()) }
        })
    };
    steps(true).unwrap_err();
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["a"]);
    assert_eq!(content(&store, "a"), b"a");
    assert_contents(home.path(), 1, 1);
    assert!(has_copy() != is_shared() && is_tidy(home.path()));
    steps(false).unwrap();
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["b"]);
    assert_eq!(content(&store, "b"), b"c");
    assert_contents(home.path(), 1, 1);
    assert!(!has_copy() && is_tidy(home.path()));
    assert!(store.notes("s", "k", None).unwrap().is_empty());
}
