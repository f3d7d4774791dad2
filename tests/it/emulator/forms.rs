//! Upload forms: names, order, limits, disconnecting clients.

use std::io::Write;
use std::net::Shutdown;
use std::thread;

use serde_json::json;

use crate::emulator::support::{BEARER, Calls, LIMIT, SETUP};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, noise, request, within};

#[test]
fn an_upload_keeps_its_names_its_order_and_its_bytes() {
    let server = Emulator::start(&SETUP);
    let content = noise(1_000_000);
    let body = form(&[
        ("name=\"purpose\"", b"assistants"),
        (
            "name=\"file\"; filename=\"naïve %22q%22 日本.bin\"\r\nContent-Type: application/x-y;title=z",
            &content,
        ),
        ("name=\"ignored\"; filename=\"x\"", b"not kept"),
        (r#"name="file"; filename="a\"b""#, b""),
        ("name=\"metadata[a]\"", "ü\r\n--BOUND".as_bytes()),
    ]);
    let answer = server.ask("POST", "/example/v1/files", &[FORM, BEARER], &body).json();
    assert_eq!(answer["texts"], json!([["purpose", "assistants"], ["metadata[a]", "ü\r\n--BOUND"]]));
    let files = answer["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0]["name"], "naïve \"q\" 日本.bin");
    assert_eq!(files[0]["type"], "application/x-y;title=z");
    assert_eq!(files[0]["size"], 1_000_000);
    assert_eq!((&files[1]["name"], &files[1]["type"]), (&json!("a\"b"), &json!(null)));
    assert_eq!(files[1]["md5"], "d41d8cd98f00b204e9800998ecf8427e");
    let path = format!("/example/v1/files/{}/content", files[0]["id"].as_str().unwrap());
    assert!(server.ask("GET", &path, &[], b"").body == content, "the bytes are returned unchanged");
    let listed = server.ask("GET", "/example/v1/files?name[]=a%22b&name[]=c", &[], b"").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn rules_check_a_part_before_its_bytes_and_leave_nothing() {
    let server = Emulator::start(&SETUP);
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"x\"", b"content");
    let ask =
        |parts: &[(&str, &[u8])]| server.ask("POST", "/example/v1/files", &[FORM, BEARER], &form(parts));
    let late = ask(&[file, ("name=\"lifetime\"", b"3600")]);
    assert_eq!(
        (late.status, late.json()["detail"].as_str()),
        (422, Some("the lifetime must precede the file"))
    );
    assert_eq!(ask(&[("name=\"file\"", b"x")]).json()["detail"], "a file without a name");
    assert_eq!(ask(&[("name=\"lifetime\"", b"3600"), file]).status, 200);
    assert_eq!(server.count(), 1);
    assert!(server.is_clean());
}

#[test]
fn an_invalid_form_is_refused() {
    let server = Emulator::start(&SETUP);
    let ask = |headers: &[&str], body: &[u8]| server.ask("POST", "/example/v1/files", headers, body).status;
    assert_eq!(ask(&["Content-Type: application/json", BEARER], b"{}"), 400);
    assert_eq!(ask(&[FORM, BEARER], b"no boundary in here"), 400);
    assert_eq!(ask(&[FORM, BEARER], &vec![b'x'; 2_000_000]), 400);
    let text = vec![b'x'; 1_100_000];
    assert_eq!(ask(&[FORM, BEARER], &form(&[("name=\"purpose\"", &text)])), 400);
    assert_eq!(server.count(), 0);
}

#[test]
fn a_file_over_the_limit_is_refused_with_a_readable_response() {
    let server = Emulator::start(&SETUP);
    let limit = usize::try_from(LIMIT).unwrap();
    assert_eq!(server.upload("fits", &noise(limit)).status, 200);
    let refused = server.upload("one more", &noise(limit + 1));
    assert_eq!((refused.status, refused.json()["detail"].as_str()), (413, Some("more than 3000000")));
    // The Content-Length is over the limit: the server refuses before it reads, while the client sends everything
    // before it reads the response.
    let refused = server.upload("far more", &noise(12 * limit));
    assert_eq!((refused.status, refused.json()["detail"].as_str()), (413, Some("more than 6000000")));
    assert_eq!(server.count(), 1);
    assert!(server.is_clean());
}

#[test]
fn the_connection_stays_open_after_a_refusal() {
    let server = Emulator::start(&Setup { token: Some("secret"), ..SETUP });
    let mut stream = server.connect();
    let body = form(&[("name=\"file\"; filename=\"x\"", &noise(500_000))]);
    let refused = request(server.address, "POST", "/example/v1/files", &[FORM], &body);
    let accepted = request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body);
    for (request, status) in [(&refused, 401), (&accepted, 200), (&refused, 401)] {
        stream.write_all(request).unwrap();
        assert_eq!(Answer::read(&mut stream, false).unwrap().status, status);
    }
}

