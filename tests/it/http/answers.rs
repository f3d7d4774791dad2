//! Responses: JSON, errors of every shape, oversized and compressed ones.

use std::time::Duration;

use haul::error::Kind;
use haul::http::{Client, Config, Problem, Reply};
use serde_json::Value;

use crate::http::{TOKEN, client, config, get};
use crate::support::server::{Answer, Server};

fn client_once(server: &Server) -> Client {
    let mut config = config(server);
    config.policy.attempts = 1;
    Client::new(config)
}

/// `{"ok":"` + 1,000 × `a` + `"}`, compressed by gzip.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 202, 207, 86, 178, 82, 74, 28, 5, 163, 96, 20, 12, 123, 160,
    84, 11, 0, 227, 179, 229, 119, 241, 3, 0, 0,
];

#[tokio::test]
async fn gzip_is_requested_and_decoded() {
    let headers = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
    let server = Server::repeating(vec![Answer::status(200, &headers, GZIP)]);
    let value: Value = client(&server).json(&get(&server), "file").await.unwrap();
    assert_eq!(value["ok"].as_str().map(str::len), Some(1000));
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn invalid_gzip_is_an_error_without_a_retry() {
    let mut bad = GZIP.to_vec();
    bad[12] ^= 0xff;
    let server = Server::repeating(vec![Answer::status(200, &[("Content-Encoding", "gzip")], bad)]);
    let error = client(&server).send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::Platform, 1), "{error}");
}

#[tokio::test]
async fn garbage_between_chunks_is_an_error() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::repeating(vec![Answer::raw(format!("{head}5\r\nhello\r\nxyz\r\n"))]);
    let error = client(&server).send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::Platform, 1), "{error}");
    let server = Server::repeating(vec![Answer::raw(format!("{head}5\r\nhello\r\n")), Answer::ok()]);
    client(&server).send(&get(&server)).await.unwrap();
    assert_eq!(server.count(), 2, "a truncated response counts as lost, not as invalid");
}

#[tokio::test]
async fn unexpected_json_is_described() {
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code)]
    struct File {
        id: String,
    }
    let deep = "{\"a\":".repeat(100_000);
    for (body, expected) in [
        ("", "testland's file is empty"),
        ("<html><body>Log in</body></html>", "testland's file is HTML or XML, not JSON"),
        (
            "{\"id\":\n 5}",
            "testland's file is not valid: invalid type: integer `5`, expected a string at line 2 column 2",
        ),
        ("{}", "testland's file is not valid: missing field `id` at line 1 column 2"),
        ("{\"id\":\"a", "testland's file is not valid: EOF while parsing a string at line 1 column 8"),
    ] {
        let server = Server::repeating(vec![Answer::status(200, &[("cf-ray", "abc")], body)]);
        let error = client(&server).json::<File>(&get(&server), "file").await.unwrap_err();
        assert_eq!((error.kind(), error.message(), server.count()), (Kind::Platform, expected, 1));
        assert_eq!(error.request_id(), Some("abc"));
    }
    let server = Server::repeating(vec![Answer::status(200, &[], deep)]);
    let error = client(&server).json::<Value>(&get(&server), "file").await.unwrap_err();
    assert!(error.message().contains("recursion limit exceeded"), "{error}");
}

#[tokio::test]
async fn html_and_empty_bodies_have_messages() {
    for (status, body, expected) in [
        (502, "<html><head><title>Bad gateway</title></head></html>", "testland returned 502: Bad gateway"),
        (503, "", "testland returned 503: service unavailable"),
        (400, "", "testland rejected the request: bad request"),
        (422, r#"{"detail":"too long"}"#, "testland rejected the request: too long"),
        (407, "", "the proxy returned 407: proxy authentication required"),
        (599, "", "testland returned 599: no reason given"),
    ] {
        let server = Server::repeating(vec![Answer::status(status, &[], body)]);
        let error = client_once(&server).send(&get(&server)).await.unwrap_err();
        assert_eq!(error.message(), expected);
    }
}

#[tokio::test]
async fn a_platform_can_parse_its_own_errors() {
    fn reads(reply: &Reply) -> Option<Problem> {
        let message = format!("bad key ({})", reply.header("x-code")?);
        Some(Problem { message, kind: Some(Kind::Auth), ..Problem::default() })
    }
    let server = Server::repeating(vec![Answer::status(400, &[("x-code", "7")], "")]);
    let client = Client::new(Config { read_problem: reads, ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Auth, "testland rejected the request: bad key (7)"));
    assert_eq!(error.hints(), ["`haul auth login testland`"]);
}

#[tokio::test]
async fn a_token_in_a_response_is_hidden() {
    let server =
        Server::repeating(vec![Answer::status(401, &[], format!(r#"{{"error":"bad key {TOKEN}"}}"#))]);
    let error = client(&server).send(&get(&server)).await.unwrap_err();
    assert_eq!(error.message(), "testland returned 401: bad key ***");
}

#[tokio::test]
async fn a_huge_error_body_is_not_read() {
    // 100 MB are announced, and the server never sends the rest.
    let mut body = b"HTTP/1.1 500 Oops\r\nContent-Length: 100000000\r\n\r\nout of order\n".to_vec();
    body.resize(200_000, b' ');
    let server = Server::repeating(vec![Answer::raw(body).hang()]);
    let error = client_once(&server).send(&get(&server)).await.unwrap_err();
    assert_eq!(error.message(), "testland returned 500: out of order");
}

#[tokio::test]
async fn a_truncated_error_body_keeps_the_status_of_the_error() {
    let server =
        Server::repeating(vec![Answer::raw("HTTP/1.1 404 Gone\r\nContent-Length: 50\r\n\r\nnot here")]);
    let error = client(&server).send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "testland returned 404: not here"));
}

#[tokio::test]
async fn invalid_text_hides_no_other_value() {
    let body = [&br#"{"files":[{"name":"\ud800abc"},{"name":"b"}],"raw":""#[..], b"\xff\"}"].concat();
    let server = Server::repeating(vec![Answer::json(body)]);
    let value: Value = client(&server).json(&get(&server), "file").await.unwrap();
    assert_eq!(
        value,
        serde_json::json!({"files": [{"name": "\u{fffd}abc"}, {"name": "b"}], "raw": "\u{fffd}"})
    );
}

#[tokio::test]
async fn a_response_that_would_fill_the_memory_is_not_decoded() {
    let body = format!("{{\"data\":[1{}]}}", ",1".repeat(4_000_000));
    let server = Server::repeating(vec![Answer::json(body)]);
    let error = client(&server).json::<Value>(&get(&server), "list").await.unwrap_err();
    let expected = "testland's list would take more than 512 MiB of memory";
    assert_eq!((error.kind(), error.message(), server.count()), (Kind::Platform, expected, 1));
}

#[tokio::test]
async fn an_oversized_response_is_refused() {
    let body = vec![b' '; 64 * 1024 * 1024 + 1];
    let server = Server::repeating(vec![Answer::status(200, &[], body)]);
    let client = Client::new(Config { timeout: Duration::from_mins(1), ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.message(), server.count()), ("testland sent a response larger than 64 MiB", 1));
}
