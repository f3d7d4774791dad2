//! An emulator in this process with its own port and store, and a client that shows every byte.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use haul::emulator::{Faults, Log, LoggedRequest, Options, PLATFORMS, Platform, serve};
use haul::error::Result;
use haul::model::Clock;
use haul::secret::Secret;
use haul::store::{self, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::support::proxy::RoundRobin;
use crate::support::raw::{self, Answer, JSON, request};

/// A token for an emulator that accepts only one.
pub const TOKEN: &str = "xai-a-token-of-tests";
/// The header that contains [`TOKEN`].
pub const AUTH: &str = "Authorization: Bearer xai-a-token-of-tests";

/// How an emulator is started.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The platform that `dialect` and `alone` apply to.
    pub platform: &'a str,
    /// The dialect of `platform`.
    pub dialect: Option<&'a str>,
    /// Whether `platform` is the only one served, and also at the root.
    pub alone: bool,
    pub quirks: &'a [&'a str],
    pub faults: &'a [&'a str],
    /// The only token that is accepted; `None` accepts any.
    pub token: Option<&'a str>,
    /// A header that [`ask`](Emulator::ask) adds to every request.
    pub auth: &'a str,
    pub clock: Clock,
    /// The platforms to serve, if not those of the program.
    pub platforms: Option<&'static [&'static Platform]>,
    /// The time limit for silent connections.
    pub silence: Duration,
    /// Whether two servers with one store take turns, each of which opens the store itself.
    pub replicas: bool,
}

impl Setup<'_> {
    /// All platforms of the program, any token, the system clock.
    pub const DEFAULT: Setup<'static> = Setup {
        platform: "",
        dialect: None,
        alone: false,
        quirks: &[],
        faults: &[],
        token: None,
        auth: "",
        clock: Clock(None),
        platforms: None,
        silence: Duration::from_mins(1),
        replicas: false,
    };

    fn options(&self, log: mpsc::Sender<LoggedRequest>) -> Options {
        let mut options = Options {
            platforms: self.platforms.unwrap_or(PLATFORMS),
            token: self.token.map(Secret::new),
            clock: self.clock,
            log: Some(Log::new(log, Arc::default())),
            silence: self.silence,
            ..Options::default()
        };
        if let Some(dialect) = self.dialect {
            options.set_dialect(&format!("{}={dialect}", self.platform)).unwrap();
        }
        self.quirks.iter().for_each(|quirk| options.set_quirk(quirk).unwrap());
        if self.alone {
            options.set_only(self.platform).unwrap();
        }
        options
    }
}

/// A running emulator. It stops when dropped.
pub struct Emulator {
    pub address: SocketAddr,
    /// `http://ADDRESS`.
    pub root: String,
    pub store: Store,
    home: Arc<TempDir>,
    auth: String,
    log: Mutex<mpsc::Receiver<LoggedRequest>>,
    servers: Vec<Running>,
    _proxy: Option<RoundRobin>,
}

