//! The older dialect: its objects, PUT, uploads in chunks, presigned URLs.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::emulator::xai::{NOW, setup, start, upload};
use crate::support::clock_at;
use crate::support::emulator::{AUTH, Emulator, Setup};
use crate::support::raw::{FORM, JSON, form, keys, noise, within};

/// The request body for a file.
type Body = fn(&str) -> String;

fn gateway() -> Emulator {
    Emulator::start(&Setup { dialect: Some("gateway"), ..setup() })
}

#[test]
fn the_file_object() {
    let server = gateway();
    let body = form(&[
        ("name=\"expires_after\"", b"3600"),
        ("name=\"file\"; filename=\"hello.txt\"\r\nContent-Type: text/plain", b"hello"),
    ]);
    let file = server.ask("POST", "/v1/files", &[FORM], &body).ok();
    let expected = [
        "file_id",
        "name",
        "size_bytes",
        "content_type",
        "created_at",
        "expires_at",
        "hash",
        "upload_status",
        "processing_status",
    ];
    assert_eq!(keys(&file), expected);
    assert_eq!(
        file,
        json!({
            "file_id": file["file_id"], "name": "hello.txt", "size_bytes": "5", "content_type": "text/plain",
            "created_at": "2026-05-10T12:00:00.000000Z", "expires_at": "2026-05-10T13:00:00.000000Z",
            "hash": "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f",
            "upload_status": "Complete", "processing_status": "complete",
        })
    );
    let path = format!("/v1/files/{}", file["file_id"].as_str().unwrap());
    assert_eq!(server.get(&path).ok(), file);
    assert_eq!(server.delete(&path).text(), "{}");
    assert_eq!(server.delete(&path).status, 404);
    let guessed = upload(&server, "a.pdf", b"");
    let guessed = server.get(&format!("/v1/files/{guessed}")).ok();
    assert_eq!((&guessed["content_type"], &guessed["expires_at"]), (&json!("application/pdf"), &Value::Null));
    let unknown = upload(&server, "noext", b"");
    assert_eq!(server.get(&format!("/v1/files/{unknown}")).ok()["content_type"], "application/octet-stream");
}

#[test]
fn put_changes_metadata_and_content_but_never_the_id_or_the_time() {
    let server = start();
    let id = upload(&server, "a.txt", b"before");
    let server = server.again(&Setup { clock: clock_at(NOW + 60), ..setup() });
    let path = format!("/v1/files/{id}");
    let put = |body: &str| server.ask("PUT", &path, &[JSON], body.as_bytes());
    let file = put(r#"{"name":"b.txt","file_path":"folder1/subfolder","team_id":"t"}"#).ok();
    assert_eq!((&file["name"], &file["file_path"]), (&json!("b.txt"), &json!("folder1/subfolder")));
    assert_eq!((&file["size_bytes"], &file["content_type"]), (&json!("6"), &json!("text/plain")));
    for data in [STANDARD.encode(b"after!?>"), URL_SAFE_NO_PAD.encode(b"after!?>")] {
        let file = put(&json!({ "data": data, "content_type": "text/x" }).to_string()).ok();
        assert_eq!((&file["file_id"], &file["size_bytes"]), (&json!(id), &json!("8")));
        assert_eq!(file["hash"], blake3::hash(b"after!?>").to_hex().to_string());
        assert_eq!((&file["name"], &file["content_type"]), (&json!("b.txt"), &json!("text/x")));
        assert_eq!(file["created_at"], "2026-05-10T12:00:00.000000Z");
        assert_eq!(server.get(&format!("{path}/content")).text(), "after!?>");
    }
    let body = form(&[("name=\"name\"", b"c.txt"), ("name=\"file\"; filename=\"x\"", b"by form")]);
    let file = server.ask("PUT", &path, &[FORM], &body).ok();
    assert_eq!((&file["name"], &file["size_bytes"]), (&json!("c.txt"), &json!("7")));
    let wrong = [
        "",
        "{}",
        "[]",
        "{",
        r#"{"name":1}"#,
        r#"{"name":""}"#,
        r#"{"name":"a\"b"}"#,
        r#"{"data":"%"}"#,
        r#"{"data":5}"#,
    ];
    for body in wrong {
        let answer = put(body);
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["code"], "Client specified an invalid argument");
    }
    assert_eq!(server.get(&path).ok()["filename"], "c.txt", "a refused request changes nothing");
    let server = server.again(&Setup { quirks: &["upload-limit=100"], ..setup() });
    let large = json!({ "data": STANDARD.encode(noise(200)) }).to_string();
    assert_eq!(server.ask("PUT", &path, &[JSON], large.as_bytes()).status, 413);
}

