//! `haul ls`

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;

use super::batch::{self, BatchArgs, JobsArgs, Labels};
use super::report::{Entry, Outcome, Reported};
use super::select::{all_of, combine, duration, exactly_named, glob_of, pattern_like, read_references};
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::filter::{Filter, Op};
use crate::human;
use crate::model::{Address, File};
use crate::providers::{Listing, Provider, Query, Sort, Spec, left_to_check, passes, sort_files};
use crate::settings::parse_lifetime;
use crate::ui::{Columns, one_line};

/// The columns for files.
pub const FILE_COLUMNS: Columns =
    Columns { all: &File::FIELDS, shown: WITH_PROFILE.split_at(1).1, piped: None };

/// The columns for files with `--long`.
const LONG_COLUMNS: Columns =
    Columns { all: &File::FIELDS, shown: LONG_WITH_PROFILE.split_at(1).1, piped: None };

/// The columns for files from several profiles.
const WITH_PROFILE: &[&str] = &["profile", "id", "name", "size", "content_type", "status", "created_at"];

/// The columns for files from several profiles with `--long`.
const LONG_WITH_PROFILE: &[&str] = &[
    "profile",
    "id",
    "name",
    "size",
    "content_type",
    "purpose",
    "path",
    "status",
    "created_at",
    "updated_at",
    "expires_at",
    "metadata",
];

/// The column with `--count`.
pub(super) const COUNT_COLUMNS: Columns = Columns { all: &["count"], shown: &["count"], piped: None };

/// A number of files.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "count")]
pub(super) struct Count {
    /// The number of files.
    count: u64,
}

/// The column with `--ids`.
pub const ID_COLUMNS: Columns = Columns { all: &["id"], shown: &["id"], piped: None };

/// The arguments of `haul ls`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul ls\n  \
    haul ls '*.pdf' --sort -size --limit 10\n  \
    haul ls local: xai:'*.pdf'\n  \
    haul ls --since 7d --type pdf --sort metadata.author\n  \
    haul ls -p xai --filter 'size > 10MB AND expires_at < +24h' --json")]
pub struct LsArgs {
    /// Only these files: ids, names or patterns such as '*.pdf', as `[PROFILE:]REF`; `PROFILE:` lists all files of a
    /// profile, and `-` reads references from standard input
    #[arg(value_name = "REF")]
    pub refs: Vec<String>,
    /// Only files that match this expression (`haul help filters`)
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Only files that expire within this time, such as 24h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub expiring: Option<String>,
    /// Only files created within this time, such as 7d, or since a date
    #[arg(long, value_name = "TIME|DATE", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only files with exactly this name
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub name: Option<String>,
    /// Only files whose media type contains this, such as pdf or 'image/*'
    #[arg(long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    pub content_type: Option<String>,
    /// Sort by this field or metadata.KEY, in ascending order; `-FIELD` reverses it
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Reverse the order
    #[arg(long, requires = "sort")]
    pub reverse: bool,
    /// Maximum number of files
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub limit: Option<u64>,
    /// Files per page of the platform's listing
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub page_size: Option<u32>,
    /// Start at this page; -v prints the cursor of the next page
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, hide_short_help = true)]
    pub cursor: Option<String>,
    /// Print ids only
    #[arg(long, conflicts_with = "long")]
    pub ids: bool,
    /// Print only the number of files
    #[arg(long, conflicts_with_all = ["ids", "long", "print0", "limit", "sort", "cursor"])]
    pub count: bool,
    /// End each name (or id) with NUL, for `xargs -0`
    #[arg(long, conflicts_with_all = ["json", "jsonl", "long"])]
    pub print0: bool,
    /// Show more columns
    #[arg(short, long)]
    pub long: bool,
}

