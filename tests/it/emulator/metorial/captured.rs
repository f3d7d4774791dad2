//! Requests captured from the real clients, with this server's ids instead of the captured ones.

use super::Calls as _;
use serde_json::json;

use crate::emulator::metorial::{SETUP, dialect};
use crate::support::emulator::{Emulator, Setup};

/// A server with its routes at the root, as the clients were configured.
fn alone(word: &'static str) -> Emulator {
    Emulator::start(&Setup { dialect: Some(word), alone: true, ..SETUP })
}

const PYTHON: &str = "User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: application/json
Connection: keep-alive
Authorization: Bearer metorial_sk_TEST";

#[test]
fn the_python_client() {
    let server = alone("magnetar");
    let id = server.file("generic", "a.txt");
    let ask = |line: &str, more: &str| server.replay(&format!("{line} HTTP/1.1\nHost: x\n{PYTHON}{more}"));
    let query = "limit=5&order=desc&id=a&id=b&purpose=generic&purpose=user_image&created_at=gt";
    let list = ask(&format!("GET /files?{query}"), "").expect(200);
    assert_eq!(list["items"], json!([]));
    let list = ask(&format!("GET /files?{}", query.replace("id=b", &format!("id={id}"))), "").expect(200);
    assert_eq!(list["items"][0]["id"], id.as_str(), "the invalid date is ignored");
    assert_eq!(ask(&format!("GET /files/{id}"), "").expect(200)["id"], id.as_str());
    let body = format!("{{\"file_id\": \"{id}\"}}");
    let create = format!("\nContent-Type: application/json\nContent-Length: 41\n\n{body}");
    let link = ask("POST /file-links", &create).expect(200);
    let link = link["id"].as_str().unwrap();
    let list = ask(&format!("GET /file-links?limit=3&file_id={id}"), "").expect(200);
    assert_eq!(list["items"][0]["id"], link);
    assert_eq!(ask(&format!("GET /file-links/{link}"), "").expect(200)["id"], link);
    assert_eq!(ask(&format!("DELETE /file-links/{link}"), "\nContent-Length: 0").expect(200)["id"], link);
    assert_eq!(ask(&format!("DELETE /files/{id}"), "\nContent-Length: 0").expect(200)["status"], "deleted");
}

const NODE: &str = "host: 127.0.0.1:8915
connection: keep-alive
Authorization: Bearer metorial_sk_TEST
Metorial-Version: 2026-01-01-magnetar
accept: */*
accept-language: *
sec-fetch-mode: cors
user-agent: node
cache-control: max-age=0
accept-encoding: gzip, deflate";

#[test]
fn the_node_client_with_magnetar() {
    // The dialect of requests without a version.
    let server = alone("seed");
    let ask = |line: &str, more: &str| server.replay(&format!("{line} HTTP/1.1\n{NODE}{more}"));
    let form = "
content-type: multipart/form-data; boundary=----formdata-undici-018092770275
content-length: 564

------formdata-undici-018092770275
Content-Disposition: form-data; name=\"file\"; filename=\"hello.txt\"
Content-Type: text/plain

hello world
------formdata-undici-018092770275
Content-Disposition: form-data; name=\"purpose\"

generic
------formdata-undici-018092770275
Content-Disposition: form-data; name=\"title\"

Greeting
------formdata-undici-018092770275
Content-Disposition: form-data; name=\"store_id\"

str_1
------formdata-undici-018092770275
Content-Disposition: form-data; name=\"path\"

docs/hello.txt
------formdata-undici-018092770275--";
    let file = ask("POST /files", form).expect(200);
    assert_eq!((file["file_name"].clone(), file["file_size"].clone()), (json!("hello.txt"), json!(11)));
    assert_eq!((file["file_type"].clone(), file["title"].clone()), (json!("text/plain"), json!("Greeting")));
    assert_eq!(file["purpose"]["identifier"], "generic");
    let id = file["id"].as_str().unwrap();
    let query = "limit=5&order=desc&purpose%5B0%5D=generic&createdAt%5Bgt%5D=2026-01-01T00%3A00%3A00.000Z";
    assert_eq!(ask(&format!("GET /files?{query}"), "").expect(200)["items"][0]["id"], id);
    let body = format!("{{\"file_id\":\"{id}\",\"expires_at\":\"2026-02-01T00:00:00.000Z\"}}");
    let create = format!("\nContent-Type: application/json\ncontent-length: 59\n\n{body}");
    let link = ask("POST /file-links", &create).expect(200);
    assert_eq!(link["expires_at"], "2026-02-01T00:00:00.000Z");
}

#[test]
fn the_node_client_with_pulsar() {
    let server = alone("seed");
    let id = server.file("attachment", "a.txt");
    let head = NODE.replace("2026-01-01-magnetar", "2025-01-01-pulsar");
    let ask = |line: &str, body: &str| {
        let body = if body.is_empty() {
            String::new()
        } else {
            format!("\nContent-Type: application/json\ncontent-length: 41\n\n{body}")
        };
        server.replay(&format!("{line} HTTP/1.1\n{head}{body}")).expect(200)
    };
    let link = ask(&format!("POST /files/{id}/links"), r#"{"expires_at":"2026-02-01T00:00:00.000Z"}"#);
    let path = format!("/files/{id}/links/{}", link["id"].as_str().unwrap());
    assert_eq!(ask(&format!("PATCH /files/{id}"), r#"{"title":"New title"}"#)["title"], "New title");
    let changed = ask(&format!("PATCH {path}"), r#"{"expires_at":"2026-03-01T00:00:00.000Z"}"#);
    assert_eq!(changed["expires_at"], "2026-03-01T00:00:00.000Z");
    assert_eq!(ask(&format!("GET /files/{id}/links"), "")["items"], json!([changed]));
    assert_eq!(ask(&format!("GET {path}"), ""), changed);
    assert_eq!(ask(&format!("DELETE {path}"), ""), changed);
}

#[test]
fn the_command_lines_of_the_documentation() {
    let server = dialect("seed");
    let form = "POST /metorial/files HTTP/1.1
Host: files.metorial.com
User-Agent: curl/7.88.1
Accept: */*
Authorization: Bearer metorial_sk_TEST
Content-Length: 0
Content-Type: multipart/form-data; boundary=------------------------131d13c9f19ec508

--------------------------131d13c9f19ec508
Content-Disposition: form-data; name=\"purpose\"

attachment
--------------------------131d13c9f19ec508
Content-Disposition: form-data; name=\"file\"; filename=\"file.txt\"
Content-Type: text/plain

Hello, world!
--------------------------131d13c9f19ec508--";
    let file = server.replay(form).expect(200);
    assert_eq!((file["name"].clone(), file["size"].clone()), (json!("file.txt"), json!(13)));
    let head = "Host: api.metorial.com\nUser-Agent: curl/7.88.1\nAccept: */*\nAuthorization: Bearer metorial_sk_TEST";
    let ask = |line: &str| server.replay(&format!("{line} HTTP/1.1\n{head}")).expect(200);
    let id = file["id"].as_str().unwrap();
    assert_eq!(ask("GET /metorial/files")["items"], json!([file]));
    assert_eq!(ask(&format!("GET /metorial/files/{id}")), file);
    // The documented GET request lists links, unless the quirk makes it create one.
    assert_eq!(ask(&format!("GET /metorial/files/{id}/links"))["items"], json!([]));
}
