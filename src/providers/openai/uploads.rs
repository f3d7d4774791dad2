//! Multipart uploads through OpenAI's Uploads API.
//!
//! Parts may be sent in any order; the request that completes an upload lists the parts to combine. An upload cannot be
//! queried, so only the caller's record shows which parts have arrived. Sending a part twice is harmless, because only
//! one copy is listed. The platform discards an upload after an hour.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};
use url::Url;

use super::super::lenient::{Fields, as_count, as_time};
use super::super::{Multipart, PartRange, Session};
use super::parts::{MD5, PART_SIZE, VIA, part_size};
use super::provider::{OpenAi, is_among};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Part, Request, form};
use crate::model::{Checksums, File, NewFile, later};
use crate::progress::Progress;

/// The size in bytes above which a file is sent in parts, because it exceeds "512 MB" in one interpretation.
const WHOLE: u64 = 512_000_000;
/// Maximum number of parts in flight.
const PARALLEL: usize = 4;
/// The lifetime of an upload if the platform does not report one.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// The file name of the content in the form that sends a part, as in the official client.
const PART_NAME: &str = "upload";

impl OpenAi {
    /// A POST request to an upload or, without segments, the request that starts one.
    fn upload_request(&self, segments: &[&str], body: Body) -> Result<Request> {
        let url: Url = self.connection.url(&[&["uploads"], segments].concat())?;
        Ok(self.extended(Request::post(url, body)))
    }

    /// Converts an error in an upload that has begun. An error that another attempt may resolve is
    /// [unanswered](Error::is_unanswered), so that the caller keeps the session.
    fn rejected(&self, session: &Session, error: Error) -> Error {
        let platform = self.vendor.spec.name;
        let error = match error.status() {
            Some(408 | 409 | 425 | 499 | 500..=599) => return error.unanswered(),
            Some(401 | 403 | 429) | None => return error,
            // The upload is missing, not a file.
            Some(status @ (404 | 410)) => {
                Error::platform(format!("{platform} rejected the multipart upload"))
                    .cause(error.message())
                    .with_status(status)
                    .with_request_id(error.request_id().map(str::to_owned))
            }
            Some(_) => error,
        };
        if session.expires_at.is_some_and(|end| end <= self.connection.clock.now()) {
            error.cause(format!("{platform} discards a multipart upload after one hour"))
        } else {
            error
        }
    }

    /// The error for an upload that cannot begin.
    fn not_begun(&self, file: &NewFile, error: Error) -> Error {
        let platform = self.vendor.spec.name;
        match error.status() {
            Some(status @ (404 | 405 | 501)) => {
                let message = format!("{platform} does not support multipart uploads at this base URL");
                let refusal = Error::new(Kind::Unsupported, message).cause(error.message());
                let refusal =
                    refusal.with_status(status).with_request_id(error.request_id().map(str::to_owned));
                if self.connection.setting(VIA.key).is_some() {
                    refusal.hint("remove `--set via=uploads`")
                } else {
                    refusal
                }
            }
            Some(400 | 422) if !is_among(self.purpose(file), self.vendor.parts_for) => {
                let known = self.vendor.parts_for;
                error.hint(format!(
                    "{platform} documents these purposes for multipart uploads: {}",
                    known.join(", ")
                ))
            }
            _ => error,
        }
    }

    fn purpose<'a>(&self, file: &'a NewFile) -> Option<&'a str> {
        file.purpose.as_deref().or(self.vendor.can().upload.default_purpose)
    }
}

#[async_trait]
impl Multipart for OpenAi {
    fn applies(&self, file: &NewFile) -> bool {
        file.size > WHOLE || (file.size > 0 && self.connection.setting(VIA.key).is_some())
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn checksum(&self) -> Option<&'static str> {
        (self.connection.setting(MD5.key) == Some("true")).then_some("md5")
    }

    async fn begin(&self, file: &NewFile) -> Result<Session> {
        let mut about = json!({
            "bytes": file.size,
            "filename": file.name,
            "mime_type": file.content_type,
            "purpose": self.purpose(file),
        });
        if let Some(lifetime) = file.expires {
            about["expires_after"] = json!({ "anchor": "created_at", "seconds": lifetime.as_secs() });
        }
        let part_size = part_size(self.connection.setting(PART_SIZE.key), file.size)?;
        // Repeatable: an upload without parts stores no file.
        let request = self.upload_request(&[], Body::json(&about))?.repeatable();
        let begun = self.connection.http.json(&request, "upload").await;
        let mut begun: Fields = begun.map_err(|error| self.not_begun(file, error))?;
        let platform = self.vendor.spec.name;
        let id = begun.take_id(&["id"]);
        let id = id.ok_or_else(|| Error::platform(format!("{platform} returned an upload without an id")))?;
        // The difference does not depend on the platform's clock.
        let created = begun.take(&["created_at"], as_time);
        let life = begun.take(&["expires_at"], as_time).zip(created);
        let life = life.map(|(end, created)| end.duration_since(created));
        let life = life.filter(SignedDuration::is_positive).unwrap_or(LIFETIME);
        let expires_at = Some(later(self.connection.clock.now(), life));
        Ok(Session { id, secret: None, part_size, expires_at })
    }

    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String> {
        let body = form(vec![Part::piece("data", PART_NAME, part.piece(file))]);
        let request = self.upload_request(&[&session.id, "parts"], body)?.bulk().repeatable().retrying(409);
        let reply = self.connection.http.upload(&request, progress).await;
        let reply = reply.map_err(|error| self.rejected(session, error))?;
        let id = reply.json::<Fields>("part").ok().and_then(|mut part| part.take_id(&["id"]));
        id.ok_or_else(|| {
            Error::platform(format!("{} returned a part without an id", self.vendor.spec.name))
                .with_status(reply.status)
                .with_request_id(reply.request_id)
                .unanswered()
        })
    }

    async fn complete(
        &self,
        session: &Session,
        _file: &NewFile,
        tags: &[String],
        checksums: &Checksums,
    ) -> Result<File> {
        let mut about = json!({ "part_ids": tags });
        if let Some(md5) = self.checksum().and(checksums.md5.as_deref()) {
            about["md5"] = json!(md5);
        }
        let request = self.upload_request(&[&session.id, "complete"], Body::json(&about))?.retrying(409);
        let reply = self.connection.http.send(&request).await;
        let reply = reply.map_err(|error| self.rejected(session, error))?;
        // The request succeeded, so the file may exist even if the body is invalid.
        let read = reply.json("completed upload").and_then(|fields| self.completed(fields));
        read.map_err(|error| error.with_status(reply.status).with_request_id(reply.request_id))
    }

    async fn abort(&self, session: &Session) -> Result<()> {
        let request = self.upload_request(&[&session.id, "cancel"], Body::empty())?.repeatable();
        self.connection.http.send(&request).await.map(drop)
    }
}

impl OpenAi {
    /// The file of a completed upload. The file may omit its size, which the upload always has.
    fn completed(&self, mut upload: Fields) -> Result<File> {
        let size = upload.take(&["bytes"], as_count);
        let Some(Value::Object(file)) = upload.get("file").cloned() else {
            return Err(Error::platform(format!(
                "{} returned no file for the completed upload",
                self.vendor.spec.name
            )));
        };
        let file = self.file(Fields::from(file))?;
        Ok(File { size: file.size.or(size), ..file })
    }
}
