//! How wide each column of a table gets.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a column holds, as far as its width goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Copied into the next command: elided only when nothing else is left.
    Id,
    /// Names and paths: elided first, in the middle, since both ends tell something.
    Name,
    /// A number of bytes or another number: right-aligned, never elided.
    Number,
    /// A relative time.
    Time,
    /// One word.
    Status,
    /// Anything else.
    Text,
}

impl Kind {
    /// By the field's name; whether the values are numbers is seen from them.
    pub fn of(field: &str, numbers: bool) -> Self {
        match field {
            "id" => Self::Id,
            "name" | "path" | "saved_to" | "url" | "file" => Self::Name,
            "status" => Self::Status,
            _ if numbers || is_size(field) => Self::Number,
            _ if field.ends_with("_id") => Self::Id,
            _ if field.ends_with("_at") => Self::Time,
            _ if field.ends_with("_status") => Self::Status,
            _ => Self::Text,
        }
    }

    /// The width that a later page may need, kept free when a listing is still coming.
    fn roomy(self) -> usize {
        match self {
            Self::Name => 24,
            Self::Number => 8,
            Self::Time => 14,
            Self::Status => 10,
            Self::Id | Self::Text => 0,
        }
    }

    /// The width below which it says nothing any more.
    fn floor(self, asked: bool) -> usize {
        match self {
            Self::Id | Self::Number => usize::MAX,
            Self::Name => 12,
            Self::Time | Self::Status if !asked => 11,
            Self::Text if !asked => 8,
            Self::Time | Self::Status | Self::Text => 5,
        }
    }
}

/// Whether a field's numbers count bytes.
pub(super) fn is_size(field: &str) -> bool {
    field == "size" || field.ends_with("_size") || field == "bytes" || field.ends_with("_bytes")
}

/// Columns of blank between two columns.
pub(super) const GAP: u16 = 2;

