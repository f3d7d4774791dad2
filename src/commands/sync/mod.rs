//! `haul sync`

mod run;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;

use crate::commands::batch::JobsArgs;
use crate::commands::report::{Entry, Reported};
use crate::commands::select::duration;
use crate::commands::sources::{Sources, Work};
use crate::commands::upload::{ledger_of, lifetime, options_of, read_metadata};
use crate::context::Context;
use crate::error::{Error, Result, word};
use crate::model::{FileId, NewFile, hash_of, nfc};
use crate::providers::{Listing, NameSlash, Op, Provider, Query, require};
use crate::sync::{Hold, Ids, Lock, Named, Remote, Target};
use crate::transfer::{
    Compare, Evidence, IfExists, LeftOut, Orphan, Planned, Selection, UploadOptions, Uploads,
};
use crate::ui::Columns;
use run::Run;

/// The arguments of `haul sync`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul sync docs xai:\n  \
    haul sync docs xai: --delete\n  \
    haul sync docs gemini: --renew 24h\n  \
    haul sync docs xai: --check\n\n\
    The lock file records the id, size and SHA-256 of each file, so that a second run uploads only what has changed and \
    programs can read the ids: `jq -r '.targets.xai.files[\"docs/a.pdf\"].id' haul.lock`. Commit it with the folder. It \
    discloses names, hashes and ids of files, but no tokens or links.\n\n\
    Only files that haul sync itself uploaded are replaced and deleted. A file that exists on the platform with the same \
    name and content is adopted; it is never deleted without --take-over.")]
pub struct SyncArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The profile, as `PROFILE:` [default: the current profile]
    #[arg(value_name = "PROFILE:")]
    target: Option<String>,
    /// The lock file [default: the nearest haul.lock up to the root of the repository]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Delete files on the platform whose local files no longer exist
    #[arg(long)]
    delete: bool,
    /// Upload files again if they expire within this time, such as 24h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    renew: Option<String>,
    /// Prefix for the names on the platform
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    prefix: String,
    /// Only files that match this pattern
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    include: Vec<String>,
    /// Skip files and folders that match this pattern
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// Include hidden files
    #[arg(long, hide_short_help = true)]
    hidden: bool,
    /// Include files that .gitignore and .haulignore files exclude
    #[arg(long, hide_short_help = true)]
    no_ignore: bool,
    /// Follow symbolic links inside the folder
    #[arg(long, hide_short_help = true)]
    follow: bool,
    /// Purpose, one of the platform's own values
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    purpose: Option<String>,
    /// Metadata key and value, or a JSON file with keys and values
    #[arg(short, long, value_name = "KEY=VALUE|@FILE", allow_hyphen_values = true, hide_short_help = true)]
    metadata: Vec<String>,
    /// Lifetime on the platform, such as 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    expires: Option<String>,
    /// How local files are compared with files that are not in the lock file
    #[arg(long, value_name = "BY", default_value = "auto", hide_short_help = true)]
    compare: Compare,
    /// What to do if a file with this name cannot be compared, or was changed on the platform
    #[arg(long, value_name = "WHAT", default_value = "fail", hide_short_help = true)]
    on_conflict: OnConflict,
    /// Also replace and delete adopted files
    #[arg(long, hide_short_help = true)]
    take_over: bool,
    /// Change nothing, and fail with exit code 9 if there is something to change
    #[arg(long)]
    check: bool,
    /// Show what would be done, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// With --delete, delete even if more than half of the local files no longer exist
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    jobs: JobsArgs,
}

/// What to do about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnConflict {
    /// Report it and continue with the other files
    Fail,
    /// Upload the local file and keep the file on the platform
    Upload,
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Action {
    /// It was uploaded.
    Uploaded,
    /// It was uploaded, and the file with its previous content was deleted.
    Replaced,
    /// It was uploaded again because it was about to expire, and the older file was deleted.
    Renewed,
    /// A file with the same name and content existed.
    Adopted,
    /// The local file no longer exists, and the file on the platform was deleted.
    Deleted,
    /// The local file no longer exists, and the file on the platform was kept because `haul sync` did not upload it
    /// or because another path has the same file.
    Kept,
    /// There was nothing to do.
    Unchanged,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Replaced => "replaced",
            Self::Renewed => "renewed",
            Self::Adopted => "adopted",
            Self::Deleted => "deleted",
            Self::Kept => "kept",
            Self::Unchanged => "unchanged",
        }
    }
}

