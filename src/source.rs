//! The bytes of an upload as they are read. A file is watched for changes meanwhile.

use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::model::Source;

/// A source that is open for reading.
pub enum Opened {
    /// Bytes in memory, which do not change.
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

    /// Reads what comes next; 0 at the end, where a file must be what it was when it was opened.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let read = match self {
                Self::Memory(bytes) => bytes.read(buffer),
                Self::Disk(file) => file.read(buffer),
            };
            return match (read, &*self) {
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => continue,
                (Err(error), Self::Disk(file)) => Err(file.unreadable(&error)),
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
        let (file, opened) = open().map_err(|error| Error::io("open", path, &error))?;
        Ok(Self { file, path: path.to_owned(), opened })
    }

    /// The size that it had when it was opened; None where it is no regular file.
    pub fn size(&self) -> Option<u64> {
        self.opened.is_file().then(|| self.opened.len())
    }

    /// Moves to a byte.
    pub fn start_at(&mut self, position: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(position)).map_err(|error| self.unreadable(&error))?;
        Ok(())
    }

    /// Fails if the file is not what it was when it was opened: what was read of it may be of two versions.
    pub fn check(&self) -> Result<()> {
        let now = self.file.metadata().map_err(|error| self.unreadable(&error))?;
        let same = now.len() == self.opened.len() && now.modified().ok() == self.opened.modified().ok();
        if same { Ok(()) } else { Err(self.changed()) }
    }

    /// The error of a file that is not what it was.
    pub fn changed(&self) -> Error {
        Error::failed(format!("{} changed while it was being uploaded", self.path.display()))
    }

    /// The error of a read that failed.
    pub fn unreadable(&self, error: &io::Error) -> Error {
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
