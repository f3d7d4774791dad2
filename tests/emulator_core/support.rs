//! An example platform, a server for it, and a client that shows every byte.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use haul::emulator::{
    Content, Faults, Limits, Options, Params, Platform, Quirk, Refused, Sending, Site, Take, TokenCheck, ids,
    receive, receive_json, receive_raw, serve,
};
use haul::error::{Kind, Result};
use haul::model::{File, FileId};
use haul::secret::Secret;
use haul::store::{self, Listing, Store};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// A file may have so many bytes on the example platform.
pub const LIMIT: u64 = 3_000_000;

static EXAMPLE: Platform = Platform {
    name: "example",
    base_path: "/v1",
    dialects: &["plain", "fancy"],
    md5: true,
    quirks: &[Quirk { name: "ranges", value: "", help: "honours ranges" }],
    variables: |root, token| {
        vec![("EXAMPLE_BASE_URL", format!("{root}/v1")), ("EXAMPLE_TOKEN", token.to_owned())]
    },
    routes: |site| {
        Router::new()
            .route("/v1/files", post(upload).get(list))
            .route("/v1/files/{id}", get(stat))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/raw", post(raw))
            .route("/v1/json", post(echo))
            .route("/v1/panic", get(broken))
            .with_state(site)
    },
    error: |_, status, message| {
        let message = if message.is_empty() { "unknown route or method" } else { message };
        (status, Json(json!({ "detail": message }))).into_response()
    },
};

static PLATFORMS: [&Platform; 1] = [&EXAMPLE];

fn refused<E: Into<String>>(site: &Site, refused: Refused<E>) -> Response {
    let (status, message) = match refused {
        Refused::Malformed(why) => (StatusCode::BAD_REQUEST, why),
        Refused::TooLarge(limit) => (StatusCode::PAYLOAD_TOO_LARGE, format!("more than {limit}")),
        Refused::Rule(why) => (StatusCode::UNPROCESSABLE_ENTITY, why.into()),
        Refused::Store(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    (EXAMPLE.error)(site, status, &message)
}

fn failed(site: &Site, error: &haul::error::Error) -> Response {
    let status = match error.kind() {
        Kind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (EXAMPLE.error)(site, status, error.message())
}

async fn upload(State(site): State<Arc<Site>>, headers: HeaderMap, body: Body) -> Response {
    match site.check_token(&headers, &["Bearer", "Token"]) {
        TokenCheck::Accepted => {}
        check => return (EXAMPLE.error)(&site, StatusCode::UNAUTHORIZED, &format!("{check:?}")),
    }
    let limits = Limits { file: Some(LIMIT), body: Some(LIMIT + 1_000_000) };
    let form =
        receive(&site, &headers, body, limits, |before, head| match (head.name.as_str(), &head.file_name) {
            ("file", None) => Err("a file without a name"),
            ("file", Some(_)) => Ok(Take::File),
            ("lifetime", _) if before.has_file() => Err("the lifetime goes before the file"),
            ("ignored", _) => Ok(Take::Nothing),
            _ => Ok(Take::Text),
        });
    let mut form = match form.await {
        Ok(form) => form,
        Err(why) => return refused(&site, why),
    };
    let texts: Vec<_> = form.texts().map(|(name, value)| json!([name, value])).collect();
    let mut stored = Vec::new();
    for upload in form.take_files() {
        let file = File {
            id: FileId(ids::hex(16)),
            name: upload.head.file_name.unwrap_or_default(),
            content_type: upload.head.content_type,
            ..File::default()
        };
        match site.blocking(move |store| store.put("example", file, upload.blob)).await {
            Ok(file) => stored.push(show(&file)),
            Err(error) => return failed(&site, &error),
        }
    }
    let first = stored.first().and_then(|file| file["id"].as_str()).unwrap_or_default();
    let url = format!("{}/v1/files/{first}", site.root(&headers));
    Json(json!({ "files": stored, "texts": texts, "url": url, "dialect": site.dialect })).into_response()
}

fn show(file: &File) -> Value {
    json!({
        "id": file.id, "name": file.name, "type": file.content_type, "size": file.size,
        "sha256": file.checksums.sha256, "md5": file.checksums.md5,
    })
}

async fn list(State(site): State<Arc<Site>>, params: Params) -> Response {
    let wanted: Vec<_> = params.all("name").into_iter().map(str::to_owned).collect();
    match site.blocking(|store| store.list("example", &Listing::default())).await {
        Ok(files) => {
            let files = files.iter().filter(|file| wanted.is_empty() || wanted.contains(&file.name));
            Json(files.map(show).collect::<Vec<_>>()).into_response()
        }
        Err(error) => failed(&site, &error),
    }
}

async fn stat(State(site): State<Arc<Site>>, UrlPath(id): UrlPath<String>) -> Response {
    match site.blocking(move |store| store.stat("example", &FileId(id))).await {
        Ok(file) => Json(show(&file)).into_response(),
        Err(error) => failed(&site, &error),
    }
}

async fn content(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> Response {
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let etag = content.file.checksums.sha256.clone();
            let headers_too = vec![(ETAG, "\"not this one\"".to_owned())];
            let ranges = site.quirk("ranges");
            let how = if ranges {
                Sending::default()
            } else {
                Sending { headers: headers_too, ..Sending::default() }
            };
            content.send(&headers, Sending { ranges, etag: etag.filter(|_| ranges), ..how })
        }
        Err(error) => failed(&site, &error),
    }
}

async fn raw(State(site): State<Arc<Site>>, headers: HeaderMap, body: Body) -> Response {
    let blob = match receive_raw(&site, &headers, body, None).await {
        Ok(blob) => blob,
        Err(why) => return refused::<String>(&site, why),
    };
    let file = File { id: FileId(ids::uuid()), ..File::default() };
    match site.blocking(move |store| store.put("example", file, blob)).await {
        Ok(file) => Json(show(&file)).into_response(),
        Err(error) => failed(&site, &error),
    }
}

async fn echo(State(site): State<Arc<Site>>, body: Body) -> Response {
    match receive_json(body, 1000).await {
        Ok(value) => Json(value).into_response(),
        Err(why) => refused::<String>(&site, why),
    }
}

async fn broken() -> Response {
    panic!("the handler's own fault")
}

/// What a test wants of its server.
#[derive(Default)]
pub struct Setup<'a> {
    pub faults: &'a [&'a str],
    pub quirks: &'a [&'a str],
    pub token: Option<&'a str>,
    pub only: bool,
}

