//! `/_store`: the object store behind presigned URLs, modeled on S3, and the URLs themselves.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::files::{MAX_SIZE, add, format_time};
use super::service::{Call, Service};
use crate::emulator::body::{Announced, store_content};
use crate::emulator::fastapi::Refusal;
use crate::emulator::{
    Content, Limits, Params, Refused, Sending, Space, Take, content_disposition, ids, receive, receive_raw,
};
use crate::error::{Error, Kind};
use crate::model::{File, FileId, later};
use crate::store::Blob;

/// Maximum lifetime of a presigned URL in seconds, as on S3.
pub(super) const MAX_LIFETIME: i64 = 604_800;
/// The kind of notes about files whose content has not arrived yet, keyed by file id.
const EXPECTED: &str = "expected";
/// The format of times in presigned URLs.
const DATE: &str = "%Y%m%dT%H%M%SZ";

/// A presigned URL for one method on one file or, for `POST`, a presigned form whose fields must precede its `file`:
/// `{"expires_at", "url", "form_fields"}`.
pub(super) fn presign(call: &Call, method: &str, id: &FileId, seconds: i64) -> Value {
    let site = &call.service.site;
    let now = Timestamp::from_second(site.clock.now().as_second()).unwrap_or_default();
    let lifetime = SignedDuration::from_secs(seconds);
    let signed_at =
        if call.service.next_link_is_stale() { now.saturating_sub(lifetime).unwrap_or(now) } else { now };
    let (date, expires) = (signed_at.strftime(DATE).to_string(), seconds.to_string());
    let signature = site.signer.sign_hex(&signed_text(method, id.as_str(), &date, &expires));
    let mut url = format!("{}/_store", site.root(&call.headers));
    let mut fields = Value::Null;
    if method == "POST" {
        fields = json!({
            "key": id,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-date": date,
            "x-amz-expires": expires,
            "x-amz-signature": signature,
        });
    } else {
        url = format!(
            "{url}/{id}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={expires}\
             &X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        );
    }
    json!({ "expires_at": format_time(later(signed_at, lifetime)), "url": url, "form_fields": fields })
}

fn signed_text(method: &str, key: &str, date: &str, expires: &str) -> String {
    format!("{method}\n{key}\n{date}\n{expires}")
}

/// Checks the signature of a request. `value` returns the date, lifetime and signature by name.
fn check_signature<'a>(
    service: &Service,
    method: &str,
    key: Option<&str>,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Result<(), S3Error> {
    let now = service.site.clock.now();
    let claim = || Some((key?, value("X-Amz-Date")?, value("X-Amz-Expires")?, value("X-Amz-Signature")?));
    let (key, date, expires, signature) = claim().ok_or(ACCESS_DENIED)?;
    let signed_at =
        jiff::civil::DateTime::strptime(DATE, date).and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC));
    let is_valid = service.site.signer.verify_hex(&signed_text(method, key, date, expires), signature);
    let (true, Ok(signed_at), Ok(seconds)) = (is_valid, signed_at, expires.parse()) else {
        return Err(S3Error::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and \
             signing method.",
        ));
    };
    let expires_at = later(signed_at.timestamp(), SignedDuration::from_secs(seconds));
    if now < expires_at {
        return Ok(());
    }
    Err(S3Error {
        message: "Request has expired",
        more: format!(
            "<Expires>{}</Expires><ServerTime>{}</ServerTime>",
            format_time(expires_at),
            format_time(now)
        ),
        ..ACCESS_DENIED
    })
}

/// Registers a file whose content will arrive in a presigned upload.
pub(super) async fn announce(service: &Service, file: File) -> Result<(), Refusal> {
    let ends = later(service.site.clock.now(), SignedDuration::from_secs(MAX_LIFETIME));
    add(service, file, move |change, file| {
        let id = file.id.clone();
        Announced { file, ends }.put(change, EXPECTED, id.as_str())
    })
    .await
}

/// Deletes the notes about files whose content can no longer arrive.
pub(super) async fn forget_expired(service: &Service) -> Result<(), Refusal> {
    let now = service.site.clock.now();
    let forget =
        move |store: &Space| store.transaction(|change| Announced::forget_expired(change, EXPECTED, now));
    Ok(service.site.blocking(forget).await?)
}

/// Stores the content of a registered file, or replaces it, because a URL can be used repeatedly.
async fn accept(
    service: &Service,
    id: FileId,
    content_type: Option<String>,
    blob: Blob,
) -> Result<File, S3Error> {
    let now = service.site.clock.now();
    let stored = service.site.blocking(move |store| {
        store.transaction(|change| {
            let file = match change.stat(&id) {
                Err(error) if error.kind() == Kind::NotFound => {
                    let announced = Announced::find(change, EXPECTED, id.as_str(), now)?;
                    change.forget(EXPECTED, id.as_str())?;
                    announced.ok_or_else(|| Error::not_found(format!("{id}: no such file")))?.file
                }
                present => present?,
            };
            let content_type = content_type.or_else(|| file.content_type.clone());
            store_content(change, File { content_type, updated_at: Some(now), ..file }, blob)
        })
    });
    Ok(stored.await?)
}

