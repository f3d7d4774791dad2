//! The existing files with the names of a command's files.
//!
//! Most platforms cannot filter by name, so finding the files with one name requires listing all files. A command with
//! several files therefore lists them once, and again only for names that another command has uploaded since.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::job::Job;
use super::ledger::Ledger;
use crate::error::Result;
use crate::model::{Clock, File, FileId, hash_of_name, names_match};
use crate::providers::{Listing, Provider, Query, exact_or_equivalent, files_named, filters_names};

/// The existing files with certain names, from one listing.
pub(super) struct Listed {
    /// The [hashes](hash_of_name) of the names. Files with other names are not kept, to limit memory use.
    names: HashSet<u64>,
    files: OnceCell<HashMap<u64, Vec<File>>>,
}

impl Listed {
    /// Creates a listing that covers the files with these names. The first lookup requests it.
    pub(super) fn new(names: HashSet<u64>) -> Self {
        Self { names, files: OnceCell::new() }
    }

    /// The existing files with this name, like [`files_named`]. The first call lists all files, unless the platform
    /// filters by name.
    pub(super) async fn named(
        &self,
        provider: &Arc<dyn Provider>,
        ledger: &Ledger,
        clock: Clock,
        name: &str,
    ) -> Result<Vec<File>> {
        if !self.is_listed(provider.as_ref(), name) {
            return files_named(provider, name).await;
        }
        let hash = hash_of_name(name);
        let files = self
            .files
            .get_or_try_init(|| {
                // Watch first: an upload that ends after this call is recorded, and an earlier one is listed.
                ledger.watch_others(clock.now());
                self.list(provider)
            })
            .await?;
        if ledger.others_uploaded(hash) {
            return files_named(provider, name).await;
        }
        let found = files.get(&hash).into_iter().flatten();
        let found = found.filter(|file| names_match(&file.name, name)).cloned().collect();
        Ok(exact_or_equivalent(found, name))
    }

    /// Whether files with this name are looked up in the listing instead of queried by name.
    pub(super) fn is_listed(&self, provider: &dyn Provider, name: &str) -> bool {
        self.names.contains(&hash_of_name(name)) && !filters_names(provider)
    }

    async fn list(&self, provider: &Arc<dyn Provider>) -> Result<HashMap<u64, Vec<File>>> {
        let mut files: HashMap<u64, Vec<File>> = HashMap::new();
        let mut listing = Listing::new(Arc::clone(provider), Query::default(), None)?;
        while let Some(page) = listing.next().await? {
            for file in page {
                let hash = hash_of_name(&file.name);
                if self.names.contains(&hash) {
                    files.entry(hash).or_default().push(file);
                }
            }
        }
        Ok(files)
    }
}

/// The files that were uploaded and not yet compared with those of other commands, by the [hash](hash_of_name) of their
/// names.
#[derive(Default)]
pub(super) struct Added(Mutex<HashMap<u64, AddedFile>>);

impl Added {
    pub(super) fn add(&self, file: AddedFile) {
        self.files().insert(hash_of_name(&file.name), file);
    }

    /// Removes and returns all files.
    pub(super) fn take(&self) -> HashMap<u64, AddedFile> {
        std::mem::take(&mut self.files())
    }

    fn files(&self) -> MutexGuard<'_, HashMap<u64, AddedFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that this command has uploaded.
pub(super) struct AddedFile {
    pub(super) name: String,
    pub(super) id: FileId,
    pub(super) size: u64,
    pub(super) purpose: Option<String>,
    /// The files with this name that existed before.
    pub(super) known: Vec<FileId>,
}

impl AddedFile {
    pub(super) fn of(job: &Job, file: &File) -> Self {
        Self {
            name: job.new.name.clone(),
            id: file.id.clone(),
            size: job.new.size,
            purpose: job.new.purpose.clone(),
            known: job.known.clone(),
        }
    }
}
