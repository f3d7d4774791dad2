//! Evaluates a filter against a file.
//!
//! Memory is allocated only for a JSON number or boolean that is compared as text.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::field::{self, Kind};
use super::{Comparison, Equality, Expr, Op, Value, glob, value};
use crate::model::{File, Object};

pub(super) fn matches(expr: &Expr, file: &File, equality: Equality) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| matches(part, file, equality)),
        Expr::Or(parts) => parts.iter().any(|part| matches(part, file, equality)),
        Expr::Not(inner) => !matches(inner, file, equality),
        Expr::Compare(comparison) => compare(comparison, file, equality),
    }
}

/// The value found in a field.
enum Found<'a> {
    Text(&'a str),
    Size(u64),
    Time(Timestamp),
    Bool(bool),
    Json(&'a Json),
}

fn compare(comparison: &Comparison, file: &File, equality: Equality) -> bool {
    let field = comparison.field.as_str();
    let own = || file.extra.get(field).filter(|json| !json.is_null()).map(Found::Json);
    let (kind, found) = field::known(field)
        .map_or_else(|| (field::platform_kind(field), own()), |kind| (kind, find(field, file)));
    let is_set = found.is_some();
    match (&comparison.value, comparison.op) {
        (Value::Null, Op::Eq | Op::Has) | (Value::Present, Op::Ne) => !is_set,
        (Value::Null, Op::Ne) | (Value::Present, Op::Eq | Op::Has) => is_set,
        (_, Op::Ne) => {
            !found.is_some_and(|found| holds(field, kind, &found, Op::Eq, &comparison.value, equality))
        }
        (value, op) => found.is_some_and(|found| holds(field, kind, &found, op, value, equality)),
    }
}

fn find<'a>(field: &str, file: &'a File) -> Option<Found<'a>> {
    match field {
        "name" => Some(Found::Text(&file.name)),
        "id" => Some(Found::Text(file.id.as_str())),
        "provider" => Some(Found::Text(&file.provider)),
        "profile" => Some(Found::Text(&file.profile)),
        "size" => file.size.map(Found::Size),
        "content_type" => file.content_type.as_deref().map(Found::Text),
        "purpose" => file.purpose.as_deref().map(Found::Text),
        "path" => file.path.as_deref().map(Found::Text),
        "status" => file.status.as_deref().map(Found::Text),
        "url" => file.url.as_deref().map(Found::Text),
        "created_at" => file.created_at.map(Found::Time),
        "updated_at" => file.updated_at.map(Found::Time),
        "expires_at" => file.expires_at.map(Found::Time),
        "downloadable" => file.downloadable.map(Found::Bool),
        "checksums.sha256" => file.checksums.sha256.as_deref().map(Found::Text),
        "checksums.md5" => file.checksums.md5.as_deref().map(Found::Text),
        "checksums.blake3" => file.checksums.blake3.as_deref().map(Found::Text),
        _ => {
            let (object, path) = field.split_once('.')?;
            let object = if object == "metadata" { &file.metadata } else { &file.extra };
            lookup(object, path).filter(|json| !json.is_null()).map(Found::Json)
        }
    }
}

/// The value at a dotted path. A key that contains dots takes precedence over a nested key.
pub fn lookup<'a>(object: &'a Object, path: &str) -> Option<&'a Json> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| match object.get(&path[..dot]) {
        Some(Json::Object(inner)) => lookup(inner, &path[dot + 1..]),
        _ => None,
    })
}

/// Evaluates a comparison with a value that is set. Returns false if the types are incompatible.
fn holds(field: &str, kind: Kind, found: &Found, op: Op, value: &Value, equality: Equality) -> bool {
    match (found, value) {
        (Found::Text(have), Value::Text(want)) => text_holds(field, kind, have, op, want, equality),
        (Found::Size(have), Value::Size(want)) => ordered(Some(have.cmp(want)), op),
        (Found::Time(have), Value::Time(want)) => ordered(Some(have.cmp(want)), op),
        (Found::Bool(have), Value::Bool(want)) => matches!(op, Op::Eq | Op::Has) && have == want,
        (Found::Json(have), want) => json_holds(field, kind, have, op, want, equality),
        _ => false,
    }
}

fn text_holds(field: &str, kind: Kind, have: &str, op: Op, want: &str, equality: Equality) -> bool {
    match op {
        Op::Has if kind.has_parts() => has(have, want),
        Op::Eq if equality == Equality::Wildcards && field == "content_type" => has(have, want),
        Op::Eq if equality == Equality::Wildcards && field == "name" => wildcard(have, want),
        Op::Glob => glob::matches(want, have),
        _ => ordered(Some(have.cmp(want)), op),
    }
}

