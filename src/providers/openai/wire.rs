//! The wire format of OpenAI's Files API, which other platforms have adopted with small differences.
//!
//! A constant [`Format`] describes how a platform differs. The common query parameters are `limit`, `order` and
//! `after`; a file's content is at `files/ID/content`.

use serde::Deserialize;

use super::super::lenient::{Fields, as_count, as_text, as_time, as_word, word};
use super::super::listing::next_cursor;
use super::super::{Page, Query};
use crate::error::{Error, Message, Result};
use crate::http::{Part, Reply};
use crate::model::{File, FileId, NewFile, Object};

/// The names of fields in a platform's variant of the format, in order of preference.
pub(in crate::providers) struct Format {
    /// The platform's name, as used in messages.
    pub(in crate::providers) platform: &'static str,
    pub(in crate::providers) id: &'static [&'static str],
    pub(in crate::providers) name: &'static [&'static str],
    pub(in crate::providers) size: &'static [&'static str],
    /// Empty if the status depends on more than one field.
    pub(in crate::providers) status: &'static [&'static str],
    /// The form field for a lifetime in seconds.
    pub(in crate::providers) lifetime: Option<&'static str>,
    /// The purpose sent if the user specifies none.
    pub(in crate::providers) default_purpose: Option<&'static str>,
}

impl Format {
    /// Reads a file object. The caller then takes the platform's own fields and moves the remaining ones to `extra`.
    pub(in crate::providers) fn file(&self, fields: &mut Fields, profile: &str) -> Result<File> {
        let id = fields.take_id(self.id);
        let id =
            id.ok_or_else(|| Error::platform(format!("{} returned a file without an id", self.platform)))?;
        Ok(File {
            provider: self.platform.to_owned(),
            profile: profile.to_owned(),
            id: FileId(id),
            name: fields.take(self.name, as_text).unwrap_or_default(),
            size: fields.take(self.size, as_count),
            purpose: fields.take(&["purpose"], as_word),
            status: fields.take(self.status, as_word),
            created_at: fields.take(&["created_at", "createdAt"], as_time),
            expires_at: fields.take(&["expires_at", "expire_at"], as_time),
            ..File::default()
        })
    }

    /// The text fields of an upload. They precede the file because some servers forward it as a stream.
    pub(in crate::providers) fn form_fields(&self, file: &NewFile) -> Vec<Part> {
        let lifetime = self.lifetime.zip(file.expires);
        let lifetime = lifetime.map(|(field, expires)| Part::text(field, expires.as_secs().to_string()));
        let purpose = file.purpose.as_deref().or(self.default_purpose);
        lifetime.into_iter().chain(purpose.map(|purpose| Part::text("purpose", purpose))).collect()
    }

    /// Checks the response to a deletion. Some servers send no body; others report whether the file was deleted.
    pub(in crate::providers) fn check_deleted(&self, id: &FileId, reply: &Reply) -> Result<()> {
        reply.acknowledges("deletion")?;
        let answer: Deleted = serde_json::from_slice(&reply.body).unwrap_or_default();
        if answer.deleted == Some(false) {
            let message = format!(": {} reports that it did not delete the file", self.platform);
            return Err(Error::platform(Message::file(id, &message)));
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
struct Deleted {
    #[serde(default)]
    deleted: Option<bool>,
}

/// A page of a listing. Only `data` is always present.
#[derive(Deserialize)]
pub(in crate::providers) struct List {
    /// Null means an empty list; an object without this field is not a list.
    #[serde(deserialize_with = "Option::deserialize")]
    data: Option<Vec<Fields>>,
    #[serde(default, deserialize_with = "word")]
    has_more: Option<String>,
    #[serde(default, deserialize_with = "word")]
    last_id: Option<String>,
    /// The token for the next page, on a platform that does not page by id.
    #[serde(default, deserialize_with = "word")]
    pub(in crate::providers) cursor: Option<String>,
    /// The result code and message in the envelope that some platforms use.
    #[serde(default, deserialize_with = "word")]
    pub(in crate::providers) code: Option<String>,
    #[serde(default, deserialize_with = "word")]
    pub(in crate::providers) message: Option<String>,
}

impl List {
    /// Converts the list to a page. If `has_more` is missing, another page is assumed to follow a full page of `size`
    /// files.
    pub(in crate::providers) fn into_page(
        self,
        platform: &str,
        size: u32,
        file: impl Fn(Fields) -> Result<File>,
    ) -> Result<Page> {
        let files: Vec<File> = self.data.into_iter().flatten().map(file).collect::<Result<_>>()?;
        let is_full = files.len() as u64 >= u64::from(size);
        let more = self.has_more.map_or(is_full, |stated| stated == "true");
        let next = self.last_id.or_else(|| files.last().map(|file| file.id.0.clone()));
        Ok(Page { next: next_cursor(platform, more, next)?, files })
    }
}

/// The value of `order` for a listing that the platform sorts by age.
pub(in crate::providers) fn order(query: &Query) -> Option<&'static str> {
    let sort = query.sort.as_ref().filter(|sort| sort.field == "created_at")?;
    Some(direction(sort.descending))
}

pub(in crate::providers) const fn direction(descending: bool) -> &'static str {
    if descending { "desc" } else { "asc" }
}

/// The message in an error body: `{error: "text"}`, `{error: {message}}`, `{message}` or `{code}`.
pub(in crate::providers) fn error_message(body: &Object) -> Option<String> {
    let text = |value: Option<&serde_json::Value>| {
        Some(value?.as_str()?.trim().to_owned()).filter(|text| !text.is_empty())
    };
    text(body.get("error"))
        .or_else(|| text(body.get("error")?.get("message")))
        .or_else(|| text(body.get("message")))
        .or_else(|| text(body.get("code")))
}
