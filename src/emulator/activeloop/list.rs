//! `GET /files`: the files of a workspace, by time of creation.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::filter::Condition;
use super::object::{self, DEFAULT_WORKSPACE, WORKSPACE};
use super::{SPACE, workspaces};
use crate::emulator::fastapi::{Problem, Refusal};
use crate::emulator::{Params, Site};
use crate::error::{Kind, Result as StoreResult};
use crate::filter::{Comparison, Expr, Filter, Op, Value as Compared};
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey, Store};

/// Files on a page, and what is asked for without `limit`.
const MOST: usize = 10_000;
/// Files that are read at a time where a filter picks some of them.
const BATCH: usize = 256;

pub(super) async fn list(State(site): State<Arc<Site>>, params: Params) -> Result<Response, Refusal> {
    let limit = limit(&params)?;
    let descending = match params.get("order") {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(other) => {
            let problem = Problem::one_of(["query", "order"], "literal_error", &["asc", "desc"]);
            return Err(problem.input(other).into());
        }
    };
    let purpose = params.get("purpose").filter(|word| !word.is_empty());
    purpose.map_or(Ok(()), |word| object::check_purpose("query", word))?;
    let condition = params.get("filter").filter(|text| !text.trim().is_empty()).map(Condition::parse);
    let condition =
        condition.transpose().map_err(|why| Refusal::bad_request(format!("Invalid filter: {why}")))?;
    let workspace = params.get("workspace").unwrap_or(DEFAULT_WORKSPACE);
    workspaces::check(&site, workspace).await?;
    let listing = Listing {
        filter: Some(selection(workspace, purpose)),
        sort: SortKey::Created,
        descending,
        after: params.get("after").filter(|id| !id.is_empty()).map(FileId::from),
        ..Listing::default()
    };
    // One more shows whether there is another page.
    let read = site.blocking(move |store| read(store, listing, condition.as_ref(), limit + 1)).await;
    let mut files = read.map_err(|error| match error.kind() {
        Kind::NotFound => Refusal::bad_request("Invalid cursor: after"),
        _ => error.into(),
    })?;
    let has_more = files.len() > limit;
    files.truncate(limit);
    let data: Vec<Value> = files.iter().map(|file| object::show(&site, file)).collect();
    Ok(Json(json!({
        "object": "list",
        "data": data,
        "first_id": files.first().map(|file| &file.id),
        "last_id": files.last().map(|file| &file.id),
        "has_more": has_more,
    }))
    .into_response())
}

fn limit(params: &Params) -> Result<usize, Refusal> {
    let Some(text) = params.get("limit") else { return Ok(MOST) };
    let wrong = |kind, message| Problem::new(["query", "limit"], kind, message).input(text);
    let Ok(limit) = text.trim().parse::<i64>() else {
        return Err(Problem::not_an_integer(["query", "limit"]).input(text).into());
    };
    match usize::try_from(limit) {
        Ok(1..=MOST) => Ok(usize::try_from(limit).unwrap_or(MOST)),
        Ok(limit) if limit > MOST => {
            let message = "Input should be less than or equal to 10000";
            Err(wrong("less_than_equal", message).context("le", MOST).into())
        }
        _ => {
            let message = "Input should be greater than or equal to 1";
            Err(wrong("greater_than_equal", message).context("ge", 1).into())
        }
    }
}

/// What the store decides.
fn selection(workspace: &str, purpose: Option<&str>) -> Filter {
    let is = |field: String, text: &str| {
        Expr::Compare(Comparison { field, op: Op::Eq, value: Compared::Text(text.to_owned()) })
    };
    let in_workspace = is(format!("extra.{WORKSPACE}"), workspace);
    let for_purpose = purpose.map(|word| is("purpose".to_owned(), word));
    Filter { expr: Expr::all(std::iter::once(in_workspace).chain(for_purpose).collect()) }
}

/// Reads batch after batch until there are enough. Blocking.
fn read(
    store: &Store,
    mut listing: Listing,
    condition: Option<&Condition>,
    wanted: usize,
) -> StoreResult<Vec<File>> {
    let Some(condition) = condition else {
        listing.limit = wanted;
        return store.list(SPACE, &listing);
    };
    listing.limit = BATCH;
    let mut found = Vec::new();
    loop {
        let batch = store.list(SPACE, &listing)?;
        let is_last = batch.len() < BATCH;
        listing.after = batch.last().map(|file| file.id.clone());
        let passing = batch.into_iter().filter(|file| condition.holds(&file.metadata));
        found.extend(passing.take(wanted - found.len()));
        if is_last || found.len() == wanted {
            return Ok(found);
        }
    }
}
