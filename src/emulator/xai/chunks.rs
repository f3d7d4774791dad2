//! Uploads in chunks: `files:initialize` makes the file, one `files:uploadChunks` streams its content as JSON messages.
//! Neither an offset nor a way to go on is documented: what breaks off has failed.

mod messages;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;

use super::dialect::Dialect;
use super::refusal::Refusal;
use super::{SPACE, check_team, gateway, record, upload as whole};
use crate::emulator::Site;
use crate::error::Result as StoreResult;
use crate::model::{File, FileId};
use crate::store::Incoming;
use messages::Messages;

/// Upload statuses before the content is there, and after it failed to come.
const INITIALIZING: &str = "Initializing";
const UPLOADING: &str = "Uploading";
const FAILED: &str = "Failed";

/// `POST /v1/files:initialize`.
pub(super) async fn initialize(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let message = gateway::message(body).await?;
    let name = gateway::required(&message, "name")?;
    let content_type = gateway::required(&message, "content_type")?;
    record::check_name(name)?;
    check_team(&site, gateway::text(&message, "team_id")?)?;
    let lifetime = gateway::integer(&message, "expires_after")?.map(record::check_lifetime).transpose()?;
    let mut file = record::new(&site, name, Some(content_type), lifetime);
    file.path = gateway::text(&message, "file_path")?.map(str::to_owned);
    file.status = Some(INITIALIZING.to_owned());
    file.extra.insert("processing_status".to_owned(), "pending".into());
    if let Some(id) = gateway::text(&message, "user_defined_id")? {
        file.extra.insert("user_defined_id".to_owned(), id.into());
    }
    let file = site.blocking(move |store| store.put(SPACE, file, store.receive()?.finish()?)).await?;
    let metadata = Dialect::Gateway.show(&site, &headers, &file);
    Ok(Json(json!({ "file_id": file.id, "metadata": metadata })).into_response())
}

/// `POST /v1/files:uploadChunks`.
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // On a task of its own, so that the file is marked as failed also where the client has gone and nobody waits for
    // the answer.
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

/// One message.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    file_id: Cow<'a, str>,
    #[serde(borrow)]
    chunk: Cow<'a, str>,
}

/// Content on its way.
struct Receiving {
    site: Arc<Site>,
    /// The file, once the first message has said which.
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
            let piece = piece.map_err(|_| Refusal::invalid("The stream broke off"))?;
            let mut rest = &piece[..];
            while let Some(message) = messages.next(&mut rest)? {
                self.take(message).await?;
            }
        }
        if !messages.is_between() {
            return Err(Refusal::invalid("The stream ends in the middle of a message"));
        }
        if self.file.is_none() {
            return Err(Refusal::invalid("The stream has no chunks"));
        }
        Ok(())
    }

    async fn take(&mut self, message: Vec<u8>) -> Result<(), Refusal> {
        let named = parse(&message)?.file_id.into_owned();
        match &self.file {
            None => self.begin(named).await?,
            Some(file) if file.as_str() != named => {
                return Err(Refusal::invalid("All chunks of a stream must have one file_id"));
            }
            Some(_) => {}
        }
        let Some(mut incoming) = self.incoming.take() else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ""));
        };
        let work = move |_: &_| match parse(&message) {
            Ok(message) => {
                let decoded = gateway::decode(&message.chunk, &mut incoming)?;
                Ok(decoded.map(|()| incoming))
            }
            Err(refusal) => Ok(Err(refusal)),
        };
        let incoming = self.site.blocking(work).await??;
        if incoming.size() > whole::limit(&self.site) {
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ""));
        }
        self.incoming = Some(incoming);
        Ok(())
    }

    /// Takes the file for this stream, if it waits for one.
    async fn begin(&mut self, id: String) -> Result<(), Refusal> {
        let file = FileId(id.clone());
        let work = move |store: &crate::store::Store| {
            let mut waits = false;
            store.annotate(SPACE, &file, |file| {
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
            Some(incoming.ok_or_else(|| Refusal::state(format!("File {id} does not wait for an upload")))?);
        self.file = Some(FileId(id));
        Ok(())
    }

    async fn complete(self) -> Result<File, Refusal> {
        let (Some(id), Some(incoming)) = (self.file, self.incoming) else {
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ""));
        };
        let about = Refusal::about(id.as_str());
        let work = move |store: &crate::store::Store| {
            store.replace(SPACE, &id, incoming.finish()?, |file| {
                record::complete(file);
                Ok(())
            })
        };
        self.site.blocking(work).await.map_err(about)
    }

    /// Marks the file as failed, if it is known which and this stream had it. Returns why.
    async fn fail(self, refusal: Refusal) -> Refusal {
        let Some(id) = self.file else { return refusal };
        let why = refusal.message().to_owned();
        let work = move |store: &crate::store::Store| -> StoreResult<()> {
            store.annotate(SPACE, &id, |file| {
                // A PUT may have completed the file in between.
                if file.status.as_deref() == Some(UPLOADING) {
                    file.status = Some(FAILED.to_owned());
                    file.extra.insert("upload_error_message".to_owned(), why.into());
                    file.extra.insert("processing_status".to_owned(), "skipped".into());
                }
                Ok(())
            })?;
            Ok(())
        };
        // A file that was deleted meanwhile needs no mark.
        let _ = self.site.blocking(work).await;
        refusal
    }
}

fn parse(message: &[u8]) -> Result<Chunk<'_>, Refusal> {
    serde_json::from_slice(message).map_err(|error| Refusal::invalid(format!("Invalid message: {error}")))
}
