//! Sends a file's bytes.

use std::io::{self, Read as _};

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use super::Site;
use super::site::Moving;
use crate::error::{Error, Result};
use crate::model::{File, FileId};
use crate::source::CHUNK;
use crate::store::{self, Store};

/// Bytes per read when more than [`FEW`] files are being sent.
const SMALL_PIECE: u64 = 64 * 1024;
const FEW: usize = 16;

/// A file that is open for sending.
pub struct Content {
    /// All about it.
    pub file: File,
    bytes: Source,
    moving: Moving,
}

/// The source of the bytes.
enum Source {
    /// Small content, already verified.
    Memory(Bytes),
    /// Large content, verified while it is sent: the response of a damaged file ends before the last piece.
    Store(store::BlobReader),
}

/// How content is sent.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Whether the request's `Range` is honoured (a single one; `If-Range` with the `ETag`).
    pub ranges: bool,
    /// Whether `Content-Length` is said; otherwise chunked.
    pub length: bool,
    /// The `ETag` without its quotes.
    pub etag: Option<String>,
    /// The `Content-Type`.
    pub content_type: String,
    /// Further headers; a value that cannot stand in a header is left out.
    pub headers: Vec<(HeaderName, String)>,
}

impl Default for Sending {
    /// All of it, with its length, as `application/octet-stream`.
    fn default() -> Self {
        let content_type = "application/octet-stream".to_owned();
        Self { ranges: false, length: true, etag: None, content_type, headers: Vec::new() }
    }
}

impl Content {
    /// Opens a file of the site's space; a missing one is an error of kind `NotFound`. Small content is read and verified
    /// here, so that a damaged file gets an error response.
    pub async fn open(site: &Site, id: &FileId) -> Result<Self> {
        let (space, id) = (site.platform, id.clone());
        let open = move |store: &Store| {
            let (file, content) = store.get(space, &id)?;
            if content.size() > SMALL_PIECE {
                return Ok((file, Source::Store(content)));
            }
            let mut bytes = Vec::new();
            let read = content.copy_to(&mut bytes);
            read.map_err(|error| Error::failed(format!("{id}: {error}")))?;
            Ok((file, Source::Memory(bytes.into())))
        };
        let (file, bytes) = site.blocking(open).await?;
        Ok(Self { file, bytes, moving: Moving::sending(&site.load) })
    }

