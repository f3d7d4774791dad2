//! `POST /upload/{version}/files`: Google's resumable protocol.
//!
//! Without `upload_id`, a request starts a session. With it, the command in a header applies to that session, whose
//! URL is the credential. The bytes that arrive before a request is interrupted are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::{LIFETIME, MAX_ID, object};
use super::{Problem, Service, check_key};
use crate::emulator::body::append;
use crate::emulator::parts::{self, UploadParts};
use crate::emulator::{Params, Space, ids, receive_json};
use crate::error::{Error, Kind, Result as StoreResult};
use crate::model::{File, FileId, Object, later};
use crate::store::Transaction;

/// Maximum size of a file, in bytes.
const MAX_SIZE: u64 = 2 * 1024 * 1024 * 1024;
/// Maximum length of a display name, in characters.
const MAX_NAME: usize = 512;
/// The size of each part except the last must be a multiple of this number of bytes.
const GRANULARITY: u64 = 8 * 1024 * 1024;
/// Lifetime of a session, in seconds.
const SESSION_LIFE: i64 = 7 * 24 * 3600;
/// Maximum size of the body of a request that starts a session.
const MAX_START: usize = 1024 * 1024;

const STATUS: HeaderName = HeaderName::from_static("x-goog-upload-status");
const RECEIVED: HeaderName = HeaderName::from_static("x-goog-upload-size-received");

/// The kind of notes about sessions, by id.
const NOTE: &str = "session";

/// A session, as a note in the store. Its content is in [`UploadParts`].
#[derive(Serialize, Deserialize)]
struct Session {
    /// The file's record.
    file: File,
    /// The size that the client declared.
    size: Option<u64>,
    ends: Timestamp,
    state: Phase,
}

/// The phase of a session.
#[derive(Serialize, Deserialize)]
enum Phase {
    /// The session receives content.
    Active {
        /// The number of received bytes.
        received: u64,
        /// The keys of the parts, in order.
        parts: Vec<String>,
    },
    /// The file has been stored.
    Final(Box<File>),
    Cancelled,
}

