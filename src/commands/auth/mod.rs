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

/// The commands of `haul auth`.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Check a token and keep it in a keyring
    ///
    /// The token is asked for without echo, or read from piped input; never an argument, which every process could
    /// read. It is checked with one small request, then kept in the first keyring of this machine that works.
    Login(login::LoginArgs),
    /// Remove a profile's token from where login put it
    Logout(logout::LogoutArgs),
    /// Show where each profile's token comes from, and whether it is taken
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

    /// The profile in the arguments.
    pub fn profile(&self) -> Option<&str> {
        match self {
            Self::Login(args) => args.profile.as_deref(),
            Self::Logout(args) => args.profile.as_deref(),
            Self::Status(args) => args.profile.as_deref(),
            Self::Token(args) => Some(&args.profile),
        }
    }
}

/// The profile of the command. It is an error if its platform needs no token.
fn profile_with_token(ctx: &Context) -> Result<Profile> {
    let profile = ctx.profile(None)?;
    if needs_none(&profile) {
        return Err(Error::usage(format!("{} needs no token", profile.name))
            .hint("name a profile that does, such as `haul auth login xai`"));
    }
    Ok(profile)
}

fn needs_none(profile: &Profile) -> bool {
    profile.spec.token_variables.is_empty()
}

/// When a backend forgets a token that is used now, to the second; None is never.
fn forgotten_at(ctx: &Context, backend: Backend) -> Option<Timestamp> {
    let end = ctx.clock.now().checked_add(backend.keeps_for()?).ok()?;
    Timestamp::from_second(end.as_second()).ok()
}

/// Checks whether the platform accepts the token, with one small request.
async fn check(ctx: &Context, profile: &Profile, token: Token, retries: u32) -> Result<()> {
    let provider = ctx.open_with(profile, Some(token), retries)?;
    let query = Query { limit: Some(1), page_size: Some(1), ..Query::default() };
    provider.list(&query, None).await.map(drop)
}
