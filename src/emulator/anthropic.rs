//! Anthropic's Files API.
//!
//! The `anthropic-beta` header alone selects the dialect: if it names the first beta, pages start after an id;
//! otherwise they have tokens, and files can expire. Both versions in `anthropic-version` and both headers for the
//! key are accepted. Files belong to the workspace named in `anthropic-workspace-id`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::openai::Page;
use super::outages::status_of;
use super::{
    Content, Denied, Form, Gate, Head, Limits, Params, Platform, Quirk, RateLimiter, Refused, Sending, Site,
    Space, Take, ids, receive,
};
use crate::error::{Error, Kind};
use crate::filter::Filter;
use crate::model::{File, FileId, Object, later};
use crate::store::{Listing, SortKey};

/// The value of `anthropic-beta` that selects the first dialect.
const BETA: &str = "files-api-2025-04-14";
/// The supported values of `anthropic-version`.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];
/// The workspace for requests that do not name one.
const WORKSPACE: &str = "wrkspc_011CDefaultWorkspace00000";
/// The key in `extra` for a file's workspace.
const WORKSPACE_KEY: &str = "workspace";
/// Number of files per page: default and maximum.
const PAGE: (usize, usize) = (20, 1_000);
/// Maximum number of ids in `ids[]`.
const MAX_IDS: usize = 100;
/// Maximum size of a file, in bytes.
const MAX_SIZE: u64 = 500 * 1024 * 1024;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 255;
/// The range of lifetimes, in seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 3_600..=7_776_000;
/// The kind of notes that record when files expire. A note remains after its file has expired.
const EXPIRY: &str = "expiry";

/// The Anthropic platform.
pub static ANTHROPIC: Platform = Platform {
    name: "anthropic",
    base_path: "/v1",
    gate: Gate { headers: &["x-api-key"], ..Gate::BEARER },
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk {
            name: "downloadable",
            value: "GLOB",
            help: "makes new files with a matching name downloadable, like files created by tools",
        },
        Quirk {
            name: "max-size",
            value: "BYTES",
            help: "accepts files up to this size [default: 524288000]",
        },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk { name: "rate-limit", value: "N", help: "rejects more than N requests per minute" },
        Quirk {
            name: "full-storage",
            value: "400|403",
            help: "returns this status for uploads, as if the storage were full",
        },
        Quirk {
            name: "workspace",
            value: "ID",
            help: "the key belongs only to this workspace [default: to all workspaces]",
        },
    ],
    variables: |root, token| {
        vec![("ANTHROPIC_BASE_URL", root.to_owned()), ("ANTHROPIC_API_KEY", token.to_owned())]
    },
    routes,
    error: |_, status, message| Problem::new(status, message).into_response(),
};

fn routes(site: Arc<Site>) -> Router {
    let limiter = site.rate_limiter();
    Router::new()
        .route("/v1/files", get(list).post(upload))
        .route("/v1/files/{id}", get(info).delete(delete))
        .route("/v1/files/{id}/content", get(content))
        .layer(from_fn_with_state((Arc::clone(&site), limiter), admit))
        .with_state(site)
}

/// The dialect and workspace of a request.
#[derive(Clone)]
struct Call {
    is_beta: bool,
    workspace: String,
}

/// Checks the key, version, workspace and rate of a request, and adds the common headers to the response.
async fn admit(
    State((site, limiter)): State<(Arc<Site>, Option<RateLimiter>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let call = match Call::of(&site, &request) {
        Ok(call) => call,
        Err(problem) => return problem.into_response(),
    };
    if let Some(rate) = limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed) {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Rate limited");
        return Problem { retry_after: Some(rate.retry_after()), ..problem }.into_response();
    }
    let workspace = HeaderValue::try_from(&call.workspace);
    request.extensions_mut().insert(call);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(request_id()) {
        headers.entry("request-id").or_insert(id);
    }
    if let Ok(workspace) = workspace {
        headers.insert("anthropic-workspace-id", workspace);
    }
    response
}