fn initialize(server: &Emulator) -> String {
    let body = r#"{"name":"a.bin","content_type":"application/x","file_path":"f","user_defined_id":"mine","expires_after":"3600"}"#;
    let answer = server.post_json("/v1/files:initialize", body).ok();
    assert_eq!(keys(&answer), ["file_id", "metadata"]);
    let file = &answer["metadata"];
    assert_eq!((&file["upload_status"], &file["size_bytes"]), (&json!("Initializing"), &json!("0")));
    assert_eq!((&file["file_path"], &file["content_type"]), (&json!("f"), &json!("application/x")));
    assert_eq!((&file["expires_at"], &file["hash"]), (&json!("2026-05-10T13:00:00.000000Z"), &json!("")));
    assert_eq!(file["file_id"], answer["file_id"]);
    answer["file_id"].as_str().unwrap().to_owned()
}

fn chunk(id: &str, content: &[u8]) -> String {
    json!({ "file_id": id, "chunk": STANDARD.encode(content) }).to_string()
}

#[test]
fn an_upload_in_chunks_of_any_framing() {
    let server = start();
    let content = noise(3_000_000);
    let strings: [fn(Vec<String>) -> String; 4] = [
        |chunks| chunks.concat(),
        |chunks| chunks.join("\n") + "\n",
        |chunks| format!("[{}]", chunks.join(",")),
        |chunks| chunks.join("\r\n\r\n"),
    ];
    for (size, string) in
        [(1_000_000, strings[0]), (70_001, strings[1]), (999_999, strings[2]), (4_000_000, strings[3])]
    {
        let id = initialize(&server);
        let body = string(content.chunks(size).map(|piece| chunk(&id, piece)).collect());
        let file = server.post_json("/v1/files:uploadChunks", &body).ok();
        assert_eq!((&file["upload_status"], &file["size_bytes"]), (&json!("Complete"), &json!("3000000")));
        assert_eq!(file["hash"], blake3::hash(&content).to_hex().to_string());
        assert_eq!((&file["file_id"], &file["name"]), (&json!(id), &json!("a.bin")));
        assert!(server.get(&format!("/v1/files/{id}/content")).body == content);
        let again = server.post_json("/v1/files:uploadChunks", &chunk(&id, b"x"));
        assert_eq!(again.status, 400);
        assert_eq!(
            again.json()["code"],
            "The system is not in a state required for the operation's execution"
        );
    }
    let found = server.get("/v1/files?filter=user_defined_id=mine&limit=1").ok();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
}

#[test]
fn an_initialized_upload_is_listed_only_by_the_gateway_and_has_no_content() {
    let server = start();
    let id = initialize(&server);
    assert_eq!(server.get("/v1/files").ok()["data"], json!([]));
    assert_eq!(server.get("/v1/files?order=DESCENDING").ok()["files"][0]["file_id"], *id);
    let by_status = "/v1/files?order=DESCENDING&filter=upload_status=Initializing";
    assert_eq!(server.get(by_status).ok()["files"].as_array().unwrap().len(), 1);
    let content = server.get(&format!("/v1/files/{id}/content"));
    assert_eq!(content.status, 400);
    assert_eq!(content.json()["code"], "The system is not in a state required for the operation's execution");
    for body in [
        "{}",
        r#"{"name":"a"}"#,
        r#"{"content_type":"a"}"#,
        r#"{"name":"a;","content_type":"a"}"#,
        r#"{"name":"a","content_type":"a","expires_after":1}"#,
    ] {
        assert_eq!(server.post_json("/v1/files:initialize", body).status, 400, "{body}");
    }
}

