//! Together AI over a socket: the requests, byte for byte, and every response in the contract.

use std::sync::Arc;

use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::model::{Checksums, File, FileId, NewFile};
use haul::progress::silent;
use haul::providers::{Multipart, PartRange, Provider, Query, Range, find};
use jiff::Timestamp;
use serde_json::json;

use crate::support::connection::Profile;
use crate::support::server::{Answer, Request, Server};

const ID: &str = "file-def0e757-a655-47d5-89a4-2827d192eca4";
const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

const FILE: &str = include_str!("file.json");
const LIST: &str = include_str!("list.json");
const CONFLICT: &str = r#"{"error":{"message":"it exists","type":"x"},"file_id":"file-1"}"#;

fn try_open(server: &Server, set: &[(&str, &str)]) -> Result<Box<dyn Provider>, Error> {
    let together = find("together").expect("a registered provider");
    Profile { token: Some("tg-test"), set, ..Profile::new(together, &server.at("v1")) }.open()
}

fn open(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(server, set).expect("a provider")
}

fn id() -> FileId {
    FileId::from(ID)
}

fn hello() -> NewFile {
    NewFile { sha256: Some(SHA256.to_owned()), ..NewFile::from_bytes("hello.jsonl", "hello") }
}

/// A redirect to the storage.
fn registered(url: &str) -> Answer {
    Answer::status(302, &[("Location", url), ("X-Together-File-Id", ID)], "")
}

/// The storage, and an API that registers a file there and then returns `answers`.
fn with_storage(stored: Answer, answers: Vec<Answer>) -> (Server, Server) {
    let storage = Server::repeating([stored]);
    let url = storage.at("presigned?X-Amz-Signature=zz");
    let api = Server::start([registered(url.as_str())].into_iter().chain(answers));
    (api, storage)
}

#[tokio::test]
async fn a_file_is_parsed() {
    let server = Server::start([Answer::json(FILE)]);
    let file = open(&server, &[]).stat(&id()).await.unwrap();
    let request = server.only();
    assert_eq!(request.line(), format!("GET /v1/files/{ID}"));
    assert_eq!(request.header("authorization"), Some("Bearer tg-test"));
    let extra = json!({
        "object": "file", "Processed": true, "FileType": "jsonl", "LineCount": 123,
        "validation_report": {"valid": true, "dataset_format": "messages", "nlines": 123},
    });
    let expected = File {
        provider: "together".into(),
        profile: "work".into(),
        id: id(),
        name: "my_file.jsonl".into(),
        size: Some(2664),
        purpose: Some("fine-tune".into()),
        status: Some("COMPLETED".into()),
        created_at: Some(Timestamp::from_second(1_715_021_438).unwrap()),
        extra: extra.as_object().cloned().unwrap(),
        ..File::default()
    };
    assert_eq!(file, expected);
}

#[tokio::test]
async fn an_upload_has_three_steps() {
    let (server, storage) = with_storage(Answer::ok(), vec![Answer::json(FILE)]);
    let file = open(&server, &[]).upload(&hello(), silent()).await.unwrap();
    assert_eq!(file.id, id());
    let requests = server.requests();
    requests[0].assert_is(include_str!("register.http"));
    assert_eq!(requests[1].line(), format!("POST /v1/files/{ID}/preprocess"));
    assert_eq!((requests[1].header("content-length"), requests.len()), (Some("0"), 2));
    let put = storage.only();
    assert_eq!((put.line(), &*put.body), ("PUT /presigned?X-Amz-Signature=zz".to_owned(), &b"hello"[..]));
    assert_eq!((put.header("content-length"), put.header("content-type")), (Some("5"), None));
    // The key is neither in its own header nor in another.
    assert!(!put.head.contains("tg-test") && put.header("authorization").is_none(), "{}", put.head);

    // Without a checksum and a known type.
    let (server, _storage) = with_storage(Answer::ok(), vec![Answer::json(FILE)]);
    let file = NewFile { purpose: Some("eval".into()), ..NewFile::from_bytes("a.txt", "hello") };
    open(&server, &[]).upload(&file, silent()).await.unwrap();
    let text = server.requests()[0].text();
    assert!(text.contains("\r\n\r\neval\r\n") && text.matches("form-data; name=").count() == 2, "{text}");
}

