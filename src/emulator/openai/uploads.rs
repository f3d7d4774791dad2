//! OpenAI's Uploads API: an upload receives parts in any order until it is completed or cancelled, or has expired.
//!
//! The reasons for rejections are not documented. Here, each returns a 400 and leaves the upload unchanged.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Expiry, Refusal, Service, Vendor, check_purpose};
use crate::emulator::parts::{self, UploadParts};
use crate::emulator::{Form, Head, Limits, Space, Take, ids, receive, receive_json};
use crate::error::{Error, Kind, Result as StoreResult};
use crate::model::{File, FileId, Object, later};
use crate::store::Transaction;

/// Maximum size of a file, in bytes.
const MAX_SIZE: u64 = 8 * 1024 * 1024 * 1024;
/// Maximum size of a part, in bytes.
const MAX_PART: u64 = 64 * 1024 * 1024;
/// Seconds after which an upload expires.
const LIFE: i64 = 3600;
/// How long an upload is remembered after it has expired.
const KNOWN: SignedDuration = SignedDuration::from_hours(24);
/// Maximum size of a JSON body, in bytes: the ids of many parts.
const MAX_JSON: usize = 4 * 1024 * 1024;

/// The kind of notes about uploads, by id.
const NOTE: &str = "upload";

/// An upload, as a note in the store. Its parts are [`UploadParts`].
#[derive(Serialize, Deserialize)]
struct Upload {
    /// The declared size.
    bytes: u64,
    /// The record of the file, without an id and times.
    file: File,
    /// The lifetime of the file in seconds.
    lifetime: Option<i64>,
    begins: Timestamp,
    ends: Timestamp,
    state: Phase,
}

/// The state of an upload.
#[derive(Serialize, Deserialize)]
enum Phase {
    /// It receives parts.
    Pending,
    /// The file is stored.
    Completed(Box<File>),
    Cancelled,
    Expired,
}

impl Phase {
    fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed(_) => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// The routes of uploads, without authentication.
pub(super) fn routes(vendor: &'static Vendor) -> Router<Service> {
    let mut router = Router::new();
    for prefix in [Some(vendor.prefix), vendor.alias].into_iter().flatten() {
        router = router
            .route(&format!("{prefix}/uploads"), post(begin))
            .route(&format!("{prefix}/uploads/{{id}}/parts"), post(add_part))
            .route(&format!("{prefix}/uploads/{{id}}/complete"), post(complete))
            .route(&format!("{prefix}/uploads/{{id}}/cancel"), post(cancel));
    }
    router
}

/// The result of work in the store: an error of the store, or a value or error response.
type Outcome<T> = StoreResult<Result<T, Refusal>>;

type Answer = Result<Json<Value>, Refusal>;

async fn begin(State(service): State<Service>, body: Body) -> Answer {
    let Service { site, vendor } = &service;
    let about = json_body(body).await?;
    let bytes = match &about["bytes"] {
        Value::Null => return Err(Refusal::missing("bytes")),
        value => value.as_u64().ok_or_else(|| wrong_type("bytes", "an integer"))?,
    };
    if bytes > MAX_SIZE {
        let message = format!("Invalid 'bytes': integer above maximum value. Expected at most {MAX_SIZE}.");
        return Err(Refusal::invalid("bytes", message));
    }
    let text = |key: &'static str| match &about[key] {
        Value::Null => Err(Refusal::missing(key)),
        Value::String(text) => Ok(text.clone()),
        _ => Err(wrong_type(key, "a string")),
    };
    let (name, content_type, purpose) = (text("filename")?, text("mime_type")?, text("purpose")?);
    check_purpose(&purpose, vendor.uploads)?;
    let lifetime = lifetime(vendor, &about["expires_after"])?;
    let now = site.clock.now();
    let life = site.quirk_number("upload-life").unwrap_or(LIFE);
    let id = format!("upload_{}", ids::base62(32));
    let upload = Upload {
        bytes,
        file: File {
            provider: site.platform.to_owned(),
            name: name.rsplit('/').next().unwrap_or_default().to_owned(),
            content_type: Some(content_type),
            purpose: Some(purpose),
            ..File::default()
        },
        lifetime,
        begins: now,
        ends: later(now, SignedDuration::from_secs(life)),
        state: Phase::Pending,
    };
    let object = upload.show(&service, &id);
    let begin = move |space: &Space| {
        parts::clean_up(space, NOTE, |note| {
            Upload::read(note.clone()).is_ok_and(|upload| later(upload.ends, KNOWN) <= now)
        })?;
        space.transaction(|change| upload.write(change, &id))
    };
    site.blocking(begin).await?;
    Ok(Json(object))
}

