//! Expression and file to yes or no.
//!
//! Nothing is allocated for a file, but for a JSON number that is compared as text.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::field::{self, Kind};
use super::{Comparison, Expr, Op, Semantics, Value, glob, text, value};
use crate::model::{File, Object};

pub(super) fn matches(expr: &Expr, file: &File, semantics: Semantics) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| matches(part, file, semantics)),
        Expr::Or(parts) => parts.iter().any(|part| matches(part, file, semantics)),
        Expr::Not(inner) => !matches(inner, file, semantics),
        Expr::Compare(comparison) => compare(comparison, file, semantics),
    }
}

/// What a file has in a field.
enum Found<'a> {
    Text(&'a str),
    Number(f64),
    Time(Timestamp),
    Bool(bool),
    Json(&'a Json),
}

fn compare(comparison: &Comparison, file: &File, semantics: Semantics) -> bool {
    let field = comparison.field.as_str();
    let own = || file.extra.get(field).filter(|json| !json.is_null()).map(Found::Json);
    let (kind, found) = field::known(field)
        .map_or_else(|| (field::platform_kind(field), own()), |kind| (kind, find(field, file)));
    let is_set = found.is_some();
    match (&comparison.value, comparison.op) {
        (Value::Null, Op::Eq | Op::Has) | (Value::Present, Op::Ne) => !is_set,
        (Value::Null, Op::Ne) | (Value::Present, Op::Eq | Op::Has) => is_set,
        (_, Op::Ne) => {
            !found.is_some_and(|found| holds(field, kind, &found, Op::Eq, &comparison.value, semantics))
        }
        (value, op) => found.is_some_and(|found| holds(field, kind, &found, op, value, semantics)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes in filters are below 2^53")]
fn find<'a>(field: &str, file: &'a File) -> Option<Found<'a>> {
    match field {
        "name" => Some(Found::Text(&file.name)),
        "id" => Some(Found::Text(file.id.as_str())),
        "provider" => Some(Found::Text(&file.provider)),
        "profile" => Some(Found::Text(&file.profile)),
        "size" => file.size.map(|size| Found::Number(size as f64)),
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

/// The value at a dotted path. A key that has dots itself comes before a nested one.
pub fn lookup<'a>(object: &'a Object, path: &str) -> Option<&'a Json> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| match object.get(&path[..dot]) {
        Some(Json::Object(inner)) => lookup(inner, &path[dot + 1..]),
        _ => None,
    })
}

/// Whether a value that is set compares as asked. A comparison that makes no sense does not hold.
fn holds(field: &str, kind: Kind, found: &Found, op: Op, value: &Value, semantics: Semantics) -> bool {
    match (found, value) {
        (Found::Text(have), Value::Text(want)) => text_holds(field, kind, have, op, want, semantics),
        (Found::Number(have), Value::Number(want)) => ordered(have.partial_cmp(want), op),
        (Found::Time(have), Value::Time(want)) => ordered(Some(have.cmp(want)), op),
        (Found::Bool(have), Value::Bool(want)) => matches!(op, Op::Eq | Op::Has) && have == want,
        (Found::Json(have), want) => json_holds(field, kind, have, op, want, semantics),
        _ => false,
    }
}

fn text_holds(field: &str, kind: Kind, have: &str, op: Op, want: &str, semantics: Semantics) -> bool {
    match op {
        Op::Has if kind.has_parts() => text::has(have, want),
        Op::Eq if semantics == Semantics::Xai && field == "content_type" => text::has(have, want),
        Op::Eq if semantics == Semantics::Xai && field == "name" => text::wildcard(have, want),
        Op::Glob => glob::matches(want, have),
        _ => ordered(Some(have.cmp(want)), op),
    }
}

fn json_holds(field: &str, kind: Kind, have: &Json, op: Op, want: &Value, semantics: Semantics) -> bool {
    match (have, want) {
        (Json::Array(items), _) if op == Op::Has => {
            items.iter().any(|item| json_holds(field, kind, item, op, want, semantics))
        }
        (Json::Object(object), Value::Text(want)) => op == Op::Has && object.contains_key(want),
        (Json::String(have), Value::Text(want)) => text_holds(field, kind, have, op, want, semantics),
        (Json::Number(have), Value::Number(want)) => {
            ordered(have.as_f64().and_then(|have| have.partial_cmp(want)), op)
        }
        // Platforms whose metadata is all text hold numbers as text.
        (Json::String(have), Value::Number(want)) => {
            ordered(value::number(have).and_then(|have| have.partial_cmp(want)), op)
        }
        (Json::Bool(have), Value::Bool(want)) => op == Op::Eq && have == want,
        (Json::String(have), Value::Bool(want)) => {
            op == Op::Eq && have == if *want { "true" } else { "false" }
        }
        // A platform's own time: RFC 3339 or Unix seconds.
        (Json::String(have), Value::Time(want)) => {
            ordered(have.parse::<Timestamp>().ok().map(|have| have.cmp(want)), op)
        }
        (Json::Number(have), Value::Time(want)) => {
            let instant = have.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
            ordered(instant.map(|have| have.cmp(want)), op)
        }
        // A number or a truth value as text: `:` asks for all of it, or for what stands beside a `*`.
        (Json::Number(_) | Json::Bool(_), Value::Text(want)) => {
            let op =
                if op == Op::Has && !want.starts_with('*') && !want.ends_with('*') { Op::Eq } else { op };
            text_holds(field, kind, &have.to_string(), op, want, semantics)
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
