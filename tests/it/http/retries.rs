//! One test for each row of the retry table, with the number of requests that it allows.

use std::time::Duration;

use haul::error::Kind;
use haul::http::{Body, Client, Config, Policy, Problem, Reply, Request};
use serde_json::json;
use url::Url;

use crate::http::{client, config, get};
use crate::support::server::{Answer, Server};

fn post(server: &Server) -> Request {
    Request::post(server.at("files"), Body::json(&json!({"name": "a"})))
}

fn fail(status: u16) -> Answer {
    Answer::status(status, &[("x-request-id", "req-7")], r#"{"detail":"no luck"}"#)
}

#[tokio::test]
async fn a_server_error_is_retried_for_repeatable_requests() {
    for status in [408, 425, 429, 499, 500, 502, 503, 504, 520, 524, 529, 599] {
        let server = Server::repeating(vec![fail(status), fail(status), Answer::ok()]);
        let reply = client(&server).send(&get(&server)).await.unwrap();
        assert_eq!((reply.status, server.count()), (200, 3), "{status}");
        let server = Server::repeating(vec![fail(status)]);
        let error = client(&server).send(&get(&server)).await.unwrap_err();
        assert_eq!(server.count(), 3, "{status}: the attempts of the policy");
        assert_eq!(error.status(), Some(status));
        let message = format!("testland returned {status}: no luck (gave up after 3 attempts in 0.");
        assert!(error.message().starts_with(&message), "{}", error.message());
        assert_eq!(error.request_id(), Some("req-7"));
        assert!(error.causes().is_empty(), "{:?}", error.causes());
        assert!(!error.is_unanswered());
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_carried_out_is_not_retried() {
    let lost = (500..=599).filter(|status| ![501, 505].contains(status));
    for status in [408, 425, 499].into_iter().chain(lost) {
        let server = Server::repeating(vec![fail(status), Answer::ok()]);
        let error = client(&server).send(&post(&server)).await.unwrap_err();
        assert_eq!((server.count(), error.kind()), (1, Kind::Platform), "{status}");
        assert!(error.is_unanswered() && error.may_be_done(), "{status}");
        let server = Server::repeating(vec![fail(status), Answer::ok()]);
        client(&server).send(&post(&server).repeatable()).await.unwrap();
        assert_eq!(server.count(), 2, "{status}: unless the request is marked as repeatable");
    }
}

#[tokio::test]
async fn a_rejected_post_is_retried() {
    let server = Server::repeating(vec![fail(429), Answer::ok()]);
    client(&server).send(&post(&server)).await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn other_refusals_are_final() {
    for (status, kind) in [
        (400, Kind::Failed),
        (401, Kind::Auth),
        (402, Kind::RateLimited),
        (403, Kind::Auth),
        (404, Kind::NotFound),
        (405, Kind::Platform),
        (409, Kind::Failed),
        (410, Kind::NotFound),
        (413, Kind::Unsupported),
        (422, Kind::Failed),
        (418, Kind::Failed),
        (501, Kind::Platform),
        (505, Kind::Platform),
    ] {
        for request in [get, post] {
            let server = Server::repeating(vec![fail(status)]);
            let error = client(&server).send(&request(&server)).await.unwrap_err();
            assert_eq!((error.kind(), error.status(), server.count()), (kind, Some(status), 1), "{status}");
            assert!(!error.may_be_done(), "{status}");
        }
    }
}

#[tokio::test]
async fn a_lost_response_is_retried_only_for_repeatable_requests() {
    for lost in
        [Answer::raw(""), Answer::raw("HTTP/1.1 200 OK\r\nContent-Le"), Answer::raw("garbage\r\n\r\n")]
    {
        let server = Server::repeating(vec![lost.clone(), lost.clone(), Answer::ok()]);
        client(&server).send(&get(&server)).await.unwrap();
        assert_eq!(server.count(), 3);
        let server = Server::repeating(vec![lost, Answer::ok()]);
        let error = client(&server).send(&post(&server)).await.unwrap_err();
        assert_eq!((error.kind(), server.count(), error.is_unanswered()), (Kind::Unreachable, 1, true));
    }
}

#[tokio::test]
async fn a_truncated_response_counts_as_lost() {
    let cut = Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ok\":");
    let server = Server::repeating(vec![cut.clone(), Answer::ok()]);
    client(&server).send(&get(&server)).await.unwrap();
    assert_eq!(server.count(), 2);
    let server = Server::repeating(vec![cut]);
    let error = client(&server).send(&post(&server)).await.unwrap_err();
    assert_eq!((error.kind(), server.count(), error.is_unanswered()), (Kind::Unreachable, 1, true));
}

#[tokio::test]
async fn a_timeout_counts_as_a_lost_response() {
    let impatient =
        |server: &Server| Client::new(Config { timeout: Duration::from_millis(200), ..config(server) });
    for silent in
        [Answer::raw("").hang(), Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{").hang()]
    {
        let server = Server::repeating(vec![silent.clone(), Answer::ok()]);
        impatient(&server).send(&get(&server)).await.unwrap();
        assert_eq!(server.count(), 2);
        let server = Server::repeating(vec![silent]);
        let error = impatient(&server).send(&post(&server)).await.unwrap_err();
        assert_eq!((error.kind(), server.count(), error.is_unanswered()), (Kind::Unreachable, 1, true));
        assert!(error.message().ends_with("within 0.2 s"), "{error}");
    }
}

#[tokio::test]
async fn an_unsent_request_is_retried() {
    let url = Url::parse("http://127.0.0.1:1/").unwrap();
    let server = Server::repeating(vec![Answer::ok()]);
    let client = Client::new(Config { own: vec![url.clone()], ..config(&server) });
    let error = client.send(&Request::post(url, Body::json(&json!({})))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let message = "could not reach testland at http://127.0.0.1:1 (gave up after 3 attempts in ";
    assert!(error.message().starts_with(message), "{}", error.message());
    assert!(error.causes()[0].contains("refused"), "{:?}", error.causes());
    assert!(!error.is_unanswered());
}

#[tokio::test]
async fn a_retried_deletion_that_finds_nothing_has_succeeded() {
    let lost = Answer::raw("");
    for first in [lost, fail(500), fail(503)] {
        let server = Server::repeating(vec![first, fail(404)]);
        let reply = client(&server).send(&Request::delete(server.at("files/1"))).await.unwrap();
        assert_eq!((reply.status, server.count()), (204, 2));
    }
    // A platform may use another status for a missing file.
    let server = Server::repeating(vec![Answer::raw(""), fail(403)]);
    let read_problem = |_: &Reply| Some(Problem { kind: Some(Kind::NotFound), ..Problem::default() });
    let forgetful = Client::new(Config { read_problem, ..config(&server) });
    assert_eq!(forgetful.send(&Request::delete(server.at("files/1"))).await.unwrap().status, 204);
    for script in [vec![fail(404)], vec![fail(429), fail(404)]] {
        let server = Server::repeating(script);
        let error = client(&server).send(&Request::delete(server.at("files/1"))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound, "nothing was deleted before");
    }
}

#[tokio::test]
async fn the_elapsed_time_is_limited_too() {
    let server = Server::repeating(vec![fail(500)]);
    let policy = Policy {
        attempts: 1000,
        elapsed: Duration::from_millis(100),
        base: Duration::from_millis(20),
        cap: Duration::from_millis(40),
    };
    let client = Client::new(Config { policy, ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert!(server.count() > 1 && server.count() < 500, "{}", server.count());
    assert!(error.message().contains(" (gave up after "), "{}", error.message());
}
