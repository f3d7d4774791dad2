//! Uploads: compares files with existing ones, sends the content, recovers from lost responses and verifies the
//! result.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::digest::{UploadHash, compare};
use super::identity::{Evidence, Identity, conflict};
use super::job::{Job, Metered};
use super::ledger::{BATCH_TIME, Begun, Earlier, Ledger, Stamp};
use super::listed::{Added, Listed};
use super::lost::{LostUploads, NameLocks, RUN_AGAIN, after_upload, not_found_out};
use super::mark;
use super::options::{Action, IfExists, Known, Leftover, Preview, UploadOptions, Uploaded};
use super::wait::{Polling, wait_until_processed};
use crate::error::{Error, Kind, Result, word};
use crate::hash::Hasher;
use crate::interrupt::Interrupt;
use crate::model::{Checksums, Clock, File, FileId, NewFile, Source, names_match};
use crate::progress::{Outcome, Progress, silent};
use crate::providers::{Collection, Duplicates, Op, Provider, files_named, require};

/// A command's uploads to one platform.
pub struct Uploads {
    pub(super) provider: Arc<dyn Provider>,
    /// The provider for all files, including those outside the collection.
    stored: Arc<dyn Provider>,
    pub(super) options: UploadOptions,
    pub(super) identity: Identity,
    pub(super) clock: Clock,
    pub(super) interrupt: Interrupt,
    pub(super) lost: LostUploads,
    pub(super) names: NameLocks,
    pub(super) listed: Listed,
    pub(super) added: Added,
    /// When the command began.
    pub(super) began: Timestamp,
    /// The contents that are being sent to a platform that stores equal content once.
    contents: NameLocks,
    /// Whether a response has shown that the platform cannot replace content.
    only_anew: AtomicBool,
}

impl Uploads {
    /// Prepares a command's uploads.
    pub fn new(
        provider: Arc<dyn Provider>,
        mut options: UploadOptions,
        ledger: Ledger,
        clock: Clock,
        interrupt: Interrupt,
    ) -> Self {
        let stored = provider.collection().map_or_else(|| Arc::clone(&provider), Collection::all_files);
        let lost = LostUploads::new(Arc::clone(&stored), options.appears_within);
        let (names, contents) = (NameLocks::new(&ledger), NameLocks::default());
        let (listed, only_anew) = (Listed::new(std::mem::take(&mut options.names)), AtomicBool::new(false));
        let (added, began) = (Added::default(), clock.now());
        let evidence = (options.compare, options.compare_limit);
        let identity = Identity::new(Arc::clone(&provider), ledger, evidence, clock, interrupt.clone());
        Self {
            provider,
            stored,
            options,
            identity,
            clock,
            interrupt,
            lost,
            names,
            listed,
            added,
            began,
            contents,
            only_anew,
        }
    }

    /// Rejects options that the platform does not support.
    pub fn check(&self) -> Result<()> {
        // An existing file with the same name is replaced or deleted.
        let replaces = matches!(self.options.if_exists, IfExists::Update | IfExists::Replace);
        if replaces && !self.provider.capabilities().replace {
            require(self.provider.as_ref(), Op::Delete, "REF")?;
        }
        Ok(())
    }

    /// Ends the command. Unless all files were uploaded, another run resumes it.
    pub fn end(&self, all_done: bool) {
        self.identity.ledger.end(all_done);
    }

    /// Writes what has been uploaded so far to the ledger.
    pub fn record(&self) {
        self.identity.ledger.record();
    }

    /// How many files were compared by downloading them, and how many bytes that took.
    pub fn downloaded(&self) -> (u64, u64) {
        self.identity.downloaded()
    }

    /// Uploads a file, unless the ledger or [`UploadOptions::if_exists`] permits reusing one on the platform.
    pub async fn upload(&self, new: &NewFile, progress: &dyn Progress) -> Result<Uploaded> {
        let item = progress.item(&new.name, Some(new.size));
        // Boxed, because each future that awaits it would otherwise store its state again, for every file in flight.
        let result = self.until_interrupted(Box::pin(self.attempt(new, None, &item))).await;
        if let Source::Remote(remote) = &new.source {
            remote.close().await;
        }
        item.finish(result.as_ref().map_or(Outcome::Failed, Uploaded::outcome));
        result.map_err(|error| error.about(new.name.clone()))
    }

