//! An HTTP request as plain data, so that it can be made again.

use bytes::Bytes;
use serde_json::Value;
use url::Url;

use crate::model::Source;

/// The method of a request.
pub use reqwest::Method;

/// One request. Holds no open stream and no token: [`Client::send`](super::Client::send) opens and adds them afresh
/// for each attempt.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole URL without what is in `query`.
    pub url: Url,
    /// Query pairs in order; encoded by RFC 3986 when sent (a space is `%20`).
    pub query: Vec<(String, String)>,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Where in the content to start, and what must not have changed since: `Range` and `If-Range`.
    pub range: Option<Range>,
    /// Whether it may be sent again after it was carried out: GET and DELETE are, a POST is not unless said.
    pub repeatable: bool,
    /// Whether it must go without the token although it goes to the profile's own origin, such as a presigned URL.
    pub anonymous: bool,
    /// Whether it falls under the platform's published rate; some are published for uploads alone.
    pub paced: bool,
    /// Whether it moves a file's content: sent over HTTP/1.1, which is faster for that.
    pub bulk: bool,
    /// A status besides 2xx that is an answer to it, not an error.
    pub expects: Option<u16>,
}

/// Continue a download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first byte wanted.
    pub from: u64,
    /// The validator (`ETag` or `Last-Modified`) of the content that the first bytes came from.
    pub validator: Option<String>,
    /// The size of that content, if known.
    pub total: Option<u64>,
    /// Whether the complete content is compared with a checksum at the end, which makes a missing validator acceptable.
    pub verified: bool,
}

impl Range {
    /// Whether content with this validator and total size is the same version that the first bytes came from. Different
    /// validators or sizes mean another version. If only one side has a strong validator, the range continues only if
    /// the result is `verified`. If neither has a validator, the file's id is taken to identify the content.
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

/// Whether a validator is weak: equal weak validators do not imply equal bytes.
pub(super) fn is_weak(validator: &str) -> bool {
    validator.starts_with("W/")
}

/// A validator without the mark of a weak one.
pub(super) fn opaque(validator: &str) -> &str {
    validator.strip_prefix("W/").unwrap_or(validator)
}

impl Request {
    fn new(method: Method, url: Url) -> Self {
        let repeatable = method == Method::GET || method == Method::DELETE;
        Self {
            method,
            url,
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::empty(),
            range: None,
            repeatable,
            anonymous: false,
            paced: true,
            bulk: false,
            expects: None,
        }
    }

    /// A GET.
    pub fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A DELETE.
    pub fn delete(url: Url) -> Self {
        Self::new(Method::DELETE, url)
    }

    /// A POST of `body`.
    pub fn post(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::POST, url) }
    }

    /// A PUT of `body`.
    pub fn put(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::PUT, url) }
    }

    /// A PATCH of `body`.
    pub fn patch(url: Url, body: Body) -> Self {
        Self { body, ..Self::new(Method::PATCH, url) }
    }

    /// Adds a query pair.
    #[must_use]
    #[allow(clippy::needless_pass_by_value)] // A call reads better with `limit` than with `&limit`.
    pub fn query(mut self, key: &str, value: impl ToString) -> Self {
        self.query.push((key.to_owned(), value.to_string()));
        self
    }

    /// Adds a query pair if there is a value.
    #[must_use]
    pub fn maybe_query(self, key: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Asks for the content from `from` on.
    #[must_use]
    pub fn range(mut self, range: Option<Range>) -> Self {
        self.range = range;
        self
    }

    /// Keeps the token out of it.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Leaves it out of the published rate.
    #[must_use]
    pub fn unpaced(mut self) -> Self {
        self.paced = false;
        self
    }

    /// Says that carrying it out twice is the same as once.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Says that this status is an answer, too: whoever asks reads it.
    #[must_use]
    pub fn expecting(mut self, status: u16) -> Self {
        self.expects = Some(status);
        self
    }

    /// Says that it moves a file's content.
    #[must_use]
    pub fn bulk(mut self) -> Self {
        self.bulk = true;
        self
    }
}

/// A body described: pieces in order, of known length.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The `Content-Type` of the whole.
    pub content_type: Option<String>,
    /// What it is made of.
    pub pieces: Vec<Piece>,
}

/// One stretch of a body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Text(Bytes),
    /// All bytes of a source. A file that is not of this size any more fails the request.
    Whole {
        /// Where they come from.
        source: Source,
        /// How many, as measured when the upload was planned.
        size: u64,
    },
    /// `len` bytes of a source from byte `from` on, as they are or in base64.
    File {
        /// Where they come from.
        source: Source,
        /// The first byte.
        from: u64,
        /// How many, before any encoding.
        len: u64,
        /// Whether they are sent in base64 (standard alphabet, padded). To join such pieces of one text, all but the
        /// last must have a `len` that 3 divides.
        base64: bool,
    },
}

impl Piece {
    /// Bytes on the wire.
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
    /// No body, and no `Content-Type`.
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

    /// Bytes on the wire.
    pub fn wire_len(&self) -> u64 {
        self.pieces.iter().map(Piece::wire_len).fold(0, u64::saturating_add)
    }

    /// Whether it holds a file's bytes.
    pub fn has_file(&self) -> bool {
        !self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}
