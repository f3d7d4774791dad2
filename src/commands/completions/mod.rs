//! `haul completions`, and the completions that a shell requests.
//!
//! `clap_complete` completes commands and options; this module adds profiles, fields, settings and files. A
//! completion never prompts or prints an error, and ends after [`PATIENCE`].

mod cache;
mod files;
mod line;
mod quoting;
mod shells;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Args, Command};
use clap_complete::engine::{CompletionCandidate, complete};

use self::line::Line;
use self::shells::{Question, Shell};
use crate::error::{Error, Result};
use crate::settings::{Env, Flags};
use crate::ui::{Ui, is_unsafe};

pub use cache::forget;

/// The time limit for a completion.
const PATIENCE: Duration = Duration::from_millis(500);

/// The arguments of `haul completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul completions bash > ~/.local/share/bash-completion/completions/haul\n  \
    haul completions zsh > ~/.zfunc/_haul\n  \
    haul completions fish > ~/.config/fish/completions/haul.fish\n  \
    haul completions nushell > ~/.config/nushell/autoload/haul.nu\n\n\
    File names and ids are completed, including after a profile (`xai:`), except in Nushell. Platform listings are cached for a \
    minute. Completion takes at most half a second and never prompts: a token from a `token_command` or a locked \
    keyring is not used.")]
pub struct CompletionsArgs {
    /// The shell: bash, elvish, fish, nushell, powershell or zsh
    #[arg(value_parser = ["bash", "elvish", "fish", "nushell", "powershell", "zsh"])]
    shell: String,
}

impl CompletionsArgs {
    /// Prints the script.
    pub fn run(&self, ui: &Ui, root: &Command) -> Result<()> {
        ui.write_text(&script(&self.shell, root)?)
    }
}

/// The completion script for a shell. It runs haul for completions or, for Nushell, lists the commands and options of
/// `root`.
pub fn script(shell: &str, root: &Command) -> Result<String> {
    Shell::find(shell).ok_or_else(|| Error::usage(format!("no completions for {shell:?}")))?.script(root)
}

/// The names and contents of the files in `completions/`.
pub fn files(root: &Command) -> Result<Vec<(&'static str, String)>> {
    let names = [
        ("haul.bash", "bash"),
        ("_haul", "zsh"),
        ("haul.fish", "fish"),
        ("haul.elv", "elvish"),
        ("_haul.ps1", "powershell"),
    ];
    names.into_iter().map(|(name, shell)| Ok((name, script(shell, root)?))).collect()
}

/// The output for a shell whose script runs `haul -- WORDS…` with `COMPLETE` set. Without arguments, returns the
/// script itself, for `source <(COMPLETE=bash haul)`. Returns `None` if the command line should run normally:
/// `COMPLETE` is a common name and may be set for another purpose.
pub fn answer(
    shell: &str,
    arguments: &[OsString],
    env: &Env,
    root: &Command,
    flags: impl Fn(&ArgMatches) -> Flags,
) -> Option<String> {
    let deadline = Instant::now().checked_add(PATIENCE)?;
    let shell = Shell::find(shell.rsplit('/').next()?)?;
    let handed_over = match arguments {
        [_program] => return shell.script(root).ok(),
        [_program, mark, words @ ..] if mark == "--" => words,
        _ => return None,
    };
    let handed_over: Vec<String> =
        handed_over.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let question = shell.question(&handed_over);
    let candidates = offered(&question, env, root, flags, deadline).unwrap_or_default();
    Some(shell.answer(&question, &candidates))
}

fn offered(
    question: &Question,
    env: &Env,
    root: &Command,
    flags: impl Fn(&ArgMatches) -> Flags,
    deadline: Instant,
) -> Option<Vec<CompletionCandidate>> {
    let (last, before) = question.words.split_last()?;
    let mut tree = root.clone();
    tree.build();
    let line = Line::read(before, env, root, tree.clone(), flags, deadline);
    let words: Vec<OsString> = question.words.iter().map(OsString::from).collect();
    let index = words.len() - 1;
    let folder = std::env::current_dir().ok();
    let mut candidates =
        complete(&mut line.attach(without_aliases(tree), files::complete), words, index, folder.as_deref())
            .ok()?;
    // Shells print candidates unescaped, and a file's name can contain control characters.
    candidates.retain(|candidate| !candidate.get_value().to_string_lossy().contains(is_unsafe));
    // For an empty word, options are offered only if there are no other candidates.
    let is_option =
        |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with('-');
    if last.is_empty() && !candidates.iter().all(is_option) {
        candidates.retain(|candidate| !is_option(candidate));
    }
    Some(candidates)
}

/// The command with its visible aliases hidden, so that only the documented names are offered.
fn without_aliases(command: Command) -> Command {
    command.mut_subcommands(|below| {
        let aliases: Vec<String> = below.get_visible_aliases().map(str::to_owned).collect();
        let below = if aliases.is_empty() { below } else { below.visible_alias(None).aliases(aliases) };
        without_aliases(below)
    })
}
