//! The ledger: a record of this machine's uploads and of the hashes of local files, in `state/ledger.db`.
//!
//! It serves four purposes:
//!
//! - Until a command has sent all its files, running the same command again continues it: finished files are not sent
//!   again, and haul first checks whether a file that was being sent has arrived.
//! - It identifies the content of uploaded files if the platform reports no checksum.
//! - The hash of an unchanged local file does not have to be computed again.
//! - A multipart upload resumes at the first missing part.
//!
//! A row never contains content, tokens, links or metadata. The secret of a multipart upload is erased when the
//! upload ends. On an SQLite error, a single warning is printed and the ledger is turned off for the rest of the
//! command, which works without it.

mod database;
mod others;
mod outdated;
mod sessions;
mod stamp;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use others::Others;
pub(super) use outdated::Outdated;
pub(super) use sessions::OpenSession;
pub(super) use stamp::Stamp;

use crate::files;
use crate::model::{Checksums, File, FileId, NewFile, Source, Warn};

/// How long an incomplete command can be continued.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// If a local file changed less than this long before its hash was recorded, a later change may have the same
/// timestamp.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);

/// Changes are written in batches: when this many are pending, or after this much time. A crash loses pending changes,
/// which only makes the next run slower.
const BATCH: usize = 64;
pub(super) const BATCH_TIME: Duration = Duration::from_millis(250);

/// The ledger as used by one command. The default value records nothing.
#[derive(Default)]
pub struct Ledger {
    state: Mutex<Option<State>>,
    warn: Warn,
}

struct State {
    db: Connection,
    target: String,
    command: String,
    /// Whether to only read rows, as in a dry run.
    read_only: bool,
    folder: PathBuf,
    run: Option<Run>,
    /// The rows of earlier runs that this command has already used.
    used: HashSet<i64>,
    /// Changes that have not been written yet, in order.
    pending: Vec<Change>,
    /// The paths whose hashes are among the pending changes.
    unwritten: HashSet<String>,
    /// The names that other commands upload, if they are watched.
    others: Option<Others>,
    /// When changes were last written.
    written: Instant,
}

/// A change to the tables.
type Change = Box<dyn FnOnce(&Connection) -> rusqlite::Result<usize> + Send>;

/// A process that owns rows. Its lock file stays locked until the process exits.
struct Run {
    id: String,
    _lock: files::Locked,
}

/// An upload that was started but not finished.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    /// The number of its row.
    pub(super) number: i64,
    /// When it started, by this machine's clock.
    pub(super) at: Timestamp,
    /// The file that the upload replaces.
    pub(super) old: Option<FileId>,
    /// The mark that the platform stores with the file.
    pub(super) mark: Option<String>,
}

/// An earlier run's upload of a file.
#[derive(Debug)]
pub(super) enum Earlier {
    /// No upload is known.
    Nothing,
    /// The upload was started.
    Begun(Begun),
    /// The upload was finished.
    Finished {
        /// The uploaded file.
        id: FileId,
        /// The replaced file, if it could not be deleted.
        old: Option<FileId>,
    },
}

/// The content that a file received from an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Size in bytes.
    pub(super) size: u64,
    /// The checksums that were computed.
    pub(super) checksums: Checksums,
    /// The version of the file with this content, if the platform reports one.
    pub(super) version: Option<String>,
}

impl Ledger {
    /// Opens the ledger in the state directory for a command (its arguments as text) and a target (provider, base URL
    /// and scope as text). If that fails, prints a warning with `warn` and turns the ledger off.
    pub fn open(folder: &Path, target: &str, command: &str, warn: Warn) -> Self {
        let path = folder.join("ledger.db");
        let opened = fs::create_dir_all(folder)
            .map_err(|error| error.to_string())
            .and_then(|()| database::open(&path, &warn));
        let state = match opened {
            Ok(db) => Some(State {
                db,
                target: short_hash(target),
                command: short_hash(command),
                read_only: false,
                folder: folder.join("runs"),
                run: None,
                used: HashSet::new(),
                pending: Vec::new(),
                unwritten: HashSet::new(),
                others: None,
                written: Instant::now(),
            }),
            Err(reason) => {
                warn.say(&off(&path, &reason));
                None
            }
        };
        Self { state: Mutex::new(state), warn }
    }

