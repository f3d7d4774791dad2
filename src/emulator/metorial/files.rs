//! Listing files, and one file: get, title, deletion.
//!
//! A deleted file leaves the store, so that its content takes no room, and a note of it stays: the API goes on
//! showing it to those who know its id. A file whose presigned upload is not complete is in the store as `pending` and
//! shows nowhere.

use axum::Json;
use axum::body::Body;
use jiff::Timestamp;

use super::Answer;
use super::body;
use super::call::Call;
use super::dialect::Dialect;
use super::objects::{self, TITLE};
use super::paging::{Page, not_one_of};
use super::problem::Problem;
use crate::emulator::Params;
use crate::error::{Error, Kind, Result as Stored};
use crate::filter::{Comparison, Expr, Filter, Op, Value};
use crate::model::{File, FileId, Object};
use crate::store::{Listing, Store, Transaction};

pub(super) const SPACE: &str = "metorial";
pub(super) const ACTIVE: &str = "active";
pub(super) const PENDING: &str = "pending";
const DELETED: &str = "deleted";
/// Notes of deleted files, by id.
const DELETED_FILE: &str = "deleted-file";

pub(super) async fn list(call: Call) -> Answer {
    call.need_instance()?;
    let page = Page::asked(&call.params)?;
    let filter = filter(call.dialect, &call.params)?;
    // A link belongs to one file; what is not there belongs to none.
    let links: Vec<String> = match call.dialect {
        Dialect::Magnetar => call.params.all("file_link_id").into_iter().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let read = move |store: &Store| {
        let mut filter = filter;
        if !links.is_empty() {
            let files = links.iter().map(|link| super::links::file_of(store, link));
            let files: Vec<_> = files.collect::<Stored<Vec<_>>>()?.into_iter().flatten().collect();
            filter = filter.and(any_of("id", files.iter().map(FileId::as_str)));
        }
        page.read(|ask| {
            if let Some(id) = ask.after {
                let itself = filter.clone().and(any_of("id", [id]));
                let listing = Listing { filter: Some(itself), limit: 1, ..Listing::default() };
                if store.list(SPACE, &listing)?.is_empty() {
                    return Ok(None);
                }
            }
            let listing = Listing {
                filter: Some(filter.clone()),
                descending: ask.descending,
                after: ask.after.map(FileId::from),
                limit: ask.count,
                ..Listing::default()
            };
            store.list(SPACE, &listing).map(Some)
        })
    };
    let (files, has_more) = call.store(read).await?;
    let items = files.iter().map(|file| objects::file(call.dialect, file)).collect();
    Ok(Json(objects::list(call.dialect, items, has_more)))
}

/// What a query asks for, as a filter. Pulsar checks the purpose and then asks for all; other words than a dialect's own
/// mean nothing in it.
fn filter(dialect: Dialect, params: &Params) -> Result<Filter, Problem> {
    let purposes = params.all("purpose");
    let known = dialect.purposes();
    if let Some(unknown) = purposes.iter().find(|purpose| !known.contains(purpose)) {
        return Err(not_one_of("purpose", &known, unknown));
    }
    let mut filter = any_of("status", [ACTIVE]);
    if dialect == Dialect::Pulsar {
        return Ok(filter);
    }
    let mut lists = vec![("purpose", purposes), ("id", params.all("id"))];
    let mut times = vec!["created_at"];
    if dialect == Dialect::Magnetar {
        lists.push(("extra.store_id", params.all("store_id")));
        // Documents are another API: no file is part of one here.
        lists.push(("extra.document_id", params.all("document_id")));
        times.push("updated_at");
    }
    for (field, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        filter = filter.and(any_of(field, values));
    }
    for field in times {
        for (key, op) in [("gt", Op::Gt), ("lt", Op::Lt)] {
            let Some(text) = params.nested(field, key) else { continue };
            let wrong = || Problem::invalid_type("query", &format!("{field}[{key}]"), "date", "string");
            let time = body::parse_date(text).ok_or_else(wrong)?;
            let comparison = Comparison { field: field.to_owned(), op, value: Value::Time(time) };
            filter = filter.and(Filter { expr: Expr::Compare(comparison) });
        }
    }
    Ok(filter)
}

/// Files whose field has one of these values.
fn any_of<'a>(field: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    let is = |value: &str| {
        let value = Value::Text(value.to_owned());
        Expr::Compare(Comparison { field: field.to_owned(), op: Op::Eq, value })
    };
    Filter { expr: Expr::any(values.into_iter().map(is).collect()) }
}

