//! Shows the progress of a transfer as bars on a terminal, lines in a log or JSON events.
//!
//! Reporting the bytes of an item is one atomic store. A thread reads the counts several times a second; it starts
//! with the first item and ends with the job.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::rows::json_line;
use super::streams::{Shared, lock};
use super::tally::{Slot, Snapshot, Tally, percent};
use super::text;
use crate::human;
use crate::progress::{Outcome, Progress};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Bars on a terminal.
    Bars,
    /// Lines, if `--progress always` is given and bars cannot be shown.
    Lines,
    /// Infrequent lines, for a CI job's log.
    Log,
    /// One JSON object per line.
    Events,
}

impl Style {
    /// The interval between updates.
    fn interval(self) -> Duration {
        Duration::from_millis(match self {
            Self::Bars => 100,
            Self::Events => 200,
            Self::Lines | Self::Log => 500,
        })
    }
}

/// The delay before bars appear, so that short transfers do not show any.
const BARS_AFTER: Duration = Duration::from_millis(250);
/// When the first line is printed.
const LINES_AFTER: Duration = Duration::from_secs(2);
/// The interval between lines.
const LINES_EVERY: Duration = Duration::from_secs(10);
/// In a CI job's log, when the first line is printed, and the interval between lines.
const LOG_EVERY: Duration = Duration::from_secs(30);
/// The maximum number of items with their own bar; the total includes all items.
const MAX_ITEMS: usize = 8;
/// The minimum and maximum length of a bar in columns. If there is less space, the bar is omitted because the
/// percentage is more useful.
const BAR_LENGTH: (usize, usize) = (6, 24);
/// The indent of the items below the total.
const INDENT: usize = 2;

/// A line printed to stderr by `--progress json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(rename = "progress_event")]
pub enum Event<'a> {
    /// The totals known so far.
    Total {
        /// The number of items.
        items: u64,
        /// The number of bytes.
        total: u64,
    },
    /// The start of an item.
    Start(ItemAt<'a>),
    /// The progress of an item. If the number of bytes decreases, the transfer has started over.
    Progress(ItemAt<'a>),
    /// The end of an item.
    Finish {
        /// The final state of the item.
        #[serde(flatten)]
        at: ItemAt<'a>,
        /// The outcome of the item.
        outcome: Outcome,
    },
}

/// The progress of an item.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ItemAt<'a> {
    /// The number of the item within this command, starting at 1. Several items can have the same name.
    item: u64,
    /// The name of the item.
    name: &'a str,
    /// The number of bytes transferred, counted from the start of the file.
    bytes: u64,
    /// The size in bytes, if known.
    total: Option<u64>,
}

/// A transfer of one or more items.
pub(super) struct Job {
    style: Style,
    streams: Arc<Shared>,
    begun: Instant,
    tally: Mutex<Tally>,
    view: Mutex<View>,
}

/// The content of the screen. Its lock is held while bars or other text are written.
struct View {
    bars: Bars,
    next_line: Duration,
    /// Dropping the sender stops the thread.
    ticker: Option<Sender<()>>,
    is_over: bool,
}

impl Job {
    pub fn new(style: Style, streams: Arc<Shared>) -> Arc<Self> {
        let target = match style {
            // `Bars::redraw` draws complete frames; this rate applies to the updates before that.
            Style::Bars => ProgressDrawTarget::stderr_with_hz(1),
            Style::Lines | Style::Log | Style::Events => ProgressDrawTarget::hidden(),
        };
        Self::on(target, style, streams)
    }

    fn on(target: ProgressDrawTarget, style: Style, streams: Arc<Shared>) -> Arc<Self> {
        let bars = Bars { all: MultiProgress::with_draw_target(target), shown: Vec::new(), column: 0 };
        let next_line = if style == Style::Log { LOG_EVERY } else { LINES_AFTER };
        let view = View { bars, next_line, ticker: None, is_over: false };
        let (tally, view) = (Mutex::default(), Mutex::new(view));
        Arc::new(Self { style, streams, begun: Instant::now(), tally, view })
    }

