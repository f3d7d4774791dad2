//! One file down: to `NAME.part`, continued after a break or in the next run, checked, renamed.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use futures_util::StreamExt as _;

use super::digest::{Hasher, compare};
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::model::{Checksums, File};
use crate::progress::{Outcome, Progress};
use crate::providers::{Content, Provider, Range};

/// Breaks in a row without a new byte after which a download is given up.
const FRUITLESS: u32 = 3;

/// Where the bytes go.
pub enum Target<'a> {
    /// A file of this machine.
    Path(PathBuf),
    /// Whoever takes them, in order: standard output.
    Sink(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

/// What to do when the target exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    #[default]
    Refuse,
    /// Overwrite it.
    Overwrite,
    /// Leave it and go on.
    Skip,
}

/// How a download is done.
#[derive(Clone, Copy, Debug)]
pub struct DownloadOptions {
    /// What to do when the target exists.
    pub existing: Existing,
    /// Whether length and stated checksums are compared.
    pub verify: bool,
    /// Whether a `.part` file of an earlier run is continued.
    pub resume: bool,
}

/// Downloads one file. Returns whether bytes moved: a target that was skipped is left as it is.
pub async fn download(
    provider: &Arc<dyn Provider>,
    file: &File,
    target: Target<'_>,
    options: DownloadOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<bool> {
    let item = progress.item(&file.name, file.size);
    let result = match target {
        Target::Path(path) => to_path(provider, file, &path, options, &item, interrupt).await,
        Target::Sink(sink) => {
            let mut writer = Writer {
                derived: false,
                sink: Sink::Stream(sink),
                position: 0,
                hash: hash_for(file, options),
            };
            fetch(provider, file, &mut writer, None, &item, interrupt)
                .await
                .and_then(|()| writer.check(file, options))
                .map(|()| true)
        }
    };
    item.finish(match &result {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    });
    result.map_err(|error| error.about(file.id.to_string()))
}

async fn to_path(
    provider: &Arc<dyn Provider>,
    file: &File,
    path: &Path,
    options: DownloadOptions,
    item: &Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<bool> {
    if path.symlink_metadata().is_ok() {
        match options.existing {
            Existing::Refuse => return Err(exists(path)),
            Existing::Skip => return Ok(false),
            Existing::Overwrite if path.is_dir() => {
                return Err(Error::failed(format!("{}: is a directory", path.display())));
            }
            Existing::Overwrite => {}
        }
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, &error))?;
    let part = Part::open(path, file, options.resume)?;
    let mut writer = Writer {
        position: part.have,
        hash: hash_for(file, options),
        derived: false,
        sink: Sink::File(&part.handle, &part.path),
    };
    if let Some(hash) = &writer.hash
        && part.have > 0
    {
        hash.hear_file(&part.path, part.have)?;
    }
    let range = (part.have > 0).then(|| Range { from: part.have, validator: part.validator.clone() });
    fetch_noting(provider, file, &mut writer, range, item, interrupt, &part).await?;
    if let Err(error) = writer.check(file, options) {
        // Wrong bytes are no start for another run.
        part.discard();
        return Err(error);
    }
    part.publish(path, options.existing == Existing::Overwrite)?;
    Ok(true)
}

async fn fetch_noting(
    provider: &Arc<dyn Provider>,
    file: &File,
    writer: &mut Writer<'_>,
    range: Option<Range>,
    item: &Arc<dyn Progress>,
    interrupt: &Interrupt,
    part: &Part,
) -> Result<()> {
    let result =
        fetch_with(provider, file, writer, range, item, interrupt, &|validator| part.note(validator)).await;
    if matches!(&result, Err(error) if error.kind() == Kind::Interrupted)
        && part.handle.metadata().is_ok_and(|m| m.len() == 0)
    {
        part.discard();
    }
    result
}

async fn fetch(
    provider: &Arc<dyn Provider>,
    file: &File,
    writer: &mut Writer<'_>,
    range: Option<Range>,
    item: &Arc<dyn Progress>,
    interrupt: &Interrupt,
) -> Result<()> {
    fetch_with(provider, file, writer, range, item, interrupt, &|_| Ok(())).await
}

/// Opens the content and writes it, again from where it broke, until it is whole.
async fn fetch_with(
    provider: &Arc<dyn Provider>,
    file: &File,
    writer: &mut Writer<'_>,
    range: Option<Range>,
    item: &Arc<dyn Progress>,
    interrupt: &Interrupt,
    note: &dyn Fn(Option<&str>) -> Result<()>,
) -> Result<()> {
    let (mut range, mut fruitless) = (range, 0);
    loop {
        let before = writer.position;
        let opened = interrupt.or(provider.download(&file.id, range.clone())).await;
        let content = opened.unwrap_or_else(|| Err(Error::new(Kind::Interrupted, "interrupted")))?;
        let validator = content.validator.clone();
        let release = content.release.clone();
        let result = async {
            note(validator.as_deref())?;
            let copied = interrupt.or(copy(content, writer, item)).await;
            copied.unwrap_or_else(|| Err(Error::new(Kind::Interrupted, "interrupted")))
        }
        .await;
        if let Some(link) = release {
            // A link made only for this download must not outlive it; if it cannot be revoked it expires by itself.
            let _ = provider.unlink(&file.id, link.id.as_deref().or(Some(&link.url))).await;
        }
        match result {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == Kind::Unreachable => {
                fruitless = if writer.position > before { 0 } else { fruitless + 1 };
                if fruitless >= FRUITLESS {
                    return Err(error.hint("run the same command again to go on from where it stopped"));
                }
                range = (writer.position > 0).then_some(Range { from: writer.position, validator });
            }
            Err(error) => return Err(error),
        }
    }
}

async fn copy(content: Content, writer: &mut Writer<'_>, item: &Arc<dyn Progress>) -> Result<()> {
    writer.derived = content.derived;
    writer.start_at(content.start)?;
    let mut stream = content.stream;
    while let Some(chunk) = stream.next().await {
        writer.write(&chunk?)?;
        item.at(writer.position);
    }
    Ok(())
}

fn hash_for(file: &File, options: DownloadOptions) -> Option<HashThread> {
    if !options.verify {
        return None;
    }
    Hasher::for_checksums(&file.checksums).map(HashThread::start)
}

fn exists(path: &Path) -> Error {
    Error::failed(format!("{}: exists already", path.display()))
        .hint("add `--overwrite` or `--skip-existing`")
}

/// Writes in order and hears every byte for the hash.
struct Writer<'a> {
    sink: Sink<'a>,
    position: u64,
    hash: Option<HashThread>,
    /// Whether the bytes were made from the file's, so that its size and checksum say nothing of them.
    derived: bool,
}

