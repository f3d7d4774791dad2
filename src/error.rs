//! Errors: a kind with an exit code, a message, sources and hints.
//!
//! A message starts with the thing it is about, in lower case and without a final period, with backticks around text
//! to type. The [`Kind`] (exit code and JSON) is for scripts, and the message is for people. Commands in hints can be
//! typed as printed. Sources are kept as values and returned by [`std::error::Error::source`].

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};
use strsim::osa_distance;

use crate::model::FileId;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure. Each has an exit code; the tables in the documentation are generated from [`Kind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline, transform = without_signal)]
pub enum Kind {
    /// Any other failure, or several items failed for different reasons.
    Failed,
    /// Invalid arguments, settings or filter.
    Usage,
    /// File not found, locally or on the platform.
    NotFound,
    /// Token missing or rejected.
    Auth,
    /// Not supported by the platform, or over one of its limits.
    Unsupported,
    /// An existing file has or may have different content, so neither reusing it nor uploading is safe.
    Conflict,
    /// Rate limit or quota exceeded, after retries.
    RateLimited,
    /// Platform unreachable, after retries.
    Unreachable,
    /// Platform error or invalid response.
    Platform,
    /// Size or checksum mismatch after a transfer.
    Mismatch,
    /// `sync --check` found changes.
    OutOfDate,
    /// Ended by a signal.
    Interrupted(#[serde(skip)] Signal),
    /// The reader closed the output; not a failure.
    #[schemars(skip)]
    ClosedPipe,
}

/// The schema for [`Kind::Interrupted`]: a string like the other kinds, because the signal is not serialized.
fn without_signal(schema: &mut Schema) {
    let choices = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        if choice.pointer("/properties/interrupted").is_some() {
            let description = choice["description"].take();
            *choice = json!({ "type": "string", "const": "interrupted", "description": description });
        }
    }
}

impl Kind {
    /// All kinds that are failures, in the order of their exit codes.
    pub const ALL: [Self; 14] = [
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Auth,
        Self::Unsupported,
        Self::Conflict,
        Self::RateLimited,
        Self::Unreachable,
        Self::Platform,
        Self::Mismatch,
        Self::OutOfDate,
        Self::Interrupted(Signal::Hangup),
        Self::Interrupted(Signal::Interrupt),
        Self::Interrupted(Signal::Terminate),
    ];

    /// The exit code of the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Auth => 4,
            Self::Unsupported | Self::Conflict => 5,
            Self::RateLimited => 6,
            Self::Unreachable => 7,
            Self::Platform => 8,
            Self::Mismatch | Self::OutOfDate => 9,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }

    /// The description in the table of exit codes.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "any other failure, or several items failed for different reasons",
            Self::Usage => "invalid arguments, settings or filter",
            Self::NotFound => "file not found, locally or on the platform",
            Self::Auth => "token missing or rejected",
            Self::Unsupported => "not supported by the platform, or over one of its limits",
            Self::Conflict => "conflict: an existing file has or may have different content",
            Self::RateLimited => "rate limit or quota exceeded, after retries",
            Self::Unreachable => "platform unreachable, after retries",
            Self::Platform => "platform error or invalid response",
            Self::Mismatch => "size or checksum mismatch after a transfer",
            Self::OutOfDate => "out of date: `haul sync --check` found something to change",
            Self::Interrupted(Signal::Interrupt) => "interrupted by Ctrl-C (SIGINT)",
            Self::Interrupted(Signal::Terminate) => "interrupted by SIGTERM",
            Self::Interrupted(Signal::Hangup) => "interrupted by SIGHUP",
            Self::ClosedPipe => "done",
        }
    }
}

/// A signal that ends the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(inline)]
pub enum Signal {
    /// SIGINT, or Ctrl-C on Windows.
    #[default]
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal was closed.
    Hangup,
}

impl Signal {
    /// The exit code: 128 plus the number of the signal.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Hangup => 129,
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "interrupted by SIGTERM",
            Self::Hangup => "interrupted by SIGHUP",
        }
    }
}

/// A message. If it contains a file's id, it records the position of the id so that [`Error::called`] can replace it
/// with the text that the user typed.
#[derive(Clone, Debug)]
pub struct Message {
    text: String,
    subject: Option<Range<usize>>,
}

impl Message {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The message `id` + `after`.
    pub fn file(id: impl fmt::Display, after: &str) -> Self {
        Self::about("", id, after)
    }

    /// The message `before` + `id` + `after`.
    pub fn about(before: &str, id: impl fmt::Display, after: &str) -> Self {
        let mut text = format!("{before}{id}");
        let subject = before.len()..text.len();
        text.push_str(after);
        Self { text, subject: Some(subject) }
    }

    /// Replaces the recorded id with `typed` if it equals `id`.
    fn rename(&mut self, id: &str, typed: &str) {
        let Some(place) = self.subject.clone().filter(|place| &self.text[place.clone()] == id) else {
            return;
        };
        self.text.replace_range(place.clone(), typed);
        self.subject = Some(place.start..place.start + typed.len());
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self { text: text.into(), subject: None }
    }
}

/// A cause: an error or a description.
#[derive(Clone, Debug)]
enum Cause {
    Words(String),
    Source(Arc<dyn StdError + Send + Sync>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Source(source) => source.fmt(f),
        }
    }
}

/// An error, boxed to keep `Result` small.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: Message,
    causes: Vec<Cause>,
    details: Vec<String>,
    hints: Vec<String>,
    status: Option<u16>,
    request_id: Option<String>,
    reference: Option<String>,
    item: Option<(String, Option<String>)>,
    existing: Option<FileId>,
    unanswered: bool,
    reported: bool,
}

impl Error {
    /// Creates an error of `kind`.
    pub fn new(kind: Kind, message: impl Into<Message>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            causes: Vec::new(),
            details: Vec::new(),
            hints: Vec::new(),
            status: None,
            request_id: None,
            reference: None,
            item: None,
            existing: None,
            unanswered: false,
            reported: false,
        }))
    }

    /// A usage error: exit 2.
    pub fn usage(message: impl Into<Message>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// A missing file: exit 3.
    pub fn not_found(message: impl Into<Message>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// A response that violates the platform's API: exit 8.
    pub fn platform(message: impl Into<Message>) -> Self {
        Self::new(Kind::Platform, message)
    }

    /// Any other failure: exit 1.
    pub fn failed(message: impl Into<Message>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Interrupted by a signal: exit 130 for Ctrl-C.
    pub fn interrupted(signal: Signal) -> Self {
        Self::new(Kind::Interrupted(signal), signal.message())
    }

    /// A failed local operation. `doing` describes it, such as `write`. A closed pipe is not a failure.
    pub fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::BrokenPipe => Kind::ClosedPipe,
            _ => Kind::Failed,
        };
        let shown = if path == Path::new("") { "\"\"".to_owned() } else { path.display().to_string() };
        if kind == Kind::NotFound {
            return Self::new(kind, format!("{shown}: no such file or directory"));
        }
        Self::new(kind, format!("{shown}: cannot {doing}")).caused_by(source)
    }

    /// Adds a hint: one line with a command or a fact.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !self.0.hints.contains(&hint) {
            self.0.hints.push(hint);
        }
        self
    }

    /// Adds text at the end of the message.
    #[must_use]
    pub fn with_suffix(mut self, suffix: &str) -> Self {
        self.0.message.text.push_str(suffix);
        self
    }

    /// Keeps only the hints for which `keep` returns true.
    #[must_use]
    pub fn keep_hints(mut self, mut keep: impl FnMut(&str) -> bool) -> Self {
        self.0.hints.retain(|hint| keep(hint));
        self
    }

    /// Adds a hint with the name most similar to `typed`, if any, before all other hints.
    #[must_use]
    pub fn did_you_mean<'a>(mut self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = nearest(typed, names).map(|near| format!("did you mean `{near}`?"));
        self.0.hints.splice(0..0, hint);
        self
    }

    /// Adds the description of a cause. The most direct cause comes first.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(Cause::Words(cause.into()));
        self
    }

    /// Adds an error as a cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.causes.push(Cause::Source(Arc::new(source)));
        self
    }

    /// Adds a line to the message, such as a candidate or the input with the mistake marked.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.0.details.push(line.into());
        self
    }

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Sets the platform's id for the request.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id.or(self.0.request_id);
        self
    }

    /// Sets the file that has the content of the rejected upload.
    #[must_use]
    pub fn with_existing(mut self, id: Option<FileId>) -> Self {
        self.0.existing = id;
        self
    }

    /// Sets the path or address that the error is about, unless it is already set.
    #[must_use]
    pub fn about(mut self, reference: impl Into<String>) -> Self {
        self.0.reference.get_or_insert_with(|| reference.into());
        self
    }

    /// Sets the reference and name of the report item, unless they are already set.
    #[must_use]
    pub fn with_item(mut self, reference: impl Into<String>, name: Option<String>) -> Self {
        self.0.item.get_or_insert_with(|| (reference.into(), name));
        self
    }

    /// Replaces the file's id with the text that the user typed, in the message and the reference. Hints keep the id,
    /// which is unique.
    #[must_use]
    pub fn called(mut self, id: &str, typed: &str) -> Self {
        let inner = &mut self.0;
        inner.message.rename(id, typed);
        if inner.reference.as_deref().is_none_or(|reference| reference == id) {
            inner.reference = Some(typed.to_owned());
        }
        self
    }

    /// Changes the kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Marks that the request may have taken effect although no usable response arrived.
    #[must_use]
    pub fn unanswered(mut self) -> Self {
        self.0.unanswered = true;
        self
    }

    /// Marks the error as printed, so that only its exit code matters.
    #[must_use]
    pub fn reported(mut self) -> Self {
        self.0.reported = true;
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether the work was interrupted by a signal.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.0.kind, Kind::Interrupted(_))
    }

    /// The message, without causes.
    pub fn message(&self) -> &str {
        &self.0.message.text
    }

    /// The causes, the most direct first.
    pub fn causes(&self) -> Vec<String> {
        self.0.causes.iter().map(ToString::to_string).collect()
    }

    /// The additional lines of the message.
    pub fn details(&self) -> &[String] {
        &self.0.details
    }

    /// The hints.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The platform's id for the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The file that has the content of the rejected upload, on a platform that stores equal content once.
    pub fn existing(&self) -> Option<&FileId> {
        self.0.existing.as_ref()
    }

    /// The path or address that the error is about.
    pub fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// The reference and name of the report item. The reference defaults to that of the error.
    pub fn item(&self) -> (Option<&str>, Option<&str>) {
        match &self.0.item {
            Some((reference, name)) => (Some(reference), name.as_deref()),
            None => (self.reference(), None),
        }
    }

    /// Whether the request may have taken effect although no usable response arrived.
    pub fn is_unanswered(&self) -> bool {
        self.0.unanswered
    }

    /// Whether the request may have taken effect: the response is missing, comes from a proxy or a failing server, or
    /// reports success but cannot be parsed.
    pub fn may_be_done(&self) -> bool {
        let succeeded = self.0.status.is_some_and(|status| (200..300).contains(&status));
        self.0.unanswered || (self.0.kind == Kind::Platform && succeeded)
    }

    /// Whether the error has already been printed.
    pub fn is_reported(&self) -> bool {
        self.0.reported
    }

    /// The lines to print, with their labels: the error, its details (without labels), its causes, the request id and
    /// its hints.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("error", self.message().to_owned())];
        lines.extend(self.0.details.iter().map(|line| ("", line.clone())));
        lines.extend(self.0.causes.iter().map(|cause| ("caused by", cause.to_string())));
        lines.extend(self.0.request_id.iter().map(|id| ("request id", id.clone())));
        lines.extend(self.0.hints.iter().map(|hint| ("hint", hint.clone())));
        lines
    }

    /// The object for scripts: the value of the key `error` that `--json` prints on stderr.
    pub fn object(&self) -> ErrorObject<'_> {
        ErrorObject {
            kind: self.0.kind,
            exit_code: self.0.kind.exit_code(),
            message: self.to_string(),
            details: &self.0.details,
            hints: &self.0.hints,
            request_id: self.0.request_id.as_deref(),
            reference: self.0.reference.as_deref(),
        }
    }

    /// The kind that represents several failures: their common kind, or [`Kind::Failed`].
    pub fn kind_of_all(kinds: impl IntoIterator<Item = Kind>) -> Option<Kind> {
        kinds.into_iter().reduce(|a, b| if a == b { a } else { Kind::Failed })
    }
}

/// A line on stderr about a failure.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "error_line")]
pub struct ErrorLine<'a> {
    /// The error.
    pub error: ErrorObject<'a>,
}

/// An error, with hints for fixing it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "error")]
pub struct ErrorObject<'a> {
    /// The kind of failure.
    pub kind: Kind,
    /// The exit code.
    pub exit_code: u8,
    /// The message, followed by its causes.
    pub message: String,
    /// Further lines of the message, such as candidates, or the input with the error marked.
    pub details: &'a [String],
    /// How to fix the error.
    pub hints: &'a [String],
    /// The platform's id for the request, to quote in support requests.
    pub request_id: Option<&'a str>,
    /// The path or file reference that failed.
    #[serde(rename = "ref")]
    pub reference: Option<&'a str>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.causes.iter().find_map(|cause| match cause {
            Cause::Words(_) => None,
            Cause::Source(source) => Some(&**source as &(dyn StdError + 'static)),
        })
    }
}

/// Quotes `text` for a shell if needed. Users paste hints, and the ids and names in them may come from a server.
pub fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The reference of a file for a command in a hint, with its profile and quoted for a shell if needed.
pub fn reference(profile: &str, id: impl fmt::Display) -> String {
    word(&format!("{profile}:id:{id}")).into_owned()
}

/// Maximum length of the names that [`nearest`] compares, in characters. Real names are shorter.
const LONGEST_NAME: usize = 128;

/// The message of an error from another crate, with the causes that it does not already contain.
pub fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The name most similar to `typed`: one that differs by a few typos, otherwise one that starts with it or contains
/// it as a word. Ignores case.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    if length > LONGEST_NAME {
        return None;
    }
    // One typo, plus one for every five letters, but none in a single letter.
    let allowed = if length < 2 { 0 } else { 1 + length / 5 };
    let mut best: Option<(usize, &str)> = None;
    let mut beginning = None;
    for name in names {
        let lower = name.to_lowercase();
        if lower.chars().count() > LONGEST_NAME {
            continue;
        }
        let distance = osa_distance(&typed, &lower);
        if distance <= allowed && distance < length && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
        let has_word = || lower.split(|c: char| !c.is_alphanumeric()).any(|word| word == typed);
        if length >= 3 && beginning.is_none() && (lower.starts_with(&typed) || has_word()) {
            beginning = Some(name);
        }
    }
    best.map(|(_, name)| name).or(beginning)
}

#[cfg(test)]
mod tests;
