//! Refusals. Status, code, entity and errors are the contract; the sentences are our own.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::emulator::Refused;
use crate::error::Error;
use crate::model::Object;

/// A refusal. As a response it has no body until the middleware renders it for the dialect.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Optional fields: hint, reason, entity, id, errors.
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

    /// The refusal for unknown routes and scripted faults.
    pub(super) fn of(status: StatusCode, message: &str) -> Self {
        let text = if message.is_empty() { "the request cannot be carried out" } else { message };
        let code = match status {
            // An unknown method is an unknown endpoint.
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

    /// A body that cannot be read.
    pub(super) fn body(reason: &str, message: &str) -> Self {
        Self::bad_request(message).with("reason", reason)
    }

    /// Invalid data. `error` holds code, message and path, and the expected value.
    pub(super) fn invalid(entity: &str, error: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_data", "the data is not valid")
            .with("hint", "see `errors`")
            .with("entity", entity)
            .with("errors", vec![error])
    }

    /// A field of the wrong type.
    pub(super) fn invalid_type(entity: &str, field: &str, expected: &str, received: &str) -> Self {
        let error = json!({
            "code": "invalid_type", "message": format!("{field} must be a {expected}"), "path": [field],
            "expected": expected, "received": received,
        });
        Self::invalid(entity, error)
    }

    /// A query parameter with a value outside of its enumeration.
    pub(super) fn invalid_enum(field: &str, expected: &[&str], received: &str) -> Self {
        let error = json!({
            "code": "invalid_enum", "message": format!("{field} must be one of: {}", expected.join(", ")),
            "path": [field], "expected": expected, "received": received,
        });
        Self::invalid("query", error)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with("hint", "send `Authorization: Bearer` and an API key")
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// A deleted file.
    pub(super) fn deleted() -> Self {
        Self::forbidden("the file has been deleted")
    }

    /// `entity` is `file`, `fileLink`, `fileUpload` or `fileDownload`.
    pub(super) fn not_found(entity: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {entity}"))
            .with("entity", entity)
            .with("id", id)
    }

    /// An unknown route.
    pub(super) fn endpoint() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such endpoint").with("entity", "endpoint")
    }

    /// A version that API keys may not use.
    pub(super) fn version() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "bad_request", "this version is not for API keys")
    }

    pub(super) fn rate_limit() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "too many requests")
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", "the server failed")
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
    /// A failure of the store. Handlers report missing files and links themselves.
    fn from(error: Error) -> Self {
        Self { message: error.message().to_owned(), ..Self::internal() }
    }
}

impl From<Refused<Problem>> for Problem {
    fn from(refused: Refused<Problem>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::bad_request(why),
            // The server has no 413.
            Refused::TooLarge(limit) => Self::bad_request(format!("more than {limit} bytes")),
            Refused::Rule(problem) => problem,
            Refused::Store(error) => error.into(),
        }
    }
}
