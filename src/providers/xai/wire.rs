//! Decodes xAI's responses. One lenient decoder reads both dialects; each file reveals its dialect.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::super::lenient::{Fields, as_hex, as_word, count, flag, time, word};
use super::super::openai::{Format, error_message};
use crate::error::{Error, Kind, Result};
use crate::http::{Problem, Reply};
use crate::model::{File, Link, Object};

/// The parameter for a page token in the openai dialect.
pub(super) const OPENAI_TOKEN: &str = "pagination_token";
/// The parameter for a page token in the gateway dialect.
pub(super) const GATEWAY_TOKEN: &str = "next_token";

/// The format of both dialects. The names used in the openai dialect come first.
pub(super) const FORMAT: Format = Format {
    platform: "xai",
    id: &["id", "file_id"],
    name: &["filename", "name"],
    size: &["bytes", "size_bytes"],
    // See `status`.
    status: &[],
    lifetime: Some("expires_after"),
    default_purpose: None,
};

/// A file: `File` in the openai dialect or `FileMetadata` in the gateway dialect.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct WireFile(Fields);

impl WireFile {
    /// The dialect, determined by the name of the id field.
    pub(super) fn dialect(&self) -> &'static str {
        if self.0.get("id").is_some() { "openai" } else { "gateway" }
    }

    pub(super) fn into_file(self, profile: &str) -> Result<File> {
        let mut fields = self.0;
        let file = FORMAT.file(&mut fields, profile)?;
        // The documentation calls the hash BLAKE3; its format is taken from an example for the collections API.
        let blake3 = fields.take(&["hash"], as_hex(64));
        let mut file = File {
            content_type: fields.take(&["content_type"], as_word),
            path: fields.take(&["file_path"], as_word),
            url: fields.take(&["public_url"], as_word),
            extra: fields.rest(),
            ..file
        };
        file.checksums.blake3 = blake3;
        file.status = status(&file.extra);
        Ok(file)
    }
}

/// The upload status until the upload is complete, then the processing status. Both stay in `extra`.
fn status(extra: &Object) -> Option<String> {
    let text = |key| extra.get(key).and_then(Value::as_str).filter(|word| !word.is_empty());
    let upload = text("upload_status");
    let processing = text("processing_status");
    let uploaded = upload.is_none_or(|word| word.eq_ignore_ascii_case("complete"));
    (if uploaded { processing.or(upload) } else { upload }).map(str::to_owned)
}

/// A page of a listing: `data` and `pagination_token`, or `files` and `next_token`.
#[derive(Debug, Deserialize)]
pub(super) struct WireList {
    #[serde(default)]
    data: Option<Vec<WireFile>>,
    #[serde(default)]
    files: Option<Vec<WireFile>>,
    #[serde(default, deserialize_with = "word")]
    pagination_token: Option<String>,
    #[serde(default, deserialize_with = "word")]
    next_token: Option<String>,
    #[serde(default, deserialize_with = "word")]
    has_more: Option<String>,
    #[serde(flatten)]
    extra: Object,
}

/// The start of the next page: the token and its parameter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) parameter: &'static str,
    pub(super) value: String,
}

/// A page: its files, the token for the next page, and whether the server reports that more files follow.
pub(super) struct Listed {
    pub(super) files: Vec<File>,
    pub(super) next: Option<Token>,
    pub(super) more: bool,
}

impl WireList {
    /// The dialect of the files; `None` if the page is empty.
    pub(super) fn dialect(&self) -> Option<&'static str> {
        self.data.iter().chain(&self.files).flatten().next().map(WireFile::dialect)
    }

    /// The files and the token. The caller decides whether another page follows.
    pub(super) fn into_listed(self, profile: &str) -> Result<Listed> {
        let more = self.has_more.as_deref() == Some("true");
        // The gateway omits empty fields, so `{}` is an empty list; an object with other fields is not a list.
        let Some(files) = self.data.or(self.files) else {
            if self.extra.is_empty() {
                return Ok(Listed { files: Vec::new(), next: None, more });
            }
            return Err(Error::platform("xai returned a list of files without `data` or `files`"));
        };
        let files: Vec<File> =
            files.into_iter().map(|file| file.into_file(profile)).collect::<Result<_>>()?;
        let token = |parameter| move |value| Token { parameter, value };
        // A server with OpenAI's paging only reports that more files follow; the last id is the cursor.
        let last = files.last().filter(|_| more).map(|file| file.id.0.clone());
        let next = (self.pagination_token.map(token(OPENAI_TOKEN)))
            .or(self.next_token.map(token(GATEWAY_TOKEN)))
            .or(last.map(token("after")));
        Ok(Listed { files, next, more })
    }
}

/// The response to creating a public URL.
#[derive(Debug, Deserialize)]
pub(super) struct PublicUrl {
    public_url: String,
    #[serde(default, deserialize_with = "time")]
    expires_at: Option<Timestamp>,
}

impl From<PublicUrl> for Link {
    fn from(reply: PublicUrl) -> Self {
        Self { id: None, url: reply.public_url, expires_at: reply.expires_at }
    }
}

/// The response to revoking a public URL.
#[derive(Debug, Deserialize)]
pub(super) struct Revoked {
    #[serde(deserialize_with = "flag")]
    pub(super) revoked: bool,
}

/// The response to `files:initialize`. Its metadata is still empty.
#[derive(Debug, Deserialize)]
pub(super) struct Initialized {
    pub(super) file_id: String,
}

