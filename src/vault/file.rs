//! The safe of last resort: a file for each profile that its owner alone can read. Only with `--insecure-storage`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::files;
use crate::secret::Secret;
use crate::settings::Settings;

/// Where a profile's token is kept.
pub(super) fn path(settings: &Settings, profile: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if profile.is_empty() || !profile.chars().all(plain) {
        return Err(Error::usage(format!("profile {profile:?}: no file can be named after it"))
            .hint("give it a name of letters, digits and `-`"));
    }
    Ok(settings.folders.config.join("tokens").join(profile))
}

pub(super) fn read(path: &Path) -> Result<Option<Secret>> {
    let failed = |error: io::Error| {
        Error::new(Kind::Auth, format!("{}: cannot read the token", path.display())).caused_by(error)
    };
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the open file, so that nobody can put another in its place in between.
    if let Some(mode) = shared(&file.metadata().map_err(failed)?) {
        let message = format!("{}: others can read the token in it (mode {mode:04o})", path.display());
        return Err(Error::new(Kind::Auth, message)
            .hint(format!("`chmod 600 {}`, and better make a new token", path.display())));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(Some(Secret::new(&text)).filter(|secret| !secret.expose().is_empty()))
}

/// The mode of a file that others than its owner can read or write.
fn shared(metadata: &fs::Metadata) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

pub(super) fn write(path: &Path, secret: &Secret) -> Result<()> {
    let write = || {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(files::folder_of(path))?;
        files::replace(path, format!("{}\n", secret.expose()).as_bytes(), true)
    };
    write().map_err(|error| Error::io("write the token", path, error))
}

/// Removes the token file; if it is a symbolic link, the file it links to.
pub(super) fn remove(path: &Path) -> Result<bool> {
    let removed = files::place(path).and_then(|place| match place {
        files::Place::File(path) => fs::remove_file(path),
        files::Place::Stream => Err(io::Error::other("it is not a regular file")),
    });
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove the token", path, error)),
    }
}
