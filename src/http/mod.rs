//! HTTP: one thin client that makes requests, judges answers and tries again.
//!
//! A [`Request`] is data. Each attempt (`exchange`) makes a real one of it (`build`, `body`, `reading`), sends it over a
//! pool of connections (`transport`, `tls`) and judges what comes back (`answer`, `content`) or does not (`lost`);
//! `retry` decides whether there is another attempt, `pace` when any may leave.

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

pub use form::{Part, form};
pub use request::{Body, Method, Piece, Range, Request};
pub use reqwest::header::HeaderMap;
pub use retry::Policy;
pub use trace::{Event, Trace};

use crate::error::{Error, Kind, Result};
use crate::model::Link;
use crate::progress::{Progress, silent};
use crate::secret::Secret;

/// How a client behaves. One per profile and command: its connections, pace and token are shared by all its requests.
#[derive(Clone, Debug)]
pub struct Config {
    /// The platform's name, for messages.
    pub platform: &'static str,
    /// The origins that may see the token: those of the profile's own base URLs.
    pub own: Vec<Url>,
    /// The token.
    pub token: Option<Secret>,
    /// What to say when there is no token or it is refused: how to give one, and where this one came from.
    pub token_hints: Vec<String>,
    /// Time limit of a small call, and the longest silence of a transfer.
    pub timeout: Duration,
    /// When to try again.
    pub policy: Policy,
    /// A PEM file of certificate authorities to trust besides the system's.
    pub cacert: Option<std::path::PathBuf>,
    /// Whether a token may travel over plain http to a host that is not this machine.
    pub insecure_http: bool,
    /// A pace to keep unasked: so many requests in so long.
    pub rate: Option<RateLimit>,
    /// Receives the client's events.
    pub trace: Trace,
    /// Reads the platform's error body; None takes the reading that fits every common shape.
    pub read_problem: fn(&Reply) -> Option<Problem>,
}

/// A published rate: `requests` in `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: u32,
    /// In how long.
    pub per: Duration,
}

/// What an error answer means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The platform's own sentence.
    pub message: String,
    /// What sort of failure, where the status alone would mislead (xAI's 400 for a bad key).
    pub kind: Option<Kind>,
    /// Whether waiting cannot help although the status says so: a quota, not a rate.
    pub is_final: bool,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole and decoded.
    pub body: Bytes,
}

impl Reply {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON of type `T`. `what` names the thing, such as `list of files`.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        self.decode(&format!("the {what} in the answer"))
    }

    /// Takes any answer to `what`, such as `deletion`, that the platform itself can have given: whoever stands between
    /// (a portal, a proxy) answers with a page and has done nothing. Object stores answer in XML and say so.
    pub fn acknowledges(&self, what: &str) -> Result<()> {
        let is_xml = self.header("content-type").is_some_and(|kind| kind.contains("xml"));
        let message = || format!("the answer to the {what} is HTML or XML, not JSON");
        if self.is_page() && !is_xml { Err(self.nonsense(message())) } else { Ok(()) }
    }

    fn decode<T: DeserializeOwned>(&self, subject: &str) -> Result<T> {
        if answer::has_too_many_objects(&self.body) {
            let message = format!("{subject} has more than {} objects", answer::MAX_OBJECTS);
            let id = answer::request_id(&self.headers);
            return Err(Error::platform(message).with_status(self.status).with_request_id(id));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
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
        Error::platform(message).with_status(self.status).with_request_id(answer::request_id(&self.headers))
    }
}

/// The bytes of a file on their way.
pub struct Content {
    /// The offset they start at: that of the range, or 0 if the answer does not continue it.
    pub start: u64,
    /// How many bytes follow, if the server says.
    pub length: Option<u64>,
    /// What identifies this state of the content: a strong `ETag`, else `Last-Modified`, else a weak `ETag`.
    pub validator: Option<String>,
    /// The content type the server says.
    pub content_type: Option<String>,
    /// The bytes. An error ends them; one that a new request may mend has the kind [`Kind::Unreachable`].
    pub stream: BoxStream<'static, Result<Bytes>>,
    /// A link that was made for this download and has to be released afterwards.
    pub release: Option<Link>,
    /// Whether they are made from the file's own bytes, such as its extracted text: its size and checksums say
    /// nothing about them.
    pub derived: bool,
}

/// Sends requests for one profile. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    transport: transport::Transport,
    throttle: throttle::Throttle,
    /// Bodies that are being read by threads of their own.
    active_bodies: Arc<AtomicUsize>,
    /// The platform's clock less ours.
    ahead: Mutex<Option<SignedDuration>>,
    /// Answers of status 429 so far.
    throttled: AtomicU64,
}

impl Client {
    /// A client. Opens nothing: the connection pools are made at the first request, TLS roots at the first https URL.
    pub fn new(config: Config) -> Self {
        let throttle = throttle::Throttle::new(config.rate);
        let (transport, active_bodies) = Default::default();
        let (ahead, throttled) = Default::default();
        Self { inner: Arc::new(Inner { config, transport, throttle, active_bodies, ahead, throttled }) }
    }

    /// A client that may show its token to the origin of `url`, too: another region of the same platform.
    #[must_use]
    pub fn trusting(&self, url: &Url) -> Self {
        let mut config = self.inner.config.clone();
        config.own.push(url.clone());
        Self::new(config)
    }

    /// Sends a small request and returns the whole answer if its status is 2xx; else the error.
    pub async fn send(&self, request: &Request) -> Result<Reply> {
        self.upload(request, silent()).await
    }

