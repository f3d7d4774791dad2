//! The SQLite index: its tables, connections and transactions.

mod check;
mod reader;
mod salvage;
mod tables;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

pub(in crate::store) use reader::log_of;
pub(in crate::store) use salvage::{FoundFile, salvage};
pub(in crate::store) use tables::Tables;

use super::rows::Rows;
use crate::error::{Error, Result, word};
use crate::files::Locked;
use crate::model::Warn;
use crate::store::blobs::directory::Directory;
use crate::store::space;
use check::Generation;
use reader::Reader;

/// How long a write waits for other processes that are writing.
const BUSY_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum number of idle read connections.
const READERS_KEPT: usize = 4;
/// Size of a connection's page cache, in KiB.
const CACHE_KIB: i64 = 1024;

/// Step `n` migrates format `n` to format `n + 1`; an empty database has format 0. A released step never changes.
const STEPS: &[&str] = &[FILES_AND_NOTES, ORDERS_AND_DEPARTED, GENERATION];

/// The first format with a database index for each listing order, which listing files requires.
const HAS_ORDERS: usize = 2;

/// The reason for rejecting an index that belongs to another program.
const FOREIGN: &str = "belongs to another program";

/// The first format that counts changes.
const COUNTS_CHANGES: usize = 3;

/// Times are in microseconds since 1970. `metadata`, `extra` and `note` are JSON objects.
const FILES_AND_NOTES: &str = "
CREATE TABLE files (
    seq INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    profile TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_type TEXT,
    purpose TEXT,
    path TEXT,
    status TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    expires_at INTEGER,
    sha256 TEXT NOT NULL,
    blake3 TEXT NOT NULL,
    md5 TEXT,
    metadata TEXT NOT NULL,
    downloadable INTEGER,
    url TEXT,
    extra TEXT NOT NULL,
    UNIQUE (space, id)
);
CREATE INDEX files_by_content ON files (sha256);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE notes (
    seq INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    about TEXT,
    note TEXT NOT NULL,
    UNIQUE (kind, key, space)
);
CREATE INDEX notes_by_file ON notes (space, about, kind) WHERE about IS NOT NULL;
";

/// A database index for each listing order, and the positions of deleted files in these orders.
const ORDERS_AND_DEPARTED: &str = "
CREATE INDEX files_by_creation ON files (space, created_at, id);
CREATE INDEX files_by_name ON files (space, name, id);
CREATE INDEX files_by_size ON files (space, size, id);
CREATE TABLE departed (
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    departed_at INTEGER NOT NULL,
    PRIMARY KEY (space, id)
) WITHOUT ROWID;
CREATE INDEX departed_by_time ON departed (departed_at);
";

/// The number of changes in the index, to be compared with the number in a file next to it.
const GENERATION: &str = "
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
";

/// The index of a store. One connection writes, so that the threads of a process queue for it instead of polling.
/// Readers have their own connections and do not wait.
pub(in crate::store) struct Index {
    path: PathBuf,
    blobs: Directory,
    ephemeral: bool,
    /// Not set while the store cannot be written.
    writer: OnceLock<Mutex<Writer>>,
    readers: Mutex<Vec<Reader>>,
    warn: Warn,
    /// The warnings already printed.
    warned: Mutex<HashSet<String>>,
}

struct Writer {
    connection: Connection,
    generation: Generation,
}

impl Index {
    /// Opens the index next to `blobs` and migrates it to the current format. It is an error if the index is damaged,
    /// has lost changes, has an unknown format, or is missing although blobs exist; in these cases, no file is
    /// modified. An index that cannot be written is opened for reading.
    pub(in crate::store) fn open(blobs: Directory, ephemeral: bool, warn: Warn) -> Result<Self> {
        let index = Self::new(blobs, ephemeral, warn);
        match index.open_writer(true) {
            Ok(writer) => {
                index.set_writer(writer);
            }
            Err(error) if space::is_unwritable(&error) => {
                // An index that does not exist cannot be read either.
                if !index.path.exists() || check::is_new(&index.path, &index.blobs)? {
                    return Err(error);
                }
                let noted = Generation::next_to(&index.path).read();
                let mut reader = Reader::open(&index.path)?;
                let format = check::format(&reader.connection, &index.path)?;
                check::is_readable(format, &index.path)?;
                check::is_whole(&mut reader.connection, format, noted, &index.blobs, &index.path, false)?;
                held(&index.readers).push(reader);
            }
            Err(error) => return Err(error),
        }
        Ok(index)
    }

