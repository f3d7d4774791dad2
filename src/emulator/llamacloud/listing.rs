//! Lists the beta files: what of them, in what order, page by page.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::gate::{Caller, Service};
use super::object::PROJECT;
use super::refusal::{Problem, Refusal};
use crate::error::Kind;
use crate::filter::{Comparison, Expr, Filter, Op, Value};
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey};

/// Files of a page: where nothing is said, and at most.
pub(super) const PAGE: usize = 50;
pub(super) const MAX_PAGE: usize = 1000;

/// Which files, in which order: what a page token is bound to.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Selection {
    /// The caller's project.
    pub(super) project: String,
    /// Another condition on the project, which can only agree or leave nothing.
    pub(super) project_id: Option<String>,
    pub(super) file_ids: Vec<String>,
    pub(super) file_name: Option<String>,
    pub(super) external_file_id: Option<String>,
    pub(super) data_source_id: Option<String>,
    /// Only files without a data source.
    pub(super) only_manually_uploaded: bool,
    /// The order as it was asked for.
    #[serde(skip)]
    pub(super) order: Order,
}

/// An order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    key: SortKey,
    descending: bool,
}

impl Default for Order {
    /// Newest first. Inferred: what the service does is not documented.
    fn default() -> Self {
        Self { key: SortKey::Created, descending: true }
    }
}

impl Order {
    /// One of `name`, `id` (ascending) and `created_at` (descending).
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text.filter(|text| !text.is_empty()) {
            None | Some("created_at") => Ok(Self::default()),
            Some("name") => Ok(Self { key: SortKey::Name, descending: false }),
            Some("id") => Ok(Self { key: SortKey::Id, descending: false }),
            Some(_) => Err(Problem::new(
                &["query", "order_by"],
                "value_error",
                "Value error, order_by must be one of 'name', 'id' or 'created_at'",
            )),
        }
    }

    /// The older grammar: a field, ascending, or `field desc`. Of several fields the emulator knows to order by the first
    /// where `id` follows it in the same direction, and says so of the rest rather than getting the order wrong.
    pub(super) fn parse_old(loc: &[&str], text: Option<&str>) -> Result<Self, Problem> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::default()) };
        let wrong =
            |what: &str| Problem::new(loc, "value_error", format!("Value error, order_by '{text}': {what}"));
        let mut fields = text.split(',').map(|field| {
            let mut words = field.split_whitespace();
            let key = match words.next() {
                Some("created_at") => SortKey::Created,
                Some("name") => SortKey::Name,
                Some("file_size") => SortKey::Size,
                Some("id") => SortKey::Id,
                _ => return Err(wrong("unknown field")),
            };
            match (words.next(), words.next()) {
                (None, _) => Ok(Self { key, descending: false }),
                (Some(word), None) if word.eq_ignore_ascii_case("asc") => Ok(Self { key, descending: false }),
                (Some(word), None) if word.eq_ignore_ascii_case("desc") => Ok(Self { key, descending: true }),
                _ => Err(wrong("a field may be followed by asc or desc")),
            }
        });
        let first = fields.next().unwrap_or_else(|| Ok(Self::default()))?;
        for next in fields {
            let next = next?;
            if next.key != SortKey::Id || next.descending != first.descending {
                return Err(wrong("the emulator orders by one field, and by id where that is the same"));
            }
        }
        Ok(first)
    }
}

impl Selection {
    fn filter(&self) -> Filter {
        let mut all = vec![equals(&format!("extra.{PROJECT}"), &self.project)];
        let texts = [
            ("extra.project_id", &self.project_id),
            ("name", &self.file_name),
            ("extra.external_file_id", &self.external_file_id),
            ("extra.data_source_id", &self.data_source_id),
        ];
        all.extend(texts.into_iter().filter_map(|(field, text)| Some(equals(field, text.as_ref()?))));
        if !self.file_ids.is_empty() {
            all.push(Expr::any(self.file_ids.iter().map(|id| equals("id", id)).collect()));
        }
        if self.only_manually_uploaded {
            all.push(compare("extra.data_source_id", Value::Null));
        }
        Filter { expr: Expr::all(all) }
    }

    /// What a page token is bound to, as text.
    fn bound(&self) -> String {
        let Order { key, descending } = self.order;
        format!("page {key:?} {descending} {}", serde_json::to_string(self).unwrap_or_default())
    }

    /// One page, and the token of the next if there is one.
    pub(super) async fn page(
        &self,
        service: &Service,
        size: usize,
        token: Option<&str>,
    ) -> Result<(Vec<File>, Option<String>), Refusal> {
        let bound = self.bound();
        let after = token.filter(|token| !token.is_empty()).map(|token| {
            open_token(service, &bound, token).ok_or_else(|| Refusal::bad_request("Invalid page_token"))
        });
        let listing = Listing {
            filter: Some(self.filter()),
            sort: self.order.key,
            descending: self.order.descending,
            after: after.transpose()?,
            limit: size + 1,
            ..Listing::default()
        };
        let space = service.site.platform;
        let listed = service.site.blocking(move |store| store.list(space, &listing)).await;
        let mut files = listed.map_err(|error| match error.kind() {
            // The file that the token names was deleted long ago.
            Kind::NotFound => Refusal::bad_request("Invalid page_token"),
            _ => Refusal::from(error),
        })?;
        let more = files.len() > size;
        files.truncate(size);
        let next = files.last().filter(|_| more).map(|last| token_after(service, &bound, &last.id));
        Ok((files, next))
    }
}

fn token_after(service: &Service, bound: &str, id: &FileId) -> String {
    let signature = service.site.signer.sign_hex(&format!("{bound}\n{id}"));
    URL_SAFE_NO_PAD.encode(format!("{id}\n{signature}"))
}

fn open_token(service: &Service, bound: &str, token: &str) -> Option<FileId> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (id, signature) = text.split_once('\n')?;
    service.site.signer.verify_hex(&format!("{bound}\n{id}"), signature).then(|| FileId::from(id))
}

/// `field = text`.
pub(super) fn equals(field: &str, text: &str) -> Expr {
    compare(field, Value::Text(text.to_owned()))
}

fn compare(field: &str, value: Value) -> Expr {
    Expr::Compare(Comparison { field: field.to_owned(), op: Op::Eq, value })
}

/// A file of the caller's project.
pub(super) async fn find(service: &Service, caller: &Caller, id: &FileId) -> Result<File, Refusal> {
    let (space, id) = (service.site.platform, id.clone());
    let file = service.site.blocking(move |store| store.stat(space, &id)).await?;
    if file.extra.get(PROJECT).and_then(|project| project.as_str()) == Some(&caller.project) {
        return Ok(file);
    }
    Err(Refusal::no_such_file())
}

/// Deletes a file of the caller's project.
pub(super) async fn remove(service: &Service, caller: &Caller, id: &FileId) -> Result<StatusCode, Refusal> {
    let file = find(service, caller, id).await?;
    let space = service.site.platform;
    service.site.blocking(move |store| store.delete(space, &file.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
