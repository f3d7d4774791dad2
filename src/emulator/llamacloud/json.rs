//! What bodies in JSON have in common.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::Value;

use super::refusal::{Problem, Refusal};
use crate::emulator::{Refused, receive_json};

/// A body in JSON may have so many bytes.
const MAX: usize = 1024 * 1024;

/// Receives JSON; None where there is no body.
pub(super) async fn read(body: Body) -> Result<Option<Value>, Refusal> {
    receive_json(body, MAX).await.map_err(|refused: Refused<Refusal>| match refused {
        Refused::Malformed(why) => {
            Problem::new(&["body"], "json_invalid", format!("JSON decode error: {why}")).into()
        }
        Refused::TooLarge(_) => {
            Refusal::Detail(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large".to_owned())
        }
        refused => refused.into(),
    })
}

/// Text or null.
pub(super) fn optional_text(value: Option<&Value>, loc: &[&str]) -> Result<Option<String>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong_type(loc, "a valid string")),
    }
}

/// What is said of JSON of another type.
pub(super) fn wrong_type(loc: &[&str], what: &str) -> Problem {
    Problem::new(loc, "type_error", format!("Input should be {what}"))
}
