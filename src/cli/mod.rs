//! The command line: global flags, the list of commands, and errors of usage in the format of all others.

mod globals;
pub mod usage;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

pub use globals::Globals;

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
