//! The meaning of filters in haul.

use haul::filter::{Comparison, Equality, Expr, Filter, Op, Value};
use haul::model::File;

use crate::support::filters::{check, now, parse, report};

/// The combined value of three comparisons.
type Truth = fn(bool, bool, bool) -> bool;

#[test]
fn or_binds_tighter_than_and_on_servers() {
    let file = |bits: u8| File {
        provider: if bits & 1 > 0 { "t" } else { "f" }.into(),
        profile: if bits & 2 > 0 { "t" } else { "f" }.into(),
        id: if bits & 4 > 0 { "t" } else { "f" }.into(),
        ..File::default()
    };
    // `a`, `b`, `c` stand for provider, profile, id.
    let table: [(&str, Truth); 11] = [
        ("a AND b OR c", |a, b, c| a && (b || c)),
        ("a OR b AND c", |a, b, c| (a || b) && c),
        ("a b OR c", |a, b, c| a && (b || c)),
        ("a b AND c", |a, b, c| a && b && c),
        ("(a AND b) OR c", |a, b, c| (a && b) || c),
        ("a AND (b OR c)", |a, b, c| a && (b || c)),
        ("NOT a OR b", |a, b, _| !a || b),
        ("NOT (a OR b) c", |a, b, c| !(a || b) && c),
        ("-a -b", |a, b, _| !a && !b),
        ("a AND NOT b OR -c", |a, b, c| a && (!b || !c)),
        ("NOT (NOT (a AND b) OR c)", |a, b, c| a && b && !c),
    ];
    for (shape, truth) in table {
        let spell = |c| match c {
            'a' => "provider = t".to_owned(),
            'b' => "profile = t".to_owned(),
            'c' => "id = t".to_owned(),
            c => c.to_string(),
        };
        let text = shape.chars().map(spell).collect::<String>();
        let filter = Filter::parse_aip160(&text, now(), &[]).unwrap();
        for bits in 0..8 {
            let expected = truth(bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
            assert_eq!(
                filter.matches(&file(bits)),
                expected,
                "{shape}, where a, b, c are the bits of {bits:03b} from the right"
            );
        }
    }
}

#[test]
fn equality_is_exact_and_containment_ignores_case() {
    check(
        &report(),
        Equality::Exact,
        &[
            ("name:report", true),
            ("name:rep*", true),
            ("name:*.PDF", true),
            ("name:!report", false),
            ("name = Report.pdf", true),
            ("name = report.pdf", false),
            ("name = 'Rep*'", false),
            ("name != Rep*", true),
            ("content_type:pdf", true),
            ("content_type = pdf", false),
            ("content_type = application/pdf", true),
            ("path:QUARTERLY", true),
            ("path = quarterly", false),
            ("provider = elsewhere profile:work", true),
            ("status = complete", false),
            ("id:file_12", false),
            ("checksums.md5 = 5D41402ABC4B2A76B9719D911017C592", true),
            ("checksums.md5:5d41", false),
            ("checksums.sha256 = null", true),
            ("purpose != batch", true),
            ("purpose:batch", false),
            ("-purpose:batch", true),
            ("NOT purpose = batch", true),
            ("purpose = null AND purpose != *", true),
            ("downloadable = true", true),
            ("downloadable:false", false),
            ("downloadable != false", true),
            ("", true),
            ("  \n", true),
        ],
    );
    let starred = File { name: "Rep*".into(), ..report() };
    assert!(parse("name = 'Rep*'").matches(&starred));
    assert!(parse("name = '*'").matches(&File { name: "*".into(), ..report() }));
    assert!(!parse("name = '*'").matches(&report()));
    assert!(parse("name = 'null'").matches(&File { name: "null".into(), ..report() }));
    assert!(parse(r#"name = "a\"b\\c\d'e""#).matches(&File { name: r#"a"b\c\d'e"#.into(), ..report() }));
}

#[test]
fn large_sizes_are_compared_exactly() {
    let file = File { size: Some(9_007_199_254_740_993), ..report() };
    check(
        &file,
        Equality::Exact,
        &[
            ("size = 9007199254740993", true),
            ("size > 9007199254740992", true),
            ("size = 9007199254740992", false),
            ("size < 18446744073709551615", true),
        ],
    );
}

#[test]
fn sizes_have_units_and_times_are_relative_to_now() {
    check(
        &report(), // 5000 bytes, one day old
        Equality::Exact,
        &[
            ("size = 5kB", true),
            ("size = 5K", true),
            ("size > 4.9KB size<5.1KB", true),
            ("size < 4.9KiB", true),
            ("size >= 4.9KiB", false),
            ("size:>=5000", true),
            ("size_bytes:!5000", false),
            ("size = '5 kB'", true),
            ("created_at > -7d", true),
            ("created_at > -23h", false),
            ("created_at = -1d", true),
            ("created_at >= -24h0m AND created_at <= -1d", true),
            ("created_at < -1w", false),
            ("created_at > 2026-05-09", true),
            ("created_at > 2026-05-10", false),
            ("created_at = 2026-05-09T12:00:00Z", true),
            ("created_at = '2026-05-09T13:30:00+01:30'", true),
            ("expires_at < +24h", false),
            ("updated_at = null", true),
        ],
    );
    let expiring =
        File { expires_at: Some(crate::support::filters::time("2026-05-11T11:59:59Z")), ..report() };
    assert!(parse("expires_at < +24h").matches(&expiring));
    assert!(!parse("expires_at < +23h").matches(&expiring));
}

#[test]
fn metadata_is_compared_as_number_boolean_or_text() {
    check(
        &report(),
        Equality::Exact,
        &[
            ("metadata.year = 2024", true),
            ("metadata.year = 2024.0", true),
            ("metadata.year = '2024'", true),
            ("metadata.year = '2024.0'", false),
            ("metadata.year > 2023", true),
            ("metadata.year:202", false),
            ("metadata.year:2024", true),
            ("metadata.year:20*", true),
            ("metadata.count > 9", true),
            ("metadata.count > '9'", false),
            ("metadata.code = 0012", true),
            ("metadata.code = 12", false),
            ("metadata.draft = false", true),
            ("metadata.draft != true", true),
            ("metadata.note:ann", true),
            ("metadata.note:7", true),
            ("metadata.note >= Draft", true),
            ("metadata.tags:red", true),
            ("metadata.tags:blu", true),
            ("metadata.tags:green", false),
            ("metadata.tags = red", false),
            ("metadata.author:name", true),
            ("metadata.author.name = Hegel", true),
            ("metadata.author.born < 1800", true),
            ("metadata.author.died:*", false),
            ("metadata.a.b = dotted", true),
            ("metadata.'my key' = spaced", true),
            ("metadata.\"my key\":*", true),
            ("metadata.gone = null", true),
            ("metadata.gone != x", true),
            ("metadata.absent < 3", false),
            ("extra.object = file", true),
        ],
    );
}

#[test]
fn globs_treat_case_and_braces_like_a_shell() {
    let glob = |pattern: &str, name: &str| {
        Filter::glob(pattern).unwrap().matches(&File { name: name.into(), ..File::default() })
    };
    let cases = [
        ("*.{pdf,txt}", "a.txt", true),
        ("*.{pdf,txt}", "a.TXT", false),
        ("page?.[0-9]", "page7.1", true),
        ("page?.[!0-9]", "page7.1", false),
        ("*.md", "sub/a.md", true),
        (r"a\*", "a*", true),
        (r"a\*", "ab", false),
    ];
    for (pattern, name, expected) in cases {
        assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
    }
    assert_eq!(Filter::glob("a.txt").unwrap(), Filter::name_is("a.txt"));
    assert_eq!(Filter::glob(r"a\*").unwrap(), Filter::name_is("a*"));
    assert_eq!(Filter::glob("{a,b}*").unwrap(), parse("name ~ '{a,b}*'"));
    assert!(Filter::glob(&"{a,b}".repeat(20)).is_err());
    check(
        &report(),
        Equality::Exact,
        &[("name ~ R*", true), ("name ~ r*", false), ("id ~ 'file_[0-9]*'", true)],
    );
}

#[test]
fn the_prefix_of_a_name_is_known() {
    let prefix = |text: &str| parse(text).conjuncts()[0].prefix();
    assert_eq!(prefix("name ~ report*").as_deref(), Some("report"));
    assert_eq!(prefix("name ~ 're?ort*'").as_deref(), Some("re"));
    assert_eq!(prefix("name ~ *.pdf"), None);
    assert_eq!(prefix("name = report").as_deref(), Some("report"));
    assert_eq!(prefix("name:report*"), None);
}

#[test]
fn filters_have_a_normal_form() {
    let compare = |field: &str, op, value| Expr::Compare(Comparison { field: field.to_owned(), op, value });
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(parse("file_id:x").expr, compare("id", Op::Eq, text("x")));
    assert_eq!(parse("NOT status:!x").expr, compare("status", Op::Eq, text("x")));
    assert_eq!(parse("-size_bytes = 1kB").expr, compare("size", Op::Ne, Value::Size(1000)));
    assert_eq!(parse("url = *").expr, compare("url", Op::Has, Value::Present));
    assert_eq!(parse("url:!*").expr, compare("url", Op::Eq, Value::Null));
    assert_eq!(parse("((name:x))").expr, compare("name", Op::Has, text("x")));
    assert_eq!(parse(" ").expr, Expr::default());
    // The printed form of the parsed filter.
    let cases = [
        ("((name:x AND (size>1 b.c)))", None),
        ("name:'x' ( size>1K AND id:y)", Some("name:x AND size > 1000 AND id = y")),
        ("(name:a OR (id=b OR id=c)) id=d", Some("(name:a OR id = b OR id = c) AND id = d")),
        ("(name:a AND id=b) OR id=c", Some("(name:a AND id = b) OR id = c")),
        ("-(name:a id:b)", Some("NOT (name:a AND id = b)")),
        ("NOT (NOT (name:a))", Some("name:a")),
        ("-name:a", Some("NOT name:a")),
        ("created_at>-1d", Some("created_at > \"2026-05-09T12:00:00Z\"")),
        ("name = 'null' OR name = null", Some("name = \"null\" OR name = null")),
        ("metadata.'my key'=\"2\"", Some("metadata.\"my key\" = \"2\"")),
        ("metadata.n=2.50", Some("metadata.n = 2.5")),
        (r#"name='say "hi"'"#, Some(r#"name = "say \"hi\"""#)),
        ("name~'*.{a,b}'", Some("name ~ *.a OR name ~ *.b")),
        ("name:a and not size>1", Some("name:a AND NOT size > 1")),
        ("name:a&&id==x", Some("name:a AND id = x")),
        ("name:a || name:b||id = c", Some("name:a OR name:b OR id = c")),
        ("id in (a, 'b c',d)", Some("id = a OR id = \"b c\" OR id = d")),
        ("id NOT IN(a) AND size in (1 MB, 2kB)", Some("id != a AND (size = 1000000 OR size = 2000)")),
        ("size > 1 MB size < 1.5 GiB", Some("size > 1000000 AND size < 1610612736")),
        ("metadata.'&&' != a", Some("metadata.\"&&\" != a")),
        ("metadata.'a||b':x", Some("metadata.\"a||b\":x")),
        ("size > 18446744073709551615", Some("size > 18446744073709551615")),
        ("name = 'And' OR name = \"in\"", Some("name = \"And\" OR name = in")),
        ("", Some("")),
    ];
    for (text, expected) in cases {
        let printed = Filter::parse(text, now()).ok().map(|filter| filter.to_string());
        assert_eq!(printed.as_deref(), expected, "{text}");
    }
}

#[test]
fn and_joins_filters() {
    let both = parse("name:a OR name:b").and(parse("size > 1 AND id = x"));
    assert_eq!(both.to_string(), "(name:a OR name:b) AND size > 1 AND id = x");
    assert_eq!(Filter::default().and(parse("id = x")), parse("id = x"));
    assert!(Filter::default().and(Filter::default()).is_empty());
}

#[test]
fn a_filter_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Filter>();
}
