//! `/api/v1/files`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::Value;

use super::gate::{Caller, Service, uuid};
use super::json::{optional_text, wrong_type};
use super::listing::{Selection, find, remove};
use super::presigned::{Presigned, life};
use super::refusal::{Problem, Refusal};
use super::upload::receive_form;
use super::{create, expected, json, object};
use crate::emulator::Params;
use crate::model::{File, FileId, Object};

/// Files that are read at a time for the list that has no pages.
const STRETCH: usize = 200;

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    service.count_upload(&caller)?;
    let form = receive_form(&service, &headers, body, "upload_file", &[], &[]).await?;
    let external_id = params.get("external_file_id");
    let mut file = create::record(&service, &caller, &form.name, external_id);
    file.content_type.clone_from(&form.file.head.content_type);
    file.expires_at = params.get("storage_type").and_then(|word| create::expiry(&service, word));
    let file = create::keep(&service, file, form.file.blob).await?;
    Ok(Json(object::long(&file)))
}

/// All files as one array, which is written as they are read.
pub(super) async fn list(State(service): State<Arc<Service>>, caller: Caller) -> Result<Response, Refusal> {
    let selection = Selection { project: caller.project, ..Selection::default() };
    // The first stretch comes before the head of the answer, so that a failure can still be told.
    let first = selection.page(&service, STRETCH, None).await?;
    let rest = stream::try_unfold(Some((first, true)), move |at| {
        let (service, selection) = (Arc::clone(&service), selection.clone());
        async move {
            let Some(((files, next), is_first)) = at else { return Ok(None) };
            let objects: Vec<_> = files.iter().map(|file| object::long(file).to_string()).collect();
            let open = if is_first { "[" } else { "," };
            let close = if next.is_none() { "]" } else { "" };
            let text = Bytes::from(format!("{open}{}{close}", objects.join(",")));
            let Some(token) = next else { return Ok(Some((text, None))) };
            let page = selection.page(&service, STRETCH, Some(&token)).await;
            let page = page.map_err(|_| std::io::Error::other("the list broke off"))?;
            Ok::<_, std::io::Error>(Some((text, Some((page, false)))))
        }
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(rest)).into_response())
}

pub(super) async fn retrieve(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Answer {
    let file = find(&service, &caller, &file_id(id)?).await?;
    Ok(Json(object::long(&file)))
}

pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refusal> {
    remove(&service, &caller, &file_id(id)?).await
}

pub(super) async fn content(
    State(service): State<Arc<Service>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    params: Params,
) -> Answer {
    let (id, life) = (file_id(id)?, life(&params)?);
    let file = find(&service, &caller, &id).await?;
    Ok(Json(Presigned::new(&service, &caller, "GET", &file.id, life).to_json()))
}

/// Begins an upload past the API: the file is there once its bytes have come to the URL.
pub(super) async fn presign(
    State(service): State<Arc<Service>>,
    caller: Caller,
    params: Params,
    body: Body,
) -> Answer {
    let life = life(&params)?;
    let new = read_object(body).await?;
    let file = new_file(&service, &caller, &new)?;
    let id = file.id.clone();
    expected::remember(&service, file).await?;
    let presigned = if service.site.quirk("form-upload") {
        Presigned::form(&service, &caller, &id, life)
    } else {
        Presigned::new(&service, &caller, "PUT", &id, life)
    };
    let mut answer = presigned.to_json();
    answer["file_id"] = serde_json::json!(id);
    Ok(Json(answer))
}

/// The record of a file that `FileCreate` describes.
fn new_file(service: &Service, caller: &Caller, new: &Object) -> Result<File, Refusal> {
    let text = |name| optional_text(new.get(name), &["body", name]);
    let name = text("name")?.ok_or_else(|| Problem::missing(&["body", "name"]))?;
    create::check_name(&["body", "name"], &name)?;
    match new.get("file_size").unwrap_or(&Value::Null) {
        Value::Null => {}
        size if size.is_u64() => {}
        size if size.is_i64() => {
            let msg = "Input should be greater than or equal to 0";
            return Err(Problem::new(&["body", "file_size"], "greater_than_equal", msg).into());
        }
        _ => return Err(wrong_type(&["body", "file_size"], "a valid integer").into()),
    }
    let mut file = create::record(service, caller, &name, text("external_file_id")?.as_deref());
    if let Some(storage_type) = text("storage_type")? {
        file.expires_at = create::expiry(service, &storage_type);
    }
    if let Some(id) = text("data_source_id")? {
        let id = uuid(&["body", "data_source_id"], &id)?;
        file.extra.insert(object::DATA_SOURCE.to_owned(), id.into());
    }
    if let Some(text) = text("last_modified_at")? {
        let time = parse_time(&text)
            .ok_or_else(|| wrong_type(&["body", "last_modified_at"], "a valid datetime or date"))?;
        file.extra.insert(object::MODIFIED.to_owned(), object::time(time).into());
    }
    for key in [object::RESOURCE, object::PERMISSION] {
        match new.get(key) {
            None | Some(Value::Null) => {}
            Some(info @ Value::Object(_)) => {
                file.extra.insert(key.to_owned(), info.clone());
            }
            Some(_) => return Err(wrong_type(&["body", key], "a valid dictionary").into()),
        }
    }
    Ok(file)
}

/// A time with or without its offset from UTC, which is none if it is not said.
fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = |text: &str| text.parse::<jiff::civil::DateTime>().ok();
    text.parse().ok().or_else(|| Some(civil(text)?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
}

/// Makes the service notice presigned uploads. Here they are noticed as they come, so this only lists; what was begun and
/// can no longer come is forgotten.
pub(super) async fn sync(State(service): State<Arc<Service>>, caller: Caller) -> Result<Response, Refusal> {
    expected::forget_missed(&service).await?;
    list(State(service), caller).await
}

/// Checks the request as the service would and then says that it cannot be done: an emulator that fetches what it is told
/// to would be neither offline nor safe.
pub(super) async fn upload_from_url(_caller: Caller, body: Body) -> Answer {
    let new = read_object(body).await?;
    let url = optional_text(new.get("url"), &["body", "url"])?;
    let url = url.ok_or_else(|| Problem::missing(&["body", "url"]))?;
    if url::Url::parse(&url).is_err() {
        return Err(Problem::new(&["body", "url"], "url_parsing", "Input should be a valid URL").into());
    }
    if let Some(name) = optional_text(new.get("name"), &["body", "name"])? {
        create::check_name(&["body", "name"], &name)?;
    }
    Err(Refusal::bad_request("Failed to download the file: the emulator is offline and fetches no URL"))
}

async fn read_object(body: Body) -> Result<Object, Refusal> {
    match json::read(body).await? {
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(wrong_type(&["body"], "a valid dictionary or object").into()),
        None => Err(Problem::missing(&["body"]).into()),
    }
}

/// The id of a path, which must be a UUID here (behind `dfl-`, where ids are such).
fn file_id(path: Result<Path<String>, PathRejection>) -> Result<FileId, Refusal> {
    let Ok(Path(text)) = path else { return Err(Refusal::no_such_file()) };
    let (prefix, id) = match text.strip_prefix("dfl-") {
        Some(id) => ("dfl-", id),
        None => ("", text.as_str()),
    };
    Ok(FileId(format!("{prefix}{}", uuid(&["path", "id"], id)?)))
}
