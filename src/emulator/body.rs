//! Receives request bodies: forms, raw content, JSON, and presigned uploads, whose record is created before their
//! content arrives. Memory use does not grow with the size of a file: content goes to the store in pieces, each
//! written on a blocking thread while the next one arrives.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub use super::multipart::Head;

use super::Site;
use super::multipart::Parts;
use super::site::{Load, Transfer, joined};
use crate::error::{Error, Kind, Result};
use crate::model::File;
use crate::source::CHUNK;
use crate::store::{Blob, Incoming, Transaction};

/// Maximum size of a text part, in bytes.
const MAX_TEXT: usize = 1024 * 1024;
/// Maximum total size of a form's text parts, in bytes.
const MAX_TEXTS: usize = 4 * MAX_TEXT;
/// Maximum number of values in JSON. In memory, each takes many times the size of its text.
const MAX_VALUES: usize = 200_000;
/// Number of files that can be received at once with large buffers. Beyond this number, each file uses little memory
/// and no thread.
const FEW: usize = 8;
/// Maximum size of a form without its file, in bytes.
const FORM_OVERHEAD: u64 = 1024 * 1024;
/// Maximum number of text and file parts in a form. Ignored parts do not count.
const MAX_PARTS: usize = 1000;

/// A received form.
#[derive(Default)]
pub struct Form {
    /// The parts, in order.
    pub fields: Vec<Field>,
}

/// A part of a form.
pub enum Field {
    /// A part received as text.
    Text {
        /// The head of the part.
        head: Head,
        /// The text, with invalid UTF-8 replaced.
        value: String,
    },
    /// A part received as a file.
    File(Upload),
}

/// A received file. Its bytes are in the store but do not belong to a record yet. Dropping the value deletes them.
pub struct Upload {
    /// The head of the part.
    pub head: Head,
    /// The bytes.
    pub blob: Blob,
}

/// How to receive a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// As text of at most 1 MiB.
    Text,
    /// As a file, into the store.
    File,
    /// Read it and discard it.
    Nothing,
}

/// Size limits; `None` means unlimited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Maximum size of a file in bytes, checked as it arrives.
    pub file: Option<u64>,
    /// Maximum `Content-Length` of the body, checked before reading it.
    pub body: Option<u64>,
}

impl Limits {
    /// The limits for a form with one file of at most `max` bytes.
    pub fn form(max: u64) -> Self {
        Self { file: Some(max), body: Some(max.saturating_add(FORM_OVERHEAD)) }
    }
}

/// The reason why a body was rejected. `E` is the platform's error type.
#[derive(Debug)]
pub enum Refused<E> {
    /// An invalid or truncated form or JSON body, with the reason.
    Malformed(String),
    /// A size limit in bytes that was exceeded.
    TooLarge(u64),
    /// A rule of the platform was violated.
    Rule(E),
    /// The store failed.
    Store(Error),
}

/// Receives a form. Before a part is read, `decide` inspects its head and the preceding parts, and then either
/// chooses how to receive it or rejects the form. A rejected form leaves nothing in the store.
///
/// ```ignore
/// let form = receive(&site, &headers, body, Limits { file: Some(50 << 20), body: None }, |before, head| {
///     match (head.name.as_str(), &head.file_name) {
///         ("file", None) => Err(bad_request("a part without filename")),
///         ("file", Some(_)) => Ok(Take::File),
///         ("expires_after", _) if before.has_file() => Err(bad_request("the lifetime must precede the file")),
///         _ => Ok(Take::Text),
///     }
/// });
/// ```
pub async fn receive<E>(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
    limits: Limits,
    mut decide: impl FnMut(&Form, &Head) -> Result<Take, E>,
) -> Result<Form, Refused<E>> {
    check_length(headers, limits.body)?;
    let mut parts = Parts::new(headers, body).map_err(Refused::Malformed)?;
    let mut form = Form::default();
    let mut texts = 0;
    while let Some(head) = parts.next().await.map_err(Refused::Malformed)? {
        if form.fields.len() == MAX_PARTS {
            return Err(Refused::Malformed("too many parts".to_owned()));
        }
        match decide(&form, &head).map_err(Refused::Rule)? {
            Take::Nothing => {}
            Take::Text => {
                let mut text = Vec::new();
                while let Some(chunk) = parts.chunk().await.map_err(Refused::Malformed)? {
                    if text.len() + chunk.len() > MAX_TEXT {
                        return Err(Refused::Malformed(format!("{}: more than 1 MiB of text", head.name)));
                    }
                    texts += chunk.len();
                    if texts > MAX_TEXTS {
                        return Err(Refused::Malformed("more than 4 MiB of text".to_owned()));
                    }
                    text.extend_from_slice(&chunk);
                }
                let value = String::from_utf8_lossy(&text).into_owned();
                form.fields.push(Field::Text { head, value });
            }
            Take::File => {
                let mut writing = Writing::begin(site, limits.file, None).await;
                while let Some(chunk) = parts.chunk().await.map_err(Refused::Malformed)? {
                    writing.write(chunk).await?;
                }
                form.fields.push(Field::File(Upload { head, blob: writing.finish().await? }));
            }
        }
    }
    Ok(form)
}

