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
//! Keywords in any case. A name before which `metadata.` does not stand means the same with it. A comparison with what is
//! not there, or null, is false, but for `is null`. In strings `\` or doubling escapes a quote; in `like`, `%` is any text.

mod parse;

use std::cmp::Ordering;

use serde_json::Value;

use crate::model::Object;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Column, Test),
}

/// Where a value is: keys and list indexes, without `metadata` before them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// What is asked of a value.
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
    /// Parses a filter; an error says what is wrong and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text)
    }

    /// Whether it holds for a file's metadata.
    pub(super) fn holds(&self, metadata: &Object) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(metadata)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(metadata)),
            Self::Compare(column, test) => test.holds(column.value(metadata)),
        }
    }
}

impl Column {
    /// The value; None where there is none, or null.
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

/// Equal, where numbers are equal by value.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare(a, b).is_some_and(Ordering::is_eq),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => a == b,
    }
}

/// The order of two numbers or two texts; there is none between others.
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

/// Whether `text` is `pattern`, where each `%` stands for any text. Case matters.
fn like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('%') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('%').unwrap_or(("", rest));
    // The first place for each part is the best: it leaves the most to the others.
    for part in middle.split('%') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
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
    fn what_holds() {
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
            "year == 1807 or author == 'kant' and author == 'nobody'",
        ];
        for filter in filters {
            assert!(holds(filter), "{filter}");
        }
    }

    #[test]
    fn what_does_not_hold() {
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
            "(year == 1807 or author == 'kant') and author == 'nobody'",
        ];
        for filter in filters {
            assert!(!holds(filter), "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter() {
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
    fn nothing_makes_it_panic() {
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
