//! The provider `local`, whose platform is a directory.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::StreamExt;
use haul::error::{Kind, Result};
use haul::filter::Filter;
use haul::model::{Clock, File, FileId, NewFile, Object, Patch, Source};
use haul::progress::{Progress, silent};
use haul::providers::{ContentStream, Provider, Query, Range, Sort, find};
use haul::spool::Spool;
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::support::connection::Profile;

fn try_open(data: &Path, dialect: &str, set: &[(&str, &str)]) -> Result<Box<dyn Provider>> {
    let (spec, url, clock) = (find("local").unwrap(), Url::parse("local:").unwrap(), Clock(Some(now())));
    Profile { name: "mine", dialect, set, clock, data, ..Profile::new(spec, &url) }.open()
}

fn now() -> Timestamp {
    "2026-05-06T07:08:09Z".parse().unwrap()
}

fn open(data: &Path, set: &[(&str, &str)]) -> Box<dyn Provider> {
    try_open(data, "auto", set).unwrap()
}

async fn upload(local: &dyn Provider, file: NewFile) -> Result<File> {
    local.upload(&file, silent()).await
}

async fn bytes(content: ContentStream) -> Vec<u8> {
    let pieces: Vec<Result<bytes::Bytes>> = content.stream.collect().await;
    pieces.into_iter().flat_map(Result::unwrap).collect()
}

async fn download(local: &dyn Provider, id: &FileId) -> Vec<u8> {
    bytes(local.download(id, None).await.unwrap()).await
}

fn from_path(path: PathBuf, size: u64) -> NewFile {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    NewFile { source: Source::Path(path), size, ..NewFile::from_bytes(&name, "") }
}

fn object(text: &str) -> Object {
    serde_json::from_str(text).unwrap()
}

#[derive(Default)]
struct Recorder(Mutex<(u64, Vec<u8>)>);

impl Progress for Recorder {
    fn at(&self, bytes: u64) {
        self.0.lock().unwrap().0 = bytes;
    }

    fn read(&self, offset: u64, bytes: &[u8]) {
        let mut heard = self.0.lock().unwrap();
        assert_eq!(offset, heard.1.len() as u64);
        heard.1.extend_from_slice(bytes);
    }
}

