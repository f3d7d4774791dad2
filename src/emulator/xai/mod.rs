//! xAI. Two dialects share its paths: `openai`, from the current documentation, and `gateway`, from the previous one.
//! With the default, `auto`, each request is handled in its own dialect.

mod files;
mod gateway;
mod public_url;
mod record;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::json;

use super::{Denied, Gate, Platform, Quirk, Site, ids};
use record::Refusal;

/// The xAI platform.
pub static XAI: Platform = Platform {
    name: "xai",
    base_path: "/v1",
    gate: Gate::BEARER,
    reads: &["/v1/files:download", "/v1/files/*/public-url"],
    dialects: &["auto", "openai", "gateway"],
    md5: false,
    quirks: &[
        Quirk {
            name: "final-token",
            value: "absent",
            help: "the last page of a listing has no token, as over gRPC",
        },
        Quirk { name: "ranges", value: "", help: "honors Range in downloads" },
        Quirk {
            name: "upload-limit",
            value: "BYTES",
            help: "rejects files above this size [default: 52428800]",
        },
        Quirk {
            name: "team",
            value: "ID",
            help: "keys belong to this team; requests for any other team return 404",
        },
    ],
    variables: |root, token| {
        let base = format!("{root}/v1");
        vec![
            ("XAI_BASE_URL", base.clone()),
            ("XAI_API_BASE", base.clone()),
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
        .route("/v1/files", get(files::list).post(files::upload))
        .route("/v1/files/{id}", get(files::info).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::download))
        .route("/v1/files/batch_upload", post(unimplemented))
        .route("/v1/files/batch_upload/{job}", post(unimplemented))
        .route("/v1/api-key", get(whoami))
        .route("/v1/me", get(whoami));
    if site.dialect != "openai" {
        files = files
            .route("/v1/files/{id}", put(gateway::update))
            .route("/v1/files:initialize", post(gateway::initialize))
            .route("/v1/files:uploadChunks", post(gateway::upload_chunks))
            .route("/v1/files:download", post(gateway::presign));
    }
    if site.dialect != "gateway" {
        files = files
            .route("/v1/files/{id}/public-url", post(public_url::create))
            .route("/v1/files/{id}/public-url/revoke", post(public_url::revoke));
    }
    site.protect(files, denied)
        .route("/files-cdn/{token}/{file}", get(public_url::fetch))
        .route("/storage/{id}", get(gateway::presigned))
        .layer(map_response(async |response: Response| identified(response)))
        .with_state(site)
}

/// Adds the request id that every response has.
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
    // For xAI, a wrong key is a bad request instead of a 401.
    Refusal::invalid(format!(
        "Incorrect API key provided: {}. You can obtain an API key from https://console.x.ai.",
        masked(key)
    ))
    .into_response()
}

/// Reveals only the first and last two characters of a key, and hides a short key completely.
fn masked(key: &str) -> String {
    let characters: Vec<char> = key.chars().collect();
    match characters.as_slice() {
        [a, b, middle @ .., y, z] if middle.len() > 4 => format!("{a}{b}***{y}{z}"),
        _ => "***".to_owned(),
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
        "team_id": record::team(&site),
        "acls": ["api-key:model:*", "api-key:endpoint:*"],
        "api_key_id": "ae1e1841-4326-4b36-a8a9-8a1a7237db11",
        "team_blocked": false,
        "api_key_blocked": false,
        "api_key_disabled": false,
    }))
    .into_response()
}

/// Batch operations. Their paths are documented, but their requests are not.
async fn unimplemented() -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "")
}
