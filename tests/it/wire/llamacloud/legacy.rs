//! The legacy dialect: the same verbs at `/api/v1/files`, with the long object.

use haul::error::{Error, Kind, Result};
use haul::http::{Client, Request};
use haul::model::NewFile;
use haul::progress::silent;
use haul::providers::{Provider, Query, find, supports};

use crate::support::connection::Profile;
use crate::support::server::Server;
use crate::wire::llamacloud::support::{all, json as reply, lost, presigned, profile, text};

const ID: &str = "11111111-2222-4333-8444-555555555555";
const LONG: &str = include_str!("replies/long.json");

fn open(server: &Server, set: &[(&str, &str)]) -> Result<Box<dyn Provider>> {
    Profile { dialect: "legacy", ..profile(server, set) }.open()
}

#[tokio::test]
async fn a_legacy_listing_is_a_bare_array_of_all_files() {
    let server = Server::start([reply(200, &format!("[{LONG},{LONG}]")), reply(200, r#"{"items":[]}"#)]);
    let provider = open(&server, &[("project_id", "p")]).unwrap();
    let page = provider.list(&Query { limit: Some(1), ..Query::default() }, None).await.unwrap();
    assert_eq!((page.files.len(), page.files[0].size, page.next), (2, Some(11), None));
    assert_eq!(server.lines(), ["GET /api/v1/files?project_id=p"]);
    assert_eq!(provider.list(&Query::default(), None).await.unwrap_err().kind(), Kind::Platform);
}

#[tokio::test]
async fn a_legacy_file_is_shown_downloaded_and_deleted_as_captured() {
    let store = Server::start([text(200, "", "hello world")]);
    let server = Server::start([reply(200, LONG), presigned(&store), text(204, "", ""), reply(404, "{}")]);
    let provider = open(&server, &[]).unwrap();
    let file = provider.stat(&ID.into()).await.unwrap();
    assert_eq!(file.created_at, Some("2026-11-20T08:00:00Z".parse().unwrap()));
    assert_eq!(all(provider.download(&ID.into(), None).await.unwrap()).await, b"hello world");
    provider.delete(&ID.into()).await.unwrap();
    // The legacy route for one file is as old as the listing, so the listing is not requested.
    assert_eq!(provider.stat(&ID.into()).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(
        server.lines(),
        [
            format!("GET /api/v1/files/{ID}"),
            format!("GET /api/v1/files/{ID}/content?expires_at_seconds=900"),
            format!("DELETE /api/v1/files/{ID}"),
            format!("GET /api/v1/files/{ID}"),
        ]
    );
    assert_eq!(store.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_legacy_upload_equals_that_of_the_official_client() {
    let server = Server::start([reply(200, LONG), lost(), reply(200, r#"{"items":[]}"#)]);
    let set = [
        ("project_id", "99999999-2222-4333-8444-555555555555"),
        ("external_file_id", "ext-1"),
        ("storage_type", "ephemeral"),
    ];
    let file =
        || NewFile { content_type: "text/plain".into(), ..NewFile::from_bytes("hello.txt", "hello world") };
    let uploaded = open(&server, &set).unwrap().upload(&file(), silent()).await.unwrap();
    assert_eq!(uploaded.size, Some(11));
    server.requests()[0].assert_is(include_str!("requests/legacy_upload.http"));

    let error: Error = open(&server, &[]).unwrap().upload(&file(), silent()).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    assert_eq!(server.lines()[1], "POST /api/v1/files");
}

#[test]
fn features_of_only_the_beta_endpoints_are_refused() {
    let server = Server::start([lost()]);
    for setting in [("via", "query"), ("expand", "download_url"), ("only_manually_uploaded", "true")] {
        let error = open(&server, &[setting]).err().unwrap();
        assert_eq!(error.kind(), Kind::Usage, "{setting:?}");
        assert!(error.message().contains(setting.0), "{error}");
    }
    let can = open(&server, &[]).unwrap().capabilities();
    assert!(!can.upload.purpose && can.list.native.is_empty() && can.list.sort.is_empty());
}

#[test]
fn both_dialects_support_the_same_verbs() {
    let [beta, legacy] = find("llamacloud").unwrap().dialects else { panic!("two dialects") };
    for op in haul::providers::Op::ALL {
        assert_eq!(supports(beta.can, op), supports(legacy.can, op), "{op:?}");
    }
}

#[tokio::test]
async fn the_token_is_sent_to_another_region_of_the_platform_and_no_other_host() {
    let (home, region) = (Server::start([lost()]), Server::start([reply(200, "{}"), reply(200, "{}")]));
    let http = Client::new(profile(&home, &[]).config());
    http.send(&Request::get(region.url.clone())).await.unwrap();
    http.trusting(&region.url).send(&Request::get(region.url.clone())).await.unwrap();
    let tokens: Vec<bool> =
        region.requests().iter().map(|seen| seen.header("authorization").is_some()).collect();
    assert_eq!(tokens, [false, true]);
}
