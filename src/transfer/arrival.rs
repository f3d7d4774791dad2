//! A file whose answer was lost: did it arrive?
//!
//! Sending it again blindly could store it twice; not sending it could lose it. So the platform's listing is asked for a
//! file of that name which has come since the sending began and is the same in all that the platform states.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::digest::{Hasher, compare};
use super::reading::digest_of;
use crate::error::{Error, Kind, Result};
use crate::filter::Filter;
use crate::model::{File, FileId, NewFile};
use crate::providers::{Listing, Provider, Query};

/// How far past the time a listing is read, for platforms whose order is not quite their clock's.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// Looks for files that arrived without an answer. Shared by all uploads of a command: no file is taken for two.
pub(super) struct Arrivals {
    provider: Arc<dyn Provider>,
    /// Ids that belong to an upload of this command.
    taken: Mutex<HashSet<FileId>>,
}

impl Arrivals {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, taken: Mutex::default() }
    }

    /// Notes that this file belongs to an upload. False if it belongs to one already.
    pub(super) fn take(&self, id: &FileId) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    /// Looks twice, with a pause in between: what was sent last may still be on its way into the listing.
    pub(super) async fn find(&self, new: &NewFile, since: Timestamp) -> Result<Option<File>> {
        if let Some(file) = self.look(new, since).await? {
            return Ok(Some(file));
        }
        let Some(client) = self.provider.client() else { return Ok(None) };
        client.pause().await;
        self.look(new, since).await
    }

    /// The file that has come of sending `new` since `since` (by this machine's clock), taken; None if there is none.
    async fn look(&self, new: &NewFile, since: Timestamp) -> Result<Option<File>> {
        let query = Query { filter: Some(Filter::name_is(&new.name)), ..Query::default() };
        let bound = self.there(since).checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
        let named = Listing::new(Arc::clone(&self.provider), query, None).since(bound).all().await?;
        // Only now: the listing's answer has told the platform's clock if nothing had.
        // Platforms tell whole seconds, so the second of the start counts as a whole.
        let since = Timestamp::from_second(self.there(since).as_second()).unwrap_or(since);
        let free =
            |file: &File| !self.taken.lock().unwrap_or_else(PoisonError::into_inner).contains(&file.id);
        let same_size = |file: &File| file.size.is_none_or(|size| size == new.size);
        let mut candidates: Vec<File> =
            named.into_iter().filter(|file| free(file) && same_size(file)).collect();
        if let Some(unsure) = candidates.iter().find(|file| file.created_at.is_none()) {
            return Err(self.cannot_tell(new, unsure));
        }
        candidates.retain(|file| file.created_at >= Some(since));
        candidates.sort_by_key(|file| std::cmp::Reverse(file.created_at));
        for file in candidates {
            if is_same(new, &file).await? && self.take(&file.id) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// A time of this machine's clock by the platform's.
    fn there(&self, here: Timestamp) -> Timestamp {
        let ahead = self.provider.client().and_then(crate::http::Client::clock_ahead).unwrap_or_default();
        here.checked_add(ahead).unwrap_or(here)
    }

    fn cannot_tell(&self, new: &NewFile, found: &File) -> Error {
        let platform = self.provider.spec().name;
        let message = format!(
            "{}: {platform} gave no answer, and does not tell whether {} is this file or an older one",
            new.name, found.id
        );
        Error::new(Kind::Unreachable, message)
            .hint(format!(
                "look before you send it again: `haul ls -p {} {}`",
                self.provider.profile(),
                new.name
            ))
            .unanswered()
    }
}

/// Whether the checksum that the platform states, if any, is this file's.
pub(super) async fn is_same(new: &NewFile, file: &File) -> Result<bool> {
    let Some(hasher) = Hasher::for_checksums(&file.checksums) else { return Ok(true) };
    let computed = digest_of(&new.source, hasher).await?;
    Ok(compare(&new.name, &computed, &file.checksums).is_ok())
}
