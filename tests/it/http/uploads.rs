//! Request bodies: their content, their checksums, and constant memory.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haul::error::Kind;
use haul::http::{Body, Client, Config, Part, Piece, Request, form};
use haul::model::{NewFile, Source};
use haul::progress::{Progress, silent};
use tempfile::NamedTempFile;

use crate::http::{client, config};
use crate::support::server::{Answer, Server};

/// Bytes without repetition, so that a misplaced range is noticed.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ i >> 8 ^ i >> 16).to_le_bytes()[0]).collect()
}

fn on_disk(content: &[u8]) -> (NamedTempFile, Source) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let source = Source::Path(file.path().to_owned());
    (file, source)
}

fn put(server: &Server, body: Body) -> Request {
    Request::put(server.at("f"), body)
}

#[derive(Default)]
struct Recorder {
    positions: Mutex<Vec<u64>>,
    read: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Progress for Recorder {
    fn at(&self, bytes: u64) {
        self.positions.lock().unwrap().push(bytes);
    }
    fn read(&self, offset: u64, bytes: &[u8]) {
        self.read.lock().unwrap().push((offset, bytes.to_vec()));
    }
}

#[tokio::test]
async fn a_body_of_any_size_arrives_complete() {
    for len in [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 3_000_000] {
        let content = pattern(len);
        let (_file, source) = on_disk(&content);
        for source in [source, Source::Bytes(content.clone().into())] {
            let server = Server::repeating(vec![Answer::ok()]);
            let heard = Arc::new(Recorder::default());
            let request = put(&server, Body::raw(&source, len as u64, Some("text/plain")));
            client(&server).upload(&request, Arc::clone(&heard) as _).await.unwrap();
            let seen = server.requests().remove(0);
            assert!(seen.whole && seen.body == content, "{len}");
            assert_eq!(seen.header("content-length"), Some(len.to_string().as_str()));
            assert_eq!(
                (seen.header("transfer-encoding"), seen.header("content-type")),
                (None, Some("text/plain"))
            );
            let positions = heard.positions.lock().unwrap();
            assert!(
                positions.is_sorted() && positions[0] == 0 && positions[positions.len() - 1] == len as u64
            );
            let read = heard.read.lock().unwrap();
            assert!(read.iter().flat_map(|(_, bytes)| bytes).eq(&content), "{len}");
            let offsets = read.iter().scan(0, |next, (offset, bytes)| {
                let fits = offset == next;
                *next += bytes.len() as u64;
                Some(fits)
            });
            assert!({ offsets }.all(|fits| fits));
        }
    }
}

#[tokio::test]
async fn ranges_and_base64_are_joined() {
    let content = pattern(1_000_000);
    let (_file, source) = on_disk(&content);
    let stretch = |from, len| Piece::File { source: source.clone(), from, len, base64: true };
    let text = |text: &'static str| Piece::Text(text.into());
    let pieces = vec![
        text("{\"data\":\""),
        stretch(0, 300_000),
        stretch(300_000, 600_000),
        stretch(900_000, 100_000),
        text("\"}"),
    ];
    let body = Body { content_type: Some("application/json".into()), pieces };
    let server = Server::repeating(vec![Answer::ok()]);
    client(&server).upload(&put(&server, body.clone()), silent()).await.unwrap();
    let seen = server.requests().remove(0);
    assert_eq!(seen.body.len() as u64, body.wire_len());
    let value: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    let decoded = STANDARD.decode(value["data"].as_str().unwrap()).unwrap();
    assert!(decoded == content);
}

#[tokio::test]
async fn concurrent_bodies_do_not_mix() {
    let server = Server::repeating(vec![Answer::ok()]);
    let client = client(&server);
    let contents: Vec<Vec<u8>> =
        (0..10).map(|number| pattern(400_000 + number * 31)[number..].to_vec()).collect();
    let uploads = contents.iter().map(|content| {
        let source = Source::Bytes(content.clone().into());
        let piece = Piece::File { source, from: 0, len: content.len() as u64, base64: true };
        let request = put(&server, Body { content_type: None, pieces: vec![piece] });
        let client = client.clone();
        async move { client.send(&request).await.unwrap() }
    });
    futures_util::future::join_all(uploads).await;
    let seen: Vec<_> =
        server.requests().into_iter().map(|seen| STANDARD.decode(seen.body).unwrap()).collect();
    assert!(seen.len() == contents.len() && contents.iter().all(|content| seen.contains(content)));
}

#[tokio::test]
async fn an_early_success_is_an_error() {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(50_000_000).unwrap();
    let body = Body::raw(&Source::Path(file.path().to_owned()), 50_000_000, None);
    let server = Server::repeating(vec![Answer::ok().early()]);
    let error = client(&server).send(&Request::post(server.at("f"), body)).await.unwrap_err();
    assert_eq!(error.message(), "testland returned 200 before it received the whole request");
    assert_eq!((error.kind(), error.is_unanswered(), server.count()), (Kind::Platform, true, 1));
}

#[tokio::test]
async fn a_part_of_a_file_reports_absolute_positions() {
    let content = pattern(500_000);
    let (_file, source) = on_disk(&content);
    let piece = Piece::File { source, from: 200_000, len: 250_000, base64: false };
    let server = Server::repeating(vec![Answer::ok()]);
    let heard = Arc::new(Recorder::default());
    let body = Body { content_type: None, pieces: vec![piece] };
    client(&server).upload(&put(&server, body), Arc::clone(&heard) as _).await.unwrap();
    assert!(server.requests()[0].body == content[200_000..450_000]);
    let positions = heard.positions.lock().unwrap();
    assert_eq!((positions.first(), positions.last()), (Some(&200_000), Some(&450_000)));
    assert_eq!(heard.read.lock().unwrap()[0].0, 200_000);
}

#[tokio::test]
async fn a_file_of_another_size_is_never_sent_completely() {
    for planned in [9, 11, 299_999, 300_001] {
        let actual = if planned < 100 { 10 } else { 300_000 };
        let (file, source) = on_disk(&pattern(actual));
        let server = Server::repeating(vec![Answer::ok()]);
        let body = Body::raw(&source, planned, None);
        let error = client(&server).send(&put(&server, body)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Failed, "{error}");
        assert_eq!(error.message(), format!("{}: changed during the upload", file.path().display()));
        assert!(server.count() <= 1 && server.requests().iter().all(|seen| !seen.whole), "and never again");
    }
}

#[tokio::test]
async fn a_file_that_changes_during_the_upload_is_never_sent_completely() {
    /// Changes the file once reading has begun.
    struct Modifier(std::path::PathBuf, fn(&std::path::Path));
    impl Progress for Modifier {
        fn read(&self, offset: u64, _: &[u8]) {
            if offset == 0 {
                (self.1)(&self.0);
            }
        }
    }
    fn cut(path: &std::path::Path) {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(500_000).unwrap();
    }
    fn grow(path: &std::path::Path) {
        std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    }
    fn touch(path: &std::path::Path) {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    for modify in [cut, grow, touch] {
        let (file, source) = on_disk(&pattern(3_000_000));
        let server = Server::repeating(vec![Answer::ok()]);
        let request = put(&server, Body::raw(&source, 3_000_000, None));
        let modifier = Arc::new(Modifier(file.path().to_owned(), modify));
        let error = client(&server).upload(&request, modifier).await.unwrap_err();
        assert!(error.message().ends_with(": changed during the upload"), "{error}");
        assert!(!error.is_unanswered());
        assert!(server.count() <= 1 && server.requests().iter().all(|seen| !seen.whole));
    }
}

#[tokio::test]
async fn a_deleted_file_is_named() {
    let server = Server::repeating(vec![Answer::ok()]);
    for size in [10, 1_000_000] {
        let source = Source::Path("/nonexistent/a.bin".into());
        let error = client(&server).send(&put(&server, Body::raw(&source, size, None))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.message().starts_with("/nonexistent/a.bin"));
    }
}

#[tokio::test]
async fn an_interrupted_upload_starts_again() {
    let content = pattern(20_000_000);
    let (_file, source) = on_disk(&content);
    let server = Server::repeating(vec![Answer::cut(), Answer::ok()]);
    let heard = Arc::new(Recorder::default());
    let request = Request::post(server.at("f"), Body::raw(&source, content.len() as u64, None));
    client(&server).upload(&request, Arc::clone(&heard) as _).await.unwrap();
    assert_eq!(server.count(), 2, "although it is not repeatable: the server cannot have all of it");
    assert!(server.requests()[1].body == content);
    let starts = heard.positions.lock().unwrap().iter().filter(|at| **at == 0).count();
    assert_eq!(starts, 3, "each attempt, and the pause between them");
}

#[tokio::test]
async fn a_lost_response_to_a_complete_upload_is_returned_to_the_caller() {
    let (_file, source) = on_disk(&pattern(1_000_000));
    for last in [
        Answer::raw(""),
        Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        Answer::status(408, &[], ""),
        Answer::status(425, &[], ""),
        Answer::status(499, &[], ""),
        Answer::status(503, &[], ""),
        Answer::status(524, &[("content-type", "text/html")], "<title>A timeout occurred</title>"),
    ] {
        let server = Server::repeating(vec![last, Answer::ok()]);
        let request = Request::post(server.at("f"), Body::raw(&source, 1_000_000, None));
        let error = client(&server).send(&request).await.unwrap_err();
        assert_eq!((error.is_unanswered(), server.count()), (true, 1), "{error}");
    }
}

#[tokio::test]
async fn an_early_refusal_is_received_during_the_upload() {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(50_000_000).unwrap();
    let source = Source::Path(file.path().to_owned());
    let body = Body::raw(&source, 50_000_000, None);
    for (status, kind) in [(413, Kind::Unsupported), (401, Kind::Auth)] {
        let server = Server::repeating(vec![Answer::status(status, &[], r#"{"detail":"too much"}"#).early()]);
        let error = client(&server).send(&Request::post(server.at("f"), body.clone())).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (kind, &*format!("testland returned {status}: too much"))
        );
        assert_eq!(server.count(), 1);
    }
    // If an overloaded platform responds before it has received the whole body, even a POST may be retried.
    let server = Server::repeating(vec![Answer::status(503, &[], "").early(), Answer::ok()]);
    client(&server).send(&Request::post(server.at("f"), body)).await.unwrap();
    assert_eq!(server.count(), 2);
    assert!(server.requests()[1].whole);
}

#[tokio::test]
async fn an_upload_is_limited_by_idle_time_not_by_total_time() {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(50_000_000).unwrap();
    let source = Source::Path(file.path().to_owned());
    let body = Body::raw(&source, 50_000_000, None);
    let server = Server::repeating(vec![Answer::raw("").early().hang()]);
    let mut config = config(&server);
    config.policy.attempts = 1;
    let client = Client::new(Config { timeout: Duration::from_millis(300), ..config });
    let error = client.send(&Request::post(server.at("f"), body)).await.unwrap_err();
    assert!(error.message().ends_with("did not respond within 0.3 s"), "{error}");
    assert!(!error.is_unanswered(), "the server cannot have all of it");
}

#[tokio::test]
async fn a_response_that_drips_ends_an_upload() {
    let server = Server::repeating(vec![Answer::json([b' '; 1000]).drip()]);
    let mut config = config(&server);
    config.policy.attempts = 1;
    let client = Client::new(Config { timeout: Duration::from_millis(500), ..config });
    let body = Body::raw(&Source::Bytes("content".into()), 7, None);
    let error = client.send(&Request::post(server.at("f"), body)).await.unwrap_err();
    assert!(error.message().ends_with("did not complete its response within 0.5 s"), "{error}");
    assert!(error.is_unanswered(), "the file may be stored");
}

#[tokio::test]
async fn dropping_an_upload_ends_it() {
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(50_000_000).unwrap();
    let source = Source::Path(file.path().to_owned());
    let server = Server::repeating(vec![Answer::raw("").early().hang()]);
    let heard: Arc<Recorder> = Arc::default();
    let request = Request::post(server.at("f"), Body::raw(&source, 50_000_000, None));
    let client = client(&server);
    let upload = client.upload(&request, Arc::clone(&heard) as _);
    assert!(tokio::time::timeout(Duration::from_millis(200), upload).await.is_err());
    drop(client);
    // The reading thread holds the listener, and so does the connection while the server keeps it open.
    for _ in 0..500 {
        if Arc::strong_count(&heard) <= 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the reading thread still runs");
}

#[tokio::test]
async fn a_form_arrives_as_framed() {
    let server = Server::repeating(vec![Answer::ok()]);
    let file =
        NewFile { content_type: "text/plain".into(), ..NewFile::from_bytes("hello.txt", "Hello, world!") };
    let parts = vec![Part::text("purpose", "user_data"), Part::file("file", &file)];
    client(&server).send(&Request::post(server.at("files"), form(parts))).await.unwrap();
    let seen = server.requests().remove(0);
    let boundary =
        seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"hello.txt\"\r\nContent-Type: text/plain\r\n\r\n\
         Hello, world!\r\n--{boundary}--\r\n"
    );
    assert_eq!(String::from_utf8(seen.body.clone()).unwrap(), expected);
}

#[tokio::test]
async fn a_post_without_a_body_has_length_zero() {
    let server = Server::repeating(vec![Answer::ok()]);
    client(&server).send(&Request::post(server.at("f/link"), Body::empty())).await.unwrap();
    let seen = server.requests().remove(0);
    assert_eq!((seen.header("content-length"), seen.header("content-type")), (Some("0"), None));
}
