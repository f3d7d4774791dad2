//! OpenAI's Uploads API: an upload receives parts in any order until it is completed or cancelled, or has expired.
//!
//! The reasons for rejections are not documented. Here, each returns a 400 and leaves the upload unchanged.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Expiry, Refusal, Service, Vendor, check_purpose};
use crate::emulator::{Form, Head, Limits, Site, Take, ids, receive, receive_json};
use crate::model::{File, FileId, later};
use crate::store::Blob;

/// Maximum size of a file, in bytes.
const MAX_SIZE: u64 = 8 * 1024 * 1024 * 1024;
/// Maximum size of a part, in bytes.
const MAX_PART: u64 = 64 * 1024 * 1024;
/// Seconds after which an upload has expired.
const LIFE: i64 = 3600;
/// How long the state of an upload is known after it has expired.
const KNOWN: SignedDuration = SignedDuration::from_hours(24);
/// Maximum size of a JSON body, in bytes: the ids of many parts.
const MAX_JSON: usize = 4 * 1024 * 1024;

/// The uploads of a vendor by id.
struct Uploads {
    site: Arc<Site>,
    vendor: &'static Vendor,
    all: Mutex<HashMap<String, Arc<Upload>>>,
}

struct Upload {
    id: String,
    /// The declared size.
    bytes: u64,
    /// The record of the file, without an id and times.
    file: File,
    /// The lifetime of the file in seconds.
    lifetime: Option<i64>,
    begins: Timestamp,
    ends: Timestamp,
    /// One change at a time. Content is received before it.
    state: tokio::sync::Mutex<Phase>,
}

/// The state of an upload.
enum Phase {
    /// It receives parts, each with an id.
    Pending(HashMap<String, Arc<Blob>>),
    /// The file is stored.
    Completed(Box<File>),
    Cancelled,
    Expired,
}

impl Phase {
    fn word(&self) -> &'static str {
        match self {
            Self::Pending(_) => "pending",
            Self::Completed(_) => "completed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// The routes of uploads, without authentication.
pub(super) fn routes(site: &Arc<Site>, vendor: &'static Vendor) -> Router<Service> {
    let uploads = Arc::new(Uploads { site: Arc::clone(site), vendor, all: Mutex::default() });
    let mut router = Router::new();
    for prefix in [Some(vendor.prefix), vendor.alias].into_iter().flatten() {
        router = router
            .route(&format!("{prefix}/uploads"), post(begin))
            .route(&format!("{prefix}/uploads/{{id}}/parts"), post(add_part))
            .route(&format!("{prefix}/uploads/{{id}}/complete"), post(complete))
            .route(&format!("{prefix}/uploads/{{id}}/cancel"), post(cancel));
    }
    router.with_state(uploads)
}

type Answer = Result<Json<Value>, Refusal>;

async fn begin(State(uploads): State<Arc<Uploads>>, body: Body) -> Answer {
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
    check_purpose(&purpose, uploads.vendor.uploads)?;
    let lifetime = lifetime(uploads.vendor, &about["expires_after"])?;
    let now = uploads.site.clock.now();
    let life = uploads.site.quirk_number("upload-life").unwrap_or(LIFE);
    let upload = Arc::new(Upload {
        id: format!("upload_{}", ids::base62(32)),
        bytes,
        file: File {
            provider: uploads.site.platform.to_owned(),
            name: name.rsplit('/').next().unwrap_or_default().to_owned(),
            content_type: Some(content_type),
            purpose: Some(purpose),
            ..File::default()
        },
        lifetime,
        begins: now,
        ends: later(now, SignedDuration::from_secs(life)),
        state: tokio::sync::Mutex::new(Phase::Pending(HashMap::new())),
    });
    uploads.add(&upload, now);
    let state = upload.state(now).await;
    Ok(Json(uploads.show(&upload, &state)))
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
    State(uploads): State<Arc<Uploads>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let site = &uploads.site;
    let upload = uploads.find(&id)?;
    upload.pending(&mut *upload.state(site.clock.now()).await)?;
    let decide = |_: &Form, head: &Head| match (head.name.as_str(), &head.file_name) {
        ("data", Some(_)) => Ok(Take::File),
        ("data", None) => Err(wrong_type("data", "a file")),
        _ => Ok(Take::Nothing),
    };
    let mut form = receive(site, &headers, body, Limits::form(MAX_PART), decide).await?;
    let part = form.take_files().pop().ok_or_else(|| Refusal::missing("data"))?;
    let now = site.clock.now();
    // It may have ended in the meantime.
    let mut state = upload.state(now).await;
    let parts = upload.pending(&mut state)?;
    let part_id = format!("part_{}", ids::base62(32));
    parts.insert(part_id.clone(), Arc::new(part.blob));
    let created = now.as_second();
    Ok(Json(json!({ "id": part_id, "object": "upload.part", "created_at": created, "upload_id": upload.id })))
}

async fn complete(State(uploads): State<Arc<Uploads>>, Path(id): Path<String>, body: Body) -> Answer {
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
    let upload = uploads.find(&id)?;
    // Not cancelled if the client disconnects.
    let work = tokio::spawn(async move { uploads.combine(&upload, &part_ids, md5).await });
    work.await.unwrap_or_else(|_| Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "")))
}

