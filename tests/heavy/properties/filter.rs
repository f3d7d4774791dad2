//! Properties of the parser, the printer and the evaluator of filters.

use haul::error::Kind;
use haul::filter::{Comparison, Equality, Expr, Filter, Op, Precision, Value};
use haul::model::{Checksums, File};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use crate::properties::holds::holds;
use crate::support::filters::{PLATFORM, now, object};

/// A small vocabulary, so that random filters match random files.
pub fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "a",
        "B",
        "ab",
        "a b",
        "Report.pdf",
        "report",
        "é",
        "1",
        "true",
        "null",
        "*",
        "a*",
        "AND",
        "",
        "x\"\\'\n",
    ];
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (1_778_000_000i64..1_778_000_005).prop_map(|seconds| Timestamp::from_second(seconds).expect("in range"))
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => (0u32..4).prop_map(f64::from), 1 => prop::num::f64::NORMAL | prop::num::f64::ZERO]
}

fn op(ops: &'static [Op]) -> impl Strategy<Value = Op> {
    prop::sample::select(ops)
}

const ORDER: [Op; 6] = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge];

/// Comparisons in the form that the parser returns.
fn comparison() -> impl Strategy<Value = Comparison> {
    let part = |field: &'static [&'static str], ops, value: BoxedStrategy<Value>| {
        (prop::sample::select(field), op(ops), value)
            .prop_map(|(field, op, value)| Comparison { field: field.to_owned(), op, value })
            .boxed()
    };
    let text = || word().prop_map(Value::Text);
    let all = &[
        "name",
        "content_type",
        "id",
        "size",
        "created_at",
        "expires_at",
        "downloadable",
        "metadata.a",
        "url",
    ];
    let key =
        prop_oneof![4 => prop::sample::select(&["a", "a.b", "b"][..]).prop_map(str::to_owned), 1 => ".{1,8}"];
    let json_ordered = (op(&ORDER), prop_oneof![text(), number().prop_map(Value::Number)]);
    let json_equal = (op(&ORDER[..2]), any::<bool>().prop_map(Value::Bool));
    let json_has = (Just(Op::Has), text());
    prop_oneof![
        part(&["name", "content_type", "purpose", "path", "url"], &[Op::Has, Op::Eq, Op::Ne], text().boxed()),
        part(&["id", "status", "provider", "user_defined_id"], &[Op::Eq, Op::Ne], text().boxed()),
        part(&["name", "id"], &[Op::Glob], "[a-cR?*\\[\\]!\\\\-]{0,6}".prop_map(Value::Text).boxed()),
        part(&["checksums.md5"], &[Op::Eq, Op::Ne], "[0-9a-f]{0,2}".prop_map(Value::Text).boxed()),
        part(&["size"], &ORDER, (0u64..4).prop_map(Value::Size).boxed()),
        part(
            &["created_at", "expires_at", "public_url_expires_at"],
            &ORDER,
            instant().prop_map(Value::Time).boxed()
        ),
        part(&["downloadable"], &[Op::Eq, Op::Ne], any::<bool>().prop_map(Value::Bool).boxed()),
        part(all, &[Op::Eq, Op::Ne], Just(Value::Null).boxed()),
        part(all, &[Op::Has], Just(Value::Present).boxed()),
        (key, prop_oneof![json_ordered, json_equal, json_has]).prop_map(|(key, (op, value))| Comparison {
            field: format!("metadata.{key}"),
            op,
            value
        }),
    ]
}

/// Filters in the form that the parser returns.
pub fn filter() -> impl Strategy<Value = Filter> {
    comparison()
        .prop_map(Expr::Compare)
        .prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::all),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Expr::any),
                inner.prop_map(Expr::negated),
            ]
        })
        .prop_map(|expr| Filter { expr })
}

