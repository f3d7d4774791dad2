//! The file object, retrieval, titles, deletion.

use super::Calls as _;
use serde_json::json;

use crate::emulator::metorial::{KEY, MAGNETAR, SETUP, dialect, purpose, refused};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};

const NOW: &str = "2026-01-02T03:04:05.678Z";

fn at_noon(word: &str) -> Emulator {
    Emulator::start(&Setup { dialect: Some(word), clock: clock(NOW), ..SETUP })
}

#[test]
fn a_file_is_shown_in_the_form_of_each_dialect() {
    let server = at_noon("seed");
    let uploaded = server.upload("attachment", "example.txt", b"hello world");
    let id = uploaded.expect(200)["id"].as_str().unwrap().to_owned();
    assert!(
        id.starts_with("file_") && id.len() == 25 && id[5..].bytes().all(|b| b.is_ascii_alphanumeric()),
        "{id}"
    );
    let expected = format!(
        r#"{{"id":"{id}","purpose":"attachment","name":"example.txt","size":11,"mime_type":"text/plain","created_at":"{NOW}"}}"#
    );
    assert_eq!(uploaded.text(), expected);
    assert_eq!(server.call("GET", &format!("/files/{id}"), "").text(), expected);

    let server = at_noon("magnetar");
    let uploaded = server.upload("generic", "hello.txt", b"hello world");
    let id = uploaded.expect(200)["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("fil_0m") && id.len() == 26, "{id}");
    let upload = format!(
        r#"{{"object":"file","id":"{id}","status":"active","file_name":"hello.txt","file_size":11,"file_type":"text/plain","title":null,"purpose":{{"name":"Generic","identifier":"generic"}},"created_at":"{NOW}","updated_at":"{NOW}"}}"#
    );
    assert_eq!(uploaded.text(), upload, "the response to the upload has the earlier purpose");
    let shown = format!(
        r#"{{"object":"file","id":"{id}","status":"active","file_name":"hello.txt","file_size":11,"file_type":"text/plain","title":null,"purpose":"generic","created_by":null,"created_at":"{NOW}","updated_at":"{NOW}"}}"#
    );
    assert_eq!(server.call("GET", &format!("/files/{id}"), "").text(), shown);
    assert_eq!(
        server.list("").to_string(),
        format!(
            r#"{{"object":"list","items":[{shown}],"pagination":{{"has_more_after":false,"has_more_before":false}}}}"#
        )
    );

    let server = at_noon("pulsar");
    let uploaded = server.upload("user_image", "me.png", b"hello world");
    let id = uploaded.expect(200)["id"].as_str().unwrap().to_owned();
    let shown = upload.replace("hello.txt", "me.png").replace(
        r#"{"name":"Generic","identifier":"generic"}"#,
        r#"{"name":"User image","identifier":"user_image"}"#,
    );
    let upload_id = shown.split('"').nth(7).unwrap().to_owned();
    assert_eq!(uploaded.text(), shown.replace(&upload_id, &id));
    assert_eq!(server.call("GET", &format!("/files/{id}"), "").text(), uploaded.text());
    assert_eq!(server.list("")["__typename"], "list");
}

#[test]
fn only_the_title_changes() {
    for word in ["seed", "pulsar"] {
        let server = dialect(word);
        let id = server.file(purpose(word), "a.txt");
        let path = format!("/files/{id}");
        let before = server.call("GET", &path, "").expect(200);
        let changed = server.call("PATCH", &path, r#"{"title":"New title","file_name":"b.txt"}"#).expect(200);
        if word == "pulsar" {
            assert_eq!(
                (changed["title"].clone(), changed["file_name"].clone()),
                (json!("New title"), json!("a.txt"))
            );
            assert!(changed["updated_at"].as_str() >= before["updated_at"].as_str());
        } else {
            assert_eq!(changed, before);
        }
        let later = server.ask("GET", &format!("/metorial{path}"), &[KEY, MAGNETAR], b"").expect(200);
        assert_eq!(later["title"], "New title");
        assert_eq!(server.call("PATCH", &path, "{}").status, 200);
        let urlencoded = "Content-Type: application/x-www-form-urlencoded";
        let form = server.ask("PATCH", &format!("/metorial{path}"), &[KEY, urlencoded], b"title=A+b");
        assert_eq!(form.status, 200);
        for (body, code) in [(r#"{"title":null}"#, "invalid_type"), (r#"{"title":1}"#, "invalid_type")] {
            let answer = server.call("PATCH", &path, body);
            refused(&answer, 400, "invalid_data", "body");
            assert_eq!(answer.json()["errors"][0]["code"], code);
            assert_eq!(answer.json()["errors"][0]["path"], json!(["title"]));
        }
        let long = format!(r#"{{"title":"{}"}}"#, "ü".repeat(100_001));
        assert_eq!(server.call("PATCH", &path, &long).expect(400)["errors"][0]["code"], "max_length");
        let long = format!(r#"{{"title":"{}"}}"#, "ü".repeat(100_000));
        assert_eq!(server.call("PATCH", &path, &long).status, 200);
        let broken = server.call("PATCH", &path, "{");
        refused(&broken, 400, "bad_request", "");
        assert_eq!(broken.json()["reason"], "invalid_json_body");
        let other =
            server.ask("PATCH", &format!("/metorial{path}"), &[KEY, "Content-Type: text/xml"], b"<a/>");
        assert_eq!(other.expect(400)["reason"], "unsupported_content_type");
        refused(&server.call("PATCH", &path, "[]"), 400, "invalid_data", "body");
        refused(&server.call("PATCH", "/files/fil_x", "{}"), 404, "not_found", "file");
    }
}

#[test]
fn magnetar_still_shows_a_deleted_file() {
    let server = dialect("magnetar");
    let id = server.file("generic", "a.txt");
    let path = format!("/files/{id}");
    let link = server.call("POST", "/file-links", &format!(r#"{{"file_id":"{id}"}}"#)).expect(200);
    let url = server.path(&link["url"]);
    assert_eq!(server.blobs(), 1);
    let before = server.call("GET", &path, "").expect(200);
    let deleted = server.call("DELETE", &path, "").expect(200);
    assert_eq!(deleted["status"], "deleted");
    assert_eq!(deleted["purpose"], "generic");
    let mut expected = before;
    expected["status"] = json!("deleted");
    expected["updated_at"] = deleted["updated_at"].clone();
    assert_eq!(deleted, expected);
    assert_eq!(server.call("GET", &path, "").expect(200), deleted);
    assert_eq!(server.list("")["items"], json!([]));
    refused(&server.call("DELETE", &path, ""), 403, "forbidden", "");
    refused(&server.call("POST", "/file-links", &format!(r#"{{"file_id":"{id}"}}"#)), 403, "forbidden", "");
    refused(&server.ask("GET", &url, &[], b""), 404, "not_found", "fileLink");
    assert_eq!(server.call("GET", "/file-links", "").expect(200)["items"], json!([]));
    assert_eq!(server.blobs(), 0, "its content is deleted from disk");
    refused(&server.call("DELETE", "/files/fil_x", ""), 404, "not_found", "file");
    let server = server.again(&Setup { dialect: Some("magnetar"), ..SETUP });
    assert_eq!(server.call("GET", &path, "").expect(200)["status"], "deleted");
    let pulsar =
        server.ask("PATCH", &format!("/metorial{path}"), &[KEY, crate::emulator::metorial::PULSAR], b"");
    refused(&pulsar, 403, "forbidden", "");
}

#[test]
fn the_seed_does_not_show_a_deleted_file() {
    let server = dialect("seed");
    let id = server.file("attachment", "a.txt");
    let path = format!("/files/{id}");
    let before = server.call("GET", &path, "").expect(200);
    assert_eq!(server.call("DELETE", &path, "").expect(200), before);
    for method in ["GET", "DELETE", "PATCH"] {
        refused(&server.call(method, &path, ""), 404, "not_found", "file");
    }
    refused(&server.call("POST", &format!("{path}/links"), ""), 404, "not_found", "file");
    refused(&server.call("GET", &format!("{path}/links"), ""), 404, "not_found", "file");
}

#[test]
fn pulsar_never_deletes() {
    let server = dialect("pulsar");
    let path = format!("/files/{}", server.file("user_image", "a.png"));
    for _ in 0..2 {
        refused(&server.call("DELETE", &path, ""), 400, "bad_request", "");
        assert_eq!(server.call("GET", &path, "").expect(200)["status"], "active");
    }
    refused(&server.call("DELETE", "/files/fil_x", ""), 404, "not_found", "file");
}

#[test]
fn an_id_cannot_leave_the_store() {
    let server = dialect("magnetar");
    std::fs::write(server.data().join("outside"), "outside").unwrap();
    for id in ["..%2f..%2foutside", "%2e%2e%2foutside", "%2Fetc%2Fpasswd", "a%00b", "..%5coutside"] {
        refused(&server.call("GET", &format!("/files/{id}"), ""), 404, "not_found", "file");
        refused(&server.call("GET", &format!("/files/{id}/key"), ""), 404, "not_found", "fileLink");
        refused(&server.call("DELETE", &format!("/file-links/{id}"), ""), 404, "not_found", "fileLink");
    }
    let id = server.file("generic", "../../outside");
    assert_eq!(server.call("GET", &format!("/files/{id}"), "").json()["file_name"], "../../outside");
    assert_eq!(std::fs::read(server.data().join("outside")).unwrap(), b"outside");
}
