//! Transactions. Every change to a store is part of one.

use std::time::Duration;

use super::blobs::Blobs;
#[cfg(feature = "shared")]
use super::blobs::bucket::Upload;
use super::blobs::directory::{Pending, Subject};
use super::index::Rows;
use super::index::sql::Dialect;
use super::space;
use super::{Blob, COPY, Failpoint, Inner, Listing, REMEMBER_DEPARTED, Store, in_microseconds, no_such_file};
use crate::error::{Error, Result};
use crate::model::{File, FileId, Object};

/// How often and how long a deletion on a full disk waits for another deletion that is using the reserve.
const RESERVE_PAUSES: u32 = 50;
const RESERVE_PAUSE: Duration = Duration::from_millis(20);

/// An exclusive write transaction on one space. Values that affect a change must be read within the transaction: no
/// other thread or process can change the space before it ends.
pub struct Transaction<'a> {
    inner: &'a Inner,
    rows: &'a Rows<'a>,
    space: &'a str,
    marks: &'a mut Marks,
}

/// The marks written by a transaction, and whether it has stored content or deleted files.
#[derive(Default)]
struct Marks {
    /// Blobs that were moved to their final path.
    placed: Vec<Pending>,
    /// Blobs and copies to remove after the commit if no row refers to them.
    released: Vec<Pending>,
    /// Blobs in the bucket that belong to a file after the commit.
    #[cfg(feature = "shared")]
    uploads: Vec<Upload>,
    /// Blobs in the bucket to delete after the commit.
    #[cfg(feature = "shared")]
    unused: Vec<String>,
    has_added: bool,
    has_removed: bool,
}

impl Store {
    /// Runs `work` in a transaction on a space. If `work` fails, nothing is changed.
    pub fn transaction<T>(&self, space: &str, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.change(space, |rows, marks| work(&mut Transaction { inner: &self.inner, rows, space, marks }))
    }

    /// Runs `work`, which deletes something, in a transaction on a space. On a full disk, it is run again after
    /// freeing the reserve.
    pub fn freeing<T>(&self, space: &str, work: impl Fn(&mut Transaction) -> Result<T>) -> Result<T> {
        self.change_freeing(space, |rows, marks| {
            work(&mut Transaction { inner: &self.inner, rows, space, marks })
        })
    }

    /// Deletes up to `limit` expired files and returns their number. With PostgreSQL, all of them are in one space.
    pub(super) fn expire_some(&self, limit: usize) -> Result<u64> {
        let now = self.inner.now();
        let Some((first, _)) = self.inner.index.read(|rows| rows.expired(now, 1))?.pop() else {
            return Ok(0);
        };
        self.change_freeing(&first, |rows, marks| {
            let mut expired = rows.expired(now, limit)?;
            // The transaction is exclusive only in this space; with SQLite, in all spaces.
            expired.retain(|(space, _)| *space == first || rows.dialect() == Dialect::Sqlite);
            for (space, id) in &expired {
                Transaction { inner: &self.inner, rows, space, marks }.remove(id)?;
            }
            Ok(expired.len() as u64)
        })
    }

    fn change_freeing<T>(&self, space: &str, work: impl Fn(&Rows, &mut Marks) -> Result<T>) -> Result<T> {
        let Inner { index, reserve, .. } = &*self.inner;
        let mut pauses = 0;
        loop {
            match self.change(space, &work) {
                Err(error) if space::is_full(&error) => {
                    if reserve.release() {
                        index.shrink_log();
                        let outcome = self.change(space, &work);
                        index.shrink_log();
                        reserve.keep();
                        return outcome;
                    }
                    if pauses == RESERVE_PAUSES {
                        return Err(error);
                    }
                }
                outcome => return outcome,
            }
            // Another deletion may be using the reserve.
            pauses += 1;
            std::thread::sleep(RESERVE_PAUSE);
        }
    }

