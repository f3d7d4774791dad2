//! Finds files whose upload was not answered.
//!
//! Sending such a file again could store it twice, and not sending it could lose it. The platform's listing is searched
//! for a file of that name that was created since the upload began and equals it in everything that the platform states.
//! Uploads of one name run one after the other, so that one cannot claim the file of another.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::digest::{compare, digest_of};
use crate::error::{Error, Kind, Result, word};
use crate::filter::Filter;
use crate::hash::Hasher;
use crate::model::{File, FileId, NewFile};
use crate::providers::{Download, Listing, Provider, Query};

/// How much older than the upload a listed file may be before the listing is no longer read: some platforms do not list
/// strictly by time.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A file created within this time of the start may be an older one: clocks are known to the second, and an answer's
/// date is delayed by the network. Without a checksum it is downloaded and compared.
const UNCERTAIN: SignedDuration = SignedDuration::from_secs(3);

/// Finds the files of uploads whose answers were lost. All uploads of a command share it: two uploads never claim one file.
pub(super) struct LostUploads {
    provider: Arc<dyn Provider>,
    /// The files that belong to an upload of this command or are older.
    claimed: Mutex<HashSet<FileId>>,
}

impl LostUploads {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, claimed: Mutex::default() }
    }

    /// Excludes files that existed before the upload.
    pub(super) fn exclude<'a>(&self, files: impl IntoIterator<Item = &'a File>) {
        self.claimed().extend(files.into_iter().map(|file| file.id.clone()));
    }

    /// Claims a file for an upload. Returns false if it is claimed already.
    pub(super) fn claim(&self, id: &FileId) -> bool {
        self.claimed().insert(id.clone())
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<FileId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds and claims the file of an upload that began at `since` by this machine's clock. Looks twice, with a pause in
    /// between: a listing may lag behind.
    pub(super) async fn find(&self, new: &NewFile, since: Timestamp) -> Result<Option<File>> {
        if let Some(file) = self.look(new, since).await? {
            return Ok(Some(file));
        }
        let Some(client) = self.provider.client() else { return Ok(None) };
        client.pause().await;
        self.look(new, since).await
    }

    async fn look(&self, new: &NewFile, since: Timestamp) -> Result<Option<File>> {
        let query = Query { filter: Some(Filter::name_is(&new.name)), ..Query::default() };
        let bound = self.platform_time(since).checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        let named = Listing::new(Arc::clone(&self.provider), query, None)?.since(bound).all().await?;
        // After the listing: its answer may be the first that states the platform's time.
        let begun = self.platform_time(since);
        // Platforms state whole seconds.
        let since = Timestamp::from_second(begun.as_second()).unwrap_or(begun);
        let certain = begun.checked_add(UNCERTAIN).unwrap_or(Timestamp::MAX);
        let free = |file: &File| !self.claimed().contains(&file.id);
        let same_size = |file: &File| file.size.is_none_or(|size| size == new.size);
        let mut candidates: Vec<File> =
            named.into_iter().filter(|file| free(file) && same_size(file)).collect();
        if let Some(undated) = candidates.iter().find(|file| file.created_at.is_none()) {
            return Err(self.undecidable(new, undated));
        }
        candidates.retain(|file| file.created_at >= Some(since));
        candidates.sort_by_key(|file| std::cmp::Reverse(file.created_at));
        for file in candidates {
            let same = match is_same(new, &file).await? {
                // By its time it could be an older file.
                None if file.created_at < Some(certain) => self.has_content_of(new, &file).await?,
                same => same.unwrap_or(true),
            };
            if same && self.claim(&file.id) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Whether the platform's content equals the file's; true where it cannot be downloaded.
    async fn has_content_of(&self, new: &NewFile, file: &File) -> Result<bool> {
        if self.provider.capabilities().download != Download::Any {
            return Ok(true);
        }
        let mut content = self.provider.download(&file.id, None).await?;
        let mut theirs = Hasher::blake3();
        let mut broken = Ok(());
        while let Some(chunk) = content.stream.next().await {
            match chunk {
                Ok(bytes) => theirs.update(&bytes),
                Err(error) => broken = Err(error),
            }
        }
        if let Some(link) = &content.release {
            let _ = self.provider.unlink(&file.id, link.id.as_deref().or(Some(&link.url))).await;
        }
        broken?;
        let ours = digest_of(&new.source, theirs.fresh()).await?;
        Ok(content.derived || ours == theirs.finish())
    }

    /// Converts a time of this machine's clock to the platform's.
    fn platform_time(&self, here: Timestamp) -> Timestamp {
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
                self.provider.profile(),
                word(&new.name)
            ))
            .unanswered()
    }
}

/// Whether the checksum that the platform states equals the file's; None where it states none.
pub(super) async fn is_same(new: &NewFile, file: &File) -> Result<Option<bool>> {
    let Some(hasher) = Hasher::for_checksums(&file.checksums) else { return Ok(None) };
    let computed = digest_of(&new.source, hasher).await?;
    Ok(Some(compare(&new.name, &computed, &file.checksums).is_ok()))
}

/// The names that are being uploaded.
#[derive(Default)]
pub(super) struct NameLocks {
    busy: Mutex<HashSet<String>>,
    freed: Notify,
}

/// Holds names until it is dropped.
pub(super) struct NameLock<'a> {
    locks: &'a NameLocks,
    names: HashSet<String>,
}

impl NameLocks {
    /// Waits until none of the names is held, then holds them all.
    pub(super) async fn lock(&self, names: HashSet<String>) -> NameLock<'_> {
        loop {
            // Created before the check, so that no wake-up in between is missed.
            let freed = self.freed.notified();
            if self.try_lock(&names) {
                return NameLock { locks: self, names };
            }
            freed.await;
        }
    }

    fn try_lock(&self, names: &HashSet<String>) -> bool {
        let mut busy = self.busy();
        let free = names.is_disjoint(&busy);
        if free {
            busy.extend(names.iter().cloned());
        }
        free
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NameLock<'_> {
    fn drop(&mut self) {
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
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<HashSet<_>>();
        let first = locks.lock(names(&["a", "b"])).await;
        locks.lock(names(&["c"])).await;
        let mut second = std::pin::pin!(locks.lock(names(&["b", "c"])));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(futures_util::poll!(second.as_mut()).is_ready());
    }
}
