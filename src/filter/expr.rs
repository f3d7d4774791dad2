//! What a filter says, as data.

use jiff::Timestamp;

use super::glob;
#[cfg(doc)]
use crate::model::File;

/// An expression. Parsed ones are in one form, that of [`Expr::all`], [`Expr::any`] and [`Expr::negated`]: no AND in an
/// AND, no OR in an OR, no list of one, no NOT where a comparator says it; only the whole can be empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them; empty is true.
    And(Vec<Expr>),
    /// Any of them; empty is false.
    Or(Vec<Expr>),
    /// Not that.
    Not(Box<Expr>),
    /// One comparison.
    Compare(Comparison),
}

/// `field op value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// A name of [`File::FIELDS`] (aliases are resolved when parsed), or `metadata.key`, `extra.key`,
    /// `checksums.sha256`, or a platform's own field.
    pub field: String,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Value,
}

/// A comparator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `:` has: a part of a text, with a `*` at an end as a wildcard. Parsed filters have it only for text and JSON,
    /// and with [`Value::Present`]; where it would be the same as `=`, they have that.
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
    /// `~` fits a shell pattern: `*`, `?`, `[a-z]`, `\` before a character; case matters. Braces are resolved when
    /// parsed. [`Comparison::prefix`] tells what of it a platform may understand.
    Glob,
}

/// The right side of a comparison, already of the field's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`: unset.
    Null,
    /// `*`: set.
    Present,
    /// Text.
    Text(String),
    /// A number: bytes of a size, with any unit applied.
    Number(f64),
    /// An instant: a relative time is resolved when parsed.
    Time(Timestamp),
    /// `true` or `false`.
    Bool(bool),
}

impl Default for Expr {
    fn default() -> Self {
        Self::And(Vec::new())
    }
}

impl Expr {
    /// All of them, without an AND in an AND or a list of one.
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

    /// Any of them, without an OR in an OR or a list of one.
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

    /// Not that: another comparator where there is one with just that meaning, also for what is not set.
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

    /// The fields that are compared, each as often as it is named.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::fields).collect(),
            Self::Not(inner) => inner.fields(),
            Self::Compare(comparison) => vec![&comparison.field],
        }
    }
}

impl Comparison {
    /// What the text begins with if this holds: of a pattern, all before its first wildcard, and of `=`, all. None
    /// where that says nothing. Asking a platform for texts that begin so gives at least the files asked for.
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
    /// Every comparator.
    pub const ALL: [Self; 8] =
        [Self::Has, Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge, Self::Glob];

    /// How it is written.
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
