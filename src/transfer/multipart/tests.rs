//! Tests for multipart uploads, with an in-memory platform.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::interrupt::Interrupt;
use crate::model::{Clock, FileId, NewFile, Source, Warn};
use crate::progress::silent;
use crate::providers::{Capabilities, Page, Provider, Query, Session, Spec, find};
use crate::secret::Secret;
use crate::source::Opened;
use crate::transfer::{IfExists, Ledger, UploadOptions};

const PART: u64 = 10;
/// The secret, as it appears in the ledger's file.
const SECRET: &str = "secret-of-a-session";

/// The content of a running session.
#[derive(Clone, Debug, Default)]
struct Running {
    parts: BTreeMap<u32, Vec<u8>>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<String, Running>,
    begun: u64,
    aborted: u64,
    /// The indexes of the parts that arrived, including repetitions.
    arrived: Vec<u32>,
    files: Vec<(File, Vec<u8>)>,
    /// The files of ended sessions, by session, for a platform that reports them.
    ended: BTreeMap<String, File>,
    /// The failures to inject, by step; each part and each completion is a step. If the flag is true, the data is
    /// stored first.
    failures: BTreeMap<u64, (Error, bool)>,
    steps: u64,
    in_flight: usize,
    most: usize,
    lifetime: Option<SignedDuration>,
}

/// A platform that receives parts in any order, or by offset.
#[derive(Default)]
struct Platform {
    state: Mutex<State>,
    by_offset: bool,
    ends_with_part: bool,
}

impl Platform {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn stores(state: &mut State, name: &str, content: Vec<u8>) -> File {
        let file = File {
            id: format!("file{}", state.files.len() + 1).into(),
            name: name.to_owned(),
            size: Some(content.len() as u64),
            created_at: Some(Timestamp::now()),
            ..File::default()
        };
        state.files.push((file.clone(), content));
        file
    }

    /// The failure planned for this step, if any.
    fn step(&self) -> Option<(Error, bool)> {
        let mut state = self.state();
        state.steps += 1;
        let step = state.steps;
        state.failures.remove(&step)
    }
}

fn gone() -> Error {
    Error::new(Kind::NotFound, "no such session")
}

fn lost() -> Error {
    Error::new(Kind::Unreachable, "no answer").unanswered()
}

/// The offset of a part, and its content.
fn bytes_of(file: &NewFile, part: PartRange) -> (usize, Vec<u8>) {
    let mut content = Vec::new();
    let read = Opened::open(&file.source).unwrap().read_all(|bytes| {
        content.extend_from_slice(bytes);
        Ok(())
    });
    read.unwrap();
    let from = usize::try_from(part.from).unwrap();
    (from, content[from..][..usize::try_from(part.len).unwrap()].to_vec())
}

#[async_trait]
impl Multipart for Platform {
    fn applies(&self, file: &NewFile) -> bool {
        file.size > PART
    }

    fn parallel(&self) -> usize {
        if self.by_offset { 1 } else { 3 }
    }

    fn ends_with_part(&self) -> bool {
        self.ends_with_part
    }

    async fn begin(&self, _file: &NewFile) -> Result<Session> {
        let mut state = self.state();
        state.begun += 1;
        let id = format!("session{}", state.begun);
        state.sessions.insert(id.clone(), Running::default());
        let expires_at = state.lifetime.map(|lifetime| Timestamp::now().checked_add(lifetime).unwrap());
        Ok(Session { id, secret: Some(Secret::new(SECRET)), part_size: PART, expires_at })
    }

    async fn put_part(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        progress: Arc<dyn Progress>,
    ) -> Result<String> {
        assert_eq!(session.secret.as_ref().map(Secret::expose), Some(SECRET));
        let (from, bytes) = bytes_of(file, part);
        {
            let mut state = self.state();
            state.in_flight += 1;
            state.most = state.most.max(state.in_flight);
        }
        progress.at(part.from + part.len / 2);
        tokio::task::yield_now().await;
        let failure = self.step();
        let mut state = self.state();
        state.in_flight -= 1;
        if let Some((error, false)) = failure {
            return Err(error);
        }
        state.arrived.push(part.index);
        let running = state.sessions.get_mut(&session.id).ok_or_else(gone)?;
        if self.by_offset {
            assert_eq!(running.bytes.len(), from, "parts are sent by offset");
            running.bytes.extend_from_slice(&bytes);
        } else {
            running.parts.insert(part.index, bytes);
        }
        failure.map_or_else(|| Ok(format!("tag{}", part.index)), |(error, _)| Err(error))
    }

