//! The lock file, `haul.lock`: the files on platforms that correspond to the local files of a project.
//!
//! It is JSON with sorted keys and one file per line, so that it can be committed, merged and read by other programs.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::error::{Error, Result, word};
use crate::files;
use crate::model::{FileId, hex};

/// The name of the lock file.
const NAME: &str = "haul.lock";
/// The version of its format.
const VERSION: u64 = 1;
/// How long one command waits for another with the same lock file.
const PATIENCE: Duration = Duration::from_mins(10);
/// The time between attempts to lock the folder.
const RETRY: Duration = Duration::from_millis(100);

/// The content of a lock file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    #[serde(deserialize_with = "unique")]
    targets: BTreeMap<String, Target>,
}

/// The files of one profile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The platform.
    pub provider: String,
    /// The base URL of its API; empty for the store of this machine.
    pub base_url: String,
    /// The settings that select the files of the platform, such as a workspace.
    #[serde(deserialize_with = "unique")]
    pub scope: BTreeMap<String, String>,
    /// The files by local path, relative to the folder of the lock file, with `/` between components.
    #[serde(deserialize_with = "unique")]
    pub files: BTreeMap<String, Row>,
}

/// A file on a platform that corresponds to a local file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its id.
    pub id: FileId,
    /// Its name on the platform.
    pub name: Box<str>,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content.
    pub sha256: Sha256,
    /// The time of the upload, UTC.
    pub uploaded_at: Timestamp,
    /// Its expiry, UTC, if it has one.
    pub expires_at: Option<Timestamp>,
    /// Why it is in the lock file.
    pub origin: Origin,
    /// The replaced file, until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<FileId>>,
    /// The state on the platform, once the listing is read.
    #[serde(skip)]
    pub state: State,
}

/// Why a file is in the lock file. Only uploaded files are replaced and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `haul sync` uploaded it.
    Uploaded,
    /// It existed with the same content.
    Adopted,
}

/// A SHA-256 digest, serialized as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Parses 64 hexadecimal digits. Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        for (at, byte) in bytes.iter_mut().enumerate().take_while(|_| is_hex) {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        is_hex.then_some(Self(bytes))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a SHA-256"))
    }
}

impl From<Sha256> for String {
    fn from(Sha256(bytes): Sha256) -> Self {
        hex(&bytes)
    }
}

/// Reads a map and rejects a repeated key: of two rows for one path, either could be the right one.
fn unique<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    struct Unique<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            // A map built from sorted keys needs half the memory.
            let (mut sorted, mut others) = (Vec::<(String, V)>::new(), BTreeMap::new());
            while let Some((key, value)) = members.next_entry()? {
                let is_last = sorted.last().is_none_or(|(last, _)| *last < key);
                let is_duplicate = others.contains_key(&key)
                    || (!is_last && sorted.binary_search_by(|(other, _)| other.cmp(&key)).is_ok());
                if is_duplicate {
                    return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
                }
                if is_last {
                    sorted.push((key, value));
                } else {
                    others.insert(key, value);
                }
            }
            let mut map = BTreeMap::from_iter(sorted);
            map.append(&mut others);
            Ok(map)
        }
    }
    from.deserialize_map(Unique(PhantomData))
}

/// An open lock file.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    document: Document,
    /// The hash of the file on disk; `None` if it does not exist.
    written: Option<blake3::Hash>,
}

