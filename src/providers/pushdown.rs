//! Push-down: selecting the part of a filter that a platform evaluates, and expressing it in a request.
//!
//! A dialect's table lists the comparisons that the platform evaluates itself. It determines the request, the
//! conditions that the platform decides, and the output of `haul providers`.

use jiff::{SignedDuration, Timestamp};

use crate::filter::{Comparison, Expr, Filter, Op, Precision, Value};
use crate::model::File;

/// Maximum number of values for a repeated parameter. Proxies reject URLs that are too long.
const MOST_VALUES: usize = 100;

/// A comparison that a platform evaluates itself.
#[derive(Clone, Copy, Debug)]
pub struct Native {
    /// The field, or the object that contains the field as a key.
    pub field: &'static str,
    /// The comparators. `=` includes the test for whether the field is set.
    pub ops: &'static [Op],
    /// How precisely the platform evaluates the comparison.
    pub precision: Precision,
    /// The condition under which the result is exact, if that depends on the value.
    exact_if: Option<fn(&Comparison) -> bool>,
    spelling: Spelling,
}

/// The name and value of a request parameter.
pub(super) type Parameter = (&'static str, String);

/// How a comparison is expressed in a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    /// Not sent: `local` passes the filter to the store.
    Unsent,
    /// With a parameter that can occur only once.
    Once(fn(&Comparison) -> Option<Parameter>),
    /// With a parameter that can be repeated, for one `=` or several `=` combined by OR.
    Repeated(&'static str),
    /// Like [`Repeated`](Self::Repeated), with a parameter that accepts only these values.
    OneOf(&'static str, &'static [&'static str]),
    /// With two parameters: exclusive bounds for a time, in whole milliseconds.
    Bounds { after: &'static str, before: &'static str },
    /// In the platform's filter language.
    Language(fn(&Comparison) -> Option<String>),
    /// With a parameter if it has not been used yet, otherwise in the filter language.
    OnceOrLanguage(fn(&Comparison) -> Option<Parameter>, fn(&Comparison) -> Option<String>),
}

/// The operators of a filter language.
pub(super) struct Language {
    pub(super) and: &'static str,
    pub(super) or: &'static str,
    pub(super) not: &'static str,
}

impl Native {
    pub(super) const fn exact(field: &'static str, ops: &'static [Op]) -> Self {
        Self { field, ops, precision: Precision::Exact, exact_if: None, spelling: Spelling::Unsent }
    }

    pub(super) const fn superset(field: &'static str, ops: &'static [Op]) -> Self {
        Self { precision: Precision::Superset, ..Self::exact(field, ops) }
    }

    pub(super) const fn sent(self, spelling: Spelling) -> Self {
        Self { spelling, ..self }
    }

    pub(super) const fn exact_if(self, condition: fn(&Comparison) -> bool) -> Self {
        Self { exact_if: Some(condition), ..self }
    }

    fn covers(&self, Comparison { field, op, value }: &Comparison) -> bool {
        // A platform's own field is also a key in `extra`.
        let is_own = !File::FIELDS.contains(&self.field)
            && matches!(self.spelling, Spelling::Once(_) | Spelling::OneOf(..));
        let is_below = |field: &str| {
            field.strip_prefix(self.field).is_some_and(|key| key.is_empty() || key.starts_with('.'))
        };
        let is_field = is_below(field) || (is_own && field.strip_prefix("extra.").is_some_and(is_below));
        let asks_if_set = matches!((op, value), (Op::Ne, Value::Null) | (_, Value::Present));
        is_field && (self.ops.contains(op) || (asks_if_set && self.ops.contains(&Op::Eq)))
    }

    fn precision_of(&self, comparison: &Comparison) -> Precision {
        match self.exact_if {
            Some(is_exact) if is_exact(comparison) => Precision::Exact,
            Some(_) => Precision::Superset,
            None => self.precision,
        }
    }
}

/// The part of a filter that is sent to a platform. It selects at least the matching files.
#[derive(Debug, Default)]
pub(super) struct Pushed<'a> {
    /// The parameters, in the order of the table.
    pub(super) parameters: Vec<Parameter>,
    /// The expression in the platform's filter language.
    pub(super) expression: Option<String>,
    /// The [conditions](Filter::conditions) that the platform decides exactly.
    pub(super) decided: Vec<&'a Expr>,
}

impl<'a> Pushed<'a> {
    /// Selects the part of a filter to send to a platform with this table and filter language.
    pub(super) fn of(filter: Option<&'a Filter>, table: &[Native], language: Option<&Language>) -> Self {
        let mut request =
            Request { rows: table.iter().map(Row::of).collect(), language, expressions: Vec::new() };
        let mut pushed = Self::default();
        for condition in filter.into_iter().flat_map(Filter::conditions) {
            if request.place(condition) == Some(Precision::Exact) {
                pushed.decided.push(condition);
            }
        }
        let and = language.map_or("", |language| language.and);
        pushed.expression = (!request.expressions.is_empty()).then(|| request.expressions.join(and));
        pushed.parameters = request.rows.into_iter().flat_map(Row::into_parameters).collect();
        pushed
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// A row of a table, and the part of the request that it produces.
struct Row<'t> {
    native: &'t Native,
    parameters: Vec<Parameter>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
}

struct Request<'t> {
    rows: Vec<Row<'t>>,
    language: Option<&'t Language>,
    expressions: Vec<String>,
}

impl Request<'_> {
    /// Adds the supported part of a condition. Returns the precision of the platform's evaluation, or `None` if a
    /// part is omitted.
    fn place(&mut self, condition: &Expr) -> Option<Precision> {
        if let Expr::And(parts) = condition {
            let placed: Vec<_> = parts.iter().map(|part| self.place(part)).collect();
            return placed.into_iter().try_fold(Precision::Exact, |worst, placed| {
                if worst == Precision::Superset { placed.and(Some(worst)) } else { placed }
            });
        }
        if let Some(precision) = self.rows.iter_mut().find_map(|row| row.place(condition)) {
            return Some(precision);
        }
        let language = self.language?;
        let (kept, precision) = condition.native(|comparison| {
            let native = self.rows.iter().map(|row| row.native).find(|native| native.covers(comparison))?;
            native.expressed(comparison).map(|_| native.precision_of(comparison))
        })?;
        self.expressions.push(language.render(&kept, |comparison| {
            let mut natives =
                self.rows.iter().map(|row| row.native).filter(|native| native.covers(comparison));
            natives.find_map(|native| native.expressed(comparison)).unwrap_or_default()
        }));
        Some(precision)
    }
}

impl Native {
    /// The comparison in the filter language.
    fn expressed(&self, comparison: &Comparison) -> Option<String> {
        match self.spelling {
            Spelling::Language(express) | Spelling::OnceOrLanguage(_, express) => express(comparison),
            _ => None,
        }
    }
}

impl<'t> Row<'t> {
    fn of(native: &'t Native) -> Self {
        Self { native, parameters: Vec::new(), after: None, before: None }
    }

    /// Expresses a condition with a parameter that has not been used yet.
    fn place(&mut self, condition: &Expr) -> Option<Precision> {
        if let Spelling::Repeated(name) | Spelling::OneOf(name, _) = self.native.spelling {
            let mut values = Vec::new();
            if !self.parameters.is_empty() || !self.values(condition, &mut values) {
                return None;
            }
            self.parameters = values.into_iter().map(|value| (name, value)).collect();
            return Some(self.native.precision);
        }
        let Expr::Compare(comparison) = condition else { return None };
        if !self.native.covers(comparison) {
            return None;
        }
        match self.native.spelling {
            Spelling::Once(parameter) | Spelling::OnceOrLanguage(parameter, _) => {
                let (name, value) = parameter(comparison)?;
                if self.parameters.iter().any(|(known, _)| *known == name) {
                    return None;
                }
                self.parameters.push((name, value));
            }
            Spelling::Bounds { .. } => {
                // A repeated parameter would be parsed as a list, so send only the tightest bound.
                let (after, before) = bounds(comparison)?;
                self.after = self.after.max(after);
                self.before = self.before.into_iter().chain(before).min();
            }
            Spelling::Unsent | Spelling::Repeated(_) | Spelling::OneOf(..) | Spelling::Language(_) => {
                return None;
            }
        }
        Some(self.native.precision)
    }

    /// Collects the values of a comparison with `=`, or of several combined by OR. Returns false for other conditions.
    fn values(&self, condition: &Expr, into: &mut Vec<String>) -> bool {
        match condition {
            Expr::Or(parts) => !parts.is_empty() && parts.iter().all(|part| self.values(part, into)),
            Expr::Compare(comparison) if self.native.covers(comparison) => {
                let allowed = |text: &String| match self.native.spelling {
                    Spelling::OneOf(_, words) => words.contains(&text.as_str()),
                    _ => true,
                };
                let text = text_of(comparison).filter(allowed);
                let is_text = text.is_some();
                into.extend(text);
                is_text && into.len() <= MOST_VALUES
            }
            _ => false,
        }
    }

    fn into_parameters(self) -> Vec<Parameter> {
        let Spelling::Bounds { after, before } = self.native.spelling else { return self.parameters };
        let bounds = [(after, self.after), (before, self.before)];
        bounds.into_iter().filter_map(|(name, bound)| Some((name, milliseconds(bound?)))).collect()
    }
}

impl Language {
    fn render(&self, expr: &Expr, spell: impl Fn(&Comparison) -> String + Copy) -> String {
        let join = |parts: &[Expr], operator: &str| {
            let parts: Vec<String> = parts.iter().map(|part| self.render(part, spell)).collect();
            format!("({})", parts.join(operator))
        };
        match expr {
            Expr::And(parts) => join(parts, self.and),
            Expr::Or(parts) => join(parts, self.or),
            Expr::Not(inner) => format!("{}{}", self.not, self.render(inner, spell)),
            Expr::Compare(comparison) => spell(comparison),
        }
    }
}

/// The text on the right-hand side of `=`; `None` for other comparisons and for empty text.
pub(super) fn text_of(comparison: &Comparison) -> Option<String> {
    match comparison {
        Comparison { op: Op::Eq, value: Value::Text(text), .. } if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// A time in UTC, with milliseconds and `Z`.
pub(super) fn milliseconds(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The exclusive bounds, in whole milliseconds, that include all files matching a comparison.
fn bounds(comparison: &Comparison) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
    const TICK: SignedDuration = SignedDuration::from_millis(1);
    let Value::Time(at) = comparison.value else { return None };
    let floor = at.as_nanosecond().div_euclid(1_000_000).try_into().ok()?;
    let floor = Timestamp::from_millisecond(floor).ok()?;
    let (before, after) = (floor.checked_sub(TICK).ok(), floor.checked_add(TICK).ok());
    Some(match comparison.op {
        Op::Gt => (Some(floor), None),
        Op::Ge => (before, None),
        Op::Lt if floor == at => (None, Some(floor)),
        Op::Lt | Op::Le => (None, after),
        Op::Eq => (before, after),
        Op::Has | Op::Ne | Op::Glob => return None,
    })
}
