//! `haul completions`

use clap::Args;
use clap_complete::env::{EnvCompleter, Shells};

use crate::error::{Error, Result};
use crate::ui::Ui;

/// The arguments of `haul completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul completions bash > ~/.local/share/bash-completion/completions/haul\n  \
    haul completions fish > ~/.config/fish/completions/haul.fish")]
pub struct CompletionsArgs {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    shell: String,
}

impl CompletionsArgs {
    /// Prints the script.
    pub fn run(&self, ui: &Ui) -> Result<()> {
        ui.write_text(&script(&self.shell)?)
    }
}

/// The script that asks haul itself for completions.
pub fn script(shell: &str) -> Result<String> {
    let shells = Shells::builtins();
    let completer: &dyn EnvCompleter =
        shells.completer(shell).ok_or_else(|| Error::usage(format!("no completions for {shell:?}")))?;
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", "haul", "haul", "haul", &mut script)
        .map_err(|error| Error::failed(error.to_string()))?;
    String::from_utf8(script).map_err(|error| Error::failed(error.to_string()))
}

/// The files under `completions/` by name, each with what it says: the script of its shell.
pub fn files() -> Result<Vec<(&'static str, String)>> {
    let names = [
        ("haul.bash", "bash"),
        ("_haul", "zsh"),
        ("haul.fish", "fish"),
        ("haul.elv", "elvish"),
        ("_haul.ps1", "powershell"),
    ];
    names.into_iter().map(|(name, shell)| Ok((name, script(shell)?))).collect()
}
