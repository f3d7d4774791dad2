//! Hostile file names: the files can be listed, inspected, downloaded, linked and deleted, nothing outside the chosen
//! folder changes, and no control character reaches a terminal.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::hostile::world::{
    Action, Dialect, FakeFile, Fetch, World, checked, dialects, fetch, plain, snapshot,
};
use crate::platforms::all;
use crate::support::terminal::On;

/// Names that are paths, control a terminal, or are invalid on some system; `root` is the sandbox of the test.
fn names(dialect: &Dialect, root: &str) -> Vec<String> {
    let long = "x".repeat(100_000);
    let deep = "d/".repeat(50_000);
    let wide = "语".repeat(33_000);
    let plain = [
        // Paths.
        "../outside/up",
        "../../../../../../../../../../tmp/haul-hostile-up",
        "..",
        ".",
        "../..",
        "/",
        "//",
        "sub/../../../outside/up",
        "..\\..\\outside\\up",
        "C:\\Windows\\system32\\evil.dll",
        "C:evil.dll",
        "\\\\host\\share\\evil",
        "file:///etc/passwd",
        "~/up",
        "a/./b//c",
        "...",
        ". .",
        // Control characters.
        "nul\0byte",
        "line\nerror: forged",
        "carriage\rreturn",
        "ansi\u{1b}[31mred\u{1b}[2J",
        "osc\u{1b}]0;title\u{7}",
        "osc8\u{1b}]8;;http://evil.example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
        "c1\u{9b}31m\u{9d}0;t\u{9c}",
        "bell\u{7}back\u{8}\u{8}space\u{7f}",
        "bidi\u{202e}fdp.exe",
        "isolate\u{2066}x\u{2069}\u{200e}\u{200f}\u{2028}\u{2029}",
        "tag\u{e0041}\u{feff}\u{200b}",
        // Empty, reserved or special names.
        "",
        " ",
        "-",
        "--",
        "-rf",
        "--version",
        "ends in dot.",
        "ends in space ",
        "CON",
        "nul.txt",
        "COM1.tar.gz",
        "aux .txt",
        "a:b*c?d\"e<f>g|h",
        "*",
        "[a]?",
        "%2e%2e%2fup",
        "$(touch up)`touch up`",
        "'; rm -rf . #",
        &long,
        &deep,
        &wide,
    ];
    let mut names: Vec<String> = plain.iter().map(|name| (*name).to_owned()).collect();
    names.push(format!("{root}/outside/up"));
    names.push(format!("..//{root}/outside/up"));
    names.push("x".repeat(300) + ".part");
    // The embedded store takes names from arguments, which cannot contain NUL, and refuses empty ones.
    names.retain(|name| dialect.replies.is_some() || !name.contains('\0') && !name.is_empty());
    names
}

fn world(dialect: &'static Dialect) -> World {
    // The names depend on the sandbox, which exists only now.
    let world = World::new(dialect, Vec::new());
    let file = |(number, name): (usize, &String)| FakeFile {
        size: name.len().to_string(),
        content: name.clone().into_bytes(),
        ..FakeFile::new(&format!("f{number:03}"), name)
    };
    world.set_files(
        names(dialect, &world.env.root().to_string_lossy()).iter().enumerate().map(file).collect(),
    );
    fs::create_dir(world.env.root().join("outside")).unwrap();
    fs::write(world.env.root().join("outside/existing"), "existing").unwrap();
    world
}

