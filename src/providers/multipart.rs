//! The optional operations of an upload in parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::model::{Checksums, File, NewFile};
use crate::progress::Progress;
use crate::secret::Secret;

/// A platform that receives a file in parts. The caller runs the operations: it sends several parts at a time, records the
/// session and continues it after an interruption.
#[async_trait]
pub trait Multipart: Send + Sync {
    /// Whether this file is sent in parts.
    fn applies(&self, file: &NewFile) -> bool;

    /// The maximum number of parts in flight; 1 if the platform requires them in order.
    fn parallel(&self) -> usize;

    /// The kind of checksum that [`complete`](Self::complete) sends: `blake3`, `sha256` or `md5`.
    fn checksum(&self) -> Option<&'static str> {
        None
    }

    /// Whether the last part also completes the file, as it may have any size only then.
    fn ends_with_part(&self) -> bool {
        false
    }

    /// Whether another process can continue an upload. If not, its [secret](Session::secret) is not recorded, and the next
    /// upload of the file aborts the session and begins again.
    fn continues(&self) -> bool {
        true
    }

    /// Begins an upload.
    async fn begin(&self, file: &NewFile) -> Result<Session>;

    /// Sends one part and returns its tag, such as an id or an `ETag`.
    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String>;

    /// Combines the parts, whose tags are in the order of the parts, into the file.
    async fn complete(
        &self,
        session: &Session,
        file: &NewFile,
        tags: &[String],
        checksums: &Checksums,
    ) -> Result<File>;

    /// Sends the last part and combines all parts into the file, if the platform [requires it](Self::ends_with_part).
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

    /// The content that the platform has received. None if it cannot be queried; the caller then uses its own record.
    async fn received(&self, _session: &Session) -> Result<Option<Received>> {
        Ok(None)
    }
}

/// An upload in parts that the platform has begun.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// A value that grants access to it, such as a session URL.
    pub secret: Option<Secret>,
    /// The size of each part except the last, in bytes.
    pub part_size: u64,
    /// The time at which the platform discards it.
    pub expires_at: Option<Timestamp>,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartRange {
    /// Its position among the parts, from 0.
    pub index: u32,
    /// Its first byte.
    pub from: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// The content of a session that the platform has received.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// This number of bytes from the start.
    Bytes(u64),
    /// The parts with these indexes and tags.
    Parts(BTreeMap<u32, String>),
    /// Everything: the parts are combined into this file.
    File(Box<File>),
}
