//! `/api/v1/beta/files` and its predecessor `/api/v1/files`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::bucket::{self, MAX_LIFETIME, presign};
use super::files::{self, MAX_SIZE, Order};
use super::service::{Call, parse_uuid};
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::{
    Form, Limits, Params, Refused, Take, Upload, media_type, receive, receive_json, receive_raw,
};
use crate::filter::{Comparison, Expr, Filter, Op};
use crate::model::{File, FileId, Object};

/// Page sizes: default and maximum.
const PAGE: usize = 50;
const MAX_PAGE: usize = 1000;
/// Number of files that the unpaged listing reads at a time.
const BATCH: usize = 200;
/// Default lifetime of a presigned URL, in seconds. Inferred.
const DEFAULT_LIFETIME: i64 = 3600;
/// Maximum size of a JSON body, in bytes.
const MAX_JSON: usize = 1024 * 1024;
const PURPOSES: [&str; 7] = ["user_data", "parse", "extract", "split", "classify", "sheet", "agent_app"];

type Answer = Result<Json<Value>, Refusal>;

pub(super) async fn beta_upload(call: Call, body: Body) -> Answer {
    call.count_upload()?;
    if media_type(&call.headers) == "application/json" {
        return beta_create(&call, body).await;
    }
    let (form, upload) = receive_form(&call, body, "file", &["purpose"], &["external_file_id"]).await?;
    let purpose = last_text(&form, "purpose").unwrap_or_default();
    if !PURPOSES.contains(&purpose) {
        // Inferred: clients declare a plain string, and the response to an unknown purpose is not documented.
        return Err(Problem::one_of(["body", "purpose"], "enum", &PURPOSES).into());
    }
    let expires_at = files::expiry(&call.service, purpose);
    let external_id = last_text(&form, "external_file_id");
    let file =
        File { purpose: Some(purpose.to_owned()), expires_at, ..uploaded(&call, &upload, external_id) };
    let file = files::add(&call.service, file, |change, file| change.put(file, upload.blob)).await?;
    Ok(Json(beta_object(&call, &file, false)))
}

/// Creates a file from a `FileCreate`, as the first version of the beta API did. Inferred: the file is empty.
async fn beta_create(call: &Call, body: Body) -> Answer {
    let file = described_file(call, &read_object(body).await?)?;
    let site = &call.service.site;
    let empty = receive_raw(site, &HeaderMap::new(), Body::empty(), None).await;
    let empty = empty.map_err(|_: Refused<Refusal>| Refusal::bad_request("Cannot create the file"))?;
    let file = files::add(&call.service, file, |change, file| change.put(file, empty)).await?;
    Ok(Json(files::short_object(&file, None, true)))
}

pub(super) async fn legacy_upload(call: Call, body: Body) -> Answer {
    call.count_upload()?;
    let (_, upload) = receive_form(&call, body, "upload_file", &[], &[]).await?;
    let expires_at = call.params.get("storage_type").and_then(|word| files::expiry(&call.service, word));
    let file = File { expires_at, ..uploaded(&call, &upload, call.params.get("external_file_id")) };
    let file = files::add(&call.service, file, |change, file| change.put(file, upload.blob)).await?;
    Ok(Json(files::long_object(&file)))
}

/// The record for an uploaded file.
fn uploaded(call: &Call, upload: &Upload, external_id: Option<&str>) -> File {
    let file = files::new_file(call, upload.head.file_name.as_deref().unwrap_or_default(), external_id);
    File { content_type: upload.head.content_type.clone(), ..file }
}

/// The last text with this name. An empty text counts as missing.
fn last_text<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.texts().filter(|(key, value)| *key == name && !value.is_empty()).last().map(|(_, value)| value)
}