    /// Makes the ledger read-only.
    #[must_use]
    pub fn read_only(self) -> Self {
        if let Some(state) = self.state().as_mut() {
            state.read_only = true;
        }
        self
    }

    /// Whether the ledger is on.
    pub(super) fn is_on(&self) -> bool {
        self.state().is_some()
    }

    /// The folder with the locks shared by processes that use this ledger, and the target that the locks are for.
    /// `None` if the ledger is off or read-only.
    pub(super) fn locks(&self) -> Option<(PathBuf, String)> {
        let guard = self.state();
        let state = guard.as_ref().filter(|state| !state.read_only)?;
        Some((state.folder.with_file_name("locks"), state.target.clone()))
    }

    /// An earlier run's upload of this file, and the resulting file of the latest upload from this path under this
    /// name. Each earlier upload is returned only once, so that a file named twice is sent twice.
    pub(super) fn earlier(
        &self,
        new: &NewFile,
        stamp: Option<Stamp>,
        now: Timestamp,
    ) -> (Earlier, Option<FileId>) {
        let Some((path, mtime)) = place(new, stamp) else { return (Earlier::Nothing, None) };
        let found = self.with(|state| state.earlier(new, &path, mtime, now));
        found.unwrap_or((Earlier::Nothing, None))
    }

    /// Records that a file is about to be sent. The row is written before this returns. Returns `None` if nothing was
    /// recorded.
    pub(super) async fn begin(
        &self,
        new: &NewFile,
        stamp: Option<Stamp>,
        at: Timestamp,
        old: Option<&FileId>,
    ) -> Option<i64> {
        // Set to the row's number once the row is written.
        let number = Arc::new(OnceLock::new());
        let written = Arc::clone(&number);
        self.write(|state| {
            let run = state.run()?;
            let (target, command) = (state.target.clone(), state.command.clone());
            let (path, mtime) = place(new, stamp).unzip();
            let (name, size, mark) = (new.name.clone(), to_i64(new.size), new.mark.clone());
            let old = old.map(|id| id.0.clone());
            state.pending.push(Box::new(move |db| {
                let rows = db.prepare_cached(
                    "INSERT INTO uploads (target, command, run, state, path, mtime, name, size, at, old, mark)
                     VALUES (?, ?, ?, 'begun', ?, ?, ?, ?, ?, ?, ?)",
                )?.execute(params![target, command, run, path, mtime, name, size, at.as_microsecond(), old, mark])?;
                let _ = written.set(db.last_insert_rowid());
                Ok(rows)
            }));
            Ok(())
        })?;
        // Lets other uploads that start at the same time join the same write.
        tokio::task::yield_now().await;
        self.write(|state| {
            if number.get().is_none() {
                state.flush()?;
            }
            Ok(number.get().copied())
        })
        .flatten()
    }

    /// Records the content that a file received from an upload, and the replaced file if it could not be deleted.
    pub(super) fn finish(
        &self,
        number: Option<i64>,
        file: &File,
        size: u64,
        sums: &Checksums,
        old: Option<&FileId>,
    ) {
        let Some(number) = number else { return };
        let (id, version, sums) = (file.id.0.clone(), version(file), sums.clone());
        let (expires, old) = (file.expires_at.map(Timestamp::as_microsecond), old.map(|id| id.0.clone()));
        self.change(move |db| {
            db.prepare_cached(
                "UPDATE uploads SET state = 'done', id = ?, version = ?, expires_at = ?, size = ?,
                 blake3 = ?, sha256 = ?, md5 = ?, old = ? WHERE number = ?",
            )?
            .execute(params![
                id,
                version,
                expires,
                to_i64(size),
                sums.blake3,
                sums.sha256,
                sums.md5,
                old,
                number,
            ])
        });
    }

