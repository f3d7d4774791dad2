//! Listens, routes requests to the platforms, applies scripted faults, and shuts down gracefully. Also serves the
//! links that the store signs for its `local` space: `/local/ID?expires=SECONDS&signature=HEX`.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONNECTION, CONTENT_DISPOSITION, EXPECT, HeaderName, RANGE};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{FutureExt, StreamExt};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};

use super::faults::{self, Trouble};
use super::options::reachable;
use super::site::joined;
use super::wire::{Closing, Entry, Received, Sent, Socket};
use super::{Content, Faults, Options, Params, Platform, Sending, Signer, Site, content_disposition};
use crate::error::{Error, Kind, Result};
use crate::model::FileId;
use crate::store::Store;

/// Maximum size of a connection's read buffer, in bytes. Hundreds of concurrent uploads must fit into tens of MiB.
const BUFFER: usize = 32 * 1024;
/// The same for each of the first connections, up to [`FEW`], which read large uploads with fewer system calls.
const LARGE_BUFFER: usize = 256 * 1024;
const FEW: usize = 16;
/// Time for running requests to finish once shutdown starts.
const GRACE: Duration = Duration::from_secs(5);
/// Number of file descriptors reserved for files and the rest of the program.
const RESERVED: u64 = 24;
/// Maximum number of connections.
const MAX_CONNECTIONS: u64 = 4096;
/// The delay before accepting again if there are not enough file descriptors for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection must have been idle before it can be closed in favor of a new one.
const EVICTABLE: Duration = Duration::from_millis(500);
/// Maximum size of bodies read by axum's own extractors, in bytes. The largest JSON body in a contract contains 50
/// MiB as base64.
const MAX_EXTRACTED: usize = 80 * 1024 * 1024;

/// Serves the platforms on `listener` until `shutdown` completes. Then stops accepting connections and waits up to
/// five seconds for running requests. The caller's runtime should have more than one thread.
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
    let app = tokio::task::spawn_blocking(move || App::new(&store, &address, options, faults));
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
    drop(listener);
    let _ = stop.send(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, ended).await;
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
    router: TowerToHyperService<Router>,
    sites: Vec<(&'static Platform, Arc<Site>)>,
    options: Options,
    faults: Faults,
}

