//! Activeloop: files with metadata, organized in workspaces. Errors and validation follow `FastAPI`.

mod files;
mod filter;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};

use super::fastapi::Refusal;
use super::{Denied, Gate, Platform, Quirk, Site};

/// The Activeloop platform.
pub static ACTIVELOOP: Platform = Platform {
    name: "activeloop",
    base_path: "",
    gate: Gate::BEARER,
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk {
            name: "upload-envelope",
            value: "",
            help: "wraps the result of a multi-file upload in a list object",
        },
        Quirk {
            name: "metadata-method",
            value: "PUT|PATCH|POST",
            help: "method that updates metadata [default: all three]",
        },
        Quirk {
            name: "replace-metadata",
            value: "",
            help: "replaces all metadata in an update instead of merging it",
        },
        Quirk {
            name: "instructions",
            value: "KEY",
            help: "adds the text of `instructions` to the metadata under KEY",
        },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk { name: "auth-status", value: "403", help: "returns 403 instead of 401 for an invalid token" },
        Quirk {
            name: "index-after",
            value: "SECONDS",
            help: "delay between upload and indexing [default: 2]",
        },
        Quirk { name: "index-error", value: "DETAILS", help: "fails indexing with these details" },
        Quirk {
            name: "upload-limit",
            value: "BYTES",
            help: "rejects requests above this size [default: 536870912]",
        },
    ],
    variables: |root, token| {
        vec![
            ("ACTIVELOOP_TOKEN", token.to_owned()),
            ("OPENAI_BASE_URL", root.to_owned()),
            ("OPENAI_API_KEY", token.to_owned()),
        ]
    },
    routes,
    error: |_, status, message| refusal(status, message).into_response(),
};

fn routes(site: Arc<Site>) -> Router {
    let protected = [
        ("/files", get(files::list).post(files::upload)),
        ("/files/{id}", get(files::info).delete(files::delete)),
        ("/files/{id}/content", get(files::content)),
        ("/files/{id}/metadata", metadata_methods(&site)),
        ("/workspaces", get(workspaces::list).post(workspaces::create)),
        ("/workspaces/{id}", get(workspaces::info).delete(workspaces::delete)),
        ("/workspaces/{id}/user", post(workspaces::add_user).put(workspaces::change_user)),
        ("/workspaces/{id}/user/{user}", axum::routing::delete(workspaces::remove_user)),
        ("/workspaces/{id}/users", get(workspaces::users)),
    ];
    let paths = protected.each_ref().map(|(path, _)| format!("{path}/"));
    let router = protected.into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
    let router = site.protect(router, denied);
    // Like FastAPI, redirect a path with a trailing slash before checking the token.
    let router = paths.iter().fold(router, |router, path| router.route(path, any(without_slash)));
    router.with_state(site)
}

/// The method that updates metadata is not documented, so all three work unless a quirk selects one.
fn metadata_methods(site: &Site) -> MethodRouter<Arc<Site>> {
    match site.quirk_value("metadata-method") {
        Some("PUT") => axum::routing::put(files::update_metadata),
        Some("PATCH") => axum::routing::patch(files::update_metadata),
        Some("POST") => post(files::update_metadata),
        _ => axum::routing::put(files::update_metadata)
            .patch(files::update_metadata)
            .post(files::update_metadata),
    }
}

/// An error response of the web server, the proxy or the service.
fn refusal(status: StatusCode, message: &str) -> Refusal {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => files::too_large(),
        StatusCode::INTERNAL_SERVER_ERROR => {
            let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
            Refusal::other((status, headers, "Internal Server Error"))
        }
        status => Refusal::new(status, message),
    }
}

fn denied(site: &Site, denied: &Denied) -> Response {
    let forbids = site.quirk("auth-status");
    let is_wrong = matches!(denied, Denied::Wrong(_));
    let detail = if forbids && !is_wrong { "Not authenticated" } else { "Invalid or missing token" };
    if forbids {
        return Refusal::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    ([(WWW_AUTHENTICATE, "Bearer")], Refusal::new(StatusCode::UNAUTHORIZED, detail)).into_response()
}

async fn without_slash(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{}{query}", site.root(&headers), uri.path().trim_end_matches('/'));
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
}
