//! Vector stores. With `--set vector_store=ID`, uploads attach files to a vector store, listings contain the attached
//! files, and deletions detach them. The record of an attached file has neither a name nor a size; both come from the
//! record of the file itself.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::super::lenient::Fields;
use super::super::listing::{SeenPages, page_size};
use super::super::pushdown::Pushed;
use super::super::{Collection, Page, Provider, Query};
use super::provider::OpenAi;
use super::store::{PAGE, VECTOR_STORE, VectorStore};
use super::wire::{Format, List, order};
use crate::error::{Error, Kind, Result};
use crate::http::{Body, Request};
use crate::model::{File, FileId};

/// The number of files whose records are requested at a time.
const AT_ONCE: usize = 8;

/// An attached file with the name, size and other properties of its record.
fn joined(record: Option<File>, attached: File) -> File {
    let Some(record) = record else { return attached };
    File {
        status: attached.status,
        created_at: attached.created_at.or(record.created_at),
        extra: attached.extra,
        ..record
    }
}

impl OpenAi {
    /// A URL below the vector store.
    fn in_store(&self, store: &VectorStore, segments: &[&str]) -> Result<url::Url> {
        self.connection.url(&[&["vector_stores", store.id.as_str()], segments].concat())
    }

    /// Adds the profile's headers and the header that the official clients send with every request for a vector store.
    fn for_store(&self, request: Request) -> Request {
        self.extended(request).header("OpenAI-Beta", "assistants=v2")
    }

    /// A page of attached files.
    pub(super) async fn list_attached(
        &self,
        store: &VectorStore,
        query: &Query,
        cursor: Option<&str>,
    ) -> Result<Page> {
        let can = &self.capabilities().list;
        let pushed = Pushed::of(query.filter.as_ref(), can.native, None);
        let size = page_size(query, PAGE, can.max_page);
        let request = Request::get(self.in_store(store, &["files"])?)
            .query("limit", size)
            .maybe_query("order", order(query))
            .maybe_query("filter", pushed.parameter("filter"))
            .maybe_query("after", cursor);
        let list: List =
            self.connection.http.json(&self.for_store(request), "list of attached files").await?;
        let Page { files, next } =
            list.into_page(self.vendor.spec.name, size, |fields| self.attached(fields))?;
        let joined = stream::iter(files).map(|file| self.with_record(store, file)).buffered(AT_ONCE);
        Ok(Page { files: joined.try_collect().await?, next })
    }

    /// An attached file.
    pub(super) async fn stat_attached(&self, store: &VectorStore, id: &FileId) -> Result<File> {
        let attached = self.attached(self.attachment(store, id).await?)?;
        self.with_record(store, attached).await
    }

    /// Detaches a file.
    pub(super) async fn detach(&self, store: &VectorStore, id: &FileId) -> Result<()> {
        let request = Request::delete(self.in_store(store, &["files", id.as_str()])?);
        let reply = self.connection.http.send(&self.for_store(request)).await?;
        self.vendor.format().check_deleted(id, &reply)
    }

    /// The ids of the files in all vector stores; empty if the server does not support vector stores.
    pub(super) async fn in_vector_stores(&self) -> Result<HashSet<FileId>> {
        let stores = match self.ids_of(&[], "list of vector stores").await {
            Err(error) if matches!(error.status(), Some(404 | 405 | 501)) => return Ok(HashSet::new()),
            stores => stores?,
        };
        let mut used = HashSet::new();
        for store in stores {
            match self.ids_of(&[store.as_str(), "files"], "list of attached files").await {
                // The vector store was deleted in the meantime.
                Err(error) if error.kind() == Kind::NotFound => {}
                files => used.extend(files?),
            }
        }
        Ok(used)
    }

