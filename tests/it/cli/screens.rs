//! The main screens at several widths: ids and URLs are whole, and different names look different.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;

use haul::model::{File, FileId, Object};
use haul::providers::REGISTRY;
use haul::store::{Options, Store};

use crate::cli::contract::cells::without_color;
use crate::support::sandbox::Sandbox;

const WIDTHS: [u16; 4] = [60, 80, 120, 200];

/// The name, the size, and the minutes since the upload of each file.
const FILES: [(&str, usize, i64); 5] = [
    ("training-set-2026-02-28-shard-00001-of-00016.jsonl", 48_213, 61),
    ("training-set-2026-02-28-shard-00002-of-00016.jsonl", 47_990, 60),
    ("Quarterly report, final version (reviewed).pdf", 2_417, 25 * 60),
    ("Quarterly report, final version (draft).pdf", 2_398, 26 * 60),
    ("notes.md", 812, 3),
];

fn id(number: usize) -> String {
    format!("file_{number}c1f7a30-5d2b-4e7c-9b1a-0f4d2c6e8a9{number}")
}

/// A store with files whose ids and names are long.
fn world() -> Sandbox {
    let mut env = Sandbox::new();
    env.set("HAUL_NOW", "2026-03-01T12:00:00Z");
    let now: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let store = Store::open(&env.store(), Options { ephemeral: true, ..Options::default() }).unwrap();
    for (number, (name, size, minutes)) in FILES.into_iter().enumerate() {
        let mut incoming = store.receive().unwrap();
        incoming.write_all(&vec![b'x'; size]).unwrap();
        let metadata = Object::from_iter([("project".to_owned(), "apollo".into())]);
        let file = File {
            provider: "local".to_owned(),
            profile: "local".to_owned(),
            id: FileId(id(number)),
            name: name.to_owned(),
            content_type: Some("application/octet-stream".to_owned()),
            created_at: Some(now - jiff::SignedDuration::from_mins(minutes)),
            metadata: if number == 2 { metadata } else { Object::default() },
            ..File::default()
        };
        store.put("local", file, incoming.finish().unwrap()).unwrap();
    }
    env
}

/// Replaces the signatures of links on a screen with a fixed one.
fn with_fixed_signature(screen: &str) -> String {
    let mut parts = screen.split("&signature=");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "&signature=" + &"5f1fd5117de98da5".repeat(4) + &part[64..])
}

/// A command's screen without colors.
fn screen(env: &Sandbox, columns: u16, arguments: &[&str]) -> String {
    without_color(&env.terminal(columns, "", arguments).ok().stdout())
}

#[test]
fn ids_and_urls_are_whole_and_names_differ() {
    let env = world();
    for columns in WIDTHS {
        for arguments in [&["ls"][..], &["ls", "-l"], &["rm", "*", "-n"], &["get", "*", "-n"]] {
            let table = screen(&env, columns, arguments);
            let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("file_")).collect();
            assert_eq!(rows.len(), FILES.len(), "{table}");
            let mut names = HashSet::new();
            for row in rows {
                let (shown, rest) = row.split_at(id(0).len());
                assert!((0..FILES.len()).any(|number| shown == id(number)), "{columns}\n{table}");
                let mut cells = rest.split("  ").filter(|cell| !cell.is_empty());
                let name = if arguments[0] == "get" { cells.last() } else { cells.next() };
                names.insert(name.unwrap().to_owned());
                let width = unicode_width::UnicodeWidthStr::width(row);
                assert!(width <= usize::from(columns), "{columns}\n{table}");
            }
            assert_eq!(names.len(), FILES.len(), "{columns} {arguments:?}\n{table}");
        }
        let url = screen(&env, columns, &["link", "notes.md", "-q"]);
        let url = url.lines().nth(1).unwrap().split_whitespace().next().unwrap();
        assert!(url.starts_with("file:///") && url.ends_with("/notes.md"), "{columns} {url}");
        let listed = screen(&env, columns, &["link", "--list"]);
        assert!(listed.contains(url) && listed.contains("notes.md  "), "{columns}\n{listed}");
        let info = screen(&env, columns, &["info", "notes.md"]);
        for value in [&id(4), "e5319a3e047b0fa8f0d8195958e730d5a3d64c108f0b3399085c11177399061c"] {
            assert!(info.lines().any(|line| line.ends_with(value)), "{columns}\n{info}");
        }
        for spec in REGISTRY {
            let sheet = screen(&env, columns, &["providers", spec.name]);
            for whole in [spec.base_url, spec.docs_url].into_iter().filter(|url| !url.is_empty()) {
                assert!(sheet.lines().any(|line| line.ends_with(whole)), "{columns}\n{sheet}");
            }
            assert!(screen(&env, columns, &["providers"]).contains(spec.name));
        }
    }
}

#[test]
fn screens() {
    let env = world();
    for columns in WIDTHS {
        let mut screens = String::new();
        for line in [
            "ls",
            "ls -l",
            "info notes.md",
            "get * -n",
            "link notes.md -q --set serve_url=http://127.0.0.1:8787",
            "providers",
            "providers local",
            "providers xai",
            "profile ls",
        ] {
            let shown = screen(&env, columns, &line.split(' ').collect::<Vec<_>>());
            let shown = with_fixed_signature(&shown);
            writeln!(screens, "$ haul {line}\n{shown}").unwrap();
        }
        insta::assert_snapshot!(format!("{columns}_columns"), screens);
    }
}
