//! Metorial: files that belong to an instance, an organization or a user.
//!
//! - Three wire dialects share hosts, authentication and most paths: `seed` (the first documentation), `pulsar` (2025)
//!   and `magnetar` (2026). Lenient structs decode the objects of all dialects; only the requests for uploads, links
//!   and filters differ. Every response contains `metorial-version`, except in `seed`.
//! - Uploads go to a separate host, `files.metorial.com`. The status of every success is 200, even for a deletion.
//! - No endpoint returns content for a token: a download creates a short-lived public link and requests it without the
//!   token, because the URL itself is the secret and can be on any host.
//! - Deletion is soft: the file stays readable with `status: deleted`, and any further operation on it returns 403. The
//!   `pulsar` server rejects deletions with 400.
//! - The rate limit is 5000 requests per 10 minutes (100 for a development instance), without `Retry-After`.

mod upload;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use self::upload::{no_place, title};
use self::wire::{DELETED, Listing, Wire, WireFile, WireLink};
use super::capabilities::refusal_with;
use super::listing::{SeenPages, page_size};
use super::pushdown::{Parameter, Pushed, Spelling, milliseconds, text_of};
use super::{
    Annotate, Capabilities, Download, Duplicates, LinkAbility, ListAbility, NameLimit, NameSlash, Native,
};
use super::{
    Connection, ContentStream, Dialect, Page, Provider, Query, Range, Setting, Spec, USUAL_DELAY,
    UploadAbility,
};
use super::{FileLink, LinkPage, Overwrites, require_upload, supports};
use crate::error::{Error, Kind, Message, Result, reference};
use crate::filter::{Comparison, Equality, Op};
use crate::http::{Body, Client, RateLimit, Reply, Request};
use crate::model::{File, FileId, Link, NewFile, Object, Patch, StatusWords};
use crate::progress::Progress;

pub(super) static SPEC: Spec = Spec {
    name: "metorial",
    title: "Metorial",
    token_variables: &["METORIAL_API_KEY", "METORIAL_TOKEN"],
    base_url_variables: &["METORIAL_API_HOST"],
    base_url: "https://api.metorial.com",
    upload_base_url: Some("https://files.metorial.com"),
    base_path: "",
    docs_url: "https://metorial.com/api/files",
    token_page: "https://metorial.com/docs/build/api",
    settings: &[
        setting("instance_id", "instance, for organization and user keys"),
        setting("organization_id", "organization that owns an upload"),
        setting("store_id", "store to list files from and attach uploads to (magnetar)"),
        setting("path", "path of an upload in the store; a folder if it ends in `/` (magnetar)"),
        setting("store_replace", "`true` replaces the file at that path (magnetar)"),
        setting("document_id", "list only the files of this document (magnetar)"),
        setting("file_link_id", "list only the file of this link (magnetar)"),
        setting("via", "`direct` or `presigned` upload; large files default to presigned (magnetar)"),
        setting("link", "existing link to use for downloads"),
    ],
    dialects: &[
        Dialect { name: "seed", title: "first documented version", can: &SEED },
        Dialect { name: "pulsar", title: "2025-01-01", can: &PULSAR },
        Dialect { name: "magnetar", title: "2026-01-01, current", can: &MAGNETAR },
    ],
    equality: Equality::Exact,
    name_slash: NameSlash::Kept,
    read_problem: |_| None,
    status: StatusWords { ready: &["active"], failed: &[DELETED] },
    request_ids: &["metorial-req-id"],
    scheme: None,
    open,
};

const fn setting(key: &'static str, help: &'static str) -> Setting {
    Setting { key, help, secret: false }
}

/// Maximum size of a direct upload in magnetar, in bytes. The other dialects document no limit.
const DIRECT_LIMIT: u64 = 100 * 1024 * 1024;
/// Maximum size of a presigned upload, in bytes.
const PRESIGNED_LIMIT: u64 = 2 * 1024 * 1024 * 1024;
/// Lifetime of a link created for a download.
const OWN_LINK: SignedDuration = SignedDuration::from_mins(15);
/// Maximum page size. The server rejects larger values.
const MAX_PAGE: u32 = 100;
/// Maximum number of links that are listed for a file.
const MOST_LINKS: usize = 100_000;

