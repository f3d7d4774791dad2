//! `haul rm`

use clap::Args;
use futures_util::stream::{self, StreamExt as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::batch::{self, BatchArgs, Labels};
use super::confirm::{ConfirmArgs, Operation};
use super::report::Outcome;
use super::select::{Chosen, Selector};
use crate::context::Context;
use crate::error::Result;
use crate::model::File;
use crate::providers::Op;
use crate::ui::Columns;

/// The arguments of `haul rm`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul rm report.pdf\n  \
    haul rm '*.tmp' --dry-run\n  \
    haul rm --filter 'created_at < -30d' --yes")]
#[command(mut_arg("refs", |refs| refs.required_unless_present("retry_from")))]
pub struct RmArgs {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// Print ids only
    #[arg(long)]
    ids: bool,
    #[command(flatten)]
    batch: BatchArgs,
}

const DELETED_FIELDS: [&str; 18] = File::fields_and(&["deleted"]);

pub(super) const DELETED_COLUMNS: Columns =
    Columns { all: &DELETED_FIELDS, shown: &["id", "name", "size", "deleted"], piped: None };

/// A deleted file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "deleted_file")]
pub(super) struct Deleted {
    #[serde(flatten)]
    file: File,
    /// Whether the file was deleted; false in a dry run.
    deleted: bool,
}

impl RmArgs {
    /// Deletes files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        self.selector = self.selector.prepare(ctx, &self.batch, Some(Op::Delete)).await?;
        let columns = if self.ids { super::ls::ID_COLUMNS } else { DELETED_COLUMNS };
        let chosen: Vec<Result<Chosen>> = self.selector.files_once(ctx, Some(Op::Delete)).collect().await;
        let operation = Operation { verb: "delete", done: "deleted", preposition: "from" };
        self.confirm.confirm(ctx, &chosen, self.selector.is_pattern(ctx), operation).await?;
        let rows = ctx.ui.rows(columns)?;
        let dry_run = self.confirm.dry_run;
        batch::run(
            ctx,
            &self.batch,
            Labels::of(if dry_run { "would be deleted" } else { "deleted" })
                .in_dry_run(dry_run.then_some("nothing deleted")),
            stream::iter(chosen),
            async |chosen: Chosen| {
                if !dry_run {
                    let deleted = chosen.provider.delete(&chosen.file.id).await;
                    deleted.map_err(|error| chosen.failed(error))?;
                }
                Ok(chosen.file)
            },
            rows,
            |rows, file| {
                let id = file.id.clone();
                rows.push(&Deleted { file, deleted: !dry_run })?;
                Ok(vec![Outcome::Done(Some(id))])
            },
        )
        .await
    }
}
