//! The three dialects and what they accept.

use axum::http::HeaderMap;

use super::problem::Problem;
use crate::emulator::{Params, Site};

/// A wire dialect, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The seed page's.
    Seed,
    /// `mt_2025_01_01_pulsar`.
    Pulsar,
    /// `mt_2026_01_01_magnetar`.
    Magnetar,
}

/// Purposes of the latest dialect.
const PURPOSES: [&str; 7] = [
    "user_image",
    "organization_image",
    "project_brand_image",
    "skill_image",
    "skill_export",
    "generic",
    "chat_message_attachment",
];

impl Dialect {
    /// The dialect served to those who name none.
    pub(super) fn of(site: &Site) -> Self {
        match site.dialect.as_str() {
            "pulsar" => Self::Pulsar,
            "magnetar" => Self::Magnetar,
            _ => Self::Seed,
        }
    }

    /// The dialect of a request: the version in its `Metorial-Version` header or `api-version` parameter. A version that
    /// nobody knows counts for none; the dashboard's is known, but not for API keys.
    pub(super) fn asked(site: &Site, headers: &HeaderMap, params: &Params) -> Result<Self, Problem> {
        let header = headers.get("metorial-version").and_then(|value| value.to_str().ok());
        match header.or_else(|| params.get("api-version")) {
            Some("2025-01-01-pulsar" | "mt_2025_01_01_pulsar" | "2025-01-01") => Ok(Self::Pulsar),
            Some("2026-01-01-magnetar" | "mt_2026_01_01_magnetar" | "2026-01-01") => Ok(Self::Magnetar),
            Some("2025-01-01-dashboard" | "mt_2025_01_01_dashboard") => Err(Problem::version()),
            _ => Ok(Self::of(site)),
        }
    }

    /// How replies name the version; the seed had none.
    pub(super) fn shown(self) -> Option<&'static str> {
        match self {
            Self::Seed => None,
            Self::Pulsar => Some("2025-01-01"),
            Self::Magnetar => Some("2026-01-01"),
        }
    }

    /// The purposes it knows. The seed shows `attachment` alone and calls the list open.
    pub(super) fn purposes(self) -> Vec<&'static str> {
        match self {
            Self::Seed => ["attachment"].into_iter().chain(PURPOSES).collect(),
            Self::Pulsar => PURPOSES[..2].to_vec(),
            Self::Magnetar => PURPOSES.to_vec(),
        }
    }

    /// The key under which an object says what it is, in lists and errors.
    pub(super) fn kind_key(self) -> &'static str {
        if self == Self::Pulsar { "__typename" } else { "object" }
    }
}
