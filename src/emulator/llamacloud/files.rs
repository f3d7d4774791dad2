//! Files in both generations of the API: records, objects and lists.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::service::{Call, Service};
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::ids;
use crate::error::{Kind, Result as StoreResult};
use crate::filter::Filter;
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey, Transaction};

/// Maximum size of a file in bytes: the platform's limit of 512 MB.
pub(super) const MAX_SIZE: u64 = 512_000_000;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 3000;
/// Default of the `retention` quirk: the number of hours until a file expires, by purpose or storage type. Inferred:
/// the service keeps the source files of parse jobs for 48 hours and documents no other lifetimes.
const RETENTION: &str = "parse:48,ephemeral:48";

/// Keys in [`File::extra`]. All but the first are optional.
pub(super) const PROJECT: &str = "project_id";
pub(super) const EXTERNAL_ID: &str = "external_file_id";
pub(super) const MODIFIED: &str = "last_modified_at";
pub(super) const DATA_SOURCE: &str = "data_source_id";
pub(super) const RESOURCE: &str = "resource_info";
pub(super) const PERMISSION: &str = "permission_info";

/// The record for a new file in the request's project.
pub(super) fn new_file(call: &Call, name: &str, external_id: Option<&str>) -> File {
    let (now, id) = (call.service.site.clock.now(), ids::uuid());
    let mut file = File {
        id: FileId(if call.service.site.quirk("dfl-ids") { format!("dfl-{id}") } else { id }),
        name: name.to_owned(),
        created_at: Some(now),
        updated_at: Some(now),
        ..File::default()
    };
    file.extra.insert(PROJECT.to_owned(), call.project.clone().into());
    file.extra.insert(MODIFIED.to_owned(), format_time(now).into());
    if let Some(external_id) = external_id {
        file.extra.insert(EXTERNAL_ID.to_owned(), external_id.into());
    }
    file
}

/// The expiry for a new file with this purpose or storage type.
pub(super) fn expiry(service: &Service, word: &str) -> Option<Timestamp> {
    let rules = service.site.quirk_value("retention").unwrap_or(RETENTION);
    let hours = rules.split(',').find_map(|rule| {
        let (name, hours) = rule.split_once(':')?;
        name.trim().eq_ignore_ascii_case(word).then(|| hours.trim().parse().ok())?
    });
    service.site.clock.now().checked_add(SignedDuration::try_from_hours(hours?)?).ok()
}

/// Checks the length of a name.
pub(super) fn check_name(loc: &[&str], name: &str) -> Result<(), Problem> {
    match name.chars().count() {
        0 => Err(Problem::new(loc, "string_too_short", "String should have at least 1 character")),
        1..=MAX_NAME => Ok(()),
        _ => {
            let message = format!("String should have at most {MAX_NAME} characters");
            Err(Problem::new(loc, "string_too_long", message))
        }
    }
}

/// Adds a file with `put`. With the `unique-external-id` quirk, an `external_file_id` that already exists in the
/// project is rejected.
pub(super) async fn add<T: Send + 'static>(
    service: &Service,
    file: File,
    put: impl FnOnce(&mut Transaction, File) -> StoreResult<T> + Send + 'static,
) -> Result<T, Refusal> {
    let text = |key: &str| file.extra.get(key).and_then(Value::as_str);
    let external_id =
        text(EXTERNAL_ID).filter(|_| service.site.quirk("unique-external-id")).map(str::to_owned);
    let same = external_id.as_ref().map(|external_id| {
        let filter = in_project(text(PROJECT).unwrap_or_default());
        let filter = Some(filter.and(Filter::equals("extra.external_file_id", external_id)));
        Listing { filter, limit: 1, ..Listing::default() }
    });
    let added = service.site.blocking(move |store| {
        store.transaction(|change| match same {
            Some(same) if !change.list(&same)?.is_empty() => Ok(None),
            _ => put(change, file).map(Some),
        })
    });
    added.await?.ok_or_else(|| {
        let external_id = external_id.unwrap_or_default();
        let detail = format!("A file with external_file_id '{external_id}' already exists");
        Refusal::Detail(StatusCode::CONFLICT, detail)
    })
}

