//! Uploads: compares with existing files, sends the content, recovers from lost answers and verifies the result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use jiff::Timestamp;

use super::digest::{UploadHash, compare, digest_of};
use super::journal::{Earlier, Journal};
use super::lost::{LostUploads, NameLocks, is_same};
use super::mark;
use super::wait::{Polling, wait_until_processed};
use crate::error::{Error, Kind, Result, word};
use crate::filter::Filter;
use crate::hash::Hasher;
use crate::interrupt::Interrupt;
use crate::model::{Checksums, Clock, File, FileId, NewFile};
use crate::progress::{Outcome, Progress, silent};
use crate::providers::{Listing, Provider, Query, require_ages};

/// The action if a file with the same name exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    /// Upload another file with the same name
    #[default]
    Upload,
    /// Upload nothing if the content is the same
    Skip,
    /// Replace it
    Replace,
    /// Fail
    Fail,
}

impl IfExists {
    /// Its name on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Skip => "skip",
            Self::Replace => "replace",
            Self::Fail => "fail",
        }
    }
}

/// The options of an upload.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// The action if a file with the same name exists.
    pub if_exists: IfExists,
    /// Whether checksums that the platform states are compared.
    pub verify: bool,
    /// Whether to wait until the platform has processed the file.
    pub wait: bool,
    /// The file whose content is replaced.
    pub to: Option<FileId>,
}

/// The outcome of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sent the file.
    Uploaded,
    /// Found an equal file.
    Reused,
    /// Sent the file and replaced an existing one.
    Replaced,
    /// Found the file that an earlier run of the command had sent.
    Resumed,
    /// Sent the damaged or missing content of an existing file again.
    Repaired,
}

/// The result of an upload.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The file on the platform.
    pub file: File,
    /// The outcome.
    pub action: Action,
    /// An existing file of the same name and size that could not be compared, so that the new one was sent.
    pub incomparable: Option<FileId>,
}

/// The outcome of a dry run.
#[derive(Clone, Debug)]
pub enum Preview {
    /// Send the file.
    Upload,
    /// Send the file and replace this one.
    Replace(FileId),
    /// Reuse an equal file.
    Reuse(Box<File>),
}

/// The uploads of one command to one platform.
pub struct Uploads {
    pub(super) provider: Arc<dyn Provider>,
    options: UploadOptions,
    journal: Journal,
    pub(super) clock: Clock,
    interrupt: Interrupt,
    lost: LostUploads,
    pub(super) names: NameLocks,
    /// Whether the platform has answered that it cannot replace content.
    only_anew: AtomicBool,
}

/// The upload of one file.
pub(super) struct Job<'a> {
    pub(super) new: &'a NewFile,
    metered: Arc<Metered>,
    /// The file that it replaces.
    old: Option<FileId>,
    /// Whether the content of the old file is damaged or missing and is sent again.
    repairs: bool,
    /// Its number in the journal.
    number: Option<u64>,
    /// The file on the platform, once known.
    pub(super) result: Option<(File, Action)>,
    /// The hash of the sent content.
    sent: Option<Checksums>,
    /// A file of the same name and size that could not be compared.
    incomparable: Option<FileId>,
}

impl Uploads {
    /// Prepares the uploads of one command.
    pub fn new(
        provider: Arc<dyn Provider>,
        options: UploadOptions,
        journal: Journal,
        clock: Clock,
        interrupt: Interrupt,
    ) -> Self {
        let lost = LostUploads::new(Arc::clone(&provider));
        let (names, only_anew) = (NameLocks::default(), AtomicBool::new(false));
        Self { provider, options, journal, clock, interrupt, lost, names, only_anew }
    }

    /// Ends the command. Unless all of its files were uploaded, another run resumes it.
    pub fn end(&self, all_done: bool) {
        self.journal.end(all_done);
    }

    /// Uploads a file, unless [`UploadOptions::if_exists`] or the journal finds it on the platform.
    pub async fn upload(&self, new: &NewFile, progress: &dyn Progress) -> Result<Uploaded> {
        let item = progress.item(&new.name, Some(new.size));
        // Boxed: each future that awaits it would hold its state again, for every file in flight.
        let result = self.until_interrupted(Box::pin(self.attempt(new, &item))).await;
        item.finish(result.as_ref().map_or(Outcome::Failed, Uploaded::outcome));
        result.map_err(|error| error.about(new.name.clone()))
    }

