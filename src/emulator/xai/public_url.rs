//! Public URLs: one per file, without authentication, on the content delivery network.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::{self, COMPLETE, PUBLIC_TOKEN, PUBLIC_URL_EXPIRES_AT, Record as _, Refusal};
use crate::emulator::{Content, Sending, Signer, Site, ids, media_type, receive_text};
use crate::error::{Kind, Result as StoreResult};
use crate::model::{File, FileId, Object};
use crate::store::Transaction;

/// The file types that can have a public URL, by extension.
const TYPES: [(&str, &str); 5] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("mp4", "video/mp4"),
    ("pdf", "application/pdf"),
];
/// Maximum size of a file with a public URL, in bytes.
const MAX_SIZE: u64 = 50 * 1024 * 1024;
/// Maximum number of valid public URLs per team.
const MAX_ACTIVE: usize = 1000;
/// Maximum size of a JSON body, in bytes.
const MAX_JSON: usize = 64 * 1024;
/// The kind of notes about public URLs, keyed by file id.
const NOTE: &str = "public-url";

pub(super) async fn create(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let lifetime = lifetime(&headers, body).await?;
    let now = site.clock.now();
    let end = lifetime.map(|seconds| now.as_second() + seconds);
    let root = site.root(&headers);
    let wanted = FileId(id.clone());
    let created = site.blocking(move |store| {
        store.transaction(|change| {
            let file = change.stat(&wanted)?;
            if let Err(refusal) = check(&file, end) {
                return Ok(Err(refusal));
            }
            if file.public_url("", now).is_none() && active(change, now)? >= MAX_ACTIVE {
                let message = format!("The team already has {MAX_ACTIVE} active public URLs");
                return Ok(Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, &message)));
            }
            publish(change, &wanted, end, now).map(Ok)
        })
    });
    let file = created.await.map_err(Refusal::about(&id))??;
    let Some((url, expires_at)) = file.public_url(&root, now) else { return Err(Refusal::missing(&id)) };
    let mut answer = json!({ "public_url": url });
    if let Some(expires_at) = expires_at {
        answer["expires_at"] = expires_at.into();
    }
    Ok(Json(answer).into_response())
}

/// Reads the lifetime from the required JSON body, which may be `{}`. Other bodies are rejected with the messages of
/// the platform's web framework.
async fn lifetime(headers: &HeaderMap, body: Body) -> Result<Option<i64>, Refusal> {
    if !media_type(headers).starts_with("application/json") {
        let message = "Expected request with `Content-Type: application/json`";
        return Err(Refusal::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let text = receive_text(body, MAX_JSON).await?;
    let request: Value = serde_json::from_slice(&text).map_err(|error| {
        let message = format!("Failed to parse the request body as JSON: {error}");
        Refusal::plain(StatusCode::BAD_REQUEST, message)
    })?;
    match (&request, request.get("expires_after")) {
        (Value::Object(_), None | Some(Value::Null)) => Ok(None),
        (Value::Object(_), Some(Value::Number(seconds))) if seconds.is_i64() => {
            record::check_lifetime(seconds.as_i64().unwrap_or_default()).map(Some)
        }
        _ => {
            let message = "Failed to deserialize the JSON body into the target type";
            Err(Refusal::plain(StatusCode::UNPROCESSABLE_ENTITY, message))
        }
    }
}

/// Checks that a file can have a public URL that lasts until `end`.
fn check(file: &File, end: Option<i64>) -> Result<(), Refusal> {
    if file.status.as_deref() != Some(COMPLETE) {
        return Err(Refusal::state(format!("File {} has not been uploaded", file.id)));
    }
    if type_of(record::extension(&file.name)).is_none() {
        return Err(Refusal::invalid("Public URLs are available only for images, videos and PDFs"));
    }
    match file.size.unwrap_or_default() {
        0 => Err(Refusal::invalid("The file must not be empty")),
        size if size > MAX_SIZE => Err(Refusal::invalid("The file is larger than 50 MiB")),
        _ => match file.expires_at.map(Timestamp::as_second) {
            Some(file_end) if end > Some(file_end) => {
                Err(Refusal::invalid("expires_after must not exceed the file's own expiry"))
            }
            _ => Ok(()),
        },
    }
}

fn type_of(extension: &str) -> Option<&'static str> {
    TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, kind)| *kind)
}

