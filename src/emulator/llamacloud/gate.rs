//! What every request passes first: the key, the scope, and for uploads the rate.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use uuid::Uuid;

use super::refusal::{Problem, Refusal};
use crate::emulator::{Params, RateLimiter, Site, TokenCheck};

/// The project of a key, where the quirk `projects` names none.
const PROJECT: &str = "00000000-0000-4000-8000-000000000001";
/// The one organization.
const ORGANIZATION: &str = "00000000-0000-4000-8000-000000000002";
/// What the service publishes for uploads to a project.
const UPLOADS: (u32, u64) = (50, 5);

/// The served platform and what it remembers while it runs.
pub(super) struct Service {
    pub(super) site: Arc<Site>,
    /// The projects, the default one first.
    projects: Vec<String>,
    /// One limiter a project; none where the rate is not limited.
    limiters: HashMap<String, RateLimiter>,
    /// How many presigned URLs are yet to be made stale.
    stale: AtomicU64,
}

/// Who asks, and for what project.
pub(super) struct Caller {
    /// The project's id.
    pub(super) project: String,
    /// The root of URLs in the answer.
    pub(super) root: String,
}

impl Service {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let named = site.quirk_value("projects").unwrap_or(PROJECT);
        let projects: Vec<_> = named.split(',').map(|id| id.trim().to_ascii_lowercase()).collect();
        let limiters = match site.quirk_value("rate-limit") {
            Some(rate) => {
                let (count, seconds) = parse_rate(rate).unwrap_or(UPLOADS);
                let limiter = || RateLimiter::new(count, Duration::from_secs(seconds));
                projects.iter().map(|project| (project.clone(), limiter())).collect()
            }
            None => HashMap::new(),
        };
        let stale = site.quirk_value("stale-links").and_then(|count| count.parse().ok()).unwrap_or_default();
        Self { site, projects, limiters, stale: AtomicU64::new(stale) }
    }

    /// Counts an upload to a project.
    pub(super) fn count_upload(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(rate) = self.limiters.get(&caller.project).map(RateLimiter::take) else { return Ok(()) };
        if rate.allowed {
            return Ok(());
        }
        Err(Refusal::TooMany((!self.site.quirk("no-retry-after")).then(|| rate.retry_after())))
    }

    /// Whether the presigned URL that is being made is to be stale.
    pub(super) fn next_link_is_stale(&self) -> bool {
        let left = |left: u64| left.checked_sub(1);
        self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// The project that is asked for, or the default one. Another organization's or project's is forbidden.
    fn project(&self, params: &Params) -> Result<String, Refusal> {
        let given = |name| params.get(name).map(|id| uuid(&["query", name], id)).transpose();
        let forbidden = |what: &str| {
            let detail = format!("You do not have access to this {what}");
            Err(Refusal::Detail(StatusCode::FORBIDDEN, detail))
        };
        let (project, organization) = (given("project_id")?, given("organization_id")?);
        if organization.is_some_and(|id| id != ORGANIZATION) {
            return forbidden("organization");
        }
        match project {
            Some(id) if !self.projects.contains(&id) => forbidden("project"),
            Some(id) => Ok(id),
            None => Ok(self.projects.first().cloned().unwrap_or_default()),
        }
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Refusal> {
        let detail = match service.site.check_token(&parts.headers, &["Bearer"]) {
            TokenCheck::Accepted => {
                let params = Params::parse(parts.uri.query().unwrap_or_default());
                let project = service.project(&params)?;
                return Ok(Self { project, root: service.site.root(&parts.headers) });
            }
            TokenCheck::Missing => "Not authenticated",
            TokenCheck::Wrong => "Invalid authentication token",
        };
        Err(Refusal::Detail(StatusCode::UNAUTHORIZED, detail.to_owned()))
    }
}

/// A UUID in any of its forms, in the usual one.
pub(super) fn uuid(loc: &[&str], text: &str) -> Result<String, Problem> {
    let id = Uuid::parse_str(text).map_err(|error| {
        Problem::new(loc, "uuid_parsing", format!("Input should be a valid UUID, {error}"))
    })?;
    Ok(id.to_string())
}

/// `50/5`.
fn parse_rate(text: &str) -> Option<(u32, u64)> {
    let (count, seconds) = text.split_once('/')?;
    Some((count.trim().parse().ok()?, seconds.trim().parse().ok()?))
}
