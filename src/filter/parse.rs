//! Parses a filter.
//!
//! ```text
//! filter      = [ expr ] ;                          empty matches every file
//! expr        = term { [ and | or ] term } ;        a blank between terms means AND
//! term        = [ not | "-" ] simple ;
//! simple      = "(" expr ")" | comparison ;
//! comparison  = field op value | field ":" [ "!" | ">" | ">=" | "<" | "<=" ] value
//!             | field [ not ] "in" "(" value { "," value } ")" ;
//! and, or     = "AND" | "&&", "OR" | "||" ;         keywords in any case
//! op          = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | ":" | "~" ;
//! value       = "…" | '…' | bare ;                  \ before a quote or a \ in quotes
//! bare        = characters other than blank ( ) , " ' && || ; a size can have a blank before its unit
//! ```
//!
//! Mixing AND and OR requires parentheses. In [`Grammar::Aip160`], OR binds more tightly instead, keywords are
//! uppercase, and `&&`, `||`, `==`, `in` and sizes of two words do not exist.
//!
//! Each character is read a bounded number of times, and only parentheses nest.

use jiff::Timestamp;

use super::field::{self, Kind};
use super::problem::{Problem, clipped};
use super::{Comparison, Expr, Filter, Grammar, Op, Value, glob, value};
use crate::error::{Result, word};

/// Maximum length of a filter, in bytes.
const LONGEST: usize = 64 * 1024;

/// Maximum length, in bytes, of a filter whose possible readings are shown in a hint.
const SHOWN: usize = 400;

/// The hint for mixed AND and OR if the readings are not shown.
const UNCLEAR: &str = "put parentheses around the terms that belong together";

/// Maximum nesting depth of parentheses.
const DEEPEST: usize = 100;

type Parsed<T> = std::result::Result<T, Problem>;

pub(super) fn parse(text: &str, now: Timestamp, platform: &[&str], grammar: Grammar) -> Result<Filter> {
    let mut parser = Parser { text, at: 0, now, platform, depth: 0, grammar };
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
    grammar: Grammar,
}

/// The operator between two terms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    And,
    Or,
}

/// A term of an expression, with its position.
struct Term {
    expr: Expr,
    at: usize,
    end: usize,
    /// The operator before the term; AND for the first term.
    link: Link,
}

