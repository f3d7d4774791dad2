//! Errors of filters: the column, a caret and a hint.

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
fn errors_name_the_problem_and_its_column() {
    let cases = [
        ("creatd_at > -7d", 1, "unknown field `creatd_at`", "did you mean `created_at`?"),
        ("size > 1 AND Name:x", 14, "unknown field `Name`", "did you mean `name`?"),
        (
            "metadata = 3",
            1,
            "`metadata` is an object and cannot be compared",
            "use one of its keys: `metadata.KEY`",
        ),
        (
            "checksums.sha1 = x",
            1,
            "unknown checksum `checksums.sha1`",
            "checksums: checksums.sha256, checksums.md5, checksums.blake3",
        ),
        (
            "name:a AND size = 1 OR size = 2",
            21,
            "AND and OR are mixed without parentheses",
            "write `--filter '(name:a AND size = 1) OR size = 2'` or `--filter 'name:a AND (size = 1 OR size = 2)'`",
        ),
        (
            "size=1 (id:x || id:y id:z OR id:'w') && id:v",
            22,
            "AND and OR are mixed without parentheses",
            r"write `--filter 'size=1 (id:x OR (id:y AND id:z) OR id:'\''w'\'') && id:v'` or `--filter 'size=1 ((id:x OR id:y) AND (id:z OR id:'\''w'\'')) && id:v'`",
        ),
        ("name contains a", 1, "expected an operator after `name`", "write `name:a`"),
        ("name like *.txt", 1, "expected an operator after `name`", "write `name ~ *.txt`"),
        ("size gt 3", 1, "expected an operator after `size`", "write `size > 3`"),
        ("id in (a", 7, "unclosed `(`", ""),
        ("id in (a b)", 10, "expected `,` or `)`", ""),
        (
            "id in ()",
            8,
            "expected a value for `id`",
            "quote a value that is empty or an operator: `\"\"`, `\"AND\"`",
        ),
        ("size", 1, "expected an operator after `size`", "quote the whole filter: `--filter 'size > 1MB'`"),
        (
            "created_at",
            1,
            "expected an operator after `created_at`",
            "quote the whole filter: `--filter 'created_at > -7d'`",
        ),
        ("author = kim", 1, "unknown field `author`", "for a metadata key: `metadata.author = …`"),
        ("report", 1, "expected an operator after `report`", "to search in names: `name:report`"),
        ("size > many", 8, "expected a size for `size`, found `many`", "sizes: 1000, 10MB, 1.5GiB"),
        (
            "downloadable = yes",
            16,
            "expected `true` or `false` for `downloadable`, found `yes`",
            "`downloadable = true`",
        ),
        ("name < b", 8, "`<` does not apply to `name`", "operators for `name`: `:` `=` `!=` `~`"),
        (
            "size ~ 1*",
            8,
            "`~` does not apply to `size`",
            "operators for `size`: `:` `=` `!=` `<` `<=` `>` `>=`",
        ),
        ("size > null", 8, "`>` does not apply to `null`", ""),
        ("(name:a", 1, "unclosed `(`", ""),
        ("name:a)", 7, "unmatched `)`", ""),
        ("name:\"a", 6, "unclosed `\"`", ""),
        (
            "id = 'é' AND name = ",
            21,
            "expected a value for `name`",
            "quote a value that is empty or an operator: `\"\"`, `\"AND\"`",
        ),
        (
            "name = AND size > 1",
            8,
            "expected a value for `name`",
            "quote a value that is empty or an operator: `\"\"`, `\"AND\"`",
        ),
        (
            "name =< x",
            7,
            "expected a value, found `<`",
            "operators: `:` `=` `!=` `<` `<=` `>` `>=` `~`; quote a value that starts with one",
        ),
        (
            "name:a AND",
            11,
            "expected a comparison, found the end of the filter",
            "for example `size > 10MB` or `name:report`",
        ),
        ("OR name:a", 1, "expected a comparison, found `OR`", ""),
        ("name:a OR OR name:b", 11, "expected a comparison, found `OR`", ""),
        ("NOT NOT name:a", 5, "expected a comparison, found `NOT`", ""),
        ("()", 2, "expected a field, found `)`", "for example `size > 10MB` or `name:report`"),
        ("name:a, name:b", 7, "expected a field, found `,`", "for example `size > 10MB` or `name:report`"),
        ("name ! x", 6, "`!` is not an operator", "for not equal: `!=`"),
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
            "error: filter, column 14: unknown field `creatd_at`",
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
fn an_invalid_time_lists_the_valid_forms() {
    for value in ["yesterday", "7d", "-7y", "2026-02-30", "+999999999999w"] {
        let text = format!("created_at > {value}");
        let (message, column, hint) = refusal(&text);
        assert_eq!(message, format!("filter, column 14: expected a time for `created_at`, found `{value}`"));
        assert_eq!(column, 14);
        assert!(hint.starts_with("times: 2026-01-31, "), "{hint}");
    }
}

#[test]
fn nesting_and_length_have_limits() {
    let nested = |depth: usize| format!("{}id = x{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(100), now()).is_ok());
    let (message, ..) = refusal(&nested(101));
    assert_eq!(message, "filter, column 101: parentheses are nested more than 100 deep");
    refusal(&"(".repeat(60_000));
    refusal(&"-(".repeat(30_000));

    let long = |bytes: usize| format!("id = {}", "x".repeat(bytes - 5));
    assert!(Filter::parse(&long(65_536), now()).is_ok());
    let (message, ..) = refusal(&long(65_537));
    assert_eq!(message, "filter, column 65537: the filter is 65537 bytes long; the maximum is 65536");
}

#[test]
fn many_operators_are_parsed_quickly() {
    let texts = [
        "-".repeat(60_000),
        "NOT ".repeat(15_000),
        "id = x OR ".repeat(6_000) + "id = x",
        format!("{}id=x", "id=x OR id=y ".repeat(2_500)),
        format!("{}{}", "-(id=x OR id=y ".repeat(99), "id=y)".repeat(99)),
        format!("{}{}", "-(id=x ".repeat(99), "id=y)".repeat(99)),
        format!("id in (x{})", ", x".repeat(5_000)),
        "a.".repeat(30_000) + "b = 1",
        "metadata.''".repeat(5_000),
        "\\".repeat(60_000),
        format!("id = '{}", "\\'".repeat(30_000)),
    ];
    // Texts near the maximum length: quadratic work would still end, exponential work would not.
    for text in texts {
        assert!(text.len() < 65_536);
        if let Ok(filter) = Filter::parse(&text, now()) {
            assert_eq!(Filter::parse(&filter.to_string(), now()).unwrap(), filter);
        }
    }
}
