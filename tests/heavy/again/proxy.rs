//! A proxy that loses the response to an upload and changes the platform's clock.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::faults::reply::{Reply, http_date};
use crate::support::server::{Answer, Request, Server};

/// The response to an upload, and the platform's clock.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The status that replaces the response to an upload; `None` closes the connection.
    pub status: Option<u16>,
    /// The platform's clock relative to the real time.
    pub ahead: SignedDuration,
    /// Whether responses have a `Date` header.
    pub is_dated: bool,
    /// The time from the response until the platform receives the file and lists it.
    pub lag: Duration,
}

/// Starts a proxy that loses the response to the first request that has `mark` in its body.
pub fn start(platform: SocketAddr, mark: &'static str, fault: Fault) -> Server {
    let uploads = AtomicUsize::new(0);
    Server::new(move |_, request| {
        if has(request, mark) && uploads.fetch_add(1, Ordering::SeqCst) == 0 {
            if fault.lag.is_zero() {
                forward(platform, request);
            } else {
                let request = request.clone();
                thread::spawn(move || {
                    thread::sleep(fault.lag);
                    forward(platform, &request);
                });
            }
            return match fault.status {
                Some(status) => dated(
                    fault,
                    Answer::new(status, "<html>a proxy</html>").header("Content-Type", "text/html"),
                ),
                None => Answer::raw(""),
            };
        }
        dated(fault, passed_on(&forward(platform, request)))
    })
}

/// Starts a proxy that calls `wait` before it forwards a request that has `mark` in its body.
pub fn forwarding(
    platform: SocketAddr,
    mark: &'static str,
    wait: impl Fn() + Send + Sync + 'static,
) -> Server {
    Server::new(move |_, request| {
        if has(request, mark) {
            wait();
        }
        passed_on(&forward(platform, request))
    })
}

/// Starts a proxy that responds with 403 to requests with this method while `refuses` returns true.
pub fn refusing(
    platform: SocketAddr,
    method: &'static str,
    refuses: impl Fn() -> bool + Send + Sync + 'static,
) -> Server {
    Server::new(move |_, request| {
        if request.method == method && refuses() {
            return Answer::new(403, "{}").header("Content-Type", "application/json");
        }
        passed_on(&forward(platform, request))
    })
}

fn has(request: &Request, mark: &str) -> bool {
    request.body.windows(mark.len()).any(|part| part == mark.as_bytes())
}

/// The platform's response with its headers, except those that the proxy sets.
fn passed_on(reply: &Reply) -> Answer {
    let kept = |name: &&(String, String)| {
        !["date", "content-length", "transfer-encoding", "connection"].contains(&name.0.as_str())
    };
    let headers = reply.headers.iter().filter(kept);
    headers.fold(Answer::new(reply.status, &reply.body), |answer, (name, value)| answer.header(name, value))
}

fn dated(fault: Fault, answer: Answer) -> Answer {
    if !fault.is_dated {
        return answer;
    }
    let now = Timestamp::now().checked_add(fault.ahead).unwrap();
    answer.header("Date", http_date(now))
}

/// Sends a request to the platform and returns the response.
fn forward(platform: SocketAddr, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(platform).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", request.method, request.target);
    for (name, value) in request.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    // A server may respond and close the connection before it has read the whole request.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&request.body));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Reply::read(&answer).expect("a whole response")
}
