//! Operations of the older dialect: PUT, chunked uploads, presigned URLs and teams.

use std::sync::Arc;

use bytes::Bytes;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::wire::{Initialized, Presigned};
use super::{SPEC, Spelling, Xai};
use crate::error::{Error, Kind, Message, Result, reference};
use crate::http::{Body, ContentStream, Piece, Range, Request};
use crate::model::{File, FileId, Link, NewFile, Object, Patch};
use crate::progress::Progress;
use crate::providers::{Op, Provider};

/// Number of file bytes in one message of a chunked upload, as in the vendor's own client.
const CHUNK: u64 = 3 * 1024 * 1024;

impl Xai {
    /// Changes the name, type and path with PUT. The body is not documented; it follows the similar request for
    /// documents, which does not support user metadata.
    pub(super) async fn put_known(&self, id: &FileId, patch: &Patch) -> Result<File> {
        if patch.touches_metadata() {
            return Err(Error::new(Kind::Unsupported, "xai does not support custom metadata").hint(format!(
                "to change the name: `haul meta set {} --name NAME`; also `--type` and `--path`",
                reference(self.profile(), id)
            )));
        }
        let mut body = self.team_object();
        let changes =
            [("name", &patch.name), ("content_type", &patch.content_type), ("file_path", &patch.path)];
        for (key, value) in changes {
            if let Some(value) = value {
                body.insert(key.to_owned(), json!(value));
            }
        }
        self.put(id, Body::json(&Value::Object(body)), crate::progress::silent(), Op::Annotate).await
    }

    /// Replaces a file's content with the same PUT, streaming the bytes as base64.
    pub(super) async fn put_content(
        &self,
        id: &FileId,
        file: &NewFile,
        progress: Arc<dyn Progress>,
    ) -> Result<File> {
        let mut known = self.team_object();
        if !file.keeps_name {
            known.insert("name".to_owned(), json!(file.name));
        }
        known.insert("content_type".to_owned(), json!(file.content_type));
        let mut body = Body::json(&json!({}));
        body.pieces = around(known, "data", content(file, 0, file.size), "");
        self.put(id, body, progress, Op::Replace).await
    }

    async fn put(&self, id: &FileId, body: Body, progress: Arc<dyn Progress>, op: Op) -> Result<File> {
        let url = self.connection.url(&["files", id.as_str()])?;
        // The change is idempotent.
        let request = Request::put(url, body).repeatable().bulk();
        let reply = self.connection.http.upload(&request, progress).await;
        let reply = self.or_refuse(reply, Some(id), self.unsupported(op)).await?;
        self.file_of(&reply, "changed file")
    }

    /// Uploads with two requests: the first returns the id, and the body of the second contains one line of JSON per
    /// chunk.
    ///
    /// Resuming is not documented, so an interrupted stream starts over.
    pub(super) async fn upload_chunks(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let mut start = self.team_object();
        start.insert("name".to_owned(), json!(file.name));
        start.insert("content_type".to_owned(), json!(file.content_type));
        if let Some(expires) = file.expires {
            start.insert("expires_after".to_owned(), json!(expires.as_secs()));
        }
        let url = self.connection.url(&["files:initialize"])?;
        let reply = self.connection.http.send(&Request::post(url, Body::json(&Value::Object(start)))).await;
        let reply = self.or_refuse(reply, None, no_gateway("chunked uploads", "chunks")).await?;
        let id = FileId(reply.json::<Initialized>("started upload")?.file_id);

        let url = self.connection.url(&["files:uploadChunks"])?;
        let request = Request::post(url, chunks(&id, file)).bulk();
        let sent = match self.connection.http.upload(&request, progress).await {
            Ok(reply) => self.file_of(&reply, "uploaded file"),
            Err(error) => Err(error),
        };
        let Err(error) = &sent else { return sent };
        if error.may_be_done() {
            // If only the response was lost, looking up the id shows that the file is complete.
            match self.stat(&id).await {
                Ok(there) if file.size > 0 && there.size == Some(file.size) => return Ok(there),
                Err(other) if other.kind() != Kind::NotFound => return sent,
                _ => {}
            }
        }
        // Delete the incomplete file.
        let _ = self.delete(&id).await;
        sent
    }

    /// Downloads through the deprecated presigned URL, which leads to a different host, without the token.
    pub(super) async fn download_presigned(
        &self,
        id: &FileId,
        range: Option<Range>,
    ) -> Result<ContentStream> {
        let link = self.presign(id).await?;
        let url = link
            .url
            .parse()
            .map_err(|_| Error::platform(Message::file(id, ": xai returned an invalid URL")))?;
        self.connection.http.content(&Request::get(url).anonymous().range(range).bulk()).await
    }

