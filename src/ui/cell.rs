//! One value as text: for people in a table, for programs in a pipe.

use jiff::Timestamp;
use serde_json::Value;

use super::layout::is_size;
use super::sanitize;
use crate::human;

/// What a colour says; never needed to understand the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// It is as it should be.
    Good,
    /// It is not there yet, or not for long.
    Pending,
    /// It failed or has gone.
    Bad,
}

/// A value in a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub text: String,
    pub tone: Tone,
    /// Whether the value is a number, or nothing.
    pub number: bool,
}

/// The value for people: sizes and times as they say them, `-` for nothing, on one line, safe to show.
pub(super) fn shown(field: &str, value: &Value, now: Timestamp) -> Cell {
    let tone = tone(field, value, now);
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::Object(object) if object.is_empty() => "-".to_owned(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Number(number) if is_size(field) => {
            number.as_u64().map_or_else(|| number.to_string(), human::size)
        }
        Value::String(text) => match time(field, text) {
            Some(time) => human::relative(time, now),
            None => sanitize::line(text).into_owned(),
        },
        other => sanitize::line(&other.to_string()).into_owned(),
    };
    Cell { text, tone, number: matches!(value, Value::Number(_) | Value::Null) }
}

/// Appends the value for programs: whole, nothing for null. In text, tab, line feed, carriage return and backslash are
/// written `\t \n \r \\`, so that a row is one line; an object or a list is compact JSON, which has none of them bare.
pub(super) fn piped(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::String(text) => {
            for byte in text.bytes() {
                match byte {
                    b'\t' => out.extend_from_slice(b"\\t"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    byte => out.push(byte),
                }
            }
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn time(field: &str, text: &str) -> Option<Timestamp> {
    if field.ends_with("_at") { text.parse().ok() } else { None }
}

fn tone(field: &str, value: &Value, now: Timestamp) -> Tone {
    let Some(text) = value.as_str() else { return Tone::Plain };
    if field == "status" || field.ends_with("_status") {
        return match text.to_ascii_lowercase().as_str() {
            "complete" | "completed" | "ready" | "indexed" | "processed" | "uploaded" | "active"
            | "success" | "succeeded" => Tone::Good,
            "pending" | "queued" | "processing" | "uploading" | "initializing" | "running" => Tone::Pending,
            "failed" | "error" | "deleted" | "expired" | "cancelled" => Tone::Bad,
            _ => Tone::Plain,
        };
    }
    match time(field, text) {
        Some(time) if field == "expires_at" => match time.as_second() - now.as_second() {
            ..=0 => Tone::Bad,
            1..86_400 => Tone::Pending,
            _ => Tone::Plain,
        },
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cell(field: &str, value: &Value) -> (String, Tone) {
        let cell = shown(field, value, "2026-03-01T12:00:00Z".parse().unwrap());
        (cell.text, cell.tone)
    }

    #[test]
    fn people_see_sizes_times_and_dashes() {
        assert_eq!(cell("size", &json!(1_234_567)).0, "1.2 MB");
        assert_eq!(cell("count", &json!(1_234_567)).0, "1234567");
        assert_eq!(cell("created_at", &json!("2026-03-01T09:00:00Z")).0, "3 hours ago");
        assert_eq!(cell("created_at", &json!("yesterday")).0, "yesterday");
        assert_eq!(cell("name", &json!("2026-03-01T09:00:00Z")).0, "2026-03-01T09:00:00Z");
        for nothing in [json!(null), json!(""), json!({}), json!([])] {
            assert_eq!(cell("purpose", &nothing).0, "-");
        }
        assert_eq!(cell("metadata", &json!({"a": "x\ny"})).0, r#"{"a":"x\ny"}"#);
        assert_eq!(cell("name", &json!("\u{1b}[2J")).0, "\\u{1b}[2J");
    }

    #[test]
    fn colour_goes_by_meaning() {
        assert_eq!(cell("status", &json!("Processed")).1, Tone::Good);
        assert_eq!(cell("upload_status", &json!("UPLOADING")).1, Tone::Pending);
        assert_eq!(cell("status", &json!("failed")).1, Tone::Bad);
        assert_eq!(cell("status", &json!("odd")).1, Tone::Plain);
        assert_eq!(cell("name", &json!("failed")).1, Tone::Plain);
        assert_eq!(cell("expires_at", &json!("2026-03-01T11:00:00Z")).1, Tone::Bad);
        assert_eq!(cell("expires_at", &json!("2026-03-02T11:00:00Z")).1, Tone::Pending);
        assert_eq!(cell("expires_at", &json!("2026-04-01T11:00:00Z")).1, Tone::Plain);
    }

    #[test]
    fn programs_get_whole_values_on_one_line() {
        let piped = |value: &Value| {
            let mut out = Vec::new();
            super::piped(value, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(piped(&json!("a\tb\nc\rd\\e\u{1b}")), "a\\tb\\nc\\rd\\\\e\u{1b}");
        assert_eq!(piped(&json!(1_234_567)), "1234567");
        assert_eq!(piped(&json!(true)), "true");
        assert_eq!(piped(&json!(null)), "");
        assert_eq!(piped(&json!({"a": "x\ty\\"})), r#"{"a":"x\ty\\"}"#);
    }
}
