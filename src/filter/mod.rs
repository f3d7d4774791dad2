//! An expression language for selecting files. It is similar to AIP-160, but mixing AND and OR requires parentheses.
//!
//! `size > 10MB AND (name:report OR name:invoice)` selects files larger than 10 MB whose name contains either word.
//!
//! | field | `:` | `=` `!=` | `<` `<=` `>` `>=` | `~` |
//! | --- | --- | --- | --- | --- |
//! | `name`, `content_type`, `purpose`, `path`, `url` | part of the text, ignoring case; `x*` the start, `*x` the end | the whole text, case-sensitive | no | pattern |
//! | `id`, `status`, `provider`, `profile`, `checksums.sha256`, `.md5`, `.blake3` | same as `=` | the whole text, case-sensitive (not in a checksum) | no | pattern |
//! | `size` | same as `=` | bytes; `10MB` is 10^7, `10MiB` 10 · 2^20 | yes | no |
//! | `created_at`, `updated_at`, `expires_at` | same as `=` | an instant; `2026-01-31` is the start of that day in UTC; `-7d`, `+24h`, `-1h30m` from now | yes | no |
//! | `downloadable` | same as `=` | `true`, `false` | no | no |
//! | `metadata.KEY`, `extra.KEY` | part of a string, an item of an array, a key of an object, or all of a number | a bare number or `true` by value (even if the platform stores it as text), otherwise as text | numbers by value, text by code point | no |
//!
//! - `= null`, `!= null` and `:*` (is set) work with every field. Any other comparison with an unset field is false,
//!   except `!=`, which is true.
//! - `~` matches a shell pattern: `*`, `?`, `[a-z]`, `{pdf,txt}`; case-sensitive. It is an extension of AIP-160.
//! - `size_bytes`, `file_name`, `file_id` and `public_url` are aliases for `size`, `name`, `id` and `url`.
//! - The caller passes the fields that only one platform has ([`Filter::parse_with`]); their values are keys in
//!   `extra`. A field whose name ends in `_at` is an instant; any other field is a word.
//! - Nested keys have dots: `metadata.author.name`. A key that is not a plain word must be quoted: `metadata."my key"`.
//!
//! This module treats a missing value as unset. If listings never return a field, its value is unknown, and the
//! providers reject a filter on that field before it is evaluated.

mod eval;
mod expr;
mod field;
mod glob;
mod parse;
mod problem;
mod value;

use jiff::Timestamp;

pub use eval::lookup;
pub use expr::{Comparison, Expr, Op, Precision, Value};
pub use glob::PathGlobs;

use crate::error::{Error, Result};
use crate::model::File;

/// A parsed filter. The default value matches every file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Filter {
    /// The expression.
    pub expr: Expr,
}

/// The grammar that a filter is parsed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grammar {
    /// haul's own grammar: AND and OR cannot be mixed without parentheses.
    Haul,
    /// AIP-160: OR binds more tightly than AND.
    Aip160,
}

/// What `=` means for names and media types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Equality {
    /// The whole text must match, as in the table above.
    #[default]
    Exact,
    /// In `name =`, each `*` matches any text; `content_type =` is equivalent to `content_type:`.
    Wildcards,
}

