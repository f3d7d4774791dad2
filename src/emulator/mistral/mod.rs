//! Mistral: files in numbered pages, with signed URLs. Error responses follow `FastAPI`.

mod files;
mod storage;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::fastapi::Refusal;
use super::{Gate, Platform, Quirk, Site};

/// The Mistral platform.
pub static MISTRAL: Platform = Platform {
    name: "mistral",
    base_path: "/v1",
    gate: Gate::BEARER,
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk {
            name: "expiry-unit",
            value: "hours|seconds|days",
            help: "unit of `expiry` in an upload [default: hours]",
        },
        Quirk {
            name: "fresh-404",
            value: "SECONDS",
            help: "lists a new file immediately, but returns 404 for it for this long [default: 0]",
        },
        Quirk { name: "oldest-first", value: "", help: "lists the oldest files first" },
        Quirk { name: "null-bytes", value: "", help: "returns null as the size of a file" },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk {
            name: "upload-limit",
            value: "BYTES",
            help: "rejects files above this size [default: 536870912]",
        },
    ],
    variables: |root, token| {
        vec![("MISTRAL_SERVER_URL", root.to_owned()), ("MISTRAL_API_KEY", token.to_owned())]
    },
    routes,
    error: |_, status, message| refusal(status, message).into_response(),
};

/// The arguments that make the vendor's clients, which do not read the URL from a variable, use the emulator at this
/// root URL.
pub fn client_arguments(root: &str) -> String {
    format!("Python: `Mistral(server_url=\"{root}\")`; JavaScript: `new Mistral({{serverURL: \"{root}\"}})`")
}

fn routes(site: Arc<Site>) -> Router {
    let files = Router::new()
        .route("/v1/files", get(files::list).post(files::upload))
        .route("/v1/files/{id}", get(files::info).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content))
        .route("/v1/files/{id}/url", get(files::signed_url));
    let denied = |_: &Site, _: &_| refusal(StatusCode::UNAUTHORIZED, "").into_response();
    site.protect(files, denied).route("/_storage/{id}", get(storage::fetch)).with_state(site)
}

/// An error response with the platform's message for its status.
fn refusal(status: StatusCode, message: &str) -> Refusal {
    match status {
        StatusCode::TOO_MANY_REQUESTS => {
            Refusal::other((status, Json(json!({ "message": "Requests rate limit exceeded" }))))
        }
        StatusCode::NOT_FOUND if message.is_empty() => Refusal::new(status, "Not Found"),
        status => Refusal::new(status, message),
    }
}