/// Receives a form with a named, non-empty file in the part `part`. Parts may be in any order; if several parts have
/// the same name, the last one is used.
async fn receive_form(
    call: &Call,
    body: Body,
    part: &str,
    required: &[&str],
    optional: &[&str],
) -> Result<(Form, Upload), Refusal> {
    let limits = Limits::form(MAX_SIZE);
    let received = receive(&call.service.site, &call.headers, body, limits, |_, head| {
        if head.name == part && head.file_name.is_none() {
            let message = "Value error, Expected UploadFile, received: <class 'str'>";
            return Err(Refusal::from(Problem::new(["body", part], "value_error", message)));
        }
        let is_text = required.iter().chain(optional).any(|name| *name == head.name);
        Ok(if head.name == part {
            Take::File
        } else if is_text {
            Take::Text
        } else {
            Take::Nothing
        })
    });
    let mut form = received.await.map_err(|refused| match refused {
        Refused::Malformed(why) => {
            Refusal::bad_request(format!("There was an error parsing the body: {why}"))
        }
        // Inferred: the official clients have no class for this status.
        Refused::TooLarge(_) => Refusal::Detail(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("File size exceeds the maximum of {} MB", MAX_SIZE / 1_000_000),
        ),
        Refused::Rule(refusal) => refusal,
        Refused::Store(error) => error.into(),
    })?;
    let upload = form.take_files().pop();
    let missing = upload.is_none().then_some(&part).into_iter();
    let missing = missing.chain(required.iter().filter(|name| last_text(&form, name).is_none()));
    let problems: Vec<_> = missing.map(|name| Problem::missing(["body", name])).collect();
    let Some(upload) = upload.filter(|_| problems.is_empty()) else { return Err(Refusal::Invalid(problems)) };
    let name = upload.head.file_name.as_deref().unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::bad_request("File must have a filename"));
    }
    files::check_name(&["body", part], name)?;
    // The rule is documented, but the status is inferred.
    if upload.blob.size == 0 {
        return Err(Refusal::bad_request("File must not be empty"));
    }
    Ok((form, upload))
}

pub(super) async fn beta_list(call: Call) -> Answer {
    let params = &call.params;
    let size = match params.get("page_size").map(|text| text.trim().parse::<i64>()) {
        None => PAGE,
        Some(Err(_)) => return Err(Problem::not_an_integer(["query", "page_size"]).into()),
        Some(Ok(size)) => check_page_size(size)?,
    };
    let order = if call.service.site.quirk("old-order-by") {
        Order::parse_old(&["query", "order_by"], params.get("order_by"))?
    } else {
        Order::parse(params.get("order_by"))?
    };
    let ids: Vec<_> = params.all("file_ids").into_iter().map(str::to_owned).collect();
    let text = |name| params.get(name).map(str::to_owned);
    let filter = filter(&call, &ids, text("file_name"), text("external_file_id"));
    let page = files::page(&call.service, filter, order, size, params.get("page_token")).await?;
    Ok(page_object(&call, page, wants_url(params)))
}

/// The filter shared by listings and queries.
fn filter(call: &Call, ids: &[String], name: Option<String>, external_id: Option<String>) -> Filter {
    let mut filter = files::in_project(&call.project);
    if !ids.is_empty() {
        let expr = Expr::any(ids.iter().map(|id| Filter::id_is(id).expr).collect());
        filter = filter.and(Filter { expr });
    }
    for (field, text) in [("name", name), ("extra.external_file_id", external_id)] {
        filter = text.iter().fold(filter, |filter, text| filter.and(Filter::equals(field, text)));
    }
    filter
}

/// Checks that a page size is between 1 and 1000.
fn check_page_size(size: i64) -> Result<usize, Problem> {
    let out_of_range = |kind, what, bound| {
        let message = format!("Input should be {what} than or equal to {bound}");
        Problem::new(["query", "page_size"], kind, message)
    };
    match usize::try_from(size) {
        Ok(size) if size > MAX_PAGE => Err(out_of_range("less_than_equal", "less", MAX_PAGE)),
        Ok(size) if size > 0 => Ok(size),
        _ => Err(out_of_range("greater_than_equal", "greater", 1)),
    }
}

