//! The receiving end of a download: bytes in order, counted, hashed and checked.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;

use super::digest::{Hasher, compare};
use crate::error::{Error, Kind, Result};
use crate::model::{Checksums, File};

/// Files up to this size are hashed as they come: a thread would cost more than the hash.
const SMALL: u64 = 256 * 1024;
/// Pieces that may wait for the hash.
const WAITING: usize = 4;

/// Writes in order and hears every byte for the hash.
pub(super) struct Writer<'a> {
    sink: Sink<'a>,
    position: u64,
    /// Name and size of the file, where they are compared: more bytes than it has are not its own.
    stated: Option<(&'a str, u64)>,
    hash: Option<Hash>,
    /// Whether the bytes were made from the file's, so that its size and checksum say nothing of them.
    derived: bool,
}

/// Where bytes go.
pub(super) enum Sink<'a> {
    /// A file that stands at the writer's position.
    File(&'a fs::File, &'a Path),
    /// Whoever takes them.
    Stream(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

impl<'a> Writer<'a> {
    /// A writer that has the first `position` bytes of `file` already.
    pub(super) fn new(sink: Sink<'a>, position: u64, file: &'a File, verify: bool) -> Result<Self> {
        let hasher = Hasher::for_checksums(&file.checksums).filter(|_| verify);
        let small = file.size.is_some_and(|size| size <= SMALL);
        let hash = hasher.map(|hasher| Hash::start(hasher, small)).transpose()?;
        let stated = file.size.filter(|_| verify).map(|size| (file.name.as_str(), size));
        let mut writer = Self { sink, position, stated, hash, derived: false };
        writer.hear_again();
        Ok(writer)
    }

    /// How many bytes there are.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Prepares for bytes that start at `start`: at our position, or before it where the server ignored the range.
    pub(super) fn start_at(&mut self, start: u64, derived: bool) -> Result<()> {
        self.derived = derived;
        if start == self.position {
            return Ok(());
        }
        if start > self.position {
            let message = format!("asked for byte {}, the answer starts at {start}", self.position);
            return Err(Error::platform(message));
        }
        let &Sink::File(mut file, path) = &self.sink else {
            // What has been given away cannot be taken back.
            return Err(Error::platform("the server starts over and standard output cannot")
                .hint("download to a file: `-o FILE`"));
        };
        file.set_len(start)
            .and_then(|()| file.seek(SeekFrom::Start(start)))
            .map_err(|error| Error::io("write", path, &error))?;
        self.position = start;
        if let Some(hash) = self.hash.take() {
            self.hash = Some(hash.restarted()?);
            self.hear_again();
        }
        Ok(())
    }

    pub(super) fn write(&mut self, bytes: &Bytes) -> Result<()> {
        // At once, not at the end: there may be none before the disk is full.
        if let Some((name, size)) = self.stated
            && !self.derived
            && self.position + bytes.len() as u64 > size
        {
            return Err(mismatch(name, size, "more"));
        }
        match &mut self.sink {
            Sink::File(file, path) => {
                let mut file: &fs::File = file;
                file.write_all(bytes).map_err(|error| Error::io("write", path, &error))?;
            }
            Sink::Stream(sink) => sink(bytes)?,
        }
        if let Some(hash) = &mut self.hash {
            hash.hear(Heard::Bytes(bytes.clone()));
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Whether there are as many bytes as the platform states.
    pub(super) fn is_whole(&self, file: &File) -> bool {
        !self.derived && file.size == Some(self.position)
    }

    /// Compares length and checksum with what the platform states.
    pub(super) fn check(self, file: &File, verify: bool) -> Result<()> {
        if !verify || self.derived {
            return Ok(());
        }
        if let Some((name, size)) = self.stated.filter(|(_, size)| *size != self.position) {
            return Err(mismatch(name, size, &self.position.to_string()));
        }
        match self.hash {
            Some(hash) => compare(&file.name, &hash.finish()?, &file.checksums),
            None => Ok(()),
        }
    }

    /// Has the hash hear what is in the file already.
    fn hear_again(&mut self) {
        if let (Some(hash), Sink::File(_, path), true) = (&mut self.hash, &self.sink, self.position > 0) {
            hash.hear(Heard::File((*path).to_owned(), self.position));
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
        let failed = |error: std::io::Error| Error::io("read", &path, &error);
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
        let thread =
            thread.map_err(|error| Error::failed("no thread can be started").cause(error.to_string()))?;
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