/// The lifetime in seconds that a request specifies.
fn lifetime(vendor: &Vendor, after: &Value) -> Result<Option<i64>, Refusal> {
    let param = "expires_after";
    if after.is_null() {
        return Ok(None);
    }
    if after["anchor"] != "created_at" {
        return Err(Refusal::invalid(param, "expires_after.anchor must be `created_at`"));
    }
    let seconds = after["seconds"].as_i64();
    let seconds = seconds.ok_or_else(|| wrong_type(param, "an object with an integer `seconds`"))?;
    match vendor.expiry {
        Expiry::Chosen(min, max) if !(min..=max).contains(&seconds) => {
            Err(Refusal::invalid(param, format!("expires_after must be between {min} and {max} seconds")))
        }
        _ => Ok(Some(seconds)),
    }
}

async fn add_part(
    State(Service { site, .. }): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let key = id.clone();
    let now = site.clock.now();
    site.blocking(move |space| Upload::pending(space.noted(NOTE, &key)?, &key, now)).await??;
    let decide = |_: &Form, head: &Head| match (head.name.as_str(), &head.file_name) {
        ("data", Some(_)) => Ok(Take::File),
        ("data", None) => Err(wrong_type("data", "a file")),
        _ => Ok(Take::Nothing),
    };
    let mut form = receive(&site, &headers, body, Limits::form(MAX_PART), decide).await?;
    let part = form.take_files().pop().ok_or_else(|| Refusal::missing("data"))?;
    let now = site.clock.now();
    let (part_id, created) = (format!("part_{}", ids::base62(32)), now.as_second());
    let object = json!({ "id": part_id, "object": "upload.part", "created_at": created, "upload_id": id });
    let add = move |space: &Space| -> Outcome<()> {
        // The upload may have ended in the meantime.
        let upload = match Upload::pending(space.noted(NOTE, &id)?, &id, now)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let parts = UploadParts::of(space, &id);
        parts.put(&part_id, upload.ends, part.blob)?;
        // If the upload ended while the part was being stored, the part was not deleted with the others.
        let still = Upload::pending(space.noted(NOTE, &id)?, &id, now)?;
        if still.is_err() {
            parts.discard(&part_id);
        }
        Ok(still.map(drop))
    };
    site.blocking(add).await??;
    Ok(Json(object))
}

async fn complete(State(service): State<Service>, Path(id): Path<String>, body: Body) -> Answer {
    let about = json_body(body).await?;
    let list = about["part_ids"].as_array();
    let list = list.ok_or_else(|| match &about["part_ids"] {
        Value::Null => Refusal::missing("part_ids"),
        _ => wrong_type("part_ids", "an array of strings"),
    })?;
    let part_ids: Option<Vec<String>> = list.iter().map(|id| id.as_str().map(str::to_owned)).collect();
    let part_ids = part_ids.ok_or_else(|| wrong_type("part_ids", "an array of strings"))?;
    let md5 = match &about["md5"] {
        Value::Null => None,
        Value::String(md5) => Some(md5.to_ascii_lowercase()),
        _ => return Err(wrong_type("md5", "a string")),
    };
    let now = service.site.clock.now();
    let (site, vendor, key) = (Arc::clone(&service.site), service.vendor, id.clone());
    // Not cancelled if the client disconnects.
    let work = tokio::spawn(async move {
        site.blocking(move |space| combine(space, vendor, &key, &part_ids, md5.as_deref(), now)).await
    });
    let internal = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "");
    let upload = work.await.map_err(internal)???;
    Ok(Json(upload.show(&service, &id)))
}

async fn cancel(State(service): State<Service>, Path(id): Path<String>) -> Answer {
    let now = service.site.clock.now();
    let key = id.clone();
    let cancel = move |space: &Space| -> Outcome<Upload> {
        let cancelled = space.transaction(|change| {
            let upload = match Upload::pending(change.noted(NOTE, &key)?, &key, now)? {
                Ok(upload) => Upload { state: Phase::Cancelled, ..upload },
                Err(refusal) => return Ok(Err(refusal)),
            };
            upload.write(change, &key).map(|()| Ok(upload))
        })?;
        if cancelled.is_ok() {
            UploadParts::of(space, &key).remove();
        }
        Ok(cancelled)
    };
    let upload = service.site.blocking(cancel).await??;
    Ok(Json(upload.show(&service, &id)))
}

