//! Gemini: the Files API of Google's Gemini API.
//!
//! - An upload is Google's resumable protocol, in [`upload`]: a request with the metadata returns the URL of a session, which
//!   receives the bytes. The URL grants access to the session: it is used without the key and never printed.
//! - The client may choose the id of a file. haul derives it from the mark of the upload, so that an upload whose answer was
//!   lost is found by exactly this id.
//! - A file expires 48 hours after its upload. Only files that the platform generated can be downloaded.
//! - A missing file, an expired one and a file of another project have the same answer: 403.
//! - The versions `v1` and `v1beta` differ only in the path.

mod upload;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::listing::page_size;
use super::{
    Capabilities, Connection, Dialect, Download, Duplicates, ListAbility, NameLimit, NameSlash, Op, Page,
    Provider, Query, Spec, USUAL_DELAY, UploadAbility,
};
use crate::error::{Error, Kind, Message, Result, word};
use crate::filter::Equality;
use crate::http::{Client, ContentStream, Range, Request};
use crate::model::{File, FileId, NewFile, StatusWords};
use crate::progress::Progress;
use wire::{FileReply, ListReply};

pub(super) static SPEC: Spec = Spec {
    name: "gemini",
    title: "Gemini (Google AI)",
    // Google's Python client prefers the second one.
    token_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    base_url_variables: &["GOOGLE_GEMINI_BASE_URL"],
    base_url: "https://generativelanguage.googleapis.com",
    upload_base_url: None,
    base_path: "",
    docs_url: "https://ai.google.dev/api/files",
    token_page: "https://aistudio.google.com/app/apikey",
    settings: &[],
    dialects: &[
        Dialect { name: "v1beta", title: "the documented version", can: &CAN },
        Dialect { name: "v1", title: "the version of the official clients", can: &CAN },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem: wire::read_problem,
    status: StatusWords { ready: &["active"], failed: &[] },
    request_ids: &[],
    open,
};

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        // Documented as "2 GB". Only files that exceed it in both interpretations are rejected before sending.
        max_bytes: Some(2 * 1024 * 1024 * 1024),
        warn_bytes: Some(2_000_000_000),
        empty: true,
        name: NameLimit::Characters(512),
        forbidden: &[],
        forbids_control: false,
        purpose: false,
        purposes: &[],
        default_purpose: None,
        metadata: false,
        lifetime: None,
        files_per_request: 1,
        mark: true,
    },
    download: Download::SomeFiles,
    ranges: false,
    list: ListAbility {
        max_page: LARGEST_PAGE,
        stated: &[
            "size",
            "content_type",
            "status",
            "created_at",
            "updated_at",
            "expires_at",
            "checksums.sha256",
            "downloadable",
            "url",
            "uri",
            "source",
            "extra.videoMetadata",
            "extra.error",
        ],
        native: &[],
        sort: &[],
        // Not documented.
        newest_first: false,
    },
    annotate: None,
    link: None,
    delete: true,
    replace: false,
    checksums: &["sha256"],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: None,
    instead: &[
        (
            Op::Download,
            "gemini returns only files that it generated; to show the URI for prompts: `haul info {ref} --fields extra.uri`",
        ),
        (Op::Annotate, "upload the file again with another name"),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
        (Op::Link, "to show the URI of the file, for prompts: `haul info {ref} --fields extra.uri`"),
    ],
};

/// The maximum page size, which is the default here; the platform's default is 10.
const LARGEST_PAGE: u32 = 100;
/// The header with the key.
const KEY_HEADER: &str = "x-goog-api-key";
/// The prefix of a file's name, which the platform's own clients show as the id.
const PREFIX: &str = "files/";

struct Gemini {
    connection: Connection,
    /// `v1` or `v1beta`, as in paths.
    version: &'static str,
}

#[allow(clippy::unnecessary_wraps, reason = "the type of all providers")]
fn open(mut connection: Connection) -> Result<Box<dyn Provider>> {
    connection.http = connection.http.authenticating(KEY_HEADER);
    let version = SPEC.dialect(&connection.dialect).name;
    Ok(Box::new(Gemini { connection, version }))
}

#[async_trait]
impl Provider for Gemini {
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
        let size = page_size(query, query.filter.is_none(), LARGEST_PAGE, LARGEST_PAGE);
        let request = Request::get(self.connection.url(&[self.version, "files"])?)
            .query("pageSize", size)
            .maybe_query("pageToken", cursor);
        let reply: ListReply = self.connection.http.json(&request, "list of files").await?;
        Ok(Page {
            files: reply.files.into_iter().map(|file| file.into_file(self.profile())).collect(),
            next: reply.next_page_token,
        })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = Request::get(self.file(id, "")?);
        match self.connection.http.json::<FileReply>(&request, "file").await {
            Ok(reply) => Ok(reply.into_file(self.profile())),
            // The id is the only argument.
            Err(error) if error.status() == Some(400) && error.message().contains("invalid argument") => {
                Err(Error::not_found(Message::file(id, ": no such file on gemini")).with_status(400))
            }
            Err(error) => Err(error),
        }
    }

    async fn find_marked(&self, mark: &str) -> Result<Option<File>> {
        match self.stat(&upload::id_of(mark).into()).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        self.upload_whole(file, progress).await
    }

    fn multipart(&self) -> Option<&dyn super::Multipart> {
        Some(self)
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request::delete(self.file(id, "")?);
        match self.connection.http.send(&request).await {
            Err(error) if error.kind() == Kind::Unsupported => {
                Err(error.hint("a file expires 48 h after its creation"))
            }
            sent => sent?.acknowledges("deletion"),
        }
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let request = Request::get(self.file(id, ":download")?).query("alt", "media").bulk().range(range);
        self.connection.http.content(&request).await.map_err(|error| match (error.status(), error.kind()) {
            (Some(400), Kind::Failed) => Error::new(
                Kind::Unsupported,
                Message::about("gemini does not return ", id, ": it returns only files that it generated"),
            )
            .caused_by(error)
            .with_status(400),
            (Some(403), Kind::Auth) => error.hint(format!(
                "gemini returns only files that it generated; to show the source of the file: `haul info {}`",
                word(&format!("{}:id:{id}", self.profile()))
            )),
            _ => error,
        })
    }
}

impl Gemini {
    /// The URL of a file, followed by `action`. The id may have the platform's prefix.
    fn file(&self, id: &FileId, action: &str) -> Result<Url> {
        let id = id.as_str().strip_prefix(PREFIX).unwrap_or(id.as_str());
        // `.` and `..` are invalid ids, also with an action.
        self.connection.url(&[id])?;
        self.connection.url(&[self.version, "files", &format!("{id}{action}")])
    }
}
