//! How many changes the index has seen, in a file beside it.
//!
//! The file is written after a change is committed, so it is never ahead of an index that is whole. An index that is behind
//! has lost changes: its `-wal` is gone or damaged, or an older copy is in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

/// The file.
pub(super) struct Generation {
    pub(super) path: PathBuf,
    open: Option<File>,
}

impl Generation {
    /// The file beside an index.
    pub(super) fn beside(index: &Path) -> Self {
        Self { path: index.with_file_name("generation"), open: None }
    }

    /// The number in the file. None where there is no file, and where it was cut or mixed with another by a crash: then it
    /// proves nothing.
    pub(super) fn read(&self) -> Option<i64> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (number, again) = text.trim_end().split_once(' ')?;
        number.parse().ok().filter(|_| number == again)
    }

    /// Notes a number. A change is complete without it, so a failure is not one of the change.
    pub(super) fn note(&mut self, number: i64) {
        if self.write(number).is_err() {
            self.open = None;
        }
    }

    fn write(&mut self, number: i64) -> io::Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                none.insert(OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?)
            }
        };
        file.seek(SeekFrom::Start(0))?;
        // In place and of one length; twice, so that two numbers written at once are not taken for a third.
        file.write_all(format!("{number:020} {number:020}\n").as_bytes())
    }
}

/// Counts one more change; None where the index does not count.
pub(super) fn advance(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "UPDATE generation SET number = number + 1 RETURNING number";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

/// The number in the index.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<i64> {
    let number = connection.query_row("SELECT number FROM generation", [], |row| row.get(0)).optional();
    number.map(Option::unwrap_or_default)
}
