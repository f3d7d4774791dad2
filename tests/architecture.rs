//! The tree keeps its shape: who may import whom, who may name which crate, how long a file may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use haul::providers::REGISTRY;

/// A module and the modules it may import; itself always.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["lib"]),
    ("lib", &["cli", "commands", "context", "ui", "error", "interrupt", "model", "settings", "secret"]),
    ("cli", &["commands", "settings", "ui", "model", "error"]),
    (
        "commands",
        &[
            "context",
            "providers",
            "transfer",
            "filter",
            "ui",
            "model",
            "error",
            "settings",
            "vault",
            "secret",
            "emulator",
            "store",
            "interrupt",
            "files",
            "human",
        ],
    ),
    ("context", &["settings", "vault", "ui", "providers", "http", "error", "model", "interrupt"]),
    ("settings", &["providers", "secret", "error", "files"]),
    ("vault", &["settings", "secret", "error", "files"]),
    (
        "transfer",
        &[
            "providers",
            "http",
            "filter",
            "hash",
            "progress",
            "model",
            "error",
            "interrupt",
            "source",
            "files",
        ],
    ),
    ("providers", &["http", "filter", "secret", "signing", "progress", "model", "error", "source", "human"]),
    ("emulator", &["store", "filter", "secret", "signing", "model", "error", "source"]),
    ("store", &["filter", "hash", "signing", "model", "error", "source"]),
    ("http", &["secret", "progress", "model", "error", "source", "human"]),
    ("ui", &["progress", "model", "error", "human"]),
    ("filter", &["model", "error"]),
    ("error", &["model"]),
    ("source", &["model", "error"]),
    ("hash", &["source", "model", "error"]),
    ("human", &[]),
    ("files", &[]),
    ("signing", &["model"]),
    ("model", &[]),
    ("secret", &[]),
    ("progress", &[]),
    ("interrupt", &[]),
];

/// A crate and the only places that may name it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("reqwest", &["http/"]),
    ("axum", &["emulator/"]),
    ("multer", &["emulator/"]),
    ("rusqlite", &["store/index.rs", "store/index/"]),
    ("indicatif", &["ui/bars.rs"]),
    ("comfy_table", &["ui/table.rs"]),
    ("keyring", &["vault/"]),
    ("linux_keyutils", &["vault/"]),
    ("dbus_secret_service", &["vault/"]),
    ("rpassword", &["ui/"]),
    ("std::env::var", &["settings/env.rs"]),
    ("env::vars", &["settings/env.rs"]),
    ("std::io::stdout", &["ui/"]),
    ("io::stdout", &["ui/"]),
    ("io::stderr", &["ui/"]),
];

/// `providers/` may use the store in `local` alone.
const EXTRA: &[(&str, &str)] = &[("providers/local/mod.rs", "store")];

fn sources() -> Vec<(String, String)> {
    files("src")
}

fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let relative =
        |path: &Path| path.strip_prefix(&root).expect("inside").to_string_lossy().replace('\\', "/");
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).expect("text"))).collect()
}

/// The code without comments, so that a word in prose is no import; and without unit tests, which may use more.
fn code(path: &str, text: &str) -> String {
    if path.ends_with("properties.rs") {
        return String::new();
    }
    let body = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    body.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn module_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// The modules named after `crate::`, a brace list included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let list = list.split('}').next().unwrap_or(list);
            found.extend(list.split(',').map(|part| first_word(part.trim())));
        } else {
            found.insert(first_word(rest));
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn modules_import_only_what_they_may() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{path}: no rule for {module}"));
            continue;
        };
        for import in imports(&code(&path, &text)) {
            let extra = EXTRA.contains(&(path.as_str(), import.as_str()));
            if import != module && !allowed.contains(&import.as_str()) && !extra {
                wrong.push(format!("{path} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rules themselves allow no circle, so neither can the code.
#[test]
fn no_module_imports_itself_through_others() {
    fn reaches(from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
        let rule = MAY_IMPORT.iter().find(|(name, _)| *name == from);
        let extra = EXTRA.iter().filter(|(path, _)| module_of(path) == from).map(|(_, module)| *module);
        let imports: Vec<&str> =
            rule.into_iter().flat_map(|(_, may)| may.iter().copied()).chain(extra).collect();
        imports
            .into_iter()
            .any(|next| next == to || (seen.insert(next.to_owned()) && reaches(next, to, seen)))
    }
    for (module, _) in MAY_IMPORT {
        assert!(!reaches(module, module, &mut BTreeSet::new()), "{module} reaches itself");
    }
}

#[test]
fn crates_are_named_only_in_their_place() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let code = code(&path, &text);
        for (name, places) in ONLY_IN {
            let needle = if name.contains("::") { (*name).to_owned() } else { format!("{name}::") };
            let named = code
                .match_indices(&needle)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if named && !places.iter().any(|place| path.starts_with(place)) {
                wrong.push(format!("{path} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > 700).then(|| format!("{path} has {lines} lines"))
        })
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_platform_file_is_registered() {
    let registered: BTreeSet<String> = REGISTRY.iter().map(|spec| spec.name.to_owned()).collect();
    // What is not a platform in `providers/`.
    let ours = ["mod", "capabilities", "lenient", "listing", "properties", "stated"];
    let present: BTreeSet<String> = sources()
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("providers/"))
        .map(|rest| module_of(rest).to_owned())
        .filter(|name| !ours.contains(&name.as_str()))
        .collect();
    assert_eq!(present, registered);
    for name in registered.iter().filter(|name| *name != "local") {
        assert!(
            haul::emulator::PLATFORMS.iter().any(|platform| platform.name == name),
            "{name} has no emulator"
        );
    }
}

#[test]
fn nothing_is_called_by_an_empty_word() {
    let empty = ["utils", "helpers", "common", "core", "manager", "types"];
    for (path, _) in sources() {
        let named = path.split('/').any(|part| empty.contains(&part.trim_end_matches(".rs")));
        assert!(!named, "{path} says nothing about what is in it");
    }
}

/// The sandbox clears the environment and limits the time of a run: no test starts the program without it.
#[test]
fn only_the_sandbox_starts_the_program() {
    let starts = |text: &str| text.contains(concat!("CARGO_BIN", "_EXE")) || text.contains("assert_cmd::");
    let mut found = ["tests/it", "tests/heavy", "tests/docs"].map(files).concat();
    found.retain(|(_, text)| starts(text));
    assert_eq!(found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["support/sandbox.rs"]);
}

/// The lint holds for the library, the program, tests and benches alike, and nothing in them can lift it.
#[test]
fn no_unsafe_code_of_our_own() {
    let manifest: toml_edit::DocumentMut = include_str!("../Cargo.toml").parse().expect("a manifest");
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}
