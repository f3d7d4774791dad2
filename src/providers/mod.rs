//! The interface of a platform, and the registry of platforms.
//!
//! A provider translates and nothing else: our call into a few requests in a straight line, a reply into
//! [`File`]s, an error body into a message. No paging loop, no sleep, no retry, no printing, no environment, and no
//! disk but for `local`.

mod activeloop;
mod capabilities;
mod lenient;
mod listing;
mod llamacloud;
mod local;
mod metorial;
mod openai;
#[cfg(test)]
mod properties;
mod pushdown;
mod replicate;
mod stated;
mod xai;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use url::Url;

pub use crate::http::{ContentStream, Range};
pub use capabilities::{
    Annotate, Capabilities, Download, LinkAbility, ListAbility, NameLimit, Op, USUAL_DELAY, UploadAbility,
    check_lifetime, require, require_together, require_upload, supports,
};

pub use crate::filter::Precision;
pub use listing::{Listing, files_named, passes};
pub use pushdown::Native;
pub use stated::{left_to_check, require_ages, states};

use crate::error::{Error, Result};
use crate::filter::{Equality, Expr, Filter};
use crate::http::{self, Client};
use crate::model::{Clock, File, FileId, Link, NewFile, Patch, StatusWords, Warn};
use crate::progress::Progress;
use crate::secret::Secret;

/// Every platform, in the order they are shown.
pub static REGISTRY: &[&Spec] =
    &[&local::SPEC, &replicate::SPEC, &activeloop::SPEC, &metorial::SPEC, &llamacloud::SPEC, &xai::SPEC];

/// The platform of that name.
pub fn find(name: &str) -> Option<&'static Spec> {
    REGISTRY.iter().copied().find(|spec| spec.name == name)
}

/// One platform: what it is called, where it is, what it can do and how it is opened.
pub struct Spec {
    /// The word in commands, such as `xai`; also its ready-made profile.
    pub name: &'static str,
    /// The name for people.
    pub title: &'static str,
    /// Environment variables that hold a token, the official ones first.
    pub token_variables: &'static [&'static str],
    /// Environment variables of the vendor's own clients that hold a base URL.
    pub base_url_variables: &'static [&'static str],
    /// The base URL of the API; empty for `local`.
    pub base_url: &'static str,
    /// The base URL of uploads, if they use another host.
    pub upload_base_url: Option<&'static str>,
    /// The path at the end of a base URL, such as `/v1`. Appended to a user's base URL that lacks it.
    pub base_path: &'static str,
    /// The platform's own documentation.
    pub docs_url: &'static str,
    /// The keys of `--set KEY=VALUE`.
    pub settings: &'static [Setting],
    /// Its wire dialects. `auto` starts with the first.
    pub dialects: &'static [Dialect],
    /// The platform's meaning of `=` in its filters.
    pub equality: Equality,
    /// Reads an error body that the common reader would misread.
    pub read_problem: fn(&http::Reply) -> Option<http::Problem>,
    /// Status words of its own, besides the common ones.
    pub status: StatusWords,
    /// Its own response headers with the id of a request, before the common ones.
    pub request_ids: &'static [&'static str],
    /// Opens it.
    pub open: fn(Connection) -> Result<Box<dyn Provider>>,
}

impl Spec {
    /// Whether a file with this status could not be processed.
    pub fn has_failed(&self, status: &str) -> bool {
        [self.status.failed, StatusWords::COMMON.failed]
            .concat()
            .contains(&status.to_ascii_lowercase().as_str())
    }

    /// The words for `--wire-dialect`, each once: `auto`, then the dialects.
    pub fn dialect_names(&self) -> Vec<&'static str> {
        let named = self.dialects.iter().map(|dialect| dialect.name).filter(|name| *name != "auto");
        std::iter::once("auto").chain(named).collect()
    }

    /// The dialect of that name, else the first.
    pub fn dialect(&self, name: &str) -> &'static Dialect {
        self.dialects.iter().find(|dialect| dialect.name == name).unwrap_or(&self.dialects[0])
    }

    /// The error for an unknown dialect, given by `origin`.
    pub fn no_such_dialect(&self, origin: &str, name: &str) -> Error {
        let names = self.dialect_names();
        Error::usage(format!("{origin}: {} has no dialect {name:?}", self.name))
            .did_you_mean(name, names.iter().copied())
            .hint(format!("dialects: {}", names.join(", ")))
    }

    /// Fields that only this platform has in filters: its files state them, or it compares them itself.
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
    /// The name for `--wire-dialect` and in a profile.
    pub name: &'static str,
    /// A short description.
    pub title: &'static str,
    /// The capabilities of the platform in it.
    pub can: &'static Capabilities,
}

/// A setting of a platform.
pub struct Setting {
    /// The key of `--set`.
    pub key: &'static str,
    /// A short description.
    pub help: &'static str,
    /// Whether its value is a secret, which is never shown and not accepted as an argument.
    pub secret: bool,
}

