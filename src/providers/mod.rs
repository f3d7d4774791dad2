//! The interface to a platform, and the registry of platforms.
//!
//! A provider only translates: a call to a short sequence of requests, a response to [`File`]s, and an error body to a
//! message. It reads several pages only if an operation needs a complete list. It does not sleep, repeat a failed
//! request, print, read the environment or, except for `local` and the credential files of object storage, use the
//! disk.

mod activeloop;
mod anthropic;
mod capabilities;
mod collection;
mod gemini;
mod lenient;
mod listing;
mod llamacloud;
mod local;
mod metorial;
mod mistral;
mod multipart;
mod objects;
mod openai;
#[cfg(test)]
mod properties;
mod pushdown;
mod replicate;
mod stated;
mod together;
mod usage;
mod xai;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use url::Url;

pub use crate::http::{ContentStream, Range};
pub use capabilities::{
    Annotate, Capabilities, Download, Duplicates, LinkAbility, ListAbility, NameLimit, NameSlash, Op, Quota,
    USUAL_DELAY, UploadAbility, check_lifetime, require, require_download, require_together, require_upload,
    supports,
};

pub use crate::filter::Precision;
pub use collection::Collection;
pub use listing::{
    Listing, all_links, described, exact_or_equivalent, files_named, files_named_since, filters_names,
    newest_named, passes, sort_files,
};
pub use multipart::{Multipart, PartRange, Received, Session};
pub use pushdown::Native;
pub use stated::{left_to_check, require_ages, require_stated, states};
pub use usage::{Usage, token_header, usage};

use crate::error::{Error, Result};
use crate::filter::{Equality, Expr, Filter};
use crate::http::{self, Client};
use crate::model::{Clock, File, FileId, Link, NewFile, Patch, StatusWords, Warn};
use crate::progress::Progress;
use crate::secret::Secret;

/// All platforms, in display order.
pub static REGISTRY: &[&Spec] = &[
    &local::SPEC,
    &replicate::SPEC,
    &activeloop::SPEC,
    &metorial::SPEC,
    &llamacloud::SPEC,
    &xai::SPEC,
    &anthropic::SPEC,
    &gemini::SPEC,
    &openai::OPENAI.spec,
    &openai::AZURE.spec,
    &openai::DEEPSEEK.spec,
    &openai::GROQ.spec,
    &openai::DASHSCOPE.spec,
    &openai::OPENROUTER.spec,
    &openai::PERPLEXITY.spec,
    &openai::MOONSHOT.spec,
    &openai::ZHIPU.spec,
    &openai::UPSTAGE.spec,
    &openai::DEEPINFRA.spec,
    &openai::NOVITA.spec,
    &openai::SILICONFLOW.spec,
    &openai::ARK.spec,
    &mistral::SPEC,
    &together::SPEC,
    &objects::s3::SPEC,
    &objects::gcs::SPEC,
    &objects::azblob::SPEC,
];

/// The platform with this name.
pub fn find(name: &str) -> Option<&'static Spec> {
    REGISTRY.iter().copied().find(|spec| spec.name == name)
}

/// The platform, the bucket and the key prefix in an address of several objects: `s3://BUCKET` or
/// `s3://BUCKET/PREFIX/`.
pub fn bucket_of(address: &str) -> Option<(&'static Spec, &str, &str)> {
    let (scheme, place) = address.split_once("://")?;
    let spec = REGISTRY.iter().copied().find(|spec| spec.scheme == Some(scheme))?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let is_valid =
        !bucket.is_empty() && !bucket.contains(':') && (prefix.is_empty() || prefix.ends_with('/'));
    is_valid.then_some((spec, bucket, prefix))
}

/// The description of a platform: its names, addresses, settings, dialects and constructor.
pub struct Spec {
    /// The name used in commands, such as `xai`. It is also the name of the built-in profile.
    pub name: &'static str,
    /// The name used in text.
    pub title: &'static str,
    /// Environment variables that contain a token, official ones first.
    pub token_variables: &'static [&'static str],
    /// Environment variables of the vendor's own clients that contain a base URL.
    pub base_url_variables: &'static [&'static str],
    /// The base URL of the API; empty for `local`.
    pub base_url: &'static str,
    /// The base URL for uploads, if they use a different host.
    pub upload_base_url: Option<&'static str>,
    /// The path at the end of a base URL, such as `/v1`. It is appended to a user's base URL if missing.
    pub base_path: &'static str,
    /// The platform's own documentation.
    pub docs_url: &'static str,
    /// The page for creating a token, or one that explains how; empty if unknown.
    pub token_page: &'static str,
    /// The keys for `--set KEY=VALUE`.
    pub settings: &'static [Setting],
    /// The wire dialects. `auto` starts with the first one.
    pub dialects: &'static [Dialect],
    /// The meaning of `=` in the platform's filters.
    pub equality: Equality,
    /// How the platform treats `/` in the name of an uploaded file.
    pub name_slash: NameSlash,
    /// Reads error bodies that the common reader would misinterpret.
    pub read_problem: fn(&http::Reply) -> Option<http::Problem>,
    /// The platform's own status words, in addition to the common ones.
    pub status: StatusWords,
    /// The platform's own response headers that contain the request id, tried before the common ones.
    pub request_ids: &'static [&'static str],
    /// The scheme of object addresses, such as `s3` in `s3://BUCKET/KEY`; `None` for platforms other than object
    /// storage. The files of object storage are objects, whose key is both id and name, and `haul serve` does not
    /// emulate it.
    pub scheme: Option<&'static str>,
    /// Opens a provider.
    pub open: fn(Connection) -> Result<Box<dyn Provider>>,
}

