//! A directory that behaves like a files platform: a SQLite index and content-addressed blobs.
//!
//! Blocking throughout; async callers come from their own thread or a blocking task.

mod blobs;
mod index;

use std::fs;
use std::path::Path;

pub use blobs::{Blob, Incoming};

use crate::error::Result;
use crate::filter::Filter;
use crate::model::{Clock, File, FileId, Object};

/// A store. Several processes may have the same one open; each platform has its own space in it.
#[derive(Clone)]
pub struct Store {
    _inner: std::sync::Arc<()>,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Do not sync: for a store that is thrown away.
    pub ephemeral: bool,
    /// The clock by which files expire.
    pub clock: Clock,
}

/// Which files of a space, in which order, from where on.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only these.
    pub filter: Option<Filter>,
    /// The order.
    pub sort: SortKey,
    /// Largest or newest first.
    pub descending: bool,
    /// Start after the file of this id in that order, even if it has been deleted meanwhile; an id that never was in
    /// the space gives an error of kind NotFound.
    pub after: Option<FileId>,
    /// At most so many; 0 means all.
    pub limit: usize,
}

/// What a listing is ordered by; the id decides between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// The time of creation.
    #[default]
    Created,
    /// The name, byte by byte.
    Name,
    /// The size.
    Size,
    /// The id, byte by byte.
    Id,
}

impl Store {
    /// Opens the store in `root`, making it if it is not there, and clears what a crash left behind.
    pub fn open(_root: &Path, _options: Options) -> Result<Self> {
        todo!()
    }

    /// Begins to receive content. Write to it, then [`finish`](Incoming::finish) it; dropped, it leaves nothing.
    pub fn receive(&self) -> Result<Incoming> {
        todo!()
    }

    /// Adds a file: `blob` becomes part of the store and the row appears, both or neither. `file.size` and
    /// `file.checksums` are taken from the blob; an id that is taken is an error.
    pub fn put(&self, _space: &str, _file: File, _blob: Blob) -> Result<File> {
        todo!()
    }

    /// Puts new content in the place of a file's; the rest of `file` replaces the record, too.
    pub fn replace(&self, _space: &str, _file: File, _blob: Blob) -> Result<File> {
        todo!()
    }

    /// Opens a file's content.
    pub fn get(&self, _space: &str, _id: &FileId) -> Result<(File, fs::File)> {
        todo!()
    }

    /// Tells all about one file; an expired one is not there.
    pub fn stat(&self, _space: &str, _id: &FileId) -> Result<File> {
        todo!()
    }

    /// Lists files: never more in memory than one page, `limit` of them.
    pub fn list(&self, _space: &str, _listing: &Listing) -> Result<Vec<File>> {
        todo!()
    }

    /// Changes a file's record in one transaction: `change` gets the file as it is.
    pub fn annotate(
        &self,
        _space: &str,
        _id: &FileId,
        _change: &mut dyn FnMut(&mut File) -> Result<()>,
    ) -> Result<File> {
        todo!()
    }

    /// Deletes a file, its notes, and its content if nobody else refers to it.
    pub fn delete(&self, _space: &str, _id: &FileId) -> Result<File> {
        todo!()
    }

    /// Deletes what has expired; returns how many.
    pub fn expire(&self) -> Result<u64> {
        todo!()
    }

    /// Keeps a small record beside the files: a link, a workspace, a pending upload. `about` ties it to a file, with
    /// which it goes. Replaces one of the same kind and key.
    pub fn note(
        &self,
        _space: &str,
        _kind: &str,
        _key: &str,
        _about: Option<&FileId>,
        _note: &Object,
    ) -> Result<()> {
        todo!()
    }

    /// One note.
    pub fn noted(&self, _space: &str, _kind: &str, _key: &str) -> Result<Option<Object>> {
        todo!()
    }

    /// All notes of a kind with their keys, oldest first; only those about one file if given.
    pub fn notes(&self, _space: &str, _kind: &str, _about: Option<&FileId>) -> Result<Vec<(String, Object)>> {
        todo!()
    }

    /// Removes a note; whether it was there.
    pub fn forget(&self, _space: &str, _kind: &str, _key: &str) -> Result<bool> {
        todo!()
    }

    /// Makes sure that a note is there and returns it: `make` is called if it is not. Atomic.
    pub fn note_once(
        &self,
        _space: &str,
        _kind: &str,
        _key: &str,
        _make: &dyn Fn() -> Object,
    ) -> Result<Object> {
        todo!()
    }
}
