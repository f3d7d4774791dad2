//! `haul gc`

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::stream;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batch::{self, BatchArgs, JobsArgs, Labels};
use super::report::{Entry, Outcome, Reported};
use super::select::{combine, duration};
use super::upload::ledger_of;
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::files;
use crate::human;
use crate::model::{File, FileId};
use crate::providers::{Listing, Op, Provider, Query, require, require_stated};
use crate::sync::Lock;
use crate::transfer::Ledger;
use crate::ui::Columns;

/// The arguments of `haul gc`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul gc --older 30d\n  \
    haul gc xai: --duplicates --yes\n  \
    haul gc openai: --unlocked --older 7d --yes\n  \
    haul gc --keep 3 --plan plan.json && haul gc --apply plan.json\n\n\
    A file is deleted only if it meets all criteria. Files in a lock file, files younger than --min-age and files that a \
    vector store uses are never deleted. --unlocked also keeps files that haul did not upload, unless --foreign is given.")]
pub struct GcArgs {
    /// The profile, as `PROFILE:` [default: the current profile]
    #[arg(value_name = "PROFILE:")]
    target: Option<String>,
    /// Files created more than this time ago, such as 30d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    older: Option<String>,
    /// All but one of the files with the same name, size and checksums
    #[arg(long)]
    duplicates: bool,
    /// Files that are not in a lock file
    #[arg(long)]
    unlocked: bool,
    /// Files that match this expression (`haul help filters`)
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    filter: Option<String>,
    /// All but the newest N files of each name
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Lock files whose files are never deleted, in addition to the nearest haul.lock
    #[arg(long, value_name = "FILE")]
    lock: Vec<PathBuf>,
    /// Never delete files younger than this
    #[arg(long, value_name = "TIME", default_value = "24h", allow_hyphen_values = true)]
    min_age: String,
    /// With --unlocked, include files that haul did not upload
    #[arg(long, requires = "unlocked")]
    foreign: bool,
    /// Delete the files; without --yes or --apply they are only listed
    #[arg(short, long)]
    yes: bool,
    /// Write a plan of what to delete to this file, and delete nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["yes", "apply"])]
    plan: Option<PathBuf>,
    /// Delete the files listed in this plan (see --plan), except those that have changed
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["target", "older", "duplicates", "unlocked", "filter", "keep"]
    )]
    apply: Option<PathBuf>,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// A criterion that a file meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Reason {
    /// It is older than `--older`.
    Old,
    /// Another file with the same name, size and checksums is kept.
    Duplicate,
    /// It is in no lock file.
    Unlocked,
    /// It matches `--filter`.
    Filter,
    /// Enough newer files have its name.
    Superseded,
}

pub(super) const COLUMNS: Columns = Columns {
    all: &["profile", "id", "name", "size", "created_at", "reasons", "deleted"],
    shown: &["id", "name", "size", "created_at", "reasons", "deleted"],
    piped: None,
};

/// A file that `haul gc` selects.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "collected_file")]
pub(super) struct Row {
    /// The profile.
    profile: String,
    /// The id.
    id: FileId,
    /// The name.
    name: String,
    /// The size in bytes, if known.
    size: Option<u64>,
    /// The time of creation, UTC, if known.
    created_at: Option<Timestamp>,
    /// The criteria that the file meets.
    reasons: Vec<Reason>,
    /// Whether it was deleted; false without `--yes` or `--apply`.
    deleted: bool,
}

impl Reported for Row {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

/// The file that `--plan` writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    version: u64,
    profile: String,
    provider: String,
    base_url: String,
    files: Vec<Planned>,
}

/// A file in a plan.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    id: FileId,
    name: String,
    size: Option<u64>,
    reasons: Vec<Reason>,
}

/// The version of the plan format.
const VERSION: u64 = 1;

