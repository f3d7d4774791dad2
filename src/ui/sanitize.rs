//! Makes text that somebody else wrote safe to show.
//!
//! A file's name, a platform's error or a redirect can hold escape sequences that recolour, erase or retitle a terminal,
//! and marks that reverse or hide what is read. They are shown as what they are: `\u{1b}`.

use std::borrow::Cow;

/// Whether `c` steers a terminal or cannot be seen: control characters, line and bidirectional marks, joiners, tags.
///
/// The two selectors between text and emoji style (U+FE0E, U+FE0F) stay: they occur in ordinary names.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line, every unsafe character escaped.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\t' => safe.push_str("\\t"),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            c if is_unsafe(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The same, but line breaks stay; each further line is indented, so that text from elsewhere cannot pass for a line
/// of ours such as `error: …`.
pub fn lines(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).split('\n').map(line).collect::<Vec<_>>().join("\n  ")
}

/// JSON text that means the same and is safe on a terminal: JSON has its own escapes, and leaves out all but ASCII's.
pub fn json(text: &str) -> Cow<'_, str> {
    let escape = |c: char| c != '\n' && is_unsafe(c);
    if !text.contains(escape) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escape(c) {
            safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_what_would_steer_a_terminal() {
        assert_eq!(line("report.pdf"), "report.pdf");
        assert_eq!(line("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(line("a\tb\nc\rd"), "a\\tb\\nc\\rd");
        assert_eq!(line("cod\u{202e}fdp.exe\u{9b}2J"), "cod\\u{202e}fdp.exe\\u{9b}2J");
        assert_eq!(line("日本語 ❤\u{fe0f} Ünïcode e\u{301}"), "日本語 ❤\u{fe0f} Ünïcode e\u{301}");
    }

    #[test]
    fn a_line_from_elsewhere_cannot_pass_for_ours() {
        assert_eq!(lines("bad name\nhint: `rm -rf`\r\n"), "bad name\n  hint: `rm -rf`");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_gets_through(text in any::<String>(), mark in proptest::char::ranges(vec![
            '\0'..='\u{ff}', '\u{2000}'..='\u{206f}', '\u{e0000}'..='\u{e0100}'].into())) {
            let text = format!("{text}{mark}{text}");
            prop_assert!(!line(&text).contains(is_unsafe));
            prop_assert!(!lines(&text).contains(|c| c != '\n' && is_unsafe(c)));

            let written = serde_json::to_string(&text).unwrap();
            let safe = json(&written);
            prop_assert!(!safe.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
