//! Listens, routes requests to the platforms, applies scripted faults, and shuts down gracefully.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT, RANGE, RETRY_AFTER};
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use axum::response::Response;
use futures_util::{FutureExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use super::faults::{self, Trouble};
use super::health::{self, Health};
use super::local::plain_error;
use super::options::reachable;
use super::site::joined;
use super::tenants::{Served, Tenants, may_change, split_space};
use super::wire::{Closing, Entry, Received, Sent, Socket};
use super::{Faults, Options, Platform};
use crate::error::{Error, Result};
use crate::store::Store;

/// Maximum size of a connection's read buffer, in bytes. Hundreds of concurrent uploads must fit into tens of MiB.
const BUFFER: usize = 32 * 1024;
/// The same for a connection that is accepted while fewer than [`FEW`] are open: large uploads need fewer system
/// calls.
const LARGE_BUFFER: usize = 256 * 1024;
const FEW: usize = 16;
/// Number of file descriptors reserved for files and the rest of the program.
const RESERVED: u64 = 24;
/// Maximum number of connections.
const MAX_CONNECTIONS: u64 = 4096;
/// The delay before accepting again if there are not enough file descriptors for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection must have been idle before it can be closed in favor of a new one.
const EVICTABLE: Duration = Duration::from_millis(500);
/// Serves the platforms on `listener` until `shutdown` completes. Then rejects new requests and waits for running
/// ones, for at most [`Options::drain`]. The caller's runtime should have more than one thread.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    options: Options,
    faults: Faults,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let listening = |error: io::Error| Error::failed("the emulator cannot listen").caused_by(error);
    listener.set_nonblocking(true).map_err(listening)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(listening)?;
    let address = reachable(listener.local_addr().map_err(listening)?).to_string();
    let app = tokio::task::spawn_blocking(move || App::new(store, address, options, faults));
    let app = Arc::new(joined(app.await)?);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let max_connections = max_connections();
    let mut open: HashMap<task::Id, Arc<Closing>> = HashMap::new();
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept(), if open.len() < max_connections => match accepted {
                Ok((stream, _)) => {
                    let closing = Arc::default();
                    let buffer = if open.len() < FEW { LARGE_BUFFER } else { BUFFER };
                    let task =
                        connection(stream, buffer, Arc::clone(&closing), Arc::clone(&app), stopping.clone());
                    open.insert(connections.spawn(task).id(), closing);
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                open.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = tokio::time::sleep(ACCEPT_PAUSE), if open.len() >= max_connections => {
                evict(open.values(), max_connections);
            }
        }
    }
    app.is_draining.store(true, Ordering::Relaxed);
    let _ = stop.send(true);
    // New connections get an error response instead of a refused connection until the running requests are finished, so
    // that load balancers notice the shutdown.
    let (_open, never) = watch::channel(false);
    let mut rejected = JoinSet::new();
    let mut limit = pin!(tokio::time::sleep(app.options.drain));
    while !connections.is_empty() {
        tokio::select! {
            () = &mut limit => break,
            _ = connections.join_next() => {}
            _ = rejected.join_next(), if !rejected.is_empty() => {}
            accepted = listener.accept(), if rejected.len() < FEW => match accepted {
                Ok((stream, _)) => {
                    rejected.spawn(connection(stream, BUFFER, Arc::default(), Arc::clone(&app), never.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}

/// The number of connections for which there are enough file descriptors: one for the connection, and one for the
/// file that it transfers.
fn max_connections() -> usize {
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    let free = limit.unwrap_or(u64::MAX).saturating_sub(RESERVED) / 2;
    usize::try_from(free.clamp(1, MAX_CONNECTIONS)).unwrap_or(1)
}

/// Closes up to a quarter of the connections, starting with those that have been idle longest.
fn evict<'a>(connections: impl Iterator<Item = &'a Arc<Closing>>, max_connections: usize) {
    let idle = |connection: &'a Arc<Closing>| Some((connection.idle_since()?, connection));
    let mut idle: Vec<_> =
        connections.filter_map(idle).filter(|(since, _)| since.elapsed() >= EVICTABLE).collect();
    idle.sort_by_key(|(since, _)| *since);
    idle.iter().take(max_connections.div_ceil(4)).for_each(|(_, connection)| connection.evict());
}

/// Serves one connection.
async fn connection(
    stream: TcpStream,
    buffer: usize,
    closing: Arc<Closing>,
    app: Arc<App>,
    mut stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, Arc::clone(&closing));
    let silence = app.options.silence;
    let own = Arc::clone(&closing);
    let service = service_fn(move |request| {
        let (app, closing) = (Arc::clone(&app), Arc::clone(&own));
        async move { app.answer(closing, request).await }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .max_buf_size(buffer)
            .timer(TokioTimer::new())
            .header_read_timeout(silence)
            .serve_connection(TokioIo::new(socket), service)
    );
    let stop = async {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let is_evicted = tokio::select! {
        // Errors come from disconnected clients or scripted faults.
        _ = connection.as_mut() => return,
        () = stop => false,
        () = closing.evicted() => true,
    };
    closing.hurry();
    connection.as_mut().graceful_shutdown();
    if is_evicted {
        // A request that has just started is still handled.
        let ended = tokio::time::timeout(ACCEPT_PAUSE, connection.as_mut()).await;
        if ended.is_ok() || closing.idle_since().is_some() {
            return;
        }
    }
    let _: Result<(), hyper::Error> = connection.await;
}

/// The served platforms.
struct App {
    tenants: Tenants,
    health: Health,
    options: Options,
    faults: Faults,
    /// Whether the server is finishing the running requests and rejecting new ones.
    is_draining: AtomicBool,
}

/// What a request is addressed to.
struct Target {
    /// The platform with its space; `None` for other paths.
    platform: Option<(&'static Platform, Arc<Served>)>,
    /// Whether the request's token does not permit changes.
    read_only: bool,
}

impl App {
    /// Blocks because it reads from the store.
    fn new(store: Store, address: String, options: Options, faults: Faults) -> Result<Self> {
        Ok(Self {
            tenants: Tenants::new(store.clone(), address, options.clone())?,
            health: Health::of(move || store.noted("", "", "").is_ok()),
            options,
            faults,
            is_draining: AtomicBool::new(false),
        })
    }

    /// Handles a request. An error closes the connection without a response.
    async fn answer(
        &self,
        closing: Arc<Closing>,
        mut request: Request<hyper::body::Incoming>,
    ) -> io::Result<Response> {
        let is_draining = self.is_draining.load(Ordering::Relaxed);
        let is_probe = request.uri().path() == health::PATH;
        let mut entry = Entry::new(
            Arc::clone(&closing),
            self.options.log.clone().filter(|_| !is_probe),
            self.options.clock,
            request.method(),
            request.uri(),
        );
        if is_probe {
            let response = self.health.respond(is_draining).await;
            return Ok(response.map(|body| Body::new(Sent::new(body, entry, None))));
        }
        let target = self.target(&mut request);
        entry.platform = target.platform.as_ref().map(|(platform, _)| platform.name);
        // Scripts contain the platform's name even if it is served alone.
        let path = match &target.platform {
            Some((platform, _)) if !begins_with(request.uri(), platform.name) => {
                format!("{}{}", platform.name, request.uri().path())
            }
            _ => request.uri().path().to_owned(),
        };
        if let Some((status, reason)) =
            self.options.hosts.as_ref().and_then(|hosts| hosts.refuse(request.headers()))
        {
            entry.status = Some(status.as_u16());
            return Ok(plain_error(status, reason).map(|body| Body::new(Sent::new(body, entry, None))));
        }
        if is_draining {
            let mut response = target.error(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            entry.status = Some(response.status().as_u16());
            return Ok(response.map(|body| Body::new(Sent::new(body, entry, None))));
        }
        let fault = self.faults.choose(request.method(), &path);
        entry.fault = fault.as_ref().map(|(word, _)| *word);
        let expected = request.headers().contains_key(EXPECT);
        let (received, silence) = (Arc::clone(&entry.received), self.options.silence);
        let request =
            request.map(|body| Body::new(Received::new(Body::new(body), received, expected, silence)));
        let fault = fault.map(|(_, trouble)| trouble);
        let cut =
            if let Some(Trouble::Cut(bytes)) = fault { Some((bytes, Arc::clone(&closing))) } else { None };
        let response = self.respond(&closing, &target, &path, fault, request).await?;
        entry.status = Some(response.status().as_u16());
        Ok(response.map(|body| Body::new(Sent::new(body, entry, cut))))
    }

    async fn respond(
        &self,
        closing: &Closing,
        target: &Target,
        path: &str,
        fault: Option<Trouble>,
        mut request: Request<Body>,
    ) -> io::Result<Response> {
        let error = |status: StatusCode, message: &str| target.error(status, message);
        let scripted = "a scripted fault of the emulator";
        match fault {
            Some(Trouble::Refuse { status, close, retry_after }) => {
                let mut response = error(status, scripted);
                faults::set_retry_after(&mut response, retry_after);
                if close {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                return Ok(response);
            }
            Some(Trouble::Fail { status, html, retry_after }) => {
                request.into_body().into_data_stream().for_each(|_| std::future::ready(())).await;
                let mut response = if html {
                    faults::proxy_page(status, &status.to_string(), "proxy")
                } else {
                    error(status, scripted)
                };
                faults::set_retry_after(&mut response, retry_after);
                return Ok(response);
            }
            Some(Trouble::Reset) => {
                closing.reset();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Some(Trouble::Slow(wait)) => tokio::time::sleep(wait).await,
            Some(Trouble::IgnoreRange) => drop(request.headers_mut().remove(RANGE)),
            _ => {}
        }
        if target.read_only
            && let Some((platform, _)) = &target.platform
            && may_change(platform, request.method(), path)
        {
            return Ok(error(StatusCode::FORBIDDEN, "This token is read-only."));
        }
        let router =
            target.platform.as_ref().map_or_else(|| self.tenants.root(), |(_, served)| &served.router);
        let answered = AssertUnwindSafe(router.call(request)).catch_unwind().await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "the emulator ended the request early"),
        };
        match fault {
            Some(Trouble::Lose) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Trouble::Done { status, retry_after }) => {
                let mut response = faults::proxy_page(status, &status.to_string(), "proxy");
                faults::set_retry_after(&mut response, retry_after);
                Ok(response)
            }
            Some(Trouble::Delay(wait)) => {
                tokio::time::sleep(wait).await;
                Ok(response)
            }
            Some(Trouble::TruncateJson) => Ok(faults::truncated(response).await),
            Some(Trouble::WrongByte(offset)) => Ok(faults::flipped(response, offset)),
            Some(Trouble::Drip(rate)) => Ok(faults::dripping(response, rate)),
            _ => Ok(response),
        }
    }

    /// Determines the platform and the space of a request. With the tokens of several spaces, the space is the one at
    /// the start of the path, which is then removed from the path, or otherwise the space of the token.
    fn target<T>(&self, request: &mut Request<T>) -> Target {
        let Some(tokens) = &self.options.tokens else {
            let platform = self.platform_of(request.uri());
            let platform = platform.map(|platform| (platform, self.tenants.of(None, platform)));
            return Target { platform, read_only: false };
        };
        let named = split_space(request.uri()).map(|(space, uri)| {
            *request.uri_mut() = uri;
            space
        });
        let Some(platform) = self.platform_of(request.uri()) else {
            return Target { platform: None, read_only: false };
        };
        let token = platform.gate.token(request.headers(), request.uri()).ok();
        let grant = token.and_then(|token| tokens.grant(&token));
        let space = match named {
            Some(name) => tokens.space(&name),
            None => grant.as_ref().map(|grant| Arc::clone(&grant.space)),
        };
        let read_only = grant.is_some_and(|grant| grant.read_only && Some(&grant.space) == space.as_ref());
        Target { platform: Some((platform, self.tenants.of(space, platform))), read_only }
    }

    /// The platform that a path belongs to.
    fn platform_of(&self, uri: &Uri) -> Option<&'static Platform> {
        let named = self.options.served().find(|platform| begins_with(uri, platform.name));
        let alone = || {
            self.options.served().next().filter(|_| self.options.only.is_some() && !begins_with(uri, "local"))
        };
        named.or_else(alone)
    }
}

impl Target {
    /// An error response in the platform's format.
    fn error(&self, status: StatusCode, message: &str) -> Response {
        match &self.platform {
            Some((platform, served)) => (platform.error)(&served.site, status, message),
            None => plain_error(status, message),
        }
    }
}

/// Whether the first segment of a path is `name`.
fn begins_with(uri: &Uri, name: &str) -> bool {
    uri.path().trim_start_matches('/').split('/').next() == Some(name)
}
