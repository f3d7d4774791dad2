//! Kills the program at random points and runs it again: no data is corrupted or duplicated, and no finished file
//! is sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use haul::model::FileId;
use rusqlite::Connection;

use crate::support::process::Process;
use crate::transfer::platform::{Platform, noise};

const KILLS: usize = 8;
const MANY_KILLS: usize = 200;
const FILES: u64 = 24;

/// Random delays before a kill.
struct Moments(u64);

impl Moments {
    /// A delay between zero and `most`.
    fn next(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64(f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1_u32 << 31))
    }
}

/// Waits for a process or kills it after a time; returns whether it was killed.
fn killed_after(process: Process, time: Option<Duration>) -> bool {
    let run = match time {
        Some(time) => process.end_within(time),
        None => process.end(),
    };
    let is_killed = run.is_killed();
    if !is_killed {
        run.ok();
    }
    is_killed
}

/// Content between zero bytes and several reads.
fn content(number: u64) -> Vec<u8> {
    noise(number, usize::try_from(number * number * 900).unwrap())
}

/// The number of uploads in the ledger that fulfil a condition.
fn count(home: &Path, condition: &str) -> u32 {
    let Ok(ledger) = Connection::open(home.join("state/ledger.db")) else { return 0 };
    let count = format!("SELECT count(*) FROM uploads WHERE {condition}");
    ledger.query_row(&count, [], |row| row.get(0)).unwrap_or(0)
}

/// The number of uploads in the ledger that another run of the same command would continue.
fn unfinished(home: &Path) -> u32 {
    count(home, "command IS NOT NULL")
}

fn upload_survives(kills: usize) {
    let mut moments = Moments(u64::from(std::process::id()));
    let mut killed = 0;
    while killed < kills {
        let platform = Platform::start(&["delay=10 POST"]);
        let env = platform.sandbox();
        let folder = env.work().join("docs");
        fs::create_dir(&folder).unwrap();
        for number in 0..FILES {
            fs::write(folder.join(format!("{number:02}.bin")), content(number)).unwrap();
        }
        // An older file of the same name must not count as the new one.
        let arguments = ["upload", "-q", "-r", "docs", "--jobs", "4"];
        let mut finished = false;
        while !finished {
            let process = env.spawn(env.command().args(arguments));
            let time = (killed < kills).then(|| moments.next(Duration::from_millis(400)));
            finished = !killed_after(process, time);
            killed += usize::from(!finished);
            // If the kill occurs between the end of all work and the exit, the command has succeeded, and another run
            // rightly repeats the work.
            finished |=
                platform.stored().len() == usize::try_from(FILES).unwrap() && unfinished(&env.home()) == 0;
        }
        let stored = platform.stored();
        let names: Vec<_> = stored.iter().map(|file| file.name.clone()).collect();
        let expected: Vec<_> = (0..FILES).map(|number| format!("{number:02}.bin")).collect();
        assert_eq!(names, expected, "each once, after {killed} kills");
        for (number, file) in (0..FILES).zip(&stored) {
            assert!(platform.content(&file.id) == content(number), "{}", file.name);
        }
        let carried_out = platform.posts(0).iter().filter(|post| post.status == Some(200)).count();
        assert!(carried_out <= stored.len(), "{carried_out} were sent completely for {} files", stored.len());
        assert_eq!(unfinished(&env.home()), 0, "the command has ended");
    }
}

fn download_survives(kills: usize) {
    let mut moments = Moments(u64::from(std::process::id()) + 1);
    let platform = Platform::with_checksums(&["drip=3000000 GET **/content"]);
    let env = platform.sandbox();
    let mut names = BTreeMap::new();
    for number in 0..FILES {
        let source = env.work().join(format!("{number:02}.bin"));
        fs::write(&source, content(number)).unwrap();
        let id = env.haul(["upload", "--ids", source.to_str().unwrap()]).ok().stdout().trim().to_owned();
        names.insert(source.file_name().unwrap().to_owned(), FileId(id));
    }
    let mut killed = 0;
    while killed < kills {
        let folder = env.work().join(format!("out-{killed}"));
        let target = format!("{}/", folder.display());
        let arguments = ["get", "-q", "*.bin", "-o", &target, "--skip-existing", "--jobs", "4"];
        let mut finished = false;
        while !finished {
            let there: BTreeSet<&FileId> =
                whole(&folder).iter().map(|path| &names[path.file_name().unwrap()]).collect();
            let before = platform.fetches(0).len();
            let process = env.spawn(env.command().args(arguments));
            let time = (killed < kills).then(|| moments.next(Duration::from_millis(700)));
            finished = !killed_after(process, time);
            killed += usize::from(!finished);
            for fetch in &platform.fetches(0)[before..] {
                let again = there.iter().find(|id| fetch.path.contains(id.as_str()));
                assert!(again.is_none(), "{again:?} was finished and was fetched again");
            }
        }
        let names: Vec<_> = whole(&folder).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names.len(), usize::try_from(FILES).unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), names.len(), "no `.part` is left");
        for number in 0..FILES {
            let got = fs::read(folder.join(format!("{number:02}.bin"))).unwrap();
            assert!(got == content(number), "{number}");
        }
    }
}

