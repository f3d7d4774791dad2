//! The work of `haul sync`: decides what to do with each file, does it and records the result.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream;
use jiff::{SignedDuration, Timestamp, Unit};
use tokio::sync::Notify;

use super::{Action, COLUMNS, Folder, Item, Local, OnConflict, Row, SyncArgs};
use crate::commands::batch::{self, BatchArgs, Labels};
use crate::commands::report::Outcome;
use crate::commands::sources::Work;
use crate::commands::upload::prepare;
use crate::context::Context;
use crate::error::{Error, Kind, Result, reference, word};
use crate::human;
use crate::model::{FileId, NewFile, Source};
use crate::progress::Progress;
use crate::providers::{Duplicates, Op, Provider, require};
use crate::sync::{self, Ids, Lock, Named, Origin, Sha256, State, Target, state_of};
use crate::transfer::{Action as Sent, Evidence, Known, Orphan, Planned, Preview, Uploaded, Uploads};

/// The state of one run.
pub(super) struct Run<'a> {
    pub(super) folder: Folder<'a>,
    pub(super) args: &'a SyncArgs,
    pub(super) ctx: &'a Context,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) uploads: Uploads,
    pub(super) template: NewFile,
    pub(super) lock: RefCell<Lock>,
    pub(super) ids: RefCell<Ids>,
    pub(super) named: RefCell<Named>,
    /// The paths whose replaced files are retired after all local files have been processed.
    pub(super) replaced: RefCell<Vec<String>>,
    /// The files that interrupted runs uploaded, and whose local files have changed since.
    pub(super) orphans: Vec<Orphan>,
    pub(super) renew: Option<SignedDuration>,
    /// How long a new file may be missing from listings.
    pub(super) appears_within: Duration,
    pub(super) now: Timestamp,
    pub(super) previews: bool,
    /// The number of local files that have not been processed yet.
    pub(super) left: Cell<usize>,
    /// Signals that a local file was processed.
    pub(super) uploaded: Notify,
    /// Whether rows have changed since the last write of the lock file.
    pub(super) has_changes: Cell<bool>,
}

/// The minimum time between writes of the lock file.
const PACE: Duration = Duration::from_secs(2);
/// The minimum time between writes, as a multiple of the duration of a write, which grows with the number of files.
const REST: u32 = 20;

