//! The facts at the head of each page of `docs/platforms/`, as `haul providers NAME --json` prints them.

use std::fmt::Write as _;

use haul::providers::{Download, REGISTRY};
use serde_json::Value;

use crate::support::generated::root;
use crate::support::sandbox::Sandbox;

/// The name of each platform and the generated part of its page. A platform without a page fails the test that compares them.
pub fn parts() -> Vec<(&'static str, String)> {
    let env = Sandbox::new();
    let part = |name: &'static str| {
        let run = env.haul(["providers", name, "--json"]).ok();
        let rows: Vec<Value> = serde_json::from_slice(&run.out).unwrap();
        (name, table(&rows))
    };
    REGISTRY.iter().map(|spec| part(spec.name)).collect()
}

/// The facts that all dialects share, then a table with a column per dialect.
fn table(rows: &[Value]) -> String {
    let first = &rows[0];
    let mut table = String::from("| | |\n| --- | --- |\n");
    for (key, title) in SHARED {
        let text = words(&first[key]);
        if !text.is_empty() {
            let _ = writeln!(table, "| {title} | {text} |");
        }
    }
    if let Some(settings) = first["settings"].as_object() {
        for (key, about) in settings {
            let _ = writeln!(table, "| `--set {key}=…` | {} |", about.as_str().unwrap());
        }
    }
    let dialects: Vec<(&str, &str)> =
        rows.iter().map(|row| row["dialect"].as_str().unwrap().split_once(": ").unwrap()).collect();
    table += "\n| dialect |";
    for (name, title) in &dialects {
        let _ = write!(table, " `{name}`: {title} |");
    }
    let _ = writeln!(table, "\n| --- |{}", " --- |".repeat(rows.len()));
    for (key, title) in &EACH {
        if rows.iter().any(|row| !words(&row[key]).is_empty()) {
            let _ = write!(table, "| {title} |");
            for row in rows {
                let text = match row[key].as_array() {
                    // Outside of code, operators such as `<` and `~` are Markdown.
                    Some(items) if *key == "filter" => {
                        let code: Vec<_> = items.iter().map(|item| format!("`{}`", words(item))).collect();
                        code.join(", ")
                    }
                    _ => words(&row[key]),
                };
                let _ = write!(table, " {text} |");
            }
            table.push('\n');
        }
    }
    table
}

/// The table of vendors rejects what the capabilities reject, and has a row for each vendor.
#[test]
fn the_table_of_vendors_matches_the_capabilities() {
    let page = std::fs::read_to_string(root().join("docs/platforms/README.md")).unwrap();
    let (_, after) = page.split_once("| vendor | `upload` |").expect("the table");
    let mut rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let vendors = REGISTRY.iter().skip_while(|spec| spec.name != "openai");
    for spec in vendors.take_while(|spec| spec.name != "mistral" && spec.name != "together") {
        let row = rows.next().unwrap_or_else(|| panic!("{} has no row", spec.name));
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let can = spec.dialects[0].can;
        let gets = can.download != Download::Never;
        let has_stores = spec.settings.iter().any(|setting| setting.key == "vector_store");
        let possible = [true, true, true, gets, can.delete, can.upload.lifetime.is_some(), gets, has_stores];
        assert_eq!((cells[0], cells.len()), (spec.name, 1 + possible.len()));
        for (cell, possible) in cells[1..].iter().zip(possible) {
            assert!(if possible { ["C", "I"].contains(cell) } else { *cell == "–" }, "{row}");
        }
    }
    assert_eq!(rows.next(), None, "no vendor has this row");
}

const SHARED: [(&str, &str); 6] = [
    ("docs_url", "documentation"),
    ("base_url", "base URL"),
    ("upload_base_url", "upload base URL"),
    ("token_variables", "token variables"),
    ("base_url_variables", "base URL variables"),
    ("rate", "rate limit"),
];

const EACH: [(&str, &str); 19] = [
    ("operations", "operations"),
    ("max_size", "largest file, bytes"),
    ("name_limit", "longest name"),
    ("name_slash", "`/` in names"),
    ("empty_files", "empty files"),
    ("purposes", "purposes"),
    ("default_purpose", "default purpose"),
    ("metadata", "metadata on upload"),
    ("meta_set", "`meta set`"),
    ("lifetime", "`--expires`"),
    ("download", "download"),
    ("ranges", "downloads resume"),
    ("files_per_page", "files per page"),
    ("filter", "compared by the platform"),
    ("sort", "sorted by the platform"),
    ("newest_first", "newest first"),
    ("link_lifetime", "life of a link"),
    ("checksums", "checksums"),
    ("duplicates", "files with equal content"),
];

/// A value in words; empty for null and empty lists.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.starts_with("https://") => format!("<{text}>"),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
