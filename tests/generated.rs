//! `man/`, `completions/`, `haul.schema.json` and the marked parts of the README are what the code would write.
//!
//! `HAUL_BLESS=1 cargo test --test generated` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use haul::commands::{completions, providers, schema};
use haul::manual;
use serde_json::{Map, Value};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn is_blessing() -> bool {
    std::env::var_os("HAUL_BLESS").is_some()
}

/// Compares a file with what it should say, or writes it.
fn agree(path: &Path, wanted: &str) {
    if is_blessing() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder that can be made");
        fs::write(path, wanted).expect("a file that can be written");
        return;
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is out of date: `HAUL_BLESS=1 cargo test --test generated` writes it",
        path.display()
    );
}

/// A folder holds these files and no others.
fn agree_all(folder: &str, files: &[(String, String)]) {
    let folder = root().join(folder);
    let wanted: BTreeSet<&String> = files.iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !wanted.contains(&name) {
            assert!(is_blessing(), "{} is not made by the code any more", path.display());
            fs::remove_file(path).expect("a file that can be removed");
        }
    }
    for (name, text) in files {
        agree(&folder.join(name), text);
    }
}

#[test]
fn man_pages() {
    let pages = manual::pages().expect("man pages");
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["haul.1", "haul-upload.1", "haul-meta-set.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(pages.iter().all(|(_, text)| text.contains(".SH \"EXIT STATUS\"")));
    agree_all("man", &pages);
}

#[test]
fn completion_scripts() {
    let files = completions::files().expect("scripts");
    let files: Vec<_> = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    agree_all("completions", &files);
}

#[test]
fn parts_of_the_readme() {
    let path = root().join("README.md");
    let mut text = fs::read_to_string(&path).expect("a README");
    for (mark, part) in [("providers", providers::table()), ("exit-codes", manual::exit_code_table())] {
        let begin = format!("<!-- generated: {mark} -->\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("README.md has no {begin}")) + begin.len();
        let end = start + text[start..].find("<!-- end -->").expect("an end");
        text.replace_range(start..end, &part);
    }
    agree(&path, &text);
}

#[test]
fn json_schema() {
    let path = root().join("haul.schema.json");
    let wanted = schema::document();
    let published = fs::read_to_string(&path).unwrap_or_default();
    let published: Value = serde_json::from_str(&published).unwrap_or_default();
    let now: Value = serde_json::from_str(&wanted).expect("a schema");
    if published["$id"] == now["$id"] {
        let broken = broken_promises(&published["$defs"], &now["$defs"]);
        assert!(broken.is_empty(), "raise VERSION in commands/schema.rs:\n{}", broken.join("\n"));
    }
    agree(&path, &wanted);
}

/// What programs that read the published output cannot find any more.
fn broken_promises(published: &Value, now: &Value) -> Vec<String> {
    let keys = |value: &Value| value.as_object().cloned().unwrap_or_else(Map::new);
    let mut broken = Vec::new();
    for (shape, before) in keys(published) {
        for (field, promised) in keys(&before["properties"]) {
            let found = &now[&shape]["properties"][&field];
            for what in ["type", "$ref", "anyOf", "format", "additionalProperties"] {
                if promised[what] != found[what] {
                    broken.push(format!("{shape}.{field}: {what} {} became {}", promised[what], found[what]));
                }
            }
        }
        for field in before["required"].as_array().into_iter().flatten() {
            if !now[&shape]["required"].as_array().is_some_and(|required| required.contains(field)) {
                broken.push(format!("{shape}.{field} is not always there any more"));
            }
        }
    }
    broken
}

#[test]
fn a_field_that_goes_or_changes_is_a_broken_promise() {
    let schema = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let published = schema(
        r#"{"file": {"properties": {"id": {"type": "string"}, "n": {"type": "integer"}}, "required": ["id"]}}"#,
    );
    assert_eq!(broken_promises(&published, &published), [""; 0]);
    let more = schema(
        r#"{"file": {"properties": {"id": {"type": "string"}, "n": {"type": "integer"}, "m": {}}, "required": ["id", "m"]}}"#,
    );
    assert_eq!(broken_promises(&published, &more), [""; 0]);
    let less = schema(r#"{"file": {"properties": {"n": {"type": "string"}}, "required": []}}"#);
    assert_eq!(broken_promises(&published, &less).len(), 3);
}
