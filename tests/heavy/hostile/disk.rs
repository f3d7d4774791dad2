//! Disks that are full, folders that cannot be written to, and files that change or go while they are read: each is told
//! by its name, and what is there afterwards is whole or is not there.

use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use crate::hostile::served::Served;
use crate::hostile::world::{Ask, Told, World, dialects, json_answer, plain, sane};
use crate::support::rig::Case;
use crate::support::sandbox::{HAUL, Run, Sandbox};
use crate::support::server::{Listener, Request};

/// Runs haul where no file can grow beyond so many KiB.
fn limited(env: &Sandbox, kib: u32, arguments: &str) -> Run {
    let line = format!("trap '' XFSZ; ulimit -f {kib}; exec '{HAUL}' {arguments}");
    sane(arguments, env.run(env.program("bash").args(["-c", &line])))
}

/// A disk of one MiB; None where this user cannot have one.
struct Disk(PathBuf);

impl Disk {
    fn new(at: PathBuf) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "haul-tests"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_a_download_nothing_but_time() {
    for dialect in dialects() {
        let content: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
        let told =
            Told { size: content.len().to_string(), content: content.clone(), ..Told::new("f1", "big") };
        let world = World::new(dialect, vec![told, Told::new("f2", "small")]);
        let run = limited(&world.env, 1024, "get '*' -o out/").fails(1);
        let errors: Vec<_> =
            run.stderr().lines().filter(|line| line.starts_with("error:")).map(str::to_owned).collect();
        assert_eq!(errors, ["error: out/big.part: cannot write"], "{run}");
        assert!(
            run.stderr().contains("File too large") && run.stderr().contains("1 downloaded, 1 failed"),
            "{run}"
        );
        let out = world.env.work().join("out");
        assert!(!out.join("big").exists(), "not even a part has the name");
        assert_eq!(world.env.read("out/small"), b"f2");
        // With room again the same command ends what it began.
        world.haul(&["get", "*", "-o", "out/", "--skip-existing"]).ok();
        assert!(world.env.read("out/big") == content, "{}", dialect.provider);
        let mut left: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["big", "small"]);
    }
}

#[test]
fn a_disk_without_room_for_a_byte() {
    let content: Vec<u8> = vec![7; 3 << 20];
    let told = Told { size: content.len().to_string(), content, ..Told::new("f1", "big") };
    let world = World::new(plain(), vec![told]);
    let Some(disk) = Disk::new(world.env.work().join("disk")) else {
        assert!(
            !rustix::process::geteuid().is_root() || std::env::var_os("CI").is_none(),
            "no disk can be mounted"
        );
        return;
    };
    let run = world.haul(&["get", "id:f1", "-o", "disk/"]).fails(1);
    assert!(run.stderr().starts_with("error: disk/big.part: cannot write"), "{run}");
    assert!(run.stderr().contains("No space left on device"), "{run}");
    assert!(!disk.0.join("big").exists());
    // The disk is full now. What needs a file on it says so; what only keeps a note there goes on without.
    fs::write(world.env.work().join("up"), "up").unwrap();
    let full = disk.0.to_str().unwrap();
    let run = world.haul(&["ls", "--ids"]).ok();
    assert_eq!(run.lines(), ["f1"]);
    let mut on_it = world.env.command();
    on_it
        .env("HAUL_HOME", disk.0.join("home"))
        .args(["-p", "local", "upload", "up"])
        .env("HAUL_DIALECT", "auto")
        .env_remove("HAUL_BASE_URL")
        .env_remove("HAUL_TOKEN");
    let run = sane("local on a full disk", world.env.run(&mut on_it)).fails(1);
    assert!(
        run.stderr().contains(full) || run.stderr().contains("full") || run.stderr().contains("No space"),
        "{run}"
    );
    let report = world.haul(&["rm", "id:f1", "--report", "/dev/full"]);
    assert_eq!(report.status, 1, "{report}");
    assert!(report.stderr().contains("/dev/full: cannot write the report"), "{report}");
}

