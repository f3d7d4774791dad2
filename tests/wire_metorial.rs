//! Metorial over a socket: every dialect's spelling and objects, errors, links and who sees the token.

#[path = "wire/script.rs"]
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use haul::error::{Error, Kind};
use haul::filter::{Comparison, Expr, Filter, Op, Value};
use haul::http::{Client, Config, Policy};
use haul::model::{Clock, FileId, Link, NewFile, Patch};
use haul::progress::silent;
use haul::providers::{Connection, Provider, Query, Sort, Spec, find};
use haul::secret::Secret;
use jiff::SignedDuration;
use script::{Answer, Server};
use serde_json::json;

const SEED: &str = include_str!("wire/metorial/file-seed.json");
const PULSAR: &str = include_str!("wire/metorial/file-pulsar.json");
const MAGNETAR: &str = include_str!("wire/metorial/file-magnetar.json");
const UPLOADED: &str = include_str!("wire/metorial/file-magnetar-uploaded.json");
const DELETED: &str = include_str!("wire/metorial/file-deleted.json");
const LINK: &str = include_str!("wire/metorial/link.json");
const EMPTY_LIST: &str = include_str!("wire/metorial/list-empty.json");
const ID: &str = "fil_0mabc12defGHIJKLMNOPQR";
const FILES_HOST: &str = "https://files.metorial.com";

fn spec() -> &'static Spec {
    find("metorial").expect("registered")
}

fn connection(api: &Server, uploads: &Server, dialect: &str, set: &[(&str, &str)]) -> Connection {
    let (base_url, upload_base_url) = (api.url(), uploads.url());
    Connection {
        profile: "metorial".to_owned(),
        http: Client::new(Config {
            platform: "metorial",
            own: vec![base_url.clone(), upload_base_url.clone()],
            token: Some(Secret::new("metorial_sk_TEST")),
            token_hints: Vec::new(),
            timeout: Duration::from_secs(10),
            policy: Policy { attempts: 1, elapsed: Duration::from_secs(10) },
            cacert: None,
            insecure_http: false,
            rate: None,
            headers: Vec::new(),
            read_problem: spec().read_problem,
        }),
        base_url,
        upload_base_url,
        dialect: dialect.to_owned(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        secrets: BTreeMap::new(),
        clock: Clock(Some("2026-01-31T23:00:00Z".parse().expect("a time"))),
        data: std::path::PathBuf::new(),
    }
}

fn open_with(api: &Server, uploads: &Server, dialect: &str, set: &[(&str, &str)]) -> Box<dyn Provider> {
    (spec().open)(connection(api, uploads, dialect, set)).expect("opens")
}

fn open(api: &Server, dialect: &str) -> Box<dyn Provider> {
    open_with(api, api, dialect, &[])
}

fn hello() -> NewFile {
    NewFile { content_type: "text/plain".to_owned(), ..NewFile::from_bytes("hello.txt", "hello world") }
}

fn titled(title: &serde_json::Value) -> NewFile {
    let mut file = hello();
    file.metadata.insert("title".to_owned(), title.clone());
    file
}

async fn upload(provider: &dyn Provider, file: NewFile) -> Result<haul::model::File, Error> {
    provider.upload(&[file], &[silent()]).await.map(|mut files| files.remove(0))
}

async fn bytes_of(content: haul::http::Content) -> Vec<u8> {
    content.stream.try_collect::<Vec<Bytes>>().await.expect("all bytes").concat()
}

fn id() -> FileId {
    ID.into()
}

/// An answer of a server that speaks the dialect.
fn magnetar(body: &str) -> Answer {
    Answer::json(body).header("metorial-version", "2026-01-01")
}

fn pulsar(body: &str) -> Answer {
    Answer::json(body).header("metorial-version", "2025-01-01")
}

fn filter(field: &str, op: Op, value: Value) -> Filter {
    Filter { expr: Expr::Compare(Comparison { field: field.to_owned(), op, value }) }
}

fn asking(filter: Filter) -> Query {
    Query { filter: Some(filter), ..Query::default() }
}

#[tokio::test]
async fn the_file_of_every_dialect_decodes() {
    let server =
        Server::start(vec![Answer::json(SEED), pulsar(PULSAR), magnetar(MAGNETAR), magnetar(DELETED)]);
    let provider = open(&server, "auto");

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        serde_json::to_value(&file).unwrap(),
        json!({
            "provider": "metorial", "profile": "metorial", "id": "file_Rm4Mnheq2bfEPhBhP7SY",
            "name": "example.txt", "size": 1024, "content_type": "text/plain", "purpose": "attachment",
            "path": null, "status": null, "created_at": "2025-01-01T00:00:00Z", "updated_at": null,
            "expires_at": null, "checksums": {}, "metadata": {}, "downloadable": true, "url": null, "extra": {},
        })
    );

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        (file.name.as_str(), file.size, file.purpose.as_deref()),
        ("hello.txt", Some(11), Some("user_image"))
    );
    assert_eq!(file.metadata["title"], "Greeting");
    assert_eq!(file.updated_at, Some("2026-01-02T03:04:06.789Z".parse().unwrap()));
    assert_eq!(file.extra["purpose"]["name"], "User Image");
    assert_eq!(file.extra["__typename"], "file");

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!(
        (file.content_type.as_deref(), file.purpose.as_deref()),
        (Some("text/plain"), Some("generic"))
    );
    assert!(file.metadata.is_empty(), "a null title is none");
    assert_eq!(file.extra["created_by"], serde_json::Value::Null);

    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.status.as_deref(), file.downloadable), (Some("deleted"), Some(false)));
    assert_eq!(file.extra["created_by"]["type"], "organization_actor");

    assert_eq!(server.requests()[0].canonical(), include_str!("wire/metorial/request-get.http"));
}

