//! Links, which are stored as notes about a file, and the content that they lead to.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::{self, LINK, Page};
use super::request::{self, Answer, Call, Dialect, Problem};
use crate::emulator::{Content, Params, Sending, Site, Space, content_disposition, ids};
use crate::error::{Error, Result as StoreResult};
use crate::model::{FileId, Object};
use crate::store::Transaction;

/// A link. Its note in the store is keyed by the link's id.
#[derive(Clone, Serialize, Deserialize)]
struct Link {
    #[serde(skip)]
    id: String,
    file: FileId,
    /// The last segment of the URL, which is secret.
    key: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Link {
    fn from_note(id: &str, note: Object) -> StoreResult<Self> {
        let link: Self = serde_json::from_value(note.into()).map_err(|error| {
            Error::failed(format!("{id}: the record of the link is damaged")).caused_by(error)
        })?;
        Ok(Self { id: id.to_owned(), ..link })
    }

    fn find(store: &Space, id: &str) -> StoreResult<Option<Self>> {
        store.noted(LINK, id)?.map(|note| Self::from_note(id, note)).transpose()
    }

    /// The links to a file, or all links.
    fn list(store: &Space, file: Option<&FileId>) -> StoreResult<Vec<Self>> {
        let notes = store.notes(LINK, file)?;
        notes.into_iter().map(|(id, note)| Self::from_note(&id, note)).collect()
    }

    fn put(&self, change: &mut Transaction) -> StoreResult<()> {
        let note = json!(self).as_object().cloned().unwrap_or_default();
        change.note(LINK, &self.id, Some(&self.file), &note)
    }

    fn object(&self, call: &Call) -> Value {
        let root = match call.site.quirk_value("files-url") {
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
            "created_at": format!("{:.3}", self.created_at),
            "expires_at": self.expires_at.map(|time| format!("{time:.3}")),
        })
    }
}

/// Rejects the paths of other dialects: pulsar has `/files/{file}/links`, magnetar has `/file-links`, and the seed
/// has both.
fn check_path(call: &Call) -> Result<(), Problem> {
    let other = if call.id("file").is_some() { Dialect::Magnetar } else { Dialect::Pulsar };
    if call.dialect == other { Err(Problem::endpoint()) } else { call.need_instance() }
}

pub(super) async fn create(call: Call, body: Body) -> Answer {
    check_path(&call)?;
    let body = call.read(body).await?;
    let file = match call.id("file") {
        Some(file) => file.to_owned(),
        None => request::text(&body, "file_id")?
            .ok_or_else(|| Problem::invalid_type("body", "file_id", "string", "undefined"))?,
    };
    create_link(&call, &file, request::expires_at(&body)?).await
}

async fn create_link(call: &Call, file: &str, expires_at: Option<Timestamp>) -> Answer {
    let now = call.site.clock.now();
    let link = Link {
        id: format!("flk_{}", ids::time_sorted(now, 13)),
        file: files::find_active(call, file).await?.id,
        key: format!("{}_ext", ids::base62(30)),
        created_at: now,
        expires_at,
    };
    let object = link.object(call);
    let put = move |store: &Space| {
        files::found(store.transaction(|change| {
            // A concurrent request may have deleted the file.
            change.stat(&link.file)?;
            link.put(change)
        }))
    };
    call.store(put).await?.ok_or_else(Problem::deleted)?;
    Ok(Json(object))
}

pub(super) async fn list(call: Call) -> Answer {
    check_path(&call)?;
    let (files, page) = match call.id("file") {
        Some(file) if call.site.quirk("links-get-creates") => return create_link(&call, file, None).await,
        // The query of this list is not validated.
        Some(file) => (vec![files::find(&call, file).await?.id], Page::parse_unchecked(&call.params)),
        None => {
            let files = call.params.all("file_id").into_iter().map(FileId::from).collect();
            (files, Page::parse(&call.params)?)
        }
    };
    let read = move |store: &Space| {
        let mut links = if files.is_empty() { Link::list(store, None)? } else { Vec::new() };
        for file in &files {
            links.append(&mut Link::list(store, Some(file))?);
        }
        links.sort_by(|one, other| one.id.cmp(&other.id));
        page.read(|after, descending, limit| {
            if descending {
                links.reverse();
            }
            let start = match after {
                None => Some(0),
                Some(id) => links.iter().position(|link| link.id == id).map(|at| at + 1),
            };
            Ok(start.map(|start| links.drain(start..).take(limit).collect()))
        })
    };
    let (links, has_more) = call.store(read).await?;
    let items = links.iter().map(|link: &Link| link.object(&call)).collect();
    Ok(files::list_object(call.dialect, items, has_more))
}

