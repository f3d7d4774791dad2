//! Activeloop's own filter expressions over metadata, such as `metadata.author == 'hegel' and year > 1800`.
//!
//! ```text
//! any       = all { "or" all } ;
//! all       = simple { "and" simple } ;
//! simple    = "(" any ")" | column comparison ;
//! comparison = op literal | "in" list | "like" string | "is" [ "not" ] "null" ;
//! op        = "=" | "==" | "!=" | "<>" | ">" | ">=" | "<" | "<=" ;
//! literal   = string | number | "true" | "false" | list ;
//! list      = "[" [ literal { "," literal } ] "]" ;
//! column    = name { "." name | "[" number "]" } ;
//! ```
//!
//! Keywords are case-insensitive, and `metadata.` before a name is optional. A comparison with a missing or null
//! value is false, except `is null`. In a string, a quote is escaped by `\` or by doubling; in `like`, `%` matches
//! any text.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::model::Object;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Column, Test),
}

/// The path of a value: keys and list indexes, without a leading `metadata`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A test applied to a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Is(Op, Value),
    In(Vec<Value>),
    Like(String),
    IsNull,
    IsNotNull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Condition {
    /// Parses a filter. The error contains the reason and the column.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parse(text)
    }

    /// Whether a file's metadata satisfies the condition.
    pub(super) fn holds(&self, metadata: &Object) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(metadata)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(metadata)),
            Self::Compare(column, test) => test.holds(column.value(metadata)),
        }
    }
}

impl Column {
    /// The value of the column; `None` if it is missing or null.
    fn value<'a>(&self, metadata: &'a Object) -> Option<&'a Value> {
        let (Step::Key(first), rest) = self.0.split_first()? else { return None };
        let value = rest.iter().try_fold(metadata.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        });
        value.filter(|value| !value.is_null())
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else { return matches!(self, Self::IsNull) };
        match self {
            Self::IsNull => false,
            Self::IsNotNull => true,
            Self::In(list) => list.iter().any(|item| equal(value, item)),
            Self::Like(pattern) => value.as_str().is_some_and(|text| like(text, pattern)),
            Self::Is(Op::Eq, wanted) => equal(value, wanted),
            Self::Is(Op::Ne, wanted) => !equal(value, wanted),
            Self::Is(op, wanted) => compare(value, wanted).is_some_and(|ordering| match op {
                Op::Lt => ordering.is_lt(),
                Op::Le => ordering.is_le(),
                Op::Gt => ordering.is_gt(),
                _ => ordering.is_ge(),
            }),
        }
    }
}

/// Whether two values are equal. Numbers are compared by value.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare(a, b).is_some_and(Ordering::is_eq),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => a == b,
    }
}

/// Compares two numbers or two strings. Other values have no order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => x.as_f64()?.partial_cmp(&y.as_f64()?),
        },
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        _ => None,
    }
}

/// Whether `text` matches `pattern`, in which each `%` matches any text. Case-sensitive.
fn like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('%') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('%').unwrap_or(("", rest));
    // The first match of each part leaves the most text for the later parts.
    for part in middle.split('%') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

/// Maximum length of a filter in bytes, and maximum nesting depth of parentheses and lists.
const LONGEST: usize = 64 * 1024;
const DEEPEST: usize = 50;

/// The operators. An operator precedes its own prefixes.
const OPERATORS: [(&str, Op); 8] = [
    ("==", Op::Eq),
    ("!=", Op::Ne),
    ("<>", Op::Ne),
    (">=", Op::Ge),
    ("<=", Op::Le),
    ("=", Op::Eq),
    (">", Op::Gt),
    ("<", Op::Lt),
];

type Parsed<T> = Result<T, String>;

