//! `haul profile`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Result, word};
use crate::providers;
use crate::settings::{self, Env, Flags, Origin, Settings, check_reserved, file};
use crate::ui::Columns;
use crate::vault;

pub(super) const COLUMNS: Columns = Columns {
    all: &[
        "name",
        "provider",
        "base_url",
        "upload_base_url",
        "wire_dialect",
        "set",
        "token_from",
        "origin",
        "default",
    ],
    shown: &["name", "default", "base_url", "provider", "token_from", "origin"],
    piped: Some(&["name", "provider", "base_url", "token_from", "origin", "default"]),
};

/// The subcommands of `haul profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List all profiles: built in, in the config file and in the environment
    #[command(
        visible_alias = "list",
        after_long_help = "Examples:\n  haul profile ls\n  haul profile ls --json"
    )]
    Ls,
    /// Add a profile to the config file
    Add(AddArgs),
    /// Remove a profile from the config file, and its token from the keyring
    #[command(after_long_help = "Examples:\n  haul profile rm work\n  haul profile rm work --json")]
    Rm {
        /// The profile
        name: String,
    },
    /// Show or change the default profile
    #[command(after_long_help = "Examples:\n  haul profile default\n  haul profile default work")]
    Default {
        /// The new default profile
        name: Option<String>,
    },
}

/// The arguments of `haul profile add`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul profile add team --provider xai --set team_id=t1\n  \
    haul profile add eu --provider llamacloud --base-url https://api.cloud.eu.llamaindex.ai\n  \
    haul profile add ci --provider replicate --token-command 'pass show replicate'\n\n\
    `--base-url`, `--wire-dialect` and `--set` are stored in the profile.")]
pub struct AddArgs {
    /// Name: lowercase letters, digits and `-`
    name: String,
    /// Platform; optional if the profile is named after a platform
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Base URL for uploads, if the platform uses a separate upload host
    #[arg(long, value_name = "URL")]
    upload_base_url: Option<String>,
    /// Command that prints the token, run with `sh -c`
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<String>,
    /// Make this the default profile
    #[arg(long)]
    default: bool,
}

/// A named connection to a platform.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "profile")]
pub(super) struct Row {
    /// The value for `--profile`.
    name: String,
    /// The profile's platform.
    provider: &'static str,
    /// The base URL; null if no network is used.
    base_url: Option<String>,
    /// The base URL for uploads.
    upload_base_url: Option<String>,
    /// The configured wire dialect.
    wire_dialect: String,
    /// The platform's options (`--set`), without secrets.
    set: BTreeMap<String, String>,
    /// Where the token comes from, if known without opening a keyring.
    token_from: Option<String>,
    /// Where the profile is defined: a variable, a line of the config file, or `built in`.
    origin: String,
    /// Whether this is the default profile.
    default: bool,
}

impl ProfileCommand {
    /// Runs the command.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        match self {
            Self::Ls => list(ctx),
            Self::Add(args) => args.run(ctx),
            Self::Rm { name } => remove(ctx, name),
            Self::Default { name: None } => show(ctx, &ctx.settings, &ctx.settings.profile_name().value),
            Self::Default { name: Some(name) } => set_default(ctx, name),
        }
    }
}

impl AddArgs {
    fn run(&self, ctx: &Context) -> Result<()> {
        let name = self.name.as_str();
        check_name(name)?;
        let before = ctx.settings.file.profiles.get(name).cloned().unwrap_or_default();
        // A built-in profile with no settings other than a stored token counts as not yet added.
        if before != (file::Profile { token_store: before.token_store.clone(), ..Default::default() }) {
            let place = ctx.settings.file.origin(&["profiles", name]);
            return Err(Error::usage(format!("profile {name} already exists: {place}"))
                .hint(format!("edit it there, or remove it first: `haul profile rm {}`", word(name))));
        }
        let given = &ctx.settings.flags;
        if let Some(provider) = &self.provider
            && providers::find(provider).is_none()
        {
            return Err(settings::no_such_provider(provider, &Origin::Flag("--provider")));
        }
        if self.provider.is_none() && providers::find(name).is_none() {
            return Err(Error::usage(format!("profile {name} requires a provider"))
                .hint(format!("`haul profile add {} --provider xai`", word(name))));
        }
        let mut profile = file::Profile {
            provider: self.provider.clone(),
            upload_base_url: self.upload_base_url.clone(),
            token_command: self.token_command.as_deref().map(file::shell),
            token_store: before.token_store,
            ..Default::default()
        };
        // Resolve the settings as flags first, so that an error names the flag before anything is written.
        let mut trial = file_settings(ctx)?;
        trial.flags = Flags { profile: Some(name.to_owned()), ..given.clone() };
        trial.file.put_profile(name, profile.clone());
        trial.profile(name)?;
        profile.base_url.clone_from(&given.base_url);
        profile.dialect.clone_from(&given.dialect);
        profile.set = given.set.iter().cloned().collect();
        ctx.settings.edit(|file| {
            file.put_profile(name, profile);
            if self.default {
                file.set_default(Some(name));
            }
        })?;
        let after = file_settings(ctx)?;
        let resolved = after.profile(name)?;
        if vault::source(&after, &resolved)?.is_none() && !resolved.spec.token_variables.is_empty() {
            ctx.ui.hint(&format!("to store its token: `haul auth login {}`", word(name)));
        }
        show(ctx, &after, name)
    }
}

