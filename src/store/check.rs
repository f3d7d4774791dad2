//! Compares the index of a store with its content and repairs as much as possible.
//!
//! Nothing is deleted except unreadable records: a damaged index is kept in a directory `damaged-TIME`, and content
//! without a record gets a new one.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::blobs::directory::{Directory, ignore_missing, is_name};
use super::index::sqlite::{self, FoundFile, Index};
use super::{Options, new_id};
use crate::error::{Error, Result};
use crate::hash::Hasher;
use crate::model::{Checksums, Clock, File, Warn};
use crate::source::{CHUNK, read_chunks};

/// The space for this machine's own files, in which content without a record is recovered.
const LOCAL: &str = "local";

/// A difference between the index and the content.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// The kind of difference.
    pub problem: Problem,
    /// The reason, or the part of a record that cannot be read.
    pub detail: Option<String>,
    /// The space that contains the file, such as `local` or `xai`.
    pub space: Option<String>,
    /// The file's record, as far as it can be read.
    pub file: File,
    /// The repair that was made.
    pub action: Option<Action>,
}

/// The kinds of differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Problem {
    /// The index cannot be used, or has an internal error.
    #[default]
    Index,
    /// A record cannot be read, or contradicts its content.
    Record,
    /// The content of a file is missing.
    Missing,
    /// Content does not match its checksum.
    Damaged,
    /// Content has no record.
    Orphaned,
}

/// The repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The index was built again, from the records that can be read and the content.
    Rebuilt,
    /// The columns that cannot be read were replaced with values from the content or with defaults.
    Mended,
    /// The record was removed.
    Removed,
    /// A record was created for the content.
    Recovered,
    /// Damaged content without a record was moved to the directory `damaged-TIME`.
    SetAside,
}

/// The counts from a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The number of records.
    pub files: u64,
    /// The number of findings.
    pub problems: u64,
    /// The number of findings that were not repaired.
    pub open: u64,
}

/// Checks the store in `root`, which must exist, and passes each finding to `report`. With `repair`, also repairs it.
pub fn check(
    root: &Path,
    options: &Options,
    repair: bool,
    report: &mut dyn FnMut(Finding) -> Result<()>,
) -> Result<Summary> {
    let lock = |directory: &fs::File| if repair { directory.try_lock() } else { Ok(()) };
    let _alone = super::lock(root, lock, || {
        Error::failed(format!("{}: another process is using the store", root.display()))
            .hint("stop the other process, such as `haul serve`, and try again")
    })?;
    let blobs = Directory { root: root.to_owned(), sync: true };
    let mut check = Check { blobs, clock: options.clock, repair, report, summary: Summary::default() };
    let path = root.join("index.sqlite");
    if !path.exists() && check.blobs.contents()?.is_empty() {
        return Err(Error::not_found(format!("{}: no store found", root.display())));
    }
    let index = match check.open().and_then(|index| Check::structure(&index).map(|()| index)) {
        Ok(index) => index,
        Err(error) if sqlite::is_unusable(&error, &path) => {
            let mut detail = error
                .message()
                .trim_start_matches(&*path.to_string_lossy())
                .trim_start_matches(": ")
                .to_owned();
            for cause in error.causes() {
                detail.extend([": ", &cause]);
            }
            let finding = Finding { detail: Some(detail), ..Finding::default() };
            if !repair {
                check.found(finding)?;
                return Ok(check.summary);
            }
            let recovered = check.rebuild(&path)?;
            check.found(Finding { action: Some(Action::Rebuilt), ..finding })?;
            for file in recovered {
                check.found(Finding {
                    problem: Problem::Orphaned,
                    file,
                    action: Some(Action::Recovered),
                    ..Finding::default()
                })?;
            }
            check.open()?
        }
        Err(error) => return Err(error),
    };
    check.records(&index)?;
    check.orphans(&index)?;
    Ok(check.summary)
}

struct Check<'a> {
    blobs: Directory,
    clock: Clock,
    repair: bool,
    report: &'a mut dyn FnMut(Finding) -> Result<()>,
    summary: Summary,
}

