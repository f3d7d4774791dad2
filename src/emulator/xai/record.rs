//! The records of files, their objects in either dialect, validation rules, and error responses.

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::emulator::outages::status_of;
use crate::emulator::{Params, Refused, Site, ids, openai};
use crate::error::{Error, Kind};
use crate::model::{File, FileId};

/// The team of every key if the `team` quirk is off.
const TEAM: &str = "3d1bd8a8-6a52-4c0f-9e6d-0f2b6a4f7c11";

/// The upload status of a file that has content.
pub(super) const COMPLETE: &str = "Complete";
/// The range of lifetimes for files and public URLs, in seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 3600..=2_592_000;
/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 255;

/// Keys in `extra`: the token of the public URL, and its expiry in Unix seconds, if any.
pub(super) const PUBLIC_TOKEN: &str = "public_token";
pub(super) const PUBLIC_URL_EXPIRES_AT: &str = "public_url_expires_at";

/// The platform's view of a record.
pub(super) trait Record {
    /// A string in `extra`.
    fn noted(&self, key: &str) -> Option<&str>;

    /// The public URL, if it is still valid, with its expiry in Unix seconds.
    fn public_url(&self, root: &str, now: Timestamp) -> Option<(String, Option<i64>)>;
}

impl Record for File {
    fn noted(&self, key: &str) -> Option<&str> {
        self.extra.get(key).and_then(Value::as_str)
    }

    fn public_url(&self, root: &str, now: Timestamp) -> Option<(String, Option<i64>)> {
        let token = self.noted(PUBLIC_TOKEN)?;
        let expires_at = self.extra.get(PUBLIC_URL_EXPIRES_AT).and_then(Value::as_i64);
        let is_valid = expires_at.is_none_or(|end| now.as_second() < end);
        let extension = extension(&self.name);
        is_valid.then(|| (format!("{root}/files-cdn/{token}/{}.{extension}", self.id), expires_at))
    }
}

/// The extension of a name; empty if there is no dot.
pub(super) fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Creates a file with a new id.
pub(super) fn new(site: &Site, name: &str, content_type: Option<&str>, lifetime: Option<i64>) -> File {
    let now = site.clock.now();
    let by_name = || mime_guess::from_path(name).first_or_octet_stream().to_string();
    File {
        provider: site.platform.to_owned(),
        id: FileId(format!("file_{}", ids::uuid())),
        name: name.to_owned(),
        content_type: Some(content_type.map_or_else(by_name, str::to_owned)),
        created_at: Some(now),
        expires_at: lifetime.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok()),
        ..File::default()
    }
}

/// Marks a file's content as uploaded and processed.
pub(super) fn complete(file: &mut File) {
    file.status = Some(COMPLETE.to_owned());
    file.extra.insert("processing_status".to_owned(), "complete".into());
}

/// The record of a file.
pub(super) async fn stat(site: &Site, id: &FileId) -> Result<File, Refusal> {
    let wanted = id.clone();
    site.blocking(move |store| store.stat(&wanted)).await.map_err(Refusal::about(id.as_str()))
}

/// Rejects the names that the service rejects. A `/` is allowed because a name is never a path.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let is_forbidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '"' | ';' | '\\');
    if name.is_empty() || name.chars().any(is_forbidden) {
        return Err(Refusal::invalid("Invalid filename"));
    }
    if name.chars().nth(LONGEST_NAME).is_some() {
        return Err(Refusal::invalid("Invalid filename: more than 255 characters"));
    }
    Ok(())
}

/// Rejects lifetimes shorter than an hour or longer than 30 days.
pub(super) fn check_lifetime(seconds: i64) -> Result<i64, Refusal> {
    if LIFETIMES.contains(&seconds) {
        return Ok(seconds);
    }
    Err(Refusal::invalid("expires_after must be between 3600 and 2592000 seconds"))
}

/// The team that the key belongs to.
pub(super) fn team(site: &Site) -> &str {
    site.quirk_value("team").unwrap_or(TEAM)
}

/// Rejects teams other than the one set by the `team` quirk. If the quirk is off, every team is accepted.
pub(super) fn check_team(site: &Site, requested: Option<&str>) -> Result<(), Refusal> {
    match (requested, site.quirk_value("team")) {
        (Some(id), Some(team)) if !id.is_empty() && id != team => {
            Err(Refusal::new(StatusCode::NOT_FOUND, &format!("Team {id} not found")))
        }
        _ => Ok(()),
    }
}

/// A wire dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `id`, `bytes`, Unix seconds.
    OpenAi,
    /// `file_id`, `size_bytes` as text, RFC 3339.
    Gateway,
}

impl Dialect {
    /// The dialect of a request: the selected one, or the one that the request's parameters belong to.
    pub(super) fn of(site: &Site, params: &Params) -> Self {
        let says = |name: &str, has: fn(&str) -> bool| params.get(name).is_some_and(has);
        let by_request = || {
            ["next_token", "team_id", "prefix"].iter().any(|name| params.has(name))
                || says("order", |word| word.to_ascii_uppercase().ends_with("SCENDING"))
                || says("sort_by", |word| word.to_ascii_uppercase().starts_with("FILES_SORT_BY_"))
                || says("format", |word| word.to_ascii_uppercase().starts_with("DOWNLOAD_FORMAT_"))
        };
        match site.dialect.as_str() {
            "gateway" => Self::Gateway,
            "auto" if by_request() => Self::Gateway,
            _ => Self::OpenAi,
        }
    }

