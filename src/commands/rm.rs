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
    haul rm --filter 'created_at < -30d' --yes\n\n\
    With `--set vector_store=ID`, files are detached from the vector store and not deleted.")]
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

const DELETED_FIELDS: [&str; 19] = File::fields_and(&["deleted", "detached_from"]);

pub(super) const DELETED_COLUMNS: Columns =
    Columns { all: &DELETED_FIELDS, shown: &["id", "name", "size", "deleted"], piped: None };

/// The columns if files are detached.
const DETACHED_COLUMNS: Columns =
    Columns { shown: &["id", "name", "size", "deleted", "detached_from"], ..DELETED_COLUMNS };

/// A deleted file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "deleted_file")]
pub(super) struct Row {
    #[serde(flatten)]
    file: File,
    /// Whether the file was deleted; false in a dry run.
    deleted: bool,
    /// The vector store from which it was detached instead; null if it was not.
    detached_from: Option<String>,
}

impl RmArgs {
    /// Deletes files.
    pub async fn run(mut self, ctx: &Context) -> Result<()> {
        self.selector = self.selector.prepare(ctx, &self.batch, Some(Op::Delete)).await?;
        let chosen: Vec<Result<Chosen>> = self.selector.files_once(ctx, Some(Op::Delete)).collect().await;
        let mut known = chosen.iter().filter_map(|chosen| chosen.as_ref().ok()).peekable();
        let detaches = known.peek().is_some() && known.all(|chosen| chosen.provider.collection().is_some());
        let (verb, done) = if detaches { ("detach", "detached") } else { ("delete", "deleted") };
        let columns = match (self.ids, detaches) {
            (true, _) => super::ls::ID_COLUMNS,
            (_, true) => DETACHED_COLUMNS,
            (_, false) => DELETED_COLUMNS,
        };
        let operation = Operation { verb, done, preposition: "from" };
        self.confirm.confirm(ctx, &chosen, self.selector.is_pattern(ctx), operation).await?;
        let rows = ctx.ui.rows(columns)?;
        let dry_run = self.confirm.dry_run;
        batch::run(
            ctx,
            &self.batch,
            match (dry_run, detaches) {
                (true, false) => Labels::of("would be deleted").in_dry_run(Some("nothing deleted")),
                (true, true) => Labels::of("would be detached").in_dry_run(Some("nothing detached")),
                (false, _) => Labels::of(done),
            },
            stream::iter(chosen),
            async |chosen: Chosen| {
                if !dry_run {
                    let deleted = chosen.provider.delete(&chosen.file.id).await;
                    deleted.map_err(|error| chosen.failed(error))?;
                }
                let collection =
                    chosen.provider.collection().map(|collection| collection.setting().1.to_owned());
                Ok((chosen.file, collection))
            },
            rows,
            |rows, (file, collection)| {
                let id = file.id.clone();
                let deleted = !dry_run && collection.is_none();
                rows.push(&Row { file, deleted, detached_from: collection.filter(|_| !dry_run) })?;
                Ok(vec![Outcome::Done(Some(id))])
            },
        )
        .await
    }
}
