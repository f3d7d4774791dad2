//! LlamaCloud: the Files API of `LlamaIndex`'s parsing, extraction and indexing products.
//!
//! - The beta endpoints return a short object without size and creation time. The legacy endpoints return a long object
//!   that contains both. Neither object contains a media type. [`wire`] decodes both objects.
//! - A file cannot be renamed or changed, and has no user metadata.
//! - The API never serves bytes itself. `/content` returns a presigned URL of an object store, which is requested
//!   without the token: the store rejects requests with two credentials, and must not receive the token.
//! - Beta listings return neither sizes nor times, so they cannot show whether an upload whose response was lost has
//!   succeeded. Therefore each upload has an `external_file_id` that identifies it, generated unless the user sets one.
//! - The scope is in the query of every request, including uploads.

mod listing;
mod presigned;
mod upload;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use url::Url;

use super::pushdown::{Pushed, Spelling};
use super::{Capabilities, Connection, Dialect, Duplicates, Page, Provider, Query, Setting, Spec};
use super::{
    ContentStream, Download, LinkAbility, ListAbility, NameLimit, NameSlash, Native, Op, USUAL_DELAY,
    UploadAbility,
};
use crate::error::{Error, Kind, Message, Result, reference};
use crate::filter::{Equality, Expr, Filter, Op as Comparator};
use crate::http::{Client, Range, RateLimit, Request};
use crate::model::{File, FileId, Link, NewFile, StatusWords};
use crate::progress::Progress;
use wire::FileReply;

pub(super) static SPEC: Spec = Spec {
    name: "llamacloud",
    title: "LlamaCloud (LlamaIndex)",
    token_variables: &["LLAMA_CLOUD_API_KEY", "LLAMA_PARSE_API_KEY"],
    base_url_variables: &["LLAMA_CLOUD_BASE_URL"],
    base_url: "https://api.cloud.llamaindex.ai",
    upload_base_url: None,
    base_path: "",
    docs_url: "https://developers.llamaindex.ai/reference/resources/files/",
    token_page: "https://cloud.llamaindex.ai/api-key",
    settings: &[
        setting("project_id", "project; defaults to the key's project"),
        setting("organization_id", "organization"),
        setting("region", "na (default) or eu; a key is valid in only one region"),
        setting("external_file_id", "upload: your own id for the file; by default, haul generates one"),
        setting("expand", "ls, info: additional fields, such as `download_url`"),
        setting("via", "alternative endpoint: `presigned` (upload, legacy) or `query` (ls, deprecated)"),
        setting(
            "only_manually_uploaded",
            "ls: `true` omits files that belong to a data source; uses via=query",
        ),
        setting("data_source_id", "upload via=presigned: the file's data source"),
        setting("storage_type", "upload via=presigned or in the legacy dialect: `permanent` or `ephemeral`"),
        setting("last_modified_at", "upload via=presigned: the original's modification time, RFC 3339"),
        setting("resource_info", "upload via=presigned: JSON object that describes the original"),
        setting("permission_info", "upload via=presigned: JSON object with the file's permissions"),
    ],
    dialects: &[
        Dialect { name: "beta", title: "beta endpoints", can: &CAN },
        Dialect { name: "legacy", title: "v1 endpoints, which return size and dates", can: &CAN_LEGACY },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem: wire::read_problem,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: None,
    open,
};

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        // Documented as "512 MB". Only files that exceed both interpretations are rejected before sending.
        max_bytes: Some(512 * 1024 * 1024),
        warn_bytes: Some(512_000_000),
        empty: false,
        name: NameLimit::Characters(3000),
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: &["user_data", "parse", "extract", "split", "classify", "sheet", "agent_app"],
        default_purpose: Some(DEFAULT_PURPOSE),
        metadata: false,
        lifetime: None,
        files_per_request: 1,
        mark: true,
    },
    download: Download::Any,
    // The object store supports ranges; the API does not.
    ranges: true,
    list: ListAbility {
        max_page: 1000,
        // The fields in the short object.
        stated: &[
            "purpose",
            "expires_at",
            "external_file_id",
            "extra.project_id",
            "extra.file_type",
            "extra.last_modified_at",
        ],
        native: &[
            Native::exact("id", &[Comparator::Eq]).sent(Spelling::Repeated(listing::IDS)),
            equals("name"),
            equals("external_file_id"),
            equals("data_source_id"),
        ],
        sort: &["+name", "+id", "-created_at"],
        // Assumed: the default order is not documented, and listings return no times to sort by.
        newest_first: true,
    },
    annotate: None,
    link: Some(LinkAbility {
        lifetime: Some((1, LONGEST_LINK)),
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    delete: true,
    replace: false,
    checksums: &[],
    scope: &["organization_id", "project_id"],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    // Documented per project for uploads (`POST /api/v1/files`). Other requests have no documented limit.
    rate: Some(RateLimit { requests: 50, per: Duration::from_secs(5) }),
    instead: &[
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
        (Op::Links, "to create another link: `haul link {ref}`"),
        (Op::Unlink, "to create a link that expires soon: `haul link {ref} --expires 1m`"),
    ],
};

/// The legacy endpoints accept no purpose and list all files at once in an undocumented order.
const CAN_LEGACY: Capabilities = Capabilities {
    upload: UploadAbility { purpose: false, purposes: &[], default_purpose: None, ..CAN.upload },
    list: ListAbility {
        max_page: u32::MAX,
        // The fields in the long object.
        stated: &[
            "size",
            "purpose",
            "created_at",
            "updated_at",
            "expires_at",
            "external_file_id",
            "data_source_id",
            "extra.project_id",
            "extra.file_type",
            "extra.last_modified_at",
            "extra.resource_info",
            "extra.permission_info",
        ],
        native: &[],
        sort: &[],
        newest_first: false,
    },
    ..CAN
};

/// The capabilities if the user sets `external_file_id`, which then cannot hold a mark.
const CAN_UNMARKED: Capabilities =
    Capabilities { upload: UploadAbility { mark: false, ..CAN.upload }, ..CAN };
const CAN_LEGACY_UNMARKED: Capabilities =
    Capabilities { upload: UploadAbility { mark: false, ..CAN_LEGACY.upload }, ..CAN_LEGACY };

/// The default purpose. A file with this purpose is kept until it is deleted.
const DEFAULT_PURPOSE: &str = "user_data";
/// Maximum lifetime of a link in seconds: the limit of S3, because the platform documents none.
const LONGEST_LINK: i64 = 7 * 24 * 3600;
/// Lifetime in seconds of a link created for a download.
const DOWNLOAD_LINK: i64 = 15 * 60;
/// A field whose value the client can choose, and the setting for it.
const EXTERNAL_ID: &str = "external_file_id";
/// The base URL of the other region.
const EUROPE: &str = "https://api.cloud.eu.llamaindex.ai";
/// The endpoints that return the short object.
const BETA: [&str; 4] = ["api", "v1", "beta", "files"];
/// The endpoints that return the long object.
const LEGACY: [&str; 3] = ["api", "v1", "files"];

const fn setting(key: &'static str, help: &'static str) -> Setting {
    Setting { key, help, secret: false }
}

const fn equals(field: &'static str) -> Native {
    Native::exact(field, &[Comparator::Eq]).sent(Spelling::Once(listing::equals))
}

struct LlamaCloud {
    connection: Connection,
    legacy: bool,
    via: Via,
}

/// The endpoint for an operation, if there are several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    /// The dialect's default endpoint.
    Plain,
    /// Uploads with `FileCreate` and a presigned URL.
    Presigned,
    /// Listings with the deprecated query endpoint.
    Query,
}

