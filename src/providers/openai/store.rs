//! The setting that names a vector store, and cached information about the vector store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::super::Setting;
use super::super::pushdown::{Parameter, text_of};
use crate::filter::Comparison;
use crate::model::{File, FileId};

/// The setting that names the vector store of a profile.
pub(super) const VECTOR_STORE: Setting = Setting {
    key: "vector_store",
    help: "vector store: `upload` attaches files, `ls` lists attached files, `rm` detaches them",
    secret: false,
};

/// Maximum and default number of attached files on a page.
pub(super) const PAGE: u32 = 100;

/// Maximum number of cached records.
const KNOWN: usize = 20_000;

/// The values of the parameter `filter`.
const STATUSES: [&str; 4] = ["in_progress", "completed", "failed", "cancelled"];

/// The vector store of a profile.
pub(super) struct VectorStore {
    pub(super) id: String,
    /// Cached records of files, which never change.
    known: Mutex<HashMap<FileId, File>>,
    pub(super) exists: OnceCell<()>,
}

impl VectorStore {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), known: Mutex::default(), exists: OnceCell::new() }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<FileId, File>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, file: &File) {
        let mut known = self.known();
        if known.len() < KNOWN {
            known.insert(file.id.clone(), file.clone());
        }
    }
}

/// The parameter for a status that the platform can filter by.
pub(super) fn status(comparison: &Comparison) -> Option<Parameter> {
    let text = text_of(comparison)?;
    STATUSES.contains(&text.as_str()).then_some(("filter", text))
}
