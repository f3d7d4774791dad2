//! Rows as a table for people: aligned, without borders, one line a row, never wider than the terminal.

use comfy_table::{Attribute, CellAlignment, Color, ColumnConstraint, Row, Table as Grid, Width, presets};
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
        grid.load_style(presets::NOTHING).force_no_tty();
        grid.style_text_only();
        if self.color {
            grid.enforce_styling();
        }
        if first {
            grid.set_header(self.header(&columns, width));
        }
        grid.add_rows(rows.iter().map(|row| self.row(row, &columns)));
        for (at, &(kind, width)) in columns.iter().filter(|(_, width)| *width > 0).enumerate() {
            let Some(column) = grid.column_mut(at) else { continue };
            let gap = u16::try_from(GAP).unwrap_or(2);
            let width = u16::try_from(width).unwrap_or(u16::MAX - gap).saturating_add(gap);
            column.set_padding((0, gap)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if kind == Kind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.columns = Some(columns);
        grid.trim_fmt() + "\n"
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
        let used: usize = columns.iter().filter(|(_, width)| *width > 0).map(|(_, width)| width + GAP).sum();
        if titles.len() < columns.len() && used < width {
            titles.push("…".to_owned());
        }
        let bold = |title| comfy_table::Cell::new_owned(title).add_attribute(Attribute::Bold);
        titles.into_iter().map(bold).collect::<Vec<_>>().into()
    }

    fn row(&self, row: &[Cell], columns: &[(Kind, usize)]) -> Row {
        let shown = row.iter().zip(columns).filter(|(_, (_, width))| *width > 0);
        let cells = shown.map(|(cell, &(kind, width))| {
            let text = layout::elide(&cell.text, width, matches!(kind, Kind::Id | Kind::Name));
            let shown = comfy_table::Cell::new_owned(text);
            match cell.tone {
                Tone::Plain => shown,
                Tone::Good => shown.fg(Color::DarkGreen),
                Tone::Pending => shown.fg(Color::DarkYellow),
                Tone::Bad => shown.fg(Color::DarkRed),
            }
        });
        cells.collect::<Vec<_>>().into()
    }
}

/// A field's title: capitals, but for a path, whose keys are the user's own.
fn title(field: &str) -> String {
    if field.contains('.') { super::sanitize::line(field).into_owned() } else { field.to_ascii_uppercase() }
}
