//! Counts the items and bytes of a transfer, and computes its rate and remaining time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::human;
use crate::progress::Outcome;

/// The period over which the rate is averaged.
const WINDOW: Duration = Duration::from_secs(5);

/// A running item.
pub(super) struct Slot {
    /// The number of the item, starting at 1. Several items can have the same name.
    pub number: u64,
    pub name: String,
    /// The size in bytes, once known.
    pub size: OnceLock<u64>,
    /// The number of bytes transferred, counted from the start of the file.
    pub at: AtomicU64,
    /// The number of bytes transferred earlier, which do not count toward the rate.
    pub from: AtomicU64,
    /// The value of `at` when [`Tally::moved`] was last called.
    reported: AtomicU64,
}

impl Slot {
    /// The size in bytes, if known.
    pub fn size(&self) -> Option<u64> {
        self.size.get().copied()
    }

    /// The number of bytes transferred by this command.
    fn sent(&self) -> u64 {
        self.at.load(Relaxed).saturating_sub(self.from.load(Relaxed))
    }
}

/// Counts of items and bytes.
#[derive(Default)]
pub(super) struct Tally {
    expected_items: u64,
    expected_bytes: u64,
    begun: u64,
    begun_bytes: u64,
    /// The number of items of unknown size that have started.
    open_ended: u64,
    done: u64,
    failed: u64,
    /// The number of bytes in finished items, including skipped ones.
    done_bytes: u64,
    /// The number of bytes transferred for items that have ended.
    sent_bytes: u64,
    running: Vec<Arc<Slot>>,
    samples: VecDeque<(Duration, u64)>,
}

impl Tally {
    pub fn expect(&mut self, items: u64, bytes: u64) {
        (self.expected_items, self.expected_bytes) = (items, bytes);
    }

    pub fn begin(&mut self, name: &str, size: Option<u64>) -> Arc<Slot> {
        self.begun += 1;
        let (number, name) = (self.begun, name.to_owned());
        let slot = Slot {
            number,
            name,
            size: OnceLock::new(),
            at: AtomicU64::new(0),
            from: AtomicU64::new(0),
            reported: AtomicU64::new(0),
        };
        let slot = Arc::new(slot);
        self.running.push(Arc::clone(&slot));
        self.open_ended += 1;
        if let Some(size) = size {
            self.learn_size(&slot, size);
        }
        slot
    }

    /// Records the size of an item.
    pub fn learn_size(&mut self, slot: &Slot, size: u64) {
        if slot.size.set(size).is_ok() {
            // A size reported by a server can be arbitrarily large.
            self.begun_bytes = self.begun_bytes.saturating_add(size);
            self.open_ended -= 1;
        }
    }

    /// Ends an item. Returns false if it has already ended. `outcome` is `None` if the item was abandoned.
    pub fn end(&mut self, slot: &Arc<Slot>, outcome: Option<Outcome>) -> bool {
        let Some(at) = self.running.iter().position(|running| Arc::ptr_eq(running, slot)) else {
            return false;
        };
        self.running.remove(at);
        let sent = slot.at.load(Relaxed);
        self.sent_bytes += slot.sent();
        match outcome {
            Some(Outcome::Done | Outcome::Skipped) => {
                self.done += 1;
                self.done_bytes = self.done_bytes.saturating_add(slot.size().unwrap_or(sent));
            }
            Some(Outcome::Failed) => self.failed += 1,
            None => {}
        }
        true
    }

    /// The running items whose position has changed since the last call.
    pub fn moved(&self) -> Vec<Arc<Slot>> {
        let moved = self.running.iter().filter(|slot| {
            let at = slot.at.load(Relaxed);
            slot.reported.swap(at, Relaxed) != at
        });
        moved.cloned().collect()
    }

    /// The progress of the transfer at the time `elapsed` after the start.
    pub fn snapshot(&mut self, elapsed: Duration) -> Snapshot {
        let running: u64 = self.running.iter().map(|slot| slot.at.load(Relaxed)).sum();
        let sent: u64 = self.running.iter().map(|slot| slot.sent()).sum();
        let rate = self.rate(elapsed, self.sent_bytes + sent);
        let bytes = self.done_bytes.saturating_add(running);
        let known = self.expected_bytes > 0 || self.open_ended == 0;
        let total = known.then(|| self.expected_bytes.max(self.begun_bytes)).filter(|&total| total >= bytes);
        let left = match (total, rate) {
            (Some(total), 1..) => Some(Duration::from_secs((total - bytes) / rate)),
            _ => None,
        };
        Snapshot {
            items: self.expected_items.max(self.begun),
            over: self.done + self.failed,
            failed: self.failed,
            bytes,
            total,
            rate,
            left,
            running: self.running.clone(),
        }
    }

    /// The average rate over the last [`WINDOW`], in bytes per second.
    fn rate(&mut self, elapsed: Duration, sent: u64) -> u64 {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, 0));
        }
        self.samples.push_back((elapsed, sent));
        while self.samples.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let &(since, before) = self.samples.front().unwrap_or(&(Duration::ZERO, 0));
        // The number of bytes decreases when an attempt starts over.
        let moved = u128::from(sent.saturating_sub(before));
        let millis = elapsed.saturating_sub(since).as_millis().max(1);
        u64::try_from(moved * 1000 / millis).unwrap_or(u64::MAX)
    }
}