    /// Records the content of a file that this command did not upload but has compared.
    pub(super) fn learn(
        &self,
        new: &NewFile,
        stamp: Option<Stamp>,
        file: &File,
        sums: &Checksums,
        now: Timestamp,
    ) {
        let Some(target) = self.state().as_ref().map(|state| state.target.clone()) else { return };
        let (path, mtime) = place(new, stamp).unzip();
        let (file, size, sums) = (file.clone(), to_i64(new.size), sums.clone());
        self.change(move |db| {
            db.prepare_cached(
                "INSERT INTO uploads (target, run, state, path, mtime, name, size, at, id, version, expires_at,
                 blake3, sha256, md5) VALUES (?, '', 'done', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?.execute(params![
                target, path, mtime, file.name, size, now.as_microsecond(), file.id.0, version(&file),
                file.expires_at.map(Timestamp::as_microsecond), sums.blake3, sums.sha256, sums.md5,
            ])
        });
    }

    /// Removes an upload whose file does not exist on the platform.
    pub(super) fn forget(&self, number: Option<i64>) {
        let Some(number) = number else { return };
        self.change(move |db| db.execute("DELETE FROM uploads WHERE number = ?", params![number]));
    }

    /// The content that this file received from its latest recorded upload.
    pub(super) fn content(&self, id: &FileId) -> Option<Content> {
        self.with(|state| {
            state.flush()?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok(Content {
                    size: row.get::<_, i64>(0)?.unsigned_abs(),
                    checksums: Checksums { blake3: row.get(1)?, sha256: row.get(2)?, md5: row.get(3)? },
                    version: row.get(4)?,
                })
            };
            state
                .db
                .prepare_cached(
                    "SELECT size, blake3, sha256, md5, version FROM uploads
                 WHERE target = ? AND id = ? AND state = 'done' ORDER BY number DESC LIMIT 1",
                )?
                .query_row(params![state.target, id.0], row)
                .optional()
        })
        .flatten()
    }

    /// The path of the local file that this file was uploaded from, according to its latest upload from a path.
    pub fn uploaded_from(&self, id: &FileId) -> Option<PathBuf> {
        let path = self.with(|state| {
            state
                .db
                .prepare_cached(
                    "SELECT path FROM uploads WHERE target = ? AND id = ? AND state = 'done' AND run != ''
                     AND path IS NOT NULL ORDER BY number DESC LIMIT 1",
                )?
                .query_row(params![state.target, id.0], |row| row.get::<_, String>(0))
                .optional()
        });
        path.flatten().map(PathBuf::from)
    }

    /// Whether this ledger records an upload of the file, as opposed to a comparison.
    pub fn uploaded(&self, id: &FileId) -> bool {
        let found = self.with(|state| {
            state
                .db
                .prepare_cached("SELECT 1 FROM uploads WHERE target = ? AND id = ? AND state = 'done' AND run != '' LIMIT 1")?
                .exists(params![state.target, id.0])
        });
        found.unwrap_or_default()
    }

    /// Whether the ledger is on and records no finished upload yet, to any platform.
    pub fn is_new(&self) -> bool {
        let has_upload = self.with(|state| {
            let sql = "SELECT 1 FROM uploads WHERE state = 'done' AND run != '' LIMIT 1";
            state.db.prepare(sql)?.exists([])
        });
        has_upload == Some(false)
    }

    /// The recorded hash of a local file; `None` if the file has changed since. `kind` is `blake3`, `sha256` or `md5`.
    pub(super) fn hash(&self, path: &Path, kind: &str) -> Option<String> {
        let stamp = Stamp::of(path)?;
        let path = text_of(path);
        self.with(|state| {
            if state.unwritten.contains(&path) {
                state.flush()?;
            }
            state.db.prepare_cached(
                "SELECT digest FROM hashes WHERE path = ? AND kind = ? AND size = ? AND mtime = ? AND ctime = ?
                 AND inode = ?",
            )?.query_row(
                params![path, kind, stamp.size, stamp.mtime, stamp.ctime, stamp.inode],
                |row| row.get(0),
            ).optional()
        })
        .flatten()
    }

