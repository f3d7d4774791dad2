//! Escapes, shortens and wraps text for a terminal.
//!
//! File names, error messages and redirects from a platform can contain escape sequences that affect the terminal,
//! and marks that reverse or hide text. They are printed escaped, for example as `\u{1b}`.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use anstyle_hyperlink::Hyperlink;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether `c` controls a terminal or is invisible: control characters, line separators, bidirectional marks, joiners
/// and tags.
///
/// The variation selectors for text and emoji style (U+FE0E, U+FE0F) are safe because they occur in ordinary names.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on a single line, with unsafe characters escaped.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe, |c, safe| match c {
        '\t' => safe.push_str("\\t"),
        '\n' => safe.push_str("\\n"),
        '\r' => safe.push_str("\\r"),
        c => safe.extend(c.escape_unicode()),
    })
}

/// Like [`one_line`], but keeps line breaks. Every line after the first is indented, so that external text cannot
/// imitate haul's own lines such as `error: …`.
pub fn indented_lines(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).split('\n').map(one_line).collect::<Vec<_>>().join("\n  ")
}

/// Equivalent JSON text without unsafe characters. `serde_json` escapes only ASCII control characters.
pub fn safe_json(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| c != '\n' && is_unsafe(c);
    escaped(text, is_escaped, |c, safe| {
        safe.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
    })
}

/// Tab-separated rows with the unsafe characters in their values escaped.
pub fn safe_rows(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| c != '\n' && c != '\t' && is_unsafe(c);
    escaped(text, is_escaped, |c, safe| safe.extend(c.escape_unicode()))
}

/// Applies `escape` to the characters for which `is_escaped` is true.
fn escaped(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { escape(c, &mut safe) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Shortens text to `width` columns, with an ellipsis at the end.
pub fn elide_end(text: &str, width: usize) -> String {
    if text.width() <= width { text.to_owned() } else { start(text, width.saturating_sub(1)) + "…" }
}

/// The part of a name that is shown if the name is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The start and the end; the end gets this many fifths of the width.
    Ends(usize),
    /// The characters after this many, including the end of the name if it fits.
    After(usize),
}

impl Part {
    /// The usual part: its end contains the extension of a name.
    pub const USUAL: Self = Self::Ends(2);
}

/// The start and the end that make the largest number of these names look different at this width, and whether all of
/// them do.
pub fn best_ends(names: &[&str], width: usize) -> (Part, bool) {
    best(names, width, [2, 3, 4, 1, 5].map(Part::Ends))
}

/// Like [`best_ends`], but if some names would look the same, also tries the characters around the first one in which
/// similar names differ.
pub fn best_part(names: &[&str], width: usize) -> (Part, bool) {
    let ends = best_ends(names, width);
    if ends.1 {
        return ends;
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    let same = pairs.map(|(one, next)| one.chars().zip(next.chars()).take_while(|(a, b)| a == b).count());
    let same: BTreeSet<usize> = same.collect();
    let middles = same.into_iter().map(|same| Part::After(same.saturating_sub(width / 2)));
    best(names, width, std::iter::once(ends.0).chain(middles))
}

/// The first of these parts that makes the largest number of names look different, and whether all of them do.
fn best(names: &[&str], width: usize, parts: impl IntoIterator<Item = Part>) -> (Part, bool) {
    let count = |texts: HashSet<Cow<'_, str>>| texts.len();
    let all = count(names.iter().map(|name| Cow::Borrowed(*name)).collect());
    let mut best = (Part::USUAL, 0);
    for part in parts {
        let shown = count(names.iter().map(|name| Cow::Owned(elide(name, width, part))).collect());
        if shown > best.1 {
            best = (part, shown);
        }
        if shown == all {
            break;
        }
    }
    (best.0, best.1 == all)
}

/// Shortens text to `width` columns: an ellipsis replaces the characters that are not in this part.
pub fn elide(text: &str, width: usize, part: Part) -> String {
    let room = width.saturating_sub(1);
    if text.width() <= width || room < 2 {
        return elide_end(text, width);
    }
    match part {
        Part::Ends(tail) if room >= 8 => {
            let tail = end(text, room * tail.min(5) / 5);
            start(text, room - tail.width()) + "…" + tail
        }
        Part::After(count) if count > 0 => {
            let from = text.char_indices().nth(count).map_or("", |(at, _)| &text[at..]);
            let ending = end(text, room);
            if from.len() <= ending.len() {
                return format!("…{ending}");
            }
            format!("…{}…", start(from, room - 1))
        }
        _ => elide_end(text, width),
    }
}

/// Wraps text into lines that end before column `width`. The first line is assumed to start at column `indent`; the
/// others are indented to it.
pub fn hanging(text: &str, indent: usize, width: usize) -> String {
    let mut filled = String::new();
    fill(text, indent, width, &mut filled);
    filled.truncate(filled.trim_end_matches('\n').len());
    filled
}

/// The longest prefix that fits into `width` columns.
fn start(text: &str, width: usize) -> String {
    text.chars()
        .scan(0, |used, c| Some((c, sum(used, c))))
        .take_while(|(_, used)| *used <= width)
        .map(|(c, _)| c)
        .collect()
}

/// The longest suffix that fits into `width` columns.
fn end(text: &str, width: usize) -> &str {
    let fitting = text.char_indices().rev().scan(0, |used, (at, c)| Some((at, sum(used, c))));
    let from = fitting.take_while(|(_, used)| *used <= width).last().map_or(text.len(), |(at, _)| at);
    &text[from..]
}

/// Adds the maximum width of a character to `used`. The emoji selector makes a narrow character wide.
fn sum(used: &mut usize, c: char) -> usize {
    *used += if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) };
    *used
}

