//! OpenAI and its vendors over a socket: the requests, and responses that the emulator never sends.

mod snippets;
mod uploads;
mod vector_stores;

use haul::error::{Error, Kind};
use haul::model::{FileId, NewFile};
use haul::progress::silent;
use haul::providers::{Listing, Provider, Query, Sort, find};
use jiff::SignedDuration;
use std::sync::Arc;

use crate::support::clock_at;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};

const FILE: &str = r#"{"id":"file-1","object":"file","bytes":2,"created_at":5,"filename":"a.txt","purpose":"batch","status":"processed","status_details":null}"#;

fn open(vendor: &str, server: &Server, set: &[(&str, &str)]) -> Arc<dyn Provider> {
    let spec = find(vendor).expect("a registered provider");
    let clock = clock_at(1_778_414_400);
    let profile = Profile { token: Some("sk-test"), set, clock, ..Profile::new(spec, &server.url) };
    Arc::from(profile.open().expect("a provider"))
}

fn serve(replies: &[&str]) -> Server {
    Server::start(replies.iter().map(|body| Answer::json(*body)))
}

async fn list(provider: &Arc<dyn Provider>, query: Query) -> Result<Vec<String>, Error> {
    let files = Listing::new(Arc::clone(provider), query, None)?.all().await?;
    Ok(files.into_iter().map(|file| file.id.0).collect())
}

#[tokio::test]
async fn an_upload_equals_that_of_the_official_client() {
    let server = serve(&[FILE, FILE]);
    let file = NewFile {
        content_type: "text/plain".to_owned(),
        purpose: Some("assistants".to_owned()),
        expires: Some(SignedDuration::from_hours(24)),
        ..NewFile::from_bytes("näme \"q\".txt", "hello")
    };
    let set = [("organization", "org-t"), ("project", "proj_t")];
    open("openai", &server, &set).upload(&file, silent()).await.unwrap();
    open("ark", &server, &[]).upload(&file, silent()).await.unwrap();
    let requests = server.requests();
    requests[0].assert_is(include_str!("upload.http"));
    let ark = requests[1].text();
    assert!(ark.contains("name=\"expire_at\"\r\n\r\n1778500800\r\n"), "{ark}");
    assert!(!ark.contains("expires_after"), "{ark}");
}

#[tokio::test]
async fn each_vendor_gets_only_the_parameters_that_it_documents() {
    let oldest = || Query {
        sort: Some(Sort { field: "created_at".to_owned(), descending: false }),
        ..Query::default()
    };
    let page = r#"{"object":"list","data":[],"has_more":false}"#;
    for (vendor, query, expected) in [
        ("openai", oldest(), "GET /files?limit=1000&order=asc"),
        ("deepseek", Query::default(), "GET /files?limit=1000&order=desc"),
        ("groq", oldest(), "GET /files"),
        ("openrouter", oldest(), "GET /files?limit=1000"),
        ("perplexity", Query::default(), "GET /files?limit=100"),
        ("siliconflow", Query::default(), "GET /files?limit=10000&purpose=batch"),
    ] {
        let server = serve(&[page]);
        list(&open(vendor, &server, &[]), query).await.unwrap();
        assert_eq!(server.lines(), [expected], "{vendor}");
    }
    let server = Server::repeating([Answer::json(page)]);
    list(&open("zhipu", &server, &[]), Query::default()).await.unwrap();
    let purposes = ["batch", "file-extract", "code-interpreter", "agent"];
    let expected = purposes.map(|purpose| format!("GET /files?limit=100&purpose={purpose}"));
    assert_eq!(server.lines(), expected);
}