impl Run<'_> {
    /// Processes all items, prints a row for each, and writes the lock file.
    pub(super) async fn process(&self, items: impl Iterator<Item = Item>) -> Result<()> {
        let ctx = self.ctx;
        let rows = ctx.ui.rows(COLUMNS)?;
        let progress = ctx.ui.progress();
        let progress = progress.as_ref();
        let counts = RefCell::new(BTreeMap::<Action, u64>::new());
        // The time of the last write, and the minimum time until the next.
        let written = Cell::new((Instant::now(), PACE));
        let shows_all = ctx.ui.is_json() || ctx.ui.verbosity() > 0;
        let labels = Labels { skipped: "unchanged", ..Labels::of("synchronized").without_summary() };
        let result = batch::run(
            ctx,
            &BatchArgs { jobs: self.args.jobs, ..BatchArgs::default() },
            labels,
            stream::iter(items.map(Ok)),
            async |item| match item {
                Item::Local(file) => {
                    let result = self.local(file, progress).await;
                    self.left.set(self.left.get().saturating_sub(1));
                    self.uploaded.notify_waiters();
                    result
                }
                Item::Gone(path) => {
                    // A platform that stores equal content once gives a renamed file the id of the old one.
                    while self.left.get() > 0 {
                        self.uploaded.notified().await;
                    }
                    self.delete(path).await
                }
            },
            rows,
            |rows, (row, error): (Row, Option<Error>)| {
                *counts.borrow_mut().entry(row.action).or_default() += 1;
                let (id, kept) = (row.id.clone(), row.kept.clone());
                let is_unchanged = row.action == Action::Unchanged;
                if shows_all || !is_unchanged {
                    rows.push(&row)?;
                }
                let (last, pause) = written.get();
                if self.has_changes.get() && last.elapsed() > pause {
                    let begun = Instant::now();
                    self.write()?;
                    written.set((Instant::now(), PACE.max(begun.elapsed().saturating_mul(REST))));
                }
                Ok(vec![match (id, kept.zip(error)) {
                    (Some(id), Some((old, error))) => Outcome::Kept { id, old, error },
                    (id, _) if is_unchanged => Outcome::Skipped(id),
                    (id, _) => Outcome::Done(id),
                }])
            },
        )
        .await;
        if self.previews {
            result?;
        } else {
            let rest = match &result {
                Err(error) if error.is_interrupted() => Ok(()),
                result => self.delete_rest(result.is_ok()).await,
            };
            let result = result.and(rest);
            let recorded = self.write();
            self.uploads.end(result.is_ok() && recorded.is_ok());
            result.and(recorded)?;
        }
        self.conclude(&counts.into_inner())
    }

    /// Writes the changes to the lock file.
    fn write(&self) -> Result<()> {
        if self.has_changes.get() {
            self.lock.borrow_mut().write()?;
            self.has_changes.set(false);
        }
        Ok(())
    }

    /// Prints the summary of a run without failures.
    fn conclude(&self, counts: &BTreeMap<Action, u64>) -> Result<()> {
        let (ctx, dry_run) = (self.ctx, self.previews);
        let parts: Vec<String> =
            counts.iter().map(|(action, count)| format!("{count} {}", action.word())).collect();
        let changes: u64 =
            counts.iter().filter(|(action, _)| **action != Action::Unchanged).map(|(_, n)| n).sum();
        if !ctx.ui.is_json() {
            let (files, bytes) = self.uploads.downloaded();
            if files > 0 {
                let (number, size) = (human::count(files, "file"), human::size(bytes));
                ctx.ui.note(&format!("compared {number} by downloading {size}"));
            }
            let summary = parts.join(", ");
            ctx.ui.note(&match dry_run {
                true if self.args.check => format!("nothing changed; planned: {summary}"),
                true => format!("dry run: nothing changed; planned: {summary}"),
                false => summary,
            });
        }
        if self.args.check && changes > 0 {
            let what = human::count(changes, "change");
            return Err(Error::new(
                Kind::OutOfDate,
                format!("{}: out of date: {what}", self.lock.borrow().path().display()),
            )
            .hint("run the same command without `--check`"));
        }
        Ok(())
    }

    /// The state of a row's file. A file that the listing does not contain is looked up.
    async fn state(&self, row: &sync::Row) -> Result<State> {
        if row.state != State::Missing {
            return Ok(row.state);
        }
        match self.ctx.interrupt.until_cancelled(self.provider.stat(&row.id)).await {
            Ok(file) if self.uploads.is_usable(&file) => Ok(state_of(row, &file)),
            Ok(_) => Ok(State::Missing),
            Err(error) if error.kind() == Kind::NotFound => {
                let delay = SignedDuration::try_from(self.appears_within).unwrap_or(SignedDuration::MAX);
                let is_new = self.now.duration_since(row.uploaded_at) < delay;
                Ok(if is_new { State::present(row.expires_at) } else { State::Missing })
            }
            Err(error) => Err(error),
        }
    }

    /// Uploads a local file, if that is necessary.
    async fn local(&self, file: Local, progress: &dyn Progress) -> Result<(Row, Option<Error>)> {
        let path = self.folder.key_of(&file.relative);
        let file = Planned {
            path: self.folder.path.join(&*file.relative),
            name: self.folder.name_of(&file.relative),
            size: file.size,
        };
        let row = self.target(|target| target.files.get(&path).cloned());
        let state = match &row {
            Some(row) => self.state(row).await.map_err(|error| error.about(path.as_str()))?,
            None => State::Missing,
        };
        let (name, size) = (file.name.clone(), file.size);
        let result = |action, id, evidence, kept| Row {
            action,
            path: path.clone(),
            profile: self.provider.profile().to_owned(),
            id,
            name: name.clone(),
            size,
            evidence,
            kept,
        };
        let is_same = match &row {
            Some(row) if row.size == size => {
                let source = Source::Path(file.path.clone());
                let new = NewFile { source, size, ..NewFile::from_bytes(&name, Vec::new()) };
                Sha256::parse(&self.uploads.sha256(&new).await?) == Some(row.sha256)
            }
            _ => false,
        };
        let mut renews = false;
        match (&row, state) {
            (Some(row), State::Present(present)) if is_same => {
                renews = self.renew.is_some_and(|time| present.is_due(row.uploaded_at, self.now, time));
                if !renews {
                    let (kept, error) = self.retire(&path).await?.unzip();
                    let id = Some(row.id.clone());
                    return Ok((result(Action::Unchanged, id, Some(Evidence::Lock), kept), error));
                }
            }
            (Some(row), State::Changed) if self.args.on_conflict == OnConflict::Fail => {
                return Err(Self::conflict(Error::new(
                    Kind::Conflict,
                    format!("{path}: the content of {} was changed on {}", row.id, self.provider.spec().name),
                )));
            }
            _ => {}
        }
        // The file with the previous content, and whether it may be deleted.
        let old = row.filter(|_| state != State::Missing);
        let deletes = old.as_ref().is_some_and(|row| {
            matches!(state, State::Present(_)) && self.owns(row) && !self.is_shared(&row.id)
        });
        if deletes {
            require(self.provider.as_ref(), Op::Delete, &word(&path))?;
        }
        let new = prepare(Work::File(file), &self.template, self.provider.as_ref(), self.ctx).await?;
        let named = if renews { Vec::new() } else { self.named.borrow_mut().take(&new.name) };
        let mut known = Known { named, old: old.as_ref().map(|row| row.id.clone()) };
        let finished = |sent: bool| match (sent, renews, deletes) {
            (false, ..) => Action::Adopted,
            (_, true, _) => Action::Renewed,
            (_, _, true) => Action::Replaced,
            _ => Action::Uploaded,
        };
        let is_kept = |row: &&sync::Row| !deletes && !self.is_shared(&row.id);
        let kept = old.as_ref().filter(is_kept).map(|row| row.id.clone());
        if self.previews {
            let preview = match self.uploads.preview(&new, Some(&known)).await {
                Err(error) if self.uploads_beside(&error) => Preview::Upload,
                preview => preview.map_err(Self::conflict)?,
            };
            let row = match preview {
                Preview::Reuse(file, evidence) => result(finished(false), Some(file.id), evidence, kept),
                Preview::Upload | Preview::Replace(_) => result(finished(true), None, None, kept),
            };
            return Ok((row, None));
        }
        let (uploaded, sha256) = match self.uploads.upload_beside(&new, &known, progress).await {
            Err(error) if self.uploads_beside(&error) => {
                known.named.clear();
                self.uploads.upload_beside(&new, &known, progress).await?
            }
            uploaded => uploaded.map_err(Self::conflict)?,
        };
        let is_adopted = uploaded.action == Sent::Reused;
        // If the name is the id, the upload has already replaced the old content.
        let replaces = old.filter(|row| deletes && row.id != uploaded.file.id).map(|row| Box::new(row.id));
        let sha256 = Sha256::parse(&sha256).unwrap_or_default();
        let row = self.recorded(&uploaded, new.size, sha256, replaces);
        self.record(&path, Some(row));
        if let Some(kept) = &kept {
            let why = match state {
                State::Changed => "its content was changed on the platform",
                _ => "`haul sync` did not upload it",
            };
            self.ctx.ui.note(&format!("{path}: kept {kept}: {why}"));
        }
        let (left, error) = self.retire(&path).await?.unzip();
        Ok((result(finished(!is_adopted), Some(uploaded.file.id), uploaded.evidence, left.or(kept)), error))
    }

    /// The row of a file that was uploaded or adopted.
    fn recorded(
        &self,
        uploaded: &Uploaded,
        size: u64,
        sha256: Sha256,
        replaces: Option<Box<FileId>>,
    ) -> sync::Row {
        let seconds = |time: Timestamp| time.round(Unit::Second).unwrap_or(time);
        let file = &uploaded.file;
        // After a rename, the file may keep its id. It is not adopted if the previous row was uploaded.
        let is_adopted = uploaded.action == Sent::Reused && !self.ids.borrow().is_uploaded(&file.id);
        sync::Row {
            id: file.id.clone(),
            name: file.name.as_str().into(),
            size,
            sha256,
            uploaded_at: seconds(file.created_at.unwrap_or(self.now)),
            expires_at: file.expires_at.map(seconds),
            origin: if is_adopted { Origin::Adopted } else { Origin::Uploaded },
            replaces,
            state: State::default(),
        }
    }

    /// Whether a conflict is resolved by keeping both files.
    fn uploads_beside(&self, error: &Error) -> bool {
        error.kind() == Kind::Conflict && self.args.on_conflict == OnConflict::Upload
    }

    /// Replaces the hints of a conflict that do not apply to this command.
    fn conflict(error: Error) -> Error {
        if error.kind() != Kind::Conflict {
            return error;
        }
        let error = error.keep_hints(|hint| !hint.contains("--if-exists") && !hint.contains("haul sync"));
        error.hint("to keep both files: `--on-conflict upload`")
    }

    /// Whether this command may delete the file of a row.
    fn owns(&self, row: &sync::Row) -> bool {
        row.origin == Origin::Uploaded || self.args.take_over
    }

    /// Whether a row has this id.
    fn is_used(&self, id: &FileId) -> bool {
        self.ids.borrow().rows(id) > 0
    }

    /// Whether several rows have this id.
    fn is_shared(&self, id: &FileId) -> bool {
        self.ids.borrow().rows(id) > 1
    }

    /// Retires the file that this path's row replaces. If the platform stores equal content once, another path may
    /// still get the id of that file, so it is retired only after all local files have been processed.
    async fn retire(&self, path: &str) -> Result<Option<(FileId, Error)>> {
        if self.provider.capabilities().duplicates == Duplicates::Possible {
            return self.retire_now(path).await;
        }
        self.replaced.borrow_mut().push(path.to_owned());
        Ok(None)
    }

    /// Deletes the file that this path's row replaces, unless another row has its id. Returns the id and the error if
    /// the file could not be deleted.
    async fn retire_now(&self, path: &str) -> Result<Option<(FileId, Error)>> {
        let replaced = self.target(|target| target.files.get(path).and_then(|row| row.replaces.clone()));
        let Some(old) = replaced.filter(|_| !self.previews) else { return Ok(None) };
        let removed = if self.is_used(&old) { Ok(()) } else { self.remove(&old).await };
        match removed {
            Ok(()) => {
                self.change(|target| {
                    if let Some(row) = target.files.get_mut(path) {
                        row.replaces = None;
                    }
                });
                Ok(None)
            }
            Err(error) if error.is_interrupted() => Err(error),
            Err(error) => {
                let message = format!("{path}: uploaded, but the previous file {old} was not deleted");
                let kept = Error::new(error.kind(), message).caused_by(error).about(path);
                Ok(Some((*old, kept.hint("to delete it, run the same command again"))))
            }
        }
    }

    /// Deletes the replaced files that another path could still have used, and, if `all_done`, the files of interrupted
    /// runs that nothing refers to.
    async fn delete_rest(&self, all_done: bool) -> Result<()> {
        let replaced = self.replaced.take();
        for path in &replaced {
            if let Some((_, error)) = self.retire_now(path).await? {
                return Err(error);
            }
        }
        let can_delete = self.provider.capabilities().delete && all_done;
        for orphan in self.orphans.iter().filter(|orphan| can_delete && !self.is_used(&orphan.id)) {
            self.remove(&orphan.id).await?;
            self.uploads.forget(orphan);
            let what = format!("deleted {}, which an interrupted run uploaded as {}", orphan.id, orphan.name);
            self.ctx.ui.note(&what);
        }
        Ok(())
    }

    /// Deletes a file that may be gone already.
    async fn remove(&self, id: &FileId) -> Result<()> {
        match self.ctx.interrupt.until_cancelled(self.provider.delete(id)).await {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes the file of a row whose local file no longer exists.
    async fn delete(&self, path: String) -> Result<(Row, Option<Error>)> {
        let Some(row) = self.target(|target| target.files.get(&path).cloned()) else {
            return Err(Error::failed(format!("{path}: no longer in the lock file")));
        };
        let state = self.state(&row).await.map_err(|error| error.about(path.as_str()))?;
        if state == State::Changed {
            let platform = self.provider.spec().name;
            let message = format!("{path}: not deleted: the content of {} was changed on {platform}", row.id);
            let hint = format!("to delete it: `haul rm {}`", reference(self.provider.profile(), &row.id));
            return Err(Error::new(Kind::Conflict, message).hint(hint));
        }
        let deletes = self.owns(&row) && !self.is_shared(&row.id);
        if deletes && state != State::Missing {
            require(self.provider.as_ref(), Op::Delete, &word(&path))?;
        }
        if !self.previews {
            // Another path may have the content that this file replaced.
            let replaced = row.replaces.as_deref().filter(|old| !self.is_used(old));
            let own = Some(&row.id).filter(|_| deletes && state != State::Missing);
            let ids: Vec<&FileId> = replaced.into_iter().chain(own).collect();
            for id in ids {
                self.remove(id).await.map_err(|error| error.about(path.as_str()))?;
            }
            self.record(&path, None);
        }
        let action = if deletes { Action::Deleted } else { Action::Kept };
        let kept = (!deletes).then(|| row.id.clone());
        let profile = self.provider.profile().to_owned();
        let sync::Row { id, name, size, .. } = row;
        Ok((Row { action, path, profile, id: Some(id), name: name.into(), size, evidence: None, kept }, None))
    }

    /// Reads the rows of the profile.
    fn target<T>(&self, read: impl FnOnce(&Target) -> T) -> T {
        read(&self.lock.borrow().targets()[self.provider.profile()])
    }

    /// Replaces or removes the row of a path.
    fn record(&self, path: &str, row: Option<sync::Row>) {
        let mut ids = self.ids.borrow_mut();
        if let Some(row) = &row {
            ids.add(row);
        }
        let former = self.change(|target| match row {
            Some(row) => target.files.insert(path.to_owned(), row),
            None => target.files.remove(path),
        });
        if let Some(row) = &former {
            ids.remove(row);
        }
    }

    /// Changes the rows of the profile.
    fn change<T>(&self, change: impl FnOnce(&mut Target) -> T) -> T {
        self.has_changes.set(true);
        change(self.lock.borrow_mut().target_mut(self.provider.profile()))
    }
}