#[tokio::test]
async fn the_storage_is_no_platform() {
    // A URL that has expired is requested again, once.
    let storage = Server::start([Answer::new(403, "<Error><Code>AccessDenied</Code></Error>"), Answer::ok()]);
    let url = storage.at("p?sig=zz");
    let server = Server::start([registered(url.as_str()), registered(url.as_str()), Answer::json(FILE)]);
    open(&server, &[]).upload(&hello(), silent()).await.unwrap();
    assert_eq!((server.count(), storage.count()), (3, 2));
    for (status, puts) in [(401, 1), (403, 2)] {
        let denied = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
        let storage = Server::repeating([Answer::new(status, denied)]);
        let server = Server::repeating([registered(storage.at("p?sig=zz").as_str())]);
        let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
        assert_eq!(error.message(), "together's storage rejected the upload URL");
        assert_eq!((error.kind(), storage.count()), (Kind::Platform, puts), "{status}");
        assert!(!format!("{error} {:?}", error.lines()).contains("sig=zz"), "{error}");
    }
    // Unusable URLs and headers.
    for odd in ["", "/p?sig=zz", "file:///p", "ftp://h/p"] {
        let server = Server::start([registered(odd)]);
        let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
        assert_eq!((error.kind(), server.count()), (Kind::Platform, 1), "{odd}: {error}");
        assert!(!error.to_string().contains("sig=zz"), "{error}");
    }
    for headers in [&[("Location", "http://127.0.0.1:1/p")][..], &[("X-Together-File-Id", ID)], &[]] {
        for status in [200, 302] {
            let server = Server::start([Answer::status(status, headers, "{}")]);
            let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Platform, "{status} {headers:?}: {error}");
            assert!(error.message().starts_with("together returned no "), "{error}");
        }
    }
}

