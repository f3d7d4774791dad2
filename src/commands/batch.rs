//! Runs an operation on many items concurrently, prints rows and failures as they arrive and a summary at the end,
//! and returns a single exit code.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _};

use super::report::{Entry, Outcome, Report, Reported, Unfinished, unfinished_of};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::transfer::{Jobs, Pool};
use crate::ui::Rows;

/// The option of commands that work in parallel.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct JobsArgs {
    /// Number of parallel transfers [default: 8, up to 32 on slow connections]
    #[arg(short, long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
}

impl JobsArgs {
    /// One item at a time, in order.
    pub const ONE: Self = Self { jobs: Some(1) };
}

/// The options of commands that process many files.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Many files")]
pub struct BatchArgs {
    #[command(flatten)]
    pub jobs: JobsArgs,
    /// Stop after the first failure
    #[arg(long, hide_short_help = true)]
    pub fail_fast: bool,
    /// Write a JSON line per item to this file
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub report: Option<PathBuf>,
    /// Retry the failed items in this report and start those that were not started
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub retry_from: Option<PathBuf>,
}

impl BatchArgs {
    /// The items selected by `--retry-from`; `None` without the option.
    pub fn retried(&self) -> Result<Option<Vec<Entry>>> {
        let entries = |items: Vec<Unfinished>| items.into_iter().map(|item| item.entry).collect();
        Ok(self.unfinished()?.map(entries))
    }

    /// The unfinished items selected by `--retry-from`, with the work that is left for each.
    pub(super) fn unfinished(&self) -> Result<Option<Vec<Unfinished>>> {
        self.retry_from.as_deref().map(unfinished_of).transpose()
    }
}

/// Time allowed after a signal for listing the items that were not started.
const LISTING: Duration = Duration::from_millis(500);

/// The words used in a command's summary.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// The operation as a participle, such as `uploaded`.
    pub done: &'static str,
    /// The participle for items that needed no work.
    pub skipped: &'static str,
    /// Whether to print a summary even if everything succeeded.
    pub summarizes: bool,
    /// In a dry run, the text that reports that nothing was changed, such as `nothing uploaded`.
    pub dry_run: Option<&'static str>,
    /// The hint printed after a signal if at least one item was completed.
    pub resume_hint: &'static str,
    /// A note printed before the summary.
    pub note: Option<&'a dyn Fn() -> Option<String>>,
    /// Runs after the last item, unless the command was interrupted.
    pub last: Option<&'a dyn Fn() -> LocalBoxFuture<'a, ()>>,
}

impl Labels<'_> {
    /// The words for a command that can be continued by running it again unchanged.
    pub const fn of(done: &'static str) -> Self {
        let resume_hint = "run the same command again to continue";
        Self {
            done,
            skipped: "skipped",
            summarizes: true,
            dry_run: None,
            resume_hint,
            note: None,
            last: None,
        }
    }

    /// The words for a dry run, if `statement` is given.
    #[must_use]
    pub const fn in_dry_run(self, statement: Option<&'static str>) -> Self {
        Self { dry_run: statement, ..self }
    }

    fn say_note(&self, ctx: &Context) {
        if let Some(text) = self.note.and_then(|note| note()) {
            ctx.ui.note(&text);
        }
    }

    /// The words for a command that only reads.
    #[must_use]
    pub const fn without_summary(self) -> Self {
        Self { summarizes: false, ..self }
    }
}