#[tokio::test]
async fn loose_spellings_work_and_nonsense_is_named() {
    let loose = [
        r#"{"id":7,"name":"a","size":"12","created_at":1735689600,"purpose":"brand_new_word","status":"frozen"}"#,
        r#"{"id":"7","file_name":"a","name":"b","file_size":12.0,"size":3,"purpose":null,"new":{"x":1}}"#,
        r#"{"id":"7","file_size":null,"file_name":null,"created_at":"some day","file_type":{}}"#,
    ];
    let server = Server::start(loose.iter().map(|body| Answer::json(body)).collect());
    let provider = open(&server, "auto");
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.id.as_str(), file.size), ("7", Some(12)));
    assert_eq!(file.created_at, Some("2025-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!((file.purpose.as_deref(), file.status.as_deref()), (Some("brand_new_word"), Some("frozen")));
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size), ("a", Some(12)));
    assert_eq!(file.extra["new"]["x"], 1);
    let file = provider.stat(&id()).await.unwrap();
    assert_eq!((file.name.as_str(), file.size, file.created_at), ("", None, None));

    let nonsense = [
        "",
        "<html><body>Bad gateway</body></html>",
        r#"{"id":"fil_1","file_na"#,
        "{}",
        r#"{"id":""}"#,
        "[]",
    ];
    for body in nonsense {
        let server = Server::start(vec![Answer::json(body)]);
        let error = open(&server, "auto").stat(&id()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
    for body in ["", "{}", r#"{"items":null}"#, r#"{"items":[{"file_name":"x"}]}"#, r#"{"items":[{"id":"#] {
        let server = Server::start(vec![Answer::json(body)]);
        let error = open(&server, "auto").list(&Query::default(), None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
    }
}

#[tokio::test]
async fn a_listing_is_newest_first_and_goes_on_after_the_last_id() {
    let server = Server::start(vec![
        magnetar(include_str!("wire/metorial/list-magnetar.json")),
        pulsar(include_str!("wire/metorial/list-pulsar.json")),
        Answer::json(EMPTY_LIST),
        Answer::json(&format!("[{SEED}]")),
        Answer::json(&format!(r#"{{"data":[{SEED}]}}"#)),
        Answer::json(r#"{"items":[],"pagination":{"has_more_after":true}}"#),
    ]);
    let provider = open(&server, "auto");
    let page = provider.list(&Query::default(), None).await.unwrap();
    assert_eq!(page.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["b.txt", "a.txt"]);
    assert_eq!(page.next.as_deref(), Some("fil_1"));
    let oldest = Sort { field: "created_at".to_owned(), descending: false };
    let query = Query { sort: Some(oldest), page_size: Some(500), ..Query::default() };
    assert_eq!(provider.list(&query, page.next.as_deref()).await.unwrap().next.as_deref(), Some("fil_1"));
    let query = Query { limit: Some(5), ..Query::default() };
    let page = provider.list(&query, None).await.unwrap();
    assert_eq!((page.files.len(), page.next), (0, None));
    assert_eq!(provider.list(&query, None).await.unwrap().files.len(), 1, "a bare array");
    assert_eq!(provider.list(&query, None).await.unwrap().files.len(), 1, "`data`");
    let endless = provider.list(&query, None).await.unwrap_err();
    assert_eq!(endless.kind(), Kind::Platform);
    assert_eq!(
        server.lines()[..3],
        [
            "GET /files?limit=100&order=desc",
            "GET /files?limit=100&order=asc&after=fil_1",
            "GET /files?limit=5&order=desc"
        ]
    );
}

#[tokio::test]
async fn filters_are_pushed_down_in_brackets_and_repeated_keys() {
    let server = Server::start(vec![magnetar(EMPTY_LIST); 4]);
    let provider = open(&server, "magnetar");
    let time = Value::Time("2026-01-01T00:00:00Z".parse().unwrap());
    let text = |text: &str| Value::Text(text.to_owned());
    let both = filter("created_at", Op::Gt, time).and(filter("purpose", Op::Eq, text("generic")));
    let ids = ["a", "b"].map(|id| filter("id", Op::Eq, text(id)).expr);
    let query = Query { limit: Some(5), ..asking(both) };
    provider.list(&query, None).await.unwrap();
    provider.list(&asking(Filter { expr: Expr::Or(ids.to_vec()) }), None).await.unwrap();
    provider.list(&asking(filter("name", Op::Eq, text("x"))), None).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /files?limit=100&order=desc&created_at%5Bgt%5D=2026-01-01T00%3A00%3A00.000Z&purpose=generic",
            "GET /files?limit=100&order=desc&id=a&id=b",
            "GET /files?limit=100&order=desc",
        ]
    );
    assert_eq!(server.requests()[0].header("metorial-version"), Some("2026-01-01-magnetar"));
}

#[tokio::test]
async fn a_purpose_is_judged_by_the_dialect_before_it_is_pushed_down() {
    let server = Server::start(vec![Answer::json(EMPTY_LIST); 3]);
    let provider = open(&server, "auto");
    let purpose = |word: &str| asking(filter("purpose", Op::Eq, Value::Text(word.to_owned())));
    provider.list(&purpose("attachment"), None).await.unwrap();
    provider.list(&purpose("generic"), None).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /files?limit=1",
            "GET /files?limit=100&order=desc&purpose=attachment",
            "GET /files?limit=100&order=desc",
        ]
    );
}

#[tokio::test]
async fn scopes_go_as_header_query_and_form_fields() {
    let (api, uploads) = (Server::start(vec![pulsar(EMPTY_LIST)]), Server::start(vec![pulsar(PULSAR)]));
    let set = [("instance_id", "ins_1"), ("organization_id", "org_1")];
    let provider = open_with(&api, &uploads, "pulsar", &set);
    provider.list(&Query::default(), None).await.unwrap();
    upload(&*provider, hello()).await.unwrap();
    let listing = &api.requests()[0];
    assert_eq!(listing.header("metorial-instance-id"), Some("ins_1"));
    assert_eq!(listing.target, "/files?limit=100&order=desc&organization_id=org_1");
    assert_eq!(
        uploads.requests()[0].canonical(),
        include_str!("wire/metorial/request-upload-organization.http")
    );
}

#[tokio::test]
async fn related_objects_scope_a_magnetar_listing_and_are_refused_elsewhere() {
    let set = [("store_id", "str_1"), ("document_id", "doc_1"), ("file_link_id", "flk_1")];
    let server = Server::start(vec![magnetar(EMPTY_LIST)]);
    open_with(&server, &server, "magnetar", &set).list(&Query::default(), None).await.unwrap();
    assert_eq!(
        server.lines(),
        ["GET /files?limit=100&order=desc&store_id=str_1&document_id=doc_1&file_link_id=flk_1"]
    );
    let server = Server::start(vec![Answer::json(EMPTY_LIST)]);
    let provider = open_with(&server, &server, "auto", &set);
    let error = provider.list(&Query::default(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.message().contains("store_id") && error.message().contains("seed"), "{error}");
}

#[tokio::test]
async fn the_first_upload_learns_the_dialect_and_goes_to_the_upload_host() {
    let api = Server::start(vec![Answer::json(EMPTY_LIST)]);
    let uploads = Server::start(vec![Answer::json(SEED), Answer::json(SEED)]);
    let provider = open_with(&api, &uploads, "auto", &[]);
    assert!(provider.capabilities().upload.metadata, "not known yet what it can");
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!(file.id.as_str(), "file_Rm4Mnheq2bfEPhBhP7SY");
    upload(&*provider, hello()).await.unwrap();
    assert_eq!(api.lines(), ["GET /files?limit=1"], "asked once");
    assert_eq!(api.requests()[0].header("metorial-version"), None, "auto asks for no version");
    assert_eq!(uploads.requests()[0].canonical(), include_str!("wire/metorial/request-upload-seed.http"));
    assert!(!provider.capabilities().upload.metadata, "the seed has no title");

    // Any answer tells the dialect: none is asked for only that.
    let server = Server::start(vec![magnetar(MAGNETAR), magnetar(UPLOADED)]);
    let provider = open(&server, "auto");
    provider.stat(&id()).await.unwrap();
    let file = upload(&*provider, hello()).await.unwrap();
    assert_eq!(file.purpose.as_deref(), Some("generic"), "the object in an upload's answer");
    assert_eq!(server.lines(), [format!("GET /files/{ID}"), "POST /files".to_owned()]);
    assert!(server.requests()[1].text().contains("\r\n\r\ngeneric\r\n"));
}

#[tokio::test]
async fn a_version_that_is_not_known_is_taken_for_the_latest() {
    for (version, default) in [
        ("mt_2025_01_01_pulsar", Some("user_image")),
        ("2026-01-01", Some("generic")),
        ("2031-01-01", Some("generic")),
    ] {
        let server = Server::start(vec![Answer::json(MAGNETAR).header("metorial-version", version)]);
        let provider = open(&server, "auto");
        assert_eq!(provider.capabilities().upload.default_purpose, None);
        provider.stat(&id()).await.unwrap();
        assert_eq!(provider.capabilities().upload.default_purpose, default, "{version}");
    }
}

#[tokio::test]
async fn a_magnetar_upload_is_the_captured_one() {
    let server = Server::start(vec![magnetar(UPLOADED), magnetar(UPLOADED)]);
    let set = [("store_id", "str_1"), ("path", "docs/hello.txt")];
    let provider = open_with(&server, &server, "magnetar", &set);
    let file = upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    assert_eq!(file.metadata["title"], "Greeting");
    let captured = include_str!("wire/metorial/request-upload-magnetar.http");
    assert_eq!(server.requests()[0].canonical(), captured);
    // A folder takes the file's own name.
    let provider = open_with(&server, &server, "magnetar", &[("store_id", "str_1"), ("path", "docs/")]);
    upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    assert_eq!(server.requests()[1].canonical(), captured);
}

#[tokio::test]
async fn what_only_another_dialect_takes_is_refused_before_a_byte_is_sent() {
    let refused = [
        ("seed", vec![], titled(&json!("x")), Kind::Unsupported),
        ("pulsar", vec![], titled(&json!("x")), Kind::Unsupported),
        ("pulsar", vec![("store_id", "str_1")], hello(), Kind::Unsupported),
        ("seed", vec![("via", "presigned")], hello(), Kind::Unsupported),
        ("magnetar", vec![("path", "docs/")], hello(), Kind::Usage),
        ("magnetar", vec![("via", "pigeon")], hello(), Kind::Usage),
        ("magnetar", vec![], NewFile::from_bytes("empty", ""), Kind::Unsupported),
        ("magnetar", vec![("via", "direct")], NewFile { size: 200 << 20, ..hello() }, Kind::Unsupported),
        ("magnetar", vec![], NewFile { size: 3 << 30, ..hello() }, Kind::Unsupported),
        (
            "magnetar",
            vec![],
            {
                let mut file = hello();
                file.metadata.insert("a".into(), 1.into());
                file
            },
            Kind::Unsupported,
        ),
    ];
    for (dialect, set, file, kind) in refused {
        let server = Server::start(vec![]);
        let error = upload(&*open_with(&server, &server, dialect, &set), file).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{dialect} {set:?}: {error}");
        assert!(server.requests().is_empty(), "{dialect} {set:?}");
    }
    let server = Server::start(vec![]);
    let error = (spec().open)(connection(&server, &server, "quasar", &[])).err().expect("no such dialect");
    assert_eq!(error.kind(), Kind::Usage);
}

#[tokio::test]
async fn a_presigned_upload_puts_the_bytes_without_the_token() {
    let bucket = Server::start(vec![Answer::new(200, "")]);
    let pending = include_str!("wire/metorial/file-upload.json")
        .replace("https://bucket.example", bucket.url().as_str().trim_end_matches('/'));
    let uploads = Server::start(vec![magnetar(&pending), magnetar(UPLOADED)]);
    let api = Server::start(vec![]);
    let set =
        [("via", "presigned"), ("store_id", "str_1"), ("path", "docs/hello.txt"), ("store_replace", "true")];
    let provider = open_with(&api, &uploads, "magnetar", &set);
    let file = upload(&*provider, titled(&json!("Greeting"))).await.unwrap();
    assert_eq!(file.id.as_str(), ID);
    let sent: Vec<String> = uploads.requests().iter().map(script::Received::canonical).collect();
    assert_eq!(sent[0], include_str!("wire/metorial/request-presigned-begin.http"));
    assert_eq!(sent[1], include_str!("wire/metorial/request-presigned-complete.http"));
    assert_eq!(bucket.requests()[0].canonical(), include_str!("wire/metorial/request-presigned-put.http"));
    assert_eq!(bucket.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_file_too_large_for_a_form_goes_presigned_unasked() {
    let bucket = Server::start(vec![Answer::new(200, "")]);
    let pending = include_str!("wire/metorial/file-upload.json")
        .replace("https://bucket.example", bucket.url().as_str().trim_end_matches('/'));
    let server = Server::start(vec![magnetar(&pending), magnetar(UPLOADED)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let size = (100 << 20) + 1;
    file.as_file().set_len(size).unwrap();
    let source = haul::model::Source::Path(file.path().to_owned());
    upload(&*open(&server, "magnetar"), NewFile { source, size, ..hello() }).await.unwrap();
    assert!(server.requests()[0].text().contains(r#""file_size":104857601"#));
    assert_eq!(bucket.requests()[0].body.len() as u64, size);
}

#[tokio::test]
async fn deleting_says_what_the_platform_says() {
    let server = Server::start(vec![magnetar(DELETED)]);
    open(&server, "auto").delete(&id()).await.unwrap();
    assert_eq!(server.requests()[0].canonical(), include_str!("wire/metorial/request-delete.http"));

    let server =
        Server::start(vec![pulsar(include_str!("wire/metorial/error-400-blocked.json")).status(400)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.status(), Some(400));
    assert!(error.to_string().contains("deleting is blocked"), "{error}");

    // The second time: forbidden, and the file is still there to say why.
    let forbidden = magnetar(include_str!("wire/metorial/error-403-deleted.json"))
        .status(403)
        .header("metorial-req-id", "req_1");
    let server = Server::start(vec![forbidden, magnetar(DELETED)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert!(error.to_string().contains("a deleted file takes no actions"), "{error}");
    assert_eq!(error.request_id(), Some("req_1"));

    // Forbidden for another reason stays forbidden.
    let forbidden = magnetar(include_str!("wire/metorial/error-403-scope.json")).status(403);
    let server = Server::start(vec![forbidden, magnetar(MAGNETAR)]);
    let error = open(&server, "auto").delete(&id()).await.unwrap_err();
    assert_eq!(error.status(), Some(403));
    assert_eq!(error.kind(), Kind::Auth, "{error}");
}

#[tokio::test]
async fn links_end_at_an_absolute_time_on_each_dialects_path() {
    let hour = Some(SignedDuration::from_hours(1));
    for (dialect, lifetime, captured) in [
        ("magnetar", hour, include_str!("wire/metorial/request-link-magnetar.http")),
        ("pulsar", hour, include_str!("wire/metorial/request-link-pulsar.http")),
        ("seed", None, include_str!("wire/metorial/request-link-seed.http")),
    ] {
        let server = Server::start(vec![Answer::json(LINK)]);
        let link = open(&server, dialect).link(&"fil_1".into(), lifetime).await.unwrap();
        assert_eq!(link.id.as_deref(), Some("flk_0mabc12defGHIJKLMNOPQR"));
        assert!(link.url.starts_with("https://files.metorial.com/files/"));
        // The example's answer has no end: then the one that was asked for holds.
        assert_eq!(link.expires_at, lifetime.map(|_| "2026-02-01T00:00:00Z".parse().unwrap()));
        assert_eq!(server.requests()[0].canonical(), captured);
    }
    let server = Server::start(vec![Answer::json(r#"{"id":"flk_1"}"#)]);
    let error = open(&server, "seed").link(&id(), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Platform, "{error}");
    let error = open(&server, "seed").link(&id(), Some(SignedDuration::MAX)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

fn links(from: u32, to: u32, more: bool) -> String {
    let items: Vec<_> = (from..to)
        .map(|n| json!({"object": "file.file_link", "id": format!("flk_{n}"), "url": format!("https://x/{n}")}))
        .collect();
    json!({"object": "list", "items": items, "pagination": {"has_more_after": more}}).to_string()
}

#[tokio::test]
async fn links_are_listed_to_the_end_and_revoked_by_id_url_or_being_the_only_one() {
    let server = Server::start(vec![magnetar(&links(0, 2, true)), magnetar(&links(2, 3, false))]);
    let listed = open(&server, "magnetar").links(&"fil_1".into()).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        server.lines(),
        ["GET /file-links?limit=100&file_id=fil_1", "GET /file-links?limit=100&file_id=fil_1&after=flk_1"]
    );

    let server = Server::start(vec![pulsar(&links(0, 2, true)), pulsar(&links(0, 2, true))]);
    let error = open(&server, "pulsar").links(&"fil_1".into()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Platform, "a circle: {error}");
    assert_eq!(server.lines()[0], "GET /files/fil_1/links?limit=100");

    let server = Server::start(vec![magnetar(LINK)]);
    open(&server, "magnetar").unlink(&"fil_1".into(), Some("flk_1")).await.unwrap();
    assert_eq!(server.requests()[0].canonical(), include_str!("wire/metorial/request-unlink-magnetar.http"));

    let server = Server::start(vec![pulsar(&links(0, 3, false)), pulsar(LINK)]);
    open(&server, "pulsar").unlink(&"fil_1".into(), Some("https://x/1")).await.unwrap();
    assert_eq!(server.requests()[1].canonical(), include_str!("wire/metorial/request-unlink-pulsar.http"));

    let server = Server::start(vec![pulsar(&links(1, 2, false)), pulsar(LINK)]);
    open(&server, "pulsar").unlink(&"fil_1".into(), None).await.unwrap();
    assert_eq!(server.requests()[1].canonical(), include_str!("wire/metorial/request-unlink-pulsar.http"));

    for (there, kind) in [(0, Kind::NotFound), (2, Kind::Usage)] {
        let server = Server::start(vec![pulsar(&links(0, there, false))]);
        let error = open(&server, "pulsar").unlink(&"fil_1".into(), None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_download_makes_a_short_lived_link_and_fetches_it_without_the_token() {
    // Once on another host, once on the very origin of the API: the token stays at home in both.
    for same_origin in [true, false] {
        let bytes = Answer::new(200, "hello world").header("Content-Type", "application/octet-stream");
        let host = Server::start(vec![bytes.clone()]);
        let api = Server::start_with(|origin| {
            let files =
                if same_origin { origin.to_owned() } else { host.url().origin().ascii_serialization() };
            vec![magnetar(&LINK.replace(FILES_HOST, &files)), bytes]
        });
        let provider = open(&api, "magnetar");
        let content = provider.download(&id(), None).await.unwrap();
        assert_eq!((content.start, content.length), (0, Some(11)));
        let release = content.release.clone().expect("its own link");
        assert_eq!(release.id.as_deref(), Some("flk_0mabc12defGHIJKLMNOPQR"));
        assert_eq!(bytes_of(content).await, b"hello world");
        let made = &api.requests()[0];
        assert_eq!(made.line(), "POST /file-links");
        assert_eq!(made.text(), format!(r#"{{"file_id":"{ID}","expires_at":"2026-01-31T23:15:00.000Z"}}"#));
        let fetched = if same_origin { api.requests()[1].clone() } else { host.requests()[0].clone() };
        assert_eq!(fetched.line(), format!("GET /files/{ID}/0123456789abcdefghijABCDEFGHIJ_ext"));
        assert_eq!(fetched.header("authorization"), None, "same origin: {same_origin}");
        assert_eq!(fetched.header("metorial-version"), None);
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_fetched_is_revoked_at_once() {
    let host = Server::start(vec![Answer::new(404, include_str!("wire/metorial/error-404.json"))]);
    let link = LINK.replace(FILES_HOST, &host.url().origin().ascii_serialization());
    let api = Server::start(vec![magnetar(&link), magnetar(LINK)]);
    let error = open(&api, "magnetar").download(&id(), None).await.err().expect("no bytes");
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    assert_eq!(api.lines(), ["POST /file-links", "DELETE /file-links/flk_0mabc12defGHIJKLMNOPQR"]);

    let api = Server::start(vec![magnetar(r#"{"id":"flk_1","url":"nowhere"}"#)]);
    let error = open(&api, "magnetar").download(&id(), None).await.err().expect("no URL");
    assert_eq!(error.kind(), Kind::Platform, "{error}");
}

#[tokio::test]
async fn a_given_link_is_used_and_left_alone() {
    let host = Server::start(vec![Answer::new(200, "hello world")]);
    let url = host.url().join("/files/fil_1/key").unwrap();
    let api = Server::start(vec![]);
    let provider = open_with(&api, &api, "auto", &[("link", url.as_str())]);
    let content = provider.download(&id(), None).await.unwrap();
    assert_eq!(content.release, None::<Link>);
    assert_eq!(bytes_of(content).await, b"hello world");
    assert_eq!(host.requests()[0].header("authorization"), None);
    assert!(api.requests().is_empty());
}

#[tokio::test]
async fn a_title_is_all_that_can_be_changed_and_only_in_pulsar() {
    let set = |key: &str, value: serde_json::Value| {
        let mut patch = Patch::default();
        patch.set.insert(key.to_owned(), value);
        patch
    };
    let server = Server::start(vec![pulsar(PULSAR), pulsar(PULSAR)]);
    let provider = open(&server, "pulsar");
    let file = provider.annotate(&"fil_1".into(), &set("title", json!("New title"))).await.unwrap();
    assert_eq!(file.metadata["title"], "Greeting", "what the answer says");
    assert_eq!(server.requests()[0].canonical(), include_str!("wire/metorial/request-title-pulsar.http"));
    provider.annotate(&"fil_1".into(), &set("title", json!(2024))).await.unwrap();
    assert_eq!(server.requests()[1].text(), r#"{"title":"2024"}"#);

    let rename = Patch { name: Some("x".to_owned()), ..Patch::default() };
    let untitle = Patch { unset: vec!["title".to_owned()], ..Patch::default() };
    for patch in [set("color", json!("red")), rename, untitle] {
        let error = provider.annotate(&id(), &patch).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
    assert_eq!(server.requests().len(), 2);
    for dialect in ["seed", "magnetar"] {
        let provider = open(&server, dialect);
        assert!(provider.capabilities().annotate.is_none());
        let error = provider.annotate(&id(), &set("title", json!("x"))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    }
}

#[tokio::test]
async fn every_error_shape_is_told_in_the_platforms_words() {
    let cases = [
        (400, include_str!("wire/metorial/error-400-invalid-data.json"), "limit: at most 100"),
        (400, include_str!("wire/metorial/error-400-reason.json"), "the body is no JSON"),
        (401, include_str!("wire/metorial/error-401.json"), "the key is not known"),
        (402, include_str!("wire/metorial/error-402.json"), "the plan is used up"),
        (403, include_str!("wire/metorial/error-403-scope.json"), "the key lacks a scope"),
        (404, include_str!("wire/metorial/error-404.json"), "there is no such file"),
        (404, include_str!("wire/metorial/error-404-pulsar.json"), "there is no such file"),
        (404, include_str!("wire/metorial/error-older-envelope.json"), "there is no such file"),
        (406, include_str!("wire/metorial/error-406.json"), "this version is not allowed"),
        (429, include_str!("wire/metorial/error-429.json"), "too many requests"),
        (500, include_str!("wire/metorial/error-500.json"), "something broke"),
        (502, "<html><head><title>Bad gateway</title></head></html>", "502"),
        (413, "", "413"),
        (503, r#"{"object":"error","mess"#, "503"),
    ];
    for (status, body, says) in cases {
        let answer = Answer::json(body).status(status).header("metorial-req-id", "req_1");
        let server = Server::start(vec![answer]);
        let error = open(&server, "auto").stat(&id()).await.unwrap_err();
        let kind = match status {
            401 | 403 => Kind::Auth,
            402 | 429 => Kind::RateLimited,
            404 => Kind::NotFound,
            500.. => Kind::Platform,
            _ => error.kind(),
        };
        assert_eq!((error.status(), error.kind()), (Some(status), kind), "{error}");
        assert!(error.lines().iter().any(|(_, line)| line.contains(says)), "{status}: {error}");
        assert_eq!(error.request_id(), Some("req_1"), "{status}");
        assert!(!format!("{error:?}").contains("metorial_sk_TEST"));
    }
}
