//! Which servers receive the token, and which redirects are followed.

use haul::error::Kind;
use haul::http::{Body, Client, Config, Range, Request};
use haul::model::Source;
use haul::secret::Secret;
use serde_json::json;
use url::Url;

use crate::http::{TOKEN, client, config, get};
use crate::support::server::{Answer, Server};

fn to(place: impl AsRef<str>) -> Answer {
    Answer::status(302, &[("Location", place.as_ref())], "moved")
}

#[tokio::test]
async fn the_token_goes_to_the_own_origin_only() {
    let (own, foreign) = (Server::repeating(vec![Answer::ok()]), Server::repeating(vec![Answer::ok()]));
    let client = client(&own);
    client.send(&get(&own).header("x-extra", "1")).await.unwrap();
    client.send(&get(&foreign).header("x-extra", "1")).await.unwrap();
    client.send(&get(&own).anonymous()).await.unwrap();
    let seen = own.requests();
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(seen[0].header("x-extra"), Some("1"));
    assert_eq!(seen[1].header("authorization"), None, "anonymous");
    let seen = &foreign.requests()[0];
    assert_eq!((seen.header("authorization"), seen.header("x-extra")), (None, Some("1")));
    assert!(!seen.head.contains(TOKEN));

    let client = client.authenticating("x-own-key");
    client.send(&get(&own)).await.unwrap();
    client.send(&get(&foreign)).await.unwrap();
    let seen = own.requests();
    assert_eq!((seen[2].header("x-own-key"), seen[2].header("authorization")), (Some(TOKEN), None));
    assert!(!foreign.requests()[1].head.contains(TOKEN));
}

#[tokio::test]
async fn a_redirect_on_the_same_origin_keeps_the_token() {
    let server = Server::repeating(vec![to("/elsewhere?x=1"), Answer::ok()]);
    client(&server).send(&get(&server)).await.unwrap();
    let seen = server.requests();
    assert_eq!(seen[1].target, "/elsewhere?x=1");
    assert!(seen[1].header("authorization").is_some());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn after_another_origin_no_request_carries_the_token() {
    let own = Server::new(|number, seen| match number {
        0 => to(seen.header("x-foreign").unwrap()),
        _ => Answer::ok(),
    });
    let back = own.at("back");
    let foreign = Server::new(move |_, _| to(back.as_str()));
    let request = get(&own).header("x-foreign", foreign.at("f?signature=abc").to_string());
    client(&own).send(&request.range(Some(Range { from: 5, ..Range::default() }))).await.unwrap();
    for seen in [&foreign.requests()[0], &own.requests()[1]] {
        assert!(!seen.head.contains(TOKEN), "{}", seen.head);
        assert_eq!(seen.header("x-foreign"), None);
        assert_eq!(seen.header("range"), Some("bytes=5-"));
    }
}

#[tokio::test]
async fn invalid_redirects_are_refused() {
    let circle = Server::new(|_, seen| to(if seen.target == "/a" { "/files" } else { "/a" }));
    let endless = Server::new(|number, _| to(format!("/{number}")));
    let file = Server::repeating(vec![to("file:///etc/passwd")]);
    let broken = Server::repeating(vec![to("http://[")]);
    for (server, expected, count) in [
        (circle, "in a loop", 2),
        (endless, "after 10 other redirects", 11),
        (file, "which is not an http or https URL", 1),
        (broken, "redirects to an invalid URL", 1),
    ] {
        let error = client(&server).send(&get(&server)).await.unwrap_err();
        assert_eq!((error.kind(), error.status(), server.count()), (Kind::Platform, Some(302), count));
        assert!(error.message().ends_with(expected), "{error}");
    }
}

#[tokio::test]
async fn another_host_cannot_reject_the_token() {
    for status in [401, 403] {
        let far =
            Server::repeating(vec![Answer::status(status, &[], "<Message>Request has expired</Message>")]);
        let near = Server::repeating(vec![to(far.at("f"))]);
        let error = client(&near).content(&get(&near)).await.err().unwrap();
        let expected = format!("{} returned {status}: Request has expired", far.origin());
        assert_eq!((error.kind(), error.message()), (Kind::Platform, &*expected));
        assert!(error.hints().is_empty(), "{error:?}");
        // A link on the platform's own host.
        let error = client(&far).send(&get(&far).anonymous()).await.unwrap_err();
        let expected = format!("testland returned {status}: Request has expired");
        assert_eq!((error.kind(), error.message()), (Kind::Platform, &*expected));
        assert!(error.hints().is_empty(), "{error:?}");
    }
}

#[tokio::test]
async fn a_request_with_a_body_is_redirected_on_its_origin() {
    for status in [307, 308] {
        let server = Server::new(move |_, seen| match seen.target.as_str() {
            "/files" => Answer::status(status, &[("Location", "/files/")], ""),
            _ => Answer::ok(),
        });
        let body = Body::raw(&Source::Bytes("content".into()), 7, None);
        client(&server).send(&Request::post(server.at("files"), body)).await.unwrap();
        let seen = server.requests();
        assert_eq!(server.lines(), ["POST /files", "POST /files/"]);
        assert!(seen.iter().all(|seen| seen.text() == "content" && seen.header("authorization").is_some()));
    }
    // A moved platform.
    let server =
        Server::repeating(vec![Answer::status(307, &[("Location", "https://new.example/v2/files")], "")]);
    let base = server.at("v1");
    let client = Client::new(Config { own: vec![base], ..config(&server) });
    let error = client.send(&Request::post(server.at("v1/files"), Body::json(&json!({})))).await.unwrap_err();
    assert_eq!(error.hints(), ["if this is the platform's new address: `--base-url https://new.example/v2`"]);
}

#[tokio::test]
async fn only_a_get_is_redirected_to_another_origin() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::repeating(vec![Answer::status(
            status,
            &[("Location", "https://u:p@new.example/f?sig=s3cret")],
            "",
        )]);
        let post = Request::post(server.at("files"), Body::json(&json!({})));
        for request in [post, Request::delete(server.at("files/1"))] {
            let error = client(&server).send(&request).await.unwrap_err();
            assert!(
                error
                    .message()
                    .contains("redirects to https://new.example/f; haul does not follow redirects of"),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("s3cret"));
        }
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn a_token_is_not_sent_over_plain_http() {
    let server = Server::repeating(vec![Answer::ok()]);
    // 192.0.2.0/24 is documentation space: connecting would hang, so the refusal comes before it.
    let url = Url::parse("http://192.0.2.1/files").unwrap();
    let client = Client::new(Config { own: vec![url.clone()], ..config(&server) });
    let error = client.send(&Request::get(url)).await.unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Usage, 2));
    assert!(error.hints().iter().any(|hint| hint.contains("--insecure-http")));
}

