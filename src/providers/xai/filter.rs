//! The comparisons that xAI evaluates itself, and its filter language.

use jiff::{SignedDuration, Timestamp};

use super::SPEC;
use crate::filter::{Comparison, Equality, Expr, Filter, Op, Value};
use crate::model::File;
use crate::providers::Native;
use crate::providers::pushdown::{Language, Parameter, Spelling};

pub(super) const LANGUAGE: Language = Language { and: " AND ", or: " OR ", not: "NOT " };

const RANGE: &[Op] = &[Op::Lt, Op::Le, Op::Gt, Op::Ge];

// It is not documented how the service matches names. `=` may match too many files, so `!=` may match too few.
const NAME: Native = Native::superset("name", &[Op::Has, Op::Eq, Op::Glob]);
const ID: Native = exact("id", &[Op::Eq]);
const OWN_ID: Native = exact("user_defined_id", &[Op::Eq]);
const SIZE: Native = exact("size", &[Op::Eq, Op::Lt, Op::Le, Op::Gt, Op::Ge]);
const TYPE: Native = exact("content_type", &[Op::Has]).exact_if(is_about_a_part);
// Here too, the platform searches for part of the type.
const WHOLE_TYPE: Native = loose("content_type", &[Op::Eq, Op::Ne]).exact_if(is_about_a_part);
const CREATED: Native = loose("created_at", RANGE);
const EXPIRES: Native = loose("expires_at", RANGE);
const UPLOAD: Native = exact("upload_status", &[Op::Eq, Op::Ne]);

/// Comparisons in the openai dialect.
pub(super) const OPENAI: &[Native] = &[
    NAME.sent(Spelling::Language(spell)),
    ID,
    OWN_ID,
    SIZE,
    TYPE,
    WHOLE_TYPE,
    CREATED,
    EXPIRES,
    UPLOAD,
    exact("url", &[Op::Eq, Op::Ne]),
    loose("public_url_expires_at", RANGE),
];

/// Comparisons in the gateway dialect. It has no public URLs; its files contain both statuses, from which haul
/// derives `status`. The start of a name has its own parameter.
pub(super) const GATEWAY: &[Native] = &[
    NAME.sent(Spelling::OnceOrLanguage(prefix, spell)),
    ID,
    OWN_ID,
    SIZE,
    TYPE,
    WHOLE_TYPE,
    CREATED,
    EXPIRES,
    UPLOAD,
    loose("status", &[Op::Eq]),
];

const fn exact(field: &'static str, ops: &'static [Op]) -> Native {
    Native::exact(field, ops).sent(Spelling::Language(spell))
}

const fn loose(field: &'static str, ops: &'static [Op]) -> Native {
    Native::superset(field, ops).sent(Spelling::Language(spell))
}

/// The parameter for the literal start of a pattern.
fn prefix(comparison: &Comparison) -> Option<Parameter> {
    (comparison.op == Op::Glob).then(|| spell(comparison))??;
    Some(("prefix", comparison.prefix()?))
}

/// Whether comparing the media type gives the same result as on the platform, which searches for part of the type.
/// True for `= application/pdf`, which is not part of another known type; false for `= application/json`, which is
/// part of `application/json5`.
fn is_about_a_part(comparison: &Comparison) -> bool {
    let filter = Filter { expr: Expr::Compare(comparison.clone()) };
    let part = core(comparison).unwrap_or_default().to_lowercase();
    let known = mime_guess::get_extensions("*", "*").unwrap_or_default().iter();
    known.flat_map(|extension| mime_guess::from_ext(extension).iter_raw()).all(|known| {
        let file = File { content_type: Some(known.to_owned()), ..File::default() };
        (known.to_lowercase().contains(&part) != (comparison.op == Op::Ne)) == filter.matches(&file)
    })
}

/// The text that the platform searches for in a media type, without wildcards, which it does not support.
fn core(comparison: &Comparison) -> Option<&str> {
    let Value::Text(text) = &comparison.value else { return None };
    let core = if comparison.op == Op::Has { text.trim_matches('*') } else { text };
    (!core.contains('*')).then_some(core)
}

