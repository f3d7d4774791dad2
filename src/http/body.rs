//! Bodies on their way: handed to the transport in constant memory, and what is known about how far they got.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::reading::{feed, start_of};
use super::request::Body;
use crate::error::{Error, Result};
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
    abandoned: AtomicBool,
    /// Where the reading thread waits for empty buffers; one of no size ends it.
    reader: Mutex<Option<Sender<Vec<u8>>>>,
    problem: Mutex<Option<Error>>,
    last_sign: Mutex<Instant>,
}

impl Sending {
    pub(super) fn new(body: &Body) -> Arc<Self> {
        Arc::new(Self {
            complete: AtomicBool::new(body.wire_len() == 0),
            abandoned: AtomicBool::new(false),
            reader: Mutex::default(),
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

    /// Stops the body: nobody waits for the answer any more. The transport would send the rest all the same, and hold
    /// on to it for as long as a silent server holds the connection.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        if let Some(reader) = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Fails if the thread has ended by itself.
            let _ = reader.send(Vec::new());
        }
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
        )?)
    };
    let stream = Outgoing { source, left, sending: Arc::clone(sending), progress: Arc::clone(progress) };
    Ok(reqwest::Body::wrap_stream(stream))
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
        if self.left > 0 && self.sending.abandoned.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(io::Error::other("nobody waits for the answer"))));
        }
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
    home: Sender<Vec<u8>>,
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

/// Reads a body in a thread of its own, which ends with the body, when the receiver is dropped
/// or when the attempt is abandoned.
fn spawn_reader(
    body: Body,
    sending: Arc<Sending>,
    progress: Arc<dyn Progress>,
    active: Arc<AtomicUsize>,
) -> Result<mpsc::Receiver<io::Result<Chunk>>> {
    // Room for all buffers and an error: sending never blocks.
    let (sender, receiver) = mpsc::channel(BUFFERS + 1);
    let size = if active.fetch_add(1, Ordering::Relaxed) < FEW { BUFFER } else { SMALLER_BUFFER };
    let (home, returned) = std::sync::mpsc::channel::<Vec<u8>>();
    *sending.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(home.clone());
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
            sending.fail(error);
            // The announced length stays unreached: the transport drops the connection, and the server sees a body
            // that broke off instead of a whole one.
            let _ = sender.blocking_send(Err(broken));
        }
        active.fetch_sub(1, Ordering::Relaxed);
    };
    let started = std::thread::Builder::new().name("body".to_owned()).spawn(read);
    started.map_err(|error| Error::failed("no thread can be started").caused_by(error))?;
    Ok(receiver)
}
