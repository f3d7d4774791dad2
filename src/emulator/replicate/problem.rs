//! Refusals, as `application/problem+json`.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

use crate::emulator::Refused;
use crate::emulator::faults::proxy_page;
use crate::error::{Error, Kind};

/// A refusal with its response.
#[derive(Debug)]
pub(super) struct Problem(Box<Response>);

impl Problem {
    fn new(status: StatusCode, body: &Value) -> Self {
        Self::with_body(status, "application/problem+json", body.to_string())
    }

    fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self(Box::new((status, [(CONTENT_TYPE, content_type)], body).into_response()))
    }

    /// The refusal for unknown routes and scripted faults.
    pub(super) fn of(status: StatusCode, message: &str) -> Self {
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

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, &json!({ "detail": detail.into(), "status": 400 }))
    }

    /// Responses of the main API end in a newline.
    pub(super) fn unauthenticated() -> Self {
        let detail = "You did not pass a valid authentication token";
        let body = json!({ "title": "Unauthenticated", "detail": detail, "status": 401 });
        Self::with_body(StatusCode::UNAUTHORIZED, "application/problem+json", format!("{body}\n"))
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, &json!({ "detail": "File not found" }))
    }

    /// A refused download. The service gives one answer for every reason; the emulator states it in a header.
    pub(super) fn no_download(reason: &'static str) -> Self {
        let mut problem = Self::not_found();
        problem.0.headers_mut().insert("x-emulator-reason", HeaderValue::from_static(reason));
        problem
    }

    pub(super) fn too_large() -> Self {
        let detail = "Files must be less than 100MB in size";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "detail": detail }))
    }

    /// The proxy's page for a body that it refuses itself, with the recorded reason phrase.
    pub(super) fn refused_by_proxy() -> Self {
        let page = proxy_page(StatusCode::PAYLOAD_TOO_LARGE, "413 Request Entity Too Large", "cloudflare");
        let mut problem = Self(Box::new(page));
        problem.0.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
        problem
    }

    pub(super) fn throttled(seconds: u64) -> Self {
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
            _ => Self::of(StatusCode::INTERNAL_SERVER_ERROR, error.message()),
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
