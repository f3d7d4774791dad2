//! `POST /files`: a form with the file, or the JSON bodies of a presigned upload (requesting a URL, sending the
//! content to it, completing the upload).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::files::{self, ACTIVE, DELETED_FILE, PENDING, TITLE};
use super::request::{self, Answer, Call, Dialect, Owner, Problem};
use crate::emulator::body::{Announced, store_content};
use crate::emulator::{Limits, Params, Refused, Site, Space, Take, ids, media_type, receive, receive_raw};
use crate::error::Result as StoreResult;
use crate::model::{File, FileId, Object, later};
use crate::store::Transaction;

const MIB: u64 = 1024 * 1024;
/// The limits for a form and its file. Magnetar's limits are used for all dialects.
const LIMITS: Limits = Limits { file: Some(MAX_FORM_FILE), body: Some(101 * MIB) };
const MAX_FORM_FILE: u64 = 100 * MIB;
/// Maximum size of a file in a presigned upload, in bytes.
const MAX_PRESIGNED_FILE: u64 = 2048 * MIB;
/// The kind of notes about presigned uploads, keyed by upload id.
const UPLOAD: &str = "upload";
/// Lifetime of a presigned URL.
const URL_LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// Time allowed for completing an upload.
const UPLOAD_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn upload(call: Call, body: Body) -> Answer {
    if media_type(&call.headers) == "application/json" {
        presigned(&call, body).await
    } else {
        form(&call, body).await
    }
}

async fn form(call: &Call, body: Body) -> Answer {
    let received = receive(&call.site, &call.headers, body, LIMITS, |before, head| {
        Ok::<_, Problem>(match (head.name.as_str(), &head.file_name) {
            // A part without a file name is text.
            ("file", Some(_)) if before.has_file() => Take::Nothing,
            ("file", Some(_)) => Take::File,
            _ => Take::Text,
        })
    });
    let mut form = received.await?;
    let upload = form
        .take_files()
        .into_iter()
        .next()
        .ok_or_else(|| Problem::bad_request("missing file: send a part named `file` with a filename"))?;
    for (name, text) in form.texts() {
        request::check_length(name, text)?;
    }
    let field = |name: &str| form.text(name);
    let is_magnetar = call.dialect == Dialect::Magnetar;
    if let Some(mode) = field("mode").filter(|mode| call.dialect != Dialect::Pulsar && *mode != "direct") {
        return Err(Problem::bad_request(format!("a form cannot have the mode {mode}")));
    }
    let mut file = new_file(call, &field, upload.blob.size, MAX_FORM_FILE)?;
    let file_name = upload.head.file_name.as_deref();
    // In magnetar, the path or the title replaces a missing file name.
    let name = if is_magnetar {
        let path = field("path").and_then(|path| path.rsplit('/').next());
        [file_name, path, field("title")].into_iter().flatten().map(str::trim).find(|name| !name.is_empty())
    } else {
        file_name.filter(|name| !name.is_empty())
    };
    file.name = name.ok_or_else(|| Problem::bad_request("missing file name"))?.to_owned();
    file.content_type = upload.head.content_type.or(file.content_type);
    file.status = Some(ACTIVE.to_owned());
    if let Some(title) = field("title").filter(|_| is_magnetar) {
        file.extra.insert(TITLE.to_owned(), title.into());
    }
    let file = call.store(move |store| store.put(file, upload.blob)).await?;
    Ok(Json(files::file_object(call.dialect, &file, true)))
}

/// Checks the purpose, the size and the fields for a Metorial store. Returns a record without a name and status.
fn new_file<'a>(
    call: &Call,
    field: &dyn Fn(&str) -> Option<&'a str>,
    size: u64,
    max_size: u64,
) -> Result<File, Problem> {
    let purpose = field("purpose").ok_or_else(|| Problem::bad_request("missing purpose"))?;
    if !call.dialect.purposes().contains(&purpose) {
        return Err(Problem::bad_request(format!("unknown purpose {purpose}")));
    }
    if size > max_size {
        return Err(Problem::bad_request(format!("the file is larger than {max_size} bytes")));
    }
    let now = call.site.clock.now();
    let id = match call.dialect {
        Dialect::Seed => format!("file_{}", ids::time_sorted(now, 11)),
        Dialect::Pulsar | Dialect::Magnetar => format!("fil_{}", ids::time_sorted(now, 13)),
    };
    // Times are stored with the millisecond precision of the responses, because clients filter by the times that they
    // receive.
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let mut file = File {
        id: FileId(id),
        content_type: Some("application/octet-stream".to_owned()),
        purpose: Some(purpose.to_owned()),
        created_at: Some(now),
        updated_at: Some(now),
        ..File::default()
    };
    if call.dialect != Dialect::Magnetar {
        return Ok(file);
    }
    check_owner(call, field, purpose)?;
    if size == 0 {
        return Err(Problem::bad_request("the file must not be empty"));
    }
    match (field("store_id"), field("path")) {
        (Some(store), Some(path)) => {
            file.extra.insert("store_id".to_owned(), store.into());
            file.path = Some(path.to_owned());
        }
        (None, None) => {}
        _ => return Err(Problem::bad_request("store_id and path must be used together")),
    }
    match field("store_replace") {
        None => Ok(file),
        Some("true" | "false") if file.path.is_some() => Ok(file),
        Some("true" | "false") => Err(Problem::bad_request("store_replace requires store_id and path")),
        Some(_) => Err(Problem::bad_request("store_replace must be true or false")),
    }
}

