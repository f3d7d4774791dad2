//! The SQLite index: rows, transactions and the connections they go through.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Row, ToSql, TransactionBehavior, named_params, params,
};

use super::listing::{Bound, Listing, Place, micros};
use super::schema::STEPS;
use crate::error::{Error, Result};
use crate::model::{Checksums, File, FileId, Object};

/// How long a writer waits for those of other processes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Reading connections that are kept open.
const READERS_KEPT: usize = 4;
/// Memory of a connection for pages, in KiB.
const CACHE_KIB: i64 = 1024;

/// The index of a store. One connection writes, so that the threads of a process wait for each other in turn and not
/// by polling; readers have their own and wait for nobody.
pub(super) struct Index {
    path: PathBuf,
    ephemeral: bool,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

/// The rows as one transaction sees them.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    path: &'a Path,
}

impl Index {
    /// Opens the index, brings it to the present format, and refuses one of a later format.
    pub(super) fn open(path: PathBuf, ephemeral: bool) -> Result<Self> {
        let mut connection = connect(&path, ephemeral)?;
        migrate(&mut connection, &path)?;
        Ok(Self { path, ephemeral, writer: Mutex::new(connection), readers: Mutex::default() })
    }

    /// Reads: one state of the rows, whatever others write meanwhile.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        let idle = held(&self.readers).pop();
        let mut connection = idle.map_or_else(|| connect(&self.path, self.ephemeral), Ok)?;
        let transaction = connection.transaction().map_err(|error| self.failed(&error))?;
        let value = work(&Rows { connection: &transaction, path: &self.path });
        drop(transaction);
        let mut readers = held(&self.readers);
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        value
    }

    /// Writes: all of `work` or, if it fails, nothing. Nobody else, in any process, writes meanwhile.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        let mut connection = held(&self.writer);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| self.failed(&error))?;
        let value = work(&Rows { connection: &transaction, path: &self.path })?;
        transaction.commit().map_err(|error| self.failed(&error))?;
        Ok(value)
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(&self.path, error)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a transaction has rolled it back: the connection is as good as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, ephemeral: bool) -> Result<Connection> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL, since what was acknowledged must survive a power failure, too.
        connection.pragma_update(None, "synchronous", if ephemeral { "OFF" } else { "FULL" })?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    };
    open().map_err(|error| failed(path, &error))
}

/// Takes the steps that an index has not taken yet. Only one process at a time does this.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let format: u32 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| failed(path, &error))?;
    let taken = format as usize;
    let Some(steps) = STEPS.get(taken..) else {
        let message = format!(
            "{}: the store has format {taken}; this haul knows up to {}",
            path.display(),
            STEPS.len()
        );
        return Err(Error::failed(message).hint("use a later haul, or another store: `HAUL_HOME=DIR haul …`"));
    };
    let mut advance = || {
        for (step, format) in steps.iter().zip(format + 1..) {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", format)?;
            transaction.commit()?;
        }
        Ok(())
    };
    advance().map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &rusqlite::Error) -> Error {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::failed(format!("{path}: the store's index is damaged"))
                .cause(error.to_string())
                .hint(format!("`mv {path} {path}.damaged` starts an empty one; contents stay in `blobs`"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::failed(format!("{path}: the store is busy: another process has been writing for a minute"))
        }
        _ => Error::failed(format!("{path}: the store's index failed")).cause(error.to_string()),
    }
}

const COLUMNS: &str = "provider, profile, id, name, size, content_type, purpose, path, status, created_at, \
     updated_at, expires_at, sha256, blake3, md5, metadata, downloadable, url, extra";