/// The progress of a transfer at one point in time.
pub(super) struct Snapshot {
    /// The total number of items known so far.
    pub items: u64,
    /// The number of items that finished or failed.
    pub over: u64,
    pub failed: u64,
    pub bytes: u64,
    /// The total number of bytes, if known.
    pub total: Option<u64>,
    /// The rate in bytes per second.
    pub rate: u64,
    pub left: Option<Duration>,
    pub running: Vec<Arc<Slot>>,
}

impl Snapshot {
    /// The percentage of bytes transferred, or of items if all are empty.
    pub fn percent(&self) -> Option<u64> {
        match self.total {
            Some(0) if self.items > 0 => Some(self.over * 100 / self.items),
            Some(total) if total > 0 => Some(percent(self.bytes, total)),
            _ => None,
        }
    }

    /// Bytes, rate and remaining time, such as `12.0 MB of 80.0 MB, 5.2 MB/s, 13 s left`.
    pub fn bytes(&self) -> String {
        let [text, ..] = self.states();
        text
    }

    /// The text of [`bytes`](Self::bytes), then without the rate, then also without the remaining time.
    pub fn states(&self) -> [String; 3] {
        let mut bytes = human::size(self.bytes);
        if let Some(total) = self.total {
            bytes = format!("{bytes} of {}", human::size(total));
        }
        let rate = if self.rate > 0 { format!(", {}/s", human::size(self.rate)) } else { String::new() };
        let left = self.left.filter(|left| left.as_secs() > 0);
        let left = left.map_or_else(String::new, |left| format!(", {} left", human::duration(left)));
        [format!("{bytes}{rate}{left}"), format!("{bytes}{left}"), bytes]
    }

    /// The number of items, such as `3 of 12` or `3 of 12, 1 failed`.
    pub fn items(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{} of {}{failed}", self.over, self.items)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.items())?;
        if let Some(percent) = self.percent() {
            write!(f, ", {percent}%")?;
        }
        write!(f, ", {}", self.bytes())
    }
}

/// The percentage that `part` is of `whole`, rounded down so that 100 means complete.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn snapshot_shows_counts_rate_and_remaining_time() {
        let mut tally = Tally::default();
        tally.expect(3, 80_000_000);
        let first = tally.begin("a", Some(10_000_000));
        first.at.store(10_000_000, Relaxed);
        assert!(tally.end(&first, Some(Outcome::Done)));
        assert!(!tally.end(&first, Some(Outcome::Done)));
        let second = tally.begin("b", Some(20_000_000));
        second.at.store(6_000_000, Relaxed);
        let shown = tally.snapshot(2 * SECOND).to_string();
        assert_eq!(shown, "1 of 3, 20%, 16.0 MB of 80.0 MB, 8.0 MB/s, 8 s left");
        tally.end(&second, Some(Outcome::Failed));
        assert_eq!(tally.snapshot(2 * SECOND).items(), "2 of 3, 1 failed");
    }

    #[test]
    fn a_size_that_is_known_later_completes_the_total() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", None);
        slot.at.store(100, Relaxed);
        assert_eq!(tally.snapshot(SECOND).total, None);
        tally.learn_size(&slot, 400);
        tally.learn_size(&slot, 500);
        let known = tally.snapshot(2 * SECOND);
        assert_eq!((known.total, known.percent()), (Some(400), Some(25)));
    }

    #[test]
    fn rate_is_averaged_over_the_last_seconds_and_not_negative() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", None);
        for second in 1..=10 {
            slot.at.store(u64::from(second) * 1_000_000, Relaxed);
            tally.snapshot(SECOND * second);
        }
        slot.at.store(30_000_000, Relaxed);
        assert_eq!(tally.snapshot(11 * SECOND).rate, (30_000_000 - 6_000_000) / 5);
        slot.at.store(0, Relaxed);
        let started_over = tally.snapshot(12 * SECOND);
        assert_eq!((started_over.rate, started_over.bytes, started_over.total), (0, 0, None));
    }

    #[test]
    fn resumed_bytes_do_not_count_for_the_rate() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", Some(10_000_000));
        slot.from.store(8_000_000, Relaxed);
        slot.at.store(8_500_000, Relaxed);
        let snapshot = tally.snapshot(SECOND);
        assert_eq!((snapshot.percent(), snapshot.rate), (Some(85), 500_000));
        tally.end(&slot, Some(Outcome::Done));
        assert_eq!(tally.snapshot(SECOND).rate, 500_000);
    }

    #[test]
    fn skipped_items_count_as_done_but_not_for_the_rate() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", Some(100));
        tally.end(&slot, Some(Outcome::Skipped));
        let snapshot = tally.snapshot(SECOND);
        assert_eq!((snapshot.percent(), snapshot.rate, snapshot.left), (Some(100), 0, None));
    }

    #[test]
    fn percent_counts_items_if_all_are_empty() {
        let mut tally = Tally::default();
        tally.expect(4, 0);
        let slot = tally.begin("empty", Some(0));
        tally.end(&slot, Some(Outcome::Done));
        assert_eq!(tally.snapshot(SECOND).percent(), Some(25));
        assert_eq!(percent(999, 1000), 99);
    }

    #[test]
    fn abandoned_item_is_not_running() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", Some(9));
        assert!(tally.end(&slot, None));
        let snapshot = tally.snapshot(SECOND);
        assert_eq!((snapshot.over, snapshot.failed, snapshot.running.len()), (0, 0, 0));
    }
}
