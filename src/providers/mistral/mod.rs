//! Mistral Files: OpenAI's file objects in numbered pages, with signed URLs.
//!
//! - Lifetimes are whole hours. This is documented for links and assumed for files, so callers compare the expiry in
//!   the response with the requested one.
//! - For some seconds after an upload, requests for the file can return 404 even though it is listed. `stat` then
//!   reads the listing, and [`settles_in`](Provider::settles_in) returns how long a caller should repeat other
//!   requests.
//! - The order of listings is not documented, and a page has a number instead of a cursor.
//! - A signed URL leads to a storage host, which must not receive the token.

mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use url::Url;

use self::wire::{FORMAT, Position, SignedUrl, WireFile, WireList, read_problem};
use super::listing::page_size;
use super::pushdown::{Parameter, Pushed, Spelling, text_of};
use super::{Capabilities, Connection, Dialect, Duplicates, Page, Provider, Query, Setting, Spec};
use super::{Download, LinkAbility, ListAbility, NameLimit, NameSlash, Native, Op, UploadAbility};
use crate::error::{Error, Kind, Result};
use crate::filter::{Comparison, Equality, Expr, Filter, Op as Is, Value};
use crate::http::{Client, ContentStream, Part, Range, Reply, Request, form};
use crate::model::{File, FileId, Link, NewFile, StatusWords};
use crate::progress::Progress;

pub(super) static SPEC: Spec = Spec {
    name: "mistral",
    title: "Mistral",
    token_variables: &["MISTRAL_API_KEY"],
    // The variable set by `haul serve`. The vendor's clients read no variable.
    base_url_variables: &["MISTRAL_SERVER_URL"],
    base_url: "https://api.mistral.ai/v1",
    upload_base_url: None,
    base_path: "/v1",
    docs_url: "https://docs.mistral.ai/api/endpoint/files",
    token_page: "https://console.mistral.ai/api-keys",
    settings: &[
        Setting { key: "visibility", help: "who can see an uploaded file: workspace or user", secret: false },
        Setting {
            key: "via",
            help: "url: download from a signed URL, so that interrupted downloads can resume",
            secret: false,
        },
    ],
    dialects: &[Dialect { name: "v1", title: "only dialect", can: &CAN }],
    equality: Equality::Exact,
    name_slash: NameSlash::Stripped,
    read_problem,
    status: StatusWords::NONE,
    request_ids: &[],
    scheme: None,
    open,
};

/// Purposes for uploads. The last one appears only in the text of the reference.
const PURPOSES: &[&str] = &["fine-tune", "batch", "ocr", "agentic_safety", "audio"];
/// Purposes that listings can filter by; others may be rejected.
const FILTERED: &[&str] = &["fine-tune", "batch", "ocr", "agentic_safety"];
const SAMPLE_TYPES: &[&str] = &["pretrain", "instruct", "batch_request", "batch_result", "batch_error"];
const SOURCES: &[&str] = &["upload", "repository", "mistral"];

/// The documented page size, used as the default and the maximum.
const PAGE: u32 = 100;
/// Seconds per hour.
const HOUR: i64 = 3_600;
/// The lifetime of a link if no other is given.
const LINK_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

const CAN: Capabilities = Capabilities {
    upload: UploadAbility {
        // "512 MB", without specifying decimal or binary units.
        max_bytes: Some(512 * 1024 * 1024),
        warn_bytes: Some(512_000_000),
        empty: true,
        name: NameLimit::Unlimited,
        forbidden: &[],
        forbids_control: false,
        purpose: true,
        purposes: PURPOSES,
        default_purpose: None,
        metadata: false,
        // The longest lifetime is not documented, so this is a century.
        lifetime: Some((HOUR, 876_000 * HOUR)),
        files_per_request: 1,
        mark: false,
    },
    download: Download::Any,
    ranges: false,
    list: ListAbility {
        max_page: PAGE,
        stated: &[
            "size",
            "content_type",
            "purpose",
            "created_at",
            "expires_at",
            "sample_type",
            "source",
            "num_lines",
            "visibility",
            "extra.object",
            "extra.signature",
        ],
        native: &[
            // The platform searches for part of the name, ignoring case.
            Native::superset("name", &[Is::Has, Is::Eq, Is::Glob]).sent(Spelling::Once(search)),
            Native::superset("content_type", &[Is::Eq]).sent(Spelling::Repeated("mimetypes")),
            Native::exact("purpose", &[Is::Eq]).sent(Spelling::Once(purpose)),
            Native::exact("sample_type", &[Is::Eq]).sent(Spelling::OneOf("sample_type", SAMPLE_TYPES)),
            Native::exact("source", &[Is::Eq]).sent(Spelling::OneOf("source", SOURCES)),
        ],
        sort: &[],
        newest_first: false,
    },
    annotate: None,
    link: Some(LinkAbility {
        lifetime: Some((HOUR, 168 * HOUR)),
        list: false,
        list_all: false,
        revoke: false,
        for_downloads: false,
    }),
    delete: true,
    replace: false,
    checksums: &[],
    scope: &[],
    duplicates: Duplicates::Possible,
    appears_within: Duration::from_mins(1),
    rate: None,
    instead: &[
        (
            Op::Annotate,
            "to change the name, upload the file again, which gives it a new id: `haul upload FILE --name NAME`",
        ),
        (Op::Replace, "to upload a new file and delete the old one: `haul upload FILE --if-exists replace`"),
        (Op::Unlink, "a link stops working when its file is deleted: `haul rm {ref}`"),
    ],
};

