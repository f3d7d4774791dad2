//! Lenient decoding of responses.
//!
//! A number may be sent as text, a date as a number of seconds, and a field may be null or absent. A value of an
//! unexpected type counts as absent, so that one unusual field does not make a whole listing fail; in a file, it stays
//! in `extra` ([`Fields`]). The functions that take a deserializer are for `#[serde(deserialize_with)]`.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use crate::model::Object;

/// The fields of a file in a response, in their order. Translated fields are removed; the rest becomes `extra`. A file
/// has few fields, so a list is faster and smaller than a map.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    /// A duplicate field is an error, because either of two ids could be the right one.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = members.next_entry::<String, Value>()? {
                    fields.push(field);
                }
                let mut keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
                keys.sort_unstable();
                if let Some([key, ..]) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(Error::custom(format_args!("duplicate field `{key}`")));
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Once)
    }
}

impl Fields {
    /// The first value under these keys that `read` can parse. Removes its key, and also those other keys whose value
    /// is the same, null or empty.
    pub(super) fn take<T: PartialEq>(
        &mut self,
        spellings: &[&str],
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        for spelling in spellings {
            let Some(at) = self.0.iter().position(|(key, _)| key == spelling) else { continue };
            let value = &self.0[at].1;
            let meaning = read(value);
            let is_told = match (&meaning, &found) {
                (None, _) => value.is_null() || value == "",
                (Some(_), None) => true,
                (meaning, found) => meaning == found,
            };
            if is_told {
                self.0.remove(at);
            }
            found = found.or(meaning);
        }
        found
    }

    /// The id: a number or nonempty text.
    pub(super) fn take_id(&mut self, spellings: &[&str]) -> Option<String> {
        self.take(spellings, as_id)
    }

    /// A value, which is not removed.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Puts back the remaining fields of an object from which fields were taken.
    pub(super) fn put_back(&mut self, key: &str, left: Self) {
        if !left.0.is_empty() {
            self.0.retain(|(own, _)| own != key);
            self.0.push((key.to_owned(), Value::Object(left.rest())));
        }
    }

    /// The remaining fields.
    pub(super) fn rest(self) -> Object {
        self.0.into_iter().collect()
    }
}

impl From<Object> for Fields {
    fn from(object: Object) -> Self {
        Self(object.into_iter().collect())
    }
}

/// A file with an id, which is the only required field.
#[derive(serde::Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) fields: Fields,
}

impl TryFrom<Fields> for Known {
    type Error = &'static str;

    fn try_from(mut fields: Fields) -> Result<Self, Self::Error> {
        let id = fields.take_id(&["id"]).ok_or("missing or invalid `id`")?;
        Ok(Self { id, fields })
    }
}

/// Text. A number or boolean is converted to text.
pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An id: nonempty text. U+FFFD replaces invalid text in a response, so an id that contains it is not the platform's
/// id.
pub(super) fn as_id(value: &Value) -> Option<String> {
    as_word(value).filter(|id| !id.contains(char::REPLACEMENT_CHARACTER))
}

/// Like [`as_text`], but empty text counts as absent.
pub(super) fn as_word(value: &Value) -> Option<String> {
    as_text(value).filter(|text| !text.is_empty())
}

/// A nonnegative integer, given as a number or as text: `11`, `11.0`, `"11"`.
pub(super) fn as_count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(&number.to_string())),
        Value::String(text) => whole(text.trim()),
        _ => None,
    }
}

/// Parses an integer, allowing the fraction `.0` that some encoders write.
fn whole(text: &str) -> Option<u64> {
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

/// An instant: RFC 3339 (possibly without an offset), or a number of seconds or milliseconds since 1970.
pub(super) fn as_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => instant(text.trim()),
        Value::Number(number) => instant(&number.to_string()),
        _ => None,
    }
}

/// An object.
pub(super) fn as_object(value: &Value) -> Option<Object> {
    value.as_object().cloned()
}

/// A checksum with `digits` hexadecimal digits, converted to lowercase.
pub(super) fn as_hex(digits: usize) -> impl Fn(&Value) -> Option<String> {
    move |value| {
        let text = value.as_str().filter(|text| text.len() == digits)?;
        text.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| text.to_ascii_lowercase())
    }
}

/// An id: a number or nonempty text.
pub(super) fn id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    as_id(&Value::deserialize(from)?).ok_or_else(|| D::Error::custom("missing or invalid `id`"))
}

