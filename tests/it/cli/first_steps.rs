//! The first commands of a new user: each prints a useful screen. The transcripts are snapshots.

use std::fmt::Write as _;

use crate::cli::contract::cells::without_color;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::terminal::On;

/// Run in a folder with new files and without configuration.
const STEPS: &[&str] = &[
    "haul",
    "haul help",
    "haul upload",
    "haul upload missing.txt",
    "haul ls",
    "haul get nope",
    "haul ls -p xai",
    "haul rm *",
    "haul upload --help | head -3",
    "haul lss",
];

fn transcript(run: impl Fn(&Sandbox, &str) -> Run) -> String {
    let env = Sandbox::new();
    for name in ["notes.txt", "photo.jpg", "report.pdf"] {
        env.write(name, name);
    }
    let mut transcript = String::new();
    for line in STEPS {
        let run = run(&env, line);
        let shown = without_color(&[run.stdout(), run.stderr()].concat());
        write!(transcript, "$ {line}\n{shown}[exit {}]\n\n", run.status).unwrap();
    }
    transcript
}

#[test]
fn on_a_terminal() {
    let screens = transcript(|env, line| env.terminal_of(env.bash(line), 80, "", On::All));
    for line in screens.lines().filter(|line| !line.starts_with("$ ")) {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
    }
    insta::assert_snapshot!(screens);
}

#[test]
fn in_a_pipe() {
    insta::assert_snapshot!(transcript(Sandbox::shell));
}
