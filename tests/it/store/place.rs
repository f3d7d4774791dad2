//! The place of a test's store. With `HAUL_TEST_INDEX` and `HAUL_TEST_BLOBS`, stores are in that database and bucket, each
//! with its own schema and prefix; otherwise they are in directories.

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use haul::model::{Clock, Warn};
use haul::secret::Secret;
use haul::store::{SharedOptions, Store};
use object_store::ObjectStore as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use tokio::runtime::Runtime;

use crate::store::support::sha256;

/// A place for one store.
pub struct SharedPlace {
    index: String,
    schema: String,
    blobs: String,
}

impl SharedPlace {
    /// The place that replaces the directory `root`; `None` without a database.
    pub fn of(root: &Path) -> Option<Self> {
        let (index, blobs) = (env::var("HAUL_TEST_INDEX").ok()?, env::var("HAUL_TEST_BLOBS").ok()?);
        let name = format!("t_{}", &sha256(root.as_os_str().as_encoded_bytes())[..16]);
        let between = if index.contains('?') { '&' } else { '?' };
        let index = format!("{index}{between}schema={name}");
        Some(Self { index, schema: name.clone(), blobs: format!("{}/{name}", blobs.trim_end_matches('/')) })
    }

    /// The place of a new store.
    pub fn new() -> Option<Self> {
        Self::of(tempfile::tempdir().unwrap().path())
    }

    pub fn options(&self) -> SharedOptions {
        let variables = env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        SharedOptions {
            index: self.index.clone(),
            password: env::var("PGPASSWORD").ok().map(|password| Secret::new(&password)),
            blobs: self.blobs.clone(),
            variables: variables.map(|(name, value)| (name, Secret::new(&value))).collect(),
            ..SharedOptions::default()
        }
    }

    /// The flags of `haul serve` for this place.
    pub fn flags(&self) -> [&str; 4] {
        ["--index", &self.index, "--blobs", &self.blobs]
    }

    pub fn open(&self, clock: Clock, warn: Warn) -> Store {
        Store::open_shared(SharedOptions { clock, warn, ..self.options() }).unwrap()
    }

    /// Opens the store as if all unused blobs were old, and deletes them.
    pub fn collect(&self) {
        let store =
            Store::open_shared(SharedOptions { collect_after: Duration::ZERO, ..self.options() }).unwrap();
        // The transactions of killed processes end first.
        store.transaction("s", |_| Ok(())).unwrap();
        store.collect().unwrap();
    }

    /// The number that a query in the schema of the store returns.
    pub fn number(&self, sql: &str) -> i64 {
        self.query(sql).get(0)
    }

    /// The text that a query in the schema of the store returns.
    pub fn text(&self, sql: &str) -> String {
        self.query(sql).get(0)
    }

    fn query(&self, sql: &str) -> tokio_postgres::Row {
        let (config, _) = self.index.split_once('?').unwrap();
        let mut config: tokio_postgres::Config = config.parse().unwrap();
        if let Ok(password) = env::var("PGPASSWORD") {
            config.password(password);
        }
        config.options(format!("-c search_path={}", self.schema));
        Runtime::new().unwrap().block_on(async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let row = client.query_one(sql, &[]).await.unwrap();
            connection.abort();
            row
        })
    }

    /// The number of objects with content.
    pub fn objects(&self) -> usize {
        // The client of `object_store` uses the process's default TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (bucket, prefix) = self.blobs.strip_prefix("s3://").unwrap().split_once('/').unwrap();
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_allow_http(true);
        let bucket = builder.with_region("us-east-1").build().unwrap();
        let prefix = Key::from(format!("{prefix}/blobs"));
        let objects = bucket.list(Some(&prefix)).try_fold(0, |count, _| async move { Ok(count + 1) });
        Runtime::new().unwrap().block_on(objects).unwrap()
    }

    /// Waits until only blobs of files are left, because abandoned uploads are deleted in the background. Returns
    /// `false` if that takes too long.
    pub fn is_tidy(&self) -> bool {
        let is_tidy = || {
            let stored = self.number("SELECT count(*) FROM blobs WHERE state = 'stored'");
            let all = self.number("SELECT count(*) FROM blobs");
            all == stored && self.objects() == usize::try_from(stored).unwrap()
        };
        let end = Instant::now() + Duration::from_secs(20);
        while !is_tidy() {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        true
    }
}
