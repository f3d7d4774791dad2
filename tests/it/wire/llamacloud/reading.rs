//! `info`, `get`, `link` and `rm`: one file by its id.

use haul::error::Kind;
use haul::http::Policy;
use haul::model::FileId;
use haul::providers::Range;
use jiff::SignedDuration;
use serde_json::json;

use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use crate::wire::llamacloud::support::{all, json as reply, open, open_with, presigned, profile, text};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const EMPTY: &str = r#"{"items":[]}"#;

fn id() -> FileId {
    ID.into()
}

#[tokio::test]
async fn the_short_object_is_parsed() {
    let server = Server::start([reply(200, include_str!("replies/short.json"))]);
    let file = open_with(&server, &[("expand", "download_url")]).stat(&id()).await.unwrap();
    // The line as captured.
    assert_eq!(server.lines(), [format!("GET /api/v1/beta/files/{ID}?expand=download_url")]);
    assert_eq!(
        serde_json::to_value(file).unwrap(),
        json!({
            "provider": "llamacloud", "profile": "work",
            "id": "dfl-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "name": "invoice.pdf",
            "size": null, "content_type": null, "purpose": "parse", "path": null, "status": null,
            "created_at": null, "updated_at": null, "expires_at": null,
            "checksums": {}, "metadata": {}, "downloadable": null, "url": null,
            "extra": {
                "project_id": "123e4567-e89b-12d3-a456-426614174000", "download_url": null,
                "external_file_id": "ext-12345", "file_type": "pdf",
                "last_modified_at": "2019-12-27T18:11:19.117Z",
            },
        })
    );
}

#[tokio::test]
async fn the_long_object_is_parsed_with_size_and_dates() {
    let server = Server::start([reply(200, include_str!("replies/long.json"))]);
    let file = serde_json::to_value(open(&server).stat(&id()).await.unwrap()).unwrap();
    assert_eq!(file["size"], 11);
    assert_eq!(file["created_at"], "2026-11-20T08:00:00Z");
    assert_eq!(file["updated_at"], "2026-11-20T08:00:01.25Z");
    assert_eq!(file["expires_at"], "2026-11-23T08:00:00Z");
    assert_eq!(
        file["extra"],
        json!({
            "project_id": "99999999-2222-4333-8444-555555555555",
            "data_source_id": "77777777-2222-4333-8444-555555555555",
            "external_file_id": "docs/hello.txt", "file_type": "txt",
            "last_modified_at": "2019-12-27T18:11:19.117Z",
            "permission_info": {"groups": ["a", "b"], "public": false},
            "resource_info": {"url": "https://example.com/a", "depth": 2, "tags": null},
        })
    );
}

