//! Presigned uploads: files that are announced first and whose content arrives at a signed URL.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::model::File;
use crate::store::{Blob, Transaction};

/// An announced file, kept as a note.
#[derive(Serialize, Deserialize)]
pub(super) struct Announced {
    /// The record of the file.
    pub(super) file: File,
    /// The end of the time in which content is accepted.
    pub(super) ends: Timestamp,
}

impl Announced {
    /// Stores the announcement as a note.
    pub(super) fn put(&self, change: &mut Transaction, kind: &str, key: &str) -> Result<()> {
        change.note(kind, key, None, &json!(self).as_object().cloned().unwrap_or_default())
    }

    /// Finds an announcement whose time is not over.
    pub(super) fn find(change: &Transaction, kind: &str, key: &str, now: Timestamp) -> Result<Option<Self>> {
        let Some(note) = change.noted(kind, key)? else { return Ok(None) };
        let announced: Self = serde_json::from_value(note.into()).map_err(|error| {
            Error::failed(format!("{key}: the upload's note is damaged")).caused_by(error)
        })?;
        Ok(Some(announced).filter(|announced| now < announced.ends))
    }

    /// Deletes announcements whose time is over.
    pub(super) fn forget_expired(change: &mut Transaction, kind: &str, now: Timestamp) -> Result<()> {
        for (key, _) in change.notes(kind, None)? {
            if Self::find(change, kind, &key, now)?.is_none() {
                change.forget(kind, &key)?;
            }
        }
        Ok(())
    }
}

/// Stores the content of a file. Content that has arrived before is replaced.
pub(super) fn store_content(change: &mut Transaction, file: File, blob: Blob) -> Result<File> {
    match change.stat(&file.id) {
        Err(error) if error.kind() == Kind::NotFound => change.put(file, blob),
        Err(error) => Err(error),
        Ok(present) => change.replace(&present.id, blob, |record| {
            *record = file;
            Ok(())
        }),
    }
}