/// The response to `files:download`.
#[derive(Debug, Deserialize)]
pub(super) struct Presigned {
    #[serde(default, deserialize_with = "word")]
    pub(super) presigned_url: Option<String>,
    #[serde(default, deserialize_with = "count")]
    pub(super) expires_in_seconds: Option<u64>,
}

/// Reads an error body: `{code, error}` from api.x.ai, OpenAI's `{error: {message}}`, or the gateway's `{code: 5,
/// message}`. Returns `None` for plain text and HTML, which the common reader handles.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Object = serde_json::from_slice(&reply.body).ok()?;
    let message = error_message(&body)?;
    // The response to a wrong key has status 400; only its message identifies it.
    let kind = message.starts_with("Incorrect API key provided").then_some(Kind::Auth);
    let spent = ["used all available credits", "monthly spending limit"];
    let is_final = reply.status == 429 && spent.iter().any(|words| message.contains(words));
    Some(Problem { message, kind, is_final, ..Problem::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    fn file(json: &str) -> Result<File, String> {
        let wire: WireFile = serde_json::from_str(json).map_err(|error| error.to_string())?;
        wire.into_file("work").map_err(|error| error.to_string())
    }

    fn next(json: &str) -> Result<Option<Token>, String> {
        let wire: WireList = serde_json::from_str(json).map_err(|error| error.to_string())?;
        wire.into_listed("work").map(|listed| listed.next).map_err(|error| error.to_string())
    }

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [
            include_str!("../../../tests/it/wire/xai/file.openai.json"),
            include_str!("../../../tests/it/wire/xai/file.openai.public.json"),
            include_str!("../../../tests/it/wire/xai/file.gateway.json"),
            include_str!("../../../tests/it/wire/xai/file.gateway.short.json"),
            include_str!("../../../tests/it/wire/xai/list.openai.json"),
            include_str!("../../../tests/it/wire/xai/list.gateway.json"),
        ];
        let translated = &[
            ("id", "id"),
            ("file_id", "id"),
            ("filename", "name"),
            ("name", "name"),
            ("bytes", "size"),
            ("size_bytes", "size"),
            ("created_at", "created_at"),
            ("expires_at", "expires_at"),
            ("purpose", "purpose"),
            ("public_url", "url"),
            ("content_type", "content_type"),
            ("file_path", "path"),
            ("hash", "checksums.blake3"),
        ];
        nothing_is_lost("xai", &replies, translated, |reply| {
            serde_json::from_slice::<WireFile>(reply).ok()?.into_file("work").ok()
        });
    }

    #[test]
    fn the_status_is_the_upload_status_until_the_upload_is_complete() {
        let status = |upload: &str, processing: &str| {
            let text =
                format!(r#"{{"file_id":"f","upload_status":"{upload}","processing_status":"{processing}"}}"#);
            let file = file(&text).unwrap();
            assert_eq!(file.extra["upload_status"], upload);
            assert_eq!(file.extra["processing_status"], processing);
            file.status
        };
        assert_eq!(status("Uploading", "pending").as_deref(), Some("Uploading"));
        assert_eq!(status("Failed", "pending").as_deref(), Some("Failed"));
        assert_eq!(status("Complete", "skipped").as_deref(), Some("skipped"));
        assert_eq!(status("Complete", "").as_deref(), Some("Complete"));
        assert_eq!(status("", "processing").as_deref(), Some("processing"));
        assert_eq!(status("Verifying", "complete").as_deref(), Some("Verifying"), "an unknown word");
        assert_eq!(file(r#"{"id":"f"}"#).unwrap().status, None);
    }

    #[test]
    fn a_hash_in_another_format_is_not_a_checksum() {
        let hash = "A15b2225695f242af60e5d99a7455b0a2e371dac88283401ebc013dba1dfbc84";
        let stated = file(&format!(r#"{{"file_id":"f","hash":"{hash}"}}"#)).unwrap();
        assert_eq!(stated.checksums.blake3.as_deref(), Some(hash.to_lowercase().as_str()));
        let other = file(r#"{"file_id":"f","hash":"abc="}"#).unwrap();
        assert_eq!(other.checksums.blake3, None);
        assert_eq!(other.extra["hash"], "abc=");
    }

    #[test]
    fn a_file_requires_only_an_id() {
        assert_eq!(file(r#"{"id":7}"#).unwrap().id.as_str(), "7");
        for json in ["{}", r#"{"id":null}"#, r#"{"id":""}"#] {
            assert_eq!(file(json).unwrap_err(), "xai returned a file without an id", "{json}");
        }
        assert_eq!(file(r#"{"id":"f","bytes":"many"}"#).unwrap().size, None);
    }

    #[test]
    fn a_page_determines_the_parameter_of_its_token() {
        let token_of = |json: &str| next(json).unwrap().map(|token| (token.parameter, token.value));
        let one = r#"[{"id":"f1"},{"id":"f2"}]"#;
        assert_eq!(
            token_of(&format!(r#"{{"data":{one},"pagination_token":"t"}}"#)),
            Some(("pagination_token", "t".to_owned()))
        );
        assert_eq!(
            token_of(&format!(r#"{{"files":{one},"next_token":"t"}}"#)),
            Some(("next_token", "t".to_owned()))
        );
        assert_eq!(
            token_of(&format!(r#"{{"data":{one},"has_more":true}}"#)),
            Some(("after", "f2".to_owned()))
        );
        for json in [r#"{"data":[]}"#, r#"{"data":[],"pagination_token":null}"#, r#"{"next_token":""}"#, "{}"]
        {
            assert_eq!(token_of(json), None, "{json}");
        }
        assert!(next(r#"{"hello":1}"#).unwrap_err().contains("without `data` or `files`"));
    }
}
