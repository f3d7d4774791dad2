//! Lists files with any provider. Reads all pages and applies the parts of the filter, order and limit that the
//! platform does not apply.

use std::borrow::Cow;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::stated::{left_to_check, require_stated};
use super::{FileLink, LinkPage, Page, Provider, Query, Sort};
use crate::error::{Error, Result};
use crate::filter::{self, Filter, Op};
use crate::model::{File, hash_of, names_match, spellings};

/// Number of consecutive empty pages after which a listing is considered endless. A platform that filters page by
/// page may send many empty pages before the first matching file.
const EMPTY_PAGES: u32 = 1_000;

/// Detects a listing that repeats itself. Stores hashes of all cursors and pages so far (two per page), and of the
/// ids on the last nonempty page.
#[derive(Debug, Default)]
pub(super) struct SeenPages {
    places: HashSet<u64>,
    ids: Vec<u64>,
    empty: u32,
}

impl SeenPages {
    /// The initial state for a listing that starts at `cursor`.
    pub(super) fn before(cursor: Option<&str>) -> Self {
        Self { places: cursor.iter().map(hash_of).collect(), ..Self::default() }
    }

    /// Adds a page and the cursor of the next one, and removes items that were on the previous page. A repeated cursor,
    /// a repeated page, a page without new items that is not the last one, and too many empty pages are errors: the
    /// platform ignores the cursor, and the listing would never end.
    pub(super) fn add<T>(
        &mut self,
        platform: &str,
        items: &mut Vec<T>,
        id: impl Fn(&T) -> &str,
        next: Option<&str>,
    ) -> Result<()> {
        let endless =
            |what: &str| Err(Error::platform(format!("{platform} {what}: the listing would never end")));
        let repeats = || endless("repeats a page");
        if next.is_some_and(|next| !self.places.insert(hash_of(&next))) {
            return repeats();
        }
        if items.is_empty() {
            self.empty += 1;
            return if self.empty < EMPTY_PAGES {
                Ok(())
            } else {
                endless(&format!("returned {EMPTY_PAGES} pages without new files"))
            };
        }
        self.empty = 0;
        if next.is_none() && self.ids.is_empty() {
            // A single page cannot repeat anything.
            return Ok(());
        }
        let ids: Vec<u64> = items.iter().map(|item| hash_of(&id(item))).collect();
        if !self.places.insert(hash_of(&ids)) {
            return repeats();
        }
        // The previous page overlaps with the start or end of this one.
        if [ids.first(), ids.last()].into_iter().flatten().any(|id| self.ids.contains(id)) {
            let before: HashSet<u64> = self.ids.iter().copied().collect();
            let mut hashes = ids.iter();
            items.retain(|_| hashes.next().is_some_and(|hash| !before.contains(hash)));
            if items.is_empty() && next.is_some() {
                return repeats();
            }
        }
        self.ids = ids;
        Ok(())
    }
}

/// The links of all files of a platform, page by page.
pub fn all_links(provider: &Arc<dyn Provider>) -> impl Stream<Item = Result<FileLink>> + use<> {
    let state = (Arc::clone(provider), None, SeenPages::default());
    let pages = stream::try_unfold(Some(state), async |state| {
        let Some((provider, cursor, mut seen)) = state else { return Ok(None) };
        let LinkPage { mut links, next } = provider.all_links(cursor.as_deref()).await?;
        seen.add(provider.spec().name, &mut links, FileLink::key, next.as_deref())?;
        let state = next.map(|next| (provider, Some(next), seen));
        Ok::<_, Error>(Some((stream::iter(links).map(Ok), state)))
    });
    pages.try_flatten()
}

/// The cursor of the next page, on a platform that reports whether there is `more`. A next page without a cursor is an
/// error, because the listing would otherwise look complete.
pub(super) fn next_cursor(platform: &str, more: bool, next: Option<String>) -> Result<Option<String>> {
    match next {
        None if more => {
            Err(Error::platform(format!("{platform} reports another page but returned no cursor for it")))
        }
        next => Ok(next.filter(|_| more)),
    }
}