/// Counts the valid public URLs and deletes the notes about expired ones. Blocking.
fn active(change: &mut Transaction, now: Timestamp) -> StoreResult<usize> {
    let mut count = 0;
    for (id, note) in change.notes(NOTE, None)? {
        let end = note.get(PUBLIC_URL_EXPIRES_AT).and_then(Value::as_i64);
        if end.is_some_and(|end| end <= now.as_second()) {
            change.forget(NOTE, &id)?;
        } else {
            count += 1;
        }
    }
    Ok(count)
}

/// Creates a file's public URL, or changes the expiry of an existing one. Blocking.
fn publish(change: &mut Transaction, id: &FileId, end: Option<i64>, now: Timestamp) -> StoreResult<File> {
    let file = change.annotate(id, |file| {
        let end = if let Some((_, before)) = file.public_url("", now) {
            end.or(before)
        } else {
            let token = URL_SAFE_NO_PAD.encode(ids::bytes(16));
            file.extra.insert(PUBLIC_TOKEN.to_owned(), token.into());
            end.or(file.expires_at.map(Timestamp::as_second))
        };
        file.extra.remove(PUBLIC_URL_EXPIRES_AT);
        if let Some(end) = end {
            file.extra.insert(PUBLIC_URL_EXPIRES_AT.to_owned(), end.into());
        }
        Ok(())
    })?;
    let end = file.extra.get_key_value(PUBLIC_URL_EXPIRES_AT);
    let note: Object = end.map(|(key, value)| (key.clone(), value.clone())).into_iter().collect();
    change.note(NOTE, id.as_str(), Some(id), &note)?;
    Ok(file)
}

/// Revokes a public URL. If there is no file or URL, the request succeeds with `"revoked": false`.
pub(super) async fn revoke(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (file, root, now) = (FileId(id.clone()), site.root(&headers), site.clock.now());
    let revoked = site.blocking(move |store| {
        store.transaction(|change| {
            change.forget(NOTE, file.as_str())?;
            let mut revoked = None;
            let result = change.annotate(&file, |file| {
                revoked = file.public_url(&root, now);
                file.extra.remove(PUBLIC_TOKEN);
                file.extra.remove(PUBLIC_URL_EXPIRES_AT);
                Ok(())
            });
            match result {
                Err(error) if error.kind() != Kind::NotFound => Err(error),
                _ => Ok(revoked),
            }
        })
    });
    Ok(Json(match revoked.await? {
        Some((url, _)) => json!({ "id": id, "revoked": true, "public_url": url }),
        None => json!({ "id": id, "revoked": false }),
    })
    .into_response())
}

/// `GET /files-cdn/TOKEN/ID.EXTENSION`: the content behind a public URL.
pub(super) async fn fetch(
    State(site): State<Arc<Site>>,
    Path((token, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let missing = || Refusal::plain(StatusCode::NOT_FOUND, "Not Found").into_response();
    let Some((id, extension)) = file.rsplit_once('.') else { return missing() };
    let content = match Content::open(&site, &FileId(id.to_owned())).await {
        Ok(content) => content,
        Err(error) if error.kind() == Kind::NotFound => return missing(),
        Err(_) => return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "").into_response(),
    };
    let is_public = content.file.public_url("", site.clock.now()).is_some()
        && is_token(&site.signer, content.file.noted(PUBLIC_TOKEN), &token)
        && record::extension(&content.file.name) == extension;
    if !is_public {
        return missing();
    }
    let content_type = type_of(extension).unwrap_or("application/octet-stream").to_owned();
    let etag = content.file.checksums.blake3.clone();
    content.send(&headers, Sending { ranges: true, etag, content_type, ..Sending::default() })
}

/// Compares tokens in constant time.
fn is_token(signer: &Signer, right: Option<&str>, token: &str) -> bool {
    right.is_some_and(|right| signer.verify(token, &signer.sign(right)))
}
