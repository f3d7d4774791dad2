//! The counts of a transfer, and what they say about its speed and end.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::human;
use crate::progress::Outcome;

/// The speed is that of the last few seconds.
const WINDOW: Duration = Duration::from_secs(5);

/// One item that is under way.
pub(super) struct Slot {
    /// Counts the items from 1: two of them may have one name.
    pub number: u64,
    pub name: String,
    /// Bytes, if known.
    pub size: Option<u64>,
    /// Bytes moved, from the start of the file.
    pub at: AtomicU64,
    /// What `at` was when it was last looked at.
    told: AtomicU64,
}

/// Counts of items and bytes.
#[derive(Default)]
pub(super) struct Tally {
    expected_items: u64,
    expected_bytes: u64,
    begun: u64,
    begun_bytes: u64,
    /// Set when an item of unknown size began.
    open_ended: bool,
    done: u64,
    failed: u64,
    /// Bytes of items that are over, whether they were sent or there already.
    done_bytes: u64,
    /// Bytes of items that are over and were really sent.
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
        // A size is what a server says, and may be anything.
        self.begun_bytes = self.begun_bytes.saturating_add(size.unwrap_or(0));
        self.open_ended |= size.is_none();
        let (number, name) = (self.begun, name.to_owned());
        let slot = Slot { number, name, size, at: AtomicU64::new(0), told: AtomicU64::new(0) };
        let slot = Arc::new(slot);
        self.running.push(Arc::clone(&slot));
        slot
    }

    /// Ends an item; false if it was over already. No outcome means that it was given up.
    pub fn end(&mut self, slot: &Arc<Slot>, outcome: Option<Outcome>) -> bool {
        let Some(at) = self.running.iter().position(|running| Arc::ptr_eq(running, slot)) else {
            return false;
        };
        self.running.remove(at);
        let sent = slot.at.load(Relaxed);
        self.sent_bytes += sent;
        match outcome {
            Some(Outcome::Done | Outcome::Skipped) => {
                self.done += 1;
                self.done_bytes = self.done_bytes.saturating_add(slot.size.unwrap_or(sent));
            }
            Some(Outcome::Failed) => self.failed += 1,
            None => {}
        }
        true
    }

    /// The items whose bytes have moved since this was last asked.
    pub fn moved(&self) -> Vec<Arc<Slot>> {
        let moved = self.running.iter().filter(|slot| {
            let at = slot.at.load(Relaxed);
            slot.told.swap(at, Relaxed) != at
        });
        moved.cloned().collect()
    }

    /// How far it is, `elapsed` after the start.
    pub fn snapshot(&mut self, elapsed: Duration) -> Snapshot {
        let running: u64 = self.running.iter().map(|slot| slot.at.load(Relaxed)).sum();
        let rate = self.rate(elapsed, self.sent_bytes + running);
        let bytes = self.done_bytes.saturating_add(running);
        let known = self.expected_bytes > 0 || !self.open_ended;
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

    /// Bytes a second over the last few seconds.
    fn rate(&mut self, elapsed: Duration, sent: u64) -> u64 {
        if self.samples.is_empty() {
            self.samples.push_back((Duration::ZERO, 0));
        }
        self.samples.push_back((elapsed, sent));
        while self.samples.get(1).is_some_and(|(at, _)| elapsed.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let &(since, before) = self.samples.front().unwrap_or(&(Duration::ZERO, 0));
        // An attempt that starts over takes bytes back.
        let moved = u128::from(sent.saturating_sub(before));
        let millis = elapsed.saturating_sub(since).as_millis().max(1);
        u64::try_from(moved * 1000 / millis).unwrap_or(u64::MAX)
    }
}

/// How far a transfer is.
pub(super) struct Snapshot {
    /// Items in all, as far as is known.
    pub items: u64,
    /// Items that are over, one way or the other.
    pub over: u64,
    pub failed: u64,
    pub bytes: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
    /// Bytes a second.
    pub rate: u64,
    pub left: Option<Duration>,
    pub running: Vec<Arc<Slot>>,
}

impl Snapshot {
    /// The part that is done, in percent: of the bytes, or of the items where there are none.
    pub fn percent(&self) -> Option<u64> {
        match self.total {
            Some(0) if self.items > 0 => Some(self.over * 100 / self.items),
            Some(total) if total > 0 => Some(percent(self.bytes, total)),
            _ => None,
        }
    }

    /// `12.0 MB of 80.0 MB, 5.2 MB/s, 13 s left`: what there is to say about the bytes.
    pub fn bytes(&self) -> String {
        let mut text = human::size(self.bytes);
        if let Some(total) = self.total {
            text = format!("{text} of {}", human::size(total));
        }
        if self.rate > 0 {
            text = format!("{text}, {}/s", human::size(self.rate));
        }
        if let Some(left) = self.left.filter(|left| left.as_secs() > 0) {
            text = format!("{text}, {} left", human::duration(left));
        }
        text
    }

    /// `3 of 12`, with the failures if there are any.
    pub fn items(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{} of {}{failed}", self.over, self.items)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.items())?;
        if let Some(percent) = self.percent() {
            write!(f, ", {percent} %")?;
        }
        write!(f, ", {}", self.bytes())
    }
}

/// A part of a whole in percent, 100 only when it is all there.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn tells_counts_speed_and_time_left() {
        let mut tally = Tally::default();
        tally.expect(3, 80_000_000);
        let first = tally.begin("a", Some(10_000_000));
        first.at.store(10_000_000, Relaxed);
        assert!(tally.end(&first, Some(Outcome::Done)));
        assert!(!tally.end(&first, Some(Outcome::Done)));
        let second = tally.begin("b", Some(20_000_000));
        second.at.store(6_000_000, Relaxed);
        let shown = tally.snapshot(2 * SECOND).to_string();
        assert_eq!(shown, "1 of 3, 20 %, 16.0 MB of 80.0 MB, 8.0 MB/s, 8 s left");
        tally.end(&second, Some(Outcome::Failed));
        assert_eq!(tally.snapshot(2 * SECOND).items(), "2 of 3, 1 failed");
    }

    #[test]
    fn the_speed_is_of_the_last_seconds_and_never_negative() {
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
    fn what_was_there_already_counts_as_done_but_not_as_speed() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", Some(100));
        tally.end(&slot, Some(Outcome::Skipped));
        let snapshot = tally.snapshot(SECOND);
        assert_eq!((snapshot.percent(), snapshot.rate, snapshot.left), (Some(100), 0, None));
    }

    #[test]
    fn percent_is_of_items_where_there_are_no_bytes() {
        let mut tally = Tally::default();
        tally.expect(4, 0);
        let slot = tally.begin("empty", Some(0));
        tally.end(&slot, Some(Outcome::Done));
        assert_eq!(tally.snapshot(SECOND).percent(), Some(25));
        assert_eq!(percent(999, 1000), 99);
    }

    #[test]
    fn an_item_that_was_given_up_no_longer_runs() {
        let mut tally = Tally::default();
        let slot = tally.begin("a", Some(9));
        assert!(tally.end(&slot, None));
        let snapshot = tally.snapshot(SECOND);
        assert_eq!((snapshot.over, snapshot.failed, snapshot.running.len()), (0, 0, 0));
    }
}