const TIMES: &[Op] = &[Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Eq];
const ID: Native = Native::superset("id", &[Op::Eq]).sent(Spelling::Repeated("id"));
const CREATED: Native = Native::superset("created_at", TIMES)
    .sent(Spelling::Bounds { after: "created_at[gt]", before: "created_at[lt]" });
/// Sent only in magnetar: seed does not return the field, and pulsar has no such filter.
const UPDATED: Native = Native::superset("updated_at", TIMES)
    .sent(Spelling::Bounds { after: "updated_at[gt]", before: "updated_at[lt]" });
const PURPOSE: Native = Native::superset("purpose", &[Op::Eq]);

/// The parameter for a purpose that the dialect supports. The platform rejects listings with an unknown purpose.
fn purpose(comparison: &Comparison, can: &Capabilities) -> Option<Parameter> {
    let purpose = text_of(comparison).filter(|word| can.upload.purposes.contains(&word.as_str()))?;
    Some(("purpose", purpose))
}

const LINKS: LinkAbility = LinkAbility {
    lifetime: Some((1, i64::MAX)),
    list: true,
    list_all: false,
    revoke: true,
    for_downloads: true,
};

const SEED: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: None,
        warn_bytes: Some(DIRECT_LIMIT),
        empty: true,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: &["attachment"],
        default_purpose: Some("attachment"),
        metadata: false,
        lifetime: None,
        files_per_request: 1,
        mark: false,
    },
    download: Download::Any,
    ranges: false,
    list: ListAbility {
        max_page: MAX_PAGE,
        stated: Wire::Seed.stated(),
        native: &[ID, CREATED, PURPOSE.sent(Spelling::Once(|it| purpose(it, &SEED)))],
        sort: &["created_at"],
        newest_first: true,
    },
    annotate: None,
    link: Some(LINKS),
    delete: true,
    replace: false,
    checksums: &[],
    scope: &["instance_id", "organization_id"],
    duplicates: Duplicates::Possible,
    appears_within: USUAL_DELAY,
    rate: Some(RateLimit { requests: 5000, per: Duration::from_mins(10) }),
    instead: &[(super::Op::AllLinks, "to list the links of each file: `haul link {ref} --list`")],
};

const PULSAR: Capabilities = Capabilities {
    upload: UploadAbility {
        purposes: &["user_image", "organization_image"],
        // Uploads for an organization use a different purpose.
        default_purpose: Some("user_image"),
        ..SEED.upload
    },
    annotate: Some(Annotate {
        metadata: true,
        keys: &["title"],
        name: false,
        content_type: false,
        path: false,
    }),
    delete: false,
    // The server validates a purpose but ignores it, and has no other filters.
    list: ListAbility { native: &[], stated: Wire::Pulsar.stated(), ..SEED.list },
    ..SEED
};

const MAGNETAR: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: Some(PRESIGNED_LIMIT),
        warn_bytes: None,
        empty: false,
        purposes: &[
            "generic",
            "user_image",
            "organization_image",
            "project_brand_image",
            "skill_image",
            "skill_export",
            "chat_message_attachment",
        ],
        default_purpose: Some("generic"),
        metadata: true,
        ..SEED.upload
    },
    scope: &["instance_id", "organization_id", "store_id"],
    list: ListAbility {
        stated: Wire::Magnetar.stated(),
        native: &[ID, CREATED, PURPOSE.sent(Spelling::Once(|it| purpose(it, &MAGNETAR)))],
        ..SEED.list
    },
    link: Some(LinkAbility { list_all: true, ..LINKS }),
    ..SEED
};

/// The combined capabilities of all dialects, used while the dialect is unknown. Operations that depend on the dialect
/// are rejected once it is known. Listings are assumed to return only the fields that all dialects return.
const AUTO: Capabilities = Capabilities {
    upload: UploadAbility {
        max_bytes: Some(PRESIGNED_LIMIT),
        warn_bytes: None,
        empty: true,
        purposes: MAGNETAR.upload.purposes,
        default_purpose: None,
        metadata: true,
        ..SEED.upload
    },
    annotate: PULSAR.annotate,
    link: MAGNETAR.link,
    ..SEED
};

