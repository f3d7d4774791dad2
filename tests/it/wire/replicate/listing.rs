//! Listings: the recorded page, absolute `next` URLs, and URLs at other origins.

use super::*;

#[tokio::test]
async fn the_recorded_page_is_parsed_and_is_the_last() {
    let server = Server::start(vec![Answer::json(&recorded(2).1)]);
    let page = open(&server).list(&Query { limit: Some(3), ..Query::default() }, None).await.unwrap();
    assert_eq!((page.files.len(), page.next), (38, None));
    assert_eq!(page.files[0].id.as_str(), "M2Q1N2Q1ZjQtYWY0Mi00NzhiLTk5YTktNzMzMTc2MzcyMTcy");
    assert!(page.files.iter().all(|file| file.checksums.md5.is_some() && file.expires_at.is_some()));
    // No parameters.
    server.requests()[0].assert_is(include_str!("request-list.http"));
}

#[tokio::test]
async fn the_next_url_is_followed_unchanged() {
    let server = Server::start_with(|origin| {
        let page =
            |next: &str| Answer::json(json!({"next": next, "previous": null, "results": []}).to_string());
        vec![page(&format!("{origin}/v1/files?cursor=cD0x")), page("?cursor=b%2Fc"), page("")]
    });
    let provider = open(&server);
    let mut cursor = None;
    for _ in 0..3 {
        cursor = provider.list(&Query::default(), cursor.as_deref()).await.unwrap().next;
    }
    assert_eq!(cursor, None, "an empty `next` ends the listing");
    server.requests()[1].assert_is(include_str!("request-list-second.http"));
    assert_eq!(server.lines()[2], "GET /v1/files?cursor=b%2Fc", "relative to the listing");
}

#[tokio::test]
async fn a_next_page_at_another_origin_is_refused_and_never_requested() {
    let (server, foreign) = (Server::start(vec![]), Server::start(vec![]));
    let provider = open(&server);
    let elsewhere = foreign.at("/v1/files?cursor=a");
    let scheme = server.url.as_str().replace("http:", "https:");
    for next in [elsewhere.as_str(), "//example.invalid/v1/files", &scheme] {
        let error = provider.list(&Query::default(), Some(next)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{next}: {error}");
    }
    let error = provider.list(&Query::default(), Some("http://[")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    assert!(foreign.requests().is_empty() && server.requests().is_empty());
}