impl GcArgs {
    /// Deletes files that are no longer needed.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        if let Some(path) = &self.apply {
            return self.apply(ctx, path).await;
        }
        let criteria = [self.older.is_some(), self.duplicates, self.unlocked, self.filter.is_some()];
        if !criteria.contains(&true) && self.keep.is_none() {
            return Err(Error::usage("no criterion given")
                .hint("add `--older 30d`, `--duplicates`, `--keep 3`, `--unlocked` or `--filter EXPR`"));
        }
        let profile = self.profile(ctx)?;
        let provider = ctx.open(profile.as_deref())?;
        require(provider.as_ref(), Op::Delete, "REF")?;
        let ledger = ledger_of(ctx, profile.as_deref(), "gc")?.read_only();
        let locks = Locks::read(&self.lock, self.unlocked.then(|| provider.profile()))?;
        let rows = self.select(ctx, &provider, &ledger, &locks).await?;
        if let Some(path) = &self.plan {
            write_plan(ctx, path, provider.as_ref(), &rows)?;
        }
        self.finish(ctx, provider, rows).await
    }

    /// The profile named by the argument; `None` without an argument.
    fn profile(&self, ctx: &Context) -> Result<Option<String>> {
        let Some(text) = &self.target else { return Ok(None) };
        match ctx.address(text).whole_profile() {
            Some(profile) => Ok(Some(profile.to_owned())),
            None => Err(Error::usage(format!("{text}: not a profile")).hint(
                "to specify a profile, add a colon: `haul gc local:`; to select files: `--filter EXPR`",
            )),
        }
    }

    /// The files that meet all criteria and are not protected.
    async fn select(
        &self,
        ctx: &Context,
        provider: &Arc<dyn Provider>,
        ledger: &Ledger,
        locks: &Locks,
    ) -> Result<Vec<Row>> {
        let now = ctx.clock.now();
        let before = |option: &str, text: &str| duration(option, text, |span| now.checked_sub(span).ok());
        let older = self.older.as_deref().map(|text| before("older", text)).transpose()?;
        let young = before("min-age", &self.min_age)?;
        let groups = self.duplicates || self.keep.is_some();
        // In these cases, a file of unknown age is never deleted, so the platform must return the age.
        if young < now || older.is_some() || groups {
            require_stated(provider.as_ref(), "created_at", "select old files")?;
        }
        if self.duplicates {
            require_stated(provider.as_ref(), "size", "find duplicates")?;
        }
        let filter = self.filter.as_deref();
        // `--duplicates` and `--keep` also compare files that do not match the filter, so they need a second listing.
        let matches = match filter.filter(|_| groups) {
            None => None,
            Some(_) => Some(all(ctx, provider, filter).await?),
        };
        let files = all(ctx, provider, filter.filter(|_| !groups)).await?;
        let matches: Option<HashSet<&FileId>> =
            matches.as_ref().map(|files| files.iter().map(|file| &file.id).collect());
        let superseded = self.keep.map(|keep| superseded(&files, keep as usize));
        let duplicates = self.duplicates.then(|| duplicates(&files, &locks.ids));
        let used = if files.is_empty() {
            HashSet::new()
        } else {
            ctx.interrupt.until_cancelled(provider.in_use()).await?
        };
        let mut protected = BTreeMap::<&str, u64>::new();
        let mut rows = Vec::new();
        for file in &files {
            let created = file.created_at;
            let criteria = [
                (Reason::Old, older.map(|older| created.is_some_and(|at| at < older))),
                (Reason::Duplicate, duplicates.as_ref().map(|found| found.contains(&file.id))),
                (Reason::Superseded, superseded.as_ref().map(|found| found.contains(&file.id))),
                (Reason::Unlocked, self.unlocked.then(|| !locks.ids.contains(&file.id))),
                (
                    Reason::Filter,
                    filter.map(|_| matches.as_ref().is_none_or(|found| found.contains(&file.id))),
                ),
            ];
            if criteria.iter().any(|(_, met)| *met == Some(false)) {
                continue;
            }
            let is_foreign = || {
                self.unlocked
                    && !self.foreign
                    && !ledger.uploaded(&file.id)
                    && !locks.replaced.contains(&file.id)
            };
            let why = if locks.ids.contains(&file.id) {
                Some("in a lock file")
            } else if young < now && created.is_none_or(|at| at > young) {
                Some(if created.is_some() { "younger than --min-age" } else { "of unknown age" })
            } else if used.contains(&file.id) {
                Some("used by a vector store")
            } else if is_foreign() {
                Some("not uploaded by haul")
            } else {
                None
            };
            if let Some(why) = why {
                *protected.entry(why).or_default() += 1;
                continue;
            }
            rows.push(Row {
                profile: provider.profile().to_owned(),
                id: file.id.clone(),
                name: file.name.clone(),
                size: file.size,
                created_at: created,
                reasons: criteria
                    .iter()
                    .filter(|(_, met)| met.is_some())
                    .map(|(reason, _)| *reason)
                    .collect(),
                deleted: false,
            });
        }
        for (why, count) in protected {
            ctx.ui.note(&format!("kept {}: {why}", human::count(count, "file")));
        }
        Ok(rows)
    }

    /// Prints the rows and, with `--yes`, deletes the files.
    async fn finish(&self, ctx: &Context, provider: Arc<dyn Provider>, rows: Vec<Row>) -> Result<()> {
        let deletes = self.yes;
        let what = format!(
            "{}{}",
            human::count(rows.len() as u64, "file"),
            human::total(rows.iter().map(|row| row.size))
        );
        let is_empty = rows.is_empty();
        self.delete(ctx, rows, deletes, provider).await?;
        if is_empty {
            ctx.ui.note("no files to delete");
        } else if let Some(path) = &self.plan {
            let path = path.to_string_lossy();
            ctx.ui.note(&format!("{what}; nothing deleted; to delete: `haul gc --apply {}`", word(&path)));
        } else if !deletes {
            ctx.ui.note(&format!("{what}; nothing deleted; to delete: add `--yes`"));
        }
        Ok(())
    }

    async fn delete(
        &self,
        ctx: &Context,
        rows: Vec<Row>,
        deletes: bool,
        provider: Arc<dyn Provider>,
    ) -> Result<()> {
        let labels = Labels { skipped: "changed", ..Labels::of("deleted") };
        let labels = if deletes { labels } else { labels.without_summary() };
        let checks = self.apply.is_some();
        batch::run(
            ctx,
            &BatchArgs { jobs: self.jobs, ..BatchArgs::default() },
            labels,
            stream::iter(rows.into_iter().map(Ok)),
            async |mut row: Row| {
                if !deletes {
                    return Ok(row);
                }
                if checks && !is_as_planned(&provider, &row).await? {
                    return Ok(row);
                }
                match provider.delete(&row.id).await {
                    Err(error) if error.kind() != Kind::NotFound => return Err(error.about(row.id.as_str())),
                    _ => row.deleted = true,
                }
                Ok(row)
            },
            ctx.ui.rows(COLUMNS)?,
            |rows, row: Row| {
                rows.push(&row)?;
                if deletes && !row.deleted {
                    let id = &row.id;
                    ctx.ui.note(&format!("{id}: kept, because it has changed since the plan was written"));
                    return Ok(vec![Outcome::Skipped(Some(row.id))]);
                }
                Ok(vec![Outcome::Done(Some(row.id))])
            },
        )
        .await
    }

    /// Deletes the files of a plan that have not changed.
    async fn apply(&self, ctx: &Context, path: &Path) -> Result<()> {
        let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| {
            Error::usage(format!("{}: not a plan written by `haul gc --plan`", path.display()))
                .caused_by(error)
        })?;
        if plan.version != VERSION {
            let message = format!(
                "{}: unsupported version {}: this version of haul reads version {VERSION}",
                path.display(),
                plan.version
            );
            return Err(Error::usage(message).hint("use the version of haul that wrote it"));
        }
        let profile = ctx.profile(Some(&plan.profile))?;
        let now = (profile.spec.name.to_owned(), profile.base_url.value.to_string());
        if now != (plan.provider.clone(), plan.base_url.clone()) {
            let message = format!(
                "{}: was written for {} at {}, but the profile {} now uses {} at {}",
                path.display(),
                plan.provider,
                plan.base_url,
                plan.profile,
                now.0,
                now.1
            );
            return Err(Error::usage(message).hint("write a new plan with `--plan`, or restore the settings"));
        }
        let provider = ctx.open(Some(&plan.profile))?;
        require(provider.as_ref(), Op::Delete, "REF")?;
        // A file may have been added to a lock file or a vector store since the plan was written.
        let locks = Locks::read(&self.lock, None)?;
        let used = ctx.interrupt.until_cancelled(provider.in_use()).await?;
        let (kept, rows): (Vec<_>, Vec<_>) = plan
            .files
            .into_iter()
            .map(|file| Row {
                profile: plan.profile.clone(),
                id: file.id,
                name: file.name,
                size: file.size,
                created_at: None,
                reasons: file.reasons,
                deleted: false,
            })
            .partition(|row| locks.ids.contains(&row.id) || used.contains(&row.id));
        if !kept.is_empty() {
            let count = human::count(kept.len() as u64, "file");
            let why = "added to a lock file or a vector store since the plan was written";
            ctx.ui.note(&format!("kept {count}: {why}"));
        }
        if rows.is_empty() {
            ctx.ui.note("no files to delete");
        }
        self.delete(ctx, rows, true, provider).await
    }
}

