//! Uploads by a form.

use super::Calls as _;
use serde_json::json;

use crate::emulator::metorial::{KEY, dialect, purpose, refused};
use crate::support::raw::{FORM, form, noise};

#[test]
fn names_and_contents_of_every_kind() {
    for word in ["seed", "pulsar", "magnetar"] {
        let server = dialect(word);
        let name = if word == "seed" { "name" } else { "file_name" };
        let escaped = server.upload(purpose(word), "naïve %22q%22 日本.txt", b"x").expect(200);
        assert_eq!(escaped[name], "naïve \"q\" 日本.txt");
        let large = noise(5_000_000);
        let uploaded = server.upload(purpose(word), "large", &large).expect(200);
        let sha256 = sha256(&large);
        let stored = server.store.stat("metorial", &uploaded["id"].as_str().unwrap().into()).unwrap();
        assert_eq!(
            (stored.size, stored.checksums.sha256.as_deref()),
            (Some(5_000_000), Some(sha256.as_str()))
        );
        assert_eq!(stored.checksums.md5, None, "it is not exposed, so it is not computed");
        let empty = server.upload(purpose(word), "empty", b"");
        if word == "magnetar" {
            refused(&empty, 400, "bad_request", "");
        } else {
            assert_eq!(empty.expect(200)[if word == "seed" { "size" } else { "file_size" }], 0);
        }
    }
}

fn sha256(content: &[u8]) -> String {
    use sha2::Digest;
    haul::emulator::to_hex(&sha2::Sha256::digest(content))
}

#[test]
fn parts_come_in_any_order_and_the_type_is_optional() {
    let server = dialect("seed");
    let parts: [(&str, &[u8]); 2] =
        [("name=\"purpose\"", b"attachment"), ("name=\"file\"; filename=\"a\"", b"x")];
    let file = server.ask("POST", "/metorial/files", &[KEY, FORM], &form(&parts)).expect(200);
    assert_eq!(file["mime_type"], "application/octet-stream");
}

#[test]
fn refused_uploads_leave_nothing() {
    for word in ["seed", "pulsar", "magnetar"] {
        let server = dialect(word);
        let purpose = purpose(word).as_bytes();
        let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a\"", b"x");
        let forms: [&[(&str, &[u8])]; 6] = [
            &[("name=\"purpose\"", purpose)],
            &[file],
            &[("name=\"file\"", b"x"), ("name=\"purpose\"", purpose)],
            &[file, ("name=\"purpose\"", b"nonsense")],
            &[("name=\"file\"; filename=\"\"", b"x"), ("name=\"purpose\"", purpose)],
            &[("name=\"content\"; filename=\"a\"", b"x"), ("name=\"purpose\"", purpose)],
        ];
        for parts in forms {
            let answer = server.ask("POST", "/metorial/files", &[KEY, FORM], &form(parts));
            refused(&answer, 400, "bad_request", "");
        }
        let title = "x".repeat(100_001);
        let long = [file, ("name=\"purpose\"", purpose), ("name=\"title\"", title.as_bytes())];
        let long = server.ask("POST", "/metorial/files", &[KEY, FORM], &form(&long));
        refused(&long, 400, "invalid_data", "body");
        let cut = &form(&[file])[..60];
        refused(&server.ask("POST", "/metorial/files", &[KEY, FORM], cut), 400, "bad_request", "");
        let raw = server.ask("POST", "/metorial/files", &[KEY, "Content-Type: text/plain"], b"x");
        refused(&raw, 400, "bad_request", "");
        let nobody =
            server.ask("POST", "/metorial/files", &[FORM], &form(&[file, ("name=\"purpose\"", purpose)]));
        refused(&nobody, 401, "unauthorized", "");
        assert_eq!(server.blobs(), 0);
        assert_eq!(server.list("")["items"], json!([]));
    }
}

#[test]
fn a_file_has_at_most_100_mib() {
    let server = dialect("seed");
    // Refused because of its announced length, before any of it is sent.
    let head = format!(
        "POST /metorial/files HTTP/1.1\r\nHost: x\r\n{KEY}\r\n{FORM}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        (101 << 20) + 1
    );
    refused(&server.send(head.as_bytes()), 400, "bad_request", "");
    // Refused because of the received length.
    let zeros = vec![0; (100 << 20) + 1];
    refused(&server.upload("attachment", "large", &zeros), 400, "bad_request", "");
    assert_eq!(server.blobs(), 0);
    assert_eq!(server.upload("attachment", "large", &zeros[1..]).expect(200)["size"], 100 << 20);
}