/// Selects the files in a project.
pub(super) fn in_project(project: &str) -> Filter {
    Filter::equals("extra.project_id", project)
}

/// Finds a file in the request's project. A file in another project counts as missing.
pub(super) async fn find(call: &Call, id: FileId) -> Result<File, Refusal> {
    let file = call.service.site.blocking(move |store| store.stat(&id)).await?;
    let is_own = file.extra.get(PROJECT).and_then(Value::as_str) == Some(&call.project);
    if is_own { Ok(file) } else { Err(Refusal::missing("File")) }
}

/// Deletes a file in the request's project.
pub(super) async fn delete(call: &Call, id: FileId) -> Result<StatusCode, Refusal> {
    let file = find(call, id).await?;
    call.service.site.blocking(move |store| store.delete(&file.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The short object of the beta API, with null for missing values. `full` adds the other keys of the legacy object.
pub(super) fn short_object(file: &File, download_url: Option<&Value>, full: bool) -> Value {
    let mut object = json!({
        "id": file.id,
        "name": file.name,
        "project_id": file.extra.get(PROJECT),
        "download_url": download_url,
        "expires_at": file.expires_at.map(format_time),
        "external_file_id": file.extra.get(EXTERNAL_ID),
        "file_type": file_type(&file.name),
        "last_modified_at": file.extra.get(MODIFIED),
        "purpose": file.purpose,
    });
    if full {
        object["created_at"] = json!(file.created_at.map(format_time));
        object["data_source_id"] = json!(file.extra.get(DATA_SOURCE));
        object["file_size"] = json!(file.size);
        object["permission_info"] = json!(file.extra.get(PERMISSION));
        object["resource_info"] = json!(file.extra.get(RESOURCE));
        object["updated_at"] = json!(file.updated_at.map(format_time));
    }
    object
}

/// The long object of the legacy API, with null for missing values.
pub(super) fn long_object(file: &File) -> Value {
    // The vendor's `openapi.json` requires this string. Inferred: it defaults to the name.
    let external_id = file.extra.get(EXTERNAL_ID).cloned().unwrap_or_else(|| json!(file.name));
    json!({
        "id": file.id,
        "created_at": file.created_at.map(format_time),
        "updated_at": file.updated_at.map(format_time),
        "name": file.name,
        "external_file_id": external_id,
        "file_size": file.size,
        "file_type": file_type(&file.name),
        "project_id": file.extra.get(PROJECT),
        "last_modified_at": file.extra.get(MODIFIED),
        "resource_info": file.extra.get(RESOURCE),
        "permission_info": file.extra.get(PERMISSION),
        "data_source_id": file.extra.get(DATA_SOURCE),
        "expires_at": file.expires_at.map(format_time),
        "purpose": file.purpose,
    })
}

/// Formats a time as the service does: with six fractional digits, or without any for whole seconds.
pub(super) fn format_time(time: Timestamp) -> String {
    if time.as_microsecond() % 1_000_000 == 0 { format!("{time:.0}") } else { format!("{time:.6}") }
}

/// The extension of a name, which the service calls the type.
fn file_type(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_type = !stem.is_empty() && !extension.is_empty() && !extension.contains(['/', '\\']);
    is_type.then(|| extension.to_lowercase())
}

/// The order of a list. The default is newest first, which is inferred because the service does not document it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    key: SortKey,
    descending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Self { key: SortKey::Created, descending: true }
    }
}

impl Order {
    /// Parses `name`, `id` (both ascending) or `created_at` (descending).
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text.filter(|text| !text.is_empty()) {
            None | Some("created_at") => Ok(Self::default()),
            Some("name") => Ok(Self { key: SortKey::Name, descending: false }),
            Some("id") => Ok(Self { key: SortKey::Id, descending: false }),
            Some(_) => Err(Problem::new(
                ["query", "order_by"],
                "value_error",
                "Value error, order_by must be one of 'name', 'id' or 'created_at'",
            )),
        }
    }

    /// Parses the older syntax: fields with an optional direction, ascending by default. The emulator sorts by the
    /// first field and rejects additional fields, except `id` in the same direction.
    pub(super) fn parse_old(loc: &[&str], text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::default()) };
        let invalid =
            |what: &str| Problem::new(loc, "value_error", format!("Value error, order_by '{text}': {what}"));
        let mut fields = text.split(',').map(|field| {
            let words: Vec<_> = field.split_whitespace().map(str::to_ascii_lowercase).collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let key = match field.split_whitespace().next() {
                Some("created_at") => SortKey::Created,
                Some("name") => SortKey::Name,
                Some("file_size") => SortKey::Size,
                Some("id") => SortKey::Id,
                _ => return Err(invalid("unknown field")),
            };
            match words[1..] {
                [] | ["asc"] => Ok(Self { key, descending: false }),
                ["desc"] => Ok(Self { key, descending: true }),
                _ => Err(invalid("only asc or desc can follow a field")),
            }
        });
        let first = fields.next().unwrap_or_else(|| Ok(Self::default()))?;
        for next in fields {
            let next = next?;
            if next.key != SortKey::Id || next.descending != first.descending {
                return Err(invalid("the emulator sorts by one field and then by id"));
            }
        }
        Ok(first)
    }
}

