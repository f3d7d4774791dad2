//! Files up: what is there already, the bytes, what became of a lost answer, the check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use jiff::Timestamp;

use super::arrival::{Arrivals, is_same};
use super::digest::{Hasher, Listener, compare};
use super::journal::{Earlier, Journal};
use super::turns::Turns;
use super::wait::{Patience, wait_until_processed};
use crate::error::{Error, Kind, Result, word};
use crate::filter::Filter;
use crate::interrupt::Interrupt;
use crate::model::{Checksums, Clock, File, FileId, NewFile};
use crate::progress::{Outcome, Progress, silent};
use crate::providers::{Listing, Provider, Query, require_ages};

/// What to do when a file of that name is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    /// Upload another one beside it
    #[default]
    Upload,
    /// Send nothing if the content is the same
    Skip,
    /// Put the new content in its place
    Replace,
    /// Refuse
    Fail,
}

impl IfExists {
    /// The word for it on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Skip => "skip",
            Self::Replace => "replace",
            Self::Fail => "fail",
        }
    }
}

/// How an upload is done.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// What to do when a file of that name is there already.
    pub if_exists: IfExists,
    /// Whether stated checksums are compared.
    pub verify: bool,
    /// Whether to wait until the platform has processed the file.
    pub wait: bool,
    /// Put the content in the place of this file's.
    pub to: Option<FileId>,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was sent.
    Uploaded,
    /// It was there already.
    Reused,
    /// It took another's place.
    Replaced,
    /// An earlier run of the command had sent it.
    Resumed,
    /// It existed, and its damaged or missing content was sent again.
    Repaired,
}

/// A file that is there now.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The file as the platform tells it.
    pub file: File,
    /// How it came to be there.
    pub action: Action,
    /// The file of the same name and size that could not be compared with it, so that it was sent.
    pub incomparable: Option<FileId>,
}

/// What would become of a file.
#[derive(Clone, Debug)]
pub enum Foreseen {
    /// It would be sent.
    New,
    /// It would be sent and take the place of this one.
    InPlaceOf(FileId),
    /// It is there already.
    Reused(Box<File>),
}

/// The uploads of one command to one platform.
pub struct Uploads {
    provider: Arc<dyn Provider>,
    options: UploadOptions,
    journal: Journal,
    clock: Clock,
    interrupt: Interrupt,
    arrivals: Arrivals,
    turns: Turns,
    /// Whether the platform has said that it cannot replace content.
    only_anew: AtomicBool,
}

/// One file on its way.
struct Job<'a> {
    new: &'a NewFile,
    metered: Arc<Metered>,
    /// The file whose place it takes.
    old: Option<FileId>,
    /// Whether the old file only needs its content again.
    repairs: bool,
    /// Its number in the journal.
    number: Option<u64>,
    /// The file, once it is there.
    there: Option<(File, Action)>,
    /// The hash of what was sent.
    heard: Option<Checksums>,
    /// A file of the same name and size that could not be compared.
    incomparable: Option<FileId>,
}

impl Uploads {
    /// The uploads of one command. Sends nothing yet.
    pub fn new(
        provider: Arc<dyn Provider>,
        options: UploadOptions,
        journal: Journal,
        clock: Clock,
        interrupt: Interrupt,
    ) -> Self {
        let arrivals = Arrivals::new(Arc::clone(&provider));
        let (turns, only_anew) = (Turns::default(), AtomicBool::new(false));
        Self { provider, options, journal, clock, interrupt, arrivals, turns, only_anew }
    }

    /// Ends the command: whether all of its files are there decides whether another run goes on or starts over.
    pub fn end(&self, all_done: bool) {
        self.journal.end(all_done);
    }

    /// Uploads files in one request: one, but where the platform takes more. What is there already by
    /// [`UploadOptions::if_exists`] or by the journal is not sent.
    pub async fn upload(&self, files: &[NewFile], progress: &dyn Progress) -> Result<Vec<Uploaded>> {
        let items: Vec<Arc<dyn Progress>> =
            files.iter().map(|new| progress.item(&new.name, Some(new.size))).collect();
        // In a box: whatever waits for it would hold its state several times over, for each file on its way.
        let work = Box::pin(self.attempt(files, &items));
        let result = self.interrupt.run_until_cancelled(work).await;
        let result = result.unwrap_or_else(|| Err(Error::new(Kind::Interrupted, "interrupted")));
        for (index, item) in items.iter().enumerate() {
            item.finish(match result.as_deref().map(|done| done.get(index)) {
                Ok(Some(Uploaded { action: Action::Reused | Action::Resumed, .. })) => Outcome::Skipped,
                Ok(_) => Outcome::Done,
                Err(_) => Outcome::Failed,
            });
        }
        result.map_err(|error| files.iter().take(1).fold(error, |error, new| error.about(new.name.clone())))
    }