/// Whether a file still has the name and size in the plan. Returns true for a missing file, which then counts as
/// deleted.
async fn is_as_planned(provider: &Arc<dyn Provider>, row: &Row) -> Result<bool> {
    match provider.stat(&row.id).await {
        Ok(file) => Ok(file.name == row.name && file.size == row.size),
        Err(error) if error.kind() == Kind::NotFound => Ok(true),
        Err(error) => Err(error.about(row.id.as_str())),
    }
}

fn write_plan(ctx: &Context, path: &Path, provider: &dyn Provider, rows: &[Row]) -> Result<()> {
    let profile = ctx.profile(Some(provider.profile()))?;
    let plan = Plan {
        version: VERSION,
        profile: profile.name.clone(),
        provider: profile.spec.name.to_owned(),
        base_url: profile.base_url.value.to_string(),
        files: rows
            .iter()
            .map(|row| Planned {
                id: row.id.clone(),
                name: row.name.clone(),
                size: row.size,
                reasons: row.reasons.clone(),
            })
            .collect(),
    };
    let mut text = serde_json::to_vec_pretty(&plan).unwrap_or_default();
    text.push(b'\n');
    files::replace(path, &text, false).map_err(|error| Error::io("write", path, error))
}

/// The ids in lock files.
#[derive(Default)]
struct Locks {
    /// The current file of each row.
    ids: HashSet<FileId>,
    /// The previous files that rows replace, all of which haul uploaded.
    replaced: HashSet<FileId>,
}