/// Checks that a purpose is allowed for the owner, which is specified by the fields or implied by the key.
fn check_owner<'a>(
    call: &Call,
    field: &dyn Fn(&str) -> Option<&'a str>,
    purpose: &str,
) -> Result<(), Problem> {
    let owner = if field("organization_id").is_some() {
        Owner::Organization
    } else if field("instance_id").is_some() || call.has_instance {
        Owner::Instance
    } else if call.key == Owner::Organization {
        return Err(Problem::bad_request("this key requires an instance: send `instance_id`"));
    } else {
        call.key
    };
    let needed = match purpose {
        "user_image" => Owner::User,
        "organization_image" => Owner::Organization,
        _ => Owner::Instance,
    };
    if owner == needed {
        return Ok(());
    }
    Err(Problem::bad_request(format!("the purpose {purpose} is not allowed for this kind of owner")))
}

async fn presigned(call: &Call, body: Body) -> Answer {
    if call.dialect == Dialect::Pulsar {
        return Err(Problem::bad_request("missing file: send a form"));
    }
    let body = call.read(body).await?;
    match request::text(&body, "mode")?.as_deref() {
        Some("get_upload_url") => begin(call, &body).await,
        Some("complete") => complete(call, &body).await,
        Some("direct") | None => Err(Problem::bad_request("a direct upload must be a form")),
        Some(_) => Err(Problem::bad_request("mode must be get_upload_url, complete or direct")),
    }
}

async fn begin(call: &Call, body: &Object) -> Answer {
    for (field, value) in body {
        request::check_length(field, value.as_str().unwrap_or_default())?;
    }
    let required = |field: &str| {
        let text = request::text(body, field)?;
        text.ok_or_else(|| Problem::bad_request(format!("missing {field}")))
    };
    required("purpose")?;
    let name = required("file_name")?.trim().to_owned();
    if name.is_empty() {
        return Err(Problem::bad_request("missing file name"));
    }
    let size = body.get("file_size").and_then(Value::as_u64).filter(|size| *size > 0);
    let size = size.ok_or_else(|| Problem::bad_request("file_size must be a positive integer"))?;
    let field = |name: &str| match body.get(name)? {
        Value::Bool(true) if name == "store_replace" => Some("true"),
        Value::Bool(false) if name == "store_replace" => Some("false"),
        value => value.as_str(),
    };
    let mut file = new_file(call, &field, size, MAX_PRESIGNED_FILE)?;
    file.name = name;
    file.content_type =
        request::text(body, "file_type")?.filter(|text| !text.is_empty()).or(file.content_type);
    file.size = Some(size);
    if let Some(title) = request::text(body, "title")? {
        file.extra.insert(TITLE.to_owned(), title.into());
    }
    let now = call.site.clock.now();
    let id = format!("fup_{}", ids::time_sorted(now, 13));
    let (url_ends, ends) = (later(now, URL_LIFETIME), later(now, UPLOAD_LIFETIME));
    let expires = url_ends.as_second();
    let signature = call.site.signer.sign_hex(&signed_text(&id, expires));
    let root = call.site.root(&call.headers);
    let object = json!({
        "object": "file_upload",
        "id": id,
        "status": "pending",
        "file_name": file.name,
        "file_size": size,
        "file_type": file.content_type,
        "title": file.extra.get(TITLE),
        "purpose": files::purpose_object(&file),
        "upload": {
            "url": format!("{root}/file-uploads/{id}?expires={expires}&signature={signature}"),
            "method": "PUT",
            "expires_at": format!("{url_ends:.3}"),
        },
        "expires_at": format!("{ends:.3}"),
        "created_at": format!("{now:.3}"),
        "updated_at": format!("{now:.3}"),
    });
    let announce = move |change: &mut Transaction| {
        Announced::forget_expired(change, UPLOAD, now)?;
        Announced { file, ends }.put(change, UPLOAD, &id)
    };
    call.store(move |store| store.transaction(announce)).await?;
    Ok(Json(object))
}