/// [`as_text`].
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(&Value::deserialize(from)?))
}

/// [`as_word`]: empty text counts as absent.
pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(as_word(&Value::deserialize(from)?))
}

/// [`as_count`].
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(as_count(&Value::deserialize(from)?))
}

/// A boolean, given as a boolean, as text or as `1`. Any other value is false.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(matches!(text(from)?.as_deref(), Some("true" | "1")))
}

/// [`as_time`].
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(as_time(&Value::deserialize(from)?))
}

/// An instant in a string that [`as_time`] accepts. A time without an offset is in UTC.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    since_1970(text).or_else(|| text.parse().ok()).or_else(|| civil().map(|zoned| zoned.timestamp()))
}

/// A decimal number of seconds since 1970, or of milliseconds if the time in seconds would be later than the year
/// 9999.
fn since_1970(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole: i64 = whole.parse().ok()?;
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9.9}").parse().ok()?;
    let nanos = if text.starts_with('-') { -nanos } else { nanos };
    Timestamp::new(whole, nanos).or_else(|_| Timestamp::from_millisecond(whole)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    }

    fn read(json: &str) -> Loose {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_spelling_gives_the_same_value() {
        let strict = read(r#"{"text":"5","count":7,"flag":true,"time":"1970-01-01T00:01:00.000Z"}"#);
        assert_eq!(strict.count, Some(7));
        assert_eq!(strict.time, Some(Timestamp::from_second(60).unwrap()));
        assert_eq!(read(r#"{"text":5,"count":"7","flag":"true","time":60}"#), strict);
        assert_eq!(read(r#"{"text":5,"count":7.0,"flag":1,"time":"60"}"#), strict);
        assert_eq!(read(r#"{"text":5,"count":7,"flag":1,"time":60.0,"word":""}"#), strict);
    }

    #[test]
    fn null_and_unexpected_types_count_as_absent() {
        let nothing = Loose::default();
        assert_eq!(read("{}"), nothing);
        assert_eq!(read(r#"{"text":null,"count":null,"flag":null,"time":null}"#), nothing);
        assert_eq!(read(r#"{"text":{},"count":-1,"flag":"maybe","time":"yesterday"}"#), nothing);
    }

    #[test]
    fn an_instant_has_any_precision_and_offset() {
        let read = |value: Value| as_time(&value).map(|time| time.to_string());
        for (value, expected) in [
            (json!(1_700_000_000.5), "2023-11-14T22:13:20.5Z"),
            (json!("1700000000.25"), "2023-11-14T22:13:20.25Z"),
            (json!(1_700_000_000_500_u64), "2023-11-14T22:13:20.5Z"),
            (json!("1700000000500"), "2023-11-14T22:13:20.5Z"),
            (json!(-1.5), "1969-12-31T23:59:58.5Z"),
            (json!("2023-11-14T22:13:20"), "2023-11-14T22:13:20Z"),
            (json!("2023-11-14 22:13:20.5"), "2023-11-14T22:13:20.5Z"),
            (json!("2023-11-15T00:13:20+02:00"), "2023-11-14T22:13:20Z"),
            (json!(253_402_207_200_i64), "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(read(value.clone()).as_deref(), Some(expected), "{value}");
        }
        for value in [json!(i64::MAX), json!(1e300), json!("1e9"), json!("1."), json!("soon"), json!("")] {
            assert_eq!(read(value.clone()), None, "{value}");
        }
    }

    #[test]
    fn an_id_has_no_replaced_text() {
        let known = |id: &str| serde_json::from_value::<Known>(json!({ "id": id, "name": "\u{fffd}" }));
        assert_eq!(known("f").unwrap().fields.get("name"), Some(&json!("\u{fffd}")));
        assert!(known("f\u{fffd}").is_err());
    }

    #[test]
    fn taken_fields_are_removed_and_others_stay() {
        let mut fields: Fields =
            serde_json::from_str(r#"{"a":"many","b":7,"c":8,"d":"7","e":null,"f":"","g":[1]}"#).unwrap();
        assert_eq!(fields.take(&["a", "b", "c", "d", "e", "f", "z"], as_count), Some(7));
        assert_eq!(Value::Object(fields.rest()), serde_json::json!({"a": "many", "c": 8, "g": [1]}));
    }
}
