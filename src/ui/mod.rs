//! The two streams: data on stdout, talk on stderr. The only place that writes to either.
//!
//! | | terminal | pipe | `--json`, `--jsonl` |
//! | --- | --- | --- | --- |
//! | rows | a table | tab-separated, whole values, no header | one array; one object a line |
//! | errors | `error: …` | `error: …` | one object a line on stderr |
//!
//! Notes and warnings are one object a line, too, where errors are: `{"note":"…"}`, `{"warning":"…"}`. Hints come on a
//! terminal only, and as text only. `--color always` colours tables and labels, never what a pipe gets.
//!
//! Text from elsewhere is made safe before it is shown (`sanitize`): in tables, notes, errors and questions unsafe
//! characters appear as `\u{1b}`, in JSON on a terminal as JSON's own `\u001b`. A pipe gets values as they are, except
//! that tab, line feed, carriage return and backslash in text are written `\t \n \r \\`, so that a row is one line.

mod bars;
mod cell;
mod fields;
mod job;
mod json;
mod layout;
mod options;
mod record;
mod rows;
mod sanitize;
mod secret;
mod streams;
mod table;
mod talk;
mod tally;
#[cfg(test)]
mod tests;
mod wrap;

use std::sync::{Arc, Mutex, Weak};

use crate::error::{Error, ErrorLine, Kind, Result};
use crate::progress::{Progress, silent};
use job::{Job, Style};
use streams::lock;

pub use job::Event;
pub use options::{Columns, Environment, Format, Options, ProgressMode, When};
pub use rows::Rows;
pub use sanitize::{is_unsafe, line as one_line};
pub use streams::Streams;
pub use talk::Talk;
pub use wrap::wrap_text;

/// Writes data and talk. Clones share the streams.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    options: Options,
    streams: Arc<streams::Shared>,
    /// The transfer whose bars may be on the screen.
    job: Mutex<Weak<Job>>,
}

impl Ui {
    /// A ui on the process's own streams.
    pub fn new(options: Options) -> Self {
        Self::with_streams(options, Streams::process())
    }

    /// A ui without output.
    pub fn silent() -> Self {
        Self::with_streams(Options::default(), Streams::none())
    }

    /// A ui on other streams.
    pub fn with_streams(options: Options, streams: Streams) -> Self {
        let streams = Arc::new(streams::Shared::new(streams, options.env.columns));
        Self(Arc::new(Inner { options, streams, job: Mutex::default() }))
    }

    /// Begins a run of rows. An unknown `--fields` name is a usage error that lists the valid ones and suggests the
    /// nearest.
    pub fn rows(&self, columns: Columns) -> Result<Rows> {
        Rows::new(self, columns, false)
    }

    /// As [`rows`](Self::rows), but on a terminal each row is a block of `field: value` lines.
    pub fn records(&self, columns: Columns) -> Result<Rows> {
        Rows::new(self, columns, true)
    }

    /// Whether stdin is a terminal.
    pub fn in_is_terminal(&self) -> bool {
        self.0.streams.in_tty
    }

    /// Whether somebody can answer a question: stdin and stderr are terminals and `CI` is not set.
    pub fn can_ask(&self) -> bool {
        self.0.streams.in_tty && self.0.streams.err_tty && !self.0.options.env.ci
    }

