//! The runs: each process that sends files has a file in `state/runs`, which it locks until it exits.
//!
//! Before an upload is sent, the process adds a line to its file. That takes a single system call, where a row in the
//! database would take about fifteen. When the process ends, the file is deleted. If it is killed, the file remains, and
//! the next process moves its lines to the database. A long run moves them itself, so its file stays small.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::files;

/// The time between two searches for killed processes by [`Runs::recover_sometimes`].
const INTERVAL: Duration = Duration::from_millis(10);
/// The size in bytes at which a file is emptied.
const MAX_SIZE: u64 = 4 << 20;

/// The files of the runs.
pub(super) struct Runs {
    folder: PathBuf,
    own: Option<Run>,
    /// When killed processes were last searched for.
    searched: Instant,
}

/// The run of this process.
struct Run {
    id: String,
    /// Locked until this process exits.
    file: fs::File,
    /// Its size in bytes.
    size: u64,
    /// The number of uploads that have begun.
    count: u64,
    /// The number of the first upload in the file.
    first: u64,
    /// The uploads that are neither finished nor forgotten.
    begun: BTreeMap<u64, Upload>,
    /// Those that were moved to the database, with the numbers of their rows.
    moved: BTreeMap<u64, i64>,
}

/// Where an upload by this run is recorded.
#[derive(Debug)]
pub(super) enum Place {
    /// A line in the file of the run with this id.
    Line(String, Upload),
    /// The row with this number.
    Row(i64),
}

/// An upload that is about to be sent. Times are in microseconds since 1970, except `mtime`, which is in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) target: String,
    pub(super) command: String,
    pub(super) path: Option<String>,
    pub(super) mtime: Option<i64>,
    pub(super) name: String,
    pub(super) size: i64,
    pub(super) at: i64,
    pub(super) old: Option<String>,
    pub(super) mark: Option<String>,
}

/// A line of a file. Uploads are numbered from 0, in the order of their lines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<U> {
    Begun(U),
    Forgotten(u64),
}

impl Upload {
    /// Adds a row for this upload.
    pub(super) fn insert(&self, db: &Connection, run: &str) -> rusqlite::Result<usize> {
        db.prepare_cached(
            "INSERT INTO uploads (target, command, run, state, path, mtime, name, size, at, old, mark)
             VALUES (?, ?, ?, 'begun', ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.target,
            self.command,
            run,
            self.path,
            self.mtime,
            self.name,
            self.size,
            self.at,
            self.old,
            self.mark,
        ])
    }
}

