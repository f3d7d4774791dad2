//! Reads content.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

#[cfg(feature = "shared")]
use super::bucket::Object;
use crate::model;
use crate::source::CHUNK;

/// Reads a file's content. Reading sequentially from the first byte computes the checksum; if it does not match, the
/// read that reaches the end returns an error instead of the last bytes.
#[derive(Debug)]
pub struct BlobReader {
    bytes: Bytes,
    size: u64,
    position: u64,
    /// The hash being computed and the expected digest; `None` if bytes are skipped.
    check: Option<(Box<blake3::Hasher>, String)>,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(in crate::store) enum Bytes {
    /// A file in the store's directory.
    File(File),
    /// An object in a bucket.
    #[cfg(feature = "shared")]
    Object(Object),
}

impl BlobReader {
    pub(in crate::store) fn new(bytes: Bytes, file: &model::File) -> Self {
        let size = file.size.unwrap_or_default();
        let check = file.checksums.blake3.clone().map(|expected| (Box::default(), expected));
        Self { bytes, size, position: 0, check }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Seeks to `position`. Skipping bytes turns verification off.
    pub fn start_at(&mut self, position: u64) -> io::Result<()> {
        if position != self.position {
            match &mut self.bytes {
                Bytes::File(file) => self.position = file.seek(SeekFrom::Start(position))?,
                #[cfg(feature = "shared")]
                Bytes::Object(object) => {
                    object.start_at(position);
                    self.position = position;
                }
            }
            self.check = None;
        }
        Ok(())
    }

    /// Limits requests to a bucket to the bytes before `end`. Has no effect on content in a directory.
    pub fn stop_at(&mut self, end: u64) {
        #[cfg(feature = "shared")]
        if let Bytes::Object(object) = &mut self.bytes {
            object.stop_at(end);
        }
        #[cfg(not(feature = "shared"))]
        let _ = end;
    }

    /// Copies the verified content to `target`.
    pub fn copy_to(self, target: &mut impl Write) -> io::Result<u64> {
        io::copy(&mut BufReader::with_capacity(CHUNK, self), target)
    }

    /// The underlying file, without verification; `None` if the content is in a bucket.
    pub fn into_file(self) -> Option<File> {
        match self.bytes {
            Bytes::File(file) => Some(file),
            #[cfg(feature = "shared")]
            Bytes::Object(_) => None,
        }
    }
}

impl BlobReader {
    /// Reads exactly the next `length` bytes.
    pub fn piece(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(length);
        while piece.len() < length {
            if self.bytes.fill(&mut piece, length)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        // A vector may have more capacity than was requested.
        let excess = piece.len() - length;
        if excess > 0 {
            piece.truncate(length);
            self.bytes.seek_back(i64::try_from(excess).map_err(io::Error::other)?)?;
        }
        self.verify(&piece)?;
        Ok(piece)
    }

    /// Adds the bytes that were read to the checksum, and compares it at the end.
    fn verify(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.position += bytes.len() as u64;
        if let Some((hasher, _)) = &mut self.check {
            hasher.update(bytes);
        }
        if self.position >= self.size
            && let Some((hasher, expected)) = self.check.take()
            && hasher.finalize().to_hex().as_str() != expected
        {
            return Err(io::Error::other("its content is damaged"));
        }
        Ok(())
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.bytes {
            Bytes::File(file) => file.read(buffer)?,
            #[cfg(feature = "shared")]
            Bytes::Object(object) => object.read(buffer)?,
        };
        self.verify(&buffer[..read])?;
        Ok(read)
    }
}

impl Bytes {
    /// Appends bytes up to a total of `length`. From a file, it may append more, up to the vector's capacity.
    #[cfg_attr(
        not(feature = "shared"),
        expect(unused_variables, reason = "reading from a file ignores the length")
    )]
    fn fill(&mut self, bytes: &mut Vec<u8>, length: usize) -> io::Result<usize> {
        match self {
            Self::File(file) => fill(file, bytes),
            #[cfg(feature = "shared")]
            Self::Object(object) => object.fill(bytes, length - bytes.len()),
        }
    }

    /// Moves back by the number of bytes that [`fill`](Self::fill) read in excess.
    fn seek_back(&mut self, excess: i64) -> io::Result<()> {
        match self {
            Self::File(file) => file.seek_relative(-excess),
            #[cfg(feature = "shared")]
            Self::Object(_) => Ok(()),
        }
    }
}

/// Appends bytes from a file up to the vector's capacity, without zeroing the spare capacity first.
#[cfg(unix)]
fn fill(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(file, rustix::buffer::spare_capacity(&mut *bytes)))?)
}

#[cfg(not(unix))]
fn fill(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    file.take((bytes.capacity() - bytes.len()) as u64).read_to_end(bytes)
}
