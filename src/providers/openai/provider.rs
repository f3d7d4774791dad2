//! The provider for OpenAI and for vendors and gateways with the same Files API. A [`Vendor`] describes how they
//! differ.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::Value as Json;
use url::Url;

use super::super::lenient::{Fields, as_word};
use super::super::listing::{SeenPages, page_size};
use super::super::pushdown::Pushed;
use super::super::{
    BatchFormat, Capabilities, Collection, Connection, Download, Multipart, Op, Page, Provider, Query, Quota,
    Spec, USUAL_DELAY,
};
use super::parts;
use super::store::{VECTOR_STORE, VectorStore};
use super::wire::{Format, List, order};
use crate::error::{Error, Kind, Message, Result};
use crate::filter::{Expr, Filter};
use crate::http::{Client, ContentStream, Part, Problem, Range, Reply, Request, form};
use crate::model::{File, FileId, NewFile};
use crate::progress::Progress;

/// The default page size. With OpenAI's own default of 10,000, the first page takes a long time.
const PAGE: u32 = 1_000;

/// The value of `limit` for a listing without pages.
const LARGEST: u32 = 10_000;

/// A platform with OpenAI's Files API.
pub(in crate::providers) struct Vendor {
    /// The names, variables, base URL, limits and constructor.
    pub(in crate::providers) spec: Spec,
    /// The header that contains only the token; `None` for `Authorization: Bearer TOKEN`.
    pub(super) auth_header: Option<&'static str>,
    /// Whether each customer has their own host, so that the default base URL is only an example.
    pub(super) needs_endpoint: bool,
    /// The listing parameters that the platform documents, out of `limit`, `order` and `purpose`. Others are not
    /// sent.
    pub(super) parameters: &'static [&'static str],
    /// The value of `order` that lists the newest files first, if that is not the default.
    pub(super) newest_first: Option<&'static str>,
    /// The purposes to list one after another, if a listing requires a purpose.
    pub(super) listed_purposes: &'static [&'static str],
    /// Whether `cursor` is the page token, both as a parameter and in the response.
    pub(super) has_cursors: bool,
    /// How an upload specifies a lifetime.
    pub(super) expiry: Expiry,
    /// The published limits for all files together.
    pub(super) quota: Option<Quota>,
    /// The codes that indicate success, if responses are wrapped in `{code, message, data}`.
    pub(super) codes: &'static [u64],
    /// The purposes whose files the platform does not return.
    pub(super) refused: &'static [&'static str],
    /// The purposes for which the platform returns the extracted text instead of the file.
    pub(super) derived: &'static [&'static str],
    /// Whether the platform documents a limit of 200 MB and 50,000 requests for a batch.
    pub(super) limits_batches: bool,
    /// The capabilities with a vector store, where the platform has vector stores.
    pub(super) attached: Option<&'static Capabilities>,
    /// Whether a single file can be retrieved. If not, it is looked up in the listing.
    pub(super) retrieve: bool,
    /// The documented purposes of files that are sent in parts; empty without the Uploads API.
    pub(super) parts_for: &'static [&'static str],
}

/// How an upload specifies a lifetime, if the capabilities permit one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// `expires_after[anchor]` and `expires_after[seconds]`.
    After,
    /// A form field with a time in seconds since 1970.
    At(&'static str),
}

impl Vendor {
    pub(super) fn open(&'static self, connection: Connection) -> Result<Box<dyn Provider>> {
        // The host in the default URL is a placeholder.
        if self.needs_endpoint && self.is_own(&connection.base_url) {
            let variable = self.spec.base_url_variables.first().unwrap_or(&"HAUL_BASE_URL");
            return Err(Error::usage(format!("{} requires a resource endpoint", self.spec.name))
                .hint(format!("set {variable} to its URL, such as {}", self.spec.base_url)));
        }
        if !self.parts_for.is_empty() {
            parts::check(&connection)?;
        }
        let header = connection.setting("auth_header").or(self.auth_header);
        let http = match header {
            Some(header) => connection.http.authenticating(header),
            None => connection.http.clone(),
        };
        let refused = self.refused_at(&connection.base_url);
        let store = connection.setting(VECTOR_STORE.key).filter(|_| self.attached.is_some());
        let store = store.map(VectorStore::new);
        Ok(Box::new(OpenAi { vendor: self, refused, connection: Connection { http, ..connection }, store }))
    }