#[tokio::test]
async fn on_a_server_without_a_route_for_one_file_the_listing_is_used() {
    for status in [404, 405] {
        let others = r#"{"id":"another","name":"n","project_id":"p"}"#;
        let found = format!(r#"{{"items":[{others},{{"id":"{ID}","name":"n","project_id":"p"}}]}}"#);
        let server = Server::start([reply(status, r#"{"detail":"Not Found"}"#), reply(200, &found)]);
        let file = open_with(&server, &[("project_id", "p")]).stat(&id()).await.unwrap();
        assert_eq!(file.id, id());
        assert_eq!(
            server.lines(),
            [
                format!("GET /api/v1/beta/files/{ID}?project_id=p"),
                format!("GET /api/v1/beta/files?file_ids={ID}&project_id=p"),
            ]
        );
    }
}

#[tokio::test]
async fn an_unknown_id_is_not_found_whatever_the_listing_returns() {
    let others = r#"{"items":[{"id":"another","name":"n","project_id":"p"}]}"#;
    let invalid = r#"{"detail":[{"loc":["query","file_ids",0],"msg":"not a uuid","type":"uuid_parsing"}]}"#;
    for status in [404, 405] {
        for (listed, body) in [(200, EMPTY), (200, others), (404, "{}"), (422, invalid)] {
            let server = Server::start([reply(status, r#"{"detail":"No such thing"}"#), reply(listed, body)]);
            let error = open(&server).stat(&id()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{status} {listed} {body}: {error}");
        }
    }
    // A failed listing does not prove that the file does not exist.
    let server = Server::start([reply(404, "{}"), reply(401, r#"{"detail":"Not authenticated"}"#)]);
    assert_eq!(open(&server).stat(&id()).await.unwrap_err().kind(), Kind::Auth);
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_path() {
    let short = include_str!("replies/short.json");
    let server = Server::start([reply(200, short), reply(500, "{}")]);
    let provider = open(&server);
    provider.stat(&"a/b c".into()).await.unwrap();
    provider.link(&"a/b c".into(), None).await.unwrap_err();
    // The id is percent-encoded, as by the official client.
    assert_eq!(
        server.lines(),
        ["GET /api/v1/beta/files/a%2Fb%20c", "GET /api/v1/beta/files/a%2Fb%20c/content"]
    );
    assert_eq!(provider.stat(&"..".into()).await.unwrap_err().kind(), Kind::Usage);
}

#[tokio::test]
async fn a_download_fetches_a_presigned_url_without_the_token() {
    let store = Server::start([text(200, "application/pdf", "hello world")]);
    let api = Server::start([presigned(&store)]);
    let content = open_with(&api, &[("project_id", "p")]).download(&id(), None).await.unwrap();
    assert_eq!((content.start, content.length), (0, Some(11)));
    assert!(content.release.is_none());
    assert_eq!(all(content).await, b"hello world");

    let asked = format!("GET /api/v1/beta/files/{ID}/content?expires_at_seconds=900&project_id=p");
    assert_eq!(api.lines(), [asked]);
    assert_eq!(api.requests()[0].header("authorization"), Some("Bearer llx-TESTKEY"));
    assert_eq!(store.lines(), ["GET /bucket/key?X-Amz-Signature=abc"]);
    assert!(!store.requests()[0].head.contains("llx-TESTKEY"));
    assert_eq!(store.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_presigned_url_at_the_api_itself_is_also_fetched_without_the_token() {
    // Even if one server is both, its object store refuses a second credential.
    let both = Server::new(|_, seen| {
        if !seen.line().contains("/content") {
            return text(200, "", "hello");
        }
        let host = seen.header("host").unwrap();
        let url = include_str!("replies/presigned_url.json")
            .replace("https://bucket.example", &format!("http://{host}"));
        reply(200, &url)
    });
    assert_eq!(all(open(&both).download(&id(), None).await.unwrap()).await, b"hello");
    let tokens: Vec<bool> =
        both.requests().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(tokens, [true, false]);
}

#[tokio::test]
async fn a_download_resumes_in_the_middle() {
    let partial = "HTTP/1.1 206 X\r\nContent-Range: bytes 6-10/11\r\nContent-Length: 5\r\nETag: \"e\"\r\nConnection: close\r\n\r\nworld";
    let store = Server::start([Answer::raw(partial)]);
    let api = Server::start([presigned(&store)]);
    let range = Range { from: 6, validator: Some("\"e\"".into()), ..Range::default() };
    let content = open(&api).download(&id(), Some(range)).await.unwrap();
    assert_eq!((content.start, content.length), (6, Some(5)));
    assert_eq!(all(content).await, b"world");
    assert_eq!(store.requests()[0].header("range"), Some("bytes=6-"));
    assert_eq!(store.requests()[0].header("if-range"), Some("\"e\""));
}

#[tokio::test]
async fn an_expired_presigned_url_is_requested_once_more() {
    let expired = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
    let store = Server::start([text(403, "application/xml", expired), text(200, "", "hello")]);
    let api = Server::start([presigned(&store), presigned(&store)]);
    assert_eq!(all(open(&api).download(&id(), None).await.unwrap()).await, b"hello");
    assert_eq!(api.lines().len(), 2);

    let store = Server::start([text(403, "application/xml", expired), text(403, "application/xml", expired)]);
    let api = Server::start([presigned(&store), presigned(&store)]);
    let error = open(&api).download(&id(), None).await.err().unwrap();
    // Not an authentication error, because the object store does not receive the token.
    assert_eq!((error.kind(), error.status()), (Kind::Platform, Some(403)), "{error}");
    assert!(!format!("{error} {:?}", error.hints()).contains("auth login"), "{error}");
    assert_eq!(store.lines().len(), 2);
}

#[tokio::test]
async fn a_download_refused_by_the_api_is_an_authentication_error() {
    let api = Server::start([reply(403, r#"{"detail":"Project is disabled"}"#)]);
    let error = open(&api).download(&id(), None).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Auth, "{error}");
    assert!(error.to_string().contains("Project is disabled"), "{error}");
    assert_eq!(api.lines().len(), 1);
}

#[tokio::test]
async fn a_download_by_form_posts_its_fields() {
    let store = Server::start([text(200, "", "hello")]);
    let body = include_str!("replies/presigned_url.json")
        .replace("https://bucket.example", &store.origin())
        .replace("\"form_fields\":null", r#""form_fields":{"key":"k","n":1}"#);
    let api = Server::start([reply(200, &body), reply(200, &body)]);
    let provider = open(&api);
    assert_eq!(all(provider.download(&id(), None).await.unwrap()).await, b"hello");
    let seen = &store.requests()[0];
    assert_eq!(seen.line(), "POST /bucket/key?X-Amz-Signature=abc");
    let form = String::from_utf8(seen.body.clone()).unwrap();
    assert!(form.contains("name=\"key\"\r\n\r\nk\r\n") && form.contains("name=\"n\"\r\n\r\n1\r\n"), "{form}");
    assert_eq!(seen.header("authorization"), None);
    // A form cannot be used as a link.
    assert_eq!(provider.link(&id(), None).await.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn a_link_is_the_presigned_url() {
    let url = include_str!("replies/presigned_url.json");
    let server = Server::start([reply(200, url), reply(200, url)]);
    let provider = open(&server);
    let link = provider.link(&id(), Some(SignedDuration::from_secs(60))).await.unwrap();
    assert_eq!(link.url, "https://bucket.example/bucket/key?X-Amz-Signature=abc");
    assert_eq!(link.expires_at, Some("2026-11-21T10:15:00Z".parse().unwrap()));
    provider.link(&id(), None).await.unwrap();
    // The first as captured; the second leaves the lifetime to the platform.
    let plain = format!("GET /api/v1/beta/files/{ID}/content");
    assert_eq!(server.lines(), [format!("{plain}?expires_at_seconds=60"), plain]);
    assert_eq!(provider.links(&id()).await.unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(provider.unlink(&id(), None).await.unwrap_err().kind(), Kind::Unsupported);
}

#[tokio::test]
async fn an_invalid_presigned_url_is_a_platform_error() {
    let relative = r#"{"url":"/bucket/key?sig=hidden","expires_at":"2026-11-21T10:15:00Z"}"#;
    let other = r#"{"url":"s3://bucket/key?sig=hidden","expires_at":null,"form_fields":null}"#;
    for body in ["", "{}", "null", "<html>", r#"{"url":"#, r#"{"url":17}"#, relative, other] {
        let server = Server::start([reply(200, body)]);
        let error = open(&server).download(&id(), None).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn a_deletion_has_neither_request_nor_response_body() {
    let server = Server::start([text(204, "", ""), reply(200, "null")]);
    let provider = open_with(&server, &[("project_id", "p")]);
    provider.delete(&id()).await.unwrap();
    provider.delete(&id()).await.unwrap();
    assert_eq!(server.lines()[0], format!("DELETE /api/v1/beta/files/{ID}?project_id=p"));
    assert!(server.requests()[0].body.is_empty());
}

#[tokio::test]
async fn a_conflict_during_a_deletion_is_reported_and_not_retried() {
    let conflict = reply(409, r#"{"detail":"Integrity constraint violated: name"}"#);
    let server = Server::start([conflict.clone(), conflict]);
    let policy = Policy { attempts: 3, ..Policy::default() };
    let provider = Profile { policy, ..profile(&server, &[]) }.open().unwrap();
    let error = provider.delete(&id()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::Failed, Some(409)));
    assert!(error.to_string().contains("Integrity constraint violated: name"), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("index")), "{:?}", error.hints());
    assert_eq!(server.lines().len(), 1, "not retried");
}