/// A resolved profile and a client, with which a provider is opened.
#[derive(Clone)]
pub struct Connection {
    /// The profile's name.
    pub profile: String,
    /// The base URL of the API.
    pub base_url: Url,
    /// The base URL of uploads.
    pub upload_base_url: Url,
    /// The requested dialect: `auto` or a name of [`Spec::dialects`].
    pub dialect: String,
    /// The values of `--set` and the profile, keys checked against [`Spec::settings`].
    pub set: BTreeMap<String, String>,
    /// The secret ones among them.
    pub secrets: BTreeMap<String, Secret>,
    /// The client, which holds the token.
    pub http: Client,
    /// The clock.
    pub clock: Clock,
    /// The data directory, for `local`.
    pub data: PathBuf,
    /// Prints problems of the data directory that do not stop the command.
    pub warn: Warn,
}

impl Connection {
    /// A value of `--set`, if given and not empty.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.set.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A URL below the base URL, each segment percent-encoded.
    pub fn url(&self, segments: &[&str]) -> Result<Url> {
        http::join(&self.base_url, segments)
    }
}

/// The parameters of a listing.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The filter. A provider sends the conditions that the platform supports, exactly or as a superset, and omits the
    /// others. The caller checks every file again, except for conditions that the platform [decides](Provider::decides).
    pub filter: Option<Filter>,
    /// The requested order. A provider without native support ignores it, and the caller sorts.
    pub sort: Option<Sort>,
    /// The maximum number of files that the caller needs: a hint for the page size.
    pub limit: Option<u64>,
    /// Files per page; None for the provider's default.
    pub page_size: Option<u32>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// A name of [`File::FIELDS`], or `metadata.key`.
    pub field: String,
    /// Largest or newest first.
    pub descending: bool,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The files in the platform's order.
    pub files: Vec<File>,
    /// The cursor of the next page; None at the end. The caller rejects a repeated cursor.
    pub next: Option<String>,
}

/// A location at which an upload replaces the existing file because of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrites {
    /// The location, for messages.
    pub place: String,
    /// The hint for not replacing anything.
    pub hint: &'static str,
}

/// A platform, opened with a profile.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The platform.
    fn spec(&self) -> &'static Spec;

    /// The profile with which it was opened.
    fn profile(&self) -> &str;

    /// Its capabilities in the dialect in which it was opened.
    fn capabilities(&self) -> &'static Capabilities;

    /// The fields that its files state: those of the dialect, or fewer once the server has answered in another one.
    fn stated(&self) -> &'static [&'static str] {
        self.capabilities().list.stated
    }

    /// The [conditions](Filter::conditions) of a filter that the platform decides itself, exactly: a listing by this
    /// filter contains all files that meet them and no others.
    fn decides<'a>(&self, _filter: &'a Filter) -> Vec<&'a Expr> {
        Vec::new()
    }

    /// The client; None for a platform without a network connection.
    fn client(&self) -> Option<&Client> {
        None
    }

    /// Lists one page.
    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page>;

    /// Returns the metadata of a file.
    async fn stat(&self, id: &FileId) -> Result<File>;

    /// Whether a file's content matches its record. Only `local` verifies it; other platforms are trusted.
    async fn is_intact(&self, _id: &FileId) -> Result<bool> {
        Ok(true)
    }

    /// Finds the file that was uploaded with exactly this [mark](NewFile::mark). None where no listed file has it, and on
    /// platforms that store no marks.
    async fn find_marked(&self, _mark: &str) -> Result<Option<File>> {
        Ok(None)
    }

    /// Uploads a file.
    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File>;

    /// Uploads at most [`UploadAbility::files_per_request`] files in one request. Returns them in the order of `files`
    /// and reports the position in each file to the progress of the same index.
    async fn upload_together(
        &self,
        _files: &[NewFile],
        _progress: &[Arc<dyn Progress>],
    ) -> Result<Vec<File>> {
        Err(capabilities::not_together(self.spec()))
    }

    /// The location at which an upload under this name replaces the existing file, if the settings request that.
    fn overwrites(&self, _name: &str) -> Option<Overwrites> {
        None
    }

    /// Deletes a file. A missing file is an error of kind [`Kind::NotFound`](crate::error::Kind::NotFound).
    async fn delete(&self, id: &FileId) -> Result<()>;

    /// Opens the content of a file.
    async fn download(&self, _id: &FileId, _range: Option<Range>) -> Result<ContentStream> {
        Err(self.unsupported(Op::Download))
    }

    /// Changes the metadata of a file.
    async fn annotate(&self, _id: &FileId, _patch: &Patch) -> Result<File> {
        Err(self.unsupported(Op::Annotate))
    }

    /// Replaces the content of a file, whose id stays the same.
    async fn replace(&self, _id: &FileId, _file: &NewFile, _progress: Arc<dyn Progress>) -> Result<File> {
        Err(self.unsupported(Op::Replace))
    }

    /// Creates a link to the content of a file.
    async fn link(&self, _id: &FileId, _lifetime: Option<SignedDuration>) -> Result<Link> {
        Err(self.unsupported(Op::Link))
    }

    /// Lists a file's links.
    async fn links(&self, _id: &FileId) -> Result<Vec<Link>> {
        Err(self.unsupported(Op::Links))
    }

    /// Revokes the link with that id or URL, or the only link of the file.
    async fn unlink(&self, _id: &FileId, _link: Option<&str>) -> Result<()> {
        Err(self.unsupported(Op::Unlink))
    }

    /// The refusal of an operation that the platform does not have.
    fn unsupported(&self, op: Op) -> Error {
        capabilities::refusal(self.spec(), op, "REF")
    }
}
