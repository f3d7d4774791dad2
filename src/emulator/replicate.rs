//! Replicate's Files API.
//!
//! Served under `/v1` and `/v1/v1`: both Python clients read the same variable, but the older one adds the version to
//! the base URL itself.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::header::{CONTENT_TYPE, SERVER, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::ext::ReasonPhrase;
use jiff::SignedDuration;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::faults::proxy_page;
use super::outages::status_of;
use super::{
    Content, Form, Gate, Limits, Params, Platform, Quirk, RateLimiter, Refused, Sending, Signer, Site, Take,
    ids, receive,
};
use crate::error::{Error, Kind};
use crate::model::{File, FileId, Object, later};
use crate::store::{Listing, SortKey};

/// Default page size. The service's default is unknown but at least 38.
const PAGE: usize = 100;
/// Maximum size of a file, in bytes. The service's limit may be 100 MB or 100 MiB.
const MAX_SIZE: u64 = 100 * 1024 * 1024;
/// Maximum body size that the proxy accepts, in bytes. A rejection was recorded at 215 MB.
const MAX_BODY: u64 = 200_000_000;
/// Maximum length of a file name, in bytes.
const MAX_NAME: usize = 255;
/// The lifetime of a file.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24);
/// Maximum nesting depth of `metadata[key]` fields.
const MAX_DEPTH: usize = 32;

/// The Replicate platform.
pub static REPLICATE: Platform = Platform {
    name: "replicate",
    base_path: "/v1",
    gate: Gate { schemes: &["Bearer", "Token"], ..Gate::BEARER },
    reads: &[],
    dialects: &[],
    md5: true,
    quirks: &[
        Quirk {
            name: "list_order",
            value: "id|created",
            help: "order of listings: by id or newest first [default: created]",
        },
        Quirk { name: "page-size", value: "N", help: "lists N files per page [default: 100]" },
        Quirk {
            name: "max-size",
            value: "BYTES",
            help: "accepts files up to this size [default: 104857600]",
        },
        Quirk {
            name: "bracket-metadata",
            value: "keep|ignore",
            help: "keeps or ignores metadata sent as `metadata[key]` fields",
        },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk { name: "signing-secret", value: "SECRET", help: "key for signing download links" },
        Quirk { name: "owner", value: "NAME", help: "user name of the account in download links" },
        Quirk { name: "rate-limit", value: "N", help: "rejects more than N requests per minute" },
    ],
    variables: |root, token| {
        vec![("REPLICATE_BASE_URL", format!("{root}/v1")), ("REPLICATE_API_TOKEN", token.to_owned())]
    },
    routes,
    error: |_, status, message| with_headers(Problem::of(status, message).into_response()),
};

fn routes(site: Arc<Site>) -> Router {
    let limiter = site.rate_limiter();
    let api = Router::new()
        .route("/files", get(list).post(create))
        .route("/files/{id}", get(one).delete(delete))
        .route("/files/{id}/download", get(download))
        .route("/account", get(account));
    Router::new()
        .nest("/v1", api.clone())
        .nest("/v1/v1", api)
        .layer(middleware::from_fn_with_state(limiter, limit_rate))
        .with_state(site)
}

async fn limit_rate(State(limiter): State<Option<RateLimiter>>, request: Request, next: Next) -> Response {
    let refused = limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed);
    with_headers(match refused {
        Some(rate) => Problem::throttled(rate.retry_after()).into_response(),
        None => next.run(request).await,
    })
}

/// Adds the headers found in all recorded responses.
fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("cloudflare"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(ray) = HeaderValue::try_from(format!("{}-SJC", ids::hex(8))) {
        headers.insert("cf-ray", ray);
    }
    response
}

/// A request whose token has been checked.
struct Call {
    site: Arc<Site>,
    headers: HeaderMap,
    params: Params,
}

impl FromRequestParts<Arc<Site>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        site.check(&parts.headers, &parts.uri).map_err(|_| Problem::unauthenticated())?;
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { site: Arc::clone(site), headers: parts.headers.clone(), params })
    }
}

