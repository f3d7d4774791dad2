//! Temporary copies of content that can only be read once.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::sync::Arc;

/// A temporary file. On Unix it has no name, so nothing is left of it even if the process is killed.
#[derive(Debug)]
pub struct Spool {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: tempfile::NamedTempFile,
}

impl Spool {
    /// Creates an empty file.
    pub fn new() -> io::Result<Self> {
        #[cfg(unix)]
        let file = tempfile::tempfile()?;
        #[cfg(not(unix))]
        let file = tempfile::NamedTempFile::new()?;
        Ok(Self { file })
    }

    /// A handle for writing from the start. Use only one: on Unix, all handles share one position.
    pub fn writer(&self) -> io::Result<File> {
        #[cfg(unix)]
        return self.file.try_clone();
        #[cfg(not(unix))]
        return self.file.reopen();
    }

    /// The metadata of the file.
    pub fn metadata(&self) -> io::Result<Metadata> {
        #[cfg(unix)]
        return self.file.metadata();
        #[cfg(not(unix))]
        return self.file.as_file().metadata();
    }

    /// A reader that begins at byte `from`. Readers do not affect each other.
    pub fn reader(self: &Arc<Self>, from: u64) -> io::Result<SpoolReader> {
        #[cfg(unix)]
        return Ok(SpoolReader { spool: Arc::clone(self), position: from });
        #[cfg(not(unix))]
        {
            let mut file = self.file.reopen()?;
            io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
            Ok(SpoolReader { spool: Arc::clone(self), file })
        }
    }
}

/// A reader of a temporary file. The file exists at least as long as the reader.
#[derive(Debug)]
pub struct SpoolReader {
    spool: Arc<Spool>,
    #[cfg(unix)]
    position: u64,
    #[cfg(not(unix))]
    file: File,
}

impl SpoolReader {
    /// The metadata of the file.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.spool.metadata()
    }

    /// Continues at byte `position`.
    pub fn seek_to(&mut self, position: u64) -> io::Result<()> {
        #[cfg(unix)]
        {
            self.position = position;
            Ok(())
        }
        #[cfg(not(unix))]
        io::Seek::seek(&mut self.file, io::SeekFrom::Start(position)).map(|_| ())
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        {
            // The handle is shared, and so is its position.
            let count = std::os::unix::fs::FileExt::read_at(&self.spool.file, buffer, self.position)?;
            self.position = self.position.saturating_add(count as u64);
            Ok(count)
        }
        #[cfg(not(unix))]
        self.file.read(buffer)
    }
}
