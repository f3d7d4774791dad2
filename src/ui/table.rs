//! A table without borders, with one line per row. Except for URLs, it is no wider than the terminal.

mod fit;

use comfy_table::{CellAlignment, ColumnConstraint, Table as Grid, Width, presets};
use jiff::Timestamp;
use serde_json::Value;

use super::text;
use crate::human;
use crate::model::{Clock, StatusWords};
use fit::{Column, columns, used, widths};

/// The maximum number of rows to buffer before printing. The first page determines the column widths.
const FIRST_PAGE: usize = 100;
/// Blanks between two columns of the table.
pub(super) const GAP: u16 = 2;

/// Titles that differ from the name of the field.
const TITLES: [(&str, &str); 2] = [("meta_set", "meta set"), ("max_size", "max size")];

/// A table printed page by page.
pub(super) struct Table {
    fields: Vec<String>,
    /// Whether the user selected the fields.
    named: bool,
    color: bool,
    /// Whether URLs are hyperlinks; requires color.
    links: bool,
    clock: Clock,
    pending: Vec<Vec<Cell>>,
    /// Empty until the first page is printed.
    columns: Vec<Column>,
}

impl Table {
    pub fn new(fields: Vec<String>, named: bool, color: bool, links: bool, clock: Clock) -> Self {
        Self { fields, named, color, links, clock, pending: Vec::new(), columns: Vec::new() }
    }

    /// Adds a row. Returns true if a page is full and should be [printed](Self::print).
    pub fn push(&mut self, row: &Value) -> bool {
        let now = self.clock.now();
        let cells = self.fields.iter().map(|field| Cell::new(field, pick(row, field), now));
        self.pending.push(cells.collect());
        self.pending.len() >= FIRST_PAGE
    }

    /// The lines for the pending rows, with the header on the first page. `more` is true if other pages may follow.
    pub fn print(&mut self, width: usize, more: bool) -> String {
        if self.pending.is_empty() {
            return String::new();
        }
        let mut lines = std::mem::take(&mut self.pending);
        let is_first = self.columns.is_empty();
        if is_first {
            lines.insert(0, self.fields.iter().map(|field| Cell::title(field)).collect());
            self.columns = columns(&self.fields, &lines, width, self.named, more);
        }
        for (at, column) in self.columns.iter_mut().enumerate().filter(|(_, c)| c.kind == Kind::Name) {
            let rows = lines.iter().skip(usize::from(is_first));
            let names: Vec<&str> = rows.map(|line| line[at].text.as_str()).collect();
            column.part = text::best_part(&names, column.width).0;
        }
        for (cell, column) in lines.iter_mut().flat_map(|line| line.iter_mut().zip(&self.columns)) {
            cell.shorten(*column);
        }
        let used = used(widths(&self.columns));
        if is_first && self.columns.iter().any(Column::is_missed) && used + usize::from(GAP) < width {
            lines[0].push(Cell { text: "…".to_owned(), short: None, tone: Tone::Title, number: false });
        }
        let mut printed = String::new();
        for (line, cells) in grid(&lines, &self.columns).lines().zip(&lines) {
            let line = line.trim_end();
            if self.color {
                paint(line, cells, self.links, &mut printed);
            } else {
                printed.push_str(line);
            }
            printed.push('\n');
        }
        printed
    }
}

/// Lays out the cells in columns.
fn grid(lines: &[Vec<Cell>], columns: &[Column]) -> Grid {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING);
    grid.add_rows(lines.iter().map(|line| line.iter().map(|cell| &cell.text)));
    for (at, column) in grid.column_iter_mut().enumerate() {
        // The ellipsis after the last title is a column of its own, without settings.
        let Some(Column { kind, width, .. }) = columns.get(at) else {
            column.set_padding((0, 0));
            continue;
        };
        let padded = Width::Fixed(u16::try_from(*width).unwrap_or(u16::MAX).saturating_add(GAP));
        column.set_padding((0, GAP)).set_constraint(match width {
            0 => ColumnConstraint::Hidden,
            _ => ColumnConstraint::Absolute(padded),
        });
        if *kind == Kind::Number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid
}

/// Colors a finished line. comfy-table's own colors obey `NO_COLOR` even with `--color always`.
fn paint(line: &str, cells: &[Cell], links: bool, painted: &mut String) {
    let mut rest = line;
    for cell in cells {
        // Only spaces precede the next cell's text.
        let Some(at) = rest.find(&cell.text) else { continue };
        let (before, from) = rest.split_at(at);
        let (text, after) = from.split_at(cell.text.len());
        match cell.tone.style() {
            Some(style) if !text.is_empty() => {
                painted.extend([before, "\u{1b}[", style, "m", text, "\u{1b}[0m"]);
            }
            _ => painted.extend([before, &text::linked(text, links)]),
        }
        rest = after;
    }
    painted.push_str(rest);
}

