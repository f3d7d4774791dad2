//! `haul ref --as curl`: curl sends the printed request.

use serde_json::json;

use crate::support::sandbox::Sandbox;
use crate::support::server::{Answer, Server};

#[test]
fn the_curl_command_sends_the_file_and_never_shows_the_token() {
    let file = |purpose: &str| {
        let id = if purpose == "user_data" { "file-it's" } else { "file-2" };
        json!({"object": "file", "id": id, "bytes": 3, "created_at": 1_767_225_600, "filename": "it's.pdf",
            "purpose": purpose, "status": "processed"})
    };
    let server = Server::new(move |_, request| match request.line().as_str() {
        line if line.starts_with("GET ") && line.contains("file-2") => {
            Answer::json(file("batch").to_string())
        }
        line if line.starts_with("GET ") => Answer::json(file("user_data").to_string()),
        _ => Answer::json("{}"),
    });
    let mut env = Sandbox::new();
    env.set("OPENAI_BASE_URL", &format!("{}/v1", server.url.as_str().trim_end_matches('/')));
    env.set("OPENAI_API_KEY", "sk-never-shown");
    let sent = |id: &str| {
        let run = env.haul(["ref", &format!("openai:id:{id}"), "--as", "curl", "--model", "some-model"]).ok();
        assert!(!format!("{run}").contains("never-shown"), "{run}");
        env.write("snippet", run.stdout());
        env.shell("sh -eu snippet").ok();
        server.requests().pop().unwrap()
    };
    let request = sent("file-it's");
    assert_eq!(request.line(), "POST /v1/responses");
    assert_eq!(request.header("authorization"), Some("Bearer sk-never-shown"));
    assert_eq!(
        request.json(),
        json!({"model": "some-model", "input": [{"role": "user", "content": [
            {"type": "input_file", "file_id": "file-it's"},
            {"type": "input_text", "text": "Summarize this file."},
        ]}]})
    );
    let request = sent("file-2");
    assert_eq!(request.line(), "POST /v1/batches");
    assert_eq!(request.json()["input_file_id"], "file-2");
    // A file for batches cannot be part of a prompt.
    let run = env.haul(["ref", "openai:id:file-2", "--as", "openai"]).fails(5);
    assert!(run.stderr().contains("hint: for this file: `haul ref openai:id:file-2 --as curl`"), "{run}");
}