impl Rows<'_> {
    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(self.path, error)
    }

    /// A file, unless it has expired.
    pub(super) fn file(&self, space: &str, id: &FileId, now: Timestamp) -> Result<Option<File>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM files WHERE space = ?1 AND id = ?2 AND coalesce(expires_at > ?3, TRUE)"
        );
        self.connection
            .query_row(&sql, params![space, id.as_str(), micros(now)], file)
            .optional()
            .map_err(|error| self.failed(&error))
    }

    /// Adds a row; false if the id is taken.
    pub(super) fn insert(&self, space: &str, file: &File) -> Result<bool> {
        let sql = format!(
            "INSERT INTO files (space, {COLUMNS}) VALUES (:space, :provider, :profile, :id, :name, :size, \
             :content_type, :purpose, :path, :status, :created_at, :updated_at, :expires_at, :sha256, :blake3, :md5, \
             :metadata, :downloadable, :url, :extra) ON CONFLICT (space, id) DO NOTHING"
        );
        self.set(&sql, space, file)
    }

    /// Changes a row; false if there is none of that id.
    pub(super) fn update(&self, space: &str, file: &File) -> Result<bool> {
        let sql = "UPDATE files SET provider = :provider, profile = :profile, name = :name, size = :size, \
             content_type = :content_type, purpose = :purpose, path = :path, status = :status, \
             created_at = :created_at, updated_at = :updated_at, expires_at = :expires_at, sha256 = :sha256, \
             blake3 = :blake3, md5 = :md5, metadata = :metadata, downloadable = :downloadable, url = :url, \
             extra = :extra WHERE space = :space AND id = :id";
        self.set(sql, space, file)
    }

    fn set(&self, sql: &str, space: &str, file: &File) -> Result<bool> {
        let set = self.connection.execute(
            sql,
            named_params! {
                ":space": space,
                ":provider": file.provider,
                ":profile": file.profile,
                ":id": file.id.as_str(),
                ":name": file.name,
                ":size": file.size.map_or(Ok(0), i64::try_from).unwrap_or(i64::MAX),
                ":content_type": file.content_type,
                ":purpose": file.purpose,
                ":path": file.path,
                ":status": file.status,
                ":created_at": file.created_at.map(micros),
                ":updated_at": file.updated_at.map(micros),
                ":expires_at": file.expires_at.map(micros),
                ":sha256": file.checksums.sha256,
                ":blake3": file.checksums.blake3,
                ":md5": file.checksums.md5,
                ":metadata": text(&file.metadata),
                ":downloadable": file.downloadable,
                ":url": file.url,
                ":extra": text(&file.extra),
            },
        );
        set.map(|rows| rows > 0).map_err(|error| self.failed(&error))
    }

    /// Removes a file's row and its notes, and remembers where it was in every order.
    pub(super) fn remove(&self, space: &str, id: &FileId, now: Timestamp) -> Result<()> {
        let (id, now) = (id.as_str(), micros(now));
        let remove = || {
            self.connection.execute(
                "INSERT OR REPLACE INTO departed (space, id, created_at, name, size, departed_at) \
                 SELECT space, id, created_at, name, size, ?3 FROM files WHERE space = ?1 AND id = ?2",
                params![space, id, now],
            )?;
            self.connection.execute("DELETE FROM files WHERE space = ?1 AND id = ?2", params![space, id])?;
            self.connection.execute("DELETE FROM notes WHERE space = ?1 AND about = ?2", params![space, id])
        };
        remove().map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Whether any row refers to this content.
    pub(super) fn refers_to(&self, sha256: &str) -> Result<bool> {
        self.exists("SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?)", &[&sha256])
    }

    /// Whether any space has a note of this kind and key.
    pub(super) fn has_note(&self, kind: &str, key: &str) -> Result<bool> {
        self.exists("SELECT EXISTS (SELECT 1 FROM notes WHERE kind = ? AND key = ?)", &[&kind, &key])
    }

    fn exists(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<bool> {
        self.connection.query_row(sql, parameters, |row| row.get(0)).map_err(|error| self.failed(&error))
    }

    /// Some of the files that have expired, with their spaces.
    pub(super) fn expired(&self, now: Timestamp, limit: u32) -> Result<Vec<(String, File)>> {
        let sql =
            format!("SELECT {COLUMNS}, space FROM files WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2");
        self.all(&sql, &[&micros(now), &limit], |row| Ok((row.get("space")?, file(row)?)))
    }

    /// Forgets where files were that departed before `time`; how many.
    pub(super) fn forget_departed(&self, time: Timestamp) -> Result<usize> {
        self.connection
            .execute("DELETE FROM departed WHERE departed_at < ?", [micros(time)])
            .map_err(|error| self.failed(&error))
    }

    /// Where a file is in every order, or was before it departed.
    pub(super) fn place(&self, space: &str, id: &FileId) -> Result<Option<Place>> {
        let find = |table: &str| {
            let sql = format!("SELECT id, created_at, name, size FROM {table} WHERE space = ? AND id = ?");
            let place = |row: &Row| {
                Ok(Place { id: row.get(0)?, created_at: row.get(1)?, name: row.get(2)?, size: row.get(3)? })
            };
            self.connection.query_row(&sql, [space, id.as_str()], place).optional()
        };
        let place =
            find("files").and_then(|found| if found.is_none() { find("departed") } else { Ok(found) });
        place.map_err(|error| self.failed(&error))
    }

    /// The files of a listing: only those that pass are held. `after` is the place of the file it goes on after.
    pub(super) fn select(
        &self,
        space: &str,
        listing: &Listing,
        after: Option<Place>,
        now: Timestamp,
    ) -> Result<Vec<File>> {
        let selection = listing.select(space, after, now);
        let filter = listing.filter.as_ref().filter(|_| !selection.exact);
        let sql = format!("SELECT {COLUMNS} FROM files {}", selection.sql);
        let select = || {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(&selection.bound))?;
            let mut files = Vec::new();
            while let Some(row) = rows.next()? {
                let file = file(row)?;
                if filter.is_none_or(|filter| filter.matches_as(&file, listing.semantics)) {
                    files.push(file);
                }
                if listing.limit != 0 && files.len() == listing.limit {
                    break;
                }
            }
            Ok(files)
        };
        select().map_err(|error| self.failed(&error))
    }

    /// Keeps a note in the place of one of the same kind and key.
    pub(super) fn note(
        &self,
        space: &str,
        kind: &str,
        key: &str,
        about: Option<&FileId>,
        note: &Object,
    ) -> Result<()> {
        let noted = self.connection.execute(
            "INSERT INTO notes (space, kind, key, about, note) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (kind, key, space) DO UPDATE SET about = excluded.about, note = excluded.note",
            params![space, kind, key, about.map(FileId::as_str), text(note)],
        );
        noted.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// One note.
    pub(super) fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        let sql = "SELECT note FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        self.connection
            .query_row(sql, [space, kind, key], |row| object(row, 0))
            .optional()
            .map_err(|error| self.failed(&error))
    }

    /// All notes of a kind with their keys, oldest first.
    pub(super) fn notes(
        &self,
        space: &str,
        kind: &str,
        about: Option<&FileId>,
    ) -> Result<Vec<(String, Object)>> {
        let read = |row: &Row| Ok((row.get(0)?, object(row, 1)?));
        let sql = "SELECT key, note FROM notes WHERE space = ?1 AND kind = ?2";
        match about {
            Some(id) => {
                let sql = format!("{sql} AND about = ?3 ORDER BY seq");
                self.all(&sql, &[&space, &kind, &id.as_str()], read)
            }
            None => self.all(&format!("{sql} ORDER BY seq"), &[&space, &kind], read),
        }
    }

    /// Removes a note; whether it was there.
    pub(super) fn forget(&self, space: &str, kind: &str, key: &str) -> Result<bool> {
        let sql = "DELETE FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        let removed = self.connection.execute(sql, [space, kind, key]);
        removed.map(|rows| rows > 0).map_err(|error| self.failed(&error))
    }

    fn all<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let all =
            || self.connection.prepare(sql)?.query_map(parameters, read)?.collect::<rusqlite::Result<_>>();
        all().map_err(|error| self.failed(&error))
    }
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
        })
    }
}

