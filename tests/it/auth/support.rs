//! A home of its own, a cleared environment, and a server that says what it is told to.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::server::{self, Answer, Request};

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The rows of `--json`.
    pub fn rows(&self) -> Vec<Value> {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Fails unless stderr has this in it.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text:?} is not in {self:?}");
        self
    }
}

/// A sealed box to run haul in.
pub struct Sealed {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Sealed {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }
    }

    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// With another environment variable.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this config file, which its owner alone can read.
    pub fn config(self, text: &str) -> Self {
        let path = self.config_path();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        self
    }

    pub fn config_path(&self) -> PathBuf {
        self.home().join("config.toml")
    }

    pub fn config_text(&self) -> String {
        fs::read_to_string(self.config_path()).unwrap_or_default()
    }

    /// Runs haul with `line` as arguments, nothing on stdin.
    pub fn run(&self, line: &str) -> Ran {
        self.pipe("", line)
    }

    /// Runs haul with `line` as arguments and `input` on stdin.
    pub fn pipe(&self, input: &str, line: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_haul"))
            .args(line.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("HAUL_HOME", self.home())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Every file below the box, with its content.
    pub fn files(&self) -> Vec<(PathBuf, String)> {
        fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, into);
                } else {
                    let bytes = fs::read(&path).unwrap_or_default();
                    into.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        let mut files = Vec::new();
        walk(self.folder.path(), &mut files);
        files
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A server that answers every request alike and remembers who asked.
pub struct Server {
    pub url: String,
    server: server::Server,
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
        let server = server::Server::new(move |_, request| {
            let authorization = authorization(request);
            let answer = Answer::json(answer(authorization)).with_status(status);
            answer.header("x-echo", authorization).header("x-request-id", "req-1")
        });
        Self { url: server.origin(), server }
    }

    /// The `Authorization` header of each request, or nothing.
    pub fn seen(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| authorization(request).to_owned()).collect()
    }
}

fn authorization(request: &Request) -> &str {
    request.header("authorization").unwrap_or_default()
}
