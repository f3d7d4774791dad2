//! Properties of the parsers of times, sizes, lifetimes and addresses.

use haul::commands::upload::{lifetime, read_metadata};
use haul::filter::{Comparison, Expr, Filter, Value};
use haul::model::Address;
use jiff::Timestamp;
use proptest::prelude::*;

use crate::properties::holds::holds;
use crate::support::filters::now;

const UNITS: [(&str, i64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// Strings that resemble numbers, sizes and times.
fn value_like() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "1",
        "0",
        "9",
        "42",
        "99999999999",
        ".",
        "-",
        "+",
        "T",
        "Z",
        ":",
        "2026-01-31",
        "12:00",
        "+02:00",
        "w",
        "d",
        "h",
        "m",
        "s",
        "ms",
        "MB",
        "MiB",
        "k",
        "P",
        "e",
        " ",
        "é",
        "\0",
        "[UTC]",
        "inf",
        "-0",
        "P1D",
        "ago",
    ];
    let part = prop_oneof![9 => prop::sample::select(PARTS).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

#[test]
fn invalid_times_sizes_and_lifetimes_never_panic() {
    holds("words: times, sizes, lifetimes and metadata never panic", value_like(), |text| {
        let _ = Filter::parse_time(&text, now());
        let _ = Filter::parse(&format!("size > \"{text}\""), now());
        if let Ok(span) = lifetime(&text) {
            prop_assert!(span.is_positive(), "{} is {}", text, span);
        }
        let _ = read_metadata(&[text.replace('@', "")]);
        Ok(())
    });
}

#[test]
fn a_relative_time_is_the_sum_of_its_parts() {
    let parts = prop::collection::vec((0i64..5000, prop::sample::select(&UNITS[..])), 1..5);
    holds("words: a relative time is the sum of its parts", (parts, any::<bool>()), |(parts, past)| {
        let words: Vec<String> = parts.iter().map(|(count, (unit, _))| format!("{count}{unit}")).collect();
        let seconds: i64 = parts.iter().map(|(count, (_, seconds))| count * seconds).sum();
        let sign = if past { -1 } else { 1 };
        let expected = Timestamp::from_second(now().as_second() + sign * seconds).ok();
        let text = format!("{}{}", if past { '-' } else { '+' }, words.concat());
        prop_assert_eq!(Filter::parse_time(&text, now()), expected, "{}", text);
        Ok(())
    });
}

#[test]
fn a_printed_instant_parses_to_itself() {
    let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    holds("words: a printed instant parses to itself", (seconds, 0i32..1_000_000_000), |(seconds, nanos)| {
        let Ok(time) = Timestamp::new(seconds, nanos) else { return Ok(()) };
        prop_assert_eq!(Filter::parse_time(&time.to_string(), now()), Some(time));
        Ok(())
    });
}

#[test]
fn a_size_is_its_count_times_its_unit() {
    const SIZES: [(&str, u64); 9] = [
        ("", 1),
        ("k", 1000),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("Ti", 1 << 40),
    ];
    let inputs = (0u64..8000, prop::sample::select(&SIZES[..]), any::<bool>());
    holds("words: a size is its count times its unit", inputs, |(count, (unit, bytes), blank)| {
        let text = format!("size = \"{count}{}{unit}\"", if blank && !unit.is_empty() { " " } else { "" });
        let filter = Filter::parse(&text, now()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let Expr::Compare(Comparison { value: Value::Size(size), .. }) = filter.expr else {
            return Err(TestCaseError::fail(text));
        };
        prop_assert_eq!(size, count * bytes, "{}", text);
        Ok(())
    });
}

#[test]
fn a_printed_address_equals_its_input() {
    let word = || {
        prop_oneof![
            prop::sample::select(&["work", "id", "name", "a", "", "*", "é"][..]).prop_map(str::to_owned),
            any::<String>()
        ]
    };
    let inputs = prop::collection::vec(word(), 1..5).prop_map(|words| words.join(":"));
    holds("words: a printed address equals its input", inputs, |text| {
        let known = |name: &str| name == "work";
        let address = Address::parse(&text, known);
        prop_assert_eq!(address.to_string(), text);
        prop_assert!(address.profile.as_deref().is_none_or(known));
        Ok(())
    });
}
