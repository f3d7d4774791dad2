//! `haul.schema.json`, the schema of the output of `--json`, `--jsonl`, `--report` and `--progress json`. It is
//! generated from the serialized types.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::commands::{
    auth, config, du, gc, get, link, lint, local, ls, planned, profile, providers, reference, report, rm,
    serve, skill, sync,
};
use crate::error::ErrorLine;
use crate::model::File;
use crate::ui::{Columns, Event, Message};

/// The version of the output format. It increases when a field is removed, is renamed or changes its type, but not
/// when one is added.
pub const VERSION: u32 = 1;

/// The schema of one kind of row or line.
struct Shape {
    name: &'static str,
    printed_by: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    /// The columns, for rows.
    columns: Option<&'static Columns>,
}

const fn row<T: JsonSchema>(
    name: &'static str,
    printed_by: &'static str,
    columns: &'static Columns,
) -> Shape {
    Shape { name, printed_by, schema: SchemaGenerator::subschema_for::<T>, columns: Some(columns) }
}

const fn line<T: JsonSchema>(name: &'static str, printed_by: &'static str) -> Shape {
    Shape { name, printed_by, schema: SchemaGenerator::subschema_for::<T>, columns: None }
}

impl Shape {
    /// Describes the commands that print the shape, and its default columns.
    fn comment(&self) -> String {
        let Some(columns) = self.columns.filter(|columns| columns.shown != columns.all) else {
            return self.printed_by.to_owned();
        };
        let mut comment =
            format!("{}. Default columns in a table: {}.", self.printed_by, columns.shown.join(", "));
        if let Some(piped) = columns.piped {
            comment.extend([" In a pipe: ", &piped.join(", "), "."]);
        }
        comment
    }
}

/// Rows on stdout: elements of the array of `--json`, or lines of `--jsonl`.
static ROWS: [Shape; 24] = [
    row::<File>("file", "ls, info, meta; link --dry-run", &ls::FILE_COLUMNS),
    row::<ls::Count>("count", "ls --count", &ls::COUNT_COLUMNS),
    row::<planned::Row>("uploaded_file", "upload, cp", &planned::UPLOADED_COLUMNS),
    row::<planned::Planned>("planned_file", "upload --dry-run, cp --dry-run", &planned::UPLOADED_COLUMNS),
    row::<get::Saved>("saved_file", "get, cp to this machine", &get::SAVED_COLUMNS),
    row::<rm::Row>("deleted_file", "rm", &rm::DELETED_COLUMNS),
    row::<sync::Row>("synced_file", "sync", &sync::COLUMNS),
    row::<gc::Row>("collected_file", "gc", &gc::COLUMNS),
    row::<du::Usage>("usage", "du", &du::GROUP_COLUMNS),
    row::<link::Row>("link", "link, link --list", &link::LINK_COLUMNS),
    row::<reference::Row>("snippet", "ref", &reference::COLUMNS),
    row::<lint::Row>("finding", "lint", &lint::COLUMNS),
    row::<providers::Row>("provider", "providers", &providers::COLUMNS),
    row::<providers::Sheet>("datasheet", "providers NAME", &providers::SHEET_COLUMNS),
    row::<profile::Row>("profile", "profile ls, profile add, profile rm, profile default", &profile::COLUMNS),
    row::<config::Row>("setting", "config show", &config::COLUMNS),
    row::<auth::status::Row>("token_status", "auth status", &auth::status::COLUMNS),
    row::<auth::login::Row>("login", "auth login", &auth::login::COLUMNS),
    row::<auth::logout::Row>("logout", "auth logout", &auth::logout::COLUMNS),
    row::<auth::token::Row>("token", "auth token", &auth::token::COLUMNS),
    row::<local::Row>("store_problem", "local check", &local::COLUMNS),
    row::<skill::Row>("installed_skill", "skill install", &skill::COLUMNS),
    row::<serve::QuirkRow>("quirk", "serve --quirks", &serve::QUIRK_COLUMNS),
    row::<serve::token::Row>("served_token", "serve token add", &serve::token::COLUMNS),
];

/// Objects that are not rows: a single object on stdout, and lines on stderr and in files.
static LINES: [Shape; 5] = [
    line::<serve::Served>("server", "serve, serve --print-env: one object on standard output"),
    line::<report::Line>("report_line", "--report FILE: a line in the file"),
    line::<ErrorLine>("error_line", "any command that fails: a line on standard error"),
    line::<Message>("talk_line", "any command: a line on standard error"),
    line::<Event>("progress_event", "--progress json: a line on standard error"),
];

/// The values for `--fields` of a command, such as `meta get`.
pub fn fields(command: &[String]) -> Vec<&'static str> {
    let prints = |shape: &&Shape| {
        shape.printed_by.split([',', ';']).any(|by| {
            let words = || by.split_whitespace().filter(|word| word.starts_with(char::is_lowercase));
            words().eq(command.iter().take(words().count()))
        })
    };
    let mut seen = BTreeSet::new();
    let columns = ROWS.iter().filter(prints).filter_map(|shape| shape.columns);
    columns.flat_map(|columns| columns.all).copied().filter(|field| seen.insert(*field)).collect()
}

/// The schema as JSON, ending with a newline.
pub fn document() -> String {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let reference = |shape: &Shape| json!({ "$ref": format!("#/$defs/{}", shape.name) });
    for shape in ROWS.iter().chain(&LINES) {
        (shape.schema)(&mut generator);
    }
    let mut definitions: Map<String, Value> = generator.take_definitions(true);
    for shape in ROWS.iter().chain(&LINES) {
        if let Some(Value::Object(definition)) = definitions.get_mut(shape.name) {
            definition.shift_insert(0, "$comment".to_owned(), shape.comment().into());
        }
    }
    definitions.sort_keys();
    definitions.shift_insert(
        0,
        "row".to_owned(),
        json!({ "anyOf": ROWS.iter().map(reference).collect::<Vec<_>>() }),
    );
    let rows = json!({ "type": "array", "items": { "$ref": "#/$defs/row" } });
    let row = json!({ "$ref": "#/$defs/row" });
    let any: Vec<Value> = [rows, row].into_iter().chain(LINES.iter().map(reference)).collect();
    let document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:haul:output:{VERSION}"),
        "title": "JSON output of haul",
        "description": "With --json, rows are elements of one array; with --jsonl, each row is a line. --fields and \
            --ids omit keys, and meta get prints only id, name and metadata unless --fields is given. --fields can also \
            select a nested key, such as metadata.author. Later versions may add keys; the number in $id increases when a key is removed or changes its type.",
        "anyOf": any,
        "$defs": definitions,
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_match_the_schema() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        for shape in &ROWS {
            let columns = shape.columns.expect("rows have columns");
            let printed = document["$defs"][shape.name]["properties"].as_object().expect(shape.name);
            assert_eq!(printed.keys().collect::<Vec<_>>(), columns.all, "{}", shape.name);
            assert!(columns.shown.iter().all(|field| columns.all.contains(field)), "{}", shape.name);
        }
    }
}
