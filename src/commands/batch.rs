//! Many items at a time: rows as they finish, failures as they come and again at the end, one exit code for all.

use std::cell::RefCell;

use clap::Args;
use futures_util::Stream;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::transfer::Pool;

/// How many at a time, and when to stop.
#[derive(Args, Clone, Debug, Default)]
pub struct BatchArgs {
    /// Work on this many at a time [default: 8]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Start no more after the first failure
    #[arg(long)]
    pub fail_fast: bool,
}

/// How an item ended, for the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done.
    Done,
    /// There was nothing to do.
    Skipped,
}

/// Does `work` on every item and prints `show`'s row of each result as it comes. The words are for the summary, such
/// as `uploaded`.
pub async fn run<T, R, F>(
    ctx: &Context,
    args: &BatchArgs,
    done_word: &str,
    items: impl Stream<Item = Result<T>>,
    work: impl FnMut(T) -> F,
    mut show: impl FnMut(R) -> Result<Ended>,
) -> Result<()>
where
    F: Future<Output = Result<R>>,
{
    let pool = Pool {
        jobs: args.jobs.map_or(8, usize::from),
        fail_fast: args.fail_fast,
        interrupt: ctx.interrupt.clone(),
    };
    let tally = RefCell::new(Tally::default());
    let result = pool
        .run(items, work, |result| {
            let mut tally = tally.borrow_mut();
            match result.and_then(&mut show) {
                Ok(Ended::Done) => tally.done += 1,
                Ok(Ended::Skipped) => tally.skipped += 1,
                Err(error) if error.kind() == Kind::ClosedPipe => return Err(error),
                Err(error) => tally.fail(ctx, error),
            }
            Ok(())
        })
        .await;
    let tally = tally.into_inner();
    match result {
        Ok(whole) => tally.conclude(ctx, done_word, whole),
        Err(error) if error.kind() == Kind::Interrupted => {
            let count = tally.done + tally.skipped;
            Err(error.detail(format!("{count} {done_word}")).hint("run the same command again to go on"))
        }
        Err(error) => Err(error),
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    skipped: u64,
    failed: Vec<Error>,
}

impl Tally {
    /// Shows a failure as it comes, but the first only when a second shows that there are several.
    fn fail(&mut self, ctx: &Context, error: Error) {
        self.failed.push(error);
        match self.failed.len() {
            1 => {}
            2 => self.failed.iter().for_each(|error| ctx.ui.error(error)),
            _ => self.failed.last().into_iter().for_each(|error| ctx.ui.error(error)),
        }
    }

    fn conclude(mut self, ctx: &Context, done_word: &str, whole: bool) -> Result<()> {
        let Some(kind) = Error::kind_of_all(self.failed.iter().map(Error::kind)) else { return Ok(()) };
        let total = self.done + self.skipped + self.failed.len() as u64;
        if self.failed.len() == 1 {
            let error = self.failed.remove(0);
            if total > 1 {
                ctx.ui.error(&error);
                ctx.ui.note(&self.summary(done_word, 1, whole));
                return Err(error.reported());
            }
            return Err(error);
        }
        ctx.ui.note(&self.summary(done_word, self.failed.len(), whole));
        // What scrolled by among many rows is told again where it is seen.
        if total > 20 {
            for error in self.failed.iter().take(20) {
                ctx.ui.note(&format!("  {error}"));
            }
            if self.failed.len() > 20 {
                ctx.ui.note(&format!("  and {} more", self.failed.len() - 20));
            }
        }
        Err(Error::new(kind, format!("{} failed", self.failed.len())).reported())
    }

    fn summary(&self, done_word: &str, failed: usize, whole: bool) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        let rest = if whole { "" } else { ", the rest was not started" };
        format!("{} {done_word}{skipped}, {failed} failed{rest}", self.done)
    }
}
