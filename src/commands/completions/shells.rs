//! The supported shells: their scripts, arguments and candidate formats.

use clap::Command;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::{Elvish, EnvCompleter, Powershell};
use clap_complete_nushell::Nushell;

use super::quoting::{self, Typed};
use crate::error::{Error, Result};
use crate::settings::env::COMPLETE;
use crate::ui::one_line;

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shell {
    Bash,
    Elvish,
    Fish,
    Nushell,
    Powershell,
    Zsh,
}

/// The words of a command line up to the cursor.
pub(super) struct Question {
    /// The words, including the program's name. The last one is at the cursor and can be empty.
    pub(super) words: Vec<String>,
    typed: Typed,
}

impl Shell {
    /// The shell with this name.
    pub(super) fn find(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "elvish" => Some(Self::Elvish),
            "fish" => Some(Self::Fish),
            "nu" | "nushell" => Some(Self::Nushell),
            "powershell" | "pwsh" => Some(Self::Powershell),
            "zsh" => Some(Self::Zsh),
            _ => None,
        }
    }

    /// The script that makes the shell run haul for completions.
    ///
    /// bash, zsh and fish have their own scripts: bash expects quoted completions and splits words at `:`; zsh and fish
    /// quote completions themselves, but pass the typed words with their quotes. Nushell does not run haul: its script
    /// lists the commands and options of `root`.
    pub(super) fn script(self, root: &Command) -> Result<String> {
        let library: &dyn EnvCompleter = match self {
            Self::Bash => return Ok(include_str!("haul.bash").to_owned()),
            Self::Zsh => return Ok(include_str!("haul.zsh").to_owned()),
            Self::Fish => return Ok(include_str!("haul.fish").to_owned()),
            Self::Nushell => {
                let mut script = Vec::new();
                clap_complete::generate(Nushell, &mut root.clone(), "haul", &mut script);
                return text(script);
            }
            Self::Elvish => &Elvish,
            Self::Powershell => &Powershell,
        };
        let mut script = Vec::new();
        library
            .write_registration(COMPLETE, "haul", "haul", "haul", &mut script)
            .map_err(|error| Error::failed(error.to_string()))?;
        text(script)
    }

    /// Parses the arguments that the script passes.
    pub(super) fn question(self, arguments: &[String]) -> Question {
        match (self, arguments) {
            (Self::Bash, [breaks, line]) => {
                let typed = Typed::bash(line, breaks);
                Question { words: typed.words.clone(), typed }
            }
            (Self::Fish, [before @ .., last]) => {
                let words = before.iter().cloned().chain([quoting::fish(last)]).collect();
                Question { words, typed: Typed::default() }
            }
            _ => Question { words: arguments.to_vec(), typed: Typed::default() },
        }
    }

    /// Formats the candidates, one per line. They contain no line breaks: see [`super::offered`].
    pub(super) fn answer(self, question: &Question, candidates: &[CompletionCandidate]) -> String {
        let mut answer = String::new();
        for candidate in candidates {
            let value = candidate.get_value().to_string_lossy();
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            let help = one_line(help.lines().next().unwrap_or_default()).into_owned();
            let line = match self {
                Self::Bash => match question.typed.written(&value) {
                    Some(written) => written,
                    None => continue,
                },
                Self::Elvish | Self::Nushell => value.into_owned(),
                Self::Fish | Self::Powershell if help.is_empty() => value.into_owned(),
                Self::Fish | Self::Powershell => format!("{value}\t{help}"),
                Self::Zsh => {
                    // The mark `-` keeps the script from appending a space, for example after a prefix such as
                    // `key=`.
                    let mark = if value.ends_with(['=', ':', '/']) { '-' } else { '+' };
                    let escaped = value.replace('\\', r"\\").replace(':', r"\:");
                    let help = help.replace('\\', r"\\");
                    if help.is_empty() {
                        format!("{mark}{escaped}")
                    } else {
                        format!("{mark}{escaped}:{help}")
                    }
                }
            };
            answer.extend([&line, "\n"]);
        }
        answer
    }
}

fn text(script: Vec<u8>) -> Result<String> {
    String::from_utf8(script).map_err(|error| Error::failed(error.to_string()))
}