pub(super) const COLUMNS: Columns = Columns {
    all: &["action", "path", "profile", "id", "name", "size", "evidence", "kept"],
    shown: &["action", "path", "id", "size"],
    piped: None,
};

/// A file that `haul sync` processed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "synced_file")]
pub(super) struct Row {
    /// What was done; with `--dry-run` or `--check`, what would be done.
    action: Action,
    /// The local path, as in the lock file.
    path: String,
    /// The profile.
    profile: String,
    /// The id on the platform; null before the upload.
    id: Option<FileId>,
    /// The name on the platform.
    name: String,
    /// The size in bytes.
    size: u64,
    /// The evidence used to compare the file with an existing one; null if they were not compared.
    evidence: Option<Evidence>,
    /// The id of the file with the previous content if it was not deleted; otherwise null.
    kept: Option<FileId>,
}

/// A local file in the folder.
struct Local {
    /// Its path relative to the folder, with `/` between components.
    relative: Box<str>,
    size: u64,
}

/// All local files in the folder, stored compactly.
#[derive(Default)]
struct Locals {
    /// All paths, one after another.
    text: String,
    /// The end of each path in the text, and the size of the file.
    files: Vec<(usize, u64)>,
}

impl Locals {
    fn add(&mut self, relative: &str, size: u64) {
        self.text.push_str(relative);
        self.files.push((self.text.len(), size));
    }

    /// The relative paths, and the sizes.
    fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut start = 0;
        self.files
            .iter()
            .map(move |(end, size)| (&self.text[std::mem::replace(&mut start, *end)..*end], *size))
    }
}

/// The folder, and the names of its files.
struct Folder<'a> {
    path: &'a Path,
    /// Its path relative to the folder of the lock file, ending in `/` unless it is empty.
    below: String,
    /// The prefix of the names on the platform.
    prefix: &'a str,
    slash: NameSlash,
}

impl Folder<'_> {
    /// The path of a file in the lock file, in NFC.
    fn key_of(&self, relative: &str) -> String {
        format!("{}{}", self.below, nfc(relative))
    }

    /// The name of a file on the platform.
    fn name_of(&self, relative: &str) -> String {
        self.slash.flatten(format!("{}{relative}", self.prefix))
    }
}

/// A unit of work.
enum Item {
    /// A local file.
    Local(Local),
    /// A row of the lock file whose local file no longer exists.
    Gone(String),
}

impl Reported for Item {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

/// Deleting more files than this requires `--yes` if they are also more than half of the rows.
const MANY: usize = 10;

impl SyncArgs {
    /// Uploads what has changed in a folder.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let profile = self.profile(ctx)?;
        let provider = ctx.open(profile.as_deref())?;
        require(provider.as_ref(), Op::Upload, "REF")?;
        let renew = |text| duration("renew", text, |span| span.is_positive().then_some(span));
        let renew = self.renew.as_deref().map(renew).transpose()?;
        let template = self.template()?;
        self.check_folder(ctx, profile.as_deref())?;
        let path = match &self.lock {
            Some(path) => path.clone(),
            None => Lock::nearest()?,
        };
        let dry_run = self.dry_run || self.check;
        let _hold = if dry_run { None } else { Some(self.hold(ctx, &path).await?) };
        let mut lock = Lock::read(&path)?;
        let folder = Folder {
            path: &self.folder,
            below: self.path_in(&lock)?,
            prefix: &self.prefix,
            slash: provider.spec().name_slash,
        };
        lock.open(provider.profile(), &target_of(ctx, profile.as_deref())?)?;
        let target = &lock.targets()[provider.profile()];
        let files = self.local_files(ctx, provider.as_ref(), lock.path())?;
        let gone = self.gone(ctx, &lock, &folder, target, &files)?;
        let (uploads, appears_within) =
            self.uploads(ctx, &provider, profile.as_deref(), lock.path(), dry_run)?;
        let wanted = files.iter().map(|(relative, _)| folder.name_of(relative));
        let ids = Ids::new(target);
        let remote = Remote::new(lock.target_mut(provider.profile()), wanted);
        let (named, orphans) = list(ctx, &provider, &uploads, &ids, remote).await?;
        let run = Run {
            folder,
            args: &self,
            ctx,
            uploads,
            template,
            ids: RefCell::new(ids),
            orphans,
            replaced: RefCell::default(),
            lock: RefCell::new(lock),
            named: RefCell::new(named),
            renew,
            appears_within,
            now: ctx.clock.now(),
            previews: dry_run,
            left: Cell::new(files.files.len()),
            uploaded: Notify::new(),
            has_changes: Cell::new(false),
            provider,
        };
        let items =
            files.iter().map(|(relative, size)| Item::Local(Local { relative: relative.into(), size }));
        let items = items.chain(gone.into_iter().map(Item::Gone));
        run.process(items).await
    }

