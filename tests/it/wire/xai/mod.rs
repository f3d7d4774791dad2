//! xAI over a socket: the requests, byte for byte, and every response in the contract.

mod trouble;
mod unknown;

use std::sync::Arc;

use crate::support::clock_at;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::Filter;
use haul::model::{File, FileId, Link, NewFile, Object, Patch};
use haul::progress::silent;
use haul::providers::{Listing, Provider, Query, Range, Sort, find};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const ID: &str = "file_a128090d-f0c9-4873-bd84-e499777e7417";
const HASH: &str = "a15b2225695f242af60e5d99a7455b0a2e371dac88283401ebc013dba1dfbc84";

const FILE_OPENAI: &str = include_str!("file.openai.json");
const FILE_PUBLIC: &str = include_str!("file.openai.public.json");
const FILE_GATEWAY: &str = include_str!("file.gateway.json");
const FILE_SHORT: &str = include_str!("file.gateway.short.json");
const LIST_OPENAI: &str = include_str!("list.openai.json");
const LIST_GATEWAY: &str = include_str!("list.gateway.json");
const DELETED: &str = include_str!("delete.openai.json");
const PUBLIC_URL: &str = include_str!("public-url.json");
const REVOKED: &str = include_str!("revoke.json");

fn try_open(server: &Server, dialect: &str, set: &[(&str, &str)]) -> Result<Box<dyn Provider>, Error> {
    let xai = find("xai").expect("a registered provider");
    let clock = clock_at(1_755_000_000);
    Profile { token: Some("xai-k"), dialect, set, clock, ..Profile::new(xai, &server.at("v1")) }.open()
}

fn open(server: &Server, dialect: &str, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(server, dialect, set).expect("a provider")
}

fn serve(replies: &[&str]) -> Server {
    Server::start(replies.iter().map(|body| Answer::json(*body)))
}

fn id() -> FileId {
    FileId::from(ID)
}

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".to_owned(), ..NewFile::from_bytes("hello.txt", "hello") }
}

async fn bytes(content: haul::http::ContentStream) -> Vec<u8> {
    content.stream.try_collect::<Vec<_>>().await.expect("the bytes").concat()
}

fn page(count: usize, token: &str) -> String {
    let files: Vec<_> =
        (0..count).map(|n| json!({ "id": format!("file_{token}_{n}"), "bytes": n })).collect();
    json!({ "data": files, "pagination_token": token }).to_string()
}

fn only_body(server: &Server) -> serde_json::Value {
    serde_json::from_slice(&server.only().body).expect("a JSON body")
}

// Section 3: objects.

