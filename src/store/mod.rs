//! A directory that behaves like a files platform: a SQLite index and content-addressed blobs.
//!
//! Blocking throughout; async callers come from their own thread or a blocking task.

mod blobs;
mod copies;
mod incoming;
mod index;
mod listing;
mod phase;
mod schema;
mod signing;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use copies::Copy;
pub use incoming::{Blob, Incoming};
pub use listing::{Listing, SortKey};
#[doc(hidden)]
pub use phase::{Phase, observe};
pub use signing::sign_link;

use crate::error::{Error, Result};
use crate::model::{Clock, File, FileId, Object, hex};
use blobs::{Blobs, Doubt, Subject};
use index::{Index, Rows};
use phase::reached;

/// The kind of the notes that [`Copy`]s are kept as.
const COPY: &str = "copy";
/// Files that expire in one transaction.
const EXPIRE_AT_ONCE: u32 = 256;
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
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Do not sync: for a store that is thrown away.
    pub ephemeral: bool,
    /// The clock by which files expire.
    pub clock: Clock,
}

impl Store {
    /// Opens the store in `root`, making it if it is not there, and clears what a crash left behind.
    pub fn open(root: &Path, options: Options) -> Result<Self> {
        let blobs = Blobs::create(root, !options.ephemeral)?;
        // Two processes that make or migrate a store at once would get in each other's way.
        let path = root.join("lock");
        let lock = fs::File::create(&path).map_err(|error| Error::io("open", &path, &error))?;
        match lock.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => {
                return Err(Error::io("lock", &path, &error));
            }
            _ => {}
        }
        let index = Index::open(root.join("index.sqlite"), options.ephemeral)?;
        let store = Self { inner: Arc::new(Inner { blobs, index, clock: options.clock }) };
        store.inner.blobs.clear_incoming()?;
        store.resolve(store.inner.blobs.doubts()?)?;
        store.expire_some()?;
        Ok(store)
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Begins to receive content. Write to it, then [`finish`](Incoming::finish) it; dropped, it leaves nothing.
    pub fn receive(&self) -> Result<Incoming> {
        Incoming::create(&self.inner.blobs.incoming(), self.inner.blobs.sync)
    }

    /// Adds a file: `blob` becomes part of the store and the row appears, both or neither. `file.size` and
    /// `file.checksums` are taken from the blob; without a `created_at` it is created now; an id that is taken is an
    /// error.
    pub fn put(&self, space: &str, mut file: File, blob: Blob) -> Result<File> {
        file.created_at = file.created_at.or_else(|| Some(self.now()));
        self.store(file, blob, |rows, file| {
            if rows.insert(space, file)? {
                return Ok(None);
            }
            Err(Error::failed(format!("{}: this id is taken", file.id)))
        })
    }

    /// Puts new content in the place of a file's; the rest of `file` replaces the record, too, but that a missing
    /// `created_at` stays as it was.
    pub fn replace(&self, space: &str, file: File, blob: Blob) -> Result<File> {
        self.store(file, blob, |rows, file| {
            let before = rows.file(space, &file.id, self.now())?.ok_or_else(|| no_such_file(&file.id))?;
            file.created_at = file.created_at.or(before.created_at);
            rows.update(space, file)?;
            Ok(before.checksums.sha256)
        })
    }

