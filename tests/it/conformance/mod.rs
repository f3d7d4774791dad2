//! One suite for every case of every platform in the registry, over a socket to its emulator; `local` runs
//! directly. The suite selects tests by the capabilities and checks that the capabilities are correct.
mod suite;

use std::panic::{AssertUnwindSafe, catch_unwind};

use haul::model::Patch;
use haul::providers::{Download, Op, supports};

use crate::platforms::{ON_OWN_SERVERS, all, cases, dialects, some};
use crate::support::rig::{Case, Rig, TOKEN, open};

/// Defines one test for each property. Each test runs on every case, even after another case has failed.
macro_rules! properties {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            holds_in_every_case(stringify!($name), suite::$name);
        })*
    };
}

/// The same tests in each dialect, on two servers that share a store and take turns.
mod replicas {
    use super::{Case, dialects, holds_in, suite};

    macro_rules! properties {
        ($($name:ident)*) => {
            $(#[test]
            fn $name() {
                let cases = dialects().filter(|case| crate::platforms::emulated(case.provider).is_some());
                let cases = cases.map(|case| Case { replicas: true, ..case });
                holds_in(cases, stringify!($name), suite::$name);
            })*
        };
    }

    properties! {
        an_upload_keeps_all_given_attributes
        pages_list_every_file_once_and_in_order
        a_download_equals_the_upload
        a_change_is_stored_and_affects_nothing_else
        new_content_keeps_the_id
        a_link_works_is_listed_and_can_be_revoked
        a_deleted_file_is_gone
    }
}

properties! {
    an_upload_keeps_all_given_attributes
    an_empty_file_is_uploaded_where_supported
    pages_list_every_file_once_and_in_order
    a_native_order_is_the_requested_order
    a_download_equals_the_upload
    a_change_is_stored_and_affects_nothing_else
    new_content_keeps_the_id
    a_link_works_is_listed_and_can_be_revoked
    a_deleted_file_is_gone
    an_unknown_id_is_reported
    a_wrong_token_is_refused_everywhere
    capabilities_are_correct
    an_unsupported_option_is_refused_before_any_request
}

fn holds_in_every_case(property: &str, test: fn(Case)) {
    holds_in(cases().chain(ON_OWN_SERVERS.iter().copied()), property, test);
}

fn holds_in(cases: impl Iterator<Item = Case>, property: &str, test: fn(Case)) {
    let mut count = 0;
    let failed = cases.inspect(|_| count += 1).filter_map(|case| {
        let panic = catch_unwind(AssertUnwindSafe(|| test(case))).err()?;
        let owned = panic.downcast_ref::<String>().map(String::as_str);
        let message = owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        Some(format!("{property}, {}: {message}", case.name()))
    });
    let failed: Vec<String> = failed.collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), count, failed.join("\n"));
}

/// The dialect `auto` includes the operations of several servers. A server without one of them returns an error.
#[test]
fn an_operation_of_auto_that_the_server_lacks_is_refused_at_run_time() {
    let lacking = all().flat_map(|platform| platform.facts.lacks.iter().map(move |lacks| (platform, lacks)));
    for (platform, (wire, op, kind)) in some(lacking) {
        let rig = Rig::new(Case { wire: Some(wire), ..Case::of(platform.name, "auto") });
        assert!(supports(rig.can(), *op), "{wire}: {op:?} is not in the capabilities");
        let file = rig.put("a.txt", "x");
        let patch = Patch { name: Some("b.txt".to_owned()), ..Patch::default() };
        let refused = match op {
            Op::Annotate => rig.run(rig.provider.annotate(&file.id, &patch)).map(drop),
            Op::Link => rig.run(rig.provider.link(&file.id, None)).map(drop),
            op => panic!("{wire}: no call for {op:?}"),
        };
        assert_eq!(refused.unwrap_err().kind(), *kind, "{wire}: {op:?}");
    }
}

/// A signed link is enough for a download, whole or in ranges.
#[test]
fn a_signed_link_enables_downloads() {
    for case in some(dialects().filter(|case| case.can().download == Download::SignedLinks)) {
        let signing = dialects().find(|other| other.provider == case.provider && other.can().link.is_some());
        let signing = signing.unwrap();
        let rig = Rig::new(signing);
        let file = rig.put("a.txt", "the bytes");
        let link = rig.run(rig.provider.link(&file.id, None)).unwrap();
        let api = Case { dialect: case.dialect, secrets: &[], set: &[], ..signing };
        let url: url::Url = link.url.parse().unwrap();
        let parts: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        for set in [vec![("link".to_owned(), link.url.clone())], parts] {
            let provider = open(&api, &rig.served, TOKEN, &set);
            let content = rig.run(provider.download(&file.id, None)).unwrap();
            assert_eq!(rig.bytes(content), b"the bytes");
        }
    }
}
