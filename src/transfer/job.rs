//! The state of one upload.

use std::sync::Arc;

use jiff::Timestamp;

use super::digest::UploadHash;
use super::identity::Evidence;
use super::ledger::{OpenSession, Stamp};
use super::options::Action;
use crate::error::Error;
use crate::hash::Hasher;
use crate::model::{Checksums, File, FileId, NewFile};
use crate::progress::Progress;

/// The upload of one file.
pub(super) struct Job {
    /// The file to upload, with its mark.
    pub(super) new: NewFile,
    pub(super) metered: Arc<Metered>,
    /// The file to replace.
    pub(super) old: Option<FileId>,
    /// Whether the content is sent again because the old file's content is damaged or missing.
    pub(super) repairs: bool,
    /// The stamp of the local file, taken before reading it.
    pub(super) stamp: Option<Stamp>,
    /// The number of the upload's row in the ledger; `None` if it is not recorded.
    pub(super) number: Option<i64>,
    /// The start of an earlier attempt that may have stored the file, and the action to report if it did.
    pub(super) attempted: Option<(Timestamp, Action)>,
    /// The file on the platform, once known.
    pub(super) result: Option<(File, Action)>,
    /// The hash of the content that was sent.
    pub(super) sent: Option<Checksums>,
    /// The failed multipart upload that the next attempt resumes.
    pub(super) session: Option<OpenSession>,
    /// The checksums of a file that was sent in parts.
    pub(super) in_parts: Option<Checksums>,
    pub(super) evidence: Option<Evidence>,
    pub(super) different: Option<FileId>,
    /// The existing files with the same name.
    pub(super) known: Vec<FileId>,
    /// The file from an earlier upload of the same local file, if existing files do not affect this upload.
    pub(super) before: Option<FileId>,
}

impl Job {
    /// Creates the upload of a file about which nothing is known yet.
    pub(super) fn new(new: NewFile, metered: Metered, stamp: Option<Stamp>) -> Self {
        Self {
            new,
            metered: Arc::new(metered),
            old: None,
            repairs: false,
            stamp,
            number: None,
            attempted: None,
            result: None,
            sent: None,
            session: None,
            in_parts: None,
            evidence: None,
            different: None,
            known: Vec::new(),
            before: None,
        }
    }

    /// A [`Progress`] that reports the progress of this file and computes its hash.
    pub(super) fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.metered) as Arc<dyn Progress>
    }

    /// A new hasher for the checksum that is recorded in the ledger or compared with the platform's; `None` if neither.
    pub(super) fn hasher(&self) -> Option<Hasher> {
        self.metered.hash.as_ref().map(UploadHash::hasher)
    }

    /// Whether the platform may have stored the file despite this error. Parts do not form a file until they are
    /// combined.
    pub(super) fn may_be_stored(&self, error: &Error) -> bool {
        error.may_be_done() && self.session.as_ref().is_none_or(|open| open.completing)
    }
}

/// Reports positions to the progress item and passes the content to the hash.
pub(super) struct Metered {
    pub(super) item: Arc<dyn Progress>,
    pub(super) hash: Option<UploadHash>,
}

impl Progress for Metered {
    fn at(&self, bytes: u64) {
        self.item.at(bytes);
    }

    fn read(&self, offset: u64, bytes: &[u8]) {
        if let Some(hash) = &self.hash {
            hash.update(offset, bytes);
        }
    }
}
