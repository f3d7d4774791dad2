//! `/files`: uploading, listing, info, content, metadata and deletion.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::filter::Condition;
use super::workspaces::{self, DEFAULT_WORKSPACE, MAX_JSON, ORG, USER, WORKSPACE};
use crate::emulator::fastapi::{Problem, Refusal, receive_object};
use crate::emulator::faults::proxy_page;
use crate::emulator::openai::{self, Page};
use crate::emulator::{
    Content, Form, Head, Limits, Params, Refused, Sending, Site, Take, content_disposition, ids, media_type,
    receive,
};
use crate::error::{Kind, Result as StoreResult};
use crate::filter::Filter;
use crate::model::{File, FileId, Object};
use crate::store::{Listing, SortKey};

/// Maximum size of a request, in bytes: the limit of a self-hosted service's proxy.
const LIMIT: u64 = 512 * 1024 * 1024;
/// Number of files per page, both default and maximum.
const MAX_PAGE: usize = 10_000;
/// Seconds between upload and indexing.
const INDEX_AFTER: i64 = 2;
/// The key for AI instructions: in requests, and in `extra` for the list of instructions that a file has received.
const INSTRUCTIONS: &str = "instructions";

/// OpenAI's purposes, because only `user_data` is documented.
const PURPOSES: [&str; 9] = [
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "vision",
    "user_data",
    "evals",
];

/// The proxy's response to a request that is too large.
pub(super) fn too_large() -> Refusal {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Refusal::other(proxy_page(status, "413 Request Entity Too Large", "nginx"))
}

fn check_purpose(place: &str, word: &str) -> Result<(), Problem> {
    if PURPOSES.contains(&word) {
        return Ok(());
    }
    Err(Problem::one_of([place, "purpose"], "enum", &PURPOSES).input(word))
}

/// Stores AI instructions separately from the metadata. The `instructions` quirk also adds them to the metadata.
fn instruct(site: &Site, file: &mut File, instructions: &Value) {
    if let Some(key) = site.quirk_value(INSTRUCTIONS) {
        file.metadata.insert(key.to_owned(), instructions.clone());
    }
    let all = file.extra.entry(INSTRUCTIONS).or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.push(instructions.clone());
    }
}

fn workspace(file: &File) -> &str {
    file.extra.get(WORKSPACE).and_then(Value::as_str).unwrap_or(DEFAULT_WORKSPACE)
}

/// The file object. The status depends on the file's age: uploaded, then processing, then indexed.
fn show(site: &Site, file: &File) -> Value {
    let age = file.created_at.map_or(0, |created| site.clock.now().as_second() - created.as_second());
    let total = site.quirk_number("index-after").unwrap_or(INDEX_AFTER);
    let (status, details) = match site.quirk_value("index-error") {
        _ if age < total / 2 => ("uploaded", None),
        _ if age < total => ("processing", None),
        Some(details) => ("error", Some(details)),
        None => ("indexed", None),
    };
    object(file, status, details)
}

fn object(file: &File, status: &str, details: Option<&str>) -> Value {
    let mut object = openai::object(file);
    // This platform puts this key after the status, and the value is always null.
    object.shift_remove("expires_at");
    let metadata = if file.metadata.is_empty() { Value::Null } else { file.metadata.clone().into() };
    let more = [
        ("status", status.into()),
        ("status_details", details.into()),
        ("expires_at", Value::Null),
        ("org_id", ORG.into()),
        ("workspace_id", workspace(file).into()),
        ("user_id", USER.into()),
        ("metadata", metadata),
    ];
    object.extend(more.map(|(name, value)| (name.to_owned(), value)));
    object.into()
}

