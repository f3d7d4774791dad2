//! What a platform's handlers are handed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Signer;
use crate::error::{Error, Result};
use crate::model::Clock;
use crate::secret::Secret;
use crate::store::Store;

/// One served platform: its space in the store, its switches, its keys.
pub struct Site {
    /// The platform's name: its space in the store.
    pub platform: &'static str,
    /// The store. Blocking: async handlers reach it through [`Site::blocking`].
    pub store: Store,
    /// The wire dialect chosen; empty where the platform has one only.
    pub dialect: String,
    /// Quirks of this platform that are on, with their values (empty for none).
    pub quirks: BTreeMap<String, String>,
    /// Signs and checks this platform's links; worth nothing on another platform.
    pub signer: Signer,
    /// The clock.
    pub clock: Clock,
    /// Whether content gets an MD5.
    pub(super) md5: bool,
    /// The only token accepted; None accepts any.
    pub(super) token: Option<Secret>,
    /// Where a client is that does not say by what name it came: `127.0.0.1:8787`.
    pub(super) address: String,
    /// What stands before the platform's paths: `/xai`, or nothing where it is served alone.
    pub(super) prefix: String,
    /// How much is going on, on all platforms together.
    pub(super) load: Arc<Load>,
}

/// Threads that work on the store at once. More would not be faster, and each has memory of its own.
const WORKERS: usize = 16;

/// What is going on now. One of many takes less memory than one of few.
pub(super) struct Load {
    receiving: AtomicUsize,
    sending: AtomicUsize,
    working: Arc<Semaphore>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            receiving: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            working: Arc::new(Semaphore::new(WORKERS)),
        }
    }
}

impl Load {
    /// Works on the store on a thread that may block. A slow client keeps no thread busy, so no turn is waited for long.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        // It is never closed, so there is always a turn.
        let turn = Arc::clone(&self.working).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
    }
}

/// A file that is being received or sent.
pub(super) struct Moving {
    load: Arc<Load>,
    count: fn(&Load) -> &AtomicUsize,
}

impl Moving {
    pub(super) fn receiving(load: &Arc<Load>) -> Self {
        Self::begin(load, |load| &load.receiving)
    }

    pub(super) fn sending(load: &Arc<Load>) -> Self {
        Self::begin(load, |load| &load.sending)
    }

    fn begin(load: &Arc<Load>, count: fn(&Load) -> &AtomicUsize) -> Self {
        count(load).fetch_add(1, Ordering::Relaxed);
        Self { load: Arc::clone(load), count }
    }

    /// Whether more than `few` are on their way.
    pub(super) fn is_one_of_many(&self, few: usize) -> bool {
        (self.count)(&self.load).load(Ordering::Relaxed) > few
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        (self.count)(&self.load).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Site {
    /// Whether a quirk is on.
    pub fn quirk(&self, name: &str) -> bool {
        self.quirks.contains_key(name)
    }

    /// A quirk's value.
    pub fn quirk_value(&self, name: &str) -> Option<&str> {
        self.quirks.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Root URL of this platform as the client reached it, without a trailing slash: `http://127.0.0.1:8787/xai`. Build
    /// every URL in an answer from it, so that links work from a container or another machine too.
    pub fn root(&self, request: &HeaderMap) -> String {
        let host = request.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        match host.filter(|host| !host.as_str().contains('@')) {
            Some(host) => format!("http://{host}{}", self.prefix),
            None => format!("http://{}{}", self.address, self.prefix),
        }
    }

    /// Whether a token is accepted, in constant time.
    pub fn accepts(&self, token: &str) -> bool {
        let Some(expected) = &self.token else { return true };
        // Signatures are of one length, so not even the token's length shows in the time.
        self.signer.verify(token, &self.signer.sign(expected.expose()))
    }

    /// Does something with the store on a thread that may block.
    ///
    /// ```ignore
    /// let file = site.blocking(move |store| store.stat("xai", &id)).await?;
    /// ```
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        joined(self.load.work(move || work(&store)).await.await)
    }
}

/// The result of a blocking task; a panic in it is an error.
pub(super) fn joined<T>(ended: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| Err(Error::failed("the emulator's work broke off").caused_by(error)))
}