fn spell(comparison: &Comparison) -> Option<String> {
    let Comparison { field, op, value } = comparison;
    match (field.as_str(), value) {
        ("name", Value::Text(_)) if *op == Op::Glob => {
            let start = comparison.prefix().filter(|start| !start.contains('*'))?;
            Some(format!("name:{}", name(Op::Has, &format!("{start}*"))?))
        }
        ("name", Value::Text(text)) => Some(format!("name{}{}", sign(*op), name(*op, text)?)),
        ("id", Value::Text(text)) => Some(format!("file_id = {}", quoted(text)?)),
        ("user_defined_id", Value::Text(text)) => Some(format!("user_defined_id = {}", quoted(text)?)),
        // Searching for part of a type cannot determine which types differ.
        ("content_type", _) if *op == Op::Ne && !is_about_a_part(comparison) => None,
        ("content_type", Value::Text(_)) => {
            Some(format!("content_type{}{}", sign(*op), quoted(core(comparison)?)?))
        }
        ("upload_status", Value::Text(word)) => Some(format!("upload_status{}{}", sign(*op), quoted(word)?)),
        // The platform may read larger numbers as floats.
        ("size", Value::Size(bytes)) if *bytes < 1 << 53 => Some(format!("size_bytes{}{bytes}", sign(*op))),
        ("created_at" | "expires_at" | "public_url_expires_at", Value::Time(time)) => {
            instant(field, *op, *time)
        }
        ("url", Value::Null) => Some(format!("public_url{}null", sign(*op))),
        ("status", Value::Text(word)) => {
            upload_status(word).map(|word| format!("upload_status = \"{word}\""))
        }
        _ => None,
    }
}

/// The name in a comparison; `None` if it could have a different meaning on the platform. After `:`, a star at the
/// start or end is a wildcard in both languages. In other positions, and after `=`, its meaning may differ.
fn name(op: Op, text: &str) -> Option<String> {
    let stars = text.matches('*').count();
    let at_ends = usize::from(text.starts_with('*')) + usize::from(text.len() > 1 && text.ends_with('*'));
    let is_wildcard = op == Op::Eq && SPEC.equality == Equality::Wildcards;
    if stars > at_ends || (stars > 0 && is_wildcard) || stars == text.len() {
        return None;
    }
    // In the documentation, a prefix is not quoted.
    let plain = |c: char| c.is_ascii_alphanumeric() || "*._-".contains(c);
    if stars > 0 && text.chars().all(plain) { Some(text.to_owned()) } else { quoted(text) }
}

/// The platform truncates times to whole seconds in listings. Rounding up keeps every matching file.
fn instant(field: &str, op: Op, time: Timestamp) -> Option<String> {
    let whole = time.subsec_nanosecond() == 0;
    let second = Timestamp::from_second(time.as_second()).ok()?;
    let after = || second.checked_add(SignedDuration::from_secs(1)).ok();
    let (op, time) = match op {
        Op::Lt if whole => (Op::Lt, time),
        Op::Lt | Op::Le => (Op::Lt, after()?),
        _ => (op, time),
    };
    Some(format!("{field}{}\"{time}\"", sign(op)))
}

/// The upload status of a file with this status. After the upload is complete, the status is the processing status.
fn upload_status(word: &str) -> Option<&'static str> {
    match word {
        "Initializing" => Some("Initializing"),
        "Uploading" => Some("Uploading"),
        "Failed" => Some("Failed"),
        "Complete" | "pending" | "processing" | "complete" | "failed" | "skipped" => Some("Complete"),
        _ => None,
    }
}

fn sign(op: Op) -> &'static str {
    match op {
        Op::Has | Op::Glob => ":",
        Op::Eq => " = ",
        Op::Ne => " != ",
        Op::Lt => " < ",
        Op::Le => " <= ",
        Op::Gt => " > ",
        Op::Ge => " >= ",
    }
}