enum Sink<'a> {
    File(&'a fs::File, &'a Path),
    Stream(&'a mut dyn FnMut(&[u8]) -> Result<()>),
}

impl Writer<'_> {
    /// Prepares for bytes that start at `start`: at our position, or before it where the server ignored the range.
    fn start_at(&mut self, start: u64) -> Result<()> {
        if start == self.position {
            return Ok(());
        }
        if start > self.position {
            return Err(Error::platform(format!(
                "asked for byte {}, the answer starts at {start}",
                self.position
            )));
        }
        match &mut self.sink {
            Sink::File(file, path) => {
                let mut file: &fs::File = file;
                file.set_len(start)
                    .and_then(|()| file.seek(SeekFrom::Start(start)))
                    .map_err(|error| Error::io("write", path, &error))?;
                if let Some(hash) = self.hash.take() {
                    let hash = hash.restarted();
                    hash.hear_file(path, start)?;
                    self.hash = Some(hash);
                }
                self.position = start;
                Ok(())
            }
            // What has been given away cannot be taken back.
            Sink::Stream(_) => {
                Err(Error::new(Kind::Platform, "the server starts over and standard output cannot")
                    .hint("download to a file: `-o FILE`"))
            }
        }
    }

    fn write(&mut self, bytes: &bytes::Bytes) -> Result<()> {
        match &mut self.sink {
            Sink::File(file, path) => {
                let mut file: &fs::File = file;
                file.write_all(bytes).map_err(|error| Error::io("write", path, &error))?;
            }
            Sink::Stream(sink) => sink(bytes)?,
        }
        if let Some(hash) = &self.hash {
            hash.hear(bytes.clone());
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Compares length and checksum with what the platform states.
    fn check(&mut self, file: &File, options: DownloadOptions) -> Result<()> {
        if !options.verify || self.derived {
            return Ok(());
        }
        if let Some(size) = file.size.filter(|size| *size != self.position) {
            let message =
                format!("{}: the platform states {size} bytes and {} came", file.name, self.position);
            return Err(Error::new(Kind::Mismatch, message));
        }
        match self.hash.take() {
            Some(hash) => compare(&file.name, &hash.finish()?, &file.checksums),
            None => Ok(()),
        }
    }
}

/// A hash on a thread of its own: SHA-256 is slower than the network it checks.
struct HashThread {
    kind: Hasher,
    bytes: mpsc::SyncSender<bytes::Bytes>,
    thread: thread::JoinHandle<Checksums>,
}

impl HashThread {
    fn start(mut hasher: Hasher) -> Self {
        let kind = hasher.fresh();
        let (bytes, receiver) = mpsc::sync_channel::<bytes::Bytes>(16);
        let thread = thread::spawn(move || {
            for bytes in receiver {
                hasher.update(&bytes);
            }
            hasher.finish()
        });
        Self { kind, bytes, thread }
    }

    fn restarted(self) -> Self {
        Self::start(self.kind)
    }

    fn hear(&self, bytes: bytes::Bytes) {
        // The thread ends only with the channel, so this cannot fail before `finish`.
        let _ = self.bytes.send(bytes);
    }

    fn hear_file(&self, path: &Path, len: u64) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("read", path, &error);
        let mut left = len;
        let mut file = fs::File::open(path).map_err(failed)?;
        while left > 0 {
            let mut buffer = vec![0; usize::try_from(left.min(256 * 1024)).unwrap_or(256 * 1024)];
            file.read_exact(&mut buffer).map_err(failed)?;
            left -= buffer.len() as u64;
            self.hear(bytes::Bytes::from(buffer));
        }
        Ok(())
    }

    fn finish(self) -> Result<Checksums> {
        drop(self.bytes);
        self.thread.join().map_err(|_| Error::failed("hashing stopped"))
    }
}

