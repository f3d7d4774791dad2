//! The emulated xAI over a socket, against the contract.

mod at_once;
mod clients;
mod errors;
mod gateway;
mod listing;
mod openai;
mod public_url;

use crate::support::clock_at;
use crate::support::emulator::{AUTH, Emulator, Setup, TOKEN};
use crate::support::raw::{FORM, form};

/// The clock of the tests: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;

fn setup() -> Setup<'static> {
    let clock = clock_at(NOW);
    Setup { platform: "xai", alone: true, token: Some(TOKEN), auth: AUTH, clock, ..Setup::DEFAULT }
}

fn start() -> Emulator {
    Emulator::start(&setup())
}

/// Uploads a file and returns its id.
fn upload(server: &Emulator, name: &str, content: &[u8]) -> String {
    let body = form(&[(&format!("name=\"file\"; filename=\"{name}\""), content)]);
    let answer = server.ask("POST", "/v1/files", &[FORM], &body).ok();
    answer.get("id").or(answer.get("file_id")).unwrap().as_str().unwrap().to_owned()
}

/// Uploads a file with a lifetime in seconds.
fn upload_for(server: &Emulator, name: &str, content: &[u8], seconds: i64) -> String {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let body = form(&[("name=\"expires_after\"", seconds.to_string().as_bytes()), (&file, content)]);
    server.ask("POST", "/v1/files", &[FORM], &body).ok()["id"].as_str().unwrap().to_owned()
}
