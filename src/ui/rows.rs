//! Rows on their way to stdout.

use serde::Serialize;

use super::record::Blocks;
use super::table::Table;
use super::{Columns, Format, Ui, cell, fields, json, sanitize};
use crate::error::{Error, Result};

/// How much waits before it is written: one system call for many rows.
const CHUNK: usize = 64 * 1024;

/// Rows on their way out. However it ends, by [`finish`](Self::finish) or by being dropped, a JSON array is closed.
pub struct Rows {
    ui: Ui,
    writer: Writer,
    buffer: Vec<u8>,
    /// Set once the output is complete or cannot be completed.
    over: bool,
}

enum Writer {
    Table(Table),
    Blocks(Blocks),
    Lines(Vec<String>),
    Json(json::Writer),
}

impl Rows {
    pub(super) fn new(ui: &Ui, columns: Columns, blocks: bool) -> Result<Self> {
        let options = ui.options();
        let asked = options.fields.as_deref().map(|asked| fields::check(asked, columns)).transpose()?;
        let named = asked.is_some();
        let table = ui.out_is_terminal();
        let shown = if table { columns.shown } else { columns.piped.unwrap_or(columns.shown) };
        let shown = |asked: Option<Vec<String>>| {
            asked.unwrap_or_else(|| shown.iter().map(|&field| field.to_owned()).collect())
        };
        // Where all that can be named is shown, as with `--ids`, JSON has no more than that either.
        let is_all = columns.all == columns.shown;
        let chosen = |asked: Option<Vec<String>>| {
            asked.or_else(|| is_all.then(|| columns.all.iter().map(|&field| field.to_owned()).collect()))
        };
        let writer = match options.format {
            Format::Json => Writer::Json(json::Writer::new(true, chosen(asked))),
            Format::Jsonl => Writer::Json(json::Writer::new(false, chosen(asked))),
            Format::Text if table && blocks => Writer::Blocks(Blocks::new(shown(asked), options.clock.now())),
            Format::Text if table => {
                Writer::Table(Table::new(shown(asked), named, ui.out_color(), options.clock.now()))
            }
            Format::Text => Writer::Lines(shown(asked)),
        };
        Ok(Self { ui: ui.clone(), writer, buffer: Vec::new(), over: false })
    }

    /// Prints one row: the JSON object of `row` is what `--json` prints. On a terminal the first page waits until its
    /// widths are known ([`flush`](Self::flush), 100 rows or the end).
    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        match &mut self.writer {
            Writer::Json(writer) => writer.row(row, &mut self.buffer)?,
            Writer::Lines(fields) => {
                let row = value(row)?;
                for (at, field) in fields.iter().enumerate() {
                    if at > 0 {
                        self.buffer.push(b'\t');
                    }
                    cell::piped(fields::pick(&row, field), &mut self.buffer);
                }
                self.buffer.push(b'\n');
            }
            Writer::Blocks(blocks) => self.buffer.extend_from_slice(blocks.print(&value(row)?).as_bytes()),
            Writer::Table(table) => {
                if table.push(&value(row)?) {
                    return self.flush();
                }
            }
        }
        if self.buffer.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    /// What has been pushed is on its way: called after each page.
    pub fn flush(&mut self) -> Result<()> {
        self.lay_out(true);
        self.write()
    }

    /// Ends the run; dropping does the same, but cannot say that it failed.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        self.lay_out(false);
        if let Writer::Json(writer) = &self.writer {
            writer.end(&mut self.buffer);
        }
        self.write()
    }

    fn lay_out(&mut self, more: bool) {
        if let Writer::Table(table) = &mut self.writer {
            self.buffer.extend_from_slice(table.print(self.ui.width(), more).as_bytes());
        }
    }

    fn write(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = match (&self.writer, std::str::from_utf8(&self.buffer)) {
            (Writer::Json(_), Ok(text)) if self.ui.out_is_terminal() => {
                self.ui.write_text(&sanitize::json(text))
            }
            _ => self.ui.write_bytes(&self.buffer),
        };
        self.buffer.clear();
        // Once stdout has failed, more of it could only make a hole.
        self.over |= written.is_err();
        written
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // What cannot be written now has no one to be told to.
        let _ = self.end();
    }
}

fn value(row: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(row)
        .map_err(|error| Error::failed("output: a row cannot be written").caused_by(error))
}
