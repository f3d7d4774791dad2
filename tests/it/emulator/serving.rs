//! Routing, tokens, ranges, signed links, the request log and shutdown.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use haul::emulator::{Signer, to_hex};
use haul::model::{File, FileId};

use crate::emulator::support::{BEARER, Calls, SETUP, first_id};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, noise, request, within};

#[test]
fn each_platform_has_its_prefix_and_its_own_errors() {
    let server = Emulator::start(&SETUP);
    let about = server.ask("GET", "/", &[], b"");
    assert_eq!(about.body, b"haul serve: the Files APIs of AI platforms, offline: /example\n");
    assert_eq!(server.ask("GET", "/v1/files", &[], b"").status, 404);
    assert_eq!(server.ask("GET", "/example/v1/files", &[], b"").status, 200);
    let unknown = server.ask("GET", "/example/v1/filez", &[], b"");
    assert_eq!((unknown.status, unknown.json()["detail"].as_str()), (404, Some("unknown route or method")));
    let method = server.ask("PATCH", "/example/v1/files", &[], b"");
    assert_eq!((method.status, method.header("allow")), (405, Some("POST,GET,HEAD")), "{method:?}");
    assert_eq!(method.json()["detail"], "unknown route or method");
    assert_eq!(server.ask("GET", "/example/v1/panic", &[], b"").status, 500);
}

#[test]
fn a_platform_served_alone_is_also_at_the_root() {
    let server = Emulator::start(&Setup { alone: true, ..SETUP });
    assert_eq!(server.ask("GET", "/v1/files", &[], b"").status, 200);
    assert_eq!(server.ask("GET", "/example/v1/files", &[], b"").status, 200);
    assert_eq!(server.ask("GET", "/", &[], b"").json()["detail"], "unknown route or method");
    let url = server.upload("x", b"content").json()["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with(&format!("http://{}/v1/files/", server.address)), "{url}");
}

#[test]
fn urls_have_the_host_of_the_request() {
    let server = Emulator::start(&SETUP);
    let body = form(&[("name=\"file\"; filename=\"x\"", b"")]);
    let ask = |host: &str| {
        let mut stream = server.connect();
        let request = request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body);
        let request = String::from_utf8(request).unwrap().replace(&server.address.to_string(), host);
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(&mut stream, false).unwrap().json()["url"].as_str().unwrap().to_owned()
    };
    assert!(ask("files.test:99").starts_with("http://files.test:99/example/v1/files/"));
    let own = format!("http://{}/example/", server.address);
    assert!(ask("user@elsewhere").starts_with(&own) && ask("a b").starts_with(&own));
}

#[test]
fn tokens_are_checked() {
    let server = Emulator::start(&Setup { token: Some("secret"), ..SETUP });
    let body = form(&[]);
    let ask = |header: &str| server.ask("POST", "/example/v1/files", &[FORM, header], &body);
    for good in ["Authorization: Bearer secret", "authorization: TOKEN secret"] {
        assert_eq!(ask(good).status, 200, "{good}");
    }
    for (header, detail) in [
        ("X-Nothing: x", "Missing"),
        ("Authorization: secret", "Missing"),
        ("Authorization: Basic secret", "Missing"),
        ("Authorization: Bearer ", "Missing"),
        ("Authorization: Bearer secre", "Wrong"),
        ("Authorization: Bearer secret2", "Wrong"),
    ] {
        assert_eq!(ask(header).json()["detail"], detail, "{header}");
    }
    let open = Emulator::start(&SETUP);
    assert_eq!(open.ask("POST", "/example/v1/files", &[FORM, "Authorization: Bearer x"], &body).status, 200);
    assert_eq!(open.ask("POST", "/example/v1/files", &[FORM], &body).status, 401);
}