struct Metorial {
    connection: Connection,
    /// The configured dialect; `None` for `auto`.
    chosen: Option<Wire>,
    /// The dialect in use, once known.
    wire: OnceCell<Wire>,
    /// The dialect of the latest response, which may differ from `wire`.
    answered: Mutex<Option<Wire>>,
}

#[expect(clippy::unnecessary_wraps, reason = "the type of `Spec::open`")]
fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    let chosen = Wire::named(&connection.dialect);
    Ok(Box::new(Metorial {
        connection,
        chosen,
        wire: OnceCell::new_with(chosen),
        answered: Mutex::default(),
    }))
}

#[async_trait]
impl Provider for Metorial {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.wire.get().map_or(&AUTO, |wire| wire.can())
    }

    fn stated(&self) -> &'static [&'static str] {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.map_or(self.capabilities().list.stated, Wire::stated)
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let by_age = query.sort.as_ref().is_none_or(|sort| sort.field == "created_at");
        let ascending = by_age && query.sort.as_ref().is_some_and(|sort| !sort.descending);
        let size = page_size(query, MAX_PAGE, MAX_PAGE);
        let mut request = Request::get(self.connection.url(&["files"])?)
            .query("limit", size)
            .query("order", if ascending { "asc" } else { "desc" })
            .maybe_query("organization_id", self.connection.setting("organization_id"));
        for key in ["store_id", "document_id", "file_link_id"] {
            if let Some(value) = self.connection.setting(key) {
                self.only_magnetar(key).await?;
                request = request.query(key, value);
            }
        }
        if let Some(filter) = &query.filter {
            // Purposes depend on the dialect, and an unknown purpose makes the listing fail.
            let names_purpose = filter.conjuncts().iter().any(|comparison| comparison.field == "purpose");
            let can = if names_purpose { self.wire().await?.can() } else { self.capabilities() };
            let mut table = can.list.native.to_vec();
            table.extend((self.wire.get() == Some(&Wire::Magnetar)).then_some(UPDATED));
            for (key, value) in Pushed::of(Some(filter), &table, None).parameters {
                request = request.query(key, value);
            }
        }
        // If the last file of the previous page has been deleted since, the page starts after the file before it.
        for after in cursor.map_or(vec![None], |cursor| cursor.split(',').map(Some).collect()) {
            let reply = self.call(request.clone().maybe_query("after", after)).await?;
            if let Some(page) = wire::page(&reply, &self.connection.profile, after)? {
                return Ok(page);
            }
        }
        Err(Error::platform(
            "metorial cannot continue the listing because the files at this position were deleted",
        )
        .hint("run the same command again"))
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let reply = self.call(Request::get(self.connection.url(&["files", id.as_str()])?)).await?;
        Ok(reply.json::<WireFile>("file")?.into_file(&self.connection.profile))
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let wire = self.wire().await?;
        require_upload(&SPEC, wire.can(), file)?;
        let fields = self.fields(wire, file)?;
        let reply = if self.presigned(wire, file)? {
            self.upload_presigned(file, fields, progress).await?
        } else {
            self.upload_direct(file, fields, progress).await?
        };
        Ok(reply.json::<WireFile>("file")?.into_file(&self.connection.profile))
    }

    fn overwrites(&self, name: &str) -> Option<Overwrites> {
        let store = self.connection.setting("store_id")?;
        self.connection.setting("store_replace").filter(|replace| *replace == "true")?;
        Some(Overwrites {
            place: format!("{} in the store {store}", self.path_of(name)),
            hint: "to keep the existing file: `--set store_replace=false`",
        })
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        if !self.capabilities().delete {
            return Err(self.unsupported(crate::providers::Op::Delete));
        }
        let request = Request::delete(self.connection.url(&["files", id.as_str()])?);
        match self.call(request).await {
            Ok(reply) => reply.acknowledges("deletion"),
            Err(error) => {
                let by_us = error.is_unanswered();
                match self.explain(id, error).await {
                    // An earlier attempt, whose response was lost, deleted the file.
                    error if by_us && error.kind() == Kind::NotFound => Ok(()),
                    error => Err(error),
                }
            }
        }
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        let fetch = |url: Url| Request::get(url).anonymous().bulk().range(range);
        if let Some(given) = self.connection.setting("link") {
            let url = Url::parse(given).map_err(|error| Error::usage(format!("link: {error}")))?;
            return self.connection.http.content(&fetch(url)).await;
        }
        let link = self.make_link(id, Some(OWN_LINK), true).await?;
        let url = Url::parse(&link.url).map_err(|error| {
            Error::platform("metorial returned a link that is not a valid URL").caused_by(error)
        })?;
        match self.connection.http.content(&fetch(url)).await {
            Ok(content) => Ok(ContentStream { release: Some(link), ..content }),
            Err(error) => {
                // If the link cannot be revoked, it still expires.
                let _ = self.unlink(id, link.id.as_deref().or(Some(&link.url))).await;
                Err(error)
            }
        }
    }

    async fn annotate(&self, id: &FileId, patch: &Patch) -> Result<File> {
        let wire = self.wire().await?;
        if !supports(wire.can(), super::Op::Annotate) {
            return Err(refusal_with(&SPEC, wire.can(), super::Op::Annotate, &id.0, self.profile()));
        }
        let title = new_title(patch, &reference(self.profile(), id))?;
        let url = self.connection.url(&["files", id.as_str()])?;
        let request = Request::patch(url, Body::json(&json!({ "title": title }))).repeatable();
        match self.call(request).await {
            Ok(reply) => Ok(reply.json::<WireFile>("file")?.into_file(&self.connection.profile)),
            Err(error) => Err(self.explain(id, error).await),
        }
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        self.make_link(id, lifetime, false).await
    }

    async fn links(&self, id: &FileId) -> Result<Vec<Link>> {
        let wire = self.wire().await?;
        let mut links: Vec<Link> = Vec::new();
        let (mut cursor, mut seen) = (None, SeenPages::default());
        // Read all pages here, because `Provider::links` does not return pages.
        loop {
            let request = match wire {
                Wire::Magnetar => Request::get(self.connection.url(&["file-links"])?)
                    .query("limit", MAX_PAGE)
                    .query("file_id", id),
                Wire::Seed | Wire::Pulsar => {
                    Request::get(self.connection.url(&["files", id.as_str(), "links"])?)
                        .query("limit", MAX_PAGE)
                }
            };
            let reply = self.call(request.maybe_query("after", cursor.as_deref())).await?;
            let page = Listing::<WireLink>::read(&reply, "list of links")?;
            cursor = page.next(|link| link.id.as_deref())?;
            let mut items = page.items;
            seen.add(SPEC.name, &mut items, WireLink::key, cursor.as_deref())
                .map_err(|error| error.about(id.to_string()))?;
            links.extend(items.into_iter().map(|link| link.into_link(None)));
            if cursor.is_none() {
                return Ok(links);
            }
            // All links are kept in memory, so their number is limited.
            if links.len() >= MOST_LINKS {
                return Err(Error::platform(Message::about(
                    &format!("metorial lists more than {MOST_LINKS} links to "),
                    id,
                    "",
                )));
            }
        }
    }

    async fn all_links(&self, cursor: Option<&str>) -> Result<LinkPage> {
        let wire = self.wire().await?;
        if !supports(wire.can(), super::Op::AllLinks) {
            let about = format!("{}:*", self.connection.profile);
            return Err(refusal_with(&SPEC, wire.can(), super::Op::AllLinks, &about, self.profile()));
        }
        let request = Request::get(self.connection.url(&["file-links"])?).query("limit", MAX_PAGE);
        let reply = self.call(request.maybe_query("after", cursor)).await?;
        let page = Listing::<WireLink>::read(&reply, "list of links")?;
        let next = page.next(|link| link.id.as_deref())?;
        let linked = |link: WireLink| {
            let id = FileId(link.file_id.clone()?);
            Some(FileLink { id, file: None, link: link.into_link(None) })
        };
        Ok(LinkPage { links: page.items.into_iter().filter_map(linked).collect(), next })
    }

    async fn unlink(&self, id: &FileId, link: Option<&str>) -> Result<()> {
        let link = match link {
            Some(link) if !link.contains("://") => link.to_owned(),
            _ => chosen_link(self.profile(), id, self.links(id).await?, link)?,
        };
        let url = match self.wire().await? {
            Wire::Magnetar => self.connection.url(&["file-links", &link])?,
            Wire::Seed | Wire::Pulsar => self.connection.url(&["files", id.as_str(), "links", &link])?,
        };
        self.call(Request::delete(url)).await?.acknowledges("revocation")
    }
}

