//! The environment variables that haul reads, except those of the platforms' own clients. No other file reads the
//! environment of the process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result, nearest};
use crate::providers::REGISTRY;

/// The profile to use.
pub const PROFILE: &str = "HAUL_PROFILE";
/// The base URL of the current profile.
pub const BASE_URL: &str = "HAUL_BASE_URL";
/// The upload base URL of the current profile, on platforms with a separate upload host.
pub const UPLOAD_BASE_URL: &str = "HAUL_UPLOAD_BASE_URL";
/// The wire dialect of the current profile.
pub const DIALECT: &str = "HAUL_DIALECT";
/// The token of the current profile.
pub const TOKEN: &str = "HAUL_TOKEN";
/// The config file.
pub const CONFIG: &str = "HAUL_CONFIG";
/// A directory used instead of the config, data, state and cache directories.
pub const HOME: &str = "HAUL_HOME";
/// A fixed current time (RFC 3339), for tests.
pub const NOW: &str = "HAUL_NOW";
/// The time limit for a request.
pub const TIMEOUT: &str = "HAUL_TIMEOUT";
/// The number of times to retry a failed request.
pub const RETRIES: &str = "HAUL_RETRIES";
/// A PEM file with certificate authorities to trust in addition to the system's.
pub const CACERT: &str = "HAUL_CACERT";
/// `off` disables the ledger of uploads.
pub const LEDGER: &str = "HAUL_LEDGER";
/// The maximum total size of downloads made to compare files.
pub const COMPARE_LIMIT: &str = "HAUL_COMPARE_LIMIT";
/// How long a new file may be missing from listings.
pub const APPEARS_WITHIN: &str = "HAUL_APPEARS_WITHIN";
/// The token that `haul serve` accepts.
pub const SERVE_TOKEN: &str = "HAUL_SERVE_TOKEN";
/// The database that `haul serve` shares with other servers. Unlike an argument, it may contain a password.
pub const SERVE_INDEX: &str = "HAUL_SERVE_INDEX";
/// The password for the database of `haul serve`.
pub const PGPASSWORD: &str = "PGPASSWORD";
/// A file with passwords for databases, in the format of `~/.pgpass`.
pub const PGPASSFILE: &str = "PGPASSFILE";
/// How long a shared store keeps a blob without a file, for tests.
pub const TEST_COLLECT_AFTER: &str = "HAUL_TEST_COLLECT_AFTER";
/// The prefix of variables that define a profile: `HAUL_PROFILE_WORK_PROVIDER`, `…_BASE_URL`, `…_TOKEN`.
pub const PROFILE_PREFIX: &str = "HAUL_PROFILE_";
/// The parts that can follow a profile's name in a variable, besides `SET_KEY`.
const PROFILE_PARTS: &[&str] =
    &["PROVIDER", "BASE_URL", "UPLOAD_BASE_URL", "DIALECT", "TOKEN", "COMPARE_LIMIT", "APPEARS_WITHIN"];
