//! A file as either generation of the API shows it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::presigned::Presigned;
use crate::model::File;

/// The keys of [`File::extra`] that hold what our record has no place for. All but the first may be missing.
pub(super) const PROJECT: &str = "project_id";
pub(super) const EXTERNAL_ID: &str = "external_file_id";
pub(super) const MODIFIED: &str = "last_modified_at";
pub(super) const DATA_SOURCE: &str = "data_source_id";
pub(super) const RESOURCE: &str = "resource_info";
pub(super) const PERMISSION: &str = "permission_info";

/// The short object of the beta files. Every key is there. `full` adds what the legacy object has beyond it.
pub(super) fn short(file: &File, download_url: Option<&Presigned>, full: bool) -> Value {
    let mut object = json!({
        "id": file.id,
        "name": file.name,
        "project_id": file.extra.get(PROJECT),
        "download_url": download_url.map(Presigned::to_json),
        "expires_at": file.expires_at.map(time),
        "external_file_id": file.extra.get(EXTERNAL_ID),
        "file_type": file_type(&file.name),
        "last_modified_at": file.extra.get(MODIFIED),
        "purpose": file.purpose,
    });
    if full {
        object["created_at"] = json!(file.created_at.map(time));
        object["data_source_id"] = json!(file.extra.get(DATA_SOURCE));
        object["file_size"] = json!(file.size);
        object["permission_info"] = json!(file.extra.get(PERMISSION));
        object["resource_info"] = json!(file.extra.get(RESOURCE));
        object["updated_at"] = json!(file.updated_at.map(time));
    }
    object
}

/// The long object of the legacy files. Every key is there.
pub(super) fn long(file: &File) -> Value {
    // In the vendor's `openapi.json` this text is always there; inferred: a file that was given none has its name there.
    let external_id = file.extra.get(EXTERNAL_ID).cloned().unwrap_or_else(|| json!(file.name));
    json!({
        "id": file.id,
        "created_at": file.created_at.map(time),
        "updated_at": file.updated_at.map(time),
        "name": file.name,
        "external_file_id": external_id,
        "file_size": file.size,
        "file_type": file_type(&file.name),
        "project_id": file.extra.get(PROJECT),
        "last_modified_at": file.extra.get(MODIFIED),
        "resource_info": file.extra.get(RESOURCE),
        "permission_info": file.extra.get(PERMISSION),
        "data_source_id": file.extra.get(DATA_SOURCE),
        "expires_at": file.expires_at.map(time),
        "purpose": file.purpose,
    })
}

/// A time as the service's framework writes it: six digits of a second or none.
pub(super) fn time(time: Timestamp) -> String {
    let form =
        if time.as_microsecond() % 1_000_000 == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
    time.strftime(form).to_string()
}

/// The name's extension, which the service calls the type.
fn file_type(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_one = !stem.is_empty() && !extension.is_empty() && !extension.contains(['/', '\\']);
    is_one.then(|| extension.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_extension() {
        for (name, expected) in [
            ("a.PDF", Some("pdf")),
            ("a.tar.gz", Some("gz")),
            (".profile", None),
            ("a.", None),
            ("a.b/c", None),
            ("plain", None),
        ] {
            assert_eq!(file_type(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn times_have_six_digits_or_none() {
        let at = |nanoseconds| time(Timestamp::from_nanosecond(nanoseconds).unwrap());
        assert_eq!(at(1_577_470_279_117_000_000), "2019-12-27T18:11:19.117000Z");
        assert_eq!(at(1_577_470_279_000_000_000), "2019-12-27T18:11:19Z");
    }
}