#[tokio::test]
async fn a_file_is_uploaded_shown_downloaded_and_deleted() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let path = home.path().join("report.bin");
    let content: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    fs::write(&path, &content).unwrap();
    let new = NewFile {
        purpose: Some("reference".into()),
        metadata: object(r#"{"k": 1}"#),
        expires: Some(SignedDuration::from_hours(1)),
        ..from_path(path, 1_000_000)
    };
    let heard = Arc::new(Recorder::default());
    let progress: Arc<dyn Progress> = heard.clone();
    let file = local.upload(&new, progress).await.unwrap();
    let heard = heard.0.lock().unwrap().clone();
    assert_eq!(heard.0, 1_000_000);
    assert!(heard.1 == content);
    assert_eq!(file.id.as_str().len(), 16);
    let expected = File {
        provider: "local".into(),
        profile: "mine".into(),
        id: file.id.clone(),
        name: "report.bin".into(),
        size: Some(1_000_000),
        content_type: Some("application/octet-stream".into()),
        purpose: Some("reference".into()),
        created_at: Some(now()),
        expires_at: Some(now() + SignedDuration::from_hours(1)),
        checksums: file.checksums.clone(),
        metadata: object(r#"{"k": 1}"#),
        downloadable: Some(true),
        ..File::default()
    };
    assert_eq!(file, expected);
    assert_eq!(file.checksums.blake3, Some(blake3::hash(&content).to_hex().to_string()));
    assert_eq!(local.stat(&file.id).await.unwrap(), file);
    assert!(download(local.as_ref(), &file.id).await == content);
    local.delete(&file.id).await.unwrap();
    assert_eq!(local.delete(&file.id).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(local.stat(&file.id).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn other_sources_are_uploaded() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let spooled = Spool::new().unwrap();
    spooled.writer().unwrap().write_all(b"from a pipe").unwrap();
    let new =
        NewFile { source: Source::Spooled(Arc::new(spooled)), size: 11, ..NewFile::from_bytes("stdin", "") };
    let file = upload(local.as_ref(), new).await.unwrap();
    assert_eq!(download(local.as_ref(), &file.id).await, b"from a pipe");
    let empty = upload(local.as_ref(), NewFile::from_bytes("empty", "")).await.unwrap();
    assert_eq!(empty.size, Some(0));
    assert_eq!(download(local.as_ref(), &empty.id).await, b"");
}

#[tokio::test]
async fn a_source_that_changed_or_cannot_be_read_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let path = home.path().join("a.bin");
    fs::write(&path, vec![1; 600_000]).unwrap();
    for (size, how) in [(600_001, "fewer than 600001"), (599_999, "more than 599999"), (0, "more than 0")] {
        let error = upload(local.as_ref(), from_path(path.clone(), size)).await.unwrap_err();
        let expected = format!("{}: changed while it was being read: {how} bytes", path.display());
        assert_eq!(error.to_string(), expected);
    }
    let missing = upload(local.as_ref(), from_path(home.path().join("none"), 1)).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
    // A directory can be opened but not read.
    let unreadable = upload(local.as_ref(), from_path(home.path().to_owned(), 1)).await.unwrap_err();
    assert_eq!(unreadable.kind(), Kind::Failed);
    assert!(local.list(&Query::default(), None).await.unwrap().files.is_empty());
    for directory in ["blobs", "incoming", "doubtful"] {
        assert!(fs::read_dir(home.path().join("store").join(directory)).unwrap().next().is_none());
    }
}

/// Notifies after the first read, and blocks the reader until it receives a message.
struct Gate {
    first: tokio::sync::Notify,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Progress for Gate {
    fn read(&self, _: u64, _: &[u8]) {
        self.first.notify_one();
        let _ = self.go_on.lock().unwrap().recv();
    }
}

#[tokio::test]
async fn an_abandoned_upload_stores_nothing() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let (go_on, wait) = mpsc::channel();
    let gate = Arc::new(Gate { first: tokio::sync::Notify::new(), go_on: Mutex::new(wait) });
    let file = NewFile::from_bytes("a", "hello");
    tokio::select! {
        _ = local.upload(&file, gate.clone()) => panic!("the upload must wait"),
        () = gate.first.notified() => {}
    }
    drop(go_on);
    while Arc::strong_count(&gate) > 1 {
        std::thread::yield_now();
    }
    assert!(local.list(&Query::default(), None).await.unwrap().files.is_empty());
    for directory in ["blobs", "incoming", "doubtful"] {
        assert!(fs::read_dir(home.path().join("store").join(directory)).unwrap().next().is_none());
    }
}

/// Starts `work`, runs `meanwhile` after its first bytes have been read, and returns the result of `work`.
async fn interrupted<T: Send + 'static>(
    work: impl AsyncFnOnce(Arc<dyn Progress>) -> T,
    meanwhile: impl AsyncFnOnce(),
) -> T {
    let (go_on, wait) = mpsc::channel();
    let gate = Arc::new(Gate { first: tokio::sync::Notify::new(), go_on: Mutex::new(wait) });
    let change = async {
        gate.first.notified().await;
        meanwhile().await;
        drop(go_on);
    };
    tokio::join!(work(gate.clone()), change).0
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_not_stored() {
    const SIZE: u64 = 1_000_000;
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let local = local.as_ref();
    let path = home.path().join("a.bin");
    fs::write(&path, vec![1; 1_000_000]).unwrap();
    let old = upload(local, NewFile::from_bytes("old", "old")).await.unwrap();
    let write_over = |bytes: &[u8]| {
        let mut file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all(bytes).unwrap();
        // A later time even on file systems with coarse timestamps.
        file.set_modified(std::time::SystemTime::now() + Duration::from_secs(2)).unwrap();
    };
    let cut = || fs::File::options().write(true).open(&path).unwrap().set_len(400_000).unwrap();
    let changes: [&dyn Fn(); 3] = [&|| write_over(&vec![2; 1_000_000]), &|| write_over(b"2"), &cut];
    let message = format!("{}: changed during the upload", path.display());
    for change in changes {
        fs::write(&path, vec![1; 1_000_000]).unwrap();
        let uploaded = interrupted(
            async |progress| local.upload(&from_path(path.clone(), SIZE), progress).await,
            async || change(),
        );
        assert_eq!(uploaded.await.unwrap_err().to_string(), message);
        fs::write(&path, vec![1; 1_000_000]).unwrap();
        let new = from_path(path.clone(), SIZE);
        let replaced =
            interrupted(async |progress| local.replace(&old.id, &new, progress).await, async || change());
        assert_eq!(replaced.await.unwrap_err().to_string(), message);
    }
    assert_eq!(local.list(&Query::default(), None).await.unwrap().files, [old]);
    // Replacing or deleting the file does not change the content of the open one.
    let replace = || {
        fs::write(home.path().join("new"), "another").unwrap();
        fs::rename(home.path().join("new"), &path).unwrap();
    };
    let changes: [&dyn Fn(); 2] = [&|| fs::remove_file(&path).unwrap(), &replace];
    for change in changes {
        fs::write(&path, vec![1; 1_000_000]).unwrap();
        let uploaded = interrupted(
            async |progress| local.upload(&from_path(path.clone(), SIZE), progress).await,
            async || change(),
        );
        let file = uploaded.await.unwrap();
        assert!(download(local, &file.id).await == vec![1; 1_000_000]);
    }
}

#[tokio::test]
async fn new_content_keeps_concurrent_changes_of_the_record() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let local = local.as_ref();
    let file = upload(local, NewFile::from_bytes("a.txt", "old")).await.unwrap();
    let new = NewFile { keeps_name: true, ..NewFile::from_bytes("a.txt", "new") };
    let patch = Patch {
        set: object(r#"{"k": 1}"#),
        name: Some("b.txt".into()),
        path: Some("folder".into()),
        ..Patch::default()
    };
    let replaced = interrupted(
        async |progress| local.replace(&file.id, &new, progress).await,
        async || drop(local.annotate(&file.id, &patch).await.unwrap()),
    );
    let replaced = replaced.await.unwrap();
    assert_eq!((replaced.name.as_str(), replaced.path.as_deref()), ("b.txt", Some("folder")));
    assert_eq!(replaced.metadata, object(r#"{"k": 1}"#));
    assert_eq!(local.stat(&file.id).await.unwrap(), replaced);
    assert_eq!(download(local, &file.id).await, b"new");
}

#[tokio::test]
async fn a_file_is_intact_until_its_content_is_modified_or_deleted() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let file = upload(local.as_ref(), NewFile::from_bytes("a", "hello")).await.unwrap();
    assert!(local.is_intact(&file.id).await.unwrap());
    let sha256 = file.checksums.sha256.unwrap();
    let blob = home.path().join("store/blobs").join(&sha256[..2]).join(&sha256);
    fs::write(&blob, "hellO").unwrap();
    assert!(!local.is_intact(&file.id).await.unwrap());
    fs::remove_file(&blob).unwrap();
    assert!(!local.is_intact(&file.id).await.unwrap());
    assert_eq!(local.is_intact(&"none".into()).await.unwrap_err().kind(), Kind::NotFound);
    upload(local.as_ref(), NewFile::from_bytes("b", "hello")).await.unwrap();
    assert!(local.is_intact(&file.id).await.unwrap());
}

#[tokio::test]
async fn a_download_can_start_at_any_byte_of_the_same_content() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let file = upload(local.as_ref(), NewFile::from_bytes("a", "0123456789")).await.unwrap();
    let validator = local.download(&file.id, None).await.unwrap().validator;
    assert_eq!(validator, file.checksums.sha256);
    let other = Some("other".to_owned());
    for (from, validator, start, rest) in [
        (4, validator.clone(), 4, "456789"),
        (10, None, 10, ""),
        (11, None, 0, "0123456789"),
        (4, other, 0, "0123456789"),
    ] {
        let range = Range { from, validator, verified: true, ..Range::default() };
        let content = local.download(&file.id, Some(range)).await.unwrap();
        assert_eq!((content.start, content.length), (start, Some(rest.len() as u64)));
        assert_eq!(bytes(content).await, rest.as_bytes());
    }
    assert_eq!(local.download(&"none".into(), None).await.err().unwrap().kind(), Kind::NotFound);
}

#[tokio::test]
async fn pages_are_sorted_newest_first_or_as_requested() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    for name in ["b", "c", "a", "d", "e"] {
        upload(local.as_ref(), NewFile::from_bytes(name, name.repeat(name.len()))).await.unwrap();
    }
    let names = async |query: &Query| {
        let (mut names, mut cursor) = (Vec::new(), None);
        loop {
            let page = local.list(query, cursor.as_deref()).await.unwrap();
            assert!(page.files.len() <= 2 && page.files.iter().all(|file| file.profile == "mine"));
            names.extend(page.files.into_iter().map(|file| file.name));
            cursor = page.next;
            if cursor.is_none() {
                return names.concat();
            }
        }
    };
    let sorted = |descending| Some(Sort { field: "name".into(), descending });
    let query = Query { page_size: Some(2), ..Query::default() };
    // All have the same time, but the last one created counts as the newest.
    assert_eq!(names(&query).await, "edacb");
    assert_eq!(names(&Query { sort: sorted(false), ..query.clone() }).await, "abcde");
    assert_eq!(names(&Query { sort: sorted(true), ..query.clone() }).await, "edcba");
    let filter = |text| Some(Filter::parse(text, now()).unwrap());
    for (text, expected) in
        [("name = c", "c"), ("name:b", "b"), ("size = 1 AND NOT name:c", "abde"), ("profile = mine", "abcde")]
    {
        let query = Query { filter: filter(text), sort: sorted(false), ..query.clone() };
        assert_eq!(names(&query).await, expected, "{text}");
    }
    let two = Query { filter: filter("size = 1"), limit: Some(2), ..Query::default() };
    assert_eq!(local.list(&two, None).await.unwrap().files.len(), 2);
}

#[tokio::test]
async fn a_record_and_its_content_can_be_changed_under_the_same_id() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let new = NewFile { metadata: object(r#"{"a": 1, "b": 2}"#), ..NewFile::from_bytes("a.txt", "old") };
    let file = upload(local.as_ref(), new).await.unwrap();
    let patch = Patch {
        set: object(r#"{"c": 3}"#),
        unset: vec!["a".into()],
        name: Some("b.txt".into()),
        content_type: Some("text/plain".into()),
        path: Some("folder".into()),
        ..Patch::default()
    };
    let changed = local.annotate(&file.id, &patch).await.unwrap();
    let expected = File {
        metadata: object(r#"{"b": 2, "c": 3}"#),
        name: "b.txt".into(),
        content_type: Some("text/plain".into()),
        path: Some("folder".into()),
        updated_at: Some(now()),
        ..file.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(local.stat(&file.id).await.unwrap(), changed);

    let new = NewFile::from_bytes("c.txt", "new content");
    let replaced = local.replace(&file.id, &new, silent()).await.unwrap();
    assert_eq!((replaced.id.clone(), replaced.name.as_str()), (file.id.clone(), "c.txt"));
    assert_eq!((replaced.created_at, &replaced.metadata), (file.created_at, &changed.metadata));
    assert_eq!(replaced.path.as_deref(), Some("folder"));
    assert_eq!(download(local.as_ref(), &file.id).await, b"new content");
    let missing = local.replace(&"none".into(), &new, silent()).await.unwrap_err();
    assert_eq!(missing.kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_link_is_a_read_only_copy_that_can_be_listed_and_revoked() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[]);
    let file = upload(local.as_ref(), NewFile::from_bytes("a b%.txt", "hello")).await.unwrap();
    let refused = local.link(&file.id, Some(SignedDuration::from_hours(1))).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported);
    let first = local.link(&file.id, None).await.unwrap();
    assert!(first.url.starts_with("file:///") && first.url.ends_with("/a%20b%25.txt"), "{}", first.url);
    assert_eq!(first.expires_at, None);
    let path = Url::parse(&first.url).unwrap().to_file_path().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"hello");
    let second = local.link(&file.id, None).await.unwrap();
    assert_eq!(local.links(&file.id).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(local.unlink(&file.id, None).await.unwrap_err().kind(), Kind::Usage);
    assert_eq!(local.unlink(&file.id, Some("none")).await.unwrap_err().kind(), Kind::NotFound);
    local.unlink(&file.id, Some(&first.url)).await.unwrap();
    assert!(!path.exists());
    local.unlink(&file.id, None).await.unwrap();
    assert_eq!(local.unlink(&file.id, None).await.unwrap_err().kind(), Kind::NotFound);
    let third = local.link(&file.id, None).await.unwrap();
    local.delete(&file.id).await.unwrap();
    assert!(!Url::parse(&third.url).unwrap().to_file_path().unwrap().exists());
    assert_eq!(local.links(&file.id).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_served_store_signs_its_links() {
    let home = tempfile::tempdir().unwrap();
    let local = open(home.path(), &[("serve_url", "http://127.0.0.1:8787/")]);
    assert!(local.capabilities().link.unwrap().lifetime.is_some());
    let file = upload(local.as_ref(), NewFile::from_bytes("a.txt", "hello")).await.unwrap();
    let link = local.link(&file.id, Some(SignedDuration::from_mins(1))).await.unwrap();
    let expires = now() + SignedDuration::from_mins(1);
    assert_eq!(link.expires_at, Some(expires));
    let start = format!("http://127.0.0.1:8787/local/{}?expires={}&signature=", file.id, expires.as_second());
    let signature = link.url.strip_prefix(&start).unwrap();
    assert_eq!(signature.len(), 64);
    let usual = local.link(&file.id, None).await.unwrap();
    assert_eq!(usual.expires_at, Some(now() + SignedDuration::from_hours(1)));
    assert_ne!(usual.url, link.url);
    let long = local.link(&file.id, Some(SignedDuration::from_hours(24 * 8))).await.unwrap_err();
    assert_eq!(long.kind(), Kind::Unsupported);
    assert_eq!(local.link(&"none".into(), None).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(local.links(&file.id).await.unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(local.unlink(&file.id, None).await.unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn a_serve_address_must_be_a_url() {
    let home = tempfile::tempdir().unwrap();
    let open = |dialect: &str, set: &[(&str, &str)]| {
        try_open(home.path(), dialect, set).map(|local| local.capabilities().link.unwrap().list)
    };
    assert_eq!(open("auto", &[("serve_url", "127.0.0.1:8787")]).unwrap_err().kind(), Kind::Usage);
    assert_eq!(open("served", &[]).unwrap_err().kind(), Kind::Usage);
    assert!(open("auto", &[]).unwrap());
    assert!(!open("served", &[("serve_url", "http://127.0.0.1:1")]).unwrap());
    assert!(open("store", &[("serve_url", "http://127.0.0.1:1")]).unwrap());
}