/// Stores the listed parts as one file.
fn combine(
    space: &Space,
    vendor: &Vendor,
    id: &str,
    part_ids: &[String],
    md5: Option<&str>,
    now: Timestamp,
) -> Outcome<Upload> {
    let upload = match Upload::pending(space.noted(NOTE, id)?, id, now)? {
        Ok(upload) => upload,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let parts = UploadParts::of(space, id);
    let (mut total, mut seen) = (0_u64, HashSet::new());
    for part_id in part_ids {
        if !seen.insert(part_id) {
            return Ok(Err(Refusal::invalid("part_ids", format!("The part {part_id} is listed twice."))));
        }
        match parts.part(part_id) {
            Ok(part) => total = total.saturating_add(part.size.unwrap_or_default()),
            Err(error) if error.kind() == Kind::NotFound => {
                return Ok(Err(Refusal::invalid("part_ids", format!("No such part: {part_id}"))));
            }
            Err(error) => return Err(error),
        }
    }
    if total != upload.bytes {
        let message = format!("The parts have {total} bytes; the upload was created for {}.", upload.bytes);
        return Ok(Err(Refusal::new(StatusCode::BAD_REQUEST, &message)));
    }
    let content = space.receive()?;
    let content = if md5.is_some() { content.with_md5() } else { content };
    let blob = parts.combined(content, part_ids.iter().map(String::as_str))?.finish()?;
    if md5.is_some() && md5 != blob.checksums.md5.as_deref() {
        return Ok(Err(Refusal::invalid("md5", "The MD5 of the parts differs from the given one.")));
    }
    let purpose = upload.file.purpose.as_deref().unwrap_or_default();
    let file = File {
        id: FileId((vendor.id)(purpose, now)),
        created_at: Some(now),
        expires_at: upload.lifetime.map(|seconds| later(now, SignedDuration::from_secs(seconds))),
        ..upload.file.clone()
    };
    let completed = space.transaction(|change| {
        // Another request may have ended it in the meantime.
        let upload = match Upload::pending(change.noted(NOTE, id)?, id, now)? {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let upload = Upload { state: Phase::Completed(Box::new(change.put(file, blob)?)), ..upload };
        upload.write(change, id).map(|()| Ok(upload))
    })?;
    if completed.is_ok() {
        parts.remove();
    }
    Ok(completed)
}

impl Upload {
    fn read(note: Object) -> StoreResult<Self> {
        serde_json::from_value(note.into())
            .map_err(|error| Error::failed("the record of the upload is damaged").caused_by(error))
    }

    fn write(&self, change: &mut Transaction, id: &str) -> StoreResult<()> {
        change.note(NOTE, id, None, &json!(self).as_object().cloned().unwrap_or_default())
    }

    /// The upload that a note describes, if it can receive parts.
    fn pending(note: Option<Object>, id: &str, now: Timestamp) -> Outcome<Self> {
        let Some(note) = note else { return Ok(Err(Refusal::no_such("Upload", id))) };
        let mut upload = Self::read(note)?;
        if later(upload.ends, KNOWN) <= now {
            return Ok(Err(Refusal::no_such("Upload", id)));
        }
        if matches!(upload.state, Phase::Pending) && upload.ends <= now {
            upload.state = Phase::Expired;
        }
        if matches!(upload.state, Phase::Pending) {
            return Ok(Ok(upload));
        }
        let message = format!("Upload {id} is {}.", upload.state.word());
        Ok(Err(Refusal::new(StatusCode::BAD_REQUEST, &message)))
    }

    /// An upload as an object.
    fn show(&self, service: &Service, id: &str) -> Value {
        let mut object = json!({
            "id": id,
            "object": "upload",
            "bytes": self.bytes,
            "created_at": self.begins.as_second(),
            "expires_at": self.ends.as_second(),
            "filename": self.file.name,
            "purpose": self.file.purpose,
            "status": self.state.word(),
        });
        if let Phase::Completed(file) = &self.state {
            object["file"] = (service.vendor.object)(&service.site, file).into();
        }
        object
    }
}

/// The JSON of a request; null without a body.
async fn json_body(body: Body) -> Result<Value, Refusal> {
    let about = receive_json(body, MAX_JSON).await.map_err(Refusal::from)?;
    Ok(about.unwrap_or_default())
}

fn wrong_type(param: &'static str, expected: &str) -> Refusal {
    Refusal::invalid(param, format!("Invalid type for '{param}': expected {expected}."))
}