impl Locks {
    /// Reads the given lock files and the nearest `haul.lock`. If `required` names a profile, at least one lock file
    /// must exist.
    fn read(given: &[PathBuf], required: Option<&str>) -> Result<Self> {
        let nearest = Lock::nearest()?;
        let mut paths: BTreeSet<PathBuf> = given.iter().cloned().collect();
        for path in given {
            fs::metadata(path).map_err(|error| Error::io("read", path, error))?;
        }
        if nearest.exists() {
            paths.insert(nearest);
        }
        if let Some(profile) = required.filter(|_| paths.is_empty()) {
            let message = "--unlocked requires a lock file: no `haul.lock` in this directory or above it";
            return Err(Error::usage(message)
                .hint("to specify one: `--lock FILE`")
                .hint(format!("to create one: `haul sync DIR {}`", word(&format!("{profile}:")))));
        }
        let mut locks = Self::default();
        for path in paths {
            for target in Lock::read(&path)?.targets().values() {
                locks.ids.extend(target.files.values().map(|row| row.id.clone()));
                locks
                    .replaced
                    .extend(target.files.values().filter_map(|row| row.replaces.as_deref().cloned()));
            }
        }
        Ok(locks)
    }
}

/// All files of a platform that match the filter, if any.
async fn all(ctx: &Context, provider: &Arc<dyn Provider>, filter: Option<&str>) -> Result<Vec<File>> {
    let filter = combine(ctx, provider.spec(), filter, None)?;
    let mut listing = Listing::new(Arc::clone(provider), Query { filter, ..Query::default() }, None)?;
    let mut files = Vec::new();
    while let Some(page) = ctx.interrupt.until_cancelled(listing.next()).await? {
        // Keep only the fields that the criteria use: the others can be large.
        files.extend(page.into_iter().map(|file| File {
            id: file.id,
            name: file.name,
            size: file.size,
            created_at: file.created_at,
            checksums: file.checksums,
            ..File::default()
        }));
    }
    Ok(files)
}

