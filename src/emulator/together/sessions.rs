//! Multipart uploads, as notes in the store.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::emulator::Space;
use crate::emulator::openai::Refusal;
use crate::emulator::parts::UploadParts;
use crate::error::{Error, Result as StoreResult};
use crate::model::{File, Object};
use crate::store::Blob;

/// The kind of notes about running uploads, by id.
pub(super) const NOTE: &str = "multipart";
/// How long an upload can be completed.
pub(super) const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A running upload, as a note in the store. Its parts are [`UploadParts`].
#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) file: File,
    pub(super) size: u64,
    /// The number of parts.
    pub(super) count: u64,
    pub(super) ends: Timestamp,
}

impl Session {
    pub(super) fn read(note: Object) -> StoreResult<Self> {
        serde_json::from_value(note.into())
            .map_err(|error| Error::failed("the record of the upload is damaged").caused_by(error))
    }

    /// The running upload with this id; `None` if it does not exist or has expired.
    pub(super) fn find(space: &Space, id: &str, now: Timestamp) -> StoreResult<Option<Self>> {
        let session = space.noted(NOTE, id)?.map(Self::read).transpose()?;
        Ok(session.filter(|session| now < session.ends))
    }
}

/// Stores a part. Returns false if the upload does not exist.
pub(super) fn put(space: &Space, id: &str, number: u32, blob: Blob, now: Timestamp) -> StoreResult<bool> {
    let Some(session) = Session::find(space, id, now)? else { return Ok(false) };
    let (parts, key) = (UploadParts::of(space, id), format!("{number:010}"));
    parts.put(&key, session.ends, blob)?;
    // If the session ended while the part was being stored, the part was not deleted with the others.
    let is_running = Session::find(space, id, now)?.is_some();
    if !is_running {
        parts.discard(&key);
    }
    Ok(is_running)
}

/// The error response for an unknown upload.
pub(super) fn missing() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Upload not found")
}
