//! Sends file content.

use std::io;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::JoinHandle;

use super::site::Transfer;
use super::{Site, Space};
use crate::error::{Error, Result};
use crate::model::{File, FileId};
use crate::source::CHUNK;
use crate::store;

/// Number of bytes per read while more than [`SOME`] files are being sent, and the maximum size of content that is
/// read at once.
const SMALL_PIECE: u64 = 64 * 1024;
/// Number of files that can be sent at once with reads of [`CHUNK`] bytes, and with reads of [`LARGE_PIECE`] bytes.
const SOME: usize = 16;
const FEW: usize = 4;
/// Number of bytes per read while few files are being sent, except for the first reads. Each read is a task on another
/// thread.
const LARGE_PIECE: u64 = 1024 * 1024;

/// A file opened for sending.
pub struct Content {
    /// The record.
    pub file: File,
    bytes: Source,
    transfer: Transfer,
}

/// Where the bytes come from.
enum Source {
    /// Small content that has already been verified.
    Memory(Bytes),
    /// Large content, verified while being sent. If the file is damaged, the response ends before the last piece.
    Store(store::BlobReader),
}

/// How to send content.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Whether to honor a `Range` header with a single range, including `If-Range` with the `ETag`.
    pub ranges: bool,
    /// Whether the response has a `Content-Length`; otherwise, it is chunked.
    pub length: bool,
    /// The `ETag`, without quotes.
    pub etag: Option<String>,
    /// The `Content-Type`.
    pub content_type: String,
    /// Additional headers. A value that is not valid in a header is omitted.
    pub headers: Vec<(HeaderName, String)>,
}

impl Default for Sending {
    /// The complete content with its length, as `application/octet-stream`.
    fn default() -> Self {
        let content_type = "application/octet-stream".to_owned();
        Self { ranges: false, length: true, etag: None, content_type, headers: Vec::new() }
    }
}

impl Content {
    /// Opens a file in the site's space. If the file is missing, the error has the kind `NotFound`. Small content is
    /// read and verified here, so that a damaged file results in an error response.
    pub async fn open(site: &Site, id: &FileId) -> Result<Self> {
        let id = id.clone();
        let open = move |store: &Space| {
            let (file, content) = store.get(&id)?;
            if content.size() > SMALL_PIECE {
                return Ok((file, Source::Store(content)));
            }
            let mut bytes = Vec::new();
            let read = content.copy_to(&mut bytes);
            read.map_err(|error| Error::failed(format!("{id}: {error}")))?;
            Ok((file, Source::Memory(bytes.into())))
        };
        let (file, bytes) = site.blocking(open).await?;
        Ok(Self { file, bytes, transfer: Transfer::sending(&site.load) })
    }

