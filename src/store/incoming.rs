//! Content being received by the store, written and hashed in one pass using constant memory.
//!
//! The caller's thread writes the content and computes BLAKE3, which is fast. From the second chunk on, SHA-256 and
//! MD5 are computed on separate threads; small content needs no thread. Another thread starts syncing large content
//! early, so that little remains to be synced at the end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};
#[cfg(feature = "shared")]
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use uuid::Uuid;

use super::Failpoint;
#[cfg(feature = "shared")]
use super::blobs::bucket::{Bucket, Upload};
use crate::error::{Error, Result};
use crate::hash::{HashInput, HashThread, Hasher};
use crate::model::Checksums;
use crate::source::CHUNK;

/// Number of bytes between two early syncs.
const SYNC_EVERY: u64 = 32 * 1024 * 1024;

/// Content being received. Removed when dropped.
pub struct Incoming {
    temporary: Temporary,
    sync: bool,
    with_md5: bool,
    chunk: Vec<u8>,
    size: u64,
    unsynced: u64,
    blake3: blake3::Hasher,
    hashing: Option<Hashing>,
    syncing: Option<Syncing>,
    /// The bucket that complete content is written to.
    #[cfg(feature = "shared")]
    bucket: Option<Arc<Bucket>>,
}

/// Where SHA-256 and MD5 are computed.
enum Hashing {
    Inline(Vec<Hasher>),
    Threads(Vec<HashThread>),
}

/// Complete content that no row refers to yet. Removed when dropped.
pub struct Blob {
    /// Size in bytes.
    pub size: u64,
    /// The checksums.
    pub checksums: Checksums,
    pub(super) temporary: Temporary,
    /// The object with the content, in a store with a bucket.
    #[cfg(feature = "shared")]
    pub(super) upload: Option<Upload>,
}

impl Incoming {
    pub(super) fn create(directory: &Path, sync: bool) -> Result<Self> {
        let temporary =
            Temporary::create(directory).map_err(|error| Error::io("create a file", directory, error))?;
        Ok(Self::new(temporary, sync))
    }

    /// Receives content for a bucket into an unnamed file.
    #[cfg(feature = "shared")]
    pub(super) fn spool(bucket: &Arc<Bucket>) -> Result<Self> {
        let temporary = Temporary::anonymous().map_err(|error| {
            Error::failed("cannot create a file in the temporary folder")
                .caused_by(error)
                .hint("to use another folder: `export TMPDIR=DIR`")
        })?;
        Ok(Self { bucket: Some(Arc::clone(bucket)), ..Self::new(temporary, false) })
    }

    fn new(temporary: Temporary, sync: bool) -> Self {
        Self {
            temporary,
            sync,
            with_md5: false,
            chunk: Vec::new(),
            size: 0,
            unsynced: 0,
            blake3: blake3::Hasher::new(),
            hashing: None,
            syncing: None,
            #[cfg(feature = "shared")]
            bucket: None,
        }
    }

    /// Also computes the MD5, for a platform that reports it. Must be called before the first byte is written.
    #[must_use]
    pub fn with_md5(mut self) -> Self {
        debug_assert_eq!(self.size, 0, "the first bytes would be missing from the MD5");
        self.with_md5 = true;
        self
    }

    /// Hashes on the caller's thread without buffering chunks, for one of many uploads that keep all processors busy.
    /// Must be called before the first byte is written and after [`with_md5`](Self::with_md5).
    #[must_use]
    pub fn inline(mut self) -> Self {
        debug_assert_eq!(self.size, 0, "the first bytes would be missing from the hashes");
        self.hashing = Some(Hashing::Inline(self.hashers()));
        self
    }

    fn hashers(&self) -> Vec<Hasher> {
        std::iter::once(Hasher::sha256()).chain(self.with_md5.then(Hasher::md5)).collect()
    }

    /// The number of bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Completes the content and writes it to disk or to the bucket.
    pub fn finish(mut self) -> Result<Blob> {
        let checksums = self
            .complete()
            .map_err(|error| Error::failed("cannot write content to the store").caused_by(error))?;
        Ok(Blob {
            size: self.size,
            checksums,
            #[cfg(feature = "shared")]
            upload: match self.bucket.take() {
                Some(bucket) => Some(bucket.put(&self.temporary.file, self.size)?),
                None => None,
            },
            temporary: self.temporary,
        })
    }

