//! Rows as blocks of `field  value` lines, separated by blank lines, for commands with too many fields for a table.

use std::borrow::Cow;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::table::{Cell, GAP, Kind, pick};
use super::text;
use crate::model::Clock;

/// The indent of a value that has a line of its own.
const INDENT: usize = 4;

/// Formats rows as blocks.
pub(super) struct Blocks {
    fields: Vec<String>,
    /// Whether URLs are hyperlinks.
    links: bool,
    clock: Clock,
    first: bool,
}

impl Blocks {
    pub fn new(fields: Vec<String>, links: bool, clock: Clock) -> Self {
        Self { fields, links, clock, first: true }
    }

    /// The lines of one row. Empty values are left out; an object has a line for each of its keys. Lists and text are
    /// wrapped. Any other value that does not fit next to its field moves to the next line in one piece, so that it can
    /// be copied.
    pub fn print(&mut self, row: &Value, width: usize) -> String {
        // The key, the value, and whether the value is text that can be wrapped.
        let mut lines: Vec<(String, String, bool)> = Vec::new();
        for field in &self.fields {
            let value = pick(row, field);
            match value {
                Value::Object(object) => {
                    for (key, value) in object {
                        let key = text::one_line(&format!("{field}.{key}")).into_owned();
                        lines.push((key, self.text("", value), field == "settings"));
                    }
                }
                Value::Array(list) if list.iter().all(Value::is_string) => {
                    let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                    lines.push((field.clone(), text::one_line(&words.join(", ")).into_owned(), true));
                }
                value => {
                    let wraps = Kind::of(field, false) == Kind::Text;
                    lines.push((field.clone(), self.text(field, value), wraps));
                }
            }
        }
        lines.retain(|(_, text, _)| text != "-" && !text.is_empty());
        let start = lines.iter().map(|(key, ..)| key.width()).max().unwrap_or_default() + usize::from(GAP);
        let mut text =
            if std::mem::replace(&mut self.first, false) { String::new() } else { "\n".to_owned() };
        for (key, value, wraps) in lines {
            let gap = " ".repeat(start - key.width());
            let longest_word = || value.split(' ').map(UnicodeWidthStr::width).max().unwrap_or_default();
            let needed = if wraps { longest_word() } else { value.width() };
            let linked = text::linked(&value, self.links);
            if start + needed > width {
                text.extend([&key, "\n", &" ".repeat(INDENT), &linked, "\n"]);
            } else if let Cow::Owned(link) = &linked {
                text.extend([&key, gap.as_str(), link, "\n"]);
            } else {
                text.extend([&key, gap.as_str(), &text::hanging(&value, start, width), "\n"]);
            }
        }
        text
    }

    /// Formats a value. For times and sizes, the exact value is added.
    fn text(&self, field: &str, value: &Value) -> String {
        let shown = Cell::new(field, value, self.clock.now()).text;
        match value {
            Value::String(exact) if shown != *exact && field.ends_with("_at") => format!("{exact} ({shown})"),
            Value::Number(exact) if shown.ends_with(" B") => {
                format!("{exact} {}", if exact.as_u64() == Some(1) { "byte" } else { "bytes" })
            }
            Value::Number(exact) if shown != exact.to_string() => format!("{shown} ({exact} bytes)"),
            _ => shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_value_of_a_block_is_whole_on_its_own_line() {
        let fields = ["name", "checksums"].map(str::to_owned).to_vec();
        let mut blocks = Blocks::new(fields, false, Clock::default());
        let row = json!({"name": "a.txt", "checksums": {"md5": "m", "sha256": "s".repeat(62)}});
        let short = format!("name              a.txt\nchecksums.md5     m\nchecksums.sha256  {:s<62}\n", "");
        assert_eq!(blocks.print(&row, 80), short);
        let long = short.replace("sha256  ", "sha256\n    ");
        assert_eq!(blocks.print(&row, 79), format!("\n{long}"));
    }

    #[test]
    fn lists_and_descriptions_are_wrapped() {
        let fields = ["operations", "settings"].map(str::to_owned).to_vec();
        let mut blocks = Blocks::new(fields, false, Clock::default());
        let settings = json!({"part_size": "size of the parts in MiB"});
        let row = json!({"operations": ["list files", "delete a file"], "settings": settings});
        let wrapped = "\
operations          list files, delete
                    a file
settings.part_size  size of the parts
                    in MiB
";
        assert_eq!(blocks.print(&row, 38), wrapped);
    }
}
