//! Rows of data on stdout: a table or blocks on a terminal, tab-separated values in a pipe, or JSON.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::blocks::Blocks;
use super::table::{Table, pick};
use super::{Columns, Format, Jq, Ui, text};
use crate::error::{Error, Result};

/// The number of buffered bytes after which rows are written.
const CHUNK: usize = 64 * 1024;

/// Writes rows to stdout. Calling [`finish`](Self::finish) or dropping the value closes a JSON array.
pub struct Rows {
    ui: Ui,
    writer: Writer,
    buffer: Vec<u8>,
    /// Set once the output is complete, or writing or a jq program has failed.
    over: bool,
    /// Whether a record has already been printed.
    started: bool,
}

enum Writer {
    Table(Table),
    Blocks(Blocks),
    Lines(Vec<String>),
    Pairs(Vec<String>),
    Json(JsonRows),
}

impl Rows {
    pub(super) fn new(ui: &Ui, columns: Columns, blocks: bool) -> Result<Self> {
        let options = ui.options();
        let asked = options.fields.as_deref().map(|asked| check(asked, columns)).transpose()?;
        let named = asked.is_some();
        let table = ui.out_is_terminal();
        let shown = if table { columns.shown } else { columns.piped.unwrap_or(columns.shown) };
        let shown = |asked: Option<Vec<String>>| {
            asked.unwrap_or_else(|| shown.iter().map(|&field| field.to_owned()).collect())
        };
        // If all fields are default columns, as with `--ids`, JSON rows contain only these fields.
        let is_all = columns.all == columns.shown;
        let chosen = |asked: Option<Vec<String>>| {
            asked.or_else(|| is_all.then(|| columns.all.iter().map(|&field| field.to_owned()).collect()))
        };
        let writer = match options.format {
            Format::Json | Format::Jsonl => {
                let array = options.format == Format::Json;
                let jq = options.jq.clone().map(|jq| (jq, ui.is_for_terminal()));
                Writer::Json(JsonRows { array, fields: chosen(asked), rows: 0, jq, held: Vec::new() })
            }
            Format::Text if table && blocks => {
                Writer::Blocks(Blocks::new(shown(asked), ui.out_links(), options.clock))
            }
            Format::Text if table => {
                Writer::Table(Table::new(shown(asked), named, ui.out_color(), ui.out_links(), options.clock))
            }
            Format::Text if blocks && !named => Writer::Pairs(shown(asked)),
            Format::Text => Writer::Lines(shown(asked)),
        };
        Ok(Self { ui: ui.clone(), writer, buffer: Vec::new(), over: false, started: false })
    }

    /// Restricts JSON rows to these fields, unless `--fields` is given.
    #[must_use]
    pub fn only(mut self, shown: &[&str]) -> Self {
        if let Writer::Json(JsonRows { fields: fields @ None, .. }) = &mut self.writer {
            *fields = Some(shown.iter().map(|&field| field.to_owned()).collect());
        }
        self
    }

    /// Prints one row; with `--json`, its JSON object. A table is printed page by page: on [`flush`](Self::flush),
    /// every 100 rows, and at the end.
    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        match &mut self.writer {
            Writer::Json(writer) => {
                let written = writer.row(row, &mut self.buffer);
                if let Err(error) = written {
                    // The results before an error in the program are printed, and nothing after it.
                    self.over |= writer.jq.is_some() && !writer.array;
                    return self.write().and(Err(error));
                }
            }
            Writer::Lines(fields) => {
                let row = value(row)?;
                for (at, field) in fields.iter().enumerate() {
                    if at > 0 {
                        self.buffer.push(b'\t');
                    }
                    piped(field, pick(&row, field), &mut self.buffer);
                }
                self.buffer.push(b'\n');
            }
            Writer::Pairs(fields) => {
                let row = value(row)?;
                if std::mem::replace(&mut self.started, true) {
                    self.buffer.push(b'\n');
                }
                for field in fields.iter() {
                    self.buffer.extend_from_slice(field.as_bytes());
                    self.buffer.push(b'\t');
                    piped(field, pick(&row, field), &mut self.buffer);
                    self.buffer.push(b'\n');
                }
            }
            Writer::Blocks(blocks) => {
                let block = blocks.print(&value(row)?, self.ui.width());
                self.buffer.extend_from_slice(block.as_bytes());
            }
            Writer::Table(table) => {
                if table.push(&value(row)?) {
                    return self.flush();
                }
            }
        }
        if self.buffer.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    /// Writes the rows pushed so far.
    pub fn flush(&mut self) -> Result<()> {
        self.print_table(true);
        self.write()
    }