#[tokio::test]
async fn equal_content_names_the_existing_file() {
    let server = Server::start([Answer::new(409, CONFLICT)]);
    let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
    assert_eq!((error.kind(), error.existing(), server.count()), (Kind::Failed, Some(&"file-1".into()), 1));
    let server = Server::start([Answer::new(409, CONFLICT)]);
    let together = open(&server, &[("via", "parts")]);
    let error = together.multipart().unwrap().begin(&hello()).await.unwrap_err();
    assert_eq!((error.existing(), server.count()), (Some(&"file-1".into()), 1));
    let server = Server::start([Answer::new(409, r#"{"error":{"message":"busy"}}"#)]);
    let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
    assert_eq!((error.existing(), error.message()), (None, "together returned 409: busy"));
}

#[tokio::test]
async fn a_check_that_was_not_requested_is_requested() {
    let server = Server::start([Answer::json(FILE)]);
    let together = open(&server, &[]);
    let with = |status: Option<&str>| File { id: id(), status: status.map(str::to_owned), ..File::default() };
    let file = together.finish(with(Some("PENDING"))).await.unwrap();
    assert_eq!(file.status.as_deref(), Some("COMPLETED"));
    for status in [None, Some("QUEUED"), Some("COMPLETED"), Some("FAILED")] {
        together.finish(with(status)).await.unwrap();
    }
    assert_eq!(server.lines(), [format!("POST /v1/files/{ID}/preprocess")]);
}

#[tokio::test]
async fn a_server_without_registration_gets_a_form() {
    for status in [404, 405] {
        let server = Server::start([Answer::new(status, "{}"), Answer::json(FILE)]);
        open(&server, &[]).upload(&hello(), silent()).await.unwrap();
        server.requests()[1].assert_is(include_str!("form.http"));
    }
    let server = Server::start([Answer::json(FILE)]);
    open(&server, &[("via", "form")]).upload(&hello(), silent()).await.unwrap();
    server.only().assert_is(include_str!("form.http"));
    // The file may exist although the response is unreadable.
    for reply in ["{}", "null", "", "<html>", r#"{"id":""}"#] {
        let server = Server::start([Answer::json(reply)]);
        let error = open(&server, &[("via", "form")]).upload(&hello(), silent()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::Platform, Some(200)), "{reply}: {error}");
    }
    // The error of the first request is the one that is reported.
    let missing = |text: &str| Answer::new(404, format!(r#"{{"error":{{"message":"{text}"}}}}"#));
    let server = Server::start([missing("first"), missing("second")]);
    let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
    assert_eq!(error.message(), "together returned 404: first");
}

#[tokio::test]
async fn parts_go_to_their_own_urls() {
    let storage = Server::new(|_, request| {
        let tag = if request.target.starts_with("/p1") { "\"one\"" } else { "two" };
        Answer::status(200, &[("ETag", tag)], "")
    });
    let begun = json!({ "upload_id": "up/1", "file_id": ID, "parts": [
        { "PartNumber": 2, "URL": storage.at("p2?sig=zz").as_str(), "Headers": null },
        { "PartNumber": 1, "URL": storage.at("p1?sig=zz").as_str(), "Headers": { "x-amz-meta-a": "b" } },
    ]});
    let done = format!(r#"{{"file":{FILE}}}"#);
    let server = Server::start([Answer::json(begun.to_string()), Answer::json(done), Answer::json("{}")]);
    let together = open(&server, &[("via", "parts")]);
    let parts: &dyn Multipart = together.multipart().unwrap();
    let size = 20 << 20;
    let file = NewFile { sha256: Some(SHA256.into()), ..NewFile::from_bytes("a.jsonl", vec![b'x'; size]) };
    assert!(parts.applies(&file) && !parts.continues());
    let session = parts.begin(&file).await.unwrap();
    assert_eq!((session.part_size, session.id.as_str()), (10 << 20, format!("up/1/{ID}").as_str()));
    let mut tags = Vec::new();
    for index in 0..2 {
        let part = PartRange { index, from: u64::from(index) * (10 << 20), len: 10 << 20 };
        tags.push(parts.put_part(&session, &file, part, Arc::clone(&silent())).await.unwrap());
    }
    assert_eq!(tags, ["one", "two"]);
    assert_eq!(parts.complete(&session, &file, &tags, &Checksums::default()).await.unwrap().id, id());
    parts.abort(&session).await.unwrap();
    let requests = server.requests();
    let lines: Vec<String> = requests.iter().map(Request::line).collect();
    let path = "POST /v1/files/multipart";
    assert_eq!(lines, [format!("{path}/initiate"), format!("{path}/complete"), format!("{path}/abort")]);
    let expected = json!({
        "purpose": "fine-tune", "file_name": "a.jsonl", "file_type": "jsonl", "checksum": SHA256,
        "file_size": size, "num_parts": 2,
    });
    assert_eq!(requests[0].json(), expected);
    let ids = json!({ "upload_id": "up/1", "file_id": ID });
    let mut expected = ids.clone();
    expected["parts"] = json!([{ "part_number": 1, "etag": "one" }, { "part_number": 2, "etag": "two" }]);
    assert_eq!((requests[1].json(), requests[2].json()), (expected, ids));
    let puts = storage.requests();
    assert_eq!((puts[0].header("x-amz-meta-a"), puts[1].header("x-amz-meta-a")), (Some("b"), None));
    for put in &puts {
        assert!(!put.head.contains("tg-test"), "{}", put.head);
        assert_eq!(put.header("content-length"), Some("10485760"));
    }
    // Files of up to 5 GiB are sent whole.
    let large = |size| NewFile { size, ..hello() };
    let plain = open(&server, &[]);
    let applies = |size| plain.multipart().unwrap().applies(&large(size));
    assert_eq!((applies(5 << 30), applies((5 << 30) + 1)), (false, true));
    assert!(!open(&server, &[("via", "form")]).multipart().unwrap().applies(&large(6 << 30)));
    // Too few URLs.
    let few = json!({ "upload_id": "u", "file_id": ID, "parts": [] });
    let server = Server::start([Answer::json(few.to_string())]);
    let together = open(&server, &[("via", "parts")]);
    let error = together.multipart().unwrap().begin(&hello()).await.unwrap_err();
    assert_eq!(error.message(), "together returned 0 part URLs instead of 1");
}

#[tokio::test]
async fn a_listing_is_one_page_without_parameters() {
    let server = Server::start([Answer::json(LIST), Answer::json("{}")]);
    let together = open(&server, &[]);
    let query = Query { page_size: Some(1), limit: Some(1), ..Query::default() };
    let page = together.list(&query, None).await.unwrap();
    assert_eq!((page.files.len(), page.next), (2, None));
    assert_eq!(together.list(&query, None).await.unwrap_err().kind(), Kind::Platform, "not a list");
    assert_eq!(server.lines(), ["GET /v1/files", "GET /v1/files"]);
}

#[tokio::test]
async fn content_continues_at_a_byte() {
    let server = Server::start([Answer::status(206, &[("Content-Range", "bytes 2-4/5")], "llo")]);
    let range = Range { from: 2, total: Some(5), ..Range::default() };
    let content = open(&server, &[]).download(&id(), Some(range)).await.unwrap();
    assert_eq!(content.start, 2);
    assert_eq!(content.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"llo");
    let request = server.only();
    assert_eq!(request.line(), format!("GET /v1/files/{ID}/content"));
    assert_eq!(request.header("range"), Some("bytes=2-"));
}

#[tokio::test]
async fn a_deletion_succeeds_unless_the_response_denies_it() {
    let answers = [r#"{"id":"x","deleted":true}"#, "{}", r#"{"id":"x","deleted":false}"#];
    let server = Server::start(answers.map(Answer::json));
    let together = open(&server, &[]);
    together.delete(&id()).await.unwrap();
    together.delete(&id()).await.unwrap();
    assert_eq!(together.delete(&id()).await.unwrap_err().kind(), Kind::Platform);
    assert_eq!(server.lines()[0], format!("DELETE /v1/files/{ID}"));
}

#[tokio::test]
async fn errors_have_their_message_and_kind() {
    let error = r#"{"error":{"message":"no luck","type":"x","param":null,"code":null}}"#;
    for (status, kind) in [
        (400, Kind::Failed),
        (401, Kind::Auth),
        (402, Kind::RateLimited),
        (404, Kind::NotFound),
        (500, Kind::Platform),
    ] {
        let server = Server::repeating([Answer::new(status, error)]);
        let error = open(&server, &[]).stat(&id()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert!(error.message().ends_with("no luck"), "{error}");
    }
    let error = try_open(&Server::start([]), &[("via", "mail")]).err().unwrap();
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "via: `mail` is not one of form, parts"));
}
