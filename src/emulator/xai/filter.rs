//! xAI's filters: the grammar and the meaning are those of `crate::filter`, but only the documented fields and values
//! are known. What haul's own filters add (`~`, `10MB`, `-7d`) is refused, as the service would refuse it.

use jiff::Timestamp;

use super::refusal::Refusal;
use crate::filter::{Comparison, Filter, Op, Precision, Value};

/// Fields of the shared grammar that only this platform has.
const OWN: [&str; 3] = ["user_defined_id", UPLOAD_STATUS, "public_url_expires_at"];
/// The field under which the shared grammar finds what the store keeps as the status.
pub(super) const UPLOAD_STATUS: &str = "upload_status";

/// What is compared with a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Integer,
    Time,
}

/// The documented fields.
const FIELDS: [(&str, Takes); 11] = [
    ("name", Takes::Text),
    ("file_name", Takes::Text),
    ("file_id", Takes::Text),
    ("user_defined_id", Takes::Text),
    ("content_type", Takes::Text),
    (UPLOAD_STATUS, Takes::Text),
    ("public_url", Takes::Text),
    ("size_bytes", Takes::Integer),
    ("created_at", Takes::Time),
    ("expires_at", Takes::Time),
    ("public_url_expires_at", Takes::Time),
];

/// Parses a filter.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Filter, Refusal> {
    let invalid = |what: &str| Refusal::invalid(format!("Invalid filter: {what}"));
    let filter = Filter::parse_with(text, now, &OWN).map_err(|error| invalid(error.message()))?;
    for restriction in restrictions(text) {
        let Restriction { field, operator, value } = restriction;
        let Some((_, takes)) = FIELDS.iter().find(|(name, _)| *name == field) else {
            return Err(invalid(&format!("unknown field `{field}`")));
        };
        let fits = match takes {
            Takes::Text => true,
            _ if matches!(value, "null" | "*") => true,
            Takes::Integer => value.parse::<i64>().is_ok(),
            Takes::Time => value.parse::<Timestamp>().is_ok(),
        };
        if !fits {
            return Err(invalid(&format!("`{value}` cannot be compared with `{field}`")));
        }
        if operator.contains('~') {
            return Err(invalid("unknown operator `~`"));
        }
    }
    Ok(filter)
}

/// The part of a filter that the store can decide: every file that passes the filter passes this, too.
pub(super) fn for_store(filter: &Filter) -> Option<Filter> {
    filter.native(|Comparison { field, op, value }| {
        let decides = match (field.as_str(), op, value) {
            // A `*` in a name is a wildcard here.
            ("name", Op::Eq, Value::Text(name)) => !name.contains('*'),
            ("id", Op::Eq, _) | ("created_at", Op::Lt | Op::Le | Op::Gt | Op::Ge, _) => true,
            _ => false,
        };
        decides.then_some(Precision::Exact)
    })
}

/// One comparison as it is written, the value without its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Restriction<'a> {
    field: &'a str,
    operator: &'a str,
    value: &'a str,
}

/// The comparisons of a text that is known to be a filter.
fn restrictions(text: &str) -> Vec<Restriction<'_>> {
    let is_operator = |c: char| "=!<>:~".contains(c);
    let is_end = |c: char| c.is_whitespace() || "(),\"'".contains(c);
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "(),-".contains(c));
        if rest.is_empty() {
            return found;
        }
        let (field, after) = split(rest, |c| is_end(c) || is_operator(c));
        let (operator, after) = split(after.trim_start(), |c| !is_operator(c));
        if operator.is_empty() {
            if field.is_empty() {
                // A quoted part of a field's name, which no field here has.
                found.push(Restriction { field: rest, operator, value: "" });
                return found;
            }
            rest = after; // AND, OR, NOT
            continue;
        }
        let after = after.trim_start().trim_start_matches(is_operator).trim_start();
        let value;
        (value, rest) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(after, quote),
            _ => split(after, is_end),
        };
        found.push(Restriction { field, operator, value });
    }
}

/// The text up to the first character that fits, and from there.
fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// What stands in the quotes that a text begins with, and what follows them.
fn quoted(text: &str, quote: char) -> (&str, &str) {
    let inside = &text[1..];
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return (&inside[..at], &inside[at + 1..]),
            _ => {}
        }
    }
    (inside, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        parse(text, Timestamp::UNIX_EPOCH).is_err()
    }

    #[test]
    fn the_documented_filters_are_known() {
        let known = [
            "",
            "name:\"report\"",
            "name:prefix*",
            "file_id = \"file_123\"",
            "size_bytes > 1000 AND upload_status = \"Complete\"",
            "size_bytes:>5000000 upload_status:!Failed",
            "content_type:application/pdf OR content_type = 'a \\' b:~x'",
            "created_at > \"2024-01-01T00:00:00Z\"",
            "NOT (expires_at < 2026-01-01T00:00:00+02:00 OR expires_at:*)",
            "-public_url != null AND (public_url_expires_at = null)",
            "user_defined_id = \"mine\"",
            "name = \"~10MB\"",
        ];
        for text in known {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn what_only_haul_knows_is_refused() {
        let unknown = [
            "purpose = assistants",
            "id = file_1",
            "size > 5",
            "metadata.a = 1",
            "metadata.\"a b\" = 1",
            "checksums.sha256 = aa",
            "name ~ *.pdf",
            "size_bytes > 10MB",
            "size_bytes > 1.5",
            "created_at > -7d",
            "created_at > 2024-01-01",
            "name:a AND (size_bytes = 1 OR status = x)",
        ];
        for text in unknown {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let broken = [
            "report",
            "name",
            "name:",
            "name = \"a",
            "(name:a",
            "name:a)",
            "AND",
            "name:a OR",
            "Name:a",
            "name > a",
            "content_type < a",
            "upload_status >= a",
            "size_bytes > x",
            "name < null",
        ];
        for text in broken {
            assert!(refused(text), "{text}");
        }
    }
}
