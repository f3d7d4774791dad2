//! The emulated xAI over a socket, against the contract.

#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

#[path = "emulator_xai/at_once.rs"]
mod at_once;
#[path = "emulator_xai/clients.rs"]
mod clients;
#[path = "emulator_xai/errors.rs"]
mod errors;
#[path = "emulator_xai/gateway.rs"]
mod gateway;
#[path = "emulator_xai/listing.rs"]
mod listing;
#[path = "emulator_xai/openai.rs"]
mod openai;
#[path = "emulator_xai/public_url.rs"]
mod public_url;
mod raw;
mod served;

use raw::{FORM, form};
use served::{Server, Setup};

/// What a test's clock says: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;

fn setup() -> Setup<'static> {
    Setup { platform: "xai", now: Some(NOW), ..Setup::default() }
}

fn start() -> Server {
    Server::start(&setup())
}

/// Uploads a file and returns its id.
fn upload(server: &Server, name: &str, content: &[u8]) -> String {
    let body = form(&[(&format!("name=\"file\"; filename=\"{name}\""), content)]);
    let answer = server.ask("POST", "/v1/files", &[FORM], &body).ok();
    answer.get("id").or(answer.get("file_id")).unwrap().as_str().unwrap().to_owned()
}

/// The same with a lifetime in seconds.
fn upload_for(server: &Server, name: &str, content: &[u8], seconds: i64) -> String {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let body = form(&[("name=\"expires_after\"", seconds.to_string().as_bytes()), (&file, content)]);
    server.ask("POST", "/v1/files", &[FORM], &body).ok()["id"].as_str().unwrap().to_owned()
}
