//! Text to condition.

use serde_json::{Number, Value};

use super::{Column, Condition, Op, Step, Test};

/// The longest filter, in bytes, and how deep parentheses and lists may nest.
const LONGEST: usize = 64 * 1024;
const DEEPEST: usize = 50;

/// The operators, each before those that it begins with.
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

pub(super) fn parse(text: &str) -> Parsed<Condition> {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut parser = Parser { text, rest: text.trim_start(), depth: 0 };
    let condition = parser.any()?;
    if parser.rest.is_empty() { Ok(condition) } else { Err(parser.expected("`and`, `or` or the end")) }
}

struct Parser<'a> {
    text: &'a str,
    /// What has not been read, without blanks before it.
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
        // `metadata.author` and `author` are the same.
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
            // A doubled quote or an escaped character stands for itself.
            let is_escape = c == quote || (c == '\\' && next.is_some_and(|c| c == quote || c == '\\'));
            text.push(if is_escape { characters.next().map_or(c, |(_, c)| c) } else { c });
        }
        Err(self.expected("a string with an end"))
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
        if self.depth > DEEPEST { Err(format!("it nests more than {DEEPEST} deep")) } else { Ok(()) }
    }

    /// Takes the text up to the first character that `end` fits, and the blanks after it.
    fn split(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        taken
    }

    /// Takes a symbol if it is next.
    fn take(&mut self, symbol: &str) -> bool {
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    /// Takes a keyword if it is next, in whichever case, and no part of a longer word.
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
