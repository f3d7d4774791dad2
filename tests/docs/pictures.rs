//! The pictures of the main screens: real runs in a terminal of 80 columns, drawn as SVG.
//!
//! `HAUL_TEST_BLESS=1 cargo test --test docs pictures` redraws them.

use std::collections::BTreeMap;

use anstyle_svg::{Palette, Term};
use clap::builder::styling::{Color, RgbColor};
use unicode_width::UnicodeWidthChar as _;

use crate::support::generated::agree_all;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::On;

const COLUMNS: u16 = 80;

/// Muted colors with enough contrast against the background, which differs from both white and dark pages.
const FOREGROUND: Color = Color::Rgb(RgbColor(0xe6, 0xed, 0xf3));
const BACKGROUND: Color = Color::Rgb(RgbColor(0x16, 0x1b, 0x22));
const FRAME: &str = "#484f58";
/// Black, red, green, yellow, blue, magenta, cyan and white; then their bright variants.
const COLORS: Palette = Palette([
    RgbColor(0x48, 0x4f, 0x58),
    RgbColor(0xff, 0x7b, 0x72),
    RgbColor(0x56, 0xd3, 0x64),
    RgbColor(0xe3, 0xb3, 0x41),
    RgbColor(0x79, 0xc0, 0xff),
    RgbColor(0xd2, 0xa8, 0xff),
    RgbColor(0x76, 0xe3, 0xea),
    RgbColor(0xc9, 0xd1, 0xd9),
    RgbColor(0x8b, 0x94, 0x9e),
    RgbColor(0xff, 0xa1, 0x98),
    RgbColor(0x7e, 0xe7, 0x87),
    RgbColor(0xf2, 0xcc, 0x60),
    RgbColor(0xa5, 0xd6, 0xff),
    RgbColor(0xe2, 0xc5, 0xff),
    RgbColor(0xb3, 0xf0, 0xff),
    RgbColor(0xff, 0xff, 0xff),
]);

/// The terminal output of a sequence of commands.
struct Recording {
    env: Sandbox,
    screen: String,
}

impl Recording {
    fn new() -> Self {
        let mut env = Sandbox::new();
        env.set("TERM", "xterm-256color");
        env.write("report.pdf", vec![b'r'; 48_213]);
        env.write("scans.zip", vec![b's'; 2_417_002]);
        env.write("notes.md", "# Notes\n");
        Self { env, screen: String::new() }
    }

    /// Runs a line at this time of day without showing it.
    fn before(&self, time: &str, line: &str) {
        self.env.run(self.env.bash(line).env("HAUL_NOW", format!("2026-03-01T{time}Z"))).ok();
    }

    /// Runs a line at noon, and shows the line and its output.
    fn types(&mut self, line: &str) {
        let mut command = self.env.bash(line);
        command.env("HAUL_NOW", "2026-03-01T12:00:00Z");
        let shown = self.env.terminal_of(command, COLUMNS, "", On::All).stdout();
        if !self.screen.is_empty() {
            self.screen.push('\n');
        }
        self.screen.extend(["\u{1b}[1;32m$\u{1b}[0m ", line, "\n", &shown]);
    }

    fn draw(self) -> String {
        let screen = wrapped(&with_fixed_ids(self.screen.trim_end()));
        let svg = Term::new().palette(COLORS).fg_color(FOREGROUND).bg_color(BACKGROUND).render_svg(&screen);
        // On a dark page the background needs a frame. The rendered height is slightly too small.
        let height = 18 * screen.lines().count() + 20;
        let background = r#"class="bg" />"#;
        assert!(svg.contains(background) && svg.contains(&format!(r#"height="{height}px""#)));
        svg.replacen(background, &format!(r#"class="bg" stroke="{FRAME}" stroke-width="2" />"#), 1).replacen(
            &format!(r#"height="{height}px""#),
            &format!(r#"height="{}px""#, height + 6),
            1,
        )
    }
}

/// Wraps lines like the terminal. The screen must contain only text and colors.
fn wrapped(screen: &str) -> String {
    let (mut wrapped, mut column) = (String::new(), 0);
    let mut rest = screen.chars();
    while let Some(c) = rest.next() {
        match c {
            '\n' => column = 0,
            '\u{1b}' => {
                let style: String = rest.by_ref().take_while(|c| *c != 'm').collect();
                let is_color = style
                    .strip_prefix('[')
                    .is_some_and(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';'));
                assert!(is_color, "other than text and colors: {style:?}");
                wrapped.extend(["\u{1b}", &style, "m"]);
                continue;
            }
            c => {
                assert!(!c.is_control(), "other than text and colors: {c:?}");
                column += c.width().unwrap_or(0);
                if column > usize::from(COLUMNS) {
                    wrapped.push('\n');
                    column = c.width().unwrap_or(0);
                }
            }
        }
        wrapped.push(c);
    }
    wrapped
}

/// Replaces the ids, which differ between runs, with fixed ones of the same width.
fn with_fixed_ids(screen: &str) -> String {
    let is_id = |word: &str| word.len() == 16 && word.starts_with("1kjm");
    let mut fixed = BTreeMap::new();
    let words = screen.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_id(word));
    for word in words {
        let next = fixed.len() + 1;
        fixed.entry(word).or_insert_with(|| format!("1kjmma2g0{next}h{next}xk{next}w"));
    }
    fixed.iter().fold(screen.to_owned(), |screen, (id, name)| screen.replace(id, name))
}

fn tour() -> String {
    let mut terminal = Recording::new();
    terminal.before("09:00:00", "haul upload scans.zip");
    terminal.before("10:40:00", "haul upload notes.md -m project=apollo");
    terminal.types("haul upload report.pdf --metadata project=apollo");
    terminal.types("haul ls --filter 'metadata.project = apollo OR size > 1MB'");
    terminal.types("haul get report.pdf -o copy.pdf");
    terminal.types("haul get reprot.pdf");
    terminal.draw()
}

fn listing() -> String {
    let mut terminal = Recording::new();
    terminal.before("08:15:00", "haul upload scans.zip");
    terminal.before("10:40:00", "haul upload notes.md");
    terminal.before("11:58:00", "haul upload report.pdf -m project=apollo");
    terminal.types("haul ls --long");
    terminal.types("haul info report.pdf");
    terminal.draw()
}

fn providers() -> String {
    let mut terminal = Recording::new();
    terminal.types("haul providers");
    terminal.draw()
}

fn errors() -> String {
    let mut terminal = Recording::new();
    terminal.before("09:00:00", "haul upload notes.md report.pdf");
    terminal.types("haul lss");
    terminal.types("haul ls -p xai");
    terminal.types("haul upload notes.md --expire 24h");
    terminal.types("haul ls --filter 'size > 10 apples'");
    terminal.types("haul link activeloop:report.pdf");
    terminal.types("haul rm '*' < /dev/null");
    terminal.draw()
}

fn help() -> String {
    let mut terminal = Recording::new();
    terminal.types("haul -h");
    terminal.draw()
}

#[test]
fn pictures() {
    let pictures = [
        ("tour", tour()),
        ("listing", listing()),
        ("providers", providers()),
        ("errors", errors()),
        ("help", help()),
    ];
    let files = pictures.map(|(name, svg)| (format!("{name}.svg"), svg));
    agree_all("tests/pictures", &files);
}
