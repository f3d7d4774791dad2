//! Decides whether a file on a platform has the same content as a local file, and on what evidence.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::digest::{compare, digest_of};
use super::ledger::{Ledger, Stamp, version};
use super::mark;
use super::wait::once_found;
use crate::error::{Error, Kind, Result, word};
use crate::hash::Hasher;
use crate::interrupt::Interrupt;
use crate::model::{Checksums, Clock, File, NewFile, Source};
use crate::providers::{Download, Provider, described};
use crate::source::{CHUNK, Opened};

/// How files are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Compare {
    /// Stored evidence, otherwise the downloaded content
    #[default]
    Auto,
    /// Only checksums, sizes and haul's own records
    Stored,
    /// Equal sizes are sufficient
    Size,
    /// Like auto, even if a download requires a public link
    Download,
}

/// The evidence used in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Evidence {
    /// A checksum reported by the platform.
    Checksum,
    /// The size reported by the platform.
    Size,
    /// The fingerprint that haul stored with the file.
    Fingerprint,
    /// This machine's ledger.
    Ledger,
    /// The lock file of `haul sync`.
    Lock,
    /// The downloaded content.
    Download,
}

impl Evidence {
    /// The name used in messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Size => "size",
            Self::Fingerprint => "fingerprint",
            Self::Ledger => "ledger",
            Self::Lock => "lock file",
            Self::Download => "download",
        }
    }
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the content is the same.
    pub(super) same: bool,
    /// The evidence for the result.
    pub(super) evidence: Evidence,
}

/// Compares files for one command.
pub(super) struct Identity {
    provider: Arc<dyn Provider>,
    pub(super) ledger: Ledger,
    compare: Compare,
    /// Maximum total number of bytes to download for comparisons.
    limit: u64,
    clock: Clock,
    interrupt: Interrupt,
    files: AtomicU64,
    bytes: AtomicU64,
    /// Number of downloads that currently hold a link.
    links: AtomicU64,
}

impl Identity {
    pub(super) fn new(
        provider: Arc<dyn Provider>,
        ledger: Ledger,
        (compare, limit): (Compare, u64),
        clock: Clock,
        interrupt: Interrupt,
    ) -> Self {
        let zero = || AtomicU64::new(0);
        let (files, bytes, links) = (zero(), zero(), zero());
        Self { provider, ledger, compare, limit, clock, interrupt, files, bytes, links }
    }

