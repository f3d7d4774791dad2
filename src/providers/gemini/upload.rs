//! Uploads with Google's resumable protocol.
//!
//! A file that fits into one part requires two requests. A larger file is sent in parts, the last of which also
//! completes the upload. The session reports how many bytes have arrived, so an interrupted upload can resume at that
//! point.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;

use super::wire::Uploaded;
use super::{Gemini, PREFIX};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Reply, Request};
use crate::model::{Checksums, File, FileId, NewFile, Object};
use crate::progress::Progress;
use crate::providers::{Multipart, PartRange, Provider as _, Received, Session};
use crate::secret::Secret;

/// The minimum size of a part, in bytes: the chunk size of the official clients.
const PART: u64 = 8 * 1024 * 1024;
/// Maximum length of an id that a client chooses.
const LONGEST_ID: usize = 40;
/// Length of the random end of a mark, including its dash.
const MARK_END: usize = 9;
/// Maximum number of characters of a response body shown in an error.
const SHOWN: usize = 200;

/// The commands of the protocol.
const UPLOAD: &str = "upload";
const UPLOAD_LAST: &str = "upload, finalize";
const FINALIZE: &str = "finalize";
const QUERY: &str = "query";
const CANCEL: &str = "cancel";

/// The id for the file of an upload with this mark: the mark with a shorter hash.
pub(super) fn id_of(mark: &str) -> String {
    let end = mark.len().saturating_sub(MARK_END);
    match (mark.get(..end.min(LONGEST_ID - MARK_END)), mark.get(end..)) {
        (Some(start), Some(end)) => format!("{start}{end}"),
        _ => mark.to_owned(),
    }
}

impl Gemini {
    /// Uploads a file in a single part.
    pub(super) async fn upload_whole(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let session = self.begin(file).await?;
        self.put_last(&session, file, PartRange { index: 0, from: 0, len: file.size }, progress).await
    }

    /// The request that starts a session.
    fn start(&self, file: &NewFile) -> Result<Request> {
        let mut about = Object::new();
        if let Some(mark) = &file.mark {
            about.insert("name".to_owned(), json!(format!("{PREFIX}{}", id_of(mark))));
        }
        about.insert("displayName".to_owned(), json!(file.name));
        about.insert("mimeType".to_owned(), json!(file.content_type));
        about.insert("sizeBytes".to_owned(), json!(file.size.to_string()));
        let url = self.connection.url(&["upload", self.version, "files"])?;
        // Repeatable because a session without content stores no file.
        Ok(Request::post(url, Body::json(&json!({ "file": about })))
            .repeatable()
            .header("x-goog-upload-protocol", "resumable")
            .header("x-goog-upload-command", "start")
            .header("x-goog-upload-header-content-length", file.size.to_string())
            .header("x-goog-upload-header-content-type", file.content_type.clone()))
    }

    /// Sends a command to a session, with a part of a file as the body if `content` is given.
    async fn command(
        &self,
        session: &Session,
        command: &str,
        content: Option<(&NewFile, PartRange)>,
        progress: Arc<dyn Progress>,
    ) -> Result<Reply> {
        let url = session.secret.as_ref().and_then(|secret| Url::parse(secret.expose()).ok());
        let url = url.ok_or_else(|| Error::platform("the upload session has no URL"))?;
        let body = content.map_or_else(Body::empty, |(file, part)| part.body(file));
        let request = Request::post(url, body).anonymous().header("x-goog-upload-command", command);
        let request = match content {
            Some((_, part)) => request.bulk().header("x-goog-upload-offset", part.from.to_string()),
            None if command == FINALIZE => request,
            None => request.repeatable(),
        };
        self.connection.http.upload(&request, progress).await.map_err(refused_session)
    }

    /// Sends a part. If it is rejected and the session has not received exactly the bytes before it, the error is
    /// [unanswered](Error::is_unanswered), so that the caller queries the session to find out where to resume.
    async fn send_part(
        &self,
        session: &Session,
        command: &str,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<Reply> {
        let error = match self.command(session, command, Some((file, part)), progress).await {
            Err(error) if matches!(error.status(), Some(400 | 409 | 412 | 416)) => error,
            sent => return sent,
        };
        match self.received(session).await {
            Ok(Some(Received::Bytes(bytes))) if bytes == part.from => Err(error),
            Ok(_) => Err(error.unanswered()),
            Err(_) => Err(error),
        }
    }
}

#[async_trait]
impl Multipart for Gemini {
    fn applies(&self, file: &NewFile) -> bool {
        file.size > PART
    }

    fn parallel(&self) -> usize {
        1
    }

    fn ends_with_part(&self) -> bool {
        true
    }

