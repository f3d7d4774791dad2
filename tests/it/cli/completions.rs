//! `haul completions` and the completions that haul offers for TAB.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use haul::model::{File, FileId};
use haul::providers::{Download, REGISTRY};
use haul::store::{Options, Store};

use crate::check;
use crate::platforms::{Platform, dialects, remote, served};
use crate::support::process::ServeProcess;
use crate::support::rig::Case;
use crate::support::sandbox::Sandbox;

/// The token of the platform in these tests.
pub const TOKEN: &str = "sk-token-of-the-tests";

/// Serves the platforms on this machine and sets up one of them as profile `far`.
pub fn serve(env: &mut Sandbox) -> ServeProcess {
    let served = ServeProcess::start(env, ["--ephemeral"]);
    far(env, &served.base(far_provider()));
    served
}

/// The provider of `far`: one that supports downloads.
fn far_provider() -> &'static str {
    let gives = |platform: &Platform| platform.spec().dialects[0].can.download == Download::Any;
    served().find(|(platform, _)| gives(platform)).unwrap().0.name
}

/// Makes `far` a profile for this server.
fn far(env: &mut Sandbox, url: &str) {
    env.add_profile("far", &Case::of(far_provider(), "auto"), url, TOKEN);
}

/// Puts `count` numbered files, and one file for each of these names, into the local store. The ids of the named
/// files are `0special`, `1special` and so on.
pub fn fill(env: &Sandbox, count: usize, names: &[&str]) {
    let many = (0..count).map(|n| (format!("0data{n:04}"), format!("data-{n:04}.csv")));
    let special = names.iter().enumerate().map(|(n, name)| (format!("{n}special"), (*name).to_owned()));
    put(env, many.chain(special));
}

/// Puts files with these ids and names into the local store.
pub fn put(env: &Sandbox, files: impl IntoIterator<Item = (String, String)>) {
    let store = Store::open(&env.store(), Options { ephemeral: true, ..Options::default() }).unwrap();
    for (id, name) in files {
        let mut incoming = store.receive().unwrap();
        writeln!(incoming, "content of {name}.").unwrap();
        let file = File {
            provider: "local".to_owned(),
            profile: "local".to_owned(),
            id: FileId(id),
            name,
            created_at: "2026-03-01T12:00:00Z".parse().ok(),
            ..File::default()
        };
        store.put("local", file, incoming.finish().unwrap()).unwrap();
    }
}

/// The completions of the last of these words, without descriptions.
fn offered(env: &Sandbox, words: &[&str]) -> Vec<String> {
    let lines = explained(env, words).into_iter();
    lines.map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// The completions of the last of these words, with descriptions.
fn explained(env: &Sandbox, words: &[&str]) -> Vec<String> {
    let mut command = env.command();
    command.env("COMPLETE", "fish").arg("--").arg("haul").args(words);
    let run = env.run(&mut command).ok();
    assert_eq!(run.stderr(), "");
    run.lines()
}

/// The words with this prefix, sorted.
fn beginning<'a>(start: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = words.filter(|word| word.starts_with(start)).map(str::to_owned).collect();
    words.sort();
    words
}

/// The built-in profiles with this prefix, in the form that starts a reference.
fn profiles(start: &str) -> Vec<String> {
    let names = beginning(start, REGISTRY.iter().map(|spec| spec.name));
    names.into_iter().map(|name| name + ":").collect()
}

