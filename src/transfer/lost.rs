//! Finds files whose upload response was lost.
//!
//! Sending such a file again could store it twice, and not sending it could lose it. Therefore the platform's listing
//! is searched for a file with the same name that was created after the upload started and matches in everything that
//! the platform reports. Uploads with the same name run one after another, so that one cannot claim the other's file.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::identity::{Compare, Identity};
use super::ledger::{Ledger, version};
use crate::error::{Error, Kind, Result, word};
use crate::files;
use crate::model::{File, FileId, NewFile};
use crate::providers::{Provider, files_named_since};

/// How much older than the upload a listed file may be before the search stops: some platforms do not list files
/// strictly by time.
pub(super) const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A file created less than this long after the start may be an older one, because the platform's time is known only to
/// the second and the date in a response is delayed by the network. Without a checksum, the file is downloaded and
/// compared.
const UNCERTAIN: SignedDuration = SignedDuration::from_secs(3);

/// The delay between two attempts to take the lock of another process.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The error for a step that failed after the upload itself had succeeded.
pub(super) fn after_upload(new: &NewFile, message: String, error: &Error) -> Error {
    let mut after = Error::new(error.kind(), message)
        .cause(error.message())
        .with_request_id(error.request_id().map(str::to_owned))
        .about(new.name.clone());
    if let Some(status) = error.status() {
        after = after.with_status(status);
    }
    after = error.causes().into_iter().fold(after, Error::cause);
    error.hints().iter().cloned().fold(after, Error::hint)
}

/// The hint after a lost response.
pub(super) const RUN_AGAIN: &str =
    "run the same command again: it checks whether the file exists before uploading";

/// The error for an upload whose response was lost (`error`) and whose file could not be looked up (`other`).
pub(super) fn not_found_out(error: Error, other: Error) -> Error {
    if other.is_unanswered() {
        return other;
    }
    let error = error.cause(format!("checking for the file also failed: {other}"));
    if other.kind() != Kind::RateLimited {
        return error.hint(RUN_AGAIN);
    }
    // The hints of `other` say when to run the command again.
    let error = error.with_kind(Kind::RateLimited).unanswered();
    other.hints().iter().fold(error, |error, hint| error.hint(hint.clone())).hint(RUN_AGAIN)
}

/// Finds the files of uploads whose responses were lost. Shared by all uploads of a command, so that no two uploads
/// claim the same file.
pub(super) struct LostUploads {
    provider: Arc<dyn Provider>,
    /// How long a new file may be missing from listings.
    appears_within: Duration,
    /// The files that belong to an upload of this command or existed before it.
    claimed: Mutex<HashSet<FileId>>,
}

impl LostUploads {
    pub(super) fn new(provider: Arc<dyn Provider>, appears_within: Option<Duration>) -> Self {
        let appears_within = appears_within.unwrap_or(provider.capabilities().appears_within);
        Self { provider, appears_within, claimed: Mutex::default() }
    }

