//! `upload`: the beta form, the legacy presigned upload, and lost responses.

use std::sync::Arc;
use std::time::Duration;

use haul::error::{Kind, Result};
use haul::http::{Client, Config, RateLimit};
use haul::interrupt::Interrupt;
use haul::model::{Clock, File, NewFile};
use haul::progress::{Silent, silent};
use haul::providers::{Connection, Provider, Query};
use haul::transfer::{Ledger, UploadOptions, Uploaded, Uploads, mark};
use serde_json::{Value, json};

use crate::support::server::{Answer, Request, Server};
use crate::wire::llamacloud::support::{json as reply, lost, open, open_legacy, open_with, profile, text};

const PROJECT: (&str, &str) = ("project_id", "99999999-2222-4333-8444-555555555555");

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".into(), ..NewFile::from_bytes("hello.txt", "hello world") }
}

async fn upload(provider: &dyn Provider, file: NewFile) -> Result<File> {
    provider.upload(&file, silent()).await
}

fn part<'a>(seen: &'a Request, name: &str) -> &'a str {
    let body = std::str::from_utf8(&seen.body).unwrap();
    let (_, rest) = body.split_once(&format!("name=\"{name}\"\r\n\r\n")).unwrap();
    rest.split_once("\r\n").unwrap().0
}

