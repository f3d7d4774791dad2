//! Chooses the columns that fit the terminal, and their widths.

use comfy_table::Table as Grid;
use unicode_width::UnicodeWidthStr;

use super::{Cell, GAP, Kind};
use crate::ui::text::{self, Part};

/// The width to which names shrink before statuses and times are hidden.
const NAME: usize = 24;
/// The width to which names shrink before columns of text are hidden.
const WIDE_NAME: usize = 40;
/// The width to which names shrink before numbers are hidden.
const NARROW_NAME: usize = 12;
/// The width to which names shrink before ids are shortened. Shorter names would look the same.
const LEAST_NAME: usize = 8;
/// The minimum width of text, unless the user named the fields.
pub(super) const TEXT: usize = 12;

/// A column of the table.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) kind: Kind,
    /// The column is hidden if it is 0.
    pub(super) width: usize,
    /// The width with short times.
    compact: usize,
    /// The number of rows with a value, if most rows have none.
    few: Option<usize>,
    /// Whether the column adds nothing: each value is empty, or another column shows it.
    is_redundant: bool,
    /// The minimum width at which the ends of different names look different.
    distinct: usize,
    /// The minimum width at which some part of different names looks different.
    least: usize,
    /// Whether times are short.
    pub(super) has_short_times: bool,
    /// The part of a shortened name that is shown.
    pub(super) part: Part,
}

impl Column {
    /// Whether the column is hidden although it has values of its own.
    pub(super) fn is_missed(&self) -> bool {
        self.width == 0 && !self.is_redundant
    }
}

/// The columns for a header line and the rows of the first page.
pub(super) fn columns(
    fields: &[String],
    lines: &[Vec<Cell>],
    width: usize,
    named: bool,
    more: bool,
) -> Vec<Column> {
    let mut measured = Grid::new();
    measured.add_rows(lines.iter().map(|line| line.iter().map(|cell| &cell.text)));
    let widths = measured.column_max_content_widths().into_iter().map(usize::from);
    let rows = &lines[1..];
    let columns = fields.iter().zip(widths).enumerate().map(|(at, (field, natural))| {
        let cells = || rows.iter().map(|line| &line[at]);
        let values = cells().filter(|cell| cell.text != "-").count();
        let kind = Kind::of(field, cells().all(|cell| cell.number) && values > 0);
        // A later column ends with the same names, or an earlier one has the same times.
        let repeats = |other: usize| {
            Kind::of(&fields[other], false) == kind
                && rows.iter().all(|line| match kind {
                    Kind::Name => at < other && line[other].text.ends_with(&line[at].text),
                    Kind::Time => other < at && (line[at].text == "-" || line[other].text == line[at].text),
                    _ => false,
                })
        };
        let is_redundant = values == 0 || (0..fields.len()).any(repeats);
        let texts: Vec<&str> = match kind {
            Kind::Name => cells().map(|cell| cell.text.as_str()).collect(),
            _ => Vec::new(),
        };
        let narrowest = |from: usize, to: usize, differ: fn(&[&str], usize) -> (Part, bool)| {
            (from..to).find(|&width| texts.is_empty() || differ(&texts, width).1)
        };
        let distinct = narrowest(NARROW_NAME, natural, text::best_ends).unwrap_or(natural);
        let least = narrowest(LEAST_NAME, NAME, text::best_part).unwrap_or(LEAST_NAME);
        let short = lines.iter().map(|line| line[at].short.as_ref().unwrap_or(&line[at].text).width());
        Column {
            kind,
            width: natural,
            compact: short.max().unwrap_or(natural),
            few: (values * 2 < rows.len()).then_some(values),
            is_redundant,
            distinct,
            least,
            has_short_times: false,
            part: Part::USUAL,
        }
    });
    let mut columns: Vec<Column> = columns.collect();
    fit(&mut columns, width, named, more);
    columns
}