    /// The profile named by the second argument; `None` without one.
    fn profile(&self, ctx: &Context) -> Result<Option<String>> {
        let Some(text) = &self.target else { return Ok(None) };
        match ctx.address(text).whole_profile() {
            Some(profile) => Ok(Some(profile.to_owned())),
            None => Err(Error::usage(format!("{text}: not a profile")).hint(format!(
                "to specify a profile, add a colon: `haul sync {} local:`",
                word(&self.folder.to_string_lossy())
            ))),
        }
    }

    fn template(&self) -> Result<NewFile> {
        Ok(NewFile {
            purpose: self.purpose.clone(),
            metadata: read_metadata(&self.metadata)?,
            expires: self.expires.as_deref().map(lifetime).transpose()?,
            content_type: String::new(),
            ..NewFile::from_bytes("", Vec::new())
        })
    }

    fn check_folder(&self, ctx: &Context, profile: Option<&str>) -> Result<()> {
        let found = fs::metadata(&self.folder).map_err(|error| Error::io("read", &self.folder, error))?;
        if found.is_dir() {
            return Ok(());
        }
        let path = self.folder.to_string_lossy();
        let hint = format!("to upload a file: `{} {}`", ctx.command("upload", profile), word(&path));
        Err(Error::usage(format!("{path}: is not a directory")).hint(hint))
    }

    /// Locks the lock file against other commands.
    async fn hold(&self, ctx: &Context, path: &Path) -> Result<Hold> {
        let waits =
            |folder: &Path| ctx.ui.note(&format!("waiting for another `haul sync` in {}", folder.display()));
        let hold = ctx.interrupt.until_cancelled(Hold::take(path, waits)).await?;
        // Check this before any upload: the id of an upload that cannot be recorded would be lost.
        let folder = crate::files::folder_of(path);
        tempfile::tempfile_in(folder).map_err(|error| Error::io("write", path, error))?;
        Ok(hold)
    }

    /// The path of the folder relative to the folder of the lock file, ending in `/` unless it is empty.
    fn path_in(&self, lock: &Lock) -> Result<String> {
        let real = |path: &Path| fs::canonicalize(path).map_err(|error| Error::io("read", path, error));
        let (folder, base) = (real(&self.folder)?, real(lock.folder())?);
        let Ok(below) = folder.strip_prefix(&base) else {
            let own = self.folder.join("haul.lock");
            let message =
                format!("{}: is outside the directory of {}", self.folder.display(), lock.path().display());
            return Err(Error::usage(message)
                .hint(format!("use another lock file, such as `--lock {}`", word(&own.to_string_lossy()))));
        };
        let below = nfc(&text_of(below)?).into_owned();
        Ok(if below.is_empty() { below } else { below + "/" })
    }

    /// The local files that the options select.
    fn local_files(&self, ctx: &Context, provider: &dyn Provider, lock: &Path) -> Result<Locals> {
        let ui = ctx.ui.clone();
        let left_out = LeftOut::new(move |note| ui.note(note));
        let sources = Sources {
            retried: Vec::new(),
            arguments: vec![self.folder.clone()],
            name: None,
            selection: Selection {
                recursive: true,
                follow: self.follow,
                hidden: self.hidden,
                no_ignore: self.no_ignore,
                gitignore: !self.no_ignore,
                report: Some(lock.to_owned()),
                ..Selection::default()
            }
            .with_globs(&self.include, &self.exclude)?,
        };
        let mut files = Locals::default();
        for work in sources.claimed(provider, IfExists::Skip, &left_out) {
            let Work::File(Planned { path, size, .. }) = work? else { continue };
            files.add(&text_of(path.strip_prefix(&self.folder).unwrap_or(&path))?, size);
        }
        Ok(files)
    }

