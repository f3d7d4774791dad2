//! `/v1/files`: uploading, listing with filters, info, content and deletion.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::record::{self, COMPLETE, Dialect, PUBLIC_URL_EXPIRES_AT, Record as _, Refusal, check_team};
use crate::emulator::openai::{self, Page};
use crate::emulator::{Content, Form, Head, Limits, Params, Sending, Site, Take, receive};
use crate::error::Kind;
use crate::filter::{Comparison, Equality, Filter, Op, Precision, Value as Compared};
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey};

/// Maximum size of a file, in bytes.
const LIMIT: u64 = 52_428_800;
/// Maximum size of a form without its file, in bytes.
const FORM_OVERHEAD: u64 = 2 * 1024 * 1024;
/// Number of files per page, both default and maximum.
const MAX_PAGE: usize = 100;

/// Maximum size of a file, in bytes.
pub(super) fn max_size(site: &Site) -> u64 {
    site.quirk_number("upload-limit").unwrap_or(LIMIT)
}

/// The limits for a form and its file.
pub(super) fn limits(site: &Site) -> Limits {
    let limit = max_size(site);
    Limits { file: Some(limit), body: Some(limit.saturating_add(FORM_OVERHEAD)) }
}

/// `POST /v1/files`: a form. Fields after the file are ignored or, for `expires_after`, rejected, because the service
/// forwards the file as a stream.
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    params: Params,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let decide = |before: &Form, head: &Head| decide(&site, before, head);
    let mut form = receive(&site, &headers, body, limits(&site), decide).await?;
    let Some(upload) = form.take_files().pop() else {
        return Err(Refusal::invalid("The file part is missing"));
    };
    let name = upload.head.file_name.as_deref().unwrap_or_default();
    let mut file = record::new(&site, name, upload.head.content_type.as_deref(), lifetime(&form)?);
    file.purpose = form.text("purpose").map(str::to_owned);
    record::complete(&mut file);
    let file = site.blocking(move |store| store.put(file, upload.blob)).await?;
    Ok(Json(Dialect::of(&site, &params).show(&site, &headers, &file)).into_response())
}

/// Checks the fields that precede the file when the file starts.
fn decide(site: &Site, before: &Form, head: &Head) -> Result<Take, Refusal> {
    match (head.name.as_str(), &head.file_name) {
        ("file", _) if before.has_file() => Err(Refusal::invalid("Only one file can be uploaded at a time")),
        ("file", None) => Err(Refusal::invalid("The file part has no filename")),
        ("file", Some(name)) => {
            record::check_name(name)?;
            check_team(site, before.text("team_id"))?;
            lifetime(before)?;
            Ok(Take::File)
        }
        (name, _) if before.has_file() => {
            if name.starts_with("expires_after") {
                return Err(Refusal::invalid("expires_after must come before the file"));
            }
            Ok(Take::Nothing)
        }
        ("purpose" | "team_id" | "expires_after" | "expires_after[anchor]" | "expires_after[seconds]", _) => {
            Ok(Take::Text)
        }
        _ => Ok(Take::Nothing),
    }
}

/// The lifetime in seconds, from `expires_after` or from OpenAI's pair of fields.
fn lifetime(form: &Form) -> Result<Option<i64>, Refusal> {
    let seconds = match form.text("expires_after") {
        Some(text) => {
            text.trim().parse().map(Some).map_err(|_| "expires_after must be an integer".to_owned())
        }
        None => openai::expires_after(form),
    };
    seconds.map_err(Refusal::invalid)?.map(record::check_lifetime).transpose()
}

pub(super) async fn info(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let file = record::stat(&site, &FileId(id)).await?;
    Ok(Json(Dialect::of(&site, &params).show(&site, &headers, &file)).into_response())
}

pub(super) async fn delete(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let file = FileId(id.clone());
    site.blocking(move |store| store.delete(&file)).await.map_err(Refusal::about(&id))?;
    Ok(match Dialect::of(&site, &params) {
        Dialect::OpenAi => Json(json!({ "id": id, "deleted": true, "object": "file" })),
        Dialect::Gateway => Json(json!({})),
    }
    .into_response())
}

