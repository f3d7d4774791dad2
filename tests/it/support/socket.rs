//! A raw-socket server for wire tests: scripted replies, requests recorded as they came.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came over the socket.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `METHOD TARGET`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// The request as the fixtures write it: the headers that mean something, the boundary by that name.
    pub fn normal(&self) -> String {
        let mut text = format!("{} HTTP/1.1\r\n", self.line());
        for name in ["authorization", "content-length", "content-type", "x-activeloop-org-id"] {
            if let Some(value) = self.header(name) {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        text.push_str("\r\n");
        text.push_str(&self.text());
        let boundary = self.header("content-type").and_then(|kind| kind.split_once("boundary="));
        match boundary {
            Some((_, boundary)) => {
                assert_eq!(boundary.len(), 32, "as long as the captured ones, so that lengths compare");
                text.replace(boundary, "BOUNDARY")
            }
            None => text,
        }
    }
}

/// A reply to give.
#[derive(Clone, Debug)]
pub struct Scripted {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: bool,
}

impl Scripted {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: false }
    }

    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("Content-Type", "application/json")
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Breaks the connection in the middle of the body.
    #[allow(dead_code, reason = "this file is part of several test binaries")]
    pub fn cut(mut self) -> Self {
        self.cut = true;
        self
    }
}

/// A server that gives the scripted replies in turn, one to a connection, and 599 when they are used up.
pub struct Server {
    pub origin: String,
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Server {
    pub fn start(replies: impl IntoIterator<Item = Scripted>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let mut replies: VecDeque<Scripted> = replies.into_iter().collect();
        let log = recorded.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let Some(request) = read(reader) else { continue };
                log.lock().expect("the log").push(request);
                let reply = replies.pop_front().unwrap_or_else(|| Scripted::new(599, "no more replies"));
                // A client that went away is its own affair.
                let _ = answer(stream, &reply);
            }
        });
        Self { origin, recorded }
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.recorded.lock().expect("the log").clone()
    }

    /// `METHOD TARGET` of every request.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Recorded::line).collect()
    }

    /// The only request.
    pub fn only(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request: {requests:?}");
        requests[0].clone()
    }
}

fn read(mut from: BufReader<TcpStream>) -> Option<Recorded> {
    let mut next = || {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let line = next()?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = next()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(Recorded { method, target, headers, body })
}

fn answer(mut to: TcpStream, reply: &Scripted) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if reply.status != 204 {
        let _ = write!(head, "Content-Length: {}\r\n", reply.body.len());
    }
    to.write_all(head.as_bytes())?;
    to.write_all(b"\r\n")?;
    to.write_all(if reply.cut { &reply.body[..reply.body.len() / 2] } else { &reply.body })?;
    to.flush()
}
