//! The embedded store on this machine.
//!
//! The store uses blocking calls, so each operation runs on a blocking thread.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task;
use url::Url;

use super::capabilities::check_lifetime;
use super::listing::page_size;
use super::{
    Annotate, ContentStream, Download, LinkAbility, ListAbility, NameLimit, NameSlash, Native, Op, Precision,
    Range,
};
use super::{
    Capabilities, Connection, Dialect, Duplicates, FileLink, LinkPage, Page, Provider, Query, Setting, Spec,
    UploadAbility,
};
use crate::error::{Error, Kind, Message, Result, Signal, reference};
use crate::filter::{Comparison, Equality, Filter, Op as Comparator};
use crate::model::{File, FileId, Link, NewFile, Patch, StatusWords, spellings};
use crate::progress::Progress;
use crate::source::{CHUNK, Opened};
use crate::store::{self, Blob, Copy, Listing, Options, SortKey, Store, Transaction, new_id, sign_link};

pub(super) static SPEC: Spec = Spec {
    name: "local",
    title: "embedded store on this machine",
    token_variables: &[],
    base_url_variables: &[],
    base_url: "",
    upload_base_url: None,
    base_path: "",
    docs_url: "",
    token_page: "",
    settings: &[Setting {
        key: "serve_url",
        help: "address of `haul serve` for this store; links then become signed http URLs",
        secret: false,
    }],
    dialects: &[
        Dialect { name: "store", title: "links are file: URLs", can: &CAN },
        Dialect { name: "served", title: "links are signed http URLs of `haul serve`", can: &CAN_SERVED },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem: |_| None,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: None,
    open,
};

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: None,
        warn_bytes: None,
        empty: true,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: &[],
        default_purpose: None,
        metadata: true,
        lifetime: Some((1, LONGEST)),
        files_per_request: 1,
        mark: false,
    },
    download: Download::Any,
    ranges: true,
    list: ListAbility {
        max_page: MAX_PAGE,
        stated: &[
            "size",
            "content_type",
            "purpose",
            "path",
            "status",
            "created_at",
            "updated_at",
            "expires_at",
            "checksums.blake3",
            "checksums.sha256",
            "metadata",
            "downloadable",
            "url",
            "extra",
        ],
        native: &[
            Native::exact("id", &[Comparator::Eq]),
            Native::exact("name", &[Comparator::Eq]),
            Native::exact("created_at", &[Comparator::Lt, Comparator::Le, Comparator::Gt, Comparator::Ge]),
        ],
        sort: &["created_at", "name", "size", "id"],
        newest_first: true,
    },
    annotate: Some(Annotate { metadata: true, keys: &[], name: true, content_type: true, path: true }),
    link: Some(LinkAbility {
        lifetime: None,
        list: true,
        list_all: true,
        revoke: true,
        for_downloads: false,
    }),
    delete: true,
    replace: true,
    checksums: &["blake3", "sha256"],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: Duration::ZERO,
    rate: None,
    instead: &[],
};

const CAN_SERVED: Capabilities = Capabilities {
    link: Some(LinkAbility {
        lifetime: Some((1, LONGEST_LINK)),
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    ..CAN
};

/// A thousand years in seconds. A longer lifetime could exceed the range of timestamps.
const LONGEST: i64 = 1000 * 366 * 86_400;
/// The longest lifetime of a signed link in seconds: one week.
const LONGEST_LINK: i64 = 7 * 86_400;
/// The default lifetime of a signed link in seconds: one hour.
const USUAL_LINK: i64 = 3600;
const MAX_PAGE: u32 = 1000;
/// The space in the store that contains this provider's files.
const SPACE: &str = "local";
struct Local {
    connection: Connection,
    store: Store,
    /// The address at which the store is served, if links use it.
    served: Option<Url>,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let serve_url = connection.setting("serve_url");
    let served = match connection.dialect.as_str() {
        "store" => None,
        "served" if serve_url.is_none() => {
            return Err(Error::usage("the `served` dialect requires the address of `haul serve`")
                .hint("`--set serve_url=http://127.0.0.1:8787`"));
        }
        _ => serve_url.map(serve_base).transpose()?,
    };
    let root = connection.data.join("store");
    let root = std::path::absolute(&root).map_err(|error| Error::io("find", &root, error))?;
    let options = Options { ephemeral: false, clock: connection.clock, warn: connection.warn.clone() };
    let store = Store::open(&root, options)?;
    Ok(Box::new(Local { connection, store, served }))
}

fn serve_base(text: &str) -> Result<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
        Error::usage(format!("serve_url: {text:?} is not an http URL"))
            .hint("`--set serve_url=http://127.0.0.1:8787`")
    })
}

