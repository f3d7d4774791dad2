//! The emulator over a store of its own, and a client that sends exactly what a test says and shows every byte.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use haul::emulator::{Faults, Options, serve};
use haul::error::Result;
use haul::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
pub const JSON: &str = "Content-Type: application/json";

/// What is served, on a port of its own.
pub struct Served {
    pub address: SocketAddr,
    pub store: Store,
    /// The store is in `store` below.
    pub home: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Served {
    pub fn start(options: Options, faults: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options, faults)
    }

    /// Serves a store that was served before.
    pub fn start_in(home: TempDir, options: Options, faults: &[&str]) -> Self {
        let store_options =
            store::Options { ephemeral: true, clock: options.clock, ..store::Options::default() };
        let store = Store::open(&home.path().join("store"), store_options).unwrap();
        let faults = Faults::parse(faults.iter().copied()).unwrap();
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

    /// Asks it to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    /// Stops it; what it kept can be served again.
    pub fn end(mut self) -> TempDir {
        self.stop();
        self.join();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    /// Sends bytes as they are on a connection of its own and reads the answer.
    pub fn send(&self, request: &[u8]) -> Answer {
        let answer = self.try_send(request).unwrap();
        assert!(answer.whole, "{answer:?}");
        answer
    }

    /// The same where the answer may stop short or not come at all.
    pub fn try_send(&self, request: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect();
        stream.write_all(request)?;
        Answer::read(&mut stream, request.starts_with(b"HEAD "))
    }

    /// Sends a request with these headers, and `Host` and `Content-Length` unless they are among them.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send(&request(self.address, method, path, headers, body))
    }

    /// Sends a request as a contract shows it: lines end with a line feed there, what follows the empty line is the
    /// body, and its length and the host are put right.
    pub fn replay(&self, captured: &str) -> Answer {
        let text = captured.trim_start().replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let body = body.trim_end_matches('\n').replace('\n', "\r\n");
        let body = if body.ends_with("--") { body + "\r\n" } else { body };
        let mut lines = head.lines().map(str::trim);
        let mut first = lines.next().unwrap().split(' ');
        let is_ours = |line: &&str| ["content-length:", "host:"].iter().any(|name| begins(line, name));
        let headers: Vec<&str> = lines.filter(|line| !is_ours(line)).collect();
        self.ask(first.next().unwrap(), first.next().unwrap(), &headers, body.as_bytes())
    }

    /// The path of a URL of this server.
    pub fn path(&self, url: &Value) -> String {
        let url = url.as_str().unwrap_or_else(|| panic!("{url} is no URL"));
        url.strip_prefix(&format!("http://{}", self.address)).unwrap_or_else(|| panic!("{url}")).to_owned()
    }

    /// Whether nothing half-done is left, within a while.
    pub fn is_clean(&self) -> bool {
        let incoming = self.home.path().join("store/incoming");
        within(|| entries(&incoming) == 0)
    }

    /// How many blobs and half-done uploads are on disk.
    pub fn blobs(&self) -> usize {
        files_below(&self.home.path().join("store/blobs"))
            + files_below(&self.home.path().join("store/incoming"))
    }
}

/// Changes the last byte of all content on disk; how many contents there are.
pub fn damage(home: &Path) -> usize {
    let blobs = all_below(&home.join("store/blobs"));
    for path in &blobs {
        let mut bytes = std::fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    blobs.len()
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request's bytes, with `Host` and `Content-Length` unless the headers have them.
pub fn request(host: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let has = |name| headers.iter().any(|header| begins(header, name));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !has("host:") {
        let _ = write!(head, "Host: {host}\r\n");
    }
    if !has("content-length:") && (!body.is_empty() || method == "PUT") {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    for header in headers {
        head.extend([header, "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn begins(header: &str, name: &str) -> bool {
    header.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// A form from what follows `form-data; ` in each part's head (and further head lines) and its content.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        let head = format!("--BOUNDARY\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--BOUNDARY--\r\n");
    body
}

/// An answer; its body without the framing.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body is as long as its framing says.
    pub whole: bool,
}

impl Answer {
    /// Reads one answer; an error if there is not even a head.
    pub fn read(stream: &mut impl Read, bodiless: bool) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&line(stream)?);
        }
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: Vec::new(), whole: true };
        if bodiless || status == 204 {
            return Ok(answer);
        }
        answer.whole = if answer.header("transfer-encoding").is_some() {
            answer.read_chunks(stream).is_ok()
        } else {
            let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
            stream.take(length).read_to_end(&mut answer.body)? as u64 == length
        };
        Ok(answer)
    }

    fn read_chunks(&mut self, stream: &mut impl Read) -> io::Result<()> {
        loop {
            let length = u64::from_str_radix(line(stream)?.trim(), 16).unwrap();
            if stream.take(length).read_to_end(&mut self.body)? as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line(stream)?;
            if length == 0 {
                return Ok(());
            }
        }
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

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The keys of the body in their order.
    pub fn keys(&self) -> Vec<String> {
        keys(&self.json()).into_iter().map(str::to_owned).collect()
    }

    /// The JSON of a success.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.expect(200)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.head, self.text().chars().take(2000).collect::<String>())
    }
}

/// A line with its end; an error where the stream ends before it.
fn line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8(line).unwrap())
}

/// The keys of an object in their order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The texts of one key in a list of objects.
pub fn all<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
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

fn files_below(directory: &Path) -> usize {
    all_below(directory).len()
}

fn all_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let below = entries.map(|entry| entry.unwrap().path());
    below.flat_map(|path| if path.is_dir() { all_below(&path) } else { vec![path] }).collect()
}
