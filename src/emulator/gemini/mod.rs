//! Gemini's Files API: `/v1/files` and `/v1beta/files`, and Google's resumable upload protocol at `/upload/…/files`.
//!
//! Where the protocol is not documented, the emulator follows Google's own clients and Google's test server for other
//! APIs.

mod files;
mod upload;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::outages::status_of;
use super::{Denied, Gate, Params, Platform, Quirk, RateLimiter, Refused, Site};
use crate::error::{Error, Kind};
use upload::Locks;

/// The Gemini platform.
pub static GEMINI: Platform = Platform {
    name: "gemini",
    base_path: "",
    gate: Gate { schemes: &[], headers: &["x-goog-api-key"], params: &["key"], exact: false },
    reads: &[],
    dialects: &[],
    md5: false,
    quirks: &[
        Quirk {
            name: "granularity",
            value: "BYTES",
            help: "the size of each part of an upload, except the last, must be a multiple of this [default: 8388608]",
        },
        Quirk {
            name: "session-life",
            value: "SECONDS",
            help: "lifetime of an upload session [default: 604800]",
        },
        Quirk { name: "silent-final", value: "", help: "querying a finished upload returns no file" },
        Quirk { name: "processing", value: "SECONDS", help: "new files are PROCESSING for this long" },
        Quirk { name: "processing-fails", value: "", help: "files are FAILED after processing" },
        Quirk {
            name: "generated",
            value: "",
            help: "treats uploaded files as generated, so that they can be downloaded",
        },
        Quirk {
            name: "no-download-status",
            value: "400|403",
            help: "status returned for downloading an uploaded file [default: 400]",
        },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk { name: "no-header-name", value: "", help: "ignores the name in X-Goog-Upload-File-Name" },
        Quirk {
            name: "list_order",
            value: "id|created",
            help: "order of listings: by id, or newest first [default: created]",
        },
        Quirk { name: "rate-limit", value: "N", help: "rejects more than N requests per minute" },
    ],
    variables: |root, token| {
        vec![("GOOGLE_GEMINI_BASE_URL", root.to_owned()), ("GEMINI_API_KEY", token.to_owned())]
    },
    routes,
    error: |_, status, message| Problem::of(status, message).into_response(),
};

/// The served platform and the locks of its upload sessions.
struct Service {
    site: Arc<Site>,
    locks: Locks,
}

fn routes(site: Arc<Site>) -> Router {
    let limiter = site.rate_limiter();
    let files = Router::new()
        .route("/files", get(files::list))
        .route("/files/{id}", get(files::get).delete(files::delete));
    let mut router = Router::new();
    for version in ["v1", "v1beta"] {
        let upload = move |State(service): State<Arc<Service>>, request: Request| {
            upload::upload(version, service, request)
        };
        router = router
            .nest(&format!("/{version}"), files.clone())
            .route(&format!("/upload/{version}/files"), post(upload));
    }
    router
        .layer(middleware::from_fn_with_state(limiter, limit_rate))
        .with_state(Arc::new(Service { site, locks: Locks::default() }))
}

async fn limit_rate(State(limiter): State<Option<RateLimiter>>, request: Request, next: Next) -> Response {
    match limiter.map(|limiter| limiter.take()).filter(|rate| !rate.allowed) {
        Some(_) => Problem::of(StatusCode::TOO_MANY_REQUESTS, "").into_response(),
        None => next.run(request).await,
    }
}

/// A request whose key has been checked.
struct Call {
    service: Arc<Service>,
    headers: HeaderMap,
    params: Params,
    /// The id in the path; `None` if it is not UTF-8.
    id: Option<String>,
}

impl FromRequestParts<Arc<Service>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        check_key(&service.site, parts)?;
        let id = Path::<String>::from_request_parts(parts, service).await.ok().map(|Path(id)| id);
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        Ok(Self { service: Arc::clone(service), headers: parts.headers.clone(), params, id })
    }
}

/// Checks the key, which is sent in a header or in the query.
fn check_key(site: &Site, parts: &Parts) -> Result<(), Problem> {
    match site.check(&parts.headers, &parts.uri) {
        Ok(_) => Ok(()),
        Err(Denied::Missing | Denied::Malformed) => Err(Problem::of(
            StatusCode::FORBIDDEN,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
             other form of API consumer identity to call this API.",
        )),
        Err(Denied::Wrong(_)) => Err(Problem::wrong_key()),
    }
}

/// An error response.
#[derive(Debug)]
struct Problem(Box<Response>);

impl Problem {
    fn new(status: StatusCode, word: &str, message: &str, details: Option<Value>) -> Self {
        let mut error = json!({ "code": status.as_u16(), "message": message, "status": word });
        if let Some(details) = details {
            error["details"] = details;
        }
        Self(Box::new((status, Json(json!({ "error": error }))).into_response()))
    }

    /// The error response for a status. An empty message is replaced with the service's own.
    fn of(status: StatusCode, message: &str) -> Self {
        let (word, usual) = match status.as_u16() {
            401 => ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
            403 => ("PERMISSION_DENIED", "The caller does not have permission"),
            404 => ("NOT_FOUND", "Requested entity was not found."),
            409 => ("ALREADY_EXISTS", "Requested entity already exists"),
            429 => ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
            503 => ("UNAVAILABLE", "The service is currently unavailable."),
            504 => ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
            500.. => ("INTERNAL", "Internal error encountered."),
            _ => ("INVALID_ARGUMENT", "Request contains an invalid argument."),
        };
        Self::new(status, word, if message.is_empty() { usual } else { message }, None)
    }

    fn invalid(message: &str) -> Self {
        Self::of(StatusCode::BAD_REQUEST, message)
    }

    fn wrong_key() -> Self {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }]);
        let message = "API key not valid. Please pass a valid API key.";
        Self::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message, Some(details))
    }

    /// The error response for a file that is missing or expired, or belongs to someone else.
    fn no_file(id: &str) -> Self {
        let message = format!("You do not have permission to access the File {id} or it may not exist.");
        Self::of(StatusCode::FORBIDDEN, &message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::no_file("xxxx"),
            _ => Self::of(status_of(&error), error.message()),
        }
    }
}

impl From<Refused<Self>> for Problem {
    fn from(refused: Refused<Self>) -> Self {
        match refused {
            Refused::Malformed(why) => Self::invalid(&format!("Invalid JSON payload received. {why}")),
            Refused::TooLarge(_) => Self::invalid("Request payload size exceeds the limit"),
            Refused::Rule(problem) => problem,
            Refused::Store(error) => error.into(),
        }
    }
}
