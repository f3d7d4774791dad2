//! OpenAI's Files API: objects, lists, pages, uploads and error responses. A [`Vendor`] describes how a service with
//! this API differs from OpenAI, and [`routes`] serves it.
//!
//! ```ignore
//! const GROQ_API: Vendor = Vendor { prefix: "/openai/v1", purposes: &["batch"], page: None, ..Vendor::OPENAI };
//! pub static GROQ: Platform = Platform { variables: |root, token| vec![…], ..platform!("groq", GROQ_API) };
//! ```

mod batches;
mod uploads;
mod vector_stores;
mod vendors;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub use vendors::*;

use super::outages::status_of;
use super::{
    Content, Denied, Form, Gate, Head, Limits, Params, Refused, Sending, Site, Space, Take,
    content_disposition, ids, receive,
};
use crate::error::{Error, Kind, Result as StoreResult};
use crate::filter::Filter;
use crate::model::{File, FileId, Object, later};
use crate::store::{Listing, SortKey};

/// Number of files read from the store at once: minimum and maximum.
const BATCH: (usize, usize) = (256, 10_001);

/// A file's object, without a status.
pub fn object(file: &File) -> Object {
    let object = json!({
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at.map(Timestamp::as_second),
        "expires_at": file.expires_at.map(Timestamp::as_second),
        "filename": file.name,
        "purpose": file.purpose.as_deref().unwrap_or_default(),
    });
    object.as_object().cloned().unwrap_or_default()
}

/// The response to a deletion.
pub fn deleted(id: &str) -> Value {
    json!({ "id": id, "object": "file", "deleted": true })
}

/// The envelope for a list.
pub fn list(data: &[Value], has_more: bool) -> Value {
    let id = |object: Option<&Value>| object.map_or(Value::Null, |object| object["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    json!({ "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more })
}

/// A page of files.
pub struct Page {
    /// The files.
    pub files: Vec<File>,
    /// Whether more files follow.
    pub has_more: bool,
}

impl Page {
    /// Reads up to `limit` files that pass `accept`, and checks whether another one follows. Blocking.
    pub fn read(
        store: &Space,
        mut listing: Listing,
        limit: usize,
        accept: impl Fn(&File) -> bool,
    ) -> StoreResult<Self> {
        let wanted = limit.saturating_add(1);
        listing.limit = wanted.clamp(BATCH.0, BATCH.1);
        let mut files = Vec::new();
        loop {
            let batch = store.list(&listing)?;
            let is_last = batch.len() < listing.limit;
            listing.after = batch.last().map(|file| file.id.clone());
            files.extend(batch.into_iter().filter(&accept).take(wanted - files.len()));
            if is_last || files.len() == wanted {
                break;
            }
        }
        let has_more = files.len() > limit;
        files.truncate(limit);
        Ok(Self { files, has_more })
    }
}

/// The lifetime in seconds given by `expires_after[anchor]` and `expires_after[seconds]`.
pub fn expires_after(form: &Form) -> Result<Option<i64>, String> {
    match (form.text("expires_after[anchor]"), form.text("expires_after[seconds]")) {
        (None, None) => Ok(None),
        (Some("created_at"), Some(text)) => {
            text.trim().parse().map(Some).map_err(|_| "expires_after must be an integer".to_owned())
        }
        (Some("created_at") | None, _) => {
            Err("expires_after requires both expires_after[anchor] and expires_after[seconds]".to_owned())
        }
        (Some(_), _) => Err("expires_after[anchor] must be `created_at`".to_owned()),
    }
}

/// An error response. As a response, it has no body until the vendor formats it.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The message.
    pub message: String,
    /// The error code.
    pub code: Option<&'static str>,
    /// The invalid parameter.
    pub param: Option<&'static str>,
}

impl Refusal {
    /// An error response with a status and a message. An empty message is replaced with the reason phrase.
    pub fn new(status: StatusCode, message: &str) -> Self {
        let words = status.canonical_reason().unwrap_or("Error");
        let message = if message.is_empty() { words } else { message }.to_owned();
        let code = (status == StatusCode::UNAUTHORIZED).then_some("invalid_api_key");
        Self { status, message, code, param: None }
    }

    /// A 400 response about a parameter.
    pub fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, "") }
    }

    fn missing(param: &'static str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self { code: Some("missing_required_parameter"), ..Self::invalid(param, message) }
    }

    fn no_such_file(id: &str) -> Self {
        Self::no_such("File", id)
    }

    fn no_such(kind: &str, id: &str) -> Self {
        let message = format!("No such {kind} object: {id}");
        Self { param: Some("id"), ..Self::new(StatusCode::NOT_FOUND, &message) }
    }

    /// Converts a failure of the store that concerns the file `id`.
    fn about(id: &str) -> impl FnOnce(Error) -> Self + use<> {
        let id = id.to_owned();
        move |error| if error.kind() == Kind::NotFound { Self::no_such_file(&id) } else { error.into() }
    }

    /// The body in OpenAI's format.
    pub fn to_json(&self) -> Value {
        let kind = match self.status.as_u16() {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let Self { message, code, param, .. } = self;
        json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(status_of(&error), error.message())
    }
}

