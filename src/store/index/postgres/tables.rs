//! PostgreSQL transactions.

use std::borrow::Cow;
use std::cell::RefCell;
use std::error::Error as StdError;

use bytes::BytesMut;
use deadpool_postgres::Transaction;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::Database;
use crate::error::{Error, Result};
use crate::store::index::sql::{Dialect, Read, Row, Sql, Value};

/// Maximum number of prepared statements kept per connection. Filters produce new statements.
const STATEMENTS: usize = 256;

/// The tables as seen by one transaction.
pub(super) struct Tables<'a> {
    database: &'a Database,
    transaction: &'a Transaction<'a>,
    failure: RefCell<Option<Error>>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(database: &'a Database, transaction: &'a Transaction<'a>) -> Self {
        Self { database, transaction, failure: RefCell::default() }
    }

    /// The first error of a statement. The transaction cannot be committed after one.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.borrow().clone()
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        let error = self.database.failed(error);
        self.failure.borrow_mut().get_or_insert(error).clone()
    }

    async fn prepare(&self, sql: &str) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        let cache = &self.transaction.statement_cache;
        if cache.size() >= STATEMENTS {
            cache.clear();
        }
        self.transaction.prepare_cached(&sql.replace('?', "$")).await
    }
}

impl Sql for Tables<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64> {
        let changed = self.database.background.wait(async {
            let statement = self.prepare(sql).await?;
            self.transaction.execute(&statement, &bound(values)).await
        });
        changed.map_err(|error| self.failed(&error))
    }

    fn query(
        &self,
        sql: &str,
        values: &[Value],
        at_once: Option<usize>,
        visit: &mut dyn FnMut(&dyn Row) -> Result<bool>,
    ) -> Result<()> {
        let background = &self.database.background;
        let Some(at_once) = at_once.and_then(|at_once| i32::try_from(at_once).ok()) else {
            let rows = background.wait(async {
                let statement = self.prepare(sql).await?;
                self.transaction.query(&statement, &bound(values)).await
            });
            for row in rows.map_err(|error| self.failed(&error))? {
                if !visit(&row)? {
                    break;
                }
            }
            return Ok(());
        };
        let portal = background.wait(async {
            let statement = self.prepare(sql).await?;
            self.transaction.bind(&statement, &bound(values)).await
        });
        let portal = portal.map_err(|error| self.failed(&error))?;
        loop {
            let rows = background.wait(self.transaction.query_portal(&portal, at_once));
            let rows = rows.map_err(|error| self.failed(&error))?;
            for row in &rows {
                if !visit(row)? {
                    return Ok(());
                }
            }
            if rows.len() < usize::try_from(at_once).unwrap_or_default() {
                return Ok(());
            }
        }
    }

    fn warn_once(&self, text: String) {
        self.database.warn(text);
    }
}

fn bound<'v>(values: &'v [Value]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Text(text) => text.as_deref().map(without_nul).as_deref().to_sql(of, out),
            Self::Integer(number) => number.to_sql(of, out),
            Self::Flag(flag) => flag.to_sql(of, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Row for tokio_postgres::Row {
    fn text(&self, column: usize) -> Read<Option<Cow<'_, str>>> {
        let text: Option<&str> = self.try_get(column).map_err(|_| Row::name(self, column))?;
        Ok(text.map(with_nul))
    }

    fn integer(&self, column: usize) -> Read<Option<i64>> {
        self.try_get(column).map_err(|_| Row::name(self, column))
    }

    fn flag(&self, column: usize) -> Read<Option<bool>> {
        self.try_get(column).map_err(|_| Row::name(self, column))
    }

    fn name(&self, column: usize) -> String {
        self.columns().get(column).map(|column| column.name().to_owned()).unwrap_or_default()
    }

    fn lossy(&self, column: usize) -> String {
        self.text(column).ok().flatten().unwrap_or_default().into_owned()
    }
}

/// Replaces U+0000, which PostgreSQL cannot store in text, with U+0001 U+0001, and U+0001 with U+0001 U+0002. Texts
/// keep their order, and a prefix of a text remains a prefix.
fn without_nul(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}"))
}

/// The inverse of [`without_nul`].
fn with_nul(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1}') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        decoded.push(match c {
            '\u{1}' if characters.next() == Some('\u{1}') => '\0',
            c => c,
        });
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_with_nul_keeps_its_order_and_its_prefixes(a in "[\0-\u{3}a]{0,5}", b in "[\0-\u{3}a]{0,5}") {
            let (stored_a, stored_b) = (without_nul(&a), without_nul(&b));
            prop_assert!(!stored_a.contains('\0'));
            prop_assert_eq!(with_nul(&stored_a), a.as_str());
            prop_assert_eq!(stored_a.cmp(&stored_b), a.cmp(&b));
            prop_assert!(!a.starts_with(&b) || stored_a.starts_with(&*stored_b));
        }
    }
}
