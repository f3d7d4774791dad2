//! Bars on a terminal: one for the whole, one for each item under way.

use std::fmt;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use unicode_width::UnicodeWidthStr;

use super::streams::{Shared, lock};
use super::tally::{Slot, Snapshot, percent};
use super::text;
use crate::human;

/// Items shown at a time; the others are in the total.
const SHOWN: usize = 8;
/// A bar's length in columns, where there is room.
const LONG: usize = 24;
/// Below this a bar says less than the number beside it.
const SHORT: usize = 6;

/// What is drawn on the last lines of the terminal.
pub(super) struct Bars {
    /// One text of several lines: indicatif redraws it in place, takes it away and puts it back.
    block: ProgressBar,
    streams: Arc<Shared>,
}

impl Bars {
    pub fn new(streams: Arc<Shared>) -> Self {
        let terminal = Terminal { streams: Arc::clone(&streams), waiting: Mutex::default() };
        let target = ProgressDrawTarget::term_like(Box::new(terminal));
        let block = ProgressBar::with_draw_target(None, target).with_style(message_only());
        Self { block, streams }
    }

    pub fn draw(&self, snapshot: &Snapshot) {
        let (width, _) = self.streams.screen();
        self.block.set_message(lines(snapshot, width).join("\n"));
        self.block.force_draw();
    }

    /// Runs `write` with nothing drawn.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.block.suspend(write)
    }

    pub fn clear(self) {
        self.block.finish_and_clear();
    }
}

fn message_only() -> ProgressStyle {
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The lines to draw, none wider than `width`.
fn lines(snapshot: &Snapshot, width: usize) -> Vec<String> {
    if snapshot.items <= 1 {
        let name = snapshot.running.first().map_or_else(|| snapshot.items(), |slot| slot.name.clone());
        return vec![line(&name, snapshot.percent(), &snapshot.bytes(), width)];
    }
    let item = |slot: &Arc<Slot>| {
        let at = slot.at.load(Relaxed);
        let part = slot.size.map(|size| percent(at, size));
        let bytes = slot.size.map_or_else(
            || human::size(at),
            |size| format!("{} of {}", human::size(at.min(size)), human::size(size)),
        );
        line(&format!("  {}", slot.name), part, &bytes, width)
    };
    let total = line(&snapshot.items(), snapshot.percent(), &snapshot.bytes(), width);
    std::iter::once(total).chain(snapshot.running.iter().take(SHOWN).map(item)).collect()
}

/// `name  ━━━━━─────  45 %  what`: the bar goes first where it is narrow, then part of the name.
fn line(name: &str, percent: Option<u64>, what: &str, width: usize) -> String {
    let name = text::one_line(name);
    let state = percent.map_or_else(|| what.to_owned(), |percent| format!("{percent:>3} %  {what}"));
    let column = (width / 3).clamp(8, 32);
    let name = text::elide_middle(&name, column);
    let name = format!("{name}{}", " ".repeat(column - name.width()));
    let room = width.saturating_sub(column + state.width() + 4).min(LONG);
    let line = match percent {
        Some(percent) if room >= SHORT => {
            let full = usize::try_from(percent).unwrap_or(100) * room / 100;
            format!("{name}  {}{}  {state}", "━".repeat(full), "─".repeat(room - full))
        }
        _ => format!("{name}  {state}"),
    };
    text::elide_end(&line, width)
}

/// The terminal that stderr is, as indicatif wants it: what is drawn goes the same way as all talk, one write a frame.
struct Terminal {
    streams: Arc<Shared>,
    waiting: Mutex<String>,
}

impl Terminal {
    fn put(&self, text: &str) {
        lock(&self.waiting).push_str(text);
    }

    fn steer(&self, times: usize, direction: char) {
        if times > 0 {
            self.put(&format!("\u{1b}[{times}{direction}"));
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Terminal")
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        u16::try_from(self.streams.screen().0).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(self.streams.screen().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.steer(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.steer(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.steer(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.steer(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(text);
        self.put("\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\u{1b}[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.streams.err(&std::mem::take(&mut *lock(&self.waiting)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tally::Tally;
    use std::time::Duration;

    fn two_under_way() -> Snapshot {
        let mut tally = Tally::default();
        tally.expect(12, 40_000_000);
        tally.begin("a.bin", Some(10_000_000)).at.store(5_000_000, Relaxed);
        tally.begin("日本語の\u{1b}報告書-2026-final-version.pdf", None).at.store(1_234, Relaxed);
        tally.snapshot(Duration::from_secs(1))
    }

    #[test]
    fn a_total_and_a_bar_an_item() {
        assert_eq!(
            lines(&two_under_way(), 100),
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
            for line in lines(&two_under_way(), width) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        assert_eq!(lines(&two_under_way(), 40)[1], "  a.bin         50 %  5.0 MB of 10.0 MB");
    }

    #[test]
    fn one_item_is_one_line_and_many_are_eight() {
        let mut tally = Tally::default();
        tally.begin("a.bin", Some(100)).at.store(100, Relaxed);
        assert_eq!(lines(&tally.snapshot(Duration::from_secs(1)), 80).len(), 1);
        for number in 0..20 {
            tally.begin(&format!("{number}"), Some(1));
        }
        assert_eq!(lines(&tally.snapshot(Duration::from_secs(2)), 80).len(), 1 + SHOWN);
    }
}
