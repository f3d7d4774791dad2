//! Pages by `limit`, `order` and the id of an item.

use serde_json::{Value, json};

use super::problem::Problem;
use crate::emulator::Params;
use crate::error::Result as Stored;

const ALPHABET: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DEFAULT: usize = 20;
const MAX: usize = 100;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    limit: usize,
    descending: bool,
    anchor: Anchor,
}

/// What a page lies beside.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    After(String),
    Before(String),
}

/// Reads items in an order: the first `count` of them, after the item of this id if one is given; None if there is no
/// such item in the list.
pub(super) struct Ask<'a> {
    pub(super) after: Option<&'a str>,
    pub(super) descending: bool,
    pub(super) count: usize,
}

impl Page {
    /// The page that a query asks for. Where both are there, `after` wins over `before`, and both over `cursor`.
    pub(super) fn asked(params: &Params) -> Result<Self, Problem> {
        let limit = match params.get("limit") {
            None => DEFAULT,
            Some(text) => limit(text)?,
        };
        let descending = match params.get("order") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(not_one_of("order", &["asc", "desc"], other)),
        };
        Ok(Self { limit, descending, anchor: Anchor::asked(params)? })
    }

    /// The page that a query asks for where nothing is checked: limits are clamped, and nonsense counts for nothing.
    pub(super) fn asked_unchecked(params: &Params) -> Self {
        let limit = params.get("limit").and_then(|text| text.parse::<usize>().ok());
        let anchor = Anchor::asked(params).unwrap_or(Anchor::Start);
        let descending = params.get("order") == Some("desc");
        Self { limit: limit.unwrap_or(DEFAULT).clamp(1, MAX), descending, anchor }
    }

    /// Reads the page: its items, and whether there are more before it and after it. A page after or before an item
    /// that is not in the list is empty.
    pub(super) fn read<T>(
        &self,
        mut read: impl FnMut(Ask) -> Stored<Option<Vec<T>>>,
    ) -> Stored<(Vec<T>, (bool, bool))> {
        let (after, backwards) = match &self.anchor {
            Anchor::Start => (None, false),
            Anchor::After(id) => (Some(id.as_str()), false),
            Anchor::Before(id) => (Some(id.as_str()), true),
        };
        let ask = Ask { after, descending: self.descending != backwards, count: self.limit + 1 };
        let Some(mut items) = read(ask)? else { return Ok((Vec::new(), (false, false))) };
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        if backwards {
            items.reverse();
            return Ok((items, (more, true)));
        }
        Ok((items, (after.is_some(), more)))
    }
}

impl Anchor {
    fn asked(params: &Params) -> Result<Self, Problem> {
        let given = |name| params.get(name).map(str::to_owned);
        if let Some(id) = given("after") {
            return Ok(Self::After(id));
        }
        if let Some(id) = given("before") {
            return Ok(Self::Before(id));
        }
        match params.get("cursor") {
            None => Ok(Self::Start),
            Some(cursor) => decode(cursor).ok_or_else(|| Problem::bad_request("the cursor is not valid")),
        }
    }
}

fn limit(text: &str) -> Result<usize, Problem> {
    let Some(number) = text.trim().parse::<f64>().ok().filter(|number| !number.is_nan()) else {
        return Err(Problem::invalid_type("query", "limit", "number", "string"));
    };
    let beyond = |code: &str, key: &str, bound: usize| {
        let message = format!("limit must be from 1 to {MAX}");
        Problem::invalid("query", json!({ "code": code, "message": message, "path": ["limit"], key: bound }))
    };
    if number < 1.0 {
        return Err(beyond("invalid_min", "min", 1));
    }
    if number > 100.0 {
        return Err(beyond("invalid_max", "max", MAX));
    }
    // The service's database fails at half a row.
    text.trim().parse().map_err(|_| Problem::internal())
}

/// A value that is not one of a list.
pub(super) fn not_one_of(field: &str, expected: &[&str], received: &str) -> Problem {
    let message = format!("{field} must be one of: {}", expected.join(", "));
    Problem::invalid(
        "query",
        json!({
            "code": "invalid_enum", "message": message, "path": [field], "expected": expected,
            "received": received,
        }),
    )
}

