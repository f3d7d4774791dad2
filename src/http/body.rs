//! Request bodies, which are read, encoded and passed to the transport using constant memory.

use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
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
use crate::source::{CHUNK, Download, Watched};

/// Bodies up to this size are read without a thread, because a thread would cost more than the read.
const SMALL: u64 = 64 * 1024;
/// Number of buffers in flight per body.
const BUFFERS: usize = 4;
/// Size of a buffer when many bodies are being sent.
const SMALLER_BUFFER: usize = 64 * 1024;
/// Maximum number of concurrent bodies with large buffers.
const FEW: usize = 4;
/// Number of bytes per base64 encoding step: three quarters of a large buffer, so that the result fills it.
const SCRATCH: usize = 192 * 1024;

/// Minimum rate of a transfer in bytes per second, averaged over the time limit.
pub(super) const LEAST_RATE: u64 = 100;

/// Whether a transfer of `bytes` in `time` is slower than [`LEAST_RATE`].
pub fn is_too_slow(bytes: u64, time: Duration) -> bool {
    u128::from(bytes) * 1000 < u128::from(LEAST_RATE) * time.as_millis()
}

/// Detects a transfer that is stalled or too slow.
#[derive(Debug)]
struct Pace {
    last: Instant,
    /// The start of the current period, and the number of bytes moved in it.
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { last: now, since: now, bytes: 0 }
    }

    fn moved(&mut self, now: Instant, bytes: u64) {
        self.last = now;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The time until the next check, or zero if the transfer is stalled or too slow.
    fn left(&mut self, now: Instant, limit: Duration) -> Duration {
        let period = now.saturating_duration_since(self.since);
        if period >= limit && !is_too_slow(self.bytes, period) {
            (self.since, self.bytes) = (now, 0);
        }
        limit.saturating_sub(now.saturating_duration_since(self.last.min(self.since)))
    }
}

/// The state of a request being sent, shared by the body and the attempt that waits for the response.
#[derive(Debug)]
pub(super) struct SendState {
    complete: AtomicBool,
    abandoned: AtomicBool,
    /// The queue of empty buffers for the reader thread. A buffer of size 0 stops the thread.
    reader: Mutex<Option<Sender<Vec<u8>>>>,
    problem: Mutex<Option<Error>>,
    pace: Mutex<Pace>,
    /// Whether part of the response has arrived.
    received: AtomicBool,
    /// Whether the transport is waiting for content from another server.
    starved: AtomicBool,
}

impl SendState {
    pub(super) fn new(body: &Body) -> Arc<Self> {
        Arc::new(Self {
            complete: AtomicBool::new(body.wire_len() == 0),
            abandoned: AtomicBool::new(false),
            reader: Mutex::default(),
            problem: Mutex::default(),
            pace: Mutex::new(Pace::new(Instant::now())),
            received: AtomicBool::new(false),
            starved: AtomicBool::new(false),
        })
    }

