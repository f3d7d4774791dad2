//! Decodes Together's responses.

use serde_json::Value;

use crate::error::Result;
use crate::http::{Problem, Reply};
use crate::model::{File, FileId, Object};
use crate::providers::lenient::{Fields, as_id};
use crate::providers::openai::{Format, error_message};

pub(super) const FORMAT: Format = Format {
    platform: "together",
    id: &["id"],
    name: &["filename"],
    size: &["bytes"],
    status: &["processing_status"],
    lifetime: None,
    default_purpose: Some(super::DEFAULT_PURPOSE),
};

/// The status of a file whose content has arrived and whose check has not begun.
pub(super) const PENDING: &str = "PENDING";

/// Reads a file object. `FileType`, `Processed`, `LineCount` and `validation_report` stay in `extra`.
pub(super) fn into_file(mut fields: Fields, profile: &str) -> Result<File> {
    let file = FORMAT.file(&mut fields, profile)?;
    Ok(File { extra: fields.rest(), ..file })
}

/// Reads the id of the file that has the content of a rejected upload.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    if reply.status != 409 {
        return None;
    }
    let body: Object = serde_json::from_slice(&reply.body).ok()?;
    let existing = body.get("file_id").and_then(as_id).map(FileId)?;
    let message = error_message(&body).unwrap_or_else(|| "the content already exists".to_owned());
    Some(Problem { message, existing: Some(existing), ..Problem::default() })
}

/// The value to send as `file_type`, because the platform does not derive one from the name.
pub(super) fn file_type(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    ["jsonl", "parquet", "csv"].into_iter().find(|known| extension.eq_ignore_ascii_case(known))
}

/// The file in a response: the response itself, or its member `file`.
pub(super) fn completed(mut fields: Fields, profile: &str) -> Result<File> {
    match fields.take(&["file"], |value| Value::as_object(value).cloned()) {
        Some(file) => into_file(file.into(), profile),
        None => into_file(fields, profile),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/together/file.json"),
            include_str!("../../../tests/it/wire/together/list.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("filename", "name"),
            ("bytes", "size"),
            ("created_at", "created_at"),
            ("purpose", "purpose"),
            ("processing_status", "status"),
        ];
        nothing_is_lost("together", &replies, translated, |reply| {
            into_file(serde_json::from_slice(reply).ok()?, "work").ok()
        });
    }

    #[test]
    fn a_conflict_names_the_existing_file() {
        let read = |status, body: &str| {
            let problem = read_problem(&Reply { status, body: body.to_owned().into(), ..Reply::default() })?;
            Some((problem.message, problem.existing.unwrap().0))
        };
        let known = |message: &str| Some((message.to_owned(), "file-1".to_owned()));
        let body = r#"{"error":{"message":"it exists","type":"x"},"file_id":"file-1"}"#;
        assert_eq!(read(409, body), known("it exists"));
        assert_eq!(read(409, r#"{"file_id":"file-1"}"#), known("the content already exists"));
        assert_eq!(read(400, body), None);
        for other in ["{}", "", r#"{"error":{"message":"busy"}}"#, r#"{"file_id":""}"#, r#"{"file_id":{}}"#] {
            assert_eq!(read(409, other), None, "{other}");
        }
    }

    #[test]
    fn a_type_is_that_of_the_name() {
        for (name, expected) in [
            ("a.jsonl", Some("jsonl")),
            ("a.b.CSV", Some("csv")),
            ("a.parquet", Some("parquet")),
            ("a.json", None),
            ("jsonl", None),
            ("a.", None),
        ] {
            assert_eq!(file_type(name), expected, "{name}");
        }
    }
}
