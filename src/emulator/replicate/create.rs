//! `POST /v1/files`.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;

use super::problem::Problem;
use super::{BRACKET_METADATA, Call, MAX_SIZE, SPACE, files, metadata, show};
use crate::emulator::{Limits, Refused, Take, ids, receive};
use crate::model::{File, FileId, later};

/// Bytes of a file; nobody knows whether the service's limit is 100 MB or 100 MiB.
const LARGEST: u64 = 100 * 1024 * 1024;
/// Bytes of a body at which the proxy refuses it. It did at 215 MB.
const EDGE: u64 = 200_000_000;
/// Bytes of a file name.
const LONGEST_NAME: usize = 255;
/// How long a file is kept.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let largest = call.site.quirk_value(MAX_SIZE).and_then(|value| value.parse().ok()).unwrap_or(LARGEST);
    let limits = Limits { file: Some(largest), body: Some(EDGE.max(largest)) };
    let received = receive(&call.site, &call.headers, body, limits, |before, head| {
        match (head.name.as_str(), &head.file_name) {
            // The service's form parser takes a part without a file name for a text.
            ("content", None) => {
                Err(Problem::bad_request("content must be a file: its part has no filename"))
            }
            ("content", Some(_)) if before.has_file() => Ok(Take::Nothing),
            ("content", Some(_)) => Ok(Take::File),
            // One client gives its metadata a file name.
            ("metadata", _) | (_, None) => Ok(Take::Text),
            _ => Ok(Take::Nothing),
        }
    });
    let mut form = received.await.map_err(|refused| match refused {
        Refused::TooLarge(limit) if limit != largest => Problem::far_too_large(),
        refused => refused.into(),
    })?;
    let Some(upload) = form.take_files().into_iter().next() else {
        return Err(Problem::bad_request("content is missing"));
    };
    let field = |name: &str| form.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = field("filename").or(upload.head.file_name).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Problem::bad_request("filename is missing"))?;
    if name.len() > LONGEST_NAME {
        return Err(Problem::bad_request(format!("filename has more than {LONGEST_NAME} bytes")));
    }
    let content_type = field("type").or(upload.head.content_type);
    let now = call.site.clock.now();
    let file = File {
        id: FileId(STANDARD.encode(ids::uuid())),
        name,
        content_type: Some(content_type.unwrap_or_else(|| "application/octet-stream".to_owned())),
        metadata: metadata::read(&form, call.site.quirk_value(BRACKET_METADATA) != Some("ignore"))?,
        created_at: Some(now),
        expires_at: Some(later(now, LIFE)),
        ..File::default()
    };
    let file = call.site.blocking(move |store| store.put(SPACE, file, upload.blob)).await?;
    Ok(show(StatusCode::CREATED, files::object(&call, &file)))
}
