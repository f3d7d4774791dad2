//! Which dialect a request is answered in, and how a file looks in each.

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::record::{COMPLETE, Record as _};
use crate::emulator::{Params, Site};
use crate::model::File;

/// A wire dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `id`, `bytes`, Unix seconds.
    OpenAi,
    /// `file_id`, `size_bytes` as text, RFC 3339.
    Gateway,
}

impl Dialect {
    /// The dialect of a request: the one that was chosen, else by what only the gateway's requests say.
    pub(super) fn of(site: &Site, params: &Params) -> Self {
        let says = |name: &str, has: fn(&str) -> bool| params.get(name).is_some_and(has);
        let by_request = || {
            ["next_token", "team_id", "prefix"].iter().any(|name| params.has(name))
                || says("order", |word| word.to_ascii_uppercase().ends_with("SCENDING"))
                || says("sort_by", |word| word.to_ascii_uppercase().starts_with("FILES_SORT_BY_"))
                || says("format", |word| word.to_ascii_uppercase().starts_with("DOWNLOAD_FORMAT_"))
        };
        match site.dialect.as_str() {
            "gateway" => Self::Gateway,
            "auto" if by_request() => Self::Gateway,
            _ => Self::OpenAi,
        }
    }

    /// A file's object.
    pub(super) fn show(self, site: &Site, request: &HeaderMap, file: &File) -> Value {
        match self {
            Self::OpenAi => openai(file, &site.root(request), site.clock.now()),
            Self::Gateway => gateway(file),
        }
    }
}

fn openai(file: &File, root: &str, now: Timestamp) -> Value {
    let mut object = json!({
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at.map(Timestamp::as_second),
        "expires_at": file.expires_at.map(Timestamp::as_second),
        "filename": file.name,
        "purpose": file.purpose.as_deref().unwrap_or_default(),
    });
    if let Some((url, expires_at)) = file.public_url(root, now) {
        object["public_url"] = url.into();
        if let Some(expires_at) = expires_at {
            object["public_url_expires_at"] = expires_at.into();
        }
    }
    object
}

/// The first seven fields are always there, the others where they are set.
fn gateway(file: &File) -> Value {
    let is_complete = file.status.as_deref() == Some(COMPLETE);
    // What has not arrived has no hash yet.
    let hash = file.checksums.blake3.as_deref().filter(|_| is_complete).unwrap_or_default();
    let mut object = Map::from_iter([
        ("file_id".to_owned(), json!(file.id)),
        ("name".to_owned(), json!(file.name)),
        ("size_bytes".to_owned(), json!(file.size.unwrap_or_default().to_string())),
        ("content_type".to_owned(), json!(file.content_type)),
        ("created_at".to_owned(), json!(file.created_at.map(in_microseconds))),
        ("expires_at".to_owned(), json!(file.expires_at.map(in_microseconds))),
        ("hash".to_owned(), json!(hash)),
    ]);
    let optional = [
        ("upload_status", file.status.as_deref()),
        ("upload_error_message", file.noted("upload_error_message")),
        ("processing_status", file.noted("processing_status")),
        ("file_path", file.path.as_deref()),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    }
    object.into()
}

/// `2025-09-16T19:06:53.472088Z`.
fn in_microseconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
