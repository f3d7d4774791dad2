//! Downloads through presigned URLs, because the API itself does not serve bytes.

use super::wire::PresignedUrl;
use super::{DOWNLOAD_LINK, LlamaCloud};
use crate::error::{Error, Kind, Result};
use crate::http::{ContentStream, Range, Request};
use crate::model::FileId;

impl LlamaCloud {
    /// Requests a presigned URL for the content that is valid for `seconds` or, if `None`, for the platform's default
    /// time.
    pub(super) async fn presigned_url(&self, id: &FileId, seconds: Option<i64>) -> Result<PresignedUrl> {
        let request = Request::get(self.files(&[id.as_str(), "content"])?);
        self.call(request.maybe_query("expires_at_seconds", seconds), "presigned URL").await
    }

    /// Opens the bytes through a URL created for this download.
    pub(super) async fn fetch(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let url = self.presigned_url(id, Some(DOWNLOAD_LINK)).await?;
        self.connection.http.content(&url.fetch()?.range(range)).await.map_err(refused_by_store)
    }
}

/// Converts a rejection by the object store. The problem is the URL, not the token, which the store never receives.
pub(super) fn refused_by_store(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403)) => Error::platform("llamacloud's object store rejected the presigned URL")
            .caused_by(error)
            .with_status(status),
        _ => error,
    }
}

/// Whether the object store rejected the request. Rejections by the API have a different kind.
pub(super) fn is_refused(error: &Error) -> bool {
    error.kind() == Kind::Platform && matches!(error.status(), Some(401 | 403))
}