/// Hashes what is read.
struct Hashed {
    file: fs::File,
    hash: blake3::Hasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// The exclusive use of a lock file. The folder of the lock file stays locked until this value is dropped.
#[derive(Debug)]
pub struct Hold {
    _folder: files::Locked,
}

impl Hold {
    /// Locks the folder of a lock file against other commands. Calls `waits` once if another command has the lock.
    pub async fn take(path: &Path, waits: impl FnOnce(&Path)) -> Result<Self> {
        let folder = files::folder_of(path);
        let begun = Instant::now();
        let mut waits = Some(waits);
        loop {
            let locked = files::lock_folder(folder).map_err(|error| Error::io("lock", folder, error))?;
            if let Some(held) = locked {
                return Ok(Self { _folder: held });
            }
            if begun.elapsed() > PATIENCE {
                let message = format!("{}: another `haul sync` is still using it", path.display());
                return Err(Error::failed(message).hint("wait for the other command, or stop it"));
            }
            if let Some(waits) = waits.take() {
                waits(folder);
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

impl Lock {
    /// The path of the lock file for a command in the current directory.
    pub fn nearest() -> Result<PathBuf> {
        let here = std::env::current_dir().map_err(|error| Error::io("find", Path::new("."), error))?;
        Ok(Self::find(&here))
    }

    /// The path of the lock file for a command in `folder`: the nearest existing one up to the root of the repository,
    /// or else a new one in `folder`.
    fn find(folder: &Path) -> PathBuf {
        // Outside a repository, only the folder itself is searched.
        let above = folder.ancestors().position(|place| place.join(".git").exists()).unwrap_or_default();
        let mut places = folder.ancestors().take(above + 1).map(|place| place.join(NAME));
        places.find(|path| path.exists()).unwrap_or_else(|| folder.join(NAME))
    }

    /// Reads a lock file. A missing one is empty.
    pub fn read(path: &Path) -> Result<Self> {
        let path = files::absolute(path);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let document = Document { version: VERSION, targets: BTreeMap::new() };
                return Ok(Self { path, document, written: None });
            }
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let mut reader = BufReader::new(Hashed { file, hash: blake3::Hasher::new() });
        match serde_json::from_reader::<_, Document>(&mut reader) {
            Ok(document) if document.version == VERSION => {
                let written = Some(reader.into_inner().hash.finalize());
                Ok(Self { path, document, written })
            }
            parsed => Err(invalid(&path, parsed.err())),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its folder, which the local paths are relative to.
    pub fn folder(&self) -> &Path {
        files::folder_of(&self.path)
    }

    /// All targets, by profile.
    pub fn targets(&self) -> &BTreeMap<String, Target> {
        &self.document.targets
    }

    /// Adds the profile if it is missing. Fails if the recorded platform, base URL or scope differs from `like`.
    pub fn open(&mut self, profile: &str, like: &Target) -> Result<()> {
        let path = self.path.display().to_string();
        let target = self
            .document
            .targets
            .entry(profile.to_owned())
            .or_insert_with(|| Target { files: BTreeMap::new(), ..like.clone() });
        for (what, recorded, now) in [
            ("platform", &target.provider, &like.provider),
            ("base URL", &target.base_url, &like.base_url),
            ("scope", &format!("{:?}", target.scope), &format!("{:?}", like.scope)),
        ] {
            if recorded != now {
                return Err(Error::usage(format!(
                    "{path}: the files of {profile} were uploaded with the {what} {recorded}, but the profile has {now}"
                ))
                .hint("use the settings that the files were uploaded with, or another lock file: `--lock FILE`"));
            }
        }
        Ok(())
    }

    /// The target for a profile, which is created if it is missing.
    pub fn target_mut(&mut self, profile: &str) -> &mut Target {
        self.document.targets.entry(profile.to_owned()).or_default()
    }

    /// Writes the file if its content has changed.
    pub fn write(&mut self) -> Result<()> {
        let is_empty = self.document.targets.values().all(|target| target.files.is_empty());
        if self.written.is_none() && is_empty {
            return Ok(());
        }
        let failed = |error| Error::io("write", &self.path, error);
        let mut hash = blake3::Hasher::new();
        render(&self.document, &mut hash).map_err(failed)?;
        let written = Some(hash.finalize());
        if self.written != written {
            files::replace_with(&self.path, false, |file| render(&self.document, file)).map_err(failed)?;
            self.written = written;
        }
        Ok(())
    }
}

/// The error for a file that is not a lock file of this version.
fn invalid(path: &Path, error: Option<serde_json::Error>) -> Error {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return Error::io("read", path, error),
    };
    let shown = path.display();
    let quoted = path.to_string_lossy();
    let quoted = word(&quoted);
    let is_mark = |line: &str| ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark));
    if let Some(at) = text.lines().position(is_mark) {
        return Error::failed(format!("{shown}: merge conflict on line {}", at + 1)).hint(format!(
            "to keep one side: `git checkout --ours {quoted}`, then run the same command again; haul finds the files of \
             the other side on the platform"
        ));
    }
    if let Ok(Version { version }) = serde_json::from_str::<Version>(&text)
        && version != VERSION
    {
        let message =
            format!("{shown}: unsupported version {version}: this version of haul reads version {VERSION}");
        return Error::failed(message).hint("use the version of haul that wrote it");
    }
    let invalid = Error::failed(format!("{shown}: not a valid lock file"));
    let invalid = error.into_iter().fold(invalid, Error::caused_by);
    invalid.hint(format!("to restore the committed version: `git checkout {quoted}`")).hint(format!(
        "to rebuild it from the files on the platform: `rm {quoted}`, then run the same command again"
    ))
}

/// Writes a lock file, with one line per file.
fn render(document: &Document, out: impl Write) -> io::Result<()> {
    let Document { version, targets } = document;
    let mut out = BufWriter::new(out);
    let targets: Vec<_> = targets.iter().filter(|(_, target)| !target.files.is_empty()).collect();
    write!(out, "{{\n  \"version\": {version},\n  \"targets\": {{")?;
    for (at, (profile, target)) in targets.iter().copied().enumerate() {
        out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
        let Target { provider, base_url, scope, files } = target;
        writeln!(out, "    {}: {{", json(profile))?;
        writeln!(out, "      \"provider\": {},", json(provider))?;
        writeln!(out, "      \"base_url\": {},", json(base_url))?;
        write!(out, "      \"scope\": {},\n      \"files\": {{", json(scope))?;
        for (at, (path, row)) in files.iter().enumerate() {
            out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            out.write_all(b"        ")?;
            serde_json::to_writer(&mut out, path)?;
            out.write_all(b": ")?;
            serde_json::to_writer(&mut out, row)?;
        }
        out.write_all(b"\n      }\n    }")?;
    }
    out.write_all(if targets.is_empty() { b"}\n}\n" } else { b"\n  }\n}\n" })?;
    out.flush()
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::sync) fn row(id: &str) -> Row {
        Row {
            id: id.into(),
            name: "a.txt".into(),
            size: 5,
            sha256: Sha256::default(),
            uploaded_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            origin: Origin::Uploaded,
            replaces: None,
            state: State::default(),
        }
    }

    fn like() -> Target {
        Target { provider: "xai".to_owned(), base_url: "https://api.x.ai/v1".to_owned(), ..Target::default() }
    }

    #[test]
    fn a_lock_file_has_a_line_per_file_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let mut lock = Lock::read(&path).unwrap();
        lock.write().unwrap();
        assert!(!path.exists(), "nothing to record");
        lock.open("xai", &like()).unwrap();
        for (path, id) in [("docs/b \"q\".txt", "f2"), ("docs/a.txt", "f1")] {
            lock.target_mut("xai").files.insert(path.to_owned(), row(id));
        }
        lock.write().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[8].split(':').next(), Some("        \"docs/a.txt\""), "{text}");
        assert_eq!(lines.len(), 14, "{text}");
        assert!(!text.contains("replaces"), "{text}");
        let again = Lock::read(&path).unwrap();
        assert_eq!(again.document, lock.document);
        let mut other = again;
        let moved = Target { base_url: "https://example.com".to_owned(), ..like() };
        assert!(
            other.open("xai", &moved).unwrap_err().message().contains("the base URL https://api.x.ai/v1")
        );
        // Without files the target is dropped.
        lock.target_mut("xai").files.clear();
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"version\": 1,\n  \"targets\": {}\n}\n");
    }

    #[test]
    fn an_invalid_lock_file_is_an_error_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let targets = Target { files: [("a".to_owned(), row("f"))].into(), ..like() };
        let targets = [("xai".to_owned(), targets)].into();
        let mut document = Vec::new();
        render(&Document { version: 1, targets }, &mut document).unwrap();
        let document = String::from_utf8(document).unwrap();
        let line = document.lines().nth(8).unwrap();
        for (text, expected) in [
            (document[..document.len() / 2].to_owned(), "not a valid lock file"),
            (String::new(), "not a valid lock file"),
            (document.replace("\"version\": 1", "\"version\": 2"), "unsupported version 2"),
            (document.replace(line, &format!("{line},\n{line}")), "not a valid lock file"),
            (document.replace("\"size\"", "\"length\""), "not a valid lock file"),
            (format!("<<<<<<< ours\n{document}=======\n>>>>>>> theirs\n"), "merge conflict on line 1"),
        ] {
            fs::write(&path, &text).unwrap();
            let error = Lock::read(&path).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
            assert!(!error.hints().is_empty(), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_lock_file_is_searched_up_to_the_root_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let deep = root.join("repo/docs/en");
        fs::create_dir_all(&deep).unwrap();
        fs::write(root.join(NAME), "").unwrap();
        assert_eq!(Lock::find(&deep), deep.join(NAME), "outside a repository");
        fs::create_dir(root.join("repo/.git")).unwrap();
        assert_eq!(Lock::find(&deep), deep.join(NAME), "beyond the root of the repository");
        fs::write(root.join("repo").join(NAME), "").unwrap();
        assert_eq!(Lock::find(&deep), root.join("repo").join(NAME));
    }
}
