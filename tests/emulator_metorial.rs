//! Metorial's emulator over real sockets, dialect by dialect.

#![allow(clippy::unwrap_used)] // A test fails by panicking, its helpers too.

mod emulator_wire;
mod raw;

#[path = "emulator_metorial/access.rs"]
mod access;
#[path = "emulator_metorial/at_once.rs"]
mod at_once;
#[path = "emulator_metorial/captured.rs"]
mod captured;
#[path = "emulator_metorial/files.rs"]
mod files;
#[path = "emulator_metorial/links.rs"]
mod links;
#[path = "emulator_metorial/paging.rs"]
mod paging;
#[path = "emulator_metorial/presigned.rs"]
mod presigned;
#[path = "emulator_metorial/upload.rs"]
mod upload;

use emulator_wire::{Server, Setup};
use raw::{Answer, FORM, form};
use serde_json::Value;

const SETUP: Setup = Setup {
    platform: "metorial",
    dialect: None,
    quirks: &[],
    faults: &[],
    token: None,
    alone: false,
    clock: haul::model::Clock(None),
};
const KEY: &str = "Authorization: Bearer metorial_sk_TEST";
const PULSAR: &str = "Metorial-Version: 2025-01-01-pulsar";
const MAGNETAR: &str = "Metorial-Version: 2026-01-01-magnetar";

fn dialect(word: &str) -> Server {
    Server::start(&Setup { dialect: Some(word), ..SETUP })
}

/// A purpose that a dialect takes.
fn purpose(dialect: &str) -> &'static str {
    match dialect {
        "seed" => "attachment",
        "pulsar" => "user_image",
        _ => "generic",
    }
}

impl Server {
    fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers: &[&str] = if body.is_empty() { &[KEY] } else { &[KEY, crate::raw::JSON] };
        self.ask(method, &format!("/metorial{path}"), headers, body.as_bytes())
    }

    fn upload(&self, purpose: &str, name: &str, content: &[u8]) -> Answer {
        let file = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        let body = form(&[(&file, content), ("name=\"purpose\"", purpose.as_bytes())]);
        self.ask("POST", "/metorial/files", &[KEY, FORM], &body)
    }

    /// Uploads a small file; its id.
    fn file(&self, purpose: &str, name: &str) -> String {
        self.upload(purpose, name, b"hello world").expect(200)["id"].as_str().unwrap().to_owned()
    }

    fn list(&self, query: &str) -> Value {
        self.call("GET", &format!("/files?{query}"), "").expect(200)
    }
}

/// Checks an error: its status, code and entity (empty for none).
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, entity: &str) {
    let body = answer.expect(status);
    assert_eq!(body["code"], code, "{answer:?}");
    assert_eq!(body["entity"].as_str().unwrap_or_default(), entity, "{answer:?}");
    assert_eq!((body["ok"].as_bool(), body["status"].as_u64()), (Some(false), Some(u64::from(status))));
    assert!(!body["message"].as_str().unwrap().is_empty());
}
