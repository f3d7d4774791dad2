//! Unreadable files and full disks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn a_failed_file_does_not_affect_the_others() {
    let env = Sandbox::new();
    env.write("a.txt", "a");
    fs::create_dir(env.work().join("folder")).unwrap();
    check!(env.haul(["upload", "a.txt", "nope"]), @"
    status 3
    --- out
    [id]............	a.txt	1	text/plain		2026-03-01T12:00:00Z
    --- err
    error: nope: no such file or directory
    1 uploaded, 1 failed
    ");
    check!(env.haul(["upload", "nope"]), @"
    status 3
    --- err
    error: nope: no such file or directory
    ");
    check!(env.haul(["upload", "folder"]), @"
    status 2
    --- err
    error: folder: is a directory
    hint: to upload the folder: `haul upload -r folder`
    ");
    env.haul(["upload", "nope", "folder", "a.txt", "--fields", "name"]).fails(1);
    env.haul(["upload", "nope", "nada", "a.txt"]).fails(3);
    assert_eq!(env.ids().len(), 3);
}

#[test]
fn a_profile_or_url_stops_everything() {
    let env = Sandbox::new();
    env.write("a.txt", "a");
    check!(env.haul(["upload", "a.txt", "xai:"]), @"
    status 2
    --- err
    error: xai: is a profile, not a file
    hint: `haul upload -p xai a.txt`
    ");
    check!(env.haul(["upload", "a.txt", "xai:docs/b.txt"]), @"
    status 2
    --- err
    error: xai:docs/b.txt is a file on the profile xai, not a local file
    hint: `haul upload -p xai a.txt --name docs/b.txt`
    ");
    env.haul(["upload", "xai:"]).fails(2).says("`haul upload -p xai FILE`");
    env.haul(["upload", "-r", "docs", "more", "xai:"]).fails(2).says("`haul upload -p xai -r docs more`");
    check!(env.haul(["upload", "a.txt", "https://example.com/docs/a.pdf?v=1"]), @"
    status 2
    --- err
    error: https://example.com/docs/a.pdf?v=1: a URL cannot be uploaded
    hint: download it first: `curl -fsSL 'https://example.com/docs/a.pdf?v=1' | haul upload - --name a.pdf`
    ");
    env.haul(["upload", "https://example.com/"]).fails(2).says("| haul upload - --name NAME`");
    assert!(env.ids().is_empty());
    env.write("xai:b.txt", "b");
    env.haul(["upload", "a.txt", "xai:b.txt", "--fields", "name"]).ok();
    assert_eq!(env.ids().len(), 2);
}

#[test]
fn pipes_and_devices_are_refused() {
    let env = Sandbox::new();
    env.run(env.program("mkfifo").arg("pipe")).ok();
    check!(env.haul(["upload", "pipe"]), @"
    status 2
    --- err
    error: pipe: is a pipe or a device, not a file
    hint: `haul upload - --name pipe < pipe`
    ");
    for special in ["/dev/zero", "/dev/null"] {
        env.haul(["upload", special]).fails(2);
        env.haul(["upload", special, "--name", "x"]).fails(2);
    }
    assert!(env.ids().is_empty());
    env.write("docs/a.txt", "");
    env.run(env.program("mkfifo").arg("docs/pipe")).ok();
    check!(env.haul(["upload", "-r", "docs", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    --- err
    docs/pipe: skipped: not a regular file
    ");
}

#[test]
fn descriptors_are_read_as_standard_input() {
    let env = Sandbox::new();
    for (upload, content) in [
        ("haul upload <(echo one) --name 1", "one\n"),
        ("echo two | haul upload /dev/stdin --name 2", "two\n"),
    ] {
        let run = env.shell(&format!("id=$({upload} --ids) && haul get id:$id -o -")).ok();
        assert_eq!(run.stdout(), content);
    }
    check!(env.shell("haul upload /dev/fd/7 7< <(echo three)"), @"
    status 2
    --- err
    error: /dev/fd/7: has no name
    hint: add `--name NAME`
    ");
    check!(env.shell("haul upload - --name x <&-"), @"
    status 2
    --- err
    error: standard input is closed
    hint: to upload a file: `haul upload FILE`
    ");
    check!(env.shell("haul get 1 -o - >&-"), @"
    status 1
    --- err
    error: standard output is closed
    hint: write to a file: `haul get REF -o FILE`
    ");
    assert_eq!(env.ids().len(), 2);
}

#[test]
#[cfg(target_os = "linux")]
fn generated_files_are_uploaded_through_standard_input() {
    let env = Sandbox::new();
    check!(env.haul(["upload", "/proc/version"]), @"
    status 2
    --- err
    error: /proc/version: has an unknown size
    hint: `haul upload - --name version < /proc/version`
    ");
    env.shell("haul upload - --name version < /proc/version").ok();
    let run = env.shell("haul get version -o -").ok();
    assert_eq!(run.stdout(), fs::read_to_string("/proc/version").unwrap());
}

#[test]
fn unreadable_files_and_folders() {
    let env = Sandbox::new();
    fs::set_permissions(env.root(), fs::Permissions::from_mode(0o777)).unwrap();
    for folder in [env.home(), env.work(), env.work().join("docs/closed")] {
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    env.write("docs/open.txt", "");
    fs::set_permissions(env.write("docs/secret.txt", "x"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(env.work().join("docs/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    check!(env.run(&mut env.unprivileged(&["upload", "docs/secret.txt"])), @"
    status 1
    --- err
    error: docs/secret.txt: cannot open
    caused by: Permission denied (os error 13)
    ");
    check!(env.run(&mut env.unprivileged(&["upload", "-r", "docs", "--fields", "name"])).sorted(), @"
    status 1
    --- out
    open.txt
    --- err
    1 uploaded, 2 failed
    caused by: Permission denied (os error 13)
    caused by: Permission denied (os error 13)
    error: docs/closed: cannot read the directory
    error: docs/secret.txt: cannot open
    ");
    check!(env.run(&mut env.unprivileged(&["ls", "--fields", "name"])), @"
    status 0
    --- out
    open.txt
    ");
}

#[test]
fn a_full_disk_leaves_no_incomplete_file() {
    let env = Sandbox::with_files(&["small.txt"]);
    env.write("big.bin", vec![1; 3 << 20]);
    // A write beyond the limit fails like a write to a full disk if the signal for it is ignored.
    let run = env.shell("trap '' XFSZ; ulimit -f 1024; haul upload big.bin");
    check!(run, @"
    status 1
    --- err
    error: big.bin: cannot write to the store
    caused by: File too large (os error 27)
    ");
    assert_eq!(env.ids().len(), 1);
    let left = fs::read_dir(env.store().join("incoming")).unwrap().count();
    assert_eq!(left, 0);
    env.haul(["upload", "big.bin"]).ok();
    assert_eq!(env.ids().len(), 2);
}
