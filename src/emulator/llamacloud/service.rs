//! The running service, and a request to its API with its key, scope and upload rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{FromRequestParts, Path};
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::{Denied, Params, RateLimiter, Site};

/// The project of every key if the `projects` quirk is off.
const PROJECT: &str = "00000000-0000-4000-8000-000000000001";
/// The organization of the projects if the `organizations` quirk is off.
const ORGANIZATION: &str = "00000000-0000-4000-8000-000000000002";
/// The service's rate limit per project: a number of uploads, and a time in seconds.
const UPLOAD_RATE: (u32, u64) = (50, 5);

/// The served platform and its state.
pub(super) struct Service {
    pub(super) site: Arc<Site>,
    /// The projects, starting with the default project.
    projects: Vec<String>,
    /// The existing organizations; `None` accepts any organization.
    organizations: Option<Vec<String>>,
    /// The rate limiters, by project; empty if there is no limit.
    limiters: HashMap<String, RateLimiter>,
    /// Number of further presigned URLs to issue as already expired.
    stale: AtomicU64,
}

impl Service {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let projects = site.quirk_value("projects").unwrap_or(PROJECT);
        let projects: Vec<_> = projects.split(',').map(|id| id.trim().to_ascii_lowercase()).collect();
        let organizations = site
            .quirk_value("organizations")
            .map(|list| list.split(',').map(|id| id.trim().to_ascii_lowercase()).collect());
        let rate = site.quirk_value("rate-limit").map(|rate| parse_rate(rate).unwrap_or(UPLOAD_RATE));
        let limiters = projects.iter().filter_map(|project| {
            let (count, seconds) = rate?;
            Some((project.clone(), RateLimiter::new(count, Duration::from_secs(seconds))))
        });
        let limiters = limiters.collect();
        let stale = site.quirk_number("stale-links").unwrap_or_default();
        Self { site, projects, organizations, limiters, stale: AtomicU64::new(stale) }
    }

    /// Counts the next presigned URL and returns whether it has already expired.
    pub(super) fn next_link_is_stale(&self) -> bool {
        let next = |left: u64| left.checked_sub(1);
        self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// The projects as API objects.
    pub(super) fn project_objects(&self) -> Vec<Value> {
        let organization = self.organizations.as_ref().and_then(|known| known.first());
        let organization = organization.map_or(ORGANIZATION, String::as_str);
        let object = |(place, id): (usize, &String)| {
            let name = if place == 0 { "Default".to_owned() } else { format!("Project {}", place + 1) };
            json!({ "id": id, "name": name, "organization_id": organization, "is_default": place == 0 })
        };
        self.projects.iter().enumerate().map(object).collect()
    }

    /// The requested project, or the default project. Access to other organizations and projects is forbidden.
    fn project(&self, params: &Params) -> Result<String, Refusal> {
        let given = |name| params.get(name).map(|id| parse_uuid(&["query", name], id)).transpose();
        let forbidden = |what: &str| {
            let detail = format!("You do not have access to this {what}");
            Err(Refusal::Detail(StatusCode::FORBIDDEN, detail))
        };
        let (project, organization) = (given("project_id")?, given("organization_id")?);
        let is_known = |id: &String| self.organizations.as_ref().is_none_or(|known| known.contains(id));
        if organization.is_some_and(|id| !is_known(&id)) {
            return forbidden("organization");
        }
        match project {
            Some(id) if !self.projects.contains(&id) => forbidden("project"),
            Some(id) => Ok(id),
            None => Ok(self.projects.first().cloned().unwrap_or_default()),
        }
    }
}

/// Parses a rate such as `50/5`.
fn parse_rate(text: &str) -> Option<(u32, u64)> {
    let (count, seconds) = text.split_once('/')?;
    Some((count.trim().parse().ok()?, seconds.trim().parse().ok()?))
}

/// A request whose key and scope have been checked.
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    pub(super) project: String,
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    /// The id in the path; `None` if it is not UTF-8.
    pub(super) id: Option<String>,
}

impl Call {
    /// Counts an upload toward the project's rate limit.
    pub(super) fn count_upload(&self) -> Result<(), Refusal> {
        let Some(limiter) = self.service.limiters.get(&self.project) else { return Ok(()) };
        let rate = limiter.take();
        if rate.allowed {
            return Ok(());
        }
        let refusal = Refusal::Detail(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded".to_owned());
        let mut response = refusal.into_response();
        if !self.service.site.quirk("no-retry-after") {
            response.headers_mut().insert(RETRY_AFTER, rate.retry_after().into());
        }
        Err(Refusal::other(response))
    }
}

impl FromRequestParts<Arc<Service>> for Call {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        service.site.check(&parts.headers, &parts.uri).map_err(|denied| {
            let is_wrong = matches!(denied, Denied::Wrong(_));
            let detail = if is_wrong { "Invalid authentication token" } else { "Not authenticated" };
            Refusal::new(StatusCode::UNAUTHORIZED, detail)
        })?;
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        let project = service.project(&params)?;
        let id = Path::<String>::from_request_parts(parts, service).await.ok().map(|Path(id)| id);
        Ok(Self { service: Arc::clone(service), project, params, headers: parts.headers.clone(), id })
    }
}

/// Parses a UUID in any format and returns it in the canonical format.
pub(super) fn parse_uuid(loc: &[&str], text: &str) -> Result<String, Problem> {
    let id = Uuid::parse_str(text).map_err(|error| {
        Problem::new(loc, "uuid_parsing", format!("Input should be a valid UUID, {error}"))
    })?;
    Ok(id.to_string())
}
