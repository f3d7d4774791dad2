//! Vector stores: their attached files with the processing status, and batches of attached files. The response that
//! attaches a file reports it as in progress. The first request that reads the attached file completes its processing; so
//! does a request for the vector store, whose response still reports it as in progress.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::{Refusal, Service, list};
use crate::emulator::{Params, Site, ids, receive_json};
use crate::error::{Kind, Result as StoreResult};
use crate::model::{FileId, Object};
use crate::store::Transaction;

/// The kinds of notes: vector stores, attached files by `STORE/FILE`, and batches by `STORE/BATCH`.
const STORE: &str = "vector_store";
const ATTACHED: &str = "vector_store_file";
const BATCH: &str = "vector_store_batch";
/// Maximum size of a request, in bytes.
const LARGEST: usize = 1024 * 1024;
/// Default and maximum number of objects on a page.
const PAGE: (usize, usize) = (20, 100);
/// The extensions of files that can be processed.
const SUPPORTED: &str = "c cpp css csv docx gif go html java jpeg jpg js json md pdf php pkl png pptx py rb tar tex ts txt \
                         webp xlsx xml zip";
const STATUSES: [&str; 4] = ["in_progress", "completed", "failed", "cancelled"];

type Answer = Result<Json<Value>, Refusal>;
/// The result of a transaction: an error of the store, or a value or error response.
type Outcome<T> = StoreResult<Result<T, Refusal>>;

/// The routes below `prefix`.
pub(super) fn routes(prefix: &str) -> Router<Service> {
    let all = format!("{prefix}/vector_stores");
    let one = format!("{all}/{{store}}");
    Router::new()
        .route(&all, get(stores).post(create))
        .route(&one, get(info).post(update).delete(delete))
        .route(&format!("{one}/files"), get(files).post(attach))
        .route(&format!("{one}/files/{{file}}"), get(attached).post(set_attributes).delete(detach))
        .route(&format!("{one}/files/{{file}}/content"), get(content))
        .route(&format!("{one}/file_batches"), post(attach_batch))
        .route(&format!("{one}/file_batches/{{batch}}"), get(batch))
        .route(&format!("{one}/file_batches/{{batch}}/cancel"), post(cancel))
        .route(&format!("{one}/file_batches/{{batch}}/files"), get(batch_files))
}

/// Runs `work` in a transaction.
async fn run<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&mut Transaction) -> Outcome<T> + Send + 'static,
) -> Result<T, Refusal> {
    site.blocking(move |store| store.transaction(work)).await?
}

/// Unwraps a `Result` in a function that returns an [`Outcome`], or returns its error response.
macro_rules! accept {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

fn not_found(message: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, message)
}

fn is(object: &Object, key: &str, value: &str) -> bool {
    object.get(key).is_some_and(|known| known == value)
}

/// The note of a vector store.
fn store_of(change: &Transaction, id: &str) -> Outcome<Object> {
    let note = change.noted(STORE, id)?;
    Ok(note.ok_or_else(|| not_found(&format!("Vector store with id '{id}' not found."))))
}

async fn body_of(body: Body) -> Result<Object, Refusal> {
    match receive_json(body, LARGEST).await?.unwrap_or_else(|| json!({})) {
        Value::Object(object) => Ok(object),
        _ => Err(Refusal::new(StatusCode::BAD_REQUEST, "The body must be a JSON object.")),
    }
}

/// A map of at most 16 strings with short keys; `None` if it is missing or null. `numbers` also permits numbers and
/// booleans.
fn map_of(request: &Object, key: &'static str, numbers: bool) -> Result<Option<Value>, Refusal> {
    let map = match request.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(_) => {
            return Err(Refusal::invalid(key, format!("Invalid type for '{key}': expected an object.")));
        }
    };
    let is_valid = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= 512,
        Value::Number(_) | Value::Bool(_) => numbers,
        _ => false,
    };
    if map.len() > 16 || !map.iter().all(|(name, value)| name.chars().count() <= 64 && is_valid(value)) {
        return Err(Refusal::invalid(key, format!("Invalid '{key}': at most 16 pairs of short values.")));
    }
    Ok(Some(Value::Object(map.clone())))
}

