//! What bodies in JSON have in common.

use serde_json::Value;

use super::refusal::Problem;

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
