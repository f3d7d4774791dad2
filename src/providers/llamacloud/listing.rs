//! Lists and looks up files, with the beta or the legacy endpoints.

use serde_json::{Value as Json, json};

use super::wire::{FileReply, ListReply};
use super::{EXTERNAL_ID, LlamaCloud, Via};
use crate::error::{Error, Result, word};
use crate::filter::{Comparison, Op, Value};
use crate::http::{Body, Request};
use crate::model::{File, FileId, Object};
use crate::providers::listing::page_size;
use crate::providers::pushdown::{Parameter, Pushed, text_of};
use crate::providers::{Page, Provider, Query, Sort};

/// The maximum page size, which is also the default.
const LARGEST_PAGE: u32 = 1000;
/// The parameter that selects files by id.
pub(super) const IDS: &str = "file_ids";
/// The parameter that selects files without a data source.
const MANUAL: &str = "only_manually_uploaded";

/// The parameter for an equality comparison, if there is one. Each of these parameters accepts exactly one value.
pub(super) fn equals(comparison: &Comparison) -> Option<Parameter> {
    let field = comparison.field.strip_prefix("extra.").unwrap_or(&comparison.field);
    if let ("data_source_id", Op::Eq, Value::Null) = (field, comparison.op, &comparison.value) {
        // "Manually uploaded" means that the file has no data source.
        return Some((MANUAL, "true".to_owned()));
    }
    let parameters = [
        ("name", "file_name"),
        ("external_file_id", "external_file_id"),
        ("data_source_id", "data_source_id"),
    ];
    let (_, parameter) = parameters.into_iter().find(|(known, _)| *known == field)?;
    Some((parameter, text_of(comparison)?))
}

impl LlamaCloud {
    /// Lists one page. All parameters except the page token are the same for every page.
    pub(super) async fn list_page(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let mut pushed = Pushed::of(query.filter.as_ref(), self.capabilities().list.native, None);
        if let Some(flag) = self.flag(MANUAL)?.filter(|_| pushed.parameter(MANUAL).is_none()) {
            pushed.parameters.push((MANUAL, flag.to_string()));
        }
        let source = pushed.parameter("data_source_id");
        let request = if source.is_some() || pushed.parameter(MANUAL).is_some() || self.via == Via::Query {
            self.post_query(query, &pushed, cursor)?
        } else {
            self.get_list(query, &pushed, cursor)?
        };
        let reply: ListReply = self.call(request, "list of files").await?;
        let mut page = self.page(reply);
        if let Some(source) = source {
            // The short object does not contain the data source, but the filter does.
            for file in &mut page.files {
                file.extra.entry("data_source_id").or_insert_with(|| json!(source));
            }
        }
        Ok(page)
    }

    /// Lists all files at once with the legacy endpoint.
    pub(super) async fn list_whole(&self) -> Result<Page> {
        let request = self.scoped(Request::get(self.legacy(&[])?)).unpaced();
        let items: Vec<FileReply> = self.connection.http.send(&request).await?.json("list of files")?;
        Ok(self.page(ListReply { items, next_page_token: None }))
    }

    /// Finds a file by id in the listing.
    pub(super) async fn list_by_id(&self, id: &FileId) -> Result<Option<File>> {
        let request = self.expanded(Request::get(self.beta(&[])?)).query("file_ids", id);
        let page = self.page(self.call(request, "list of files").await?);
        // A server that ignores the parameter returns all files.
        Ok(page.files.into_iter().find(|file| file.id == *id))
    }

    /// The file with exactly this `external_file_id`. Only the beta listing can filter by it.
    pub(super) async fn list_by_mark(&self, mark: &str) -> Result<Option<File>> {
        let request = Request::get(self.beta(&[])?).query(EXTERNAL_ID, mark);
        let page = match self.call(request, "list of files").await {
            // The server does not have the beta endpoints.
            Err(error) if self.legacy && matches!(error.status(), Some(404 | 405)) => {
                self.list_whole().await?
            }
            listed => self.page(listed?),
        };
        // A server that ignores the parameter returns all files.
        let marked = |file: &File| file.extra.get(EXTERNAL_ID).and_then(Json::as_str) == Some(mark);
        Ok(page.files.into_iter().find(marked))
    }

    fn get_list(&self, query: &Query, pushed: &Pushed<'_>, cursor: Option<&str>) -> Result<Request> {
        let mut parameters: Vec<_> = pushed.parameters.iter().collect();
        parameters.sort_by_key(|(name, _)| *name);
        let request = self.expanded(Request::get(self.beta(&[])?));
        Ok(parameters
            .into_iter()
            .fold(request, |request, (name, value)| request.query(name, value))
            .maybe_query("order_by", query.sort.as_ref().and_then(order_by))
            .query("page_size", page_size(query, LARGEST_PAGE, LARGEST_PAGE))
            .maybe_query("page_token", cursor))
    }

    fn post_query(&self, query: &Query, pushed: &Pushed<'_>, cursor: Option<&str>) -> Result<Request> {
        if let Some(expand) = self.connection.setting("expand") {
            return Err(Error::usage("expand: not supported by llamacloud's query endpoint").hint(format!(
                "remove `--set {}`, or remove `--set via=query`, `--set only_manually_uploaded` and any data \
                 source filters",
                word(&format!("expand={expand}"))
            )));
        }
        let mut body = Object::new();
        let filter = to_json(pushed);
        if !filter.is_empty() {
            body.insert("filter".to_owned(), Json::Object(filter));
        }
        if let Some(order) = query.sort.as_ref().and_then(order_by_words) {
            body.insert("order_by".to_owned(), json!(order));
        }
        body.insert("page_size".to_owned(), json!(page_size(query, LARGEST_PAGE, LARGEST_PAGE)));
        if let Some(token) = cursor {
            body.insert("page_token".to_owned(), json!(token));
        }
        Ok(Request::post(self.beta(&["query"])?, Body::json(&Json::Object(body))).repeatable())
    }

