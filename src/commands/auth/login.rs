//! `haul auth login`

use clap::Args;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{check, forgotten_at, profile_with_token};
use crate::context::Context;
use crate::error::{Error, Kind, Result, word};
use crate::secret::Secret;
use crate::settings::Profile;
use crate::ui::Columns;
use crate::vault::{self, Backend, Kept, Source, Token};

pub(in crate::commands) const COLUMNS: Columns = Columns {
    all: &["profile", "provider", "token", "checked", "stored_in", "expires_at"],
    shown: &["profile", "provider", "token", "stored_in", "expires_at"],
    piped: None,
};

/// The arguments of `haul auth login`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul auth login xai\n  \
    pass show xai | haul auth login xai\n  \
    haul auth login work --insecure-storage")]
pub struct LoginArgs {
    /// Profile that the token belongs to
    #[arg(id = "named", value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// Store the token without checking it
    #[arg(long)]
    no_check: bool,
    /// Store the token as plain text in a file that only you can read, instead of in a keyring
    #[arg(long)]
    insecure_storage: bool,
}

/// A stored token.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "login")]
pub(in crate::commands) struct Row<'a> {
    /// The profile.
    profile: &'a str,
    /// The profile's platform.
    provider: &'static str,
    /// The token, redacted.
    token: String,
    /// Whether the platform has accepted the token; false with `--no-check`.
    checked: bool,
    /// Where the token is stored.
    stored_in: &'static str,
    /// When the token expires unless it is used before then.
    expires_at: Option<Timestamp>,
}

impl LoginArgs {
    /// Reads, checks and stores a token.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let profile = profile_with_token(ctx)?;
        let secret = ask(ctx, &profile).await?;
        if !self.no_check {
            let token = Token { secret: secret.clone(), source: Source::Given };
            let retries = ctx.settings.retries()?.value;
            check(ctx, &profile, token, retries).await.map_err(|error| refused(&profile, &error))?;
        }
        let kept = keep(ctx, &profile, &secret, self.insecure_storage)?;
        let expires_at = forgotten_at(ctx, kept.backend);
        report(ctx, &profile, &kept, expires_at)?;
        let mut rows = ctx.ui.rows(COLUMNS)?;
        rows.push(&Row {
            profile: &profile.name,
            provider: profile.spec.name,
            token: secret.redacted(),
            checked: !self.no_check,
            stored_in: kept.backend.word(),
            expires_at,
        })?;
        rows.finish()
    }
}

/// Reads the token from the terminal or from piped input.
async fn ask(ctx: &Context, profile: &Profile) -> Result<Secret> {
    let from_file = format!("`haul auth login {} < FILE`", word(&profile.name));
    let question = format!("{} token for profile {}", profile.spec.title, profile.name);
    if let Some(page) = token_page(profile).filter(|_| ctx.ui.can_ask()) {
        ctx.ui.note(&format!("to create a token: {page}"));
    }
    let text = ctx.ask(move |ui| ui.secret(&question)).await.map_err(|error| {
        if error.is_interrupted() {
            return error;
        }
        error.hint(format!(
            "set {} instead, or read the token from a file: {from_file}",
            vault::variable(profile)
        ))
    })?;
    let secret = Secret::new(&text);
    if secret.expose().is_empty() {
        return Err(
            Error::usage("no token was provided").hint(format!("to read it from a file: {from_file}"))
        );
    }
    if let Some(why) = secret.problem() {
        return Err(Error::usage(format!("invalid token: {why}")));
    }
    Ok(secret)
}

fn refused(profile: &Profile, error: &Error) -> Error {
    let name = &profile.name;
    let message = if error.kind() == Kind::Auth {
        format!("{name}: the platform rejected the token; it was not stored")
    } else {
        format!("{name}: the token could not be checked; it was not stored")
    };
    let refused = Error::new(error.kind(), message)
        .caused_by(error.clone())
        .with_request_id(error.request_id().map(str::to_owned));
    let refused = error.hints().iter().fold(refused, |refused, hint| refused.hint(hint.clone()));
    if error.kind() != Kind::Auth {
        return refused
            .hint(format!("to store it without checking it: `haul auth login {} --no-check`", word(name)));
    }
    match token_page(profile) {
        Some(page) => refused.hint(format!("to create a token: {page}")),
        None if profile.is_vendors() => refused,
        None => refused.hint(format!("the token was sent to {}", profile.base_url.value)),
    }
}

