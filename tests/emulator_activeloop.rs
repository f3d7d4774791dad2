//! The emulated Activeloop over a socket, against the contract.

#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

#[path = "emulator_activeloop/at_once.rs"]
mod at_once;
#[path = "emulator_activeloop/clients.rs"]
mod clients;
#[path = "emulator_activeloop/errors.rs"]
mod errors;
#[path = "emulator_activeloop/files.rs"]
mod files;
#[path = "emulator_activeloop/listing.rs"]
mod listing;
mod raw;
mod served;
#[path = "emulator_activeloop/workspaces.rs"]
mod workspaces;

use raw::{FORM, form};
use served::{Server, Setup};

/// What a test's clock says: 2026-05-10T12:00:00Z.
const NOW: i64 = 1_778_414_400;

fn setup() -> Setup<'static> {
    Setup { platform: "activeloop", now: Some(NOW), ..Setup::default() }
}

fn start() -> Server {
    Server::start(&setup())
}

/// Uploads a file with further fields and returns its id.
fn upload(server: &Server, name: &str, content: &[u8], fields: &[(&str, &str)]) -> String {
    let file = format!("name=\"file\"; filename=\"{name}\"");
    let heads: Vec<String> = fields.iter().map(|(name, _)| format!("name=\"{name}\"")).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![(&file, content)];
    parts.extend(heads.iter().zip(fields).map(|(head, (_, value))| (head.as_str(), value.as_bytes())));
    server.ask("POST", "/files", &[FORM], &form(&parts)).ok()["id"].as_str().unwrap().to_owned()
}
