//! Public URLs, which only the openai dialect has.

use jiff::SignedDuration;
use serde_json::json;

use super::Xai;
use super::wire::{PublicUrl, Revoked};
use crate::error::{Error, Message, Result};
use crate::filter::{Comparison, Expr, Filter, Op, Value};
use crate::http::{Body, Request};
use crate::model::{File, FileId, Link};
use crate::providers::{Provider, lenient};

/// The current public URL of a file.
pub(super) fn public_url(file: &File) -> Option<Link> {
    let expires_at = file.extra.get("public_url_expires_at").and_then(lenient::as_time);
    Some(Link { id: None, url: file.url.clone()?, expires_at })
}

/// The filter for files with a public URL.
pub(super) fn has_public_url() -> Filter {
    let comparison = Comparison { field: "url".to_owned(), op: Op::Ne, value: Value::Null };
    Filter { expr: Expr::Compare(comparison) }
}

impl Xai {
    /// Creates a file's public URL, or changes the lifetime of the existing one.
    pub(super) async fn create_public_url(
        &self,
        id: &FileId,
        lifetime: Option<SignedDuration>,
    ) -> Result<Link> {
        let body = match lifetime {
            Some(lifetime) => json!({ "expires_after": lifetime.as_secs() }),
            None => json!({}),
        };
        let url = self.connection.url(&["files", id.as_str(), "public-url"])?;
        let request = Request::post(url, Body::json(&body)).repeatable();
        let reply: PublicUrl = self.connection.http.json(&request, "public URL").await?;
        Ok(reply.into())
    }

    /// Revokes the public URL. The platform returns `revoked: false` if the URL or the file does not exist.
    pub(super) async fn revoke_public_url(&self, id: &FileId, link: Option<&str>) -> Result<()> {
        if let Some(link) = link {
            let current = self.stat(id).await?.url;
            if current.as_deref() != Some(link) {
                return Err(Error::not_found(Message::file(
                    id,
                    &format!(": the file has no public URL {link}"),
                )));
            }
        }
        let url = self.connection.url(&["files", id.as_str(), "public-url", "revoke"])?;
        let reply: Revoked =
            self.connection.http.json(&Request::post(url, Body::empty()), "revocation").await?;
        if reply.revoked {
            Ok(())
        } else {
            Err(Error::not_found(Message::file(id, ": the file has no public URL")))
        }
    }
}
