//! What `-v` can show: every attempt, and no secret.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use haul::http::{Body, Request};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

use crate::http::{TOKEN, client};
use crate::support::server::{Answer, Server};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Ours alone: what the transport tells is not shown by `-v`.
        if event.metadata().target() == "haul::http" {
            let mut log = self.0.lock().unwrap();
            write!(log, "{}", event.metadata().level()).unwrap();
            event.record(&mut Line(&mut log));
            log.push('\n');
        }
    }
}

#[tokio::test]
async fn every_attempt_is_told_without_secrets() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(log.clone()));
    let server = Server::repeating(vec![Answer::status(503, &[("x-request-id", "r1")], ""), Answer::ok()]);
    let url = server.at("f?signature=s3cret&X-Amz-Credential=s3cret");
    let request =
        Request::put(url, Body::json(&json!({}))).repeatable().query("limit", 2).query("token", "s3cret");
    client(&server).send(&request).await.unwrap();
    let log = log.0.lock().unwrap();
    let attempts: Vec<&str> = log.lines().filter(|line| line.starts_with("DEBUG")).collect();
    let [first, second] = attempts[..] else { panic!("{log}") };
    assert!(first.contains("method=PUT") && first.contains("status=503 attempt=1 took="), "{first}");
    assert!(second.contains("status=200 attempt=2"), "{second}");
    assert!(first.contains("signature=***&X-Amz-Credential=***&limit=2&token=***"), "{first}");
    assert!(
        log.contains("name=authorization value=\"***\"") && log.contains("name=x-request-id value=\"r1\""),
        "{log}"
    );
    assert!(!log.contains(TOKEN) && !log.contains("s3cret"), "{log}");
}
