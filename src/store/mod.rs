//! A store that behaves like a files platform. It has two halves: an index with the records of files, and blobs with
//! their content. By default, they are a SQLite file and a directory.
//!
//! All methods block; async callers use a separate thread or a blocking task.

#[cfg(feature = "shared")]
mod background;
mod blobs;
mod check;
#[cfg(feature = "shared")]
mod collect;
mod copies;
mod id;
mod incoming;
mod index;
mod listing;
#[cfg(feature = "shared")]
mod shared;
mod signing;
mod space;
mod transaction;

use std::fs::{File as OpenFile, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};

pub use blobs::BlobReader;
pub use check::{Action, Finding, Problem, Summary, check};
#[cfg(feature = "shared")]
pub use collect::Collected;
pub use copies::Copy;
pub use id::new_id;
pub use incoming::{Blob, Incoming};
pub use listing::{Listing, SortKey};
#[cfg(feature = "shared")]
pub use shared::SharedOptions;
pub use signing::sign_link;
pub use transaction::Transaction;

use crate::error::{Error, Kind, Message, Result};
use crate::files::Locked;
use crate::model::{Clock, File, FileId, Object, Warn, hex};
use blobs::Blobs;
use blobs::directory::{Directory, Pending, Subject};
use index::{Index, Rows, sqlite};
use space::Reserve;

/// The kind of notes that describe a [`Copy`].
const COPY: &str = "copy";
/// Maximum number of expired files deleted in one transaction.
const EXPIRE_AT_ONCE: usize = 256;
/// How long after a file's deletion a listing can continue from its position.
const REMEMBER_DEPARTED: SignedDuration = SignedDuration::from_hours(24);

/// A store, which several processes can open at once. Each platform has its own space in it. Times are stored in
/// whole microseconds.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    index: Index,
    blobs: Blobs,
    clock: Clock,
    /// Must be dropped after the index.
    reserve: Reserve,
    /// Prevents repairs while the store is open.
    _in_use: Option<Locked>,
    #[cfg(feature = "shared")]
    collector: Option<collect::Collector>,
}

/// The options of a store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the store is temporary, so that nothing is synced.
    pub ephemeral: bool,
    /// The clock that determines which files have expired.
    pub clock: Clock,
    /// Prints a warning for each damaged record that is skipped.
    pub warn: Warn,
}

