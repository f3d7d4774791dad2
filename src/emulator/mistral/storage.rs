//! `/_storage`: the blob storage behind signed URLs, modeled on Azure. The signature is the credential.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use url::form_urlencoded::Serializer;

use crate::emulator::{Content, Params, Sending, Site, content_disposition, ids};
use crate::error::Kind;
use crate::model::{FileId, later};

/// The version of the storage API.
const VERSION: &str = "2024-11-04";

/// A URL that gives access to a file for this many hours.
pub(super) fn sign(site: &Site, headers: &HeaderMap, id: &FileId, hours: i64) -> String {
    let end = later(site.clock.now(), SignedDuration::from_hours(hours));
    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let query = Serializer::new(String::new())
        .append_pair("sv", VERSION)
        .append_pair("se", &end)
        .append_pair("sr", "b")
        .append_pair("sp", "r")
        .append_pair("sig", &site.signer.sign_hex(&signed_text(id.as_str(), &end)))
        .finish();
    format!("{}/_storage/{id}?{query}", site.root(headers))
}

fn signed_text(id: &str, end: &str) -> String {
    format!("r\n{id}\n{end}")
}

/// `GET /_storage/{id}`. A request with a token is rejected, because the token must not reach this host.
pub(super) async fn fetch(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let signed = params.get("se").zip(params.get("sig"));
    let valid = signed.filter(|(end, signature)| site.signer.verify_hex(&signed_text(&id, end), signature));
    let ends = valid.and_then(|(end, _)| end.parse::<Timestamp>().ok());
    let is_open = ends.is_some_and(|end| site.clock.now() < end);
    if !is_open || headers.contains_key(AUTHORIZATION) {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is \
                       formed correctly including the signature.";
        return refuse(StatusCode::FORBIDDEN, "AuthenticationFailed", message);
    }
    let content = match Content::open(&site, &FileId(id)).await {
        Ok(content) => content,
        Err(error) if error.kind() == Kind::NotFound => {
            return refuse(StatusCode::NOT_FOUND, "BlobNotFound", "The specified blob does not exist.");
        }
        Err(_) => {
            let message = "Server encountered an internal error. Please try again after some time.";
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message);
        }
    };
    let file = &content.file;
    let modified = file.created_at.unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let how = Sending {
        ranges: true,
        etag: file.checksums.blake3.as_deref().and_then(|hash| Some(format!("0x{}", hash.get(..16)?))),
        content_type: file.content_type.clone().unwrap_or_else(|| Sending::default().content_type),
        headers: vec![
            (LAST_MODIFIED, modified),
            // Uploaded content must not be rendered as a page of this host.
            (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
            (HeaderName::from_static("x-ms-version"), VERSION.to_owned()),
        ],
        ..Sending::default()
    };
    content.send(&headers, how)
}

/// An error response in Azure's XML format.
fn refuse(status: StatusCode, code: &'static str, message: &str) -> Response {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}\n\
         RequestId:{}</Message></Error>",
        ids::uuid()
    );
    let code = (HeaderName::from_static("x-ms-error-code"), code.to_owned());
    (status, [(CONTENT_TYPE, "application/xml".to_owned()), code], body).into_response()
}