#[test]
fn hostile_names_are_shown_escaped_and_stay_in_the_folder() {
    for dialect in all().filter_map(|platform| platform.wire.ok()) {
        let world = world(dialect);
        let root = world.env.root().to_owned();
        let count = world.remaining_ids().len();
        let out = world.env.work().join("out");
        let before = snapshot(&root, &[out.clone(), world.env.home()]);
        let unchanged = |verb: &str| {
            let after = snapshot(&root, &[out.clone(), world.env.home()]);
            assert_eq!(before, after, "{} {verb}: an outside file has changed", dialect.provider);
        };

        let rows = world.haul(&["ls", "--json", "--fields", "id,name"]).ok().json();
        let listed: BTreeSet<_> = rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(listed, names(dialect, &root.to_string_lossy()).into_iter().collect(), "verbatim in JSON");
        let lines = world.haul(&["ls", "--fields", "id,name"]).ok().lines();
        assert_eq!(lines.len(), count, "one line per file: {}", dialect.provider);
        // A name that contains NUL is refused, because it would read as two.
        let split = names(dialect, "").iter().filter(|name| name.contains('\0')).count();
        let print0 = world.haul(&["ls", "--print0"]).fails(i32::from(split > 0));
        assert_eq!(print0.out.split(|byte| *byte == 0).count(), count - split + 1);
        world.terminal(&["ls", "--color", "always"]).ok();
        world.terminal(&["ls", "--print0"]);
        world.terminal(&["ls", "--long", "--json"]).ok();
        world.terminal(&["info", "*", "--color", "always"]).ok();
        world.terminal(&["info", "name:line\nerror: forged"]).ok();
        world.terminal(&["info", "name:no\u{1b}[31m\u{202e}such"]).fails(3);
        unchanged("ls and info");

        let got = world.haul(&["get", "*", "-o", "out/", "--json", "-j", "4"]);
        let saved = got.json();
        assert!(saved.len() > 40, "{got}");
        for row in &saved {
            let path = world.env.work().join(row["saved_to"].as_str().unwrap());
            let whole = fs::canonicalize(&path).unwrap();
            assert!(whole.starts_with(fs::canonicalize(&out).unwrap()), "{row}");
            assert_eq!(fs::read(&path).unwrap(), row["name"].as_str().unwrap().as_bytes(), "{row}");
            let shown = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!shown.contains(char::is_control), "{shown:?}");
        }
        let paths: BTreeSet<_> = saved.iter().map(|row| row["saved_to"].as_str().unwrap()).collect();
        assert_eq!(paths.len(), saved.len(), "every file has its own path");
        // The path of one file is too long for the system.
        let failed =
            got.errors().into_iter().filter_map(|line| line["error"]["message"].as_str().map(str::to_owned));
        let failed: Vec<String> = failed.collect();
        assert_eq!((failed.len(), saved.len()), (1, count - 1), "{failed:?}");
        assert!(failed.iter().all(|message| message.len() < 500 + root.as_os_str().len()), "{failed:?}");
        unchanged("get");
        world.terminal(&["get", "*", "-o", "out/", "--color", "always", "--skip-existing"]);
        unchanged("get again");

        if dialect.links {
            let made = world.haul(&["link", "*", "--yes", "--json"]).ok().json();
            assert_eq!(made.len(), count);
            world.terminal(&["link", "*", "--yes"]).ok();
        }
        world.terminal(&["rm", "*"]).fails(1);
        world.terminal(&["rm", "*", "--yes", "--color", "always"]).ok();
        assert_eq!(world.remaining_ids(), Vec::<String>::new());
        unchanged("rm");
    }
}

/// Bars and events show names. The bars move the cursor, so only sequences that they never write are checked.
#[test]
fn bars_and_events_show_names_escaped() {
    let name = "osc\u{1b}]0;title\u{7}\u{9b}2J\u{202e}fdp\u{1b}[2J";
    let world = World::with_override(
        plain(),
        vec![FakeFile::new("f1", name), FakeFile::new("f2", "n")],
        |action, _, _| {
            if matches!(action, Action::Content(_)) {
                // Longer than the delay of the bars.
                std::thread::sleep(std::time::Duration::from_millis(700));
            }
            None
        },
    );
    for how in ["always", "json"] {
        let mut command = world.env.command();
        command.args(["get", "*", "-o", "out/", "--overwrite", "--progress", how]);
        let run = checked(how, world.env.terminal_of(command, 100, "", On::All)).ok();
        let screen = run.stdout();
        assert!(screen.contains("osc"), "{how}: {run}");
        for bad in ["\u{1b}]", "\u{7}", "\u{9b}", "\u{202e}", "\u{1b}[2J"] {
            assert!(!screen.contains(bad), "{how} shows {bad:?}: {run}");
        }
    }
}

