//! What went wrong, what to do about it, and the exit code.
//!
//! An error names the thing first and blames nobody: lower case, no full stop, backticks round what can be typed.
//! Its [`Kind`] is for scripts (exit code and JSON), its message for people, its hints can be typed.

mod nearest;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

pub use nearest::nearest;

/// The result of anything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. One exit code each; the table in the README and the man page is made from [`Kind::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    /// Failed otherwise, or several items failed for different reasons.
    Failed,
    /// Wrong usage.
    Usage,
    /// No such file, here or there.
    NotFound,
    /// No token, or refused.
    Auth,
    /// Not supported by this platform, or over its limit.
    Unsupported,
    /// Rate limit or quota, after retries.
    RateLimited,
    /// Could not reach it, after retries.
    Unreachable,
    /// The platform failed or answered nonsense.
    Platform,
    /// Bytes do not match after a transfer.
    Mismatch,
    /// Interrupted.
    Interrupted,
    /// Whoever read our output has gone; not a failure.
    #[schemars(skip)]
    ClosedPipe,
}

impl Kind {
    /// Every kind that is a failure, in the order of the exit codes.
    pub const ALL: [Self; 10] = [
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Auth,
        Self::Unsupported,
        Self::RateLimited,
        Self::Unreachable,
        Self::Platform,
        Self::Mismatch,
        Self::Interrupted,
    ];

    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Auth => 4,
            Self::Unsupported => 5,
            Self::RateLimited => 6,
            Self::Unreachable => 7,
            Self::Platform => 8,
            Self::Mismatch => 9,
            Self::Interrupted => 130,
        }
    }

    /// What it means, for the exit-code table.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Failed => "failed otherwise, or several items failed for different reasons",
            Self::Usage => "wrong usage",
            Self::NotFound => "no such file, here or there",
            Self::Auth => "no token, or refused",
            Self::Unsupported => "not supported by this platform, or over its limit",
            Self::RateLimited => "rate limit or quota, after retries",
            Self::Unreachable => "could not reach it, after retries",
            Self::Platform => "the platform failed or answered nonsense",
            Self::Mismatch => "bytes do not match after a transfer",
            Self::Interrupted => "interrupted",
            Self::ClosedPipe => "done",
        }
    }
}

/// An error: kind, message, causes, hints. Boxed, so that a `Result` stays small.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    details: Vec<String>,
    hints: Vec<String>,
    status: Option<u16>,
    request_id: Option<String>,
    reference: Option<String>,
    /// Set where the request may have been carried out although no answer came.
    unanswered: bool,
    /// Set once the ui has shown it, so that it is shown once.
    reported: bool,
}

