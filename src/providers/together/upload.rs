//! Uploads in three steps, or in one form.

use std::sync::Arc;

use url::Url;

use super::wire::{FORMAT, file_type, into_file};
use super::{DEFAULT_PURPOSE, Together};
use crate::error::{Error, Result};
use crate::http::{Body, Part, Reply, Request, form};
use crate::model::{File, FileId, NewFile};
use crate::progress::Progress;
use crate::providers::lenient::{Fields, as_id};

/// A registered file.
struct Registered {
    id: FileId,
    /// The presigned URL at which to store the content.
    url: Url,
}

impl Together {
    /// Registers a file, stores its content at a presigned URL and requests the check of the content. Each step may be
    /// repeated: a registered file without content is not stored, and checking a file again has the same result.
    pub(super) async fn upload_presigned(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let registered = match self.register(file).await {
            // The server supports only the form.
            Err(error) if matches!(error.status(), Some(404 | 405)) => {
                let uploaded = self.upload_form(file, progress).await;
                return uploaded
                    .map_err(|other| if other.status() == error.status() { error } else { other });
            }
            registered => registered?,
        };
        let stored = match self.store(file, &registered, Arc::clone(&progress)).await {
            // The URL has expired.
            Err(error) if error.status() == Some(403) => {
                let registered = self.register(file).await?;
                self.store(file, &registered, progress).await.map(|()| registered)
            }
            stored => stored.map(|()| registered),
        };
        self.preprocess(&stored.map_err(refused_by_storage)?.id).await
    }

    /// The fields of an upload, in the order of the official client.
    pub(super) fn fields(file: &NewFile) -> Vec<(&'static str, &str)> {
        let mut fields =
            vec![("purpose", file.purpose.as_deref().unwrap_or(DEFAULT_PURPOSE)), ("file_name", &file.name)];
        fields.extend(file_type(&file.name).map(|kind| ("file_type", kind)));
        fields.extend(file.sha256.as_deref().map(|digest| ("checksum", digest)));
        fields
    }

    /// Registers a file. The response is a redirect to the storage, which is not followed.
    async fn register(&self, file: &NewFile) -> Result<Registered> {
        let parts = Self::fields(file).into_iter().map(|(key, value)| Part::text(key, value)).collect();
        let request =
            Request::post(self.connection.url(&["files"])?, form(parts)).repeatable().expecting(302);
        let reply = self.connection.http.send(&request).await?;
        let id = reply.header("x-together-file-id").and_then(|id| as_id(&id.into()));
        let invalid = |what: &str| {
            Error::platform(format!("together returned no {what} for the upload"))
                .with_status(reply.status)
                .with_request_id(reply.request_id.clone())
        };
        reply.acknowledges("upload")?;
        let url = reply.header("location").ok_or_else(|| invalid("URL"))?;
        Ok(Registered { url: self.presigned(url)?, id: FileId(id.ok_or_else(|| invalid("file id"))?) })
    }

    async fn store(
        &self,
        file: &NewFile,
        registered: &Registered,
        progress: Arc<dyn Progress>,
    ) -> Result<()> {
        let body = Body::raw(&file.source, file.size, None);
        let put = Request::put(registered.url.clone(), body).anonymous().bulk().repeatable();
        self.connection.http.upload(&put, progress).await?.acknowledges("upload")
    }

    /// Requests the check of a file's content.
    pub(super) async fn preprocess(&self, id: &FileId) -> Result<File> {
        let url = self.connection.url(&["files", id.as_str(), "preprocess"])?;
        let request = Request::post(url, Body::empty()).repeatable();
        self.read(&self.connection.http.send(&request).await?)
    }

    /// Uploads in one form, without a checksum, so the platform stores the content again even if it already has it.
    pub(super) async fn upload_form(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let fields = Self::fields(file).into_iter().filter(|(key, _)| *key != "checksum");
        let mut parts: Vec<Part> = fields.map(|(key, value)| Part::text(key, value)).collect();
        parts.push(Part::file("file", file));
        let request = Request::post(self.connection.url(&["files", "upload"])?, form(parts)).bulk();
        self.read(&self.connection.http.upload(&request, progress).await?)
    }

    /// The file in a response. The request succeeded, so the file may exist even if the response cannot be read.
    fn read(&self, reply: &Reply) -> Result<File> {
        let fields: Fields = reply.json("uploaded file")?;
        into_file(fields, &self.connection.profile).map_err(|error| error.with_status(reply.status))
    }
}

/// Converts a rejection by the storage: the reason is the URL, not the token, which the storage never receives.
pub(super) fn refused_by_storage(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403)) => {
            Error::platform(format!("{}'s storage rejected the upload URL", FORMAT.platform))
                .caused_by(error)
                .with_status(status)
        }
        _ => error,
    }
}
