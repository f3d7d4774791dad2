//! Rows as a table for people: aligned, without borders, one line a row, never wider than the terminal.

use comfy_table::{CellAlignment, ColumnConstraint, Row, Table as Grid, Width, presets};
use jiff::Timestamp;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::cell::{self, Cell, Tone};
use super::fields;
use super::layout::{self, GAP, Kind};

/// Rows that wait for a table to be fixed to the first of them.
const FIRST_PAGE: usize = 100;

/// A table that may go on page after page; the first one fixes the widths.
pub(super) struct Table {
    fields: Vec<String>,
    /// Whether the user named the fields.
    asked: bool,
    color: bool,
    now: Timestamp,
    pending: Vec<Vec<Cell>>,
    columns: Option<Vec<(Kind, usize)>>,
}

impl Table {
    pub fn new(fields: Vec<String>, asked: bool, color: bool, now: Timestamp) -> Self {
        Self { fields, asked, color, now, pending: Vec::new(), columns: None }
    }

    /// Takes a row; true when it is time to [`print`](Self::print).
    pub fn push(&mut self, row: &Value) -> bool {
        let cells = self.fields.iter().map(|field| cell::shown(field, fields::pick(row, field), self.now));
        self.pending.push(cells.collect());
        self.pending.len() >= FIRST_PAGE
    }

    /// The lines of the rows that wait, under the header if they are the first. `more` says that others may follow.
    pub fn print(&mut self, width: usize, more: bool) -> String {
        if self.pending.is_empty() {
            return String::new();
        }
        let rows = std::mem::take(&mut self.pending);
        let columns = self.columns.take();
        let first = columns.is_none();
        let columns = columns.unwrap_or_else(|| self.measure(&rows, width, more));

        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING);
        if first {
            grid.set_header(self.header(&columns, width));
        }
        grid.add_rows(rows.iter().map(|row| self.row(row, &columns)));
        // The ellipsis in the header, if there is one, is a column of its own.
        for column in grid.column_iter_mut() {
            column.set_padding((0, 0));
        }
        for (at, &(kind, width)) in columns.iter().filter(|(_, width)| *width > 0).enumerate() {
            let Some(column) = grid.column_mut(at) else { continue };
            let width = u16::try_from(width).unwrap_or(u16::MAX).saturating_add(GAP);
            column.set_padding((0, GAP)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if kind == Kind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.columns = Some(columns);
        paint(&grid.trim_fmt()) + "\n"
    }

    /// What each column holds and how wide it becomes.
    fn measure(&self, rows: &[Vec<Cell>], width: usize, more: bool) -> Vec<(Kind, usize)> {
        let natural = self.fields.iter().enumerate().map(|(at, field)| {
            let cells = || rows.iter().map(move |row| &row[at]);
            let numbers = cells().all(|cell| cell.number) && cells().any(|cell| cell.text != "-");
            let widest = cells().map(|cell| cell.text.width()).max().unwrap_or(0);
            (Kind::of(field, numbers), widest.max(title(field).width()))
        });
        let natural: Vec<(Kind, usize)> = natural.collect();
        let widths = layout::fit(&natural, width, self.asked, more);
        natural.into_iter().zip(widths).map(|((kind, _), width)| (kind, width)).collect()
    }

    /// The titles; an ellipsis at the end stands for columns that had no room.
    fn header(&self, columns: &[(Kind, usize)], width: usize) -> Row {
        let shown = self.fields.iter().zip(columns).filter(|(_, (_, width))| *width > 0);
        let mut titles: Vec<String> =
            shown.map(|(field, &(_, width))| layout::elide(&title(field), width, false)).collect();
        let used: usize =
            columns.iter().filter(|(_, width)| *width > 0).map(|(_, width)| width + usize::from(GAP)).sum();
        if titles.len() < columns.len() && used < width {
            titles.push("…".to_owned());
        }
        titles.into_iter().map(|title| self.mark(title, BOLD)).collect::<Vec<_>>().into()
    }

    fn row(&self, row: &[Cell], columns: &[(Kind, usize)]) -> Row {
        let shown = row.iter().zip(columns).filter(|(_, (_, width))| *width > 0);
        let cells = shown.map(|(cell, &(kind, width))| {
            let text = layout::elide(&cell.text, width, matches!(kind, Kind::Id | Kind::Name));
            match cell.tone {
                Tone::Plain => text,
                Tone::Good => self.mark(text, GREEN),
                Tone::Pending => self.mark(text, YELLOW),
                Tone::Bad => self.mark(text, RED),
            }
        });
        cells.collect::<Vec<_>>().into()
    }

    fn mark(&self, text: String, mark: Mark) -> String {
        if self.color { format!("{}{text}{}", mark.0, END.0) } else { text }
    }
}

/// A character that takes no room while the table is laid out, and the escape sequence that takes its place. Text that is
/// safe to show holds none of them.
#[derive(Clone, Copy)]
struct Mark(char, &'static str);

const BOLD: Mark = Mark('\u{2061}', "\u{1b}[1m");
const GREEN: Mark = Mark('\u{2062}', "\u{1b}[32m");
const YELLOW: Mark = Mark('\u{2063}', "\u{1b}[33m");
const RED: Mark = Mark('\u{2064}', "\u{1b}[31m");
const END: Mark = Mark('\u{2060}', "\u{1b}[0m");

/// Puts the escape sequences in the place of their marks.
fn paint(text: &str) -> String {
    let marks = [BOLD, GREEN, YELLOW, RED, END];
    let mut painted = String::with_capacity(text.len());
    for c in text.chars() {
        match marks.iter().find(|mark| mark.0 == c) {
            Some(mark) => painted.push_str(mark.1),
            None => painted.push(c),
        }
    }
    painted
}

/// A field's title: capitals, but for a path, whose keys are the user's own.
fn title(field: &str) -> String {
    if field.contains('.') { super::sanitize::line(field).into_owned() } else { field.to_ascii_uppercase() }
}