/// The deprecated listing with a JSON body, which has more conditions, the older order syntax, and clamped page
/// sizes. All fields are optional and nullable.
pub(super) async fn query(call: Call, body: Body) -> Answer {
    let query = read_object(body).await?;
    let empty = Object::new();
    let conditions = match non_null(&query, "filter") {
        None => &empty,
        Some(Value::Object(filter)) => filter,
        Some(_) => {
            return Err(Problem::wrong_type(["body", "filter"], "a valid dictionary or object").into());
        }
    };
    let ids = match non_null(conditions, "file_ids") {
        None => Vec::new(),
        Some(value) => string_list(&["body", "filter", "file_ids"], value)?,
    };
    let text = |name| text(conditions, &["body", "filter", name]);
    let mut filter = filter(&call, &ids, text("file_name")?, text("external_file_id")?);
    for (field, name) in [("extra.project_id", "project_id"), ("extra.data_source_id", "data_source_id")] {
        if let Some(id) = text(name)? {
            let id = parse_uuid(&["body", "filter", name], &id)?;
            filter = filter.and(Filter::equals(field, &id));
        }
    }
    match non_null(conditions, "only_manually_uploaded") {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            let field = "extra.data_source_id".to_owned();
            let unset = Comparison { field, op: Op::Eq, value: crate::filter::Value::Null };
            filter = filter.and(Filter { expr: Expr::Compare(unset) });
        }
        Some(_) => {
            let loc = ["body", "filter", "only_manually_uploaded"];
            return Err(Problem::wrong_type(loc, "a valid boolean").into());
        }
    }
    let size = match non_null(&query, "page_size").map(Value::as_i64) {
        None => PAGE,
        Some(None) => return Err(Problem::not_an_integer(["body", "page_size"]).into()),
        // The schema defines no minimum.
        Some(Some(size)) => match usize::try_from(size) {
            Ok(0) | Err(_) => PAGE,
            Ok(size) => size.min(MAX_PAGE),
        },
    };
    let order_by = self::text(&query, &["body", "order_by"])?;
    let order = Order::parse_old(&["body", "order_by"], order_by.as_deref())?;
    let token = self::text(&query, &["body", "page_token"])?;
    let page = files::page(&call.service, filter, order, size, token.as_deref()).await?;
    Ok(page_object(&call, page, false))
}

/// Lists all files as one array, streamed in batches.
pub(super) async fn legacy_list(call: Call) -> Result<Response, Refusal> {
    let call = Arc::new(call);
    let batch = |call: Arc<Call>, token: Option<String>| async move {
        let filter = files::in_project(&call.project);
        files::page(&call.service, filter, Order::default(), BATCH, token.as_deref()).await
    };
    // If the first batch fails, an error response is still possible.
    let first = batch(Arc::clone(&call), None).await?;
    let text = stream::try_unfold(Some((first, "[")), move |state| {
        let call = Arc::clone(&call);
        async move {
            let Some(((files, next), open)) = state else { return Ok(None) };
            let objects: Vec<_> = files.iter().map(|file| files::long_object(file).to_string()).collect();
            let close = if next.is_none() { "]" } else { "" };
            let text = Bytes::from(format!("{open}{}{close}", objects.join(",")));
            if next.is_none() {
                return Ok(Some((text, None)));
            }
            let batch = batch(call, next).await;
            let batch = batch.map_err(|_| std::io::Error::other("the list ended early"))?;
            Ok::<_, std::io::Error>(Some((text, Some((batch, ",")))))
        }
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(text)).into_response())
}

/// On the service, this operation detects presigned uploads. The emulator detects them as they arrive, so it only
/// deletes expired ones and lists the files.
pub(super) async fn sync(call: Call) -> Result<Response, Refusal> {
    bucket::forget_expired(&call.service).await?;
    legacy_list(call).await
}

