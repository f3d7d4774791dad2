//! A server that follows a script: it answers what it is told, in order, and keeps every request byte for byte.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use url::Url;

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// JSON with status 200.
    pub fn json(body: &str) -> Self {
        Self::new(200, body).header("Content-Type", "application/json")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// What a client sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `METHOD target`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The request as fixtures spell it: request line, those headers that carry meaning, body. A form's boundary reads
    /// `BOUNDARY`, line ends read `\n`, and the length of a form, which depends on the boundary, is left out.
    pub fn canonical(&self) -> String {
        let mut lines = vec![self.line()];
        let mut body = self.text();
        let form =
            self.header("content-type").and_then(|kind| kind.split_once("multipart/form-data; boundary="));
        for name in
            ["Authorization", "Metorial-Version", "metorial-instance-id", "Content-Type", "Content-Length"]
        {
            let Some(value) = self.header(name) else { continue };
            match (name, form) {
                ("Content-Length", Some(_)) => assert_eq!(value, self.body.len().to_string()),
                ("Content-Length", None) if value == "0" => {}
                ("Content-Type", Some((_, boundary))) => {
                    lines.push("Content-Type: multipart/form-data; boundary=BOUNDARY".to_owned());
                    body = body.replace(boundary, "BOUNDARY");
                }
                _ => lines.push(format!("{name}: {value}")),
            }
        }
        format!("{}\n\n{}", lines.join("\n"), body.replace("\r\n", "\n")).trim_end().to_owned() + "\n"
    }
}

/// A listener on a free port of this machine, at work until the test ends.
pub struct Server {
    url: Url,
    requests: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Answers `answers` in order, then 500.
    pub fn start(answers: Vec<Answer>) -> Self {
        Self::start_with(|_| answers)
    }

    /// As [`start`](Self::start), for answers that name the server's own origin.
    pub fn start_with(answers: impl FnOnce(&str) -> Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::new(Mutex::new(answers(&origin).into_iter()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answers, kept) = (answers.clone(), kept.clone());
                std::thread::spawn(move || {
                    // A client that hangs up ends its connection, not the test.
                    let _ = converse(&stream, &answers, &kept);
                });
            }
        });
        Self { url: Url::parse(&origin).expect("an origin"), requests }
    }

    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Received> {
        self.requests.lock().expect("no test panics while it holds this").clone()
    }

    /// The request lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Received::line).collect()
    }
}

fn converse(
    stream: &TcpStream,
    answers: &Mutex<std::vec::IntoIter<Answer>>,
    kept: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    let mut from = BufReader::new(stream);
    let mut to = stream;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut received = Received { method, target, headers, body: Vec::new() };
        let length = received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        received.body.resize(length, 0);
        from.read_exact(&mut received.body)?;
        kept.lock().expect("no test panics while it holds this").push(received);
        let next = answers.lock().expect("no test panics while it holds this").next();
        let answer = next.unwrap_or_else(|| Answer::new(500, "the script is over"));
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status).into_bytes();
        let sized = answer.status != 204;
        for (name, value) in &answer.headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        if sized && !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            write!(head, "Content-Length: {}\r\n", answer.body.len())?;
        }
        to.write_all(&head)?;
        to.write_all(b"\r\n")?;
        to.write_all(&answer.body)?;
        to.flush()?;
    }
}
