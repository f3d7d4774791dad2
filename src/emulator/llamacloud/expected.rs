//! Files whose bytes are to come to the object store: presigned uploads that have begun.

use serde_json::{Value, json};

use super::create;
use super::gate::Service;
use super::refusal::Refusal;
use super::trouble::Trouble;
use crate::error::{Error, Kind, Result};
use crate::model::{File, FileId, Object};
use crate::store::{Blob, Transaction};

/// The kind of the notes that hold their records.
const EXPECTED: &str = "expected";
/// After so many seconds no presigned URL is good any more.
const LONGEST_LIFE: i64 = 604_800;

/// Remembers a file whose bytes are to come.
pub(super) async fn remember(service: &Service, file: File) -> Result<(), Refusal> {
    let keep = |change: &mut Transaction, file: File| {
        let note = Object::from_iter([("file".to_owned(), json!(file))]);
        change.note(EXPECTED, file.id.as_str(), None, &note)
    };
    create::unless_taken(service, file, keep).await
}

/// Keeps the bytes of a file that is expected, or puts them in the place of those it has: as long as a URL is good it can
/// be used again.
pub(super) async fn accept(
    service: &Service,
    id: FileId,
    content_type: Option<String>,
    blob: Blob,
) -> Result<File, Trouble> {
    let space = service.site.platform;
    let now = service.site.clock.now();
    let stored = service.site.blocking(move |store| {
        store.transaction(space, |change| {
            match change.stat(&id) {
                Err(error) if error.kind() == Kind::NotFound => {}
                present => {
                    present?;
                    return change.replace(&id, blob, |file| {
                        file.content_type = content_type.or(file.content_type.take());
                        file.updated_at = Some(now);
                        Ok(())
                    });
                }
            }
            let file = expected(change, &id)?;
            change.forget(EXPECTED, id.as_str())?;
            change.put(File { content_type, updated_at: Some(now), ..file }, blob)
        })
    });
    Ok(stored.await?)
}

fn expected(change: &Transaction, id: &FileId) -> Result<File> {
    let note = change.noted(EXPECTED, id.as_str())?;
    let record = note.and_then(|mut note| serde_json::from_value(note.remove("file")?).ok());
    record.ok_or_else(|| Error::not_found(format!("{id}: no such file")))
}

/// Forgets the files whose bytes can no longer come.
pub(super) async fn forget_missed(service: &Service) -> Result<(), Refusal> {
    let space = service.site.platform;
    let now = service.site.clock.now().as_second();
    let forgotten = service.site.blocking(move |store| {
        store.transaction(space, |change| {
            for (key, note) in change.notes(EXPECTED, None)? {
                let begun = note.get("file").and_then(|file| file.get("created_at")).and_then(Value::as_str);
                let begun: Option<jiff::Timestamp> = begun.and_then(|text| text.parse().ok());
                if begun.is_none_or(|begun| begun.as_second() + LONGEST_LIFE < now) {
                    change.forget(EXPECTED, &key)?;
                }
            }
            Ok(())
        })
    });
    Ok(forgotten.await?)
}
