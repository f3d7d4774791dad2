//! Uploads: a form in one request, or the three steps of a presigned upload.

use std::sync::Arc;

use serde_json::{Value, json};

use super::presigned::refused_by_store;
use super::wire::FileReply;
use super::wire::PresignedUrl;
use super::{DEFAULT_PURPOSE, EXTERNAL_ID, LlamaCloud};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Part, Request, form};
use crate::model::{File, NewFile, Object};
use crate::progress::Progress;

/// The settings for `FileCreate` fields that contain text.
const TEXTS: [&str; 3] = ["last_modified_at", "data_source_id", "storage_type"];
/// The settings for `FileCreate` fields that contain JSON objects.
const OBJECTS: [&str; 2] = ["resource_info", "permission_info"];

impl LlamaCloud {
    /// Uploads in one form. The file is the last part, so that a server reads the purpose first.
    pub(super) async fn upload_form(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        self.refuse_presigned_settings()?;
        let external_id = self.external_id(file);
        let url = self.files(&[])?;
        let request = if self.legacy {
            Request::post(url, form(vec![Part::file("upload_file", file)]))
                .maybe_query(EXTERNAL_ID, external_id)
                .maybe_query("storage_type", self.connection.setting("storage_type"))
        } else {
            let purpose = file.purpose.as_deref().unwrap_or(DEFAULT_PURPOSE);
            let mut parts = vec![Part::text("purpose", purpose)];
            parts.extend(external_id.map(|id| Part::text(EXTERNAL_ID, id)));
            parts.push(Part::file("file", file));
            Request::post(url, form(parts))
        };
        let reply = self.connection.http.upload(&self.scoped(request.bulk()), progress).await?;
        Ok(reply.json::<FileReply>("uploaded file")?.into_file(&self.connection.profile))
    }

    /// Creates a file, stores its bytes at a presigned URL and requests the resulting file. If the bytes cannot be
    /// stored, the file is deleted.
    pub(super) async fn upload_presigned(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        if file.purpose.is_some() {
            return Err(Error::new(
                Kind::Unsupported,
                "llamacloud's presigned uploads do not support purposes",
            )
            .hint("remove `--purpose` or `--set via=presigned`")
            .about(file.name.clone()));
        }
        let create = Body::json(&Value::Object(self.file_create(file)?));
        let announced: PresignedUrl =
            self.call(Request::put(self.legacy(&[])?, create), "presigned URL").await?;
        let Some(id) = announced.file_id.as_deref() else {
            return Err(Error::platform("llamacloud returned a presigned URL without a file id")
                .about(file.name.clone()));
        };
        let at = self.legacy(&[id])?;
        let http = &self.connection.http;
        let stored = match announced.store(file) {
            Ok(request) => {
                http.upload(&request, progress).await.and_then(|reply| reply.acknowledges("upload"))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            let _ = http.send(&self.scoped(Request::delete(at)).unpaced()).await;
            return Err(refused_by_store(error));
        }
        let reply: FileReply = self.call(Request::get(at), "uploaded file").await?;
        Ok(reply.into_file(&self.connection.profile))
    }

    /// The file's `external_file_id`: the user's setting, otherwise the mark.
    fn external_id<'a>(&'a self, file: &'a NewFile) -> Option<&'a str> {
        self.connection.setting(EXTERNAL_ID).or(file.mark.as_deref())
    }

    /// The `FileCreate` object for a file: name, size and settings.
    fn file_create(&self, file: &NewFile) -> Result<Object> {
        let mut create = Object::new();
        create.insert("name".to_owned(), json!(file.name));
        if let Some(id) = self.external_id(file) {
            create.insert(EXTERNAL_ID.to_owned(), json!(id));
        }
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

    /// Rejects settings that are not supported when uploading in one form, instead of ignoring them.
    fn refuse_presigned_settings(&self) -> Result<()> {
        let given = |key: &&&str| self.connection.setting(key).is_some();
        let taken = |key: &&&str| self.legacy && **key == "storage_type";
        match TEXTS.iter().chain(&OBJECTS).find(|key| given(key) && !taken(key)) {
            None => Ok(()),
            Some(key) => Err(Error::new(
                Kind::Unsupported,
                format!("{key}: not supported by llamacloud's upload form"),
            )
            .hint("to use the endpoint that supports it: `--set via=presigned`")),
        }
    }
}