    /// Like [`upload`](Self::upload), but compares with `known` files only. Also returns the SHA-256 of the content.
    pub async fn upload_beside(
        &self,
        new: &NewFile,
        known: &Known,
        progress: &dyn Progress,
    ) -> Result<(Uploaded, String)> {
        let item = progress.item(&new.name, Some(new.size));
        let stamp = Stamp::of_source(new);
        let result = self.until_interrupted(Box::pin(self.attempt(new, Some(known), &item))).await;
        item.finish(result.as_ref().map_or(Outcome::Failed, Uploaded::outcome));
        let uploaded = result.map_err(|error| error.about(new.name.clone()))?;
        let sha256 = match &uploaded.sent.sha256 {
            Some(sent) => sent.clone(),
            None => self.sha256(new).await?,
        };
        if Stamp::of_source(new) != stamp {
            return Err(
                Error::failed(format!("{}: changed during the upload", new.name)).about(new.name.clone())
            );
        }
        Ok((uploaded, sha256))
    }

    /// The SHA-256 of a local file, from the ledger if the file has not changed since it was hashed.
    pub async fn sha256(&self, new: &NewFile) -> Result<String> {
        let digest = self.until_interrupted(self.identity.digest(new, Hasher::sha256())).await;
        digest.map(|sums| sums.sha256.unwrap_or_default()).map_err(|error| error.about(new.name.clone()))
    }

    /// Whether a file on the platform can represent a local file: it is not deleted, failed or expired.
    pub fn is_usable(&self, file: &File) -> bool {
        let gone = file.status.as_deref().is_some_and(|status| {
            let is = |words: &[&str]| words.iter().any(|word| status.eq_ignore_ascii_case(word));
            is(&["deleted", "expired"]) || self.provider.spec().has_failed(status)
        });
        // Use the platform's clock, because the platform reported the time.
        let now = self.lost.platform_time(self.clock.now());
        let expired = file.expires_at.is_some_and(|time| time <= now);
        !gone && !expired
    }

    /// The expected outcome of [`upload`](Self::upload), without sending the file. Compares with `known` files only, if
    /// they are given.
    pub async fn preview(&self, new: &NewFile, known: Option<&Known>) -> Result<Preview> {
        let plan = async {
            let new =
                if self.options.if_exists.compares() { self.sized(new).await? } else { Cow::Borrowed(new) };
            self.plan(&new, known, &silent()).await
        };
        let job = plan.await;
        if let Source::Remote(remote) = &new.source {
            remote.close().await;
        }
        let job = job.map_err(|error| error.about(new.name.clone()))?;
        let old = job.old.or_else(|| self.options.to.clone());
        Ok(match (job.result, old) {
            (Some((file, _)), _) => Preview::Reuse(Box::new(file), job.evidence),
            (None, Some(old)) => Preview::Replace(old),
            (None, None) => Preview::Upload,
        })
    }

