//! Refusals as `FastAPI` words them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::{Error, Kind};

/// A refusal.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A status and `{"detail": "text"}`.
    Detail(StatusCode, String),
    /// 422 and `{"detail": [problem, …]}`.
    Invalid(Vec<Problem>),
    /// Another response.
    Other(Box<Response>),
}

/// A problem with one parameter.
#[derive(Debug)]
pub(super) struct Problem {
    loc: Vec<String>,
    kind: &'static str,
    message: String,
}

impl Problem {
    /// A problem at `loc`, which leads from `query`, `path` or `body` inwards.
    pub(super) fn new(loc: &[&str], kind: &'static str, message: impl Into<String>) -> Self {
        Self { loc: loc.iter().map(|&part| part.to_owned()).collect(), kind, message: message.into() }
    }

    /// A required parameter that is missing.
    pub(super) fn missing(loc: &[&str]) -> Self {
        Self::new(loc, "missing", "Field required")
    }

    /// A JSON value of another type than `expected`.
    pub(super) fn wrong_type(loc: &[&str], expected: &str) -> Self {
        Self::new(loc, "type_error", format!("Input should be {expected}"))
    }

    /// A text that is not an integer.
    pub(super) fn not_an_integer(loc: &[&str]) -> Self {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        Self::new(loc, "int_parsing", message)
    }

    fn to_json(&self) -> Value {
        json!({ "loc": self.loc, "msg": self.message, "type": self.kind })
    }
}

impl Refusal {
    /// 400.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, message.into())
    }

    /// 404.
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Detail(status, detail) => (status, Json(json!({ "detail": detail }))).into_response(),
            Self::Invalid(problems) => {
                let detail: Vec<_> = problems.iter().map(Problem::to_json).collect();
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": detail }))).into_response()
            }
            Self::Other(response) => *response,
        }
    }
}
