//! Full disks, unwritable folders, and files that change or disappear while they are read: errors name the file, and no
//! incomplete file remains under its name.

use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use crate::hostile::served::Served;
use crate::hostile::world::{Action, FakeFile, World, checked, dialects, json_answer, plain};
use crate::support::rig::Case;
use crate::support::sandbox::{HAUL, Run, Sandbox};
use crate::support::server::{Listener, Request};

/// Runs haul with a limit on the size of files, in KiB.
fn limited(env: &Sandbox, kib: u32, arguments: &str) -> Run {
    let line = format!("trap '' XFSZ; ulimit -f {kib}; exec '{HAUL}' {arguments}");
    checked(arguments, env.run(env.program("bash").args(["-c", &line])))
}

/// A file system of one MiB.
struct Disk(PathBuf);

impl Disk {
    /// Mounts it, or returns `None` if this user cannot mount. Panics if root in CI cannot.
    fn new(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "haul-tests"]).arg(&at).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        let must_be = rustix::process::geteuid().is_root() && std::env::var_os("CI").is_some();
        assert!(is_mounted || !must_be, "no disk can be mounted");
        is_mounted.then_some(Self(at))
    }

    /// Fills it up.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("fill")).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_download_continues_after_a_full_disk() {
    for dialect in dialects() {
        let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        let file = FakeFile {
            size: content.len().to_string(),
            content: content.clone(),
            ..FakeFile::new("f1", "big")
        };
        let world = World::new(dialect, vec![file, FakeFile::new("f2", "small")]);
        let run = limited(&world.env, 1024, "get '*' -o out/").fails(1);
        let errors: Vec<_> =
            run.stderr().lines().filter(|line| line.starts_with("error:")).map(str::to_owned).collect();
        assert_eq!(errors, ["error: out/big.part: cannot write"], "{run}");
        assert!(
            run.stderr().contains("File too large") && run.stderr().contains("1 downloaded, 1 failed"),
            "{run}"
        );
        let out = world.env.work().join("out");
        assert!(!out.join("big").exists(), "no incomplete file under the name");
        assert_eq!(world.env.read("out/small"), b"f2");
        // With space again, the same command completes the download.
        world.haul(&["get", "*", "-o", "out/", "--skip-existing"]).ok();
        assert!(world.env.read("out/big") == content, "{}", dialect.provider);
        let mut left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["big", "small"]);
    }
}

#[test]
fn commands_report_a_disk_without_space() {
    let content: Vec<u8> = vec![7; 3 << 20];
    let file = FakeFile { size: content.len().to_string(), content, ..FakeFile::new("f1", "big") };
    let world = World::new(plain(), vec![file]);
    let Some(disk) = Disk::new(world.env.work().join("disk")) else { return };
    let run = world.haul(&["get", "id:f1", "-o", "disk/"]).fails(1);
    assert!(run.stderr().starts_with("error: disk/big.part: cannot write"), "{run}");
    assert!(run.stderr().contains("No space left on device"), "{run}");
    assert!(!disk.0.join("big").exists());
    // On the full disk, commands that require a file fail, and commands that only keep a record succeed.
    fs::write(world.env.work().join("up"), "up").unwrap();
    let full = disk.0.to_str().unwrap();
    let run = world.haul(&["ls", "--ids"]).ok();
    assert_eq!(run.lines(), ["f1"]);
    let mut local_upload = world.env.command();
    local_upload
        .env("HAUL_HOME", disk.0.join("home"))
        .args(["-p", "local", "upload", "up"])
        .env("HAUL_DIALECT", "auto")
        .env_remove("HAUL_BASE_URL")
        .env_remove("HAUL_TOKEN");
    let run = checked("local on a full disk", world.env.run(&mut local_upload)).fails(1);
    assert!(
        run.stderr().contains(full) || run.stderr().contains("full") || run.stderr().contains("No space"),
        "{run}"
    );
    let report = world.haul(&["rm", "id:f1", "--report", "/dev/full"]);
    assert_eq!(report.status, 1, "{report}");
    assert!(report.stderr().contains("/dev/full: cannot write the report"), "{report}");
}

#[test]
fn a_full_disk_does_not_damage_the_store() {
    let env = Sandbox::new();
    env.write("small", "small");
    env.write("big", vec![7; 3 << 20]);
    env.haul(["upload", "small"]).ok();
    let run = limited(&env, 1024, "upload big small").fails(1);
    assert!(run.stderr().contains("File too large"), "{run}");
    let rows = env.haul(["ls", "--jsonl", "--fields", "name,size"]).ok().jsonl();
    assert!(rows.iter().all(|row| row["name"] == "small"), "{rows:?}");
    assert_eq!(rows.len(), 2, "the other files are uploaded: {run}");
    assert_eq!(
        fs::read_dir(env.store().join("incoming")).unwrap().count(),
        0,
        "no incomplete content is kept"
    );
    env.haul(["upload", "big"]).ok();
    assert_eq!(env.haul(["get", "big", "-o", "-"]).ok().out, vec![7; 3 << 20]);

    // No space for the index.
    let env = Sandbox::new();
    env.write("small", "small");
    let run = limited(&env, 8, "upload small");
    assert_eq!(run.status, 1, "{run}");
    env.haul(["upload", "small"]).ok();
    assert_eq!(env.ids().len(), 1);
}