/// The kind of values in a column. It determines the alignment and the minimum width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ids are copied into the next command, so they are shortened last.
    Id,
    /// URLs are copied whole, so they are never shortened, even if they are wider than the terminal.
    Url,
    /// Names and paths are shortened in the middle, so that different names still look different.
    Name,
    /// Sizes and other numbers are right-aligned and never shortened.
    Number,
    /// Relative times.
    Time,
    /// Status words.
    Status,
    /// Anything else.
    Text,
}

impl Kind {
    /// The kind for a field; `numbers` is true if all its values are numbers.
    pub(super) fn of(field: &str, numbers: bool) -> Self {
        match field {
            "id" => Self::Id,
            "name" | "path" | "saved_to" | "file" | "file.name" => Self::Name,
            "url" => Self::Url,
            _ if field.ends_with("_url") => Self::Url,
            "status" => Self::Status,
            _ if numbers || is_size(field) => Self::Number,
            _ if field.ends_with("_id") => Self::Id,
            _ if field.ends_with("_at") => Self::Time,
            _ if field.ends_with("_status") => Self::Status,
            _ => Self::Text,
        }
    }

    /// The width reserved for later pages.
    fn typical(self) -> usize {
        match self {
            Self::Name => 24,
            Self::Number => 8,
            Self::Time => 14,
            Self::Status => 10,
            Self::Id | Self::Url | Self::Text => 0,
        }
    }

    /// The minimum useful width of a column of times, statuses or text; `usize::MAX` for the other kinds.
    fn floor(self, named: bool) -> usize {
        match self {
            Self::Id | Self::Url | Self::Number | Self::Name => usize::MAX,
            Self::Time | Self::Status if !named => 11,
            Self::Text if !named => fit::TEXT,
            Self::Time | Self::Status | Self::Text => 5,
        }
    }
}

/// Whether the numbers in a field count bytes.
fn is_size(field: &str) -> bool {
    field == "size" || field.ends_with("_size") || field == "bytes" || field.ends_with("_bytes")
}

/// The meaning of a color. The text is complete without the color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Title,
    /// Ready.
    Good,
    /// Not ready yet, or expiring soon.
    Pending,
    /// Failed, deleted or expired.
    Bad,
}

impl Tone {
    /// The parameter for the escape sequence.
    fn style(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Title => Some("1"),
            Self::Good => Some("32"),
            Self::Pending => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

/// A value displayed in a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    /// A shorter form of a time.
    short: Option<String>,
    tone: Tone,
    /// Whether the value is a number or null.
    number: bool,
}

impl Cell {
    /// Formats a value as one line: readable sizes, relative times, `-` for an empty value, with unsafe characters
    /// escaped.
    pub(super) fn new(field: &str, value: &Value, now: Timestamp) -> Self {
        let text = match value {
            Value::Null => "-".to_owned(),
            Value::String(text) if text.is_empty() => "-".to_owned(),
            Value::Object(object) if object.is_empty() => "-".to_owned(),
            Value::Array(list) if list.is_empty() => "-".to_owned(),
            Value::Array(list) if list.iter().all(Value::is_string) => {
                let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                text::one_line(&words.join(", ")).into_owned()
            }
            Value::Number(number) if is_size(field) => {
                number.as_u64().map_or_else(|| number.to_string(), human::size)
            }
            Value::String(text) => match time(field, text) {
                Some(time) => human::relative(time, now),
                None => text::one_line(text).into_owned(),
            },
            Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            other => text::one_line(&other.to_string()).into_owned(),
        };
        let number = matches!(value, Value::Number(_) | Value::Null);
        let time = value.as_str().and_then(|text| time(field, text));
        let short = time.map(|time| human::short_relative(time, now));
        Self { text, short, tone: tone(field, value, now), number }
    }

    /// The title of a column, in capitals unless it is a path whose keys are the user's own.
    fn title(field: &str) -> Self {
        let is_own = field.contains('.') && !field.starts_with("file.");
        let field = TITLES.iter().find(|(name, _)| *name == field).map_or(field, |(_, title)| title);
        let text = if is_own { text::one_line(field).into_owned() } else { field.to_ascii_uppercase() };
        Self { text, short: None, tone: Tone::Title, number: false }
    }

