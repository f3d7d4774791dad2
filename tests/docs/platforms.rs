//! The facts at the head of each page of `docs/platforms/`, as `haul providers NAME --json` prints them.

use std::fmt::Write as _;

use haul::providers::REGISTRY;
use serde_json::Value;

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
