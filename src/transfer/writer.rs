//! The receiving end of a download: bytes in order, counted, hashed and checked.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;

use super::digest::{Hasher, compare};
use super::outlet::Outlet;
use super::part::{Part, Version};
use crate::error::{Error, Kind, Result};
use crate::model::{Checksums, File};

/// Files up to this size are hashed without a thread and are not resumed by another run: a thread or a second file costs
/// more than it saves.
pub(super) const SMALL: u64 = 256 * 1024;
/// Pieces that may wait for the hash.
const WAITING: usize = 4;

/// Writes in order and hears every byte for the hash.
pub(super) struct Writer<'a> {
    sink: Sink<'a>,
    position: u64,
    /// Name and size of the file, where they are compared: more bytes than it has are not its own.
    stated: Option<(String, u64)>,
    hash: Option<Hash>,
    /// Version of the content received so far.
    version: Version,
}

/// Where bytes go.
pub(super) enum Sink<'a> {
    /// The part of a file.
    Part(&'a mut Part),
    /// A device or a pipe.
    Outlet(&'a mut Outlet),
    /// A consumer that cannot start over, such as standard output.
    Stream(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

impl<'a> Writer<'a> {
    /// A writer that appends to what `sink` already has of `file`.
    pub(super) fn new(sink: Sink<'a>, file: &File, verify: bool) -> Result<Self> {
        let (position, version) = match &sink {
            Sink::Part(part) => (part.have(), part.version().clone()),
            _ => Default::default(),
        };
        let hasher = Hasher::for_checksums(&file.checksums).filter(|_| verify);
        let small = file.size.is_some_and(|size| size <= SMALL);
        let hash = hasher.map(|hasher| Hash::start(hasher, small)).transpose()?;
        let stated = file.size.filter(|_| verify).map(|size| (file.name.clone(), size));
        let mut writer = Self { sink, position, stated, hash, version };
        writer.hear_again();
        Ok(writer)
    }

    /// How many bytes there are.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Version of the content received so far.
    pub(super) fn version(&self) -> &Version {
        &self.version
    }

    /// Whether the content is compared with a stated checksum at the end.
    pub(super) fn is_verified(&self) -> bool {
        self.hash.is_some() && !self.version.derived
    }

    /// Prepares to write content of `version` from offset `start`: the current position, or before it if the server starts
    /// over.
    pub(super) fn start_at(&mut self, start: u64, version: Version) -> Result<()> {
        if start > self.position {
            let message = format!("asked for byte {}, the answer starts at {start}", self.position);
            return Err(Error::platform(message));
        }
        let goes_on = start == self.position;
        // Bytes that were passed on cannot be withdrawn.
        let passed_on = match &mut self.sink {
            Sink::Part(part) => {
                part.begin(start, version.clone())?;
                None
            }
            Sink::Stream(_) => Some("standard output".to_owned()),
            Sink::Outlet(outlet) => Some(outlet.path.display().to_string()),
        };
        if let Some(place) = passed_on.filter(|_| !goes_on) {
            return Err(Error::platform(format!("the server starts over and {place} cannot"))
                .hint("download to a file: `-o FILE`"));
        }
        self.version = version;
        self.position = start;
        if !goes_on && let Some(hash) = self.hash.take() {
            self.hash = Some(hash.restarted()?);
            self.hear_again();
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let length = bytes.len() as u64;
        // At once, not at the end: there may be none before the disk is full.
        if let Some((name, size)) = &self.stated
            && !self.version.derived
            && self.position + length > *size
        {
            return Err(mismatch(name, *size, "more"));
        }
        match &mut self.sink {
            Sink::Part(part) => part.write(&bytes)?,
            Sink::Outlet(outlet) => outlet.write(bytes.clone()).await?,
            Sink::Stream(sink) => sink(&bytes)?,
        }
        if let Some(hash) = &mut self.hash {
            hash.hear(Heard::Bytes(bytes));
        }
        self.position += length;
        Ok(())
    }

    /// Whether there are as many bytes as the platform states.
    pub(super) fn is_whole(&self, file: &File) -> bool {
        !self.version.derived && file.size == Some(self.position)
    }

    /// Compares length and checksum with what the platform states.
    pub(super) fn check(self, file: &File, verify: bool) -> Result<()> {
        if !verify || self.version.derived {
            return Ok(());
        }
        if let Some((name, size)) = self.stated.filter(|(_, size)| *size != self.position) {
            return Err(mismatch(&name, size, &self.position.to_string()));
        }
        match self.hash {
            Some(hash) => compare(&file.name, &hash.finish()?, &file.checksums),
            None => Ok(()),
        }
    }

    /// Has the hash hear what is in the file already.
    fn hear_again(&mut self) {
        if let (Some(hash), Sink::Part(part), true) = (&mut self.hash, &self.sink, self.position > 0) {
            hash.hear(Heard::File(part.path.clone(), self.position));
        }
    }
}

fn mismatch(name: &str, size: u64, came: &str) -> Error {
    Error::new(Kind::Mismatch, format!("{name}: the platform states {size} bytes and {came} came"))
}

/// A hash of what is written. That of a large file has a thread of its own: SHA-256 is slower than the network it
/// checks.
enum Hash {
    Here(Hasher, Result<()>),
    Thread { kind: Hasher, heard: mpsc::SyncSender<Heard>, thread: thread::JoinHandle<Result<Checksums>> },
}

/// What a hash hears.
enum Heard {
    Bytes(Bytes),
    /// The first bytes of a file, so many.
    File(PathBuf, u64),
}

impl Heard {
    fn by(self, hasher: &mut Hasher) -> Result<()> {
        let (path, mut left) = match self {
            Self::Bytes(bytes) => {
                hasher.update(&bytes);
                return Ok(());
            }
            Self::File(path, len) => (path, len),
        };
        let failed = |error: std::io::Error| Error::io("read", &path, error);
        let mut file = fs::File::open(&path).map_err(failed)?;
        let mut piece = vec![0; 256 * 1024];
        while left > 0 {
            let most = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            file.read_exact(&mut piece[..most]).map_err(failed)?;
            hasher.update(&piece[..most]);
            left -= most as u64;
        }
        Ok(())
    }
}

impl Hash {
    fn start(mut hasher: Hasher, small: bool) -> Result<Self> {
        if small {
            return Ok(Self::Here(hasher, Ok(())));
        }
        let kind = hasher.fresh();
        let (heard, receiver) = mpsc::sync_channel::<Heard>(WAITING);
        let work = move || {
            for heard in receiver {
                heard.by(&mut hasher)?;
            }
            Ok(hasher.finish())
        };
        let thread = thread::Builder::new().name("hash".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::failed("no thread can be started").caused_by(error))?;
        Ok(Self::Thread { kind, heard, thread })
    }

    fn restarted(self) -> Result<Self> {
        match self {
            Self::Here(hasher, _) => Self::start(hasher.fresh(), true),
            Self::Thread { kind, .. } => Self::start(kind, false),
        }
    }

    fn hear(&mut self, what: Heard) {
        match self {
            Self::Here(hasher, outcome) => {
                if outcome.is_ok() {
                    *outcome = what.by(hasher);
                }
            }
            // The thread ends early only with an error, which `finish` tells.
            Self::Thread { heard, .. } => drop(heard.send(what)),
        }
    }

    fn finish(self) -> Result<Checksums> {
        match self {
            Self::Here(hasher, outcome) => outcome.map(|()| hasher.finish()),
            Self::Thread { heard, thread, .. } => {
                drop(heard);
                thread.join().unwrap_or_else(|_| Err(Error::failed("hashing stopped")))
            }
        }
    }
}
