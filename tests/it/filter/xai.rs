//! xAI's documented examples, and differences between its equality and that of haul.

use haul::filter::{Equality, Filter};
use haul::model::File;
use serde_json::json;

use crate::support::filters::{check, now, object, parse, report};

#[test]
fn the_vendors_examples_match_the_files_they_describe() {
    let xai = |text: &str, file: &File| parse(text).matches_as(file, Equality::Wildcards);
    let public = File { url: Some("https://files-cdn.x.ai/t/file_123.pdf".into()), ..report() };
    let named = |name: &str| File { name: name.into(), ..report() };
    let sized = |size| File { size: Some(size), ..report() };
    let typed = |content_type: &str| File { content_type: Some(content_type.into()), ..report() };
    let cases = [
        (r#"name:"report""#, report(), true),
        (r#"name:"report""#, named("invoice.pdf"), false),
        ("name:prefix*", named("prefix-1.txt"), true),
        ("name:prefix*", named("a-prefix"), false),
        (r#"file_id = "file_123""#, report(), true),
        (r#"file_id = "file_12""#, report(), false),
        (r#"size_bytes > 1000 AND upload_status = "Complete""#, report(), true),
        (r#"size_bytes > 1000 AND upload_status = "Complete""#, sized(1000), false),
        (r#"content_type = "application/pdf""#, report(), true),
        (r#"content_type = "pdf""#, report(), true),
        (r#"content_type = "pdf""#, typed("text/plain"), false),
        (r#"created_at > "2024-01-01T00:00:00Z""#, report(), true),
        (r#"created_at < "2024-01-01T00:00:00Z""#, report(), false),
        ("public_url != null", public.clone(), true),
        ("public_url != null", report(), false),
        ("public_url = null", public, false),
        ("public_url = null", report(), true),
        (r#"name = "report.pdf""#, named("report.pdf"), true),
        (r#"name = "report.pdf""#, named("my report.pdf"), false),
        ("upload_status:Complete", report(), true),
        ("upload_status:!Complete", report(), false),
        ("size_bytes:>5000000", sized(5_000_001), true),
        ("size_bytes:>5000000", sized(5_000_000), false),
        ("content_type:application/pdf", report(), true),
    ];
    for (text, file, expected) in cases {
        assert_eq!(xai(text, &file), expected, "{text}: {} {:?}", file.name, file.size);
    }
}

#[test]
fn the_contracts_table_of_semantics() {
    check(
        &report(), // Report.pdf, 5000 bytes, application/pdf, Complete, permanent
        Equality::Wildcards,
        &[
            ("name:REPORT", true),
            ("name:rep*", true),
            ("name:port*", false),
            ("name:*.PDF", true),
            ("name:*port", false),
            ("name:*", true),
            ("name = Report.pdf", true),
            ("name = report.pdf", false),
            ("name = Rep*", true),
            ("name = *.pdf", true),
            ("name = R*t.p*f", true),
            ("name = rep*", false),
            ("name != Rep*", false),
            ("content_type:PDF", true),
            ("content_type = PDF", true),
            ("content_type != PDF", false),
            ("content_type = image", false),
            ("file_id:file_12", false),
            ("file_id:file_123", true),
            ("upload_status = complete", false),
            ("size_bytes:5000", true),
            ("size_bytes:500", false),
            ("size_bytes >= 5000", true),
            ("size_bytes < 5000", false),
            ("created_at = 2026-05-09T14:00:00+02:00", true),
            ("created_at:2026-05-09T12:00:00Z", true),
            ("created_at:*", true),
            ("expires_at:*", false),
            ("expires_at = null", true),
            ("expires_at != null", false),
            ("expires_at > 2026-01-01", false),
            ("expires_at <= 2026-01-01", false),
            ("expires_at != 2026-01-01", true),
        ],
    );
}

#[test]
fn fields_that_only_xai_has_are_read_from_the_shown_file() {
    let shown = File {
        extra: object(json!({ "user_defined_id": "mine", "public_url_expires_at": 1_778_500_000 })),
        ..report()
    };
    let unset = File { extra: object(json!({ "user_defined_id": null })), ..report() };
    // The filter, its value if the field is set, and its value if not.
    let cases = [
        ("user_defined_id = mine", true, false),
        ("user_defined_id = other", false, false),
        ("user_defined_id != mine", false, true),
        ("user_defined_id = null", false, true),
        ("public_url_expires_at > 2026-05-11", true, false),
        ("public_url_expires_at < 2026-05-11", false, false),
        ("NOT (user_defined_id = other AND size > 1)", true, true),
        ("user_defined_id = other AND size > 9999", false, false),
        ("user_defined_id = mine OR size > 9999", true, false),
    ];
    for (text, where_set, where_unset) in cases {
        for equality in [Equality::Exact, Equality::Wildcards] {
            let filter = parse(text);
            assert_eq!(filter.matches_as(&shown, equality), where_set, "{text}, set");
            assert_eq!(filter.matches_as(&unset, equality), where_unset, "{text}, unset");
            assert_eq!(filter.matches_as(&report(), equality), where_unset, "{text}, absent");
        }
    }
    let filter = parse("size > 1 AND -user_defined_id = mine");
    assert_eq!(filter.expr.fields(), ["size", "user_defined_id"]);
    assert!(Filter::parse("user_defined_id = mine", now()).is_err());
}

/// The summary may differ from the upload status.
#[test]
fn the_upload_status_is_a_field_of_its_own() {
    let file = File {
        status: Some("complete".into()),
        extra: object(json!({ "upload_status": "Complete", "processing_status": "complete" })),
        ..report()
    };
    assert!(parse("upload_status = Complete AND status = complete").matches(&file));
    assert!(
        !parse("upload_status = complete OR status = Complete OR upload_status != Complete").matches(&file)
    );
}