    /// Whether a base URL is the vendor's own. Facts about the vendor's files may not hold for other servers.
    fn is_own(&self, base: &Url) -> bool {
        Url::parse(self.spec.base_url).is_ok_and(|own| own.origin() == base.origin())
    }

    /// The purposes whose files the server with this base URL is known not to return.
    fn refused_at(&self, base: &Url) -> &'static [&'static str] {
        if self.is_own(base) { self.refused } else { &[] }
    }

    pub(super) fn can(&self) -> &'static Capabilities {
        self.spec.dialects[0].can
    }

    pub(super) fn format(&self) -> Format {
        Format {
            platform: self.spec.name,
            id: &["id"],
            name: &["filename", "name"],
            size: &["bytes", "size_bytes"],
            status: &["status"],
            lifetime: None,
            default_purpose: self.can().upload.default_purpose,
        }
    }

    /// Rejects a code that indicates failure in a response with status 200.
    fn check(&self, code: Option<String>, message: Option<String>) -> Result<()> {
        let Some(code) = code.filter(|_| !self.codes.is_empty()) else { return Ok(()) };
        if code.parse().is_ok_and(|code: u64| self.codes.contains(&code)) {
            return Ok(());
        }
        let message = message.unwrap_or_else(|| "no reason given".to_owned());
        Err(Error::new(Kind::Failed, format!("{} rejected the request: {message} ({code})", self.spec.name)))
    }
}

pub(super) struct OpenAi {
    pub(super) vendor: &'static Vendor,
    /// The purposes whose files this server does not return.
    pub(super) refused: &'static [&'static str],
    pub(super) connection: Connection,
    /// The vector store that the settings name.
    pub(super) store: Option<VectorStore>,
}

