//! A table without borders, with one line per row. Except for URLs, it is no wider than the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, Table as Grid, Width, presets};
use jiff::Timestamp;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::text;
use crate::human;
use crate::model::{Clock, StatusWords};

/// The maximum number of rows to buffer before printing. The first page determines the column widths.
const FIRST_PAGE: usize = 100;
/// Blanks between two columns of the table.
pub(super) const GAP: u16 = 2;
/// The width of a name for which other columns are hidden.
const NAME: usize = 24;
/// The width of a name for which columns of text are hidden.
const WIDE_NAME: usize = 40;
/// The least width of a name at which numbers are shown.
const NARROW_NAME: usize = 12;
/// The least width of a name at which ids are whole. A shorter name would lose its end.
const LEAST_NAME: usize = 9;

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

/// A column of the table.
#[derive(Clone, Copy)]
struct Column {
    kind: Kind,
    /// The column is hidden if it is 0.
    width: usize,
    /// The width with short times.
    compact: usize,
    /// Whether the column adds nothing: no row has a value, or a later column ends with the same names.
    is_redundant: bool,
    /// The least width at which different names look different.
    distinct: usize,
    /// Whether times are short.
    has_short_times: bool,
    /// The share of the end in a shortened name, in fifths.
    tail: usize,
}

impl Column {
    /// Whether the column is hidden although it has values of its own.
    fn is_missed(&self) -> bool {
        self.width == 0 && !self.is_redundant
    }
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
            column.tail = text::best_tail(&names, column.width).0;
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
    /// Names and paths are shortened in the middle, such that different names stay different.
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

    /// The minimum useful width of the column.
    fn floor(self, named: bool) -> usize {
        match self {
            Self::Id | Self::Url | Self::Number => usize::MAX,
            Self::Name => NARROW_NAME,
            Self::Time | Self::Status if !named => 11,
            Self::Text if !named => 12,
            Self::Time | Self::Status | Self::Text => 5,
        }
    }
}

/// Whether the numbers in a field count bytes.
fn is_size(field: &str) -> bool {
    field == "size" || field.ends_with("_size") || field == "bytes" || field.ends_with("_bytes")
}

/// What a color indicates. The text is complete without it.
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
            width if is_name => text::elide(&self.text, width, column.tail),
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

/// The columns for a header line and the rows of the first page.
fn columns(fields: &[String], lines: &[Vec<Cell>], width: usize, named: bool, more: bool) -> Vec<Column> {
    let mut measured = Grid::new();
    measured.add_rows(lines.iter().map(|line| line.iter().map(|cell| &cell.text)));
    let widths = measured.column_max_content_widths().into_iter().map(usize::from);
    let columns = fields.iter().zip(widths).enumerate().map(|(at, (field, natural))| {
        let cells = || lines[1..].iter().map(|line| &line[at]);
        let is_empty = cells().all(|cell| cell.text == "-");
        let repeats = |later: usize| {
            let ends_alike = |line: &Vec<Cell>| line[later].text.ends_with(&line[at].text);
            Kind::of(&fields[later], false) == Kind::Name && lines[1..].iter().all(ends_alike)
        };
        let kind = Kind::of(field, cells().all(|cell| cell.number) && !is_empty);
        let short = lines.iter().map(|line| line[at].short.as_ref().unwrap_or(&line[at].text).width());
        let distinct = match kind {
            Kind::Name => {
                let texts: Vec<&str> = cells().map(|cell| cell.text.as_str()).collect();
                (NARROW_NAME..natural).find(|&width| text::best_tail(&texts, width).1).unwrap_or(natural)
            }
            _ => 0,
        };
        let compact = short.max().unwrap_or(natural);
        let is_redundant = is_empty || kind == Kind::Name && (at + 1..fields.len()).any(repeats);
        let (has_short_times, tail) = (false, text::TAIL);
        Column { kind, width: natural, compact, is_redundant, distinct, has_short_times, tail }
    });
    let mut columns: Vec<Column> = columns.collect();
    fit(&mut columns, width, named, more);
    columns
}

