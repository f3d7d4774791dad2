//! Field, operator and word to comparison: what fits what, and the one form of each.

use jiff::Timestamp;

use super::field::Kind;
use super::parse::{Parsed, Word};
use super::problem::clipped;
use super::{Comparison, Expr, Op, Value, glob, value};

/// The comparison in its one form: `:` becomes `=` where it means the same, `= *` becomes `:*`, `!= *` becomes
/// `= null`, and a pattern with braces becomes several.
pub(super) fn build(field: &str, kind: Kind, op: Op, word: &Word, now: Timestamp) -> Parsed<Expr> {
    let refuse = |what: &str| Err(word.problem(format!("{what} cannot be compared by `{}`", op.symbol())));
    let shown = clipped(field);
    let one = |op, value| Ok(Expr::Compare(Comparison { field: field.to_owned(), op, value }));
    if !kind.takes(op) {
        let ops = Op::ALL.iter().filter(|op| kind.takes(**op)).map(|op| format!("`{}`", op.symbol()));
        let fits = format!("`{shown}` takes {}", ops.collect::<Vec<_>>().join(" "));
        return Err(word.problem(format!("`{shown}` cannot be compared by `{}`", op.symbol())).hint(fits));
    }
    if !word.quoted && word.text == "null" {
        return match op {
            Op::Has | Op::Eq => one(Op::Eq, Value::Null),
            Op::Ne => one(Op::Ne, Value::Null),
            _ => refuse("`null`"),
        };
    }
    if !word.quoted && word.text == "*" && op != Op::Glob {
        return match op {
            Op::Has | Op::Eq => one(Op::Has, Value::Present),
            Op::Ne => one(Op::Eq, Value::Null),
            _ => refuse("`*`"),
        };
    }
    if op == Op::Glob {
        return any_glob(field, &word.text).map_err(|what| word.problem(what));
    }
    let value = typed(field, kind, op, word, now)?;
    one(if op == Op::Has && !kind.has_parts() { Op::Eq } else { op }, value)
}

/// The value as the field's type.
fn typed(field: &str, kind: Kind, op: Op, word: &Word, now: Timestamp) -> Parsed<Value> {
    let text = &word.text;
    let field = clipped(field);
    let bad = |what: &str, hint: &str| {
        word.problem(format!("`{}` is not {what}, which `{field}` is compared with", clipped(text)))
            .hint(hint)
    };
    Ok(match kind {
        Kind::Text | Kind::Exact => Value::Text(text.clone()),
        Kind::Hex => Value::Text(text.to_ascii_lowercase()),
        Kind::Json if word.quoted || op == Op::Has => Value::Text(text.clone()),
        Kind::Json => value::json(text),
        Kind::Size => value::size(text).ok_or_else(|| bad("a size", "sizes: 1000, 10MB, 1.5GiB"))?,
        Kind::Time => value::time(text, now).ok_or_else(|| {
            bad("a time", "times: 2026-01-31, 2026-01-31T10:00:00Z, -7d, +24h, -1h30m (w, d, h, m, s)")
        })?,
        Kind::Bool => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(bad("`true` or `false`", &format!("`{field} = true`"))),
        },
    })
}

/// `field ~ pattern`, one comparison for each choice of its braces. The error is what is wrong.
pub(super) fn any_glob(field: &str, pattern: &str) -> std::result::Result<Expr, String> {
    if pattern.len() > glob::LONGEST {
        return Err(format!("the pattern is {} bytes long; it may have {}", pattern.len(), glob::LONGEST));
    }
    let patterns = glob::expand(pattern).ok_or_else(|| {
        format!("the braces of `{}` make more than {} patterns", clipped(pattern), glob::MOST)
    })?;
    let compare = |pattern| {
        Expr::Compare(Comparison { field: field.to_owned(), op: Op::Glob, value: Value::Text(pattern) })
    };
    Ok(Expr::any(patterns.into_iter().map(compare).collect()))
}