    /// Writes a row with `write`, which returns what content the row referred to before, and places the content.
    fn store(
        &self,
        mut file: File,
        blob: Blob,
        write: impl FnOnce(&Rows, &mut File) -> Result<Option<String>>,
    ) -> Result<File> {
        file.size = Some(blob.size);
        file.checksums = blob.checksums;
        in_microseconds(&mut file)?;
        let blobs = &self.inner.blobs;
        let sha256 = file.checksums.sha256.clone().unwrap_or_default();
        let (mut given_up, mut placed) = (None, None);
        let stored = self.inner.index.write(|rows| {
            let is_known = rows.refers_to(&sha256)? && blobs.has(&sha256, blob.size);
            let before = write(rows, &mut file)?;
            reached(Phase::Inserted);
            if let Some(before) = before
                && !rows.refers_to(&before)?
            {
                given_up = Some(blobs.doubt(Subject::Blob(before))?);
            }
            if !is_known {
                placed = Some(blobs.doubt(Subject::Blob(sha256.clone()))?);
                blobs.place(blob.temporary, &sha256)?;
                reached(Phase::Placed);
            }
            Ok(())
        });
        if stored.is_ok() {
            reached(Phase::Added);
            // Now a row refers to it. Failing to remove a mark does no harm: the next start looks again.
            let _ = placed.take().map(Doubt::settled);
        }
        self.settle(given_up.into_iter().chain(placed).collect(), stored)?;
        Ok(file)
    }