/// Runs `work` on every unit and passes each result to `show` as it arrives. `show` writes the rows and returns the
/// outcome of each item in the unit. All rows are written before the summary.
pub async fn run<T, R, F>(
    ctx: &Context,
    args: &BatchArgs,
    words: Labels<'_>,
    items: impl Stream<Item = Result<T>>,
    mut work: impl FnMut(T) -> F,
    mut rows: Rows,
    mut show: impl FnMut(&mut Rows, R) -> Result<Vec<Outcome>>,
) -> Result<()>
where
    T: Reported,
    F: Future<Output = Result<R>>,
{
    let throttled = || ctx.throttled();
    let pool = Pool {
        jobs: args.jobs.jobs.map_or(Jobs::Usual, |jobs| Jobs::Fixed(usize::from(jobs))),
        fail_fast: args.fail_fast,
        interrupt: ctx.interrupt.clone(),
        throttled: &throttled,
    };
    let report = Report::create(args.report.as_deref())?;
    let mut tally = Tally::default();
    // The items of each running unit, and of the unit that failed last, whose error does not contain them.
    let (running, failed) = (RefCell::new(BTreeMap::new()), RefCell::default());
    let (running, failed, reported) = (&running, &failed, report.is_enabled());
    let mut units = 0_u64;
    let work = |item: T| {
        units += 1;
        let number = units;
        running.borrow_mut().insert(number, if reported { item.entries() } else { Vec::new() });
        work(item).map(move |result| {
            let entries = running.borrow_mut().remove(&number).unwrap_or_default();
            match result {
                Ok(result) => Ok((entries, result)),
                Err(error) => {
                    *failed.borrow_mut() = entries;
                    Err(error)
                }
            }
        })
    };
    let mut items = pin!(items.fuse().peekable());
    let result = pool
        .run(items.as_mut(), work, |result| {
            let error = match result {
                Ok((entries, result)) => match show(&mut rows, result) {
                    Ok(outcomes) => {
                        for (entry, ended) in entries.iter().zip(&outcomes) {
                            report.ended(entry, ended)?;
                        }
                        let counted = outcomes.into_iter().map(|ended| tally.count(ctx, ended));
                        return Ok(counted.filter(|good| !good).count() == 0);
                    }
                    // Only writing the output failed.
                    Err(error) => {
                        for entry in &entries {
                            report.ended(entry, &Outcome::Done(None))?;
                        }
                        error
                    }
                },
                Err(error) => {
                    let mut entries: Vec<Entry> = failed.take();
                    if entries.is_empty() {
                        entries.push(entry_of(&error));
                    }
                    for entry in &entries {
                        report.failed(entry, &error)?;
                    }
                    error
                }
            };
            match error.kind() {
                Kind::ClosedPipe => return Err(error),
                Kind::Interrupted(_) => {}
                _ => tally.fail(ctx, error),
            }
            Ok(false)
        })
        .await;
    // The pool does not know whether the item that stopped it was the last one.
    let result = result.map(|whole| {
        whole || {
            ctx.interrupt.stop();
            matches!(items.as_mut().peek().now_or_never(), Some(None))
        }
    });
    let mut recorded = Ok(());
    if reported && !matches!(result, Ok(true)) {
        ctx.interrupt.stop();
        let aborted = match &result {
            Err(error) if error.kind() != Kind::ClosedPipe => error.clone(),
            _ => Error::failed("interrupted because the command stopped"),
        };
        recorded = running.take().values().flatten().try_for_each(|entry| report.failed(entry, &aborted));
        if recorded.is_ok() {
            let listed = list_rest(ctx, &report, items).await;
            recorded = listed.map(|count| tally.not_started = count);
        }
    }
    let written = rows.finish();
    match result {
        Ok(whole) => {
            if let Some(last) = words.last {
                last().await;
            }
            tally.conclude(ctx, words, whole)?;
            recorded.and(written)
        }
        Err(error) if error.kind() == Kind::ClosedPipe => Err(error),
        Err(error) => Err(tally.stop(ctx, words, error)),
    }
}

/// The report entry for an item that could not be prepared.
fn entry_of(error: &Error) -> Entry {
    let (reference, name) = error.item();
    Entry { reference: reference.map(str::to_owned), name: name.map(str::to_owned) }
}

/// Reports the items that were not started and returns their number. After a signal, only items that are available
/// without waiting are reported, for a limited time. An entry without a reference represents the rest, whose number is
/// then unknown: the result is `None`.
async fn list_rest<T: Reported>(
    ctx: &Context,
    report: &Report,
    mut items: Pin<&mut impl Stream<Item = Result<T>>>,
) -> Result<Option<u64>> {
    let count = Cell::new(0_u64);
    let list = |item: Result<T>| {
        let entries = match item {
            Ok(item) => item.entries(),
            Err(error) => vec![entry_of(&error)],
        };
        count.set(count.get() + entries.len() as u64);
        entries.iter().try_for_each(|entry| report.not_started(entry))
    };
    let patiently = async {
        while let Some(item) = items.next().await {
            list(item)?;
        }
        Ok::<(), Error>(())
    };
    match ctx.interrupt.until_cancelled(patiently).await {
        Err(error) if error.is_interrupted() => {}
        listed => return listed.map(|()| Some(count.get())),
    }
    let begun = Instant::now();
    while begun.elapsed() < LISTING {
        match items.next().now_or_never() {
            Some(Some(item)) => list(item)?,
            Some(None) => return Ok(Some(count.get())),
            None => break,
        }
    }
    report.not_started(&Entry { reference: None, name: None })?;
    Ok(None)
}

