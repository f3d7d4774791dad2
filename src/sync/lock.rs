//! The lock file, `haul.lock`: the files on platforms that belong to the local files of a project.
//!
//! It is JSON with sorted keys and one file per line, so that it can be committed, merged and read by other programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, word};
use crate::files;
use crate::model::FileId;

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

/// A file on a platform that belongs to a local file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its id.
    pub id: FileId,
    /// Its name on the platform.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its content, in lowercase hex.
    pub sha256: String,
    /// The time of the upload, UTC.
    pub uploaded_at: Timestamp,
    /// Its expiry, UTC, if it has one.
    pub expires_at: Option<Timestamp>,
    /// Why it is in the lock file.
    pub origin: Origin,
    /// The replaced file, until it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<FileId>,
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

/// Reads a map and rejects a repeated key: of two rows for one path, either could be the right one.
fn unique<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    struct Unique<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = members.next_entry()? {
                if map.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
                }
                map.insert(key, value);
            }
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
    /// The content on disk; `None` if the file does not exist.
    written: Option<String>,
}

/// The exclusive use of a lock file: a lock on its folder, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    _folder: fs::File,
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

    /// The path of the lock file for a command in `folder`: the nearest existing one up to the root of the repository, or
    /// else a new one in `folder`.
    fn find(folder: &Path) -> PathBuf {
        // Outside a repository, only the folder itself counts.
        let above = folder.ancestors().position(|place| place.join(".git").exists()).unwrap_or_default();
        let mut places = folder.ancestors().take(above + 1).map(|place| place.join(NAME));
        places.find(|path| path.exists()).unwrap_or_else(|| folder.join(NAME))
    }

    /// Reads a lock file. A missing one is empty.
    pub fn read(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let written = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let document = match &written {
            None => Document { version: VERSION, targets: BTreeMap::new() },
            Some(text) => parse(text, &path)?,
        };
        Ok(Self { path, document, written })
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

    /// Adds the profile if it is missing. Fails if its files have another platform, base URL or scope than `like`.
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

    /// Changes the files of a profile that was [opened](Self::open).
    pub fn change(&mut self, profile: &str, change: impl FnOnce(&mut Target)) {
        if let Some(target) = self.document.targets.get_mut(profile) {
            change(target);
        }
    }

    /// Writes the file if its content has changed.
    pub fn write(&mut self) -> Result<()> {
        let text = render(&self.document);
        let is_empty = self.document.targets.values().all(|target| target.files.is_empty());
        let is_new_and_empty = self.written.is_none() && is_empty;
        if self.written.as_deref() == Some(&text) || is_new_and_empty {
            return Ok(());
        }
        files::replace(&self.path, text.as_bytes(), false)
            .map_err(|error| Error::io("write", &self.path, error))?;
        self.written = Some(text);
        Ok(())
    }
}

/// Parses the text of the lock file at `path`.
fn parse(text: &str, path: &Path) -> Result<Document> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let shown = path.display();
    let quoted = path.to_string_lossy();
    let quoted = word(&quoted);
    let is_mark = |line: &str| ["<<<<<<< ", "||||||| ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark));
    if let Some(at) = text.lines().position(is_mark) {
        return Err(Error::failed(format!("{shown}: merge conflict on line {}", at + 1)).hint(format!(
            "to keep one side: `git checkout --ours {quoted}`, then run the same command again; it finds the files of \
             the other side"
        )));
    }
    if let Ok(Version { version }) = serde_json::from_str::<Version>(text)
        && version != VERSION
    {
        let message =
            format!("{shown}: unsupported version {version}: this version of haul reads version {VERSION}");
        return Err(Error::failed(message).hint("use the version of haul that wrote it"));
    }
    serde_json::from_str(text).map_err(|error| {
        Error::failed(format!("{shown}: not a valid lock file"))
            .caused_by(error)
            .hint(format!("to restore the committed version: `git checkout {quoted}`"))
            .hint(format!(
                "to rebuild it from the files on the platform: `rm {quoted}`, then run the same command again"
            ))
    })
}

/// The text of a lock file, with one line per file.
fn render(document: &Document) -> String {
    let Document { version, targets } = document;
    let targets: Vec<_> = targets.iter().filter(|(_, target)| !target.files.is_empty()).collect();
    let mut text = format!("{{\n  \"version\": {version},\n  \"targets\": {{");
    for (at, (profile, target)) in targets.iter().copied().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        let Target { provider, base_url, scope, files } = target;
        let _ = writeln!(text, "    {}: {{", json(profile));
        let _ = writeln!(text, "      \"provider\": {},", json(provider));
        let _ = writeln!(text, "      \"base_url\": {},", json(base_url));
        let _ = write!(text, "      \"scope\": {},\n      \"files\": {{", json(scope));
        for (at, (path, row)) in files.iter().enumerate() {
            text.push_str(if at == 0 { "\n" } else { ",\n" });
            let _ = write!(text, "        {}: {}", json(path), json(row));
        }
        text.push_str("\n      }\n    }");
    }
    text.push_str(if targets.is_empty() { "}\n}\n" } else { "\n  }\n}\n" });
    text
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
            name: "a.txt".to_owned(),
            size: 5,
            sha256: "00".repeat(32),
            uploaded_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            origin: Origin::Uploaded,
            replaces: None,
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
            lock.change("xai", |target| drop(target.files.insert(path.to_owned(), row(id))));
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
        lock.change("xai", |target| target.files.clear());
        lock.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"version\": 1,\n  \"targets\": {}\n}\n");
    }

    #[test]
    fn an_invalid_lock_file_is_an_error_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let document = render(&Document {
            version: 1,
            targets: [("xai".to_owned(), Target { files: [("a".to_owned(), row("f"))].into(), ..like() })]
                .into(),
        });
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
