//! One row as a block of `field: value` lines for people: where all that is known is shown, a table is too wide.

use jiff::Timestamp;
use serde_json::Value;

use super::cell;
use super::{fields, sanitize};

/// Rows as blocks, a blank line between them.
pub(super) struct Blocks {
    fields: Vec<String>,
    now: Timestamp,
    first: bool,
}

impl Blocks {
    pub fn new(fields: Vec<String>, now: Timestamp) -> Self {
        Self { fields, now, first: true }
    }

    /// The lines of one row. What is not known is left out; an object has a line for each of its keys.
    pub fn print(&mut self, row: &Value) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        for field in &self.fields {
            let value = fields::pick(row, field);
            match value {
                Value::Object(object) => {
                    for (key, value) in object {
                        let key = sanitize::line(&format!("{field}.{key}")).into_owned();
                        lines.push((key, self.text("", value)));
                    }
                }
                Value::Array(list) if list.iter().all(Value::is_string) => {
                    let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                    lines.push((field.clone(), sanitize::line(&words.join(", ")).into_owned()));
                }
                value => lines.push((field.clone(), self.text(field, value))),
            }
        }
        lines.retain(|(_, text)| text != "-" && !text.is_empty());
        let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
        let mut text =
            if std::mem::replace(&mut self.first, false) { String::new() } else { "\n".to_owned() };
        for (key, value) in lines {
            let gap = width - key.chars().count() + 2;
            text.extend([key.as_str(), &" ".repeat(gap), &value, "\n"]);
        }
        text
    }

    /// A value for people; a time and a size both as they say it and as it is.
    fn text(&self, field: &str, value: &Value) -> String {
        let shown = cell::shown(field, value, self.now).text;
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
