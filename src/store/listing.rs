//! Listings, and the translation into SQL of the conditions that SQL evaluates exactly as the filter does.

use jiff::Timestamp;

use super::index::sql::{Dialect, Value as Bound};
use crate::filter::{Comparison, Equality, Expr, Filter, Op, Value};
use crate::model::FileId;

/// A listing of the files in a space.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The filter.
    pub filter: Option<Filter>,
    /// The meaning of `=` in the filter, which depends on the platform.
    pub equality: Equality,
    /// The order.
    pub sort: SortKey,
    /// Whether to reverse the order, so that the newest or largest files come first.
    pub descending: bool,
    /// Starts after the file with this id, which may have been deleted within the last day. An unknown id is an error
    /// of kind `NotFound`.
    pub after: Option<FileId>,
    /// Maximum number of files; 0 means all.
    pub limit: usize,
}

/// The order of a listing. Files that compare equal are ordered by id, in the same direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// By creation time.
    #[default]
    Created,
    /// By name, compared byte by byte.
    Name,
    /// By size.
    Size,
    /// By id, compared byte by byte.
    Id,
}

/// The position of a file in every listing order.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) created_at: i64,
    pub(super) name: String,
    pub(super) size: i64,
}

/// The SQL that follows `SELECT … FROM files`.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) sql: String,
    pub(super) bound: Vec<Bound<'static>>,
    /// Whether SQL evaluates the complete filter, so that rows need no further check.
    pub(super) exact: bool,
}

impl Listing {
    /// The SQL for listing `space`. Starts after `after`; `now` determines which files have expired.
    pub(super) fn select(
        &self,
        dialect: Dialect,
        space: &str,
        after: Option<Place>,
        now: Timestamp,
    ) -> Selection {
        let mut conditions = format!("space = ?1 AND NOT {}", expired(dialect, 2));
        let mut bound = vec![space.to_owned().into(), micros(now).into()];
        if let Some(filter) = &self.filter {
            for (condition, value) in
                filter.conjuncts().into_iter().filter_map(|part| condition(part, self.equality))
            {
                bound.push(value);
                conditions = format!("{conditions} AND {condition} ?{}", bound.len());
            }
        }
        if let Some(place) = after {
            let value = self.sort.value(&place);
            bound.extend(value.clone());
            bound.push(place.id.into());
            let (columns, last) = (self.sort.columns(), bound.len());
            let beyond = if self.descending { "<" } else { ">" };
            let condition = match value {
                Some(_) => format!("({columns}) {beyond} (?{}, ?{last})", last - 1),
                None => format!("{columns} {beyond} ?{last}"),
            };
            conditions = conditions + " AND " + &condition;
        }
        // Otherwise, SQLite would read all rows in listing order instead of sorting the few rows with the name.
        let is_searched = dialect == Dialect::Sqlite && conditions.contains(NAME_IS);
        let index = if is_searched { "INDEXED BY files_by_name " } else { "" };
        let sql = format!("{index}WHERE {conditions} ORDER BY {}", self.sort.order(self.descending));
        let exact = self.filter.as_ref().is_none_or(|filter| is_decided(&filter.expr, self.equality));
        Selection { sql, bound, exact }
    }
}

impl SortKey {
    fn order(self, descending: bool) -> &'static str {
        match (self, descending) {
            (Self::Created, false) => "created_at, id",
            (Self::Created, true) => "created_at DESC, id DESC",
            (Self::Name, false) => "name, id",
            (Self::Name, true) => "name DESC, id DESC",
            (Self::Size, false) => "size, id",
            (Self::Size, true) => "size DESC, id DESC",
            (Self::Id, false) => "id",
            (Self::Id, true) => "id DESC",
        }
    }

    /// The columns that are compared.
    fn columns(self) -> &'static str {
        self.order(false)
    }

    /// The value compared before the id; `None` if only the id is compared.
    fn value(self, place: &Place) -> Option<Bound<'static>> {
        match self {
            Self::Created => Some(place.created_at.into()),
            Self::Name => Some(place.name.clone().into()),
            Self::Size => Some(place.size.into()),
            Self::Id => None,
        }
    }
}

/// The condition for an exact name.
const NAME_IS: &str = "name =";

