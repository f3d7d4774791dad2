//! How a filter is refused: with the column, a caret, and what to do.

use haul::error::Kind;
use haul::filter::Filter;

use crate::support::filters::now;

/// The message, the caret's column and the first hint.
fn refusal(text: &str) -> (String, usize, String) {
    let error = Filter::parse(text, now()).expect_err(text);
    assert_eq!(error.kind(), Kind::Usage);
    let [_, carets] = error.details() else { panic!("{text}: {:?}", error.details()) };
    let hint = error.hints().first().cloned().unwrap_or_default();
    (error.message().to_owned(), carets.find('^').expect("a caret") + 1, hint)
}

#[test]
fn errors_name_what_is_wrong_and_where() {
    let cases = [
        ("creatd_at > -7d", 1, "`creatd_at` is not a field", "did you mean `created_at`?"),
        ("size > 1 AND Name:x", 14, "`Name` is not a field", "did you mean `name`?"),
        ("metadata = 3", 1, "`metadata` has no value of its own", "name one of its keys: `metadata.KEY`"),
        (
            "checksums.sha1 = x",
            1,
            "`checksums.sha1` is not a checksum",
            "checksums: checksums.sha256, checksums.md5, checksums.blake3",
        ),
        ("name:a and name:b", 8, "`and` is not compared with anything", "operators are upper case: `AND`"),
        ("report", 1, "`report` is not compared with anything", "for a part of a name: `name:report`"),
        (
            "size > many",
            8,
            "`many` is not a size, which `size` is compared with",
            "sizes: 1000, 10MB, 1.5GiB",
        ),
        (
            "downloadable = yes",
            16,
            "`yes` is not `true` or `false`, which `downloadable` is compared with",
            "`downloadable = true`",
        ),
        ("name < b", 8, "`name` cannot be compared by `<`", "`name` takes `:` `=` `!=` `~`"),
        ("size ~ 1*", 8, "`size` cannot be compared by `~`", "`size` takes `:` `=` `!=` `<` `<=` `>` `>=`"),
        ("size > null", 8, "`null` cannot be compared by `>`", ""),
        ("(name:a", 1, "`(` is never closed", ""),
        ("name:a)", 7, "`)` without a `(` before it", ""),
        ("name:\"a", 6, "`\"` is never closed", ""),
        (
            "id = 'é' AND name = ",
            21,
            "`name` is compared with nothing",
            "put quotes round a value that is empty or an operator: `\"\"`, `\"AND\"`",
        ),
        (
            "name = AND size > 1",
            8,
            "`name` is compared with nothing",
            "put quotes round a value that is empty or an operator: `\"\"`, `\"AND\"`",
        ),
        (
            "name == x",
            7,
            "`=` where a value is expected",
            "operators: `:` `=` `!=` `<` `<=` `>` `>=` `~`; quote a value that starts like one",
        ),
        (
            "name:a AND",
            11,
            "the text ends where a comparison is expected",
            "for example `size > 10MB` or `name:report`",
        ),
        ("OR name:a", 1, "`OR` where a comparison is expected", ""),
        ("name:a OR OR name:b", 11, "`OR` where a comparison is expected", ""),
        ("NOT NOT name:a", 5, "`NOT` where a comparison is expected", ""),
        ("()", 2, "`)` where a field is expected", "for example `size > 10MB` or `name:report`"),
        ("name:a, name:b", 7, "`,` where a field is expected", "for example `size > 10MB` or `name:report`"),
        ("name ! x", 6, "`!` is not an operator", "not equal is `!=`"),
    ];
    for (text, column, what, hint) in cases {
        let expected = (format!("filter, column {column}: {what}"), column, hint.to_owned());
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn an_error_is_shown_under_the_text() {
    let error = Filter::parse("size > 1 AND creatd_at\t> -7d", now()).unwrap_err();
    let lines: Vec<String> = error.lines().iter().map(|(label, line)| format!("{label}: {line}")).collect();
    assert_eq!(
        lines,
        [
            "error: filter, column 14: `creatd_at` is not a field",
            ": size > 1 AND creatd_at\\t> -7d",
            ":              ^^^^^^^^^",
            "hint: did you mean `created_at`?",
            "hint: fields: provider, profile, id, name, size, content_type, purpose, path, status, created_at, \
             updated_at, expires_at, downloadable, url, metadata.KEY, extra.KEY, checksums.sha256, checksums.md5, \
             checksums.blake3",
        ]
    );
}

#[test]
fn times_that_are_none_list_the_ways_to_write_one() {
    for value in ["yesterday", "7d", "-7y", "2026-02-30", "+999999999999w"] {
        let text = format!("created_at > {value}");
        let (message, column, hint) = refusal(&text);
        assert_eq!(
            message,
            format!("filter, column 14: `{value}` is not a time, which `created_at` is compared with")
        );
        assert_eq!(column, 14);
        assert!(hint.starts_with("times: 2026-01-31, "), "{hint}");
    }
}

#[test]
fn nesting_and_length_have_limits() {
    let nested = |depth: usize| format!("{}id = x{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(100), now()).is_ok());
    let (message, ..) = refusal(&nested(101));
    assert_eq!(message, "filter, column 101: parentheses nest more than 100 deep");
    refusal(&"(".repeat(60_000));
    refusal(&"-(".repeat(30_000));

    let long = |bytes: usize| format!("id = {}", "x".repeat(bytes - 5));
    assert!(Filter::parse(&long(65_536), now()).is_ok());
    let (message, ..) = refusal(&long(65_537));
    assert_eq!(message, "filter, column 65537: the text is 65537 bytes long; a filter has at most 65536");
}

#[test]
fn a_text_full_of_operators_is_read_in_no_time() {
    let texts = [
        "-".repeat(60_000),
        "NOT ".repeat(15_000),
        "id = x OR ".repeat(6_000) + "id = x",
        format!("{}id=x", "id=x OR id=y ".repeat(2_500)),
        format!("{}{}", "-(id=x ".repeat(99), "id=y)".repeat(99)),
        "a.".repeat(30_000) + "b = 1",
        "metadata.''".repeat(5_000),
        "\\".repeat(60_000),
        format!("id = '{}", "\\'".repeat(30_000)),
    ];
    // As long as a filter may be, or nearly: quadratic work would still end, exponential work would not.
    for text in texts {
        assert!(text.len() < 65_536);
        if let Ok(filter) = Filter::parse(&text, now()) {
            assert_eq!(Filter::parse(&filter.to_string(), now()).unwrap(), filter);
        }
    }
}
