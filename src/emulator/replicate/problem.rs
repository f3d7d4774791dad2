//! Refusals, as `application/problem+json`.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};

use crate::emulator::Refused;
use crate::error::{Error, Kind};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Value,
    /// What follows the JSON: the answers that come from the main API end in a newline.
    end: &'static str,
    /// The true reason, where the service shows one and the same answer for several.
    reason: Option<&'static str>,
    /// Answered by the proxy, in its words.
    is_edge: bool,
}

impl Problem {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, end: "", reason: None, is_edge: false }
    }

    /// What a status without further words means: unknown routes, scripted faults.
    pub(super) fn of(status: StatusCode, message: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::unauthenticated(),
            StatusCode::TOO_MANY_REQUESTS => Self::throttled(1),
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            status => {
                let words = status.canonical_reason().unwrap_or("Error");
                let detail = if message.is_empty() { words } else { message };
                Self::new(status, json!({ "detail": detail, "status": status.as_u16() }))
            }
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, json!({ "detail": detail.into(), "status": 400 }))
    }

    pub(super) fn unauthenticated() -> Self {
        let detail = "You did not pass a valid authentication token";
        let body = json!({ "title": "Unauthenticated", "detail": detail, "status": 401 });
        Self { end: "\n", ..Self::new(StatusCode::UNAUTHORIZED, body) }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, json!({ "detail": "File not found" }))
    }

    /// The same as [`Problem::not_found`]; `reason` goes into a header for whoever looks for it.
    pub(super) fn no_download(reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::not_found() }
    }

    pub(super) fn too_large() -> Self {
        let detail = "Files must be less than 100MB in size";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, json!({ "detail": detail }))
    }

    /// So large that the proxy refuses it.
    pub(super) fn far_too_large() -> Self {
        Self { is_edge: true, ..Self::too_large() }
    }

    pub(super) fn throttled(seconds: u64) -> Self {
        let plural = if seconds == 1 { "" } else { "s" };
        let detail = format!("Request was throttled. Expected available in {seconds} second{plural}.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, json!({ "detail": detail }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.is_edge {
            return edge_too_large();
        }
        let body = format!("{}{}", self.body, self.end);
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(reason) = self.reason {
            response.headers_mut().insert("x-emulator-reason", reason.parse().expect("plain words"));
        }
        response
    }
}

/// The proxy's page, with the reason phrase that it used.
fn edge_too_large() -> Response {
    let title = "413 Request Entity Too Large";
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
        <hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = (StatusCode::PAYLOAD_TOO_LARGE, [(CONTENT_TYPE, "text/html")], page).into_response();
    response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    response
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
