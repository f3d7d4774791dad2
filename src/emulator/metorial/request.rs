//! Requests (dialect, API key, ids in the path and JSON bodies) and error responses.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde_json::{Value, json};

use crate::emulator::outages::status_of;
use crate::emulator::{Denied, Params, Refused, Site, Space, media_type, receive_text};
use crate::error::{Error, Result as StoreResult};
use crate::model::Object;

/// The result of a handler.
pub(super) type Answer<T = Json<Value>> = Result<T, Problem>;

/// Maximum size of a JSON body, in bytes.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Maximum length of a string, in characters.
const MAX_TEXT: usize = 100_000;

/// The wire dialects, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The dialect of the seed page.
    Seed,
    /// `mt_2025_01_01_pulsar`.
    Pulsar,
    /// `mt_2026_01_01_magnetar`.
    Magnetar,
}

/// The purposes of the seed dialect and of magnetar, which lacks the first one. The seed page mentions only
/// `attachment` and describes the list as open.
const PURPOSES: [&str; 8] = [
    "attachment",
    "user_image",
    "organization_image",
    "project_brand_image",
    "skill_image",
    "skill_export",
    "generic",
    "chat_message_attachment",
];

impl Dialect {
    /// The served dialect, used for requests without a version.
    pub(super) fn of(site: &Site) -> Self {
        match site.dialect.as_str() {
            "pulsar" => Self::Pulsar,
            "magnetar" => Self::Magnetar,
            _ => Self::Seed,
        }
    }

    /// The dialect of a request, selected by its `Metorial-Version` header or `api-version` parameter. An unknown
    /// version is ignored; the dashboard's version does not accept API keys.
    pub(super) fn of_request(site: &Site, headers: &HeaderMap, params: &Params) -> Result<Self, Problem> {
        let header = headers.get("metorial-version").and_then(|value| value.to_str().ok());
        match header.or_else(|| params.get("api-version")) {
            Some("2025-01-01-pulsar" | "mt_2025_01_01_pulsar" | "2025-01-01") => Ok(Self::Pulsar),
            Some("2026-01-01-magnetar" | "mt_2026_01_01_magnetar" | "2026-01-01") => Ok(Self::Magnetar),
            Some("2025-01-01-dashboard" | "mt_2025_01_01_dashboard") => Err(Problem::version()),
            _ => Ok(Self::of(site)),
        }
    }

    /// The version in response headers; the seed dialect has none.
    pub(super) fn version(self) -> Option<&'static str> {
        match self {
            Self::Seed => None,
            Self::Pulsar => Some("2025-01-01"),
            Self::Magnetar => Some("2026-01-01"),
        }
    }

    pub(super) fn purposes(self) -> &'static [&'static str] {
        match self {
            Self::Seed => &PURPOSES,
            Self::Pulsar => &PURPOSES[1..3],
            Self::Magnetar => &PURPOSES[1..],
        }
    }

    /// The key that contains the kind of an object, in lists and errors.
    pub(super) fn kind_key(self) -> &'static str {
        if self == Self::Pulsar { "__typename" } else { "object" }
    }
}

/// The holder of a key or the owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Instance,
    User,
    Organization,
}

/// A request whose key has been checked.
pub(super) struct Call {
    pub(super) site: Arc<Site>,
    pub(super) dialect: Dialect,
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    pub(super) key: Owner,
    /// Whether the path or a header names an instance.
    pub(super) has_instance: bool,
    ids: HashMap<String, String>,
}

impl Call {
    /// An id in the path: `file` or `link`.
    pub(super) fn id(&self, name: &str) -> Option<&str> {
        self.ids.get(name).map(String::as_str)
    }

    /// Rejects a key that covers several instances, unless the request selects one.
    pub(super) fn need_instance(&self) -> Result<(), Problem> {
        if self.key == Owner::Instance || self.has_instance {
            return Ok(());
        }
        Err(Problem::bad_request("this key requires an instance: send `metorial-instance-id`"))
    }

