//! Output: data on stdout, messages on stderr. Apart from clap's help, no other module writes to either.
//!
//! | | terminal | pipe | `--json`, `--jsonl` |
//! | --- | --- | --- | --- |
//! | rows | a table | tab-separated, unshortened values, no header | one array; one object per line |
//! | errors | `error: …` | `error: …` | one object per line on stderr |
//!
//! In JSON formats, notes and warnings are objects, too: `{"note":"…"}`, `{"warning":"…"}`. An error's hints are
//! printed with it; other hints are printed only as text and only on a terminal. `--color always` colors tables and
//! labels, but not tab-separated values.
//!
//! Text from files and servers is escaped: unsafe characters are printed as `\u{1b}` in tables, notes, errors and
//! questions, and as `\u001b` in JSON on a terminal. In a pipe, values are unchanged, except that tab, line feed,
//! carriage return and backslash are written as `\t \n \r \\`, so that each row is one line.

mod blocks;
mod jq;
mod options;
mod progress;
mod rows;
mod streams;
mod table;
mod tally;
mod text;

use std::io;
use std::sync::{Arc, Mutex, Weak};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Error, ErrorLine, Kind, Result, Signal};
use crate::progress::{Progress, silent};
use progress::{Job, Style};
use streams::lock;

pub use jq::Jq;
pub use options::{Columns, Environment, Format, Options, ProgressMode, When};
pub use progress::Event;
pub use rows::Rows;
pub use streams::{Streams, TerminalSettings};
pub use text::{is_unsafe, one_line, wrap_text};

/// Writes data and messages. Clones share the same streams.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    options: Options,
    streams: Arc<streams::Shared>,
    /// The latest transfer, whose bars may be on the screen.
    job: Mutex<Weak<Job>>,
}

impl Ui {
    /// Creates a `Ui` for the streams of the process.
    pub fn new(options: Options) -> Self {
        Self::with_streams(options, Streams::process())
    }

    /// Creates a `Ui` that writes nothing.
    pub fn silent() -> Self {
        Self::with_streams(Options::default(), Streams::none())
    }

    /// Creates a `Ui` for the given streams.
    pub fn with_streams(options: Options, streams: Streams) -> Self {
        let streams = Arc::new(streams::Shared::new(streams, options.env.columns));
        Self(Arc::new(Inner { options, streams, job: Mutex::default() }))
    }

    /// Starts writing rows. An unknown name in `--fields` is a usage error that suggests the most similar field and
    /// lists all fields.
    pub fn rows(&self, columns: Columns) -> Result<Rows> {
        Rows::new(self, columns, false)
    }

    /// Like [`rows`](Self::rows), but on a terminal each row is a block of `field  value` lines.
    pub fn records(&self, columns: Columns) -> Result<Rows> {
        Rows::new(self, columns, true)
    }

    /// Whether stdin is a terminal.
    pub fn in_is_terminal(&self) -> bool {
        self.0.streams.in_tty
    }

    /// Whether a user can answer prompts: stdin and stderr are terminals, and `CI` is not set.
    pub fn can_ask(&self) -> bool {
        self.0.streams.in_tty && self.0.streams.err_tty && !self.0.options.env.ci
    }

