//! The part of the store that belongs to a platform.

use std::sync::Arc;

use crate::error::Result;
use crate::model::{File, FileId, Object};
use crate::store::{Blob, BlobReader, Incoming, Listing, Store, Transaction};

/// One space of the store. Handlers access the store only through a space, so that a request cannot reach another one.
#[derive(Clone)]
pub struct Space {
    store: Store,
    name: Arc<str>,
}

impl Space {
    /// The space `name` of a store.
    pub fn new(store: Store, name: &str) -> Self {
        Self { store, name: name.into() }
    }

    /// The space for content that does not belong to a file yet.
    pub(super) fn parts(&self) -> Self {
        Self::new(self.store.clone(), &format!("{}/parts", self.name))
    }

    /// See [`Store::receive`].
    pub fn receive(&self) -> Result<Incoming> {
        self.store.receive()
    }

    /// See [`Store::get`].
    pub fn get(&self, id: &FileId) -> Result<(File, BlobReader)> {
        self.store.get(&self.name, id)
    }

    /// See [`Store::stat`].
    pub fn stat(&self, id: &FileId) -> Result<File> {
        self.store.stat(&self.name, id)
    }

    /// See [`Store::list`].
    pub fn list(&self, listing: &Listing) -> Result<Vec<File>> {
        self.store.list(&self.name, listing)
    }

    /// See [`Store::expire`].
    pub(super) fn expire(&self) -> Result<u64> {
        self.store.expire()
    }

    /// See [`Store::noted`].
    pub fn noted(&self, kind: &str, key: &str) -> Result<Option<Object>> {
        self.store.noted(&self.name, kind, key)
    }

    /// See [`Store::notes`].
    pub fn notes(&self, kind: &str, about: Option<&FileId>) -> Result<Vec<(String, Object)>> {
        self.store.notes(&self.name, kind, about)
    }

    /// See [`Store::transaction`].
    pub fn transaction<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.store.transaction(&self.name, work)
    }

    /// See [`Store::freeing`].
    pub fn freeing<T>(&self, work: impl Fn(&mut Transaction) -> Result<T>) -> Result<T> {
        self.store.freeing(&self.name, work)
    }

    /// See [`Store::put`].
    pub fn put(&self, file: File, blob: Blob) -> Result<File> {
        self.store.put(&self.name, file, blob)
    }

    /// See [`Store::replace`].
    pub fn replace(
        &self,
        id: &FileId,
        blob: Blob,
        record: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<File> {
        self.store.replace(&self.name, id, blob, record)
    }

    /// See [`Store::annotate`].
    pub fn annotate(&self, id: &FileId, record: impl FnOnce(&mut File) -> Result<()>) -> Result<File> {
        self.store.annotate(&self.name, id, record)
    }

    /// See [`Store::delete`].
    pub fn delete(&self, id: &FileId) -> Result<File> {
        self.store.delete(&self.name, id)
    }

    /// See [`Store::forget`].
    pub fn forget(&self, kind: &str, key: &str) -> Result<bool> {
        self.store.forget(&self.name, kind, key)
    }

    /// See [`Store::note_once`].
    pub fn note_once(&self, kind: &str, key: &str, make: &dyn Fn() -> Object) -> Result<Object> {
        self.store.note_once(&self.name, kind, key, make)
    }
}
