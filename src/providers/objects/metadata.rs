//! The metadata of objects: headers, whose values are ASCII.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::http::HeaderMap;
use crate::model::Object;

/// The key of the content's SHA-256.
pub(super) const SHA256: &str = "haul_sha256";

/// ASCII characters that are percent-encoded in a value. Spaces inside a value arrive unchanged.
const VALUE: &AsciiSet = &CONTROLS.add(b'%');

/// The pairs to send for a file's metadata and the SHA-256 of its content.
pub(super) fn pairs(
    platform: &str,
    metadata: &Object,
    sha256: Option<&str>,
) -> Result<Vec<(String, String)>> {
    let mut pairs =
        metadata.iter().map(|(key, value)| pair(platform, key, value)).collect::<Result<Vec<_>>>()?;
    pairs.extend(sha256.map(|digest| (SHA256.to_owned(), digest.to_owned())));
    Ok(pairs)
}

/// The metadata as it is stored, where every value is text.
pub(super) fn texts(metadata: &Object) -> Object {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    metadata.iter().map(|(key, value)| (key.clone(), text(value).into())).collect()
}

fn pair(platform: &str, key: &str, value: &Value) -> Result<(String, String)> {
    let refuse = |why: &str| Err(Error::new(Kind::Unsupported, format!("the metadata key {key:?} {why}")));
    let is_valid = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if !is_valid {
        return refuse(&format!("is not valid for {platform}"))
            .map_err(|error| error.hint("use lowercase letters, digits and `_`, starting with a letter"));
    }
    if key == SHA256 {
        return refuse("is reserved for the checksum of the content");
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok((key.to_owned(), encode(&text)))
}

fn encode(text: &str) -> String {
    let encoded = utf8_percent_encode(text, VALUE).to_string();
    // Servers drop the spaces around a value.
    let (inner, space) = (encoded.trim_matches(' '), "%20");
    let before = encoded.len() - encoded.trim_start_matches(' ').len();
    let after = encoded.len() - before - inner.len();
    format!("{}{inner}{}", space.repeat(before), space.repeat(after))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// The metadata in the response headers whose names start with `start`, and the SHA-256 of the content.
pub(super) fn read(headers: &HeaderMap, start: &str) -> (Object, Option<String>) {
    let (mut metadata, mut sha256) = (Object::new(), None);
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(start) else { continue };
        let text = String::from_utf8_lossy(value.as_bytes());
        if key == SHA256 {
            let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            sha256 = is_digest.then(|| text.to_ascii_lowercase());
        } else {
            metadata.insert(key.to_owned(), decode(&text).into());
        }
    }
    (metadata, sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_arrives_unchanged() {
        for text in
            ["plain text", "Äpfel \"und\" 100 %", " around ", "  ", "", "a\nb\t", "%41", "=?UTF-8?B?eA==?="]
        {
            let encoded = encode(text);
            assert!(encoded.is_ascii() && encoded.trim() == encoded, "{encoded}");
            assert_eq!(decode(&encoded), text);
        }
        assert_eq!(decode("100% of %zz %ff"), "100% of %zz %ff", "of another program");
    }

    #[test]
    fn keys_are_valid_on_all_services() {
        let pairs = |key: &str| {
            let metadata = [(key.to_owned(), Value::from(1))].into_iter().collect();
            super::pairs("s3", &metadata, Some("00")).map(|pairs| pairs[0].clone())
        };
        assert_eq!(pairs("a_1").unwrap(), ("a_1".to_owned(), "1".to_owned()));
        for key in ["", "A", "a-b", "1a", "a b", "ä", SHA256] {
            assert_eq!(pairs(key).unwrap_err().kind(), Kind::Unsupported, "{key}");
        }
    }

    #[test]
    fn the_checksum_is_not_metadata() {
        let digest = "AB".repeat(32);
        let headers = |digest: &str| {
            let pairs = [("x-amz-meta-haul_sha256", digest), ("x-amz-meta-a", "%C3%BC"), ("etag", "e")];
            pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let (metadata, sha256) = read(&headers(&digest), "x-amz-meta-");
        assert_eq!(Value::Object(metadata), serde_json::json!({ "a": "ü" }));
        assert_eq!(sha256, Some("ab".repeat(32)));
        assert_eq!(read(&headers("short"), "x-amz-meta-").1, None);
    }
}
