//! JSON bodies.

use axum::body::Body;
use serde_json::{Value, json};

use super::refusal;
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::receive_text;
use crate::model::Object;

/// Bytes of a request.
const MOST: usize = 4 * 1024 * 1024;

/// Receives a JSON object; what else comes is refused in Pydantic's words.
pub(super) async fn receive(body: Body) -> Result<Object, Refusal> {
    let text = receive_text(body, MOST).await.map_err(refusal::of_body)?;
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
