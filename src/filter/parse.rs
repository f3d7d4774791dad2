//! Parses a filter.
//!
//! ```text
//! filter      = [ expr ] ;                          empty = every file
//! expr        = sequence { "AND" sequence } ;
//! sequence    = factor { factor } ;                 a blank between factors = AND
//! factor      = term { "OR" term } ;                OR binds tighter than AND
//! term        = [ "NOT" | "-" ] simple ;
//! simple      = "(" expr ")" | comparison ;
//! comparison  = field op value | field ":" [ "!" | ">" | ">=" | "<" | "<=" ] value ;
//! op          = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" | "~" ;
//! value       = "…" | '…' | bare ;                  \ before a quote or a \ in quotes
//! bare        = characters other than blank ( ) , " '
//! ```
//!
//! Each character is read a bounded number of times, and only parentheses nest.

use jiff::Timestamp;

use super::field::{self, Kind};
use super::problem::{Problem, clipped};
use super::{Comparison, Expr, Filter, Op, Value, glob, value};
use crate::error::Result;

/// Maximum length of a filter, in bytes.
const LONGEST: usize = 64 * 1024;

/// Maximum nesting depth of parentheses.
const DEEPEST: usize = 100;

type Parsed<T> = std::result::Result<T, Problem>;

pub(super) fn parse(text: &str, now: Timestamp, platform: &[&str]) -> Result<Filter> {
    let mut parser = Parser { text, at: 0, now, platform, depth: 0 };
    match parser.filter() {
        Ok(expr) => Ok(Filter { expr }),
        Err(problem) => Err(problem.in_text(text)),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The position in the text, in bytes.
    at: usize,
    now: Timestamp,
    platform: &'a [&'a str],
    /// The number of open parentheses.
    depth: usize,
}

/// A word or a quoted text, and its position.
struct Word {
    text: String,
    quoted: bool,
    at: usize,
    end: usize,
}

impl Word {
    fn problem(&self, what: impl Into<String>) -> Problem {
        Problem::new(self.at, self.end, what)
    }
}

impl<'a> Parser<'a> {
    fn filter(&mut self) -> Parsed<Expr> {
        if self.text.len() > LONGEST {
            let at = self.text.floor_char_boundary(LONGEST);
            let what = format!("the filter is {} bytes long; the maximum is {LONGEST}", self.text.len());
            return Err(Problem::new(at, at, what));
        }
        self.skip_blanks();
        if self.rest().is_empty() {
            return Ok(Expr::And(Vec::new()));
        }
        let expr = self.expr()?;
        // Before the end of the text, only a closing parenthesis ends an expression.
        if self.rest().is_empty() { Ok(expr) } else { Err(self.here("unmatched `)`")) }
    }

    fn expr(&mut self) -> Parsed<Expr> {
        let mut parts = Vec::new();
        loop {
            parts.push(self.factor()?);
            self.skip_blanks();
            if self.rest().is_empty() || self.rest().starts_with(')') {
                return Ok(Expr::all(parts));
            }
            self.take_keyword("AND");
        }
    }

