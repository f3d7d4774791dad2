//! `/v1/files`: uploading, listing, info, content, signed URLs and deletion.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::storage;
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::openai::{Page, deleted};
use crate::emulator::{
    Content, Form, Head, Limits, Params, Refused, Sending, Site, Take, content_disposition, ids, receive,
};
use crate::error::{Error, Kind};
use crate::filter::Filter;
use crate::model::{File, FileId, later};
use crate::store::{Listing, SortKey};

/// Maximum size of a file in bytes: "512 MB".
const MAX_SIZE: u64 = 512 * 1024 * 1024;
/// Number of files per page.
const PAGE: usize = 100;

const PURPOSES: [&str; 5] = ["fine-tune", "batch", "ocr", "agentic_safety", "audio"];
const SAMPLE_TYPES: [&str; 5] = ["pretrain", "instruct", "batch_request", "batch_result", "batch_error"];
const SOURCES: [&str; 3] = ["upload", "repository", "mistral"];
const VISIBILITIES: [&str; 2] = ["workspace", "user"];

/// The file types for OCR, as listed by the service. A trailing `.*` matches any text.
const OCR_TYPES: [&str; 5] = [
    "application/pdf",
    "image/.*",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/epub+zip",
];
/// The types of files that contain one JSON object per line.
const LINE_TYPES: [&str; 3] = ["application/jsonl", "application/x-ndjson", "application/json-lines"];

/// Keys in `extra` for the platform's own fields.
const VISIBILITY: &str = "visibility";
const SAMPLE_TYPE: &str = "sample_type";
const SOURCE: &str = "source";

/// The error response for any file that is unknown, deleted or too new, or belongs to someone else.
fn no_such_file() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "No file matches the given query.")
}

fn missing(error: Error) -> Refusal {
    if error.kind() == Kind::NotFound { no_such_file() } else { error.into() }
}

/// A value in `extra`, or a default.
fn own<'a>(file: &'a File, key: &str, default: &'a str) -> &'a str {
    file.extra.get(key).and_then(Value::as_str).unwrap_or(default)
}

/// The kind of samples in a file, which is inferred from its purpose.
fn sample_type(file: &File) -> &str {
    let by_purpose = if file.purpose.as_deref() == Some("batch") { "batch_request" } else { "instruct" };
    own(file, SAMPLE_TYPE, by_purpose)
}

fn object(site: &Site, file: &File) -> Value {
    // The algorithm of the real fingerprint is unknown.
    let signature = file.checksums.blake3.as_deref().and_then(|hash| hash.get(..16));
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.size.filter(|_| !site.quirk("null-bytes")),
        "created_at": file.created_at.map(Timestamp::as_second),
        "filename": file.name,
        "purpose": file.purpose,
        "sample_type": sample_type(file),
        "num_lines": Value::Null,
        "mimetype": file.content_type,
        "source": own(file, SOURCE, "upload"),
        "signature": signature,
        "expires_at": file.expires_at.map(Timestamp::as_second),
        "visibility": own(file, VISIBILITY, VISIBILITIES[0]),
    })
}

/// Decides how to receive a part. Parts may be in any order; unknown ones are ignored.
fn decide(_: &Form, head: &Head) -> Result<Take, Refusal> {
    match (head.name.as_str(), &head.file_name) {
        ("file", Some(_)) => Ok(Take::File),
        ("file", None) => {
            let message = "Value error, Expected UploadFile, received: <class 'str'>";
            Err(Problem::new(["body", "file"], "value_error", message).into())
        }
        ("purpose" | "visibility" | "expiry", None) => Ok(Take::Text),
        _ => Ok(Take::Nothing),
    }
}

/// Checks that a value is one of several words.
fn word<'a>(
    place: &'static str,
    name: &'static str,
    text: &'a str,
    words: &[&str],
) -> Result<&'a str, Problem> {
    if words.contains(&text) {
        return Ok(text);
    }
    Err(Problem::one_of([place, name], "enum", words).input(text))
}

/// Parses an integer between `min` and `max`.
fn integer(place: &'static str, name: &'static str, text: &str, min: i64, max: i64) -> Result<i64, Problem> {
    let number: i64 = text.trim().parse().map_err(|_| Problem::not_an_integer([place, name]).input(text))?;
    let wrong = |kind, than: &str, limit: i64| {
        let message = format!("Input should be {than} than or equal to {limit}");
        Err(Problem::new([place, name], kind, message).input(text))
    };
    match number {
        _ if number < min => wrong("greater_than_equal", "greater", min),
        _ if number > max => wrong("less_than_equal", "less", max),
        _ => Ok(number),
    }
}