fn json_holds(field: &str, kind: Kind, have: &Json, op: Op, want: &Value, equality: Equality) -> bool {
    match (have, want) {
        (Json::Array(items), _) if op == Op::Has => {
            items.iter().any(|item| json_holds(field, kind, item, op, want, equality))
        }
        (Json::Object(object), Value::Text(want)) => op == Op::Has && object.contains_key(want),
        (Json::String(have), Value::Text(want)) => text_holds(field, kind, have, op, want, equality),
        (Json::Number(have), Value::Number(want)) => {
            ordered(have.as_f64().and_then(|have| have.partial_cmp(want)), op)
        }
        // Platforms with text-only metadata store numbers as text.
        (Json::String(have), Value::Number(want)) => {
            ordered(value::number(have).and_then(|have| have.partial_cmp(want)), op)
        }
        (Json::Bool(have), Value::Bool(want)) => op == Op::Eq && have == want,
        (Json::String(have), Value::Bool(want)) => {
            op == Op::Eq && have == if *want { "true" } else { "false" }
        }
        // A time in one of the platform's own fields: RFC 3339 or Unix seconds.
        (Json::String(have), Value::Time(want)) => {
            ordered(have.parse::<Timestamp>().ok().map(|have| have.cmp(want)), op)
        }
        (Json::Number(have), Value::Time(want)) => {
            let instant = have.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
            ordered(instant.map(|have| have.cmp(want)), op)
        }
        // A number or a boolean compared as text: `:` matches the whole text unless the pattern starts or ends with
        // `*`.
        (Json::Number(_) | Json::Bool(_), Value::Text(want)) => {
            let op =
                if op == Op::Has && !want.starts_with('*') && !want.ends_with('*') { Op::Eq } else { op };
            text_holds(field, kind, &have.to_string(), op, want, equality)
        }
        _ => false,
    }
}

fn ordered(ordering: Option<Ordering>, op: Op) -> bool {
    ordering.is_some_and(|ordering| match op {
        Op::Has | Op::Eq => ordering.is_eq(),
        Op::Lt => ordering.is_lt(),
        Op::Le => ordering.is_le(),
        Op::Gt => ordering.is_gt(),
        Op::Ge => ordering.is_ge(),
        Op::Ne | Op::Glob => false,
    })
}

/// Whether `text` contains `pattern`, ignoring case. If the pattern ends with `*`, the text must start with the rest of
/// the pattern; if the pattern starts with `*`, the text must end with the rest.
fn has(text: &str, pattern: &str) -> bool {
    if let Some(core) = pattern.strip_prefix('*') {
        return match core.strip_suffix('*') {
            Some(core) => contains(text, core),
            None => ends_with(text, core),
        };
    }
    match pattern.strip_suffix('*') {
        Some(start) => starts_with(text, start),
        None => contains(text, pattern),
    }
}

/// The characters in lowercase. One character can become several.
fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn contains(text: &str, part: &str) -> bool {
    if part.is_empty() {
        return true;
    }
    if text.is_ascii() && part.is_ascii() {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let first = part[0].to_ascii_lowercase();
        return text
            .windows(part.len())
            .any(|window| window[0].to_ascii_lowercase() == first && window.eq_ignore_ascii_case(part));
    }
    text.char_indices().any(|(at, _)| starts_with(&text[at..], part))
}

fn starts_with(text: &str, start: &str) -> bool {
    let mut text = folded(text);
    folded(start).all(|c| text.next() == Some(c))
}

fn ends_with(text: &str, end: &str) -> bool {
    let mut text = folded(text).rev();
    folded(end).rev().all(|c| text.next() == Some(c))
}

/// Whether `text` matches `pattern`, in which each `*` matches any text. Case-sensitive.
fn wildcard(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first occurrence of each part leaves the most text for the other parts.
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_searches_for_a_part_ignoring_case() {
        let cases = [
            ("Report.pdf", "report", true),
            ("Report.pdf", "PDF", true),
            ("Report.pdf", "reports", false),
            ("Report.pdf", "rep*", true),
            ("Report.pdf", "port*", false),
            ("Report.pdf", "*.PDF", true),
            ("Report.pdf", "*port", false),
            ("Report.pdf", "*port*", true),
            ("Report.pdf", "", true),
            ("", "x", false),
            ("", "", true),
            ("", "*", true),
            ("anything", "**", true),
            ("ÜBER.txt", "über", true),
            ("größe", "GRÖSSE", false),
            ("20 K\u{212a}", "kk", true),
            ("ÜBER.txt", "üb*", true),
            ("café", "*FÉ", true),
            ("a*b", "a*b", true),
            ("axb", "a*b", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(has(text, pattern), expected, "{text:?} : {pattern:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("report.pdf", "report.pdf", true),
            ("report.pdf", "Report.pdf", false),
            ("report.pdf", "rep*", true),
            ("report.pdf", "*.pdf", true),
            ("report.pdf", "r*.pdf", true),
            ("report.pdf", "r*t*p*f", true),
            ("report.pdf", "*", true),
            ("report.pdf", "r*x*f", false),
            ("aa", "a*a", true),
            ("a", "a*a", false),
            ("ab", "a*b*b", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(wildcard(text, pattern), expected, "{text:?} = {pattern:?}");
        }
    }
}