#[async_trait]
impl Provider for OpenAi {
    fn spec(&self) -> &'static Spec {
        &self.vendor.spec
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.vendor.attached.filter(|_| self.store.is_some()).unwrap_or_else(|| self.vendor.can())
    }

    fn quota(&self) -> Option<Quota> {
        self.vendor.quota.filter(|_| self.store.is_none() && self.vendor.is_own(&self.connection.base_url))
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        Pushed::of(Some(filter), self.capabilities().list.native, None).decided
    }

    async fn in_use(&self) -> Result<HashSet<FileId>> {
        match self.vendor.attached {
            Some(_) => self.in_vector_stores().await,
            None => Ok(HashSet::new()),
        }
    }

    fn collection(&self) -> Option<&dyn Collection> {
        self.store.as_ref().map(|_| self as &dyn Collection)
    }

    fn settles_in(&self, file: &File) -> Duration {
        // A new attachment may not be found for a few seconds.
        let usual = if self.store.is_some() { USUAL_DELAY } else { Duration::ZERO };
        self.connection.settles_in(file, usual)
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        if let Some(store) = &self.store {
            return self.list_attached(store, query, cursor).await;
        }
        let Vendor { parameters, listed_purposes, .. } = self.vendor;
        let can = &self.vendor.can().list;
        let sends = |name: &str| parameters.contains(&name);
        let size = match can.max_page {
            // A listing without pages has to return everything.
            u32::MAX => LARGEST,
            max => page_size(query, PAGE, max),
        };
        let pushed = Pushed::of(query.filter.as_ref(), can.native, None);
        let wanted = pushed.parameter("purpose");
        let place = Place::parse(cursor, self.vendor);
        let purpose = wanted.or(place.purpose.as_deref()).or(listed_purposes.first().copied());
        let mut request = self.files(&[])?;
        if sends("limit") {
            request = request.query("limit", size);
        }
        if sends("order") {
            request = request.maybe_query("order", order(query).or(self.vendor.newest_first));
        }
        if sends("purpose") {
            request = request.maybe_query("purpose", purpose);
        }
        if let Some((name, value)) = &place.after {
            request = request.query(name, value);
        }
        let mut list: List = self.connection.http.json(&request, "list of files").await?;
        self.vendor.check(list.code.take(), list.message.take())?;
        let token = list.cursor.take().filter(|_| self.vendor.has_cursors);
        // If no page size is sent, only the platform knows whether more files follow.
        let size = if sends("limit") { size } else { u32::MAX };
        let Page { files, next } = list.into_page(self.vendor.spec.name, size, |fields| self.file(fields))?;
        let after = match token {
            Some(token) => Some(("cursor", token)),
            None => next.map(|id| ("after", id)),
        };
        let next_purpose = || {
            let mut rest = listed_purposes.iter().skip_while(|known| Some(**known) != purpose);
            rest.nth(1).filter(|_| wanted.is_none()).map(|purpose| (*purpose).to_owned())
        };
        let next = match after {
            Some((name, id)) => {
                Some(Place { purpose: purpose.map(str::to_owned), after: Some((name.to_owned(), id)) })
            }
            None => next_purpose().map(|purpose| Place { purpose: Some(purpose), after: None }),
        };
        Ok(Page { next: next.map(|place| place.write(self.vendor)), files })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        if let Some(store) = &self.store {
            return self.stat_attached(store, id).await;
        }
        if !self.vendor.retrieve {
            return self.search(id).await;
        }
        self.file(self.connection.http.json(&self.files(&[id.as_str()])?, "file").await?)
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let mut parts = self.vendor.format().form_fields(file);
        if let Some(lifetime) = file.expires.filter(|_| self.vendor.can().upload.lifetime.is_some()) {
            parts.extend(self.lifetime(lifetime));
        }
        parts.push(Part::file("file", file));
        let request = Request::post(self.url(&[])?, form(parts)).bulk();
        let reply = self.connection.http.upload(&self.extended(request), progress).await?;
        // The request succeeded, so the file may exist even if the body is invalid.
        let read = reply.json("uploaded file").and_then(|fields| self.file(fields));
        read.map_err(|error| error.with_status(reply.status))
    }

    fn multipart(&self) -> Option<&dyn Multipart> {
        (!self.vendor.parts_for.is_empty()).then_some(self as &dyn Multipart)
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        if let Some(store) = &self.store {
            return self.detach(store, id).await;
        }
        let request = Request::delete(self.url(&[id.as_str()])?);
        let reply = self.connection.http.send(&self.extended(request)).await?;
        self.vendor.format().check_deleted(id, &reply)
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        if self.vendor.can().download == Download::Never {
            return Err(self.unsupported(Op::Download));
        }
        let request = self.files(&[id.as_str(), "content"])?.range(range).bulk();
        match self.connection.http.content(&request).await {
            Err(error) => Err(self.refused(id, error).await),
            opened => opened,
        }
    }

    fn derives(&self, file: &File) -> bool {
        is_among(file.purpose.as_deref(), self.vendor.derived)
    }

    fn batch_format(&self) -> BatchFormat {
        let limited = self.vendor.limits_batches && self.vendor.is_own(&self.connection.base_url);
        BatchFormat::OpenAi { limited }
    }

    async fn batch_files(&self, id: &str) -> Result<Vec<FileId>> {
        let request = self.extended(Request::get(self.connection.url(&["batches", id])?));
        let mut batch: Fields = self.connection.http.json(&request, "batch").await?;
        let mut file = |key: &str| batch.take(&[key], as_word).map(FileId);
        let files: Vec<FileId> =
            ["output_file_id", "error_file_id"].into_iter().filter_map(&mut file).collect();
        if !files.is_empty() {
            return Ok(files);
        }
        let status = batch.take(&["status"], as_word).unwrap_or_else(|| "unfinished".to_owned());
        let why = batch.get("errors").and_then(|errors| {
            let first = &errors["data"][0];
            let line = first["line"].as_u64().map_or_else(String::new, |line| format!(" (line {line})"));
            Some(format!("{}{line}", first["message"].as_str()?))
        });
        let error = Error::failed(format!("batch {id} has no files yet; its status is {status}"));
        Err(why.into_iter().fold(error, Error::cause))
    }
}

impl OpenAi {
    /// A URL below `files`.
    fn url(&self, segments: &[&str]) -> Result<Url> {
        self.connection.url(&[&["files"], segments].concat())
    }

    /// A GET request below `files`, with the profile's headers and parameters.
    pub(super) fn files(&self, segments: &[&str]) -> Result<Request> {
        Ok(self.extended(Request::get(self.url(segments)?)))
    }

