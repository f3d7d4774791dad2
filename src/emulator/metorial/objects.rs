//! The objects as each dialect shows them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::dialect::Dialect;
use crate::model::{File, Object};

/// Where a file keeps its title.
pub(super) const TITLE: &str = "title";

/// A file.
pub(super) fn file(dialect: Dialect, file: &File) -> Value {
    match dialect {
        Dialect::Seed => json!({
            "id": file.id,
            "purpose": file.purpose,
            "name": file.name,
            "size": file.size,
            "mime_type": file.content_type,
            "created_at": file.created_at.map(time),
        }),
        Dialect::Pulsar => uploaded(dialect, file),
        Dialect::Magnetar => json!({
            "object": "file",
            "id": file.id,
            "status": file.status,
            "file_name": file.name,
            "file_size": file.size,
            "file_type": file.content_type,
            "title": file.extra.get(TITLE),
            "purpose": file.purpose,
            "created_by": null,
            "created_at": file.created_at.map(time),
            "updated_at": file.updated_at.map(time),
        }),
    }
}

/// A file in the answer to its upload: there, magnetar shows it as pulsar does.
pub(super) fn uploaded(dialect: Dialect, file: &File) -> Value {
    if dialect == Dialect::Seed {
        return self::file(dialect, file);
    }
    json!({
        "object": "file",
        "id": file.id,
        "status": file.status,
        "file_name": file.name,
        "file_size": file.size,
        "file_type": file.content_type,
        "title": file.extra.get(TITLE),
        "purpose": purpose(file.purpose.as_deref().unwrap_or_default()),
        "created_at": file.created_at.map(time),
        "updated_at": file.updated_at.map(time),
    })
}

/// A purpose with its name: `user_image` is called "User image" here; nobody knows how the service calls it.
pub(super) fn purpose(identifier: &str) -> Value {
    let mut name = identifier.replace('_', " ");
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    json!({ "name": name, "identifier": identifier })
}

/// A page of a list.
pub(super) fn list(dialect: Dialect, items: Vec<Value>, has_more: (bool, bool)) -> Value {
    let (before, after) = has_more;
    let mut list = Object::new();
    list.insert(dialect.kind_key().to_owned(), "list".into());
    list.insert("items".to_owned(), items.into());
    list.insert("pagination".to_owned(), json!({ "has_more_after": after, "has_more_before": before }));
    Value::Object(list)
}

/// A time as the API writes it: UTC, milliseconds.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