/// The chunking strategy of an attached file, which is always reported as static.
fn chunking(request: &Object) -> Result<Value, Refusal> {
    let key = "chunking_strategy";
    let of = |size: u64, overlap: u64| json!({ "type": "static", "static": { "max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap } });
    let strategy = request.get(key).unwrap_or(&Value::Null);
    match strategy["type"].as_str() {
        None if strategy.is_null() => Ok(of(800, 400)),
        Some("auto") => Ok(of(800, 400)),
        Some("static") => {
            let number = |name: &str| strategy["static"][name].as_u64();
            let sizes = number("max_chunk_size_tokens").zip(number("chunk_overlap_tokens"));
            let valid = sizes.filter(|(size, overlap)| (100..=4096).contains(size) && *overlap <= size / 2);
            valid.map(|(size, overlap)| of(size, overlap)).ok_or_else(|| {
                Refusal::invalid(key, "max_chunk_size_tokens must be between 100 and 4096, and chunk_overlap_tokens at most half of it")
            })
        }
        _ => Err(Refusal::invalid(key, "chunking_strategy must be of type 'auto' or 'static'")),
    }
}

/// A page of `objects`, which must be in the order of their creation.
fn page(mut objects: Vec<Value>, params: &Params) -> Answer {
    let limit = match params.get("limit") {
        None => PAGE.0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=PAGE.1).contains(limit))
            .ok_or_else(|| Refusal::invalid("limit", format!("limit must be between 1 and {}", PAGE.1)))?,
    };
    match params.get("order") {
        None | Some("desc") => objects.reverse(),
        Some("asc") => {}
        Some(_) => return Err(Refusal::invalid("order", "order must be 'asc' or 'desc'")),
    }
    let place = |param: &'static str| {
        let Some(id) = params.get(param).filter(|id| !id.is_empty()) else { return Ok(None) };
        let at = objects.iter().position(|object| object["id"] == id);
        at.map(Some).ok_or_else(|| Refusal::invalid(param, format!("{param} is not the id of an object")))
    };
    let (after, before) = (place("after")?, place("before")?);
    let from = after.map_or(0, |at| at + 1);
    let mut rest = objects.drain(from..before.unwrap_or(objects.len()).max(from)).collect::<Vec<_>>();
    let has_more = rest.len() > limit;
    if before.is_some() && after.is_none() {
        rest.drain(..rest.len().saturating_sub(limit));
    }
    rest.truncate(limit);
    Ok(Json(list(&rest, has_more)))
}

/// The notes of a vector store's files, in the order in which they were attached.
fn notes_of(change: &Transaction, store: &str) -> StoreResult<Vec<(String, Object)>> {
    let mut notes: Vec<(String, Object)> = Vec::new();
    for (key, note) in change.notes(ATTACHED, None)? {
        if let Some((its, file)) = key.split_once('/')
            && its == store
        {
            notes.push((file.to_owned(), note));
        }
    }
    notes.sort_by_key(|(_, note)| note.get("number").and_then(Value::as_u64));
    Ok(notes)
}

/// Attaches a file, unless it is already attached.
fn add(
    change: &mut Transaction,
    store: &str,
    request: &Object,
    batch: Option<&str>,
    now: i64,
) -> Outcome<String> {
    let id = match request.get("file_id").and_then(Value::as_str) {
        Some(id) => id.to_owned(),
        None => return Ok(Err(Refusal::missing("file_id"))),
    };
    let attributes = accept!(map_of(request, "attributes", true));
    let chunking = accept!(chunking(request));
    match change.stat(&FileId(id.clone())) {
        Err(error) if error.kind() == Kind::NotFound => {
            return Ok(Err(not_found(&format!("Files [{id}] were not found"))));
        }
        file => file?,
    };
    let key = format!("{store}/{id}");
    if let Some(mut note) = change.noted(ATTACHED, &key)? {
        if let Some(batch) = batch {
            note.insert("batch".to_owned(), batch.into());
            change.note(ATTACHED, &key, Some(&FileId(id.clone())), &note)?;
        }
        return Ok(Ok(id));
    }
    let last = notes_of(change, store)?.last().and_then(|(_, note)| note["number"].as_u64());
    let note = json!({
        "number": last.map_or(0, |last| last + 1),
        "created_at": now,
        "status": "in_progress",
        "batch": batch,
        "attributes": attributes.unwrap_or_else(|| json!({})),
        "chunking_strategy": chunking,
    });
    change.note(ATTACHED, &key, Some(&FileId(id.clone())), note.as_object().unwrap_or(&Map::new()))?;
    Ok(Ok(id))
}

