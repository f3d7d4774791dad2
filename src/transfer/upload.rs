//! One file up: what is there already, the bytes, the check.

use std::sync::Arc;
use std::time::Duration;

use super::digest::{Hasher, Listener, compare};
use crate::error::{Error, Kind, Result};
use crate::filter::Filter;
use crate::interrupt::Interrupt;
use crate::model::{File, FileId, NewFile, Source};
use crate::progress::{Outcome, Progress};
use crate::providers::{Listing, Provider, Query};

/// What to do when a file of that name is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// Upload another one beside it.
    #[default]
    Upload,
    /// Send nothing if name, size and checksum are the same.
    Skip,
    /// Put the new content in its place.
    Replace,
    /// Refuse.
    Fail,
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
}

/// A file that is there now.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The file as the platform tells it.
    pub file: File,
    /// How it came to be there.
    pub action: Action,
}

/// Uploads files in one request: one, but where the platform takes more. What is there already by
/// [`UploadOptions::if_exists`] is not sent.
pub async fn upload(
    provider: &Arc<dyn Provider>,
    files: &[NewFile],
    options: &UploadOptions,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Uploaded>> {
    let items: Vec<Arc<dyn Progress>> =
        files.iter().map(|new| progress.item(&new.name, Some(new.size))).collect();
    let work = attempt(provider, files, options, &items);
    let result =
        interrupt.or(work).await.unwrap_or_else(|| Err(Error::new(Kind::Interrupted, "interrupted")));
    for (index, item) in items.iter().enumerate() {
        item.finish(match result.as_deref().map(|done| done.get(index)) {
            Ok(Some(Uploaded { action: Action::Reused, .. })) => Outcome::Skipped,
            Ok(_) => Outcome::Done,
            Err(_) => Outcome::Failed,
        });
    }
    result.map_err(|error| files.iter().take(1).fold(error, |error, new| error.about(new.name.clone())))
}

/// What is to be done with one file.
enum Decision {
    /// It is there already.
    Reuse(File),
    /// It goes up, and this one goes away.
    Send(Option<File>),
}

async fn attempt(
    provider: &Arc<dyn Provider>,
    files: &[NewFile],
    options: &UploadOptions,
    items: &[Arc<dyn Progress>],
) -> Result<Vec<Uploaded>> {
    let mut decisions = Vec::with_capacity(files.len());
    for new in files {
        decisions.push(decide(provider, new, options).await?);
    }
    let (mut to_send, mut listening) = (Vec::new(), Vec::new());
    for ((new, decision), item) in files.iter().zip(&decisions).zip(items) {
        if matches!(decision, Decision::Send(_)) {
            let listener = if options.verify {
                Hasher::cheapest(provider.capabilities().checksums).map(Listener::new)
            } else {
                None
            };
            to_send.push(new.clone());
            listening.push(Arc::new(Metered { item: Arc::clone(item), listener }));
        }
    }
    let mut sent = send(provider, &to_send, &listening, options, &decisions).await?.into_iter();
    let mut uploaded = Vec::with_capacity(files.len());
    for decision in decisions {
        let old = match decision {
            Decision::Reuse(file) => {
                uploaded.push(Uploaded { file, action: Action::Reused });
                continue;
            }
            Decision::Send(old) => old,
        };
        let Some((file, action)) = sent.next() else { break };
        let action = match old.filter(|old| old.id != file.id) {
            Some(old) => retire(provider, &file, &old).await?,
            None => action,
        };
        let file = if options.wait { wait_until_processed(provider, file).await? } else { file };
        uploaded.push(Uploaded { file, action });
    }
    Ok(uploaded)
}

async fn decide(provider: &Arc<dyn Provider>, new: &NewFile, options: &UploadOptions) -> Result<Decision> {
    if options.to.is_some() || options.if_exists == IfExists::Upload {
        return Ok(Decision::Send(None));
    }
    let query = Query { filter: Some(Filter::name_is(&new.name)), ..Query::default() };
    let twins = Listing::new(Arc::clone(provider), query, None).all().await?;
    match options.if_exists {
        IfExists::Fail => match twins.first() {
            Some(twin) => Err(Error::failed(format!("{} exists already: {}", new.name, twin.id))),
            None => Ok(Decision::Send(None)),
        },
        IfExists::Skip => Ok(same_content(new, twins).await?.map_or(Decision::Send(None), Decision::Reuse)),
        IfExists::Upload | IfExists::Replace => {
            Ok(Decision::Send(twins.into_iter().max_by_key(|file| file.created_at)))
        }
    }
}

/// Sends what has to be sent and checks what came of it.
async fn send(
    provider: &Arc<dyn Provider>,
    files: &[NewFile],
    listening: &[Arc<Metered>],
    options: &UploadOptions,
    decisions: &[Decision],
) -> Result<Vec<(File, Action)>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let old = decisions
        .iter()
        .find_map(|decision| if let Decision::Send(Some(old)) = decision { Some(&old.id) } else { None });
    let in_place =
        options.to.as_ref().or(old.filter(|_| provider.capabilities().replace && files.len() == 1));
    let progress: Vec<Arc<dyn Progress>> =
        listening.iter().map(|metered| Arc::clone(metered) as Arc<dyn Progress>).collect();
    let (sent, action) = match in_place {
        Some(id) => {
            (vec![provider.replace(id, &files[0], Arc::clone(&progress[0])).await?], Action::Replaced)
        }
        None => (provider.upload(files, &progress).await?, Action::Uploaded),
    };
    if sent.len() != files.len() {
        let platform = provider.spec().name;
        return Err(Error::platform(format!(
            "{platform} answered an upload of {} with {}",
            files.len(),
            sent.len()
        ))
        .hint(format!("look before you send again: `haul ls -p {}`", provider.profile())));
    }
    for ((file, new), metered) in sent.iter().zip(files).zip(listening) {
        check(file, new, metered)?;
    }
    Ok(sent.into_iter().map(|file| (file, action)).collect())
}

