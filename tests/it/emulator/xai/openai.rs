//! The current dialect: upload, retrieval, content, deletion.

use serde_json::json;

use crate::emulator::xai::{NOW, setup, start, upload, upload_for};
use crate::support::clock_at;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, form, keys, noise};

#[test]
fn an_upload_returns_the_file() {
    let server = start();
    let body = form(&[
        ("name=\"expires_after\"", b"86400"),
        ("name=\"purpose\"", b"assistants"),
        ("name=\"team_id\"", b"team_1"),
        ("name=\"file\"; filename=\"hello.txt\"\r\nContent-Type: text/plain", b"hello"),
        ("name=\"purpose\"", b"ignored after the file"),
        ("name=\"whatever\"", b"ignored"),
    ]);
    let answer = server.ask("POST", "/v1/files", &[FORM], &body);
    assert_eq!(answer.header("x-request-id").map(str::len), Some(36));
    let file = answer.ok();
    let expected = ["id", "object", "bytes", "created_at", "expires_at", "filename", "purpose"];
    assert_eq!(keys(&file), expected);
    let id = file["id"].as_str().unwrap();
    assert!(id.starts_with("file_") && id.len() == 41 && id.as_bytes()[19] == b'4', "{id}");
    assert_eq!(
        file,
        json!({
            "id": id, "object": "file", "bytes": 5, "created_at": NOW, "expires_at": NOW + 86400,
            "filename": "hello.txt", "purpose": "assistants",
        })
    );
    assert_eq!(server.get(&format!("/v1/files/{id}")).ok(), file);
}

#[test]
fn content_is_returned_unchanged() {
    let server = start();
    for content in [Vec::new(), b"x".to_vec(), noise(7_654_321)] {
        let id = upload(&server, "a.bin", &content);
        let answer = server.get(&format!("/v1/files/{id}/content"));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        for unsaid in ["etag", "content-disposition", "accept-ranges"] {
            assert_eq!(answer.header(unsaid), None, "{unsaid}");
        }
        assert!(content.is_empty() || answer.header("content-length").is_none());
        assert!(answer.body == content, "{} bytes", content.len());
        assert_eq!(server.get(&format!("/v1/files/{id}")).ok()["bytes"], content.len());
    }
}

#[test]
fn names_are_any_text_that_a_header_can_hold() {
    let server = start();
    for name in ["naïve 日本 🎉.pdf", "sub/../../../etc/passwd", "..", "a%2fb", &"é".repeat(255)] {
        let id = upload(&server, name, b"x");
        assert_eq!(server.get(&format!("/v1/files/{id}")).ok()["filename"], *name);
    }
    let encoded = form(&[("name=\"file\"; filename=\"_\"; filename*=UTF-8''%e6%97%a5.txt", b"x")]);
    assert_eq!(server.ask("POST", "/v1/files", &[FORM], &encoded).ok()["filename"], "日.txt");
    for name in ["", "a;b", "a\\b", "a%22b", "a%0Db", "a\u{2028}b", "a\u{1}b", &"é".repeat(256)] {
        let body = form(&[(&format!("name=\"file\"; filename=\"{name}\""), b"x")]);
        let answer = server.ask("POST", "/v1/files", &[FORM], &body);
        assert_eq!(answer.status, 400, "{name:?}");
        assert_eq!(answer.json()["code"], "Client specified an invalid argument");
    }
    let twice = [upload(&server, "twice.txt", b"1"), upload(&server, "twice.txt", b"2")];
    assert_ne!(twice[0], twice[1]);
}

#[test]
fn the_lifetime_must_precede_the_file_and_be_within_its_bounds() {
    let server = start();
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a.txt\"", b"x");
    let single = |seconds: &'static [u8]| ("name=\"expires_after\"", seconds);
    let anchor = |anchor: &'static [u8]| ("name=\"expires_after[anchor]\"", anchor);
    let pair = |seconds: &'static [u8]| ("name=\"expires_after[seconds]\"", seconds);
    let ask = |parts: &[(&str, &[u8])]| server.ask("POST", "/v1/files", &[FORM], &form(parts));
    assert_eq!(ask(&[single(b"3600"), file]).ok()["expires_at"], NOW + 3600);
    assert_eq!(ask(&[anchor(b"created_at"), pair(b"2592000"), file]).ok()["expires_at"], NOW + 2_592_000);
    let wrong: [&[(&str, &[u8])]; 11] = [
        &[file, single(b"3600")],
        &[file, anchor(b"created_at"), pair(b"3600")],
        &[anchor(b"created_at"), file, pair(b"3600")],
        &[single(b"3599"), file],
        &[single(b"2592001"), file],
        &[single(b"0"), file],
        &[single(b"1h"), file],
        &[anchor(b"created_at"), file],
        &[anchor(b"now"), pair(b"3600"), file],
        &[pair(b"3600"), file],
        &[single(b""), file],
    ];
    for parts in wrong {
        let answer = ask(parts);
        assert_eq!(answer.status, 400, "{parts:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains("expires_after"), "{}", answer.text());
    }
    assert_eq!(
        server.get("/v1/files").ok()["data"].as_array().unwrap().len(),
        2,
        "the other uploads leave nothing"
    );
}