    /// Builds the response: 200, 206 or 416. Content is read at the client's speed, at most two pieces ahead.
    pub fn send(self, request: &HeaderMap, how: Sending) -> Response {
        // The size of the complete content.
        let size = match &self.bytes {
            Source::Memory(bytes) => bytes.len() as u64,
            Source::Store(content) => content.size(),
        };
        let etag = how.etag.map(|tag| format!("\"{tag}\""));
        let range = if how.ranges { parse_range(request, etag.as_deref(), size) } else { Range::All };
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set(CONTENT_TYPE, how.content_type);
        if how.ranges {
            set(ACCEPT_RANGES, "bytes".to_owned());
        }
        if let Some(etag) = etag {
            set(ETAG, etag);
        }
        for (name, value) in how.headers {
            set(name, value);
        }
        let (status, first, length) = match range {
            Range::All => (StatusCode::OK, 0, size),
            Range::Part(first, last) => {
                set(CONTENT_RANGE, format!("bytes {first}-{last}/{size}"));
                (StatusCode::PARTIAL_CONTENT, first, last + 1 - first)
            }
            Range::Unsatisfiable => {
                set(CONTENT_RANGE, format!("bytes */{size}"));
                (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0)
            }
        };
        if how.length || length == 0 {
            set(CONTENT_LENGTH, length.to_string());
        }
        let body = match self.bytes {
            Source::Memory(bytes) => Body::from_stream(part(&bytes, first, length)),
            Source::Store(content) => Body::from_stream(pieces(content, first, length, self.transfer)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// The requested part of the content.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    All,
    /// The first and last byte, inclusive.
    Part(u64, u64),
    Unsatisfiable,
}

/// Parses a `Range` header with a single byte range. Other units, several ranges and invalid values select the
/// complete content, as RFC 9110 permits.
fn parse_range(headers: &HeaderMap, etag: Option<&str>, size: u64) -> Range {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    if text(IF_RANGE).is_some_and(|tag| Some(tag) != etag) {
        return Range::All;
    }
    let Some((first, last)) = text(RANGE).and_then(|text| text.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Range::All;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix).flatten() {
            None => Range::All,
            Some(0) => Range::Unsatisfiable,
            Some(_) if size == 0 => Range::Unsatisfiable,
            Some(length) => Range::Part(size.saturating_sub(length), size - 1),
        },
        (first, last) => match (number(first).flatten(), last.is_empty(), number(last).flatten()) {
            (Some(first), false, Some(last)) if first > last => Range::All,
            (Some(first), true, _) | (Some(first), _, Some(_)) if first >= size => Range::Unsatisfiable,
            (Some(first), true, _) => Range::Part(first, size - 1),
            (Some(first), false, Some(last)) => Range::Part(first, last.min(size - 1)),
            _ => Range::All,
        },
    }
}

/// A slice of bytes as a stream. A plain body would always have a `Content-Length`.
fn part(bytes: &Bytes, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let part = bytes.slice(place(first)..place(first + length));
    stream::iter((!part.is_empty()).then_some(Ok(part)))
}

/// The state of [`pieces`]: the read in progress and the range of bytes after it.
struct Reading {
    running: Option<JoinHandle<io::Result<(store::BlobReader, Bytes)>>>,
    next: u64,
    end: u64,
    /// The size of the next piece if few files are being sent. It doubles, so that a client gets the first bytes early.
    piece: u64,
    transfer: Transfer,
}

/// The content in pieces. Each piece is read while the previous one is sent; the first is read when the stream is
/// polled.
fn pieces(
    mut content: store::BlobReader,
    first: u64,
    length: u64,
    transfer: Transfer,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    content.stop_at(first + length);
    let start = Reading { running: None, next: first, end: first + length, piece: CHUNK as u64, transfer };
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
    /// Starts reading the next piece, unless all pieces have been read.
    fn read(&mut self, mut content: store::BlobReader) {
        let piece = if self.transfer.exceeds(SOME) {
            SMALL_PIECE
        } else if self.transfer.exceeds(FEW) {
            CHUNK as u64
        } else {
            self.piece
        };
        self.piece = (2 * self.piece).min(LARGE_PIECE);
        let (from, length) = (self.next, (self.end - self.next).min(piece));
        if length == 0 {
            return;
        }
        self.next += length;
        self.running = Some(tokio::task::spawn_blocking(move || {
            content.start_at(from)?;
            let bytes = content.piece(usize::try_from(length).unwrap_or_default())?;
            Ok((content, Bytes::from(bytes)))
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(range_text: &str, size: u64) -> Range {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range_text.parse().unwrap());
        parse_range(&headers, Some("\"tag\""), size)
    }

    #[test]
    fn single_ranges() {
        assert_eq!(parsed("bytes=0-0", 10), Range::Part(0, 0));
        assert_eq!(parsed("bytes=2-", 10), Range::Part(2, 9));
        assert_eq!(parsed("bytes=2-99", 10), Range::Part(2, 9));
        assert_eq!(parsed("bytes=-3", 10), Range::Part(7, 9));
        assert_eq!(parsed("bytes=-30", 10), Range::Part(0, 9));
        for impossible in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(parsed(impossible, 10), Range::Unsatisfiable, "{impossible}");
        }
        assert_eq!(parsed("bytes=0-", 0), Range::Unsatisfiable);
        assert_eq!(parsed("bytes=-1", 0), Range::Unsatisfiable);
    }

    #[test]
    fn other_values_select_all_content() {
        for other in ["bytes=0-1,3-4", "lines=0-1", "bytes=5-2", "bytes=-", "bytes=a-b", "bytes=+1-", "bytes"]
        {
            assert_eq!(parsed(other, 10), Range::All, "{other}");
        }
    }

    #[test]
    fn a_range_of_another_version_selects_all_content() {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, "bytes=1-".parse().unwrap());
        headers.insert(IF_RANGE, "\"tag\"".parse().unwrap());
        assert_eq!(parse_range(&headers, Some("\"tag\""), 10), Range::Part(1, 9));
        assert_eq!(parse_range(&headers, Some("\"new\""), 10), Range::All);
        assert_eq!(parse_range(&headers, None, 10), Range::All);
    }
}
