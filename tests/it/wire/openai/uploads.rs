//! Multipart uploads: the requests, and the responses that decide whether a session continues.

use haul::error::Kind;
use haul::model::{Checksums, NewFile};
use haul::progress::silent;
use haul::providers::{PartRange, Session, find};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{FILE, open, serve};
use crate::support::clock_at;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};

const NOW: i64 = 1_778_414_400;
/// The platform's clock is two days ahead.
const BEGUN: &str = r#"{"id":"upload_1","object":"upload","bytes":5,"created_at":1778587200,"expires_at":1778590800,"filename":"n","purpose":"batch","status":"pending"}"#;
const PART: &str = r#"{"id":"part_1","object":"upload.part","created_at":5,"upload_id":"upload_1"}"#;
const FIRST: PartRange = PartRange { index: 0, from: 0, len: 4 };
const LAST: PartRange = PartRange { index: 1, from: 4, len: 1 };

fn hello() -> NewFile {
    NewFile {
        content_type: "text/plain".to_owned(),
        expires: Some(SignedDuration::from_hours(24)),
        purpose: Some("batch".to_owned()),
        ..NewFile::from_bytes("näme \"q\".txt", "hello")
    }
}

fn session() -> Session {
    Session { id: "upload_1".to_owned(), secret: None, part_size: 4, expires_at: None }
}

fn completed(file: &str) -> String {
    format!(r#"{{"id":"upload_1","object":"upload","bytes":5,"status":"completed","file":{file}}}"#)
}

#[tokio::test]
async fn a_file_is_sent_in_parts_and_combined_in_their_order() {
    let set = [
        ("via", "uploads"),
        ("part_size", "2"),
        ("organization", "org-t"),
        ("md5", "true"),
        ("query.v", "1"),
    ];
    let server = serve(&[BEGUN, PART, PART, &completed(FILE), "{}"]);
    let openai = open("openai", &server, &set);
    let parts = openai.multipart().unwrap();
    assert_eq!((parts.parallel(), parts.checksum(), parts.applies(&hello())), (4, Some("md5"), true));
    let begun = parts.begin(&hello()).await.unwrap();
    assert_eq!((begun.id.as_str(), begun.part_size), ("upload_1", 2 << 20));
    assert_eq!(begun.expires_at.unwrap().as_second(), NOW + 3600, "by this machine's clock");
    for part in [FIRST, LAST] {
        assert_eq!(parts.put_part(&begun, &hello(), part, silent()).await.unwrap(), "part_1");
    }
    let sums = Checksums { md5: Some("5d41402a".to_owned()), ..Checksums::default() };
    let tags = ["part_2".to_owned(), "part_1".to_owned()];
    let file = parts.complete(&begun, &hello(), &tags, &sums).await.unwrap();
    assert_eq!((file.id.as_str(), file.name.as_str(), file.size), ("file-1", "a.txt", Some(2)));
    parts.abort(&begun).await.unwrap();
    let lines = ["uploads", "uploads/upload_1/parts", "uploads/upload_1/parts", "uploads/upload_1/complete"];
    let lines = lines.into_iter().chain(["uploads/upload_1/cancel"]);
    assert_eq!(server.lines(), lines.map(|path| format!("POST /{path}?v=1")).collect::<Vec<_>>());
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.header("openai-organization") == Some("org-t")));
    assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer sk-test")));
    let about = json!({
        "bytes": 5, "filename": "näme \"q\".txt", "mime_type": "text/plain", "purpose": "batch",
        "expires_after": {"anchor": "created_at", "seconds": 86400},
    });
    assert_eq!(requests[0].json(), about);
    let head = "Content-Disposition: form-data; name=\"data\"; filename=\"upload\"\r\nContent-Type: application/octet-stream\r\n\r\n";
    assert!(requests[1].text().contains(&format!("{head}hell\r\n--")), "{}", requests[1].text());
    assert!(requests[2].text().contains(&format!("{head}o\r\n--")), "{}", requests[2].text());
    assert_eq!(requests[3].json(), json!({"part_ids": ["part_2", "part_1"], "md5": "5d41402a"}));
    assert_eq!((requests[4].header("content-length"), requests[4].text().as_str()), (Some("0"), ""));

    // Without these settings.
    let server = serve(&[BEGUN, &completed(FILE)]);
    let openai = open("openai", &server, &[("md5", "false")]);
    let parts = openai.multipart().unwrap();
    let whole = NewFile { size: 512_000_000, ..hello() };
    let large = NewFile { size: 512_000_001, ..hello() };
    assert!(!parts.applies(&hello()) && !parts.applies(&whole) && parts.applies(&large));
    let plain = NewFile::from_bytes("n", "hello");
    assert_eq!(parts.begin(&plain).await.unwrap().part_size, 16 << 20);
    parts.complete(&session(), &plain, &tags, &sums).await.unwrap();
    let [started, ended] = &server.requests()[..] else { panic!() };
    assert_eq!(
        (started.json()["expires_after"].clone(), &started.json()["purpose"]),
        (Value::Null, &json!("user_data"))
    );
    assert_eq!(ended.json(), json!({"part_ids": ["part_2", "part_1"]}));
    let empty = NewFile::from_bytes("n", "");
    assert!(!open("openai", &server, &set).multipart().unwrap().applies(&empty), "it has no parts");
}

