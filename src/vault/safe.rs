//! The places of this machine that keep tokens.

use std::time::Duration;

use keyring::Entry;

use super::{Patience, file};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::Settings;

/// The name under which a keyring lists our entries; the account is the profile.
const SERVICE: &str = "haul";

/// A place of this machine that keeps tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// The desktop's keyring, over D-Bus: GNOME Keyring, `KWallet`, `KeePassXC`.
    SecretService,
    /// The Linux kernel's keyring: in memory alone.
    KernelKeyring,
    /// The keychain of macOS.
    Keychain,
    /// The Credential Manager of Windows.
    CredentialManager,
    /// A file that its owner alone can read; never chosen unasked.
    File,
}

impl Safe {
    const ALL: [Self; 5] =
        [Self::SecretService, Self::KernelKeyring, Self::Keychain, Self::CredentialManager, Self::File];

    /// The keyrings of this system, the better ones first.
    pub const fn keyrings() -> &'static [Self] {
        if cfg!(target_os = "linux") {
            &[Self::SecretService, Self::KernelKeyring]
        } else if cfg!(target_os = "macos") {
            &[Self::Keychain]
        } else if cfg!(windows) {
            &[Self::CredentialManager]
        } else {
            &[]
        }
    }

    /// The word in the config file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::KernelKeyring => "kernel-keyring",
            Self::Keychain => "keychain",
            Self::CredentialManager => "credential-manager",
            Self::File => "file",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SecretService => "the keyring of this desktop (Secret Service)",
            Self::KernelKeyring => "the kernel keyring",
            Self::Keychain => "the keychain",
            Self::CredentialManager => "the Credential Manager",
            Self::File => "a file",
        }
    }

    /// The safe of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|safe| safe.word() == word)
    }

    /// How long it keeps a token that is not used; None is for good. Each use starts the time anew, and a restart ends
    /// it.
    pub fn keeps_for(self) -> Option<Duration> {
        if self != Self::KernelKeyring {
            return None;
        }
        let text = std::fs::read_to_string("/proc/sys/kernel/keys/persistent_keyring_expiry").ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Reads the token of `account`; None where it has none.
    pub(super) fn read(
        self,
        settings: &Settings,
        account: &str,
        patience: &Patience,
    ) -> Result<Option<Secret>> {
        if self == Self::File {
            return file::read(&file::path(settings, account)?);
        }
        let found = self.ask(account, patience, Entry::get_password)?;
        Ok(found.map(|text| Secret::new(&text)))
    }

    /// Reads the token of `account` if nobody is asked for that: a locked desktop keyring would show its prompt, and
    /// macOS asks whether this program may.
    pub(super) fn peek(self, settings: &Settings, account: &str, patience: &Patience) -> Option<Secret> {
        match self {
            Self::File | Self::KernelKeyring | Self::CredentialManager => {
                self.read(settings, account, patience).ok().flatten()
            }
            Self::SecretService => {
                let account = account.to_owned();
                patience.wait(move || unlocked(&account)).flatten()
            }
            Self::Keychain => None,
        }
    }

    /// Writes the token of `account`.
    pub(super) fn write(
        self,
        settings: &Settings,
        account: &str,
        secret: &Secret,
        patience: &Patience,
    ) -> Result<()> {
        if self == Self::File {
            return file::write(&file::path(settings, account)?, secret);
        }
        let secret = secret.clone();
        let replace = self == Self::KernelKeyring;
        let write = move |entry: &Entry| {
            // Every login session of the kernel's holds a link to the key that it used last, and would go on with it:
            // only a key that is made invalid is gone for all of them.
            if replace {
                match entry.delete_credential() {
                    Ok(()) | Err(keyring::Error::NoEntry) => {}
                    Err(error) => return Err(error),
                }
            }
            entry.set_password(secret.expose())
        };
        let written = self.ask(account, patience, write)?;
        written.ok_or_else(|| self.trouble("it does not take the token".to_owned()))
    }

    /// Removes the token of `account`; whether there was one.
    pub(super) fn remove(self, settings: &Settings, account: &str, patience: &Patience) -> Result<bool> {
        if self == Self::File {
            return file::remove(&file::path(settings, account)?);
        }
        Ok(self.ask(account, patience, Entry::delete_credential)?.is_some())
    }

    /// Asks a keyring for something about `account`. None where it has no such entry.
    pub(super) fn ask<T: Send + 'static>(
        self,
        account: &str,
        patience: &Patience,
        question: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let owned = account.to_owned();
        let answer = patience.wait(move || {
            let entry = self.entry(&owned)?;
            Some(entry.and_then(|entry| question(&entry)))
        });
        match answer {
            None => Err(self.trouble(format!("no answer within {} seconds", patience.limit().as_secs()))),
            Some(None) => Err(self.trouble("this system has no such thing".to_owned())),
            Some(Some(Ok(answer))) => Ok(Some(answer)),
            Some(Some(Err(keyring::Error::NoEntry))) => Ok(None),
            Some(Some(Err(error))) => Err(self.trouble(reason(&error))),
        }
    }

    /// The entry of `account`; None where this system has no such keyring.
    fn entry(self, account: &str) -> Option<keyring::Result<Entry>> {
        #[cfg(target_os = "linux")]
        {
            use keyring::secret_service::SsCredential;
            let boxed = match self {
                Self::SecretService => SsCredential::new_with_target(None, SERVICE, account)
                    .map(|credential| Entry::new_with_credential(Box::new(credential))),
                Self::KernelKeyring => kernel_credential(account)
                    .map(|credential| Entry::new_with_credential(Box::new(credential))),
                _ => return None,
            };
            Some(boxed)
        }
        #[cfg(not(target_os = "linux"))]
        Self::keyrings().contains(&self).then(|| Entry::new(SERVICE, account))
    }

    fn trouble(self, why: String) -> Error {
        Error::new(Kind::Auth, format!("{} cannot be used", self.title())).cause(why)
    }
}

