//! `haul auth logout`

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::profile_with_token;
use crate::context::Context;
use crate::error::Result;
use crate::ui::Columns;
use crate::vault;

const FIELDS: &[&str] = &["profile", "provider", "removed_from", "removed"];
pub(in crate::commands) const COLUMNS: Columns = Columns { all: FIELDS, shown: FIELDS, piped: None };

/// The arguments of `haul auth logout`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  haul auth logout xai\n  haul -p work auth logout")]
pub struct LogoutArgs {
    /// Profile that the token belongs to
    #[arg(id = "named", value_name = "PROFILE")]
    pub(super) profile: Option<String>,
}

/// A removed token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "logout")]
pub(in crate::commands) struct Row<'a> {
    /// The profile.
    profile: &'a str,
    /// The profile's platform.
    provider: &'static str,
    /// Where the token was stored.
    removed_from: &'static str,
    /// False if the token had already been removed.
    removed: bool,
}

impl LogoutArgs {
    /// Removes the token.
    pub fn run(ctx: &Context) -> Result<()> {
        let mut profile = profile_with_token(ctx)?;
        let name = profile.name.clone();
        let mut rows = ctx.ui.rows(COLUMNS)?;
        if let Some(backend) = vault::recorded(&ctx.settings, &profile)? {
            let removed = ctx
                .with_timeout(|timeout| vault::remove(&ctx.settings, &name, backend, timeout))
                .map_err(|error| {
                let place = ctx.settings.file.origin(&["profiles", &name, "token_store"]);
                error.hint(format!("to stop using that store, remove `token_store` at {place}"))
            })?;
            ctx.settings.edit(|file| file.set_token_store(&name, None))?;
            profile.file.token_store = None;
            rows.push(&Row {
                profile: &name,
                provider: profile.spec.name,
                removed_from: backend.word(),
                removed,
            })?;
        } else {
            ctx.ui.note(&format!("{name}: no token is stored on this machine"));
        }
        if let Some(source) = vault::source(&ctx.settings, &profile)? {
            ctx.ui.warn(&format!("{name} still has a token from {source}"));
        }
        rows.finish()
    }
}
