//! A filter in the platform's own query.
//!
//! What is sent lets through at least the files that the filter does; the caller checks every file again. The server
//! drops query fields it does not know, so a dialect without a filter simply sends more.

use jiff::{SignedDuration, Timestamp};

use crate::filter::{Comparison, Expr, Filter, Op, Value};

/// More ids than this would make a URL that proxies refuse.
const MAX_IDS: usize = 100;

/// One millisecond: the precision of the platform's dates.
const TICK: SignedDuration = SignedDuration::from_millis(1);

/// The query pairs of a filter: ids as repeated keys, the bounds of dates, and a purpose if it is one of `purposes`.
/// Another word for the purpose stays with the caller: the server refuses the whole listing for one it does not know.
pub(super) fn native(filter: &Filter, purposes: &[&str]) -> Vec<(&'static str, String)> {
    let mut pairs: Vec<(&'static str, String)> = Vec::new();
    let mut conditions = Vec::new();
    collect(&filter.expr, &mut conditions);
    for ids in
        conditions.iter().filter_map(|condition| ids(condition)).filter(|ids| ids.len() <= MAX_IDS).take(1)
    {
        pairs.extend(ids.into_iter().map(|id| ("id", id.to_owned())));
    }
    let comparisons = filter.conjuncts();
    for (field, after, before) in [
        ("created_at", "created_at[gt]", "created_at[lt]"),
        ("updated_at", "updated_at[gt]", "updated_at[lt]"),
    ] {
        let bounds: Vec<_> = comparisons.iter().filter(|c| c.field == field).map(|c| bounds(c)).collect();
        // A repeated key would be read as a list: only the tightest bound goes.
        pairs.extend(bounds.iter().filter_map(|(gt, _)| *gt).max().map(|at| (after, stamp(at))));
        pairs.extend(bounds.iter().filter_map(|(_, lt)| *lt).min().map(|at| (before, stamp(at))));
    }
    let purpose = comparisons.iter().find_map(|c| match &c.value {
        Value::Text(word) if c.field == "purpose" && c.op == Op::Eq => Some(word),
        _ => None,
    });
    pairs.extend(
        purpose.filter(|word| purposes.contains(&word.as_str())).map(|word| ("purpose", word.clone())),
    );
    pairs
}

/// Whether the filter names a purpose, so that it matters which ones the dialect has.
pub(super) fn names_purpose(filter: &Filter) -> bool {
    filter.conjuncts().iter().any(|comparison| comparison.field == "purpose")
}

/// An instant as the platform writes it: UTC, milliseconds, `Z`.
pub(super) fn stamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The conditions that all must hold.
fn collect<'a>(expr: &'a Expr, into: &mut Vec<&'a Expr>) {
    match expr {
        Expr::And(parts) => parts.iter().for_each(|part| collect(part, into)),
        other => into.push(other),
    }
}

/// The ids that a condition allows, if it is about ids only: `id = a`, or several of them joined by OR.
fn ids(condition: &Expr) -> Option<Vec<&str>> {
    match condition {
        Expr::Compare(Comparison { field, op: Op::Eq, value: Value::Text(id) }) if field == "id" => {
            Some(vec![id])
        }
        Expr::Or(parts) if !parts.is_empty() => {
            Some(parts.iter().map(ids).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// The strict bounds, in whole milliseconds, between which all files lie that pass a comparison.
fn bounds(comparison: &Comparison) -> (Option<Timestamp>, Option<Timestamp>) {
    let Value::Time(at) = comparison.value else { return (None, None) };
    let Ok(floor) =
        Timestamp::from_millisecond(at.as_nanosecond().div_euclid(1_000_000).try_into().unwrap_or(0))
    else {
        return (None, None);
    };
    let (before, after) = (floor.checked_sub(TICK).ok(), floor.checked_add(TICK).ok());
    match comparison.op {
        Op::Gt => (Some(floor), None),
        Op::Ge => (before, None),
        Op::Lt if floor == at => (None, Some(floor)),
        Op::Lt | Op::Le => (None, after),
        Op::Eq => (before, after),
        // The others say nothing about an interval.
        _ => (None, None),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn compare(field: &str, op: Op, value: Value) -> Expr {
        Expr::Compare(Comparison { field: field.to_owned(), op, value })
    }

    fn text(field: &str, value: &str) -> Expr {
        compare(field, Op::Eq, Value::Text(value.to_owned()))
    }

    fn created(op: Op, at: &str) -> Expr {
        compare("created_at", op, Value::Time(at.parse().unwrap()))
    }

    fn sent(expr: Expr) -> String {
        let pairs = native(&Filter { expr }, &["generic"]);
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn bounds_are_strict_and_never_too_tight() {
        let at = "2026-01-01T00:00:00Z";
        assert_eq!(sent(created(Op::Gt, at)), "created_at[gt]=2026-01-01T00:00:00.000Z");
        assert_eq!(sent(created(Op::Ge, at)), "created_at[gt]=2025-12-31T23:59:59.999Z");
        assert_eq!(sent(created(Op::Lt, at)), "created_at[lt]=2026-01-01T00:00:00.000Z");
        assert_eq!(sent(created(Op::Le, at)), "created_at[lt]=2026-01-01T00:00:00.001Z");
        assert_eq!(
            sent(created(Op::Eq, at)),
            "created_at[gt]=2025-12-31T23:59:59.999Z&created_at[lt]=2026-01-01T00:00:00.001Z"
        );
        // Between two ticks: the file of the tick itself is older, and passes.
        assert_eq!(
            sent(created(Op::Lt, "2026-01-01T00:00:00.0005Z")),
            "created_at[lt]=2026-01-01T00:00:00.001Z"
        );
        assert_eq!(
            sent(created(Op::Gt, "2026-01-01T00:00:00.0005Z")),
            "created_at[gt]=2026-01-01T00:00:00.000Z"
        );
        assert_eq!(sent(created(Op::Ne, at)), "");
    }

    #[test]
    fn of_several_bounds_the_tightest_goes_once() {
        let both = vec![created(Op::Gt, "2026-01-01T00:00:00Z"), created(Op::Gt, "2026-02-01T00:00:00Z")];
        assert_eq!(sent(Expr::And(both)), "created_at[gt]=2026-02-01T00:00:00.000Z");
    }

    #[test]
    fn ids_go_as_repeated_keys_also_when_joined_by_or() {
        assert_eq!(sent(text("id", "a")), "id=a");
        assert_eq!(sent(Expr::Or(vec![text("id", "a"), text("id", "b")])), "id=a&id=b");
        assert_eq!(sent(Expr::Or(vec![text("id", "a"), text("name", "b")])), "");
        let many = (0..=MAX_IDS).map(|n| text("id", &n.to_string())).collect();
        assert_eq!(sent(Expr::Or(many)), "");
    }

    #[test]
    fn only_a_purpose_that_the_dialect_has_is_sent() {
        assert_eq!(sent(text("purpose", "generic")), "purpose=generic");
        assert_eq!(sent(text("purpose", "assistants")), "");
        assert_eq!(sent(Expr::Not(Box::new(text("purpose", "generic")))), "");
        assert_eq!(sent(Expr::Or(vec![text("purpose", "generic"), text("name", "b")])), "");
        assert_eq!(sent(compare("purpose", Op::Has, Value::Text("generic".into()))), "");
    }
}