/// A server in a thread.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Running {
    fn start(store: Store, options: Options, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve(listener, store, options, faults, async {
                let _ = stopped.await;
            }))
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Emulator {
    pub fn start(setup: &Setup) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), setup)
    }

    /// Stops the emulator and starts another one over the same store.
    pub fn again(mut self, setup: &Setup) -> Self {
        self.stop();
        self.join();
        Self::start_in(Arc::clone(&self.home), setup)
    }

    fn start_in(home: Arc<TempDir>, setup: &Setup) -> Self {
        let open = || {
            let options = store::Options { ephemeral: true, clock: setup.clock, ..store::Options::default() };
            Store::open(&home.path().join("data/store"), options).unwrap()
        };
        let store = open();
        let (to_log, log) = mpsc::channel(100_000);
        let faults = Faults::parse(setup.faults.iter().copied()).unwrap();
        let run = |store: Store| Running::start(store, setup.options(to_log.clone()), faults.clone());
        let mut servers = vec![run(store.clone())];
        servers.extend(setup.replicas.then(|| run(open())));
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let proxy = setup.replicas.then(|| RoundRobin::start(addresses.clone()));
        let address = proxy.as_ref().map_or(addresses[0], |proxy| proxy.address);
        Self {
            address,
            root: format!("http://{address}"),
            store,
            home,
            auth: setup.auth.to_owned(),
            log: Mutex::new(log),
            servers,
            _proxy: proxy,
        }
    }

    /// Requests a stop.
    pub fn stop(&mut self) {
        self.servers.iter_mut().for_each(|server| drop(server.stop.take()));
    }

    /// Waits until the emulator has stopped.
    pub fn join(&mut self) {
        for thread in self.servers.iter_mut().filter_map(|server| server.thread.take()) {
            thread.join().unwrap().unwrap();
        }
    }

    /// A `HAUL_HOME` whose store is the emulator's.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data directory of that home; the store is its subdirectory `store`.
    pub fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The base URL of a platform.
    pub fn base(&self, provider: &str) -> String {
        let path = PLATFORMS.iter().find(|platform| platform.name == provider).map_or("", |p| p.base_path);
        format!("{}/{provider}{path}", self.root)
    }

    /// The path of a URL of this server.
    pub fn path(&self, url: &Value) -> String {
        let url = url.as_str().unwrap_or_else(|| panic!("{url} is not a URL"));
        url.strip_prefix(&self.root).unwrap_or_else(|| panic!("{url}")).to_owned()
    }

    /// The next line of the request log.
    pub fn logged(&self) -> Value {
        serde_json::to_value(self.log.lock().unwrap().blocking_recv().unwrap()).unwrap()
    }

    /// The lines of the request log since the last call. A line is written after its response is sent, possibly
    /// after the client has read the response.
    pub fn log(&self) -> Vec<Value> {
        let mut log = self.log.lock().unwrap();
        std::iter::from_fn(|| log.try_recv().ok()).map(|line| serde_json::to_value(line).unwrap()).collect()
    }

    /// The method and path of each request answered since the last call.
    pub fn requests(&self) -> Vec<String> {
        thread::sleep(Duration::from_millis(50));
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        self.log().iter().map(|line| format!("{} {}", text(line, "method"), text(line, "path"))).collect()
    }

    /// Waits until no incomplete upload is left; `false` if that takes too long.
    pub fn is_clean(&self) -> bool {
        let incoming = self.data().join("store/incoming");
        raw::within(|| raw::entries(&incoming) == 0)
    }

    /// The number of blobs and incomplete uploads on disk.
    pub fn blobs(&self) -> usize {
        let below = |folder| files_below(&self.data().join(folder)).len();
        below("store/blobs") + below("store/incoming")
    }

    /// Changes the last byte of every blob on disk and returns the number of blobs.
    pub fn damage(&self) -> usize {
        let blobs = files_below(&self.data().join("store/blobs"));
        for path in &blobs {
            let mut bytes = std::fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
        blobs.len()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop();
        for thread in self.servers.iter_mut().filter_map(|server| server.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// The client side.
impl Emulator {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream
    }

    /// Sends raw bytes on a new connection and reads the response.
    pub fn send(&self, request: &[u8]) -> Answer {
        let answer = self.try_send(request).unwrap();
        assert!(answer.whole, "{answer:?}");
        answer
    }

    /// Like [`send`](Self::send), for responses that may be cut short or missing.
    pub fn try_send(&self, request: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect();
        stream.write_all(request)?;
        Answer::read(&mut stream, request.starts_with(b"HEAD "))
    }

    /// Sends a request with these headers and [`Setup::auth`], adding `Host` and `Content-Length` unless they are
    /// given.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let auth = Some(self.auth.as_str()).filter(|auth| !auth.is_empty());
        let headers: Vec<&str> = auth.into_iter().chain(headers.iter().copied()).collect();
        self.ask_bare(method, path, &headers, body)
    }

    /// Like [`ask`](Self::ask), without [`Setup::auth`].
    pub fn ask_bare(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.send(&request(self.address, method, path, headers, body))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, &[], b"")
    }

    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[JSON], body.as_bytes())
    }

    /// Sends a captured request of a contract: its lines end with a line feed, the body follows the empty line, and
    /// its length and host are corrected.
    pub fn replay(&self, captured: &str) -> Answer {
        let text = captured.trim_start().replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let body = body.trim_end_matches('\n').replace('\n', "\r\n");
        let body = if body.ends_with("--") { body + "\r\n" } else { body };
        let mut lines = head.lines().map(str::trim);
        let mut first = lines.next().unwrap().split(' ');
        let is_ours = |line: &&str| ["content-length:", "host:"].iter().any(|name| raw::begins(line, name));
        let headers: Vec<&str> = lines.filter(|line| !is_ours(line)).collect();
        self.ask_bare(first.next().unwrap(), first.next().unwrap(), &headers, body.as_bytes())
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let below = entries.map(|entry| entry.unwrap().path());
    below.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
