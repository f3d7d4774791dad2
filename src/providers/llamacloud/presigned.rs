//! The legacy upload: announce a file, store its bytes at a presigned URL, ask what became of it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::wire::{FileReply, PresignedUrl};
use super::{LlamaCloud, Mark};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Request};
use crate::model::{File, NewFile, Object};
use crate::progress::Progress;

/// The settings that only `FileCreate` has a place for; the last two are JSON objects.
const TEXTS: [&str; 3] = ["last_modified_at", "data_source_id", "storage_type"];
const OBJECTS: [&str; 2] = ["resource_info", "permission_info"];

impl LlamaCloud {
    /// Uploads in three steps. Where the bytes cannot be stored, the announced file is taken back.
    pub(super) async fn upload_presigned(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        if file.purpose.is_some() {
            return Err(Error::new(Kind::Unsupported, "llamacloud via=presigned has no place for a purpose")
                .hint("leave out `--purpose` or `--set via=presigned`")
                .about(file.name.clone()));
        }
        let create = Body::json(&Value::Object(self.file_create(file)?));
        let announced: PresignedUrl =
            self.call(Request::put(self.legacy(&[])?, create), "presigned URL").await?;
        let Some(id) = announced.file_id.as_deref() else {
            return Err(Error::platform("llamacloud gave a presigned URL without the id of its file")
                .about(file.name.clone()));
        };
        let at = self.legacy(&[id])?;
        let http = &self.connection.http;
        if let Err(error) = http.upload(&announced.store(file)?, progress).await {
            let _ = http.send(&self.scoped(Request::delete(at))).await;
            return Err(refused_by_store(error));
        }
        let reply: FileReply = self.call(Request::get(at), "uploaded file").await?;
        Ok(reply.into_file(&self.connection.profile))
    }

    /// The `FileCreate` of a file: its name and size, and what the settings say.
    fn file_create(&self, file: &NewFile) -> Result<Object> {
        let mut create = Object::new();
        create.insert("name".to_owned(), json!(file.name));
        create.insert("external_file_id".to_owned(), json!(Mark::new(&self.connection).text()));
        create.insert("file_size".to_owned(), json!(file.size));
        for key in TEXTS {
            if let Some(text) = self.connection.setting(key) {
                create.insert(key.to_owned(), json!(text));
            }
        }
        for key in OBJECTS {
            if let Some(text) = self.connection.setting(key) {
                let object: Object = serde_json::from_str(text).map_err(|error| {
                    Error::usage(format!("{key} is not a JSON object: {error}"))
                        .hint(format!("`--set {key}='{{\"key\": \"value\"}}'`"))
                })?;
                create.insert(key.to_owned(), Value::Object(object));
            }
        }
        Ok(create)
    }

    /// Refuses settings that the beta upload has no place for, rather than drop them.
    pub(super) fn refuse_presigned_settings(&self) -> Result<()> {
        match TEXTS.iter().chain(&OBJECTS).find(|key| self.connection.setting(key).is_some()) {
            None => Ok(()),
            Some(key) => {
                Err(Error::new(Kind::Unsupported, format!("{key}: llamacloud's upload has no place for it"))
                    .hint("`--set via=presigned` uploads by the legacy endpoint, which has"))
            }
        }
    }
}

/// A refusal by the object store is about its URL, not about the token, which it never saw.
pub(super) fn refused_by_store(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403)) => Error::platform("llamacloud's object store refused its presigned URL")
            .cause(error.to_string())
            .with_status(status),
        _ => error,
    }
}
