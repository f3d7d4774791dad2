//! Errors as `FastAPI` words them: `{"detail": "…"}`, or a list of what is wrong with which parameter.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::emulator::Refused;
use crate::error::{Error, Kind};

/// A refusal.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A status and a text.
    Detail(StatusCode, String),
    /// 422, with one problem of Pydantic's.
    Invalid(Value),
    /// The page of the proxy before the service.
    TooLarge,
    /// 500, in plain text.
    Internal,
}

impl Refusal {
    /// With a status. Without a message the status's own words stand for it.
    pub(super) fn new(status: StatusCode, message: &str) -> Self {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::INTERNAL_SERVER_ERROR => Self::Internal,
            _ if message.is_empty() => {
                Self::Detail(status, status.canonical_reason().unwrap_or("Error").to_owned())
            }
            _ => Self::Detail(status, message.to_owned()),
        }
    }

    /// A bad request: 400.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, message.into())
    }

    /// What is named is not there: 404.
    pub(super) fn missing(what: &str) -> Self {
        Self::Detail(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    /// A parameter that must be there is not: 422.
    pub(super) fn required(place: &[&str]) -> Self {
        Self::invalid("missing", json!(place), "Field required", &Value::Null)
    }

    /// A parameter is not as it must be: 422.
    pub(super) fn invalid(kind: &str, place: Value, message: &str, input: &Value) -> Self {
        let problem =
            [("type", kind.into()), ("loc", place), ("msg", message.into()), ("input", input.clone())];
        Self::Invalid(Value::from_iter(problem))
    }

    /// The same with what the rule says: `ctx`.
    pub(super) fn because(self, rule: &str, value: Value) -> Self {
        match self {
            Self::Invalid(mut problem) => {
                problem["ctx"] = Value::from_iter([(rule, value)]);
                Self::Invalid(problem)
            }
            other => other,
        }
    }

    /// A word is none of those that there are: 422.
    pub(super) fn one_of(kind: &str, place: &[&str], input: &Value, words: &[&str]) -> Self {
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let (last, others) = quoted
            .split_last()
            .map_or((String::new(), String::new()), |(last, others)| (last.clone(), others.join(", ")));
        let expected = if others.is_empty() { last } else { format!("{others} or {last}") };
        let message = format!("Input should be {expected}");
        Self::invalid(kind, json!(place), &message, input).because("expected", expected.into())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::NotFound => Self::missing("File"),
            _ => Self::Internal,
        }
    }
}

impl From<Refused<Refusal>> for Refusal {
    fn from(refused: Refused<Refusal>) -> Self {
        match refused {
            Refused::Malformed(_) => Self::bad("There was an error parsing the body"),
            Refused::TooLarge(_) => Self::TooLarge,
            Refused::Rule(refusal) => refusal,
            Refused::Store(error) => error.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Detail(status, detail) => (status, Json(json!({ "detail": detail }))).into_response(),
            Self::Invalid(problem) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": [problem] }))).into_response()
            }
            Self::TooLarge => {
                let title = "413 Request Entity Too Large";
                let page = format!(
                    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
                     <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
                );
                (StatusCode::PAYLOAD_TOO_LARGE, [(CONTENT_TYPE, "text/html")], page).into_response()
            }
            Self::Internal => {
                let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
                (StatusCode::INTERNAL_SERVER_ERROR, headers, "Internal Server Error").into_response()
            }
        }
    }
}
