//! The operations that only the gateway dialect supports: uploads in chunks, updates and presigned downloads.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{Format, limits, max_size};
use super::record::{self, Dialect, Refusal, check_team};
use crate::emulator::{Content, Params, Sending, Site, Space, Take, media_type, receive, receive_json};
use crate::error::{Error, Kind, Result as StoreResult};
use crate::model::{File, FileId, Object};
use crate::store::{Blob, BlobReader, Incoming};

/// Maximum size of a message in bytes: 50 MiB of content as base64, plus other fields.
const MAX_MESSAGE: usize = 72 * 1024 * 1024;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);
/// The upload statuses before the content is complete, and after a failure.
const INITIALIZING: &str = "Initializing";
const UPLOADING: &str = "Uploading";
const FAILED: &str = "Failed";
/// Lifetime of a presigned URL, in seconds.
const PRESIGNED_LIFETIME: i64 = 3600;
/// Maximum size of text that is included in a response, in bytes.
const MAX_INLINE: u64 = 4 * 1024 * 1024;

/// Receives a message in protobuf's JSON format. An empty body counts as an empty message.
async fn receive_message(body: Body) -> Result<Object, Refusal> {
    match receive_json(body, MAX_MESSAGE).await? {
        None => Ok(Object::new()),
        Some(Value::Object(message)) => Ok(message),
        Some(_) => Err(Refusal::invalid("The request body must be a JSON object")),
    }
}

/// An optional, nullable string.
fn text<'a>(message: &'a Object, name: &str) -> Result<Option<&'a str>, Refusal> {
    match message.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid(format!("{name} must be a string"))),
    }
}

/// A required string.
fn required<'a>(message: &'a Object, name: &str) -> Result<&'a str, Refusal> {
    let value = text(message, name)?.filter(|text| !text.is_empty());
    value.ok_or_else(|| Refusal::invalid(format!("{name} is required")))
}

/// A 64-bit integer, sent as a number or a string.
fn integer(message: &Object, name: &str) -> Result<Option<i64>, Refusal> {
    let value = match message.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    };
    value.map(Some).ok_or_else(|| Refusal::invalid(format!("{name} must be an integer")))
}

/// Decodes base64 in either alphabet, with or without padding, into the store. The inner error means invalid base64.
fn decode(text: &str, incoming: &mut Incoming) -> Result<Result<(), Refusal>, Error> {
    let engine = if text.contains(['-', '_']) { &BASE64_URL } else { &BASE64 };
    let mut piece = vec![0; 48 * 1024];
    for text in text.as_bytes().chunks(piece.len() / 3 * 4) {
        let Ok(length) = engine.decode_slice(text, &mut piece) else {
            return Ok(Err(Refusal::invalid("The content is not valid base64")));
        };
        incoming
            .write_all(&piece[..length])
            .map_err(|error| Error::failed("cannot write content to the store").caused_by(error))?;
    }
    Ok(Ok(()))
}

/// `POST /v1/files:initialize` creates a file for an upload in chunks.
pub(super) async fn initialize(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let message = receive_message(body).await?;
    let name = required(&message, "name")?;
    let content_type = required(&message, "content_type")?;
    record::check_name(name)?;
    check_team(&site, text(&message, "team_id")?)?;
    let lifetime = integer(&message, "expires_after")?.map(record::check_lifetime).transpose()?;
    let mut file = record::new(&site, name, Some(content_type), lifetime);
    file.path = text(&message, "file_path")?.map(str::to_owned);
    file.status = Some(INITIALIZING.to_owned());
    file.extra.insert("processing_status".to_owned(), "pending".into());
    if let Some(id) = text(&message, "user_defined_id")? {
        file.extra.insert("user_defined_id".to_owned(), id.into());
    }
    let file = site.blocking(move |store| store.put(file, store.receive()?.finish()?)).await?;
    let metadata = Dialect::Gateway.show(&site, &headers, &file);
    Ok(Json(json!({ "file_id": file.id, "metadata": metadata })).into_response())
}

/// `POST /v1/files:uploadChunks` streams a file's content as JSON messages. No offset and no way to resume is
/// documented, so an interrupted upload counts as failed.
pub(super) async fn upload_chunks(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // A separate task marks the file as failed even if the client has disconnected.
    let receiving = {
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let mut receiving = Receiving::new(site);
            match receiving.read(body).await {
                Ok(()) => receiving.complete().await,
                Err(refusal) => Err(receiving.fail(refusal).await),
            }
        })
    };
    let broken = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "");
    let file = receiving.await.map_err(broken)??;
    Ok(Json(Dialect::Gateway.show(&site, &headers, &file)).into_response())
}

