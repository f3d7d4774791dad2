//! Reads the bytes of an upload and detects files that change during the read.

use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::model::Source;

/// A source that is open for reading.
pub enum Opened {
    /// Bytes in memory.
    Memory(Cursor<Bytes>),
    /// A file.
    Disk(Watched),
}

impl Opened {
    /// Opens a source.
    pub fn open(source: &Source) -> Result<Self> {
        Ok(match source {
            Source::Bytes(bytes) => Self::Memory(Cursor::new(bytes.clone())),
            Source::Path(path) => Self::Disk(Watched::open(path)?),
            Source::Spooled(file) => Self::Disk(Watched::open(file.path())?),
        })
    }

    /// Reads the next bytes; returns 0 at the end. A file that has changed since it was opened is an error there.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let read = match self {
                Self::Memory(bytes) => bytes.read(buffer),
                Self::Disk(file) => file.read(buffer),
            };
            return match (read, &*self) {
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => continue,
                (Err(error), Self::Disk(file)) => Err(file.unreadable(error)),
                (Ok(0), Self::Disk(file)) => file.check().map(|()| 0),
                (read, _) => Ok(read.unwrap_or_default()),
            };
        }
    }
}

/// A file that is open for reading.
pub struct Watched {
    file: File,
    path: PathBuf,
    opened: Metadata,
}

impl Watched {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let opened = file.metadata()?;
            Ok((file, opened))
        };
        let (file, opened) = open().map_err(|error| Error::io("open", path, error))?;
        Ok(Self { file, path: path.to_owned(), opened })
    }

    /// The size when it was opened; `None` for anything but a regular file.
    pub fn size(&self) -> Option<u64> {
        self.opened.is_file().then_some(self.opened.len())
    }

    /// Continues at `position`.
    pub fn start_at(&mut self, position: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(position)).map_err(|error| self.unreadable(error))?;
        Ok(())
    }

    /// Fails if size or modification time have changed since the file was opened: the bytes may mix two versions.
    pub fn check(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|error| self.unreadable(error))?;
        let same = now.len() == self.opened.len() && now.modified().ok() == self.opened.modified().ok();
        if same { Ok(()) } else { Err(self.changed()) }
    }

    /// The error for a file that has changed.
    pub fn changed(&self) -> Error {
        Error::failed(format!("{} changed while it was being uploaded", self.path.display()))
    }

    /// The error for a failed read.
    pub fn unreadable(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => Error::io("read", &self.path, error),
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}
