//! A bucket with the XML API that S3 and Google Cloud Storage share.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use url::Url;

use super::xml::{self, Begun, Entry, List, Stored};
use super::{
    KEY, MAX_SINGLE, PARALLEL, SINGLE, USUAL_LIFETIME, changed, exists, key_of, metadata, object_url,
    part_size, require_unchanged, upload_of,
};
use crate::error::{Error, Kind, Result, reference, word};
use crate::filter::{Comparison, Expr, Filter, Op as Is};
use crate::http::{Body, Client, ContentStream, HeaderMap, Piece, Range, Reply, Request, server_time};
use crate::model::{Checksums, Clock, File, FileId, Link, NewFile, Object, Patch, later};
use crate::progress::Progress;
use crate::providers::listing::page_size;
use crate::providers::pushdown::{Parameter, Pushed, Spelling, text_of};
use crate::providers::{Capabilities, Multipart, Native, Page, PartRange, Provider, Query, Session, Spec};

/// The differences between the services.
#[async_trait]
pub(super) trait Service: Send + Sync {
    /// The names of the service's headers.
    fn names(&self) -> &'static Names;

    /// Adds the credentials to a request. `sha256` is the checksum of the body, if it is known.
    async fn sign(&self, request: Request, sha256: Option<&str>) -> Result<Request>;

    /// A URL with which anyone can read the object until the URL expires.
    async fn signed_url(&self, key: &str, lifetime: Duration) -> Result<Url>;
}

/// The names of headers and the description of a service.
pub(super) struct Names {
    pub(super) spec: &'static Spec,
    pub(super) can: &'static Capabilities,
    /// The prefix of the headers that contain metadata.
    pub(super) metadata: &'static str,
    /// Additional headers for an upload in one request.
    pub(super) put: &'static [(&'static str, &'static str)],
    /// The header and value for the condition that no object has the key.
    pub(super) if_absent: (&'static str, &'static str),
    /// The response status if an object has the key.
    pub(super) exists: u16,
    /// The header for the condition that the object has a certain version.
    pub(super) if_same: &'static str,
    /// The response header that contains the version.
    pub(super) version: &'static str,
    pub(super) copy_source: &'static str,
    pub(super) copy_if_same: &'static str,
    pub(super) copy_directive: &'static str,
    pub(super) storage_class: &'static str,
}

/// Properties of an object that a copy onto itself would lose.
pub(super) const KEPT: [&str; 5] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// The comparisons that the service evaluates: with the whole key, and with its start.
pub(super) const NATIVE: &[Native] = &[
    Native::exact("id", &[Is::Eq]).sent(Spelling::Once(whole)),
    Native::exact("name", &[Is::Eq]).sent(Spelling::Once(whole)),
    Native::superset("name", &[Is::Glob]).sent(Spelling::Once(start)),
];

fn whole(comparison: &Comparison) -> Option<Parameter> {
    Some(("key", text_of(comparison)?))
}

fn start(comparison: &Comparison) -> Option<Parameter> {
    Some(("prefix", comparison.prefix()?))
}

/// An opened bucket.
pub(super) struct Bucket {
    pub(super) service: Box<dyn Service>,
    pub(super) profile: String,
    pub(super) http: Client,
    pub(super) clock: Clock,
    /// The URL of the bucket.
    pub(super) url: Url,
    /// The bucket's name.
    pub(super) name: String,
    /// The prefix of all keys.
    pub(super) prefix: String,
    /// Whether to look for an object before an upload, because the service may ignore conditions.
    pub(super) looks_first: bool,
}

