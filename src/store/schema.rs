//! The index's tables, as the steps that lead from one format to the next.

/// Step `n` turns format `n` into format `n + 1`; an empty database has format 0. A released step never changes.
pub(super) const STEPS: &[&str] = &[FILES_AND_NOTES, ORDERS_AND_DEPARTED, GENERATION];

/// The first format that counts changes.
pub(super) const COUNTS_CHANGES: usize = 3;

/// Times are microseconds since 1970. `metadata`, `extra` and `note` are JSON objects.
const FILES_AND_NOTES: &str = "
CREATE TABLE files (
    seq INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    profile TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_type TEXT,
    purpose TEXT,
    path TEXT,
    status TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER,
    expires_at INTEGER,
    sha256 TEXT NOT NULL,
    blake3 TEXT NOT NULL,
    md5 TEXT,
    metadata TEXT NOT NULL,
    downloadable INTEGER,
    url TEXT,
    extra TEXT NOT NULL,
    UNIQUE (space, id)
);
CREATE INDEX files_by_content ON files (sha256);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE notes (
    seq INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    about TEXT,
    note TEXT NOT NULL,
    UNIQUE (kind, key, space)
);
CREATE INDEX notes_by_file ON notes (space, about, kind) WHERE about IS NOT NULL;
";

/// An index for each order of a listing, and where a deleted file was in them.
const ORDERS_AND_DEPARTED: &str = "
CREATE INDEX files_by_creation ON files (space, created_at, id);
CREATE INDEX files_by_name ON files (space, name, id);
CREATE INDEX files_by_size ON files (space, size, id);
CREATE TABLE departed (
    space TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    departed_at INTEGER NOT NULL,
    PRIMARY KEY (space, id)
) WITHOUT ROWID;
CREATE INDEX departed_by_time ON departed (departed_at);
";

/// The number of changes in the index, which is compared with the number in a file next to it.
const GENERATION: &str = "
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);
";
