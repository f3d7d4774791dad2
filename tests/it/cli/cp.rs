//! `haul cp` between platforms, and to and from this machine.

use std::io::Read as _;

use haul::model::Clock;
use haul::providers::Download;
use haul::store::Listing;

use crate::platforms::{dialects, served, some};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{noise, within};
use crate::support::rig::{Case, TOKEN};
use crate::support::sandbox::Sandbox;
use crate::support::server::{Answer, Server};

/// Larger than a buffer, and than the content that is first read into memory.
const SIZE: usize = 700_000;

/// A sandbox with profiles for platforms, each with its own server.
struct Platforms {
    env: Sandbox,
    served: Vec<Emulator>,
}

impl Platforms {
    fn new(cases: &[(&str, Case)]) -> Self {
        Self::with(cases, &[])
    }

    /// Like [`new`](Self::new), with faults for each platform.
    fn with(cases: &[(&str, Case)], faults: &[&[&str]]) -> Self {
        let mut env = Sandbox::new().with_real_clock();
        let mut served = Vec::new();
        for (name, case) in cases {
            let faults = faults.get(served.len()).copied().unwrap_or_default();
            let setup = Setup { faults, ..case.setup(Clock(None)) };
            let emulator = Emulator::start(&setup);
            env.add_profile(name, case, &emulator.base(case.provider), TOKEN);
            served.push(emulator);
        }
        Self { env, served }
    }

    /// The names and contents of the files that a platform stores.
    fn stored(&self, number: usize, case: Case) -> Vec<(String, Vec<u8>)> {
        let store = &self.served[number].store;
        let files = store.list(case.provider, &Listing { limit: 100, ..Listing::default() }).unwrap();
        let read = |id| {
            let mut bytes = Vec::new();
            store.get(case.provider, id).unwrap().1.read_to_end(&mut bytes).unwrap();
            bytes
        };
        files.iter().map(|file| (file.name.clone(), read(&file.id))).collect()
    }
}

/// Whether the case's platform is remote and returns uploaded files without a link from the user.
fn returns(case: &Case) -> bool {
    case.is_remote() && case.can().download == Download::Any
}

#[test]
fn every_platform_that_returns_files_is_a_source() {
    let content = noise(SIZE);
    for case in some(dialects().filter(returns)) {
        let platforms = Platforms::new(&[("src", case)]);
        let env = &platforms.env;
        env.write("data.bin", &content);
        env.haul(["cp", "data.bin", "src:"]).ok();
        env.haul(["cp", "src:data.bin", "local:"]).ok();
        env.haul(["cp", "local:data.bin", "to/"]).ok();
        assert!(env.read("to/data.bin") == content, "{}", case.name());
    }
}

#[test]
fn every_platform_is_a_destination() {
    let content = noise(SIZE);
    for case in some(dialects().filter(Case::is_remote)) {
        let platforms = Platforms::new(&[("dst", case)]);
        let env = &platforms.env;
        env.write("data.pdf", &content);
        env.haul(["upload", "data.pdf"]).ok();
        let run = env.haul(["cp", "local:data.pdf", "dst:", "--fields", "name"]).ok();
        assert_eq!(run.stdout(), "data.pdf\n", "{}", case.name());
        let stored = platforms.stored(0, case);
        assert!(stored == [("data.pdf".to_owned(), content.clone())], "{}", case.name());
    }
}

/// A platform that returns checksums and continues downloads.
const SOURCE: Case =
    Case { wire: Some("xai=gateway"), quirks: &["xai.ranges"], ..Case::of("xai", "gateway") };

/// A platform that returns neither checksums nor metadata.
const DESTINATION: Case = Case { wire: Some("xai=openai"), ..Case::of("xai", "openai") };

impl Platforms {
    /// A source with one file, and a destination, with their faults.
    fn two(faults: &[&[&str]]) -> (Self, Vec<u8>) {
        let platforms = Self::with(&[("src", SOURCE), ("dst", DESTINATION)], faults);
        let content = noise(SIZE);
        platforms.env.write("data.bin", &content);
        platforms.env.haul(["cp", "data.bin", "src:"]).ok();
        (platforms, content)
    }

