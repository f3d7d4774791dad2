//! Rules for the source tree: permitted imports between modules, permitted uses of crates, and the length of files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use haul::providers::REGISTRY;

/// A module and the other modules that it may import.
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
            "sync",
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
            "progress",
            "files",
            "human",
            "source",
            "spool",
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
            "secret",
            "model",
            "error",
            "interrupt",
            "source",
            "spool",
            "files",
        ],
    ),
    ("sync", &["model", "error", "files"]),
    ("providers", &["http", "filter", "secret", "signing", "progress", "model", "error", "source", "human"]),
    ("emulator", &["store", "filter", "secret", "signing", "model", "error", "source"]),
    ("store", &["filter", "hash", "secret", "signing", "model", "error", "source", "files"]),
    ("http", &["secret", "progress", "model", "error", "source", "human"]),
    ("ui", &["progress", "model", "error", "human"]),
    ("filter", &["model", "error"]),
    ("error", &["model"]),
    ("source", &["model", "error", "spool"]),
    ("hash", &["source", "model", "error"]),
    ("human", &[]),
    ("files", &[]),
    ("signing", &["model"]),
    ("model", &["spool"]),
    ("spool", &[]),
    ("secret", &[]),
    ("progress", &[]),
    ("interrupt", &["error"]),
];

/// A crate and the only files or folders that may name it.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("reqwest", &["http/"]),
    ("axum", &["emulator/"]),
    ("multer", &["emulator/"]),
    ("rusqlite", &["store/index.rs", "store/index/", "transfer/ledger"]),
    ("tokio_postgres", &["store/index/postgres", "store/collect.rs"]),
    ("object_store", &["providers/objects/", "store/blobs/bucket.rs"]),
    ("indicatif", &["ui/progress"]),
    ("comfy_table", &["ui/table"]),
    ("jaq_core", &["ui/jq.rs"]),
    ("jaq_json", &["ui/jq.rs"]),
    ("jaq_std", &["ui/jq.rs"]),
    ("keyring", &["vault/"]),
    ("linux_keyutils", &["vault/"]),
    ("dbus_secret_service", &["vault/"]),
    ("rpassword", &["ui/"]),
    ("std::env::var", &["settings/env.rs"]),
    ("supports_hyperlinks", &["settings/env.rs"]),
    ("anstyle_hyperlink", &["ui/text.rs"]),
    ("env::vars", &["settings/env.rs"]),
    ("std::io::stdout", &["ui/"]),
    // A report written to a standard stream needs a duplicate of the stream.
    ("io::stdout", &["ui/", "files.rs"]),
    ("io::stderr", &["ui/", "files.rs"]),
];

/// In `providers/`, only `local` may use the store.
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

/// The code without comments, and without unit tests, which may import more.
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

