//! The SQL that the databases have in common: statements with the placeholders `?1`, `?2` and so on, values and rows.

use std::borrow::Cow;

use crate::error::Result;

/// The result of reading a column. The error is the name of the unreadable column.
pub(in crate::store) type Read<T> = std::result::Result<T, String>;

/// A value bound to a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Value<'a> {
    /// Text.
    Text(Option<Cow<'a, str>>),
    /// A number, or a time in microseconds.
    Integer(Option<i64>),
    /// True or false.
    Flag(Option<bool>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<bool>> for Value<'_> {
    fn from(flag: Option<bool>) -> Self {
        Self::Flag(flag)
    }
}

/// The differences between the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    /// Content is stored by its SHA-256. Columns can have values of any type.
    Sqlite,
    /// Each file has its own blob.
    #[cfg(feature = "shared")]
    Postgres,
}

/// A transaction.
pub(in crate::store) trait Sql {
    fn dialect(&self) -> Dialect;

    /// Runs a statement and returns the number of changed rows.
    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64>;

    /// Runs a query and visits its rows until `visit` returns false. All rows may be in memory at once, unless
    /// `at_once` limits their number.
    fn query(
        &self,
        sql: &str,
        values: &[Value],
        at_once: Option<usize>,
        visit: &mut dyn FnMut(&dyn Row) -> Result<bool>,
    ) -> Result<()>;

    /// Prints a warning unless it was already printed; with PostgreSQL, unless it was printed within the last minute.
    fn warn_once(&self, text: String);
}

/// A row. Columns are numbered from 0.
pub(in crate::store) trait Row {
    fn text(&self, column: usize) -> Read<Option<Cow<'_, str>>>;

    fn integer(&self, column: usize) -> Read<Option<i64>>;

    fn flag(&self, column: usize) -> Read<Option<bool>>;

    fn name(&self, column: usize) -> String;

    /// The text of a column, however damaged.
    fn lossy(&self, column: usize) -> String;
}