    async fn put_last(
        &self,
        session: &Session,
        file: &NewFile,
        part: PartRange,
        _progress: Arc<dyn Progress>,
    ) -> Result<File> {
        assert!(self.ends_with_part && part.from + part.len == file.size);
        let failure = self.step();
        if let Some((error, false)) = failure {
            return Err(error);
        }
        let (from, bytes) = bytes_of(file, part);
        let mut state = self.state();
        state.arrived.push(part.index);
        let mut running = state.sessions.remove(&session.id).ok_or_else(gone)?;
        assert_eq!(running.bytes.len(), from, "parts are sent by offset");
        running.bytes.extend_from_slice(&bytes);
        let stored = Self::stores(&mut state, &file.name, running.bytes);
        state.ended.insert(session.id.clone(), stored.clone());
        failure.map_or(Ok(stored), |(error, _)| Err(error))
    }

    async fn complete(
        &self,
        session: &Session,
        file: &NewFile,
        tags: &[String],
        _checksums: &Checksums,
    ) -> Result<File> {
        let failure = self.step();
        if let Some((error, false)) = failure {
            return Err(error);
        }
        let mut state = self.state();
        let running = state.sessions.remove(&session.id).ok_or_else(gone)?;
        let content = if self.by_offset {
            running.bytes
        } else {
            let expected: Vec<String> = running.parts.keys().map(|index| format!("tag{index}")).collect();
            assert_eq!(tags, expected, "the tags keep their order");
            running.parts.into_values().flatten().collect()
        };
        let file = Self::stores(&mut state, &file.name, content);
        failure.map_or(Ok(file), |(error, _)| Err(error))
    }

    async fn abort(&self, session: &Session) -> Result<()> {
        let mut state = self.state();
        state.aborted += 1;
        state.sessions.remove(&session.id).map(|_| ()).ok_or_else(gone)
    }

    async fn received(&self, session: &Session) -> Result<Option<Received>> {
        if !self.by_offset {
            return Ok(None);
        }
        let state = self.state();
        if let Some(file) = state.ended.get(&session.id) {
            return Ok(Some(Received::File(Box::new(file.clone()))));
        }
        let running = state.sessions.get(&session.id).ok_or_else(gone)?;
        Ok(Some(Received::Bytes(running.bytes.len() as u64)))
    }
}

#[async_trait]
impl Provider for Platform {
    fn spec(&self) -> &'static Spec {
        find("xai").unwrap()
    }

    fn profile(&self) -> &'static str {
        "xai"
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.spec().dialects[0].can
    }

    fn multipart(&self) -> Option<&dyn Multipart> {
        Some(self)
    }

    async fn list(&self, _query: &Query, _cursor: Option<&str>) -> Result<Page> {
        let files = self.state().files.iter().map(|(file, _)| file.clone()).collect();
        Ok(Page { files, next: None })
    }

    async fn stat(&self, id: &FileId) -> Result<File> {
        let state = self.state();
        let found = state.files.iter().find(|(file, _)| file.id == *id);
        found.map(|(file, _)| file.clone()).ok_or_else(gone)
    }

    async fn upload(&self, _file: &NewFile, _progress: Arc<dyn Progress>) -> Result<File> {
        panic!("it is not sent whole")
    }

    async fn delete(&self, id: &FileId) -> Result<()> {
        self.state().files.retain(|(file, _)| file.id != *id);
        Ok(())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    platform: Arc<Platform>,
    clock: Clock,
}

impl Bench {
    fn new(by_offset: bool) -> Self {
        Self::of(Platform { by_offset, ..Platform::default() })
    }

