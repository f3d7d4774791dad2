//! `POST /upload/{version}/files`: Google's resumable protocol.
//!
//! Without `upload_id`, a request starts a session. With it, the command in a header applies to that session, whose
//! URL is the credential. Whatever arrives before a request is interrupted is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::files::{LIFETIME, MAX_ID, object};
use super::{Problem, Service, check_key};
use crate::emulator::body::append;
use crate::emulator::{Params, ids, receive_json};
use crate::error::Kind;
use crate::model::{File, FileId, later};
use crate::store::Incoming;

/// Maximum size of a file, in bytes.
const MAX_SIZE: u64 = 2 * 1024 * 1024 * 1024;
/// Maximum length of a display name, in characters.
const MAX_NAME: usize = 512;
/// The number of bytes that the sizes of parts must be a multiple of.
const GRANULARITY: u64 = 8 * 1024 * 1024;
/// Lifetime of a session, in seconds.
const SESSION_LIFE: i64 = 7 * 24 * 3600;
/// Maximum size of the body of a request that starts a session.
const MAX_START: usize = 1024 * 1024;

const STATUS: HeaderName = HeaderName::from_static("x-goog-upload-status");
const RECEIVED: HeaderName = HeaderName::from_static("x-goog-upload-size-received");

/// The sessions, by id.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

struct Session {
    /// The file's record.
    file: File,
    /// The size that the client declared.
    size: Option<u64>,
    ends: Timestamp,
    /// Locked during a request, so that requests are handled one at a time.
    state: tokio::sync::Mutex<Phase>,
}

/// The phase of a session.
enum Phase {
    /// The session receives content; `None` before the first byte.
    Active(Option<Box<Incoming>>),
    /// The file has been stored.
    Final(Box<File>),
    Cancelled,
    /// The content has been lost.
    Gone,
}

impl Sessions {
    /// Adds a session and removes expired ones.
    fn add(&self, id: String, session: Session, now: Timestamp) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.ends);
        sessions.insert(id, Arc::new(session));
    }

    fn find(&self, id: &str, now: Timestamp) -> Option<Arc<Session>> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(id).filter(|session| now < session.ends).cloned()
    }
}

pub(super) async fn upload(
    version: &'static str,
    service: Arc<Service>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let params = Params::parse(parts.uri.query().unwrap_or_default());
    if let Some(id) = params.get("upload_id") {
        let Some(session) = service.sessions.find(id, service.site.clock.now()) else {
            return Ok(plain(StatusCode::NOT_FOUND, None, "unknown upload session"));
        };
        // A separate task is not cancelled if the client disconnects, so the session keeps what has arrived.
        let work = tokio::spawn(async move { session.answer(&service, &parts.headers, body).await });
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
            "Unsupported upload protocol: this emulator supports resumable uploads.",
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
    let (space, key) = (site.platform, FileId(id.clone()));
    match site.blocking(move |store| store.stat(space, &key)).await {
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
    let state = tokio::sync::Mutex::new(Phase::Active(None));
    service.sessions.add(session.clone(), Session { file, size: announced_size, ends, state }, now);
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

impl Session {
    /// Executes a command and returns the response.
    async fn answer(&self, service: &Service, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        let commands = header(headers, "x-goog-upload-command").unwrap_or_default().to_ascii_lowercase();
        let commands: Vec<&str> =
            commands.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let known = |word: &&str| ["query", "cancel", "upload", "finalize"].contains(word);
        let mut state = self.state.lock().await;
        match (&mut *state, commands.as_slice()) {
            (state, ["query"]) => Ok(report(service, headers, state)),
            (Phase::Active(_), ["cancel"]) => {
                *state = Phase::Cancelled;
                Ok(plain(StatusCode::OK, Some("cancelled"), ""))
            }
            (_, words) if words.is_empty() || !words.iter().all(known) || words.contains(&"query") => {
                Ok(plain(StatusCode::BAD_REQUEST, Some(state.word()), "invalid X-Goog-Upload-Command"))
            }
            (Phase::Active(content), words) => {
                let is_last = words.contains(&"finalize");
                let has_content = words.contains(&"upload");
                let have = content.as_ref().map_or(0, |content| content.size());
                if let Some(refusal) = self.check(service, headers, have, is_last, has_content) {
                    return Ok(refusal);
                }
                let mut content = content.take();
                // Applies until the content has arrived or is stored.
                *state = Phase::Gone;
                let mut is_whole = true;
                if has_content {
                    let earlier = content.map(|content| *content);
                    let (appended, is_complete) = append(&service.site, earlier, body).await?;
                    (content, is_whole) = (Some(Box::new(appended)), is_complete);
                }
                if is_whole && is_last {
                    let file = self.store(service, content).await?;
                    let answer = report_file(service, headers, &file);
                    *state = Phase::Final(Box::new(file));
                    return Ok(answer);
                }
                *state = Phase::Active(content);
                if !is_whole {
                    return Ok(plain(StatusCode::BAD_REQUEST, Some("active"), "the body ended early"));
                }
                Ok(report(service, headers, &state))
            }
            (state, _) => Ok(plain(
                StatusCode::BAD_REQUEST,
                Some(state.word()),
                &format!("the upload session is {}", state.word()),
            )),
        }
    }

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

    /// Stores the file.
    async fn store(&self, service: &Service, content: Option<Box<Incoming>>) -> Result<File, Problem> {
        let site = &service.site;
        let (space, now) = (site.platform, site.clock.now());
        let file = File {
            created_at: Some(now),
            updated_at: Some(now),
            expires_at: Some(later(now, LIFETIME)),
            ..self.file.clone()
        };
        let stored = site.blocking(move |store| {
            let content = match content {
                Some(content) => *content,
                None => store.receive()?,
            };
            store.put(space, file, content.finish()?)
        });
        Ok(stored.await?)
    }
}

/// The response to a query.
fn report(service: &Service, headers: &HeaderMap, state: &Phase) -> Response {
    match state {
        Phase::Active(content) => {
            let mut answer = plain(StatusCode::OK, Some("active"), "");
            let have = content.as_ref().map_or(0, |content| content.size());
            answer.headers_mut().insert(RECEIVED, have.into());
            answer
        }
        Phase::Final(_) if service.site.quirk("silent-final") => plain(StatusCode::OK, Some("final"), ""),
        Phase::Final(file) => report_file(service, headers, file),
        Phase::Cancelled => plain(StatusCode::GONE, Some("cancelled"), "the upload session is cancelled"),
        Phase::Gone => plain(StatusCode::NOT_FOUND, None, "unknown upload session"),
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
            Self::Active(_) => "active",
            Self::Final(_) => "final",
            Self::Cancelled | Self::Gone => "cancelled",
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
