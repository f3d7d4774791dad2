//! `/v1/files/multipart`: multipart uploads.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::records::MAX_SIZE;
use super::sessions::{LIFE, NOTE, Session, missing};
use super::upload::{Fields, store};
use super::{Service, storage};
use crate::emulator::openai::Refusal;
use crate::emulator::parts::{self, UploadParts};
use crate::emulator::{Space, ids, receive_json};
use crate::model::{File, later};

/// Maximum number of parts.
const MAX_PARTS: u64 = 250;
/// Maximum size of a JSON body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
async fn read(body: Body) -> Result<Value, Refusal> {
    Ok(receive_json::<Refusal>(body, MAX_BODY).await?.unwrap_or_default())
}

/// `POST /v1/files/multipart/initiate`.
pub(super) async fn initiate(
    State(service): State<Service>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let site = &service.site;
    let body = read(body).await?;
    let number = |name: &'static str| {
        body[name].as_u64().ok_or_else(|| Refusal::invalid(name, format!("{name} is required")))
    };
    let (total, count) = (number("file_size")?, number("num_parts")?);
    if total == 0 || total > MAX_SIZE {
        return Err(Refusal::invalid("file_size", "file_size is out of range"));
    }
    if count == 0 || count > MAX_PARTS.min(total) {
        return Err(Refusal::invalid("num_parts", "num_parts is out of range"));
    }
    let fields = Fields::read(|name| body[name].as_str());
    let file = fields.record(site)?;
    if let Some(refusal) = fields.refuse_known(site, &file).await? {
        return Ok(refusal);
    }
    let (id, file_id) = (ids::base62(32), file.id.clone());
    let urls: Vec<Value> = (1..=count)
        .map(|number| {
            let url = storage::presign(&service, &headers, &format!("{id}/{number}"));
            json!({ "PartNumber": number, "URL": url, "Headers": {} })
        })
        .collect();
    let now = site.clock.now();
    let session = Session { file, size: total, count, ends: later(now, LIFE) };
    let (key, note) = (id.clone(), json!(session).as_object().cloned().unwrap_or_default());
    let begin = move |space: &Space| {
        parts::clean_up(space, NOTE, |note| {
            Session::read(note.clone()).is_ok_and(|session| session.ends <= now)
        })?;
        space.transaction(|change| change.note(NOTE, &key, None, &note))
    };
    site.blocking(begin).await?;
    Ok(Json(json!({ "upload_id": id, "file_id": file_id, "parts": urls })).into_response())
}

/// The upload that a body names, with its parts.
async fn find(service: &Service, body: &Value) -> Result<(String, Session, Vec<File>), Refusal> {
    let id =
        body["upload_id"].as_str().ok_or_else(|| Refusal::invalid("upload_id", "upload_id is required"))?;
    let (key, now) = (id.to_owned(), service.site.clock.now());
    let read = move |space: &Space| {
        let session = Session::find(space, &key, now)?;
        let parts = UploadParts::of(space, &key).all()?;
        Ok(session.map(|session| (session, parts)))
    };
    let found = service.site.blocking(read).await?;
    let own = found.filter(|(session, _)| body["file_id"] == session.file.id.as_str());
    own.map(|(session, parts)| (id.to_owned(), session, parts)).ok_or_else(missing)
}

/// `POST /v1/files/multipart/complete`: combines the parts in the order of their numbers.
pub(super) async fn complete(State(service): State<Service>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read(body).await?;
    let (id, session, parts) = find(&service, &body).await?;
    session.check(&body, &parts)?;
    let key = id.clone();
    let combine = move |space: &Space| {
        let keys = parts.iter().map(|part| part.name.as_str());
        UploadParts::of(space, &key).combined(space.receive()?, keys)?.finish()
    };
    let blob = service.site.blocking(combine).await?;
    Ok(Json(json!({ "file": store(&service, session.file, blob, Some(id)).await? })))
}

/// `POST /v1/files/multipart/abort`.
pub(super) async fn abort(State(service): State<Service>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read(body).await?;
    let (id, ..) = find(&service, &body).await?;
    let abort = move |space: &Space| {
        let is_own = space.forget(NOTE, &id)?;
        UploadParts::of(space, &id).remove();
        Ok(is_own)
    };
    if service.site.blocking(abort).await? { Ok(Json(json!({}))) } else { Err(missing()) }
}

impl Session {
    /// Rejects a completion that does not name the parts that have arrived.
    fn check(&self, body: &Value, parts: &[File]) -> Result<(), Refusal> {
        let invalid = |message: &str| Refusal::invalid("parts", message);
        let named = body["parts"].as_array().ok_or_else(|| invalid("parts is required"))?;
        let is_complete = named.len() as u64 == self.count && parts.len() as u64 == self.count;
        let has = |(named, part): (&Value, &File)| {
            let etag = named["etag"].as_str().unwrap_or_default();
            named["part_number"].as_u64() == part.name.parse().ok()
                && etag.trim_matches('"') == storage::tag(&part.checksums).trim_matches('"')
        };
        if !is_complete || !named.iter().zip(parts).all(has) {
            return Err(invalid("One or more of the specified parts could not be found."));
        }
        let size: u64 = parts.iter().filter_map(|part| part.size).sum();
        if size == self.size { Ok(()) } else { Err(invalid("The parts do not have the declared size.")) }
    }
}
