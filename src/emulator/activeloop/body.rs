//! JSON bodies.

use axum::body::Body;
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::emulator::receive_text;
use crate::model::Object;

/// Bytes of a request.
const MOST: usize = 4 * 1024 * 1024;

/// Receives a JSON object; what else comes is refused in Pydantic's words.
pub(super) async fn receive(body: Body) -> Result<Object, Refusal> {
    let text = receive_text(body, MOST).await?;
    if text.trim_ascii().is_empty() {
        return Err(Refusal::required(&["body"]));
    }
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => {
            let message = "Input should be a valid dictionary";
            Err(Refusal::invalid("dict_type", json!(["body"]), message, &other))
        }
        Err(error) => {
            let place = json!(["body", error.column()]);
            let problem = Refusal::invalid("json_invalid", place, "JSON decode error", &json!({}));
            Err(problem.because("error", error.to_string().into()))
        }
    }
}