    /// Records the hash of a local file. `stamp` must have been taken before the file was read.
    pub(super) fn note_hash(
        &self,
        path: &Path,
        stamp: Stamp,
        kind: &'static str,
        digest: &str,
        now: Timestamp,
    ) {
        // Another change within the resolution of a timestamp would not be noticed.
        let changed = Timestamp::from_nanosecond(i128::from(stamp.mtime)).unwrap_or(Timestamp::MAX);
        if !self.is_on() || now.duration_since(changed) < SETTLED || Stamp::of(path) != Some(stamp) {
            return;
        }
        let (path, digest) = (text_of(path), digest.to_owned());
        if let Some(state) = self.state().as_mut() {
            state.unwritten.insert(path.clone());
        }
        self.change(move |db| {
            db.prepare_cached(
                "INSERT OR REPLACE INTO hashes (path, kind, size, mtime, ctime, inode, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?.execute(params![path, kind, stamp.size, stamp.mtime, stamp.ctime, stamp.inode, digest])
        });
    }

    /// Writes all pending changes.
    pub(super) fn record(&self) {
        self.write(State::flush);
    }

    /// Ends the run. If all files are done, the same command starts over next time; otherwise it continues.
    pub fn end(&self, all_done: bool) {
        if all_done {
            self.write(|state| {
                if state.run.is_none() && state.used.is_empty() {
                    return Ok(());
                }
                state.flush()?;
                let of_command = "target = ? AND command = ? AND state = 'done'";
                let select = format!("SELECT DISTINCT run FROM uploads WHERE {of_command}");
                let mut runs = state.db.prepare(&select)?;
                let runs: Vec<String> = runs
                    .query_map(params![state.target, state.command], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                let transaction = state.db.unchecked_transaction()?;
                for run in runs.iter().filter(|run| !state.is_running(run)) {
                    let update = format!("UPDATE uploads SET command = NULL WHERE {of_command} AND run = ?");
                    transaction.execute(&update, params![state.target, state.command, run])?;
                }
                transaction.commit()
            });
        }
        self.record();
        if let Some(state) = self.state().as_mut() {
            state.end_run();
        }
    }

    /// Queues a change for the next batch.
    fn change(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static) {
        self.write(|state| {
            state.pending.push(Box::new(change));
            let is_due = state.pending.len() >= BATCH || state.written.elapsed() >= BATCH_TIME;
            if is_due { state.flush() } else { Ok(()) }
        });
    }

    /// Runs `work`. An error turns the ledger off.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> rusqlite::Result<T>) -> Option<T> {
        let mut guard = self.state();
        let state = guard.as_mut()?;
        match work(state) {
            Ok(value) => Some(value),
            Err(error) => {
                let path = PathBuf::from(state.db.path().unwrap_or_default());
                state.end_run();
                *guard = None;
                drop(guard);
                self.warn.say(&off(&path, &error.to_string()));
                None
            }
        }
    }

    /// Like [`with`](Self::with), but does nothing if the ledger is read-only.
    fn write<T>(&self, work: impl FnOnce(&mut State) -> rusqlite::Result<T>) -> Option<T> {
        if self.state().as_ref().is_none_or(|state| state.read_only) {
            return None;
        }
        self.with(work)
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl State {
    /// Writes all pending changes in one transaction.
    fn flush(&mut self) -> rusqlite::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.db, rusqlite::TransactionBehavior::Immediate)?;
        for change in self.pending.drain(..) {
            change(&transaction)?;
        }
        transaction.commit()?;
        self.unwritten.clear();
        self.written = Instant::now();
        Ok(())
    }

    fn earlier(
        &mut self,
        new: &NewFile,
        path: &str,
        mtime: i64,
        now: Timestamp,
    ) -> rusqlite::Result<(Earlier, Option<FileId>)> {
        let since = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        // Finished uploads of this command come first, followed by started ones of any command. Rows of this run are
        // excluded, so that a file named twice is sent twice.
        let mut statement = self.db.prepare_cached(
            "SELECT number, run, at, old, mark, iif(state = 'done', id, NULL),
             iif(mtime = ? AND size = ? AND at >= ? AND run IS NOT ? AND (state = 'begun' OR command = ?), 1, 0)
             FROM uploads WHERE target = ? AND path = ? AND name = ? ORDER BY state DESC, number DESC",
        )?;
        let own = self.run.as_ref().map(|run| &run.id);
        let mut rows = statement.query(params![
            mtime,
            to_i64(new.size),
            since.as_microsecond(),
            own,
            self.command,
            self.target,
            path,
            new.name,
        ])?;
        let (mut earlier, mut latest) = (Earlier::Nothing, None);
        while let Some(row) = rows.next()? {
            let (number, run): (i64, String) = (row.get(0)?, row.get(1)?);
            let id = row.get::<_, Option<String>>(5)?.map(FileId);
            if latest.is_none() && !run.is_empty() {
                latest.clone_from(&id);
            }
            let is_usable = matches!(earlier, Earlier::Nothing)
                && row.get(6)?
                && !self.used.contains(&number)
                && !self.is_running(&run);
            if !is_usable {
                continue;
            }
            let at = Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH);
            let old = row.get::<_, Option<String>>(3)?.map(FileId);
            earlier = match id {
                Some(id) => Earlier::Finished { id, old },
                None => Earlier::Begun(Begun { number, at, old, mark: row.get(4)? }),
            };
            self.used.insert(number);
        }
        Ok((earlier, latest))
    }

