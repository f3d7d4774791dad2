//! Faults during downloads: which bytes are requested again, and which files are left on disk.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haul::error::{Kind, Result};
use haul::interrupt::Interrupt;
use haul::model::{File, NewFile};
use haul::progress::{Silent, silent};
use haul::providers::Provider;
use haul::transfer::{DownloadOptions, Existing, Target, download};

use crate::support::server::{Answer, Server};
use crate::transfer::platform::{Platform, noise, provider_at, provider_within};

const SIZE: usize = 2_000_000;
const OPTIONS: DownloadOptions = DownloadOptions { existing: Existing::Refuse, verify: true, resume: true };

/// A platform with one file.
async fn with_file(faults: &[&str]) -> (Platform, Arc<dyn Provider>, File) {
    on(Platform::start(faults)).await
}

async fn on(platform: Platform) -> (Platform, Arc<dyn Provider>, File) {
    let provider = platform.provider();
    let new = NewFile::from_bytes("data.bin", noise(7, SIZE));
    let file = provider.upload(&new, silent()).await.unwrap();
    (platform, provider, file)
}

async fn get(
    provider: &Arc<dyn Provider>,
    file: &File,
    path: &Path,
    options: DownloadOptions,
) -> Result<bool> {
    let target = Target::Path(path.to_owned());
    download(provider, file, target, options, &Silent, &Interrupt::default()).await
}

fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn after_any_fault_the_download_resumes_at_its_byte_and_completes() {
    let all = SIZE as u64;
    for (faults, sent) in [
        (vec![], vec![all]),
        (vec!["cut=700000 GET **/content times=1"], vec![700_000, all - 700_000]),
        (
            vec!["cut=700000 GET **/content nth=1", "cut=5 GET **/content nth=1"],
            vec![700_000, 5, all - 700_005],
        ),
        // If the server ignores the range, the response holds all bytes, and all are used.
        (vec!["cut=700000 GET **/content times=1", "ignore-range GET **/content"], vec![700_000, all]),
        (vec!["reset GET **/content times=1"], vec![0, all]),
        (vec!["refuse=503 GET **/content times=1"], vec![all]),
        (vec!["429 GET **/content times=1 retry-after=0"], vec![all]),
        (vec!["fail=500 GET **/content times=1"], vec![all]),
        // A slow transfer does not time out; the timeout of two seconds is for a transfer that stalls.
        (vec!["drip=700000 GET **/content"], vec![all]),
    ] {
        let (platform, mut provider, file) = with_file(&faults).await;
        if faults.iter().any(|fault| fault.starts_with("drip")) {
            provider = provider_within(&platform.root, "openai", Duration::from_secs(2));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        assert!(get(&provider, &file, &path, OPTIONS).await.unwrap(), "{faults:?}");
        assert!(fs::read(&path).unwrap() == noise(7, SIZE), "{faults:?}");
        assert_eq!(left(folder.path()), ["data.bin"], "{faults:?}");
        let seen = platform.fetches(sent.len());
        let bytes: Vec<u64> =
            seen.iter().filter(|it| !matches!(it.status, Some(400..))).map(|it| it.sent).collect();
        assert_eq!(bytes, sent, "{faults:?}");
    }
}

#[tokio::test]
async fn another_run_resumes_unless_the_file_has_changed() {
    let (platform, provider, file) =
        on(Platform::with_checksums(&["cut=600000 GET **/content nth=1", "cut GET **/content times=3"]))
            .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let error = get(&provider, &file, &path, OPTIONS).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    assert!(error.hints().iter().any(|hint| hint.contains("run the same command again")), "{error:?}");
    assert_eq!(left(folder.path()), ["data.bin.part", "data.bin.part.json"]);
    let before = platform.fetches(4).len();
    assert!(get(&provider, &file, &path, OPTIONS).await.unwrap());
    assert!(fs::read(&path).unwrap() == noise(7, SIZE));
    assert_eq!(platform.fetches(before + 1)[before].sent, SIZE as u64 - 600_000);
    assert_eq!(left(folder.path()), ["data.bin"]);
}

/// Faults that end a run after 600,000 bytes.
const BROKEN: [&str; 2] = ["cut=600000 GET **/content nth=1", "cut GET **/content times=3"];

#[tokio::test]
async fn modified_parts_are_not_resumed() {
    type Change = fn(&Path, &Path);
    let changes: [(&str, Change, u64); 8] = [
        ("nothing", |_, _| {}, 600_000),
        ("a byte", |part, _| change(part, |bytes| bytes[123_456] ^= 1), 0),
        ("the first byte", |part, _| change(part, |bytes| bytes[0] ^= 1), 0),
        ("the last byte", |part, _| change(part, |bytes| bytes[599_999] ^= 1), 0),
        ("shorter", |part, _| change(part, |bytes| bytes.truncate(400_000)), 0),
        // Bytes after the recorded length are fetched again.
        ("longer", |part, _| change(part, |bytes| bytes.extend([0; 1000])), 600_000),
        ("emptied", |part, _| fs::write(part, "").unwrap(), 0),
        ("note torn", |_, note| change(note, |bytes| bytes.truncate(40)), 0),
    ];
    for (start, (what, change, kept)) in [Platform::start, Platform::with_checksums]
        .into_iter()
        .flat_map(|start| changes.map(|change| (start, change)))
    {
        let (platform, provider, file) = on(start(&BROKEN)).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        get(&provider, &file, &path, OPTIONS).await.unwrap_err();
        change(&folder.path().join("data.bin.part"), &folder.path().join("data.bin.part.json"));
        let before = platform.fetches(4).len();
        assert!(get(&provider, &file, &path, OPTIONS).await.unwrap(), "{what}");
        assert!(fs::read(&path).unwrap() == noise(7, SIZE), "{what}");
        assert_eq!(platform.fetches(before + 1)[before].sent, SIZE as u64 - kept, "{what}");
        // A part without its note counts as foreign.
        let alone = ["data.bin", "data.bin.part", "data.bin.part.json"];
        assert_eq!(left(folder.path()), alone[..if what == "note torn" { 3 } else { 1 }], "{what}");
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn parts_of_another_version_are_not_resumed() {
    let (platform, provider, file) = with_file(&BROKEN).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let other = File { updated_at: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..file.clone() };
    get(&provider, &other, &path, OPTIONS).await.unwrap_err();
    let before = platform.fetches(4).len();
    assert!(get(&provider, &file, &path, OPTIONS).await.unwrap());
    assert_eq!(platform.fetches(before + 1)[before].sent, SIZE as u64);
    assert!(fs::read(&path).unwrap() == noise(7, SIZE));
    assert_eq!(left(folder.path()), ["data.bin"]);
}

/// Foreign files are preserved and do not prevent the download.
#[cfg(unix)]
#[tokio::test]
async fn foreign_files_are_preserved() {
    type Place = fn(&Path);
    let places: [(&str, Place); 7] = [
        ("a small file", |path| fs::write(path, "mine").unwrap()),
        ("a large file", |path| fs::write(path, noise(8, 500_000)).unwrap()),
        ("nothing", |path| fs::write(path, "").unwrap()),
        ("JSON", |path| fs::write(path, "{}").unwrap()),
        ("an old note", |path| fs::write(path, "{\"of\":\"xai:f\",\"validator\":null}").unwrap()),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link", |path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
    ];
    let (part, note) = ("data.bin.part", "data.bin.part.json");
    for (what, place) in places {
        for names in [&[part][..], &[note], &[part, note], &[part, "data.bin.2.part.json"]] {
            let (_platform, provider, file) = with_file(&BROKEN).await;
            let folder = tempfile::tempdir().unwrap();
            for name in names {
                place(&folder.path().join(name));
            }
            let before = snapshot(folder.path());
            let path = folder.path().join("data.bin");
            get(&provider, &file, &path, OPTIONS).await.unwrap_err();
            assert_eq!(left(folder.path()).len(), names.len() + 2, "{what} {names:?}: a part and its note");
            assert!(get(&provider, &file, &path, OPTIONS).await.unwrap(), "{what} {names:?}");
            assert!(fs::read(&path).unwrap() == noise(7, SIZE), "{what} {names:?}");
            fs::remove_file(&path).unwrap();
            assert_eq!(snapshot(folder.path()), before, "{what} {names:?}");
        }
    }
    // A foreign file replaces the part between two runs.
    for (what, place) in places {
        let (_platform, provider, file) = with_file(&BROKEN).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        get(&provider, &file, &path, OPTIONS).await.unwrap_err();
        fs::remove_file(folder.path().join(part)).unwrap();
        place(&folder.path().join(part));
        let before = snapshot(&folder.path().join(part));
        assert!(get(&provider, &file, &path, OPTIONS).await.unwrap(), "{what}");
        assert!(fs::read(&path).unwrap() == noise(7, SIZE), "{what}");
        assert_eq!(snapshot(&folder.path().join(part)), before, "{what}");
        assert_eq!(left(folder.path()), ["data.bin", part], "{what}: the stale note is removed");
    }
}

/// The kinds and contents of all files at a path.
#[cfg(unix)]
fn snapshot(path: &Path) -> Vec<(String, Vec<u8>)> {
    let found = fs::symlink_metadata(path).unwrap();
    if found.is_symlink() {
        return vec![("link".to_owned(), fs::read_link(path).unwrap().into_os_string().into_encoded_bytes())];
    }
    if !found.is_dir() {
        return vec![("file".to_owned(), fs::read(path).unwrap())];
    }
    let inside = |name: String| {
        snapshot(&path.join(&name)).into_iter().map(move |(kind, bytes)| (format!("{name}: {kind}"), bytes))
    };
    left(path).into_iter().flat_map(inside).collect()
}

#[tokio::test]
async fn wrong_bytes_are_not_kept() {
    let (platform, provider, file) =
        on(Platform::with_checksums(&["wrong-bytes=1234567 GET **/content"])).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let error = get(&provider, &file, &path, OPTIONS).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Mismatch, "{error}");
    assert!(left(folder.path()).is_empty());
    assert_eq!(platform.fetches(1).len(), 1);
    let trusting = DownloadOptions { verify: false, ..OPTIONS };
    assert!(get(&provider, &file, &path, trusting).await.unwrap(), "`--no-verify` accepts it");
}

#[tokio::test]
async fn an_existing_file_is_refused_skipped_or_overwritten() {
    let (platform, provider, file) = with_file(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    fs::write(&path, "mine").unwrap();
    assert_eq!(get(&provider, &file, &path, OPTIONS).await.unwrap_err().kind(), Kind::Failed);
    let options = |existing| DownloadOptions { existing, ..OPTIONS };
    assert!(!get(&provider, &file, &path, options(Existing::Skip)).await.unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert!(platform.fetches(0).is_empty());
    assert!(get(&provider, &file, &path, options(Existing::Overwrite)).await.unwrap());
    assert!(fs::read(&path).unwrap() == noise(7, SIZE));
}

#[tokio::test]
async fn two_downloads_to_one_target_do_not_mix() {
    let (_platform, provider, file) = with_file(&["drip=4000000 GET **/content"]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let (one, two) =
        tokio::join!(get(&provider, &file, &path, OPTIONS), get(&provider, &file, &path, OPTIONS));
    assert!(one.unwrap());
    assert!(two.unwrap_err().message().ends_with("another download is writing to it"));
    assert!(fs::read(&path).unwrap() == noise(7, SIZE));
}

#[tokio::test]
async fn stdout_resumes_at_its_byte_and_never_starts_over() {
    for (faults, whole) in [
        (vec!["cut=700000 GET **/content times=1"], true),
        (vec!["cut=700000 GET **/content times=1", "ignore-range GET **/content"], false),
    ] {
        let (_platform, provider, file) = with_file(&faults).await;
        let mut got = Vec::new();
        let mut sink = |bytes: &[u8]| {
            got.extend_from_slice(bytes);
            Ok(())
        };
        let target = Target::Sink(&mut sink);
        let result = download(&provider, &file, target, OPTIONS, &Silent, &Interrupt::default()).await;
        assert_eq!(result.is_ok(), whole, "{result:?}");
        assert!(got == noise(7, SIZE)[..if whole { SIZE } else { 700_000 }]);
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_followed_without_token_or_body() {
    let elsewhere = Server::repeating([Answer::new(200, "hello")]);
    let first = Server::repeating([Answer::new(307, "").header("Location", elsewhere.at("there"))]);
    let provider = provider_at(&first.origin(), "openai");
    let folder = tempfile::tempdir().unwrap();
    let file = File { id: "f1".into(), name: "a".into(), size: Some(5), ..File::default() };
    assert!(get(&provider, &file, &folder.path().join("a"), OPTIONS).await.unwrap());
    let asked = elsewhere.only();
    assert!(!asked.head.to_lowercase().contains("authorization"), "{asked:?}");
    let refused = provider.upload(&NewFile::from_bytes("a", "hello"), silent()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Platform, "{refused}");
    assert_eq!(elsewhere.count(), 1, "nothing was sent there");
}
