//! File downloads: the content is written to `NAME.part`, resumed after an interruption or by the next run, verified,
//! and finally renamed.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::part::{self, Part, Version, exists, in_the_way};
use super::wait::once_found;
use super::writer::{Outlet, Sink, Writer};
use crate::error::{Error, Kind, Result};
use crate::files::{self, Place};
use crate::http::is_too_slow;
use crate::interrupt::Interrupt;
use crate::model::{File, Link};
use crate::progress::{Outcome, Progress, silent};
use crate::providers::{ContentStream, Provider, Range, described};

/// The media type of files whose type is unknown.
const UNKNOWN: &str = "application/octet-stream";
/// Number of consecutive interruptions without sufficient progress after which a download fails.
const FRUITLESS: u32 = 3;

/// Where a download is written.
pub enum Target<'a> {
    /// A path given by the user. Symbolic links are followed; devices and pipes are written to directly.
    Path(PathBuf),
    /// A path in a folder, derived from the file's name on the server. Symbolic links are not followed.
    Inside(PathBuf),
    /// A function that consumes the bytes in order, for standard output.
    Sink(&'a mut (dyn FnMut(&[u8]) -> Result<()> + Send)),
}

/// What to do if the target exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Fail.
    #[default]
    Refuse,
    /// Overwrite the file.
    Overwrite,
    /// Skip the download.
    Skip,
}

/// The options of a download.
#[derive(Clone, Copy, Debug)]
pub struct DownloadOptions {
    /// What to do if the target exists.
    pub existing: Existing,
    /// Whether to verify the size and the checksums that the platform reports.
    pub verify: bool,
    /// Whether to resume from a `.part` file left by an earlier run.
    pub resume: bool,
}

/// Downloads a file. Returns false if the target was skipped.
pub async fn download(
    provider: &Arc<dyn Provider>,
    file: &File,
    target: Target<'_>,
    options: DownloadOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<bool> {
    // A listing may omit the checksum that verifies the content.
    let file = if options.verify {
        let described = interrupt.until_cancelled(described(provider.as_ref(), file)).await;
        described.map_err(|error| error.about(file.id.to_string()))?
    } else {
        Cow::Borrowed(file)
    };
    let file = file.as_ref();
    let item = progress.item(&file.name, file.size);
    let fetch = Fetch { provider, file, item: &item, interrupt, verify: options.verify };
    let result = match target {
        Target::Sink(sink) => fetch.write(Sink::Stream(sink), options).await.map(|()| true),
        Target::Path(ref path) | Target::Inside(ref path) => {
            match way(path, matches!(target, Target::Path(_)), options.existing) {
                Ok(Way::Leave) => {
                    part::sweep(path);
                    Ok(false)
                }
                Ok(Way::Stream) => fetch.to_outlet(path, options).await.map(|()| true),
                Ok(Way::File(real)) => fetch.to_file(path, &real, options).await.map(|()| true),
                Err(error) => Err(error),
            }
        }
    };
    item.finish(match &result {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Skipped,
        Err(_) => Outcome::Failed,
    });
    result.map_err(|error| error.about(file.id.to_string()))
}

/// Downloads a file for an upload to another platform. Each byte is sent to `queue` once.
pub(super) async fn relay(
    provider: &Arc<dyn Provider>,
    file: &File,
    queue: &mpsc::Sender<Result<Bytes>>,
    verify: bool,
    interrupt: &Interrupt,
) -> Result<()> {
    let options = DownloadOptions { existing: Existing::Refuse, verify, resume: false };
    let fetch = Fetch { provider, file, item: &silent(), interrupt, verify };
    fetch.write(Sink::Upload(queue), options).await
}

/// Whether a download would write this target. Returns false if the target would be skipped, and an error if it
/// cannot be written.
pub fn preview(target: &Target<'_>, existing: Existing) -> Result<bool> {
    let way = match target {
        Target::Path(path) => way(path, true, existing)?,
        Target::Inside(path) => way(path, false, existing)?,
        Target::Sink(_) => Way::Stream,
    };
    Ok(!matches!(way, Way::Leave))
}

/// How to write to a path.
enum Way {
    /// Skip the download.
    Leave,
    /// Write to the path directly.
    Stream,
    /// Write a new file, then rename it to this path.
    File(PathBuf),
}

/// Decides how to write to `path`; `named` is true if the user specified it.
fn way(path: &Path, named: bool, existing: Existing) -> Result<Way> {
    let Ok(found) = path.symlink_metadata() else { return Ok(Way::File(path.to_owned())) };
    if existing == Existing::Skip {
        return Ok(Way::Leave);
    }
    if path.is_dir() && existing == Existing::Overwrite {
        return Err(Error::failed(format!("{}: is a directory", path.display())));
    }
    let real = if path.is_dir() || !named {
        path.to_owned()
    } else {
        match files::place(path) {
            Ok(Place::File(real)) => real,
            Ok(Place::Stream) => return Ok(Way::Stream),
            Err(error) => return Err(Error::io("write", path, error)),
        }
    };
    let is_file = found.is_file() || found.is_symlink() || found.is_dir();
    match existing {
        _ if !is_file => Err(in_the_way(path, &found).hint("choose another path: `-o FILE`")),
        Existing::Overwrite => Ok(Way::File(real)),
        _ => Err(exists(path)),
    }
}

/// The error for content that is not the file itself: compressed bytes, or a page or error message that a server sent
/// instead. Derived content and content of the expected size are always accepted.
fn unexpected(file: &File, content: &ContentStream) -> Option<Error> {
    let total = content.length.and_then(|length| content.start.checked_add(length));
    if content.derived || total.is_some() && total == file.size {
        return None;
    }
    let wrong = |what: &str| {
        let message = format!("{}: {} sent {what}", file.name, content.origin);
        Some(Error::platform(message).hint("to download it as it is: `--no-verify`"))
    };
    if let Some(encoding) = &content.encoding {
        return wrong(&format!(
            "content compressed with {encoding}, although haul requested it uncompressed"
        ));
    }
    let received = essence(content.content_type.as_deref()?);
    let stated = file.content_type.as_deref().map(essence);
    let guessed = mime_guess::from_path(&file.name).first().map(|kind| kind.essence_str().to_owned());
    let expected: Vec<&str> = stated.iter().chain(&guessed).map(String::as_str).collect();
    let is_page = |kind: &str| kind.contains("html");
    let is_other = if is_page(&received) {
        !expected.is_empty() && !expected.iter().any(|kind| is_page(kind))
    } else if received.ends_with("/json") || received.ends_with("+json") {
        // JSON has many media types, and platforms label unknown files as text.
        let is_json = |kind: &&str| kind.contains("json") || kind.starts_with("text/") || *kind == UNKNOWN;
        stated.is_some() && !expected.iter().any(is_json)
    } else {
        false
    };
    if !is_other {
        return None;
    }
    wrong(&format!("{received} instead of {}", expected[0]))
}

/// A media type in lowercase, without parameters.
fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// One download.
struct Fetch<'a> {
    provider: &'a Arc<dyn Provider>,
    file: &'a File,
    item: &'a Arc<dyn Progress>,
    interrupt: &'a Interrupt,
    verify: bool,
}