/// An attached file as an object. With `reads`, a file in progress is processed first.
fn show(
    change: &mut Transaction,
    store: &str,
    id: &str,
    mut note: Object,
    reads: bool,
) -> StoreResult<Value> {
    let file = change.stat(&FileId::from(id))?;
    let ending = file.name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
    let supported = SUPPORTED.split(' ').any(|known| known == ending);
    if reads && is(&note, "status", "in_progress") {
        note.insert("status".to_owned(), if supported { "completed" } else { "failed" }.into());
        change.note(ATTACHED, &format!("{store}/{id}"), Some(&file.id), &note)?;
    }
    let error = json!({ "code": "unsupported_file", "message": "The file type is not supported." });
    Ok(json!({
        "id": id,
        "object": "vector_store.file",
        "created_at": note["created_at"],
        "vector_store_id": store,
        "status": note["status"],
        "usage_bytes": if is(&note, "status", "completed") { file.size } else { Some(0) },
        "last_error": if is(&note, "status", "failed") { error } else { Value::Null },
        "attributes": note["attributes"],
        "chunking_strategy": note["chunking_strategy"],
    }))
}

/// The attached files of a vector store, or of one of its batches.
fn shown(change: &mut Transaction, store: &str, batch: Option<&str>, reads: bool) -> StoreResult<Vec<Value>> {
    let mut objects = Vec::new();
    for (id, note) in notes_of(change, store)? {
        if batch.is_none_or(|batch| is(&note, "batch", batch)) {
            match show(change, store, &id, note, reads) {
                // The file has expired.
                Err(error) if error.kind() == Kind::NotFound => {}
                object => objects.push(object?),
            }
        }
    }
    Ok(objects)
}

fn counts(files: &[Value]) -> Value {
    let count = |status: &str| files.iter().filter(|file| file["status"] == status).count();
    let [in_progress, completed, failed, cancelled] = STATUSES.map(count);
    json!({
        "in_progress": in_progress, "completed": completed, "failed": failed, "cancelled": cancelled,
        "total": files.len(),
    })
}

/// A vector store as an object.
fn store_object(change: &mut Transaction, id: &str, note: &Object, now: i64) -> StoreResult<Value> {
    let files = shown(change, id, None, false)?;
    let counts = counts(&files);
    let days = note["expires_after"]["days"].as_i64();
    let end = days.zip(note["created_at"].as_i64()).map(|(days, created)| created + days * 86_400);
    let status = match counts["in_progress"].as_u64() {
        _ if end.is_some_and(|end| end <= now) => "expired",
        Some(1..) => "in_progress",
        _ => "completed",
    };
    Ok(json!({
        "id": id,
        "object": "vector_store",
        "created_at": note["created_at"],
        "name": note["name"],
        "usage_bytes": files.iter().filter_map(|file| file["usage_bytes"].as_u64()).sum::<u64>(),
        "file_counts": counts,
        "status": status,
        "expires_after": note["expires_after"],
        "expires_at": end,
        "last_active_at": note["created_at"],
        "metadata": note["metadata"],
    }))
}

/// The properties of a vector store that a request changes.
fn properties(request: &Object) -> Result<Object, Refusal> {
    let mut changed = Object::new();
    if let Some(name) = request.get("name") {
        changed.insert("name".to_owned(), name.clone());
    }
    if let Some(metadata) = map_of(request, "metadata", false)? {
        changed.insert("metadata".to_owned(), metadata);
    }
    if let Some(expiry) = request.get("expires_after").filter(|expiry| !expiry.is_null()) {
        let days = expiry["days"].as_i64().filter(|days| (1..=365).contains(days));
        if expiry["anchor"] != "last_active_at" || days.is_none() {
            let message = "expires_after must be 1 to 365 days after 'last_active_at'";
            return Err(Refusal::invalid("expires_after", message));
        }
        changed.insert("expires_after".to_owned(), expiry.clone());
    }
    Ok(changed)
}

async fn create(State(Service { site, .. }): State<Service>, body: Body) -> Answer {
    let request = body_of(body).await?;
    let changed = properties(&request)?;
    let now = site.clock.now().as_second();
    let create = move |change: &mut Transaction| {
        let id = format!("vs_{}", ids::hex(12));
        let mut note = Object::from_iter([
            ("created_at".to_owned(), now.into()),
            ("name".to_owned(), Value::Null),
            ("metadata".to_owned(), json!({})),
            ("expires_after".to_owned(), Value::Null),
        ]);
        note.extend(changed);
        for file in request.get("file_ids").and_then(Value::as_array).into_iter().flatten() {
            let mut one = Object::from_iter([("file_id".to_owned(), file.clone())]);
            one.extend(
                request.get("chunking_strategy").map(|how| ("chunking_strategy".to_owned(), how.clone())),
            );
            accept!(add(change, &id, &one, None, now)?);
        }
        change.note(STORE, &id, None, &note)?;
        Ok(Ok(Json(store_object(change, &id, &note, now)?)))
    };
    run(&site, create).await
}

