//! One platform in one dialect: its emulator on a socket, and the provider that speaks to it.

#![allow(dead_code, reason = "two test binaries use a part of it each")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use haul::emulator::{Faults, Options, PLATFORMS, serve};
use haul::error::Result;
use haul::http::{Client, Config, Content, Policy, Request};
use haul::model::{Clock, File, FileId, Link, NewFile, Object, Warn};
use haul::progress::silent;
use haul::providers::{self, Capabilities, Connection, Page, Provider, Query, Spec};
use haul::secret::Secret;
use haul::store::{self, Store};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// The only token that the servers here take.
pub const TOKEN: &str = "metorial_sk_of_tests";

/// A platform in a dialect.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The provider.
    pub provider: &'static str,
    /// What `--dialect` says.
    pub dialect: &'static str,
    /// What the emulator speaks, as `PLATFORM=WORD`.
    pub wire: Option<&'static str>,
    /// Switches of the emulator.
    pub quirks: &'static [&'static str],
    /// Values of `--set`.
    pub set: &'static [(&'static str, &'static str)],
    /// Secret ones.
    pub secrets: &'static [(&'static str, &'static str)],
}

impl Case {
    /// A platform as it comes.
    pub const fn of(provider: &'static str, dialect: &'static str) -> Self {
        Self { provider, dialect, wire: None, quirks: &[], set: &[], secrets: &[] }
    }

    /// The platform.
    pub fn spec(&self) -> &'static Spec {
        providers::find(self.provider).expect("a provider of the registry")
    }

    /// Whether anything speaks its language yet: `local` needs no server.
    pub fn is_emulated(&self) -> bool {
        self.provider == "local" || PLATFORMS.iter().any(|platform| platform.name == self.provider)
    }
}

/// The emulators on a port of their own, with a store that goes away with them.
pub struct Served {
    /// `http://127.0.0.1:PORT`.
    pub root: String,
    pub store: Store,
    home: tempfile::TempDir,
    log: Mutex<mpsc::UnboundedReceiver<String>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Served {
    pub fn start(wire: Option<&str>, quirks: &[&str]) -> Self {
        let (to, log) = mpsc::unbounded_channel();
        let mut options = Options { token: Some(Secret::new(TOKEN)), log: Some(to), ..Options::default() };
        if let Some(wire) = wire {
            options.set_dialect(wire).unwrap();
        }
        for quirk in quirks {
            options.set_quirk(quirk).unwrap();
        }
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(
            &home.path().join("data/store"),
            store::Options { ephemeral: true, ..store::Options::default() },
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = store.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(serve(listener, served, options, Faults::default(), async {
                let _ = stopped.await;
            }))
        });
        Self { root, store, home, log: Mutex::new(log), stop: Some(stop), thread: Some(thread) }
    }

    /// The base URL of a platform.
    pub fn base(&self, provider: &str) -> String {
        let path = PLATFORMS.iter().find(|platform| platform.name == provider).map_or("", |p| p.base_path);
        format!("{}/{provider}{path}", self.root)
    }

    pub fn root_of(&self, provider: &str) -> String {
        format!("{}/{provider}", self.root)
    }

