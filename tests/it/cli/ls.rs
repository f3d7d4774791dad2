//! `haul ls`

use haul::providers::REGISTRY;

use crate::check;
use crate::cli::completions::serve;
use crate::platforms::without_names;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::On;

#[test]
fn none_one_and_many() {
    let env = Sandbox::new();
    check!(env.haul(["ls"]), @"status 0");
    env.write("a.txt", "a");
    env.haul(["upload", "a.txt"]).ok();
    check!(env.haul(["ls"]), @"
    status 0
    --- out
    [id]............	a.txt	1	text/plain		2026-03-01T12:00:01Z
    ");
    check!(env.haul(["list", "--long"]), @"
    status 0
    --- out
    [id]............	a.txt	1	text/plain				2026-03-01T12:00:01Z			{}
    ");
    env.write("b.bin", "bb");
    env.haul(["upload", "b.bin", "-m", "k=v", "--purpose", "p"]).ok();
    check!(env.haul(["ls", "--fields", "created_at,name,metadata.k"]), @"
    status 0
    --- out
    2026-03-01T12:00:04Z	b.bin	v
    2026-03-01T12:00:01Z	a.txt
    ");
    check!(env.haul(["ls", "--fields", "name,created_at", "--json"]), @r#"
    status 0
    --- out
    [
    {"name":"b.bin","created_at":"2026-03-01T12:00:04Z"},
    {"name":"a.txt","created_at":"2026-03-01T12:00:01Z"}
    ]
    "#);
    check!(env.haul(["ls", "--fields", "name,created_at", "--jsonl"]), @r#"
    status 0
    --- out
    {"name":"b.bin","created_at":"2026-03-01T12:00:04Z"}
    {"name":"a.txt","created_at":"2026-03-01T12:00:01Z"}
    "#);
    check!(env.haul(["ls", "--ids", "-q"]), @"
    status 0
    --- out
    [id]............
    [id]............
    ");
    check!(env.haul(["ls", "--ids", "--jsonl"]), @r#"
    status 0
    --- out
    {"id":"[id]............"}
    {"id":"[id]............"}
    "#);
    check!(env.haul(["ls", "--ids", "--fields", "name"]), @"
    status 2
    --- err
    error: name: unknown field
    hint: fields: id
    ");
}

#[test]
fn an_empty_listing_is_an_empty_array() {
    let env = Sandbox::new();
    check!(env.haul(["ls", "--json"]), @"
    status 0
    --- out
    []
    ");
    check!(env.haul(["ls", "--jsonl"]), @"status 0");
    check!(env.haul(["ls", "*.pdf", "--json"]), @r#"
    status 0
    --- out
    []
    --- err
    {"note":"no file on local matches"}
    "#);
    check!(env.haul(["ls", "--limit", "0", "--json"]), @"
    status 0
    --- out
    []
    ");
}

#[test]
fn globs_and_filters() {
    let env = Sandbox::with_files(&["a.txt", "b.txt", "c.pdf", "sub.tar.gz"]);
    let names = |arguments: &[&str]| env.haul([&["ls", "--fields", "name"], arguments].concat());
    check!(names(&["*.txt"]), @"
    status 0
    --- out
    b.txt
    a.txt
    ");
    check!(names(&["*.{pdf,gz}"]), @"
    status 0
    --- out
    sub.tar.gz
    c.pdf
    ");
    check!(names(&["[ac].*", "--filter", "name != c.pdf"]), @"
    status 0
    --- out
    a.txt
    ");
    check!(names(&["--filter", "size > 5"]), @"
    status 0
    --- out
    sub.tar.gz
    ");
    check!(names(&["--filter", "created_at > -1h AND (name:b OR name:c)"]), @"
    status 0
    --- out
    sub.tar.gz
    c.pdf
    b.txt
    ");
    check!(names(&["A.txt"]), @"
    status 0
    --- err
    A.txt: no file with this id or name on local
    ");
    check!(names(&["--filter", "size > "]), @r#"
    status 2
    --- err
    error: filter, column 8: expected a value for `size`
      size > 
             ^
    hint: quote a value that is empty or an operator: `""`, `"AND"`
    "#);
    check!(names(&["--filter", "sise > 1"]), @"
    status 2
    --- err
    error: filter, column 1: unknown field `sise`
      sise > 1
      ^^^^
    hint: did you mean `size`?
    hint: fields: provider, profile, id, name, size, content_type, purpose, path, status, created_at, updated_at, expires_at, downloadable, url, metadata.KEY, extra.KEY, checksums.sha256, checksums.md5, checksums.blake3
    ");
    check!(names(&["--filter", "size > 1 AND (name:a"]), @"
    status 2
    --- err
    error: filter, column 14: unclosed `(`
      size > 1 AND (name:a
                   ^
    ");
}

#[test]
fn order_limit_and_pages() {
    let env = Sandbox::with_files(&["bb", "a", "ccc"]);
    let names = |arguments: &[&str]| env.haul([&["ls", "--fields", "name"], arguments].concat());
    check!(names(&[]), @"
    status 0
    --- out
    ccc
    a
    bb
    ");
    check!(names(&["--sort", "name"]), @"
    status 0
    --- out
    a
    bb
    ccc
    ");
    check!(names(&["--sort", "size", "--reverse", "--limit", "2"]), @"
    status 0
    --- out
    ccc
    bb
    ");
    check!(names(&["--sort", "metadata.k"]), @"
    status 0
    --- out
    ccc
    a
    bb
    ");
    check!(names(&["--sort", "nmae"]), @r#"
    status 2
    --- err
    error: --sort: unknown field "nmae"
    hint: did you mean `name`?
    hint: fields: provider, profile, id, name, size, content_type, purpose, path, status, created_at, updated_at, expires_at, downloadable, url, metadata.KEY
    "#);
    check!(names(&["--reverse"]), @"
    status 2
    --- err
    error: missing argument --sort <FIELD>
    hint: example: `haul ls '*.pdf' --sort -size --limit 10`
    hint: see `haul ls --help`
    ");
    check!(names(&["--limit", "x"]), @r#"
    status 2
    --- err
    error: --limit <N>: "x" is not a whole number
    hint: see `haul ls --help`
    "#);
    check!(names(&["--page-size", "0"]), @"
    status 2
    --- err
    error: --page-size <N>: 0 is not between 1 and 4294967295
    hint: see `haul ls --help`
    ");
    check!(names(&["--page-size", "1"]), @"
    status 0
    --- out
    ccc
    a
    bb
    ");
    check!(names(&["--limit", "1", "-v"]), @"
    status 0
    --- out
    ccc
    --- err
    next page: --cursor [id]............
    ");
    let after = env.ids()[0].clone();
    check!(names(&["--cursor", &after]), @"
    status 0
    --- out
    a
    bb
    ");
    check!(names(&["--cursor", "zzz"]), @"
    status 2
    --- err
    error: --cursor zzz: not a cursor for this listing
    hint: omit `--cursor` to start at the first page
    ");
}

#[test]
fn print0_terminates_names_for_xargs() {
    let env = Sandbox::with_files(&["a\nb", "c d"]);
    assert_eq!(env.haul(["ls", "--print0"]).ok().out, b"c d\0a\nb\0");
    let ids = env.ids();
    assert_eq!(env.haul(["ls", "--print0", "--ids"]).ok().stdout(), format!("{}\0{}\0", ids[0], ids[1]));
    check!(env.haul(["ls", "--print0", "--json"]), @r#"
    status 2
    --- out
    []
    --- err
    {"error":{"kind":"usage","exit_code":2,"message":"--print0 cannot be used with --json","details":[],"hints":["see `haul ls --help`"],"request_id":null,"ref":null}}
    "#);
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let env = Sandbox::new();
    env.seed(3000);
    for flags in ["", "--json", "--jsonl", "--ids", "--print0"] {
        let line = format!("haul ls {flags} | head -c 100 > /dev/null; echo ${{PIPESTATUS[0]}}");
        let run = env.shell(&line).ok();
        assert_eq!((run.stdout().as_str(), run.stderr().as_str()), ("0\n", ""), "{flags}");
    }
    check!(env.shell("haul --help | head -1; echo ${PIPESTATUS[0]}"), @"
    status 0
    --- out
    One command line for the Files APIs of AI platforms
    0
    ");
    check!(env.shell("haul get f0000001 -o - | true; echo ${PIPESTATUS[0]}"), @"
    status 0
    --- out
    0
    ");
}

#[test]
fn ls_lists_the_selected_profile() {
    let env = Sandbox::with_files(&["a.txt"]);
    check!(env.haul(["-p", "local", "ls", "--fields", "profile,name"]), @"
    status 0
    --- out
    local	a.txt
    ");
    check!(without_names(&env.haul(["ls", "-p", "lokal"]), "profiles", |_| true), @r#"
    status 2
    --- err
    error: unknown profile "lokal"
    hint: did you mean `local`?
    hint: profiles: [platforms]
    "#);
    check!(env.haul(["ls", "--set", "team=x"]), @r#"
    status 2
    --- err
    error: --set: local has no setting "team"
    hint: settings of local: serve_url
    "#);
    let mut env = env;
    env.set("HAUL_PROFILE_MINE_PROVIDER", "local");
    check!(env.haul(["ls", "-p", "mine", "--fields", "provider,profile,name"]), @"
    status 0
    --- out
    local	mine	a.txt
    ");
    check!(env.haul(["info", "mine:a.txt", "local:a.txt", "--fields", "profile,name"]).sorted(), @"
    status 0
    --- out
    local	a.txt
    mine	a.txt
    ");
    env.set("HAUL_PROFILE", "nowhere");
    let names: Vec<&str> = REGISTRY.iter().map(|spec| spec.name).collect();
    let run = env.haul(["ls"]).to_string();
    check!(run.replace(&names.join(", "), "[platforms]"), @r#"
    status 2
    --- err
    error: HAUL_PROFILE: unknown profile "nowhere"
    hint: profiles: [platforms], mine
    "#);
}

#[test]
fn references_of_several_profiles() {
    let mut env = Sandbox::with_files(&["a.txt", "b.txt", "report [final].pdf", "report f.pdf"]);
    env.set("HAUL_PROFILE_MINE_PROVIDER", "local");
    let id = env.ids().remove(0);
    let names = |line: &str| env.line(&format!("{line} --fields name")).ok().sorted().lines();
    assert_eq!(names(&format!("ls id:{id}")).len(), 1);
    assert_eq!(names(&format!("ls {id} b.txt *.txt")).len(), 3, "each file is listed once");
    assert_eq!(names("ls local:").len(), 4);
    check!(env.haul(["ls", "mine:a*", "local:b.txt", "--sort", "-name"]), @"
    status 0
    --- out
    local	[id]............	b.txt	5	text/plain		2026-03-01T12:00:01Z
    mine	[id]............	a.txt	5	text/plain		2026-03-01T12:00:00Z
    ");
    // The exact name takes precedence over the pattern.
    assert_eq!(
        env.haul(["ls", "report [final].pdf", "--fields", "name"]).ok().lines(),
        ["report [final].pdf"]
    );
    assert_eq!(env.haul(["get", "report [final].pdf", "-o", "-"]).ok().stdout(), "report [final].pdf");
    env.haul(["get", "report [final].pdf", "-o", "copy.pdf"]).ok();
    assert_eq!(env.haul(["ls", "*.txt", "--count"]).ok().stdout(), "2\n");
    assert_eq!(env.haul(["ls", "a.txt", "b.txt", "--count", "--json"]).ok().json()[0]["count"], 2);
    let missing = env.haul(["ls", "nope", "id:nope", "a.txt", "--fields", "name"]).ok();
    assert_eq!(missing.stdout(), "a.txt\n");
    missing.says("nope: no file with this id or name on local");
    let failed = env.haul(["ls", "nowhere:", "a.txt", "xai:a", "--fields", "name"]);
    assert_eq!((failed.status, failed.stdout().as_str()), (4, "a.txt\n"), "{failed:?}");
    env.haul(["ls", "x*"]).ok();
    env.haul(["ls", "-p", "mine", "-p", "local"]).fails(2).says("`haul ls mine: local:`");
    env.haul(["ls", "--name", "*.txt"]).ok().says("--name matches the whole name");
    env.haul(["ls", "--filter", "name = *.txt"]).ok().says("write `name ~ *.txt`");
    // References from standard input; empty input selects no file.
    let ids = env.haul(["ls", "*.txt", "--ids"]).ok().stdout();
    for line in [["ls", "-", "--filter", "size > 0"], ["rm", "-", "--filter", "size > 0"]] {
        assert_eq!(env.run_reading("", env.command().args(line)).ok().stdout(), "");
    }
    check!(env.run_reading(&ids, env.command().args(["rm", "-", "--fields", "name"])).sorted(), @"
    status 0
    --- out
    a.txt
    b.txt
    --- err
    2 deleted
    ");
}

#[test]
fn references_without_a_file_get_a_hint() {
    let env = Sandbox::with_files(&["data/a.csv"]);
    env.write("b.csv", "");
    env.write("c.csv", "");
    for (line, hint) in [
        ("haul ls *.csv", "to use a pattern, quote it: `haul ls '*.csv'`"),
        ("haul ls data/", "`haul ls 'data/*'`"),
        ("haul ls 'x*'", "no file on local matches"),
        ("haul ls 'x*'", "to list all files: `haul ls`"),
        ("haul ls nope", "to list all files: `haul ls`"),
    ] {
        let screen = env.terminal_of(env.bash(line), 80, "", On::All).ok().stdout();
        assert!(screen.contains(hint), "{line}: {screen}");
    }
}

#[test]
fn hints_can_be_typed_as_printed() {
    let mut env = Sandbox::with_files(&["Plan [v1].md", "it's.txt"]);
    env.haul(["meta", "set", "it's.txt", "author=hegel"]).ok();
    env.set("XAI_API_KEY", "tok");
    let _far = serve(&mut env);
    for line in [
        "haul info 'name:Plan [v2].md'",
        "haul info its.txt",
        "haul ls --format json",
        "haul meta get \"it's.txt\" author",
        "haul ls --filter 'size > 1 OR size = 0 AND name:a'",
        "haul ls --filter 'name contains Plan'",
        "haul ls --name '*.md'",
        "haul get 'nothing*'",
        "haul get 'Plan [v1].md' 'it'\\''s.txt' -o new",
        "haul upload folder",
        "haul upload 'folder/*.txt'",
        "haul upload /proc/version",
        "haul upload reprot.txt",
        "haul info -p far a.txt",
        "haul info far:a.txt",
        "haul upload -p far folder",
        "haul upload folder/a.txt folder/b/a.txt -p far --if-exists skip",
    ] {
        env.write("report.txt", "");
        env.write("folder/a.txt", "");
        env.write("folder/b/a.txt", "");
        // Without files there is nothing to delete, which is a usage error.
        let _emptied = env.shell("haul ls -p far --ids | haul rm -p far - --yes");
        let before = env.ids().len();
        let failed = env.shell(line);
        let printed = failed.stderr();
        let hints: Vec<&str> = printed.split('`').skip(1).step_by(2).collect();
        assert!(!hints.is_empty(), "{line}: {failed:?}");
        for hint in hints.into_iter().filter(|hint| !hint.ends_with("--help") && !hint.contains("jq")) {
            let command = match hint {
                hint if hint.starts_with("haul ") => hint.to_owned(),
                hint if hint.starts_with("--") && line.starts_with("haul ls") => format!("haul ls {hint}"),
                hint if hint.starts_with("-o") => format!("haul get '*' {hint}"),
                hint if hint.starts_with("name:P") && line.contains("contains") => {
                    format!("haul ls --filter '{hint}'")
                }
                hint if line.starts_with("haul info") => format!("haul info {hint}"),
                hint if line.starts_with("haul upload") && !hint.starts_with('-') => {
                    format!("haul upload {hint}")
                }
                _ => continue,
            };
            env.shell(&command.replace("FILE", "folder/a.txt")).ok();
        }
        if line.contains("far") {
            assert_eq!(env.ids().len(), before, "{line}: a hint lacks the profile");
        }
    }
}
