//! The HTTP client: requests as data, retries, rate limits and TLS.
//!
//! Each attempt (`exchange`) converts a [`Request`] for the transport (`body`), sends it over a connection pool
//! (`transport`, `tls`) and interprets the response (`answer`, `content`). `retry` decides whether to make another
//! attempt, and `throttle` when a request may be sent.

mod answer;
mod body;
mod content;
mod exchange;
mod form;
mod request;
mod retry;
mod throttle;
mod tls;
mod trace;
mod transport;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::de::DeserializeOwned;
use url::Url;

pub use body::is_too_slow;
pub use form::{Part, form};
pub use request::{Body, Method, Piece, Range, Request};
pub use reqwest::header::HeaderMap;
pub use retry::Policy;
pub use trace::{Event, Trace};
pub use transport::{is_loopback, proxy_problem};

use crate::error::{Error, Kind, Result};
use crate::model::{FileId, Link};
use crate::progress::{Progress, silent};
use crate::secret::Secret;

/// Minimum length of a delay that is reported.
const NOTICED: Duration = Duration::from_secs(2);

/// A client's configuration. Each profile used by a command has one client, whose requests share its connections,
/// rate limit and token.
#[derive(Clone, Debug)]
pub struct Config {
    /// The platform's name, for messages.
    pub platform: &'static str,
    /// The profile's base URLs. Only their origins receive the token.
    pub own: Vec<Url>,
    /// The token.
    pub token: Option<Secret>,
    /// The header that contains only the token; `None` for `Authorization: Bearer TOKEN`.
    pub auth_header: Option<String>,
    /// Hints for a missing or rejected token.
    pub token_hints: Vec<String>,
    /// Time limit for a small request, and for periods in which a transfer is stalled or too slow.
    pub timeout: Duration,
    /// The limits for retries.
    pub policy: Policy,
    /// The PEM file with the system's certificate authorities, if it has one for all of them.
    pub bundle: Option<std::path::PathBuf>,
    /// A PEM file with certificate authorities to trust in addition to the system's.
    pub cacert: Option<std::path::PathBuf>,
    /// Whether a token may be sent over plain HTTP to another machine.
    pub insecure_http: bool,
    /// The published rate limit. Requests are delayed to stay below it.
    pub rate: Option<RateLimit>,
    /// Receives the client's events.
    pub trace: Trace,
    /// Reads the platform's error body. If it returns `None`, the common formats are tried.
    pub read_problem: fn(&Reply) -> Option<Problem>,
    /// The platform's own headers that contain the request id, tried before the common ones.
    pub request_ids: &'static [&'static str],
}

/// A published rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests.
    pub requests: u32,
    /// The period in which they are allowed.
    pub per: Duration,
}

/// The error that a response reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The platform's message.
    pub message: String,
    /// The error kind, if the status is misleading (xAI returns 400 for an invalid key).
    pub kind: Option<Kind>,
    /// Whether retrying is pointless even though the status permits it, as for an exhausted quota.
    pub is_final: bool,
    /// The file that has the content of the rejected upload.
    pub existing: Option<FileId>,
    /// A hint for the user.
    pub hint: Option<String>,
}

/// A complete response.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The decoded body.
    pub body: Bytes,
    /// The platform's id for the request.
    pub request_id: Option<String>,
}

impl Reply {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Decodes the body as JSON of type `T`. `what`, such as `list of files`, describes it in errors.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        self.decode(&format!("the {what} in the response"))
    }

    /// Accepts any response to `what`, such as `deletion`, that can come from the platform. An HTML page comes from a
    /// portal or proxy that did not forward the request; object stores return XML with an XML content type.
    pub fn acknowledges(&self, what: &str) -> Result<()> {
        let is_xml = self.header("content-type").is_some_and(|kind| kind.contains("xml"));
        let message = || format!("the response to the {what} is HTML or XML, not JSON");
        if self.is_page() && !is_xml { Err(self.nonsense(message())) } else { Ok(()) }
    }

    fn decode<T: DeserializeOwned>(&self, subject: &str) -> Result<T> {
        if answer::is_too_large_to_decode(&self.body) {
            let limit = answer::MAX_DECODED / 1024 / 1024;
            return Err(self.nonsense(format!("{subject} would take more than {limit} MiB of memory")));
        }
        let mut decoded = serde_json::from_slice(&self.body);
        if decoded.is_err()
            && let Some(text) = answer::repaired(&self.body)
        {
            // The error for the original text describes the problem better.
            decoded = serde_json::from_str(&text).or(decoded);
        }
        decoded.map_err(|error| {
            self.nonsense(if self.body.trim_ascii().is_empty() {
                format!("{subject} is empty")
            } else if self.is_page() {
                format!("{subject} is HTML or XML, not JSON")
            } else {
                format!("{subject} is not valid: {error}")
            })
        })
    }

    fn is_page(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    fn nonsense(&self, message: String) -> Error {
        Error::platform(message).with_status(self.status).with_request_id(self.request_id.clone())
    }
}

