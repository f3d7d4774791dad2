//! Requests captured from real clients, byte for byte except for the token.

use serde_json::Value;

use crate::emulator::xai::{NOW, start, upload};
use crate::support::emulator::{Emulator, TOKEN};
use crate::support::raw::Answer;

/// Replays a captured request with the token of the tests.
fn replay(server: &Emulator, captured: &str) -> Answer {
    let tokens = ["sk-test", "xai-k\n"];
    let captured = tokens.iter().fold(captured.to_owned(), |text, token| {
        let end = if token.ends_with('\n') { "\n" } else { "" };
        text.replace(&format!("Bearer {token}"), &format!("Bearer {TOKEN}{end}"))
    });
    server.replay(&captured)
}

const OPENAI_UPLOAD: &str = r#"
POST /v1/files HTTP/1.1
authorization: Bearer sk-test
accept: application/json
user-agent: OpenAI/Python 3.54.0
Content-Type: multipart/form-data; boundary=039e4b4e1ee4dc7a43ed752c0340348b

--039e4b4e1ee4dc7a43ed752c0340348b
Content-Disposition: form-data; name="purpose"

assistants
--039e4b4e1ee4dc7a43ed752c0340348b
Content-Disposition: form-data; name="expires_after[anchor]"

created_at
--039e4b4e1ee4dc7a43ed752c0340348b
Content-Disposition: form-data; name="expires_after[seconds]"

86400
--039e4b4e1ee4dc7a43ed752c0340348b
Content-Disposition: form-data; name="file"; filename="hello.txt"
Content-Type: text/plain

hello
--039e4b4e1ee4dc7a43ed752c0340348b--
"#;

const AI_SDK_UPLOAD: &str = r#"
POST /v1/files HTTP/1.1
authorization: Bearer xai-k
user-agent: ai-sdk-xai/5.0.12 ai-sdk-provider-utils/5.0.51 node.js/v20.20.2
content-type: multipart/form-data; boundary=----formdata-undici-073583884513
accept: */*

------formdata-undici-073583884513
Content-Disposition: form-data; name="expires_after"

86400
------formdata-undici-073583884513
Content-Disposition: form-data; name="team_id"

team_1
------formdata-undici-073583884513
Content-Disposition: form-data; name="file"; filename="hello.txt"
Content-Type: text/plain

hello
------formdata-undici-073583884513--
"#;

#[test]
fn the_openai_python_client() {
    let server = start();
    let file = replay(&server, OPENAI_UPLOAD).ok();
    assert_eq!(
        (&file["filename"], &file["purpose"]),
        (&Value::from("hello.txt"), &Value::from("assistants"))
    );
    assert_eq!((&file["bytes"], &file["expires_at"]), (&Value::from(5), &Value::from(NOW + 86400)));
    upload(&server, "second", b"");
    // It ignores the pagination token, continues after the last id, and stops at an empty page.
    let mut after = String::new();
    let mut seen = 0;
    loop {
        let request = format!(
            "GET /v1/files?limit=1{after} HTTP/1.1\nauthorization: Bearer sk-test\naccept: application/json\n\n"
        );
        let page = replay(&server, &request).ok();
        let Some(last) = page["data"].as_array().unwrap().last() else { break };
        after = format!("&after={}", last["id"].as_str().unwrap());
        seen += 1;
    }
    assert_eq!(seen, 2);
    let id = file["id"].as_str().unwrap();
    let delete = format!(
        "DELETE /v1/files/{id} HTTP/1.1\nauthorization: Bearer sk-test\naccept: application/json\ncontent-type: application/json\n\n"
    );
    assert_eq!(replay(&server, &delete).ok()["deleted"], true);
}

#[test]
fn the_vercel_client() {
    let server = start();
    let file = replay(&server, AI_SDK_UPLOAD).ok();
    assert_eq!((&file["bytes"], &file["expires_at"]), (&Value::from(5), &Value::from(NOW + 86400)));
    let id = file["id"].as_str().unwrap();
    let request = |method: &str, rest: &str| {
        replay(
            &server,
            &format!(
                "{method} /v1/files/{id}{rest} HTTP/1.1\nauthorization: Bearer xai-k\nuser-agent: ai-sdk-xai/5.0.12 ai-sdk-provider-utils/5.0.51 node.js/v20.20.2\naccept: */*\n\n"
            ),
        )
    };
    assert_eq!(request("GET", "").ok(), file);
    assert_eq!(request("GET", "/content").text(), "hello");
    assert_eq!(request("DELETE", "").ok()["deleted"], true);
    assert_eq!(request("DELETE", "").status, 404);
}

#[test]
fn the_xai_typescript_client_always_sends_its_headers_and_the_sort_field() {
    let server = start();
    upload(&server, "a", b"");
    let page = replay(&server, "GET /v1/files?sort_by=created_at HTTP/1.1\naccept: application/json\nauthorization: Bearer sk-test\nuser-agent: xai-sdk/1.0.0 (typescript)\nx-client-request-id: 5a1c3e2e-95a1-4f4d-b9a8-1d1c7a5f2a11\nxai-sdk-version: typescript/1.0.0\nxai-sdk-language: node/20\n\n").ok();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
}