    /// Hides the bars while `write` runs.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        lock(&self.view).bars.aside(write)
    }

    /// Shows the progress at the time `elapsed` after the start.
    fn tick(&self, elapsed: Duration) {
        match self.style {
            Style::Bars if elapsed < BARS_AFTER => {}
            Style::Bars => {
                let snapshot = lock(&self.tally).snapshot(elapsed);
                let mut view = lock(&self.view);
                if !view.is_over {
                    view.bars.draw(&snapshot, self.streams.screen_width());
                }
            }
            Style::Lines | Style::Log => {
                // Take a snapshot on every tick, because the rate is computed from those of the last few
                // seconds.
                let snapshot = lock(&self.tally).snapshot(elapsed);
                let mut view = lock(&self.view);
                if elapsed >= view.next_line && !view.is_over {
                    let every = if self.style == Style::Log { LOG_EVERY } else { LINES_EVERY };
                    view.next_line = elapsed.saturating_add(every);
                    self.streams.err(&format!("{snapshot}\n"));
                }
            }
            Style::Events => {
                // The lock ensures that these events precede the item's `finish`.
                let tally = lock(&self.tally);
                tally.moved().iter().for_each(|slot| self.event(&Event::Progress(at(slot))));
            }
        }
    }

    /// Starts the thread that reads the counts.
    fn watch(self: &Arc<Self>) {
        let mut view = lock(&self.view);
        if view.ticker.is_some() || view.is_over {
            return;
        }
        let (stop, stopped) = mpsc::channel();
        let (job, interval): (Weak<Self>, _) = (Arc::downgrade(self), self.style.interval());
        let watch = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let Some(job) = job.upgrade() else { break };
                job.tick(job.begun.elapsed());
            }
        };
        // Without a thread, the transfer continues without showing progress.
        if std::thread::Builder::new().name("progress".to_owned()).spawn(watch).is_ok() {
            view.ticker = Some(stop);
        }
    }

    /// Removes the bars and stops the thread.
    fn end(&self) {
        let mut view = lock(&self.view);
        view.is_over = true;
        view.ticker = None;
        view.bars.clear();
    }

    fn event(&self, event: &Event) {
        self.streams.err(&json_line(event));
    }
}

fn at(slot: &Slot) -> ItemAt<'_> {
    ItemAt { item: slot.number, name: &slot.name, bytes: slot.at.load(Relaxed), total: slot.size() }
}

/// The progress of a transfer.
pub(super) struct Root(pub Arc<Job>);

impl Progress for Root {
    fn expect(&self, items: u64, bytes: u64) {
        lock(&self.0.tally).expect(items, bytes);
        if self.0.style == Style::Events {
            self.0.event(&Event::Total { items, total: bytes });
        }
    }

    fn item(&self, name: &str, size: Option<u64>) -> Arc<dyn Progress> {
        self.0.watch();
        let mut tally = lock(&self.0.tally);
        let slot = tally.begin(name, size);
        if self.0.style == Style::Events {
            self.0.event(&Event::Start(at(&slot)));
        }
        Arc::new(Item { job: Arc::clone(&self.0), slot })
    }

