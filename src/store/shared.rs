//! Opens a store that several replicas share: PostgreSQL and object storage.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::background::Background;
use super::blobs::Blobs;
use super::blobs::bucket::Bucket;
use super::collect;
use super::index::Index;
use super::index::postgres::Database;
use super::index::postgres::address::Passwords;
use super::space::Reserve;
use super::{EXPIRE_AT_ONCE, Inner, Store};
use crate::error::Result;
use crate::model::{Clock, Warn};
use crate::secret::Secret;

/// How long a blob without a file is kept, unless a test shortens it.
const COLLECT_AFTER: Duration = Duration::from_hours(24);

/// The options of a shared store.
#[derive(Clone, Debug)]
pub struct SharedOptions {
    /// The index: `postgres://USER@HOST:PORT/DATABASE`, with libpq parameters such as `sslmode`, and with `schema`.
    pub index: String,
    /// Whether the address of the index may contain a password. An argument may not, because other users can read it.
    pub password_in_index: bool,
    /// The password for the index.
    pub password: Option<Secret>,
    /// The file with passwords in the format of `~/.pgpass`.
    pub password_file: Option<PathBuf>,
    /// Where content is stored: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`.
    pub blobs: String,
    /// Credentials and settings of the bucket, under the names of the vendors' environment variables, such as
    /// `AWS_ACCESS_KEY_ID`.
    pub variables: Vec<(String, Secret)>,
    /// How long a blob without a file is kept.
    pub collect_after: Duration,
    /// The clock that determines which files have expired.
    pub clock: Clock,
    /// Prints warnings, for example about blobs that cannot be deleted.
    pub warn: Warn,
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self {
            index: String::new(),
            password_in_index: false,
            password: None,
            password_file: None,
            blobs: String::new(),
            variables: Vec::new(),
            collect_after: COLLECT_AFTER,
            clock: Clock::default(),
            warn: Warn::default(),
        }
    }
}

impl Store {
    /// Opens or creates a shared store, and starts its collector. Must not be called on a thread that runs async code.
    pub fn open_shared(options: SharedOptions) -> Result<Self> {
        let SharedOptions {
            index,
            password,
            password_file,
            blobs,
            variables,
            collect_after,
            clock,
            warn,
            ..
        } = options;
        let background = Arc::new(Background::start()?);
        let passwords = Passwords {
            in_url: options.password_in_index,
            variable: password.as_ref(),
            file: password_file.as_deref(),
        };
        let (database, id) = Database::open(&index, &passwords, &background, warn)?;
        let database = Arc::new(database);
        let bucket = Arc::new(Bucket::new(&blobs, &variables, &database, &background)?);
        bucket.claim(&id)?;
        let inner = Arc::new(Inner {
            index: Index::Postgres(Arc::clone(&database)),
            blobs: Blobs::Bucket(Arc::clone(&bucket)),
            clock,
            reserve: Reserve::none(),
            _in_use: None,
            collector: Some(collect::Collector { background, database, bucket, after: collect_after }),
        });
        let store = Self { inner };
        store.expire_some(EXPIRE_AT_ONCE)?;
        collect::start(&store.inner);
        Ok(store)
    }
}
