//! 429: every request of the client respects the requested delay.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use haul::error::Kind;
use haul::http::{Client, Config, Policy, Problem, RateLimit};
use jiff::Timestamp;

use crate::http::{client, config, get};
use crate::support::server::{Answer, Server};

fn limited(headers: &[(&str, &str)]) -> Answer {
    Answer::status(429, headers, "{}")
}

#[tokio::test]
async fn every_form_of_retry_after_is_respected() {
    let date = |ahead: i64| {
        let at = Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
        jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
    };
    let (now, then) = (date(0), date(1));
    for headers in [
        &[("Retry-After", "0.4")][..],
        &[("retry-after-ms", "400"), ("Retry-After", "100")],
        &[("Date", &now), ("Retry-After", &then)],
        &[("RateLimit-Reset", "0.4")],
    ] {
        let server = Server::repeating(vec![limited(headers), Answer::ok()]);
        let begun = Instant::now();
        client(&server).send(&get(&server)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(390), "{headers:?}: {:?}", begun.elapsed());
        assert_eq!(server.count(), 2);
    }
}

#[tokio::test]
async fn one_429_delays_every_request_of_the_client() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&times);
    let server = Server::new(move |number, _| {
        log.lock().unwrap().push(Instant::now());
        if number == 0 { limited(&[("Retry-After", "1.5")]) } else { Answer::ok() }
    });
    let client = client(&server);
    let request = get(&server);
    let first = async { client.send(&request).await };
    let others = async {
        // The first request has been rejected and is waiting.
        while server.count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let clone = client.clone();
        join_all((0..4).map(|_| clone.send(&request))).await
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.is_ok() && others.iter().all(Result::is_ok));
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 6, "one rejected, five served");
    assert!(times[1..].iter().all(|time| *time - times[0] >= Duration::from_millis(1490)));
}

#[tokio::test]
async fn an_excessive_delay_is_an_error_that_reports_the_time() {
    let server = Server::repeating(vec![limited(&[("Retry-After", "7200")])]);
    let client = client(&server);
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), error.status(), server.count()), (Kind::RateLimited, Some(429), 1));
    assert!(error.causes()[0].contains("2 h 0 min"), "{error}");
    assert!(error.hints()[0].starts_with("try again after 20"), "{:?}", error.hints());
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.kind(), server.count()), (Kind::RateLimited, 1), "the next request is not sent");
}

#[tokio::test]
async fn a_long_delay_is_reported_once() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let events = std::sync::Arc::clone(&seen);
    let trace = haul::http::Trace::of_pauses(move |event| events.lock().unwrap().push(event.to_string()));
    let server = Server::repeating(vec![
        limited(&[("retry-after", "2")]),
        limited(&[("retry-after", "2")]),
        limited(&[("retry-after", "0")]),
        Answer::ok(),
    ]);
    let mut config = config(&server);
    config.policy.attempts = 5;
    let client = Client::new(haul::http::Config { trace, ..config });
    let request = get(&server);
    let (one, two) = tokio::join!(client.send(&request), client.send(&request));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(*seen.lock().unwrap(), ["rate limited by testland, trying again in 2 s (2 of 5)"]);
}

#[tokio::test]
async fn a_quota_is_final() {
    fn spent(reply: &haul::http::Reply) -> Option<Problem> {
        let message = reply.header("x-why")?.to_owned();
        Some(Problem { message, is_final: true, ..Problem::default() })
    }
    let server = Server::repeating(vec![limited(&[("Retry-After", "0"), ("x-why", "credit spent")])]);
    let client = Client::new(Config { read_problem: spent, ..config(&server) });
    let error = client.send(&get(&server)).await.unwrap_err();
    assert_eq!((error.message(), server.count()), ("testland returned 429: credit spent", 1));
}

#[tokio::test]
async fn a_503_delays_only_its_request() {
    let server = Server::repeating(vec![Answer::status(503, &[("Retry-After", "0.3")], ""), Answer::ok()]);
    let begun = Instant::now();
    client(&server).send(&get(&server)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn a_published_rate_is_kept_by_default() {
    let server = Server::repeating(vec![Answer::ok()]);
    let rate = Some(RateLimit { requests: 5, per: Duration::from_millis(300) });
    let policy = Policy { attempts: 1, ..config(&server).policy };
    let client = Client::new(Config { rate, policy, ..config(&server) });
    let (begun, done) = (Instant::now(), AtomicUsize::new(0));
    let request = get(&server);
    join_all((0..11).map(|_| async {
        client.send(&request).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }))
    .await;
    assert_eq!(done.into_inner(), 11);
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}
