//! Names that are hard to handle: they survive a round trip and are displayed safely.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use crate::check;
use crate::support::sandbox::Sandbox;

#[test]
fn hostile_names_survive_a_round_trip() {
    let long = format!("{}.txt", "ñ".repeat(115));
    let names = [
        "two words.txt",
        "quo\"te's`$HOME`.txt",
        "emoji 🎉 日本語.txt",
        "percent%20+&?#;=.txt",
        "-dash",
        "--json",
        "id:x",
        "back\\slash",
        ".hidden",
        "ＦＵＬＬ.txt",
        &long,
    ];
    let env = Sandbox::with_files(&names);
    let mut listed = env.haul(["ls", "--jsonl", "--fields", "name"]).ok().jsonl();
    listed.reverse();
    assert_eq!(listed.iter().map(|row| row["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
    for name in names {
        let reference = format!("name:{name}");
        assert_eq!(env.haul(["get", &reference, "-o", "-"]).ok().stdout(), name);
        let to = env.work().join("to").join(name);
        env.haul([OsStr::new("get"), OsStr::new(&reference), OsStr::new("-o"), to.as_os_str()]).ok();
        assert_eq!(fs::read(&to).unwrap(), name.as_bytes());
    }
}

#[test]
fn dashes() {
    let env = Sandbox::new();
    env.write("-x", "dash");
    check!(env.haul(["upload", "-x"]), @"
    status 2
    --- err
    error: unrecognized option '-x'
    hint: for the file with this name, write `-- -x`
    hint: see `haul upload --help`
    ");
    check!(env.haul(["upload", "--", "-x", "--fields"]), @"
    status 3
    --- out
    [id]............	-x	4	application/octet-stream		2026-03-01T12:00:01Z
    --- err
    error: --fields: no such file or directory
    1 uploaded, 1 failed
    ");
    check!(env.haul(["upload", "./-x", "--fields", "name"]), @"
    status 0
    --- out
    -x
    --- err
    -x: another file with this name exists: [id]............
    ");
    check!(env.haul(["info", "--latest", "--fields", "name", "--", "-x"]), @"
    status 0
    --- out
    -x
    ");
}

#[test]
fn the_longest_name() {
    let env = Sandbox::new();
    let name = format!("{}.txt", "n".repeat(251));
    env.write(&name, "x");
    env.haul(["upload", &name]).ok();
    let saved = env.haul(["get", &name, "-o", "to/", "--fields", "saved_to"]).ok().stdout();
    assert_eq!(saved.trim_end(), format!("to/{name}"));
    // Names of temporary files are shortened to fit.
    for length in 239..=255 {
        let target = format!("to/{}", "m".repeat(length));
        env.haul(["get", &name, "-o", &target]).ok();
        assert_eq!(env.read(&target), b"x", "{length}");
    }
    assert_eq!(fs::read_dir(env.work().join("to")).unwrap().count(), 18);
}

#[test]
fn a_name_that_is_not_utf_8() {
    let env = Sandbox::new();
    let name = OsStr::from_bytes(b"bad\xff.txt");
    env.write(name, "x");
    env.write(OsStr::from_bytes(b"folder/bad\xff.txt"), "x");
    env.write("folder/good.txt", "x");
    check!(env.haul([OsStr::new("upload"), name]), @"
    status 2
    --- err
    error: bad�.txt: the name is not valid UTF-8
    hint: choose another name: `--name NAME`
    ");
    check!(env.haul([OsStr::new("upload"), name, OsStr::new("--json")]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"bad�.txt: the name is not valid UTF-8","details":[],"hints":["choose another name: `--name NAME`"],"request_id":null,"ref":"bad�.txt"}}
    "#);
    check!(env.haul([OsStr::new("upload"), name, OsStr::new("--name"), OsStr::new("ok"), OsStr::new("-q")]), @"
    status 0
    --- out
    [id]............	ok	1	application/octet-stream		2026-03-01T12:00:02Z
    ");
    check!(env.haul(["upload", "-r", "folder", "--fields", "name"]), @"
    status 2
    --- out
    good.txt
    --- err
    error: folder/bad�.txt: the name is not valid UTF-8
    hint: choose another name: `--name NAME`
    1 uploaded, 1 failed
    ");
    check!(env.haul([OsStr::new("info"), name]), @"
    status 2
    --- err
    error: an argument is not valid UTF-8
    hint: see `haul info --help`
    ");
}

#[test]
fn control_characters_are_shown_escaped() {
    let name = "red\u{1b}[31m\nbidi\u{202e}fdp\u{7}";
    let env = Sandbox::with_files(&[name]);
    check!(env.haul(["ls", "--fields", "name"]), @r"
    status 0
    --- out
    red␛[31m\nbidi\u{202e}fdp\u{7}
    ");
    check!(env.terminal(100, "", &["ls", "--fields", "name"]), @r"
    status 0
    --- out
    ␛[1mNAME␛[0m
    red\u{1b}[31m\nbidi\u{202e}fdp\u{7}
    ");
    check!(env.terminal(100, "", &["ls", "--fields", "name", "--json"]), @r#"
    status 0
    --- out
    [
    {"name":"red\u001b[31m\nbidi\u202efdp\u0007"}
    ]
    "#);
    check!(env.terminal(100, "n\n", &["rm", "*"]), @r"
    status 1
    --- out
      [id]............  red\u{1b}[31m\nbidi\u{202e}fdp\u{7}
    delete 1 file (20 B) from local? [y/N] nothing deleted
    ");
    check!(env.terminal(100, "", &["get", "red*"]), @r"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m                                 ␛[1mSIZE␛[0m  ␛[1mSAVED_TO␛[0m
    [id]............  red\u{1b}[31m\nbidi\u{202e}fdp\u{7}  20 B  red_[31m_bidi\u{202e}fdp_
    ");
    let missing = env.haul(["info", "no\u{1b}[2J\nsuch"]);
    assert!(!missing.err.contains(&0x1b));
    check!(missing, @r"
    status 3
    --- err
    error: no\u{1b}[2J
      such: no file on local matches
    hint: to list the files: `haul ls -p local`
    ");
    let row = &env.haul(["ls", "--json", "--fields", "name"]).ok().json()[0];
    assert_eq!(row["name"], name);
}

#[test]
fn empty_files() {
    let env = Sandbox::new();
    env.write("empty", "");
    check!(env.haul(["upload", "empty", "--fields", "name,size"]), @"
    status 0
    --- out
    empty	0
    ");
    check!(env.haul(["get", "empty", "-o", "copy", "--fields", "size"]), @"
    status 0
    --- out
    0
    ");
    assert_eq!(env.read("copy"), b"");
    assert_eq!(env.haul(["get", "empty", "-o", "-"]).ok().out, b"");
}
