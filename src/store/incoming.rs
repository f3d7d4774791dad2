//! Content on its way into the store: written and hashed in one pass, in constant memory.
//!
//! The caller's thread writes and computes BLAKE3, which is cheap. From the second piece on SHA-256, the slowest part,
//! has a thread of its own, and MD5 another; a few pieces of memory go round between them. Small content needs no
//! thread. Of large content, a further thread begins to sync early, so that little is left to wait for at the end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use md5::Md5;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::hex;
use super::phase::{self, Phase};
use crate::error::{Error, Result};
use crate::model::Checksums;

const PIECE: usize = 256 * 1024;
/// Pieces of memory that go round.
const PIECES: usize = 4;
/// Bytes between two early syncs.
const SYNC_EVERY: u64 = 32 * 1024 * 1024;

/// Content on its way into the store. Dropped, it leaves nothing.
pub struct Incoming {
    temporary: Temporary,
    sync: bool,
    with_md5: bool,
    piece: Vec<u8>,
    size: u64,
    unsynced: u64,
    blake3: blake3::Hasher,
    hashing: Option<Hashing>,
    inline: Option<(Sha256, Option<Md5>)>,
    syncing: Option<Syncing>,
}

/// Content that has arrived whole and is not referred to yet. Dropped, it leaves nothing.
pub struct Blob {
    /// Size in bytes.
    pub size: u64,
    /// Checksums of it.
    pub checksums: Checksums,
    pub(super) temporary: Temporary,
}

impl Incoming {
    pub(super) fn create(directory: &Path, sync: bool) -> Result<Self> {
        let temporary =
            Temporary::create(directory).map_err(|error| Error::io("make a file", directory, error))?;
        Ok(Self {
            temporary,
            sync,
            with_md5: false,
            piece: Vec::new(),
            size: 0,
            unsynced: 0,
            blake3: blake3::Hasher::new(),
            hashing: None,
            inline: None,
            syncing: None,
        })
    }

    /// Computes the MD5, too, for a platform that states it. To be said before the first byte.
    #[must_use]
    pub fn with_md5(mut self) -> Self {
        debug_assert_eq!(self.size, 0, "the first bytes would be missing from the MD5");
        self.with_md5 = true;
        self
    }

    /// Hashes on the caller's thread and holds no pieces: for one of many that are received at once, which keep all
    /// processors busy as they are. To be said before the first byte and after [`with_md5`](Self::with_md5).
    #[must_use]
    pub fn inline(mut self) -> Self {
        debug_assert_eq!(self.size, 0, "the first bytes would be missing from the hashes");
        self.inline = Some((Sha256::new(), self.with_md5.then(Md5::new)));
        self
    }

    /// Bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends it: everything written is on disk.
    pub fn finish(mut self) -> Result<Blob> {
        let checksums = self
            .complete()
            .map_err(|error| Error::failed("content cannot be written to the store").caused_by(error))?;
        Ok(Blob { size: self.size, checksums, temporary: self.temporary })
    }

    fn complete(&mut self) -> io::Result<Checksums> {
        let piece = mem::take(&mut self.piece);
        self.store(&piece)?;
        phase::reached(Phase::Written);
        let (sha256, md5) = match (self.hashing.take(), self.inline.take()) {
            (Some(hashing), _) => hashing.finish(piece)?,
            (None, Some((sha256, md5))) => (hex(&sha256.finalize()), md5.map(|md5| hex(&md5.finalize()))),
            (None, None) => (hex(&Sha256::digest(&piece)), self.with_md5.then(|| hex(&Md5::digest(&piece)))),
        };
        if let Some(syncing) = self.syncing.take() {
            syncing.finish()?;
        }
        if self.sync {
            self.temporary.file.sync_all()?;
        }
        phase::reached(Phase::Synced);
        let blake3 = Some(self.blake3.finalize().to_hex().to_string());
        Ok(Checksums { blake3, sha256: Some(sha256), md5 })
    }

