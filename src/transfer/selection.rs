//! The rules that select the local files to upload.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result, word};
use crate::filter::PathGlobs;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The file's path.
    pub path: PathBuf,
    /// The file's name on the platform.
    pub name: String,
    /// The file's size when it was found.
    pub size: u64,
}

/// Which files in folders are selected.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The command in hints, such as `haul upload -p xai`.
    pub command: String,
    /// Whether to walk folders at all.
    pub recursive: bool,
    /// Whether to use base names instead of paths relative to the argument.
    pub flat: bool,
    /// Whether to follow symbolic links inside folders.
    pub follow: bool,
    /// Whether to include hidden files.
    pub hidden: bool,
    /// Whether to disregard ignore files. Together with `hidden`, this also includes `.git`.
    pub no_ignore: bool,
    /// Whether to respect `.gitignore` in addition to `.haulignore`.
    pub gitignore: bool,
    /// The command's report, which is never uploaded.
    pub report: Option<PathBuf>,
    /// The names to include; `None` for all.
    pub include: Option<PathGlobs>,
    /// The names of files and folders to exclude.
    pub exclude: Option<PathGlobs>,
    /// The names of folders to exclude at any depth, from exclude patterns whose only slash is at the end.
    pub exclude_folders: Option<PathGlobs>,
    /// The individual patterns. Clones of the selection share the record of which patterns have matched.
    pub patterns: Arc<[Pattern]>,
}

/// A pattern given in an option, and whether it has matched a file or folder.
#[derive(Debug)]
pub struct Pattern {
    /// The option with the pattern, quoted for a shell.
    text: String,
    rule: Rule,
    matched: AtomicBool,
}

/// The part of a selection that one pattern decides.
#[derive(Debug)]
enum Rule {
    Include(Selection),
    Exclude(Selection),
}

impl Selection {
    /// Restricts the selection to names that match `include`, unless it is empty, and do not match `exclude`. A
    /// pattern without a slash is also matched against the last component. A folder that matches `exclude` is not
    /// walked.
    pub fn with_globs(self, include: &[String], exclude: &[String]) -> Result<Self> {
        let mut patterns = Vec::new();
        for pattern in include.iter().map(std::slice::from_ref) {
            let rule = Rule::Include(Self::default().matching(pattern, &[])?);
            patterns.push(Pattern::new("--include", &pattern[0], rule));
        }
        for pattern in exclude.iter().map(std::slice::from_ref) {
            let rule = Rule::Exclude(Self::default().matching(&[], pattern)?);
            patterns.push(Pattern::new("--exclude", &pattern[0], rule));
        }
        Ok(Self { patterns: patterns.into(), ..self.matching(include, exclude)? })
    }

    fn matching(mut self, include: &[String], exclude: &[String]) -> Result<Self> {
        let folders = exclude.iter().filter_map(|pattern| pattern.strip_suffix('/'));
        let folders: Vec<_> = folders.filter(|name| !name.contains('/')).map(str::to_owned).collect();
        (self.include, self.exclude) = (globs(include)?, globs(exclude)?);
        self.exclude_folders = globs(&folders)?;
        Ok(self)
    }

    /// Whether a pattern has matched nothing so far.
    pub(super) fn has_unmatched(&self) -> bool {
        self.patterns.iter().any(|pattern| !pattern.is_matched())
    }

    /// The options whose patterns have matched no [noted](Self::note) entry.
    pub(super) fn unmatched(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter(|pattern| !pattern.is_matched()).map(|pattern| pattern.text.as_str())
    }

    /// Marks the patterns that match this entry of a folder.
    pub(super) fn note(&self, relative: &str, is_folder: bool) {
        for pattern in self.patterns.iter().filter(|pattern| !pattern.is_matched()) {
            let is_match = match &pattern.rule {
                Rule::Include(rule) => !is_folder && rule.wants(relative),
                Rule::Exclude(rule) if is_folder => rule.prunes(relative),
                Rule::Exclude(rule) => !rule.wants(relative),
            };
            if is_match {
                pattern.matched.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Whether the file at this relative path is selected.
    pub(super) fn wants(&self, relative: &str) -> bool {
        let hit = |globs: &PathGlobs| globs.is_match(relative) || globs.is_match(last(relative));
        self.include.as_ref().is_none_or(hit) && !self.exclude.as_ref().is_some_and(hit)
    }

    /// Whether a walk with these patterns would select a file at this relative path, apart from ignore files.
    pub fn selects(&self, relative: &str) -> bool {
        let mut folders = relative.match_indices('/').map(|(end, _)| &relative[..end]);
        let is_hidden = || relative.split('/').any(|part| part.starts_with('.'));
        (self.hidden || !is_hidden()) && !folders.any(|folder| self.prunes(folder)) && self.wants(relative)
    }

    /// Whether the folder at this relative path is excluded.
    pub(super) fn prunes(&self, relative: &str) -> bool {
        let name = last(relative);
        // A pattern that matches the path followed by a slash, such as `sub/*`, matches everything in the folder.
        let hit = |globs: &PathGlobs| {
            globs.is_match(relative) || globs.is_match(name) || globs.is_match(&format!("{relative}/"))
        };
        self.exclude.as_ref().is_some_and(hit)
            || self.exclude_folders.as_ref().is_some_and(|globs| globs.is_match(name))
    }
}

impl Pattern {
    fn new(option: &str, pattern: &str, rule: Rule) -> Self {
        Self { text: format!("{option} {}", word(pattern)), rule, matched: AtomicBool::new(false) }
    }

    fn is_matched(&self) -> bool {
        self.matched.load(Ordering::Relaxed)
    }
}

/// The last component of a relative path.
fn last(relative: &str) -> &str {
    relative.rsplit('/').next().unwrap_or(relative)
}

fn globs(patterns: &[String]) -> Result<Option<PathGlobs>> {
    let globs = (!patterns.is_empty()).then(|| PathGlobs::new(patterns));
    globs.transpose().map_err(Error::usage)
}

/// Converts `name` to text, because platforms accept only UTF-8 names. `path` is the file's path for errors.
pub(super) fn named(path: &Path, name: Option<&OsStr>) -> Result<String> {
    let name = name.ok_or_else(|| Error::usage(format!("{}: has no file name", path.display())))?;
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("{}: the name is not valid UTF-8", path.display()))
            .hint("choose another name: `--name NAME`")
            .about(path.display().to_string())
    })
}
