//! Filters as data: building them, selecting the part that a platform evaluates, and printing them.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;

use super::{Filter, glob, value};
#[cfg(doc)]
use crate::model::File;

/// An expression. The parser builds it with [`Expr::all`], [`Expr::any`] and [`Expr::negated`], so that it contains
/// no AND inside an AND, no OR inside an OR, no list with a single element, and no NOT that a comparator could
/// express. Only a complete filter can be empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of these are true. An empty list is true.
    And(Vec<Expr>),
    /// Any of these is true. An empty list is false.
    Or(Vec<Expr>),
    /// This is not true.
    Not(Box<Expr>),
    /// A single comparison.
    Compare(Comparison),
}

/// `field op value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// One of [`File::FIELDS`] (the parser resolves aliases), `metadata.key`, `extra.key`, `checksums.sha256`, or a
    /// platform's own field.
    pub field: String,
    /// The comparator.
    pub op: Op,
    /// The right-hand side.
    pub value: Value,
}

/// A comparator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `:` searches for part of a string; a `*` at the start or end is a wildcard. The parser uses it only with text,
    /// JSON and [`Value::Present`]; for other types it is equivalent to `=` and parsed as `=`.
    Has,
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `~` matches a shell pattern: `*`, `?`, `[a-z]`, and `\` before a character. It is case-sensitive. The parser
    /// expands braces.
    Glob,
}

/// The right-hand side of a comparison, which has the type of the field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`: the field is not set.
    Null,
    /// `*`: the field is set.
    Present,
    /// Text.
    Text(String),
    /// A number in metadata or in one of the platform's own fields.
    Number(f64),
    /// A size in bytes, with its unit applied.
    Size(u64),
    /// An instant. The parser resolves relative times.
    Time(Timestamp),
    /// `true` or `false`.
    Bool(bool),
}

/// How precisely a platform evaluates a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// It returns the matching files.
    Exact,
    /// It returns the matching files and possibly others.
    Superset,
}

impl Default for Expr {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

impl Expr {
    /// Combines expressions with AND, flattening nested ANDs.
    pub fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::And(mut inner) => flat.append(&mut inner),
                part => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::And(flat) }
    }

    /// Combines expressions with OR, flattening nested ORs.
    pub fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Or(mut inner) => flat.append(&mut inner),
                part => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::Or(flat) }
    }

    /// Negates the expression, using the opposite comparator if that is equivalent even for unset fields.
    #[must_use]
    pub fn negated(self) -> Self {
        let Self::Compare(Comparison { field, op, value }) = self else {
            return match self {
                Self::Not(inner) => *inner,
                expr => Self::Not(Box::new(expr)),
            };
        };
        let compare = |op, value| Self::Compare(Comparison { field, op, value });
        match (op, value) {
            (Op::Has, Value::Present) => compare(Op::Eq, Value::Null),
            (Op::Eq, value) => compare(Op::Ne, value),
            (Op::Ne, value) => compare(Op::Eq, value),
            (op, value) => Self::Not(Box::new(compare(op, value))),
        }
    }

    /// The fields used in comparisons, including repetitions.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(inner) => inner.fields(),
            Self::Compare(comparison) => vec![&comparison.field],
        }
    }

    /// The accepted part of an expression, which is true for at least the same files, and its precision. `accept`
    /// returns the precision with which a platform evaluates a comparison itself.
    ///
    /// An AND keeps its accepted parts. An OR requires all of its parts, and a NOT requires an exact operand;
    /// otherwise, the platform would omit matching files.
    pub fn native(
        &self,
        mut accept: impl FnMut(&Comparison) -> Option<Precision>,
    ) -> Option<(Self, Precision)> {
        self.weakened(&mut accept)
    }

    fn weakened(
        &self,
        accept: &mut impl FnMut(&Comparison) -> Option<Precision>,
    ) -> Option<(Self, Precision)> {
        match self {
            Self::Compare(comparison) => accept(comparison).map(|precision| (self.clone(), precision)),
            Self::Not(inner) => match inner.weakened(accept)? {
                (inner, Precision::Exact) => Some((Self::Not(Box::new(inner)), Precision::Exact)),
                (_, Precision::Superset) => None,
            },
            Self::And(parts) => {
                let (kept, precisions): (Vec<_>, Vec<_>) =
                    parts.iter().filter_map(|part| part.weakened(accept)).unzip();
                let whole = kept.len() == parts.len();
                (!kept.is_empty())
                    .then(|| (Self::all(kept), if whole { worst(&precisions) } else { Precision::Superset }))
            }
            Self::Or(parts) => {
                let kept: Option<Vec<_>> = parts.iter().map(|part| part.weakened(accept)).collect();
                let (kept, precisions): (Vec<_>, Vec<_>) = kept?.into_iter().unzip();
                (!kept.is_empty()).then(|| (Self::any(kept), worst(&precisions)))
            }
        }
    }
}

