//! A directory that behaves like a files platform: a SQLite index and content-addressed blobs.
//!
//! Blocking throughout; async callers come from their own thread or a blocking task.

mod blobs;
mod content;
mod copies;
mod incoming;
mod index;
mod listing;
mod phase;
mod schema;
mod signing;
mod transaction;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use content::Content;
pub use copies::Copy;
pub use incoming::{Blob, Incoming};
pub use listing::{Listing, SortKey};
#[doc(hidden)]
pub use phase::{Phase, observe};
pub use signing::sign_link;
pub use transaction::Transaction;

use crate::error::{Error, Kind, Message, Result};
use crate::model::{Clock, File, FileId, Object, Warn, hex};
use blobs::{Blobs, Doubt, Subject};
use index::{Index, Rows};
use phase::reached;

/// The kind of the notes that [`Copy`]s are kept as.
const COPY: &str = "copy";
/// Files that expire in one transaction.
const EXPIRE_AT_ONCE: usize = 256;
/// How long a listing can go on after a file that was deleted.
const REMEMBER_DEPARTED: SignedDuration = SignedDuration::from_hours(24);

/// A store. Several processes may have the same one open; each platform has its own space in it. Times are kept in
/// whole microseconds.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    blobs: Blobs,
    index: Index,
    clock: Clock,
}

/// How a store is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Do not sync: for a store that is thrown away.
    pub ephemeral: bool,
    /// The clock by which files expire.
    pub clock: Clock,
    /// Prints a warning for each damaged record that is skipped.
    pub warn: Warn,
}

impl Store {
    /// Opens or creates the store in `root` and removes the leftovers of a crash. An index that is missing although there
    /// are blobs, is damaged or has lost changes is an error, and the store is not modified.
    pub fn open(root: &Path, options: Options) -> Result<Self> {
        let blobs = Blobs::create(root, !options.ephemeral)?;
        // Two processes that make or migrate a store at once would get in each other's way.
        let path = root.join("lock");
        let lock = fs::File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(|error| Error::io("open", &path, error))?;
        match lock.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(Error::io("lock", &path, error));
            }
            _ => {}
        }
        let index = Index::open(&blobs, options.ephemeral, options.warn)?;
        let store = Self { inner: Arc::new(Inner { blobs, index, clock: options.clock }) };
        store.inner.blobs.clear_incoming()?;
        store.resolve(store.inner.blobs.doubts()?)?;
        store.expire_some(EXPIRE_AT_ONCE)?;
        Ok(store)
    }

    /// Begins to receive content. Write to it, then [`finish`](Incoming::finish) it; dropped, it leaves nothing.
    pub fn receive(&self) -> Result<Incoming> {
        Incoming::create(&self.inner.blobs.incoming(), self.inner.blobs.sync)
    }

    /// Opens a file's content.
    pub fn get(&self, space: &str, id: &FileId) -> Result<(File, Content)> {
        let mut tried = None;
        loop {
            let file = self.stat(space, id)?;
            let sha256 = file.checksums.sha256.clone().unwrap_or_default();
            match self.inner.blobs.open(&sha256) {
                Ok(bytes) if bytes.metadata().is_ok_and(|found| Some(found.len()) == file.size) => {
                    let content = Content::new(bytes, &file);
                    return Ok((file, content));
                }
                Ok(_) => return Err(Error::failed(Message::file(id, ": its content is damaged"))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // Replaced or deleted between the two looks: look again, unless nothing has changed.
                    if tried.as_ref() == Some(&sha256) {
                        return Err(Error::failed(Message::file(
                            id,
                            ": its content is missing from the store",
                        )));
                    }
                    tried = Some(sha256);
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

    /// Tells all about one file; an expired one is not there.
    pub fn stat(&self, space: &str, id: &FileId) -> Result<File> {
        let file = self.inner.index.read(|rows| rows.file(space, id, self.inner.now()))?;
        file.ok_or_else(|| no_such_file(id))
    }

    /// Lists files: never more in memory than one page, `limit` of them.
    pub fn list(&self, space: &str, listing: &Listing) -> Result<Vec<File>> {
        self.inner.index.read(|rows| self.inner.list(rows, space, listing))
    }

    /// Deletes what has expired; returns how many. Opening a store deletes a few of them.
    pub fn expire(&self) -> Result<u64> {
        let mut count = 0;
        loop {
            match self.expire_some(EXPIRE_AT_ONCE)? {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    /// Removes what nothing refers to, while nobody else can begin to.
    fn resolve(&self, doubts: Vec<Doubt>) -> Result<()> {
        if doubts.is_empty() {
            return Ok(());
        }
        self.inner.index.write(|rows| {
            for doubt in &doubts {
                let is_needed = match &doubt.subject {
                    Subject::Blob(sha256) => rows.refers_to(sha256)?,
                    Subject::Link(id) => rows.has_note(COPY, id)?,
                };
                if !is_needed {
                    self.inner.blobs.remove(&doubt.subject)?;
                    reached(Phase::Freed);
                }
            }
            Ok(())
        })?;
        doubts.into_iter().try_for_each(Doubt::settled)
    }

    /// One note.
    pub fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        self.inner.index.read(|rows| rows.noted(space, kind, key))
    }

    /// All notes of a kind with their keys, oldest first; only those about one file if given.
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

/// Rounds the times of a record to what the index keeps, so that a file is the same before and after.
fn in_microseconds(file: &mut File) -> Result<()> {
    for time in [&mut file.created_at, &mut file.updated_at, &mut file.expires_at].into_iter().flatten() {
        *time = Timestamp::from_microsecond(listing::micros(*time)).map_err(|error| {
            Error::failed(format!("{}: a time is out of range", file.id)).caused_by(error)
        })?;
    }
    Ok(())
}
