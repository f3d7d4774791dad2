//! Walks a folder, applying the rules that exclude files.

use std::ffi::OsStr;
use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use ignore::{DirEntry, WalkBuilder};

use super::part;
use super::selection::{Planned, Selection, named};
use super::special::refuse_special;
use crate::error::{Error, Result};
use crate::files;

/// The name of files that contain ignore rules for uploads.
const IGNORE_FILE: &str = ".haulignore";
/// The name of the lock file for a synchronized folder.
const LOCK_FILE: &str = "haul.lock";
const GIT_FOLDER: &str = ".git";

/// Notes about files that a walk leaves out. Clones share their counts.
#[derive(Clone)]
pub struct LeftOut {
    say: Rc<dyn Fn(&str)>,
    counts: Arc<Counts>,
}

/// Numbers of entries that were seen but not visited: hidden ones and all others.
#[derive(Debug, Default)]
struct Counts {
    hidden: AtomicI64,
    ignored: AtomicI64,
    /// Whether a folder was walked.
    folders: AtomicBool,
}

impl Counts {
    fn add(&self, name: &OsStr, selection: &Selection, change: i64) {
        let is_hidden = !selection.hidden && name.as_encoded_bytes().starts_with(b".");
        let count = if is_hidden { &self.hidden } else { &self.ignored };
        count.fetch_add(change, Ordering::Relaxed);
    }
}

impl LeftOut {
    /// Creates a value that prints notes with `say`.
    pub fn new(say: impl Fn(&str) + 'static) -> Self {
        Self { say: Rc::new(say), counts: Arc::default() }
    }

    /// Creates a value that prints nothing.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Prints the reason for leaving out a file.
    pub(super) fn skip(&self, path: &Path, why: &str) {
        (self.say)(&format!("{}: {why}", path.display()));
    }

    /// Prints the number of hidden and ignored entries with the options that include them, and the patterns that match
    /// nothing. Called at the end of all walks.
    pub fn conclude(&self, selection: &Selection) {
        if self.counts.folders.load(Ordering::Relaxed) {
            for option in selection.unmatched() {
                (self.say)(&format!("`{option}` matches no file or folder"));
            }
        }
        let [hidden, ignored] =
            [&self.counts.hidden, &self.counts.ignored].map(|count| count.load(Ordering::Relaxed).max(0));
        let (kind, options) = match (hidden, ignored) {
            (0, 0) => return,
            (_, 0) => ("hidden", "`--hidden`"),
            (0, _) => ("ignored", "`--no-ignore`"),
            _ => ("ignored and hidden", "`--hidden` and `--no-ignore`"),
        };
        let (files, them) = match hidden + ignored {
            1 => ("file or folder", "it"),
            _ => ("files and folders", "them"),
        };
        (self.say)(&format!("skipped {} {kind} {files}; use {options} to include {them}", hidden + ignored));
    }
}

/// The files below `root`, found lazily and sorted by name.
pub(super) fn walk(
    root: &Path,
    selection: &Selection,
    left_out: LeftOut,
) -> impl Iterator<Item = Result<Planned>> + use<> {
    let mut builder = WalkBuilder::new(root);
    builder
        .standard_filters(false)
        .hidden(!selection.hidden)
        .follow_links(selection.follow)
        .sort_by_file_name(OsStr::cmp);
    if !selection.no_ignore {
        builder.parents(true).add_custom_ignore_filename(IGNORE_FILE);
        if selection.gitignore {
            // Inside a repository, rules from outside it do not apply. Elsewhere, for example in an unpacked archive,
            // all rules apply.
            builder.git_ignore(true).require_git(is_in_repository(root));
        }
    }
    let mut folder = Folder {
        root: root.to_owned(),
        selection: selection.clone(),
        report: selection.report.as_deref().and_then(|report| fs::canonicalize(report).ok()),
        left_out,
        refused: None,
    };
    let (rules, counts, root) = (selection.clone(), Arc::clone(&folder.left_out.counts), root.to_owned());
    builder.filter_entry(move |entry| {
        if entry.file_name() == GIT_FOLDER && !rules.no_ignore {
            return false;
        }
        counts.add(entry.file_name(), &rules, -1);
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        !(is_folder && rules.prunes(&relative(entry.path(), &root)))
    });
    builder.build().filter_map(move |entry| folder.file_of(entry).transpose())
}

/// A walk in progress.
struct Folder {
    root: PathBuf,
    selection: Selection,
    /// The canonical path of the command's report.
    report: Option<PathBuf>,
    left_out: LeftOut,
    /// A folder whose ignore rules cannot be read. No file below it is uploaded.
    refused: Option<PathBuf>,
}