fn flag(name: &'static str, text: &str) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
        _ => {
            let message = "Input should be a valid boolean, unable to interpret input";
            Err(Problem::new(["query", name], "bool_parsing", message).input(text))
        }
    }
}

/// The media type of a part, or the type guessed from its name.
fn type_of(head: &Head, name: &str) -> String {
    let stated = head.content_type.as_deref().map(str::trim).filter(|stated| !stated.is_empty());
    stated.map_or_else(|| mime_guess::from_path(name).first_or_octet_stream().to_string(), str::to_owned)
}

/// Rejects a file whose type is not permitted for its purpose.
fn check_type(purpose: &str, name: &str, content_type: &str) -> Result<(), Refusal> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let is = |allowed: &&str| match allowed.strip_suffix(".*") {
        Some(start) => essence.starts_with(start),
        None => essence == *allowed,
    };
    let (permitted, types) = match purpose {
        "ocr" => (OCR_TYPES.iter().any(is), &OCR_TYPES[..]),
        "batch" | "fine-tune" => {
            let is_jsonl = Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("jsonl"));
            (is_jsonl || LINE_TYPES.iter().any(is), &LINE_TYPES[..1])
        }
        _ => return Ok(()),
    };
    if permitted {
        return Ok(());
    }
    let message =
        format!("Received file with mimetype {essence}, only {} are currently supported", types.join(", "));
    let body = json!({ "detail": "Invalid file format.", "message": message });
    Err(Refusal::other((StatusCode::UNPROCESSABLE_ENTITY, Json(body))))
}

/// Converts an `expiry` to a duration.
fn lifetime(site: &Site, text: &str) -> Result<SignedDuration, Problem> {
    let number = integer("body", "expiry", text, 1, i64::MAX)?;
    let unit = match site.quirk_value("expiry-unit") {
        Some("seconds") => 1,
        Some("days") => 86_400,
        _ => 3_600,
    };
    Ok(SignedDuration::from_secs(number.saturating_mul(unit)))
}

/// `POST /v1/files`.
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let max = site.quirk_number("upload-limit").unwrap_or(MAX_SIZE);
    let limits = Limits::form(max);
    let received = receive(&site, &headers, body, limits, decide).await;
    let mut form = received.map_err(|refused| match refused {
        Refused::TooLarge(_) => super::refusal(StatusCode::PAYLOAD_TOO_LARGE, ""),
        refused => refused.into(),
    })?;
    let upload = form.take_files().pop().ok_or_else(|| Problem::missing(["body", "file"]))?;
    let name = upload.head.file_name.clone().unwrap_or_default();
    // The text of the 404 is Django's, and Django keeps the part of a name after the last slash.
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let content_type = type_of(&upload.head, &name);
    let purpose = form.text("purpose").map(|text| word("body", "purpose", text, &PURPOSES)).transpose()?;
    purpose.map_or(Ok(()), |purpose| check_type(purpose, &name, &content_type))?;
    let visibility = form.text(VISIBILITY).unwrap_or(VISIBILITIES[0]);
    let visibility = word("body", VISIBILITY, visibility, &VISIBILITIES)?.to_owned();
    let lifetime = form.text("expiry").map(|text| lifetime(&site, text)).transpose()?;
    let now = site.clock.now();
    let file = File {
        provider: site.platform.to_owned(),
        id: FileId(ids::uuid()),
        name,
        content_type: Some(content_type),
        // It is unknown which purpose the service assigns to an upload without one.
        purpose: Some(purpose.unwrap_or(PURPOSES[0]).to_owned()),
        created_at: Some(now),
        expires_at: lifetime.map(|lifetime| later(now, lifetime)),
        extra: [(VISIBILITY.to_owned(), visibility.into())].into_iter().collect(),
        ..File::default()
    };
    let file = site.blocking(move |store| store.put(file, upload.blob)).await?;
    Ok(Json(object(&site, &file)).into_response())
}

/// The conditions of a listing.
struct Conditions {
    purpose: Option<String>,
    search: Option<String>,
    sample_types: Vec<String>,
    sources: Vec<String>,
    types: Vec<String>,
}

