//! The half of a store that holds the content of files.

#[cfg(feature = "shared")]
pub(super) mod bucket;
pub(super) mod directory;
mod reader;

use std::io;
#[cfg(feature = "shared")]
use std::sync::Arc;

pub use reader::BlobReader;

use super::incoming::Incoming;
use crate::error::Result;
use crate::model;
#[cfg(feature = "shared")]
use bucket::Bucket;
use directory::Directory;
use reader::Bytes;

/// The content of a store's files.
pub(super) enum Blobs {
    /// Files in a directory, by their SHA-256.
    Directory(Directory),
    /// Objects in a bucket, each with its own key.
    #[cfg(feature = "shared")]
    Bucket(Arc<Bucket>),
}

impl Blobs {
    /// The directory, if the content is in one.
    #[cfg_attr(
        not(feature = "shared"),
        expect(clippy::unnecessary_wraps, reason = "content is in a directory")
    )]
    pub(super) fn directory(&self) -> Option<&Directory> {
        match self {
            Self::Directory(directory) => Some(directory),
            #[cfg(feature = "shared")]
            Self::Bucket(_) => None,
        }
    }

    /// Starts receiving content.
    pub(super) fn receive(&self) -> Result<Incoming> {
        match self {
            Self::Directory(directory) => Incoming::create(&directory.incoming(), directory.sync),
            #[cfg(feature = "shared")]
            Self::Bucket(bucket) => Incoming::spool(bucket),
        }
    }

    /// Opens the content of a file. An error of the kind `InvalidData` means that its size differs.
    pub(super) fn open(&self, key: &str, file: &model::File) -> io::Result<BlobReader> {
        match self {
            Self::Directory(directory) => {
                let bytes = directory.open(key)?;
                if bytes.metadata().is_ok_and(|found| Some(found.len()) == file.size) {
                    return Ok(BlobReader::new(Bytes::File(bytes), file));
                }
                Err(io::ErrorKind::InvalidData.into())
            }
            #[cfg(feature = "shared")]
            Self::Bucket(bucket) => {
                let object = bucket.open(key, file.size.unwrap_or_default())?;
                Ok(BlobReader::new(Bytes::Object(object), file))
            }
        }
    }
}
