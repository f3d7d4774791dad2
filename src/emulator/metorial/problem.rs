//! Refusals. The service's sentences are its own; status, code, entity and errors are the contract.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::dialect::Dialect;
use crate::emulator::Refused;
use crate::error::Error;
use crate::model::Object;

/// Why a request is refused. As a response it has no body yet: that depends on the dialect.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Hint, reason, entity, id and errors, where there are any.
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

    /// What a status without further words means: unknown routes, scripted faults.
    pub(super) fn of(status: StatusCode, message: &str) -> Self {
        let words = if message.is_empty() { "the request cannot be carried out" } else { message };
        let code = match status {
            // A method that a route does not have is a route that is not there.
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
        Self::new(status, code, words)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A body that is not what it should be.
    pub(super) fn body(reason: &str, message: &str) -> Self {
        Self::bad_request(message).with("reason", reason)
    }

    /// A field that is not valid. `flaw` has its code, message and path, and what was expected.
    pub(super) fn invalid(entity: &str, flaw: Value) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_data", "the data is not valid")
            .with("hint", "see `errors`")
            .with("entity", entity)
            .with("errors", vec![flaw])
    }

    /// A field of the wrong type.
    pub(super) fn invalid_type(entity: &str, field: &str, expected: &str, received: &str) -> Self {
        let flaw = json!({
            "code": "invalid_type", "message": format!("{field} must be a {expected}"), "path": [field],
            "expected": expected, "received": received,
        });
        Self::invalid(entity, flaw)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with("hint", "send `Authorization: Bearer` and an API key")
    }

    pub(super) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
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

    /// A version that this key may not use.
    pub(super) fn version() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "bad_request", "this version is not for API keys")
    }

    pub(super) fn rate_limit() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "too many requests")
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", "the server failed")
    }

    /// The answer as a dialect words it.
    pub(super) fn worded(self, dialect: Dialect) -> Response {
        let mut body = Object::new();
        body.insert(dialect.kind_key().to_owned(), "error".into());
        body.insert("ok".to_owned(), false.into());
        body.insert("status".to_owned(), self.status.as_u16().into());
        body.insert("code".to_owned(), self.code.into());
        body.insert("message".to_owned(), self.message.into());
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

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        problem.into_response()
    }
}

impl From<Error> for Problem {
    /// The store's failures; what it does not find is told where it is looked for.
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
