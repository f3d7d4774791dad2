//! The backends that store tokens on this machine: keyrings and private files.

use std::process;
use std::time::Duration;

use keyring::Entry;

use super::file::TokenFiles;
use super::{Timeout, TokenStore};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::settings::Settings;

/// The service name of haul's keyring entries. The account is the profile name.
const SERVICE: &str = "haul";

/// A place where tokens are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The desktop keyring, accessed over D-Bus: GNOME Keyring, `KWallet` or `KeePassXC`.
    SecretService,
    /// The Linux kernel keyring, which is kept in memory only.
    KernelKeyring,
    /// The macOS keychain.
    Keychain,
    /// The Windows Credential Manager.
    CredentialManager,
    /// A private file, used only if requested.
    File,
}

impl Backend {
    const ALL: [Self; 5] =
        [Self::SecretService, Self::KernelKeyring, Self::Keychain, Self::CredentialManager, Self::File];

    /// The keyrings on this platform, in order of preference.
    const fn keyrings() -> &'static [Self] {
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

    /// The name used in the config file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::KernelKeyring => "kernel-keyring",
            Self::Keychain => "keychain",
            Self::CredentialManager => "credential-manager",
            Self::File => "file",
        }
    }

    /// The name used in messages.
    pub const fn title(self) -> &'static str {
        match self {
            Self::SecretService => "the desktop keyring (Secret Service)",
            Self::KernelKeyring => "the kernel keyring",
            Self::Keychain => "the keychain",
            Self::CredentialManager => "the Credential Manager",
            Self::File => "a file",
        }
    }

    /// The backend with this name in the config file.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.word() == word)
    }

    /// How long an unused token is kept; `None` means forever. Only the kernel keyring has such a period, which each
    /// use restarts; a reboot also removes its tokens.
    pub fn keeps_for(self) -> Option<Duration> {
        if self != Self::KernelKeyring {
            return None;
        }
        let text = std::fs::read_to_string("/proc/sys/kernel/keys/persistent_keyring_expiry").ok()?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Opens the backend.
    pub(super) fn open(self, settings: &Settings) -> Box<dyn TokenStore> {
        match self {
            Self::File => Box::new(TokenFiles::new(settings)),
            keyring => Box::new(Keyring(keyring)),
        }
    }
}

/// Where a token was stored.
pub struct Kept {
    /// The backend.
    pub backend: Backend,
    /// The errors from preferred backends that were skipped.
    pub skipped: Vec<Error>,
}

/// Stores the token for `account` in the first keyring that works, or in a file if `insecure` is set.
///
/// Reading cannot distinguish a locked or broken keyring from an empty one, so a test value is written, read back and
/// deleted. If no keyring works, the error contains the reason for each one.
pub fn keep(
    settings: &Settings,
    account: &str,
    secret: &Secret,
    insecure: bool,
    timeout: &Timeout,
) -> Result<Kept> {
    if insecure {
        Backend::File.open(settings).write(account, secret, timeout)?;
        return Ok(Kept { backend: Backend::File, skipped: Vec::new() });
    }
    let mut skipped = Vec::new();
    for &backend in Backend::keyrings() {
        let keyring = Keyring(backend);
        match keyring.probe(timeout).and_then(|()| keyring.write(account, secret, timeout)) {
            Ok(()) => return Ok(Kept { backend, skipped }),
            Err(error) => skipped.push(error),
        }
    }
    let error = Error::failed("no keyring on this machine can store the token");
    Err(skipped.iter().fold(error, |error, why| error.detail(why.to_string())))
}

/// A keyring backend.
#[derive(Clone, Copy)]
struct Keyring(Backend);

impl TokenStore for Keyring {
    fn read(&self, account: &str, timeout: &Timeout) -> Result<Option<Secret>> {
        let found = self.call(account, timeout, Entry::get_password)?;
        Ok(found.map(|text| Secret::new(&text)))
    }

    fn peek(&self, account: &str, timeout: &Timeout) -> Option<Secret> {
        match self.0 {
            Backend::SecretService => {
                let account = account.to_owned();
                timeout.run(move || unlocked(&account)).flatten()
            }
            // macOS asks the user whether this program may read the entry.
            Backend::Keychain => None,
            _ => self.read(account, timeout).ok().flatten(),
        }
    }

    fn write(&self, account: &str, secret: &Secret, timeout: &Timeout) -> Result<()> {
        let secret = secret.clone();
        let replace = self.0 == Backend::KernelKeyring;
        let write = move |entry: &Entry| {
            // Each login session links to the key that it last used and would keep using it. Deleting the key removes
            // it from every session.
            if replace {
                match entry.delete_credential() {
                    Ok(()) | Err(keyring::Error::NoEntry) => {}
                    Err(error) => return Err(error),
                }
            }
            entry.set_password(secret.expose())
        };
        let written = self.call(account, timeout, write)?;
        written.ok_or_else(|| self.unusable("it did not store the token".to_owned()))
    }