fn open(mut connection: Connection) -> Result<Box<dyn Provider>> {
    let via = match connection.setting("via") {
        None => Via::Plain,
        Some("presigned") => Via::Presigned,
        Some("query") => Via::Query,
        Some(other) => {
            return Err(Error::usage(format!("via={other}: must be presigned or query"))
                .hint("`--set via=presigned` is for upload, `--set via=query` for ls"));
        }
    };
    let legacy = connection.dialect == "legacy";
    if legacy {
        let only_beta =
            ["expand", "only_manually_uploaded"].into_iter().find(|key| connection.setting(key).is_some());
        if let Some(key) = only_beta.or((via == Via::Query).then_some("via=query")) {
            return Err(Error::usage(format!("{key}: not supported by the legacy dialect of llamacloud"))
                .hint("remove `--wire-dialect legacy`"));
        }
    }
    if let Some(url) = regional(&connection.base_url, connection.setting("region"))? {
        connection.http = connection.http.trusting(&url);
        connection.base_url = url;
    }
    Ok(Box::new(LlamaCloud { connection, legacy, via }))
}

/// The base URL of the region, if it differs from `base`.
fn regional(base: &Url, region: Option<&str>) -> Result<Option<Url>> {
    let Some(region) = region else { return Ok(None) };
    let wanted = match region {
        "na" => SPEC.base_url,
        "eu" => EUROPE,
        other => {
            return Err(
                Error::usage(format!("region={other}: unknown region of llamacloud")).hint("regions: na, eu")
            );
        }
    };
    let at = |url: &str| base.as_str().trim_end_matches('/') == url;
    if at(wanted) {
        return Ok(None);
    }
    if !at(SPEC.base_url) {
        return Err(Error::usage(format!("the region conflicts with the base URL {base}"))
            .hint(format!("remove either `--set region={region}` or `--base-url`")));
    }
    Url::parse(wanted).map(Some).map_err(|error| Error::usage(format!("{wanted}: {error}")))
}

