//! Files: listing, info, titles, deletion, and pages of lists.
//!
//! Deleting a file removes it and its content from the store but keeps its record as a note, because the API still
//! returns it by id. A file whose presigned upload is not complete is in the store with the status `pending` and is
//! hidden.

use axum::Json;
use axum::body::Body;
use serde_json::{Value, json};

use super::request::{self, Answer, Call, Dialect, Problem};
use crate::emulator::{Params, Space};
use crate::error::{Kind, Result as StoreResult};
use crate::filter::{Expr, Filter, Op};
use crate::model::{File, FileId, Object};
use crate::store::Listing;

pub(super) const ACTIVE: &str = "active";
pub(super) const PENDING: &str = "pending";
/// The kind of notes about links, keyed by link id. The field `file` contains the id of the file.
pub(super) const LINK: &str = "link";
/// The kind of notes about deleted files, keyed by file id.
pub(super) const DELETED_FILE: &str = "deleted-file";
/// The key in [`File::extra`] for a file's title.
pub(super) const TITLE: &str = "title";

/// Page sizes: default and maximum.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;
/// The digits used in cursors.
const BASE62: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A file's object. The response to an upload has the same format in pulsar and magnetar.
pub(super) fn file_object(dialect: Dialect, file: &File, is_new: bool) -> Value {
    let created_at = file.created_at.map(|time| format!("{time:.3}"));
    if dialect == Dialect::Seed {
        return json!({
            "id": file.id,
            "purpose": file.purpose,
            "name": file.name,
            "size": file.size,
            "mime_type": file.content_type,
            "created_at": created_at,
        });
    }
    let is_short = dialect == Dialect::Magnetar && !is_new;
    let mut object = json!({
        "object": "file",
        "id": file.id,
        "status": file.status,
        "file_name": file.name,
        "file_size": file.size,
        "file_type": file.content_type,
        "title": file.extra.get(TITLE),
        "purpose": if is_short { json!(file.purpose) } else { purpose_object(file) },
    });
    if is_short {
        object["created_by"] = Value::Null;
    }
    object["created_at"] = json!(created_at);
    object["updated_at"] = json!(file.updated_at.map(|time| format!("{time:.3}")));
    object
}

/// A purpose with its display name. The service's names are unknown; here, `user_image` becomes "User image".
pub(super) fn purpose_object(file: &File) -> Value {
    let mut name = file.purpose.as_deref().unwrap_or_default().replace('_', " ");
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    json!({ "name": name, "identifier": file.purpose })
}

pub(super) async fn list(call: Call) -> Answer {
    call.need_instance()?;
    let page = Page::parse(&call.params)?;
    let filter = filter(call.dialect, &call.params)?;
    let links = if call.dialect == Dialect::Magnetar { call.params.all("file_link_id") } else { Vec::new() };
    let links: Vec<_> = links.into_iter().map(str::to_owned).collect();
    let read = move |store: &Space| {
        let mut filter = filter;
        if !links.is_empty() {
            let mut files = Vec::new();
            for link in &links {
                let note = store.noted(LINK, link)?;
                files.extend(note.and_then(|note| Some(note.get("file")?.as_str()?.to_owned())));
            }
            filter = filter.and(any_of("id", files.iter().map(String::as_str)));
        }
        page.read(|after, descending, limit| {
            if let Some(id) = after {
                let filter = Some(filter.clone().and(Filter::id_is(id)));
                if store.list(&Listing { filter, limit: 1, ..Listing::default() })?.is_empty() {
                    return Ok(None);
                }
            }
            let after = after.map(FileId::from);
            let listing = Listing { filter: Some(filter), descending, after, limit, ..Listing::default() };
            store.list(&listing).map(Some)
        })
    };
    let (files, has_more) = call.store(read).await?;
    let items = files.iter().map(|file| file_object(call.dialect, file, false)).collect();
    Ok(list_object(call.dialect, items, has_more))
}

