//! Mistral over a socket: the requests, byte for byte, and every response in the contract.

use std::time::Duration;

use crate::support::clock_at;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::Filter;
use haul::model::{File, FileId, NewFile};
use haul::progress::silent;
use haul::providers::{Provider, Query, Range, find};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const ID: &str = "e85980c9-409e-4a46-9304-36588f6292b0";
const NOW: i64 = 1_759_500_200;

const FILE: &str = include_str!("file.json");
const LIST: &str = include_str!("list.json");
const MISSING: &str = r#"{"detail":"No file matches the given query."}"#;

fn try_open(server: &Server, set: &[(&str, &str)]) -> Result<Box<dyn Provider>, Error> {
    let mistral = find("mistral").expect("a registered provider");
    Profile { token: Some("mk-test"), set, clock: clock_at(NOW), ..Profile::new(mistral, &server.at("v1")) }
        .open()
}

fn open(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(server, set).expect("a provider")
}

fn serve(replies: &[&str]) -> Server {
    Server::start(replies.iter().map(|body| Answer::json(*body)))
}

fn id() -> FileId {
    FileId::from(ID)
}

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".into(), ..NewFile::from_bytes("hello.txt", "hello") }
}

async fn bytes(content: haul::http::ContentStream) -> Vec<u8> {
    content.stream.try_collect::<Vec<_>>().await.expect("the bytes").concat()
}

#[tokio::test]
async fn a_file_is_parsed() {
    let server = serve(&[FILE]);
    let file = open(&server, &[]).stat(&id()).await.unwrap();
    let request = server.only();
    assert_eq!(request.line(), format!("GET /v1/files/{ID}"));
    assert_eq!(request.header("authorization"), Some("Bearer mk-test"));
    let extra = json!({
        "object": "file", "sample_type": "instruct", "num_lines": 2, "source": "upload",
        "signature": "d4821d2de1917341", "visibility": "workspace", "deleted": false,
    });
    let expected = File {
        provider: "mistral".into(),
        profile: "work".into(),
        id: id(),
        name: "example.file.jsonl".into(),
        size: None,
        content_type: Some("application/jsonl".into()),
        purpose: Some("fine-tune".into()),
        created_at: Some(Timestamp::from_second(1_759_500_189).unwrap()),
        extra: extra.as_object().cloned().unwrap(),
        ..File::default()
    };
    assert_eq!(file, expected);
}

#[tokio::test]
async fn an_upload_equals_the_captured_request() {
    let server = serve(&[FILE]);
    let file =
        NewFile { purpose: Some("batch".into()), expires: Some(SignedDuration::from_hours(48)), ..hello() };
    open(&server, &[("visibility", "workspace")]).upload(&file, silent()).await.unwrap();
    server.only().assert_is(include_str!("upload.http"));

    // Without options only the file is sent.
    let server = serve(&[FILE]);
    open(&server, &[]).upload(&hello(), silent()).await.unwrap();
    let text = server.only().text();
    assert_eq!(text.matches("form-data; name=").count(), 1, "{text}");

    // The file may exist, although the response is unreadable.
    for reply in ["{}", "null", "", "<html>", r#"{"id":""}"#] {
        let error = open(&serve(&[reply]), &[]).upload(&hello(), silent()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::Platform, Some(200)), "{reply}: {error}");
    }
    let server = serve(&[]);
    let file = NewFile { expires: Some(SignedDuration::from_mins(90)), ..hello() };
    let error = open(&server, &[]).upload(&file, silent()).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Unsupported, 0));
}

