//! If its writer is killed at any moment, the store still opens, lists only complete files and has kept every
//! acknowledged change.
//!
//! A child process puts, replaces and deletes files. It announces each change on its standard output and reports
//! when it is done. It stops and is killed at a chosen place: a random byte of the content or a failpoint of the
//! change. In one of ten rounds it does not stop, and the kill falls anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use haul::store::{Failpoint, Listing, Store};

#[cfg(feature = "shared")]
use crate::store::place::SharedPlace;
use crate::store::support::{assert_contents, child, child_input, is_tidy, open, record, sha256};

/// The place at which a child is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// At a random byte of the content.
    Byte,
    /// At the failpoint with this index in `FAILPOINTS`.
    Failpoint(usize),
    /// Anywhere, after a random time.
    Anywhere,
}

const FAILPOINTS: [Failpoint; 8] = [
    Failpoint::Written,
    Failpoint::Synced,
    Failpoint::Inserted,
    Failpoint::Placed,
    Failpoint::Added,
    Failpoint::Removing,
    Failpoint::Removed,
    Failpoint::Freed,
];

impl Place {
    fn all() -> Vec<Self> {
        let failpoints = (0..FAILPOINTS.len()).map(Self::Failpoint);
        [Self::Byte, Self::Anywhere].into_iter().chain(failpoints).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Failpoint(number) => format!("{:?}", FAILPOINTS[number]),
            other => format!("{other:?}"),
        }
    }

    fn named(name: &str) -> Self {
        Self::all().into_iter().find(|place| place.name() == name).unwrap()
    }
}

/// Content of a random size, mostly small. One in four repeats the content of another file.
fn content(random: &mut Rng) -> Vec<u8> {
    if random.usize(..4) == 0 {
        return vec![b's'; 100_000 * random.usize(..3)];
    }
    let largest = [100, 10_000, 300_000, 2_000_000][random.usize(..4)];
    let mut content = vec![0; random.usize(..largest)];
    random.fill(&mut content);
    content
}

fn say(line: &str) {
    // A single write, so that a killed process leaves complete lines.
    stdout().write_all(format!("\n{line}\n").as_bytes()).unwrap();
    stdout().flush().unwrap();
}

/// Announces the place and waits to be killed.
fn wait_to_be_killed() -> ! {
    say("here");
    let _ = stdin().read(&mut [0]);
    unreachable!("nothing is ever written to this process")
}

static STOP: OnceLock<Place> = OnceLock::new();
static PASS: AtomicU32 = AtomicU32::new(0);

/// Whether to stop at this place. The first passes, a random number of them, do not stop.
fn is_the_place(place: Place) -> bool {
    STOP.get() == Some(&place)
        && PASS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err()
}

fn observer(failpoint: Failpoint) {
    let number = FAILPOINTS.iter().position(|other| *other == failpoint).unwrap();
    if is_the_place(Place::Failpoint(number)) {
        wait_to_be_killed();
    }
}

#[test]
#[ignore = "a child process of the tests below"]
fn child_that_is_killed() {
    let Some((root, argument)) = child_input() else { return };
    let (seed, place) = argument.split_once(' ').unwrap();
    let mut random = Rng::with_seed(seed.parse().unwrap());
    let store = open(&root);
    STOP.set(Place::named(place)).unwrap();
    PASS.store(u32::try_from(random.usize(..4)).unwrap(), Ordering::SeqCst);
    Failpoint::set_hook(observer);
    let files = store.list("s", &Listing::default()).unwrap();
    let mut ids: Vec<String> = files.into_iter().map(|file| file.id.0).collect();
    for n in 0.. {
        let what = random.usize(..10);
        if ids.is_empty() || what < 5 {
            let id = format!("{seed}-{n}");
            change(&store, &id, "put", &mut random);
            ids.push(id);
        } else if what < 7 {
            let id = &ids[random.usize(..ids.len())];
            change(&store, id, "replace", &mut random);
        } else {
            let id = ids.swap_remove(random.usize(..ids.len()));
            say(&format!("delete {id}"));
            store.delete("s", &id.as_str().into()).unwrap();
            say(&format!("done {id}"));
        }
    }
}

