//! Uploads by a presigned URL: ask for one, put the content there, complete.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Answer;
use super::body;
use super::call::{Call, params};
use super::dialect::Dialect;
use super::files::{ACTIVE, PENDING, SPACE, find, found, unexpected};
use super::objects::{self, TITLE, time};
use super::problem::Problem;
use super::upload::{Owner, Place, check_purpose, check_size, new_file};
use crate::emulator::{Refused, Site, ids, receive_raw};
use crate::error::Result as Stored;
use crate::model::{File, FileId, Object, later};
use crate::store::{Blob, Transaction};

/// Notes of presigned uploads, by id.
const UPLOAD: &str = "upload";
/// Bytes of one file.
const LARGEST: u64 = 2 * 1024 * 1024 * 1024;
/// How long content may be put to the URL.
const URL_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// How long an upload may wait to be completed.
const UPLOAD_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The JSON forms of `POST /files`.
pub(super) async fn prepare(call: &Call, body: Body) -> Answer {
    if call.dialect == Dialect::Pulsar {
        return Err(Problem::bad_request("there is no file: send a form"));
    }
    let body = body::read(&call.headers, body).await?;
    match body::text(&body, "mode")?.as_deref() {
        Some("get_upload_url") => begin(call, &body).await,
        Some("complete") => complete(call, &body).await,
        Some("direct") | None => Err(Problem::bad_request("a direct upload is a form")),
        Some(_) => Err(Problem::bad_request("the mode is get_upload_url, complete or direct")),
    }
}

async fn begin(call: &Call, body: &Object) -> Answer {
    let needed = |field: &str| {
        body::text(body, field)?.ok_or_else(|| Problem::bad_request(format!("there is no {field}")))
    };
    for (field, value) in body.iter().filter(|(_, value)| value.is_string()) {
        body::short(field, value.as_str().unwrap_or_default())?;
    }
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let purpose = needed("purpose")?;
    check_purpose(call, &purpose, Owner::of(call, field))?;
    let name = needed("file_name")?.trim().to_owned();
    if name.is_empty() {
        return Err(Problem::bad_request("the file has no name"));
    }
    let size = body.get("file_size").and_then(Value::as_u64).filter(|size| *size > 0);
    let size = size.ok_or_else(|| Problem::bad_request("file_size is a whole number above zero"))?;
    check_size(call.dialect, size, LARGEST)?;
    let replace = match body.get("store_replace") {
        Some(Value::Bool(replace)) => Some(if *replace { "true" } else { "false" }),
        _ => field("store_replace"),
    };
    let place = |name: &str| if name == "store_replace" { replace } else { field(name) };
    let place = Place::checked(call.dialect, place)?;

    let now = call.site.clock.now();
    let mut file = new_file(call, now);
    file.name = name;
    file.content_type = body::text(body, "file_type")?.filter(|text| !text.is_empty()).or(file.content_type);
    file.purpose = Some(purpose);
    file.size = Some(size);
    if let Some(title) = body::text(body, "title")? {
        file.extra.insert(TITLE.to_owned(), title.into());
    }
    place.put_into(&mut file);
    let id = format!("fup_{}", ids::time_sorted(now, 13));
    let (url_ends, ends) = (later(now, URL_LIFE), later(now, UPLOAD_LIFE));
    let signature = call.site.signer.sign_hex(&signed(&id, url_ends.as_second()));
    let root = call.site.root(&call.headers);
    let expires = url_ends.as_second();
    let shown = json!({
        "object": "file_upload",
        "id": id,
        "status": "pending",
        "file_name": file.name,
        "file_size": size,
        "file_type": file.content_type,
        "title": file.extra.get(TITLE),
        "purpose": objects::purpose(file.purpose.as_deref().unwrap_or_default()),
        "upload": {
            "url": format!("{root}/file-uploads/{id}?expires={expires}&signature={signature}"),
            "method": "PUT",
            "expires_at": time(url_ends),
        },
        "expires_at": time(ends),
        "created_at": time(now),
        "updated_at": time(now),
    });
    let upload = Upload { id, file, ends, is_complete: false };
    let keep = move |change: &mut Transaction| {
        forget_old(change, now)?;
        upload.keep(change)
    };
    call.store(move |store| store.transaction(SPACE, keep)).await?;
    Ok(Json(shown))
}

/// Completes an upload; once more gives the same file.
async fn complete(call: &Call, body: &Object) -> Answer {
    let id = body::text(body, "file_upload_id")?
        .ok_or_else(|| Problem::bad_request("there is no file_upload_id"))?;
    let now = call.site.clock.now();
    let asked = id.clone();
    let done =
        call.store(move |store| match store.transaction(SPACE, |change| finish(change, &asked, now))? {
            Done::Before(file) => {
                Ok(find(store, &file)?.map_or(Done::Unknown, |file| Done::Whole(Box::new(file))))
            }
            done => Ok(done),
        });
    match done.await? {
        Done::Whole(file) => Ok(Json(objects::uploaded(call.dialect, &file))),
        Done::Unknown | Done::Before(_) => Err(Problem::not_found("fileUpload", &id)),
        Done::Nothing => Err(Problem::bad_request("nothing has been uploaded")),
        Done::OtherSize => Err(Problem::bad_request("the content does not have the size that was said")),
    }
}