    /// What [`upload`](Self::upload) would do with a file, as far as it can be told without sending it.
    pub async fn foresee(&self, new: &NewFile) -> Result<Foreseen> {
        let job = self.plan(new, &silent()).await.map_err(|error| error.about(new.name.clone()))?;
        let old = job.old.or_else(|| self.options.to.clone());
        Ok(match (job.there, old) {
            (Some((file, _)), _) => Foreseen::Reused(Box::new(file)),
            (None, Some(old)) => Foreseen::InPlaceOf(old),
            (None, None) => Foreseen::New,
        })
    }

    async fn attempt(&self, files: &[NewFile], items: &[Arc<dyn Progress>]) -> Result<Vec<Uploaded>> {
        let _turn = self.turns.take(files.iter().map(|new| new.name.clone()).collect()).await;
        let mut jobs = Vec::with_capacity(files.len());
        for (new, item) in files.iter().zip(items) {
            jobs.push(self.plan(new, item).await?);
        }
        if let Err(error) = self.send(&mut jobs).await {
            // What may be there stays in the journal: the next run looks for it.
            for job in jobs.iter().filter(|job| job.there.is_none() && !error.may_be_done()) {
                self.journal.forget(job.number);
            }
            return Err(error);
        }
        let mut uploaded = Vec::with_capacity(files.len());
        for job in jobs {
            let Some((file, action)) = job.there else { continue };
            let action = match job.old.filter(|old| *old != file.id) {
                Some(old) => self.retire(&file, &old).await?,
                None if job.repairs => Action::Repaired,
                None => action,
            };
            self.journal.finish(job.number, &file.id);
            let blake3 = job.heard.and_then(|heard| heard.blake3);
            if let Some(blake3) = blake3.filter(|_| self.options.if_exists == IfExists::Skip) {
                self.journal.hashes.note(&file.id, &blake3);
            }
            let file = if self.options.wait {
                wait_until_processed(&self.provider, file, Patience::default()).await?
            } else {
                file
            };
            uploaded.push(Uploaded { file, action, incomparable: job.incomparable });
        }
        Ok(uploaded)
    }