/// The page size for a request: the size in the query, otherwise the limit, otherwise the provider's default. A limit
/// never exceeds the default, and no size exceeds `max`.
pub(super) fn page_size(query: &Query, default: u32, max: u32) -> u32 {
    let wanted = query.limit.and_then(|limit| u32::try_from(limit).ok());
    query.page_size.or(wanted.map(|wanted| wanted.min(default))).unwrap_or(default).clamp(1, max)
}

/// A provider's files, page by page. The next page is requested while the current one is in use.
pub struct Listing {
    provider: Arc<dyn Provider>,
    query: Query,
    /// The part of the filter that is evaluated locally.
    check: Option<Filter>,
    /// The fields that the provider returned when the filter was split.
    stated: &'static [&'static str],
    /// The request for the next page.
    ahead: Option<JoinHandle<Result<Page>>>,
    cursor: Option<String>,
    seen: SeenPages,
    left: u64,
    started: bool,
    ended: bool,
    /// Whether to read all files before returning the first one.
    collects: bool,
    /// Whether the listing starts at a cursor.
    resumes: bool,
    /// Whether the limit cut off files on the last page.
    cut: bool,
    /// Files older than this are not needed.
    since: Option<Timestamp>,
}

impl Listing {
    /// Creates a listing for `query` that starts at `cursor`, if given. Rejects a filter or an order on fields that
    /// the listing does not return.
    pub fn new(provider: Arc<dyn Provider>, query: Query, cursor: Option<String>) -> Result<Self> {
        let collects = query.sort.as_ref().is_some_and(|sort| !provider.capabilities().list.sorts(sort));
        let mut listing = Self {
            left: query.limit.unwrap_or(u64::MAX),
            stated: provider.stated(),
            check: None,
            provider,
            query,
            ahead: None,
            resumes: cursor.is_some(),
            seen: SeenPages::before(cursor.as_deref()),
            cursor,
            started: false,
            ended: false,
            collects,
            cut: false,
            since: None,
        };
        listing.decide()?;
        Ok(listing)
    }

    /// Determines the part of the filter to evaluate locally, depending on the fields that the provider returns now.
    fn decide(&mut self) -> Result<()> {
        let provider = self.provider.as_ref();
        self.stated = provider.stated();
        self.check = self.query.filter.as_ref().map(|filter| left_to_check(provider, filter)).transpose()?;
        match self.query.sort.as_ref().filter(|_| self.collects) {
            Some(sort) => require_stated(provider, &sort.field, "sort by it"),
            None => Ok(()),
        }
    }