/// Distinct names with one local path: both files are saved, and their contents do not mix, with any option for existing
/// files.
#[test]
fn names_with_one_path_do_not_overwrite_each_other() {
    for (one, other) in [
        ("a/b", "a\\b"),
        ("x:y", "x?y"),
        ("same", "same"),
        ("n\u{1}", "n\u{2}"),
        ("../up", "up"),
        ("CON", "_CON"),
        ("n", "n.part"),
        ("n.part", "n"),
        ("n.part.json", "n"),
        ("n", "n.part.part"),
    ] {
        for option in ["--quiet", "--overwrite", "--skip-existing"] {
            let world = World::new(plain(), vec![FakeFile::new("f1", one), FakeFile::new("f2", other)]);
            let run =
                world.haul(&["get", "*", "-o", "out/", "--json", "--fields", "id,saved_to", option]).ok();
            let rows = run.json();
            assert_eq!(rows.len(), 2, "{one:?} {other:?}: {run}");
            for row in rows {
                let path = row["saved_to"].as_str().unwrap();
                assert_eq!(world.env.read(path), row["id"].as_str().unwrap().as_bytes(), "{run}");
            }
        }
    }
    // Names that differ only in case have separate paths; a file and a folder with the same name do not.
    let world = World::new(plain(), vec![FakeFile::new("f1", "README"), FakeFile::new("f2", "Readme")]);
    world.haul(&["get", "*", "-o", "out/"]).ok();
    assert_eq!(
        (world.env.read("out/README"), world.env.read("out/Readme")),
        (b"f1".to_vec(), b"f2".to_vec())
    );
    for names in [["d", "d/e"], ["d/e", "d"]] {
        let world = World::new(plain(), vec![FakeFile::new("f1", names[0]), FakeFile::new("f2", names[1])]);
        let run = world.haul(&["get", "*", "-o", "out/", "--overwrite", "-j", "1"]).fails(1);
        let saved = if names[0] == "d" { "out/d" } else { "out/d/e" };
        assert_eq!(world.env.read(saved), b"f1", "{run}");
    }
}

/// Symbolic links in the target folder: nothing is written through them.
#[test]
fn symbolic_links_are_not_followed_out_of_the_folder() {
    for dialect in dialects().filter(|dialect| fetch(dialect) == Fetch::Presigned).chain([plain()]) {
        for size in [3, 300_000] {
            for name in ["n", "sub/n", "sub/deep/n"] {
                let file = FakeFile {
                    content: vec![b'x'; size],
                    size: size.to_string(),
                    ..FakeFile::new("f1", name)
                };
                let world = World::new(dialect, vec![file]);
                let outside = world.env.root().join("outside");
                fs::create_dir(&outside).unwrap();
                for file in ["target", "part", "note"] {
                    fs::write(outside.join(file), "unchanged").unwrap();
                }
                let out = world.env.work().join("out");
                fs::create_dir(&out).unwrap();
                symlink(&outside, out.join("sub")).unwrap();
                symlink(outside.join("target"), out.join("n")).unwrap();
                symlink(outside.join("part"), out.join("n.part")).unwrap();
                symlink(outside.join("note"), out.join("n.part.json")).unwrap();
                let before = snapshot(&outside, &[]);
                for option in ["--quiet", "--overwrite", "--skip-existing", "--no-resume"] {
                    let run = world.haul(&["get", "id:f1", "-o", "out/", option]);
                    assert!(matches!(run.status, 0 | 1), "{run}");
                    assert_eq!(snapshot(&outside, &[]), before, "{name} {option}: {run}");
                }
                // Links whose target does not exist.
                fs::remove_file(out.join("n.part")).unwrap();
                fs::remove_file(out.join("n.part.json")).unwrap();
                symlink(outside.join("new"), out.join("n.part")).unwrap();
                let run = world.haul(&["get", "id:f1", "-o", "out/", "--overwrite"]);
                assert_eq!(run.status, i32::from(name != "n"), "{run}");
                assert_eq!(fs::read_link(out.join("n.part")).unwrap(), outside.join("new"), "foreign");
                assert_eq!(snapshot(&outside, &[]), before, "{name}: {run}");
                fs::remove_file(out.join("n.part")).unwrap();
                symlink(outside.join("new"), out.join("n.part.json")).unwrap();
                let run = world.haul(&["get", "id:f1", "-o", "out/", "--overwrite"]);
                assert_eq!(run.status, i32::from(name != "n"), "{run}");
                assert_eq!(snapshot(&outside, &[]), before, "{name}: {run}");
                if name == "n" {
                    // The link itself was replaced.
                    assert!(!out.join("n").symlink_metadata().unwrap().is_symlink());
                    assert_eq!(fs::read(out.join("n")).unwrap().len(), size);
                }
            }
        }
    }
}
