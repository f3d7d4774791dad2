//! Concurrent threads and processes, and the memory of one process.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use haul::store::Listing;

use crate::store::support::*;

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
fn concurrent_processes_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    // The store does not exist yet; the processes also create it concurrently.
    let children = ["a", "b", "c"].map(|name| child("processes::child_writes", home.path(), name));
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
    assert_contents(home.path(), 3, 60);
    assert!(is_tidy(home.path()));
}

#[test]
fn concurrent_puts_and_deletions_of_one_content_never_lose_it() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers = ["a", "b", "c", "d"].map(|name| {
            // One store each, as in separate processes.
            let store = open_unsynced(root);
            scope.spawn(move || {
                for n in 0..50 {
                    let id = format!("{name}-{n}");
                    put(&store, &id, b"the same");
                    assert_eq!(content(&store, &id), b"the same");
                    store.delete("s", &id.as_str().into()).unwrap();
                }
            })
        });
        // Meanwhile, other processes open the store and delete only abandoned files.
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                open_unsynced(root);
            }
        });
        let outcomes = writers.map(ScopedJoinHandle::join);
        is_over.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(Result::unwrap);
    });
    assert_contents(root, 0, 0);
    assert!(is_tidy(root));
}

#[test]
fn two_hundred_concurrent_puts_are_stored() {
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
fn uploads_of_a_running_process_stay_when_another_starts() {
    let home = tempfile::tempdir().unwrap();
    let store = open_directory(home.path());
    let mut incoming = store.receive().unwrap();
    incoming.write_all(b"hel").unwrap();
    let left_behind = home.path().join("incoming/0123456789abcdef0123456789abcdef");
    fs::write(left_behind, b"by a crash").unwrap();
    open_directory(home.path());
    assert_eq!(files_below(&home.path().join("incoming")).len(), 1);
    incoming.write_all(b"lo").unwrap();
    store.put("s", record("a"), incoming.finish().unwrap()).unwrap();
    assert_eq!(content(&store, "a"), b"hello");
}

#[test]
fn foreign_files_in_the_folder_are_preserved() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("incoming")).unwrap();
    let others = ["lock", "incoming/report.pdf", "incoming/0123456789abcdef.txt"];
    for name in others {
        fs::write(home.path().join(name), "mine").unwrap();
    }
    for _ in 0..2 {
        open_directory(home.path());
        for name in others {
            assert_eq!(fs::read(home.path().join(name)).unwrap(), b"mine", "{name}");
        }
    }
}

#[test]
#[ignore = "a child process of the test below"]
fn child_puts_much() {
    let Some((root, size)) = child_input() else { return };
    let mut memory = Memory::default();
    let store = open(&root);
    let mut incoming = store.receive().unwrap().with_md5();
    let piece = vec![1; 1024 * 1024];
    for _ in 0..size.parse().unwrap() {
        incoming.write_all(&piece).unwrap();
        memory.sample();
    }
    store.put("s", record("a"), incoming.finish().unwrap()).unwrap();
    memory.print();
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_size() {
    let peak = |mebibytes: &str| {
        let home = tempfile::tempdir().unwrap();
        peak(child("processes::child_puts_much", home.path(), mebibytes))
    };
    let (small, large) = (peak("2"), peak("256"));
    // A shared store keeps the parts in flight in memory.
    let most = if is_shared() { 80 * 1024 } else { 4 * 1024 };
    assert!(large < most, "{large} KiB");
    assert!(large < small + most, "{large} KiB for 256 MiB, {small} KiB for 2 MiB");
}
