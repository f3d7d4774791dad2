//! Decodes the platform's responses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::{PREFIX, SPEC};
use crate::error::Kind;
use crate::http::{Problem, Reply};
use crate::model::{Checksums, File, FileId, hex};
use crate::providers::lenient::{self, Fields};

/// A file. Only its name, `files/ID`, is always present.
///
/// Fields that are not translated stay in `extra`: `uri`, which prompts use to refer to the file, `source`,
/// `videoMetadata` and `error`.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct FileReply {
    id: String,
    fields: Fields,
}

impl TryFrom<Fields> for FileReply {
    type Error = &'static str;

    fn try_from(mut fields: Fields) -> Result<Self, Self::Error> {
        let id = fields.take(&["name"], id).ok_or("missing or invalid `name`")?;
        Ok(Self { id, fields })
    }
}

impl FileReply {
    pub(super) fn into_file(self, profile: &str) -> File {
        let Self { id, mut fields } = self;
        let url = fields.take(&["downloadUri"], lenient::as_word);
        let downloadable = match fields.get("source").and_then(Value::as_str) {
            _ if url.is_some() => Some(true),
            Some("GENERATED") => Some(true),
            Some("UPLOADED" | "REGISTERED") => Some(false),
            _ => None,
        };
        let sha256 = fields.take(&["sha256Hash"], sha256);
        File {
            provider: SPEC.name.to_owned(),
            profile: profile.to_owned(),
            id: FileId(id),
            name: fields.take(&["displayName"], lenient::as_text).unwrap_or_default(),
            size: fields.take(&["sizeBytes"], lenient::as_count),
            content_type: fields.take(&["mimeType"], lenient::as_word),
            status: fields.take(&["state"], state),
            created_at: fields.take(&["createTime"], lenient::as_time),
            updated_at: fields.take(&["updateTime"], lenient::as_time),
            expires_at: fields.take(&["expirationTime"], lenient::as_time),
            checksums: Checksums { sha256, ..Checksums::default() },
            downloadable,
            url,
            extra: fields.rest(),
            ..File::default()
        }
    }
}

/// A page of files. If there are no files, it is an empty object.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct ListReply {
    pub(super) files: Vec<FileReply>,
    pub(super) next_page_token: Option<String>,
}

impl TryFrom<Fields> for ListReply {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, Self::Error> {
        let files = fields.take(&["files"], |value| value.as_array().cloned());
        let next_page_token = fields.take(&["nextPageToken"], lenient::as_word);
        // A different response must not be mistaken for a list without files.
        if files.is_none() && !fields.rest().is_empty() {
            return Err("missing or invalid `files`".to_owned());
        }
        let files = files.into_iter().flatten().map(serde_json::from_value);
        let files = files.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Self { files, next_page_token })
    }
}

/// The response to the last bytes of an upload.
#[derive(Deserialize)]
pub(super) struct Uploaded {
    pub(super) file: FileReply,
}

fn id(value: &Value) -> Option<String> {
    let name = lenient::as_id(value)?;
    Some(name.strip_prefix(PREFIX).unwrap_or(&name).to_owned()).filter(|id| !id.is_empty())
}

fn state(value: &Value) -> Option<String> {
    lenient::as_word(value).filter(|state| state != "STATE_UNSPECIFIED")
}

/// Decodes base64 of either the digest's hexadecimal text or its 32 bytes.
fn sha256(value: &Value) -> Option<String> {
    let bytes = BASE64.decode(value.as_str()?).ok()?;
    if bytes.len() == 32 {
        return Some(hex(&bytes));
    }
    lenient::as_hex(64)(&String::from_utf8(bytes).ok()?.into())
}

