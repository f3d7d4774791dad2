//! Decodes Activeloop's responses.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::model::{File, NewFile};
use crate::providers::lenient::{self, Fields};
use crate::providers::openai::Format;

pub(super) const FORMAT: Format = Format {
    platform: "activeloop",
    id: &["id"],
    name: &["filename"],
    size: &["bytes"],
    status: &["status"],
    lifetime: None,
    default_purpose: Some("user_data"),
};

/// A file object: OpenAI's object with metadata.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct WireFile(pub(super) Fields);

impl WireFile {
    pub(super) fn into_file(self, profile: &str) -> Result<File> {
        let mut fields = self.0;
        let file = FORMAT.file(&mut fields, profile)?;
        // Uploads send this value as JSON text, and responses may also return it as JSON text.
        let metadata = |value: &Json| match value {
            Json::String(text) => serde_json::from_str(text).ok(),
            other => lenient::as_object(other),
        };
        Ok(File {
            metadata: fields.take(&["metadata"], metadata).unwrap_or_default(),
            extra: fields.rest(),
            ..file
        })
    }
}

/// The files in the response to an upload: an object, an array or a list.
pub(super) fn files_of(reply: Json, profile: &str) -> Result<Vec<File>> {
    let items = match reply {
        Json::Array(items) => items,
        Json::Object(mut object) => match object.remove("data") {
            Some(Json::Array(items)) => items,
            _ if object.contains_key("id") => vec![Json::Object(object)],
            _ => return Err(Error::platform("activeloop did not return a list of files")),
        },
        _ => return Err(Error::platform("activeloop did not return a list of files")),
    };
    let read = |item| {
        let file: WireFile = serde_json::from_value(item)
            .map_err(|error| Error::platform(format!("activeloop returned an invalid file: {error}")))?;
        file.into_file(profile)
    };
    items.into_iter().map(read).collect()
}

/// Puts the files in a response into the order in which they were sent, matching them by name.
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
    fn properties_no_field_of_a_reply_is_lost() {
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