async fn cancel(State(uploads): State<Arc<Uploads>>, Path(id): Path<String>) -> Answer {
    let upload = uploads.find(&id)?;
    let mut state = upload.state(uploads.site.clock.now()).await;
    upload.pending(&mut state)?;
    *state = Phase::Cancelled;
    Ok(Json(uploads.show(&upload, &state)))
}

impl Uploads {
    /// Adds an upload. Discards the content of the expired ones, and forgets them later.
    fn add(&self, upload: &Arc<Upload>, now: Timestamp) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, upload| now < later(upload.ends, KNOWN));
        for upload in all.values() {
            if let Ok(mut state) = upload.state.try_lock() {
                upload.expire(&mut state, now);
            }
        }
        all.insert(upload.id.clone(), Arc::clone(upload));
    }

    fn find(&self, id: &str) -> Result<Arc<Upload>, Refusal> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).cloned().ok_or_else(|| Refusal::no_such("Upload", id))
    }

    /// Stores the listed parts as one file.
    async fn combine(&self, upload: &Upload, part_ids: &[String], md5: Option<String>) -> Answer {
        let site = &self.site;
        let now = site.clock.now();
        let mut state = upload.state(now).await;
        let parts = upload.pending(&mut state)?;
        let (mut listed, mut seen): (Vec<Arc<Blob>>, _) = (Vec::new(), HashSet::new());
        for part_id in part_ids {
            if !seen.insert(part_id) {
                return Err(Refusal::invalid("part_ids", format!("The part {part_id} is listed twice.")));
            }
            let part = parts.get(part_id).cloned();
            let unknown = || Refusal::invalid("part_ids", format!("No such part: {part_id}"));
            listed.push(part.ok_or_else(unknown)?);
        }
        let total: u64 = listed.iter().map(|part| part.size).sum();
        if total != upload.bytes {
            let message =
                format!("The parts have {total} bytes; the upload was created for {}.", upload.bytes);
            return Err(Refusal::new(StatusCode::BAD_REQUEST, &message));
        }
        let purpose = upload.file.purpose.as_deref().unwrap_or_default();
        let file = File {
            id: FileId((self.vendor.id)(purpose, now)),
            created_at: Some(now),
            expires_at: upload.lifetime.map(|seconds| later(now, SignedDuration::from_secs(seconds))),
            ..upload.file.clone()
        };
        let space = site.platform;
        let stored = site.blocking(move |store| {
            let content = store.receive()?;
            let mut content = if md5.is_some() { content.with_md5() } else { content };
            for part in listed {
                part.copy_to(&mut content)?;
            }
            let blob = content.finish()?;
            if md5.is_some() && md5 != blob.checksums.md5 {
                return Ok(None);
            }
            store.put(space, file, blob).map(Some)
        });
        let stored = stored.await?;
        let stored = stored
            .ok_or_else(|| Refusal::invalid("md5", "The MD5 of the parts differs from the given one."))?;
        *state = Phase::Completed(Box::new(stored));
        Ok(Json(self.show(upload, &state)))
    }

    /// An upload as an object.
    fn show(&self, upload: &Upload, state: &Phase) -> Value {
        let mut object = json!({
            "id": upload.id,
            "object": "upload",
            "bytes": upload.bytes,
            "created_at": upload.begins.as_second(),
            "expires_at": upload.ends.as_second(),
            "filename": upload.file.name,
            "purpose": upload.file.purpose,
            "status": state.word(),
        });
        if let Phase::Completed(file) = state {
            object["file"] = (self.vendor.object)(&self.site, file).into();
        }
        object
    }
}

impl Upload {
    /// The state at this time.
    async fn state(&self, now: Timestamp) -> tokio::sync::MutexGuard<'_, Phase> {
        let mut state = self.state.lock().await;
        self.expire(&mut state, now);
        state
    }

    fn expire(&self, state: &mut Phase, now: Timestamp) {
        if matches!(state, Phase::Pending(_)) && self.ends <= now {
            *state = Phase::Expired;
        }
    }

    /// The parts of a pending upload.
    fn pending<'a>(&self, state: &'a mut Phase) -> Result<&'a mut HashMap<String, Arc<Blob>>, Refusal> {
        match state {
            Phase::Pending(parts) => Ok(parts),
            state => {
                let message = format!("Upload {} is {}.", self.id, state.word());
                Err(Refusal::new(StatusCode::BAD_REQUEST, &message))
            }
        }
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
