//! The options and results of uploads.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use clap::ValueEnum;

use super::identity::{Compare, Evidence};
use crate::error::Error;
use crate::model::{Checksums, File, FileId};
use crate::progress::Outcome;

/// What to do if a file with the same name exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    /// Upload another file with the same name
    #[default]
    Upload,
    /// Upload nothing if the content is the same
    Skip,
    /// Replace the file if the content differs
    Update,
    /// Replace the file
    Replace,
    /// Fail
    Fail,
}

impl IfExists {
    /// The value on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Skip => "skip",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Fail => "fail",
        }
    }

    /// Whether existing files affect the upload.
    pub(super) const fn compares(self) -> bool {
        !matches!(self, Self::Upload)
    }
}

/// The options of an upload.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// What to do if a file with the same name exists.
    pub if_exists: IfExists,
    /// Whether to compare the content that was sent with the checksums reported by the platform.
    pub verify: bool,
    /// Whether to wait until the platform has processed the file.
    pub wait: bool,
    /// The file whose content is to be replaced.
    pub to: Option<FileId>,
    /// How files are compared.
    pub compare: Compare,
    /// Maximum number of bytes to download for comparisons.
    pub compare_limit: u64,
    /// How long a new file may be missing from listings; overrides the platform's value.
    pub appears_within: Option<std::time::Duration>,
    /// Whether every upload creates a file, instead of replacing the content of an existing one.
    pub anew: bool,
    /// The [hashes](crate::model::hash_of_name) of the command's names, if there are several. Existing files with these
    /// names are listed once.
    pub names: HashSet<u64>,
    /// Earlier uploads whose replaced file still has to be deleted, by path and name.
    pub leftovers: HashMap<(PathBuf, String), Leftover>,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            if_exists: IfExists::Upload,
            verify: false,
            wait: false,
            to: None,
            compare: Compare::Auto,
            compare_limit: COMPARE_LIMIT,
            appears_within: None,
            anew: false,
            names: HashSet::new(),
            leftovers: HashMap::new(),
        }
    }
}

/// The default of [`UploadOptions::compare_limit`]: 256 MB.
pub const COMPARE_LIMIT: u64 = 256_000_000;

/// The action that an upload took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sent the file.
    Uploaded,
    /// Found a file with the same content.
    Reused,
    /// Sent the file and replaced an existing one.
    Replaced,
    /// Found the file that an earlier run of the command had sent.
    Resumed,
    /// Sent the content of an existing file again because it was damaged or missing.
    Repaired,
}

/// The result of an upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The file on the platform.
    pub file: File,
    /// The requested name. An existing file with the same content may have a different name.
    pub name: String,
    /// The action that was taken.
    pub action: Action,
    /// Whether no existing file was replaced by a file with a different id.
    pub keeps_id: bool,
    /// The evidence used to compare the file with existing ones, if they were compared.
    pub evidence: Option<Evidence>,
    /// An existing file with the same name but different content. The new file was uploaded in addition to it.
    pub different: Option<FileId>,
    /// A file with the same name that another command uploaded at the same time.
    pub twin: Option<FileId>,
    /// The file from an earlier upload of the same local file, if this upload ignored existing files. It may have been
    /// deleted since.
    pub before: Option<FileId>,
    /// The replaced file that could not be deleted, with the error.
    pub kept: Option<(FileId, Error)>,
    /// The checksums of the content, as far as they were computed while it was sent.
    pub sent: Checksums,
}

/// Two files with one name: one of this command, and one that another command uploaded at the same time.
#[derive(Clone, Debug)]
pub struct Twin {
    /// The name.
    pub name: String,
    /// The file of this command.
    pub id: FileId,
    /// The file of the other command.
    pub other: FileId,
}

impl Uploaded {
    pub(super) fn outcome(&self) -> Outcome {
        match self.action {
            _ if self.kept.is_some() => Outcome::Failed,
            Action::Reused | Action::Resumed => Outcome::Skipped,
            Action::Uploaded | Action::Replaced | Action::Repaired => Outcome::Done,
        }
    }
}

/// An earlier upload whose replaced file still exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The new file.
    pub id: FileId,
    /// The replaced file.
    pub old: FileId,
}

/// The files on the platform that concern one upload, if the caller knows them.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The files of the same name with which the local file is compared.
    pub named: Vec<File>,
    /// A file that exists and is not compared, because it is about to be deleted.
    pub old: Option<FileId>,
}

/// The outcome of a dry run.
#[derive(Clone, Debug)]
pub enum Preview {
    /// Send the file.
    Upload,
    /// Send the file and replace this one.
    Replace(FileId),
    /// Reuse a file with the same content.
    Reuse(Box<File>, Option<Evidence>),
}