    /// Adds the profile's headers and parameters.
    pub(super) fn extended(&self, mut request: Request) -> Request {
        let named = |prefix: &str, key: &str| key.strip_prefix(prefix).map(str::to_owned);
        for (key, value) in &self.connection.secrets {
            if let Some(name) = named("headers.", key) {
                request = request.header(name, value.expose());
            }
        }
        for (key, value) in &self.connection.set {
            let header = HEADERS.iter().find(|(setting, _)| setting == key);
            if let Some((_, header)) = header.filter(|_| !value.is_empty()) {
                request = request.header(*header, value);
            }
            if let Some(name) = named("query.", key).filter(|name| !has_query(&request, name)) {
                request = request.query(&name, value);
            }
        }
        request
    }

    /// Reads a file object, which may be in an envelope.
    pub(super) fn file(&self, mut fields: Fields) -> Result<File> {
        if fields.get("id").is_none() && (!self.vendor.codes.is_empty() || fields.get("data").is_some()) {
            self.vendor.check(fields.take(&["code"], as_word), fields.take(&["message"], as_word))?;
            if let Some(Json::Object(inner)) = fields.get("data").cloned() {
                fields = Fields::from(inner);
            }
        }
        let file = self.vendor.format().file(&mut fields, self.profile())?;
        let content_type = fields.take(&["mime_type"], as_word);
        let stated = fields.take(&["downloadable"], Json::as_bool);
        let is_refused = is_among(file.purpose.as_deref(), self.refused);
        let downloadable = stated.or(is_refused.then_some(false));
        let tries_all = self.connection.setting("download") == Some("all");
        Ok(File {
            content_type,
            downloadable: downloadable.filter(|_| !tries_all),
            extra: fields.rest(),
            ..file
        })
    }

    /// The form fields for a lifetime.
    fn lifetime(&self, lifetime: SignedDuration) -> Vec<Part> {
        match self.vendor.expiry {
            Expiry::After => vec![
                Part::text("expires_after[anchor]", "created_at"),
                Part::text("expires_after[seconds]", lifetime.as_secs().to_string()),
            ],
            Expiry::At(field) => {
                let end = crate::model::later(self.connection.clock.now(), lifetime);
                vec![Part::text(field, end.as_second().to_string())]
            }
        }
    }

    /// Converts the error of a download. Its kind becomes [`Kind::Unsupported`] if the platform refuses to return the
    /// content of an existing file.
    async fn refused(&self, id: &FileId, error: Error) -> Error {
        let is_refusal = match error.status() {
            Some(400 | 405) => true,
            Some(404) => self.stat(id).await.is_ok(),
            _ => false,
        };
        if !is_refusal || error.kind() == Kind::Unsupported {
            return error;
        }
        let platform = self.vendor.spec.name;
        let status = error.status().unwrap_or_default();
        let message = Message::about(&format!("{platform} does not return the content of "), id, "");
        Error::new(Kind::Unsupported, message)
            .with_status(status)
            .with_request_id(error.request_id().map(str::to_owned))
            .cause(error.message())
    }

    /// Looks up a file in the listing, on a platform that cannot retrieve a single file.
    async fn search(&self, id: &FileId) -> Result<File> {
        let (query, mut cursor) = (Query::default(), None::<String>);
        let mut seen = SeenPages::before(None);
        loop {
            let Page { mut files, next } = self.list(&query, cursor.as_deref()).await?;
            seen.add(self.vendor.spec.name, &mut files, |file| file.id.as_str(), next.as_deref())?;
            if let Some(file) = files.into_iter().find(|file| file.id == *id) {
                return Ok(file);
            }
            cursor = next;
            if cursor.is_none() {
                let message =
                    Message::file(id, &format!(": no file with this id on {}", self.vendor.spec.name));
                return Err(Error::not_found(message));
            }
        }
    }
}

/// Settings that are sent as headers.
const HEADERS: [(&str, &str); 2] = [("organization", "OpenAI-Organization"), ("project", "OpenAI-Project")];

pub(super) fn is_among(purpose: Option<&str>, purposes: &[&str]) -> bool {
    purpose.is_some_and(|purpose| purposes.contains(&purpose))
}

fn has_query(request: &Request, name: &str) -> bool {
    request.query.iter().any(|(known, _)| known == name)
}