    /// Completes the output. Dropping does the same but cannot return an error.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.over, true) {
            return Ok(());
        }
        self.print_table(false);
        let ended = match &mut self.writer {
            Writer::Json(writer) => writer.end(&mut self.buffer),
            _ => Ok(()),
        };
        self.write().and(ended)
    }

    fn print_table(&mut self, more: bool) {
        if let Writer::Table(table) = &mut self.writer {
            self.buffer.extend_from_slice(table.print(self.ui.width(), more).as_bytes());
        }
    }

    fn write(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = match (&self.writer, std::str::from_utf8(&self.buffer)) {
            (Writer::Json(writer), Ok(json)) if writer.jq.is_none() && self.ui.is_for_terminal() => {
                self.ui.write_text(&text::safe_json(json))
            }
            (Writer::Lines(_) | Writer::Pairs(_), Ok(rows)) if self.ui.out_color() => {
                self.ui.write_text(&text::safe_rows(rows))
            }
            _ => self.ui.write_bytes(&self.buffer),
        };
        self.buffer.clear();
        // Rows after a failed write would leave a gap.
        self.over |= written.is_err();
        written
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // `drop` cannot return an error.
        let _ = self.end();
    }
}

fn value(row: &impl Serialize) -> Result<Value> {
    serde_json::to_value(row).map_err(|error| Error::failed("output: cannot write a row").caused_by(error))
}

/// Validates `--fields`. Each name must be a column or a nested key, such as `metadata.author`.
fn check(asked: &[String], columns: Columns) -> Result<Vec<String>> {
    let mut chosen: Vec<String> = Vec::with_capacity(asked.len());
    for field in asked.iter().map(|field| field.trim()).filter(|field| !field.is_empty()) {
        let column = field.split_once('.').map_or(field, |(column, _)| column);
        if !columns.all.contains(&field) && !columns.all.contains(&column) {
            return Err(unknown(field, columns.all));
        }
        if !chosen.iter().any(|known| known == field) {
            chosen.push(field.to_owned());
        }
    }
    if chosen.is_empty() {
        return Err(Error::usage("--fields: missing field name").hint(valid(columns.all)));
    }
    Ok(chosen)
}

fn unknown(field: &str, all: &[&str]) -> Error {
    Error::usage(format!("{field}: unknown field")).did_you_mean(field, all.iter().copied()).hint(valid(all))
}

fn valid(all: &[&str]) -> String {
    format!("fields: {}", all.join(", "))
}