impl Metorial {
    /// Sends a small request to the API host and records the dialect of the response.
    async fn call(&self, request: Request) -> Result<Reply> {
        let mut request = self.versioned(request);
        if let Some(instance) = self.connection.setting("instance_id") {
            request = request.header("metorial-instance-id", instance);
        }
        let reply = self.connection.http.send(&request).await?;
        // Fails if the dialect is already known.
        let _ = self.wire.set(Wire::of(&reply));
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(Wire::of(&reply));
        Ok(reply)
    }

    /// Requests the configured dialect. With `auto`, the server chooses the dialect of its responses.
    fn versioned(&self, request: Request) -> Request {
        match self.chosen.and_then(Wire::version) {
            Some(version) => request.header("Metorial-Version", version),
            None => request,
        }
    }

    /// The dialect. If no response has revealed it yet, it is determined with the cheapest request.
    async fn wire(&self) -> Result<Wire> {
        if let Some(wire) = self.wire.get() {
            return Ok(*wire);
        }
        let reply = self.call(Request::get(self.connection.url(&["files"])?).query("limit", 1)).await?;
        Ok(*self.wire.get().unwrap_or(&Wire::of(&reply)))
    }

    /// Rejects a setting that only magnetar supports.
    async fn only_magnetar(&self, key: &str) -> Result<()> {
        match self.wire().await? {
            Wire::Magnetar => Ok(()),
            wire => Err(no_place(wire, key)),
        }
    }

