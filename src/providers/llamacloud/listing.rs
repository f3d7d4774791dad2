//! What to ask for in a listing.

use serde_json::{Value as Json, json};

use super::wire::{FileReply, ListReply};
use super::{LlamaCloud, Via};
use crate::error::{Error, Result};
use crate::filter::{Comparison, Expr, Filter, Op, Value};
use crate::http::{Body, Request};
use crate::model::{File, FileId, Object};
use crate::providers::{Page, Query, Sort};

/// Files a page at most, and where nothing else is wished: the fewest requests.
const LARGEST_PAGE: u32 = 1000;
/// Ids in one question: keeps the URL below the 8 KB that servers take.
const MOST_IDS: usize = 100;

/// The part of a filter that the platform answers by itself, exactly.
#[derive(Debug, Default, PartialEq)]
struct Asked<'a> {
    file_ids: Vec<&'a str>,
    file_name: Option<&'a str>,
    external_file_id: Option<&'a str>,
    data_source_id: Option<&'a str>,
    only_manually_uploaded: Option<bool>,
    /// The conditions of the filter that are answered by this.
    decided: Vec<&'a Expr>,
    /// Whether nothing of the filter is left for the caller to check.
    whole: bool,
}

/// The conditions of a filter that the platform decides exactly.
pub(super) fn decided(filter: &Filter) -> Vec<&Expr> {
    Asked::of(filter).decided
}

impl LlamaCloud {
    /// Lists one page. All but the token must stay the same from page to page.
    pub(super) async fn list_page(&self, query: &Query, cursor: Option<&str>) -> Result<Page> {
        let mut asked = query.filter.as_ref().map_or_else(Asked::none, Asked::of);
        asked.only_manually_uploaded = asked.only_manually_uploaded.or(self.flag("only_manually_uploaded")?);
        let by_source = asked.data_source_id.is_some() || asked.only_manually_uploaded.is_some();
        let request = if by_source || self.via == Via::Query {
            self.post_query(query, &asked, cursor)?
        } else {
            self.get_list(query, &asked, cursor)?
        };
        let reply: ListReply = self.call(request, "list of files").await?;
        let mut page = self.page(reply);
        if let Some(source) = asked.data_source_id {
            // The short object does not say where it is from; the answer to this question does.
            for file in &mut page.files {
                file.extra.entry("data_source_id").or_insert_with(|| json!(source));
            }
        }
        Ok(page)
    }

    /// Lists all files at once, as the legacy endpoint does.
    pub(super) async fn list_whole(&self) -> Result<Page> {
        let request = self.scoped(Request::get(self.legacy(&[])?)).unpaced();
        let items: Vec<FileReply> = self.connection.http.send(&request).await?.json("list of files")?;
        Ok(self.page(ListReply { items, next_page_token: None }))
    }

    /// The file of that id, by the listing.
    pub(super) async fn list_by_id(&self, id: &FileId) -> Result<Option<File>> {
        let request = self.expanded(Request::get(self.beta(&[])?)).query("file_ids", id);
        let page = self.page(self.call(request, "list of files").await?);
        // A server that does not know the parameter answers with all files.
        Ok(page.files.into_iter().find(|file| file.id == *id))
    }

    /// The file that an upload with this `external_file_id` of our own making has become, if it has.
    pub(super) async fn list_by_mark(&self, mark: &str) -> Result<Option<File>> {
        let request = Request::get(self.beta(&[])?).query("external_file_id", mark);
        let page = self.page(self.call(request, "list of files").await?);
        let marked = |file: &File| file.extra.get("external_file_id").and_then(Json::as_str) == Some(mark);
        Ok(page.files.into_iter().find(marked))
    }

    fn get_list(&self, query: &Query, asked: &Asked<'_>, cursor: Option<&str>) -> Result<Request> {
        let mut request = self
            .expanded(Request::get(self.beta(&[])?))
            .maybe_query("external_file_id", asked.external_file_id);
        for id in &asked.file_ids {
            request = request.query("file_ids", id);
        }
        Ok(request
            .maybe_query("file_name", asked.file_name)
            .maybe_query("order_by", query.sort.as_ref().and_then(order_by))
            .query("page_size", page_size(query, asked))
            .maybe_query("page_token", cursor))
    }