    /// Whether the last byte has been passed to the transport. The server may have received it.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// The error that occurred while reading the body, if any.
    pub(super) fn problem(&self) -> Option<Error> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops the body when its response is no longer needed. Otherwise the transport would send the rest, or keep it
    /// in memory while the server does not respond.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Fails if the thread has stopped.
            let _ = reader.send(Vec::new());
        }
    }

    /// Records that bytes have been sent or received.
    fn moved(&self, bytes: usize) {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).moved(Instant::now(), bytes as u64);
    }

    /// Records that response bytes have arrived.
    pub(super) fn received(&self, bytes: usize) {
        self.received.store(true, Ordering::Relaxed);
        self.moved(bytes);
    }

    /// Starts the next phase of the request: the response after the body, or the content after the headers.
    pub(super) fn next_phase(&self) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = Pace::new(Instant::now());
    }

    /// Whether part of the response has arrived.
    pub(super) fn has_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }

    /// The time until the next check of the transfer rate, or zero if the transfer is stalled or too slow.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        if self.starved.load(Ordering::Relaxed) {
            // The download has its own time limit.
            self.next_phase();
        }
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).left(Instant::now(), limit)
    }

    fn fail(&self, error: Error) {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Bytes of a body, and the position after them in the body's file pieces.
struct Chunk {
    bytes: Bytes,
    position: u64,
}

/// Opens a body for one attempt. `active` counts the bodies that have a reader thread.
pub(super) fn open(
    body: &Body,
    state: &Arc<SendState>,
    progress: &Arc<dyn Progress>,
    active: &Arc<AtomicUsize>,
) -> Result<reqwest::Body> {
    let left = body.wire_len();
    progress.at(source_start(body));
    let is_remote = body.has_remote();
    // Content from another server is always read on a separate thread: it arrives only while this thread is not
    // blocked.
    let source = if left <= SMALL && !is_remote {
        let mut whole = None;
        let buffer = || Some(vec![0; usize::try_from(left).unwrap_or_default()]);
        feed(body, progress.as_ref(), buffer, |space, filled, position| {
            whole = Some(Chunk { bytes: Bytes::from(space).slice(..filled), position });
            true
        })?;
        Chunks::One(whole)
    } else {
        Chunks::Read(spawn_reader(body.clone(), Arc::clone(state), Arc::clone(progress), Arc::clone(active))?)
    };
    let stream =
        Outgoing { source, left, is_remote, state: Arc::clone(state), progress: Arc::clone(progress) };
    Ok(reqwest::Body::wrap_stream(stream))
}

enum Chunks {
    One(Option<Chunk>),
    Read(mpsc::Receiver<io::Result<Chunk>>),
}

/// A body as a stream for the transport.
struct Outgoing {
    source: Chunks,
    left: u64,
    /// Whether part of the body comes from another server.
    is_remote: bool,
    state: Arc<SendState>,
    progress: Arc<dyn Progress>,
}

impl Stream for Outgoing {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left > 0 && self.state.abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(io::Error::other("the request was cancelled"))));
        }
        let next = match &mut self.source {
            Chunks::One(chunk) => Poll::Ready(chunk.take().map(Ok)),
            Chunks::Read(receiver) => receiver.poll_recv(context),
        };
        if self.is_remote {
            self.state.starved.store(next.is_pending(), Ordering::Relaxed);
        }
        next.map(|next| {
            let chunk = match next? {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            self.left = self.left.saturating_sub(chunk.bytes.len() as u64);
            if self.left == 0 {
                self.state.complete.store(true, Ordering::Release);
                self.state.next_phase();
            }
            self.state.moved(chunk.bytes.len());
            self.progress.at(chunk.position);
            Some(Ok(chunk.bytes))
        })
    }
}

/// A buffer in use by the transport. It is returned to the reader after it has been sent.
struct Lent {
    space: Vec<u8>,
    filled: usize,
    home: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.space[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Fails if the reader has stopped.
        let _ = self.home.send(std::mem::take(&mut self.space));
    }
}

/// Reads a body on a separate thread, which stops at the end of the body, when the receiver is dropped, or when the
/// attempt is abandoned.
fn spawn_reader(
    body: Body,
    state: Arc<SendState>,
    progress: Arc<dyn Progress>,
    active: Arc<AtomicUsize>,
) -> Result<mpsc::Receiver<io::Result<Chunk>>> {
    // There is room for all buffers and an error, so sending never blocks.
    let (sender, receiver) = mpsc::channel(BUFFERS + 1);
    let size = if active.fetch_add(1, Ordering::Relaxed) < FEW { CHUNK } else { SMALLER_BUFFER };
    let (home, returned) = std::sync::mpsc::channel::<Vec<u8>>();
    *state.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(home.clone());
    let read = move || {
        let mut made = 0;
        let buffer = || {
            if made < BUFFERS {
                made += 1;
                return Some(vec![0; size]);
            }
            returned.recv().ok().filter(|space| !space.is_empty())
        };
        let result = feed(&body, progress.as_ref(), buffer, |space, filled, position| {
            let bytes = Bytes::from_owner(Lent { space, filled, home: home.clone() });
            sender.blocking_send(Ok(Chunk { bytes, position })).is_ok()
        });
        if let Err(error) = result {
            let broken = io::Error::other(error.message().to_owned());
            state.fail(error);
            // The body is shorter than its declared length: the transport closes the connection, and the server sees
            // an incomplete body.
            let _ = sender.blocking_send(Err(broken));
        }
        active.fetch_sub(1, Ordering::Relaxed);
    };
    let started = std::thread::Builder::new().name("body".to_owned()).spawn(read);
    started.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
    Ok(receiver)
}

