//! Runs a case in every format and checks the output.

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::cases::Case;
use super::schema::Schema;
use super::world::World;
use crate::support::sandbox::Run;
use crate::support::terminal::On;

/// Runs each case on terminals of several widths, in a pipe, and with `--json`, `--jsonl` and `--fields`.
pub fn check(world: &World, cases: &[Case]) {
    let mut schema = Schema::published();
    for case in cases {
        for columns in [40, 80, 200] {
            on_a_terminal(world, case, columns);
        }
        on_a_screen(world, case);
        in_a_pipe(world, case);
        as_json(world, case, &mut schema);
        fields_agree(world, case, &mut schema);
    }
}

fn run(world: &World, case: &Case, more: &[&str]) -> Run {
    world.reset(case.changes());
    let run = world.env.haul(case.arguments.iter().chain(more));
    exits_as_expected(case, &run);
    run
}

#[track_caller]
fn exits_as_expected(case: &Case, run: &Run) {
    assert_eq!(run.status, case.status, "{:?}\n{run}", case.arguments);
    shows_nothing_unsafe(case, &run.stderr(), run);
}

fn typed(case: &Case, world: &World) -> std::process::Command {
    world.reset(case.changes());
    let mut command = world.env.command();
    command.args(case.arguments);
    command
}

/// Data on a terminal, messages in a pipe.
fn on_a_terminal(world: &World, case: &Case, columns: u16) {
    let run = world.env.terminal_of(typed(case, world), columns, "", On::Out);
    exits_as_expected(case, &run);
    shows_nothing_unsafe(case, &run.stdout(), &run);
    let screen = without_color(&run.stdout());
    // `info` prints no table.
    let is_table = case.arguments[0] != "info" && case.shape != "datasheet";
    if is_table {
        let lines = if case.rows == 0 { 0 } else { case.rows + 1 };
        assert_eq!(screen.lines().count(), lines, "{:?} at {columns}\n{run}", case.arguments);
        for line in screen.lines() {
            // A URL is never cut.
            let fits = line.width() <= usize::from(columns) || line.contains("://");
            assert!(fits, "{:?} at {columns}: {line}", case.arguments);
        }
    }
}

/// Data and messages on one terminal.
fn on_a_screen(world: &World, case: &Case) {
    let mut command = typed(case, world);
    // Progress bars contain control sequences by design.
    command.args(["--progress", "never"]);
    let run = world.env.terminal_of(command, 80, "", On::All);
    exits_as_expected(case, &run);
    shows_nothing_unsafe(case, &run.stdout(), &run);
    if case.status != 0 {
        assert!(run.stdout().contains("error:"), "{:?}\n{run}", case.arguments);
    }
}

fn in_a_pipe(world: &World, case: &Case) {
    let plain = run(world, case, &[]);
    let quiet = run(world, case, &["--quiet"]);
    // `info` prints a line for each field.
    let is_record = case.arguments[0] == "info" || case.shape == "datasheet";
    for run in [&plain, &quiet] {
        let lines = run.lines().into_iter().filter(|line| !is_record || line.starts_with("name\t"));
        assert_eq!(lines.count(), case.rows, "{:?}\n{run}", case.arguments);
        let tabs = |line: &String| line.matches('\t').count();
        let has_columns = run.lines().windows(2).all(|two| tabs(&two[0]) == tabs(&two[1]));
        assert!(is_record || has_columns, "{run}");
        assert!(!run.stdout().contains('\r'), "{run}");
    }
    // Only messages and errors are on stderr, and `--quiet` silences messages.
    assert_eq!(plain.stderr().contains("error: "), case.status != 0, "{:?}\n{plain}", case.arguments);
    assert_eq!(quiet.stderr().is_empty(), case.status == 0, "{:?}\n{quiet}", case.arguments);
    assert!(!quiet.stderr().contains("dry run"), "{quiet}");
}

fn as_json(world: &World, case: &Case, schema: &mut Schema) {
    let json = run(world, case, &["--json"]);
    let rows = json.json();
    assert_eq!(rows.len(), case.rows, "{:?}\n{json}", case.arguments);
    if rows.is_empty() {
        assert_eq!(json.stdout(), "[]\n", "{:?}", case.arguments);
    }
    let jsonl = run(world, case, &["--jsonl"]);
    let lines = jsonl.jsonl();
    assert_eq!(lines.len(), case.rows, "{:?}\n{jsonl}", case.arguments);
    for row in rows.iter().chain(&lines) {
        // An upload that is skipped prints the existing file.
        if case.arguments.starts_with(&["meta", "get"]) {
            schema.holds_fields(case.shape, row);
        } else {
            schema.holds(case.shape, row);
        }
    }
    for told in [json.errors(), jsonl.errors()] {
        let failed = told.iter().filter(|line| line.get("error").is_some()).count();
        assert_eq!(failed > 0, case.status != 0, "{:?}\n{json}", case.arguments);
        for line in &told {
            let shape = if line.get("error").is_some() { "error_line" } else { "talk_line" };
            schema.valid(&format!("#/$defs/{shape}"), line);
        }
    }
}

/// The same fields have the same values in a pipe and as JSON.
fn fields_agree(world: &World, case: &Case, schema: &mut Schema) {
    let fields = ["--fields", case.fields];
    let json = run(world, case, &[&fields[..], &["--json"]].concat());
    let piped = run(world, case, &fields);
    let mut wanted = Vec::new();
    for row in json.json() {
        schema.holds_fields(case.shape, &row);
        let row = row.as_object().unwrap();
        assert_eq!(row.keys().map(String::as_str).collect::<Vec<_>>().join(","), case.fields);
        wanted.push(row.values().map(as_text).collect::<Vec<_>>());
    }
    let mut found: Vec<Vec<String>> =
        piped.lines().iter().map(|line| line.split('\t').map(unescaped).collect()).collect();
    // A command may print several files in any order.
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted, "{:?}", case.arguments);
}

fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Reverses the escapes `\t \n \r \\` that keep a row on one line. JSON has its own escapes.
fn unescaped(cell: &str) -> String {
    let printed = serde_json::from_str::<Value>(cell).map(|value| value.to_string());
    if cell.starts_with(['{', '[']) && printed.is_ok_and(|printed| printed == cell) {
        return cell.to_owned();
    }
    let mut text = String::new();
    let mut chars = cell.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('\\') => '\\',
                other => panic!("{other:?} after a backslash in {cell}"),
            },
            c => c,
        });
    }
    text
}

#[track_caller]
fn shows_nothing_unsafe(case: &Case, text: &str, run: &Run) {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!without_color(text).contains(steers), "{:?}\n{run}", case.arguments);
}

/// The text without color sequences. Other escape sequences stay.
pub fn without_color(text: &str) -> String {
    let mut plain = String::new();
    let mut parts = text.split("\u{1b}[");
    plain.extend(parts.next());
    for part in parts {
        match part.split_once('m') {
            Some((code, rest)) if code.chars().all(|c| c.is_ascii_digit() || c == ';') => {
                plain.push_str(rest);
            }
            _ => plain.extend(["\u{1b}[", part]),
        }
    }
    plain
}
