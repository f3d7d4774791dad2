//! `PUT /v1/files/{id}`: new metadata or content. What the body holds is nowhere documented: this is what the sibling
//! call for documents takes, and a form with a file beside it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::dialect::Dialect;
use super::refusal::Refusal;
use super::{SPACE, check_team, gateway, record, upload};
use crate::emulator::{Params, Site, Take, receive};
use crate::model::{File, FileId, Object};
use crate::store::Blob;

/// What is to change. What is not there stays.
#[derive(Default)]
struct Change {
    team: Option<String>,
    name: Option<String>,
    content_type: Option<String>,
    path: Option<String>,
    content: Option<Blob>,
}

pub(super) async fn update(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let id = FileId(id);
    record::stat(&site, &id).await?;
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut change = if kind.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        from_form(&site, &headers, body).await?
    } else {
        from_message(&site, gateway::message(body).await?).await?
    };
    check_team(&site, change.team.as_deref())?;
    change.name.as_deref().map_or(Ok(()), record::check_name)?;
    let content = change.content.take();
    if content.is_none() && change.name.is_none() && change.content_type.is_none() && change.path.is_none() {
        return Err(Refusal::invalid("There is nothing to update"));
    }
    let about = Refusal::about(id.as_str());
    let file = site.blocking(move |store| {
        let apply = |file: &mut File| {
            change.apply(file);
            Ok(())
        };
        match content {
            None => store.annotate(SPACE, &id, apply),
            Some(content) => store.replace(SPACE, &id, content, |file| {
                record::complete(file);
                apply(file)
            }),
        }
    });
    let file = file.await.map_err(about)?;
    Ok(Json(Dialect::Gateway.show(&site, &headers, &file)).into_response())
}

impl Change {
    fn apply(&self, file: &mut File) {
        if let Some(name) = &self.name {
            file.name.clone_from(name);
        }
        file.content_type = self.content_type.clone().or(file.content_type.take());
        file.path = self.path.clone().or(file.path.take());
    }
}

async fn from_message(site: &Site, mut message: Object) -> Result<Change, Refusal> {
    let text = |name| gateway::text(&message, name).map(|value| value.map(str::to_owned));
    let mut change = Change {
        team: text("team_id")?,
        name: text("name")?,
        content_type: text("content_type")?,
        path: text("file_path")?,
        content: None,
    };
    if gateway::text(&message, "data")?.is_some()
        && let Some(serde_json::Value::String(data)) = message.remove("data")
    {
        if data.len() as u64 / 4 * 3 > upload::limit(site).saturating_add(2) {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ""));
        }
        let content = site.blocking(move |store| {
            let mut incoming = store.receive()?;
            match gateway::decode(&data, &mut incoming)? {
                Ok(()) => incoming.finish().map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            }
        });
        change.content = Some(content.await??);
    }
    Ok(change)
}

async fn from_form(site: &Site, headers: &HeaderMap, body: Body) -> Result<Change, Refusal> {
    let form = receive::<Refusal>(site, headers, body, upload::limits(site), |before, head| {
        match head.name.as_str() {
            "file" if before.has_file() => Err(Refusal::invalid("Only one file can be uploaded at a time")),
            "file" => Ok(Take::File),
            "team_id" | "name" | "content_type" | "file_path" => Ok(Take::Text),
            _ => Ok(Take::Nothing),
        }
    });
    let mut form = form.await?;
    let content = form.take_files().pop().map(|upload| upload.blob);
    let text = |name| form.text(name).map(str::to_owned);
    Ok(Change {
        team: text("team_id"),
        name: text("name"),
        content_type: text("content_type"),
        path: text("file_path"),
        content,
    })
}
