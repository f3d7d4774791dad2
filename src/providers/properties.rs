//! Property tests for the decoders of all platforms: no response makes a decoder panic, and every field of a response
//! is in the decoded file. A field that is not translated is in `extra`, unchanged; a translated field has the same
//! meaning.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use super::lenient;
use crate::model::File;
use crate::property::holds;

/// A field in a platform's responses, and the field of [`File`] that it is translated to.
pub(super) type Translated = &'static [(&'static str, &'static str)];

/// Checks a platform's decoder with mutations of its real responses and with arbitrary JSON.
pub(super) fn nothing_is_lost(
    platform: &str,
    replies: &[&str],
    translated: Translated,
    read: impl Fn(&[u8]) -> Option<File>,
) {
    let samples: Vec<Value> =
        replies.iter().flat_map(|reply| files_in(&serde_json::from_str(reply).expect(reply))).collect();
    assert!(!samples.is_empty());
    for reply in &samples {
        let file = read(reply.to_string().as_bytes()).unwrap_or_else(|| panic!("{reply}"));
        keeps_all(reply, &file, translated).unwrap();
    }
    let keys: Vec<&'static str> = translated.iter().map(|(key, _)| *key).collect();
    let edit = (key(keys.clone()), prop_oneof![3 => value().prop_map(Some), 1 => Just(None)]);
    let mutated =
        (prop::sample::select(samples), prop::collection::vec(edit, 0..6)).prop_map(|(mut reply, edits)| {
            let object = reply.as_object_mut().expect("files are objects");
            for (key, value) in edits {
                match value {
                    Some(value) => drop(object.insert(key, value)),
                    None => drop(object.shift_remove(&key)),
                }
            }
            reply
        });
    let any_object = prop::collection::vec((key(keys), value()), 0..10)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
    let inputs = (prop_oneof![3 => mutated, 1 => any_object, 1 => value()], any::<Index>(), any::<u8>());
    holds(&format!("decoder of {platform}: no field of a reply is lost"), inputs, |(reply, at, byte)| {
        let text = reply.to_string().into_bytes();
        if let Some(file) = read(&text) {
            keeps_all(&reply, &file, translated)?;
        } else {
            // Only a file without an id may be rejected.
            let is_id = |(key, place): &(&'static str, &str)| (*place == "id").then_some(*key);
            let mut ids =
                translated.iter().filter_map(is_id).filter_map(|key| lenient::as_id(reply.get(key)?));
            prop_assert!(!reply.is_object() || ids.next().is_none(), "{} was rejected", reply);
        }
        // These bytes are either invalid JSON or different JSON.
        let mut damaged = text;
        if !damaged.is_empty() {
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let _ = read(&damaged);
            let _ = read(&damaged[..at]);
        }
        Ok(())
    });
}

/// The file objects in a response: the response itself, or the items of its list.
fn files_in(reply: &Value) -> Vec<Value> {
    match reply {
        Value::Object(object)
            if ["id", "file_id", "mimeType"].iter().any(|key| object.contains_key(*key)) =>
        {
            vec![reply.clone()]
        }
        Value::Object(object) => object.values().flat_map(files_in).collect(),
        Value::Array(items) => items.iter().flat_map(files_in).collect(),
        _ => Vec::new(),
    }
}

fn key(known: Vec<&'static str>) -> impl Strategy<Value = String> {
    const WORDS: [&str; 11] = [
        "id",
        "name",
        "size",
        "bytes",
        "status",
        "checksums",
        "sha256",
        "urls",
        "object",
        "extra",
        "profile",
    ];
    prop_oneof![
        6 => prop::sample::select(known).prop_map(str::to_owned),
        2 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// Values that are valid, almost valid or invalid for a field.
fn value() -> impl Strategy<Value = Value> {
    const TEXTS: &[&str] = &[
        "",
        " ",
        "7",
        " 7 ",
        "7.0",
        "-1",
        "1e3",
        "true",
        "null",
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21T10:00:00.123456789+02:00",
        "1795255200",
        "{\"a\":1}",
        "[1]",
        "deleted",
        "Complete",
        "a.txt",
        "d9014c4624844aa5bac314773d6b689ad467fa4e1d1a50a1b8a99d5a95f72ff5",
        "B1946AC92492D2347C6235B4D2611184",
        "\u{1b}[31m",
        "18446744073709551616",
    ];
    let leaf = prop_oneof![
        6 => prop::sample::select(TEXTS).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        2 => prop::sample::select(&[0i64, -1, 7, 1_795_255_200, i64::MAX, i64::MIN][..]).prop_map(Value::from),
        1 => Just(json!(u64::MAX)),
        1 => prop::sample::select(&[0.0, 7.0, 0.5, 1e300, -0.0, 1.795_255_2e9, 1_795_255_200.5, 1_795_255_200_500.0][..]).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let key =
            prop::sample::select(&["a", "sha256", "md5", "identifier", "name", "url", "form_fields", ""][..]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..4).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// Checks that the file contains every field of the response.
fn keeps_all(reply: &Value, file: &File, translated: Translated) -> Result<(), TestCaseError> {
    let printed = serde_json::to_string(file).expect("a file serializes");
    let again: File = serde_json::from_str(&printed).expect("and parses");
    prop_assert_eq!(&again, file);
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    for (key, original) in reply.as_object().into_iter().flatten() {
        if file.extra.get(key) == Some(original) {
            continue;
        }
        let mut places = translated.iter().filter(|(known, _)| known == key).map(|(_, place)| *place);
        let Some(place) = places.next() else {
            return Err(TestCaseError::fail(format!("{key} of {reply} is not in {printed}")));
        };
        let kept = place.split('.').fold(&printed, |value, step| &value[step]);
        let kept_in = file.extra.get(key).unwrap_or(&Value::Null);
        prop_assert!(means_the_same(original, kept, kept_in), "{} of {} is not in {}", key, reply, printed);
    }
    let is_in_reply = |key: &String| reply.get(key).is_some();
    prop_assert!(file.extra.keys().all(is_in_reply), "{} has more than {}", printed, reply);
    Ok(())
}

/// Whether a translated value, together with its remaining parts in `extra`, has the same meaning as the original.
fn means_the_same(original: &Value, kept: &Value, left: &Value) -> bool {
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (original, kept) {
        // The original is empty.
        (Value::Null, _) => true,
        (Value::String(text), _) if text.is_empty() => true,
        (Value::Object(original), Value::Object(kept)) => {
            original == kept || original.iter().all(|(key, original)| keeps_part(key, original, kept, left))
        }
        (Value::String(text), Value::Object(_)) => {
            serde_json::from_str::<Value>(text).is_ok_and(|original| original == *kept)
        }
        (original, Value::Number(kept)) => {
            as_text(original).trim().trim_end_matches(".0") == kept.to_string()
        }
        (original, Value::String(kept)) => {
            let original = as_text(original);
            original == *kept
                || original.eq_ignore_ascii_case(kept)
                || lenient::instant(original.trim())
                    .is_some_and(|original| Some(original) == lenient::instant(kept))
        }
        _ => false,
    }
}

fn keeps_part(key: &str, original: &Value, kept: &Map<String, Value>, left: &Value) -> bool {
    let same = |kept: &Value| means_the_same(original, kept, &Value::Null);
    left.get(key) == Some(original) || kept.get(key).is_some_and(same) || original.is_null() || original == ""
}
