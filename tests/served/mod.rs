//! A platform that is served, and a client that sends exactly what a test says and shows all that comes back.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fmt::Write as _;
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
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The token that every server here takes.
pub const TOKEN: &str = "xai-a-token-of-tests";
/// A header that says it.
pub const AUTH: &str = "Authorization: Bearer xai-a-token-of-tests";
pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
pub const JSON: &str = "Content-Type: application/json";

/// How a platform is served.
#[derive(Clone, Default)]
pub struct Setup<'a> {
    pub platform: &'a str,
    pub dialect: Option<&'a str>,
    pub quirks: &'a [&'a str],
    pub any_token: bool,
    /// All platforms are served, this one below its prefix.
    pub beside_others: bool,
    /// Seconds since 1970; the real time without.
    pub now: Option<i64>,
}

/// A platform that is served, alone at the root unless the setup says otherwise.
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    pub home: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Server {
    pub fn start(setup: &Setup) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), setup)
    }

    /// Serves the store of a server that has stopped.
    pub fn start_in(home: TempDir, setup: &Setup) -> Self {
        let clock = Clock(setup.now.map(|seconds| jiff::Timestamp::from_second(seconds).unwrap()));
        let store = Store::open(home.path(), store::Options { ephemeral: true, clock }).unwrap();
        let mut options = Options { clock, ..Options::default() };
        if !setup.beside_others {
            options.set_only(setup.platform).unwrap();
        }
        options.token = (!setup.any_token).then(|| Secret::new(TOKEN));
        setup.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if let Some(dialect) = setup.dialect {
            options.set_dialect(&format!("{}={dialect}", setup.platform)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = store.clone();
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(serve(listener, served, options, Faults::default(), async {
                let _ = stopped.await;
            }))
        });
        Self { address, store, home, stop: Some(stop), thread: Some(thread) }
    }

    /// Stops it and serves the same store otherwise.
    pub fn again(mut self, setup: &Setup) -> Self {
        self.end();
        let home = std::mem::replace(&mut self.home, tempfile::tempdir().unwrap());
        Self::start_in(home, setup)
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    /// Sends bytes as they are and reads the answer.
    pub fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        Answer::read(&mut stream).unwrap()
    }

    /// Sends a request as a contract shows it: lines get their line ends, what follows the empty line is the body, and
    /// the length is put right.
    pub fn replay(&self, captured: &str) -> Answer {
        let text = captured.trim_start().replace("\r\n", "\n").replace('\n', "\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.trim_end(), ""));
        let is_length = |line: &&str| line.to_ascii_lowercase().starts_with("content-length:");
        let mut lines: Vec<String> =
            head.split("\r\n").filter(|line| !is_length(line)).map(str::to_owned).collect();
        if !head.to_ascii_lowercase().contains("\r\nhost:") {
            lines.insert(1, format!("Host: {}", self.address));
        }
        if !body.is_empty() {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        self.send(format!("{}\r\n\r\n{body}", lines.join("\r\n")).as_bytes())
    }

    /// Sends a request with the token and a body of known length.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.ask_bare(method, path, &[&[AUTH], headers].concat(), body)
    }

    /// The same without the token.
    pub fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if !body.is_empty() {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        for header in headers {
            let _ = write!(head, "{header}\r\n");
        }
        self.send(&[head.as_bytes(), b"\r\n", body].concat())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], b"")
    }

    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[JSON], body.as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

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

/// An answer; its body without the framing.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(byte(stream)?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: Vec::new() };
        if answer.header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                while !line.ends_with("\r\n") {
                    line.push(char::from(byte(stream)?));
                }
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut piece = vec![0; length + 2];
                stream.read_exact(&mut piece)?;
                answer.body.extend_from_slice(&piece[..length]);
                if length == 0 {
                    return Ok(answer);
                }
            }
        }
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = vec![0; length];
        stream.read_exact(&mut answer.body)?;
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
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.head, self.text()))
    }

    /// The JSON of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }
}

fn byte(stream: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// The keys of an object in their order.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
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