/// The id in a path. An id that is not UTF-8 matches no file.
type Id = Result<Path<String>, PathRejection>;

fn file_id(path: Id) -> Result<FileId, Problem> {
    path.map(|Path(id)| FileId(id)).map_err(|_| Problem::not_found())
}

/// A JSON response with the content type used by this API's workers.
fn json_response(status: StatusCode, value: Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json; charset=UTF-8")], Json(value)).into_response()
}

/// A file's object, with keys in the recorded order.
fn file_object(call: &Call, file: &File) -> Value {
    json!({
        "id": file.id,
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "etag": file.checksums.md5,
        "checksums": { "sha256": file.checksums.sha256, "md5": file.checksums.md5 },
        "metadata": file.metadata,
        "created_at": file.created_at.map(|time| format!("{time:.3}")),
        "expires_at": file.expires_at.map(|time| format!("{time:.3}")),
        "urls": { "get": format!("{}/v1/files/{}", call.site.root(&call.headers), file.id) },
    })
}

/// `POST /v1/files`.
async fn create(call: Call, body: Body) -> Result<Response, Problem> {
    let max_size = call.site.quirk_number("max-size").unwrap_or(MAX_SIZE);
    let limits = Limits { file: Some(max_size), body: Some(MAX_BODY.max(max_size)) };
    let received = receive(&call.site, &call.headers, body, limits, |before, head| {
        match (head.name.as_str(), &head.file_name) {
            // The service's form parser treats a part without a file name as text.
            ("content", None) => {
                Err(Problem::bad_request("content must be a file: its part has no filename"))
            }
            ("content", Some(_)) if before.has_file() => Ok(Take::Nothing),
            ("content", Some(_)) => Ok(Take::File),
            // One client sends its metadata with a file name.
            ("metadata", _) | (_, None) => Ok(Take::Text),
            _ => Ok(Take::Nothing),
        }
    });
    let mut form = received.await.map_err(|refused| match refused {
        Refused::TooLarge(limit) if limit != max_size => Problem::refused_by_proxy(),
        refused => refused.into(),
    })?;
    let upload = form.take_files().into_iter().next();
    let upload = upload.ok_or_else(|| Problem::bad_request("content is missing"))?;
    let field = |name: &str| form.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = field("filename").or(upload.head.file_name).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Problem::bad_request("filename is missing"))?;
    if name.len() > MAX_NAME {
        return Err(Problem::bad_request(format!("filename has more than {MAX_NAME} bytes")));
    }
    let content_type = field("type").or(upload.head.content_type);
    let now = call.site.clock.now();
    let file = File {
        id: FileId(STANDARD.encode(ids::uuid())),
        name,
        content_type: Some(content_type.unwrap_or_else(|| "application/octet-stream".to_owned())),
        metadata: metadata(&form, call.site.quirk_value("bracket-metadata") != Some("ignore"))?,
        created_at: Some(now),
        expires_at: Some(later(now, LIFETIME)),
        ..File::default()
    };
    let file = call.site.blocking(move |store| store.put(file, upload.blob)).await?;
    Ok(json_response(StatusCode::CREATED, file_object(&call, &file)))
}

/// Reads metadata in the four encodings that official clients use: a JSON part, JSON in a text field, JSON in a part
/// with the file name `blob`, and, if `keep_brackets` is set and no JSON was sent, fields such as `metadata[tags][]`.
fn metadata(form: &Form, keep_brackets: bool) -> Result<Object, Problem> {
    if let Some(text) = form.text("metadata") {
        return match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Problem::bad_request("metadata must be a JSON object")),
            Err(error) => Err(Problem::bad_request(format!("metadata is not valid JSON: {error}"))),
        };
    }
    let mut metadata = Value::Object(Object::new());
    for (name, value) in form.texts().filter(|_| keep_brackets) {
        if let Some(keys) = name.strip_prefix("metadata").and_then(bracket_keys) {
            insert(&mut metadata, &keys, value);
        }
    }
    Ok(metadata.as_object().cloned().unwrap_or_default())
}