fn request_id() -> String {
    format!("req_011C{}", ids::base62(20))
}

impl Call {
    fn of(site: &Site, request: &Request) -> Result<Self, Problem> {
        let headers = request.headers();
        site.check(headers, request.uri()).map_err(|denied| {
            let message = match denied {
                Denied::Wrong(_) if headers.contains_key("authorization") => "Invalid bearer token",
                Denied::Wrong(_) => "invalid x-api-key",
                Denied::Missing | Denied::Malformed => "x-api-key header is required",
            };
            Problem::new(StatusCode::UNAUTHORIZED, message)
        })?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        match text("anthropic-version") {
            None => return Err(Problem::invalid("anthropic-version: header is required")),
            Some(version) if !VERSIONS.contains(&version) => {
                let message = format!("anthropic-version: \"{version}\" is not a valid version");
                return Err(Problem::invalid(message));
            }
            Some(_) => {}
        }
        let betas = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
        let is_beta = betas.flat_map(|list| list.split(',')).any(|word| word.trim() == BETA);
        let own = site.quirk_value("workspace");
        let named = text("anthropic-workspace-id").filter(|id| !is_beta && !id.is_empty());
        if let (Some(own), Some(named)) = (own, named)
            && own != named
        {
            let message = "Your API key does not have access to this workspace";
            return Err(Problem::new(StatusCode::FORBIDDEN, message));
        }
        let workspace = named.or(own).unwrap_or(WORKSPACE).to_owned();
        Ok(Self { is_beta, workspace })
    }

    /// Returns the file if it belongs to the workspace. Otherwise, it counts as not found.
    fn owns(&self, file: File) -> crate::error::Result<File> {
        if file.extra.get(WORKSPACE_KEY).and_then(Value::as_str) == Some(&*self.workspace) {
            return Ok(file);
        }
        Err(Error::not_found(file.id.0))
    }

    /// Rejects parameters that belong to the other dialect.
    fn check(&self, params: &Params) -> Result<(), Problem> {
        let foreign: &[&str] = if self.is_beta { &["page", "ids"] } else { &["after_id", "before_id"] };
        let found = foreign.iter().find(|name| !params.all(name).is_empty());
        found.map_or(Ok(()), |name| Err(Problem::foreign(name)))
    }

    /// A file's object.
    fn object(&self, file: &File) -> Value {
        let mut object = Object::new();
        let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
        let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.6}"));
        set("id", file.id.as_str().into());
        set("type", "file".into());
        set("filename", file.name.as_str().into());
        set("mime_type", file.content_type.as_deref().into());
        set("size_bytes", file.size.into());
        set("created_at", time(file.created_at).into());
        set("downloadable", file.downloadable.unwrap_or_default().into());
        if !self.is_beta {
            set("expires_at", time(file.expires_at).into());
        }
        if let Some(scope) = file.extra.get("scope") {
            set("scope", scope.clone());
        }
        object.into()
    }
}

