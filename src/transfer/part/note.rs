//! The note stored next to a partial download, which identifies the file that the bytes belong to and records their
//! hash.

use std::fs::{self, File as Handle, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::files::{self, Locked};

/// The value of `made_by`, which identifies a note.
const MARK: &str = "written by haul get to resume this download";
/// Maximum size of a note in bytes.
const LARGEST_NOTE: u64 = 1024 * 1024;
/// How often the note is updated. If the process is killed, the bytes written after the last update are lost.
const NOTED: Duration = Duration::from_secs(2);

/// The content of a note.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) made_by: String,
    /// Identifies the remote file and its version; see [`state_of`](super::state_of).
    pub(super) of: String,
    /// Identifies the part; `None` before the part is created.
    pub(super) part: Option<String>,
    /// The version of the content that the bytes belong to.
    pub(super) version: Version,
    /// The number of bytes written.
    pub(super) have: u64,
    /// The BLAKE3 hash of these bytes.
    pub(super) blake3: Option<String>,
}

/// The version of the content that the bytes belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::transfer) struct Version {
    pub(in crate::transfer) validator: Option<String>,
    pub(in crate::transfer) total: Option<u64>,
    /// Whether the content is derived from the file, such as its extracted text.
    pub(in crate::transfer) derived: bool,
}

/// The note of a partial download, open for writing.
pub(super) struct Record {
    pub(super) note: Note,
    pub(super) path: PathBuf,
    handle: Locked,
    /// The length of the note's text, in bytes.
    length: usize,
    /// The hash of the first `note.have` bytes of the part.
    hasher: Box<blake3::Hasher>,
    taken: Instant,
}

impl Note {
    /// A note for a part that is about to be created.
    pub(super) fn begun() -> Self {
        Self { made_by: MARK.to_owned(), ..Self::default() }
    }

    /// Creates and locks the note for a part that is about to be created. The file appears with its content, so that
    /// no other process mistakes it for a file that haul did not create.
    pub(super) fn create(path: &Path) -> io::Result<Locked> {
        let begin = |file: Handle| {
            let file = Locked::wait(file);
            Self::begun().write(&file, 0).map(|_| file)
        };
        if let Some(file) = files::create_unnamed(files::folder_of(path))? {
            let file = begin(file)?;
            match files::link_unnamed(&file, path) {
                Ok(()) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                // `/proc` is not mounted.
                Err(_) => {}
            }
        }
        let file = Handle::options().read(true).write(true).create_new(true).open(path)?;
        begin(file).inspect_err(|_| drop(fs::remove_file(path)))
    }

    /// Reads the note at `path`. Returns `None` if it does not exist or haul did not create it.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.symlink_metadata().ok().filter(Metadata::is_file)?;
        Self::read(&Handle::open(path).ok()?)
    }

    pub(super) fn read(file: &Handle) -> Option<Self> {
        let mut text = Vec::new();
        file.take(LARGEST_NOTE).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok().filter(|note: &Self| note.made_by == MARK)
    }

    /// Overwrites a note of `length` bytes with a single write, so that a process killed meanwhile leaves either the
    /// old or the new note. Returns the new length.
    pub(super) fn write(&self, mut file: &Handle, length: usize) -> io::Result<usize> {
        let mut text = serde_json::to_vec(self)?;
        // Trailing whitespace is valid JSON.
        text.resize(text.len().max(length), b' ');
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&text)?;
        Ok(text.len())
    }
}

impl Record {
    /// Creates a record for a part whose first `note.have` bytes have been processed by `hasher`.
    pub(super) fn new(path: PathBuf, handle: Locked, note: Note, hasher: Box<blake3::Hasher>) -> Self {
        let length = handle.metadata().map_or(0, |found| found.len());
        let length = usize::try_from(length).unwrap_or_default();
        Self { note, path, handle, length, hasher, taken: Instant::now() }
    }

    /// Whether it is time to update the note with [`take`](Self::take).
    pub(super) fn is_due(&self) -> bool {
        self.taken.elapsed() >= NOTED
    }

    /// Removes the note.
    pub(super) fn remove(&self) {
        remove(&self.path, &self.handle);
    }

    /// Updates the note to cover the first `have` bytes of the part. If that fails, another run resumes from an
    /// earlier position.
    pub(super) fn take(&mut self, mut part: &Handle, have: u64) {
        self.taken = Instant::now();
        let new = have - self.note.have;
        let read = part.seek(SeekFrom::Start(self.note.have)).and_then(|_| hash(part, new, &mut self.hasher));
        // Restore the write position even if reading failed.
        let back = part.seek(SeekFrom::Start(have));
        if read.is_ok_and(|read| read == new) && back.is_ok() {
            self.note.have = have;
            self.note.blake3 = Some(self.hasher.finalize().to_hex().to_string());
            let _ = self.write();
        } else {
            self.reset();
        }
    }

    /// Drops the hash, so that the bytes cannot be resumed.
    pub(super) fn reset(&mut self) {
        (self.note.have, self.note.blake3) = (0, None);
        self.hasher.reset();
    }

    pub(super) fn write(&mut self) -> io::Result<()> {
        self.length = self.note.write(&self.handle, self.length)?;
        Ok(())
    }
}

/// Removes a note unless its name now belongs to another file.
pub(super) fn remove(path: &Path, handle: &Handle) {
    if files::is_at(handle, path) {
        let _ = fs::remove_file(path);
    }
}

/// Hashes the next `count` bytes. Returns the number of bytes read.
pub(super) fn hash(file: &Handle, count: u64, hasher: &mut blake3::Hasher) -> io::Result<u64> {
    let before = hasher.count();
    hasher.update_reader(file.take(count))?;
    Ok(hasher.count() - before)
}
