//! Targets of downloads: foreign files, symbolic links, devices and pipes are preserved.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::sandbox::Sandbox;

/// Sizes of a small and of a large file.
const SIZES: [usize; 2] = [5, 700_000];

/// An environment with a file `new` of this size in the store.
fn with_file(size: usize) -> (Sandbox, Vec<u8>) {
    let env = Sandbox::new();
    let content: Vec<u8> =
        (0..).map(|number: u32| number.to_le_bytes()[number as usize % 3]).take(size).collect();
    env.write("new", &content);
    env.haul(["upload", "new"]).ok();
    fs::remove_file(env.work().join("new")).unwrap();
    (env, content)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn foreign_files_are_preserved() {
    for size in SIZES {
        let (env, content) = with_file(size);
        for (name, text) in [
            ("d/new.part", "mine"),
            ("d/new.part.json", "{}"),
            ("d/new.2.part.json", "mine"),
            ("d/new.3.part", ""),
        ] {
            env.write(name, text);
        }
        for wish in ["--quiet", "--overwrite", "--no-resume"] {
            env.haul(["get", "new", "-o", "d/", wish]).ok();
            assert!(env.read("d/new") == content);
            fs::remove_file(env.work().join("d/new")).unwrap();
        }
        let left = [env.read("d/new.part"), env.read("d/new.part.json"), env.read("d/new.2.part.json")];
        assert_eq!(left, [&b"mine"[..], b"{}", b"mine"]);
        assert_eq!(fs::read_dir(env.work().join("d")).unwrap().count(), 4);
    }
}

#[test]
fn overwriting_keeps_the_mode() {
    for size in SIZES {
        let (env, content) = with_file(size);
        let path = env.write("exe", "old");
        for bits in [0o755, 0o600, 0o444, 0o4755, 0o2711, 0o1640] {
            set_mode(&path, bits);
            let before = fs::metadata(&path).unwrap();
            env.haul(["get", "new", "-o", "exe", "--overwrite"]).ok();
            assert!(env.read("exe") == content);
            assert_eq!(mode(&path), bits);
            let after = fs::metadata(&path).unwrap();
            assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
            assert_ne!(after.ino(), before.ino(), "replaced in one step");
        }
        // A new file has the mode given by the umask.
        env.shell("umask 027; haul get new -o other -q").ok();
        assert_eq!(mode(&env.work().join("other")), 0o640);
    }
}

#[test]
fn overwriting_keeps_the_owner() {
    let (env, content) = with_file(5);
    let path = env.write("theirs", "old");
    if std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).is_err() {
        return;
    }
    set_mode(&path, 0o640);
    env.haul(["get", "new", "-o", "theirs", "--overwrite"]).ok();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((env.read("theirs"), found.uid(), found.gid()), (content, 65_534, 65_534));
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn named_links_are_followed() {
    for size in SIZES {
        let (env, content) = with_file(size);
        env.write("real/target", "old");
        set_mode(&env.work().join("real/target"), 0o751);
        symlink("real/target", env.work().join("relative")).unwrap();
        symlink(env.work().join("relative"), env.work().join("absolute")).unwrap();
        env.haul(["get", "new", "-o", "absolute"]).fails(1);
        env.haul(["get", "new", "-o", "absolute", "--skip-existing"]).ok();
        assert_eq!(env.read("real/target"), b"old");
        env.haul(["get", "new", "-o", "absolute", "--overwrite"]).ok();
        assert!(env.read("real/target") == content);
        assert_eq!(mode(&env.work().join("real/target")), 0o751);
        for link in ["relative", "absolute"] {
            assert!(env.work().join(link).is_symlink());
        }
        // A dangling link.
        symlink("real/made", env.work().join("dangling")).unwrap();
        env.haul(["get", "new", "-o", "dangling", "--overwrite"]).ok();
        assert!(env.read("real/made") == content);
        assert!(env.work().join("dangling").is_symlink());
        assert_eq!(fs::read_dir(env.work().join("real")).unwrap().count(), 2, "nothing else is left there");
    }
    let (env, content) = with_file(5);
    symlink("nowhere/made", env.work().join("lost")).unwrap();
    env.haul(["get", "new", "-o", "lost", "--overwrite"]).fails(3);
    assert!(!env.work().join("nowhere").exists());
    symlink("circle", env.work().join("circle")).unwrap();
    for wish in ["--quiet", "--overwrite"] {
        let run = env.haul(["get", "new", "-o", "circle", wish]).fails(1);
        assert_eq!(
            run.stderr(),
            "error: circle: cannot write\ncaused by: too many levels of symbolic links\n"
        );
    }
    fs::create_dir(env.work().join("folder")).unwrap();
    symlink("folder", env.work().join("to-folder")).unwrap();
    env.haul(["get", "new", "-o", "to-folder"]).ok();
    assert_eq!(env.read("folder/new"), content);
}

#[test]
fn devices_are_written_in_place() {
    let (env, content) = with_file(700_000);
    for wish in ["--quiet", "--overwrite", "--no-resume"] {
        env.haul(["get", "new", "-o", "/dev/null", wish]).ok();
    }
    symlink("/dev/null", env.work().join("link")).unwrap();
    env.haul(["get", "new", "-o", "link"]).ok();
    assert!(env.work().join("link").is_symlink());
    let run = env.haul(["get", "new", "-o", "/dev/full"]).fails(1);
    assert!(run.stderr().starts_with("error: /dev/full: cannot write\ncaused by: No space left"), "{run}");
    let device = env.work().join("null");
    if env.shell("mknod null c 1 3").status == 0 {
        for wish in ["--quiet", "--overwrite"] {
            env.haul(["get", "new", "-o", "null", wish]).ok();
            assert!(fs::symlink_metadata(&device).unwrap().file_type().is_char_device());
        }
    }
    // An open descriptor is appended to; standard output receives only the bytes.
    let run = env.shell("echo first > log; haul get new -o /dev/fd/3 3>> log > rows; cat log");
    assert!(run.ok().out == [b"first\n", &content[..]].concat());
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        assert!(env.shell(&format!("haul get new -o {name} | cat")).ok().out == content);
        let run = env.shell(&format!("echo first > log; haul get new -o {name} >> log; cat log"));
        assert!(run.ok().out == [b"first\n", &content[..]].concat());
    }
}

