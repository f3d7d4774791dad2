//! Parses words with the quotes and backslashes of a shell, and quotes completions for it.

/// A bash line up to the cursor.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Typed {
    /// The words without quotes and backslashes. The last one is at the cursor and can be empty.
    pub(super) words: Vec<String>,
    /// The number of bytes of the last word that bash keeps. Bash replaces only the part after the last quote or break
    /// character, such as the `:` in `xai:report`.
    kept: usize,
    /// The open quote at the cursor.
    quote: Option<char>,
}

impl Typed {
    /// Splits a bash line into words; `breaks` is the value of `COMP_WORDBREAKS`.
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

    /// The text that bash inserts to complete the last word to `word`. Returns `None` if the kept part differs.
    pub(super) fn written(&self, word: &str) -> Option<String> {
        let kept = self.words.last()?.get(..self.kept)?;
        let rest = word.strip_prefix(kept)?;
        Some(match self.quote {
            Some('\'') => rest.replace('\'', r"'\''"),
            Some(_) => rest.chars().fold(String::new(), |mut text, c| {
                match c {
                    '"' | '\\' | '$' | '`' => text.extend(['\\', c]),
                    // History expansion also applies inside double quotes and cannot be escaped there.
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

/// Removes the quotes and backslashes of a fish word.
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

    /// The value that bash uses by default.
    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn words(line: &str) -> Vec<String> {
        Typed::bash(line, BREAKS).words
    }

    fn written(line: &str, word: &str) -> Option<String> {
        Typed::bash(line, BREAKS).written(word)
    }

    #[test]
    fn bash_line_is_split_into_words() {
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
    fn completion_for_bash_omits_the_kept_part_and_continues_the_open_quote() {
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
    fn fish_word_is_unquoted() {
        assert_eq!(fish(r"my\ file"), "my file");
        assert_eq!(fish(r#""it's"#), "it's");
        assert_eq!(fish(r"'it\'s \n"), r"it's \n");
        assert_eq!(fish(r#"a"\$b""#), "a$b");
    }
}