fn parse(text: &str) -> Parsed<Condition> {
    if text.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    let mut parser = Parser { text, rest: text.trim_start(), depth: 0 };
    let condition = parser.any()?;
    if parser.rest.is_empty() {
        Ok(condition)
    } else {
        Err(parser.expected("`and`, `or` or the end of the filter"))
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The text that has not been read yet, without leading whitespace.
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn any(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.simple()?];
        while self.take_word("and") {
            parts.push(self.simple()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn simple(&mut self) -> Parsed<Condition> {
        if !self.take("(") {
            let column = self.column()?;
            return Ok(Condition::Compare(column, self.test()?));
        }
        self.enter()?;
        let condition = self.any()?;
        self.depth -= 1;
        if self.take(")") { Ok(condition) } else { Err(self.expected("`)`")) }
    }

    fn test(&mut self) -> Parsed<Test> {
        if self.take_word("is") {
            let test = if self.take_word("not") { Test::IsNotNull } else { Test::IsNull };
            return if self.take_word("null") { Ok(test) } else { Err(self.expected("`null`")) };
        }
        if self.take_word("in") {
            return match self.literal()? {
                Value::Array(list) => Ok(Test::In(list)),
                _ => Err(self.expected("a list after `in`")),
            };
        }
        if self.take_word("like") {
            return match self.literal()? {
                Value::String(pattern) => Ok(Test::Like(pattern)),
                _ => Err(self.expected("a string after `like`")),
            };
        }
        let Some((_, op)) = OPERATORS.into_iter().find(|(symbol, _)| self.take(symbol)) else {
            return Err(self.expected("an operator"));
        };
        Ok(Test::Is(op, self.literal()?))
    }

    fn column(&mut self) -> Parsed<Column> {
        let mut steps = vec![Step::Key(self.name()?)];
        loop {
            if self.take(".") {
                steps.push(Step::Key(self.name()?));
            } else if self.take("[") {
                let digits = self.split(|c| !c.is_ascii_digit());
                let index = digits.parse().map_err(|_| self.expected("a list index"))?;
                if !self.take("]") {
                    return Err(self.expected("`]`"));
                }
                steps.push(Step::Index(index));
            } else {
                break;
            }
        }
        // `metadata.author` and `author` are equivalent.
        if steps.len() > 1 && steps[0] == Step::Key("metadata".to_owned()) && matches!(steps[1], Step::Key(_))
        {
            steps.remove(0);
        }
        Ok(Column(steps))
    }

    fn name(&mut self) -> Parsed<String> {
        let starts = |c: char| c.is_alphabetic() || c == '_';
        if !self.rest.starts_with(starts) {
            return Err(self.expected("a column"));
        }
        Ok(self.split(|c| !is_in_word(c)).to_owned())
    }

    fn literal(&mut self) -> Parsed<Value> {
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.string(quote).map(Value::String),
            Some('[') => self.list(),
            Some('0'..='9' | '-' | '.') => self.number(),
            _ if self.take_word("true") => Ok(Value::Bool(true)),
            _ if self.take_word("false") => Ok(Value::Bool(false)),
            _ => Err(self.expected("a value")),
        }
    }

    fn string(&mut self, quote: char) -> Parsed<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, c)| *c);
            if c == quote && next != Some(quote) {
                self.rest = self.rest[at + 1..].trim_start();
                return Ok(text);
            }
            // A doubled quote or an escaped character is literal.
            let is_escape = c == quote || (c == '\\' && next.is_some_and(|c| c == quote || c == '\\'));
            text.push(if is_escape { characters.next().map_or(c, |(_, c)| c) } else { c });
        }
        Err(self.expected("a string with a closing quote"))
    }

    fn list(&mut self) -> Parsed<Value> {
        self.take("[");
        self.enter()?;
        let mut items = Vec::new();
        while !self.take("]") {
            if !items.is_empty() && !self.take(",") {
                return Err(self.expected("`,` or `]`"));
            }
            items.push(self.literal()?);
        }
        self.depth -= 1;
        Ok(items.into())
    }

    fn number(&mut self) -> Parsed<Value> {
        let before = self.rest;
        let word = self.split(|c| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
        let number = match word.parse::<i64>() {
            Ok(integer) => Some(integer.into()),
            Err(_) => word.parse().ok().and_then(Number::from_f64),
        };
        number.map(Value::Number).ok_or_else(|| {
            self.rest = before;
            self.expected("a number")
        })
    }

    fn enter(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(format!("nested more than {DEEPEST} levels deep")) } else { Ok(()) }
    }

    /// Consumes the text before the first character that `end` matches, and the whitespace that follows the text.
    fn split(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        taken
    }

    /// Consumes a symbol if it comes next.
    fn take(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    /// Consumes a keyword (in any case) if it comes next and is not part of a longer word.
    fn take_word(&mut self, word: &str) -> bool {
        let Some((start, rest)) = self.rest.split_at_checked(word.len()) else { return false };
        let is_next = start.eq_ignore_ascii_case(word) && !rest.starts_with(is_in_word);
        if is_next {
            self.rest = rest.trim_start();
        }
        is_next
    }

    fn expected(&self, what: &str) -> String {
        let before = &self.text[..self.text.len() - self.rest.len()];
        format!("expected {what} at column {}", before.chars().count() + 1)
    }
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &str) -> bool {
        let metadata = json!({
            "author": "hegel", "year": 1807, "rate": 0.5, "done": true, "nothing": null, "tags": ["a", 2],
            "deep": {"er": {"x-y": "z"}}, "quote": "it's \"so\"", "metadata": "own",
        });
        Condition::parse(filter)
            .unwrap_or_else(|why| panic!("{filter}: {why}"))
            .holds(metadata.as_object().unwrap())
    }

    #[test]
    fn filters_that_match() {
        let filters = [
            "metadata.author == 'hegel'",
            "author = \"hegel\"",
            "author<>'kant'",
            "author != 'kant'",
            "year > 1806 and year >= 1807 AND year < 1808 aNd year <= 1807",
            "year == 1807.0",
            "rate == .5",
            "rate > -1",
            "done == true",
            "done = TRUE",
            "author in ['kant', 'hegel']",
            "year IN [1, 1807]",
            "author like 'he%'",
            "author LIKE '%ge%'",
            "author like '%'",
            "author like 'h%g%l'",
            "nothing is null",
            "absent IS NULL",
            "author is not null",
            "deep.absent.x is null",
            "metadata.tags[0] == 'a'",
            "tags[1] == 2",
            "tags == ['a', 2]",
            "deep.er.x-y == 'z'",
            "quote == 'it''s \"so\"'",
            "quote == 'it\\'s \"so\"'",
            "metadata == 'own'",
            "author == 'kant' or year == 1807 and done == true",
            "(author == 'kant' or done==true)and year==1807",
            "year == 1807 or author == 'kant' and author == 'other'",
        ];
        for filter in filters {
            assert!(holds(filter), "{filter}");
        }
    }

    #[test]
    fn filters_that_do_not_match() {
        let filters = [
            "author == 'Hegel'",
            "author == 'kant' or done == false",
            "author like 'HE%'",
            "author like 'he'",
            "author like 'he_el'",
            "absent == 1",
            "absent != 1",
            "absent < 1",
            "nothing != 1",
            "absent in []",
            "author in []",
            "author is null",
            "nothing is not null",
            "year == '1807'",
            "year like '18%'",
            "author > 5",
            "done > false",
            "tags[5] == 1",
            "author[0] == 'h'",
            "deep == 'er'",
            "(year == 1807 or author == 'kant') and author == 'other'",
        ];
        for filter in filters {
            assert!(!holds(filter), "{filter}");
        }
    }

    #[test]
    fn invalid_filters() {
        let deep = "(".repeat(200) + "a == 1" + &")".repeat(200);
        let filters = [
            "",
            "author",
            "author ==",
            "author == hegel",
            "author == 'hegel",
            "== 'hegel'",
            "author === 'a'",
            "author == 'a' and",
            "or author == 'a'",
            "(author == 'a'",
            "author == 'a')",
            "author == 'a' b == 1",
            "author in 'a'",
            "author in [1",
            "author like 5",
            "author is",
            "author is not",
            "author == null",
            "author == 1.2.3",
            "author == 1e",
            "tags[x] == 1",
            "tags[0 == 1",
            "a..b == 1",
            ".a == 1",
            "a. == 1",
            "not author == 'a'",
            "author ! 'a'",
            "author = 'a' && year = 1",
            "author ~ 'a'",
            "é == \u{0}",
            &deep,
        ];
        for filter in filters {
            assert!(Condition::parse(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn no_text_panics() {
        let text =
            "métadata.tags[0] == 'a''b\\'' and x in [1, -2.5, \"é\"] or (y like '%' and z is not null)";
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        for from in &places {
            for to in places.iter().filter(|to| *to >= from) {
                let _ = Condition::parse(&text[*from..*to]);
            }
        }
    }
}
