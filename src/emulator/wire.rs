//! The connection's two sides: its socket and the bodies that pass, which faults cut and the log counts. The log has one
//! JSON line per request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Uri};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;

use super::Params;
use crate::model::Clock;

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

/// What is known of a request so far; the line is written when it is dropped, that is when the answer has gone.
pub(super) struct Entry {
    to: Option<UnboundedSender<String>>,
    clock: Clock,
    start: Instant,
    method: Method,
    path: String,
    /// The platform's name.
    pub(super) platform: Option<&'static str>,
    /// The scripted fault's word.
    pub(super) fault: Option<&'static str>,
    /// The status; None where there was no answer.
    pub(super) status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub(super) received: Arc<AtomicU64>,
    /// Bytes of the answer's body that were sent.
    pub(super) sent: u64,
}

impl Entry {
    pub(super) fn new(to: Option<UnboundedSender<String>>, clock: Clock, method: &Method, uri: &Uri) -> Self {
        let path = if to.is_some() { public(uri) } else { String::new() };
        Self {
            to,
            clock,
            start: Instant::now(),
            method: method.clone(),
            path,
            platform: None,
            fault: None,
            status: None,
            received: Arc::default(),
            sent: 0,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(to) = &self.to else { return };
        let line = json!({
            "time": format!("{:.3}", self.clock.now()),
            "method": self.method.as_str(),
            "path": self.path,
            "status": self.status,
            "platform": self.platform,
            "fault": self.fault,
            "bytes_in": self.received.load(Ordering::Relaxed),
            "bytes_out": self.sent,
            "ms": u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        let _ = to.send(line.to_string());
    }
}

/// Path and query, with `***` for what would let a reader of the log in.
fn public(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(name.as_str(), "token" | "key" | "signature" | "sig" | "api_key" | "access_token")
            || ["-signature", "-credential", "-security-token"].iter().any(|end| name.ends_with(end))
    };
    let mut shown = url::form_urlencoded::Serializer::new(String::new());
    if !Params::parse(query).iter().any(|(name, _)| secret(name)) {
        return format!("{}?{query}", uri.path());
    }
    for (name, value) in Params::parse(query).iter() {
        shown.append_pair(name, if secret(name) { "***" } else { value });
    }
    format!("{}?{}", uri.path(), shown.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_a_query_are_not_shown() {
        let shown = |uri: &str| public(&uri.parse().unwrap());
        assert_eq!(shown("/f?page_token=t&limit=1"), "/f?page_token=t&limit=1");
        assert_eq!(shown("/f?expires=1&Signature=abc"), "/f?expires=1&Signature=***");
        assert_eq!(shown("/f?X-Amz-Signature=abc&token=t&a=b"), "/f?X-Amz-Signature=***&token=***&a=b");
    }
}
