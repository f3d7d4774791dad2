//! Finds files that other commands uploaded under the same name at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use super::job::Job;
use super::listed::AddedFile;
use super::lost::MARGIN;
use super::options::{IfExists, Twin};
use super::upload::Uploads;
use crate::error::Result;
use crate::model::{File, FileId, hash_of_name, names_match};
use crate::providers::{Listing, Query, newest_named};

impl Uploads {
    /// Looks for a file with the same name that another command has uploaded since the names were compared. Reads one
    /// page. If existing files are [listed once](super::listed::Listed), [`twins`](Self::twins) does this at the end.
    pub(super) async fn twin(&self, job: &Job, file: &File) -> Option<FileId> {
        let looks = matches!(self.options.if_exists, IfExists::Skip | IfExists::Update) && !self.options.anew;
        if !looks || self.provider.adds_once() {
            return None;
        }
        let upload = AddedFile::of(job, file);
        if self.listed.is_listed(self.provider.as_ref(), &upload.name) {
            self.added.add(upload);
            return None;
        }
        // The upload has succeeded even if this request fails.
        let named = newest_named(&self.provider, &upload.name).await.unwrap_or_default();
        named.into_iter().find(|other| self.is_twin(&upload, other)).map(|other| other.id)
    }

    /// The files that other commands uploaded under the same names at the same time, at most one for each name, from
    /// one listing. An interrupt or an error ends the search.
    pub async fn twins(&self) -> Vec<Twin> {
        let mut added = self.added.take();
        let mut twins = Vec::new();
        if !added.is_empty() {
            let _ = self.interrupt.until_cancelled(self.find_twins(&mut added, &mut twins)).await;
        }
        twins
    }

    async fn find_twins(&self, added: &mut HashMap<u64, AddedFile>, twins: &mut Vec<Twin>) -> Result<()> {
        let began = self.lost.platform_time(self.began);
        let listing = Listing::new(Arc::clone(&self.provider), Query::default(), None)?;
        let mut listing = listing.since(began.checked_sub(MARGIN).unwrap_or(began));
        while let Some(page) = listing.next().await? {
            for other in page {
                let hash = hash_of_name(&other.name);
                if added.get(&hash).is_some_and(|upload| self.is_twin(upload, &other))
                    && let Some(AddedFile { name, id, .. }) = added.remove(&hash)
                {
                    twins.push(Twin { name, id, other: other.id });
                }
            }
        }
        Ok(())
    }

    fn is_twin(&self, upload: &AddedFile, other: &File) -> bool {
        other.id != upload.id
            && names_match(&other.name, &upload.name)
            && !upload.known.contains(&other.id)
            && other.size.is_none_or(|size| size == upload.size)
            && self.is_candidate(upload.purpose.as_ref(), other)
    }
}
