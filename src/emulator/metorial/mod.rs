//! Metorial's Files API in its three dialects: the seed page's, `2025-01-01-pulsar` and `2026-01-01-magnetar`. A request
//! chooses one by the version it names; one that names none gets the served dialect.
//!
//! What the seed page leaves out is taken from the later dialects, and is there in it, too: paging, links beyond the
//! creation of one, title, deletion, presigned uploads.

mod body;
mod call;
mod content;
mod dialect;
mod files;
mod links;
mod objects;
mod paging;
mod presigned;
mod problem;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, put};
use axum::{Json, Router};
use jiff::Timestamp;

use super::{Params, Platform, Quirk, Rate, RateLimiter, Site, ids};
use dialect::Dialect;
use problem::Problem;

/// What a handler answers with.
type Answer<T = Json<serde_json::Value>> = Result<T, Problem>;

/// Requests that the service allows an organization or user in a window.
const RATE: u32 = 5000;
const WINDOW: Duration = Duration::from_mins(10);

/// `GET /files/{fileId}/links` makes a link: the seed page's command line taken literally.
const LINKS_GET_CREATES: &str = "links-get-creates";
/// Where the URLs of links point.
const FILES_URL: &str = "files-url";
/// Refuses what goes beyond so many requests in ten minutes.
const RATE_LIMIT: &str = "rate-limit";

/// The platform.
pub static METORIAL: Platform = Platform {
    name: "metorial",
    base_path: "",
    dialects: &["seed", "pulsar", "magnetar"],
    md5: false,
    quirks: &[
        Quirk {
            name: LINKS_GET_CREATES,
            value: "",
            help: "GET on a file's links creates one, as the command line of the documentation says",
        },
        Quirk { name: FILES_URL, value: "URL", help: "what the URLs of links begin with" },
        Quirk { name: RATE_LIMIT, value: "N", help: "refuses more than N requests in 10 minutes" },
    ],
    variables: |root, token| {
        vec![("METORIAL_API_HOST", root.to_owned()), ("METORIAL_API_KEY", token.to_owned())]
    },
    routes,
    error: |site, status, message| {
        let limiter = Limiter(None);
        finish(Dialect::of(site), limiter.take(), Problem::of(status, message).into())
    },
};

fn routes(site: Arc<Site>) -> Router {
    let api = Router::new()
        .route("/files", get(files::list).post(upload::upload))
        .route("/files/{file}", get(files::get).patch(files::update).delete(files::delete))
        .route("/files/{file}/links", get(links::list_of_file).post(links::create_for_file))
        .route(
            "/files/{file}/links/{link}",
            get(links::get_of_file).patch(links::update).delete(links::delete_of_file),
        )
        .route("/file-links", get(links::list).post(links::create))
        .route("/file-links/{link}", get(links::get).delete(links::delete));
    let limit = site.quirk_value(RATE_LIMIT).and_then(|value| value.parse().ok());
    let limiter = Limiter(limit.map(|limit| RateLimiter::new(limit, WINDOW)));
    api.clone()
        .nest("/instances/{instance}", api.clone())
        .nest("/dashboard/instances/{instance}", api)
        .route("/files/{file}/{key}", get(content::of_file))
        .route("/files/retrieve/{link}/{key}", get(content::of_link))
        .route("/file-uploads/{upload}", put(presigned::receive_content))
        .route("/ping", get(|| async { "OK" }))
        .route("/", get(documentation))
        .layer(middleware::from_fn_with_state((Arc::clone(&site), limiter), every_answer))
        .with_state(site)
}

async fn documentation() -> (StatusCode, [(HeaderName, &'static str); 1]) {
    (StatusCode::MOVED_PERMANENTLY, [(LOCATION, "https://metorial.com/docs")])
}

/// Refuses what goes beyond the rate, and puts on every answer what every answer has.
async fn every_answer(
    State((site, limiter)): State<(Arc<Site>, Limiter)>,
    request: Request,
    next: Next,
) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default());
    let rate = limiter.take();
    let (dialect, answer) = match Dialect::asked(&site, request.headers(), &params) {
        Err(problem) => (Dialect::of(&site), problem.into()),
        Ok(dialect) if !rate.allowed => (dialect, Problem::rate_limit().into()),
        Ok(dialect) => (dialect, next.run(request).await),
    };
    finish(dialect, rate, answer)
}

/// Words an answer's problem, if it is one, and adds the headers that all answers have.
fn finish(dialect: Dialect, rate: Rate, mut answer: Response) -> Response {
    if let Some(problem) = answer.extensions_mut().remove::<Problem>() {
        answer = problem.worded(dialect);
    }
    let headers = answer.headers_mut();
    // A real time even where the clock is fixed: clients compare it with their own.
    let reset = Timestamp::now().checked_add(rate.reset).unwrap_or(Timestamp::MAX).as_second();
    say(headers, "ratelimit-limit", &rate.limit.to_string());
    say(headers, "ratelimit-remaining", &rate.remaining.to_string());
    say(headers, "ratelimit-reset", &reset.to_string());
    say(headers, "metorial-req-id", &format!("req_{}", ids::base62(20)));
    say(headers, "x-powered-by", "Metorial");
    say(headers, ACCESS_CONTROL_ALLOW_ORIGIN.as_str(), "*");
    if let Some(version) = dialect.shown() {
        say(headers, "metorial-version", version);
    }
    answer
}

fn say(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The rate of all answers together. Without the quirk each is the first of its window: a test of somebody's program
/// must not run into the service's limit, but sees its headers.
#[derive(Clone)]
struct Limiter(Option<RateLimiter>);

impl Limiter {
    fn take(&self) -> Rate {
        match &self.0 {
            Some(limiter) => limiter.take(),
            None => Rate { allowed: true, limit: RATE, remaining: RATE - 1, reset: WINDOW },
        }
    }
}
