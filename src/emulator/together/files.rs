//! Listing, metadata, deletion and download of files.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Service;
use crate::emulator::openai::Refusal;
use crate::emulator::{Content, Sending, Site};
use crate::error::{Error, Kind};
use crate::model::{File, FileId, later};
use crate::store::{Listing, SortKey};

/// The key in `extra` of a record for the type of a file.
pub(super) const FILE_TYPE: &str = "file_type";
/// The purposes whose files are checked. The list is inferred.
const CHECKED: [&str; 2] = ["fine-tune", "eval"];

/// The file object.
pub(super) fn object(site: &Site, file: &File) -> Value {
    let mut object = json!({
        "id": file.id,
        "object": "file",
        "created_at": file.created_at.map(Timestamp::as_second),
        "filename": file.name,
        "bytes": file.size,
        "purpose": file.purpose,
        "FileType": file.extra.get(FILE_TYPE).and_then(Value::as_str).unwrap_or("jsonl"),
    });
    let status = status(site, file);
    object["Processed"] = json!(status.is_none_or(|status| status == "COMPLETED"));
    if let Some(status) = status {
        object["processing_status"] = status.into();
    }
    match status {
        Some("COMPLETED") => object["validation_report"] = json!({ "valid": true }),
        Some("INVALID_FORMAT") => {
            let error = "The file is not valid.";
            object["validation_report"] =
                json!({ "valid": false, "error": error, "error_type": "INVALID_FORMAT" });
        }
        _ => {}
    }
    object
}

/// The status of the check, which begins when it is requested, at `updated_at`. `None` if files with this purpose are
/// not checked.
fn status(site: &Site, file: &File) -> Option<&'static str> {
    if !file.purpose.as_deref().is_some_and(|purpose| CHECKED.contains(&purpose)) {
        return None;
    }
    let Some(requested) = file.updated_at else { return Some("PENDING") };
    let seconds: i64 = site.quirk_number("processing").unwrap_or_default();
    let is_over = later(requested, SignedDuration::from_secs(seconds.max(0))) <= site.clock.now();
    Some(match is_over {
        false => "QUEUED",
        true if site.quirk("processing-fails") => "INVALID_FORMAT",
        true => "COMPLETED",
    })
}

/// Converts a failure of the store that concerns the file `id`.
pub(super) fn about(id: &str) -> impl FnOnce(Error) -> Refusal + use<> {
    let message = format!("File {id} not found");
    move |error| match error.kind() {
        Kind::NotFound => Refusal::new(StatusCode::NOT_FOUND, &message),
        _ => error.into(),
    }
}

/// `GET /v1/files`: all files, newest first.
pub(super) async fn list(State(service): State<Service>) -> Result<Json<Value>, Refusal> {
    let site = &service.site;
    let listing = Listing { sort: SortKey::Created, descending: true, ..Listing::default() };
    let files = site.blocking(move |store| store.list(&listing)).await?;
    let data: Vec<Value> = files.iter().map(|file| object(site, file)).collect();
    Ok(Json(json!({ "data": data })))
}

/// `GET /v1/files/{id}`.
pub(super) async fn info(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let key = FileId(id.clone());
    let file = service.site.blocking(move |store| store.stat(&key)).await.map_err(about(&id))?;
    Ok(Json(object(&service.site, &file)))
}

/// `DELETE /v1/files/{id}`.
pub(super) async fn delete(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let key = FileId(id.clone());
    service.site.blocking(move |store| store.delete(&key)).await.map_err(about(&id))?;
    Ok(Json(json!({ "id": id, "deleted": true })))
}

/// `GET /v1/files/{id}/content`.
pub(super) async fn content(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let content = Content::open(&service.site, &FileId(id.clone())).await.map_err(about(&id))?;
    let how = Sending { ranges: !service.site.quirk("no-ranges"), ..Sending::default() };
    Ok(content.send(&headers, how))
}