/// Fits the columns into `width`. A width of 0 hides a column.
///
/// Columns that add nothing are hidden first. Then times become short, and long text shrinks. If that is not enough,
/// columns are hidden: those in which most rows have no value, the emptiest first; text if both it and names would
/// otherwise be cut; status, then times if names would otherwise become short; numbers, then a second name if
/// different names would otherwise look the same; and ids if URLs would otherwise be wider than the terminal. Columns
/// that the user named are hidden only if too few letters of each would fit. Ids shrink last, if shorter names would
/// look the same; URLs never shrink.
fn fit(columns: &mut [Column], width: usize, named: bool, more: bool) {
    for column in columns.iter_mut() {
        if more && column.kind == Kind::Number {
            column.width = column.width.max(column.kind.typical());
        }
        column.width = column.width.max(1);
        if column.kind != Kind::Url {
            column.width = column.width.min(width.max(1));
        }
    }
    let is_wide = |columns: &[Column]| used(widths(columns)) > width;
    if !named {
        hide(columns, |column| column.is_redundant.then_some(0), is_wide);
    }
    if is_wide(columns) {
        for column in columns.iter_mut().filter(|column| column.kind == Kind::Time && column.width > 0) {
            column.has_short_times = true;
            column.width = column.width.min(column.compact);
        }
    }
    if !named {
        hide_the_least_useful(columns, width);
    }
    let width = width - ellipsis(columns, width);
    shrink_all(columns, width, named);
    for kind in [Kind::Time, Kind::Status, Kind::Name] {
        for at in 0..columns.len() {
            let Column { kind: own, width: shown, .. } = columns[at];
            if more && own == kind && shown > 0 {
                let free = width.saturating_sub(used(widths(columns)));
                columns[at].width += kind.typical().saturating_sub(shown).min(free);
            }
        }
    }
}

/// Hides columns while they are too wide: those with the lowest rank first, from right to left. The first column and
/// the first one with names stay, unless the names are repeated.
fn hide(
    columns: &mut [Column],
    rank: impl Fn(&Column) -> Option<usize>,
    is_too_wide: impl Fn(&[Column]) -> bool,
) {
    let names = columns.iter().position(|column| column.kind == Kind::Name && !column.is_redundant);
    while is_too_wide(columns) {
        let shown = (1..columns.len()).rev().filter(|&at| columns[at].width > 0 && Some(at) != names);
        let ranked = shown.filter_map(|at| Some((rank(&columns[at])?, at)));
        let Some((_, at)) = ranked.min_by_key(|(rank, _)| *rank) else { break };
        columns[at].width = 0;
    }
}

fn hide_the_least_useful(columns: &mut [Column], width: usize) {
    let has_url = has_url(columns);
    let has_few = |column: &Column| column.few.filter(|_| !matches!(column.kind, Kind::Id | Kind::Url));
    hide(columns, has_few, |columns| are_cut(columns, width));
    hide(columns, |column| (column.kind == Kind::Text).then_some(0), |columns| are_cut(columns, width));
    let hideable = [
        (Kind::Status, NAME),
        (Kind::Time, NAME),
        (Kind::Number, NARROW_NAME),
        (Kind::Name, NARROW_NAME),
        (Kind::Id, NARROW_NAME),
    ];
    for (kind, name) in hideable.into_iter().filter(|(kind, _)| *kind != Kind::Id || has_url) {
        let is_kind = |column: &Column| (column.kind == kind).then_some(0);
        hide(columns, is_kind, |columns| narrowed(columns, name, TEXT) > width);
    }
}

/// Whether text and names would both be cut, or names would be short.
fn are_cut(columns: &[Column], width: usize) -> bool {
    narrowed(columns, usize::MAX, TEXT) > width && narrowed(columns, WIDE_NAME, usize::MAX) > width
}

/// The total width if names and text shrink to these widths, and the other columns as far as useful. Names never
/// shrink so far that different ones look the same.
fn narrowed(columns: &[Column], name: usize, text: usize) -> usize {
    used(columns.iter().map(|column| match column.kind {
        Kind::Name => column.distinct.max(name).min(column.width),
        Kind::Text => text.min(column.width),
        kind => kind.floor(false).min(column.width),
    }))
}

/// The width of the ellipsis for hidden columns. It is shown if shrinking names makes room for it, but not if that
/// would cut both names and text.
fn ellipsis(columns: &[Column], width: usize) -> usize {
    let ellipsis = usize::from(GAP) + 1;
    let has_text = columns.iter().skip(1).any(|column| column.kind == Kind::Text && column.width > 0);
    let is_shown = columns.iter().any(Column::is_missed)
        && narrowed(columns, NARROW_NAME, TEXT) + ellipsis <= width
        && !(has_text && are_cut(columns, width - ellipsis));
    if is_shown { ellipsis } else { 0 }
}

