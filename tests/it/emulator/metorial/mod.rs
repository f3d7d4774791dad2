//! The emulated Metorial over real sockets, in each dialect.

mod access;
mod at_once;
mod captured;
mod files;
mod links;
mod paging;
mod presigned;
mod upload;

use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form};
use serde_json::Value;

const SETUP: Setup = Setup { platform: "metorial", ..Setup::DEFAULT };
const KEY: &str = "Authorization: Bearer metorial_sk_TEST";
const PULSAR: &str = "Metorial-Version: 2025-01-01-pulsar";
const MAGNETAR: &str = "Metorial-Version: 2026-01-01-magnetar";

fn dialect(word: &str) -> Emulator {
    Emulator::start(&Setup { dialect: Some(word), ..SETUP })
}

/// A purpose that a dialect accepts.
fn purpose(dialect: &str) -> &'static str {
    match dialect {
        "seed" => "attachment",
        "pulsar" => "user_image",
        _ => "generic",
    }
}

/// Shorthands for requests to this platform.
trait Calls {
    fn call(&self, method: &str, path: &str, body: &str) -> Answer;

    fn upload(&self, purpose: &str, name: &str, content: &[u8]) -> Answer;

    /// Uploads a small file and returns its id.
    fn file(&self, purpose: &str, name: &str) -> String;

    fn list(&self, query: &str) -> Value;
}

impl Calls for Emulator {
    fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers: &[&str] = if body.is_empty() { &[KEY] } else { &[KEY, crate::support::raw::JSON] };
        self.ask(method, &format!("/metorial{path}"), headers, body.as_bytes())
    }

    fn upload(&self, purpose: &str, name: &str, content: &[u8]) -> Answer {
        let file = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        let body = form(&[(&file, content), ("name=\"purpose\"", purpose.as_bytes())]);
        self.ask("POST", "/metorial/files", &[KEY, FORM], &body)
    }

    fn file(&self, purpose: &str, name: &str) -> String {
        self.upload(purpose, name, b"hello world").expect(200)["id"].as_str().unwrap().to_owned()
    }

    fn list(&self, query: &str) -> Value {
        self.call("GET", &format!("/files?{query}"), "").expect(200)
    }
}

/// Checks the status, code and entity of an error. An empty `entity` means that the error has none.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, entity: &str) {
    let body = answer.expect(status);
    assert_eq!(body["code"], code, "{answer:?}");
    assert_eq!(body["entity"].as_str().unwrap_or_default(), entity, "{answer:?}");
    assert_eq!((body["ok"].as_bool(), body["status"].as_u64()), (Some(false), Some(u64::from(status))));
    assert!(!body["message"].as_str().unwrap().is_empty());
}
