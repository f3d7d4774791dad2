//! `haul ref`: the snippets of every platform.

use std::collections::BTreeMap;

use serde_json::Value;

use super::platforms::where_it_is;
use super::schema::Schema;
use crate::platforms::served;
use crate::support::sandbox::{Sandbox, script};

const FORMATS: [&str; 6] = ["openai", "anthropic", "gemini", "ai-sdk", "curl", "python"];

#[test]
fn every_platform_prints_the_formats_that_its_error_lists() {
    let env = Sandbox::new();
    env.write("a.pdf", "%PDF-1.4 content");
    let mut schema = Schema::published();
    let mut formats: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (platform, _) in served() {
        let name = platform.name;
        let lines = format!(
            "export HAUL_RETRIES=0; {}; haul upload -p {name} a.pdf -q --ids >id
            for format in {}; do haul ref {name}:a.pdf --as $format --jsonl 2>error || {{
                test $? = 5; jq -c .error.hints error; }}; done",
            where_it_is(name),
            FORMATS.join(" ")
        );
        let lines = script(&lines);
        let run = env.haul(["serve", "--ephemeral", "--only", name, "--", "bash", "-ec", &lines]).ok();
        let printed: Vec<Value> = run.jsonl();
        assert_eq!(printed.len(), FORMATS.len(), "{name}\n{run}");
        let is_row = |value: &&Value| value.is_object();
        let able: Vec<&str> =
            printed.iter().filter(is_row).map(|row| row["format"].as_str().unwrap()).collect();
        for value in &printed {
            if value.is_object() {
                schema.holds("snippet", value);
                assert_eq!(value["file"]["name"], "a.pdf");
                continue;
            }
            // The hint names what works, and the list is complete.
            let hints: Vec<&str> =
                value.as_array().unwrap().iter().map(|hint| hint.as_str().unwrap()).collect();
            let listed = hints.iter().find_map(|hint| hint.strip_prefix("formats for this file: "));
            let mut listed: Vec<&str> = listed.map_or(Vec::new(), |listed| listed.split(", ").collect());
            listed.sort_by_key(|format| FORMATS.iter().position(|other| other == format));
            assert_eq!(listed, able, "{name}: {hints:?}");
            // A file that cannot be downloaded cannot be copied either.
            let copies = |hint: &&str| hint.starts_with("to copy the file to openai: `haul cp ");
            assert!(!able.is_empty() || hints.first().is_none_or(copies), "{hints:?}");
        }
        for row in printed.iter().filter(|row| row["format"] == "python") {
            let check = env.run_reading(
                row["snippet"].as_str().unwrap(),
                env.program("python3").args(["-c", "import ast, sys; ast.parse(sys.stdin.read())"]),
            );
            check.ok();
        }
        formats.insert(name, able.into_iter().map(str::to_owned).collect());
    }
    let with = |format: &str| -> Vec<&str> {
        formats
            .iter()
            .filter(|(_, able)| able.iter().any(|other| other == format))
            .map(|(name, _)| *name)
            .collect()
    };
    for format in FORMATS {
        assert!(!with(format).is_empty(), "{format}");
    }
    assert!(with("curl").len() > 5 && with("curl") == with("python"), "{formats:?}");
}