/// The keys in `[a][b][]`. Returns `None` if the text has a different form.
fn bracket_keys(text: &str) -> Option<Vec<&str>> {
    let keys: Vec<_> = text.strip_prefix('[')?.strip_suffix(']')?.split("][").collect();
    (keys.len() <= MAX_DEPTH && !keys[0].is_empty()).then_some(keys)
}

/// Inserts a string at a path of keys, in which an empty key appends to a list. Values that conflict with existing ones
/// are dropped.
fn insert(into: &mut Value, keys: &[&str], text: &str) {
    let Some((key, rest)) = keys.split_first() else { return };
    let new = match rest.first() {
        None => Value::String(text.to_owned()),
        Some(&"") => Value::Array(Vec::new()),
        Some(_) => Value::Object(Object::new()),
    };
    let place = match into {
        Value::Array(list) if key.is_empty() => {
            list.push(new);
            list.last_mut()
        }
        Value::Object(object) if !key.is_empty() => Some(object.entry(*key).or_insert(new)),
        _ => None,
    };
    if let Some(place) = place {
        insert(place, rest, text);
    }
}

/// `GET /v1/files`. A cursor is the base64 encoding of `p=ID` for the page after a file, or of `r=1&p=ID` for the
/// page before it.
async fn list(call: Call) -> Result<Response, Problem> {
    let invalid = || Problem::bad_request("Invalid cursor");
    let cursor = match call.params.get("cursor").filter(|text| !text.is_empty()) {
        Some(text) => Some(read_cursor(text).ok_or_else(invalid)?),
        None => None,
    };
    let backwards = matches!(cursor, Some((true, _)));
    let size = call.site.quirk_number("page-size");
    let size: usize = size.filter(|size| *size > 0).unwrap_or(PAGE);
    let by_id = call.site.quirk_value("list_order") == Some("id");
    let has_cursor = cursor.is_some();
    let listing = Listing {
        sort: if by_id { SortKey::Id } else { SortKey::Created },
        descending: by_id == backwards,
        after: cursor.map(|(_, id)| id),
        limit: size.saturating_add(1),
        ..Listing::default()
    };
    let listed = call.site.blocking(move |store| store.list(&listing)).await;
    let mut files = match listed {
        Err(error) if error.kind() == Kind::NotFound => return Err(invalid()),
        listed => listed?,
    };
    let more = files.len() > size;
    files.truncate(size);
    if backwards {
        files.reverse();
    }
    let (has_previous, has_next) = if backwards { (more, true) } else { (has_cursor, more) };
    let page_url = |direction: &str, file: &File| {
        let cursor = STANDARD.encode(format!("{direction}p={}", file.id));
        let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        format!("{}/v1/files?cursor={cursor}", call.site.root(&call.headers))
    };
    let page = json!({
        "next": files.last().filter(|_| has_next).map(|file| page_url("", file)),
        "previous": files.first().filter(|_| has_previous).map(|file| page_url("r=1&", file)),
        "results": files.iter().map(|file| file_object(&call, file)).collect::<Vec<_>>(),
    });
    Ok(json_response(StatusCode::OK, page))
}

/// Whether a cursor leads backward, and the file that it refers to.
fn read_cursor(text: &str) -> Option<(bool, FileId)> {
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (backwards, position) = match text.strip_prefix("r=1&") {
        Some(position) => (true, position),
        None => (false, text.as_str()),
    };
    Some((backwards, position.strip_prefix("p=")?.into()))
}

async fn one(call: Call, id: Id) -> Result<Response, Problem> {
    let id = file_id(id)?;
    let file = call.site.blocking(move |store| store.stat(&id)).await?;
    Ok(json_response(StatusCode::OK, file_object(&call, &file)))
}

