//! Content hashes: BLAKE3, SHA-256 and MD5, computed on the caller's thread or on a separate one.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use md5::Digest as _;

use crate::error::{Error, Result};
use crate::model::{Checksums, hex};
use crate::source::{CHUNK, read_chunks};

/// Maximum number of inputs queued for a hash thread.
const QUEUE: usize = 3;

/// A hash being computed.
pub enum Hasher {
    /// BLAKE3.
    Blake3(Box<blake3::Hasher>),
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// MD5.
    Md5(md5::Md5),
}

impl Hasher {
    /// Creates a BLAKE3 hasher.
    pub fn blake3() -> Self {
        Self::Blake3(Box::default())
    }

    /// Creates a SHA-256 hasher.
    pub fn sha256() -> Self {
        Self::Sha256(sha2::Sha256::default())
    }

    /// Creates an MD5 hasher.
    pub fn md5() -> Self {
        Self::Md5(md5::Md5::default())
    }

    /// A hasher for the fastest of the named algorithms: BLAKE3, then SHA-256, then MD5. `None` if no name is known.
    pub fn cheapest(names: &[&str]) -> Option<Self> {
        if names.contains(&"blake3") {
            Some(Self::blake3())
        } else if names.contains(&"sha256") {
            Some(Self::sha256())
        } else if names.contains(&"md5") {
            Some(Self::md5())
        } else {
            None
        }
    }

    /// A hasher for the fastest algorithm among these checksums; `None` if there are no checksums.
    pub fn for_checksums(checksums: &Checksums) -> Option<Self> {
        let stated = [("blake3", &checksums.blake3), ("sha256", &checksums.sha256), ("md5", &checksums.md5)];
        let stated: Vec<&str> =
            stated.iter().filter(|(_, sum)| sum.is_some()).map(|(name, _)| *name).collect();
        Self::cheapest(&stated)
    }

    /// The name of the algorithm, as in [`Checksums`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Blake3(_) => "blake3",
            Self::Sha256(_) => "sha256",
            Self::Md5(_) => "md5",
        }
    }

    /// Adds bytes to the hash.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
        }
    }

    /// A new hasher for the same algorithm.
    #[must_use]
    pub fn fresh(&self) -> Self {
        match self {
            Self::Blake3(_) => Self::blake3(),
            Self::Sha256(_) => Self::sha256(),
            Self::Md5(_) => Self::md5(),
        }
    }

    /// The final digest.
    pub fn finish(self) -> Checksums {
        let mut checksums = Checksums::default();
        match self {
            Self::Blake3(hasher) => checksums.blake3 = Some(hasher.finalize().to_hex().to_string()),
            Self::Sha256(hasher) => checksums.sha256 = Some(hex(&hasher.finalize())),
            Self::Md5(hasher) => checksums.md5 = Some(hex(&hasher.finalize())),
        }
        checksums
    }
}

/// Input for a hash.
pub enum HashInput {
    /// Bytes in memory.
    Bytes(Bytes),
    /// The start of a file: its path and the number of bytes.
    File(PathBuf, u64),
}

impl HashInput {
    /// Adds the input to `hasher`.
    pub fn add_to(self, hasher: &mut Hasher) -> Result<()> {
        let (path, length) = match self {
            Self::Bytes(bytes) => {
                hasher.update(&bytes);
                return Ok(());
            }
            Self::File(path, length) => (path, length),
        };
        let failed = |error| Error::io("read", &path, error);
        let file = fs::File::open(&path).map_err(failed)?;
        let mut left = length;
        read_chunks(file.take(length), CHUNK, failed, |chunk| {
            hasher.update(chunk);
            left -= chunk.len() as u64;
            Ok(())
        })?;
        if left == 0 { Ok(()) } else { Err(failed(io::ErrorKind::UnexpectedEof.into())) }
    }
}

/// A hash computed on its own thread, because SHA-256 and MD5 can be slower than disks and networks.
pub struct HashThread {
    inputs: SyncSender<HashInput>,
    thread: JoinHandle<Result<Checksums>>,
}

impl HashThread {
    /// Starts the thread.
    pub fn start(mut hasher: Hasher) -> io::Result<Self> {
        let (inputs, queue) = mpsc::sync_channel::<HashInput>(QUEUE);
        let work = move || {
            queue.into_iter().try_for_each(|input| input.add_to(&mut hasher))?;
            Ok(hasher.finish())
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(work)?;
        Ok(Self { inputs, thread })
    }

    /// Adds input to the hash. Blocks while the queue is full.
    pub fn update(&self, input: HashInput) {
        // The thread stops early only on an error, which `finish` returns.
        let _ = self.inputs.send(input);
    }

    /// Waits for the digest of all input.
    pub fn finish(self) -> Result<Checksums> {
        drop(self.inputs);
        self.thread.join().unwrap_or_else(|_| Err(Error::failed("hashing stopped")))
    }
}