    /// Runs `work` on the store.
    pub(super) async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Space) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.site.blocking(work).await?)
    }

    /// Reads a body with JSON or a URL-encoded form. A missing body counts as an empty object.
    pub(super) async fn read(&self, body: Body) -> Result<Object, Problem> {
        let text =
            receive_text(body, MAX_BODY).await.map_err(|error: Refused<Problem>| Problem::from(error))?;
        if text.trim_ascii().is_empty() {
            return Ok(Object::new());
        }
        match media_type(&self.headers).as_str() {
            "" | "application/json" => match serde_json::from_slice(&text) {
                Ok(Value::Object(object)) => Ok(object),
                Ok(other) => Err(Problem::invalid(
                    "body",
                    json!({
                        "code": "invalid_type", "message": "the body must be an object", "path": [],
                        "expected": "object", "received": json_type(&other),
                    }),
                )),
                Err(_) => Err(Problem::body("invalid_json_body", "the body is not JSON")),
            },
            "application/x-www-form-urlencoded" => {
                let params = Params::parse(&String::from_utf8_lossy(&text));
                Ok(params.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
            }
            _ => Err(Problem::body("unsupported_content_type", "the body must be JSON")),
        }
    }
}

impl FromRequestParts<Arc<Site>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        let dialect = Dialect::of_request(site, &parts.headers, &params)?;
        let key = check_key(site, &parts.headers, &parts.uri)?;
        let ids = Path::<HashMap<String, String>>::from_request_parts(parts, site).await;
        let Path(ids) = ids.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
        let has_instance = ids.contains_key("instance") || parts.headers.contains_key("metorial-instance-id");
        let headers = parts.headers.clone();
        Ok(Self { site: Arc::clone(site), dialect, params, headers, key, has_instance, ids })
    }
}

/// Checks the key in `Authorization` (exactly `Bearer KEY`) or, without that header, in the parameter `token` or
/// `key`. The key's prefix determines the owner; a key without a known prefix counts as an instance's secret key.
fn check_key(site: &Site, headers: &HeaderMap, uri: &Uri) -> Result<Owner, Problem> {
    let key = site.check(headers, uri).map_err(|denied| {
        Problem::unauthorized(match denied {
            Denied::Malformed => "malformed Authorization header",
            Denied::Missing => "missing API key",
            Denied::Wrong(_) => "unknown API key",
        })
    })?;
    match key.get(..12) {
        Some("metorial_pk_") => Err(Problem::forbidden("publishable keys cannot access files")),
        Some("metorial_uk_") => Ok(Owner::User),
        Some("metorial_lk_") => Ok(Owner::Organization),
        _ => Ok(Owner::Instance),
    }
}

/// An optional string in a body.
pub(super) fn text(body: &Object, field: &str) -> Result<Option<String>, Problem> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => check_length(field, text).map(|()| Some(text.to_owned())),
        Some(other) => Err(Problem::invalid_type("body", field, "string", json_type(other))),
    }
}

/// Rejects a string that is too long.
pub(super) fn check_length(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() <= MAX_TEXT {
        return Ok(());
    }
    let message = format!("{field} is too long");
    let error = json!({ "code": "max_length", "message": message, "path": [field], "max": MAX_TEXT });
    Err(Problem::invalid("body", error))
}

/// The optional `expires_at` in a body. Null is rejected.
pub(super) fn expires_at(body: &Object) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text(body, "expires_at")? else { return Ok(None) };
    let invalid = || Problem::invalid_type("body", "expires_at", "date", "string");
    parse_date(&text).map(Some).ok_or_else(invalid)
}

/// Parses the JavaScript date formats that clients send: a date and time with a time zone or without one (UTC), a date
/// alone, and RFC 2822.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let civil = || Some(text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    let mail = || jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(civil).or_else(mail)
}