    /// The status and the number of bytes sent and received of each request with this method whose path ends with
    /// `end`. Waits until there are `least` such requests.
    fn requests(&self, number: usize, method: &str, end: &str, least: usize) -> Vec<(Option<u64>, u64, u64)> {
        let mut found = Vec::new();
        within(|| {
            found.extend(self.served[number].log().into_iter().filter_map(|line| {
                let path = line["path"].as_str().unwrap().split('?').next().unwrap().to_owned();
                let count = |key: &str| line[key].as_u64().unwrap();
                let is_it = line["method"] == method && path.ends_with(end);
                is_it.then(|| (line["status"].as_u64(), count("bytes_out"), count("bytes_in")))
            }));
            found.len() >= least
        });
        found
    }
}

#[test]
fn every_pair_of_platforms_keeps_the_content_or_is_refused() {
    check_pairs(&some(served().map(|(platform, _)| platform.cases[0])));
}

#[test]
#[ignore = "heavy: all dialects"]
fn every_pair_of_dialects_keeps_the_content_or_is_refused() {
    check_pairs(&some(dialects().filter(Case::is_remote)));
}

/// Copies between every pair: each case is the source of one file and the destination of all others.
fn check_pairs(cases: &[Case]) {
    let names: Vec<String> = (0..cases.len()).map(|at| format!("p{at}")).collect();
    let profiles: Vec<(&str, Case)> = names.iter().map(String::as_str).zip(cases.iter().copied()).collect();
    let platforms = Platforms::new(&profiles);
    let env = &platforms.env;
    let file = |at: usize| (format!("from-{at}.pdf"), noise(20_000 + at));
    for at in 0..cases.len() {
        let (name, content) = file(at);
        env.write(&name, content);
        env.haul(["cp", &name, &format!("p{at}:")]).ok();
    }
    let (returning, others): (Vec<usize>, Vec<usize>) = (0..cases.len()).partition(|at| returns(&cases[*at]));
    for (at, case) in cases.iter().enumerate() {
        let sources = returning.iter().filter(|source| **source != at);
        let sources = sources.map(|source| format!("p{source}:{}", file(*source).0));
        let arguments = ["cp".to_owned()].into_iter().chain(sources).chain([format!("p{at}:")]);
        env.haul(arguments).ok();
        let mut expected: Vec<_> = returning.iter().chain([&at]).map(|source| file(*source)).collect();
        expected.sort();
        expected.dedup();
        let mut stored = platforms.stored(at, *case);
        stored.sort();
        assert!(stored == expected, "to {}", case.name());
    }
    for (source, destination) in others.iter().zip((0..cases.len()).cycle().skip(1)) {
        let before = platforms.stored(destination, cases[destination]).len();
        platforms.served[destination].log();
        let run =
            env.haul(["cp", &format!("p{source}:{}", file(*source).0), &format!("p{destination}:")]).fails(5);
        let sent: u64 =
            platforms.served[destination].log().iter().map(|line| line["bytes_in"].as_u64().unwrap()).sum();
        assert!(sent < 20_000, "{sent} bytes sent: {run}");
        assert_eq!(platforms.stored(destination, cases[destination]).len(), before, "{run}");
    }
}

