//! A server on a raw socket. It sends scripted bytes and records every request as received.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use url::Url;

/// A request as received.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// The request line and the headers, including the empty line at the end.
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body has the announced length.
    pub whole: bool,
}

impl Request {
    /// Reads the head of a request; `None` at the end of the connection.
    pub fn read_head(stream: &mut (impl Read + ?Sized)) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte)? == 0 {
                return Ok(None);
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let mut words = head.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Ok(Some(Self { method, target, head, ..Self::default() }))
    }

    /// Reads the body. Every request of haul announces its length.
    pub fn read_body(&mut self, stream: &mut (impl Read + ?Sized)) -> io::Result<()> {
        assert_eq!(self.header("transfer-encoding"), None, "the length is always known");
        let length = self.length();
        let read = stream.take(length).read_to_end(&mut self.body);
        self.whole = self.body.len() as u64 == length;
        read.map(drop)
    }

    /// The announced length of the body.
    pub fn length(&self) -> u64 {
        self.header("content-length").map_or(0, |length| length.parse().unwrap())
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(key, value)| (key, value.trim()))
    }

    /// `METHOD TARGET`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    /// Checks that this is a captured request: its request line, its headers in any order, its body byte for byte.
    /// A file with a captured request has line feeds as line endings and `BOUNDARY` as the boundary of a form. It
    /// omits the headers of [`EVERYWHERE`] and may omit the length.
    #[track_caller]
    pub fn assert_is(&self, captured: &str) {
        let (head, body) = captured.split_once("\n\n").unwrap_or((captured, ""));
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        assert_eq!(self.line(), line.trim_end_matches(" HTTP/1.1"));

        let boundary = self.header("content-type").and_then(|kind| kind.split_once("boundary="));
        let named = |text: &str| match boundary {
            Some((_, boundary)) => text.replace(boundary, "BOUNDARY"),
            None => text.to_owned(),
        };
        let wanted = headers.lines().filter_map(|line| line.split_once(": "));
        let wanted = sorted(wanted.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
        let has_length = wanted.iter().any(|(name, _)| name == "content-length");
        let found = self.headers().map(|(name, value)| (name.to_ascii_lowercase(), named(value)));
        let found = sorted(found.filter(|(name, _)| {
            !EVERYWHERE.contains(&name.as_str()) && (name != "content-length" || has_length)
        }));
        assert_eq!(found, wanted, "{line}");

        assert!(self.whole, "{line}");
        match boundary {
            Some(_) => assert_eq!(named(&self.text()), body.replace('\n', "\r\n"), "{line}"),
            None => assert_eq!(self.text(), body.trim_end_matches('\n'), "{line}"),
        }
    }
}

/// Headers of every request.
const EVERYWHERE: [&str; 4] = ["accept", "accept-encoding", "host", "user-agent"];

fn sorted(headers: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    headers
}

/// A response to a request, and how the connection ends.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status and header lines; `None` sends only the body.
    head: Option<(u16, String)>,
    body: Vec<u8>,
    early: bool,
    drips: bool,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    KeepOpen,
    Close,
    Hang,
    /// Stop reading and writing, but deliver what was written.
    Linger,
}

impl Answer {
    /// A complete response with a length. The connection stays open.
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        let head = Some((status, String::new()));
        Self { head, body: body.as_ref().to_vec(), early: false, drips: false, then: Then::KeepOpen }
    }

    /// Like [`new`](Self::new), with headers.
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        headers.iter().fold(Self::new(status, body), |answer, (name, value)| answer.header(name, value))
    }

    /// 200 with a JSON body.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, body).header("Content-Type", "application/json")
    }

    /// 200 with an arbitrary JSON body.
    pub fn ok() -> Self {
        Self::json(r#"{"ok":true}"#)
    }

    /// Sends exactly these bytes and closes the connection.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { head: None, then: Then::Close, ..Self::new(0, bytes) }
    }

    /// Reads only the head of the request and closes the connection without a response.
    pub fn cut() -> Self {
        Self { early: true, ..Self::raw("") }
    }

    /// The same response with another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.head = self.head.map(|(_, headers)| (status, headers));
        self
    }

    /// The same response with another header.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.head =
            self.head.map(|(status, lines)| (status, format!("{lines}{name}: {}\r\n", value.as_ref())));
        self
    }

    /// Responds after the head of the request, without reading the body, and closes the connection.
    pub fn early(mut self) -> Self {
        self.early = true;
        self.then = Then::Linger;
        self
    }

    /// Stops sending and leaves the connection open.
    pub fn hang(mut self) -> Self {
        self.then = Then::Hang;
        self
    }

    /// Sends the body at 20 bytes a second.
    pub fn drip(mut self) -> Self {
        self.drips = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let Some((status, headers)) = &self.head else { return self.body.clone() };
        // 204 has no body and therefore no length.
        let length =
            if *status == 204 { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        [format!("HTTP/1.1 {status} Scripted\r\n{length}{headers}\r\n").as_bytes(), &self.body].concat()
    }
}

