//! Together AI: file objects like OpenAI's, and uploads through presigned URLs.
//!
//! - An upload, in [`upload`], has three steps: a form with the name and the SHA-256, whose response redirects to a
//!   presigned URL; the content, which goes to this URL without the token; and a request that starts the platform's
//!   checks. The content of a file above 5 GiB is sent in [`parts`].
//! - The platform stores equal content once: the first step fails with the id of the existing file.
//! - A listing is one page without parameters.

mod parts;
mod upload;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use self::wire::{FORMAT, into_file, read_problem};
use super::lenient::Fields;
use super::openai::List;
use super::{
    Capabilities, Connection, Dialect, Download, Duplicates, ListAbility, NameLimit, NameSlash, Op, Page,
    Provider, Query, Setting, Spec, USUAL_DELAY, UploadAbility,
};
use crate::error::{Error, Result};
use crate::filter::Equality;
use crate::http::{Client, ContentStream, Range, Request};
use crate::model::{File, FileId, NewFile, StatusWords};
use crate::progress::Progress;

pub(super) static SPEC: Spec = Spec {
    name: "together",
    title: "Together AI",
    token_variables: &["TOGETHER_API_KEY"],
    // The Python client expects the URL without the version, the JavaScript client with it.
    base_url_variables: &["TOGETHER_BASE_URL"],
    base_url: "https://api.together.ai/v1",
    upload_base_url: None,
    base_path: "/v1",
    docs_url: "https://docs.together.ai/reference/get-files",
    token_page: "https://api.together.ai/settings/api-keys",
    settings: &[Setting {
        key: "via",
        help: "form: upload in one request; parts: upload in parts, as for any file above 5 GiB",
        secret: false,
    }],
    dialects: &[Dialect { name: "v1", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Stripped,
    read_problem,
    status: StatusWords { ready: &[], failed: &["invalid_format"] },
    request_ids: &[],
    scheme: None,
    open,
};

/// The purposes of the official client.
const PURPOSES: &[&str] = &["fine-tune", "calibration", "eval", "batch-api"];
/// The purpose that is sent if the user specifies none.
const DEFAULT_PURPOSE: &str = "fine-tune";

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        // 50.1 GiB.
        max_bytes: Some(53_794_465_382),
        warn_bytes: None,
        empty: false,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: PURPOSES,
        default_purpose: Some(DEFAULT_PURPOSE),
        metadata: false,
        lifetime: None,
        files_per_request: 1,
        mark: false,
    },
    download: Download::Any,
    ranges: true,
    list: ListAbility {
        // One page contains all files.
        max_page: u32::MAX,
        stated: &[
            "size",
            "purpose",
            "status",
            "created_at",
            "FileType",
            "Processed",
            "LineCount",
            "extra.object",
            "extra.validation_report",
        ],
        native: &[],
        sort: &[],
        newest_first: false,
    },
    annotate: None,
    link: None,
    delete: true,
    replace: false,
    checksums: &[],
    scope: &[],
    duplicates: Duplicates::Never,
    appears_within: USUAL_DELAY,
    rate: None,
    instead: &[
        (Op::Annotate, "to change the name: `haul rm {ref}`, then `haul upload FILE --name NAME`"),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
        (Op::Link, "to download the file: `haul get {ref}`"),
    ],
};

struct Together {
    connection: Connection,
    via: Via,
}

/// How files are uploaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Via {
    /// Three steps, or parts above 5 GiB.
    Auto,
    /// One form with the content.
    Form,
    /// Parts, whatever the size of the file.
    Parts,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let via = match connection.choice("via", &["form", "parts"])? {
        Some("form") => Via::Form,
        Some(_) => Via::Parts,
        None => Via::Auto,
    };
    Ok(Box::new(Together { connection, via }))
}

#[async_trait]
impl Provider for Together {
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

    async fn list(&self, _query: &Query, _cursor: Option<&str>) -> Result<Page> {
        let request = Request::get(self.connection.url(&["files"])?);
        let list: List = self.connection.http.json(&request, "list of files").await?;
        let page = list.into_page(SPEC.name, u32::MAX, |fields| into_file(fields, self.profile()))?;
        Ok(Page { next: None, ..page })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = Request::get(self.connection.url(&["files", id.as_str()])?);
        let fields: Fields = self.connection.http.json(&request, "file").await?;
        into_file(fields, self.profile())
    }

    async fn finish(&self, file: File) -> Result<File> {
        // The content has arrived, but its check has not been requested.
        if file.status.as_deref() == Some(wire::PENDING) { self.preprocess(&file.id).await } else { Ok(file) }
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        if self.via == Via::Form {
            return self.upload_form(file, progress).await;
        }
        self.upload_presigned(file, progress).await
    }

    fn multipart(&self) -> Option<&dyn super::Multipart> {
        Some(self)
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request::delete(self.connection.url(&["files", id.as_str()])?);
        let reply = self.connection.http.send(&request).await?;
        FORMAT.check_deleted(id, &reply)
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let request = Request::get(self.connection.url(&["files", id.as_str(), "content"])?);
        self.connection.http.content(&request.range(range).bulk()).await
    }
}

impl Together {
    /// A presigned URL in a response. It grants access to the storage, so errors never contain it.
    fn presigned(&self, text: &str) -> Result<Url> {
        let is_secure = self.connection.base_url.scheme() != "http";
        match Url::parse(text) {
            Ok(url) if url.scheme() == "http" && is_secure => {
                Err(Error::platform("together returned an upload URL that is not secure"))
            }
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(Error::platform("together returned an upload URL that is not an http URL")),
        }
    }
}