#[async_trait]
impl Provider for Local {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        if self.served.is_some() { &CAN_SERVED } else { &CAN }
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let size = page_size(query, MAX_PAGE, MAX_PAGE) as usize;
        let native = |field: &str| match field {
            "created_at" => Some(SortKey::Created),
            "name" => Some(SortKey::Name),
            "size" => Some(SortKey::Size),
            "id" => Some(SortKey::Id),
            _ => None,
        };
        let sort = query.sort.as_ref().and_then(|sort| Some((native(&sort.field)?, sort.descending)));
        let (sort, descending) = sort.unwrap_or((SortKey::Created, true));
        // The store records the profile that created a file, not the one used to access it.
        let in_store = |part: &Comparison| (part.field != "profile").then_some(Precision::Exact);
        let filter = query.filter.as_ref().and_then(|filter| filter.native(in_store));
        // One additional file shows whether another page follows.
        let after = cursor.map(FileId::from);
        let listing = Listing { filter, sort, descending, after, limit: size + 1, ..Listing::default() };
        let mut files = self.blocking(move |store| store.list(SPACE, &listing)).await?;
        let is_last = files.len() <= size;
        files.truncate(size);
        let next = files.last().filter(|_| !is_last).map(|file| file.id.0.clone());
        Ok(Page { files: files.into_iter().map(|file| self.own(file)).collect(), next })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let id = id.clone();
        self.blocking(move |store| store.stat(SPACE, &id)).await.map(|file| self.own(file))
    }

    async fn is_intact(&self, id: &FileId) -> Result<bool> {
        let id = id.clone();
        self.blocking(move |store| store.is_intact(SPACE, &id)).await
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let file = self.add(file, None, progress).await?;
        file.ok_or_else(|| Error::failed("the store did not add the file"))
    }

    fn adds_once(&self) -> bool {
        true
    }

    async fn upload_unless_named(
        &self,
        file: &NewFile,
        known: &[FileId],
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        self.add(file, Some(known.to_owned()), progress).await
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let id = id.clone();
        self.blocking(move |store| store.delete(SPACE, &id)).await.map(|_| ())
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let id = id.clone();
        self.blocking(move |store| {
            let (file, content) = store.get(SPACE, &id)?;
            send(file, content, range)
        })
        .await
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        let (id, patch, now) = (id.clone(), patch.clone(), self.connection.clock.now());
        let change = move |file: &mut File| {
            file.metadata = patch.apply(&file.metadata);
            file.name = patch.name.clone().unwrap_or_else(|| file.name.clone());
            file.content_type = patch.content_type.clone().or_else(|| file.content_type.clone());
            file.path = patch.path.clone().or_else(|| file.path.clone()).filter(|path| !path.is_empty());
            file.updated_at = Some(now);
            Ok(())
        };
        self.blocking(move |store| store.annotate(SPACE, &id, change)).await.map(|file| self.own(file))
    }

    async fn replace(&self, id: &FileId, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let (id, new, now) = (id.clone(), file.clone(), self.connection.clock.now());
        let stop = Stop::default();
        let stopped = stop.0.clone();
        let replace = move |store: &Store| {
            // Check before reading the bytes, so that a missing file is reported immediately.
            store.stat(SPACE, &id)?;
            let blob = receive(store, &new, progress.as_ref(), &stopped)?;
            store.replace(SPACE, &id, blob, |file| {
                describe(file, &new, now)?;
                file.updated_at = Some(now);
                Ok(())
            })
        };
        self.blocking(replace).await.map(|file| self.own(file))
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        let ability = self.capabilities().link.and_then(|link| link.lifetime);
        check_lifetime(SPEC.name, "a link", ability, lifetime)?;
        let id = id.clone();
        let Some(base) = self.served.clone() else {
            return self.blocking(move |store| file_link(store.copy_out(SPACE, &id)?)).await;
        };
        let seconds = lifetime.map_or(USUAL_LINK, |lifetime| lifetime.as_secs());
        let expires = self.connection.clock.now().as_second() + seconds;
        self.blocking(move |store| {
            store.stat(SPACE, &id)?;
            let mut url = super::http::join(&base, &["local", id.as_str()])?;
            url.set_query(Some(&sign_link(&store.signing_key()?, id.as_str(), expires)));
            let expires_at = Timestamp::from_second(expires).ok();
            Ok(Link { id: None, url: url.into(), expires_at })
        })
        .await
    }

    async fn links(&self, id: &FileId) -> Result<Vec<Link>> {
        if self.served.is_some() {
            return Err(self.unsupported(Op::Links));
        }
        let id = id.clone();
        self.blocking(move |store| {
            store.stat(SPACE, &id)?;
            store.copies(SPACE, &id)?.into_iter().map(file_link).collect()
        })
        .await
    }

    async fn all_links(&self, _cursor: Option<&str>) -> Result<LinkPage> {
        if self.served.is_some() {
            return Err(self.unsupported(Op::AllLinks));
        }
        let all = |store: &Store| {
            let copies = store.all_copies(SPACE)?.into_iter();
            let linked = |(id, copy)| Ok(FileLink { id, file: None, link: file_link(copy)? });
            Ok(LinkPage { links: copies.map(linked).collect::<Result<_>>()?, next: None })
        };
        self.blocking(move |store| all(store)).await
    }

    async fn unlink(&self, id: &FileId, link: Option<&str>) -> Result<()> {
        if self.served.is_some() {
            return Err(self.unsupported(Op::Unlink));
        }
        let links = self.links(id).await?;
        let link = match (link, links.as_slice()) {
            (Some(wanted), links) => {
                let mut all = links.iter();
                all.find(|link| link.id.as_deref() == Some(wanted) || link.url == wanted).ok_or_else(
                    || Error::not_found(Message::about(&format!("{wanted}: no such link to "), id, "")),
                )?
            }
            (None, [only]) => only,
            (None, []) => return Err(Error::not_found(Message::file(id, " has no link"))),
            (None, several) => {
                let reference = reference(self.profile(), id);
                return Err(Error::usage(Message::file(id, &format!(" has {} links", several.len())))
                    .hint(format!("to show them: `haul link {reference} --list`"))
                    .hint(format!("to revoke one: `haul link {reference} --revoke LINK`")));
            }
        };
        let copy = link.id.clone().unwrap_or_default();
        self.blocking(move |store| store.remove_copy(SPACE, &copy)).await.map(|_| ())
    }
}