#[test]
fn magnetar_accepts_a_title_and_a_path_in_a_store() {
    let server = dialect("magnetar");
    let upload = |parts: &[(&str, &str)]| {
        let file: (String, &[u8]) = ("name=\"file\"; filename=\"a.txt\"".to_owned(), b"x");
        let fields = parts.iter().map(|(name, value)| (format!("name=\"{name}\""), value.as_bytes()));
        let parts: Vec<_> = std::iter::once(file).chain(fields).collect();
        let parts: Vec<_> = parts.iter().map(|(head, content)| (head.as_str(), *content)).collect();
        server.ask("POST", "/metorial/files", &[KEY, FORM], &form(&parts))
    };
    let place =
        [("purpose", "generic"), ("title", "Greeting"), ("store_id", "str_1"), ("path", "docs/b.txt")];
    let placed = upload(&place).expect(200);
    assert_eq!((placed["title"].clone(), placed["file_name"].clone()), (json!("Greeting"), json!("a.txt")));
    assert_eq!(server.list("store_id=str_1")["items"][0]["id"], placed["id"]);
    assert_eq!(server.list("store_id=str_2")["items"], json!([]));
    upload(&[&place[..], &[("store_replace", "true"), ("mode", "direct")]].concat()).expect(200);
    for wrong in [
        [("store_id", "str_1")].as_slice(),
        &[("path", "a")],
        &[("store_replace", "true")],
        &[("store_id", "str_1"), ("path", "a"), ("store_replace", "maybe")],
        &[("mode", "get_upload_url")],
        &[("mode", "nonsense")],
    ] {
        refused(&upload(&[&[("purpose", "generic")], wrong].concat()), 400, "bad_request", "");
    }
}

#[test]
fn magnetar_derives_a_missing_name() {
    let server = dialect("magnetar");
    let upload = |file_name: &str, parts: &[(&str, &[u8])]| {
        let file = format!("name=\"file\"; filename=\"{file_name}\"");
        let purpose: (&str, &[u8]) = ("name=\"purpose\"", b"generic");
        let parts = [&[(file.as_str(), b"x".as_slice()), purpose], parts].concat();
        server.ask("POST", "/metorial/files", &[KEY, FORM], &form(&parts))
    };
    let path: (&str, &[u8]) = ("name=\"path\"", b"docs/p.txt");
    let store: (&str, &[u8]) = ("name=\"store_id\"", b"str_1");
    let title: (&str, &[u8]) = ("name=\"title\"", b"T");
    assert_eq!(upload(" a.txt ", &[path, store, title]).expect(200)["file_name"], "a.txt");
    assert_eq!(upload(" ", &[path, store, title]).expect(200)["file_name"], "p.txt");
    assert_eq!(upload("", &[title]).expect(200)["file_name"], "T");
    refused(&upload("", &[]), 400, "bad_request", "");
}

#[test]
fn each_owner_has_its_purposes() {
    let server = dialect("magnetar");
    let upload = |key: &str, purpose: &str, owner: &str| {
        let owner = format!("name=\"{owner}\"");
        let parts: [(&str, &[u8]); 3] = [
            ("name=\"file\"; filename=\"a\"", b"x"),
            ("name=\"purpose\"", purpose.as_bytes()),
            (&owner, b"own_1"),
        ];
        let key = format!("Authorization: Bearer metorial_{key}_x");
        server.ask("POST", "/metorial/files", &[&key, FORM], &form(&parts)).status
    };
    assert_eq!(upload("sk", "generic", "ignored"), 200);
    assert_eq!(upload("sk", "user_image", "ignored"), 400);
    assert_eq!(upload("sk", "organization_image", "ignored"), 400);
    assert_eq!(upload("sk", "organization_image", "organization_id"), 200);
    assert_eq!(upload("uk", "user_image", "ignored"), 200);
    assert_eq!(upload("uk", "generic", "ignored"), 400);
    assert_eq!(upload("uk", "generic", "instance_id"), 200);
    assert_eq!(upload("lk", "generic", "ignored"), 400);
    assert_eq!(upload("lk", "generic", "instance_id"), 200);
    assert_eq!(upload("pk", "generic", "ignored"), 403);
    for (word, purpose, status) in [
        ("seed", "attachment", 200),
        ("seed", "generic", 200),
        ("seed", "user_image", 200),
        ("pulsar", "organization_image", 200),
        ("pulsar", "generic", 400),
        ("pulsar", "attachment", 400),
        ("magnetar", "attachment", 400),
        ("magnetar", "chat_message_attachment", 200),
    ] {
        assert_eq!(dialect(word).upload(purpose, "a", b"x").status, status, "{word} {purpose}");
    }
}
