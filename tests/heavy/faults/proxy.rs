//! A proxy on loopback between the program and a platform. It parses the framing of HTTP/1.1, injects faults into the
//! requests of a plan, forwards all others, and records the requests.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;

use crate::faults::reply::Reply;
use crate::support::server::{Listener, Request};

/// What happens to the connection after a fault.
pub enum Next {
    /// The connection stays open for another request.
    Stay,
    /// The connection is closed after the written bytes have arrived.
    Close,
    /// The connection is reset.
    Reset,
}

/// The action of a fault on one request.
pub type Inject = fn(&mut Exchange) -> io::Result<Next>;

/// The requests that a fault is injected into.
#[derive(Clone, Copy)]
pub struct Plan {
    pub method: &'static str,
    /// The absolute path; `*` stands for one segment. `?key` at the end stands for a query with this key, `?!key` for one
    /// without it.
    pub path: &'static str,
    pub inject: Inject,
    /// The number of requests, counted from the first.
    pub times: usize,
    /// The number of seconds by which the platform's clock is ahead.
    pub ahead: i64,
}

/// A recorded request.
#[derive(Clone, Debug)]
pub struct Recorded {
    request: Request,
    /// The target without its query.
    pub path: String,
    /// Whether the plan targets it.
    pub targeted: bool,
}

impl Deref for Recorded {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// The proxy. It listens until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _listener: Listener,
}

struct Shared {
    platform: SocketAddr,
    foreign: [SocketAddr; 2],
    plan: Plan,
    armed: AtomicBool,
    injected: AtomicUsize,
    requests: Mutex<Vec<Recorded>>,
    endless_bytes: AtomicU64,
}

/// One request, and the connection to its client.
pub struct Exchange<'a> {
    pub request: Recorded,
    /// The number of injections before this one.
    pub number: usize,
    client: &'a mut TcpStream,
    shared: &'a Shared,
    /// The number of unread bytes of the body.
    left: u64,
}

impl Proxy {
    /// A proxy for the platform at `platform`. `foreign` are the targets of redirects: another port and another host.
    pub fn start(platform: SocketAddr, foreign: [SocketAddr; 2], plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            platform,
            foreign,
            plan,
            armed: AtomicBool::new(false),
            injected: AtomicUsize::new(0),
            requests: Mutex::default(),
            endless_bytes: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let listener = Listener::new(move |stream| serving.serve(stream));
        Self { address: listener.address, shared, _listener: listener }
    }

    /// Starts to inject faults and to record requests.
    pub fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    /// All requests since the call to `arm`.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The number of bytes sent to clients in endless responses.
    pub fn endless_bytes(&self) -> u64 {
        self.shared.endless_bytes.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        // Longer than the longest test.
        let _ = client.set_read_timeout(Some(Duration::from_mins(2)));
        let _ = client.set_write_timeout(Some(Duration::from_mins(2)));
        let next = loop {
            match self.one(&mut client) {
                Ok(Some(Next::Stay)) => {}
                Ok(Some(next)) => break next,
                Ok(None) => return,
                Err(_) => break Next::Close,
            }
        };
        if matches!(next, Next::Reset) {
            let _ = tokio::net::TcpSocket::from_std_stream(client).set_zero_linger();
            return;
        }
        let _ = client.shutdown(Shutdown::Write);
        // Closing with unread bytes would reset the connection and lose the response.
        let _ = io::copy(&mut client, &mut io::sink());
    }

    /// Serves one request. Returns `None` at the end of the connection.
    fn one(&self, client: &mut TcpStream) -> io::Result<Option<Next>> {
        let Some(request) = Request::read_head(client)? else { return Ok(None) };
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let targeted = request.method == self.plan.method && fits(self.plan.path, &request.target);
        let left = request.length();
        let request = Recorded { request, path, targeted };
        let armed = self.armed.load(Ordering::SeqCst);
        if armed {
            self.requests.lock().unwrap().push(request.clone());
        }
        let number =
            if targeted && armed { self.injected.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
        let mut exchange = Exchange { request, number, client, shared: self, left };
        if number < self.plan.times {
            return (self.plan.inject)(&mut exchange).map(Some);
        }
        let reply = exchange.forward()?;
        exchange.send(&reply.bytes())?;
        Ok(Some(Next::Stay))
    }
}

impl Exchange<'_> {
    /// Reads and discards the rest of the body.
    pub fn take_body(&mut self) -> io::Result<()> {
        self.take(u64::MAX)
    }

