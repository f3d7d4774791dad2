//! The registry and this folder list the same platforms and dialects.

use std::collections::BTreeSet;

use haul::providers::REGISTRY;

use super::{PLATFORMS, Unstated, all};
use crate::support::rig::Case;

#[test]
fn every_registered_platform_has_its_file() {
    let registered: Vec<&str> = REGISTRY.iter().map(|spec| spec.name).collect();
    let known: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name).collect();
    for name in &registered {
        assert!(known.contains(name), "{name} is registered and has no tests/it/platforms/{name}.rs");
    }
    for name in &known {
        assert!(registered.contains(name), "tests/it/platforms/{name}.rs belongs to no registered platform");
    }
    assert_eq!(known.iter().collect::<BTreeSet<_>>().len(), known.len(), "a platform is listed twice");
}

#[test]
fn every_dialect_has_a_case_or_a_reason() {
    for platform in all() {
        let name = platform.name;
        for dialect in platform.spec().dialects {
            let has_case = platform.cases.iter().any(|case| case.dialect == dialect.name);
            let reason = platform.no_case.iter().find(|(no_case, _)| *no_case == dialect.name);
            assert!(has_case != reason.is_some(), "{name} {}: either a case or a reason", dialect.name);
            assert!(
                reason.is_none_or(|(_, reason)| reason.len() > 10),
                "{name} {}: the reason is too short",
                dialect.name
            );
        }
        let cases = || platform.cases.iter().chain(platform.limited_cases);
        let names: BTreeSet<String> = cases().map(Case::name).collect();
        assert_eq!(names.len(), cases().count(), "two cases of {name} have the same name");
        let known = |dialect: &str| platform.spec().dialects.iter().any(|known| known.name == dialect);
        for case in cases() {
            assert_eq!(case.provider, name, "{case:?}");
            // `auto` is not always in the list of dialects.
            assert!(case.dialect == "auto" || known(case.dialect), "{case:?}: unknown dialect");
        }
        for (dialect, _) in platform.no_case.iter().chain(platform.no_column) {
            assert!(known(dialect), "{name} has no dialect {dialect}");
        }
    }
}

#[test]
fn each_file_describes_only_its_own_platform() {
    for platform in all() {
        let name = platform.name;
        for (case, line, ..) in platform.commands {
            assert_eq!(case.provider, name, "{line}");
        }
        for column in platform.columns {
            assert_eq!(column.case.provider, name, "{}", column.name);
            assert!(column.name.starts_with(name), "the column {} does not begin with {name}", column.name);
        }
        for exception in platform.exceptions {
            assert!(exception.column.starts_with(name), "{name}: {:?}", exception.why);
        }
        for listing in platform.listings {
            assert_eq!(listing.provider, name, "a listing of another platform");
        }
        for Unstated { case, .. } in platform.unstated {
            assert_eq!(case.provider, name, "filters of another platform");
        }
        match platform.wire {
            Ok(dialect) => assert_eq!(dialect.provider, name),
            Err(reason) => {
                assert!(reason.len() > 10, "{name}: the reason for the missing hostile server is too short");
            }
        }
        match &platform.soak {
            Ok(soak) => {
                assert!(!soak.cases.is_empty(), "{name} has no case for the soak test");
                assert!(soak.cases.iter().all(|case| case.provider == name && case.deletes()), "{soak:?}");
            }
            Err(reason) => {
                assert!(reason.len() > 10, "{name}: the reason for omitting the soak test is too short");
            }
        }
        for verb in ["upload", "upload --to", "ls", "info", "get", "meta set", "link", "rm"] {
            let is = |line: &str| {
                line.starts_with(verb.trim_end_matches(" --to"))
                    && (line.contains(" --to ") == verb.ends_with(" --to"))
            };
            let has_command = platform.commands.iter().any(|(_, line, ..)| is(line));
            assert!(has_command || platform.cases.is_empty(), "{name} has no command `{verb}`");
        }
    }
}