    fn new(blobs: Directory, ephemeral: bool, warn: Warn) -> Self {
        Self {
            path: blobs.root.join("index.sqlite"),
            blobs,
            ephemeral,
            writer: OnceLock::new(),
            readers: Mutex::default(),
            warn,
            warned: Mutex::default(),
        }
    }

    /// Opens an index that was just built and does not have records for all content yet.
    pub(in crate::store) fn open_rebuilt(blobs: Directory) -> Result<Self> {
        let index = Self::new(blobs, false, Warn::default());
        index.set_writer(index.open_writer(false)?);
        Ok(index)
    }

    /// The error for internal damage to the index.
    pub(in crate::store) fn damaged(&self, reason: &str) -> Error {
        unusable(&self.path, "is damaged").cause(reason)
    }

    /// Opens the index for writing. With `checked`, an index that has lost changes is rejected.
    fn open_writer(&self, checked: bool) -> Result<Writer> {
        let path = &self.path;
        self.blobs.create()?;
        let _lock = lock(&self.blobs.root)?;
        let mut generation = Generation::next_to(path);
        // Read before the index, because other processes may advance it in between.
        let noted = generation.read();
        let is_new = check::is_new(path, &self.blobs)?;
        let create = if is_new { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let mut connection = connect(path, create)?;
        let failed = |error: rusqlite::Error| failed(path, &error);
        // If a check fails, closing the connection must not checkpoint and delete the log.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
        let format = check::format(&connection, path)?;
        if !is_new && checked {
            check::is_whole(&mut connection, format, noted, &self.blobs, path, true)?;
        }
        configure(&connection, self.ephemeral).map_err(failed)?;
        migrate(&mut connection, format).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
        if format == 0 && noted.is_some() {
            generation.note(0);
        }
        Ok(Writer { connection, generation })
    }

    /// Stores the writer unless there already is one, and returns the stored one.
    fn set_writer(&self, writer: Writer) -> &Mutex<Writer> {
        let writer = self.writer.get_or_init(|| Mutex::new(writer));
        held(&self.readers).clear();
        writer
    }

    /// Whether the index is open for writing.
    pub(in crate::store) fn is_writable(&self) -> bool {
        self.writer.get().is_some()
    }

    /// Runs a read transaction, in which `work` sees a consistent snapshot of the rows.
    pub(in crate::store) fn read<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        self.inspect(|tables| work(&tables.rows()))
    }

    /// Runs a read transaction, even on a damaged index.
    pub(in crate::store) fn inspect<T>(&self, work: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        let idle = held(&self.readers).pop().filter(|reader| reader.is_current(&self.path));
        let mut reader = idle.map_or_else(|| self.reader(), Ok)?;
        let transaction = reader.connection.transaction().map_err(|error| self.failed(&error))?;
        let value = work(&Tables { connection: &transaction, index: self });
        drop(transaction);
        if !reader.is_current(&self.path) {
            return Err(Error::failed(format!("{}: changed while it was being read", self.path.display())));
        }
        let mut readers = held(&self.readers);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        value
    }

    fn reader(&self) -> Result<Reader> {
        if !self.is_writable() {
            return Reader::open(&self.path);
        }
        let connection = connect(&self.path, OpenFlags::empty())?;
        configure(&connection, self.ephemeral).map_err(|error| self.failed(&error))?;
        Ok(Reader::live(connection))
    }

