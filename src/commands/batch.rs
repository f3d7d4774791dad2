//! Runs an operation on many items concurrently: prints rows and failures as they arrive, then a summary, and returns
//! one exit code.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use futures_util::{FutureExt as _, Stream};

use super::report::{Ended, Entry, Report, Reported, failed_of};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::transfer::{Jobs, Pool};
use crate::ui::Rows;

/// The options of commands that process many files.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Many files")]
pub struct BatchArgs {
    /// Number of parallel transfers [default: 8, up to 32 on slow connections]
    #[arg(short, long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Stop after the first failure
    #[arg(long, hide_short_help = true)]
    pub fail_fast: bool,
    /// Write a JSON line per item to this file
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub report: Option<PathBuf>,
    /// Retry the failed items of this report
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub retry_from: Option<PathBuf>,
}

impl BatchArgs {
    /// The items selected by `--retry-from`; `None` without the option.
    pub fn retried(&self) -> Result<Option<Vec<Entry>>> {
        self.retry_from.as_deref().map(failed_of).transpose()
    }
}

/// The wording of a command's summary.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The operation as a participle, such as `uploaded`.
    pub done: &'static str,
    /// The hint after a signal, if at least one item was done.
    pub resume_hint: &'static str,
}

impl Words {
    /// The wording of a command that continues when it is run again unchanged.
    pub const fn of(done: &'static str) -> Self {
        Self { done, resume_hint: "run the same command again to continue" }
    }
}

/// Runs `work` on every unit and passes each result to `show` as it arrives. `show` pushes the rows and returns the
/// outcome of each item of the unit. All rows are written before the summary.
pub async fn run<T, R, F>(
    ctx: &Context,
    args: &BatchArgs,
    words: Words,
    items: impl Stream<Item = Result<T>>,
    mut work: impl FnMut(T) -> F,
    mut rows: Rows,
    mut show: impl FnMut(&mut Rows, R) -> Result<Vec<Ended>>,
) -> Result<()>
where
    T: Reported,
    F: Future<Output = Result<R>>,
{
    let throttled = || ctx.throttled();
    let pool = Pool {
        jobs: args.jobs.map_or(Jobs::Usual, |jobs| Jobs::Fixed(usize::from(jobs))),
        fail_fast: args.fail_fast,
        interrupt: ctx.interrupt.clone(),
        throttled: &throttled,
    };
    let report = Report::create(args.report.as_deref())?;
    let mut tally = Tally::default();
    // The items of the unit that failed last; its error does not contain them.
    let failed: RefCell<Vec<Entry>> = RefCell::default();
    let (failed, reported) = (&failed, report.is_enabled());
    let work = |item: T| {
        let entries = if reported { item.entries() } else { Vec::new() };
        work(item).map(move |result| match result {
            Ok(result) => Ok((entries, result)),
            Err(error) => {
                *failed.borrow_mut() = entries;
                Err(error)
            }
        })
    };
    let result = pool
        .run(items, work, |result| {
            let shown = result.and_then(|(entries, result)| Ok((entries, show(&mut rows, result)?)));
            match shown {
                Ok((entries, ended)) => {
                    for (entry, ended) in entries.iter().zip(&ended) {
                        report.ended(entry, ended)?;
                    }
                    for ended in &ended {
                        tally.count(ended);
                    }
                    Ok(())
                }
                Err(error) if error.kind() == Kind::ClosedPipe => Err(error),
                Err(error) => {
                    let mut entries = failed.take();
                    if entries.is_empty() {
                        let reference = error.reference().map(str::to_owned);
                        entries.push(Entry { reference, name: None });
                    }
                    for entry in &entries {
                        report.failed(entry, &error)?;
                    }
                    if !error.is_interrupted() {
                        tally.fail(ctx, error);
                    }
                    Ok(())
                }
            }
        })
        .await;
    let written = rows.finish();
    match result {
        Ok(whole) => {
            tally.conclude(ctx, words, whole)?;
            written
        }
        Err(error) if error.is_interrupted() => {
            let count = tally.done + tally.skipped;
            let hint = if count == 0 { Words::of("").resume_hint } else { words.resume_hint };
            Err(error.detail(format!("{count} {}", words.done)).hint(hint))
        }
        Err(error) => Err(error),
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    skipped: u64,
    failed: Vec<Error>,
    /// The hints shown so far.
    hints: HashSet<String>,
}

impl Tally {
    fn count(&mut self, ended: &Ended) {
        match ended {
            Ended::Done(_) => self.done += 1,
            Ended::Skipped(_) => self.skipped += 1,
        }
    }

    /// Records a failure and shows it. The first one is held back until there is a second: [`conclude`](Self::conclude)
    /// shows a single failure. A refused token is shown once for all items.
    fn fail(&mut self, ctx: &Context, error: Error) {
        let refused = |error: &Error| error.kind() == Kind::Auth && error.status() != Some(403);
        if refused(&error) && self.failed.iter().any(refused) {
            return;
        }
        self.failed.push(error);
        match self.failed.len() {
            1 => {}
            2 => (0..2).for_each(|at| self.show(ctx, at)),
            count => self.show(ctx, count - 1),
        }
    }

    /// Shows a failure; in text output each distinct hint appears once.
    fn show(&mut self, ctx: &Context, at: usize) {
        let error = self.failed[at].clone();
        if ctx.ui.is_json() {
            return ctx.ui.error(&error);
        }
        ctx.ui.error(&error.keep_hints(|hint| self.hints.insert(hint.to_owned())));
    }

    fn conclude(mut self, ctx: &Context, words: Words, whole: bool) -> Result<()> {
        let Some(kind) = Error::kind_of_all(self.failed.iter().map(Error::kind)) else { return Ok(()) };
        let total = self.done + self.skipped + self.failed.len() as u64;
        if self.failed.len() == 1 {
            let error = self.failed.remove(0);
            if total > 1 {
                ctx.ui.error(&error);
                ctx.ui.note(&self.summary(words, 1, whole));
                return Err(error.reported());
            }
            return Err(error);
        }
        ctx.ui.note(&self.summary(words, self.failed.len(), whole));
        // Among many rows failures scroll out of view, so the summary repeats them.
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

    fn summary(&self, words: Words, failed: usize, whole: bool) -> String {
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        let rest = if whole { "" } else { ", the rest not started" };
        format!("{} {}{skipped}, {failed} failed{rest}", self.done, words.done)
    }
}
