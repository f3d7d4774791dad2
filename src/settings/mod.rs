//! One value for all settings: flags over environment over config file over built-in, each with its origin.

mod base_url;
pub mod env;
pub mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use url::Url;

pub use env::Env;

use base_url::parse_base_url;

use crate::error::{Error, Result};
use crate::providers::{self, REGISTRY, Spec};
use crate::secret::Secret;

/// What the command line says about settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--profile`.
    pub profile: Option<String>,
    /// `--base-url`.
    pub base_url: Option<String>,
    /// `--dialect`.
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
    /// The config file.
    File(PathBuf),
    /// The program.
    BuiltIn,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn => f.write_str("built in"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// All settings.
#[derive(Debug)]
pub struct Settings {
    /// What the command line says.
    pub flags: Flags,
    /// The environment.
    pub env: Env,
    /// The config file.
    pub file: file::File,
    /// Where the program keeps its things.
    pub folders: Folders,
}

/// The program's folders: the platform's usual ones, or below `HAUL_HOME`.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Settings.
    pub config: PathBuf,
    /// The embedded store.
    pub data: PathBuf,
    /// The journal.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
}

/// A profile with everything that is known about it.
#[derive(Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub spec: &'static Spec,
    /// Where the API is.
    pub base_url: Sourced<Url>,
    /// Where files are uploaded.
    pub upload_base_url: Sourced<Url>,
    /// The wire dialect.
    pub dialect: Sourced<String>,
    /// The values of `--set`.
    pub set: BTreeMap<String, Sourced<String>>,
    /// The secret ones among them.
    pub secrets: BTreeMap<String, Secret>,
    /// What the config file says about it.
    pub file: file::Profile,
}

impl Profile {
    /// Whether it is the ready-made profile of its platform.
    pub fn is_built_in(&self) -> bool {
        self.name == self.spec.name
    }

    /// Whether it reaches the vendor's own host: only there may the vendor's own token variables be used by a named
    /// profile.
    pub fn is_vendors(&self) -> bool {
        Url::parse(self.spec.base_url).is_ok_and(|own| own.origin() == self.base_url.value.origin())
    }
}

impl Settings {
    /// Reads the settings; the config file only if it exists.
    pub fn load(flags: Flags, env: Env) -> Result<Self> {
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

    /// The fixed time of tests.
    pub fn fixed_now(env: &Env) -> Result<Option<Timestamp>> {
        let Some(text) = env.get(env::NOW) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Error::usage(format!("{}={text}: not an RFC 3339 time", env::NOW)))
    }

    /// The name of the profile that the command uses.
    pub fn profile_name(&self) -> Sourced<String> {
        if let Some(name) = &self.flags.profile {
            return Sourced { value: name.clone(), origin: Origin::Flag("--profile") };
        }
        if let Some(name) = self.env.get(env::PROFILE) {
            return Sourced { value: name.to_owned(), origin: Origin::Variable(env::PROFILE.to_owned()) };
        }
        if let Some(name) = &self.file.default_profile {
            return Sourced { value: name.clone(), origin: Origin::File(self.file.path.clone()) };
        }
        Sourced { value: "local".to_owned(), origin: Origin::BuiltIn }
    }

    /// Whether there is a profile of that name.
    pub fn is_profile(&self, name: &str) -> bool {
        providers::find(name).is_some()
            || self.file.profiles.contains_key(name)
            || self.env.get(&profile_variable(name, "PROVIDER")).is_some()
    }

    /// The names of all profiles: built-in, of the config file, of the environment.
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

    /// Resolves a profile. Flags and the unnamed variables (`HAUL_BASE_URL`, …) count for the command's own profile
    /// alone, so that a second address on the same command line does not get the first one's URL.
    pub fn profile(&self, name: &str) -> Result<Profile> {
        let is_own = self.profile_name().value == name;
        let file = self.file.profiles.get(name).cloned().unwrap_or_default();
        let spec = self.spec_of(name, &file)?;
        let dialect = self.dialect(name, spec, &file, is_own)?;
        let base_url = self.base_url(name, spec, &file, is_own)?;
        let upload_base_url = self.upload_base_url(name, spec, &file, is_own, &base_url)?;
        let (set, secrets) = self.set(name, spec, &file, is_own)?;
        Ok(Profile { name: name.to_owned(), spec, base_url, upload_base_url, dialect, set, secrets, file })
    }