    /// Reads and discards up to this number of bytes of the body.
    pub fn take(&mut self, most: u64) -> io::Result<()> {
        let count = self.left.min(most);
        self.left -= io::copy(&mut self.client.take(count), &mut io::sink())?;
        Ok(())
    }

    /// Forwards the request to the platform and returns its response.
    pub fn forward(&mut self) -> io::Result<Reply> {
        self.forward_without("")
    }

    /// Forwards the request without one header.
    pub fn forward_without(&mut self, header: &str) -> io::Result<Reply> {
        let mut platform = TcpStream::connect(self.shared.platform)?;
        let out = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case(header)
        };
        let head: Vec<&str> = self.request.head.trim_end().lines().filter(out).collect();
        platform.write_all(format!("{}\r\nconnection: close\r\n\r\n", head.join("\r\n")).as_bytes())?;
        self.left -= io::copy(&mut self.client.take(self.left), &mut platform)?;
        let mut bytes = Vec::new();
        platform.read_to_end(&mut bytes)?;
        let mut reply = Reply::read(&bytes).ok_or(io::ErrorKind::InvalidData)?;
        if self.shared.plan.ahead != 0 {
            reply.shift(SignedDuration::from_secs(self.shared.plan.ahead));
        }
        Ok(reply)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.write_all(bytes)
    }

    /// Reads the whole request and responds instead of the platform.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &str) -> io::Result<Next> {
        self.take_body()?;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let reply = Reply { status, headers, body: body.as_bytes().to_vec() };
        self.send(&reply.bytes())?;
        Ok(Next::Stay)
    }

    /// Sends `bytes` repeatedly until `most` bytes are sent. Returns an error if the client closes the connection.
    pub fn send_repeatedly(&mut self, bytes: &[u8], most: u64) -> io::Result<()> {
        let mut sent = 0;
        while sent < most {
            let count = self.client.write(bytes)?;
            sent += count as u64;
            self.shared.endless_bytes.fetch_add(count as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Waits until the client closes the connection.
    pub fn wait_for_client(&mut self) -> io::Result<()> {
        io::copy(self.client, &mut io::sink()).map(drop)
    }

    /// Closes the direction to the client only.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.client.shutdown(Shutdown::Write)
    }

    /// A foreign server: 0 is another port, 1 another host.
    pub fn foreign(&self, which: usize) -> SocketAddr {
        self.shared.foreign[which]
    }
}

/// Whether a target matches a pattern.
fn fits(pattern: &str, target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (pattern, key) = pattern.split_once('?').unwrap_or((pattern, ""));
    let has = |key: &str| query.split('&').any(|pair| pair.split('=').next() == Some(key));
    let is_selected = match key.strip_prefix('!') {
        Some(key) => !has(key),
        None => key.is_empty() || has(key),
    };
    if !is_selected {
        return false;
    }
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == "*" || wanted == part => {}
            _ => return false,
        }
    }
}

/// Two servers outside the platform's origin, one on another port and one on another host. They record all requests;
/// the token must not be in them.
pub struct ForeignServers {
    pub addresses: [SocketAddr; 2],
    heads: Arc<Mutex<Vec<String>>>,
    _listeners: [Listener; 2],
}

impl ForeignServers {
    pub fn start() -> Self {
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let listeners = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| {
            let heads = Arc::clone(&heads);
            Listener::at(address, move |mut stream| {
                if let Ok(Some(request)) = Request::read_head(&mut stream) {
                    heads.lock().unwrap().push(request.head);
                    let _ = stream.write_all(b"HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n");
                }
            })
        });
        let addresses = [listeners[0].address, listeners[1].address];
        Self { addresses, heads, _listeners: listeners }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
