//! Bodies on their way: sources are opened, measured, encoded and handed to the transport in constant memory.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::request::{Body, Piece};
use crate::error::{Error, Result};
use crate::model::Source;
use crate::progress::Progress;

/// Bodies up to this size are read at once: a thread would cost more than the reading.
const SMALL: u64 = 64 * 1024;
/// Buffers in flight per body.
const BUFFERS: usize = 4;
/// Size of a buffer. Larger ones gain little and cost memory; 8 KiB, a common default, is 11 times slower.
const BUFFER: usize = 256 * 1024;
/// Size of a buffer where many bodies are on their way at once.
const SMALLER_BUFFER: usize = 64 * 1024;
/// How many bodies may have large buffers.
const FEW: usize = 4;

/// What is known about a request on its way, shared by the body's stream and whoever waits for the answer.
#[derive(Debug)]
pub(super) struct Sending {
    complete: AtomicBool,
    problem: Mutex<Option<Error>>,
    last_sign: Mutex<Instant>,
}

impl Sending {
    pub(super) fn new(body: &Body) -> Arc<Self> {
        Arc::new(Self {
            complete: AtomicBool::new(body.wire_len() == 0),
            problem: Mutex::default(),
            last_sign: Mutex::new(Instant::now()),
        })
    }

    /// Whether the transport has the last byte, so that the server may have it too.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// What went wrong while reading the body.
    pub(super) fn problem(&self) -> Option<Error> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that bytes moved.
    pub(super) fn moved(&self) {
        *self.last_sign.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// For how long no byte has moved.
    pub(super) fn silence(&self) -> Duration {
        self.last_sign.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn fail(&self, error: Error) {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// A stretch of the wire, and how far the file pieces have come at its end.
struct Chunk {
    bytes: Bytes,
    position: u64,
}

/// Opens a body for one attempt. `active` counts the bodies that are being read by threads.
pub(super) fn open(
    body: &Body,
    sending: &Arc<Sending>,
    progress: &Arc<dyn Progress>,
    active: &Arc<AtomicUsize>,
) -> Result<reqwest::Body> {
    let left = body.wire_len();
    progress.at(start_of(body));
    let source = if left <= SMALL {
        let mut whole = None;
        let buffer = || Some(vec![0; usize::try_from(left).unwrap_or_default()]);
        feed(body, progress.as_ref(), buffer, |space, filled, position| {
            whole = Some(Chunk { bytes: Bytes::from(space).slice(..filled), position });
            true
        })?;
        Chunks::One(whole)
    } else {
        Chunks::Read(spawn_reader(
            body.clone(),
            Arc::clone(sending),
            Arc::clone(progress),
            Arc::clone(active),
        ))
    };
    let stream = Outgoing { source, left, sending: Arc::clone(sending), progress: Arc::clone(progress) };
    Ok(reqwest::Body::wrap_stream(stream))
}

/// Where the file pieces of a body begin in their source.
fn start_of(body: &Body) -> u64 {
    let from = body.pieces.iter().find_map(|piece| match piece {
        Piece::File { from, .. } => Some(*from),
        Piece::Whole { .. } => Some(0),
        Piece::Text(_) => None,
    });
    from.unwrap_or_default()
}

enum Chunks {
    One(Option<Chunk>),
    Read(mpsc::Receiver<io::Result<Chunk>>),
}

/// The stream that the transport takes a body from.
struct Outgoing {
    source: Chunks,
    left: u64,
    sending: Arc<Sending>,
    progress: Arc<dyn Progress>,
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match &mut self.source {
            Chunks::One(chunk) => Poll::Ready(chunk.take().map(Ok)),
            Chunks::Read(receiver) => receiver.poll_recv(context),
        };
        next.map(|next| {
            let chunk = match next? {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            self.left = self.left.saturating_sub(chunk.bytes.len() as u64);
            if self.left == 0 {
                self.sending.complete.store(true, Ordering::Release);
            }
            self.sending.moved();
            self.progress.at(chunk.position);
            Some(Ok(chunk.bytes))
        })
    }
}

/// A buffer in use by the transport; goes back to the reader when the last of it is sent.
struct Lent {
    space: Vec<u8>,
    filled: usize,
    home: std::sync::mpsc::Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.space[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The reader may have ended: then nobody needs the buffer.
        let _ = self.home.send(std::mem::take(&mut self.space));
    }
}

/// Reads a body in a thread of its own, which ends with the body or when the receiver is dropped.
fn spawn_reader(
    body: Body,
    sending: Arc<Sending>,
    progress: Arc<dyn Progress>,
    active: Arc<AtomicUsize>,
) -> mpsc::Receiver<io::Result<Chunk>> {
    let (sender, receiver) = mpsc::channel(BUFFERS);
    let size = if active.fetch_add(1, Ordering::Relaxed) < FEW { BUFFER } else { SMALLER_BUFFER };
    std::thread::spawn(move || {
        let (home, returned) = std::sync::mpsc::channel();
        let mut made = 0;
        let buffer = || {
            if made < BUFFERS {
                made += 1;
                return Some(vec![0; size]);
            }
            returned.recv().ok()
        };
        let result = feed(&body, progress.as_ref(), buffer, |space, filled, position| {
            let bytes = Bytes::from_owner(Lent { space, filled, home: home.clone() });
            sender.blocking_send(Ok(Chunk { bytes, position })).is_ok()
        });
        if let Err(error) = result {
            let broken = io::Error::other(error.message().to_owned());
            sending.fail(error);
            // The announced length stays unreached: the transport drops the connection, and the server sees a body
            // that broke off instead of a whole one.
            let _ = sender.blocking_send(Err(broken));
        }
        active.fetch_sub(1, Ordering::Relaxed);
    });
    receiver
}

/// Fills buffers with a body. `take` gets each with how much of it is filled and the position of the file pieces, and
/// says whether to go on.
fn feed(
    body: &Body,
    progress: &dyn Progress,
    mut buffer: impl FnMut() -> Option<Vec<u8>>,
    mut take: impl FnMut(Vec<u8>, usize, u64) -> bool,
) -> Result<()> {
    let mut position = start_of(body);
    let mut pieces = body.pieces.iter().map(Reading::open);
    let mut piece = pieces.next().transpose()?;
    while piece.is_some() {
        let Some(mut space) = buffer() else { return Ok(()) };
        let mut filled = 0;
        while let Some(reading) = &mut piece {
            if reading.left == 0 {
                // Before its last bytes go out: a changed file must not arrive as a whole one.
                reading.check()?;
                piece = pieces.next().transpose()?;
                continue;
            }
            let Some(moved) = reading.fill(&mut space[filled..], progress, &mut position)? else { break };
            filled += moved;
        }
        if filled > 0 && !take(space, filled, position) {
            return Ok(());
        }
    }
    Ok(())
}

/// A piece that is being read.
struct Reading<'a> {
    from: Origin<'a>,
    left: u64,
    /// Source bytes on their way to base64; empty where the bytes go as they are.
    scratch: Vec<u8>,
}

enum Origin<'a> {
    Memory(&'a [u8], bool),
    Disk { file: File, path: &'a Path, opened: Metadata },
}

impl<'a> Reading<'a> {
    fn open(piece: &'a Piece) -> Result<Self> {
        match piece {
            Piece::Text(text) => {
                Ok(Self { from: Origin::Memory(text, false), left: text.len() as u64, scratch: Vec::new() })
            }
            Piece::Whole { source, size } => Self::of_source(source, 0, *size, true, false),
            Piece::File { source, from, len, base64 } => Self::of_source(source, *from, *len, false, *base64),
        }
    }

    fn of_source(source: &'a Source, from: u64, len: u64, whole: bool, base64: bool) -> Result<Self> {
        let path = match source {
            Source::Bytes(bytes) => {
                let range = usize::try_from(from).ok().zip(usize::try_from(from + len).ok());
                let part = range.and_then(|(from, to)| bytes.get(from..to));
                let part =
                    part.ok_or_else(|| Error::failed("the content is shorter than its announced size"))?;
                return Ok(Self { from: Origin::Memory(part, true), left: len, scratch: scratch(base64) });
            }
            Source::Path(path) => path.as_path(),
            Source::Spooled(file) => file.path(),
        };
        let open = || -> io::Result<(File, Metadata)> {
            let mut file = File::open(path)?;
            let opened = file.metadata()?;
            if from > 0 {
                file.seek(SeekFrom::Start(from))?;
            }
            Ok((file, opened))
        };
        let (file, opened) = open().map_err(|error| Error::io("read", path, &error))?;
        if opened.is_file() && (opened.len() < from + len || whole && opened.len() != len) {
            return Err(changed(path));
        }
        Ok(Self { from: Origin::Disk { file, path, opened }, left: len, scratch: scratch(base64) })
    }

    /// Moves as much as fits into `space`: how many bytes of it are filled, None if too little is free.
    fn fill(
        &mut self,
        space: &mut [u8],
        progress: &dyn Progress,
        position: &mut u64,
    ) -> Result<Option<usize>> {
        let encode = !self.scratch.is_empty();
        let room = if encode { (space.len() / 4 * 3).min(self.scratch.len()) } else { space.len() };
        let count = usize::try_from(self.left).map_or(room, |left| left.min(room));
        if count == 0 {
            return Ok(None);
        }
        let raw = if encode { &mut self.scratch[..count] } else { &mut space[..count] };
        match &mut self.from {
            Origin::Memory(rest, counts) => {
                let (now, later) = rest.split_at(count);
                raw.copy_from_slice(now);
                *rest = later;
                if *counts {
                    progress.read(*position, raw);
                    *position += count as u64;
                }
            }
            Origin::Disk { file, path, .. } => {
                file.read_exact(raw).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => changed(path),
                    _ => Error::io("read", path, &error),
                })?;
                progress.read(*position, raw);
                *position += count as u64;
            }
        }
        self.left -= count as u64;
        if !encode {
            return Ok(Some(count));
        }
        // The room was computed for it: four characters for every three bytes begun.
        let written = STANDARD.encode_slice(&self.scratch[..count], space);
        written.map(Some).map_err(|error| Error::failed("base64 does not fit").cause(error.to_string()))
    }

    /// Fails if the file is not what it was when it was opened.
    fn check(&self) -> Result<()> {
        let Origin::Disk { file, path, opened } = &self.from else { return Ok(()) };
        let now = file.metadata().map_err(|error| Error::io("read", path, &error))?;
        let same = now.len() == opened.len() && now.modified().ok() == opened.modified().ok();
        if same { Ok(()) } else { Err(changed(path)) }
    }
}

fn scratch(base64: bool) -> Vec<u8> {
    if base64 { vec![0; BUFFER / 4 * 3] } else { Vec::new() }
}

fn changed(path: &Path) -> Error {
    Error::failed(format!("{} changed while it was being uploaded", path.display()))
}
