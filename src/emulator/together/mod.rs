//! Together AI: uploads through presigned URLs of an object storage, equal content stored once, and checks of the
//! content. Objects resemble OpenAI's but have other fields; errors have OpenAI's format.

mod files;
mod parts;
mod records;
mod sessions;
mod storage;
mod upload;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};

use super::openai::Refusal;
use super::{Denied, Gate, Platform, Quirk, RateLimiter, Site};

/// Together AI.
pub static TOGETHER: Platform = Platform {
    name: "together",
    base_path: "/v1",
    gate: Gate::BEARER,
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk {
            name: "any-purpose",
            value: "",
            help: "also rejects content that already exists with another purpose",
        },
        Quirk { name: "form-only", value: "", help: "accepts uploads only as a single form" },
        Quirk { name: "processing", value: "SECONDS", help: "new files are QUEUED for this long" },
        Quirk { name: "processing-fails", value: "", help: "files are INVALID_FORMAT after processing" },
        Quirk {
            name: "url-life",
            value: "SECONDS",
            help: "time after which an upload URL is invalid [default: 3600]",
        },
        Quirk { name: "no-ranges", value: "", help: "ignores Range in downloads" },
        Quirk { name: "rate-limit", value: "N", help: "rejects more than N requests per minute" },
    ],
    variables: |root, token| {
        // The Python client appends the version.
        vec![("TOGETHER_BASE_URL", root.to_owned()), ("TOGETHER_API_KEY", token.to_owned())]
    },
    routes,
    error: |_, status, message| word(&Refusal::new(status, message)),
};

/// The served platform.
#[derive(Clone)]
struct Service {
    site: Arc<Site>,
    limiter: Option<RateLimiter>,
}

fn routes(site: Arc<Site>) -> Router {
    let limiter = site.rate_limiter();
    let service = Service { site, limiter };
    let mut files = Router::new()
        .route("/v1/files/upload", post(upload::form))
        .route("/v1/files/{id}", get(files::info).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content));
    if service.site.quirk("form-only") {
        files = files.route("/v1/files", get(files::list));
    } else {
        files = files
            .route("/v1/files", get(files::list).post(upload::register))
            .route("/v1/files/{id}/preprocess", post(upload::preprocess))
            .route("/v1/files/multipart/initiate", post(parts::initiate))
            .route("/v1/files/multipart/complete", post(parts::complete))
            .route("/v1/files/multipart/abort", post(parts::abort));
    }
    let files = files.layer(axum::middleware::from_fn_with_state(service.clone(), limit_rate));
    let files = service.site.protect(files, |_, denied| {
        let message = match denied {
            Denied::Wrong(_) => "Invalid API key provided.",
            Denied::Missing | Denied::Malformed => "Missing API key.",
        };
        Refusal::new(StatusCode::UNAUTHORIZED, message).into_response()
    });
    files
        .layer(map_response(async |mut response: Response| {
            match response.extensions_mut().remove::<Refusal>() {
                Some(refusal) => word(&refusal),
                None => response,
            }
        }))
        .route("/_storage/{id}", put(storage::put_file))
        .route("/_storage/{id}/{part}", put(storage::put_part))
        .with_state(service)
}

async fn limit_rate(
    axum::extract::State(service): axum::extract::State<Service>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    match service.limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed) {
        Some(_) => Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded.").into_response(),
        None => next.run(request).await,
    }
}

/// An error response in OpenAI's format.
fn word(refusal: &Refusal) -> Response {
    (refusal.status, Json(refusal.to_json())).into_response()
}