/// `/_store/ID`: GET and PUT.
pub(super) async fn object(
    State(service): State<Arc<Service>>,
    method: Method,
    key: Result<Path<String>, PathRejection>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, S3Error> {
    refuse_authorization(&headers)?;
    let Ok(Path(key)) = key else { return Err(NO_SUCH_KEY) };
    // The signature covers the method. A signature for POST belongs to a form, which is sent to `/_store`.
    if method == Method::POST {
        return Err(ACCESS_DENIED);
    }
    check_signature(&service, method.as_str(), Some(&key), |name| params.get(name))?;
    let id = FileId(key);
    if method != Method::PUT {
        return send(&service, &headers, &id).await;
    }
    if !headers.contains_key(CONTENT_LENGTH) {
        return Err(S3Error::new(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let blob = receive_raw(&service.site, &headers, body, Some(MAX_SIZE)).await?;
    let file = accept(&service, id, content_type, blob).await?;
    Ok((StatusCode::OK, [(ETAG, etag(&file))]).into_response())
}

/// `/_store`: a form with signed fields followed by the `file`. Fields after the file are ignored.
pub(super) async fn form(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, S3Error> {
    refuse_authorization(&headers)?;
    let limits = Limits { file: Some(MAX_SIZE), body: None };
    let received = receive(&service.site, &headers, body, limits, |before, head| {
        if before.has_file() {
            return Ok(Take::Nothing);
        }
        if head.name != "file" {
            return Ok(Take::Text);
        }
        let value = |name: &str| before.text(&name.to_ascii_lowercase());
        check_signature(&service, "POST", before.text("key"), value)?;
        Ok(Take::File)
    });
    let mut form = received.await?;
    let id = FileId::from(form.text("key").unwrap_or_default());
    let content_type = form.text("Content-Type").map(str::to_owned);
    let Some(upload) = form.take_files().pop() else {
        return Err(S3Error::new(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "POST requires exactly one file upload per request.",
        ));
    };
    let file = accept(&service, id, content_type, upload.blob).await?;
    Ok((StatusCode::NO_CONTENT, [(ETAG, etag(&file))]).into_response())
}

/// Rejects a request with the API key, which must not reach a third party.
fn refuse_authorization(headers: &HeaderMap) -> Result<(), S3Error> {
    if !headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    Err(S3Error {
        more: "<ArgumentName>Authorization</ArgumentName>".to_owned(),
        ..S3Error::new(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )
    })
}

async fn send(service: &Service, headers: &HeaderMap, id: &FileId) -> Result<Response, S3Error> {
    let content = Content::open(&service.site, id).await?;
    let file = &content.file;
    let modified = file.updated_at.or(file.created_at).unwrap_or_default();
    let how = Sending {
        ranges: true,
        length: true,
        etag: file.checksums.sha256.clone(),
        content_type: file.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()),
        headers: vec![
            (LAST_MODIFIED, modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            // Uploaded content must not be rendered as a page of this host.
            (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ],
    };
    let response = content.send(headers, how);
    if response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(response);
    }
    let message = "The requested range is not satisfiable";
    let mut refusal = S3Error::new(response.status(), "InvalidRange", message).into_response();
    let size = response.headers().get(CONTENT_RANGE).cloned();
    refusal.headers_mut().extend(size.map(|size| (CONTENT_RANGE, size)));
    Ok(refusal)
}

fn etag(file: &File) -> String {
    format!("\"{}\"", file.checksums.sha256.as_deref().unwrap_or_default())
}

/// An error response in S3's XML format.
pub(super) struct S3Error {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    /// Additional elements, as XML.
    more: String,
}

const NO_SUCH_KEY: S3Error =
    S3Error::new(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
const ACCESS_DENIED: S3Error = S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");

impl S3Error {
    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message, more: String::new() }
    }
}

impl IntoResponse for S3Error {
    fn into_response(self) -> Response {
        let request_id = ids::hex(8).to_uppercase();
        let Self { status, code, message, more } = self;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}\
             <RequestId>{request_id}</RequestId></Error>"
        );
        let request_id = (HeaderName::from_static("x-amz-request-id"), request_id);
        (status, [(CONTENT_TYPE, "application/xml".to_owned()), request_id], body).into_response()
    }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => NO_SUCH_KEY,
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
        }
    }
}

impl From<Refused<S3Error>> for S3Error {
    fn from(refused: Refused<Self>) -> Self {
        match refused {
            Refused::Malformed(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "IncompleteBody",
                "The request body is incomplete or does not match its headers.",
            ),
            Refused::TooLarge(_) => Self::new(
                StatusCode::BAD_REQUEST,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            ),
            Refused::Rule(error) => error,
            Refused::Store(error) => error.into(),
        }
    }
}
