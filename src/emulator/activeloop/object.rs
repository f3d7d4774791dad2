//! The file object, and what the store keeps for it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ORG, SPACE, USER};
use crate::emulator::fastapi::Problem;
use crate::emulator::{Site, ids};
use crate::model::{File, FileId};

/// The workspace that is meant where none is named.
pub(super) const DEFAULT_WORKSPACE: &str = "default";
/// Keys of `extra`: the file's workspace, and all orders that came for it.
pub(super) const WORKSPACE: &str = "workspace_id";
pub(super) const INSTRUCTIONS: &str = "instructions";
/// Seconds from upload to index.
const INDEX_AFTER: i64 = 2;

/// What a file may be for: OpenAI's words, since only `user_data` is documented.
pub(super) const PURPOSES: [&str; 9] = [
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "vision",
    "user_data",
    "evals",
];

/// A file that begins now, under a new id.
pub(super) fn new(site: &Site, name: String, workspace: &str) -> File {
    File {
        provider: SPACE.to_owned(),
        id: FileId(ids::uuid().replace('-', "")),
        name,
        created_at: Some(site.clock.now()),
        extra: [(WORKSPACE.to_owned(), workspace.into())].into_iter().collect(),
        ..File::default()
    }
}

/// The file's workspace.
pub(super) fn workspace(file: &File) -> &str {
    file.extra.get(WORKSPACE).and_then(Value::as_str).unwrap_or(DEFAULT_WORKSPACE)
}

/// Checks a purpose.
pub(super) fn check_purpose(place: &str, word: &str) -> Result<(), Problem> {
    if PURPOSES.contains(&word) {
        return Ok(());
    }
    Err(Problem::one_of([place, "purpose"], "enum", &PURPOSES).input(word))
}

/// Notes an order for an AI, which is no metadata. The quirk `instructions` says under which key it shows.
pub(super) fn instruct(site: &Site, file: &mut File, instructions: &Value) {
    if let Some(key) = site.quirk_value("instructions") {
        file.metadata.insert(key.to_owned(), instructions.clone());
    }
    let all = file.extra.entry(INSTRUCTIONS).or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.push(instructions.clone());
    }
}

/// The object. Indexing is a matter of time: a file is first uploaded, then processing, then indexed.
pub(super) fn show(site: &Site, file: &File) -> Value {
    let age = file.created_at.map_or(0, |created| site.clock.now().as_second() - created.as_second());
    let total = site.quirk_value("index-after").and_then(|text| text.parse().ok()).unwrap_or(INDEX_AFTER);
    let (status, details) = match site.quirk_value("index-error") {
        _ if age < total / 2 => ("uploaded", None),
        _ if age < total => ("processing", None),
        Some(details) => ("error", Some(details)),
        None => ("indexed", None),
    };
    object(file, status, details)
}

/// The object of a file that has arrived this moment.
pub(super) fn show_new(file: &File) -> Value {
    object(file, "uploaded", None)
}

fn object(file: &File, status: &str, details: Option<&str>) -> Value {
    let metadata = if file.metadata.is_empty() { Value::Null } else { file.metadata.clone().into() };
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.size,
        "created_at": file.created_at.map(Timestamp::as_second),
        "filename": file.name,
        "purpose": file.purpose,
        "status": status,
        "status_details": details,
        "expires_at": null,
        "org_id": ORG,
        "workspace_id": workspace(file),
        "user_id": USER,
        "metadata": metadata,
    })
}
