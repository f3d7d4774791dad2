//! The tokens of a server that several teams share. A line of their file is `SPACE SHA256-OF-TOKEN [read-only]`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};

use super::{from_hex, ids};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Maximum length of the name of a space, in bytes.
const MAX_NAME: usize = 64;
/// The word that limits a token to reading.
const READ_ONLY: &str = "read-only";
/// The prefix of new tokens, which allows tools to find tokens that were published by mistake.
const PREFIX: &str = "haul_";

/// The tokens of a file. Clones share them, so that a change applies to requests immediately.
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<Arc<Vec<Line>>>>);

/// The space of a token and its permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The space whose files the token covers.
    pub space: Arc<str>,
    /// Whether the token cannot change anything.
    pub read_only: bool,
}

/// A token by its hash.
struct Line {
    hash: [u8; 32],
    grant: Grant,
}

/// The tokens that a site accepts.
#[derive(Clone)]
pub(super) enum Accepted {
    Any,
    One(Secret),
    /// The tokens of a space; without a space, none.
    Of(Tokens, Option<Arc<str>>),
}

impl Tokens {
    /// Parses the content of a file. Empty lines and lines that start with `#` are ignored. `file` is its name in
    /// errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let tokens = Self::default();
        tokens.update(text, file)?;
        Ok(tokens)
    }

    /// Replaces the tokens with those of `text`. After an error, the previous ones still apply.
    pub fn update(&self, text: &str, file: &str) -> Result<()> {
        let mut lines: Vec<Line> = Vec::new();
        let mut seen: HashMap<[u8; 32], usize> = HashMap::new();
        for (index, text) in text.lines().enumerate() {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let invalid = |why: String| {
                Error::usage(format!("{file}:{number}: {why}"))
                    .hint("to create a line: `haul serve token add SPACE`")
            };
            let line = Line::parse(text).map_err(invalid)?;
            if let Some(first) = seen.insert(line.hash, number) {
                return Err(invalid(format!("the token is the same as on line {first}")));
            }
            lines.push(line);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lines);
        Ok(())
    }

    /// The space and permissions of a token; `None` for an unknown token. The comparison takes the same time in each
    /// case.
    pub(super) fn grant(&self, token: &str) -> Option<Grant> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for line in self.lines().iter() {
            let difference = line.hash.iter().zip(hash).fold(0, |all, (a, b)| all | (a ^ b));
            if black_box(difference) == 0 {
                found = Some(line.grant.clone());
            }
        }
        found
    }

    /// The space with this name, if a token belongs to it.
    pub(super) fn space(&self, name: &str) -> Option<Arc<str>> {
        self.lines().iter().map(|line| &line.grant.space).find(|space| &***space == name).cloned()
    }

    fn lines(&self) -> Arc<Vec<Line>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Line {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut words = text.split_whitespace();
        let (space, hash, mode) = (words.next().unwrap_or_default(), words.next(), words.next());
        check_space(space)?;
        let hash = hash.ok_or("missing SHA-256 of the token")?;
        // The value is not shown: it may be a token by mistake.
        let hash = from_hex(hash).and_then(|hash| hash.try_into().ok());
        let hash = hash.ok_or("the second word must be a SHA-256 in hexadecimal")?;
        let read_only = match mode {
            None => false,
            Some(READ_ONLY) => true,
            Some(other) => return Err(format!("unknown word `{other}`: expected `{READ_ONLY}`")),
        };
        if words.next().is_some() {
            return Err(format!("unexpected text after `{READ_ONLY}`"));
        }
        Ok(Self { hash, grant: Grant { space: space.into(), read_only } })
    }
}

/// Checks the name of a space, which is part of URLs.
pub fn check_space(name: &str) -> std::result::Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_valid = name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(is_word)
        && name.bytes().all(|byte| is_word(byte) || byte == b'-' || byte == b'_');
    if is_valid {
        return Ok(());
    }
    Err(format!(
        "space `{name}`: must consist of 1 to {MAX_NAME} characters from a-z, 0-9, `-` and `_`, and start with a letter or digit"
    ))
}

/// A new random token, and the line that grants it.
pub fn new_token(space: &str, read_only: bool) -> (Secret, String) {
    let token = format!("{PREFIX}{}", ids::base62(40));
    let mut line = format!("{space} {}", super::to_hex(&Sha256::digest(&token)));
    if read_only {
        let _ = write!(line, " {READ_ONLY}");
    }
    (Secret::new(&token), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let error = Tokens::parse(text, "tokens").err().unwrap();
        error.message().to_owned()
    }

    #[test]
    fn a_token_belongs_to_the_space_of_its_line() {
        let ((red, line), (blue, other)) = (new_token("red", false), new_token("blue-2", true));
        let tokens = Tokens::parse(
            &format!(
                "# team\n\n{line}\n  {}\n",
                other.to_uppercase().replace("BLUE-2", "blue-2").replace("READ-ONLY", "read-only")
            ),
            "tokens",
        )
        .unwrap();
        let grant = |token: &str| tokens.grant(token).map(|grant| (grant.space.to_string(), grant.read_only));
        assert_eq!(grant(red.expose()), Some(("red".to_owned(), false)));
        assert_eq!(grant(blue.expose()), Some(("blue-2".to_owned(), true)));
        assert_eq!(grant("haul_x"), None);
        assert!(tokens.space("red").is_some() && tokens.space("green").is_none());
        assert!(red.expose().len() == 45 && red.expose() != new_token("red", false).0.expose());
    }

    #[test]
    fn errors_name_the_line_and_keep_the_previous_tokens() {
        let hash = "0".repeat(64);
        assert_eq!(error("red"), "tokens:1: missing SHA-256 of the token");
        assert_eq!(error("\nred secret"), "tokens:2: the second word must be a SHA-256 in hexadecimal");
        assert!(error(&format!("Red {hash}")).starts_with("tokens:1: space `Red`: must consist of"));
        assert!(error(&format!("a/b {hash}")).starts_with("tokens:1: space `a/b`"));
        assert_eq!(error(&format!("a {hash} write")), "tokens:1: unknown word `write`: expected `read-only`");
        assert_eq!(
            error(&format!("a {hash}\n# b\nb {hash}")),
            "tokens:3: the token is the same as on line 1"
        );
        let (token, line) = new_token("red", false);
        let tokens = Tokens::parse(&line, "tokens").unwrap();
        assert!(tokens.update("red", "tokens").is_err());
        assert!(tokens.grant(token.expose()).is_some());
        tokens.update("", "tokens").unwrap();
        assert!(tokens.grant(token.expose()).is_none());
    }
}