/// A format of content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Original,
    Text,
}

impl Format {
    pub(super) fn parse(word: Option<&str>) -> Result<Self, Refusal> {
        let word = word.unwrap_or_default().to_ascii_lowercase();
        match word.strip_prefix("download_format_").unwrap_or(&word) {
            "" | "original" | "unknown" => Ok(Self::Original),
            "text" => Ok(Self::Text),
            _ => Err(Refusal::invalid("format must be `original` or `text`")),
        }
    }

    /// Rejects incomplete files, and rejects the `text` format for a file that is not plain text. In the emulator, the
    /// text has a single page.
    pub(super) fn check(self, file: &File, page: Option<&str>) -> Result<(), Refusal> {
        if file.status.as_deref() != Some(COMPLETE) {
            return Err(Refusal::state(format!("File {} has not been uploaded", file.id)));
        }
        if self == Self::Original {
            return Ok(());
        }
        let kind = file.content_type.as_deref().unwrap_or_default();
        if !kind.starts_with("text/") && !kind.starts_with("application/json") {
            return Err(Refusal::invalid(format!("Text cannot be extracted from {kind}")));
        }
        match page.map(str::parse::<u32>) {
            None | Some(Ok(1)) => Ok(()),
            Some(_) => Err(Refusal::invalid("page_number is out of range")),
        }
    }
}

pub(super) async fn download(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let format = Format::parse(params.get("format"))?;
    let content = Content::open(&site, &FileId(id.clone())).await.map_err(Refusal::about(&id))?;
    format.check(&content.file, params.get("page_number"))?;
    // The service sends neither a length nor an ETag. Resuming a download with ranges requires both.
    let ranges = site.quirk("ranges");
    let etag = content.file.checksums.blake3.clone().filter(|_| ranges);
    Ok(content.send(&headers, Sending { ranges, length: ranges, etag, ..Sending::default() }))
}

/// `GET /v1/files`: pages in either dialect.
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let dialect = Dialect::of(&site, &params);
    let limit = limit(&params)?;
    let ends = site.quirk_value("final-token") == Some("absent");
    let filter = params.get("filter").map(|text| parse_filter(text, site.clock.now())).transpose()?;
    let listing = Listing {
        filter: filter.as_ref().and_then(native_part),
        sort: sort(&params)?,
        descending: descending(&params)?,
        after: cursor(&params).map(FileId::from),
        ..Listing::default()
    };
    let selection = Selection {
        filter: filter.unwrap_or_default(),
        prefix: params.get("prefix").unwrap_or_default().to_owned(),
        only_complete: dialect == Dialect::OpenAi,
        root: site.root(&headers),
        now: site.clock.now(),
    };
    let accept = move |file: &File| selection.accepts(file);
    let page = site.blocking(move |store| Page::read(store, listing, limit, accept)).await;
    let page = page.map_err(|error| match error.kind() {
        Kind::NotFound => Refusal::invalid("Invalid pagination token"),
        _ => error.into(),
    })?;
    let token = page.files.last().map(|file| file.id.clone()).filter(|_| page.has_more || !ends);
    let files: Vec<Value> = page.files.iter().map(|file| dialect.show(&site, &headers, file)).collect();
    let mut page = match dialect {
        Dialect::OpenAi => json!({ "data": files, "pagination_token": token }),
        Dialect::Gateway => json!({ "files": files, "next_token": token }),
    };
    // An unset token is absent over gRPC and in responses from the gateway.
    if token.is_none()
        && (ends || dialect == Dialect::Gateway)
        && let Some(page) = page.as_object_mut()
    {
        page.retain(|_, value| !value.is_null());
    }
    Ok(Json(page).into_response())
}

/// The page size. A number that is out of range selects the maximum; other text is rejected by the web framework.
fn limit(params: &Params) -> Result<usize, Refusal> {
    let Some(text) = params.get("limit") else { return Ok(MAX_PAGE) };
    let limit: i32 = text.parse().map_err(|error| {
        let message = format!("Failed to deserialize query string: limit: {error}");
        Refusal::plain(StatusCode::BAD_REQUEST, message)
    })?;
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(MAX_PAGE).min(MAX_PAGE))
}

