//! Requests as the official clients sent them, byte for byte. The server runs alone and has the project and the
//! files that the requests name.

use crate::emulator::llamacloud::support::{Calls, Refusal, setup};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::Answer;
use serde_json::json;

const PROJECT: &str = "99999999-2222-4333-8444-555555555555";
const ID: &str = "11111111-2222-4333-8444-555555555555";
/// The headers of every request of the Python client.
const PYTHON: &str = "Host: 127.0.0.1:8911
Accept-Encoding: gzip, deflate
Connection: keep-alive
Accept: application/json
User-Agent: LlamaCloud/Python 2.19.0
X-Stainless-Lang: python
X-Stainless-Package-Version: 2.19.0
X-Stainless-OS: Linux
X-Stainless-Arch: x64
X-Stainless-Runtime: CPython
X-Stainless-Runtime-Version: 3.11.7
Authorization: Bearer llx-TESTKEY
X-Stainless-Async: false
x-stainless-retry-count: 0
x-stainless-read-timeout: 60";
const LEGACY: &str = "Host: 127.0.0.1:8912
Accept: */*
Accept-Encoding: gzip, deflate
Connection: keep-alive
User-Agent: python-httpx/0.28.1
X-Fern-Language: Python
Authorization: Bearer llx-TESTKEY";

fn server() -> Emulator {
    let project = format!("projects={PROJECT}");
    let server = Emulator::start(&Setup { quirks: &[&project], alone: true, ..setup() });
    server.seed(ID, "hello.txt", PROJECT, crate::emulator::llamacloud::support::NOW.parse().unwrap());
    server
}

/// Sends lines unchanged, except that their line endings become CR LF again.
fn replay(server: &Emulator, lines: &str) -> Answer {
    server.send(lines.replace('\n', "\r\n").as_bytes())
}

/// The head of a request with the length of its body.
fn with_body(line: &str, headers: &str, kind: &str, body: &str) -> String {
    let length = body.replace('\n', "\r\n").len();
    format!("{line} HTTP/1.1\n{headers}\nContent-Length: {length}\nContent-Type: {kind}\n\n{body}")
}

#[test]
fn the_python_client_uploads() {
    let server = server();
    let body = "--9ab6343bda60a7402be0154e544fb63f
Content-Disposition: form-data; name=\"purpose\"

user_data
--9ab6343bda60a7402be0154e544fb63f
Content-Disposition: form-data; name=\"external_file_id\"

ext-1
--9ab6343bda60a7402be0154e544fb63f
Content-Disposition: form-data; name=\"file\"; filename=\"hello.txt\"
Content-Type: text/plain

hello world
--9ab6343bda60a7402be0154e544fb63f--
";
    let line = format!("POST /api/v1/beta/files?project_id={PROJECT}");
    let kind = "multipart/form-data; boundary=9ab6343bda60a7402be0154e544fb63f";
    let request = with_body(&line, PYTHON, kind, body);
    assert!(request.contains("\nContent-Length: 381\n"), "the captured length");
    let answer = replay(&server, &request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let file = answer.json();
    assert_eq!(
        file,
        json!({
            "id": file["id"], "name": "hello.txt", "project_id": PROJECT, "download_url": null, "expires_at": null,
            "external_file_id": "ext-1", "file_type": "txt", "last_modified_at": "2026-01-02T03:04:05Z",
            "purpose": "user_data",
        })
    );
}

#[test]
fn the_typescript_client_uploads() {
    let server = server();
    let request = format!(
        "POST /api/v1/beta/files?project_id={PROJECT} HTTP/1.1
host: 127.0.0.1:8912
connection: keep-alive
Accept: application/json
User-Agent: LlamaCloud/JS 2.16.0
X-Stainless-Retry-Count: 0
X-Stainless-Lang: js
X-Stainless-Package-Version: 2.16.0
X-Stainless-OS: Linux
X-Stainless-Arch: x64
X-Stainless-Runtime: node
X-Stainless-Runtime-Version: v20.20.2
authorization: Bearer llx-TESTKEY
content-type: multipart/form-data; boundary=----formdata-undici-049826039137
accept-language: *
sec-fetch-mode: cors
accept-encoding: gzip, deflate
content-length: 395

------formdata-undici-049826039137
Content-Disposition: form-data; name=\"purpose\"

user_data
------formdata-undici-049826039137
Content-Disposition: form-data; name=\"external_file_id\"

ext-1
------formdata-undici-049826039137
Content-Disposition: form-data; name=\"file\"; filename=\"hello.txt\"
Content-Type: application/octet-stream

hello world
------formdata-undici-049826039137--
"
    );
    let answer = replay(&server, &request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let file = answer.json();
    assert_eq!((&file["name"], &file["external_file_id"]), (&json!("hello.txt"), &json!("ext-1")));
}

#[test]
fn the_python_client_lists_and_reads() {
    let server = server();
    let get = |path: &str| replay(&server, &format!("GET {path} HTTP/1.1\n{PYTHON}\n\n"));

    let path = "/api/v1/beta/files?expand=download_url&file_ids=a&file_ids=b&order_by=created_at&page_size=2";
    let answer = get(path);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"items":[],"next_page_token":null,"total_size":null}"#);
    // The token of another server.
    assert_eq!(get(&format!("{path}&page_token=tok2")).refused(400), "Invalid page_token");

    let file = get(&format!("/api/v1/beta/files/{ID}?expand=download_url")).json();
    assert_eq!(file["id"], ID);
    // URLs have the host of the client's request.
    let url = file["download_url"]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://127.0.0.1:8911/_store/{ID}?")), "{url}");

    for path in ["/api/v1/beta/files", "/api/v1/files"] {
        let presigned = get(&format!("{path}/{ID}/content?expires_at_seconds=60")).json();
        assert_eq!(presigned["expires_at"], "2026-01-02T03:05:05Z");
        assert_eq!(presigned["form_fields"], json!(null));
    }
    get("/api/v1/beta/files/a%2Fb%20c/content").refused(404);
}

#[test]
fn the_python_client_queries() {
    let server = server();
    let body = r#"{"filter":{"file_name":"hello.txt"},"order_by":"name desc","page_size":5}"#;
    let request = with_body("POST /api/v1/beta/files/query", PYTHON, "application/json", body);
    assert!(request.contains("\nContent-Length: 73\n"), "the captured length");
    let answer = replay(&server, &request).json();
    assert_eq!(answer["items"][0]["id"], ID);
    assert_eq!((&answer["next_page_token"], &answer["total_size"]), (&json!(null), &json!(null)));
}

#[test]
fn the_python_client_deletes_with_a_content_type_and_no_body() {
    let server = server();
    let headers = PYTHON.replace("Accept: application/json", "Accept: */*");
    let request =
        format!("DELETE /api/v1/beta/files/{ID} HTTP/1.1\n{headers}\nContent-Type: application/json\n\n");
    let answer = replay(&server, &request);
    assert_eq!((answer.status, answer.header("content-type")), (204, None));
    replay(&server, &request).refused(404);
}

