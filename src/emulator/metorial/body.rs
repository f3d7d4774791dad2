//! JSON bodies and their fields.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::emulator::{Params, Refused, receive_text};
use crate::model::Object;

/// Bytes of a JSON body.
const MAX: usize = 4 * 1024 * 1024;
/// Characters of any text.
const MAX_TEXT: usize = 100_000;

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers) == "application/json"
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Reads a body of JSON or of a URL-encoded form; no body is an empty object.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Object, Problem> {
    let text = receive_text(body, MAX).await.map_err(|refused: Refused<Problem>| Problem::from(refused))?;
    if text.trim_ascii().is_empty() {
        return Ok(Object::new());
    }
    match media_type(headers).as_str() {
        "" | "application/json" => match serde_json::from_slice(&text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(other) => Err(Problem::invalid(
                "body",
                json!({
                    "code": "invalid_type", "message": "the body must be an object", "path": [],
                    "expected": "object", "received": kind(&other),
                }),
            )),
            Err(_) => Err(Problem::body("invalid_json_body", "the body is not JSON")),
        },
        "application/x-www-form-urlencoded" => {
            let params = Params::parse(&String::from_utf8_lossy(&text));
            Ok(params.iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
        }
        _ => Err(Problem::body("unsupported_content_type", "the body must be JSON")),
    }
}

/// An optional text of a body.
pub(super) fn text(body: &Object, field: &str) -> Result<Option<String>, Problem> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => short(field, text).map(|text| Some(text.to_owned())),
        Some(other) => Err(Problem::invalid_type("body", field, "string", kind(other))),
    }
}

/// A text, if it is not too long.
pub(super) fn short<'a>(field: &str, text: &'a str) -> Result<&'a str, Problem> {
    if text.chars().count() <= MAX_TEXT {
        return Ok(text);
    }
    let flaw = json!({
        "code": "max_length", "message": format!("{field} is too long"), "path": [field], "max": MAX_TEXT,
    });
    Err(Problem::invalid("body", flaw))
}

/// An optional date of a body; it cannot be taken back with null.
pub(super) fn date(body: &Object, field: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text(body, field)? else { return Ok(None) };
    let wrong = || Problem::invalid_type("body", field, "date", "string");
    parse_date(&text).map(Some).ok_or_else(wrong)
}

/// Reads a date as JavaScript would, within reason: with a zone, without one (UTC), a day alone, or as in mail.
pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let civil = || {
        let civil = text.parse::<civil::DateTime>().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    let mail = || jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(civil).or_else(mail)
}

/// What JavaScript calls the type of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_the_forms_that_clients_send() {
        let date = |text| parse_date(text).map(|date| date.to_string());
        for text in [
            "2026-02-01T00:00:00.000Z",
            "2026-02-01T00:00:00",
            "2026-02-01",
            "2026-02-01T01:00:00+01:00",
            "Sun, 01 Feb 2026 00:00:00 GMT",
        ] {
            assert_eq!(date(text).as_deref(), Some("2026-02-01T00:00:00Z"), "{text}");
        }
        assert_eq!(date("soon"), None);
        assert_eq!(date(""), None);
    }
}
