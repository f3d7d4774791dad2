//! `haul auth`

pub(super) mod login;
pub(super) mod logout;
pub(super) mod status;
pub(super) mod token;

use clap::Subcommand;
use jiff::Timestamp;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::providers::Query;
use crate::settings::Profile;
use crate::vault::{Backend, Token};

/// The subcommands of `haul auth`.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Check a token and store it in a keyring
    ///
    /// The token is read from a no-echo prompt or from piped input. It is never an argument, because other processes
    /// can read arguments. haul checks it with one small request and stores it in the first keyring that works.
    Login(login::LoginArgs),
    /// Remove a profile's stored token
    Logout(logout::LogoutArgs),
    /// Show the source of each profile's token, and whether the platform accepts it
    Status(status::StatusArgs),
    /// Print a profile's token, for scripts
    Token(token::TokenArgs),
}

impl AuthCommand {
    /// Runs the command.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        match self {
            Self::Login(args) => args.run(ctx).await,
            Self::Logout(_) => logout::LogoutArgs::run(ctx),
            Self::Status(args) => args.run(ctx).await,
            Self::Token(_) => token::TokenArgs::run(ctx),
        }
    }

    /// The profile named in the arguments.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Login(args) => args.profile.as_deref(),
            Self::Logout(args) => args.profile.as_deref(),
            Self::Status(args) => args.profile.as_deref(),
            Self::Token(args) => Some(&args.profile),
        }
    }
}

/// The command's profile. It is an error if its platform does not need a token.
fn profile_with_token(ctx: &Context) -> Result<Profile> {
    let profile = ctx.profile(None)?;
    if needs_none(&profile) {
        return Err(Error::usage(format!("{} does not use a token", profile.name))
            .hint("to log in to another profile: `haul auth login xai`"));
    }
    Ok(profile)
}

fn needs_none(profile: &Profile) -> bool {
    profile.spec.token_variables.is_empty()
}

/// When the backend deletes the token if it is not used again, in whole seconds; `None` if it keeps the token.
fn forgotten_at(ctx: &Context, backend: Backend) -> Option<Timestamp> {
    let end = ctx.clock.now().checked_add(backend.keeps_for()?).ok()?;
    Timestamp::from_second(end.as_second()).ok()
}

/// Checks with one small request whether the platform accepts the token.
async fn check(ctx: &Context, profile: &Profile, token: Token, retries: u32) -> Result<()> {
    let provider = ctx.open_with(profile, Some(token), retries)?;
    let query = Query { limit: Some(1), page_size: Some(1), ..Query::default() };
    provider.list(&query, None).await.map(drop)
}