    fn complete(&mut self) -> io::Result<Checksums> {
        let chunk = mem::take(&mut self.chunk);
        self.store(&chunk)?;
        Failpoint::Written.reached();
        let digests: Vec<Checksums> = match self.hashing.take() {
            Some(Hashing::Threads(threads)) => {
                let chunk = Bytes::from(chunk);
                for thread in &threads {
                    thread.update(HashInput::Bytes(chunk.clone()));
                }
                let digests: Result<_> = threads.into_iter().map(HashThread::finish).collect();
                digests.map_err(io::Error::other)?
            }
            Some(Hashing::Inline(hashers)) => hashers.into_iter().map(Hasher::finish).collect(),
            None => {
                let mut hashers = self.hashers();
                for hasher in &mut hashers {
                    hasher.update(&chunk);
                }
                hashers.into_iter().map(Hasher::finish).collect()
            }
        };
        if let Some(syncing) = self.syncing.take() {
            syncing.finish()?;
        }
        if self.sync {
            self.temporary.file.sync_all()?;
        }
        Failpoint::Synced.reached();
        let mut checksums =
            Checksums { blake3: Some(self.blake3.finalize().to_hex().to_string()), ..Checksums::default() };
        for digest in digests {
            checksums.sha256 = digest.sha256.or(checksums.sha256);
            checksums.md5 = digest.md5.or(checksums.md5);
        }
        Ok(checksums)
    }

    fn store(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.temporary.file.write_all(chunk)?;
        self.blake3.update(chunk);
        self.unsynced += chunk.len() as u64;
        if self.sync && self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            match &self.syncing {
                Some(syncing) => syncing.again(),
                None => self.syncing = Some(Syncing::start(&self.temporary.file)?),
            }
        }
        Ok(())
    }

    /// Stores a full chunk and passes it to the hash threads.
    fn pass_on(&mut self) -> io::Result<()> {
        let chunk = mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.store(&chunk)?;
        if self.hashing.is_none() {
            let threads: io::Result<_> = self.hashers().into_iter().map(HashThread::start).collect();
            self.hashing = Some(Hashing::Threads(threads?));
        }
        if let Some(Hashing::Threads(threads)) = &self.hashing {
            let chunk = Bytes::from(chunk);
            for thread in threads {
                thread.update(HashInput::Bytes(chunk.clone()));
            }
        }
        Ok(())
    }
}

impl Blob {
    /// Writes the bytes to `target`.
    pub fn copy_to(&self, target: &mut impl Write) -> Result<()> {
        let failed = |error: io::Error| Error::failed("cannot copy content in the store").caused_by(error);
        let mut file = &self.temporary.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut file = BufReader::with_capacity(CHUNK, file.take(self.size));
        loop {
            let chunk = file.fill_buf().map_err(failed)?;
            if chunk.is_empty() {
                return Ok(());
            }
            target.write_all(chunk).map_err(failed)?;
            let size = chunk.len();
            file.consume(size);
        }
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(Hashing::Inline(hashers)) = &mut self.hashing {
            for hasher in hashers {
                hasher.update(bytes);
            }
            self.store(bytes)?;
            self.size += bytes.len() as u64;
            return Ok(bytes.len());
        }
        if self.chunk.len() == CHUNK {
            self.pass_on()?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        let needed = self.chunk.len() + taken;
        if needed > self.chunk.capacity() {
            // Double the capacity, up to one chunk, so that small files use little memory.
            let capacity = needed.max(2 * self.chunk.capacity()).min(CHUNK);
            self.chunk.reserve_exact(capacity - self.chunk.len());
        }
        self.chunk.extend_from_slice(&bytes[..taken]);
        self.size += taken as u64;
        Ok(taken)
    }

    /// Does nothing: only [`finish`](Incoming::finish) makes sure that all content is on disk.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A thread that syncs the file while more is being written.
struct Syncing {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Syncing {
    fn start(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            file.sync_data()?;
            woken.into_iter().try_for_each(|()| file.sync_data())
        })?;
        Ok(Self { wake, thread })
    }

    fn again(&self) {
        // A full channel means that a sync is already pending.
        let _ = self.wake.try_send(());
    }

    /// Returns the thread's errors, because the system reports a failed write only once.
    fn finish(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().map_err(|_| io::Error::other("the sync thread stopped"))?
    }
}

/// A file in `incoming/`, removed when dropped, or an unnamed file. A lock on the file shows that its owner is
/// running.
pub(super) struct Temporary {
    pub(super) file: File,
    /// The path; `None` for an unnamed file, and once the file is at its final path.
    path: Option<PathBuf>,
}

impl Temporary {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        loop {
            let path = directory.join(Uuid::new_v4().simple().to_string());
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            match file.lock() {
                // Without lock support, `clear` removes nothing.
                Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
                // Another process can remove the file before it is locked.
                _ if !path.exists() => {}
                _ => return Ok(Self { file, path: Some(path) }),
            }
        }
    }

    /// Renames the file to its final path.
    pub(super) fn place(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
        }
        self.path = None;
        Ok(())
    }

    /// Creates an unnamed file in the system's folder for temporary files.
    #[cfg(feature = "shared")]
    pub(super) fn anonymous() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, path: None })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes the temporary files of processes that are no longer running. Other files are kept.
pub(super) fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if Uuid::try_parse(name).is_err() || path.is_symlink() {
            continue;
        }
        let file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}