/// `POST /v1/files`.
async fn upload(
    State(site): State<Arc<Site>>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let max_size = site.quirk_number("max-size").unwrap_or(MAX_SIZE);
    let limits = Limits::form(max_size);
    let decide = |before: &Form, head: &Head| match head.name.as_str() {
        "file" if before.has_file() => Err(Problem::invalid("file: only one file is allowed")),
        "file" => Ok(Take::File),
        "expires_in_seconds" => Ok(Take::Text),
        other => Err(Problem::foreign(other)),
    };
    let mut form = receive(&site, &headers, body, limits, decide).await?;
    let upload = form.take_files().pop().ok_or_else(|| Problem::invalid("file: Field required"))?;
    let lifetime = lifetime(&form, call.is_beta)?;
    let sent = upload.head.file_name.unwrap_or_default();
    let base_name = sent.rsplit('/').next().unwrap_or_default().to_owned();
    let stated = upload.head.content_type.filter(|kind| !kind.is_empty());
    let content_type = stated.unwrap_or_else(|| {
        mime_guess::from_path(&base_name).first_or_octet_stream().essence_str().to_owned()
    });
    let name = if base_name.is_empty() { format!("unnamed{}", extension(&content_type)) } else { base_name };
    check_name(&name)?;
    if let Some(status) = site.quirk_number("full-storage") {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let problem = Problem::new(status, "Storage quota exceeded: delete files to free space");
        return Err(Problem {
            kind: "invalid_request_error",
            code: Some("storage_quota_exceeded"),
            ..problem
        });
    }
    let now = site.clock.now();
    let mut file = File {
        provider: site.platform.to_owned(),
        id: FileId(format!("file_011C{}", ids::base62(20))),
        name,
        content_type: Some(content_type),
        created_at: Some(now),
        expires_at: lifetime.map(|seconds| later(now, SignedDuration::from_secs(seconds))),
        extra: [(WORKSPACE_KEY.to_owned(), call.workspace.clone().into())].into_iter().collect(),
        ..File::default()
    };
    let glob = site.quirk_value("downloadable").map(Filter::glob).transpose()?;
    file.downloadable = Some(glob.is_some_and(|glob| glob.matches(&file)));
    let file = site.blocking(move |store| {
        store.transaction(|change| {
            let file = change.put(file, upload.blob)?;
            if let Some(at) = file.expires_at {
                let note = [("at".to_owned(), at.as_second().into())].into_iter().collect();
                change.note(EXPIRY, &file.id.0, None, &note)?;
            }
            Ok(file)
        })
    });
    Ok(Json(call.object(&file.await?)).into_response())
}

fn lifetime(form: &Form, is_beta: bool) -> Result<Option<i64>, Problem> {
    let name = "expires_in_seconds";
    let Some(text) = form.text(name) else { return Ok(None) };
    if is_beta {
        return Err(Problem::foreign(name));
    }
    let seconds = text.trim().parse().ok().filter(|seconds| LIFETIMES.contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        let (min, max) = (LIFETIMES.start(), LIFETIMES.end());
        Problem::invalid(format!("{name}: Input should be an integer from {min} to {max}"))
    })
}

/// The file extension for a media type, including the dot.
fn extension(content_type: &str) -> String {
    let known = mime_guess::get_mime_extensions_str(content_type).unwrap_or_default();
    let subtype = content_type.rsplit('/').next().unwrap_or_default();
    let usual = if subtype == "plain" { "txt" } else { subtype };
    let chosen = known.iter().find(|extension| **extension == usual).or_else(|| known.first());
    chosen.map(|extension| format!(".{extension}")).unwrap_or_default()
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.chars().count() > MAX_NAME {
        return Err(Problem::invalid(format!("filename: must have 1 to {MAX_NAME} characters")));
    }
    let is_forbidden = |c: char| c < ' ' || "<>:\"|?*\\/".contains(c);
    if name.contains(is_forbidden) {
        return Err(Problem::invalid("filename: contains a forbidden character"));
    }
    Ok(())
}