/// The prefix of variables that set platform settings: `HAUL_SET_WORKSPACE`.
pub const SET_PREFIX: &str = "HAUL_SET_";
/// The prefix of variables for haul's own tests.
const TEST_PREFIX: &str = "HAUL_TEST_";
/// The prefix of all haul variables.
const PREFIX: &str = "HAUL_";
/// Variables that contain a path, which may be any sequence of bytes.
const PATHS: &[&str] = &[CONFIG, HOME, CACERT];
/// The proxies for each scheme and for all schemes. The HTTP client also reads these variables.
pub const PROXIES: &[&str] =
    &["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Disables color if not empty (see no-color.org).
pub const NO_COLOR: &str = "NO_COLOR";
/// Enables color even in a pipe, unless empty or 0.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
/// `dumb` disables color and progress bars.
pub const TERM: &str = "TERM";
/// The width of the output.
pub const COLUMNS: &str = "COLUMNS";
/// The shell that requests completions, set by the script from `haul completions`.
pub const COMPLETE: &str = "COMPLETE";
/// Set by CI services; disables prompts and progress bars.
pub const CI: &str = "CI";
/// The X display. Without a display, a keyring cannot show its prompt.
pub const DISPLAY: &str = "DISPLAY";
/// The Wayland display, see [`DISPLAY`].
pub const WAYLAND_DISPLAY: &str = "WAYLAND_DISPLAY";

/// Replaces the system's file of certificate authorities. rustls-native-certs also reads this variable.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
/// Replaces the system's folder of certificate authorities, see [`SSL_CERT_FILE`].
pub const SSL_CERT_DIR: &str = "SSL_CERT_DIR";

/// The variables and their descriptions, for `haul help environment` and the man page.
pub const DOCUMENTED: &[(&str, &str)] = &[
    (PROFILE, "profile to use; same as `--profile`"),
    (TOKEN, "token of the current profile"),
    (BASE_URL, "base URL of the current profile; same as `--base-url`"),
    (UPLOAD_BASE_URL, "base URL for uploads, on platforms with a separate upload host"),
    (DIALECT, "wire dialect of the current profile; same as `--wire-dialect`"),
    (
        "HAUL_PROFILE_NAME_PROVIDER",
        "defines a profile `name` without a config file; other settings include `…_BASE_URL`, `…_TOKEN`, `…_DIALECT` and `…_SET_KEY`",
    ),
    ("HAUL_SET_KEY", "platform setting `key`, like `--set key=…`; use this for secrets"),
    (TIMEOUT, "time limit for a request, or for a stall in a transfer; same as `--timeout`"),
    (RETRIES, "number of times to retry a failed request; same as `--retries`"),
    (
        LEDGER,
        "`off` keeps no record of uploads; a repeated command then sends finished files again, and comparisons need more downloads",
    ),
    (COMPARE_LIMIT, "maximum total size of downloads made to compare files, such as `1GB` [default: 256MB]"),
    (
        APPEARS_WITHIN,
        "how long a new file may be missing from listings, such as `30s` [default: depends on the platform]",
    ),
    (SERVE_TOKEN, "the only token that `haul serve` accepts; same as `--token`"),
    (SERVE_INDEX, "database address for `haul serve`; same as `--index`, but may contain a password"),
    (PGPASSWORD, "password for the database of `haul serve`"),
    (PGPASSFILE, "file with passwords for the database of `haul serve` [default: ~/.pgpass]"),
    (CACERT, "PEM file with additional certificate authorities to trust; same as `--cacert`"),
    (SSL_CERT_FILE, "PEM file with certificate authorities to trust instead of the system's"),
    (SSL_CERT_DIR, "folder of such files"),
    (CONFIG, "config file; same as `--config`"),
    (HOME, "folder for config, data, state and cache"),
    (NO_COLOR, "disables color if not empty"),
    (CLICOLOR_FORCE, "enables color even in a pipe, unless empty or 0"),
    (TERM, "`dumb` disables color and progress bars"),
    (COLUMNS, "width of tables and help"),
    (CI, "disables prompts and progress bars, unless empty or `false`"),
    (
        DISPLAY,
        "X display; if neither it nor `WAYLAND_DISPLAY` is set, haul does not wait for a keyring prompt",
    ),
    (WAYLAND_DISPLAY, "Wayland display; see `DISPLAY`"),
    (COMPLETE, "shell to complete for, set by the script from `haul completions`"),
    (NOW, "fixed current time (RFC 3339), for tests"),
];

/// The environment variables at program start.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, OsString>);

impl Env {
    /// The environment of the process.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect(),
        )
    }

    /// The value of a variable, if it is set, not empty and valid UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }

    /// The value of a variable, if it is set and not empty. Invalid UTF-8 is an error.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        if self.0.get(name).is_some_and(|value| value.to_str().is_none()) {
            return Err(Error::usage(format!("{name}: invalid UTF-8")));
        }
        Ok(self.get(name))
    }

    /// Whether a variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Whether a window, such as a keyring prompt, can be displayed.
    pub fn has_display(&self) -> bool {
        !cfg!(target_os = "linux") || self.get(DISPLAY).or_else(|| self.get(WAYLAND_DISPLAY)).is_some()
    }

    /// The value of a variable that contains a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// The PEM file with the system's certificate authorities, if it has one for all of them.
    pub fn certificate_bundle(&self) -> Option<PathBuf> {
        match self.path(SSL_CERT_FILE) {
            // A folder alone replaces the system's file.
            None if self.is_set(SSL_CERT_DIR) => None,
            #[cfg(all(unix, not(target_os = "macos")))]
            None => openssl_probe::probe().cert_file,
            file => file,
        }
    }

    /// The variables that start with `prefix`, which is removed from their names.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.keys().filter_map(move |name| Some((name.strip_prefix(prefix)?, self.get(name)?)))
    }

    /// Checks that haul's own variables, except paths, are valid UTF-8.
    pub(super) fn check(&self) -> Result<()> {
        let own = self.0.keys().filter(|name| name.starts_with(PREFIX) && !PATHS.contains(&name.as_str()));
        own.map(String::as_str).try_for_each(|name| self.text(name).map(drop))
    }

    /// A warning about variables that start with `HAUL_` but have no meaning.
    pub(super) fn unknown(&self) -> Option<String> {
        let known: Vec<&str> = DOCUMENTED.iter().filter_map(|(name, _)| name.strip_prefix(PREFIX)).collect();
        // The prefix is left out of the comparison, because it makes short names look similar.
        let near = |name: &str| {
            let rest = name.strip_prefix(PREFIX)?;
            nearest(rest, known.iter().copied().filter(|known| known.len().abs_diff(rest.len()) <= 2))
        };
        let describe = |name: &String| match near(name) {
            Some(near) => format!("{name} (did you mean {PREFIX}{near}?)"),
            None => name.clone(),
        };
        let unknown: Vec<String> =
            self.0.keys().filter(|name| name.starts_with(PREFIX) && !is_known(name)).map(describe).collect();
        match unknown.as_slice() {
            [] => None,
            [one] => Some(format!("unknown environment variable: {one}")),
            several => Some(format!("unknown environment variables: {}", several.join(", "))),
        }
    }
}

