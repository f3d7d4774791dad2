//! Activeloop over a socket: the requests, byte for byte, and every response in the contract.

use crate::support::clock_at;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::Filter;
use haul::model::{File, FileId, NewFile, Object, Patch};
use haul::progress::silent;
use haul::providers::{Provider, Query, Range, Sort, find};
use jiff::Timestamp;
use serde_json::{Value, json};

const TOKEN: &str = "al_fake_token_for_local_test";
const LAST: &str = "a1ae0d7dbfff4325af4acc04556d3607";
const DEFAULT: &[(&str, &str)] = &[("workspace", "default")];

const FILE: &str = include_str!("file.json");
const LIST: &str = include_str!("list.json");
const DELETED: &str = include_str!("delete.json");

fn try_open(server: &Server, token: &str, set: &[(&str, &str)]) -> Result<Box<dyn Provider>, Error> {
    let activeloop = find("activeloop").expect("a registered provider");
    let clock = clock_at(1_755_000_000);
    Profile { token: Some(token), set, clock, ..Profile::new(activeloop, &server.url) }.open()
}

fn open(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(server, TOKEN, set).expect("a provider")
}

fn serve(replies: &[&str]) -> Server {
    Server::start(replies.iter().map(|body| Answer::json(*body)))
}

fn id() -> FileId {
    FileId::from("a1ae")
}

fn object(value: Value) -> Object {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".into(), ..NewFile::from_bytes("hello.txt", "Hello, world!") }
}

/// A file with the tests' id and this metadata.
fn with(metadata: &Value) -> String {
    json!({ "id": "a1ae", "object": "file", "metadata": metadata }).to_string()
}

// Section 1: base URL, token, organization.

#[tokio::test]
async fn a_base_url_with_a_slash_and_a_token_with_its_prefix_are_the_same() {
    let server = serve(&[FILE]);
    let activeloop = try_open(&server, &format!("Bearer {TOKEN}"), &[("org_id", "org_1")]).unwrap();
    activeloop.stat(&id()).await.unwrap();
    let request = server.only();
    assert_eq!(request.line(), "GET /files/a1ae");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(request.header("x-activeloop-org-id"), Some("org_1"));
}

// Section 2: the file object.

#[tokio::test]
async fn the_documented_file_is_parsed() {
    let server = serve(&[FILE]);
    let file = open(&server, DEFAULT).stat(&id()).await.unwrap();
    assert_eq!(server.lines(), ["GET /files/a1ae?workspace=default"]);
    let second = Timestamp::from_second(1).unwrap();
    let extra = json!({
        "object": "file", "status_details": "text", "org_id": "text", "workspace_id": "default", "user_id": "text"
    });
    let expected = File {
        provider: "activeloop".into(),
        profile: "work".into(),
        id: FileId::from("text"),
        name: "text".into(),
        size: Some(1),
        purpose: Some("user_data".into()),
        status: Some("uploaded".into()),
        created_at: Some(second),
        expires_at: Some(second),
        metadata: object(json!({ "ANY_ADDITIONAL_PROPERTY": "anything" })),
        extra: object(extra),
        ..File::default()
    };
    assert_eq!(file, expected);
}