/// Locks the directory of a store. The lock is shared while the store is open and exclusive during a repair. Returns
/// `None` if the system does not support such locks; `in_use` creates the error if another process holds a
/// conflicting lock.
fn lock(
    root: &Path,
    lock: impl FnOnce(&OpenFile) -> std::result::Result<(), TryLockError>,
    in_use: impl FnOnce() -> Error,
) -> Result<Option<Locked>> {
    let Ok(directory) = OpenFile::open(root) else { return Ok(None) };
    match Locked::by(directory, lock) {
        Ok(locked) => Ok(Some(locked)),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

impl Store {
    /// Opens or creates the store in `root` and removes what a crash left behind. It is an error if the index is
    /// damaged, has lost changes, or is missing although blobs exist; in these cases, no file is modified. A store
    /// that cannot be written, for example on a full disk, can still be read.
    pub fn open(root: &Path, options: Options) -> Result<Self> {
        let blobs = Directory { root: root.to_owned(), sync: !options.ephemeral };
        // The directory must exist to be locked. If it cannot be created, `Index::open` reports the reason.
        let _ = blobs.create();
        let in_use = lock(root, OpenFile::try_lock_shared, || {
            Error::failed(format!("{}: the store is being repaired", root.display()))
        })?;
        let index = sqlite::Index::open(blobs.clone(), options.ephemeral, options.warn)?;
        let inner = Inner {
            index: Index::Sqlite(Box::new(index)),
            blobs: Blobs::Directory(blobs.clone()),
            clock: options.clock,
            reserve: Reserve::new(root, options.ephemeral),
            _in_use: in_use,
            #[cfg(feature = "shared")]
            collector: None,
        };
        let store = Self { inner: Arc::new(inner) };
        // If something cannot be removed now, later commands remove it.
        match store.clear(&blobs) {
            Err(error) if !space::is_unwritable(&error) => return Err(error),
            _ => {}
        }
        if store.inner.index.is_writable() {
            store.inner.reserve.keep();
        }
        Ok(store)
    }

    /// Removes what a crash left behind, and some expired files.
    fn clear(&self, blobs: &Directory) -> Result<()> {
        blobs.clear_incoming()?;
        self.remove_unreferenced(blobs, blobs.pending()?)?;
        self.expire_some(EXPIRE_AT_ONCE).map(|_| ())
    }

    /// The number of threads that should use the store at once. For a directory, more threads would not be faster, and
    /// each needs memory.
    pub fn parallel(&self) -> usize {
        match &self.inner.blobs {
            Blobs::Directory(_) => 16,
            // Most of them wait for the bucket.
            #[cfg(feature = "shared")]
            Blobs::Bucket(_) => 64,
        }
    }

    /// Starts receiving content, which is written and then [finished](Incoming::finish). Removed when dropped.
    pub fn receive(&self) -> Result<Incoming> {
        self.inner.blobs.receive()
    }

    /// Opens a file's content.
    pub fn get(&self, space: &str, id: &FileId) -> Result<(File, BlobReader)> {
        let mut tried = None;
        loop {
            let found = self.inner.index.read(|rows| rows.file_and_key(space, id, self.inner.now()))?;
            let (file, key) = found.ok_or_else(|| no_such_file(id))?;
            match self.inner.blobs.open(&key, &file) {
                Ok(content) => return Ok((file, content)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(Error::failed(Message::file(id, ": its content is damaged")));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // The content may have been replaced in the meantime. Read the row again until it no longer
                    // changes.
                    if tried.as_ref() == Some(&key) {
                        return Err(Error::failed(Message::file(
                            id,
                            ": its content is missing from the store",
                        )));
                    }
                    tried = Some(key);
                }
                Err(error) => {
                    return Err(
                        Error::failed(Message::file(id, ": its content cannot be read")).caused_by(error)
                    );
                }
            }
        }
    }

    /// Whether a file's content exists and matches its checksum. Reads the whole content.
    pub fn is_intact(&self, space: &str, id: &FileId) -> Result<bool> {
        match self.get(space, id) {
            Ok((_, content)) => Ok(content.copy_to(&mut io::sink()).is_ok()),
            Err(error) if error.kind() == Kind::NotFound => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// The record of a file. An expired file counts as not found.
    pub fn stat(&self, space: &str, id: &FileId) -> Result<File> {
        let file = self.inner.index.read(|rows| rows.file(space, id, self.inner.now()))?;
        file.ok_or_else(|| no_such_file(id))
    }

    /// Lists the files that `listing` selects.
    pub fn list(&self, space: &str, listing: &Listing) -> Result<Vec<File>> {
        self.inner.index.read(|rows| self.inner.list(rows, space, listing))
    }

    /// Deletes all expired files and returns their number. Opening a store deletes some of them.
    pub fn expire(&self) -> Result<u64> {
        let mut count = 0;
        loop {
            match self.expire_some(EXPIRE_AT_ONCE)? {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    /// Removes the marked blobs and copies that nothing refers to, and then the marks.
    fn remove_unreferenced(&self, blobs: &Directory, pending: Vec<Pending>) -> Result<()> {
        if pending.is_empty() {
            return Ok(());
        }
        self.inner.index.write("", |rows| {
            for Pending { subject, .. } in &pending {
                let is_needed = match subject {
                    Subject::Blob(sha256) => rows.refers_to(sha256)?,
                    Subject::Link(id) => rows.has_note(COPY, id)?,
                };
                if !is_needed {
                    blobs.remove(subject)?;
                    Failpoint::Freed.reached();
                }
            }
            Ok(())
        })?;
        pending.into_iter().try_for_each(Pending::clear)
    }

    /// A single note.
    pub fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        self.inner.index.read(|rows| rows.noted(space, kind, key))
    }

    /// All notes of a kind with their keys, oldest first. If `about` is given, only the notes that concern this file.
    pub fn notes(&self, space: &str, kind: &str, about: Option<&FileId>) -> Result<Vec<(String, Object)>> {
        self.inner.index.read(|rows| rows.notes(space, kind, about))
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn list(&self, rows: &Rows, space: &str, listing: &Listing) -> Result<Vec<File>> {
        let after = match &listing.after {
            Some(id) => Some(rows.place(space, id)?.ok_or_else(|| no_such_file(id))?),
            None => None,
        };
        rows.select(space, listing, after, self.now())
    }
}

fn no_such_file(id: &FileId) -> Error {
    Error::not_found(Message::file(id, ": no such file"))
}

/// Rounds the times of a record to the precision of the index.
fn in_microseconds(file: &mut File) -> Result<()> {
    for time in [&mut file.created_at, &mut file.updated_at, &mut file.expires_at].into_iter().flatten() {
        *time = Timestamp::from_microsecond(listing::micros(*time)).map_err(|error| {
            Error::failed(format!("{}: a time is out of range", file.id)).caused_by(error)
        })?;
    }
    Ok(())
}

/// A point in a change at which a test kills the process. Each leaves the store in a different state. The variants
/// are in the order in which a store in a directory reaches them; in a bucket, content is placed before its row is
/// inserted.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failpoint {
    /// All bytes have been written but not synced.
    Written,
    /// All bytes have been synced.
    Synced,
    /// The row for a new file or for new content has been written but not committed.
    Inserted,
    /// The content is at its final path.
    Placed,
    /// The row has been committed. Its content is still marked.
    Added,
    /// The row of a file has been removed, but this has not been committed.
    Removing,
    /// The removal has been committed. The content still exists.
    Removed,
    /// The content has been removed. Its mark still exists.
    Freed,
}

static FAILPOINT_HOOK: OnceLock<fn(Failpoint)> = OnceLock::new();

impl Failpoint {
    /// Calls `hook` at every failpoint of this process, for tests. Only the first hook is kept.
    pub fn set_hook(hook: fn(Self)) {
        let _ = FAILPOINT_HOOK.set(hook);
    }

    fn reached(self) {
        if let Some(hook) = FAILPOINT_HOOK.get() {
            hook(self);
        }
    }
}
