//! Uploads: a form in one request, or a presigned URL.

use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;

use super::wire::{Pending, Wire};
use super::{DIRECT_LIMIT, Metorial};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Part, Reply, Request, form, join};
use crate::model::{NewFile, Object};
use crate::progress::Progress;

impl Metorial {
    /// The text fields of an upload, in the order used by the vendor's own client.
    pub(super) fn fields(&self, wire: Wire, file: &NewFile) -> Result<Vec<(&'static str, String)>> {
        let set = |key| self.connection.setting(key).map(str::to_owned);
        let purpose = file.purpose.clone().unwrap_or_else(|| self.purpose(wire).to_owned());
        let mut fields = vec![("purpose", purpose)];
        fields.extend(set("organization_id").map(|id| ("organization_id", id)));
        fields.extend(set("instance_id").map(|id| ("instance_id", id)));
        fields.extend(title(&file.metadata)?.map(|title| ("title", title)));
        fields.extend(self.place(wire, file)?);
        Ok(fields)
    }

    /// The store that the upload is attached to, and the path in it. The platform requires both or neither. If there
    /// is no path or it is a folder, the file's name is used.
    fn place(&self, wire: Wire, file: &NewFile) -> Result<Vec<(&'static str, String)>> {
        let given = ["store_id", "path", "store_replace"].map(|key| (key, self.connection.setting(key)));
        if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some() && wire != Wire::Magnetar) {
            return Err(no_place(wire, key));
        }
        let [(_, Some(store)), _, (_, replace)] = given else {
            return match given.iter().find(|(_, value)| value.is_some()) {
                None => Ok(Vec::new()),
                Some((key, _)) => Err(Error::usage(format!("{key} requires a store"))
                    .hint("to choose the store for the upload: `--set store_id=ID`")),
            };
        };
        let mut fields = vec![("store_id", store.to_owned()), ("path", self.path_of(&file.name))];
        fields.extend(replace.map(|replace| ("store_replace", replace.to_owned())));
        Ok(fields)
    }

    /// The path of a file in the store: the `path` setting, or a folder and the file's name.
    pub(super) fn path_of(&self, name: &str) -> String {
        match self.connection.setting("path") {
            Some(path) if !path.ends_with('/') => path.to_owned(),
            folder => format!("{}{name}", folder.unwrap_or_default()),
        }
    }

    /// The default purpose. In pulsar, it depends on the owner.
    fn purpose(&self, wire: Wire) -> &'static str {
        match wire.can().upload.default_purpose {
            Some(_) if wire == Wire::Pulsar && self.connection.setting("organization_id").is_some() => {
                "organization_image"
            }
            purpose => purpose.unwrap_or_default(),
        }
    }

    /// Whether to use a presigned URL: if the user requested it, or if the file is too large for a direct upload.
    pub(super) fn presigned(&self, wire: Wire, file: &NewFile) -> Result<bool> {
        match self.connection.setting("via") {
            None => Ok(wire == Wire::Magnetar && file.size > DIRECT_LIMIT),
            Some("direct") if wire == Wire::Magnetar && file.size > DIRECT_LIMIT => Err(Error::new(
                Kind::Unsupported,
                format!("{} is too large; metorial accepts at most 100 MiB in a direct upload", file.name),
            )
            .hint("for up to 2 GiB: `--set via=presigned`")),
            Some("direct") => Ok(false),
            Some("presigned") if wire == Wire::Magnetar => Ok(true),
            Some("presigned") => Err(no_place(wire, "via=presigned")),
            Some(other) => Err(Error::usage(format!("via: must be direct or presigned, not `{other}`"))
                .hint("`--set via=direct` or `--set via=presigned`")),
        }
    }

    pub(super) async fn upload_direct(
        &self,
        file: &NewFile,
        fields: Vec<(&'static str, String)>,
        progress: Arc<dyn Progress>,
    ) -> Result<Reply> {
        let mut parts = vec![Part::file("file", file)];
        parts.extend(fields.into_iter().map(|(key, value)| Part::text(key, value)));
        let request = Request::post(self.upload_url()?, form(parts)).bulk();
        self.connection.http.upload(&self.versioned(request), progress).await
    }

    /// Requests a URL, sends the bytes there without the token, and completes the upload. Each step may be repeated:
    /// an abandoned upload expires after a day, and completing an upload twice returns the same file.
    pub(super) async fn upload_presigned(
        &self,
        file: &NewFile,
        fields: Vec<(&'static str, String)>,
        progress: Arc<dyn Progress>,
    ) -> Result<Reply> {
        let mut begin = Object::new();
        begin.insert("mode".to_owned(), "get_upload_url".into());
        begin.insert("file_name".to_owned(), file.name.clone().into());
        begin.insert("file_size".to_owned(), file.size.into());
        begin.insert("file_type".to_owned(), file.content_type.clone().into());
        for (key, value) in fields {
            let value = if key == "store_replace" { Value::Bool(value == "true") } else { value.into() };
            begin.insert(key.to_owned(), value);
        }
        let pending: Pending = self.post_upload(&Value::Object(begin)).await?.json("presigned upload")?;
        let url = Url::parse(&pending.upload.url)
            .map_err(|error| Error::platform("metorial returned an invalid upload URL").caused_by(error))?;
        let body = Body::raw(&file.source, file.size, Some(&file.content_type));
        let put = Request::put(url, body).anonymous().bulk().repeatable();
        self.connection.http.upload(&put, progress).await?.acknowledges("upload")?;
        self.post_upload(&json!({ "mode": "complete", "file_upload_id": pending.id })).await
    }

    async fn post_upload(&self, body: &Value) -> Result<Reply> {
        let request = Request::post(self.upload_url()?, Body::json(body)).repeatable();
        self.connection.http.send(&self.versioned(request)).await
    }

    fn upload_url(&self) -> Result<Url> {
        join(&self.connection.upload_base_url, &["files"])
    }
}

/// The error for a feature that only a different dialect supports.
pub(super) fn no_place(wire: Wire, what: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{what}: not supported by the {} dialect of metorial", wire.name()))
        .hint("to use the dialect that supports it: `--wire-dialect magnetar`")
}

/// The title in the user's metadata. It is the only key that the platform stores.
pub(super) fn title(metadata: &Object) -> Result<Option<String>> {
    if let Some(key) = metadata.keys().find(|key| *key != "title") {
        return Err(Error::new(
            Kind::Unsupported,
            format!("metorial does not support the metadata key `{key}`"),
        )
        .hint("the only key is `title`"));
    }
    // A title such as 2024 is valid JSON and was therefore parsed as a number.
    Ok(metadata.get("title").map(|title| title.as_str().map_or_else(|| title.to_string(), str::to_owned)))
}
