//! A server on a raw socket that answers byte for byte what a test says, and remembers what it was asked.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use url::Url;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub target: String,
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body had its announced length.
    pub whole: bool,
}

impl Seen {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    early: bool,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    KeepOpen,
    Close,
    Hang,
    /// Stop reading and writing, but let what was written arrive.
    Linger,
}

impl Answer {
    /// Exactly these bytes, then the connection is closed.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), early: false, then: Then::Close }
    }

    /// A whole answer with a length; the connection stays open.
    pub fn status(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        let mut answer = Self::raw([format!("{head}\r\n").as_bytes(), body].concat());
        answer.then = Then::KeepOpen;
        answer
    }

    /// 200 with a JSON body.
    pub fn ok() -> Self {
        Self::status(200, &[("Content-Type", "application/json")], r#"{"ok":true}"#)
    }

    /// Answers as soon as the head has come, reads no body and leaves.
    pub fn early(mut self) -> Self {
        self.early = true;
        self.then = Then::Linger;
        self
    }

    /// Says no more, and leaves the connection open.
    pub fn hang(mut self) -> Self {
        self.then = Then::Hang;
        self
    }

    /// Reads only the head of the request, then closes the connection without a word.
    pub fn cut() -> Self {
        Self { early: true, ..Self::raw("") }
    }
}

type Handler = dyn Fn(usize, &Seen) -> Answer + Send + Sync;

/// A running server; ends with the process.
pub struct Server {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers in this order; the last answer serves all further requests.
    pub fn script(answers: Vec<Answer>) -> Self {
        Self::new(move |number, _| answers[number.min(answers.len() - 1)].clone())
    }

    /// Answers as `handler` says, which gets the request's number from 0 and its head.
    pub fn new(handler: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::start("http", handler, |stream, serve| serve(&mut Plain(stream)))
    }

    /// The same over TLS.
    pub fn tls(
        config: Arc<rustls::ServerConfig>,
        handler: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start("https", handler, move |stream, serve| {
            let Ok(session) = rustls::ServerConnection::new(Arc::clone(&config)) else { return };
            serve(&mut Secure(rustls::StreamOwned::new(session, stream)));
        })
    }

    fn start(
        scheme: &str,
        handler: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
        wrap: impl Fn(TcpStream, &dyn Fn(&mut dyn Wire)) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = if scheme == "https" { "localhost" } else { "127.0.0.1" };
        let url = Url::parse(&format!("{scheme}://{host}:{port}/")).unwrap();
        let (seen, connections) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::<AtomicUsize>::default());
        let server = Self { url, seen: Arc::clone(&seen), connections: Arc::clone(&connections) };
        let (handler, wrap): (Arc<Handler>, _) = (Arc::new(handler), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (handler, wrap, seen) = (Arc::clone(&handler), Arc::clone(&wrap), Arc::clone(&seen));
                std::thread::spawn(move || {
                    wrap(stream, &|wire| while serve_one(wire, &*handler, &seen).is_some() {});
                });
            }
        });
        server
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A URL on this server.
    pub fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }
}

/// A connection that can stop sending.
trait Wire: Read + Write {
    fn end(&mut self);
}

struct Plain(TcpStream);
struct Secure(rustls::StreamOwned<rustls::ServerConnection, TcpStream>);

macro_rules! delegate {
    ($kind:ty) => {
        impl Read for $kind {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for $kind {
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.0.write(buffer)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                self.0.flush()
            }
        }
    };
}
delegate!(Plain);
delegate!(Secure);

impl Wire for Plain {
    fn end(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Wire for Secure {
    fn end(&mut self) {
        let _ = self.0.sock.shutdown(Shutdown::Write);
    }
}

/// Serves one request; None when the connection is at its end.
fn serve_one(wire: &mut dyn Wire, handler: &Handler, log: &Mutex<Vec<Seen>>) -> Option<()> {
    let mut seen = read_head(wire)?;
    let number = {
        // Counted by its head, so that a request that breaks off is counted too.
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len() - 1
    };
    let answer = handler(number, &seen);
    if !answer.early {
        let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
        let read = wire.take(length).read_to_end(&mut seen.body);
        seen.whole = seen.body.len() as u64 == length;
        let whole = seen.whole;
        log.lock().unwrap()[number] = seen;
        if read.is_err() || !whole {
            return None;
        }
    }
    wire.write_all(&answer.bytes).ok()?;
    wire.flush().ok()?;
    match answer.then {
        Then::KeepOpen => Some(()),
        Then::Close => {
            wire.end();
            None
        }
        Then::Hang => {
            std::thread::sleep(Duration::from_hours(1));
            None
        }
        Then::Linger => {
            wire.end();
            // Closing with unread bytes would reset the connection and take the answer with it.
            let mut sink = [0; 1024];
            std::thread::sleep(Duration::from_millis(300));
            while wire.read(&mut sink).is_ok_and(|count| count > 0) {}
            None
        }
    }
}

fn read_head(wire: &mut dyn Wire) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if wire.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.split(' ');
    let target = words.nth(1)?.to_owned();
    Some(Seen { target, head, body: Vec::new(), whole: false })
}
