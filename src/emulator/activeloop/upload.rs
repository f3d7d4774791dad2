//! `POST /files`: one or many files, the fields beside them in any order.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::object::{self, DEFAULT_WORKSPACE};
use super::{SPACE, refusal, workspaces};
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::{Form, Head, Limits, Site, Take, receive};
use crate::error::Result as StoreResult;
use crate::model::{File, Object};

/// Bytes of a request: what the proxy of a self-hosted service lets through.
const LIMIT: u64 = 512 * 1024 * 1024;

pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let limit = site.quirk_value("upload-limit").and_then(|bytes| bytes.parse().ok()).unwrap_or(LIMIT);
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // FastAPI looks for fields in forms only, and finds none in another body.
    if !kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err(Problem::missing(["body", "file"]).input(Value::Null).into());
    }
    let limits = Limits { file: Some(limit), body: Some(limit) };
    let mut form = receive(&site, &headers, body, limits, decide).await.map_err(refusal::of_body)?;
    let uploads = form.take_files();
    if uploads.is_empty() {
        return Err(Problem::missing(["body", "file"]).input(Value::Null).into());
    }
    let purpose = form.text("purpose").unwrap_or("user_data").to_owned();
    object::check_purpose("body", &purpose)?;
    let metadata = metadata(form.text("metadata"))?;
    let workspace = form.text("workspace").unwrap_or(DEFAULT_WORKSPACE).to_owned();
    let instructions = form.text("instructions").filter(|text| !text.is_empty()).map(Value::from);
    let new = uploads.into_iter().map(|upload| {
        let name = upload.head.file_name.unwrap_or_default();
        let mut file = File {
            content_type: upload.head.content_type,
            purpose: Some(purpose.clone()),
            metadata: metadata.clone(),
            ..object::new(&site, name, &workspace)
        };
        if let Some(instructions) = &instructions {
            object::instruct(&site, &mut file, instructions);
        }
        (file, upload.blob)
    });
    let new: Vec<_> = new.collect();
    let stored = site.blocking(move |store| {
        store.transaction(SPACE, |change| {
            if !workspaces::exists(change, &workspace)? {
                return Ok(None);
            }
            let stored = new.into_iter().map(|(file, blob)| change.put(file, blob));
            stored.collect::<StoreResult<Vec<_>>>().map(Some)
        })
    });
    let stored = stored.await?.ok_or_else(|| Refusal::missing("Workspace"))?;
    let stored: Vec<Value> = stored.iter().map(object::show_new).collect();
    Ok(Json(match stored.as_slice() {
        [file] => file.clone(),
        _ if site.quirk("upload-envelope") => json!({ "object": "list", "data": stored }),
        _ => stored.into(),
    })
    .into_response())
}

/// What becomes of a part: fields of other names are ignored, `files` among them.
fn decide(_: &Form, head: &Head) -> Result<Take, Refusal> {
    match (head.name.as_str(), head.file_name.as_deref()) {
        ("file", None | Some("")) => {
            let message = "Value error, Expected UploadFile, received: <class 'str'>";
            Err(Problem::new(("body", "file", 0), "value_error", message).input("").into())
        }
        ("file", Some(_)) => Ok(Take::File),
        ("purpose" | "metadata" | "instructions" | "workspace", None) => Ok(Take::Text),
        _ => Ok(Take::Nothing),
    }
}

/// Metadata comes as JSON in a text field.
fn metadata(text: Option<&str>) -> Result<Object, Refusal> {
    match text.map(str::trim) {
        None | Some("") => Ok(Object::new()),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(metadata)) => Ok(metadata),
            Ok(Value::Null) => Ok(Object::new()),
            _ => Err(Refusal::bad_request("Invalid metadata: not a JSON object")),
        },
    }
}
