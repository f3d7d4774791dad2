//! A server that emulates one platform, and a client that sends and shows every byte.

#![allow(dead_code, clippy::unwrap_used)] // Each test binary uses a part of it, and fails by panicking.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use haul::emulator::{Faults, Options, serve};
use haul::error::Result;
use haul::model::Clock;
use haul::secret::Secret;
use haul::store::{self, Store};
use serde_json::Value;
use tokio::sync::oneshot;

/// What a test wants of its server.
#[derive(Default)]
pub struct Setup<'a> {
    pub platform: &'a str,
    pub dialect: Option<&'a str>,
    pub quirks: &'a [&'a str],
    pub faults: &'a [&'a str],
    pub token: Option<&'a str>,
    /// Served at the root, too.
    pub alone: bool,
    pub clock: Clock,
}

/// A server on a port of its own, with a store of its own.
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    pub home: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Server {
    pub fn start(setup: &Setup) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = open(&home, setup.clock);
        Self::over(home, store, setup)
    }

    /// Stops, and starts another server over the same store.
    pub fn again(mut self, setup: &Setup) -> Self {
        self.end();
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        let store = open(&home, setup.clock);
        Self::over(home, store, setup)
    }

    fn over(home: tempfile::TempDir, store: Store, setup: &Setup) -> Self {
        let mut options = Options { clock: setup.clock, ..Options::default() };
        options.token = setup.token.map(Secret::new);
        if let Some(dialect) = setup.dialect {
            options.set_dialect(&format!("{}={dialect}", setup.platform)).unwrap();
        }
        setup.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if setup.alone {
            options.set_only(setup.platform).unwrap();
        }
        let faults = Faults::parse(setup.faults.iter().copied()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = store.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve(listener, served, options, faults, async {
                let _ = stopped.await;
            }))
        });
        Self { address, store, home, stop: Some(stop), thread: Some(thread) }
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Sends a request on a connection of its own and reads the answer. With `Host` and `Content-Length` where the
    /// headers do not have them.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let has = |name: &str| headers.iter().any(|header| header.to_ascii_lowercase().starts_with(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !has("host:") {
            head.extend(["Host: ", &self.address.to_string(), "\r\n"]);
        }
        if !has("content-length:") && !body.is_empty() {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        for header in headers {
            head.extend([header, "\r\n"]);
        }
        self.send(&[head.as_bytes(), b"\r\n", body].concat(), method)
    }

    /// Sends bytes as they are and reads the answer.
    pub fn send(&self, request: &[u8], method: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        Answer::read(&mut stream, method).unwrap()
    }

    /// Sends a captured request: lines end with a line feed here, the body follows the empty line, and its length is
    /// counted afresh, since ids stand in for the captured ones.
    pub fn replay(&self, captured: &str) -> Answer {
        let (head, body) = captured.trim_start().split_once("\n\n").unwrap_or((captured.trim(), ""));
        let body = body.trim_end_matches('\n').replace('\n', "\r\n");
        let body = if body.ends_with("--") { body + "\r\n" } else { body };
        let mut lines = Vec::new();
        for line in head.lines().map(str::trim) {
            match line.split_once(':') {
                Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                    lines.push(format!("{name}: {}", body.len()));
                }
                Some((name, _)) if name.eq_ignore_ascii_case("host") => {
                    lines.push(format!("{name}: {}", self.address));
                }
                _ => lines.push(line.to_owned()),
            }
        }
        let method = lines[0].split(' ').next().unwrap().to_owned();
        self.send(format!("{}\r\n\r\n{body}", lines.join("\r\n")).as_bytes(), &method)
    }

    /// The path of a URL of this server.
    pub fn path(&self, url: &Value) -> String {
        let url = url.as_str().unwrap_or_else(|| panic!("{url} is no URL"));
        url.strip_prefix(&format!("http://{}", self.address)).unwrap_or_else(|| panic!("{url}")).to_owned()
    }

    /// How many blobs and half-done uploads are on disk.
    pub fn blobs(&self) -> usize {
        files_below(&self.home.path().join("store/blobs"))
            + files_below(&self.home.path().join("store/incoming"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn open(home: &tempfile::TempDir, clock: Clock) -> Store {
    Store::open(&home.path().join("store"), store::Options { ephemeral: true, clock }).unwrap()
}

fn files_below(directory: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let below = entries.map(|entry| entry.unwrap().path());
    below.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
pub const JSON: &str = "Content-Type: application/json";

/// A form from what follows `form-data; ` in each part's head (and further head lines) and its content.
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

/// A clock that stands.
pub fn clock(time: &str) -> Clock {
    Clock(Some(time.parse().unwrap()))
}

/// An answer as it came.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut impl Read, method: &str) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: Vec::new() };
        if method != "HEAD" && status != 204 {
            let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
            stream.take(length).read_to_end(&mut answer.body)?;
            assert_eq!(answer.body.len() as u64, length, "{answer:?}");
        }
        Ok(answer)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The keys of the body in their order.
    pub fn keys(&self) -> Vec<String> {
        self.json().as_object().unwrap().keys().cloned().collect()
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.head, self.text().chars().take(2000).collect::<String>())
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

/// The texts of one key in a list of objects.
pub fn all<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}