    fn shorten(&mut self, column: Column) {
        if let Some(short) = self.short.take().filter(|_| column.has_short_times) {
            self.text = short;
        }
        let is_name = matches!(column.kind, Kind::Id | Kind::Name) && self.tone != Tone::Title;
        self.text = match column.width {
            0 => String::new(),
            width if is_name => text::elide(&self.text, width, column.part),
            width => text::elide_end(&self.text, width),
        };
    }
}

fn time(field: &str, text: &str) -> Option<Timestamp> {
    if field.ends_with("_at") { text.parse().ok() } else { None }
}

fn tone(field: &str, value: &Value, now: Timestamp) -> Tone {
    let Some(text) = value.as_str() else { return Tone::Plain };
    if field == "status" || field.ends_with("_status") {
        let StatusWords { ready, failed } = StatusWords::COMMON;
        return match text.to_ascii_lowercase().as_str() {
            word if ready.contains(&word) => Tone::Good,
            word if failed.contains(&word) => Tone::Bad,
            "uploaded" | "active" | "success" | "succeeded" => Tone::Good,
            "pending" | "queued" | "processing" | "uploading" | "initializing" | "running" => Tone::Pending,
            "deleted" | "expired" => Tone::Bad,
            _ => Tone::Plain,
        };
    }
    match time(field, text) {
        Some(time) if field == "expires_at" => match time.as_second() - now.as_second() {
            ..=0 => Tone::Bad,
            1..86_400 => Tone::Pending,
            _ => Tone::Plain,
        },
        _ => Tone::Plain,
    }
}

/// The value of `field` in `row`, or null if it is missing. Keys can contain dots.
pub(super) fn pick<'a>(row: &'a Value, field: &str) -> &'a Value {
    find(row, field).unwrap_or(&Value::Null)
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(path).or_else(|| {
        path.match_indices('.').find_map(|(dot, _)| find(object.get(&path[..dot])?, &path[dot + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::File;
    use serde_json::json;

    fn cell(field: &str, value: &Value) -> (String, Tone) {
        let cell = Cell::new(field, value, "2026-03-01T12:00:00Z".parse().unwrap());
        (cell.text, cell.tone)
    }

    #[test]
    fn cells_show_sizes_times_and_dashes() {
        assert_eq!(cell("size", &json!(1_234_567)).0, "1.2 MB");
        assert_eq!(cell("count", &json!(1_234_567)).0, "1234567");
        assert_eq!(cell("created_at", &json!("2026-03-01T09:00:00Z")).0, "3 hours ago");
        assert_eq!(cell("created_at", &json!("yesterday")).0, "yesterday");
        assert_eq!(cell("name", &json!("2026-03-01T09:00:00Z")).0, "2026-03-01T09:00:00Z");
        for nothing in [json!(null), json!(""), json!({}), json!([])] {
            assert_eq!(cell("purpose", &nothing).0, "-");
        }
        assert_eq!(cell("reasons", &json!(["old", "duplicate"])).0, "old, duplicate");
        assert_eq!(cell("extra.pages", &json!([1, "2"])).0, r#"[1,"2"]"#);
        assert_eq!(cell("metadata", &json!({"a": "x\ny"})).0, r#"{"a":"x\ny"}"#);
        assert_eq!(cell("name", &json!("\u{1b}[2J")).0, "\\u{1b}[2J");
    }

    #[test]
    fn tones_depend_on_status_and_expiry() {
        assert_eq!(cell("status", &json!("Processed")).1, Tone::Good);
        assert_eq!(cell("upload_status", &json!("UPLOADING")).1, Tone::Pending);
        assert_eq!(cell("status", &json!("failed")).1, Tone::Bad);
        assert_eq!(cell("status", &json!("odd")).1, Tone::Plain);
        assert_eq!(cell("name", &json!("failed")).1, Tone::Plain);
        assert_eq!(cell("expires_at", &json!("2026-03-01T11:00:00Z")).1, Tone::Bad);
        assert_eq!(cell("expires_at", &json!("2026-03-02T11:00:00Z")).1, Tone::Pending);
        assert_eq!(cell("expires_at", &json!("2026-04-01T11:00:00Z")).1, Tone::Plain);
    }

    #[test]
    fn a_name_at_the_end_of_a_path_is_hidden_first() {
        let fields = ["id", "name", "size", "saved_to"].map(str::to_owned).to_vec();
        let mut table = Table::new(fields, false, false, false, Clock::default());
        for name in ["training-set-00001.jsonl", "training-set-00002.jsonl"] {
            let id = "f".repeat(24);
            table.push(&json!({"id": id, "name": name, "size": 1, "saved_to": format!("out/{name}")}));
        }
        let printed = table.print(66, false);
        assert!(printed.contains("1 B  out/training-set-00002.jsonl"), "{printed}");
        assert_eq!(printed.lines().next().unwrap().split_whitespace().count(), 3, "{printed}");
    }

    /// The table of these fields, from rows with the given values.
    fn table(fields: &[&str], rows: &[Value], width: usize) -> String {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        let clock = Clock("2026-03-01T13:00:00Z".parse().ok());
        let mut table = Table::new(fields, false, false, false, clock);
        for row in rows {
            table.push(row);
        }
        table.print(width, false)
    }

    fn titles(table: &str) -> Vec<&str> {
        table.lines().next().unwrap().split_whitespace().collect()
    }

    #[test]
    fn the_least_useful_columns_are_hidden_first() {
        let row = |number: usize| {
            json!({
                "id": format!("{number:016}"), "name": format!("report-{number}.pdf"), "size": 12,
                "content_type": "application/pdf", "created_at": "2026-03-01T12:00:00Z",
                "expires_at": "2126-03-01T12:00:00Z",
            })
        };
        let rows = |set: &dyn Fn(usize, &mut Value)| {
            let mut rows: Vec<Value> = (1..5).map(row).collect();
            rows.iter_mut().enumerate().for_each(|(at, row)| set(at, row));
            rows
        };
        let metadata = json!({"project": "apollo"});
        // The times are repeated, and one file has metadata.
        let one = rows(&|at, row| {
            row["updated_at"] = row["created_at"].clone();
            row["metadata"] = if at == 2 { metadata.clone() } else { json!({}) };
        });
        let most = ["ID", "NAME", "SIZE", "CONTENT_TYPE", "CREATED_AT", "EXPIRES_AT"];
        assert_eq!(titles(&table(&File::FIELDS[2..], &one, 80)), [&most[..], &["…"]].concat());
        // One file was updated, and all have metadata.
        let all = rows(&|at, row| {
            row["updated_at"] = if at == 2 { json!("2026-03-01T12:30:00Z") } else { Value::Null };
            row["metadata"] = metadata.clone();
        });
        let shown = table(&File::FIELDS[2..], &all, 90);
        assert_eq!(titles(&shown), [&most[..], &["METADATA"]].concat(), "{shown}");
    }

    #[test]
    fn ids_are_whole_and_names_differ_in_a_narrow_terminal() {
        let names = [
            "notes.md",
            "training-set-2026-02-28-shard-00001-of-00016.jsonl",
            "training-set-2026-02-28-shard-00002-of-00016.jsonl",
        ];
        let files = ["id", "name", "size", "content_type", "status", "created_at"];
        let several = ["profile", "id", "name", "size", "content_type", "status", "created_at"];
        let saved = ["id", "name", "size", "saved_to"];
        for (fields, id) in [(&files[..], 48), (&several, 41), (&saved, 36), (&saved, 41)] {
            let rows = names.map(|name| {
                json!({
                    "profile": "openai", "id": "f".repeat(id), "name": name, "size": 48_213,
                    "content_type": "application/octet-stream", "status": "processed",
                    "created_at": "2026-03-01T12:00:00Z", "saved_to": name.replace("set", "set (1)"),
                })
            });
            let shown = table(fields, &rows, 60);
            let cut: Vec<&str> =
                shown.lines().skip(1).filter(|line| !line.contains(&"f".repeat(id))).collect();
            assert_eq!(cut, [""; 0], "{shown}");
            let lines: std::collections::HashSet<&str> = shown.lines().collect();
            assert_eq!(lines.len(), names.len() + 1, "{shown}");
        }
    }

    #[test]
    fn a_time_is_relative_to_the_time_of_its_row() {
        let mut table = Table::new(vec!["created_at".to_owned()], true, false, false, Clock::default());
        let created = Timestamp::now() + std::time::Duration::from_secs(6);
        std::thread::sleep(std::time::Duration::from_secs(2));
        table.push(&json!({"created_at": created.to_string()}));
        assert_eq!(table.print(80, false), "CREATED_AT\nnow\n");
    }

    #[test]
    fn a_path_selects_nested_values_and_keys_with_dots() {
        let row = json!({"id": "f1", "metadata": {"author": "kim", "a.b": {"c": 1}}});
        assert_eq!(pick(&row, "metadata.author"), "kim");
        assert_eq!(pick(&row, "metadata.a.b.c"), 1);
        assert_eq!(pick(&row, "metadata.none"), &Value::Null);
        assert_eq!(pick(&row, "id.none"), &Value::Null);
    }
}
