//! One expression language over files: AIP-160, in which OR binds tighter than AND.

mod eval;
mod parse;

use std::fmt;

use jiff::Timestamp;

use crate::error::Result;
use crate::model::File;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// What it says.
    pub expr: Expr,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them; empty is true.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// Not that.
    Not(Box<Expr>),
    /// One comparison.
    Compare(Comparison),
}

/// `field op value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// A name of [`File::FIELDS`] (aliases are resolved when parsed), or `metadata.key`, or a platform's own field.
    pub field: String,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Value,
}

/// A comparator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `:` has: contains, or equals where containing makes no sense; `*` at an end is a wildcard.
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

impl Filter {
    /// Parses a filter; `now` is what relative times are relative to. Errors (usage, exit 2) point at the column.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self> {
        parse::parse(text, now)
    }

    /// Whether `file` passes.
    pub fn matches(&self, file: &File) -> bool {
        eval::matches(&self.expr, file)
    }

    /// The comparisons that all must hold: the filter itself, or the parts of its outermost AND. What a platform can
    /// be sent piece by piece.
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

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { expr: Expr::And(vec![self.expr, other.expr]) }
    }

    /// Exactly that name.
    pub fn name_is(name: &str) -> Self {
        let value = Value::Text(name.to_owned());
        Self { expr: Expr::Compare(Comparison { field: "name".to_owned(), op: Op::Eq, value }) }
    }
}

impl fmt::Display for Filter {
    /// The canonical spelling: parsing it gives the same filter.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