/// Fits the columns into `width`. A width of 0 hides a column.
///
/// Columns that add nothing are hidden first. Then times become short, and long text shrinks. If that is not enough, columns
/// are hidden: text, then status, then times if names would otherwise become short, numbers if different names would
/// otherwise look the same, and ids if URLs would otherwise be wider than the terminal. Columns that the user named are
/// hidden only if too few letters of each would fit. Ids shrink last, and URLs never.
fn fit(columns: &mut [Column], width: usize, named: bool, more: bool) {
    let has_url = columns.iter().any(|column| column.kind == Kind::Url && !column.is_redundant);
    for column in columns.iter_mut() {
        if more && column.kind == Kind::Number {
            column.width = column.width.max(column.kind.typical());
        }
        column.width = column.width.max(1);
        if column.kind != Kind::Url {
            column.width = column.width.min(width.max(1));
        }
    }
    while !named && used(widths(columns)) > width {
        let can_be_hidden = |column: &&mut Column| column.is_redundant && column.width > 0;
        let Some(hidden) = columns.iter_mut().skip(1).rfind(can_be_hidden) else { break };
        hidden.width = 0;
    }
    if used(widths(columns)) > width {
        for column in columns.iter_mut().filter(|column| column.kind == Kind::Time && column.width > 0) {
            column.has_short_times = true;
            column.width = column.width.min(column.compact);
        }
    }
    let name_floor = |column: &Column, name: usize| column.distinct.max(name);
    let least = |columns: &[Column], name: usize| {
        used(columns.iter().map(|column| match column.kind {
            Kind::Name => name_floor(column, name).min(column.width),
            kind => kind.floor(named).min(column.width),
        }))
    };
    let hideable = [
        (Kind::Text, WIDE_NAME),
        (Kind::Status, NAME),
        (Kind::Time, NAME),
        (Kind::Number, NARROW_NAME),
        (Kind::Id, NARROW_NAME),
    ];
    for (kind, name) in hideable.into_iter().filter(|(kind, _)| *kind != Kind::Id || has_url) {
        while !named && least(columns, name) > width {
            let can_be_hidden = |column: &&mut Column| column.kind == kind && column.width > 0;
            let Some(hidden) = columns.iter_mut().skip(1).rfind(can_be_hidden) else { break };
            hidden.width = 0;
        }
    }

    // The ellipsis for hidden columns is shown if shrinking names makes room for it.
    let ellipsis = usize::from(GAP) + 1;
    let has_hidden = columns.iter().any(Column::is_missed);
    let width =
        if has_hidden && least(columns, NARROW_NAME) + ellipsis <= width { width - ellipsis } else { width };

    let shrink = |columns: &mut [Column], kind: Kind, floor: &dyn Fn(&Column) -> usize| {
        while used(widths(columns)) > width {
            let shrinkable = columns.iter_mut().filter(|c| c.kind == kind && c.width > floor(c));
            let Some(widest) = shrinkable.max_by_key(|c| c.width) else { break };
            widest.width -= 1;
        }
    };
    shrink(columns, Kind::Text, &|_| 24);
    shrink(columns, Kind::Name, &|column| name_floor(column, 32));
    for kind in [Kind::Text, Kind::Status, Kind::Time] {
        shrink(columns, kind, &|_| kind.floor(named));
    }
    shrink(columns, Kind::Name, &|column| name_floor(column, NARROW_NAME));
    if !has_url {
        shrink(columns, Kind::Name, &|_| if named { 6 } else { LEAST_NAME });
        shrink(columns, Kind::Id, &|_| 12);
        shrink(columns, Kind::Name, &|_| 4);
        shrink(columns, Kind::Id, &|_| 4);
        while used(widths(columns)) > width {
            let Some(at) = columns.iter().rposition(|c| c.width > 0).filter(|&at| at > 0) else { break };
            columns[at].width = 0;
        }
    }

    for kind in [Kind::Time, Kind::Status, Kind::Name] {
        for at in 0..columns.len() {
            let Column { kind: own, width: shown, .. } = columns[at];
            if more && own == kind && shown > 0 {
                let free = width.saturating_sub(used(widths(columns)));
                columns[at].width += kind.typical().saturating_sub(shown).min(free);
            }
        }
    }
}

fn widths(columns: &[Column]) -> impl Iterator<Item = usize> {
    columns.iter().map(|column| column.width)
}

