//! Asks for confirmation before changing several files.

use std::collections::BTreeSet;

use clap::Args;

use super::select::Chosen;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::human;
use crate::model::File;
use crate::ui::one_line;

/// The options of commands that change files.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ConfirmArgs {
    /// Do not ask for confirmation, even for a pattern or filter
    #[arg(short, long)]
    pub yes: bool,
    /// Show the files that would change, without changing them
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// The words for an operation on files, used in the confirmation question and in messages.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The infinitive, such as `delete`.
    pub verb: &'static str,
    /// The participle, such as `deleted`.
    pub done: &'static str,
    /// The preposition before the profile's name, such as `from`.
    pub preposition: &'static str,
}

impl ConfirmArgs {
    /// Asks before changing several files, or files selected by a pattern or filter. Without a terminal, a pattern or
    /// filter requires `--yes`.
    pub async fn confirm(
        self,
        ctx: &Context,
        chosen: &[Result<Chosen>],
        is_pattern: bool,
        operation: Operation,
    ) -> Result<()> {
        if ctx.interrupt.is_cancelled() {
            return Err(ctx.interrupt.error());
        }
        let files: Vec<&File> =
            chosen.iter().filter_map(|chosen| Some(&chosen.as_ref().ok()?.file)).collect();
        if self.yes || self.dry_run || files.is_empty() {
            return Ok(());
        }
        let Operation { verb, done, preposition } = operation;
        if !ctx.ui.can_ask() {
            if is_pattern {
                let count = human::count(files.len() as u64, "file");
                return Err(Error::usage(format!("{count} matched, nothing {done}"))
                    .hint("add `--yes` to confirm, or `--dry-run` to see the files"));
            }
            return Ok(());
        }
        if files.len() == 1 && !is_pattern {
            return Ok(());
        }
        for file in files.iter().take(10) {
            ctx.ui.note(&format!("  {}  {}", file.id, one_line(&file.name)));
        }
        if files.len() > 10 {
            ctx.ui.note(&format!("  and {} more", files.len() - 10));
        }
        let what = human::count(files.len() as u64, "file");
        let profiles: BTreeSet<&str> = files.iter().map(|file| file.profile.as_str()).collect();
        let profiles = profiles.into_iter().collect::<Vec<_>>().join(", ");
        let question = format!(
            "{verb} {what}{} {preposition} {profiles}?",
            human::total(files.iter().map(|file| file.size))
        );
        if ctx.ask(move |ui| ui.confirm(&question)).await? {
            return Ok(());
        }
        let answered = Error::failed(format!("nothing {done}"));
        if ctx.ui.is_json() {
            return Err(answered);
        }
        ctx.ui.note(answered.message());
        Err(answered.reported())
    }
}