    fn page(&self, reply: ListReply) -> Page {
        Page {
            files: reply.items.into_iter().map(|item| item.into_file(&self.connection.profile)).collect(),
            next: reply.next_page_token.filter(|token| !token.is_empty()),
        }
    }

    /// A setting whose value is `true` or `false`.
    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.connection.setting(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Error::usage(format!("{key}={text}: must be true or false")))
    }
}

/// The parameters as an object, in alphabetical order.
fn to_json(pushed: &Pushed<'_>) -> Object {
    let mut filter = Object::new();
    for (key, value) in &pushed.parameters {
        let value = match *key {
            IDS => continue,
            MANUAL => json!(value == "true"),
            _ => json!(value),
        };
        filter.insert((*key).to_owned(), value);
    }
    let ids = pushed.parameters.iter().filter(|(key, _)| *key == IDS);
    let ids: Vec<&String> = ids.map(|(_, id)| id).collect();
    if !ids.is_empty() {
        filter.insert(IDS.to_owned(), json!(ids));
    }
    filter.sort_keys();
    filter
}

/// The three orders that every version of the server accepts; the latest version rejects a direction. It lists by
/// `created_at` from newest to oldest; older versions are documented to start with the oldest file.
fn order_by(sort: &Sort) -> Option<&'static str> {
    match (sort.field.as_str(), sort.descending) {
        ("name", false) => Some("name"),
        ("id", false) => Some("id"),
        ("created_at", true) => Some("created_at"),
        _ => None,
    }
}

/// The order for the deprecated query endpoint, which accepts directions.
fn order_by_words(sort: &Sort) -> Option<String> {
    let known = matches!(sort.field.as_str(), "name" | "id" | "created_at");
    known.then(|| format!("{}{}", sort.field, if sort.descending { " desc" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Expr, Filter};

    fn compare(field: &str, op: Op, value: Value) -> Expr {
        Expr::Compare(Comparison { field: field.to_owned(), op, value })
    }

    fn is(field: &str, value: &str) -> Expr {
        compare(field, Op::Eq, Value::Text(value.to_owned()))
    }

    fn sent(expr: Expr) -> (String, bool) {
        let filter = Filter { expr };
        let pushed = Pushed::of(Some(&filter), super::super::CAN.list.native, None);
        (Json::Object(to_json(&pushed)).to_string(), pushed.decided.len() == filter.conditions().len())
    }

    #[test]
    fn only_exact_comparisons_are_sent() {
        let other = || compare("name", Op::Has, Value::Text("x".to_owned()));
        let ids = |count: usize| Expr::Or((0..count).map(|n| is("id", &n.to_string())).collect());
        let cases = [
            (is("name", "a.pdf"), r#"{"file_name":"a.pdf"}"#, true),
            (is("id", "a"), r#"{"file_ids":["a"]}"#, true),
            (ids(2), r#"{"file_ids":["0","1"]}"#, true),
            (ids(101), "{}", false),
            (Expr::Or(vec![is("id", "a"), is("name", "b")]), "{}", false),
            (is("external_file_id", "e"), r#"{"external_file_id":"e"}"#, true),
            (is("extra.external_file_id", "e"), r#"{"external_file_id":"e"}"#, true),
            (is("data_source_id", "d"), r#"{"data_source_id":"d"}"#, true),
            (compare("data_source_id", Op::Eq, Value::Null), r#"{"only_manually_uploaded":true}"#, true),
            (compare("expires_at", Op::Eq, Value::Null), "{}", false),
            (is("purpose", "parse"), "{}", false),
            (is("name", ""), "{}", false),
            (other(), "{}", false),
            (Expr::Not(Box::new(is("name", "a"))), "{}", false),
            (
                Expr::And(vec![other(), Expr::And(vec![is("name", "a"), is("id", "b")])]),
                r#"{"file_ids":["b"],"file_name":"a"}"#,
                false,
            ),
            (Expr::And(vec![is("name", "a"), is("name", "b")]), r#"{"file_name":"a"}"#, false),
            (Expr::And(vec![is("id", "a"), is("id", "b")]), r#"{"file_ids":["a"]}"#, false),
            (Expr::And(vec![]), "{}", true),
        ];
        for (expr, json, whole) in cases {
            assert_eq!(sent(expr.clone()), (json.to_owned(), whole), "{expr:?}");
        }
    }

    #[test]
    fn only_safe_orders_are_sent() {
        let order = |field: &str, descending| {
            let sort = Sort { field: field.to_owned(), descending };
            (order_by(&sort), super::super::CAN.list.sorts(&sort), order_by_words(&sort))
        };
        assert_eq!(order("name", false), (Some("name"), true, Some("name".into())));
        assert_eq!(order("name", true), (None, false, Some("name desc".into())));
        assert_eq!(order("id", false), (Some("id"), true, Some("id".into())));
        assert_eq!(order("created_at", true), (Some("created_at"), true, Some("created_at desc".into())));
        assert_eq!(order("created_at", false), (None, false, Some("created_at".into())));
        assert_eq!(order("size", true), (None, false, None));
    }
}