/// The text that is signed for a URL.
fn signed_text(id: &str, expires: i64) -> String {
    format!("PUT {id} {expires}")
}

/// Completes an upload. Completing it again returns the same file.
async fn complete(call: &Call, body: &Object) -> Answer {
    let id = request::text(body, "file_upload_id")?
        .ok_or_else(|| Problem::bad_request("missing file_upload_id"))?;
    let now = call.site.clock.now();
    let complete = move |change: &mut Transaction| {
        let Some(upload) = Announced::find(change, UPLOAD, &id, now)? else {
            return Ok(Err(Problem::not_found("fileUpload", &id)));
        };
        if let Some(file) = completed(change, &upload.file.id)? {
            return Ok(Ok(file));
        }
        let Some(received) = files::found(change.stat(&upload.file.id))? else {
            return Ok(Err(Problem::bad_request("no content has been uploaded")));
        };
        if received.size != upload.file.size {
            change.delete(&received.id)?;
            return Ok(Err(Problem::bad_request("the size of the content does not match file_size")));
        }
        let file = change.annotate(&received.id, |file| {
            file.status = Some(ACTIVE.to_owned());
            file.expires_at = None;
            Ok(())
        })?;
        Ok(Ok(file))
    };
    let file = call.store(move |store| store.transaction(complete)).await??;
    Ok(Json(files::file_object(call.dialect, &file, true)))
}

/// The file of a completed upload, even if it has been deleted since.
fn completed(change: &Transaction, id: &FileId) -> StoreResult<Option<File>> {
    files::visible(change.stat(id), || change.noted(DELETED_FILE, id.as_str()))
}

/// The upload with this id, if it still accepts content.
fn open_upload(change: &Transaction, id: &str, now: Timestamp) -> StoreResult<Result<Announced, Problem>> {
    Ok(match Announced::find(change, UPLOAD, id, now)? {
        None => Err(Problem::not_found("fileUpload", id)),
        Some(upload) if completed(change, &upload.file.id)?.is_some() => {
            Err(Problem::forbidden("the upload is already complete"))
        }
        Some(upload) => Ok(upload),
    })
}

/// Receives content at a presigned URL. The signature is the only credential, and the content type must match the one
/// that was declared. The content stays hidden until the upload is completed; repeating the request replaces it.
pub(super) async fn receive_content(
    State(site): State<Arc<Site>>,
    id: Result<Path<String>, PathRejection>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let Path(id) = id.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    if headers.contains_key(AUTHORIZATION) {
        return Err(Problem::bad_request("a signed URL does not accept an Authorization header"));
    }
    let now = site.clock.now();
    let expires = params.get("expires").and_then(|text| text.parse().ok()).unwrap_or_default();
    let signature = params.get("signature").unwrap_or_default();
    if !site.signer.verify_hex(&signed_text(&id, expires), signature) {
        return Err(Problem::forbidden("invalid URL signature"));
    }
    if expires <= now.as_second() {
        return Err(Problem::forbidden("the URL has expired"));
    }
    let wanted = id.clone();
    let find = move |store: &Space| store.transaction(|change| open_upload(change, &wanted, now));
    let upload = site.blocking(find).await??;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type != upload.file.content_type.as_deref() {
        return Err(Problem::forbidden("the Content-Type does not match file_type"));
    }
    let received = receive_raw(&site, &headers, body, Some(MAX_PRESIGNED_FILE)).await;
    let blob = received.map_err(|refused: Refused<Problem>| Problem::from(refused))?;
    let put = move |change: &mut Transaction| {
        // The upload may have been completed while the content was arriving.
        let Announced { file, ends } = match open_upload(change, &id, now)? {
            Ok(upload) => upload,
            Err(problem) => return Ok(Err(problem)),
        };
        let file = File { status: Some(PENDING.to_owned()), expires_at: Some(ends), ..file };
        store_content(change, file, blob).map(|_| Ok(StatusCode::OK))
    };
    site.blocking(move |store| store.transaction(put)).await?
}
