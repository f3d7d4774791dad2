//! `man/`, `completions/` and `haul.schema.json` match the code that generates them.
//!
//! `HAUL_TEST_BLESS=1 cargo test --test docs` writes them.

use std::collections::BTreeSet;
use std::fs;

use crate::support::generated::{agree, agree_all, root};
use haul::cli::Cli;
use haul::commands::completions;
use haul::commands::help::{man, schema, topics};
use serde_json::Value;

#[test]
fn man_pages() {
    let pages = man::pages(Cli::tree()).expect("man pages");
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["haul.1", "haul-upload.1", "haul-meta-set.1", "haul-output.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let is_topic = |name: &str| topics::TOPICS.iter().any(|topic| name == format!("haul-{}.1", topic.name));
    let mut commands = pages.iter().filter(|(name, _)| !is_topic(name));
    assert!(commands.all(|(_, text)| text.contains(".SH \"EXIT STATUS\"")));
    let upload = pages.iter().find(|(name, _)| name == "haul-upload.1").map(|(_, text)| text.as_str());
    // Options that `-h` omits are included.
    assert!(upload.is_some_and(|text| text.contains("Stop after the first failure")));
    for (name, text) in &pages {
        check_layout(name, text);
        // Titles within the text are headings.
        let is_title = |line: &&str| matches!(*line, "Examples:" | "Problems:" | "Repairs:");
        assert!(is_topic(name) || !text.lines().any(|line| is_title(&line)), "{name}\n{text}");
        assert!(!text.contains(".SH EXTRA") && !text.contains("SUBCOMMANDS"), "{name}");
    }
    for (name, heading) in
        [("haul-serve.1", "FAULTS"), ("haul-local-check.1", "EXAMPLES"), ("haul.1", "COMMANDS")]
    {
        let page = pages.iter().find(|(page, _)| page == name);
        assert!(page.is_some_and(|(_, text)| text.contains(&format!(".SH {heading}\n"))), "{name}");
    }
    agree_all("man", &pages);
}

/// Checks that a man page keeps the lines of indented text, and that tables fit into 80 columns.
#[track_caller]
fn check_layout(name: &str, page: &str) {
    let mut is_filled = true;
    for line in page.lines() {
        match line {
            ".nf" => is_filled = false,
            ".fi" => is_filled = true,
            _ if line.starts_with(' ') => {
                assert!(!is_filled, "{name}: the pager fills this line: {line}");
                let width = line.replace("\\*(Aq", "'").replace('\\', "").chars().count();
                let is_table = line.trim_start().contains("  ");
                assert!(width <= 72 || !is_table, "{name}: {width} columns: {line}");
            }
            _ => {}
        }
    }
    assert!(is_filled, "{name}: the rest of the page is not filled");
}

#[test]
fn completion_scripts() {
    let files = completions::files(&Cli::tree()).expect("scripts");
    let files: Vec<_> = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    agree_all("completions", &files);
}

#[test]
fn json_schema() {
    let path = root().join("haul.schema.json");
    let wanted = schema::document();
    let published = fs::read_to_string(&path).unwrap_or_default();
    let published: Value = serde_json::from_str(&published).unwrap_or_default();
    let now: Value = serde_json::from_str(&wanted).expect("a schema");
    if published["$id"] == now["$id"] {
        let broken = broken_guarantees(&published["$defs"], &now["$defs"]);
        assert!(broken.is_empty(), "raise VERSION in commands/schema.rs:\n{}", broken.join("\n"));
    }
    agree(&path, &wanted);
}

/// The guarantees of the published schema that the new one breaks.
fn broken_guarantees(published: &Value, now: &Value) -> Vec<String> {
    guarantees(published, "").difference(&guarantees(now, "")).cloned().collect()
}

/// The guarantees of a schema: each key, type and constant with its path, without descriptions.
fn guarantees(schema: &Value, path: &str) -> BTreeSet<String> {
    let Some(keys) = schema.as_object() else { return BTreeSet::from([format!("{path} = {schema}")]) };
    let mut all = BTreeSet::new();
    for (key, value) in keys.iter().filter(|(key, _)| !["$comment", "description"].contains(&key.as_str())) {
        match value.as_array() {
            Some(choices) if key == "oneOf" || key == "anyOf" => {
                for choice in choices {
                    // Choices have no order, so each is identified by its constant.
                    let word = [&choice["const"], &choice["properties"]["event"]["const"], &choice["$ref"]];
                    let word = word.into_iter().find_map(Value::as_str).unwrap_or_default();
                    all.extend(guarantees(choice, &format!("{path}|{word}")));
                }
            }
            Some(names) if key == "required" => {
                all.extend(names.iter().map(|name| format!("{path} always has {name}")));
            }
            _ => all.extend(guarantees(value, &format!("{path}/{key}"))),
        }
    }
    all
}

#[test]
fn a_removed_or_changed_field_breaks_a_guarantee() {
    let published: Value = serde_json::from_str(&schema::document()).expect("a schema");
    let broken = |change: fn(&mut Value)| {
        let mut now = published.clone();
        change(&mut now["$defs"]);
        broken_guarantees(&published["$defs"], &now["$defs"])
    };
    assert_eq!(broken(|_| {}), [""; 0]);
    assert_eq!(broken(|defs| defs["file"]["properties"]["more"] = "new".into()), [""; 0]);
    assert_eq!(broken(|defs| defs["file"]["description"] = "reworded".into()), [""; 0]);
    let changes: [fn(&mut Value); 5] = [
        |defs| defs["file"]["properties"]["size"]["type"] = "string".into(),
        |defs| drop(defs["file"]["properties"].as_object_mut().and_then(|fields| fields.remove("name"))),
        |defs| drop(defs["file"]["required"].as_array_mut().and_then(Vec::pop)),
        |defs| drop(defs["error"]["properties"]["kind"]["oneOf"].as_array_mut().and_then(Vec::pop)),
        |defs| drop(defs["progress_event"]["oneOf"].as_array_mut().and_then(Vec::pop)),
    ];
    for change in changes {
        assert!(!broken(change).is_empty());
    }
}