#[tokio::test]
async fn an_openai_file_is_parsed() {
    let server = serve(&[FILE_OPENAI]);
    let file = open(&server, "auto", &[]).stat(&id()).await.unwrap();
    assert_eq!(server.lines(), [format!("GET /v1/files/{ID}")]);
    assert_eq!(server.only().header("authorization"), Some("Bearer xai-k"));
    let expected = File {
        provider: "xai".into(),
        profile: "work".into(),
        id: id(),
        name: "document.pdf".into(),
        size: Some(12_345),
        created_at: Some("2025-11-05T12:27:58Z".parse().unwrap()),
        expires_at: Some("2025-11-06T12:27:58Z".parse().unwrap()),
        extra: serde_json::from_str::<Object>(r#"{"object":"file"}"#).unwrap(),
        ..File::default()
    };
    assert_eq!(file, expected);
}

#[tokio::test]
async fn a_gateway_file_is_parsed() {
    let server = serve(&[FILE_GATEWAY, FILE_SHORT]);
    let xai = open(&server, "auto", &[]);
    let file = xai.stat(&id()).await.unwrap();
    assert_eq!((file.id.as_str(), file.name.as_str(), file.size), (ID, "report.txt", Some(119_237)));
    assert_eq!(file.content_type.as_deref(), Some("text/plain"));
    assert_eq!(file.created_at, Some("2025-09-16T19:06:53.472088Z".parse().unwrap()));
    assert_eq!(file.expires_at, None);
    assert_eq!(file.checksums.blake3.as_deref(), Some(HASH));
    assert_eq!(file.path.as_deref(), Some("folder1/subfolder"));
    assert_eq!(file.status.as_deref(), Some("processing"));
    let extra =
        json!({"upload_status":"Complete","upload_error_message":"","processing_status":"processing"});
    assert_eq!(serde_json::Value::Object(file.extra), extra);

    let short = xai.stat(&id()).await.unwrap();
    assert_eq!((short.size, short.status, short.path), (Some(119_237), None, None));
    assert!(short.extra.is_empty());
}

// Section 4.1: upload.

#[tokio::test]
async fn the_lifetime_precedes_the_file_in_an_upload() {
    let server = serve(&[FILE_OPENAI]);
    let file = NewFile {
        expires: Some(SignedDuration::from_hours(24)),
        purpose: Some("assistants".into()),
        ..hello()
    };
    let uploaded = open(&server, "auto", &[]).upload(&file, silent()).await.unwrap();
    server.only().assert_is(include_str!("upload-openai.http"));
    assert_eq!(uploaded.id, id());
}

#[tokio::test]
async fn an_upload_to_a_team_equals_the_captured_request() {
    let server = serve(&[FILE_GATEWAY]);
    let file = NewFile { expires: Some(SignedDuration::from_hours(24)), ..hello() };
    let uploaded = open(&server, "gateway", &[("team_id", "team_1")]).upload(&file, silent()).await.unwrap();
    server.only().assert_is(include_str!("upload-gateway.http"));
    assert_eq!(uploaded.checksums.blake3.as_deref(), Some(HASH));
}

// Section 4.2: list.

async fn target_of(dialect: &str, set: &[(&str, &str)], query: Query, cursor: Option<&str>) -> String {
    let server = serve(&[LIST_OPENAI]);
    open(&server, dialect, set).list(&query, cursor).await.expect("a page");
    server.only().target
}

#[tokio::test]
async fn a_listing_uses_the_parameters_of_the_dialect() {
    let sorted = |field: &str, descending| Query {
        sort: Some(Sort { field: field.into(), descending }),
        ..Query::default()
    };
    let target = |dialect, query, cursor| target_of(dialect, &[], query, cursor);
    assert_eq!(target("auto", Query::default(), None).await, "/v1/files?limit=100");
    assert_eq!(
        target("openai", sorted("name", false), Some("f1")).await,
        "/v1/files?limit=100&order=asc&sort_by=filename&pagination_token=f1"
    );
    assert_eq!(
        target("gateway", sorted("created_at", true), Some("dG9r=")).await,
        "/v1/files?limit=100&order=DESCENDING&sort_by=created_at&next_token=dG9r%3D"
    );
    assert_eq!(target("auto", sorted("status", true), None).await, "/v1/files?limit=100", "not native");
    let team = target_of("auto", &[("team_id", "t 1")], sorted("size", false), Some("x")).await;
    assert_eq!(team, "/v1/files?team_id=t%201&limit=100&order=ASCENDING&sort_by=size&next_token=x");
    let few = |limit, page_size| Query { limit, page_size, ..Query::default() };
    assert_eq!(target("auto", few(Some(7), None), None).await, "/v1/files?limit=7");
    assert_eq!(target("auto", few(Some(700), None), None).await, "/v1/files?limit=100");
    assert_eq!(target("auto", few(Some(7), Some(2)), None).await, "/v1/files?limit=2");
}

fn filtered(filter: &str) -> Query {
    let now = Timestamp::from_second(1_755_000_000).expect("a time");
    let fields = find("xai").expect("a platform").filter_fields();
    let filter = Filter::parse_with(filter, now, &fields).expect("a filter");
    Query { filter: Some(filter), ..Query::default() }
}

#[tokio::test]
async fn a_filter_is_sent_with_a_prefix_if_supported() {
    let query = filtered(r#"name ~ "re*" AND size > 1kB AND metadata.a = "here""#);
    assert_eq!(
        target_of("auto", &[], query.clone(), None).await,
        "/v1/files?limit=100&filter=name%3Are%2A%20AND%20size_bytes%20%3E%201000"
    );
    assert_eq!(
        target_of("gateway", &[], query, None).await,
        "/v1/files?limit=100&order=DESCENDING&filter=size_bytes%20%3E%201000&prefix=re"
    );
    assert_eq!(
        target_of("auto", &[], filtered("user_defined_id = u1"), None).await,
        "/v1/files?limit=100&filter=user_defined_id%20%3D%20%22u1%22"
    );
}

/// The files that `haul ls --filter` lists.
async fn listed(server: &Server, dialect: &str, filter: &str) -> haul::error::Result<Vec<File>> {
    let provider = Arc::from(open(server, dialect, &[]));
    Listing::new(provider, Query { limit: Some(3), ..filtered(filter) }, None)?.all().await
}

#[tokio::test]
async fn comparisons_of_the_platform_are_trusted_for_fields_that_it_does_not_list() {
    for (dialect, reply) in [("auto", LIST_OPENAI), ("openai", LIST_OPENAI), ("auto", LIST_GATEWAY)] {
        for filter in [
            r#"size_bytes > 1000 AND upload_status = "Complete""#,
            r#"upload_status != "Complete""#,
            r#"content_type = "application/pdf""#,
            "content_type:pdf",
            "NOT (content_type:text OR user_defined_id = u1)",
        ] {
            let server = serve(&[reply]);
            assert_eq!(listed(&server, dialect, filter).await.unwrap().len(), 1, "{dialect}: {filter}");
        }
    }
}

#[tokio::test]
async fn conditions_on_fields_missing_from_listings_are_refused_before_any_request() {
    for (dialect, filter, named) in [
        ("auto", "NOT path:x", "gateway"),
        ("auto", "url:cdn", "openai"),
        ("openai", r#"status != "failed""#, "gateway"),
        ("openai", "content_type = 'application/json'", "gateway"),
        ("openai", "content_type:pdf OR checksums.blake3 = null", "gateway"),
        ("gateway", "NOT url:cdn", "openai"),
    ] {
        let server = serve(&[]);
        let error = listed(&server, dialect, filter).await.unwrap_err();
        let hint = format!("`-p work --wire-dialect {named}` returns ");
        assert_eq!(error.kind(), Kind::Unsupported, "{filter}: {error}");
        assert!(error.hints().iter().any(|text| text.starts_with(&hint)), "{filter}: {:?}", error.hints());
        assert!(server.lines().is_empty(), "{filter}");
    }
}

/// A host may respond in a dialect other than that of the profile, with fewer fields.
#[tokio::test]
async fn a_response_in_another_dialect_contains_fewer_fields() {
    for filter in ["NOT path:keep", "status != \"failed\"", "checksums.blake3 = null"] {
        let server = serve(&[LIST_OPENAI]);
        let error = listed(&server, "gateway", filter).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{filter}: {error}");
        assert_eq!(error.hints(), ["the server does not use the dialect of this profile"]);
    }
    // The platform compares these fields in either dialect.
    for filter in ["content_type:pdf", r#"upload_status = "Complete""#, "size > 1"] {
        let server = serve(&[LIST_OPENAI]);
        assert_eq!(listed(&server, "gateway", filter).await.unwrap().len(), 1, "{filter}");
    }
    let server = serve(&[LIST_GATEWAY]);
    assert_eq!(listed(&server, "openai", "NOT url:cdn").await.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn a_listing_ends_in_each_of_the_three_ways() {
    let two = Query { page_size: Some(2), ..Query::default() };
    let next = async |reply: &str, cursor: Option<&str>| {
        let server = serve(&[reply]);
        open(&server, "auto", &[]).list(&two, cursor).await.unwrap().next
    };
    assert_eq!(next(&page(2, "t2"), Some("t1")).await.as_deref(), Some("t2"));
    assert_eq!(next(&page(0, "t2"), Some("t1")).await, None, "an empty page");
    assert_eq!(next(&page(1, "t2"), Some("t1")).await, None, "a short page");
    assert_eq!(next(&page(2, ""), Some("t1")).await, None, "no token");
    assert_eq!(next(r#"{"data":[{"id":"a"},{"id":"b"}],"pagination_token":null}"#, None).await, None);
    assert_eq!(next(&page(2, "t1"), Some("t1")).await.as_deref(), Some("t1"), "which the listing refuses");
    assert_eq!(next("{}", None).await, None, "an empty list of the gateway");
    assert_eq!(next(r#"{"files":null,"data":[]}"#, None).await, None);
}

#[tokio::test]
async fn a_page_in_the_other_dialect_is_continued_in_that_dialect() {
    let server = serve(&[LIST_GATEWAY, LIST_GATEWAY]);
    let xai = open(&server, "auto", &[]);
    let sort = Some(Sort { field: "created_at".into(), descending: true });
    let one = Query { page_size: Some(1), sort, ..Query::default() };
    let first = xai.list(&one, None).await.unwrap();
    assert_eq!(first.files[0].checksums.blake3.as_deref(), Some(HASH));
    assert_eq!(first.next.as_deref(), Some("next_token:dG9rZW4="));
    let second = xai.list(&one, first.next.as_deref()).await.unwrap();
    assert_eq!(second.next, first.next, "which the listing refuses");
    assert_eq!(
        server.lines(),
        [
            "GET /v1/files?limit=1&order=desc&sort_by=created_at",
            "GET /v1/files?limit=1&order=DESCENDING&sort_by=created_at&next_token=dG9rZW4%3D",
        ]
    );
}

#[tokio::test]
async fn without_a_token_the_next_page_starts_after_the_last_id() {
    let reply = r#"{"data":[{"id":"file_1"},{"id":"file_2"}],"has_more":true}"#;
    let server = serve(&[reply, r#"{"data":[],"has_more":false}"#]);
    let xai = open(&server, "openai", &[]);
    // Even if the page is shorter than requested.
    let three = Query { page_size: Some(3), ..Query::default() };
    let first = xai.list(&three, None).await.unwrap();
    assert_eq!(xai.list(&three, first.next.as_deref()).await.unwrap().next, None);
    assert_eq!(server.lines()[1], "GET /v1/files?limit=3&after=file_2");
}

// Sections 4.3 to 4.5: info, delete, content.

#[tokio::test]
async fn an_id_stays_one_path_segment_and_the_team_is_sent() {
    let server = serve(&[FILE_GATEWAY]);
    open(&server, "gateway", &[("team_id", "t1")]).stat(&FileId::from("a/../b c")).await.unwrap();
    assert_eq!(server.lines(), ["GET /v1/files/a%2F..%2Fb%20c?team_id=t1"]);
    let error = open(&server, "auto", &[]).stat(&FileId::from("..")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test]
async fn a_deletion_succeeds_unless_the_response_denies_it() {
    let whole = r#"{"id":"x","deleted":true,"object":"file"}"#;
    for body in [DELETED, whole, "{}", ""] {
        let server = serve(&[body]);
        open(&server, "auto", &[]).delete(&id()).await.unwrap();
        assert_eq!(server.lines(), [format!("DELETE /v1/files/{ID}")]);
    }
    let server = serve(&[r#"{"id":"x","deleted":false}"#]);
    let error = open(&server, "auto", &[]).delete(&id()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Platform);
    let server = serve(&["{}"]);
    open(&server, "auto", &[("team_id", "t1")]).delete(&id()).await.unwrap();
    assert_eq!(server.lines(), [format!("DELETE /v1/files/{ID}?team_id=t1")]);
}

#[tokio::test]
async fn content_is_returned_unchanged_or_as_text() {
    for (dialect, set, target) in [
        ("auto", &[][..], "content"),
        ("openai", &[("format", "text")][..], "content?format=text"),
        ("gateway", &[("format", "text")][..], "content?format=DOWNLOAD_FORMAT_TEXT"),
        (
            "auto",
            &[("format", "text"), ("page_number", "2")][..],
            "content?format=DOWNLOAD_FORMAT_TEXT&page_number=2",
        ),
        ("gateway", &[("team_id", "t1")][..], "content?team_id=t1"),
    ] {
        let server = Server::start([Answer::new(200, "hello")]);
        let content = open(&server, dialect, set).download(&id(), None).await.unwrap();
        assert_eq!(content.derived, set.contains(&("format", "text")), "its size is not the file's");
        assert_eq!((content.start, bytes(content).await), (0, b"hello".to_vec()));
        assert_eq!(server.lines(), [format!("GET /v1/files/{ID}/{target}")]);
    }
}

#[tokio::test]
async fn an_ignored_range_starts_at_zero() {
    let server = Server::start([Answer::new(200, "hello")]);
    let range = Some(Range { from: 3, ..Range::default() });
    let content = open(&server, "auto", &[]).download(&id(), range).await.unwrap();
    assert_eq!(server.only().header("range"), Some("bytes=3-"));
    assert_eq!(content.start, 0);
}

#[tokio::test]
async fn a_presigned_url_is_fetched_without_the_token() {
    let storage = Server::start([Answer::new(200, "hello")]);
    let reply = format!(r#"{{"presigned_url":"{}/b/o?sig=1","expires_in_seconds":"900"}}"#, storage.origin());
    let server = serve(&[&reply]);
    let xai = open(&server, "auto", &[("via", "download"), ("team_id", "t1")]);
    let content = xai.download(&id(), None).await.unwrap();
    assert_eq!(bytes(content).await, b"hello");
    assert_eq!(server.lines(), ["POST /v1/files:download"]);
    assert_eq!(only_body(&server), json!({ "team_id": "t1", "file_id": ID }));
    assert_eq!(storage.lines(), ["GET /b/o?sig=1"]);
    assert_eq!(storage.only().header("authorization"), None);

    let inline = serve(&[r#"{"presigned_url":"","expires_in_seconds":"0"}"#]);
    let xai = open(&inline, "gateway", &[("via", "download"), ("format", "text")]);
    let error = xai.download(&id(), None).await.err().unwrap();
    assert!(error.message().contains("no presigned URL"), "{error}");
    assert_eq!(only_body(&inline), json!({ "file_id": ID, "format": "DOWNLOAD_FORMAT_TEXT" }));
}

#[tokio::test]
async fn a_link_of_the_gateway_is_a_presigned_url() {
    let server =
        serve(&[r#"{"presigned_url":"https://storage.example/o?sig=1","expires_in_seconds":"900"}"#]);
    let xai = open(&server, "gateway", &[]);
    let link = xai.link(&id(), None).await.unwrap();
    assert_eq!(link.url, "https://storage.example/o?sig=1");
    assert_eq!(link.expires_at, Some(Timestamp::from_second(1_755_000_900).unwrap()));
    assert_eq!(xai.links(&id()).await.unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(xai.unlink(&id(), None).await.unwrap_err().kind(), Kind::Unsupported);
}

// Section 4.6: PUT.

#[tokio::test]
async fn name_type_and_path_are_changed_by_put() {
    let patch = Patch {
        name: Some("new.txt".into()),
        content_type: Some("text/markdown".into()),
        path: Some("a/b".into()),
        ..Patch::default()
    };
    let server = serve(&[FILE_GATEWAY]);
    let file = open(&server, "auto", &[("team_id", "t1")]).annotate(&id(), &patch).await.unwrap();
    assert_eq!(file.name, "report.txt", "as in the response");
    let request = server.only();
    assert_eq!(request.line(), format!("PUT /v1/files/{ID}"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = r#"{"team_id":"t1","name":"new.txt","content_type":"text/markdown","file_path":"a/b"}"#;
    assert_eq!(request.text(), body);
}

#[tokio::test]
async fn custom_metadata_is_refused() {
    let server = serve(&[]);
    let patch = Patch { unset: vec!["a".into()], ..Patch::default() };
    let error = open(&server, "gateway", &[]).annotate(&id(), &patch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn new_content_is_sent_by_put_in_base64() {
    let server = serve(&[FILE_GATEWAY]);
    open(&server, "auto", &[]).replace(&id(), &hello(), silent()).await.unwrap();
    let request = server.only();
    assert_eq!(request.line(), format!("PUT /v1/files/{ID}"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = r#"{"name":"hello.txt","content_type":"text/plain","data":"aGVsbG8="}"#;
    assert_eq!(request.text(), body);
    assert_eq!(request.header("content-length"), Some(body.len().to_string().as_str()));
    // The name may have changed since it was read, so it is not sent.
    let server = serve(&[FILE_GATEWAY]);
    let new = NewFile { keeps_name: true, ..hello() };
    open(&server, "auto", &[]).replace(&id(), &new, silent()).await.unwrap();
    assert_eq!(server.only().text(), r#"{"content_type":"text/plain","data":"aGVsbG8="}"#);
}

#[tokio::test]
async fn a_host_without_put_is_distinguished_from_a_missing_file() {
    let patch = Patch { name: Some("n".into()), ..Patch::default() };
    let missing = || Answer::new(404, r#"{"code":"Some requested entity was not found","error":"gone"}"#);
    let change = async |replies: Vec<Answer>| {
        let server = Server::start(replies);
        (open(&server, "auto", &[]).annotate(&id(), &patch).await.unwrap_err(), server.lines().len())
    };
    let (error, requests) = change(vec![Answer::new(405, "")]).await;
    assert_eq!((error.kind(), requests), (Kind::Unsupported, 1));
    let (error, requests) = change(vec![missing(), Answer::json(FILE_OPENAI)]).await;
    assert_eq!((error.kind(), requests), (Kind::Unsupported, 2));
    let (error, requests) = change(vec![missing(), missing()]).await;
    assert_eq!((error.kind(), requests), (Kind::NotFound, 2));

    let server = serve(&[]);
    let openai = open(&server, "openai", &[]);
    assert_eq!(openai.annotate(&id(), &patch).await.unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(openai.replace(&id(), &hello(), silent()).await.unwrap_err().kind(), Kind::Unsupported);
    assert!(server.requests().is_empty(), "refused before any request");
}

// Section 4.7: chunks.

#[tokio::test]
async fn chunks_are_lines_of_json_after_an_initialization() {
    let started = format!(r#"{{"file_id":"{ID}","metadata":{FILE_GATEWAY}}}"#);
    let server = serve(&[&started, FILE_GATEWAY]);
    let content = vec![7; 3 * 1024 * 1024 + 2];
    let file =
        NewFile { expires: Some(SignedDuration::from_hours(1)), ..NewFile::from_bytes("big.bin", content) };
    let uploaded = open(&server, "auto", &[("via", "chunks")]).upload(&file, silent()).await.unwrap();
    assert_eq!(uploaded.id, id());
    assert_eq!(server.lines(), ["POST /v1/files:initialize", "POST /v1/files:uploadChunks"]);
    let [start, chunks] = &server.requests()[..] else { panic!("two requests") };
    assert_eq!(
        start.text(),
        r#"{"name":"big.bin","content_type":"application/octet-stream","expires_after":3600}"#
    );
    let text = chunks.text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["file_id"], ID);
    assert_eq!(lines[0]["chunk"].as_str().map(str::len), Some(4 * 1024 * 1024));
    assert_eq!(lines[1], json!({ "file_id": ID, "chunk": "Bwc=" }));
}

#[tokio::test]
async fn the_record_of_a_failed_chunked_upload_is_deleted() {
    let started = format!(r#"{{"file_id":"{ID}"}}"#);
    let failed = Answer::new(400, r#"{"error":"bad chunk"}"#);
    let server = Server::start([Answer::json(started), failed, Answer::json("{}")]);
    let xai = open(&server, "gateway", &[("via", "chunks")]);
    let error = xai.upload(&hello(), silent()).await.unwrap_err();
    assert!(error.to_string().contains("bad chunk"), "{error}");
    assert_eq!(server.lines()[2], format!("DELETE /v1/files/{ID}"));

    let server = Server::start([Answer::new(404, "")]);
    let error = open(&server, "auto", &[("via", "chunks")]).upload(&hello(), silent()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

// Section 4.8: public URLs.

#[tokio::test]
async fn a_public_url_is_created_listed_and_revoked() {
    let server = serve(&[PUBLIC_URL, PUBLIC_URL, FILE_PUBLIC, FILE_OPENAI, REVOKED]);
    let xai = open(&server, "auto", &[]);
    let link = xai.link(&id(), Some(SignedDuration::from_hours(1))).await.unwrap();
    let url = format!("https://files-cdn.x.ai/ZsqeMtdcSYWPPHTQdxXDKQ/{ID}.png");
    let expected = Link { id: None, url, expires_at: Some(Timestamp::from_second(1_755_600_000).unwrap()) };
    assert_eq!(link, expected);
    xai.link(&id(), None).await.unwrap();
    assert_eq!(xai.links(&id()).await.unwrap(), [expected]);
    assert_eq!(xai.links(&id()).await.unwrap(), []);
    xai.unlink(&id(), None).await.unwrap();
    let requests = server.requests();
    let sent = |n: usize| (requests[n].line(), requests[n].text());
    assert_eq!(sent(0), (format!("POST /v1/files/{ID}/public-url"), r#"{"expires_after":3600}"#.to_owned()));
    assert_eq!(sent(1), (format!("POST /v1/files/{ID}/public-url"), "{}".to_owned()));
    assert_eq!(sent(4), (format!("POST /v1/files/{ID}/public-url/revoke"), String::new()));
}

#[tokio::test]
async fn revoking_an_unknown_link_fails() {
    let server = serve(&[r#"{"id":"x","revoked":false}"#, FILE_PUBLIC]);
    let xai = open(&server, "openai", &[]);
    assert_eq!(xai.unlink(&id(), None).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(xai.unlink(&id(), Some("https://other.example/")).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(server.requests().len(), 2, "the other link is looked up and not revoked");
}