    fn factor(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.term()?];
        loop {
            self.skip_blanks();
            if !self.take_keyword("OR") {
                return Ok(Expr::any(terms));
            }
            terms.push(self.term()?);
        }
    }

    fn term(&mut self) -> Parsed<Expr> {
        self.skip_blanks();
        let negated = self.take("-") || self.take_keyword("NOT");
        self.skip_blanks();
        let expr = if self.rest().starts_with('(') { self.parenthesised()? } else { self.comparison()? };
        Ok(if negated { expr.negated() } else { expr })
    }

    fn parenthesised(&mut self) -> Parsed<Expr> {
        let open = self.at;
        if self.depth == DEEPEST {
            return Err(self.here(format!("parentheses are nested more than {DEEPEST} deep")));
        }
        self.take("(");
        self.depth += 1;
        let expr = self.expr()?;
        self.depth -= 1;
        if self.take(")") { Ok(expr) } else { Err(Problem::new(open, open + 1, "unclosed `(`")) }
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let field = self.field()?;
        self.skip_blanks();
        let (op, negated) = self.operator(&field)?;
        let (name, kind) = field::resolve(&field.text, self.platform)
            .map_err(|(what, hints)| hints.into_iter().fold(field.problem(what), Problem::hint))?;
        let word = self.value(&field)?;
        let expr = build(&name, kind, op, &word, self.now)?;
        Ok(if negated { expr.negated() } else { expr })
    }

    /// The name of a field. A key that is not a plain word can be quoted: `metadata."my key"`.
    fn field(&mut self) -> Parsed<Word> {
        let at = self.at;
        let mut name = String::new();
        let mut quoted = false;
        loop {
            let part = self.take_while(|c| !is_blank(c) && !"(),\"'=!<>:~".contains(c));
            name.push_str(part);
            if !(name.is_empty() || name.ends_with('.')) || !self.rest().starts_with(['"', '\'']) {
                break;
            }
            quoted = true;
            name.push_str(&self.quoted()?);
            if !self.rest().starts_with('.') {
                break;
            }
        }
        let word = Word { text: name, quoted, at, end: self.at };
        if !word.text.is_empty() && (word.quoted || !["AND", "OR", "NOT"].contains(&word.text.as_str())) {
            return Ok(word);
        }
        if !word.text.is_empty() {
            return Err(word.problem(format!("expected a comparison, found `{}`", word.text)));
        }
        Err(match self.rest().chars().next() {
            None => self.here("expected a comparison, found the end of the filter"),
            Some(c) => self.here(format!("expected a field, found `{}`", clipped(&c.to_string()))),
        }
        .hint("for example `size > 10MB` or `name:report`"))
    }

    /// The comparator after a field, and whether `!` follows a `:`.
    fn operator(&mut self, field: &Word) -> Parsed<(Op, bool)> {
        const SPELLINGS: [(&str, Op); 7] = [
            ("!=", Op::Ne),
            ("<=", Op::Le),
            (">=", Op::Ge),
            ("=", Op::Eq),
            ("<", Op::Lt),
            (">", Op::Gt),
            ("~", Op::Glob),
        ];
        if self.take(":") {
            self.skip_blanks();
            if self.take("!") {
                return Ok((Op::Has, true));
            }
            let order = [("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)];
            let op = order.into_iter().find(|(spelling, _)| self.take(spelling));
            return Ok((op.map_or(Op::Has, |(_, op)| op), false));
        }
        if let Some((_, op)) = SPELLINGS.into_iter().find(|(spelling, _)| self.take(spelling)) {
            return Ok((op, false));
        }
        let typed = clipped(&field.text);
        let problem = match self.rest().chars().next() {
            Some('!') => self.here("`!` is not an operator").hint("for not equal: `!=`"),
            _ => field.problem(format!("expected an operator after `{typed}`")),
        };
        Err(match field.text.as_str() {
            "and" | "or" | "not" => {
                problem.hint(format!("operators are upper case: `{}`", typed.to_uppercase()))
            }
            _ if field.quoted => problem.hint("to search in names: `name:\"…\"`"),
            _ => problem.hint(format!("to search in names: `name:{typed}`")),
        })
    }

    fn value(&mut self, field: &Word) -> Parsed<Word> {
        self.skip_blanks();
        let at = self.at;
        let missing = |parser: &Self| {
            Problem::new(at, parser.at, format!("expected a value for `{}`", clipped(&field.text)))
                .hint("quote a value that is empty or an operator: `\"\"`, `\"AND\"`")
        };
        if self.rest().starts_with(['"', '\'']) {
            let text = self.quoted()?;
            return Ok(Word { text, quoted: true, at, end: self.at });
        }
        let text = self.take_while(|c| !is_blank(c) && !"(),\"'".contains(c));
        if text.is_empty() || ["AND", "OR", "NOT"].contains(&text) {
            return Err(missing(self));
        }
        if text.starts_with(['=', '<', '>', '!']) {
            return Err(Problem::new(at, at + 1, format!("expected a value, found `{}`", &text[..1]))
                .hint("operators: `:` `=` `!=` `<` `<=` `>` `>=` `~`; quote a value that starts with one"));
        }
        Ok(Word { text: text.to_owned(), quoted: false, at, end: self.at })
    }

    /// A quoted text. A backslash escapes a quote or a backslash; before any other character it is literal.
    fn quoted(&mut self) -> Parsed<String> {
        let open = self.at;
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map_or('"', |(_, c)| c);
        let mut text = String::new();
        while let Some((at, c)) = characters.next() {
            if c == quote {
                self.at = open + at + 1;
                return Ok(text);
            }
            let escaped = characters.as_str().chars().next().filter(|c| ['"', '\'', '\\'].contains(c));
            match escaped {
                Some(escaped) if c == '\\' => {
                    text.push(escaped);
                    characters.next();
                }
                _ => text.push(c),
            }
        }
        Err(Problem::new(open, open + 1, format!("unclosed `{quote}`")))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn here(&self, what: impl Into<String>) -> Problem {
        let width = self.rest().chars().next().map_or(0, char::len_utf8);
        Problem::new(self.at, self.at + width, what)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Takes a keyword that is not the start of a longer word.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword);
        after.is_some_and(|after| {
            after.is_empty() || after.starts_with(|c| is_blank(c) || "()\"'".contains(c))
        }) && self.take(keyword)
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn skip_blanks(&mut self) {
        self.take_while(is_blank);
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

/// Builds a comparison in its canonical form: `:` becomes `=` where both mean the same, `= *` becomes `:*`, `!= *`
/// becomes `= null`, and a pattern with braces becomes several.
fn build(field: &str, kind: Kind, op: Op, word: &Word, now: Timestamp) -> Parsed<Expr> {
    let refuse = |what: &str| Err(word.problem(format!("`{}` does not apply to {what}", op.symbol())));
    let shown = clipped(field);
    let one = |op, value| Ok(Expr::Compare(Comparison { field: field.to_owned(), op, value }));
    if !kind.takes(op) {
        let ops = Op::ALL.iter().filter(|op| kind.takes(**op)).map(|op| format!("`{}`", op.symbol()));
        let fits = format!("operators for `{shown}`: {}", ops.collect::<Vec<_>>().join(" "));
        return Err(word.problem(format!("`{}` does not apply to `{shown}`", op.symbol())).hint(fits));
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

/// The value, converted to the type of the field.
fn typed(field: &str, kind: Kind, op: Op, word: &Word, now: Timestamp) -> Parsed<Value> {
    let text = &word.text;
    let field = clipped(field);
    let bad = |what: &str, hint: &str| {
        word.problem(format!("expected {what} for `{field}`, found `{}`", clipped(text))).hint(hint)
    };
    Ok(match kind {
        Kind::Text | Kind::Exact => Value::Text(text.clone()),
        Kind::Hex => Value::Text(text.to_ascii_lowercase()),
        Kind::Json if word.quoted || op == Op::Has => Value::Text(text.clone()),
        Kind::Json => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => value::number(word).map_or_else(|| Value::Text(word.to_owned()), Value::Number),
        },
        Kind::Size => {
            let hint = "sizes: 1000, 10MB, 1.5GiB";
            Value::Number(value::size(text).ok_or_else(|| bad("a size", hint))?)
        }
        Kind::Time => {
            let hint = "times: 2026-01-31, 2026-01-31T10:00:00Z, -7d, +24h, -1h30m (w, d, h, m, s)";
            Value::Time(value::time(text, now).ok_or_else(|| bad("a time", hint))?)
        }
        Kind::Bool => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(bad("`true` or `false`", &format!("`{field} = true`"))),
        },
    })
}

/// `field ~ pattern`: one comparison for each alternative in braces. The error is a message.
pub(super) fn any_glob(field: &str, pattern: &str) -> std::result::Result<Expr, String> {
    if pattern.len() > glob::LONGEST {
        return Err(format!("the pattern is {} bytes long; the maximum is {}", pattern.len(), glob::LONGEST));
    }
    let patterns = glob::expand(pattern).ok_or_else(|| {
        format!("the braces in `{}` expand to more than {} patterns", clipped(pattern), glob::MOST)
    })?;
    let compare = |pattern| {
        Expr::Compare(Comparison { field: field.to_owned(), op: Op::Glob, value: Value::Text(pattern) })
    };
    Ok(Expr::any(patterns.into_iter().map(compare).collect()))
}
