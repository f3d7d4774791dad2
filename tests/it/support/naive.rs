//! A naive evaluator of filters, written from the table in the module's documentation. It works on a file's JSON
//! output and ignores speed.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use haul::filter::{Comparison, Expr, Op, Value};
use haul::model::File;
use jiff::Timestamp;
use serde_json::Value as Json;

/// Whether a file matches.
pub fn matches_filter(expr: &Expr, file: &Json) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| matches_filter(part, file)),
        Expr::Or(parts) => parts.iter().any(|part| matches_filter(part, file)),
        Expr::Not(inner) => !matches_filter(inner, file),
        Expr::Compare(comparison) => compares(comparison, file),
    }
}

fn compares(comparison: &Comparison, file: &Json) -> bool {
    let Comparison { field, op, value } = comparison;
    let (found, is_text) = match field.as_str() {
        "name" | "content_type" | "purpose" | "path" | "url" => (file[field].clone(), true),
        _ => match field.split_once('.') {
            Some(("checksums", kind)) => (file["checksums"][kind].clone(), false),
            Some((object, path)) => (at(&file[object], path).unwrap_or(Json::Null), true),
            None if File::FIELDS.contains(&field.as_str()) => (file[field].clone(), false),
            // A field that only one platform has.
            None => (file["extra"][field].clone(), false),
        },
    };
    let is_json = field.starts_with("metadata.") || field.starts_with("extra.");
    let is_set = !found.is_null();
    match (value, op) {
        (Value::Null, Op::Ne) | (Value::Present, Op::Eq | Op::Has) => is_set,
        (Value::Null | Value::Present, _) => !is_set,
        (value, Op::Ne) => !is_set || !holds_of(&found, Op::Eq, value, is_text, is_json),
        (value, op) => is_set && holds_of(&found, *op, value, is_text, is_json),
    }
}

/// Resolves a dotted path. A key equal to the whole path takes precedence; then the shortest key that leads to a value.
fn at(object: &Json, path: &str) -> Option<Json> {
    let object = object.as_object()?;
    if let Some(value) = object.get(path) {
        return Some(value.clone());
    }
    (0..path.len())
        .filter(|dot| path.as_bytes()[*dot] == b'.')
        .filter(|dot| object.get(&path[..*dot]).is_some_and(Json::is_object))
        .find_map(|dot| at(&object[&path[..dot]], &path[dot + 1..]))
}

fn holds_of(found: &Json, op: Op, value: &Value, is_text: bool, is_json: bool) -> bool {
    if is_json && op == Op::Has {
        if let Json::Array(items) = found {
            return items.iter().any(|item| holds_of(item, op, value, is_text, is_json));
        }
        if let (Json::Object(object), Value::Text(key)) = (found, value) {
            return object.contains_key(key);
        }
    }
    match value {
        Value::Text(want) => {
            let (have, parts) = match found {
                Json::String(text) => (text.clone(), is_text),
                Json::Number(_) | Json::Bool(_) if is_json => {
                    (found.to_string(), want.starts_with('*') || want.ends_with('*'))
                }
                _ => return false,
            };
            match op {
                Op::Has if parts => has(&have, want),
                Op::Glob => {
                    glob_matches(&want.chars().collect::<Vec<_>>(), &have.chars().collect::<Vec<_>>())
                }
                op => ordered(have.as_bytes().cmp(want.as_bytes()), op),
            }
        }
        Value::Number(want) => {
            let have = match found {
                Json::String(text) if is_json => text.parse::<f64>().ok().filter(|_| plain_number(text)),
                found => found.as_f64(),
            };
            have.and_then(|have| have.partial_cmp(want)).is_some_and(|order| ordered(order, op))
        }
        Value::Size(want) => found.as_u64().is_some_and(|have| ordered(have.cmp(want), op)),
        Value::Bool(want) => {
            let same = match found {
                Json::String(text) => is_json && *text == want.to_string(),
                found => found.as_bool() == Some(*want),
            };
            op == Op::Eq && same
        }
        Value::Time(want) => {
            let have = match found {
                Json::String(text) => text.parse().ok(),
                seconds => seconds.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok()),
            };
            have.is_some_and(|have| ordered(have.cmp(want), op))
        }
        Value::Null | Value::Present => unreachable!("handled by the caller"),
    }
}

/// Whether text is a JSON number in canonical form: not `007`, and no integer that a float may not represent exactly.
fn plain_number(text: &str) -> bool {
    let is_number = serde_json::from_str::<Json>(text).is_ok_and(|value| value.is_number());
    let digits = text.trim_start_matches('-');
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        && !text.contains(char::is_whitespace)
        && (!whole || digits.parse::<u64>().is_ok_and(|n| n < 1 << 53))
}

fn ordered(order: std::cmp::Ordering, op: Op) -> bool {
    match op {
        Op::Eq | Op::Has => order.is_eq(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
        Op::Ne | Op::Glob => unreachable!("handled by the caller"),
    }
}

fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

pub fn has(text: &str, want: &str) -> bool {
    let starts = |rest: &str, part: &str| folded(rest).starts_with(&folded(part));
    let anywhere =
        |part: &str| part.is_empty() || text.char_indices().any(|(at, _)| starts(&text[at..], part));
    match (want.strip_prefix('*'), want.strip_suffix('*')) {
        (Some(core), _) if core.ends_with('*') => anywhere(&core[..core.len() - 1]),
        (Some(end), _) => folded(text).ends_with(&folded(end)),
        (None, Some(start)) => starts(text, start),
        (None, None) => anywhere(want),
    }
}

/// Matches a shell pattern by exhaustive search.
pub fn glob_matches(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    let one = |matches: &dyn Fn(char) -> bool, rest: &[char]| {
        text.split_first().is_some_and(|(c, text)| matches(*c) && glob_matches(rest, text))
    };
    match first {
        '*' => (0..=text.len()).any(|skipped| glob_matches(rest, &text[skipped..])),
        '?' => one(&|_| true, rest),
        '\\' => match rest.split_first() {
            Some((next, rest)) => one(&|c| c == *next, rest),
            None => one(&|c| c == '\\', rest),
        },
        '[' => {
            let negated = matches!(rest.first(), Some('!' | '^'));
            let items = &rest[usize::from(negated)..];
            // A bracket as the first item is literal.
            let close = (1..items.len()).find(|at| items[*at] == ']');
            let Some(close) = close else { return one(&|c| c == '[', rest) };
            let (items, rest) = (&items[..close], &items[close + 1..]);
            let within = |c: char| {
                let mut at = 0;
                let mut found = false;
                while at < items.len() {
                    let is_range = at + 2 < items.len() && items[at + 1] == '-';
                    let high = if is_range { items[at + 2] } else { items[at] };
                    found |= items[at] <= c && c <= high;
                    at += if is_range { 3 } else { 1 };
                }
                found
            };
            one(&|c| within(c) != negated, rest)
        }
        literal => one(&|c| c == *literal, rest),
    }
}
