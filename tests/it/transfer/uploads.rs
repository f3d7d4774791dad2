//! Faults during uploads: how often the file is sent, and which files exist afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use haul::error::{Kind, Result};
use haul::interrupt::Interrupt;
use haul::model::{Clock, NewFile, Source};
use haul::progress::Silent;
use haul::providers::Provider;
use haul::transfer::{Action, IfExists, Ledger, UploadOptions, Uploaded, Uploads};

use crate::transfer::platform::{Platform, noise, provider_at};

const SIZE: usize = 100_000;

fn uploads(provider: &Arc<dyn Provider>, if_exists: IfExists) -> Uploads {
    let appears_within = Some(Duration::from_millis(100));
    let options = UploadOptions { if_exists, verify: true, appears_within, ..UploadOptions::default() };
    let provider = Arc::clone(provider);
    Uploads::new(provider, options, Ledger::default(), Clock::default(), Interrupt::default())
}

async fn send(provider: &Arc<dyn Provider>, file: NewFile) -> Result<Uploaded> {
    let uploads = uploads(provider, IfExists::Upload);
    uploads.upload(&file, &Silent).await
}

fn file(seed: u64) -> NewFile {
    NewFile::from_bytes("report.bin", noise(seed, SIZE))
}

/// A fault, the number of posts, the number of posts with a complete body, and the resulting files.
#[tokio::test]
async fn after_any_fault_there_is_one_file_and_no_unnecessary_request() {
    for (fault, posts, whole) in [
        // Certainly not executed: sent again.
        ("reset POST times=1", 2, 1),
        ("refuse=503 POST times=1", 2, 1),
        ("429 POST times=1", 2, 1),
        ("429 POST times=1 retry-after=0", 2, 1),
        ("429 POST times=1 retry-after=date:0", 2, 1),
        // Executed, but the response is lost: found, not sent again.
        ("lose POST times=1", 1, 1),
        ("truncate-json POST times=1", 1, 1),
        ("delay=3000 POST times=1", 1, 1),
        // Not executed, but the response does not say so: looked up, not found, sent again.
        ("fail=500 POST times=1", 2, 2),
        ("fail=503 POST times=1", 2, 2),
        ("html=502 POST times=1", 2, 2),
        ("fail=408 POST times=1", 2, 2),
        ("fail=425 POST times=1", 2, 2),
        ("fail=499 POST times=1", 2, 2),
        ("html=520 POST times=1", 2, 2),
        ("html=524 POST times=1", 2, 2),
        ("fail=529 POST times=1", 2, 2),
    ] {
        let platform = Platform::start(&[fault]);
        let provider = platform.provider();
        let uploaded = send(&provider, file(1)).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        assert_eq!(uploaded.action, Action::Uploaded, "{fault}");
        let stored = platform.stored();
        assert_eq!(stored.len(), 1, "{fault}: {stored:?}");
        assert_eq!(stored[0].id, uploaded.file.id, "{fault}");
        assert!(platform.content(&stored[0].id) == noise(1, SIZE), "{fault}");
        let seen = platform.posts(posts);
        assert_eq!(seen.len(), posts, "{fault}: {seen:?}");
        let came = seen.iter().filter(|post| post.received >= SIZE as u64).count();
        assert_eq!(came, whole, "{fault}: {seen:?}");
    }
}

#[tokio::test]
async fn an_older_twin_is_not_mistaken_for_an_upload_with_a_lost_response() {
    let platform = Platform::start(&["lose POST nth=2", "fail=500 POST nth=2"]);
    let provider = platform.provider();
    let older = send(&provider, file(1)).await.unwrap().file;
    let newer = send(&provider, file(2)).await.unwrap().file;
    assert_ne!(older.id, newer.id);
    assert_eq!(platform.stored().len(), 2);
    assert!(platform.content(&newer.id) == noise(2, SIZE));
    assert_eq!(platform.posts(2).len(), 2, "one body per file");
    let third = send(&provider, file(3)).await.unwrap().file;
    assert!(platform.content(&third.id) == noise(3, SIZE), "not found: sent again");
    assert_eq!((platform.stored().len(), platform.posts(4).len()), (3, 4));
}

#[tokio::test]
async fn a_reported_checksum_distinguishes_twins_within_a_second() {
    let platform = Platform::with_checksums(&["fail=500 POST nth=2"]);
    let provider = platform.provider();
    send(&provider, file(1)).await.unwrap();
    let newer = send(&provider, file(2)).await.unwrap().file;
    assert!(platform.content(&newer.id) == noise(2, SIZE));
    assert_eq!((platform.stored().len(), platform.posts(3).len()), (2, 3));
}

#[tokio::test]
async fn workers_of_one_command_never_claim_a_file_twice() {
    let platform = Platform::start(&["lose POST every=2"]);
    let provider = platform.provider();
    let uploads = &uploads(&provider, IfExists::Upload);
    let all = (0..6).map(|_| async move { uploads.upload(&file(1), &Silent).await.unwrap() });
    let ids: BTreeSet<_> =
        futures_util::future::join_all(all).await.into_iter().map(|it| it.file.id).collect();
    assert_eq!(ids.len(), 6, "each upload has its own file");
    assert_eq!(platform.stored().len(), 6);
    assert_eq!(platform.posts(6).len(), 6);
}

