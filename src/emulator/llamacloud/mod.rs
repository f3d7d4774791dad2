//! LlamaCloud: the beta API (`/api/v1/beta/files`), the legacy API (`/api/v1/files`), and the object store behind
//! their presigned URLs (`/_store`). Both generations of the API access the same files.
//!
//! The sources are the vendor's `openapi.json` and official clients. The service is closed source; undocumented
//! behavior (messages, default order, lifetimes) is marked "inferred".

mod api;
mod bucket;
mod files;
mod service;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};

use super::fastapi::Refusal;
use super::{Gate, Platform, Quirk, Site};
use service::Service;

/// The LlamaCloud platform.
pub static LLAMACLOUD: Platform = Platform {
    name: "llamacloud",
    base_path: "",
    gate: Gate::BEARER,
    reads: &["/api/v1/beta/files/query"],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk { name: "strict-seed", value: "", help: "beta files include the fields of legacy files" },
        Quirk {
            name: "dfl-ids",
            value: "",
            help: "ids have the form `dfl-UUID`, which clients of the legacy API reject",
        },
        Quirk { name: "old-order-by", value: "", help: "listings accept an order such as `name desc`" },
        Quirk {
            name: "no-retrieve",
            value: "",
            help: "GET on a beta file returns 405, as it did in earlier versions",
        },
        Quirk {
            name: "unique-external-id",
            value: "",
            help: "an upload with an existing external_file_id returns 409",
        },
        Quirk { name: "projects", value: "UUID,…", help: "existing projects, starting with the default" },
        Quirk { name: "organizations", value: "UUID,…", help: "existing organizations [default: any]" },
        Quirk {
            name: "retention",
            value: "PURPOSE:HOURS,…",
            help: "lifetime of files by purpose [default: parse:48,ephemeral:48]",
        },
        Quirk {
            name: "rate-limit",
            value: "COUNT/SECONDS",
            help: "returns 429 after COUNT uploads in SECONDS; the real service allows 50/5",
        },
        Quirk { name: "no-retry-after", value: "", help: "429 responses have no Retry-After header" },
        Quirk {
            name: "stale-links",
            value: "COUNT",
            help: "the first COUNT presigned URLs have already expired",
        },
        Quirk { name: "form-upload", value: "", help: "presigned uploads use forms with form_fields" },
    ],
    variables: |root, token| {
        vec![("LLAMA_CLOUD_BASE_URL", root.to_owned()), ("LLAMA_CLOUD_API_KEY", token.to_owned())]
    },
    routes,
    error,
};

fn routes(site: Arc<Site>) -> Router {
    let one = axum::routing::delete(api::beta_delete);
    let one = if site.quirk("no-retrieve") { one } else { one.get(api::beta_get) };
    Router::new()
        .route("/api/v1/beta/files", post(api::beta_upload).get(api::beta_list).put(api::begin_upload))
        .route("/api/v1/beta/files/query", post(api::query))
        .route("/api/v1/beta/files/{id}", one)
        .route("/api/v1/beta/files/{id}/content", get(api::beta_content))
        .route("/api/v1/files", post(api::legacy_upload).get(api::legacy_list).put(api::begin_upload))
        .route("/api/v1/files/sync", put(api::sync))
        .route("/api/v1/files/upload_from_url", put(api::upload_from_url))
        .route("/api/v1/files/{id}", get(api::legacy_get).delete(api::legacy_delete))
        .route("/api/v1/files/{id}/content", get(api::legacy_content))
        .route("/api/v1/files/{id}/page_screenshots", get(api::no_pages))
        .route("/api/v1/files/{id}/page-figures", get(api::no_pages))
        .route("/api/v1/projects", get(api::projects))
        .route("/_store", post(bucket::form))
        .route("/_store/{id}", any(bucket::object))
        .with_state(Arc::new(Service::new(site)))
}

/// Rejects unknown routes and methods as the service's framework does, and formats scripted faults.
fn error(_site: &Site, status: StatusCode, message: &str) -> Response {
    let message = match status {
        StatusCode::UNAUTHORIZED if message.is_empty() => "Invalid authentication token",
        _ => message,
    };
    Refusal::new(status, message).into_response()
}