    /// Sends a small request and decodes the JSON object of the answer. `what` names the thing, for errors.
    pub async fn json<T: DeserializeOwned>(&self, request: &Request, what: &str) -> Result<T> {
        let answer: answer::JsonObject<T> =
            self.send(request).await?.decode(&format!("{}'s {what}", self.inner.config.platform))?;
        Ok(answer.0)
    }

    /// As [`send`](Self::send), and reports how far the file pieces of the body have left.
    ///
    /// Positions count from where the first file piece starts in its source, over all file pieces: with one file they
    /// are positions in it, with several in one request they add up. A deletion that is found done when it is tried
    /// again is answered with 204.
    pub async fn upload(&self, request: &Request, progress: Arc<dyn Progress>) -> Result<Reply> {
        let mut tries = retry::Tries::new(self.inner.config.policy, request);
        loop {
            self.turn(request).await?;
            let attempt = exchange::Attempt::new(self, request, &progress, tries.number(), false);
            match attempt.reply().await {
                Ok(reply) => return Ok(reply),
                Err(failure) if tries.was_deleted(&failure) => {
                    return Ok(Reply { status: 204, headers: HeaderMap::new(), body: Bytes::new() });
                }
                Err(failure) => self.rest(&mut tries, failure).await?,
            }
        }
    }

    /// Sends a request for a file's bytes. If the answer does not continue [`Request::range`], requests all bytes instead;
    /// [`Content::start`] says where they begin.
    pub async fn content(&self, request: &Request) -> Result<Content> {
        let progress = silent();
        let mut request = Cow::Borrowed(request);
        let mut tries = retry::Tries::new(self.inner.config.policy, &request);
        loop {
            self.turn(&request).await?;
            let opened =
                exchange::Attempt::new(self, &request, &progress, tries.number(), true).content().await;
            match opened {
                Ok(Some(content)) => return Ok(content),
                // The bytes that the caller has belong to another version.
                Ok(None) => request.to_mut().range = None,
                Err(failure) => self.rest(&mut tries, failure).await?,
            }
        }
    }

    /// How far the platform's clock is ahead of this machine's, by the `Date` of its newest answer: never more than it
    /// really is, since a date has whole seconds and is on its way for a while. None before the first answer.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        *self.inner.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the platform has said that it gets too many requests.
    pub fn throttled(&self) -> u64 {
        self.inner.throttled.load(Ordering::Relaxed)
    }

    /// How often anything is tried in all.
    pub fn attempts(&self) -> u32 {
        self.inner.config.policy.attempts
    }

    /// Waits as long as the first pause between two attempts can be: for what may still be on its way.
    pub async fn pause(&self) {
        tokio::time::sleep(self.inner.config.policy.base).await;
    }

    /// Notes the platform's clock.
    fn note_date(&self, headers: &HeaderMap) {
        if let Some(date) = server_time(headers) {
            let ahead = date.duration_since(Timestamp::now());
            *self.inner.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
    }

    /// Waits until the pace allows a request.
    async fn turn(&self, request: &Request) -> Result<()> {
        let config = &self.inner.config;
        let counts = request.paced && self.is_own(&request.url);
        let passed = self.inner.throttle.pass(counts, config.policy.elapsed).await;
        passed.map_err(|wait| {
            let message = format!("{} takes no more requests for now", config.platform);
            retry::come_back(Error::new(Kind::RateLimited, message).with_status(429), wait)
        })
    }

    /// Pauses after a failed attempt, this request or all of them; the error where there is to be no other attempt.
    async fn rest(&self, tries: &mut retry::Tries, failure: retry::Failure) -> Result<()> {
        let limited = failure.cause == retry::Cause::Status(429);
        if limited {
            self.inner.throttled.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(asked) = failure.wait.filter(|_| limited) {
            // Also where it is too long for this request: the others need not find out one by one.
            self.inner.throttle.close(asked);
        }
        let pause = tries.next(failure)?;
        if limited {
            // The next attempt, like every other request, waits at the gate.
            self.inner.throttle.close(pause);
        } else {
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Whether a URL is of the profile's own origins, so that the token may go there.
    fn is_own(&self, url: &Url) -> bool {
        self.inner.config.own.iter().any(|own| own.origin() == url.origin())
    }
}

/// What a segment of a path encodes.
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

/// Joins path segments onto a base URL, each percent-encoded, so that no id can leave its place in the path.
/// A base with or without a trailing slash is the same. `.` and `..` are refused as segments.
pub fn join(base: &Url, segments: &[&str]) -> Result<Url> {
    if let Some(bad) = segments.iter().find(|s| matches!(**s, "." | ".." | "")) {
        return Err(Error::usage(format!("`{bad}` cannot be an id")));
    }
    if base.cannot_be_a_base() {
        return Err(Error::usage(format!("{base} cannot be a base URL")).hint("start it with https://"));
    }
    // Not by the URL's own segments: those leave out tabs and line ends, so that another id would be meant, or another
    // place: `.`, a tab and `.` would lead upwards.
    let mut path = base.path().strip_suffix('/').unwrap_or(base.path()).to_owned();
    for segment in segments {
        path.push('/');
        path.extend(utf8_percent_encode(segment, SEGMENT));
    }
    let mut url = base.clone();
    url.set_path(&path);
    Ok(url)
}

/// Now by the answer's `Date` header: the server's clock.
pub fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get("date")?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_and_arrives_as_it_is() {
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