/// Shrinks columns to fit into `width`, those whose end matters least first.
fn shrink_all(columns: &mut [Column], width: usize, named: bool) {
    let has_url = has_url(columns);
    let shrink = |columns: &mut [Column], kind: Kind, floor: &dyn Fn(&Column) -> usize| {
        while used(widths(columns)) > width {
            let shrinkable = columns.iter_mut().filter(|c| c.kind == kind && c.width > floor(c));
            let Some(widest) = shrinkable.max_by_key(|c| c.width) else { break };
            widest.width -= 1;
        }
    };
    let flexible = [Kind::Text, Kind::Status, Kind::Time];
    if named {
        shrink(columns, Kind::Text, &|_| 24);
    } else if narrowed(columns, usize::MAX, TEXT) <= width {
        // Names stay whole.
        for kind in flexible {
            shrink(columns, kind, &|_| kind.floor(named));
        }
    }
    shrink(columns, Kind::Name, &|column| column.distinct.max(32));
    for kind in flexible {
        shrink(columns, kind, &|_| kind.floor(named));
    }
    shrink(columns, Kind::Name, &|column| column.distinct.max(NARROW_NAME));
    if has_url {
        return;
    }
    let least = if named { 6 } else { LEAST_NAME };
    shrink(columns, Kind::Name, &|column| column.least.max(least));
    shrink(columns, Kind::Id, &|_| 12);
    shrink(columns, Kind::Name, &|_| 4);
    shrink(columns, Kind::Id, &|_| 4);
    while used(widths(columns)) > width {
        let Some(at) = columns.iter().rposition(|c| c.width > 0).filter(|&at| at > 0) else { break };
        columns[at].width = 0;
    }
}

fn has_url(columns: &[Column]) -> bool {
    columns.iter().any(|column| column.kind == Kind::Url && !column.is_redundant)
}

pub(super) fn widths(columns: &[Column]) -> impl Iterator<Item = usize> {
    columns.iter().map(|column| column.width)
}