/// Reads a page of a list, and returns the token for the next page. A token is bound to its filter and order.
pub(super) async fn page(
    service: &Service,
    filter: Filter,
    order: Order,
    size: usize,
    token: Option<&str>,
) -> Result<(Vec<File>, Option<String>), Refusal> {
    let signer = &service.site.signer;
    let bound_text = |id: &FileId| format!("page {order:?} {filter:?}\n{id}");
    let invalid = || Refusal::bad_request("Invalid page_token");
    let read = |token: &str| {
        let token = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (id, signature) = token.split_once('\n')?;
        let id = FileId::from(id);
        signer.verify_hex(&bound_text(&id), signature).then_some(id)
    };
    let token = token.filter(|token| !token.is_empty());
    let listing = Listing {
        filter: Some(filter.clone()),
        sort: order.key,
        descending: order.descending,
        after: token.map(|token| read(token).ok_or_else(invalid)).transpose()?,
        limit: size + 1,
        ..Listing::default()
    };
    let listed = service.site.blocking(move |store| store.list(&listing)).await;
    let mut files = listed.map_err(|error| match error.kind() {
        // The file that the token refers to was deleted more than a day ago.
        Kind::NotFound => invalid(),
        _ => Refusal::from(error),
    })?;
    let more = files.len() > size;
    files.truncate(size);
    let next = files.last().filter(|_| more).map(|last| {
        URL_SAFE_NO_PAD.encode(format!("{}\n{}", last.id, signer.sign_hex(&bound_text(&last.id))))
    });
    Ok((files, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_extension() {
        for (name, expected) in [
            ("a.PDF", Some("pdf")),
            ("a.tar.gz", Some("gz")),
            (".profile", None),
            ("a.", None),
            ("a.b/c", None),
            ("plain", None),
        ] {
            assert_eq!(file_type(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn times_have_six_digits_or_none() {
        let at = |nanoseconds| format_time(Timestamp::from_nanosecond(nanoseconds).unwrap());
        assert_eq!(at(1_577_470_279_117_000_000), "2019-12-27T18:11:19.117000Z");
        assert_eq!(at(1_577_470_279_000_000_000), "2019-12-27T18:11:19Z");
    }
}
