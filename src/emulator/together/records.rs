//! Notes in the store: registered files, and the content of files.

use serde_json::Value;

use crate::emulator::Site;
use crate::error::{Kind, Result};
use crate::model::{File, FileId, Object};
use crate::store::Transaction;

/// Maximum size of a file in bytes: 50.1 GiB.
pub(super) const MAX_SIZE: u64 = 53_794_465_382;
/// The kind of notes about registered files, keyed by id.
pub(super) const REGISTERED: &str = "registered";
/// The kind of notes about the content of files, keyed by checksum and purpose.
const CONTENT: &str = "content";

/// The key of the note about the content of a file.
pub(super) fn content_key(site: &Site, sha256: &str, file: &File) -> String {
    let purpose = file.purpose.as_deref().filter(|_| !site.quirk("any-purpose"));
    format!("{sha256} {}", purpose.unwrap_or_default())
}

/// The file named in the note about content with this key, if it still exists.
pub(super) fn holder(change: &Transaction, key: &str) -> Result<Option<FileId>> {
    let note = change.noted(CONTENT, key)?.unwrap_or_default();
    let Some(id) = note.get("id").and_then(Value::as_str) else { return Ok(None) };
    match change.stat(&id.into()) {
        Ok(file) => Ok(Some(file.id)),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Records the content of a stored file, unless another file with this content is recorded.
pub(super) fn note_content(site: &Site, change: &mut Transaction, file: &File) -> Result<()> {
    let key = content_key(site, file.checksums.sha256.as_deref().unwrap_or_default(), file);
    if holder(change, &key)?.is_some() {
        return Ok(());
    }
    let note: Object = [("id".to_owned(), file.id.as_str().into())].into_iter().collect();
    change.note(CONTENT, &key, Some(&file.id), &note)
}