#[test]
fn the_old_python_client_uploads() {
    let server = server();
    let body = "--1b098b41d0cc325a2fe8b87f0dab6b7b
Content-Disposition: form-data; name=\"upload_file\"; filename=\"hello.txt\"
Content-Type: text/plain

hello world
--1b098b41d0cc325a2fe8b87f0dab6b7b--
";
    let line =
        format!("POST /api/v1/files?external_file_id=ext-1&storage_type=ephemeral&project_id={PROJECT}");
    let kind = "multipart/form-data; boundary=1b098b41d0cc325a2fe8b87f0dab6b7b";
    let file = replay(&server, &with_body(&line, LEGACY, kind, body)).json();
    assert_eq!((&file["external_file_id"], &file["file_size"]), (&json!("ext-1"), &json!(11)));
    assert_eq!(file["expires_at"], "2026-01-04T03:04:05Z");
}

#[test]
fn the_old_python_client_uploads_to_a_presigned_url() {
    let server = server();
    let body = r#"{"name":"hello.txt","external_file_id":"docs/hello.txt","file_size":11}"#;
    let line = format!("PUT /api/v1/files?project_id={PROJECT}");
    let presigned = replay(&server, &with_body(&line, LEGACY, "application/json", body)).json();
    let id = presigned["file_id"].as_str().unwrap();
    let get = || replay(&server, &format!("GET /api/v1/files/{id} HTTP/1.1\n{LEGACY}\n\n"));
    get().refused(404);

    let url = presigned["url"].as_str().unwrap().replace("http://127.0.0.1:8912", "");
    let put = format!(
        "PUT {url} HTTP/1.1
Host: 127.0.0.1:8913
Accept: */*
Accept-Encoding: gzip, deflate
Connection: keep-alive
User-Agent: python-httpx/0.28.1
Content-Length: 11

hello world"
    );
    assert_eq!(replay(&server, &put).status, 200);
    let file = get().json();
    assert_eq!((&file["name"], &file["file_size"]), (&json!("hello.txt"), &json!(11)));
    assert_eq!(file["external_file_id"], "docs/hello.txt");
}

#[test]
fn the_old_python_client_requests_an_upload_from_a_url() {
    let body =
        r#"{"url":"https://example.com/a.pdf","follow_redirects":true,"name":"a.pdf","verify_ssl":true}"#;
    let request = with_body("PUT /api/v1/files/upload_from_url", LEGACY, "application/json", body);
    assert!(replay(&server(), &request).refused(400).contains("offline"));
}

#[test]
fn the_old_python_client_deletes() {
    let server = server();
    let request = format!("DELETE /api/v1/files/{ID} HTTP/1.1\n{LEGACY}\n\n");
    assert_eq!(replay(&server, &request).status, 204);
    replay(&server, &request).refused(404);
}
