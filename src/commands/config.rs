//! `haul config`

use clap::Subcommand;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Context;
use crate::error::Result;
use crate::human;
use crate::settings::{Origin, env};
use crate::ui::Columns;
use crate::vault;

const FIELDS: &[&str] = &["setting", "value", "origin"];
pub(super) const COLUMNS: Columns = Columns { all: FIELDS, shown: FIELDS, piped: None };

/// A setting and its source.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "setting")]
pub(super) struct Row {
    /// The setting's name.
    setting: String,
    /// The setting's value; `***` for a secret.
    value: String,
    /// The setting's source: a flag, a variable, a line of the config file, or `built in`.
    origin: String,
}

/// The commands of `haul config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show all settings of the current profile and their sources
    ///
    /// Secrets are not shown, and no keyring is opened.
    #[command(after_long_help = "Examples:\n  haul config show\n  haul -p xai config show --json")]
    Show,
}

impl ConfigCommand {
    /// Prints the settings.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        let settings = &ctx.settings;
        let (profile, name) = (ctx.profile(None)?, settings.profile_name());
        let mut all: Vec<Row> = Vec::new();
        let mut add = |key: &str, value: String, origin: &Origin| {
            all.push(Row { setting: key.to_owned(), value, origin: origin.to_string() });
        };
        let built_in = &Origin::BuiltIn;
        let from = |flag: bool, name: &'static str, variable: &str| match settings.env.get(variable) {
            _ if flag => Origin::Flag(name),
            Some(_) => Origin::Variable(variable.to_owned()),
            None => Origin::BuiltIn,
        };
        let config = from(settings.flags.config.is_some(), "--config", env::CONFIG);
        let home = from(false, "", env::HOME);
        let config = if config == Origin::BuiltIn { &home } else { &config };
        add("config_file", settings.file.path.display().to_string(), config);
        add("data_folder", settings.folders.data.display().to_string(), &home);
        add("state_folder", settings.folders.state.display().to_string(), &home);
        add("profile", name.value, &name.origin);
        let provider = match settings.profile_origin(&profile.name) {
            Origin::File(..) if profile.file.provider.is_some() => {
                settings.file.origin(&["profiles", &profile.name, "provider"])
            }
            Origin::File(..) => Origin::BuiltIn,
            other => other,
        };
        add("provider", profile.spec.name.to_owned(), &provider);
        if !profile.spec.base_url.is_empty() {
            add("base_url", profile.base_url.value.to_string(), &profile.base_url.origin);
            let upload = &profile.upload_base_url;
            add("upload_base_url", upload.value.to_string(), &upload.origin);
        }
        add("wire_dialect", profile.dialect.value.clone(), &profile.dialect.origin);
        if let Some(limit) = &profile.compare_limit {
            add("compare_limit", human::size(limit.value), &limit.origin);
        }
        if let Some(time) = &profile.appears_within {
            add("appears_within", human::duration(time.value), &time.origin);
        }
        for (key, sourced) in &profile.set {
            add(&format!("set.{key}"), sourced.value.clone(), &sourced.origin);
        }
        for (key, sourced) in &profile.secrets {
            add(&format!("set.{key}"), "***".to_owned(), &sourced.origin);
        }
        let timeout = settings.timeout()?;
        add("timeout", human::duration(timeout.value), &timeout.origin);
        let retries = settings.retries()?;
        add("retries", retries.value.to_string(), &retries.origin);
        if let Some(cacert) = settings.cacert() {
            add("cacert", cacert.value.display().to_string(), &cacert.origin);
        }
        let insecure = settings.flags.insecure_http;
        add(
            "insecure_http",
            insecure.to_string(),
            if insecure { &Origin::Flag("--insecure-http") } else { built_in },
        );
        if let Some(source) = vault::source(settings, &profile)? {
            let (setting, value) = ("token".to_owned(), "***".to_owned());
            all.push(Row { setting, value, origin: source.to_string() });
        }
        let mut rows = ctx.ui.rows(COLUMNS)?;
        for row in &all {
            rows.push(row)?;
        }
        rows.finish()
    }
}