    /// Creates a link that expires after `lifetime`. The platform accepts only absolute times. `repeatable` is true for
    /// a short-lived link, because an additional one does no harm.
    async fn make_link(
        &self,
        id: &FileId,
        lifetime: Option<SignedDuration>,
        repeatable: bool,
    ) -> Result<Link> {
        let wire = self.wire().await?;
        let ends = lifetime.map(|lifetime| self.connection.clock.now().checked_add(lifetime)).transpose();
        let ends = ends.map_err(|_| Error::usage("a link cannot expire after the year 9999"))?;
        let mut body = Object::new();
        let url = match wire {
            Wire::Magnetar => {
                body.insert("file_id".to_owned(), id.as_str().into());
                self.connection.url(&["file-links"])?
            }
            Wire::Seed | Wire::Pulsar => self.connection.url(&["files", id.as_str(), "links"])?,
        };
        if let Some(ends) = ends {
            body.insert("expires_at".to_owned(), milliseconds(ends).into());
        }
        let request = Request { repeatable, ..Request::post(url, Body::json(&Value::Object(body))) };
        match self.call(request).await {
            Ok(reply) => Ok(reply.json::<WireLink>("link")?.into_link(ends)),
            Err(error) => Err(self.explain(id, error).await),
        }
    }

    /// Converts a 403 to "not found" if the file has been deleted. The error has no code for this case, so the file
    /// is requested.
    async fn explain(&self, id: &FileId, error: Error) -> Error {
        if error.status() != Some(403) {
            return error;
        }
        let is_deleted = match self.stat(id).await {
            Ok(file) => file.status.as_deref() == Some(DELETED),
            // In `seed`, the server does not return deleted files.
            Err(gone) => gone.kind() == Kind::NotFound,
        };
        if !is_deleted {
            return error;
        }
        Error::not_found(Message::file(id, " is deleted"))
            .cause(error.message())
            .with_status(403)
            .with_request_id(error.request_id().map(str::to_owned))
    }
}

/// The title that a patch sets. Any other change is an error. `reference` names the file in the hints.
fn new_title(patch: &Patch, reference: &str) -> Result<String> {
    if patch.name.is_some() || patch.content_type.is_some() || patch.path.is_some() {
        return Err(Error::new(Kind::Unsupported, "metorial cannot change the name, type or path of a file")
            .hint(format!("to set its title: `haul meta set {reference} title=TEXT`")));
    }
    title(&patch.set)?.filter(|_| patch.unset.is_empty()).ok_or_else(|| {
        Error::new(Kind::Unsupported, "metorial cannot remove a title")
            .hint(format!("to change it: `haul meta set {reference} title=TEXT`"))
    })
}

