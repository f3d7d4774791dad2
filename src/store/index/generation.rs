//! The number of changes that the index contains, kept in a file next to it.
//!
//! The file is written after each commit, so its number never exceeds that of an intact index. An index with a lower number
//! has lost changes: its `-wal` is missing or damaged, or the index was replaced by an older copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

/// The file with the number.
pub(super) struct Generation {
    pub(super) path: PathBuf,
    open: Option<File>,
}

impl Generation {
    /// The file next to an index.
    pub(super) fn beside(index: &Path) -> Self {
        Self { path: index.with_file_name("generation"), open: None }
    }

    /// The number in the file. `None` if the file is missing or incomplete, for example after a crash.
    pub(super) fn read(&self) -> Option<i64> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (number, again) = text.trim_end().split_once(' ')?;
        number.parse().ok().filter(|_| number == again)
    }

    /// Writes the number. Errors are ignored: the change itself is already committed.
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
        // Fixed width, overwritten in place. The number is written twice, so that a torn write is not read as a number.
        file.write_all(format!("{number:020} {number:020}\n").as_bytes())
    }
}

/// Increments the number in the index and returns it; `None` if the index has none.
pub(super) fn advance(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "UPDATE generation SET number = number + 1 RETURNING number";
    connection.query_row(sql, [], |row| row.get(0)).optional()
}

/// The number of changes in the index.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<i64> {
    let number = connection.query_row("SELECT number FROM generation", [], |row| row.get(0)).optional();
    number.map(Option::unwrap_or_default)
}
