//! A server that says what it is told to.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A server on loopback that answers every request alike and remembers who asked.
pub struct Server {
    pub url: String,
    /// The `Authorization` header of each request, or nothing.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// An empty listing in everybody's words.
    pub fn willing() -> Self {
        Self::new(200, |_| r#"{"data":[],"items":[],"results":[],"files":[],"has_more":false}"#.to_owned())
    }

    /// Refuses, and repeats what it was given in its headers and body.
    pub fn refusing() -> Self {
        Self::new(401, |authorization| {
            format!(r#"{{"error":{{"message":"no such key: {authorization}","detail":"{authorization}"}}}}"#)
        })
    }

    pub fn new(status: u16, answer: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                thread::spawn(move || serve(stream, status, answer, &log));
            }
        });
        Self { url, seen }
    }

    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, status: u16, answer: fn(&str) -> String, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let field = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.clone().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    let authorization = field("authorization").unwrap_or_default();
    log.lock().unwrap().push(authorization.clone());
    let body = answer(&authorization);
    let mut reply = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\n");
    let _ = write!(reply, "content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    let _ = write!(reply, "x-echo: {authorization}\r\nx-request-id: req-1\r\n\r\n{body}");
    let _ = stream.write_all(reply.as_bytes());
}