impl Spec {
    /// Whether the name of a file is its id, so that no two files have the same name.
    pub fn names_are_ids(&self) -> bool {
        self.scheme.is_some()
    }

    /// Whether this status means that the file could not be processed.
    pub fn has_failed(&self, status: &str) -> bool {
        [self.status.failed, StatusWords::COMMON.failed]
            .concat()
            .contains(&status.to_ascii_lowercase().as_str())
    }

    /// The values for `--wire-dialect` without duplicates: `auto`, followed by the dialects.
    pub fn dialect_names(&self) -> Vec<&'static str> {
        let named = self.dialects.iter().map(|dialect| dialect.name).filter(|name| *name != "auto");
        std::iter::once("auto").chain(named).collect()
    }

    /// The dialect with this name, otherwise the first dialect.
    pub fn dialect(&self, name: &str) -> &'static Dialect {
        self.dialects.iter().find(|dialect| dialect.name == name).unwrap_or(&self.dialects[0])
    }

    /// The error for an unknown dialect. `origin` is where it was set.
    pub fn no_such_dialect(&self, origin: &str, name: &str) -> Error {
        let names = self.dialect_names();
        Error::usage(format!("{origin}: {} has no dialect {name:?}", self.name))
            .did_you_mean(name, names.iter().copied())
            .hint(format!("dialects: {}", names.join(", ")))
    }

    /// The filter fields specific to this platform: its files include them, or its server evaluates them.
    pub fn filter_fields(&self) -> Vec<&'static str> {
        let lists = self.dialects.iter().map(|dialect| &dialect.can.list);
        let fields = lists.flat_map(|list| {
            list.native.iter().map(|native| native.field).chain(list.stated.iter().copied())
        });
        let own = fields.filter(|field| !File::FIELDS.contains(field) && !field.contains('.'));
        own.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A variant of a platform's API.
pub struct Dialect {
    /// The name for `--wire-dialect`, and in a profile.
    pub name: &'static str,
    /// A short description.
    pub title: &'static str,
    /// The capabilities of the platform in this dialect.
    pub can: &'static Capabilities,
}

/// A platform setting.
pub struct Setting {
    /// The key for `--set`. `NAME` at the end stands for any nonempty text.
    pub key: &'static str,
    /// A short description.
    pub help: &'static str,
    /// Whether the value is a secret, which is never displayed and not accepted as an argument.
    pub secret: bool,
}

impl Setting {
    /// Whether this is the setting with this key.
    pub fn has_key(&self, key: &str) -> bool {
        match self.key.strip_suffix("NAME") {
            Some(prefix) => key.strip_prefix(prefix).is_some_and(|name| !name.is_empty()),
            None => self.key == key,
        }
    }
}

/// A resolved profile and its client, used to open a provider.
#[derive(Clone)]
pub struct Connection {
    /// The profile's name.
    pub profile: String,
    /// The base URL of the API.
    pub base_url: Url,
    /// The base URL for uploads.
    pub upload_base_url: Url,
    /// The requested dialect: `auto`, or a name in [`Spec::dialects`].
    pub dialect: String,
    /// The values from `--set` and the profile. All keys are in [`Spec::settings`].
    pub set: BTreeMap<String, String>,
    /// The secret values.
    pub secrets: BTreeMap<String, Secret>,
    /// The credentials that the vendor's own tools find, on platforms that need more than a token.
    pub credentials: BTreeMap<String, Secret>,
    /// The client, which contains the token.
    pub http: Client,
    /// How long a new file may be missing from listings; overrides the platform's value.
    pub appears_within: Option<Duration>,
    /// The environment variable that contains the token, if it comes from one.
    pub token_variable: Option<String>,
    /// The clock.
    pub clock: Clock,
    /// The data directory, used by `local`.
    pub data: PathBuf,
    /// Prints warnings about the data directory.
    pub warn: Warn,
}