/// Receives a raw body into the store.
pub async fn receive_raw<E>(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
    limit: Option<u64>,
) -> Result<Blob, Refused<E>> {
    check_length(headers, limit)?;
    let mut writing = Writing::begin(site, limit, None).await;
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        writing.write(piece.map_err(|_| Refused::Malformed("the body ended early".to_owned()))?).await?;
    }
    writing.finish().await
}

/// Appends a raw body to content. Returns the content, even if the body ended early, and whether the body was
/// complete.
pub(super) async fn append(site: &Site, content: Option<Incoming>, body: Body) -> Result<(Incoming, bool)> {
    let mut writing = Writing::begin(site, None, content).await;
    let mut body = body.into_data_stream();
    let is_complete = loop {
        match body.next().await {
            None => break true,
            Some(Err(_)) => break false,
            Some(Ok(piece)) => writing.add(piece).await?,
        }
    };
    writing.write_batch().await?;
    Ok((joined(writing.running.await)?, is_complete))
}

/// Receives JSON of at most `limit` bytes into memory, regardless of its `Content-Type`. Returns `None` if there is
/// no body.
pub async fn receive_json<E>(body: Body, limit: usize) -> Result<Option<Value>, Refused<E>> {
    let text = receive_text(body, limit).await?;
    if text.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| Refused::Malformed(error.to_string()))
}

/// Receives a body of at most `limit` bytes into memory. As JSON, it must not have too many values.
pub async fn receive_text<E>(body: Body, limit: usize) -> Result<Vec<u8>, Refused<E>> {
    let mut text = Vec::new();
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Refused::Malformed("the body ended early".to_owned()))?;
        if text.len() + piece.len() > limit {
            return Err(Refused::TooLarge(limit as u64));
        }
        text.extend_from_slice(&piece);
    }
    if count_values(&text) > MAX_VALUES {
        return Err(Refused::Malformed(format!("more than {MAX_VALUES} values")));
    }
    Ok(text)
}

/// An upper bound for the number of values in JSON: each value but the first follows a comma, a colon or a bracket.
fn count_values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// The `Content-Type` of a request in lowercase, without parameters; empty if the header is missing.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn check_length<E>(headers: &HeaderMap, limit: Option<u64>) -> Result<(), Refused<E>> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match (length, limit) {
        (Some(length), Some(limit)) if length > limit => Err(Refused::TooLarge(limit)),
        _ => Ok(()),
    }
}

/// Writes content to the store. One batch of pieces is written while the next one arrives, and a slow client does not
/// occupy a thread.
struct Writing {
    running: JoinHandle<Result<Incoming>>,
    /// The pieces of the next batch.
    batch: Vec<Bytes>,
    batch_size: usize,
    /// The size at which a batch is written. Each batch is a task on another thread.
    max_batch: usize,
    size: u64,
    limit: Option<u64>,
    load: Arc<Load>,
    _transfer: Transfer,
}

impl Writing {
    /// Continues existing content, or starts new content.
    async fn begin(site: &Site, limit: Option<u64>, content: Option<Incoming>) -> Self {
        let transfer = Transfer::receiving(&site.load);
        let many = transfer.exceeds(FEW);
        let (store, md5) = (site.space.clone(), site.md5);
        let open = move || {
            if let Some(content) = content {
                return Ok(content);
            }
            let incoming = store.receive()?;
            let incoming = if md5 { incoming.with_md5() } else { incoming };
            Ok(if many { incoming.inline() } else { incoming })
        };
        let load = Arc::clone(&site.load);
        let running = load.run(open).await;
        let max_batch = if many { 0 } else { 2 * CHUNK };
        Self {
            running,
            batch: Vec::new(),
            batch_size: 0,
            max_batch,
            size: 0,
            limit,
            load,
            _transfer: transfer,
        }
    }

    async fn write<E>(&mut self, piece: Bytes) -> Result<(), Refused<E>> {
        self.size += piece.len() as u64;
        if let Some(limit) = self.limit.filter(|limit| self.size > *limit) {
            return Err(Refused::TooLarge(limit));
        }
        self.add(piece).await.map_err(Refused::Store)
    }

