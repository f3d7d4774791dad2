//! Decodes the objects of all three dialects.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{MAGNETAR, PULSAR, SEED};
use super::{Page, SPEC};
use crate::error::{Error, Result};
use crate::http::Reply;
use crate::model::{Checksums, File, FileId, Link};
use crate::providers::Capabilities;
use crate::providers::lenient::{self, Known};
use crate::providers::listing::next_cursor;

/// A wire dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Seed,
    Pulsar,
    Magnetar,
}

impl Wire {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "seed" => Self::Seed,
            "pulsar" => Self::Pulsar,
            "magnetar" => Self::Magnetar,
            _ => return None,
        })
    }

    /// The dialect of a response. An unknown version must be later than the known ones, so it is treated as the
    /// latest of them.
    pub(super) fn of(reply: &Reply) -> Self {
        match reply.header("metorial-version") {
            None => Self::Seed,
            Some(version) if version.contains("2025") || version.contains("pulsar") => Self::Pulsar,
            Some(_) => Self::Magnetar,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Pulsar => "pulsar",
            Self::Magnetar => "magnetar",
        }
    }

    /// The value for the request header `Metorial-Version`.
    pub(super) fn version(self) -> Option<&'static str> {
        match self {
            Self::Seed => None,
            Self::Pulsar => Some("2025-01-01-pulsar"),
            Self::Magnetar => Some("2026-01-01-magnetar"),
        }
    }

    /// The fields that a listing returns.
    pub(super) const fn stated(self) -> &'static [&'static str] {
        match self {
            Self::Seed => &["size", "content_type", "purpose", "created_at", "downloadable"],
            Self::Pulsar => const { &stated_with("extra.purpose") },
            Self::Magnetar => const { &stated_with("extra.created_by") },
        }
    }

    pub(super) fn can(self) -> &'static Capabilities {
        match self {
            Self::Seed => &SEED,
            Self::Pulsar => &PULSAR,
            Self::Magnetar => &MAGNETAR,
        }
    }
}

/// The fields that the later dialects return, plus an additional one.
const fn stated_with(own: &'static str) -> [&'static str; 10] {
    [
        "size",
        "content_type",
        "purpose",
        "status",
        "created_at",
        "updated_at",
        "metadata.title",
        "downloadable",
        "extra.object",
        own,
    ]
}

/// The status of a deleted file. The platform still returns such files.
pub(super) const DELETED: &str = "deleted";

/// A file in any dialect: `name`, `size` and `mime_type` in seed; `file_name`, `file_size` and `file_type` in later
/// dialects.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct WireFile(Known);

impl WireFile {
    /// Translates the file.
    pub(super) fn into_file(self, profile: &str) -> File {
        let Known { id, mut fields } = self.0;
        // Text, or `{name, identifier}` in pulsar and in the response to every upload. The object is kept because it
        // contains the name.
        let purpose = match fields.get("purpose") {
            Some(Value::Object(object)) => {
                object.get("identifier").and_then(Value::as_str).map(str::to_owned)
            }
            _ => fields.take(&["purpose"], |value| value.as_str().map(str::to_owned)),
        };
        let title = fields.take(&["title"], lenient::as_text);
        let metadata = title.map(|title| ("title".to_owned(), Value::String(title))).into_iter().collect();
        let status = fields.take(&["status"], lenient::as_text);
        File {
            provider: SPEC.name.to_owned(),
            profile: profile.to_owned(),
            id: FileId(id),
            name: fields.take(&["file_name", "name"], lenient::as_text).unwrap_or_default(),
            size: fields.take(&["file_size", "size"], lenient::as_count),
            content_type: fields.take(&["file_type", "mime_type"], lenient::as_text),
            purpose,
            path: None,
            downloadable: Some(status.as_deref() != Some(DELETED)),
            status,
            created_at: fields.take(&["created_at"], lenient::as_time),
            updated_at: fields.take(&["updated_at"], lenient::as_time),
            expires_at: None,
            checksums: Checksums::default(),
            metadata,
            url: None,
            extra: fields.rest(),
        }
    }
}

/// A link. Its format is the same in all dialects.
#[derive(Deserialize)]
pub(super) struct WireLink {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(super) file_id: Option<String>,
    url: String,
    #[serde(default, deserialize_with = "lenient::time")]
    expires_at: Option<Timestamp>,
}

