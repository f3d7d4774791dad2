//! The program where the machine it runs on is broken and where the server is hostile: it is run as its users run it,
//! against real servers on loopback, and what is looked at is the status, the words, what is stored on both sides
//! afterwards and what a terminal was sent.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "shared with tests/cli")]
#[path = "cli/pty.rs"]
mod pty;
#[path = "conformance/rig.rs"]
mod rig;
#[allow(dead_code, reason = "shared with tests/http")]
#[path = "http/server.rs"]
mod server;
#[allow(dead_code, reason = "shared with tests/cli")]
#[path = "cli/support.rs"]
mod support;

#[path = "hostile/certificates.rs"]
mod certificates;
#[path = "hostile/disk.rs"]
mod disk;
#[path = "hostile/endless.rs"]
mod endless;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/numbers.rs"]
mod numbers;
#[path = "hostile/proxies.rs"]
mod proxies;
#[path = "hostile/replies.rs"]
mod replies;
#[path = "hostile/served.rs"]
mod served;
#[path = "hostile/targets.rs"]
mod targets;
#[path = "hostile/tls.rs"]
mod tls;
#[path = "hostile/transfers.rs"]
mod transfers;
#[path = "hostile/twice.rs"]
mod twice;
#[path = "hostile/world.rs"]
mod world;
