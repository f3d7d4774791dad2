//! Requests written byte for byte, and responses with every byte visible.

use std::fmt::{self, Write as _};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;

pub const FORM: &str = "Content-Type: multipart/form-data; boundary=BOUNDARY";
pub const JSON: &str = "Content-Type: application/json";

/// The bytes of a request. Unless the headers include them, `Host` is added, and `Content-Length` for a body or PUT.
pub fn request(host: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let has = |name| headers.iter().any(|header| begins(header, name));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !has("host:") {
        let _ = write!(head, "Host: {host}\r\n");
    }
    if !has("content-length:") && (!body.is_empty() || method == "PUT") {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    for header in headers {
        head.extend([header, "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Whether a header line has this name, which ends in a colon.
pub fn begins(header: &str, name: &str) -> bool {
    header.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// A multipart form. Each part is given by the text after `form-data; ` (optionally with further header lines) and
/// its content.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        let head = format!("--BOUNDARY\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend_from_slice(b"--BOUNDARY--\r\n");
    body
}

/// A response. The body excludes its framing, such as chunk sizes.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// Whether the body has the length that its framing announces.
    pub whole: bool,
}

impl Answer {
    /// Reads one response. It is an error if the headers are incomplete.
    pub fn read(stream: &mut impl Read, bodiless: bool) -> io::Result<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push_str(&line(stream)?);
        }
        let status = head[9..12].parse().unwrap();
        let mut answer = Self { status, head, body: Vec::new(), whole: true };
        if bodiless || status == 204 {
            return Ok(answer);
        }
        answer.whole = if answer.header("transfer-encoding").is_some() {
            answer.read_chunks(stream).is_ok()
        } else {
            let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
            stream.take(length).read_to_end(&mut answer.body)? as u64 == length
        };
        Ok(answer)
    }

    fn read_chunks(&mut self, stream: &mut impl Read) -> io::Result<()> {
        loop {
            let length = u64::from_str_radix(line(stream)?.trim(), 16).unwrap();
            if stream.take(length).read_to_end(&mut self.body)? as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            line(stream)?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// Checks the status and returns the JSON body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The keys of the body, in the order of the document.
    pub fn keys(&self) -> Vec<String> {
        keys(&self.json()).into_iter().map(str::to_owned).collect()
    }

    /// Checks that the request succeeded and returns the JSON body.
    #[track_caller]
    pub fn ok(&self) -> Value {
        self.expect(200)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.head, self.text().chars().take(2000).collect::<String>())
    }
}

/// Reads a line with its end. It is an error if the stream ends first.
fn line(stream: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8(line).unwrap())
}

/// The keys of an object, in the order of the document.
pub fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The strings under one key in a list of objects.
pub fn all<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

/// Reproducible bytes that look random.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[4]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Waits until a condition holds; `false` if that takes too long.
pub fn within(mut is_true: impl FnMut() -> bool) -> bool {
    (0..500).any(|_| {
        is_true() || {
            thread::sleep(Duration::from_millis(20));
            false
        }
    })
}

pub fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}
