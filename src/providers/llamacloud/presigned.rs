//! Presigned URLs: the bytes themselves never pass through the API.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::wire::{text, time};
use super::{DOWNLOAD_LINK, LlamaCloud};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Content, Part, Range, Request, form};
use crate::model::{FileId, Link, NewFile, Object};

/// A URL of an object store that does one thing for a while without a token.
#[derive(Deserialize)]
pub(super) struct PresignedUrl {
    url: String,
    expires_at: Option<Value>,
    /// For a form that is posted: its fields, in order.
    form_fields: Option<Object>,
    /// The file it will be, where it was made to upload one.
    pub(super) file_id: Option<String>,
}

impl PresignedUrl {
    /// Whether it takes a form instead of a bare GET or PUT.
    fn is_form(&self) -> bool {
        self.form_fields.as_ref().is_some_and(|fields| !fields.is_empty())
    }

    /// The request that gives the bytes.
    fn fetch(&self) -> Result<Request> {
        let url = self.parsed()?;
        let request = if self.is_form() {
            Request::post(url, form(self.fields())).repeatable()
        } else {
            Request::get(url)
        };
        Ok(request.anonymous().bulk())
    }

    /// The request that stores the bytes of `file`. A store refuses a content type that was not signed, and ignores
    /// what follows the file in a form. It may go again: the place is the same.
    pub(super) fn store(&self, file: &NewFile) -> Result<Request> {
        let url = self.parsed()?;
        let request = if self.is_form() {
            let mut parts = self.fields();
            parts.push(Part::file("file", file));
            Request::post(url, form(parts))
        } else {
            Request::put(url, Body::raw(&file.source, file.size, None))
        };
        Ok(request.anonymous().bulk().repeatable())
    }

    /// The link that it is, unless it is a form.
    pub(super) fn into_link(self) -> Option<Link> {
        let expires_at = self.expires_at.as_ref().and_then(time);
        (!self.is_form()).then_some(Link { id: None, expires_at, url: self.url })
    }

    fn fields(&self) -> Vec<Part> {
        let fields = self.form_fields.iter().flatten();
        fields
            .map(|(name, value)| Part::text(name, text(value).unwrap_or_else(|| value.to_string())))
            .collect()
    }

    /// The URL, never shown in an error: who has it has the file.
    fn parsed(&self) -> Result<Url> {
        match Url::parse(&self.url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(Error::platform("llamacloud gave a presigned URL that is not an http URL")),
        }
    }
}

impl LlamaCloud {
    /// Asks for a URL of the bytes that lives so many seconds, or as long as the platform likes.
    pub(super) async fn presigned_url(&self, id: &FileId, seconds: Option<i64>) -> Result<PresignedUrl> {
        let request = Request::get(self.files(&[id.as_str(), "content"])?);
        self.call(request.maybe_query("expires_at_seconds", seconds), "presigned URL").await
    }

    /// Opens the bytes through a URL made just for that.
    pub(super) async fn fetch(&self, id: &FileId, range: Option<Range>) -> Result<Content> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_goes_without_the_token_and_only_over_http() {
        let url = |text: &str| PresignedUrl {
            url: text.into(),
            expires_at: None,
            form_fields: None,
            file_id: None,
        };
        assert!(url("https://s/x?sig=1").fetch().unwrap().anonymous);
        assert!(url("https://s/x?sig=1").store(&NewFile::from_bytes("n", "x")).unwrap().anonymous);
        for odd in ["", "/x?sig=secret", "file:///etc/passwd?sig=secret", "data:,secret"] {
            let error = url(odd).fetch().unwrap_err();
            assert_eq!(error.kind(), Kind::Platform, "{odd}");
            assert!(!error.to_string().contains("secret"), "{odd}");
        }
    }
}