impl Filter {
    /// Parses a filter. Relative times are relative to `now`. Errors (usage, exit 2) name the column.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self> {
        Self::parse_with(text, now, &[])
    }

    /// Parses an instant as in a filter: `2026-01-31`, RFC 3339, or relative to `now`, such as `-7d`.
    pub fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
        value::time(text, now)
    }

    /// Parses a filter that can also contain a platform's own fields, such as `user_defined_id`.
    pub fn parse_with(text: &str, now: Timestamp, platform_fields: &[&str]) -> Result<Self> {
        parse::parse(text, now, platform_fields, Grammar::Haul)
    }

    /// Parses a filter the way AIP-160 servers do: OR binds more tightly than AND.
    pub fn parse_aip160(text: &str, now: Timestamp, platform_fields: &[&str]) -> Result<Self> {
        parse::parse(text, now, platform_fields, Grammar::Aip160)
    }

    /// The first comparison of a whole text with something that looks like a pattern, such as `name = *.txt`.
    pub fn pattern_as_text(&self) -> Option<&Comparison> {
        fn find(expr: &Expr) -> Option<&Comparison> {
            match expr {
                Expr::And(parts) | Expr::Or(parts) => parts.iter().find_map(find),
                Expr::Not(inner) => find(inner),
                Expr::Compare(comparison) => {
                    let is_whole = matches!(comparison.op, Op::Eq | Op::Ne);
                    let is_pattern =
                        matches!(&comparison.value, Value::Text(text) if text.contains(['*', '?']));
                    (is_whole && is_pattern && field::takes_patterns(&comparison.field)).then_some(comparison)
                }
            }
        }
        find(&self.expr)
    }

    /// Matches names with a shell pattern, as in `ls '*.{pdf,txt}'`. A pattern without wildcards matches exactly that
    /// name.
    pub fn glob(pattern: &str) -> Result<Self> {
        let expr = parse::any_glob("name", pattern).map_err(Error::usage)?;
        let literal = match &expr {
            Expr::Compare(Comparison { value: Value::Text(pattern), .. }) => glob::literal(pattern),
            _ => None,
        };
        Ok(literal.map_or(Self { expr }, |name| Self::name_is(&name)))
    }

    /// Matches exactly this name.
    pub fn name_is(name: &str) -> Self {
        Self::equals("name", name)
    }

    /// Matches exactly this id.
    pub fn id_is(id: &str) -> Self {
        Self::equals("id", id)
    }

    /// Matches `field = text`.
    pub fn equals(field: &str, text: &str) -> Self {
        let value = Value::Text(text.to_owned());
        Self { expr: Expr::Compare(Comparison { field: field.to_owned(), op: Op::Eq, value }) }
    }

    /// Matches names or ids (`field`) that start with this text. Case-sensitive.
    pub fn starts_with(field: &str, start: &str) -> Self {
        let bound = |op, text: String| {
            Expr::Compare(Comparison { field: field.to_owned(), op, value: Value::Text(text) })
        };
        // The upper bound is the smallest text that sorts after all matching texts: `start` with its last character
        // incremented.
        let chars: Vec<char> = start.chars().collect();
        let end = (0..chars.len()).rev().find_map(|at| {
            let next = (chars[at]..=char::MAX).nth(1)?;
            Some(chars[..at].iter().copied().chain([next]).collect())
        });
        let bounds = [Some((Op::Ge, start.to_owned())), end.map(|end| (Op::Lt, end))];
        Self { expr: Expr::all(bounds.into_iter().flatten().map(|(op, text)| bound(op, text)).collect()) }
    }

    /// Matches media types that contain this text, such as `pdf` or `image/*`.
    pub fn type_has(text: &str) -> Self {
        let value = Value::Text(text.to_owned());
        Self { expr: Expr::Compare(Comparison { field: "content_type".to_owned(), op: Op::Has, value }) }
    }

    /// Matches times before or after this one; `op` is one of `<`, `<=`, `>`, `>=`.
    pub fn time(field: &str, op: Op, time: Timestamp) -> Self {
        Self { expr: Expr::Compare(Comparison { field: field.to_owned(), op, value: Value::Time(time) }) }
    }

    /// Combines two filters with AND.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { expr: Expr::all(vec![self.expr, other.expr]) }
    }

    /// Whether the filter matches every file.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// Whether the filter matches `file`.
    pub fn matches(&self, file: &File) -> bool {
        self.matches_as(file, Equality::Exact)
    }

    /// Like [`matches`](Self::matches), but with the given meaning of `=`.
    pub fn matches_as(&self, file: &File, equality: Equality) -> bool {
        eval::matches(&self.expr, file, equality)
    }

    /// The conditions that must all be true: the operands of the outermost AND, or the whole expression.
    pub fn conditions(&self) -> &[Expr] {
        match &self.expr {
            Expr::And(parts) => parts,
            expr => std::slice::from_ref(expr),
        }
    }

    /// The comparisons that must all be true: the filter itself, or the operands of its outermost AND.
    pub fn conjuncts(&self) -> Vec<&Comparison> {
        fn collect<'a>(expr: &'a Expr, into: &mut Vec<&'a Comparison>) {
            match expr {
                Expr::And(parts) => parts.iter().for_each(|part| collect(part, into)),
                Expr::Compare(comparison) => into.push(comparison),
                Expr::Or(_) | Expr::Not(_) => {}
            }
        }
        let mut found = Vec::new();
        collect(&self.expr, &mut found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_the_same_start_lie_between_two_bounds() {
        let passes = |start: &str, name: &str| {
            let file = File { name: name.to_owned(), ..File::default() };
            Filter::starts_with("name", start).matches(&file)
        };
        let starts = ["a", "ab", "ab\u{10ffff}", "\u{10ffff}", "\u{d7ff}", "z\u{7f}", "Ü", "日本", ""];
        let more = ["", "\0", "a", "\u{10ffff}", "\u{e000}"];
        for start in starts {
            for other in starts {
                for name in more.map(|more| format!("{other}{more}")) {
                    assert_eq!(passes(start, &name), name.starts_with(start), "{start:?} {name:?}");
                }
            }
        }
    }
}