/// The modules named after `crate::`, including those in a brace list.
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
fn modules_import_only_permitted_modules() {
    let mut violations = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        let Some((_, allowed)) = allowed else {
            violations.push(format!("{path}: no rule for {module}"));
            continue;
        };
        for import in imports(&code(&path, &text)) {
            let extra = EXTRA.contains(&(path.as_str(), import.as_str()));
            if import != module && !allowed.contains(&import.as_str()) && !extra {
                violations.push(format!("{path} imports {import}"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The rules permit no cycle, so the code contains none.
#[test]
fn modules_have_no_import_cycles() {
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

/// A module of the crate: `["http", "body"]` for `http/body.rs`.
type Module = Vec<String>;

/// The imports of the crate, file by file.
struct Graph {
    files: BTreeMap<Module, String>,
    code: BTreeMap<Module, String>,
    /// The names that each module imports or re-exports, and their paths.
    names: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Graph {
    fn of(sources: Vec<(String, String)>) -> Self {
        let (mut files, mut code, mut names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (path, text) in sources {
            let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            module.pop_if(|last| last == "mod");
            let text = self::code(&path, &text);
            let imported = declarations(&text).flat_map(|(_, declaration)| leaves(declaration));
            names.insert(module.clone(), imported.collect());
            code.insert(module.clone(), text);
            files.insert(module, path);
        }
        Self { files, code, names }
    }

    /// The modules whose items a file uses, except its own descendants, which it composes. A re-exported item counts as
    /// an item of the module that defines it.
    fn uses(&self, module: &Module) -> BTreeSet<Module> {
        let mut paths = Vec::new();
        let mut rest = self.code[module].clone();
        for (is_public, declaration) in declarations(&self.code[module]) {
            rest = rest.replace(&format!("use {declaration};"), "");
            if !is_public {
                paths.extend(leaves(declaration).into_iter().map(|(_, path)| path));
            }
        }
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let inline = rest.split(|c: char| !is_path(c)).filter(|path| path.contains("::"));
        paths.extend(inline.map(|path| path.trim_matches(':').split("::").map(str::to_owned).collect()));
        let used = paths.iter().filter_map(|path| self.resolve(module, path, 0));
        used.filter(|used| !used.starts_with(module)).collect()
    }

    /// The module that defines what `path` names in `module`; `None` for an item of another crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => {
                let supers = path.iter().take_while(|part| *part == "super").count();
                (module[..module.len().saturating_sub(supers)].to_vec(), &path[supers..])
            }
            first if self.files.contains_key(&child(module, first)) => (module.clone(), path),
            _ => return None,
        };
        while let Some(first) = rest.first()
            && self.files.contains_key(&child(&at, first))
        {
            at.push(first.clone());
            rest = &rest[1..];
        }
        let re_exported = rest.first().and_then(|name| self.names.get(&at)?.get(name));
        // A glob or a macro can import a name from its own module; the depth limit ends the recursion.
        match re_exported.filter(|_| depth < 8).and_then(|path| self.resolve(&at, path, depth + 1)) {
            Some(defining) => Some(defining),
            None => self.files.contains_key(&at).then_some(at),
        }
    }
}

fn child(module: &[String], name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// The `use` declarations of a file, and whether each is public.
fn declarations(code: &str) -> impl Iterator<Item = (bool, &str)> {
    code.match_indices("use ").filter_map(|(at, word)| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        let declaration = code[at + word.len()..].split(';').next().unwrap_or_default();
        let is_declaration =
            (line.is_empty() || line == "pub " || (line.starts_with("pub(") && line.ends_with(") ")))
                && !declaration.contains('"');
        is_declaration.then_some((!line.is_empty(), declaration))
    })
}

/// The names that a `use` tree imports, and their paths.
fn leaves(tree: &str) -> Vec<(String, Vec<String>)> {
    fn grow(prefix: &[String], tree: &str, into: &mut Vec<(String, Vec<String>)>) {
        let parts = |text: &str| -> Vec<String> {
            let parts = text.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
            prefix.iter().cloned().chain(parts).collect()
        };
        if let Some((head, list)) = tree.split_once('{') {
            let list = list.trim_end().strip_suffix('}').expect("a closing brace");
            let prefix = parts(head);
            let (mut depth, mut from) = (0, 0);
            for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        if !list[from..at].trim().is_empty() {
                            grow(&prefix, &list[from..at], into);
                        }
                        from = at + 1;
                    }
                    _ => {}
                }
            }
        } else {
            let (path, alias) =
                tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name)));
            let mut path = parts(path);
            path.pop_if(|last| last == "self");
            let name = alias.map(|name| name.trim().to_owned()).or_else(|| path.last().cloned());
            into.push((name.unwrap_or_default(), path));
        }
    }
    let mut found = Vec::new();
    grow(&[], tree, &mut found);
    found
}

/// The shortest import cycle through each file.
fn cycles(sources: Vec<(String, String)>) -> Vec<String> {
    let graph = Graph::of(sources);
    let uses: BTreeMap<&Module, BTreeSet<Module>> =
        graph.files.keys().map(|module| (module, graph.uses(module))).collect();
    let mut cycles = BTreeSet::new();
    for start in graph.files.keys() {
        let mut paths = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(path) = paths.pop_front() {
            let next = &uses[path[path.len() - 1]];
            if next.contains(start) {
                let mut files: Vec<&str> = path.iter().map(|module| graph.files[*module].as_str()).collect();
                files.sort_unstable();
                cycles.insert(files.join(", "));
                break;
            }
            let new = next.iter().filter(|module| seen.insert(*module));
            paths.extend(new.map(|module| path.iter().copied().chain([module]).collect::<Vec<_>>()));
        }
    }
    cycles.into_iter().collect()
}