/// Even after all files are sent, haul may still send a request to look up a file for a note.
#[test]
fn a_kill_while_a_note_is_looked_up_sends_nothing_again() {
    let platform = Platform::start(&["delay=10000 GET **/v1/files/* times=1"]);
    let env = platform.sandbox();
    env.write("file", noise(6, 1000));
    let first = env.haul(["upload", "file", "--ids"]).ok().stdout();
    let upload = || env.spawn(env.command().args(["upload", "file", "--ids"]));
    let process = upload();
    let begun = Instant::now();
    while count(&env.home(), "state = 'done'") != 2 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(process.end_within(Duration::from_millis(300)).is_killed());
    let run = upload().end().ok().says("already uploaded by an earlier run");
    assert_ne!(run.stdout(), first);
    assert_eq!(platform.names(), ["file", "file"]);
    assert_eq!(unfinished(&env.home()), 0);
}

/// While one file is being sent, a kill does not lose the record of the others.
#[test]
fn a_finished_upload_is_recorded_while_another_is_sent() {
    let platform = Platform::start(&["delay=30000 POST times=1"]);
    let env = platform.sandbox();
    env.write("a", noise(7, 1000));
    env.write("b", noise(8, 1000));
    let upload = || env.spawn(env.command().args(["upload", "a", "b", "--jobs", "2"]));
    let process = upload();
    let begun = Instant::now();
    while count(&env.home(), "state = 'done'") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    }
    assert!(process.end_within(Duration::ZERO).is_killed());
    upload().end().ok();
    assert_eq!(platform.names(), ["a", "b"]);
}

/// A kill loses only the bytes written after the last update of the note.
#[test]
fn a_killed_download_is_resumed() {
    let platform = Platform::start(&["drip=400000 GET **/content"]);
    let env = platform.sandbox();
    env.write("file", noise(5, 2_000_000));
    env.haul(["upload", "file"]).ok();
    let get = || env.spawn(env.command().args(["get", "file", "-o", "out"]));
    let process = get();
    let part = env.work().join("out.part");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |part| part.len()) < 1_200_000 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(10));
    }
    assert!(process.end_within(Duration::ZERO).is_killed());
    let missing = 2_000_000 - fs::metadata(&part).unwrap().len();
    let fetches = platform.fetches(1).len();
    get().end().ok();
    assert!(env.read("out") == noise(5, 2_000_000));
    let sent = platform.fetches(fetches + 1)[fetches].sent;
    assert!((missing..missing + 800_000).contains(&sent), "{missing} bytes were missing, {sent} fetched");
    assert_eq!(env.files(), ["file", "out"]);
}

/// At any time the target is either the complete old file or the complete new one, with the old mode.
fn an_overwritten_file_survives(kills: usize) {
    use std::os::unix::fs::PermissionsExt as _;

    let mut moments = Moments(u64::from(std::process::id()) + 2);
    for number in [3, 18] {
        let platform = Platform::start(&["drip=3000000 GET **/content"]);
        let env = platform.sandbox();
        let (new, old) = (content(number), noise(99, 50_000));
        env.write("file", &new);
        env.haul(["upload", "file"]).ok();
        let target = env.work().join("out");
        let (mut killed, mut moment) = (0, Duration::from_millis(400));
        while killed < kills {
            fs::write(&target, &old).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o751)).unwrap();
            let mut finished = false;
            while !finished {
                let arguments = ["get", "-q", "file", "-o", "out", "--overwrite"];
                let process = env.spawn(env.command().args(arguments));
                let begun = Instant::now();
                finished = !killed_after(process, Some(moments.next(moment)));
                if finished {
                    // Scale the next delay to the duration of a run.
                    moment = begun.elapsed();
                }
                killed += usize::from(!finished);
                let found = fs::read(&target).unwrap();
                assert!(found == new || (!finished && found == old), "{} bytes", found.len());
                assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o751);
            }
            assert_eq!(env.files(), ["file", "out"], "after {killed} kills");
        }
    }
}

/// The files under their final names.
fn whole(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "bin")).collect()
}

#[test]
fn an_upload_survives_kills() {
    upload_survives(KILLS);
}

#[test]
fn a_download_survives_kills() {
    download_survives(KILLS);
}

#[test]
fn an_overwritten_file_survives_kills() {
    an_overwritten_file_survives(KILLS);
}

#[test]
#[ignore = "takes minutes"]
fn an_overwritten_file_survives_many_kills() {
    an_overwritten_file_survives(MANY_KILLS);
}

#[test]
#[ignore = "takes minutes"]
fn an_upload_survives_many_kills() {
    upload_survives(MANY_KILLS);
}

#[test]
#[ignore = "takes minutes"]
fn a_download_survives_many_kills() {
    download_survives(MANY_KILLS);
}