/// `POST /files`: one or more files, with fields in any order.
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let limit = site.quirk_number("upload-limit").unwrap_or(LIMIT);
    let missing = || Refusal::from(Problem::missing(["body", "file"]).input(Value::Null));
    // FastAPI finds no fields in a body that is not a form.
    if !media_type(&headers).starts_with("multipart/form-data") {
        return Err(missing());
    }
    let limits = Limits { file: Some(limit), body: Some(limit) };
    let received = receive(&site, &headers, body, limits, decide).await;
    let mut form = received.map_err(|refused| match refused {
        Refused::TooLarge(_) => too_large(),
        refused => refused.into(),
    })?;
    let uploads = form.take_files();
    if uploads.is_empty() {
        return Err(missing());
    }
    let purpose = form.text("purpose").unwrap_or("user_data");
    check_purpose("body", purpose)?;
    let workspace = form.text("workspace").unwrap_or(DEFAULT_WORKSPACE).to_owned();
    let instructions = form.text(INSTRUCTIONS).filter(|text| !text.is_empty()).map(Value::from);
    let mut record = File {
        provider: site.platform.to_owned(),
        purpose: Some(purpose.to_owned()),
        metadata: metadata(form.text("metadata"))?,
        created_at: Some(site.clock.now()),
        extra: [(WORKSPACE.to_owned(), workspace.clone().into())].into_iter().collect(),
        ..File::default()
    };
    if let Some(instructions) = &instructions {
        instruct(&site, &mut record, instructions);
    }
    let stored = site.blocking(move |store| {
        store.transaction(|change| {
            if !workspaces::exists(change, &workspace)? {
                return Ok(None);
            }
            let stored = uploads.into_iter().map(|upload| {
                let file = File {
                    id: FileId(ids::uuid().replace('-', "")),
                    name: upload.head.file_name.unwrap_or_default(),
                    content_type: upload.head.content_type,
                    ..record.clone()
                };
                change.put(file, upload.blob)
            });
            stored.collect::<StoreResult<Vec<_>>>().map(Some)
        })
    });
    let stored = stored.await?.ok_or_else(|| Refusal::missing("Workspace"))?;
    let stored: Vec<Value> = stored.iter().map(|file| object(file, "uploaded", None)).collect();
    Ok(Json(match stored.as_slice() {
        [file] => file.clone(),
        _ if site.quirk("upload-envelope") => json!({ "object": "list", "data": stored }),
        _ => stored.into(),
    })
    .into_response())
}

/// Decides how to receive a part. Parts with other names, such as `files`, are ignored.
fn decide(_: &Form, head: &Head) -> Result<Take, Refusal> {
    match (head.name.as_str(), head.file_name.as_deref()) {
        ("file", None | Some("")) => {
            let message = "Value error, Expected UploadFile, received: <class 'str'>";
            Err(Problem::new(("body", "file", 0), "value_error", message).input("").into())
        }
        ("file", Some(_)) => Ok(Take::File),
        ("purpose" | "metadata" | INSTRUCTIONS | "workspace", None) => Ok(Take::Text),
        _ => Ok(Take::Nothing),
    }
}

/// Parses metadata, which is sent as JSON in a text field.
fn metadata(text: Option<&str>) -> Result<Object, Refusal> {
    match text.map(str::trim) {
        None | Some("") => Ok(Object::new()),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(metadata)) => Ok(metadata),
            Ok(Value::Null) => Ok(Object::new()),
            _ => Err(Refusal::bad_request("Invalid metadata: not a JSON object")),
        },
    }
}