    /// How many files were compared by downloading them, and how many bytes that took.
    pub(super) fn downloaded(&self) -> (u64, u64) {
        (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Whether a download holds a link that has to be revoked.
    pub(super) fn has_links(&self) -> bool {
        self.links.load(Ordering::Relaxed) > 0
    }

    /// Whether `file` has the same content as `new`; `None` if that is unknown.
    pub(super) async fn decide(&self, new: &NewFile, file: &File) -> Result<Option<Verdict>> {
        if let Some(verdict) = self.decide_by_record(new, file).await? {
            return Ok(Some(verdict));
        }
        self.decide_by_content(new, file, self.compare).await
    }

    /// The verdict from evidence that requires no download; `None` without such evidence.
    async fn decide_by_record(&self, new: &NewFile, file: &File) -> Result<Option<Verdict>> {
        // Check the size before the checksum, because files of different sizes need not be read.
        if file.size.is_some_and(|size| size != new.size) {
            return Ok(Some(Verdict { same: false, evidence: Evidence::Size }));
        }
        if self.compare == Compare::Size && file.size.is_some() {
            return Ok(Some(Verdict { same: true, evidence: Evidence::Size }));
        }
        let file = described(self.provider.as_ref(), file).await?;
        if let Some(verdict) = self.decide_by_statement(new, &file).await? {
            return Ok(Some(verdict));
        }
        let Some(recorded) = self.ledger.content(&file.id) else { return Ok(None) };
        // If the platform can replace a file's content, a record applies only to the version that it was made for.
        let can = self.provider.capabilities();
        if can.replace && (recorded.version.is_none() || recorded.version != version(&file)) {
            return Ok(None);
        }
        if recorded.size != new.size {
            return Ok(Some(Verdict { same: false, evidence: Evidence::Ledger }));
        }
        let same = self.has_checksums(new, &recorded.checksums).await?;
        Ok(same.map(|same| Verdict { same, evidence: Evidence::Ledger }))
    }

    /// The verdict from what the platform reports about the content; `None` if it reports nothing.
    pub(super) async fn decide_by_statement(&self, new: &NewFile, file: &File) -> Result<Option<Verdict>> {
        if let Some(same) = self.has_checksums(new, &file.checksums).await? {
            return Ok(Some(Verdict { same, evidence: Evidence::Checksum }));
        }
        if let Some(hash) = file.extra.get("external_file_id").and_then(|id| mark::parse(id.as_str()?)) {
            let ours = self.digest(new, Hasher::sha256()).await?;
            let same = ours.sha256.is_some_and(|ours| ours.starts_with(hash));
            return Ok(Some(Verdict { same, evidence: Evidence::Fingerprint }));
        }
        Ok(None)
    }

    /// The verdict from downloading the content; `None` if `compare` does not permit a download, the download could
    /// exceed the limit, or the platform does not return comparable content.
    pub(super) async fn decide_by_content(
        &self,
        new: &NewFile,
        file: &File,
        compare: Compare,
    ) -> Result<Option<Verdict>> {
        let can = self.provider.capabilities();
        let needs_link = can.link.is_some_and(|link| link.for_downloads);
        let permitted = match compare {
            Compare::Stored | Compare::Size => false,
            Compare::Auto => !needs_link,
            Compare::Download => true,
        };
        let is_possible = matches!(can.download, Download::Any | Download::SomeFiles);
        if !permitted || !is_possible || file.downloadable == Some(false) {
            return Ok(None);
        }
        // Reserve the bytes before downloading so that concurrent comparisons do not exceed the limit in total.
        let reserved = self.bytes.fetch_add(new.size, Ordering::Relaxed);
        if reserved.saturating_add(new.size) > self.limit {
            self.bytes.fetch_sub(new.size, Ordering::Relaxed);
            return Ok(None);
        }
        if needs_link {
            self.links.fetch_add(1, Ordering::Relaxed);
        }
        let stamp = Stamp::of_source(new);
        let (result, read) = self.download_and_compare(new, file).await;
        if needs_link {
            self.links.fetch_sub(1, Ordering::Relaxed);
        }
        self.bytes.fetch_sub(new.size.saturating_sub(read.min(new.size)), Ordering::Relaxed);
        let comparison = match result {
            Ok(comparison) => comparison,
            // The platform does not return this content.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Unsupported | Kind::Failed) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if matches!(comparison, Comparison::Derived) {
            return Ok(None);
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        let Comparison::Equal(sums) = comparison else {
            return Ok(Some(Verdict { same: false, evidence: Evidence::Download }));
        };
        self.note_hash(new, stamp, "blake3", &sums);
        self.ledger.learn(new, stamp, file, &sums, self.clock.now());
        Ok(Some(Verdict { same: true, evidence: Evidence::Download }))
    }

    /// Reads the platform's content until it differs from the source. Also returns the number of bytes read.
    async fn download_and_compare(&self, new: &NewFile, file: &File) -> (Result<Comparison>, u64) {
        let open = || self.provider.download(&file.id, None);
        let mut content = match once_found(self.provider.as_ref(), file, open).await {
            Ok(content) => content,
            Err(error) => return (Err(error), 0),
        };
        let read = AtomicU64::new(0);
        let release = content.release.take();
        let derived = content.derived || self.provider.derives(file);
        let work = async {
            let read = &read;
            let mut ours = Bytewise::open(&new.source)?;
            // Compute the hash for the ledger in the same pass.
            let mut hasher = Hasher::blake3();
            while let Some(chunk) = content.stream.next().await {
                let chunk = chunk?;
                read.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                let part = chunk.clone();
                let continues;
                (ours, continues) = ours.read(move |ours| ours.continues_with(&part)).await?;
                if !continues {
                    return Ok(Comparison::Different);
                }
                hasher.update(&chunk);
            }
            let (_, ends) = ours.read(Bytewise::is_at_end).await?;
            Ok(if ends { Comparison::Equal(hasher.finish()) } else { Comparison::Different })
        };
        let result =
            if derived { Ok(Comparison::Derived) } else { self.interrupt.until_cancelled(work).await };
        if let Some(link) = &release {
            let revoked = self.provider.unlink(&file.id, link.id.as_deref().or(Some(&link.url)));
            let _ = self.interrupt.clean_up(revoked).await;
        }
        (result, read.load(Ordering::Relaxed))
    }

    async fn has_checksums(&self, new: &NewFile, stated: &Checksums) -> Result<Option<bool>> {
        let Some(hasher) = Hasher::for_checksums(stated) else { return Ok(None) };
        if let Source::Remote(remote) = &new.source {
            let theirs = &remote.file().checksums;
            let is_comparable = |kind: &&str| theirs.get(kind).is_some() && stated.get(kind).is_some();
            if Checksums::KINDS.iter().any(is_comparable) {
                return Ok(Some(compare(&new.name, theirs, stated).is_ok()));
            }
            // Computing a checksum would require downloading the source.
            if matches!(self.compare, Compare::Stored | Compare::Size) {
                return Ok(None);
            }
        }
        let computed = self.digest(new, hasher).await?;
        Ok(Some(compare(&new.name, &computed, stated).is_ok()))
    }

    /// The hash of a source: of a local file, from the ledger if the file has not changed; of a file on a platform, as
    /// reported if possible. Otherwise, the content is read.
    pub(super) async fn digest(&self, new: &NewFile, hasher: Hasher) -> Result<Checksums> {
        let kind = hasher.kind();
        let path = match &new.source {
            Source::Path(path) => path,
            Source::Remote(remote) if remote.file().checksums.get(kind).is_some() => {
                let stated = remote.file().checksums.get(kind).unwrap_or_default();
                return Ok(Checksums::of(kind, stated));
            }
            source => return digest_of(source, hasher).await,
        };
        if let Some(known) = self.ledger.hash(path, kind) {
            return Ok(Checksums::of(kind, &known));
        }
        let stamp = Stamp::of_source(new);
        let sums = digest_of(&new.source, hasher).await?;
        self.note_hash(new, stamp, kind, &sums);
        Ok(sums)
    }

    /// Records the hash of a local file. `stamp` must have been taken before the file was read.
    pub(super) fn note_hash(
        &self,
        new: &NewFile,
        stamp: Option<Stamp>,
        kind: &'static str,
        sums: &Checksums,
    ) {
        if let (Source::Path(path), Some(stamp), Some(digest)) = (&new.source, stamp, sums.get(kind)) {
            self.ledger.note_hash(path, stamp, kind, digest, self.clock.now());
        }
    }
}

/// The result of comparing a local file with the platform's content.
enum Comparison {
    /// The contents are equal and have this BLAKE3 checksum.
    Equal(Checksums),
    Different,
    /// The platform's content is derived from the file, such as its extracted text.
    Derived,
}

/// A source that is compared with a stream of chunks.
struct Bytewise {
    source: Opened,
    offset: usize,
    buffer: Vec<u8>,
}

impl Bytewise {
    fn open(source: &Source) -> Result<Self> {
        Ok(Self { source: Opened::open(source)?, offset: 0, buffer: Vec::new() })
    }

    /// Reads the source. The download of a file on a platform makes progress only while this thread is free, so such a
    /// source is read on another thread.
    async fn read<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<T> + Send + 'static,
    ) -> Result<(Self, T)> {
        if !matches!(self.source, Opened::Remote(_)) {
            let result = work(&mut self)?;
            return Ok((self, result));
        }
        let reading = tokio::task::spawn_blocking(move || {
            let result = work(&mut self)?;
            Ok((self, result))
        });
        reading
            .await
            .unwrap_or_else(|error| Err(Error::failed("a background thread failed").caused_by(error)))
    }

    /// Whether the next bytes of the source equal `chunk`.
    fn continues_with(&mut self, chunk: &[u8]) -> Result<bool> {
        for part in chunk.chunks(CHUNK) {
            self.buffer.resize(part.len(), 0);
            if !self.fill()? || self.buffer != part {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the end of the source has been reached. A file that has changed in the meantime is an error.
    fn is_at_end(&mut self) -> Result<bool> {
        self.buffer.resize(1, 0);
        let more = self.fill()?;
        if let Opened::Disk(file) = &self.source {
            file.check()?;
        }
        Ok(!more)
    }

    /// Reads the next bytes into the buffer. Returns false if fewer bytes remain.
    fn fill(&mut self) -> Result<bool> {
        match &mut self.source {
            Opened::Memory(bytes) => {
                let end = self.offset.saturating_add(self.buffer.len());
                let Some(part) = bytes.get(self.offset..end) else { return Ok(false) };
                self.buffer.copy_from_slice(part);
                self.offset = end;
                Ok(true)
            }
            Opened::Remote(download) => download.try_fill(&mut self.buffer),
            Opened::Disk(file) => match std::io::Read::read_exact(file, &mut self.buffer) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
                Err(error) => Err(file.unreadable(error)),
            },
        }
    }
}

/// The error for a file that cannot be compared with the existing file of the same name.
pub(super) fn conflict(provider: &dyn Provider, new: &NewFile, file: &File) -> Error {
    let can = provider.capabilities();
    let platform = provider.spec().name;
    let mut error = Error::new(
        Kind::Conflict,
        format!("{}: cannot determine whether {} on {platform} has the same content", new.name, file.id),
    );
    if can.link.is_some_and(|link| link.for_downloads) {
        error = error
            .hint("to compare through a public link that is revoked right afterward: `--compare download`");
    }
    if file.size.is_some() {
        error = error.hint("to accept equal sizes: `--compare size`");
    }
    if let Source::Path(path) = &new.source {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let (folder, target) = (folder.to_string_lossy(), format!("{}:", provider.profile()));
        error = error.hint(format!(
            "to record ids and hashes in a lock file: `haul sync {} {}`",
            word(&folder),
            word(&target)
        ));
    }
    error = error.hint("to upload another copy: `--if-exists upload`");
    if can.replace || can.delete {
        error = error.hint("to replace the existing file: `--if-exists replace`");
    }
    error
}