#[test]
fn a_script_for_each_shell() {
    let env = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.haul(["completions", shell]).ok().stdout();
        assert!(script.contains("haul"), "{shell}: {script}");
        // The usual way of other programs works too: `source <(COMPLETE=bash haul)`.
        assert_eq!(env.run(env.command().env("COMPLETE", shell)).ok().stdout(), script);
    }
    let nushell = env.haul(["completions", "nushell"]).ok().stdout();
    for extern_ in
        ["export extern haul [", "export extern \"haul upload\" [", "export extern \"haul meta set\" ["]
    {
        assert!(nushell.contains(extern_), "{nushell}");
    }
    assert!(nushell.contains("--if-exists: string@\"nu-complete haul upload if_exists\""), "{nushell}");
    check!(env.haul(["completions", "tcsh"]), @r#"
    status 2
    --- err
    error: <SHELL>: invalid value "tcsh"
    hint: possible values: bash, elvish, fish, nushell, powershell, zsh
    hint: see `haul completions --help`
    "#);
    check!(env.haul(["completions"]), @"
    status 2
    --- err
    error: missing argument SHELL
    hint: example: `haul completions bash > ~/.local/share/bash-completion/completions/haul`
    hint: see `haul completions --help`
    ");
    env.shell("haul completions bash | bash -n").ok();
}

#[test]
fn a_variable_for_another_shell_changes_nothing() {
    let mut env = Sandbox::with_files(&["a.txt"]);
    for value in ["1", "yes", "tcsh", "bash"] {
        env.set("COMPLETE", value);
        assert_eq!(env.haul(["ls", "--fields", "name"]).ok().stdout(), "a.txt\n");
    }
}

#[test]
fn files_are_completed_by_name_and_id() {
    let mut env = Sandbox::new();
    env.set("HAUL_NOW", "2026-03-01T12:00:03Z");
    env.set("HAUL_PROFILE_ZONE_PROVIDER", remote().name);
    fill(&env, 3, &["report.pdf", "my file.txt", "zone:odd.txt", "-dash", "*.txt", "id:1", "0special"]);
    assert_eq!(offered(&env, &["info", "re"]), [vec!["report.pdf".to_owned()], profiles("re")].concat());
    assert_eq!(offered(&env, &["get", "my"]), ["my file.txt"]);
    assert_eq!(offered(&env, &["rm", "data-000"]), ["data-0000.csv", "data-0001.csv", "data-0002.csv"]);
    // An ambiguous name gets the prefix `name:`, and so does a name that is the id of another file.
    assert_eq!(offered(&env, &["link", "zone:od"]), [""; 0], "`zone:` is a profile");
    assert_eq!(offered(&env, &["link", "name:zone:"]), ["name:zone:odd.txt"]);
    let all = [
        "name:*.txt",
        "name:-dash",
        "name:0special",
        "data-0000.csv",
        "data-0001.csv",
        "data-0002.csv",
        "name:id:1",
        "my file.txt",
        "report.pdf",
        "name:zone:odd.txt",
    ];
    for verb in
        [&["info"][..], &["get"], &["rm"], &["link"], &["meta", "get"], &["meta", "set"], &["upload", "--to"]]
    {
        assert_eq!(offered(&env, &[verb, &[""]].concat()), all, "{verb:?}");
    }
    // Ids are offered once the user starts typing one.
    assert_eq!(offered(&env, &["get", "0d"]), ["0data0000", "0data0001", "0data0002"]);
    assert_eq!(offered(&env, &["get", "id:1"]), ["id:1special"]);
    // Text after `local:` is never parsed as an option.
    assert_eq!(offered(&env, &["get", "local:-"]), ["local:-dash"]);
    assert_eq!(offered(&env, &["get", "local:id:2s"]), ["local:id:2special"]);
    assert_eq!(explained(&env, &["get", "rep"])[0], "report.pdf\t23 B, now");
    assert_eq!(
        explained(&env, &["get", "0sp"]),
        ["name:0special\t21 B, now", "0special\treport.pdf, 23 B, now"]
    );
}

#[test]
fn an_ambiguous_name_leads_to_ids() {
    let mut env = Sandbox::new();
    env.set("HAUL_NOW", "2026-03-01T12:00:03Z");
    fill(&env, 0, &["report.pdf", "report.pdf", "reports"]);
    assert_eq!(
        explained(&env, &["get", "rep"])[..2],
        ["report.pdf\t2 files have this name", "reports\t20 B, now"]
    );
    assert_eq!(offered(&env, &["get", "report.pdf"]), ["report.pdf", "0special", "1special"]);
}

#[test]
fn names_with_control_characters_are_offered_by_id() {
    let env = Sandbox::new();
    let hostile = ["a\u{1b}]0;owned\u{7}", "a\nb", "a\u{202e}b", "a\tb", "a\u{b}c", ""];
    fill(&env, 0, &hostile);
    let mut command = env.command();
    command.env("COMPLETE", "fish").args(["--", "haul", "get", ""]);
    let run = env.run(&mut command).ok();
    let ids: Vec<String> =
        run.lines().iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert_eq!(ids, ["0special", "1special", "2special", "3special", "4special", "5special"]);
    let unsafe_char = |c: char| c != '\n' && c != '\t' && haul::ui::is_unsafe(c);
    assert!(!run.stdout().contains(unsafe_char), "{run}");
    let mut names = profiles("a");
    names.sort();
    let mut shown = offered(&env, &["get", "a"]);
    shown.sort();
    assert_eq!(shown, names);
}

#[test]
fn commands_options_and_values_are_completed() {
    let mut env = Sandbox::new();
    let purposed = dialects().find(|case| case.can().upload.purposes.contains(&"user_data")).unwrap();
    env.set("HAUL_PROFILE_WORK_PROVIDER", purposed.provider);
    let commands = offered(&env, &[""]);
    for (command, alias) in [("upload", "put"), ("ls", "list"), ("get", "download"), ("rm", "delete")] {
        assert!(commands.iter().any(|offer| offer == command), "{commands:?}");
        assert!(!commands.iter().any(|offer| offer == alias), "{commands:?}");
    }
    assert_eq!(offered(&env, &["upl"]), ["upload"]);
    assert_eq!(offered(&env, &["ls", "--pri"]), ["--print0"]);
    assert_eq!(offered(&env, &["-p", "w"]), ["work"]);
    assert_eq!(offered(&env, &["ls", "--profile=w"]), ["--profile=work"]);
    assert_eq!(offered(&env, &["auth", "status", "wo"]), ["work"]);
    assert_eq!(offered(&env, &["ls", "--fields", "id,na"]), ["id,name"]);
    assert_eq!(offered(&env, &["get", "--fields", "sav"]), ["saved_to"]);
    assert_eq!(offered(&env, &["rm", "--fields", "de"]), ["deleted", "detached_from"]);
    assert_eq!(offered(&env, &["meta", "get", "--fields", "pro"]), ["provider", "profile"]);
    assert_eq!(offered(&env, &["profile", "ls", "--fields", "ori"]), ["origin"]);
    assert_eq!(offered(&env, &["rm", "--fields", "ori"]), [""; 0]);
    assert_eq!(offered(&env, &["--fields", "si"]), ["size"]);
    assert_eq!(offered(&env, &["ls", "--sort", "si"]), ["size"]);
    assert_eq!(offered(&env, &["ls", "--sort", "meta"]), ["metadata."]);
    assert_eq!(offered(&env, &["ls", "--filter", "size > 1MB AND (na"]), ["size > 1MB AND (name"]);
    assert_eq!(offered(&env, &["ls", "--filter", "size "]), [""; 0]);
    assert_eq!(
        explained(&env, &["--set", "ser"]),
        ["serve_url=\taddress of `haul serve` for this store; links then become signed http URLs"]
    );
    assert_eq!(offered(&env, &["-p", "work", "upload", "--purpose", "user"]), ["user_data"]);
    assert_eq!(offered(&env, &["help", "filt"]), ["filters"]);
    assert_eq!(offered(&env, &["help", "meta", "u"]), ["unset"]);
    // Local folders, where paths are expected.
    env.write("docs/a.md", "");
    assert_eq!(offered(&env, &["upload", "do"]), ["docs/"]);
}

#[test]
fn values_of_each_platform_are_completed() {
    let env = Sandbox::new();
    let sorted = |words: &[&str]| {
        let mut offered = offered(&env, words);
        offered.sort();
        offered
    };
    for spec in REGISTRY {
        let (name, start) = (spec.name, &spec.name[..1]);
        let names = beginning(start, REGISTRY.iter().map(|spec| spec.name));
        assert_eq!(sorted(&["providers", start]), names, "{name}");
        for setting in spec.settings {
            // Secret settings cannot be given as arguments.
            let open = spec.settings.iter().filter(|setting| !setting.secret).map(|setting| setting.key);
            let start = &setting.key[..2];
            let keys: Vec<String> = beginning(start, open).into_iter().map(|key| key + "=").collect();
            assert_eq!(sorted(&["ls", "-p", name, "--set", start]), keys, "{name} {start}");
            let add = ["profile", "add", "x", "--provider", name, "--set", start];
            assert_eq!(sorted(&add), keys, "{name} {start}");
        }
        for dialect in spec.dialects {
            let start = &dialect.name[..1];
            let words = ["auto"].into_iter().chain(spec.dialects.iter().map(|dialect| dialect.name));
            let words: BTreeSet<String> = beginning(start, words).into_iter().collect();
            let offered = sorted(&["-p", name, "--wire-dialect", start]);
            assert_eq!(offered.into_iter().collect::<BTreeSet<_>>(), words, "{name} {start}");
        }
    }
}

#[test]
fn broken_settings_are_ignored() {
    let env = Sandbox::new();
    fs::write(env.home().join("config.toml"), "not [toml").unwrap();
    assert_eq!(offered(&env, &["ls", "--pri"]), ["--print0"]);
    assert_eq!(offered(&env, &["get", "a"]), [""; 0]);
    assert_eq!(offered(&env, &["get", "--no-such-flag", "--jsonl"]), ["--jsonl"]);
}

#[test]
fn a_platform_is_queried_once_a_minute() {
    let mut env = Sandbox::new();
    let served = serve(&mut env);
    env.write("report.pdf", "x");
    env.haul(["-p", "far", "upload", "report.pdf"]).ok();
    let at = |env: &mut Sandbox, time: &str| env.set("HAUL_NOW", time);
    at(&mut env, "2026-03-01T13:00:00Z");
    let before = served.requests().len();
    assert_eq!(offered(&env, &["get", "far:re"]), ["far:report.pdf"]);
    let once = served.requests().len();
    assert!(once > before);
    at(&mut env, "2026-03-01T13:00:59Z");
    assert_eq!(offered(&env, &["-p", "far", "get", "re"]), ["report.pdf"]);
    assert_eq!(served.requests().len(), once);

    // The cache holds nothing that grants access, and other users cannot read it.
    let kept = env.home().join("cache/completions/far");
    let text = fs::read_to_string(&kept).unwrap();
    assert!(text.contains("report.pdf") && !text.contains(TOKEN) && !text.contains("127.0.0.1"), "{text}");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept), mode(kept.parent().unwrap())), (0o600, 0o700));

    at(&mut env, "2026-03-01T13:01:01Z");
    assert_eq!(offered(&env, &["get", "far:re"]), ["far:report.pdf"]);
    let twice = served.requests().len();
    assert!(twice > once);

    // haul's own changes are visible at once.
    env.write("resume.pdf", "x");
    env.haul(["-p", "far", "upload", "resume.pdf"]).ok();
    assert_eq!(offered(&env, &["get", "far:re"]), ["far:report.pdf", "far:resume.pdf"]);

    // An entry expires even if the clock was set back, and a profile that now points to another server does not use the
    // old entry.
    let requests = served.requests().len();
    at(&mut env, "2026-02-01T13:01:01Z");
    assert_eq!(offered(&env, &["get", "far:re"]).len(), 2);
    assert!(served.requests().len() > requests);
    env.set("HAUL_PROFILE_FAR_BASE_URL", "http://127.0.0.1:1/elsewhere");
    assert_eq!(offered(&env, &["get", "far:re"]), [""; 0]);
}