    /// The ids on all pages of a list below `vector_stores`.
    async fn ids_of(&self, segments: &[&str], what: &str) -> Result<Vec<FileId>> {
        let platform = self.vendor.spec.name;
        let url = self.connection.url(&[&["vector_stores"], segments].concat())?;
        let (mut ids, mut cursor, mut seen) = (Vec::new(), None::<String>, SeenPages::before(None));
        loop {
            let request =
                Request::get(url.clone()).query("limit", PAGE).maybe_query("after", cursor.as_deref());
            let list: List = self.connection.http.json(&self.for_store(request), what).await?;
            let Page { mut files, next } = list.into_page(platform, PAGE, |fields| self.attached(fields))?;
            seen.add(platform, &mut files, |file| file.id.as_str(), next.as_deref())?;
            ids.extend(files.into_iter().map(|file| file.id));
            cursor = next;
            if cursor.is_none() {
                return Ok(ids);
            }
        }
    }

    async fn attachment(&self, store: &VectorStore, id: &FileId) -> Result<Fields> {
        let request = self.for_store(Request::get(self.in_store(store, &["files", id.as_str()])?));
        self.connection.http.json(&request, "attached file").await
    }

    /// Reads the record of an attached file.
    fn attached(&self, mut fields: Fields) -> Result<File> {
        let format = Format { name: &[], size: &[], ..self.vendor.format() };
        let file = format.file(&mut fields, self.profile())?;
        Ok(File { extra: fields.rest(), ..file })
    }

    /// Adds the properties of the file itself, unless it has been deleted.
    async fn with_record(&self, store: &VectorStore, attached: File) -> Result<File> {
        let known = store.known().get(&attached.id).cloned();
        if known.is_some() {
            return Ok(joined(known, attached));
        }
        let record = match self.connection.http.json(&self.files(&[attached.id.as_str()])?, "file").await {
            Ok(fields) => self.file(fields)?,
            Err(error) if error.kind() == Kind::NotFound => return Ok(attached),
            Err(error) => return Err(error),
        };
        store.keep(&record);
        Ok(joined(Some(record), attached))
    }
}

#[async_trait]
impl Collection for OpenAi {
    fn name(&self) -> String {
        format!("vector store {}", self.setting().1)
    }

    fn setting(&self) -> (&'static str, &str) {
        (VECTOR_STORE.key, self.store.as_ref().map_or("", |store| store.id.as_str()))
    }

    async fn check(&self) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let check = async || {
            let request = self.for_store(Request::get(self.in_store(store, &[])?));
            let answer = self.connection.http.json::<Fields>(&request, "vector store").await;
            answer.map(drop).map_err(|error| match error.kind() {
                Kind::NotFound => {
                    let platform = self.vendor.spec.name;
                    Error::not_found(format!("{platform} has no vector store {}", store.id))
                        .cause(error.message())
                }
                _ => error,
            })
        };
        store.exists.get_or_try_init(check).await.map(drop)
    }

    async fn attach(&self, file: File, is_new: bool) -> Result<File> {
        let Some(store) = &self.store else { return Ok(file) };
        if file.extra.get("vector_store_id").is_some_and(|id| *id == store.id) {
            return Ok(file);
        }
        store.keep(&file);
        if !is_new {
            match self.attachment(store, &file.id).await {
                Ok(fields) => return Ok(joined(Some(file), self.attached(fields)?)),
                Err(error) if error.kind() == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let body = Body::json(&json!({ "file_id": file.id }));
        let request = self.for_store(Request::post(self.in_store(store, &["files"])?, body));
        let fields = match self.connection.http.json(&request, "attached file").await {
            Err(error) if error.may_be_done() => self.attachment(store, &file.id).await.map_err(|_| error)?,
            posted => posted?,
        };
        Ok(joined(Some(file), self.attached(fields)?))
    }

    fn all_files(&self) -> Arc<dyn Provider> {
        Arc::new(Self {
            vendor: self.vendor,
            refused: self.refused,
            connection: self.connection.clone(),
            store: None,
        })
    }
}
