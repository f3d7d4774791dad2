//! The global options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::model::Clock;
use crate::settings::{Env, Flags, env};
use crate::ui::{self, Jq, ProgressMode, When};

/// The options accepted by every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// Use this profile; each platform's name is a built-in profile
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Profile")]
    pub profile: Option<String>,
    /// Base URL of the platform's API
    #[arg(long, global = true, value_name = "URL", hide_short_help = true, help_heading = "Profile")]
    pub base_url: Option<String>,
    /// Wire dialect of the platform's API
    #[arg(
        long = "wire-dialect",
        global = true,
        value_name = "NAME",
        hide_short_help = true,
        help_heading = "Profile"
    )]
    pub dialect: Option<String>,
    /// Set a platform setting, such as a workspace or a team
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Profile")]
    pub set: Vec<(String, String)>,
    /// Path of the config file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, help_heading = "Profile")]
    pub config: Option<PathBuf>,

    /// Print a JSON array
    #[arg(long, global = true, conflicts_with = "jsonl", help_heading = "Output")]
    pub json: bool,
    /// Print one JSON object per line
    #[arg(long, global = true, help_heading = "Output")]
    pub jsonl: bool,
    /// Run a jq program on the JSON and print its results
    #[arg(long, global = true, value_name = "EXPR", value_parser = Jq::parse, help_heading = "Output")]
    pub jq: Option<Jq>,
    /// Print only these fields, in this order
    #[arg(long, global = true, value_name = "A,B,C", value_delimiter = ',', help_heading = "Output")]
    pub fields: Option<Vec<String>>,
    /// Print only data, warnings and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Print more details; -vv shows each request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// When to use color
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub color: When,
    /// How to show progress
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        default_value = "auto",
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub progress: ProgressMode,

    /// Time limit for a request, or for a stall in a transfer, such as 30s
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true, help_heading = "Network")]
    pub timeout: Option<String>,
    /// Retry a failed request up to this many times
    #[arg(long, global = true, value_name = "N", hide_short_help = true, help_heading = "Network")]
    pub retries: Option<u32>,
    /// Also trust the certificate authorities in this PEM file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, help_heading = "Network")]
    pub cacert: Option<PathBuf>,
    /// Allow sending a token over plain HTTP to another machine
    #[arg(long, global = true, hide_short_help = true, help_heading = "Network")]
    pub insecure_http: bool,
}

impl Globals {
    /// Extracts the output flags from a command line that could not be parsed, so that its error is printed in that
    /// format.
    pub fn guess(arguments: &[OsString]) -> Self {
        let flags = || arguments.iter().take_while(|argument| *argument != "--");
        let has = |flag: &str| flags().any(|argument| argument == flag);
        let starts_with =
            |argument: &OsString, flag: &str| argument.to_str().is_some_and(|text| text.starts_with(flag));
        let color = |word: &str| {
            has(&format!("--color={word}"))
                || flags().zip(flags().skip(1)).any(|(flag, value)| flag == "--color" && value == word)
        };
        let has_jq = has("--jq") || flags().any(|argument| starts_with(argument, "--jq="));
        Self {
            // A failed command with `--jq` prints no array.
            json: has("--json") && !has_jq,
            jsonl: has("--jsonl") || has_jq,
            color: match (color("always"), color("never")) {
                (true, _) => When::Always,
                (_, true) => When::Never,
                _ => When::Auto,
            },
            ..Self::default()
        }
    }

    /// The output options, from the flags and the environment.
    pub fn output(&self, env: &Env, clock: Clock) -> ui::Options {
        ui::Options {
            format: match (self.json, self.jsonl, &self.jq) {
                (true, ..) => ui::Format::Json,
                (_, true, _) => ui::Format::Jsonl,
                (.., Some(_)) => ui::Format::Json,
                (.., None) => ui::Format::Text,
            },
            jq: self.jq.clone(),
            fields: self.fields.clone(),
            quiet: self.quiet,
            verbose: self.verbose,
            color: self.color,
            progress: self.progress,
            env: ui::Environment {
                no_color: env.get(env::NO_COLOR).is_some(),
                force_color: env.get(env::CLICOLOR_FORCE).is_some_and(|value| value != "0"),
                dumb: env.get(env::TERM) == Some("dumb"),
                hyperlinks: env::shows_hyperlinks(),
                columns: env.get(env::COLUMNS).and_then(|text| text.parse().ok()),
                ci: env.get(env::CI).is_some_and(|value| value != "false"),
            },
            clock,
        }
    }

    /// The settings given as global options.
    pub fn settings(&self) -> Flags {
        Flags {
            link: None,
            profile: self.profile.clone(),
            base_url: self.base_url.clone(),
            dialect: self.dialect.clone(),
            set: self.set.clone(),
            config: self.config.clone(),
            timeout: self.timeout.clone(),
            retries: self.retries,
            cacert: self.cacert.clone(),
            insecure_http: self.insecure_http,
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not KEY=VALUE".to_owned()),
    }
}
