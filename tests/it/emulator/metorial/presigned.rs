//! Uploads to a presigned URL.

use super::Calls as _;
use serde_json::{Value, json};

use crate::emulator::metorial::{KEY, SETUP, dialect, refused};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::noise;

const NOW: &str = "2026-01-02T03:04:05.678Z";
const TYPE: &str = "Content-Type: text/plain";

fn setup(now: &str) -> Setup<'static> {
    Setup { dialect: Some("magnetar"), clock: clock(now), ..SETUP }
}

fn begin(server: &Emulator, size: usize) -> Value {
    let ask = json!({
        "mode": "get_upload_url", "purpose": "generic", "file_name": "ü.txt", "file_size": size,
        "file_type": "text/plain", "title": "T",
    });
    server.call("POST", "/files", &ask.to_string()).expect(200)
}

fn complete(server: &Emulator, upload: &Value) -> crate::emulator::metorial::Answer {
    server.call("POST", "/files", &json!({ "mode": "complete", "file_upload_id": upload["id"] }).to_string())
}

#[test]
fn a_presigned_upload_has_three_steps() {
    let server = Emulator::start(&setup(NOW));
    let content = noise(3_000_000);
    let upload = begin(&server, content.len());
    assert!(upload["id"].as_str().unwrap().starts_with("fup_"));
    let path = server.path(&upload["upload"]["url"]);
    let expected = json!({
        "object": "file_upload", "id": upload["id"], "status": "pending", "file_name": "ü.txt",
        "file_size": content.len(), "file_type": "text/plain", "title": "T",
        "purpose": {"name": "Generic", "identifier": "generic"},
        "upload": {"url": upload["upload"]["url"], "method": "PUT", "expires_at": "2026-01-02T03:19:05.678Z"},
        "expires_at": "2026-01-03T03:04:05.678Z", "created_at": NOW, "updated_at": NOW,
    });
    assert_eq!(upload.to_string(), expected.to_string());
    refused(&complete(&server, &upload), 400, "bad_request", "");
    assert_eq!(server.ask("PUT", &path, &[TYPE], b"first try, of another size").status, 200);
    assert_eq!(server.ask("PUT", &path, &[TYPE], &content).status, 200);
    assert_eq!(server.list("")["items"], json!([]), "not before it is complete");
    let file = complete(&server, &upload).expect(200);
    assert_eq!(file["purpose"]["identifier"], "generic");
    assert_eq!(
        (file["file_name"].clone(), file["title"].clone(), file["status"].clone()),
        (json!("ü.txt"), json!("T"), json!("active"))
    );
    assert_eq!(complete(&server, &upload).expect(200), file, "a second completion returns the same");
    assert_eq!(server.list("")["items"][0]["id"], file["id"]);
    refused(&server.ask("PUT", &path, &[TYPE], b"late"), 403, "forbidden", "");
    let link = server.call("POST", "/file-links", &json!({ "file_id": file["id"] }).to_string()).expect(200);
    assert!(server.ask("GET", &server.path(&link["url"]), &[], b"").body == content);
}

#[test]
fn the_size_must_equal_the_announced_one() {
    let server = Emulator::start(&setup(NOW));
    let upload = begin(&server, 10);
    let path = server.path(&upload["upload"]["url"]);
    assert_eq!(server.ask("PUT", &path, &[TYPE], b"too short").status, 200);
    assert_eq!(server.blobs(), 1);
    refused(&complete(&server, &upload), 400, "bad_request", "");
    assert_eq!(server.blobs(), 0, "the bytes are deleted");
    assert_eq!(server.ask("PUT", &path, &[TYPE], b"just right").status, 200);
    complete(&server, &upload).expect(200);
}

