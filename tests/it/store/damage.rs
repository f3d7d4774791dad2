//! Damaged content, rows and indexes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use haul::error::{Error, Kind};
use haul::model::{File, FileId, Object, Warn};
use haul::store::{Action, Finding, Listing, Options, Problem, Store};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::store::support::*;

/// Larger than the buffer of any reader.
const LARGE: usize = 700_000;

/// Changes the last byte of the only content.
fn damage(root: &Path) -> PathBuf {
    let blobs = files_below(&root.join("blobs"));
    assert_eq!(blobs.len(), 1);
    let mut bytes = fs::read(&blobs[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blobs[0], bytes).unwrap();
    blobs[0].clone()
}

#[test]
fn damaged_content_is_replaced_when_the_same_content_is_put_again() {
    for size in [5, LARGE] {
        let home = tempfile::tempdir().unwrap();
        let store = open_directory(home.path());
        let good = vec![7; size];
        put(&store, "a", &good);
        put(&store, "b", b"");
        store.delete("s", &"b".into()).unwrap();
        let blob = damage(home.path());
        put(&store, "b", &good);
        assert!(content(&store, "a") == good && content(&store, "b") == good);
        damage(home.path());
        store.replace("s", &"a".into(), receive(&store, &good), |_| Ok(())).unwrap();
        assert!(content(&store, "a") == good && content(&store, "b") == good);
        fs::remove_file(&blob).unwrap();
        store.replace("s", &"b".into(), receive(&store, &good), |_| Ok(())).unwrap();
        assert!(content(&store, "a") == good && content(&store, "b") == good);
        assert_eq!(contents(home.path()), 1);
        assert!(is_tidy(home.path()));
    }
}

#[test]
fn damaged_content_is_never_read_to_its_end() {
    for size in [5, LARGE] {
        let home = tempfile::tempdir().unwrap();
        let store = open_directory(home.path());
        put(&store, "a", &vec![7; size]);
        let id = FileId::from("a");
        assert!(store.is_intact("s", &id).unwrap());
        let blob = damage(home.path());
        assert!(!store.is_intact("s", &id).unwrap());
        let mut read = Vec::new();
        let error = store.get("s", &id).unwrap().1.read_to_end(&mut read).unwrap_err();
        assert_eq!(error.to_string(), "its content is damaged");
        assert!(read.len() < size, "the last bytes are not returned");
        let refused = store.copy_out("s", &id).unwrap_err();
        assert_eq!(refused.to_string(), "a: cannot be copied: its content is damaged");
        assert!(files_below(&home.path().join("links")).is_empty() && is_tidy(home.path()));
        // A partial read has no checksum to compare with.
        let mut part = store.get("s", &id).unwrap().1;
        part.start_at(size as u64 - 1).unwrap();
        read.clear();
        part.read_to_end(&mut read).unwrap();
        assert_eq!(read, [6]);
        assert_eq!(
            store.get("s", &id).unwrap().1.into_file().unwrap().metadata().unwrap().len(),
            size as u64
        );
        fs::remove_file(&blob).unwrap();
        assert!(!store.is_intact("s", &id).unwrap());
        let missing = store.get("s", &id).unwrap_err();
        assert_eq!(missing.to_string(), "a: its content is missing from the store");
        assert_eq!(store.is_intact("s", &"z".into()).unwrap_err().kind(), Kind::NotFound);
    }
}

/// A store with three files and two blobs as a killed process leaves it: the last changes are only in the `-wal`
/// file.
fn killed() -> tempfile::TempDir {
    let (home, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open_directory(home.path());
    put(&store, "a", b"first");
    put(&store, "b", b"first");
    // Opening and closing the store a second time leaves the log unchanged.
    drop(open_directory(home.path()));
    put(&store, "c", b"second");
    copy(home.path(), killed.path());
    assert!(fs::metadata(killed.path().join("index.sqlite-wal")).unwrap().len() > 0);
    killed
}

fn copy(from: &Path, to: &Path) {
    for path in files_below(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if !path.ends_with("index.sqlite-shm") {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Every file of a store with its bytes. SQLite creates an empty log when it opens an index.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = files_below(root).into_iter().filter(|path| !path.ends_with("index.sqlite-shm"));
    let all = all.map(|path| (path.clone(), fs::read(&path).unwrap()));
    all.filter(|(path, bytes)| !path.ends_with("index.sqlite-wal") || !bytes.is_empty()).collect()
}

/// The refusal to open a store. It changes nothing, however often the store is opened.
#[track_caller]
fn refused(root: &Path) -> Error {
    let before = snapshot(root);
    let error = Store::open(root, Options::default()).err().unwrap();
    assert_eq!(Store::open(root, Options::default()).err().unwrap().to_string(), error.to_string());
    assert!(snapshot(root) == before, "{error}");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.message().starts_with(&format!("{}: ", root.join("index.sqlite").display())), "{error}");
    let aside =
        format!("to move the store aside and start with an empty one: `mv {0} {0}.damaged`", root.display());
    assert!(error.hints().iter().any(|hint| hint.starts_with(&aside)), "{error} {:?}", error.hints());
    error
}

#[test]
fn a_missing_or_empty_index_with_content_is_an_error() {
    let home = killed();
    let (root, index) = (home.path(), home.path().join("index.sqlite"));
    let bytes = fs::read(&index).unwrap();
    let log = fs::read(root.join("index.sqlite-wal")).unwrap();
    let still = format!("2 blobs are still in {}", root.join("blobs").display());
    for log_is_there in [true, false] {
        if !log_is_there {
            fs::remove_file(root.join("index.sqlite-wal")).unwrap();
        }
        fs::remove_file(&index).unwrap();
        let error = refused(root);
        assert!(error.message().ends_with("the store's index is missing"), "{error}");
        assert_eq!(error.causes(), [still.as_str()]);
        fs::write(&index, b"").unwrap();
        let error = refused(root);
        assert!(error.message().ends_with("the store's index is empty"), "{error}");
        assert_eq!(error.causes(), [still.as_str()]);
    }
    // A blob with a mark counts, too: without the index, a mark does not show that no row refers to the blob.
    fs::write(root.join(format!("doubtful/blob.{}.1", sha256(b"first"))), b"").unwrap();
    assert!(refused(root).causes()[0].starts_with("2 blobs"));
    fs::write(&index, bytes).unwrap();
    fs::write(root.join("index.sqlite-wal"), log).unwrap();
    assert_eq!(ids(&open_directory(root).list("s", &Listing::default()).unwrap()), ["a", "b", "c"]);
}

#[test]
fn an_index_with_lost_changes_is_refused_until_they_are_restored_or_abandoned() {
    let home = killed();
    let (root, wal) = (home.path(), home.path().join("index.sqlite-wal"));
    let log = fs::read(&wal).unwrap();
    let cut = |at: usize| fs::write(&wal, &log[..at]).unwrap();
    let flip = |at: usize| {
        let mut bytes = log.clone();
        bytes[at] ^= 1;
        fs::write(&wal, bytes).unwrap();
    };
    let harms: [(&str, &dyn Fn()); 6] = [
        ("deleted", &|| fs::remove_file(&wal).unwrap()),
        ("emptied", &|| cut(0)),
        ("cut", &|| cut(log.len() - 1)),
        ("another byte at the end", &|| flip(log.len() - 1)),
        ("another byte at the start", &|| flip(0)),
        ("another byte in the middle", &|| flip(log.len() / 2)),
    ];
    for (what, harm) in harms {
        harm();
        let error = refused(root);
        println!("{what}: {error}");
        let known = error.message().contains("the store's index has lost its last ")
            || error.causes()[0].starts_with("2 blobs are still in ");
        assert!(known, "{what}: {error}");
        fs::write(&wal, &log).unwrap();
    }
    cut(log.len() - 1);
    let error = refused(root);
    assert!(error.message().ends_with("the store's index has lost its last change"), "{error}");
    let accept = format!("to accept the index as it is: `rm {}`", root.join("generation").display());
    assert!(error.hints().contains(&accept), "{:?}", error.hints());
    fs::remove_file(root.join("generation")).unwrap();
    let store = open_directory(root);
    assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["a", "b"]);
    put(&store, "d", b"third");
    drop(store);
    assert_eq!(ids(&open_directory(root).list("s", &Listing::default()).unwrap()), ["a", "b", "d"]);
}

#[test]
fn an_older_index_is_recognized() {
    let home = tempfile::tempdir().unwrap();
    let (root, index) = (home.path(), home.path().join("index.sqlite"));
    put(&open_directory(root), "a", b"first");
    let older = fs::read(&index).unwrap();
    let store = open_directory(root);
    put(&store, "b", b"second");
    store.delete("s", &"a".into()).unwrap();
    drop(store);
    let latest = fs::read(&index).unwrap();
    fs::write(&index, &older).unwrap();
    assert!(refused(root).message().ends_with("the store's index has lost its last 2 changes"));
    // An index of the format without a counter.
    let uncounted = Connection::open(&index).unwrap();
    uncounted.execute_batch("DROP TABLE generation; PRAGMA user_version = 2").unwrap();
    drop(uncounted);
    for _ in 0..2 {
        assert!(refused(root).message().ends_with("the store's index has lost its last 3 changes"));
    }
    // An incomplete number is ignored.
    for text in ["", "00000000000000000003", "00000000000000000009 00000000000000000003\n"] {
        fs::write(&index, &latest).unwrap();
        fs::write(root.join("generation"), text).unwrap();
        assert_eq!(ids(&open_directory(root).list("s", &Listing::default()).unwrap()), ["b"]);
    }
    put(&open_directory(root), "c", b"third");
    fs::write(&index, &latest).unwrap();
    assert!(refused(root).message().ends_with("the store's index has lost its last change"));
}

#[test]
fn a_legitimately_empty_store_opens() {
    // A new store, opened twice.
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    drop(open_directory(root));
    drop(open_directory(root));
    fs::write(root.join("index.sqlite"), b"").unwrap();
    let store = open_directory(root);
    // All files are deleted.
    put(&store, "a", b"hello");
    store.delete("s", &"a".into()).unwrap();
    drop(store);
    drop(open_directory(root));
    // As if the process was killed after the first file's content was in place and before its row was committed.
    let sha256 = sha256(b"hello");
    let directory = root.join("blobs").join(&sha256[..2]);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(&sha256), b"hello").unwrap();
    fs::write(root.join(format!("doubtful/blob.{sha256}.1")), b"").unwrap();
    drop(open_directory(root));
    assert_eq!(contents(root), 0);
    assert!(is_tidy(root));
    // Other files below `blobs` are ignored.
    fs::write(root.join("blobs/notes.txt"), b"mine").unwrap();
    fs::write(directory.join("notes.txt"), b"mine").unwrap();
    drop(open_directory(root));
    // A deleted index is not an error if the store has no content.
    fs::remove_file(root.join("index.sqlite")).unwrap();
    let store = open_directory(root);
    put(&store, "a", b"hello");
    drop(store);
    assert_eq!(ids(&open_directory(root).list("s", &Listing::default()).unwrap()), ["a"]);
    // Content without a mark means that data was lost.
    let index = Connection::open(root.join("index.sqlite")).unwrap();
    index.execute("DELETE FROM files", []).unwrap();
    drop(index);
    let error = refused(root);
    assert!(error.message().ends_with("the store's index has no files"), "{error}");
    assert_eq!(error.causes(), [format!("1 blob is still in {}", root.join("blobs").display())]);
}

#[test]
fn an_index_with_another_schema_is_refused() {
    let forms: [(&str, &str, &str); 6] = [
        ("PRAGMA user_version = -1", "belongs to another program", ""),
        ("PRAGMA user_version = 0", "belongs to another program", ""),
        ("PRAGMA user_version = 1", "is damaged", "index files_by_creation already exists"),
        ("DROP TABLE files", "is damaged", "no such table: files"),
        ("DROP TABLE generation", "is damaged", "no such table: generation"),
        ("ALTER TABLE generation RENAME COLUMN number TO n", "is damaged", "no such column: number"),
    ];
    for (change, message, cause) in forms {
        let home = tempfile::tempdir().unwrap();
        put(&open_directory(home.path()), "a", b"hello");
        let index = Connection::open(home.path().join("index.sqlite")).unwrap();
        index.execute_batch(change).unwrap();
        drop(index);
        if change.ends_with("= 1") {
            assert!(refused(home.path()).message().ends_with("has lost its last change"));
            fs::remove_file(home.path().join("generation")).unwrap();
        }
        let error = refused(home.path());
        assert!(error.message().ends_with(&format!("the store's index {message}")), "{change}: {error}");
        assert_eq!(error.causes().concat(), cause, "{change}");
    }
    let home = tempfile::tempdir().unwrap();
    drop(open_directory(home.path()));
    let index = Connection::open(home.path().join("index.sqlite")).unwrap();
    index.execute_batch("PRAGMA user_version = 4").unwrap();
    drop(index);
    let error = Store::open(home.path(), Options::default()).err().unwrap();
    assert!(
        error
            .message()
            .ends_with("unsupported store format 4: this version of haul supports formats up to 3"),
        "{error}"
    );
}

/// A store that records its warnings.
fn open_warned(root: &Path) -> (Store, Arc<Mutex<Vec<String>>>) {
    let warned = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&warned);
    let warn = Warn::by(move |text| keep.lock().unwrap().push(text.to_owned()));
    (Store::open(root, Options { warn, ..Options::default() }).unwrap(), warned)
}