fn change(store: &Store, id: &str, how: &str, random: &mut Rng) {
    let content = content(random);
    say(&format!("{how} {id} {}", sha256(&content)));
    let mut incoming = store.receive().unwrap();
    if is_the_place(Place::Byte) {
        incoming.write_all(&content[..random.usize(..=content.len())]).unwrap();
        wait_to_be_killed();
    }
    incoming.write_all(&content).unwrap();
    let blob = incoming.finish().unwrap();
    if how == "put" {
        store.put("s", record(id), blob).unwrap();
    } else {
        store.replace("s", &id.into(), blob, |_| Ok(())).unwrap();
    }
    say(&format!("done {id}"));
}

/// The possible states of a file: absent (`None`) or content with that SHA-256. There are two during a change.
type May = Vec<Option<String>>;

/// Processes a line of the child's output.
fn process_line(line: &str, files: &mut BTreeMap<String, May>) {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["put", id, sha256] => {
            files.insert((*id).to_owned(), vec![None, Some((*sha256).to_owned())]);
        }
        ["replace", id, sha256] => files.get_mut(*id).unwrap().push(Some((*sha256).to_owned())),
        ["delete", id] => files.get_mut(*id).unwrap().push(None),
        ["done", id] => {
            let may = files.get_mut(*id).unwrap();
            *may = may.split_off(may.len() - 1);
        }
        _ => {}
    }
}

/// Runs a child and kills it at `place`.
fn kill_one(root: &Path, place: Place, random: &mut Rng, files: &mut BTreeMap<String, May>) {
    let seed = random.usize(..1_000_000_000);
    let mut child = child("crash::child_that_is_killed", root, &format!("{seed} {}", place.name()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut left = if place == Place::Anywhere { 1 + random.usize(..20) } else { usize::MAX };
    for line in lines.by_ref() {
        process_line(&line, files);
        left -= usize::from(!line.is_empty());
        if line == "here" || left == 0 {
            break;
        }
    }
    if place == Place::Anywhere {
        // A random delay, not a wait for a condition: it determines how far the child gets.
        thread::sleep(Duration::from_micros(random.usize(..5000) as u64));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the child exited: {status}");
    lines.for_each(|line| process_line(&line, files));
}

/// Checks the store as the next process finds it, and resolves changes that were in progress.
fn check(root: &Path, files: &mut BTreeMap<String, May>) {
    // A shared store keeps unused blobs for a day.
    #[cfg(feature = "shared")]
    if let Some(place) = SharedPlace::of(root) {
        place.collect();
    }
    let store = open(root);
    let mut found = BTreeMap::new();
    let mut distinct = BTreeSet::new();
    for file in store.list("s", &Listing::default()).unwrap() {
        let mut content = Vec::new();
        store.get("s", &file.id).unwrap().1.read_to_end(&mut content).unwrap();
        let hash = sha256(&content);
        assert_eq!(file.size, Some(content.len() as u64));
        assert_eq!(file.checksums.sha256.as_ref(), Some(&hash), "wrong bytes in {}", file.id);
        distinct.insert(hash.clone());
        found.insert(file.id.0, hash);
    }
    for (id, may) in files.iter() {
        let is = found.get(id).cloned();
        assert!(may.contains(&is), "{id} is {is:?} but expected one of {may:?}");
    }
    assert!(found.keys().all(|id| files.contains_key(id)));
    assert_contents(root, distinct.len(), found.len());
    assert!(is_tidy(root));
    *files = found.into_iter().map(|(id, hash)| (id, vec![Some(hash)])).collect();
}

fn kill_many(rounds: usize) {
    let seed = RandomState::new().hash_one(rounds);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let home = tempfile::tempdir().unwrap();
    let mut files = BTreeMap::new();
    let mut kills: BTreeMap<Place, usize> = BTreeMap::new();
    for round in 0..rounds {
        let places = Place::all();
        let place = places[round % places.len()];
        kill_one(home.path(), place, &mut random, &mut files);
        check(home.path(), &mut files);
        *kills.entry(place).or_default() += 1;
    }
    for place in Place::all() {
        let count = kills.get(&place).copied().unwrap_or_default();
        println!("{:10} {count} kills", place.name());
        assert!(count > 0);
    }
    println!("{rounds} kills, {} files at the end", files.len());
}

#[test]
fn a_killed_writer_leaves_the_old_or_the_new_state() {
    kill_many(20);
}

#[test]
#[ignore = "takes a minute; run in release"]
fn a_writer_killed_hundreds_of_times_leaves_the_old_or_the_new_state() {
    kill_many(300);
}
