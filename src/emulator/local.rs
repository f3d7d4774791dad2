//! `/local/ID?expires=SECONDS&signature=HEX`: the links that the store signs for its `local` space.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Content, Params, Sending, Site, content_disposition};
use crate::error::Kind;
use crate::model::FileId;

/// The routes below `/local`.
pub(super) fn routes(site: Arc<Site>) -> Router {
    Router::new().route("/{id}", get(download)).with_state(site)
}

/// An error as plain text.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let message = if message.is_empty() { reason } else { message };
    (status, format!("{message}\n")).into_response()
}

async fn download(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let (expires, signature) = (params.get("expires"), params.get("signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return error(StatusCode::FORBIDDEN, "the link is not signed");
    };
    if !site.signer.verify_hex(&format!("{id} {expires}"), signature) {
        return error(StatusCode::FORBIDDEN, "the link's signature is wrong");
    }
    if !expires.parse().is_ok_and(|expires: i64| site.clock.now().as_second() < expires) {
        return error(StatusCode::FORBIDDEN, "the link has expired");
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
                    // What somebody uploaded must not run in a browser as a page of this server.
                    (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
                    (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
                ],
            };
            content.send(&headers, how)
        }
        Err(missing) if missing.kind() == Kind::NotFound => error(StatusCode::NOT_FOUND, "no such file"),
        Err(failed) => error(StatusCode::INTERNAL_SERVER_ERROR, failed.message()),
    }
}
