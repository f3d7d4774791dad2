//! A minimal HTTP/1.1 server, the same for all programs: one thread per connection, discarded bodies, content from memory.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::{Answer, BYTE, Body, answer, rate};

/// The size of reads and writes.
pub const PIECE: usize = 256 * 1024;

static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// The number of accepted connections so far.
pub fn accepted() -> usize {
    ACCEPTED.load(Ordering::Relaxed)
}

/// Starts the server, which runs until the process exits.
pub fn start() -> SocketAddr {
    listen(|stream| {
        ACCEPTED.fetch_add(1, Ordering::Relaxed);
        serve(stream)
    })
}

/// Listens on a free port until the process exits, and serves each connection on its own thread.
pub fn listen<T: Send + 'static>(serve: impl Fn(TcpStream) -> T + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Serves requests until the connection ends, and then returns `None`.
fn serve(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::with_capacity(PIECE, stream);
    let piece = vec![BYTE; PIECE];
    loop {
        let Head { method, target, length, waits, .. } = head(&mut reader)?;
        if waits {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let pace = Pace { begun: Instant::now(), rate: rate(&target) };
        discard(&mut reader, length, |received| pace.wait(received))?;
        let Answer { delay, body } = answer(&method, &target);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        match body {
            Body::Json(text) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
                writer.write_all(format!("{head}{}\r\n\r\n{text}", text.len()).as_bytes()).ok()?;
            }
            Body::Content(size) => {
                write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").ok()?;
                let pace = Pace { begun: Instant::now(), ..pace };
                let mut left = size;
                while left > 0 {
                    let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    writer.write_all(&piece[..count]).ok()?;
                    left -= count as u64;
                    pace.wait(size - left);
                }
            }
        }
    }
}

/// The limit of a transfer's speed.
#[derive(Clone, Copy)]
struct Pace {
    begun: Instant,
    /// The maximum number of bytes per second.
    rate: Option<u64>,
}

impl Pace {
    /// Waits until the rate permits the transfer of this number of bytes.
    fn wait(self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_micros(bytes * 1_000_000 / rate);
        thread::sleep(due.saturating_sub(self.begun.elapsed()));
    }
}

/// The head of a request.
pub struct Head {
    pub method: String,
    pub target: String,
    /// The length of the body.
    pub length: u64,
    /// The length of the content, which the body of an S3 client can wrap in chunks.
    pub content: u64,
    /// Whether the client expects `100 Continue`.
    pub waits: bool,
}

/// Reads the head of a request.
pub fn head(reader: &mut BufReader<TcpStream>) -> Option<Head> {
    let (mut line, mut length, mut content, mut waits) = (String::new(), 0, None, false);
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        } else if name.eq_ignore_ascii_case("x-amz-decoded-content-length") {
            content = value.trim().parse().ok();
        }
        waits |= name.eq_ignore_ascii_case("expect");
    }
    Some(Head { method, target, length, content: content.unwrap_or(length), waits })
}

/// Reads the body of a request, and reports how much has been received.
pub fn discard(reader: &mut BufReader<TcpStream>, length: u64, received: impl Fn(u64)) -> Option<()> {
    let mut left = length;
    while left > 0 {
        let buffer = reader.fill_buf().ok()?;
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if count == 0 {
            return None;
        }
        reader.consume(count);
        left -= count as u64;
        received(length - left);
    }
    Some(())
}