#[test]
fn a_platform_that_never_answers_times_out() {
    let mut env = Sandbox::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        // The connection is accepted, but no response is sent.
        let mut open = Vec::new();
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    far(&mut env, &url);
    env.set("HAUL_NOW", "2026-03-01T13:00:00Z");
    assert_eq!(offered(&env, &["get", "far:re"]), [""; 0]);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // Requests are paused.
    assert_eq!(offered(&env, &["get", "far:re"]), [""; 0]);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // An older listing is better than none.
    let kept = env.home().join("cache/completions/far");
    let text = fs::read_to_string(&kept).unwrap();
    let file = r#"[{"id":"f1","name":"report.pdf","size":1,"created_at":null}]"#;
    fs::write(&kept, text.replace("\"files\":[]", &format!("\"files\":{file}"))).unwrap();
    env.set("HAUL_NOW", "2026-03-01T14:00:00Z");
    assert_eq!(offered(&env, &["get", "far:re"]), ["far:report.pdf"]);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    // An invalid cache file is ignored.
    fs::write(&kept, "{").unwrap();
    assert_eq!(offered(&env, &["get", "far:re"]), [""; 0]);
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[test]
fn no_program_and_no_prompt_is_run_for_a_token() {
    let mut env = Sandbox::new();
    let served = serve(&mut env);
    env.set("HAUL_PROFILE_FAR_TOKEN", "");
    assert_eq!(offered(&env, &["get", "far:"]), [""; 0]);
    let mark = env.root().join("mark");
    let base = env.run(env.program("printenv").arg("HAUL_PROFILE_FAR_BASE_URL")).ok().stdout();
    let config = format!(
        "[profiles.cmd]\nprovider = '{}'\nbase_url = '{}'\ntoken_command = \"touch '{}'; echo t\"\n",
        far_provider(),
        base.trim(),
        mark.display()
    );
    fs::write(env.home().join("config.toml"), config).unwrap();
    assert_eq!(offered(&env, &["get", "cmd:"]), [""; 0]);
    assert!(!mark.exists());
    assert_eq!(served.requests().len(), 0);
    env.haul(["-p", "cmd", "ls"]).ok();
    assert!(mark.exists());
}

#[test]
fn a_hundred_thousand_files_are_completed_by_prefix() {
    let env = Sandbox::new();
    fill(&env, 1, &["zebra.txt"]);
    let database = rusqlite::Connection::open(env.store().join("index.sqlite")).unwrap();
    database
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
             INSERT INTO files (space, id, provider, profile, name, size, created_at, sha256, blake3, metadata, extra)
             SELECT space, printf('1x%06d', i), provider, profile, printf('data-%06d.csv', i), size, created_at, sha256,
                 blake3, metadata, extra FROM n, files WHERE id = '0data0000'",
            [],
        )
        .unwrap();
    let all = offered(&env, &["get", ""]);
    // Not all are offered, but the common prefix of the offered names is that of all names.
    assert_eq!(all.len(), 2000);
    assert_eq!((all[0].as_str(), all[1999].as_str()), ("data-0000.csv", "zebra.txt"));
    let some = offered(&env, &["get", "data-"]);
    assert_eq!((some.len(), some[1999].as_str()), (2000, "data-100000.csv"));
    assert_eq!(offered(&env, &["get", "data-07654"]).len(), 10);
    assert_eq!(offered(&env, &["get", "data-099999"]), ["data-099999.csv"]);
    assert_eq!(offered(&env, &["get", "1x099999"]), ["1x099999"]);
}