#[test]
fn an_invalid_stream_fails_the_file() {
    let server = Emulator::start(&Setup { quirks: &["upload-limit=1000"], ..setup() });
    let status = |id: &str| server.get(&format!("/v1/files/{id}?team_id=t")).ok();
    let wrong: [(Body, u16, &str); 5] = [
        (|id| format!(r#"{}{{"file_id":"other","chunk":""}}"#, chunk(id, b"a")), 400, "the same file_id"),
        (|id| format!(r#"{{"file_id":"{id}","chunk":"%%%"}}"#), 400, "base64"),
        (|id| format!("{} nonsense", chunk(id, b"a")), 400, "JSON objects"),
        (|id| chunk(id, b"a") + "{\"file_id\"", 400, "middle of a message"),
        (|id| chunk(id, &noise(1001)), 413, "limit"),
    ];
    for (body, code, why) in wrong {
        let id = initialize(&server);
        assert_eq!(server.post_json("/v1/files:uploadChunks", &body(&id)).status, code, "{why}");
        let file = status(&id);
        assert_eq!(
            (&file["upload_status"], &file["processing_status"]),
            (&json!("Failed"), &json!("skipped"))
        );
        assert!(file["upload_error_message"].as_str().unwrap().contains(why), "{file}");
    }
    for (body, code) in [("", 400), ("[]", 400), ("{}", 400), (r#"{"file_id":"file_1","chunk":""}"#, 404)] {
        assert_eq!(server.post_json("/v1/files:uploadChunks", body).status, code, "{body:?}");
    }
    let body = initialize(&server);
    assert_eq!(server.post_json("/v1/files:uploadChunks", &chunk(&body, b"")).ok()["size_bytes"], "0");
}

#[test]
fn an_interrupted_stream_is_uploading_and_then_failed() {
    let server = start();
    let id = initialize(&server);
    let status = || server.get(&format!("/v1/files/{id}?team_id=t")).ok()["upload_status"].clone();
    let mut stream = server.connect();
    let first = chunk(&id, b"first");
    let head = format!(
        "POST /v1/files:uploadChunks HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n{JSON}\r\nContent-Length: 100000\r\n\r\n{first}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert!(within(|| status() == "Uploading"));
    drop(stream);
    assert!(within(|| status() == "Failed"));
    assert_eq!(server.post_json("/v1/files:uploadChunks", &chunk(&id, b"x")).status, 400);
}

#[test]
fn a_presigned_url_works_without_a_key_until_it_expires() {
    let server = start();
    let id = upload(&server, "a.txt", b"content");
    let ask = |body: Value| server.post_json("/v1/files:download", &body.to_string());
    let answer = ask(json!({ "file_id": id })).ok();
    assert_eq!(answer["expires_in_seconds"], "3600");
    let url = answer["presigned_url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix(&format!("http://{}", server.address)).unwrap().to_owned();
    let fetched = server.ask_bare("GET", &path, &["Range: bytes=3-"], b"");
    assert_eq!((fetched.status, fetched.text().as_str()), (206, "tent"));
    assert_eq!(fetched.header("content-type"), Some("text/plain"));
    let error = |path: &str, headers: &[&str]| {
        let answer = server.ask_bare("GET", path, headers, b"");
        assert_eq!(answer.header("content-type"), Some("application/xml; charset=UTF-8"));
        (answer.status, answer.text().split("Code>").nth(1).unwrap().trim_end_matches("</").to_owned())
    };
    assert_eq!(error(&path, &[AUTH]), (400, "InvalidArgument".to_owned()));
    let last = if path.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &path[..path.len() - 1]);
    assert_eq!(error(&forged, &[]), (403, "SignatureDoesNotMatch".to_owned()));
    assert_eq!(
        error(&path.replace("Expires=1", "Expires=2"), &[]),
        (403, "SignatureDoesNotMatch".to_owned())
    );
    assert_eq!(error(&format!("/storage/{id}"), &[]), (403, "AccessDenied".to_owned()));
    let inline = ask(json!({ "file_id": id, "format": "DOWNLOAD_FORMAT_TEXT" })).ok();
    assert_eq!((&inline["presigned_url"], &inline["expires_in_seconds"]), (&json!(""), &json!("0")));
    assert_eq!(inline["content"], STANDARD.encode("content"));
    for (body, status) in
        [(json!({}), 400), (json!({ "file_id": "file_1" }), 404), (json!({ "file_id": 5 }), 400)]
    {
        assert_eq!(ask(body).status, status);
    }
    let server = server.again(&Setup { clock: clock_at(NOW + 3600), ..setup() });
    let late = server.ask_bare("GET", &path, &[], b"");
    assert_eq!((late.status, late.text().contains("ExpiredToken")), (400, true));
}
