//! Formats sizes, times, durations and counts as readable text.

use std::time::Duration;

use jiff::Timestamp;

/// Formats a size in units of 1000, such as `512 B` or `1.2 MB`, in at most 8 characters. From 1000 bytes on, it has
/// one decimal.
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // Integer tenths: 999,999 becomes `1.0 MB`, where `bytesize` prints `1000.0 kB`.
    let mut unit = 1000_u128;
    for name in ["kB", "MB", "GB", "TB", "PB"] {
        let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
        if tenths < 10_000 {
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
        unit *= 1000;
    }
    let tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    format!("{}.{} EB", tenths / 10, tenths % 10)
}

/// Formats the sum of sizes in parentheses after a space, such as ` (1.2 MB)`, or ` (at least 1.2 MB)` if
/// some are unknown. Returns an empty string if no size is known.
pub fn total(sizes: impl IntoIterator<Item = Option<u64>>) -> String {
    let (mut known, mut unknown, mut bytes) = (0_u64, 0_u64, 0_u64);
    for found in sizes {
        match found {
            Some(found) => (known, bytes) = (known + 1, bytes.saturating_add(found)),
            None => unknown += 1,
        }
    }
    match (known, unknown) {
        (0, _) => String::new(),
        (_, 0) => format!(" ({})", size(bytes)),
        _ => format!(" (at least {})", size(bytes)),
    }
}

/// Formats a time relative to `now`: `3 hours ago`, `in 2 days`, or `now` within five seconds. Rounds toward now.
pub fn relative(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    let amount = match seconds.unsigned_abs() {
        0..5 => return "now".to_owned(),
        s @ 5..60 => count(s, "second"),
        s @ 60..3_600 => count(s / 60, "minute"),
        s @ 3_600..86_400 => count(s / 3_600, "hour"),
        s @ 86_400..2_592_000 => count(s / 86_400, "day"),
        s @ 2_592_000..31_536_000 => count(s / 2_592_000, "month"),
        s => count(s / 31_536_000, "year"),
    };
    if seconds < 0 { format!("in {amount}") } else { format!("{amount} ago") }
}

/// Formats a time relative to `now` with short units: `3 h ago`, `in 2 d`.
pub fn short_relative(time: Timestamp, now: Timestamp) -> String {
    let mut text = relative(time, now);
    for (unit, short) in
        [("second", "s"), ("minute", "min"), ("hour", "h"), ("day", "d"), ("month", "mo"), ("year", "y")]
    {
        text = text.replace(&format!("{unit}s"), short).replace(unit, short);
    }
    text
}

/// Formats a number with a noun: `1 file`, `3 files`. Supports only nouns whose plural adds an s.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Formats a duration with at most two units: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |major: u64, unit: &str, minor: u64, part: &str| match minor {
        0 => format!("{major} {unit}"),
        _ => format!("{major} {unit} {minor} {part}"),
    };
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// Formats the duration or time limit of a request, with one decimal below ten seconds: `0.4 s`, `12 s`, `2 min 30
/// s`, `24 h 0 min`.
pub fn waiting_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_mentions_unknown_sizes() {
        assert_eq!(total([None, None]), "");
        assert_eq!(total([Some(1), Some(2)]), " (3 B)");
        assert_eq!(total([Some(1), None, Some(u64::MAX)]), " (at least 18.4 EB)");
    }

    #[test]
    fn sizes_round_to_one_decimal_and_roll_over() {
        let shown: Vec<String> =
            [0, 999, 1000, 1_049, 1_050, 999_949, 999_950, 1_234_567, u64::MAX].map(size).into();
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "1.0 kB", "1.1 kB", "999.9 kB", "1.0 MB", "1.2 MB", "18.4 EB"]
        );
    }

    #[test]
    fn times_are_relative_to_now() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let at = |text: &str| relative(text.parse().unwrap(), now);
        assert_eq!(at("2026-03-01T11:59:57Z"), "now");
        assert_eq!(at("2026-03-01T11:59:50Z"), "10 seconds ago");
        assert_eq!(at("2026-03-01T11:59:00Z"), "1 minute ago");
        assert_eq!(at("2026-03-01T09:00:00Z"), "3 hours ago");
        assert_eq!(at("2026-03-03T12:00:01Z"), "in 2 days");
        assert_eq!(at("2025-12-25T12:00:00Z"), "2 months ago");
        assert_eq!(at("2020-03-01T12:00:00Z"), "6 years ago");
        let short = |text: &str| short_relative(text.parse().unwrap(), now);
        assert_eq!(short("2026-03-01T11:59:50Z"), "10 s ago");
        assert_eq!(short("2026-03-01T11:00:30Z"), "59 min ago");
        assert_eq!(short("2026-03-03T12:00:01Z"), "in 2 d");
        assert_eq!(short("2025-12-25T12:00:00Z"), "2 mo ago");
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let shown = [0, 12, 60, 200, 7_500, 273_600].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(shown, ["0 ms", "12 s", "1 min", "3 min 20 s", "2 h 5 min", "3 d 4 h"]);
        assert_eq!(duration(Duration::from_millis(850)), "850 ms");
    }

    #[test]
    fn waiting_times_have_a_decimal_below_ten_seconds() {
        let shown = [0.04, 9.96, 12.9, 150.0, 7_500.0].map(|s| waiting_time(Duration::from_secs_f64(s)));
        assert_eq!(shown, ["0.0 s", "10.0 s", "12 s", "2 min 30 s", "2 h 5 min"]);
    }
}
