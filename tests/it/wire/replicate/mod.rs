//! Replicate over a socket: the recorded exchange, the captured requests, pages, errors, signed links and who sees
//! the token.

mod links;
mod listing;
mod reading;
mod uploads;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::script::{Answer, Server};
use haul::error::Kind;
use haul::http::{Client, Config, Policy};
use haul::model::{Clock, FileId, NewFile, Warn};
use haul::providers::{Connection, Provider, Query, Spec, find};
use haul::secret::Secret;
use serde_json::{Value, json};

const DOCUMENTED: &str = include_str!("file-documented.json");
const TOKEN: &str = "r8_fake_token_for_local_test";
const SECRET: &str = "local-signing-secret";
const NOT_FOUND: &str = include_str!("error-404.json");

fn spec() -> &'static Spec {
    find("replicate").expect("registered")
}

fn connection(server: &Server, dialect: &str, set: &[(&str, &str)]) -> Connection {
    let base_url = server.url().join("/v1").expect("a URL");
    let mut set: BTreeMap<String, String> =
        set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let secret = set.remove("signing_secret");
    Connection {
        profile: "replicate".to_owned(),
        http: Client::new(Config {
            platform: "replicate",
            own: vec![base_url.clone()],
            token: Some(Secret::new(TOKEN)),
            token_hints: Vec::new(),
            timeout: Duration::from_secs(10),
            policy: Policy { attempts: 1, ..Policy::default() },
            cacert: None,
            insecure_http: false,
            rate: None,
            headers: Vec::new(),
            read_problem: spec().read_problem,
        }),
        upload_base_url: base_url.clone(),
        base_url,
        dialect: dialect.to_owned(),
        set,
        secrets: secret.map(|text| ("signing_secret".to_owned(), Secret::new(&text))).into_iter().collect(),
        clock: Clock(Some("2024-02-21T10:35:45.678Z".parse().expect("a time"))),
        data: std::path::PathBuf::new(),
        warn: Warn::default(),
    }
}

fn open_with(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    (spec().open)(connection(server, "auto", set)).expect("opens")
}

fn open(server: &Server) -> Box<dyn Provider> {
    open_with(server, &[])
}

/// The exchange with the live service: the answers as JSON text.
fn recorded(index: usize) -> (Value, String) {
    let all: Value = serde_json::from_str(include_str!("recorded.json")).expect("JSON");
    let exchange = &all["exchanges"][index];
    (exchange["request"].clone(), exchange["response"]["json"].to_string())
}
