//! xAI Files: two dialects on the same paths.
//!
//! docs.x.ai has described `openai` since April 2026 (`id`, `filename`, `data`, Unix seconds, public URLs); before
//! that, it described `gateway` (`file_id`, `name`, `files`, RFC 3339, hash, statuses, PUT, chunks, teams). It is
//! unknown which of them the production host uses in its responses, so every response can be in either. The configured
//! dialect determines the capabilities and the form of requests; `auto` uses the form of openai, except for operations
//! that only the gateway supports. A 404 or 405 for such an operation means that the platform does not support it.
//!
//! In an upload, the lifetime precedes the file because the server streams the file. For a wrong key, the server
//! returns 400. The last page of a listing may have a token; a short page is the last one unless the server reports
//! more files.

mod filter;
mod gateway;
mod public_url;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;

use super::listing::{next_cursor, page_size};
use super::openai;
use super::pushdown::Pushed;
use super::{
    Annotate, Download, LinkAbility, ListAbility, NameLimit, NameSlash, Op, USUAL_DELAY, UploadAbility,
};
use super::{
    Capabilities, Connection, Dialect, Duplicates, FileLink, LinkPage, Page, Provider, Query, Setting, Spec,
};
use crate::error::{Error, Kind, Result};
use crate::filter::{Equality, Expr, Filter};
use crate::http::{Client, ContentStream, Part, Range, Reply, Request, form};
use crate::model::{File, FileId, Link, NewFile, Patch, StatusWords};
use crate::progress::Progress;
use wire::{FORMAT, GATEWAY_TOKEN, Listed, OPENAI_TOKEN, Token, WireFile, WireList, read_problem};

pub(super) static SPEC: Spec = Spec {
    name: "xai",
    title: "xAI",
    token_variables: &["XAI_API_KEY"],
    base_url_variables: &["XAI_BASE_URL"],
    base_url: "https://api.x.ai/v1",
    upload_base_url: None,
    base_path: "/v1",
    docs_url: "https://docs.x.ai/developers/files/managing-files",
    token_page: "https://console.x.ai",
    settings: &[
        Setting { key: "team_id", help: "team that owns the files (gateway)", secret: false },
        Setting { key: "format", help: "content that `get` downloads: original or text", secret: false },
        Setting {
            key: "page_number",
            help: "page number of the text, starting at 1 (gateway)",
            secret: false,
        },
        Setting {
            key: "via",
            help: "chunks: upload in chunks; download: get from a presigned URL (gateway)",
            secret: false,
        },
    ],
    dialects: &[
        Dialect {
            name: "auto",
            title: "openai, or gateway for features that only gateway supports",
            can: &AUTO,
        },
        Dialect { name: "openai", title: "documented since April 2026", can: &OPENAI },
        Dialect { name: "gateway", title: "documented earlier, with PUT, chunks and teams", can: &GATEWAY },
    ],
    equality: Equality::Wildcards,
    name_slash: NameSlash::Kept,
    read_problem,
    status: StatusWords { ready: &["skipped"], failed: &[] },
    request_ids: &[],
    scheme: None,
    open,
};

/// The range of lifetimes for files and public URLs in seconds: one hour to thirty days.
const LIFETIME: Option<(i64, i64)> = Some((3_600, 2_592_000));

const OPENAI: Capabilities = Capabilities {
    upload: UploadAbility {
        // 50 MB according to the reference and 48 MB according to the guide, without specifying decimal or binary
        // units.
        max_bytes: Some(52_428_800),
        warn_bytes: Some(48_000_000),
        empty: true,
        name: NameLimit::Characters(255),
        forbidden: &['"', ';', '\\', '\u{85}', '\u{2028}', '\u{2029}'],
        forbids_control: true,
        purpose: true,
        purposes: &["assistants"],
        default_purpose: None,
        metadata: false,
        lifetime: LIFETIME,
        files_per_request: 1,
        mark: false,
    },
    download: Download::Any,
    ranges: false,
    list: ListAbility {
        max_page: 100,
        // Does not include the purpose, because a host may return an empty one.
        stated: &["size", "created_at", "expires_at", "url", "public_url_expires_at", "extra.object"],
        native: filter::OPENAI,
        sort: &["created_at", "name", "size"],
        newest_first: true,
    },
    annotate: None,
    link: Some(LinkAbility {
        lifetime: LIFETIME,
        list: true,
        list_all: true,
        revoke: true,
        for_downloads: false,
    }),
    delete: true,
    replace: false,
    checksums: &[],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: None,
    instead: &[
        (
            Op::Annotate,
            "to change the name, upload the file again, which gives it a new id: `haul upload FILE --name NAME`",
        ),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
    ],
};

