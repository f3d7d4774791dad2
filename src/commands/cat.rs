//! `haul cat`

use clap::Args;

use super::batch::BatchArgs;
use super::get::{ContentArgs, to_stdout};
use super::select::Selector;
use crate::context::Context;
use crate::error::Result;
use crate::providers::Op;

/// The arguments of `haul cat`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul cat notes.md\n  \
    haul cat '*.csv' | wc -l\n  \
    haul cat xai:file_1 local:notes.md > both.txt\n\n\
    The same as `haul get REF -o -`, except that binary content is not written to a terminal. All files are looked up \
    before the first one is written, so a missing file causes an error and no output.")]
pub struct CatArgs {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    content: ContentArgs,
}

impl CatArgs {
    /// The signed link given with `--link`.
    pub fn link(&self) -> Option<&str> {
        self.content.link.as_deref()
    }

    /// Writes the content of files to standard output.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let selector = self.selector.prepare(ctx, &BatchArgs::default(), Some(Op::Download)).await?;
        to_stdout(ctx, &selector, &self.content, false).await
    }
}
