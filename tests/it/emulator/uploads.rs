//! OpenAI's Uploads API.

use serde_json::{Value, json};

use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, keys};

const NOW: i64 = 1_778_414_400;
const UPLOADS: &str = "/openai/v1/uploads";

/// Two servers that take turns.
fn start(quirks: &[&str]) -> Emulator {
    let (auth, clock) = ("Authorization: Bearer secret", clock_at(NOW));
    Emulator::start(&Setup { token: Some("secret"), auth, clock, quirks, replicas: true, ..Setup::DEFAULT })
}

fn about(bytes: usize) -> Value {
    json!({ "bytes": bytes, "filename": "a/b.jsonl", "mime_type": "text/jsonl", "purpose": "batch" })
}

fn begin(server: &Emulator, bytes: usize) -> String {
    server.post_json(UPLOADS, &about(bytes).to_string()).ok()["id"].as_str().unwrap().to_owned()
}

fn try_part(server: &Emulator, id: &str, content: &[u8]) -> Answer {
    let part = form(&[("name=\"data\"; filename=\"upload\"", content)]);
    server.ask("POST", &format!("{UPLOADS}/{id}/parts"), &[FORM], &part)
}

fn part(server: &Emulator, id: &str, content: &str) -> String {
    try_part(server, id, content.as_bytes()).ok()["id"].as_str().unwrap().to_owned()
}

fn complete(server: &Emulator, id: &str, about: &Value) -> Answer {
    server.post_json(&format!("{UPLOADS}/{id}/complete"), &about.to_string())
}

fn cancel(server: &Emulator, id: &str) -> Answer {
    server.ask("POST", &format!("{UPLOADS}/{id}/cancel"), &[], b"")
}

/// The status, and the parameter and text of a refusal.
fn refusal(answer: &Answer) -> (u16, Option<String>, String) {
    let error = answer.json()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    let text = |key: &str| error[key].as_str().map(str::to_owned);
    (answer.status, text("param"), text("message").unwrap())
}

