//! "Did you mean": the name that was probably meant by another. Commands, options, fields, profiles, keys and files are
//! all measured alike.

use strsim::osa_distance;

/// Longer than any name with any mistake: not worth the time.
const LONGEST: usize = 128;

/// The one of `names` that `typed` was probably meant to be: few typing errors away, else one that begins with it or has
/// it as a word. Capitals do not count.
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    if length > LONGEST {
        return None;
    }
    // One mistake, and one more for every five letters; of a single letter a mistake leaves nothing.
    let allowed = if length < 2 { 0 } else { 1 + length / 5 };
    let mut best: Option<(usize, &str)> = None;
    let mut beginning = None;
    for name in names {
        let lower = name.to_lowercase();
        if lower.chars().count() > LONGEST {
            continue;
        }
        let distance = osa_distance(&typed, &lower);
        if distance <= allowed && distance < length && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
        let has_word = || lower.split(|c: char| !c.is_alphanumeric()).any(|word| word == typed);
        if length >= 3 && beginning.is_none() && (lower.starts_with(&typed) || has_word()) {
            beginning = Some(name);
        }
    }
    best.map(|(_, name)| name).or(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 9] = [
        "ls",
        "list",
        "upload",
        "name",
        "content_type",
        "created_at",
        "xai",
        "llamacloud",
        "Report 2026.pdf",
    ];

    fn near(typed: &str) -> Option<&'static str> {
        nearest(typed, NAMES)
    }

    #[test]
    fn a_few_mistakes_are_seen_through() {
        assert_eq!(near("lss"), Some("ls"));
        assert_eq!(near("nmae"), Some("name"));
        assert_eq!(near("UPLAOD"), Some("upload"));
        assert_eq!(near("contnt_typ"), Some("content_type"));
        assert_eq!(near("report 2025.pdf"), Some("Report 2026.pdf"));
    }

    #[test]
    fn a_beginning_or_a_word_is_enough() {
        assert_eq!(near("type"), Some("content_type"));
        assert_eq!(near("llama"), Some("llamacloud"));
        assert_eq!(near("report"), Some("Report 2026.pdf"));
    }

    #[test]
    fn what_is_far_from_all_is_near_none() {
        for typed in ["", "x", "nope", "zebra_crossing", "li", &"upload".repeat(40)] {
            assert_eq!(near(typed), if typed == "li" { Some("ls") } else { None }, "{typed}");
        }
        assert_eq!(nearest("upload", ["upload".repeat(40).as_str()]), None);
    }
}