impl LsArgs {
    /// Lists files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        let lists_all = self.refs.is_empty();
        self.refs = read_references(ctx, &self.refs).await?;
        if let Some(name) = self.name.as_deref().filter(|name| name.contains(['*', '?'])) {
            ctx.note_once(&format!(
                "--name matches the whole name; for a pattern: `{} {}`",
                ctx.command("ls", None),
                word(name)
            ));
        }
        let (profile, glob) = match self.refs.as_slice() {
            [] if lists_all => (None, None),
            [text] => match self.place(ctx, text).await? {
                Place::All { profile, glob } => (profile, glob),
                place => return self.several(ctx, Some(place)).await,
            },
            _ => return self.several(ctx, None).await,
        };
        let provider = ctx.open(profile.as_deref())?;
        let query = Query {
            filter: self.filter(ctx, provider.spec(), glob.as_deref())?,
            sort: self.sort()?,
            limit: self.limit,
            page_size: self.page_size,
        };
        let selects = query.filter.is_some();
        let columns = self.columns(false);
        let mut listing = Listing::new(Arc::clone(&provider), query, self.cursor.clone())?;
        let no_such_page = |error: Error| match (&self.cursor, error.kind()) {
            (Some(cursor), Kind::NotFound) => {
                Error::usage(format!("--cursor {cursor}: not a cursor for this listing"))
                    .hint("omit `--cursor` to start at the first page")
            }
            _ => error,
        };
        if listing.reads_all_first() {
            self.explain_delay(ctx, provider.spec());
        }
        if self.print0 {
            return self.print0(ctx, listing).await;
        }
        let mut rows = ctx.ui.rows(columns)?;
        let mut count = 0;
        while let Some(files) = listing.next().await.map_err(&no_such_page)? {
            count += files.len();
            if self.count {
                continue;
            }
            for file in &files {
                rows.push(file)?;
            }
            // The last page is not flushed here, so its column widths need no room for later rows.
            if listing.cursor().is_some() {
                rows.flush()?;
            }
        }
        if self.count {
            rows.push(&Count { count: count as u64 })?;
            return rows.finish();
        }
        rows.finish()?;
        if let Some(cursor) = listing.cursor() {
            ctx.ui.detail(&format!("next page: --cursor {cursor}"));
        }
        if count == 0 && self.cursor.is_none() && self.limit != Some(0) {
            let profile = provider.profile();
            if selects {
                ctx.ui.note(&format!("no file on {profile} matches"));
                ctx.ui.hint(&format!("to list all files: `{}`", ctx.command("ls", Some(profile))));
                return Ok(());
            }
            let upload = ctx.command("upload", Some(profile));
            ctx.ui.hint(&format!("no files on {profile} yet; to upload one: `{upload} FILE`"));
        }
        Ok(())
    }

    /// Lists the files for several references: one reference after another, or all files in the order of `--sort`.
    /// `first` is the resolved first reference, if already known.
    async fn several(self, ctx: &Context, mut first: Option<Place>) -> Result<()> {
        if self.cursor.is_some() {
            return Err(Error::usage("--cursor works with a single pattern or profile"));
        }
        let sort = self.sort()?;
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        let (mut profiles, mut seen) = (BTreeSet::new(), HashSet::new());
        let mut missing = Vec::new();
        for text in &self.refs {
            match self.files(ctx, text, first.take(), sort.as_ref()).await {
                Ok(files) => {
                    missing.extend(files.is_empty().then_some(text.as_str()));
                    profiles.extend(files.iter().map(|file| file.profile.clone()));
                    found.extend(
                        files.into_iter().filter(|file| seen.insert((file.profile.clone(), file.id.clone()))),
                    );
                }
                Err(error) if error.is_interrupted() => return Err(error),
                Err(error) => failed.push(error.about(text)),
            }
        }
        if let Some(sort) = &sort {
            found = sort_files(found, sort);
        }
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        found.truncate(limit);
        let mut split = 0;
        let mut rows = ctx.ui.rows(self.columns(profiles.len() > 1))?;
        if self.print0 {
            self.write0(ctx, &std::mem::take(&mut found), &mut split)?;
        } else if self.count {
            rows.push(&Count { count: std::mem::take(&mut found).len() as u64 })?;
        }
        batch::run(
            ctx,
            // Process one file at a time to keep the order.
            &BatchArgs { jobs: JobsArgs::ONE, ..BatchArgs::default() },
            Labels::of("listed").without_summary(),
            stream::iter(found.into_iter().map(Ok).chain(failed.into_iter().map(Err))),
            async |file: File| Ok(file),
            rows,
            |rows, file| {
                rows.push(&file)?;
                Ok(vec![Outcome::Done(Some(file.id))])
            },
        )
        .await?;
        if let Some(hint) = other_references(ctx, &missing) {
            ctx.ui.hint(&hint);
        }
        self.check_split(split)
    }

    /// Resolves a reference. An exact name takes precedence over a pattern.
    async fn place(&self, ctx: &Context, text: &str) -> Result<Place> {
        let address = ctx.address(text);
        if address.whole_profile().is_some() {
            return Ok(Place::All { profile: address.profile, glob: None });
        }
        let Some(pattern) = glob_of(&address).map(str::to_owned) else { return Ok(Place::Named(address)) };
        let provider = ctx.open(address.profile.as_deref())?;
        let filter = self.filter(ctx, provider.spec(), None)?.unwrap_or_default();
        left_to_check(provider.as_ref(), &filter)?;
        let files = exactly_named(ctx, &provider, &pattern).await;
        if !files.is_empty() {
            return Ok(Place::Found { provider, filter, files });
        }
        Ok(Place::All { profile: address.profile, glob: Some(pattern) })
    }

    /// The files for one reference. `place` is the resolved reference, if already known.
    async fn files(
        &self,
        ctx: &Context,
        text: &str,
        place: Option<Place>,
        sort: Option<&Sort>,
    ) -> Result<Vec<File>> {
        let place = match place {
            Some(place) => place,
            None => self.place(ctx, text).await?,
        };
        match place {
            Place::All { profile, glob } => {
                let provider = ctx.open(profile.as_deref())?;
                let query = Query {
                    filter: self.filter(ctx, provider.spec(), glob.as_deref())?,
                    sort: sort.cloned(),
                    limit: self.limit,
                    page_size: self.page_size,
                };
                let files = Listing::new(Arc::clone(&provider), query, None)?.all();
                let files = ctx.interrupt.until_cancelled(files).await?;
                if files.is_empty() && glob.is_some() {
                    ctx.ui.note(&format!("{text}: no file on {} matches", provider.profile()));
                }
                Ok(files)
            }
            Place::Named(address) => {
                let provider = ctx.open(address.profile.as_deref())?;
                let filter = self.filter(ctx, provider.spec(), None)?.unwrap_or_default();
                left_to_check(provider.as_ref(), &filter)?;
                let files = ctx.interrupt.until_cancelled(all_of(&provider, &address)).await?;
                if files.is_empty() {
                    let profile = provider.profile();
                    ctx.ui.note(&format!("{text}: no file with this id or name on {profile}"));
                }
                matching(&provider, &filter, files).await
            }
            Place::Found { provider, filter, files } => matching(&provider, &filter, files).await,
        }
    }

    fn sort(&self) -> Result<Option<Sort>> {
        self.sort.as_deref().map(|field| parse_sort(field, self.reverse)).transpose()
    }

    fn columns(&self, several: bool) -> Columns {
        match (self.count, self.ids, self.long) {
            (true, ..) => COUNT_COLUMNS,
            (_, true, _) => ID_COLUMNS,
            (.., true) if several => Columns { shown: LONG_WITH_PROFILE, ..LONG_COLUMNS },
            (.., true) => LONG_COLUMNS,
            _ if several => Columns { shown: WITH_PROFILE, ..FILE_COLUMNS },
            _ => FILE_COLUMNS,
        }
    }

    /// Combines all options that select files into a single filter.
    fn filter(&self, ctx: &Context, spec: &Spec, glob: Option<&str>) -> Result<Option<Filter>> {
        let now = ctx.clock.now();
        let mut parts = Vec::new();
        if let Some(text) = &self.expiring {
            let end = duration("expiring", text, |span| now.checked_add(span).ok())?;
            parts.push(Filter::time("expires_at", Op::Le, end));
        }
        if let Some(text) = &self.since {
            // `-7d` means the same as `7d`, as in a filter.
            let ago = parse_lifetime(text).and_then(|span| now.checked_sub(span.abs()).ok());
            let start = ago.or_else(|| Filter::parse_time(text, now)).ok_or_else(|| {
                Error::usage(format!("--since {text}: not a duration or a date"))
                    .hint("write `7d` or `2026-01-31`")
            })?;
            parts.push(Filter::time("created_at", Op::Ge, start));
        }
        parts.extend(self.name.as_deref().map(Filter::name_is));
        parts.extend(self.content_type.as_deref().map(Filter::type_has));
        parts.extend(combine(ctx, spec, self.filter.as_deref(), glob)?);
        Ok(parts.into_iter().reduce(Filter::and))
    }

    /// Explains why the first row of a listing that haul sorts itself takes a long time.
    fn explain_delay(&self, ctx: &Context, spec: &Spec) {
        let why = format!(
            "{} cannot list files in this order: haul reads all files before printing the first",
            spec.name
        );
        match self.limit {
            Some(_) if ctx.ui.verbosity() == 0 => {}
            Some(_) => ctx.ui.detail(&why),
            None if ctx.ui.verbosity() == 0 => {
                ctx.ui.hint(&format!("{why} and keeps them in memory; with `--limit N`, it keeps only N"));
            }
            None => ctx.ui.detail(&format!("{why} and keeps them in memory")),
        }
    }

    async fn print0(&self, ctx: &Context, mut listing: Listing) -> Result<()> {
        let mut split = 0;
        while let Some(files) = listing.next().await? {
            self.write0(ctx, &files, &mut split)?;
        }
        self.check_split(split)
    }

    /// Writes each name or id followed by NUL. Skips those that contain NUL, and counts them in `split`.
    fn write0(&self, ctx: &Context, files: &[File], split: &mut u64) -> Result<()> {
        for file in files {
            let text = if self.ids { &file.id.0 } else { &file.name };
            if text.contains('\0') {
                // A consumer would see two names, the second one chosen by the server.
                *split += 1;
                continue;
            }
            if ctx.ui.out_is_terminal() {
                ctx.ui.write_text(&one_line(text))?;
            } else {
                ctx.ui.write_text(text)?;
            }
            ctx.ui.write_bytes(b"\0")?;
        }
        Ok(())
    }

    fn check_split(&self, split: u64) -> Result<()> {
        if split == 0 {
            return Ok(());
        }
        let what = if self.ids { "ids" } else { "names" };
        Err(Error::failed(format!(
            "skipped {}, because --print0 cannot print {what} that contain NUL",
            human::count(split, "file")
        ))
        .hint("to see them, use `--jsonl`"))
    }
}