async fn stores(State(Service { site, .. }): State<Service>, params: Params) -> Answer {
    let now = site.clock.now().as_second();
    let read = move |change: &mut Transaction| {
        let notes = change.notes(STORE, None)?;
        let objects: StoreResult<Vec<Value>> =
            notes.iter().map(|(id, note)| store_object(change, id, note, now)).collect();
        objects.map(Ok)
    };
    page(run(&site, read).await?, &params)
}

async fn info(State(Service { site, .. }): State<Service>, Path(id): Path<String>) -> Answer {
    let now = site.clock.now().as_second();
    let read = move |change: &mut Transaction| {
        let note = accept!(store_of(change, &id)?);
        let object = store_object(change, &id, &note, now)?;
        // Lets a client that polls only the vector store see the end.
        shown(change, &id, None, true)?;
        Ok(Ok(Json(object)))
    };
    run(&site, read).await
}

async fn update(State(Service { site, .. }): State<Service>, Path(id): Path<String>, body: Body) -> Answer {
    let changed = properties(&body_of(body).await?)?;
    let now = site.clock.now().as_second();
    let update = move |change: &mut Transaction| {
        let mut note = accept!(store_of(change, &id)?);
        note.extend(changed);
        change.note(STORE, &id, None, &note)?;
        Ok(Ok(Json(store_object(change, &id, &note, now)?)))
    };
    run(&site, update).await
}

async fn delete(State(Service { site, .. }): State<Service>, Path(id): Path<String>) -> Answer {
    let delete = move |change: &mut Transaction| {
        accept!(store_of(change, &id)?);
        for (file, _) in notes_of(change, &id)? {
            change.forget(ATTACHED, &format!("{id}/{file}"))?;
        }
        for (key, _) in change.notes(BATCH, None)? {
            if key.split_once('/').is_some_and(|(store, _)| store == id) {
                change.forget(BATCH, &key)?;
            }
        }
        change.forget(STORE, &id)?;
        Ok(Ok(Json(json!({ "id": id, "object": "vector_store.deleted", "deleted": true }))))
    };
    run(&site, delete).await
}

async fn attach(
    State(Service { site, .. }): State<Service>,
    Path(store): Path<String>,
    body: Body,
) -> Answer {
    let (request, now) = (body_of(body).await?, site.clock.now().as_second());
    let attach = move |change: &mut Transaction| {
        accept!(store_of(change, &store)?);
        let id = accept!(add(change, &store, &request, None, now)?);
        let note = change.noted(ATTACHED, &format!("{store}/{id}"))?.unwrap_or_default();
        Ok(Ok(Json(show(change, &store, &id, note, false)?)))
    };
    run(&site, attach).await
}

/// A page of attached files, restricted to the status in the parameter `filter`.
fn filtered(objects: Vec<Value>, params: &Params) -> Answer {
    let Some(status) = params.get("filter").filter(|text| !text.is_empty()) else {
        return page(objects, params);
    };
    if !STATUSES.contains(&status) {
        return Err(Refusal::invalid("filter", format!("'{status}' is not one of {}", STATUSES.join(", "))));
    }
    page(objects.into_iter().filter(|file| file["status"] == status).collect(), params)
}

async fn files(
    State(Service { site, .. }): State<Service>,
    Path(store): Path<String>,
    params: Params,
) -> Answer {
    let read = move |change: &mut Transaction| {
        accept!(store_of(change, &store)?);
        shown(change, &store, None, true).map(Ok)
    };
    filtered(run(&site, read).await?, &params)
}

/// The note of an attached file.
fn attachment(change: &Transaction, store: &str, id: &str) -> Outcome<Object> {
    accept!(store_of(change, store)?);
    let note = change.noted(ATTACHED, &format!("{store}/{id}"))?;
    Ok(note.ok_or_else(|| not_found(&format!("No file found with id '{id}' in vector store '{store}'."))))
}

async fn attached(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
) -> Answer {
    let read = move |change: &mut Transaction| {
        let note = accept!(attachment(change, &store, &id)?);
        Ok(Ok(Json(show(change, &store, &id, note, true)?)))
    };
    run(&site, read).await
}

async fn set_attributes(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
    body: Body,
) -> Answer {
    let attributes = map_of(&body_of(body).await?, "attributes", true)?;
    let attributes = attributes.ok_or_else(|| Refusal::missing("attributes"))?;
    let update = move |change: &mut Transaction| {
        let mut note = accept!(attachment(change, &store, &id)?);
        note.insert("attributes".to_owned(), attributes);
        change.note(ATTACHED, &format!("{store}/{id}"), Some(&FileId(id.clone())), &note)?;
        Ok(Ok(Json(show(change, &store, &id, note, false)?)))
    };
    run(&site, update).await
}

