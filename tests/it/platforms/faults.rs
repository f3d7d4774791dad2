//! The platform's part of the fault matrix: the request of each verb, and the exceptions to the rules of the faults.

use haul::providers::Op;

use super::Reason;
use crate::support::rig::Case;

/// One platform in one dialect.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The platform's name, followed by another word if the platform has several columns.
    pub name: &'static str,
    pub case: Case,
    pub requests: Requests,
}

/// The requests that faults are injected into.
#[derive(Clone, Copy, Debug)]
pub enum Requests {
    /// The requests of every verb that the platform supports.
    Verbs {
        /// The path of listings and uploads.
        files: &'static str,
        /// The path of one file.
        file: &'static str,
        /// Verbs with a different request, or without one.
        others: &'static [Other],
    },
    /// Another route for uploads. All other verbs are the same as in the platform's main column.
    Route {
        upload: Target,
        /// Whether the emulator stores a record for an unfinished upload, which is not yet a file.
        keeps_begun: bool,
    },
}

/// The request of some verbs, or the reason why they have none.
pub type Other = (&'static [Verb], Result<Target, Reason>);

/// A haul command, in some cases with specific options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Upload,
    /// `upload --if-exists skip` with an identical existing file.
    Skip,
    /// `upload --if-exists replace` with a different existing file.
    Replace,
    /// The same, with the fault in its last step: the deletion of the old file.
    Retire,
    /// `upload --to`.
    To,
    Ls,
    Info,
    Get,
    /// The same, with the fault in the request for a link to the content.
    Presign,
    /// `get -o -`.
    Stdout,
    Rm,
    Meta,
    Link,
    Revoke,
}

impl Verb {
    pub const ALL: [Self; 14] = [
        Self::Upload,
        Self::Skip,
        Self::Replace,
        Self::Retire,
        Self::To,
        Self::Ls,
        Self::Info,
        Self::Get,
        Self::Presign,
        Self::Stdout,
        Self::Rm,
        Self::Meta,
        Self::Link,
        Self::Revoke,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Skip => "upload --if-exists skip",
            Self::Replace => "upload --if-exists replace",
            Self::Retire => "upload --if-exists replace (rm)",
            Self::To => "upload --to",
            Self::Ls => "ls",
            Self::Info => "info",
            Self::Get => "get",
            Self::Presign => "get (link)",
            Self::Stdout => "get -o -",
            Self::Rm => "rm",
            Self::Meta => "meta set",
            Self::Link => "link",
            Self::Revoke => "link --revoke",
        }
    }

    /// The operation that the platform must support.
    pub const fn needs(self) -> Op {
        match self {
            Self::Upload | Self::Skip | Self::Replace => Op::Upload,
            Self::To => Op::Replace,
            Self::Ls => Op::List,
            Self::Info => Op::Stat,
            Self::Get | Self::Presign | Self::Stdout => Op::Download,
            Self::Rm | Self::Retire => Op::Delete,
            Self::Meta => Op::Annotate,
            Self::Link => Op::Link,
            Self::Revoke => Op::Unlink,
        }
    }

    /// Whether a file must exist before the run.
    pub const fn requires_existing_file(self) -> bool {
        !matches!(self, Self::Upload)
    }

    /// Whether it sends content.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Upload | Self::Replace | Self::Retire | Self::To)
    }
}

/// The kind of a request. It determines the permitted reactions to a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Requests JSON.
    Read,
    /// Downloads content to a file.
    Content,
    /// Downloads content to standard output.
    Stdout,
    /// Deletes something.
    Delete,
    /// Uploads a file: not idempotent.
    Send,
    /// Replaces content: idempotent.
    Place,
    /// Sends the bytes of an upload that another request completes: idempotent.
    Step,
    /// Changes something: idempotent.
    Put,
    /// Creates or revokes something: not idempotent.
    Make,
}

/// The request that a fault is injected into.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub class: Class,
    pub method: &'static str,
    pub path: &'static str,
    /// Whether it must be sent without the token.
    pub anonymous: bool,
}

impl Target {
    /// A request with the token.
    pub const fn of(class: Class, method: &'static str, path: &'static str) -> Self {
        Self { class, method, path, anonymous: false }
    }

    /// A download from a URL that grants access without the token.
    pub const fn anonymous_get(class: Class, path: &'static str) -> Self {
        Self { class, method: "GET", path, anonymous: true }
    }

    /// Sends the bytes of an upload to a URL that grants access without the token.
    pub const fn step(method: &'static str, path: &'static str) -> Self {
        Self { class: Class::Step, method, path, anonymous: true }
    }
}

/// The expected outcome of a cell.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Ends(Expected),
    /// The cell does not exist.
    Cannot(Reason),
}

#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub exit: i32,
    /// A pattern for the error's text: `*` matches any text, `{p}` is the platform.
    pub says: &'static str,
    /// The number of requests that the fault was injected into.
    pub asked: usize,
    /// Whether the platform executed the command.
    pub done: bool,
    /// The size of the partial download, if one is kept.
    pub part: Option<u64>,
    /// Whether a link created for the download is left to expire.
    pub link: bool,
}

pub const fn ok(asked: usize) -> Outcome {
    Outcome::Ends(Expected { exit: 0, says: "", asked, done: true, part: None, link: false })
}

/// The command succeeds, although the platform did not execute the request.
pub const fn ok_undone(asked: usize) -> Outcome {
    Outcome::Ends(Expected { exit: 0, says: "", asked, done: false, part: None, link: false })
}

/// The command fails, and nothing changes.
pub const fn no(exit: i32, says: &'static str, asked: usize) -> Outcome {
    Outcome::Ends(Expected { exit, says, asked, done: false, part: None, link: false })
}

/// The command fails, although the platform executed the request.
pub const fn but(exit: i32, says: &'static str, asked: usize) -> Outcome {
    Outcome::Ends(Expected { exit, says, asked, done: true, part: None, link: false })
}

/// The command fails, and the partial download is kept.
pub const fn part(exit: i32, says: &'static str, asked: usize, part: u64) -> Outcome {
    Outcome::Ends(Expected { exit, says, asked, done: false, part: Some(part), link: false })
}

/// The command fails, and the link created for the download is not revoked.
pub const fn linked(exit: i32, says: &'static str, asked: usize) -> Outcome {
    Outcome::Ends(Expected { exit, says, asked, done: false, part: None, link: true })
}

pub const fn cannot(why: Reason) -> Outcome {
    Outcome::Cannot(why)
}

/// Cells that differ from the rule of their fault.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The start of a column's name.
    pub column: &'static str,
    pub verbs: &'static [Verb],
    pub faults: &'static [&'static str],
    pub outcome: Outcome,
    pub why: Reason,
}

/// The exception for a route whose last response does not describe the file.
pub const fn without_file_details(column: &'static str) -> Exception {
    Exception {
        column,
        verbs: &[Verb::Upload],
        faults: &["wrong size stated", "wrong checksum stated"],
        outcome: cannot("the response of the object store does not describe the file"),
        why: "the response of the object store does not describe the file",
    }
}

/// The verbs that download content.
pub const FETCHES: &[Verb] = &[Verb::Get, Verb::Stdout];