fn file(row: &Row) -> rusqlite::Result<File> {
    let size: i64 = row.get(4)?;
    Ok(File {
        provider: row.get(0)?,
        profile: row.get(1)?,
        id: FileId(row.get(2)?),
        name: row.get(3)?,
        size: Some(size.unsigned_abs()),
        content_type: row.get(5)?,
        purpose: row.get(6)?,
        path: row.get(7)?,
        status: row.get(8)?,
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        expires_at: time(row, 11)?,
        checksums: Checksums { sha256: row.get(12)?, blake3: row.get(13)?, md5: row.get(14)? },
        metadata: object(row, 15)?,
        downloadable: row.get(16)?,
        url: row.get(17)?,
        extra: object(row, 18)?,
    })
}

fn time(row: &Row, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let micros: Option<i64> = row.get(column)?;
    micros
        .map(Timestamp::from_microsecond)
        .transpose()
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, error.into()))
}

fn text(object: &Object) -> String {
    serde_json::to_string(object).expect("a JSON object can be written as text")
}

fn object(row: &Row, column: usize) -> rusqlite::Result<Object> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

#[cfg(test)]
mod tests {
    use super::super::listing::SortKey;
    use super::*;

    #[test]
    fn an_index_of_an_earlier_format_is_brought_up_to_date() {
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
            let index = Index::open(path.clone(), true).unwrap();
            let file =
                index.read(|rows| rows.file("s", &"a".into(), Timestamp::UNIX_EPOCH)).unwrap().unwrap();
            assert_eq!((file.name.as_str(), file.size), ("a.txt", Some(5)));
            assert_eq!(file.metadata["k"], 1);
            index.write(|rows| rows.remove("s", &"z".into(), Timestamp::UNIX_EPOCH)).unwrap();
            let connection = index.writer.lock().unwrap();
            let format = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0));
            assert_eq!(format.unwrap() as usize, STEPS.len());
        }
    }

    #[test]
    fn what_begins_alike_is_found_by_an_index() {
        let home = tempfile::tempdir().unwrap();
        let index = Index::open(home.path().join("index.sqlite"), true).unwrap();
        for (sort, field) in [(SortKey::Name, "name"), (SortKey::Id, "id")] {
            let filter = Some(crate::filter::Filter::starts_with(field, "data-"));
            let listing = Listing { filter, sort, ..Listing::default() };
            let selection = listing.select("s", None, Timestamp::UNIX_EPOCH);
            let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM files {}", selection.sql);
            let bound = rusqlite::params_from_iter(&selection.bound);
            let connection = index.writer.lock().unwrap();
            let plan: String = connection.query_row(&sql, bound, |row| row.get("detail")).unwrap();
            assert!(plan.ends_with(&format!("(space=? AND {field}>? AND {field}<?)")), "{plan}");
            assert!(selection.exact);
        }
    }

    #[test]
    fn a_page_is_read_from_an_index_and_never_sorted() {
        let home = tempfile::tempdir().unwrap();
        let index = Index::open(home.path().join("index.sqlite"), true).unwrap();
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
                let selection = listing.select("s", after.clone(), Timestamp::UNIX_EPOCH);
                let connection = index.writer.lock().unwrap();
                let sql = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM files {}", selection.sql);
                let mut statement = connection.prepare(&sql).unwrap();
                let plan: Vec<String> = statement
                    .query_map(rusqlite::params_from_iter(&selection.bound), |row| row.get("detail"))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                let expected = format!("SEARCH files USING INDEX {name} (space=?");
                assert!(plan.len() == 1 && plan[0].starts_with(&expected), "{sort:?} {plan:?}");
                // It starts at the place and does not walk there.
                assert_eq!(plan[0].contains('<') || plan[0].contains('>'), after.is_some(), "{plan:?}");
            }
        }
    }
}
