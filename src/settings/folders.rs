//! The folders of the program.

use std::path::PathBuf;

use super::{Env, env};
use crate::error::{Error, Result};

/// The folders of the program: those of the system, or below `HAUL_HOME`.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Settings.
    pub config: PathBuf,
    /// The embedded store.
    pub data: PathBuf,
    /// The journal.
    pub state: PathBuf,
    /// Caches.
    pub cache: PathBuf,
}

impl Folders {
    pub(super) fn find(env: &Env) -> Result<Self> {
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