/// Resets the progress to the start of a body that is not being sent at the moment.
pub(super) fn rewind(body: &Body, progress: &dyn Progress) {
    if body.has_file() {
        progress.at(source_start(body));
    }
}

/// The position in the source at which the body's file pieces start.
fn source_start(body: &Body) -> u64 {
    let from = body.pieces.iter().find_map(|piece| match piece {
        Piece::File { from, .. } => Some(*from),
        Piece::Whole { .. } => Some(0),
        Piece::Text(_) => None,
    });
    from.unwrap_or_default()
}

/// Writes a body to the buffers that `buffer` returns, until it returns `None`. `take` receives each buffer, its filled
/// length and the position in the file pieces, and returns whether to continue. A buffer must have room for at least
/// four bytes.
fn feed(
    body: &Body,
    progress: &dyn Progress,
    mut buffer: impl FnMut() -> Option<Vec<u8>>,
    mut take: impl FnMut(Vec<u8>, usize, u64) -> bool,
) -> Result<()> {
    let mut position = source_start(body);
    let mut pieces = body.pieces.iter();
    // A download that the next piece may continue.
    let mut download = None;
    let mut piece = pieces.next().map(|piece| PieceReader::open(piece, &mut download)).transpose()?;
    while piece.is_some() {
        let Some(mut space) = buffer() else { return Ok(()) };
        let mut filled = 0;
        while let Some(reader) = &mut piece {
            if reader.left == 0 {
                // Check before sending the last bytes, so that a changed file never arrives complete.
                reader.check()?;
                if let Some(PieceReader { from: PieceSource::Remote(rest), .. }) = piece.take() {
                    download = Some(rest);
                }
                piece = pieces.next().map(|piece| PieceReader::open(piece, &mut download)).transpose()?;
                continue;
            }
            let Some(moved) = reader.fill(&mut space[filled..], progress, &mut position)? else { break };
            filled += moved;
        }
        if filled > 0 && !take(space, filled, position) {
            return Ok(());
        }
    }
    Ok(())
}

/// A piece being read.
struct PieceReader<'a> {
    from: PieceSource<'a>,
    left: u64,
    /// Holds the bytes to encode in base64; empty if the piece is not encoded.
    scratch: Vec<u8>,
}

enum PieceSource<'a> {
    Memory(&'a [u8], bool),
    Disk(Watched),
    Remote(Download),
}

impl<'a> PieceReader<'a> {
    fn open(piece: &'a Piece, download: &mut Option<Download>) -> Result<Self> {
        match piece {
            Piece::Text(text) => Ok(Self {
                from: PieceSource::Memory(text, false),
                left: text.len() as u64,
                scratch: Vec::new(),
            }),
            Piece::Whole { source, size } => Self::of_source(source, 0, *size, (true, false), download),
            Piece::File { source, from, len, base64 } => {
                Self::of_source(source, *from, *len, (false, *base64), download)
            }
        }
    }

    fn of_source(
        source: &'a Source,
        from: u64,
        len: u64,
        (whole, base64): (bool, bool),
        download: &mut Option<Download>,
    ) -> Result<Self> {
        let mut file = match source {
            Source::Remote(remote) => {
                let rest = download.take().filter(|download| download.position() == from);
                let download = rest.map_or_else(|| Download::open(remote.as_ref(), from), Ok)?;
                return Ok(Self { from: PieceSource::Remote(download), left: len, scratch: scratch(base64) });
            }
            Source::Bytes(bytes) => {
                let range = usize::try_from(from).ok().zip(usize::try_from(from + len).ok());
                let part = range.and_then(|(from, to)| bytes.get(from..to));
                let part =
                    part.ok_or_else(|| Error::failed("the content is shorter than its stated size"))?;
                return Ok(Self {
                    from: PieceSource::Memory(part, true),
                    left: len,
                    scratch: scratch(base64),
                });
            }
            Source::Path(path) => Watched::open(path)?,
            Source::Spooled(file) => Watched::spooled(file)?,
        };
        if file.size().is_some_and(|size| size < from + len || whole && size != len) {
            return Err(file.changed());
        }
        if from > 0 {
            file.start_at(from)?;
        }
        Ok(Self { from: PieceSource::Disk(file), left: len, scratch: scratch(base64) })
    }

