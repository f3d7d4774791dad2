//! Metorial's Files API in three dialects: the one on the seed page, `2025-01-01-pulsar` and `2026-01-01-magnetar`.
//! The version in a request selects the dialect; without one, the served dialect applies.
//!
//! Paging, most link endpoints, titles, deletion and presigned uploads follow the later dialects, because the seed
//! page does not describe them.

mod files;
mod links;
mod request;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, put};
use jiff::Timestamp;

use super::{Gate, Params, Platform, Quirk, Rate, RateLimiter, Site, ids};
use request::{Dialect, Problem};

/// The service's rate limit per organization or user.
const RATE: u32 = 5000;
const WINDOW: Duration = Duration::from_mins(10);

/// The Metorial platform.
pub static METORIAL: Platform = Platform {
    name: "metorial",
    base_path: "",
    gate: Gate { params: &["token", "key"], exact: true, ..Gate::BEARER },
    reads: &[
        "/files/*/links",
        "/file-links",
        "/instances/*/files/*/links",
        "/instances/*/file-links",
        "/dashboard/instances/*/files/*/links",
        "/dashboard/instances/*/file-links",
    ],
    dialects: &["seed", "pulsar", "magnetar"],
    md5: false,
    quirks: &[
        Quirk {
            name: "links-get-creates",
            value: "",
            help: "GET on a file's links creates a link, as in the documentation's example",
        },
        Quirk { name: "files-url", value: "URL", help: "URL prefix of links" },
        Quirk { name: "rate-limit", value: "N", help: "rejects more than N requests per 10 minutes" },
    ],
    variables: |root, token| {
        vec![("METORIAL_API_HOST", root.to_owned()), ("METORIAL_API_KEY", token.to_owned())]
    },
    routes,
    error: |site, status, message| finish(Dialect::of(site), UNLIMITED, Err(Problem::of(status, message))),
};

fn routes(site: Arc<Site>) -> Router {
    let api = Router::new()
        .route("/files", get(files::list).post(uploads::upload))
        .route("/files/{file}", get(files::get).patch(files::update).delete(files::delete))
        .route("/files/{file}/links", get(links::list).post(links::create))
        .route("/files/{file}/links/{link}", get(links::get).patch(links::update).delete(links::delete))
        .route("/file-links", get(links::list).post(links::create))
        .route("/file-links/{link}", get(links::get).delete(links::delete));
    let limit = site.quirk_number("rate-limit");
    let limiter = limit.map(|limit| RateLimiter::new(limit, WINDOW));
    api.clone()
        .nest("/instances/{instance}", api.clone())
        .nest("/dashboard/instances/{instance}", api)
        .route("/files/{file}/{key}", get(links::content))
        .route("/files/retrieve/{link}/{key}", get(links::content))
        .route("/file-uploads/{upload}", put(uploads::receive_content))
        .route("/ping", get(|| async { "OK" }))
        .route(
            "/",
            get(|| async { (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "https://metorial.com/docs")]) }),
        )
        .layer(middleware::from_fn_with_state((Arc::clone(&site), limiter), every_request))
        .with_state(site)
}

/// The rate if the quirk is off: each request is the first one in its window, so that programs under test receive the
/// headers but never reach the limit.
const UNLIMITED: Rate = Rate { allowed: true, limit: RATE, remaining: RATE - 1, reset: WINDOW };

/// Applies the rate limit and completes every response.
async fn every_request(
    State((site, limiter)): State<(Arc<Site>, Option<RateLimiter>)>,
    request: Request,
    next: Next,
) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default());
    let rate = limiter.map_or(UNLIMITED, |limiter| limiter.take());
    match Dialect::of_request(&site, request.headers(), &params) {
        Err(problem) => finish(Dialect::of(&site), rate, Err(problem)),
        Ok(dialect) if !rate.allowed => finish(dialect, rate, Err(Problem::rate_limit())),
        Ok(dialect) => {
            let mut response = next.run(request).await;
            let problem = response.extensions_mut().remove();
            finish(dialect, rate, problem.map_or(Ok(response), Err))
        }
    }
}

/// Converts the result to a response in the dialect and adds the headers common to all responses.
fn finish(dialect: Dialect, rate: Rate, answer: Result<Response, Problem>) -> Response {
    let mut response = answer.unwrap_or_else(|problem| problem.render(dialect.kind_key()));
    // The real time even if the clock is fixed, because clients compare it with their own clock.
    let reset = Timestamp::now().checked_add(rate.reset).unwrap_or(Timestamp::MAX).as_second();
    let headers = [
        ("ratelimit-limit", rate.limit.to_string()),
        ("ratelimit-remaining", rate.remaining.to_string()),
        ("ratelimit-reset", reset.to_string()),
        ("metorial-req-id", format!("req_{}", ids::base62(20))),
        ("x-powered-by", "Metorial".to_owned()),
        ("access-control-allow-origin", "*".to_owned()),
        ("metorial-version", dialect.version().unwrap_or_default().to_owned()),
    ];
    for (name, value) in headers.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