    fn change<T>(&self, space: &str, work: impl FnOnce(&Rows, &mut Marks) -> Result<T>) -> Result<T> {
        let mut marks = Marks::default();
        let outcome = self.inner.index.write(space, |rows| work(rows, &mut marks));
        if outcome.is_ok() {
            if marks.has_added {
                Failpoint::Added.reached();
            }
            if marks.has_removed {
                Failpoint::Removed.reached();
            }
            // The rows have been committed. A mark that cannot be removed is checked again when the store is opened.
            marks.placed.drain(..).for_each(|pending| drop(pending.clear()));
        }
        marks.released.append(&mut marks.placed);
        // This must follow the transaction. Whatever cannot be removed stays marked and is checked when the store is
        // opened.
        match &self.inner.blobs {
            Blobs::Directory(blobs) => drop(self.remove_unreferenced(blobs, marks.released)),
            #[cfg(feature = "shared")]
            Blobs::Bucket(bucket) => match &outcome {
                Ok(_) => {
                    marks.uploads.into_iter().for_each(Upload::keep);
                    bucket.delete(&marks.unused);
                }
                // The commit may have succeeded, so that files refer to the blobs. Otherwise, the collector deletes
                // them.
                Err(error) if error.is_unanswered() => marks.uploads.into_iter().for_each(Upload::keep),
                Err(_) => {}
            },
        }
        outcome
    }

    /// Adds a file; see [`Transaction::put`].
    pub fn put(&self, space: &str, file: File, blob: Blob) -> Result<File> {
        self.transaction(space, |change| change.put(file, blob))
    }