#[test]
fn pipes_are_written_in_place() {
    let (env, content) = with_file(700_000);
    env.shell("mkfifo pipe").ok();
    let pipe = env.work().join("pipe");
    for wish in ["--quiet", "--overwrite"] {
        let reader = {
            let pipe = pipe.clone();
            thread::spawn(move || fs::read(pipe).unwrap())
        };
        env.haul(["get", "new", "-o", "pipe", wish]).ok();
        assert!(reader.join().unwrap() == content);
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    }
    // If the reader closes the pipe early, the download fails.
    let reader = {
        let pipe = pipe.clone();
        thread::spawn(move || fs::File::open(pipe).unwrap().read_exact(&mut [0; 10]).unwrap())
    };
    let run = env.haul(["get", "new", "-o", "pipe"]).fails(1);
    assert!(run.stderr().contains("pipe: cannot write") && run.stderr().contains("Broken pipe"), "{run}");
    reader.join().unwrap();
    // Without a reader, Ctrl-C still works.
    let mut command = env.interruptible();
    command.args(["get", "new", "-o", "pipe"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    thread::sleep(Duration::from_secs(2));
    let begun = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn sockets_and_unnamed_pipes_are_refused() {
    let (env, _) = with_file(5);
    let _socket = UnixListener::bind(env.work().join("socket")).unwrap();
    for wish in ["--quiet", "--overwrite"] {
        let run = env.haul(["get", "new", "-o", "socket", wish]).fails(1);
        assert_eq!(run.stderr(), "error: socket: cannot write\ncaused by: is a socket\n");
    }
    // A name from the server does not select a pipe.
    env.shell("mkdir out; mkfifo out/new").ok();
    for wish in ["--quiet", "--overwrite", "--dry-run"] {
        let run = env.haul(["get", "new", "-o", "out/", wish]).fails(1);
        assert_eq!(run.stderr(), "error: out/new: is a pipe\nhint: choose another path: `-o FILE`\n");
    }
    env.haul(["get", "new", "-o", "out/", "--skip-existing"]).ok();
    assert!(fs::symlink_metadata(env.work().join("out/new")).unwrap().file_type().is_fifo());
}

#[test]
fn reports_append_to_special_files() {
    let (env, _) = with_file(5);
    env.write("a.txt", "a");
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let line =
            format!("echo first > log; haul upload a.txt -q --fields name --report {name} >> log; cat log");
        let lines = env.shell(&line).ok().lines();
        assert_eq!(lines[0], "first");
        assert!(lines[1..].iter().any(|line| line.contains("\"outcome\":\"done\"")), "{lines:?}");
    }
    // Rows and report share the file, so neither overwrites the other.
    env.write("b.txt", "b");
    for line in ["haul upload a.txt -q --report - > log", "haul upload b.txt --report /dev/stderr > log 2>&1"]
    {
        let lines = env.shell(&format!("{line}; cat log; ls ./-")).fails(2).lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("\"outcome\":\"done\"")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(".txt\t")), "{lines:?}");
    }
    assert!(env.shell("haul upload a.txt --report /dev/stdout | cat").ok().stdout().contains("\"outcome\""));
    env.haul(["upload", "a.txt", "--report", "/dev/null"]).ok();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    // A regular file is truncated, also through a link.
    env.write("report", "old\n");
    symlink("report", env.work().join("link")).unwrap();
    env.haul(["upload", "a.txt", "--report", "link"]).ok();
    assert_eq!(String::from_utf8(env.read("report")).unwrap().lines().count(), 1);
    assert!(env.work().join("link").is_symlink());
}