/// A server on a port of its own, with a store of its own.
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    pub log: mpsc::UnboundedReceiver<String>,
    pub home: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Server {
    pub fn start(setup: &Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store_options = store::Options { ephemeral: true, ..store::Options::default() };
        let store = Store::open(&home.path().join("store"), store_options).unwrap();
        let (to_log, log) = mpsc::unbounded_channel();
        let mut options = Options { platforms: &PLATFORMS, log: Some(to_log), ..Options::default() };
        options.token = setup.token.map(Secret::new);
        setup.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if setup.only {
            options.set_only("example").unwrap();
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
        Self { address, store, log, home, stop: Some(stop), thread: Some(thread) }
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has stopped.
    pub fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends a request on a connection of its own and reads the answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.try_ask(method, path, headers, body).unwrap()
    }

    pub fn try_ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect();
        stream.write_all(&request(self.address, method, path, headers, body))?;
        Answer::read(&mut stream, method)
    }

    /// Uploads one file.
    pub fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let body = form(&[(&format!("name=\"file\"; filename=\"{name}\""), content)]);
        self.ask("POST", "/example/v1/files", &[FORM, BEARER], &body)
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.store.list("example", &Listing::default()).unwrap().len()
    }

    /// Whether nothing half-done is left, within a while.
    pub fn is_clean(&self) -> bool {
        let incoming = self.home.path().join("store/incoming");
        within(|| entries(&incoming) == 0)
    }

    /// The next line of the log.
    pub fn logged(&mut self) -> Value {
        serde_json::from_str(&self.log.blocking_recv().unwrap()).unwrap()
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

pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
pub const BEARER: &str = "Authorization: Bearer secret";

/// A form from the rest of each part's `Content-Disposition` (and further head lines) and its content.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(b"--BOUNDARY\r\nContent-Disposition: form-data; ");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--BOUNDARY--\r\n");
    body
}

/// A request's bytes.
pub fn request(host: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if !body.is_empty() {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    for header in headers {
        head.extend([header, "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body is as long as its framing says.
    pub whole: bool,
}

impl Answer {
    /// Reads one answer; an error if there is not even a head.
    pub fn read(stream: &mut impl Read, method: &str) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match stream.read(&mut byte)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => head.push(byte[0]),
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: Vec::new(), whole: true };
        if method == "HEAD" || status == 204 {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some() {
            let mut rest = Vec::new();
            let mut piece = [0; 4096];
            // The bytes of the test files never hold this.
            while !rest.ends_with(b"0\r\n\r\n") {
                match stream.read(&mut piece)? {
                    0 => {
                        answer.whole = false;
                        break;
                    }
                    read => rest.extend_from_slice(&piece[..read]),
                }
            }
            answer.body = rest;
            return Ok(answer);
        }
        let length: u64 = answer.header("content-length").unwrap().parse().unwrap();
        stream.take(length).read_to_end(&mut answer.body)?;
        answer.whole = answer.body.len() as u64 == length;
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The id of the first file of an upload.
    pub fn id(&self) -> String {
        self.json()["files"][0]["id"].as_str().unwrap().to_owned()
    }
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

/// Whether something comes true before long.
pub fn within(mut is_true: impl FnMut() -> bool) -> bool {
    (0..500).any(|_| {
        is_true() || {
            thread::sleep(Duration::from_millis(20));
            false
        }
    })
}

pub fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}
