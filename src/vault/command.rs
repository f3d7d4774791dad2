//! `token_command`: a program of the user's, such as a password manager, that prints the token.

use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;

/// Runs the program; the first line that it prints is the token.
pub(super) fn run(profile: &str, words: &[String]) -> Result<Secret> {
    let failed = |why: String| {
        Error::new(Kind::Auth, format!("profile {profile}: token_command gave no token")).cause(why)
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("it is empty".to_owned()));
    };
    // A password manager may ask on the terminal. Piped input is not for it: `haul upload -` reads that.
    let input = if std::io::stdin().is_terminal() { Stdio::inherit() } else { Stdio::null() };
    let output = Command::new(program)
        .args(arguments)
        .stdin(input)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(format!("{program}: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{program}: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed(format!("{program}: its output is not UTF-8")))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        Err(failed(format!("{program}: it printed nothing")))
    } else {
        Ok(Secret::new(line))
    }
}
