//! The faults. The expected outcomes are in `expected`.

use std::io;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::faults::proxy::{Exchange, Inject, Next};
use crate::faults::reply::{Reply, http_date};
use crate::faults::verbs::TOKEN;
use crate::platforms::of;

/// One fault: an injection, and the settings of its run.
pub struct Fault {
    pub name: &'static str,
    pub endpoint: Endpoint,
    /// The number of requests that it is injected into, counted from the first.
    pub times: usize,
    pub inject: Inject,
    /// The setup that it requires.
    pub needs: Needs,
}

/// The target of the base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The platform, through the proxy.
    Platform,
    /// A host name that does not resolve.
    UnknownHost,
    /// A port without a listener.
    ClosedPort,
    /// A platform whose clock is ahead by this number of seconds.
    Clock(i64),
}

/// The setup that a fault requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// Content larger than the socket buffers, so that the client is still sending it when the fault occurs.
    Large,
    /// A short `--timeout`.
    ShortTimeout,
}

const ALWAYS: usize = usize::MAX;
/// The number of bytes before a transfer is cut.
pub const CUT: usize = 100_000;
/// An error page of an intermediary.
const PAGE: &str = "<html><head><title>Bad Gateway</title></head><body><h1>Sorry</h1></body></html>";
const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
/// Text with an escape sequence and a bell, which an error message must escape.
const CONTROL_TEXT: &str = "no luck \\u001b[31m today \\u0007";
/// More bytes than the program may ever read.
const FLOOD: u64 = 100 << 20;
const BOMB: u64 = 1 << 30;

const fn once(name: &'static str, inject: Inject) -> Fault {
    Fault { name, endpoint: Endpoint::Platform, times: 1, inject, needs: Needs::Nothing }
}

const fn always(name: &'static str, inject: Inject) -> Fault {
    Fault { times: ALWAYS, ..once(name, inject) }
}

impl Fault {
    const fn with(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }
}