#[tokio::test]
async fn the_headers_and_parameters_of_a_profile_are_sent() {
    let server = serve(&[FILE, FILE]);
    let set = [
        ("auth_header", "x-portkey-api-key"),
        ("headers.x-portkey-provider", "openai"),
        ("query.api-version", "2024-10-21"),
    ];
    open("openai", &server, &set).stat(&FileId::from("gs://b/c")).await.unwrap();
    open("azure", &server, &[]).stat(&FileId::from("file-1")).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].line(), "GET /files/gs:%2F%2Fb%2Fc?api-version=2024-10-21");
    for (name, value) in [
        ("x-portkey-api-key", Some("sk-test")),
        ("x-portkey-provider", Some("openai")),
        ("authorization", None),
    ] {
        assert_eq!(requests[0].header(name), value, "{name}");
    }
    assert_eq!((requests[1].header("api-key"), requests[1].header("authorization")), (Some("sk-test"), None));
}

#[tokio::test]
async fn a_gateway_that_repeats_its_first_page_is_an_error() {
    let endless = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":"b"}"#;
    let server = Server::repeating([Answer::json(endless)]);
    let provider = open("openai", &server, &[]);
    let mut listing = Listing::new(provider, Query::default(), None).unwrap();
    assert_eq!(listing.next().await.unwrap().map(|files| files.len()), Some(2));
    let error = listing.next().await.unwrap_err();
    assert_eq!(error.message(), "openai repeats a page: the listing would never end");
    // A server that reports another page but otherwise ignores limits and cursors.
    let whole = r#"{"data":[{"id":"a"},{"id":"b"}]}"#;
    assert_eq!(list(&open("groq", &serve(&[whole]), &[]), Query::default()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn other_shapes_are_read() {
    let wrapped = r#"{"code":20000,"message":"Ok","status":true,"data":{"id":"f","object":"file","bytes":"7","createdAt":9,"filename":"n"}}"#;
    let plain = r#"{"type":"file","id":"or_file_1","filename":"n","mime_type":"text/plain","size_bytes":7,"created_at":"1970-01-01T00:00:09Z","downloadable":false}"#;
    for (vendor, answer, kind, downloadable) in
        [("siliconflow", wrapped, None, None), ("openrouter", plain, Some("text/plain"), Some(false))]
    {
        let file = open(vendor, &serve(&[answer]), &[]).stat(&FileId::from("f")).await.unwrap();
        assert_eq!((file.name.as_str(), file.size), ("n", Some(7)), "{vendor}");
        assert_eq!(file.created_at.map(jiff::Timestamp::as_second), Some(9), "{vendor}");
        assert_eq!((file.content_type.as_deref(), file.downloadable), (kind, downloadable), "{vendor}");
    }
    let failed = r#"{"code":50505,"message":"Model service overloaded","data":null}"#;
    let server = serve(&[failed, failed]);
    let siliconflow = open("siliconflow", &server, &[]);
    assert_eq!(list(&siliconflow, Query::default()).await.unwrap_err().kind(), Kind::Failed);
    assert_eq!(siliconflow.stat(&FileId::from("f")).await.unwrap_err().kind(), Kind::Failed);
}

#[tokio::test]
async fn a_refused_download_is_unsupported_only_if_the_file_exists() {
    let refusal = r#"{"error":{"message":"Not allowed to download files of purpose: user_data","type":"invalid_request_error","param":null,"code":null}}"#;
    let missing = r#"{"error":{"message":"Not Found"}}"#;
    let not_found = || Answer::json(missing).with_status(404);
    for (answers, kind) in [
        (vec![Answer::json(refusal).with_status(400)], Kind::Unsupported),
        (vec![Answer::json("{}").with_status(405)], Kind::Unsupported),
        (vec![not_found(), Answer::json(FILE)], Kind::Unsupported),
        (vec![not_found(), not_found()], Kind::NotFound),
        (vec![Answer::json("{}").with_status(403)], Kind::Auth),
    ] {
        let server = Server::start(answers);
        let provider = open("openai", &server, &[]);
        let refused = provider.download(&FileId::from("file-1"), None).await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
}

#[test]
fn azure_needs_an_endpoint() {
    let spec = find("azure").unwrap();
    let profile = Profile { token: Some("t"), ..Profile::new(spec, &spec.base_url.parse().unwrap()) };
    let error = profile.open().map(drop).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "azure requires a resource endpoint"));
}
