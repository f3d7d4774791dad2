//! `--report FILE` records the outcome of every item; `--retry-from FILE` retries the unfinished ones.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorObject, Kind, Result};
use crate::files::{self, Place};
use crate::model::FileId;
use crate::transfer::Leftover;

/// The outcome of an item, with the id of its file, if it has one.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The operation succeeded.
    Done(Option<FileId>),
    /// There was nothing to do.
    Skipped(Option<FileId>),
    /// The file was uploaded, but the file it replaces could not be deleted.
    Kept {
        /// The new file.
        id: FileId,
        /// The replaced file, which still exists.
        old: FileId,
        /// The error from deleting the replaced file.
        error: Error,
    },
}

/// Identifies an item for `--retry-from`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Entry {
    /// The path of an upload; for other commands, `PROFILE:id:ID` or the reference as typed.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// The file's name on the platform.
    #[serde(default)]
    pub name: Option<String>,
}

/// A unit of work of one or more items.
pub trait Reported {
    /// The items in this unit.
    fn entries(&self) -> Vec<Entry>;
}

/// A line of a report: the outcome of one item.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "report_line")]
pub(super) struct Line {
    #[serde(flatten)]
    entry: Entry,
    /// The outcome.
    outcome: OutcomeWord,
    /// The id of the file; null if it has none, for example after a failed upload.
    id: Option<FileId>,
    /// The id of the replaced file if it could not be deleted; `--retry-from` then retries only the deletion.
    #[serde(default)]
    kept: Option<FileId>,
    /// The error; null unless the item failed or is in conflict.
    #[schemars(with = "Option<ErrorObject<'static>>")]
    error: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OutcomeWord {
    /// The operation succeeded.
    Done,
    /// There was nothing to do.
    Skipped,
    /// The operation failed, or a signal interrupted it; `--retry-from` retries it.
    Failed,
    /// An existing file has or may have different content; `--retry-from` retries the item.
    Conflict,
    /// The command ended before it reached the item; `--retry-from` starts it.
    NotStarted,
}

/// Writes a report. Without a path, all methods do nothing.
pub struct Report {
    file: Option<RefCell<File>>,
    path: std::path::PathBuf,
}

impl Report {
    /// Creates a report. A regular file is truncated; a device, a pipe or an open descriptor (`/dev/stdout`) is not.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let path = if path == Path::new("-") { Path::new("/dev/stdout") } else { path };
            let file = match files::place(path) {
                Ok(Place::Stream) => files::open_stream(path),
                Ok(Place::File(_)) => File::create(path),
                Err(error) => Err(error),
            };
            file.map(RefCell::new).map_err(|error| Error::io("write the report", path, error))
        };
        Ok(Self { file: path.map(open).transpose()?, path: path.unwrap_or(Path::new("")).to_owned() })
    }

    /// Whether a report is written.
    pub fn is_enabled(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the line for a finished item.
    pub fn ended(&self, entry: &Entry, ended: &Outcome) -> Result<()> {
        let line = |outcome, id| Line { entry: entry.clone(), outcome, id, kept: None, error: None };
        self.write(&match ended {
            Outcome::Done(id) => line(OutcomeWord::Done, id.clone()),
            Outcome::Skipped(id) => line(OutcomeWord::Skipped, id.clone()),
            Outcome::Kept { id, old, error } => Line {
                kept: Some(old.clone()),
                error: serde_json::to_value(error.object()).ok(),
                ..line(OutcomeWord::Failed, Some(id.clone()))
            },
        })
    }

    /// Writes the line for an item that failed or is in conflict.
    pub fn failed(&self, entry: &Entry, error: &Error) -> Result<()> {
        let outcome =
            if error.kind() == Kind::Conflict { OutcomeWord::Conflict } else { OutcomeWord::Failed };
        let error = serde_json::to_value(error.object()).ok();
        self.write(&Line { entry: entry.clone(), outcome, id: None, kept: None, error })
    }

    /// Writes the line for an item that was not started. An entry without a reference represents an unknown number
    /// of items.
    pub fn not_started(&self, entry: &Entry) -> Result<()> {
        let outcome = OutcomeWord::NotStarted;
        self.write(&Line { entry: entry.clone(), outcome, id: None, kept: None, error: None })
    }

    fn write(&self, line: &Line) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // Write unbuffered so that the report is complete even if the process is killed.
        let written = file.borrow_mut().write_all(&text);
        written.map_err(|error| Error::io("write the report", &self.path, error))
    }
}