    /// Runs an exclusive write transaction. If `work` fails, nothing is changed.
    pub(in crate::store) fn write<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        self.mend(|tables| work(&tables.rows()))
    }

    /// Runs an exclusive write transaction, even on a damaged index.
    pub(in crate::store) fn mend<T>(&self, work: impl FnOnce(&Tables) -> Result<T>) -> Result<T> {
        let writer = match self.writer.get() {
            Some(writer) => writer,
            None => self.set_writer(self.open_writer(true).map_err(|error| self.unwritable(error))?),
        };
        let mut writer = held(writer);
        let Writer { connection, generation } = &mut *writer;
        let failed = |error: rusqlite::Error| self.failed(&error);
        let before = connection.total_changes();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let value = work(&Tables { connection: &transaction, index: self })?;
        let changed = transaction.total_changes() > before;
        let number = if changed { check::advance(&transaction).map_err(failed)? } else { None };
        transaction.commit().map_err(failed)?;
        if let Some(number) = number.filter(|_| !self.ephemeral) {
            generation.note(number);
        }
        Ok(value)
    }

    /// The error for changing a store that is read-only.
    fn unwritable(&self, error: Error) -> Error {
        let root = &self.blobs.root;
        if !space::is_unwritable(&error) {
            return error;
        }
        match space::write_problem(root) {
            Some(problem) => {
                Error::failed(format!("{}: the store cannot be changed", root.display())).caused_by(problem)
            }
            None => error,
        }
    }

    /// Moves the log into the index to free its space, if possible.
    pub(in crate::store) fn shrink_log(&self) {
        if let Some(writer) = self.writer.get() {
            let _ = held(writer).connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }

    /// Prints a warning unless it was already printed.
    fn warn_once(&self, text: String) {
        if !held(&self.warned).contains(&text) {
            self.warn.say(&text);
            held(&self.warned).insert(text);
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(&self.path, error)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic rolls the transaction back, so the connection remains usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks the store, so that only one process at a time creates or migrates it. Returns `None` if the file system does
/// not support locks.
fn lock(root: &Path) -> Result<Option<Locked>> {
    let path = root.join("lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| Error::io("open", &path, error))?;
    match Locked::by(file, File::lock) {
        Ok(locked) => Ok(Some(locked)),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(Error::io("lock", &path, error)),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Without this, SQLite may replan a prepared statement whenever different values are bound.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(connection)
    };
    open().map_err(|error| failed(path, &error))
}

fn configure(connection: &Connection, ephemeral: bool) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: an acknowledged change must survive a power failure.
    connection.pragma_update(None, "synchronous", if ephemeral { "OFF" } else { "FULL" })?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}

/// Migrates from `format` to the current format. The caller holds the store's lock.
fn migrate(connection: &mut Connection, format: usize) -> rusqlite::Result<()> {
    for (step, format) in STEPS.iter().zip(1_u32..).skip(format) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", format)?;
        transaction.commit()?;
    }
    Ok(())
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    let (code, reason) = match error {
        // Omit the SQL statement.
        rusqlite::Error::SqlInputError { error, msg, .. } => (Some(error.code), msg.clone()),
        other => (other.sqlite_error_code(), other.to_string()),
    };
    match code {
        // The statements are tested, so a syntax or schema error means that the tables have been altered.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
            unusable(path, "is damaged").cause(reason)
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::failed(format!(
            "{shown}: the store is busy: another process has been writing for a minute"
        )),
        _ => match path.parent().and_then(space::write_problem) {
            Some(problem) => {
                Error::failed(format!("{shown}: cannot write the store's index")).caused_by(problem)
            }
            None => Error::failed(format!("{shown}: cannot access the store's index")).cause(reason),
        },
    }
}

/// The error for an unusable index, with a hint.
fn unusable(path: &Path, how: &str) -> Error {
    let root = path.parent().unwrap_or(path).display().to_string();
    let aside = format!("{root}.damaged");
    let error = Error::failed(format!("{}{how}", unusable_index(path)));
    let error = if how == FOREIGN {
        error
    } else {
        error.hint(format!("to repair the store: `haul local check --repair --data {}`", word(&root)))
    };
    error.hint(format!(
        "to move the store aside and start with an empty one: `mv {} {}`",
        word(&root),
        word(&aside)
    ))
}

fn unusable_index(path: &Path) -> String {
    format!("{}: the store's index ", path.display())
}

/// Whether the error means that the index at `path` has to be rebuilt before it can be used.
pub(in crate::store) fn is_unusable(error: &Error, path: &Path) -> bool {
    error.message().starts_with(&unusable_index(path)) && !error.message().ends_with(FOREIGN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::index::rows::COLUMNS;
    use crate::store::index::sql::Dialect;
    use crate::store::listing::{Listing, Place, SortKey};
    use jiff::Timestamp;

    fn open(root: &Path) -> Index {
        Index::open(Directory { root: root.to_owned(), sync: false }, true, Warn::default()).unwrap()
    }

    #[test]
    fn an_index_of_an_earlier_format_is_migrated() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("index.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(STEPS[0]).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute_batch(
            "INSERT INTO files (space, id, provider, profile, name, size, created_at, sha256, blake3, metadata, extra) \
             VALUES ('s', 'a', 'xai', 'work', 'a.txt', 5, 1000000, 'aa', 'bb', '{\"k\":1}', '{}')",
        )
        .unwrap();
        drop(old);
        for _ in 0..2 {
            let index = open(home.path());
            let file =
                index.read(|rows| rows.file("s", &"a".into(), Timestamp::UNIX_EPOCH)).unwrap().unwrap();
            assert_eq!((file.name.as_str(), file.size), ("a.txt", Some(5)));
            assert_eq!(file.metadata["k"], 1);
            index.write(|rows| rows.remove("s", &"z".into(), Timestamp::UNIX_EPOCH)).unwrap();
            let writer = held(index.writer.get().unwrap());
            let connection = &writer.connection;
            let format = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0));
            assert_eq!(format.unwrap() as usize, STEPS.len());
        }
    }

    #[test]
    fn a_prefix_is_searched_in_an_index() {
        let home = tempfile::tempdir().unwrap();
        let index = open(home.path());
        for (sort, field) in [(SortKey::Name, "name"), (SortKey::Id, "id")] {
            let filter = Some(crate::filter::Filter::starts_with(field, "data-"));
            let listing = Listing { filter, sort, ..Listing::default() };
            let selection = listing.select(Dialect::Sqlite, "s", None, Timestamp::UNIX_EPOCH);
            let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM files {}", selection.sql);
            let bound = rusqlite::params_from_iter(&selection.bound);
            let writer = held(index.writer.get().unwrap());
            let connection = &writer.connection;
            let plan: String = connection.query_row(&sql, bound, |row| row.get("detail")).unwrap();
            assert!(plan.ends_with(&format!("(space=? AND {field}>? AND {field}<?)")), "{plan}");
            assert!(selection.exact);
        }
    }

    #[test]
    fn a_name_is_searched_in_an_index() {
        let home = tempfile::tempdir().unwrap();
        let index = open(home.path());
        for (sort, descending) in [(SortKey::Created, false), (SortKey::Created, true), (SortKey::Size, true)]
        {
            let filter = Some(crate::filter::Filter::name_is("a"));
            let listing = Listing { filter, sort, descending, ..Listing::default() };
            let selection = listing.select(Dialect::Sqlite, "s", None, Timestamp::UNIX_EPOCH);
            let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM files {}", selection.sql);
            let writer = held(index.writer.get().unwrap());
            let bound = rusqlite::params_from_iter(&selection.bound);
            let plan: String = writer.connection.query_row(&sql, bound, |row| row.get("detail")).unwrap();
            assert!(plan.contains("files_by_name (space=? AND name=?)"), "{plan}");
        }
    }

    #[test]
    fn a_page_is_read_from_an_index_and_never_sorted() {
        let home = tempfile::tempdir().unwrap();
        let index = open(home.path());
        let place = || Place { id: "a".into(), created_at: 1, name: "a".into(), size: 1 };
        for (sort, name) in [
            (SortKey::Created, "files_by_creation"),
            (SortKey::Name, "files_by_name"),
            (SortKey::Size, "files_by_size"),
            (SortKey::Id, "sqlite_autoindex_files_1"),
        ] {
            for (descending, after) in
                [(false, None), (true, None), (false, Some(place())), (true, Some(place()))]
            {
                let listing = Listing { sort, descending, ..Listing::default() };
                let selection = listing.select(Dialect::Sqlite, "s", after.clone(), Timestamp::UNIX_EPOCH);
                let writer = held(index.writer.get().unwrap());
                let connection = &writer.connection;
                let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM files {}", selection.sql);
                let mut statement = connection.prepare(&sql).unwrap();
                let plan: Vec<String> = statement
                    .query_map(rusqlite::params_from_iter(&selection.bound), |row| row.get("detail"))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                let expected = format!("SEARCH files USING INDEX {name} (space=?");
                assert!(plan.len() == 1 && plan[0].starts_with(&expected), "{sort:?} {plan:?}");
                // The search starts at the given place.
                assert_eq!(plan[0].contains('<') || plan[0].contains('>'), after.is_some(), "{plan:?}");
            }
        }
    }
}
