//! An HTTP request as data, so that it can be sent again.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use crate::model::Source;

/// Encodes all characters except the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The HTTP method.
pub use reqwest::Method;

/// A request. It contains no open stream and no token: [`Client::send`](super::Client::send) adds them for each
/// attempt.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL without the pairs in `query`.
    pub url: Url,
    /// Query pairs, encoded according to RFC 3986 when sent (a space becomes `%20`).
    pub query: Vec<(String, String)>,
    /// Extra headers.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Body,
    /// The range of a download, for `Range` and `If-Range`.
    pub range: Option<Range>,
    /// Whether the request may be sent again even if it might have taken effect. By default, true only for GET, HEAD
    /// and DELETE.
    pub repeatable: bool,
    /// Whether to send the request without the token even to the profile's own origins, for example to a presigned
    /// URL.
    pub anonymous: bool,
    /// Whether `headers` or the URL contain the credentials, so that no token is added.
    pub signed: bool,
    /// Whether the published rate limit applies; some limits apply only to uploads.
    pub paced: bool,
    /// Whether the request transfers a file's content, for which HTTP/1.1 is faster.
    pub bulk: bool,
    /// A status other than 2xx that is not an error. If it is a redirect, it is not followed.
    pub expects: Option<u16>,
    /// An additional status after which to retry, because the platform documents it as temporary.
    pub retries: Option<u16>,
}

/// The remaining bytes of a download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub from: u64,
    /// The validator (`ETag` or `Last-Modified`) of the preceding bytes.
    pub validator: Option<String>,
    /// The total size of the content to which those bytes belong, if known.
    pub total: Option<u64>,
    /// Whether a checksum verifies the complete content, so that no validator is needed.
    pub verified: bool,
}

impl Range {
    /// The headers of the request. A weak validator is omitted because it does not identify the bytes.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("range", format!("bytes={}-", self.from))];
        headers.extend(self.validator.clone().filter(|v| !is_weak(v)).map(|v| ("if-range", v)));
        headers
    }

    /// Whether content with this validator and total size is the same version as the preceding bytes. Different
    /// validators or sizes mean a different version. If a validator is weak, or only one side has a validator, the
    /// range continues only if the result is `verified`. If neither side has a validator, the file's id identifies the
    /// content.
    pub fn continues(&self, validator: Option<&str>, total: Option<u64>) -> bool {
        let same = match (self.validator.as_deref(), validator) {
            (None, None) => true,
            (Some(ours), Some(theirs)) if opaque(ours) != opaque(theirs) => false,
            (Some(ours), Some(theirs)) if !is_weak(ours) && !is_weak(theirs) => true,
            _ => self.verified,
        };
        same && self.total.zip(total).is_none_or(|(ours, theirs)| ours == theirs)
    }
}

/// Whether a validator is weak. Equal weak validators do not imply equal bytes.
pub(super) fn is_weak(validator: &str) -> bool {
    validator.starts_with("W/")
}

/// A validator without the `W/` prefix.
pub(super) fn opaque(validator: &str) -> &str {
    validator.strip_prefix("W/").unwrap_or(validator)
}

impl Request {
    fn new(method: Method, url: Url) -> Self {
        let repeatable = [Method::GET, Method::HEAD, Method::DELETE].contains(&method);
        Self {
            method,
            url,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::empty(),
            range: None,
            repeatable,
            anonymous: false,
            signed: false,
            paced: true,
            bulk: false,
            expects: None,
            retries: None,
        }
    }

    /// Creates a GET request.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// Creates a HEAD request.
    pub fn head(url: Url) -> Self {
        Self::new(Method::HEAD, url)
    }