/// Two files that import each other cannot be understood separately.
#[test]
fn files_have_no_import_cycles() {
    let found = cycles(sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn cycles_are_found_through_re_exports_but_not_between_parent_and_child() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let found = cycles(vec![
        file("a.rs", "use crate::b::{self, B};"),
        file("b.rs", "fn b() { super::c::Exported::new() }"),
        file("c/mod.rs", "mod inner;\npub use inner::Exported;\nuse inner::Other;\npub struct Base;"),
        file("c/inner.rs", "use super::Base;\nuse crate::a::A;"),
        file("d.rs", "use crate::a::A;\nuse crate::c::Base;"),
    ]);
    assert_eq!(found, ["a.rs, b.rs, c/inner.rs"]);
}

#[test]
fn use_trees_are_parsed() {
    let read = |tree| leaves(tree).into_iter().map(|(name, path)| format!("{name}={}", path.join("::")));
    let found: Vec<String> = read("super::{a::{self, B as C}, d, e::{\n    F,\n},\n}").collect();
    assert_eq!(found, ["a=super::a", "C=super::a::B", "d=super::d", "F=super::e::F"]);
}

#[test]
fn crates_are_named_only_where_permitted() {
    let mut violations = Vec::new();
    for (path, text) in sources() {
        let code = code(&path, &text);
        for (name, places) in ONLY_IN {
            let needle = if name.contains("::") { (*name).to_owned() } else { format!("{name}::") };
            let is_named = code
                .match_indices(&needle)
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if is_named && !places.iter().any(|place| path.starts_with(place)) {
                violations.push(format!("{path} names {name}"));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
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

/// The names of the object storage platforms. Panics if one has no file.
fn object_storage() -> impl Iterator<Item = String> {
    let specs = REGISTRY.iter().filter(|spec| spec.scheme.is_some());
    specs.map(|spec| spec.name.to_owned()).inspect(|name| {
        let path = format!("src/providers/objects/{name}.rs");
        assert!(Path::new(&path).exists(), "{name} has no file {path}");
    })
}

#[test]
fn every_platform_file_is_registered() {
    let registered: BTreeSet<String> = REGISTRY.iter().map(|spec| spec.name.to_owned()).collect();
    // The files in `providers/` that are not platforms.
    let ours = [
        "mod",
        "capabilities",
        "collection",
        "lenient",
        "listing",
        "multipart",
        "objects",
        "properties",
        "pushdown",
        "stated",
        "usage",
    ];
    let vendors =
        fs::read_to_string("src/providers/openai/vendors.rs").expect("the vendors with OpenAI's API");
    let vendors =
        vendors.lines().filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","));
    let present: BTreeSet<String> = sources()
        .iter()
        .filter_map(|(path, _)| path.strip_prefix("providers/"))
        .map(|rest| module_of(rest).to_owned())
        .filter(|name| !ours.contains(&name.as_str()))
        .chain(vendors.filter(|name| !name.is_empty()).map(str::to_owned))
        .chain(object_storage())
        .collect();
    assert_eq!(present, registered);
    for spec in REGISTRY.iter().filter(|spec| spec.name != "local" && spec.scheme.is_none()) {
        let name = spec.name;
        assert!(
            haul::emulator::PLATFORMS.iter().any(|platform| platform.name == name),
            "{name} has no emulator"
        );
    }
}

#[test]
fn no_file_has_a_meaningless_name() {
    let meaningless = ["utils", "helpers", "common", "core", "manager", "types"];
    for (path, _) in sources() {
        let named = path.split('/').any(|part| meaningless.contains(&part.trim_end_matches(".rs")));
        assert!(!named, "the name of {path} does not describe its content");
    }
}

/// The sandbox clears the environment and limits the time of a run, so every test must use it.
#[test]
fn only_the_sandbox_starts_the_program() {
    let starts = |text: &str| text.contains(concat!("CARGO_BIN", "_EXE")) || text.contains("assert_cmd::");
    let mut found = ["tests/it", "tests/heavy", "tests/docs"].map(files).concat();
    found.retain(|(_, text)| starts(text));
    assert_eq!(found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["support/sandbox.rs"]);
}

/// The lint applies to the library, the program, tests and benches, and no attribute can override it.
#[test]
fn contains_no_unsafe_code() {
    let manifest: toml_edit::DocumentMut = include_str!("../Cargo.toml").parse().expect("a manifest");
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
}
