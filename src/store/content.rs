//! File content, verified while it is read.

use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use crate::model::File;
use crate::source::CHUNK;

/// The content of a file. A sequential read from the first byte computes the checksum; if it does not match, the read that
/// reaches the end returns an error instead of the last bytes.
#[derive(Debug)]
pub struct Content {
    bytes: fs::File,
    size: u64,
    position: u64,
    /// The running hash and the expected digest; `None` when bytes are skipped.
    check: Option<(Box<blake3::Hasher>, String)>,
}

impl Content {
    pub(super) fn new(bytes: fs::File, file: &File) -> Self {
        let size = file.size.unwrap_or_default();
        let check = file.checksums.blake3.clone().map(|expected| (Box::default(), expected));
        Self { bytes, size, position: 0, check }
    }

    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Continues at `position`. Skipping bytes turns verification off.
    pub fn start_at(&mut self, position: u64) -> io::Result<()> {
        if position != self.position {
            self.position = self.bytes.seek(SeekFrom::Start(position))?;
            self.check = None;
        }
        Ok(())
    }

    /// Copies the verified content to `target`.
    pub fn copy_to(self, target: &mut impl Write) -> io::Result<u64> {
        io::copy(&mut BufReader::with_capacity(CHUNK, self), target)
    }

    /// The underlying file, without verification.
    pub fn into_file(self) -> fs::File {
        self.bytes
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.position += read as u64;
        if let Some((hasher, _)) = &mut self.check {
            hasher.update(&buffer[..read]);
        }
        if self.position >= self.size
            && let Some((hasher, expected)) = self.check.take()
            && hasher.finalize().to_hex().as_str() != expected
        {
            return Err(io::Error::other("its content is damaged"));
        }
        Ok(read)
    }
}