#[test]
fn a_damaged_row_hides_only_itself() {
    let values = [
        ("expires_at", "'soon'"),
        ("expires_at", "-1000000000000000000"),
        ("expires_at", "1000000000000000000"),
        ("expires_at", "1.5"),
        ("expires_at", "x'00'"),
        ("created_at", "'x'"),
        ("updated_at", "9223372036854775807"),
        ("metadata", "'{'"),
        ("metadata", "'[]'"),
        ("metadata", "CAST(x'ff' AS TEXT)"),
        ("extra", "5"),
        ("name", "CAST(x'61ff62' AS TEXT)"),
        ("name", "x'61'"),
        ("content_type", "CAST(x'ff' AS TEXT)"),
        ("size", "-1"),
        ("size", "'many'"),
        ("sha256", "x'00'"),
        ("blake3", "CAST(x'ff' AS TEXT)"),
        ("downloadable", "'perhaps'"),
        ("id", "CAST(x'62ff' AS TEXT)"),
    ];
    for (column, value) in values {
        let home = tempfile::tempdir().unwrap();
        let store = open_directory(home.path());
        for id in ["a", "bad", "c"] {
            put(&store, id, id.as_bytes());
        }
        drop(store);
        let index = Connection::open(home.path().join("index.sqlite")).unwrap();
        index.execute(&format!("UPDATE files SET {column} = {value} WHERE id = 'bad'"), []).unwrap();
        drop(index);
        let (store, warned) = open_warned(home.path());
        for _ in 0..2 {
            let mut listed = Vec::new();
            let mut listing = Listing { limit: 1, ..Listing::default() };
            while let Some(file) = store.list("s", &listing).unwrap().pop() {
                listing.after = Some(file.id.clone());
                listed.push(file);
            }
            assert_eq!(ids(&listed), ["a", "c"], "{column} {value}");
        }
        let id = if column == "id" { "b\u{fffd}" } else { "bad" };
        let warning = format!("{id}: its record in the store's index is damaged (`{column}`): skipped");
        assert_eq!(*warned.lock().unwrap(), [warning], "{column} {value}");
        if column != "id" {
            let error = store.stat("s", &"bad".into()).unwrap_err();
            assert_eq!(error.kind(), Kind::Failed);
            let said = format!("bad: its record in the store's index is damaged: `{column}` cannot be read");
            assert_eq!(error.to_string(), said);
            let error = store.annotate("s", &"bad".into(), |_| Ok(())).unwrap_err();
            assert_eq!(error.to_string(), said);
        }
        // Other files work, and no content is lost.
        let soon = File { expires_at: Some(Timestamp::UNIX_EPOCH), ..record("d") };
        store.put("s", soon, receive(&store, b"d")).unwrap();
        assert_eq!(store.expire().unwrap(), 1, "{column} {value}");
        store
            .annotate("s", &"a".into(), |file| {
                file.name = "x".into();
                Ok(())
            })
            .unwrap();
        store.delete("s", &"c".into()).unwrap();
        drop(store);
        let store = open_directory(home.path());
        assert_eq!(ids(&store.list("s", &Listing::default()).unwrap()), ["a"]);
        assert_eq!(contents(home.path()), 2, "{column} {value}");
        assert_eq!(content(&store, "a"), b"a");
    }
}