impl Connection {
    /// A value from `--set`, if it is set and not empty.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.set.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting whose value must be one of these words.
    pub fn choice(&self, key: &str, words: &[&str]) -> Result<Option<&str>> {
        match self.setting(key) {
            Some(value) if !words.contains(&value) => {
                Err(Error::usage(format!("{key}: `{value}` is not one of {}", words.join(", "))))
            }
            value => Ok(value),
        }
    }

    /// How much longer a file may be missing on a platform with this usual delay.
    fn settles_in(&self, file: &File, usual: Duration) -> Duration {
        let limit = if usual.is_zero() { usual } else { self.appears_within.unwrap_or(usual) };
        let ahead = self.http.clock_ahead().unwrap_or_default();
        let now = self.clock.now().checked_add(ahead);
        let age = file.created_at.zip(now.ok()).map(|(created, now)| now.duration_since(created));
        // A clock that is behind must not extend the time.
        let age = age.map_or(limit, |age| Duration::try_from(age).unwrap_or_default());
        limit.saturating_sub(age)
    }

    /// A URL below the base URL, with each segment percent-encoded.
    pub fn url(&self, segments: &[&str]) -> Result<Url> {
        http::join(&self.base_url, segments)
    }
}

/// The parameters of a listing.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The filter. A provider sends the conditions that the platform supports, exactly or as a superset, and omits
    /// the others. The caller checks all conditions again except those that the platform
    /// [decides](Provider::decides).
    pub filter: Option<Filter>,
    /// The requested order. If the platform does not support it, the provider ignores it and the caller sorts.
    pub sort: Option<Sort>,
    /// The maximum number of files that the caller needs, as a hint for the page size.
    pub limit: Option<u64>,
    /// The number of files per page; `None` for the provider's default.
    pub page_size: Option<u32>,
}

/// The order of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// A name in [`File::FIELDS`], or a key such as `metadata.KEY` or `extra.KEY`.
    pub field: String,
    /// Whether to list the largest or newest files first.
    pub descending: bool,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The files, in the platform's order.
    pub files: Vec<File>,
    /// The cursor for the next page; `None` at the end. The caller rejects a repeated cursor.
    pub next: Option<String>,
}

/// The format of JSONL files for batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFormat {
    /// haul does not check this format.
    Unknown,
    /// OpenAI's format.
    OpenAi {
        /// Whether files above 200 MB or 50,000 requests are certain to be rejected.
        limited: bool,
    },
}

/// One page of the links of all files.
#[derive(Clone, Debug, Default)]
pub struct LinkPage {
    /// The links in the platform's order.
    pub links: Vec<FileLink>,
    /// The cursor for the next page; `None` at the end. The caller rejects a repeated cursor.
    pub next: Option<String>,
}

/// A link and its file.
#[derive(Clone, Debug)]
pub struct FileLink {
    /// The file's id.
    pub id: FileId,
    /// The file's properties, if the platform returns them with the link.
    pub file: Option<File>,
    /// The link.
    pub link: Link,
}

impl FileLink {
    /// The id of the link, or else its URL.
    fn key(&self) -> &str {
        self.link.id.as_deref().unwrap_or(&self.link.url)
    }
}

/// A location where an upload replaces the existing file because of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrites {
    /// The location, for messages.
    pub place: String,
    /// A hint for keeping the existing file.
    pub hint: &'static str,
}