/// A local port that serves each connection in its own thread, until it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Listener {
    pub fn new(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", serve)
    }

    /// Like [`new`](Self::new), at another address.
    pub fn at(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::accept(TcpListener::bind(address).unwrap(), serve)
    }

    fn accept(listener: TcpListener, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let (over, serve) = (Arc::new(AtomicBool::new(false)), Arc::new(serve));
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, over }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

type Script = dyn Fn(usize) -> Answer + Send + Sync;
type Handler = dyn Fn(usize, &Request) -> Answer + Send + Sync;

/// The source of responses.
enum Source {
    /// Decides by the number of the request, so a response can be sent before the body is received.
    Script(Box<Script>),
    /// Decides by the whole request.
    Handler(Box<Handler>),
}

impl Source {
    /// The response, if it is sent before the body is received.
    fn early(&self, number: usize) -> Option<Answer> {
        match self {
            Self::Script(answer) => Some(answer(number)).filter(|answer| answer.early),
            Self::Handler(_) => None,
        }
    }

    fn answer(&self, number: usize, request: &Request) -> Answer {
        match self {
            Self::Script(answer) => answer(number),
            Self::Handler(answer) => answer(number, request),
        }
    }
}

/// A server with scripted responses. It stops when dropped.
pub struct Server {
    pub url: Url,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    _listener: Listener,
}

impl Server {
    /// Sends the `answers` one by one, then 599.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_with(|_| answers)
    }

    /// Like [`start`](Self::start), for responses that contain the server's own origin.
    pub fn start_with<I: IntoIterator<Item = Answer>>(answers: impl FnOnce(&str) -> I) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<_> = answers(&origin).into_iter().collect();
        let answer = move |number: usize| {
            answers.get(number).cloned().unwrap_or_else(|| Answer::new(599, "not in the script"))
        };
        Self::serve(listener, None, Source::Script(Box::new(answer)))
    }

    /// Sends the `answers` one by one, and the last one for all further requests.
    pub fn repeating(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Vec<_> = answers.into_iter().collect();
        let answer = move |number: usize| answers[number.min(answers.len() - 1)].clone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, None, Source::Script(Box::new(answer)))
    }

    /// Responds as `handler` decides from the request and its number, counted from 0.
    pub fn new(handler: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, None, Source::Handler(Box::new(handler)))
    }

    /// Like [`new`](Self::new), over TLS.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::serve(listener, Some(config), Source::Handler(Box::new(handler)))
    }

    fn serve(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, source: Source) -> Self {
        let (requests, connections) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicUsize>::default());
        let (log, count) = (Arc::clone(&requests), Arc::clone(&connections));
        let address = listener.local_addr().unwrap();
        let url = match tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let listener = Listener::accept(listener, move |mut stream| {
            count.fetch_add(1, Ordering::SeqCst);
            let converse = |wire: &mut dyn Wire| while serve_one(wire, &source, &log).is_some() {};
            match &tls {
                None => converse(&mut stream),
                Some(config) => {
                    let session = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                    converse(&mut rustls::StreamOwned::new(session, stream));
                }
            }
        });
        Self { url: Url::parse(&url).unwrap(), requests, connections, _listener: listener }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// `METHOD TARGET` of each request.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    /// The only request.
    #[track_caller]
    pub fn only(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "one request: {requests:?}");
        requests.remove(0)
    }

    /// The number of requests.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The number of opened connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A URL on this server.
    pub fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }

    /// `SCHEME://HOST:PORT`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// A connection whose sending side can be closed.
trait Wire: Read + Write {
    fn end(&mut self);
}

impl Wire for TcpStream {
    fn end(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Wire for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn end(&mut self) {
        self.sock.end();
    }
}

/// Serves one request; `None` at the end of the connection.
fn serve_one(wire: &mut dyn Wire, source: &Source, log: &Mutex<Vec<Request>>) -> Option<()> {
    let mut request = Request::read_head(wire).ok()??;
    let number = {
        // Recorded after the head, so that an interrupted request counts too.
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    let mut answer = source.early(number);
    if answer.is_none() {
        // `whole` shows whether the body was interrupted.
        let _ = request.read_body(wire);
        answer = request.whole.then(|| source.answer(number, &request));
        log.lock().unwrap()[number] = request;
    }
    let answer = answer?;
    let bytes = answer.bytes();
    let (now, later) = bytes.split_at(bytes.len() - if answer.drips { answer.body.len() } else { 0 });
    wire.write_all(now).ok()?;
    wire.flush().ok()?;
    for byte in later {
        wire.write_all(&[*byte]).ok()?;
        wire.flush().ok()?;
        thread::sleep(Duration::from_millis(50));
    }
    match answer.then {
        Then::KeepOpen => Some(()),
        Then::Close => {
            wire.end();
            None
        }
        Then::Hang => {
            thread::sleep(Duration::from_hours(1));
            None
        }
        Then::Linger => {
            wire.end();
            // Closing with unread bytes would reset the connection and lose the response.
            let mut sink = [0; 1024];
            thread::sleep(Duration::from_millis(300));
            while wire.read(&mut sink).is_ok_and(|count| count > 0) {}
            None
        }
    }
}