pub(super) async fn beta_get(call: Call) -> Answer {
    let file = files::find(&call, beta_id(&call)?).await?;
    Ok(Json(beta_object(&call, &file, wants_url(&call.params))))
}

pub(super) async fn legacy_get(call: Call) -> Answer {
    Ok(Json(files::long_object(&files::find(&call, legacy_id(&call)?).await?)))
}

/// The images of a document's pages, which only a parser creates.
pub(super) async fn no_pages(call: Call) -> Answer {
    files::find(&call, legacy_id(&call)?).await?;
    Ok(Json(json!([])))
}

pub(super) async fn projects(call: Call) -> Answer {
    Ok(Json(call.service.project_objects().into()))
}

pub(super) async fn beta_delete(call: Call) -> Result<StatusCode, Refusal> {
    files::delete(&call, beta_id(&call)?).await
}

pub(super) async fn legacy_delete(call: Call) -> Result<StatusCode, Refusal> {
    files::delete(&call, legacy_id(&call)?).await
}

pub(super) async fn beta_content(call: Call) -> Answer {
    content(&call, beta_id(&call)?).await
}

pub(super) async fn legacy_content(call: Call) -> Answer {
    content(&call, legacy_id(&call)?).await
}

async fn content(call: &Call, id: FileId) -> Answer {
    let lifetime = lifetime(&call.params)?;
    let file = files::find(call, id).await?;
    Ok(Json(presign(call, "GET", &file.id, lifetime)))
}

/// The id in the path, which is plain text in the beta API.
fn beta_id(call: &Call) -> Result<FileId, Refusal> {
    call.id.clone().map(FileId).ok_or_else(|| Refusal::missing("File"))
}

/// The id in the path, which must be a UUID in the legacy API, optionally preceded by `dfl-`.
fn legacy_id(call: &Call) -> Result<FileId, Refusal> {
    let text = call.id.as_deref().ok_or_else(|| Refusal::missing("File"))?;
    let (prefix, id) = text.strip_prefix("dfl-").map_or(("", text), |id| ("dfl-", id));
    Ok(FileId(format!("{prefix}{}", parse_uuid(&["path", "id"], id)?)))
}

/// The requested lifetime of a presigned URL, in seconds. The schema defines no limits, so the value is clamped.
fn lifetime(params: &Params) -> Result<i64, Problem> {
    let Some(text) = params.get("expires_at_seconds") else { return Ok(DEFAULT_LIFETIME) };
    let seconds = text.trim().parse::<i64>();
    let seconds = seconds.map_err(|_| Problem::not_an_integer(["query", "expires_at_seconds"]))?;
    Ok(seconds.clamp(0, MAX_LIFETIME))
}

fn wants_url(params: &Params) -> bool {
    params.all("expand").contains(&"download_url")
}

fn beta_object(call: &Call, file: &File, with_url: bool) -> Value {
    let url = with_url.then(|| presign(call, "GET", &file.id, DEFAULT_LIFETIME));
    files::short_object(file, url.as_ref(), call.service.site.quirk("strict-seed"))
}

fn page_object(call: &Call, (files, next): (Vec<File>, Option<String>), with_url: bool) -> Json<Value> {
    let items: Vec<_> = files.iter().map(|file| beta_object(call, file, with_url)).collect();
    Json(json!({ "items": items, "next_page_token": next, "total_size": null }))
}

/// Starts a presigned upload. The file exists once its content has arrived.
pub(super) async fn begin_upload(call: Call, body: Body) -> Answer {
    let lifetime = lifetime(&call.params)?;
    let file = described_file(&call, &read_object(body).await?)?;
    let id = file.id.clone();
    bucket::announce(&call.service, file).await?;
    let method = if call.service.site.quirk("form-upload") { "POST" } else { "PUT" };
    let mut answer = presign(&call, method, &id, lifetime);
    answer["file_id"] = json!(id);
    Ok(Json(answer))
}

