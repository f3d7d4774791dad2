//! The optional operations for multipart uploads.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::http::{Body, Piece};
use crate::model::{Checksums, File, NewFile};
use crate::progress::Progress;
use crate::secret::Secret;

/// A platform that receives files in parts. The caller runs the operations: it sends several parts at a time, records
/// the session, and resumes it after an interruption.
#[async_trait]
pub trait Multipart: Send + Sync {
    /// Whether this file should be sent in parts.
    fn applies(&self, file: &NewFile) -> bool;

    /// The maximum number of parts in flight; 1 if the platform requires them in order.
    fn parallel(&self) -> usize;

    /// The checksum algorithm that [`complete`](Self::complete) requires: `blake3`, `sha256` or `md5`.
    fn checksum(&self) -> Option<&'static str> {
        None
    }

    /// Whether the last part also completes the file, which is required if only the last part may have an arbitrary
    /// size.
    fn ends_with_part(&self) -> bool {
        false
    }

    /// Whether another process can continue an upload. If not, its [secret](Session::secret) is not recorded, and the
    /// next upload of the file aborts the session and starts over.
    fn continues(&self) -> bool {
        true
    }

    /// Starts an upload.
    async fn begin(&self, file: &NewFile) -> Result<Session>;

    /// Sends a part and returns its tag, such as an id or an `ETag`.
    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String>;

    /// Combines the parts into the file. Their tags are in the order of the parts.
    async fn complete(
        &self,
        session: &Session,
        file: &NewFile,
        tags: &[String],
        checksums: &Checksums,
    ) -> Result<File>;

    /// Sends the last part and combines all parts into the file, if the platform [requires
    /// this](Self::ends_with_part).
    async fn put_last(
        &self,
        _session: &Session,
        _file: &NewFile,
        _part: PartRange,
        _progress: Arc<dyn Progress>,
    ) -> Result<File> {
        Err(Error::failed("the last part does not complete the file"))
    }

    /// Discards an upload and its parts.
    async fn abort(&self, session: &Session) -> Result<()>;

    /// What the platform has received. Returns `None` if that cannot be queried; the caller then uses its own record.
    async fn received(&self, _session: &Session) -> Result<Option<Received>> {
        Ok(None)
    }
}

/// A multipart upload that the platform has started.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session's id.
    pub id: String,
    /// A value that grants access to the session, such as its URL.
    pub secret: Option<Secret>,
    /// The size of each part except the last, in bytes.
    pub part_size: u64,
    /// When the platform discards the session.
    pub expires_at: Option<Timestamp>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRange {
    /// The part's position among the parts, starting at 0.
    pub index: u32,
    /// The offset of the part's first byte.
    pub from: u64,
    /// The part's length in bytes.
    pub len: u64,
}

impl PartRange {
    /// The content of the part.
    pub fn piece(&self, file: &NewFile) -> Piece {
        let source = file.source.clone();
        if self.len == file.size {
            return Piece::Whole { source, size: file.size };
        }
        Piece::File { source, from: self.from, len: self.len, base64: false }
    }

    /// The content of the part as a body without a media type.
    pub fn body(&self, file: &NewFile) -> Body {
        Body { content_type: None, pieces: vec![self.piece(file)] }
    }
}

/// What the platform has received in a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// This number of bytes from the start.
    Bytes(u64),
    /// The parts with these indexes and tags.
    Parts(BTreeMap<u32, String>),
    /// Everything; the parts have been combined into this file.
    File(Box<File>),
}
