//! Multipart uploads. The response to the first request contains a presigned URL for each part.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::upload::refused_by_storage;
use super::wire::completed;
use super::{Together, Via};
use crate::error::{Error, Result};
use crate::http::{Body, Request};
use crate::model::{Checksums, File, NewFile, Object};
use crate::progress::Progress;
use crate::providers::lenient::{Fields, as_count, as_id, as_word};
use crate::providers::{Multipart, PartRange, Session};
use crate::secret::Secret;

const MIB: u64 = 1024 * 1024;
/// Larger files are sent in parts.
const THRESHOLD: u64 = 5 * 1024 * MIB;
/// The part size that the official client aims for.
const TARGET: u64 = 250 * MIB;
/// The part size for a file up to the threshold, if the user requests parts.
const SMALL_TARGET: u64 = 16 * MIB;
/// Maximum number of parts.
const MAX_PARTS: u64 = 250;
/// Maximum number of parts in flight.
const PARALLEL: usize = 4;

/// The presigned URL of a part.
#[derive(Deserialize, Serialize)]
struct PartUrl {
    url: String,
    headers: BTreeMap<String, String>,
}

/// The response that begins an upload.
#[derive(Deserialize)]
#[serde(try_from = "Fields")]
struct Begun {
    upload_id: String,
    file_id: String,
    /// In the order of the parts.
    parts: Vec<PartUrl>,
}

impl TryFrom<Fields> for Begun {
    type Error = &'static str;

    fn try_from(mut fields: Fields) -> Result<Self, Self::Error> {
        let upload_id = fields.take(&["upload_id"], as_id).ok_or("missing or invalid `upload_id`")?;
        let file_id = fields.take(&["file_id"], as_id).ok_or("missing or invalid `file_id`")?;
        let parts = fields.take(&["parts"], |value| value.as_array().cloned());
        let parts = parts.into_iter().flatten().map(|part| part_url(&part)).collect::<Option<Vec<_>>>();
        let mut parts = parts.ok_or("invalid `parts`")?;
        parts.sort_by_key(|(number, _)| *number);
        let is_complete = (1..).zip(&parts).all(|(expected, (number, _))| expected == *number);
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        if is_complete { Ok(Self { upload_id, file_id, parts }) } else { Err("missing part in `parts`") }
    }
}

/// The number of a part, and its URL.
fn part_url(part: &Value) -> Option<(u64, PartUrl)> {
    let mut fields = Fields::from(part.as_object()?.clone());
    let number = fields.take(&["PartNumber", "part_number"], as_count)?;
    let url = fields.take(&["URL", "UploadURL", "url"], as_word)?;
    let headers = fields.take(&["Headers", "headers"], |value| value.as_object().cloned());
    let headers = headers.unwrap_or_default().into_iter();
    let headers = headers.map(|(name, value)| Some((name, as_word(&value)?))).collect::<Option<_>>()?;
    Some((number, PartUrl { url, headers }))
}

/// The number of parts of a file.
fn count(size: u64) -> u64 {
    let target = if size > THRESHOLD { TARGET } else { SMALL_TARGET };
    size.div_ceil(target).clamp(1, MAX_PARTS)
}

/// The id of a session: the two ids that completing it requires, joined by `/`, which no file id contains.
fn session_ids(session: &Session) -> Result<Object> {
    let ids = session.id.rsplit_once('/');
    let (upload_id, file_id) = ids.ok_or_else(|| Error::platform("the upload session has no id"))?;
    let ids = [("upload_id", upload_id), ("file_id", file_id)];
    Ok(ids.into_iter().map(|(key, id)| (key.to_owned(), id.into())).collect())
}

impl Together {
    fn step(&self, name: &str, body: Object) -> Result<Request> {
        let url = self.connection.url(&["files", "multipart", name])?;
        Ok(Request::post(url, Body::json(&Value::Object(body))))
    }
}