impl WireLink {
    /// The id of the link, otherwise its URL.
    pub(super) fn key(&self) -> &str {
        self.id.as_deref().unwrap_or(&self.url)
    }

    /// Translates the link. `requested` is the expiry given in the request, which some responses omit.
    pub(super) fn into_link(self, requested: Option<Timestamp>) -> Link {
        Link { id: self.id, url: self.url, expires_at: self.expires_at.or(requested) }
    }
}

/// The response to `get_upload_url`.
#[derive(Deserialize)]
pub(super) struct Pending {
    #[serde(deserialize_with = "lenient::id")]
    pub(super) id: String,
    pub(super) upload: Target,
}

/// The destination of a presigned upload.
#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) url: String,
}

/// A page of files or links.
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    has_more: bool,
    /// Whether the server reports that this is the first page. If a page after an item was requested, this means that
    /// the item is unknown.
    is_first: bool,
}

impl<T: DeserializeOwned> Listing<T> {
    /// Reads `{items, pagination}`, `{data, pagination}` or a bare array, because the format of a list in seed is not
    /// documented.
    pub(super) fn read(reply: &Reply, what: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Envelope<T> {
            items: Option<Vec<T>>,
            data: Option<Vec<T>>,
            pagination: Option<Pagination>,
        }
        #[derive(Deserialize)]
        struct Pagination {
            #[serde(default, deserialize_with = "lenient::flag")]
            has_more_after: bool,
            #[serde(default)]
            has_more_before: Option<bool>,
        }
        if reply.body.trim_ascii_start().starts_with(b"[") {
            return Ok(Self { items: reply.json(what)?, has_more: false, is_first: false });
        }
        let envelope: Envelope<T> = reply.json(what)?;
        let items = envelope.items.or(envelope.data).ok_or_else(|| {
            Error::platform(format!("metorial returned a {what} without `items`")).with_status(reply.status)
        })?;
        let (has_more, is_first) = envelope.pagination.map_or((false, false), |pagination| {
            (pagination.has_more_after, pagination.has_more_before == Some(false))
        });
        Ok(Self { items, has_more, is_first })
    }

    /// The cursor for the next page: the id of the last item.
    pub(super) fn next(&self, id: impl Fn(&T) -> Option<&str>) -> Result<Option<String>> {
        next_cursor(SPEC.name, self.has_more, self.items.last().and_then(id).map(str::to_owned))
    }
}

/// Number of ids in a cursor, so that the next page can be found even if some of the files are deleted in the
/// meantime.
const ANCHORS: usize = 5;

/// The page of files after the file `after`. Returns `None` if the server does not know that file, in which case it
/// returns an empty first page. The cursor consists of the ids of the last files in reverse order.
pub(super) fn page(reply: &Reply, profile: &str, after: Option<&str>) -> Result<Option<Page>> {
    let listing = Listing::<WireFile>::read(reply, "list of files")?;
    if after.is_some() && listing.items.is_empty() && listing.is_first {
        return Ok(None);
    }
    let next = listing.next(|file| Some(&file.0.id))?.map(|_| {
        let last: Vec<&str> = listing.items.iter().rev().take(ANCHORS).map(|file| &*file.0.id).collect();
        last.join(",")
    });
    let files = listing.items.into_iter().map(|file| file.into_file(profile)).collect();
    Ok(Some(Page { files, next }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/metorial/file-seed.json"),
            include_str!("../../../tests/it/wire/metorial/file-pulsar.json"),
            include_str!("../../../tests/it/wire/metorial/file-magnetar.json"),
            include_str!("../../../tests/it/wire/metorial/file-upload.json"),
            include_str!("../../../tests/it/wire/metorial/file-deleted.json"),
            include_str!("../../../tests/it/wire/metorial/list-pulsar.json"),
            include_str!("../../../tests/it/wire/metorial/list-magnetar.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("file_name", "name"),
            ("name", "name"),
            ("file_size", "size"),
            ("size", "size"),
            ("file_type", "content_type"),
            ("mime_type", "content_type"),
            ("purpose", "purpose"),
            ("status", "status"),
            ("title", "metadata.title"),
            ("created_at", "created_at"),
            ("updated_at", "updated_at"),
        ];
        nothing_is_lost("metorial", &replies, translated, |reply| {
            Some(serde_json::from_slice::<WireFile>(reply).ok()?.into_file("work"))
        });
    }
}