/// Reads errors whose status is misleading: 400 for an invalid key, and 403 for a missing file.
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Value = serde_json::from_slice(&reply.body).ok()?;
    let error = &body["error"];
    let message = error["message"].as_str()?.trim().trim_start_matches("* ");
    let details = error["details"].to_string();
    let (kind, is_final) = match reply.status {
        400 if details.contains("API_KEY_INVALID") || message.starts_with("API key not valid") => {
            (Some(Kind::Auth), false)
        }
        // Ids of generated files can exceed the platform's own limit.
        400 if message.contains("File ID (name excluding") => {
            let is_delete = message.contains("DeleteFileRequest");
            (Some(if is_delete { Kind::Unsupported } else { Kind::NotFound }), false)
        }
        403 if message.contains("or it may not exist") => (Some(Kind::NotFound), false),
        // The project's storage is full.
        429 if details.contains("file_storage_bytes") => (None, true),
        _ => return None,
    };
    Some(Problem { message: message.to_owned(), kind, is_final, ..Problem::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::properties::nothing_is_lost;

    const DIGEST: &str = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";

    fn file(text: &str) -> File {
        serde_json::from_str::<FileReply>(text).unwrap().into_file("work")
    }

    #[test]
    fn properties_no_field_of_a_reply_is_lost() {
        let replies = [include_str!("../../../tests/it/wire/gemini/replies.json")];
        let translated = &[
            ("name", "id"),
            ("displayName", "name"),
            ("sizeBytes", "size"),
            ("mimeType", "content_type"),
            ("state", "status"),
            ("createTime", "created_at"),
            ("updateTime", "updated_at"),
            ("expirationTime", "expires_at"),
            ("sha256Hash", "checksums.sha256"),
            ("downloadUri", "url"),
        ];
        nothing_is_lost("gemini", &replies, translated, |reply| {
            let mut file = serde_json::from_slice::<FileReply>(reply).ok()?.into_file("work");
            // Compared in the form that the platform uses.
            let original: Value = serde_json::from_slice(reply).ok()?;
            if original["name"] == format!("{PREFIX}{}", file.id) {
                file.id = format!("{PREFIX}{}", file.id).into();
            }
            if file.checksums.sha256.is_some() {
                file.checksums.sha256 = original["sha256Hash"].as_str().map(str::to_owned);
            }
            Some(file)
        });
    }

    #[test]
    fn a_checksum_is_the_base64_of_text_or_of_bytes() {
        let of = |hash: &str| file(&format!(r#"{{"name":"files/a","sha256Hash":"{hash}"}}"#));
        let bytes: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&DIGEST[at * 2..at * 2 + 2], 16).unwrap()).collect();
        let spellings = [BASE64.encode(DIGEST), BASE64.encode(DIGEST.to_uppercase()), BASE64.encode(bytes)];
        for hash in spellings {
            assert_eq!(of(&hash).checksums.sha256.as_deref(), Some(DIGEST), "{hash}");
        }
        for odd in ["", "!", "YWJj", DIGEST] {
            assert_eq!(of(odd).checksums.sha256, None, "{odd}");
        }
        assert_eq!(of(DIGEST).extra["sha256Hash"], DIGEST);
    }

    #[test]
    fn only_generated_files_can_be_downloaded() {
        let is = |more: &str| file(&format!(r#"{{"name":"files/a"{more}}}"#)).downloadable;
        assert_eq!(is(r#","source":"UPLOADED""#), Some(false));
        assert_eq!(is(r#","source":"REGISTERED""#), Some(false));
        assert_eq!(is(r#","source":"GENERATED""#), Some(true));
        assert_eq!(is(r#","source":"UPLOADED","downloadUri":"http://h/d""#), Some(true));
        assert_eq!(is(""), None);
    }

    #[test]
    fn an_id_has_the_prefix_or_not() {
        assert_eq!(file(r#"{"name":"files/a-b"}"#).id.as_str(), "a-b");
        assert_eq!(file(r#"{"name":"a-b","state":"STATE_UNSPECIFIED"}"#).status, None);
        for odd in [r#"{"name":"files/"}"#, r#"{"displayName":"a"}"#, r#"{"id":"a"}"#] {
            assert!(serde_json::from_str::<FileReply>(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_empty_list_is_an_empty_object() {
        let read = |text: &str| {
            serde_json::from_str::<ListReply>(text).ok().map(|list| (list.files.len(), list.next_page_token))
        };
        let token = Some("t".to_owned());
        assert_eq!(read("{}"), Some((0, None)));
        assert_eq!(read(r#"{"files":null,"nextPageToken":""}"#), Some((0, None)));
        assert_eq!(
            read(r#"{"files":[{"name":"a"}],"nextPageToken":"t","more":1}"#),
            Some((1, token.clone()))
        );
        assert_eq!(read(r#"{"nextPageToken":"t"}"#), Some((0, token)));
        for other in
            [r#"{"data":[]}"#, r#"{"files":{}}"#, r#"{"files":[{}]}"#, r#"{"files":[],"files":[]}"#, "[]"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn misleading_statuses_are_read() {
        let read = |status, message: &str, details: &str| {
            let body = format!(
                r#"{{"error":{{"code":{status},"message":"{message}","status":"X","details":[{details}]}}}}"#
            );
            let problem = read_problem(&Reply { status, body: body.into(), ..Reply::default() })?;
            Some((problem.kind, problem.is_final))
        };
        let long = "File ID (name excluding 'files/') cannot be more than 40 characters.";
        let get = format!("* GetFileRequest.name: {long}");
        let delete = format!("* DeleteFileRequest.name: {long}");
        let missing = "You do not have permission to access the File abc or it may not exist.";
        for (status, message, details, expected) in [
            (400, "API key not valid. Please pass a valid API key.", "", Some((Some(Kind::Auth), false))),
            (400, "x", r#"{"reason":"API_KEY_INVALID"}"#, Some((Some(Kind::Auth), false))),
            (400, &*get, "", Some((Some(Kind::NotFound), false))),
            (400, &*delete, "", Some((Some(Kind::Unsupported), false))),
            (400, "Request contains an invalid argument.", "", None),
            (403, missing, "", Some((Some(Kind::NotFound), false))),
            (403, "The caller does not have permission", "", None),
            (404, missing, "", None),
            (429, "x", r#"{"quotaMetric":"a.b/file_storage_bytes"}"#, Some((None, true))),
            (429, "x", "", None),
        ] {
            assert_eq!(read(status, message, details), expected, "{status} {message}");
        }
        let empty = Reply { status: 403, ..Reply::default() };
        assert_eq!(read_problem(&empty), None);
    }
}
