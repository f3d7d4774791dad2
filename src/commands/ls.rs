//! `haul ls`

use std::sync::Arc;

use clap::Args;

use super::select::combine;
use crate::context::Context;
use crate::error::{Error, Result, nearest};
use crate::model::File;
use crate::providers::{Listing, Query, Sort};
use crate::ui::Columns;

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
    haul ls -p xai --filter 'size > 10MB AND expires_at < +24h' --json")]
pub struct LsArgs {
    /// List files whose name matches, such as '*.pdf'
    pub glob: Option<String>,
    /// List files that this expression matches (`haul help filters`)
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Sort by this field, smallest first
    #[arg(long, value_name = "FIELD")]
    pub sort: Option<String>,
    /// Turn the order round
    #[arg(long, requires = "sort")]
    pub reverse: bool,
    /// List at most this many
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Ask the platform for this many a page
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub page_size: Option<u32>,
    /// Start at this page; -v tells the next
    #[arg(long, value_name = "TOKEN", hide_short_help = true)]
    pub cursor: Option<String>,
    /// Print ids only
    #[arg(long, conflicts_with = "long")]
    pub ids: bool,
    /// End each id or name with NUL, for `xargs -0`
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
            filter: combine(ctx, provider.spec(), self.filter.as_deref(), self.glob.as_deref())?,
            sort: self.sort.as_deref().map(|field| parse_sort(field, self.reverse)).transpose()?,
            limit: self.limit,
            page_size: self.page_size,
        };
        let columns = if self.ids {
            ID_COLUMNS
        } else if self.long {
            LONG_COLUMNS
        } else {
            FILE_COLUMNS
        };
        let mut listing = Listing::new(Arc::clone(&provider), query, self.cursor.clone());
        if listing.holds_all() {
            ctx.ui.detail(&format!(
                "{} does not sort: all files are read before the first is shown",
                provider.spec().name
            ));
        }
        if self.print0 {
            return self.print0(ctx, listing).await;
        }
        let mut rows = ctx.ui.rows(columns)?;
        let mut count = 0;
        while let Some(files) = listing.next().await? {
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
            if self.filter.is_some() || self.glob.is_some() {
                ctx.ui
                    .hint(&format!("no file on {} matches; `haul ls -p {0}` lists all", provider.profile()));
                return Ok(());
            }
            ctx.ui.hint(&format!("no files on {}; `haul upload FILE` puts one there", provider.profile()));
        }
        Ok(())
    }

    async fn print0(&self, ctx: &Context, mut listing: Listing) -> Result<()> {
        while let Some(files) = listing.next().await? {
            for file in &files {
                let text = if self.ids { &file.id.0 } else { &file.name };
                ctx.ui.write_bytes(text.as_bytes())?;
                ctx.ui.write_bytes(b"\0")?;
            }
        }
        Ok(())
    }
}

fn parse_sort(field: &str, descending: bool) -> Result<Sort> {
    let sortable =
        |name: &str| File::FIELDS.contains(&name) && !matches!(name, "checksums" | "metadata" | "extra");
    let dotted = field.split_once('.').is_some_and(|(object, _)| matches!(object, "metadata" | "extra"));
    if sortable(field) || dotted {
        return Ok(Sort { field: field.to_owned(), descending });
    }
    let names: Vec<&str> = File::FIELDS.into_iter().filter(|name| sortable(name)).collect();
    let mut error = Error::usage(format!("--sort: no field is called {field:?}"));
    if let Some(near) = nearest(field, names.iter().copied()) {
        error = error.hint(format!("did you mean `{near}`?"));
    }
    Err(error.hint(format!("fields: {}, metadata.KEY", names.join(", "))))
}
