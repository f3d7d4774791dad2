//! Replicate's Files API.
//!
//! Served below `/v1` and below `/v1/v1`: of its two Python clients, which read the same variable, the older one adds the
//! version to the base URL itself.

mod files;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{SERVER, VARY};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Platform, Quirk, RateLimiter, Site, ids};
use problem::Problem;

/// The platform.
pub static REPLICATE: Platform = Platform {
    name: "replicate",
    base_path: "/v1",
    dialects: &[],
    md5: true,
    quirks: &[
        Quirk {
            name: "list_order",
            value: "id|created",
            help: "lists by id, as was recorded, or newest first",
        },
        Quirk { name: "page-size", value: "N", help: "lists N files a page instead of 100" },
        Quirk { name: "max-size", value: "BYTES", help: "takes files up to this size instead of 100 MiB" },
        Quirk {
            name: "bracket-metadata",
            value: "keep|ignore",
            help: "keeps or ignores metadata sent as `metadata[key]` fields",
        },
        Quirk { name: "ranges", value: "", help: "honours ranges in downloads" },
        Quirk {
            name: "signing-secret",
            value: "SECRET",
            help: "the key that download links are signed with",
        },
        Quirk { name: "owner", value: "NAME", help: "the account's user name, which download links need" },
        Quirk { name: "rate-limit", value: "N", help: "refuses more than N requests a minute" },
    ],
    variables: |root, token| {
        vec![("REPLICATE_BASE_URL", format!("{root}/v1")), ("REPLICATE_API_TOKEN", token.to_owned())]
    },
    routes,
    error: |_, status, message| with_headers(Problem::of(status, message).into_response()),
};

fn routes(site: Arc<Site>) -> Router {
    let limit = site.quirk_value("rate-limit").and_then(|value| value.parse().ok());
    let limiter = limit.map(|limit| RateLimiter::new(limit, Duration::from_mins(1)));
    let api = Router::new()
        .route("/files", get(files::list).post(files::create))
        .route("/files/{id}", get(files::get).delete(files::delete))
        .route("/files/{id}/download", get(files::download))
        .route("/account", get(files::account));
    Router::new()
        .nest("/v1", api.clone())
        .nest("/v1/v1", api)
        .layer(middleware::from_fn_with_state(limiter, limit_rate))
        .with_state(site)
}

async fn limit_rate(State(limiter): State<Option<RateLimiter>>, request: Request, next: Next) -> Response {
    let refused = limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed);
    with_headers(match refused {
        Some(rate) => Problem::throttled(rate.retry_after()).into_response(),
        None => next.run(request).await,
    })
}

/// Adds the headers that all recorded responses have.
fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("cloudflare"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(ray) = HeaderValue::try_from(format!("{}-SJC", ids::hex(8))) {
        headers.insert("cf-ray", ray);
    }
    response
}