    pub fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// The requests that have been answered since the last call: method and path.
    pub fn requests(&self) -> Vec<String> {
        // A line is written when the answer has gone, which may be after the client has read it.
        thread::sleep(Duration::from_millis(50));
        let mut log = self.log.lock().unwrap();
        let lines = std::iter::from_fn(|| log.try_recv().ok());
        let line = |line: String| {
            let line: Value = serde_json::from_str(&line).unwrap();
            format!("{} {}", line["method"].as_str().unwrap(), line["path"].as_str().unwrap())
        };
        lines.map(line).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A provider, what it speaks to, and where its futures run.
pub struct Rig {
    pub case: Case,
    pub served: Arc<Served>,
    pub provider: Arc<dyn Provider>,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    pub fn new(case: Case) -> Self {
        let served = Arc::new(Served::start(case.wire, case.quirks));
        Self::on(case, served)
    }

    /// Another provider of the same server.
    pub fn on(case: Case, served: Arc<Served>) -> Self {
        let set: Vec<_> =
            case.set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let provider = open(&case, &served, TOKEN, &set);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rig = Self { case, served, provider, runtime };
        // Where the dialect is left to the server, what can be done is known with the first answer.
        rig.list(&Query { limit: Some(1), ..Query::default() }, None).unwrap();
        rig.served.requests();
        rig
    }

    pub fn can(&self) -> &'static Capabilities {
        self.provider.capabilities()
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The same platform with other settings or another token.
    pub fn other(&self, token: &str, set: &[(String, String)]) -> Arc<dyn Provider> {
        open(&self.case, &self.served, token, set)
    }

    pub fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        self.run(self.provider.list(query, cursor))
    }

    /// All files, by pages of this many.
    pub fn pages(&self, page_size: Option<u32>) -> Vec<Vec<File>> {
        let query = Query { page_size, ..Query::default() };
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.list(&query, cursor.as_deref()).unwrap();
            pages.push(page.files);
            cursor = page.next;
            assert!(pages.len() < 50, "a listing without end");
            if cursor.is_none() {
                return pages;
            }
        }
    }

    pub fn stat(&self, id: &FileId) -> Result<File> {
        self.run(self.provider.stat(id))
    }

    pub fn upload(&self, file: &NewFile) -> Result<File> {
        let mut files = self.run(self.provider.upload(std::slice::from_ref(file), &[silent()]))?;
        assert_eq!(files.len(), 1, "one file goes up, one comes back");
        Ok(files.remove(0))
    }

    /// A file of the platform's usual kind.
    pub fn put(&self, name: &str, content: &str) -> File {
        self.upload(&NewFile::from_bytes(name, content.to_owned()))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn bytes(&self, content: Content) -> Vec<u8> {
        self.run(content.stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        }))
        .unwrap()
    }

    /// What a stranger gets who opens a link.
    pub fn open_link(&self, link: &Link) -> Result<Vec<u8>> {
        let url: url::Url = link.url.parse().unwrap();
        if url.scheme() == "file" {
            let path = url.to_file_path().unwrap();
            return std::fs::read(&path).map_err(|error| haul::error::Error::io("read", &path, &error));
        }
        let content =
            self.run(client(&self.case, &url, TOKEN).content(&Request::get(url.clone()).anonymous()))?;
        Ok(self.bytes(content))
    }
}

/// A profile by hand.
pub fn open(case: &Case, served: &Served, token: &str, set: &[(String, String)]) -> Arc<dyn Provider> {
    let spec = case.spec();
    let base_url: url::Url =
        if case.provider == "local" { served.root.parse() } else { served.base(case.provider).parse() }
            .unwrap();
    let mut set: BTreeMap<String, String> = set.iter().cloned().collect();
    if case.dialect == "served" {
        set.insert("serve_url".to_owned(), served.root.clone());
    }
    let connection = Connection {
        profile: "work".to_owned(),
        http: client(case, &base_url, token),
        upload_base_url: base_url.clone(),
        base_url,
        dialect: case.dialect.to_owned(),
        set,
        secrets: case.secrets.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(value))).collect(),
        clock: Clock::default(),
        data: served.home().join("data"),
        warn: Warn::default(),
    };
    Arc::from((spec.open)(connection).unwrap_or_else(|error| panic!("{case:?}: {error}")))
}

fn client(case: &Case, base_url: &url::Url, token: &str) -> Client {
    let spec = case.spec();
    Client::new(Config {
        platform: spec.name,
        own: vec![base_url.clone()],
        token: Some(Secret::new(token)),
        token_hints: Vec::new(),
        timeout: Duration::from_secs(30),
        policy: Policy { attempts: 1, ..Policy::default() },
        cacert: None,
        insecure_http: false,
        rate: None,
        headers: Vec::new(),
        read_problem: spec.read_problem,
    })
}

/// An object of texts.
pub fn object(pairs: &[(&str, &str)]) -> Object {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect()
}
