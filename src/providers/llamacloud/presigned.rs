//! Presigned URLs: the bytes themselves never pass through the API.

use super::wire::PresignedUrl;
use super::{DOWNLOAD_LINK, LlamaCloud};
use crate::error::{Error, Kind, Result};
use crate::http::{ContentStream, Range, Request};
use crate::model::FileId;

impl LlamaCloud {
    /// Asks for a URL of the bytes that lives so many seconds, or as long as the platform likes.
    pub(super) async fn presigned_url(&self, id: &FileId, seconds: Option<i64>) -> Result<PresignedUrl> {
        let request = Request::get(self.files(&[id.as_str(), "content"])?);
        self.call(request.maybe_query("expires_at_seconds", seconds), "presigned URL").await
    }

    /// Opens the bytes through a URL made just for that.
    pub(super) async fn fetch(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let url = self.presigned_url(id, Some(DOWNLOAD_LINK)).await?;
        self.connection.http.content(&url.fetch()?.range(range)).await.map_err(refused_by_store)
    }
}

/// A refusal by the object store is about its URL, not about the token, which it never saw.
pub(super) fn refused_by_store(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403)) => Error::platform("llamacloud's object store refused its presigned URL")
            .caused_by(error)
            .with_status(status),
        _ => error,
    }
}

/// Whether it was the object store that refused, not the API, whose refusals are of another kind.
pub(super) fn is_refused(error: &Error) -> bool {
    error.kind() == Kind::Platform && matches!(error.status(), Some(401 | 403))
}
