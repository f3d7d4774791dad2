//! The multipart uploads that this machine has started.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::{Ledger, State, local_file, short_hash, to_i64};
use crate::model::NewFile;
use crate::providers::Session;
use crate::secret::Secret;

/// The age at which a session is aborted instead of resumed.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// `parts` has a row for each part that the platform has confirmed.
pub(super) const TABLES: &str = "
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    run TEXT NOT NULL,
    path TEXT,
    mtime INTEGER,
    variant TEXT NOT NULL,
    mark TEXT,
    size INTEGER NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    secret TEXT,
    part_size INTEGER NOT NULL,
    expires_at INTEGER,
    completing INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE parts (
    session INTEGER NOT NULL REFERENCES sessions ON DELETE CASCADE,
    part INTEGER NOT NULL,
    tag TEXT NOT NULL,
    PRIMARY KEY (session, part)
);
";

/// A recorded session.
#[derive(Clone, Debug)]
pub(in crate::transfer) struct OpenSession {
    /// The number of its row; `None` if it is not recorded.
    pub(in crate::transfer) number: Option<i64>,
    /// The session.
    pub(in crate::transfer) session: Session,
    /// The time at which it began, by this machine's clock.
    pub(in crate::transfer) at: Timestamp,
    /// The tags of the parts that the platform has confirmed, by index.
    pub(in crate::transfer) tags: BTreeMap<u32, String>,
    /// Whether the parts may already have been combined.
    pub(in crate::transfer) completing: bool,
    /// The mark that the platform stores with the file.
    pub(in crate::transfer) mark: Option<String>,
}

/// The recorded sessions that concern a file.
#[derive(Debug, Default)]
pub(in crate::transfer) struct Sessions {
    /// The session that an upload of the file can resume.
    pub(in crate::transfer) current: Option<OpenSession>,
    /// Sessions for an earlier version of the file, and expired or abandoned sessions for any file.
    pub(in crate::transfer) stale: Vec<OpenSession>,
}

impl Ledger {
    /// The sessions that concern this file, except those of running processes.
    pub(in crate::transfer) fn sessions(&self, new: &NewFile, now: Timestamp) -> Sessions {
        let (path, mtime) = local_file(new).unzip();
        self.with(|state| state.sessions(new, path.as_deref(), mtime, now)).unwrap_or_default()
    }

    /// Records a session. Returns `None` if it was not recorded.
    pub(in crate::transfer) fn begin_session(
        &self,
        new: &NewFile,
        session: &Session,
        now: Timestamp,
    ) -> Option<i64> {
        let (path, mtime) = local_file(new).unzip();
        self.write(|state| {
            let run = state.run()?;
            state
                .db
                .prepare_cached(
                    "INSERT INTO sessions (target, run, path, mtime, variant, mark, size, at, id, secret, part_size, expires_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    state.target,
                    run,
                    path,
                    mtime,
                    variant(new),
                    new.mark,
                    to_i64(new.size),
                    now.as_microsecond(),
                    session.id,
                    session.secret.as_ref().map(Secret::expose),
                    to_i64(session.part_size),
                    session.expires_at.map(Timestamp::as_microsecond),
                ])?;
            Ok(state.db.last_insert_rowid())
        })
    }

    /// Records that this process resumes a session.
    pub(in crate::transfer) fn continue_session(&self, number: Option<i64>) {
        let Some(number) = number else { return };
        self.write(|state| {
            let run = state.run()?;
            state.db.execute("UPDATE sessions SET run = ? WHERE number = ?", params![run, number])
        });
    }

    /// Records a part that the platform has confirmed.
    pub(in crate::transfer) fn note_part(&self, number: Option<i64>, part: u32, tag: &str) {
        let Some(number) = number else { return };
        self.write(|state| {
            state.db.execute(
                "INSERT OR REPLACE INTO parts (session, part, tag) VALUES (?, ?, ?)",
                params![number, part, tag],
            )
        });
    }

    /// Records that the parts of a session are about to be combined.
    pub(in crate::transfer) fn complete_session(&self, number: Option<i64>) {
        let Some(number) = number else { return };
        self.write(|state| {
            state.db.execute("UPDATE sessions SET completing = 1 WHERE number = ?", params![number])
        });
    }

    /// Erases a session and its secret.
    pub(in crate::transfer) fn end_session(&self, number: Option<i64>) {
        let Some(number) = number else { return };
        self.write(|state| {
            state.db.execute("DELETE FROM parts WHERE session = ?", params![number])?;
            state.db.execute("DELETE FROM sessions WHERE number = ?", params![number])
        });
    }
}

impl State {
    fn sessions(
        &mut self,
        new: &NewFile,
        path: Option<&str>,
        mtime: Option<i64>,
        now: Timestamp,
    ) -> rusqlite::Result<Sessions> {
        let abandoned = now.checked_sub(ABANDONED).unwrap_or(Timestamp::MIN).as_microsecond();
        let now = now.as_microsecond();
        let mut rows = self.db.prepare_cached(
            "SELECT number, run, id, secret, part_size, expires_at, completing,
                    path = ? AND variant = ? AS same, mtime = ? AND size = ? AS unchanged,
                    at < ? OR coalesce(expires_at <= ?, 0) AS over, mark, at
             FROM sessions WHERE target = ? AND (same OR over) ORDER BY number DESC",
        )?;
        let values = params![path, variant(new), mtime, to_i64(new.size), abandoned, now, self.target];
        let rows = rows.query_map(values, |row| {
            let expires: Option<i64> = row.get(5)?;
            let secret: Option<String> = row.get(3)?;
            let session = Session {
                id: row.get(2)?,
                secret: secret.as_deref().map(Secret::new),
                part_size: row.get::<_, i64>(4)?.unsigned_abs(),
                expires_at: expires.and_then(|time| Timestamp::from_microsecond(time).ok()),
            };
            let open = OpenSession {
                number: row.get(0)?,
                session,
                at: Timestamp::from_microsecond(row.get(11)?).unwrap_or(Timestamp::MAX),
                tags: BTreeMap::new(),
                completing: row.get(6)?,
                mark: row.get(10)?,
            };
            let same: Option<bool> = row.get(7)?;
            let unchanged: Option<bool> = row.get(8)?;
            let over: bool = row.get(9)?;
            let run: String = row.get(1)?;
            Ok((run, open, !over && same == Some(true) && unchanged == Some(true)))
        })?;
        let rows: Vec<(String, OpenSession, bool)> = rows.collect::<Result<_, _>>()?;
        let mut found = Sessions::default();
        for (run, mut open, usable) in rows {
            if self.is_running(&run) || self.run.as_ref().is_some_and(|own| own.id == run) {
                continue;
            }
            if usable && found.current.is_none() {
                let mut parts = self.db.prepare_cached("SELECT part, tag FROM parts WHERE session = ?")?;
                let parts = parts.query_map([open.number], |row| Ok((row.get(0)?, row.get(1)?)))?;
                open.tags = parts.collect::<Result<_, _>>()?;
                found.current = Some(open);
            } else {
                found.stale.push(open);
            }
        }
        Ok(found)
    }
}

/// A hash of the properties that are sent to the platform when a session starts.
fn variant(new: &NewFile) -> String {
    short_hash(&format!("{:?}", (&new.name, &new.content_type, &new.purpose, &new.metadata, &new.expires)))
}
