//! Uploads.

use super::Calls as _;
use serde_json::json;

use crate::emulator::replicate::{SETUP, TOKEN, with};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, form, noise};

#[test]
fn a_file_is_shown_byte_for_byte_as_recorded() {
    let server = Emulator::start(&Setup { clock: clock("2024-08-22T12:26:51.079Z"), ..SETUP });
    let created = server
        .create(&[("name=\"content\"; filename=\"test_fileo20o3wth.txt\"\r\nContent-Type: text/plain", b"")]);
    assert!(created.head.starts_with("HTTP/1.1 201 Created\r\n"), "{created:?}");
    assert_eq!(created.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!((created.header("location"), created.header("etag")), (None, None));
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let recorded = r#"{"id":"NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy","name":"test_fileo20o3wth.txt","content_type":"text/plain","size":0,"etag":"d41d8cd98f00b204e9800998ecf8427e","checksums":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","md5":"d41d8cd98f00b204e9800998ecf8427e"},"metadata":{},"created_at":"2024-08-22T12:26:51.079Z","expires_at":"2024-08-23T12:26:51.079Z","urls":{"get":"https://api.replicate.com/v1/files/NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy"}}"#;
    let here = format!("http://{}/replicate", server.address);
    let expected = recorded
        .replace("NGZiNmY2YzQtMThhZi00ZjcyLWFhZjktODg4NTY0NWNlMDEy", &id)
        .replace("https://api.replicate.com", &here);
    assert_eq!(created.text(), expected);
    assert_eq!(server.call("GET", &format!("/v1/files/{id}")).text(), expected);
    let list = format!(r#"{{"next":null,"previous":null,"results":[{expected}]}}"#);
    assert_eq!(server.call("GET", "/v1/files").text(), list);
    let uuid = String::from_utf8(base64(&id)).unwrap();
    assert!(
        id.len() == 48 && uuid.len() == 36 && uuid.as_bytes()[14] == b'4' && uuid == uuid.to_lowercase(),
        "{uuid}"
    );
    for name in ["server", "vary", "cf-ray"] {
        assert!(created.header(name).is_some(), "{created:?}");
    }
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn contents_of_every_size_have_checksums() {
    use md5::Digest;
    let server = Emulator::start(&SETUP);
    for size in [1, 300_000, 5_000_000] {
        let content = noise(size);
        let id = server.file("a", &content);
        let file = server.call("GET", &format!("/v1/files/{id}")).expect(200);
        let md5 = haul::emulator::to_hex(&md5::Md5::digest(&content));
        let sha256 = haul::emulator::to_hex(&sha2::Sha256::digest(&content));
        assert_eq!(file["checksums"], json!({ "sha256": sha256, "md5": md5 }));
        assert_eq!((file["size"].clone(), file["etag"].clone()), (json!(size), json!(md5)));
    }
    let (one, two) = (server.file("a", b"x"), server.file("a", b"x"));
    assert_ne!(one, two, "equal contents make two files");
}

#[test]
fn metadata_is_accepted_in_four_encodings() {
    let server = with(&[]);
    let content: (&str, &[u8]) = ("name=\"content\"; filename=\"a\"", b"x");
    let metadata = |parts: &[(&str, &[u8])]| server.create(parts).expect(201)["metadata"].clone();
    let text = br#"{"n": 123, "deep": {"list": [null, true]}}"#.as_slice();
    let expected = json!({"n": 123, "deep": {"list": [null, true]}});
    assert_eq!(metadata(&[content, ("name=\"metadata\"\r\nContent-Type: application/json", text)]), expected);
    assert_eq!(metadata(&[("name=\"metadata\"", text), content]), expected);
    let blob = "name=\"metadata\"; filename=\"blob\"\r\nContent-Type: application/json";
    assert_eq!(metadata(&[content, (blob, text)]), expected);
    let flat: [(&str, &[u8]); 4] = [
        ("name=\"metadata[n]\"", b"123"),
        ("name=\"metadata[t][]\"", b"a"),
        ("name=\"metadata[t][]\"", b"b"),
        content,
    ];
    assert_eq!(metadata(&flat), json!({"n": "123", "t": ["a", "b"]}));
    assert_eq!(metadata(&[content]), json!({}));
    let ignoring = with(&["bracket-metadata=ignore"]);
    assert_eq!(ignoring.create(&flat).expect(201)["metadata"], json!({}));
    assert_eq!(ignoring.create(&[content, (blob, text)]).expect(201)["metadata"], expected);
}

#[test]
fn a_field_overrides_the_part_s_header() {
    let server = Emulator::start(&SETUP);
    let part: (&str, &[u8]) =
        ("name=\"content\"; filename=\"part.txt\"\r\nContent-Type: text/plain;title=x", b"x");
    let shown = |parts: &[(&str, &[u8])]| {
        let file = server.create(parts).expect(201);
        (file["name"].as_str().unwrap().to_owned(), file["content_type"].as_str().unwrap().to_owned())
    };
    let fields: [(&str, &[u8]); 3] =
        [("name=\"filename\"", b"field.zip"), part, ("name=\"type\"", b"application/zip")];
    assert_eq!(shown(&fields), ("field.zip".to_owned(), "application/zip".to_owned()));
    let empty: [(&str, &[u8]); 3] = [("name=\"filename\"", b""), part, ("name=\"type\"", b"")];
    assert_eq!(shown(&empty), ("part.txt".to_owned(), "text/plain;title=x".to_owned()));
    let bare: (&str, &[u8]) = ("name=\"content\"; filename=\"bare\"", b"x");
    assert_eq!(shown(&[bare]), ("bare".to_owned(), "application/octet-stream".to_owned()));
}

#[test]
fn names_are_accepted_in_every_encoding() {
    let server = Emulator::start(&SETUP);
    for (sent, name) in [
        ("filename=\"naïve résumé %22q%22 日本.bin\"", "naïve résumé \"q\" 日本.bin"),
        (r#"filename="naïve \"q\" 日本.bin""#, "naïve \"q\" 日本.bin"),
        ("filename=\"x\"; filename*=UTF-8''%e6%97%a5", "日"),
        ("filename=\"../../etc/passwd\"", "../../etc/passwd"),
    ] {
        let created = server.create(&[(&format!("name=\"content\"; {sent}"), b"x")]).expect(201);
        assert_eq!(created["name"], name);
    }
    let longest = "ü".repeat(127) + "x";
    let head = |name: &str| format!("name=\"content\"; filename=\"{name}\"");
    assert_eq!(server.create(&[(&head(&longest), b"x")]).expect(201)["name"], longest.as_str());
    assert_eq!(server.create(&[(&head(&(longest + "x")), b"x")]).expect(400)["status"], 400);
}

#[test]
fn an_invalid_upload_is_refused_and_leaves_nothing() {
    let server = Emulator::start(&SETUP);
    let content: (&str, &[u8]) = ("name=\"content\"; filename=\"a\"", b"x");
    let forms: [&[(&str, &[u8])]; 7] = [
        &[],
        &[("name=\"content\"", b"x")],
        &[("name=\"content\"; filename=\"\"", b"x")],
        &[("name=\"file\"; filename=\"a\"", b"x")],
        &[content, ("name=\"metadata\"", b"{")],
        &[content, ("name=\"metadata\"", b"[1]")],
        &[("name=\"metadata\"", b""), content],
    ];
    for parts in forms {
        let answer = server.create(parts);
        assert_eq!(answer.expect(400)["status"], 400);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let raw = server.ask("POST", "/replicate/v1/files", &[TOKEN, "Content-Type: text/plain"], b"x");
    assert_eq!(raw.status, 400);
    let cut = server.ask("POST", "/replicate/v1/files", &[TOKEN, FORM], &form(&[content])[..70]);
    assert_eq!(cut.status, 400);
    assert_eq!(server.blobs(), 0);
    assert_eq!(server.call("GET", "/v1/files").json()["results"], json!([]));
}

#[test]
fn a_file_has_at_most_100_mib() {
    let server = Emulator::start(&SETUP);
    let zeros = vec![0; (100 << 20) + 1];
    let head = "name=\"content\"; filename=\"a\"";
    crate::emulator::replicate::refused(
        &server.create(&[(head, &zeros)]),
        413,
        "Files must be less than 100MB in size",
    );
    assert_eq!(server.blobs(), 0);
    assert_eq!(server.create(&[(head, &zeros[1..])]).expect(201)["size"], 100 << 20);
    // Far above the limit, the proxy responds before it has received any of the body.
    let head = format!(
        "POST /replicate/v1/files HTTP/1.1\r\nHost: x\r\n{TOKEN}\r\n{FORM}\r\nExpect: 100-continue\r\nContent-Length: 215000000\r\n\r\n"
    );
    let edge = server.send(head.as_bytes());
    assert!(edge.head.starts_with("HTTP/1.1 413 Request Entity Too Large\r\n"), "{edge:?}");
    assert_eq!(edge.header("content-type"), Some("text/html"));
    assert!(edge.text().contains("<h1>413 Request Entity Too Large</h1>"));
    let small = with(&["max-size=3"]);
    small.file("a", b"abc");
    assert_eq!(small.create(&[("name=\"content\"; filename=\"a\"", b"abcd")]).status, 413);
}
