//! Files that interrupted runs of a command uploaded and whose local files have changed since.
//!
//! No later run resumes such an upload, so its file would remain on the platform although nothing refers to it.

use jiff::{SignedDuration, Timestamp};

use super::ledger::{Outdated, version};
use super::upload::Uploads;
use crate::model::{File, FileId, names_match};

/// How long after its start an upload may create its file, in addition to the time for sending the content.
const CREATED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// The speed of a slow connection, in bytes per second.
const SLOW: u64 = 50_000;

/// The outdated uploads of a command, with the files from a listing that they may have created.
#[derive(Debug, Default)]
pub struct Orphans(Vec<(Outdated, Vec<FileId>)>);

/// A file that an outdated upload created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub id: FileId,
    /// Its name on the platform.
    pub name: String,
    /// The number of the upload's row in the ledger.
    number: i64,
}

impl Orphans {
    /// Adds a file from the listing to each outdated upload that may have created it.
    pub fn add(&mut self, uploads: &Uploads, file: &File) {
        for (upload, files) in &mut self.0 {
            if uploads.may_have_created(upload, file) {
                files.push(file.id.clone());
            }
        }
    }

    /// The files that were certainly created by outdated uploads: each is the only file that its upload may have
    /// created.
    pub fn finish(self) -> Vec<Orphan> {
        let certain = self.0.into_iter().filter_map(|(upload, files)| {
            let [id] = <[FileId; 1]>::try_from(files).ok()?;
            Some(Orphan { id, name: upload.name, number: upload.number })
        });
        certain.collect()
    }
}

impl Uploads {
    /// The outdated uploads by earlier runs of this command.
    pub fn orphans(&self) -> Orphans {
        let outdated = self.identity.ledger.outdated(self.clock.now());
        Orphans(outdated.into_iter().map(|upload| (upload, Vec::new())).collect())
    }

    /// Removes an orphan from the ledger.
    pub fn forget(&self, orphan: &Orphan) {
        self.identity.ledger.forget(Some(orphan.number));
    }

    /// Whether an upload may have created this file. Returns false for an older file, and for a file of unknown age
    /// without a mark.
    fn may_have_created(&self, upload: &Outdated, file: &File) -> bool {
        let stored = file.extra.get("external_file_id").and_then(|mark| mark.as_str());
        if let (Some(mark), Some(stored)) = (&upload.mark, stored) {
            return mark == stored;
        }
        let has_time = self.provider.client().is_none_or(|client| client.clock_ahead().is_some());
        let begun = self.lost.platform_time(upload.at);
        // Platforms report whole seconds.
        let begun = Timestamp::from_second(begun.as_second()).unwrap_or(begun);
        let longest = SignedDuration::from_secs(i64::try_from(upload.size / SLOW).unwrap_or(i64::MAX));
        let end = begun.checked_add(CREATED_WITHIN.saturating_add(longest)).unwrap_or(Timestamp::MAX);
        has_time
            && file.created_at.is_some_and(|created| (begun..=end).contains(&created))
            && file.size.is_none_or(|size| size == upload.size)
            && match &upload.file {
                Some((id, its)) => file.id == *id && version(file) == *its,
                None => names_match(&file.name, &upload.name),
            }
    }
}
