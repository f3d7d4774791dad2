//! Reading fields of a reply that a server may spell loosely.
//!
//! A number may come as text, a date as seconds; a field may be null or absent. A value of a shape that makes no
//! sense reads as absent, so that one odd field does not hide a whole listing. For `#[serde(deserialize_with)]`.

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// An id: text or a number, and not empty. The one field that must be there.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    text(from)?.filter(|id| !id.is_empty()).ok_or_else(|| D::Error::custom("no usable `id`"))
}

/// Text, or a number or boolean as text.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

/// Text that says something: the empty one is absent, too.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(text(from)?.filter(|text| !text.is_empty()))
}

/// A count: a whole number, as such or as text.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(text(from)?.and_then(|text| {
        let text = text.trim();
        // Some encoders write every number with a fraction.
        text.strip_suffix(".0").unwrap_or(text).parse().ok()
    }))
}

/// A yes or no, as such or as text.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(matches!(text(from)?.as_deref(), Some("true" | "1")))
}

/// An instant: RFC 3339, or seconds since 1970.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(text(from)?.and_then(|text| instant(text.trim())))
}

/// An instant as one of the texts that [`time`] reads.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let seconds = || Timestamp::from_second(text.strip_suffix(".0").unwrap_or(text).parse().ok()?).ok();
    text.parse().ok().or_else(seconds)
}

/// An object; anything else reads as an empty one.
pub(super) fn object<'de, D: Deserializer<'de>>(from: D) -> Result<crate::model::Object, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Object(object) => object,
        _ => crate::model::Object::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Loose {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "word")]
        word: Option<String>,
        #[serde(deserialize_with = "count")]
        count: Option<u64>,
        #[serde(deserialize_with = "flag")]
        flag: bool,
        #[serde(deserialize_with = "time")]
        time: Option<Timestamp>,
        #[serde(deserialize_with = "object")]
        object: crate::model::Object,
    }

    fn read(json: &str) -> Loose {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_spelling_of_a_value_reads_the_same() {
        let strict =
            read(r#"{"text":"5","count":7,"flag":true,"time":"1970-01-01T00:01:00.000Z","object":{}}"#);
        assert_eq!(strict.count, Some(7));
        assert_eq!(strict.time, Some(Timestamp::from_second(60).unwrap()));
        assert_eq!(read(r#"{"text":5,"count":"7","flag":"true","time":60,"object":null}"#), strict);
        assert_eq!(read(r#"{"text":5,"count":7.0,"flag":1,"time":"60","object":[1]}"#), strict);
        assert_eq!(read(r#"{"text":5,"count":7,"flag":1,"time":60.0,"word":""}"#), strict);
    }

    #[test]
    fn null_absent_and_senseless_read_as_absent() {
        let nothing = Loose::default();
        assert_eq!(read("{}"), nothing);
        assert_eq!(read(r#"{"text":null,"count":null,"flag":null,"time":null,"object":"x"}"#), nothing);
        assert_eq!(read(r#"{"text":{},"count":-1,"flag":"maybe","time":"yesterday"}"#), nothing);
    }
}