    /// Creates a DELETE request.
    pub fn delete(url: Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// Creates a POST request with `body`.
    pub fn post(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::POST, url) }
    }

    /// Creates a PUT request with `body`.
    pub fn put(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::PUT, url) }
    }

    /// Creates a PATCH request with `body`.
    pub fn patch(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::PATCH, url) }
    }

    /// Adds a query pair.
    #[must_use]
    #[allow(clippy::needless_pass_by_value)] // `limit` reads better than `&limit` in a call.
    pub fn query(mut self, key: &str, value: impl ToString) -> Self {
        self.query.push((key.to_owned(), value.to_string()));
        self
    }

    /// Adds a query pair if the value is set.
    #[must_use]
    pub fn maybe_query(self, key: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Requests a range; `None` requests all bytes.
    #[must_use]
    pub fn range(mut self, range: Option<Range>) -> Self {
        self.range = range;
        self
    }

    /// Omits the token.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Marks the request as already containing its credentials, so that no token is added.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    /// The URL with `query`, without user name, password and fragment.
    pub fn full_url(&self) -> Url {
        let mut url = super::without_user(self.url.clone());
        if !self.query.is_empty() {
            let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
            let added = self.query.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value)));
            let mut pairs: Vec<String> =
                url.query().filter(|q| !q.is_empty()).map(str::to_owned).into_iter().collect();
            pairs.extend(added);
            url.set_query(Some(&pairs.join("&")));
        }
        url
    }

    /// The headers of the request, except the token and those that the transport adds.
    pub fn all_headers(&self) -> Vec<(Cow<'static, str>, String)> {
        let mut headers = self.headers.clone();
        let range = self.range.iter().flat_map(Range::headers);
        headers.extend(range.map(|(name, value)| (name.into(), value)));
        let has_body =
            !self.body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        if has_body {
            headers.push(("content-length".into(), self.body.wire_len().to_string()));
        }
        headers.extend(self.body.content_type.clone().map(|kind| ("content-type".into(), kind)));
        headers
    }

    /// Exempts the request from the rate limit.
    #[must_use]
    pub fn unpaced(mut self) -> Self {
        self.paced = false;
        self
    }

    /// Marks the request as safe to carry out twice.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Accepts this status, which the caller checks.
    #[must_use]
    pub fn expecting(mut self, status: u16) -> Self {
        self.expects = Some(status);
        self
    }

    /// Sends the request again after this status, as after a rate limit.
    #[must_use]
    pub fn retrying(mut self, status: u16) -> Self {
        self.retries = Some(status);
        self
    }

    /// Marks the request as a transfer of a file's content.
    #[must_use]
    pub fn bulk(mut self) -> Self {
        self.bulk = true;
        self
    }
}

/// A body: a list of pieces of known length.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// The pieces.
    pub pieces: Vec<Piece>,
}

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Text(Bytes),
    /// All bytes of a source. A size other than the planned one is an error.
    Whole {
        /// The source.
        source: Source,
        /// The source's size when the upload was planned.
        size: u64,
    },
    /// Part of a source.
    File {
        /// The source.
        source: Source,
        /// The first byte.
        from: u64,
        /// The number of bytes, before encoding.
        len: u64,
        /// Whether the bytes are sent as base64 (standard alphabet, padded). All pieces of one text except the last
        /// must have a `len` divisible by 3.
        base64: bool,
    },
}

impl Piece {
    /// The number of bytes as sent.
    pub fn wire_len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Whole { size, .. } => *size,
            Self::File { len, base64: true, .. } => len.div_ceil(3).saturating_mul(4),
            Self::File { len, .. } => *len,
        }
    }
}

impl Body {
    /// An empty body without `Content-Type`.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A JSON document.
    pub fn json(value: &Value) -> Self {
        Self {
            content_type: Some("application/json".to_owned()),
            pieces: vec![Piece::Text(Bytes::from(value.to_string()))],
        }
    }

    /// All bytes of a source.
    pub fn raw(source: &Source, size: u64, content_type: Option<&str>) -> Self {
        Self {
            content_type: content_type.map(str::to_owned),
            pieces: vec![Piece::Whole { source: source.clone(), size }],
        }
    }

    /// The number of bytes as sent.
    pub fn wire_len(&self) -> u64 {
        self.pieces.iter().map(Piece::wire_len).fold(0, u64::saturating_add)
    }

    /// Whether the body contains bytes from a [`Source`].
    pub fn has_file(&self) -> bool {
        !self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Whether part of the body comes from another server.
    pub fn has_remote(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Whole { source, .. } | Piece::File { source, .. } => matches!(source, Source::Remote(_)),
        })
    }

    /// Whether the body has no pieces.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strong_validator_guards_a_range() {
        let range =
            |validator: &str| Range { from: 3, validator: Some(validator.to_owned()), ..Range::default() };
        assert_eq!(range("\"a\"").headers(), [("range", "bytes=3-".into()), ("if-range", "\"a\"".into())]);
        assert_eq!(range("W/\"a\"").headers(), [("range", "bytes=3-".into())]);
    }
}
