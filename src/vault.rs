//! Where a token comes from: environment, then `token_command`, then keyring, then file.

use std::process::{Command, Stdio};

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::{Profile, Settings, env, profile_variable};

/// Where a token was found; travels with it, so that a refusal can name the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An environment variable.
    Variable(String),
    /// The profile's `token_command`.
    Command,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "{name}"),
            Self::Command => f.write_str("token_command"),
        }
    }
}

/// A token and where it was found.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// Where it was found.
    pub source: Source,
}

/// Finds the token of a profile. None where there is none.
///
/// A named profile takes the platform's official variables only if it reaches the vendor's own host: else a token would
/// go to a foreign one.
pub fn token(settings: &Settings, profile: &Profile) -> Result<Option<Token>> {
    for name in variables(settings, profile) {
        if let Some(text) = settings.env.get(&name) {
            return Ok(Some(Token { secret: Secret::new(text), source: Source::Variable(name) }));
        }
    }
    if let Some(words) = &profile.file.token_command {
        return run_token_command(&profile.name, words)
            .map(|secret| Some(Token { secret, source: Source::Command }));
    }
    Ok(None)
}

/// The environment variables that could hold a profile's token, in the order they are looked at.
pub fn variables(settings: &Settings, profile: &Profile) -> Vec<String> {
    let mut names = Vec::new();
    if settings.profile_name().value == profile.name {
        names.push(env::TOKEN.to_owned());
    }
    names.push(profile_variable(&profile.name, "TOKEN"));
    if profile.is_built_in() || profile.is_vendors() {
        names.extend(profile.spec.token_variables.iter().map(|name| (*name).to_owned()));
    }
    names
}

/// What to type to give a profile its token, and where a refused one came from.
pub fn hints(settings: &Settings, profile: &Profile, found: Option<&Token>) -> Vec<String> {
    match found {
        Some(token) => vec![format!("the token came from {}", token.source)],
        None => {
            let variable = variables(settings, profile).pop().unwrap_or_else(|| env::TOKEN.to_owned());
            vec![format!("set {variable}, or run `haul auth login {}`", profile.name)]
        }
    }
}

fn run_token_command(profile: &str, words: &[String]) -> Result<Secret> {
    let failed = |why: String| {
        Error::new(Kind::Auth, format!("profile {profile}: token_command gave no token")).cause(why)
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("it is empty".to_owned()));
    };
    // Its stderr is the user's: a password manager may ask there.
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
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
