//! `haul rm`

use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use super::batch::{self, BatchArgs, Ended, Words};
use super::select::{Chosen, Selector};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::model::File;
use crate::ui::{Columns, human, one_line};

/// The arguments of `haul rm`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul rm report.pdf\n  \
    haul rm '*.tmp' --dry-run\n  \
    haul rm --filter 'created_at < -30d' --yes")]
pub struct RmArgs {
    #[command(flatten)]
    selector: Selector,
    /// Delete without asking
    #[arg(short, long)]
    yes: bool,
    /// Show what would be deleted
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print ids only
    #[arg(long)]
    ids: bool,
    #[command(flatten)]
    batch: BatchArgs,
}

const DELETED_FIELDS: &[&str] = &[
    "provider",
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
    "checksums",
    "metadata",
    "downloadable",
    "url",
    "extra",
    "deleted",
];

const DELETED_COLUMNS: Columns =
    Columns { all: DELETED_FIELDS, shown: &["id", "name", "size", "deleted"], piped: None };

#[derive(Serialize)]
struct Deleted {
    #[serde(flatten)]
    file: File,
    deleted: bool,
}

impl RmArgs {
    /// Deletes files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        self.selector = self.selector.or_retried(&self.batch)?;
        let columns = if self.ids { super::ls::ID_COLUMNS } else { DELETED_COLUMNS };
        let mut chosen: Vec<Result<Chosen>> = self.selector.files(ctx, None).collect().await;
        let mut seen = std::collections::HashSet::new();
        chosen.retain(|chosen| match chosen {
            Ok(chosen) => seen.insert((chosen.file.profile.clone(), chosen.file.id.clone())),
            Err(_) => true,
        });
        self.confirm(ctx, &chosen)?;
        let mut rows = ctx.ui.rows(columns)?;
        let dry_run = self.dry_run;
        batch::run(
            ctx,
            &self.batch,
            Words::of(if dry_run { "would be deleted" } else { "deleted" }),
            stream::iter(chosen),
            async |chosen: Chosen| {
                if !dry_run {
                    chosen
                        .provider
                        .delete(&chosen.file.id)
                        .await
                        .map_err(|error| error.about(chosen.file.id.to_string()))?;
                }
                Ok(chosen.file)
            },
            |file| {
                let id = file.id.clone();
                rows.push(&Deleted { file, deleted: !dry_run })?;
                Ok(vec![Ended::Done(Some(id))])
            },
        )
        .await?;
        rows.finish()
    }

    /// Asks before more than one goes; where nobody can answer, a pattern or filter needs `--yes`.
    fn confirm(&self, ctx: &Context, chosen: &[Result<Chosen>]) -> Result<()> {
        let files: Vec<&File> =
            chosen.iter().filter_map(|chosen| Some(&chosen.as_ref().ok()?.file)).collect();
        if self.yes || self.dry_run || files.is_empty() {
            return Ok(());
        }
        if !ctx.ui.can_ask() {
            if self.selector.is_pattern(ctx) {
                return Err(Error::usage(format!(
                    "{} matched: nothing was deleted",
                    human::count(files.len() as u64, "file")
                ))
                .hint("add `--yes`, or look first: `--dry-run`"));
            }
            return Ok(());
        }
        if files.len() == 1 && !self.selector.is_pattern(ctx) {
            return Ok(());
        }
        for file in files.iter().take(10) {
            ctx.ui.note(&format!("  {}  {}", file.id, one_line(&file.name)));
        }
        if files.len() > 10 {
            ctx.ui.note(&format!("  and {} more", files.len() - 10));
        }
        let bytes: u64 = files.iter().filter_map(|file| file.size).sum();
        let what = human::count(files.len() as u64, "file");
        if ctx.ui.confirm(&format!("delete {what} ({}) from {}?", human::size(bytes), files[0].profile))? {
            return Ok(());
        }
        Err(Error::failed("nothing was deleted"))
    }
}