impl Error {
    /// An error of `kind`. The message names the thing first.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            causes: Vec::new(),
            details: Vec::new(),
            hints: Vec::new(),
            status: None,
            request_id: None,
            reference: None,
            unanswered: false,
            reported: false,
        }))
    }

    /// Wrong usage: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// No such file: exit 3.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// The platform answered something that does not fit its own contract: exit 8.
    pub fn platform(message: impl Into<String>) -> Self {
        Self::new(Kind::Platform, message)
    }

    /// Failed otherwise: exit 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// A local read or write failed. `doing` says what was being done, such as `write`; a closed pipe is no failure.
    pub fn io(doing: &str, path: &Path, source: &io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::BrokenPipe => Kind::ClosedPipe,
            _ => Kind::Failed,
        };
        let shown = if path == Path::new("") { "\"\"".to_owned() } else { path.display().to_string() };
        if kind == Kind::NotFound {
            return Self::new(kind, format!("{shown}: no such file or directory"));
        }
        Self::new(kind, format!("{shown}: cannot {doing}")).cause(source.to_string())
    }

    /// Adds a hint: a command or a fact, one line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !self.0.hints.contains(&hint) {
            self.0.hints.push(hint);
        }
        self
    }

    /// Drops the hints that `keep` says no to.
    #[must_use]
    pub fn keep_hints(mut self, mut keep: impl FnMut(&str) -> bool) -> Self {
        self.0.hints.retain(|hint| keep(hint));
        self
    }

    /// Suggests, before all other hints, the one of `names` that was probably meant by `typed`, if one is near enough.
    #[must_use]
    pub fn did_you_mean<'a>(mut self, typed: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = nearest(typed, names).map(|near| format!("did you mean `{near}`?"));
        self.0.hints.splice(0..0, hint);
        self
    }

    /// Adds a cause, the nearest first.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }

    /// Adds a line that belongs to the message: a candidate, the text with the mistake marked.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.0.details.push(line.into());
        self
    }

    /// Notes the HTTP status that said so.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Notes the platform's id of the request, for its support.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id.or(self.0.request_id);
        self
    }

    /// Notes the path or address that this is about, unless one is noted already.
    #[must_use]
    pub fn about(mut self, reference: impl Into<String>) -> Self {
        self.0.reference.get_or_insert_with(|| reference.into());
        self
    }

    /// Says what the user typed wherever the message names the file by its id. Hints keep the id, which names one file
    /// alone.
    #[must_use]
    pub fn called(mut self, id: &str, typed: &str) -> Self {
        let inner = &mut self.0;
        for text in inner.details.iter_mut().chain(&mut inner.causes).chain([&mut inner.message]) {
            *text = renamed(text, id, typed);
        }
        if inner.reference.as_deref().is_none_or(|reference| reference == id) {
            inner.reference = Some(typed.to_owned());
        }
        self
    }

    /// Puts another kind in place, where whoever catches it knows better.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Marks that the request may have been carried out although no answer came.
    #[must_use]
    pub fn unanswered(mut self) -> Self {
        self.0.unanswered = true;
        self
    }

    /// Marks that the user has seen it; only the exit code is left of it.
    #[must_use]
    pub fn reported(mut self) -> Self {
        self.0.reported = true;
        self
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The causes, the nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// The lines that belong to the message.
    pub fn details(&self) -> &[String] {
        &self.0.details
    }

    /// The hints.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// The HTTP status that said so, if one did.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The platform's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The path or address that it is about.
    pub fn reference(&self) -> Option<&str> {
        self.0.reference.as_deref()
    }

    /// Whether the request may have been carried out although no answer came.
    pub fn is_unanswered(&self) -> bool {
        self.0.unanswered
    }

    /// Whether what was asked may be done although the platform did not tell: no answer, or a success that cannot be
    /// read.
    pub fn may_be_done(&self) -> bool {
        let succeeded = self.0.status.is_some_and(|status| (200..300).contains(&status));
        self.0.unanswered || (self.0.kind == Kind::Platform && succeeded)
    }

    /// Whether the user has seen it.
    pub fn is_reported(&self) -> bool {
        self.0.reported
    }

    /// The lines for people: the error, its details (without a label), its causes, the request id, its hints.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("error", self.0.message.clone())];
        lines.extend(self.0.details.iter().map(|line| ("", line.clone())));
        lines.extend(self.0.causes.iter().map(|cause| ("caused by", cause.clone())));
        lines.extend(self.0.request_id.iter().map(|id| ("request id", id.clone())));
        lines.extend(self.0.hints.iter().map(|hint| ("hint", hint.clone())));
        lines
    }

    /// The object for scripts, as `--json` prints it on stderr below the key `error`.
    pub fn object(&self) -> ErrorObject<'_> {
        let message = std::iter::once(&self.0.message).chain(&self.0.causes).map(String::as_str);
        ErrorObject {
            kind: self.0.kind,
            exit_code: self.0.kind.exit_code(),
            message: message.collect::<Vec<_>>().join(": "),
            details: &self.0.details,
            hints: &self.0.hints,
            request_id: self.0.request_id.as_deref(),
            reference: self.0.reference.as_deref(),
        }
    }

    /// What several failures come to: their kind if they share one, else [`Kind::Failed`].
    pub fn kind_of_all(kinds: impl IntoIterator<Item = Kind>) -> Option<Kind> {
        kinds.into_iter().reduce(|a, b| if a == b { a } else { Kind::Failed })
    }
}

