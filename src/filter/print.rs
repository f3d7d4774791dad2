//! Expression to its canonical spelling.

use std::fmt::{self, Display, Write as _};

use super::parse::is_blank;
use super::{Comparison, Expr, Filter, Op, Value, value};

impl fmt::Display for Filter {
    /// The canonical spelling: parsing it gives the same filter, if this one was parsed or made by functions of this
    /// module. A filter of every file is the empty text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => list(f, parts, " AND ", |part| matches!(part, Self::And(_))),
            Self::Or(parts) => list(f, parts, " OR ", |part| matches!(part, Self::And(_) | Self::Or(_))),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                operand(f, inner, !matches!(**inner, Self::Compare(_)))
            }
            Self::Compare(comparison) => comparison.fmt(f),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str, needs: fn(&Expr) -> bool) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        operand(f, part, needs(part))?;
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
            // Quoted, because other readers of AIP-160 take a bare `:` for an operator.
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

/// Whether a text can go without quotes and stay text: no other reader of AIP-160 could take it for something else.
fn is_plain(text: &str) -> bool {
    let word = text.chars().all(|c| c.is_alphanumeric() || "_-./*".contains(c));
    let special = ["", "*", "null", "true", "false", "AND", "OR", "NOT"].contains(&text);
    word && !special && !text.starts_with('-') && value::number(text).is_none()
}

fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && !key.chars().any(|c| is_blank(c) || "(),\"'=!<>:~\\".contains(c))
}