    fn of(platform: Platform) -> Self {
        let platform = Arc::new(platform);
        let bench = Self { folder: tempfile::tempdir().unwrap(), platform, clock: Clock::default() };
        bench.write(&content());
        bench
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.bin")
    }

    fn write(&self, content: &[u8]) {
        fs::write(self.path(), content).unwrap();
    }

    fn file(&self) -> NewFile {
        let size = fs::metadata(self.path()).unwrap().len();
        NewFile { source: Source::Path(self.path()), size, ..NewFile::from_bytes("a.bin", "") }
    }

    /// Runs the command once. The ledger is opened again, as another process would.
    async fn run(&self) -> Result<String> {
        let ledger = Ledger::open(&self.folder.path().join("state"), "t", "c", Warn::default());
        let platform: Arc<dyn Provider> = Arc::clone(&self.platform) as _;
        let options = UploadOptions { if_exists: IfExists::Upload, ..UploadOptions::default() };
        let uploads = Uploads::new(platform, options, ledger, self.clock, Interrupt::default());
        let result = uploads.upload(&self.file(), silent().as_ref()).await;
        uploads.end(result.is_ok());
        result.map(|uploaded| uploaded.file.id.to_string())
    }

    fn fail(&self, step: u64, error: Error, stored: bool) {
        let mut state = self.platform.state();
        let step = state.steps + step;
        state.failures.insert(step, (error, stored));
    }

    /// The ids of the files. Their content must be that of the local file.
    fn files(&self) -> Vec<String> {
        let state = self.platform.state();
        let local = fs::read(self.path()).unwrap();
        assert!(state.files.iter().all(|(_, content)| *content == local));
        assert!(state.sessions.is_empty(), "a session is left");
        assert!(!self.ledger_contains(SECRET), "the secret of an ended session is left");
        state.files.iter().map(|(file, _)| file.id.to_string()).collect()
    }

    fn ledger_contains(&self, text: &str) -> bool {
        let state = fs::read_dir(self.folder.path().join("state")).unwrap();
        let files = state.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        files
            .map(|path| fs::read(path).unwrap())
            .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }
}

/// 55 bytes: six parts.
fn content() -> Vec<u8> {
    (0..55).collect()
}

#[tokio::test]
async fn parts_are_sent_concurrently_and_combined() {
    for (by_offset, most) in [(false, 3), (true, 1)] {
        let bench = Bench::new(by_offset);
        bench.run().await.unwrap();
        assert_eq!(bench.files(), ["file1"]);
        let state = bench.platform.state();
        assert_eq!((state.most, state.arrived.len(), state.aborted), (most, 6, 0));
    }
}

#[tokio::test]
async fn another_run_continues_at_the_first_missing_part() {
    for by_offset in [false, true] {
        for step in 1..=7 {
            let bench = Bench::new(by_offset);
            bench.fail(step, Error::new(Kind::Unreachable, "offline"), false);
            bench.run().await.unwrap_err();
            assert!(bench.ledger_contains(SECRET));
            assert_eq!(bench.run().await.unwrap(), "file1");
            assert_eq!(bench.files(), ["file1"]);
            let state = bench.platform.state();
            assert_eq!((state.begun, state.aborted), (1, 0));
            assert!(state.arrived.len() <= 6 + 2, "only the parts in flight are sent twice");
        }
    }
}

#[tokio::test]
async fn an_offset_is_asked_for_after_a_lost_answer() {
    for stored in [false, true] {
        let bench = Bench::new(true);
        bench.fail(3, lost(), stored);
        // An in-memory platform has no client, so there is only one attempt, and the next run resumes the upload.
        if bench.run().await.is_err() {
            bench.run().await.unwrap();
        }
        assert_eq!(bench.files(), ["file1"]);
        assert_eq!(bench.platform.state().arrived.len(), 6);
    }
}