    fn store(&mut self, piece: &[u8]) -> io::Result<()> {
        self.temporary.file.write_all(piece)?;
        self.blake3.update(piece);
        self.unsynced += piece.len() as u64;
        if self.sync && self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            match &self.syncing {
                Some(syncing) => syncing.again(),
                None => self.syncing = Some(Syncing::start(&self.temporary.file)?),
            }
        }
        Ok(())
    }

    /// Stores a full piece, hands it to the hashing threads and takes an empty one.
    fn pass_on(&mut self) -> io::Result<()> {
        let piece = mem::take(&mut self.piece);
        self.store(&piece)?;
        let hashing = match &mut self.hashing {
            Some(hashing) => hashing,
            none => none.insert(Hashing::start(self.with_md5)?),
        };
        self.piece = hashing.swap(piece)?;
        Ok(())
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((sha256, md5)) = &mut self.inline {
            sha256.update(bytes);
            if let Some(md5) = md5 {
                md5.update(bytes);
            }
            self.store(bytes)?;
            self.size += bytes.len() as u64;
            return Ok(bytes.len());
        }
        if self.piece.len() == PIECE {
            self.pass_on()?;
        }
        let taken = bytes.len().min(PIECE - self.piece.len());
        let needed = self.piece.len() + taken;
        if needed > self.piece.capacity() {
            // Doubled, but never more than a piece: small content has little memory.
            let capacity = needed.max(2 * self.piece.capacity()).min(PIECE);
            self.piece.reserve_exact(capacity - self.piece.len());
        }
        self.piece.extend_from_slice(&bytes[..taken]);
        self.size += taken as u64;
        Ok(taken)
    }

    /// Does nothing: only [`finish`](Incoming::finish) brings everything to disk.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hashing threads: pieces go to the SHA-256 thread, from there to the MD5 thread if there is one, and come back.
struct Hashing {
    full: Sender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    made: usize,
    sha256: JoinHandle<String>,
    md5: Option<JoinHandle<String>>,
}

impl Hashing {
    fn start(with_md5: bool) -> io::Result<Self> {
        let (full, to_sha256) = mpsc::channel();
        let (from_sha256, passed_on) = mpsc::channel();
        let sha256 = hash_in_thread::<Sha256>("sha256", to_sha256, from_sha256)?;
        let (md5, empty) = if with_md5 {
            let (from_md5, empty) = mpsc::channel();
            (Some(hash_in_thread::<Md5>("md5", passed_on, from_md5)?), empty)
        } else {
            (None, passed_on)
        };
        Ok(Self { full, empty, made: 1, sha256, md5 })
    }

    /// Gives a full piece, takes an empty one: waits for one to come back when all are on their way.
    fn swap(&mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        self.full.send(piece).map_err(|_| gone())?;
        if self.made < PIECES {
            self.made += 1;
            return Ok(Vec::with_capacity(PIECE));
        }
        let mut piece = self.empty.recv().map_err(|_| gone())?;
        piece.clear();
        Ok(piece)
    }

    fn finish(self, last: Vec<u8>) -> io::Result<(String, Option<String>)> {
        self.full.send(last).map_err(|_| gone())?;
        drop(self.full);
        let sha256 = self.sha256.join().map_err(|_| gone())?;
        let md5 = self.md5.map(|thread| thread.join().map_err(|_| gone())).transpose()?;
        Ok((sha256, md5))
    }
}

fn hash_in_thread<D: Digest + 'static>(
    name: &str,
    from: Receiver<Vec<u8>>,
    to: Sender<Vec<u8>>,
) -> io::Result<JoinHandle<String>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut digest = D::new();
        for piece in from {
            digest.update(&piece);
            // Nobody takes it back once the content was dropped.
            let _ = to.send(piece);
        }
        hex(&digest.finalize())
    })
}

fn gone() -> io::Error {
    io::Error::other("a hashing thread stopped")
}

/// A thread that syncs what is written while more is.
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
        // A full channel means that a sync is due already.
        let _ = self.wake.try_send(());
    }

    /// The system tells of a failed write only once, so what this thread heard counts.
    fn finish(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().map_err(|_| io::Error::other("the syncing thread stopped"))?
    }
}

/// A file in `incoming/`, removed when dropped. Its lock says that its owner lives.
pub(super) struct Temporary {
    pub(super) file: File,
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        loop {
            let path = directory.join(Uuid::new_v4().simple().to_string());
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            match file.lock() {
                // Without locks nobody clears anything, see `clear`.
                Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
                // Gone if another process cleared it between its making and its locking.
                _ if !path.exists() => {}
                _ => return Ok(Self { file, path, placed: false }),
            }
        }
    }

    /// Gives it its final name.
    pub(super) fn place(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the temporary files of dead processes from `directory`. Other files are kept.
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