    /// Stops at the first page with a file older than `since`, if the platform lists the newest files first.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since).filter(|_| self.provider.capabilities().list.newest_first);
        self
    }

    /// Whether all files are read before the first one is returned.
    pub fn reads_all_first(&self) -> bool {
        self.collects
    }

    /// The cursor for the page after the last one returned; `None` at the end, or if the cursor would skip files.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref().filter(|_| !self.cut && !self.collects)
    }

    /// The next matching files, at least one. Returns `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<File>>> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.collects {
            return if std::mem::replace(&mut self.ended, true) {
                Ok(None)
            } else {
                self.collect().await.map(Some)
            };
        }
        while let Some(mut files) = self.page().await? {
            let found = files.len();
            files.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.cut = files.len() < found;
            self.left -= files.len() as u64;
            if self.left == 0 {
                self.stop();
            }
            if !files.is_empty() {
                return Ok(Some(files));
            }
        }
        Ok(None)
    }

    /// Collects all files in memory.
    pub async fn all(mut self) -> Result<Vec<File>> {
        let mut all = Vec::new();
        while let Some(files) = self.next().await? {
            all.extend(files);
        }
        Ok(all)
    }

    /// Reads one page from the platform and filters it.
    async fn page(&mut self) -> Result<Option<Vec<File>>> {
        if self.ended {
            return Ok(None);
        }
        let first = !std::mem::replace(&mut self.started, true);
        let under_way = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.ask(self.cursor.clone()),
        };
        let page = under_way.await.map_err(|error| Error::failed(format!("listing stopped: {error}")))??;
        // The response may show that the server returns different fields.
        if self.stated != self.provider.stated() {
            self.decide()?;
        }
        let past = |file: &File| self.since > file.created_at && file.created_at.is_some();
        self.cursor = page.next.filter(|_| !page.files.iter().any(past));
        let mut files = page.files;
        let platform = self.provider.spec().name;
        self.seen.add(platform, &mut files, |file| file.id.as_str(), self.cursor.as_deref())?;
        if let Some(filter) = &self.check {
            files.retain(|file| filter.matches(file));
        }
        match self.cursor.clone() {
            None => self.ended = true,
            Some(next) => {
                // Request a page in advance only if it is certainly needed.
                if self.collects || self.left > files.len() as u64 {
                    self.ahead = Some(self.ask(Some(next)));
                }
            }
        }
        // A single-page listing is sorted newest first even if the server does not sort it.
        let whole = first && self.ended && !self.resumes;
        if whole && self.query.sort.is_none() && !self.provider.capabilities().list.newest_first {
            files.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        }
        Ok(Some(files))
    }

    fn ask(&self, cursor: Option<String>) -> JoinHandle<Result<Page>> {
        let (provider, mut query) = (Arc::clone(&self.provider), self.query.clone());
        // Small pages would only cause more requests.
        query.limit = query.limit.filter(|_| self.check.is_none() && !self.collects);
        tokio::spawn(async move { provider.list(&query, cursor.as_deref()).await })
    }

    fn stop(&mut self) {
        self.ended = true;
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
    }

    /// Reads and sorts all files. If there is a limit, only that many files are kept in memory.
    async fn collect(&mut self) -> Result<Vec<File>> {
        let sort = self
            .query
            .sort
            .clone()
            .unwrap_or_else(|| Sort { field: "created_at".to_owned(), descending: true });
        let limit = self.query.limit.and_then(|limit| usize::try_from(limit).ok());
        let mut heap: BinaryHeap<Ranked> = BinaryHeap::new();
        self.ended = false;
        let mut order = 0;
        while let Some(files) = self.page().await? {
            for file in files {
                heap.push(Ranked {
                    key: sort_key(&file, &sort.field),
                    descending: sort.descending,
                    order,
                    file,
                });
                order += 1;
                if limit.is_some_and(|limit| heap.len() > limit) {
                    heap.pop();
                }
            }
        }
        self.ended = true;
        Ok(heap.into_sorted_vec().into_iter().map(|ranked| ranked.file).collect())
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Sorts files from several listings.
pub fn sort_files(files: Vec<File>, sort: &Sort) -> Vec<File> {
    let mut ranked: Vec<Ranked> = (0..)
        .zip(files)
        .map(|(order, file)| {
            let key = sort_key(&file, &sort.field);
            Ranked { key, descending: sort.descending, order, file }
        })
        .collect();
    ranked.sort();
    ranked.into_iter().map(|ranked| ranked.file).collect()
}

/// A file with its sort key. A file that comes later compares as greater.
struct Ranked {
    key: SortKey,
    descending: bool,
    order: u64,
    file: File,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (&self.key, &other.key);
        // Unknown values come last in both directions; equal values keep the platform's order.
        let known = a.is_unknown().cmp(&b.is_unknown());
        let ordered = a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        known
            .then(if self.descending { ordered.reverse() } else { ordered })
            .then(self.order.cmp(&other.order))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

#[derive(PartialEq, PartialOrd)]
enum SortKey {
    Unknown,
    Number(f64),
    Time(jiff::Timestamp),
    Text(String),
}

impl SortKey {
    fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}

fn sort_key(file: &File, field: &str) -> SortKey {
    let text = |text: Option<&String>| text.map_or(SortKey::Unknown, |text| SortKey::Text(text.clone()));
    let time = |time: Option<jiff::Timestamp>| time.map_or(SortKey::Unknown, SortKey::Time);
    match field {
        "id" => SortKey::Text(file.id.0.clone()),
        "name" => SortKey::Text(file.name.clone()),
        #[allow(clippy::cast_precision_loss, reason = "exact up to 9 PB, and used only in comparisons")]
        "size" => file.size.map_or(SortKey::Unknown, |size| SortKey::Number(size as f64)),
        "content_type" => text(file.content_type.as_ref()),
        "purpose" => text(file.purpose.as_ref()),
        "path" => text(file.path.as_ref()),
        "status" => text(file.status.as_ref()),
        "url" => text(file.url.as_ref()),
        "downloadable" => {
            file.downloadable.map_or(SortKey::Unknown, |yes| SortKey::Number(f64::from(u8::from(yes))))
        }
        "created_at" => time(file.created_at),
        "updated_at" => time(file.updated_at),
        "expires_at" => time(file.expires_at),
        other => {
            let (object, path) = match other.split_once('.') {
                Some(("metadata", key)) => (&file.metadata, key),
                Some(("extra", key)) => (&file.extra, key),
                _ => return SortKey::Unknown,
            };
            match filter::lookup(object, path) {
                None | Some(serde_json::Value::Null) => SortKey::Unknown,
                Some(serde_json::Value::Number(number)) => {
                    number.as_f64().map_or(SortKey::Unknown, SortKey::Number)
                }
                Some(serde_json::Value::String(text)) => SortKey::Text(text.clone()),
                Some(other) => SortKey::Text(other.to_string()),
            }
        }
    }
}

/// Whether a single file matches a filter. The platform is queried if only it can evaluate the filter.
pub async fn passes(provider: &Arc<dyn Provider>, filter: &Filter, file: &File) -> Result<bool> {
    if left_to_check(provider.as_ref(), filter)? == *filter {
        return Ok(filter.matches(file));
    }
    let filter = Filter::id_is(file.id.as_str()).and(filter.clone());
    let query = Query { filter: Some(filter), limit: Some(1), ..Query::default() };
    Ok(Listing::new(Arc::clone(provider), query, None)?.next().await?.is_some())
}

/// The file with the properties that listings of object storage omit: media type, metadata and checksum.
pub async fn described<'a>(provider: &dyn Provider, file: &'a File) -> Result<Cow<'a, File>> {
    if provider.spec().names_are_ids() && file.content_type.is_none() {
        return provider.stat(&file.id).await.map(Cow::Owned);
    }
    Ok(Cow::Borrowed(file))
}