#[test]
fn a_full_disk_leaves_the_store_as_it_was() {
    let env = Sandbox::new();
    env.write("small", "small");
    env.write("big", vec![7; 3 << 20]);
    env.haul(["upload", "small"]).ok();
    let run = limited(&env, 1024, "upload big small").fails(1);
    assert!(run.stderr().contains("File too large"), "{run}");
    let rows = env.haul(["ls", "--jsonl", "--fields", "name,size"]).ok().jsonl();
    assert!(rows.iter().all(|row| row["name"] == "small"), "{rows:?}");
    assert_eq!(rows.len(), 2, "the others go on: {run}");
    assert_eq!(fs::read_dir(env.store().join("incoming")).unwrap().count(), 0, "nothing half is kept");
    env.haul(["upload", "big"]).ok();
    assert_eq!(env.haul(["get", "big", "-o", "-"]).ok().out, vec![7; 3 << 20]);

    // No room for the index either.
    let env = Sandbox::new();
    env.write("small", "small");
    let run = limited(&env, 8, "upload small");
    assert_eq!(run.status, 1, "{run}");
    env.haul(["upload", "small"]).ok();
    assert_eq!(env.ids().len(), 1);
}

/// What a command only remembers with (the journal, hashes) is no reason to fail; what it was told to write is.
#[test]
fn a_full_disk_under_the_notes_of_an_upload() {
    let served = Served::start(plain().provider, &[]);
    for number in 0..5 {
        served.env.write(format!("docs/{number}"), "content");
    }
    let run = limited(&served.env, 0, "upload -r docs --if-exists skip").ok();
    assert_eq!(run.lines().len(), 5, "{run}");
    assert_eq!(served.names().len(), 5);
    let run = limited(&served.env, 0, "upload -r docs --report r.jsonl").fails(1);
    assert!(run.stderr().contains("r.jsonl: cannot write the report"), "{run}");
}

#[test]
fn folders_that_cannot_be_written_to() {
    let served = Served::start(plain().provider, &[]);
    let env = &served.env;
    env.write("up", "up");
    served.haul(&["upload", "up"]).ok();
    fs::create_dir(env.work().join("closed")).unwrap();
    env.open_to_all();
    fs::set_permissions(env.work().join("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(env.home(), fs::Permissions::from_mode(0o555)).unwrap();
    let nobody =
        |arguments: &[&str]| sane(&format!("{arguments:?}"), env.run(&mut env.unprivileged(arguments)));
    for (arguments, said) in [
        (&["get", "up", "-o", "closed/"][..], "closed/up.part: cannot write"),
        (&["get", "up", "-o", "closed/sub/"], "closed/sub: cannot create the directory"),
        (&["get", "up", "-o", "got", "--report", "closed/r"], "closed/r: cannot write the report"),
    ] {
        let run = nobody(arguments).fails(1);
        assert!(run.stderr().contains(said) && run.stderr().contains("Permission denied"), "{run}");
    }
    assert_eq!(fs::read_dir(env.work().join("closed")).unwrap().count(), 0);
    // A home that cannot be written to: platforms do without, the store and the settings say so.
    assert_eq!(nobody(&["ls", "--ids"]).ok().lines().len(), 1);
    nobody(&["upload", "up", "--if-exists", "skip"]).ok();
    nobody(&["get", "up", "--latest", "-o", "got"]).ok();
    for arguments in [
        &["upload", "-p", "local", "up"][..],
        &["ls", "-p", "local"],
        &["profile", "add", "work", "--provider", plain().provider],
        &["profile", "default", plain().provider],
    ] {
        let run = nobody(arguments);
        assert!(matches!(run.status, 1 | 2), "{arguments:?}: {run}");
        assert!(
            run.stderr().contains(&env.home().display().to_string())
                || run.stderr().contains("[box]")
                || run.stderr().contains("home/"),
            "{run}"
        );
    }
}

/// A server that has a file changed when so much of an upload has come; then it reads on. Tells how much of the body
/// came, and whether that was all of it.
fn meddling(change: impl Fn() + Send + Sync + 'static) -> (Listener, mpsc::Receiver<(u64, bool)>) {
    let (tell, told) = mpsc::channel();
    let listener = Listener::new(move |mut stream| {
        let length = Request::read_head(&mut stream).unwrap().unwrap().length();
        let mut first = vec![0; 100_000];
        stream.read_exact(&mut first).unwrap();
        change();
        let rest =
            std::io::copy(&mut (&mut stream).take(length - 100_000), &mut std::io::sink()).unwrap_or(0);
        let whole = rest + 100_000 == length;
        tell.send((rest + 100_000, whole)).unwrap();
        if whole {
            let body = plain().file(&Told { size: "null".to_owned(), ..Told::new("f1", "big") });
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.read(&mut [0]);
        }
    });
    (listener, told)
}

/// More than the sockets and the buffers between reader and server hold.
const LARGE: usize = 40 << 20;

#[test]
fn a_file_that_changes_on_its_way_up_never_arrives_as_a_whole_one() {
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
                // Coarse clocks: as a later writer would leave it.
                file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(2)).unwrap();
            },
            false,
        ),
        // What was opened is still there, and is what was meant when the command was typed.
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
        let (listener, told) = meddling(move || change(&path));
        let base = format!("http://{}{}", listener.address, plain().replies().base);
        env.use_platform(&Case::of(plain().provider, "auto"), &base, "any");
        env.set("HAUL_RETRIES", "0");
        let run = sane(what, env.haul(["upload", "big"]));
        let (came, whole) = told.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        assert_eq!(whole, arrives, "{what}: {came} bytes came: {run}");
        assert_eq!(run.status, i32::from(!arrives), "{what}: {run}");
        if !arrives {
            assert!(run.stderr().contains("big: changed during the upload"), "{what}: {run}");
        }
    }
}