pub(super) async fn get(call: Call) -> Answer {
    call.need_instance()?;
    let file = named(&call, &FileId(call.id("file"))).await?;
    Ok(Json(objects::file(call.dialect, &file)))
}

pub(super) async fn update(call: Call, body: Body) -> Answer {
    call.only_in(&[Dialect::Seed, Dialect::Pulsar])?;
    call.need_instance()?;
    let title = body::text(&body::read(&call.headers, body).await?, "title")?;
    let (id, now) = (FileId(call.id("file")), call.site.clock.now());
    let file = active(&call, &id).await?;
    let Some(title) = title else { return Ok(Json(objects::file(call.dialect, &file))) };
    let change = move |store: &Store| {
        found(store.annotate(SPACE, &id, |file| {
            file.extra.insert(TITLE.to_owned(), title.into());
            file.updated_at = Some(now);
            Ok(())
        }))
    };
    let file = call.store(change).await?.ok_or_else(gone)?;
    Ok(Json(objects::file(call.dialect, &file)))
}

pub(super) async fn delete(call: Call) -> Answer {
    call.need_instance()?;
    let (id, now) = (FileId(call.id("file")), call.site.clock.now());
    active(&call, &id).await?;
    if call.dialect == Dialect::Pulsar {
        return Err(Problem::bad_request("files cannot be deleted"));
    }
    let deleted = call.store(move |store| found(store.transaction(SPACE, |change| remove(change, &id, now))));
    // A concurrent request may have deleted the file.
    let file = deleted.await?.ok_or_else(gone)?;
    Ok(Json(objects::file(call.dialect, &file)))
}

/// Deletes a file from the store and keeps a note of it.
fn remove(change: &mut Transaction, id: &FileId, now: Timestamp) -> Stored<File> {
    let before = change.delete(id)?;
    let file = File { status: Some(DELETED.to_owned()), updated_at: Some(now), ..before };
    let note = serde_json::to_value(&file).ok().and_then(|value| value.as_object().cloned());
    change.note(DELETED_FILE, id.as_str(), None, &note.unwrap_or_default())?;
    Ok(file)
}

/// A file of that id that is in the store or was deleted from it; None where there was none.
pub(super) fn find(store: &Store, id: &FileId) -> Stored<Option<File>> {
    match found(store.stat(SPACE, id))? {
        Some(file) => Ok(Some(file).filter(|file| file.status.as_deref() != Some(PENDING))),
        None => Ok(store.noted(SPACE, DELETED_FILE, id.as_str())?.and_then(from_note)),
    }
}

fn from_note(note: Object) -> Option<File> {
    serde_json::from_value(note.into()).ok()
}

/// What the store has found; None where it says that there is nothing.
pub(super) fn found<T>(result: Stored<T>) -> Stored<Option<T>> {
    match result {
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// The file of that id. The seed has no word for a deleted one: there it is not there.
pub(super) async fn named(call: &Call, id: &FileId) -> Result<File, Problem> {
    let wanted = id.clone();
    let file = call.store(move |store| find(store, &wanted)).await?;
    let is_shown = |file: &File| call.dialect != Dialect::Seed || file.status.as_deref() == Some(ACTIVE);
    file.filter(is_shown).ok_or_else(|| Problem::not_found("file", id.as_str()))
}

/// The file of that id, to which something is to be done.
pub(super) async fn active(call: &Call, id: &FileId) -> Result<File, Problem> {
    let file = named(call, id).await?;
    if file.status.as_deref() == Some(ACTIVE) { Ok(file) } else { Err(gone()) }
}

/// The refusal for a deleted file.
pub(super) fn gone() -> Problem {
    Problem::forbidden("the file has been deleted")
}

/// A file's record came without what it must have.
pub(super) fn unexpected(what: &str) -> Error {
    Error::failed(format!("{what}: the emulator's record of it is damaged"))
}
