//! Errors in xAI's words. Their codes are the descriptions of gRPC's status codes.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, http::header::CONTENT_TYPE};
use serde_json::json;

use crate::emulator::Refused;
use crate::error::{Error, Kind};

/// gRPC's `FAILED_PRECONDITION`.
const WRONG_STATE: &str = "The system is not in a state required for the operation's execution";

/// A refusal: `{"code": …, "error": …}`, or plain text where the service's web framework answers before the service does.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: Option<&'static str>,
    message: String,
}

impl Refusal {
    /// With the code of the status. Without a message the code stands for it.
    pub(super) fn new(status: StatusCode, message: &str) -> Self {
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::plain(status, "length limit exceeded");
        }
        let code = code(status);
        let message = if message.is_empty() { code } else { message }.to_owned();
        Self { status, code: Some(code), message }
    }

    /// A bad parameter: 400.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self { status, code: Some(code(status)), message: message.into() }
    }

    /// Not possible with the file as it is: 400.
    pub(super) fn state(message: impl Into<String>) -> Self {
        Self { code: Some(WRONG_STATE), ..Self::invalid(message) }
    }

    /// No such file: 404.
    pub(super) fn missing(id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("File {id} not found"))
    }

    /// A request that the web framework refuses by itself, in plain text.
    pub(super) fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into() }
    }

    /// What it says.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// A failure of the store with the file `id`.
    pub(super) fn about(id: &str) -> impl FnOnce(Error) -> Self + use<> {
        let id = id.to_owned();
        move |error| if error.kind() == Kind::NotFound { Self::missing(&id) } else { error.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.message())
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
    fn a_missing_file_is_told_from_a_broken_store() {
        let told = |error: Error| Refusal::about("file_1")(error);
        let missing = told(Error::not_found("file_1: no such file"));
        assert_eq!((missing.status.as_u16(), missing.message.as_str()), (404, "File file_1 not found"));
        assert_eq!(told(Error::failed("disk full")).status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