/// The filter for a query. Pulsar validates the purpose but ignores it; each dialect ignores the parameters of the
/// others.
fn filter(dialect: Dialect, params: &Params) -> Result<Filter, Problem> {
    let purposes = params.all("purpose");
    let known = dialect.purposes();
    if let Some(unknown) = purposes.iter().find(|purpose| !known.contains(purpose)) {
        return Err(Problem::invalid_enum("purpose", known, unknown));
    }
    let mut filter = Filter::equals("status", ACTIVE);
    if dialect == Dialect::Pulsar {
        return Ok(filter);
    }
    let mut lists = vec![("purpose", purposes), ("id", params.all("id"))];
    let mut times = vec!["created_at"];
    if dialect == Dialect::Magnetar {
        lists.push(("extra.store_id", params.all("store_id")));
        // Documents belong to a different API, so no file here has one.
        lists.push(("extra.document_id", params.all("document_id")));
        times.push("updated_at");
    }
    for (field, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        filter = filter.and(any_of(field, values));
    }
    for field in times {
        for (key, op) in [("gt", Op::Gt), ("lt", Op::Lt)] {
            let Some(text) = params.nested(field, key) else { continue };
            let invalid = || Problem::invalid_type("query", &format!("{field}[{key}]"), "date", "string");
            filter = filter.and(Filter::time(field, op, request::parse_date(text).ok_or_else(invalid)?));
        }
    }
    Ok(filter)
}

/// Selects files whose field has one of these values.
fn any_of<'a>(field: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter { expr: Expr::any(values.into_iter().map(|value| Filter::equals(field, value).expr).collect()) }
}

pub(super) async fn get(call: Call) -> Answer {
    call.need_instance()?;
    let file = find(&call, call.id("file").unwrap_or_default()).await?;
    Ok(Json(file_object(call.dialect, &file, false)))
}

pub(super) async fn update(call: Call, body: Body) -> Answer {
    if call.dialect == Dialect::Magnetar {
        return Err(Problem::endpoint());
    }
    call.need_instance()?;
    let title = request::text(&call.read(body).await?, "title")?;
    let file = find_active(&call, call.id("file").unwrap_or_default()).await?;
    let Some(title) = title else { return Ok(Json(file_object(call.dialect, &file, false))) };
    let (id, now) = (file.id, call.site.clock.now());
    let change = move |store: &Space| {
        found(store.annotate(&id, |file| {
            file.extra.insert(TITLE.to_owned(), title.into());
            file.updated_at = Some(now);
            Ok(())
        }))
    };
    let file = call.store(change).await?.ok_or_else(Problem::deleted)?;
    Ok(Json(file_object(call.dialect, &file, false)))
}

pub(super) async fn delete(call: Call) -> Answer {
    call.need_instance()?;
    let (id, now) =
        (find_active(&call, call.id("file").unwrap_or_default()).await?.id, call.site.clock.now());
    if call.dialect == Dialect::Pulsar {
        return Err(Problem::bad_request("files cannot be deleted"));
    }
    let delete = move |store: &Space| {
        found(store.freeing(|change| {
            let before = change.delete(&id)?;
            let file = File { status: Some("deleted".to_owned()), updated_at: Some(now), ..before };
            let note = json!(file).as_object().cloned().unwrap_or_default();
            change.note(DELETED_FILE, id.as_str(), None, &note)?;
            Ok(file)
        }))
    };
    // A concurrent request may have deleted the file.
    let file = call.store(delete).await?.ok_or_else(Problem::deleted)?;
    Ok(Json(file_object(call.dialect, &file, false)))
}

/// Converts the store's `NotFound` error to `None`.
pub(super) fn found<T>(result: StoreResult<T>) -> StoreResult<Option<T>> {
    match result {
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// The file as the API returns it: a stored file, or the record of a deleted one. A pending file is not returned.
pub(super) fn visible(
    stored: StoreResult<File>,
    deleted: impl FnOnce() -> StoreResult<Option<Object>>,
) -> StoreResult<Option<File>> {
    match found(stored)? {
        Some(file) => Ok(Some(file).filter(|file| file.status.as_deref() != Some(PENDING))),
        None => Ok(deleted()?.and_then(|note| serde_json::from_value(note.into()).ok())),
    }
}

/// The file with this id. The seed dialect, which has no status, does not return deleted files.
pub(super) async fn find(call: &Call, id: &str) -> Result<File, Problem> {
    let wanted = FileId::from(id);
    let find =
        move |store: &Space| visible(store.stat(&wanted), || store.noted(DELETED_FILE, wanted.as_str()));
    let file = call.store(find).await?;
    let is_shown = |file: &File| call.dialect != Dialect::Seed || file.status.as_deref() == Some(ACTIVE);
    file.filter(is_shown).ok_or_else(|| Problem::not_found("file", id))
}

/// The file with this id, unless it has been deleted.
pub(super) async fn find_active(call: &Call, id: &str) -> Result<File, Problem> {
    let file = find(call, id).await?;
    if file.status.as_deref() == Some(ACTIVE) { Ok(file) } else { Err(Problem::deleted()) }
}

/// A page of a list.
pub(super) fn list_object(
    dialect: Dialect,
    items: Vec<Value>,
    (has_more_before, has_more_after): (bool, bool),
) -> Json<Value> {
    Json(Value::Object(Object::from_iter([
        (dialect.kind_key().to_owned(), "list".into()),
        ("items".to_owned(), items.into()),
        (
            "pagination".to_owned(),
            json!({ "has_more_after": has_more_after, "has_more_before": has_more_before }),
        ),
    ])))
}

/// A requested page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    limit: usize,
    descending: bool,
    anchor: Option<Anchor>,
}

/// The item that a page follows or, when paging backward, precedes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    id: String,
    backwards: bool,
}

