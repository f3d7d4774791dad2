//! `GET /v1/files`: pages in either dialect.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::record::{COMPLETE, PUBLIC_URL_EXPIRES_AT, Record as _};
use super::refusal::Refusal;
use super::{SPACE, check_team, filter};
use crate::emulator::{Params, Site};
use crate::error::{Kind, Result as StoreResult};
use crate::filter::{Equality, Filter};
use crate::model::{File, FileId};
use crate::store::{Listing, SortKey, Store};

/// Files on a page, and what is asked for without `limit`.
const MOST: usize = 100;
/// Files that are read at a time where a filter picks some of them.
const BATCH: usize = 256;

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    check_team(&site, params.get("team_id"))?;
    let dialect = Dialect::of(&site, &params);
    let limit = limit(&params)?;
    let ends = site.quirk_value("final-token") == Some("absent");
    let filter = params.get("filter").map(|text| filter::parse(text, site.clock.now())).transpose()?;
    let selection = Selection {
        listing: Listing {
            filter: filter.as_ref().and_then(filter::for_store),
            sort: sort(&params)?,
            descending: descending(&params)?,
            after: cursor(&params).map(FileId::from),
            limit: BATCH,
            ..Listing::default()
        },
        filter: filter.unwrap_or_default(),
        prefix: params.get("prefix").unwrap_or_default().to_owned(),
        only_complete: dialect == Dialect::OpenAi,
        root: site.root(&headers),
        now: site.clock.now(),
        // One more shows whether there is another page.
        wanted: limit + usize::from(ends),
    };
    let mut files = site.blocking(move |store| selection.read(store)).await.map_err(|error| {
        if error.kind() == Kind::NotFound {
            Refusal::invalid("Invalid pagination token")
        } else {
            error.into()
        }
    })?;
    let more = files.len() > limit;
    files.truncate(limit);
    let token = files.last().map(|file| file.id.clone()).filter(|_| more || !ends);
    let files: Vec<Value> = files.iter().map(|file| dialect.show(&site, &headers, file)).collect();
    let mut page = match dialect {
        Dialect::OpenAi => json!({ "data": files, "pagination_token": token }),
        Dialect::Gateway => json!({ "files": files, "next_token": token }),
    };
    // Over gRPC, a token that is not set is not there, and neither is one of the gateway's.
    if token.is_none()
        && (ends || dialect == Dialect::Gateway)
        && let Some(page) = page.as_object_mut()
    {
        page.retain(|_, value| !value.is_null());
    }
    Ok(Json(page).into_response())
}

/// Files per page: what is out of range is moved into it, what is no number is refused by the web framework.
fn limit(params: &Params) -> Result<usize, Refusal> {
    let Some(text) = params.get("limit") else { return Ok(MOST) };
    let limit: i32 = text.parse().map_err(|error| {
        let message = format!("Failed to deserialize query string: limit: {error}");
        Refusal::plain(StatusCode::BAD_REQUEST, message)
    })?;
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(MOST).min(MOST))
}

/// The last file of the page before this one, by whichever of its names.
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

/// Which files, and how many of them.
struct Selection {
    listing: Listing,
    filter: Filter,
    prefix: String,
    only_complete: bool,
    root: String,
    now: jiff::Timestamp,
    wanted: usize,
}

impl Selection {
    /// Reads batch after batch until there are enough. Blocking.
    fn read(mut self, store: &Store) -> StoreResult<Vec<File>> {
        let mut found = Vec::new();
        loop {
            let batch = store.list(SPACE, &self.listing)?;
            let is_last = batch.len() < BATCH;
            self.listing.after = batch.last().map(|file| file.id.clone());
            found.extend(batch.into_iter().filter(|file| self.passes(file)).take(self.wanted - found.len()));
            if is_last || found.len() == self.wanted {
                return Ok(found);
            }
        }
    }

    fn passes(&self, file: &File) -> bool {
        if !file.name.starts_with(&self.prefix)
            || (self.only_complete && file.status.as_deref() != Some(COMPLETE))
        {
            return false;
        }
        if self.filter.is_empty() {
            return true;
        }
        // A public URL that has ended is none.
        let mut shown = file.clone();
        shown.url = file.public_url(&self.root, self.now).map(|(url, _)| url);
        if shown.url.is_none() {
            shown.extra.remove(PUBLIC_URL_EXPIRES_AT);
        }
        shown.extra.extend(shown.status.take().map(|word| (filter::UPLOAD_STATUS.to_owned(), word.into())));
        self.filter.matches_as(&shown, Equality::Wildcards)
    }
}
