//! Which safe keeps a token: the first that keeps something else just as well.

use std::process;

use super::{Patience, Safe};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::settings::Settings;

/// Where a token was put.
pub struct Kept {
    /// The safe.
    pub safe: Safe,
    /// Why each better one was not taken.
    pub passed_over: Vec<Error>,
}

/// Keeps the token of `account` in the first keyring that works here; in a file only if `insecure` says so.
///
/// Reading alone cannot tell a locked keyring or a useless one from an empty one: each has to write a probe, read it
/// back and delete it. Where none does, the error says why for each.
pub fn keep(
    settings: &Settings,
    account: &str,
    secret: &Secret,
    insecure: bool,
    patience: &Patience,
) -> Result<Kept> {
    if insecure {
        Safe::File.write(settings, account, secret, patience)?;
        return Ok(Kept { safe: Safe::File, passed_over: Vec::new() });
    }
    let mut passed_over = Vec::new();
    for &safe in Safe::keyrings() {
        match probe(safe, patience).and_then(|()| safe.write(settings, account, secret, patience)) {
            Ok(()) => return Ok(Kept { safe, passed_over }),
            Err(error) => passed_over.push(error),
        }
    }
    let error = Error::failed("no keyring of this machine can keep the token");
    Err(passed_over.iter().fold(error, |error, why| error.detail(why.to_string())))
}

fn probe(safe: Safe, patience: &Patience) -> Result<()> {
    // Two logins at once must not take each other's probe away.
    let account = format!("probe-{}", process::id());
    let worked = safe.ask(&account, patience, |entry| {
        entry.set_password("probe")?;
        let read = entry.get_password();
        entry.delete_credential()?;
        Ok(read? == "probe")
    })?;
    if worked == Some(true) {
        return Ok(());
    }
    Err(Error::failed(format!("{} does not give back what it was given", safe.title())))
}
