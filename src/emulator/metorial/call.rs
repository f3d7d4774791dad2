//! A request from somebody with a key.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};

use super::dialect::Dialect;
use super::problem::Problem;
use crate::emulator::{Params, Site};
use crate::error::Result as Stored;
use crate::store::Store;

/// A request whose key has been checked.
pub(super) struct Call {
    pub(super) site: Arc<Site>,
    pub(super) dialect: Dialect,
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    pub(super) key: Key,
    /// Whether it names an instance, in its path or in a header.
    pub(super) has_instance: bool,
    ids: HashMap<String, String>,
}

/// Whose key it is, told by its prefix; any other word counts as an instance's secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Instance,
    User,
    Organization,
}

impl Call {
    /// An id of the path: `file` or `link`.
    pub(super) fn id(&self, name: &str) -> String {
        self.ids.get(name).cloned().unwrap_or_default()
    }

    /// Refuses the request in the dialects that do not have its endpoint.
    pub(super) fn only_in(&self, dialects: &[Dialect]) -> Result<(), Problem> {
        if dialects.contains(&self.dialect) { Ok(()) } else { Err(Problem::endpoint()) }
    }

    /// Refuses a key of more than one instance that does not say which it means.
    pub(super) fn need_instance(&self) -> Result<(), Problem> {
        if self.key == Key::Instance || self.has_instance {
            return Ok(());
        }
        Err(Problem::bad_request("this key needs an instance: send `metorial-instance-id`"))
    }

    /// Does something with the store.
    pub(super) async fn store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Stored<T> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.site.blocking(work).await?)
    }
}

impl FromRequestParts<Arc<Site>> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        let params = params(&parts.uri);
        let dialect = Dialect::asked(site, &parts.headers, &params)?;
        let key = key(site, &parts.headers, &params)?;
        let ids = ids(parts, site).await?;
        let has_instance = ids.contains_key("instance") || parts.headers.contains_key("metorial-instance-id");
        let headers = parts.headers.clone();
        Ok(Self { site: Arc::clone(site), dialect, params, headers, key, has_instance, ids })
    }
}

/// A URL's parameters.
pub(super) fn params(uri: &Uri) -> Params {
    Params::parse(uri.query().unwrap_or_default())
}

/// The ids in a URL's path.
async fn ids(parts: &mut Parts, site: &Arc<Site>) -> Result<HashMap<String, String>, Problem> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, site).await;
    path.map(|Path(ids)| ids).map_err(|_| Problem::bad_request("the path is not UTF-8"))
}

/// Checks the key: in `Authorization` (two words, the first exactly `Bearer`), else in `token` or `key`.
fn key(site: &Site, headers: &HeaderMap, params: &Params) -> Result<Key, Problem> {
    let key = match headers.get(AUTHORIZATION) {
        Some(header) => {
            let words: Vec<_> = header.to_str().unwrap_or_default().split(' ').collect();
            match words[..] {
                ["Bearer", key] if !key.is_empty() => key,
                _ => return Err(Problem::unauthorized("the Authorization header is malformed")),
            }
        }
        None => match params.get("token").or_else(|| params.get("key")).filter(|key| !key.is_empty()) {
            Some(key) => key,
            None => return Err(Problem::unauthorized("there is no API key")),
        },
    };
    if !site.accepts(key) {
        return Err(Problem::unauthorized("the API key is not known"));
    }
    match key.get(..12) {
        Some("metorial_pk_") => Err(Problem::forbidden("publishable keys have no access to files")),
        Some("metorial_uk_") => Ok(Key::User),
        Some("metorial_lk_") => Ok(Key::Organization),
        _ => Ok(Key::Instance),
    }
}
