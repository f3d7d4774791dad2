//! Errors in the text of a filter: a message with the column, the text, and carets below the error.

use unicode_width::UnicodeWidthStr;

use crate::error::Error;

/// Number of characters shown on either side of an error.
const CONTEXT: usize = 40;

/// An error and its position.
#[derive(Debug)]
pub(super) struct Problem {
    /// The start of the error, in bytes.
    pub at: usize,
    /// The end of the error, in bytes.
    pub end: usize,
    /// The message.
    pub what: String,
    /// Hints.
    pub hints: Vec<String>,
}

impl Problem {
    pub(super) fn new(at: usize, end: usize, what: impl Into<String>) -> Self {
        Self { at, end, what: what.into(), hints: Vec::new() }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Converts the problem to an error: a message with the column (in characters, starting at 1), with the text
    /// around the error and carets below it as details. Control characters are escaped, in the hints too.
    pub(super) fn in_text(self, text: &str) -> Error {
        let (before, rest) = text.split_at(self.at);
        let (wrong, after) = rest.split_at(self.end.saturating_sub(self.at));
        let column = before.chars().count() + 1;

        let hidden_before = (column - 1).saturating_sub(CONTEXT);
        let before: String = before.chars().skip(hidden_before).collect();
        let before = format!("{}{}", if hidden_before > 0 { "…" } else { "" }, visible(&before));
        let wrong = clipped(wrong);
        let line = format!("{before}{wrong}{}", clipped(after));
        let caret = format!("{}{}", " ".repeat(before.width()), "^".repeat(wrong.width().max(1)));

        let what = visible(&self.what);
        let error = Error::usage(format!("filter, column {column}: {what}")).detail(line).detail(caret);
        self.hints.iter().fold(error, |error, hint| error.hint(visible(hint)))
    }
}

/// The start of a string, with an ellipsis if it is truncated. Invisible characters are escaped.
pub(super) fn clipped(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(CONTEXT).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    format!("{}{more}", visible(&start))
}

/// Escapes characters that a terminal would not display or would display in a different place.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let turns_direction = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns_direction {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(text: &str, at: usize, end: usize) -> Vec<String> {
        Problem::new(at, end, "x").in_text(text).details().to_vec()
    }

    #[test]
    fn the_caret_is_below_the_mistake() {
        assert_eq!(details("name = a b", 9, 10), ["name = a b", "         ^"]);
        assert_eq!(details("日本 = x", 6, 7), ["日本 = x", "    ^"]);
        assert_eq!(details("a\u{1b}b c", 4, 5), ["a\\u{1b}b c", "         ^"]);
        assert_eq!(details("", 0, 0), ["", "^"]);
    }

    #[test]
    fn control_characters_are_escaped_in_the_message_and_its_hints() {
        let error = Problem::new(0, 1, "`a\0`").hint("write `b\u{1b}`").in_text("a\0");
        assert_eq!(error.message(), "filter, column 1: `a\\u{0}`");
        assert_eq!(error.hints(), ["write `b\\u{1b}`"]);
    }

    #[test]
    fn a_long_text_is_cut_off() {
        let text = format!("{}!{}", "a".repeat(1000), "b".repeat(1000));
        let line = format!("…{}!{}…", "a".repeat(40), "b".repeat(40));
        assert_eq!(details(&text, 1000, 1001), [line, format!("{}^", " ".repeat(41))]);
    }
}