/// The page for creating tokens for this profile.
fn token_page(profile: &Profile) -> Option<&'static str> {
    Some(profile.spec.token_page).filter(|page| !page.is_empty() && profile.is_vendors())
}

/// Stores the token and records the backend, so that other commands open only that one.
fn keep(ctx: &Context, profile: &Profile, secret: &Secret, insecure: bool) -> Result<Kept> {
    let (settings, name) = (&ctx.settings, &profile.name);
    let before = vault::recorded(settings, profile).ok().flatten();
    ctx.with_timeout(|timeout| {
        let kept = vault::keep(settings, name, secret, insecure, timeout).map_err(|error| {
            error
                .hint(format!(
                    "set {}, or set a program as `token_command` in the config file",
                    vault::variable(profile)
                ))
                .hint(format!(
                    "to store it as plain text in a file: `haul auth login {} --insecure-storage`",
                    word(name)
                ))
        })?;
        if before == Some(kept.backend) {
            return Ok(kept);
        }
        let recorded = settings.edit(|file| file.set_token_store(name, Some(kept.backend.word())));
        if let Err(error) = recorded {
            // No other command would find the token there.
            let _ = vault::remove(settings, name, kept.backend, timeout);
            return Err(error);
        }
        if let Some(old) = before
            && let Err(error) = vault::remove(settings, name, old, timeout)
        {
            ctx.ui.warn(&format!("{name}: the old token could not be removed from {}: {error}", old.title()));
        }
        Ok(kept)
    })
}

fn report(ctx: &Context, profile: &Profile, kept: &Kept, expires_at: Option<Timestamp>) -> Result<()> {
    let name = &profile.name;
    for error in &kept.skipped {
        ctx.ui.note(&error.to_string());
    }
    let until = match expires_at {
        Some(time) => format!(
            " until {} (each use extends this) or until this machine restarts",
            time.strftime("%Y-%m-%d %H:%M UTC")
        ),
        None => String::new(),
    };
    let place = match vault::token_file(&ctx.settings, name, kept.backend) {
        Some(path) => path.display().to_string(),
        None => kept.backend.title().to_owned(),
    };
    ctx.ui.note(&format!("{name}: token stored in {place}{until}"));
    if kept.backend == Backend::File {
        ctx.ui.warn("the file is plain text: anyone who can read your files can read the token");
    }
    let stored = Source::Backend(kept.backend);
    // The settings were read before the backend was recorded.
    let mut profile = profile.clone();
    profile.file.token_store = Some(kept.backend.word().to_owned());
    match vault::source(&ctx.settings, &profile)? {
        Some(first) if first != stored => {
            ctx.ui.warn(&format!("while {first} is set, it is used instead of the stored token"));
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Env, Flags, Settings};

    #[test]
    fn a_refused_token_leads_to_the_page_of_the_platform() {
        let home = tempfile::tempdir().unwrap();
        let hints = |base_url: Option<&str>, kind| {
            let env: Env =
                [("HAUL_HOME".to_owned(), home.path().display().to_string())].into_iter().collect();
            let flags = Flags {
                profile: Some("xai".to_owned()),
                base_url: base_url.map(str::to_owned),
                ..Flags::default()
            };
            let profile = Settings::load(flags, env).unwrap().profile("xai").unwrap();
            refused(&profile, &Error::new(kind, "refused")).hints().to_vec()
        };
        assert_eq!(hints(None, Kind::Auth), ["to create a token: https://console.x.ai"]);
        let elsewhere = hints(Some("https://files.example.com"), Kind::Auth);
        assert_eq!(elsewhere, ["the token was sent to https://files.example.com/v1"]);
        let unchecked = hints(None, Kind::Unreachable);
        assert_eq!(unchecked, ["to store it without checking it: `haul auth login xai --no-check`"]);
    }
}