async fn detach(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
) -> Answer {
    let detach = move |change: &mut Transaction| {
        accept!(attachment(change, &store, &id)?);
        change.forget(ATTACHED, &format!("{store}/{id}"))?;
        Ok(Ok(Json(json!({ "id": id, "object": "vector_store.file.deleted", "deleted": true }))))
    };
    run(&site, detach).await
}

async fn content(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
) -> Answer {
    let read = move |change: &mut Transaction| {
        accept!(attachment(change, &store, &id)?);
        let text = format!("The text of {}.", change.stat(&FileId(id))?.name);
        Ok(Ok(Json(json!({
            "object": "vector_store.file_content.page",
            "data": [{ "type": "text", "text": text }],
            "has_more": false,
            "next_page": null,
        }))))
    };
    run(&site, read).await
}

/// A batch as an object.
fn batch_object(change: &mut Transaction, store: &str, id: &str, reads: bool) -> Outcome<Value> {
    accept!(store_of(change, store)?);
    let Some(note) = change.noted(BATCH, &format!("{store}/{id}"))? else {
        return Ok(Err(not_found(&format!("No file batch found with id '{id}' in vector store '{store}'."))));
    };
    let counts = counts(&shown(change, store, Some(id), reads)?);
    let status = match counts["in_progress"].as_u64() {
        Some(1..) => "in_progress",
        _ if note.contains_key("cancelled") => "cancelled",
        _ => "completed",
    };
    Ok(Ok(json!({
        "id": id,
        "object": "vector_store.files_batch",
        "created_at": note["created_at"],
        "vector_store_id": store,
        "status": status,
        "file_counts": counts,
    })))
}

async fn attach_batch(
    State(Service { site, .. }): State<Service>,
    Path(store): Path<String>,
    body: Body,
) -> Answer {
    let (request, now) = (body_of(body).await?, site.clock.now().as_second());
    let files: Vec<Object> = match (&request.get("files"), &request.get("file_ids")) {
        (Some(Value::Array(files)), None) => {
            files.iter().filter_map(|file| file.as_object().cloned()).collect()
        }
        (None, Some(Value::Array(ids))) => {
            let common = |key: &str| request.get(key).map(|value| (key.to_owned(), value.clone()));
            let one = |id: &Value| {
                let id = [("file_id".to_owned(), id.clone())].into_iter();
                id.chain(common("attributes")).chain(common("chunking_strategy")).collect()
            };
            ids.iter().map(one).collect()
        }
        _ => return Err(Refusal::invalid("file_ids", "Exactly one of 'file_ids' and 'files' is required.")),
    };
    if files.is_empty() || files.len() > 2000 {
        return Err(Refusal::invalid("file_ids", "A batch must have between 1 and 2000 files."));
    }
    let attach = move |change: &mut Transaction| {
        accept!(store_of(change, &store)?);
        let id = format!("vsfb_{}", ids::hex(12));
        for file in &files {
            accept!(add(change, &store, file, Some(&id), now)?);
        }
        let note = Object::from_iter([("created_at".to_owned(), now.into())]);
        change.note(BATCH, &format!("{store}/{id}"), None, &note)?;
        Ok(batch_object(change, &store, &id, false)?.map(Json))
    };
    run(&site, attach).await
}

async fn batch(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
) -> Answer {
    run(&site, move |change| Ok(batch_object(change, &store, &id, true)?.map(Json))).await
}

async fn cancel(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
) -> Answer {
    let cancel = move |change: &mut Transaction| {
        accept!(batch_object(change, &store, &id, false)?);
        for (file, mut note) in notes_of(change, &store)? {
            if is(&note, "batch", &id) && is(&note, "status", "in_progress") {
                note.insert("status".to_owned(), "cancelled".into());
                change.note(ATTACHED, &format!("{store}/{file}"), Some(&FileId(file)), &note)?;
            }
        }
        let key = format!("{store}/{id}");
        let mut note = change.noted(BATCH, &key)?.unwrap_or_default();
        note.insert("cancelled".to_owned(), true.into());
        change.note(BATCH, &key, None, &note)?;
        Ok(batch_object(change, &store, &id, false)?.map(Json))
    };
    run(&site, cancel).await
}

async fn batch_files(
    State(Service { site, .. }): State<Service>,
    Path((store, id)): Path<(String, String)>,
    params: Params,
) -> Answer {
    let read = move |change: &mut Transaction| {
        accept!(batch_object(change, &store, &id, false)?);
        shown(change, &store, Some(&id), true).map(Ok)
    };
    filtered(run(&site, read).await?, &params)
}