impl Page {
    pub(super) fn parse(params: &Params) -> Result<Self, Problem> {
        let limit = params.get("limit").map_or(Ok(PAGE), parse_limit)?;
        let descending = match params.get("order") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(Problem::invalid_enum("order", &["asc", "desc"], other)),
        };
        let anchor = Anchor::parse(params).map_err(|()| Problem::bad_request("invalid cursor"))?;
        Ok(Self { limit, descending, anchor })
    }

    /// Parses without validation: limits are clamped, and other invalid values are ignored.
    pub(super) fn parse_unchecked(params: &Params) -> Self {
        let limit = params.get("limit").and_then(whole_number);
        Self {
            limit: limit.unwrap_or(PAGE).clamp(1, MAX_PAGE),
            descending: params.get("order") == Some("desc"),
            anchor: Anchor::parse(params).unwrap_or_default(),
        }
    }

    /// Reads the items of the page, and whether more items precede and follow it. `read` receives the id to start
    /// after, the order and a limit. It returns `None` if the list does not contain the id, in which case the page is
    /// empty.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(Option<&str>, bool, usize) -> StoreResult<Option<Vec<T>>>,
    ) -> StoreResult<(Vec<T>, (bool, bool))> {
        let after = self.anchor.as_ref().map(|anchor| anchor.id.as_str());
        let backwards = self.anchor.as_ref().is_some_and(|anchor| anchor.backwards);
        let Some(mut items) = read(after, self.descending != backwards, self.limit + 1)? else {
            return Ok((Vec::new(), (false, false)));
        };
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        if backwards {
            items.reverse();
            return Ok((items, (more, true)));
        }
        Ok((items, (after.is_some(), more)))
    }
}

impl Anchor {
    /// Parses the anchor. `after` takes precedence over `before`, and both take precedence over `cursor`.
    fn parse(params: &Params) -> Result<Option<Self>, ()> {
        let anchor = |name, backwards| Some(Self { id: params.get(name)?.to_owned(), backwards });
        match anchor("after", false).or_else(|| anchor("before", true)) {
            Some(anchor) => Ok(Some(anchor)),
            None => params.get("cursor").map(|cursor| Self::decode(cursor).ok_or(())).transpose(),
        }
    }

    /// Decodes a cursor: `cur_` followed by the base62 encoding of `["after", ID]` or `["before", ID]`.
    fn decode(cursor: &str) -> Option<Self> {
        let json = decode_base62(cursor.strip_prefix("cur_")?)?;
        let (direction, id) = serde_json::from_slice::<(String, String)>(&json).ok()?;
        let backwards = direction == "before";
        (backwards || direction == "after").then_some(Self { id, backwards })
    }
}

/// Parses a number without a fraction.
fn whole_number(text: &str) -> Option<usize> {
    let number = text.trim().parse::<f64>().ok().filter(|number| number.fract() == 0.0)?;
    format!("{number:.0}").parse().ok()
}