pub fn file() -> impl Strategy<Value = File> {
    let maybe = |strategy: BoxedStrategy<String>| prop::option::of(strategy);
    let metadata = prop::option::of(prop_oneof![
        word().prop_map(|word| json!(word)),
        (0u32..4).prop_map(|number| json!(number)),
        any::<bool>().prop_map(|truth| json!(truth)),
        prop::collection::vec(word(), 0..3).prop_map(|words| json!(words)),
        word().prop_map(|word| json!({ "b": word })),
    ]);
    let texts = (word(), word(), maybe(word().boxed()), maybe(word().boxed()), maybe(word().boxed()));
    let others = (
        prop::option::of(0u64..4),
        prop::option::of(instant()),
        prop::option::of(instant()),
        prop::option::of(any::<bool>()),
        maybe("[0-9a-f]{0,2}".boxed()),
        metadata,
        maybe(word().boxed()),
    );
    (texts, others).prop_map(|((name, id, content_type, status, url), others)| {
        let (size, created_at, expires_at, downloadable, md5, a, own) = others;
        File {
            name,
            id: id.into(),
            content_type,
            status,
            url,
            size,
            created_at,
            expires_at,
            downloadable,
            checksums: Checksums { md5, ..Checksums::default() },
            metadata: a.map(|a| object(json!({ "a": a }))).unwrap_or_default(),
            extra: own.map(|own| object(json!({ "user_defined_id": own }))).unwrap_or_default(),
            ..File::default()
        }
    })
}

/// Texts that resemble filters.
fn filter_like() -> impl Strategy<Value = String> {
    const TOKENS: &[&str] = &[
        "name",
        "size",
        "created_at",
        "metadata.a",
        "metadata.",
        "checksums.md5",
        "file_id",
        "nme",
        "AND",
        "OR",
        "NOT",
        "and",
        "(",
        ")",
        "((",
        "))",
        "-",
        ":",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "~",
        "!",
        "==",
        ",",
        "\"",
        "'",
        "\\",
        "\"a b\"",
        "'x\\'y'",
        "null",
        "*",
        "a*",
        "10MB",
        "1.5GiB",
        "-7d",
        "+24h",
        "2026-01-31",
        "{a,b}",
        "[a-c]",
        "é",
        "\u{202e}",
        "\0",
        "true",
        "3",
        " ",
        " ",
        " ",
        "\t",
        "name:x",
        "size>1",
        "id=y",
    ];
    let token = prop_oneof![9 => prop::sample::select(TOKENS).prop_map(str::to_owned), 1 => "\\PC{0,3}"];
    prop_oneof![
        8 => prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat()),
        1 => any::<String>(),
        1 => filter().prop_map(|filter| filter.to_string()),
    ]
}

/// A text parses to a filter that round-trips through its printed form, or to an error with a column inside the text.
fn check_text(text: &str, file: &File) -> Result<(), TestCaseError> {
    match Filter::parse_with(text, now(), &PLATFORM) {
        Ok(filter) => {
            for equality in [Equality::Exact, Equality::Wildcards] {
                filter.matches_as(file, equality);
            }
            let printed = filter.to_string();
            let again = Filter::parse_with(&printed, now(), &PLATFORM);
            prop_assert_eq!(again.map_err(|error| error.to_string()), Ok(filter), "{}", printed);
        }
        Err(error) => {
            prop_assert_eq!(error.kind(), Kind::Usage);
            let column =
                error.message().strip_prefix("filter, column ").and_then(|rest| rest.split_once(':'));
            let column: usize = column.and_then(|(column, _)| column.parse().ok()).unwrap_or(0);
            prop_assert!((1..=text.chars().count() + 1).contains(&column), "{}", error);
            prop_assert_eq!(error.details().len(), 2);
            prop_assert!(
                error.lines().iter().all(|(_, line)| !line.contains(char::is_control)),
                "{:?}",
                error
            );
        }
    }
    Ok(())
}

/// The evaluation of a filter by a platform. With `loose`, its imprecise comparisons match every file.
fn platform_matches(expr: &Expr, file: &File, loose: bool) -> bool {
    match expr {
        Expr::And(parts) => parts.iter().all(|part| platform_matches(part, file, loose)),
        Expr::Or(parts) => parts.iter().any(|part| platform_matches(part, file, loose)),
        Expr::Not(inner) => !platform_matches(inner, file, loose),
        Expr::Compare(comparison) => {
            let exact = Filter { expr: expr.clone() }.matches(file);
            exact || (precision(comparison) == Some(Precision::Superset) && loose)
        }
    }
}

/// A platform that supports some comparisons exactly, some imprecisely and some not at all.
fn precision(comparison: &Comparison) -> Option<Precision> {
    match (comparison.field.as_str(), comparison.op) {
        ("id" | "size", _) | ("name", Op::Eq) => Some(Precision::Exact),
        ("name" | "created_at", _) => Some(Precision::Superset),
        _ => None,
    }
}