#[tokio::test]
async fn a_completed_upload_has_the_size_that_its_file_omits() {
    let file = r#"{"id":"file-1","bytes":null,"filename":"n","created_at":5}"#;
    let server = serve(&[&completed(file), r#"{"id":"upload_1","status":"completed"}"#, "{"]);
    let openai = open("openai", &server, &[]);
    let complete = async || {
        let parts = openai.multipart().unwrap();
        parts.complete(&session(), &hello(), &[], &Checksums::default()).await
    };
    assert_eq!(complete().await.unwrap().size, Some(5));
    for _ in 0..2 {
        let error = complete().await.unwrap_err();
        assert!(error.may_be_done(), "the file may be stored: {error:?}");
    }
}

#[tokio::test]
async fn only_a_rejection_ends_the_session_of_a_part() {
    let error = error_body();
    // The caller keeps the session after an error for which `is_unanswered` returns true.
    for (status, kind, is_unanswered) in [
        (400, Kind::Failed, false),
        (401, Kind::Auth, false),
        (404, Kind::Platform, false),
        (409, Kind::Failed, true),
        (410, Kind::Platform, false),
        (503, Kind::Platform, true),
    ] {
        let server = Server::repeating([Answer::json(&error).with_status(status)]);
        let openai = open("openai", &server, &[]);
        let sent = openai.multipart().unwrap().put_part(&session(), &hello(), FIRST, silent()).await;
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.is_unanswered()), (kind, is_unanswered), "{status} {error:?}");
        assert_eq!(error.status(), Some(status));
    }
    let server = Server::repeating([Answer::json("{}")]);
    let openai = open("openai", &server, &[]);
    let parts = openai.multipart().unwrap();
    let error = parts.put_part(&session(), &hello(), FIRST, silent()).await.unwrap_err();
    assert!(error.is_unanswered(), "{error:?}");
    assert_eq!(parts.begin(&hello()).await.unwrap_err().message(), "openai returned an upload without an id");

    let server = Server::repeating([Answer::json(error_body()).with_status(400)]);
    let openai = open("openai", &server, &[]);
    let ended = Session { expires_at: Some(clock_at(NOW).now()), ..session() };
    let complete = openai.multipart().unwrap().complete(&ended, &hello(), &[], &Checksums::default()).await;
    let causes = complete.unwrap_err().causes();
    assert!(
        causes.iter().any(|cause| cause == "openai discards a multipart upload after one hour"),
        "{causes:?}"
    );
}

fn error_body() -> String {
    json!({"error": {"message": "'user_data' is not one of ['batch'] - 'purpose'", "param": "purpose"}})
        .to_string()
}

#[tokio::test]
async fn an_upload_that_cannot_begin_says_why() {
    let missing = Server::repeating([Answer::new(404, r#"{"detail":"Not Found"}"#)]);
    for (set, hint) in [(&[][..], None), (&[("via", "uploads")][..], Some("remove `--set via=uploads`"))] {
        let error = open("openai", &missing, set).multipart().unwrap().begin(&hello()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(error.message(), "openai does not support multipart uploads at this base URL");
        assert_eq!(error.hints().first().map(String::as_str), hint);
    }
    let server = Server::repeating([Answer::json(error_body()).with_status(400)]);
    let begin = async |vendor: &str, purpose: Option<&str>| {
        let file = NewFile { purpose: purpose.map(str::to_owned), ..NewFile::from_bytes("n", "hello") };
        let provider = open(vendor, &server, &[]);
        let error = provider.multipart().unwrap().begin(&file).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
        error.hints().to_vec()
    };
    let hint = "azure documents these purposes for multipart uploads: assistants, batch, fine-tune, vision";
    assert_eq!(begin("azure", None).await, [hint]);
    assert_eq!(begin("azure", Some("batch")).await, [""; 0]);
    assert_eq!(begin("openai", None).await, [""; 0]);
}

#[test]
fn settings_of_parts_are_checked_when_the_profile_is_opened() {
    let url = "http://127.0.0.1:1/".parse().unwrap();
    let open = |vendor: &str, set: &[(&str, &str)]| {
        Profile { set, ..Profile::new(find(vendor).unwrap(), &url) }.open().map(drop)
    };
    for (set, message) in [
        (("via", "url"), "via: `url` is not one of uploads"),
        (("md5", "yes"), "md5: `yes` is not one of true, false"),
        (("part_size", "65"), "part_size: `65` is not a whole number from 1 to 64"),
    ] {
        for vendor in ["openai", "azure"] {
            let error = open(vendor, &[set]).unwrap_err();
            assert_eq!((error.kind(), error.message()), (Kind::Usage, message), "{vendor}");
        }
    }
    open("openai", &[("via", "uploads"), ("md5", "true"), ("part_size", "64")]).unwrap();
}
