//! Parses and prints sizes, times and numbers.

use bytesize::ByteSize;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// More than the largest size: 2^64.
const TOO_LARGE: f64 = 18_446_744_073_709_551_616.0;

/// The smallest integer that a float cannot distinguish from the next one.
const EXACT: u64 = 1 << 53;

/// Parses a number of bytes with an optional unit: `10MB` is 10^7, `10MiB` is 10 · 2^20, and `1e6` is 10^6.
pub(super) fn size(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if text.contains('e') && !text.ends_with(char::is_alphabetic) {
        let bytes = number(text).filter(|bytes| bytes.fract() == 0.0 && *bytes < TOO_LARGE)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a whole number in range"
        )]
        return Some(bytes as u64);
    }
    // The second parser turns sizes larger than `u64::MAX` into that value.
    let with_unit = || text.parse().ok().map(|ByteSize(bytes)| bytes).filter(|bytes| *bytes != u64::MAX);
    text.parse().ok().or_else(with_unit)
}

/// Parses an instant: RFC 3339, a date or a date and time (both in UTC), or relative to now, such as `-7d`, `+24h` or
/// `-1h30m`.
pub(super) fn time(text: &str, now: Timestamp) -> Option<Timestamp> {
    match relative(text) {
        Some(offset) => now.checked_add(offset).ok(),
        None => absolute(text),
    }
}

fn absolute(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    // At this point, any text with an offset is invalid, and the civil parsers would ignore the offset.
    if text.contains(['Z', 'z', '[', '+']) {
        return None;
    }
    let civil = match text.parse::<Date>() {
        Ok(date) if !text.contains(['T', 't', ':']) => date.at(0, 0, 0, 0),
        _ => text.parse::<DateTime>().ok()?,
    };
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// Parses a sign followed by numbers with units: weeks, days (of 24 hours), hours, minutes and seconds.
fn relative(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => return None,
    };
    let mut seconds = 0i64;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b'w' => 7 * 86_400,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
        if rest.is_empty() {
            return Some(SignedDuration::from_secs(sign * seconds));
        }
    }
}

/// Parses a finite number in JSON syntax. `007` is probably a code and stays text, as does an integer that a float
/// cannot represent.
pub(super) fn number(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let leading_zero = matches!(digits.as_bytes(), [b'0', b'0'..=b'9', ..]);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || leading_zero || word.ends_with('.') {
        return None;
    }
    if digits.bytes().all(|c| c.is_ascii_digit()) && !digits.parse::<u64>().is_ok_and(|n| n < EXACT) {
        return None;
    }
    word.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Prints a number so that [`number`] parses the same number.
pub(super) fn spell_number(number: f64) -> String {
    if number.abs() >= 9_007_199_254_740_992.0 { format!("{number:e}") } else { format!("{number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-05-10T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn sizes_have_units() {
        let cases = [
            ("0", 0),
            ("1000", 1000),
            ("1e6", 1_000_000),
            ("10MB", 10_000_000),
            ("10mb", 10_000_000),
            ("10M", 10_000_000),
            ("10MiB", 10_485_760),
            ("10Mi", 10_485_760),
            ("1.5k", 1500),
            ("2 GB", 2_000_000_000),
            ("1KiB", 1024),
            ("9007199254740993", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "MB",
            "-1",
            "10 apples",
            "1e3x",
            "inf",
            "nan",
            "99999999999PB",
            "18446744073709551616",
            "1.8446744073709552e19",
            "1.5e0",
            ".",
            "0x10",
            "+5",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_absolute_or_relative() {
        let cases = [
            ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
            ("2026-01-31T10:00:00.25+02:00", "2026-01-31T08:00:00.25Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T10:00:00", "2026-01-31T10:00:00Z"),
            ("2026-01-31T10:00", "2026-01-31T10:00:00Z"),
            ("-7d", "2026-05-03T12:00:00Z"),
            ("+24h", "2026-05-11T12:00:00Z"),
            ("-1h30m", "2026-05-10T10:30:00Z"),
            ("-1w", "2026-05-03T12:00:00Z"),
            ("+1d1s", "2026-05-11T12:00:01Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text, now()), Some(expected.parse().unwrap()), "{text}");
        }
        let bad = [
            "",
            "7d",
            "-",
            "-d",
            "-7",
            "-7y",
            "+99999999999999999999d",
            "+9999999999999d",
            "2026-13-01",
            "yesterday",
            "2026-01-31Z",
            "2026-01-31T10:00:00+99:00",
            "-7d ",
        ];
        for text in bad {
            assert_eq!(time(text, now()), None, "{text}");
        }
    }

    #[test]
    fn a_number_has_the_syntax_of_json() {
        for (word, expected) in
            [("0", 0.0), ("-1.5", -1.5), ("1e3", 1000.0), ("9007199254740991", 9_007_199_254_740_991.0)]
        {
            assert_eq!(number(word), Some(expected), "{word}");
        }
        for word in ["007", "9007199254740992", "inf", "NaN", "1.", ".5", "+1", "1_000", "-", "1e999"] {
            assert_eq!(number(word), None, "{word}");
        }
    }

    #[test]
    fn parsing_a_spelled_number_returns_the_number() {
        for value in [0.0, -1.5, 1e300, 1e-300, 9_007_199_254_740_992.0, 9_007_199_254_740_991.0, 0.1] {
            assert_eq!(number(&spell_number(value)), Some(value));
        }
    }
}
