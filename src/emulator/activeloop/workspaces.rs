//! Workspaces and their users. The `default` workspace always exists.

use std::cell::Cell;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::emulator::fastapi::{Problem, Refusal, receive_object, required_text};
use crate::emulator::{Site, Space};
use crate::error::Result as StoreResult;
use crate::filter::Filter;
use crate::model::Object;
use crate::store::{Listing, Transaction};

/// The workspace for requests that do not specify one.
pub(super) const DEFAULT_WORKSPACE: &str = "default";
/// The key in `extra` for a file's workspace.
pub(super) const WORKSPACE: &str = "workspace_id";
/// The owner of all objects.
pub(super) const ORG: &str = "emulated-org";
pub(super) const USER: &str = "emulated-user";
/// Maximum size of a JSON body, in bytes.
pub(super) const MAX_JSON: usize = 4 * 1024 * 1024;

/// The kinds of notes: workspaces, keyed by id, and users, keyed by `WORKSPACE/USER`.
const NOTE: &str = "workspace";
const USER_NOTE: &str = "workspace-user";
/// Maximum length of an id, in characters.
const LONGEST_ID: usize = 34;
const PATTERN: &str = "^[a-z0-9]+(?:[-_][a-z0-9]+)*$";
const ACCESSES: [&str; 2] = ["writer", "viewer"];
/// Number of files listed and deleted at a time.
const BATCH: usize = 256;

/// Rejects a workspace that does not exist.
pub(super) async fn check(site: &Site, id: &str) -> Result<(), Refusal> {
    if id == DEFAULT_WORKSPACE {
        return Ok(());
    }
    noted(site, id.to_owned()).await.map(|_| ())
}

async fn noted(site: &Site, id: String) -> Result<Object, Refusal> {
    let now = site.clock.now();
    let note = site.blocking(move |store| {
        ensure_default(store, now)?;
        store.noted(NOTE, &id)
    });
    note.await?.ok_or_else(|| Refusal::missing("Workspace"))
}

/// Whether a workspace exists, within a transaction.
pub(super) fn exists(change: &Transaction, id: &str) -> StoreResult<bool> {
    Ok(id == DEFAULT_WORKSPACE || change.noted(NOTE, id)?.is_some())
}

/// Selects the files in a workspace.
pub(super) fn files_of(workspace: &str) -> Filter {
    Filter::equals(&format!("extra.{WORKSPACE}"), workspace)
}

fn ensure_default(store: &Space, now: Timestamp) -> StoreResult<()> {
    let make = || workspace(DEFAULT_WORKSPACE, "Default", now);
    store.note_once(NOTE, DEFAULT_WORKSPACE, &make).map(|_| ())
}

fn workspace(id: &str, name: &str, now: Timestamp) -> Object {
    let value = json!({
        "id": id, "name": name, "creator_user_id": USER, "org_id": ORG, "created_at": in_milliseconds(now),
    });
    value.as_object().cloned().unwrap_or_default()
}

fn in_milliseconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn check_id(id: &str) -> Result<(), Problem> {
    let wrong = |kind, message: &str| Problem::new(["body", "id"], kind, message).input(id);
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if id.is_empty() {
        let problem = wrong("string_too_short", "String should have at least 1 character");
        return Err(problem.context("min_length", 1));
    }
    if id.chars().count() > LONGEST_ID {
        let problem = wrong("string_too_long", "String should have at most 34 characters");
        return Err(problem.context("max_length", LONGEST_ID));
    }
    if !id.split(['-', '_']).all(is_word) {
        let problem = wrong("string_pattern_mismatch", &format!("String should match pattern '{PATTERN}'"));
        return Err(problem.context("pattern", PATTERN));
    }
    Ok(())
}

/// The response of operations whose response body is not documented.
fn nothing() -> Response {
    Json(Value::Null).into_response()
}

pub(super) async fn create(State(site): State<Arc<Site>>, body: Body) -> Result<Response, Refusal> {
    let request = receive_object(body, MAX_JSON).await?;
    let (id, name) = (required_text(&request, "id")?, required_text(&request, "name")?);
    check_id(&id)?;
    let now = site.clock.now();
    let created = site.blocking(move |store| {
        ensure_default(store, now)?;
        let is_new = Cell::new(false);
        store.note_once(NOTE, &id, &|| {
            is_new.set(true);
            workspace(&id, &name, now)
        })?;
        Ok(is_new.get())
    });
    if !created.await? {
        return Err(Refusal::new(StatusCode::CONFLICT, "Workspace already exists"));
    }
    Ok(nothing())
}

