//! The emulated Activeloop over a socket, against the contract.

mod at_once;
mod clients;
mod errors;
mod files;
mod listing;
mod workspaces;

use crate::support::raw::{FORM, form};
use crate::support::served::{Server, Setup};

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
