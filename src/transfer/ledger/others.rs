//! The names of files that other commands with the same ledger are uploading.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::params;

use super::{Ledger, State};
use crate::model::hash_of_name;

/// Reading resumes this many rows before the last row, because SQLite reuses the numbers of deleted rows.
const MARGIN: i64 = 1_000;

/// The names that other commands have been uploading since a time.
pub(super) struct Others {
    since: Timestamp,
    /// The version of the database when its rows were last read. Only changes by other processes count.
    version: Option<i64>,
    /// The number of the last row at that time.
    last: i64,
    /// The [hashes](hash_of_name) of the names.
    names: HashSet<u64>,
}

impl Ledger {
    /// Starts watching the names that other commands are uploading now or will upload later.
    pub(in crate::transfer) fn watch_others(&self, now: Timestamp) {
        self.with(|state| {
            state.others = Some(Others { since: now, version: None, last: 0, names: HashSet::new() });
            state.read_others()
        });
    }

    /// Whether another command has been uploading a file with this name ([hashed](hash_of_name)) since
    /// [`watch_others`](Self::watch_others) was called.
    pub(in crate::transfer) fn others_uploaded(&self, name: u64) -> bool {
        let found = self.with(|state| {
            state.read_others()?;
            Ok(state.others.as_ref().is_some_and(|others| others.names.contains(&name)))
        });
        found.unwrap_or_default()
    }
}

impl State {
    fn read_others(&mut self) -> rusqlite::Result<()> {
        let Some(others) = &mut self.others else { return Ok(()) };
        let version = self.db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if others.version == Some(version) {
            return Ok(());
        }
        let last = self.db.query_row("SELECT ifnull(max(number), 0) FROM uploads", [], |row| row.get(0))?;
        let mut rows = self.db.prepare_cached(
            "SELECT name FROM uploads WHERE number > ? AND target = ? AND run NOT IN ('', ?)
             AND (state = 'begun' OR at >= ?)",
        )?;
        let own = self.run.as_ref().map_or("", |run| &run.id);
        let first = others.last.saturating_sub(MARGIN);
        let mut rows = rows.query(params![first, self.target, own, others.since.as_microsecond()])?;
        while let Some(row) = rows.next()? {
            others.names.insert(hash_of_name(&row.get::<_, String>(0)?));
        }
        others.last = last;
        others.version = Some(version);
        Ok(())
    }
}
