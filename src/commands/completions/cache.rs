//! A short-lived cache of listings for repeated completions.
//!
//! Each profile has one file with the names, ids, sizes and times of files. It contains no token. A hash of the base
//! URL, the dialect and the options detects a changed profile.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::model::{File, later};
use crate::settings::{Profile, Settings};

/// How long a cached listing is used.
const FRESH: SignedDuration = SignedDuration::from_secs(60);
/// The delay before the next request to a platform that did not respond.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The maximum size of a cache file, in bytes.
const LARGEST: usize = 1 << 20;

/// The first bytes of a serialized [`Page`].
const BEGIN: &[u8; 9] = b"{\"place\":";

/// The properties of a file shown in completions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) size: Option<u64>,
    pub(super) created_at: Option<Timestamp>,
}

impl From<File> for Known {
    fn from(file: File) -> Self {
        Self { id: file.id.0, name: file.name, size: file.size, created_at: file.created_at }
    }
}

/// The cache file of a profile.
pub(super) struct Cache {
    path: PathBuf,
    /// A hash of the profile's base URL, dialect and options.
    place: String,
}

#[derive(Serialize, Deserialize)]
struct Page {
    place: String,
    until: Timestamp,
    files: Vec<Known>,
}

/// A cached listing.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) files: Vec<Known>,
    /// Whether the listing is recent enough to be used without a request.
    pub(super) is_fresh: bool,
}

fn folder(settings: &Settings) -> PathBuf {
    settings.folders.cache.join("completions")
}

/// Deletes all cached listings after a command that changed files. Errors are ignored.
pub fn forget(settings: &Settings) {
    for entry in fs::read_dir(folder(settings)).into_iter().flatten().flatten() {
        if is_listing(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether [`Cache::write`] created this file.
fn is_listing(path: &Path) -> bool {
    let mut start = [0; BEGIN.len()];
    if !path.is_file() {
        return false;
    }
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *BEGIN
}

impl Cache {
    pub(super) fn of(settings: &Settings, profile: &Profile) -> Self {
        // The config file does not restrict profile names; one could be `..`.
        let name = utf8_percent_encode(&profile.name, NON_ALPHANUMERIC).to_string();
        let mut place = blake3::Hasher::new();
        place.update(profile.base_url.value.as_str().as_bytes());
        place.update(profile.dialect.value.as_bytes());
        for (key, value) in &profile.set {
            place.update(format!("\0{key}={}", value.value).as_bytes());
        }
        Self { path: folder(settings).join(name), place: place.finalize().to_string() }
    }

    /// Reads the cached listing; `None` if it is missing or the profile has changed.
    pub(super) fn read(&self, now: Timestamp) -> Option<Kept> {
        let mut text = Vec::new();
        fs::File::open(&self.path).ok()?.take(LARGEST as u64).read_to_end(&mut text).ok()?;
        let page: Page = serde_json::from_slice(&text).ok().filter(|page: &Page| page.place == self.place)?;
        // The second condition handles a clock that was set back.
        let is_fresh = now < page.until && page.until.duration_since(now) <= FRESH;
        Some(Kept { files: page.files, is_fresh })
    }

    /// Writes a listing. If the platform did not respond, `files` is the previous listing, which is kept for a short
    /// time.
    pub(super) fn write(&self, files: &[Known], answered: bool, now: Timestamp) {
        // If this fails, the next completion lists the files again.
        let _ = self.try_write(files, later(now, if answered { FRESH } else { PAUSE }));
    }

    fn try_write(&self, files: &[Known], until: Timestamp) -> std::io::Result<()> {
        let mut room = LARGEST - 1024;
        let fitting = files.iter().take_while(|file| {
            // An upper bound: the JSON around a file, plus six bytes per escaped character.
            let size = 100 + 6 * (file.id.len() + file.name.len());
            room.checked_sub(size).inspect(|left| room = *left).is_some()
        });
        let page = Page { place: self.place.clone(), until, files: fitting.cloned().collect() };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        if self.path.symlink_metadata().is_ok() && !is_listing(&self.path) {
            return Ok(());
        }
        // A temporary file is created with permissions for its owner only.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec(&page)?)?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_file_is_bounded_and_readable() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache { path: folder.path().join("new/far"), place: "here".to_owned() };
        let file =
            |name: &str| Known { id: "f1".to_owned(), name: name.to_owned(), size: None, created_at: None };
        for name in ["a", &"\u{1}".repeat(255), &"日".repeat(85)] {
            let files = vec![file(name); 50_000];
            cache.write(&files, true, Timestamp::UNIX_EPOCH);
            let size = fs::metadata(&cache.path).expect("a file").len();
            let kept = cache.read(Timestamp::UNIX_EPOCH).expect("a listing");
            assert!(size <= LARGEST as u64 && kept.is_fresh);
            assert!(!kept.files.is_empty() && kept.files.iter().all(|known| *known == files[0]));
        }
        let elsewhere = Cache { path: cache.path.clone(), place: "there".to_owned() };
        assert!(elsewhere.read(Timestamp::UNIX_EPOCH).is_none());
        fs::write(&cache.path, vec![b'['; 3 * LARGEST]).expect("a file");
        assert!(cache.read(Timestamp::UNIX_EPOCH).is_none());
        // A file that haul did not write is not replaced.
        cache.write(&[file("a")], true, Timestamp::UNIX_EPOCH);
        assert_eq!(fs::metadata(&cache.path).expect("a file").len(), 3 * LARGEST as u64);
    }
}