/// A message with a piece of content.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    file_id: Cow<'a, str>,
    #[serde(borrow)]
    chunk: Cow<'a, str>,
}

/// Content being received.
struct Receiving {
    site: Arc<Site>,
    /// The file named in the first message.
    file: Option<FileId>,
    incoming: Option<Incoming>,
}

impl Receiving {
    fn new(site: Arc<Site>) -> Self {
        Self { site, file: None, incoming: None }
    }

    /// Reads all messages.
    async fn read(&mut self, body: Body) -> Result<(), Refusal> {
        let mut messages = Messages::default();
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| Refusal::invalid("The stream ended early"))?;
            let mut rest = &piece[..];
            while let Some(message) = messages.next(&mut rest)? {
                self.take(message).await?;
            }
        }
        if !messages.is_between() {
            return Err(Refusal::invalid("The stream ends in the middle of a message"));
        }
        if self.file.is_none() {
            return Err(Refusal::invalid("The stream contains no chunks"));
        }
        Ok(())
    }

    async fn take(&mut self, message: Vec<u8>) -> Result<(), Refusal> {
        let named = parse_chunk(&message)?.file_id.into_owned();
        match &self.file {
            None => self.begin(named).await?,
            Some(file) if file.as_str() != named => {
                return Err(Refusal::invalid("All chunks of a stream must have the same file_id"));
            }
            Some(_) => {}
        }
        let Some(mut incoming) = self.incoming.take() else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ""));
        };
        let work = move |_: &_| match parse_chunk(&message) {
            Ok(message) => {
                let decoded = decode(&message.chunk, &mut incoming)?;
                Ok(decoded.map(|()| incoming))
            }
            Err(refusal) => Ok(Err(refusal)),
        };
        let incoming = self.site.blocking(work).await??;
        if incoming.size() > max_size(&self.site) {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ""));
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Claims the file for this stream if it is waiting for content.
    async fn begin(&mut self, id: String) -> Result<(), Refusal> {
        let file = FileId(id.clone());
        let work = move |store: &Space| {
            let mut waits = false;
            store.annotate(&file, |file| {
                waits = file.status.as_deref() == Some(INITIALIZING);
                if waits {
                    file.status = Some(UPLOADING.to_owned());
                }
                Ok(())
            })?;
            if waits { store.receive().map(Some) } else { Ok(None) }
        };
        let incoming = self.site.blocking(work).await.map_err(Refusal::about(&id))?;
        self.incoming =
            Some(incoming.ok_or_else(|| Refusal::state(format!("File {id} is not waiting for an upload")))?);
        self.file = Some(FileId(id));
        Ok(())
    }

    async fn complete(self) -> Result<File, Refusal> {
        let (Some(id), Some(incoming)) = (self.file, self.incoming) else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ""));
        };
        let about = Refusal::about(id.as_str());
        let work = move |store: &Space| {
            store.replace(&id, incoming.finish()?, |file| {
                record::complete(file);
                Ok(())
            })
        };
        self.site.blocking(work).await.map_err(about)
    }

    /// Marks this stream's file as failed and returns the error response.
    async fn fail(self, refusal: Refusal) -> Refusal {
        let Some(id) = self.file else { return refusal };
        let why = refusal.message().to_owned();
        let work = move |store: &Space| -> StoreResult<()> {
            store.annotate(&id, |file| {
                // A PUT may have completed the file in the meantime.
                if file.status.as_deref() == Some(UPLOADING) {
                    file.status = Some(FAILED.to_owned());
                    file.extra.insert("upload_error_message".to_owned(), why.into());
                    file.extra.insert("processing_status".to_owned(), "skipped".into());
                }
                Ok(())
            })?;
            Ok(())
        };
        // If the file was deleted in the meantime, it does not have to be marked.
        let _ = self.site.blocking(work).await;
        refusal
    }
}

fn parse_chunk(message: &[u8]) -> Result<Chunk<'_>, Refusal> {
    serde_json::from_slice(message).map_err(|error| Refusal::invalid(format!("Invalid message: {error}")))
}

/// Splits a stream of JSON objects: a single object, a sequence of objects, or an array.
#[derive(Default)]
struct Messages {
    message: Vec<u8>,
    /// The number of open braces and brackets in the message.
    depth: u32,
    in_text: bool,
    escaped: bool,
}

