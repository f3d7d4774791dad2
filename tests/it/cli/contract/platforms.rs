//! Rows that only a platform, a report or a transfer prints, validated against the schema.

use std::fs;

use haul::providers::{Op, supports};
use serde_json::Value;

use super::schema::Schema;
use crate::platforms::{Platform, remote, served};
use crate::support::sandbox::{Run, Sandbox, script};

#[test]
fn rows_of_every_platform() {
    let mut schema = Schema::published();
    let env = Sandbox::new();
    env.write("a.pdf", "%PDF-1.4 content");
    let run = |platform: &str, line: &str| {
        let line = script(&format!("export HAUL_RETRIES=0; {}; {line}", where_it_is(platform)));
        env.haul(["serve", "--ephemeral", "--only", platform, "--", "bash", "-c", &line])
    };
    for (platform, _) in served() {
        let platform = platform.name;
        let lines = format!(
            "haul upload -p {platform} a.pdf --jsonl && haul ls -p {platform} --jsonl && haul info {platform}:a.pdf --jsonl"
        );
        let files = run(platform, &lines).ok().jsonl();
        assert_eq!(files.len(), 3, "{platform}");
        for (file, shape) in files.iter().zip(["uploaded_file", "file", "file"]) {
            schema.holds(shape, file);
            assert_eq!(file["provider"], platform);
        }
    }
    let links = |platform: &Platform| platform.spec().dialects[0].can.link.is_some();
    for (platform, _) in served().filter(|(platform, _)| links(platform)) {
        let platform = platform.name;
        let link = run(
            platform,
            &format!("haul upload -p {platform} a.pdf -q --ids >&2 && haul link {platform}:a.pdf --jsonl"),
        );
        let rows: Vec<Value> = link.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 1, "{platform}\n{link}");
        schema.holds("link", &rows[0]);
    }
    for (platform, _) in served() {
        let able = platform.spec().dialects.iter().find(|dialect| supports(dialect.can, Op::AllLinks));
        let dialect = able.map_or("auto", |dialect| dialect.name);
        let platform = platform.name;
        let made = "cp a.pdf b.pdf; haul upload a.pdf b.pdf -q >to && haul link b.pdf >to";
        let set = format!("export HAUL_PROFILE={platform} HAUL_DIALECT={dialect}");
        let listed = format!("{set}; {made}; haul link --list --jsonl");
        if able.is_some() {
            let rows = run(platform, &listed).ok().jsonl();
            assert_eq!(rows.len(), 1, "{platform}");
            assert_eq!(rows[0]["file"]["name"], "b.pdf");
            schema.holds("link", &rows[0]);
        } else {
            run(platform, &listed).fails(5);
        }
    }
    for (platform, _) in served() {
        let refused = run(platform.name, &format!("HAUL_TOKEN=wrong haul ls -p {} --json", platform.name));
        assert_eq!(refused.stdout(), "[]\n");
    }
}

/// Sets the profile's base URL from the official client's variable, unless haul reads that variable itself.
pub fn where_it_is(platform: &str) -> String {
    let (platform, emulated) = served().find(|(other, _)| other.name == platform).unwrap();
    let variables = (emulated.variables)("", "");
    let theirs = variables.iter().map(|(name, _)| *name).find(|name| name.ends_with("_BASE_URL"));
    match theirs.filter(|_| platform.spec().base_url_variables.is_empty()) {
        Some(theirs) => {
            format!("export HAUL_PROFILE_{}_BASE_URL=\"${theirs}\"", platform.name.to_uppercase())
        }
        None => "true".to_owned(),
    }
}

#[test]
fn the_server_prints_its_address() {
    let mut schema = Schema::published();
    let env = Sandbox::new();
    for format in ["--json", "--jsonl"] {
        let run = env.haul(["serve", "--print-env", "--listen", "127.0.0.1:8787", format]).ok();
        schema.holds("server", &serde_json::from_slice(&run.out).unwrap());
    }
    let text = env.haul(["serve", "--print-env", "--listen", "127.0.0.1:8787"]).ok();
    assert!(text.lines().iter().all(|line| line.starts_with("export ")), "{text}");
}

#[test]
fn report_lines_are_valid() {
    let mut schema = Schema::published();
    let env = Sandbox::with_files(&["one", "tw\u{202e}o"]);
    env.haul(["info", "one", "*", "nope", "--report", "report"]).fails(3);
    env.haul(["upload", "one", "nope", "--if-exists", "skip", "--report", "uploads"]).fails(3);
    let text = [env.read("report"), env.read("uploads")].concat();
    let lines: Vec<Value> =
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |outcome: &str| lines.iter().filter(|line| line["outcome"] == outcome).count();
    assert_eq!((count("done"), count("skipped"), count("failed")), (3, 1, 2));
    for line in &lines {
        schema.holds("report_line", line);
    }
}

#[test]
fn transfer_events_are_valid() {
    let mut schema = Schema::published();
    let env = Sandbox::new();
    env.write("bidi\u{202e}\u{9b}2J", vec![b'x'; 100_000]);
    fs::create_dir(env.work().join("to")).unwrap();
    let up = env.haul(["upload", "bidi\u{202e}\u{9b}2J", "--progress", "json", "--json"]).ok();
    let down = env.haul(["get", "*", "-o", "to/", "--progress", "json", "--json"]).ok();
    for run in [up, down] {
        let events = run.errors();
        assert!(events.iter().any(|event| event["event"] == "finish" && event["outcome"] == "done"), "{run}");
        for event in &events {
            schema.valid("#/$defs/progress_event", event);
        }
        // Events also go to a terminal.
        assert!(!run.stderr().contains(['\u{202e}', '\u{9b}']), "{run}");
    }
}

#[test]
fn tokens_and_profiles() {
    let mut schema = Schema::published();
    let env = Sandbox::new();
    let platform = remote().name;
    let login = ["auth", "login", platform, "--no-check", "--insecure-storage", "--json"];
    let row = |run: Run| run.ok().json().remove(0);
    schema.holds("login", &row(env.haul_reading("a-token-of-tests\n", login)));
    schema.holds("token", &row(env.haul(["auth", "token", platform, "--json"])));
    schema.holds("token_status", &row(env.haul(["auth", "status", platform, "--offline", "--json"])));
    schema.holds("logout", &row(env.haul(["auth", "logout", platform, "--json"])));
    schema.holds("profile", &row(env.haul(["profile", "add", "work", "--provider", platform, "--json"])));
    schema.holds("profile", &row(env.haul(["profile", "default", "work", "--json"])));
}

#[test]
fn the_schema_is_part_of_the_help() {
    let env = Sandbox::new();
    let printed = env.haul(["help", "output", "--json"]).ok();
    let published = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/haul.schema.json")).unwrap();
    assert_eq!(printed.out, published);
}
