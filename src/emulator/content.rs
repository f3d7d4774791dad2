//! Sends a file's bytes.

use axum::response::Response;

use super::Site;
use crate::error::Result;
use crate::model::FileId;

pub use axum::body::Body;

/// How content is sent.
#[derive(Clone, Debug, Default)]
pub struct Sending<'a> {
    /// The request's `Range` and `If-Range`; None ignores ranges.
    pub range: Option<&'a axum::http::HeaderMap>,
    /// Whether `Content-Length` is said; otherwise chunked.
    pub length: bool,
    /// Whether a quoted `ETag` (the SHA-256) is said.
    pub etag: bool,
    /// The `Content-Type`.
    pub content_type: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

/// Streams a file of the site's space: 200, 206 or 416. Reads on a thread of its own in 256 KiB pieces.
pub async fn serve_content(_site: &Site, _id: &FileId, _how: Sending<'_>) -> Result<Response> {
    todo!()
}
