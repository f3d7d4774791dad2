//! The two sides of a connection that a scripted fault must get hold of: its socket, and the bodies that pass.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::log::Entry;

/// So long a refused client may go on sending; what it sends is thrown away. A client that is cut off in the middle of
/// its request would not read the refusal.
const DRAIN: Duration = Duration::from_secs(15);

/// How a connection is to end, said by the answer and done by the socket.
#[derive(Default)]
pub(super) struct Ending {
    /// Close once everything handed to the socket has been taken by the system.
    cut: AtomicBool,
    /// Reset instead of an orderly close.
    reset: AtomicBool,
}

impl Ending {
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }
}

/// A socket that can be told how to end.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) ending: Arc<Ending>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.ending.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes the socket only when it has nothing left to write.
        if self.ending.cut.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request's body: counted, and read to its end even if the handler does not want it.
pub(super) struct Received {
    body: Option<Body>,
    count: Arc<AtomicU64>,
    drain: bool,
}

impl Received {
    /// `drain` says whether the client sends on without being asked, that is without `Expect: 100-continue`.
    pub(super) fn new(body: Body, count: Arc<AtomicU64>, drain: bool) -> Self {
        Self { body: Some(body), count, drain }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.count.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Some(Err(_)) | None => self.body = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(http_body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| self.drain && !http_body::Body::is_end_stream(body))
        else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let rest = body.into_data_stream().for_each(|_| std::future::ready(()));
            runtime.spawn(tokio::time::timeout(DRAIN, rest));
        }
    }
}

/// An answer's body: counted for the log, whose line is written when it is gone, and cut where a fault says so.
pub(super) struct Sent {
    body: Body,
    entry: Entry,
    /// Bytes left until the connection is cut.
    cut: Option<(u64, Arc<Ending>)>,
}

impl Sent {
    pub(super) fn new(body: Body, entry: Entry, cut: Option<(u64, Arc<Ending>)>) -> Self {
        Self { body, entry, cut }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.cut.as_ref().is_some_and(|(_, ending)| ending.cut.load(Ordering::Relaxed)) {
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let Ok(mut bytes) = frame.into_data() else { return Poll::Ready(None) };
        if let Some((left, ending)) = &mut self.cut {
            let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= keep as u64;
            if keep < bytes.len() {
                // From here on the body is pending for ever, and the socket ends it all when it has sent what it has.
                ending.cut.store(true, Ordering::Relaxed);
                if keep == 0 {
                    return Poll::Pending;
                }
                bytes.truncate(keep);
            }
        }
        self.entry.sent += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.cut.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
