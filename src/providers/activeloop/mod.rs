//! Activeloop Files: OpenAI's wire format with workspaces and metadata. Little of the API is documented.
//!
//! - `workspace` is a form field in an upload and a query parameter everywhere else.
//! - `metadata` is JSON text in an upload and a JSON object elsewhere.
//! - The HTTP method for changing metadata is unknown: haul tries PUT, and a 405 response names a different method.
//!   It is also unknown whether the request merges or replaces metadata, so haul always sends the whole object.
//! - The response to an upload is a file, an array or a list, regardless of the number of files.

mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value as Json;

use self::wire::{FORMAT, WireFile, files_of, in_order_of};
use super::listing::page_size;
use super::openai::{self, List};
use super::pushdown::{Language, Parameter, Pushed, Spelling, text_of};
use super::{Annotate, Download, ListAbility, NameLimit, NameSlash, Native, Op, USUAL_DELAY, UploadAbility};
use super::{Capabilities, Connection, Dialect, Duplicates, Page, Provider, Query, Setting, Spec};
use crate::error::{Error, Kind, Message, Result, reference, word};
use crate::filter::{Comparison, Equality, Op as Is, Value};
use crate::http::{Body, Client, ContentStream, Method, Part, Range, Reply, Request, form};
use crate::model::{File, FileId, NewFile, Patch, StatusWords};
use crate::progress::Progress;

pub(super) static SPEC: Spec = Spec {
    name: "activeloop",
    title: "Activeloop",
    token_variables: &["ACTIVELOOP_TOKEN"],
    base_url_variables: &[],
    base_url: "https://api.activeloop.ai",
    upload_base_url: None,
    base_path: "",
    docs_url: "https://docs.activeloop.ai/api-reference/files",
    token_page: "",
    settings: &[
        Setting { key: "workspace", help: "workspace that contains the files", secret: false },
        Setting { key: "instructions", help: "instructions for processing an uploaded file", secret: false },
        Setting { key: "org_id", help: "organization, if the token does not determine it", secret: false },
        Setting {
            key: "metadata_method",
            help: "HTTP method of `meta set`: PUT, PATCH or POST",
            secret: false,
        },
    ],
    dialects: &[Dialect { name: "l0", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem: |_| None,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: None,
    open,
};

/// The first purpose is documented; the others are OpenAI's.
const PURPOSES: &[&str] = &["user_data", "assistants", "batch", "evals", "fine-tune", "vision"];

/// Possible methods for changing metadata. The default is PUT, because the only other update request in this API is a
/// PUT.
const VERBS: [Method; 3] = [Method::PUT, Method::PATCH, Method::POST];

/// The default page size. With the platform's default of 10,000, the first page takes a long time.
const PAGE: u32 = 1_000;

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: None,
        // The limit of the self-hosted product; the hosted one documents no limit.
        warn_bytes: Some(536_870_912),
        empty: true,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: PURPOSES,
        default_purpose: FORMAT.default_purpose,
        metadata: true,
        lifetime: None,
        files_per_request: 1_000,
        mark: false,
    },
    download: Download::Any,
    ranges: false,
    list: ListAbility {
        max_page: 10_000,
        stated: &[
            "size",
            "purpose",
            "status",
            "created_at",
            "expires_at",
            "metadata",
            "extra.object",
            "extra.status_details",
            "extra.org_id",
            "extra.workspace_id",
            "extra.user_id",
        ],
        native: &[
            Native::exact("purpose", &[Is::Eq]).sent(Spelling::Once(purpose)),
            Native::superset("metadata", &[Is::Eq]).sent(Spelling::Language(condition)),
        ],
        sort: &["created_at"],
        newest_first: true,
    },
    annotate: Some(Annotate { metadata: true, keys: &[], name: false, content_type: false, path: false }),
    link: None,
    delete: true,
    replace: false,
    checksums: &[],
    scope: &["workspace"],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: None,
    instead: &[
        (Op::Link, "to download the file: `haul get {ref}`"),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
    ],
};