impl Bucket {
    fn platform(&self) -> &'static str {
        self.service.names().spec.name
    }

    pub(super) fn object(&self, id: &FileId) -> Result<Url> {
        object_url(&self.url, &key_of(&self.prefix, id))
    }

    pub(super) async fn send(&self, request: Request) -> Result<Reply> {
        self.http.send(&self.service.sign(request, None).await?).await
    }

    /// The object, and the headers that describe it.
    pub(super) async fn head(&self, id: &FileId) -> Result<(File, HeaderMap)> {
        let reply =
            self.send(Request::head(self.object(id)?)).await.map_err(|error| match error.status() {
                Some(404) => {
                    Error::not_found(format!("{id}: no such object on {}", self.platform())).with_status(404)
                }
                _ => error,
            })?;
        Ok((self.described(id, &reply.headers), reply.headers))
    }

    /// Like [`head`](Self::head), but returns `None` if no object has the key.
    pub(super) async fn find(&self, id: &FileId) -> Result<Option<(File, HeaderMap)>> {
        match self.head(id).await {
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    fn file(&self, id: &str) -> File {
        File {
            provider: self.platform().to_owned(),
            profile: self.profile.clone(),
            id: id.into(),
            name: id.to_owned(),
            downloadable: Some(true),
            ..File::default()
        }
    }

    /// The file that these headers describe.
    pub(super) fn described(&self, id: &FileId, headers: &HeaderMap) -> File {
        let names = self.service.names();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let modified = text("last-modified").as_deref().and_then(crate::http::http_date);
        let (metadata, sha256) = metadata::read(headers, names.metadata);
        let mut extra = Object::new();
        let etag = text("etag");
        extra.extend(etag.clone().map(|etag| ("etag".to_owned(), etag.into())));
        let class = text(names.storage_class);
        extra.extend(class.map(|class| ("storage_class".to_owned(), class.into())));
        for name in KEPT {
            extra.extend(text(name).map(|value| (name.replace('-', "_"), value.into())));
        }
        // The ETag is the MD5 of an object that was neither encrypted with a separate key nor uploaded in parts.
        let is_encrypted = text("x-amz-server-side-encryption").is_some_and(|kind| kind != "AES256")
            || text("x-amz-server-side-encryption-customer-algorithm").is_some();
        let md5 = etag.map(|etag| etag.trim_matches('"').to_ascii_lowercase());
        let is_md5 = |text: &String| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let md5 = md5.filter(|text| sha256.is_none() && !is_encrypted && is_md5(text));
        File {
            size: text("content-length").and_then(|size| size.parse().ok()),
            content_type: text("content-type"),
            created_at: modified,
            updated_at: modified,
            checksums: Checksums { sha256, md5, ..Checksums::default() },
            metadata,
            extra,
            ..self.file(id.as_str())
        }
    }

    /// The file that a successful upload stored. `headers` are those of the response.
    pub(super) fn stored(&self, new: &NewFile, etag: Option<&str>, headers: &HeaderMap) -> File {
        let mut extra = Object::new();
        extra.extend(etag.map(|etag| ("etag".to_owned(), etag.into())));
        let now = server_time(headers).unwrap_or_else(|| self.clock.now());
        File {
            size: Some(new.size),
            content_type: Some(new.content_type.clone()),
            created_at: Some(now),
            updated_at: Some(now),
            checksums: Checksums { sha256: new.sha256.clone(), ..Checksums::default() },
            metadata: metadata::texts(&new.metadata),
            extra,
            ..self.file(&new.name)
        }
    }

    /// Adds the headers with metadata.
    pub(super) fn with_metadata(&self, request: Request, pairs: Vec<(String, String)>) -> Request {
        let start = self.service.names().metadata;
        pairs
            .into_iter()
            .fold(request, |request, (key, value)| request.header(format!("{start}{key}"), value))
    }

    pub(super) fn pairs(&self, new: &NewFile) -> Result<Vec<(String, String)>> {
        metadata::pairs(self.platform(), &new.metadata, new.sha256.as_deref())
    }

    /// Stores an object in one request, under a condition. Returns `None` if the response has the status `refused`.
    async fn put(
        &self,
        id: &FileId,
        new: &NewFile,
        (name, value): (&'static str, String),
        refused: u16,
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        let body = Body::raw(&new.source, new.size, Some(&new.content_type));
        let put = self.with_metadata(Request::put(self.object(id)?, body), self.pairs(new)?);
        let names = self.service.names();
        let put = names.put.iter().fold(put, |put, (name, value)| put.header(*name, *value));
        let put = put.header(name, value).bulk().expecting(refused);
        let put = if names.exists == 409 { put } else { put.retrying(409) };
        // If a repeated replacement is rejected, the caller checks whether an earlier attempt succeeded.
        let put = if name == names.if_same { put.repeatable() } else { put };
        let reply = self.http.upload(&self.service.sign(put, new.sha256.as_deref()).await?, progress).await?;
        if reply.status == refused {
            return Ok(None);
        }
        reply.acknowledges("upload")?;
        let new = NewFile { name: id.to_string(), ..new.clone() };
        Ok(Some(self.stored(&new, reply.header("etag"), &reply.headers)))
    }

    /// Creates an object. Returns `None` if an object has the key.
    async fn create(&self, new: &NewFile, progress: Arc<dyn Progress>) -> Result<Option<File>> {
        let id = FileId::from(new.name.as_str());
        if self.looks_first && self.find(&id).await?.is_some() {
            return Ok(None);
        }
        let (name, value) = self.service.names().if_absent;
        self.put(&id, new, (name, value.to_owned()), self.service.names().exists, progress).await
    }

    /// The object's version in these headers, as the value of a condition.
    pub(super) fn unchanged(&self, headers: &HeaderMap) -> Option<String> {
        headers.get(self.service.names().version)?.to_str().ok().map(str::to_owned)
    }

    /// Rejects a new name or path, because the key of an object cannot be changed.
    pub(super) fn refuse_rename(&self, id: &FileId, patch: &Patch) -> Result<()> {
        if patch.name.is_some() || patch.path.is_some() {
            return Err(Error::new(
                Kind::Unsupported,
                format!("{} cannot rename an object", self.platform()),
            )
            .hint(format!(
                "to copy it and delete the original: `haul cp {0} {1} --name {2}`, then `haul rm {0}`",
                reference(&self.profile, id),
                word(&format!("{}:", self.profile)),
                word(patch.name.as_deref().unwrap_or("NAME"))
            )));
        }
        Ok(())
    }

    /// A page of a listing after the key `after`.
    async fn page(&self, start: &str, after: Option<&str>, size: u32) -> Result<(List, Vec<String>)> {
        let prefix = format!("{}{start}", self.prefix);
        let after = after.map(|after| format!("{}{after}", self.prefix));
        let request = Request::get(self.url.clone())
            .query("list-type", 2)
            .query("encoding-type", "url")
            .query("max-keys", size)
            .maybe_query("prefix", Some(prefix).filter(|prefix| !prefix.is_empty()))
            .maybe_query("start-after", after);
        let list: List = xml::read(self.platform(), &self.send(request).await?, "list of objects")?;
        let is_encoded = list.encoding_type.as_deref() == Some("url");
        let keys = list.contents.iter().map(
            |entry| {
                if is_encoded { decoded(&entry.key) } else { entry.key.clone() }
            },
        );
        let keys = keys.collect();
        Ok((list, keys))
    }

    fn listed(&self, id: &str, entry: Entry) -> File {
        let mut extra = Object::new();
        extra.extend(entry.e_tag.map(|etag| ("etag".to_owned(), etag.into())));
        extra.extend(entry.storage_class.map(|class| ("storage_class".to_owned(), class.into())));
        let modified = entry.last_modified.and_then(|time| time.parse::<Timestamp>().ok());
        File { size: Some(entry.size), created_at: modified, updated_at: modified, extra, ..self.file(id) }
    }
}

/// Decodes a key from a listing that percent-encodes keys.
fn decoded(key: &str) -> String {
    let key = key.replace('+', " ");
    percent_decode_str(&key).decode_utf8_lossy().into_owned()
}

#[async_trait]
impl Provider for Bucket {
    fn spec(&self) -> &'static Spec {
        self.service.names().spec
    }

    fn profile(&self) -> &str {
        &self.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.service.names().can
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.http)
    }

    fn asks_for_sha256(&self) -> bool {
        true
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        Pushed::of(Some(filter), NATIVE, None).decided
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let pushed = Pushed::of(query.filter.as_ref(), NATIVE, None);
        if let Some(key) = pushed.parameter("key") {
            let found = self.find(&key.into()).await?;
            return Ok(Page { files: found.into_iter().map(|(file, _)| file).collect(), next: None });
        }
        let max = self.capabilities().list.max_page;
        let size = page_size(query, max, max);
        let (list, keys) = self.page(pushed.parameter("prefix").unwrap_or_default(), cursor, size).await?;
        let own = |key: &str| key.strip_prefix(&self.prefix).map(str::to_owned);
        let next = keys.last().filter(|_| list.is_truncated).and_then(|key| own(key));
        if list.is_truncated && next.is_none() {
            return Err(Error::platform(format!(
                "{} reports another page of an empty list",
                self.platform()
            )));
        }
        let files = list.contents.into_iter().zip(&keys).filter_map(|(entry, key)| {
            // Consoles create an empty object to represent a folder.
            let is_folder = key.ends_with('/') && entry.size == 0;
            let id = own(key).filter(|id| !id.is_empty() && !is_folder)?;
            Some(self.listed(&id, entry))
        });
        Ok(Page { files: files.collect(), next })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        self.head(id).await.map(|(file, _)| file)
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        self.create(file, progress).await?.ok_or_else(|| exists(self.platform(), &file.name))
    }

    fn adds_once(&self) -> bool {
        true
    }

    async fn upload_unless_named(
        &self,
        file: &NewFile,
        known: &[FileId],
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        match self.create(file, progress).await? {
            None if known.iter().any(|id| id.as_str() == file.name) => {
                Err(exists(self.platform(), &file.name).with_kind(Kind::Conflict))
            }
            created => Ok(created),
        }
    }

    async fn replace(&self, id: &FileId, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        if file.size > MAX_SINGLE {
            return Err(Error::new(
                Kind::Unsupported,
                format!(
                    "{id}: the new content exceeds 5 GiB, the most that {} accepts in one request",
                    self.platform()
                ),
            )
            .hint(format!(
                "delete the object, then run the same command again: `haul rm {}`",
                reference(&self.profile, id)
            )));
        }
        let (_, headers) = self.head(id).await?;
        let version = self.unchanged(&headers).unwrap_or_default();
        let put = self.put(id, file, (self.service.names().if_same, version), 412, progress).await?;
        if let Some(file) = put {
            return Ok(file);
        }
        // An earlier attempt, whose response was lost, may have stored the content.
        match self.find(id).await? {
            Some((now, _)) if now.checksums.sha256.is_some() && now.checksums.sha256 == file.sha256 => {
                Ok(now)
            }
            _ => Err(changed(self.platform(), id.as_str())),
        }
    }

    fn multipart(&self) -> Option<&dyn Multipart> {
        Some(self)
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        // The service also confirms the deletion of an object that does not exist.
        self.head(id).await?;
        self.send(Request::delete(self.object(id)?)).await?.acknowledges("deletion")
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let request = Request::get(self.object(id)?).range(range).bulk();
        self.http.content(&self.service.sign(request, None).await?).await
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        self.refuse_rename(id, patch)?;
        let names = self.service.names();
        let (before, headers) = self.head(id).await?;
        let metadata = metadata::texts(&patch.apply(&before.metadata));
        let pairs = metadata::pairs(self.platform(), &metadata, before.checksums.sha256.as_deref())?;
        let kind = patch.content_type.as_ref().or(before.content_type.as_ref());
        let key = key_of(&self.prefix, id);
        let source = format!("/{}/{}", self.name, utf8_percent_encode(&key, KEY));
        let mut copy =
            Request::put(self.object(id)?, Body { content_type: kind.cloned(), pieces: Vec::new() })
                .header(names.copy_source, source)
                .header(names.copy_directive, "REPLACE")
                .expecting(412)
                .repeatable();
        copy.headers.extend(self.unchanged(&headers).map(|version| (names.copy_if_same.into(), version)));
        for name in KEPT.into_iter().chain([names.storage_class]) {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            copy.headers.extend(value.map(|value| (name.into(), value.to_owned())));
        }
        let reply = self.send(self.with_metadata(copy, pairs)).await?;
        if reply.status != 412 {
            xml::read::<Stored>(self.platform(), &reply, "copy")?;
        }
        let (after, _) = self.head(id).await?;
        let is_done = after.metadata == metadata && after.content_type.as_ref() == kind;
        match (is_done, reply.status) {
            (true, _) => Ok(after),
            // The condition failed, and not because an earlier attempt changed the object.
            (false, 412) => Err(changed(self.platform(), id.as_str())),
            (false, _) => {
                Err(Error::platform(format!("{} did not change the metadata of {id}", self.platform())))
            }
        }
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        let lifetime = lifetime.unwrap_or(SignedDuration::from_secs(USUAL_LIFETIME));
        self.object(id)?;
        let span = Duration::try_from(lifetime).unwrap_or_default();
        let url = self.service.signed_url(&key_of(&self.prefix, id), span).await?;
        // The signature contains the time on this machine's clock.
        Ok(Link { id: None, url: url.into(), expires_at: Some(later(Timestamp::now(), lifetime)) })
    }
}