/// A platform, opened for a profile.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The description of the platform.
    fn spec(&self) -> &'static Spec;

    /// The profile that the platform was opened for.
    fn profile(&self) -> &str;

    /// The capabilities in the dialect that the platform was opened for.
    fn capabilities(&self) -> &'static Capabilities;

    /// The fields that listings return: those of the configured dialect, or other ones once the server has used a
    /// different dialect in a response.
    fn stated(&self) -> &'static [&'static str] {
        self.capabilities().list.stated
    }

    /// The published limits for all files of this profile together.
    fn quota(&self) -> Option<Quota> {
        None
    }

    /// The [conditions](Filter::conditions) in a filter that the platform itself decides exactly: a listing with this
    /// filter contains all files that meet them and no others.
    fn decides<'a>(&self, _filter: &'a Filter) -> Vec<&'a Expr> {
        Vec::new()
    }

    /// The client; `None` for a platform that does not use the network.
    fn client(&self) -> Option<&Client> {
        None
    }

    /// How much longer requests for this file may return 404 even though it exists; zero unless it is new.
    fn settles_in(&self, _file: &File) -> Duration {
        Duration::ZERO
    }

    /// Lists one page.
    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page>;

    /// Returns a file's metadata.
    async fn stat(&self, id: &FileId) -> Result<File>;

    /// Whether a file's content matches its record. Only `local` verifies this; other platforms are trusted.
    async fn is_intact(&self, _id: &FileId) -> Result<bool> {
        Ok(true)
    }

    /// Finds the file that was uploaded with exactly this [mark](NewFile::mark). Returns `None` if no listed file has
    /// it or the platform does not store marks.
    async fn find_marked(&self, _mark: &str) -> Result<Option<File>> {
        Ok(None)
    }

    /// Completes the upload of a file that was found after its response had been lost: the last step of the upload may
    /// be missing.
    async fn finish(&self, file: File) -> Result<File> {
        Ok(file)
    }

    /// Uploads a file.
    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File>;

    /// Whether [`upload_unless_named`](Self::upload_unless_named) atomically checks the name and adds the file.
    fn adds_once(&self) -> bool {
        false
    }

    /// Uploads a file unless a file with its name exists that is not in `known`, in which case `None` is returned. If
    /// [`adds_once`](Self::adds_once) is false, the file is always uploaded.
    async fn upload_unless_named(
        &self,
        file: &NewFile,
        _known: &[FileId],
        progress: Arc<dyn Progress>,
    ) -> Result<Option<File>> {
        self.upload(file, progress).await.map(Some)
    }

    /// Uploads at most [`UploadAbility::files_per_request`] files in one request. Returns the uploaded files in the
    /// order of `files`, and reports the position in each file to the progress with the same index.
    async fn upload_together(
        &self,
        _files: &[NewFile],
        _progress: &[Arc<dyn Progress>],
    ) -> Result<Vec<File>> {
        Err(capabilities::not_together(self.spec()))
    }

    /// The operations for multipart uploads; `None` if the platform has none.
    fn multipart(&self) -> Option<&dyn Multipart> {
        None
    }

    /// The collection of files that the settings name, and its operations.
    fn collection(&self) -> Option<&dyn Collection> {
        None
    }

    /// The location where an upload with this name replaces the existing file, if the settings request that.
    fn overwrites(&self, _name: &str) -> Option<Overwrites> {
        None
    }

    /// Deletes a file. If the file does not exist, the error has the kind
    /// [`Kind::NotFound`](crate::error::Kind::NotFound).
    async fn delete(&self, id: &FileId) -> Result<()>;

    /// The files that are used by other objects of the platform, such as vector stores. `haul gc` never deletes them.
    async fn in_use(&self) -> Result<HashSet<FileId>> {
        Ok(HashSet::new())
    }

    /// Opens the content of a file.
    async fn download(&self, _id: &FileId, _range: Option<Range>) -> Result<ContentStream> {
        Err(self.unsupported(Op::Download))
    }

    /// Whether the [SHA-256](NewFile::sha256) of the content must be known before an upload.
    fn asks_for_sha256(&self) -> bool {
        self.capabilities().duplicates == Duplicates::Never
    }

    /// Whether the content returned for a file is [derived](ContentStream::derived), as far as its record indicates.
    fn derives(&self, _file: &File) -> bool {
        false
    }

    /// The format of JSONL files for batches, which are checked before an upload.
    fn batch_format(&self) -> BatchFormat {
        BatchFormat::Unknown
    }

    /// The existing files of a batch: its results, followed by its errors.
    async fn batch_files(&self, _id: &str) -> Result<Vec<FileId>> {
        let platform = self.spec().name;
        Err(Error::new(crate::error::Kind::Unsupported, format!("{platform} cannot download a batch")))
    }

    /// Changes a file's metadata.
    async fn annotate(&self, _id: &FileId, _patch: &Patch) -> Result<File> {
        Err(self.unsupported(Op::Annotate))
    }

    /// Replaces a file's content. The file keeps its id.
    async fn replace(&self, _id: &FileId, _file: &NewFile, _progress: Arc<dyn Progress>) -> Result<File> {
        Err(self.unsupported(Op::Replace))
    }

    /// Creates a link to a file's content.
    async fn link(&self, _id: &FileId, _lifetime: Option<SignedDuration>) -> Result<Link> {
        Err(self.unsupported(Op::Link))
    }

    /// Lists a file's links.
    async fn links(&self, _id: &FileId) -> Result<Vec<Link>> {
        Err(self.unsupported(Op::Links))
    }

    /// Lists a page of the links of all files.
    async fn all_links(&self, _cursor: Option<&str>) -> Result<LinkPage> {
        Err(self.unsupported(Op::AllLinks))
    }

    /// Revokes the link with this id or URL or, if `None`, the file's only link.
    async fn unlink(&self, _id: &FileId, _link: Option<&str>) -> Result<()> {
        Err(self.unsupported(Op::Unlink))
    }

    /// The error for an operation that the platform does not support.
    fn unsupported(&self, op: Op) -> Error {
        capabilities::refusal(self.spec(), op, "REF", self.profile())
    }
}