    /// The rows to delete: those whose local files no longer exist, or none without `--delete`. Fails without `--yes`
    /// if there are too many.
    fn gone(
        &self,
        ctx: &Context,
        lock: &Lock,
        folder: &Folder<'_>,
        target: &Target,
        files: &Locals,
    ) -> Result<Vec<String>> {
        let selection = Selection { hidden: self.hidden, ..Selection::default() };
        let selection = selection.with_globs(&self.include, &self.exclude)?;
        let rows = || target.files.keys().filter_map(|key| Some((key, key.strip_prefix(&folder.below)?)));
        let found: HashSet<u64> =
            files.iter().map(|(relative, _)| hash_of(&folder.key_of(relative))).collect();
        let is_gone = |(key, relative): &(&String, &str)| {
            let absent = |error: std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
            !found.contains(&hash_of(key))
                && selection.selects(relative)
                && lock.folder().join(key.as_str()).symlink_metadata().is_err_and(absent)
        };
        let gone: Vec<String> = rows().filter(is_gone).map(|(key, _)| key.clone()).collect();
        if !self.delete {
            if !gone.is_empty() {
                let (count, exists, them) = match gone.len() {
                    1 => ("1 local file".to_owned(), "no longer exists", "it"),
                    count => (format!("{count} local files"), "no longer exist", "them"),
                };
                ctx.ui.note(&format!(
                    "{count} listed in the lock file {exists}; to delete {them} on the platform: `--delete`"
                ));
            }
            return Ok(Vec::new());
        }
        let count = rows().count();
        if gone.len() > MANY && gone.len() * 2 > count && !self.yes {
            let message = format!(
                "{} of the {count} local files listed in {} no longer exist; nothing deleted",
                gone.len(),
                lock.path().display()
            );
            return Err(Error::usage(message).hint("to delete them on the platform: add `--yes`"));
        }
        Ok(gone)
    }

    fn uploads(
        &self,
        ctx: &Context,
        provider: &Arc<dyn Provider>,
        profile: Option<&str>,
        lock: &Path,
        dry_run: bool,
    ) -> Result<(Uploads, Duration)> {
        let options = UploadOptions {
            if_exists: IfExists::Skip,
            verify: true,
            compare: self.compare,
            anew: true,
            ..options_of(&ctx.profile(profile)?)
        };
        let appears_within = options.appears_within;
        // A run with this lock file continues an interrupted one.
        let ledger = ledger_of(ctx, profile, &format!("sync {}", lock.display()))?;
        let ledger = if dry_run { ledger.read_only() } else { ledger };
        let uploads = Uploads::new(Arc::clone(provider), options, ledger, ctx.clock, ctx.interrupt.clone());
        Ok((uploads, appears_within.unwrap_or(provider.capabilities().appears_within)))
    }
}

/// The description of a profile in the lock file.
fn target_of(ctx: &Context, profile: Option<&str>) -> Result<Target> {
    let profile = ctx.profile(profile)?;
    let scope = profile.scope().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let is_remote = profile.base_url.value.scheme().starts_with("http");
    Ok(Target {
        provider: profile.spec.name.to_owned(),
        base_url: if is_remote { profile.base_url.value.to_string() } else { String::new() },
        scope: scope.collect(),
        files: BTreeMap::new(),
    })
}

/// A relative path as text, with `/` between components.
fn text_of(path: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    let parts =
        parts.ok_or_else(|| Error::usage(format!("{}: the name is not valid UTF-8", path.display())))?;
    Ok(parts.join("/"))
}

/// Reads the listing once, and keeps only what concerns the rows of the lock file and the local files.
async fn list(
    ctx: &Context,
    provider: &Arc<dyn Provider>,
    uploads: &Uploads,
    ids: &Ids,
    mut remote: Remote<'_>,
) -> Result<(Named, Vec<Orphan>)> {
    let mut orphans = uploads.orphans();
    // Larger pages save no time, but use more memory.
    let page_size = Some(if provider.client().is_some() { 500 } else { 100 });
    let query = Query { page_size, ..Query::default() };
    let mut listing = Listing::new(Arc::clone(provider), query, None)?;
    while let Some(page) = ctx.interrupt.until_cancelled(listing.next()).await? {
        for file in page {
            let is_usable = uploads.is_usable(&file);
            if is_usable && !ids.contains(&file.id) {
                orphans.add(uploads, &file);
            }
            remote.add(file, is_usable);
        }
    }
    let (mut named, orphans) = (remote.finish(), orphans.finish());
    for orphan in &orphans {
        named.remove(&orphan.name, &orphan.id);
    }
    Ok((named, orphans))
}