    /// The time limit of a request.
    pub fn timeout(&self) -> Result<Sourced<Duration>> {
        let (text, origin) = match (&self.flags.timeout, self.env.get(env::TIMEOUT)) {
            (Some(text), _) => (text.as_str(), Origin::Flag("--timeout")),
            (None, Some(text)) => (text, Origin::Variable(env::TIMEOUT.to_owned())),
            (None, None) => return Ok(Sourced { value: Duration::from_secs(60), origin: Origin::BuiltIn }),
        };
        let value = parse_lifetime(text)
            .and_then(|span| Duration::try_from(span).ok())
            .filter(|span| !span.is_zero());
        let value = value.ok_or_else(|| {
            Error::usage(format!("{origin} {text}: not a length of time")).hint("write `30s` or `2m`")
        })?;
        Ok(Sourced { value, origin })
    }

    /// How often a request is tried again.
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

    /// The PEM file of certificate authorities to trust besides the system's.
    pub fn cacert(&self) -> Option<Sourced<PathBuf>> {
        let flag = self.flags.cacert.clone().map(|value| Sourced { value, origin: Origin::Flag("--cacert") });
        flag.or_else(|| {
            let value = self.env.path(env::CACERT)?;
            Some(Sourced { value, origin: Origin::Variable(env::CACERT.to_owned()) })
        })
    }