/// `cur_` and the base62 of `["after", id]` or `["before", id]`.
fn decode(cursor: &str) -> Option<Anchor> {
    let value = serde_json::from_slice::<Value>(&base62(cursor.strip_prefix("cur_")?)?).ok()?;
    match (value.get(0)?.as_str()?, value.get(1)?.as_str()?.to_owned()) {
        ("after", id) => Some(Anchor::After(id)),
        ("before", id) => Some(Anchor::Before(id)),
        _ => None,
    }
}

/// The bytes of a number in base 62, most significant digit first; each leading zero is a byte.
fn base62(text: &str) -> Option<Vec<u8>> {
    if text.len() > 500 {
        return None;
    }
    let zeros = text.bytes().take_while(|digit| *digit == b'0').count();
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.chars() {
        let mut carry = ALPHABET.find(digit)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 62;
            *byte = u8::try_from(carry % 256).ok()?;
            carry /= 256;
        }
        while carry > 0 {
            bytes.push(u8::try_from(carry % 256).ok()?);
            carry /= 256;
        }
    }
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::property::holds;

    fn page(query: &str) -> Page {
        Page::asked(&Params::parse(query)).expect("a page")
    }

    #[test]
    fn after_wins_over_before_and_both_over_a_cursor() {
        assert_eq!(page("before=b&after=a&cursor=x").anchor, Anchor::After("a".to_owned()));
        assert_eq!(page("before=b&cursor=x").anchor, Anchor::Before("b".to_owned()));
        assert_eq!(page(""), Page { limit: 20, descending: false, anchor: Anchor::Start });
    }

    #[test]
    fn a_cursor_is_an_after_or_before_in_base_62() {
        let encode = |text: &str| {
            // Long division, the other way round than the decoder goes.
            let mut number = text.as_bytes().to_vec();
            let mut digits = Vec::new();
            while number.iter().any(|byte| *byte != 0) {
                let mut rest = 0_usize;
                for byte in &mut number {
                    let value = rest * 256 + usize::from(*byte);
                    *byte = u8::try_from(value / 62).unwrap();
                    rest = value % 62;
                }
                digits.push(ALPHABET.as_bytes()[rest] as char);
            }
            format!("cur_{}", digits.iter().rev().collect::<String>())
        };
        let cursor = encode(r#"["before","fil_0mabc12defGHIJKLMNOPQR"]"#);
        assert_eq!(
            page(&format!("cursor={cursor}")).anchor,
            Anchor::Before("fil_0mabc12defGHIJKLMNOPQR".to_owned())
        );
        for wrong in ["x", "cur_", "cur_!", &encode("[1]"), &encode(r#"["beside","a"]"#)] {
            let params = Params::parse(&format!("cursor={wrong}"));
            assert!(Page::asked(&params).is_err(), "{wrong}");
            assert_eq!(Page::asked_unchecked(&params).anchor, Anchor::Start);
        }
    }

    #[test]
    fn properties_a_cursor_is_read_as_it_was_written_or_not_at_all() {
        // The number in base 62, digit by digit from the least.
        let spell = |bytes: &[u8]| {
            let mut digits = Vec::new();
            let mut number = bytes.to_vec();
            while number.iter().any(|byte| *byte > 0) {
                let mut rest = 0;
                for byte in &mut number {
                    let value = rest * 256 + usize::from(*byte);
                    *byte = u8::try_from(value / 62).unwrap();
                    rest = value % 62;
                }
                digits.push(char::from(ALPHABET.as_bytes()[rest]));
            }
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            "0".repeat(zeros) + &digits.iter().rev().collect::<String>()
        };
        let inputs =
            ("\\PC{0,20}", any::<bool>(), "(cur_)?[0-9a-zA-Z]{0,40}", any::<String>(), any::<Vec<u8>>());
        holds(
            "cursor of metorial: read as written or not at all",
            inputs,
            |(id, after, soup, any, bytes)| {
                let bytes: Vec<u8> = bytes.into_iter().take(300).collect();
                prop_assert_eq!(base62(&spell(&bytes)), Some(bytes));
                let word = if after { "after" } else { "before" };
                let cursor = format!("cur_{}", spell(json!([word, id]).to_string().as_bytes()));
                let expected = if after { Anchor::After(id) } else { Anchor::Before(id) };
                prop_assert_eq!(decode(&cursor), Some(expected));
                decode(&soup);
                decode(&any);
                decode(&format!("cur_{any}"));
                Ok(())
            },
        );
    }
}
