//! The receiving end of a download, which writes, hashes and verifies the bytes in order.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::digest::compare;
use super::part::{Part, SMALL, Version};
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::hash::{HashInput, HashThread, Hasher};
use crate::model::{Checksums, File};
use crate::providers::Range;

/// Maximum number of chunks waiting to be written.
const QUEUE: usize = 4;

/// Writes the content of a download in order.
pub(super) struct Writer<'a> {
    sink: Sink<'a>,
    position: u64,
    /// The name and size of the file, if the size is verified.
    stated: Option<(String, u64)>,
    hash: Option<Hash>,
    /// Number of bytes to drop because the upload has already received them.
    dropped: u64,
    /// The version of the content received so far.
    version: Version,
}

/// The destination of the bytes.
pub(super) enum Sink<'a> {
    /// The partial file of a download.
    Part(&'a mut Part),
    /// A device or a pipe.
    Outlet(&'a mut Outlet),
    /// A consumer that cannot start over, such as standard output.
    Stream(&'a mut (dyn FnMut(&[u8]) -> Result<()> + Send)),
    /// An upload to another platform, which cannot start over either. It receives each byte once: if the server starts
    /// over, the bytes that were already sent are dropped.
    Upload(&'a mpsc::Sender<Result<Bytes>>),
}

impl<'a> Writer<'a> {
    /// Creates a writer that appends to the bytes of `file` that `sink` already contains.
    pub(super) fn new(sink: Sink<'a>, file: &File, verify: bool) -> Result<Self> {
        let (position, version) = match &sink {
            Sink::Part(part) => (part.have(), part.version().clone()),
            _ => Default::default(),
        };
        let hasher = Hasher::for_checksums(&file.checksums).filter(|_| verify);
        let small = file.size.is_some_and(|size| size <= SMALL);
        let hash = hasher.map(|hasher| Hash::start(hasher, small)).transpose()?;
        let stated = file.size.filter(|_| verify).map(|size| (file.name.clone(), size));
        let mut writer = Self { sink, position, stated, hash, dropped: 0, version };
        writer.hash_existing();
        Ok(writer)
    }

    /// The number of bytes written so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The version of the content received so far.
    pub(super) fn version(&self) -> &Version {
        &self.version
    }

    /// Whether a checksum verifies the content at the end.
    pub(super) fn is_verified(&self) -> bool {
        self.hash.is_some() && !self.version.derived
    }

    /// Prepares to write content of `version` at offset `start`, which is the current position or, if the server
    /// starts over, an earlier one.
    pub(super) fn start_at(&mut self, start: u64, version: Version) -> Result<()> {
        if start > self.position {
            let message = format!("requested byte {}, but the response starts at {start}", self.position);
            return Err(Error::platform(message));
        }
        let continues = start == self.position;
        let is_upload = matches!(self.sink, Sink::Upload(_));
        if is_upload && version.derived {
            let message = "the source platform returns text derived from the file, not the file itself";
            return Err(Error::new(Kind::Unsupported, message));
        }
        if is_upload && !continues {
            let Version { validator, total, .. } = self.version.clone();
            let range = Range { from: self.position, validator, total, verified: self.is_verified() };
            if !range.continues(version.validator.as_deref(), version.total) {
                return Err(Error::failed("the source file was changed during the copy"));
            }
            (self.version, self.dropped) = (version, self.position.saturating_sub(start));
            return Ok(());
        }
        // Only a part can be overwritten.
        let in_order = match &mut self.sink {
            Sink::Part(part) => {
                part.begin(start, version.clone())?;
                None
            }
            Sink::Upload(_) => None,
            Sink::Stream(_) => Some("standard output".to_owned()),
            Sink::Outlet(outlet) => Some(outlet.path.display().to_string()),
        };
        if let Some(place) = in_order.filter(|_| !continues) {
            return Err(Error::platform(format!(
                "the server restarted the download, and {place} cannot be rewound"
            ))
            .hint("download to a file: `-o FILE`"));
        }
        (self.version, self.dropped) = (version, 0);
        self.position = start;
        if !continues && let Some(hash) = self.hash.take() {
            self.hash = Some(hash.restarted()?);
            self.hash_existing();
        }
        Ok(())
    }

    /// Writes the next bytes.
    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        let skipped = usize::try_from(self.dropped).map_or(bytes.len(), |dropped| dropped.min(bytes.len()));
        self.dropped = self.dropped.saturating_sub(bytes.split_to(skipped).len() as u64);
        if bytes.is_empty() {
            return Ok(());
        }
        let length = bytes.len() as u64;
        // Checked here, not only at the end, because an endless response would fill the disk.
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
            Sink::Upload(queue) => {
                let sent = queue.send(Ok(bytes.clone())).await;
                sent.map_err(|_| Error::failed("the upload ended before all of the content was sent"))?;
            }
        }
        if let Some(hash) = &mut self.hash {
            hash.update(HashInput::Bytes(bytes));
        }
        self.position += length;
        Ok(())
    }

    /// Whether the content has the size that the platform reports.
    pub(super) fn is_whole(&self, file: &File) -> bool {
        !self.version.derived && file.size == Some(self.position)
    }

    /// Verifies the size and the checksum that the platform reports.
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

    /// Hashes the bytes that the part already contains.
    fn hash_existing(&mut self) {
        if let (Some(hash), Sink::Part(part), true) = (&mut self.hash, &self.sink, self.position > 0) {
            hash.update(HashInput::File(part.path.clone(), self.position));
        }
    }
}

fn mismatch(name: &str, size: u64, came: &str) -> Error {
    Error::new(Kind::Mismatch, format!("{name}: expected {size} bytes, received {came}"))
}

/// The hash of the content, computed as it arrives. Large content is hashed on a separate thread.
enum Hash {
    Inline(Hasher, Result<()>),
    Thread(Hasher, HashThread),
}

impl Hash {
    fn start(hasher: Hasher, small: bool) -> Result<Self> {
        if small {
            return Ok(Self::Inline(hasher, Ok(())));
        }
        let thread = HashThread::start(hasher.fresh())
            .map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
        Ok(Self::Thread(hasher, thread))
    }

    fn restarted(self) -> Result<Self> {
        match self {
            Self::Inline(hasher, _) => Self::start(hasher.fresh(), true),
            Self::Thread(hasher, _) => Self::start(hasher, false),
        }
    }

    fn update(&mut self, input: HashInput) {
        match self {
            Self::Inline(hasher, outcome) if outcome.is_ok() => *outcome = input.add_to(hasher),
            Self::Inline(..) => {}
            Self::Thread(_, thread) => thread.update(input),
        }
    }

    fn finish(self) -> Result<Checksums> {
        match self {
            Self::Inline(hasher, outcome) => outcome.map(|()| hasher.finish()),
            Self::Thread(_, thread) => thread.finish(),
        }
    }
}

/// A device or a pipe, opened and written on a separate thread, because opening a pipe blocks until it has a reader,
/// which must not delay Ctrl-C.
pub(super) struct Outlet {
    pub(super) path: PathBuf,
    /// `None` after [`finish`](Self::finish).
    pieces: Option<mpsc::Sender<Bytes>>,
    outcome: oneshot::Receiver<io::Result<()>>,
}

impl Outlet {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (pieces, mut waiting) = mpsc::channel::<Bytes>(QUEUE);
        let (sender, outcome) = oneshot::channel();
        let place = path.to_owned();
        let work = move || {
            let mut write = || {
                let mut file = files::open_stream(&place)?;
                while let Some(piece) = waiting.blocking_recv() {
                    file.write_all(&piece)?;
                }
                Ok(())
            };
            // Sending fails if the receiver was dropped, as on Ctrl-C.
            let _ = sender.send(write());
        };
        thread::Builder::new()
            .name("write".to_owned())
            .spawn(work)
            .map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
        Ok(Self { path: path.to_owned(), pieces: Some(pieces), outcome })
    }

    /// Queues bytes for writing.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &self.pieces {
            Some(pieces) if pieces.send(bytes).await.is_ok() => Ok(()),
            _ => self.finish().await,
        }
    }

    /// Waits until all bytes have been written.
    pub(super) async fn finish(&mut self) -> Result<()> {
        self.pieces = None;
        let outcome =
            (&mut self.outcome).await.unwrap_or_else(|_| Err(io::Error::other("the write thread stopped")));
        outcome.map_err(|error| {
            // A broken pipe is an error here: unlike a reader of standard output, this reader needs the whole file.
            Error::failed(format!("{}: cannot write", self.path.display())).caused_by(error)
        })
    }
}
