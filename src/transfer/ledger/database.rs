//! The ledger's database.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::sessions;
use crate::files;
use crate::model::Warn;

/// Maximum number of rows kept in `uploads` and in `hashes` when the database is opened.
pub(super) const MAX_ROWS: i64 = 100_000;
/// How long a statement waits for other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The version of the tables, stored in `user_version`.
const VERSION: i64 = 2;

/// Times are in microseconds since 1970. `target` and `command` are hashes.
const TABLES: &str = "
CREATE TABLE uploads (
    number INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    command TEXT,
    run TEXT NOT NULL,
    state TEXT NOT NULL,
    path TEXT,
    mtime INTEGER,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    at INTEGER NOT NULL,
    old TEXT,
    mark TEXT,
    id TEXT,
    version TEXT,
    expires_at INTEGER,
    blake3 TEXT,
    sha256 TEXT,
    md5 TEXT
);
CREATE INDEX uploads_by_path ON uploads (target, path) WHERE path IS NOT NULL;
CREATE INDEX uploads_by_id ON uploads (target, id) WHERE id IS NOT NULL;
CREATE TABLE hashes (
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (path, kind)
);
";

/// Opens the database. A damaged database is moved away; one from a newer version is not touched.
pub(super) fn open(path: &Path, warn: &Warn) -> Result<Connection, String> {
    // The first process changes the journal mode, and SQLite does not wait for another process doing that.
    let _lock = files::wait_for_lock(&path.with_extension("lock"));
    match open_tables(path) {
        Err(error) if is_damage(&error) => {
            let aside = path.with_extension("db.damaged");
            fs::rename(path, &aside).map_err(|error| error.to_string())?;
            for end in ["db-wal", "db-shm"] {
                let _ = fs::remove_file(path.with_extension(end));
            }
            warn.say(&format!(
                "{} was damaged; it was moved to {}, and a new one was started",
                path.display(),
                aside.display()
            ));
            open_tables(path).map_err(|error| error.to_string())
        }
        opened => opened.map_err(|error| error.to_string()),
    }
}

fn open_tables(path: &Path) -> rusqlite::Result<Connection> {
    create_private(path);
    let db = Connection::open(path)?;
    // Without this, SQLite may replan a prepared statement whenever different values are bound.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        let message = "a newer version of haul wrote it".to_owned();
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(message),
        ));
    }
    // In this mode, a commit does not wait for the disk; a power failure loses the latest rows.
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // SQLite overwrites deleted rows, so erased secrets cannot be recovered from the file.
    // A small page cache is sufficient, as paths are looked up in the order of a walk.
    // A checkpoint waits for the disk, so it is delayed until the log reaches 16 MiB.
    db.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA cache_size = -256;
         PRAGMA wal_autocheckpoint = 4096",
    )?;
    if version < VERSION {
        let transaction =
            rusqlite::Transaction::new_unchecked(&db, rusqlite::TransactionBehavior::Immediate)?;
        // Another process may have created the tables in the meantime.
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < 1 {
            transaction.execute_batch(TABLES)?;
        }
        if version < 2 {
            transaction.execute_batch(sessions::TABLES)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    db.execute("DELETE FROM uploads WHERE number <= (SELECT max(number) FROM uploads) - ?", [MAX_ROWS])?;
    db.execute("DELETE FROM hashes WHERE rowid <= (SELECT max(rowid) FROM hashes) - ?", [MAX_ROWS])?;
    Ok(db)
}

/// Creates an empty file that only its owner can read.
fn create_private(path: &Path) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

fn is_damage(error: &rusqlite::Error) -> bool {
    let damaged = [ErrorCode::NotADatabase, ErrorCode::DatabaseCorrupt];
    let no_table = |error: &rusqlite::Error| error.to_string().contains("no such ");
    error.sqlite_error_code().is_some_and(|code| damaged.contains(&code)) || no_table(error)
}
