//! `haul auth token`

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::profile_with_token;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::settings::Profile;
use crate::ui::Columns;
use crate::vault;

pub(in crate::commands) const COLUMNS: Columns =
    Columns { all: &["profile", "provider", "source", "token"], shown: &["token"], piped: None };

/// A profile's token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "token")]
pub(in crate::commands) struct Row<'a> {
    /// The profile.
    profile: &'a str,
    /// The profile's platform.
    provider: &'static str,
    /// Where the token comes from.
    source: String,
    /// The token itself.
    token: &'a str,
}

/// The arguments of `haul auth token`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    export XAI_API_KEY=\"$(haul auth token xai)\"\n  \
    curl -H \"Authorization: Bearer $(haul auth token xai)\" https://api.x.ai/v1/models")]
pub struct TokenArgs {
    /// Profile that the token belongs to
    #[arg(id = "named", value_name = "PROFILE")]
    pub(super) profile: String,
}

impl TokenArgs {
    /// Prints the token.
    pub fn run(ctx: &Context) -> Result<()> {
        let profile = profile_with_token(ctx)?;
        let Some(token) = ctx.token(&profile)? else { return Err(missing(&profile)) };
        if !ctx.ui.is_json() {
            return ctx.ui.write_text(&format!("{}\n", token.secret.expose()));
        }
        let mut rows = ctx.ui.rows(COLUMNS)?;
        rows.push(&Row {
            profile: &profile.name,
            provider: profile.spec.name,
            source: token.source.to_string(),
            token: token.secret.expose(),
        })?;
        rows.finish()
    }
}

/// The error for a profile without a token.
pub(super) fn missing(profile: &Profile) -> Error {
    let error = Error::new(Kind::Auth, format!("{}: no token", profile.name));
    vault::hints(profile, None).into_iter().fold(error, Error::hint)
}