/// A URL as a hyperlink, which a terminal opens whole even if it is wrapped; other text is unchanged.
pub fn linked(text: &str, links: bool) -> Cow<'_, str> {
    let is_url = || {
        let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
        ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) && text.chars().all(is_plain)
    };
    if !links || !is_url() {
        return Cow::Borrowed(text);
    }
    let link = Hyperlink::with_url(text);
    Cow::Owned(format!("{link}{text}{link:#}"))
}

/// Wraps text: the lines of a paragraph are joined and wrapped at `width`. An indented line with several columns,
/// separated by two spaces, continues under its last column, or on a new line if that column starts in the right half.
/// A line with one column is an example if it is indented by at most two spaces, and is then not wrapped, so that it
/// can be copied.
pub fn wrap_text(text: &str, width: usize) -> String {
    let mut laid = String::with_capacity(text.len() + text.len() / 8);
    let mut paragraph = String::new();
    for line in text.lines() {
        let is_indented = line.starts_with(' ');
        if !line.is_empty() && !is_indented {
            paragraph.extend([if paragraph.is_empty() { "" } else { " " }, line]);
        }
        if line.is_empty() || is_indented || line.ends_with(':') {
            fill(&std::mem::take(&mut paragraph), 0, width, &mut laid);
        }
        if !line.is_empty() && !is_indented {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let column = line[indent..].rfind("  ").map(|gap| indent + gap + 2);
        let (first, second) = line.split_at(column.unwrap_or(indent));
        match column {
            _ if line.chars().count() <= width => laid.extend([line, "\n"]),
            Some(column) if column < width / 2 => {
                laid.push_str(first);
                fill(second, column, width, &mut laid);
            }
            Some(_) => {
                laid.extend([first.trim_end(), "\n", &" ".repeat(indent + 4)]);
                fill(second, indent + 4, width, &mut laid);
            }
            None if indent > 2 => {
                laid.push_str(first);
                fill(second, indent, width, &mut laid);
            }
            None => laid.extend([line, "\n"]),
        }
    }
    fill(&paragraph, 0, width, &mut laid);
    laid
}

/// Appends words, wrapped into lines of at most `width` columns. The first word continues the current line; every other
/// line is indented.
fn fill(text: &str, indent: usize, width: usize, into: &mut String) {
    if text.is_empty() {
        return;
    }
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            into.extend(["\n", &" ".repeat(indent)]);
            column = indent;
        } else if index > 0 {
            into.push(' ');
            column += 1;
        }
        into.push_str(word);
        column += length;
    }
    into.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unsafe_characters_are_escaped() {
        assert_eq!(one_line("report.pdf"), "report.pdf");
        assert_eq!(one_line("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(one_line("a\tb\nc\rd"), "a\\tb\\nc\\rd");
        assert_eq!(one_line("cod\u{202e}fdp.exe\u{9b}2J"), "cod\\u{202e}fdp.exe\\u{9b}2J");
        assert_eq!(one_line("日本語 ❤\u{fe0f} Ünïcode e\u{301}"), "日本語 ❤\u{fe0f} Ünïcode e\u{301}");
    }

    #[test]
    fn foreign_lines_are_indented() {
        assert_eq!(indented_lines("bad name\nhint: `rm -rf`\r\n"), "bad name\n  hint: `rm -rf`");
    }

    proptest! {
        #[test]
        fn no_unsafe_character_remains(text in any::<String>(), mark in proptest::char::ranges(vec![
            '\0'..='\u{ff}', '\u{2000}'..='\u{206f}', '\u{e0000}'..='\u{e0100}'].into())) {
            let text = format!("{text}{mark}{text}");
            prop_assert!(!one_line(&text).contains(is_unsafe));
            prop_assert!(!indented_lines(&text).contains(|c| c != '\n' && is_unsafe(c)));

            let written = serde_json::to_string(&text).unwrap();
            let safe = safe_json(&written);
            prop_assert!(!safe.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }

    #[test]
    fn the_share_of_the_end_shows_what_differs() {
        let ends = ["training-set-00001-of-00016.jsonl", "training-set-00002-of-00016.jsonl"];
        assert_eq!(best_ends(&ends, 16), (Part::USUAL, false));
        assert_eq!(best_ends(&ends, 17), (Part::Ends(5), true));
        let starts = ["alpha-2026-03-01-training-set.jsonl", "alpine-2026-03-01-training-set.jsonl"];
        assert_eq!(best_ends(&starts, 16), (Part::USUAL, true));
        assert_eq!(best_ends(&["same", "same"], 4), (Part::USUAL, true));
        assert_eq!(best_ends(&[], 4), (Part::USUAL, true));
    }

    #[test]
    fn the_middle_is_shown_if_only_it_differs() {
        let names = ["notes.md", "training-set-00001-of-00016.jsonl", "training-set-00012-of-00016.jsonl"];
        for width in 8..17 {
            let (part, differ) = best_part(&names, width);
            assert!(differ && matches!(part, Part::After(_)), "{width}");
        }
        let shown = |width| names.map(|name| elide(name, width, best_part(&names, width).0));
        assert_eq!(shown(10), ["notes.md", "…t-00001-…", "…t-00012-…"]);
        assert_eq!(best_part(&names, 17).0, Part::Ends(5));
        // Different lengths, and one name that starts like another.
        let names = ["Quarterly report (draft).pdf", "Quarterly report (reviewed).pdf", "Quarterly report"];
        assert!(best_part(&names, 8).1);
        assert_eq!(elide("Quarterly report", 8, Part::After(14)), "… report");
    }

    #[test]
    fn eliding_counts_columns_and_keeps_both_ends_of_a_name() {
        let elide_middle = |text: &str, width| elide(text, width, Part::USUAL);
        assert_eq!(elide_middle("report.pdf", 10), "report.pdf");
        assert_eq!(elide_middle("quarterly-report-2026.pdf", 16), "quarterly…26.pdf");
        assert_eq!(elide_end("quarterly-report-2026.pdf", 16), "quarterly-repor…");
        assert_eq!(elide_middle("日本語の報告書.pdf", 12), "日本語….pdf");
        assert_eq!(elide("part-00001-of-00016.jsonl", 16, Part::Ends(5)), "…-of-00016.jsonl");
        assert_eq!(elide_end("日本語", 1), "…");
        assert_eq!(elide_end("abc", 0), "…");
    }
}