#[test]
fn a_file_that_goes_before_its_turn_is_told_and_the_others_go_up() {
    let folder = tempfile::tempdir().unwrap();
    let docs = ["1", "2", "3"].map(|name| folder.path().join(name));
    for path in &docs {
        fs::write(path, "content").unwrap();
    }
    let second = docs[1].clone();
    let world = World::twisted(plain(), Vec::new(), move |_, number, seen| {
        // While the first is on its way.
        if number == 0 {
            fs::remove_file(&second).unwrap();
        }
        let file = plain().file(&Told { size: "null".to_owned(), ..Told::new(&format!("f{number}"), "n") });
        seen.head.starts_with("POST").then(|| json_answer(200, file))
    });
    let words: Vec<&str> = docs.iter().map(|path| path.to_str().unwrap()).collect();
    let run = world.haul(&[&["upload", "-j", "1"], words.as_slice()].concat()).fails(3);
    assert!(run.stderr().contains("/2: no such file or directory"), "{run}");
    assert!(run.stderr().contains("2 uploaded, 1 failed"), "{run}");
    assert_eq!(world.asked("POST"), 2);
}

#[test]
fn a_file_that_is_deleted_between_the_listing_and_its_turn() {
    for dialect in dialects() {
        let files = || vec![Told::new("f1", "a"), Told::new("f2", "b"), Told::new("f3", "c")];
        let gone = |ask: &Ask| match ask {
            Ask::Stat(id) | Ask::Bytes(id) | Ask::Link(id) | Ask::Delete(id) => id == "f2",
            _ => false,
        };
        let world = World::twisted(dialect, files(), move |ask, _, _| {
            gone(ask).then(|| json_answer(404, r#"{"detail":"no such file"}"#))
        });
        let run = world.haul(&["get", "*", "-o", "out/", "-j", "1"]).fails(3);
        assert!(run.stderr().contains("2 downloaded, 1 failed"), "{run}");
        assert_eq!((world.env.read("out/a"), world.env.read("out/c")), (b"f1".to_vec(), b"f3".to_vec()));
        assert_eq!(
            fs::read_dir(world.env.work().join("out")).unwrap().count(),
            2,
            "nothing of the one that is gone"
        );
        let run = world.haul(&["rm", "*", "--yes", "-j", "1"]).fails(3);
        assert!(run.stderr().contains("2 deleted, 1 failed"), "{run}");
        assert_eq!(world.left(), ["f2"], "{}", dialect.provider);
    }
}
