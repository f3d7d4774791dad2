//! Reads fields of replies as platforms really write them: numbers as text, times as seconds or RFC 3339, null and
//! empty for unset. For `#[serde(deserialize_with)]` beside `#[serde(default)]`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

/// Text; a number or a boolean becomes its spelling; null is unset.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(yes) => Ok(Some(yes.to_string())),
        other => Err(D::Error::custom(format!("expected text, found {}", kind(&other)))),
    }
}

/// Text of which the empty one is unset, too.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(text(from)?.filter(|text| !text.is_empty()))
}

/// A whole number from 0 on, as a number or as text.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(from)?;
    let found = match &value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        _ => None,
    };
    found.map(Some).ok_or_else(|| D::Error::custom(format!("expected a whole number, found {value}")))
}

/// An instant: Unix seconds as a number or as text, or RFC 3339; without a zone it is UTC.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(from)?;
    let found = match &value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => instant(text),
        Value::Number(number) => number.as_f64().and_then(seconds),
        _ => None,
    };
    found.map(Some).ok_or_else(|| D::Error::custom(format!("expected a time, found {value}")))
}

/// An instant as one of the texts that [`time`] reads.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    let zoneless =
        || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse().ok().or_else(zoneless)
}

fn seconds(number: f64) -> Option<Timestamp> {
    // Micro-seconds are as much as a double holds of today's seconds.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast from a float saturates, and jiff checks the range"
    )]
    Timestamp::from_microsecond((number * 1e6).round() as i64).ok()
}

fn whole(number: f64) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on the same line")]
    (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
        _ => "a scalar",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Fields {
        #[serde(default, deserialize_with = "word")]
        word: Option<String>,
        #[serde(default, deserialize_with = "count")]
        count: Option<u64>,
        #[serde(default, deserialize_with = "time")]
        time: Option<Timestamp>,
    }

    fn read(json: &str) -> Result<Fields, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn null_empty_and_missing_are_unset() {
        for json in ["{}", r#"{"word":null,"count":null,"time":null}"#, r#"{"word":"","count":"","time":""}"#]
        {
            let fields = read(json).unwrap();
            assert!(fields.word.is_none() && fields.count.is_none() && fields.time.is_none(), "{json}");
        }
    }

    #[test]
    fn numbers_come_as_numbers_or_text() {
        for json in [r#"{"count":119237}"#, r#"{"count":"119237"}"#, r#"{"count":119237.0}"#] {
            assert_eq!(read(json).unwrap().count, Some(119_237), "{json}");
        }
        for json in [r#"{"count":-1}"#, r#"{"count":1.5}"#, r#"{"count":"many"}"#, r#"{"count":[]}"#] {
            assert!(read(json).unwrap_err().contains("expected a whole number"), "{json}");
        }
        assert_eq!(read(r#"{"word":7}"#).unwrap().word.as_deref(), Some("7"));
        assert!(read(r#"{"word":{}}"#).unwrap_err().contains("expected text"));
    }

    #[test]
    fn times_come_in_every_spelling() {
        let expected: Timestamp = "2025-11-05T12:27:58Z".parse().unwrap();
        for json in [
            r#"{"time":1762345678}"#,
            r#"{"time":1762345678.0}"#,
            r#"{"time":"1762345678"}"#,
            r#"{"time":"2025-11-05T12:27:58Z"}"#,
            r#"{"time":"2025-11-05T12:27:58"}"#,
            r#"{"time":"2025-11-05T13:27:58+01:00"}"#,
        ] {
            assert_eq!(read(json).unwrap().time, Some(expected), "{json}");
        }
        for json in [r#"{"time":"soon"}"#, r#"{"time":1e300}"#, r#"{"time":true}"#] {
            assert!(read(json).unwrap_err().contains("expected a time"), "{json}");
        }
    }
}
