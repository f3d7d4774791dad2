//! Reads the bytes of an upload and detects files that change while being read.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::model::{Remote, Source};
use crate::spool::{Spool, SpoolReader};

/// Bytes per read. Larger reads use more memory and are hardly any faster; 8 KiB, a common default, is 11 times
/// slower.
pub const CHUNK: usize = 256 * 1024;

/// Reads `from` to its end in chunks of up to `size` bytes and passes each chunk to `take`.
pub fn read_chunks<E>(
    mut from: impl Read,
    size: usize,
    failed: impl Fn(io::Error) -> E,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut chunk = vec![0; size];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&chunk[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// A source opened for reading.
pub enum Opened {
    /// Bytes in memory.
    Memory(Bytes),
    /// A file.
    Disk(Watched),
    /// A file on a platform.
    Remote(Download),
}

impl Opened {
    /// Opens a source.
    pub fn open(source: &Source) -> Result<Self> {
        Ok(match source {
            Source::Bytes(bytes) => Self::Memory(bytes.clone()),
            Source::Path(path) => Self::Disk(Watched::open(path)?),
            Source::Spooled(file) => Self::Disk(Watched::spooled(file)?),
            Source::Remote(remote) => Self::Remote(Download::open(remote.as_ref(), 0)?),
        })
    }

    /// Reads to the end and passes each chunk to `take`. Returns an error at the end if the file has changed since it
    /// was opened.
    pub fn read_all(self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut file = match self {
            Self::Memory(bytes) => return if bytes.is_empty() { Ok(()) } else { take(&bytes) },
            Self::Remote(download) => {
                let Download { name, reader, .. } = download;
                return read_chunks(reader, CHUNK, |error| unreadable(&name, error), take);
            }
            Self::Disk(file) => file,
        };
        // Read one more byte than expected to notice a file that has grown.
        let expected = file.size().and_then(|size| usize::try_from(size).ok()).unwrap_or(CHUNK);
        let size = CHUNK.min(expected.saturating_add(1));
        let path = file.path.clone();
        read_chunks(&mut file, size, |error| unreadable_at(&path, error), take)?;
        file.check()
    }
}

/// The content of a file on a platform while it is downloaded.
pub struct Download {
    name: String,
    reader: Box<dyn Read + Send>,
    position: u64,
    size: Option<u64>,
}

impl Download {
    /// Opens the content at byte `from`.
    pub fn open(remote: &dyn Remote, from: u64) -> Result<Self> {
        let name = remote.file().name.clone();
        let reader = remote.open(from).map_err(|error| unreadable(&name, error))?;
        Ok(Self { name, reader, position: from, size: remote.size() })
    }

    /// The position of the next byte to [fill](Self::fill) a buffer with.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Fills the buffer without advancing the [position](Self::position). Returns false if fewer bytes are left.
    pub fn try_fill(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.reader.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(unreadable(&self.name, error)),
        }
    }

    /// Fills the buffer and advances the [position](Self::position). Fails if fewer bytes are left.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.reader.read_exact(buffer).map_err(|error| unreadable(&self.name, error))?;
        self.position = self.position.saturating_add(buffer.len() as u64);
        Ok(())
    }

    /// Whether [`fill`](Self::fill) has read all bytes; true if the size is unknown.
    pub fn is_at_end(&self) -> bool {
        self.size.is_none_or(|size| self.position >= size)
    }

    /// Fails unless the content ends here and is verified.
    pub fn check(&mut self) -> Result<()> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::failed(format!("{}: the content is longer than its stated size", self.name))),
            Err(error) => Err(unreadable(&self.name, error)),
        }
    }
}

/// The error for a failed read of the content of a file on a platform.
pub fn unreadable(name: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::failed(format!("{name}: the content is shorter than its stated size"));
    }
    error
        .downcast::<Error>()
        .unwrap_or_else(|error| Error::failed(format!("{name}: cannot read")).caused_by(error))
}

/// A file opened for reading, with its metadata at that time.
pub struct Watched {
    file: Handle,
    path: PathBuf,
    opened: Metadata,
}

enum Handle {
    File(File),
    Spool(SpoolReader),
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
        Ok(Self { file: Handle::File(file), path: path.to_owned(), opened })
    }

    /// Opens a temporary copy of standard input.
    pub fn spooled(spool: &Arc<Spool>) -> Result<Self> {
        let path = PathBuf::from("standard input");
        let open = || Ok((spool.reader(0)?, spool.metadata()?));
        let (file, opened) = open().map_err(|error| Error::io("open", &path, error))?;
        Ok(Self { file: Handle::Spool(file), path, opened })
    }

    /// The size when the file was opened; `None` if it is not a regular file.
    pub fn size(&self) -> Option<u64> {
        self.opened.is_file().then_some(self.opened.len())
    }

    /// Seeks to `position`.
    pub fn start_at(&mut self, position: u64) -> Result<()> {
        let sought = match &mut self.file {
            Handle::File(file) => file.seek(SeekFrom::Start(position)).map(|_| ()),
            Handle::Spool(file) => file.seek_to(position),
        };
        sought.map_err(|error| self.unreadable(error))
    }

    /// Returns an error if the size or modification time has changed since the file was opened, because the bytes may
    /// then mix two versions.
    pub fn check(&self) -> Result<()> {
        let now = match &self.file {
            Handle::File(file) => file.metadata(),
            Handle::Spool(file) => file.metadata(),
        };
        let now = now.map_err(|error| self.unreadable(error))?;
        let same = now.len() == self.opened.len() && now.modified().ok() == self.opened.modified().ok();
        if same { Ok(()) } else { Err(self.changed()) }
    }

    /// The error for a file that has changed.
    pub fn changed(&self) -> Error {
        changed(&self.path)
    }

    /// The error for a failed read.
    pub fn unreadable(&self, error: io::Error) -> Error {
        unreadable_at(&self.path, error)
    }
}

fn changed(path: &Path) -> Error {
    Error::failed(format!("{}: changed during the upload", path.display()))
}

fn unreadable_at(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(path),
        _ => Error::io("read", path, error),
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Handle::File(file) => file.read(buffer),
            Handle::Spool(file) => file.read(buffer),
        }
    }
}
