//! Where tokens come from: the environment, `token_command`, or the [`Backend`] that `auth login` recorded.
//!
//! A command uses the first configured source in order of precedence and does not open any other. With the token in a
//! variable, it does not access a keyring.

mod backend;
mod command;
mod file;
mod objects;
mod timeout;

use std::path::PathBuf;

pub use backend::{Backend, Kept, keep};
#[cfg(feature = "shared")]
pub use objects::credentials_for;
pub use objects::object_credentials;
pub use timeout::Timeout;

use self::command::Limits;
use crate::error::{self, Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::{Profile, Settings, env, profile_variable};

/// The tokens in a backend, by account.
trait TokenStore {
    /// Reads a token. Returns `None` if it does not exist.
    fn read(&self, account: &str, timeout: &Timeout) -> Result<Option<Secret>>;

    /// Reads a token only if no prompt is required.
    fn peek(&self, account: &str, timeout: &Timeout) -> Option<Secret>;

    /// Writes a token.
    fn write(&self, account: &str, secret: &Secret, timeout: &Timeout) -> Result<()>;

    /// Removes a token. Returns whether it existed.
    fn remove(&self, account: &str, timeout: &Timeout) -> Result<bool>;
}

/// The source of a token, kept with the token so that errors can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The user's input, typed or piped.
    Given,
    /// An environment variable.
    Variable(String),
    /// The profile's `token_command`.
    Command,
    /// The backend that `auth login` recorded.
    Backend(Backend),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given => f.write_str("the input"),
            Self::Variable(name) => f.write_str(name),
            Self::Command => f.write_str("token_command"),
            Self::Backend(backend) => f.write_str(backend.word()),
        }
    }
}

/// A token and its source.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub secret: Secret,
    /// The source of the token.
    pub source: Source,
}

/// Finds the token for a profile. Returns `None` if no source is configured, and an error of kind [`Kind::Auth`] if
/// the configured source contains no token.
pub fn token(settings: &Settings, profile: &Profile, timeout: &Timeout) -> Result<Option<Token>> {
    let Some(source) = source(settings, profile)? else { return Ok(None) };
    let secret = match &source {
        Source::Given => None,
        Source::Variable(name) => settings.env.text(name)?.map(Secret::new),
        Source::Command => match &profile.file.token_command {
            Some(words) => Some(run_command(settings, profile, words)?),
            None => None,
        },
        Source::Backend(backend) => Some(read(settings, &profile.name, *backend, timeout)?),
    };
    let Some(secret) = secret else { return Ok(None) };
    match secret.problem() {
        None => Ok(Some(Token { secret, source })),
        Some(why) => {
            let error = Error::new(Kind::Auth, format!("{source}: invalid token: {why}"));
            Err(match &source {
                Source::Backend(_) => error.hint(to_log_in(&profile.name)),
                _ => error,
            })
        }
    }
}

/// The token for a profile if it can be read without a prompt, for background work such as completions. Skips a
/// `token_command`, which may prompt on the terminal, and a locked keyring.
pub fn without_prompt(settings: &Settings, profile: &Profile, timeout: &Timeout) -> Option<Token> {
    let source = source(settings, profile).ok()??;
    let secret = match &source {
        Source::Given | Source::Command => None,
        Source::Variable(name) => settings.env.get(name).map(Secret::new),
        Source::Backend(backend) => backend.open(settings).peek(&profile.name, timeout),
    };
    secret.filter(|secret| secret.problem().is_none()).map(|secret| Token { secret, source })
}

/// The source of a profile's token, without opening it. Returns `None` if no source is configured.
pub fn source(settings: &Settings, profile: &Profile) -> Result<Option<Source>> {
    let is_set = |source: &Source| match source {
        Source::Variable(name) => settings.env.is_set(name),
        _ => true,
    };
    Ok(sources(settings, profile)?.into_iter().find(is_set))
}

