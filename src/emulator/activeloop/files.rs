//! One file: its object, its bytes, its end.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::SPACE;
use super::object::{self, DEFAULT_WORKSPACE};
use crate::emulator::fastapi::Refusal;
use crate::emulator::{Content, Params, Sending, Site, content_disposition};
use crate::model::{File, FileId};

/// A file, if it is in the workspace that the query names.
pub(super) async fn find(site: &Site, id: &str, params: &Params) -> Result<File, Refusal> {
    let id = FileId(id.to_owned());
    let file = site.blocking(move |store| store.stat(SPACE, &id)).await?;
    if object::workspace(&file) != params.get("workspace").unwrap_or(DEFAULT_WORKSPACE) {
        return Err(Refusal::missing("File"));
    }
    Ok(file)
}

pub(super) async fn info(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    Ok(Json(object::show(&site, &file)).into_response())
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    site.blocking(move |store| store.delete(SPACE, &file.id)).await?;
    Ok(Json(json!({ "id": id, "object": "file", "deleted": true })).into_response())
}

pub(super) async fn content(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let file = find(&site, &id, &params).await?;
    let content = Content::open(&site, &file.id).await?;
    let ranges = site.quirk("ranges");
    let how = Sending {
        ranges,
        etag: file.checksums.sha256.filter(|_| ranges),
        content_type: mime_guess::from_path(&file.name).first_or_octet_stream().to_string(),
        headers: vec![(CONTENT_DISPOSITION, content_disposition("attachment", &file.name))],
        ..Sending::default()
    };
    Ok(content.send(&headers, how))
}
