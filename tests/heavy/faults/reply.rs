//! A response of a platform that can be parsed, changed and serialized.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A complete response.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let status = head.get(9..12)?.parse().ok()?;
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        let mut rest = &bytes[end + 4..];
        let mut body = Vec::new();
        if headers.iter().any(|(name, _)| name == "transfer-encoding") {
            loop {
                let line = rest.windows(2).position(|two| two == b"\r\n")?;
                let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
                body.extend_from_slice(rest.get(line + 2..line + 2 + length)?);
                if length == 0 {
                    break;
                }
                rest = &rest[line + 2 + length + 2..];
            }
        } else {
            body.extend_from_slice(rest);
        }
        Some(Self { status, headers, body })
    }

    /// The head; `framing` replaces the headers that specify the length of the body.
    pub fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection") {
                head = format!("{head}{name}: {value}\r\n");
            }
        }
        format!("{head}{framing}\r\n\r\n").into_bytes()
    }

    /// The head and the body.
    pub fn bytes(&self) -> Vec<u8> {
        [self.head(&format!("content-length: {}", self.body.len())), self.body.clone()].concat()
    }

    /// Shifts every time that the platform's clock determines by `by`.
    pub fn shift(&mut self, by: SignedDuration) {
        self.headers.retain(|(name, _)| name != "date");
        self.headers.push(("date".to_owned(), http_date(Timestamp::now() + by)));
        if let Ok(mut value) = serde_json::from_slice(&self.body) {
            shift(&mut value, by);
            self.body = value.to_string().into_bytes();
        }
    }
}

fn shift(value: &mut Value, by: SignedDuration) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                if !key.ends_with("_at") && !key.ends_with("Time") {
                    shift(value, by);
                } else if let Some(seconds) = value.as_i64() {
                    *value = Value::from(seconds + by.as_secs());
                } else if let Some(time) = value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
                    *value = Value::from((time + by).to_string());
                }
            }
        }
        _ => {}
    }
}

/// A time in the format of HTTP headers.
pub fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