#[tokio::test]
async fn a_lost_answer_to_the_completion_stores_one_file() {
    for stored in [false, true] {
        let bench = Bench::new(false);
        bench.fail(7, lost(), stored);
        // The file is found, or the next run completes the same session.
        if bench.run().await.is_err() {
            bench.run().await.unwrap();
        }
        assert_eq!(bench.files(), ["file1"]);
        let state = bench.platform.state();
        assert_eq!((state.begun, state.arrived.len()), (1, 6));
    }
}

#[tokio::test]
async fn a_file_is_looked_for_again_after_a_second_completion_is_rejected() {
    let bench = Bench::new(false);
    let rejected = Error::failed("the upload is completed").with_status(400);
    bench.fail(7, lost(), false);
    // The first completion was carried out late.
    bench.fail(8, rejected, true);
    if bench.run().await.is_err() {
        assert_eq!(bench.run().await.unwrap(), "file1");
    }
    assert_eq!(bench.files(), ["file1"]);
    let state = bench.platform.state();
    assert_eq!((state.begun, state.aborted, state.arrived.len()), (1, 0, 6));
}

#[tokio::test]
async fn the_last_part_completes_the_file() {
    let offline = || Error::new(Kind::Unreachable, "offline");
    let failures =
        (1..=6).flat_map(|step| [(step, offline(), false), (step, lost(), false), (step, lost(), true)]);
    // The process exits after the platform has stored the file.
    for (step, error, stored) in failures.chain([(6, offline(), true), (7, offline(), false)]) {
        let bench = Bench::of(Platform { by_offset: true, ends_with_part: true, ..Platform::default() });
        let case = format!("{step} {error:?} {stored}");
        bench.fail(step, error, stored);
        if bench.run().await.is_err() {
            assert_eq!(bench.run().await.unwrap(), "file1", "{case}");
        }
        assert_eq!(bench.files(), ["file1"], "{case}");
        let state = bench.platform.state();
        assert_eq!((state.begun, state.aborted, state.most), (1, 0, 1), "{case}");
        assert_eq!(state.arrived, [0, 1, 2, 3, 4, 5], "{case}");
    }
}

#[tokio::test]
async fn a_refusal_aborts_a_new_session_and_replaces_an_old_one() {
    let bench = Bench::new(false);
    bench.fail(2, Error::new(Kind::Platform, "refused"), false);
    bench.run().await.unwrap_err();
    assert_eq!(bench.files(), [""; 0]);
    assert_eq!(bench.platform.state().aborted, 1);

    bench.fail(2, Error::new(Kind::Unreachable, "offline"), false);
    bench.run().await.unwrap_err();
    bench.platform.state().sessions.clear();
    bench.run().await.unwrap();
    assert_eq!(bench.files(), ["file1"]);
    assert_eq!(bench.platform.state().begun, 3);
}

#[tokio::test]
async fn sessions_of_a_changed_file_and_expired_ones_are_aborted() {
    let bench = Bench::new(false);
    bench.fail(2, Error::new(Kind::Unreachable, "offline"), false);
    bench.run().await.unwrap_err();
    bench.write(&[7; 33]);
    bench.run().await.unwrap();
    assert_eq!(bench.files(), ["file1"]);
    assert_eq!(bench.platform.state().aborted, 1);

    let bench = Bench::new(false);
    bench.platform.state().lifetime = Some(SignedDuration::from_secs(-1));
    bench.fail(2, Error::new(Kind::Unreachable, "offline"), false);
    bench.run().await.unwrap_err();
    bench.run().await.unwrap();
    assert_eq!(bench.files(), ["file1"]);
    assert_eq!(bench.platform.state().begun, 2);
}

#[tokio::test]
async fn a_session_of_a_running_process_is_not_used() {
    let bench = Bench::new(false);
    let ledger = Ledger::open(&bench.folder.path().join("state"), "t", "other", Warn::default());
    let session = bench.platform.begin(&bench.file()).await.unwrap();
    ledger.begin_session(&bench.file(), &session, Timestamp::now());
    bench.run().await.unwrap();
    assert_eq!(bench.platform.state().begun, 2);
    drop(ledger);
    assert_eq!(bench.platform.state().sessions.len(), 1, "it was not aborted");
}
