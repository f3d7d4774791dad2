//! How far a transfer is: what it reports, counted, and told as bars, as lines or as events.
//!
//! Reporting costs one atomic store; a thread looks at the counts a few times a second. It begins with the first item
//! and ends with the job.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::bars::Bars;
use super::rows::json_line;
use super::streams::{Shared, lock};
use super::tally::{Slot, Tally};
use crate::progress::{Outcome, Progress};

/// How a job is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Bars on a terminal.
    Bars,
    /// A line now and then, for logs.
    Lines,
    /// One JSON object a line.
    Events,
}

/// Bars wait this long, so that quick work shows none.
const BARS_AFTER: Duration = Duration::from_millis(250);
/// Lines wait this long.
const LINES_AFTER: Duration = Duration::from_secs(2);
/// Time between two lines.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// A line of `--progress json` on stderr.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schemars(rename = "progress_event")]
pub enum Event<'a> {
    /// How much there is to do in all, as far as is known yet.
    Total {
        /// Items.
        items: u64,
        /// Bytes.
        total: u64,
    },
    /// An item begins.
    Start(ItemAt<'a>),
    /// Bytes of it have moved; a smaller number says that it starts over.
    Progress(ItemAt<'a>),
    /// It is over.
    Finish {
        /// Where it ended.
        #[serde(flatten)]
        at: ItemAt<'a>,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How far an item is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ItemAt<'a> {
    /// Its number in this command, from 1: two items may have one name.
    item: u64,
    /// Its name.
    name: &'a str,
    /// Bytes moved, from the start of the file.
    bytes: u64,
    /// Bytes in all, if known.
    total: Option<u64>,
}

/// One transfer, of one item or many.
pub(super) struct Job {
    style: Style,
    streams: Arc<Shared>,
    begun: Instant,
    tally: Mutex<Tally>,
    view: Mutex<View>,
}

/// What is on the screen; locked while it is changed, and while somebody else writes.
#[derive(Default)]
struct View {
    bars: Option<Bars>,
    next_line: Option<Duration>,
    /// Dropping it ends the thread.
    ticker: Option<Sender<()>>,
    over: bool,
}

impl Job {
    pub fn new(style: Style, streams: Arc<Shared>) -> Arc<Self> {
        let (tally, view) = (Mutex::default(), Mutex::default());
        Arc::new(Self { style, streams, begun: Instant::now(), tally, view })
    }

    /// Runs `write` with the bars out of the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &lock(&self.view).bars {
            Some(bars) => bars.aside(write),
            None => write(),
        }
    }

    /// Tells how far it is, `elapsed` after the start.
    pub fn tick(&self, elapsed: Duration) {
        match self.style {
            Style::Bars if elapsed < BARS_AFTER => {}
            Style::Bars => {
                let snapshot = lock(&self.tally).snapshot(elapsed);
                let mut view = lock(&self.view);
                if !view.over {
                    let streams = &self.streams;
                    view.bars.get_or_insert_with(|| Bars::new(Arc::clone(streams))).draw(&snapshot);
                }
            }
            Style::Lines => {
                // Looked at on every tick, so that the rate is that of the last seconds.
                let snapshot = lock(&self.tally).snapshot(elapsed);
                let mut view = lock(&self.view);
                if elapsed >= view.next_line.unwrap_or(LINES_AFTER) && !view.over {
                    view.next_line = Some(elapsed.saturating_add(LINES_EVERY));
                    self.streams.err(&format!("{snapshot}\n"));
                }
            }
            Style::Events => {
                // Locked until they are told, so that none comes after its item's end.
                let tally = lock(&self.tally);
                tally.moved().iter().for_each(|slot| self.event(&Event::Progress(at(slot))));
            }
        }
    }

    /// Takes the bars down for good.
    fn end(&self) {
        let mut view = lock(&self.view);
        view.over = true;
        view.ticker = None;
        if let Some(bars) = view.bars.take() {
            bars.clear();
        }
    }

    fn event(&self, event: &Event) {
        self.streams.err(&json_line(event));
    }

    fn every(&self) -> Duration {
        Duration::from_millis(match self.style {
            Style::Bars => 100,
            Style::Events => 200,
            Style::Lines => 500,
        })
    }
}

fn at(slot: &Slot) -> ItemAt<'_> {
    ItemAt { item: slot.number, name: &slot.name, bytes: slot.at.load(Relaxed), total: slot.size }
}

