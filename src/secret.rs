//! Values that must not be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A token or signing secret. Prints as `***`, is wiped from memory when dropped and cannot be serialized.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps `text` without surrounding white space and a leading `Bearer`, which copied tokens often contain.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let word = text.split_at_checked(7).filter(|(word, _)| word.eq_ignore_ascii_case("bearer "));
        Self(SecretString::from(word.map_or(text, |(_, rest)| rest.trim_start()).to_owned()))
    }

    /// The text. Call it only to pass the text to its destination.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A redacted form that distinguishes tokens: the first and last characters of a long one.
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
}