/// The possible sources of a profile's token in order of precedence, including variables that are not set.
///
/// The platform's official variables belong to the built-in profile's account. Another profile may belong to a
/// different account, so for it they come last, and only if it uses the vendor's own host: a token must not be sent
/// to another host.
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
    sources.extend(recorded(settings, profile)?.map(Source::Backend));
    if !profile.is_built_in() && profile.is_vendors() {
        sources.extend(official());
    }
    Ok(sources)
}

/// The backend that `auth login` recorded in the config file.
pub fn recorded(settings: &Settings, profile: &Profile) -> Result<Option<Backend>> {
    let Some(word) = &profile.file.token_store else { return Ok(None) };
    let backend = Backend::parse(word).ok_or_else(|| {
        let place = settings.file.origin(&["profiles", &profile.name, "token_store"]);
        Error::usage(format!("{place}: unknown token store {word:?}")).hint(to_log_in(&profile.name))
    })?;
    Ok(Some(backend))
}

/// The hint to store a token for a profile.
fn to_log_in(profile: &str) -> String {
    format!("run `haul auth login {}`", error::word(profile))
}

/// Hints for a missing token, or the source of a rejected one.
pub fn hints(profile: &Profile, found: Option<&Token>) -> Vec<String> {
    match found {
        Some(Token { source: Source::Given, .. }) => Vec::new(),
        Some(token) => vec![format!("the token came from {}", token.source)],
        None if profile.spec.token_variables.is_empty() => Vec::new(),
        None => {
            vec![format!("set {}, or {}", variable(profile), to_log_in(&profile.name))]
        }
    }
}

/// The variable to set for a profile: the platform's official variable, or the profile's own.
pub fn variable(profile: &Profile) -> String {
    match profile.spec.token_variables.first().filter(|_| profile.is_built_in()) {
        Some(official) => (*official).to_owned(),
        None => profile_variable(&profile.name, "TOKEN"),
    }
}

/// Reads a token from the recorded backend.
fn read(settings: &Settings, profile: &str, backend: Backend, timeout: &Timeout) -> Result<Secret> {
    let found = backend.open(settings).read(profile, timeout).map_err(|error| {
        error.hint(format!("to use another token, set {}", profile_variable(profile, "TOKEN")))
    })?;
    found.ok_or_else(|| {
        let error =
            Error::new(Kind::Auth, format!("{profile}: the token is no longer in {}", backend.title()));
        let error = error.hint(to_log_in(profile));
        if backend == Backend::KernelKeyring {
            error.hint(
                "the kernel removes tokens that have not been used for a few days, and all tokens on reboot",
            )
        } else {
            error
        }
    })
}

/// The path of a profile's token file, if the backend is a file.
pub fn token_file(settings: &Settings, profile: &str, backend: Backend) -> Option<PathBuf> {
    let is_file = backend == Backend::File;
    is_file.then(|| file::TokenFiles::new(settings).path(profile).ok()).flatten()
}

/// Removes a profile's token from a backend. Returns whether it existed.
pub fn remove(settings: &Settings, profile: &str, backend: Backend, timeout: &Timeout) -> Result<bool> {
    backend.open(settings).remove(profile, timeout)
}

/// Runs a `token_command`, unless other users could have modified it.
fn run_command(settings: &Settings, profile: &Profile, words: &[String]) -> Result<Secret> {
    let name = &profile.name;
    if settings.file.is_writable_by_others() {
        let place = settings.file.origin(&["profiles", name, "token_command"]);
        return Err(Error::new(
            Kind::Auth,
            format!("{place}: token_command is not run, because other users can change this file"),
        )
        .hint(format!(
            "check the file, then run `chmod go-w {}`",
            error::word(&settings.file.path.display().to_string())
        )));
    }
    command::first_line(words, &Limits::default())
        .map(|line| Secret::new(&line))
        .map_err(|why| Error::new(Kind::Auth, format!("profile {name}: token_command failed")).cause(why))
}
