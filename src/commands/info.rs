//! `haul info`

use clap::Args;

use super::batch::{self, BatchArgs, Labels};
use super::report::Outcome;
use super::select::Selector;
use crate::context::Context;
use crate::error::Result;
use crate::model::File;
use crate::ui::Columns;

const INFO_COLUMNS: Columns = Columns { all: &File::FIELDS, shown: &File::FIELDS, piped: None };

/// The arguments of `haul info`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul info report.pdf\n  \
    haul info xai:file_1 replicate:NGZi --json")]
#[command(mut_arg("refs", |refs| refs.required_unless_present("retry_from")))]
pub struct InfoArgs {
    #[command(flatten)]
    selector: Selector,
    /// Print ids only
    #[arg(long)]
    ids: bool,
    #[command(flatten)]
    batch: BatchArgs,
}

impl InfoArgs {
    /// Shows all properties of files.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let columns = if self.ids { super::ls::ID_COLUMNS } else { INFO_COLUMNS };
        let rows = if self.ids { ctx.ui.rows(columns)? } else { ctx.ui.records(columns)? };
        let selector = self.selector.prepare(ctx, &self.batch, None).await?;
        let files = selector.files(ctx, None);
        batch::run(
            ctx,
            &self.batch,
            Labels::of("shown").without_summary(),
            files,
            async |chosen| Ok(chosen.file),
            rows,
            |rows, file| {
                rows.push(&file)?;
                rows.flush()?;
                Ok(vec![Outcome::Done(Some(file.id))])
            },
        )
        .await
    }
}