/// Locks for the sessions that this server is handling requests for. The requests of a session are handled one at a
/// time, so that a query reports all bytes of an interrupted request. Other servers with the same store do not see
/// the locks; they detect only that a session has changed.
#[derive(Default)]
pub(super) struct Locks(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    fn of(&self, id: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(id.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

impl Session {
    fn read(note: Object) -> StoreResult<Self> {
        serde_json::from_value(note.into())
            .map_err(|error| Error::failed("the record of the upload session is damaged").caused_by(error))
    }

    fn write(&self, change: &mut Transaction, id: &str) -> StoreResult<()> {
        change.note(NOTE, id, None, &json!(self).as_object().cloned().unwrap_or_default())
    }

    /// The session that a note describes, unless it has expired.
    fn current(note: Option<Object>, now: Timestamp) -> StoreResult<Option<Self>> {
        let session = note.map(Self::read).transpose()?;
        Ok(session.filter(|session| now < session.ends))
    }
}

/// A request to a session.
struct Call<'a> {
    service: &'a Service,
    id: String,
    headers: &'a HeaderMap,
}

pub(super) async fn upload(
    version: &'static str,
    service: Arc<Service>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let params = Params::parse(parts.uri.query().unwrap_or_default());
    if let Some(id) = params.get("upload_id") {
        let id = id.to_owned();
        // A separate task is not cancelled if the client disconnects, so the session keeps what has arrived.
        let work = tokio::spawn(async move {
            let lock = service.locks.of(&id);
            let _locked = lock.lock().await;
            Call { service: &service, id, headers: &parts.headers }.respond(body).await
        });
        return work.await.unwrap_or_else(|_| Err(Problem::of(StatusCode::INTERNAL_SERVER_ERROR, "")));
    }
    check_key(&service.site, &parts)?;
    start(&service, &parts.headers, version, body).await
}

/// Starts a session.
async fn start(
    service: &Service,
    headers: &HeaderMap,
    version: &str,
    body: Body,
) -> Result<Response, Problem> {
    let site = &service.site;
    let header = |name: &str| header(headers, name);
    let is = |name: &str, word: &str| header(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    if !is("x-goog-upload-protocol", "resumable") || !is("x-goog-upload-command", "start") {
        return Err(Problem::invalid(
            "Unsupported upload protocol: this emulator supports only resumable uploads.",
        ));
    }
    let announced: Option<Value> = receive_json(body, MAX_START).await.map_err(Problem::from)?;
    let announced = announced.unwrap_or_default();
    let about = &announced["file"];
    let text = |names: [&str; 2]| names.iter().find_map(|name| about[*name].as_str());
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let announced_size = match header("x-goog-upload-header-content-length") {
        Some(text) => {
            let invalid = || Problem::invalid("Invalid X-Goog-Upload-Header-Content-Length");
            Some(text.parse::<u64>().map_err(|_| invalid())?)
        }
        None => ["sizeBytes", "size_bytes"].iter().find_map(|name| number(&about[*name])),
    };
    if announced_size.is_some_and(|bytes| bytes > MAX_SIZE) {
        return Err(Problem::invalid("The file is larger than the limit of 2 GB."));
    }
    let name = text(["displayName", "display_name"]).unwrap_or_else(|| {
        header("x-goog-upload-file-name").filter(|_| !site.quirk("no-header-name")).unwrap_or_default()
    });
    if name.chars().count() > MAX_NAME {
        let message =
            format!("* CreateFileRequest.file.display_name: cannot be more than {MAX_NAME} characters.\n");
        return Err(Problem::invalid(&message));
    }
    let id = match about["name"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => chosen_id(name)?,
        None => ids::base62(12).to_lowercase(),
    };
    let key = FileId(id.clone());
    match site.blocking(move |store| store.stat(&key)).await {
        Ok(_) => return Err(Problem::of(StatusCode::CONFLICT, "")),
        Err(error) if error.kind() == Kind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let content_type =
        text(["mimeType", "mime_type"]).or_else(|| header("x-goog-upload-header-content-type"));
    let file = File {
        id: FileId(id),
        name: name.to_owned(),
        content_type: Some(content_type.unwrap_or("application/octet-stream").to_owned()),
        ..File::default()
    };
    let now = site.clock.now();
    let life = site.quirk_number("session-life").unwrap_or(SESSION_LIFE);
    let ends = later(now, SignedDuration::from_secs(life));
    let session = ids::base62(40);
    let state = Phase::Active { received: 0, parts: Vec::new() };
    let (key, new) = (session.clone(), Session { file, size: announced_size, ends, state });
    let begin = move |space: &Space| {
        parts::clean_up(space, NOTE, |note| {
            Session::read(note.clone()).is_ok_and(|session| session.ends <= now)
        })?;
        space.transaction(|change| new.write(change, &key))
    };
    site.blocking(begin).await?;
    let root = site.root(headers);
    let url = format!("{root}/upload/{version}/files?upload_id={session}&upload_protocol=resumable");
    let granularity = granularity(service).to_string();
    let headers = [
        ("x-goog-upload-status", "active"),
        ("x-goog-upload-url", &url),
        ("x-goog-upload-control-url", &url),
        ("x-goog-upload-chunk-granularity", &granularity),
    ];
    Ok((StatusCode::OK, headers.map(|(name, value)| (name, value.to_owned()))).into_response())
}

/// The id chosen by a client.
fn chosen_id(name: &str) -> Result<String, Problem> {
    let id = name.strip_prefix("files/").unwrap_or(name);
    let place = "* CreateFileRequest.file.name: File ID (name excluding 'files/')";
    if id.len() > MAX_ID {
        return Err(Problem::invalid(&format!("{place} cannot be more than 40 characters.\n")));
    }
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if id.is_empty() || !id.bytes().all(is_valid) || id.starts_with('-') || id.ends_with('-') {
        return Err(Problem::invalid(&format!(
            "{place} can only contain lowercase alphanumeric characters or dashes, and cannot begin or end with a dash.\n"
        )));
    }
    Ok(id.to_owned())
}

fn granularity(service: &Service) -> u64 {
    service.site.quirk_number("granularity").unwrap_or(GRANULARITY).max(1)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A name may contain UTF-8.
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

impl Call<'_> {
    /// The session in the store; `None` if it does not exist or has expired.
    async fn session(&self) -> Result<Option<Session>, Problem> {
        let (id, now) = (self.id.clone(), self.service.site.clock.now());
        let read = move |space: &Space| Session::current(space.noted(NOTE, &id)?, now);
        Ok(self.service.site.blocking(read).await?)
    }

    /// Changes the phase of an active session. If another request has changed the session since it had `received`
    /// bytes, nothing happens, and the result is the error response.
    async fn change(
        &self,
        received: u64,
        to: impl FnOnce(&mut Transaction) -> StoreResult<Phase> + Send + 'static,
    ) -> Result<Result<Phase, Response>, Problem> {
        let (id, now) = (self.id.clone(), self.service.site.clock.now());
        let change = move |space: &Space| {
            let changed = space.transaction(|change| {
                let Some(mut session) = Session::current(change.noted(NOTE, &id)?, now)? else {
                    return Ok(Err(None));
                };
                if !matches!(session.state, Phase::Active { received: have, .. } if have == received) {
                    return Ok(Err(Some(session.state)));
                }
                session.state = to(change)?;
                session.write(change, &id)?;
                Ok(Ok(session.state))
            })?;
            if matches!(changed, Ok(Phase::Final(_) | Phase::Cancelled)) {
                UploadParts::of(space, &id).remove();
            }
            Ok(changed)
        };
        Ok(self.service.site.blocking(change).await?.map_err(superseded))
    }

    /// Executes a command and returns the response.
    async fn respond(&self, body: Body) -> Result<Response, Problem> {
        let (service, headers) = (self.service, self.headers);
        let commands = header(headers, "x-goog-upload-command").unwrap_or_default().to_ascii_lowercase();
        let commands: Vec<&str> =
            commands.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let known = |word: &&str| ["query", "cancel", "upload", "finalize"].contains(word);
        let Some(session) = self.session().await? else { return Ok(unknown_session()) };
        match (&session.state, commands.as_slice()) {
            (state, ["query"]) => Ok(report(service, headers, state)),
            (Phase::Active { received, .. }, ["cancel"]) => {
                let cancelled = self.change(*received, |_| Ok(Phase::Cancelled)).await?;
                Ok(cancelled.map_or_else(|refusal| refusal, |_| plain(StatusCode::OK, Some("cancelled"), "")))
            }
            (_, words) if words.is_empty() || !words.iter().all(known) || words.contains(&"query") => Ok(
                plain(StatusCode::BAD_REQUEST, Some(session.state.word()), "invalid X-Goog-Upload-Command"),
            ),
            (Phase::Active { received, parts }, words) => {
                let (received, parts) = (*received, parts.clone());
                self.receive(&session, received, parts, words, body).await
            }
            (state, _) => Ok(wrong_phase(state)),
        }
    }

    /// Receives content, and stores the file if the command includes `finalize`.
    async fn receive(
        &self,
        session: &Session,
        have: u64,
        parts: Vec<String>,
        words: &[&str],
        body: Body,
    ) -> Result<Response, Problem> {
        let (service, headers) = (self.service, self.headers);
        let site = &service.site;
        let (is_last, has_content) = (words.contains(&"finalize"), words.contains(&"upload"));
        if let Some(refusal) = session.check(service, headers, have, is_last, has_content) {
            return Ok(refusal);
        }
        // The last part is appended to the earlier ones. Any other part is stored alone.
        let mut content = None;
        if is_last && !parts.is_empty() {
            let (id, keys) = (self.id.clone(), parts.clone());
            let combine = move |space: &Space| {
                let keys = keys.iter().map(String::as_str);
                UploadParts::of(space, &id).combined(space.receive()?, keys)
            };
            content = Some(site.blocking(combine).await?);
        }
        let mut is_whole = true;
        if has_content {
            let (appended, is_complete) = append(site, content, body).await?;
            (content, is_whole) = (Some(appended), is_complete);
        }
        let id = self.id.clone();
        if is_whole && is_last {
            let now = site.clock.now();
            let file = File {
                created_at: Some(now),
                updated_at: Some(now),
                expires_at: Some(later(now, LIFETIME)),
                ..session.file.clone()
            };
            let finish = move |space: &Space| content.map_or_else(|| space.receive(), Ok)?.finish();
            let blob = site.blocking(finish).await?;
            let put = |change: &mut Transaction| Ok(Phase::Final(Box::new(change.put(file, blob)?)));
            return Ok(match self.change(have, put).await? {
                Ok(Phase::Final(file)) => report_file(service, headers, &file),
                Ok(state) => wrong_phase(&state),
                Err(refusal) => refusal,
            });
        }
        let ends = session.ends;
        let keep = move |space: &Space| match content {
            Some(content) if content.size() > 0 => {
                let bytes = content.size();
                let key = UploadParts::of(space, &id).add(ends, content.finish()?)?;
                Ok(Some((bytes, key)))
            }
            _ => Ok(None),
        };
        let (received, parts, new) = match site.blocking(keep).await? {
            None => (have, parts, None),
            Some((bytes, key)) if is_last && !parts.is_empty() => (bytes, vec![key.clone()], Some(key)),
            Some((bytes, key)) => {
                let parts = parts.into_iter().chain([key.clone()]).collect();
                (have.saturating_add(bytes), parts, Some(key))
            }
        };
        let kept = self.change(have, move |_| Ok(Phase::Active { received, parts })).await?;
        if let Some(key) = new.filter(|_| kept.is_err()) {
            let id = self.id.clone();
            let discard = move |space: &Space| {
                UploadParts::of(space, &id).discard(&key);
                Ok(())
            };
            site.blocking(discard).await?;
        }
        Ok(match kept {
            Ok(_) if !is_whole => plain(StatusCode::BAD_REQUEST, Some("active"), "the body ended early"),
            Ok(state) => report(service, headers, &state),
            Err(refusal) => refusal,
        })
    }
}

impl Session {
    /// Checks the headers of a request with content.
    fn check(
        &self,
        service: &Service,
        headers: &HeaderMap,
        have: u64,
        is_last: bool,
        has_content: bool,
    ) -> Option<Response> {
        let number = |name: &str| header(headers, name).map(str::parse::<u64>);
        let refuse = |status: StatusCode, message: &str| {
            let mut refusal = plain(status, Some("active"), message);
            refusal.headers_mut().insert(RECEIVED, have.into());
            Some(refusal)
        };
        match number("x-goog-upload-offset") {
            Some(Ok(offset)) if offset == have => {}
            None if !has_content => {}
            Some(Ok(_)) => {
                return refuse(StatusCode::CONFLICT, "the offset is not the number of received bytes");
            }
            Some(Err(_)) | None => return refuse(StatusCode::BAD_REQUEST, "invalid X-Goog-Upload-Offset"),
        }
        let length = match number(CONTENT_LENGTH.as_str()) {
            Some(Ok(length)) => length,
            // The request has no body.
            None if !headers.contains_key(TRANSFER_ENCODING) => 0,
            _ => return refuse(StatusCode::LENGTH_REQUIRED, "Content-Length is required"),
        };
        let end = have.saturating_add(length);
        if self.size.is_some_and(|size| end > size || (is_last && end < size)) || end > MAX_SIZE {
            return refuse(StatusCode::BAD_REQUEST, "the content does not have the declared size");
        }
        let unit = granularity(service);
        // After an interruption between multiples, a part may also end at a multiple.
        if !is_last && !length.is_multiple_of(unit) && !end.is_multiple_of(unit) {
            return refuse(
                StatusCode::BAD_REQUEST,
                "the size of the part is not a multiple of the granularity",
            );
        }
        None
    }
}

/// The response for a session that does not exist or has expired.
fn unknown_session() -> Response {
    plain(StatusCode::NOT_FOUND, None, "unknown upload session")
}

/// The response to a command that a session does not accept in its phase.
fn wrong_phase(state: &Phase) -> Response {
    let message = format!("the upload session is {}", state.word());
    plain(StatusCode::BAD_REQUEST, Some(state.word()), &message)
}

/// The response to a request whose session another request has changed in the meantime. `None` means that it is gone.
fn superseded(state: Option<Phase>) -> Response {
    match state {
        None => unknown_session(),
        Some(Phase::Active { received, .. }) => {
            let message = "another request has added content to the upload session";
            let mut response = plain(StatusCode::CONFLICT, Some("active"), message);
            response.headers_mut().insert(RECEIVED, received.into());
            response
        }
        Some(state) => wrong_phase(&state),
    }
}

/// The response that reports the state of a session.
fn report(service: &Service, headers: &HeaderMap, state: &Phase) -> Response {
    match state {
        Phase::Active { received, .. } => {
            let mut answer = plain(StatusCode::OK, Some("active"), "");
            answer.headers_mut().insert(RECEIVED, (*received).into());
            answer
        }
        Phase::Final(_) if service.site.quirk("silent-final") => plain(StatusCode::OK, Some("final"), ""),
        Phase::Final(file) => report_file(service, headers, file),
        Phase::Cancelled => plain(StatusCode::GONE, Some("cancelled"), "the upload session is cancelled"),
    }
}

/// The response with the stored file.
fn report_file(service: &Service, headers: &HeaderMap, file: &File) -> Response {
    let object = object(service, &service.site.root(headers), file);
    ([(STATUS, HeaderValue::from_static("final"))], Json(json!({ "file": object }))).into_response()
}

impl Phase {
    fn word(&self) -> &'static str {
        match self {
            Self::Active { .. } => "active",
            Self::Final(_) => "final",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A plain-text response of the protocol.
fn plain(code: StatusCode, status: Option<&'static str>, text: &str) -> Response {
    let mut answer = (code, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response();
    if let Some(status) = status {
        answer.headers_mut().insert(STATUS, HeaderValue::from_static(status));
    }
    answer
}
