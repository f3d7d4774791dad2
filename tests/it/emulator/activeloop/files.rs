//! Upload, retrieval, content, deletion and metadata.

use serde_json::{Value, json};

use crate::emulator::activeloop::{NOW, setup, start, upload};
use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, JSON, form, keys, noise};

#[test]
fn an_upload_of_one_file_returns_its_object() {
    let server = start();
    let body = form(&[
        ("name=\"file\"; filename=\"hello.txt\"\r\nContent-Type: text/plain", b"Hello, world!"),
        ("name=\"metadata\"", br#"{"b": 1, "a": {"x": [null, 1.5]}}"#),
        ("name=\"instructions\"", b"extract dates"),
        ("name=\"whatever\"", b"ignored"),
    ]);
    let file = server.ask("POST", "/files", &[FORM], &body).ok();
    let id = file["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
    let expected = json!({
        "id": id, "object": "file", "bytes": 13, "created_at": NOW, "filename": "hello.txt", "purpose": "user_data",
        "status": "uploaded", "status_details": null, "expires_at": null, "org_id": "emulated-org",
        "workspace_id": "default", "user_id": "emulated-user", "metadata": { "b": 1, "a": { "x": [null, 1.5] } },
    });
    assert_eq!(file.to_string(), expected.to_string(), "in this order");
    assert_eq!(server.get(&format!("/files/{id}")).ok(), file);
    let plain = upload(&server, "plain", b"", &[]);
    assert_eq!(server.get(&format!("/files/{plain}")).ok()["metadata"], Value::Null);
}

#[test]
fn an_upload_of_several_files_returns_an_array_or_an_envelope() {
    let server = start();
    let body = form(&[
        ("name=\"file\"; filename=\"a.pdf\"", b"a"),
        ("name=\"metadata\"", br#"{"author": "hegel"}"#),
        ("name=\"files\"; filename=\"dropped\"", b"x"),
        ("name=\"file\"; filename=\"b.pdf\"", b"bb"),
    ]);
    let both = server.ask("POST", "/files", &[FORM], &body).ok();
    let brief: Vec<_> = both
        .as_array()
        .unwrap()
        .iter()
        .map(|file| json!([file["filename"], file["bytes"], file["metadata"]["author"]]))
        .collect();
    assert_eq!(brief, [json!(["a.pdf", 1, "hegel"]), json!(["b.pdf", 2, "hegel"])]);
    let server = server.again(&Setup { quirks: &["upload-envelope"], ..setup() });
    let both = server.ask("POST", "/files", &[FORM], &body).ok();
    assert_eq!((keys(&both), both["data"].as_array().unwrap().len()), (vec!["object", "data"], 2));
    assert_eq!(server.get("/files").ok()["data"].as_array().unwrap().len(), 4, "names can be equal");
}

#[test]
fn content_is_returned_unchanged() {
    let server = start();
    for (name, content, kind) in [
        ("naïve 日本.pdf", noise(3_456_789), "application/pdf"),
        ("empty", Vec::new(), "application/octet-stream"),
        ("../../../etc/x.txt", b"x".to_vec(), "text/plain"),
    ] {
        let id = upload(&server, name, &content, &[]);
        let answer = server.get(&format!("/files/{id}/content"));
        assert_eq!(answer.header("content-type"), Some(kind));
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        assert!(answer.status == 200 && answer.body == content, "{name}");
        assert_eq!(server.get(&format!("/files/{id}")).ok()["filename"], *name);
    }
}

#[test]
fn ranges_are_ignored_unless_enabled() {
    let server = start();
    let path = format!("/files/{}/content", upload(&server, "a", b"0123456789", &[]));
    let ask = |server: &Emulator| {
        let answer = server.ask("GET", &path, &["Range: bytes=2-4"], b"");
        (answer.status, answer.text())
    };
    assert_eq!(ask(&server), (200, "0123456789".to_owned()));
    let server = server.again(&Setup { quirks: &["ranges"], ..setup() });
    assert_eq!(ask(&server), (206, "234".to_owned()));
}

#[test]
fn a_second_delete_is_not_found() {
    let server = start();
    let id = upload(&server, "a", b"a", &[]);
    let path = format!("/files/{id}");
    let answer = server.ask("DELETE", &path, &[JSON], b"");
    assert_eq!(
        (answer.status, answer.text()),
        (200, format!(r#"{{"id":"{id}","object":"file","deleted":true}}"#))
    );
    for answer in [server.delete(&path), server.get(&path), server.get(&format!("{path}/content"))] {
        assert_eq!((answer.status, answer.text().as_str()), (404, r#"{"detail":"File not found"}"#));
    }
}

#[test]
fn indexing_takes_time_and_may_fail() {
    let server = start();
    let path = format!("/files/{}", upload(&server, "a", b"a", &[]));
    let status = |server: &Emulator| {
        let file = server.get(&path).ok();
        (file["status"].as_str().unwrap().to_owned(), file["status_details"].clone())
    };
    let later = |server: Emulator, seconds, quirks| {
        server.again(&Setup { clock: clock_at(NOW + seconds), quirks, ..setup() })
    };
    assert_eq!(status(&server), ("uploaded".to_owned(), Value::Null));
    let server = later(server, 1, &[]);
    assert_eq!(status(&server), ("processing".to_owned(), Value::Null));
    let server = later(server, 2, &[]);
    assert_eq!(status(&server), ("indexed".to_owned(), Value::Null));
    let server = later(server, 2, &["index-after=100"]);
    assert_eq!(status(&server).0, "uploaded");
    let server = later(server, 0, &["index-after=0", "index-error=no text in it"]);
    assert_eq!(status(&server), ("error".to_owned(), json!("no text in it")));
    let fresh = server.ask("POST", "/files", &[FORM], &form(&[("name=\"file\"; filename=\"a\"", b"a")])).ok();
    assert_eq!(fresh["status"], "uploaded", "an upload never returns a later status");
}

#[test]
fn metadata_is_merged_by_each_of_three_methods() {
    let server = start();
    let id = upload(&server, "a", b"a", &[("metadata", r#"{"author":"hegel","year":1807}"#)]);
    let path = format!("/files/{id}/metadata");
    let update = |method: &str, body: &str| server.ask(method, &path, &[JSON], body.as_bytes());
    assert_eq!(
        update("PUT", r#"{"author":"kant"}"#).ok()["metadata"],
        json!({"author": "kant", "year": 1807})
    );
    assert_eq!(update("PATCH", r#"{"year":null}"#).ok()["metadata"], json!({"author": "kant", "year": null}));
    let file = update("POST", r#"{"x":{"y":1},"instructions":"add year"}"#).ok();
    assert_eq!(file["metadata"], json!({"author": "kant", "year": null, "x": {"y": 1}}));
    assert_eq!(file["id"], *id);
    assert_eq!(server.get(&format!("/files/{id}")).ok(), file);
    let stored = server.store.stat("activeloop", &id.as_str().into()).unwrap();
    assert_eq!(stored.extra["instructions"], json!(["add year"]));
}

#[test]
fn metadata_can_be_strict_replacing_and_instructed() {
    let server = start();
    let id = upload(&server, "a", b"a", &[("metadata", r#"{"author":"hegel"}"#), ("instructions", "first")]);
    let path = format!("/files/{id}/metadata");
    let server = server.again(&Setup {
        quirks: &["metadata-method=PATCH", "replace-metadata", "instructions=summary"],
        ..setup()
    });
    let body = br#"{"year":1807,"instructions":"add a summary"}"#;
    let refused = server.ask("PUT", &path, &[JSON], body);
    assert_eq!((refused.status, refused.header("allow")), (405, Some("PATCH")));
    assert_eq!(refused.text(), r#"{"detail":"Method Not Allowed"}"#);
    let file = server.ask("PATCH", &path, &[JSON], body).ok();
    assert_eq!(file["metadata"], json!({"year": 1807, "summary": "add a summary"}));
}