/// The id of the last file on the previous page.
fn cursor(params: &Params) -> Option<&str> {
    let names = ["pagination_token", "next_token", "after"];
    names.iter().find_map(|name| params.get(name).filter(|token| !token.is_empty()))
}

fn descending(params: &Params) -> Result<bool, Refusal> {
    let word = params.get("order").unwrap_or_default().to_ascii_lowercase();
    match word.strip_prefix("ordering_").unwrap_or(&word) {
        "" | "desc" | "descending" => Ok(true),
        "asc" | "ascending" => Ok(false),
        _ => Err(Refusal::invalid("order must be `asc` or `desc`")),
    }
}

fn sort(params: &Params) -> Result<SortKey, Refusal> {
    let word = params.get("sort_by").unwrap_or_default().to_ascii_lowercase();
    match word.strip_prefix("files_sort_by_").unwrap_or(&word) {
        "" | "created_at" => Ok(SortKey::Created),
        "filename" | "name" => Ok(SortKey::Name),
        "size" | "size_bytes" => Ok(SortKey::Size),
        _ => Err(Refusal::invalid("sort_by must be `created_at`, `filename` or `size`")),
    }
}

/// The files selected for a list.
struct Selection {
    filter: Filter,
    prefix: String,
    only_complete: bool,
    root: String,
    now: Timestamp,
}

impl Selection {
    fn accepts(&self, file: &File) -> bool {
        if !file.name.starts_with(&self.prefix)
            || (self.only_complete && file.status.as_deref() != Some(COMPLETE))
        {
            return false;
        }
        if self.filter.is_empty() {
            return true;
        }
        // An expired public URL counts as unset.
        let mut shown = file.clone();
        shown.url = file.public_url(&self.root, self.now).map(|(url, _)| url);
        if shown.url.is_none() {
            shown.extra.remove(PUBLIC_URL_EXPIRES_AT);
        }
        shown.extra.extend(shown.status.take().map(|word| (UPLOAD_STATUS.to_owned(), word.into())));
        self.filter.matches_as(&shown, Equality::Wildcards)
    }
}

/// Fields that the shared grammar supports only for this platform.
const OWN_FIELDS: [&str; 3] = ["user_defined_id", UPLOAD_STATUS, "public_url_expires_at"];
/// The name that the shared grammar uses for the stored status.
const UPLOAD_STATUS: &str = "upload_status";

/// The kind of values that a field takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Integer,
    Time,
}

/// The documented fields.
const FIELDS: [(&str, Takes); 11] = [
    ("name", Takes::Text),
    ("file_name", Takes::Text),
    ("file_id", Takes::Text),
    ("user_defined_id", Takes::Text),
    ("content_type", Takes::Text),
    (UPLOAD_STATUS, Takes::Text),
    ("public_url", Takes::Text),
    ("size_bytes", Takes::Integer),
    ("created_at", Takes::Time),
    ("expires_at", Takes::Time),
    ("public_url_expires_at", Takes::Time),
];

/// Parses a filter. The grammar and meaning are those of `crate::filter`, but only the documented fields and values
/// are accepted: haul's additions (`~`, `10MB`, `-7d`) are rejected.
fn parse_filter(text: &str, now: Timestamp) -> Result<Filter, Refusal> {
    let invalid = |what: &str| Refusal::invalid(format!("Invalid filter: {what}"));
    let filter = Filter::parse_aip160(text, now, &OWN_FIELDS).map_err(|error| invalid(error.message()))?;
    for restriction in restrictions(text) {
        let Restriction { field, operator, value } = restriction;
        let Some((_, takes)) = FIELDS.iter().find(|(name, _)| *name == field) else {
            return Err(invalid(&format!("unknown field `{field}`")));
        };
        let fits = match takes {
            Takes::Text => true,
            _ if matches!(value, "null" | "*") => true,
            Takes::Integer => value.parse::<i64>().is_ok(),
            Takes::Time => value.parse::<Timestamp>().is_ok(),
        };
        if !fits {
            return Err(invalid(&format!("`{value}` cannot be compared with `{field}`")));
        }
        if operator.contains('~') {
            return Err(invalid("unknown operator `~`"));
        }
    }
    Ok(filter)
}