#[tokio::test]
async fn without_a_token_the_request_is_sent_and_the_error_explains_how_to_log_in() {
    let server = Server::repeating(vec![Answer::status(401, &[], r#"{"detail":"no key"}"#)]);
    let client = Client::new(Config { token: None, ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), error.hints()), (Kind::Auth, &["`haul auth login testland`".to_owned()][..]));
    assert_eq!(server.requests()[0].header("authorization"), None);
    let foreign = Server::repeating(vec![Answer::status(403, &[], "expired")]);
    let error = client.send(&get(&foreign)).await.unwrap_err();
    assert!(error.hints().is_empty(), "a token would not help there");
}

#[tokio::test]
async fn user_and_password_of_a_url_are_neither_sent_nor_shown() {
    let server = Server::repeating(vec![Answer::status(404, &[], "")]);
    let mut url = server.at("files");
    url.set_username("me").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let client = Client::new(Config { token: None, ..config(&server) });
    let error = client.send(&Request::get(url)).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
    let head = &server.requests()[0].head;
    assert!(!head.to_lowercase().contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_token_that_is_invalid_in_a_header_is_not_shown() {
    let server = Server::repeating(vec![Answer::ok()]);
    let client = Client::new(Config { token: Some(Secret::new("bad\ntoken")), ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::Auth, 0));
    assert!(!format!("{error:?}").contains("bad\\ntoken"));
}

#[tokio::test]
async fn a_query_is_encoded_by_rfc_3986() {
    let server = Server::repeating(vec![Answer::ok()]);
    let mut request = get(&server).query("filter", "a = 'b+c' & ü").query("limit", 2);
    request.url.set_query(Some("v=1"));
    client(&server).send(&request).await.unwrap();
    assert_eq!(server.requests()[0].target, "/files?v=1&filter=a%20%3D%20%27b%2Bc%27%20%26%20%C3%BC&limit=2");
}