struct Activeloop {
    connection: Connection,
    /// The HTTP method for changing metadata, as last detected.
    verb: Mutex<Method>,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let verb = match connection.setting("metadata_method") {
        Some(value) => known_verb(value).ok_or_else(|| {
            Error::usage(format!("metadata_method: must be PUT, PATCH or POST, not `{value}`"))
        })?,
        None => Method::PUT,
    };
    Ok(Box::new(Activeloop { connection, verb: Mutex::new(verb) }))
}

#[async_trait]
impl Provider for Activeloop {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAN
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let size = page_size(query, PAGE, CAN.list.max_page);
        let pushed = Pushed::of(query.filter.as_ref(), CAN.list.native, Some(&LANGUAGE));
        let request = Request::get(self.connection.url(&["files"])?)
            .query("limit", size)
            .maybe_query("order", openai::order(query))
            .maybe_query("purpose", pushed.parameter("purpose"))
            .maybe_query("workspace", self.connection.setting("workspace"))
            .maybe_query("filter", pushed.expression.as_deref())
            .maybe_query("after", cursor);
        let list: List = self.connection.http.json(&self.with_org(request), "list of files").await?;
        list.into_page(SPEC.name, size, |fields| WireFile(fields).into_file(self.profile()))
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = self.scoped(Request::get(self.connection.url(&["files", id.as_str()])?));
        self.connection.http.json::<WireFile>(&request, "file").await?.into_file(self.profile())
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        Ok(self.upload_together(std::slice::from_ref(file), &[progress]).await?.remove(0))
    }

    async fn upload_together(&self, files: &[NewFile], progress: &[Arc<dyn Progress>]) -> Result<Vec<File>> {
        let Some(first) = files.first() else { return Ok(Vec::new()) };
        if files.iter().any(|file| file.metadata != first.metadata || file.purpose != first.purpose) {
            return Err(Error::usage(
                "activeloop: all files in one upload must have the same purpose and metadata",
            ));
        }
        let setting = |key| self.connection.setting(key).map(|value| Part::text(key, value));
        let metadata = (!first.metadata.is_empty())
            .then(|| Part::text("metadata", Json::Object(first.metadata.clone()).to_string()));
        let fields = [setting("workspace"), metadata, setting("instructions")];
        let mut parts = FORMAT.form_fields(first);
        parts.extend(fields.into_iter().flatten());
        parts.extend(files.iter().map(|file| Part::file("file", file)));
        let request = Request::post(self.connection.url(&["files"])?, form(parts)).bulk();
        let shares = Arc::new(Shares::new(files, progress));
        let reply = self.connection.http.upload(&self.with_org(request), shares).await?;
        // The request succeeded, so the file may exist even if the body is invalid.
        let answered = files_of(reply.json("uploaded file")?, self.profile())
            .map_err(|error| error.with_status(reply.status))?;
        if answered.len() != files.len() {
            let message =
                format!("activeloop received {} files but returned {}", files.len(), answered.len());
            // According to the status, the request succeeded, so the other files may exist as well.
            return Err(Error::platform(message)
                .with_status(reply.status)
                .hint(format!("to see which files exist: `haul ls -p {}`", word(self.profile()))));
        }
        Ok(in_order_of(files, answered))
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = self.scoped(Request::delete(self.connection.url(&["files", id.as_str()])?));
        let reply = self.connection.http.send(&request).await?;
        FORMAT.check_deleted(id, &reply)
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let request = Request::get(self.connection.url(&["files", id.as_str(), "content"])?);
        self.connection.http.content(&self.scoped(request).range(range).bulk()).await
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        if patch.name.is_some() || patch.content_type.is_some() || patch.path.is_some() {
            return Err(Error::new(Kind::Unsupported, "activeloop can only change the metadata of a file")
                .hint(format!(
                    "to upload it under another name, with a new id: `haul upload -p {} FILE --name NAME`",
                    word(self.profile())
                )));
        }
        // Sending the whole object is correct whether the platform merges or replaces.
        let before = self.stat(id).await?.metadata;
        let after = patch.apply(&before);
        let reply = self.put_metadata(id, &Json::Object(after.clone())).await?;
        reply.acknowledges("change")?;
        let answer: Option<WireFile> = reply.json("file").ok();
        let answer = answer.and_then(|file| file.into_file(self.profile()).ok());
        let answer = answer.filter(|file| file.id == *id);
        let is_returned = answer.is_some();
        let file = match answer {
            Some(file) => file,
            None => self.stat(id).await?,
        };
        // If the response does not contain the file, it may come from a proxy, so check that the metadata was stored.
        // Instructions are not stored.
        let mut set = patch.set.iter().filter(|(key, value)| *key != "instructions" && !value.is_null());
        if let Some((lost, _)) = set.find(|(key, _)| !is_returned && !file.metadata.contains_key(*key)) {
            return Err(Error::platform(Message::file(id, &format!(": activeloop did not store {lost}"))));
        }
        // Check only removed keys: additional ones may result from `instructions`.
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        let kept: Vec<&str> =
            gone.filter(|key| file.metadata.contains_key(*key)).map(String::as_str).collect();
        if kept.is_empty() {
            return Ok(file);
        }
        let message = Message::file(
            id,
            &format!(": activeloop did not remove {}, because it only merges metadata", kept.join(", ")),
        );
        Err(Error::new(Kind::Unsupported, message).hint(format!(
            "to set a key to null instead: `haul meta set {} KEY=null`",
            reference(self.profile(), id)
        )))
    }
}

