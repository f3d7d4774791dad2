//! All environment variables that haul reads. No other file reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Profile that commands use.
pub const PROFILE: &str = "HAUL_PROFILE";
/// Base URL of the profile in use.
pub const BASE_URL: &str = "HAUL_BASE_URL";
/// Upload base URL of the profile in use, if the platform has a separate host for uploads.
pub const UPLOAD_BASE_URL: &str = "HAUL_UPLOAD_BASE_URL";
/// Wire dialect of the profile in use.
pub const DIALECT: &str = "HAUL_DIALECT";
/// Token of the profile in use.
pub const TOKEN: &str = "HAUL_TOKEN";
/// Config file.
pub const CONFIG: &str = "HAUL_CONFIG";
/// Directory that replaces the config, data, state and cache directories.
pub const HOME: &str = "HAUL_HOME";
/// A fixed time (RFC 3339) for tests.
pub const NOW: &str = "HAUL_NOW";
/// Time limit for a request.
pub const TIMEOUT: &str = "HAUL_TIMEOUT";
/// Number of retries of a request.
pub const RETRIES: &str = "HAUL_RETRIES";
/// PEM file of certificate authorities to trust in addition to those of the system.
pub const CACERT: &str = "HAUL_CACERT";
/// Turns off the ledger of uploads if `off`.
pub const LEDGER: &str = "HAUL_LEDGER";
/// Maximum total size of downloads made to compare files.
pub const COMPARE_LIMIT: &str = "HAUL_COMPARE_LIMIT";
/// How long a new file may be missing from listings.
pub const APPEARS_WITHIN: &str = "HAUL_APPEARS_WITHIN";
/// Prefix of a profile in the environment: `HAUL_PROFILE_WORK_PROVIDER`, `…_BASE_URL`, `…_TOKEN`.
pub const PROFILE_PREFIX: &str = "HAUL_PROFILE_";
/// Prefix of a value of `--set`: `HAUL_SET_WORKSPACE`.
pub const SET_PREFIX: &str = "HAUL_SET_";
/// Disables color if not empty (see no-color.org).
pub const NO_COLOR: &str = "NO_COLOR";
/// Enables color even in a pipe, unless empty or 0.
pub const CLICOLOR_FORCE: &str = "CLICOLOR_FORCE";
/// `dumb` disables color and progress bars.
pub const TERM: &str = "TERM";
/// Width of the output.
pub const COLUMNS: &str = "COLUMNS";
/// The shell that requests completions, set by the script from `haul completions`.
pub const COMPLETE: &str = "COMPLETE";
/// Set by CI services. Disables prompts.
pub const CI: &str = "CI";
/// The X server. Without a display, a keyring cannot show its prompt.
pub const DISPLAY: &str = "DISPLAY";
/// The Wayland server, for the same purpose.
pub const WAYLAND_DISPLAY: &str = "WAYLAND_DISPLAY";

/// The variables and their descriptions, for `haul help environment` and the man page.
pub const DOCUMENTED: &[(&str, &str)] = &[
    (PROFILE, "profile to use, as `--profile`"),
    (TOKEN, "token of the current profile"),
    (BASE_URL, "base URL of the current profile, as `--base-url`"),
    (UPLOAD_BASE_URL, "base URL for uploads, on platforms with a separate upload host"),
    (DIALECT, "wire dialect of the current profile, as `--wire-dialect`"),
    (
        "HAUL_PROFILE_NAME_PROVIDER",
        "defines a profile `name` without a config file; its other settings are `…_BASE_URL`, `…_TOKEN`, `…_DIALECT` and `…_SET_KEY`",
    ),
    ("HAUL_SET_KEY", "setting `key` of the platform, as `--set key=…`; use this for secrets"),
    (TIMEOUT, "time limit for a request, as `--timeout`"),
    (RETRIES, "number of retries of a failed request, as `--retries`"),
    (LEDGER, "`off` keeps no record of uploads; repeating a command then needs more comparisons"),
    (COMPARE_LIMIT, "maximum total size of downloads made to compare files, such as `1GB` [default: 256MB]"),
    (
        APPEARS_WITHIN,
        "how long a new file may be missing from listings, such as `30s` [default: by platform]",
    ),
    (CACERT, "PEM file of additional certificate authorities to trust, as `--cacert`"),
    (CONFIG, "config file, as `--config`"),
    (HOME, "directory for config, data, state and cache"),
    (NO_COLOR, "disables color if not empty"),
    (CLICOLOR_FORCE, "enables color even in a pipe, unless empty or 0"),
    (TERM, "`dumb` disables color and progress bars"),
    (COLUMNS, "width of tables and help"),
    (CI, "disables prompts if set"),
    (DISPLAY, "X display; without it and `WAYLAND_DISPLAY`, haul does not wait for a keyring prompt"),
    (WAYLAND_DISPLAY, "Wayland display, see `DISPLAY`"),
    (COMPLETE, "shell to complete for, set by the script from `haul completions`"),
    (NOW, "fixed current time (RFC 3339), for tests"),
];

/// The environment at the start of the program.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of the process, without variables that are not valid UTF-8.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// A variable, if set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a window, such as a keyring prompt, can be shown.
    pub fn has_display(&self) -> bool {
        !cfg!(target_os = "linux") || self.get(DISPLAY).or_else(|| self.get(WAYLAND_DISPLAY)).is_some()
    }

    /// A variable that contains a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }

    /// The variables that start with `prefix`, without it.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}

/// Only the names: values can be tokens.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Env {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}