    /// Waits for `work`, and regularly writes pending changes to the ledger. On an interrupt, drops `work` once it has
    /// revoked its links.
    pub(super) async fn until_interrupted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.interrupt.cancelled() => break,
                result = work.as_mut() => return result,
                // Otherwise, a long upload would delay the record of the others.
                () = tokio::time::sleep(BATCH_TIME) => self.record(),
            }
        }
        let done = if self.identity.has_links() { self.interrupt.clean_up(work).await } else { None };
        done.unwrap_or_else(|| Err(self.interrupt.error()))
    }

    async fn attempt(
        &self,
        new: &NewFile,
        known: Option<&Known>,
        item: &Arc<dyn Progress>,
    ) -> Result<Uploaded> {
        let _lock = self.lock([new.name.clone()].into()).await;
        let new = self.sized(new).await?;
        let mut job = self.plan(&new, known, item).await?;
        if job.result.is_none()
            && let Err(error) = self.send(&mut job).await
        {
            self.abandon(&job, &error);
            return Err(error);
        }
        self.conclude(job).await
    }

    /// Locks names, against other processes as well if existing files affect the upload.
    pub(super) async fn lock(&self, names: std::collections::BTreeSet<String>) -> super::lost::NameLock<'_> {
        self.names.lock(names, self.options.if_exists.compares()).await
    }

    /// Removes a failed upload from the ledger, unless the platform may have the file; in that case, the next run
    /// looks for it.
    pub(super) fn abandon(&self, job: &Job, error: &Error) {
        if job.result.is_none() && !job.may_be_stored(error) {
            self.identity.ledger.forget(job.number);
        }
    }

    /// Attaches the file, deletes the replaced one, records the upload and, if requested, waits for processing.
    pub(super) async fn conclude(&self, mut job: Job) -> Result<Uploaded> {
        self.forget_session(&mut job);
        let Some((file, action)) = job.result.clone() else {
            return Err(Error::failed(format!("{}: not uploaded", job.new.name)));
        };
        let is_new = action == Action::Uploaded;
        let sent = job.sent.clone().unwrap_or_default();
        let file = match self.provider.collection() {
            None => file,
            Some(collection) => match collection.attach(file.clone(), is_new).await {
                Ok(attached) => attached,
                Err(error) => {
                    // Another run attaches the file and deletes the old one.
                    self.identity.ledger.finish(job.number, &file, job.new.size, &sent, job.old.as_ref());
                    return Err(self.not_attached(&job.new, &file, collection, &error));
                }
            },
        };
        let keeps_id = job.old.as_ref().is_none_or(|old| *old == file.id);
        let (mut action, mut kept) = (if job.repairs { Action::Repaired } else { action }, None);
        if let Some(old) = job.old.clone().filter(|old| *old != file.id) {
            kept = self.retire(&job.new, &file, &old).await?.map(|error| (old, error));
            action = if kept.is_some() { action } else { Action::Replaced };
        }
        let old = kept.as_ref().map(|(old, _)| old);
        self.identity.ledger.finish(job.number, &file, job.new.size, &sent, old);
        // A later comparison does not have to read the file again.
        for kind in Checksums::KINDS {
            self.identity.note_hash(&job.new, job.stamp, kind, &sent);
        }
        let twin = if is_new { self.twin(&job, &file).await } else { None };
        let file = if self.options.wait {
            wait_until_processed(&self.provider, file, Polling::default()).await?
        } else {
            file
        };
        let Job { new: NewFile { name, .. }, evidence, different, before, .. } = job;
        Ok(Uploaded { file, name, action, keeps_id, evidence, different, twin, before, kept, sent })
    }

    /// Decides what to do with a file from the ledger and from the existing files.
    pub(super) async fn plan(
        &self,
        new: &NewFile,
        known: Option<&Known>,
        item: &Arc<dyn Progress>,
    ) -> Result<Job> {
        let stated = self.provider.capabilities().checksums;
        // A lock file records the SHA-256.
        let also = stated.contains(&"sha256") || stated.is_empty();
        let stated =
            if self.options.anew && also { Some(Hasher::sha256()) } else { Hasher::cheapest(stated) };
        let hasher = stated.filter(|_| self.options.verify);
        // Some platforms require the SHA-256 before the content. It is compared with the hash of the content sent.
        let hasher = if self.provider.asks_for_sha256() { Some(Hasher::sha256()) } else { hasher };
        // Otherwise, the BLAKE3 is computed for the ledger.
        let hasher = hasher.or_else(|| self.identity.ledger.is_on().then(Hasher::blake3));
        let stamp = Stamp::of_source(new);
        let metered = Metered { item: Arc::clone(item), hash: hasher.map(UploadHash::new) };
        let mut job = Job::new(new.clone(), metered, stamp);
        let (earlier, latest) = match self.leftover(new) {
            Some(Leftover { id, old }) => (Earlier::Finished { id, old: Some(old) }, None),
            None => self.identity.ledger.earlier(new, stamp, self.clock.now()),
        };
        if self.options.to.is_none() && known.is_none() && !self.options.if_exists.compares() {
            job.before = latest;
        }
        match earlier {
            Earlier::Finished { id, old } => match self.stored.stat(&id).await {
                Ok(file) if file.size.is_none_or(|size| size == new.size) => {
                    self.lost.claim(&file.id);
                    self.reuse(&mut job, file, Action::Resumed).await?;
                    if job.result.is_some() {
                        job.old = old;
                    }
                    return Ok(job);
                }
                // The content has since been replaced, or the file was deleted.
                Ok(_) => {}
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            },
            // No search is needed if content is replaced, which can safely be repeated, or if only parts were sent.
            Earlier::Begun(begun) if self.options.to.is_none() && !self.has_parts_only(new) => {
                if self.resume(&mut job, begun).await? {
                    return Ok(job);
                }
            }
            Earlier::Begun(begun) => self.identity.ledger.forget(Some(begun.number)),
            Earlier::Nothing => {}
        }
        match known {
            None => self.apply_if_exists(&mut job).await?,
            Some(known) => {
                if let Some(old) = &known.old {
                    self.lost.claim(old);
                    job.known.push(old.clone());
                    if self.has_name_of(new, old) {
                        job.old = Some(old.clone());
                    }
                }
                self.compare_with(&mut job, known.named.clone()).await?;
            }
        }
        Ok(job)
    }

    /// The earlier upload of this file, if a report shows that only the replaced file still has to be deleted.
    fn leftover(&self, new: &NewFile) -> Option<Leftover> {
        let place = new.source.place()?.to_owned();
        self.options.leftovers.get(&(place, new.name.clone())).cloned()
    }

    /// Looks for the file of an upload that an earlier run started. Returns whether it was found.
    async fn resume(&self, job: &mut Job, begun: Begun) -> Result<bool> {
        // The replaced file has the same name, but it is an older one.
        if let Some(old) = &begun.old {
            self.lost.claim(old);
        }
        job.new.mark.clone_from(&begun.mark);
        let found = self.lost.find(&job.new, begun.at, &self.identity).await;
        job.new.mark = None;
        let Some(file) = found? else {
            self.identity.ledger.forget(Some(begun.number));
            job.attempted = Some((begun.at, Action::Resumed));
            return Ok(false);
        };
        let file = self.provider.finish(file).await?;
        job.number = Some(begun.number);
        job.old = begun.old;
        self.reuse(job, file, Action::Resumed).await?;
        Ok(true)
    }

    /// Applies [`UploadOptions::if_exists`] to the existing files with the same name.
    async fn apply_if_exists(&self, job: &mut Job) -> Result<()> {
        if self.options.to.is_some() || !self.options.if_exists.compares() {
            return Ok(());
        }
        let ledger = &self.identity.ledger;
        let named = self.listed.named(&self.provider, ledger, self.clock, &job.new.name).await?;
        self.compare_with(job, named).await
    }

    /// Applies [`UploadOptions::if_exists`] to these files of the same name.
    async fn compare_with(&self, job: &mut Job, named: Vec<File>) -> Result<()> {
        let if_exists = self.options.if_exists;
        self.lost.exclude(&named);
        job.known.extend(named.iter().map(|file| file.id.clone()));
        let candidates: Vec<File> =
            named.into_iter().filter(|file| self.is_candidate(job.new.purpose.as_ref(), file)).collect();
        match if_exists {
            IfExists::Upload => Ok(()),
            IfExists::Fail => match candidates.first() {
                Some(file) => Err(Error::failed(format!("{} already exists: {}", job.new.name, file.id))),
                None => Ok(()),
            },
            IfExists::Replace => {
                job.old = self.only(&job.new, candidates)?;
                Ok(())
            }
            IfExists::Skip | IfExists::Update => {
                let mut unknown = None;
                for file in &candidates {
                    let Some(verdict) = self.identity.decide(&job.new, file).await? else {
                        unknown = unknown.or(Some(file));
                        continue;
                    };
                    job.evidence = Some(verdict.evidence);
                    if verdict.same {
                        return self.reuse(job, file.clone(), Action::Reused).await;
                    }
                }
                if let Some(file) = unknown {
                    return Err(conflict(self.provider.as_ref(), &job.new, file));
                }
                if if_exists == IfExists::Update {
                    job.old = self.only(&job.new, candidates)?;
                } else {
                    job.different = candidates.into_iter().next().map(|file| file.id);
                }
                Ok(())
            }
        }
    }

    /// Whether an existing file with the same name counts: it must be usable and must not have a different purpose.
    pub(super) fn is_candidate(&self, purpose: Option<&String>, file: &File) -> bool {
        let same_purpose =
            purpose.is_none_or(|purpose| file.purpose.as_ref().is_none_or(|its| its == purpose));
        same_purpose && self.is_usable(file)
    }

    /// The only file with this name, which is to be replaced. If there are several, that is an error.
    fn only(&self, new: &NewFile, mut candidates: Vec<File>) -> Result<Option<FileId>> {
        if candidates.len() < 2 {
            return Ok(candidates.pop().map(|file| file.id));
        }
        let ids: Vec<&str> = candidates.iter().map(|file| file.id.as_str()).collect();
        let first = format!("id:{}", ids[0]);
        let (profile, first) = (word(self.provider.profile()), word(&first));
        let mut error =
            Error::usage(format!("{}: {} files have this name: {}", new.name, ids.len(), ids.join(", ")));
        if let Source::Path(path) = &new.source
            && self.provider.capabilities().replace
        {
            let path = path.to_string_lossy();
            let path = word(&path);
            error =
                error.hint(format!("to replace one of them: `haul upload -p {profile} {path} --to {first}`"));
        }
        Err(error.hint(self.removal("one of them", &candidates[0].id)))
    }

    /// Reuses an existing file. If its content is damaged or missing, the content is sent again.
    async fn reuse(&self, job: &mut Job, file: File, action: Action) -> Result<()> {
        match self.provider.is_intact(&file.id).await {
            Ok(true) => job.result = Some((file, action)),
            Ok(false) => (job.old, job.repairs) = (Some(file.id), true),
            // The file was deleted in the meantime.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the file a mark if the platform stores one, and records in the ledger that it is about to be sent.
    pub(super) async fn begin(&self, job: &mut Job, since: Timestamp) -> Result<()> {
        if let Some(collection) = self.provider.collection() {
            collection.check().await?;
        }
        if self.provider.capabilities().upload.mark && self.in_place(job).is_none() {
            let sums = self.identity.digest(&job.new, Hasher::sha256()).await?;
            job.new.mark = sums.sha256.as_deref().map(mark::new);
        }
        if self.provider.asks_for_sha256() && job.new.sha256.is_none() {
            job.new.sha256 = self.identity.digest(&job.new, Hasher::sha256()).await?.sha256;
        }
        if job.number.is_none() {
            let begun = self.identity.ledger.begin(&job.new, job.stamp, since, job.old.as_ref());
            job.number = begun.await;
        }
        Ok(())
    }

    /// Whether the platform stores equal content once.
    fn stores_once(&self) -> bool {
        self.provider.capabilities().duplicates == Duplicates::Never
    }

    /// The maximum number of times that one file is sent.
    pub(super) fn attempts(&self) -> u32 {
        self.provider.client().map_or(1, crate::http::Client::attempts)
    }

    /// Sends a file and verifies the result. After a lost response, looks for the file before sending it again.
    async fn send(&self, job: &mut Job) -> Result<()> {
        self.stage(job).await?;
        let since = self.clock.now();
        self.begin(job, since).await?;
        // Files with the same content are sent one after another, so that the second one finds the first.
        let content = job.new.sha256.clone().filter(|_| self.stores_once()).into_iter().collect();
        let _lock = self.contents.lock(content, false).await;
        let mut attempts = self.attempts();
        while let Err(error) = self.send_once(job).await {
            if !job.may_be_stored(&error) {
                return Err(error);
            }
            attempts = attempts.saturating_sub(1);
            job.attempted.get_or_insert((since, Action::Uploaded));
            // Replacing a file's content twice is harmless.
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

    /// Looks for an uploaded file whose upload response was lost.
    pub(super) async fn find(&self, job: &mut Job, since: Timestamp) -> Result<()> {
        match self.lost.find(&job.new, since, &self.identity).await? {
            Some(file) => {
                let file = self.provider.finish(file).await?;
                self.accept(job, file, Action::Uploaded)
            }
            None => Ok(()),
        }
    }

    /// The file whose content is replaced while its id stays the same, if the platform supports that.
    fn in_place(&self, job: &Job) -> Option<FileId> {
        let replaces = |old: &FileId| {
            let is_anew = self.options.anew && !self.has_name_of(&job.new, old);
            self.provider.capabilities().replace && !is_anew && !self.only_anew.load(Ordering::Relaxed)
        };
        self.options.to.clone().or_else(|| job.old.clone().filter(replaces))
    }

    /// Whether the new file would have this id, because the platform's names are ids.
    fn has_name_of(&self, new: &NewFile, id: &FileId) -> bool {
        self.provider.spec().names_are_ids() && id.as_str() == new.name
    }

    async fn send_once(&self, job: &mut Job) -> Result<()> {
        match self.transmit(job).await {
            Err(error) if error.existing().is_some() => self.use_existing(job, error).await,
            sent => sent,
        }
    }

    /// Uses the file that has the content, on a platform that stores equal content once.
    async fn use_existing(&self, job: &mut Job, error: Error) -> Result<()> {
        let Some(id) = error.existing().cloned() else { return Err(error) };
        let file = match self.provider.stat(&id).await {
            Ok(file) => self.provider.finish(file).await?,
            Err(other) if other.kind() == Kind::NotFound => return Err(error.cause(other.to_string())),
            Err(other) => return Err(other),
        };
        let (new, platform) = (&job.new, self.provider.spec().name);
        let exists = |what: &str| {
            Error::failed(format!("{}: {platform} has this content already: {id}, {what}", new.name))
                .hint(format!("to delete that file: `{}`", self.deletion(&id)))
        };
        let default = self.provider.capabilities().upload.default_purpose;
        let wanted = new.purpose.as_deref().or(default);
        if let (Some(wanted), Some(purpose)) = (wanted, &file.purpose)
            && wanted != purpose
        {
            return Err(exists(&format!("with the purpose {purpose} instead of {wanted}")));
        }
        let is_named = names_match(&file.name, &new.name);
        if !is_named && job.old.as_ref().is_some_and(|old| *old != file.id) {
            // Without the old file, no file would have the name.
            return Err(exists(&format!("with the name {:?}", file.name)));
        }
        let is_own = |at: Timestamp| {
            let at = self.lost.platform_time(at).as_second();
            is_named && file.created_at.is_some_and(|created| created.as_second() >= at)
        };
        let own = job.attempted.filter(|(at, _)| is_own(*at));
        let action = own.map_or(Action::Reused, |(_, action)| action);
        job.evidence = (action == Action::Reused).then_some(Evidence::Checksum);
        job.sent = new.sha256.as_deref().map(|digest| Checksums::of("sha256", digest));
        self.lost.claim(&file.id);
        job.result = Some((file, action));
        Ok(())
    }

    async fn transmit(&self, job: &mut Job) -> Result<()> {
        if let Some(id) = self.in_place(job) {
            match self.provider.replace(&id, &job.new, job.progress()).await {
                // Only the response shows that this platform cannot replace content. Upload a new file and delete the
                // old one.
                Err(error) if error.kind() == Kind::Unsupported && self.options.to.is_none() => {
                    self.only_anew.store(true, Ordering::Relaxed);
                }
                replaced => return self.accept(job, replaced?, Action::Replaced),
            }
        }
        if let Some(platform) = self.in_parts(&job.new) {
            let file = self.send_in_parts(platform, job).await?;
            return self.accept(job, file, Action::Uploaded);
        }
        if self.options.to.is_some() || !self.options.if_exists.compares() {
            let file = self.provider.upload(&job.new, job.progress()).await?;
            return self.accept(job, file, Action::Uploaded);
        }
        let added = self.provider.upload_unless_named(&job.new, &job.known, job.progress()).await?;
        if let Some(file) = added {
            return self.accept(job, file, Action::Uploaded);
        }
        // Another command has added a file with this name.
        self.identity.ledger.forget(job.number.take());
        job.known.clear();
        let named = files_named(&self.provider, &job.new.name).await?;
        self.compare_with(job, named).await?;
        if job.result.is_some() {
            return Ok(());
        }
        self.begin(job, self.clock.now()).await?;
        Box::pin(self.transmit(job)).await
    }

    /// Accepts the resulting file if its size and checksum match the content that was sent.
    pub(super) fn accept(&self, job: &mut Job, file: File, action: Action) -> Result<()> {
        self.lost.claim(&file.id);
        let new = &job.new;
        let hint = |error: Error| {
            error.hint(format!("the uploaded file was kept; to delete it: `{}`", self.deletion(&file.id)))
        };
        if let Some(size) = file.size.filter(|size| *size != new.size) {
            let message = format!("{}: sent {} bytes, but the platform has {size}", new.name, new.size);
            return Err(hint(Error::new(Kind::Mismatch, message)));
        }
        let streamed = || job.metered.hash.as_ref().and_then(|hash| hash.finish(new.size));
        let sent = job.in_parts.take().or_else(streamed);
        if let Some(computed) = sent.as_ref().filter(|_| self.options.verify) {
            compare(&new.name, computed, &file.checksums).map_err(hint)?;
        }
        // The platform compares other files with the checksum that was sent before the content, so it must be correct.
        let sent_sha256 = sent.as_ref().and_then(|sent| sent.sha256.as_deref());
        if new.sha256.as_deref().zip(sent_sha256).is_some_and(|(announced, sent)| announced != sent) {
            return Err(hint(Error::failed(format!("{}: changed during the upload", new.name))));
        }
        job.sent = sent;
        job.result = Some((file, action));
        Ok(())
    }

    /// Deletes the replaced file after the new one has been verified. Returns the error if the old file still exists.
    async fn retire(&self, new: &NewFile, file: &File, old: &FileId) -> Result<Option<Error>> {
        match self.provider.delete(old).await {
            Ok(()) => Ok(None),
            // An earlier run may have deleted it.
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) if error.is_interrupted() => Err(error),
            Err(error) => {
                let done = if self.provider.collection().is_some() { "detached" } else { "deleted" };
                let message = format!("{}: uploaded as {}, but {old} was not {done}", new.name, file.id);
                let kept = after_upload(new, message, &error);
                Ok(Some(kept.hint(self.removal("the old file", old))))
            }
        }
    }

    /// The error for an uploaded file that was not attached.
    fn not_attached(&self, new: &NewFile, file: &File, collection: &dyn Collection, error: &Error) -> Error {
        let place = collection.name();
        let message = format!("{}: uploaded as {}, but not attached to {place}", new.name, file.id);
        let mut error = after_upload(new, message, error);
        if self.identity.ledger.is_on() {
            error =
                error.hint("to attach it, run the same command again; the file is not sent a second time");
        }
        error.hint(format!("to delete it: `{}`", self.deletion(&file.id)))
    }

    /// The hint to delete or detach a file.
    fn removal(&self, what: &str, id: &FileId) -> String {
        match self.provider.collection() {
            Some(collection) => {
                format!("to detach {what}: `{} {}`", self.rm(id), collection.option())
            }
            None => format!("to delete {what}: `{}`", self.rm(id)),
        }
    }

    /// The command that deletes a file.
    fn deletion(&self, id: &FileId) -> String {
        match self.provider.collection() {
            Some(collection) => format!("{} {}", self.rm(id), collection.option_for_all()),
            None => self.rm(id),
        }
    }

    fn rm(&self, id: &FileId) -> String {
        format!("haul rm -p {} {}", word(self.provider.profile()), word(&format!("id:{id}")))
    }
}
