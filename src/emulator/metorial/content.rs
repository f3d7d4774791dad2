//! What links lead to. No key is asked for: the URL is the secret. `Range` is not understood.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;

use super::Answer;
use super::files;
use super::links::{self, Link};
use super::problem::Problem;
use crate::emulator::{Content, Params, Sending, Site, content_disposition};
use crate::model::FileId;

/// `/files/{fileId}/{key}`, as in magnetar.
pub(super) async fn of_file(
    State(site): State<Arc<Site>>,
    Path(ids): Path<HashMap<String, String>>,
    params: Params,
    headers: HeaderMap,
) -> Answer<Response> {
    let id = |name: &str| ids.get(name).cloned().unwrap_or_default();
    let (file, key) = (FileId(id("file")), id("key"));
    let links = site.blocking(move |store| links::notes(store, Some(&file))).await?;
    let link = links.into_iter().find(|link| is_key_of(&site, link, &key));
    send(&site, link.ok_or_else(|| Problem::not_found("fileLink", &id("file")))?, &params, &headers).await
}

/// `/files/retrieve/{linkId}/{key}`, as in pulsar.
pub(super) async fn of_link(
    State(site): State<Arc<Site>>,
    Path(ids): Path<HashMap<String, String>>,
    params: Params,
    headers: HeaderMap,
) -> Answer<Response> {
    let id = |name: &str| ids.get(name).cloned().unwrap_or_default();
    let (wanted, key) = (id("link"), id("key"));
    let link = site.blocking(move |store| links::find(store, &wanted)).await?;
    let link = link.filter(|link| is_key_of(&site, link, &key));
    send(&site, link.ok_or_else(|| Problem::not_found("fileLink", &id("link")))?, &params, &headers).await
}

/// Compares in constant time: signatures are all of one length.
fn is_key_of(site: &Site, link: &Link, key: &str) -> bool {
    site.signer.verify(key, &site.signer.sign(&link.key))
}

async fn send(site: &Site, link: Link, params: &Params, headers: &HeaderMap) -> Answer<Response> {
    if link.expires_at.is_some_and(|end| end <= site.clock.now()) {
        return Err(Problem::bad_request("the link has expired"));
    }
    let content = files::found(Content::open(site, link.file()).await)?;
    let content = content.ok_or_else(|| Problem::not_found("fileDownload", link.file().as_str()))?;
    let kind = if params.has("download") { "attachment" } else { "inline" };
    let lasting = "public, max-age=31536000, immutable";
    let cached = if link.expires_at.is_some() { "private, no-store" } else { lasting };
    let content_type = content.file.content_type.clone().filter(|text| text.starts_with("image/"));
    let sending = Sending::default();
    let how = Sending {
        // Anything but an image must not open as what it says it is, on a page of this host.
        content_type: content_type.unwrap_or(sending.content_type),
        headers: vec![
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (CACHE_CONTROL, cached.to_owned()),
            (CONTENT_DISPOSITION, content_disposition(kind, &content.file.name)),
        ],
        ..Sending::default()
    };
    Ok(content.send(headers, how))
}
