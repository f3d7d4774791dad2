//! Refusals of the proxy and of the web server before the service.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;

use crate::emulator::Refused;
use crate::emulator::fastapi::Refusal;
use crate::emulator::faults::proxy_page;

/// A refusal with a status of the web server, the proxy or the service.
pub(super) fn of(status: StatusCode, message: &str) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        StatusCode::INTERNAL_SERVER_ERROR => {
            let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
            Refusal::other((status, headers, "Internal Server Error"))
        }
        status => Refusal::new(status, message),
    }
}

/// The refusal of a body.
pub(super) fn of_body(refused: Refused<Refusal>) -> Refusal {
    match refused {
        Refused::TooLarge(_) => too_large(),
        refused => refused.into(),
    }
}

fn too_large() -> Refusal {
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Refusal::other(proxy_page(status, "413 Request Entity Too Large", "nginx"))
}
