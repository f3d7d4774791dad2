//! The two streams: data on stdout, talk on stderr. The only place that writes to either.

use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::progress::Progress;

/// When to do something that depends on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Where it fits.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProgressMode {
    /// Bars on a terminal after 250 ms, else nothing.
    #[default]
    Auto,
    /// Bars on a terminal, else a line every few seconds.
    Always,
    /// Nothing.
    Never,
    /// One JSON event a line on stderr.
    Json,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table on a terminal, tab-separated in a pipe.
    #[default]
    Text,
    /// One JSON array, written as it arrives, always closed.
    Json,
    /// One JSON object a line.
    Jsonl,
}

/// What the user asked of the output, from flags and environment.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How data is printed.
    pub format: Format,
    /// `--fields`: which columns, in which order.
    pub fields: Option<Vec<String>>,
    /// Silences talk, never data or errors.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// `--color`.
    pub color: When,
    /// `--progress`.
    pub progress: ProgressMode,
    /// Environment that bears on the terminal: NO_COLOR, CLICOLOR_FORCE, TERM, COLUMNS, CI.
    pub env: Environment,
    /// What now is, for relative times.
    pub clock: crate::model::Clock,
}

/// What the environment says about the terminal; read by `settings/env.rs`.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `NO_COLOR` is set and not empty.
    pub no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not 0.
    pub force_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// `COLUMNS`, if it is a number.
    pub columns: Option<u16>,
    /// `CI` is set, not empty and not `false`: nobody can answer.
    pub ci: bool,
}

/// The columns of one command's rows.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Every field that `--fields` can name.
    pub all: &'static [&'static str],
    /// Those shown unasked, in a table and a pipe.
    pub shown: &'static [&'static str],
    /// Those shown unasked in a pipe, where that differs.
    pub piped: Option<&'static [&'static str]>,
}

/// Writes data and talk.
#[derive(Clone)]
pub struct Ui {}

/// Rows on their way out.
pub struct Rows {}

impl Ui {
    /// A ui on the process's own streams.
    pub fn new(_options: Options) -> Self {
        Self {}
    }

    /// Begins a run of rows. An unknown `--fields` name is a usage error that lists the valid ones and suggests the
    /// nearest.
    pub fn rows(&self, _columns: Columns) -> Result<Rows> {
        todo!()
    }

    /// Whether somebody can answer a question: stdin and stderr are terminals and `CI` is not set.
    pub fn can_ask(&self) -> bool {
        todo!()
    }

    /// Whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        todo!()
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        todo!()
    }

    /// Says something on stderr, unless `--quiet`.
    pub fn note(&self, _text: &str) {}

    /// Says something on stderr that `-v` asked for.
    pub fn detail(&self, _text: &str) {}

    /// Warns on stderr: `warning: …`; not silenced by `--quiet`.
    pub fn warn(&self, _text: &str) {}

    /// Suggests on stderr what to type next, on a terminal only: `hint: …`.
    pub fn hint(&self, _text: &str) {}

    /// Shows an error on stderr, as text or as one JSON object.
    pub fn error(&self, _error: &Error) {}

    /// Asks on stderr, reads from stdin: true for y or yes. Default no.
    pub fn confirm(&self, _question: &str) -> Result<bool> {
        todo!()
    }

    /// Listens to a transfer.
    pub fn progress(&self) -> Arc<dyn Progress> {
        todo!()
    }

    /// Writes a file's bytes to stdout, as they are. An error of kind `ClosedPipe` when the reader has gone.
    pub fn write_bytes(&self, _bytes: &[u8]) -> Result<()> {
        todo!()
    }

    /// Writes text to stdout as data (a script, a token, a help topic), escaped nowhere.
    pub fn write_text(&self, _text: &str) -> Result<()> {
        todo!()
    }
}

impl Rows {
    /// Prints one row: the JSON object of `row` is what `--json` prints. On a terminal the first page waits until its
    /// widths are known (`flush`, 100 rows or the end).
    pub fn push(&mut self, _row: &impl Serialize) -> Result<()> {
        todo!()
    }

    /// What has been pushed is on its way: called after each page.
    pub fn flush(&mut self) -> Result<()> {
        todo!()
    }

    /// Ends the run; dropping does the same, so that a JSON array is always closed.
    pub fn finish(self) -> Result<()> {
        todo!()
    }
}