#[test]
fn the_url_needs_no_key() {
    let server = Emulator::start(&setup(NOW));
    let upload = begin(&server, 4);
    let path = server.path(&upload["upload"]["url"]);
    refused(&server.ask("PUT", &path, &[TYPE, KEY], b"four"), 400, "bad_request", "");
    refused(&server.ask("PUT", &path, &["Content-Type: image/png"], b"four"), 403, "forbidden", "");
    refused(&server.ask("PUT", &path, &[], b"four"), 403, "forbidden", "");
    let other = server.path(&begin(&server, 4)["upload"]["url"]);
    let signature = |path: &str| path.split("signature=").nth(1).unwrap().to_owned();
    let forged = path.replace(&signature(&path), &signature(&other));
    refused(&server.ask("PUT", &forged, &[TYPE], b"four"), 403, "forbidden", "");
    refused(
        &server.ask("PUT", &path.replace("expires=1", "expires=2"), &[TYPE], b"four"),
        403,
        "forbidden",
        "",
    );
    refused(&server.ask("PUT", path.split('?').next().unwrap(), &[TYPE], b"four"), 403, "forbidden", "");
    assert_eq!(server.blobs(), 0);
    assert_eq!(server.ask("PUT", &path, &[TYPE], b"four").status, 200);
}

#[test]
fn a_url_expires_after_15_minutes_and_an_upload_after_a_day() {
    let server = Emulator::start(&setup(NOW));
    let (upload, late) = (begin(&server, 4), begin(&server, 4));
    let url = |server: &Emulator, upload: &Value, was: std::net::SocketAddr| {
        let url = upload["upload"]["url"].as_str().unwrap();
        server.path(&json!(url.replace(&was.to_string(), &server.address.to_string())))
    };
    let was = server.address;
    assert_eq!(server.ask("PUT", &url(&server, &upload, was), &[TYPE], b"four").status, 200);
    let server = server.again(&setup("2026-01-02T03:19:06Z"));
    refused(&server.ask("PUT", &url(&server, &late, was), &[TYPE], b"four"), 403, "forbidden", "");
    complete(&server, &upload).expect(200);
    let server = server.again(&setup("2026-01-03T03:04:06Z"));
    refused(&complete(&server, &late), 404, "not_found", "fileUpload");
    let items = server.list("")["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1, "a completed file stays");
}

#[test]
fn invalid_bodies_are_explained() {
    let server = dialect("magnetar");
    let good = json!({"mode": "get_upload_url", "purpose": "generic", "file_name": "a", "file_size": 1});
    for (key, value) in [
        ("mode", json!("direct")),
        ("mode", json!("nonsense")),
        ("mode", Value::Null),
        ("purpose", json!("nonsense")),
        ("purpose", json!("user_image")),
        ("file_name", json!("  ")),
        ("file_size", json!(0)),
        ("file_size", json!(1.5)),
        ("file_size", json!("1")),
        ("file_size", json!((2_u64 << 30) + 1)),
        ("store_id", json!("str_1")),
        ("store_replace", json!(true)),
    ] {
        let mut body = good.clone();
        body[key] = value;
        let answer = server.call("POST", "/files", &body.to_string());
        assert_eq!((answer.status, answer.json()["ok"].clone()), (400, json!(false)), "{body}");
    }
    for key in ["mode", "purpose", "file_name", "file_size"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(key);
        refused(&server.call("POST", "/files", &body.to_string()), 400, "bad_request", "");
    }
    server.call("POST", "/files", &good.to_string()).expect(200);
    let largest =
        json!({"mode": "get_upload_url", "purpose": "generic", "file_name": "a", "file_size": 2_u64 << 30});
    let untyped = server.call("POST", "/files", &largest.to_string()).expect(200);
    assert_eq!(
        (untyped["file_type"].clone(), untyped["title"].clone()),
        (json!("application/octet-stream"), Value::Null)
    );
    refused(&server.call("POST", "/files", r#"{"mode":"complete"}"#), 400, "bad_request", "");
    let unknown = server.call("POST", "/files", r#"{"mode":"complete","file_upload_id":"fup_x"}"#);
    refused(&unknown, 404, "not_found", "fileUpload");
    let pulsar = dialect("pulsar").call("POST", "/files", &good.to_string());
    refused(&pulsar, 400, "bad_request", "");
}
