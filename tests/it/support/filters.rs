//! A sample file, a fixed clock and shorthands for filter tests.

use haul::filter::{Equality, Filter};
use haul::model::{Checksums, File};
use jiff::Timestamp;
use serde_json::{Value, json};

pub fn now() -> Timestamp {
    time("2026-05-10T12:00:00Z")
}

pub fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// Fields that only xAI has.
pub const PLATFORM: [&str; 3] = ["user_defined_id", "upload_status", "public_url_expires_at"];

pub fn parse(text: &str) -> Filter {
    Filter::parse_with(text, now(), &PLATFORM).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A permanent file with most fields set.
pub fn report() -> File {
    File {
        provider: "elsewhere".into(),
        profile: "work".into(),
        id: "file_123".into(),
        name: "Report.pdf".into(),
        size: Some(5000),
        content_type: Some("application/pdf".into()),
        purpose: None,
        path: Some("/quarterly/2026".into()),
        status: Some("Complete".into()),
        created_at: Some(time("2026-05-09T12:00:00Z")),
        updated_at: None,
        expires_at: None,
        checksums: Checksums { md5: Some("5d41402abc4b2a76b9719d911017c592".into()), ..Checksums::default() },
        metadata: object(json!({
            "year": 2024, "code": "0012", "count": "17", "draft": false, "note": "Draft 7 for Ann", "gone": null,
            "tags": ["red", "Blue"], "author": {"name": "Hegel", "born": 1770}, "a.b": "dotted", "my key": "spaced",
        })),
        downloadable: Some(true),
        url: None,
        extra: object(json!({ "object": "file", "upload_status": "Complete" })),
    }
}

pub fn object(value: Value) -> haul::model::Object {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    object
}

/// Checks each filter against the file with this equality.
pub fn check(file: &File, equality: Equality, cases: &[(&str, bool)]) {
    for (text, expected) in cases {
        assert_eq!(parse(text).matches_as(file, equality), *expected, "{text}");
    }
}
