//! A scripted server for authentication tests.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::path::Path;

use crate::support::server::{self, Answer, Request};

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A server that gives the same response to every request and records the tokens.
pub struct Server {
    pub url: String,
    server: server::Server,
}

impl Server {
    /// Responds with an empty listing in the format of every platform.
    pub fn willing() -> Self {
        Self::new(200, |_| r#"{"data":[],"items":[],"results":[],"files":[],"has_more":false}"#.to_owned())
    }

    /// Refuses, and repeats the received token in its headers and body.
    pub fn refusing() -> Self {
        Self::new(401, |authorization| {
            format!(r#"{{"error":{{"message":"no such key: {authorization}","detail":"{authorization}"}}}}"#)
        })
    }

    pub fn new(status: u16, answer: fn(&str) -> String) -> Self {
        let server = server::Server::new(move |_, request| {
            let authorization = authorization(request);
            let answer = Answer::json(answer(authorization)).with_status(status);
            answer.header("x-echo", authorization).header("x-request-id", "req-1")
        });
        Self { url: server.origin(), server }
    }

    /// The `Authorization` header of each request, or an empty string.
    pub fn seen(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| authorization(request).to_owned()).collect()
    }
}

fn authorization(request: &Request) -> &str {
    request.header("authorization").unwrap_or_default()
}