    /// Opens a file's content.
    pub fn get(&self, space: &str, id: &FileId) -> Result<(File, fs::File)> {
        let mut tried = None;
        loop {
            let file = self.stat(space, id)?;
            let sha256 = file.checksums.sha256.clone().unwrap_or_default();
            match self.inner.blobs.open(&sha256) {
                Ok(content) if content.metadata().is_ok_and(|found| Some(found.len()) == file.size) => {
                    return Ok((file, content));
                }
                Ok(_) => return Err(Error::failed(format!("{id}: its content is damaged"))),
                // Replaced or deleted between the two looks: look again, unless nothing has changed.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tried.as_ref() != Some(&sha256) => {
                    tried = Some(sha256);
                }
                Err(error) => {
                    return Err(
                        Error::failed(format!("{id}: its content cannot be read")).cause(error.to_string())
                    );
                }
            }
        }
    }

    /// Tells all about one file; an expired one is not there.
    pub fn stat(&self, space: &str, id: &FileId) -> Result<File> {
        self.inner.index.read(|rows| rows.file(space, id, self.now()))?.ok_or_else(|| no_such_file(id))
    }

    /// Lists files: never more in memory than one page, `limit` of them.
    pub fn list(&self, space: &str, listing: &Listing) -> Result<Vec<File>> {
        self.inner.index.read(|rows| {
            let after = match &listing.after {
                Some(id) => Some(rows.place(space, id)?.ok_or_else(|| no_such_file(id))?),
                None => None,
            };
            rows.select(space, listing, after, self.now())
        })
    }

    /// Changes a file's record in one transaction: `change` gets the file as it is. Its id, size and checksums stay.
    pub fn annotate(
        &self,
        space: &str,
        id: &FileId,
        change: &mut dyn FnMut(&mut File) -> Result<()>,
    ) -> Result<File> {
        self.inner.index.write(|rows| {
            let before = rows.file(space, id, self.now())?.ok_or_else(|| no_such_file(id))?;
            let mut file = before.clone();
            change(&mut file)?;
            file.id = before.id;
            file.size = before.size;
            file.checksums = before.checksums;
            file.created_at = file.created_at.or(before.created_at);
            in_microseconds(&mut file)?;
            rows.update(space, &file)?;
            Ok(file)
        })
    }

    /// Deletes a file, its notes and copies, and its content if nobody else refers to it.
    pub fn delete(&self, space: &str, id: &FileId) -> Result<File> {
        let mut doubts = Vec::new();
        let deleted = self.inner.index.write(|rows| {
            let file = rows.file(space, id, self.now())?.ok_or_else(|| no_such_file(id))?;
            self.remove(rows, space, &file, &mut doubts)?;
            reached(Phase::Removing);
            Ok(file)
        });
        if deleted.is_ok() {
            reached(Phase::Removed);
        }
        self.settle(doubts, deleted)
    }

    /// Deletes what has expired; returns how many. Opening a store deletes a few of them.
    pub fn expire(&self) -> Result<u64> {
        let mut count = 0;
        loop {
            match self.expire_some()? {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    fn expire_some(&self) -> Result<u64> {
        let now = self.now();
        if self.inner.index.read(|rows| rows.expired(now, 1))?.is_empty() {
            return Ok(0);
        }
        let mut doubts = Vec::new();
        let expired = self.inner.index.write(|rows| {
            let expired = rows.expired(now, EXPIRE_AT_ONCE)?;
            for (space, file) in &expired {
                self.remove(rows, space, file, &mut doubts)?;
            }
            Ok(expired.len() as u64)
        });
        self.settle(doubts, expired)
    }

    /// Removes a row. What may have to go with it is added to `doubts`.
    fn remove(&self, rows: &Rows, space: &str, file: &File, doubts: &mut Vec<Doubt>) -> Result<()> {
        let now = self.now();
        for (copy, _) in rows.notes(space, COPY, Some(&file.id))? {
            doubts.push(self.inner.blobs.doubt(Subject::Link(copy))?);
        }
        rows.remove(space, &file.id, now)?;
        rows.forget_departed(now.saturating_sub(REMEMBER_DEPARTED).unwrap_or(Timestamp::MIN))?;
        if let Some(sha256) = &file.checksums.sha256
            && !rows.refers_to(sha256)?
        {
            doubts.push(self.inner.blobs.doubt(Subject::Blob(sha256.clone()))?);
        }
        Ok(())
    }

    /// Ends a change, committed or not: what it left in doubt is resolved.
    fn settle<T>(&self, doubts: Vec<Doubt>, outcome: Result<T>) -> Result<T> {
        // The outcome stands whatever comes of this: what cannot be removed now stays marked for the next start.
        let _ = self.resolve(doubts);
        outcome
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

    /// Keeps a small record beside the files: a link, a workspace, a pending upload. `about` ties it to a file, with
    /// which it goes. Replaces one of the same kind and key.
    pub fn note(
        &self,
        space: &str,
        kind: &str,
        key: &str,
        about: Option<&FileId>,
        note: &Object,
    ) -> Result<()> {
        self.inner.index.write(|rows| rows.note(space, kind, key, about, note))
    }

    /// One note.
    pub fn noted(&self, space: &str, kind: &str, key: &str) -> Result<Option<Object>> {
        self.inner.index.read(|rows| rows.noted(space, kind, key))
    }

    /// All notes of a kind with their keys, oldest first; only those about one file if given.
    pub fn notes(&self, space: &str, kind: &str, about: Option<&FileId>) -> Result<Vec<(String, Object)>> {
        self.inner.index.read(|rows| rows.notes(space, kind, about))
    }

    /// Removes a note; whether it was there.
    pub fn forget(&self, space: &str, kind: &str, key: &str) -> Result<bool> {
        self.inner.index.write(|rows| rows.forget(space, kind, key))
    }

    /// Makes sure that a note is there and returns it: `make` is called if it is not. Atomic.
    pub fn note_once(&self, space: &str, kind: &str, key: &str, make: &dyn Fn() -> Object) -> Result<Object> {
        if let Some(note) = self.noted(space, kind, key)? {
            return Ok(note);
        }
        self.inner.index.write(|rows| {
            if let Some(note) = rows.noted(space, kind, key)? {
                return Ok(note);
            }
            let note = make();
            rows.note(space, kind, key, None, &note)?;
            Ok(note)
        })
    }
}

fn no_such_file(id: &FileId) -> Error {
    Error::not_found(format!("{id}: no such file"))
}

/// Rounds the times of a record to what the index keeps, so that a file is the same before and after.
fn in_microseconds(file: &mut File) -> Result<()> {
    for time in [&mut file.created_at, &mut file.updated_at, &mut file.expires_at].into_iter().flatten() {
        *time = Timestamp::from_microsecond(listing::micros(*time)).map_err(|error| {
            Error::failed(format!("{}: a time is out of range", file.id)).cause(error.to_string())
        })?;
    }
    Ok(())
}
