//! xAI. Two dialects share its paths: `openai`, which its documents describe today, and `gateway`, which they described
//! before. In `auto`, the default, each request is answered in the dialect that it is written in.

mod chunks;
mod content;
mod dialect;
mod filter;
mod gateway;
mod list;
mod public_url;
mod record;
mod refusal;
mod update;
mod upload;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::json;

use super::{Denied, Gate, Params, Platform, Quirk, Site, ids};
use crate::model::FileId;
use dialect::Dialect;
use refusal::Refusal;

/// The platform, and its space in the store.
const SPACE: &str = "xai";
/// The team that every key belongs to, unless the quirk `team` says another.
const TEAM: &str = "3d1bd8a8-6a52-4c0f-9e6d-0f2b6a4f7c11";

/// xAI.
pub static XAI: Platform = Platform {
    name: SPACE,
    base_path: "/v1",
    dialects: &["auto", "openai", "gateway"],
    md5: false,
    quirks: &[
        Quirk {
            name: "final-token",
            value: "absent",
            help: "the last page of a listing has no token, as over gRPC",
        },
        Quirk { name: "ranges", value: "", help: "honours Range in downloads" },
        Quirk { name: "upload-limit", value: "BYTES", help: "refuses larger files (52428800)" },
        Quirk { name: "team", value: "ID", help: "keys belong to this team, and another is not found" },
    ],
    variables: |root, token| {
        let base = format!("{root}/v1");
        vec![
            ("XAI_BASE_URL", base.clone()),
            ("XAI_API_KEY", token.to_owned()),
            ("OPENAI_BASE_URL", base),
            ("OPENAI_API_KEY", token.to_owned()),
        ]
    },
    routes,
    error: |_, status, message| identified(Refusal::new(status, message).into_response()),
};

fn routes(site: Arc<Site>) -> Router {
    let mut files = Router::new()
        .route("/v1/files", get(list::list).post(upload::upload))
        .route("/v1/files/{id}", get(info).delete(delete))
        .route("/v1/files/{id}/content", get(content::download))
        .route("/v1/files/batch_upload", post(unimplemented))
        .route("/v1/files/batch_upload/{job}", post(unimplemented))
        .route("/v1/api-key", get(whoami))
        .route("/v1/me", get(whoami));
    if site.dialect != "openai" {
        files = files
            .route("/v1/files/{id}", put(update::update))
            .route("/v1/files:initialize", post(chunks::initialize))
            .route("/v1/files:uploadChunks", post(chunks::upload))
            .route("/v1/files:download", post(content::presign));
    }
    if site.dialect != "gateway" {
        files = files
            .route("/v1/files/{id}/public-url", post(public_url::create))
            .route("/v1/files/{id}/public-url/revoke", post(public_url::revoke));
    }
    Gate::BEARER
        .protect(files, &site, denied)
        .route("/files-cdn/{token}/{file}", get(public_url::fetch))
        .route("/storage/{id}", get(content::presigned))
        .layer(map_response(async |response: Response| identified(response)))
        .with_state(site)
}

/// Says a request id, as every answer does.
fn identified(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::try_from(ids::uuid()) {
        response.headers_mut().entry("x-request-id").or_insert(id);
    }
    response
}

fn denied(_: &Site, denied: &Denied) -> Response {
    let Denied::Wrong(key) = denied else {
        let message = "No credentials were provided. Use the header `Authorization: Bearer <API key>`.";
        return Refusal::new(StatusCode::UNAUTHORIZED, message).into_response();
    };
    // A wrong key is a bad request here, and no 401.
    Refusal::invalid(format!(
        "Incorrect API key provided: {}. You can obtain an API key from https://console.x.ai.",
        masked(key)
    ))
    .into_response()
}

/// A key of which only its first and last two characters show; `***` where that would be half of it.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    match characters.as_slice() {
        [a, b, middle @ .., y, z] if middle.len() > 4 => format!("{a}{b}***{y}{z}"),
        _ => "***".to_owned(),
    }
}

/// The key's team.
fn team(site: &Site) -> &str {
    site.quirk_value("team").unwrap_or(TEAM)
}

/// Refuses another team than the key's where the quirk `team` names it; else every team is the key's.
fn check_team(site: &Site, asked: Option<&str>) -> Result<(), Refusal> {
    match (asked, site.quirk_value("team")) {
        (Some(asked), Some(team)) if !asked.is_empty() && asked != team => {
            Err(Refusal::new(StatusCode::NOT_FOUND, &format!("Team {asked} not found")))
        }
        _ => Ok(()),
    }
}

async fn whoami(State(site): State<Arc<Site>>) -> Response {
    let by = "9f0c2a5e-1f0b-4a55-8a37-5b1c0f4b2e6d";
    Json(json!({
        "redacted_api_key": "xai-...b14o",
        "user_id": by,
        "name": "emulated key",
        "create_time": "2026-01-01T00:00:00.000000Z",
        "modify_time": "2026-01-01T00:00:00.000000Z",
        "modified_by": by,
        "team_id": team(&site),
        "acls": ["api-key:model:*", "api-key:endpoint:*"],
        "api_key_id": "ae1e1841-4326-4b36-a8a9-8a1a7237db11",
        "team_blocked": false,
        "api_key_blocked": false,
        "api_key_disabled": false,
    }))
    .into_response()
}

async fn info(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: axum::http::HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let file = record::stat(&site, &FileId(id)).await?;
    Ok(Json(Dialect::of(&site, &params).show(&site, &headers, &file)).into_response())
}

async fn delete(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let file = FileId(id.clone());
    site.blocking(move |store| store.delete(SPACE, &file)).await.map_err(Refusal::about(&id))?;
    Ok(match Dialect::of(&site, &params) {
        Dialect::OpenAi => Json(json!({ "id": id, "deleted": true, "object": "file" })),
        Dialect::Gateway => Json(json!({})),
    }
    .into_response())
}

/// Batches: the paths are known, their requests are not.
async fn unimplemented() -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "")
}