#[test]
fn ranges_are_supported_where_the_platform_supports_them() {
    let server = Emulator::start(&Setup { quirks: &["ranges"], ..SETUP });
    let content = noise(700_000);
    let upload = server.upload("x", &content);
    let path = format!("/example/v1/files/{}/content", first_id(&upload));
    let ask = |method, headers: &[&str]| server.ask(method, &path, headers, b"");
    let whole = ask("GET", &[]);
    assert_eq!((whole.status, whole.header("accept-ranges")), (200, Some("bytes")));
    let etag = whole.header("etag").unwrap().to_owned();
    assert_eq!(etag, upload.json()["files"][0]["sha256"].to_string());
    let part = ask("GET", &["Range: bytes=262143-600000"]);
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 262143-600000/700000")));
    assert!(part.body == content[262_143..=600_000]);
    assert!(ask("GET", &["Range: bytes=-5"]).body == content[699_995..]);
    assert_eq!(ask("GET", &["Range: bytes=5-", &format!("If-Range: {etag}")]).status, 206);
    assert_eq!(ask("GET", &["Range: bytes=5-", "If-Range: \"old\""]).status, 200);
    let beyond = ask("GET", &["Range: bytes=700000-"]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */700000")));
    assert!(beyond.body.is_empty());
    let head = ask("HEAD", &[]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("700000")));
    let plain = Emulator::start(&SETUP);
    let path = format!("/example/v1/files/{}/content", first_id(&plain.upload("x", b"0123456789")));
    let all = plain.ask("GET", &path, &["Range: bytes=2-3"], b"");
    assert_eq!(
        (all.status, all.body.as_slice(), all.header("accept-ranges")),
        (200, b"0123456789".as_slice(), None)
    );
}

#[test]
fn ids_cannot_leave_the_store() {
    let server = Emulator::start(&SETUP);
    std::fs::write(server.data().join("outside"), "outside").unwrap();
    for id in ["..%2f..%2foutside", "%2e%2e%2foutside", "..", "%2Fetc%2Fpasswd", "a%00b", "x%5c..%5coutside"]
    {
        for path in [format!("/example/v1/files/{id}/content"), format!("/example/v1/files/{id}")] {
            let answer = server.ask("GET", &path, &[], b"");
            assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        }
    }
    let named = server.upload("../../outside", b"content").json();
    assert_eq!(named["files"][0]["name"], "../../outside");
    assert_eq!(std::fs::read(server.data().join("outside")).unwrap(), b"outside");
    assert_eq!(crate::support::raw::entries(&server.data()), 2);
}

#[test]
fn signed_local_links_are_checked() {
    let server = Emulator::start(&SETUP);
    let mut incoming = server.store.receive().unwrap();
    incoming.write_all(b"local content").unwrap();
    let blob = incoming.finish().unwrap();
    let file = File { id: FileId::from("f1"), name: "ü.txt".to_owned(), ..File::default() };
    server.store.put("local", file, blob).unwrap();
    let key = server.store.signing_key().unwrap();
    let link = |id: &str, expires: i64| format!("/local/{id}?{}", haul::store::sign_link(&key, id, expires));
    let later = jiff::Timestamp::now().as_second() + 60;
    let ask = |path: &str| server.ask("GET", path, &["Range: bytes=6-"], b"");
    let good = ask(&link("f1", later));
    assert_eq!((good.status, good.body.as_slice()), (206, b"content".as_slice()));
    assert!(good.header("content-disposition").unwrap().ends_with("filename*=UTF-8''%C3%BC.txt"));
    assert_eq!(ask(&link("f1", later - 3600)).status, 403, "expired");
    assert_eq!(ask(&link("f1", later).replace(&later.to_string(), &(later + 1).to_string())).status, 403);
    assert_eq!(ask(&link("f1", later).replace("f1", "f2")).status, 403);
    assert_eq!(ask(&link("f2", later)).status, 404);
    assert_eq!(ask("/local/f1").status, 403);
    let other = Signer::with_key(key.as_ref()).derive("example").sign(&format!("f1 {later}"));
    assert_eq!(ask(&format!("/local/f1?expires={later}&signature={}", to_hex(&other))).status, 403);
}

