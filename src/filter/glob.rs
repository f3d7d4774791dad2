//! Shell patterns: `*` matches any text, `?` one character, `[a-z]` one of a range, `[!a-z]` any other character; `\`
//! escapes a character, and `{a,b}` lists alternatives. Patterns are case-sensitive. `/` is an ordinary character
//! because platforms have no folders.
//!
//! Two kinds of patterns share the matcher. In patterns for names, an unclosed bracket or brace and a brace without a
//! comma are ordinary characters, as in a shell. In patterns for [paths](PathGlobs), an unclosed bracket or brace is an
//! error, braces need no comma, empty alternatives are ignored, and `**/` matches any number of folders, including
//! none.
//!
//! Alternatives are expanded into several patterns, so that matching allocates no memory, and its time is at most
//! proportional to the product of the lengths of the pattern and the text.

/// Maximum length of a name pattern, in bytes.
pub(super) const LONGEST: usize = 1024;

/// Maximum number of patterns that a name pattern expands to.
pub(super) const MOST: usize = 64;

/// Maximum number of patterns that a path pattern expands to.
const MOST_OF_PATHS: usize = 1024;

/// Path patterns.
#[derive(Clone, Debug)]
pub struct PathGlobs(Vec<String>);

impl PathGlobs {
    /// Parses patterns. The error describes the first invalid one.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let mut all = Vec::new();
        for pattern in patterns {
            let refused = |reason: String| format!("invalid glob {pattern:?}: {reason}");
            check(pattern).map_err(refused)?;
            let expanded = expand_as(Kind::Paths, pattern);
            all.extend(expanded.ok_or_else(|| refused(format!("more than {MOST_OF_PATHS} alternatives")))?);
        }
        Ok(Self(all))
    }

    /// Whether any pattern matches.
    pub fn is_match(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, path))
    }
}

/// The kind of text that a pattern matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Names,
    Paths,
}

/// Whether the pattern matches all of `text`. Braces are ordinary characters here.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // The pattern after the last star, and the text at the position where it was last tried.
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

/// The pattern after its first element, if that element matches `c`.
fn step(pattern: &str, c: char) -> Option<&str> {
    let (_, element) = elements(pattern).next()?;
    let fits = match element {
        "?" => true,
        _ => match class(element) {
            Some(items) => is_in_class(items, c),
            None => literal_of(element) == Some(c),
        },
    };
    fits.then(|| &pattern[element.len()..])
}

/// The elements of a pattern with their positions: an escaped character, a class, or a single character.
fn elements(pattern: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &pattern[at..];
        let first = rest.chars().next()?;
        let len = match first {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '[' => class(rest).map_or(1, |items| items.len() + 2),
            c => c.len_utf8(),
        };
        at += len;
        Some((at - len, &rest[..len]))
    })
}

/// The character that a non-wildcard element represents.
fn literal_of(element: &str) -> Option<char> {
    element.strip_prefix('\\').filter(|escaped| !escaped.is_empty()).unwrap_or(element).chars().next()
}

/// The text between the brackets at the start of the pattern. Returns `None` if they are not closed.
fn class(pattern: &str) -> Option<&str> {
    let inner = pattern.strip_prefix('[')?;
    // A `]` at the start belongs to the class.
    let first = inner.strip_prefix(['!', '^']).unwrap_or(inner);
    let skip = inner.len() - first.len() + first.chars().next()?.len_utf8();
    let end = skip + inner[skip..].find(']')?;
    Some(&inner[..end])
}

fn is_in_class(items: &str, c: char) -> bool {
    let members = items.strip_prefix(['!', '^']);
    ranges(members.unwrap_or(items)).any(|(low, high)| (low..=high).contains(&c)) != members.is_some()
}

/// The members of a class as ranges; a single character is a range of length 1.
fn ranges(members: &str) -> impl Iterator<Item = (char, char)> {
    let mut rest = members.chars();
    std::iter::from_fn(move || {
        let low = rest.next()?;
        let mut ahead = rest.clone();
        let (Some('-'), Some(high)) = (ahead.next(), ahead.next()) else { return Some((low, low)) };
        rest = ahead;
        Some((low, high))
    })
}

/// The only text that the pattern matches, if it has no wildcard.
pub(super) fn literal(pattern: &str) -> Option<String> {
    let (text, rest) = literal_start(pattern);
    rest.is_empty().then_some(text)
}

/// The literal prefix of all matching texts, and the rest of the pattern starting at its first wildcard.
pub(super) fn literal_start(pattern: &str) -> (String, &str) {
    let mut text = String::new();
    for (at, element) in elements(pattern) {
        if element.starts_with(['*', '?', '[']) {
            return (text, &pattern[at..]);
        }
        text.extend(literal_of(element));
    }
    (text, "")
}

/// Checks the syntax of a path pattern.
fn check(pattern: &str) -> Result<(), String> {
    let mut depth = 0;
    for (_, element) in elements(pattern) {
        match element {
            "\\" => return Err("dangling '\\'".to_owned()),
            "[" => return Err("unclosed character class; missing ']'".to_owned()),
            "{" => depth += 1,
            "}" if depth == 0 => {
                return Err("unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)".to_owned());
            }
            "}" => depth -= 1,
            _ => {
                let members = class(element).map_or("", |items| items.trim_start_matches(['!', '^']));
                if let Some((low, high)) = ranges(members).find(|(low, high)| low > high) {
                    return Err(format!("invalid range; '{low}' > '{high}'"));
                }
            }
        }
    }
    if depth == 0 {
        Ok(())
    } else {
        Err("unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)".to_owned())
    }
}