impl App {
    /// Builds the sites and their routes. Blocks because it reads the signing key from the store.
    fn new(store: &Store, address: &str, options: Options, faults: Faults) -> Result<Self> {
        let signer = Signer::with_key(store.signing_key()?.as_bytes());
        let load = Arc::default();
        let site = |platform: &'static str, signer: Signer| Site {
            platform,
            store: store.clone(),
            dialect: String::new(),
            quirks: BTreeMap::new(),
            signer,
            md5: false,
            clock: options.clock,
            token: options.token.clone(),
            address: address.to_owned(),
            prefix: String::new(),
            load: Arc::clone(&load),
        };
        let mut router = Router::new();
        let mut sites = Vec::new();
        for platform in options.served() {
            let site = Arc::new(Site {
                dialect: options.dialect(platform),
                quirks: options.quirks_of(platform),
                md5: platform.md5,
                prefix: options.prefix(platform),
                ..site(platform.name, signer.derive(platform.name))
            });
            let served = routes(platform, &site);
            router = router.nest(&format!("/{}", platform.name), served.clone());
            router = if options.only.is_some() { router.merge(served) } else { router };
            sites.push((platform, site));
        }
        router = router.nest(
            "/local",
            Router::new().route("/{id}", get(download)).with_state(Arc::new(site("local", signer))),
        );
        if options.only.is_none() {
            let names: Vec<_> = sites.iter().map(|(platform, _)| format!("/{}", platform.name)).collect();
            let about =
                format!("haul serve: the Files APIs of AI platforms, offline: {}\n", names.join(", "));
            router = router.route("/", get(|| async move { about }));
            router = router.fallback(|| async { plain_error(StatusCode::NOT_FOUND, "") });
        }
        let router = TowerToHyperService::new(router.layer(DefaultBodyLimit::max(MAX_EXTRACTED)));
        Ok(Self { router, sites, options, faults })
    }

    /// Handles a request. An error closes the connection without a response.
    async fn answer(
        &self,
        closing: Arc<Closing>,
        request: Request<hyper::body::Incoming>,
    ) -> io::Result<Response> {
        let mut entry = Entry::new(
            Arc::clone(&closing),
            self.options.log.clone(),
            self.options.clock,
            request.method(),
            request.uri(),
        );
        let site = self.site_of(request.uri());
        entry.platform = site.map(|(platform, _)| platform.name);
        // Scripts contain the platform's name even if it is served alone.
        let path = match site {
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
        let fault = self.faults.choose(request.method(), &path);
        entry.fault = fault.as_ref().map(|(word, _)| *word);
        let expected = request.headers().contains_key(EXPECT);
        let (received, silence) = (Arc::clone(&entry.received), self.options.silence);
        let request =
            request.map(|body| Body::new(Received::new(Body::new(body), received, expected, silence)));
        let fault = fault.map(|(_, trouble)| trouble);
        let cut =
            if let Some(Trouble::Cut(bytes)) = fault { Some((bytes, Arc::clone(&closing))) } else { None };
        let response = self.respond(&closing, site, fault, request).await?;
        entry.status = Some(response.status().as_u16());
        Ok(response.map(|body| Body::new(Sent::new(body, entry, cut))))
    }

    async fn respond(
        &self,
        closing: &Closing,
        site: Option<&(&'static Platform, Arc<Site>)>,
        fault: Option<Trouble>,
        mut request: Request<Body>,
    ) -> io::Result<Response> {
        let error = |status: StatusCode, message: &str| match site {
            Some((platform, site)) => (platform.error)(site, status, message),
            None => plain_error(status, message),
        };
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
        let answered = AssertUnwindSafe(self.router.call(request)).catch_unwind().await;
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

    /// The platform that a path belongs to.
    fn site_of(&self, uri: &Uri) -> Option<&(&'static Platform, Arc<Site>)> {
        let named = self.sites.iter().find(|(platform, _)| begins_with(uri, platform.name));
        let alone =
            || self.sites.first().filter(|_| self.options.only.is_some() && !begins_with(uri, "local"));
        named.or_else(alone)
    }
}

/// The routes of a platform, including its errors for unknown paths and methods.
fn routes(platform: &'static Platform, site: &Arc<Site>) -> Router {
    let unknown = |status: StatusCode| {
        let site = Arc::clone(site);
        move || {
            let response = (platform.error)(&site, status, "");
            async move { response }
        }
    };
    (platform.routes)(Arc::clone(site))
        .fallback(unknown(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(unknown(StatusCode::METHOD_NOT_ALLOWED))
}

/// Whether the first segment of a path is `name`.
fn begins_with(uri: &Uri, name: &str) -> bool {
    uri.path().trim_start_matches('/').split('/').next() == Some(name)
}

/// An error response in plain text.
fn plain_error(status: StatusCode, message: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let message = if message.is_empty() { reason } else { message };
    (status, format!("{message}\n")).into_response()
}

async fn download(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let (expires, signature) = (params.get("expires"), params.get("signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return plain_error(StatusCode::FORBIDDEN, "the link is not signed");
    };
    if !site.signer.verify_hex(&format!("{id} {expires}"), signature) {
        return plain_error(StatusCode::FORBIDDEN, "invalid link signature");
    }
    if !expires.parse().is_ok_and(|expires: i64| site.clock.now().as_second() < expires) {
        return plain_error(StatusCode::FORBIDDEN, "the link has expired");
    }
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let file = &content.file;
            let octets = || "application/octet-stream".to_owned();
            let how = Sending {
                ranges: true,
                length: true,
                etag: file.checksums.sha256.clone().or_else(|| file.checksums.blake3.clone()),
                content_type: file.content_type.clone().unwrap_or_else(octets),
                headers: vec![
                    // Uploaded content must not be rendered as a page of this host.
                    (CONTENT_DISPOSITION, content_disposition("attachment", &file.name)),
                    (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
                ],
            };
            content.send(&headers, how)
        }
        Err(missing) if missing.kind() == Kind::NotFound => {
            plain_error(StatusCode::NOT_FOUND, "no such file")
        }
        Err(failed) => plain_error(StatusCode::INTERNAL_SERVER_ERROR, failed.message()),
    }
}