impl Messages {
    /// Extracts the next message from the start of a piece. Returns `None` at the end of the piece.
    fn next(&mut self, piece: &mut &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        if self.is_between() {
            let between = |byte: &u8| byte.is_ascii_whitespace() || b",[]".contains(byte);
            let start = piece.iter().position(|byte| !between(byte)).unwrap_or(piece.len());
            *piece = &piece[start..];
            if piece.first().is_some_and(|byte| *byte != b'{') {
                return Err(Refusal::invalid("The stream must consist of JSON objects"));
            }
        }
        let end = self.end(piece);
        let taken = end.unwrap_or(piece.len());
        if self.message.len() + taken > MAX_MESSAGE {
            return Err(Refusal::invalid("A message is too large"));
        }
        self.message.extend_from_slice(&piece[..taken]);
        *piece = &piece[taken..];
        Ok(end.map(|_| std::mem::take(&mut self.message)))
    }

    /// Whether the stream is between two messages.
    fn is_between(&self) -> bool {
        self.message.is_empty()
    }

    /// The position in a piece at which the message ends.
    fn end(&mut self, piece: &[u8]) -> Option<usize> {
        for (at, byte) in piece.iter().enumerate() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// A change to a file. Fields without a value stay unchanged.
#[derive(Default)]
struct Change {
    team: Option<String>,
    name: Option<String>,
    content_type: Option<String>,
    path: Option<String>,
    content: Option<Blob>,
}

/// `PUT /v1/files/{id}`: new metadata or content. The body is not documented; the emulator accepts that of the
/// corresponding operation for documents, or a form with a file.
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let id = FileId(id);
    record::stat(&site, &id).await?;
    let mut change = if media_type(&headers).starts_with("multipart/") {
        from_form(&site, &headers, body).await?
    } else {
        from_message(&site, receive_message(body).await?).await?
    };
    check_team(&site, change.team.as_deref())?;
    change.name.as_deref().map_or(Ok(()), record::check_name)?;
    let content = change.content.take();
    if content.is_none() && change.name.is_none() && change.content_type.is_none() && change.path.is_none() {
        return Err(Refusal::invalid("Nothing to update"));
    }
    let about = Refusal::about(id.as_str());
    let file = site.blocking(move |store| {
        let apply = |file: &mut File| {
            change.apply(file);
            Ok(())
        };
        match content {
            None => store.annotate(&id, apply),
            Some(content) => store.replace(&id, content, |file| {
                record::complete(file);
                apply(file)
            }),
        }
    });
    let file = file.await.map_err(about)?;
    Ok(Json(Dialect::Gateway.show(&site, &headers, &file)).into_response())
}

impl Change {
    fn apply(&self, file: &mut File) {
        if let Some(name) = &self.name {
            file.name.clone_from(name);
        }
        file.content_type = self.content_type.clone().or(file.content_type.take());
        file.path = self.path.clone().or(file.path.take());
    }
}

async fn from_message(site: &Site, mut message: Object) -> Result<Change, Refusal> {
    let owned = |name| text(&message, name).map(|value| value.map(str::to_owned));
    let mut change = Change {
        team: owned("team_id")?,
        name: owned("name")?,
        content_type: owned("content_type")?,
        path: owned("file_path")?,
        content: None,
    };
    if text(&message, "data")?.is_some()
        && let Some(Value::String(data)) = message.remove("data")
    {
        if data.len() as u64 / 4 * 3 > max_size(site).saturating_add(2) {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ""));
        }
        let content = site.blocking(move |store| {
            let mut incoming = store.receive()?;
            match decode(&data, &mut incoming)? {
                Ok(()) => incoming.finish().map(Ok),
                Err(refusal) => Ok(Err(refusal)),
            }
        });
        change.content = Some(content.await??);
    }
    Ok(change)
}

async fn from_form(site: &Site, headers: &HeaderMap, body: Body) -> Result<Change, Refusal> {
    let form =
        receive::<Refusal>(site, headers, body, limits(site), |before, head| match head.name.as_str() {
            "file" if before.has_file() => Err(Refusal::invalid("Only one file can be uploaded at a time")),
            "file" => Ok(Take::File),
            "team_id" | "name" | "content_type" | "file_path" => Ok(Take::Text),
            _ => Ok(Take::Nothing),
        });
    let mut form = form.await?;
    let content = form.take_files().pop().map(|upload| upload.blob);
    let text = |name| form.text(name).map(str::to_owned);
    Ok(Change {
        team: text("team_id"),
        name: text("name"),
        content_type: text("content_type"),
        path: text("file_path"),
        content,
    })
}