/// A resolved reference.
enum Place {
    /// All files of a profile, or those that match a pattern.
    All { profile: Option<String>, glob: Option<String> },
    /// One file by id, or the files with a name.
    Named(Address),
    /// The files whose exact name equals a pattern, and the filter that still has to be applied to them.
    Found { provider: Arc<dyn Provider>, filter: Filter, files: Vec<File> },
}

/// The hint for references that select no file.
fn other_references(ctx: &Context, missing: &[&str]) -> Option<String> {
    let list = |of: &str| format!("{} {}", ctx.command("ls", None), word(of));
    Some(match missing {
        [] => return None,
        names if names.iter().all(|name| Path::new(name).is_file()) => {
            let pattern = format!("'{}'", pattern_like(names[0]));
            let list = ctx.command("ls", None);
            format!(
                "`ls` lists files on platforms, not local files; to use a pattern, quote it: `{list} {pattern}`"
            )
        }
        [folder] if folder.ends_with('/') => {
            format!("to list the files whose names begin with {folder}: `{}`", list(&format!("{folder}*")))
        }
        _ => format!("to list all files: `{}`", ctx.command("ls", None)),
    })
}

/// The files that match a filter.
async fn matching(provider: &Arc<dyn Provider>, filter: &Filter, files: Vec<File>) -> Result<Vec<File>> {
    if filter.is_empty() {
        return Ok(files);
    }
    let mut kept = Vec::new();
    for file in files {
        if passes(provider, filter, &file).await? {
            kept.push(file);
        }
    }
    Ok(kept)
}

impl Reported for File {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

/// The fields accepted by `--sort`, besides keys of `metadata` and `extra`.
pub(super) fn sortable() -> impl Iterator<Item = &'static str> {
    File::FIELDS.into_iter().filter(|name| !matches!(*name, "checksums" | "metadata" | "extra"))
}

fn parse_sort(text: &str, reverse: bool) -> Result<Sort> {
    let (field, descending) = text.strip_prefix('-').map_or((text, reverse), |field| (field, !reverse));
    let dotted = field.split_once('.').is_some_and(|(object, _)| matches!(object, "metadata" | "extra"));
    if dotted || sortable().any(|name| name == field) {
        return Ok(Sort { field: field.to_owned(), descending });
    }
    Err(Error::usage(format!("--sort: unknown field {field:?}"))
        .did_you_mean(field, sortable())
        .hint(format!("fields: {}, metadata.KEY", sortable().collect::<Vec<_>>().join(", "))))
}