#[test]
fn a_broken_download_continues_and_a_broken_upload_starts_again() {
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [u64], &'a [Option<u64>]);
    let all = SIZE as u64;
    let cases: &[Row] = &[
        (&[], &[], &[all], &[Some(200)]),
        (&["cut=300000 GET **/content times=1"], &[], &[300_000, all - 300_000], &[Some(200)]),
        (
            &["cut=300000 GET **/content times=1", "ignore-range GET **/content"],
            &[],
            &[300_000, all],
            &[Some(200)],
        ),
        (&[], &["refuse=503 POST **/files times=1"], &[all, all], &[Some(503), Some(200)]),
    ];
    for (source, destination, sent, uploads) in cases {
        let (platforms, content) = Platforms::two(&[source, destination]);
        platforms.env.haul(["cp", "src:data.bin", "dst:"]).ok();
        assert!(platforms.stored(1, DESTINATION) == [("data.bin".to_owned(), content)], "{source:?}");
        let fetched = platforms.requests(0, "GET", "/content", sent.len());
        let posted = platforms.requests(1, "POST", "/files", uploads.len());
        let statuses: Vec<_> = posted.iter().map(|request| request.0).collect();
        assert_eq!(&statuses, uploads, "{source:?} {destination:?}");
        if destination.is_empty() {
            let bytes: Vec<u64> = fetched.iter().map(|request| request.1).collect();
            assert_eq!(&bytes, sent, "{source:?}");
            assert!(posted[0].2 > all, "{posted:?}");
        } else {
            // A rejected upload may end its download early.
            assert_eq!(fetched.len(), sent.len(), "{destination:?}");
        }
    }
}

#[test]
fn a_lost_response_is_looked_up() {
    let (platforms, content) = Platforms::two(&[&[], &["lose POST **/files times=1"]]);
    platforms.env.haul(["cp", "src:data.bin", "dst:"]).ok();
    assert!(platforms.stored(1, DESTINATION) == [("data.bin".to_owned(), content)]);
    assert_eq!(platforms.requests(1, "POST", "/files", 1).len(), 1);
}

#[test]
fn damaged_content_is_not_stored() {
    for case in some(dialects().filter(|case| returns(case) && !case.can().checksums.is_empty())) {
        let platforms = Platforms::new(&[("src", case), ("dst", DESTINATION)]);
        platforms.env.write("data.pdf", noise(SIZE));
        platforms.env.haul(["cp", "data.pdf", "src:"]).ok();
        assert_eq!(platforms.served[0].damage(), 1);
        let run = platforms.env.haul(["cp", "src:data.pdf", "dst:"]);
        // Some emulators notice it themselves and close the connection.
        assert!(matches!(run.status, 7 | 9), "{}: {run}", case.name());
        assert_eq!(platforms.stored(1, DESTINATION), [], "{}: {run}", case.name());
    }
    let (platforms, _) = Platforms::two(&[]);
    assert_eq!(platforms.served[0].damage(), 1);
    let run = platforms.env.haul(["cp", "src:data.bin", "dst:"]).fails(9);
    assert!(run.stderr().contains("data.bin: the blake3 does not match"), "{run}");
    assert_eq!(platforms.stored(1, DESTINATION), []);
    platforms.env.haul(["cp", "src:data.bin", "dst:", "--no-verify"]).ok();
    assert_eq!(platforms.stored(1, DESTINATION).len(), 1);
}

/// A link created for a download is revoked whether the copy succeeds or fails.
#[test]
fn links_are_revoked() {
    let needs_link = |case: &Case| case.can().link.is_some_and(|link| link.for_downloads && link.list);
    for case in some(dialects().filter(needs_link)) {
        for (faults, status) in [(&[][..], 0), (&["refuse=400 POST **/files"][..], 1)] {
            let platforms = Platforms::with(&[("src", case), ("dst", DESTINATION)], &[&[], faults]);
            let env = &platforms.env;
            env.write("data.pdf", noise(SIZE));
            env.haul(["cp", "data.pdf", "src:"]).ok();
            let run = env.haul(["cp", "src:data.pdf", "dst:"]);
            assert_eq!(run.status == 0, status == 0, "{run}");
            assert_eq!(env.haul(["link", "src:data.pdf", "--list"]).ok().stdout(), "", "{run}");
        }
    }
}