/// `POST /v1/files:download`: returns a presigned URL, or the text itself.
pub(super) async fn presign(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let message = receive_message(body).await?;
    check_team(&site, text(&message, "team_id")?)?;
    let id = required(&message, "file_id")?.to_owned();
    let format = Format::parse(text(&message, "format")?)?;
    let page = integer(&message, "page_number")?.map(|page| page.to_string());
    let file = FileId(id.clone());
    let (file, bytes) = site.blocking(move |store| store.get(&file)).await.map_err(Refusal::about(&id))?;
    format.check(&file, page.as_deref())?;
    if format == Format::Text {
        let content = site.blocking(move |_| inline(bytes)).await?;
        return Ok(Json(json!({ "presigned_url": "", "expires_in_seconds": "0", "content": content }))
            .into_response());
    }
    let expires = site.clock.now().as_second() + PRESIGNED_LIFETIME;
    let signature = site.signer.sign_hex(&format!("{id} {expires}"));
    let root = site.root(&headers);
    let url = format!("{root}/storage/{id}?X-Goog-Expires={expires}&X-Goog-Signature={signature}");
    Ok(Json(json!({ "presigned_url": url, "expires_in_seconds": PRESIGNED_LIFETIME.to_string() }))
        .into_response())
}

/// The start of the content, as base64.
fn inline(bytes: BlobReader) -> Result<String, Error> {
    let mut text = Vec::new();
    let read = bytes.take(MAX_INLINE).read_to_end(&mut text);
    read.map_err(|error| Error::failed("the content cannot be read").caused_by(error))?;
    Ok(BASE64.encode(text))
}

/// `GET /storage/ID?…`: content behind a presigned URL, with the errors of Google Cloud Storage.
pub(super) async fn presigned(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let (expires, signature) = (params.get("X-Goog-Expires"), params.get("X-Goog-Signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return storage_error(StatusCode::FORBIDDEN, "AccessDenied", "Access denied.");
    };
    if headers.contains_key(AUTHORIZATION) {
        let message = "Only one authentication mechanism is allowed.";
        return storage_error(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    if !site.signer.verify_hex(&format!("{id} {expires}"), signature) {
        let message = "The request signature we calculated does not match the signature you provided.";
        return storage_error(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
    }
    if !expires.parse().is_ok_and(|expires: i64| site.clock.now().as_second() < expires) {
        return storage_error(StatusCode::BAD_REQUEST, "ExpiredToken", "The provided token has expired.");
    }
    match Content::open(&site, &FileId(id)).await {
        Ok(content) => {
            let content_type = content.file.content_type.clone().unwrap_or_default();
            let etag = content.file.checksums.blake3.clone();
            content.send(&headers, Sending { ranges: true, etag, content_type, ..Sending::default() })
        }
        Err(error) if error.kind() == Kind::NotFound => {
            storage_error(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
        }
        Err(error) => storage_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.message()),
    }
}

fn storage_error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(CONTENT_TYPE, "application/xml; charset=UTF-8")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str, piece: usize) -> Result<(Vec<String>, bool), Refusal> {
        let mut messages = Messages::default();
        let mut read = Vec::new();
        for mut piece in stream.as_bytes().chunks(piece) {
            while let Some(message) = messages.next(&mut piece)? {
                read.push(String::from_utf8(message).unwrap());
            }
        }
        Ok((read, messages.is_between()))
    }

    #[test]
    fn pieces_of_any_size_give_the_same_messages() {
        let a = r#"{"a":"}{\"[","b":{"c":[1,{}]}}"#;
        let streams = [format!("{a}{{}}{a}"), format!("{a}\n{{}}\r\n{a}\n"), format!("[{a}, {{}},\n{a}]")];
        for stream in streams {
            for piece in 1..=stream.len() {
                let (messages, whole) = read(&stream, piece).unwrap();
                assert_eq!(messages, [a, "{}", a], "{stream} in pieces of {piece}");
                assert!(whole);
            }
        }
    }

    #[test]
    fn incomplete_messages_and_other_values_are_refused() {
        assert!(!read(r#"{"a":1"#, 3).unwrap().1);
        assert!(read(" \n", 1).unwrap().1);
        assert!(read("{} 1", 9).is_err() && read("chunk", 9).is_err());
    }
}