impl Activeloop {
    fn scoped(&self, request: Request) -> Request {
        let request = request.maybe_query("workspace", self.connection.setting("workspace"));
        self.with_org(request)
    }

    /// Adds the header that selected the organization before workspaces existed.
    fn with_org(&self, request: Request) -> Request {
        match self.connection.setting("org_id") {
            Some(org) => request.header("X-Activeloop-Org-Id", org),
            None => request,
        }
    }

    /// Sends the metadata with the known method and, after a 405, once more with the method that the response allows.
    async fn put_metadata(&self, id: &FileId, metadata: &Json) -> Result<Reply> {
        let verb = self.verb.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let reply = self.send_metadata(&verb, id, metadata).await?;
        if reply.status != 405 {
            return Ok(reply);
        }
        let allowed = reply.header("allow").and_then(|allow| allow.split(',').find_map(known_verb));
        let Some(other) = allowed.filter(|other| *other != verb) else {
            return Err(self.unsupported(Op::Annotate).with_status(405));
        };
        let reply = self.send_metadata(&other, id, metadata).await?;
        if reply.status == 405 {
            return Err(self.unsupported(Op::Annotate).with_status(405));
        }
        *self.verb.lock().unwrap_or_else(PoisonError::into_inner) = other;
        Ok(reply)
    }

    async fn send_metadata(&self, verb: &Method, id: &FileId, metadata: &Json) -> Result<Reply> {
        let url = self.connection.url(&["files", id.as_str(), "metadata"])?;
        let request = Request { method: verb.clone(), ..Request::put(url, Body::json(metadata)) };
        // Sending the whole object is idempotent, except for instructions, which are executed by an AI.
        let request = if metadata.get("instructions").is_none() { request.repeatable() } else { request };
        self.connection.http.send(&self.scoped(request).expecting(405)).await
    }
}

fn known_verb(word: &str) -> Option<Method> {
    VERBS.into_iter().find(|verb| verb.as_str().eq_ignore_ascii_case(word.trim()))
}

/// The parameter for a known purpose. The platform rejects unknown purposes.
fn purpose(comparison: &Comparison) -> Option<Parameter> {
    let purpose = text_of(comparison).filter(|word| PURPOSES.contains(&word.as_str()))?;
    Some(("purpose", purpose))
}

