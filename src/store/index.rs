//! The SQLite index.