impl Local {
    /// Runs `work` on a blocking thread.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        let done = task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| Err(Error::failed("the store's thread stopped").caused_by(error)))
    }

    /// Adds a file. With `known`, returns `None` without adding it if the store has a file with its name that is not in
    /// `known`.
    async fn add(
        &self,
        new: &NewFile,
        known: Option<Vec<FileId>>,
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        let (new, clock) = (new.clone(), self.connection.clock);
        let profile = self.connection.profile.clone();
        let stop = Stop::default();
        let stopped = stop.0.clone();
        let put = move |store: &Store| {
            let blob = receive(store, &new, progress.as_ref(), &stopped)?;
            store.transaction(SPACE, |change| {
                if let Some(known) = known
                    && named(change, &new.name)?.iter().any(|file| !known.contains(&file.id))
                {
                    return Ok(None);
                }
                let now = clock.now();
                let mut file = File {
                    provider: SPEC.name.to_owned(),
                    profile,
                    id: new_id(now, newest_id(change)?.as_ref()),
                    name: new.name.clone(),
                    created_at: Some(now),
                    downloadable: Some(true),
                    ..File::default()
                };
                describe(&mut file, &new, now)?;
                change.put(file, blob).map(Some)
            })
        };
        self.blocking(put).await
    }

    /// Sets the file's profile to the one used to access it instead of the one that created it.
    fn own(&self, mut file: File) -> File {
        file.profile.clone_from(&self.connection.profile);
        file
    }
}

/// Stops the blocking thread when the future that waits for it is dropped, so that an abandoned upload stores nothing.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Updates a record with the fields that the user specified.
fn describe(file: &mut File, new: &NewFile, now: Timestamp) -> Result<()> {
    if !new.keeps_name {
        file.name.clone_from(&new.name);
    }
    file.content_type = Some(new.content_type.clone()).filter(|kind| !kind.is_empty());
    file.purpose = new.purpose.clone().or(file.purpose.take());
    if !new.metadata.is_empty() {
        file.metadata.clone_from(&new.metadata);
    }
    if let Some(lifetime) = new.expires {
        let expires_at = now.checked_add(lifetime).map_err(|error| {
            Error::usage(format!("{}: the lifetime is too long", new.name)).caused_by(error)
        });
        file.expires_at = Some(expires_at?);
    }
    Ok(())
}

