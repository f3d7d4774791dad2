//! Lists, and one file.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Call, LIST_ORDER, PAGE_SIZE, SPACE, show};
use crate::error::Kind;
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey};

/// Files of a page; nobody knows the service's number but that it is at least 38.
const PAGE: usize = 100;

/// A file as the API shows it, keys in the order that was recorded.
pub(super) fn object(call: &Call, file: &File) -> Value {
    json!({
        "id": file.id,
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "etag": file.checksums.md5,
        "checksums": { "sha256": file.checksums.sha256, "md5": file.checksums.md5 },
        "metadata": file.metadata,
        "created_at": file.created_at.map(time),
        "expires_at": file.expires_at.map(time),
        "urls": { "get": format!("{}/v1/files/{}", call.site.root(&call.headers), file.id) },
    })
}

/// RFC 3339 in UTC, with milliseconds.
fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A page's place: before or after a file. On the wire an opaque text, which clients follow as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cursor {
    After(String),
    Before(String),
}

impl Cursor {
    fn encode(&self) -> String {
        STANDARD.encode(match self {
            Self::After(id) => format!("p={id}"),
            Self::Before(id) => format!("r=1&p={id}"),
        })
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let before = text.strip_prefix("r=1&p=").map(|id| Self::Before(id.to_owned()));
        before.or_else(|| text.strip_prefix("p=").map(|id| Self::After(id.to_owned())))
    }

    fn url(&self, call: &Call) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("cursor", &self.encode())
            .finish();
        format!("{}/v1/files?{query}", call.site.root(&call.headers))
    }
}

pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let wrong = || Problem::bad_request("Invalid cursor");
    let cursor = match call.params.get("cursor").filter(|text| !text.is_empty()) {
        Some(text) => Some(Cursor::decode(text).ok_or_else(wrong)?),
        None => None,
    };
    let size = call.site.quirk_value(PAGE_SIZE).and_then(|value| value.parse().ok());
    let size: usize = size.filter(|size| *size > 0).unwrap_or(PAGE);
    let backwards = matches!(cursor, Some(Cursor::Before(_)));
    let by_id = call.site.quirk_value(LIST_ORDER) == Some("id");
    let listing = Listing {
        sort: if by_id { SortKey::Id } else { SortKey::Created },
        descending: by_id == backwards,
        after: cursor.as_ref().map(|(Cursor::After(id) | Cursor::Before(id))| FileId(id.clone())),
        limit: size.saturating_add(1),
        ..Listing::default()
    };
    let listed = call.site.blocking(move |store| store.list(SPACE, &listing)).await;
    let mut files = match listed {
        Err(error) if error.kind() == Kind::NotFound => return Err(wrong()),
        listed => listed?,
    };
    let more = files.len() > size;
    files.truncate(size);
    if backwards {
        files.reverse();
    }
    let (has_previous, has_next) = if backwards { (more, true) } else { (cursor.is_some(), more) };
    let id = |file: Option<&File>| file.map(|file| file.id.to_string());
    let next = id(files.last()).filter(|_| has_next).map(|id| Cursor::After(id).url(&call));
    let previous = id(files.first()).filter(|_| has_previous).map(|id| Cursor::Before(id).url(&call));
    let results: Vec<_> = files.iter().map(|file| object(&call, file)).collect();
    Ok(show(StatusCode::OK, json!({ "next": next, "previous": previous, "results": results })))
}

/// An id of a path; one that is not UTF-8 is nobody's.
pub(super) type Id = Result<Path<String>, PathRejection>;

pub(super) fn id(path: Id) -> Result<FileId, Problem> {
    path.map(|Path(id)| FileId(id)).map_err(|_| Problem::not_found())
}

pub(super) async fn get(call: Call, path: Id) -> Result<Response, Problem> {
    let id = id(path)?;
    let file = call.site.blocking(move |store| store.stat(SPACE, &id)).await?;
    Ok(show(StatusCode::OK, object(&call, &file)))
}

pub(super) async fn delete(call: Call, path: Id) -> Result<Response, Problem> {
    let id = id(path)?;
    call.site.blocking(move |store| store.delete(SPACE, &id)).await?;
    Ok((StatusCode::NO_CONTENT, [(CONTENT_TYPE, "text/plain; charset=UTF-8")]).into_response())
}