#[test]
fn a_refusal_replaces_100_continue() {
    let server = Emulator::start(&Setup { token: Some("secret"), ..SETUP });
    let body = form(&[("name=\"file\"; filename=\"x\"", b"content")]);
    let ask = |token: &str| {
        let mut stream = server.connect();
        let headers = [FORM, token, "Expect: 100-continue"];
        let whole = request(server.address, "POST", "/example/v1/files", &headers, &body);
        let (head, body) = whole.split_at(whole.len() - body.len());
        stream.write_all(head).unwrap();
        let mut first = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut first).unwrap();
        let _ = stream.write_all(body);
        String::from_utf8(first.to_vec()).unwrap()
    };
    assert_eq!(ask("Authorization: Bearer wrong"), "HTTP/1.1 401");
    assert_eq!(ask(BEARER), "HTTP/1.1 100");
}

#[test]
fn a_disconnected_client_leaves_nothing() {
    let server = Emulator::start(&SETUP);
    let body = form(&[("name=\"file\"; filename=\"x\"", &noise(2_000_000))]);
    let whole = request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body);
    for cut in [whole.len() / 2, whole.len() - 5] {
        let mut stream = server.connect();
        stream.write_all(&whole[..cut]).unwrap();
        if cut > 1_500_000 {
            let incoming = server.data().join("store/incoming");
            assert!(within(|| crate::support::raw::entries(&incoming) == 1), "the upload has begun");
        }
        stream.shutdown(Shutdown::Both).unwrap();
        drop(stream);
        assert!(server.is_clean());
    }
    assert_eq!(server.count(), 0);
    assert_eq!(server.logged()["platform"], "example");
}

#[test]
fn raw_and_json_bodies_are_read() {
    let server = Emulator::start(&SETUP);
    let content = noise(300_000);
    assert_eq!(server.ask("POST", "/example/v1/raw", &[], &content).json()["size"], 300_000);
    let chunked = b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n";
    let mut stream = server.connect();
    let head = request(server.address, "POST", "/example/v1/raw", &["Transfer-Encoding: chunked"], b"");
    stream.write_all(&[&head, chunked.as_slice()].concat()).unwrap();
    assert_eq!(Answer::read(&mut stream, false).unwrap().json()["size"], 7);
    let ask = |body: &[u8]| server.ask("POST", "/example/v1/json", &["Content-Type: text/plain"], body);
    assert_eq!(ask(b"{\"a\": [1]}").json(), json!({ "a": [1] }));
    assert_eq!(ask(b"").json(), json!(null));
    assert_eq!(ask(b"{\"a\"").status, 400);
    assert_eq!(ask(&[b'1'; 1001]).status, 413);
}

#[test]
fn a_hundred_concurrent_uploads_arrive() {
    let server = Emulator::start(&SETUP);
    let content = noise(64 * 1024);
    let expected = server.upload("first", &content).json()["files"][0]["sha256"].clone();
    thread::scope(|scope| {
        let uploads: Vec<_> = (0..100)
            .map(|number| {
                let (server, content) = (&server, &content);
                scope.spawn(move || server.upload(&format!("{number}.bin"), content).json())
            })
            .collect();
        for upload in uploads {
            assert_eq!(upload.join().unwrap()["files"][0]["sha256"], expected);
        }
    });
    assert_eq!(server.count(), 101);
    assert!(server.is_clean());
}