/// Reads a source into the store. Returns an error if the size is not the planned one or if the source changes while
/// being read.
fn receive(store: &Store, new: &NewFile, progress: &dyn Progress, stopped: &AtomicBool) -> Result<Blob> {
    let go_on = || {
        let stop = stopped.load(Ordering::Relaxed);
        let interrupted =
            || Error::new(Kind::Interrupted(Signal::default()), format!("{}: interrupted", new.name));
        if stop { Err(interrupted()) } else { Ok(()) }
    };
    let changed = |how: &str| {
        let path = new.source.place().unwrap_or(Path::new(&new.name));
        Error::failed(format!(
            "{}: changed while it was being read: {how} {} bytes",
            path.display(),
            new.size
        ))
    };
    let mut incoming = store.receive()?;
    let mut position = 0;
    go_on()?;
    let received = Opened::open(&new.source)?.read_all(|chunk| {
        go_on()?;
        let end = position + chunk.len() as u64;
        if end > new.size {
            return Err(changed("more than"));
        }
        progress.read(position, chunk);
        incoming.write_all(chunk).map_err(|error| {
            Error::failed(format!("{}: cannot write to the store", new.name)).caused_by(error)
        })?;
        position = end;
        progress.at(position);
        Ok(())
    });
    received.map_err(|error| error.about(new.name.clone()))?;
    if position < new.size {
        return Err(changed("fewer than"));
    }
    let blob = incoming.finish()?;
    go_on()?;
    Ok(blob)
}

/// Sends content from a separate thread, at most a few chunks ahead of the receiver.
fn send(file: File, content: store::BlobReader, range: Option<Range>) -> Result<ContentStream> {
    // The download itself verifies the bytes, unless `--no-verify` is given.
    let Some(mut content) = content.into_file() else {
        return Err(Error::failed(format!("{}: its content is not on this machine", file.name)));
    };
    let size = file.size.unwrap_or_default();
    let validator = file.checksums.sha256;
    let goes_on = |range: &Range| range.from <= size && range.continues(validator.as_deref(), Some(size));
    let start = range.filter(goes_on).map_or(0, |range| range.from);
    let name = file.name;
    let failed =
        move |error: io::Error| Error::failed(format!("{name}: cannot read from the store")).caused_by(error);
    content.seek(SeekFrom::Start(start)).map_err(&failed)?;
    let (sender, mut receiver) = mpsc::channel(2);
    let read = move || {
        loop {
            let mut piece = vec![0; CHUNK];
            let piece = match content.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => {
                    piece.truncate(read);
                    Ok(Bytes::from(piece))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(failed(error)),
            };
            let is_end = piece.is_err();
            // The receiver is dropped if the download is abandoned.
            if sender.blocking_send(piece).is_err() || is_end {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("read".to_owned())
        .spawn(read)
        .map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
    Ok(ContentStream {
        derived: false,
        start,
        length: Some(size - start),
        validator,
        content_type: file.content_type,
        encoding: None,
        origin: SPEC.name.to_owned(),
        stream: stream::poll_fn(move |context| receiver.poll_recv(context)).boxed(),
        release: None,
    })
}

fn file_link(copy: Copy) -> Result<Link> {
    let url = Url::from_file_path(&copy.path).map_err(|()| {
        Error::failed(format!("{}: cannot be expressed as a file: URL", copy.path.display()))
    })?;
    Ok(Link { id: Some(copy.id), url: url.into(), expires_at: None })
}

/// The files with this name, selected in the same way as by [`files_named`](super::files_named).
fn named(change: &Transaction, name: &str) -> Result<Vec<File>> {
    let mut found = Vec::new();
    for spelling in spellings(name) {
        let filter = Some(Filter::name_is(&spelling));
        found.extend(change.list(&Listing { filter, ..Listing::default() })?);
        if spelling == name && !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

fn newest_id(change: &Transaction) -> Result<Option<FileId>> {
    let newest = Listing { sort: SortKey::Id, descending: true, limit: 1, ..Listing::default() };
    Ok(change.list(&newest)?.pop().map(|file| file.id))
}
