//! Content in object storage. Each blob has its own key, and a row in the database that says whether a file refers to
//! it.
//!
//! ```text
//! PREFIX/haul-store   the id of the store, so that no other store uses the same place
//! PREFIX/blobs/KEY    content
//! PREFIX/probe-KEY    written and deleted when a store is opened
//! ```
//!
//! The row of a blob is inserted as `pending` before its object is written, becomes `stored` in the transaction that
//! adds the file, and `deleting` in the transaction that removes the file. After that, the object is deleted and then
//! the row. A blob that a crash left behind is deleted by the collector.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMode, PutPayload, RetryConfig,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::{Error, Kind, Result, with_causes};
use crate::secret::Secret;
use crate::source::CHUNK;
use crate::store::Failpoint;
use crate::store::background::Background;
use crate::store::index::postgres::Database;

/// The size of a part. Smaller content is written in one request.
const PART: u64 = 8 * 1024 * 1024;
/// Maximum number of parts of an object, below the limit of the services.
const PARTS: u64 = 9_000;
/// Maximum number of parts in flight, per upload and in total. Parts in flight are held in memory.
const PARALLEL: usize = 4;
const PARALLEL_IN_ALL: usize = 8;
/// How long and how often a failed request is retried.
const RETRY: Duration = Duration::from_secs(20);
const RETRIES: usize = 5;
/// How long to wait for the next data from a service.
const SILENCE: Duration = Duration::from_secs(30);
/// The error text of `object_store` for a redirect without a `Location`.
const REDIRECT: &str = "Received redirect";
/// How many times in a row a broken download resumes without receiving anything.
const CONTINUATIONS: u32 = 3;

/// A bucket, or a prefix in a bucket, that contains the blobs of one store.
pub(in crate::store) struct Bucket {
    background: Arc<Background>,
    database: Arc<Database>,
    objects: Arc<dyn ObjectStore>,
    /// The prefix of all keys; empty or ending in a slash.
    prefix: String,
    /// The address, for messages.
    pub(in crate::store) shown: String,
    scheme: &'static str,
    parts: Arc<Semaphore>,
}

/// A blob that no file refers to yet. Its object is deleted when it is dropped.
pub(in crate::store) struct Upload {
    key: String,
    bucket: Option<Arc<Bucket>>,
}

impl Upload {
    pub(in crate::store) fn key(&self) -> &str {
        &self.key
    }

    /// Leaves the object alone, because a file refers to it or may do so.
    pub(in crate::store) fn keep(mut self) {
        self.bucket = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(bucket) = self.bucket.take() {
            let key = std::mem::take(&mut self.key);
            let background = Arc::clone(&bucket.background);
            background.spawn(async move { bucket.discard(&key).await });
        }
    }
}

