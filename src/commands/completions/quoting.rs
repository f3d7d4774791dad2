//! What is typed as shells have it, quotes and backslashes included, and how what completes it has to be written.

/// A bash line up to the cursor.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Typed {
    /// The words without quotes and backslashes; the last is the one at the cursor, maybe empty.
    pub(super) words: Vec<String>,
    /// How many bytes of the last word stay as they are: bash replaces only what follows the last of its break
    /// characters, such as the `:` of `xai:report`.
    kept: usize,
    /// The quote that is open at the cursor.
    quote: Option<char>,
}

impl Typed {
    /// Takes a bash line apart; `breaks` are the characters of `COMP_WORDBREAKS`.
    pub(super) fn bash(line: &str, breaks: &str) -> Self {
        let (mut words, mut word) = (Vec::new(), String::new());
        let (mut kept, mut quote, mut is_word) = (0, None, false);
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            match (quote, c) {
                (None, c) if c.is_whitespace() => {
                    if std::mem::take(&mut is_word) {
                        words.push(std::mem::take(&mut word));
                    }
                    kept = 0;
                    continue;
                }
                (None, '\\') => word.extend(rest.next()),
                (None, '\'' | '"') => {
                    quote = Some(c);
                    kept = word.len();
                }
                (Some(open), c) if c == open => {
                    quote = None;
                    kept = word.len();
                }
                (Some('"'), '\\') if rest.peek().is_some_and(|next| "$`\"\\".contains(*next)) => {
                    word.extend(rest.next());
                }
                (None, c) => {
                    word.push(c);
                    if breaks.contains(c) {
                        kept = word.len();
                    }
                }
                (Some(_), c) => word.push(c),
            }
            is_word = true;
        }
        words.push(word);
        Self { words, kept, quote }
    }

    /// What bash is to put at the cursor for a word that completes the last one; None where that would need more of it
    /// replaced than bash replaces.
    pub(super) fn written(&self, word: &str) -> Option<String> {
        let kept = self.words.last()?.get(..self.kept)?;
        let rest = word.strip_prefix(kept)?;
        Some(match self.quote {
            Some('\'') => rest.replace('\'', r"'\''"),
            Some(_) => rest.chars().fold(String::new(), |mut text, c| {
                match c {
                    '"' | '\\' | '$' | '`' => text.extend(['\\', c]),
                    // Inside of quotes nothing keeps it from being an event of the history.
                    '!' => text.push_str(r#""\!""#),
                    c => text.push(c),
                }
                text
            }),
            None => rest.chars().fold(String::new(), |mut text, c| {
                if c.is_ascii() && !c.is_ascii_alphanumeric() && !"_@%+:,./=-".contains(c) {
                    text.push('\\');
                }
                text.push(c);
                text
            }),
        })
    }
}

/// A word as typed in fish, without its quotes and backslashes.
pub(super) fn fish(word: &str) -> String {
    let (mut plain, mut quote) = (String::new(), None);
    let mut rest = word.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => plain.extend(rest.next()),
            (Some(open), '\\') if next.is_some_and(|next| next == open || next == '\\') => {
                plain.extend(rest.next());
            }
            (Some('"'), '\\') if next == Some('$') => plain.extend(rest.next()),
            (_, c) => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// bash's own.
    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn words(line: &str) -> Vec<String> {
        Typed::bash(line, BREAKS).words
    }

    fn written(line: &str, word: &str) -> Option<String> {
        Typed::bash(line, BREAKS).written(word)
    }

    #[test]
    fn a_bash_line_is_taken_apart() {
        assert_eq!(words("haul get "), ["haul", "get", ""]);
        assert_eq!(
            words(r#"haul  get my\ 'own "file'" it's" x"#),
            ["haul", "get", "my own \"file it's", "x"]
        );
        assert_eq!(words(r#"haul get "a \$ \" \n"#), ["haul", "get", r#"a $ " \n"#]);
        assert_eq!(words(r"haul get my\"), ["haul", "get", "my"]);
        assert_eq!(words("haul get '' b"), ["haul", "get", "", "b"]);
    }

    #[test]
    fn only_what_bash_replaces_is_written_and_in_the_quote_that_is_open() {
        assert_eq!(written("haul get it", "it's a \"file\"!").unwrap(), r#"it\'s\ a\ \"file\"\!"#);
        assert_eq!(written("haul get 'it", "it's a").unwrap(), r"it'\''s a");
        assert_eq!(written("haul get \"it", "it's $5 \"!\\").unwrap(), r#"it's \$5 \""\!"\\"#);
        assert_eq!(written("haul get xai:re", "xai:re port").unwrap(), r"re\ port");
        assert_eq!(written("haul get 'xai:re", "xai:re port").unwrap(), "xai:re port");
        assert_eq!(written("haul get 'my 'fi", "my file.txt").unwrap(), "file.txt");
        assert_eq!(written("haul ls --fields=id,na", "--fields=id,name").unwrap(), "id,name");
        assert_eq!(written("haul get a:", "name:a:b"), None);
        assert_eq!(written("haul get Ü", "Übung 日本").unwrap(), r"Übung\ 日本");
    }

    #[test]
    fn a_word_of_fish_loses_its_quotes() {
        assert_eq!(fish(r"my\ file"), "my file");
        assert_eq!(fish(r#""it's"#), "it's");
        assert_eq!(fish(r"'it\'s \n"), r"it's \n");
        assert_eq!(fish(r#"a"\$b""#), "a$b");
    }
}
