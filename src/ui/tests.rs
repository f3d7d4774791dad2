//! The ui as its users meet it: what arrives on which stream.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::model::{Clock, File};
use crate::progress::Outcome;

const COLUMNS: Columns = Columns {
    all: &File::FIELDS,
    shown: &["id", "name", "size", "content_type", "status", "created_at"],
    piped: None,
};

/// A stream that keeps what is written, or refuses it.
#[derive(Clone, Default)]
struct Sink {
    text: Arc<Mutex<Vec<u8>>>,
    refuses: Option<io::ErrorKind>,
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(lock(&self.text).clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.refuses {
            return Err(kind.into());
        }
        lock(&self.text).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Case {
    ui: Ui,
    out: Sink,
    err: Sink,
}

fn case(tty: bool, width: u16, input: &'static str, options: Options) -> Case {
    let (out, err) = (Sink::default(), Sink::default());
    let streams = Streams {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        input: Box::new(input.as_bytes()),
        out_tty: tty,
        err_tty: tty,
        in_tty: tty,
        width: Some(width),
    };
    let clock = Clock(Some("2026-03-01T12:00:00Z".parse().unwrap()));
    Case { ui: Ui::with_streams(Options { clock, ..options }, streams), out, err }
}

fn terminal(width: u16) -> Case {
    case(true, width, "", Options { color: When::Never, ..Options::default() })
}

fn pipe(format: Format) -> Case {
    case(false, 80, "", Options { format, ..Options::default() })
}

fn file(id: &str, name: &str, size: Option<u64>) -> File {
    File {
        provider: "local".into(),
        profile: "local".into(),
        id: id.into(),
        name: name.into(),
        size,
        content_type: Some("application/pdf".into()),
        status: Some("processed".into()),
        created_at: Some("2026-03-01T09:00:00Z".parse().unwrap()),
        ..File::default()
    }
}

fn files() -> [File; 3] {
    [
        file("file_0a1b2c3d4e5f", "quarterly-report-2026-final-version.pdf", Some(1_234_567)),
        File { content_type: None, status: Some("failed".into()), ..file("file_1", "日本語.pdf", None) },
        File { created_at: None, ..file("file_2", "a\u{1b}[2J\u{202e}b\nc", Some(12)) },
    ]
}

fn print(case: &Case, rows: &[File]) -> String {
    let mut run = case.ui.rows(COLUMNS).unwrap();
    for row in rows {
        run.push(row).unwrap();
    }
    run.finish().unwrap();
    case.out.text()
}

#[test]
fn a_table_fits_its_terminal() {
    assert_eq!(
        print(&terminal(200), &files()),
        "\
ID                 NAME                                       SIZE  CONTENT_TYPE     STATUS     CREATED_AT
file_0a1b2c3d4e5f  quarterly-report-2026-final-version.pdf  1.2 MB  application/pdf  processed  3 hours ago
file_1             日本語.pdf                                    -  -                failed     3 hours ago
file_2             a\\u{1b}[2J\\u{202e}b\\nc                     12 B  application/pdf  processed  -
"
    );
    assert_eq!(
        print(&terminal(80), &files()),
        "\
ID                 NAME            SIZE  CONTENT_TYPE     STATUS     CREATED_AT
file_0a1b2c3d4e5f  quarter….pdf  1.2 MB  application/pdf  processed  3 hours ago
file_1             日本語.pdf         -  -                failed     3 hours ago
file_2             a\\u{1b}…b\\nc    12 B  application/pdf  processed  -
"
    );
    assert_eq!(
        print(&terminal(40), &files()),
        "\
ID                 NAME             SIZE
file_0a1b2c3d4e5f  quarterl….pdf  1.2 MB
file_1             日本語.pdf          -
file_2             a\\u{1b}[…b\\nc    12 B
"
    );
}

#[test]
fn an_ellipsis_stands_for_columns_without_room() {
    let header = |width| print(&terminal(width), &files()).lines().next().unwrap().to_owned();
    assert_eq!(header(70), "ID                 NAME                SIZE  STATUS     CREATED_AT   …");
    assert!(!header(120).contains('…'));
}

#[test]
fn json_on_a_terminal_is_safe_and_means_the_same() {
    let case = case(true, 80, "", Options { format: Format::Json, ..Options::default() });
    let printed = print(&case, &files());
    assert!(!printed.contains(|c| c != '\n' && sanitize::is_unsafe(c)), "{printed:?}");
    assert_eq!(serde_json::from_str::<Vec<File>>(&printed).unwrap(), files());
}

#[test]
fn no_line_of_a_table_is_wider_than_its_terminal_or_unsafe() {
    for width in 10..=130 {
        let printed = print(&terminal(width), &files());
        assert_eq!(printed.lines().count(), 4, "{width}");
        for line in printed.lines() {
            assert!(line.width() <= usize::from(width), "{width}: {line}");
            assert!(!line.contains(sanitize::is_unsafe), "{line}");
        }
    }
}

#[test]
fn no_rows_print_nothing_but_an_empty_array() {
    assert_eq!(print(&terminal(80), &[]), "");
    assert_eq!(print(&pipe(Format::Text), &[]), "");
    assert_eq!(print(&pipe(Format::Jsonl), &[]), "");
    assert_eq!(print(&pipe(Format::Json), &[]), "[]\n");
}

#[test]
fn the_first_page_fixes_the_widths_and_waits_for_no_other() {
    let case = terminal(80);
    let mut rows = case.ui.rows(COLUMNS).unwrap();
    rows.push(&file("file_1", "a.txt", Some(1))).unwrap();
    assert_eq!(case.out.text(), "");
    rows.flush().unwrap();
    assert_eq!(case.out.text().lines().count(), 2);
    rows.push(&file("file_2", "a-name-much-longer-than-the-first-one.txt", Some(999_949_999))).unwrap();
    rows.flush().unwrap();
    rows.finish().unwrap();
    assert_eq!(
        case.out.text(),
        "\
ID      NAME                   SIZE  CONTENT_TYPE     STATUS      CREATED_AT
file_1  a.txt                   1 B  application/pdf  processed   3 hours ago
file_2  a-name-muc…ne.txt  999.9 MB  application/pdf  processed   3 hours ago
"
    );

    let case = terminal(80);
    let mut rows = case.ui.rows(COLUMNS).unwrap();
    for number in 0..100 {
        rows.push(&file("f", "n", Some(number))).unwrap();
    }
    assert_eq!(case.out.text().lines().count(), 101);
}

#[test]
fn colour_marks_meaning_and_no_letter_depends_on_it() {
    let plain = print(&terminal(120), &files());
    let coloured = print(&case(true, 120, "", Options::default()), &files());
    assert!(coloured.contains("\u{1b}[32mprocessed\u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[31mfailed\u{1b}[0m"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[1mNAME\u{1b}[0m"), "{coloured:?}");
    let mut stripped = String::new();
    let mut parts = coloured.split('\u{1b}');
    stripped.push_str(parts.next().unwrap());
    parts.for_each(|part| stripped.push_str(part.split_once('m').unwrap().1));
    assert_eq!(stripped, plain);
}

#[test]
fn a_pipe_gets_whole_values_a_row_a_line() {
    assert_eq!(
        print(&pipe(Format::Text), &files()),
        "\
file_0a1b2c3d4e5f\tquarterly-report-2026-final-version.pdf\t1234567\tapplication/pdf\tprocessed\t2026-03-01T09:00:00Z
file_1\t日本語.pdf\t\t\tfailed\t2026-03-01T09:00:00Z
file_2\ta\u{1b}[2J\u{202e}b\\nc\t12\tapplication/pdf\tprocessed\t
"
    );
    let narrower = Columns { piped: Some(&["id"]), ..COLUMNS };
    let case = pipe(Format::Text);
    let mut rows = case.ui.rows(narrower).unwrap();
    rows.push(&files()[1]).unwrap();
    rows.finish().unwrap();
    assert_eq!(case.out.text(), "file_1\n");
}

#[test]
fn json_is_the_row_itself_in_an_array_or_a_line_each() {
    let array: Vec<File> = serde_json::from_str(&print(&pipe(Format::Json), &files())).unwrap();
    assert_eq!(array, files());
    let lines = print(&pipe(Format::Jsonl), &files());
    let lines: Vec<File> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, files());
}

#[test]
fn an_array_is_closed_however_the_run_ends() {
    let case = pipe(Format::Json);
    let fail = || -> Result<()> {
        let mut rows = case.ui.rows(COLUMNS)?;
        rows.push(&json!({"id": 1}))?;
        // A map whose key is no text cannot be JSON: the array stays whole.
        assert!(rows.push(&std::collections::HashMap::from([((1, 2), 3)])).is_err());
        Err(Error::failed("x: gone"))
    };
    assert!(fail().is_err());
    assert_eq!(case.out.text(), "[\n{\"id\":1}\n]\n");
}

#[test]
fn fields_pick_and_order_in_every_format() {
    let mut row = files()[0].clone();
    row.metadata.insert("author".into(), "kim".into());
    let printed = |tty, format| {
        let fields = ["metadata.author", "size", "metadata.none"].map(str::to_owned).to_vec();
        let options = Options { format, fields: Some(fields), color: When::Never, ..Options::default() };
        print(&case(tty, 80, "", options), std::slice::from_ref(&row))
    };
    assert_eq!(
        printed(true, Format::Text),
        "metadata.author    SIZE  metadata.none\nkim              1.2 MB  -\n"
    );
    assert_eq!(printed(false, Format::Text), "kim\t1234567\t\n");
    assert_eq!(
        printed(false, Format::Jsonl),
        "{\"metadata.author\":\"kim\",\"size\":1234567,\"metadata.none\":null}\n"
    );
}

#[test]
fn an_unknown_field_is_wrong_usage() {
    let case = case(false, 80, "", Options { fields: Some(vec!["nmae".into()]), ..Options::default() });
    let Err(error) = case.ui.rows(COLUMNS) else { panic!("accepted") };
    assert_eq!((error.kind(), error.hints()[0].as_str()), (Kind::Usage, "did you mean `name`?"));
    assert_eq!(case.out.text(), "");
}

#[test]
fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
    for (refusal, kind) in
        [(io::ErrorKind::BrokenPipe, Kind::ClosedPipe), (io::ErrorKind::StorageFull, Kind::Failed)]
    {
        let (out, err) = (Sink { refuses: Some(refusal), ..Sink::default() }, Sink::default());
        let streams = Streams { out: Box::new(out), err: Box::new(err.clone()), ..Streams::process() };
        let ui = Ui::with_streams(Options { format: Format::Json, ..Options::default() }, streams);
        let mut rows = ui.rows(COLUMNS).unwrap();
        rows.push(&json!({})).unwrap();
        let error = rows.flush().unwrap_err();
        assert_eq!(error.kind(), kind);
        rows.finish().unwrap();
        ui.error(&error);
        assert_eq!(err.text().is_empty(), kind == Kind::ClosedPipe);
    }
}

#[test]
fn talk_that_nobody_hears_stops_nothing() {
    let err = Sink { refuses: Some(io::ErrorKind::BrokenPipe), ..Sink::default() };
    let streams = Streams { err: Box::new(err), ..Streams::process() };
    let ui = Ui::with_streams(Options::default(), streams);
    ui.note("x");
    ui.error(&Error::failed("x"));
}

#[test]
fn quiet_silences_talk_but_neither_warnings_nor_errors() {
    let say = |options: Options| {
        let case = case(true, 80, "", Options { color: When::Never, ..options });
        case.ui.note("note\u{7}");
        case.ui.detail("detail");
        case.ui.warn("warning");
        case.ui.hint("`haul ls`");
        case.ui.error(&Error::failed("x: gone").cause("why\nerror: forged").hint("`haul`"));
        case.ui.error(&Error::failed("seen").reported());
        assert_eq!(case.out.text(), "");
        case.err.text()
    };
    let errors = "error: x: gone\ncaused by: why\n  error: forged\nhint: `haul`\n";
    assert_eq!(
        say(Options { verbose: 1, ..Options::default() }),
        format!("note\\u{{7}}\ndetail\nwarning: warning\nhint: `haul ls`\n{errors}")
    );
    assert_eq!(
        say(Options { verbose: 1, quiet: true, ..Options::default() }),
        format!("warning: warning\n{errors}")
    );
}

#[test]
fn with_json_an_error_is_one_object() {
    let case = pipe(Format::Jsonl);
    case.ui.hint("nobody reads this");
    case.ui.error(&Error::not_found("x: no such file"));
    let error: Value = serde_json::from_str(&case.err.text()).unwrap();
    assert_eq!((&error["error"]["kind"], &error["error"]["exit_code"]), (&json!("not_found"), &json!(3)));
    assert_eq!(case.err.text().lines().count(), 1);
}

#[test]
fn labels_are_coloured_where_colour_is_wanted() {
    let case = case(true, 80, "", Options::default());
    case.ui.error(&Error::failed("x: gone"));
    assert_eq!(case.err.text(), "\u{1b}[1;31merror:\u{1b}[0m x: gone\n");
}

#[test]
fn only_a_yes_is_a_yes() {
    for (input, yes) in
        [("y\n", true), ("YES\r\n", true), (" yes ", true), ("\n", false), ("", false), ("yep\n", false)]
    {
        let case = case(true, 80, input, Options::default());
        assert_eq!(case.ui.confirm("remove \u{1b}x?").unwrap(), yes, "{input:?}");
        let end = if input.is_empty() { "\n" } else { "" };
        assert_eq!(case.err.text(), format!("remove \\u{{1b}}x? [y/N] {end}"));
    }
    assert_eq!(case(false, 80, "y\n", Options::default()).ui.confirm("x").unwrap_err().kind(), Kind::Usage);
    let ci = Environment { ci: true, ..Environment::default() };
    assert!(!case(true, 80, "y\n", Options { env: ci, ..Options::default() }).ui.can_ask());
}

#[test]
fn an_answer_leaves_the_rest_of_the_input() {
    let case = case(true, 80, "n\ny\n", Options::default());
    assert!(!case.ui.confirm("first?").unwrap());
    assert!(case.ui.confirm("second?").unwrap());
}

#[test]
fn columns_beat_the_terminal() {
    let env = Environment { columns: Some(40), ..Environment::default() };
    assert_eq!(case(true, 200, "", Options { env, ..Options::default() }).ui.width(), 40);
    assert_eq!(terminal(200).ui.width(), 200);
}

#[test]
fn progress_is_shown_where_it_fits() {
    let style = |tty, progress, quiet, ci, dumb| {
        let env = Environment { dumb, ci, ..Environment::default() };
        let options = Options { quiet, progress, env, ..Options::default() };
        case(tty, 80, "", options).ui.progress_style()
    };
    assert_eq!(style(true, ProgressMode::Auto, false, false, false), Some(Style::Bars));
    assert_eq!(style(true, ProgressMode::Auto, false, true, false), None);
    assert_eq!(style(true, ProgressMode::Always, false, false, true), Some(Style::Lines));
    assert_eq!(style(false, ProgressMode::Auto, false, false, false), None);
    assert_eq!(style(false, ProgressMode::Always, false, false, false), Some(Style::Lines));
    assert_eq!(style(false, ProgressMode::Json, false, false, false), Some(Style::Events));
    assert_eq!(style(true, ProgressMode::Never, false, false, false), None);
    assert_eq!(style(true, ProgressMode::Always, true, false, false), None);
}

#[test]
fn events_begin_and_end_with_their_item() {
    let case = case(false, 80, "", Options { progress: ProgressMode::Json, ..Options::default() });
    let progress = case.ui.progress();
    progress.expect(1, 10);
    let item = progress.item("a", Some(10));
    item.at(10);
    item.finish(Outcome::Done);
    drop((item, progress));
    let text = case.err.text();
    let mut events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The thread that looks may have come by in between.
    events.retain(|event| event["event"] != "progress");
    assert_eq!(
        events,
        [
            json!({"event": "total", "items": 1, "total": 10}),
            json!({"event": "start", "item": 1, "name": "a", "bytes": 0, "total": 10}),
            json!({"event": "finish", "item": 1, "name": "a", "bytes": 10, "total": 10, "outcome": "done"}),
        ]
    );
}