impl Conditions {
    fn parse(params: &Params) -> Result<Self, Problem> {
        let given = |name| params.get(name).filter(|text| !text.is_empty());
        let words = |name: &'static str, known: &[&str]| -> Result<Vec<String>, Problem> {
            params
                .all(name)
                .into_iter()
                .map(|text| word("query", name, text, known).map(str::to_owned))
                .collect()
        };
        let purpose = given("purpose").map(|text| word("query", "purpose", text, &PURPOSES)).transpose()?;
        Ok(Self {
            purpose: purpose.map(str::to_owned),
            search: given("search").map(str::to_lowercase),
            sample_types: words(SAMPLE_TYPE, &SAMPLE_TYPES)?,
            sources: words(SOURCE, &SOURCES)?,
            types: params.all("mimetypes").into_iter().map(str::to_owned).collect(),
        })
    }

    fn accept(&self, file: &File) -> bool {
        let one_of =
            |words: &[String], word: &str| words.is_empty() || words.iter().any(|known| known == word);
        self.search.as_ref().is_none_or(|part| file.name.to_lowercase().contains(part))
            && one_of(&self.sample_types, sample_type(file))
            && one_of(&self.sources, own(file, SOURCE, "upload"))
            && one_of(&self.types, file.content_type.as_deref().unwrap_or_default())
    }
}

/// `GET /v1/files`.
pub(super) async fn list(State(site): State<Arc<Site>>, params: Params) -> Result<Response, Refusal> {
    let number = |name, default: usize, min| {
        let text = params.get(name).filter(|text| !text.is_empty());
        let number = text.map(|text| integer("query", name, text, min, i64::MAX)).transpose()?;
        Ok::<_, Problem>(number.map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX)))
    };
    let (page, per_page) = (number("page", 0, 0)?, number("page_size", PAGE, 1)?);
    let counts = params.get("include_total").map(|text| flag("include_total", text)).transpose()?;
    let conditions = Conditions::parse(&params)?;
    let listing = Listing {
        filter: conditions.purpose.as_deref().map(|purpose| Filter::equals("purpose", purpose)),
        sort: SortKey::Created,
        descending: !site.quirk("oldest-first"),
        ..Listing::default()
    };
    let start = page.saturating_mul(per_page);
    let found = site.blocking(move |store| {
        let total = Cell::new(0);
        let is_on_page = |file: &File| {
            if !conditions.accept(file) {
                return false;
            }
            let index = total.replace(total.get() + 1);
            (start..start.saturating_add(per_page)).contains(&index)
        };
        let Page { files, .. } = Page::read(store, listing, usize::MAX, is_on_page)?;
        Ok((files, total.get()))
    });
    let (files, total) = found.await?;
    let data: Vec<Value> = files.iter().map(|file| object(&site, file)).collect();
    let total = counts.unwrap_or(true).then_some(total);
    Ok(Json(json!({ "data": data, "object": "list", "total": total })).into_response())
}

fn parse_id(text: &str) -> Result<FileId, Problem> {
    let id = Uuid::parse_str(text).map_err(|error| {
        let message = format!("Input should be a valid UUID, {error}");
        Problem::new(["path", "file_id"], "uuid_parsing", message).input(text)
    })?;
    Ok(FileId(id.to_string()))
}

/// The file with this id, unless it is too new.
async fn find(site: &Site, id: &str) -> Result<File, Refusal> {
    let id = parse_id(id)?;
    let file = site.blocking(move |store| store.stat(&id)).await.map_err(missing)?;
    let fresh = SignedDuration::from_secs(site.quirk_number("fresh-404").unwrap_or_default());
    let age = file.created_at.map(|created| site.clock.now().duration_since(created));
    if age.is_some_and(|age| age < fresh) { Err(no_such_file()) } else { Ok(file) }
}

/// `GET /v1/files/{id}`.
pub(super) async fn info(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Value>, Refusal> {
    let mut object = object(&site, &find(&site, &id).await?);
    object["deleted"] = false.into();
    Ok(Json(object))
}

/// `DELETE /v1/files/{id}`.
pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
) -> Result<Json<Value>, Refusal> {
    let id = parse_id(&id)?;
    let file = site.blocking(move |store| store.delete(&id)).await.map_err(missing)?;
    Ok(Json(deleted(file.id.as_str())))
}

/// `GET /v1/files/{id}/content`.
pub(super) async fn content(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let file = find(&site, &id).await?;
    let content = Content::open(&site, &file.id).await.map_err(missing)?;
    let disposition = (CONTENT_DISPOSITION, content_disposition("attachment", &file.name));
    let how = Sending { ranges: site.quirk("ranges"), headers: vec![disposition], ..Sending::default() };
    Ok(content.send(&headers, how))
}

/// `GET /v1/files/{id}/url`.
pub(super) async fn signed_url(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let hours = params.get("expiry").map(|text| integer("query", "expiry", text, 1, 168)).transpose()?;
    let file = find(&site, &id).await?;
    Ok(Json(json!({ "url": storage::sign(&site, &headers, &file.id, hours.unwrap_or(24)) })))
}
