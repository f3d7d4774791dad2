//! Memory under load, read from the system; the server is therefore a separate process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crate::emulator::support::{BEARER, SETUP};
use crate::support::emulator::Emulator;
use crate::support::process::peak_memory;
use crate::support::raw::{Answer, FORM, form, noise, request};

/// The server process: this test binary running [`child`].
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "emulator::memory::child", "--ignored", "--nocapture"])
            .env("HAUL_TEST_CHILD", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.find_map(|line| line.strip_prefix("address ")?.parse().ok()).unwrap();
        Self { child, address }
    }

    /// The peak memory in MiB.
    fn peak(&self) -> u64 {
        peak_memory(self.child.id()).unwrap() / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A server that runs until the end of its standard input; only for [`Process`].
#[test]
#[ignore = "a part of the other tests here"]
fn child() {
    if std::env::var_os("HAUL_TEST_CHILD").is_some() {
        let server = Emulator::start(&SETUP);
        println!("\naddress {}", server.address);
        let _ = std::io::stdin().read(&mut [0]);
    }
}

#[test]
#[ignore = "takes seconds; run in release"]
fn two_hundred_uploads_of_a_mebibyte_need_less_than_64_mib() {
    const UPLOADS: usize = 200;
    let server = Process::start();
    let body = form(&[("name=\"file\"; filename=\"x\"", &noise(1024 * 1024))]);
    let whole = request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body);
    // Every upload is in the middle of its file before any continues.
    let barrier = Barrier::new(UPLOADS);
    let (first, rest) = whole.split_at(700_000);
    thread::scope(|scope| {
        for _ in 0..UPLOADS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(server.address).unwrap();
                stream.write_all(first).unwrap();
                barrier.wait();
                stream.write_all(rest).unwrap();
                assert_eq!(Answer::read(&mut stream, false).unwrap().status, 200);
            });
        }
    });
    assert!(server.peak() < 64, "{} MiB", server.peak());
    println!("{} MiB", server.peak());
}

#[test]
#[ignore = "takes seconds and 4 GiB of disk; run in release"]
fn an_upload_of_four_gibibytes_needs_less_than_64_mib() {
    const PIECES: u64 = 4096;
    let server = Process::start();
    let piece = noise(1024 * 1024);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let length = format!("Content-Length: {}", PIECES * piece.len() as u64);
    stream.write_all(&request(server.address, "POST", "/example/v1/raw", &[&length], b"")).unwrap();
    let start = Instant::now();
    for _ in 0..PIECES {
        stream.write_all(&piece).unwrap();
    }
    let answer = Answer::read(&mut stream, false).unwrap();
    assert_eq!(answer.json()["size"], PIECES * piece.len() as u64);
    println!("{} MiB, {:?}", server.peak(), start.elapsed());
    assert!(server.peak() < 64, "{} MiB", server.peak());
}