    /// Requests a presigned URL. The platform sets its lifetime.
    pub(super) async fn presign(&self, id: &FileId) -> Result<Link> {
        let mut body = self.team_object();
        body.insert("file_id".to_owned(), json!(id));
        if let Some(format) = self.connection.setting("format") {
            body.insert("format".to_owned(), json!(Spelling::Gateway.format(format)));
        }
        let url = self.connection.url(&["files:download"])?;
        let request = Request::post(url, Body::json(&Value::Object(body))).repeatable();
        let reply = self.connection.http.send(&request).await;
        let reply = self.or_refuse(reply, Some(id), no_gateway("presigned URLs", "download")).await?;
        let reply: Presigned = reply.json("presigned URL")?;
        // A transformed file has no URL, and it is not documented where its text is.
        let url = reply.presigned_url.ok_or_else(|| {
            Error::platform(Message::file(id, ": xai returned no presigned URL"))
                .hint("remove `--set via=download`")
        })?;
        let lifetime = reply.expires_in_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let expires_at = lifetime.filter(|seconds| *seconds > 0).and_then(|seconds| {
            self.connection.clock.now().checked_add(SignedDuration::from_secs(seconds)).ok()
        });
        Ok(Link { id: None, url, expires_at })
    }

    /// Replaces a 404 or 405 in response to a gateway request with `refusal`, because the host does not support the
    /// request. If the file is missing, returns that error instead.
    async fn or_refuse<T>(&self, result: Result<T>, id: Option<&FileId>, refusal: Error) -> Result<T> {
        let error = match result {
            Err(error) if matches!(error.status(), Some(404 | 405)) => error,
            other => return other,
        };
        if let (Some(404), Some(id)) = (error.status(), id) {
            self.stat(id).await?;
        }
        let request_id = error.request_id().map(str::to_owned);
        Err(refusal.cause(error.message()).with_request_id(request_id))
    }

    /// The first keys of a JSON body, which contain the team if one is set.
    fn team_object(&self) -> Object {
        self.team().map(|team| ("team_id".to_owned(), json!(team))).into_iter().collect()
    }
}

fn no_gateway(what: &str, via: &str) -> Error {
    let message = format!(
        "{} does not support {what} here because the server does not use the gateway dialect",
        SPEC.name
    );
    Error::new(Kind::Unsupported, message).hint(format!("remove `--set via={via}`"))
}

/// The lines of a chunked upload. An empty file has one empty chunk because an empty stream fails.
fn chunks(id: &FileId, file: &NewFile) -> Body {
    let count = file.size.div_ceil(CHUNK).max(1);
    let mut body = Body::json(&json!({}));
    body.pieces = (0..count)
        .flat_map(|index| {
            let from = index * CHUNK;
            let known = [("file_id".to_owned(), json!(id))].into_iter().collect();
            around(known, "chunk", content(file, from, CHUNK.min(file.size - from)), "\n")
        })
        .collect();
    body
}

fn content(file: &NewFile, from: u64, len: u64) -> Piece {
    Piece::File { source: file.source.clone(), from, len, base64: true }
}

/// A JSON object with an additional key whose value is the piece, followed by `after`.
fn around(object: Object, key: &str, piece: Piece, after: &str) -> Vec<Piece> {
    let mut object = object;
    object.insert(key.to_owned(), json!(""));
    let text = Value::Object(object).to_string();
    // The additional key comes last, so the text ends in `""}`.
    let (head, tail) = text.split_at(text.len() - 2);
    vec![Piece::Text(Bytes::from(head.to_owned())), piece, Piece::Text(Bytes::from(format!("{tail}{after}")))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Source;

    fn shape(pieces: &[Piece]) -> Vec<String> {
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                Piece::File { from, len, base64, .. } => format!("<{from}+{len} {base64}>"),
                Piece::Whole { .. } => panic!("an unencoded piece"),
            })
            .collect()
    }

    fn sized(size: u64) -> NewFile {
        NewFile { size, source: Source::Path("big.bin".into()), ..NewFile::from_bytes("big.bin", "") }
    }

    #[test]
    fn a_chunked_body_has_a_line_for_every_three_mebibytes() {
        let body = chunks(&"f\"1".into(), &sized(CHUNK + 5));
        assert_eq!(
            shape(&body.pieces),
            [
                r#"{"file_id":"f\"1","chunk":""#,
                "<0+3145728 true>",
                "\"}\n",
                r#"{"file_id":"f\"1","chunk":""#,
                "<3145728+5 true>",
                "\"}\n",
            ]
        );
        assert_eq!(chunks(&"f".into(), &sized(CHUNK)).pieces.len(), 3);
        assert_eq!(shape(&chunks(&"f".into(), &sized(0)).pieces)[1], "<0+0 true>");
    }
}
