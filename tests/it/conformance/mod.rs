//! One suite × every platform of the registry × dialect, over a socket against its emulator; `local` directly. The
//! suite chooses by the capabilities, and checks that they are honest.
mod suite;

use crate::support::rig::{Case, Rig};
use haul::providers::REGISTRY;

/// A module of tests for each case; all cases as a list.
macro_rules! conformance {
    ($($name:ident: $case:expr;)*) => {
        const CASES: &[Case] = &[$($case),*];
        $(mod $name {
            #[allow(unused_imports)]
            use crate::support::rig::Case;
            conformance!(@tests $case;
                an_upload_keeps_all_that_it_was_given
                an_empty_file_goes_up_where_it_may
                pages_have_every_file_once_and_in_order
                a_native_order_is_the_order_that_was_asked_for
                a_download_is_what_went_up
                a_change_is_kept_and_touches_nothing_else
                new_content_keeps_the_id
                a_link_opens_is_listed_and_is_revoked
                what_is_deleted_is_gone
                an_id_that_is_none_is_told_as_such
                a_wrong_token_is_refused_everywhere
                capabilities_are_honest
                an_option_without_a_place_is_refused_before_a_byte_is_sent
            );
        })*
    };
    (@tests $case:expr; $($test:ident)*) => {
        $(#[test]
        fn $test() {
            crate::conformance::run($case, crate::conformance::suite::$test);
        })*
    };
}

conformance! {
    local_store: Case::of("local", "store");
    local_served: Case::of("local", "served");
    replicate_api: Case { quirks: &["page-size=2"], ..Case::of("replicate", "api") };
    replicate_signed: Case {
        quirks: &["page-size=2", "signing-secret=s3cret", "owner=acme"],
        set: &[("owner", "acme")],
        secrets: &[("signing_secret", "s3cret")],
        ..Case::of("replicate", "signed")
    };
    activeloop: Case::of("activeloop", "l0");
    metorial_seed: Case { wire: Some("metorial=seed"), ..Case::of("metorial", "seed") };
    metorial_pulsar: Case { wire: Some("metorial=pulsar"), ..Case::of("metorial", "pulsar") };
    metorial_magnetar: Case { wire: Some("metorial=magnetar"), ..Case::of("metorial", "magnetar") };
    metorial_auto_seed: Case { wire: Some("metorial=seed"), ..Case::of("metorial", "auto") };
    metorial_auto_pulsar: Case { wire: Some("metorial=pulsar"), ..Case::of("metorial", "auto") };
    metorial_auto_magnetar: Case { wire: Some("metorial=magnetar"), ..Case::of("metorial", "auto") };
    llamacloud_beta: Case::of("llamacloud", "beta");
    llamacloud_auto: Case::of("llamacloud", "auto");
    llamacloud_legacy: Case::of("llamacloud", "legacy");
    xai_openai: Case { wire: Some("xai=openai"), ..Case::of("xai", "openai") };
    xai_gateway: Case { wire: Some("xai=gateway"), ..Case::of("xai", "gateway") };
    xai_auto: Case { wire: Some("xai=auto"), ..Case::of("xai", "auto") };
}

fn run(case: Case, test: fn(Case)) {
    if case.is_emulated() {
        test(case);
    }
}

#[test]
fn every_dialect_of_every_platform_has_a_case() {
    for spec in REGISTRY {
        for dialect in spec.dialects {
            let has = |case: &Case| case.provider == spec.name && case.dialect == dialect.name;
            assert!(CASES.iter().any(has), "{} {}", spec.name, dialect.name);
        }
    }
}

/// What of xAI's two dialects only a request tells: `auto` promises what one of them can do, and a server that cannot
/// answers with the refusal.
#[test]
fn what_auto_promises_and_the_server_lacks_becomes_the_refusal() {
    use haul::error::Kind;
    use haul::model::Patch;
    let rig = Rig::new(Case { wire: Some("xai=openai"), ..Case::of("xai", "auto") });
    let file = rig.put("a.txt", "x");
    let patch = Patch { name: Some("b.txt".to_owned()), ..Patch::default() };
    let refused = rig.run(rig.provider.annotate(&file.id, &patch)).unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported, "{refused:?}");
}

/// A link that somebody signed is enough for a download, whole or in its parts.
#[test]
fn a_signed_link_fetches_what_replicate_gives_nobody() {
    let signing = CASES.iter().find(|case| case.dialect == "signed").unwrap();
    let rig = Rig::new(*signing);
    let file = rig.put("a.txt", "the bytes");
    let link = rig.run(rig.provider.link(&file.id, None)).unwrap();
    let api = Case { dialect: "api", secrets: &[], set: &[], ..*signing };
    let url: url::Url = link.url.parse().unwrap();
    let parts: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for set in [vec![("link".to_owned(), link.url.clone())], parts] {
        let provider = crate::support::rig::open(&api, &rig.served, crate::support::rig::TOKEN, &set);
        let content = rig.run(provider.download(&file.id, None)).unwrap();
        assert_eq!(rig.bytes(content), b"the bytes");
    }
}
