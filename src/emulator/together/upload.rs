//! Uploads: registered files, whose content is sent to the storage, and single forms.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::files::{FILE_TYPE, about, object};
use super::records::{MAX_SIZE, REGISTERED, content_key, holder, note_content};
use super::{Service, sessions, storage};
use crate::emulator::body::{Announced, Upload};
use crate::emulator::openai::Refusal;
use crate::emulator::parts::UploadParts;
use crate::emulator::{Limits, Params, Site, Take, ids, media_type, receive, receive_text};
use crate::model::{File, FileId};
use crate::store::Blob;

/// Maximum size of a body without its file, in bytes.
const MAX_FIELDS: usize = 1024 * 1024;

const PURPOSES: [&str; 8] = [
    "fine-tune",
    "calibration",
    "eval",
    "batch-api",
    "eval-sample",
    "eval-output",
    "eval-summary",
    "batch-generated",
];
const TYPES: [&str; 3] = ["csv", "jsonl", "parquet"];

/// The fields of an upload.
#[derive(Default)]
pub(super) struct Fields {
    file_name: Option<String>,
    purpose: Option<String>,
    file_type: Option<String>,
    checksum: Option<String>,
}

impl Fields {
    pub(super) fn read<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name| value(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            file_name: text("file_name"),
            purpose: text("purpose"),
            file_type: text("file_type"),
            checksum: text("checksum"),
        }
    }

    /// The record of a new file.
    pub(super) fn record(&self, site: &Site) -> Result<File, Refusal> {
        let name = self.file_name.as_deref().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        if name.is_empty() {
            return Err(Refusal::invalid("file_name", "file_name is required"));
        }
        let purpose = self.purpose.as_deref().unwrap_or(PURPOSES[0]);
        if !PURPOSES.contains(&purpose) {
            return Err(Refusal::invalid("purpose", format!("invalid purpose: {purpose}")));
        }
        let by_name = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let by_name = TYPES.into_iter().find(|known| *known == by_name).unwrap_or("jsonl");
        let file_type = self.file_type.as_deref().unwrap_or(by_name);
        if !TYPES.contains(&file_type) {
            return Err(Refusal::invalid("file_type", format!("invalid file_type: {file_type}")));
        }
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.checksum.as_deref().is_some_and(|checksum| !is_digest(checksum)) {
            return Err(Refusal::invalid("checksum", "checksum must be a SHA-256 in hexadecimal"));
        }
        Ok(File {
            provider: site.platform.to_owned(),
            id: FileId(format!("file-{}", ids::uuid())),
            name: name.to_owned(),
            purpose: Some(purpose.to_owned()),
            created_at: Some(site.clock.now()),
            extra: [(FILE_TYPE.to_owned(), file_type.into())].into_iter().collect(),
            ..File::default()
        })
    }

    /// The error response for content that a file already has.
    pub(super) async fn refuse_known(&self, site: &Site, file: &File) -> Result<Option<Response>, Refusal> {
        let Some(checksum) = self.checksum.as_deref().map(str::to_ascii_lowercase) else { return Ok(None) };
        let key = content_key(site, &checksum, file);
        let found = site.blocking(move |store| store.transaction(|change| holder(change, &key))).await?;
        Ok(found.map(|id| {
            let message = "A file with the same content already exists.";
            let error =
                json!({ "message": message, "type": "invalid_request_error", "param": null, "code": null });
            // Without this header, the official client repeats the request.
            let headers = [(HeaderName::from_static("x-should-retry"), "false")];
            (StatusCode::CONFLICT, headers, Json(json!({ "error": error, "file_id": id }))).into_response()
        }))
    }
}

/// Stores a file whose content arrived with its fields or in the parts of the multipart upload `upload`, which then
/// ends. The check of the file begins immediately.
pub(super) async fn store(
    service: &Service,
    file: File,
    blob: Blob,
    upload: Option<String>,
) -> Result<Value, Refusal> {
    if blob.size == 0 {
        return Err(Refusal::invalid("file", "the file is empty"));
    }
    let site = Arc::clone(&service.site);
    let file = File { updated_at: Some(site.clock.now()), ..file };
    let stored = service.site.blocking(move |space| {
        let stored = space.transaction(|change| {
            if let Some(upload) = &upload
                && !change.forget(sessions::NOTE, upload)?
            {
                // Another request has completed it.
                return Ok(None);
            }
            let file = change.put(file, blob)?;
            note_content(&site, change, &file)?;
            Ok(Some(file))
        })?;
        if let Some(upload) = &upload {
            UploadParts::of(space, upload).remove();
        }
        Ok(stored)
    });
    let file = stored.await?.ok_or_else(sessions::missing)?;
    Ok(object(&service.site, &file))
}

/// `POST /v1/files`: registers a file. The fields may be in a form, a query or both. A form with a file is an upload.
pub(super) async fn register(
    State(service): State<Service>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let site = &service.site;
    let (fields, upload) = match media_type(&headers).as_str() {
        "multipart/form-data" => receive_form(site, &headers, body, &params).await?,
        "application/x-www-form-urlencoded" => {
            let text = receive_text::<Refusal>(body, MAX_FIELDS).await?;
            let form = Params::parse(&String::from_utf8_lossy(&text));
            (Fields::read(|name| form.get(name).or_else(|| params.get(name))), None)
        }
        _ => (Fields::read(|name| params.get(name)), None),
    };
    let file = fields.record(site)?;
    if let Some(refusal) = fields.refuse_known(site, &file).await? {
        return Ok(refusal);
    }
    if let Some(upload) = upload {
        return Ok(Json(store(&service, file, upload.blob, None).await?).into_response());
    }
    let url = storage::presign(&service, &headers, file.id.as_str());
    let (now, id) = (site.clock.now(), file.id.clone());
    let ends = storage::end(&service);
    let noted = site.blocking(move |store| {
        store.transaction(|change| {
            Announced::forget_expired(change, REGISTERED, now)?;
            let id = file.id.clone();
            Announced { file, ends }.put(change, REGISTERED, id.as_str())
        })
    });
    noted.await?;
    let headers = [(LOCATION, url), (HeaderName::from_static("x-together-file-id"), id.0)];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// `POST /v1/files/upload`: the file and its fields in one form.
pub(super) async fn form(
    State(service): State<Service>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let (fields, upload) = receive_form(&service.site, &headers, body, &params).await?;
    let upload = upload.ok_or_else(|| Refusal::invalid("file", "file is required"))?;
    Ok(Json(store(&service, fields.record(&service.site)?, upload.blob, None).await?))
}

async fn receive_form(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
    params: &Params,
) -> Result<(Fields, Option<Upload>), Refusal> {
    let received = receive(site, headers, body, Limits::form(MAX_SIZE), |_, head| {
        Ok::<_, Refusal>(if head.file_name.is_some() { Take::File } else { Take::Text })
    });
    let mut form = received.await?;
    let upload = form.take_files().pop();
    let mut fields = Fields::read(|name| form.text(name).or_else(|| params.get(name)));
    if let Some(upload) = &upload {
        fields.file_name = fields.file_name.or_else(|| upload.head.file_name.clone());
    }
    Ok((fields, upload))
}

/// `POST /v1/files/{id}/preprocess`: begins the check of a file. A check that has already begun is not restarted.
pub(super) async fn preprocess(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let (now, key) = (service.site.clock.now(), FileId(id.clone()));
    let changed = service.site.blocking(move |store| {
        store.annotate(&key, |file| {
            file.updated_at.get_or_insert(now);
            Ok(())
        })
    });
    Ok(Json(object(&service.site, &changed.await.map_err(about(&id))?)))
}
