//! The listing in JSON, which is deprecated: milder with the page's size, and with the older orders.

use serde_json::{Map, Value};

use super::gate::{Caller, uuid};
use super::json::{optional_text, wrong_type};
use super::listing::{MAX_PAGE, Order, PAGE, Selection};
use super::presigned::not_an_integer;
use super::refusal::Problem;

/// A query.
pub(super) struct Query {
    /// Which files.
    pub(super) selection: Selection,
    /// How many at most.
    pub(super) size: usize,
    /// Where to go on.
    pub(super) token: Option<String>,
}

impl Query {
    /// Reads a query's JSON. All in it may be missing or null.
    pub(super) fn parse(body: Option<Value>, caller: &Caller) -> Result<Self, Problem> {
        let query = match body {
            Some(Value::Object(query)) => query,
            Some(_) => return Err(wrong_type(&["body"], "a valid dictionary or object")),
            None => return Err(Problem::missing(&["body"])),
        };
        let nothing = Map::new();
        let filter = match query.get("filter") {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(filter)) => filter,
            Some(_) => return Err(wrong_type(&["body", "filter"], "a valid dictionary or object")),
        };
        let text = |name| optional_text(filter.get(name), &["body", "filter", name]);
        let id = |name| {
            let id = optional_text(filter.get(name), &["body", "filter", name])?;
            id.map(|id| uuid(&["body", "filter", name], &id)).transpose()
        };
        let only_manually_uploaded = match filter.get("only_manually_uploaded") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(only)) => *only,
            Some(_) => {
                return Err(wrong_type(&["body", "filter", "only_manually_uploaded"], "a valid boolean"));
            }
        };
        let size = match query.get("page_size") {
            None | Some(Value::Null) => PAGE,
            Some(size) => match size.as_i64() {
                None => return Err(not_an_integer(&["body", "page_size"])),
                // The schema has no minimum.
                Some(size) => {
                    usize::try_from(size).ok().filter(|size| *size > 0).map_or(PAGE, |n| n.min(MAX_PAGE))
                }
            },
        };
        let order_by = optional_text(query.get("order_by"), &["body", "order_by"])?;
        let token = optional_text(query.get("page_token"), &["body", "page_token"])?;
        let selection = Selection {
            project: caller.project.clone(),
            project_id: id("project_id")?,
            file_ids: file_ids(filter.get("file_ids"))?,
            file_name: text("file_name")?,
            external_file_id: text("external_file_id")?,
            data_source_id: id("data_source_id")?,
            only_manually_uploaded,
            order: Order::parse_old(&["body", "order_by"], order_by.as_deref())?,
        };
        Ok(Self { selection, size, token })
    }
}

fn file_ids(value: Option<&Value>) -> Result<Vec<String>, Problem> {
    let loc = ["body", "filter", "file_ids"];
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(ids)) => ids
            .iter()
            .map(|id| id.as_str().map(str::to_owned).ok_or_else(|| wrong_type(&loc, "a valid string")))
            .collect(),
        Some(_) => Err(wrong_type(&loc, "a valid list")),
    }
}