    fn post_query(&self, query: &Query, asked: &Asked<'_>, cursor: Option<&str>) -> Result<Request> {
        if self.connection.setting("expand").is_some() {
            return Err(Error::usage("expand: llamacloud's query has no place for it")
                .hint("leave out `--set expand=…`, or `--set via=query` and filters on the data source"));
        }
        let mut body = Object::new();
        let filter = asked.to_json();
        if !filter.is_empty() {
            body.insert("filter".to_owned(), Json::Object(filter));
        }
        if let Some(order) = query.sort.as_ref().and_then(order_by_words) {
            body.insert("order_by".to_owned(), json!(order));
        }
        body.insert("page_size".to_owned(), json!(page_size(query, asked)));
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

    /// A setting that is `true` or `false`.
    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.connection.setting(key) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Error::usage(format!("{key}={text} is neither true nor false")))
    }
}

impl<'a> Asked<'a> {
    /// No filter at all.
    fn none() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Sorts the conditions into what the platform knows and the rest.
    fn of(filter: &'a Filter) -> Self {
        let mut asked = Self::none();
        for condition in filter.conditions() {
            if asked.add(condition) {
                asked.decided.push(condition);
            } else {
                asked.whole = false;
            }
        }
        asked
    }

    /// Takes in what it can of an expression that must hold, and says whether that was all of it.
    fn add(&mut self, expr: &'a Expr) -> bool {
        match expr {
            Expr::And(parts) => {
                let mut whole = true;
                for part in parts {
                    whole &= self.add(part);
                }
                whole
            }
            Expr::Or(_) | Expr::Compare(Comparison { op: Op::Eq, .. }) if self.add_ids(expr) => true,
            Expr::Compare(Comparison { field, op: Op::Eq, value: Value::Text(text) }) => {
                match field.strip_prefix("extra.").unwrap_or(field) {
                    "name" => set(&mut self.file_name, text),
                    "external_file_id" => set(&mut self.external_file_id, text),
                    "data_source_id" => set(&mut self.data_source_id, text),
                    _ => false,
                }
            }
            // "Manually uploaded" is how the platform says that there is no data source.
            Expr::Compare(Comparison { field, op: Op::Eq, value: Value::Null })
                if field.strip_prefix("extra.").unwrap_or(field) == "data_source_id" =>
            {
                self.only_manually_uploaded = Some(true);
                true
            }
            _ => false,
        }
    }

    /// Takes in `id = a`, or several of them joined by OR.
    fn add_ids(&mut self, expr: &'a Expr) -> bool {
        fn collect<'a>(expr: &'a Expr, into: &mut Vec<&'a str>) -> bool {
            match expr {
                Expr::Or(parts) => parts.iter().all(|part| collect(part, into)),
                Expr::Compare(Comparison { field, op: Op::Eq, value: Value::Text(id) }) if field == "id" => {
                    into.push(id);
                    !id.is_empty()
                }
                _ => false,
            }
        }
        let mut ids = Vec::new();
        let fits = self.file_ids.is_empty() && collect(expr, &mut ids) && (1..=MOST_IDS).contains(&ids.len());
        if fits {
            self.file_ids = ids;
        }
        fits
    }

    fn to_json(&self) -> Object {
        let mut filter = Object::new();
        let mut put = |key: &str, value: Option<Json>| {
            if let Some(value) = value {
                filter.insert(key.to_owned(), value);
            }
        };
        put("data_source_id", self.data_source_id.map(Json::from));
        put("external_file_id", self.external_file_id.map(Json::from));
        put("file_ids", (!self.file_ids.is_empty()).then(|| json!(self.file_ids)));
        put("file_name", self.file_name.map(Json::from));
        put("only_manually_uploaded", self.only_manually_uploaded.map(Json::from));
        filter
    }
}

/// Fills a place; a second wish for the same one is left to the caller.
fn set<'a>(place: &mut Option<&'a str>, text: &'a str) -> bool {
    let free = place.is_none() && !text.is_empty();
    if free {
        *place = Some(text);
    }
    free
}

/// Files a page. A limit makes it smaller only if the caller throws none of them away.
fn page_size(query: &Query, asked: &Asked<'_>) -> u32 {
    let wanted = query.limit.filter(|_| asked.whole).and_then(|limit| u32::try_from(limit).ok());
    query.page_size.or(wanted).unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE)
}

