//! Batches: `POST /batches` runs a batch immediately, and stores its results and errors as files.

use std::io::{self, BufRead as _, BufReader, Write as _};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Refusal, Service};
use crate::emulator::{Space, ids, receive_json};
use crate::error::{Error, Result as StoreResult};
use crate::model::{File, FileId, Object, later};
use crate::store::Incoming;

/// The kind of notes that describe batches.
const NOTE: &str = "batch";
/// Maximum size of a request, in bytes.
const LARGEST: usize = 1024 * 1024;
/// Lifetime of a batch's files, in seconds.
const LIFETIME: i64 = 2_592_000;

/// `POST /batches`.
pub(super) async fn create(
    State(Service { site, .. }): State<Service>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let request = receive_json(body, LARGEST).await?.unwrap_or_default();
    let word =
        |key: &'static str| request[key].as_str().map(str::to_owned).ok_or_else(|| Refusal::missing(key));
    let (input, endpoint, window) = (word("input_file_id")?, word("endpoint")?, word("completion_window")?);
    let metadata = request["metadata"].clone();
    let (provider, now, id) = (site.platform, site.clock.now(), FileId(input.clone()));
    let batch = site
        .blocking(move |store| {
            let batch = format!("batch_{}", ids::hex(16));
            let result = run(store, provider, &batch, &id, now)?;
            let mut object = Object::from_iter([
                ("id".to_owned(), json!(batch)),
                ("object".to_owned(), json!("batch")),
                ("endpoint".to_owned(), json!(endpoint)),
                ("input_file_id".to_owned(), json!(id)),
                ("completion_window".to_owned(), json!(window)),
                ("created_at".to_owned(), json!(now.as_second())),
                ("metadata".to_owned(), metadata.clone()),
            ]);
            object.extend(result);
            store.note_once(NOTE, &batch, &|| object.clone())
        })
        .await
        .map_err(Refusal::about(&input))?;
    Ok(Json(batch.into()))
}

/// `GET /batches/ID`.
pub(super) async fn info(
    State(Service { site, .. }): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let key = id.clone();
    let batch = site.blocking(move |store| store.noted(NOTE, &key)).await?;
    let batch = batch.ok_or_else(|| Refusal::no_such("Batch", &id))?;
    Ok(Json(batch.into()))
}

/// Runs the requests in a file: a request with a model succeeds, and one without fails. Blocking.
fn run(store: &Space, provider: &str, batch: &str, input: &FileId, now: Timestamp) -> StoreResult<Object> {
    let (_, content) = store.get(input)?;
    let mut lines = BufReader::new(content);
    let (mut output, mut errors) = (Lines::default(), Lines::default());
    let (mut line, mut number) = (Vec::new(), 0_u64);
    let failed = |error: io::Error| Error::failed("cannot run the batch").caused_by(error);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(request) = serde_json::from_slice::<Value>(&line) else {
            let problem = json!({
                "code": "invalid_json_line",
                "message": "This line is not parseable as valid JSON.",
                "param": null,
                "line": number,
            });
            let errors = json!({ "object": "list", "data": [problem] });
            return Ok(outcome("failed", &errors, [None, None], [0, 0]));
        };
        let (status, body) = match request["body"]["model"].as_str() {
            Some(model) => (200, json!({ "object": "response", "model": model })),
            None => (400, Refusal::missing("model").to_json()),
        };
        let answer = json!({
            "id": format!("batch_req_{}", ids::hex(16)),
            "custom_id": request["custom_id"],
            "response": { "status_code": status, "request_id": ids::hex(16), "body": body },
            "error": null,
        });
        let to = if status == 200 { &mut output } else { &mut errors };
        to.add(store, &answer).map_err(failed)?;
    }
    let counts = [output.count, errors.count];
    let file = |lines: Lines, kind: &str| lines.store(store, provider, &format!("{batch}_{kind}.jsonl"), now);
    let files = [file(output, "output")?, file(errors, "error")?];
    Ok(outcome("completed", &Value::Null, files, counts))
}

/// The fields of a finished batch.
fn outcome(
    status: &str,
    errors: &Value,
    [output, error]: [Option<FileId>; 2],
    [done, failed]: [u64; 2],
) -> Object {
    let counts = json!({ "total": done + failed, "completed": done, "failed": failed });
    Object::from_iter([
        ("status".to_owned(), json!(status)),
        ("errors".to_owned(), errors.clone()),
        ("output_file_id".to_owned(), json!(output)),
        ("error_file_id".to_owned(), json!(error)),
        ("request_counts".to_owned(), counts),
    ])
}

/// The lines of a file being written.
#[derive(Default)]
struct Lines {
    content: Option<Incoming>,
    count: u64,
}

impl Lines {
    fn add(&mut self, store: &Space, line: &Value) -> io::Result<()> {
        if self.content.is_none() {
            self.content = Some(store.receive().map_err(io::Error::other)?);
        }
        self.count += 1;
        match &mut self.content {
            Some(content) => writeln!(content, "{line}"),
            None => Ok(()),
        }
    }

    /// Stores the file, unless it is empty.
    fn store(self, store: &Space, provider: &str, name: &str, now: Timestamp) -> StoreResult<Option<FileId>> {
        let Some(content) = self.content else { return Ok(None) };
        let file = File {
            provider: provider.to_owned(),
            id: FileId(format!("file-{}", ids::base62(22))),
            name: name.to_owned(),
            purpose: Some("batch_output".to_owned()),
            created_at: Some(now),
            expires_at: Some(later(now, SignedDuration::from_secs(LIFETIME))),
            ..File::default()
        };
        Ok(Some(store.put(file, content.finish()?)?.id))
    }
}