/// The `.part` file beside the target, and the note beside it that says of which content its bytes are the start.
struct Part {
    path: PathBuf,
    note: PathBuf,
    handle: fs::File,
    have: u64,
    validator: Option<String>,
    identity: String,
}

impl Part {
    fn open(target: &Path, file: &File, resume: bool) -> Result<Self> {
        let with = |suffix: &str| {
            let mut name = target.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (path, note) = (with(".part"), with(".part.json"));
        let failed = |error: std::io::Error| Error::io("write", &path, &error);
        let mut handle = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        if let Err(fs::TryLockError::WouldBlock) = handle.try_lock() {
            return Err(Error::failed(format!("{}: another haul is downloading to it", path.display())));
        }
        let identity = format!("{}:{} {:?}", file.profile, file.id, file.size);
        let noted =
            fs::read(&note).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
        let noted = noted.filter(|noted| resume && noted["of"] == identity.as_str());
        let mut have = handle.metadata().map_err(failed)?.len();
        if noted.is_none() || file.size.is_some_and(|size| have > size) {
            handle.set_len(0).map_err(failed)?;
            have = 0;
        }
        handle.seek(SeekFrom::Start(have)).map_err(failed)?;
        let validator = noted.and_then(|noted| noted["validator"].as_str().map(str::to_owned));
        Ok(Self { path, note, handle, have, validator, identity })
    }

    fn note(&self, validator: Option<&str>) -> Result<()> {
        let text = serde_json::json!({ "of": self.identity, "validator": validator }).to_string();
        fs::write(&self.note, text).map_err(|error| Error::io("write", &self.note, &error))
    }

    fn discard(&self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.note);
    }

    /// Gives the whole file its name. Without `overwrite` a file that has appeared meanwhile stays: a hard link is
    /// made only where nothing is.
    fn publish(&self, target: &Path, overwrite: bool) -> Result<()> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(target),
            _ => Error::io("write", target, &error),
        };
        if overwrite {
            fs::rename(&self.path, target).map_err(failed)?;
        } else {
            match fs::hard_link(&self.path, target) {
                Ok(()) => drop(fs::remove_file(&self.path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
                // A file system without hard links: look, then rename.
                Err(_) if target.symlink_metadata().is_ok() => return Err(exists(target)),
                Err(_) => fs::rename(&self.path, target).map_err(failed)?,
            }
        }
        let _ = fs::remove_file(&self.note);
        Ok(())
    }
}