/// The platform's filter language for metadata.
const LANGUAGE: Language = Language { and: " and ", or: " or ", not: "not " };

/// The comparison in the filter language, if it cannot exclude a matching file. The platform may store a number as
/// text with various spellings, and it does not document how to escape a quote or a backslash.
fn condition(comparison: &Comparison) -> Option<String> {
    const WORDS: [&str; 9] = ["and", "or", "not", "in", "like", "is", "null", "true", "false"];
    let key = comparison.field.strip_prefix("metadata.")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !key.chars().all(plain) || key.starts_with(|c: char| c.is_ascii_digit()) || WORDS.contains(&key) {
        return None;
    }
    match (&comparison.value, comparison.op) {
        (Value::Null, Is::Eq) => Some(format!("metadata.{key} is null")),
        (Value::Null, Is::Ne) | (Value::Present, Is::Eq | Is::Has) => {
            Some(format!("metadata.{key} is not null"))
        }
        (Value::Bool(yes), Is::Eq) => Some(format!("(metadata.{key} == {yes} or metadata.{key} == '{yes}')")),
        (Value::Text(text), Is::Eq) => {
            // Text that is also valid JSON may be stored as JSON.
            let is_text = serde_json::from_str::<Json>(text).is_err();
            let is_clean = !text.contains(|c: char| c.is_control() || c == '\\');
            let quote = ['\'', '"'].into_iter().find(|quote| !text.contains(*quote))?;
            (is_text && is_clean).then(|| format!("metadata.{key} == {quote}{text}{quote}"))
        }
        _ => None,
    }
}

/// Splits the progress of a body with several files into the progress of each file.
struct Shares(Vec<(u64, u64, Arc<dyn Progress>)>);

impl Shares {
    fn new(files: &[NewFile], progress: &[Arc<dyn Progress>]) -> Self {
        let mut end = 0_u64;
        let shares = files.iter().zip(progress).map(|(file, progress)| {
            let start = end;
            end = end.saturating_add(file.size);
            (start, file.size, progress.clone())
        });
        Self(shares.collect())
    }
}

impl Progress for Shares {
    fn at(&self, bytes: u64) {
        for (start, size, progress) in &self.0 {
            progress.at(bytes.saturating_sub(*start).min(*size));
        }
    }

    fn read(&self, offset: u64, bytes: &[u8]) {
        // A chunk never spans two files.
        let after = self.0.partition_point(|(start, size, _)| start.saturating_add(*size) <= offset);
        if let Some((start, _, progress)) = self.0.get(after) {
            progress.read(offset - start, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<(u64, Vec<u8>)>>);

    impl Progress for Recorder {
        fn at(&self, bytes: u64) {
            self.0.lock().unwrap().push((bytes, Vec::new()));
        }

        fn read(&self, offset: u64, bytes: &[u8]) {
            self.0.lock().unwrap().push((offset, bytes.to_vec()));
        }
    }

    #[test]
    fn each_file_gets_its_own_progress() {
        let files = [("a", "12345"), ("b", ""), ("c", "678")].map(|(n, c)| NewFile::from_bytes(n, c));
        let recorders: [Arc<Recorder>; 3] = Default::default();
        let progress: Vec<Arc<dyn Progress>> =
            recorders.iter().map(|r| r.clone() as Arc<dyn Progress>).collect();
        let shares = Shares::new(&files, &progress);
        shares.read(0, b"123");
        shares.read(3, b"45");
        shares.read(5, b"678");
        shares.at(6);
        let recorded = recorders.map(|recorder| recorder.0.lock().unwrap().clone());
        assert_eq!(recorded[0], [(0, b"123".to_vec()), (3, b"45".to_vec()), (5, Vec::new())]);
        assert_eq!(recorded[1], [(0, Vec::new())]);
        assert_eq!(recorded[2], [(0, b"678".to_vec()), (1, Vec::new())]);
    }
}
