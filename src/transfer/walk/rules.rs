//! The rules of ignore files.

use std::fs;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::GIT_FOLDER;
use crate::error::{Error, Result};

/// The name of files that contain ignore rules for uploads.
const IGNORE_FILE: &str = ".haulignore";
const GIT_IGNORE_FILE: &str = ".gitignore";

/// The rules that apply to a folder: its own and those of the folders above it.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The canonical path of the root.
    root: PathBuf,
    /// Whether `.gitignore` files apply.
    git: bool,
    /// Whether `.gitignore` rules end at the root of a repository.
    has_borders: bool,
    /// The folders above the root, the nearest first.
    above: Vec<FolderRules>,
    /// The folders from the root to the current one.
    below: Vec<FolderRules>,
    is_off: bool,
}

/// The rules of one folder.
#[derive(Debug)]
struct FolderRules {
    own: Option<Gitignore>,
    git: Option<Gitignore>,
    is_repository: bool,
}

impl Rules {
    /// Reads the rules of the folders above `root`.
    pub fn above(root: &Path, git: bool) -> Result<Self> {
        let root = fs::canonicalize(root).map_err(|error| Error::io("read the directory", root, error))?;
        // Inside a repository, rules from outside it do not apply. Elsewhere, for example in an unpacked archive, all
        // rules apply.
        let has_borders = git && root.ancestors().any(|folder| folder.join(GIT_FOLDER).exists());
        let mut rules = Self { root, git, has_borders, ..Self::default() };
        for folder in rules.root.ancestors().skip(1) {
            let read = rules.read(folder, folder, |name| folder.join(name).exists())?;
            rules.above.push(read);
        }
        Ok(rules)
    }

    /// Rules that exclude nothing.
    pub fn off() -> Self {
        Self { is_off: true, ..Self::default() }
    }

    /// Reads the rules of a folder in the current one. `has` returns whether the folder contains an entry with a name.
    pub fn enter(&mut self, folder: &Path, relative: &Path, has: impl Fn(&str) -> bool) -> Result<()> {
        if !self.is_off {
            let rules = self.read(folder, &self.root.join(relative), has)?;
            self.below.push(rules);
        }
        Ok(())
    }

    /// Returns to the folder above the current one.
    pub fn leave(&mut self) {
        self.below.pop();
    }

    /// The rule for an entry of the current folder, by its path relative to the root.
    pub fn matched(&self, relative: &Path, is_folder: bool) -> Match<()> {
        let levels = || self.below.iter().rev().chain(&self.above);
        if levels().all(|level| level.own.is_none() && level.git.is_none()) {
            return Match::None;
        }
        let path = self.root.join(relative);
        let matched = |rules: &Option<Gitignore>| match rules {
            Some(rules) => rules.matched(&path, is_folder).map(|_| ()),
            None => Match::None,
        };
        let (mut git, mut is_outside) = (Match::None, false);
        for level in levels() {
            let own = matched(&level.own);
            if !own.is_none() {
                return own;
            }
            if git.is_none() && !is_outside {
                git = matched(&level.git);
            }
            is_outside |= level.is_repository;
        }
        git
    }

    /// Reads the ignore files in `folder`, whose canonical path is `root`.
    fn read(&self, folder: &Path, root: &Path, has: impl Fn(&str) -> bool) -> Result<FolderRules> {
        let read = |name| if has(name) { parse(&folder.join(name), root).map(Some) } else { Ok(None) };
        Ok(FolderRules {
            own: read(IGNORE_FILE)?,
            git: if self.git { read(GIT_IGNORE_FILE)? } else { None },
            is_repository: self.has_borders && (has(GIT_FOLDER) || has(".jj")),
        })
    }
}

/// Parses an ignore file. Continuing after an error could upload a file that the rules are meant to exclude.
fn parse(path: &Path, root: &Path) -> Result<Gitignore> {
    let hint = "correct the ignore rules, or upload without them: `--no-ignore`";
    let text = fs::read_to_string(path)
        .map_err(|error| Error::io("read the ignore rules", path, error).hint(hint))?;
    let mut rules = GitignoreBuilder::new(root);
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        rules.add_line(None, line).map_err(|error| {
            Error::usage(format!("{}: line {}: {error}", path.display(), index + 1)).hint(hint)
        })?;
    }
    rules.build().map_err(|error| Error::usage(format!("{}: {error}", path.display())).hint(hint))
}