/// Turns the content of an upload into a file.
fn finish(change: &mut Transaction, id: &str, now: Timestamp) -> Stored<Done> {
    let Some(mut upload) = Upload::find(change.noted(UPLOAD, id)?, id, now)? else {
        return Ok(Done::Unknown);
    };
    if upload.is_complete {
        return Ok(Done::Before(upload.file.id));
    }
    let Some(arrived) = found(change.stat(&upload.file.id))? else { return Ok(Done::Nothing) };
    if arrived.size != upload.file.size {
        change.delete(&arrived.id)?;
        return Ok(Done::OtherSize);
    }
    let file = change.annotate(&arrived.id, |file| {
        file.status = Some(ACTIVE.to_owned());
        file.expires_at = None;
        Ok(())
    })?;
    upload.is_complete = true;
    upload.keep(change)?;
    Ok(Done::Whole(Box::new(file)))
}

/// What completing an upload came to.
enum Done {
    Whole(Box<File>),
    /// It was completed before; the file may have been deleted since.
    Before(FileId),
    Unknown,
    Nothing,
    OtherSize,
}

/// Takes the content that is put to a presigned URL. The signature is the key, so there must be no other, and the
/// content's type must be the one that was said.
pub(super) async fn receive_content(
    State(site): State<Arc<Site>>,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let (mut parts, body) = request.into_parts();
    let path = Path::<String>::from_request_parts(&mut parts, &site).await;
    let Path(id) = path.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    let params = params(&parts.uri);
    if parts.headers.contains_key(AUTHORIZATION) {
        return Err(Problem::bad_request("the URL is signed: send no Authorization header"));
    }
    let now = site.clock.now();
    let expires = params.get("expires").and_then(|text| text.parse::<i64>().ok());
    let signature = params.get("signature").unwrap_or_default();
    let Some(expires) = expires.filter(|expires| site.signer.verify_hex(&signed(&id, *expires), signature))
    else {
        return Err(Problem::forbidden("the URL's signature is wrong"));
    };
    if expires <= now.as_second() {
        return Err(Problem::forbidden("the URL has expired"));
    }
    let wanted = id.clone();
    let note = site.blocking(move |store| store.noted(SPACE, UPLOAD, &wanted)).await?;
    let upload = Upload::waiting(note, &id, now)??;
    let said = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if said != upload.file.content_type.as_deref() {
        return Err(Problem::forbidden("the Content-Type is not the one that was said"));
    }
    let received = receive_raw(&site, &parts.headers, body, Some(LARGEST)).await;
    let blob = received.map_err(|refused: Refused<Problem>| Problem::from(refused))?;
    let kept = site.blocking(move |store| {
        store.transaction(SPACE, |change| {
            // The upload may have been completed while the content arrived.
            match Upload::waiting(change.noted(UPLOAD, &id)?, &id, now)? {
                Ok(upload) => upload.receive(change, blob).map(|_| Ok(())),
                Err(problem) => Ok(Err(problem)),
            }
        })
    });
    kept.await??;
    Ok(StatusCode::OK)
}

/// The text that is signed for a URL.
fn signed(id: &str, expires: i64) -> String {
    format!("PUT {id} {expires}")
}

/// A presigned upload as it is noted.
struct Upload {
    id: String,
    /// The file as it will be, with its size as it was said.
    file: File,
    /// When it is given up.
    ends: Timestamp,
    is_complete: bool,
}

impl Upload {
    /// The upload of that id, unless it has been given up.
    fn find(note: Option<Object>, id: &str, now: Timestamp) -> Stored<Option<Self>> {
        let upload = note.map(|note| Self::from_note(id, note)).transpose()?;
        Ok(upload.filter(|upload| now < upload.ends))
    }

    /// The upload of that id, if it still accepts content.
    fn waiting(note: Option<Object>, id: &str, now: Timestamp) -> Stored<Result<Self, Problem>> {
        Ok(match Self::find(note, id, now)? {
            None => Err(Problem::not_found("fileUpload", id)),
            Some(upload) if upload.is_complete => Err(Problem::forbidden("the upload is complete")),
            Some(upload) => Ok(upload),
        })
    }

    fn from_note(id: &str, mut note: Object) -> Stored<Self> {
        let mut read = || {
            let file = serde_json::from_value(note.remove("file")?).ok()?;
            let ends = Timestamp::from_millisecond(note.get("ends")?.as_i64()?).ok()?;
            let is_complete = note.get("is_complete")?.as_bool()?;
            Some(Self { id: id.to_owned(), file, ends, is_complete })
        };
        read().ok_or_else(|| unexpected(id))
    }

    fn keep(&self, change: &mut Transaction) -> Stored<()> {
        let note = Object::from_iter([
            ("file".to_owned(), serde_json::to_value(&self.file).unwrap_or_default()),
            ("ends".to_owned(), self.ends.as_millisecond().into()),
            ("is_complete".to_owned(), self.is_complete.into()),
        ]);
        change.note(UPLOAD, &self.id, None, &note)
    }

    /// Puts the content into the store, where it shows nowhere before the upload is complete. Again takes the place of
    /// the first.
    fn receive(self, change: &mut Transaction, blob: Blob) -> Stored<File> {
        let file = File { status: Some(PENDING.to_owned()), expires_at: Some(self.ends), ..self.file };
        match found(change.stat(&file.id))? {
            Some(_) => change.replace(&file.id.clone(), blob, |record| {
                *record = file;
                Ok(())
            }),
            None => change.put(file, blob),
        }
    }
}

/// Forgets the uploads that were given up, and the completed ones of their age.
fn forget_old(change: &mut Transaction, now: Timestamp) -> Stored<()> {
    for (id, note) in change.notes(UPLOAD, None)? {
        if Upload::from_note(&id, note).is_ok_and(|upload| upload.ends <= now) {
            change.forget(UPLOAD, &id)?;
        }
    }
    Ok(())
}
