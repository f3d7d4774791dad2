//! The emulated Activeloop over a socket, against the contract.

mod at_once;
mod clients;
mod errors;
mod files;
mod listing;
mod workspaces;

use crate::support::clock_at;
use crate::support::emulator::{AUTH, Emulator, Setup, TOKEN};
use crate::support::raw::{FORM, form};

/// The clock of the tests: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;

fn setup() -> Setup<'static> {
    let clock = clock_at(NOW);
    Setup { platform: "activeloop", alone: true, token: Some(TOKEN), auth: AUTH, clock, ..Setup::DEFAULT }
}

fn start() -> Emulator {
    Emulator::start(&setup())
}

/// Uploads a file with additional fields and returns its id.
fn upload(server: &Emulator, name: &str, content: &[u8], fields: &[(&str, &str)]) -> String {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let heads: Vec<String> = fields.iter().map(|(name, _)| format!("name=\"{name}\"")).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![(&file, content)];
    parts.extend(heads.iter().zip(fields).map(|(head, (_, value))| (head.as_str(), value.as_bytes())));
    server.ask("POST", "/files", &[FORM], &form(&parts)).ok()["id"].as_str().unwrap().to_owned()
}
