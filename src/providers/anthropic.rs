//! Anthropic: files for messages, and files created by Claude's tools.
//!
//! - Three dialects share the paths. The request header `anthropic-beta: files-api-2025-04-14` selects `beta`, whose
//!   pages start after an id. Without that header, pages have their own tokens and files can expire; this is `ga` or
//!   `2026-10-21`, which differs from `ga` only in the version header and in the header for the key.
//! - Uploaded files cannot be downloaded. `downloadable` is true only for files created by tools.
//! - The `details.error_code` of an error is stable; its message is not.
//! - The order of listings is not documented.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::lenient::{self, Known};
use super::listing::{next_cursor, page_size};
use super::pushdown::{Parameter, Pushed, Spelling, text_of};
use super::{
    Capabilities, Download, Duplicates, ListAbility, NameLimit, NameSlash, Native, Op, USUAL_DELAY,
    UploadAbility,
};
use super::{Connection, ContentStream, Dialect, Page, Provider, Query, Quota, Range, Setting, Spec};
use crate::error::{Error, Kind, Result};
use crate::filter::{Equality, Op as Is};
use crate::http::{Client, Part, Problem, RateLimit, Reply, Request, form};
use crate::model::{File, FileId, NewFile, StatusWords};
use crate::progress::Progress;