#[tokio::test]
async fn an_upload_equals_that_of_the_official_client() {
    let server = Server::start([reply(200, include_str!("replies/short.json"))]);
    let provider = open_with(&server, &[PROJECT, ("external_file_id", "ext-1")]);
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!(file.id.as_str(), "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(file.extra["external_file_id"], "ext-12345");
    assert_eq!(file.metadata, serde_json::Map::new());
    server.requests()[0].assert_is(include_str!("requests/upload.http"));
}

#[tokio::test]
async fn names_are_sent_as_utf_8_with_escaped_quotes() {
    let server = Server::start([reply(200, include_str!("replies/short.json"))]);
    let name = "na\u{ef}ve \"q\".pdf";
    let file = NewFile { content_type: "application/pdf".into(), ..NewFile::from_bytes(name, "x") };
    upload(&*open(&server), NewFile { purpose: Some("parse".into()), ..file }).await.unwrap();
    // The two header lines as captured.
    let head: &[u8] =
        b"Content-Disposition: form-data; name=\"file\"; filename=\"na\xc3\xafve %22q%22.pdf\"\r\n\
        Content-Type: application/pdf\r\n\r\nx\r\n";
    let seen = &server.requests()[0];
    assert!(seen.body.windows(head.len()).any(|window| window == head));
    assert_eq!(part(seen, "purpose"), "parse");
}

/// A mark of `hello world`.
const MARK: &str = "haul-b94d27b9934d3e08a52e52d7da7dabfa-0badcafe";

fn marked() -> NewFile {
    NewFile { mark: Some(MARK.to_owned()), ..hello() }
}

#[tokio::test]
async fn every_route_stores_the_mark_unless_the_user_sets_an_id() {
    for (own, expected) in [(None, MARK), (Some(("external_file_id", "mine")), "mine")] {
        let with = |via: Option<(&'static str, &'static str)>| own.into_iter().chain(via).collect::<Vec<_>>();
        let server = Server::start([reply(200, include_str!("replies/short.json"))]);
        let provider = open_with(&server, &with(None));
        assert_eq!(provider.capabilities().upload.mark, own.is_none());
        upload(&*provider, marked()).await.unwrap();
        assert_eq!(part(&server.requests()[0], "external_file_id"), expected);

        let server = Server::start([reply(200, include_str!("replies/long.json"))]);
        let provider = open_legacy(&server, &with(None));
        assert_eq!(provider.capabilities().upload.mark, own.is_none());
        upload(&*provider, marked()).await.unwrap();
        assert_eq!(server.lines(), [format!("POST /api/v1/files?external_file_id={expected}")]);

        let store = Server::start([text(200, "", "")]);
        let server = Server::start([
            created_record(&store, &Value::Null),
            reply(200, include_str!("replies/long.json")),
        ]);
        let provider = open_with(&server, &with(Some(("via", "presigned"))));
        assert_eq!(provider.capabilities().upload.mark, own.is_none());
        upload(&*provider, marked()).await.unwrap();
        assert_eq!(server.requests()[0].json()["external_file_id"], expected);
    }
}

#[tokio::test]
async fn a_file_is_found_by_its_exact_mark_within_the_scope() {
    let item = |id: &str, mark: Value| json!({"id": id, "name": "a", "external_file_id": mark});
    let other = "haul-b94d27b9934d3e08a52e52d7da7dabfa-0badcaff";
    let items = [item("1", Value::Null), item("2", json!(other)), item("3", json!(MARK))];
    let server = Server::start([
        reply(200, &json!({"items": items}).to_string()),
        reply(200, &json!({"items": items[..2]}).to_string()),
        reply(200, r#"{"items":[]}"#),
    ]);
    let provider = open_with(&server, &[PROJECT]);
    let found = |file: Option<File>| file.map(|file| file.id.to_string());
    assert_eq!(found(provider.find_marked(MARK).await.unwrap()).as_deref(), Some("3"));
    assert_eq!(found(provider.find_marked(MARK).await.unwrap()), None, "a server that ignores the filter");
    assert_eq!(found(provider.find_marked(MARK).await.unwrap()), None);
    let (key, project) = PROJECT;
    assert_eq!(server.lines()[0], format!("GET /api/v1/beta/files?external_file_id={MARK}&{key}={project}"));
}

#[tokio::test]
async fn a_mark_is_found_in_the_legacy_listing_where_the_beta_endpoints_are_missing() {
    let item = json!({"id": "3", "name": "a", "external_file_id": MARK});
    let server =
        Server::start([reply(404, r#"{"detail":"Not Found"}"#), reply(200, &json!([item]).to_string())]);
    let found = open_legacy(&server, &[]).find_marked(MARK).await.unwrap();
    assert_eq!(found.unwrap().id.as_str(), "3");
    assert_eq!(server.lines()[1], "GET /api/v1/files");
    let server = Server::start([reply(404, r#"{"detail":"Not Found"}"#)]);
    assert_eq!(open(&server).find_marked(MARK).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn an_upload_with_a_lost_response_is_found_by_its_mark() {
    let page = "<html><title>A timeout occurred</title></html>";
    for answer in [
        lost(),
        text(200, "application/json", "{\"id\":"),
        reply(408, "{}"),
        reply(425, "{}"),
        text(499, "", ""),
        reply(500, "{}"),
        text(520, "text/html", page),
        text(524, "text/html", page),
        reply(529, "{}"),
    ] {
        // The server lists the file with the mark that it received, because a part of the mark is random.
        let api = MarkedServer::answering(answer, true);
        let uploaded = send(open(&api.server), &hello()).await.unwrap();
        assert_eq!(uploaded.file.id.as_str(), "found");
        let seen = api.server.requests();
        assert_eq!(seen.len(), 2);
        let mark = part(&seen[0], "external_file_id");
        assert_eq!(mark::parse(mark), mark::parse(MARK), "{mark}");
        assert_eq!(seen[1].line(), format!("GET /api/v1/beta/files?external_file_id={mark}"));
    }
}

#[tokio::test]
async fn an_upload_that_is_not_found_stays_unanswered() {
    let api = MarkedServer::start(false);
    let error = send(open(&api.server), &hello()).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    // An id set by the user may belong to an older file.
    let api = MarkedServer::start(true);
    let error = send(open_with(&api.server, &[("external_file_id", "e")]), &hello()).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    let lines = api.server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 1, "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("external_file_id=")), "{lines:?}");
}

/// Uploads a file as a command does, including the search after a lost response.
async fn send(provider: Box<dyn Provider>, file: &NewFile) -> Result<Uploaded> {
    let options = UploadOptions::default();
    let (ledger, clock, interrupt) = (Ledger::default(), Clock::default(), Interrupt::default());
    Uploads::new(provider.into(), options, ledger, clock, interrupt).upload(file, &Silent).await
}

/// Stores an upload without a usable response, then lists a file with the mark of the upload or with another mark.
struct MarkedServer {
    server: Server,
}

impl MarkedServer {
    fn start(true_mark: bool) -> Self {
        Self::answering(lost(), true_mark)
    }

    /// Responds to the upload with `answer`.
    fn answering(answer: Answer, true_mark: bool) -> Self {
        let mark = Arc::new(std::sync::Mutex::new(String::new()));
        let server = Server::new(move |_, seen| {
            if seen.line().starts_with("POST") {
                part(seen, "external_file_id").clone_into(&mut mark.lock().unwrap());
                return answer.clone();
            }
            let mark = if true_mark { mark.lock().unwrap().clone() } else { "another".to_owned() };
            let item =
                json!({"id": "found", "name": "hello.txt", "project_id": "p", "external_file_id": mark});
            reply(200, &json!({"items": [item]}).to_string())
        });
        Self { server }
    }
}

fn created_record(store: &Server, form_fields: &Value) -> Answer {
    let body = include_str!("replies/file_id_presigned_url.json")
        .replace("https://bucket.example", &store.origin())
        .replace("\"form_fields\":null", &format!("\"form_fields\":{form_fields}"));
    reply(200, &body)
}

#[tokio::test]
async fn a_presigned_upload_consists_of_the_three_captured_steps() {
    let store = Server::start([text(200, "", "")]);
    let api =
        Server::start([created_record(&store, &Value::Null), reply(200, include_str!("replies/long.json"))]);
    let provider = open_with(&api, &[PROJECT, ("via", "presigned"), ("external_file_id", "docs/hello.txt")]);
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!((file.size, file.name.as_str()), (Some(11), "hello.txt"));
    api.requests()[0].assert_is(include_str!("requests/file_create.http"));
    store.requests()[0].assert_is(include_str!("requests/store_put.http"));
    assert_eq!(
        api.lines()[1],
        "GET /api/v1/files/182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e?project_id=99999999-2222-4333-8444-555555555555"
    );
}

#[tokio::test]
async fn the_file_is_the_last_part_of_a_presigned_form() {
    let store = Server::start([text(204, "", "")]);
    let fields = json!({"key": "uploads/1", "policy": "cG9saWN5"});
    let api = Server::start([created_record(&store, &fields), reply(200, include_str!("replies/long.json"))]);
    let file = NewFile { mark: Some(MARK.to_owned()), ..NewFile::from_bytes("hello.txt", "hello world") };
    upload(&*open_with(&api, &[("via", "presigned")]), file).await.unwrap();
    store.requests()[0].assert_is(include_str!("requests/store_form.http"));
    assert_eq!(api.requests()[0].json()["external_file_id"], MARK);
}

#[tokio::test]
async fn the_creation_of_a_file_sends_all_settings() {
    let store = Server::start([text(200, "", "")]);
    let api =
        Server::start([created_record(&store, &Value::Null), reply(200, include_str!("replies/long.json"))]);
    let set = [
        ("via", "presigned"),
        ("external_file_id", "e"),
        ("data_source_id", "d"),
        ("storage_type", "ephemeral"),
        ("last_modified_at", "2026-01-02T03:04:05Z"),
        ("resource_info", r#"{"a":{"b":[1,null]}}"#),
        ("permission_info", r#"{"public":true}"#),
    ];
    upload(&*open_with(&api, &set), hello()).await.unwrap();
    assert_eq!(
        api.requests()[0].json(),
        json!({
            "name": "hello.txt", "external_file_id": "e", "file_size": 11, "data_source_id": "d",
            "storage_type": "ephemeral", "last_modified_at": "2026-01-02T03:04:05Z",
            "resource_info": {"a": {"b": [1, null]}}, "permission_info": {"public": true},
        })
    );
}

#[tokio::test]
async fn after_a_failed_transfer_the_created_record_is_deleted() {
    let denied = "<Error><Code>AccessDenied</Code></Error>";
    let store = Server::start([text(403, "application/xml", denied)]);
    let api = Server::start([created_record(&store, &Value::Null), text(204, "", "")]);
    let error = upload(&*open_with(&api, &[("via", "presigned"), PROJECT]), hello()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Platform, Some(403)), "{error}");
    assert_eq!(
        api.lines()[1],
        "DELETE /api/v1/files/182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e?project_id=99999999-2222-4333-8444-555555555555"
    );
}

#[tokio::test]
async fn fields_that_a_route_does_not_support_are_refused_before_any_request() {
    let server = Server::start([reply(200, "{}")]);
    let refused = |set: &'static [(&'static str, &'static str)], purpose: Option<&str>| {
        let provider = open_with(&server, set);
        let file = NewFile { purpose: purpose.map(str::to_owned), ..hello() };
        async move { upload(&*provider, file).await.unwrap_err().kind() }
    };
    for key in ["data_source_id", "storage_type", "last_modified_at", "resource_info", "permission_info"] {
        let provider = open_with(&server, &[(key, "{}")]);
        assert_eq!(upload(&*provider, hello()).await.unwrap_err().kind(), Kind::Unsupported, "{key}");
    }
    assert_eq!(refused(&[("via", "presigned")], Some("parse")).await, Kind::Unsupported);
    assert_eq!(refused(&[("via", "presigned"), ("resource_info", "[1]")], None).await, Kind::Usage);
    assert_eq!(refused(&[("via", "presigned"), ("permission_info", "{")], None).await, Kind::Usage);
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn an_invalid_response_to_an_upload_is_a_platform_error() {
    for body in ["", "{", "{}", "<html>", "[]", "null"] {
        let server = Server::start([reply(200, body)]);
        let error = upload(&*open(&server), hello()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
        let server = Server::start([reply(200, body)]);
        let error = upload(&*open_with(&server, &[("via", "presigned")]), hello()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}

#[tokio::test]
async fn the_published_rate_applies_only_to_uploads() {
    let api = Server::new(|_, seen| match seen.line().split_once(' ') {
        Some(("POST", _)) => reply(200, include_str!("replies/short.json")),
        _ => reply(200, r#"{"items":[]}"#),
    });
    let profile = profile(&api, &[]);
    let rate = Some(RateLimit { requests: 1, per: Duration::from_hours(1) });
    let http = Client::new(Config { rate, ..profile.config() });
    let provider = (profile.spec.open)(Connection { http, ..profile.connection() }).unwrap();
    upload(&*provider, hello()).await.unwrap();
    for _ in 0..3 {
        let query = Query::default();
        let listed = tokio::time::timeout(Duration::from_secs(30), provider.list(&query, None)).await;
        listed.expect("a listing does not wait").unwrap();
    }
    let second = tokio::time::timeout(Duration::from_millis(50), upload(&*provider, hello())).await;
    assert!(second.is_err(), "the second upload waits");
    assert_eq!(api.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}
