//! What Activeloop answers, and the [`File`]s that it means.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::model::{File, FileId, NewFile};
use crate::providers::lenient::{self, Fields, word};

/// What the platform answers about a file.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct WireFile(Fields);

impl WireFile {
    pub(super) fn into_file(self, profile: &str) -> Result<File> {
        let mut fields = self.0;
        let id = fields.take_id(&["id"]);
        let id = id.ok_or_else(|| Error::platform("activeloop sent a file without an id"))?;
        // It went up as JSON text and may come back so.
        let metadata = |value: &Json| match value {
            Json::String(text) => serde_json::from_str(text).ok(),
            other => lenient::as_object(other),
        };
        Ok(File {
            provider: "activeloop".to_owned(),
            profile: profile.to_owned(),
            id: FileId(id),
            name: fields.take(&["filename"], lenient::as_text).unwrap_or_default(),
            size: fields.take(&["bytes"], lenient::as_count),
            purpose: fields.take(&["purpose"], lenient::as_word),
            status: fields.take(&["status"], lenient::as_word),
            created_at: fields.take(&["created_at"], lenient::as_time),
            expires_at: fields.take(&["expires_at"], lenient::as_time),
            metadata: fields.take(&["metadata"], metadata).unwrap_or_default(),
            extra: fields.rest(),
            ..File::default()
        })
    }
}

/// A page of a listing. Only `data` is certain.
#[derive(Debug, Deserialize)]
pub(super) struct WireList {
    /// Null is an empty list; none at all is no list.
    #[serde(deserialize_with = "Option::deserialize")]
    pub(super) data: Option<Vec<WireFile>>,
    #[serde(default, deserialize_with = "word")]
    pub(super) has_more: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(super) last_id: Option<String>,
}

/// The files of an upload's reply: one object, an array, or a list around one.
pub(super) fn files_of(reply: Json, profile: &str) -> Result<Vec<File>> {
    let items = match reply {
        Json::Array(items) => items,
        Json::Object(mut object) => match object.remove("data") {
            Some(Json::Array(items)) => items,
            _ if object.contains_key("id") => vec![Json::Object(object)],
            _ => return Err(Error::platform("activeloop answered without a list of files")),
        },
        _ => return Err(Error::platform("activeloop answered without a list of files")),
    };
    let read = |item| {
        let file: WireFile = serde_json::from_value(item)
            .map_err(|error| Error::platform(format!("activeloop's file is not valid: {error}")))?;
        file.into_file(profile)
    };
    items.into_iter().map(read).collect()
}

/// The answered files in the order in which they were sent, as far as names tell.
pub(super) fn in_order_of(sent: &[NewFile], mut answered: Vec<File>) -> Vec<File> {
    for (index, file) in sent.iter().enumerate() {
        if let Some(found) = answered[index..].iter().position(|other| other.name == file.name) {
            answered.swap(index, index + found);
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    #[test]
    fn properties_nothing_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/activeloop/file.json"),
            include_str!("../../../tests/it/wire/activeloop/list.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("filename", "name"),
            ("bytes", "size"),
            ("created_at", "created_at"),
            ("expires_at", "expires_at"),
            ("purpose", "purpose"),
            ("status", "status"),
            ("metadata", "metadata"),
        ];
        nothing_is_lost("activeloop", &replies, translated, |reply| {
            serde_json::from_slice::<WireFile>(reply).ok()?.into_file("work").ok()
        });
    }
}
