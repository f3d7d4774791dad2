//! A raw server on loopback that says what it is told and remembers every byte it hears.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use haul::http::{Client, Config, Content, Policy};
use haul::model::{Clock, Warn};
use haul::providers::{Connection, Provider, find};
use haul::secret::Secret;
use url::Url;

/// The key in the captured requests.
pub const TOKEN: &str = "llx-TESTKEY";

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Request line and headers without the empty line.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// `METHOD target`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The request with the headers that `fixture` has and `BOUNDARY` for the boundary.
    fn like(&self, fixture: &str) -> String {
        let mut text = format!("{} HTTP/1.1\n", self.line());
        for line in fixture.lines().skip(1).take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap();
            let _ = writeln!(text, "{name}: {}", self.header(name).unwrap_or("(absent)"));
        }
        text.push('\n');
        text.push_str(&String::from_utf8(self.body.clone()).unwrap().replace("\r\n", "\n"));
        match self.header("content-type").and_then(|kind| kind.split_once("boundary=")) {
            Some((_, boundary)) => text.replace(boundary, "BOUNDARY"),
            None => text,
        }
    }

    /// Compares the request with a captured one byte for byte, but for headers that the fixture does not name.
    #[track_caller]
    pub fn assert_is(&self, fixture: &str) {
        assert_eq!(self.like(fixture), fixture);
        // `like` evens out line ends; in a form each must be CRLF.
        if fixture.contains("BOUNDARY") {
            let lone = self.body.windows(2).filter(|two| two[1] == b'\n' && two[0] != b'\r').count();
            assert_eq!(lone, 0, "a line feed without a carriage return");
        }
    }
}

/// Answers requests with scripted replies in order. An empty reply closes the connection without a word.
pub struct Server {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Says these replies in order.
    pub fn new(replies: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        let mut replies = replies.into_iter().map(Into::into).collect::<Vec<Vec<u8>>>().into_iter();
        Self::answering(move |_| replies.next().unwrap_or_else(|| text(599, "", "not in the script")))
    }

    /// Says what `answer` makes of each request.
    pub fn answering(mut answer: impl FnMut(&Seen) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let Some(request) = read(&mut stream) else { continue };
                let reply = answer(&request);
                log.lock().unwrap().push(request);
                let _ = stream.write_all(&reply);
            }
        });
        Self { url, seen }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD target` of each.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.line().to_owned()).collect()
    }
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut seen = Seen { head: head.trim_end().replace("\r\n", "\n"), body: Vec::new() };
    assert_eq!(seen.header("transfer-encoding"), None, "the length is always known");
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut seen.body).ok()?;
    Some(seen)
}

/// A whole answer. An empty content type is left out.
pub fn text(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let kind =
        if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{kind}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// A whole answer of JSON.
pub fn json(status: u16, body: &str) -> Vec<u8> {
    text(status, "application/json", body)
}

/// No answer: the connection is closed.
pub fn lost() -> Vec<u8> {
    Vec::new()
}

/// A presigned URL at `server`, as the platform gives one.
pub fn presigned(server: &Server) -> Vec<u8> {
    json(200, &include_str!("replies/presigned_url.json").replace("https://bucket.example", origin(server)))
}

/// The origin of a server, without a slash.
pub fn origin(server: &Server) -> &str {
    server.url.as_str().trim_end_matches('/')
}

/// The provider against a server, with these values of `--set`.
pub fn open_with(server: &Server, set: &[(&str, &str)]) -> Box<dyn Provider> {
    let connection = connection(server, set);
    (find("llamacloud").unwrap().open)(connection).unwrap()
}

/// The provider against a server.
pub fn open(server: &Server) -> Box<dyn Provider> {
    open_with(server, &[])
}

/// What the provider is opened with.
pub fn connection(server: &Server, set: &[(&str, &str)]) -> Connection {
    let spec = find("llamacloud").unwrap();
    for (key, _) in set {
        assert!(spec.settings.iter().any(|setting| setting.key == *key), "{key} is a documented setting");
    }
    Connection {
        profile: "work".to_owned(),
        base_url: server.url.clone(),
        upload_base_url: server.url.clone(),
        dialect: "auto".to_owned(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        secrets: BTreeMap::new(),
        http: client(server, 1),
        clock: Clock::default(),
        data: std::path::PathBuf::new(),
        warn: Warn::default(),
    }
}

/// A client that makes so many attempts.
pub fn client(server: &Server, attempts: u32) -> Client {
    Client::new(Config { policy: Policy { attempts, ..Policy::default() }, ..config(server) })
}

/// What a client for a server is made of.
pub fn config(server: &Server) -> Config {
    let spec = find("llamacloud").unwrap();
    Config {
        platform: spec.name,
        own: vec![server.url.clone()],
        token: Some(Secret::new(TOKEN)),
        token_hints: vec!["`haul auth login llamacloud`".to_owned()],
        timeout: Duration::from_secs(10),
        policy: Policy::default(),
        cacert: None,
        insecure_http: false,
        rate: None,
        headers: Vec::new(),
        read_problem: spec.read_problem,
    }
}

/// All bytes of a download.
pub async fn all(content: Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = content.stream;
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}