#[tokio::test]
async fn lenient_file_objects_are_parsed() {
    let loose = r#"{"id":"f","bytes":"5","created_at":"1752000000","filename":null,"purpose":null,
        "status":"reticulating","status_details":null,"expires_at":null,"metadata":"{\"a\":1}","new":[1]}"#;
    let server = serve(&[loose, r#"{"id":"f","metadata":[1]}"#, r#"{"id":"f"}"#]);
    let activeloop = open(&server, &[]);
    let file = activeloop.stat(&id()).await.unwrap();
    assert_eq!((file.size, file.name.as_str(), file.purpose.as_deref()), (Some(5), "", None));
    assert_eq!(file.status.as_deref(), Some("reticulating"));
    assert_eq!(file.metadata, object(json!({ "a": 1 })));
    assert_eq!(file.extra["new"], json!([1]));
    let odd = activeloop.stat(&id()).await.unwrap();
    assert!(odd.metadata.is_empty());
    assert_eq!(odd.extra["metadata"], json!([1]));
    assert!(activeloop.stat(&id()).await.unwrap().metadata.is_empty());
}

// Section 3.1: upload.

#[tokio::test]
async fn an_upload_with_all_fields_equals_the_captured_request() {
    let server = serve(&[FILE]);
    let file = NewFile { metadata: object(json!({ "author": "hegel" })), ..hello() };
    let set = [("workspace", "default"), ("instructions", "extract dates")];
    open(&server, &set).upload(&file, silent()).await.unwrap();
    // The captured client inserted a space into its JSON, so its body was one byte longer.
    server.only().assert_is(include_str!("upload-all.http"));
}

#[tokio::test]
async fn names_are_sent_as_utf_8_with_encoded_quotes() {
    let server = serve(&[FILE]);
    let file =
        NewFile {
            name: r#"naïve "q" 日本.pdf"#.into(), content_type: "application/pdf".into(), ..hello()
        };
    open(&server, &[]).upload(&file, silent()).await.unwrap();
    server.only().assert_is(include_str!("upload-name.http"));
}

#[tokio::test]
async fn several_files_are_sent_in_one_request_and_returned_in_any_shape() {
    let metadata = object(json!({ "author": "hegel" }));
    let files = [
        NewFile { metadata: metadata.clone(), ..hello() },
        NewFile { metadata, ..NewFile::from_bytes("noext", "x") },
    ];
    let items = r#"[{"id":"2","filename":"noext"},{"id":"1","filename":"hello.txt"}]"#;
    for reply in [items.to_owned(), format!(r#"{{"object":"list","data":{items}}}"#)] {
        let server = serve(&[&reply]);
        let uploaded = open(&server, &[]).upload_together(&files, &[silent(), silent()]).await.unwrap();
        let ids: Vec<&str> = uploaded.iter().map(|file| file.id.as_str()).collect();
        assert_eq!(ids, ["1", "2"], "in the order of the request");
        server.only().assert_is(include_str!("upload-two.http"));
    }
    let server = serve(&[r#"{"id":"1"}"#]);
    let error = open(&server, &[]).upload_together(&files, &[silent(), silent()]).await.unwrap_err();
    assert!(error.message().contains("received 2 files but returned 1"), "{error}");
}

#[tokio::test]
async fn a_single_file_is_returned_as_an_object_an_array_or_a_list() {
    for reply in [r#"{"id":"1"}"#, r#"[{"id":"1"}]"#, r#"{"object":"list","data":[{"id":"1"}]}"#] {
        let server = serve(&[reply]);
        let uploaded = open(&server, &[]).upload(&hello(), silent()).await.unwrap();
        assert_eq!(uploaded.id.as_str(), "1", "{reply}");
    }
    for reply in ["{}", "[]", "null", r#"{"data":7}"#, "<html>", "", r#"[{"id":"1"}"#, r#"[{"name":"x"}]"#] {
        let server = serve(&[reply]);
        let error = open(&server, &[]).upload(&hello(), silent()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{reply}: {error}");
    }
}

#[tokio::test]
async fn files_with_different_shared_fields_are_not_sent_together() {
    let server = serve(&[]);
    let files = [hello(), NewFile { purpose: Some("evals".into()), ..hello() }];
    let error = open(&server, &[]).upload_together(&files, &[silent(), silent()]).await.unwrap_err();
    assert_eq!((error.kind(), server.requests().len()), (Kind::Usage, 0));
}

// Sections 3.2 and 4: list and filter.

fn filtered(filter: &str) -> Query {
    let now = Timestamp::from_second(1_755_000_000).expect("a time");
    let filter = Filter::parse(filter, now).expect("a filter");
    Query { filter: Some(filter), ..Query::default() }
}

async fn target_of(set: &[(&str, &str)], query: Query, cursor: Option<&str>) -> String {
    let server = serve(&[LIST]);
    open(&server, set).list(&query, cursor).await.expect("a page");
    server.only().target
}

#[tokio::test]
async fn a_listing_equals_the_captured_request_with_spaces_encoded_by_rfc_3986() {
    let sort = Some(Sort { field: "created_at".into(), descending: true });
    let query = Query {
        sort,
        page_size: Some(1),
        ..filtered("purpose = user_data AND metadata.author = hegel AND size > 5")
    };
    let captured = "/files?limit=1&order=desc&purpose=user_data&workspace=default&filter=metadata.author+%3D%3D+%27hegel%27";
    let captured = captured.replace('+', "%20");
    assert_eq!(target_of(DEFAULT, query.clone(), None).await, captured);
    assert_eq!(target_of(DEFAULT, query, Some(LAST)).await, format!("{captured}&after={LAST}"));
    assert_eq!(target_of(&[], Query::default(), None).await, "/files?limit=1000");
    let few = Query { limit: Some(3), ..Query::default() };
    assert_eq!(target_of(&[], few, None).await, "/files?limit=3");
    let most = Query { page_size: Some(99_999), ..Query::default() };
    assert_eq!(target_of(&[], most, None).await, "/files?limit=10000");
    let by_name = Query { sort: Some(Sort { field: "name".into(), descending: true }), ..Query::default() };
    assert_eq!(target_of(&[], by_name, None).await, "/files?limit=1000");
}

#[tokio::test]
async fn a_filter_is_sent_if_it_cannot_lose_a_file() {
    for (ours, theirs) in [
        (r#"metadata.a = "it's""#, Some(r#"metadata.a == "it's""#)),
        ("metadata.a = x OR metadata.b = y", Some("(metadata.a == 'x' or metadata.b == 'y')")),
        ("metadata.a = null AND metadata.b:*", Some("metadata.a is null and metadata.b is not null")),
        ("metadata.a = true", Some("(metadata.a == true or metadata.a == 'true')")),
        ("metadata.a = x AND name:report", Some("metadata.a == 'x'")),
        (r#"metadata.a = "2020""#, None),
        ("metadata.a = 2020", None),
        ("metadata.a != x", None),
        ("metadata.a:x", None),
        (r#"metadata."a b" = x"#, None),
        ("metadata.or = x", None),
        (r#"metadata.a = "x'\"y""#, None),
        ("metadata.a = x OR name:report", None),
        ("NOT metadata.a = x", None),
        ("purpose = weird", None),
    ] {
        let target = target_of(&[], filtered(ours), None).await;
        let url = url::Url::parse(&format!("http://host{target}")).unwrap();
        let sent = url.query_pairs().find(|(key, _)| key == "filter").map(|(_, value)| value.into_owned());
        assert_eq!(sent.as_deref(), theirs, "{ours}");
        assert!(!target.contains("purpose"), "{target}");
    }
}

#[tokio::test]
async fn a_listing_ends_if_the_platform_says_so_or_a_page_is_short() {
    let two = Query { page_size: Some(2), ..Query::default() };
    let next = async |reply: &str, cursor: Option<&str>| {
        let server = serve(&[reply]);
        open(&server, &[]).list(&two, cursor).await.unwrap().next
    };
    assert_eq!(next(LIST, None).await.as_deref(), Some(LAST), "a short page that announces another one");
    let page = r#"{"data":[{"id":"a"},{"id":"b"}]}"#;
    assert_eq!(next(page, None).await.as_deref(), Some("b"), "a full page without `has_more`");
    assert_eq!(next(r#"{"data":[{"id":"a"}]}"#, None).await, None, "a short page");
    assert_eq!(next(r#"{"data":[{"id":"a"},{"id":"b"}],"has_more":false}"#, None).await, None);
    let empty = r#"{"data":[],"has_more":true,"last_id":"x"}"#;
    assert_eq!(next(empty, None).await.as_deref(), Some("x"), "an empty page with a cursor");
    assert_eq!(
        next(page, Some("b")).await.as_deref(),
        Some("b"),
        "the same cursor again, which the listing refuses"
    );
    assert_eq!(next(r#"{"object":"list","data":null}"#, None).await, None);
    let server = serve(&[r#"{"data":[],"has_more":true}"#]);
    let error = open(&server, &[]).list(&two, None).await.unwrap_err();
    assert_eq!(error.message(), "activeloop reports another page but returned no cursor for it");
}

// Sections 3.3 to 3.5: retrieve, delete, content.

#[tokio::test]
async fn a_deletion_succeeds_unless_the_response_denies_it() {
    for body in [DELETED, "{}", "", "null"] {
        let server = serve(&[body]);
        open(&server, DEFAULT).delete(&id()).await.unwrap();
        assert_eq!(server.lines(), ["DELETE /files/a1ae?workspace=default"]);
    }
    let server = serve(&[r#"{"id":"a1ae","deleted":false}"#]);
    assert_eq!(open(&server, &[]).delete(&id()).await.unwrap_err().kind(), Kind::Platform);
}

#[tokio::test]
async fn content_follows_a_redirect_without_the_token() {
    let storage = Server::start([Answer::new(200, "Hello, world!")]);
    let redirect = Answer::new(307, "").header("Location", storage.at("/o?sig=1"));
    let server = Server::start([redirect]);
    let set = [("workspace", "default"), ("org_id", "org_1")];
    let range = Some(Range { from: 3, ..Range::default() });
    let content = open(&server, &set).download(&id(), range).await.unwrap();
    assert_eq!(content.start, 0, "an ignored range starts at zero");
    assert_eq!(content.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"Hello, world!");
    assert_eq!(server.lines(), ["GET /files/a1ae/content?workspace=default"]);
    assert_eq!(server.only().header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let away = storage.only();
    assert_eq!(away.line(), "GET /o?sig=1");
    assert_eq!((away.header("authorization"), away.header("x-activeloop-org-id")), (None, None));
}

// Section 3.6: metadata.

fn set(metadata: Value) -> Patch {
    Patch { set: object(metadata), ..Patch::default() }
}

#[tokio::test]
async fn a_metadata_change_equals_the_captured_request() {
    let answer = with(&json!({ "author": "kant", "year": 1781 }));
    let server = serve(&[&with(&json!({ "author": "hegel" })), &answer]);
    let patch = set(json!({ "author": "kant", "instructions": "add year" }));
    let file = open(&server, DEFAULT).annotate(&id(), &patch).await.unwrap();
    assert_eq!(file.metadata, object(json!({ "author": "kant", "year": 1781 })), "as in the response");
    assert_eq!(server.lines()[0], "GET /files/a1ae?workspace=default");
    server.requests()[1].assert_is(include_str!("metadata.http"));
}

#[tokio::test]
async fn unchanged_keys_are_sent_with_the_change() {
    let server = serve(&[&with(&json!({ "a": 1 })), &with(&json!({ "a": 1, "b": 2 }))]);
    open(&server, &[]).annotate(&id(), &set(json!({ "b": 2 }))).await.unwrap();
    assert_eq!(server.requests()[1].text(), r#"{"a":1,"b":2}"#);
}

#[tokio::test]
async fn after_a_response_without_the_file_it_is_requested() {
    for answer in ["", "null", "{}", r#"{"a":1}"#, r#"{"id":"another"}"#] {
        let server = serve(&[&with(&json!({})), answer, &with(&json!({ "a": 1 }))]);
        let file = open(&server, &[]).annotate(&id(), &set(json!({ "a": 1 }))).await.unwrap();
        assert_eq!(file.metadata, object(json!({ "a": 1 })), "{answer}");
        assert_eq!(server.lines().len(), 3);
    }
}

#[tokio::test]
async fn a_key_that_was_not_removed_is_reported() {
    let patch = Patch { unset: vec!["a".into()], ..Patch::default() };
    let server = serve(&[&with(&json!({ "a": 1, "b": 2 })), &with(&json!({ "a": 1, "b": 2 }))]);
    let error = open(&server, &[]).annotate(&id(), &patch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("did not remove a, because it only merges"), "{error}");
    assert_eq!(server.requests()[1].text(), r#"{"b":2}"#);

    let server = serve(&[&with(&json!({ "a": 1, "b": 2 })), &with(&json!({ "b": 2 }))]);
    let file = open(&server, &[]).annotate(&id(), &patch).await.unwrap();
    assert_eq!(file.metadata, object(json!({ "b": 2 })));

    let replace = Patch { set: object(json!({ "c": 3 })), replace: true, ..Patch::default() };
    let server = serve(&[&with(&json!({ "a": 1 })), &with(&json!({ "c": 3 }))]);
    open(&server, &[]).annotate(&id(), &replace).await.unwrap();
    assert_eq!(server.requests()[1].text(), r#"{"c":3}"#);
}

#[tokio::test]
async fn another_method_is_learned_once() {
    let refused = Answer::new(405, r#"{"detail":"Method Not Allowed"}"#).header("Allow", "GET, PATCH");
    let file = || Answer::json(with(&json!({})));
    let server = Server::start([file(), refused, file(), file(), file()]);
    let activeloop = open(&server, &[]);
    activeloop.annotate(&id(), &set(json!({ "a": 1 }))).await.unwrap();
    activeloop.annotate(&id(), &set(json!({ "a": 1 }))).await.unwrap();
    let methods: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET", "PUT", "PATCH", "GET", "PATCH"]);
}

#[tokio::test]
async fn a_method_can_be_set_and_a_missing_method_is_an_error() {
    let server = serve(&[&with(&json!({})), &with(&json!({}))]);
    open(&server, &[("metadata_method", "post")]).annotate(&id(), &set(json!({ "a": 1 }))).await.unwrap();
    assert_eq!(server.requests()[1].method, "POST");

    for allow in ["GET", "PUT", ""] {
        let refused = Answer::new(405, "").header("Allow", allow);
        let server = Server::start([Answer::json(with(&json!({}))), refused]);
        let error = open(&server, &[]).annotate(&id(), &set(json!({ "a": 1 }))).await.unwrap_err();
        assert_eq!((error.kind(), server.requests().len()), (Kind::Unsupported, 2), "Allow: {allow}");
    }
    let error = try_open(&serve(&[]), TOKEN, &[("metadata_method", "GET")]).err().unwrap();
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test]
async fn unsupported_operations_are_refused() {
    let server = serve(&[]);
    let activeloop = open(&server, &[]);
    let rename = Patch { name: Some("n".into()), ..Patch::default() };
    let kinds = [
        activeloop.annotate(&id(), &rename).await.unwrap_err().kind(),
        activeloop.link(&id(), None).await.unwrap_err().kind(),
        activeloop.links(&id()).await.unwrap_err().kind(),
        activeloop.unlink(&id(), None).await.unwrap_err().kind(),
        activeloop.replace(&id(), &hello(), silent()).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [Kind::Unsupported; 5]);
    assert!(server.requests().is_empty());
}

// Section 5: errors.

#[tokio::test]
async fn every_error_shape_yields_its_message_and_kind() {
    let text = include_str!("errors.txt");
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks_exact(2) {
        let mut words = pair[0].splitn(3, ' ');
        let mut word = || words.next().expect("status, kind and message");
        let (status, kind, message) = (word().parse().expect("a status"), word(), word());
        let server = Server::start([Answer::new(status, pair[1])]);
        let error = open(&server, &[]).stat(&id()).await.unwrap_err();
        assert!(error.to_string().contains(message), "{}: {error}", pair[0]);
        assert!(kind == "-" || serde_json::json!(error.kind()) == kind, "{}: {:?}", pair[0], error.kind());
    }
}

#[tokio::test]
async fn an_invalid_response_is_a_platform_error() {
    for body in ["<html>", "", r#"{"data":[{"id":"f"#, "[]", "7", r#"{"data":[{"id":""}]}"#, "null"] {
        let server = serve(&[body, body]);
        let activeloop = open(&server, &[]);
        let error = activeloop.stat(&id()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
        let error = activeloop.list(&Query::default(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}