impl Fetch<'_> {
    /// Downloads the content into `sink` and verifies it.
    async fn write(&self, sink: Sink<'_>, options: DownloadOptions) -> Result<()> {
        let mut writer = Writer::new(sink, self.file, options.verify)?;
        self.run(&mut writer).await?;
        writer.check(self.file, options.verify)
    }

    async fn to_outlet(&self, path: &Path, options: DownloadOptions) -> Result<()> {
        let mut outlet = Outlet::open(path)?;
        let written = self.write(Sink::Outlet(&mut outlet), options).await;
        if written.as_ref().is_err_and(|error| error.kind() != Kind::Mismatch) {
            return written;
        }
        self.interrupt.until_cancelled(outlet.finish()).await?;
        written
    }

    /// Downloads to the file `real`, which is either `path` itself or the file that it links to.
    async fn to_file(&self, path: &Path, real: &Path, options: DownloadOptions) -> Result<()> {
        let folder = files::folder_of(path);
        fs::create_dir_all(folder).map_err(|error| Error::io("create the directory", folder, error))?;
        let opening = Part::open(real, self.file, options.resume);
        let mut part = self.interrupt.until_cancelled(opening).await?;
        let written = self.write(Sink::Part(&mut part), options).await;
        match written {
            Ok(()) => part.publish(real, options.existing == Existing::Overwrite).await,
            Err(error) => {
                // Bytes that do not match the reported size or checksum cannot be resumed.
                if error.kind() == Kind::Mismatch {
                    part.discard();
                }
                Err(error)
            }
        }
    }

    /// Opens the content and writes it, resuming after interruptions until it is complete.
    async fn run(&self, writer: &mut Writer<'_>) -> Result<()> {
        let (mut from, mut fruitless) = (writer.position(), 0);
        self.item.resume(from);
        loop {
            let before = writer.position();
            let Version { validator, total, .. } = writer.version().clone();
            let range = Range { from, validator, total, verified: writer.is_verified() };
            let mut content = self.open((from > 0).then_some(range)).await?;
            content.derived |= self.provider.derives(self.file);
            let (start, link) = (content.start, content.release.take());
            let problem = if self.verify { unexpected(self.file, &content) } else { None };
            let begun = Instant::now();
            // Extracted text and the file itself may have the same validator, or no validator.
            let other = start > 0 && content.derived != writer.version().derived;
            let result = if let Some(problem) = problem {
                Err(problem)
            } else if other {
                from = 0;
                Ok(false)
            } else {
                self.interrupt.until_cancelled(self.copy(content, writer)).await.map(|()| true)
            };
            if let Some(link) = link {
                self.release(&link).await;
            }
            match result {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The file is already complete; the connection failed after its last byte.
                Err(error) if error.kind() == Kind::Unreachable && writer.is_whole(self.file) => {
                    return Ok(());
                }
                Err(error) if error.kind() == Kind::Unreachable => {
                    // Starting over is not progress, and neither is a transfer that is too slow.
                    let received = writer.position().saturating_sub(before);
                    let went_on = start == before && received > 0 && !is_too_slow(received, begun.elapsed());
                    fruitless = if went_on { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS {
                        return Err(error.hint("run the same command again to resume"));
                    }
                    from = writer.position();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the content, which may create a link first. If the link arrives after a cancellation, it is revoked
    /// immediately.
    async fn open(&self, range: Option<Range>) -> Result<ContentStream> {
        let open = || self.provider.download(&self.file.id, range.clone());
        let mut opening = Box::pin(once_found(self.provider.as_ref(), self.file, open));
        tokio::select! {
            biased;
            () = self.interrupt.cancelled() => {}
            opened = &mut opening => return opened,
        }
        if let Some(Ok(ContentStream { release: Some(link), .. })) = self.interrupt.clean_up(opening).await {
            self.release(&link).await;
        }
        Err(self.interrupt.error())
    }

    async fn copy(&self, content: ContentStream, writer: &mut Writer<'_>) -> Result<()> {
        let ContentStream { start, length, validator, derived, mut stream, .. } = content;
        let before = writer.version();
        let version = Version {
            // A response to a range request may omit headers that the first response had.
            validator: if start > 0 { before.validator.clone().or(validator) } else { validator },
            total: length.and_then(|length| start.checked_add(length)).or(before.total.filter(|_| start > 0)),
            derived,
        };
        if start == 0 {
            self.item.resume(0);
        }
        if let Some(total) = version.total.filter(|_| self.file.size.is_none()) {
            self.item.size(total);
        }
        writer.start_at(start, version)?;
        while let Some(chunk) = stream.next().await {
            writer.write(chunk?).await?;
            self.item.at(writer.position());
        }
        Ok(())
    }

    /// Revokes a link that was created for this download. Errors are ignored because the link expires soon.
    async fn release(&self, link: &Link) {
        let _ = self.provider.unlink(&self.file.id, link.id.as_deref().or(Some(&link.url))).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[test]
    fn a_page_or_error_in_place_of_a_file_is_refused() {
        let refused = |name: &str, stated: Option<&str>, received: &str, length: Option<u64>| {
            let file = File {
                name: name.to_owned(),
                size: Some(5),
                content_type: stated.map(str::to_owned),
                ..File::default()
            };
            let content = ContentStream {
                start: 0,
                length,
                validator: None,
                content_type: Some(received.to_owned()),
                encoding: None,
                origin: "https://cdn.example".to_owned(),
                stream: stream::empty().boxed(),
                release: None,
                derived: false,
            };
            unexpected(&file, &content).map(|error| error.message().to_owned())
        };
        let page = |name, stated| refused(name, stated, "Text/HTML; charset=utf-8", None);
        let expected = "a.bin: https://cdn.example sent text/html instead of application/octet-stream";
        assert_eq!(page("a.bin", None).as_deref(), Some(expected));
        assert!(page("a", Some("application/pdf")).is_some());
        for (name, stated) in [
            ("a.html", None),
            ("a.html", Some(UNKNOWN)),
            ("a.bin", Some("application/xhtml+xml")),
            ("a", None),
        ] {
            assert_eq!(page(name, stated), None, "{name}");
        }
        let json = |name, stated| refused(name, stated, "application/problem+json", Some(90));
        assert!(json("a.pdf", Some("application/pdf")).is_some());
        for (name, stated) in [
            ("a.pdf", None),
            ("a.json", Some("application/pdf")),
            ("a.ipynb", Some(UNKNOWN)),
            ("a.jsonl", Some("application/jsonl")),
            ("a.csv", Some("text/csv")),
        ] {
            assert_eq!(json(name, stated), None, "{name}");
        }
        assert_eq!(
            refused("a.pdf", Some("application/pdf"), "text/html", Some(5)),
            None,
            "the size of the file"
        );
        assert_eq!(refused("a.pdf", Some("application/pdf"), "binary/octet-stream", None), None);
    }
}
