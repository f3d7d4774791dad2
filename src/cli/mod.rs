//! The command line: global options, the list of commands, and usage errors.

mod deferred;
mod globals;
pub mod usage;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory as _, Parser, Subcommand};

pub use deferred::Deferred;
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
    examples; `haul help TOPIC` describes filters, output, environment and exit-codes.")]
#[command(after_help = "With nothing configured, files go to `local`, an embedded store on this machine.\n\
    `haul providers` lists the platforms, `haul COMMAND --help` has examples,\n\
    `haul help TOPIC` describes filters, output, environment and exit-codes.")]
pub struct Cli {
    /// The global options.
    #[command(flatten)]
    pub globals: Globals,
    /// The selected command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The whole command line, with the arguments of all commands.
    pub fn tree() -> clap::Command {
        let mut root = Self::command();
        root.build();
        root
    }
}

/// The commands of haul.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Upload files
    #[command(visible_alias = "put", visible_alias = "up")]
    Upload(Deferred<commands::upload::UploadArgs>),
    /// List files
    #[command(visible_alias = "list")]
    Ls(Deferred<commands::ls::LsArgs>),
    /// Show details of files
    #[command(visible_alias = "show")]
    Info(Deferred<commands::info::InfoArgs>),
    /// Download files
    #[command(visible_alias = "download")]
    Get(Deferred<commands::get::GetArgs>),
    /// Print the content of files
    Cat(Deferred<commands::cat::CatArgs>),
    /// Copy files between platforms, and to and from this machine
    #[command(visible_alias = "copy")]
    Cp(Deferred<commands::cp::CpArgs>),
    /// Delete files
    #[command(visible_alias = "delete")]
    Rm(Deferred<commands::rm::RmArgs>),
    /// Upload what has changed in a folder, and record the ids in a lock file
    Sync(Deferred<commands::sync::SyncArgs>),
    /// Delete files that are no longer needed
    Gc(Deferred<commands::gc::GcArgs>),
    /// Show the number, size and age of files
    Du(Deferred<commands::du::DuArgs>),
    /// Show and change metadata
    #[command(subcommand)]
    Meta(Deferred<commands::meta::MetaCommand>),
    /// Create, list and revoke links to files
    Link(Deferred<commands::link::LinkArgs>),
    /// Print a snippet that uses a file, for an API or a program
    Ref(Deferred<commands::reference::RefArgs>),
    /// Check JSONL files for batches and fine-tuning
    Lint(Deferred<commands::lint::LintArgs>),
    /// Store, check and remove tokens
    #[command(subcommand)]
    Auth(Deferred<commands::auth::AuthCommand>),
    /// List, add and remove profiles
    #[command(subcommand)]
    Profile(Deferred<commands::profile::ProfileCommand>),
    /// Show all settings and their sources
    #[command(subcommand)]
    Config(Deferred<commands::config::ConfigCommand>),
    /// Emulate the platforms' APIs offline, with a store on this machine
    Serve(Deferred<commands::serve::ServeArgs>),
    /// Check and repair this machine's store
    #[command(subcommand)]
    Local(Deferred<commands::local::LocalCommand>),
    /// List the platforms and their capabilities
    Providers(Deferred<commands::providers::ProvidersArgs>),
    /// Print instructions for agents, or install them as a skill
    Skill(Deferred<commands::skill::SkillArgs>),
    /// Print a shell completion script
    Completions(Deferred<commands::completions::CompletionsArgs>),
    /// Show help for a command or a topic
    Help(Deferred<commands::help::HelpArgs>),
}
