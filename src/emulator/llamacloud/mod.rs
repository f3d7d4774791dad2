//! LlamaCloud: the beta files (`/api/v1/beta/files`), the legacy ones (`/api/v1/files`), and the object store that their
//! presigned URLs lead to (`/_store`). Both generations show the same files.
//!
//! Source: the vendor's `openapi.json` and official clients. The service itself is closed; what only it could tell
//! (words of errors, default order, lifetimes) is marked "inferred" where it is decided.

mod beta;
mod bucket;
mod create;
mod expected;
mod gate;
mod json;
mod legacy;
mod listing;
mod object;
mod presigned;
mod query;
mod refusal;
mod trouble;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};

use super::{Platform, Quirk, Site};
use gate::Service;
use refusal::Refusal;

/// LlamaCloud.
pub static LLAMACLOUD: Platform = Platform {
    name: "llamacloud",
    base_path: "",
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk { name: "strict-seed", value: "", help: "beta files have the fields of legacy ones, too" },
        Quirk { name: "dfl-ids", value: "", help: "ids look like `dfl-UUID`" },
        Quirk { name: "old-order-by", value: "", help: "lists take `name desc` and the like" },
        Quirk { name: "no-retrieve", value: "", help: "GET of one beta file answers 405, as it once did" },
        Quirk {
            name: "unique-external-id",
            value: "",
            help: "an external_file_id that is taken answers 409",
        },
        Quirk { name: "projects", value: "UUID,…", help: "the projects there are, the default one first" },
        Quirk {
            name: "retention",
            value: "PURPOSE:HOURS,…",
            help: "which files expire; parse:48,ephemeral:48 unless said",
        },
        Quirk {
            name: "rate-limit",
            value: "COUNT/SECONDS",
            help: "uploads in a while beyond which 429 comes; the service has 50/5",
        },
        Quirk { name: "no-retry-after", value: "", help: "429 does not say when to come back" },
        Quirk { name: "stale-links", value: "COUNT", help: "the first presigned URLs have expired already" },
        Quirk { name: "form-upload", value: "", help: "presigned uploads are forms with form_fields" },
    ],
    variables: |root, token| {
        vec![("LLAMA_CLOUD_BASE_URL", root.to_owned()), ("LLAMA_CLOUD_API_KEY", token.to_owned())]
    },
    routes,
    error,
};

fn routes(site: Arc<Site>) -> Router {
    let no_retrieve = site.quirk("no-retrieve");
    let one = axum::routing::delete(beta::delete);
    let one = if no_retrieve { one } else { one.get(beta::retrieve) };
    Router::new()
        .route("/api/v1/beta/files", post(beta::upload).get(beta::list))
        .route("/api/v1/beta/files/query", post(beta::query))
        .route("/api/v1/beta/files/{id}", one)
        .route("/api/v1/beta/files/{id}/content", get(beta::content))
        .route("/api/v1/files", post(legacy::upload).get(legacy::list).put(legacy::presign))
        .route("/api/v1/files/sync", put(legacy::sync))
        .route("/api/v1/files/upload_from_url", put(legacy::upload_from_url))
        .route("/api/v1/files/{id}", get(legacy::retrieve).delete(legacy::delete))
        .route("/api/v1/files/{id}/content", get(legacy::content))
        .route("/_store", post(bucket::form))
        .route("/_store/{id}", any(bucket::object))
        .with_state(Arc::new(Service::new(site)))
}

/// `{"detail": "…"}`, the form of every error but a failed validation.
fn error(_site: &Site, status: StatusCode, message: &str) -> Response {
    // The framework's own words for unknown routes and methods.
    let words = match status {
        StatusCode::NOT_FOUND => "Not Found",
        StatusCode::METHOD_NOT_ALLOWED => "Method Not Allowed",
        StatusCode::UNAUTHORIZED => "Invalid authentication token",
        status => status.canonical_reason().unwrap_or("Error"),
    };
    Refusal::Detail(status, if message.is_empty() { words } else { message }.to_owned()).into_response()
}