    /// Replaces a file's content; see [`Transaction::replace`].
    pub fn replace(
        &self,
        space: &str,
        id: &FileId,
        blob: Blob,
        record: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<File> {
        self.transaction(space, |change| change.replace(id, blob, record))
    }

    /// Changes a file's record; see [`Transaction::annotate`].
    pub fn annotate(
        &self,
        space: &str,
        id: &FileId,
        record: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<File> {
        self.transaction(space, |change| change.annotate(id, record))
    }

    /// Deletes a file; see [`Transaction::delete`].
    pub fn delete(&self, space: &str, id: &FileId) -> Result<File> {
        self.freeing(space, |change| change.delete(id))
    }

    /// Removes a note. Returns whether it existed.
    pub fn forget(&self, space: &str, kind: &str, key: &str) -> Result<bool> {
        self.transaction(space, |change| change.forget(kind, key))
    }

    /// Returns a note. If it does not exist, it is created with `make`.
    pub fn note_once(&self, space: &str, kind: &str, key: &str, make: &dyn Fn() -> Object) -> Result<Object> {
        if let Some(note) = self.noted(space, kind, key)? {
            return Ok(note);
        }
        self.transaction(space, |change| {
            if let Some(note) = change.noted(kind, key)? {
                return Ok(note);
            }
            let note = make();
            change.note(kind, key, None, &note)?;
            Ok(note)
        })
    }
}

impl Transaction<'_> {
    /// The record of a file. An expired file counts as not found.
    pub fn stat(&self, id: &FileId) -> Result<File> {
        self.rows.file(self.space, id, self.inner.now())?.ok_or_else(|| no_such_file(id))
    }

    /// Lists files.
    pub fn list(&self, listing: &Listing) -> Result<Vec<File>> {
        self.inner.list(self.rows, self.space, listing)
    }

    /// Adds a file and its content. `size` and `checksums` are taken from the blob, and `created_at` defaults to now.
    /// An existing id is an error.
    pub fn put(&mut self, mut file: File, blob: Blob) -> Result<File> {
        file.created_at = file.created_at.or_else(|| Some(self.inner.now()));
        let (rows, space) = (self.rows, self.space);
        self.keep(file, blob, |file, key| {
            if rows.insert(space, file, key)? {
                Ok(())
            } else {
                Err(Error::failed(format!("{}: the id already exists", file.id)))
            }
        })
    }

    /// Replaces a file's content. `record` receives the current record and can change everything but id, size and
    /// checksums.
    pub fn replace(
        &mut self,
        id: &FileId,
        blob: Blob,
        record: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<File> {
        let (_, content, file) = self.changed(id, record)?;
        let (rows, space) = (self.rows, self.space);
        let file = self.keep(file, blob, |file, key| rows.update(space, file, key).map(drop))?;
        self.release(content)?;
        Ok(file)
    }

    /// Changes a file's record. `record` receives the current record and can change everything but id, size and
    /// checksums.
    pub fn annotate(&mut self, id: &FileId, record: impl FnOnce(&mut File) -> Result<()>) -> Result<File> {
        let (before, content, mut file) = self.changed(id, record)?;
        file.size = before.size;
        file.checksums = before.checksums;
        in_microseconds(&mut file)?;
        self.rows.update(self.space, &file, &content)?;
        Ok(file)
    }

    /// Deletes a file with its notes and copies, and its content if no other file uses it.
    pub fn delete(&mut self, id: &FileId) -> Result<File> {
        let file = self.stat(id)?;
        self.remove(id)?;
        self.marks.has_removed = true;
        Failpoint::Removing.reached();
        Ok(file)
    }

    /// A single note.
    pub fn noted(&self, kind: &str, key: &str) -> Result<Option<Object>> {
        self.rows.noted(self.space, kind, key)
    }

    /// All notes of a kind with their keys, oldest first. If `about` is given, only the notes that concern this file.
    pub fn notes(&self, kind: &str, about: Option<&FileId>) -> Result<Vec<(String, Object)>> {
        self.rows.notes(self.space, kind, about)
    }

    /// Inserts or replaces a note: a small record that the emulator keeps, such as a link, a workspace or a pending
    /// upload. Deleting the file `about`, if given, also deletes the note.
    pub fn note(&mut self, kind: &str, key: &str, about: Option<&FileId>, note: &Object) -> Result<()> {
        self.rows.note(self.space, kind, key, about, note)
    }

    /// Removes a note. Returns whether it existed.
    pub fn forget(&mut self, kind: &str, key: &str) -> Result<bool> {
        self.rows.forget(self.space, kind, key)
    }

    /// The current record of a file, the key of its content, and the changed record.
    fn changed(
        &self,
        id: &FileId,
        record: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<(File, String, File)> {
        let found = self.rows.file_and_key(self.space, id, self.inner.now())?;
        let (before, content) = found.ok_or_else(|| no_such_file(id))?;
        let mut file = before.clone();
        record(&mut file)?;
        file.id = before.id.clone();
        file.created_at = file.created_at.or(before.created_at);
        Ok((before, content, file))
    }

    /// Writes a row with `write`, and moves its content to its final path or keeps its blob in the bucket.
    fn keep(
        &mut self,
        mut file: File,
        blob: Blob,
        write: impl FnOnce(&File, &str) -> Result<()>,
    ) -> Result<File> {
        file.size = Some(blob.size);
        file.checksums = blob.checksums;
        in_microseconds(&mut file)?;
        #[cfg(feature = "shared")]
        if let Some(upload) = blob.upload {
            if !self.rows.keep_blob(upload.key())? {
                return Err(Error::failed("the upload took too long: its content has already been deleted"));
            }
            write(&file, upload.key())?;
            self.marks.has_added = true;
            self.marks.uploads.push(upload);
            Failpoint::Inserted.reached();
            return Ok(file);
        }
        let blobs = self.inner.blobs.directory();
        let blobs = blobs.ok_or_else(|| Error::failed("the content belongs to another store"))?;
        let sha256 = file.checksums.sha256.clone().unwrap_or_default();
        let is_referred_to = self.rows.refers_to(&sha256)?;
        write(&file, &sha256)?;
        self.marks.has_added = true;
        Failpoint::Inserted.reached();
        if !is_referred_to {
            self.marks.placed.push(blobs.mark(Subject::Blob(sha256.clone()))?);
        }
        // Also replace an existing blob: it may be damaged or missing, and these bytes are known to be good.
        blobs.place(blob.temporary, &sha256)?;
        Failpoint::Placed.reached();
        Ok(file)
    }

    /// Removes a row, and marks its copies and its content for removal.
    fn remove(&mut self, id: &FileId) -> Result<()> {
        let now = self.inner.now();
        for copy in self.rows.keys_of_notes(self.space, COPY, id)? {
            self.mark(Subject::Link(copy))?;
        }
        let content = self.rows.content_of(self.space, id)?;
        self.rows.remove(self.space, id, now)?;
        let departed = now.saturating_sub(REMEMBER_DEPARTED).unwrap_or(jiff::Timestamp::MIN);
        self.rows.forget_departed(self.space, departed)?;
        content.map_or(Ok(()), |content| self.release(content))
    }

    /// Marks content that a row no longer refers to for removal.
    fn release(&mut self, content: String) -> Result<()> {
        #[cfg(feature = "shared")]
        if let Blobs::Bucket(_) = &self.inner.blobs {
            self.rows.release_blob(&content)?;
            self.marks.unused.push(content);
            return Ok(());
        }
        if self.rows.refers_to(&content)? { Ok(()) } else { self.mark(Subject::Blob(content)) }
    }

    /// Marks a blob or copy for removal. Invalid names, which can only come from a damaged row, are ignored.
    pub(super) fn mark(&mut self, subject: Subject) -> Result<()> {
        if let Some(blobs) = self.inner.blobs.directory()
            && subject.is_valid()
        {
            self.marks.released.push(blobs.mark(subject)?);
        }
        Ok(())
    }
}
