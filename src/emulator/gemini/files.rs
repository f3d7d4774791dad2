//! Lists, describes, deletes and downloads files.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Call, Problem, Service};
use crate::emulator::{Content, Sending};
use crate::error::Kind;
use crate::model::{File, FileId, later};
use crate::store::{Listing, SortKey};

/// The lifetime of a file.
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_hours(48);
/// Maximum length of an id that a client chooses, and of an id in a deletion.
pub(super) const MAX_ID: usize = 40;
/// Default and maximum page size.
const PAGE: usize = 10;
const MAX_PAGE: usize = 100;
/// The action that follows an id in the path.
const DOWNLOAD: &str = ":download";
/// The key in `extra` for a file's source.
const SOURCE: &str = "source";
const GENERATED: &str = "GENERATED";

/// A file's object.
pub(super) fn object(service: &Service, root: &str, file: &File) -> Value {
    let site = &service.site;
    let uri = format!("{root}/v1beta/files/{}", file.id);
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.6}"));
    let mut object = json!({ "name": format!("files/{}", file.id) });
    if !file.name.is_empty() {
        object["displayName"] = json!(file.name);
    }
    object["mimeType"] = json!(file.content_type);
    object["sizeBytes"] = json!(file.size.unwrap_or_default().to_string());
    object["createTime"] = json!(time(file.created_at));
    object["updateTime"] = json!(time(file.updated_at.or(file.created_at)));
    object["expirationTime"] = json!(time(file.expires_at));
    // The value is the base64 encoding of the hexadecimal text, not of the bytes.
    object["sha256Hash"] = json!(STANDARD.encode(file.checksums.sha256.as_deref().unwrap_or_default()));
    object["uri"] = json!(uri);
    let is_generated = is_generated(service, file);
    if is_generated {
        object["downloadUri"] = json!(format!("{uri}{DOWNLOAD}?alt=media"));
    }
    let seconds: i64 = site.quirk_number("processing").unwrap_or_default();
    let ready = file.created_at.map(|created| later(created, SignedDuration::from_secs(seconds.max(0))));
    if ready.is_some_and(|ready| site.clock.now() < ready) {
        object["state"] = json!("PROCESSING");
    } else if site.quirk("processing-fails") {
        object["state"] = json!("FAILED");
        object["error"] = json!({ "code": 3, "message": "The file could not be processed." });
    } else {
        object["state"] = json!("ACTIVE");
    }
    object[SOURCE] = json!(if is_generated { GENERATED } else { "UPLOADED" });
    object
}

fn is_generated(service: &Service, file: &File) -> bool {
    service.site.quirk("generated") || file.extra.get(SOURCE).is_some_and(|source| source == GENERATED)
}

/// `GET /{version}/files`.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let site = &call.service.site;
    let count = match call.params.get("pageSize").filter(|text| !text.is_empty()) {
        None => PAGE,
        Some(text) => match text.parse::<i32>() {
            Ok(0) => PAGE,
            Ok(number) => usize::try_from(number).map_err(|_| Problem::invalid(""))?.min(MAX_PAGE),
            Err(_) => {
                let message = format!("Invalid value at 'page_size' (TYPE_INT32), \"{text}\"");
                return Err(Problem::invalid(&message));
            }
        },
    };
    let after = match call.params.get("pageToken").filter(|text| !text.is_empty()) {
        None => None,
        Some(token) => {
            let id = URL_SAFE_NO_PAD.decode(token).ok().and_then(|id| String::from_utf8(id).ok());
            Some(FileId(id.ok_or_else(|| Problem::invalid("Invalid page token."))?))
        }
    };
    let by_id = site.quirk_value("list_order") == Some("id");
    let listing = Listing {
        sort: if by_id { SortKey::Id } else { SortKey::Created },
        descending: !by_id,
        after,
        limit: count + 1,
        ..Listing::default()
    };
    let listed = site.blocking(move |store| store.list(&listing)).await;
    let mut files = match listed {
        Err(error) if error.kind() == Kind::NotFound => return Err(Problem::invalid("Invalid page token.")),
        listed => listed?,
    };
    let more = files.len() > count;
    files.truncate(count);
    let root = site.root(&call.headers);
    // Both members are omitted if there are no files.
    let mut page = json!({});
    if let Some(last) = files.last() {
        let objects: Vec<_> = files.iter().map(|file| object(&call.service, &root, file)).collect();
        page["files"] = json!(objects);
        if more {
            page["nextPageToken"] = json!(URL_SAFE_NO_PAD.encode(last.id.as_str()));
        }
    }
    Ok(Json(page).into_response())
}

/// `GET /{version}/files/{id}` and `GET /{version}/files/{id}:download`.
pub(super) async fn get(call: Call) -> Result<Response, Problem> {
    let id = call.id.clone().unwrap_or_default();
    if let Some(id) = id.strip_suffix(DOWNLOAD) {
        return download(&call, id).await;
    }
    let file = find(&call, &id).await?;
    let root = call.service.site.root(&call.headers);
    Ok(Json(object(&call.service, &root, &file)).into_response())
}

async fn find(call: &Call, id: &str) -> Result<File, Problem> {
    let key = FileId::from(id);
    let found = call.service.site.blocking(move |store| store.stat(&key)).await;
    found.map_err(|error| missing(error, id))
}

fn missing(error: crate::error::Error, id: &str) -> Problem {
    if error.kind() == Kind::NotFound { Problem::no_file(id) } else { error.into() }
}

async fn download(call: &Call, id: &str) -> Result<Response, Problem> {
    let site = &call.service.site;
    if call.params.get("alt") != Some("media") {
        return Err(Problem::invalid(""));
    }
    let file = find(call, id).await?;
    if !is_generated(&call.service, &file) {
        let is_403 = site.quirk_value("no-download-status") == Some("403");
        return Err(Problem::of(if is_403 { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST }, ""));
    }
    let content = Content::open(site, &file.id).await.map_err(|error| missing(error, id))?;
    let default = Sending::default();
    let how = Sending {
        ranges: site.quirk("ranges"),
        etag: site.quirk("ranges").then(|| file.checksums.sha256.clone()).flatten(),
        content_type: file.content_type.unwrap_or(default.content_type),
        ..Sending::default()
    };
    Ok(content.send(&call.headers, how))
}

/// `DELETE /{version}/files/{id}`. Some clients send a body, which is ignored.
pub(super) async fn delete(call: Call) -> Result<Response, Problem> {
    let id = call.id.clone().unwrap_or_default();
    if id.len() > MAX_ID {
        return Err(Problem::invalid(
            "* DeleteFileRequest.name: File ID (name excluding 'files/') cannot be more than 40 characters.\n",
        ));
    }
    let key = FileId::from(id.as_str());
    let deleted = call.service.site.blocking(move |store| store.delete(&key)).await;
    deleted.map_err(|error| missing(error, &id))?;
    Ok(Json(json!({})).into_response())
}