/// The widths that fit `width` columns of terminal; 0 hides a column.
///
/// Long text gives way first, then names. Where that is not enough, columns are hidden: text, then status,
/// then times, but those that were asked for by name only when not even a few letters of each fit. An id is elided last.
pub(super) fn fit(columns: &[(Kind, usize)], width: usize, asked: bool, more: bool) -> Vec<usize> {
    let natural = columns.iter().map(|&(kind, natural)| {
        let natural = if more && kind == Kind::Number { natural.max(kind.roomy()) } else { natural };
        natural.clamp(1, width.max(1))
    });
    let mut widths: Vec<usize> = natural.collect();
    let needed = |widths: &[usize]| {
        let floors = columns.iter().zip(widths).map(|((kind, _), &width)| kind.floor(asked).min(width));
        used(&floors.collect::<Vec<_>>())
    };
    for kind in [Kind::Text, Kind::Status, Kind::Time, Kind::Number] {
        while !asked && needed(&widths) > width {
            let Some(last) = (0..columns.len()).rfind(|&i| columns[i].0 == kind && widths[i] > 0) else {
                break;
            };
            widths[last] = 0;
        }
    }

    // An ellipsis in the header tells of hidden columns, where it costs no more than a piece of a name.
    let mark = usize::from(GAP) + 1;
    let width = if widths.contains(&0) && needed(&widths) + mark <= width { width - mark } else { width };

    let shrink = |kind: Kind, floor: usize, widths: &mut [usize]| {
        while used(widths) > width {
            let widest = (0..columns.len())
                .filter(|&i| columns[i].0 == kind && widths[i] > floor)
                .max_by_key(|&i| widths[i]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
        }
    };
    shrink(Kind::Text, 24, &mut widths);
    shrink(Kind::Name, 12, &mut widths);
    for kind in [Kind::Text, Kind::Status, Kind::Time] {
        shrink(kind, kind.floor(asked), &mut widths);
    }
    if asked {
        shrink(Kind::Name, 6, &mut widths);
    }
    shrink(Kind::Id, 12, &mut widths);
    shrink(Kind::Name, 4, &mut widths);
    shrink(Kind::Id, 4, &mut widths);
    while used(&widths) > width {
        let Some(last) = widths.iter().rposition(|&w| w > 0).filter(|&last| last > 0) else { break };
        widths[last] = 0;
    }

    if more {
        for wanted in [Kind::Time, Kind::Status, Kind::Name] {
            for i in (0..columns.len()).filter(|&i| columns[i].0 == wanted) {
                let free = width.saturating_sub(used(&widths));
                if widths[i] > 0 {
                    widths[i] += wanted.roomy().saturating_sub(widths[i]).min(free);
                }
            }
        }
    }
    widths
}

/// The columns of a line of these widths.
fn used(widths: &[usize]) -> usize {
    let gap = usize::from(GAP);
    widths.iter().filter(|&&width| width > 0).map(|width| width + gap).sum::<usize>().saturating_sub(gap)
}

/// Shortens text to `width` columns with an ellipsis: in the middle, or at its end.
pub(super) fn elide(text: &str, width: usize, middle: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    if !middle || room < 8 {
        return start(text, room) + "…";
    }
    // The end is worth more than a third: it holds the extension.
    let tail = end(text, room * 2 / 5);
    start(text, room - tail.width()) + "…" + tail
}

/// As much of the beginning as fits.
fn start(text: &str, width: usize) -> String {
    text.chars()
        .scan(0, |used, c| Some((c, sum(used, c))))
        .take_while(|(_, used)| *used <= width)
        .map(|(c, _)| c)
        .collect()
}

/// As much of the end as fits.
fn end(text: &str, width: usize) -> &str {
    let fitting = text.char_indices().rev().scan(0, |used, (at, c)| Some((at, sum(used, c))));
    let from = fitting.take_while(|(_, used)| *used <= width).last().map_or(text.len(), |(at, _)| at);
    &text[from..]
}

/// Adds a character's width, at least what it adds to a line: the emoji selector makes a narrow character wide. In one
/// pass, since a name may have any length.
fn sum(used: &mut usize, c: char) -> usize {
    *used += if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) };
    *used
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: [(Kind, usize); 6] = [
        (Kind::Id, 41),
        (Kind::Name, 30),
        (Kind::Number, 8),
        (Kind::Text, 24),
        (Kind::Status, 10),
        (Kind::Time, 11),
    ];

    #[test]
    fn columns_keep_their_widths_where_there_is_room() {
        assert_eq!(fit(&DEFAULT, 200, false, false), [41, 30, 8, 24, 10, 11]);
        assert_eq!(fit(&DEFAULT, 134, false, false), [41, 30, 8, 24, 10, 11]);
    }

    #[test]
    fn a_listing_still_coming_keeps_room_for_later_pages() {
        let short = [(Kind::Id, 8), (Kind::Name, 5), (Kind::Number, 4)];
        assert_eq!(fit(&short, 80, false, true), [8, 24, 8]);
        assert_eq!(fit(&short, 80, false, false), [8, 5, 4]);
        assert_eq!(fit(&short, 30, false, true), [8, 10, 8]);
    }

    #[test]
    fn names_give_way_then_columns_then_ids() {
        assert_eq!(fit(&DEFAULT, 120, false, false), [41, 16, 8, 24, 10, 11]);
        assert_eq!(fit(&DEFAULT, 100, false, false), [41, 12, 8, 8, 10, 11]);
        assert_eq!(fit(&DEFAULT, 80, false, false), [41, 14, 8, 0, 0, 11]);
        assert_eq!(fit(&DEFAULT, 40, false, false), [26, 12, 0, 0, 0, 0]);
        assert_eq!(fit(&DEFAULT, 10, false, false), [4, 4, 0, 0, 0, 0]);
    }

    #[test]
    fn columns_asked_for_by_name_are_shown() {
        assert_eq!(fit(&DEFAULT, 80, true, false), [41, 6, 8, 5, 5, 5]);
        assert_eq!(fit(&DEFAULT, 24, true, false), [4, 4, 8, 0, 0, 0]);
    }

    #[test]
    fn eliding_keeps_both_ends_of_a_name_and_counts_columns() {
        assert_eq!(elide("report.pdf", 10, true), "report.pdf");
        assert_eq!(elide("quarterly-report-2026.pdf", 16, true), "quarterly…26.pdf");
        assert_eq!(elide("quarterly-report-2026.pdf", 16, false), "quarterly-repor…");
        assert_eq!(elide("日本語の報告書.pdf", 12, true), "日本語….pdf");
        assert_eq!(elide("日本語", 1, false), "…");
        assert_eq!(elide("abc", 0, false), "…");
    }
}