/// The settings from the current config file alone, without flags or environment variables.
fn file_settings(ctx: &Context) -> Result<Settings> {
    Ok(Settings {
        flags: Flags::default(),
        env: Env::default(),
        file: file::File::read(&ctx.settings.file.path)?,
        folders: ctx.settings.folders.clone(),
    })
}

/// Checks that a name is valid in `NAME:ref`, in `HAUL_PROFILE_NAME_TOKEN` and as a file name. `_` is not allowed
/// because two profiles could then share a variable.
fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()) && name.chars().all(plain) {
        return check_reserved(name, "");
    }
    Err(Error::usage(format!("{name:?} is not a valid profile name"))
        .hint("use lowercase letters, digits and `-`, such as `work` or `xai-eu`"))
}

fn list(ctx: &Context) -> Result<()> {
    let mut rows = ctx.ui.rows(COLUMNS)?;
    for name in ctx.settings.profile_names() {
        match row(&ctx.settings, &name) {
            Ok(row) => rows.push(&row)?,
            // List the other profiles anyway.
            Err(error) => ctx.ui.warn(&error.to_string()),
        }
    }
    rows.finish()
}

fn show(ctx: &Context, settings: &Settings, name: &str) -> Result<()> {
    let mut rows = ctx.ui.rows(COLUMNS)?;
    rows.push(&row(settings, name)?)?;
    rows.finish()
}

fn row(settings: &Settings, name: &str) -> Result<Row> {
    let profile = settings.profile(name)?;
    let remote = !profile.spec.base_url.is_empty();
    Ok(Row {
        provider: profile.spec.name,
        base_url: remote.then(|| profile.base_url.value.to_string()),
        upload_base_url: remote.then(|| profile.upload_base_url.value.to_string()),
        wire_dialect: profile.dialect.value.clone(),
        token_from: vault::source(settings, &profile)?.map(|source| source.to_string()),
        origin: settings.profile_origin(name).to_string(),
        default: settings.profile_name().value == name,
        set: profile.set.iter().map(|(key, sourced)| (key.clone(), sourced.value.clone())).collect(),
        name: profile.name,
    })
}

fn remove(ctx: &Context, name: &str) -> Result<()> {
    let settings = &ctx.settings;
    let Some(profile) = settings.file.profiles.get(name) else {
        return Err(match settings.profile_origin(name) {
            Origin::Variable(variable) => {
                Error::usage(format!("profile {name} is defined in the environment"))
                    .hint(format!("`unset {variable}`"))
            }
            _ if providers::find(name).is_some() => {
                Error::usage(format!("profile {name} is built in and cannot be removed"))
            }
            _ => settings
                .profile(name)
                .err()
                .unwrap_or_else(|| Error::usage(format!("unknown profile {name}"))),
        });
    };
    let mut rows = ctx.ui.rows(COLUMNS)?;
    // An invalid profile can be removed, too.
    let row = row(settings, name);
    if let Some(backend) = profile.token_store.as_deref().and_then(vault::Backend::parse) {
        ctx.with_timeout(|timeout| vault::remove(settings, name, backend, timeout)).map_err(|error| {
            error.hint(format!("profile {name} was not removed because its token could not be removed"))
        })?;
    }
    settings.edit(|file| {
        file.remove_profile(name);
        if file.default_profile.as_deref() == Some(name) && providers::find(name).is_none() {
            file.set_default(None);
        }
    })?;
    if let Ok(row) = row {
        rows.push(&row)?;
    }
    rows.finish()
}

fn set_default(ctx: &Context, name: &str) -> Result<()> {
    ctx.settings.profile(name)?;
    if matches!(ctx.settings.profile_origin(name), Origin::Variable(_)) {
        return Err(Error::usage(format!("profile {name} is defined only in the environment"))
            .hint(format!("`export {}={name}`", settings::env::PROFILE)));
    }
    ctx.settings.edit(|file| file.set_default(Some(name)))?;
    if let Origin::Variable(variable) = ctx.settings.profile_name().origin {
        ctx.ui.warn(&format!("while {variable} is set, it takes precedence"));
    }
    show(ctx, &file_settings(ctx)?, name)
}
