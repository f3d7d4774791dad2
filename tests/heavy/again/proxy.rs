//! A proxy that loses the answer of an upload and changes the platform's clock.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};

use crate::support::server::{Answer, Request, Server};

/// What the proxy does.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The status that replaces the answer of an upload; None closes the connection.
    pub status: Option<u16>,
    /// The platform's clock relative to the real time; None sends no `Date`.
    pub ahead: Option<SignedDuration>,
    /// How long after the answer the file appears in listings.
    pub lag: Duration,
}

/// Starts a proxy that loses the answer of the first request that has `mark` in its body.
pub fn start(platform: SocketAddr, mark: &'static str, fault: Fault) -> Server {
    let uploads = AtomicUsize::new(0);
    Server::new(move |_, request| {
        let is_upload = request.body.windows(mark.len()).any(|part| part == mark.as_bytes());
        if is_upload && uploads.fetch_add(1, Ordering::SeqCst) == 0 {
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
        let (status, headers, body) = forward(platform, request);
        let kept = |name: &str| {
            !["date", "content-length", "transfer-encoding", "connection"]
                .iter()
                .any(|own| name.eq_ignore_ascii_case(own))
        };
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| kept(name))
            .collect();
        dated(fault, Answer::status(status, &headers, body))
    })
}

fn dated(fault: Fault, answer: Answer) -> Answer {
    let Some(ahead) = fault.ahead else { return answer };
    let now = Timestamp::now().checked_add(ahead).unwrap();
    answer.header("Date", rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap())
}

/// Sends a request and returns status, headers and body of the answer.
fn forward(platform: SocketAddr, request: &Request) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut stream = TcpStream::connect(platform).unwrap();
    let mut head = format!("{} {} HTTP/1.1\r\nConnection: close\r\n", request.method, request.target);
    for (name, value) in request.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("\r\n");
    // A server may answer and close before it has read everything.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&request.body));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked");
    let body = &answer[end..];
    (status, headers, if chunked { unchunked(body) } else { body.to_vec() })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|part| part == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap().trim(), 16).unwrap();
        if length == 0 {
            break;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
    whole
}
