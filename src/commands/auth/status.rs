//! `haul auth status`

use std::collections::HashMap;

use clap::Args;
use futures_util::future::join_all;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{check, forgotten_at, needs_none};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::settings::Profile;
use crate::ui::Columns;
use crate::vault::{self, Source, Token};

pub(in crate::commands) const COLUMNS: Columns = Columns {
    all: &["profile", "provider", "base_url", "source", "token", "status", "message", "expires_at"],
    shown: &["profile", "provider", "source", "token", "status", "expires_at"],
    piped: None,
};

/// The arguments of `haul auth status`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul auth status\n  \
    haul auth status xai --json\n  \
    haul auth status --offline")]
pub struct StatusArgs {
    /// Only this profile; fails if its token is missing or rejected
    #[arg(id = "named", value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// Do not check the tokens with the platforms
    #[arg(long)]
    offline: bool,
}

/// The token of a profile and its status.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "token_status")]
pub(in crate::commands) struct Row {
    /// The profile.
    profile: String,
    /// The profile's platform.
    provider: &'static str,
    /// The base URL; null if no network is used.
    base_url: Option<String>,
    /// Where the token comes from.
    source: Option<String>,
    /// The token, redacted.
    token: Option<String>,
    /// `ok`, `refused`, `no token`, `not needed`, `not checked`, `unavailable`, `unreachable` or `failed`.
    status: &'static str,
    /// The reason for a status other than `ok`.
    message: Option<String>,
    /// When the token expires unless it is used before then.
    expires_at: Option<Timestamp>,
}

/// A profile and its token.
struct Found {
    profile: Profile,
    source: Option<Source>,
    token: Result<Option<Token>>,
}

impl StatusArgs {
    /// Prints the status of each token.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let mut rows = ctx.ui.rows(COLUMNS)?;
        let named = ctx.settings.flags.profile.is_some();
        let profiles = if named { vec![ctx.profile(None)?] } else { profiles(ctx) };
        let found = find_tokens(ctx, profiles);
        let answers = join_all(found.iter().map(|found| self.ask(ctx, found))).await;
        let mut outcome = Ok(());
        for (found, answer) in found.into_iter().zip(answers) {
            if let Err(error) = &answer
                && named
            {
                outcome = Err(error.clone());
            }
            rows.push(&self.row(ctx, found, answer.err()))?;
        }
        rows.finish()?;
        outcome
    }

    async fn ask(&self, ctx: &Context, found: &Found) -> Result<()> {
        match &found.token {
            _ if needs_none(&found.profile) => Ok(()),
            Err(error) => Err(error.clone()),
            Ok(None) => Err(super::token::missing(&found.profile)),
            Ok(Some(_)) if self.offline => Ok(()),
            // A temporary failure is also a status.
            Ok(Some(token)) => check(ctx, &found.profile, token.clone(), 0).await,
        }
    }

    fn row(&self, ctx: &Context, found: Found, error: Option<Error>) -> Row {
        let Found { profile, source, token } = found;
        let status = match (&token, &error) {
            _ if needs_none(&profile) => "not needed",
            (Err(_), _) => "unavailable",
            (Ok(None), _) => "no token",
            (Ok(Some(_)), None) => {
                if self.offline {
                    "not checked"
                } else {
                    "ok"
                }
            }
            (Ok(Some(_)), Some(error)) => match error.kind() {
                Kind::Auth => "refused",
                Kind::Unreachable => "unreachable",
                _ => "failed",
            },
        };
        let expires_at = match &source {
            Some(Source::Backend(backend)) if matches!(token, Ok(Some(_))) => forgotten_at(ctx, *backend),
            _ => None,
        };
        Row {
            base_url: (!profile.spec.base_url.is_empty()).then(|| profile.base_url.value.to_string()),
            provider: profile.spec.name,
            source: source.map(|source| source.to_string()),
            token: token.ok().flatten().map(|token| token.secret.redacted()),
            status,
            message: error.filter(|_| status != "no token").map(|error| error.to_string()),
            expires_at,
            profile: profile.name,
        }
    }
}

/// All profiles. Invalid ones are skipped with a warning.
fn profiles(ctx: &Context) -> Vec<Profile> {
    let resolve = |name: String| match ctx.settings.profile(&name) {
        Ok(profile) => Some(profile),
        Err(error) => {
            ctx.ui.warn(&error.to_string());
            None
        }
    };
    ctx.settings.profile_names().into_iter().filter_map(resolve).collect()
}

/// Finds the tokens. A keyring that failed is not tried again.
fn find_tokens(ctx: &Context, profiles: Vec<Profile>) -> Vec<Found> {
    let mut broken: HashMap<&'static str, Error> = HashMap::new();
    let mut find = |profile: Profile| {
        let source = match vault::source(&ctx.settings, &profile) {
            Ok(source) => source,
            Err(error) => return Found { profile, source: None, token: Err(error) },
        };
        let keyring = match &source {
            Some(Source::Backend(backend)) => Some(backend.word()),
            _ => None,
        };
        if let Some(error) = keyring.and_then(|word| broken.get(word)) {
            return Found { profile, source, token: Err(error.clone()) };
        }
        let token = ctx.token(&profile);
        if let (Err(error), Some(word)) = (&token, keyring)
            && error.message().ends_with("cannot be used")
        {
            broken.insert(word, error.clone());
        }
        Found { profile, source, token }
    };
    profiles.into_iter().map(&mut find).collect()
}
