//! Checks an index before it is used, without modifying it, and counts its changes in a file next to it.
//!
//! The file is written after each commit, so its number never exceeds that of an intact index. An index with a lower
//! number has lost changes: its `-wal` file is missing or damaged, or the index was replaced by an older copy.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::reader::log_of;
use super::{COUNTS_CHANGES, FOREIGN, HAS_ORDERS, STEPS, failed, unusable};
use crate::error::{Error, Result, word};
use crate::store::blobs::directory::Directory;

/// Whether the store is new. A missing or empty index is an error if blobs or a write-ahead log exist.
pub(super) fn is_new(path: &Path, blobs: &Directory) -> Result<bool> {
    let how = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => "is missing",
        Err(error) => return Err(Error::io("open", path, error)),
        Ok(found) if found.len() == 0 => "is empty",
        Ok(_) => return Ok(false),
    };
    let contents = blobs.contents()?.len();
    // This check must precede opening the file with SQLite, which deletes the log of an empty database.
    if contents > 0 || fs::metadata(log_of(path)).is_ok_and(|found| found.len() > 0) {
        return Err(lost(path, how, contents, blobs));
    }
    Ok(true)
}

/// The format of an index; 0 for an empty database.
pub(super) fn format(connection: &Connection, path: &Path) -> Result<usize> {
    let failed = |error: rusqlite::Error| failed(path, &error);
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema)";
    let is_empty: bool = !connection.query_row(sql, [], |row| row.get::<_, bool>(0)).map_err(failed)?;
    match usize::try_from(format) {
        Ok(0) if is_empty => Ok(0),
        Ok(format @ 1..) if format <= STEPS.len() => Ok(format),
        Ok(format @ 1..) => Err(Error::failed(format!(
            "{}: unsupported store format {format}: this version of haul supports formats up to {}",
            path.display(),
            STEPS.len()
        ))
        .hint("update haul, or use another store: `export HAUL_HOME=DIR`")),
        _ => Err(unusable(path, FOREIGN)),
    }
}

/// Rejects a format that has to be migrated before it can be read.
pub(super) fn is_readable(format: usize, path: &Path) -> Result<()> {
    if format >= HAS_ORDERS {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{}: the store has the older format {format}; open it once with write access to migrate it",
        path.display()
    )))
}

/// Rejects an index that has lost changes: its number of changes is below `noted`, or it has no rows although blobs
/// exist.
pub(super) fn is_whole(
    connection: &mut Connection,
    format: usize,
    noted: Option<i64>,
    blobs: &Directory,
    path: &Path,
    writable: bool,
) -> Result<()> {
    let failed = |error: rusqlite::Error| failed(path, &error);
    // Earlier formats do not count changes. If the file contains a number, an index in such a format is outdated.
    let number = if format >= COUNTS_CHANGES { changes_of(connection).map_err(failed)? } else { 0 };
    if let Some(noted) = noted.filter(|noted| format > 0 && *noted > number) {
        return Err(behind(path, noted - number));
    }
    let has_rows = |connection: &Connection| {
        let sql = "SELECT EXISTS (SELECT 1 FROM files)";
        if format == 0 { Ok(false) } else { connection.query_row(sql, [], |row| row.get(0)).map_err(failed) }
    };
    if has_rows(connection)? {
        return Ok(());
    }
    // Block writers, so that there is no blob whose row is still about to be committed.
    let behavior = if writable { TransactionBehavior::Immediate } else { TransactionBehavior::Deferred };
    let transaction = connection.transaction_with_behavior(behavior).map_err(failed)?;
    if has_rows(&transaction)? {
        return Ok(());
    }
    let contents = blobs.settled()?;
    if contents.is_empty() { Ok(()) } else { Err(lost(path, "has no files", contents.len(), blobs)) }
}

/// The error for an index without rows although blobs exist.
fn lost(path: &Path, how: &str, contents: usize, blobs: &Directory) -> Error {
    let still = match contents {
        0 => format!("its log {}-wal still exists", path.display()),
        1 => format!("1 blob is still in {}", blobs.blobs().display()),
        _ => format!("{contents} blobs are still in {}", blobs.blobs().display()),
    };
    unusable(path, how).cause(still)
}

/// The error for an index that lacks its latest changes.
fn behind(path: &Path, changes: i64) -> Error {
    let shown = path.display();
    let changes = if changes == 1 { "change".to_owned() } else { format!("{changes} changes") };
    let noted = Generation::next_to(path).path.display().to_string();
    unusable(path, &format!("has lost its last {changes}"))
        .cause(format!("{shown}-wal is missing or damaged, or the index was replaced with an older one"))
        .hint(format!("to accept the index as it is: `rm {}`", word(&noted)))
}

/// The file with the number of changes.
pub(super) struct Generation {
    path: PathBuf,
    open: Option<File>,
}

impl Generation {
    /// The file next to an index.
    pub(super) fn next_to(index: &Path) -> Self {
        Self { path: index.with_file_name("generation"), open: None }
    }

    /// The number in the file; `None` if the file is missing or incomplete, for example after a crash.
    pub(super) fn read(&self) -> Option<i64> {
        let text = fs::read_to_string(&self.path).ok()?;
        let (number, again) = text.trim_end().split_once(' ')?;
        number.parse().ok().filter(|_| number == again)
    }

    /// Writes the number. Errors are ignored because the change itself has already been committed.
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
        // Fixed width, overwritten in place. The number is written twice to detect an incomplete write.
        file.write_all(format!("{number:020} {number:020}\n").as_bytes())
    }
}

/// Increments the number in the index and returns it; `None` if the index has no number.
pub(super) fn advance(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "UPDATE generation SET number = number + 1 RETURNING number";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()
}

/// The number of changes in the index.
fn changes_of(connection: &Connection) -> rusqlite::Result<i64> {
    let number = connection.query_row("SELECT number FROM generation", [], |row| row.get(0)).optional();
    number.map(Option::unwrap_or_default)
}