pub(super) async fn list(State(site): State<Arc<Site>>) -> Result<Response, Refusal> {
    let now = site.clock.now();
    let notes = site.blocking(move |store| {
        ensure_default(store, now)?;
        store.notes(NOTE, None)
    });
    let data: Vec<Value> = notes.await?.into_iter().map(|(_, note)| note.into()).collect();
    Ok(Json(json!({ "data": data })).into_response())
}

pub(super) async fn info(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    Ok(Json(noted(&site, id).await?).into_response())
}

/// Deletes a workspace together with its files and users.
pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if id == DEFAULT_WORKSPACE {
        return Err(Refusal::bad_request("The default workspace cannot be deleted"));
    }
    let work = move |change: &mut Transaction| {
        if !change.forget(NOTE, &id)? {
            return Ok(false);
        }
        for (key, _) in of_workspace(change.notes(USER_NOTE, None)?, &id) {
            change.forget(USER_NOTE, &key)?;
        }
        let listing = Listing { filter: Some(files_of(&id)), limit: BATCH, ..Listing::default() };
        loop {
            let files = change.list(&listing)?;
            if files.is_empty() {
                return Ok(true);
            }
            for file in files {
                change.delete(&file.id)?;
            }
        }
    };
    let deleted = site.blocking(move |store| store.freeing(work));
    if deleted.await? { Ok(nothing()) } else { Err(Refusal::missing("Workspace")) }
}

/// Selects the notes about a workspace's users.
fn of_workspace(mut users: Vec<(String, Object)>, workspace: &str) -> Vec<(String, Object)> {
    users.retain(|(key, _)| key.split_once('/').is_some_and(|(of, _)| of == workspace));
    users
}

pub(super) async fn users(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    noted(&site, id.clone()).await?;
    let notes = site.blocking(move |store| Ok(of_workspace(store.notes(USER_NOTE, None)?, &id)));
    let data: Vec<Value> = notes.await?.into_iter().map(|(_, note)| note.into()).collect();
    Ok(Json(json!({ "data": data })).into_response())
}

pub(super) async fn add_user(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    set_user(&site, id, body, false).await
}

pub(super) async fn change_user(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    set_user(&site, id, body, true).await
}

async fn set_user(site: &Site, id: String, body: Body, must_exist: bool) -> Result<Response, Refusal> {
    let request = receive_object(body, MAX_JSON).await?;
    let (user, access) = (required_text(&request, "user")?, required_text(&request, "access")?);
    if !ACCESSES.contains(&access.as_str()) {
        return Err(Problem::one_of(["body", "access"], "enum", &ACCESSES).input(access).into());
    }
    noted(site, id.clone()).await?;
    let now = in_milliseconds(site.clock.now());
    let set = move |change: &mut Transaction| {
        if !exists(change, &id)? {
            return Ok(Err(Refusal::missing("Workspace")));
        }
        let key = format!("{id}/{user}");
        let before = change.noted(USER_NOTE, &key)?;
        if before.is_none() && must_exist {
            return Ok(Err(Refusal::missing("User")));
        }
        let since = before.and_then(|note| note.get("created_at").cloned()).unwrap_or_else(|| now.into());
        let note = [("user_id", user.into()), ("access", access.into()), ("created_at", since)];
        let note = note.into_iter().map(|(name, value): (&str, Value)| (name.to_owned(), value)).collect();
        change.note(USER_NOTE, &key, None, &note)?;
        Ok(Ok(nothing()))
    };
    site.blocking(move |store| store.transaction(set)).await?
}

pub(super) async fn remove_user(
    State(site): State<Arc<Site>>,
    Path((id, user)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    noted(&site, id.clone()).await?;
    let removed = site.blocking(move |store| store.forget(USER_NOTE, &format!("{id}/{user}")));
    if removed.await? { Ok(nothing()) } else { Err(Refusal::missing("User")) }
}
