//! `haul lint`, the check of JSONL files before an upload, and batches.

use serde_json::json;

use crate::find::support::haul;
use crate::platforms::openai::V1;
use crate::support::rig::{Rig, TOKEN};
use crate::support::sandbox::Sandbox;

const GOOD: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m"}}"#;

#[test]
fn findings_are_rows_and_an_error_fails() {
    let env = Sandbox::new();
    env.write("good.jsonl", GOOD);
    env.write("bad.jsonl", format!("{GOOD}\n{}\n", GOOD.replace("POST", "GET")));
    let run = env.haul(["lint", "good.jsonl", "--purpose", "batch"]).ok();
    assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("", ""));
    let run = env.haul(["lint", "good.jsonl", "bad.jsonl", "--purpose", "batch", "--jsonl"]).fails(1);
    let expected = [
        json!({"file": "bad.jsonl", "line": 2, "severity": "error", "message": "duplicate custom_id \"a\""}),
        json!({"file": "bad.jsonl", "line": 2, "severity": "warning", "message": "method is not POST"}),
    ];
    assert_eq!(run.jsonl(), expected);
    env.haul(["lint", "nothing.jsonl", "--purpose", "batch"]).fails(3);
    env.haul(["lint", "good.jsonl"]).fails(2).says("--purpose");
}

#[test]
fn a_file_with_an_error_is_not_uploaded() {
    let rig = Rig::new(V1);
    std::fs::write(rig.served.home().join("bad.jsonl"), "{}\n").unwrap();
    rig.served.requests();
    let run = haul(&rig, &["upload", "bad.jsonl", "--purpose", "batch"]);
    assert_eq!(run.status, 1, "{run}");
    assert!(run.stderr().contains("bad.jsonl:1: missing custom_id"), "{run}");
    assert!(run.stderr().contains("--no-lint"), "{run}");
    assert_eq!(rig.served.requests(), Vec::<String>::new());
    for more in [&["--purpose", "batch", "--no-lint"][..], &[]] {
        let run = haul(&rig, &[&["upload", "bad.jsonl"], more].concat());
        assert_eq!(run.status, 0, "{run}");
    }
}

#[test]
fn the_files_of_a_batch_are_downloaded() {
    let rig = Rig::new(V1);
    let home = rig.served.home();
    let batch = |content: &str| {
        std::fs::write(home.join("in.jsonl"), content).unwrap();
        let run = haul(&rig, &["upload", "in.jsonl", "--purpose", "batch", "--no-lint", "--ids"]);
        let body = json!({"input_file_id": run.stdout().trim(), "endpoint": "/v1/responses", "completion_window": "24h"});
        let headers = [&format!("Authorization: Bearer {TOKEN}")[..], "Content-Type: application/json"];
        let answer = rig.served.ask_bare("POST", "/openai/v1/batches", &headers, body.to_string().as_bytes());
        format!("batch:{}", answer.ok()["id"].as_str().unwrap())
    };
    let both = batch(&format!("{GOOD}\n{}\n", GOOD.replace("\"a\"", "\"b\"").replace("model", "m")));
    let run = haul(&rig, &["get", &both, "-o", "results/", "--jsonl"]);
    assert_eq!(run.status, 0, "{run}");
    let mut read = std::collections::BTreeMap::new();
    for row in run.jsonl() {
        assert_eq!(row["purpose"], "batch_output");
        let text = std::fs::read_to_string(home.join(row["saved_to"].as_str().unwrap())).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        read.insert(line["custom_id"].to_string(), line["response"]["status_code"].as_u64());
    }
    assert_eq!(read, [("\"a\"".to_owned(), Some(200)), ("\"b\"".to_owned(), Some(400))].into());
    let invalid = batch("{");
    let run = haul(&rig, &["get", &invalid]);
    assert_eq!(run.status, 1, "{run}");
    assert!(run.stderr().contains("its status is failed"), "{run}");
    assert!(run.stderr().contains("not parseable as valid JSON. (line 1)"), "{run}");
    assert_eq!(haul(&rig, &["get", "batch:batch_unknown"]).status, 3);
}
