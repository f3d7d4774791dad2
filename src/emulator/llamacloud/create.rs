//! How a file comes to be, whichever way its bytes come.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::gate::{Caller, Service};
use super::listing::equals;
use super::object::{EXTERNAL_ID, MODIFIED, PROJECT, time};
use super::refusal::{Problem, Refusal};
use crate::emulator::ids;
use crate::error::Result as Stored;
use crate::filter::{Expr, Filter};
use crate::model::{File, FileId};
use crate::store::{Blob, Listing, Transaction};

/// Bytes of a file at most: 512 MB on the whole platform.
pub(super) const MAX_SIZE: u64 = 512_000_000;
/// Characters of a name at most.
const MAX_NAME: usize = 3000;
/// Which files expire, after how many hours, unless the quirk `retention` says otherwise. Inferred: the service keeps
/// the source files of parse jobs for 48 hours and publishes nothing about the rest.
const RETENTION: &str = "parse:48,ephemeral:48";

/// The record of a new file in the caller's project, with an id of its own.
pub(super) fn record(service: &Service, caller: &Caller, name: &str, external_id: Option<&str>) -> File {
    let now = service.site.clock.now();
    let id = ids::uuid();
    let id = if service.site.quirk("dfl-ids") { format!("dfl-{id}") } else { id };
    let mut file = File {
        id: FileId(id),
        name: name.to_owned(),
        created_at: Some(now),
        updated_at: Some(now),
        ..File::default()
    };
    let mut say = |key: &str, text: String| file.extra.insert(key.to_owned(), Value::String(text));
    say(PROJECT, caller.project.clone());
    say(MODIFIED, time(now));
    if let Some(external_id) = external_id {
        say(EXTERNAL_ID, external_id.to_owned());
    }
    file
}

/// When a file of this purpose or storage type expires.
pub(super) fn expiry(service: &Service, word: &str) -> Option<Timestamp> {
    let rules = service.site.quirk_value("retention").unwrap_or(RETENTION);
    let hours = rules.split(',').find_map(|rule| {
        let (name, hours) = rule.split_once(':')?;
        name.trim().eq_ignore_ascii_case(word).then(|| hours.trim().parse().ok())?
    });
    service.site.clock.now().checked_add(SignedDuration::try_from_hours(hours?)?).ok()
}

/// Keeps a new file.
pub(super) async fn keep(service: &Service, file: File, blob: Blob) -> Result<File, Refusal> {
    unless_taken(service, file, |change, file| change.put(file, blob)).await
}

/// Calls `keep` with a new file unless another file of the project has its `external_file_id` and the quirk forbids that.
pub(super) async fn unless_taken<T: Send + 'static>(
    service: &Service,
    file: File,
    keep: impl FnOnce(&mut Transaction, File) -> Stored<T> + Send + 'static,
) -> Result<T, Refusal> {
    let space = service.site.platform;
    let text = |key: &str| file.extra.get(key).and_then(Value::as_str);
    let wanted = text(EXTERNAL_ID).filter(|_| service.site.quirk("unique-external-id")).map(str::to_owned);
    let same = text(PROJECT).zip(wanted.as_deref()).map(|(project, external_id)| {
        let same = vec![equals("extra.project_id", project), equals("extra.external_file_id", external_id)];
        let filter = Some(Filter { expr: Expr::all(same) });
        Listing { filter, limit: 1, ..Listing::default() }
    });
    let kept = service.site.blocking(move |store| {
        store.transaction(space, |change| match same {
            Some(same) if !change.list(&same)?.is_empty() => Ok(None),
            _ => keep(change, file).map(Some),
        })
    });
    kept.await?.ok_or_else(|| {
        let external_id = wanted.unwrap_or_default();
        let detail = format!("A file with external_file_id '{external_id}' already exists");
        Refusal::Detail(StatusCode::CONFLICT, detail)
    })
}

/// Checks a name: 1 to 3000 characters.
pub(super) fn check_name(loc: &[&str], name: &str) -> Result<(), Problem> {
    match name.chars().count() {
        0 => Err(Problem::new(loc, "string_too_short", "String should have at least 1 character")),
        1..=MAX_NAME => Ok(()),
        _ => Err(Problem::new(
            loc,
            "string_too_long",
            format!("String should have at most {MAX_NAME} characters"),
        )),
    }
}
