//! Connections: sockets that faults can cut or reset, bodies that are counted, and the log of requests.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Uri};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Sleep, sleep};

use super::Params;
use crate::model::Clock;

/// Time limit for reading and discarding the rest of a rejected request. A client that is disconnected while sending
/// does not read the response.
const DRAIN: Duration = Duration::from_secs(15);

/// How long a closing connection waits for the client to close its side. If data arrives at a closed socket, the
/// system discards the response.
const LINGER: Duration = Duration::from_secs(5);

/// How to close a connection, and whether it is idle.
pub(super) struct Closing {
    /// Close after everything written so far has been sent.
    cut: AtomicBool,
    /// Send a TCP reset instead of an orderly close.
    reset: AtomicBool,
    /// Close without waiting for the client.
    hurry: AtomicBool,
    /// When the last request ended or the connection was opened; `None` during a request.
    idle_since: Mutex<Option<Instant>>,
    evicted: Notify,
}

impl Default for Closing {
    fn default() -> Self {
        Self {
            cut: AtomicBool::default(),
            reset: AtomicBool::default(),
            hurry: AtomicBool::default(),
            idle_since: Mutex::new(Some(Instant::now())),
            evicted: Notify::new(),
        }
    }
}

impl Closing {
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Makes the connection close without waiting for the client.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// The time since which no request has been running; `None` during a request.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle_since(&self, time: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Requests that the connection be closed in favor of another client.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits for [`evict`](Self::evict).
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

/// The socket of a connection.
pub(super) struct Socket {
    stream: TcpStream,
    closing: Arc<Closing>,
    /// The time limit for the client to close its side, once this side is closed.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, closing: Arc<Closing>) -> Self {
        Self { stream, closing, linger: None }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.closing.reset.load(Ordering::Relaxed) {
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
        // hyper flushes the socket only after writing everything.
        if self.closing.cut.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let linger = this.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut unread = [0; 4096];
        loop {
            if this.closing.hurry.load(Ordering::Relaxed) || linger.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut into = ReadBuf::new(&mut unread);
            if ready!(Pin::new(&mut this.stream).poll_read(cx, &mut into)).is_err()
                || into.filled().is_empty()
            {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// The body of a request. Counts bytes, and reads the rest if the handler drops it.
pub(super) struct Received {
    body: Option<Body>,
    count: Arc<AtomicU64>,
    /// Whether to read the rest of the body. With `Expect: 100-continue`, the client sends the body only after the
    /// handler has asked for it.
    drain: bool,
    /// Time limit between two pieces.
    silence: Duration,
    /// When that time limit ends, while the body waits for a piece.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Received {
    /// Wraps a body. `expected` means that the client waits for `100 Continue`.
    pub(super) fn new(body: Body, count: Arc<AtomicU64>, expected: bool, silence: Duration) -> Self {
        Self { body: Some(body), count, drain: !expected, silence, limit: None }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        this.drain = true;
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            let limit = this.limit.get_or_insert_with(|| Box::pin(sleep(this.silence)));
            ready!(limit.as_mut().poll(cx));
            this.body = None;
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut)))));
        };
        this.limit = None;
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.count.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Some(Err(_)) | None => this.body = None,
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

/// The body of a response. Counts bytes for the log entry, which is sent on drop, and applies the `cut` fault.
pub(super) struct Sent {
    body: Body,
    entry: Entry,
    /// The number of bytes after which the connection is cut.
    cut: Option<(u64, Arc<Closing>)>,
}

impl Sent {
    pub(super) fn new(body: Body, entry: Entry, cut: Option<(u64, Arc<Closing>)>) -> Self {
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
        if self.cut.as_ref().is_some_and(|(_, closing)| closing.cut.load(Ordering::Relaxed)) {
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let Ok(mut bytes) = frame.into_data() else { return Poll::Ready(None) };
        if let Some((left, closing)) = &mut self.cut {
            let keep = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            *left -= keep as u64;
            if keep < bytes.len() {
                // The body stays pending from here on. The socket closes after sending the bytes written so far.
                closing.cut.store(true, Ordering::Relaxed);
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

/// A sender for the request log. Entries that do not fit into the queue are dropped and counted, so that a slow reader
/// neither blocks the server nor uses up its memory.
#[derive(Clone)]
pub struct Log {
    requests: Sender<LoggedRequest>,
    dropped: Arc<AtomicU64>,
}

/// A request in the log. A log file contains each as a line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedRequest {
    /// The end of the response, UTC.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// The method.
    pub method: String,
    /// Path and query, without credentials.
    pub path: String,
    /// The status; `None` if there was no response.
    pub status: Option<u16>,
    /// The platform's name.
    pub platform: Option<&'static str>,
    /// The word that names the scripted fault.
    pub fault: Option<&'static str>,
    /// The number of bytes read from the request body.
    pub bytes_in: u64,
    /// The number of response body bytes sent.
    pub bytes_out: u64,
    /// The time since the request began, in milliseconds.
    pub ms: u64,
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

impl Log {
    /// A log that sends requests to `requests` and counts the dropped ones in `dropped`.
    pub fn new(requests: Sender<LoggedRequest>, dropped: Arc<AtomicU64>) -> Self {
        Self { requests, dropped }
    }

    fn send(&self, request: LoggedRequest) {
        if self.requests.try_send(request).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The log entry of a request. It is sent on drop, after the response has been sent; until then, the connection is not
/// idle.
pub(super) struct Entry {
    connection: Arc<Closing>,
    to: Option<Log>,
    clock: Clock,
    start: Instant,
    method: Method,
    path: String,
    /// The platform's name.
    pub(super) platform: Option<&'static str>,
    /// The word that names the scripted fault.
    pub(super) fault: Option<&'static str>,
    /// The status; `None` if there was no response.
    pub(super) status: Option<u16>,
    /// The number of bytes read from the request body.
    pub(super) received: Arc<AtomicU64>,
    /// The number of response body bytes sent.
    pub(super) sent: u64,
}

impl Entry {
    pub(super) fn new(
        connection: Arc<Closing>,
        to: Option<Log>,
        clock: Clock,
        method: &Method,
        uri: &Uri,
    ) -> Self {
        let path = if to.is_some() { public(uri) } else { String::new() };
        connection.set_idle_since(None);
        Self {
            connection,
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
        self.connection.set_idle_since(Some(Instant::now()));
        let Some(to) = &self.to else { return };
        to.send(LoggedRequest {
            time: self.clock.now(),
            method: self.method.to_string(),
            path: std::mem::take(&mut self.path),
            status: self.status,
            platform: self.platform,
            fault: self.fault,
            bytes_in: self.received.load(Ordering::Relaxed),
            bytes_out: self.sent,
            ms: u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// The path and query, with credentials replaced by `***`.
fn public(uri: &Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(
            name.as_str(),
            "token" | "key" | "signature" | "sig" | "api_key" | "access_token" | "upload_id"
        ) || ["-signature", "-credential", "-security-token"].iter().any(|end| name.ends_with(end))
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
        assert_eq!(
            shown("/f?upload_id=s&upload_protocol=resumable"),
            "/f?upload_id=***&upload_protocol=resumable"
        );
        assert_eq!(shown("/f?page_token=t&limit=1"), "/f?page_token=t&limit=1");
        assert_eq!(shown("/f?expires=1&Signature=abc"), "/f?expires=1&Signature=***");
        assert_eq!(shown("/f?X-Amz-Signature=abc&token=t&a=b"), "/f?X-Amz-Signature=***&token=***&a=b");
    }
}