#[tokio::test]
async fn unrecoverable_faults_are_reported_and_leave_nothing() {
    let error = send(&provider_at("http://127.0.0.1:1", "openai"), file(1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    for (fault, kind, posts) in [
        ("reset POST", Kind::Unreachable, 3),
        ("429 POST", Kind::RateLimited, 3),
        ("fail=500 POST", Kind::Platform, 3),
        ("refuse=400 POST", Kind::Failed, 1),
        ("refuse=401 POST", Kind::Auth, 1),
        ("refuse=413 POST", Kind::Unsupported, 1),
    ] {
        let platform = Platform::start(&[fault]);
        // The body exceeds the socket buffers, so that a reset before the body always interrupts its sending. A small
        // body might be sent completely, and haul would look for the file and send it again.
        let mut new = file(1);
        if fault == "reset POST" {
            (new.source, new.size) = (Source::Bytes(vec![7; 32 << 20].into()), 32 << 20);
        }
        let error = send(&platform.provider(), new).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}: {error}");
        assert_eq!(error.reference(), Some("report.bin"));
        assert_eq!(platform.posts(posts).len(), posts, "{fault}");
        assert!(platform.stored().is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_looked_up_is_not_sent_again() {
    let platform = Platform::start(&["lose POST times=1", "refuse=400 GET"]);
    let error = send(&platform.provider(), file(1)).await.unwrap_err();
    assert!(error.is_unanswered() && error.kind() == Kind::Unreachable, "{error:?}");
    assert!(error.to_string().contains("checking for the file also failed"), "{error}");
    assert_eq!((platform.posts(1).len(), platform.stored().len()), (1, 1));
}

#[tokio::test]
async fn existing_files_are_skipped_replaced_or_refused() {
    let platform = Platform::with_checksums(&[]);
    let provider = platform.provider();
    let first = send(&provider, file(1)).await.unwrap().file;
    let with = |if_exists| uploads(&provider, if_exists);
    let skipped = with(IfExists::Skip).upload(&file(1), &Silent).await.unwrap();
    assert_eq!((skipped.action, &skipped.file.id), (Action::Reused, &first.id));
    assert_eq!(platform.posts(1).len(), 1);
    let refused = with(IfExists::Fail).upload(&file(1), &Silent).await.unwrap_err();
    assert_eq!(refused.message(), format!("report.bin already exists: {}", first.id));
    let replaced = with(IfExists::Replace).upload(&file(2), &Silent).await.unwrap();
    assert_eq!((replaced.action, &replaced.file.id), (Action::Replaced, &first.id), "in place");
    assert!(platform.content(&first.id) == noise(2, SIZE));

    // Without an operation that replaces content, the old file is deleted after the new one is stored.
    let platform = Platform::start(&[]);
    let provider = platform.provider();
    send(&provider, file(1)).await.unwrap();
    let replaced = uploads(&provider, IfExists::Replace).upload(&file(3), &Silent).await.unwrap();
    assert_eq!(replaced.action, Action::Replaced);
    let stored = platform.stored();
    assert_eq!(stored.iter().map(|file| &file.id).collect::<Vec<_>>(), [&replaced.file.id]);
    // The same if only the platform's response shows that it does not support the operation.
    let platform = Platform::start(&[]);
    let provider = provider_at(&platform.root, "auto");
    send(&provider, file(1)).await.unwrap();
    let replaced = uploads(&provider, IfExists::Replace).upload(&file(3), &Silent).await.unwrap();
    assert_eq!((replaced.action, platform.stored().len()), (Action::Replaced, 1));
    assert!(platform.content(&replaced.file.id) == noise(3, SIZE));
    let platform = Platform::start(&["fail=500 POST nth=2", "fail=500 POST nth=2", "fail=500 POST nth=2"]);
    let provider = platform.provider();
    let old = send(&provider, file(1)).await.unwrap().file;
    assert!(uploads(&provider, IfExists::Replace).upload(&file(2), &Silent).await.is_err());
    assert_eq!(platform.stored()[0].id, old.id, "the file was not replaced and stays");
    // The new file stays if the old one cannot be deleted.
    let platform = Platform::start(&["fail=403 DELETE nth=1"]);
    let provider = platform.provider();
    let old = send(&provider, file(1)).await.unwrap().file;
    let uploaded = uploads(&provider, IfExists::Replace).upload(&file(2), &Silent).await.unwrap();
    let (kept, error) = uploaded.kept.unwrap();
    assert_eq!((kept, uploaded.action, platform.stored().len()), (old.id.clone(), Action::Uploaded, 2));
    assert_eq!((error.kind(), error.status()), (Kind::Auth, Some(403)));
    let message = format!("report.bin: uploaded as {}, but {} was not deleted", uploaded.file.id, old.id);
    assert_eq!(error.message(), message);
}