/// Deletes the file whose place another took: only now that the new one is known to be whole.
async fn retire(provider: &Arc<dyn Provider>, new: &File, old: &File) -> Result<Action> {
    provider.delete(&old.id).await.map_err(|error| {
        error.hint(format!("the new file is {}; remove the old one: `haul rm id:{}`", new.id, old.id))
    })?;
    Ok(Action::Replaced)
}

fn check(file: &File, new: &NewFile, metered: &Metered) -> Result<()> {
    let hint = |error: Error| error.hint(format!("the file is kept: `haul rm id:{}` removes it", file.id));
    if let Some(size) = file.size.filter(|size| *size != new.size) {
        let message = format!("{}: {} bytes were sent and the platform has {size}", new.name, new.size);
        return Err(hint(Error::new(Kind::Mismatch, message)));
    }
    let Some(computed) = metered.listener.as_ref().and_then(|listener| listener.finish(new.size)) else {
        return Ok(());
    };
    compare(&new.name, &computed, &file.checksums).map_err(hint)
}

/// The twin that has the same content: size and the cheapest stated checksum, compared.
async fn same_content(new: &NewFile, twins: Vec<File>) -> Result<Option<File>> {
    for twin in twins {
        if twin.size != Some(new.size) {
            continue;
        }
        let Some(mut hasher) = Hasher::for_checksums(&twin.checksums) else { continue };
        let source = new.source.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            read_all(&source, &mut |bytes| hasher.update(bytes))?;
            Ok::<_, Error>(hasher.finish())
        });
        let computed =
            hashing.await.map_err(|error| Error::failed(format!("hashing stopped: {error}")))??;
        if compare(&new.name, &computed, &twin.checksums).is_ok() {
            return Ok(Some(twin));
        }
    }
    Ok(None)
}

fn read_all(source: &Source, hear: &mut dyn FnMut(&[u8])) -> Result<()> {
    let path = match source {
        Source::Bytes(bytes) => {
            hear(bytes);
            return Ok(());
        }
        Source::Path(path) => path.as_path(),
        Source::Spooled(file) => file.path(),
    };
    let mut file = std::fs::File::open(path).map_err(|error| Error::io("open", path, &error))?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => hear(&buffer[..count]),
            Err(error) => return Err(Error::io("read", path, &error)),
        }
    }
}

/// Status words after which a platform does no more; an absent status is one, too.
const SETTLED: [&str; 6] = ["complete", "completed", "indexed", "processed", "skipped", "active"];
const BROKEN: [&str; 3] = ["failed", "error", "cancelled"];

/// Asks again until the platform has processed the file. A failure there is an error of kind Platform.
pub async fn wait_until_processed(provider: &Arc<dyn Provider>, file: File) -> Result<File> {
    let mut file = file;
    let mut pause = Duration::from_millis(500);
    loop {
        let status = file.status.as_deref().unwrap_or("complete").to_lowercase();
        if BROKEN.contains(&status.as_str()) {
            let why = ["status_details", "upload_error_message"]
                .iter()
                .find_map(|key| file.extra.get(*key)?.as_str());
            let error = Error::platform(format!(
                "{}: {} could not process it: {status}",
                file.name,
                provider.spec().name
            ));
            return Err(why
                .into_iter()
                .fold(error, |error, why| error.cause(why))
                .about(file.id.to_string()));
        }
        if SETTLED.contains(&status.as_str()) {
            return Ok(file);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_secs(10));
        file = provider.stat(&file.id).await?;
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
