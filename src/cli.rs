//! Global flags and the list of commands; no behaviour.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// One command line for the Files APIs of AI platforms
#[derive(Debug, Parser)]
#[command(name = "haul", version, styles = STYLES, max_term_width = 100, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true, args_override_self = true)]
#[command(after_long_help = "Examples:\n  \
    haul upload report.pdf\n  \
    haul ls '*.pdf' -p xai\n  \
    haul get report.pdf -o copy.pdf\n\n\
    With nothing configured, files go to `local`, an embedded store on this machine. `haul COMMAND --help` has more \
    examples; `haul help TOPIC` tells of filters, output, environment and exit-codes.")]
#[command(after_help = "With nothing configured, files go to `local`, an embedded store on this machine.\n\
    `haul providers` lists the platforms, `haul COMMAND --help` has examples,\n\
    `haul help TOPIC` tells of filters, output, environment and exit-codes.")]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// Use this profile; a provider's name is a ready-made one
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Profile")]
    pub profile: Option<String>,
    /// Reach the platform here
    #[arg(long, global = true, value_name = "URL", hide_short_help = true, help_heading = "Profile")]
    pub base_url: Option<String>,
    /// Speak this wire dialect
    #[arg(
        long = "wire-dialect",
        global = true,
        value_name = "NAME",
        hide_short_help = true,
        help_heading = "Profile"
    )]
    pub dialect: Option<String>,
    /// Give the platform a setting, such as a workspace or a team
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Profile")]
    pub set: Vec<(String, String)>,
    /// Read this config file
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, help_heading = "Profile")]
    pub config: Option<PathBuf>,

    /// Print one JSON array
    #[arg(long, global = true, conflicts_with = "jsonl", help_heading = "Output")]
    pub json: bool,
    /// Print one JSON object a line
    #[arg(long, global = true, help_heading = "Output")]
    pub jsonl: bool,
    /// Print these fields, in this order
    #[arg(long, global = true, value_name = "A,B,C", value_delimiter = ',', help_heading = "Output")]
    pub fields: Option<Vec<String>>,
    /// Say nothing but data and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Say more; -vv shows each request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// When to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub color: When,
    /// How to tell progress
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        default_value = "auto",
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub progress: ProgressMode,

    /// Give up on a request after this long, such as 30s
    #[arg(long, global = true, value_name = "TIME", hide_short_help = true, help_heading = "Network")]
    pub timeout: Option<String>,
    /// Try a request again this often
    #[arg(long, global = true, value_name = "N", hide_short_help = true, help_heading = "Network")]
    pub retries: Option<u32>,
    /// Trust the certificate authorities in this PEM file, too
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true, help_heading = "Network")]
    pub cacert: Option<PathBuf>,
    /// Send a token over plain http to a host that is not this machine
    #[arg(long, global = true, hide_short_help = true, help_heading = "Network")]
    pub insecure_http: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to tell progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal
    #[default]
    Auto,
    /// Bars on a terminal, else a line every few seconds
    Always,
    /// Nothing
    Never,
    /// One JSON event a line on stderr
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload files
    #[command(visible_alias = "put", visible_alias = "up")]
    Upload(commands::upload::UploadArgs),
    /// List files
    #[command(visible_alias = "list")]
    Ls(commands::ls::LsArgs),
    /// Show all that is known about files
    #[command(visible_alias = "show")]
    Info(commands::info::InfoArgs),
    /// Download files
    #[command(visible_alias = "download")]
    Get(commands::get::GetArgs),
    /// Delete files
    #[command(visible_alias = "delete")]
    Rm(commands::rm::RmArgs),
    /// Read and change metadata
    #[command(subcommand)]
    Meta(commands::meta::MetaCommand),
    /// Make, list and revoke links to files
    Link(commands::link::LinkArgs),
    /// Give haul a token, check it, take it back
    #[command(subcommand)]
    Auth(commands::auth::AuthCommand),
    /// List, add and remove profiles
    #[command(subcommand)]
    Profile(commands::profile::ProfileCommand),
    /// Show every setting and where it comes from
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
    /// Serve the platforms' own APIs offline, from a store on this machine
    Serve(Box<commands::serve::ServeArgs>),
    /// List the platforms and what they can do
    Providers(commands::providers::ProvidersArgs),
    /// Print a shell completion script
    Completions(commands::completions::CompletionsArgs),
    /// Show the help of a command, or a topic of the manual
    Help(commands::help::HelpArgs),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not KEY=VALUE".to_owned()),
    }
}