    /// Whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.0.streams.out_tty
    }

    /// The shape of what goes to stdout.
    pub fn format(&self) -> Format {
        self.0.options.format
    }

    /// Whether rows are JSON.
    pub fn is_json(&self) -> bool {
        self.0.options.format != Format::Text
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.0.options.verbose
    }

    /// The width for tables and bars, in columns: `COLUMNS`, else the terminal's, else 80.
    pub fn width(&self) -> usize {
        self.0.streams.width()
    }

    /// Says something on stderr, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.0.options.quiet {
            self.say(&Talk::Note(text), || format!("{}\n", sanitize::lines(text)));
        }
    }

    /// Says something on stderr that `-v` asked for.
    pub fn detail(&self, text: &str) {
        if self.0.options.verbose > 0 {
            self.note(text);
        }
    }

    /// Warns on stderr: `warning: …`; not silenced by `--quiet`.
    pub fn warn(&self, text: &str) {
        self.say(&Talk::Warning(text), || self.labelled("warning", text));
    }

    /// Suggests on stderr what to type next, on a terminal only: `hint: …`.
    pub fn hint(&self, text: &str) {
        if self.0.streams.err_tty && !self.0.options.quiet && self.format() == Format::Text {
            self.talk(&self.labelled("hint", text));
        }
    }

    /// As [`hint`](Self::hint), but only where the rows are looked at, too: of no use beside what a script takes.
    pub fn suggest(&self, text: &str) {
        if self.out_is_terminal() {
            self.hint(text);
        }
    }

    /// Shows an error on stderr, as text or as one JSON object. One that was shown already, and a closed pipe, stay
    /// silent.
    pub fn error(&self, error: &Error) {
        if error.is_reported() || error.kind() == Kind::ClosedPipe {
            return;
        }
        let text = match self.0.options.format {
            Format::Json | Format::Jsonl => json::line(&ErrorLine { error: error.object() }),
            Format::Text => {
                error.lines().into_iter().map(|(label, text)| self.labelled(label, &text)).collect()
            }
        };
        self.talk(&text);
    }

    /// Asks on stderr, reads from stdin: true for y or yes. Default no; no answer is no. A usage error where nobody
    /// [can answer](Self::can_ask).
    pub fn confirm(&self, question: &str) -> Result<bool> {
        if !self.can_ask() {
            return Err(Error::usage(format!("{question}: nobody can answer here")).hint("`--yes`"));
        }
        let question = format!("{} [y/N] ", sanitize::lines(question));
        let streams = &self.0.streams;
        let answer = self.aside(|| {
            streams.err(&question);
            let answer = streams.answer()?;
            if answer.is_none() {
                // The cursor still stands behind the question.
                streams.err("\n");
            }
            Ok(answer)
        })?;
        let answer = answer.unwrap_or_default().trim().to_ascii_lowercase();
        Ok(matches!(answer.as_str(), "y" | "yes"))
    }

    /// Listens to a transfer. Ending or dropping it takes its bars away; of several, the last one's step aside for rows
    /// and talk.
    pub fn progress(&self) -> Arc<dyn Progress> {
        let Some(style) = self.progress_style() else { return silent() };
        let job = Job::new(style, Arc::clone(&self.0.streams));
        *lock(&self.0.job) = Arc::downgrade(&job);
        Arc::new(job::Root(job))
    }

    /// How a transfer is shown here, if at all. A log that somebody reads later has no use for bars.
    fn progress_style(&self) -> Option<Style> {
        let Options { quiet, progress, env, .. } = &self.0.options;
        let bars = self.0.streams.err_tty && !env.dumb && !env.ci;
        match progress {
            _ if *quiet => None,
            ProgressMode::Json => Some(Style::Events),
            ProgressMode::Auto | ProgressMode::Always if bars => Some(Style::Bars),
            ProgressMode::Always => Some(Style::Lines),
            ProgressMode::Auto | ProgressMode::Never => None,
        }
    }

    /// Writes a file's bytes to stdout, as they are. An error of kind `ClosedPipe` when the reader has gone.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.0.streams.out_tty {
            self.aside(|| self.0.streams.out(bytes))
        } else {
            self.0.streams.out(bytes)
        }
    }

    /// Writes text to stdout as data (a script, a token, a help topic), escaped nowhere.
    pub fn write_text(&self, text: &str) -> Result<()> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes one JSON object to stdout: what there is one of, with `--json` and `--jsonl` alike.
    pub fn object(&self, object: &impl serde::Serialize) -> Result<()> {
        self.write_text(&json::line(object))
    }

    /// Ends the output of a command that failed: `--json` is one array, also where no row was begun.
    pub fn close(&self) -> Result<()> {
        if self.format() == Format::Json && !self.0.streams.has_written() {
            return self.write_text("[]\n");
        }
        Ok(())
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    /// Whether what goes to stdout is coloured.
    pub fn out_is_colored(&self) -> bool {
        self.out_color()
    }

    fn out_color(&self) -> bool {
        self.0.options.color_on(self.0.streams.out_tty)
    }

    /// Says something in the words of the format.
    fn say(&self, talk: &Talk, words: impl FnOnce() -> String) {
        match self.format() {
            Format::Text => self.talk(&words()),
            Format::Json | Format::Jsonl => self.talk(&json::line(talk)),
        }
    }

    fn talk(&self, text: &str) {
        self.aside(|| self.0.streams.err(text));
    }

    /// Runs `write` with no bars in its way.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let job = lock(&self.0.job).upgrade();
        match job {
            Some(job) => job.aside(write),
            None => write(),
        }
    }

    /// `label: text`, the label in the colour of its meaning; without a label, the text set in.
    fn labelled(&self, label: &str, text: &str) -> String {
        let text = sanitize::lines(text);
        if label.is_empty() {
            return format!("  {text}\n");
        }
        if !self.0.options.color_on(self.0.streams.err_tty) {
            return format!("{label}: {text}\n");
        }
        let style = match label {
            "error" => "1;31",
            "warning" => "1;33",
            "hint" => "1;36",
            _ => "1",
        };
        format!("\u{1b}[{style}m{label}:\u{1b}[0m {text}\n")
    }
}
