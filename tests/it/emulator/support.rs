//! An example platform.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use haul::emulator::{
    Content, Denied, Gate, Limits, Params, Platform, Quirk, Refused, Sending, Site, Take, ids, receive,
    receive_json, receive_raw,
};
use haul::error::Kind;
use haul::model::{File, FileId};
use haul::store::Listing;
use serde_json::{Value, json};

use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form};

/// The maximum size of a file on the example platform.
pub const LIMIT: u64 = 3_000_000;

static EXAMPLE: Platform = Platform {
    name: "example",
    base_path: "/v1",
    gate: Gate { schemes: &["Bearer", "Token"], ..Gate::BEARER },
    reads: &[],
    dialects: &["plain", "fancy"],
    md5: true,
    quirks: &[Quirk { name: "ranges", value: "", help: "honors ranges" }],
    variables: |root, token| {
        vec![("EXAMPLE_BASE_URL", format!("{root}/v1")), ("EXAMPLE_TOKEN", token.to_owned())]
    },
    routes: |site| {
        Router::new()
            .route("/v1/files", post(upload).get(list))
            .route("/v1/files/{id}", get(stat))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/raw", post(raw))
            .route("/v1/json", post(echo))
            .route("/v1/panic", get(broken))
            .with_state(site)
    },
    error: |_, status, message| {
        let message = if message.is_empty() { "unknown route or method" } else { message };
        (status, Json(json!({ "detail": message }))).into_response()
    },
};

static PLATFORMS: [&Platform; 1] = [&EXAMPLE];

fn refused<E: Into<String>>(site: &Site, refused: Refused<E>) -> Response {
    let (status, message) = match refused {
        Refused::Malformed(why) => (StatusCode::BAD_REQUEST, why),
        Refused::TooLarge(limit) => (StatusCode::PAYLOAD_TOO_LARGE, format!("more than {limit}")),
        Refused::Rule(why) => (StatusCode::UNPROCESSABLE_ENTITY, why.into()),
        Refused::Store(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    (EXAMPLE.error)(site, status, &message)
}

fn failed(site: &Site, error: &haul::error::Error) -> Response {
    let status = match error.kind() {
        Kind::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (EXAMPLE.error)(site, status, error.message())
}

async fn upload(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    if let Err(denied) = site.check(&headers, &uri) {
        let why = if matches!(denied, Denied::Wrong(_)) { "Wrong" } else { "Missing" };
        return (EXAMPLE.error)(&site, StatusCode::UNAUTHORIZED, why);
    }
    let limits = Limits { file: Some(LIMIT), body: Some(LIMIT + 3_000_000) };
    let form =
        receive(&site, &headers, body, limits, |before, head| match (head.name.as_str(), &head.file_name) {
            ("file", None) => Err("a file without a name"),
            ("file", Some(_)) => Ok(Take::File),
            ("lifetime", _) if before.has_file() => Err("the lifetime must precede the file"),
            ("ignored", _) => Ok(Take::Nothing),
            _ => Ok(Take::Text),
        });
    let mut form = match form.await {
        Ok(form) => form,
        Err(why) => return refused(&site, why),
    };
    let texts: Vec<_> = form.texts().map(|(name, value)| json!([name, value])).collect();
    let mut stored = Vec::new();
    for upload in form.take_files() {
        let file = File {
            id: FileId(ids::hex(16)),
            name: upload.head.file_name.unwrap_or_default(),
            content_type: upload.head.content_type,
            ..File::default()
        };
        match site.blocking(move |store| store.put(file, upload.blob)).await {
            Ok(file) => stored.push(show(&file)),
            Err(error) => return failed(&site, &error),
        }
    }
    let first = stored.first().and_then(|file| file["id"].as_str()).unwrap_or_default();
    let url = format!("{}/v1/files/{first}", site.root(&headers));
    Json(json!({ "files": stored, "texts": texts, "url": url, "dialect": site.dialect })).into_response()
}

fn show(file: &File) -> Value {
    json!({
        "id": file.id, "name": file.name, "type": file.content_type, "size": file.size,
        "sha256": file.checksums.sha256, "md5": file.checksums.md5,
    })
}

async fn list(State(site): State<Arc<Site>>, params: Params) -> Response {
    let wanted: Vec<_> = params.all("name").into_iter().map(str::to_owned).collect();
    match site.blocking(|store| store.list(&Listing::default())).await {
        Ok(files) => {
            let files = files.iter().filter(|file| wanted.is_empty() || wanted.contains(&file.name));
            Json(files.map(show).collect::<Vec<_>>()).into_response()
        }
        Err(error) => failed(&site, &error),
    }
}

async fn stat(State(site): State<Arc<Site>>, UrlPath(id): UrlPath<String>) -> Response {
    match site.blocking(move |store| store.stat(&FileId(id))).await {
        Ok(file) => Json(show(&file)).into_response(),
        Err(error) => failed(&site, &error),
    }
}

async fn content(
    State(site): State<Arc<Site>>,
    UrlPath(id): UrlPath<String>,
    headers: HeaderMap,
) -> Response {
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let etag = content.file.checksums.sha256.clone();
            let headers_too = vec![(ETAG, "\"not this one\"".to_owned())];
            let ranges = site.quirk("ranges");
            let how = if ranges {
                Sending::default()
            } else {
                Sending { headers: headers_too, ..Sending::default() }
            };
            content.send(&headers, Sending { ranges, etag: etag.filter(|_| ranges), ..how })
        }
        Err(error) => failed(&site, &error),
    }
}

async fn raw(State(site): State<Arc<Site>>, headers: HeaderMap, body: Body) -> Response {
    let blob = match receive_raw(&site, &headers, body, None).await {
        Ok(blob) => blob,
        Err(why) => return refused::<String>(&site, why),
    };
    let file = File { id: FileId(ids::uuid()), ..File::default() };
    match site.blocking(move |store| store.put(file, blob)).await {
        Ok(file) => Json(show(&file)).into_response(),
        Err(error) => failed(&site, &error),
    }
}

async fn echo(State(site): State<Arc<Site>>, body: Body) -> Response {
    match receive_json(body, 1000).await {
        Ok(value) => Json(value).into_response(),
        Err(why) => refused::<String>(&site, why),
    }
}

async fn broken() -> Response {
    panic!("a bug in the handler")
}

/// The example platform.
pub const SETUP: Setup = Setup { platform: "example", platforms: Some(&PLATFORMS), ..Setup::DEFAULT };

/// Shorthands for requests to this platform.
pub trait Calls {
    /// Uploads one file.
    fn upload(&self, name: &str, content: &[u8]) -> Answer;

    /// The number of files.
    fn count(&self) -> usize;
}

impl Calls for Emulator {
    fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let body = form(&[(&format!("name=\"file\"; filename=\"{name}\""), content)]);
        self.ask("POST", "/example/v1/files", &[FORM, BEARER], &body)
    }

    fn count(&self) -> usize {
        self.store.list("example", &Listing::default()).unwrap().len()
    }
}

pub const BEARER: &str = "Authorization: Bearer secret";

/// The id of the first file in the response to an upload.
pub fn first_id(answer: &Answer) -> String {
    answer.json()["files"][0]["id"].as_str().unwrap().to_owned()
}