    /// Excludes files that existed before the upload.
    pub(super) fn exclude<'a>(&self, files: impl IntoIterator<Item = &'a File>) {
        self.claimed().extend(files.into_iter().map(|file| file.id.clone()));
    }

    /// Claims a file for an upload. Returns false if it has already been claimed.
    pub(super) fn claim(&self, id: &FileId) -> bool {
        self.claimed().insert(id.clone())
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<FileId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds and claims the file of an upload that started at `since` by this machine's clock. Because a listing may
    /// lag behind, the file counts as absent only if it does not appear within `appears_within`.
    pub(super) async fn find(
        &self,
        new: &NewFile,
        since: Timestamp,
        identity: &Identity,
    ) -> Result<Option<File>> {
        let Some(client) = self.provider.client() else { return self.look(new, since, identity).await };
        let end = Instant::now().checked_add(self.appears_within);
        let mut pause = client.base_pause().min(self.appears_within);
        loop {
            // A listing may show only the files that existed when it began.
            let begun = Instant::now();
            if let Some(file) = self.look(new, since, identity).await? {
                return Ok(Some(file));
            }
            let left = end.map_or(self.appears_within, |end| end.saturating_duration_since(begun));
            if left.is_zero() {
                return Ok(None);
            }
            sleep(pause.min(left)).await;
            pause = pause.saturating_mul(2);
        }
    }

    async fn look(&self, new: &NewFile, since: Timestamp, identity: &Identity) -> Result<Option<File>> {
        if let Some(mark) = &new.mark {
            let found = self.provider.find_marked(mark).await?;
            return Ok(found.filter(|file| self.claim(&file.id)));
        }
        let bound = self.platform_time(since).checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        let named = files_named_since(&self.provider, &new.name, Some(bound)).await?;
        // This comes after the listing, whose response may be the first to report the platform's time.
        let begun = self.platform_time(since);
        let has_time = self.provider.client().is_none_or(|client| client.clock_ahead().is_some());
        // Platforms report whole seconds. Without the platform's time, the margin applies to this machine's clock.
        let earliest =
            if has_time { Timestamp::from_second(begun.as_second()).unwrap_or(begun) } else { bound };
        let uncertain = if has_time { UNCERTAIN } else { MARGIN };
        let certain = begun.checked_add(uncertain).unwrap_or(Timestamp::MAX);
        // The ledger knows files that existed before. If names are ids, it may know a different version of the file.
        let is_known = |file: &File| {
            let recorded = identity.ledger.content(&file.id);
            recorded
                .is_some_and(|known| !self.provider.spec().names_are_ids() || known.version == version(file))
        };
        let free = |file: &File| !self.claimed().contains(&file.id) && !is_known(file);
        let same_size = |file: &File| file.size.is_none_or(|size| size == new.size);
        let mut candidates: Vec<File> =
            named.into_iter().filter(|file| free(file) && same_size(file)).collect();
        candidates.retain(|file| file.created_at.is_none_or(|created| created >= earliest));
        candidates.sort_by_key(|file| std::cmp::Reverse(file.created_at));
        for file in candidates {
            let stated = identity.decide_by_statement(new, &file).await?;
            let same = match stated.map(|verdict| verdict.same) {
                // According to its creation time, this could be an older file.
                None if file.created_at.is_none_or(|created| created < certain) => {
                    identity.decide_by_content(new, &file, Compare::Auto).await?.map(|verdict| verdict.same)
                }
                same => same,
            };
            match (same, file.created_at) {
                (Some(false), _) => {}
                // Equal content proves nothing, because an older file may have the same content.
                (_, None) => return Err(self.undecidable(new, &file)),
                (_, Some(_)) if self.claim(&file.id) => return Ok(Some(file)),
                (_, Some(_)) => {}
            }
        }
        Ok(None)
    }

    /// Converts a time from this machine's clock to the platform's.
    pub(super) fn platform_time(&self, here: Timestamp) -> Timestamp {
        let ahead = self.provider.client().and_then(crate::http::Client::clock_ahead).unwrap_or_default();
        here.checked_add(ahead).unwrap_or(here)
    }

    fn undecidable(&self, new: &NewFile, found: &File) -> Error {
        let platform = self.provider.spec().name;
        let message = format!(
            "{}: no response from {platform}, and {} may be this file or an older one",
            new.name, found.id
        );
        Error::new(Kind::Unreachable, message)
            .hint(format!(
                "check before you upload it again: `haul ls -p {} {}`",
                word(self.provider.profile()),
                word(&new.name)
            ))
            .unanswered()
    }
}

/// The names currently being uploaded.
#[derive(Default)]
pub(super) struct NameLocks {
    busy: Mutex<BTreeSet<String>>,
    freed: Notify,
    /// The folder with the locks that other processes see, and the target that they are for.
    shared: Option<(PathBuf, String)>,
}

/// Holds names until dropped.
pub(super) struct NameLock<'a> {
    locks: &'a NameLocks,
    names: BTreeSet<String>,
    /// The lock files with their paths.
    files: Vec<(PathBuf, files::Locked)>,
}

impl NameLocks {
    pub(super) fn new(ledger: &Ledger) -> Self {
        Self { shared: ledger.locks(), ..Self::default() }
    }

    /// Waits until none of the names is held and then holds them all. With `shared`, they are also held against other
    /// processes that use the same ledger.
    pub(super) async fn lock(&self, names: BTreeSet<String>, shared: bool) -> NameLock<'_> {
        let mut lock = loop {
            // Created before the check, so that no notification in between is missed.
            let freed = self.freed.notified();
            if self.try_lock(&names) {
                break NameLock { locks: self, names, files: Vec::new() };
            }
            freed.await;
        };
        let Some((folder, target)) = self.shared.as_ref().filter(|_| shared) else { return lock };
        // Locked in the order of their names, so that two processes cannot wait for each other.
        for name in &lock.names {
            let path = folder.join(&blake3::hash(format!("{target}\n{name}").as_bytes()).to_hex()[..32]);
            let taken = loop {
                match std::fs::create_dir_all(folder).and_then(|()| files::lock_new(&path)) {
                    Ok(None) => sleep(LOCK_PAUSE).await,
                    Ok(file) => break file,
                    // Without lock support, nothing prevents two processes from uploading under this name at once.
                    Err(_) => break None,
                }
            };
            lock.files.extend(taken.map(|file| (path, file)));
        }
        lock
    }

    fn try_lock(&self, names: &BTreeSet<String>) -> bool {
        let mut busy = self.busy();
        let free = names.is_disjoint(&busy);
        if free {
            busy.extend(names.iter().cloned());
        }
        free
    }

    fn busy(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NameLock<'_> {
    fn drop(&mut self) {
        for (path, file) in self.files.drain(..) {
            // Removed under the lock, so that no other process can hold it in between.
            let _ = std::fs::remove_file(path);
            drop(file);
        }
        let mut busy = self.locks.busy();
        for name in &self.names {
            busy.remove(name);
        }
        self.locks.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_held_once() {
        let locks = NameLocks::default();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let first = locks.lock(names(&["a", "b"]), false).await;
        locks.lock(names(&["c"]), false).await;
        let mut second = std::pin::pin!(locks.lock(names(&["b", "c"]), false));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }
}