/// A position in a listing.
struct Place {
    /// The purpose, if a listing requires one.
    purpose: Option<String>,
    /// The parameter for the next page, with its value.
    after: Option<(String, String)>,
}

impl Place {
    /// Parses a cursor: the id of the last file, or a query string if the platform needs more.
    fn parse(cursor: Option<&str>, vendor: &Vendor) -> Self {
        let Some(cursor) = cursor else { return Self { purpose: None, after: None } };
        if !Self::is_query(vendor) {
            return Self { purpose: None, after: Some(("after".to_owned(), cursor.to_owned())) };
        }
        let mut place = Self { purpose: None, after: None };
        for (name, value) in url::form_urlencoded::parse(cursor.as_bytes()).into_owned() {
            match name.as_str() {
                "purpose" => place.purpose = Some(value),
                "after" | "cursor" => place.after = Some((name, value)),
                _ => {}
            }
        }
        place
    }

    fn write(self, vendor: &Vendor) -> String {
        if !Self::is_query(vendor) {
            return self.after.map(|(_, id)| id).unwrap_or_default();
        }
        let purpose = self.purpose.map(|purpose| ("purpose".to_owned(), purpose));
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(purpose.into_iter().chain(self.after))
            .finish()
    }

    fn is_query(vendor: &Vendor) -> bool {
        vendor.has_cursors || !vendor.listed_purposes.is_empty()
    }
}

/// Recognizes the response that denies a download. Its status, 400, would otherwise result in [`Kind::Failed`].
pub(super) fn read_problem(reply: &Reply) -> Option<Problem> {
    let body: Json = serde_json::from_slice(&reply.body).ok()?;
    let message = body["error"]["message"].as_str().or(body["message"].as_str())?;
    let is_refusal = reply.status == 400 && message.starts_with("Not allowed to download");
    is_refusal.then(|| Problem {
        message: message.to_owned(),
        kind: Some(Kind::Unsupported),
        ..Problem::default()
    })
}

#[cfg(test)]
mod tests {
    use super::super::vendors::{AZURE, OPENAI, SILICONFLOW};
    use super::*;

    #[test]
    fn only_the_vendors_own_host_is_known_to_refuse_a_purpose() {
        let refuses = |vendor: &Vendor, base: &str, purpose| {
            is_among(Some(purpose), vendor.refused_at(&base.parse().unwrap()))
        };
        let own = "https://api.openai.com/v1";
        for (purpose, expected) in [
            ("assistants", true),
            ("user_data", true),
            ("evals", true),
            ("fine-tune", false),
            ("batch", false),
            ("batch_output", false),
            ("new", false),
        ] {
            assert_eq!(refuses(&OPENAI, own, purpose), expected, "{purpose}");
            assert!(!refuses(&OPENAI, "https://gateway.example.com/v1", purpose), "{purpose}");
        }
        assert!(!refuses(&AZURE, "https://a.openai.azure.com/openai/v1", "user_data"), "only inferred");
        assert!(!is_among(None, OPENAI.refused_at(&own.parse().unwrap())));
    }

    #[test]
    fn a_cursor_contains_the_purpose_only_where_a_listing_requires_one() {
        let after = |id: &str| Some(("after".to_owned(), id.to_owned()));
        let place = |purpose: Option<&str>, after| Place { purpose: purpose.map(str::to_owned), after };
        assert_eq!(place(None, after("file-1&")).write(&OPENAI), "file-1&");
        assert_eq!(Place::parse(Some("file-1&"), &OPENAI).after, after("file-1&"));
        let cursor = place(Some("batch"), after("a&b=c")).write(&SILICONFLOW);
        let read = Place::parse(Some(&cursor), &SILICONFLOW);
        assert_eq!((read.purpose.as_deref(), read.after), (Some("batch"), after("a&b=c")));
    }

    #[test]
    fn a_code_of_failure_is_an_error_despite_status_200() {
        let check = |vendor: &Vendor, code: &str| vendor.check(Some(code.to_owned()), Some("no".to_owned()));
        assert!(check(&SILICONFLOW, "20000").is_ok() && SILICONFLOW.check(None, None).is_ok());
        let error = check(&SILICONFLOW, "50505").unwrap_err();
        assert_eq!(error.message(), "siliconflow rejected the request: no (50505)");
        assert!(check(&OPENAI, "50505").is_ok(), "another platform has no codes");
    }
}