#[async_trait]
impl Multipart for Together {
    fn applies(&self, file: &NewFile) -> bool {
        self.via == Via::Parts || (self.via == Via::Auto && file.size > THRESHOLD)
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn continues(&self) -> bool {
        // The session's URLs are secret and expire.
        false
    }

    async fn begin(&self, file: &NewFile) -> Result<Session> {
        let count = count(file.size);
        let mut body: Object =
            Self::fields(file).into_iter().map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
        body.insert("file_size".to_owned(), json!(file.size));
        body.insert("num_parts".to_owned(), json!(count));
        // Repeatable: an upload without parts stores no file.
        let request = self.step("initiate", body)?.repeatable();
        let begun: Begun = self.connection.http.json(&request, "multipart upload").await?;
        if begun.parts.len() as u64 != count {
            let message = format!("together returned {} part URLs instead of {count}", begun.parts.len());
            return Err(Error::platform(message));
        }
        let secret = serde_json::to_string(&begun.parts);
        let secret = secret.map_err(|error| Error::failed("cannot save the part URLs").caused_by(error))?;
        Ok(Session {
            id: format!("{}/{}", begun.upload_id, begun.file_id),
            secret: Some(Secret::new(&secret)),
            part_size: file.size.div_ceil(count).max(1),
            expires_at: None,
        })
    }

    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String> {
        let urls = session.secret.as_ref().map(Secret::expose).unwrap_or_default();
        let urls: Vec<PartUrl> = serde_json::from_str(urls).unwrap_or_default();
        let target = urls.get(usize::try_from(part.index).unwrap_or(usize::MAX));
        let target = target.ok_or_else(|| Error::platform("the upload session has no URL for a part"))?;
        let put = Request::put(self.presigned(&target.url)?, part.body(file)).anonymous().bulk().repeatable();
        let put = target.headers.iter().fold(put, |put, (name, value)| put.header(name.clone(), value));
        let sent = self.connection.http.upload(&put, progress).await;
        let reply = sent.map_err(refused_by_storage)?;
        reply.acknowledges("part")?;
        let tag = reply.header("etag").map(|tag| tag.trim().trim_matches('"').to_owned());
        tag.filter(|tag| !tag.is_empty()).ok_or_else(|| {
            Error::platform("together's storage returned no ETag for a part")
                .with_request_id(reply.request_id)
        })
    }

    async fn complete(
        &self,
        session: &Session,
        _file: &NewFile,
        tags: &[String],
        _checksums: &Checksums,
    ) -> Result<File> {
        let parts: Vec<Value> = (1..)
            .zip(tags)
            .map(|(number, tag): (u64, _)| json!({ "part_number": number, "etag": tag }))
            .collect();
        let mut body = session_ids(session)?;
        body.insert("parts".to_owned(), parts.into());
        let reply = self.connection.http.send(&self.step("complete", body)?).await?;
        let file = completed(reply.json("uploaded file")?, &self.connection.profile);
        file.map_err(|error| error.with_status(reply.status))
    }

    async fn abort(&self, session: &Session) -> Result<()> {
        let request = self.step("abort", session_ids(session)?)?.repeatable();
        self.connection.http.send(&request).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_official_client() {
        const GIB: u64 = 1024 * MIB;
        let parts = |size: u64| (count(size), size.div_ceil(count(size)));
        assert_eq!(parts(6 * GIB), (25, 257_698_038));
        assert_eq!(count(50 * GIB), 205);
        assert_eq!(parts(5 * GIB + 1), (21, 255_652_816));
        assert_eq!(count(60 * 1024 * GIB), MAX_PARTS);
        assert_eq!(parts(20 * MIB), (2, 10 * MIB));
        assert_eq!((count(1), count(0)), (1, 1));
        for size in [1, 16 * MIB, 16 * MIB + 1, 100 * MIB, 5 * GIB, 5 * GIB + 1, 50 * GIB] {
            let (count, part) = parts(size);
            assert!(size.div_ceil(part) == count, "{size}");
            assert!(count == 1 || part > 8 * MIB, "{size}");
        }
    }

    #[test]
    fn part_urls_have_several_spellings() {
        let read = |parts: &str| {
            let text = format!(r#"{{"upload_id":"u/1","file_id":"file-1","parts":[{parts}]}}"#);
            let begun: Begun = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let urls = begun.parts.iter().map(|part| format!("{} {:?}", part.url, part.headers));
            Ok::<_, String>(urls.collect::<Vec<_>>())
        };
        let two = r#"{"part_number":"2","UploadURL":"b","Headers":null},{"PartNumber":1,"URL":"a","Headers":{"x":"y"}}"#;
        assert_eq!(read(two).unwrap(), [r#"a {"x": "y"}"#, "b {}"]);
        for wrong in [
            r#"{"PartNumber":2,"URL":"a"}"#,
            r#"{"PartNumber":1}"#,
            r#"{"URL":"a"}"#,
            "1",
            r#"{"PartNumber":1,"URL":"a"},{"PartNumber":1,"URL":"b"}"#,
            r#"{"PartNumber":1,"URL":"a","Headers":{"x":{}}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_has_two_ids() {
        let session = |id: &str| Session { id: id.to_owned(), secret: None, part_size: 1, expires_at: None };
        let ids = session_ids(&session("up/load/file-1")).unwrap();
        assert_eq!(Value::Object(ids), json!({ "upload_id": "up/load", "file_id": "file-1" }));
        assert!(session_ids(&session("file-1")).is_err());
    }
}
