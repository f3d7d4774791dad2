//! The served platforms of each space, with their routes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::get;
use hyper_util::service::TowerToHyperService;

use super::site::Load;
use super::tokens::Accepted;
use super::{Gate, Options, Platform, Signer, Site, Space, local};
use crate::error::Result;
use crate::store::Store;

/// Maximum size of bodies read by axum's own extractors, in bytes. The largest JSON body in a contract contains 50
/// MiB as base64.
const MAX_EXTRACTED: usize = 80 * 1024 * 1024;

/// A platform with one space.
pub(super) struct Served {
    pub(super) site: Arc<Site>,
    pub(super) router: TowerToHyperService<Router>,
}

/// The platforms of all spaces, which are created by the first request to them.
pub(super) struct Tenants {
    store: Store,
    options: Options,
    signer: Signer,
    address: String,
    load: Arc<Load>,
    /// The routes that belong to no platform.
    root: TowerToHyperService<Router>,
    served: Mutex<HashMap<Key, Arc<Served>>>,
}

/// The space, if the server has several and the request selects one of them, and the name of the platform.
type Key = (Option<Arc<str>>, &'static str);

impl Tenants {
    /// Blocks because it reads the signing key from the store.
    pub(super) fn new(store: Store, address: String, options: Options) -> Result<Self> {
        let signer = Signer::with_key(store.signing_key()?.as_bytes());
        let load = Arc::new(Load::new(store.parallel(), options.warn.clone()));
        let mut this = Self {
            store,
            options,
            signer,
            address,
            load,
            root: TowerToHyperService::new(Router::new()),
            served: Mutex::default(),
        };
        let site = Arc::new(this.site("local", None, this.signer.clone()));
        let links = Router::new().route("/{id}", get(local::download)).with_state(site);
        let mut root = Router::new().nest("/local", links);
        if this.options.only.is_none() {
            let names: Vec<_> = this.options.served().map(|platform| format!("/{}", platform.name)).collect();
            let about =
                format!("haul serve: the Files APIs of AI platforms, offline: {}\n", names.join(", "));
            root = root.route("/", get(|| async move { about }));
            root = root.fallback(|| async { local::plain_error(StatusCode::NOT_FOUND, "") });
        }
        this.root = TowerToHyperService::new(root);
        Ok(this)
    }

    /// The routes that belong to no platform.
    pub(super) fn root(&self) -> &TowerToHyperService<Router> {
        &self.root
    }

    /// A platform with this space, which must have a token. Without a space, the platform has the only space of the
    /// server or, if the server has several, accepts no token.
    pub(super) fn of(&self, space: Option<Arc<str>>, platform: &'static Platform) -> Arc<Served> {
        let key = (space, platform.name);
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = served.get(&key) {
            return Arc::clone(known);
        }
        if let Some(tokens) = &self.options.tokens {
            served.retain(|(space, _), _| space.as_ref().is_none_or(|name| tokens.space(name).is_some()));
        }
        let new = Arc::new(self.serve(key.0.as_ref(), platform));
        served.insert(key, Arc::clone(&new));
        new
    }

    fn serve(&self, space: Option<&Arc<str>>, platform: &'static Platform) -> Served {
        // A link for one space must not be valid in another one.
        let signer = space
            .map_or_else(|| self.signer.clone(), |space| self.signer.derive(&format!("space {space}")))
            .derive(platform.name);
        let site = self.site(platform.name, space, signer);
        let site = Arc::new(Site {
            gate: platform.gate,
            dialect: self.options.dialect(platform),
            quirks: self.options.quirks_of(platform),
            md5: platform.md5,
            prefix: format!("{}{}", site.prefix, self.options.prefix(platform)),
            ..site
        });
        let own = routes(platform, &site);
        let router = Router::new().nest(&format!("/{}", platform.name), own.clone());
        let router = if self.options.only.is_some() { router.merge(own) } else { router };
        let router = TowerToHyperService::new(router.layer(DefaultBodyLimit::max(MAX_EXTRACTED)));
        Served { site, router }
    }

    fn site(&self, name: &'static str, space: Option<&Arc<str>>, signer: Signer) -> Site {
        let accepted = match (&self.options.tokens, &self.options.token) {
            (Some(tokens), _) => Accepted::Of(tokens.clone(), space.cloned()),
            (None, Some(token)) => Accepted::One(token.clone()),
            (None, None) => Accepted::Any,
        };
        let in_store = space.map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
        Site {
            platform: name,
            space: Space::new(self.store.clone(), &in_store),
            gate: Gate::BEARER,
            dialect: String::new(),
            quirks: BTreeMap::new(),
            signer,
            md5: false,
            clock: self.options.clock,
            accepted,
            address: self.address.clone(),
            prefix: space.map_or_else(String::new, |space| format!("/~{space}")),
            load: Arc::clone(&self.load),
        }
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

/// The space that a path such as `/~SPACE/xai/v1/files` starts with, and the URI without it.
pub(super) fn split_space(uri: &Uri) -> Option<(String, Uri)> {
    let rest = uri.path().strip_prefix("/~")?;
    let (space, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{rest}{query}")).ok()?);
    Some((space.to_owned(), Uri::from_parts(parts).ok()?))
}

/// Whether a request may change something. `path` starts with the platform's name.
pub(super) fn may_change(platform: &Platform, method: &Method, path: &str) -> bool {
    let path = path.trim_start_matches('/').strip_prefix(platform.name).unwrap_or_default();
    let matches = |pattern: &&str| {
        let mut pattern = pattern.split('/');
        let mut segments = path.split('/');
        loop {
            match (pattern.next(), segments.next()) {
                (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (expected, found) if expected == found => {}
                _ => return false,
            }
        }
    };
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => false,
        Method::POST => !platform.reads.iter().any(matches),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::PLATFORMS;

    #[test]
    fn the_space_is_the_first_segment_after_a_tilde() {
        let split = |uri: &str| {
            let (space, rest) = split_space(&uri.parse().unwrap())?;
            Some((space, rest.to_string()))
        };
        let found = |space: &str, rest: &str| Some((space.to_owned(), rest.to_owned()));
        assert_eq!(split("/~red/xai/v1/files?a=~b"), found("red", "/xai/v1/files?a=~b"));
        assert_eq!(split("/~red"), found("red", "/"));
        assert_eq!(split("/~/x"), found("", "/x"));
        assert_eq!(split("http://host/~red/x"), found("red", "http://host/x"));
        assert_eq!(split("/xai/~red"), None);
    }

    #[test]
    fn only_known_posts_change_nothing() {
        let platform = |name: &str| PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let changes = |method: &str, path: &str| {
            let name = path.trim_start_matches('/').split('/').next().unwrap();
            may_change(platform(name), &method.parse().unwrap(), path)
        };
        for (method, path) in [
            ("GET", "/xai/v1/files"),
            ("HEAD", "/xai/v1/files"),
            ("POST", "xai/v1/files/file_1/public-url"),
            ("POST", "/xai/v1/files:download"),
            ("POST", "/llamacloud/api/v1/beta/files/query"),
            ("POST", "/metorial/instances/i/files/f/links"),
        ] {
            assert!(!changes(method, path), "{method} {path}");
        }
        for (method, path) in [
            ("POST", "/xai/v1/files"),
            ("POST", "/xai/v1/files/file_1/public-url/revoke"),
            ("DELETE", "/xai/v1/files/file_1/public-url"),
            ("PUT", "/llamacloud/api/v1/beta/files/query"),
            ("PATCH", "/metorial/files/f/links/l"),
            ("POST", "/metorial/files"),
        ] {
            assert!(changes(method, path), "{method} {path}");
        }
    }
}
