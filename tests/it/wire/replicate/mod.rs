//! Replicate over a socket: the recorded exchange, the captured requests, pages, errors, signed links, and which
//! servers receive the token.

mod links;
mod listing;
mod reading;
mod uploads;

use crate::support::clock;
use crate::support::connection::Profile;
use crate::support::server::{Answer, Server};
use haul::error::{Error, Kind};
use haul::model::{FileId, NewFile};
use haul::providers::{Provider, Query, Spec, find};
use serde_json::{Value, json};

const DOCUMENTED: &str = include_str!("file-documented.json");
const TOKEN: &str = "r8_fake_token_for_local_test";
const SECRET: &str = "local-signing-secret";
const NOT_FOUND: &str = include_str!("error-404.json");

fn spec() -> &'static Spec {
    find("replicate").expect("registered")
}

fn try_open(server: &Server, dialect: &str, set: &[(&str, &str)]) -> Result<Box<dyn Provider>, Error> {
    let clock = clock("2024-02-21T10:35:45.678Z");
    let profile = Profile { name: "replicate", token: Some(TOKEN), ..Profile::new(spec(), &server.at("v1")) };
    Profile { dialect, set, clock, ..profile }.open()
}

fn open_with(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(server, "auto", set).expect("opens")
}

fn open(server: &Server) -> Box<dyn Provider> {
    open_with(server, &[])
}

/// A recorded exchange with the live service: the request, and the response as JSON text.
fn recorded(index: usize) -> (Value, String) {
    let all: Value = serde_json::from_str(include_str!("recorded.json")).expect("JSON");
    let exchange = &all["exchanges"][index];
    (exchange["request"].clone(), exchange["response"]["json"].to_string())
}
