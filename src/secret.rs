//! Values that must not be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Quotes around a value copied from an environment file, or typographic quotes from copied text.
const QUOTES: [char; 5] = ['"', '\'', '`', '\u{201c}', '\u{201d}'];

/// A token or signing secret. It is printed as `***`, wiped from memory when dropped, and cannot be serialized.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text` after removing surrounding white space and a leading `Bearer`, which copied tokens often contain.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let word = text.split_at_checked(7).filter(|(word, _)| word.eq_ignore_ascii_case("bearer "));
        Self(SecretString::from(word.map_or(text, |(_, rest)| rest.trim_start()).to_owned()))
    }

    /// The reason why the text cannot be a token; `None` if it can. A token is sent in a header, so it must consist of
    /// visible ASCII characters. Quotes usually come from an environment file. Reveals at most one invalid character.
    pub fn problem(&self) -> Option<String> {
        let text = self.expose();
        if text.is_empty() {
            return Some("it is empty".to_owned());
        }
        if text.starts_with('\u{feff}') {
            return Some("it starts with a byte order mark".to_owned());
        }
        if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
            return Some("it has quotes around it".to_owned());
        }
        let what = match text.chars().find(|c| !c.is_ascii_graphic())? {
            ' ' => "a space".to_owned(),
            '\n' | '\r' => "a line break".to_owned(),
            c => format!("the character U+{:04X}", u32::from(c)),
        };
        Some(format!("it contains {what}"))
    }

    /// The text itself. Call this only to pass the text to its destination.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A redacted form: the first and last characters of a long token, to tell tokens apart; `***` for a short one.
    pub fn redacted(&self) -> String {
        let text: Vec<char> = self.expose().chars().collect();
        if text.len() < 20 {
            return "***".to_owned();
        }
        let (head, tail): (String, String) =
            (text[..4].iter().collect(), text[text.len() - 4..].iter().collect());
        format!("{head}…{tail}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new(" hunter2-hunter2-hunter2 \n");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2-hunter2-hunter2");
        assert_eq!(secret.redacted(), "hunt…ter2");
        assert_eq!(Secret::new("short").redacted(), "***");
        assert_eq!(Secret::new("Bearer  abc").expose(), "abc");
        assert_eq!(Secret::new("bearer-abc").expose(), "bearer-abc");
    }

    #[test]
    fn a_text_that_is_no_token_has_a_reason() {
        for text in ["tok", "sk-proj_a.b~c+d/e=", "a'b", "Bearer tok\r\n"] {
            assert_eq!(Secret::new(text).problem(), None, "{text}");
        }
        for (text, why) in [
            ("\"tok\"", "it has quotes around it"),
            ("tok'", "it has quotes around it"),
            ("\u{201c}tok\u{201d}", "it has quotes around it"),
            ("\u{feff}tok", "it starts with a byte order mark"),
            ("to k", "it contains a space"),
            ("to\nk", "it contains a line break"),
            ("to\tk", "it contains the character U+0009"),
            ("tok\u{200b}", "it contains the character U+200B"),
            (" \n", "it is empty"),
        ] {
            assert_eq!(Secret::new(text).problem().as_deref(), Some(why), "{text:?}");
        }
    }
}