/// A word or quoted string, with its position.
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
        // Before the end of the text, only a closing parenthesis can end an expression.
        if self.rest().is_empty() { Ok(expr) } else { Err(self.here("unmatched `)`")) }
    }

    fn expr(&mut self) -> Parsed<Expr> {
        let mut terms: Vec<Term> = Vec::new();
        let mut link = Link::And;
        // Continue reading the remaining terms, because the hint shows them.
        let mut mixed: Option<Problem> = None;
        loop {
            self.skip_blanks();
            let at = self.at;
            let expr = match self.term() {
                Ok(expr) => expr,
                Err(problem) => return Err(mixed.map_or(problem, |mixed| mixed.hint(UNCLEAR))),
            };
            terms.push(Term { expr, at, end: self.at, link });
            self.skip_blanks();
            if self.rest().is_empty() || self.rest().starts_with(')') {
                break;
            }
            let before = self.at;
            link = self.link();
            // The first term has no operator before it.
            let is_mixed = terms.get(1).is_some_and(|second| second.link != link);
            if is_mixed && mixed.is_none() && self.grammar == Grammar::Haul {
                let what = "AND and OR are mixed without parentheses";
                let problem = Problem::new(before, self.at.max(before + 1), what);
                if self.text.len() > SHOWN {
                    return Err(problem.hint(UNCLEAR));
                }
                mixed = Some(problem);
            }
        }
        if let Some(problem) = mixed {
            return Err(problem.hint(self.readings(&terms)));
        }
        let mut factors: Vec<Vec<Expr>> = Vec::new();
        for term in terms {
            match factors.last_mut() {
                Some(factor) if term.link == Link::Or => factor.push(term.expr),
                _ => factors.push(vec![term.expr]),
            }
        }
        Ok(Expr::all(factors.into_iter().map(Expr::any).collect()))
    }

    /// Consumes the operator before the next term.
    fn link(&mut self) -> Link {
        let has_symbols = self.grammar == Grammar::Haul;
        if self.take_keyword("OR") || (has_symbols && self.take("||")) {
            return Link::Or;
        }
        let _ = self.take_keyword("AND") || (has_symbols && self.take("&&"));
        Link::And
    }

    /// The hint that shows both readings of terms that are mixed without parentheses.
    fn readings(&self, terms: &[Term]) -> String {
        let start = terms.first().map_or(0, |term| term.at);
        let (before, after) = (&self.text[..start], self.rest());
        let reading = |tight: Link| {
            let mut groups: Vec<Vec<&str>> = Vec::new();
            for term in terms {
                let text = &self.text[term.at..term.end];
                match groups.last_mut() {
                    Some(group) if term.link == tight && term.at != start => group.push(text),
                    _ => groups.push(vec![text]),
                }
            }
            let (inner, outer) = if tight == Link::And { (" AND ", " OR ") } else { (" OR ", " AND ") };
            let groups: Vec<String> = groups
                .into_iter()
                .map(
                    |group| if group.len() > 1 { format!("({})", group.join(inner)) } else { group.concat() },
                )
                .collect();
            format!("`--filter {}`", word(&format!("{before}{}{after}", groups.join(outer))))
        };
        format!("write {} or {}", reading(Link::And), reading(Link::Or))
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
        let resolve = |parser: &Self| {
            field::resolve(&field.text, parser.platform)
                .map_err(|(what, hints)| hints.into_iter().fold(field.problem(what), Problem::hint))
        };
        if let Some(negated) = self.take_in() {
            let (name, kind) = resolve(self)?;
            let expr = self.one_of(&field, &name, kind)?;
            return Ok(if negated { expr.negated() } else { expr });
        }
        let (op, negated) = self.operator(&field)?;
        let (name, kind) = resolve(self)?;
        let word = self.value(&field, kind)?;
        let expr = build(&name, kind, op, &word, self.now)?;
        Ok(if negated { expr.negated() } else { expr })
    }

    /// Consumes `in (` or `not in (` and returns whether it is negated. Returns `None` if neither follows.
    fn take_in(&mut self) -> Option<bool> {
        let start = self.at;
        if self.grammar == Grammar::Haul {
            let negated = self.take_keyword("NOT");
            self.skip_blanks();
            if self.take_keyword("IN") {
                self.skip_blanks();
                if self.take("(") {
                    return Some(negated);
                }
            }
        }
        self.at = start;
        None
    }

    /// Parses the values of `in (…)` after the parenthesis. The field must equal any of them.
    fn one_of(&mut self, field: &Word, name: &str, kind: Kind) -> Parsed<Expr> {
        let open = self.at - 1;
        let mut parts = Vec::new();
        loop {
            let word = self.value(field, kind)?;
            parts.push(build(name, kind, Op::Eq, &word, self.now)?);
            self.skip_blanks();
            if self.take(")") {
                return Ok(Expr::any(parts));
            }
            if self.rest().is_empty() {
                return Err(Problem::new(open, open + 1, "unclosed `(`"));
            }
            if !self.take(",") {
                return Err(self.here("expected `,` or `)`"));
            }
        }
    }

    /// Parses the name of a field. A key that is not a plain word can be quoted: `metadata."my key"`.
    fn field(&mut self) -> Parsed<Word> {
        let at = self.at;
        let mut name = String::new();
        let mut quoted = false;
        loop {
            let part = self.take_bare("(),\"'=!<>:~");
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
        if !word.text.is_empty() && (word.quoted || !self.is_keyword(&word.text)) {
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

    /// Parses the comparator after a field. Also returns whether `!` follows a `:`.
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
        if self.grammar == Grammar::Haul && self.take("==") {
            return Ok((Op::Eq, false));
        }
        if let Some((_, op)) = SPELLINGS.into_iter().find(|(spelling, _)| self.take(spelling)) {
            return Ok((op, false));
        }
        let typed = clipped(&field.text);
        let problem = match self.rest().chars().next() {
            Some('!') => self.here("`!` is not an operator").hint("for not equal: `!=`"),
            _ => field.problem(format!("expected an operator after `{typed}`")),
        };
        Err(match self.verb(field) {
            Some(comparison) => problem.hint(format!("write `{comparison}`")),
            None if field.quoted => problem.hint("to search in names: `name:\"…\"`"),
            // The shell splits an unquoted filter or redirects its output: `--filter size > 1MB`.
            None if field::is_field(&field.text) && self.rest().is_empty() => {
                problem.hint(format!("quote the whole filter: `--filter '{}'`", field::example(&field.text)))
            }
            None => problem.hint(format!("to search in names: `name:{typed}`")),
        })
    }

    /// The comparison that the user meant by a word between a field and a value, such as `name contains report`.
    fn verb(&mut self, field: &Word) -> Option<String> {
        let (name, kind) = field::resolve(&field.text, self.platform).ok()?;
        let verb = self.take_bare("(),\"'=!<>:~").to_lowercase();
        self.skip_blanks();
        let value = match self.take_bare("(),\"'") {
            "" => "VALUE".to_owned(),
            value => clipped(value),
        };
        let name = clipped(&name);
        match verb.as_str() {
            "contains" | "includes" | "has" => Some(format!("{name}:{value}")),
            "startswith" | "starts" if kind == Kind::Text => Some(format!("{name}:{value}*")),
            "endswith" | "ends" if kind == Kind::Text => Some(format!("{name}:*{value}")),
            "like" | "matches" | "glob" if kind.takes(Op::Glob) => Some(format!("{name} ~ {value}")),
            "is" | "equals" | "eq" => Some(format!("{name} = {value}")),
            "ne" => Some(format!("{name} != {value}")),
            "gt" | "after" if kind.takes(Op::Gt) => Some(format!("{name} > {value}")),
            "lt" | "before" if kind.takes(Op::Lt) => Some(format!("{name} < {value}")),
            _ => None,
        }
    }

    fn value(&mut self, field: &Word, kind: Kind) -> Parsed<Word> {
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
        let text = self.take_bare("(),\"'");
        if text.is_empty() || self.is_keyword(text) {
            return Err(missing(self));
        }
        if text.starts_with(['=', '<', '>', '!']) {
            return Err(Problem::new(at, at + 1, format!("expected a value, found `{}`", &text[..1]))
                .hint("operators: `:` `=` `!=` `<` `<=` `>` `>=` `~`; quote a value that starts with one"));
        }
        let mut text = text.to_owned();
        if kind == Kind::Size && self.grammar == Grammar::Haul {
            text.push_str(self.unit(&text));
        }
        Ok(Word { text, quoted: false, at, end: self.at })
    }

    /// Consumes the unit of a size that is separated by a blank, as haul prints it: `1 MB`.
    fn unit(&mut self, number: &str) -> &'a str {
        let start = self.at;
        self.skip_blanks();
        let unit = self.take_bare("(),\"'=!<>:~");
        let is_unit = unit.starts_with(|c: char| c.is_ascii_alphabetic())
            && number.ends_with(|c: char| c.is_ascii_digit())
            && value::size(&format!("{number}{unit}")).is_some();
        if is_unit {
            return unit;
        }
        // A word at the end cannot be the field of another comparison, so `10 apples` is an invalid size.
        let end = self.at;
        self.skip_blanks();
        let is_last = self.rest().is_empty() || self.rest().starts_with(')');
        if is_last && !unit.is_empty() && !self.is_keyword(unit) && value::size(number).is_some() {
            self.at = end;
            return &self.text[start..end];
        }
        self.at = start;
        ""
    }

    /// Parses a quoted text. A backslash escapes a quote or a backslash; before any other character, it is literal.
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

    /// Consumes a keyword, unless it is the start of a longer word.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        let Some((start, after)) = self.rest().split_at_checked(keyword.len()) else { return false };
        let found = self.same(start, keyword)
            && (after.is_empty() || after.starts_with(|c| is_blank(c) || "()\"'".contains(c)));
        self.at += if found { keyword.len() } else { 0 };
        found
    }

    fn is_keyword(&self, word: &str) -> bool {
        ["AND", "OR", "NOT"].iter().any(|keyword| self.same(word, keyword))
    }

    fn same(&self, word: &str, keyword: &str) -> bool {
        word == keyword || (self.grammar == Grammar::Haul && word.eq_ignore_ascii_case(keyword))
    }

    /// Consumes the characters before a blank or one of `ends`; in haul's grammar, also before `&&` or `||`.
    fn take_bare(&mut self, ends: &str) -> &'a str {
        let rest = self.rest();
        let mut end = rest.find(|c| is_blank(c) || ends.contains(c)).unwrap_or(rest.len());
        if self.grammar == Grammar::Haul {
            for symbol in ["&&", "||"] {
                end = rest[..end].find(symbol).unwrap_or(end);
            }
        }
        self.at += end;
        &rest[..end]
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

/// Builds a comparison in its canonical form: `:` becomes `=` if both are equivalent, `= *` becomes `:*`, `!= *`
/// becomes `= null`, and a pattern with braces becomes several comparisons.
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

/// Converts the value to the type of the field.
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
            Value::Size(value::size(text).ok_or_else(|| bad("a size", hint))?)
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

/// Builds `field ~ pattern`, with one comparison for each alternative in braces. The error is a message.
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
