//! The half of a store that holds the records of files.

#[cfg(feature = "shared")]
pub(super) mod postgres;
mod rows;
pub(super) mod sql;
pub(super) mod sqlite;

#[cfg(feature = "shared")]
use std::sync::Arc;

pub(super) use rows::Rows;

use crate::error::Result;

/// The index of a store.
pub(super) enum Index {
    /// A SQLite file.
    Sqlite(Box<sqlite::Index>),
    /// A PostgreSQL database.
    #[cfg(feature = "shared")]
    Postgres(Arc<postgres::Database>),
}

impl Index {
    /// Runs a read transaction, in which `work` sees a consistent snapshot of the rows.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        match self {
            Self::Sqlite(index) => index.read(work),
            #[cfg(feature = "shared")]
            Self::Postgres(database) => database.read(work),
        }
    }

    /// Runs a write transaction. No other transaction changes this space (with SQLite, any space) before it ends. If
    /// `work` fails, nothing is changed.
    #[cfg_attr(not(feature = "shared"), expect(unused_variables, reason = "SQLite locks all spaces"))]
    pub(super) fn write<T>(&self, space: &str, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        match self {
            Self::Sqlite(index) => index.write(work),
            #[cfg(feature = "shared")]
            Self::Postgres(database) => database.write(space, work),
        }
    }

    /// Whether the index is open for writing.
    pub(super) fn is_writable(&self) -> bool {
        match self {
            Self::Sqlite(index) => index.is_writable(),
            #[cfg(feature = "shared")]
            Self::Postgres(_) => true,
        }
    }

    /// Frees space on a full disk, if possible.
    pub(super) fn shrink_log(&self) {
        match self {
            Self::Sqlite(index) => index.shrink_log(),
            #[cfg(feature = "shared")]
            Self::Postgres(_) => {}
        }
    }
}