#[test]
fn a_store_on_a_full_disk_is_read_and_emptied() {
    let mut env = Sandbox::new();
    let Some(disk) = Disk::new(env.work().join("disk")) else { return };
    let home = disk.0.join("home");
    env.set("HAUL_HOME", home.to_str().unwrap());
    for name in ["a", "b", "c"] {
        env.write(name, name);
        env.haul(["upload", name]).ok();
    }
    env.haul(["link", "c"]).ok();
    disk.fill();
    assert_eq!(env.haul(["ls", "--fields", "name"]).ok().lines(), ["c", "b", "a"]);
    assert_eq!(env.haul(["get", "a", "-o", "-"]).ok().out, b"a");
    for arguments in [&["upload", "a"][..], &["meta", "set", "a", "k=v"]] {
        let run = checked(&format!("{arguments:?}"), env.haul(arguments)).fails(1);
        assert!(run.stderr().contains("No space left on device"), "{run}");
    }
    // Each deletion uses the reserve of the store and restores it.
    env.haul(["rm", "a", "--yes"]).ok();
    disk.fill();
    env.haul(["rm", "b", "c", "--yes"]).ok();
    assert!(env.haul(["ls", "--ids"]).ok().out.is_empty());
    for folder in ["blobs", "links"] {
        let left =
            Command::new("find").arg(home.join("data/store").join(folder)).args(["-type", "f"]).output();
        assert!(left.unwrap().stdout.is_empty(), "{folder}");
    }
    fs::remove_file(disk.0.join("fill")).unwrap();
    env.haul(["upload", "a"]).ok();
    assert!(home.join("data/store/reserve").exists());
}

/// A command fails without space for its output, but not without space for the ledger.
#[test]
fn uploads_succeed_without_space_for_the_ledger() {
    let served = Served::start(plain().provider, &[]);
    for number in 0..5 {
        served.env.write(format!("docs/{number}"), "content");
    }
    let run = limited(&served.env, 0, "upload -r docs --if-exists skip").ok();
    assert_eq!(run.stderr().matches("uploads by this command will not be recorded").count(), 1, "{run}");
    assert_eq!(run.lines().len(), 5, "{run}");
    assert_eq!(served.names().len(), 5);
    let run = limited(&served.env, 0, "upload -r docs --report r.jsonl").fails(1);
    assert!(run.stderr().contains("r.jsonl: cannot write the report"), "{run}");
}

