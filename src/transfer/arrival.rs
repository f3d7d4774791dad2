//! A file whose answer was lost: did it arrive?
//!
//! Sending it again blindly could store it twice; not sending it could lose it. So the platform's listing is asked for a
//! file of that name which has come since the sending began and is the same in all that the platform states.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::digest::{Hasher, compare};
use super::reading::digest_of;
use crate::error::{Error, Kind, Result, word};
use crate::filter::Filter;
use crate::model::{File, FileId, NewFile};
use crate::providers::{Download, Listing, Provider, Query};

/// How far past the time a listing is read, for platforms whose order is not quite their clock's.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A file that came within this time of the start may be an older twin: clocks are known to the second, and an answer's
/// date is on its way for a while. It is fetched and compared where no checksum is stated.
const VAGUE: SignedDuration = SignedDuration::from_secs(3);

/// Looks for files that arrived without an answer. Shared by all uploads of a command: no file is taken for two.
pub(super) struct Arrivals {
    provider: Arc<dyn Provider>,
    /// Ids that belong to an upload of this command, or to files from before it.
    taken: Mutex<HashSet<FileId>>,
}

impl Arrivals {
    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, taken: Mutex::default() }
    }

    /// Notes files that were there before: none of them has just arrived.
    pub(super) fn were_there<'a>(&self, files: impl IntoIterator<Item = &'a File>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.extend(files.into_iter().map(|file| file.id.clone()));
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
        let named = Listing::new(Arc::clone(&self.provider), query, None)?.since(bound).all().await?;
        // Only now: the listing's answer has told the platform's clock if nothing had.
        let begun = self.there(since);
        // Platforms tell whole seconds, so the second of the start counts as a whole.
        let since = Timestamp::from_second(begun.as_second()).unwrap_or(begun);
        let surely = begun.checked_add(VAGUE).unwrap_or(Timestamp::MAX);
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
            let same = match is_same(new, &file).await? {
                // The time alone could mean an older twin.
                None if file.created_at < Some(surely) => self.has_content_of(new, &file).await?,
                same => same.unwrap_or(true),
            };
            if same && self.take(&file.id) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Whether the platform's content is this file's; true where it cannot be asked for.
    async fn has_content_of(&self, new: &NewFile, file: &File) -> Result<bool> {
        if self.provider.capabilities().download != Download::Any {
            return Ok(true);
        }
        let mut content = self.provider.download(&file.id, None).await?;
        let mut theirs = Hasher::Blake3(Box::default());
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
                word(&new.name)
            ))
            .unanswered()
    }
}

/// Whether the checksum that the platform states is this file's; None where it states none.
pub(super) async fn is_same(new: &NewFile, file: &File) -> Result<Option<bool>> {
    let Some(hasher) = Hasher::for_checksums(&file.checksums) else { return Ok(None) };
    let computed = digest_of(&new.source, hasher).await?;
    Ok(Some(compare(&new.name, &computed, &file.checksums).is_ok()))
}