#[test]
fn damaged_expired_rows_do_not_prevent_expiry() {
    let home = tempfile::tempdir().unwrap();
    let store = open_directory(home.path());
    let expires_at = Some(Timestamp::UNIX_EPOCH);
    for n in 0..300 {
        store.put("s", File { expires_at, ..record(&format!("f{n:03}")) }, receive(&store, b"x")).unwrap();
    }
    let index = Connection::open(home.path().join("index.sqlite")).unwrap();
    // Their ids are unreadable, so the rows cannot be deleted by id.
    index.execute("UPDATE files SET id = CAST(x'ff' || id AS TEXT) WHERE id < 'f280'", []).unwrap();
    drop(index);
    drop(store);
    let store = open_directory(home.path());
    assert_eq!(store.expire().unwrap(), 0, "they were deleted on opening");
    let index = Connection::open(home.path().join("index.sqlite")).unwrap();
    let left: u32 = index.query_row("SELECT count(*) FROM files", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 280);
}

#[test]
fn a_damaged_note_hides_only_itself() {
    let home = tempfile::tempdir().unwrap();
    let (store, warned) = open_warned(home.path());
    put(&store, "a", b"hello");
    let copy = store.copy_out("s", &"a".into()).unwrap();
    note(&store, "s", "good", Some("a"), &Object::new());
    note(&store, "s", "bad", Some("a"), &Object::new());
    let index = Connection::open(home.path().join("index.sqlite")).unwrap();
    index.execute("UPDATE notes SET note = '{' WHERE key <> 'good'", []).unwrap();
    drop(index);
    for _ in 0..2 {
        let notes = store.notes("s", "k", None).unwrap();
        assert_eq!(notes.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["good"]);
    }
    assert_eq!(
        *warned.lock().unwrap(),
        ["bad: its record in the store's index is damaged (`note`): skipped"]
    );
    let error = store.noted("s", "k", "bad").unwrap_err();
    assert_eq!(error.to_string(), "bad: its record in the store's index is damaged: `note` cannot be read");
    // Notes are deleted with their file, whatever their content.
    store.delete("s", &"a".into()).unwrap();
    assert!(!copy.path.exists() && is_tidy(home.path()));
}