/// The files of each name, the newest first. A file of unknown age is never older than another.
fn by_name(files: &[File]) -> impl Iterator<Item = Vec<&File>> {
    let mut names: HashMap<&str, Vec<&File>> = HashMap::new();
    for file in files {
        names.entry(&file.name).or_default().push(file);
    }
    names.into_values().map(|mut files| {
        files.sort_by_key(|file| std::cmp::Reverse(file.created_at.unwrap_or(Timestamp::MAX)));
        files
    })
}

/// All but the newest `keep` files of each name.
fn superseded(files: &[File], keep: usize) -> HashSet<FileId> {
    let beyond = by_name(files).flat_map(|files| files.into_iter().skip(keep));
    beyond.filter(|file| file.created_at.is_some()).map(|file| file.id.clone()).collect()
}

/// The files that have the name, size and checksums of a file that is kept: the one in a lock file, or else the newest.
fn duplicates(files: &[File], locked: &HashSet<FileId>) -> HashSet<FileId> {
    let mut found = HashSet::new();
    for mut files in by_name(files) {
        files.sort_by_key(|file| !locked.contains(&file.id));
        let mut kept: Vec<&File> = Vec::new();
        for file in files {
            let is_equal = |other: &&File| {
                let same = |one: &Option<String>, two: &Option<String>| one == two;
                let (one, two) = (&file.checksums, &other.checksums);
                file.size.is_some()
                    && file.size == other.size
                    && same(&one.blake3, &two.blake3)
                    && same(&one.sha256, &two.sha256)
                    && same(&one.md5, &two.md5)
            };
            if file.created_at.is_some() && kept.iter().any(is_equal) {
                found.insert(file.id.clone());
            } else {
                kept.push(file);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str, name: &str, size: Option<u64>, second: Option<i64>) -> File {
        File {
            id: id.into(),
            name: name.to_owned(),
            size,
            created_at: second.map(|second| Timestamp::from_second(second).unwrap()),
            ..File::default()
        }
    }

    fn ids(found: &HashSet<FileId>) -> Vec<&str> {
        let mut ids: Vec<&str> = found.iter().map(FileId::as_str).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn the_newest_files_of_a_name_are_kept() {
        let files = [
            file("a1", "a", None, Some(1)),
            file("a3", "a", None, Some(3)),
            file("a2", "a", None, Some(2)),
            file("a?", "a", None, None),
            file("b1", "b", None, Some(1)),
        ];
        assert_eq!(ids(&superseded(&files, 2)), ["a1", "a2"]);
        assert_eq!(ids(&superseded(&files, 3)), ["a1"]);
    }

    #[test]
    fn duplicates_have_equal_content_and_the_locked_one_is_kept() {
        let mut other = file("a4", "a", Some(5), Some(4));
        other.checksums.md5 = Some("x".to_owned());
        let files = [
            file("a1", "a", Some(5), Some(1)),
            file("a2", "a", Some(5), Some(2)),
            file("a3", "a", Some(6), Some(3)),
            other,
            file("a?", "a", Some(5), None),
            file("u1", "u", None, Some(1)),
            file("u2", "u", None, Some(2)),
            file("b1", "b", Some(5), Some(1)),
        ];
        // `a?` has an unknown age, so it is kept, and it has the content of the others.
        assert_eq!(ids(&duplicates(&files, &HashSet::new())), ["a1", "a2"]);
        assert_eq!(ids(&duplicates(&files[..4], &HashSet::new())), ["a1"]);
        assert_eq!(ids(&duplicates(&files[..4], &["a1".into()].into())), ["a2"]);
    }
}