/// The total width of a line whose columns have these widths.
fn used(widths: impl Iterator<Item = usize>) -> usize {
    let gap = usize::from(GAP);
    widths.filter(|&width| width > 0).map(|width| width + gap).sum::<usize>().saturating_sub(gap)
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

    fn column(kind: Kind, width: usize, is_redundant: bool) -> Column {
        let compact = width.min(10);
        Column { kind, width, compact, is_redundant, distinct: 0, has_short_times: false, tail: text::TAIL }
    }

    fn fit(columns: &[(Kind, usize)], width: usize, named: bool, more: bool) -> Vec<usize> {
        let mut columns: Vec<Column> =
            columns.iter().map(|&(kind, width)| column(kind, width, false)).collect();
        super::fit(&mut columns, width, named, more);
        widths(&columns).collect()
    }

    const DEFAULT: [(Kind, usize); 6] = [
        (Kind::Id, 41),
        (Kind::Name, 30),
        (Kind::Number, 8),
        (Kind::Text, 24),
        (Kind::Status, 10),
        (Kind::Time, 11),
    ];

    #[test]
    fn columns_keep_their_widths_if_there_is_room() {
        assert_eq!(fit(&DEFAULT, 200, false, false), [41, 30, 8, 24, 10, 11]);
        assert_eq!(fit(&DEFAULT, 134, false, false), [41, 30, 8, 24, 10, 11]);
    }

    #[test]
    fn the_first_page_reserves_width_for_later_pages() {
        let short = [(Kind::Id, 8), (Kind::Name, 5), (Kind::Number, 4)];
        assert_eq!(fit(&short, 80, false, true), [8, 24, 8]);
        assert_eq!(fit(&short, 80, false, false), [8, 5, 4]);
        assert_eq!(fit(&short, 30, false, true), [8, 10, 8]);
    }

    #[test]
    fn text_shrinks_then_columns_are_hidden_then_names_and_ids_shrink() {
        assert_eq!(fit(&DEFAULT, 128, false, false), [41, 30, 8, 19, 10, 10]);
        assert_eq!(fit(&DEFAULT, 120, false, false), [41, 30, 8, 0, 10, 10]);
        assert_eq!(fit(&DEFAULT, 108, false, false), [41, 28, 8, 0, 10, 10]);
        assert_eq!(fit(&DEFAULT, 80, false, false), [41, 24, 8, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 52, false, false), [41, 9, 0, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 40, false, false), [29, 9, 0, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 10, false, false), [4, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn empty_columns_are_hidden_first_and_urls_are_whole() {
        let fit = |mut columns: Vec<Column>, width, named| {
            super::fit(&mut columns, width, named, false);
            widths(&columns).collect::<Vec<_>>()
        };
        let files = [
            column(Kind::Id, 16, false),
            column(Kind::Name, 29, false),
            column(Kind::Number, 4, false),
            column(Kind::Text, 17, false),
            column(Kind::Status, 6, true),
            column(Kind::Time, 10, false),
        ];
        assert_eq!(fit(files.to_vec(), 92, false), [16, 29, 4, 17, 6, 10]);
        assert_eq!(fit(files.to_vec(), 80, false), [16, 29, 4, 13, 0, 10]);
        assert_eq!(fit(files.to_vec(), 80, true), [16, 29, 4, 5, 6, 10]);
        let links = [column(Kind::Url, 70, false), column(Kind::Time, 10, true), column(Kind::Id, 32, false)];
        assert_eq!(fit(links.to_vec(), 120, false), [70, 10, 32]);
        assert_eq!(fit(links.to_vec(), 110, false), [70, 0, 32]);
        assert_eq!(fit(links.to_vec(), 80, false), [70, 0, 0]);
        assert_eq!(fit(links.to_vec(), 40, false), [70, 0, 0]);
    }

    #[test]
    fn numbers_are_hidden_before_names_look_the_same() {
        let names = |distinct| {
            let mut columns = DEFAULT.map(|(kind, width)| column(kind, width, false));
            columns[1].distinct = distinct;
            super::fit(&mut columns, 80, false, false);
            widths(&columns).collect::<Vec<_>>()
        };
        assert_eq!(names(12), [41, 24, 8, 0, 0, 0]);
        assert_eq!(names(27), [41, 27, 8, 0, 0, 0]);
        assert_eq!(names(30), [41, 30, 0, 0, 0, 0]);
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

    #[test]
    fn named_columns_are_shown() {
        assert_eq!(fit(&DEFAULT, 80, true, false), [41, 6, 8, 5, 5, 5]);
        assert_eq!(fit(&DEFAULT, 24, true, false), [4, 4, 8, 0, 0, 0]);
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
