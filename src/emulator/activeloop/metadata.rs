//! `/files/{id}/metadata`: merges keys into a file's metadata.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::{SPACE, body, files, object};
use crate::emulator::fastapi::Refusal;
use crate::emulator::{Params, Site};
use crate::model::{File, Object};

/// The key that is an order for an AI and no metadata.
const INSTRUCTIONS: &str = "instructions";

pub(super) async fn update(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    body: Body,
) -> Result<Response, Refusal> {
    let mut update = body::receive(body).await?;
    let file = files::find(&site, &id, &params).await?;
    let instructions = update.shift_remove(INSTRUCTIONS);
    let replace = site.quirk("replace-metadata");
    let server = Arc::clone(&site);
    let changed = site.blocking(move |store| {
        store.annotate(SPACE, &file.id, |file: &mut File| {
            if replace {
                file.metadata = Object::new();
            }
            // A null is a value like any other.
            file.metadata.extend(update);
            if let Some(instructions) = &instructions {
                object::instruct(&server, file, instructions);
            }
            Ok(())
        })
    });
    Ok(Json(object::show(&site, &changed.await?)).into_response())
}