/// Appends a value of a tab-separated row, untruncated; null is empty. Times have whole seconds, so that all have the
/// same width and sort as text. Tab, line feed, carriage return and backslash in text are written as `\t \n \r \\`,
/// so that a row is one line. Objects and lists are compact JSON, which escapes these characters itself.
fn piped(field: &str, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::String(text) => {
            // Metadata is text chosen by users.
            let is_time = field.ends_with("_at") && !field.starts_with("metadata.");
            if is_time && let Ok(time) = text.parse::<Timestamp>() {
                let whole = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                return out.extend_from_slice(whole.as_bytes());
            }
            for byte in text.bytes() {
                match byte {
                    b'\t' => out.extend_from_slice(b"\\t"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    byte => out.push(byte),
                }
            }
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// One object as a line of JSON that is safe to print on a terminal.
pub(super) fn json_line(object: &impl Serialize) -> String {
    // Serialization fails only for maps whose keys are not strings.
    let json = serde_json::to_string(object).unwrap_or_default();
    text::safe_json(&json).into_owned() + "\n"
}

/// Rows as JSON, written as they arrive.
struct JsonRows {
    /// Whether to write one array instead of one object per line.
    array: bool,
    fields: Option<Vec<String>>,
    rows: u64,
    /// The program whose results are written instead, and whether they must be safe for a terminal.
    jq: Option<(Jq, bool)>,
    /// The JSON that the program has not received yet.
    held: Vec<u8>,
}

impl JsonRows {
    /// Appends one row to `out`.
    fn row(&mut self, row: &impl Serialize, out: &mut Vec<u8>) -> Result<()> {
        let into = if self.jq.is_some() { &mut self.held } else { &mut *out };
        let start = into.len();
        if self.array {
            into.extend_from_slice(if self.rows == 0 { b"[\n" } else { b",\n" });
        }
        let written = match &self.fields {
            // Serializing the row directly takes a third less time than going through a `Value`.
            None => serde_json::to_writer(&mut *into, row),
            Some(fields) => serde_json::to_value(row).and_then(|row| {
                let chosen = fields.iter().map(|field| (field.clone(), pick(&row, field).clone()));
                serde_json::to_writer(&mut *into, &chosen.collect::<Map<String, Value>>())
            }),
        };
        if let Err(error) = written {
            into.truncate(start);
            return Err(Error::failed("output: cannot serialize as JSON").caused_by(error));
        }
        if !self.array {
            into.push(b'\n');
        }
        self.rows += 1;
        if self.array { Ok(()) } else { self.run(out) }
    }

    /// Appends the end of the array.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if !self.array {
            return Ok(());
        }
        let into = if self.jq.is_some() { &mut self.held } else { &mut *out };
        into.extend_from_slice(if self.rows == 0 { b"[]\n" } else { b"\n]\n" });
        self.run(out)
    }

    /// Runs the program, if any, on the held JSON.
    fn run(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some((jq, safe)) = &self.jq else { return Ok(()) };
        let result = jq.run(&self.held, *safe, out);
        self.held.clear();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::error::Kind;
    use crate::model::File;
    use crate::ui::tests::{Case, Sink, case, pipe, terminal};
    use crate::ui::{Environment, Options, Streams, When};

    const COLUMNS: Columns = Columns {
        all: &File::FIELDS,
        shown: &["id", "name", "size", "content_type", "status", "created_at"],
        piped: None,
    };

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
            File {
                content_type: None, status: Some("failed".into()), ..file("file_1", "日本語.pdf", None)
            },
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
    fn times_in_a_pipe_have_one_width() {
        let shown = |time: &str| {
            let mut out = Vec::new();
            piped("created_at", &time.into(), &mut out);
            String::from_utf8(out).unwrap()
        };
        for time in ["2026-03-01T12:00:00.42355743Z", "2026-03-01T12:00:00.4Z", "2026-03-01T12:00:00Z"] {
            assert_eq!(shown(time), "2026-03-01T12:00:00Z");
        }
        assert_eq!(shown("soon"), "soon");
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
ID                 NAME                           SIZE  STATUS     CREATED_AT  …
file_0a1b2c3d4e5f  quarterly-report…ersion.pdf  1.2 MB  processed  3 h ago
file_1             日本語.pdf                        -  failed     3 h ago
file_2             a\\u{1b}[2J\\u{202e}b\\nc         12 B  processed  -
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
    fn an_ellipsis_marks_hidden_columns() {
        let header = |width| print(&terminal(width), &files()).lines().next().unwrap().to_owned();
        assert_eq!(header(70), "ID                 NAME                            SIZE  CREATED_AT  …");
        assert!(!header(120).contains('…'));
    }

    #[test]
    fn json_on_a_terminal_is_safe_and_equivalent() {
        let case = case(true, 80, "", Options { format: Format::Json, ..Options::default() });
        let printed = print(&case, &files());
        assert!(!printed.contains(|c| c != '\n' && text::is_unsafe(c)), "{printed:?}");
        assert_eq!(serde_json::from_str::<Vec<File>>(&printed).unwrap(), files());
    }

    #[test]
    fn table_lines_are_safe_and_fit_the_terminal() {
        for width in 10..=130 {
            let printed = print(&terminal(width), &files());
            assert_eq!(printed.lines().count(), 4, "{width}");
            for line in printed.lines() {
                assert!(line.width() <= usize::from(width), "{width}: {line}");
                assert!(!line.contains(text::is_unsafe), "{line}");
            }
        }
    }

    #[test]
    fn urls_are_hyperlinks_on_terminals_that_show_them_in_color() {
        let print = |tty, color, no_color, hyperlinks, blocks| {
            let env = Environment { no_color, hyperlinks, ..Environment::default() };
            let case = case(tty, 40, "", Options { color, env, ..Options::default() });
            let columns = Columns { all: &["name", "url"], shown: &["name", "url"], piped: None };
            let mut rows =
                if blocks { case.ui.records(columns).unwrap() } else { case.ui.rows(columns).unwrap() };
            rows.push(
                &json!({"name": "https://a b", "url": "https://host/path?to=the-file&signature=0123456789"}),
            )
            .unwrap();
            rows.finish().unwrap();
            case.out.text()
        };
        let url = "https://host/path?to=the-file&signature=0123456789";
        let link = format!("\u{1b}]8;;{url}\u{1b}\\{url}\u{1b}]8;;\u{1b}\\");
        for blocks in [false, true] {
            let printed = print(true, When::Auto, false, true, blocks);
            assert_eq!(printed.matches("\u{1b}]8;;").count(), 2, "{printed:?}");
            assert!(printed.contains(&link), "{printed:?}");
            for (tty, color, no_color, hyperlinks) in [
                (false, When::Auto, false, true),
                (false, When::Always, false, true),
                (true, When::Never, false, true),
                (true, When::Auto, true, true),
                (true, When::Auto, false, false),
            ] {
                let printed = print(tty, color, no_color, hyperlinks, blocks);
                assert!(printed.contains(url) && !printed.contains("]8;"), "{printed:?}");
            }
        }
    }

    #[test]
    fn a_program_gets_the_array_or_each_object() {
        let print = |format, program: &str| {
            let jq = Some(Jq::parse(program).unwrap());
            let case = case(false, 80, "", Options { format, jq, ..Options::default() });
            let mut rows = case.ui.rows(COLUMNS).unwrap();
            let mut result = files().iter().try_for_each(|file| rows.push(file));
            result = result.and_then(|()| rows.finish());
            (case.out.text(), result.map_err(|error| error.message().to_owned()))
        };
        assert_eq!(print(Format::Json, "length"), ("3\n".to_owned(), Ok(())));
        assert_eq!(print(Format::Json, ".[1:][].id"), ("file_1\nfile_2\n".to_owned(), Ok(())));
        assert_eq!(print(Format::Jsonl, ".size"), ("1234567\nnull\n12\n".to_owned(), Ok(())));
        let failed = print(Format::Jsonl, ".size | if . == null then error(\"no size\") end");
        assert_eq!(failed, ("1234567\n".to_owned(), Err("--jq: no size".to_owned())));
    }

    #[test]
    fn no_rows_print_nothing_or_an_empty_array() {
        assert_eq!(print(&terminal(80), &[]), "");
        assert_eq!(print(&pipe(Format::Text), &[]), "");
        assert_eq!(print(&pipe(Format::Jsonl), &[]), "");
        assert_eq!(print(&pipe(Format::Json), &[]), "[]\n");
    }

    #[test]
    fn the_first_page_is_printed_alone_and_determines_the_widths() {
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
    fn colours_do_not_change_the_text() {
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
    fn a_pipe_gets_unshortened_values() {
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
    fn json_rows_are_an_array_or_one_per_line() {
        let array: Vec<File> = serde_json::from_str(&print(&pipe(Format::Json), &files())).unwrap();
        assert_eq!(array, files());
        let lines = print(&pipe(Format::Jsonl), &files());
        let lines: Vec<File> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, files());
    }

    #[test]
    fn an_array_is_closed_after_an_error() {
        let case = pipe(Format::Json);
        let fail = || -> Result<()> {
            let mut rows = case.ui.rows(COLUMNS)?;
            rows.push(&json!({"id": 1}))?;
            // A map whose keys are not strings cannot be serialized; the array stays valid.
            assert!(rows.push(&std::collections::HashMap::from([((1, 2), 3)])).is_err());
            Err(Error::failed("x: gone"))
        };
        assert!(fail().is_err());
        assert_eq!(case.out.text(), "[\n{\"id\":1}\n]\n");
    }

    #[test]
    fn fields_select_and_order_in_every_format() {
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
    fn an_unknown_field_is_a_usage_error() {
        let case = case(false, 80, "", Options { fields: Some(vec!["nmae".into()]), ..Options::default() });
        let Err(error) = case.ui.rows(COLUMNS) else { panic!("accepted") };
        assert_eq!((error.kind(), error.hints()[0].as_str()), (Kind::Usage, "did you mean `name`?"));
        assert_eq!(case.out.text(), "");
    }

    #[test]
    fn a_closed_pipe_and_a_full_disk_are_different_errors() {
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

    const FIELDS: Columns =
        Columns { all: &["id", "name", "content_type", "metadata"], shown: &["id"], piped: None };

    fn checked(fields: &str) -> Result<Vec<String>> {
        check(&fields.split(',').map(str::to_owned).collect::<Vec<_>>(), FIELDS)
    }

    #[test]
    fn fields_keep_their_order_without_repeats() {
        assert_eq!(checked("name, id,name").unwrap(), ["name", "id"]);
        assert_eq!(checked("metadata.a.b").unwrap(), ["metadata.a.b"]);
    }

    #[test]
    fn an_unknown_field_suggests_the_nearest_and_lists_the_valid_ones() {
        let error = checked("id,nmae").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.message(), "nmae: unknown field");
        assert_eq!(error.hints(), ["did you mean `name`?", "fields: id, name, content_type, metadata"]);
        assert_eq!(checked("xyzzy").unwrap_err().hints().len(), 1);
        assert_eq!(checked("type").unwrap_err().hints()[0], "did you mean `content_type`?");
        assert_eq!(checked(",").unwrap_err().message(), "--fields: missing field name");
    }

    #[test]
    fn piped_values_are_on_one_line() {
        let piped = |value: &Value| {
            let mut out = Vec::new();
            super::piped("created_at", value, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(piped(&json!("a\tb\nc\rd\\e\u{1b}")), "a\\tb\\nc\\rd\\\\e\u{1b}");
        assert_eq!(piped(&json!(1_234_567)), "1234567");
        assert_eq!(piped(&json!("2026-03-01T12:00:00.25Z")), "2026-03-01T12:00:00Z");
        assert_eq!(piped(&json!(true)), "true");
        assert_eq!(piped(&json!(null)), "");
        assert_eq!(piped(&json!({"a": "x\ty\\"})), r#"{"a":"x\ty\\"}"#);
    }
}
