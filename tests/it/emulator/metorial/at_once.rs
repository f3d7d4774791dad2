//! Concurrent requests for one file: a change is kept if the response reported success.

use super::Calls as _;
use std::io::Write;
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::emulator::metorial::{SETUP, dialect, refused};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, within};

const TYPE: &str = "Content-Type: text/plain";
const ROUNDS: usize = 30;

/// Makes two calls concurrently.
fn both<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        let other = other();
        (one.join().unwrap(), other)
    })
}

#[test]
fn content_after_the_completion_of_an_upload_changes_nothing() {
    let server = Emulator::start(&Setup { dialect: Some("magnetar"), ..SETUP });
    let ask = json!({
        "mode": "get_upload_url", "purpose": "generic", "file_name": "a.txt", "file_size": 5, "file_type": "text/plain",
    });
    let upload = server.call("POST", "/files", &ask.to_string()).expect(200);
    let path = server.path(&upload["upload"]["url"]);
    assert_eq!(server.ask("PUT", &path, &[TYPE], b"first").status, 200);
    // The URL is used again, and that request ends only after the upload is completed.
    let mut late = server.connect();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\n{TYPE}\r\nContent-Length: 5\r\n\r\nsec");
    late.write_all(head.as_bytes()).unwrap();
    assert!(within(|| server.blobs() == 2), "the upload has begun");
    let complete = json!({ "mode": "complete", "file_upload_id": upload["id"] }).to_string();
    let file = server.call("POST", "/files", &complete).expect(200);
    late.write_all(b"nd").unwrap();
    refused(&Answer::read(&mut late, false).unwrap(), 403, "forbidden", "");
    let shown = server.call("GET", &format!("/files/{}", file["id"].as_str().unwrap()), "").expect(200);
    assert_eq!((&shown["status"], &shown["file_size"]), (&json!("active"), &json!(5)));
    let link = server.call("POST", "/file-links", &json!({ "file_id": file["id"] }).to_string()).expect(200);
    assert_eq!(server.ask("GET", &server.path(&link["url"]), &[], b"").text(), "first");
}

#[test]
fn a_deleted_link_stays_deleted() {
    let server = dialect("pulsar");
    let file = server.file("user_image", "a.txt");
    for round in 0..ROUNDS {
        let link = server.call("POST", &format!("/files/{file}/links"), "").expect(200);
        let path = format!("/files/{file}/links/{}", link["id"].as_str().unwrap());
        let change = || server.call("PATCH", &path, r#"{"expires_at":"2099-01-01T00:00:00.000Z"}"#).status;
        let (changed, deleted) = both(change, || server.call("DELETE", &path, "").status);
        assert!(matches!(changed, 200 | 404), "{changed}");
        assert_eq!(deleted, 200);
        assert_eq!(server.call("GET", &path, "").status, 404, "round {round}");
    }
}

#[test]
fn a_deleted_file_keeps_its_last_title() {
    let server = dialect("seed");
    for round in 0..ROUNDS {
        let file = server.file("attachment", "a.txt");
        let path = format!("/files/{file}");
        let title = |title: &str| server.call("PATCH", &path, &json!({ "title": title }).to_string()).status;
        let (changed, deleted) = both(|| title("new"), || server.call("DELETE", &path, "").expect(200));
        // The seed dialect does not show deleted files; the store keeps their last record.
        let kept: Value = server.store.noted("metorial", "deleted-file", &file).unwrap().unwrap().into();
        let expected = if changed == 200 { json!("new") } else { Value::Null };
        assert_eq!(
            kept["extra"].get("title").cloned().unwrap_or_default(),
            expected,
            "round {round} {deleted}"
        );
    }
}

#[test]
fn a_link_never_outlives_its_file() {
    let server = dialect("magnetar");
    for _ in 0..ROUNDS {
        let file = server.file("generic", "a.txt");
        let ask = json!({ "file_id": file }).to_string();
        let delete = || server.call("DELETE", &format!("/files/{file}"), "").status;
        let (linked, deleted) = both(|| server.call("POST", "/file-links", &ask).status, delete);
        assert!(matches!(linked, 200 | 403) && deleted == 200, "{linked} {deleted}");
        assert_eq!(server.store.notes("metorial", "link", None).unwrap(), []);
    }
}

#[test]
fn damaged_content_is_an_error() {
    let server = dialect("magnetar");
    let file = server.file("generic", "a.txt");
    let link = server.call("POST", "/file-links", &json!({ "file_id": file }).to_string()).expect(200);
    assert_eq!(server.damage(), 1);
    assert_eq!(server.ask("GET", &server.path(&link["url"]), &[], b"").status, 500);
}