pub(super) static SPEC: Spec = Spec {
    name: "anthropic",
    title: "Anthropic",
    token_variables: &["ANTHROPIC_API_KEY", AUTH_TOKEN],
    base_url_variables: &["ANTHROPIC_BASE_URL"],
    base_url: "https://api.anthropic.com/v1",
    upload_base_url: None,
    base_path: "/v1",
    docs_url: "https://platform.claude.com/docs/en/build-with-claude/files",
    token_page: "https://platform.claude.com/settings/keys",
    settings: &[
        Setting {
            key: WORKSPACE,
            help: "workspace that contains the files, such as wrkspc_1 (not in the beta dialect)",
            secret: false,
        },
        Setting { key: AUTH, help: "header for the key: `x-api-key` or `bearer`", secret: false },
    ],
    dialects: &[
        Dialect { name: "ga", title: "2023-06-01 without the beta header", can: &GA },
        Dialect { name: "2026-10-21", title: "same as ga, but with Authorization: Bearer", can: &GA },
        Dialect { name: "beta", title: "files-api-2025-04-14", can: &BETA },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Stripped,
    read_problem,
    status: StatusWords::NONE,
    request_ids: &["request-id"],
    scheme: None,
    open,
};

/// The variable for a token that is always sent as `Authorization: Bearer`.
const AUTH_TOKEN: &str = "ANTHROPIC_AUTH_TOKEN";
/// The setting that selects a workspace.
const WORKSPACE: &str = "workspace_id";
/// The setting that selects the header for the key.
const AUTH: &str = "auth";

/// The range of lifetimes in seconds: one hour to 90 days.
const LIFETIME: (i64, i64) = (3_600, 7_776_000);
/// Maximum page size; the platform's default is 20.
const MAX_PAGE: u32 = 1_000;

/// Characters that a name must not contain. `/` is handled by [`Spec::name_slash`].
const FORBIDDEN: [char; 40] = {
    let mut all = ['\0'; 40];
    let mut at: u8 = 0;
    while at < 32 {
        all[at as usize] = at as char;
        at += 1;
    }
    [all[32], all[33], all[34], all[35], all[36], all[37], all[38], all[39]] =
        ['<', '>', ':', '"', '|', '?', '*', '\\'];
    all
};

/// A filter by the id of the session that a file belongs to.
const SESSION: Native = Native::superset("extra.scope.id", &[Is::Eq])
    .sent(Spelling::Once(|it| -> Option<Parameter> { Some(("scope_id", text_of(it)?)) }));

const GA: Capabilities = Capabilities {
    upload: UploadAbility {
        // Documented as 500 MB, without specifying decimal or binary units.
        max_bytes: Some(500 * 1024 * 1024),
        warn_bytes: Some(500_000_000),
        empty: true,
        name: NameLimit::Characters(255),
        forbidden: &FORBIDDEN,
        forbids_control: false,
        purpose: false,
        purposes: &[],
        default_purpose: None,
        metadata: false,
        lifetime: Some(LIFETIME),
        files_per_request: 1,
        mark: false,
    },
    download: Download::SomeFiles,
    ranges: false,
    list: ListAbility {
        max_page: MAX_PAGE,
        stated: &[
            "size",
            "content_type",
            "created_at",
            "expires_at",
            "downloadable",
            "extra.type",
            "extra.scope",
        ],
        native: &[Native::superset("id", &[Is::Eq]).sent(Spelling::Repeated(IDS)), SESSION],
        sort: &[],
        newest_first: false,
    },
    annotate: None,
    link: None,
    delete: true,
    replace: false,
    checksums: &[],
    scope: &[WORKSPACE],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: Some(RateLimit { requests: 500, per: Duration::from_mins(1) }),
    instead: &[
        (Op::Download, "only files created by Claude's tools can be downloaded"),
        (
            Op::Annotate,
            "to change the name, upload the file again, which gives it a new id: `haul upload FILE --name NAME`",
        ),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
    ],
};

const BETA: Capabilities = Capabilities {
    upload: UploadAbility { lifetime: None, ..GA.upload },
    list: ListAbility {
        stated: &["size", "content_type", "created_at", "downloadable", "extra.type", "extra.scope"],
        native: &[SESSION],
        ..GA.list
    },
    scope: &[],
    rate: Some(RateLimit { requests: 100, per: Duration::from_mins(1) }),
    ..GA
};

/// The parameter that selects files by id. It cannot be combined with paging parameters.
const IDS: &str = "ids[]";

struct Anthropic {
    connection: Connection,
    /// Sends the key in the header selected by the settings.
    http: Client,
    dialect: &'static Dialect,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let dialect = SPEC.dialect(&connection.dialect);
    if dialect.name == "beta" && connection.setting(WORKSPACE).is_some() {
        let message = "workspace_id: not supported by the beta dialect of anthropic";
        return Err(Error::new(Kind::Unsupported, message)
            .hint("to use a dialect that supports it: `--wire-dialect ga`"));
    }
    let is_bearer = match connection.choice(AUTH, &["x-api-key", "bearer"])? {
        Some(word) => word == "bearer",
        None => dialect.name == "2026-10-21" || connection.token_variable.as_deref() == Some(AUTH_TOKEN),
    };
    let http = &connection.http;
    let http = if is_bearer { http.clone() } else { http.authenticating("x-api-key") };
    Ok(Box::new(Anthropic { connection, http, dialect }))
}

#[async_trait]
impl Provider for Anthropic {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.dialect.can
    }

    fn quota(&self) -> Option<Quota> {
        // The guides of the beta name different values.
        let is_beta = self.dialect.name == "beta";
        (!is_beta).then_some(Quota { bytes: Some(1_000_000_000_000), files: None, per: "organization" })
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let size = page_size(query, MAX_PAGE, MAX_PAGE);
        let mut parameters = Pushed::of(query.filter.as_ref(), self.dialect.can.list.native, None).parameters;
        let has_ids = parameters.iter().any(|(name, _)| *name == IDS);
        if has_ids && cursor.is_some() {
            // The cursor comes from a listing without this filter.
            parameters.retain(|(name, _)| *name != IDS);
        }
        let mut request = Request::get(self.connection.url(&["files"])?);
        if !has_ids || cursor.is_some() {
            let page = if self.is_beta() { "after_id" } else { "page" };
            request = request.query("limit", size).maybe_query(page, cursor);
        }
        let request =
            parameters.into_iter().fold(request, |request, (name, value)| request.query(name, value));
        let list: List =
            self.http.json(&self.with_headers(request), "list of files").await.map_err(|error| {
                match (error.status(), cursor) {
                    (Some(400), Some(_)) => {
                        error.hint("run the same command again; the cursor may have expired")
                    }
                    _ => error,
                }
            })?;
        let next = self.next(&list)?;
        Ok(Page { files: list.data.into_iter().flatten().map(|file| self.translate(file)).collect(), next })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = Request::get(self.connection.url(&["files", id.as_str()])?);
        Ok(self.translate(self.http.json(&self.with_headers(request), "file").await?))
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let expires =
            file.expires.map(|expires| Part::text("expires_in_seconds", expires.as_secs().to_string()));
        let parts = expires.into_iter().chain([Part::file("file", file)]).collect();
        let request = Request::post(self.connection.url(&["files"])?, form(parts)).bulk();
        let reply = self.http.upload(&self.with_headers(request), progress).await?;
        Ok(self.translate(reply.json("file")?))
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request::delete(self.connection.url(&["files", id.as_str()])?);
        self.http.send(&self.with_headers(request)).await?.acknowledges("deletion")
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let request = Request::get(self.connection.url(&["files", id.as_str(), "content"])?);
        self.http.content(&self.with_headers(request.range(range).bulk())).await
    }
}

