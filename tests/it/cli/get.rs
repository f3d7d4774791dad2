//! `haul get`

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use haul::providers::Download;

use crate::check;
use crate::cli::completions::TOKEN;
use crate::platforms::{self, Platform};
use crate::support::process::ServeProcess;
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::On;

#[test]
fn one_several_and_missing() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    env.write("a.txt", "old");
    fs::remove_file(env.work().join("b.txt")).unwrap();
    check!(env.haul(["get", "a.txt"]), @"
    status 1
    --- err
    error: a.txt: already exists
    hint: add `--overwrite` or `--skip-existing`
    ");
    assert_eq!(env.read("a.txt"), b"old");
    check!(env.haul(["get", "b.txt"]), @"
    status 0
    --- out
    [id]............	b.txt	5	b.txt
    ");
    check!(env.haul(["get", "a.txt", "nope", "-o", "to/"]), @"
    status 3
    --- out
    [id]............	a.txt	5	to/a.txt
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    1 downloaded, 1 failed
    ");
    check!(env.haul(["get", "nope", "nada", "-o", "to/"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    error: nada: no file with this id or name on local
    2 failed
    ");
    check!(env.haul(["get", "*.txt", "-o", "all/", "--fields", "name,saved_to"]).sorted(), @"
    status 0
    --- out
    a.txt	all/a.txt
    b.txt	all/b.txt
    --- err
    2 downloaded
    ");
    check!(env.haul(["get", "*.pdf", "-o", "all/"]), @"
    status 3
    --- err
    error: *.pdf: no file on local matches
    hint: to list the files: `haul ls -p local`
    ");
    env.haul(["get", "*.pdf", "nada", "-o", "all/", "--ignore-missing"])
        .ok()
        .says("no file on local matches");
    assert_eq!(env.files(), ["a.txt", "all", "b.txt", "to"]);
    assert_eq!(env.read("all/b.txt"), b"b.txt");
}

#[test]
fn existing_files_are_overwritten_only_on_request() {
    let env = Sandbox::with_files(&["a.txt"]);
    env.write("a.txt", "mine");
    env.haul(["get", "a.txt"]).fails(1);
    check!(env.haul(["get", "a.txt", "--skip-existing"]), @"
    status 0
    --- out
    [id]............	a.txt	5	a.txt
    --- err
    a.txt: already exists, skipped
    ");
    assert_eq!(env.read("a.txt"), b"mine");
    check!(env.haul(["get", "a.txt", "--overwrite"]), @"
    status 0
    --- out
    [id]............	a.txt	5	a.txt
    ");
    assert_eq!(env.read("a.txt"), b"a.txt");
    check!(env.haul(["get", "a.txt", "--overwrite", "--skip-existing"]), @"
    status 2
    --- err
    error: --overwrite cannot be used with --skip-existing
    hint: see `haul get --help`
    ");
    fs::create_dir(env.work().join("folder")).unwrap();
    symlink("nowhere", env.work().join("link")).unwrap();
    check!(env.haul(["get", "a.txt", "-o", "link"]), @"
    status 1
    --- err
    error: link: already exists
    hint: add `--overwrite` or `--skip-existing`
    ");
    assert!(!env.work().join("nowhere").exists());
}

#[test]
fn a_dry_run_prints_the_target_paths() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    check!(env.haul(["get", "*", "-n", "-o", "to/", "--fields", "name,size,saved_to"]), @"
    status 0
    --- out
    b.txt	5	to/b.txt
    a.txt	5	to/a.txt
    --- err
    dry run: nothing written; 2 would be downloaded
    ");
    check!(env.haul(["get", "a.txt", "--dry-run"]), @"
    status 1
    --- err
    error: a.txt: already exists
    hint: add `--overwrite` or `--skip-existing`
    ");
    check!(env.haul(["get", "a.txt", "--dry-run", "--skip-existing", "--fields", "saved_to"]), @"
    status 0
    --- out
    a.txt
    --- err
    a.txt: already exists, skipped
    dry run: nothing written
    ");
    check!(env.haul(["get", "a.txt", "--dry-run", "--overwrite", "--fields", "saved_to"]), @"
    status 0
    --- out
    a.txt
    --- err
    dry run: nothing written
    ");
    check!(env.haul(["get", "a.txt", "-o", "-", "-n", "--jsonl", "--fields", "name,saved_to"]), @r#"
    status 0
    --- out
    {"name":"a.txt","saved_to":null}
    --- err
    {"note":"dry run: nothing written"}
    "#);
    assert_eq!(env.files(), ["a.txt", "b.txt"]);
}

#[test]
fn output_is_a_file_a_folder_or_a_stream() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    fs::create_dir(env.work().join("there")).unwrap();
    check!(env.haul(["get", "a.txt", "-o", "other"]), @"
    status 0
    --- out
    [id]............	a.txt	5	other
    ");
    check!(env.haul(["get", "a.txt", "-o", "there"]), @"
    status 0
    --- out
    [id]............	a.txt	5	there/a.txt
    ");
    check!(env.haul(["get", "a.txt", "-o", "deep/new/name"]), @"
    status 0
    --- out
    [id]............	a.txt	5	deep/new/name
    ");
    check!(env.haul(["get", "a.txt", "b.txt", "-o", "one"]), @"
    status 2
    --- err
    error: one: must be a folder, because several files may be downloaded
    hint: add a slash: `-o one/`
    ");
    check!(env.haul(["get", "*", "-o", "one"]), @"
    status 2
    --- err
    error: one: must be a folder, because several files may be downloaded
    hint: add a slash: `-o one/`
    ");
    check!(env.haul(["get", "a.txt", "b.txt", "-o", "-"]), @"
    status 0
    --- out
    a.txtb.txt
    --- err
    2 downloaded
    ");
    check!(env.haul(["get", "a.txt", "nope", "-o", "-"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.haul(["get", "nope", "-o", "-", "--json"]), @r#"
    status 3
    --- err
    {"error":{"kind":"not_found","exit_code":3,"message":"nope: no file with this id or name on local","details":[],"hints":["to list the files: `haul ls -p local`"],"request_id":null,"ref":"nope"}}
    "#);
    check!(env.haul(["get", "a.txt", "-o", "a.txt/below"]), @"
    status 1
    --- err
    error: a.txt: cannot create the directory
    caused by: File exists (os error 17)
    ");
}

#[test]
fn cat_prints_files_and_no_binary_content_on_a_terminal() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    env.write("bin", b"one\0two");
    let id = env.haul(["upload", "bin", "-q", "--ids"]).ok().lines().remove(0);
    assert_eq!(env.haul(["cat", "b.txt", "a.txt", "-q"]).ok().stdout(), "b.txta.txt");
    assert_eq!(env.haul(["cat", "bin"]).ok().out, b"one\0two");
    // Nothing is written until all files have been found.
    check!(env.haul(["cat", "a.txt", "nope", "bin"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    ");
    check!(env.terminal(80, "", &["cat", "a.txt"]), @"
    status 0
    --- out
    a.txt
    ");
    let refused = env.terminal(80, "", &["cat", "bin"]).fails(2).stdout();
    assert!(refused.contains("bin: binary content is not written to a terminal"), "{refused}");
    let hint = format!("haul get local:id:{id} -o -");
    assert!(refused.contains(&format!("`{hint}`")), "{refused}");
    assert_eq!(env.terminal_of(env.bash(&hint), 80, "", On::All).ok().out, b"one\0two");
}

#[test]
fn names_from_the_server_stay_in_the_folder() {
    let env = Sandbox::new();
    env.write("x", "x");
    for name in ["../up", "/etc/passwd", "sub/deep.txt", "..", "a\\b", "CON"] {
        env.haul(["upload", "x", "--name", name]).ok();
    }
    check!(env.haul(["get", "*", "-o", "to/", "--fields", "name,saved_to"]).sorted(), @r"
    status 0
    --- out
    ..	to/[id]............
    ../up	to/up
    /etc/passwd	to/etc/passwd
    CON	to/_CON
    a\\b	to/a/b
    sub/deep.txt	to/sub/deep.txt
    --- err
    6 downloaded
    ");
    check!(env.haul(["get", "../up", "--fields", "name,saved_to"]), @"
    status 0
    --- out
    ../up	up
    ");
    assert_eq!(env.files(), ["to", "up", "x"]);
    assert!(!env.root().join("up").exists());
}

#[test]
fn a_path_on_the_platform_becomes_folders() {
    let env = Sandbox::with_files(&["a.txt"]);
    env.haul(["meta", "set", "a.txt", "--path", "x/../../y"]).ok();
    check!(env.haul(["get", "a.txt", "-o", "to/", "--fields", "saved_to"]), @"
    status 0
    --- out
    to/x/y/a.txt
    ");
}

#[test]
fn flat_leaves_out_folders_and_refuses_files_of_one_name() {
    let env = Sandbox::new();
    env.write("x", "x");
    for name in ["docs/a.txt", "src/deep/b.txt", "src/a.txt"] {
        env.haul(["upload", "x", "--name", name]).ok();
    }
    env.haul(["meta", "set", "src/deep/b.txt", "--path", "more"]).ok();
    check!(env.haul(["get", "docs/*", "src/deep/*", "--flat", "-o", "to/", "--fields", "saved_to"]).sorted(), @"
    status 0
    --- out
    to/a.txt
    to/b.txt
    --- err
    2 downloaded
    ");
    let refused = env.haul(["get", "*", "--flat", "-o", "new/"]);
    assert_eq!(refused.stderr(), env.haul(["get", "*", "--flat", "-o", "new/", "--dry-run"]).stderr());
    check!(refused, @"
    status 2
    --- err
    error: --flat: src/a.txt ([id]............) and docs/a.txt ([id]............) have the same name a.txt
    hint: omit `--flat`: files then keep their folders, and ids are added to names that are still equal
    ");
    assert!(!env.work().join("new").exists());
}

#[test]
fn files_of_one_name_are_all_written() {
    let env = Sandbox::new();
    for text in ["1", "2", "3"] {
        env.write("f.txt", text);
        env.haul(["upload", "f.txt", "-q"]).ok();
    }
    env.haul(["upload", "f.txt", "--name", "sub/f.txt"]).ok();
    fs::remove_file(env.work().join("f.txt")).unwrap();
    let ids = env.haul(["ls", "--ids", "--filter", "name = f.txt"]).ok().lines();
    for folder in ["", "all/"] {
        let output = if folder.is_empty() { vec![] } else { vec!["-o", folder] };
        for dry_run in [&["--dry-run"][..], &[], &["--skip-existing"]] {
            let run =
                env.haul([&["get", "*", "-j", "1", "--fields", "saved_to"], &output[..], dry_run].concat());
            let mut expected = vec![format!("{folder}sub/f.txt"), format!("{folder}f.txt")];
            expected.extend(ids[1..].iter().map(|id| format!("{folder}f ({id}).txt")));
            assert_eq!(run.ok().lines(), expected);
        }
        for (id, text) in ids.iter().zip(["3", "2", "1"]) {
            let name = if text == "3" { "f.txt".to_owned() } else { format!("f ({id}).txt") };
            assert_eq!(env.read(&format!("{folder}{name}")), text.as_bytes());
        }
        assert_eq!(env.read(&format!("{folder}sub/f.txt")), b"3");
        // A file that is named twice is written once.
        let twice = ["get", &format!("id:{}", ids[0]), &ids[0], "--fields", "saved_to", "-o", "twice/"];
        assert_eq!(env.haul(twice.iter().chain(&["--overwrite"])).ok().lines(), ["twice/f.txt"]);
    }
}

#[test]
fn bytes_with_a_wrong_checksum_are_not_kept() {
    let env = Sandbox::with_files(&["a.txt"]);
    let blob = env.blob();
    fs::set_permissions(&blob, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&blob, "wrong").unwrap();
    check!(env.haul(["get", "a.txt", "-o", "b.txt"]), @"
    status 9
    --- err
    error: a.txt: the blake3 does not match: 388df24aa531b242574d2e7361810b44b19b4c9efaa5b886305fe5fe83dae220 here, 0c1b1bc9896253c19131abb26e3b1342f8ea0fb3148a5dcbe06ebe141831a5d5 on the platform
    ");
    assert_eq!(env.files(), ["a.txt"]);
    check!(env.haul(["get", "a.txt", "-o", "b.txt", "--no-verify", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    ");
    assert_eq!(env.read("b.txt"), b"wrong");
    fs::write(&blob, "short").unwrap();
    fs::remove_file(&blob).unwrap();
    check!(env.haul(["get", "a.txt", "-o", "c.txt"]), @"
    status 1
    --- err
    error: a.txt: its content is missing from the store
    ");
}

#[test]
fn read_only_folders_and_full_disks() {
    let env = Sandbox::with_files(&["a.txt"]);
    env.write("big.bin", vec![1; 3 << 20]);
    env.haul(["upload", "big.bin"]).ok();
    let run = env.shell("trap '' XFSZ; ulimit -f 1024; haul get big.bin -o copy.bin");
    check!(run, @"
    status 1
    --- err
    error: copy.bin.part: cannot write
    caused by: File too large (os error 27)
    ");
    assert!(!env.work().join("copy.bin").exists());
    check!(env.shell("haul get big.bin -o - > /dev/full"), @"
    status 1
    --- err
    error: standard output: cannot write
    caused by: No space left on device (os error 28)
    ");
    check!(env.shell("haul ls > /dev/full"), @"
    status 1
    --- err
    error: standard output: cannot write
    caused by: No space left on device (os error 28)
    ");
    for command in
        ["--help", "ls --help", "--version", "help filters", "help --json", "completions bash", "providers"]
    {
        env.shell(&format!("haul {command} > /dev/full")).fails(1).says("No space left on device");
    }
    check!(env.haul(["get", "big.bin", "-o", "copy.bin", "--fields", "name"]), @"
    status 0
    --- out
    big.bin
    ");
    assert_eq!(env.read("copy.bin"), vec![1; 3 << 20]);

    fs::create_dir(env.work().join("closed")).unwrap();
    env.open_to_all();
    fs::set_permissions(env.work().join("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    check!(env.run(&mut env.unprivileged(&["get", "a.txt", "-o", "closed/a.txt"])), @"
    status 1
    --- err
    error: closed/a.txt.part: cannot write
    caused by: Permission denied (os error 13)
    ");
}

#[test]
fn an_interrupted_copy_resumes() {
    let env = Sandbox::new();
    let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    env.write("big.bin", &content);
    env.haul(["upload", "big.bin"]).ok();
    env.shell("trap '' XFSZ; ulimit -f 1024; haul get big.bin -o copy.bin").fails(1);
    let part = fs::metadata(env.work().join("copy.bin.part")).unwrap().len();
    assert!(part > 0);
    env.haul(["get", "big.bin", "-o", "copy.bin"]).ok();
    assert_eq!(env.read("copy.bin"), content);
    assert_eq!(env.files(), ["big.bin", "copy.bin"]);
}

#[test]
fn fail_fast_starts_nothing_after_a_failure() {
    let env = Sandbox::with_files(&["a.txt", "b.txt"]);
    fs::remove_file(env.work().join("b.txt")).unwrap();
    let arguments = ["get", "a.txt", "b.txt", "--jobs", "1"];
    env.haul([&arguments[..], &["--fail-fast"]].concat()).fails(1);
    assert_eq!(env.files(), ["a.txt"]);
    env.haul(arguments).fails(1);
    assert_eq!(env.files(), ["a.txt", "b.txt"]);
}

#[test]
fn the_size_of_a_written_file_is_shown_on_every_platform() {
    let mut env = Sandbox::new();
    env.write("a.txt", "12345");
    let served = ServeProcess::start(&env, ["--ephemeral"]);
    let gives = |platform: &Platform| platform.spec().dialects[0].can.download == Download::Any;
    for (platform, _) in platforms::served().filter(|(platform, _)| gives(platform)) {
        let name = platform.name;
        env.add_profile("far", &Case::of(name, "auto"), &served.base(name), TOKEN);
        env.haul(["upload", "-p", "far", "a.txt"]).ok();
        let saved = env.haul(["get", "far:a.txt", "-o", "b.txt", "--overwrite", "--json"]).ok();
        assert_eq!(saved.json()[0]["size"], 5, "{name}: {saved}");
    }
}
