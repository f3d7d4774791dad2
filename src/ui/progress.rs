//! Shows the progress of a transfer as bars on a terminal, lines in a log or JSON events.
//!
//! Reporting progress is one atomic store. A thread reads the counts a few times a second; it starts with the first
//! item and ends with the job.

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
    /// Lines, if requested.
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

/// What is on the screen. The lock is held while bars or other text are written.
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
        let bars = Bars { all: MultiProgress::with_draw_target(target), shown: Vec::new() };
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
                // Take a snapshot on every tick, because the rate is computed from those of the last seconds.
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
    ItemAt { item: slot.number, name: &slot.name, bytes: slot.at.load(Relaxed), total: slot.size }
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
}

impl Bars {
    fn draw(&mut self, snapshot: &Snapshot, width: usize) {
        let lines = lines(snapshot);
        self.truncate(lines.len());
        // A single name takes only the space that it needs.
        let names = if let [line] = &lines[..] { text::one_line(&line.name).width() } else { usize::MAX };
        let usual = (width / 3).min(names).clamp(8, 32);
        let items: Vec<_> = lines.iter().skip(1).map(|line| text::one_line(&line.name)).collect();
        let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
        // Wider if names would look the same.
        let mut widths = usual..=(width * 2 / 5).max(usual);
        let column = widths.find(|&column| text::best_tail(&items, column).1).unwrap_or(usual);
        let tail = text::best_tail(&items, column).0;
        for (index, line) in lines.iter().enumerate() {
            if index == self.shown.len() {
                self.shown.push(self.all.add(ProgressBar::new(100)));
            }
            line.set(&self.shown[index], width, column, tail);
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

/// A line with a bar: `name  ━━━━━─────  45 %  state`.
struct Line {
    name: String,
    percent: Option<u64>,
    /// The state, followed by shorter forms of it.
    states: Vec<String>,
}

impl Line {
    /// Applies the line to a bar with 100 steps. If there is no room for the graph, a shorter state is used; on a
    /// narrow terminal, the graph is omitted. `column` is the width of the name, and `tail` the share of its end.
    fn set(&self, bar: &ProgressBar, width: usize, column: usize, tail: usize) {
        let number = if self.percent.is_some() { "{percent:>3} %  " } else { "" };
        let used = column + 2 + if self.percent.is_some() { 7 } else { 0 };
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
        bar.set_prefix(text::elide(&text::one_line(&self.name), column, tail));
        bar.set_message(text::elide_end(state, width.saturating_sub(used)));
        bar.set_position(self.percent.unwrap_or_default());
    }
}

/// The line for a single item, or the lines for the total and the first items.
fn lines(snapshot: &Snapshot) -> Vec<Line> {
    let total = |name| Line { name, percent: snapshot.percent(), states: snapshot.states().into() };
    if snapshot.items <= 1 {
        return vec![total(
            snapshot.running.first().map_or_else(|| snapshot.items(), |slot| slot.name.clone()),
        )];
    }
    let item = |slot: &Arc<Slot>| {
        let at = slot.at.load(Relaxed);
        let state = slot.size.map_or_else(
            || human::size(at),
            |size| format!("{} of {}", human::size(at.min(size)), human::size(size)),
        );
        Line {
            name: format!("  {}", slot.name),
            percent: slot.size.map(|size| percent(at, size)),
            states: vec![state],
        }
    };
    std::iter::once(total(snapshot.items()))
        .chain(snapshot.running.iter().take(MAX_ITEMS).map(item))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::streams::Streams;
    use crate::ui::tests::Sink;
    use indicatif::TermLike;
    use std::io::{self, Write};
    use unicode_width::UnicodeWidthChar;

    /// An emulated terminal.
    #[derive(Clone, Debug)]
    struct Screen(Arc<Mutex<Cells>>);

    #[derive(Debug, Default)]
    struct Cells {
        width: usize,
        lines: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Screen {
        fn new(width: usize) -> Self {
            Self(Arc::new(Mutex::new(Cells { width, ..Cells::default() })))
        }

        fn target(&self) -> ProgressDrawTarget {
            ProgressDrawTarget::term_like(Box::new(self.clone()))
        }

        fn bars(&self) -> Bars {
            Bars { all: MultiProgress::with_draw_target(self.target()), shown: Vec::new() }
        }

        /// The lines, without trailing blanks and trailing empty lines.
        fn lines(&self) -> Vec<String> {
            let line = |line: &Vec<char>| {
                let text: String = line.iter().filter(|&&c| c != '\0').collect();
                text.trim_end().to_owned()
            };
            let mut lines: Vec<String> = lock(&self.0).lines.iter().map(line).collect();
            while lines.pop_if(|line| line.is_empty()).is_some() {}
            lines
        }
    }

    impl Cells {
        fn put(&mut self, c: char) {
            let width = c.width().unwrap_or(0);
            if c == '\n' || self.column + width > self.width {
                (self.row, self.column) = (self.row + 1, 0);
            }
            self.lines.resize(self.lines.len().max(self.row + 1), Vec::new());
            let line = &mut self.lines[self.row];
            line.resize(self.width, ' ');
            for at in 0..width {
                // The second column of a wide character.
                line[self.column + at] = if at == 0 { c } else { '\0' };
            }
            self.column += width;
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_str(std::str::from_utf8(bytes).unwrap())?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            u16::try_from(lock(&self.0).width).unwrap()
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            lock(&self.0).row -= n;
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            lock(&self.0).row += n;
            Ok(())
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            lock(&self.0).column += n;
            Ok(())
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            lock(&self.0).column -= n;
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            text.chars().for_each(|c| lock(&self.0).put(c));
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            let mut cells = lock(&self.0);
            let row = cells.row;
            cells.column = 0;
            if let Some(line) = cells.lines.get_mut(row) {
                line.fill(' ');
            }
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines on a terminal with `width` columns that shows a snapshot.
    fn drawn(snapshot: &Snapshot, width: usize) -> Vec<String> {
        let screen = Screen::new(width);
        let mut bars = screen.bars();
        bars.draw(snapshot, width);
        screen.lines()
    }

    fn two_under_way() -> Snapshot {
        let mut tally = Tally::default();
        tally.expect(12, 40_000_000);
        tally.begin("a.bin", Some(10_000_000)).at.store(5_000_000, Relaxed);
        tally.begin("日本語の\u{1b}報告書-2026-final-version.pdf", None).at.store(1_234, Relaxed);
        tally.snapshot(Duration::from_secs(1))
    }

    #[test]
    fn the_total_and_each_item_have_a_line() {
        assert_eq!(
            drawn(&two_under_way(), 100),
            [
                "0 of 12                           ━━──────────────────   12 %  5.0 MB of 40.0 MB, 5.0 MB/s, 6 s left",
                "  a.bin                           ━━━━━━━━━━━━────────────   50 %  5.0 MB of 10.0 MB",
                "  日本語の\\u{1b}報…-version.pdf   1.2 kB",
            ]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [20, 40, 80, 200] {
            // A line that does not fit would occupy two lines.
            assert_eq!(drawn(&two_under_way(), width).len(), 3, "{width}");
        }
        assert_eq!(drawn(&two_under_way(), 40)[1], "  a.bin         50 %  5.0 MB of 10.0 MB");
    }

    #[test]
    fn a_bar_is_always_shown_at_80_columns() {
        for (items, size) in [(1, 30_000_000_u64), (1, 99_999_000_000), (3, 30_000_000), (3, 99_999_000_000)]
        {
            for at in (1..20).map(|part| size / 20 * part) {
                let mut tally = Tally::default();
                for _ in 0..items {
                    let slot = tally.begin("training-set-batch-00001.jsonl", Some(size));
                    slot.at.store(at, Relaxed);
                }
                for seconds in [1, 10, 4_000] {
                    let lines = drawn(&tally.snapshot(Duration::from_secs(seconds)), 80);
                    assert!(lines.iter().all(|line| line.contains(['━', '─'])), "{lines:?}");
                }
            }
        }
    }

    #[test]
    fn a_single_item_has_one_line_and_at_most_eight_are_shown() {
        let screen = Screen::new(80);
        let mut bars = screen.bars();
        let mut tally = Tally::default();
        let first = tally.begin("a.bin", Some(100));
        first.at.store(100, Relaxed);
        bars.draw(&tally.snapshot(Duration::from_secs(1)), 80);
        assert_eq!(screen.lines().len(), 1);
        let slots: Vec<_> = (0..20).map(|number| tally.begin(&format!("{number}"), Some(1))).collect();
        bars.draw(&tally.snapshot(Duration::from_secs(2)), 80);
        assert_eq!(screen.lines().len(), 1 + MAX_ITEMS);
        for slot in slots.iter().chain([&first]) {
            tally.end(slot, Some(Outcome::Done));
        }
        bars.draw(&tally.snapshot(Duration::from_secs(3)), 80);
        assert_eq!(screen.lines().len(), 1);
    }

    /// A job without a thread, and one of its items.
    fn job(style: Style) -> (Sink, Screen, Arc<Job>, Item) {
        let (sink, screen) = (Sink::default(), Screen::new(80));
        let err: Box<dyn Write + Send> =
            if style == Style::Bars { Box::new(screen.clone()) } else { Box::new(sink.clone()) };
        let streams = Streams { err, width: Some(80), ..Streams::process() };
        let job = Job::on(screen.target(), style, Arc::new(Shared::new(streams, None)));
        let slot = lock(&job.tally).begin("a.bin", Some(1_000));
        slot.at.store(250, Relaxed);
        (sink, screen, Arc::clone(&job), Item { job, slot })
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn bars_appear_late_step_aside_and_disappear() {
        let (_sink, screen, job, _item) = job(Style::Bars);
        job.tick(millis(249));
        assert!(screen.lines().is_empty());
        job.tick(millis(250));
        let drawn = screen.lines();
        assert!(drawn[0].starts_with("a.bin "), "{drawn:?}");
        assert!(drawn[0].ends_with("25 %  250 B of 1.0 kB, 1.0 kB/s"), "{drawn:?}");

        job.aside(|| {
            assert!(screen.lines().is_empty());
            job.streams.err("row\n");
        });
        assert_eq!(screen.lines(), ["row", &drawn[0]]);

        job.end();
        assert_eq!(screen.lines(), ["row"]);
        job.tick(millis(900));
        assert_eq!(screen.lines(), ["row"]);
    }

    #[test]
    fn lines_appear_after_two_seconds_and_every_ten() {
        let (sink, _screen, job, item) = job(Style::Lines);
        job.tick(millis(1_999));
        assert_eq!(sink.take(), "");
        item.at(500);
        job.tick(millis(2_000));
        assert_eq!(sink.take(), "0 of 1, 50 %, 500 B of 1.0 kB, 250 B/s, 2 s left\n");
        job.tick(millis(11_999));
        assert_eq!(sink.take(), "");
        job.tick(millis(12_000));
        assert_eq!(sink.take(), "0 of 1, 50 %, 500 B of 1.0 kB\n");
    }

    #[test]
    fn a_ci_job_has_a_line_every_thirty_seconds() {
        let (sink, _screen, job, _item) = job(Style::Log);
        let shown = [29_999, 30_000, 59_999, 60_000].map(|time| {
            job.tick(millis(time));
            sink.take().lines().count()
        });
        assert_eq!(shown, [0, 1, 0, 1]);
    }

    #[test]
    fn only_items_that_moved_have_events() {
        let (sink, _screen, job, item) = job(Style::Events);
        job.tick(millis(200));
        assert_eq!(
            sink.take(),
            "{\"event\":\"progress\",\"item\":1,\"name\":\"a.bin\",\"bytes\":250,\"total\":1000}\n"
        );
        job.tick(millis(400));
        assert_eq!(sink.take(), "");
        item.finish(Outcome::Failed);
        assert!(sink.take().ends_with("\"outcome\":\"failed\"}\n"));
        item.at(300);
        job.tick(millis(600));
        assert_eq!(sink.take(), "");
    }

    #[test]
    fn the_thread_ends_with_its_job() {
        let (_sink, _screen, job, item) = job(Style::Events);
        let root = Root(Arc::clone(&job));
        root.0.watch();
        assert!(lock(&job.view).ticker.is_some());
        drop(root);
        assert!(lock(&job.view).ticker.is_none());
        let watched = Arc::downgrade(&job);
        drop((job, item));
        while watched.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
