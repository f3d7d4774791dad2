//! A server, and a client that shows every byte.

use std::io::Write;
use std::ops::Deref;

use haul::emulator::Options;
use haul::model::{Clock, File, FileId, Object};
use haul::secret::Secret;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::raw::{Answer, FORM, Served, form};

/// The project of a key where the quirk `projects` names none.
pub const PROJECT: &str = "00000000-0000-4000-8000-000000000001";
pub const KEY: &str = "Authorization: Bearer llx-TESTKEY";
/// The clock of a server, unless it has the real one.
pub const NOW: &str = "2026-01-02T03:04:05Z";
pub const BETA: &str = "/llamacloud/api/v1/beta/files";
pub const LEGACY: &str = "/llamacloud/api/v1/files";

#[derive(Default)]
pub struct Setup<'a> {
    pub quirks: &'a [&'a str],
    pub faults: &'a [&'a str],
    pub token: Option<&'a str>,
    pub only: bool,
    pub real_clock: bool,
}

/// A server on a port of its own, with a store of its own.
pub struct Server(Served);

impl Server {
    pub fn new() -> Self {
        Self::start(&Setup::default())
    }

    pub fn with(quirks: &[&str]) -> Self {
        Self::start(&Setup { quirks, ..Setup::default() })
    }

    pub fn start(setup: &Setup) -> Self {
        let clock = Clock((!setup.real_clock).then(|| NOW.parse().unwrap()));
        let mut options = Options { clock, token: setup.token.map(Secret::new), ..Options::default() };
        for quirk in setup.quirks {
            options.set_quirk(quirk).unwrap();
        }
        if setup.only {
            options.set_only("llamacloud").unwrap();
        }
        Self(Served::start(options, setup.faults))
    }

    /// A request with a key.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.ask_bare(method, path, &[headers, &[KEY]].concat(), body)
    }

    /// A request with nothing but these headers and what HTTP wants.
    pub fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.0.ask(method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// Uploads by the beta API and checks that it worked.
    pub fn upload(&self, name: &str, purpose: &str, content: &[u8]) -> Value {
        let answer = self.try_upload(name, purpose, content);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub fn try_upload(&self, name: &str, purpose: &str, content: &[u8]) -> Answer {
        let file = format!("name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain");
        let body = form(&[("name=\"purpose\"", purpose.as_bytes()), (&file, content)]);
        self.ask("POST", BETA, &[FORM], &body)
    }

    /// Fetches a presigned URL, which must lead here.
    pub fn fetch(&self, presigned: &Value, headers: &[&str]) -> Answer {
        self.ask_bare("GET", &self.path(&presigned["url"]), headers, b"")
    }

    /// Puts a file into the store past the API.
    pub fn seed(&self, id: &str, name: &str, project: &str, created_at: Timestamp) {
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

impl Deref for Server {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.0
    }
}

/// How LlamaCloud refuses.
pub trait Refusal {
    /// Checks that this is a refusal of the text form; the words are returned.
    fn refused(&self, status: u16) -> String;

    /// Checks that this is a failed validation; where and of what type are returned.
    fn invalid(&self) -> Vec<(Value, Value)>;

    /// Checks that this is S3's refusal.
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