/// `GET /v1/files`.
async fn list(
    State(site): State<Arc<Site>>,
    Extension(call): Extension<Call>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    call.check(&params)?;
    let given = |name: &str| params.get(name).filter(|text| !text.is_empty());
    let session = given("scope_id").map(str::to_owned);
    let accepts = move |file: &File| {
        session.as_ref().is_none_or(|session| file.extra.get("scope").is_some_and(|it| it["id"] == **session))
    };
    let ids: BTreeSet<FileId> = params.all("ids").into_iter().map(FileId::from).collect();
    if !ids.is_empty() {
        if params.has("page") || params.has("limit") {
            return Err(Problem::invalid("ids: cannot be combined with page or limit"));
        }
        if ids.len() > MAX_IDS {
            return Err(Problem::invalid(format!("ids: must have at most {MAX_IDS} items")));
        }
        let owner = call.clone();
        let found = site.blocking(move |store| chosen(store, &owner, &ids));
        let files: Vec<File> = found.await?.into_iter().filter(accepts).collect();
        return Ok(Json(call.page(&files, None, false)));
    }
    let limit = match params.get("limit") {
        None => PAGE.0,
        Some(text) => text.parse().ok().filter(|limit| (1..=PAGE.1).contains(limit)).ok_or_else(|| {
            Problem::invalid(format!("limit: Input should be an integer from 1 to {}", PAGE.1))
        })?,
    };
    let (after, before) = (given("after_id"), given("before_id"));
    if after.is_some() && before.is_some() {
        return Err(Problem::invalid("after_id: cannot be combined with before_id"));
    }
    let invalid = || Problem::invalid("Invalid cursor");
    let from = match given("page") {
        Some(token) => Some(read_token(token).ok_or_else(invalid)?),
        None => after.or(before).map(FileId::from),
    };
    let listing = Listing {
        filter: Some(Filter::equals(&format!("extra.{WORKSPACE_KEY}"), &call.workspace)),
        sort: SortKey::Created,
        descending: before.is_none(),
        after: from,
        ..Listing::default()
    };
    let page = site.blocking(move |store| Page::read(store, listing, limit, accepts)).await;
    let mut page = page.map_err(|error| match error.kind() {
        Kind::NotFound => invalid(),
        _ => error.into(),
    })?;
    let next = page.files.last().filter(|_| page.has_more).map(token);
    if before.is_some() {
        page.files.reverse();
    }
    Ok(Json(call.page(&page.files, next.as_deref(), page.has_more)))
}

/// The files with these ids, newest first. Unknown ids are omitted.
fn chosen(store: &Space, call: &Call, ids: &BTreeSet<FileId>) -> crate::error::Result<Vec<File>> {
    let mut files = Vec::new();
    for id in ids {
        match store.stat(id).and_then(|file| call.owns(file)) {
            Err(error) if error.kind() == Kind::NotFound => {}
            found => files.push(found?),
        }
    }
    files.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    Ok(files)
}

impl Call {
    /// The envelope for a page.
    fn page(&self, files: &[File], next_page: Option<&str>, has_more: bool) -> Value {
        let data: Vec<_> = files.iter().map(|file| self.object(file)).collect();
        if !self.is_beta {
            return json!({ "data": data, "next_page": next_page });
        }
        let id = |file: Option<&File>| file.map(|file| file.id.clone());
        json!({
            "data": data, "has_more": has_more, "first_id": id(files.first()), "last_id": id(files.last()),
        })
    }
}

/// The token for the page after a file.
fn token(file: &File) -> String {
    let created = file.created_at.map_or(0, Timestamp::as_microsecond);
    format!("page_{}", BASE64.encode(format!("{created} {}", file.id)))
}

fn read_token(text: &str) -> Option<FileId> {
    let position = String::from_utf8(BASE64.decode(text.strip_prefix("page_")?).ok()?).ok()?;
    Some(position.split_once(' ')?.1.into())
}

/// The id in a path. An id that is not UTF-8 matches no file.
type Id = Result<Path<String>, PathRejection>;

fn file_id(path: Id) -> Result<FileId, Problem> {
    path.map(|Path(id)| FileId(id)).map_err(|_| Problem::new(StatusCode::NOT_FOUND, "File not found"))
}

/// The error response for a file that does not exist or has expired.
async fn missing(site: &Site, id: &FileId, error: Error) -> Problem {
    if error.kind() != Kind::NotFound {
        return error.into();
    }
    let (key, now) = (id.0.clone(), site.clock.now().as_second());
    let note = site.blocking(move |store| store.noted(EXPIRY, &key)).await;
    let has_expired = |note: Object| note["at"].as_i64().is_some_and(|at| at <= now);
    if note.ok().flatten().is_some_and(has_expired) {
        let problem = Problem::new(StatusCode::NOT_FOUND, &format!("File has expired: {id}"));
        return Problem { code: Some("file_expired"), ..problem };
    }
    Problem::new(StatusCode::NOT_FOUND, &format!("File not found: {id}"))
}