/// Expands the braces in a name pattern. Returns `None` if this gives more than [`MOST`] patterns.
pub(super) fn expand(pattern: &str) -> Option<Vec<String>> {
    expand_as(Kind::Names, pattern)
}

fn expand_as(kind: Kind, pattern: &str) -> Option<Vec<String>> {
    let most = if kind == Kind::Names { MOST } else { MOST_OF_PATHS };
    let mut done = Vec::new();
    let mut pending = vec![pattern.to_owned()];
    while let Some(pattern) = pending.pop() {
        match (first_brace(&pattern), folders(&pattern).filter(|_| kind == Kind::Paths)) {
            (None, None) => done.push(pattern),
            (None, Some(at)) => {
                let (before, after) = (&pattern[..at], &pattern[at + "**/".len()..]);
                pending.extend([format!("{before}*/{after}"), format!("{before}{after}")]);
            }
            (Some(Braces { open, close: Some(close), commas }), _)
                if kind == Kind::Paths || !commas.is_empty() =>
            {
                let ends = commas.iter().copied().chain([close]);
                let starts = std::iter::once(open).chain(commas.iter().copied());
                let mut parts: Vec<&str> =
                    starts.zip(ends).map(|(start, end)| &pattern[start + 1..end]).collect();
                if kind == Kind::Paths && parts.iter().any(|part| !part.is_empty()) {
                    parts.retain(|part| !part.is_empty());
                }
                let (before, after) = (&pattern[..open], &pattern[close + 1..]);
                pending.extend(parts.into_iter().rev().map(|part| format!("{before}{part}{after}")));
            }
            (Some(Braces { open, .. }), _) => {
                pending.push(format!("{}\\{}", &pattern[..open], &pattern[open..]));
            }
        }
        if done.len() + pending.len() > most {
            return None;
        }
    }
    Some(done)
}

/// The position of the first `**/` that is a complete component.
fn folders(pattern: &str) -> Option<usize> {
    let mut positions = elements(pattern).map(|(at, _)| at);
    positions.find(|at| pattern[*at..].starts_with("**/") && (*at == 0 || pattern[..*at].ends_with('/')))
}

/// The first group of braces in a pattern: the positions of its braces and of its own commas.
struct Braces {
    open: usize,
    commas: Vec<usize>,
    /// `None` if the group is not closed.
    close: Option<usize>,
}

fn first_brace(pattern: &str) -> Option<Braces> {
    let mut braces: Option<Braces> = None;
    let mut depth = 0;
    for (at, element) in elements(pattern) {
        match (element, &mut braces) {
            ("{", braces) => {
                braces.get_or_insert(Braces { open: at, commas: Vec::new(), close: None });
                depth += 1;
            }
            (",", Some(braces)) if depth == 1 => braces.commas.push(at),
            ("}", Some(found)) => {
                depth -= 1;
                if depth == 0 {
                    found.close = Some(at);
                    break;
                }
            }
            _ => {}
        }
    }
    braces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
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
    fn many_stars_do_not_take_exponential_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
        assert!(!matches(&format!("{}b", "*a".repeat(100)), &"a".repeat(10_000)));
    }

    #[test]
    fn braces_expand_to_several_patterns() {
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

    #[test]
    fn patterns_for_paths_match_folders_and_are_checked() {
        let globs = |pattern: &str| PathGlobs::new(&[pattern.to_owned()]);
        let cases = [
            ("*.md", "sub/a.md", true),
            ("sub/*", "sub/deep/a.md", true),
            ("**/a.md", "a.md", true),
            ("**/a.md", "x/y/a.md", true),
            ("**/a.md", "xa.md", false),
            ("x/**/a.md", "x/a.md", true),
            ("x/**/a.md", "x/y/z/a.md", true),
            ("x/**/a.md", "xy/a.md", false),
            ("x/**", "x/y/a", true),
            ("x/**", "x", false),
            ("**", "x/y", true),
            ("a**/b", "a/b", true),
            ("{**/a,b}.md", "a.md", true),
            ("{a}.md", "a.md", true),
            ("a{,.bak}", "a", false),
            ("a{,.bak}", "a.bak", true),
            ("?.md", "é.md", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(globs(pattern).unwrap().is_match(path), expected, "{pattern:?} {path:?}");
        }
        assert_eq!(globs("**/a/**/b").unwrap().0, ["a/b", "a/*/b", "*/a/b", "*/a/*/b"]);
        for (pattern, reason) in [
            ("[", "unclosed character class; missing ']'"),
            ("[z-a]", "invalid range; 'z' > 'a'"),
            ("a}", "unopened alternate group; missing '{' (maybe escape '}' with '[}]'?)"),
            ("{a", "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
            ("a\\", "dangling '\\'"),
        ] {
            let message = globs(pattern).unwrap_err();
            assert_eq!(message, format!("invalid glob {pattern:?}: {reason}"));
        }
        assert!(globs(&"{a,b}".repeat(11)).is_err());
    }
}