#[test]
fn each_token_is_sent_only_to_its_own_platform() {
    let content = noise(SIZE);
    let record = |id: &str| {
        format!(
            r#"{{"id":"{id}","object":"file","bytes":{SIZE},"created_at":1767225600,"filename":"data.bin","purpose":""}}"#
        )
    };
    let bytes = content.clone();
    let (from, to) = (record("file_1"), record("file_2"));
    let source = Server::new(move |_, request| {
        if request.target.ends_with("/content") { Answer::new(200, &bytes) } else { Answer::json(&from) }
    });
    let destination = Server::new(move |_, _| Answer::json(&to));
    let mut env = Sandbox::new();
    let tokens = ["xai-token-of-source", "xai-token-of-destination"];
    for (name, server, token) in [("src", &source, tokens[0]), ("dst", &destination, tokens[1])] {
        env.add_profile(name, &Case::of("xai", "openai"), server.at("/v1").as_ref(), token);
    }
    env.haul(["cp", "src:id:file_1", "dst:"]).ok();
    for (server, own, other) in [(&source, tokens[0], tokens[1]), (&destination, tokens[1], tokens[0])] {
        assert!(server.count() > 0);
        for request in server.requests() {
            assert_eq!(request.header("authorization"), Some(format!("Bearer {own}").as_str()));
            let body = String::from_utf8_lossy(&request.body);
            assert!(!request.head.contains(other) && !body.contains(other), "{}", request.line());
        }
    }
}

#[test]
fn what_the_destination_cannot_store_is_said_once() {
    let platforms = Platforms::new(&[("dst", DESTINATION)]);
    let env = &platforms.env;
    for name in ["a.txt", "b.txt"] {
        env.write(name, name);
        env.haul([
            "upload",
            name,
            "-m",
            "k=v",
            "--type",
            "text/x-own",
            "--purpose",
            "own",
            "--expires",
            "90m",
        ])
        .ok();
    }
    let run = env.haul(["cp", "local:", "dst:", "--fields", "name,expires_at"]).ok().sorted();
    assert_eq!(
        run.stderr(),
        "2 copied\nnot copied: media type, metadata, purpose (not stored by xai)\n",
        "{run}"
    );
    assert!(run.lines().iter().all(|line| !line.ends_with('\t')), "the lifetime is kept: {run}");
    env.haul(["cp", "local:a.txt", "local:c.txt"]).ok();
    let copy = env.haul(["info", "local:c.txt", "--json"]).ok().json().remove(0);
    assert_eq!((&copy["metadata"]["k"], &copy["content_type"]), (&"v".into(), &"text/x-own".into()));
    assert!(!copy["expires_at"].is_null() && copy["purpose"] == "own");
}

#[test]
fn conflicts_are_found_before_anything_is_sent() {
    let platforms = Platforms::new(&[("dst", DESTINATION)]);
    let env = &platforms.env;
    for content in ["one", "two"] {
        env.write("a.txt", content);
        env.haul(["upload", "a.txt"]).ok();
    }
    for mode in ["skip", "update", "replace", "fail"] {
        env.haul(["cp", "local:", "dst:", "--if-exists", mode])
            .fails(2)
            .says("both would have the name a.txt");
    }
    env.haul(["cp", "local:", "local:"]).fails(2).says("source and destination are the same");
    env.haul(["cp", "local:a.txt", "local:a.txt", "--latest"]).fails(2).says("are the same");
    env.haul(["cp", "local:*", "dst:name"]).fails(2).says("several files cannot have the same name");
    env.haul(["cp", "a.txt", "local:a.txt", "dst:"]).fails(2).says("cannot be copied together");
    env.haul(["cp", "a.txt", "loca:"]).fails(2).says("did you mean the profile `local:`?");
    env.haul(["cp", "local:a.txt", "dst:id:x"]).fails(2).says("the destination is an id");
    env.haul(["cp", "local:", "dst:", "-n", "--json"]).ok();
    assert_eq!(platforms.stored(0, DESTINATION), []);
    assert_eq!(platforms.requests(0, "POST", "/files", 0), []);
    let ids = env.haul(["cp", "local:", "dst:", "--ids"]).ok().lines();
    let unchanged = env.haul(["cp", "local:*", "dst:", "-n"]).ok();
    assert_eq!((ids.len(), unchanged.lines().len()), (2, 2), "{unchanged}");
}