async fn find(site: &Site, call: Call, id: &FileId) -> Result<File, Problem> {
    let wanted = id.clone();
    match site.blocking(move |store| call.owns(store.stat(&wanted)?)).await {
        Ok(file) => Ok(file),
        Err(error) => Err(missing(site, id, error).await),
    }
}

async fn info(
    State(site): State<Arc<Site>>,
    Extension(call): Extension<Call>,
    id: Id,
) -> Result<Json<Value>, Problem> {
    let file = find(&site, call.clone(), &file_id(id)?).await?;
    Ok(Json(call.object(&file)))
}

async fn delete(
    State(site): State<Arc<Site>>,
    Extension(call): Extension<Call>,
    id: Id,
) -> Result<Json<Value>, Problem> {
    let id = file_id(id)?;
    let gone = id.clone();
    let deleted = site.blocking(move |store| {
        store.freeing(|change| {
            call.owns(change.stat(&gone)?)?;
            change.delete(&gone)?;
            change.forget(EXPIRY, &gone.0)
        })
    });
    match deleted.await {
        Ok(_) => Ok(Json(json!({ "id": id, "type": "file_deleted" }))),
        Err(error) => Err(missing(&site, &id, error).await),
    }
}

/// `GET /v1/files/{id}/content`. Only files created by tools are returned.
async fn content(
    State(site): State<Arc<Site>>,
    Extension(call): Extension<Call>,
    id: Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = file_id(id)?;
    let file = find(&site, call, &id).await?;
    if file.downloadable != Some(true) {
        let problem = Problem::invalid(format!("File {id} is not downloadable"));
        return Err(Problem { code: Some("file_not_downloadable"), ..problem });
    }
    let content = match Content::open(&site, &id).await {
        Ok(content) => content,
        Err(error) => return Err(missing(&site, &id, error).await),
    };
    let default = Sending::default();
    let ranges = site.quirk("ranges");
    let how = Sending {
        ranges,
        etag: file.checksums.sha256.filter(|_| ranges),
        content_type: file.content_type.unwrap_or(default.content_type),
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}

/// An error response.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    /// The value of `Retry-After`, in seconds.
    retry_after: Option<u64>,
}

impl Problem {
    /// An error response with a status and a message. An empty message is replaced with the platform's own.
    fn new(status: StatusCode, message: &str) -> Self {
        let (kind, text) = match status.as_u16() {
            401 => ("authentication_error", "invalid x-api-key"),
            402 => ("billing_error", "Your credit balance is too low"),
            403 => {
                ("permission_error", "Your API key does not have permission to use the specified resource")
            }
            404 => ("not_found_error", "Not Found"),
            409 => ("conflict_error", "Conflict"),
            413 => ("request_too_large", "Request exceeds the maximum size"),
            429 => ("rate_limit_error", "Rate limited"),
            503 | 504 => ("timeout_error", "Request timed out"),
            529 => ("overloaded_error", "Overloaded"),
            500.. => ("api_error", "Internal server error"),
            _ => ("invalid_request_error", "Invalid request"),
        };
        let message = if message.is_empty() { text } else { message }.to_owned();
        let retry_after = (status == StatusCode::TOO_MANY_REQUESTS).then_some(1);
        Self { status, kind, code: None, message, retry_after }
    }

    fn invalid(message: impl AsRef<str>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message.as_ref())
    }

    /// The error response (400) for a parameter that the dialect does not have.
    fn foreign(name: &str) -> Self {
        Self::invalid(format!("{name}: Extra inputs are not permitted"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let id = request_id();
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let Some(code) = self.code {
            error["details"] = json!({ "error_code": code });
        }
        let body = json!({ "type": "error", "error": error, "request_id": id });
        let mut response = (self.status, [("request-id", id)], Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::new(status_of(&error), error.message())
    }
}

impl From<Refused<Problem>> for Problem {
    fn from(refused: Refused<Problem>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::invalid(why),
            Refused::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Refused::Rule(problem) => problem,
            Refused::Store(error) => error.into(),
        }
    }
}
