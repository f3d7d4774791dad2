//! A listing over any provider: pages followed to the end, every file checked against the filter where the platform
//! does not decide it, order and limit kept where the platform does not.

use std::collections::{BinaryHeap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::stated::{left_to_check, require_sortable};
use super::{Page, Provider, Query, Sort};
use crate::error::{Error, Result};
use crate::filter::{self, Filter};
use crate::model::{File, FileId};

/// Pages in a row with nothing new after which a listing is taken to have no end. A platform that filters page by page
/// may send many empty ones before the first file that passes.
const FRUITLESS_PAGES: u32 = 1_000;

/// Files of a provider, page by page. The next page is asked for while this one is used.
pub struct Listing {
    provider: Arc<dyn Provider>,
    query: Query,
    /// The part of the filter that is checked here.
    check: Option<Filter>,
    /// The fields that the provider stated when that was decided.
    stated: &'static [&'static str],
    /// The page under way.
    ahead: Option<JoinHandle<Result<Page>>>,
    cursor: Option<String>,
    /// Hashes of the cursors seen: a platform that repeats one would have us list for ever.
    seen: HashSet<u64>,
    /// A hash of the ids of the last page that was not empty.
    last: u64,
    /// Pages in a row that were empty or the last one again.
    fruitless: u32,
    left: u64,
    started: bool,
    ended: bool,
    /// Whether all files must be read before the first can be given.
    collects: bool,
    /// Whether it starts where another ended.
    resumes: bool,
    /// Whether the limit left out files of the last page.
    cut: bool,
    /// Older files are not wanted.
    since: Option<Timestamp>,
}

impl Listing {
    /// A listing of `query`, from `cursor` on if given. Refuses a filter or an order on fields that its files do not
    /// state.
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
            cursor,
            seen: HashSet::new(),
            last: 0,
            fruitless: 0,
            started: false,
            ended: false,
            collects,
            cut: false,
            since: None,
        };
        listing.decide()?;
        Ok(listing)
    }

    /// Decides what is checked here, by what the provider states now.
    fn decide(&mut self) -> Result<()> {
        let provider = self.provider.as_ref();
        self.stated = provider.stated();
        self.check = self.query.filter.as_ref().map(|filter| left_to_check(provider, filter)).transpose()?;
        match self.query.sort.as_ref().filter(|_| self.collects) {
            Some(sort) => require_sortable(provider, &sort.field),
            None => Ok(()),
        }
    }

    /// Ends at the first page with a file from before `since`, where the platform lists the newest first.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since).filter(|_| self.provider.capabilities().list.newest_first);
        self
    }

    /// Whether the order forces all files to be read before the first can be given.
    pub fn reads_all_first(&self) -> bool {
        self.collects
    }

    /// Where the page after the last one given starts; None at the end, and where that would pass over files.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref().filter(|_| !self.cut && !self.collects)
    }

    /// The next files that pass, never none; None at the end.
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

    /// All of them: for a few.
    pub async fn all(mut self) -> Result<Vec<File>> {
        let mut all = Vec::new();
        while let Some(files) = self.next().await? {
            all.extend(files);
        }
        Ok(all)
    }

    /// One page of the platform's, filtered.
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
        // The answer may have told that the server states other fields.
        if self.stated != self.provider.stated() {
            self.decide()?;
        }
        let past = |file: &File| self.since > file.created_at && file.created_at.is_some();
        self.cursor = page.next.filter(|_| !page.files.iter().any(past));
        let mut files = page.files;
        if self.cursor.is_some() {
            self.watch_for_an_end(&files)?;
        }
        if let Some(filter) = &self.check {
            files.retain(|file| filter.matches(file));
        }
        match self.cursor.clone() {
            None => self.ended = true,
            Some(next) => {
                // A page is asked for ahead only if it is sure to be wanted.
                if self.collects || self.left > files.len() as u64 {
                    self.ahead = Some(self.ask(Some(next)));
                }
            }
        }
        // A listing that fits one page is shown newest first even where the server does not sort.
        let whole = first && self.ended && !self.resumes;
        if whole && self.query.sort.is_none() && !self.provider.capabilities().list.newest_first {
            files.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.id.cmp(&a.id)));
        }
        Ok(Some(files))
    }

    fn ask(&self, cursor: Option<String>) -> JoinHandle<Result<Page>> {
        let (provider, query) = (Arc::clone(&self.provider), self.query.clone());
        tokio::spawn(async move { provider.list(&query, cursor.as_deref()).await })
    }

    /// Refuses a page that shows that the listing goes in a circle or nowhere.
    fn watch_for_an_end(&mut self, files: &[File]) -> Result<()> {
        let platform = self.provider.spec().name;
        if !self.seen.insert(hash_of(&self.cursor)) {
            return Err(Error::platform(format!("{platform} repeats a page: its listing would never end")));
        }
        let ids: Vec<&FileId> = files.iter().map(|file| &file.id).collect();
        let ids = hash_of(&ids);
        if files.is_empty() || ids == self.last {
            self.fruitless += 1;
        } else {
            (self.last, self.fruitless) = (ids, 0);
        }
        if self.fruitless >= FRUITLESS_PAGES {
            return Err(Error::platform(format!(
                "{platform} sent {FRUITLESS_PAGES} pages with nothing new: its listing would never end"
            )));
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.ended = true;
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
    }

    /// Reads everything and sorts it; with a limit it holds no more than that many.
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

fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A file with its place in the order; the greatest is the last.
struct Ranked {
    key: SortKey,
    descending: bool,
    order: u64,
    file: File,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (&self.key, &other.key);
        // What is not known comes last in either direction; equals keep the platform's order.
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
        #[allow(clippy::cast_precision_loss, reason = "exact to 9 PB, and only compared")]
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