impl Folder {
    fn file_of(&mut self, entry: std::result::Result<DirEntry, ignore::Error>) -> Result<Option<Planned>> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let root = self.root.clone();
                return self.not_walked(error, &root).map(|()| None);
            }
        };
        if self.refused.as_ref().is_some_and(|refused| entry.path().starts_with(refused)) {
            return Ok(None);
        }
        let Some(kind) = entry.file_type() else { return Ok(None) };
        if kind.is_dir() {
            return self.enter(&entry).map(|()| None);
        }
        if kind.is_symlink() {
            self.left_out.skip(entry.path(), "symbolic link skipped; to follow links: `--follow`");
            return Ok(None);
        }
        if self.is_output(&entry) || !self.selection.wants(&relative(entry.path(), &self.root)) {
            return Ok(None);
        }
        if !kind.is_file() {
            self.left_out.skip(entry.path(), "skipped: not a regular file");
            return Ok(None);
        }
        let name = if self.selection.flat {
            named(entry.path(), entry.path().file_name())
        } else {
            let relative = entry.path().strip_prefix(&self.root).unwrap_or(entry.path());
            named(entry.path(), Some(relative.as_os_str()))
        };
        let name = name?.replace(MAIN_SEPARATOR, "/");
        let found = entry
            .metadata()
            .map_err(|error| Error::failed(format!("{}: {error}", entry.path().display())))?;
        refuse_special(entry.path(), &found, &self.selection.command, Some(&name))?;
        Ok(Some(Planned { path: entry.path().to_owned(), name, size: found.len() }))
    }

    /// Counts the entries of a folder, because the walk does not report those that it leaves out, and reads its
    /// ignore files, because the walk silently skips unreadable ones.
    fn enter(&mut self, folder: &DirEntry) -> Result<()> {
        if let Some(error) = folder.error() {
            self.refused = Some(folder.path().to_owned());
            return Err(invalid_rules(error, folder.path()));
        }
        self.left_out.counts.folders.store(true, Ordering::Relaxed);
        // The walk itself reports a folder that cannot be read.
        for entry in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            self.left_out.counts.add(&name, &self.selection, 1);
            if self.selection.has_unmatched() {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                self.selection.note(&relative(&entry.path(), &self.root), is_folder);
            }
            let has_rules = name == IGNORE_FILE || (name == ".gitignore" && self.selection.gitignore);
            if has_rules
                && !self.selection.no_ignore
                && let Err(error) = fs::read_to_string(entry.path())
            {
                self.refused = Some(folder.path().to_owned());
                return Err(refused(Error::io("read the ignore rules", &entry.path(), error), folder.path()));
            }
        }
        Ok(())
    }

    /// Whether haul wrote the file: the command's report, a lock file, a temporary file or a partial download.
    fn is_output(&self, entry: &DirEntry) -> bool {
        let name = entry.file_name();
        let is_report = |report: &PathBuf| {
            (entry.path_is_symlink() || report.file_name() == Some(name))
                && fs::canonicalize(entry.path()).is_ok_and(|path| path == *report)
        };
        name == LOCK_FILE
            || files::is_temporary(name)
            || part::is_own(entry.path())
            || self.report.as_ref().is_some_and(is_report)
    }

    /// Handles an error from the walk. An unreadable folder is an error; a link to a parent folder is skipped.
    fn not_walked(&mut self, error: ignore::Error, place: &Path) -> Result<()> {
        match error {
            ignore::Error::WithDepth { err, .. } => self.not_walked(*err, place),
            ignore::Error::WithPath { path, err } if err.io_error().is_some() => self.not_walked(*err, &path),
            ignore::Error::Loop { ancestor, child } => {
                self.missed(&child);
                self.left_out.skip(&child, &format!("skipped: it links back to {}", ancestor.display()));
                Ok(())
            }
            ignore::Error::Io(error) => {
                if fs::metadata(place).is_err() {
                    self.missed(place);
                }
                // The error's text repeats the path, so keep only the kind.
                let error = error
                    .raw_os_error()
                    .map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error);
                Err(Error::io("read the directory", place, error).about(place.display().to_string()))
            }
            // The rules of a parent folder apply to the whole walk.
            error => {
                self.refused = Some(self.root.clone());
                Err(invalid_rules(&error, &self.root))
            }
        }
    }

    /// Counts an entry that the walk reported as an error instead of visiting it.
    fn missed(&self, path: &Path) {
        if let Some(name) = path.file_name() {
            self.left_out.counts.add(name, &self.selection, -1);
        }
    }
}

/// The error for a folder with invalid ignore rules. Continuing could upload a file that the rules are meant to
/// exclude.
fn invalid_rules(error: &ignore::Error, folder: &Path) -> Error {
    let first = match error {
        ignore::Error::Partial(errors) => errors.first().unwrap_or(error),
        error => error,
    };
    refused(Error::usage(first.to_string()), folder)
}

fn refused(error: Error, folder: &Path) -> Error {
    error
        .hint("correct the ignore rules, or upload without them: `--no-ignore`")
        .about(folder.display().to_string())
}

/// The path relative to `root`, with `/` between components.
fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace(MAIN_SEPARATOR, "/")
}

fn is_in_repository(folder: &Path) -> bool {
    fs::canonicalize(folder)
        .is_ok_and(|folder| folder.ancestors().any(|parent| parent.join(GIT_FOLDER).exists()))
}
