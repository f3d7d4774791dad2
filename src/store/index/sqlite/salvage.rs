//! Reads the readable parts of a damaged index.

use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::Tables;
use crate::error::Result;
use crate::model::{Checksums, File, FileId, Object};
use crate::store::index::rows::{COLUMNS, Rows, file};

/// The row for a file, which may be damaged.
#[derive(Clone)]
pub(in crate::store) struct FoundFile {
    /// The row number.
    pub(in crate::store) seq: i64,
    pub(in crate::store) space: String,
    /// The record, with defaults for unreadable columns.
    pub(in crate::store) file: File,
    /// The first unreadable column.
    pub(in crate::store) damaged: Option<String>,
}

impl Tables<'_> {
    /// The problems in the structure of the index.
    pub(in crate::store) fn structure(&self) -> Result<Vec<String>> {
        let read = || {
            let mut statement = self.connection.prepare("PRAGMA integrity_check(10)")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.filter(|line| line.as_ref().is_ok_and(|line| line != "ok")).collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Visits the rows of all files, ordered by content.
    pub(in crate::store) fn each_file(&self, visit: &mut dyn FnMut(FoundFile) -> Result<()>) -> Result<()> {
        let sql = format!("SELECT {COLUMNS}, space, seq FROM files ORDER BY sha256, seq");
        let mut statement = self.connection.prepare(&sql).map_err(|error| self.failed(&error))?;
        let mut rows = statement.query([]).map_err(|error| self.failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            visit(found(row).map_err(|error| self.failed(&error))?)?;
        }
        Ok(())
    }

    /// The number, space, kind and key of each unreadable note.
    pub(in crate::store) fn damaged_notes(&self) -> Result<Vec<(i64, String, String)>> {
        let sql = "SELECT seq, space, kind || ' ' || key, note, about FROM notes";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut damaged = Vec::new();
            while let Some(row) = rows.next()? {
                let mut lost = None;
                let mut column = Column { row, lost: &mut lost };
                let (space, key) = (column.text(1), column.text(2));
                column.object(3);
                column.text(4);
                if lost.is_some() {
                    damaged.push((row.get(0)?, space.unwrap_or_default(), key.unwrap_or_default()));
                }
            }
            Ok(damaged)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Removes an unreadable note.
    pub(in crate::store) fn remove_note(&self, seq: i64) -> Result<()> {
        let removed = self.connection.execute("DELETE FROM notes WHERE seq = ?", [seq]);
        removed.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// Removes a file's row but not its content.
    pub(in crate::store) fn remove_row(&self, seq: i64) -> Result<()> {
        let removed = self.connection.execute("DELETE FROM files WHERE seq = ?", [seq]);
        removed.map(|_| ()).map_err(|error| self.failed(&error))
    }
}

/// Copies the readable rows of the index at `path` to `into`.
pub(in crate::store) fn salvage(path: &Path, into: &Rows) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(old) = Connection::open_with_flags(path, flags) else { return Ok(()) };
    each(&old, &format!("SELECT {COLUMNS}, space, seq FROM files"), &mut |row| {
        let Ok(found) = found(row) else { return Ok(()) };
        // Without these checksums, the content gets a new record.
        match &found.file.checksums {
            Checksums { sha256: Some(sha256), blake3: Some(_), .. } => {
                into.insert(&found.space, &found.file, sha256).map(drop)
            }
            _ => Ok(()),
        }
    })?;
    each(&old, "SELECT space, kind, key, about, note FROM notes", &mut |row| {
        let mut lost = None;
        let mut column = Column { row, lost: &mut lost };
        let [space, kind, key, about] = [0, 1, 2, 3].map(|index| column.text(index));
        let note = column.object(4);
        match (space, kind, key) {
            (Some(space), Some(kind), Some(key)) if lost.is_none() => {
                into.note(&space, &kind, &key, about.map(FileId).as_ref(), &note)
            }
            _ => Ok(()),
        }
    })
}

/// Visits all rows that can be found, some of them twice.
fn each(old: &Connection, select: &str, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
    // Rows behind a damaged page are found from the other end.
    for order in ["ASC", "DESC"] {
        let sql = format!("{select} NOT INDEXED ORDER BY seq {order}");
        let Ok(mut statement) = old.prepare(&sql) else { return Ok(()) };
        let Ok(mut rows) = statement.query([]) else { continue };
        loop {
            match rows.next() {
                Ok(Some(row)) => visit(row)?,
                Ok(None) => return Ok(()),
                Err(_) => break,
            }
        }
    }
    Ok(())
}

/// The columns of a row, whatever their types.
struct Column<'a> {
    row: &'a Row<'a>,
    /// The first column that has an unexpected type.
    lost: &'a mut Option<String>,
}

impl Column<'_> {
    fn lose(&mut self, index: usize) {
        let name = self.row.as_ref().column_name(index).unwrap_or_default();
        self.lost.get_or_insert_with(|| name.to_owned());
    }

    fn text(&mut self, index: usize) -> Option<String> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Null) => None,
            Ok(ValueRef::Text(bytes)) => {
                let text = String::from_utf8_lossy(bytes);
                if let Cow::Owned(_) = text {
                    self.lose(index);
                }
                Some(text.into_owned())
            }
            _ => {
                self.lose(index);
                None
            }
        }
    }

    fn integer(&mut self, index: usize) -> Option<i64> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Null) => None,
            Ok(ValueRef::Integer(number)) => Some(number),
            _ => {
                self.lose(index);
                None
            }
        }
    }

    fn time(&mut self, index: usize) -> Option<Timestamp> {
        let time = Timestamp::from_microsecond(self.integer(index)?).ok();
        if time.is_none() {
            self.lose(index);
        }
        time
    }

    fn object(&mut self, index: usize) -> Object {
        let object = self.text(index).and_then(|text| serde_json::from_str(&text).ok());
        if object.is_none() {
            self.lose(index);
        }
        object.unwrap_or_default()
    }
}

fn found(row: &Row) -> rusqlite::Result<FoundFile> {
    let mut lost = file(row).err();
    let mut column = Column { row, lost: &mut lost };
    let id = column.text(2).unwrap_or_default();
    let file = File {
        provider: column.text(0).unwrap_or_else(|| "local".to_owned()),
        profile: column.text(1).unwrap_or_else(|| "local".to_owned()),
        name: column.text(3).unwrap_or_else(|| id.clone()),
        id: FileId(id),
        size: column.integer(4).and_then(|size| u64::try_from(size).ok()),
        content_type: column.text(5),
        purpose: column.text(6),
        path: column.text(7),
        status: column.text(8),
        created_at: column.time(9).or(Some(Timestamp::UNIX_EPOCH)),
        updated_at: column.time(10),
        expires_at: column.time(11),
        checksums: Checksums { sha256: column.text(12), blake3: column.text(13), md5: column.text(14) },
        metadata: column.object(15),
        downloadable: column.integer(16).map(|yes| yes != 0),
        url: column.text(17),
        extra: column.object(18),
    };
    let space = column.text(19).unwrap_or_else(|| "local".to_owned());
    let seq = row.get(20)?;
    Ok(FoundFile { seq, space, file, damaged: lost })
}