fn quoted(text: &str) -> Option<String> {
    let clean = !text.is_empty() && !text.contains(char::is_control);
    clean.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Precision;
    use crate::providers::pushdown::Pushed;

    fn compare(field: &str, op: Op, value: Value) -> Expr {
        Expr::Compare(Comparison { field: field.to_owned(), op, value })
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn sent(expr: Expr) -> Option<String> {
        Pushed::of(Some(&Filter { expr }), OPENAI, Some(&LANGUAGE)).expression
    }

    #[test]
    fn spelling_matches_the_documented_examples() {
        let time = Value::Time("2024-01-01T00:00:00Z".parse().unwrap());
        for (expr, expected) in [
            (compare("name", Op::Has, text("report")), r#"name:"report""#),
            (compare("name", Op::Has, text("prefix*")), "name:prefix*"),
            (compare("name", Op::Eq, text("report.pdf")), r#"name = "report.pdf""#),
            (compare("id", Op::Eq, text("file_123")), r#"file_id = "file_123""#),
            (compare("content_type", Op::Eq, text("application/pdf")), r#"content_type = "application/pdf""#),
            (compare("created_at", Op::Gt, time), r#"created_at > "2024-01-01T00:00:00Z""#),
            (
                Expr::And(vec![
                    compare("size", Op::Gt, Value::Size(1000)),
                    compare("upload_status", Op::Eq, text("Complete")),
                ]),
                r#"size_bytes > 1000 AND upload_status = "Complete""#,
            ),
            (compare("url", Op::Ne, Value::Null), "public_url != null"),
            (compare("url", Op::Eq, Value::Null), "public_url = null"),
        ] {
            assert_eq!(sent(expr).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_part_of_only_one_media_type_is_exact() {
        for (op, value, expected) in [
            (Op::Has, "pdf", Some(Precision::Exact)),
            (Op::Has, "text/*", Some(Precision::Exact)),
            (Op::Has, "x*", Some(Precision::Superset)),
            (Op::Has, "a*b", None),
            (Op::Eq, "application/pdf", Some(Precision::Exact)),
            (Op::Ne, "application/pdf", Some(Precision::Exact)),
            (Op::Eq, "application/json", Some(Precision::Superset)),
            (Op::Ne, "application/json", None),
            (Op::Eq, "pdf", Some(Precision::Superset)),
            (Op::Eq, "Application/PDF", Some(Precision::Superset)),
            (Op::Eq, "image/*", None),
        ] {
            let filter = Filter { expr: compare("content_type", op, text(value)) };
            for table in [OPENAI, GATEWAY] {
                let pushed = Pushed::of(Some(&filter), table, Some(&LANGUAGE));
                let precision =
                    if pushed.decided.is_empty() { Precision::Superset } else { Precision::Exact };
                assert_eq!(pushed.expression.map(|_| precision), expected, "{filter}");
            }
        }
    }

    #[test]
    fn comparisons_that_could_exclude_a_matching_file_are_not_sent() {
        let time = || Value::Time("2024-01-01T00:00:00Z".parse().unwrap());
        for expr in [
            compare("name", Op::Ne, text("a")),
            compare("name", Op::Eq, text("a*")),
            compare("name", Op::Has, text("a*b")),
            compare("name", Op::Has, text("*")),
            compare("name", Op::Has, text("")),
            compare("name", Op::Has, text("a\nb")),
            compare("content_type", Op::Ne, text("pdf")),
            compare("size", Op::Gt, Value::Size(1 << 53)),
            compare("size", Op::Eq, Value::Null),
            compare("created_at", Op::Eq, time()),
            compare("status", Op::Eq, text("Verifying")),
            compare("url", Op::Eq, text("https://files-cdn.x.ai/a")),
            compare("name", Op::Glob, text("*.pdf")),
            compare("metadata.author", Op::Eq, text("x")),
            Expr::Or(vec![compare("id", Op::Eq, text("a")), compare("path", Op::Eq, text("b"))]),
            Expr::Not(Box::new(compare("name", Op::Eq, text("a")))),
        ] {
            assert_eq!(sent(expr.clone()), None, "{expr:?}");
        }
    }

    #[test]
    fn an_upper_bound_in_time_is_rounded_up_to_a_second() {
        let sent = |op, time: &str| sent(compare("created_at", op, Value::Time(time.parse().unwrap())));
        let below = |time| Some(format!("created_at < \"{time}\""));
        assert_eq!(sent(Op::Lt, "2024-01-01T00:00:05Z"), below("2024-01-01T00:00:05Z"));
        assert_eq!(sent(Op::Le, "2024-01-01T00:00:05Z"), below("2024-01-01T00:00:06Z"));
        assert_eq!(sent(Op::Lt, "2024-01-01T00:00:05.2Z"), below("2024-01-01T00:00:06Z"));
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_and_odd_prefixes_quoted() {
        assert_eq!(sent(compare("name", Op::Eq, text(r#"a"\b"#))).as_deref(), Some(r#"name = "a\"\\b""#));
        assert_eq!(sent(compare("name", Op::Has, text("my re*"))).as_deref(), Some(r#"name:"my re*""#));
        assert_eq!(sent(compare("name", Op::Has, text("*.pdf"))).as_deref(), Some("name:*.pdf"));
    }

    #[test]
    fn alternatives_and_exact_negations_go_in_parentheses() {
        let id = |id: &str| compare("id", Op::Eq, text(id));
        let either = Expr::Or(vec![id("a"), Expr::And(vec![id("b"), compare("name", Op::Has, text("x"))])]);
        let expr = Expr::And(vec![Expr::Not(Box::new(id("c"))), either]);
        let expected = r#"NOT file_id = "c" AND (file_id = "a" OR (file_id = "b" AND name:"x"))"#;
        assert_eq!(sent(expr).as_deref(), Some(expected));
    }

    #[test]
    fn the_start_of_a_pattern_is_a_prefix_or_a_gateway_parameter() {
        let expr = Expr::And(vec![
            compare("name", Op::Glob, text("report-*.p?f")),
            compare("size", Op::Gt, Value::Size(10)),
            compare("url", Op::Ne, Value::Null),
        ]);
        let expected = "name:report-* AND size_bytes > 10 AND public_url != null";
        assert_eq!(sent(expr.clone()).as_deref(), Some(expected));
        let filter = Filter { expr };
        let pushed = Pushed::of(Some(&filter), GATEWAY, Some(&LANGUAGE));
        assert_eq!(pushed.parameter("prefix"), Some("report-"));
        assert_eq!(pushed.expression.as_deref(), Some("size_bytes > 10"), "the gateway has no public URLs");
    }
}