fn comparisons(expr: &Expr) -> Vec<&Comparison> {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().flat_map(comparisons).collect(),
        Expr::Not(inner) => comparisons(inner),
        Expr::Compare(comparison) => vec![comparison],
    }
}

#[test]
fn every_text_parses_or_fails_with_a_column() {
    holds("filter: every text parses or fails with a column", (filter_like(), file()), |(text, file)| {
        check_text(&text, &file)
    });
}

#[test]
fn a_printed_filter_parses_to_itself() {
    holds("filter: a printed filter parses to itself", filter(), |filter| {
        let printed = filter.to_string();
        let again = Filter::parse_with(&printed, now(), &PLATFORM);
        prop_assert_eq!(again.map_err(|error| error.to_string()), Ok(filter), "{}", printed);
        Ok(())
    });
}

#[test]
fn the_native_part_of_a_filter_loses_no_file() {
    let inputs = (filter(), prop::collection::vec(file(), 8), any::<bool>());
    holds("filter: the native part of a filter loses no file", inputs, |(filter, files, loose)| {
        let whole = filter.expr.native(precision).map(|(_, precision)| precision);
        let Some(native) = filter.native(precision) else {
            prop_assert_eq!(whole, None);
            return Ok(());
        };
        prop_assert!(comparisons(&native.expr).iter().all(|comparison| precision(comparison).is_some()));
        for file in &files {
            let sent = platform_matches(&native.expr, file, loose);
            prop_assert!(sent || !filter.matches(file), "{filter} was sent as {native}");
            if whole == Some(Precision::Exact) {
                prop_assert_eq!(sent, filter.matches(file), "{} was sent as {}", filter, native);
            }
        }
        Ok(())
    });
}

#[test]
fn and_or_and_not_obey_boolean_laws() {
    let inputs = (filter(), filter(), filter(), file());
    holds("filter: laws of AND, OR and NOT", inputs, |(a, b, c, file)| {
        let eval = |expr: Expr| Filter { expr }.matches(&file);
        let (a, b, c) = (a.expr, b.expr, c.expr);
        let all = |parts: &[&Expr]| Expr::all(parts.iter().map(|part| (*part).clone()).collect());
        let any = |parts: &[&Expr]| Expr::any(parts.iter().map(|part| (*part).clone()).collect());
        let not = |expr: &Expr| expr.clone().negated();
        prop_assert_eq!(eval(not(&a)), !eval(a.clone()), "{}", a);
        prop_assert_eq!(eval(not(&not(&a))), eval(a.clone()), "double negation");
        prop_assert_eq!(eval(all(&[&a, &b])), eval(a.clone()) && eval(b.clone()));
        prop_assert_eq!(eval(any(&[&a, &b])), eval(a.clone()) || eval(b.clone()));
        prop_assert_eq!(eval(not(&all(&[&a, &b]))), eval(any(&[&not(&a), &not(&b)])), "De Morgan");
        prop_assert_eq!(all(&[&a, &all(&[&b, &c])]), all(&[&all(&[&a, &b]), &c]), "associativity");
        prop_assert_eq!(
            eval(all(&[&a, &any(&[&b, &c])])),
            eval(any(&[&all(&[&a, &b]), &all(&[&a, &c])])),
            "AND over OR"
        );
        Ok(())
    });
}

#[test]
fn the_depth_of_parentheses_is_limited() {
    let inputs = (0usize..300, any::<bool>(), "[()]{0,300}");
    holds("filter: depth is bounded", inputs, |(depth, not, noise)| {
        let open = if not { "NOT (" } else { "(" };
        let text = format!("{}size > 1{}", open.repeat(depth), ")".repeat(depth));
        prop_assert_eq!(Filter::parse(&text, now()).is_ok(), depth <= 100, "{}", depth);
        check_text(&format!("{noise}{text}"), &File::default())
    });
}

#[test]
fn every_match_of_a_glob_starts_with_its_prefix() {
    let inputs = ("[a-c*?\\[\\]\\\\]{0,5}", "[a-c*?\\\\]{0,5}");
    holds("filter: every match of a glob starts with its prefix", inputs, |(pattern, name)| {
        let filter = Filter::glob(&pattern).unwrap();
        let prefix = filter.conjuncts()[0].prefix().unwrap_or_default();
        let file = File { name, ..File::default() };
        prop_assert!(!filter.matches(&file) || file.name.starts_with(&prefix));
        Ok(())
    });
}
