//! All settings, each with its origin. Flags take precedence over the environment, then the config file, then
//! defaults.

pub mod env;
pub mod file;
mod own;
mod profile;

use std::path::PathBuf;
use std::time::Duration;

pub use env::Env;
use jiff::{SignedDuration, Timestamp};
pub use profile::{Profile, no_such_provider};

use crate::error::{Error, Result};
use crate::providers::{self, REGISTRY};

/// The settings given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--base-url`.
    pub base_url: Option<String>,
    /// `--wire-dialect`.
    pub dialect: Option<String>,
    /// `--set KEY=VALUE`.
    pub set: Vec<(String, String)>,
    /// `get --link`.
    pub link: Option<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--timeout`.
    pub timeout: Option<String>,
    /// `--retries`.
    pub retries: Option<u32>,
    /// `--cacert`.
    pub cacert: Option<PathBuf>,
    /// `--insecure-http`.
    pub insecure_http: bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// A line of the config file.
    File(PathBuf, usize),
    /// A default that is built into the program.
    BuiltIn,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::BuiltIn => f.write_str("built in"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// The origin of the value.
    pub origin: Origin,
}

/// All settings.
#[derive(Debug)]
pub struct Settings {
    /// The command line.
    pub flags: Flags,
    /// The environment.
    pub env: Env,
    /// The config file.
    pub file: file::File,
    /// The program's folders.
    pub folders: Folders,
}

impl Settings {
    /// Loads the settings.
    pub fn load(flags: Flags, env: Env) -> Result<Self> {
        env.check()?;
        let folders = Folders::find(&env)?;
        let path = flags
            .config
            .clone()
            .or_else(|| env.path(env::CONFIG))
            .unwrap_or_else(|| folders.config.join("config.toml"));
        if flags.config.is_some() && !path.exists() {
            return Err(Error::usage(format!("{}: no such config file", path.display())));
        }
        Ok(Self { file: file::File::read(&path)?, flags, env, folders })
    }

    /// A warning about variables that start with `HAUL_` but have no meaning.
    pub fn warning(&self) -> Option<String> {
        self.env.unknown()
    }

    /// Changes the config file. It is read again first, so that changes by other processes are kept.
    pub fn edit(&self, change: impl FnOnce(&mut file::File)) -> Result<()> {
        file::File::edit(&self.file.path, change)
    }

    /// Where a profile is defined: in the environment, in the config file or in the program.
    pub fn profile_origin(&self, name: &str) -> Origin {
        let variable = profile_variable(name, "PROVIDER");
        if self.env.get(&variable).is_some() {
            return Origin::Variable(variable);
        }
        if self.file.profiles.contains_key(name) {
            return self.file.origin(&["profiles", name]);
        }
        Origin::BuiltIn
    }

    /// The fixed current time, for tests.
    pub fn fixed_now(env: &Env) -> Result<Option<Timestamp>> {
        let Some(text) = env.get(env::NOW) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Error::usage(format!("{}={text}: not an RFC 3339 time", env::NOW)))
    }

    /// The name of the command's profile.
    pub fn profile_name(&self) -> Sourced<String> {
        if let Some(name) = &self.flags.profile {
            return Sourced { value: name.clone(), origin: Origin::Flag("--profile") };
        }
        if let Some(name) = self.env.get(env::PROFILE) {
            return Sourced { value: name.to_owned(), origin: Origin::Variable(env::PROFILE.to_owned()) };
        }
        if let Some(name) = &self.file.default_profile {
            return Sourced { value: name.clone(), origin: self.file.origin(&["default_profile"]) };
        }
        Sourced { value: "local".to_owned(), origin: Origin::BuiltIn }
    }

    /// Whether a profile with this name exists.
    pub fn is_profile(&self, name: &str) -> bool {
        providers::find(name).is_some()
            || providers::bucket_of(name).is_some()
            || self.file.profiles.contains_key(name)
            || self.env.get(&profile_variable(name, "PROVIDER")).is_some()
    }

    /// The names of all profiles: built-in profiles and those in the config file and the environment.
    pub fn profile_names(&self) -> Vec<String> {
        let mut names: Vec<String> = REGISTRY.iter().map(|spec| spec.name.to_owned()).collect();
        names.extend(self.file.profiles.keys().cloned());
        names.extend(
            self.env.with_prefix(env::PROFILE_PREFIX).filter_map(|(name, _)| {
                Some(name.strip_suffix("_PROVIDER")?.to_lowercase().replace('_', "-"))
            }),
        );
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Whether the variables that `haul serve` sets are present: the base URL of every platform that it emulates.
    pub fn is_served(&self) -> bool {
        let emulated = REGISTRY.iter().filter(|spec| spec.scheme.is_none() && !spec.base_url.is_empty());
        emulated.map(|spec| profile_variable(spec.name, "BASE_URL")).all(|name| self.env.is_set(&name))
    }

    /// The time limit for a request.
    pub fn timeout(&self) -> Result<Sourced<Duration>> {
        let (text, origin) = match (&self.flags.timeout, self.env.get(env::TIMEOUT)) {
            (Some(text), _) => (text.as_str(), Origin::Flag("--timeout")),
            (None, Some(text)) => (text, Origin::Variable(env::TIMEOUT.to_owned())),
            (None, None) => return Ok(Sourced { value: Duration::from_mins(1), origin: Origin::BuiltIn }),
        };
        let value = parse_lifetime(text)
            .and_then(|span| Duration::try_from(span).ok())
            .filter(|span| !span.is_zero());
        let value = value.ok_or_else(|| {
            Error::usage(format!("{origin} {text}: invalid duration")).hint("for example `30s` or `2m`")
        })?;
        Ok(Sourced { value, origin })
    }

    /// The number of times to retry a failed request.
    pub fn retries(&self) -> Result<Sourced<u32>> {
        if let Some(value) = self.flags.retries {
            return Ok(Sourced { value, origin: Origin::Flag("--retries") });
        }
        let Some(text) = self.env.get(env::RETRIES) else {
            return Ok(Sourced { value: 4, origin: Origin::BuiltIn });
        };
        let value =
            text.parse().map_err(|_| Error::usage(format!("{}={text}: not a whole number", env::RETRIES)))?;
        Ok(Sourced { value, origin: Origin::Variable(env::RETRIES.to_owned()) })
    }

    /// The PEM file with certificate authorities to trust in addition to the system's.
    pub fn cacert(&self) -> Option<Sourced<PathBuf>> {
        let flag = self.flags.cacert.clone().map(|value| Sourced { value, origin: Origin::Flag("--cacert") });
        flag.or_else(|| {
            let value = self.env.path(env::CACERT)?;
            Some(Sourced { value, origin: Origin::Variable(env::CACERT.to_owned()) })
        })
    }
}

/// The program's folders: the system's standard ones, or folders in `HAUL_HOME`.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The config file and tokens stored in files.
    pub config: PathBuf,
    /// The embedded store.
    pub data: PathBuf,
    /// The ledger and locks.
    pub state: PathBuf,
    /// Cached listings.
    pub cache: PathBuf,
}

impl Folders {
    fn find(env: &Env) -> Result<Self> {
        if let Some(home) = env.path(env::HOME) {
            let below = |name| home.join(name);
            return Ok(Self {
                config: home.clone(),
                data: below("data"),
                state: below("state"),
                cache: below("cache"),
            });
        }
        let missing = || {
            Error::failed("no home directory for the store and the config file")
                .hint(format!("set {}=/path/to/folder", env::HOME))
        };
        let below = |folder: Option<PathBuf>| folder.map(|folder| folder.join("haul")).ok_or_else(missing);
        Ok(Self {
            config: below(dirs::config_dir())?,
            data: below(dirs::data_dir())?,
            state: below(dirs::state_dir().or_else(dirs::data_local_dir))?,
            cache: below(dirs::cache_dir())?,
        })
    }
}

/// The variable for part of a profile: `HAUL_PROFILE_WORK_TOKEN` for profile `work` and part `TOKEN`.
pub fn profile_variable(name: &str, part: &str) -> String {
    let name: String =
        name.to_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{}{name}_{part}", env::PROFILE_PREFIX)
}

/// Words that never name a profile before the first `:` of a reference, because they start other references or are
/// URL schemes.
const RESERVED: [&str; 10] = ["id", "name", "batch", "file", "http", "https", "ftp", "data", "gs", "az"];

/// Rejects a profile name that has another meaning in a reference. `place` is where the name comes from, as a prefix
/// for the error.
pub fn check_reserved(name: &str, place: &str) -> Result<()> {
    if !RESERVED.contains(&name) {
        return Ok(());
    }
    Err(Error::usage(format!("{place}{name} is not a valid profile name: `{name}:` has a different meaning"))
        .hint(format!("use another name, such as `my-{name}`")))
}

/// Parses a duration such as `90s`, `15m`, `24h`, `7d`, `2w` or `1h30m`.
pub fn parse_lifetime(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_parsed_in_every_spelling() {
        let seconds = |text| parse_lifetime(text).map(|span| span.as_secs());
        assert_eq!(seconds("24h"), Some(86_400));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("1h30m"), Some(5_400));
        assert_eq!(seconds("soon"), None);
    }
}
