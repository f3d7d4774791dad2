//! Checks an index before it is used. Nothing here modifies it.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{failed, generation, unusable};
use crate::error::{Error, Result, word};
use crate::store::blobs::{Blobs, Subject};
use crate::store::schema::{COUNTS_CHANGES, STEPS};

/// Whether the store is new. A missing or empty index is an error if blobs or a write-ahead log exist.
pub(super) fn is_new(path: &Path, blobs: &Blobs) -> Result<bool> {
    let how = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "is missing",
        Err(error) => return Err(Error::io("open", path, error)),
        Ok(found) if found.len() == 0 => "is empty",
        Ok(_) => return Ok(false),
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let contents = blobs.contents()?.len();
    // Must be checked before SQLite opens the file: it deletes the log of an empty database.
    if contents > 0 || fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
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
            "{}: the store has format {format}; this haul knows up to {}",
            path.display(),
            STEPS.len()
        ))
        .hint("use a later haul, or another store: `HAUL_HOME=DIR haul …`")),
        _ => Err(unusable(path, "is a database of another program")),
    }
}

/// Refuses an index that has lost changes: its number of changes is below `noted`, or it has no rows although blobs exist.
pub(super) fn is_whole(
    connection: &mut Connection,
    format: usize,
    noted: Option<i64>,
    blobs: &Blobs,
    path: &Path,
) -> Result<()> {
    let failed = |error: rusqlite::Error| failed(path, &error);
    // Earlier formats do not count changes. If a number is noted, such an index is older than the last one.
    let number = if format >= COUNTS_CHANGES { generation::of(connection).map_err(failed)? } else { 0 };
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
    // Blocks writers, so that no blob exists whose row is about to be committed.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    if has_rows(&transaction)? {
        return Ok(());
    }
    let mut contents = blobs.contents()?;
    for doubt in blobs.doubts()? {
        if let Subject::Blob(sha256) = &doubt.subject {
            contents.remove(sha256);
        }
    }
    if contents.is_empty() { Ok(()) } else { Err(lost(path, "has no files", contents.len(), blobs)) }
}

/// The error for an index without rows for the existing blobs.
fn lost(path: &Path, how: &str, contents: usize, blobs: &Blobs) -> Error {
    let still = match contents {
        0 => format!("its log {}-wal is still there", path.display()),
        1 => format!("1 blob is still in {}", blobs.blobs().display()),
        _ => format!("{contents} blobs are still in {}", blobs.blobs().display()),
    };
    unusable(path, how).cause(still)
}

/// The error for an index that lacks its last changes.
fn behind(path: &Path, changes: i64) -> Error {
    let shown = path.display();
    let changes = if changes == 1 { "change".to_owned() } else { format!("{changes} changes") };
    let noted = generation::Generation::beside(path).path.display().to_string();
    unusable(path, &format!("has lost its last {changes}"))
        .cause(format!(
            "{shown}-wal is missing or damaged, or an older index is in the place of the last one"
        ))
        .hint(format!("`rm {}` accepts the index as it is", word(&noted)))
}
