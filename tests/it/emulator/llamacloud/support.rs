//! The set-up of LlamaCloud, and requests that its tests share.

use std::io::Write;

use haul::model::{File, FileId, Object};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, JSON, form};

/// The project of a key, unless the quirk `projects` names one.
pub const PROJECT: &str = "00000000-0000-4000-8000-000000000001";
pub const KEY: &str = "Authorization: Bearer llx-TESTKEY";
/// The clock of a server, unless it uses the real time.
pub const NOW: &str = "2026-01-02T03:04:05Z";
pub const BETA: &str = "/llamacloud/api/v1/beta/files";
pub const LEGACY: &str = "/llamacloud/api/v1/files";

/// Serves all platforms with a fixed clock; requests contain a key.
pub fn setup() -> Setup<'static> {
    Setup { platform: "llamacloud", auth: KEY, clock: clock(NOW), ..Setup::DEFAULT }
}

pub fn start() -> Emulator {
    Emulator::start(&setup())
}

pub fn with(quirks: &[&str]) -> Emulator {
    Emulator::start(&Setup { quirks, ..setup() })
}

/// Shorthands for requests to this platform.
pub trait Calls {
    fn json(&self, method: &str, path: &str, body: &Value) -> Answer;

    /// Uploads with the beta API and checks for success.
    fn upload(&self, name: &str, purpose: &str, content: &[u8]) -> Value;

    fn try_upload(&self, name: &str, purpose: &str, content: &[u8]) -> Answer;

    /// Fetches a presigned URL of this server.
    fn fetch(&self, presigned: &Value, headers: &[&str]) -> Answer;

    /// Puts a file directly into the store.
    fn seed(&self, id: &str, name: &str, project: &str, created_at: Timestamp);
}

impl Calls for Emulator {
    fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &[JSON], body.to_string().as_bytes())
    }

    fn upload(&self, name: &str, purpose: &str, content: &[u8]) -> Value {
        let answer = self.try_upload(name, purpose, content);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn try_upload(&self, name: &str, purpose: &str, content: &[u8]) -> Answer {
        let file = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        let body = form(&[("name=\"purpose\"", purpose.as_bytes()), (&file, content)]);
        self.ask("POST", BETA, &[FORM], &body)
    }

    fn fetch(&self, presigned: &Value, headers: &[&str]) -> Answer {
        self.ask_bare("GET", &self.path(&presigned["url"]), headers, b"")
    }

    fn seed(&self, id: &str, name: &str, project: &str, created_at: Timestamp) {
        let mut incoming = self.store.receive().unwrap();
        incoming.write_all(name.as_bytes()).unwrap();
        let extra = json!({ "project_id": project, "last_modified_at": NOW });
        let file = File {
            id: FileId::from(id),
            name: name.to_owned(),
            created_at: Some(created_at),
            extra: serde_json::from_value::<Object>(extra).unwrap(),
            ..File::default()
        };
        self.store.put("llamacloud", file, incoming.finish().unwrap()).unwrap();
    }
}

/// Checks of LlamaCloud's errors.
pub trait Refusal {
    /// Checks that this is an error with a message and returns the message.
    fn refused(&self, status: u16) -> String;

    /// Checks that this is a failed validation and returns the locations and types.
    fn invalid(&self) -> Vec<(Value, Value)>;

    /// Checks that this is an S3 error.
    fn refused_by_bucket(&self, status: u16, code: &str);
}

impl Refusal for Answer {
    fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        json["detail"].as_str().unwrap().to_owned()
    }

    fn invalid(&self) -> Vec<(Value, Value)> {
        assert_eq!(self.status, 422, "{self:?}");
        let detail = self.json()["detail"].as_array().unwrap().clone();
        let read = |problem: &Value| {
            assert!(problem["msg"].is_string(), "{problem}");
            (problem["loc"].clone(), problem["type"].clone())
        };
        detail.iter().map(read).collect()
    }

    fn refused_by_bucket(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/xml"));
        let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>";
        assert!(self.text().starts_with(&format!("{start}{code}</Code><Message>")), "{self:?}");
    }
}

pub const SHORT: [&str; 9] = [
    "id",
    "name",
    "project_id",
    "download_url",
    "expires_at",
    "external_file_id",
    "file_type",
    "last_modified_at",
    "purpose",
];