impl Runs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, own: None, searched: Instant::now() }
    }

    /// The folder with the files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The id of this run, if it has begun.
    pub(super) fn own(&self) -> Option<&str> {
        self.own.as_ref().map(|run| run.id.as_str())
    }

    /// The id of this run. The first call begins the run.
    pub(super) fn start(&mut self) -> rusqlite::Result<String> {
        Ok(self.run()?.id.clone())
    }

    fn run(&mut self) -> rusqlite::Result<&mut Run> {
        let run = match self.own.take() {
            Some(run) => run,
            None => Run::begin(&self.folder).map_err(failed)?,
        };
        Ok(self.own.insert(run))
    }

    /// Writes a line for an upload that is about to be sent. Returns its number.
    pub(super) fn begin(&mut self, upload: Upload) -> rusqlite::Result<u64> {
        let run = self.run()?;
        run.write(&Line::Begun(&upload))?;
        let number = run.count;
        run.count += 1;
        run.begun.insert(number, upload);
        Ok(number)
    }

    /// Takes an upload that is finished or whose file does not exist on the platform.
    pub(super) fn take(&mut self, number: u64) -> Option<Place> {
        let run = self.own.as_mut()?;
        let row = || run.moved.remove(&number).map(Place::Row);
        run.begun.remove(&number).map(|upload| Place::Line(run.id.clone(), upload)).or_else(row)
    }

    /// Writes a line for an upload that was taken and whose file does not exist on the platform.
    pub(super) fn forget(&mut self, number: u64) -> rusqlite::Result<()> {
        let run = self.run()?;
        run.write(&Line::Forgotten(number.saturating_sub(run.first)))
    }

    /// Whether the file of this run should be emptied.
    pub(super) fn is_full(&self) -> bool {
        self.own.as_ref().is_some_and(|run| run.size >= MAX_SIZE)
    }

    /// Moves the uploads that are neither finished nor forgotten to the database, and empties the file of this run. All
    /// other uploads must be in the database.
    pub(super) fn empty(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Some(run) = &mut self.own else { return Ok(()) };
        if !run.begun.is_empty() {
            let transaction =
                rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
            for (number, upload) in &run.begun {
                upload.insert(&transaction, &run.id)?;
                run.moved.insert(*number, transaction.last_insert_rowid());
            }
            transaction.commit()?;
        }
        run.begun.clear();
        run.first = run.count;
        run.size = 0;
        run.file.set_len(0).and_then(|()| run.file.rewind()).map_err(failed)
    }

    /// Ends this run. Its uploads must be in the database.
    pub(super) fn end(&mut self) {
        if let Some(run) = self.own.take() {
            let _ = fs::remove_file(self.folder.join(&run.id));
        }
    }

    /// Whether another process with this id is running.
    pub(super) fn is_running(&self, run: &str) -> bool {
        !run.is_empty()
            && self.own() != Some(run)
            && matches!(files::lock_existing(&self.folder.join(run)), Ok(None))
    }

    /// The ids of the other runs that have a file.
    pub(super) fn others(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        ids.filter(|id| self.own() != Some(id)).collect()
    }

    /// Moves the uploads of killed processes to the database.
    pub(super) fn recover(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for id in self.others() {
            let path = self.folder.join(&id);
            // Another process may be recovering the run.
            let Ok(Some(mut file)) = files::lock_existing(&path) else { continue };
            move_to(db, &id, &read(&mut file).map_err(failed)?)?;
            let _ = fs::remove_file(&path);
        }
        self.searched = Instant::now();
        Ok(())
    }

    /// Like [`recover`](Self::recover), but does nothing if that was called a short time ago.
    pub(super) fn recover_sometimes(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.searched.elapsed() < INTERVAL { Ok(()) } else { self.recover(db) }
    }

    /// The uploads that another run has begun, from a position in its file, which is moved to the end.
    pub(super) fn uploads_of(&self, run: &str, from: &mut u64) -> io::Result<Vec<Upload>> {
        let mut file = fs::File::open(self.folder.join(run))?;
        if file.metadata()?.len() < *from {
            // It was emptied.
            *from = 0;
        }
        file.seek(SeekFrom::Start(*from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // The last line may be incomplete.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        *from += text.len() as u64;
        Ok(text.lines().filter_map(begun).collect())
    }
}

impl Run {
    fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        loop {
            let id = uuid::Uuid::new_v4().simple().to_string();
            // Another process may have locked the new file to recover it.
            if let Some(file) = files::lock_private(&folder.join(&id))? {
                return Ok(Self {
                    id,
                    file,
                    size: 0,
                    count: 0,
                    first: 0,
                    begun: BTreeMap::new(),
                    moved: BTreeMap::new(),
                });
            }
        }
    }

    fn write(&mut self, line: &Line<&Upload>) -> rusqlite::Result<()> {
        let mut text = serde_json::to_vec(line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.size += text.len() as u64;
        self.file.write_all(&text).map_err(failed)
    }
}

fn begun(line: &str) -> Option<Upload> {
    match serde_json::from_str(line) {
        Ok(Line::Begun(upload)) => Some(upload),
        _ => None,
    }
}

/// The uploads in the file of a killed process that it has not forgotten. A line that is not valid belongs to an upload
/// that was not sent.
fn read(file: &mut fs::File) -> io::Result<Vec<Upload>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut uploads = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line) {
            Ok(Line::Begun(upload)) => uploads.push(Some(upload)),
            Ok(Line::Forgotten(number)) => {
                if let Some(upload) = usize::try_from(number).ok().and_then(|number| uploads.get_mut(number))
                {
                    *upload = None;
                }
            }
            Err(_) => {}
        }
    }
    Ok(uploads.into_iter().flatten().collect())
}

/// Adds rows for the uploads of a run that have none. The process may have been killed after writing some of them.
fn move_to(db: &Connection, run: &str, uploads: &[Upload]) -> rusqlite::Result<()> {
    if uploads.is_empty() {
        return Ok(());
    }
    let transaction = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    let written = rows_of(&transaction, run)?;
    for upload in uploads.iter().filter(|upload| !written.contains(&(upload.name.clone(), upload.at))) {
        upload.insert(&transaction, run)?;
    }
    transaction.commit()
}

/// The names and times of the uploads of a run that have rows.
pub(super) fn rows_of(db: &Connection, run: &str) -> rusqlite::Result<HashSet<(String, i64)>> {
    let mut rows = db.prepare("SELECT name, at FROM uploads WHERE run = ?")?;
    let rows = rows.query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn failed(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}