#[test]
fn parts_are_combined_in_the_order_of_the_completion() {
    let server = start(&[]);
    let mut request = about(11);
    request["expires_after"] = json!({ "anchor": "created_at", "seconds": 3600 });
    let begun = server.post_json(UPLOADS, &request.to_string()).ok();
    let id = begun["id"].as_str().unwrap();
    assert!(id.starts_with("upload_"));
    let pending = json!({
        "id": id, "object": "upload", "bytes": 11, "created_at": NOW, "expires_at": NOW + 3600,
        "filename": "b.jsonl", "purpose": "batch", "status": "pending",
    });
    assert_eq!(begun.to_string(), pending.to_string(), "in this order");
    // In any order, one twice, and with a part that is not listed.
    let [last, first, again, _unused] =
        ["world", "hello ", "hello ", "not listed"].map(|content| part(&server, id, content));
    let answer = try_part(&server, id, b"").ok();
    assert_eq!(keys(&answer), ["id", "object", "created_at", "upload_id"]);
    assert_eq!((&answer["object"], &answer["upload_id"]), (&json!("upload.part"), &json!(id)));
    assert_ne!(first, again);
    let md5 = "5EB63BBBE01EEED093CB22BB8F5ACDC3";
    let done = complete(&server, id, &json!({ "part_ids": [again, last], "md5": md5 })).ok();
    assert_eq!((&done["status"], &done["id"]), (&json!("completed"), &json!(id)));
    let file = &done["file"];
    assert_eq!(
        (&file["bytes"], &file["filename"], &file["expires_at"]),
        (&json!(11), &json!("b.jsonl"), &json!(NOW + 3600))
    );
    let path = format!("/openai/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(&server.get(&path).ok(), file);
    assert_eq!(server.get(&format!("{path}/content")).text(), "hello world");
    assert_eq!(server.blobs(), 1, "the parts are discarded");
    // The upload cannot be queried, and ends only once.
    assert_eq!(server.get(&format!("{UPLOADS}/{id}")).status, 404);
    let ended = (400, None, format!("Upload {id} is completed."));
    assert_eq!(refusal(&complete(&server, id, &json!({ "part_ids": [first, last] }))), ended);
    assert_eq!(refusal(&try_part(&server, id, b"x")), ended);
    assert_eq!(refusal(&cancel(&server, id)), ended);
    // A different order of the parts creates a different file.
    let id = begin(&server, 2);
    let [a, b] = ["a", "b"].map(|content| part(&server, &id, content));
    let file = complete(&server, &id, &json!({ "part_ids": [b, a] })).ok()["file"]["id"].clone();
    assert_eq!(server.get(&format!("/openai/v1/files/{}/content", file.as_str().unwrap())).text(), "ba");
}

#[test]
fn a_completion_is_checked_and_can_be_corrected() {
    let server = start(&[]);
    let id = begin(&server, 3);
    let [a, bc] = ["a", "bc"].map(|content| part(&server, &id, content));
    let md5 = "00000000000000000000000000000000";
    for (request, param) in [
        (json!({}), Some("part_ids")),
        (json!({ "part_ids": a }), Some("part_ids")),
        (json!({ "part_ids": [1] }), Some("part_ids")),
        (json!({ "part_ids": [a, a] }), Some("part_ids")),
        (json!({ "part_ids": [a, "part_unknown"] }), Some("part_ids")),
        (json!({ "part_ids": [a] }), None),
        (json!({ "part_ids": [a, bc], "md5": 5 }), Some("md5")),
        (json!({ "part_ids": [a, bc], "md5": md5 }), Some("md5")),
        // The MD5 of the other order.
        (json!({ "part_ids": [a, bc], "md5": "47d7a8f7a7cc0a1cc0d6c1f2c4a3b1f5" }), Some("md5")),
    ] {
        let (status, found, message) = refusal(&complete(&server, &id, &request));
        assert_eq!((status, found.as_deref()), (400, param), "{request} {message}");
    }
    assert_eq!(server.get("/openai/v1/files").ok()["data"], json!([]));
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    complete(&server, &id, &json!({ "part_ids": [a, bc], "md5": md5 })).ok();
}

#[test]
fn an_upload_is_checked_before_it_begins() {
    let server = start(&[]);
    let changed = |key: &str, value: Value| {
        let mut request = about(3);
        request[key] = value;
        request
    };
    let after = |anchor: &str, seconds: Value| json!({ "anchor": anchor, "seconds": seconds });
    for (request, param) in [
        (json!({}), "bytes"),
        (changed("bytes", json!("3")), "bytes"),
        (changed("bytes", json!(-1)), "bytes"),
        (changed("bytes", json!(8_u64 * 1024 * 1024 * 1024 + 1)), "bytes"),
        (changed("filename", Value::Null), "filename"),
        (changed("filename", json!(1)), "filename"),
        (changed("mime_type", Value::Null), "mime_type"),
        (changed("purpose", Value::Null), "purpose"),
        (changed("purpose", json!("batch_output")), "purpose"),
        (changed("expires_after", after("now", json!(3600))), "expires_after"),
        (changed("expires_after", after("created_at", json!(3599))), "expires_after"),
        (changed("expires_after", after("created_at", json!("3600"))), "expires_after"),
    ] {
        let (status, found, message) = refusal(&server.post_json(UPLOADS, &request.to_string()));
        assert_eq!((status, found.as_deref()), (400, Some(param)), "{request} {message}");
    }
    server.post_json(UPLOADS, &changed("bytes", json!(8_u64 * 1024 * 1024 * 1024)).to_string()).ok();
    // Azure documents fewer purposes than OpenAI, and a path with and one without `/v1`.
    for (path, purpose, status) in [
        ("/azure/openai/v1/uploads", "user_data", 400),
        ("/azure/openai/v1/uploads", "assistants", 200),
        ("/azure/openai/uploads?api-version=2024-10-21", "vision", 200),
        (UPLOADS, "user_data", 200),
        ("/groq/openai/v1/uploads", "batch", 404),
    ] {
        let answer = server.post_json(path, &changed("purpose", json!(purpose)).to_string());
        assert_eq!(answer.status, status, "{path} {purpose} {answer:?}");
    }
    assert_eq!(server.ask_bare("POST", UPLOADS, &[], b"{}").status, 401);
    let unknown = (404, Some("id".to_owned()), "No such Upload object: upload_x".to_owned());
    assert_eq!(refusal(&try_part(&server, "upload_x", b"x")), unknown);
    assert_eq!(refusal(&cancel(&server, "upload_x")), unknown);
}

#[test]
fn an_upload_ends_when_it_is_cancelled_or_expired() {
    let server = start(&[]);
    let id = begin(&server, 1);
    let a = part(&server, &id, "a");
    let answer = cancel(&server, &id).ok();
    assert_eq!((&answer["status"], answer.get("file")), (&json!("cancelled"), None));
    assert_eq!(server.blobs(), 0, "the parts are discarded");
    let ended = (400, None, format!("Upload {id} is cancelled."));
    assert_eq!(refusal(&complete(&server, &id, &json!({ "part_ids": [a] }))), ended);
    assert_eq!(refusal(&try_part(&server, &id, b"a")), ended);

    let server = start(&["openai.upload-life=0"]);
    let id = begin(&server, 1);
    let ended = (400, None, format!("Upload {id} is expired."));
    assert_eq!(server.blobs(), 0);
    assert_eq!(refusal(&try_part(&server, &id, b"a")), ended);
    assert_eq!(refusal(&complete(&server, &id, &json!({ "part_ids": [] }))), ended);
    assert_eq!(refusal(&cancel(&server, &id)), ended);
}

#[test]
fn the_parts_of_an_expired_upload_are_deleted() {
    let server = start(&[]);
    let id = begin(&server, 2);
    part(&server, &id, "a");
    let setup = |seconds: i64| Setup {
        token: Some("secret"),
        auth: "Authorization: Bearer secret",
        clock: clock_at(NOW + seconds),
        ..Setup::DEFAULT
    };
    let server = server.again(&setup(3599));
    let b = part(&server, &id, "b");
    assert_eq!(server.blobs(), 2);
    let server = server.again(&setup(3600));
    assert_eq!(server.blobs(), 0);
    let expired = (400, None, format!("Upload {id} is expired."));
    assert_eq!(refusal(&complete(&server, &id, &json!({ "part_ids": [b] }))), expired);
    let server = server.again(&setup(3600 + 24 * 3600));
    assert_eq!(cancel(&server, &id).status, 404);
}

#[test]
fn a_part_is_a_file_of_at_most_64_mebibytes() {
    let server = start(&[]);
    let id = begin(&server, 1);
    let path = format!("{UPLOADS}/{id}/parts");
    for head in ["name=\"data\"", "name=\"file\"; filename=\"upload\""] {
        let answer = server.ask("POST", &path, &[FORM], &form(&[(head, b"x")]));
        assert_eq!((answer.status, refusal(&answer).1.as_deref()), (400, Some("data")), "{head}");
    }
    // Refused because of its Content-Length, before the body is read.
    let length = format!("Content-Length: {}", 66 * 1024 * 1024);
    assert_eq!(server.ask("POST", &path, &[FORM, &length], b"").status, 413);
}