    /// The id of this process. The first call creates the id and takes its lock.
    fn run(&mut self) -> rusqlite::Result<String> {
        if let Some(run) = &self.run {
            return Ok(run.id.clone());
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = self.folder.join(&id);
        let locked = fs::create_dir_all(&self.folder).and_then(|()| files::lock_new(&path));
        match locked {
            Ok(Some(lock)) => {
                self.run = Some(Run { id: id.clone(), _lock: lock });
                Ok(id)
            }
            Ok(None) => Err(rusqlite::Error::InvalidPath(path)),
            Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error))),
        }
    }

    /// Whether another process with this id is running. If not, removes the lock file that it may have left behind.
    fn is_running(&self, run: &str) -> bool {
        if run.is_empty() || self.run.as_ref().is_some_and(|own| own.id == run) {
            return false;
        }
        let path = self.folder.join(run);
        match files::is_locked(&path) {
            Ok(true) => true,
            Ok(false) => {
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => false,
        }
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let _ = fs::remove_file(self.folder.join(&run.id));
        }
    }
}

/// The version of a file, which changes when its content is updated, if the platform reports one.
pub(super) fn version(file: &File) -> Option<String> {
    let etag = file.extra.get("etag").and_then(|etag| etag.as_str()).map(str::to_owned);
    etag.or_else(|| file.updated_at.map(|time| time.to_string()))
}

fn off(path: &Path, reason: &str) -> String {
    format!("{}: {reason}; uploads by this command will not be recorded", path.display())
}

/// The absolute path of a local file or the reference of a file on a platform, and its modification time; `None` for
/// standard input.
fn place(new: &NewFile, stamp: Option<Stamp>) -> Option<(String, i64)> {
    Some((path_of(new)?, stamp?.mtime))
}

/// The source of an upload as text.
fn path_of(new: &NewFile) -> Option<String> {
    Some(match &new.source {
        Source::Path(path) => text_of(path),
        source => source.place()?.to_string_lossy().into_owned(),
    })
}

/// Like [`place`], with the file's current modification time.
fn local_file(new: &NewFile) -> Option<(String, i64)> {
    place(new, Stamp::of_source(new))
}

/// The absolute path as text.
fn text_of(path: &Path) -> String {
    files::absolute(path).to_string_lossy().into_owned()
}

fn to_i64(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests;
