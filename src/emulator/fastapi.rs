//! Error responses in the format of `FastAPI`: `{"detail": "…"}`, or a list of problems with parameters.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::outages::status_of;
use super::{Refused, receive_text};
use crate::error::{Error, Kind};
use crate::model::Object;

/// An error response.
#[derive(Debug)]
pub enum Refusal {
    /// A status and `{"detail": "text"}`.
    Detail(StatusCode, String),
    /// 422 and `{"detail": [problem, …]}`.
    Invalid(Vec<Problem>),
    /// Any other response, such as a proxy's page.
    Other(Box<Response>),
}

/// A problem with one parameter.
#[derive(Debug)]
pub struct Problem {
    loc: Box<Value>,
    kind: &'static str,
    message: String,
    /// The value that was sent. Services using version 1 of Pydantic return neither this nor `context`.
    input: Option<Box<Value>>,
    context: Option<Box<(&'static str, Value)>>,
}

impl Problem {
    /// Creates a problem at `loc`, a path that starts with `query`, `path` or `body`.
    pub fn new(loc: impl Serialize, kind: &'static str, message: impl Into<String>) -> Self {
        Self { loc: Box::new(json!(loc)), kind, message: message.into(), input: None, context: None }
    }

    /// The problem for a missing required parameter.
    pub fn missing(loc: impl Serialize) -> Self {
        Self::new(loc, "missing", "Field required")
    }

    /// The problem for a JSON value whose type is not `expected`.
    pub fn wrong_type(loc: impl Serialize, expected: &str) -> Self {
        Self::new(loc, "type_error", format!("Input should be {expected}"))
    }

    /// The problem for text that is not an integer.
    pub fn not_an_integer(loc: impl Serialize) -> Self {
        let message = "Input should be a valid integer, unable to parse string as an integer";
        Self::new(loc, "int_parsing", message)
    }

    /// The problem for a value that is not one of `words`.
    pub fn one_of(loc: impl Serialize, kind: &'static str, words: &[&str]) -> Self {
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let expected = match quoted.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            words => words.concat(),
        };
        Self::new(loc, kind, format!("Input should be {expected}")).context("expected", expected)
    }

    /// Adds the value that was sent.
    #[must_use]
    pub fn input(self, value: impl Into<Value>) -> Self {
        Self { input: Some(Box::new(value.into())), ..self }
    }

    /// Adds a parameter of the violated rule, such as a limit.
    #[must_use]
    pub fn context(self, name: &'static str, value: impl Into<Value>) -> Self {
        Self { context: Some(Box::new((name, value.into()))), ..self }
    }

    fn to_json(&self) -> Value {
        let Self { loc, kind, message, input, context } = self;
        let Some(input) = input else { return json!({ "loc": loc, "msg": message, "type": kind }) };
        let mut problem = json!({ "type": kind, "loc": loc, "msg": message, "input": input });
        if let Some(context) = context {
            let (name, value) = &**context;
            problem["ctx"] = json!({ *name: value });
        }
        problem
    }
}

impl Refusal {
    /// An error response with a status and a message. An empty message is replaced with the reason phrase.
    pub fn new(status: StatusCode, message: &str) -> Self {
        let words = status.canonical_reason().unwrap_or("Error");
        Self::Detail(status, if message.is_empty() { words } else { message }.to_owned())
    }

    /// An error response with status 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, message.into())
    }

    /// An error response with status 404, such as `File not found`.
    pub fn missing(what: &str) -> Self {
        Self::Detail(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    /// An error response in a different format.
    pub fn other(response: impl IntoResponse) -> Self {
        Self::Other(Box::new(response.into_response()))
    }
}

/// Receives a JSON object of at most `limit` bytes. Other bodies are rejected with Pydantic's messages.
pub async fn receive_object(body: Body, limit: usize) -> Result<Object, Refusal> {
    let text = receive_text(body, limit).await?;
    if text.trim_ascii().is_empty() {
        return Err(Problem::missing(["body"]).input(Value::Null).into());
    }
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => {
            Err(Problem::new(["body"], "dict_type", "Input should be a valid dictionary").input(other).into())
        }
        Err(error) => {
            let problem = Problem::new(("body", error.column()), "json_invalid", "JSON decode error");
            Err(problem.input(json!({})).context("error", error.to_string()).into())
        }
    }
}

/// A required string in a JSON object.
pub fn required_text(object: &Object, name: &str) -> Result<String, Problem> {
    match object.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        None => Err(Problem::missing(["body", name]).input(Value::Null)),
        Some(other) => {
            let message = "Input should be a valid string";
            Err(Problem::new(["body", name], "string_type", message).input(other.clone()))
        }
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
            Kind::NotFound => Self::missing("File"),
            _ => Self::Detail(status_of(&error), error.message().to_owned()),
        }
    }
}

impl From<Refused<Refusal>> for Refusal {
    fn from(refused: Refused<Refusal>) -> Self {
        match refused {
            Refused::Malformed(_) => Self::bad_request("There was an error parsing the body"),
            Refused::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
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
            Self::Other(response) => *response,
        }
    }
}
