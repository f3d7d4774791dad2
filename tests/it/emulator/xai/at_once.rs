//! Concurrent changes to one file: a change is kept if the response reported success.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::emulator::xai::{start, upload};
use crate::support::emulator::AUTH;
use crate::support::raw::{Answer, JSON, within};

const ROUNDS: u32 = 30;

#[test]
fn new_content_does_not_undo_a_change_of_the_record() {
    let server = start();
    let id = upload(&server, "0.pdf", b"before");
    let path = format!("/v1/files/{id}");
    let put = |change: &Value| server.ask("PUT", &path, &[JSON], change.to_string().as_bytes());
    let puts = AtomicU32::new(0);
    let is_over = AtomicU32::new(0);
    thread::scope(|scope| {
        for n in 0..3 {
            let (put, puts, is_over) = (&put, &puts, &is_over);
            scope.spawn(move || {
                while is_over.load(Ordering::Relaxed) == 0 {
                    let content = format!("content {n} {}", puts.fetch_add(1, Ordering::Relaxed));
                    put(&json!({ "data": STANDARD.encode(content) })).ok();
                }
            });
        }
        let check = || {
            for round in 1..=ROUNDS {
                let name = format!("{round}.pdf");
                put(&json!({ "name": name, "file_path": format!("folder{round}") })).ok();
                let url = server.post_json(&format!("{path}/public-url"), "{}").ok()["public_url"].clone();
                // Every request that was in progress has ended.
                let seen = puts.load(Ordering::Relaxed);
                assert!(within(|| puts.load(Ordering::Relaxed) > seen + 6));
                let file = server.get(&path).ok();
                assert_eq!((&file["filename"], &file["public_url"]), (&json!(name), &url), "round {round}");
                let listed = server.get(&format!("{path}?team_id=t")).ok();
                assert_eq!(listed["file_path"], format!("folder{round}"));
                server.post_json(&format!("{path}/public-url/revoke"), "").ok();
                let seen = puts.load(Ordering::Relaxed);
                assert!(within(|| puts.load(Ordering::Relaxed) > seen + 6));
                assert_eq!(server.get(&path).ok().get("public_url"), None, "round {round}");
            }
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        is_over.store(1, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert_eq!(server.blobs(), 1);
}

/// The file as the gateway shows it.
fn shown(server: &crate::support::emulator::Emulator, id: &str) -> Value {
    server.get(&format!("/v1/files/{id}?team_id=t")).ok()
}

#[test]
fn an_upload_in_chunks_keeps_concurrent_changes() {
    let server = start();
    let begun = server.post_json("/v1/files:initialize", r#"{"name":"a.bin","content_type":"a/b"}"#).ok();
    let id = begun["file_id"].as_str().unwrap();
    let chunk = |text: &str| json!({ "file_id": id, "chunk": STANDARD.encode(text) }).to_string();
    let (first, second) = (chunk("first "), chunk("second"));
    let length = first.len() + second.len();
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/files:uploadChunks HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{first}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert!(within(|| shown(&server, id)["upload_status"] == "Uploading"));
    server.ask("PUT", &format!("/v1/files/{id}"), &[JSON], br#"{"name":"b.bin","file_path":"f"}"#).ok();
    stream.write_all(second.as_bytes()).unwrap();
    let file = Answer::read(&mut stream, false).unwrap().ok();
    assert_eq!((&file["name"], &file["file_path"]), (&json!("b.bin"), &json!("f")));
    assert_eq!((&file["upload_status"], &file["size_bytes"]), (&json!("Complete"), &json!("12")));
    assert_eq!(shown(&server, id), file);
}

#[test]
fn an_interrupted_stream_does_not_fail_content_from_another_request() {
    let server = start();
    let begun = server.post_json("/v1/files:initialize", r#"{"name":"a.bin","content_type":"a/b"}"#).ok();
    let id = begun["file_id"].as_str().unwrap();
    let first = json!({ "file_id": id, "chunk": "" });
    let mut stream = server.connect();
    let head = format!(
        "POST /v1/files:uploadChunks HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n{JSON}\r\nContent-Length: 9999\r\n\r\n{first}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert!(within(|| shown(&server, id)["upload_status"] == "Uploading"));
    let content = json!({ "data": STANDARD.encode("whole") }).to_string();
    server.ask("PUT", &format!("/v1/files/{id}"), &[JSON], content.as_bytes()).ok();
    drop(stream);
    // The file of the interrupted stream is deleted, because its upload was abandoned.
    assert!(within(|| server.is_clean()));
    for _ in 0..10 {
        let file = shown(&server, id);
        assert_eq!((&file["upload_status"], &file["size_bytes"]), (&json!("Complete"), &json!("5")));
    }
    assert_eq!(server.get(&format!("/v1/files/{id}/content")).text(), "whole");
}

#[test]
fn damaged_content_is_an_error_in_every_route() {
    let server = start();
    let id = upload(&server, "a.png", b"content");
    let public = server.post_json(&format!("/v1/files/{id}/public-url"), "{}").ok();
    let public = server.path(&public["public_url"]);
    let presigned = |format: &str| {
        let ask = json!({ "file_id": id, "format": format, "team_id": "t" });
        server.post_json("/v1/files:download", &ask.to_string())
    };
    let presigned_url = server.path(&presigned("original").ok()["presigned_url"]);
    let text = upload(&server, "a.txt", b"text");
    assert_eq!(server.damage(), 2);
    let inline = json!({ "file_id": text, "format": "text" }).to_string();
    for answer in [
        server.get(&format!("/v1/files/{id}/content")),
        server.ask_bare("GET", &public, &[], b""),
        server.ask_bare("GET", &presigned_url, &[], b""),
        server.post_json("/v1/files:download", &inline),
    ] {
        assert_eq!(answer.status, 500, "{answer:?}");
    }
}
