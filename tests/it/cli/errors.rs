//! The exit status of several failures, and errors before a command starts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::check;
use crate::platforms::remote;
use crate::support::sandbox::Sandbox;

#[test]
fn several_failures_exit_with_their_common_code_or_1() {
    let env = Sandbox::with_files(&["a.txt", "twice", "twice"]);
    env.haul(["info", "nope", "nada", "a.txt"]).fails(3);
    env.haul(["info", "nope", "twice"]).fails(1);
    check!(env.haul(["info", "nope", "twice", "a.txt", "--fields", "name", "--fail-fast"]), @"
    status 3
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    1 failed, the rest not started
    ");
}

#[test]
fn usage_errors_have_the_common_format() {
    let env = Sandbox::new();
    check!(env.haul(["lss"]), @"
    status 2
    --- err
    error: unrecognized subcommand 'lss'
    hint: did you mean `haul ls`?
    hint: see `haul --help`
    ");
    check!(env.haul(["ls", "--bogus"]), @"
    status 2
    --- err
    error: unrecognized option '--bogus'
    hint: see `haul ls --help`
    ");
    check!(env.haul(["ls", "--jsn"]), @"
    status 2
    --- err
    error: unrecognized option '--jsn'
    hint: did you mean `--json`?
    hint: see `haul ls --help`
    ");
    check!(env.haul(["ls", "-x"]), @"
    status 2
    --- err
    error: unrecognized option '-x'
    hint: see `haul ls --help`
    ");
    check!(env.haul(["providers", "a", "b"]), @"
    status 2
    --- err
    error: unexpected argument 'b'
    hint: see `haul providers --help`
    ");
    check!(env.haul(["ls", "--json", "--jsonl"]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"--json cannot be used with --jsonl","details":[],"hints":["see `haul ls --help`"],"request_id":null,"ref":null}}
    "#);
    check!(env.haul(["ls", "--limit"]), @"
    status 2
    --- err
    error: --limit <N> requires a value
    hint: see `haul ls --help`
    ");
    check!(env.haul(["ls", "--limit", "-1"]), @"
    status 2
    --- err
    error: --limit <N>: -1 is less than 0
    hint: see `haul ls --help`
    ");
    check!(env.haul(["ls", "--color", "never", "--color", "always"]), @"status 0");
    check!(env.haul(["ls", "--color", "red"]), @r#"
    status 2
    --- err
    error: --color <WHEN>: invalid value "red"
    hint: possible values: auto, always, never
    hint: see `haul ls --help`
    "#);
    check!(env.haul(["ls", "--set", "x"]), @r#"
    status 2
    --- err
    error: --set <KEY=VALUE>: "x": not KEY=VALUE
    hint: see `haul ls --help`
    "#);
    check!(env.haul(["ls", "--fields", "nmae"]), @"
    status 2
    --- err
    error: nmae: unknown field
    hint: did you mean `name`?
    hint: fields: provider, profile, id, name, size, content_type, purpose, path, status, created_at, updated_at, expires_at, checksums, metadata, downloadable, url, extra
    ");
    check!(env.haul(["info", "x", "-j", "0"]), @"
    status 2
    --- err
    error: --jobs <N>: 0 is not between 1 and 256
    hint: see `haul info --help`
    ");
    check!(env.haul(["--color=always", "lss"]), @"
    status 2
    --- err
    ␛[1;31merror:␛[0m unrecognized subcommand 'lss'
    ␛[1;36mhint:␛[0m did you mean `haul ls`?
    ␛[1;36mhint:␛[0m see `haul --help`
    ");
    check!(env.haul(["--color", "always", "info", "nope"]), @"
    status 3
    --- err
    ␛[1;31merror:␛[0m nope: no file with this id or name on local
    ␛[1;36mhint:␛[0m no files on local yet; to upload one: `haul upload FILE`
    ");
}

#[test]
fn invalid_settings_are_reported() {
    let mut env = Sandbox::new();
    check!(env.haul(["ls", "--config", "nowhere.toml"]), @"
    status 2
    --- err
    error: nowhere.toml: no such config file
    ");
    env.write("broken.toml", "default_profile = local\n");
    check!(env.haul(["ls", "--config", "broken.toml"]), @"
    status 2
    --- err
    error: broken.toml:1: invalid TOML
    caused by: string values must be quoted, expected literal string
    ");
    env.write("token.toml", "[profiles.work]\nprovider = \"local\"\ntoken = \"secret\"\n");
    check!(env.haul(["ls", "--config", "token.toml"]), @"
    status 2
    --- err
    error: token.toml:3: tokens are not allowed in the config file, and other users can access this file
    hint: remove the line and replace the token: it may have leaked
    hint: store the token with `haul auth login work`, or set `token_command`
    ");
    check!(env.haul(["ls", "--base-url", "ftp://x", "-p", remote().name]), @r#"
    status 2
    --- err
    error: --base-url: invalid base URL "ftp://x": the scheme must be http or https
    hint: for example https://api.example.com
    "#);
    check!(env.haul(["ls", "--timeout", "never", "-p", remote().name]), @"
    status 2
    --- err
    error: --timeout never: invalid duration
    hint: for example `30s` or `2m`
    ");
    env.set("HAUL_NOW", "today");
    check!(env.haul(["ls", "--json"]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"HAUL_NOW=today: not an RFC 3339 time","details":[],"hints":[],"request_id":null,"ref":null}}
    "#);
}

#[test]
fn a_store_that_cannot_be_opened_is_reported() {
    let env = Sandbox::new();
    fs::create_dir_all(env.store()).unwrap();
    fs::write(env.store().join("index.sqlite"), "this is no database, but long enough to look like one")
        .unwrap();
    check!(env.haul(["ls", "--json"]), @r#"
    status 1
    --- out
    []
    --- err
    {"error":{"kind":"failed","exit_code":1,"message":"[box]/home/data/store/index.sqlite: the store's index is damaged: file is not a database","details":[],"hints":["to repair the store: `haul local check --repair --data [box]/home/data/store`","to move the store aside and start with an empty one: `mv [box]/home/data/store [box]/home/data/store.damaged`"],"request_id":null,"ref":null}}
    "#);
    fs::remove_dir_all(env.home().join("data")).unwrap();
    env.open_to_all();
    fs::set_permissions(env.home(), fs::Permissions::from_mode(0o555)).unwrap();
    check!(env.run(&mut env.unprivileged(&["ls"])), @"
    status 1
    --- err
    error: [box]/home/data/store: cannot create the directory
    caused by: Permission denied (os error 13)
    ");
    let mut env = Sandbox::new();
    env.set("HAUL_HOME", "/dev/null/x");
    check!(env.haul(["ls"]), @"
    status 2
    --- err
    error: /dev/null/x/config.toml: cannot read the config file
    caused by: Not a directory (os error 20)
    ");
}