/// `GET /files`: the files in a workspace, by creation time.
pub(super) async fn list(State(site): State<Arc<Site>>, params: Params) -> Result<Response, Refusal> {
    let limit = limit(&params)?;
    let descending = match params.get("order") {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(other) => {
            let problem = Problem::one_of(["query", "order"], "literal_error", &["asc", "desc"]);
            return Err(problem.input(other).into());
        }
    };
    let purpose = params.get("purpose").filter(|word| !word.is_empty());
    purpose.map_or(Ok(()), |word| check_purpose("query", word))?;
    let condition = params.get("filter").filter(|text| !text.trim().is_empty()).map(Condition::parse);
    let condition =
        condition.transpose().map_err(|why| Refusal::bad_request(format!("Invalid filter: {why}")))?;
    let workspace = params.get("workspace").unwrap_or(DEFAULT_WORKSPACE);
    workspaces::check(&site, workspace).await?;
    let mut filter = workspaces::files_of(workspace);
    if let Some(purpose) = purpose {
        filter = filter.and(Filter::equals("purpose", purpose));
    }
    let listing = Listing {
        filter: Some(filter),
        sort: SortKey::Created,
        descending,
        after: params.get("after").filter(|id| !id.is_empty()).map(FileId::from),
        ..Listing::default()
    };
    let accept =
        move |file: &File| condition.as_ref().is_none_or(|condition| condition.holds(&file.metadata));
    let page = site.blocking(move |store| Page::read(store, listing, limit, accept)).await;
    let page = page.map_err(|error| match error.kind() {
        Kind::NotFound => Refusal::bad_request("Invalid cursor: after"),
        _ => error.into(),
    })?;
    let data: Vec<_> = page.files.iter().map(|file| show(&site, file)).collect();
    Ok(Json(openai::list(&data, page.has_more)).into_response())
}

fn limit(params: &Params) -> Result<usize, Problem> {
    let Some(text) = params.get("limit") else { return Ok(MAX_PAGE) };
    let wrong = |kind, message| Problem::new(["query", "limit"], kind, message).input(text);
    let Ok(limit) = text.trim().parse::<i64>() else {
        return Err(Problem::not_an_integer(["query", "limit"]).input(text));
    };
    match usize::try_from(limit) {
        Ok(limit @ 1..=MAX_PAGE) => Ok(limit),
        Ok(limit) if limit > MAX_PAGE => {
            let message = "Input should be less than or equal to 10000";
            Err(wrong("less_than_equal", message).context("le", MAX_PAGE))
        }
        _ => {
            let message = "Input should be greater than or equal to 1";
            Err(wrong("greater_than_equal", message).context("ge", 1))
        }
    }
}

/// Finds a file in the workspace given in the query.
async fn find(site: &Site, id: &str, params: &Params) -> Result<File, Refusal> {
    let id = FileId(id.to_owned());
    let file = site.blocking(move |store| store.stat(&id)).await?;
    if workspace(&file) != params.get("workspace").unwrap_or(DEFAULT_WORKSPACE) {
        return Err(Refusal::missing("File"));
    }
    Ok(file)
}

pub(super) async fn info(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    Ok(Json(show(&site, &file)).into_response())
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    site.blocking(move |store| store.delete(&file.id)).await?;
    Ok(Json(openai::deleted(&id)).into_response())
}

pub(super) async fn content(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    let content = Content::open(&site, &file.id).await?;
    let ranges = site.quirk("ranges");
    let how = Sending {
        ranges,
        etag: file.checksums.sha256.filter(|_| ranges),
        content_type: mime_guess::from_path(&file.name).first_or_octet_stream().to_string(),
        headers: vec![(CONTENT_DISPOSITION, content_disposition("attachment", &file.name))],
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}

/// `/files/{id}/metadata`: merges keys into a file's metadata.
pub(super) async fn update_metadata(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    body: Body,
) -> Result<Response, Refusal> {
    let mut update = receive_object(body, MAX_JSON).await?;
    let file = find(&site, &id, &params).await?;
    let instructions = update.shift_remove(INSTRUCTIONS);
    let server = Arc::clone(&site);
    let changed = site.blocking(move |store| {
        store.annotate(&file.id, |file: &mut File| {
            if server.quirk("replace-metadata") {
                file.metadata = Object::new();
            }
            // Null is stored like any other value.
            file.metadata.extend(update);
            if let Some(instructions) = &instructions {
                instruct(&server, file, instructions);
            }
            Ok(())
        })
    });
    Ok(Json(show(&site, &changed.await?)).into_response())
}
