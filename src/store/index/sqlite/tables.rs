//! SQLite transactions.

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, Value as Own, ValueRef};
use rusqlite::{Connection, ToSql};

use super::Index;
use crate::error::{Error, Result};
use crate::store::index::rows::Rows;
use crate::store::index::sql::{Dialect, Read, Row, Sql, Value};

/// The tables as seen by one transaction.
pub(in crate::store) struct Tables<'a> {
    pub(super) connection: &'a Connection,
    pub(super) index: &'a Index,
}

impl Tables<'_> {
    /// The rows of the tables.
    pub(in crate::store) fn rows(&self) -> Rows<'_> {
        Rows { sql: self }
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> Error {
        self.index.failed(error)
    }
}

impl Sql for Tables<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        let statement = self.connection.prepare_cached(sql);
        let changed =
            statement.and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)));
        changed.map(|rows| rows as u64).map_err(|error| self.failed(&error))
    }

    fn query(
        &self,
        sql: &str,
        values: &[Value],
        _at_once: Option<usize>,
        visit: &mut dyn FnMut(&dyn Row) -> Result<bool>,
    ) -> Result<()> {
        let failed = |error: rusqlite::Error| self.failed(&error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !visit(row)? {
                break;
            }
        }
        Ok(())
    }

    fn warn_once(&self, text: String) {
        self.index.warn_once(text);
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Integer(Some(number)) => ToSqlOutput::Owned(Own::Integer(*number)),
            Self::Flag(Some(flag)) => ToSqlOutput::Owned(Own::Integer((*flag).into())),
            Self::Text(None) | Self::Integer(None) | Self::Flag(None) => ToSqlOutput::Owned(Own::Null),
        })
    }
}

impl Row for rusqlite::Row<'_> {
    fn text(&self, column: usize) -> Read<Option<Cow<'_, str>>> {
        let text = self.get_ref(column).ok().and_then(|value| value.as_str_or_null().ok());
        text.map(|text| text.map(Cow::Borrowed)).ok_or_else(|| Row::name(self, column))
    }

    fn integer(&self, column: usize) -> Read<Option<i64>> {
        self.get(column).map_err(|_| Row::name(self, column))
    }

    fn flag(&self, column: usize) -> Read<Option<bool>> {
        self.get(column).map_err(|_| Row::name(self, column))
    }

    fn name(&self, column: usize) -> String {
        self.as_ref().column_name(column).unwrap_or_default().to_owned()
    }

    fn lossy(&self, column: usize) -> String {
        match self.get_ref(column) {
            Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Ok(other) => format!("{other:?}"),
            Err(_) => String::new(),
        }
    }
}