/// The record described by a `FileCreate`.
fn described_file(call: &Call, new: &Object) -> Result<File, Refusal> {
    let text = |name| text(new, &["body", name]);
    let name = text("name")?.ok_or_else(|| Problem::missing(["body", "name"]))?;
    files::check_name(&["body", "name"], &name)?;
    match non_null(new, "file_size") {
        Some(size) if size.is_i64() && !size.is_u64() => {
            let message = "Input should be greater than or equal to 0";
            return Err(Problem::new(["body", "file_size"], "greater_than_equal", message).into());
        }
        Some(size) if !size.is_u64() => {
            return Err(Problem::wrong_type(["body", "file_size"], "a valid integer").into());
        }
        _ => {}
    }
    let mut file = files::new_file(call, &name, text("external_file_id")?.as_deref());
    file.expires_at = text("storage_type")?.and_then(|word| files::expiry(&call.service, &word));
    if let Some(id) = text("data_source_id")? {
        let id = parse_uuid(&["body", "data_source_id"], &id)?;
        file.extra.insert(files::DATA_SOURCE.to_owned(), id.into());
    }
    if let Some(text) = text("last_modified_at")? {
        let invalid = || Problem::wrong_type(["body", "last_modified_at"], "a valid datetime or date");
        let time = parse_time(&text).ok_or_else(invalid)?;
        file.extra.insert(files::MODIFIED.to_owned(), files::format_time(time).into());
    }
    for key in [files::RESOURCE, files::PERMISSION] {
        match non_null(new, key) {
            None => {}
            Some(info @ Value::Object(_)) => drop(file.extra.insert(key.to_owned(), info.clone())),
            Some(_) => return Err(Problem::wrong_type(["body", key], "a valid dictionary").into()),
        }
    }
    Ok(file)
}

/// Parses a time with an optional UTC offset, which defaults to UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| Some(civil()?.timestamp()))
}

/// Validates the request and then rejects it, because fetching a URL would require the network and be unsafe.
pub(super) async fn upload_from_url(_call: Call, body: Body) -> Answer {
    let new = read_object(body).await?;
    let url = text(&new, &["body", "url"])?.ok_or_else(|| Problem::missing(["body", "url"]))?;
    if url::Url::parse(&url).is_err() {
        return Err(Problem::new(["body", "url"], "url_parsing", "Input should be a valid URL").into());
    }
    if let Some(name) = text(&new, &["body", "name"])? {
        files::check_name(&["body", "name"], &name)?;
    }
    Err(Refusal::bad_request("Failed to download the file: the emulator is offline and does not fetch URLs"))
}

/// Reads a body that must be a JSON object.
async fn read_object(body: Body) -> Result<Object, Refusal> {
    let body = receive_json(body, MAX_JSON).await.map_err(|refused: Refused<Refusal>| match refused {
        Refused::Malformed(why) => {
            Problem::new(["body"], "json_invalid", format!("JSON decode error: {why}")).into()
        }
        Refused::TooLarge(_) => {
            Refusal::Detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large".to_owned())
        }
        Refused::Rule(refusal) => refusal,
        Refused::Store(error) => error.into(),
    })?;
    match body {
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(Problem::wrong_type(["body"], "a valid dictionary or object").into()),
        None => Err(Problem::missing(["body"]).into()),
    }
}

/// The value of a key; `None` if it is missing or null.
fn non_null<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

/// The optional string in the field that the last element of `loc` names.
fn text(object: &Object, loc: &[&str]) -> Result<Option<String>, Problem> {
    match non_null(object, loc.last().copied().unwrap_or_default()) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::wrong_type(loc, "a valid string")),
    }
}

fn string_list(loc: &[&str], value: &Value) -> Result<Vec<String>, Problem> {
    let list = value.as_array().ok_or_else(|| Problem::wrong_type(loc, "a valid list"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.iter().map(|item| text(item).ok_or_else(|| Problem::wrong_type(loc, "a valid string"))).collect()
}