/// The desktop keyring's token of `account`, unless it is locked. `keyring` itself unlocks whatever it finds.
#[cfg(target_os = "linux")]
fn unlocked(account: &str) -> Option<Secret> {
    use dbus_secret_service::{EncryptionType, SecretService};

    let service = SecretService::connect(EncryptionType::Dh).ok()?;
    let about = [("service", SERVICE), ("username", account), ("target", "default")];
    let found = service.search_items(about.into()).ok()?;
    let secret = found.unlocked.first()?.get_secret().ok()?;
    Some(Secret::new(std::str::from_utf8(&secret).ok()?))
}

#[cfg(not(target_os = "linux"))]
fn unlocked(_account: &str) -> Option<Secret> {
    None
}

#[cfg(target_os = "linux")]
fn kernel_credential(account: &str) -> keyring::Result<keyring::keyutils::KeyutilsCredential> {
    use keyring::keyutils::KeyutilsCredential;
    use linux_keyutils::{KeyRing, KeyRingIdentifier};

    // Outside of a login session (cron, a container) there is no session keyring, and what is put into the user's own
    // cannot be read back. One made for this thread gives access to the persistent keyring, which stays.
    let _ = KeyRing::from_special_id(KeyRingIdentifier::Session, true);
    let description = format!("{SERVICE}:{account}");
    let credential = KeyutilsCredential::new_with_target(Some(&description), SERVICE, account)?;
    if credential.persistent.is_some() {
        return Ok(credential);
    }
    let why = "it would forget the token with this session: the kernel has no persistent keyrings";
    Err(keyring::Error::NoStorageAccess(why.into()))
}

/// What a keyring says, without the layers of wrapping.
fn reason(error: &keyring::Error) -> String {
    match error {
        keyring::Error::NoStorageAccess(inner) | keyring::Error::PlatformFailure(inner) => {
            let text = inner.to_string();
            // The libraries' words for common cases say little to somebody at a shell.
            if text.contains("DBUS_SESSION_BUS_ADDRESS") || text.contains("autolaunch") {
                "there is no D-Bus session here".to_owned()
            } else if text.contains("Did not receive a reply") {
                "it does not answer".to_owned()
            } else if text.contains("ServiceUnknown") || text.contains("not provided by any") {
                "no such service is installed".to_owned()
            } else if ["prompt was dismissed", "object locked", "locked collection"]
                .iter()
                .any(|word| text.contains(word))
            {
                "it is locked, and was not unlocked".to_owned()
            } else if text.contains("no result found") {
                "it has no default collection".to_owned()
            } else if let Some(number) = text.strip_prefix("Unknown(").and_then(|text| text.strip_suffix(')'))
            {
                // An error of the kernel that its crate has no word for.
                number
                    .parse()
                    .map_or(text.clone(), |number| std::io::Error::from_raw_os_error(number).to_string())
            } else {
                text
            }
        }
        other => other.to_string(),
    }
}