/// Whether haul or its tests read this variable.
fn is_known(name: &str) -> bool {
    let is_setting = |key: &str| {
        let key = key.to_lowercase();
        REGISTRY.iter().any(|spec| spec.settings.iter().any(|setting| setting.has_key(&key)))
    };
    if let Some(key) = name.strip_prefix(SET_PREFIX) {
        return is_setting(key);
    }
    if let Some(rest) = name.strip_prefix(PROFILE_PREFIX) {
        return PROFILE_PARTS
            .iter()
            .any(|part| rest.strip_suffix(part).is_some_and(|name| name.ends_with('_')))
            || rest.match_indices("_SET_").any(|(at, word)| is_setting(&rest[at + word.len()..]));
    }
    name.starts_with(TEST_PREFIX) || DOCUMENTED.iter().any(|(known, _)| *known == name)
}

/// Prints only the names, because values can be tokens.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

/// Whether the variables of the process name a terminal that shows hyperlinks.
pub fn shows_hyperlinks() -> bool {
    supports_hyperlinks::supports_hyperlinks()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(names: &[&str]) -> Env {
        names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect()
    }

    #[test]
    fn unknown_variables_are_one_warning() {
        let known = [
            "HAUL_HOME",
            "HAUL_TEST_ANYTHING",
            "HAUL_SET_SIGNING_SECRET",
            "HAUL_PROFILE_WORK_TOKEN",
            "HAUL_PROFILE_WORK_EU_BASE_URL",
            "HAUL_PROFILE_WORK_SET_TEAM_ID",
            "HAULAGE",
        ];
        assert_eq!(env(&known).unknown(), None);
        let warning = |names| env(names).unknown().unwrap_or_default();
        assert_eq!(
            warning(&["HAUL_PROFIL", "HAUL_SET_COLOR"]),
            "unknown environment variables: HAUL_PROFIL (did you mean HAUL_PROFILE?), HAUL_SET_COLOR"
        );
        assert_eq!(warning(&["HAUL_FOO"]), "unknown environment variable: HAUL_FOO");
        assert_eq!(warning(&["HAUL_LOG"]), "unknown environment variable: HAUL_LOG");
        assert_eq!(
            warning(&["HAUL_TIMEOTU"]),
            "unknown environment variable: HAUL_TIMEOTU (did you mean HAUL_TIMEOUT?)"
        );
        assert_eq!(
            warning(&["HAUL_PROFILE_WORK_BASE_ULR"]),
            "unknown environment variable: HAUL_PROFILE_WORK_BASE_ULR"
        );
    }

    #[test]
    fn variables_replace_the_certificate_authorities_of_the_system() {
        assert_eq!(env(&[SSL_CERT_FILE]).certificate_bundle(), Some("x".into()));
        assert_eq!(env(&[SSL_CERT_FILE, SSL_CERT_DIR]).certificate_bundle(), Some("x".into()));
        assert_eq!(env(&[SSL_CERT_DIR]).certificate_bundle(), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_paths_may_contain_invalid_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let set = |name: &str| Env([(name.to_owned(), OsString::from_vec(b"/x\xff".to_vec()))].into());
        for name in PATHS {
            assert!(set(name).check().is_ok() && set(name).path(name).is_some(), "{name}");
        }
        let error = set(PROFILE).check().expect_err("invalid");
        assert_eq!(error.message(), "HAUL_PROFILE: invalid UTF-8");
        // A platform's variable is an error only where it is read.
        let platform = set("XAI_API_KEY");
        assert!(platform.check().is_ok() && platform.is_set("XAI_API_KEY"));
        assert!(platform.text("XAI_API_KEY").is_err());
    }
}
