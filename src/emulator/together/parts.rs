//! `/v1/files/multipart`: uploads in parts. Until they are combined, the parts are kept in memory and their content in
//! the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::records::MAX_SIZE;
use super::upload::{Fields, store};
use super::{Service, storage};
use crate::emulator::openai::Refusal;
use crate::emulator::{ids, receive_json};
use crate::model::File;
use crate::store::Blob;

/// Maximum number of parts.
const MAX_PARTS: u64 = 250;
/// Maximum size of a JSON body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// The running uploads by id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

/// A running upload.
struct Session {
    file: File,
    size: u64,
    count: u64,
    ends: Timestamp,
    /// The tags and contents of the parts by number.
    parts: BTreeMap<u32, (String, Blob)>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a part. Returns false if the upload does not exist.
    pub(super) fn put(&self, id: &str, number: u32, tag: &str, blob: Blob) -> bool {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(id) else { return false };
        session.parts.insert(number, (tag.to_owned(), blob));
        true
    }
}

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
    let parts: Vec<Value> = (1..=count)
        .map(|number| {
            let url = storage::presign(&service, &headers, &format!("{id}/{number}"));
            json!({ "PartNumber": number, "URL": url, "Headers": {} })
        })
        .collect();
    let now = site.clock.now();
    let session = Session { file, size: total, count, ends: storage::end(&service), parts: BTreeMap::new() };
    let mut sessions = service.sessions.lock();
    sessions.retain(|_, session| now < session.ends);
    sessions.insert(id.clone(), session);
    Ok(Json(json!({ "upload_id": id, "file_id": file_id, "parts": parts })).into_response())
}

/// Removes the upload that a body names.
fn take(service: &Service, body: &Value) -> Result<(String, Session), Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "Upload not found");
    let id =
        body["upload_id"].as_str().ok_or_else(|| Refusal::invalid("upload_id", "upload_id is required"))?;
    let mut sessions = service.sessions.lock();
    let is_own = sessions.get(id).is_some_and(|session| body["file_id"] == session.file.id.as_str());
    if !is_own {
        return Err(missing());
    }
    sessions.remove(id).map(|session| (id.to_owned(), session)).ok_or_else(missing)
}

/// `POST /v1/files/multipart/complete`: combines the parts in the order of their numbers.
pub(super) async fn complete(State(service): State<Service>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read(body).await?;
    let (id, session) = take(&service, &body)?;
    if let Err(refusal) = session.check(&body) {
        service.sessions.lock().insert(id, session);
        return Err(refusal);
    }
    let Session { file, parts, .. } = session;
    let combined = service.site.blocking(move |store| {
        let mut content = store.receive()?;
        for (_, blob) in parts.values() {
            blob.copy_to(&mut content)?;
        }
        content.finish()
    });
    let blob = combined.await?;
    Ok(Json(json!({ "file": store(&service, file, blob).await? })))
}

/// `POST /v1/files/multipart/abort`.
pub(super) async fn abort(State(service): State<Service>, body: Body) -> Result<Json<Value>, Refusal> {
    let body = read(body).await?;
    drop(take(&service, &body)?);
    Ok(Json(json!({})))
}

impl Session {
    /// Rejects a completion that does not name the parts that have arrived.
    fn check(&self, body: &Value) -> Result<(), Refusal> {
        let invalid = |message: &str| Refusal::invalid("parts", message);
        let named = body["parts"].as_array().ok_or_else(|| invalid("parts is required"))?;
        let is_complete = named.len() as u64 == self.count && self.parts.len() as u64 == self.count;
        let has = |(part, (number, (tag, _))): (&Value, (&u32, &(String, Blob)))| {
            let etag = part["etag"].as_str().unwrap_or_default().trim_matches('"');
            part["part_number"].as_u64() == Some(u64::from(*number)) && etag == tag.trim_matches('"')
        };
        if !is_complete || !named.iter().zip(&self.parts).all(has) {
            return Err(invalid("One or more of the specified parts could not be found."));
        }
        let size: u64 = self.parts.values().map(|(_, blob)| blob.size).sum();
        if size == self.size { Ok(()) } else { Err(invalid("The parts do not have the declared size.")) }
    }
}
