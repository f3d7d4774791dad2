//! A file's bytes: streamed, or behind the gateway's deprecated presigned URL.

use std::io::Read;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::record::COMPLETE;
use super::refusal::Refusal;
use super::{SPACE, check_team, gateway};
use crate::emulator::{Content, Params, Sending, Site};
use crate::error::{Error, Kind};
use crate::model::{File, FileId};
use crate::store;

/// How long a presigned URL works, in seconds.
const PRESIGNED: i64 = 3600;
/// Bytes of a text that are answered inline.
const MOST_INLINE: u64 = 4 * 1024 * 1024;

/// A form of a file's content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Original,
    Text,
}

impl Format {
    fn parse(word: Option<&str>) -> Result<Self, Refusal> {
        let word = word.unwrap_or_default().to_ascii_lowercase();
        match word.strip_prefix("download_format_").unwrap_or(&word) {
            "" | "original" | "unknown" => Ok(Self::Original),
            "text" => Ok(Self::Text),
            _ => Err(Refusal::invalid("format must be `original` or `text`")),
        }
    }

    /// Refuses what cannot be sent: a file that is not there yet, and the text of what holds no plain text. A text has
    /// one page here.
    fn check(self, file: &File, page: Option<&str>) -> Result<(), Refusal> {
        if file.status.as_deref() != Some(COMPLETE) {
            return Err(Refusal::state(format!("File {} has not been uploaded", file.id)));
        }
        if self == Self::Original {
            return Ok(());
        }
        let kind = file.content_type.as_deref().unwrap_or_default();
        if !kind.starts_with("text/") && !kind.starts_with("application/json") {
            return Err(Refusal::invalid(format!("Text cannot be extracted from {kind}")));
        }
        match page.map(str::parse::<u32>) {
            None | Some(Ok(1)) => Ok(()),
            Some(_) => Err(Refusal::invalid("page_number is out of range")),
        }
    }
}

pub(super) async fn download(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let format = Format::parse(params.get("format"))?;
    let content = Content::open(&site, &FileId(id.clone())).await.map_err(Refusal::about(&id))?;
    format.check(&content.file, params.get("page_number"))?;
    // The service says neither length nor tag. Who asks for ranges wants them for continuing, which needs both.
    let ranges = site.quirk("ranges");
    let etag = content.file.checksums.blake3.clone().filter(|_| ranges);
    Ok(content.send(&headers, Sending { ranges, length: ranges, etag, ..Sending::default() }))
}

/// `POST /v1/files:download`: a presigned URL, or the text itself.
pub(super) async fn presign(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let message = gateway::message(body).await?;
    check_team(&site, gateway::text(&message, "team_id")?)?;
    let id = gateway::required(&message, "file_id")?.to_owned();
    let format = Format::parse(gateway::text(&message, "format")?)?;
    let page = gateway::integer(&message, "page_number")?.map(|page| page.to_string());
    let content_of = FileId(id.clone());
    let (file, bytes) =
        site.blocking(move |store| store.get(SPACE, &content_of)).await.map_err(Refusal::about(&id))?;
    format.check(&file, page.as_deref())?;
    if format == Format::Text {
        let content = site.blocking(move |_| inline(bytes)).await?;
        return Ok(Json(json!({ "presigned_url": "", "expires_in_seconds": "0", "content": content }))
            .into_response());
    }
    let expires = site.clock.now().as_second() + PRESIGNED;
    let signature = site.signer.sign_hex(&format!("{id} {expires}"));
    let root = site.root(&headers);
    let url = format!("{root}/storage/{id}?X-Goog-Expires={expires}&X-Goog-Signature={signature}");
    Ok(Json(json!({ "presigned_url": url, "expires_in_seconds": PRESIGNED.to_string() })).into_response())
}

/// The start of a text in base64, all of it where it is not long.
fn inline(bytes: store::BlobReader) -> Result<String, Error> {
    let mut text = Vec::new();
    let read = bytes.take(MOST_INLINE).read_to_end(&mut text);
    read.map_err(|error| Error::failed("the content cannot be read").caused_by(error))?;
    Ok(STANDARD.encode(text))
}

/// `GET /storage/ID?…`: what a presigned URL leads to, in the words of Google's storage.
pub(super) async fn presigned(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let (expires, signature) = (params.get("X-Goog-Expires"), params.get("X-Goog-Signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return storage_error(StatusCode::FORBIDDEN, "AccessDenied", "Access denied.");
    };
    if headers.contains_key(AUTHORIZATION) {
        let message = "Only one authentication mechanism is allowed.";
        return storage_error(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    if !site.signer.verify_hex(&format!("{id} {expires}"), signature) {
        let message = "The request signature we calculated does not match the signature you provided.";
        return storage_error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
    }
    if !expires.parse().is_ok_and(|expires: i64| site.clock.now().as_second() < expires) {
        return storage_error(StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired.");
    }
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let content_type = content.file.content_type.clone().unwrap_or_default();
            let etag = content.file.checksums.blake3.clone();
            content.send(&headers, Sending { ranges: true, etag, content_type, ..Sending::default() })
        }
        Err(error) if error.kind() == Kind::NotFound => {
            storage_error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
        }
        Err(error) => storage_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.message()),
    }
}

fn storage_error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(CONTENT_TYPE, "application/xml; charset=UTF-8")], body).into_response()
}
