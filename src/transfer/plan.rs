//! Which files of this machine go up, and under which names.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::error::{Error, Result, word};
use crate::filter::PathGlobs;

/// A file that is to go up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Where it is.
    pub path: PathBuf,
    /// The name it gets.
    pub name: String,
    /// Its size when it was found.
    pub size: u64,
}

/// How folders are walked.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Whether folders are walked at all.
    pub recursive: bool,
    /// Whether names are base names instead of paths relative to the argument.
    pub flat: bool,
    /// Whether symbolic links inside folders are followed.
    pub follow: bool,
    /// Names wanted; None for all.
    pub include: Option<PathGlobs>,
    /// Names not wanted.
    pub exclude: Option<PathGlobs>,
}

impl Selection {
    /// Restricts it to names that match one of `include` (all, if it is empty) and none of `exclude`. A pattern without a
    /// slash is also matched against the last component.
    pub fn with_globs(mut self, include: &[String], exclude: &[String]) -> Result<Self> {
        (self.include, self.exclude) = (globs(include)?, globs(exclude)?);
        Ok(self)
    }

    fn wants(&self, relative: &str) -> bool {
        let base = relative.rsplit('/').next().unwrap_or(relative);
        let hit = |globs: &PathGlobs| globs.is_match(relative) || globs.is_match(base);
        self.include.as_ref().is_none_or(hit) && !self.exclude.as_ref().is_some_and(hit)
    }
}

fn globs(patterns: &[String]) -> Result<Option<PathGlobs>> {
    let globs = (!patterns.is_empty()).then(|| PathGlobs::new(patterns));
    globs.transpose().map_err(Error::usage)
}

/// The files of one argument, found lazily. `skipped` is called with each link that is not followed and the reason.
pub fn plan(
    argument: &Path,
    selection: &Selection,
    skipped: impl Fn(&Path, &str) + 'static,
) -> Box<dyn Iterator<Item = Result<Planned>>> {
    let found = match fs::metadata(argument) {
        Ok(found) => found,
        Err(error) => {
            return once(Err(
                Error::io("read the metadata", argument, error).about(argument.display().to_string())
            ));
        }
    };
    if found.is_dir() && !selection.recursive {
        return once(Err(Error::usage(format!("{}: is a directory", argument.display()))
            .hint(format!("add `-r`: `haul upload -r {}`", word(&argument.to_string_lossy())))
            .about(argument.display().to_string())));
    }
    if let Err(error) = refuse_special(argument, &found) {
        return once(Err(error));
    }
    if !found.is_dir() {
        return once(named(argument, argument.file_name()).map(|name| Planned {
            path: argument.to_owned(),
            name,
            size: found.len(),
        }));
    }
    let (root, selection) = (argument.to_owned(), selection.clone());
    let walk = WalkBuilder::new(argument)
        .standard_filters(false)
        .follow_links(selection.follow)
        .sort_by_file_name(OsStr::cmp)
        .build();
    Box::new(walk.filter_map(move |entry| file_of(entry, &root, &selection, &skipped).transpose()))
}

/// Refuses anything but files and folders: reading a pipe or a device may block or never end, and cannot be repeated.
pub fn refuse_special(path: &Path, found: &fs::Metadata) -> Result<()> {
    if found.is_file() || found.is_dir() {
        return Ok(());
    }
    let shown = path.display();
    Err(Error::usage(format!("{shown}: is a pipe or a device, not a file"))
        .hint(format!("`haul upload - --name NAME < {}`", word(&path.to_string_lossy())))
        .about(shown.to_string()))
}

fn file_of(
    entry: std::result::Result<ignore::DirEntry, ignore::Error>,
    root: &Path,
    selection: &Selection,
    skipped: &impl Fn(&Path, &str),
) -> Result<Option<Planned>> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => return not_walked(error, root, skipped).map(|()| None),
    };
    let Some(kind) = entry.file_type() else { return Ok(None) };
    if kind.is_symlink() {
        skipped(entry.path(), "symbolic link skipped; to follow links: `--follow`");
        return Ok(None);
    }
    if !kind.is_file() {
        return Ok(None);
    }
    let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let name = if selection.flat {
        named(entry.path(), entry.path().file_name())
    } else {
        named(entry.path(), Some(relative.as_os_str()))
    };
    let name = match name {
        Ok(name) => name,
        Err(error) if selection.wants(&relative.to_string_lossy()) => return Err(error),
        Err(_) => return Ok(None),
    };
    let name = name.replace(std::path::MAIN_SEPARATOR, "/");
    if !selection.wants(&relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")) {
        return Ok(None);
    }
    let found =
        entry.metadata().map_err(|error| Error::failed(format!("{}: {error}", entry.path().display())))?;
    Ok(Some(Planned { path: entry.path().to_owned(), name, size: found.len() }))
}

/// Handles an error of the walk. A folder that cannot be read is an error; a link back to a parent folder is skipped.
fn not_walked(error: ignore::Error, place: &Path, skipped: &impl Fn(&Path, &str)) -> Result<()> {
    match error {
        ignore::Error::WithDepth { err, .. } => not_walked(*err, place, skipped),
        ignore::Error::WithPath { path, err } => not_walked(*err, &path, skipped),
        ignore::Error::Loop { ancestor, child } => {
            skipped(&child, &format!("skipped: it links back to {}", ancestor.display()));
            Ok(())
        }
        ignore::Error::Io(error) => {
            // Its text repeats the path; the kind of error is enough.
            let error =
                error.raw_os_error().map_or_else(|| error.kind().into(), std::io::Error::from_raw_os_error);
            Err(Error::io("read the directory", place, error))
        }
        error => Err(Error::failed(format!("{}: cannot be read", place.display())).caused_by(error)),
    }
    .map_err(|error: Error| error.about(place.display().to_string()))
}

/// The name of a path. Platforms accept only UTF-8 names.
fn named(path: &Path, name: Option<&OsStr>) -> Result<String> {
    let name = name.ok_or_else(|| Error::usage(format!("{}: has no file name", path.display())))?;
    name.to_str().map(str::to_owned).ok_or_else(|| {
        Error::usage(format!("{}: the name is not valid UTF-8", path.display()))
            .hint("choose another name: `--name NAME`")
            .about(path.display().to_string())
    })
}

fn once(result: Result<Planned>) -> Box<dyn Iterator<Item = Result<Planned>>> {
    Box::new(std::iter::once(result))
}
