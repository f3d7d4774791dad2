//! `/_storage`: the object storage behind presigned URLs, modeled on S3. The signature is the credential.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::records::{MAX_SIZE, REGISTERED, note_content};
use super::{Service, sessions};
use crate::emulator::body::{Announced, store_content};
use crate::emulator::{Params, Refused, ids, receive_raw};
use crate::error::{Error, Kind};
use crate::model::{Checksums, File, FileId, later};

/// Seconds after which a URL is invalid.
const URL_LIFE: i64 = 3600;

/// The time at which a new URL becomes invalid.
pub(super) fn end(service: &Service) -> Timestamp {
    let seconds = service.site.quirk_number("url-life").unwrap_or(URL_LIFE);
    later(service.site.clock.now(), SignedDuration::from_secs(seconds))
}

/// A URL that permits storing an object.
pub(super) fn presign(service: &Service, headers: &HeaderMap, key: &str) -> String {
    let end = end(service).as_second();
    let signature = service.site.signer.sign_hex(&signed_text(key, &end.to_string()));
    format!("{}/_storage/{key}?X-Amz-Expires={end}&X-Amz-Signature={signature}", service.site.root(headers))
}

fn signed_text(key: &str, end: &str) -> String {
    format!("PUT\n{key}\n{end}")
}

/// Rejects a request without a valid signature, and a request with a token, which must not reach this host.
fn check(service: &Service, key: &str, params: &Params, headers: &HeaderMap) -> Result<(), S3Error> {
    if headers.contains_key(AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query \
                       string parameter or the Authorization header should be specified";
        return Err(S3Error(StatusCode::BAD_REQUEST, "InvalidArgument", message));
    }
    let signed = params.get("X-Amz-Expires").zip(params.get("X-Amz-Signature"));
    let valid =
        signed.filter(|(end, signature)| service.site.signer.verify_hex(&signed_text(key, end), signature));
    let end = valid.and_then(|(end, _)| Timestamp::from_second(end.parse().ok()?).ok());
    match end {
        None => Err(S3Error(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )),
        Some(end) if end <= service.site.clock.now() => {
            Err(S3Error(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired"))
        }
        Some(_) if !headers.contains_key(CONTENT_LENGTH) => Err(S3Error(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )),
        Some(_) => Ok(()),
    }
}

/// `PUT /_storage/{id}`: the content of a registered file. Repeating the request replaces the content.
pub(super) async fn put_file(
    State(service): State<Service>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, S3Error> {
    check(&service, &id, &params, &headers)?;
    let blob = receive_raw(&service.site, &headers, body, Some(MAX_SIZE)).await?;
    if blob.size == 0 {
        return Err(S3Error(StatusCode::BAD_REQUEST, "InvalidRequest", "The object is empty"));
    }
    let tag = tag(&blob.checksums);
    let now = service.site.clock.now();
    let site = Arc::clone(&service.site);
    let stored = service.site.blocking(move |store| {
        store.transaction(|change| {
            let file: File = match change.stat(&FileId(id.clone())) {
                Err(error) if error.kind() == Kind::NotFound => {
                    let registered = Announced::find(change, REGISTERED, &id, now)?;
                    change.forget(REGISTERED, &id)?;
                    registered.ok_or(error)?.file
                }
                present => present?,
            };
            let file = store_content(change, file, blob)?;
            note_content(&site, change, &file)
        })
    });
    stored.await?;
    Ok((StatusCode::OK, [(ETAG, tag)]).into_response())
}

/// `PUT /_storage/{id}/{part}`: a part of an upload.
pub(super) async fn put_part(
    State(service): State<Service>,
    Path((id, part)): Path<(String, u32)>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, S3Error> {
    check(&service, &format!("{id}/{part}"), &params, &headers)?;
    let blob = receive_raw(&service.site, &headers, body, Some(MAX_SIZE)).await?;
    let (tag, now) = (tag(&blob.checksums), service.site.clock.now());
    let stored = service.site.blocking(move |space| sessions::put(space, &id, part, blob, now)).await?;
    if !stored {
        let message = "The specified upload does not exist.";
        return Err(S3Error(StatusCode::NOT_FOUND, "NoSuchUpload", message));
    }
    Ok((StatusCode::OK, [(ETAG, tag)]).into_response())
}

/// The `ETag` of content.
pub(super) fn tag(checksums: &Checksums) -> String {
    let hash = checksums.blake3.as_deref().and_then(|hash| hash.get(..32)).unwrap_or_default();
    format!("\"{hash}\"")
}

/// An error in S3's XML: status, code and message.
pub(super) struct S3Error(StatusCode, &'static str, &'static str);

impl IntoResponse for S3Error {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             <RequestId>{}</RequestId></Error>",
            ids::hex(8).to_uppercase()
        );
        (status, [(CONTENT_TYPE, "application/xml")], body).into_response()
    }
}

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
            _ => Self(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
        }
    }
}

impl From<Refused<Self>> for S3Error {
    fn from(refused: Refused<Self>) -> Self {
        match refused {
            Refused::Malformed(_) => Self(
                StatusCode::BAD_REQUEST,
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            ),
            Refused::TooLarge(_) => Self(
                StatusCode::BAD_REQUEST,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            ),
            Refused::Rule(error) => error,
            Refused::Store(error) => error.into(),
        }
    }
}
