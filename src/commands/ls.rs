//! `haul ls`

use std::sync::Arc;

use clap::Args;

use super::select::combine;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::filter::{Filter, Op};
use crate::model::File;
use crate::providers::{Listing, Query, Sort, Spec};
use crate::settings::parse_lifetime;
use crate::ui::{Columns, one_line};

/// The columns of files.
pub const FILE_COLUMNS: Columns = Columns {
    all: &File::FIELDS,
    shown: &["id", "name", "size", "content_type", "status", "created_at"],
    piped: None,
};

/// The columns with `--long`.
const LONG_COLUMNS: Columns = Columns {
    all: &File::FIELDS,
    shown: &[
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
    ],
    piped: None,
};

/// The columns with `--ids`.
pub const ID_COLUMNS: Columns = Columns { all: &["id"], shown: &["id"], piped: None };

/// The arguments of `haul ls`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul ls\n  \
    haul ls '*.pdf' --sort size --reverse --limit 10\n  \
    haul ls --since 7d --type pdf --sort metadata.author\n  \
    haul ls -p xai --filter 'size > 10MB AND expires_at < +24h' --json")]
pub struct LsArgs {
    /// Only files whose name matches this pattern, such as '*.pdf'
    pub glob: Option<String>,
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
    /// Sort by this field or metadata.KEY, in ascending order
    #[arg(long, value_name = "FIELD")]
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
    /// Start at this page; -v prints the cursor of the next
    #[arg(long, value_name = "TOKEN", allow_hyphen_values = true, hide_short_help = true)]
    pub cursor: Option<String>,
    /// Print ids only
    #[arg(long, conflicts_with = "long")]
    pub ids: bool,
    /// End each name (or id) with NUL, for `xargs -0`
    #[arg(long, conflicts_with_all = ["json", "jsonl", "long"])]
    pub print0: bool,
    /// Show more columns
    #[arg(short, long)]
    pub long: bool,
}

impl LsArgs {
    /// Lists files.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let provider = ctx.open(None)?;
        let query = Query {
            filter: self.filter(ctx, provider.spec())?,
            sort: self.sort.as_deref().map(|field| parse_sort(field, self.reverse)).transpose()?,
            limit: self.limit,
            page_size: self.page_size,
        };
        let selects = query.filter.is_some();
        let columns = if self.ids {
            ID_COLUMNS
        } else if self.long {
            LONG_COLUMNS
        } else {
            FILE_COLUMNS
        };
        let mut listing = Listing::new(Arc::clone(&provider), query, self.cursor.clone())?;
        let no_such_page = |error: Error| match (&self.cursor, error.kind()) {
            (Some(cursor), Kind::NotFound) => {
                Error::usage(format!("--cursor {cursor}: not a cursor of this listing"))
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
            for file in &files {
                rows.push(file)?;
            }
            rows.flush()?;
        }
        rows.finish()?;
        if let Some(cursor) = listing.cursor() {
            ctx.ui.detail(&format!("next page: --cursor {cursor}"));
        }
        if count == 0 && self.cursor.is_none() && self.limit != Some(0) {
            if selects {
                ctx.ui
                    .hint(&format!("no file on {} matches; list all: `haul ls -p {0}`", provider.profile()));
                return Ok(());
            }
            ctx.ui.hint(&format!("no files on {} yet; upload one: `haul upload FILE`", provider.profile()));
        }
        Ok(())
    }

    /// Combines all options that select files into one filter.
    fn filter(&self, ctx: &Context, spec: &Spec) -> Result<Option<Filter>> {
        let now = ctx.clock.now();
        let mut parts = Vec::new();
        if let Some(text) = &self.expiring {
            let span = parse_lifetime(text).filter(|span| !span.is_negative());
            let end = span.and_then(|span| now.checked_add(span).ok()).ok_or_else(|| {
                Error::usage(format!("--expiring {text}: invalid duration")).hint("write `24h` or `7d`")
            })?;
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
        parts.extend(combine(ctx, spec, self.filter.as_deref(), self.glob.as_deref())?);
        Ok(parts.into_iter().reduce(Filter::and))
    }

    /// Explains the delay before the first row of a listing that haul sorts itself.
    fn explain_delay(&self, ctx: &Context, spec: &Spec) {
        let field = self.sort.as_deref().unwrap_or_default();
        let why = format!(
            "{} cannot sort by {field} in this order: haul reads all files before it prints the first",
            spec.name
        );
        match self.limit {
            Some(_) if ctx.ui.verbosity() == 0 => {}
            Some(_) => ctx.ui.detail(&why),
            None if ctx.ui.verbosity() == 0 => {
                ctx.ui.hint(&format!("{why} and keeps them in memory; `--limit N` keeps N"));
            }
            None => ctx.ui.detail(&format!("{why} and keeps them in memory")),
        }
    }

    async fn print0(&self, ctx: &Context, mut listing: Listing) -> Result<()> {
        let mut split = 0;
        while let Some(files) = listing.next().await? {
            for file in &files {
                let text = if self.ids { &file.id.0 } else { &file.name };
                if text.contains('\0') {
                    // A reader would see two names, the second chosen by the server.
                    split += 1;
                    continue;
                }
                if ctx.ui.out_is_terminal() {
                    ctx.ui.write_text(&one_line(text))?;
                } else {
                    ctx.ui.write_text(text)?;
                }
                ctx.ui.write_bytes(b"\0")?;
            }
        }
        if split > 0 {
            let what = if self.ids { "ids" } else { "names" };
            return Err(Error::failed(format!("skipped {split}: {what} that contain NUL"))
                .hint("to see them, use `--jsonl`"));
        }
        Ok(())
    }
}

/// The fields accepted by `--sort`, besides keys of `metadata` and `extra`.
pub(super) fn sortable() -> impl Iterator<Item = &'static str> {
    File::FIELDS.into_iter().filter(|name| !matches!(*name, "checksums" | "metadata" | "extra"))
}

fn parse_sort(field: &str, descending: bool) -> Result<Sort> {
    let dotted = field.split_once('.').is_some_and(|(object, _)| matches!(object, "metadata" | "extra"));
    if dotted || sortable().any(|name| name == field) {
        return Ok(Sort { field: field.to_owned(), descending });
    }
    Err(Error::usage(format!("--sort: unknown field {field:?}"))
        .did_you_mean(field, sortable())
        .hint(format!("fields: {}, metadata.KEY", sortable().collect::<Vec<_>>().join(", "))))
}
