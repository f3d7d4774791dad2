//! A proxy on loopback between the program and a platform. It understands the boundaries of HTTP/1.1, passes on what it is
//! not told to spoil, and remembers what it was asked.

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
    /// It stays open for another request.
    Stay,
    /// It ends in peace: what was written arrives.
    Close,
    /// It is reset.
    Reset,
}

/// What a fault does with a request.
pub type Inject = fn(&mut Exchange) -> io::Result<Next>;

/// Which requests are spoiled, how often and how.
#[derive(Clone, Copy)]
pub struct Plan {
    pub method: &'static str,
    /// The path from the root; `*` is one part of it.
    pub path: &'static str,
    pub inject: Inject,
    /// So many of them, the first ones.
    pub times: usize,
    /// Seconds that the platform's clock is ahead.
    pub ahead: i64,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    request: Request,
    /// The target without its query.
    pub path: String,
    /// Whether it is one of those that the plan names.
    pub named: bool,
}

impl Deref for Asked {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// The proxy; it listens until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _listener: Listener,
}

struct Shared {
    platform: SocketAddr,
    elsewhere: [SocketAddr; 2],
    plan: Plan,
    spoils: AtomicBool,
    spoiled: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
    poured: AtomicU64,
}

/// One request that is to be spoiled.
pub struct Exchange<'a> {
    pub asked: Asked,
    /// How many were spoiled before it.
    pub number: usize,
    client: &'a mut TcpStream,
    shared: &'a Shared,
    /// Bytes of the body that are still to be read.
    left: u64,
}

impl Proxy {
    /// A proxy for a platform at `platform`; `elsewhere` is where redirects lead: another port and another host.
    pub fn start(platform: SocketAddr, elsewhere: [SocketAddr; 2], plan: Plan) -> Self {
        let shared = Arc::new(Shared {
            platform,
            elsewhere,
            plan,
            spoils: AtomicBool::new(false),
            spoiled: AtomicUsize::new(0),
            asked: Mutex::default(),
            poured: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let listener = Listener::new(move |stream| serving.serve(stream));
        Self { address: listener.address, shared, _listener: listener }
    }

    /// Begins: until then everything passes and nothing is noted.
    pub fn spoil(&self) {
        self.shared.spoils.store(true, Ordering::SeqCst);
    }

    /// All requests since it began.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How many bytes of answers without end were taken.
    pub fn poured(&self) -> u64 {
        self.shared.poured.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        // Nobody is waited for longer than the longest test.
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
        // Closing with unread bytes would reset the connection and take the answer with it.
        let _ = io::copy(&mut client, &mut io::sink());
    }

    /// Serves one request; None at the end of the connection.
    fn one(&self, client: &mut TcpStream) -> io::Result<Option<Next>> {
        let Some(request) = Request::read_head(client)? else { return Ok(None) };
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let named = request.method == self.plan.method && fits(self.plan.path, &path);
        let left = request.length();
        let asked = Asked { request, path, named };
        let spoils = self.spoils.load(Ordering::SeqCst);
        if spoils {
            self.asked.lock().unwrap().push(asked.clone());
        }
        let number = if named && spoils { self.spoiled.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
        let mut exchange = Exchange { asked, number, client, shared: self, left };
        if number < self.plan.times {
            return (self.plan.inject)(&mut exchange).map(Some);
        }
        let reply = exchange.forward()?;
        exchange.send(&reply.bytes())?;
        Ok(Some(Next::Stay))
    }
}

impl Exchange<'_> {
    /// Reads the rest of the body and forgets it.
    pub fn take_body(&mut self) -> io::Result<()> {
        self.take(u64::MAX)
    }

    /// Reads that many bytes of the body and forgets them.
    pub fn take(&mut self, most: u64) -> io::Result<()> {
        let count = self.left.min(most);
        self.left -= io::copy(&mut self.client.take(count), &mut io::sink())?;
        Ok(())
    }

    /// Has the platform carry the request out, and returns its answer.
    pub fn forward(&mut self) -> io::Result<Reply> {
        self.forward_without("")
    }

    /// The same without a header.
    pub fn forward_without(&mut self, header: &str) -> io::Result<Reply> {
        let mut platform = TcpStream::connect(self.shared.platform)?;
        let out = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            !name.eq_ignore_ascii_case("connection") && !name.eq_ignore_ascii_case(header)
        };
        let head: Vec<&str> = self.asked.head.trim_end().lines().filter(out).collect();
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

    /// Takes the whole request and answers in the platform's place.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &str) -> io::Result<Next> {
        self.take_body()?;
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let reply = Reply { status, headers, body: body.as_bytes().to_vec() };
        self.send(&reply.bytes())?;
        Ok(Next::Stay)
    }

    /// Sends bytes again and again until the client has enough of them, or `most` were taken.
    pub fn pour(&mut self, bytes: &[u8], most: u64) -> io::Result<()> {
        let mut poured = 0;
        while poured < most {
            let count = self.client.write(bytes)?;
            poured += count as u64;
            self.shared.poured.fetch_add(count as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Waits until the client goes away.
    pub fn hold(&mut self) -> io::Result<()> {
        io::copy(self.client, &mut io::sink()).map(drop)
    }

    /// Says no more, but goes on listening.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.client.shutdown(Shutdown::Write)
    }

    /// Another server: 0 is another port, 1 another host.
    pub fn elsewhere(&self, which: usize) -> SocketAddr {
        self.shared.elsewhere[which]
    }
}

/// Whether a path has the form of a pattern.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == "*" || wanted == part => {}
            _ => return false,
        }
    }
}

/// Servers that no token may reach: another port, and another host. All that they hear is kept.
pub struct Elsewhere {
    pub addresses: [SocketAddr; 2],
    heard: Arc<Mutex<Vec<String>>>,
    _listeners: [Listener; 2],
}

impl Elsewhere {
    pub fn start() -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let listeners = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| {
            let heard = Arc::clone(&heard);
            Listener::at(address, move |mut stream| {
                if let Ok(Some(request)) = Request::read_head(&mut stream) {
                    heard.lock().unwrap().push(request.head);
                    let _ = stream.write_all(b"HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n");
                }
            })
        });
        let addresses = [listeners[0].address, listeners[1].address];
        Self { addresses, heard, _listeners: listeners }
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}