/// The part of a filter that the store can evaluate. It accepts every file that the filter accepts.
fn native_part(filter: &Filter) -> Option<Filter> {
    filter.native(|Comparison { field, op, value }| {
        let decides = match (field.as_str(), op, value) {
            // Here, a `*` in a name is a wildcard.
            ("name", Op::Eq, Compared::Text(name)) => !name.contains('*'),
            ("id", Op::Eq, _) | ("created_at", Op::Lt | Op::Le | Op::Gt | Op::Ge, _) => true,
            _ => false,
        };
        decides.then_some(Precision::Exact)
    })
}

/// A comparison as written, with its value unquoted.
#[derive(Debug, PartialEq, Eq)]
struct Restriction<'a> {
    field: &'a str,
    operator: &'a str,
    value: &'a str,
}

/// The comparisons in a valid filter.
fn restrictions(text: &str) -> Vec<Restriction<'_>> {
    let is_operator = |c: char| "=!<>:~".contains(c);
    let is_end = |c: char| c.is_whitespace() || "(),\"'".contains(c);
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "(),-".contains(c));
        if rest.is_empty() {
            return found;
        }
        let (field, after) = split(rest, |c| is_end(c) || is_operator(c));
        let (operator, after) = split(after.trim_start(), |c| !is_operator(c));
        if operator.is_empty() {
            if field.is_empty() {
                // Part of the field name is quoted, and no field has such a name.
                found.push(Restriction { field: rest, operator, value: "" });
                return found;
            }
            rest = after; // AND, OR, NOT
            continue;
        }
        let after = after.trim_start().trim_start_matches(is_operator).trim_start();
        let value;
        (value, rest) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(after, quote),
            _ => split(after, is_end),
        };
        found.push(Restriction { field, operator, value });
    }
}

/// Splits a string at the first character for which `end` is true.
fn split(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// The quoted text at the start, and the rest of the text.
fn quoted(text: &str, quote: char) -> (&str, &str) {
    let inside = &text[1..];
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return (&inside[..at], &inside[at + 1..]),
            _ => {}
        }
    }
    (inside, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        parse_filter(text, Timestamp::UNIX_EPOCH).is_err()
    }

    #[test]
    fn the_documented_filters_are_known() {
        let known = [
            "",
            "name:\"report\"",
            "name:prefix*",
            "file_id = \"file_123\"",
            "size_bytes > 1000 AND upload_status = \"Complete\"",
            "size_bytes:>5000000 upload_status:!Failed",
            "content_type:application/pdf OR content_type = 'a \\' b:~x'",
            "created_at > \"2024-01-01T00:00:00Z\"",
            "NOT (expires_at < 2026-01-01T00:00:00+02:00 OR expires_at:*)",
            "-public_url != null AND (public_url_expires_at = null)",
            "user_defined_id = \"mine\"",
            "name = \"~10MB\"",
        ];
        for text in known {
            assert!(!refused(text), "{text}");
        }
    }

    #[test]
    fn additions_of_haul_are_refused() {
        let unknown = [
            "purpose = assistants",
            "id = file_1",
            "size > 5",
            "metadata.a = 1",
            "metadata.\"a b\" = 1",
            "checksums.sha256 = aa",
            "name ~ *.pdf",
            "size_bytes > 10MB",
            "size_bytes > 1.5",
            "created_at > -7d",
            "created_at > 2024-01-01",
            "name:a AND (size_bytes = 1 OR status = x)",
        ];
        for text in unknown {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn broken_filters_are_refused() {
        let broken = [
            "report",
            "name",
            "name:",
            "name = \"a",
            "(name:a",
            "name:a)",
            "AND",
            "name:a OR",
            "Name:a",
            "name > a",
            "content_type < a",
            "upload_status >= a",
            "size_bytes > x",
            "name < null",
        ];
        for text in broken {
            assert!(refused(text), "{text}");
        }
    }
}