    fn finish(&self, _outcome: Outcome) {
        self.0.end();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The progress of one item.
struct Item {
    job: Arc<Job>,
    slot: Arc<Slot>,
}

impl Progress for Item {
    fn at(&self, bytes: u64) {
        self.slot.at.store(bytes, Relaxed);
    }

    fn size(&self, bytes: u64) {
        lock(&self.job.tally).learn_size(&self.slot, bytes);
    }

    fn resume(&self, bytes: u64) {
        self.slot.from.store(bytes, Relaxed);
        self.at(bytes);
    }

    fn finish(&self, outcome: Outcome) {
        let mut tally = lock(&self.job.tally);
        if tally.end(&self.slot, Some(outcome)) && self.job.style == Style::Events {
            self.job.event(&Event::Finish { at: at(&self.slot), outcome });
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // An item dropped without an outcome was abandoned.
        lock(&self.job.tally).end(&self.slot, None);
    }
}

/// The last lines on the terminal: the total and the first running items.
struct Bars {
    all: MultiProgress,
    shown: Vec<ProgressBar>,
    /// The width of the names. It never shrinks, so that the graphs stay in place.
    column: usize,
}

impl Bars {
    fn draw(&mut self, snapshot: &Snapshot, width: usize) {
        let lines = lines(snapshot);
        self.truncate(lines.len());
        let longest = lines.iter().map(|line| line.indent + line.name.width()).max().unwrap_or_default();
        let usual = longest.max(self.column).min(width / 3).max(8);
        let items: Vec<&str> = lines.iter().skip(1).map(|line| line.name.as_str()).collect();
        let part = |column: usize| text::best_ends(&items, column.saturating_sub(INDENT));
        // Widen the column if different names would look the same.
        let mut widths = usual..=(width * 2 / 5).max(usual);
        let column = widths.find(|&column| part(column).1).unwrap_or(usual);
        self.column = column;
        let part = part(column).0;
        for (index, line) in lines.iter().enumerate() {
            if index == self.shown.len() {
                self.shown.push(self.all.add(ProgressBar::new(100)));
            }
            line.set(&self.shown[index], width, column, part);
        }
        self.redraw();
    }

    /// Runs `write` while no bars are on the screen. `MultiProgress::suspend` would panic if the terminal is gone.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.shown.is_empty() {
            return write();
        }
        let _ = self.all.clear();
        let written = write();
        self.redraw();
        written
    }

    fn clear(&mut self) {
        if !self.shown.is_empty() {
            self.truncate(0);
            let _ = self.all.clear();
        }
    }

    /// Draws all bars in one frame.
    fn redraw(&self) {
        if let Some(bar) = self.shown.last() {
            bar.force_draw();
        }
    }

    fn truncate(&mut self, length: usize) {
        for bar in self.shown.drain(length.min(self.shown.len())..) {
            self.all.remove(&bar);
        }
    }
}

/// A line with a bar: `name  ━━━━━─────  45%  state`.
struct Line {
    /// The name on one line, with unsafe characters escaped.
    name: String,
    indent: usize,
    percent: Option<u64>,
    /// The state, followed by shorter forms of it.
    states: Vec<String>,
}

impl Line {
    /// Applies the line to a bar with 100 steps. If there is no room for the graph, a shorter state is used; on a
    /// narrow terminal, the graph is omitted. `column` is the width of the name, and `part` is the part of a
    /// longer name that is shown.
    fn set(&self, bar: &ProgressBar, width: usize, column: usize, part: text::Part) {
        let number = if self.percent.is_some() { "{percent:>3}%  " } else { "" };
        let used = column + 2 + if self.percent.is_some() { 6 } else { 0 };
        let (least, most) = BAR_LENGTH;
        let room = |state: &String| width.saturating_sub(used + state.width() + 2);
        let state = self.states.iter().find(|state| room(state) >= least || self.percent.is_none());
        let state = state.or(self.states.last()).map_or("", String::as_str);
        let length = width.saturating_sub(used + state.width() + 2).min(most);
        let graph = if self.percent.is_some() && length >= least {
            format!("{{bar:{length}}}  ")
        } else {
            String::new()
        };
        let template = format!("{{prefix:{column}}}  {graph}{number}{{msg}}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━─"));
        let name = text::elide(&self.name, column.saturating_sub(self.indent), part);
        bar.set_prefix(" ".repeat(self.indent) + &name);
        bar.set_message(text::elide_end(state, width.saturating_sub(used)));
        bar.set_position(self.percent.unwrap_or_default());
    }
}

/// The line for a single item, or the lines for the total and the first items.
fn lines(snapshot: &Snapshot) -> Vec<Line> {
    let total =
        |name| Line { name, indent: 0, percent: snapshot.percent(), states: snapshot.states().into() };
    let name = |slot: &Arc<Slot>| text::one_line(&slot.name).into_owned();
    if snapshot.items <= 1 {
        return vec![total(snapshot.running.first().map_or_else(|| snapshot.items(), name))];
    }
    let item = |slot: &Arc<Slot>| {
        let at = slot.at.load(Relaxed);
        let state = slot.size().map_or_else(
            || human::size(at),
            |size| format!("{} of {}", human::size(at.min(size)), human::size(size)),
        );
        Line {
            name: name(slot),
            indent: INDENT,
            percent: slot.size().map(|size| percent(at, size)),
            states: vec![state],
        }
    };
    std::iter::once(total(snapshot.items()))
        .chain(snapshot.running.iter().take(MAX_ITEMS).map(item))
        .collect()
}

#[cfg(test)]
mod tests;
