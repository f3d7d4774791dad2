//! Queries and updates of the index within one transaction.

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Params, Row, ToSql, named_params, params};

use super::Index;
use crate::error::{Error, Message, Result};
use crate::model::{Checksums, File, FileId, Object};
use crate::store::listing::{Bound, Listing, Place, expired, micros};

pub(super) const COLUMNS: &str = "provider, profile, id, name, size, content_type, purpose, path, status, created_at, \
     updated_at, expires_at, sha256, blake3, md5, metadata, downloadable, url, extra";

/// The rows as seen by one transaction.
pub(in crate::store) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) index: &'a Index,
}

impl Rows<'_> {
    pub(super) fn failed(&self, error: &rusqlite::Error) -> Error {
        self.index.failed(error)
    }

    /// A file, unless it has expired.
    pub(in crate::store) fn file(&self, space: &str, id: &FileId, now: Timestamp) -> Result<Option<File>> {
        let sql = format!("SELECT {COLUMNS} FROM files WHERE space = ? AND id = ? AND NOT {}", expired());
        self.one(&sql, params![space, id.as_str(), micros(now)], id.as_str(), file)
    }

    /// Adds a row. Returns false if the id already exists.
    pub(in crate::store) fn insert(&self, space: &str, file: &File) -> Result<bool> {
        let sql = format!(
            "INSERT INTO files (space, {COLUMNS}) VALUES (:space, :provider, :profile, :id, :name, :size, \
             :content_type, :purpose, :path, :status, :created_at, :updated_at, :expires_at, :sha256, :blake3, :md5, \
             :metadata, :downloadable, :url, :extra) ON CONFLICT (space, id) DO NOTHING"
        );
        self.set(&sql, space, file)
    }

    /// Updates a row. Returns false if the id does not exist.
    pub(in crate::store) fn update(&self, space: &str, file: &File) -> Result<bool> {
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

    /// Removes a file's row and notes, and records its position in every listing order.
    pub(in crate::store) fn remove(&self, space: &str, id: &FileId, now: Timestamp) -> Result<()> {
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
    pub(in crate::store) fn refers_to(&self, sha256: &str) -> Result<bool> {
        self.exists("SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?)", &[&sha256])
    }

    /// Whether a note with this kind and key exists in any space.
    pub(in crate::store) fn has_note(&self, kind: &str, key: &str) -> Result<bool> {
        self.exists("SELECT EXISTS (SELECT 1 FROM notes WHERE kind = ? AND key = ?)", &[&kind, &key])
    }

    fn exists(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<bool> {
        self.connection.query_row(sql, parameters, |row| row.get(0)).map_err(|error| self.failed(&error))
    }

    /// Up to `limit` expired files with their spaces.
    pub(in crate::store) fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<(String, FileId)>> {
        let sql = format!("SELECT space, id FROM files WHERE {} ORDER BY expires_at", expired());
        let read = |row: &Row| Ok((row.get(0)?, FileId(row.get(1)?)));
        self.readable(&sql, &[&micros(now)], limit, 1, read)
    }

    /// The SHA-256 of a file's content, if the file exists.
    pub(in crate::store) fn content_of(&self, space: &str, id: &FileId) -> Result<Option<String>> {
        let sql = "SELECT sha256, id FROM files WHERE space = ? AND id = ?";
        Ok(self.readable(sql, &[&space, &id.as_str()], 1, 1, |row| row.get(0))?.pop())
    }

    /// Deletes the positions of files that were removed before `time`. Returns how many.
    pub(in crate::store) fn forget_departed(&self, time: Timestamp) -> Result<usize> {
        self.connection
            .execute("DELETE FROM departed WHERE departed_at < ?", [micros(time)])
            .map_err(|error| self.failed(&error))
    }

    /// The position of a file in every listing order. For a removed file, this is its last position.
    pub(in crate::store) fn place(&self, space: &str, id: &FileId) -> Result<Option<Place>> {
        let find = |table: &str| {
            let sql = format!("SELECT id, created_at, name, size FROM {table} WHERE space = ? AND id = ?");
            self.one(&sql, params![space, id.as_str()], id.as_str(), |row| {
                Ok(Place { id: row.get(0)?, created_at: row.get(1)?, name: row.get(2)?, size: row.get(3)? })
            })
        };
        Ok(find("files")?.or(find("departed")?))
    }

    /// Runs a listing. Only matching files are kept in memory. `after` is the position to continue from.
    pub(in crate::store) fn select(
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
                let Some(file) = self.or_warn(row, 2, intact(row, file)?)? else { continue };
                if filter.is_none_or(|filter| filter.matches_as(&file, listing.equality)) {
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

    /// Inserts a note, or replaces the note with the same kind and key.
    pub(in crate::store) fn note(
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

    /// A single note.
    pub(in crate::store) fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        let sql = "SELECT note FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        self.one(sql, params![space, kind, key], key, |row| object(row, 0))
    }

    /// All notes of a kind with their keys, oldest first.
    pub(in crate::store) fn notes(
        &self,
        space: &str,
        kind: &str,
        about: Option<&FileId>,
    ) -> Result<Vec<(String, Object)>> {
        self.of_kind("key, note", space, kind, about, |row| Ok((row.get(0)?, object(row, 1)?)))
    }

    /// All notes of a kind about files, each with its file and its key, oldest first.
    pub(in crate::store) fn notes_about_files(
        &self,
        space: &str,
        kind: &str,
    ) -> Result<Vec<(FileId, String, Object)>> {
        let all = self.of_kind("about, key, note", space, kind, None, |row| {
            let file: Option<String> = row.get(0)?;
            Ok((file.map(FileId), row.get(1)?, object(row, 2)?))
        })?;
        Ok(all.into_iter().filter_map(|(file, key, note)| Some((file?, key, note))).collect())
    }

    /// The keys of all notes of a kind that concern a file, including damaged notes.
    pub(in crate::store) fn keys_of_notes(
        &self,
        space: &str,
        kind: &str,
        about: &FileId,
    ) -> Result<Vec<String>> {
        self.of_kind("key", space, kind, Some(about), |row| row.get(0))
    }

    fn of_kind<T>(
        &self,
        columns: &str,
        space: &str,
        kind: &str,
        about: Option<&FileId>,
        read: impl Fn(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let sql = format!("SELECT {columns} FROM notes WHERE space = ?1 AND kind = ?2");
        match about {
            Some(id) => {
                let sql = format!("{sql} AND about = ?3 ORDER BY seq");
                self.readable(&sql, &[&space, &kind, &id.as_str()], usize::MAX, 0, read)
            }
            None => self.readable(&format!("{sql} ORDER BY seq"), &[&space, &kind], usize::MAX, 0, read),
        }
    }

    /// Removes a note. Returns whether it existed.
    pub(in crate::store) fn forget(&self, space: &str, kind: &str, key: &str) -> Result<bool> {
        let sql = "DELETE FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        let removed = self.connection.execute(sql, [space, kind, key]);
        removed.map(|rows| rows > 0).map_err(|error| self.failed(&error))
    }

    /// Reads a single row, if it exists. If the row is damaged, the error names `id`.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        id: &str,
        read: impl FnOnce(&Row) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let row = self.connection.query_row(sql, parameters, |row| intact(row, read)).optional();
        let row = row.map_err(|error| self.failed(&error))?.transpose();
        row.map_err(|column| Error::failed(damaged_record(id)).cause(format!("`{column}` cannot be read")))
    }

    /// Reads up to `limit` rows. Damaged rows are skipped with a warning that contains the value of the column `id`.
    fn readable<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        limit: usize,
        id: usize,
        read: impl Fn(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let readable = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut found = Vec::new();
            while found.len() < limit
                && let Some(row) = rows.next()?
            {
                found.extend(self.or_warn(row, id, intact(row, &read)?)?);
            }
            Ok(found)
        };
        readable().map_err(|error| self.failed(&error))
    }

    /// The value read from a row. If the row is damaged, prints a warning and returns `None`.
    fn or_warn<T>(&self, row: &Row, id: usize, read: Result<T, String>) -> rusqlite::Result<Option<T>> {
        let column = match read {
            Ok(value) => return Ok(Some(value)),
            Err(column) => column,
        };
        let id = match row.get_ref(id)? {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        };
        self.index.warn_once(format!("{} (`{column}`): skipped", damaged_record(&id).as_str()));
        Ok(None)
    }
}

fn damaged_record(id: &str) -> Message {
    Message::file(id, ": its record in the store's index is damaged")
}

/// Reads a row. The inner error is the name of the unreadable column.
pub(super) fn intact<T>(
    row: &Row,
    read: impl FnOnce(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Result<T, String>> {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match read(row) {
        Ok(value) => Ok(Ok(value)),
        Err(
            FromSqlConversionFailure(column, ..)
            | IntegralValueOutOfRange(column, _)
            | InvalidColumnType(column, ..)
            | Utf8Error(column, _),
        ) => Ok(Err(row.as_ref().column_name(column)?.to_owned())),
        Err(error) => Err(error),
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

pub(super) fn file(row: &Row) -> rusqlite::Result<File> {
    let size: i64 = row.get(4)?;
    let size = u64::try_from(size).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(4, size))?;
    Ok(File {
        provider: row.get(0)?,
        profile: row.get(1)?,
        id: FileId(row.get(2)?),
        name: row.get(3)?,
        size: Some(size),
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
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error);
    let text = row.get_ref(column)?.as_str().map_err(|error| damaged(error.into()))?;
    serde_json::from_str(text).map_err(|error| damaged(error.into()))
}
