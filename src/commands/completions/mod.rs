//! `haul completions`, and what haul answers when a shell asks it at a TAB.
//!
//! The engine of `clap_complete` knows commands and options. What it cannot know is found here: profiles, fields,
//! settings, and the files themselves. Nobody has asked for a TAB to do anything, so it never prompts, never says what
//! went wrong, and gives up after [`PATIENCE`].

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

/// How long a shell waits at most, whatever is slow.
const PATIENCE: Duration = Duration::from_millis(500);

/// The arguments of `haul completions`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul completions bash > ~/.local/share/bash-completion/completions/haul\n  \
    haul completions zsh > ~/.zfunc/_haul\n  \
    haul completions fish > ~/.config/fish/completions/haul.fish\n\n\
    Names and ids of files are completed, too, behind a profile as well (`xai:`). Those of a platform are kept for a \
    minute; nothing waits for it longer than half a second, and nothing asks for a token: one from a `token_command` \
    or a locked keyring is done without.")]
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
    Shell::find(shell).ok_or_else(|| Error::usage(format!("no completions for {shell:?}")))?.script()
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

/// What to print for the shell that asks: its script hands over what there is after `haul --`; without anything it is
/// the script itself that is asked for, as `source <(COMPLETE=bash haul)` does. None where it is none of these, and the
/// command line is to be run as ever: the variable's name is a plain word, and others may have set it.
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
        [_program] => return shell.script().ok(),
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
    let line = Line::read(before, env, root, flags, deadline);
    let words: Vec<OsString> = question.words.iter().map(OsString::from).collect();
    let index = words.len() - 1;
    let folder = std::env::current_dir().ok();
    let mut candidates =
        complete(&mut line.attach(root.clone(), files::complete), words, index, folder.as_deref()).ok()?;
    // A name may hold what steers a terminal, and a shell shows what it is offered.
    candidates.retain(|candidate| !candidate.get_value().to_string_lossy().contains(is_unsafe));
    // Nobody looks for an option among a thousand files who has not typed the dash.
    let is_option =
        |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with('-');
    if last.is_empty() && !candidates.iter().all(is_option) {
        candidates.retain(|candidate| !is_option(candidate));
    }
    Some(candidates)
}