    /// Adds a piece without checking the size limit.
    async fn add(&mut self, piece: Bytes) -> Result<()> {
        self.batch_size += piece.len();
        self.batch.push(piece);
        if self.batch_size >= self.max_batch {
            self.write_batch().await?;
        }
        Ok(())
    }

    /// Starts writing the batch once the previous one has been written.
    async fn write_batch(&mut self) -> Result<()> {
        let mut incoming = joined((&mut self.running).await)?;
        self.batch_size = 0;
        let pieces = mem::take(&mut self.batch);
        let write = move || match pieces.iter().try_for_each(|piece| incoming.write_all(piece)) {
            Ok(()) => Ok(incoming),
            Err(error) => Err(Error::failed("cannot write content to the store").caused_by(error)),
        };
        self.running = self.load.run(write).await;
        Ok(())
    }

    async fn finish<E>(mut self) -> Result<Blob, Refused<E>> {
        self.write_batch().await.map_err(Refused::Store)?;
        let incoming = joined(self.running.await).map_err(Refused::Store)?;
        let finishing = self.load.run(move || incoming.finish()).await;
        joined(finishing.await).map_err(Refused::Store)
    }
}

impl Field {
    /// The head of the part.
    pub fn head(&self) -> &Head {
        match self {
            Self::Text { head, .. } | Self::File(Upload { head, .. }) => head,
        }
    }
}

impl Form {
    /// The first text with this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The names and values of all texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|field| match field {
            Field::Text { head, value } => Some((head.name.as_str(), value.as_str())),
            Field::File(_) => None,
        })
    }

    /// Whether a file has already arrived.
    pub fn has_file(&self) -> bool {
        self.fields.iter().any(|field| matches!(field, Field::File(_)))
    }

    /// Removes the files from the form and returns them.
    pub fn take_files(&mut self) -> Vec<Upload> {
        let mut files = Vec::new();
        let mut rest = Vec::new();
        for field in self.fields.drain(..) {
            match field {
                Field::File(upload) => files.push(upload),
                text @ Field::Text { .. } => rest.push(text),
            }
        }
        self.fields = rest;
        files
    }
}

/// A file whose content is still to arrive, stored as a note.
#[derive(Serialize, Deserialize)]
pub(super) struct Announced {
    /// The record of the file.
    pub(super) file: File,
    /// The time until which content is accepted.
    pub(super) ends: Timestamp,
}

impl Announced {
    /// Stores the value as a note.
    pub(super) fn put(&self, change: &mut Transaction, kind: &str, key: &str) -> Result<()> {
        change.note(kind, key, None, &json!(self).as_object().cloned().unwrap_or_default())
    }

    /// Finds an upload that is waiting for content and has not expired.
    pub(super) fn find(change: &Transaction, kind: &str, key: &str, now: Timestamp) -> Result<Option<Self>> {
        let Some(note) = change.noted(kind, key)? else { return Ok(None) };
        let announced: Self = serde_json::from_value(note.into()).map_err(|error| {
            Error::failed(format!("{key}: the record of the upload is damaged")).caused_by(error)
        })?;
        Ok(Some(announced).filter(|announced| now < announced.ends))
    }

    /// Deletes uploads that have expired without receiving content.
    pub(super) fn forget_expired(change: &mut Transaction, kind: &str, now: Timestamp) -> Result<()> {
        for (key, _) in change.notes(kind, None)? {
            if Self::find(change, kind, &key, now)?.is_none() {
                change.forget(kind, &key)?;
            }
        }
        Ok(())
    }
}

/// Stores the content of a file, replacing any earlier content.
pub(super) fn store_content(change: &mut Transaction, file: File, blob: Blob) -> Result<File> {
    match change.stat(&file.id) {
        Err(error) if error.kind() == Kind::NotFound => change.put(file, blob),
        Err(error) => Err(error),
        Ok(present) => change.replace(&present.id, blob, |record| {
            *record = file;
            Ok(())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn values(json: String) -> Result<Option<Value>, Refused<()>> {
        receive_json(Body::from(json), usize::MAX).await
    }

    #[tokio::test]
    async fn json_is_limited_by_its_values_and_not_by_its_strings() {
        let many = format!("[{}1]", "1,".repeat(MAX_VALUES));
        let nested = "[[],{}],".repeat(MAX_VALUES / 2);
        for json in [many, format!("[{nested}1]")] {
            assert!(matches!(values(json).await, Err(Refused::Malformed(why)) if why.contains("values")));
        }
        let text = r#",:[{\""#.repeat(MAX_VALUES);
        assert!(values(json!({ "data": text }).to_string()).await.unwrap().is_some());
        assert!(values(format!("[{}1]", "1,".repeat(1000))).await.unwrap().is_some());
    }
}