const GATEWAY: Capabilities = Capabilities {
    annotate: Some(Annotate { metadata: false, keys: &[], name: true, content_type: true, path: true }),
    // Links use the deprecated presigned URL: the platform sets its lifetime, and it cannot be revoked.
    link: Some(LinkAbility {
        lifetime: None,
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    delete: true,
    replace: true,
    checksums: &["blake3"],
    scope: &["team_id"],
    list: ListAbility {
        stated: &[
            "size",
            "content_type",
            "path",
            "status",
            "created_at",
            "expires_at",
            "checksums.blake3",
            "upload_status",
            "processing_status",
            "extra.upload_error_message",
        ],
        native: filter::GATEWAY,
        ..OPENAI.list
    },
    ..OPENAI
};

const AUTO: Capabilities =
    Capabilities { link: OPENAI.link, list: ListAbility { stated: COMMON, ..OPENAI.list }, ..GATEWAY };

/// Fields of files in both dialects.
const COMMON: &[&str] = &["size", "created_at", "expires_at"];

/// The dialect used for requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    OpenAi,
    Gateway,
}

struct Xai {
    connection: Connection,
    dialect: &'static Dialect,
    spelling: Spelling,
    /// Whether a response was in a dialect other than the configured one.
    is_mixed: AtomicBool,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let dialect = SPEC.dialect(&connection.dialect);
    connection.choice("via", &["chunks", "download"])?;
    connection.choice("format", &["original", "text"])?;
    if connection.setting("page_number").is_some_and(|page| !page.parse().is_ok_and(|page: u32| page > 0)) {
        return Err(Error::usage("page_number: must be a positive integer"));
    }
    let foreign = ["team_id", "page_number", "via"].into_iter().find(|key| connection.setting(key).is_some());
    if let Some(key) = foreign.filter(|_| dialect.name == "openai") {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{key}: not supported by the openai dialect of xai"),
        )
        .hint("to use the dialect that supports it: `--wire-dialect gateway`"));
    }
    // Only the gateway has teams, so a team requires the gateway dialect.
    let spelling = match dialect.name {
        "gateway" => Spelling::Gateway,
        _ if connection.setting("team_id").is_some() => Spelling::Gateway,
        _ => Spelling::OpenAi,
    };
    Ok(Box::new(Xai { connection, dialect, spelling, is_mixed: AtomicBool::new(false) }))
}

#[async_trait]
impl Provider for Xai {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.dialect.can
    }

    fn stated(&self) -> &'static [&'static str] {
        if self.is_mixed.load(Ordering::Relaxed) { COMMON } else { self.dialect.can.list.stated }
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        let gateway = self.spelling == Spelling::Gateway;
        pushed(Some(filter), gateway).decided
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let max = OPENAI.list.max_page;
        let size = page_size(query, max, max);
        let token = cursor.map(|cursor| self.token(cursor));
        let request = self.files(&[])?.query("limit", size);
        // The next page is requested in the dialect of its token.
        let spelling = match token {
            Some((GATEWAY_TOKEN, _)) => Spelling::Gateway,
            Some(_) => Spelling::OpenAi,
            None => self.spelling,
        };
        // The filter is the same for every page.
        let gateway = self.spelling == Spelling::Gateway;
        let pushed = pushed(query.filter.as_ref(), gateway);
        let sort = native_sort(query);
        let order = sort.map(|(_, descending)| spelling.order(descending));
        // The gateway's value for the default order indicates the dialect to a host that supports both.
        let order = order.or(gateway.then_some(spelling.order(true)));
        let request = request
            .maybe_query("order", order)
            .maybe_query("sort_by", sort.map(|(field, _)| field))
            .maybe_query("filter", pushed.expression.as_deref())
            .maybe_query("prefix", pushed.parameter("prefix"));
        let request = match token {
            Some((parameter, value)) => request.query(parameter, value),
            None => request,
        };
        let list: WireList = self.connection.http.json(&request, "list of files").await?;
        self.heed(list.dialect());
        let Listed { files, next, more } = list.into_listed(self.profile())?;
        // Even the last page has a token: a short page is the last one unless `has_more` is true.
        let next =
            next.filter(|_| more || files.len() as u64 >= u64::from(size)).map(|next| self.cursor(next));
        let more = more || next.is_some();
        Ok(Page { next: next_cursor(SPEC.name, more, next)?, files })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let file: WireFile = self.connection.http.json(&self.files(&[id.as_str()])?, "file").await?;
        self.heed(Some(file.dialect()));
        file.into_file(self.profile())
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        match self.connection.setting("via") {
            Some("chunks") => self.upload_chunks(file, progress).await,
            _ => self.upload_form(file, progress).await,
        }
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request { method: crate::http::Method::DELETE, ..self.files(&[id.as_str()])? };
        let reply = self.connection.http.send(&request).await?;
        FORMAT.check_deleted(id, &reply)
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let (format, page) = (self.connection.setting("format"), self.connection.setting("page_number"));
        let content = if self.connection.setting("via") == Some("download") {
            self.download_presigned(id, range).await?
        } else {
            let spelling = if page.is_some() { Spelling::Gateway } else { self.spelling };
            let request = self
                .files(&[id.as_str(), "content"])?
                .maybe_query("format", format.map(|format| spelling.format(format)))
                .maybe_query("page_number", page);
            self.connection.http.content(&request.range(range).bulk()).await?
        };
        Ok(ContentStream { derived: format == Some("text"), ..content })
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        if self.dialect.can.annotate.is_none() {
            return Err(self.unsupported(Op::Annotate));
        }
        self.put_known(id, patch).await
    }

    async fn replace(&self, id: &FileId, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        if !self.dialect.can.replace {
            return Err(self.unsupported(Op::Replace));
        }
        self.put_content(id, file, progress).await
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        match self.dialect.name {
            "gateway" => self.presign(id).await,
            _ => self.create_public_url(id, lifetime).await,
        }
    }

    async fn links(&self, id: &FileId) -> Result<Vec<Link>> {
        match self.dialect.name {
            "gateway" => Err(self.unsupported(Op::Links)),
            _ => Ok(public_url::public_url(&self.stat(id).await?).into_iter().collect()),
        }
    }

    async fn all_links(&self, cursor: Option<&str>) -> Result<LinkPage> {
        if self.dialect.name == "gateway" {
            return Err(self.unsupported(Op::AllLinks));
        }
        let query = Query { filter: Some(public_url::has_public_url()), ..Query::default() };
        let page = self.list(&query, cursor).await?;
        let linked = |file: File| {
            let link = public_url::public_url(&file)?;
            Some(FileLink { id: file.id.clone(), file: Some(file), link })
        };
        Ok(LinkPage { links: page.files.into_iter().filter_map(linked).collect(), next: page.next })
    }

    async fn unlink(&self, id: &FileId, link: Option<&str>) -> Result<()> {
        match self.dialect.name {
            "gateway" => Err(self.unsupported(Op::Unlink)),
            _ => self.revoke_public_url(id, link).await,
        }
    }
}

