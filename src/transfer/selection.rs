//! The choice of local files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::filter::PathGlobs;

/// A file to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its path.
    pub path: PathBuf,
    /// Its name on the platform.
    pub name: String,
    /// Its size when it was found.
    pub size: u64,
}

/// The choice of files in folders.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Whether folders are walked at all.
    pub recursive: bool,
    /// Whether names are base names instead of paths relative to the argument.
    pub flat: bool,
    /// Whether symbolic links inside folders are followed.
    pub follow: bool,
    /// Whether hidden files are included.
    pub hidden: bool,
    /// Whether ignore files have no effect. Includes `.git`, too, if hidden files are included.
    pub no_ignore: bool,
    /// Whether `.gitignore` has an effect, besides `.haulignore`.
    pub gitignore: bool,
    /// The report of the command, which is never uploaded.
    pub report: Option<PathBuf>,
    /// Names to include; None for all.
    pub include: Option<PathGlobs>,
    /// Names of files and folders to exclude.
    pub exclude: Option<PathGlobs>,
    /// Names of folders to exclude at any depth: the exclude patterns whose only slash is at the end.
    pub exclude_folders: Option<PathGlobs>,
}

impl Selection {
    /// Restricts the selection to names that match `include`, if it is not empty, and do not match `exclude`. A pattern without a
    /// slash is also matched against the last component. A folder that matches `exclude` is not walked.
    pub fn with_globs(mut self, include: &[String], exclude: &[String]) -> Result<Self> {
        let folders = exclude.iter().filter_map(|pattern| pattern.strip_suffix('/'));
        let folders: Vec<_> = folders.filter(|name| !name.contains('/')).map(str::to_owned).collect();
        (self.include, self.exclude) = (globs(include)?, globs(exclude)?);
        self.exclude_folders = globs(&folders)?;
        Ok(self)
    }

    /// Whether the file at this relative path is selected.
    pub(super) fn wants(&self, relative: &str) -> bool {
        let hit = |globs: &PathGlobs| globs.is_match(relative) || globs.is_match(last(relative));
        self.include.as_ref().is_none_or(hit) && !self.exclude.as_ref().is_some_and(hit)
    }

    /// Whether the folder at this relative path is excluded.
    pub(super) fn prunes(&self, relative: &str) -> bool {
        let name = last(relative);
        // A pattern that matches the path followed by a slash, such as `sub/*`, matches everything below.
        let hit = |globs: &PathGlobs| {
            globs.is_match(relative) || globs.is_match(name) || globs.is_match(&format!("{relative}/"))
        };
        self.exclude.as_ref().is_some_and(hit)
            || self.exclude_folders.as_ref().is_some_and(|globs| globs.is_match(name))
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

/// The name of a path. Platforms accept only UTF-8 names.
pub(super) fn named(path: &Path, name: Option<&OsStr>) -> Result<String> {
    let name = name.ok_or_else(|| Error::usage(format!("{}: has no file name", path.display())))?;
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("{}: the name is not valid UTF-8", path.display()))
            .hint("choose another name: `--name NAME`")
            .about(path.display().to_string())
    })
}