    fn spec_of(&self, name: &str, file: &file::Profile) -> Result<&'static Spec> {
        let variable = profile_variable(name, "PROVIDER");
        let provider = self.env.get(&variable).or(file.provider.as_deref());
        if let Some(provider) = provider {
            return providers::find(provider).ok_or_else(|| {
                let names: Vec<&str> = REGISTRY.iter().map(|spec| spec.name).collect();
                Error::usage(format!("profile {name}: no provider is called {provider:?}"))
                    .hint(format!("providers: {}", names.join(", ")))
            });
        }
        providers::find(name).ok_or_else(|| {
            let names = self.profile_names();
            let mut error = Error::usage(format!("no profile is called {name:?}"));
            if let Some(near) = crate::error::nearest(name, names.iter().map(String::as_str)) {
                error = error.hint(format!("did you mean `{near}`?"));
            }
            error.hint(format!("profiles: {}", names.join(", ")))
        })
    }

    /// The first of: flag, variable of the command's profile, variable of the named profile, config file.
    fn pick(
        &self,
        name: &str,
        is_own: bool,
        part: Part,
        in_file: Option<&String>,
    ) -> Option<Sourced<String>> {
        let flag = part.flag.filter(|_| is_own).map(|value| (value.clone(), Origin::Flag(part.flag_name)));
        let variable = |name: &str| Some((self.env.get(name)?.to_owned(), Origin::Variable(name.to_owned())));
        let (value, origin) = flag
            .or_else(|| if is_own { variable(part.variable) } else { None })
            .or_else(|| variable(&profile_variable(name, part.suffix)))
            .or_else(|| Some((in_file?.clone(), Origin::File(self.file.path.clone()))))?;
        Some(Sourced { value, origin })
    }

    fn dialect(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<Sourced<String>> {
        let part = Part {
            flag: self.flags.dialect.as_ref(),
            flag_name: "--dialect",
            variable: env::DIALECT,
            suffix: "DIALECT",
        };
        let Some(picked) = self.pick(name, is_own, part, file.dialect.as_ref()) else {
            return Ok(Sourced { value: "auto".to_owned(), origin: Origin::BuiltIn });
        };
        if picked.value == "auto" || spec.dialects.iter().any(|dialect| dialect.name == picked.value) {
            return Ok(picked);
        }
        let names: Vec<&str> =
            std::iter::once("auto").chain(spec.dialects.iter().map(|dialect| dialect.name)).collect();
        Err(Error::usage(format!("{}: {} has no dialect {:?}", picked.origin, spec.name, picked.value))
            .hint(format!("dialects: {}", names.join(", "))))
    }

    fn base_url(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<Sourced<Url>> {
        let part = Part {
            flag: self.flags.base_url.as_ref(),
            flag_name: "--base-url",
            variable: env::BASE_URL,
            suffix: "BASE_URL",
        };
        let vendors = || {
            // A named profile without a base URL of its own is still that platform's: the vendor's variable counts.
            spec.base_url_variables.iter().find_map(|variable| {
                Some(Sourced {
                    value: self.env.get(variable)?.to_owned(),
                    origin: Origin::Variable((*variable).to_owned()),
                })
            })
        };
        if spec.base_url.is_empty() {
            let value = Url::parse("local:").map_err(|error| Error::failed(error.to_string()))?;
            return Ok(Sourced { value, origin: Origin::BuiltIn });
        }
        let picked = self
            .pick(name, is_own, part, file.base_url.as_ref())
            .or_else(vendors)
            .unwrap_or_else(|| Sourced { value: spec.base_url.to_owned(), origin: Origin::BuiltIn });
        Ok(Sourced { value: parse_base_url(&picked, spec.base_path)?, origin: picked.origin })
    }

    fn upload_base_url(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
        base: &Sourced<Url>,
    ) -> Result<Sourced<Url>> {
        let part =
            Part { flag: None, flag_name: "", variable: env::UPLOAD_BASE_URL, suffix: "UPLOAD_BASE_URL" };
        if let Some(picked) = self.pick(name, is_own, part, file.upload_base_url.as_ref()) {
            return Ok(Sourced { value: parse_base_url(&picked, spec.base_path)?, origin: picked.origin });
        }
        match spec.upload_base_url {
            // Whoever moves the API moves the uploads with it, else they would still go to the vendor.
            Some(default) if base.origin == Origin::BuiltIn => {
                let default = Sourced { value: default.to_owned(), origin: Origin::BuiltIn };
                Ok(Sourced { value: parse_base_url(&default, spec.base_path)?, origin: Origin::BuiltIn })
            }
            _ => Ok(base.clone()),
        }
    }

    #[allow(clippy::type_complexity, reason = "two maps, named where they end up")]
    fn set(
        &self,
        name: &str,
        spec: &'static Spec,
        file: &file::Profile,
        is_own: bool,
    ) -> Result<(BTreeMap<String, Sourced<String>>, BTreeMap<String, Secret>)> {
        let mut found: BTreeMap<String, Sourced<String>> = BTreeMap::new();
        for (key, value) in &file.set {
            found.insert(
                key.clone(),
                Sourced { value: value.clone(), origin: Origin::File(self.file.path.clone()) },
            );
        }
        // Variables are set for a whole job, for every platform at once: only keys that this platform knows count.
        let prefixes = [env::SET_PREFIX.to_owned(), format!("{}SET_", profile_variable(name, ""))];
        for prefix in &prefixes {
            for (key, value) in self.env.with_prefix(prefix) {
                let (key, origin) = (key.to_lowercase(), Origin::Variable(format!("{prefix}{key}")));
                if spec.settings.iter().any(|setting| setting.key == key) {
                    found.insert(key, Sourced { value: value.to_owned(), origin });
                }
            }
        }
        if is_own {
            for (key, value) in &self.flags.set {
                found.insert(key.clone(), Sourced { value: value.clone(), origin: Origin::Flag("--set") });
            }
        }
        if let Some(link) = self.flags.link.as_ref().filter(|_| is_own) {
            found.insert("link".to_owned(), Sourced { value: link.clone(), origin: Origin::Flag("--link") });
        }
        let mut secrets = BTreeMap::new();
        for (key, sourced) in &found {
            let Some(setting) = spec.settings.iter().find(|setting| setting.key == key) else {
                return Err(unknown_setting(spec, key, &sourced.origin));
            };
            if setting.secret {
                if sourced.origin == Origin::Flag("--set") {
                    return Err(Error::usage(format!(
                        "{key} is a secret: an argument can be read by every process"
                    ))
                    .hint(format!(
                        "set it in the environment: {}{}",
                        env::SET_PREFIX,
                        key.to_uppercase()
                    )));
                }
                secrets.insert(key.clone(), Secret::new(&sourced.value));
            }
        }
        found.retain(|key, _| !secrets.contains_key(key));
        Ok((found, secrets))
    }
}

/// One part of a profile and what it is called in each place.
struct Part<'a> {
    flag: Option<&'a String>,
    flag_name: &'static str,
    variable: &'static str,
    suffix: &'static str,
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
            Error::failed("no home directory: there is no place for the store and the settings")
                .hint(format!("name one: {}=/path/to/a/folder", env::HOME))
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

/// `HAUL_PROFILE_WORK_TOKEN` for profile `work` and part `TOKEN`.
pub fn profile_variable(name: &str, part: &str) -> String {
    let name: String =
        name.to_uppercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{}{name}_{part}", env::PROFILE_PREFIX)
}

/// Parses a length of time: `90s`, `15m`, `24h`, `7d`, `2w`, `1h30m`.
pub fn parse_lifetime(text: &str) -> Option<SignedDuration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

fn unknown_setting(spec: &Spec, key: &str, origin: &Origin) -> Error {
    let keys: Vec<&str> = spec.settings.iter().map(|setting| setting.key).collect();
    let error = Error::usage(format!("{origin}: {} has no setting {key:?}", spec.name));
    if keys.is_empty() {
        return error.hint(format!("{} has no settings", spec.name));
    }
    error.hint(format!("settings of {}: {}", spec.name, keys.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_as_people_write_them() {
        let seconds = |text| parse_lifetime(text).map(|span| span.as_secs());
        assert_eq!(seconds("24h"), Some(86_400));
        assert_eq!(seconds("7d"), Some(604_800));
        assert_eq!(seconds("1h30m"), Some(5_400));
        assert_eq!(seconds("soon"), None);
    }
}