#[test]
fn an_expired_file_is_gone() {
    let server = start();
    let (gone, stays) = (upload_for(&server, "a", b"a", 3600), upload_for(&server, "b", b"b", 7200));
    let server = server.again(&Setup { clock: clock_at(NOW + 3600), ..setup() });
    for path in [format!("/v1/files/{gone}"), format!("/v1/files/{gone}/content")] {
        assert_eq!(server.get(&path).status, 404, "{path}");
    }
    assert_eq!(server.delete(&format!("/v1/files/{gone}")).status, 404);
    let page = server.get("/v1/files").ok();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    assert_eq!(page["data"][0]["id"], *stays);
}

#[test]
fn a_second_delete_is_not_found() {
    let server = start();
    let path = format!("/v1/files/{}", upload(&server, "a", b"a"));
    let id = path.rsplit('/').next().unwrap();
    let answer = server.ask("DELETE", &path, &["Content-Type: application/json"], b"");
    assert_eq!(answer.text(), format!(r#"{{"id":"{id}","deleted":true,"object":"file"}}"#));
    let again = server.delete(&path);
    assert_eq!(again.status, 404);
    assert_eq!(
        again.json(),
        json!({ "code": "Some requested entity was not found", "error": format!("File {id} not found") })
    );
}

#[test]
fn ranges_are_ignored_unless_enabled() {
    let server = start();
    let id = upload(&server, "a", b"0123456789");
    let path = format!("/v1/files/{id}/content");
    let range: &[&str] = &["Range: bytes=2-4"];
    let answer = server.ask("GET", &path, range, b"");
    assert_eq!((answer.status, answer.text().as_str()), (200, "0123456789"));
    let server = server.again(&Setup { quirks: &["ranges"], ..setup() });
    let answer = server.ask("GET", &path, range, b"");
    assert_eq!((answer.status, answer.text().as_str()), (206, "234"));
    assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(server.ask("GET", &path, &["Range: bytes=10-"], b"").status, 416);
}

#[test]
fn text_is_returned_only_for_text_formats() {
    let server = start();
    let (text, image) = (upload(&server, "a.txt", b"text"), upload(&server, "a.png", b"image"));
    let ask = |id: &str, query: &str| server.get(&format!("/v1/files/{id}/content?{query}"));
    for query in
        ["format=original", "format=text", "format=DOWNLOAD_FORMAT_TEXT", "format=text&page_number=1"]
    {
        assert_eq!(ask(&text, query).text(), "text", "{query}");
    }
    assert_eq!(ask(&image, "format=DOWNLOAD_FORMAT_ORIGINAL").text(), "image");
    for (id, query) in [(&image, "format=text"), (&text, "format=pdf"), (&text, "format=text&page_number=2")]
    {
        assert_eq!(ask(id, query).status, 400, "{query}");
    }
}

#[test]
fn files_have_a_maximum_size() {
    let server = Emulator::start(&Setup { quirks: &["upload-limit=1000"], ..setup() });
    upload(&server, "fits", &noise(1000));
    let body = form(&[("name=\"file\"; filename=\"large\"", &noise(1001))]);
    let answer = server.ask("POST", "/v1/files", &[FORM], &body);
    assert_eq!((answer.status, answer.header("content-type")), (413, Some("text/plain; charset=utf-8")));
    // Refused because of its announced length, before any of it is received.
    let announced = ["Expect: 100-continue", "Content-Length: 9000000", FORM];
    assert_eq!(server.ask("POST", "/v1/files", &announced, b"").status, 413);
    assert_eq!(server.get("/v1/files").ok()["data"].as_array().unwrap().len(), 1);
}
