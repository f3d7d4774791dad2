//! Deletes blobs of a shared store that no file refers to: those of uploads that a crash ended, and those that could
//! not be deleted together with their file. Ages are computed with the database's clock.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::TryStreamExt as _;

use super::background::Background;
use super::blobs::bucket::Bucket;
use super::index::postgres::Database;
use super::{Inner, Store};
use crate::error::{Error, Kind, Result};

/// Maximum time between two collections. Only one of several replicas collects in each interval.
const INTERVAL: Duration = Duration::from_hours(1);
/// Number of blobs claimed for deletion per query, and of objects compared with the index per query.
const AT_ONCE: i64 = 500;
const OBJECTS_AT_ONCE: usize = 1000;

/// The result of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The number of deleted blobs that no file referred to.
    pub blobs: u64,
    /// The number of deleted objects that had no row in the index.
    pub objects: u64,
    /// The number of blobs and objects that could not be deleted.
    pub failed: u64,
}

/// The parts of a shared store that a collection needs.
pub(super) struct Collector {
    pub(super) background: Arc<Background>,
    pub(super) database: Arc<Database>,
    pub(super) bucket: Arc<Bucket>,
    /// How long a blob without a file is kept.
    pub(super) after: Duration,
}

impl Store {
    /// Deletes the blobs and objects of a shared store that no file has referred to for a day. A running server does
    /// this every hour.
    pub fn collect(&self) -> Result<Collected> {
        let none = || Error::new(Kind::Unsupported, "only a shared store has a collector");
        let collector = self.inner.collector.as_ref().ok_or_else(none)?;
        collector.background.wait(collector.collect())
    }
}

/// Collects in the background, at once and then repeatedly, until the store is closed.
pub(super) fn start(inner: &Arc<Inner>) {
    let Some(Collector { background, after, .. }) = &inner.collector else { return };
    let pause = INTERVAL.min(*after / 2).max(Duration::from_millis(100));
    let inner = Arc::downgrade(inner);
    background.spawn(async move {
        // Opening the store has just deleted some expired files.
        let mut expires = false;
        while let Some(work) = in_turn(&inner, pause, expires) {
            let _ = work.await;
            tokio::time::sleep(pause).await;
            expires = true;
        }
    });
}

/// The next collection; `None` if the store is closed.
fn in_turn(inner: &Weak<Inner>, pause: Duration, expires: bool) -> Option<tokio::task::JoinHandle<()>> {
    let store = Store { inner: inner.upgrade()? };
    // The store's methods block. This also drops the store outside of async code.
    Some(tokio::task::spawn_blocking(move || {
        let Some(collector) = &store.inner.collector else { return };
        let work = || {
            if expires {
                store.expire()?;
            }
            if collector.background.wait(collector.take_turn(pause))? {
                let Collected { failed, .. } = store.collect()?;
                if failed > 0 {
                    let shown = &collector.bucket.shown;
                    collector.database.warn(format!("{shown}: some unused blobs could not be deleted"));
                }
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = work() {
            collector.database.warn(format!("the collector failed: {error}"));
        }
    }))
}

impl Collector {
    /// Whether no other replica has run its collector within this time.
    async fn take_turn(&self, pause: Duration) -> Result<bool> {
        let sql = "UPDATE store SET collected_at = clock_timestamp() \
             WHERE collected_at < clock_timestamp() - make_interval(secs => $1)";
        Ok(self.database.run(sql, &[&pause.as_secs_f64()]).await? > 0)
    }

    async fn collect(&self) -> Result<Collected> {
        let mut collected = Collected::default();
        self.collect_blobs(&mut collected).await?;
        self.collect_objects(&mut collected).await?;
        Ok(collected)
    }

    async fn collect_blobs(&self, collected: &mut Collected) -> Result<()> {
        let failed = |error: tokio_postgres::Error| self.database.failed(&error);
        // An upload whose blob is being deleted can no longer be committed.
        let sql = "UPDATE blobs SET state = 'deleting' WHERE key IN ( \
                 SELECT key FROM blobs WHERE state <> 'stored' AND key > $2 \
                     AND since < clock_timestamp() - make_interval(secs => $1) \
                     AND NOT EXISTS (SELECT FROM files WHERE files.blob = blobs.key) \
                 ORDER BY key LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING key";
        let mut last = String::new();
        loop {
            let client = self.database.client().await?;
            let rows =
                client.query(sql, &[&self.after.as_secs_f64(), &last, &AT_ONCE]).await.map_err(failed)?;
            drop(client);
            for row in &rows {
                let key: String = row.get(0);
                match self.bucket.remove(&key).await {
                    Ok(()) => collected.blobs += 1,
                    Err(error) => self.failed(collected, &error),
                }
                last = last.max(key);
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    async fn collect_objects(&self, collected: &mut Collected) -> Result<()> {
        let failed = |error: tokio_postgres::Error| self.database.failed(&error);
        let client = self.database.client().await?;
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp() - make_interval(secs => $1)) AS BIGINT)";
        let before: i64 = client.query_one(sql, &[&self.after.as_secs_f64()]).await.map_err(failed)?.get(0);
        drop(client);
        let objects = self.bucket.list().try_ready_chunks(OBJECTS_AT_ONCE);
        let mut objects = std::pin::pin!(objects);
        loop {
            let next = objects.try_next().await;
            let Some(page) = next.map_err(|error| self.bucket.failed("list objects", &error.1))? else {
                return Ok(());
            };
            let old = page.iter().filter(|object| object.last_modified.timestamp() < before);
            let keys: Vec<String> = old.filter_map(|object| self.bucket.key_of(object)).collect();
            if keys.is_empty() {
                continue;
            }
            let sql = "SELECT old.key FROM unnest($1::text[]) AS old (key) \
                 WHERE NOT EXISTS (SELECT FROM blobs WHERE blobs.key = old.key)";
            let client = self.database.client().await?;
            let rows = client.query(sql, &[&keys]).await.map_err(failed)?;
            drop(client);
            for row in rows {
                match self.bucket.remove_object(row.get(0)).await {
                    Ok(()) => collected.objects += 1,
                    Err(error) => self.failed(collected, &error),
                }
            }
        }
    }

    fn failed(&self, collected: &mut Collected, error: &Error) {
        collected.failed += 1;
        self.database.warn(error.to_string());
    }
}
