//! Links: notes about a file, with which they go.

use axum::Json;
use axum::body::Body;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::body;
use super::call::Call;
use super::dialect::Dialect;
use super::files::{self, SPACE};
use super::objects::{self, time};
use super::paging::Page;
use super::problem::Problem;
use super::{Answer, FILES_URL, LINKS_GET_CREATES};
use crate::emulator::ids;
use crate::error::Result as Stored;
use crate::model::{FileId, Object};
use crate::store::{Store, Transaction};

const LINK: &str = "link";
/// The paths of the first two dialects, and the last one's. The seed has them all: it shows the first and leaves the rest
/// open.
const BY_FILE: [Dialect; 2] = [Dialect::Seed, Dialect::Pulsar];
const BY_ITSELF: [Dialect; 2] = [Dialect::Seed, Dialect::Magnetar];

/// A link.
#[derive(Clone)]
pub(super) struct Link {
    id: String,
    file: FileId,
    /// The last part of its URL, which only those can know who were given it.
    pub(super) key: String,
    created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

pub(super) async fn create_for_file(call: Call, body: Body) -> Answer {
    call.only_in(&BY_FILE)?;
    let body = body::read(&call.headers, body).await?;
    create_link(&call, call.id("file"), &body).await
}

pub(super) async fn create(call: Call, body: Body) -> Answer {
    call.only_in(&BY_ITSELF)?;
    let body = body::read(&call.headers, body).await?;
    let missing = || Problem::invalid_type("body", "file_id", "string", "undefined");
    let file = body::text(&body, "file_id")?.ok_or_else(missing)?;
    create_link(&call, file, &body).await
}

async fn create_link(call: &Call, file: String, body: &Object) -> Answer {
    call.need_instance()?;
    let expires_at = body::date(body, "expires_at")?;
    let now = call.site.clock.now();
    let file = files::active(call, &FileId(file)).await?;
    let link = Link {
        id: format!("flk_{}", ids::time_sorted(now, 13)),
        file: file.id,
        key: format!("{}_ext", ids::base62(30)),
        created_at: now,
        expires_at,
    };
    let shown = link.shown(call);
    let kept = call.store(move |store| {
        files::found(store.transaction(SPACE, |change| {
            // A file that was deleted in between gets no link.
            change.stat(&link.file)?;
            link.keep(change)
        }))
    });
    kept.await?.ok_or_else(files::gone)?;
    Ok(Json(shown))
}

pub(super) async fn list_of_file(call: Call) -> Answer {
    call.only_in(&BY_FILE)?;
    let id = call.id("file");
    if call.site.quirk(LINKS_GET_CREATES) {
        return create_link(&call, id, &Object::new()).await;
    }
    call.need_instance()?;
    let file = files::named(&call, &FileId(id)).await?;
    // Here the server checks nothing of the query.
    show_page(&call, Page::asked_unchecked(&call.params), vec![file.id]).await
}

pub(super) async fn list(call: Call) -> Answer {
    call.only_in(&BY_ITSELF)?;
    call.need_instance()?;
    let files = call.params.all("file_id").into_iter().map(FileId::from).collect();
    show_page(&call, Page::asked(&call.params)?, files).await
}

/// A page of the links of some files; of all where none is named.
async fn show_page(call: &Call, page: Page, files: Vec<FileId>) -> Answer {
    let read = move |store: &Store| {
        let mut links = Vec::new();
        if files.is_empty() {
            links = notes(store, None)?;
        }
        for file in &files {
            links.append(&mut notes(store, Some(file))?);
        }
        links.sort_by(|one, other| one.id.cmp(&other.id));
        page.read(|ask| {
            let mut links = links.clone();
            if ask.descending {
                links.reverse();
            }
            let start = match ask.after {
                None => 0,
                Some(id) => match links.iter().position(|link| link.id == id) {
                    None => return Ok(None),
                    Some(at) => at + 1,
                },
            };
            Ok(Some(links.drain(start..).take(ask.count).collect()))
        })
    };
    let (links, has_more) = call.store(read).await?;
    let items = links.iter().map(|link| link.shown(call)).collect();
    Ok(Json(objects::list(call.dialect, items, has_more)))
}

pub(super) async fn get_of_file(call: Call) -> Answer {
    call.only_in(&BY_FILE)?;
    Ok(Json(find_asked(&call).await?.shown(&call)))
}

pub(super) async fn get(call: Call) -> Answer {
    call.only_in(&BY_ITSELF)?;
    Ok(Json(find_asked(&call).await?.shown(&call)))
}

pub(super) async fn update(call: Call, body: Body) -> Answer {
    call.only_in(&BY_FILE)?;
    let asked = find_asked(&call).await?;
    let expires_at = body::date(&body::read(&call.headers, body).await?, "expires_at")?;
    let id = asked.id.clone();
    let changed = call.store(move |store| {
        store.transaction(SPACE, |change| {
            let Some(note) = change.noted(LINK, &id)? else { return Ok(None) };
            let mut link = Link::from_note(&id, &note)?;
            link.expires_at = expires_at.or(link.expires_at);
            link.keep(change)?;
            Ok(Some(link))
        })
    });
    let link = changed.await?.ok_or_else(|| Problem::not_found("fileLink", &asked.id))?;
    Ok(Json(link.shown(&call)))
}

pub(super) async fn delete_of_file(call: Call) -> Answer {
    call.only_in(&BY_FILE)?;
    remove(&call).await
}

pub(super) async fn delete(call: Call) -> Answer {
    call.only_in(&BY_ITSELF)?;
    remove(&call).await
}

async fn remove(call: &Call) -> Answer {
    let link = find_asked(call).await?;
    let shown = link.shown(call);
    let id = link.id.clone();
    if call.store(move |store| store.forget(SPACE, LINK, &id)).await? {
        return Ok(Json(shown));
    }
    Err(Problem::not_found("fileLink", &link.id))
}

/// The link that a path names; where it names a file, too, one of that file.
async fn find_asked(call: &Call) -> Result<Link, Problem> {
    call.need_instance()?;
    let (id, file) = (call.id("link"), call.id("file"));
    let wanted = id.clone();
    let link = call.store(move |store| find(store, &wanted)).await?;
    let link = link.filter(|link| file.is_empty() || link.file.as_str() == file);
    link.ok_or_else(|| Problem::not_found("fileLink", &id))
}

/// A link by its id.
pub(super) fn find(store: &Store, id: &str) -> Stored<Option<Link>> {
    store.noted(SPACE, LINK, id)?.map(|note| Link::from_note(id, &note)).transpose()
}

/// The file of a link.
pub(super) fn file_of(store: &Store, id: &str) -> Stored<Option<FileId>> {
    Ok(find(store, id)?.map(|link| link.file))
}

/// The links of a file, or all.
pub(super) fn notes(store: &Store, file: Option<&FileId>) -> Stored<Vec<Link>> {
    store.notes(SPACE, LINK, file)?.iter().map(|(id, note)| Link::from_note(id, note)).collect()
}

impl Link {
    /// The file that it leads to.
    pub(super) fn file(&self) -> &FileId {
        &self.file
    }