/// The three orders that servers of every age take; the newest refuse any word of direction. They list by
/// `created_at` from the newest on; older ones are documented to start from the oldest.
fn order_by(sort: &Sort) -> Option<&'static str> {
    match (sort.field.as_str(), sort.descending) {
        ("name", false) => Some("name"),
        ("id", false) => Some("id"),
        ("created_at", true) => Some("created_at"),
        _ => None,
    }
}

/// The same for the query, which kept the words.
fn order_by_words(sort: &Sort) -> Option<String> {
    let known = matches!(sort.field.as_str(), "name" | "id" | "created_at");
    known.then(|| format!("{}{}", sort.field, if sort.descending { " desc" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(field: &str, op: Op, value: Value) -> Expr {
        Expr::Compare(Comparison { field: field.to_owned(), op, value })
    }

    fn equals(field: &str, value: &str) -> Expr {
        compare(field, Op::Eq, Value::Text(value.to_owned()))
    }

    fn asked(expr: Expr) -> (String, bool) {
        let filter = Filter { expr };
        let asked = Asked::of(&filter);
        (Json::Object(asked.to_json()).to_string(), asked.whole)
    }

    #[test]
    fn only_what_the_platform_answers_exactly_is_asked_of_it() {
        let other = || compare("name", Op::Has, Value::Text("x".to_owned()));
        let ids = |count: usize| Expr::Or((0..count).map(|n| equals("id", &n.to_string())).collect());
        let cases = [
            (equals("name", "a.pdf"), r#"{"file_name":"a.pdf"}"#, true),
            (equals("id", "a"), r#"{"file_ids":["a"]}"#, true),
            (ids(2), r#"{"file_ids":["0","1"]}"#, true),
            (ids(MOST_IDS + 1), "{}", false),
            (Expr::Or(vec![equals("id", "a"), equals("name", "b")]), "{}", false),
            (equals("external_file_id", "e"), r#"{"external_file_id":"e"}"#, true),
            (equals("extra.external_file_id", "e"), r#"{"external_file_id":"e"}"#, true),
            (equals("data_source_id", "d"), r#"{"data_source_id":"d"}"#, true),
            (compare("data_source_id", Op::Eq, Value::Null), r#"{"only_manually_uploaded":true}"#, true),
            (compare("expires_at", Op::Eq, Value::Null), "{}", false),
            (equals("purpose", "parse"), "{}", false),
            (equals("name", ""), "{}", false),
            (other(), "{}", false),
            (Expr::Not(Box::new(equals("name", "a"))), "{}", false),
            (
                Expr::And(vec![other(), Expr::And(vec![equals("name", "a"), equals("id", "b")])]),
                r#"{"file_ids":["b"],"file_name":"a"}"#,
                false,
            ),
            (Expr::And(vec![equals("name", "a"), equals("name", "b")]), r#"{"file_name":"a"}"#, false),
            (Expr::And(vec![equals("id", "a"), equals("id", "b")]), r#"{"file_ids":["a"]}"#, false),
            (Expr::And(vec![]), "{}", true),
        ];
        for (expr, json, whole) in cases {
            assert_eq!(asked(expr.clone()), (json.to_owned(), whole), "{expr:?}");
        }
    }

    #[test]
    fn a_limit_makes_a_page_small_only_if_every_file_counts() {
        let size =
            |query: &Query| page_size(query, &query.filter.as_ref().map_or_else(Asked::none, Asked::of));
        let query = |limit, page_size, filter: Option<Expr>| Query {
            limit,
            page_size,
            filter: filter.map(|expr| Filter { expr }),
            sort: None,
        };
        assert_eq!(size(&query(None, None, None)), 1000);
        assert_eq!(size(&query(Some(7), None, None)), 7);
        assert_eq!(size(&query(Some(0), None, None)), 1);
        assert_eq!(size(&query(Some(u64::MAX), None, None)), 1000);
        assert_eq!(size(&query(Some(7), None, Some(equals("name", "a")))), 7);
        assert_eq!(size(&query(Some(7), None, Some(equals("purpose", "a")))), 1000);
        assert_eq!(size(&query(Some(7), Some(5000), None)), 1000);
        assert_eq!(size(&query(None, Some(0), None)), 1);
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
