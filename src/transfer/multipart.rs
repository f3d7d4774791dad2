//! Multipart uploads.
//!
//! Parts are sent concurrently. The ledger records the session and each confirmed part, so that the same upload can
//! resume after an interruption, even in another process. Sessions for a changed file and sessions that are expired
//! or a day old are aborted by the next multipart upload to the same target.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::job::Job;
use super::ledger::{OpenSession, Stamp};
use super::options::Action;
use super::upload::Uploads;
use crate::error::{Error, Kind, Result};
use crate::hash::Hasher;
use crate::model::{Checksums, File, NewFile};
use crate::progress::Progress;
use crate::providers::{Multipart, PartRange, Received, Session};

impl Uploads {
    /// Sends a file in parts.
    ///
    /// If sending fails, the session is kept if the same upload can resume it, and aborted otherwise. A session from
    /// an earlier run that the platform no longer accepts is replaced by a new one.
    pub(super) async fn send_in_parts(&self, platform: &dyn Multipart, job: &mut Job) -> Result<File> {
        let stamp = Stamp::of_source(&job.new);
        let mut earlier = match job.session.take() {
            Some(open) => Some(open),
            None => self.earlier_session(platform, job).await,
        };
        loop {
            let resumed = earlier.is_some();
            let mut open = match earlier.take() {
                Some(open) => open,
                None => self.begin_session(platform, job).await?,
            };
            let was_completing = open.completing;
            let mut result = self.run_session(platform, job, &mut open, stamp, resumed).await;
            // The earlier completion, whose response was lost, may have been carried out since the last search for
            // the file.
            if was_completing && result.as_ref().is_err_and(is_rejection) {
                match self.lost.find(&job.new, open.at, &self.identity).await {
                    Ok(Some(file)) => result = Ok(file),
                    Ok(None) => {}
                    Err(error) => result = Err(error.unanswered()),
                }
            }
            let error = match result {
                Ok(file) => {
                    self.identity.ledger.end_session(open.number);
                    return Ok(file);
                }
                Err(error) => error,
            };
            let is_recorded = open.number.is_some();
            if (can_continue(&error) && is_recorded) || (open.completing && error.may_be_done()) {
                // The next run resumes the session, or the caller looks for the file and calls this function again.
                job.session = Some(open);
                return Err(error);
            }
            // The session may no longer exist.
            let _ = platform.abort(&open.session).await;
            self.identity.ledger.end_session(open.number);
            let is_local = error.kind() == Kind::Failed && error.status().is_none();
            if !resumed || can_continue(&error) || is_local {
                return Err(error);
            }
        }
    }

    /// The session from an earlier run that this upload resumes. Aborts stale sessions.
    async fn earlier_session(&self, platform: &dyn Multipart, job: &mut Job) -> Option<OpenSession> {
        let found = self.identity.ledger.sessions(&job.new, self.clock.now());
        for open in found.stale {
            match platform.abort(&open.session).await {
                Err(error) if can_continue(&error) => {}
                _ => self.identity.ledger.end_session(open.number),
            }
        }
        let open = found.current?;
        if !platform.continues() {
            let _ = platform.abort(&open.session).await;
            self.identity.ledger.end_session(open.number);
            return None;
        }
        self.identity.ledger.continue_session(open.number);
        job.new.mark.clone_from(&open.mark);
        Some(open)
    }

    async fn begin_session(&self, platform: &dyn Multipart, job: &Job) -> Result<OpenSession> {
        let session = platform.begin(&job.new).await?;
        let secret = session.secret.clone().filter(|_| platform.continues());
        let recorded = Session { secret, ..session.clone() };
        let at = self.clock.now();
        let number = self.identity.ledger.begin_session(&job.new, &recorded, at);
        let mark = job.new.mark.clone();
        Ok(OpenSession { number, session, at, tags: BTreeMap::new(), completing: false, mark })
    }