    async fn begin(&self, file: &NewFile) -> Result<Session> {
        let reply = match self.connection.http.send(&self.start(file)?).await {
            // The id was generated for this upload, so a conflict means that an earlier attempt stored the file.
            Err(error) if error.status() == Some(409) && file.mark.is_some() => {
                return Err(error.unanswered());
            }
            sent => sent?,
        };
        let url = ["x-goog-upload-url", "x-goog-upload-control-url"].iter().find_map(|key| reply.header(key));
        let granularity =
            reply.header("x-goog-upload-chunk-granularity").and_then(|text| text.trim().parse().ok());
        let url = session_url(&self.connection.base_url, url)?;
        Ok(Session {
            id: file.mark.as_deref().map(id_of).unwrap_or_default(),
            secret: Some(Secret::new(url.as_str())),
            part_size: part_size(granularity),
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
        let reply = self.send_part(session, UPLOAD, file, part, progress).await?;
        match reply.header("x-goog-upload-status") {
            Some("active") => Ok(String::new()),
            _ => Err(Error::platform("gemini did not confirm that it received a part of the file")
                .with_status(reply.status)
                .with_request_id(reply.request_id)
                .unanswered()),
        }
    }

    async fn put_last(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<File> {
        let reply = self.send_part(session, UPLOAD_LAST, file, part, progress).await?;
        self.uploaded(&reply)
    }

    async fn complete(
        &self,
        session: &Session,
        _file: &NewFile,
        _tags: &[String],
        _checksums: &Checksums,
    ) -> Result<File> {
        let reply = self.command(session, FINALIZE, None, crate::progress::silent()).await?;
        self.uploaded(&reply)
    }

    async fn abort(&self, session: &Session) -> Result<()> {
        self.command(session, CANCEL, None, crate::progress::silent()).await.map(drop)
    }

    async fn received(&self, session: &Session) -> Result<Option<Received>> {
        let reply = self.command(session, QUERY, None, crate::progress::silent()).await?;
        let bytes = reply.header("x-goog-upload-size-received").and_then(|text| text.trim().parse().ok());
        match (reply.header("x-goog-upload-status"), bytes) {
            (Some("active"), Some(bytes)) => Ok(Some(Received::Bytes(bytes))),
            (Some("final"), _) => {
                let file = match self.uploaded(&reply) {
                    Ok(file) => file,
                    // The response does not always contain the file.
                    Err(_) if !session.id.is_empty() => self.stat(&FileId::from(session.id.as_str())).await?,
                    Err(error) => return Err(error),
                };
                Ok(Some(Received::File(Box::new(file))))
            }
            _ => Err(Error::platform("gemini did not report the status of the upload session")
                .with_request_id(reply.request_id)),
        }
    }
}

impl Gemini {
    /// The file in the response to the last bytes. The response can be a success without a file, for example because
    /// of a wrong content type; the error then contains the response.
    fn uploaded(&self, reply: &Reply) -> Result<File> {
        let error = match reply.json::<Uploaded>("uploaded file") {
            Ok(uploaded) => return Ok(uploaded.file.into_file(&self.connection.profile)),
            Err(error) => error,
        };
        let body = serde_json::from_slice::<Value>(&reply.body).ok().filter(Value::is_object);
        Err(match body {
            Some(body) => error
                .cause(format!("the response: {}", body.to_string().chars().take(SHOWN).collect::<String>())),
            None => error,
        })
    }
}

/// The size of parts: a multiple of the unit that the platform requires.
fn part_size(granularity: Option<u64>) -> u64 {
    let unit = granularity.unwrap_or(1).max(1);
    PART.div_ceil(unit).saturating_mul(unit)
}

/// The URL of a session. It grants access to the session, so errors never contain it.
fn session_url(base: &Url, text: Option<&str>) -> Result<Url> {
    let invalid = |reason: &str| Err(Error::platform(format!("gemini returned {reason}")));
    let Some(text) = text else { return invalid("no upload URL") };
    match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && base.scheme() == "https" => {
            invalid("an upload URL that is not secure")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => invalid("an upload URL that is not an http URL"),
    }
}

/// Converts the rejection of a session. The problem is the session itself, neither a file nor the key, which this URL
/// never receives.
fn refused_session(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403 | 404 | 410)) => {
            Error::platform("gemini rejected the upload session").caused_by(error).with_status(status)
        }
        // The error contains the reason that the platform gives.
        Some(409 | 412 | 416) => error.with_kind(Kind::Failed),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_both_ends_of_its_mark() {
        let mark = "haul-b94d27b9934d3e08a52e52d7da7dabfa-0123abcd";
        assert_eq!(id_of(mark), "haul-b94d27b9934d3e08a52e52d7da-0123abcd");
        assert_eq!(id_of(mark).len(), LONGEST_ID);
        assert_eq!(id_of("short-0123abcd"), "short-0123abcd");
        assert_eq!(id_of(""), "");
    }

    #[test]
    fn parts_are_multiples_of_the_unit() {
        assert_eq!(part_size(None), PART);
        assert_eq!(part_size(Some(0)), PART);
        assert_eq!(part_size(Some(262_144)), PART);
        assert_eq!(part_size(Some(PART)), PART);
        assert_eq!(part_size(Some(3_000_000)), 9_000_000);
        assert_eq!(part_size(Some(u64::MAX)), u64::MAX);
    }

    #[test]
    fn a_session_url_is_secure_and_secret() {
        let base = |text| Url::parse(text).unwrap();
        let (secure, plain) = (base("https://h/"), base("http://127.0.0.1:1/"));
        assert!(session_url(&secure, Some("https://other/u?upload_id=s3cret")).is_ok());
        assert!(session_url(&plain, Some("http://127.0.0.1:2/u?upload_id=s3cret")).is_ok());
        for odd in [None, Some(""), Some("/u?s3cret"), Some("file:///s3cret"), Some("http://h/u?s3cret")] {
            let error = session_url(&secure, odd).unwrap_err();
            assert!(
                error.kind() == Kind::Platform && !error.to_string().contains("s3cret"),
                "{odd:?}: {error}"
            );
            assert!(!error.may_be_done());
        }
    }
}
