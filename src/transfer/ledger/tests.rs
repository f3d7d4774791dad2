//! Tests for the ledger.

use std::sync::Arc;

use super::*;

struct Home {
    folder: tempfile::TempDir,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), warnings: Arc::default() }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn db(&self) -> PathBuf {
        self.state().join("ledger.db")
    }

    fn ledger(&self, command: &str) -> Ledger {
        let warnings = Arc::clone(&self.warnings);
        let warn = Warn::by(move |text| warnings.lock().unwrap().push(text.to_owned()));
        Ledger::open(&self.state(), "xai https://api.x.ai/v1 []", command, warn)
    }

    fn file(&self, name: &str, content: &str) -> NewFile {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        NewFile { source: Source::Path(path), size: content.len() as u64, ..NewFile::from_bytes(name, "") }
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap())
    }

    fn runs(&self) -> usize {
        fs::read_dir(self.state().join("runs")).map_or(0, Iterator::count)
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn uploaded(id: &str) -> File {
    File { id: id.into(), name: "a".to_owned(), ..File::default() }
}

fn sums(digest: &str) -> Checksums {
    Checksums::of("blake3", digest)
}

fn begin_in_place_of(ledger: &Ledger, new: &NewFile, old: Option<&FileId>) -> Option<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(ledger.begin(new, Stamp::of_source(new), now(), old))
}

fn begin(ledger: &Ledger, new: &NewFile) -> Option<i64> {
    begin_in_place_of(ledger, new, None)
}

fn earlier(ledger: &Ledger, new: &NewFile, now: Timestamp) -> Earlier {
    ledger.earlier(new, Stamp::of_source(new), now).0
}

fn done(ledger: &Ledger, new: &NewFile, id: &str) {
    ledger.finish(begin(ledger, new), &uploaded(id), new.size, &sums(id), None);
}

fn shown(earlier: &Earlier) -> &str {
    match earlier {
        Earlier::Nothing => "nothing",
        Earlier::Begun(_) => "begun",
        Earlier::Finished { id, .. } => id.as_str(),
    }
}

#[test]
fn the_same_command_continues_and_a_finished_one_starts_over() {
    let home = Home::new();
    let (a, b, c) = (home.file("a", "1"), home.file("b", "2"), home.file("c", "3"));
    let ledger = home.ledger("up");
    done(&ledger, &a, "f1");
    begin_in_place_of(&ledger, &NewFile { mark: Some("m".to_owned()), ..b.clone() }, Some(&"old".into()));
    ledger.forget(begin(&ledger, &c));
    assert_eq!(shown(&earlier(&home.ledger("up"), &a, now())), "nothing", "it is still running");
    assert_eq!(shown(&earlier(&ledger, &a, now())), "nothing", "this run uploaded it");
    drop(ledger);

    let again = home.ledger("up");
    assert_eq!(shown(&earlier(&again, &a, now())), "f1");
    assert_eq!(shown(&earlier(&again, &a, now())), "nothing", "named twice, it is sent twice");
    let Earlier::Begun(begun) = earlier(&again, &b, now()) else { panic!("b was being sent") };
    assert_eq!((begun.old, begun.mark), (Some("old".into()), Some("m".to_owned())));
    assert_eq!(shown(&earlier(&again, &c, now())), "nothing");
    again.finish(Some(begun.number), &uploaded("f2"), 1, &sums("2"), None);
    again.end(true);
    drop(again);
    assert_eq!(shown(&earlier(&home.ledger("up"), &a, now())), "nothing");
    assert_eq!(home.runs(), 0);
    assert_eq!(home.ledger("other").content(&"f2".into()).unwrap().checksums, sums("2"));
    assert!(home.warnings().is_empty());
}

#[test]
fn another_command_uses_only_begun_uploads() {
    let home = Home::new();
    let (a, b) = (home.file("a", "1"), home.file("b", "2"));
    let ledger = home.ledger("up a b");
    done(&ledger, &a, "f1");
    begin(&ledger, &b);
    assert_eq!(shown(&earlier(&home.ledger("up b"), &b, now())), "nothing", "it is still running");
    drop(ledger);
    let other = home.ledger("up b");
    assert_eq!(
        (shown(&earlier(&other, &a, now())), shown(&earlier(&other, &b, now()))),
        ("nothing", "begun")
    );
}