/// The SQL for a comparison that SQL evaluates exactly as the filter does: an exact id or name, or a bound for an id,
/// a name or a creation time. The value follows the operator.
fn condition(comparison: &Comparison, equality: Equality) -> Option<(&'static str, Bound<'static>)> {
    let Comparison { field, op, value } = comparison;
    // SQL cannot match a name with wildcards.
    let is_name = |text: &str| equality == Equality::Exact || !text.contains('*');
    match (field.as_str(), op, value) {
        ("id", Op::Eq, Value::Text(text)) => Some(("id =", text.clone().into())),
        ("name", Op::Eq, Value::Text(text)) if is_name(text) => Some((NAME_IS, text.clone().into())),
        // SQL and the filter both order text byte by byte.
        ("id", Op::Ge, Value::Text(text)) => Some(("id >=", text.clone().into())),
        ("id", Op::Lt, Value::Text(text)) => Some(("id <", text.clone().into())),
        ("name", Op::Ge, Value::Text(text)) => Some(("name >=", text.clone().into())),
        ("name", Op::Lt, Value::Text(text)) => Some(("name <", text.clone().into())),
        ("created_at", _, Value::Time(time)) => {
            // Rows have whole microseconds. A bound between two of them is rounded so that the same rows match.
            let down = micros(*time);
            let up = down + i64::from(time.as_nanosecond().rem_euclid(1000) != 0);
            match op {
                Op::Lt => Some(("created_at <", up.into())),
                Op::Le => Some(("created_at <=", down.into())),
                Op::Gt => Some(("created_at >", down.into())),
                Op::Ge => Some(("created_at >=", up.into())),
                Op::Has | Op::Eq | Op::Ne | Op::Glob => None,
            }
        }
        _ => None,
    }
}

fn is_decided(expr: &Expr, equality: Equality) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| is_decided(part, equality)),
        Expr::Compare(comparison) => condition(comparison, equality).is_some(),
        Expr::Or(_) | Expr::Not(_) => false,
    }
}

/// The SQL condition for expired rows; `now` is the number of the placeholder for the current time. A row with an
/// invalid `expires_at` is damaged and never expires.
pub(super) fn expired(dialect: Dialect, now: usize) -> String {
    match dialect {
        Dialect::Sqlite => format!(
            "(typeof(expires_at) = 'integer' AND expires_at BETWEEN {} AND ?{now})",
            micros(Timestamp::MIN)
        ),
        #[cfg(feature = "shared")]
        Dialect::Postgres => format!("(expires_at IS NOT NULL AND expires_at <= ?{now})"),
    }
}

/// Converts to whole microseconds since 1970, the resolution of the index, rounding down.
pub(super) fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond().div_euclid(1000)).expect("years -9999 to 9999 fit into 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(op: Op, nanoseconds: i128) -> Option<(&'static str, Bound<'static>)> {
        let value = Value::Time(Timestamp::from_nanosecond(nanoseconds).unwrap());
        condition(&Comparison { field: "created_at".into(), op, value }, Equality::Exact)
    }

    #[test]
    fn a_bound_between_two_microseconds_leaves_the_same_rows() {
        for (op, bound) in [(Op::Lt, 2), (Op::Le, 1), (Op::Gt, 1), (Op::Ge, 2)] {
            assert_eq!(created(op, 1500).unwrap().1, Bound::from(bound), "{op:?}");
            assert_eq!(created(op, 1000).unwrap().1, Bound::from(1), "{op:?}");
        }
        assert_eq!(created(Op::Lt, -500).unwrap().1, Bound::from(0));
        assert_eq!(created(Op::Eq, 1000), None);
    }

    #[test]
    fn a_selection_is_exact_only_if_sql_evaluates_the_whole_filter() {
        let exact = |expr: Expr| {
            let listing = Listing { filter: Some(Filter { expr }), ..Listing::default() };
            listing.select(Dialect::Sqlite, "s", None, Timestamp::UNIX_EPOCH).exact
        };
        let name = Filter::name_is("a").expr;
        let size = Expr::Compare(Comparison { field: "size".into(), op: Op::Gt, value: Value::Number(1.0) });
        assert!(exact(name.clone()));
        assert!(exact(Expr::And(vec![name.clone(), Expr::And(vec![name.clone()])])));
        assert!(!exact(Expr::And(vec![name.clone(), size])));
        assert!(!exact(Expr::Not(Box::new(name.clone()))));
        assert!(!exact(Expr::Or(vec![name])));
    }
}
