//! Decodes Mistral's responses.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::error::{Error, Result};
use crate::http::{Problem, Reply};
use crate::model::{File, Link, Object};
use crate::providers::Page;
use crate::providers::lenient::{Fields, as_word, count, instant};
use crate::providers::openai::Format;

pub(super) const FORMAT: Format = Format {
    platform: "mistral",
    id: &["id"],
    name: &["filename"],
    size: &["bytes"],
    // Only a deleted file has a status. See `WireFile::into_file`.
    status: &[],
    // The platform counts lifetimes in hours.
    lifetime: None,
    default_purpose: None,
};

/// A file object: OpenAI's object with a media type and information about the file's origin.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct WireFile(Fields);

impl WireFile {
    pub(super) fn into_file(self, profile: &str) -> Result<File> {
        let mut fields = self.0;
        let file = FORMAT.file(&mut fields, profile)?;
        let is_deleted = fields.get("deleted").and_then(Value::as_bool) == Some(true);
        Ok(File {
            content_type: fields.take(&["mimetype"], as_word),
            status: is_deleted.then(|| "deleted".to_owned()),
            extra: fields.rest(),
            ..file
        })
    }
}

/// A page of a listing. Only `data` is always present.
#[derive(Debug, Deserialize)]
pub(super) struct WireList {
    /// Null means an empty list; an object without this field is not a list.
    #[serde(deserialize_with = "Option::deserialize")]
    data: Option<Vec<WireFile>>,
    /// The number of files on all pages.
    #[serde(default, deserialize_with = "count")]
    total: Option<u64>,
}

impl WireList {
    /// The page at `position`. A short page is the last one, and so is a full page that reaches the total.
    pub(super) fn into_page(self, position: Position, profile: &str) -> Result<Page> {
        let files = self.data.into_iter().flatten().map(|file| file.into_file(profile));
        let files: Vec<File> = files.collect::<Result<_>>()?;
        let (found, size) = (files.len() as u64, u64::from(position.size));
        let seen = position.page.saturating_mul(size).saturating_add(found);
        let more = found >= size && self.total.is_none_or(|total| seen < total);
        let next = more.then(|| Position { page: position.page.saturating_add(1), ..position }.cursor());
        Ok(Page { files, next })
    }
}

/// The position of a page: its number, starting at 0, and the size of the preceding pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) page: u64,
    pub(super) size: u32,
}

impl Position {
    /// The cursor `PAGE:SIZE`. A number alone would select different files if the page size changes.
    fn cursor(self) -> String {
        format!("{}:{}", self.page, self.size)
    }

    /// Parses a cursor.
    pub(super) fn at(cursor: &str) -> Result<Self> {
        let position = cursor.split_once(':').and_then(|(page, size)| {
            Some(Self { page: page.parse().ok()?, size: size.parse().ok().filter(|size| *size > 0)? })
        });
        position.ok_or_else(|| {
            Error::usage(format!("{cursor:?} is not a mistral cursor"))
                .hint("a cursor is a page number and a page size, such as `2:100`")
        })
    }
}

/// The response to a request for a signed URL.
#[derive(Debug, Deserialize)]
pub(super) struct SignedUrl {
    pub(super) url: String,
}

impl SignedUrl {
    /// The link. It expires at the time in its URL (`se`, as on Azure Blob Storage), otherwise `lifetime` after `now`.
    pub(super) fn into_link(self, now: Timestamp, lifetime: SignedDuration) -> Link {
        let stated = Url::parse(&self.url).ok().and_then(|url| {
            let mut pairs = url.query_pairs();
            pairs.find(|(key, _)| key == "se").and_then(|(_, end)| instant(&end))
        });
        Link { id: None, expires_at: stated.or_else(|| now.checked_add(lifetime).ok()), url: self.url }
    }
}

/// Reads an error body with a summary in `detail` and the reason in `message`. The common reader would use only the
/// first.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Object = serde_json::from_slice(&reply.body).ok()?;
    let text = |key| body.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty());
    let (detail, message) = (text("detail")?, text("message")?);
    let detail = detail.trim_end_matches('.');
    Some(Problem { message: format!("{detail}: {message}"), ..Problem::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/mistral/file.json"),
            include_str!("../../../tests/it/wire/mistral/list.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("filename", "name"),
            ("bytes", "size"),
            ("created_at", "created_at"),
            ("expires_at", "expires_at"),
            ("purpose", "purpose"),
            ("mimetype", "content_type"),
        ];
        nothing_is_lost("mistral", &replies, translated, |reply| {
            serde_json::from_slice::<WireFile>(reply).ok()?.into_file("work").ok()
        });
    }

    #[test]
    fn a_page_ends_the_listing_if_it_is_short_or_reaches_the_total() {
        let next = |page: u64, files: usize, total: Option<u64>| {
            let data: Vec<String> = (0..files).map(|n| format!(r#"{{"id":"f{n}"}}"#)).collect();
            let total = total.map_or(String::new(), |total| format!(r#","total":{total}"#));
            let list = format!(r#"{{"data":[{}]{total}}}"#, data.join(","));
            let list: WireList = serde_json::from_str(&list).unwrap();
            list.into_page(Position { page, size: 2 }, "work").unwrap().next
        };
        let second = Some("1:2".to_owned());
        assert_eq!(next(0, 2, None), second);
        assert_eq!(next(0, 2, Some(3)), second);
        assert_eq!(next(0, 2, Some(2)), None);
        assert_eq!(next(1, 2, Some(5)), Some("2:2".to_owned()));
        assert_eq!(next(1, 2, Some(4)), None);
        for short in [0, 1] {
            assert_eq!(next(0, short, None), None);
            assert_eq!(next(0, short, Some(9)), None);
        }
        assert_eq!(next(u64::MAX, 2, None).as_deref(), Some("18446744073709551615:2"));
    }

    #[test]
    fn a_cursor_keeps_the_page_size() {
        let position = Position { page: 7, size: 50 };
        assert_eq!(Position::at(&position.cursor()).unwrap(), position);
        for wrong in ["", "7", ":", "7:", ":50", "7:0", "-1:50", "a:b", "7:50:1", "7:4294967296"] {
            assert!(Position::at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_link_expires_when_its_url_says_so() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ends = |url: &str| {
            let link = SignedUrl { url: url.to_owned() }.into_link(now, SignedDuration::from_hours(1));
            link.expires_at.unwrap().to_string()
        };
        let stated = "https://store.example/b?sv=2024-11-04&se=2026-11-28T10%3A00%3A00Z&sig=x%3D";
        assert_eq!(ends(stated), "2026-11-28T10:00:00Z");
        for silent in ["https://store.example/b?sig=x", "https://store.example/b?se=soon", "no url"] {
            assert_eq!(ends(silent), "1970-01-12T14:46:40Z", "{silent}");
        }
    }

    #[test]
    fn a_deleted_file_has_a_status() {
        let status = |json: &str| {
            let file: WireFile = serde_json::from_str(json).unwrap();
            file.into_file("work").unwrap().status
        };
        assert_eq!(status(r#"{"id":"f","deleted":true}"#).as_deref(), Some("deleted"));
        assert_eq!(status(r#"{"id":"f","deleted":false}"#), None);
        assert_eq!(status(r#"{"id":"f"}"#), None);
    }
}