/// Every fault.
pub const FAULTS: &[Fault] = &[
    always("no such host", pass).at(Endpoint::UnknownHost),
    always("refused", pass).at(Endpoint::ClosedPort),
    once("reset", |_| Ok(Next::Reset)),
    always("reset always", |_| Ok(Next::Reset)),
    once("reset in the body", reset_in_body).with(Needs::Large),
    always("reset in the body always", reset_in_body).with(Needs::Large),
    once("closed", close),
    always("closed always", close),
    once("half-closed in the body", half_close).with(Needs::Large),
    once("lost", lose),
    always("lost always", lose),
    once("lost, clock a day ahead", lose).at(Endpoint::Clock(86_400)),
    once("lost, clock a day behind", lose).at(Endpoint::Clock(-86_400)),
    once("silent", silence).with(Needs::ShortTimeout),
    always("silent always", silence).with(Needs::ShortTimeout),
    always("slow head always", drip_head).with(Needs::ShortTimeout),
    once("stalled body", stall).with(Needs::ShortTimeout),
    always("slow body", drip_body),
    once("429 seconds", |it| it.answer(429, &[("retry-after", "0")], "")),
    once("429 date", |it| {
        let now = http_date(Timestamp::now());
        it.answer(429, &[("date", &now), ("retry-after", &now)], "")
    }),
    once("429", |it| it.answer(429, &[], "")),
    always("429 always", |it| it.answer(429, &[], r#"{"detail":"slow down"}"#)),
    always("429 a day", |it| it.answer(429, &[("retry-after", "86400")], "")),
    always("429 until tomorrow", |it| {
        let now = Timestamp::now();
        let tomorrow = http_date(now + SignedDuration::from_hours(24));
        it.answer(429, &[("date", &http_date(now)), ("retry-after", &tomorrow)], "")
    }),
    always("429 quota", quota),
    once("408", |it| it.answer(408, &[], "")),
    once("425", |it| it.answer(425, &[], "")),
    once("499", |it| it.answer(499, &[], "")),
    once("500", |it| it.answer(500, &[], "")),
    always("500 always", |it| {
        it.answer(500, &[("x-request-id", "req-7")], &format!(r#"{{"message":"{CONTROL_TEXT}"}}"#))
    }),
    once("500 though done", |it| {
        it.forward()?;
        it.answer(500, &[], "")
    }),
    once("524 page though done", |it| {
        it.forward()?;
        it.answer(524, HTML, PAGE)
    }),
    once("529 though done", |it| {
        it.forward()?;
        it.answer(529, &[], "")
    }),
    always("501", |it| it.answer(501, &[], "")),
    always("502 page", |it| it.answer(502, HTML, PAGE)),
    once("503", |it| it.answer(503, &[("retry-after", "0")], "")),
    always("503 always", |it| it.answer(503, &[], "")),
    // A platform that repeats the rejected key.
    always("401", |it| it.answer(401, &[], &format!(r#"{{"message":"bad key {TOKEN}, {CONTROL_TEXT}"}}"#))),
    always("403", |it| it.answer(403, &[], "")),
    // By this date a file was created in the future, so that it counts as new however long the run takes.
    always("404", |it| {
        let yesterday = http_date(Timestamp::now() - SignedDuration::from_hours(24));
        it.answer(404, &[("date", &yesterday)], "")
    }),
    always("409", |it| it.answer(409, &[], r#"{"detail":"in use"}"#)),
    always("error of 100 MB", |it| {
        it.take_body()?;
        it.send(format!("HTTP/1.1 400 No\r\ncontent-length: {FLOOD}\r\n\r\n").as_bytes())?;
        it.send_repeatedly(&[b'x'; 65_536], FLOOD)?;
        Ok(Next::Close)
    }),
    always("page", |it| it.answer(200, HTML, PAGE)),
    always("page though done", |it| forward_replaced(it, PAGE)),
    always("cut JSON", |it| {
        let reply = with_body(it)?;
        replace_body(it, &reply, &reply.body[..reply.body.len() / 2])
    }),
    always("empty", |it| forward_replaced(it, "")),
    always("wrong type", |it| forward_replaced(it, "\"words\"")),
    always("empty object", |it| forward_replaced(it, "{}")),
    once("longer than sent", |it| {
        let reply = with_body(it)?;
        it.send(&reply.head(&format!("content-length: {}", reply.body.len() + 100)))?;
        it.send(&reply.body)?;
        Ok(Next::Close)
    }),
    always("shorter than sent", |it| {
        let reply = with_body(it)?;
        it.send(&reply.head(&format!("content-length: {}", reply.body.len() / 2)))?;
        it.send(&reply.body)?;
        Ok(Next::Close)
    }),
    once("chunked garbage", |it| chunked(it, b"zzz\r\nnonsense\r\n")),
    once("chunked without an end", |it| {
        let reply = with_body(it)?;
        it.send(&reply.head("transfer-encoding: chunked"))?;
        if !reply.body.is_empty() {
            it.send(format!("{:x}\r\n", reply.body.len()).as_bytes())?;
            it.send(&[reply.body, b"\r\n".to_vec()].concat())?;
        }
        Ok(Next::Close)
    }),
    always("gzip bomb", |it| {
        it.take_body()?;
        it.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n")?;
        it.send(BOMB_HEAD)?;
        it.send_repeatedly(&BOMB_BODY.repeat(1000), BOMB)?;
        Ok(Next::Close)
    }),
    always("without an end", |it| {
        it.take_body()?;
        it.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n")?;
        it.send_repeatedly(&[b' '; 65_536], BOMB)?;
        Ok(Next::Close)
    }),
    always("head without an end", |it| {
        it.take_body()?;
        it.send(b"HTTP/1.1 200 OK\r\n")?;
        it.send_repeatedly(format!("x-more: {}\r\n", "x".repeat(1000)).as_bytes(), FLOOD)?;
        Ok(Next::Close)
    }),
    always("redirect in a loop", |it| {
        let same = it.request.head.split(' ').nth(1).unwrap_or_default().to_owned();
        it.answer(302, &[("location", &same)], "")
    }),
    once("301", |it| moved(it, 301)),
    once("302", |it| moved(it, 302)),
    once("303", |it| moved(it, 303)),
    once("307", |it| moved(it, 307)),
    once("308", |it| moved(it, 308)),
    always("redirect to another port", |it| redirect_to_foreign(it, 0)),
    always("redirect to another host", |it| redirect_to_foreign(it, 1)),
    always("redirect to a file", |it| it.answer(302, &[("location", "file:///etc/passwd")], "")),
    always("redirect to nowhere", |it| it.answer(302, &[], "")),
    always("wrong size stated", |it| {
        with_values(it, |key, value| {
            // Some platforms write the size as text.
            let size = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            matches!(key, "size" | "bytes" | "size_bytes" | "file_size" | "sizeBytes")
                .then(|| (size + 1).into())
        })
    }),
    always("wrong checksum stated", |it| {
        with_values(it, |key, value| {
            let is_hex = |text: &&str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if key == "sha256Hash" {
                // The base64 of 64 zeros.
                return Some(format!("{}MA==", "MDAw".repeat(21)).into());
            }
            value.as_str().filter(is_hex).map(|text| "0".repeat(text.len()).into())
        })
    }),
    always("wrong bytes", |it| {
        let mut reply = it.forward()?;
        reply.body[CUT] ^= 1;
        it.send(&reply.bytes())?;
        Ok(Next::Stay)
    }),
    once("cut", cut),
    always("range ignored", |it| {
        if it.number == 0 {
            return cut(it);
        }
        let reply = it.forward_without("range")?;
        it.send(&reply.bytes())?;
        Ok(Next::Stay)
    }),
    always("wrong range", |it| {
        if it.number == 0 {
            return cut(it);
        }
        if it.request.header("range").is_none() {
            return pass(it);
        }
        let mut reply = it.forward_without("range")?;
        reply.status = 206;
        let (last, all) = (reply.body.len() - 1, reply.body.len());
        reply.headers.push(("content-range".to_owned(), format!("bytes 0-{last}/{all}")));
        it.send(&reply.bytes())?;
        Ok(Next::Stay)
    }),
    always("416", |it| match it.number {
        0 => cut(it),
        _ if it.request.header("range").is_some() => it.answer(416, &[], ""),
        _ => pass(it),
    }),
    always("cut, then dead", |it| if it.number == 0 { cut(it) } else { Ok(Next::Reset) }),
    always("cut at once always", |it| {
        let reply = it.forward()?;
        it.send(&reply.head(&format!("content-length: {}", reply.body.len())))?;
        Ok(Next::Close)
    }),
];

fn pass(it: &mut Exchange) -> io::Result<Next> {
    let reply = it.forward()?;
    it.send(&reply.bytes())?;
    Ok(Next::Stay)
}

fn reset_in_body(it: &mut Exchange) -> io::Result<Next> {
    it.take(CUT as u64)?;
    Ok(Next::Reset)
}

fn close(it: &mut Exchange) -> io::Result<Next> {
    it.take_body()?;
    Ok(Next::Close)
}

fn half_close(it: &mut Exchange) -> io::Result<Next> {
    it.take(CUT as u64)?;
    it.half_close()?;
    it.wait_for_client()?;
    Ok(Next::Close)
}

fn lose(it: &mut Exchange) -> io::Result<Next> {
    it.forward()?;
    Ok(Next::Reset)
}

fn silence(it: &mut Exchange) -> io::Result<Next> {
    it.take_body()?;
    it.wait_for_client()?;
    Ok(Next::Close)
}

/// An endless head, sent byte by byte.
fn drip_head(it: &mut Exchange) -> io::Result<Next> {
    it.take_body()?;
    it.send(b"HTTP/1.1 200 OK\r\nx-slow: ")?;
    loop {
        it.send_repeatedly(b"x", 1)?;
        thread::sleep(Duration::from_millis(50));
    }
}

/// The whole response in ten pieces with pauses, each shorter than the timeout.
fn drip_body(it: &mut Exchange) -> io::Result<Next> {
    let reply = it.forward()?;
    it.send(&reply.head(&format!("content-length: {}", reply.body.len())))?;
    for piece in reply.body.chunks(reply.body.len().div_ceil(10).max(1)) {
        thread::sleep(Duration::from_millis(20));
        it.send(piece)?;
    }
    Ok(Next::Stay)
}

/// Half of the response, then silence.
fn stall(it: &mut Exchange) -> io::Result<Next> {
    let reply = with_body(it)?;
    it.send(&reply.head(&format!("content-length: {}", reply.body.len().max(1))))?;
    it.send(&reply.body[..reply.body.len() / 2])?;
    it.wait_for_client()?;
    Ok(Next::Close)
}

fn quota(it: &mut Exchange) -> io::Result<Next> {
    // Platforms word this error differently.
    let platform = it.request.path.split('/').nth(1).unwrap_or_default();
    let body = of(platform).facts.no_quota;
    it.answer(429, &[], body)
}

/// Forwards the request and replaces the body of the response.
fn forward_replaced(it: &mut Exchange, body: &str) -> io::Result<Next> {
    let reply = with_body(it)?;
    replace_body(it, &reply, body.as_bytes())
}

fn replace_body(it: &mut Exchange, reply: &Reply, body: &[u8]) -> io::Result<Next> {
    it.send(&Reply { body: body.to_vec(), ..reply.clone() }.bytes())?;
    Ok(Next::Stay)
}

/// The platform's response with changed values: `change` returns the new value for a key and its value, if any.
fn with_values(it: &mut Exchange, change: fn(&str, &Value) -> Option<Value>) -> io::Result<Next> {
    fn put(value: &mut Value, change: fn(&str, &Value) -> Option<Value>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object.iter_mut() {
                    match change(key, value).filter(|_| key != "id") {
                        Some(changed) => *value = changed,
                        None => put(value, change),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| put(item, change)),
            _ => {}
        }
    }
    let reply = it.forward()?;
    let mut value = serde_json::from_slice(&reply.body)?;
    put(&mut value, change);
    replace_body(it, &reply, value.to_string().as_bytes())
}

/// The platform's response with a status that permits a body.
fn with_body(it: &mut Exchange) -> io::Result<Reply> {
    let reply = it.forward()?;
    let status = if reply.status == 204 { 200 } else { reply.status };
    Ok(Reply { status, ..reply })
}

fn chunked(it: &mut Exchange, body: &[u8]) -> io::Result<Next> {
    let reply = with_body(it)?;
    it.send(&reply.head("transfer-encoding: chunked"))?;
    it.send(body)?;
    Ok(Next::Close)
}

/// A redirect to a relative path on the same server.
fn moved(it: &mut Exchange, status: u16) -> io::Result<Next> {
    let target = it.request.head.split(' ').nth(1).unwrap_or_default();
    let joint = if target.contains('?') { '&' } else { '?' };
    let place = format!("{target}{joint}moved=1");
    it.answer(status, &[("location", &place)], "")
}

fn redirect_to_foreign(it: &mut Exchange, which: usize) -> io::Result<Next> {
    let place = format!("http://{}/target", it.foreign(which));
    it.answer(307, &[("location", &place)], "")
}

/// The first bytes of the response, then the end.
fn cut(it: &mut Exchange) -> io::Result<Next> {
    let reply = it.forward()?;
    it.send(&reply.head(&format!("content-length: {}", reply.body.len())))?;
    it.send(&reply.body[..CUT])?;
    Ok(Next::Close)
}

/// The start of an endless gzip stream of spaces: the header, the start of a block with fixed codes, one space to copy.
const BOMB_HEAD: &[u8] = &[0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0x52, 0x18, 0x05];
/// Eight times "copy 258 bytes from distance 1", 13 bits each, which end at a byte boundary.
const BOMB_BODY: &[u8] = &[0xa3, 0x60, 0x14, 0x8c, 0x82, 0x51, 0x30, 0x0a, 0x46, 0xc1, 0x28, 0x18, 0x05];