/// The files with exactly this name or, if there are none, the files whose name is the same [in NFC](names_match). A
/// platform that filters by name is queried for each spelling in turn; otherwise, all files are listed.
pub async fn files_named(provider: &Arc<dyn Provider>, name: &str) -> Result<Vec<File>> {
    files_named_since(provider, name, None).await
}

/// Like [`files_named`], but only for files created [since](Listing::since) a time.
pub async fn files_named_since(
    provider: &Arc<dyn Provider>,
    name: &str,
    since: Option<Timestamp>,
) -> Result<Vec<File>> {
    let listing = |filter| {
        let query = Query { filter, ..Query::default() };
        let listing = Listing::new(Arc::clone(provider), query, None)?;
        Ok::<_, Error>(since.into_iter().fold(listing, Listing::since))
    };
    let spellings = spellings(name);
    let mut found: Vec<File> = Vec::new();
    if filters_names(provider.as_ref()) || spellings.len() == 1 {
        for spelling in spellings {
            found.extend(listing(Some(Filter::name_is(&spelling)))?.all().await?);
            if spelling == name && !found.is_empty() {
                return Ok(found);
            }
        }
    } else {
        let mut listing = listing(None)?;
        while let Some(page) = listing.next().await? {
            found.extend(page.into_iter().filter(|file| names_match(&file.name, name)));
        }
    }
    Ok(exact_or_equivalent(found, name))
}