    /// The answer: 200, 206 or 416. Reads as fast as the client takes it, two pieces ahead at most.
    pub fn send(self, request: &HeaderMap, how: Sending) -> Response {
        // What is said must be what is sent, so the length comes from the bytes and not from the record.
        let size = match &self.bytes {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::Store(content) => content.size(),
        };
        let etag = how.etag.map(|tag| format!("\"{tag}\""));
        let asked = if how.ranges { range(request, etag.as_deref(), size) } else { Asked::All };
        let mut headers = HeaderMap::new();
        let mut say = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        say(CONTENT_TYPE, how.content_type);
        if how.ranges {
            say(ACCEPT_RANGES, "bytes".to_owned());
        }
        if let Some(etag) = etag {
            say(ETAG, etag);
        }
        for (name, value) in how.headers {
            say(name, value);
        }
        let (status, first, length) = match asked {
            Asked::All => (StatusCode::OK, 0, size),
            Asked::Part(first, last) => {
                say(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
                (StatusCode::PARTIAL_CONTENT, first, last + 1 - first)
            }
            Asked::Impossible => {
                say(CONTENT_RANGE, format!("bytes */{size}"));
                (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0)
            }
        };
        if how.length || length == 0 {
            say(CONTENT_LENGTH, length.to_string());
        }
        let body = match self.bytes {
            Source::Memory(bytes) => Body::from_stream(part(&bytes, first, length)),
            Source::Store(content) => Body::from_stream(pieces(content, first, length, self.moving)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// What a request's `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    /// From the first byte to the last one, inclusive.
    Part(u64, u64),
    Impossible,
}

/// Understands one range of bytes. Anything else (other units, several ranges, nonsense) means all, as RFC 9110 allows.
fn range(headers: &HeaderMap, etag: Option<&str>, size: u64) -> Asked {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    if text(IF_RANGE).is_some_and(|tag| Some(tag) != etag) {
        return Asked::All;
    }
    let Some((first, last)) = text(RANGE).and_then(|text| text.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Asked::All;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix).flatten() {
            None => Asked::All,
            Some(0) => Asked::Impossible,
            Some(_) if size == 0 => Asked::Impossible,
            Some(length) => Asked::Part(size.saturating_sub(length), size - 1),
        },
        (first, last) => match (number(first).flatten(), last.is_empty(), number(last).flatten()) {
            (Some(first), false, Some(last)) if first > last => Asked::All,
            (Some(first), true, _) | (Some(first), _, Some(_)) if first >= size => Asked::Impossible,
            (Some(first), true, _) => Asked::Part(first, size - 1),
            (Some(first), false, Some(last)) => Asked::Part(first, last.min(size - 1)),
            _ => Asked::All,
        },
    }
}

/// A slice of bytes as a stream. A plain body would always have a `Content-Length`.
fn part(bytes: &Bytes, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let part = bytes.slice(place(first)..place(first + length));
    stream::iter((!part.is_empty()).then_some(Ok(part)))
}

/// What [`pieces`] goes on with: the read that is under way, if one is, and the bytes that follow it.
struct Reading {
    running: Option<JoinHandle<io::Result<(store::BlobReader, Bytes)>>>,
    next: u64,
    end: u64,
    moving: Moving,
}

/// The bytes in pieces: one is read while the one before it is sent. Nothing is read before the first is asked for.
fn pieces(
    content: store::BlobReader,
    first: u64,
    length: u64,
    moving: Moving,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let start = Reading { running: None, next: first, end: first + length, moving };
    stream::try_unfold((Some(content), start), |(content, mut at)| async move {
        if let Some(content) = content {
            at.read(content);
        }
        let Some(running) = at.running.take() else { return Ok(None) };
        let (content, bytes) = running.await.map_err(io::Error::other)??;
        at.read(content);
        Ok(Some((bytes, (None, at))))
    })
}

impl Reading {
    /// Begins to read the next piece, if there is one.
    fn read(&mut self, mut content: store::BlobReader) {
        let many = self.moving.is_one_of_many(FEW);
        let (from, length) =
            (self.next, (self.end - self.next).min(if many { SMALL_PIECE } else { CHUNK as u64 }));
        if length == 0 {
            return;
        }
        self.next += length;
        self.running = Some(tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            content.start_at(from)?;
            (&mut content).take(length).read_to_end(&mut bytes)?;
            if (bytes.len() as u64) < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok((content, Bytes::from(bytes)))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range_text: &str, size: u64) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range_text.parse().unwrap());
        range(&headers, Some("\"tag\""), size)
    }

    #[test]
    fn single_ranges() {
        assert_eq!(asked("bytes=0-0", 10), Asked::Part(0, 0));
        assert_eq!(asked("bytes=2-", 10), Asked::Part(2, 9));
        assert_eq!(asked("bytes=2-99", 10), Asked::Part(2, 9));
        assert_eq!(asked("bytes=-3", 10), Asked::Part(7, 9));
        assert_eq!(asked("bytes=-30", 10), Asked::Part(0, 9));
        for impossible in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(asked(impossible, 10), Asked::Impossible, "{impossible}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Impossible);
        assert_eq!(asked("bytes=-1", 0), Asked::Impossible);
    }

    #[test]
    fn what_is_not_one_range_means_all() {
        for other in ["bytes=0-1,3-4", "lines=0-1", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes=+1-", "bytes"]
        {
            assert_eq!(asked(other, 10), Asked::All, "{other}");
        }
    }

    #[test]
    fn a_range_of_another_version_means_all() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=1-".parse().unwrap());
        headers.insert(IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(range(&headers, Some("\"tag\""), 10), Asked::Part(1, 9));
        assert_eq!(range(&headers, Some("\"new\""), 10), Asked::All);
        assert_eq!(range(&headers, None, 10), Asked::All);
    }
}
