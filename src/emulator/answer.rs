//! One request from its head to the end of its answer: routing, faults, the log.

use std::collections::BTreeMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CONNECTION, EXPECT, RANGE};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, http::Uri};
use futures_util::{FutureExt, StreamExt};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::faults::{self, Faults, Trouble};
use super::log::Entry;
use super::wire::{Ending, Received, Sent};
use super::{Options, Platform, Signer, Site, local};
use crate::error::Result;
use crate::store::Store;

/// What a handler's own extractor may hold in memory: the largest JSON of a contract is 50 MiB in base64.
const MAX_EXTRACTED: usize = 80 * 1024 * 1024;

/// All that is served.
pub(super) struct App {
    router: TowerToHyperService<Router>,
    sites: Vec<(&'static Platform, Arc<Site>)>,
    options: Options,
    faults: Faults,
}

impl App {
    /// Builds the sites and their routes. Blocking: it asks the store for its signing key.
    pub(super) fn new(store: &Store, address: &str, options: Options, faults: Faults) -> Result<Self> {
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
        router = router.nest("/local", local::routes(Arc::new(site("local", signer))));
        if options.only.is_none() {
            let names: Vec<_> = sites.iter().map(|(platform, _)| format!("/{}", platform.name)).collect();
            let about =
                format!("haul serve: the Files APIs of AI platforms, offline: {}\n", names.join(", "));
            router = router.route("/", get(|| async move { about }));
            router = router.fallback(|| async { local::error(StatusCode::NOT_FOUND, "") });
        }
        let router = TowerToHyperService::new(router.layer(DefaultBodyLimit::max(MAX_EXTRACTED)));
        Ok(Self { router, sites, options, faults })
    }

    /// Answers a request; an error closes the connection without an answer.
    pub(super) async fn answer(
        &self,
        ending: Arc<Ending>,
        request: Request<hyper::body::Incoming>,
    ) -> io::Result<Response> {
        let mut entry =
            Entry::new(self.options.log.clone(), self.options.clock, request.method(), request.uri());
        let site = self.site_of(request.uri());
        entry.platform = site.map(|(platform, _)| platform.name);
        // What is served alone is scripted by the same paths as beside others.
        let path = match site {
            Some((platform, _)) if !begins_with(request.uri(), platform.name) => {
                format!("{}{}", platform.name, request.uri().path())
            }
            _ => request.uri().path().to_owned(),
        };
        let fault = self.faults.choose(request.method(), &path);
        entry.fault = fault.as_ref().map(|(word, _)| *word);
        let drain = !request.headers().contains_key(EXPECT);
        let received = Arc::clone(&entry.received);
        let request = request.map(|body| Body::new(Received::new(Body::new(body), received, drain)));
        let fault = fault.map(|(_, trouble)| trouble);
        let cut =
            if let Some(Trouble::Cut(bytes)) = fault { Some((bytes, Arc::clone(&ending))) } else { None };
        let response = self.respond(&ending, site, fault, request).await?;
        entry.status = Some(response.status().as_u16());
        Ok(response.map(|body| Body::new(Sent::new(body, entry, cut))))
    }

    async fn respond(
        &self,
        ending: &Ending,
        site: Option<&(&'static Platform, Arc<Site>)>,
        fault: Option<Trouble>,
        mut request: Request<Body>,
    ) -> io::Result<Response> {
        let error = |status: StatusCode, message: &str| match site {
            Some((platform, site)) => (platform.error)(site, status, message),
            None => local::error(status, message),
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
                ending.reset();
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
            Err(_panic) => error(StatusCode::INTERNAL_SERVER_ERROR, "the emulator broke off"),
        };
        match fault {
            Some(Trouble::Lose) => Err(io::ErrorKind::ConnectionAborted.into()),
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

/// A platform's routes, with its words for unknown paths and methods.
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

/// Whether a path's first part is `name`.
fn begins_with(uri: &Uri, name: &str) -> bool {
    uri.path().trim_start_matches('/').split('/').next() == Some(name)
}
