//! One file down: to `NAME.part`, continued after a break or in the next run, checked, renamed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::part::{Part, exists};
use super::writer::{Sink, Writer};
use crate::error::{Error, Kind, Result};
use crate::interrupt::Interrupt;
use crate::model::{File, Link};
use crate::progress::{Outcome, Progress};
use crate::providers::{Content, Provider, Range};

/// Breaks in a row without a new byte after which a download is given up.
const FRUITLESS: u32 = 3;
/// How long an answer that is on its way when the user stops is waited for, to release the link it may bring.
const LAST_ANSWER: Duration = Duration::from_millis(400);

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
    let fetch = Fetch { provider, file, item: &item, interrupt };
    let result = match target {
        Target::Path(path) => fetch.to_path(&path, options).await,
        Target::Sink(sink) => fetch.to_sink(sink, options).await.map(|()| true),
    };
    item.finish(match &result {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    });
    result.map_err(|error| error.about(file.id.to_string()))
}

/// Whether a download to this path would write it: false where what is there stays, an error where it is in the way.
pub fn foresee(path: &Path, existing: Existing) -> Result<bool> {
    if path.symlink_metadata().is_err() {
        return Ok(true);
    }
    match existing {
        Existing::Refuse => Err(exists(path)),
        Existing::Skip => Ok(false),
        Existing::Overwrite if path.is_dir() => {
            Err(Error::failed(format!("{}: is a directory", path.display())))
        }
        Existing::Overwrite => Ok(true),
    }
}

/// One download.
struct Fetch<'a> {
    provider: &'a Arc<dyn Provider>,
    file: &'a File,
    item: &'a Arc<dyn Progress>,
    interrupt: &'a Interrupt,
}

impl Fetch<'_> {
    async fn to_sink(
        &self,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
        options: DownloadOptions,
    ) -> Result<()> {
        let mut writer = Writer::new(Sink::Stream(sink), 0, self.file, options.verify)?;
        self.run(&mut writer, None, &|_| Ok(())).await?;
        writer.check(self.file, options.verify)
    }

    async fn to_path(&self, path: &Path, options: DownloadOptions) -> Result<bool> {
        if !foresee(path, options.existing)? {
            return Ok(false);
        }
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| Error::io("make the folder", folder, &error))?;
        let part = Part::open(path, self.file, options.resume)?;
        let sink = Sink::File(&part.handle, &part.path);
        let mut writer = Writer::new(sink, part.have, self.file, options.verify)?;
        let range = (part.have > 0).then(|| Range { from: part.have, validator: part.validator.clone() });
        if let Err(error) = self.run(&mut writer, range, &|validator| part.note(validator)).await {
            // Bytes of another content are no start for this one.
            if part.is_empty() || error.kind() == Kind::Mismatch {
                part.discard();
            }
            return Err(error);
        }
        if let Err(error) = writer.check(self.file, options.verify) {
            part.discard();
            return Err(error);
        }
        part.publish(path, options.existing == Existing::Overwrite)?;
        Ok(true)
    }

    /// Opens the content and writes it, again from where it broke, until it is whole. `note` hears what identifies the
    /// content before its first byte is written.
    async fn run(
        &self,
        writer: &mut Writer<'_>,
        range: Option<Range>,
        note: &dyn Fn(Option<&str>) -> Result<()>,
    ) -> Result<()> {
        let (mut range, mut fruitless) = (range, 0);
        loop {
            let before = writer.position();
            let mut content = self.open(range.clone()).await?;
            let (validator, link) = (content.validator.take(), content.release.take());
            let copy = self.copy(content, validator.as_deref(), writer, note);
            let result = self.interrupt.or(copy).await.unwrap_or_else(|| Err(interrupted()));
            if let Some(link) = link {
                self.release(&link).await;
            }
            match result {
                Ok(()) => return Ok(()),
                // Whatever was to follow, it was not of the file.
                Err(error) if error.kind() == Kind::Unreachable && writer.is_whole(self.file) => {
                    return Ok(());
                }
                Err(error) if error.kind() == Kind::Unreachable => {
                    fruitless = if writer.position() > before { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS {
                        return Err(error.hint("run the same command again to go on from where it stopped"));
                    }
                    let from = writer.position();
                    range = (from > 0).then_some(Range { from, validator });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the content, which may make a link first: one that comes after the user stopped is released at once.
    async fn open(&self, range: Option<Range>) -> Result<Content> {
        let mut opening = self.provider.download(&self.file.id, range);
        tokio::select! {
            biased;
            () = self.interrupt.wanted() => {}
            opened = &mut opening => return opened,
        }
        if let Ok(Ok(Content { release: Some(link), .. })) = tokio::time::timeout(LAST_ANSWER, opening).await
        {
            self.release(&link).await;
        }
        Err(interrupted())
    }

    async fn copy(
        &self,
        content: Content,
        validator: Option<&str>,
        writer: &mut Writer<'_>,
        note: &dyn Fn(Option<&str>) -> Result<()>,
    ) -> Result<()> {
        writer.start_at(content.start, content.derived)?;
        // Not before: a note about this content must not stand beside bytes of another.
        note(validator)?;
        let mut stream = content.stream;
        while let Some(chunk) = stream.next().await {
            writer.write(&chunk?)?;
            self.item.at(writer.position());
        }
        Ok(())
    }

    /// Revokes a link that was made only for this download. If that fails, it soon expires by itself.
    async fn release(&self, link: &Link) {
        let _ = self.provider.unlink(&self.file.id, link.id.as_deref().or(Some(&link.url))).await;
    }
}

fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "interrupted")
}