#[async_trait]
impl Multipart for Bucket {
    fn applies(&self, file: &NewFile) -> bool {
        file.size > SINGLE
    }

    fn parallel(&self) -> usize {
        PARALLEL
    }

    fn checksum(&self) -> Option<&'static str> {
        Some("sha256")
    }

    async fn begin(&self, file: &NewFile) -> Result<Session> {
        let id = FileId::from(file.name.as_str());
        if self.find(&id).await?.is_some() {
            return Err(exists(self.platform(), &file.name));
        }
        let body = Body { content_type: Some(file.content_type.clone()), pieces: Vec::new() };
        let request = Request::post(self.object(&id)?, body).query("uploads", "");
        // Repeatable: an upload without parts stores nothing.
        let request = self.with_metadata(request, self.pairs(file)?).repeatable();
        let begun: Begun = xml::read(self.platform(), &self.send(request).await?, "multipart upload")?;
        Ok(Session {
            id: format!("{} {id}", begun.upload_id),
            secret: None,
            part_size: part_size(file.size),
            expires_at: None,
        })
    }

    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String> {
        let (upload, id) = upload_of(session)?;
        let put = Request::put(self.object(&id)?, part.body(file))
            .query("partNumber", part.index.saturating_add(1))
            .query("uploadId", upload)
            .bulk()
            .repeatable();
        let reply = self.http.upload(&self.service.sign(put, None).await?, progress).await?;
        reply.acknowledges("part")?;
        let tag = reply.header("etag").filter(|tag| !tag.is_empty());
        tag.map(str::to_owned).ok_or_else(|| {
            Error::platform(format!("{} returned no ETag for a part", self.platform()))
                .with_request_id(reply.request_id.clone())
        })
    }

    async fn complete(
        &self,
        session: &Session,
        file: &NewFile,
        tags: &[String],
        checksums: &Checksums,
    ) -> Result<File> {
        let (upload, id) = upload_of(session)?;
        require_unchanged(file, checksums)?;
        let piece = Piece::Text(xml::complete(tags).into());
        let body = Body { content_type: Some("application/xml".to_owned()), pieces: vec![piece] };
        let (name, value) = self.service.names().if_absent;
        let complete = Request::post(self.object(&id)?, body)
            .query("uploadId", upload)
            .header(name, value)
            .expecting(412)
            .bulk();
        let reply = self.send(complete).await?;
        if reply.status == 412 {
            return Err(exists(self.platform(), id.as_str()));
        }
        let stored: Stored = xml::read(self.platform(), &reply, "upload")?;
        Ok(self.stored(file, Some(&stored.e_tag), &reply.headers))
    }

    async fn abort(&self, session: &Session) -> Result<()> {
        let (upload, id) = upload_of(session)?;
        self.send(Request::delete(self.object(&id)?).query("uploadId", upload)).await.map(drop)
    }
}