pub(super) async fn get(call: Call) -> Answer {
    Ok(Json(find(&call).await?.object(&call)))
}

pub(super) async fn update(call: Call, body: Body) -> Answer {
    let id = find(&call).await?.id;
    let expires_at = request::expires_at(&call.read(body).await?)?;
    let wanted = id.clone();
    let update = move |store: &Space| {
        store.transaction(|change| {
            let Some(note) = change.noted(LINK, &wanted)? else { return Ok(None) };
            let mut link = Link::from_note(&wanted, note)?;
            link.expires_at = expires_at.or(link.expires_at);
            link.put(change)?;
            Ok(Some(link))
        })
    };
    let link = call.store(update).await?.ok_or_else(|| Problem::not_found("fileLink", &id))?;
    Ok(Json(link.object(&call)))
}

pub(super) async fn delete(call: Call) -> Answer {
    let link = find(&call).await?;
    let id = link.id.clone();
    if call.store(move |store| store.forget(LINK, &id)).await? {
        return Ok(Json(link.object(&call)));
    }
    Err(Problem::not_found("fileLink", &link.id))
}

/// The link named in a path. If the path also names a file, the link must belong to it.
async fn find(call: &Call) -> Result<Link, Problem> {
    check_path(call)?;
    let id = call.id("link").unwrap_or_default();
    let wanted = id.to_owned();
    let link = call.store(move |store| Link::find(store, &wanted)).await?;
    let link = link.filter(|link| call.id("file").is_none_or(|file| link.file.as_str() == file));
    link.ok_or_else(|| Problem::not_found("fileLink", id))
}

/// The content of a link: `/files/{file}/{key}` as in magnetar, or `/files/retrieve/{link}/{key}` as in pulsar. No
/// API key is needed because the URL is the secret. Ranges are not supported.
pub(super) async fn content(
    State(site): State<Arc<Site>>,
    Path(ids): Path<HashMap<String, String>>,
    params: Params,
    headers: HeaderMap,
) -> Answer<Response> {
    let id = |name: &str| ids.get(name).cloned().unwrap_or_default();
    let (link, file, key) = (ids.get("link").cloned(), FileId(id("file")), id("key"));
    let find = move |store: &Space| match link {
        Some(link) => Ok(Link::find(store, &link)?.into_iter().collect()),
        None => Link::list(store, Some(&file)),
    };
    let links = site.blocking(find).await?;
    // Comparing signatures takes constant time.
    let link = links.into_iter().find(|link| site.signer.verify(&key, &site.signer.sign(&link.key)));
    let link = link.ok_or_else(|| Problem::not_found("fileLink", ids.get("link").unwrap_or(&id("file"))))?;
    if link.expires_at.is_some_and(|end| end <= site.clock.now()) {
        return Err(Problem::bad_request("the link has expired"));
    }
    let content = files::found(Content::open(&site, &link.file).await)?;
    let content = content.ok_or_else(|| Problem::not_found("fileDownload", link.file.as_str()))?;
    let kind = if params.has("download") { "attachment" } else { "inline" };
    let permanent = "public, max-age=31536000, immutable";
    let cached = if link.expires_at.is_some() { "private, no-store" } else { permanent };
    // Content other than images must not be rendered as a page of this host.
    let content_type = content.file.content_type.clone().filter(|text| text.starts_with("image/"));
    let default = Sending::default();
    let how = Sending {
        content_type: content_type.unwrap_or(default.content_type),
        headers: vec![
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (CACHE_CONTROL, cached.to_owned()),
            (CONTENT_DISPOSITION, content_disposition(kind, &content.file.name)),
        ],
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}
