//! Comparing text without allocating: this runs for each file of a listing.

/// Whether `text` has `pattern` in it, whatever the case. A `*` at the end asks for a text that starts with the rest,
/// one at the start for a text that ends with it.
pub(super) fn has(text: &str, pattern: &str) -> bool {
    if let Some(core) = pattern.strip_prefix('*') {
        return match core.strip_suffix('*') {
            Some(core) => contains(text, core),
            None => ends_with(text, core),
        };
    }
    match pattern.strip_suffix('*') {
        Some(start) => starts_with(text, start),
        None => contains(text, pattern),
    }
}

/// The characters in lower case; some become several.
fn folded(text: &str) -> impl DoubleEndedIterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

fn contains(text: &str, part: &str) -> bool {
    if part.is_empty() {
        return true;
    }
    if text.is_ascii() && part.is_ascii() {
        let (text, part) = (text.as_bytes(), part.as_bytes());
        let first = part[0].to_ascii_lowercase();
        return text
            .windows(part.len())
            .any(|window| window[0].to_ascii_lowercase() == first && window.eq_ignore_ascii_case(part));
    }
    text.char_indices().any(|(at, _)| starts_with(&text[at..], part))
}

fn starts_with(text: &str, start: &str) -> bool {
    let mut text = folded(text);
    folded(start).all(|c| text.next() == Some(c))
}

fn ends_with(text: &str, end: &str) -> bool {
    let mut text = folded(text).rev();
    folded(end).rev().all(|c| text.next() == Some(c))
}

/// Whether `text` is `pattern`, where each `*` stands for any text. Case matters.
pub(super) fn wildcard(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The first place for each part is the best: it leaves the most to the others.
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_looks_for_a_part_whatever_the_case() {
        let cases = [
            ("Report.pdf", "report", true),
            ("Report.pdf", "PDF", true),
            ("Report.pdf", "reports", false),
            ("Report.pdf", "rep*", true),
            ("Report.pdf", "port*", false),
            ("Report.pdf", "*.PDF", true),
            ("Report.pdf", "*port", false),
            ("Report.pdf", "*port*", true),
            ("Report.pdf", "", true),
            ("", "x", false),
            ("", "", true),
            ("", "*", true),
            ("anything", "**", true),
            ("ÜBER.txt", "über", true),
            ("größe", "GRÖSSE", false),
            ("20 K\u{212a}", "kk", true),
            ("ÜBER.txt", "üb*", true),
            ("café", "*FÉ", true),
            ("a*b", "a*b", true),
            ("axb", "a*b", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(has(text, pattern), expected, "{text:?} : {pattern:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("report.pdf", "report.pdf", true),
            ("report.pdf", "Report.pdf", false),
            ("report.pdf", "rep*", true),
            ("report.pdf", "*.pdf", true),
            ("report.pdf", "r*.pdf", true),
            ("report.pdf", "r*t*p*f", true),
            ("report.pdf", "*", true),
            ("report.pdf", "r*x*f", false),
            ("aa", "a*a", true),
            ("a", "a*a", false),
            ("ab", "a*b*b", false),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(wildcard(text, pattern), expected, "{text:?} = {pattern:?}");
        }
    }
}