impl Anthropic {
    fn is_beta(&self) -> bool {
        self.dialect.name == "beta"
    }

    /// Adds the headers that select the dialect and the workspace.
    fn with_headers(&self, request: Request) -> Request {
        let version = if self.dialect.name == "2026-10-21" { "2026-10-21" } else { "2023-06-01" };
        let mut request = request.header("anthropic-version", version);
        if self.is_beta() {
            request = request.header("anthropic-beta", "files-api-2025-04-14");
        }
        match self.connection.setting(WORKSPACE) {
            Some(workspace) => request.header("anthropic-workspace-id", workspace),
            None => request,
        }
    }

    /// The cursor of the next page. A page in the other dialect is an error, because the listing would otherwise look
    /// complete.
    fn next(&self, list: &List) -> Result<Option<String>> {
        let is_other = match &list.next_page {
            Some(_) => self.is_beta() && !list.has_more,
            None => !self.is_beta() && list.has_more,
        };
        if is_other {
            let (ours, other) = (self.dialect.name, if self.is_beta() { "ga" } else { "beta" });
            return Err(Error::platform(format!("anthropic returned a list in a dialect other than {ours}"))
                .hint(format!("to use that dialect: `--wire-dialect {other}`")));
        }
        if !self.is_beta() {
            return Ok(list.next_page.clone());
        }
        let final_id = || list.data.iter().flatten().last().map(|file| file.id.clone());
        next_cursor(SPEC.name, list.has_more, list.last_id.clone().or_else(final_id))
    }

    fn translate(&self, file: Known) -> File {
        File { profile: self.connection.profile.clone(), ..translated(file) }
    }
}

/// A page of files, with a token or with the id of its last file.
#[derive(Deserialize)]
struct List {
    /// Null means an empty list; an object without this field is not a list.
    #[serde(deserialize_with = "Option::deserialize")]
    data: Option<Vec<Known>>,
    #[serde(default, deserialize_with = "lenient::word")]
    next_page: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    has_more: bool,
    #[serde(default, deserialize_with = "lenient::word")]
    last_id: Option<String>,
}

fn translated(Known { id, mut fields }: Known) -> File {
    File {
        provider: SPEC.name.to_owned(),
        id: FileId(id),
        name: fields.take(&["filename"], lenient::as_text).unwrap_or_default(),
        size: fields.take(&["size_bytes"], lenient::as_count),
        content_type: fields.take(&["mime_type"], lenient::as_text),
        created_at: fields.take(&["created_at"], lenient::as_time),
        expires_at: fields.take(&["expires_at"], lenient::as_time),
        downloadable: fields.take(&["downloadable"], Value::as_bool),
        extra: fields.rest(),
        ..File::default()
    }
}

/// Reads errors whose status is misleading, and overload errors without a message.
fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let error = &body["error"];
    let message = error["message"].as_str().unwrap_or_default();
    let kind = match error["details"]["error_code"].as_str() {
        Some("file_not_downloadable") => Some(Kind::Unsupported),
        // The organization's storage is full.
        Some("storage_quota_exceeded") => Some(Kind::RateLimited),
        Some("file_expired") => Some(Kind::NotFound),
        Some("claude_code_key_creator_not_member") => Some(Kind::Auth),
        _ => None,
    };
    let message = match message {
        "" if reply.status == 529 => "overloaded",
        message => message,
    };
    let is_ours = kind.is_some() || (reply.status == 529 && !message.is_empty());
    is_ours.then(|| Problem { message: message.to_owned(), kind, ..Problem::default() })
}
