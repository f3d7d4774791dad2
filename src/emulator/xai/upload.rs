//! `POST /v1/files`: a form whose file comes last, since the service streams it on and cannot go back.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::dialect::Dialect;
use super::refusal::Refusal;
use super::{SPACE, check_team, record};
use crate::emulator::{Form, Head, Limits, Params, Site, Take, receive};

/// Bytes of a file.
const LIMIT: u64 = 52_428_800;
/// Bytes that the rest of a form may come to.
const REST: u64 = 2 * 1024 * 1024;

/// How large a file may be.
pub(super) fn limit(site: &Site) -> u64 {
    site.quirk_value("upload-limit").and_then(|bytes| bytes.parse().ok()).unwrap_or(LIMIT)
}

/// How large a form may be, and the file in it.
pub(super) fn limits(site: &Site) -> Limits {
    let limit = limit(site);
    Limits { file: Some(limit), body: Some(limit.saturating_add(REST)) }
}

pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let decide = |before: &Form, head: &Head| decide(&site, before, head);
    let mut form = receive(&site, &headers, body, limits(&site), decide).await?;
    let Some(upload) = form.take_files().pop() else {
        return Err(Refusal::invalid("The file part is missing"));
    };
    let name = upload.head.file_name.as_deref().unwrap_or_default();
    let mut file = record::new(&site, name, upload.head.content_type.as_deref(), lifetime(&form)?);
    file.purpose = form.text("purpose").map(str::to_owned);
    record::complete(&mut file);
    let file = site.blocking(move |store| store.put(SPACE, file, upload.blob)).await?;
    Ok(Json(Dialect::of(&site, &params).show(&site, &headers, &file)).into_response())
}

/// What becomes of a part. Everything before the file is checked before the file is read.
fn decide(site: &Site, before: &Form, head: &Head) -> Result<Take, Refusal> {
    match (head.name.as_str(), &head.file_name) {
        ("file", _) if before.has_file() => Err(Refusal::invalid("Only one file can be uploaded at a time")),
        ("file", None) => Err(Refusal::invalid("The file part has no filename")),
        ("file", Some(name)) => {
            record::check_name(name)?;
            check_team(site, before.text("team_id"))?;
            lifetime(before)?;
            Ok(Take::File)
        }
        (name, _) if before.has_file() => {
            if name.starts_with("expires_after") {
                return Err(Refusal::invalid("expires_after must come before the file"));
            }
            Ok(Take::Nothing)
        }
        ("purpose" | "team_id" | "expires_after" | "expires_after[anchor]" | "expires_after[seconds]", _) => {
            Ok(Take::Text)
        }
        _ => Ok(Take::Nothing),
    }
}

/// The lifetime in seconds: `expires_after`, or OpenAI's pair of parts.
fn lifetime(form: &Form) -> Result<Option<i64>, Refusal> {
    let (anchor, seconds) = (form.text("expires_after[anchor]"), form.text("expires_after[seconds]"));
    let text = match (form.text("expires_after"), anchor, seconds) {
        (Some(text), _, _) | (None, Some("created_at"), Some(text)) => text,
        (None, None, None) => return Ok(None),
        (None, Some("created_at") | None, _) => {
            return Err(Refusal::invalid(
                "expires_after needs both expires_after[anchor] and expires_after[seconds]",
            ));
        }
        (None, Some(_), _) => return Err(Refusal::invalid("expires_after[anchor] must be `created_at`")),
    };
    let seconds = text.trim().parse().map_err(|_| Refusal::invalid("expires_after must be an integer"))?;
    record::check_lifetime(seconds).map(Some)
}
