//! Filters on fields that only some dialects of xAI return.

use crate::find::support::{haul, listed, names, refused, typed};
use crate::platforms::xai::{AUTO, GATEWAY, OPENAI};
use crate::support::rig::{Case, Rig};

/// The hint can be followed on a server with several dialects.
#[test]
fn a_hint_names_a_dialect_of_the_same_server() {
    let rig = two(AUTO);
    let filter = ["ls", "--jsonl", "--filter", "NOT status = failed AND content_type = 'application/pdf'"];
    refused(&rig, &filter, "`-p xai --wire-dialect gateway` returns status");
    let ran = haul(&rig, &[&filter[..], &["-p", "xai", "--wire-dialect", "gateway"]].concat());
    assert_eq!(names(&ran.files()), ["large.pdf"]);
}

/// Two files with different types and sizes; an example in xAI's documentation matches one of them.
fn two(case: Case) -> Rig {
    let rig = Rig::new(case);
    rig.upload(&typed("large.pdf", "application/pdf", 2000)).unwrap();
    rig.upload(&typed("small.txt", "text/plain", 3)).unwrap();
    rig
}

#[test]
fn the_upload_status_is_compared_instead_of_the_summary() {
    for case in [GATEWAY, Case { dialect: "auto", ..GATEWAY }, OPENAI, Case { dialect: "auto", ..OPENAI }] {
        let rig = two(case);
        for (filter, found) in [
            (r#"size_bytes > 1000 AND upload_status = "Complete""#, &["large.pdf"][..]),
            (r#"upload_status:"Complete""#, &["small.txt", "large.pdf"]),
            (r#"upload_status != "Complete""#, &[]),
            (r#"NOT upload_status:"Complete""#, &[]),
            ("upload_status = complete", &[]),
        ] {
            let ran = haul(&rig, &["ls", "--jsonl", "--filter", filter]);
            assert_eq!(names(&ran.files()), found, "{case:?}: {filter}");
        }
        haul(&rig, &["rm", "--filter", r#"upload_status != "Complete""#, "--yes"]).lines();
        assert_eq!(listed(&rig), 2);
    }
    let rig = two(GATEWAY);
    for (filter, found) in [
        ("processing_status = complete AND status = complete AND size > 1000", &["large.pdf"][..]),
        ("processing_status != complete", &[]),
        ("extra.upload_status = Complete AND name:small", &["small.txt"]),
    ] {
        assert_eq!(names(&haul(&rig, &["ls", "--jsonl", "--filter", filter]).files()), found, "{filter}");
    }
    let gateway = "`-p xai --wire-dialect gateway` returns ";
    for case in [OPENAI, Case { dialect: "auto", ..GATEWAY }] {
        refused(&two(case), &["rm", "--filter", "processing_status != complete", "--yes"], gateway);
        refused(&two(case), &["rm", "--filter", "NOT status = complete", "--yes"], gateway);
    }
}

#[test]
fn comparisons_of_the_platform_are_trusted_for_fields_that_it_does_not_list() {
    for case in [OPENAI, Case { dialect: "auto", ..OPENAI }] {
        let rig = two(case);
        for (arguments, found) in [
            (&["--filter", r#"content_type = "application/pdf""#][..], &["large.pdf"][..]),
            (&["--filter", "content_type:pdf"], &["large.pdf"]),
            (&["--filter", "NOT content_type:pdf"], &["small.txt"]),
            (&["--filter", "content_type != application/pdf"], &["small.txt"]),
            (&["--filter", "content_type:text OR size > 1000"], &["small.txt", "large.pdf"]),
            (&["--filter", "content_type:pdf AND size < 1000"], &[]),
            (&["--type", "text/*"], &["small.txt"]),
            (&["--type", "pdf", "*.pdf"], &["large.pdf"]),
        ] {
            let ran = haul(&rig, &[&["ls", "--jsonl"], arguments].concat());
            assert_eq!(names(&ran.files()), found, "{arguments:?}");
        }
        let gateway = "`-p xai --wire-dialect gateway` returns content_type";
        for filter in [
            // The platform would also match this text in other types.
            "content_type = application/json",
            "content_type != application/json",
            "content_type = pdf",
            "content_type ~ '*/pdf'",
            "content_type = null",
            // The platform can evaluate only a part of the filter.
            "content_type:pdf OR name ~ '*.pdf'",
            "NOT (content_type:pdf AND name:report)",
        ] {
            refused(&rig, &["rm", "--filter", filter, "--yes"], gateway);
        }
        // A file given by name must match, too; the platform evaluates the filter.
        let kept = haul(&rig, &["rm", "small.txt", "--filter", "content_type:pdf", "--yes"]);
        assert_eq!((kept.status, listed(&rig)), (0, 2), "{kept:?}");
        haul(&rig, &["rm", "large.pdf", "small.txt", "--filter", "content_type:pdf", "--yes"]).lines();
        assert_eq!(names(&rig.pages(None).concat()), ["small.txt"]);
    }
}