#[tokio::test]
async fn pages_are_numbered_from_zero() {
    let target = async |query: &Query, cursor: Option<&str>| {
        let server = serve(&[LIST]);
        open(&server, &[]).list(query, cursor).await.unwrap();
        server.only().target
    };
    assert_eq!(target(&Query::default(), None).await, "/v1/files?page=0&page_size=100");
    let sized = |page_size| Query { page_size: Some(page_size), ..Query::default() };
    assert_eq!(target(&sized(2), None).await, "/v1/files?page=0&page_size=2");
    assert_eq!(target(&sized(999), None).await, "/v1/files?page=0&page_size=100");
    // The page size of a cursor stays.
    assert_eq!(target(&sized(50), Some("3:2")).await, "/v1/files?page=3&page_size=2");
    let few = Query { limit: Some(7), ..Query::default() };
    assert_eq!(target(&few, None).await, "/v1/files?page=0&page_size=7");
    let now = Timestamp::from_second(NOW).unwrap();
    let fields = find("mistral").unwrap().filter_fields();
    let filtered = |text: &str| Query {
        filter: Some(Filter::parse_with(text, now, &fields).unwrap()),
        page_size: Some(2),
        limit: Some(1),
        ..Query::default()
    };
    let text = "name:hel AND content_type = text/plain AND purpose = ocr AND sample_type = instruct AND source = upload";
    assert_eq!(
        target(&filtered(text), None).await,
        "/v1/files?page=0&page_size=2&search=hel&mimetypes=text%2Fplain&purpose=ocr&sample_type=instruct&source=upload"
    );

    let server = serve(&[LIST, LIST]);
    let mistral = open(&server, &[]);
    // A full page that reaches the total is the last one.
    let page = mistral.list(&sized(2), None).await.unwrap();
    assert_eq!((page.files.len(), page.next), (2, None));
    let page = mistral.list(&sized(1), None).await.unwrap();
    assert_eq!(page.next.as_deref(), None, "two of two files were listed");
    let error = mistral.list(&Query::default(), Some("nonsense")).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Usage, 2));
}

