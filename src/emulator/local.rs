//! Serves the links that the store signs for its `local` space, `/local/ID?expires=SECONDS&signature=HEX`, and creates
//! error responses in plain text.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Content, Params, Sending, Site, content_disposition};
use crate::error::Kind;
use crate::model::FileId;

/// An error response in plain text.
pub(super) fn plain_error(status: StatusCode, message: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let message = if message.is_empty() { reason } else { message };
    (status, format!("{message}\n")).into_response()
}

/// `GET /local/ID`: the content behind a signed link.
pub(super) async fn download(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let (expires, signature) = (params.get("expires"), params.get("signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return plain_error(StatusCode::FORBIDDEN, "the link is not signed");
    };
    if !site.signer.verify_hex(&format!("{id} {expires}"), signature) {
        return plain_error(StatusCode::FORBIDDEN, "invalid link signature");
    }
    if !expires.parse().is_ok_and(|expires: i64| site.clock.now().as_second() < expires) {
        return plain_error(StatusCode::FORBIDDEN, "the link has expired");
    }
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let file = &content.file;
            let octets = || "application/octet-stream".to_owned();
            let how = Sending {
                ranges: true,
                length: true,
                etag: file.checksums.sha256.clone().or_else(|| file.checksums.blake3.clone()),
                content_type: file.content_type.clone().unwrap_or_else(octets),
                headers: vec![
                    // Uploaded content must not be rendered as a page of this host.
                    (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
                    (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
                ],
            };
            content.send(&headers, how)
        }
        Err(missing) if missing.kind() == Kind::NotFound => {
            plain_error(StatusCode::NOT_FOUND, "no such file")
        }
        Err(failed) => plain_error(StatusCode::INTERNAL_SERVER_ERROR, failed.message()),
    }
}