#[derive(Default)]
struct Tally {
    done: u64,
    skipped: u64,
    failed: Vec<Error>,
    /// The number of items that were not started, if known.
    not_started: Option<u64>,
    /// The hints shown so far.
    hints: HashSet<String>,
}

impl Tally {
    /// Counts an item and prints its error. Returns whether the item succeeded.
    fn count(&mut self, ctx: &Context, ended: Outcome) -> bool {
        match ended {
            Outcome::Done(_) => self.done += 1,
            Outcome::Skipped(_) => self.skipped += 1,
            Outcome::Kept { error, .. } => {
                self.fail(ctx, error);
                return false;
            }
        }
        true
    }

    /// Records a failure and prints it. The first failure is held back until a second one occurs;
    /// [`conclude`](Self::conclude) prints a single failure itself. A rejected token is printed once for all items.
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

    /// Prints a failure. In text output, each distinct hint appears only once.
    fn show(&mut self, ctx: &Context, at: usize) {
        let error = self.failed[at].clone();
        if ctx.ui.is_json() {
            return ctx.ui.error(&error);
        }
        ctx.ui.error(&error.keep_hints(|hint| self.hints.insert(hint.to_owned())));
    }

    /// Prints the failure that is held back, if it is the only one.
    fn show_single(&mut self, ctx: &Context) {
        if self.failed.len() == 1 {
            self.show(ctx, 0);
        }
    }

    /// Adds the counts to the error caused by a signal. Other errors are returned unchanged.
    fn stop(mut self, ctx: &Context, words: Labels<'_>, error: Error) -> Error {
        self.show_single(ctx);
        words.say_note(ctx);
        if !error.is_interrupted() {
            return error;
        }
        let is_begun = self.done + self.skipped > 0;
        let hint = if is_begun { words.resume_hint } else { Labels::of("").resume_hint };
        error.detail(self.counts(words, true)).hint(hint)
    }

    /// Prints the summary, unless the command processed a single item, and returns the command's error.
    fn conclude(mut self, ctx: &Context, words: Labels<'_>, whole: bool) -> Result<()> {
        let total = self.done + self.skipped + self.failed.len() as u64;
        let is_single = total <= 1 && whole;
        if self.failed.is_empty() || is_single {
            words.say_note(ctx);
        }
        let Some(kind) = Error::kind_of_all(self.failed.iter().map(Error::kind)) else {
            let counts = self.counts(words, whole);
            match words.dry_run {
                Some(statement) if is_single => ctx.ui.note(&format!("dry run: {statement}")),
                Some(statement) => ctx.ui.note(&format!("dry run: {statement}; {counts}")),
                None if is_single || ctx.ui.is_json() || !words.summarizes => {}
                None => ctx.ui.note(&counts),
            }
            return Ok(());
        };
        if is_single {
            return Err(self.failed.remove(0));
        }
        self.show_single(ctx);
        // Failures scroll out of view among many rows, so repeat them before the summary.
        if total > 20 && self.failed.len() > 1 {
            for error in self.failed.iter().take(20) {
                ctx.ui.note(&format!("  {error}"));
            }
            if self.failed.len() > 20 {
                ctx.ui.note(&format!("  and {} more", self.failed.len() - 20));
            }
        }
        words.say_note(ctx);
        ctx.ui.note(&self.counts(words, whole));
        Err(Error::new(kind, format!("{} failed", self.failed.len())).reported())
    }

    /// The nonzero counts, such as `12 uploaded, 3 unchanged, 1 failed`.
    fn counts(&self, words: Labels<'_>, whole: bool) -> String {
        let in_conflict = self.failed.iter().filter(|error| error.kind() == Kind::Conflict).count() as u64;
        let failed = self.failed.len() as u64 - in_conflict;
        let not_started = self.not_started.unwrap_or_default();
        let counts = [
            (self.done, words.done),
            (self.skipped, words.skipped),
            (in_conflict, "in conflict"),
            (failed, "failed"),
            (not_started, "not started"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        if parts.is_empty() {
            parts.push(format!("0 {}", words.done));
        }
        if !whole && self.not_started.is_none() {
            parts.push("the rest not started".to_owned());
        }
        parts.join(", ")
    }
}