impl From<Refused<Refusal>> for Refusal {
    fn from(refused: Refused<Refusal>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::new(StatusCode::BAD_REQUEST, &why),
            Refused::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Refused::Rule(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// How long files are kept.
#[derive(Clone, Copy, Debug)]
pub enum Expiry {
    /// An upload can specify a lifetime between a minimum and a maximum, in seconds.
    Chosen(i64, i64),
    /// All files have the same lifetime in seconds, and an upload that specifies one is rejected.
    Fixed(i64),
    /// A form field contains a time in seconds since 1970, between a minimum and a maximum in seconds from now. The
    /// last value is the default lifetime.
    Field(&'static str, i64, i64, i64),
    /// Files do not expire, and a requested lifetime is ignored.
    Never,
}

/// A service with OpenAI's Files API.
pub struct Vendor {
    /// The path that precedes `/files`.
    pub prefix: &'static str,
    /// An additional path with the same routes.
    pub alias: Option<&'static str>,
    /// The places where the token is sent.
    pub gate: Gate,
    /// Creates an id for a file with this purpose.
    pub id: fn(purpose: &str, now: Timestamp) -> String,
    /// The purposes that uploads can have; empty accepts any purpose.
    pub purposes: &'static [&'static str],
    /// The purposes of files that can be uploaded in parts; empty without the Uploads API.
    pub uploads: &'static [&'static str],
    /// The default purpose for uploads; `None` makes the purpose required.
    pub default_purpose: Option<&'static str>,
    /// Whether the purpose must precede the file.
    pub purpose_first: bool,
    /// Maximum size of a file, in bytes.
    pub max_size: u64,
    /// Whether empty files are accepted.
    pub empty: bool,
    /// How long files are kept.
    pub expiry: Expiry,
    /// The default and maximum number of files per page; `None` lists all files at once.
    pub page: Option<(usize, usize)>,
    /// Whether the newest files come first if there is no `order` parameter.
    pub newest_first: bool,
    /// Whether a listing requires a purpose.
    pub lists_by_purpose: bool,
    /// Whether a page contains the token for the next page, to be sent in the `cursor` parameter.
    pub cursors: bool,
    /// Whether a single file can be retrieved.
    pub retrieve: bool,
    /// Whether the service has vector stores.
    pub vector_stores: bool,
    /// Whether files with this purpose can be downloaded.
    pub downloads: fn(purpose: &str) -> bool,
    /// Whether downloading a file with this purpose returns its extracted text.
    pub extracts: fn(purpose: &str) -> bool,
    /// Creates a file's object.
    pub object: fn(&Site, &File) -> Object,
    /// Wraps a single object in an envelope.
    pub single: fn(Value) -> Value,
    /// Wraps a list in an envelope.
    pub list: fn(data: &[Value], has_more: bool) -> Value,
    /// Creates the body of an error response.
    pub error: fn(&Refusal) -> Value,
}

impl Vendor {
    /// OpenAI without the Uploads API and vector stores. The limits, and the purposes whose files cannot be
    /// downloaded, are documented or observed.
    pub const OPENAI: Self = Self {
        prefix: "/v1",
        alias: None,
        gate: Gate::BEARER,
        id: |_, _| format!("file-{}", ids::base62(22)),
        purposes: &["assistants", "batch", "fine-tune", "vision", "user_data", "evals"],
        uploads: &[],
        default_purpose: None,
        purpose_first: false,
        max_size: 512 * 1024 * 1024,
        empty: true,
        expiry: Expiry::Chosen(3600, 2_592_000),
        page: Some((10_000, 10_000)),
        newest_first: true,
        lists_by_purpose: false,
        cursors: false,
        retrieve: true,
        vector_stores: false,
        extracts: |_| false,
        downloads: |purpose| !matches!(purpose, "assistants" | "user_data" | "fine-tune" | "evals"),
        object: |_, file| {
            let mut object = object(file);
            object.insert("status".to_owned(), "processed".into());
            object
        },
        single: |object| object,
        list,
        error: Refusal::to_json,
    };

    /// Formats an error response.
    pub fn refuse(&self, refusal: &Refusal) -> Response {
        identified((refusal.status, Json((self.error)(refusal))).into_response())
    }

    fn show(&self, site: &Site, file: &File) -> Json<Value> {
        Json((self.single)((self.object)(site, file).into()))
    }

    /// The value of `purpose` or the default. A purpose that is missing or not allowed is rejected.
    fn purpose(&self, form: &Form) -> Result<String, Refusal> {
        let purpose = form.text("purpose").filter(|text| !text.is_empty()).or(self.default_purpose);
        let purpose = purpose.ok_or_else(|| Refusal::missing("purpose"))?;
        check_purpose(purpose, self.purposes)?;
        Ok(purpose.to_owned())
    }

    /// The lifetime, in seconds.
    fn lifetime(&self, form: &Form, now: Timestamp) -> Result<Option<i64>, Refusal> {
        let param = "expires_after";
        let stated = expires_after(form).map_err(|message| Refusal::invalid(param, message))?;
        if form.text(param).is_some() {
            return Err(Refusal::invalid(param, "Invalid type for 'expires_after': expected an object."));
        }
        match (self.expiry, stated) {
            (Expiry::Field(name, min, max, default), _) => {
                let Some(text) = form.text(name) else { return Ok(Some(default)) };
                let end: Option<i64> = text.trim().parse().ok();
                let seconds = end.map(|end| end.saturating_sub(now.as_second()));
                let seconds = seconds.filter(|seconds| (min..=max).contains(seconds));
                let message = format!("{name} must be between {min} and {max} seconds from now");
                seconds.map(Some).ok_or_else(|| Refusal::invalid(name, message))
            }
            (Expiry::Never, _) | (Expiry::Chosen(..), None) => Ok(None),
            (Expiry::Fixed(seconds), None) => Ok(Some(seconds)),
            (Expiry::Fixed(_), Some(_)) => Err(Refusal::invalid(param, "expires_after is not supported")),
            (Expiry::Chosen(min, max), Some(seconds)) if (min..=max).contains(&seconds) => Ok(Some(seconds)),
            (Expiry::Chosen(min, max), Some(_)) => {
                Err(Refusal::invalid(param, format!("expires_after must be between {min} and {max} seconds")))
            }
        }
    }
}

/// Rejects a purpose that is not among these; an empty list accepts any.
fn check_purpose(purpose: &str, known: &[&str]) -> Result<(), Refusal> {
    if known.is_empty() || known.contains(&purpose) {
        return Ok(());
    }
    let words: Vec<_> = known.iter().map(|word| format!("'{word}'")).collect();
    let message = format!("'{purpose}' is not one of [{}] - 'purpose'", words.join(", "));
    Err(Refusal::invalid("purpose", message))
}

/// A served vendor.
#[derive(Clone)]
struct Service {
    site: Arc<Site>,
    vendor: &'static Vendor,
}

/// The routes of a vendor. Other routes can be merged with them.
pub fn routes(site: Arc<Site>, vendor: &'static Vendor) -> Router {
    let mut router = Router::new();
    for prefix in [Some(vendor.prefix), vendor.alias].into_iter().flatten() {
        let one = if vendor.retrieve { get(info).delete(delete) } else { axum::routing::delete(delete) };
        router = router
            .route(&format!("{prefix}/files"), get(list_files).post(upload))
            .route(&format!("{prefix}/files/{{id}}"), one)
            .route(&format!("{prefix}/files/{{id}}/content"), get(content))
            .route(&format!("{prefix}/batches"), axum::routing::post(batches::create))
            .route(&format!("{prefix}/batches/{{id}}"), get(batches::info));
        if vendor.vector_stores {
            router = router.merge(vector_stores::routes(prefix));
        }
    }
    if !vendor.uploads.is_empty() {
        router = router.merge(uploads::routes(vendor));
    }
    let router = site.protect(router, |_, denied| {
        let message = match denied {
            Denied::Wrong(_) => "Incorrect API key provided.",
            _ => "You didn't provide an API key.",
        };
        Refusal::new(StatusCode::UNAUTHORIZED, message).into_response()
    });
    let word = move |mut response: Response| async move {
        match response.extensions_mut().remove::<Refusal>() {
            Some(refusal) => vendor.refuse(&refusal),
            None => identified(response),
        }
    };
    router.layer(map_response(word)).with_state(Service { site, vendor })
}

/// Adds a request id.
fn identified(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::try_from(format!("req_{}", ids::hex(16))) {
        response.headers_mut().entry("x-request-id").or_insert(id);
    }
    response
}

async fn upload(
    State(Service { site, vendor }): State<Service>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let max = vendor.max_size;
    let limits = Limits::form(max);
    let decide = |before: &Form, head: &Head| match (head.name.as_str(), &head.file_name) {
        ("file", Some(_)) if vendor.purpose_first && before.text("purpose").is_none() => {
            Err(Refusal::missing("purpose"))
        }
        ("file", Some(_)) => Ok(Take::File),
        ("file", None) => Err(Refusal::missing("file")),
        _ => Ok(Take::Text),
    };
    let mut form = receive(&site, &headers, body, limits, decide).await?;
    let upload = form.take_files().pop().ok_or_else(|| Refusal::missing("file"))?;
    let name = upload.head.file_name.unwrap_or_default();
    let now = site.clock.now();
    if upload.blob.size == 0 && !vendor.empty {
        return Err(Refusal::invalid("file", "The file is empty."));
    }
    let purpose = vendor.purpose(&form)?;
    let lifetime = vendor.lifetime(&form, now)?;
    let file = File {
        provider: site.platform.to_owned(),
        id: FileId((vendor.id)(&purpose, now)),
        // Inferred: only the base name of a path is kept.
        name: name.rsplit('/').next().unwrap_or_default().to_owned(),
        content_type: upload.head.content_type,
        purpose: Some(purpose).filter(|purpose| !purpose.is_empty()),
        created_at: Some(now),
        expires_at: lifetime.map(|seconds| later(now, SignedDuration::from_secs(seconds))),
        ..File::default()
    };
    let file = site.blocking(move |store| store.put(file, upload.blob)).await?;
    Ok(vendor.show(&site, &file).into_response())
}

async fn list_files(
    State(Service { site, vendor }): State<Service>,
    params: Params,
) -> Result<Response, Refusal> {
    let descending = match params.get("order").filter(|_| vendor.page.is_some()) {
        None => vendor.newest_first,
        Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(Refusal::invalid("order", "order must be 'asc' or 'desc'")),
    };
    let limit = match (vendor.page, params.get("limit")) {
        (None, _) => usize::MAX,
        (Some((default, _)), None) => default,
        (Some((_, max)), Some(text)) => text
            .parse()
            .ok()
            .filter(|limit| (1..=max).contains(limit))
            .ok_or_else(|| Refusal::invalid("limit", format!("limit must be between 1 and {max}")))?,
    };
    let given = |name| params.get(name).filter(|text| !text.is_empty());
    if vendor.lists_by_purpose && given("purpose").is_none() {
        return Err(Refusal::missing("purpose"));
    }
    let after = given(if vendor.cursors && params.has("cursor") { "cursor" } else { "after" });
    let listing = Listing {
        filter: given("purpose").map(|purpose| Filter::equals("purpose", purpose)),
        sort: SortKey::Created,
        descending,
        after: after.filter(|_| vendor.page.is_some() && !site.quirk("ignore-after")).map(FileId::from),
        ..Listing::default()
    };
    let page = site.blocking(move |store| Page::read(store, listing, limit, |_| true)).await;
    let page = page.map_err(|error| match error.kind() {
        Kind::NotFound => Refusal::invalid("after", "after is not the id of a file"),
        _ => error.into(),
    })?;
    let data: Vec<_> = page.files.iter().map(|file| (vendor.object)(&site, file).into()).collect();
    Ok(Json((vendor.list)(&data, page.has_more || site.quirk("ignore-after"))).into_response())
}

async fn info(
    State(Service { site, vendor }): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let file = FileId(id.clone());
    let file = site.blocking(move |store| store.stat(&file)).await.map_err(Refusal::about(&id))?;
    Ok(vendor.show(&site, &file))
}

async fn delete(
    State(Service { site, .. }): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let file = FileId(id.clone());
    site.blocking(move |store| store.delete(&file)).await.map_err(Refusal::about(&id))?;
    Ok(Json(deleted(&id)))
}

async fn content(
    State(Service { site, vendor }): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let content = Content::open(&site, &FileId(id.clone())).await.map_err(Refusal::about(&id))?;
    let purpose = content.file.purpose.as_deref().unwrap_or_default();
    if !(vendor.downloads)(purpose) && !site.quirk("downloads") {
        let message = format!("Not allowed to download files of purpose: {purpose}");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, &message));
    }
    if (vendor.extracts)(purpose) {
        let (name, kind) = (content.file.name.clone(), content.file.content_type.clone());
        let text = format!("The text of {name}.");
        let text =
            json!({ "content": text, "file_type": kind, "filename": name, "title": "", "type": "file" });
        return Ok(Json(text).into_response());
    }
    let disposition = (CONTENT_DISPOSITION, content_disposition("attachment", &content.file.name));
    let how = Sending { ranges: site.quirk("ranges"), headers: vec![disposition], ..Sending::default() };
    Ok(content.send(&headers, how))
}