fn parse_limit(text: &str) -> Result<usize, Problem> {
    let Some(number) = text.trim().parse::<f64>().ok().filter(|number| !number.is_nan()) else {
        return Err(Problem::invalid_type("query", "limit", "number", "string"));
    };
    let out_of_range = |code: &str, key: &str, bound: usize| {
        let message = format!("limit must be between 1 and {MAX_PAGE}");
        Problem::invalid("query", json!({ "code": code, "message": message, "path": ["limit"], key: bound }))
    };
    if number < 1.0 {
        return Err(out_of_range("invalid_min", "min", 1));
    }
    if number > 100.0 {
        return Err(out_of_range("invalid_max", "max", MAX_PAGE));
    }
    // The service's database fails on a fraction. The official Python client sends whole numbers as `5.0`.
    whole_number(text).ok_or_else(Problem::internal)
}

/// Decodes a base62 number, most significant digit first, to bytes. Each leading `0` digit stands for a zero byte.
fn decode_base62(text: &str) -> Option<Vec<u8>> {
    if text.len() > 500 {
        return None;
    }
    let zeros = text.bytes().take_while(|digit| *digit == b'0').count();
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.chars() {
        let mut carry = BASE62.find(digit)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 62;
            *byte = u8::try_from(carry % 256).ok()?;
            carry /= 256;
        }
        while carry > 0 {
            bytes.push(u8::try_from(carry % 256).ok()?);
            carry /= 256;
        }
    }
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::property::holds;

    fn anchor(id: &str, backwards: bool) -> Anchor {
        Anchor { id: id.to_owned(), backwards }
    }

    /// Encodes bytes as a base62 number by long division.
    fn base62(bytes: &[u8]) -> String {
        let mut digits = Vec::new();
        let mut number = bytes.to_vec();
        while number.iter().any(|byte| *byte > 0) {
            let mut rest = 0;
            for byte in &mut number {
                let value = rest * 256 + usize::from(*byte);
                *byte = u8::try_from(value / 62).unwrap();
                rest = value % 62;
            }
            digits.push(char::from(BASE62.as_bytes()[rest]));
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        "0".repeat(zeros) + &digits.iter().rev().collect::<String>()
    }

    fn page(query: &str) -> Page {
        Page::parse(&Params::parse(query)).expect("a page")
    }

    #[test]
    fn after_wins_over_before_and_both_over_a_cursor() {
        assert_eq!(page("before=b&after=a&cursor=x").anchor, Some(anchor("a", false)));
        assert_eq!(page("before=b&cursor=x").anchor, Some(anchor("b", true)));
        assert_eq!(page(""), Page { limit: 20, descending: false, anchor: None });
        assert_eq!((page("limit=5.0").limit, page("limit=5").limit), (5, 5));
        assert!(Page::parse(&Params::parse("limit=5.5")).is_err());
    }

    #[test]
    fn a_cursor_is_an_after_or_before_in_base_62() {
        let encode = |text: &str| format!("cur_{}", base62(text.as_bytes()));
        let cursor = encode(r#"["before","fil_0mabc12defGHIJKLMNOPQR"]"#);
        assert_eq!(
            page(&format!("cursor={cursor}")).anchor,
            Some(anchor("fil_0mabc12defGHIJKLMNOPQR", true))
        );
        for wrong in ["x", "cur_", "cur_!", &encode("[1]"), &encode(r#"["around","a"]"#)] {
            let params = Params::parse(&format!("cursor={wrong}"));
            assert!(Page::parse(&params).is_err(), "{wrong}");
            assert_eq!(Page::parse_unchecked(&params).anchor, None);
        }
    }

    #[test]
    fn properties_a_cursor_decodes_to_its_anchor_or_fails() {
        let inputs =
            ("\\PC{0,20}", any::<bool>(), "(cur_)?[0-9a-zA-Z]{0,40}", any::<String>(), any::<Vec<u8>>());
        holds(
            "cursor of metorial: decodes to its anchor or fails",
            inputs,
            |(id, backwards, soup, any, bytes)| {
                let bytes: Vec<u8> = bytes.into_iter().take(300).collect();
                prop_assert_eq!(decode_base62(&base62(&bytes)), Some(bytes));
                let direction = if backwards { "before" } else { "after" };
                let cursor = format!("cur_{}", base62(json!([direction, id]).to_string().as_bytes()));
                prop_assert_eq!(Anchor::decode(&cursor), Some(anchor(&id, backwards)));
                Anchor::decode(&soup);
                Anchor::decode(&any);
                Anchor::decode(&format!("cur_{any}"));
                Ok(())
            },
        );
    }
}
