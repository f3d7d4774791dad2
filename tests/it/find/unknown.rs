//! A value that haul does not know is neither true nor false: no file is listed, hidden or deleted because of it.

use haul::providers::{Op, supports};

use crate::find::support::{listed, refused, typed};
use crate::platforms::{Unstated, all, some};
use crate::support::rig::Rig;

#[test]
fn a_filter_on_a_field_that_listings_omit_is_refused_by_every_verb() {
    let unstated = all().flat_map(|platform| platform.unstated).filter(|it| !it.filters.is_empty());
    for Unstated { case, hint, filters, .. } in some(unstated) {
        let rig = Rig::new(*case);
        let file = rig.upload(&typed("kept.txt", "text/plain", 3)).unwrap();
        let by_id = format!("id:{}", file.id);
        for filter in *filters {
            refused(&rig, &["ls", "--filter", filter], hint);
            refused(&rig, &["rm", "--filter", filter, "--yes"], hint);
            refused(&rig, &["rm", "kept.txt", "--filter", filter, "--yes"], hint);
        }
        let filter = filters[0];
        for arguments in [
            &["ls", "*.txt"][..],
            &["rm", "*", "--yes"],
            &["rm", "*", "--dry-run"],
            &["rm", &by_id],
            &["info"],
            &["info", "kept.txt"],
            &["get", "-o", "here/"],
            &["get", "*", "-o", "here/"],
            &["meta", "get"],
        ] {
            refused(&rig, &[arguments, &["--filter", filter]].concat(), hint);
        }
        let changes: [(Op, &[&str]); 5] = [
            (Op::Annotate, &["meta", "set", "k=v", "--yes"]),
            (Op::Annotate, &["meta", "set", "*", "k=v", "--yes"]),
            (Op::Annotate, &["meta", "unset", "k"]),
            (Op::Link, &["link", "--yes"]),
            (Op::Link, &["link", "kept.txt"]),
        ];
        let changes = changes.iter().filter(|(op, _)| supports(case.can(), *op));
        for (_, arguments) in changes {
            refused(&rig, &[arguments, &["--filter", filter][..]].concat(), hint);
        }
        assert_eq!(listed(&rig), 1, "{case:?}");
    }
}

#[test]
fn an_option_that_would_hide_every_file_is_refused() {
    for Unstated { case, hint, options, .. } in some(all().flat_map(|platform| platform.unstated)) {
        let rig = Rig::new(*case);
        rig.put("a.txt", "x");
        for options in *options {
            refused(&rig, &[&["ls"], *options].concat(), hint);
        }
    }
}