/// JavaScript's name for the type of a value.
fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An error response. Status, code, entity and errors follow the contract; the messages are the emulator's own. As a
/// response, it has no body until the middleware renders it for the dialect.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Optional fields: hint, reason, entity, id and errors.
    more: Object,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), more: Object::new() }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    /// The error response for unknown routes and scripted faults.
    pub(super) fn of(status: StatusCode, message: &str) -> Self {
        let text = if message.is_empty() { "the request cannot be processed" } else { message };
        let code = match status {
            // An unknown method counts as an unknown endpoint.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if message.is_empty() => {
                return Self::endpoint();
            }
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::PAYMENT_REQUIRED => "payment_required",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::CONFLICT => "conflict",
            StatusCode::GONE => "gone",
            StatusCode::PRECONDITION_FAILED => "precondition_failed",
            StatusCode::TOO_MANY_REQUESTS => return Self::rate_limit(),
            StatusCode::NOT_IMPLEMENTED => "not_implemented",
            StatusCode::GATEWAY_TIMEOUT => "timeout",
            status if status.is_server_error() => "internal_server_error",
            _ => "bad_request",
        };
        Self::new(status, code, text)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The error response for a body that cannot be read.
    pub(super) fn body(reason: &str, message: &str) -> Self {
        Self::bad_request(message).with("reason", reason)
    }

    /// The error response for invalid data. `error` contains the code, message, path and expected value.
    pub(super) fn invalid(entity: &str, error: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_data", "invalid data")
            .with("hint", "see `errors`")
            .with("entity", entity)
            .with("errors", vec![error])
    }

    /// The error response for a field with the wrong type.
    pub(super) fn invalid_type(entity: &str, field: &str, expected: &str, received: &str) -> Self {
        let error = json!({
            "code": "invalid_type", "message": format!("{field} must be a {expected}"), "path": [field],
            "expected": expected, "received": received,
        });
        Self::invalid(entity, error)
    }

    /// The error response for a query parameter whose value is not one of the allowed ones.
    pub(super) fn invalid_enum(field: &str, expected: &[&str], received: &str) -> Self {
        let error = json!({
            "code": "invalid_enum", "message": format!("{field} must be one of: {}", expected.join(", ")),
            "path": [field], "expected": expected, "received": received,
        });
        Self::invalid("query", error)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with("hint", "send the header `Authorization: Bearer API_KEY`")
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// The error response for a deleted file.
    pub(super) fn deleted() -> Self {
        Self::forbidden("the file has been deleted")
    }

    /// The error response for an unknown object; `entity` is `file`, `fileLink`, `fileUpload` or `fileDownload`.
    pub(super) fn not_found(entity: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{entity} not found"))
            .with("entity", entity)
            .with("id", id)
    }

    /// The error response for an unknown route.
    pub(super) fn endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "endpoint not found").with("entity", "endpoint")
    }

    /// The error response for a version that cannot be used with API keys.
    pub(super) fn version() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "bad_request", "this version does not accept API keys")
    }

    pub(super) fn rate_limit() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "too many requests")
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", "internal server error")
    }

    /// The response with its body. `kind_key` is the dialect's key for the kind of an object.
    pub(super) fn render(self, kind_key: &str) -> Response {
        let mut body = Object::from_iter([
            (kind_key.to_owned(), "error".into()),
            ("ok".to_owned(), false.into()),
            ("status".to_owned(), self.status.as_u16().into()),
            ("code".to_owned(), self.code.into()),
            ("message".to_owned(), self.message.into()),
        ]);
        body.extend(self.more);
        (self.status, Json(Value::Object(body))).into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for Problem {
    /// Converts a failure of the store. Handlers report missing files and links themselves.
    fn from(error: Error) -> Self {
        Self::of(status_of(&error), error.message())
    }
}

impl From<Refused<Problem>> for Problem {
    fn from(refused: Refused<Problem>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::bad_request(why),
            // The server does not use status 413.
            Refused::TooLarge(limit) => Self::bad_request(format!("the body is larger than {limit} bytes")),
            Refused::Rule(problem) => problem,
            Refused::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_the_forms_that_clients_send() {
        let date = |text| parse_date(text).map(|date| date.to_string());
        for text in [
            "2026-02-01T00:00:00.000Z",
            "2026-02-01T00:00:00",
            "2026-02-01",
            "2026-02-01T01:00:00+01:00",
            "Sun, 01 Feb 2026 00:00:00 GMT",
        ] {
            assert_eq!(date(text).as_deref(), Some("2026-02-01T00:00:00Z"), "{text}");
        }
        assert_eq!(date("soon"), None);
        assert_eq!(date(""), None);
    }
}
