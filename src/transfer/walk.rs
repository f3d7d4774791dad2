//! Walks a folder, applying the rules that exclude files.

mod rules;

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ignore::Match;

use super::part;
use super::selection::{Planned, Selection, named};
use super::special::refuse_special;
use crate::error::{Error, Result};
use crate::files;
use rules::Rules;

/// The name of the lock file for a synchronized folder.
const LOCK_FILE: &str = "haul.lock";
const GIT_FOLDER: &str = ".git";

/// Notes about files that a walk leaves out. Clones share their counts.
#[derive(Clone)]
pub struct LeftOut {
    say: Rc<dyn Fn(&str)>,
    counts: Arc<Counts>,
}

/// Numbers of entries that were left out because they are hidden or ignored.
#[derive(Debug, Default)]
struct Counts {
    hidden: AtomicU64,
    ignored: AtomicU64,
    /// Whether a folder was walked.
    folders: AtomicBool,
}

impl Counts {
    fn add(&self, name: &OsStr, selection: &Selection) {
        let count = if is_hidden(name, selection) { &self.hidden } else { &self.ignored };
        count.fetch_add(1, Ordering::Relaxed);
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
            [&self.counts.hidden, &self.counts.ignored].map(|count| count.load(Ordering::Relaxed));
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

/// The files below `root`, found lazily and sorted by name. Each folder is read once.
pub(super) fn walk(
    root: &Path,
    selection: &Selection,
    left_out: LeftOut,
) -> impl Iterator<Item = Result<Planned>> + use<> {
    let mut walk = Walk {
        root: root.to_owned(),
        selection: selection.clone(),
        report: selection.report.as_deref().and_then(|report| fs::canonicalize(report).ok()),
        left_out,
        rules: Rules::off(),
        folders: Vec::new(),
    };
    let mut is_started = false;
    std::iter::from_fn(move || {
        if !std::mem::replace(&mut is_started, true)
            && let Err(error) = walk.start()
        {
            return Some(Err(error));
        }
        walk.next_file().transpose()
    })
}

/// A walk in progress.
struct Walk {
    root: PathBuf,
    selection: Selection,
    /// The canonical path of the command's report.
    report: Option<PathBuf>,
    left_out: LeftOut,
    /// The rules of the folders.
    rules: Rules,
    /// The folders from the root to the current one.
    folders: Vec<Folder>,
}

/// A folder and the entries that have not been visited yet, sorted by name.
struct Folder {
    path: PathBuf,
    entries: std::vec::IntoIter<(OsString, FileType)>,
}

impl Walk {
    fn start(&mut self) -> Result<()> {
        let root = self.root.clone();
        if !self.selection.no_ignore {
            let rules = Rules::above(&root, self.selection.gitignore);
            self.rules = rules.map_err(|error| error.about(root.display().to_string()))?;
        }
        self.enter(root)
    }

    fn next_file(&mut self) -> Result<Option<Planned>> {
        while let Some(folder) = self.folders.last_mut() {
            let Some((name, kind)) = folder.entries.next() else {
                self.folders.pop();
                self.rules.leave();
                continue;
            };
            let path = folder.path.join(&name);
            if let Some(file) = self.visit(path, &name, kind)? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn visit(&mut self, path: PathBuf, name: &OsStr, kind: FileType) -> Result<Option<Planned>> {
        let followed = (kind.is_symlink() && self.selection.follow).then(|| fs::metadata(&path));
        let is_folder = match &followed {
            Some(found) => found.as_ref().is_ok_and(fs::Metadata::is_dir),
            None => kind.is_dir(),
        };
        if self.is_left_out(&path, name, is_folder) {
            self.left_out.counts.add(name, &self.selection);
            return Ok(None);
        }
        let shown = relative(&path, &self.root);
        if is_folder {
            if self.selection.prunes(&shown) {
                return Ok(None);
            }
            if let Some(ancestor) = followed.and_then(|_| self.ancestor_at(&path)) {
                let why = format!("skipped: it links back to {}", ancestor.display());
                self.left_out.skip(&path, &why);
                return Ok(None);
            }
            return self.enter(path).map(|()| None);
        }
        if kind.is_symlink() && followed.is_none() {
            self.left_out.skip(&path, "symbolic link skipped; to follow links: `--follow`");
            return Ok(None);
        }
        if self.is_output(&path, name, kind) || !self.selection.wants(&shown) {
            return Ok(None);
        }
        let found = followed.unwrap_or_else(|| fs::symlink_metadata(&path)).map_err(|error| {
            Error::io("read the metadata", &path, error).about(path.display().to_string())
        })?;
        if !found.is_file() {
            self.left_out.skip(&path, "skipped: not a regular file");
            return Ok(None);
        }
        let name = if self.selection.flat {
            named(&path, Some(name))
        } else {
            named(&path, Some(path.strip_prefix(&self.root).unwrap_or(&path).as_os_str()))
        };
        let name = name?.replace(MAIN_SEPARATOR, "/");
        refuse_special(&path, &found, &self.selection.command, Some(&name))?;
        Ok(Some(Planned { path, name, size: found.len() }))
    }

    /// Reads a folder and its ignore rules. No file in a folder with invalid rules is uploaded.
    fn enter(&mut self, path: PathBuf) -> Result<()> {
        let about = |error: Error| error.about(path.display().to_string());
        let entries =
            entries_of(&path).map_err(|error| about(Error::io("read the directory", &path, error)))?;
        let has =
            |name: &str| entries.binary_search_by(|(own, _)| own.as_os_str().cmp(name.as_ref())).is_ok();
        let below = path.strip_prefix(&self.root).unwrap_or(&path);
        self.rules.enter(&path, below, has).map_err(about)?;
        self.left_out.counts.folders.store(true, Ordering::Relaxed);
        if self.selection.has_unmatched() {
            for (name, kind) in &entries {
                self.selection.note(&relative(&path.join(name), &self.root), kind.is_dir());
            }
        }
        self.folders.push(Folder { path, entries: entries.into_iter() });
        Ok(())
    }

    /// Whether the entry is hidden or ignored. A rule can include a hidden file.
    fn is_left_out(&self, path: &Path, name: &OsStr, is_folder: bool) -> bool {
        if name == GIT_FOLDER && !self.selection.no_ignore {
            return true;
        }
        match self.rules.matched(path.strip_prefix(&self.root).unwrap_or(path), is_folder) {
            Match::Ignore(()) => true,
            Match::Whitelist(()) => false,
            Match::None => is_hidden(name, &self.selection),
        }
    }

    /// The folder of this walk that a link leads back to.
    fn ancestor_at(&self, link: &Path) -> Option<&Path> {
        let target = fs::canonicalize(link).ok()?;
        let mut folders = self.folders.iter().map(|folder| folder.path.as_path());
        folders.find(|folder| fs::canonicalize(folder).is_ok_and(|folder| folder == target))
    }

    /// Whether haul wrote the file: the command's report, a lock file, a temporary file or a partial download.
    fn is_output(&self, path: &Path, name: &OsStr, kind: FileType) -> bool {
        let is_report = |report: &PathBuf| {
            (kind.is_symlink() || report.file_name() == Some(name))
                && fs::canonicalize(path).is_ok_and(|path| path == *report)
        };
        name == LOCK_FILE
            || files::is_temporary(name)
            || part::is_own(path)
            || self.report.as_ref().is_some_and(is_report)
    }
}

/// The entries of a folder, sorted by name.
fn entries_of(folder: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.and_then(|e| Ok((e.file_name(), e.file_type()?))));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// Whether the selection leaves out files with this name because they are hidden.
fn is_hidden(name: &OsStr, selection: &Selection) -> bool {
    !selection.hidden && name.as_encoded_bytes().starts_with(b".")
}

/// The path relative to `root`, with `/` between components.
fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace(MAIN_SEPARATOR, "/")
}
