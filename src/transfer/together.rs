//! Sends several files in one request, on platforms that accept that.

use std::sync::Arc;

use super::job::Job;
use super::lost::{RUN_AGAIN, not_found_out};
use super::options::{Action, Uploaded};
use super::upload::Uploads;
use crate::error::{Error, Result, word};
use crate::model::NewFile;
use crate::progress::{Outcome, Progress};

impl Uploads {
    /// Like [`upload`](Self::upload), but sends all files in one request. They succeed or fail together.
    pub async fn upload_together(&self, files: &[NewFile], progress: &dyn Progress) -> Result<Vec<Uploaded>> {
        let items: Vec<Arc<dyn Progress>> =
            files.iter().map(|new| progress.item(&new.name, Some(new.size))).collect();
        let result = self.until_interrupted(Box::pin(self.attempt_together(files, &items))).await;
        for (index, item) in items.iter().enumerate() {
            item.finish(result.as_ref().map_or(Outcome::Failed, |uploaded| uploaded[index].outcome()));
        }
        result.map_err(|error| files.iter().take(1).fold(error, |error, new| error.about(new.name.clone())))
    }

    async fn attempt_together(
        &self,
        files: &[NewFile],
        items: &[Arc<dyn Progress>],
    ) -> Result<Vec<Uploaded>> {
        let _lock = self.lock(files.iter().map(|new| new.name.clone()).collect()).await;
        let mut jobs = Vec::with_capacity(files.len());
        for (new, item) in files.iter().zip(items) {
            jobs.push(self.plan(new, None, item).await?);
        }
        if let Err(error) = self.send_missing(&mut jobs).await {
            for job in &jobs {
                self.abandon(job, &error);
            }
            return Err(error);
        }
        let mut uploaded = Vec::with_capacity(files.len());
        for job in jobs {
            uploaded.push(self.conclude(job).await?);
        }
        Ok(uploaded)
    }

    /// Sends the files that are not yet on the platform. After a lost response, looks for every file and sends the
    /// missing ones again.
    async fn send_missing(&self, jobs: &mut [Job]) -> Result<()> {
        let since = self.clock.now();
        for job in jobs.iter_mut().filter(|job| job.result.is_none()) {
            self.begin(job, since).await?;
        }
        let mut attempts = self.attempts();
        loop {
            let mut missing: Vec<&mut Job> = jobs.iter_mut().filter(|job| job.result.is_none()).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let Err(error) = self.send_request(&mut missing).await else { return Ok(()) };
            if !error.may_be_done() {
                return Err(error);
            }
            attempts = attempts.saturating_sub(1);
            for job in &mut missing {
                if let Err(other) = self.find(job, since).await {
                    return Err(not_found_out(error, other));
                }
            }
            if attempts == 0 && missing.iter().any(|job| job.result.is_none()) {
                return Err(error.hint(RUN_AGAIN));
            }
        }
    }

    async fn send_request(&self, jobs: &mut [&mut Job]) -> Result<()> {
        let files: Vec<NewFile> = jobs.iter().map(|job| job.new.clone()).collect();
        let progress: Vec<Arc<dyn Progress>> = jobs.iter().map(|job| job.progress()).collect();
        let sent = self.provider.upload_together(&files, &progress).await?;
        if sent.len() != jobs.len() {
            let platform = self.provider.spec().name;
            let message = format!("{platform} received {} files but returned {}", jobs.len(), sent.len());
            return Err(Error::platform(message).hint(format!(
                "check before you upload again: `haul ls -p {}`",
                word(self.provider.profile())
            )));
        }
        for (job, file) in jobs.iter_mut().zip(sent) {
            self.accept(job, file, Action::Uploaded)?;
        }
        Ok(())
    }
}
