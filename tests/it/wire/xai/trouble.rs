//! Errors, invalid and lenient responses, invalid settings, other hosts.

use haul::error::Kind;
use haul::providers::{Query, find};
use jiff::Timestamp;
use serde_json::json;

use super::{id, open, serve, try_open};
use crate::support::server::{Answer, Server};

// Section 6: errors.

#[tokio::test]
async fn every_error_shape_yields_its_message_and_kind() {
    let text = include_str!("errors.txt");
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.chunks_exact(2) {
        let mut words = pair[0].splitn(3, ' ');
        let mut word = || words.next().expect("status, kind and message");
        let (status, kind, message) = (word().parse().expect("a status"), word(), word());
        let server = Server::start([Answer::new(status, pair[1]).header("x-request-id", "req-1")]);
        let error = open(&server, "auto", &[]).stat(&id()).await.unwrap_err();
        assert!(error.to_string().contains(message), "{}: {error}", pair[0]);
        assert!(kind == "-" || serde_json::json!(error.kind()) == kind, "{}: {:?}", pair[0], error.kind());
        assert_eq!((error.status(), error.request_id()), (Some(status), Some("req-1")), "{}", pair[0]);
    }
}

#[tokio::test]
async fn used_up_credit_is_final_and_a_rate_limit_is_not() {
    let problem = |status, body: &'static str| {
        (find("xai").unwrap().read_problem)(&haul::http::Reply {
            status,
            body: body.into(),
            ..Default::default()
        })
    };
    let spent = r#"{"code":"Some resource has been exhausted","error":"has either used all available credits or reached its monthly spending limit"}"#;
    let busy = r#"{"code":"Some resource has been exhausted","error":"The model is temporarily at capacity. Please retry your request shortly."}"#;
    assert!(problem(429, spent).unwrap().is_final);
    assert!(!problem(429, busy).unwrap().is_final);
    assert_eq!(problem(413, "too large"), None, "plain text is parsed by the shared code");
}

#[tokio::test]
async fn an_invalid_response_is_a_platform_error() {
    for body in ["<html><body>Sign in</body></html>", "", r#"{"data":[{"id":"f"#, "[]", "null", "7", "{}"] {
        let server = serve(&[body]);
        let error = open(&server, "auto", &[]).stat(&id()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Platform, "{body}: {error}");
        let server = serve(&[body]);
        match open(&server, "auto", &[]).list(&Query::default(), None).await {
            Ok(page) => assert!(body == "{}" && page.files.is_empty(), "{body}"),
            Err(error) => assert_eq!(error.kind(), Kind::Platform, "{body}: {error}"),
        }
    }
}

#[tokio::test]
async fn lenient_responses_are_parsed() {
    let loose = r#"{"id":"f","bytes":"5","created_at":"1762345678","expires_at":"","purpose":null,
        "filename":null,"public_url":null,"upload_status":"Verifying","new":{"a":[1]}}"#;
    let server = serve(&[loose]);
    let file = open(&server, "auto", &[]).stat(&id()).await.unwrap();
    assert_eq!((file.size, file.expires_at, file.name.as_str()), (Some(5), None, ""));
    assert_eq!(file.created_at, Some(Timestamp::from_second(1_762_345_678).unwrap()));
    assert_eq!(file.status.as_deref(), Some("Verifying"));
    assert_eq!(file.extra["new"], json!({ "a": [1] }));
}

#[test]
fn settings_are_checked_when_the_provider_is_opened() {
    let server = serve(&[]);
    for (dialect, set, kind) in [
        ("auto", ("via", "ftp"), Kind::Usage),
        ("auto", ("format", "pdf"), Kind::Usage),
        ("auto", ("page_number", "0"), Kind::Usage),
        ("openai", ("team_id", "t1"), Kind::Unsupported),
        ("openai", ("via", "chunks"), Kind::Unsupported),
        ("openai", ("page_number", "1"), Kind::Unsupported),
    ] {
        assert_eq!(try_open(&server, dialect, &[set]).err().map(|error| error.kind()), Some(kind), "{set:?}");
    }
}

#[tokio::test]
async fn the_token_is_not_sent_to_a_redirect_target() {
    let elsewhere = Server::start([Answer::new(200, "hello")]);
    let server = Server::start([Answer::new(302, "").header("Location", elsewhere.at("o"))]);
    open(&server, "auto", &[]).download(&id(), None).await.unwrap();
    assert_eq!(elsewhere.only().header("authorization"), None);
}