    /// A file's object.
    pub(super) fn show(self, site: &Site, request: &HeaderMap, file: &File) -> Value {
        match self {
            Self::OpenAi => openai_object(file, &site.root(request), site.clock.now()),
            Self::Gateway => gateway_object(file),
        }
    }
}

fn openai_object(file: &File, root: &str, now: Timestamp) -> Value {
    let mut object = openai::object(file);
    if let Some((url, expires_at)) = file.public_url(root, now) {
        object.insert("public_url".to_owned(), url.into());
        if let Some(expires_at) = expires_at {
            object.insert("public_url_expires_at".to_owned(), expires_at.into());
        }
    }
    object.into()
}

/// The object in the gateway dialect. The first seven fields are always present; the others are present only if set.
fn gateway_object(file: &File) -> Value {
    let is_complete = file.status.as_deref() == Some(COMPLETE);
    // Incomplete content has no hash.
    let hash = file.checksums.blake3.as_deref().filter(|_| is_complete).unwrap_or_default();
    let mut object = Map::from_iter([
        ("file_id".to_owned(), json!(file.id)),
        ("name".to_owned(), json!(file.name)),
        ("size_bytes".to_owned(), json!(file.size.unwrap_or_default().to_string())),
        ("content_type".to_owned(), json!(file.content_type)),
        ("created_at".to_owned(), json!(file.created_at.map(in_microseconds))),
        ("expires_at".to_owned(), json!(file.expires_at.map(in_microseconds))),
        ("hash".to_owned(), json!(hash)),
    ]);
    let optional = [
        ("upload_status", file.status.as_deref()),
        ("upload_error_message", file.noted("upload_error_message")),
        ("processing_status", file.noted("processing_status")),
        ("file_path", file.path.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    }
    object.into()
}

/// Formats a time with microseconds: `2025-09-16T19:06:53.472088Z`.
fn in_microseconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The description of gRPC's `FAILED_PRECONDITION`.
const WRONG_STATE: &str = "The system is not in a state required for the operation's execution";

/// An error response: `{"code": …, "error": …}`, where the code is the description of a gRPC status, or plain text if
/// the web framework responds instead of the service.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: Option<&'static str>,
    message: String,
}

impl Refusal {
    /// An error response with the code for the status, which also replaces an empty message.
    pub(super) fn new(status: StatusCode, message: &str) -> Self {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::plain(status, "length limit exceeded");
        }
        let code = code(status);
        let message = if message.is_empty() { code } else { message }.to_owned();
        Self { status, code: Some(code), message }
    }

    /// A 400 response about a parameter.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self { status, code: Some(code(status)), message: message.into() }
    }

    /// A 400 response about the state of a file.
    pub(super) fn state(message: impl Into<String>) -> Self {
        Self { code: Some(WRONG_STATE), ..Self::invalid(message) }
    }

    /// A 404 response about a file.
    pub(super) fn missing(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("File {id} not found"))
    }

    /// A plain-text error response from the web framework.
    pub(super) fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into() }
    }

    /// The text.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Converts a failure of the store that concerns the file `id`.
    pub(super) fn about(id: &str) -> impl FnOnce(Error) -> Self + use<> {
        let id = id.to_owned();
        move |error| if error.kind() == Kind::NotFound { Self::missing(&id) } else { error.into() }
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
            Refused::Malformed(why) => Self::invalid(why),
            Refused::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, ""),
            Refused::Rule(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.code {
            Some(code) => (self.status, Json(json!({ "code": code, "error": self.message }))).into_response(),
            None => {
                (self.status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], self.message).into_response()
            }
        }
    }
}

fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "The request does not have valid authentication credentials",
        403 => "The caller does not have permission to execute the specified operation",
        404 => "Some requested entity was not found",
        405 | 501 => "Operation is not implemented or not supported",
        408 | 504 => "Deadline expired before operation could complete",
        409 => "Some entity that we attempted to create already exists",
        429 => "Some resource has been exhausted",
        503 | 529 => "The service is currently unavailable",
        400..=499 => "Client specified an invalid argument",
        _ => "Internal error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_invalid_in_a_header_are_refused() {
        for good in ["a", "naïve 日本.pdf", "sub/a.md", "..", "%22", &"é".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "a\"b",
            "a;b",
            "a\\b",
            "a\rb",
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{2028}",
            "a\u{2029}",
        ];
        for bad in bad.into_iter().chain([&*"é".repeat(256)]) {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lifetimes_are_an_hour_to_thirty_days() {
        let allowed = [3600, 2_592_000].map(|seconds| check_lifetime(seconds).is_ok());
        let refused = [0, -1, 3599, 2_592_001, i64::MAX].map(|seconds| check_lifetime(seconds).is_err());
        assert!(allowed.into_iter().chain(refused).all(|as_expected| as_expected));
    }

    #[test]
    fn a_missing_file_differs_from_a_failed_store() {
        let refusal = |error: Error| Refusal::about("file_1")(error);
        let missing = refusal(Error::not_found("file_1: no such file"));
        assert_eq!((missing.status.as_u16(), missing.message.as_str()), (404, "File file_1 not found"));
        assert_eq!(refusal(Error::failed("disk full")).status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