/// The id of the link with this URL or, if `url` is `None`, of the only link.
fn chosen_link(profile: &str, id: &FileId, links: Vec<Link>, url: Option<&str>) -> Result<String> {
    let mut found: Vec<Link> =
        links.into_iter().filter(|link| url.is_none_or(|url| link.url == url)).collect();
    match (found.len(), found.pop().and_then(|link| link.id)) {
        (1, Some(link)) => Ok(link),
        (0, _) if url.is_none() => Err(Error::not_found(Message::file(id, " has no link"))),
        (0 | 1, _) => Err(Error::not_found(Message::file(id, ": no such link"))),
        (count, _) => Err(Error::usage(Message::file(id, &format!(" has {count} links")))
            .hint(format!("to show them: `haul link {} --list`", reference(profile, id)))
            .hint(format!("to revoke one: `haul link {} --revoke LINK`", reference(profile, id)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Expr, Filter, Value as Compared};

    fn compare(field: &str, op: Op, value: Compared) -> Expr {
        Expr::Compare(Comparison { field: field.to_owned(), op, value })
    }

    fn text(field: &str, value: &str) -> Expr {
        compare(field, Op::Eq, Compared::Text(value.to_owned()))
    }

    fn created(op: Op, at: &str) -> Expr {
        compare("created_at", op, Compared::Time(at.parse().unwrap()))
    }

    fn sent(expr: Expr) -> String {
        let filter = Filter { expr };
        let pushed = Pushed::of(Some(&filter), MAGNETAR.list.native, None);
        pushed.parameters.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    }

    #[test]
    fn bounds_are_strict_and_never_too_tight() {
        let at = "2026-01-01T00:00:00Z";
        assert_eq!(sent(created(Op::Gt, at)), "created_at[gt]=2026-01-01T00:00:00.000Z");
        assert_eq!(sent(created(Op::Ge, at)), "created_at[gt]=2025-12-31T23:59:59.999Z");
        assert_eq!(sent(created(Op::Lt, at)), "created_at[lt]=2026-01-01T00:00:00.000Z");
        assert_eq!(sent(created(Op::Le, at)), "created_at[lt]=2026-01-01T00:00:00.001Z");
        assert_eq!(
            sent(created(Op::Eq, at)),
            "created_at[gt]=2025-12-31T23:59:59.999Z&created_at[lt]=2026-01-01T00:00:00.001Z"
        );
        // The bound lies between two milliseconds: a file created in the earlier one is older and passes.
        assert_eq!(
            sent(created(Op::Lt, "2026-01-01T00:00:00.0005Z")),
            "created_at[lt]=2026-01-01T00:00:00.001Z"
        );
        assert_eq!(
            sent(created(Op::Gt, "2026-01-01T00:00:00.0005Z")),
            "created_at[gt]=2026-01-01T00:00:00.000Z"
        );
        assert_eq!(sent(created(Op::Ne, at)), "");
    }

    #[test]
    fn only_the_tightest_of_several_bounds_is_sent() {
        let both = vec![created(Op::Gt, "2026-01-01T00:00:00Z"), created(Op::Gt, "2026-02-01T00:00:00Z")];
        assert_eq!(sent(Expr::And(both)), "created_at[gt]=2026-02-01T00:00:00.000Z");
    }

    #[test]
    fn ids_are_repeated_keys_even_if_joined_by_or() {
        assert_eq!(sent(text("id", "a")), "id=a");
        assert_eq!(sent(Expr::Or(vec![text("id", "a"), text("id", "b")])), "id=a&id=b");
        assert_eq!(sent(Expr::Or(vec![text("id", "a"), text("name", "b")])), "");
        let many = (0..=100).map(|n| text("id", &n.to_string())).collect();
        assert_eq!(sent(Expr::Or(many)), "");
    }

    #[test]
    fn only_a_purpose_that_the_dialect_has_is_sent() {
        assert_eq!(sent(text("purpose", "generic")), "purpose=generic");
        assert_eq!(sent(text("purpose", "assistants")), "");
        assert_eq!(sent(Expr::Not(Box::new(text("purpose", "generic")))), "");
        assert_eq!(sent(Expr::Or(vec![text("purpose", "generic"), text("name", "b")])), "");
        assert_eq!(sent(compare("purpose", Op::Has, Compared::Text("generic".into()))), "");
    }
}