/// An unfinished item in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The item.
    pub entry: Entry,
    /// Set if the file was uploaded and only the replaced file still has to be deleted.
    pub leftover: Option<Leftover>,
}

/// Reads the unfinished items from a report.
pub fn unfinished_of(path: &Path) -> Result<Vec<Unfinished>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
    let mut unfinished = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = || format!("{} line {}", path.display(), index + 1);
        let line: Line = serde_json::from_str(line)
            .map_err(|error| Error::usage(format!("{}: not a report", at())).caused_by(error))?;
        let problem = match line.outcome {
            OutcomeWord::Done | OutcomeWord::Skipped => continue,
            OutcomeWord::Failed | OutcomeWord::Conflict => "the line does not name the failed item",
            OutcomeWord::NotStarted => "the report does not name every item that was not started",
        };
        if line.entry.reference.is_none() {
            return Err(Error::usage(format!("{}: {problem}", at())).hint("run the original command again"));
        }
        let leftover = line.id.zip(line.kept).map(|(id, old)| Leftover { id, old });
        unfinished.push(Unfinished { entry: line.entry, leftover });
    }
    Ok(unfinished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_items_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.jsonl");
        let entry = |reference: &str| Entry { reference: Some(reference.into()), name: Some("n".into()) };
        let report = Report::create(Some(&path)).unwrap();
        report.ended(&entry("a"), &Outcome::Done(Some("f1".into()))).unwrap();
        report.failed(&entry("b"), &Error::platform("broke")).unwrap();
        report.ended(&entry("c"), &Outcome::Skipped(None)).unwrap();
        report.failed(&entry("d"), &Error::new(Kind::Conflict, "unknown")).unwrap();
        report.not_started(&entry("e")).unwrap();
        let refused = Error::new(Kind::Auth, "refused");
        let kept = Outcome::Kept { id: "new".into(), old: "old".into(), error: refused };
        report.ended(&entry("f"), &kept).unwrap();
        let again = |reference, leftover| Unfinished { entry: entry(reference), leftover };
        let leftover = Leftover { id: "new".into(), old: "old".into() };
        assert_eq!(
            unfinished_of(&path).unwrap(),
            [again("b", None), again("d", None), again("e", None), again("f", Some(leftover))]
        );
        let lines = std::fs::read_to_string(&path).unwrap();
        let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!((&second["ref"], &second["outcome"]), (&"b".into(), &"failed".into()));
        assert_eq!(
            (&second["error"]["kind"], &second["error"]["exit_code"]),
            (&"platform".into(), &8.into())
        );
        std::fs::write(&path, "{\"ref\":null,\"outcome\":\"failed\",\"id\":null,\"error\":null}\n").unwrap();
        assert!(
            unfinished_of(&path)
                .unwrap_err()
                .message()
                .ends_with("line 1: the line does not name the failed item")
        );
        let report = Report::create(Some(&path)).unwrap();
        report.not_started(&Entry { reference: None, name: None }).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"ref\":null,\"name\":null,\"outcome\":\"not_started\",\"id\":null,\"kept\":null,\"error\":null}\n"
        );
        let error = unfinished_of(&path).unwrap_err();
        assert!(error.message().ends_with("does not name every item that was not started"), "{error}");
        std::fs::write(&path, "hello\n").unwrap();
        assert_eq!(unfinished_of(&path).unwrap_err().kind(), crate::error::Kind::Usage);
    }
}
