//! Uploads by earlier runs of a command whose local files have changed since.

use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::params;

use super::{KEPT, Ledger, Stamp};
use crate::model::FileId;

/// An upload that no later run resumes, because the local file has changed or no longer exists.
#[derive(Clone, Debug)]
pub(in crate::transfer) struct Outdated {
    /// The number of its row.
    pub(in crate::transfer) number: i64,
    /// The name on the platform.
    pub(in crate::transfer) name: String,
    pub(in crate::transfer) size: u64,
    /// The time at which it began, by this machine's clock.
    pub(in crate::transfer) at: Timestamp,
    /// The mark that the platform stores with the file.
    pub(in crate::transfer) mark: Option<String>,
    /// The uploaded file and its version; `None` if the upload was not finished.
    pub(in crate::transfer) file: Option<(FileId, Option<String>)>,
}

impl Ledger {
    /// The outdated uploads by earlier runs of this command that did not process all files.
    pub(in crate::transfer) fn outdated(&self, now: Timestamp) -> Vec<Outdated> {
        let found = self.with(|state| {
            let since = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
            let mut rows = state.db.prepare(
                "SELECT number, run, path, mtime, size, name, at, iif(state = 'done', id, NULL), version, mark
                 FROM uploads
                 WHERE target = ? AND command = ? AND run != '' AND path IS NOT NULL AND at >= ?",
            )?;
            let rows =
                rows.query_map(params![state.target, state.command, since.as_microsecond()], |row| {
                    let stamp: (i64, i64) = (row.get(4)?, row.get(3)?);
                    let path = PathBuf::from(row.get::<_, String>(2)?);
                    if Stamp::of(&path).is_some_and(|now| (now.size, now.mtime) == stamp) {
                        return Ok(None);
                    }
                    let id = row.get::<_, Option<String>>(7)?.map(FileId);
                    let outdated = Outdated {
                        number: row.get(0)?,
                        name: row.get(5)?,
                        size: stamp.0.unsigned_abs(),
                        at: Timestamp::from_microsecond(row.get(6)?).unwrap_or(Timestamp::UNIX_EPOCH),
                        mark: row.get(9)?,
                        file: id.zip(Some(row.get(8)?)),
                    };
                    Ok(Some((row.get::<_, String>(1)?, outdated)))
                })?;
            let rows: Vec<(String, Outdated)> =
                rows.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            let ended = rows.into_iter().filter(|(run, _)| !state.is_running(run));
            Ok(ended.map(|(_, outdated)| outdated).collect())
        });
        found.unwrap_or_default()
    }
}