#[async_trait]
impl Provider for LlamaCloud {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        match (self.legacy, self.connection.setting(EXTERNAL_ID).is_none()) {
            (false, true) => &CAN,
            (false, false) => &CAN_UNMARKED,
            (true, true) => &CAN_LEGACY,
            (true, false) => &CAN_LEGACY_UNMARKED,
        }
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        Pushed::of(Some(filter), self.capabilities().list.native, None).decided
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        if self.legacy { self.list_whole().await } else { self.list_page(query, cursor).await }
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = self.expanded(Request::get(self.files(&[id.as_str()])?));
        let error = match self.call::<FileReply>(request, "file").await {
            Ok(reply) => return Ok(reply.into_file(self.profile())),
            Err(error) => error,
        };
        // Older servers have no beta endpoint for a single file; the file is found only in their listing.
        let absent = match error.status() {
            Some(404) if !self.legacy => error,
            Some(405) if !self.legacy => {
                Error::not_found(Message::file(id, ": no such file on llamacloud")).with_status(404)
            }
            _ => return Err(error),
        };
        match self.list_by_id(id).await {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(absent),
            // If the listing rejects the id, it does not contain the file either.
            Err(error) if matches!(error.status(), Some(404 | 422)) => Err(absent),
            Err(error) => Err(error),
        }
    }

    async fn find_marked(&self, mark: &str) -> Result<Option<File>> {
        self.list_by_mark(mark).await
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        match self.via {
            Via::Presigned => self.upload_presigned(file, progress).await,
            Via::Plain | Via::Query => self.upload_form(file, progress).await,
        }
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = self.scoped(Request::delete(self.files(&[id.as_str()])?)).unpaced();
        match self.connection.http.send(&request).await {
            Err(error) if error.status() == Some(409) => Err(error
                .hint("a file in use by an index or a job cannot be deleted; delete the index or job first")),
            sent => sent?.acknowledges("deletion"),
        }
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        match self.fetch(id, range.clone()).await {
            // The URL expired between the two requests, so request a new one.
            Err(error) if presigned::is_refused(&error) => self.fetch(id, range).await,
            fetched => fetched,
        }
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        let url = self.presigned_url(id, lifetime.map(|lifetime| lifetime.as_secs())).await?;
        url.into_link().ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                Message::file(id, ": llamacloud returned a POST form instead of a link"),
            )
            .hint(format!("to download the file: `haul get {}`", reference(self.profile(), id)))
        })
    }
}

impl LlamaCloud {
    /// A URL below the dialect's endpoints.
    fn files(&self, rest: &[&str]) -> Result<Url> {
        if self.legacy { self.legacy(rest) } else { self.beta(rest) }
    }

    /// A URL below the beta endpoints.
    fn beta(&self, rest: &[&str]) -> Result<Url> {
        self.connection.url(&[&BETA, rest].concat())
    }

    /// A URL below the legacy endpoints.
    fn legacy(&self, rest: &[&str]) -> Result<Url> {
        self.connection.url(&[&LEGACY, rest].concat())
    }

    /// Adds the scope, which every request needs, to the query.
    fn scoped(&self, request: Request) -> Request {
        CAN.scope.iter().fold(request, |request, key| request.maybe_query(key, self.connection.setting(key)))
    }

    /// Adds the scope to a request that is not an upload, sends it and decodes the response.
    async fn call<T: serde::de::DeserializeOwned>(&self, request: Request, what: &str) -> Result<T> {
        self.connection.http.json(&self.scoped(request).unpaced(), what).await
    }

    /// Adds the parameters from `--set expand=a,b`.
    fn expanded(&self, request: Request) -> Request {
        let words = self.connection.setting("expand").unwrap_or_default().split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).fold(request, |request, word| request.query("expand", word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(base: &str, region: Option<&str>) -> Result<Option<String>> {
        let base = Url::parse(base).unwrap();
        regional(&base, region).map(|url| url.map(|url| url.to_string()))
    }

    #[test]
    fn a_region_changes_only_the_default_base_url() {
        let default = SPEC.base_url;
        let europe = Some("https://api.cloud.eu.llamaindex.ai/".to_owned());
        assert_eq!(region(default, None).unwrap(), None);
        assert_eq!(region(default, Some("na")).unwrap(), None);
        assert_eq!(region(default, Some("eu")).unwrap(), europe);
        assert_eq!(region(EUROPE, Some("eu")).unwrap(), None);
        for (base, word) in [("http://127.0.0.1:1/x", "eu"), (EUROPE, "na"), (default, "mars")] {
            assert_eq!(region(base, Some(word)).unwrap_err().kind(), Kind::Usage, "{base} {word}");
        }
    }
}
