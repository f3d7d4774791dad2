//! A server, and a client that shows every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use haul::emulator::{Faults, Options, serve};
use haul::error::Result;
use haul::model::{Clock, File, FileId, Object};
use haul::secret::Secret;
use haul::store::{self, Store};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The project of a key where the quirk `projects` names none.
pub const PROJECT: &str = "00000000-0000-4000-8000-000000000001";
pub const KEY: &str = "Authorization: Bearer llx-TESTKEY";
pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
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
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
    _home: tempfile::TempDir,
}

impl Server {
    pub fn new() -> Self {
        Self::start(&Setup::default())
    }

    pub fn with(quirks: &[&str]) -> Self {
        Self::start(&Setup { quirks, ..Setup::default() })
    }

    pub fn start(setup: &Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clock = Clock((!setup.real_clock).then(|| NOW.parse().unwrap()));
        let store =
            Store::open(&home.path().join("store"), store::Options { ephemeral: true, clock }).unwrap();
        let mut options = Options { clock, token: setup.token.map(Secret::new), ..Options::default() };
        for quirk in setup.quirks {
            options.set_quirk(quirk).unwrap();
        }
        if setup.only {
            options.set_only("llamacloud").unwrap();
        }
        let faults = Faults::parse(setup.faults.iter().copied()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = store.clone();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(serve(listener, served, options, faults, async {
                let _ = stopped.await;
            }))
        });
        Self { address, store, stop: Some(stop), thread: Some(thread), _home: home }
    }

    /// Sends bytes on a connection of its own and reads one answer.
    pub fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(request).unwrap();
        Answer::read(&mut stream, request.starts_with(b"HEAD"))
    }

    /// A request with a key.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.ask_bare(method, path, &[headers, &[KEY]].concat(), body)
    }

    /// A request with nothing but these headers and what HTTP wants.
    pub fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut lines = vec![format!("{method} {path} HTTP/1.1"), format!("Host: {}", self.address)];
        if !body.is_empty() || method == "PUT" {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        lines.extend(headers.iter().map(|&header| header.to_owned()));
        let head = lines.join("\r\n") + "\r\n\r\n";
        self.send(&[head.as_bytes(), body].concat())
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
        self.ask_bare("GET", &self.path_of(presigned["url"].as_str().unwrap()), headers, b"")
    }

    pub fn path_of(&self, url: &str) -> String {
        url.strip_prefix(&format!("http://{}", self.address)).unwrap_or_else(|| panic!("{url}")).to_owned()
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A form from the rest of each part's `Content-Disposition` (and further head lines) and its content.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        let head = format!("--BOUNDARY\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--BOUNDARY--\r\n");
    body
}

/// Bytes that look random and are the same every time.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut impl Read, bodiless: bool) -> Self {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut answer = Self { status: head[9..12].parse().unwrap(), head, body: Vec::new() };
        if bodiless || answer.status == 204 {
            return answer;
        }
        if answer.header("transfer-encoding").is_some() {
            while let Some(chunk) = read_chunk(stream) {
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            answer.body = vec![0; answer.header("content-length").unwrap().parse().unwrap()];
            stream.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Checks that this is a refusal of the text form; the words are returned.
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        json["detail"].as_str().unwrap().to_owned()
    }

    /// Checks that this is a failed validation; where and of what type are returned.
    pub fn invalid(&self) -> Vec<(Value, Value)> {
        assert_eq!(self.status, 422, "{self:?}");
        let detail = self.json()["detail"].as_array().unwrap().clone();
        let read = |problem: &Value| {
            assert!(problem["msg"].is_string(), "{problem}");
            (problem["loc"].clone(), problem["type"].clone())
        };
        detail.iter().map(read).collect()
    }

    /// Checks that this is S3's refusal.
    pub fn refused_by_bucket(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/xml"));
        let start = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>";
        assert!(self.text().starts_with(&format!("{start}{code}</Code><Message>")), "{self:?}");
    }
}

fn read_chunk(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut size = Vec::new();
    while !size.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        size.push(byte[0]);
    }
    let size = usize::from_str_radix(str::from_utf8(&size).unwrap().trim(), 16).unwrap();
    let mut chunk = vec![0; size + 2];
    stream.read_exact(&mut chunk).unwrap();
    chunk.truncate(size);
    (size > 0).then_some(chunk)
}

/// The keys of an object in their order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
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