struct Mistral {
    connection: Connection,
}

fn open(connection: Connection) -> Result<Box<dyn Provider>> {
    connection.choice("visibility", &["workspace", "user"])?;
    connection.choice("via", &["url"])?;
    Ok(Box::new(Mistral { connection }))
}

#[async_trait]
impl Provider for Mistral {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn profile(&self) -> &str {
        &self.connection.profile
    }

    fn capabilities(&self) -> &'static Capabilities {
        &CAN
    }

    fn decides<'a>(&self, filter: &'a Filter) -> Vec<&'a Expr> {
        Pushed::of(Some(filter), CAN.list.native, None).decided
    }

    fn client(&self) -> Option<&Client> {
        Some(&self.connection.http)
    }

    fn settles_in(&self, file: &File) -> Duration {
        self.connection.settles_in(file, CAN.appears_within)
    }

    async fn list(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let pushed = Pushed::of(query.filter.as_ref(), CAN.list.native, None);
        let position = match cursor {
            Some(cursor) => Position::at(cursor)?,
            None => Position { page: 0, size: page_size(query, PAGE, CAN.list.max_page) },
        };
        let request = Request::get(self.connection.url(&["files"])?)
            .query("page", position.page)
            .query("page_size", position.size);
        let request =
            pushed.parameters.iter().fold(request, |request, (key, value)| request.query(key, value));
        let list: WireList = self.connection.http.json(&request, "list of files").await?;
        list.into_page(position, self.profile())
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let request = Request::get(self.connection.url(&["files", id.as_str()])?);
        match self.connection.http.json::<WireFile>(&request, "file").await {
            Ok(file) => file.into_file(self.profile()),
            // A new file is listed before it can be requested.
            Err(error) if error.kind() == Kind::NotFound => {
                let first = self.list(&Query::default(), None).await?;
                first.files.into_iter().find(|file| file.id == *id).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn upload(&self, file: &NewFile, progress: Arc<dyn Progress>) -> Result<File> {
        let expiry = file.expires.map(|lifetime| hours(lifetime, "a file")).transpose()?;
        let fields = [
            expiry.map(|hours| Part::text("expiry", hours.to_string())),
            self.connection.setting("visibility").map(|word| Part::text("visibility", word)),
        ];
        let mut parts: Vec<Part> = fields.into_iter().flatten().collect();
        parts.extend(FORMAT.form_fields(file));
        parts.push(Part::file("file", file));
        let request = Request::post(self.connection.url(&["files"])?, form(parts)).bulk();
        let reply: Reply = self.connection.http.upload(&request, progress).await?;
        let uploaded = reply.json::<WireFile>("uploaded file")?.into_file(self.profile());
        // The request succeeded, so the file may exist even if the response lacks its id.
        uploaded.map_err(|error| error.with_status(reply.status))
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        let request = Request::delete(self.connection.url(&["files", id.as_str()])?);
        let reply = self.connection.http.send(&request).await?;
        FORMAT.check_deleted(id, &reply)
    }

    async fn download(&self, id: &FileId, range: Option<Range>) -> Result<ContentStream> {
        if self.connection.setting("via") == Some("url") {
            let signed = self.signed_url(id, Some(1)).await?;
            let url = Url::parse(&signed.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let url = url.ok_or_else(|| Error::platform("mistral returned an invalid signed URL"))?;
            let request = Request::get(url).anonymous().bulk().range(range);
            return self.connection.http.content(&request).await.map_err(refused_by_storage);
        }
        let request = Request::get(self.connection.url(&["files", id.as_str(), "content"])?);
        self.connection.http.content(&request.range(range).bulk()).await
    }

    async fn link(&self, id: &FileId, lifetime: Option<SignedDuration>) -> Result<Link> {
        let given = lifetime.map(|lifetime| hours(lifetime, "a link")).transpose()?;
        let now = self.connection.clock.now();
        let signed = self.signed_url(id, given).await?;
        Ok(signed.into_link(now, lifetime.unwrap_or(LINK_LIFETIME)))
    }
}

impl Mistral {
    async fn signed_url(&self, id: &FileId, hours: Option<i64>) -> Result<SignedUrl> {
        let url = self.connection.url(&["files", id.as_str(), "url"])?;
        let request = Request::get(url).maybe_query("expiry", hours);
        self.connection.http.json(&request, "signed URL").await
    }
}

/// A lifetime in hours. The platform has no smaller unit, and rounding would change when the file or link expires.
fn hours(lifetime: SignedDuration, what: &str) -> Result<i64> {
    let hours = lifetime.as_hours();
    if lifetime == SignedDuration::from_hours(hours) {
        return Ok(hours);
    }
    let message = format!("mistral accepts only whole hours for {what}, not {lifetime:#}");
    Err(Error::new(Kind::Unsupported, message).hint(format!("`--expires {}h`", hours.saturating_add(1))))
}

/// Converts a rejection by the storage host. The problem is the URL, not the token, which that host never receives.
fn refused_by_storage(error: Error) -> Error {
    match error.status() {
        Some(status @ (401 | 403)) => {
            Error::platform("mistral's storage rejected the signed URL").caused_by(error).with_status(status)
        }
        _ => error,
    }
}

/// The parameter with the longest text that occurs in every matching name.
fn search(comparison: &Comparison) -> Option<Parameter> {
    let Value::Text(text) = &comparison.value else { return None };
    let pieces: Vec<&str> = match comparison.op {
        // Brackets and escapes have a special meaning in patterns.
        Is::Glob if text.contains(['[', ']', '\\', '{', '}']) => return None,
        Is::Glob => text.split(['*', '?']).collect(),
        // A star at the start or end is a wildcard.
        Is::Has => vec![text.trim_matches('*')],
        _ => vec![text],
    };
    let piece = pieces.into_iter().max_by_key(|piece| piece.len())?;
    // It is not documented whether leading and trailing spaces are kept, nor how a backslash is interpreted.
    let is_clean =
        !piece.is_empty() && piece == piece.trim() && !piece.contains(|c: char| c.is_control() || c == '\\');
    is_clean.then(|| ("search", piece.to_owned()))
}

/// The parameter for a known purpose. The platform may reject other purposes.
fn purpose(comparison: &Comparison) -> Option<Parameter> {
    let purpose = text_of(comparison).filter(|word| FILTERED.contains(&word.as_str()))?;
    Some(("purpose", purpose))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> (Vec<Parameter>, bool) {
        let filter = Filter::parse_with(text, jiff::Timestamp::UNIX_EPOCH, &SPEC.filter_fields()).unwrap();
        let pushed = Pushed::of(Some(&filter), CAN.list.native, None);
        (pushed.parameters.clone(), pushed.decided.len() == filter.conditions().len())
    }

    /// A filter, the expected parameters, and whether the platform decides all of it.
    type Case = (&'static str, &'static [(&'static str, &'static str)], bool);

    #[test]
    fn a_filter_is_sent_if_it_cannot_lose_a_file() {
        let cases: &[Case] = &[
            ("name:report", &[("search", "report")], false),
            ("name:report*", &[("search", "report")], false),
            ("name = report.pdf", &[("search", "report.pdf")], false),
            ("name = 'a*b'", &[("search", "a*b")], false),
            ("name != report.pdf", &[], false),
            ("name = ' a'", &[], false),
            ("purpose = batch", &[("purpose", "batch")], true),
            ("purpose = other", &[], false),
            ("purpose != batch", &[], false),
            ("purpose = batch OR purpose = ocr", &[], false),
            ("source = upload", &[("source", "upload")], true),
            ("extra.source = upload", &[("source", "upload")], true),
            ("source = upload OR source = mistral", &[("source", "upload"), ("source", "mistral")], true),
            ("source = upload OR source = other", &[], false),
            ("sample_type = instruct AND size > 1", &[("sample_type", "instruct")], false),
            ("sample_type = other", &[], false),
            ("content_type = application/pdf", &[("mimetypes", "application/pdf")], false),
            ("content_type:pdf", &[], false),
        ];
        for (text, parameters, whole) in cases {
            let parameters: Vec<Parameter> =
                parameters.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
            assert_eq!(sent(text), (parameters, *whole), "{text}");
        }
    }

    #[test]
    fn the_longest_piece_of_a_pattern_is_searched_for() {
        let part = |glob: &str| {
            let filter = Filter::glob(glob).unwrap();
            Pushed::of(Some(&filter), CAN.list.native, None).parameter("search").map(str::to_owned)
        };
        assert_eq!(part("report-*.p?f").as_deref(), Some("report-"));
        assert_eq!(part("*.jsonl").as_deref(), Some(".jsonl"));
        assert_eq!(part(r"a\*b").as_deref(), Some("a*b"), "no wildcard");
        for none in ["*", "??", "[ab]c*", "* *"] {
            assert_eq!(part(none), None, "{none}");
        }
    }

    #[test]
    fn a_lifetime_is_a_whole_number_of_hours() {
        assert_eq!(hours(SignedDuration::from_hours(48), "a file").unwrap(), 48);
        let error = hours(SignedDuration::from_mins(90), "a link").unwrap_err();
        assert_eq!(error.message(), "mistral accepts only whole hours for a link, not 1h 30m");
        assert_eq!((error.kind(), error.hints()), (Kind::Unsupported, &["`--expires 2h`".to_owned()][..]));
    }
}