/// The text with another name for `id`, where it stands as a word. Ids too short to be told from other words stay.
fn renamed(text: &str, id: &str, name: &str) -> String {
    const SHORTEST: usize = 6;
    if id.len() < SHORTEST {
        return text.to_owned();
    }
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let (mut renamed, mut rest, mut before) = (String::new(), text, None);
    while let Some(at) = rest.find(id) {
        let (head, tail) = (&rest[..at], &rest[at + id.len()..]);
        let is_word = !joins(head.chars().last().or(before)) && !joins(tail.chars().next());
        renamed.extend([head, if is_word { name } else { id }]);
        before = id.chars().last();
        rest = tail;
    }
    renamed + rest
}

/// A line about a failure, on stderr.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "error_line")]
pub struct ErrorLine<'a> {
    /// What failed.
    pub error: ErrorObject<'a>,
}

/// What went wrong and what to do about it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "error")]
pub struct ErrorObject<'a> {
    /// What sort of failure it is.
    pub kind: Kind,
    /// The exit code that goes with the kind.
    pub exit_code: u8,
    /// What failed, then why: the message and its causes.
    pub message: String,
    /// Lines that belong to the message: candidates, the text with the mistake marked.
    pub details: &'a [String],
    /// What to do about it.
    pub hints: &'a [String],
    /// The platform's id of the request, for its support.
    pub request_id: Option<&'a str>,
    /// The path or address that it is about.
    #[serde(rename = "ref")]
    pub reference: Option<&'a str>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}

/// A word as a shell takes it, for hints: in quotes where it would be read as anything else. An id or a name in a hint
/// may be of a server's choice, and hints are there to be pasted.
pub fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_published_ones_and_differ() {
        let codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);
    }

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        for plain in ["report.pdf", "id:file_1", "xai:id:a-b", "日本.txt", "a=b,c@d+e%20"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word("two words"), "'two words'");
        assert_eq!(word("it's; rm -rf ~"), r"'it'\''s; rm -rf ~'");
        for odd in ["", "$(x)", "`x`", "*.pdf", "~/x", "a\nb", "#", "!", "a&b"] {
            assert_eq!(word(odd), format!("'{odd}'"));
        }
    }

    #[test]
    fn an_error_names_the_file_as_it_was_typed() {
        let error = Error::usage("file_12 has 2 links, file_123 none").hint("`haul link --list file_12`");
        let error = error.about("file_12").called("file_12", "a.txt");
        assert_eq!(error.message(), "a.txt has 2 links, file_123 none");
        assert_eq!(error.hints(), ["`haul link --list file_12`"]);
        assert_eq!(error.reference(), Some("a.txt"));
        assert_eq!(renamed("404: 4 is gone", "4", "a.txt"), "404: 4 is gone");
    }

    #[test]
    fn several_failures_share_a_kind_or_come_to_failed() {
        assert_eq!(Error::kind_of_all([]), None);
        assert_eq!(Error::kind_of_all([Kind::Auth, Kind::Auth]), Some(Kind::Auth));
        assert_eq!(Error::kind_of_all([Kind::Auth, Kind::NotFound]), Some(Kind::Failed));
    }

    #[test]
    fn json_has_the_documented_keys() {
        let error = Error::not_found("x: no such file").hint("`haul ls`").about("local:x");
        assert_eq!(
            serde_json::to_string(&ErrorLine { error: error.object() }).unwrap(),
            r#"{"error":{"kind":"not_found","exit_code":3,"message":"x: no such file","details":[],"hints":["`haul ls`"],"request_id":null,"ref":"local:x"}}"#
        );
    }
}
