//! Terminal output at several widths and with environment variables that affect it.

use crate::check;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::On;

fn three_files() -> Sandbox {
    let env = Sandbox::new();
    for (name, size) in
        [("report.pdf", 1_234_567), ("a name that is rather long for a table.tar.gz", 5), ("日本語.txt", 0)]
    {
        env.write(name, vec![b'x'; size]);
        env.haul(["upload", name]).ok();
    }
    env
}

#[test]
fn tables_fit() {
    let env = three_files();
    check!(env.terminal(40, "", &["ls"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m              ␛[1mSIZE␛[0m
    [id]............  日本語.txt         0 B
    [id]............  a name t…ar.gz     5 B
    [id]............  report.pdf      1.2 MB
    ");
    check!(env.terminal(80, "", &["ls"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m                                       ␛[1mSIZE␛[0m  ␛[1mCREATED_AT␛[0m  ␛[1m…␛[0m
    [id]............  日本語.txt                                  0 B  now
    [id]............  a name that is rather l… a table.tar.gz     5 B  now
    [id]............  report.pdf                               1.2 MB  now
    ");
    check!(env.terminal(200, "", &["ls"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m                                             ␛[1mSIZE␛[0m  ␛[1mCONTENT_TYPE␛[0m      ␛[1mSTATUS␛[0m  ␛[1mCREATED_AT␛[0m
    [id]............  日本語.txt                                        0 B  text/plain        -       now
    [id]............  a name that is rather long for a table.tar.gz     5 B  application/gzip  -       now
    [id]............  report.pdf                                     1.2 MB  application/pdf   -       5 seconds ago
    ");
    for columns in [20, 40, 80, 200] {
        for arguments in [&["ls"][..], &["ls", "--long"], &["providers"], &["ls", "--fields", "name,id,url"]]
        {
            let screen = env.terminal(columns, "", arguments).ok().stdout();
            for line in screen.lines() {
                let line = line.replace("\u{1b}[1m", "").replace("\u{1b}[0m", "");
                let width = unicode_width::UnicodeWidthStr::width(line.as_str());
                assert!(width <= usize::from(columns), "{columns}: {width}\n{screen}");
            }
        }
    }
}

#[test]
fn no_file_and_one_file() {
    let env = Sandbox::new();
    check!(env.terminal(80, "", &["ls"]), @"
    status 0
    --- out
    ␛[1;36mhint:␛[0m no files on local yet; to upload one: `haul upload FILE`
    ");
    check!(env.terminal(80, "", &["ls", "-q"]), @"status 0");
    check!(env.terminal(80, "", &["ls", "--json"]), @"
    status 0
    --- out
    []
    ");
    check!(env.terminal(80, "", &["ls", "*.pdf"]), @"
    status 0
    --- out
    no file on local matches
    ␛[1;36mhint:␛[0m to list all files: `haul ls`
    ");
    env.write("a.txt", "a");
    check!(env.terminal(80, "", &["upload", "a.txt"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m   ␛[1mSIZE␛[0m  ␛[1mCONTENT_TYPE␛[0m  ␛[1mSTATUS␛[0m  ␛[1mCREATED_AT␛[0m
    [id]............  a.txt   1 B  text/plain    -       now
    ␛[1;36mhint:␛[0m to show it: `haul info [id]............`
    ");
    check!(env.terminal(80, "", &["upload", "-n", "a.txt"]), @"
    status 0
    --- out
    ␛[1mID␛[0m  ␛[1mNAME␛[0m   ␛[1mSIZE␛[0m  ␛[1mCONTENT_TYPE␛[0m  ␛[1mSTATUS␛[0m  ␛[1mCREATED_AT␛[0m
    -   a.txt   1 B  text/plain    -       -
    dry run: nothing uploaded
    ");
    check!(env.terminal(80, "", &["info", "a.txt"]), @"
    status 0
    --- out
    provider          local
    profile           local
    id                [id]............
    name              a.txt
    size              1 byte
    content_type      text/plain
    created_at        2026-03-01T12:00:04Z (now)
    checksums.blake3
        17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f
    checksums.sha256
        ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
    downloadable      yes
    ");
    check!(env.terminal(80, "", &["info", "a.txt", "--fields", "name,created_at"]), @"
    status 0
    --- out
    name        a.txt
    created_at  2026-03-01T12:00:04Z (now)
    ");
    check!(env.terminal(80, "", &["get", "a.txt", "-o", "b.txt"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m   ␛[1mSIZE␛[0m  ␛[1mSAVED_TO␛[0m
    [id]............  a.txt   1 B  b.txt
    ");
    check!(env.terminal(80, "", &["meta", "set", "a.txt", "k=v"]), @r#"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m   ␛[1mMETADATA␛[0m
    [id]............  a.txt  {"k":"v"}
    "#);
    check!(env.terminal(80, "", &["rm", "a.txt", "nope"]), @"
    status 3
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m   ␛[1mSIZE␛[0m  ␛[1mDELETED␛[0m
    [id]............  a.txt   1 B  yes
    ␛[1;31merror:␛[0m nope: no file with this id or name on local
    ␛[1;36mhint:␛[0m to list the files: `haul ls -p local`
    1 deleted, 1 failed
    ");
    check!(env.terminal(80, "", &["get", "nope"]), @"
    status 3
    --- out
    ␛[1;31merror:␛[0m nope: no file with this id or name on local
    ␛[1;36mhint:␛[0m no files on local yet; to upload one: `haul upload FILE`
    ");
    check!(env.terminal(80, "", &["lss"]), @"
    status 2
    --- out
    ␛[1;31merror:␛[0m unrecognized subcommand 'lss'
    ␛[1;36mhint:␛[0m did you mean `haul ls`?
    ␛[1;36mhint:␛[0m see `haul --help`
    ");
}

#[test]
fn color_follows_the_terminal_the_environment_and_the_flag() {
    let colored = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut env = Sandbox::new();
        for (name, value) in variables {
            env.set(name, value);
        }
        let screen = env.terminal(80, "", &[arguments, &["info", "nope"]].concat()).fails(3);
        screen.out.contains(&0x1b)
    };
    assert!(colored(&[], &[]));
    assert!(!colored(&[("NO_COLOR", "1")], &[]));
    assert!(colored(&[("NO_COLOR", "")], &[]));
    assert!(!colored(&[("TERM", "dumb")], &[]));
    assert!(!colored(&[], &["--color", "never"]));
    assert!(colored(&[("NO_COLOR", "1")], &["--color", "always"]));
    let mut env = Sandbox::new();
    assert!(!env.haul(["info", "nope"]).err.contains(&0x1b));
    assert!(env.haul(["info", "nope", "--color", "always"]).err.contains(&0x1b));
    env.set("CLICOLOR_FORCE", "1");
    assert!(env.haul(["info", "nope"]).err.contains(&0x1b));
}

#[test]
fn columns_overrides_the_terminal_width() {
    let mut env = three_files();
    env.set("COLUMNS", "40");
    check!(env.terminal(200, "", &["ls"]), @"
    status 0
    --- out
    ␛[1mID␛[0m                ␛[1mNAME␛[0m              ␛[1mSIZE␛[0m
    [id]............  日本語.txt         0 B
    [id]............  a name t…ar.gz     5 B
    [id]............  report.pdf      1.2 MB
    ");
}

#[test]
fn each_stream_is_formatted_separately() {
    let env = Sandbox::with_files(&["a.txt"]);
    let run = |arguments: &[&str], on: On| {
        let mut command = env.command();
        command.args(arguments);
        env.terminal_of(command, 80, "", on)
    };
    // Messages on the terminal and data in a pipe, and the reverse.
    check!(run(&["info", "a.txt", "nope", "--fields", "name,size"], On::Err), @"
    status 3
    --- out
    a.txt	5
    --- err
    ␛[1;31merror:␛[0m nope: no file with this id or name on local
    ␛[1;36mhint:␛[0m to list the files: `haul ls -p local`
    1 shown, 1 failed
    ");
    check!(run(&["info", "a.txt", "nope", "--fields", "name,size"], On::Out), @"
    status 3
    --- out
    name  a.txt
    size  5 bytes
    --- err
    error: nope: no file with this id or name on local
    hint: to list the files: `haul ls -p local`
    1 shown, 1 failed
    ");
}

#[test]
fn progress_bars_appear_only_on_a_terminal() {
    let env = Sandbox::new().with_var("HAUL_LEDGER", "off");
    env.write("a.txt", "a");
    check!(env.haul(["upload", "a.txt", "--progress", "always", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    ");
    check!(env.haul(["upload", "a.txt", "--progress", "never", "--fields", "name"]), @"
    status 0
    --- out
    a.txt
    ");
    let events = env.haul(["upload", "a.txt", "--progress", "json", "--json"]).ok();
    assert!(!events.errors().is_empty());
    events.json();
}

#[test]
fn names_are_escaped_with_color_and_raw_without() {
    let env = Sandbox::new();
    env.write("a\u{1b}]0;x\u{7}b", "");
    env.haul(["upload", "a\u{1b}]0;x\u{7}b"]).ok();
    let names = |color| env.haul(["ls", "--fields", "name", "--color", color]).ok().stdout();
    assert!(names("never").contains("a\u{1b}]0;x\u{7}b"));
    let escaped = names("always");
    assert!(!escaped.contains("\u{1b}]") && !escaped.contains('\u{7}'), "{escaped:?}");
}
