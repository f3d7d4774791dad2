//! The state of a served platform.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::outages::Outages;
use super::tokens::Accepted;
use super::{Denied, Gate, RateLimiter, Signer, Space};
use crate::error::{Error, Result};
use crate::model::{Clock, Warn};

/// A served platform, with its space in the store, its settings and its keys.
pub struct Site {
    /// The platform's name.
    pub platform: &'static str,
    /// The platform's space in the store. Its methods block; async handlers call them through [`Site::blocking`].
    pub space: Space,
    /// The places where clients send their token.
    pub gate: Gate,
    /// The wire dialect; empty if the platform has only one.
    pub dialect: String,
    /// The active quirks with their values, which may be empty.
    pub quirks: BTreeMap<String, String>,
    /// Signs and verifies links to this platform. Each platform has its own key.
    pub signer: Signer,
    /// The clock.
    pub clock: Clock,
    /// Whether to compute the MD5 of content.
    pub(super) md5: bool,
    /// The accepted tokens.
    pub(super) accepted: Accepted,
    /// The host used in URLs if a request has no valid `Host` header: `127.0.0.1:8787`.
    pub(super) address: String,
    /// The path prefix: `/xai`, or empty if the platform is served alone. It starts with `/~SPACE` if the server has
    /// several spaces.
    pub(super) prefix: String,
    /// The combined load of all platforms.
    pub(super) load: Arc<Load>,
}

/// The current load. Under high load, each transfer uses less memory.
pub(super) struct Load {
    receiving: AtomicUsize,
    sending: AtomicUsize,
    workers: Arc<Semaphore>,
    outages: Arc<Outages>,
}

impl Load {
    /// Creates a load that lets at most `workers` threads use the store at once. `warn` is called with the reason if
    /// the store is not available.
    pub(super) fn new(workers: usize, warn: Warn) -> Self {
        Self {
            receiving: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            workers: Arc::new(Semaphore::new(workers)),
            outages: Arc::new(Outages::new(warn)),
        }
    }

    /// Runs `work` on a blocking thread once one of the workers is free. The wait is short because slow clients do
    /// not occupy workers.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        // The semaphore is never closed, so this cannot fail.
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        let outages = Arc::clone(&self.outages);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work().map_err(|error| outages.hide(error))
        })
    }
}

/// A file being received or sent, which is counted until the value is dropped.
pub(super) struct Transfer {
    load: Arc<Load>,
    count: fn(&Load) -> &AtomicUsize,
}

impl Transfer {
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

    /// Whether more than `number` files are being transferred in this direction.
    pub(super) fn exceeds(&self, number: usize) -> bool {
        (self.count)(&self.load).load(Ordering::Relaxed) > number
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        (self.count)(&self.load).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Site {
    /// Whether a quirk is enabled.
    pub fn quirk(&self, name: &str) -> bool {
        self.quirks.contains_key(name)
    }

    /// A quirk's value.
    pub fn quirk_value(&self, name: &str) -> Option<&str> {
        self.quirks.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A quirk's value as a number; `None` if it is not a number.
    pub fn quirk_number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.quirk_value(name)?.parse().ok()
    }

    /// This platform's root URL at the host that the client used, without a trailing slash:
    /// `http://127.0.0.1:8787/xai`. URLs in responses start with it, so they also work from a container or another
    /// machine. Behind a proxy that ends TLS and says so in `X-Forwarded-Proto`, they start with `https`.
    pub fn root(&self, request: &HeaderMap) -> String {
        let is_tls = request.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        let scheme = if is_tls { "https" } else { "http" };
        let host = request.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
        match host.filter(|host| !host.as_str().contains('@')) {
            Some(host) => format!("{scheme}://{host}{}", self.prefix),
            None => format!("{scheme}://{}{}", self.address, self.prefix),
        }
    }

    /// Checks in constant time whether a token is accepted.
    pub fn accepts(&self, token: &str) -> bool {
        match &self.accepted {
            Accepted::Any => true,
            // Signatures have a fixed length, so the time does not depend on the length of the token.
            Accepted::One(expected) => self.signer.verify(token, &self.signer.sign(expected.expose())),
            Accepted::Of(tokens, space) => {
                tokens.grant(token).is_some_and(|grant| Some(grant.space) == *space)
            }
        }
    }

    /// Returns the request's token if it is accepted.
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<String, Denied> {
        let token = self.gate.token(headers, uri)?;
        if self.accepts(&token) { Ok(token) } else { Err(Denied::Wrong(token)) }
    }

    /// Checks the token before every route of `router`. `refuse` formats the error response.
    pub fn protect<S: Clone + Send + Sync + 'static>(
        self: &Arc<Self>,
        router: Router<S>,
        refuse: fn(&Self, &Denied) -> Response,
    ) -> Router<S> {
        let site = Arc::clone(self);
        router.layer(from_fn(move |request: Request, next: Next| {
            let checked = site.check(request.headers(), request.uri());
            let refusal = checked.err().map(|denied| refuse(&site, &denied));
            async move {
                match refusal {
                    Some(refusal) => refusal,
                    None => next.run(request).await,
                }
            }
        }))
    }

    /// A limiter for the requests per minute set by the `rate-limit` quirk; `None` without a limit.
    pub fn rate_limiter(&self) -> Option<RateLimiter> {
        self.quirk_number("rate-limit").map(|limit| RateLimiter::new(limit, Duration::from_mins(1)))
    }

    /// Runs `work` with the platform's space on a thread that may block.
    ///
    /// ```ignore
    /// let file = site.blocking(move |store| store.stat(&id)).await?;
    /// ```
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Space) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let space = self.space.clone();
        joined(self.load.run(move || work(&space)).await.await)
    }
}

/// The result of a blocking task. A panic becomes an error.
pub(super) fn joined<T>(ended: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| Err(Error::failed("an emulator task ended early").caused_by(error)))
}