    fn remove(&self, account: &str, timeout: &Timeout) -> Result<bool> {
        Ok(self.call(account, timeout, Entry::delete_credential)?.is_some())
    }
}

impl Keyring {
    /// Writes, reads and deletes an entry.
    fn probe(self, timeout: &Timeout) -> Result<()> {
        // Two concurrent logins must not delete each other's test value.
        let account = format!("probe-{}", process::id());
        let worked = self.call(&account, timeout, |entry| {
            entry.set_password("probe")?;
            let read = entry.get_password();
            entry.delete_credential()?;
            Ok(read? == "probe")
        })?;
        if worked == Some(true) {
            return Ok(());
        }
        Err(Error::failed(format!("{} did not return a stored test value", self.0.title())))
    }

    /// Calls the keyring with the entry for `account`. Returns `None` if the entry does not exist.
    fn call<T: Send + 'static>(
        self,
        account: &str,
        timeout: &Timeout,
        call: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let owned = account.to_owned();
        let answer = timeout.run(move || {
            let entry = self.entry(&owned)?;
            Some(entry.and_then(|entry| call(&entry)))
        });
        match answer {
            None => Err(self.unusable(format!("no response within {} seconds", timeout.limit.as_secs()))),
            Some(None) => Err(self.unusable("not available on this system".to_owned())),
            Some(Some(Ok(answer))) => Ok(Some(answer)),
            Some(Some(Err(keyring::Error::NoEntry))) => Ok(None),
            // Keep only a description, because the error itself may contain the token.
            Some(Some(Err(error))) => Err(self.unusable(reason(&error))),
        }
    }

    /// The entry for `account`; `None` if this platform does not have the keyring.
    fn entry(self, account: &str) -> Option<keyring::Result<Entry>> {
        #[cfg(target_os = "linux")]
        {
            use keyring::secret_service::SsCredential;
            let boxed = match self.0 {
                Backend::SecretService => SsCredential::new_with_target(None, SERVICE, account)
                    .map(|credential| Entry::new_with_credential(Box::new(credential))),
                Backend::KernelKeyring => kernel_credential(account)
                    .map(|credential| Entry::new_with_credential(Box::new(credential))),
                _ => return None,
            };
            Some(boxed)
        }
        #[cfg(not(target_os = "linux"))]
        Backend::keyrings().contains(&self.0).then(|| Entry::new(SERVICE, account))
    }

    fn unusable(self, why: String) -> Error {
        Error::new(Kind::Auth, format!("{} cannot be used", self.0.title())).cause(why)
    }
}

/// The token for `account` in the desktop keyring, if the keyring is not locked. The `keyring` crate would always
/// unlock it.
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

    // Outside a login session (cron, a container), the session keyring is missing, and keys in the user keyring
    // cannot be read back. A session keyring for this thread gives access to the persistent keyring.
    let _ = KeyRing::from_special_id(KeyRingIdentifier::Session, true);
    let description = format!("{SERVICE}:{account}");
    let credential = KeyutilsCredential::new_with_target(Some(&description), SERVICE, account)?;
    if credential.persistent.is_some() {
        return Ok(credential);
    }
    let why = "the token would be lost when this session ends: the kernel has no persistent keyrings";
    Err(keyring::Error::NoStorageAccess(why.into()))
}

/// The message of a keyring error, without its wrappers.
fn reason(error: &keyring::Error) -> String {
    match error {
        keyring::Error::NoStorageAccess(inner) | keyring::Error::PlatformFailure(inner) => {
            let text = inner.to_string();
            // Common library messages, reworded for users.
            if text.contains("DBUS_SESSION_BUS_ADDRESS") || text.contains("autolaunch") {
                "no D-Bus session".to_owned()
            } else if text.contains("Did not receive a reply") {
                "no response".to_owned()
            } else if text.contains("ServiceUnknown") || text.contains("not provided by any") {
                "no keyring service is installed".to_owned()
            } else if ["prompt was dismissed", "object locked", "locked collection"]
                .iter()
                .any(|word| text.contains(word))
            {
                "it is locked".to_owned()
            } else if text.contains("no result found") {
                "it has no default collection".to_owned()
            } else if let Some(number) = text.strip_prefix("Unknown(").and_then(|text| text.strip_suffix(')'))
            {
                // A kernel error that the crate does not name.
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