/// The total width of a line whose columns have these widths.
pub(super) fn used(widths: impl Iterator<Item = usize>) -> usize {
    let gap = usize::from(GAP);
    widths.filter(|&width| width > 0).map(|width| width + gap).sum::<usize>().saturating_sub(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind, width: usize, is_redundant: bool) -> Column {
        Column {
            kind,
            width,
            compact: width.min(10),
            few: None,
            is_redundant,
            distinct: 0,
            least: 0,
            has_short_times: false,
            part: Part::USUAL,
        }
    }

    fn fit(columns: &[(Kind, usize)], width: usize, named: bool, more: bool) -> Vec<usize> {
        let mut columns: Vec<Column> =
            columns.iter().map(|&(kind, width)| column(kind, width, false)).collect();
        super::fit(&mut columns, width, named, more);
        widths(&columns).collect()
    }

    const DEFAULT: [(Kind, usize); 6] = [
        (Kind::Id, 41),
        (Kind::Name, 30),
        (Kind::Number, 8),
        (Kind::Text, 24),
        (Kind::Status, 10),
        (Kind::Time, 11),
    ];

    #[test]
    fn columns_keep_their_widths_if_there_is_room() {
        assert_eq!(fit(&DEFAULT, 200, false, false), [41, 30, 8, 24, 10, 11]);
        assert_eq!(fit(&DEFAULT, 134, false, false), [41, 30, 8, 24, 10, 11]);
    }

    #[test]
    fn the_first_page_reserves_width_for_later_pages() {
        let short = [(Kind::Id, 8), (Kind::Name, 5), (Kind::Number, 4)];
        assert_eq!(fit(&short, 80, false, true), [8, 24, 8]);
        assert_eq!(fit(&short, 80, false, false), [8, 5, 4]);
        assert_eq!(fit(&short, 30, false, true), [8, 10, 8]);
    }

    #[test]
    fn text_shrinks_then_columns_are_hidden_then_names_and_ids_shrink() {
        assert_eq!(fit(&DEFAULT, 128, false, false), [41, 30, 8, 19, 10, 10]);
        assert_eq!(fit(&DEFAULT, 120, false, false), [41, 30, 8, 0, 10, 10]);
        assert_eq!(fit(&DEFAULT, 108, false, false), [41, 28, 8, 0, 10, 10]);
        assert_eq!(fit(&DEFAULT, 80, false, false), [41, 24, 8, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 52, false, false), [41, 9, 0, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 40, false, false), [30, 8, 0, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 10, false, false), [4, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn text_is_not_cut_beside_names_that_are_cut() {
        let files = |name, text| {
            [(Kind::Id, 17), (Kind::Name, name), (Kind::Number, 7), (Kind::Text, text), (Kind::Time, 9)]
        };
        assert_eq!(fit(&files(50, 24), 103, false, false), [17, 50, 7, 12, 9]);
        assert_eq!(fit(&files(50, 24), 102, false, false), [17, 50, 7, 0, 9]);
        assert_eq!(fit(&files(60, 15), 105, false, false), [17, 49, 7, 15, 9]);
        assert_eq!(fit(&files(60, 15), 95, false, false), [17, 53, 7, 0, 9]);
        assert_eq!(fit(&files(50, 24), 80, true, false), [17, 32, 7, 7, 9]);
    }

    #[test]
    fn the_emptiest_columns_are_hidden_before_text() {
        let hidden = |width| {
            let mut columns = [
                column(Kind::Id, 16, false),
                column(Kind::Name, 20, false),
                column(Kind::Text, 12, false),
                column(Kind::Time, 10, false),
                column(Kind::Time, 10, false),
                column(Kind::Text, 12, false),
            ];
            (columns[3].few, columns[4].few) = (Some(2), Some(1));
            super::fit(&mut columns, width, false, false);
            (0..columns.len()).filter(|&at| columns[at].width == 0).collect::<Vec<_>>()
        };
        assert_eq!(hidden(90), Vec::<usize>::new());
        assert_eq!(hidden(80), [4]);
        assert_eq!(hidden(70), [3, 4]);
        assert_eq!(hidden(60), [3, 4, 5]);
    }

    #[test]
    fn a_second_name_is_hidden_before_names_look_the_same_and_ids_are_cut() {
        let fit = |id, width| {
            let mut columns = [Kind::Id, Kind::Name, Kind::Number, Kind::Name].map(|kind| {
                let width = if kind == Kind::Id { id } else { 50 };
                Column { distinct: 17, least: 9, ..column(kind, width, false) }
            });
            super::fit(&mut columns, width, false, false);
            widths(&columns).collect::<Vec<_>>()
        };
        assert_eq!(fit(41, 60), [41, 17, 0, 0]);
        assert_eq!(fit(48, 60), [48, 10, 0, 0]);
        // Too narrow for both.
        assert_eq!(fit(48, 50), [39, 9, 0, 0]);
    }

    #[test]
    fn empty_columns_are_hidden_first_and_urls_are_whole() {
        let fit = |mut columns: Vec<Column>, width, named| {
            super::fit(&mut columns, width, named, false);
            widths(&columns).collect::<Vec<_>>()
        };
        let files = [
            column(Kind::Id, 16, false),
            column(Kind::Name, 29, false),
            column(Kind::Number, 4, false),
            column(Kind::Text, 17, false),
            column(Kind::Status, 6, true),
            column(Kind::Time, 10, false),
        ];
        assert_eq!(fit(files.to_vec(), 92, false), [16, 29, 4, 17, 6, 10]);
        assert_eq!(fit(files.to_vec(), 80, false), [16, 29, 4, 13, 0, 10]);
        assert_eq!(fit(files.to_vec(), 80, true), [16, 29, 4, 5, 6, 10]);
        let links = [column(Kind::Url, 70, false), column(Kind::Time, 10, true), column(Kind::Id, 32, false)];
        assert_eq!(fit(links.to_vec(), 120, false), [70, 10, 32]);
        assert_eq!(fit(links.to_vec(), 110, false), [70, 0, 32]);
        assert_eq!(fit(links.to_vec(), 80, false), [70, 0, 0]);
        assert_eq!(fit(links.to_vec(), 40, false), [70, 0, 0]);
    }

    #[test]
    fn numbers_are_hidden_before_names_look_the_same() {
        let names = |distinct| {
            let mut columns = DEFAULT.map(|(kind, width)| column(kind, width, false));
            columns[1].distinct = distinct;
            super::fit(&mut columns, 80, false, false);
            widths(&columns).collect::<Vec<_>>()
        };
        assert_eq!(names(12), [41, 24, 8, 0, 0, 0]);
        assert_eq!(names(27), [41, 27, 8, 0, 0, 0]);
        assert_eq!(names(30), [41, 30, 0, 0, 0, 0]);
    }

    #[test]
    fn named_columns_are_shown() {
        assert_eq!(fit(&DEFAULT, 80, true, false), [41, 6, 8, 5, 5, 5]);
        assert_eq!(fit(&DEFAULT, 24, true, false), [4, 4, 8, 0, 0, 0]);
    }
}
