//! The emulated Replicate over real sockets.

mod captured;
mod create;
mod download;
mod list;
mod problems;

use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form};

const SETUP: Setup = Setup { platform: "replicate", ..Setup::DEFAULT };
const TOKEN: &str = "Authorization: Bearer r8_fake_token_for_local_test";

fn with(quirks: &[&str]) -> Emulator {
    Emulator::start(&Setup { quirks, ..SETUP })
}

/// Shorthands for requests to this platform.
trait Calls {
    fn call(&self, method: &str, path: &str) -> Answer;

    fn create(&self, parts: &[(&str, &[u8])]) -> Answer;

    /// Uploads a file and returns its id.
    fn file(&self, name: &str, content: &[u8]) -> String;
}

impl Calls for Emulator {
    fn call(&self, method: &str, path: &str) -> Answer {
        self.ask(method, &format!("/replicate{path}"), &[TOKEN], b"")
    }

    fn create(&self, parts: &[(&str, &[u8])]) -> Answer {
        self.ask("POST", "/replicate/v1/files", &[TOKEN, FORM], &form(parts))
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let head = format!("name=\"content\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        self.create(&[(&head, content)]).expect(201)["id"].as_str().unwrap().to_owned()
    }
}

/// Checks the status, content type and `detail` of an error.
#[track_caller]
fn refused(answer: &Answer, status: u16, detail: &str) {
    assert_eq!(answer.expect(status)["detail"], detail, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