impl Xai {
    /// A GET request below `/files`, with the team if one is set.
    fn files(&self, below: &[&str]) -> Result<Request> {
        let url = self.connection.url(&[&["files"], below].concat())?;
        Ok(Request::get(url).maybe_query("team_id", self.team()))
    }

    /// Records whether a response used a dialect other than the configured one.
    fn heed(&self, answered: Option<&str>) {
        if answered.is_some_and(|answered| answered != self.dialect.name) {
            self.is_mixed.store(true, Ordering::Relaxed);
        }
    }

    fn team(&self) -> Option<&str> {
        self.connection.setting("team_id")
    }

    async fn upload_form(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let mut parts = FORMAT.form_fields(file);
        parts.extend(self.team().map(|team| Part::text("team_id", team)));
        parts.push(Part::file("file", file));
        let url = self.connection.url(&["files"])?;
        let request = Request::post(url, form(parts)).bulk();
        let reply = self.connection.http.upload(&request, progress).await?;
        self.file_of(&reply, "uploaded file")
    }

    /// Reads the file in a successful response. The file may exist even if the response lacks its id.
    fn file_of(&self, reply: &Reply, what: &str) -> Result<File> {
        let file = reply.json::<WireFile>(what)?.into_file(self.profile());
        file.map_err(|error| error.with_status(reply.status))
    }

    /// Splits a cursor: the token alone, or `PARAMETER:TOKEN` if the parameter is not that of the requests' dialect.
    fn token<'a>(&self, cursor: &'a str) -> (&'static str, &'a str) {
        let named = cursor.split_once(':').and_then(|(name, token)| {
            [OPENAI_TOKEN, GATEWAY_TOKEN, "after"].into_iter().find(|known| *known == name).zip(Some(token))
        });
        named.unwrap_or((self.spelling.token(), cursor))
    }

    fn cursor(&self, token: Token) -> String {
        let own = token.parameter == self.spelling.token();
        if own { token.value } else { format!("{}:{}", token.parameter, token.value) }
    }
}

impl Spelling {
    const fn token(self) -> &'static str {
        match self {
            Self::OpenAi => OPENAI_TOKEN,
            Self::Gateway => GATEWAY_TOKEN,
        }
    }

    const fn order(self, descending: bool) -> &'static str {
        match (self, descending) {
            (Self::OpenAi, _) => openai::direction(descending),
            (Self::Gateway, true) => "DESCENDING",
            (Self::Gateway, false) => "ASCENDING",
        }
    }

    fn format(self, format: &str) -> String {
        match self {
            Self::OpenAi => format.to_owned(),
            Self::Gateway => format!("DOWNLOAD_FORMAT_{}", format.to_ascii_uppercase()),
        }
    }
}

/// The part of a filter that is sent to the platform.
fn pushed(filter: Option<&Filter>, gateway: bool) -> Pushed<'_> {
    let table = if gateway { filter::GATEWAY } else { filter::OPENAI };
    Pushed::of(filter, table, Some(&filter::LANGUAGE))
}

/// An order that the platform supports: the platform's name for the field, and whether it is descending.
fn native_sort(query: &Query) -> Option<(&'static str, bool)> {
    let sort = query.sort.as_ref()?;
    let field = match sort.field.as_str() {
        "created_at" => "created_at",
        "name" => "filename",
        "size" => "size",
        _ => return None,
    };
    Some((field, sort.descending))
}
