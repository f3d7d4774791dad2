//! What the store keeps of a file here, and the rules for what may be kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::SPACE;
use super::refusal::Refusal;
use crate::emulator::{Site, ids};
use crate::model::{File, FileId};

/// The upload status of a file whose content is there.
pub(super) const COMPLETE: &str = "Complete";
/// Lifetimes in seconds that a file or a public URL may have.
const LIFETIMES: std::ops::RangeInclusive<i64> = 3600..=2_592_000;
/// Characters of a name.
const LONGEST_NAME: usize = 255;

/// Keys of `extra`: the token of the file's public URL, when that ends (Unix seconds; missing where it does not).
pub(super) const PUBLIC_TOKEN: &str = "public_token";
pub(super) const PUBLIC_URL_EXPIRES_AT: &str = "public_url_expires_at";

/// What this platform reads from a file of the store.
pub(super) trait Record {
    /// A text in `extra`.
    fn noted(&self, key: &str) -> Option<&str>;

    /// The file's public URL while it works, and when it ends in Unix seconds.
    fn public_url(&self, root: &str, now: Timestamp) -> Option<(String, Option<i64>)>;
}

impl Record for File {
    fn noted(&self, key: &str) -> Option<&str> {
        self.extra.get(key).and_then(Value::as_str)
    }

    fn public_url(&self, root: &str, now: Timestamp) -> Option<(String, Option<i64>)> {
        let token = self.noted(PUBLIC_TOKEN)?;
        let expires_at = self.extra.get(PUBLIC_URL_EXPIRES_AT).and_then(Value::as_i64);
        let works = expires_at.is_none_or(|end| now.as_second() < end);
        let extension = extension(&self.name);
        works.then(|| (format!("{root}/files-cdn/{token}/{}.{extension}", self.id), expires_at))
    }
}

/// What follows the last dot of a name; nothing where there is none.
pub(super) fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// A file that begins now, under a new id.
pub(super) fn new(site: &Site, name: &str, content_type: Option<&str>, lifetime: Option<i64>) -> File {
    let now = site.clock.now();
    let by_name = || mime_guess::from_path(name).first_or_octet_stream().to_string();
    File {
        provider: SPACE.to_owned(),
        id: FileId(format!("file_{}", ids::uuid())),
        name: name.to_owned(),
        content_type: Some(content_type.map_or_else(by_name, str::to_owned)),
        created_at: Some(now),
        expires_at: lifetime.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok()),
        ..File::default()
    }
}

/// Marks a file's content as there and processed.
pub(super) fn complete(file: &mut File) {
    file.status = Some(COMPLETE.to_owned());
    file.extra.insert("processing_status".to_owned(), "complete".into());
}

/// One file.
pub(super) async fn stat(site: &Site, id: &FileId) -> Result<File, Refusal> {
    let asked = id.clone();
    site.blocking(move |store| store.stat(SPACE, &asked)).await.map_err(Refusal::about(id.as_str()))
}

/// Refuses names that the service refuses. A `/` is allowed: a name is never a path here.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let is_forbidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '"' | ';' | '\\');
    if name.is_empty() || name.chars().any(is_forbidden) {
        return Err(Refusal::invalid("Invalid filename"));
    }
    if name.chars().nth(LONGEST_NAME).is_some() {
        return Err(Refusal::invalid("Invalid filename: more than 255 characters"));
    }
    Ok(())
}

/// Refuses lifetimes outside an hour to 30 days.
pub(super) fn check_lifetime(seconds: i64) -> Result<i64, Refusal> {
    if LIFETIMES.contains(&seconds) {
        return Ok(seconds);
    }
    Err(Refusal::invalid("expires_after must be between 3600 and 2592000 seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_stand_in_a_header_are_refused() {
        for good in ["a", "naïve 日本.pdf", "sub/a.md", "..", "%22", &"é".repeat(255)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "a\"b",
            "a;b",
            "a\\b",
            "a\rb",
            "a\nb",
            "a\0b",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{2028}",
            "a\u{2029}",
        ];
        for bad in bad.into_iter().chain([&*"é".repeat(256)]) {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lifetimes_are_an_hour_to_thirty_days() {
        let allowed = [3600, 2_592_000].map(|seconds| check_lifetime(seconds).is_ok());
        let refused = [0, -1, 3599, 2_592_001, i64::MAX].map(|seconds| check_lifetime(seconds).is_err());
        assert!(allowed.into_iter().chain(refused).all(|as_expected| as_expected));
    }
}