/// What a transfer reports to.
pub(super) struct Root(pub Arc<Job>);

impl Root {
    /// Has somebody look at the counts from now on.
    fn watch(&self) {
        let mut view = lock(&self.0.view);
        if view.ticker.is_some() || view.over {
            return;
        }
        let (stop, stopped) = mpsc::channel();
        let (job, every): (Weak<Job>, _) = (Arc::downgrade(&self.0), self.0.every());
        let look = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let Some(job) = job.upgrade() else { break };
                job.tick(job.begun.elapsed());
            }
        };
        // Without a thread to spare the work goes on unseen.
        if std::thread::Builder::new().name("progress".to_owned()).spawn(look).is_ok() {
            view.ticker = Some(stop);
        }
    }
}

impl Progress for Root {
    fn expect(&self, items: u64, bytes: u64) {
        lock(&self.0.tally).expect(items, bytes);
        if self.0.style == Style::Events {
            self.0.event(&Event::Total { items, total: bytes });
        }
    }

    fn item(&self, name: &str, size: Option<u64>) -> Arc<dyn Progress> {
        self.watch();
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

/// What one item reports to.
struct Item {
    job: Arc<Job>,
    slot: Arc<Slot>,
}

impl Progress for Item {
    fn at(&self, bytes: u64) {
        self.slot.at.store(bytes, Relaxed);
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
        // An item that was given up is no longer running.
        lock(&self.job.tally).end(&self.slot, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::streams::Streams;
    use std::io::Write;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *lock(&self.0))).unwrap()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A job that only looks when told to, and one item of it.
    fn job(style: Style) -> (Sink, Arc<Job>, Item) {
        let sink = Sink::default();
        let streams = Streams { err: Box::new(sink.clone()), width: Some(80), ..Streams::process() };
        let job = Job::new(style, Arc::new(Shared::new(streams, None)));
        let slot = lock(&job.tally).begin("a.bin", Some(1_000));
        slot.at.store(250, Relaxed);
        (sink, Arc::clone(&job), Item { job, slot })
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn bars_come_late_step_aside_and_leave_nothing() {
        let (sink, job, _item) = job(Style::Bars);
        job.tick(millis(249));
        assert_eq!(sink.take(), "");
        job.tick(millis(250));
        let drawn = sink.take();
        assert!(drawn.contains("a.bin") && drawn.contains("25 %  250 B of 1.0 kB, 1.0 kB/s"), "{drawn:?}");

        job.aside(|| job.streams.err("row\n"));
        let around = sink.take();
        let (before, after) = around.split_once("row\n").unwrap();
        assert!(before.ends_with("\r\u{1b}[2K"), "{before:?}");
        assert!(!before.contains("a.bin") && after.contains("a.bin"), "{around:?}");

        job.end();
        let cleared = sink.take();
        assert!(cleared.contains("\u{1b}[2K") && !cleared.contains("a.bin"), "{cleared:?}");
        job.tick(millis(900));
        assert_eq!(sink.take(), "");
    }

    #[test]
    fn lines_come_after_two_seconds_and_then_every_ten() {
        let (sink, job, item) = job(Style::Lines);
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
    fn events_tell_only_what_has_moved() {
        let (sink, job, item) = job(Style::Events);
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
        let (_sink, job, item) = job(Style::Events);
        let root = Root(Arc::clone(&job));
        root.watch();
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
