//! A proxy that gives each request to the next of several servers.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A running proxy. It serves one request per connection, and stops accepting connections when dropped.
pub struct RoundRobin {
    pub address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl RoundRobin {
    /// Starts a proxy for these servers on a free port.
    pub fn start(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::<AtomicBool>::default();
        let is_stopped = Arc::clone(&stopped);
        let next = Arc::<AtomicUsize>::default();
        thread::spawn(move || {
            for client in listener.incoming() {
                if is_stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (next, servers) = (Arc::clone(&next), servers.clone());
                let Ok(client) = client else { continue };
                // A failure ends both connections, as a client of a server expects it.
                thread::spawn(move || drop(forward(client, &next, &servers)));
            }
        });
        Self { address, stopped }
    }
}

impl Drop for RoundRobin {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Sends the request on a connection to the next server, and its response back.
fn forward(mut client: TcpStream, next: &AtomicUsize, servers: &[SocketAddr]) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let lines =
        head.trim_end().split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let head = lines.chain(["Connection: close", "", ""]).collect::<Vec<_>>().join("\r\n");
    let mut server = TcpStream::connect(servers[next.fetch_add(1, Ordering::Relaxed) % servers.len()])?;
    server.write_all(head.as_bytes())?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
