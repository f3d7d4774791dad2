//! Replicate's Files API.
//!
//! Served below `/v1` and below `/v1/v1`: of its two Python clients, which read the same variable, the older one adds the
//! version to the base URL itself.

mod create;
mod download;
mod files;
mod metadata;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, SERVER, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Params, Platform, Quirk, RateLimiter, Site, TokenCheck, ids};
use problem::Problem;

const SPACE: &str = "replicate";

/// The order of a list: the documentation's, or the one that was recorded.
const LIST_ORDER: &str = "list_order";
const PAGE_SIZE: &str = "page-size";
const MAX_SIZE: &str = "max-size";
/// What becomes of `metadata[key]` fields, which nobody knows of the service.
const BRACKET_METADATA: &str = "bracket-metadata";
/// Whether downloads honour ranges.
const RANGES: &str = "ranges";
/// The key of download links. Without one they are signed with a key that nobody is told: the service tells nobody.
const SIGNING_SECRET: &str = "signing-secret";
/// The account behind every token.
const OWNER: &str = "owner";
const RATE_LIMIT: &str = "rate-limit";

/// The platform.
pub static REPLICATE: Platform = Platform {
    name: "replicate",
    base_path: "/v1",
    dialects: &[],
    md5: true,
    quirks: &[
        Quirk {
            name: LIST_ORDER,
            value: "id|created",
            help: "lists by id, as was recorded, or newest first",
        },
        Quirk { name: PAGE_SIZE, value: "N", help: "lists N files a page instead of 100" },
        Quirk { name: MAX_SIZE, value: "BYTES", help: "takes files up to this size instead of 100 MiB" },
        Quirk {
            name: BRACKET_METADATA,
            value: "keep|ignore",
            help: "keeps or ignores metadata sent as `metadata[key]` fields",
        },
        Quirk { name: RANGES, value: "", help: "honours ranges in downloads" },
        Quirk { name: SIGNING_SECRET, value: "SECRET", help: "the key that download links are signed with" },
        Quirk { name: OWNER, value: "NAME", help: "the account's user name, which download links need" },
        Quirk { name: RATE_LIMIT, value: "N", help: "refuses more than N requests a minute" },
    ],
    variables: |root, token| {
        vec![("REPLICATE_BASE_URL", format!("{root}/v1")), ("REPLICATE_API_TOKEN", token.to_owned())]
    },
    routes,
    error: |_, status, message| finish(Problem::of(status, message).into_response()),
};

fn routes(site: Arc<Site>) -> Router {
    let limit = site.quirk_value(RATE_LIMIT).and_then(|value| value.parse().ok());
    let limiter = limit.map(|limit| RateLimiter::new(limit, Duration::from_mins(1)));
    let api = Router::new()
        .route("/files", get(files::list).post(create::create))
        .route("/files/{id}", get(files::get).delete(files::delete))
        .route("/files/{id}/download", get(download::download))
        .route("/account", get(account));
    Router::new()
        .nest("/v1", api.clone())
        .nest("/v1/v1", api)
        .layer(middleware::from_fn_with_state(limiter, every_answer))
        .with_state(site)
}

async fn every_answer(State(limiter): State<Option<RateLimiter>>, request: Request, next: Next) -> Response {
    let rate = limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed);
    finish(match rate {
        Some(rate) => Problem::throttled(rate.retry_after()).into_response(),
        None => next.run(request).await,
    })
}

/// Adds the headers that all recorded answers have.
fn finish(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("cloudflare"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(ray) = HeaderValue::try_from(format!("{}-SJC", ids::hex(8))) {
        headers.insert("cf-ray", ray);
    }
    answer
}

/// JSON as this API's workers send it.
fn show(status: StatusCode, value: Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json; charset=UTF-8")], Json(value)).into_response()
}

/// A request whose token has been checked.
struct Call {
    site: Arc<Site>,
    headers: HeaderMap,
    params: Params,
}

impl FromRequestParts<Arc<Site>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        if site.check_token(&parts.headers, &["Bearer", "Token"]) != TokenCheck::Accepted {
            return Err(Problem::unauthenticated());
        }
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { site: Arc::clone(site), headers: parts.headers.clone(), params })
    }
}

async fn account(call: Call) -> Response {
    let owner = owner(&call.site);
    let shown = json!({
        "type": "user", "username": owner, "name": owner, "github_url": format!("https://github.com/{owner}"),
    });
    (StatusCode::OK, Json(shown)).into_response()
}

fn owner(site: &Site) -> &str {
    site.quirk_value(OWNER).unwrap_or("local-user")
}