async fn delete(call: Call, id: Id) -> Result<Response, Problem> {
    let id = file_id(id)?;
    call.site.blocking(move |store| store.delete(&id)).await?;
    Ok((StatusCode::NO_CONTENT, [(CONTENT_TYPE, "text/plain; charset=UTF-8")]).into_response())
}

/// `GET /v1/files/{id}/download`. The signature is the credential; a token is ignored.
async fn download(
    State(site): State<Arc<Site>>,
    id: Id,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = file_id(id)?;
    let required = |name: &str| {
        let value = params.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Problem::bad_request(format!("{name} is missing")))
    };
    let (link_owner, expiry, signature) = (required("owner")?, required("expiry")?, required("signature")?);
    let expiry: i64 = expiry.parse().map_err(|_| Problem::bad_request("expiry is not a number"))?;
    // The default is a random key, because the service does not disclose its own.
    let signer = match site.quirk_value("signing-secret") {
        Some(secret) => Signer::with_key(secret.as_bytes()),
        None => site.signer.derive("download links"),
    };
    if !signer.verify(&format!("{link_owner} {id} {expiry}"), &signature_bytes(signature)) {
        return Err(Problem::no_download("wrong signature"));
    }
    if link_owner != owner(&site) {
        return Err(Problem::no_download("wrong owner"));
    }
    if site.clock.now().as_second() > expiry {
        return Err(Problem::no_download("expired link"));
    }
    let content = match Content::open(&site, &id).await {
        Err(error) if error.kind() == Kind::NotFound => return Err(Problem::no_download("no such file")),
        content => content?,
    };
    let default = Sending::default();
    let how = Sending {
        ranges: site.quirk("ranges"),
        etag: content.file.checksums.md5.clone(),
        content_type: content.file.content_type.clone().unwrap_or(default.content_type),
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}

/// Decodes a signature from a query that has already been decoded once. The service writes links that are encoded
/// twice, and in a link that is not encoded at all, each `+` has become a space. Invalid base64 yields no bytes.
fn signature_bytes(text: &str) -> Vec<u8> {
    let text = percent_decode_str(text).decode_utf8_lossy().replace(' ', "+");
    STANDARD.decode(text).unwrap_or_default()
}

async fn account(call: Call) -> Response {
    let owner = owner(&call.site);
    let account = json!({
        "type": "user", "username": owner, "name": owner, "github_url": format!("https://github.com/{owner}"),
    });
    Json(account).into_response()
}

/// The user name of the account that every token belongs to.
fn owner(site: &Site) -> &str {
    site.quirk_value("owner").unwrap_or("local-user")
}

/// An error response.
#[derive(Debug)]
struct Problem(Box<Response>);

impl Problem {
    fn new(status: StatusCode, body: &Value) -> Self {
        Self::with_body(status, "application/problem+json", body.to_string())
    }

    fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self(Box::new((status, [(CONTENT_TYPE, content_type)], body).into_response()))
    }

    /// The error response for unknown routes and scripted faults.
    fn of(status: StatusCode, message: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::unauthenticated(),
            StatusCode::TOO_MANY_REQUESTS => Self::throttled(1),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            status => {
                let reason = status.canonical_reason().unwrap_or("Error");
                let detail = if message.is_empty() { reason } else { message };
                Self::new(status, &json!({ "detail": detail, "status": status.as_u16() }))
            }
        }
    }

    fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &json!({ "detail": detail.into(), "status": 400 }))
    }

    /// The error response for a missing or invalid token. Responses of the main API end with a newline.
    fn unauthenticated() -> Self {
        let detail = "You did not pass a valid authentication token";
        let body = json!({ "title": "Unauthenticated", "detail": detail, "status": 401 });
        Self::with_body(StatusCode::UNAUTHORIZED, "application/problem+json", format!("{body}\n"))
    }

    fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, &json!({ "detail": "File not found" }))
    }

    /// The error response for a download that is not allowed. The service returns the same response for every reason;
    /// the emulator adds the reason in a header.
    fn no_download(reason: &'static str) -> Self {
        let mut problem = Self::not_found();
        problem.0.headers_mut().insert("x-emulator-reason", HeaderValue::from_static(reason));
        problem
    }

    fn too_large() -> Self {
        let detail = "Files must be less than 100MB in size";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "detail": detail }))
    }

    /// The proxy's page for a body that the proxy itself rejects, with the recorded reason phrase.
    fn refused_by_proxy() -> Self {
        let page = proxy_page(StatusCode::PAYLOAD_TOO_LARGE, "413 Request Entity Too Large", "cloudflare");
        let mut problem = Self(Box::new(page));
        problem.0.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
        problem
    }

    fn throttled(seconds: u64) -> Self {
        let plural = if seconds == 1 { "" } else { "s" };
        let detail = format!("Request was throttled. Expected available in {seconds} second{plural}.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, &json!({ "detail": detail }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::not_found(),
            _ => Self::of(status_of(&error), error.message()),
        }
    }
}