    fn shown(&self, call: &Call) -> Value {
        let root = match call.site.quirk_value(FILES_URL) {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => call.site.root(&call.headers),
        };
        let path = match call.dialect {
            Dialect::Seed | Dialect::Pulsar => format!("retrieve/{}/{}", self.id, self.key),
            Dialect::Magnetar => format!("{}/{}", self.file, self.key),
        };
        json!({
            "object": "file.file_link",
            "id": self.id,
            "file_id": self.file,
            "url": format!("{root}/files/{path}"),
            "created_at": time(self.created_at),
            "expires_at": self.expires_at.map(time),
        })
    }

    fn keep(&self, change: &mut Transaction) -> Stored<()> {
        let note = json!({
            "file": self.file, "key": self.key, "created_at": self.created_at, "expires_at": self.expires_at,
        });
        change.note(LINK, &self.id, Some(&self.file), note.as_object().unwrap_or(&Object::new()))
    }

    fn from_note(id: &str, note: &Object) -> Stored<Self> {
        let text = |key: &str| note.get(key).and_then(Value::as_str);
        let read = || {
            Some(Self {
                id: id.to_owned(),
                file: text("file")?.into(),
                key: text("key")?.to_owned(),
                created_at: text("created_at")?.parse().ok()?,
                expires_at: text("expires_at").map(str::parse).transpose().ok()?,
            })
        };
        read().ok_or_else(|| files::unexpected(id))
    }
}