/// Whether the platform filters by name.
pub fn filters_names(provider: &dyn Provider) -> bool {
    let mut native = provider.capabilities().list.native.iter();
    native.any(|native| native.field == "name" && native.ops.contains(&Op::Eq))
}

/// The files with exactly this name or, if there are none, all of these files.
pub fn exact_or_equivalent(mut found: Vec<File>, name: &str) -> Vec<File> {
    if found.iter().any(|file| file.name == name) {
        found.retain(|file| file.name == name);
    }
    found
}

/// The files with this name on the first page of a listing: all of them if the platform filters by name, or the
/// newest ones if it lists the newest files first.
pub async fn newest_named(provider: &Arc<dyn Provider>, name: &str) -> Result<Vec<File>> {
    let query = Query { filter: Some(Filter::name_is(name)), ..Query::default() };
    let mut page = provider.list(&query, None).await?;
    page.files.retain(|file| names_match(&file.name, name));
    Ok(page.files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of new items on each page; `None` for an error.
    fn seen(start: Option<&str>, pages: &[(&[&str], Option<&str>)]) -> Vec<Option<usize>> {
        let mut seen = SeenPages::before(start);
        let add = |(items, next): &(&[&str], Option<&str>)| {
            let mut items = items.to_vec();
            seen.add("p", &mut items, |item| item, *next).ok().map(|()| items.len())
        };
        pages.iter().map(add).collect()
    }

    #[test]
    fn a_limit_shrinks_a_page() {
        let size =
            |limit, wanted| page_size(&Query { limit, page_size: wanted, ..Query::default() }, 100, 1000);
        assert_eq!((size(None, None), size(Some(7), None)), (100, 7));
        assert_eq!((size(Some(0), None), size(Some(u64::MAX), None), size(Some(500), None)), (1, 100, 100));
        assert_eq!((size(Some(7), Some(5000)), size(Some(7), Some(2)), size(None, Some(0))), (1000, 2, 1));
    }

    #[test]
    fn a_repeated_page_is_an_error() {
        let (a, b): (&[&str], &[&str]) = (&["a1", "a2"], &["b1", "b2"]);
        assert_eq!(
            seen(None, &[(a, Some("1")), (b, Some("2")), (&["c"], None)]),
            [Some(2), Some(2), Some(1)]
        );
        assert_eq!(seen(Some("0"), &[(a, Some("0"))]), [None], "where it started");
        assert_eq!(seen(None, &[(a, Some("1")), (b, Some("1"))]), [Some(2), None], "the same cursor");
        assert_eq!(seen(None, &[(a, Some("1")), (a, Some("2"))]), [Some(2), None], "the same page");
        assert_eq!(seen(None, &[(a, Some("1")), (b, Some("2")), (a, None)]), [Some(2), Some(2), None]);
        let (overlap, turned): (&[&str], &[&str]) = (&["a2", "b1"], &["a2", "a1"]);
        let shifted: &[&str] = &["a0", "a1"];
        assert_eq!(
            seen(None, &[(a, Some("1")), (shifted, Some("2"))]),
            [Some(2), Some(1)],
            "one new in front"
        );
        assert_eq!(
            seen(None, &[(a, Some("1")), (overlap, Some("2")), (b, None)]),
            [Some(2), Some(1), Some(1)]
        );
        assert_eq!(
            seen(None, &[(a, Some("1")), (turned, Some("2"))]),
            [Some(2), None],
            "nothing new and more"
        );
        assert_eq!(
            seen(None, &[(a, Some("1")), (turned, None)]),
            [Some(2), Some(0)],
            "nothing new at the end"
        );
        assert_eq!(seen(None, &[(&[], Some("1")), (&[], Some("1"))]), [Some(0), None], "no items");
    }

    #[test]
    fn a_next_page_has_a_cursor() {
        let next = |more, next: Option<&str>| next_cursor("p", more, next.map(str::to_owned)).ok();
        assert_eq!(next(true, Some("c")), Some(Some("c".to_owned())));
        assert_eq!(
            (next(false, Some("c")), next(false, None), next(true, None)),
            (Some(None), Some(None), None)
        );
    }
}
