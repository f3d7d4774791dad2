//! The tables and their migrations.

use uuid::Uuid;

use super::Database;
use crate::error::{Error, Result};

/// The oldest version of PostgreSQL with the functions that haul uses.
const OLDEST: i32 = 130_000;

/// Step `n` migrates format `n` to format `n + 1`. A released step never changes.
const STEPS: &[&str] = &[TABLES];

/// Times are in microseconds since 1970, except `since`, which is set by the database's own clock. `metadata`, `extra`
/// and `note` are JSON objects. Text is compared byte by byte.
const TABLES: &str = r#"
CREATE TABLE blobs (
    key TEXT COLLATE "C" PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'stored', 'deleting')),
    since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX blobs_without_file ON blobs (since) WHERE state <> 'stored';
CREATE TABLE files (
    space TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    provider TEXT NOT NULL,
    profile TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    content_type TEXT,
    purpose TEXT,
    path TEXT,
    status TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT,
    expires_at BIGINT,
    sha256 TEXT NOT NULL,
    blake3 TEXT NOT NULL,
    md5 TEXT,
    metadata TEXT NOT NULL,
    downloadable BOOLEAN,
    url TEXT,
    extra TEXT NOT NULL,
    blob TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES blobs (key),
    PRIMARY KEY (space, id)
);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX files_by_creation ON files (space, created_at, id);
CREATE INDEX files_by_name ON files (space, name, id);
CREATE INDEX files_by_size ON files (space, size, id);
CREATE TABLE notes (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    about TEXT COLLATE "C",
    note TEXT NOT NULL,
    UNIQUE (kind, key, space)
);
CREATE INDEX notes_by_file ON notes (space, about, kind) WHERE about IS NOT NULL;
CREATE TABLE departed (
    space TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    departed_at BIGINT NOT NULL,
    PRIMARY KEY (space, id)
);
CREATE INDEX departed_by_time ON departed (space, departed_at);
"#;

/// The version of the tables, the id of the store, and the time of the last collection.
const STORE: &str = "
CREATE TABLE store (
    format BIGINT NOT NULL,
    id TEXT NOT NULL,
    collected_at TIMESTAMPTZ NOT NULL DEFAULT '-infinity'
)";

/// Creates or migrates the tables, and returns the id of the store. Several replicas can start at once.
pub(super) async fn migrate(database: &Database) -> Result<String> {
    let failed = |error: tokio_postgres::Error| database.failed(&error);
    let schema = &database.schema;
    let mut client = database.client().await?;
    let store = format!("{schema}.store");
    let version = "SELECT CAST(current_setting('server_version_num') AS INTEGER)";
    let version: i32 = client.query_one(version, &[]).await.map_err(failed)?.get(0);
    if version < OLDEST {
        return Err(Error::failed(format!(
            "{}: PostgreSQL {} is too old: haul needs {} or later",
            database.shown,
            version / 10_000,
            OLDEST / 10_000
        )));
    }
    let current = async |client: &deadpool_postgres::Client| {
        let is_there: bool =
            client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&store]).await.map_err(failed)?.get(0);
        if !is_there {
            return Ok(None);
        }
        let row = client.query_opt("SELECT format, id FROM store", &[]).await.map_err(failed)?;
        Ok::<_, Error>(row.map(|row| (row.get::<_, i64>(0), row.get::<_, String>(1))))
    };
    if let Some((format, id)) = current(&client).await?
        && is_known(database, format)? == STEPS.len()
    {
        return Ok(id);
    }
    let transaction = client.transaction().await.map_err(failed)?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    transaction.execute(lock, &[&format!("haul/{schema}")]).await.map_err(failed)?;
    // Another replica may have created the tables in the meantime.
    let has = "SELECT to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL";
    let row = transaction.query_one(has, &[schema, &store]).await.map_err(failed)?;
    let (has_schema, has_store): (bool, bool) = (row.get(0), row.get(1));
    if !has_schema {
        transaction.batch_execute(&format!("CREATE SCHEMA {schema}")).await.map_err(failed)?;
    }
    if !has_store {
        transaction.batch_execute(STORE).await.map_err(failed)?;
        let id = Uuid::new_v4().simple().to_string();
        transaction.execute("INSERT INTO store (format, id) VALUES (0, $1)", &[&id]).await.map_err(failed)?;
    }
    let row = transaction.query_one("SELECT format, id FROM store", &[]).await.map_err(failed)?;
    let format = is_known(database, row.get(0))?;
    for step in &STEPS[format..] {
        transaction.batch_execute(step).await.map_err(failed)?;
    }
    let format = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    transaction.execute("UPDATE store SET format = $1", &[&format]).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(row.get(1))
}

/// Checks that this version can read or migrate a format, and returns its number.
fn is_known(database: &Database, format: i64) -> Result<usize> {
    usize::try_from(format).ok().filter(|format| *format <= STEPS.len()).ok_or_else(|| {
        Error::failed(format!(
            "{}: unsupported index format {format}: this version of haul supports formats up to {}",
            database.shown,
            STEPS.len()
        ))
        .hint("update haul on this machine, or use another schema: `--index 'postgres://…?schema=NAME'`")
    })
}