impl Bucket {
    /// Prepares access to `s3://BUCKET/PREFIX`, `gs://…` or `az://…`. `variables` contains credentials and settings
    /// under the names of the vendors' environment variables.
    pub(in crate::store) fn new(
        address: &str,
        variables: &[(String, Secret)],
        database: &Arc<Database>,
        background: &Arc<Background>,
    ) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(format!("--blobs {address}: {why}"))
                .hint("`--blobs s3://BUCKET/PREFIX`, `gs://…` or `az://…`")
        };
        let (scheme, rest) =
            address.split_once("://").ok_or_else(|| invalid("not an address of object storage"))?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._$".contains(&byte))
        {
            return Err(invalid("the name of the bucket is missing or not valid"));
        }
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() && Path::parse(prefix).ok().is_none_or(|path| path.as_ref() != prefix) {
            return Err(invalid("the prefix is not valid"));
        }
        // The HTTP client of `object_store` uses the process's default crypto provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            ClientOptions::new().with_allow_http(true).with_timeout_disabled().with_read_timeout(SILENCE);
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(3),
            base: 2.,
        };
        let retry = RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY };
        let failed = |error: object_store::Error| Error::usage(format!("--blobs {address}")).caused_by(error);
        let (scheme, objects): (_, Arc<dyn ObjectStore>) = match scheme {
            "s3" => {
                let mut builder = AmazonS3Builder::new();
                for (key, value) in configured(variables) {
                    builder = builder.with_config(key, value);
                }
                if !variables
                    .iter()
                    .any(|(name, _)| name.starts_with("AWS_REGION") || name == "AWS_DEFAULT_REGION")
                {
                    builder = builder.with_region("us-east-1");
                }
                // Some compatible services lack the request that deletes several objects.
                let builder = builder.with_bucket_name(name).with_disable_bulk_delete(true);
                (
                    "s3",
                    Arc::new(builder.with_client_options(client).with_retry(retry).build().map_err(failed)?),
                )
            }
            "gs" => {
                let mut builder = GoogleCloudStorageBuilder::new();
                for (key, value) in configured(variables) {
                    builder = builder.with_config(key, value);
                }
                let builder = builder.with_bucket_name(name);
                (
                    "gs",
                    Arc::new(builder.with_client_options(client).with_retry(retry).build().map_err(failed)?),
                )
            }
            "az" => {
                let mut builder = MicrosoftAzureBuilder::new();
                for (key, value) in configured(variables) {
                    builder = builder.with_config(key, value);
                }
                let connection = variables.iter().find(|(name, _)| name == "AZURE_STORAGE_CONNECTION_STRING");
                for part in connection.iter().flat_map(|(_, text)| text.expose().split(';')) {
                    builder = match part.split_once('=') {
                        Some(("AccountName", name)) => builder.with_account(name),
                        Some(("AccountKey", key)) => builder.with_access_key(key),
                        Some(("BlobEndpoint", url)) => builder.with_endpoint(url.to_owned()),
                        _ => builder,
                    };
                }
                let builder = builder.with_container_name(name);
                (
                    "az",
                    Arc::new(builder.with_client_options(client).with_retry(retry).build().map_err(failed)?),
                )
            }
            _ => return Err(invalid("the address must start with `s3://`, `gs://` or `az://`")),
        };
        Ok(Self {
            background: Arc::clone(background),
            database: Arc::clone(database),
            objects,
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            shown: format!("{scheme}://{name}{}{prefix}", if prefix.is_empty() { "" } else { "/" }),
            scheme,
            parts: Arc::new(Semaphore::new(PARALLEL_IN_ALL)),
        })
    }

    /// Checks that objects can be read, written, listed and deleted, and that the prefix belongs to the store with
    /// this id.
    pub(in crate::store) fn claim(&self, id: &str) -> Result<()> {
        self.background.wait(async {
            let marker = self.path("haul-store");
            let found = match self.read(&marker).await {
                Ok(found) => found,
                Err(object_store::Error::NotFound { source, .. })
                    if !format!("{source:?}").contains("NoSuchBucket") =>
                {
                    let mine = PutPayload::from(id.to_owned());
                    // Of two replicas that start at once with different databases, one wins.
                    match self.objects.put_opts(&marker, mine, PutMode::Create.into()).await {
                        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                        Err(error) => return Err(self.failed("write objects", &error)),
                    }
                    self.read(&marker).await.map_err(|error| self.failed("read objects", &error))?
                }
                Err(error) => return Err(self.failed("read objects", &error)),
            };
            if found != id.as_bytes() {
                return Err(Error::failed(format!("{}: this prefix belongs to another index", self.shown))
                    .hint(format!(
                        "use a prefix that contains no objects: `--blobs {}://BUCKET/PREFIX`",
                        self.scheme
                    ))
                    .hint("or use the index of this prefix: `--index postgres://…`"));
            }
            let probe = self.path(&format!("probe-{}", Uuid::new_v4().simple()));
            let wrote = self.objects.put(&probe, PutPayload::from_static(b"probe")).await;
            wrote.map_err(|error| self.failed("write objects", &error))?;
            self.list().next().await.transpose().map_err(|error| self.failed("list objects", &error))?;
            match self.objects.delete(&probe).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.failed("delete objects", &error)),
            }
        })
    }

    async fn read(&self, path: &Path) -> Result<Bytes, object_store::Error> {
        self.objects.get(path).await?.bytes().await
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.prefix))
    }

    fn blob(&self, key: &str) -> Path {
        self.path(&format!("blobs/{key}"))
    }

    /// Inserts a row for a new blob, and writes the content of `file` to its object.
    pub(in crate::store) fn put(self: &Arc<Self>, file: &File, size: u64) -> Result<Upload> {
        let key = Uuid::new_v4().simple().to_string();
        let file = Arc::new(file.try_clone().map_err(spool_failed)?);
        self.background.wait(async {
            self.database.run("INSERT INTO blobs (key) VALUES ($1)", &[&key]).await?;
            // If anything fails, the drop deletes what was written.
            let upload = Upload { key, bucket: Some(Arc::clone(self)) };
            let path = self.blob(&upload.key);
            if size <= PART {
                let (_permit, part) = self.part(&file, 0, size).await?;
                let put = self.objects.put(&path, part.into()).await;
                put.map_err(|error| self.failed("write objects", &error))?;
            } else {
                self.put_parts(&path, &file, size).await?;
            }
            Failpoint::Placed.reached();
            Ok(upload)
        })
    }

    async fn put_parts(&self, path: &Path, file: &Arc<File>, size: u64) -> Result<()> {
        let failed = |error: object_store::Error| self.failed("write objects", &error);
        let length = size.div_ceil(PARTS).next_multiple_of(1024 * 1024).max(PART);
        let mut parts = self.objects.put_multipart(path).await.map_err(failed)?;
        let mut sending = JoinSet::new();
        let sent = async {
            let mut at = 0;
            while at < size {
                if sending.len() >= PARALLEL
                    && let Some(sent) = sending.join_next().await
                {
                    joined(sent).map_err(failed)?;
                }
                let (permit, part) = self.part(file, at, length.min(size - at)).await?;
                let send = parts.put_part(part.into());
                sending.spawn(async move {
                    let _permit = permit;
                    send.await
                });
                at += length;
            }
            while let Some(sent) = sending.join_next().await {
                joined(sent).map_err(failed)?;
            }
            parts.complete().await.map_err(failed).map(drop)
        };
        let sent = sent.await;
        if sent.is_err() {
            sending.shutdown().await;
            let _ = parts.abort().await;
        }
        sent
    }

    /// Reads a part of a file, after waiting for a permit that bounds the number of parts in memory.
    async fn part(
        &self,
        file: &Arc<File>,
        at: u64,
        length: u64,
    ) -> Result<(tokio::sync::OwnedSemaphorePermit, Bytes)> {
        let permit = Arc::clone(&self.parts).acquire_owned().await;
        let permit = permit.map_err(|_| Error::failed("the store is closed"))?;
        let file = Arc::clone(file);
        let read = tokio::task::spawn_blocking(move || read_part(&file, at, length)).await;
        let part = read.map_err(io::Error::other).flatten().map_err(spool_failed)?;
        Ok((permit, part.into()))
    }

    /// Opens the content with this key and size.
    pub(in crate::store) fn open(self: &Arc<Self>, key: &str, size: u64) -> io::Result<Object> {
        let mut object = Object {
            bucket: Arc::clone(self),
            path: self.blob(key),
            size,
            end: size,
            position: 0,
            bytes: Bytes::new(),
            stream: None,
            failures: 0,
        };
        // The first bytes, which are all bytes of most files, show whether the object exists.
        let end = size.min(CHUNK as u64);
        if end > 0 {
            let first = self.background.wait(self.objects.get_range(&object.path, 0..end));
            object.bytes = first.map_err(|error| self.read_failed(&error))?;
            object.position = end;
            if object.bytes.len() as u64 != end {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(object)
    }

    fn read_failed(&self, error: &object_store::Error) -> io::Error {
        match error {
            object_store::Error::NotFound { .. } => io::ErrorKind::NotFound.into(),
            error => io::Error::other(self.failed("read objects", error).message().to_owned()),
        }
    }

    /// Deletes blobs that no file refers to any more. If that fails, the collector deletes them later.
    pub(in crate::store) fn delete(&self, keys: &[String]) {
        if keys.is_empty() {
            return;
        }
        self.background.wait(async {
            futures_util::stream::iter(keys).for_each_concurrent(PARALLEL, |key| self.discard(key)).await;
        });
    }

    /// Deletes a blob and its row, with a warning if that fails.
    async fn discard(&self, key: &str) {
        if let Err(error) = self.remove(key).await {
            self.database.warn(format!("{error}; the collector will try again"));
        }
    }

    /// Deletes a blob and then its row.
    pub(in crate::store) async fn remove(&self, key: &str) -> Result<()> {
        self.remove_object(key).await?;
        Failpoint::Freed.reached();
        let sql = "DELETE FROM blobs WHERE key = $1 AND state <> 'stored'";
        self.database.run(sql, &[&key]).await.map(drop)
    }

    pub(in crate::store) async fn remove_object(&self, key: &str) -> Result<()> {
        match self.objects.delete(&self.blob(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete objects", &error)),
        }
    }

    /// The objects with content.
    pub(in crate::store) fn list(&self) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.objects.list(Some(&self.path("blobs")))
    }

    /// The key of an object with content.
    pub(in crate::store) fn key_of(&self, object: &ObjectMeta) -> Option<String> {
        let key = object.location.as_ref().strip_prefix(&self.prefix)?.strip_prefix("blobs/")?;
        Some(key.to_owned())
    }

    /// The error for a failed request. `doing` describes the request, such as `read objects`.
    pub(in crate::store) fn failed(&self, doing: &str, error: &object_store::Error) -> Error {
        let whole = with_causes(error).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = shortened(&whole);
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let new = |kind: Kind, reason: &str| {
            let error = Error::new(kind, format!("cannot {doing} in the store's bucket"));
            error.cause(format!("{}: {reason}", self.shown))
        };
        let credentials = match self.scheme {
            "s3" => "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
            "gs" => "check GOOGLE_APPLICATION_CREDENTIALS",
            _ => "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        };
        if has(&["NoSuchBucket", "ContainerNotFound"]) {
            return new(Kind::Unreachable, &text)
                .hint("the bucket does not exist: create it, or correct `--blobs`");
        }
        let is_rejected = [
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "ExpiredToken",
            "AuthenticationFailed",
            "169.254.169.254",
            "metadata.google",
        ];
        if has(&is_rejected) || matches!(error, object_store::Error::Unauthenticated { .. }) {
            return new(Kind::Auth, &text).hint(credentials);
        }
        if has(&["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint", REDIRECT])
        {
            let reason = if text.contains(REDIRECT) { "the service redirects the request" } else { &text };
            let region = element(&whole, "Region").unwrap_or("NAME");
            return new(Kind::Unreachable, reason)
                .hint(format!("the bucket is in another region: `export AWS_REGION={region}`"));
        }
        if has(&["RequestTimeTooSkewed"]) {
            return new(Kind::Unreachable, &text)
                .hint("the clock of this machine is wrong: set it, and try again");
        }
        if has(&["AccessDenied", "AuthorizationPermissionMismatch", "403 Forbidden"]) {
            let allow = match (self.scheme, doing) {
                ("s3", "delete objects") => "s3:DeleteObject",
                ("s3", "list objects") => "s3:ListBucket",
                ("s3", "read objects") => "s3:GetObject, and s3:ListBucket for the bucket",
                ("s3", _) => "s3:PutObject and s3:AbortMultipartUpload",
                _ => "read, write, list and delete access to objects",
            };
            return new(Kind::Auth, &text).hint(format!("the credentials lack a permission: grant {allow}"));
        }
        new(Kind::Unreachable, &text).hint("check the network and the address of the service")
    }
}

/// The variables that are settings of a service.
fn configured<K: std::str::FromStr>(variables: &[(String, Secret)]) -> impl Iterator<Item = (K, String)> {
    let known = |(name, value): &(String, Secret)| {
        Some((name.to_ascii_lowercase().parse().ok()?, value.expose().to_owned()))
    };
    variables.iter().filter_map(known)
}

fn joined(sent: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<(), object_store::Error> {
    sent.unwrap_or_else(|source| Err(object_store::Error::JoinError { source }))
}

fn spool_failed(error: io::Error) -> Error {
    Error::failed("cannot read received content from the temporary folder").caused_by(error)
}

#[cfg(unix)]
fn read_part(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut part, at)?;
    Ok(part)
}

#[cfg(not(unix))]
fn read_part(file: &File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    // One upload reads its parts one after the other.
    let mut file = file;
    let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.seek(io::SeekFrom::Start(at))?;
    file.read_exact(&mut part)?;
    Ok(part)
}

/// The code and the message of an XML error, or the start of any other error.
fn shortened(text: &str) -> String {
    if let Some(code) = element(text, "Code") {
        return match element(text, "Message") {
            Some(message) => format!("{code}: {}", message.trim_end_matches('.')),
            None => code.to_owned(),
        };
    }
    let mut text = text.to_owned();
    if text.chars().count() > 600 {
        text = text.chars().take(600).chain("…".chars()).collect();
    }
    text
}

/// The text of an XML element.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let rest = text.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0).filter(|text| !text.is_empty())
}

/// Content being read from a bucket: sequentially in one request, or in another one from the same position if it
/// breaks.
pub(in crate::store) struct Object {
    bucket: Arc<Bucket>,
    path: Path,
    size: u64,
    /// The position at which reading ends.
    end: u64,
    /// The position after `bytes`.
    position: u64,
    /// Bytes that were received and not read yet.
    bytes: Bytes,
    stream: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    failures: u32,
}

impl Object {
    /// Seeks to a position.
    pub(in crate::store) fn start_at(&mut self, position: u64) {
        let begin = self.position - self.bytes.len() as u64;
        if (begin..=self.position).contains(&position) {
            let skipped = usize::try_from(position - begin).unwrap_or_default();
            self.bytes = self.bytes.slice(skipped..);
        } else {
            (self.bytes, self.stream, self.position) = (Bytes::new(), None, position);
        }
    }

    /// Ends the requests at this position instead of the end of the content.
    pub(in crate::store) fn stop_at(&mut self, end: u64) {
        let end = end.min(self.size);
        if end != self.end {
            (self.end, self.stream) = (end, None);
        }
    }

    /// Reads some of the next bytes and returns their number, which is 0 only at the end.
    pub(in crate::store) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.take(buffer.len())?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Appends some of the next bytes, at most `limit`.
    pub(in crate::store) fn fill(&mut self, into: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let bytes = self.take(limit)?;
        into.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn take(&mut self, length: usize) -> io::Result<Bytes> {
        while self.bytes.is_empty() && self.position < self.end {
            self.bytes = self.next()?;
            self.position += self.bytes.len() as u64;
        }
        Ok(self.bytes.split_to(length.min(self.bytes.len())))
    }

    fn next(&mut self) -> io::Result<Bytes> {
        let bucket = Arc::clone(&self.bucket);
        let received = bucket.background.wait(async {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => {
                    let range = Some(GetRange::Bounded(self.position..self.end));
                    let options = GetOptions { range, ..GetOptions::default() };
                    let found = bucket.objects.get_opts(&self.path, options).await?;
                    none.insert(found.into_stream().boxed())
                }
            };
            stream.try_next().await
        });
        match received {
            Ok(Some(bytes)) => {
                self.failures = 0;
                let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
                Ok(if bytes.len() > left { bytes.slice(..left) } else { bytes })
            }
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => {
                self.stream = None;
                self.failures += 1;
                if self.failures > CONTINUATIONS || matches!(error, object_store::Error::NotFound { .. }) {
                    return Err(bucket.read_failed(&error));
                }
                Ok(Bytes::new())
            }
        }
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("path", &self.path).finish_non_exhaustive()
    }
}