#[test]
fn an_old_or_changed_upload_is_not_continued() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up");
    done(&ledger, &a, "f1");
    drop(ledger);
    let later = now().checked_add(KEPT).unwrap().checked_add(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(shown(&earlier(&home.ledger("up"), &a, later)), "nothing");
    assert_eq!(shown(&earlier(&home.ledger("up"), &home.file("a", "22"), now())), "nothing");
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up").read_only();
    assert_eq!(begin(&ledger, &a), None);
    ledger.learn(&a, None, &uploaded("f1"), &sums("1"), now());
    assert_eq!(ledger.content(&"f1".into()), None);
    drop(ledger);
    done(&home.ledger("up"), &a, "f1");
    let again = home.ledger("up").read_only();
    assert_eq!(shown(&earlier(&again, &a, now())), "f1");
    again.end(true);
    drop(again);
    assert_eq!(shown(&earlier(&home.ledger("up"), &a, now())), "f1");
}

/// The number of rows in this state, as another process sees them.
fn rows(home: &Home, state: &str) -> i64 {
    let db = Connection::open(home.db()).unwrap();
    db.query_row("SELECT count(*) FROM uploads WHERE state = ?", [state], |row| row.get(0)).unwrap()
}

#[test]
fn only_begun_rows_are_written_at_once() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up");
    let number = begin(&ledger, &a);
    assert_eq!((rows(&home, "begun"), rows(&home, "done")), (1, 0));
    ledger.finish(number, &uploaded("f1"), 1, &sums("1"), None);
    // The next upload writes the change, and this command sees it in any case.
    let second = begin(&ledger, &a);
    assert_eq!((rows(&home, "begun"), rows(&home, "done")), (1, 1));
    ledger.finish(second, &uploaded("f2"), 1, &sums("2"), None);
    assert_eq!(ledger.content(&"f2".into()).unwrap().checksums, sums("2"));
    drop(ledger);
    assert_eq!((rows(&home, "begun"), rows(&home, "done")), (0, 2));
}

#[tokio::test]
async fn uploads_that_begin_together_are_written_together() {
    let home = Home::new();
    let files: Vec<NewFile> = (0..8).map(|number| home.file(&format!("f{number}"), "x")).collect();
    let ledger = home.ledger("up");
    let begin = |new| Box::pin(ledger.begin(new, Stamp::of_source(new), now(), None));
    let mut begins: Vec<_> = files.iter().map(begin).collect();
    for begin in &mut begins {
        assert!(futures_util::poll!(begin.as_mut()).is_pending());
    }
    assert_eq!(rows(&home, "begun"), 0);
    let mut numbers = vec![begins.remove(0).await];
    assert_eq!(rows(&home, "begun"), 8);
    for begin in begins {
        numbers.push(begin.await);
    }
    numbers.dedup();
    assert_eq!(numbers.iter().flatten().count(), 8, "{numbers:?}");
}

#[test]
fn a_kept_file_is_deleted_by_the_next_run() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up");
    let number = begin_in_place_of(&ledger, &a, Some(&"old".into()));
    ledger.finish(number, &uploaded("new"), 1, &sums("1"), Some(&"old".into()));
    drop(ledger);
    let Earlier::Finished { id, old } = earlier(&home.ledger("up"), &a, now()) else { panic!("finished") };
    assert_eq!((id, old), ("new".into(), Some("old".into())));
}

#[test]
fn a_ledger_is_new_until_an_upload_is_finished() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up");
    assert!(ledger.is_new());
    ledger.learn(&a, None, &uploaded("f1"), &sums("1"), now());
    let number = begin(&ledger, &a);
    assert!(ledger.is_new());
    ledger.finish(number, &uploaded("f1"), 1, &sums("1"), None);
    drop(ledger);
    let state = home.state();
    assert!(!Ledger::open(&state, "another target", "get", Warn::default()).is_new());
    assert!(!Ledger::default().is_new());
}

#[test]
fn a_compared_file_was_not_uploaded_from_here() {
    let home = Home::new();
    let ledger = home.ledger("upload a b");
    let [a, b] = ["a", "b"].map(|name| home.file(name, name));
    done(&ledger, &a, "f1");
    ledger.learn(&b, None, &uploaded("f1"), &sums("1"), now());
    ledger.learn(&b, None, &uploaded("f2"), &sums("1"), now());
    ledger.record();
    let path = |id: &str| ledger.uploaded_from(&FileId::from(id));
    assert!(path("f1").is_some_and(|path| path.ends_with("a")) && path("f2").is_none());
}

#[test]
fn the_latest_upload_gives_the_content() {
    let home = Home::new();
    let a = home.file("a", "1");
    let ledger = home.ledger("up");
    assert_eq!(ledger.content(&"f1".into()), None);
    done(&ledger, &a, "f1");
    let file = File { updated_at: Some(Timestamp::UNIX_EPOCH), ..uploaded("f1") };
    ledger.finish(begin(&ledger, &a), &file, 7, &sums("new"), None);
    let version = Some("1970-01-01T00:00:00Z".to_owned());
    assert_eq!(ledger.content(&"f1".into()), Some(Content { size: 7, checksums: sums("new"), version }));
}

