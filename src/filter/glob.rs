//! Shell patterns: `*` any text, `?` one character, `[a-z]` one of these, `[!a-z]` none of these, `\` the next
//! character as it is. Case matters, and `/` is a character like any other, for platforms have no folders in names.
//!
//! `{a,b}` is resolved before matching, into several patterns, so that matching needs neither memory nor more than
//! linear time per star.

/// The longest pattern, in bytes.
pub(super) const LONGEST: usize = 1024;

/// The most patterns that braces may stand for.
pub(super) const MOST: usize = 64;

/// Whether all of `text` fits the pattern. Braces are characters like any other here.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last star, and where in the text it was last tried.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            retry = Some((after, text));
            pattern = after;
            continue;
        }
        let Some(c) = text.chars().next() else { return pattern.is_empty() };
        if let Some(rest) = step(pattern, c) {
            pattern = rest;
            text = &text[c.len_utf8()..];
        } else if let Some((after, from)) = retry {
            let skipped = from.chars().next().map_or(0, char::len_utf8);
            text = &from[skipped..];
            pattern = after;
            retry = Some((after, text));
        } else {
            return false;
        }
    }
}

/// The pattern after its first element, if that fits `c`.
fn step(pattern: &str, c: char) -> Option<&str> {
    let mut characters = pattern.chars();
    let fits = match characters.next()? {
        '?' => true,
        '[' => match class(pattern) {
            Some((items, rest)) => {
                characters = rest.chars();
                in_class(items, c)
            }
            None => c == '[',
        },
        '\\' => c == characters.next().unwrap_or('\\'),
        literal => c == literal,
    };
    fits.then_some(characters.as_str())
}

/// What is inside the brackets that the pattern starts with, and what follows them; None if they are not closed.
fn class(pattern: &str) -> Option<(&str, &str)> {
    let inner = pattern.strip_prefix('[')?;
    // A `]` that comes first is one of the characters.
    let first = inner.strip_prefix(['!', '^']).unwrap_or(inner);
    let skip = inner.len() - first.len() + first.chars().next()?.len_utf8();
    let end = skip + inner[skip..].find(']')?;
    Some((&inner[..end], &inner[end + 1..]))
}

fn in_class(items: &str, c: char) -> bool {
    let (wanted, items) = match items.strip_prefix(['!', '^']) {
        Some(items) => (false, items),
        None => (true, items),
    };
    let mut rest = items.chars();
    while let Some(low) = rest.next() {
        let mut ahead = rest.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) => {
                rest = ahead;
                high
            }
            _ => low,
        };
        if (low..=high).contains(&c) {
            return wanted;
        }
    }
    !wanted
}

/// The one text that the pattern fits, if it has no wildcard.
pub(super) fn literal(pattern: &str) -> Option<String> {
    let (text, rest) = literal_start(pattern);
    rest.is_empty().then_some(text)
}

/// The text that everything the pattern fits starts with, and the rest of the pattern: its first wildcard and on.
pub(super) fn literal_start(pattern: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = pattern.chars();
    loop {
        let rest = characters.as_str();
        match characters.next() {
            None | Some('*' | '?' | '[') => return (text, rest),
            Some('\\') => text.push(characters.next().unwrap_or('\\')),
            Some(c) => text.push(c),
        }
    }
}

/// The patterns without braces that stand for this one; None if there are too many. A brace that is not closed or has
/// no comma is a character, as in a shell.
pub(super) fn expand(pattern: &str) -> Option<Vec<String>> {
    let mut done = Vec::new();
    let mut pending = vec![pattern.to_owned()];
    while let Some(pattern) = pending.pop() {
        match first_brace(&pattern) {
            Brace::None => done.push(pattern),
            Brace::Character(at) => pending.push(format!("{}\\{}", &pattern[..at], &pattern[at..])),
            Brace::Choice { open, commas, close } => {
                let ends = commas.iter().copied().chain([close]);
                let starts = std::iter::once(open).chain(commas.iter().copied());
                let mut choices: Vec<String> = starts
                    .zip(ends)
                    .map(|(start, end)| {
                        format!("{}{}{}", &pattern[..open], &pattern[start + 1..end], &pattern[close + 1..])
                    })
                    .collect();
                choices.reverse();
                pending.append(&mut choices);
            }
        }
        if done.len() + pending.len() > MOST {
            return None;
        }
    }
    Some(done)
}

/// The first opening brace of a pattern.
enum Brace {
    None,
    /// It opens nothing.
    Character(usize),
    Choice {
        open: usize,
        commas: Vec<usize>,
        close: usize,
    },
}

fn first_brace(pattern: &str) -> Brace {
    let mut open = None;
    let mut depth = 0;
    let mut commas = Vec::new();
    let mut at = 0;
    while let Some(c) = pattern[at..].chars().next() {
        match c {
            '\\' => at += pattern[at + 1..].chars().next().map_or(0, char::len_utf8),
            '[' => {
                if let Some((items, _)) = class(&pattern[at..]) {
                    at += items.len() + 1;
                }
            }
            '{' => {
                open.get_or_insert(at);
                depth += 1;
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth > 0 => depth -= 1,
            _ => {}
        }
        if let (Some(open), 0) = (open, depth) {
            return if commas.is_empty() {
                Brace::Character(open)
            } else {
                Brace::Choice { open, commas, close: at }
            };
        }
        at += c.len_utf8();
    }
    open.map_or(Brace::None, Brace::Character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*", "abc", true),
            ("a*", "Abc", false),
            ("*.pdf", "sub/a.pdf", true),
            ("*.pdf", "a.pdf.txt", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("?", "é", true),
            ("?", "", false),
            ("??", "é", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[^a-c]x", "ax", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[é]", "é", true),
            ("[a", "[a", true),
            ("[", "[", true),
            ("[]", "[]", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a\\", "a\\", true),
            ("*a", "baa", true),
            ("*[0-9].txt", "page7.txt", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &"a".repeat(10_000)));
    }

    #[test]
    fn braces_stand_for_several_patterns() {
        let cases: [(&str, &[&str]); 9] = [
            ("*.{pdf,txt}", &["*.pdf", "*.txt"]),
            ("{a,b}{c,d}", &["ac", "ad", "bc", "bd"]),
            ("{a,{b,c}d}", &["a", "bd", "cd"]),
            ("{a,}", &["a", ""]),
            ("{a}", &[r"\{a}"]),
            ("{a", &[r"\{a"]),
            ("a}", &["a}"]),
            (r"\{a,b}", &[r"\{a,b}"]),
            ("[{]a,b}", &["[{]a,b}"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(expand(pattern).unwrap(), expected, "{pattern:?}");
        }
        assert_eq!(expand(&"{a,b}".repeat(6)).unwrap().len(), 64);
        assert_eq!(expand(&"{a,b}".repeat(7)), None);
    }

    #[test]
    fn the_literal_start_ends_at_the_first_wildcard() {
        assert_eq!(literal_start(r"a\*b*c"), ("a*b".to_owned(), "*c"));
        assert_eq!(literal(r"a\*b"), Some("a*b".to_owned()));
        assert_eq!(literal("a?"), None);
    }
}
