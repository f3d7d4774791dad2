//! The HTTP client against scripted servers on loopback.

mod answers;
mod connections;
mod contents;
mod limits;
mod origins;
mod retries;
mod secure;
mod traces;
mod uploads;

use std::time::Duration;

use crate::support::connection;
use crate::support::server::Server;
use haul::http::{Client, Config, Policy, Request};
use haul::secret::Secret;

/// A token that must appear only in the `Authorization` header to its own server.
const TOKEN: &str = "tok_0123456789abcdefghij";

/// A configuration for a server, without noticeable pauses.
fn config(server: &Server) -> Config {
    Config {
        token: Some(Secret::new(TOKEN)),
        policy: Policy {
            attempts: 3,
            elapsed: Duration::from_secs(20),
            base: Duration::from_millis(1),
            cap: Duration::from_millis(5),
        },
        ..connection::config("testland", vec![server.url.clone()])
    }
}

fn client(server: &Server) -> Client {
    Client::new(config(server))
}

fn get(server: &Server) -> Request {
    Request::get(server.at("files"))
}