    /// Whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.0.streams.out_tty
    }

    /// Whether rows are shown to a person: on a terminal, as text, without `--fields`.
    pub fn is_for_reading(&self) -> bool {
        self.out_is_terminal() && !self.is_json() && self.0.options.fields.is_none()
    }

    /// Whether stderr is a terminal.
    pub fn err_is_terminal(&self) -> bool {
        self.0.streams.err_tty
    }

    /// The format of data on stdout.
    pub fn format(&self) -> Format {
        self.0.options.format
    }

    /// Whether rows are JSON.
    pub fn is_json(&self) -> bool {
        self.0.options.format != Format::Text
    }

    /// The number of `-v` flags.
    pub fn verbosity(&self) -> u8 {
        self.0.options.verbose
    }

    /// The width for tables and bars, in columns: `COLUMNS`, otherwise the terminal's width, otherwise 80.
    pub fn width(&self) -> usize {
        self.0.streams.width()
    }

    /// Writes a note to stderr, unless `--quiet` is given.
    pub fn note(&self, text: &str) {
        if !self.0.options.quiet {
            self.say(&Message::Note(text), || format!("{}\n", text::indented_lines(text)));
        }
    }

    /// Writes a note to stderr if `-v` is given.
    pub fn detail(&self, text: &str) {
        if self.0.options.verbose > 0 {
            self.note(text);
        }
    }

    /// Writes a warning to stderr, even with `--quiet`.
    pub fn warn(&self, text: &str) {
        self.say(&Message::Warning(text), || self.labelled("warning", text));
    }

    /// Writes a hint to stderr if it is a terminal.
    pub fn hint(&self, text: &str) {
        if self.0.streams.err_tty && !self.0.options.quiet && self.format() == Format::Text {
            self.write_message(&self.labelled("hint", text));
        }
    }

    /// Like [`hint`](Self::hint), but only if stdout is a terminal as well: scripts that read the rows need no hint.
    pub fn suggest(&self, text: &str) {
        if self.out_is_terminal() {
            self.hint(text);
        }
    }

    /// Writes an error to stderr, as text or as a JSON object. Closed pipes and errors that were already reported are
    /// ignored.
    pub fn error(&self, error: &Error) {
        if error.is_reported() || error.kind() == Kind::ClosedPipe {
            return;
        }
        let text = match self.0.options.format {
            Format::Json | Format::Jsonl => rows::json_line(&ErrorLine { error: error.object() }),
            Format::Text => {
                error.lines().into_iter().map(|(label, text)| self.labelled(label, &text)).collect()
            }
        };
        self.write_message(&text);
    }

    /// Asks a question and returns true if the answer is `y` or `yes`; the default is no. Returns a usage error if
    /// there is no [interactive user](Self::can_ask).
    pub fn confirm(&self, question: &str) -> Result<bool> {
        if !self.can_ask() {
            return Err(Error::usage(format!("cannot prompt without a terminal or in CI: {question}"))
                .hint("to confirm: `--yes`"));
        }
        let question = format!("{} [y/N] ", text::indented_lines(question));
        let streams = &self.0.streams;
        let answer = self.aside(|| {
            streams.err(&question);
            let answer = streams.answer()?;
            if answer.is_none() {
                // At the end of input, the cursor is still on the question's line.
                streams.err("\n");
            }
            Ok(answer)
        })?;
        let answer = answer.unwrap_or_default().trim().to_ascii_lowercase();
        Ok(matches!(answer.as_str(), "y" | "yes"))
    }

    /// Ends the line of an unanswered question.
    pub fn end_question(&self) {
        if self.can_ask() {
            self.0.streams.err("\n");
        }
    }

    /// Asks for a secret on a terminal without echoing it, or reads one line of piped input. Returns a usage error on
    /// a terminal without an [interactive user](Self::can_ask).
    pub fn secret(&self, question: &str) -> Result<String> {
        if !self.in_is_terminal() {
            return self.0.streams.secret();
        }
        if !self.can_ask() {
            return Err(Error::usage(format!("cannot prompt without a terminal or in CI: {question}")));
        }
        let question = format!("{}: ", text::indented_lines(question));
        self.aside(|| rpassword::prompt_password(question)).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => Error::interrupted(Signal::Interrupt),
            io::ErrorKind::UnexpectedEof => Error::usage("nothing entered"),
            _ => Error::failed("cannot read from the terminal").caused_by(error),
        })
    }

    /// Starts showing the progress of a transfer. Finishing or dropping the returned value removes the bars. While
    /// rows and messages are written, the bars of the latest transfer are hidden.
    pub fn progress(&self) -> Arc<dyn Progress> {
        let Some(style) = self.progress_style() else { return silent() };
        let job = Job::new(style, Arc::clone(&self.0.streams));
        *lock(&self.0.job) = Arc::downgrade(&job);
        Arc::new(progress::Root(job))
    }

    /// How to show progress; `None` shows nothing. Bars require an interactive terminal.
    fn progress_style(&self) -> Option<Style> {
        let Options { quiet, progress, env, .. } = &self.0.options;
        let bars = self.0.streams.err_tty && !env.dumb && !env.ci;
        match progress {
            _ if *quiet => None,
            ProgressMode::Json => Some(Style::Events),
            ProgressMode::Auto | ProgressMode::Always if bars => Some(Style::Bars),
            ProgressMode::Always => Some(Style::Lines),
            // In a CI job's log, lines show that a long transfer is still running. JSON on stderr must stay JSON.
            ProgressMode::Auto if env.ci && self.format() == Format::Text => Some(Style::Log),
            ProgressMode::Auto | ProgressMode::Never => None,
        }
    }

    /// Writes bytes to stdout unchanged. Returns `ClosedPipe` if the reader has closed the pipe.
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<()> {
        if self.0.streams.out_tty {
            self.aside(|| self.0.streams.out(bytes))
        } else {
            self.0.streams.out(bytes)
        }
    }

    /// Writes text to stdout unchanged, such as a script, a token or a help topic.
    pub fn write_text(&self, text: &str) -> Result<()> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes a single JSON object to stdout, for both `--json` and `--jsonl`.
    pub fn object(&self, object: &impl serde::Serialize) -> Result<()> {
        self.write_json(&rows::json_line(object))
    }

    /// Writes JSON to stdout, or the results of the program given with `--jq`.
    pub fn write_json(&self, json: &str) -> Result<()> {
        let Some(jq) = &self.0.options.jq else { return self.write_text(json) };
        let mut out = Vec::new();
        let result = jq.run(json.as_bytes(), self.is_for_terminal(), &mut out);
        self.write_bytes(&out).and(result)
    }

    /// Whether text on stdout must be safe for a terminal. `--color always` implies a terminal, possibly behind a
    /// pager.
    fn is_for_terminal(&self) -> bool {
        self.out_is_terminal() || self.out_color()
    }

    /// Completes the output of a failed command: with `--json`, prints an empty array if nothing was written.
    pub fn close(&self) -> Result<()> {
        let has_array = self.format() == Format::Json && self.0.options.jq.is_none();
        if has_array && !self.0.streams.has_written() {
            return self.write_text("[]\n");
        }
        Ok(())
    }

    fn options(&self) -> &Options {
        &self.0.options
    }

    /// Whether text on stdout is colored.
    pub fn out_is_colored(&self) -> bool {
        self.out_color()
    }

    fn out_color(&self) -> bool {
        self.0.options.color_on(self.0.streams.out_tty)
    }

    /// Whether URLs on stdout are hyperlinks. As in Cargo, they require color.
    fn out_links(&self) -> bool {
        self.0.options.env.hyperlinks && self.0.streams.out_tty && self.out_color()
    }

    /// Writes a message to stderr, as text or as a JSON object.
    fn say(&self, message: &Message, text: impl FnOnce() -> String) {
        match self.format() {
            Format::Text => self.write_message(&text()),
            Format::Json | Format::Jsonl => self.write_message(&rows::json_line(message)),
        }
    }

    fn write_message(&self, text: &str) {
        self.aside(|| self.0.streams.err(text));
    }

    /// Hides the bars while `write` runs.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        let job = lock(&self.0.job).upgrade();
        match job {
            Some(job) => job.aside(write),
            None => write(),
        }
    }

    /// Formats `label: text` with a colored label and indents further lines.
    fn labelled(&self, label: &str, text: &str) -> String {
        let text = text::indented_lines(text);
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

/// A message on stderr.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "talk_line")]
pub enum Message<'a> {
    /// Information about the progress or outcome of a command.
    Note(&'a str),
    /// A possible problem.
    Warning(&'a str),
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::Clock;
    use crate::progress::Outcome;

    /// A stream that records everything written to it, or always fails.
    #[derive(Clone, Default)]
    pub struct Sink {
        pub text: Arc<Mutex<Vec<u8>>>,
        pub refuses: Option<io::ErrorKind>,
    }

    impl Sink {
        pub fn text(&self) -> String {
            String::from_utf8(lock(&self.text).clone()).unwrap()
        }

        pub fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *lock(&self.text))).unwrap()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.refuses {
                return Err(kind.into());
            }
            lock(&self.text).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub struct Case {
        pub ui: Ui,
        pub out: Sink,
        pub err: Sink,
    }

    pub fn case(tty: bool, width: u16, input: &'static str, options: Options) -> Case {
        let (out, err) = (Sink::default(), Sink::default());
        let streams = Streams {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            input: Box::new(input.as_bytes()),
            out_tty: tty,
            err_tty: tty,
            in_tty: tty,
            width: Some(width),
        };
        let clock = Clock(Some("2026-03-01T12:00:00Z".parse().unwrap()));
        Case { ui: Ui::with_streams(Options { clock, ..options }, streams), out, err }
    }

    pub fn terminal(width: u16) -> Case {
        case(true, width, "", Options { color: When::Never, ..Options::default() })
    }

    pub fn pipe(format: Format) -> Case {
        case(false, 80, "", Options { format, ..Options::default() })
    }

    #[test]
    fn a_closed_stderr_is_ignored() {
        let err = Sink { refuses: Some(io::ErrorKind::BrokenPipe), ..Sink::default() };
        let streams = Streams { err: Box::new(err), ..Streams::process() };
        let ui = Ui::with_streams(Options::default(), streams);
        ui.note("x");
        ui.error(&Error::failed("x"));
    }

    #[test]
    fn quiet_suppresses_notes_but_not_warnings_and_errors() {
        let say = |options: Options| {
            let case = case(true, 80, "", Options { color: When::Never, ..options });
            case.ui.note("note\u{7}");
            case.ui.detail("detail");
            case.ui.warn("warning");
            case.ui.hint("`haul ls`");
            case.ui.error(&Error::failed("x: gone").cause("why\nerror: forged").hint("`haul`"));
            case.ui.error(&Error::failed("seen").reported());
            assert_eq!(case.out.text(), "");
            case.err.text()
        };
        let errors = "error: x: gone\ncaused by: why\n  error: forged\nhint: `haul`\n";
        assert_eq!(
            say(Options { verbose: 1, ..Options::default() }),
            format!("note\\u{{7}}\ndetail\nwarning: warning\nhint: `haul ls`\n{errors}")
        );
        assert_eq!(
            say(Options { verbose: 1, quiet: true, ..Options::default() }),
            format!("warning: warning\n{errors}")
        );
    }

    #[test]
    fn json_errors_are_one_object() {
        let case = pipe(Format::Jsonl);
        case.ui.hint("not shown");
        case.ui.error(&Error::not_found("x: no such file"));
        let error: Value = serde_json::from_str(&case.err.text()).unwrap();
        assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&json!("not_found"), &json!(3)));
        assert_eq!(case.err.text().lines().count(), 1);
    }

    #[test]
    fn labels_are_coloured() {
        let case = case(true, 80, "", Options::default());
        case.ui.error(&Error::failed("x: gone"));
        assert_eq!(case.err.text(), "\u{1b}[1;31merror:\u{1b}[0m x: gone\n");
    }

    #[test]
    fn only_y_and_yes_confirm() {
        for (input, yes) in
            [("y\n", true), ("YES\r\n", true), (" yes ", true), ("\n", false), ("", false), ("yep\n", false)]
        {
            let case = case(true, 80, input, Options::default());
            assert_eq!(case.ui.confirm("remove \u{1b}x?").unwrap(), yes, "{input:?}");
            let end = if input.is_empty() { "\n" } else { "" };
            assert_eq!(case.err.text(), format!("remove \\u{{1b}}x? [y/N] {end}"));
        }
        assert_eq!(
            case(false, 80, "y\n", Options::default()).ui.confirm("x").unwrap_err().kind(),
            Kind::Usage
        );
        let ci = Environment { ci: true, ..Environment::default() };
        assert!(!case(true, 80, "y\n", Options { env: ci, ..Options::default() }).ui.can_ask());
    }

    #[test]
    fn an_answer_consumes_one_line() {
        let case = case(true, 80, "n\ny\n", Options::default());
        assert!(!case.ui.confirm("first?").unwrap());
        assert!(case.ui.confirm("second?").unwrap());
    }

    #[test]
    fn columns_overrides_the_terminal_width() {
        let env = Environment { columns: Some(40), ..Environment::default() };
        assert_eq!(case(true, 200, "", Options { env, ..Options::default() }).ui.width(), 40);
        assert_eq!(terminal(200).ui.width(), 200);
    }

    #[test]
    fn progress_style_depends_on_options_and_terminal() {
        let style = |tty, progress, quiet, ci, dumb| {
            let env = Environment { dumb, ci, ..Environment::default() };
            let options = Options { quiet, progress, env, ..Options::default() };
            case(tty, 80, "", options).ui.progress_style()
        };
        assert_eq!(style(true, ProgressMode::Auto, false, false, false), Some(Style::Bars));
        assert_eq!(style(true, ProgressMode::Auto, false, true, false), Some(Style::Log));
        assert_eq!(style(false, ProgressMode::Auto, false, true, false), Some(Style::Log));
        assert_eq!(style(true, ProgressMode::Always, false, false, true), Some(Style::Lines));
        assert_eq!(style(false, ProgressMode::Auto, false, false, false), None);
        assert_eq!(style(false, ProgressMode::Always, false, false, false), Some(Style::Lines));
        assert_eq!(style(false, ProgressMode::Json, false, false, false), Some(Style::Events));
        assert_eq!(style(true, ProgressMode::Never, false, false, false), None);
        assert_eq!(style(true, ProgressMode::Always, true, false, false), None);
    }

    #[test]
    fn each_item_has_a_start_and_a_finish_event() {
        let case = case(false, 80, "", Options { progress: ProgressMode::Json, ..Options::default() });
        let progress = case.ui.progress();
        progress.expect(1, 10);
        let item = progress.item("a", Some(10));
        item.at(10);
        item.finish(Outcome::Done);
        drop((item, progress));
        let text = case.err.text();
        let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // The thread can emit `progress` events between the others.
        events.retain(|event| event["event"] != "progress");
        assert_eq!(
            events,
            [
                json!({"event": "total", "items": 1, "total": 10}),
                json!({"event": "start", "item": 1, "name": "a", "bytes": 0, "total": 10}),
                json!({"event": "finish", "item": 1, "name": "a", "bytes": 10, "total": 10, "outcome": "done"}),
            ]
        );
    }
}