#[test]
fn a_store_is_not_opened_during_a_repair() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    drop(open_directory(root));
    let repair = fs::File::open(root).unwrap();
    repair.lock().unwrap();
    fs::write(root.join("index.sqlite"), "half of an index").unwrap();
    let refused = Store::open(root, Options::default()).map(drop).unwrap_err();
    assert!(refused.to_string().ends_with("the store is being repaired"), "{refused}");
}

/// The findings of a check: problem, name, repair.
#[track_caller]
fn checked(root: &Path, repair: bool) -> Vec<(Problem, String, Option<Action>)> {
    let mut found = Vec::new();
    let summary = haul::store::check(root, &Options::default(), repair, &mut |finding: Finding| {
        found.push((finding.problem, finding.file.name, finding.action));
        Ok(())
    });
    let summary = summary.unwrap();
    assert_eq!(summary.problems, found.len() as u64);
    assert_eq!(summary.open, found.iter().filter(|(_, _, action)| action.is_none()).count() as u64);
    found
}

fn blob(root: &Path, content: &[u8]) -> PathBuf {
    let sha256 = sha256(content);
    root.join("blobs").join(&sha256[..2]).join(sha256)
}

#[test]
fn a_check_finds_and_repairs_what_the_content_allows() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    let store = open_directory(root);
    for id in ["a", "b", "c", "d", "e"] {
        put(&store, id, id.as_bytes());
    }
    note(&store, "s", "n", Some("a"), &Object::new());
    let refused = haul::store::check(root, &Options::default(), true, &mut |_| Ok(()));
    assert!(refused.unwrap_err().to_string().ends_with("another process is using the store"));
    assert_eq!(checked(root, false), []);
    drop(store);
    assert_eq!(checked(root, true), []);
    // Missing and damaged content, damaged records, content without a record.
    fs::remove_file(blob(root, b"a")).unwrap();
    fs::write(blob(root, b"b"), b"x").unwrap();
    let index = Connection::open(root.join("index.sqlite")).unwrap();
    index.execute_batch(
        "UPDATE files SET expires_at = 'soon', metadata = '[' WHERE id = 'c'; DELETE FROM files WHERE id = 'd'; \
         UPDATE files SET size = 7 WHERE id = 'e'; UPDATE notes SET note = 'x'",
    )
    .unwrap();
    let lost = format!("recovered-{}", &sha256(b"d")[..12]);
    let expect = |repaired: bool| {
        let orphan = if repaired { lost.as_str() } else { "" };
        let after = |action| Some(action).filter(|_| repaired);
        let mut all = vec![
            (Problem::Missing, "a.txt".to_owned(), None),
            (Problem::Damaged, "b.txt".to_owned(), None),
            (Problem::Record, "c.txt".to_owned(), after(Action::Mended)),
            (Problem::Record, "e.txt".to_owned(), after(Action::Mended)),
            (Problem::Record, String::new(), after(Action::Removed)),
            (Problem::Orphaned, orphan.to_owned(), after(Action::Recovered)),
        ];
        all.sort_by_key(|(problem, name, _)| (*problem as u8, name.clone()));
        all
    };
    for repair in [false, true] {
        let mut found = checked(root, repair);
        found.sort_by_key(|(problem, name, _)| (*problem as u8, name.clone()));
        assert_eq!(found, expect(repair), "repair: {repair}");
    }
    let rest = [(Problem::Missing, "a.txt".to_owned(), None), (Problem::Damaged, "b.txt".to_owned(), None)];
    let mut left = checked(root, true);
    left.sort_by_key(|(problem, ..)| *problem as u8);
    assert_eq!(left, rest);
    let store = open_directory(root);
    let files = store.list("local", &Listing::default()).unwrap();
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), [lost.as_str()]);
    assert_eq!(content(&store, "c"), b"c");
    assert_eq!(store.stat("s", &"e".into()).unwrap().size, Some(1));
    // The same content again repairs the rest.
    put(&store, "f", b"a");
    put(&store, "g", b"b");
    assert_eq!(checked(root, false), []);
}

