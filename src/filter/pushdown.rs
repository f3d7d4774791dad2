//! What of a filter a platform can be sent.

use super::{Comparison, Expr, Filter};

/// How well a platform's answer fits a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// It gives the same files.
    Exact,
    /// It gives the same files and perhaps more.
    Superset,
}

impl Filter {
    /// The part of this filter that a platform can be asked: made only of comparisons that `accept` says the platform
    /// makes itself, and true for every file that this filter is true for. None where nothing narrows the listing.
    ///
    /// An AND keeps what is accepted of its parts. An OR needs all of its parts, a NOT an exact inside: without them
    /// the platform would leave out files that belong. A platform that has no OR and no NOT is asked the
    /// [`conjuncts`](Filter::conjuncts) of the result.
    pub fn native(&self, mut accept: impl FnMut(&Comparison) -> Option<Precision>) -> Option<Self> {
        weaken(&self.expr, &mut accept).map(|(expr, _)| Self { expr })
    }
}

impl Expr {
    /// How well the platform compares all of this by itself; None where a part is left out of the request.
    pub fn precision(&self, mut accept: impl FnMut(&Comparison) -> Option<Precision>) -> Option<Precision> {
        let (expr, precision) = weaken(self, &mut accept)?;
        (expr == *self).then_some(precision)
    }
}

fn weaken(
    expr: &Expr,
    accept: &mut impl FnMut(&Comparison) -> Option<Precision>,
) -> Option<(Expr, Precision)> {
    match expr {
        Expr::Compare(comparison) => accept(comparison).map(|precision| (expr.clone(), precision)),
        Expr::Not(inner) => match weaken(inner, accept)? {
            (inner, Precision::Exact) => Some((Expr::Not(Box::new(inner)), Precision::Exact)),
            (_, Precision::Superset) => None,
        },
        Expr::And(parts) => {
            let (kept, precisions): (Vec<_>, Vec<_>) =
                parts.iter().filter_map(|part| weaken(part, accept)).unzip();
            let whole = kept.len() == parts.len();
            (!kept.is_empty())
                .then(|| (Expr::all(kept), if whole { worst(&precisions) } else { Precision::Superset }))
        }
        Expr::Or(parts) => {
            let kept: Option<Vec<_>> = parts.iter().map(|part| weaken(part, accept)).collect();
            let (kept, precisions): (Vec<_>, Vec<_>) = kept?.into_iter().unzip();
            (!kept.is_empty()).then(|| (Expr::any(kept), worst(&precisions)))
        }
    }
}

fn worst(precisions: &[Precision]) -> Precision {
    if precisions.contains(&Precision::Superset) { Precision::Superset } else { Precision::Exact }
}