fn worst(precisions: &[Precision]) -> Precision {
    if precisions.contains(&Precision::Superset) { Precision::Superset } else { Precision::Exact }
}

impl Filter {
    /// The part of this filter for a platform, as in [`Expr::native`]. Returns `None` if no part narrows the listing.
    pub fn native(&self, accept: impl FnMut(&Comparison) -> Option<Precision>) -> Option<Self> {
        self.expr.native(accept).map(|(expr, _)| Self { expr })
    }
}

impl Comparison {
    /// The literal prefix of all matching values: the start of a pattern, or the whole value of an `=`. Returns `None`
    /// for other comparisons and for a pattern that starts with a wildcard. Non-matching values can have the same
    /// prefix.
    pub fn prefix(&self) -> Option<String> {
        match (&self.value, self.op) {
            (Value::Text(text), Op::Glob) => {
                Some(glob::literal_start(text).0).filter(|start| !start.is_empty())
            }
            (Value::Text(text), Op::Eq) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Op {
    /// All comparators.
    pub const ALL: [Self; 8] =
        [Self::Has, Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge, Self::Glob];

    /// How the comparator is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Has => ":",
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Glob => "~",
        }
    }
}

impl fmt::Display for Filter {
    /// Prints the canonical form. If this filter was parsed or built by this module, parsing the result gives the
    /// same filter. A filter that matches every file is printed as empty text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => list(f, parts, " AND "),
            Self::Or(parts) => list(f, parts, " OR "),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                operand(f, inner, !matches!(**inner, Self::Compare(_)))
            }
            Self::Compare(comparison) => comparison.fmt(f),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        operand(f, part, matches!(part, Expr::And(_) | Expr::Or(_)))?;
    }
    Ok(())
}

fn operand(f: &mut fmt::Formatter<'_>, expr: &Expr, parenthesised: bool) -> fmt::Result {
    if parenthesised { write!(f, "({expr})") } else { expr.fmt(f) }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.split_once('.') {
            Some((object, key)) if !is_plain_key(key) => {
                write!(f, "{object}.")?;
                quote(f, key)?;
            }
            _ => f.write_str(&self.field)?,
        }
        match self.op {
            Op::Has => f.write_char(':')?,
            op => write!(f, " {} ", op.symbol())?,
        }
        self.value.fmt(f)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Present => f.write_char('*'),
            Self::Text(text) if is_plain(text) => f.write_str(text),
            Self::Text(text) => quote(f, text),
            Self::Number(number) => f.write_str(&value::spell_number(*number)),
            Self::Size(bytes) => write!(f, "{bytes}"),
            // Quoted because other AIP-160 parsers treat a bare `:` as an operator.
            Self::Time(time) => write!(f, "\"{time}\""),
            Self::Bool(truth) => write!(f, "{truth}"),
        }
    }
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if c == '"' || c == '\\' {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

/// Whether the text needs no quotes because every AIP-160 parser reads it as a string.
fn is_plain(text: &str) -> bool {
    let word = text.chars().all(|c| c.is_alphanumeric() || "_-./*".contains(c));
    let special = ["", "*", "null", "true", "false", "AND", "OR", "NOT"]
        .iter()
        .any(|special| special.eq_ignore_ascii_case(text));
    word && !special && !text.starts_with('-') && value::number(text).is_none()
}

fn is_plain_key(key: &str) -> bool {
    let has_operator = key.contains("&&") || key.contains("||");
    !key.is_empty()
        && !has_operator
        && !key.chars().any(|c| c.is_whitespace() || "(),\"'=!<>:~\\".contains(c))
}