#[test]
fn damaged_content_is_never_sent_completely() {
    let server = Emulator::start(&SETUP);
    let key = server.store.signing_key().unwrap();
    let later = jiff::Timestamp::now().as_second() + 60;
    for (id, size) in [("small", 1000), ("large", 1_000_000)] {
        let mut incoming = server.store.receive().unwrap();
        incoming.write_all(&crate::support::raw::noise(size)).unwrap();
        let blob = incoming.finish().unwrap();
        let file = File { id: FileId::from(id), name: id.to_owned(), ..File::default() };
        server.store.put("local", file, blob).unwrap();
    }
    let ask = |id: &str, headers: &[&str]| {
        let path = format!("/local/{id}?{}", haul::store::sign_link(&key, id, later));
        server.try_send(&crate::support::raw::request(server.address, "GET", &path, headers, b"")).unwrap()
    };
    assert!(ask("small", &[]).body == crate::support::raw::noise(1000));
    assert!(ask("large", &[]).body == crate::support::raw::noise(1_000_000));
    assert_eq!(server.damage(), 2);
    let small = ask("small", &[]);
    assert_eq!((small.status, small.text().as_str()), (500, "small: its content is damaged\n"));
    // The status is sent before the last byte is read.
    let large = ask("large", &[]);
    assert_eq!((large.status, large.whole), (200, false));
    assert!(large.body.len() < 1_000_000);
    let range = ask("large", &["Range: bytes=0-999999"]);
    assert_eq!((range.status, range.whole), (206, false));
    // A part cannot be verified. The client verifies the whole file.
    let part = ask("large", &["Range: bytes=500000-"]);
    assert_eq!((part.status, part.whole, part.body.len()), (206, true, 500_000));
}

#[test]
fn each_request_has_a_log_line() {
    let server = Emulator::start(&SETUP);
    let id = first_id(&server.upload("x", b"content"));
    let line = server.logged();
    let keys: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        ["time", "method", "path", "status", "platform", "fault", "bytes_in", "bytes_out", "ms"]
    );
    assert_eq!((line["method"].as_str(), line["status"].as_u64()), (Some("POST"), Some(200)));
    server.ask("GET", &format!("/example/v1/files/{id}/content?signature=s3cret&page=2"), &[], b"");
    let line = server.logged();
    assert_eq!(line["path"], format!("/example/v1/files/{id}/content?signature=***&page=2"));
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(0), Some(7)));
    server.ask("GET", "/nowhere", &[], b"");
    let line = server.logged();
    assert_eq!((line["platform"].is_null(), line["status"].as_u64()), (true, Some(404)));
}

#[test]
fn a_stop_finishes_running_requests_and_accepts_no_more() {
    let mut server = Emulator::start(&Setup { faults: &["delay=700 POST"], ..SETUP });
    let mut idle = server.connect();
    idle.write_all(&request(server.address, "GET", "/example/v1/files", &[], b"")).unwrap();
    Answer::read(&mut idle, false).unwrap();
    let mut running = server.connect();
    let body = form(&[("name=\"file\"; filename=\"x\"", b"content")]);
    running.write_all(&request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body)).unwrap();
    assert!(within(|| server.count() == 1));
    server.stop();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "an idle connection is closed");
    assert_eq!(Answer::read(&mut running, false).unwrap().status, 200);
    server.join();
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn a_stop_has_a_time_limit() {
    let mut server = Emulator::start(&SETUP);
    let mut stuck = server.connect();
    let whole = request(server.address, "POST", "/example/v1/raw", &[], &noise(500_000));
    stuck.write_all(&whole[..300_000]).unwrap();
    let incoming = server.data().join("store/incoming");
    assert!(within(|| crate::support::raw::entries(&incoming) == 1));
    let start = Instant::now();
    server.stop();
    server.join();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(server.is_clean());
}

#[test]
fn many_connections_stay_open_concurrently() {
    let server = Emulator::start(&SETUP);
    let ask = request(server.address, "GET", "/example/v1/files", &[], b"");
    let mut streams: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for _ in 0..2 {
        for stream in &mut streams {
            stream.write_all(&ask).unwrap();
        }
        for stream in &mut streams {
            assert_eq!(Answer::read(stream, false).unwrap().status, 200);
        }
    }
}

#[test]
fn many_concurrent_downloads_are_correct() {
    let server = Emulator::start(&SETUP);
    let content = noise(900_000);
    let path = format!("/example/v1/files/{}/content", first_id(&server.upload("x", &content)));
    thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| assert!(server.ask("GET", &path, &[], b"").body == content));
        }
    });
}
