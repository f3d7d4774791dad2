//! Where a token comes from: the environment, `token_command`, or a [`Safe`] of this machine that `auth login` recorded.
//!
//! A command looks at one place after the other and opens only what it has to: with the token in a variable no keyring
//! is asked.

mod command;
mod file;
mod patience;
mod probe;
mod safe;

pub use patience::Patience;
pub use probe::{Kept, keep};
pub use safe::Safe;

use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::{Profile, Settings, env, profile_variable};

/// Where a token is found; travels with it, so that a refusal can name the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Typed or piped in just now.
    Given,
    /// An environment variable.
    Variable(String),
    /// The profile's `token_command`.
    Command,
    /// Where `auth login` put it.
    Safe(Safe),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given => f.write_str("what was given"),
            Self::Variable(name) => f.write_str(name),
            Self::Command => f.write_str("token_command"),
            Self::Safe(safe) => f.write_str(safe.word()),
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

/// Finds the token of a profile. None where no place is known that could hold one; an error of kind [`Kind::Auth`]
/// where a place is known and gives none.
pub fn token(settings: &Settings, profile: &Profile, patience: &Patience) -> Result<Option<Token>> {
    let Some(source) = source(settings, profile)? else { return Ok(None) };
    let secret = match &source {
        Source::Given => None,
        Source::Variable(name) => settings.env.get(name).map(Secret::new),
        Source::Command => match &profile.file.token_command {
            Some(words) => Some(command::run(&profile.name, words)?),
            None => None,
        },
        Source::Safe(safe) => Some(read(settings, &profile.name, *safe, patience)?),
    };
    Ok(secret.map(|secret| Token { secret, source }))
}

/// The token of a profile, only if it can be had without asking anybody: for what nobody has asked for, such as the
/// completion of a word. Not from a `token_command`, which may ask on the terminal, nor from a keyring that is locked.
pub fn unasked(settings: &Settings, profile: &Profile, patience: &Patience) -> Option<Token> {
    let source = source(settings, profile).ok()??;
    let secret = match &source {
        Source::Given | Source::Command => None,
        Source::Variable(name) => settings.env.get(name).map(Secret::new),
        Source::Safe(safe) => safe.peek(settings, &profile.name, patience),
    };
    secret.map(|secret| Token { secret, source })
}

/// Where the profile's token comes from, without opening it. None where no place is known.
pub fn source(settings: &Settings, profile: &Profile) -> Result<Option<Source>> {
    let is_set = |source: &Source| match source {
        Source::Variable(name) => settings.env.get(name).is_some(),
        _ => true,
    };
    Ok(sources(settings, profile)?.into_iter().find(is_set))
}

/// The places where a profile's token can be, in the order they are looked at, variables set or not.
///
/// A built-in profile stands for the account that the platform's official variables name. A named one may be another
/// account, so these come last there; and only if it reaches the vendor's own host, else a token would go to a
/// foreign one.
fn sources(settings: &Settings, profile: &Profile) -> Result<Vec<Source>> {
    let official = || profile.spec.token_variables.iter().map(|name| Source::Variable((*name).to_owned()));
    let mut sources = Vec::new();
    if profile.spec.token_variables.is_empty() {
        return Ok(sources);
    }
    if settings.profile_name().value == profile.name {
        sources.push(Source::Variable(env::TOKEN.to_owned()));
    }
    sources.push(Source::Variable(profile_variable(&profile.name, "TOKEN")));
    if profile.is_built_in() {
        sources.extend(official());
    }
    if profile.file.token_command.is_some() {
        sources.push(Source::Command);
    }
    sources.extend(recorded(settings, profile)?.map(Source::Safe));
    if !profile.is_built_in() && profile.is_vendors() {
        sources.extend(official());
    }
    Ok(sources)
}

/// The safe that `auth login` recorded in the config file.
pub fn recorded(settings: &Settings, profile: &Profile) -> Result<Option<Safe>> {
    let Some(word) = &profile.file.token_store else { return Ok(None) };
    let safe = Safe::parse(word).ok_or_else(|| {
        let place = settings.file.origin(&["profiles", &profile.name, "token_store"]);
        Error::usage(format!("{place}: no token store is called {word:?}"))
            .hint(format!("run `haul auth login {}`", profile.name))
    })?;
    Ok(Some(safe))
}

/// What to type to give a profile its token, and where a refused one came from.
pub fn hints(profile: &Profile, found: Option<&Token>) -> Vec<String> {
    match found {
        Some(Token { source: Source::Given, .. }) => Vec::new(),
        Some(token) => vec![format!("the token came from {}", token.source)],
        None => {
            vec![format!("set {}, or run `haul auth login {}`", variable(profile), profile.name)]
        }
    }
}

/// The variable to set for a profile: the platform's official one, or the profile's own.
pub fn variable(profile: &Profile) -> String {
    match profile.spec.token_variables.first().filter(|_| profile.is_built_in()) {
        Some(official) => (*official).to_owned(),
        None => profile_variable(&profile.name, "TOKEN"),
    }
}

/// Reads a token from the safe that was recorded.
fn read(settings: &Settings, profile: &str, safe: Safe, patience: &Patience) -> Result<Secret> {
    let found = safe.read(settings, profile, patience).map_err(|error| {
        error.hint(format!("set {} to do without it", profile_variable(profile, "TOKEN")))
    })?;
    found.ok_or_else(|| {
        let error = Error::new(Kind::Auth, format!("{profile}: its token is no longer in {}", safe.title()));
        let error = error.hint(format!("run `haul auth login {profile}`"));
        if safe == Safe::KernelKeyring {
            error.hint("the kernel forgets it when it has not been used for days, and at a restart")
        } else {
            error
        }
    })
}

/// Removes a profile's token from a safe. Whether it was there.
pub fn remove(settings: &Settings, profile: &str, safe: Safe, patience: &Patience) -> Result<bool> {
    safe.remove(settings, profile, patience)
}