    /// What is to be done with one file: by the journal, then by what is there.
    async fn plan<'a>(&self, new: &'a NewFile, item: &Arc<dyn Progress>) -> Result<Job<'a>> {
        let hasher = match Hasher::cheapest(self.provider.capabilities().checksums) {
            // The platform states none, but another `skip` will want to compare.
            None if self.options.if_exists == IfExists::Skip => Some(Hasher::Blake3(Box::default())),
            hasher => hasher.filter(|_| self.options.verify),
        };
        let metered = Arc::new(Metered { item: Arc::clone(item), listener: hasher.map(Listener::new) });
        let mut job = Job {
            new,
            metered,
            old: None,
            repairs: false,
            number: None,
            there: None,
            heard: None,
            incomparable: None,
        };
        match self.journal.earlier(new) {
            Earlier::Finished(id) => match self.provider.stat(&id).await {
                Ok(file) if file.size.is_none_or(|size| size == new.size) => {
                    self.arrivals.take(&file.id);
                    self.reuse(&mut job, file, Action::Resumed).await?;
                    return Ok(job);
                }
                // Somebody has put other content in its place since, or deleted it.
                Ok(_) => {}
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            },
            // New content for a file can be sent twice, so there is nothing to look for.
            Earlier::Begun(begun) if self.options.to.is_none() => {
                // The file whose place it takes has its name, and is not it.
                if let Some(old) = &begun.old {
                    self.arrivals.take(old);
                }
                if let Some(file) = self.arrivals.find(new, begun.at).await? {
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
        self.heed_existing(&mut job).await?;
        Ok(job)
    }

    /// What is to be done by what is there already.
    async fn heed_existing(&self, job: &mut Job<'_>) -> Result<()> {
        let if_exists = self.options.if_exists;
        if self.options.to.is_some() || if_exists == IfExists::Upload {
            return Ok(());
        }
        let new = job.new;
        let query = Query { filter: Some(Filter::name_is(&new.name)), ..Query::default() };
        let twins = Listing::new(Arc::clone(&self.provider), query, None)?.all().await?;
        self.arrivals.were_there(&twins);
        match if_exists {
            IfExists::Upload => {}
            IfExists::Fail => {
                if let Some(twin) = twins.first() {
                    return Err(Error::failed(format!("{} exists already: {}", new.name, twin.id)));
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
            Ok(true) => job.there = Some((file, action)),
            Ok(false) => (job.old, job.repairs) = (Some(file.id), true),
            // The file was deleted in between.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sends what is not there yet and checks what came of it. Where an answer is lost, looks before sending again.
    async fn send(&self, jobs: &mut [Job<'_>]) -> Result<()> {
        let since = self.clock.now();
        for job in jobs.iter_mut().filter(|job| job.there.is_none()) {
            job.number = self.journal.start(job.new, since, job.old.clone());
        }
        let mut attempts = self.provider.client().map_or(1, crate::http::Client::attempts);
        loop {
            let mut missing: Vec<&mut Job<'_>> = jobs.iter_mut().filter(|job| job.there.is_none()).collect();
            if missing.is_empty() {
                return Ok(());
            }
            let Err(error) = self.send_once(&mut missing).await else { return Ok(()) };
            if !error.may_be_done() {
                return Err(error);
            }
            attempts = attempts.saturating_sub(1);
            let found = if self.in_place(&missing).is_some() {
                // New content for a file can be sent twice.
                Ok(())
            } else {
                self.look_for(&mut missing, since).await
            };
            let hint = "run the same command again: it looks for the file before it sends it";
            match found {
                Err(other) if other.is_unanswered() => return Err(other),
                Err(other) => {
                    let error = error.cause(format!("and looking for the file failed: {other}"));
                    // A wait that is too long is the reason that counts: it says when to run the command again.
                    let limited = other.kind() == Kind::RateLimited;
                    let error = if limited { error.with_kind(Kind::RateLimited).unanswered() } else { error };
                    let when = other.hints().iter().filter(|_| limited);
                    return Err(when.fold(error, |error, when| error.hint(when.clone())).hint(hint));
                }
                Ok(()) if attempts == 0 && missing.iter().any(|job| job.there.is_none()) => {
                    return Err(error.hint(hint));
                }
                Ok(()) => {}
            }
        }
    }

    async fn look_for(&self, missing: &mut [&mut Job<'_>], since: Timestamp) -> Result<()> {
        for job in missing {
            if let Some(file) = self.arrivals.find(job.new, since).await? {
                job.arrive(file, Action::Uploaded)?;
            }
        }
        Ok(())
    }

    /// The file whose content is replaced under its id, where the platform can do that.
    fn in_place(&self, jobs: &[&mut Job<'_>]) -> Option<FileId> {
        let [job] = jobs else { return None };
        let can = self.provider.capabilities().replace && !self.only_anew.load(Ordering::Relaxed);
        self.options.to.clone().or_else(|| job.old.clone().filter(|_| can))
    }

    /// Sends files in one request.
    async fn send_once(&self, jobs: &mut [&mut Job<'_>]) -> Result<()> {
        let progress: Vec<Arc<dyn Progress>> =
            jobs.iter().map(|job| Arc::clone(&job.metered) as Arc<dyn Progress>).collect();
        let replaced = match self.in_place(jobs) {
            None => None,
            Some(id) => match self.provider.replace(&id, jobs[0].new, Arc::clone(&progress[0])).await {
                // Only its answer tells that this platform cannot: the file goes up anew, and the old one goes.
                Err(error) if error.kind() == Kind::Unsupported && self.options.to.is_none() => {
                    self.only_anew.store(true, Ordering::Relaxed);
                    None
                }
                replaced => Some(vec![replaced?]),
            },
        };
        let (sent, action) = if let Some(file) = replaced {
            (file, Action::Replaced)
        } else {
            let files: Vec<NewFile> = jobs.iter().map(|job| job.new.clone()).collect();
            (self.provider.upload(&files, &progress).await?, Action::Uploaded)
        };
        if sent.len() != jobs.len() {
            let platform = self.provider.spec().name;
            let message = format!("{platform} answered an upload of {} with {}", jobs.len(), sent.len());
            return Err(Error::platform(message)
                .hint(format!("look before you send again: `haul ls -p {}`", self.provider.profile())));
        }
        for (job, file) in jobs.iter_mut().zip(sent) {
            self.arrivals.take(&file.id);
            job.arrive(file, action)?;
        }
        Ok(())
    }

    /// Deletes the file whose place another took: only now that the new one is known to be whole.
    async fn retire(&self, new: &File, old: &FileId) -> Result<Action> {
        match self.provider.delete(old).await {
            // An earlier run may have come so far.
            Err(error) if error.kind() != Kind::NotFound => Err(error.hint(format!(
                "the new file is {}; remove the old one: `haul rm {}`",
                new.id,
                word(&format!("id:{old}"))
            ))),
            _ => Ok(Action::Replaced),
        }
    }
}

impl Job<'_> {
    /// Takes the file that has come of it, if its size and checksum are what was sent.
    fn arrive(&mut self, file: File, action: Action) -> Result<()> {
        let new = self.new;
        let hint = |error: Error| {
            error.hint(format!("the file is kept: `haul rm {}` removes it", word(&format!("id:{}", file.id))))
        };
        if let Some(size) = file.size.filter(|size| *size != new.size) {
            let message = format!("{}: {} bytes were sent and the platform has {size}", new.name, new.size);
            return Err(hint(Error::new(Kind::Mismatch, message)));
        }
        let heard = self.metered.listener.as_ref().and_then(|listener| listener.finish(new.size));
        if let Some(computed) = &heard {
            compare(&new.name, computed, &file.checksums).map_err(hint)?;
        }
        self.heard = heard;
        self.there = Some((file, action));
        Ok(())
    }
}

/// Passes positions on, and hears the bytes for the hash.
struct Metered {
    item: Arc<dyn Progress>,
    listener: Option<Listener>,
}

impl Progress for Metered {
    fn at(&self, bytes: u64) {
        self.item.at(bytes);
    }

    fn read(&self, offset: u64, bytes: &[u8]) {
        if let Some(listener) = &self.listener {
            listener.hear(offset, bytes);
        }
    }
}