#[test]
fn unwritable_folders_are_reported() {
    let served = Served::start(plain().provider, &[]);
    let env = &served.env;
    env.write("up", "up");
    served.haul(&["upload", "up"]).ok();
    fs::create_dir(env.work().join("closed")).unwrap();
    env.open_to_all();
    fs::set_permissions(env.work().join("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(env.home(), fs::Permissions::from_mode(0o555)).unwrap();
    let unprivileged =
        |arguments: &[&str]| checked(&format!("{arguments:?}"), env.run(&mut env.unprivileged(arguments)));
    for (arguments, said) in [
        (&["get", "up", "-o", "closed/"][..], "closed/up.part: cannot write"),
        (&["get", "up", "-o", "closed/sub/"], "closed/sub: cannot create the directory"),
        (&["get", "up", "-o", "got", "--report", "closed/r"], "closed/r: cannot write the report"),
    ] {
        let run = unprivileged(arguments).fails(1);
        assert!(run.stderr().contains(said) && run.stderr().contains("Permission denied"), "{run}");
    }
    assert_eq!(fs::read_dir(env.work().join("closed")).unwrap().count(), 0);
    // With an unwritable home, commands on platforms succeed; the store and the settings report it.
    assert_eq!(unprivileged(&["ls", "--ids"]).ok().lines().len(), 1);
    unprivileged(&["upload", "up", "--if-exists", "skip"]).ok();
    unprivileged(&["get", "up", "--latest", "-o", "got"]).ok();
    for arguments in [
        &["upload", "-p", "local", "up"][..],
        &["ls", "-p", "local"],
        &["profile", "add", "work", "--provider", plain().provider],
        &["profile", "default", plain().provider],
    ] {
        let run = unprivileged(arguments);
        assert!(matches!(run.status, 1 | 2), "{arguments:?}: {run}");
        assert!(
            run.stderr().contains(&env.home().display().to_string())
                || run.stderr().contains("[box]")
                || run.stderr().contains("home/"),
            "{run}"
        );
    }
}

/// A server that calls `change` after the first 100,000 bytes of an upload, then reads the rest. It sends the number of
/// received bytes and whether the body was complete.
fn server_with_change(change: impl Fn() + Send + Sync + 'static) -> (Listener, mpsc::Receiver<(u64, bool)>) {
    let (sender, received) = mpsc::channel();
    let listener = Listener::new(move |mut stream| {
        let length = Request::read_head(&mut stream).unwrap().unwrap().length();
        let mut first = vec![0; 100_000];
        stream.read_exact(&mut first).unwrap();
        change();
        let rest =
            std::io::copy(&mut (&mut stream).take(length - 100_000), &mut std::io::sink()).unwrap_or(0);
        let whole = rest + 100_000 == length;
        sender.send((rest + 100_000, whole)).unwrap();
        if whole {
            let body = plain().file(&FakeFile { size: "null".to_owned(), ..FakeFile::new("f1", "big") });
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.read(&mut [0]);
        }
    });
    (listener, received)
}

/// Larger than all buffers between the reader and the server.
const LARGE: usize = 40 << 20;

#[test]
fn a_file_changed_during_its_upload_is_never_sent_whole() {
    type Change = fn(&Path);
    let cases: [(&str, Change, bool); 6] = [
        ("cut", |path| fs::File::options().write(true).open(path).unwrap().set_len(200_000).unwrap(), false),
        ("emptied", |path| fs::write(path, "").unwrap(), false),
        (
            "grown",
            |path| fs::File::options().append(true).open(path).unwrap().write_all(b"more").unwrap(),
            false,
        ),
        (
            "written again",
            |path| {
                let mut file = fs::File::options().write(true).open(path).unwrap();
                file.write_all(b"other").unwrap();
                // Ensures a later time on file systems with coarse timestamps.
                file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(2)).unwrap();
            },
            false,
        ),
        // The open file keeps its content.
        ("deleted", |path| fs::remove_file(path).unwrap(), true),
        (
            "replaced",
            |path| {
                fs::write(path.with_extension("new"), "another").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            },
            true,
        ),
    ];
    for (what, change, arrives) in cases {
        let mut env = Sandbox::new();
        let path = env.write("big", vec![7; LARGE]);
        let (listener, received) = server_with_change(move || change(&path));
        let base = format!("http://{}{}", listener.address, plain().replies().base);
        env.use_platform(&Case::of(plain().provider, "auto"), &base, "any");
        env.set("HAUL_RETRIES", "0");
        let run = checked(what, env.haul(["upload", "big"]));
        let (count, whole) = received.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        assert_eq!(whole, arrives, "{what}: {count} bytes received: {run}");
        assert_eq!(run.status, i32::from(!arrives), "{what}: {run}");
        if !arrives {
            assert!(run.stderr().contains("big: changed during the upload"), "{what}: {run}");
        }
    }
}

#[test]
fn a_file_deleted_before_its_upload_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let docs = ["1", "2", "3"].map(|name| folder.path().join(name));
    for path in &docs {
        fs::write(path, "content").unwrap();
    }
    let second = docs[1].clone();
    let world = World::with_override(plain(), Vec::new(), move |_, number, seen| {
        // During the upload of the first file.
        if number == 0 {
            fs::remove_file(&second).unwrap();
        }
        let file =
            plain().file(&FakeFile { size: "null".to_owned(), ..FakeFile::new(&format!("f{number}"), "n") });
        seen.head.starts_with("POST").then(|| json_answer(200, file))
    });
    let words: Vec<&str> = docs.iter().map(|path| path.to_str().unwrap()).collect();
    let run = world.haul(&[&["upload", "-j", "1"], words.as_slice()].concat()).fails(3);
    assert!(run.stderr().contains("/2: no such file or directory"), "{run}");
    assert!(run.stderr().contains("2 uploaded, 1 failed"), "{run}");
    assert_eq!(world.request_count("POST"), 2);
}

#[test]
fn a_file_deleted_after_the_listing_is_reported() {
    for dialect in dialects() {
        let files = || vec![FakeFile::new("f1", "a"), FakeFile::new("f2", "b"), FakeFile::new("f3", "c")];
        let gone = |action: &Action| match action {
            Action::Stat(id) | Action::Content(id) | Action::Link(id) | Action::Delete(id) => id == "f2",
            _ => false,
        };
        let world = World::with_override(dialect, files(), move |action, _, _| {
            gone(action).then(|| json_answer(404, r#"{"detail":"no such file"}"#))
        });
        let run = world.haul(&["get", "*", "-o", "out/", "-j", "1"]).fails(3);
        assert!(run.stderr().contains("2 downloaded, 1 failed"), "{run}");
        assert_eq!((world.env.read("out/a"), world.env.read("out/c")), (b"f1".to_vec(), b"f3".to_vec()));
        assert_eq!(
            fs::read_dir(world.env.work().join("out")).unwrap().count(),
            2,
            "no file for the deleted one"
        );
        let run = world.haul(&["rm", "*", "--yes", "-j", "1"]).fails(3);
        assert!(run.stderr().contains("2 deleted, 1 failed"), "{run}");
        assert_eq!(world.remaining_ids(), ["f2"], "{}", dialect.provider);
    }
}