#[test]
fn equal_files_are_kept_and_other_ones_replaced() {
    let (platforms, content) = Platforms::two(&[]);
    let env = &platforms.env;
    env.haul(["cp", "src:", "dst:"]).ok();
    for mode in ["skip", "update"] {
        let run = env.haul(["cp", "src:data.bin", "dst:", "--if-exists", mode]).ok();
        assert!(run.stderr().contains("data.bin: reused"), "{run}");
    }
    // Without the ledger, the platforms have no evidence in common, and both contents are compared.
    let run = env
        .run(env.command().args(["cp", "src:", "dst:", "--if-exists", "skip"]).env("HAUL_LEDGER", "off"))
        .ok();
    assert!(run.stderr().contains("compared 1 file by downloading"), "{run}");
    assert_eq!(platforms.requests(1, "POST", "/files", 1).len(), 1);
    env.write("data.bin", "other");
    env.haul(["upload", "-p", "src", "data.bin", "--if-exists", "replace"]).ok();
    env.haul(["cp", "src:data.bin", "dst:", "--if-exists", "update"]).ok();
    assert!(platforms.stored(1, DESTINATION) == [("data.bin".to_owned(), b"other".to_vec())]);
    assert!(content.len() > 5);
}

#[test]
fn a_report_is_retried_and_the_same_command_continues() {
    let (platforms, _) = Platforms::two(&[&[], &["refuse=400 POST **/files nth=2"]]);
    let env = &platforms.env;
    env.haul(["cp", "src:data.bin", "local:"]).ok();
    env.haul(["cp", "local:data.bin", "local:more.bin"]).ok();
    let copy = ["cp", "local:data.bin", "local:more.bin", "dst:", "-j", "1", "--report", "r.jsonl"];
    assert_ne!(env.haul(copy).status, 0);
    let report = String::from_utf8(env.read("r.jsonl")).unwrap();
    assert!(report.contains(r#""ref":"local:id:"#), "{report}");
    let run = env.haul(copy).ok();
    assert!(run.stderr().contains("already uploaded by an earlier run"), "{run}");
    assert_eq!(platforms.stored(1, DESTINATION).len(), 2);
    env.haul(["cp", "local:data.bin", "local:later.bin", "dst:", "--report", "r.jsonl"]).fails(3);
    env.haul(["cp", "local:data.bin", "local:later.bin"]).ok();
    let run = env.haul(["cp", "--retry-from", "r.jsonl", "dst:", "--fields", "name"]).ok();
    assert_eq!(run.stdout(), "later.bin\n");
    env.haul(["cp", "src:data.bin", "nope/", "src:none", "to/", "--report", "r.jsonl"]).fails(2);
}

#[test]
fn ctrl_c_stores_nothing() {
    let (platforms, _) = Platforms::two(&[&["drip=100000 GET **/content"]]);
    let env = &platforms.env;
    let process = env.spawn(env.interruptible().args(["cp", "src:data.bin", "dst:"]));
    assert!(within(|| platforms.served[1].blobs() > 0), "the upload has begun");
    process.interrupt();
    process.end().fails(130);
    assert!(platforms.served[1].is_clean());
    assert_eq!(platforms.stored(1, DESTINATION), []);
}

#[test]
fn a_copy_needs_little_memory() {
    let (platforms, _) = Platforms::two(&[]);
    let env = &platforms.env;
    env.write("big.bin", noise(48 << 20));
    env.haul(["cp", "big.bin", "src:"]).ok();
    // The peaks of a small and a large file are compared.
    let [small, big] = ["data.bin", "big.bin"].map(|name| {
        let (run, peak) = env.measure(env.command().args(["cp", &format!("src:{name}"), "dst:"]));
        run.ok();
        peak.data
    });
    assert!(big.saturating_sub(small) < 8 * 1024, "{small} KiB and {big} KiB");
}