    /// The expected outcome of [`upload`](Self::upload), without sending the file.
    pub async fn preview(&self, new: &NewFile) -> Result<Preview> {
        let job = self.plan(new, &silent()).await.map_err(|error| error.about(new.name.clone()))?;
        let old = job.old.or_else(|| self.options.to.clone());
        Ok(match (job.result, old) {
            (Some((file, _)), _) => Preview::Reuse(Box::new(file)),
            (None, Some(old)) => Preview::Replace(old),
            (None, None) => Preview::Upload,
        })
    }

    /// Waits for `work`, which is dropped on an interrupt.
    pub(super) async fn until_interrupted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.interrupt.until_cancelled(work).await
    }

    async fn attempt(&self, new: &NewFile, item: &Arc<dyn Progress>) -> Result<Uploaded> {
        let _lock = self.names.lock([new.name.clone()].into()).await;
        let marked;
        let mut job = self.plan(new, item).await?;
        if job.result.is_none() {
            if self.provider.capabilities().upload.mark {
                marked = NewFile { mark: Some(mark_of(new).await?), ..new.clone() };
                job.new = &marked;
            }
            if let Err(error) = self.send(&mut job).await {
                self.abandon(&job, &error);
                return Err(error);
            }
        }
        self.conclude(job).await
    }

    /// Removes a failed upload from the journal, unless the platform may have the file: the next run looks for that one.
    pub(super) fn abandon(&self, job: &Job<'_>, error: &Error) {
        if job.result.is_none() && !error.may_be_done() {
            self.journal.forget(job.number);
        }
    }

    /// Deletes the replaced file, records the new one and waits for the platform to process it.
    pub(super) async fn conclude(&self, job: Job<'_>) -> Result<Uploaded> {
        let Some((file, action)) = job.result else {
            return Err(Error::failed(format!("{}: not uploaded", job.new.name)));
        };
        let action = match job.old.filter(|old| *old != file.id) {
            Some(old) => self.retire(&file, &old).await?,
            None if job.repairs => Action::Repaired,
            None => action,
        };
        self.journal.finish(job.number, &file.id);
        let blake3 = job.sent.and_then(|sent| sent.blake3);
        if let Some(blake3) = blake3.filter(|_| self.options.if_exists == IfExists::Skip) {
            self.journal.hashes.note(&file.id, &blake3);
        }
        let file = if self.options.wait {
            wait_until_processed(&self.provider, file, Polling::default()).await?
        } else {
            file
        };
        Ok(Uploaded { file, action, incomparable: job.incomparable })
    }

    /// Decides what to do with a file from the journal and from the existing files.
    pub(super) async fn plan<'a>(&self, new: &'a NewFile, item: &Arc<dyn Progress>) -> Result<Job<'a>> {
        let hasher = match Hasher::cheapest(self.provider.capabilities().checksums) {
            // The platform states none, but another `skip` will want to compare.
            None if self.options.if_exists == IfExists::Skip => Some(Hasher::blake3()),
            hasher => hasher.filter(|_| self.options.verify),
        };
        let metered = Arc::new(Metered { item: Arc::clone(item), hash: hasher.map(UploadHash::new) });
        let mut job = Job {
            new,
            metered,
            old: None,
            repairs: false,
            number: None,
            result: None,
            sent: None,
            incomparable: None,
        };
        match self.journal.earlier(new) {
            Earlier::Finished(id) => match self.provider.stat(&id).await {
                Ok(file) if file.size.is_none_or(|size| size == new.size) => {
                    self.lost.claim(&file.id);
                    self.reuse(&mut job, file, Action::Resumed).await?;
                    return Ok(job);
                }
                // Its content was replaced since, or it was deleted.
                Ok(_) => {}
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            },
            // Replacing the content of a file twice is harmless, so the earlier attempt does not matter.
            Earlier::Begun(begun) if self.options.to.is_none() => {
                // The replaced file has the same name and is an older one.
                if let Some(old) = &begun.old {
                    self.lost.claim(old);
                }
                if let Some(file) = self.lost.find(new, begun.at).await? {
                    let number = || self.journal.start(new, begun.at, begun.old.clone());
                    job.number = begun.number().or_else(number);
                    job.old = begun.old;
                    self.reuse(&mut job, file, Action::Resumed).await?;
                    return Ok(job);
                }
                self.journal.forget(begun.number());
            }
            Earlier::Begun(begun) => self.journal.forget(begun.number()),
            Earlier::Nothing => {}
        }
        self.apply_if_exists(&mut job).await?;
        Ok(job)
    }

    /// Applies [`UploadOptions::if_exists`] to the existing files of the same name.
    async fn apply_if_exists(&self, job: &mut Job<'_>) -> Result<()> {
        let if_exists = self.options.if_exists;
        if self.options.to.is_some() || if_exists == IfExists::Upload {
            return Ok(());
        }
        let new = job.new;
        let query = Query { filter: Some(Filter::name_is(&new.name)), ..Query::default() };
        let twins = Listing::new(Arc::clone(&self.provider), query, None)?.all().await?;
        self.lost.exclude(&twins);
        match if_exists {
            IfExists::Upload => {}
            IfExists::Fail => {
                if let Some(twin) = twins.first() {
                    return Err(Error::failed(format!("{} already exists: {}", new.name, twin.id)));
                }
            }
            IfExists::Replace => {
                require_ages(self.provider.as_ref(), &twins)?;
                job.old = twins.into_iter().max_by_key(|file| file.created_at).map(|twin| twin.id);
            }
            IfExists::Skip => {
                for mut twin in twins {
                    if twin.size.is_some_and(|size| size != new.size) {
                        continue;
                    }
                    let stated = twin.checksums.clone();
                    if Hasher::for_checksums(&stated).is_none() {
                        twin.checksums.blake3 = self.journal.hashes.of(&twin.id).map(str::to_owned);
                    }
                    match is_same(new, &twin).await? {
                        Some(true) => {
                            return self.reuse(job, File { checksums: stated, ..twin }, Action::Reused).await;
                        }
                        Some(false) => {}
                        None => job.incomparable = Some(twin.id),
                    }
                }
            }
        }
        Ok(())
    }

    /// Uses an existing file. If its content is damaged or missing, the content is sent again.
    async fn reuse(&self, job: &mut Job<'_>, file: File, action: Action) -> Result<()> {
        match self.provider.is_intact(&file.id).await {
            Ok(true) => job.result = Some((file, action)),
            Ok(false) => (job.old, job.repairs) = (Some(file.id), true),
            // The file was deleted in between.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Records in the journal that the file is about to be sent.
    pub(super) fn begin(&self, job: &mut Job<'_>, since: Timestamp) {
        job.number = self.journal.start(job.new, since, job.old.clone());
    }

    /// How often one file is sent at most.
    pub(super) fn attempts(&self) -> u32 {
        self.provider.client().map_or(1, crate::http::Client::attempts)
    }

    /// Sends a file and verifies the result. After a lost answer it looks for the file before it sends it again.
    async fn send(&self, job: &mut Job<'_>) -> Result<()> {
        let since = self.clock.now();
        self.begin(job, since);
        let mut attempts = self.attempts();
        while let Err(error) = self.send_once(job).await {
            if !error.may_be_done() {
                return Err(error);
            }
            attempts = attempts.saturating_sub(1);
            // Replacing the content of a file twice is harmless.
            if self.in_place(job).is_none() {
                match self.find(job, since).await {
                    Ok(()) if job.result.is_some() => return Ok(()),
                    Ok(()) => {}
                    Err(other) => return Err(not_found_out(error, other)),
                }
            }
            if attempts == 0 {
                return Err(error.hint(RUN_AGAIN));
            }
        }
        Ok(())
    }

    /// Looks for a file whose answer was lost.
    pub(super) async fn find(&self, job: &mut Job<'_>, since: Timestamp) -> Result<()> {
        let found = match self.find_marked(job.new).await {
            Some(file) => Some(file),
            None => self.lost.find(job.new, since).await?,
        };
        match found {
            Some(file) => job.accept(file, Action::Uploaded),
            None => Ok(()),
        }
    }

    /// Finds and claims the file with the mark of an upload.
    async fn find_marked(&self, new: &NewFile) -> Option<File> {
        let file = self.provider.find_marked(new.mark.as_deref()?).await.ok()??;
        self.lost.claim(&file.id).then_some(file)
    }

    /// The file whose content is replaced under its id, where the platform can do that.
    fn in_place(&self, job: &Job<'_>) -> Option<FileId> {
        let can = self.provider.capabilities().replace && !self.only_anew.load(Ordering::Relaxed);
        self.options.to.clone().or_else(|| job.old.clone().filter(|_| can))
    }

    async fn send_once(&self, job: &mut Job<'_>) -> Result<()> {
        if let Some(id) = self.in_place(job) {
            match self.provider.replace(&id, job.new, job.progress()).await {
                // Only the response shows that this platform cannot replace content. Upload a new file and delete the
                // old one.
                Err(error) if error.kind() == Kind::Unsupported && self.options.to.is_none() => {
                    self.only_anew.store(true, Ordering::Relaxed);
                }
                replaced => return self.accept(job, replaced?, Action::Replaced),
            }
        }
        let file = self.provider.upload(job.new, job.progress()).await?;
        self.accept(job, file, Action::Uploaded)
    }

    /// Takes the file that the platform answered with.
    pub(super) fn accept(&self, job: &mut Job<'_>, file: File, action: Action) -> Result<()> {
        self.lost.claim(&file.id);
        job.accept(file, action)
    }

    /// Deletes the replaced file. The new one has been verified.
    async fn retire(&self, new: &File, old: &FileId) -> Result<Action> {
        match self.provider.delete(old).await {
            // An earlier run may have deleted it.
            Err(error) if error.kind() != Kind::NotFound => Err(error.hint(format!(
                "the new file is {}; to delete the old one: `haul rm {}`",
                new.id,
                word(&format!("id:{old}"))
            ))),
            _ => Ok(Action::Replaced),
        }
    }
}

/// A new mark for a file, whose content is read for it.
async fn mark_of(new: &NewFile) -> Result<String> {
    let sha256 = digest_of(&new.source, Hasher::sha256()).await?.sha256.unwrap_or_default();
    Ok(mark::new(&sha256))
}

/// The hint after a lost answer.
pub(super) const RUN_AGAIN: &str = "run the same command again: it checks for the file before it uploads it";

/// The error of an upload whose answer was lost (`error`) and whose file could not be looked for (`other`).
pub(super) fn not_found_out(error: Error, other: Error) -> Error {
    if other.is_unanswered() {
        return other;
    }
    let error = error.cause(format!("checking for the file also failed: {other}"));
    if other.kind() != Kind::RateLimited {
        return error.hint(RUN_AGAIN);
    }
    // Its hints say when to run the command again.
    let error = error.with_kind(Kind::RateLimited).unanswered();
    other.hints().iter().fold(error, |error, hint| error.hint(hint.clone())).hint(RUN_AGAIN)
}

impl Uploaded {
    pub(super) fn outcome(&self) -> Outcome {
        match self.action {
            Action::Reused | Action::Resumed => Outcome::Skipped,
            Action::Uploaded | Action::Replaced | Action::Repaired => Outcome::Done,
        }
    }
}

impl Job<'_> {
    /// The progress that reports this file and computes its hash.
    pub(super) fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.metered) as Arc<dyn Progress>
    }

    /// Takes the resulting file if its size and checksum are those of the content that was sent.
    fn accept(&mut self, file: File, action: Action) -> Result<()> {
        let new = self.new;
        let hint = |error: Error| {
            error.hint(format!(
                "the uploaded file was kept; to delete it: `haul rm {}`",
                word(&format!("id:{}", file.id))
            ))
        };
        if let Some(size) = file.size.filter(|size| *size != new.size) {
            let message = format!("{}: sent {} bytes, but the platform has {size}", new.name, new.size);
            return Err(hint(Error::new(Kind::Mismatch, message)));
        }
        let sent = self.metered.hash.as_ref().and_then(|hash| hash.finish(new.size));
        if let Some(computed) = &sent {
            compare(&new.name, computed, &file.checksums).map_err(hint)?;
        }
        self.sent = sent;
        self.result = Some((file, action));
        Ok(())
    }
}

/// Reports positions and passes the content to the hash.
struct Metered {
    item: Arc<dyn Progress>,
    hash: Option<UploadHash>,
}

impl Progress for Metered {
    fn at(&self, bytes: u64) {
        self.item.at(bytes);
    }

    fn read(&self, offset: u64, bytes: &[u8]) {
        if let Some(hash) = &self.hash {
            hash.update(offset, bytes);
        }
    }
}