#[tokio::test]
async fn a_file_that_is_listed_but_not_found_exists() {
    let missing = || Answer::new(404, MISSING);
    let server = Server::start([missing(), Answer::json(LIST)]);
    let file = open(&server, &[]).stat(&id()).await.unwrap();
    assert_eq!(file.id, id());
    assert_eq!(
        server.lines(),
        [format!("GET /v1/files/{ID}"), "GET /v1/files?page=0&page_size=100".to_owned()]
    );
    let server = Server::start([missing(), Answer::json(r#"{"data":[],"object":"list","total":0}"#)]);
    let error = open(&server, &[]).stat(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::NotFound, Some(404)));
}

#[tokio::test]
async fn a_new_file_may_be_missing_for_a_minute() {
    let server = serve(&[]);
    let mistral = open(&server, &[]);
    let left = |age: i64| {
        let created_at = Some(Timestamp::from_second(NOW - age).unwrap());
        mistral.settles_in(&File { created_at, ..File::default() })
    };
    assert_eq!(left(0), Duration::from_mins(1));
    assert_eq!(left(20), Duration::from_secs(40));
    assert_eq!((left(60), left(9_999)), (Duration::ZERO, Duration::ZERO));
    assert_eq!(left(-500), Duration::from_mins(1), "a clock that is behind");
    assert_eq!(mistral.settles_in(&File::default()), Duration::ZERO, "of unknown age");
}

#[tokio::test]
async fn a_link_is_a_signed_url() {
    let signed = r#"{"url":"https://store.example/b?se=2025-10-04T14%3A03%3A20Z&sig=x"}"#;
    let server = serve(&[signed, r#"{"url":"https://store.example/b?sig=x"}"#, "{}"]);
    let mistral = open(&server, &[]);
    let link = mistral.link(&id(), Some(SignedDuration::from_hours(2))).await.unwrap();
    assert_eq!(link.url, "https://store.example/b?se=2025-10-04T14%3A03%3A20Z&sig=x");
    assert_eq!(link.expires_at.unwrap().to_string(), "2025-10-04T14:03:20Z", "as the URL says");
    let link = mistral.link(&id(), None).await.unwrap();
    assert_eq!(link.expires_at.unwrap().as_second(), NOW + 24 * 3600, "the documented default");
    assert_eq!(mistral.link(&id(), None).await.unwrap_err().kind(), Kind::Platform);
    let url = format!("GET /v1/files/{ID}/url");
    assert_eq!(server.lines(), [format!("{url}?expiry=2"), url.clone(), url]);
}

#[tokio::test]
async fn content_comes_from_the_api_or_from_a_signed_url_without_the_token() {
    let server = Server::start([Answer::new(200, "hello")]);
    let content = open(&server, &[]).download(&id(), None).await.unwrap();
    assert_eq!(bytes(content).await, b"hello");
    assert_eq!(server.only().line(), format!("GET /v1/files/{ID}/content"));

    // The storage is at the API's own origin here, which must make no difference.
    let server = Server::new(|number, request| match number {
        0 => {
            let host = request.header("host").unwrap();
            Answer::json(json!({ "url": format!("http://{host}/blob?sig=1") }).to_string())
        }
        1 => Answer::status(206, &[("Content-Range", "bytes 2-4/5"), ("ETag", "\"e\"")], "llo"),
        _ => Answer::new(403, "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code></Error>"),
    });
    let mistral = open(&server, &[("via", "url")]);
    let range = Range { from: 2, validator: Some("\"e\"".into()), total: Some(5), verified: false };
    let content = mistral.download(&id(), Some(range)).await.unwrap();
    assert_eq!((content.start, bytes(content).await), (2, b"llo".to_vec()));
    let requests = server.requests();
    assert_eq!(requests[0].line(), format!("GET /v1/files/{ID}/url?expiry=1"));
    assert_eq!((requests[1].line(), requests[1].header("authorization")), ("GET /blob?sig=1".into(), None));

    for url in ["ftp://store.example/b", "nonsense", ""] {
        let server = serve(&[&json!({ "url": url }).to_string()]);
        let error = open(&server, &[("via", "url")]).download(&id(), None).await.map(drop).unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{url}: {error}");
    }
    let storage = Server::start([Answer::new(403, "<Error><Code>AuthenticationFailed</Code></Error>")]);
    let server = serve(&[&json!({ "url": storage.at("b?sig=1").as_str() }).to_string()]);
    let error = open(&server, &[("via", "url")]).download(&id(), None).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Platform, "not a problem of the token");
    assert_eq!(error.message(), "mistral's storage rejected the signed URL");
}

#[tokio::test]
async fn a_deletion_succeeds_unless_the_response_denies_it() {
    let server = serve(&[r#"{"id":"x","object":"file","deleted":true}"#, r#"{"id":"x","deleted":false}"#]);
    let mistral = open(&server, &[]);
    mistral.delete(&id()).await.unwrap();
    assert_eq!(server.lines(), [format!("DELETE /v1/files/{ID}")]);
    assert_eq!(mistral.delete(&id()).await.unwrap_err().kind(), Kind::Platform);
}

#[tokio::test]
async fn every_error_shape_yields_its_message_and_kind() {
    let lines: Vec<&str> = include_str!("errors.txt").lines().collect();
    for pair in lines.chunks_exact(2) {
        let mut words = pair[0].splitn(3, ' ');
        let mut word = || words.next().expect("status, kind and message");
        let (status, kind, message) = (word().parse().expect("a status"), word(), word());
        let server = Server::start([Answer::new(status, pair[1])]);
        let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
        assert!(error.to_string().contains(message), "{}: {error}", pair[0]);
        assert_eq!(json!(error.kind()), kind, "{}", pair[0]);
    }
}

#[tokio::test]
async fn settings_have_fixed_values() {
    let server = serve(&[]);
    for (key, value) in [("visibility", "everyone"), ("via", "link")] {
        let error = try_open(&server, &[(key, value)]).err().unwrap();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().contains(value), "{error}");
    }
}