#[test]
fn a_hash_is_known_until_the_file_changes() {
    let home = Home::new();
    home.file("a", "1");
    let path = home.folder.path().join("a");
    let stamp = Stamp::of(&path).unwrap();
    let ledger = home.ledger("up");
    ledger.note_hash(&path, stamp, "blake3", "h", now());
    assert_eq!(ledger.hash(&path, "blake3"), None, "it may still change within the same time stamp");
    let later = now().checked_add(SignedDuration::from_secs(3)).unwrap();
    ledger.note_hash(&path, stamp, "blake3", "h", later);
    assert_eq!(ledger.hash(&path, "blake3").as_deref(), Some("h"));
    assert_eq!(ledger.hash(&path, "sha256"), None);
    home.file("a", "2");
    assert_eq!(ledger.hash(&path, "blake3"), None);
    ledger.note_hash(&path, stamp, "blake3", "h", later);
    assert_eq!(ledger.hash(&path, "blake3"), None, "it changed while it was read");
}

#[test]
fn the_tables_are_bounded() {
    let home = Home::new();
    let a = home.file("a", "1");
    done(&home.ledger("up"), &a, "f1");
    let db = Connection::open(home.db()).unwrap();
    db.execute("UPDATE uploads SET number = number + ?", [database::MAX_ROWS]).unwrap();
    done(&home.ledger("up"), &a, "f2");
    done(&home.ledger("up"), &a, "f3");
    drop(home.ledger("up"));
    db.execute(
        "INSERT INTO uploads (number, target, run, state, name, size, at) SELECT 1, '', '', 'done', '', 0, 0",
        [],
    )
    .unwrap();
    drop(home.ledger("up"));
    let count: i64 = db.query_row("SELECT count(*) FROM uploads", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3);
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    done(&home.ledger("up"), &home.file("a", "1"), "f1");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.db()), 0o600);
    let open = home.ledger("up");
    done(&open, &home.file("a", "1"), "f2");
    assert_eq!(mode(&home.state().join("ledger.db-wal")), 0o600);
}

/// An unusable ledger is turned off or replaced, with at most one warning.
#[test]
fn a_command_works_without_it() {
    type Damage = fn(&Home);
    let damages: [(&str, Damage, &str); 6] = [
        ("deleted", |home| fs::remove_file(home.db()).unwrap(), ""),
        ("empty", |home| fs::write(home.db(), "").unwrap(), ""),
        ("not a database", |home| fs::write(home.db(), "x".repeat(5000)).unwrap(), "was damaged"),
        (
            "truncated",
            |home| {
                let whole = fs::read(home.db()).unwrap();
                fs::write(home.db(), &whole[..whole.len() / 2]).unwrap();
            },
            "was damaged",
        ),
        (
            "newer",
            |home| {
                let db = Connection::open(home.db()).unwrap();
                db.execute_batch("PRAGMA user_version = 99").unwrap();
            },
            "newer version of haul",
        ),
        (
            "no folder",
            |home| {
                fs::remove_dir_all(home.state()).unwrap();
                fs::write(home.state(), "").unwrap();
            },
            "uploads by this command will not be recorded",
        ),
    ];
    for (name, damage, warning) in damages {
        let home = Home::new();
        let a = home.file("a", "1");
        let ledger = home.ledger("up");
        done(&ledger, &a, "f1");
        drop(ledger);
        // Without the write-ahead log, the file alone is the database.
        let db = Connection::open(home.db()).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(db);
        damage(&home);
        let ledger = home.ledger("up");
        earlier(&ledger, &a, now());
        done(&ledger, &a, "f2");
        ledger.content(&"f2".into());
        ledger.end(true);
        let warnings = home.warnings();
        assert_eq!(warnings.len(), usize::from(!warning.is_empty()), "{name}: {warnings:?}");
        assert!(warnings.iter().all(|said| said.contains(warning)), "{name}: {warnings:?}");
    }
}

/// Concurrent commands do not disturb each other.
#[test]
fn many_commands_write_at_once() {
    let home = Home::new();
    let files: Vec<NewFile> = (0..8).map(|number| home.file(&format!("f{number}"), "x")).collect();
    std::thread::scope(|scope| {
        for (number, new) in files.iter().enumerate() {
            let home = &home;
            scope.spawn(move || {
                let ledger = home.ledger(&format!("up {number}"));
                (0..20).for_each(|at| done(&ledger, new, &format!("{number}-{at}")));
            });
        }
    });
    assert!(home.warnings().is_empty());
    for (number, new) in files.iter().enumerate() {
        let again = home.ledger(&format!("up {number}"));
        let found =
            (0..21).filter(|_| matches!(earlier(&again, new, now()), Earlier::Finished { .. })).count();
        assert_eq!(found, 20);
    }
    assert_eq!(home.runs(), 0);
}