/// A file's content in a response.
pub struct ContentStream {
    /// The offset of the first byte: the start of the range, or 0 if the response does not continue it.
    pub start: u64,
    /// The number of bytes, if the server declares it.
    pub length: Option<u64>,
    /// The validator: a strong `ETag`, otherwise `Last-Modified`, otherwise a weak `ETag`.
    pub validator: Option<String>,
    /// The content type, if the server declares it.
    pub content_type: Option<String>,
    /// The `Content-Encoding`, if the bytes are encoded even though `identity` was requested.
    pub encoding: Option<String>,
    /// The origin that sends the content.
    pub origin: String,
    /// The bytes. An error ends the stream; its kind is [`Kind::Unreachable`] if another request can fetch the
    /// remaining bytes.
    pub stream: BoxStream<'static, Result<Bytes>>,
    /// A link that was created for this download and must be revoked afterward.
    pub release: Option<Link>,
    /// Whether the content is derived from the file, such as its extracted text. The file's size and checksums then
    /// do not apply to it.
    pub derived: bool,
}

/// Sends requests for one profile. Clones are cheap and share all state.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    transport: transport::Transport,
    throttle: throttle::Throttle,
    /// Number of bodies that have a reader thread.
    active_bodies: Arc<AtomicUsize>,
    /// How far the platform's clock is ahead of this machine's.
    ahead: Mutex<Option<SignedDuration>>,
    /// Number of responses with status 429.
    throttled: AtomicU64,
}

impl Client {
    /// Creates a client. Connection pools are created on the first request, and TLS roots are loaded on the first
    /// https URL.
    pub fn new(config: Config) -> Self {
        let throttle = throttle::Throttle::new(config.rate);
        let (transport, active_bodies) = Default::default();
        let (ahead, throttled) = Default::default();
        Self { inner: Arc::new(Inner { config, transport, throttle, active_bodies, ahead, throttled }) }
    }

    /// A client that also sends its token to the origin of `url`, such as another region of the platform. It has its
    /// own connections and throttle.
    #[must_use]
    pub fn trusting(&self, url: &Url) -> Self {
        let mut config = self.inner.config.clone();
        config.own.push(url.clone());
        Self::new(config)
    }

    /// A client that sends its token in this header, without a scheme. It has its own connections and throttle.
    #[must_use]
    pub fn authenticating(&self, header: &str) -> Self {
        Self::new(Config { auth_header: Some(header.to_owned()), ..self.inner.config.clone() })
    }

    /// Sends a small request. Any status other than 2xx and [`Request::expects`] is an error.
    pub async fn send(&self, request: &Request) -> Result<Reply> {
        self.upload(request, silent()).await
    }

    /// Sends a small request and decodes the JSON object in the response. `what` describes the object in errors.
    pub async fn json<T: DeserializeOwned>(&self, request: &Request, what: &str) -> Result<T> {
        let answer: answer::JsonObject<T> =
            self.send(request).await?.decode(&format!("{}'s {what}", self.inner.config.platform))?;
        Ok(answer.0)
    }

    /// Like [`send`](Self::send), but reports the progress of the file pieces in the body.
    ///
    /// Positions start at the offset of the first file piece in its source and count all file pieces; with a single
    /// file, they are positions in that file. If a deletion is retried because its response was lost, and the file is
    /// then missing, the status is 204.
    pub async fn upload(&self, request: &Request, progress: Arc<dyn Progress>) -> Result<Reply> {
        let mut tries = retry::Tries::new(self.inner.config.policy, request);
        loop {
            self.wait_for_turn(request).await?;
            let attempt = exchange::Attempt::new(self, request, &progress, tries.number(), false);
            match attempt.reply().await {
                Ok(reply) => return Ok(reply),
                Err(failure) if tries.was_deleted(&failure) => {
                    return Ok(Reply { status: 204, ..Reply::default() });
                }
                Err(failure) => {
                    let rewind = || body::rewind(&request.body, progress.as_ref());
                    self.pause_after(&mut tries, failure, rewind).await?;
                }
            }
        }
    }

    /// Requests a file's bytes. If the response does not continue [`Request::range`], requests all bytes instead;
    /// [`ContentStream::start`] is their offset.
    pub async fn content(&self, request: &Request) -> Result<ContentStream> {
        let progress = silent();
        let mut request = Cow::Borrowed(request);
        let mut tries = retry::Tries::new(self.inner.config.policy, &request);
        loop {
            self.wait_for_turn(&request).await?;
            let opened =
                exchange::Attempt::new(self, &request, &progress, tries.number(), true).content().await;
            match opened {
                Ok(Some(content)) => return Ok(content),
                // The caller's bytes belong to a different version.
                Ok(None) => request.to_mut().range = None,
                Err(failure) => self.pause_after(&mut tries, failure, || ()).await?,
            }
        }
    }

    /// Whether both clients have the same base URLs and token.
    pub fn is_same_account(&self, other: &Self) -> bool {
        let token = |client: &Self| client.inner.config.token.as_ref().map(|token| token.expose().to_owned());
        self.inner.config.own == other.inner.config.own && token(self) == token(other)
    }