impl From<Refused<Problem>> for Problem {
    fn from(refused: Refused<Problem>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::bad_request(why),
            Refused::TooLarge(_) => Self::too_large(),
            Refused::Rule(problem) => problem,
            Refused::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{Field, Head};

    /// The contract's test vector, which was computed by another program.
    #[test]
    fn a_signature_is_read_whether_encoded_once_twice_or_not_at_all() {
        let signer = Signer::with_key(b"local-signing-secret");
        let text = "mattt cneqzikepnug6xezperrr4z55o 1708515345";
        let plain = "H+ubBSURpGllqUrZ/zbzlHSGD1CUjVnS8cwnXjfyhzE=";
        let once = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        for query in [plain.to_owned(), once.clone(), once.replace('%', "%25")] {
            let params = Params::parse(&format!("signature={query}"));
            assert!(signer.verify(text, &signature_bytes(params.get("signature").unwrap())), "{query}");
        }
        assert!(!signer.verify(text, &signature_bytes("nonsense!")));
    }

    fn parsed(fields: &[(&str, &str)]) -> Result<Object, Problem> {
        let field = |(name, value): &(&str, &str)| Field::Text {
            head: Head { name: (*name).to_owned(), ..Head::default() },
            value: (*value).to_owned(),
        };
        metadata(&Form { fields: fields.iter().map(field).collect() }, true)
    }

    #[test]
    fn metadata_fields_nest() {
        let metadata = parsed(&[
            ("metadata[a]", "1"),
            ("metadata[tags][]", "x"),
            ("metadata[tags][]", "y"),
            ("metadata[deep][er][est]", "z"),
            ("metadata[list][][k]", "v"),
        ]);
        let expected = json!({
            "a": "1", "tags": ["x", "y"], "deep": {"er": {"est": "z"}}, "list": [{"k": "v"}],
        });
        assert_eq!(Value::Object(metadata.unwrap()), expected);
    }

    #[test]
    fn invalid_metadata_fields_are_dropped() {
        let deep = format!("metadata{}", "[a]".repeat(10_000));
        let fields = [
            ("metadata[]", "x"),
            ("metadata[a", "x"),
            ("metadatab]", "x"),
            ("other[a]", "x"),
            (deep.as_str(), "x"),
        ];
        assert_eq!(parsed(&fields).unwrap(), Object::new());
        let clash = parsed(&[("metadata[a]", "1"), ("metadata[a][b]", "2"), ("metadata[a]", "3")]);
        assert_eq!(Value::Object(clash.unwrap()), json!({"a": "1"}));
    }

    #[test]
    fn json_metadata_wins_and_must_be_an_object() {
        let both = parsed(&[("metadata[a]", "1"), ("metadata", r#"{"b": 2, "c": null}"#)]);
        assert_eq!(Value::Object(both.unwrap()), json!({"b": 2, "c": null}));
        for wrong in ["", "x", "[]", "null", "1", "{} {}"] {
            assert!(parsed(&[("metadata", wrong)]).is_err(), "{wrong}");
        }
    }
}