impl Check<'_> {
    fn open(&self) -> Result<Index> {
        Index::open(self.blobs.clone(), false, Warn::default())
    }

    fn found(&mut self, finding: Finding) -> Result<()> {
        self.summary.problems += 1;
        self.summary.open += u64::from(finding.action.is_none());
        (self.report)(finding)
    }

    /// Reads every page of the index.
    fn structure(index: &Index) -> Result<()> {
        let problems = index.inspect(|tables| {
            let problems = tables.structure()?;
            tables.each_file(&mut |_| Ok(()))?;
            Ok(problems)
        })?;
        match problems.as_slice() {
            [] => Ok(()),
            [first, ..] => Err(index.damaged(first)),
        }
    }

    /// The directory for damaged files.
    fn aside(&self) -> Result<PathBuf> {
        let time = self.clock.now().strftime("%Y%m%dT%H%M%S%fZ");
        let aside = self.blobs.root.join(format!("damaged-{time}"));
        fs::create_dir_all(&aside).map_err(|error| Error::io("create", &aside, error))?;
        Ok(aside)
    }

    /// Moves the index away and builds a new one from the readable records. Returns the files that were created for
    /// content whose record was lost.
    fn rebuild(&self, path: &Path) -> Result<Vec<File>> {
        let root = &self.blobs.root;
        let (aside, build) = (self.aside()?, root.join("rebuild"));
        let moved = |error: io::Error| Error::io("write", &aside, error);
        let log = sqlite::log_of(path);
        // SQLite modifies the files that it opens, so a copy is read.
        for (from, name) in [(path, "index.sqlite"), (log.as_path(), "index.sqlite-wal")] {
            if from.exists() {
                for copy in [name.to_owned(), format!("read-{name}")] {
                    fs::copy(from, aside.join(copy)).map_err(moved)?;
                }
            }
        }
        ignore_missing(fs::remove_dir_all(&build)).map_err(|error| Error::io("remove", &build, error))?;
        let rebuilt = Index::open(Directory { root: build.clone(), sync: true }, false, Warn::default())?;
        rebuilt.write(|rows| sqlite::salvage(&aside.join("read-index.sqlite"), rows))?;
        // Closing the index moves its log into the file.
        drop(rebuilt);
        for name in ["read-index.sqlite", "read-index.sqlite-wal", "read-index.sqlite-shm"] {
            let _ = fs::remove_file(aside.join(name));
        }
        let replaced = || {
            // The log of the damaged index does not belong to the new one.
            for name in ["generation", "index.sqlite-wal", "index.sqlite-shm"] {
                ignore_missing(fs::remove_file(root.join(name)))?;
            }
            fs::rename(build.join("index.sqlite"), path)?;
            fs::remove_dir_all(&build)
        };
        replaced().map_err(|error| Error::io("replace", path, error))?;
        // Content whose record was lost needs a record before the index is opened, because opening rejects content
        // without any record.
        let index = Index::open_rebuilt(self.blobs.clone())?;
        let mut recovered = Vec::new();
        for sha256 in BTreeSet::from_iter(self.blobs.contents()?) {
            if index.read(|rows| rows.refers_to(&sha256))? {
                continue;
            }
            if let Ok(content) = Content::read(&self.blobs, &sha256) {
                recovered.extend(self.recover(&index, &sha256, content)?);
            }
        }
        Ok(recovered)
    }

    /// Compares each record with its content.
    fn records(&mut self, index: &Index) -> Result<()> {
        let mut last: Option<(String, Result<Content, Problem>)> = None;
        let mut findings = Vec::new();
        let mut files = 0;
        let blobs = &self.blobs;
        index.inspect(|tables| {
            tables.each_file(&mut |found: FoundFile| {
                files += 1;
                let sha256 = found.file.checksums.sha256.clone().unwrap_or_default();
                if last.as_ref().is_none_or(|(of, _)| *of != sha256) {
                    last = Some((sha256.clone(), Content::read(blobs, &sha256)));
                }
                let Some((_, content)) = &last else { return Ok(()) };
                match content {
                    Ok(_) if found.damaged.is_some() => {
                        findings.push((found, Problem::Record, content.clone().ok()));
                    }
                    Err(problem) if found.damaged.is_some() => {
                        findings.push((FoundFile { damaged: None, ..found.clone() }, *problem, None));
                        findings.push((found, Problem::Record, None));
                    }
                    Ok(content) if !content.is_of(&found.file) => {
                        let damaged = Some("checksums".to_owned());
                        findings.push((
                            FoundFile { damaged, ..found },
                            Problem::Record,
                            Some(content.clone()),
                        ));
                    }
                    Ok(_) => {}
                    Err(problem) => findings.push((found, *problem, None)),
                }
                Ok(())
            })
        })?;
        self.summary.files = files;
        for (found, problem, content) in findings {
            // The record may have changed while its content was being read.
            if problem != Problem::Record && !self.is_still(index, &found, problem)? {
                continue;
            }
            let action = match problem {
                Problem::Record if self.repair => Some(self.mend(index, &found, content)?),
                _ => None,
            };
            let FoundFile { space, file, damaged, .. } = found;
            self.found(Finding { problem, detail: damaged, space: Some(space), file, action })?;
        }
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is bound to one lifetime")]
        let notes = index.inspect(|tables| tables.damaged_notes())?;
        for (seq, space, key) in notes {
            if self.repair {
                index.mend(|tables| tables.remove_note(seq))?;
            }
            self.found(Finding {
                problem: Problem::Record,
                detail: Some(format!("note {key}")),
                space: Some(space),
                action: self.repair.then_some(Action::Removed),
                ..Finding::default()
            })?;
        }
        Ok(())
    }

    fn is_still(&self, index: &Index, found: &FoundFile, problem: Problem) -> Result<bool> {
        let now = index.read(|rows| rows.content_of(&found.space, &found.file.id))?;
        let sha256 = found.file.checksums.sha256.as_deref().unwrap_or_default();
        let same = now.as_deref() == Some(sha256);
        Ok(same && Content::read(&self.blobs, sha256).err() == Some(problem))
    }

    /// Replaces unreadable columns with values from the content or with defaults. A record whose checksums are
    /// unknown is removed.
    fn mend(&self, index: &Index, found: &FoundFile, content: Option<Content>) -> Result<Action> {
        let mut file = found.file.clone();
        let known = file.checksums.sha256.as_deref().is_some_and(is_name);
        if file.id.as_str().is_empty() {
            file.id = new_id(self.clock.now(), None);
        }
        if let Some(content) = content {
            file.size = Some(content.size);
            file.checksums = Checksums { md5: file.checksums.md5, ..content.checksums };
        }
        let is_complete = known && file.checksums.blake3.is_some();
        let sha256 = file.checksums.sha256.clone().unwrap_or_default();
        index.mend(|tables| {
            tables.remove_row(found.seq)?;
            let rows = tables.rows();
            if is_complete && !rows.insert(&found.space, &file, &sha256)? {
                file.id = new_id(self.clock.now(), None);
                rows.insert(&found.space, &file, &sha256)?;
            }
            Ok(if is_complete { Action::Mended } else { Action::Removed })
        })
    }

    /// Finds content without a record, except content marked by a change in progress.
    fn orphans(&mut self, index: &Index) -> Result<()> {
        for sha256 in BTreeSet::from_iter(self.blobs.settled()?) {
            if index.read(|rows| rows.refers_to(&sha256))? {
                continue;
            }
            let (problem, content) = match Content::read(&self.blobs, &sha256) {
                Ok(content) => (Problem::Orphaned, Some(content)),
                Err(Problem::Missing) => continue,
                Err(problem) => (problem, None),
            };
            let size = content.as_ref().map(|content| content.size);
            let recovered = match content.filter(|_| self.repair) {
                Some(content) => self.recover(index, &sha256, content)?,
                None => None,
            };
            let mut action = recovered.as_ref().map(|_| Action::Recovered);
            if self.repair && problem == Problem::Damaged {
                let aside = self.aside()?.join(&sha256);
                fs::rename(self.blobs.blob(&sha256), &aside)
                    .map_err(|error| Error::io("write", &aside, error))?;
                action = Some(Action::SetAside);
            }
            let file = recovered.unwrap_or_else(|| File {
                size,
                checksums: Checksums { sha256: Some(sha256.clone()), ..Checksums::default() },
                ..File::default()
            });
            self.found(Finding { problem, file, action, ..Finding::default() })?;
        }
        Ok(())
    }

    /// Creates a record for content that was just read, unless it now has a record or has been removed.
    fn recover(&self, index: &Index, sha256: &str, content: Content) -> Result<Option<File>> {
        let path = self.blobs.blob(sha256);
        let written = fs::metadata(&path).and_then(|found| found.modified()).ok();
        let created =
            written.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(|| self.clock.now());
        let mut file = File {
            provider: LOCAL.to_owned(),
            profile: LOCAL.to_owned(),
            id: new_id(created, None),
            name: format!("recovered-{}", &sha256[..12]),
            size: Some(content.size),
            created_at: Some(created),
            checksums: content.checksums,
            downloadable: Some(true),
            ..File::default()
        };
        super::in_microseconds(&mut file)?;
        // Content is removed only in a write transaction.
        let inserted = index.write(|rows| {
            Ok(path.exists() && !rows.refers_to(sha256)? && rows.insert(LOCAL, &file, sha256)?)
        })?;
        Ok(inserted.then_some(file))
    }
}

/// The size and checksums of content that matches its name.
#[derive(Clone)]
struct Content {
    size: u64,
    checksums: Checksums,
}

impl Content {
    fn read(blobs: &Directory, sha256: &str) -> Result<Self, Problem> {
        let file = blobs.open(sha256).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            _ => Problem::Damaged,
        })?;
        let (mut hashers, mut size) = ([Hasher::sha256(), Hasher::blake3()], 0);
        let damaged = |_: io::Error| Problem::Damaged;
        read_chunks(file, CHUNK, damaged, |chunk| {
            size += chunk.len() as u64;
            for hasher in &mut hashers {
                hasher.update(chunk);
            }
            Ok(())
        })?;
        let [sha, blake] = hashers.map(Hasher::finish);
        let checksums = Checksums { blake3: blake.blake3, ..sha };
        if checksums.sha256.as_deref() != Some(sha256) {
            return Err(Problem::Damaged);
        }
        Ok(Self { size, checksums })
    }

    fn is_of(&self, file: &File) -> bool {
        file.size == Some(self.size) && file.checksums.blake3 == self.checksums.blake3
    }
}