    /// How far the platform's clock is ahead of this machine's, according to the `Date` header of the latest response.
    /// This is a lower bound, because the date is truncated to whole seconds and takes time to arrive. `None` before
    /// the first such response.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        *self.inner.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of responses with status 429.
    pub fn throttled(&self) -> u64 {
        self.inner.throttled.load(Ordering::Relaxed)
    }

    /// Maximum number of attempts.
    pub fn attempts(&self) -> u32 {
        self.inner.config.policy.attempts
    }

    /// Maximum delay before the first retry.
    pub fn base_pause(&self) -> Duration {
        self.inner.config.policy.base
    }

    /// Records the time on the platform's clock.
    fn note_date(&self, headers: &HeaderMap) {
        if let Some(date) = server_time(headers) {
            let ahead = date.duration_since(Timestamp::now());
            *self.inner.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    /// Waits until the throttle permits the request.
    async fn wait_for_turn(&self, request: &Request) -> Result<()> {
        let config = &self.inner.config;
        let counts = request.paced && self.is_own(&request.url);
        let passed = self.inner.throttle.pass(counts, config.policy.elapsed).await;
        passed.map_err(|wait| {
            let message = format!("{} is not accepting any more requests for now", config.platform);
            retry::retry_later(Error::new(Kind::RateLimited, message).with_status(429), wait)
        })
    }

    /// Delays this request or all requests after a failed attempt. Returns the error if no further attempt is
    /// allowed; otherwise calls `rewind` before the delay, during which nothing is sent.
    async fn pause_after(
        &self,
        tries: &mut retry::Tries,
        failure: retry::Failure,
        rewind: impl FnOnce(),
    ) -> Result<()> {
        let limited = failure.cause == retry::Cause::Status(429);
        if limited {
            self.inner.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let mut is_new = !limited;
        if let Some(requested) = failure.wait.filter(|_| limited) {
            // Close the throttle even if this request cannot wait that long, so that the platform does not have to
            // reject the other requests one by one.
            is_new |= self.inner.throttle.close(requested);
        }
        let status = if let retry::Cause::Status(status) = failure.cause { Some(status) } else { None };
        let pause = tries.next(failure)?;
        rewind();
        if limited {
            // The throttle delays the next attempt like any other request.
            is_new |= self.inner.throttle.close(pause);
        }
        let config = &self.inner.config;
        if is_new && pause >= NOTICED {
            let attempt = (tries.number(), config.policy.attempts);
            config.trace.pause(&Event::Pause { platform: config.platform, status, pause, attempt });
        }
        if !limited {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Whether a URL belongs to one of the profile's own origins, which receive the token.
    fn is_own(&self, url: &Url) -> bool {
        self.inner.config.own.iter().any(|own| own.origin() == url.origin())
    }
}

/// Characters that are percent-encoded in a path segment.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Appends percent-encoded path segments to a base URL, so that no id can change the path. A trailing slash in the base
/// is ignored. `.`, `..` and empty segments are errors.
pub fn join(base: &Url, segments: &[&str]) -> Result<Url> {
    if let Some(bad) = segments.iter().find(|s| matches!(**s, "." | ".." | "")) {
        return Err(Error::usage(format!("`{bad}` is not a valid id")));
    }
    if base.cannot_be_a_base() {
        return Err(Error::usage(format!("{base} is not a valid base URL"))
            .hint("use a URL that starts with https://"));
    }
    // `Url::path_segments_mut` would drop tabs and line endings, which would change the id or the path: a dot, a tab
    // and another dot would lead to the parent.
    let mut path = base.path().strip_suffix('/').unwrap_or(base.path()).to_owned();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    let mut url = base.clone();
    url.set_path(&path);
    Ok(url)
}

fn without_user(mut url: Url) -> Url {
    // Fails only for a URL without a host, which has no user name.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// The time on the server's clock, from the `Date` header.
pub fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get("date")?.to_str().ok()?)
}

/// Parses a time in the format used by HTTP headers.
pub fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_and_arrives_unchanged() {
        let base = Url::parse("https://host/v1/").unwrap();
        for (id, path) in [
            ("file_1", "/v1/files/file_1"),
            ("a/../b", "/v1/files/a%2F..%2Fb"),
            ("a?b#c%2F", "/v1/files/a%3Fb%23c%252F"),
            ("a\\b c", "/v1/files/a%5Cb%20c"),
            ("%2e%2e", "/v1/files/%252e%252e"),
            ("a\nb", "/v1/files/a%0Ab"),
            (".\t.", "/v1/files/.%09."),
            ("\r", "/v1/files/%0D"),
            ("ü", "/v1/files/%C3%BC"),
        ] {
            let url = join(&base, &["files", id]).unwrap();
            assert_eq!(url.path(), path, "{id:?}");
            assert_eq!(Url::parse(url.as_str()).unwrap(), url, "{id:?}");
        }
        for id in ["", ".", ".."] {
            assert_eq!(join(&base, &["files", id]).unwrap_err().kind(), Kind::Usage, "{id:?}");
        }
        let short = Url::parse("https://host").unwrap();
        assert_eq!(join(&short, &["a"]).unwrap().as_str(), "https://host/a");
        assert!(join(&Url::parse("mailto:x").unwrap(), &["a"]).is_err());
    }
}