    /// Erases the session of a file that is stored even though its completion was not confirmed.
    pub(super) fn forget_session(&self, job: &mut Job) {
        if let Some(open) = job.session.take() {
            self.identity.ledger.end_session(open.number);
        }
        let is_found = job.result.as_ref().is_some_and(|(_, action)| *action == Action::Resumed);
        if is_found && self.in_parts(&job.new).is_some() {
            let found = self.identity.ledger.sessions(&job.new, self.clock.now());
            if let Some(open) = found.current.filter(|open| open.completing) {
                self.identity.ledger.end_session(open.number);
            }
        }
    }

    /// The operations for sending this file in parts, if the platform receives it that way.
    pub(super) fn in_parts(&self, new: &NewFile) -> Option<&dyn Multipart> {
        self.provider.multipart().filter(|platform| platform.applies(new))
    }

    /// Whether an earlier run sent parts of this file without combining them.
    pub(super) fn has_parts_only(&self, new: &NewFile) -> bool {
        let sessions = || self.identity.ledger.sessions(new, self.clock.now());
        self.in_parts(new).is_some() && sessions().current.is_some_and(|open| !open.completing)
    }

    /// Sends the missing parts of the session and combines all parts.
    async fn run_session(
        &self,
        platform: &dyn Multipart,
        job: &mut Job,
        open: &mut OpenSession,
        stamp: Option<Stamp>,
        resumed: bool,
    ) -> Result<File> {
        let item = job.progress();
        let mut attempts = self.attempts();
        let mut pause = self.provider.client().map_or(Duration::ZERO, crate::http::Client::base_pause);
        // If the last part completes the file, the platform reports whether that part has arrived.
        let sends = !open.completing || platform.ends_with_part();
        let mut from = if resumed && sends { received(platform, open).await? } else { Reached::Byte(0) };
        let mut reached = 0;
        loop {
            let start = match from {
                Reached::Byte(start) => start,
                Reached::End(file) => {
                    job.in_parts = Some(self.checksums_of_parts(platform, job).await?);
                    return Ok(*file);
                }
            };
            if start > reached {
                (reached, attempts) = (start, self.attempts());
            }
            let start = sends.then_some(start);
            let error = match self.send_from(platform, job, open, stamp, start, &item).await {
                Ok(file) => return Ok(file),
                Err(error) => error,
            };
            // Parts sent by offset cannot simply be repeated: the platform reports where to resume.
            attempts = attempts.saturating_sub(1);
            if !sends || !error.is_unanswered() || attempts == 0 {
                return Err(error);
            }
            if open.completing && !platform.ends_with_part() {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            from = match platform.received(&open.session).await {
                Ok(Some(Received::Bytes(bytes))) => Reached::Byte(bytes),
                Ok(Some(Received::File(file))) => Reached::End(file),
                _ => return Err(error),
            };
        }
    }

    /// Sends the missing parts starting at byte `start`, and combines all parts. Without `start`, only combines them.
    async fn send_from(
        &self,
        platform: &dyn Multipart,
        job: &mut Job,
        open: &mut OpenSession,
        stamp: Option<Stamp>,
        start: Option<u64>,
        item: &Arc<dyn Progress>,
    ) -> Result<File> {
        let mut missing = start.map(|start| missing(job.new.size, open, start)).unwrap_or_default();
        let last = if platform.ends_with_part() { missing.pop_back() } else { None };
        let left: u64 = missing.iter().chain(&last).map(|part| part.len).sum();
        let sent = Arc::new(AtomicU64::new(job.new.size.saturating_sub(left)));
        let progress = |part: PartRange| -> Arc<dyn Progress> {
            Arc::new(PartProgress {
                item: Arc::clone(item),
                total: Arc::clone(&sent),
                from: part.from,
                counted: AtomicU64::new(0),
            })
        };
        self.send_parts(platform, &job.new, open, missing, &progress).await?;
        if stamp != Stamp::of_source(&job.new) {
            return Err(Error::failed(format!("{}: changed during the upload", job.new.name)));
        }
        let checksums = self.checksums_of_parts(platform, job).await?;
        self.identity.ledger.complete_session(open.number);
        open.completing = true;
        let file = if let Some(part) = last {
            platform.put_last(&open.session, &job.new, part, progress(part)).await?
        } else {
            let tags: Vec<String> = open.tags.values().cloned().collect();
            platform.complete(&open.session, &job.new, &tags, &checksums).await?
        };
        job.in_parts = Some(checksums);
        Ok(file)
    }

    /// The checksum that the platform requires or, otherwise, the one used to verify and record the upload. Parts are
    /// sent out of order, so the file is read once more.
    async fn checksums_of_parts(&self, platform: &dyn Multipart, job: &Job) -> Result<Checksums> {
        let required = platform.checksum().and_then(|kind| Hasher::cheapest(&[kind]));
        match required.or_else(|| job.hasher()) {
            Some(hasher) => self.identity.digest(&job.new, hasher).await,
            None => Ok(Checksums::default()),
        }
    }

    /// Sends parts concurrently. Stops at the first failure.
    async fn send_parts(
        &self,
        platform: &dyn Multipart,
        new: &NewFile,
        open: &mut OpenSession,
        mut missing: VecDeque<PartRange>,
        progress: &(impl Fn(PartRange) -> Arc<dyn Progress> + Sync),
    ) -> Result<()> {
        let mut running = FuturesUnordered::new();
        let OpenSession { session, tags, number, .. } = open;
        let session = &*session;
        loop {
            while running.len() < platform.parallel().max(1)
                && let Some(part) = missing.pop_front()
            {
                let progress = progress(part);
                running.push(async move {
                    let tag = platform.put_part(session, new, part, Arc::clone(&progress)).await?;
                    progress.at(part.from + part.len);
                    Ok::<_, Error>((part.index, tag))
                });
            }
            let Some(sent) = running.next().await else { return Ok(()) };
            let (index, tag) = sent?;
            self.identity.ledger.note_part(*number, index, &tag);
            tags.insert(index, tag);
        }
    }
}

/// Whether the same upload may resume the session after this error.
fn can_continue(error: &Error) -> bool {
    error.is_unanswered()
        || matches!(error.kind(), Kind::Auth | Kind::RateLimited | Kind::Unreachable | Kind::Interrupted(_))
}

/// Whether the platform rejected the request, so that it was not carried out.
fn is_rejection(error: &Error) -> bool {
    matches!(error.status(), Some(400..=499)) && !error.may_be_done() && !can_continue(error)
}

/// How far a session has progressed.
enum Reached {
    /// The platform has received the bytes before this one.
    Byte(u64),
    /// The parts have been combined into this file.
    End(Box<File>),
}

/// Queries what the platform has received and updates the tags.
async fn received(platform: &dyn Multipart, open: &mut OpenSession) -> Result<Reached> {
    match platform.received(&open.session).await? {
        Some(Received::Bytes(bytes)) => Ok(Reached::Byte(bytes)),
        Some(Received::Parts(tags)) => {
            open.tags = tags;
            Ok(Reached::Byte(0))
        }
        Some(Received::File(file)) => Ok(Reached::End(file)),
        None => Ok(Reached::Byte(0)),
    }
}

/// The parts of a file that the platform does not have: those without a tag, starting at byte `start`.
fn missing(size: u64, open: &OpenSession, start: u64) -> VecDeque<PartRange> {
    let step = open.session.part_size.max(1);
    let mut parts = VecDeque::new();
    let (mut from, mut index) = (start, u32::try_from(start / step).unwrap_or(u32::MAX));
    while from < size {
        // Parts start at multiples of the part size, except the first one after `start`.
        let end = size.min((from / step).saturating_add(1).saturating_mul(step));
        if start > 0 || !open.tags.contains_key(&index) {
            parts.push_back(PartRange { index, from, len: end - from });
        }
        (from, index) = (end, index.saturating_add(1));
    }
    parts
}

/// Adds the progress of a part to that of its file.
struct PartProgress {
    item: Arc<dyn Progress>,
    total: Arc<AtomicU64>,
    from: u64,
    counted: AtomicU64,
}

impl Progress for PartProgress {
    fn at(&self, position: u64) {
        let sent = position.saturating_sub(self.from);
        let before = self.counted.swap(sent, Ordering::Relaxed);
        // Wraps when an attempt starts over; the addition makes the sum correct again.
        let change = sent.wrapping_sub(before);
        self.item.at(self.total.fetch_add(change, Ordering::Relaxed).wrapping_add(change));
    }
}

#[cfg(test)]
mod tests;
