//! The file backend: one private file per profile, used only with `--insecure-storage`.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use super::{Timeout, TokenStore};
use crate::error::{Error, Kind, Result, word};
use crate::files;
use crate::secret::Secret;
use crate::settings::Settings;

/// The folder of the token files.
pub(super) struct TokenFiles(PathBuf);

impl TokenFiles {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(settings.folders.config.join("tokens"))
    }

    /// The path of the token file for `account`.
    pub(super) fn path(&self, account: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if account.is_empty() || !account.chars().all(plain) {
            return Err(Error::usage(format!("profile {account:?}: the name cannot be used as a file name"))
                .hint("use only letters, digits, `-` and `_` in the name"));
        }
        Ok(self.0.join(account))
    }
}

impl TokenStore for TokenFiles {
    fn read(&self, account: &str, _timeout: &Timeout) -> Result<Option<Secret>> {
        let path = self.path(account)?;
        let failed = |error: io::Error| {
            Error::new(Kind::Auth, format!("{}: cannot read the token", path.display())).caused_by(error)
        };
        let mut file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Check the mode of the open file, because the path may lead to a different file by now.
        if let Some(mode) = files::shared_mode(&file.metadata().map_err(failed)?) {
            let message =
                format!("{}: other users can access this token file (mode {mode:04o})", path.display());
            return Err(Error::new(Kind::Auth, message).hint(format!(
                "run `chmod 600 {}`, and replace the token: it may have leaked",
                word(&path.display().to_string())
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        Ok(Some(Secret::new(&text)).filter(|secret| !secret.expose().is_empty()))
    }

    fn peek(&self, account: &str, timeout: &Timeout) -> Option<Secret> {
        self.read(account, timeout).ok().flatten()
    }

    fn write(&self, account: &str, secret: &Secret, _timeout: &Timeout) -> Result<()> {
        let path = self.path(account)?;
        let write = || {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&self.0)?;
            files::replace(&path, format!("{}\n", secret.expose()).as_bytes(), true)
        };
        write().map_err(|error| Error::io("write the token", &path, error))
    }

    /// Removes the token file. If it is a symbolic link, the file that it points to is removed.
    fn remove(&self, account: &str, _timeout: &Timeout) -> Result<bool> {
        let path = self.path(account)?;
        let removed = files::place(&path).and_then(|place| match place {
            files::Place::File(path) => fs::remove_file(path),
            files::Place::Stream => Err(io::Error::other("not a regular file")),
        });
        match removed {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove the token", &path, error)),
        }
    }
}