#[test]
fn an_index_is_rebuilt_from_its_records_and_the_content() {
    type Harm<'a> = (&'a str, usize, &'a dyn Fn(&Path));
    let harms: [Harm; 5] = [
        ("missing", 0, &|root| {
            fs::remove_file(root.join("index.sqlite")).unwrap();
            fs::remove_file(root.join("index.sqlite-wal")).unwrap();
        }),
        ("empty", 0, &|root| fs::write(root.join("index.sqlite"), b"").unwrap()),
        ("no database", 0, &|root| {
            fs::remove_file(root.join("index.sqlite-wal")).unwrap();
            fs::write(root.join("index.sqlite"), vec![7; 50_000]).unwrap();
        }),
        ("without its log", 0, &|root| fs::remove_file(root.join("index.sqlite-wal")).unwrap()),
        ("a damaged search tree", 3, &|root| {
            drop(open_directory(root));
            let path = root.join("index.sqlite");
            let index = Connection::open(&path).unwrap();
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'files_by_name'";
            let page: usize = index.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
            drop(index);
            let mut bytes = fs::read(&path).unwrap();
            bytes[(page - 1) * 4096..page * 4096].fill(0xFF);
            fs::write(&path, bytes).unwrap();
        }),
    ];
    for (what, records, harm) in harms {
        let home = killed();
        let root = home.path();
        harm(root);
        let found = checked(root, false);
        assert!(matches!(found.as_slice(), [(Problem::Index, _, None)]), "{what}: {found:?}");
        let found = checked(root, true);
        assert_eq!(found[0].2, Some(Action::Rebuilt), "{what}");
        assert!(
            found[1..].iter().all(|(.., action)| *action == Some(Action::Recovered)),
            "{what}: {found:?}"
        );
        assert_eq!(checked(root, false), [], "{what}");
        let store = open_directory(root);
        let kept = store.list("s", &Listing::default()).unwrap();
        assert_eq!(kept.len(), records, "{what}");
        let mut all: Vec<_> = kept.iter().map(|file| content(&store, file.id.as_str())).collect();
        for file in store.list("local", &Listing::default()).unwrap() {
            let mut bytes = Vec::new();
            store.get("local", &file.id).unwrap().1.read_to_end(&mut bytes).unwrap();
            all.push(bytes);
        }
        all.sort();
        all.dedup();
        assert_eq!(all, [b"first".to_vec(), b"second".to_vec()], "{what}");
    }
}

#[test]
#[cfg(unix)]
fn an_index_is_rebuilt_with_its_log_in_a_folder_of_any_name() {
    use std::os::unix::ffi::OsStrExt as _;
    for name in [&b"store"[..], b"store-\xff"] {
        let (home, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        put(&open_directory(home.path()), "a", b"first");
        // The connection keeps the change in the log.
        let index = Connection::open(home.path().join("index.sqlite")).unwrap();
        index.execute("UPDATE files SET name = 'renamed'", []).unwrap();
        let root = parent.path().join(std::ffi::OsStr::from_bytes(name));
        copy(home.path(), &root);
        // More changes than the index has.
        fs::write(root.join("generation"), "99 99\n").unwrap();
        assert_eq!(checked(&root, true), [(Problem::Index, String::new(), Some(Action::Rebuilt))]);
        assert_eq!(open_directory(&root).stat("s", &"a".into()).unwrap().name, "renamed");
        let mut logs = files_below(&root).into_iter().filter(|path| path.ends_with("index.sqlite-wal"));
        assert!(logs.any(|path| path.parent() != Some(&root)), "the log is set aside");
    }
}
