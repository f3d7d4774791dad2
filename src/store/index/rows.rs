//! Queries and updates of the index within one transaction.

use std::borrow::Cow;

use jiff::Timestamp;

use super::sql::{Dialect, Read, Row, Sql, Value};
use crate::error::{Error, Message, Result};
use crate::model::{Checksums, File, FileId, Object};
use crate::store::listing::{Listing, Place, expired, micros};

pub(super) const COLUMNS: &str = "provider, profile, id, name, size, content_type, purpose, path, status, created_at, \
     updated_at, expires_at, sha256, blake3, md5, metadata, downloadable, url, extra";

/// The rows as seen by one transaction.
pub(in crate::store) struct Rows<'a> {
    pub(super) sql: &'a dyn Sql,
}

impl Rows<'_> {
    /// The dialect of the database.
    pub(in crate::store) fn dialect(&self) -> Dialect {
        self.sql.dialect()
    }

    /// The column with the key of a file's content.
    fn key_column(&self) -> &'static str {
        match self.dialect() {
            Dialect::Sqlite => "sha256",
            #[cfg(feature = "shared")]
            Dialect::Postgres => "blob",
        }
    }

    /// A file, unless it has expired.
    pub(in crate::store) fn file(&self, space: &str, id: &FileId, now: Timestamp) -> Result<Option<File>> {
        Ok(self.file_and_key(space, id, now)?.map(|(file, _)| file))
    }

    /// A file and the key of its content, unless it has expired.
    pub(in crate::store) fn file_and_key(
        &self,
        space: &str,
        id: &FileId,
        now: Timestamp,
    ) -> Result<Option<(File, String)>> {
        let sql = format!(
            "SELECT {COLUMNS}, {} FROM files WHERE space = ?1 AND id = ?2 AND NOT {}",
            self.key_column(),
            expired(self.dialect(), 3)
        );
        let read = |row: &dyn Row| Ok((file(row)?, text(row, 19)?));
        self.one(&sql, &[space.into(), id.as_str().into(), micros(now).into()], id.as_str(), read)
    }

    /// The columns of a row, in the order of [`values`](Self::values).
    fn columns(&self) -> String {
        match self.dialect() {
            Dialect::Sqlite => format!("space, {COLUMNS}"),
            #[cfg(feature = "shared")]
            Dialect::Postgres => format!("space, {COLUMNS}, blob"),
        }
    }

    /// Adds a row whose content has this key. Returns false if the id already exists.
    pub(in crate::store) fn insert(&self, space: &str, file: &File, key: &str) -> Result<bool> {
        let columns = self.columns();
        let placeholders: Vec<_> =
            (1..=columns.split(", ").count()).map(|number| format!("?{number}")).collect();
        let sql = format!(
            "INSERT INTO files ({columns}) VALUES ({}) ON CONFLICT (space, id) DO NOTHING",
            placeholders.join(", ")
        );
        Ok(self.sql.execute(&sql, &self.values(space, file, key))? > 0)
    }

    /// Updates a row. Returns false if the id does not exist.
    pub(in crate::store) fn update(&self, space: &str, file: &File, key: &str) -> Result<bool> {
        let columns = self.columns();
        let set = columns.split(", ").zip(1..).filter(|(column, _)| !["space", "id"].contains(column));
        let set: Vec<_> = set.map(|(column, number)| format!("{column} = ?{number}")).collect();
        let sql = format!("UPDATE files SET {} WHERE space = ?1 AND id = ?4", set.join(", "));
        Ok(self.sql.execute(&sql, &self.values(space, file, key))? > 0)
    }

    /// The values of a row: the space, [`COLUMNS`], and the key unless it is one of them.
    fn values<'v>(&self, space: &'v str, file: &'v File, key: &'v str) -> Vec<Value<'v>> {
        #[cfg_attr(
            not(feature = "shared"),
            expect(unused_mut, reason = "only PostgreSQL has another column")
        )]
        let mut values = vec![
            space.into(),
            file.provider.as_str().into(),
            file.profile.as_str().into(),
            file.id.as_str().into(),
            file.name.as_str().into(),
            file.size.map_or(Ok(0), i64::try_from).unwrap_or(i64::MAX).into(),
            (&file.content_type).into(),
            (&file.purpose).into(),
            (&file.path).into(),
            (&file.status).into(),
            file.created_at.map(micros).into(),
            file.updated_at.map(micros).into(),
            file.expires_at.map(micros).into(),
            (&file.checksums.sha256).into(),
            (&file.checksums.blake3).into(),
            (&file.checksums.md5).into(),
            json(&file.metadata).into(),
            file.downloadable.into(),
            (&file.url).into(),
            json(&file.extra).into(),
        ];
        match self.dialect() {
            Dialect::Sqlite => debug_assert_eq!(file.checksums.sha256.as_deref(), Some(key)),
            #[cfg(feature = "shared")]
            Dialect::Postgres => values.push(key.into()),
        }
        values
    }

    /// Removes a file's row and notes, and records its position in every listing order.
    pub(in crate::store) fn remove(&self, space: &str, id: &FileId, now: Timestamp) -> Result<()> {
        let (space, id): (Value, Value) = (space.into(), id.as_str().into());
        self.sql.execute(
            "INSERT INTO departed (space, id, created_at, name, size, departed_at) \
             SELECT space, id, created_at, name, size, CAST(?3 AS BIGINT) FROM files WHERE space = ?1 AND id = ?2 \
             ON CONFLICT (space, id) DO UPDATE SET created_at = excluded.created_at, name = excluded.name, \
             size = excluded.size, departed_at = excluded.departed_at",
            &[space.clone(), id.clone(), micros(now).into()],
        )?;
        let of_file = [space, id];
        self.sql.execute("DELETE FROM files WHERE space = ?1 AND id = ?2", &of_file)?;
        self.sql.execute("DELETE FROM notes WHERE space = ?1 AND about = ?2", &of_file)?;
        Ok(())
    }

    /// Whether any row refers to content with this key.
    pub(in crate::store) fn refers_to(&self, key: &str) -> Result<bool> {
        self.exists(
            &format!("SELECT EXISTS (SELECT 1 FROM files WHERE {} = ?1)", self.key_column()),
            &[key.into()],
        )
    }

    /// Whether a note with this kind and key exists in any space.
    pub(in crate::store) fn has_note(&self, kind: &str, key: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM notes WHERE kind = ?1 AND key = ?2)";
        self.exists(sql, &[kind.into(), key.into()])
    }

    fn exists(&self, sql: &str, values: &[Value]) -> Result<bool> {
        let found = self.one(sql, values, "", |row| row.flag(0))?;
        Ok(found.flatten().unwrap_or_default())
    }

    /// Up to `limit` expired files with their spaces.
    pub(in crate::store) fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<(String, FileId)>> {
        let sql =
            format!("SELECT space, id FROM files WHERE {} ORDER BY expires_at", expired(self.dialect(), 1));
        let read = |row: &dyn Row| Ok((text(row, 0)?, FileId(text(row, 1)?)));
        self.readable(&sql, &[micros(now).into()], Some(limit), 1, read)
    }

    /// The key of a file's content, if the file exists.
    pub(in crate::store) fn content_of(&self, space: &str, id: &FileId) -> Result<Option<String>> {
        let sql = format!("SELECT {}, id FROM files WHERE space = ?1 AND id = ?2", self.key_column());
        Ok(self.readable(&sql, &[space.into(), id.as_str().into()], None, 1, |row| text(row, 0))?.pop())
    }

    /// Marks the blob of an upload as belonging to a file. Returns false if it has been collected.
    #[cfg(feature = "shared")]
    pub(in crate::store) fn keep_blob(&self, key: &str) -> Result<bool> {
        let sql = "UPDATE blobs SET state = 'stored', since = clock_timestamp() \
             WHERE key = ?1 AND state = 'pending'";
        Ok(self.sql.execute(sql, &[key.into()])? > 0)
    }

    /// Marks a blob for deletion because no file refers to it any more.
    #[cfg(feature = "shared")]
    pub(in crate::store) fn release_blob(&self, key: &str) -> Result<()> {
        let sql = "UPDATE blobs SET state = 'deleting', since = clock_timestamp() WHERE key = ?1";
        self.sql.execute(sql, &[key.into()]).map(drop)
    }

    /// Deletes the positions of the files in a space that were removed before `time`.
    pub(in crate::store) fn forget_departed(&self, space: &str, time: Timestamp) -> Result<()> {
        let sql = "DELETE FROM departed WHERE departed_at < ?1 AND space = ?2";
        self.sql.execute(sql, &[micros(time).into(), space.into()]).map(drop)
    }

    /// The position of a file in every listing order. For a removed file, this is its last position.
    pub(in crate::store) fn place(&self, space: &str, id: &FileId) -> Result<Option<Place>> {
        let find = |table: &str| {
            let sql = format!("SELECT id, created_at, name, size FROM {table} WHERE space = ?1 AND id = ?2");
            self.one(&sql, &[space.into(), id.as_str().into()], id.as_str(), |row| {
                Ok(Place {
                    id: text(row, 0)?,
                    created_at: required(row, 1, row.integer(1)?)?,
                    name: text(row, 2)?,
                    size: required(row, 3, row.integer(3)?)?,
                })
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
        const AT_ONCE: usize = 1000;
        let selection = listing.select(self.dialect(), space, after, now);
        let filter = listing.filter.as_ref().filter(|_| !selection.exact);
        let mut sql = format!("SELECT {COLUMNS} FROM files {}", selection.sql);
        let mut at_once = Some(AT_ONCE);
        // SQLite rows may be damaged; damaged rows do not count toward the limit.
        if self.dialect() != Dialect::Sqlite && filter.is_none() && (1..=AT_ONCE).contains(&listing.limit) {
            sql = format!("{sql} LIMIT {}", listing.limit);
            at_once = None;
        }
        let mut files = Vec::new();
        self.sql.query(&sql, &selection.bound, at_once, &mut |row| {
            let Some(file) = self.or_warn(row, 2, file(row)) else { return Ok(true) };
            if filter.is_none_or(|filter| filter.matches_as(&file, listing.equality)) {
                files.push(file);
            }
            Ok(listing.limit == 0 || files.len() < listing.limit)
        })?;
        Ok(files)
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
        let about = about.map(FileId::as_str).into();
        let sql = "INSERT INTO notes (space, kind, key, about, note) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (kind, key, space) DO UPDATE SET about = excluded.about, note = excluded.note";
        self.sql.execute(sql, &[space.into(), kind.into(), key.into(), about, json(note).into()]).map(drop)
    }

    /// A single note.
    pub(in crate::store) fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        let sql = "SELECT note FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        self.one(sql, &[space.into(), kind.into(), key.into()], key, |row| object(row, 0))
    }

    /// All notes of a kind with their keys, oldest first. If `about` is given, only the notes that concern this file.
    pub(in crate::store) fn notes(
        &self,
        space: &str,
        kind: &str,
        about: Option<&FileId>,
    ) -> Result<Vec<(String, Object)>> {
        self.of_kind("key, note", space, kind, about, |row| Ok((text(row, 0)?, object(row, 1)?)))
    }

    /// All notes of a kind about files, each with its file and its key, oldest first.
    pub(in crate::store) fn notes_about_files(
        &self,
        space: &str,
        kind: &str,
    ) -> Result<Vec<(FileId, String, Object)>> {
        let all = self.of_kind("about, key, note", space, kind, None, |row| {
            let file = row.text(0)?.map(|id| FileId(id.into_owned()));
            Ok((file, text(row, 1)?, object(row, 2)?))
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
        self.of_kind("key", space, kind, Some(about), |row| text(row, 0))
    }

    fn of_kind<T>(
        &self,
        columns: &str,
        space: &str,
        kind: &str,
        about: Option<&FileId>,
        read: impl Fn(&dyn Row) -> Read<T>,
    ) -> Result<Vec<T>> {
        let sql = format!("SELECT {columns} FROM notes WHERE space = ?1 AND kind = ?2");
        match about {
            Some(id) => {
                let sql = format!("{sql} AND about = ?3 ORDER BY seq");
                self.readable(&sql, &[space.into(), kind.into(), id.as_str().into()], None, 0, read)
            }
            None => {
                self.readable(&format!("{sql} ORDER BY seq"), &[space.into(), kind.into()], None, 0, read)
            }
        }
    }

    /// Removes a note. Returns whether it existed.
    pub(in crate::store) fn forget(&self, space: &str, kind: &str, key: &str) -> Result<bool> {
        let sql = "DELETE FROM notes WHERE space = ?1 AND kind = ?2 AND key = ?3";
        Ok(self.sql.execute(sql, &[space.into(), kind.into(), key.into()])? > 0)
    }

    /// Reads a single row, if it exists. If the row is damaged, the error names `id`.
    fn one<T>(
        &self,
        sql: &str,
        values: &[Value],
        id: &str,
        read: impl Fn(&dyn Row) -> Read<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.sql.query(sql, values, None, &mut |row| {
            found = Some(read(row));
            Ok(false)
        })?;
        found
            .transpose()
            .map_err(|column| Error::failed(damaged_record(id)).cause(format!("`{column}` cannot be read")))
    }

    /// Reads up to `limit` rows. Damaged rows are skipped with a warning that contains the value of the column `id`.
    fn readable<T>(
        &self,
        sql: &str,
        values: &[Value],
        limit: Option<usize>,
        id: usize,
        read: impl Fn(&dyn Row) -> Read<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.sql.query(sql, values, limit, &mut |row| {
            found.extend(self.or_warn(row, id, read(row)));
            Ok(limit.is_none_or(|limit| found.len() < limit))
        })?;
        Ok(found)
    }

    /// The value read from a row. If the row is damaged, prints a warning and returns `None`.
    fn or_warn<T>(&self, row: &dyn Row, id: usize, read: Read<T>) -> Option<T> {
        let column = match read {
            Ok(value) => return Some(value),
            Err(column) => column,
        };
        let record = damaged_record(&row.lossy(id));
        self.sql.warn_once(format!("{} (`{column}`): skipped", record.as_str()));
        None
    }
}

fn damaged_record(id: &str) -> Message {
    Message::file(id, ": its record in the store's index is damaged")
}

/// Reads the file in a row with [`COLUMNS`].
pub(super) fn file(row: &dyn Row) -> Read<File> {
    let size = required(row, 4, row.integer(4)?)?;
    let optional = |column: usize| -> Read<Option<String>> { Ok(row.text(column)?.map(Cow::into_owned)) };
    Ok(File {
        provider: text(row, 0)?,
        profile: text(row, 1)?,
        id: FileId(text(row, 2)?),
        name: text(row, 3)?,
        size: Some(u64::try_from(size).map_err(|_| row.name(4))?),
        content_type: optional(5)?,
        purpose: optional(6)?,
        path: optional(7)?,
        status: optional(8)?,
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        expires_at: time(row, 11)?,
        checksums: Checksums { sha256: optional(12)?, blake3: optional(13)?, md5: optional(14)? },
        metadata: object(row, 15)?,
        downloadable: row.flag(16)?,
        url: optional(17)?,
        extra: object(row, 18)?,
    })
}

fn required<T>(row: &dyn Row, column: usize, value: Option<T>) -> Read<T> {
    value.ok_or_else(|| row.name(column))
}

fn text(row: &dyn Row, column: usize) -> Read<String> {
    Ok(required(row, column, row.text(column)?)?.into_owned())
}

fn time(row: &dyn Row, column: usize) -> Read<Option<Timestamp>> {
    row.integer(column)?.map(Timestamp::from_microsecond).transpose().map_err(|_| row.name(column))
}

fn object(row: &dyn Row, column: usize) -> Read<Object> {
    let text = required(row, column, row.text(column)?)?;
    serde_json::from_str(&text).map_err(|_| row.name(column))
}

fn json(object: &Object) -> String {
    serde_json::to_string(object).expect("a JSON object can be written as text")
}
