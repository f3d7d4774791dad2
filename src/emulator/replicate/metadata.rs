//! Metadata in the four encodings of the official clients: a JSON part, JSON in a text field, JSON in a part that has the
//! file name `blob`, and fields such as `metadata[tags][]`.

use serde_json::Value;

use super::problem::Problem;
use crate::emulator::Form;
use crate::model::Object;

/// How deep fields may nest.
const MAX_DEPTH: usize = 32;

/// What a form says of a file. `keep_brackets` tells whether `metadata[key]` fields count; where JSON is there, too, it
/// alone does.
pub(super) fn read(form: &Form, keep_brackets: bool) -> Result<Object, Problem> {
    if let Some(text) = form.text("metadata") {
        return match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(Problem::bad_request("metadata must be a JSON object")),
            Err(error) => Err(Problem::bad_request(format!("metadata is not valid JSON: {error}"))),
        };
    }
    let mut metadata = Value::Object(Object::new());
    for (name, value) in form.texts().filter(|_| keep_brackets) {
        if let Some(keys) = name.strip_prefix("metadata").and_then(keys) {
            put(&mut metadata, &keys, value);
        }
    }
    Ok(metadata.as_object().cloned().unwrap_or_default())
}

/// The keys of `[a][b][]`; None where it is something else.
fn keys(brackets: &str) -> Option<Vec<&str>> {
    let inner = brackets.strip_prefix('[')?.strip_suffix(']')?;
    let keys: Vec<_> = inner.split("][").collect();
    (keys.len() <= MAX_DEPTH && !keys[0].is_empty()).then_some(keys)
}

/// Puts a text where the keys lead; an empty key is the end of a list. What does not fit what is there is dropped.
fn put(into: &mut Value, keys: &[&str], text: &str) {
    let Some((key, rest)) = keys.split_first() else { return };
    let empty = match rest.first() {
        None => Value::String(text.to_owned()),
        Some(&"") => Value::Array(Vec::new()),
        Some(_) => Value::Object(Object::new()),
    };
    let place = match into {
        Value::Array(list) if key.is_empty() => {
            list.push(empty);
            list.last_mut()
        }
        Value::Object(object) if !key.is_empty() => Some(object.entry(*key).or_insert(empty)),
        _ => None,
    };
    if let Some(place) = place {
        put(place, rest, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::{Field, Head};
    use serde_json::json;

    fn parsed(fields: &[(&str, &str)]) -> Result<Object, Problem> {
        let field = |(name, value): &(&str, &str)| Field::Text {
            head: Head { name: (*name).to_owned(), ..Head::default() },
            value: (*value).to_owned(),
        };
        read(&Form { fields: fields.iter().map(field).collect() }, true)
    }

    #[test]
    fn fields_nest() {
        let metadata = parsed(&[
            ("metadata[a]", "1"),
            ("metadata[tags][]", "x"),
            ("metadata[tags][]", "y"),
            ("metadata[deep][er][est]", "z"),
            ("metadata[list][][k]", "v"),
        ]);
        let expected = json!({
            "a": "1", "tags": ["x", "y"], "deep": {"er": {"est": "z"}}, "list": [{"k": "v"}],
        });
        assert_eq!(Value::Object(metadata.unwrap()), expected);
    }

    #[test]
    fn fields_that_make_no_sense_are_dropped() {
        let deep = format!("metadata{}", "[a]".repeat(10_000));
        let fields = [
            ("metadata[]", "x"),
            ("metadata[a", "x"),
            ("metadatab]", "x"),
            ("other[a]", "x"),
            (deep.as_str(), "x"),
        ];
        assert_eq!(parsed(&fields).unwrap(), Object::new());
        let clash = parsed(&[("metadata[a]", "1"), ("metadata[a][b]", "2"), ("metadata[a]", "3")]);
        assert_eq!(Value::Object(clash.unwrap()), json!({"a": "1"}));
    }

    #[test]
    fn json_wins_and_must_be_an_object() {
        let both = parsed(&[("metadata[a]", "1"), ("metadata", r#"{"b": 2, "c": null}"#)]);
        assert_eq!(Value::Object(both.unwrap()), json!({"b": 2, "c": null}));
        for wrong in ["", "x", "[]", "null", "1", "{} {}"] {
            assert!(parsed(&[("metadata", wrong)]).is_err(), "{wrong}");
        }
    }
}
