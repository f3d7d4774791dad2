//! The events of `-vv`: every attempt, without secrets.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use haul::http::{Body, Client, Config, Event, Request, Trace};
use serde_json::json;

use crate::http::{TOKEN, config};
use crate::support::server::{Answer, Server};

#[tokio::test]
async fn every_attempt_is_traced_without_secrets() {
    let log = Arc::<Mutex<String>>::default();
    let lines = Arc::clone(&log);
    let trace = Trace::to(move |event| {
        let kind = if matches!(event, Event::Attempt { .. }) { "attempt" } else { "header" };
        writeln!(lines.lock().unwrap(), "{kind} {event}").unwrap();
    });
    let session = [("x-goog-upload-url", "http://h/?upload_id=s3cret"), ("x-guploader-uploadid", "s3cret")];
    let failed = Answer::status(503, &[("x-request-id", "r1")], "");
    let server = Server::repeating(vec![failed, Answer::status(200, &session, "{}")]);
    let url = server.at("f?signature=s3cret&X-Amz-Credential=s3cret&upload_id=s3cret");
    let request =
        Request::put(url, Body::json(&json!({}))).repeatable().query("limit", 2).query("token", "s3cret");
    Client::new(Config { trace, ..config(&server) }).send(&request).await.unwrap();
    let log = log.lock().unwrap();
    let attempts: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("attempt ")).collect();
    let [first, second] = attempts[..] else { panic!("{log}") };
    assert!(first.starts_with("PUT http://") && first.contains(": 503 in "), "{first}");
    assert!(!first.contains(", attempt"), "{first}");
    assert!(second.contains(": 200 in ") && second.ends_with(", attempt 2"), "{second}");
    assert!(first.contains("signature=***&X-Amz-Credential=***&upload_id=***&limit=2&token=***"), "{first}");
    assert!(
        log.contains("header sent authorization: ***") && log.contains("header received x-request-id: r1"),
        "{log}"
    );
    assert!(!log.contains(TOKEN) && !log.contains("s3cret"), "{log}");
}
