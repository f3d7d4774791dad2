//! What the service says when it refuses.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::create::MAX_SIZE;
use crate::emulator::Refused;
use crate::error::{Error, Kind};

/// A refusal.
#[derive(Debug)]
pub(super) enum Refusal {
    /// `{"detail": "text"}`.
    Detail(StatusCode, String),
    /// 422: `{"detail": [{"loc": …, "msg": …, "type": …}]}`.
    Invalid(Vec<Problem>),
    /// 429, with the seconds until the next try if they are said.
    TooMany(Option<u64>),
}

/// One thing that is wrong with a request.
#[derive(Debug)]
pub(super) struct Problem {
    /// Where, from `query`, `path` or `body` inwards.
    pub(super) loc: Vec<String>,
    /// What, in words.
    pub(super) msg: String,
    /// What, as one word.
    pub(super) kind: &'static str,
}

impl Problem {
    pub(super) fn new(loc: &[&str], kind: &'static str, msg: impl Into<String>) -> Self {
        Self { loc: loc.iter().map(|&part| part.to_owned()).collect(), msg: msg.into(), kind }
    }

    pub(super) fn missing(loc: &[&str]) -> Self {
        Self::new(loc, "missing", "Field required")
    }

    fn to_json(&self) -> Value {
        json!({ "loc": self.loc, "msg": self.msg, "type": self.kind })
    }
}

impl Refusal {
    pub(super) fn bad_request(detail: &str) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, detail.to_owned())
    }

    pub(super) fn no_such_file() -> Self {
        Self::Detail(StatusCode::NOT_FOUND, "File not found".to_owned())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::no_such_file(),
            _ => Self::Detail(StatusCode::INTERNAL_SERVER_ERROR, error.message().to_owned()),
        }
    }
}

impl From<Refused<Refusal>> for Refusal {
    fn from(refused: Refused<Self>) -> Self {
        match refused {
            Refused::Malformed(why) => {
                Self::bad_request(&format!("There was an error parsing the body: {why}"))
            }
            // Inferred: the official clients have no class for this status.
            Refused::TooLarge(_) => Self::Detail(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("File size exceeds the maximum of {} MB", MAX_SIZE / 1_000_000),
            ),
            Refused::Rule(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Detail(status, detail) => (status, Json(json!({ "detail": detail }))).into_response(),
            Self::Invalid(problems) => {
                let detail: Vec<_> = problems.iter().map(Problem::to_json).collect();
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": detail }))).into_response()
            }
            Self::TooMany(seconds) => {
                let body = Json(json!({ "detail": "Rate limit exceeded" }));
                let headers = seconds.map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
                match headers {
                    Some(headers) => (StatusCode::TOO_MANY_REQUESTS, headers, body).into_response(),
                    None => (StatusCode::TOO_MANY_REQUESTS, body).into_response(),
                }
            }
        }
    }
}
