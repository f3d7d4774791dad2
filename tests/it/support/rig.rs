//! One platform in one dialect: a running emulator and the provider that connects to it.

#![allow(dead_code, reason = "two test binaries use a part of it each")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use haul::error::Result;
use haul::http::{Client, ContentStream, Request};
use haul::model::{Clock, File, FileId, Link, NewFile, Object};
use haul::progress::silent;
use haul::providers::{self, Capabilities, Page, Provider, Query, Spec};
use haul::secret::Secret;
use serde_json::Value;

use crate::support::connection::Profile;
use crate::support::emulator::{Emulator, Setup};
use crate::support::s3;

/// The only token that the servers here accept.
pub const TOKEN: &str = "metorial_sk_of_tests";

/// A platform in one dialect.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The provider.
    pub provider: &'static str,
    /// The value of `--wire-dialect`.
    pub dialect: &'static str,
    /// The dialect of the emulator, as `PLATFORM=WORD`.
    pub wire: Option<&'static str>,
    /// The quirks of the emulator.
    pub quirks: &'static [&'static str],
    /// Values of `--set`.
    pub set: &'static [(&'static str, &'static str)],
    /// Secret values of `--set`.
    pub secrets: &'static [(&'static str, &'static str)],
    /// Whether two servers with one store take turns.
    pub replicas: bool,
}

impl Case {
    /// A platform with default settings.
    pub const fn of(provider: &'static str, dialect: &'static str) -> Self {
        Self { provider, dialect, wire: None, quirks: &[], set: &[], secrets: &[], replicas: false }
    }

    /// How its emulator is started, with this clock.
    pub fn setup(&self, clock: Clock) -> Setup<'static> {
        let (platform, dialect) = self.wire.and_then(|wire| wire.split_once('=')).unzip();
        let platform = platform.unwrap_or_default();
        let own = s3::SERVERS.iter().find(|server| server.name == self.provider);
        let platforms = own.map(std::slice::from_ref);
        Setup {
            platform,
            dialect,
            quirks: self.quirks,
            token: Some(TOKEN),
            clock,
            platforms,
            replicas: self.replicas,
            ..Setup::DEFAULT
        }
    }

    /// The platform.
    pub fn spec(&self) -> &'static Spec {
        providers::find(self.provider).expect("a registered provider")
    }
}

/// A provider, its emulator and the runtime for its futures.
pub struct Rig {
    pub case: Case,
    pub served: Arc<Emulator>,
    pub provider: Arc<dyn Provider>,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    pub fn new(case: Case) -> Self {
        Self::on(case, Arc::new(Emulator::start(&case.setup(Clock(None)))))
    }

    /// A provider for an emulator that is already running.
    pub fn on(case: Case, served: Arc<Emulator>) -> Self {
        let set: Vec<_> =
            case.set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let provider = open(&case, &served, TOKEN, &set);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rig = Self { case, served, provider, runtime };
        // With an automatic dialect, the capabilities are known after the first response.
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

    /// The same platform with another token or other settings.
    pub fn other(&self, token: &str, set: &[(String, String)]) -> Arc<dyn Provider> {
        open(&self.case, &self.served, token, set)
    }

    pub fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        self.run(self.provider.list(query, cursor))
    }

    /// All files in pages of this size.
    pub fn pages(&self, page_size: Option<u32>) -> Vec<Vec<File>> {
        let query = Query { page_size, ..Query::default() };
        let (mut pages, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.list(&query, cursor.as_deref()).unwrap();
            pages.push(page.files);
            cursor = page.next;
            assert!(pages.len() < 50, "an endless listing");
            if cursor.is_none() {
                return pages;
            }
        }
    }

    pub fn stat(&self, id: &FileId) -> Result<File> {
        self.run(self.provider.stat(id))
    }

    pub fn upload(&self, file: &NewFile) -> Result<File> {
        self.run(self.provider.upload(file, silent()))
    }

    /// Uploads a file with the default purpose and attributes. Panics on failure.
    pub fn put(&self, name: &str, content: &str) -> File {
        self.upload(&NewFile::from_bytes(name, content.to_owned()))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn bytes(&self, content: ContentStream) -> Vec<u8> {
        self.run(content.stream.try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        }))
        .unwrap()
    }

    /// Opens a link without credentials.
    pub fn open_link(&self, link: &Link) -> Result<Vec<u8>> {
        let url: url::Url = link.url.parse().unwrap();
        if url.scheme() == "file" {
            let path = url.to_file_path().unwrap();
            return std::fs::read(&path).map_err(|error| haul::error::Error::io("read", &path, error));
        }
        self.run(open_url(&self.case, url.as_str()))
    }
}

/// The provider of a case with another token or other settings.
pub fn open(case: &Case, served: &Emulator, token: &str, set: &[(String, String)]) -> Arc<dyn Provider> {
    let base_url = if case.provider == "local" { served.root.clone() } else { served.base(case.provider) };
    let mut set: Vec<(&str, &str)> = set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    set.extend(case.secrets);
    if case.dialect == "served" {
        set.push(("serve_url", &served.root));
    }
    let profile = Profile {
        set: &set,
        dialect: case.dialect,
        data: &served.data(),
        credentials: credentials(case, token),
        ..profile(case, &base_url.parse().unwrap(), token)
    };
    Arc::from(profile.open().unwrap_or_else(|error| panic!("{case:?}: {error}")))
}

/// The provider of a case at a base URL.
pub fn open_at(case: &Case, base_url: &str, token: &str) -> Box<dyn Provider> {
    let set: Vec<_> = case.set.iter().chain(case.secrets).copied().collect();
    let profile = profile(case, &base_url.parse().unwrap(), token);
    let profile = Profile { set: &set, dialect: case.dialect, ..profile };
    profile.open().unwrap_or_else(|error| panic!("{case:?}: {error}"))
}

/// The content behind a link, which is opened without credentials.
pub async fn open_url(case: &Case, url: &str) -> Result<Vec<u8>> {
    let url: url::Url = url.parse().unwrap();
    let client = Client::new(profile(case, &url, TOKEN).config());
    let content = client.content(&Request::get(url).anonymous()).await?;
    content
        .stream
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

/// The credentials of a case on object storage. The token is the access key.
fn credentials(case: &Case, token: &str) -> BTreeMap<String, Secret> {
    let pairs = [("AWS_ACCESS_KEY_ID", token), ("AWS_SECRET_ACCESS_KEY", s3::SECRET)];
    let pairs = pairs.into_iter().filter(|_| case.spec().scheme.is_some());
    pairs.map(|(name, value)| (name.to_owned(), Secret::new(value))).collect()
}

fn profile<'a>(case: &Case, base_url: &url::Url, token: &'a str) -> Profile<'a> {
    let timeout = Duration::from_secs(30);
    Profile { token: Some(token), timeout, ..Profile::new(case.spec(), base_url) }
}

/// An object of strings.
pub fn object(pairs: &[(&str, &str)]) -> Object {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect()
}