    /// Fills `space` and returns the number of bytes written, or `None` if the space is too small.
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
            PieceSource::Memory(rest, counts) => {
                let (now, later) = rest.split_at(count);
                raw.copy_from_slice(now);
                *rest = later;
                if *counts {
                    progress.read(*position, raw);
                    *position += count as u64;
                }
            }
            PieceSource::Disk(file) => {
                file.read_exact(raw).map_err(|error| file.unreadable(error))?;
                progress.read(*position, raw);
                *position += count as u64;
            }
            PieceSource::Remote(download) => {
                download.fill(raw)?;
                progress.read(*position, raw);
                *position += count as u64;
            }
        }
        self.left -= count as u64;
        if !encode {
            return Ok(Some(count));
        }
        // There is enough space: four characters for every three bytes.
        let written = STANDARD.encode_slice(&self.scratch[..count], space);
        written.map(Some).map_err(|error| Error::failed("base64 encoding failed").caused_by(error))
    }

    /// Fails if the file has changed since it was opened, or if a finished download is too long or fails verification.
    fn check(&mut self) -> Result<()> {
        match &mut self.from {
            PieceSource::Disk(file) => file.check(),
            PieceSource::Remote(download) if download.is_at_end() => download.check(),
            PieceSource::Remote(_) | PieceSource::Memory(..) => Ok(()),
        }
    }
}

fn scratch(base64: bool) -> Vec<u8> {
    if base64 { vec![0; SCRATCH] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::progress::Silent;

    /// All bytes that [`feed`] writes into buffers of this size.
    fn wire(body: &Body, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let take = |space: Vec<u8>, filled, _| {
            all.extend_from_slice(&space[..filled]);
            true
        };
        feed(body, &Silent, || Some(vec![0; size]), take).unwrap();
        all
    }

    #[test]
    fn silence_and_slowness_end_a_transfer() {
        let limit = Duration::from_secs(10);
        let ends = |bytes: u64, every: u64| {
            let begun = Instant::now();
            let mut pace = Pace::new(begun);
            for second in 1..60 {
                let now = begun + Duration::from_secs(second);
                if pace.left(now, limit).is_zero() {
                    return Some(second);
                }
                if second % every == 0 {
                    pace.moved(now, bytes);
                }
            }
            None
        };
        assert_eq!(ends(0, 1), Some(10), "silence");
        assert_eq!(ends(1, 1), Some(10), "a byte a second");
        assert_eq!(ends(LEAST_RATE / 2, 1), Some(10));
        assert_eq!(ends(LEAST_RATE * 2, 1), None);
        assert_eq!(ends(LEAST_RATE * 10, 7), None, "in bursts");
    }

    proptest! {
        #[test]
        fn a_body_contains_its_pieces(
            content in prop::collection::vec(any::<u8>(), 0..3000),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 0..6),
            size in 4_usize..300,
        ) {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&content).unwrap();
            let disk = Source::Path(file.path().to_owned());
            let memory = Source::Bytes(content.clone().into());
            let (mut pieces, mut expected) = (Vec::new(), Vec::new());
            for (at, base64, on_disk) in cuts {
                let from = at.index(content.len() + 1);
                let part = &content[from..];
                let text = format!("<{from}>");
                expected.extend_from_slice(text.as_bytes());
                pieces.push(Piece::Text(text.into()));
                expected.extend(if base64 { STANDARD.encode(part).into_bytes() } else { part.to_vec() });
                let source = if on_disk { disk.clone() } else { memory.clone() };
                pieces.push(Piece::File { source, from: from as u64, len: part.len() as u64, base64 });
            }
            let body = Body { content_type: None, pieces };
            let wire = wire(&body, size);
            prop_assert_eq!(wire.len() as u64, body.wire_len());
            prop_assert_eq!(wire, expected);
        }

        #[test]
        fn base64_pieces_of_a_multiple_of_three_bytes_form_one_text(
            content in prop::collection::vec(any::<u8>(), 0..2000),
            triples in 1_u64..100,
            size in 4_usize..300,
        ) {
            let source = Source::Bytes(content.clone().into());
            let (all, step) = (content.len() as u64, triples * 3);
            let pieces = (0..all).step_by(usize::try_from(step).unwrap()).map(|from| Piece::File {
                source: source.clone(),
                from,
                len: step.min(all - from),
                base64: true,
            });
            let body = Body { content_type: None, pieces: pieces.collect() };
            prop_assert_eq!(wire(&body, size), STANDARD.encode(&content).into_bytes());
        }
    }
}
