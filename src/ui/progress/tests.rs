//! Tests of progress: bars on a simulated terminal, lines and events.

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
        Bars { all: MultiProgress::with_draw_target(self.target()), shown: Vec::new(), column: 0 }
    }

    /// The lines, without trailing spaces and trailing empty lines.
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
            "0 of 12                            ━━──────────────────   12%  5.0 MB of 40.0 MB, 5.0 MB/s, 6 s left",
            "  a.bin                            ━━━━━━━━━━━━────────────   50%  5.0 MB of 10.0 MB",
            "  日本語の\\u{1b}報告…-version.pdf  1.2 kB",
        ]
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [20, 40, 80, 200] {
        // A line that does not fit would occupy two lines.
        assert_eq!(drawn(&two_under_way(), width).len(), 3, "{width}");
    }
    assert_eq!(drawn(&two_under_way(), 40)[1], "  a.bin         50%  5.0 MB of 10.0 MB");
}

#[test]
fn a_bar_is_always_shown_at_80_columns() {
    for (items, size) in [(1, 30_000_000_u64), (1, 99_999_000_000), (3, 30_000_000), (3, 99_999_000_000)] {
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
    assert!(drawn[0].ends_with("25%  250 B of 1.0 kB, 1.0 kB/s"), "{drawn:?}");

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
    assert_eq!(sink.take(), "0 of 1, 50%, 500 B of 1.0 kB, 250 B/s, 2 s left\n");
    job.tick(millis(11_999));
    assert_eq!(sink.take(), "");
    job.tick(millis(12_000));
    assert_eq!(sink.take(), "0 of 1, 50%, 500 B of 1.0 kB\n");
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

/// Uploads and downloads as they look at several widths.
fn transfers() -> Vec<(&'static str, Snapshot)> {
    let mut tally = Tally::default();
    let slot = tally.begin("Quarterly report, final version (reviewed).pdf", Some(2_417_002));
    slot.at.store(1_208_501, Relaxed);
    let one = tally.snapshot(Duration::from_secs(2));

    let mut tally = Tally::default();
    tally.expect(16, 771_408_064);
    let names = (1..=4).map(|number| format!("training-set-2026-02-28-shard-0000{number}-of-00016.jsonl"));
    for (at, name) in names.enumerate() {
        let slot = tally.begin(&name, Some(48_213_004));
        slot.at.store(48_213_004 / 5 * (5 - at as u64), Relaxed);
        if at == 0 {
            tally.end(&slot, Some(Outcome::Done));
        }
    }
    let several = tally.snapshot(Duration::from_secs(21));

    let mut tally = Tally::default();
    let slot = tally.begin("model-weights.safetensors", Some(1_073_741_824));
    slot.from.store(536_870_912, Relaxed);
    slot.at.store(590_558_003, Relaxed);
    let resumed = tally.snapshot(Duration::from_secs(3));

    let mut tally = Tally::default();
    tally.begin("notes.md", None).at.store(14_200, Relaxed);
    let unknown_size = tally.snapshot(Duration::from_secs(1));

    vec![
        ("upload of one file", one),
        ("upload of 16 files", several),
        ("resumed download", resumed),
        ("download of unknown size", unknown_size),
    ]
}

#[test]
fn transfers_fit_and_names_differ() {
    let mut pictures = String::new();
    for width in [60, 80, 120, 200] {
        for (title, snapshot) in transfers() {
            let lines = drawn(&snapshot, width);
            let names: Vec<&str> =
                lines.iter().skip(1).map(|line| line.split("  ").nth(1).unwrap()).collect();
            let different: std::collections::HashSet<&&str> = names.iter().collect();
            assert_eq!(different.len(), names.len(), "{width}: {lines:#?}");
            pictures.extend([&format!("{width} columns, {title}\n"), &lines.join("\n"), "\n\n"]);
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/it/cli/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("progress", pictures));
}
