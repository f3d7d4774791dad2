//! `haul link`

use std::fs;

use crate::check;
use crate::platforms::without_able;
use crate::support::sandbox::Sandbox;

#[test]
fn make_list_and_revoke() {
    let env = Sandbox::with_files(&["two words.txt"]);
    let run = env.haul(["link", "two words.txt"]).ok();
    let path = run.stdout().trim_end().strip_prefix("file://").unwrap().replace("%20", " ");
    assert_eq!(fs::read(path).unwrap(), b"two words.txt");
    for columns in [40, 80] {
        let screen = env.terminal(columns, "", &["link", "two words.txt", "--list"]).ok().stdout();
        assert!(screen.contains(run.stdout().trim_end()), "{screen}");
    }
    check!(run, @"
    status 0
    --- out
    file://[box]/home/data/store/links/[link]........................../two%20words.txt
    ");
    check!(env.haul(["link", "two words.txt", "--list"]), @"
    status 0
    --- out
    file://[box]/home/data/store/links/[link]........................../two%20words.txt
    ");
    check!(env.haul(["link", "two words.txt", "--json", "--fields", "url,expires_at,file.name"]), @r#"
    status 0
    --- out
    [
    {"url":"file://[box]/home/data/store/links/[link]........................../two%20words.txt","expires_at":null,"file.name":"two words.txt"}
    ]
    "#);
    check!(env.haul(["link", "two words.txt", "--revoke"]), @"
    status 2
    --- err
    error: two words.txt has 2 links
    hint: to show them: `haul link local:id:[id]............ --list`
    hint: to revoke one: `haul link local:id:[id]............ --revoke LINK`
    ");
    check!(env.haul(["link", "two words.txt", "--revoke", "nope"]), @"
    status 3
    --- err
    error: nope: no such link to two words.txt
    ");
    let ids = env.haul(["link", "two words.txt", "--list", "--fields", "link_id"]).ok().lines();
    check!(env.haul(["link", "two words.txt", "--revoke", &ids[0]]), @"
    status 0
    --- err
    two words.txt: link revoked
    ");
    check!(env.haul(["link", "--revoke", "two words.txt"]), @"
    status 0
    --- err
    two words.txt: link revoked
    ");
    check!(env.haul(["link", "--revoke", "two words.txt"]), @"
    status 3
    --- err
    error: two words.txt has no link
    ");
    check!(env.haul(["link", "--list", "two words.txt", "--json"]), @"
    status 0
    --- out
    []
    ");
}

#[test]
fn without_a_file_all_links_of_the_profile_are_listed() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.txt"]);
    check!(env.terminal(80, "", &["link", "--list"]), @"
    status 0
    --- out
    ␛[1;36mhint:␛[0m no links; create one: `haul link REF`
    ");
    let made = ["b.txt", "a.txt", "b.txt"].map(|name| env.haul(["link", name]).ok().stdout());
    for all in [&["link", "--list"][..], &["link", "--list", "local:"]] {
        assert_eq!(env.haul(all).ok().stdout(), made.concat());
    }
    let files = env.haul(["link", "--list", "--fields", "file.name,file.size"]).ok();
    assert_eq!(files.lines(), ["b.txt\t5", "a.txt\t5", "b.txt\t5"]);
    env.haul(["rm", "b.txt"]).ok();
    assert_eq!(env.haul(["link", "--list"]).ok().stdout(), made[1]);
}

#[test]
fn failures() {
    let env = Sandbox::with_files(&["a.txt"]);
    check!(env.haul(["link"]), @"
    status 2
    --- err
    error: missing argument REF
    hint: example: `haul link report.pdf`
    hint: see `haul link --help`
    ");
    check!(env.haul(["link", "nope"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["link", "a.txt", "--expires", "1h"]), @"
    status 5
    --- err
    error: local does not support a lifetime for a link
    hint: remove `--expires`
    ");
    check!(env.haul(["link", "a.txt", "--expires", "-1h"]), @"
    status 2
    --- err
    error: --expires -1h: must be positive
    hint: write `24h` or `7d`
    ");
    check!(env.haul(["link", "a.txt", "--list", "--revoke"]), @"
    status 2
    --- err
    error: --list cannot be used with --revoke [<LINK>]
    hint: see `haul link --help`
    ");
    let run = env.haul(["link", "activeloop:x"]);
    check!(without_able(&run, "activeloop", |can| can.link.is_some()), @"
    status 5
    --- err
    error: activeloop cannot create a link to a file
    hint: to download the file: `haul get activeloop:x`
    hint: supported by: [platforms]
    ");
}
