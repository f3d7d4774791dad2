//! The data model shared by all platforms.
//!
//! Of the crate's modules, this one depends only on `spool`. `--json` prints [`File`], so its fields are a public
//! contract.

use std::borrow::Cow;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

/// A JSON object whose keys keep their order.
pub type Object = Map<String, Value>;

/// A platform's id for a file. It is opaque, and is percent-encoded in URL paths. The id of an object in a bucket is
/// its key, in which `/` is not encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct FileId(pub String);

impl FileId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for FileId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for FileId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The status words, in lowercase, that a platform uses for files whose processing has ended.
#[derive(Clone, Copy, Debug)]
pub struct StatusWords {
    /// The words for files that are ready for use.
    pub ready: &'static [&'static str],
    /// The words for files that could not be processed or no longer exist.
    pub failed: &'static [&'static str],
}

impl StatusWords {
    /// No status words.
    pub const NONE: Self = Self { ready: &[], failed: &[] };

    /// The status words used by several platforms.
    pub const COMMON: Self = Self {
        ready: &["complete", "completed", "indexed", "processed", "ready"],
        failed: &["failed", "error", "cancelled"],
    };
}

/// The text in Unicode normalization form C.
pub fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// Whether two names are the same text, that is, whether their bytes or their NFC forms are equal. macOS may store `é`
/// as two characters; other systems store it as one.
pub fn names_match(a: &str, b: &str) -> bool {
    a == b || a.nfc().eq(b.nfc())
}

/// The possible spellings of a name on a platform: as given, in NFC and in NFD, without duplicates.
pub fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned()];
    for other in [name.nfc().collect(), name.nfd().collect()] {
        if !spellings.contains(&other) {
            spellings.push(other);
        }
    }
    spellings
}

/// Formats bytes as lowercase hexadecimal, two digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Prints warnings. The default value discards them.
#[derive(Clone, Default)]
pub struct Warn(Option<Arc<Say>>);

type Say = dyn Fn(&str) + Send + Sync;

impl Warn {
    /// Creates a value that prints each warning with `say`.
    pub fn by(say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(say)))
    }

    /// Prints a warning.
    pub fn say(&self, text: &str) {
        if let Some(say) = &self.0 {
            say(text);
        }
    }
}

impl fmt::Debug for Warn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warn")
    }
}

/// Checksums reported by the platform, in lowercase hex. Other checksums are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Checksums {
    /// BLAKE3, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// SHA-256, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// MD5, 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

impl Checksums {
    /// The names of the supported algorithms.
    pub const KINDS: [&'static str; 3] = ["blake3", "sha256", "md5"];

    /// A single checksum: `kind` is `blake3`, `sha256` or `md5`.
    pub fn of(kind: &str, digest: &str) -> Self {
        let is = |name| (kind == name).then(|| digest.to_owned());
        Self { blake3: is("blake3"), sha256: is("sha256"), md5: is("md5") }
    }

    /// The checksum of this kind, if known.
    pub fn get(&self, kind: &str) -> Option<&str> {
        match kind {
            "blake3" => self.blake3.as_deref(),
            "sha256" => self.sha256.as_deref(),
            "md5" => self.md5.as_deref(),
            _ => None,
        }
    }
}

/// A file on a platform. In JSON, every key is always present; a value is null if the platform does not report it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "file")]
pub struct File {
    /// The provider's name, such as `xai`.
    pub provider: String,
    /// The profile used to access the file.
    pub profile: String,
    /// The platform's id for the file.
    pub id: FileId,
    /// The name as reported by the server; escaped only in a terminal.
    pub name: String,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Media type, as reported by the platform.
    pub content_type: Option<String>,
    /// Purpose, as reported by the platform.
    pub purpose: Option<String>,
    /// Folder path on the platform, without the file name.
    pub path: Option<String>,
    /// Status, as reported by the platform.
    pub status: Option<String>,
    /// Creation time, UTC.
    pub created_at: Option<Timestamp>,
    /// Time of the last change, UTC.
    pub updated_at: Option<Timestamp>,
    /// Expiry, UTC; null if the file does not expire or the platform does not report it.
    pub expires_at: Option<Timestamp>,
    /// Checksums reported by the platform.
    pub checksums: Checksums,
    /// User-defined metadata.
    pub metadata: Object,
    /// Whether the content can be downloaded.
    pub downloadable: Option<bool>,
    /// URL of the content.
    pub url: Option<String>,
    /// All other fields of the platform's response, unchanged.
    pub extra: Object,
}

impl File {
    /// The names of all fields in the order used by `--json`; `--fields` and `--sort` accept the same names.
    pub const FIELDS: [&'static str; 17] = [
        "provider",
        "profile",
        "id",
        "name",
        "size",
        "content_type",
        "purpose",
        "path",
        "status",
        "created_at",
        "updated_at",
        "expires_at",
        "checksums",
        "metadata",
        "downloadable",
        "url",
        "extra",
    ];
}

impl File {
    /// The names of all fields plus additional ones, for commands that add fields to the row for a file.
    pub const fn fields_and<const N: usize>(more: &[&'static str]) -> [&'static str; N] {
        assert!(N == Self::FIELDS.len() + more.len());
        let mut fields = [""; N];
        let mut at = 0;
        while at < N {
            let own = at < Self::FIELDS.len();
            fields[at] = if own { Self::FIELDS[at] } else { more[at - Self::FIELDS.len()] };
            at += 1;
        }
        fields
    }
}

/// A link to a file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The platform's id for the link, if it has one.
    pub id: Option<String>,
    /// The URL; anyone who has it can read the file.
    pub url: String,
    /// Expiry, UTC; `None` if the link does not expire.
    pub expires_at: Option<Timestamp>,
}

/// A reference to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ref {
    /// An id, or an exact name if no file has this id.
    Any(String),
    /// An id, written `id:…`.
    Id(String),
    /// An exact name, written `name:…`.
    Name(String),
}

impl Ref {
    /// Parses `[id:|name:]text`.
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some(("id", id)) => Self::Id(id.to_owned()),
            Some(("name", name)) => Self::Name(name.to_owned()),
            _ => Self::Any(text.to_owned()),
        }
    }

    /// The text without its prefix.
    pub fn text(&self) -> &str {
        match self {
            Self::Any(text) | Self::Id(text) | Self::Name(text) => text,
        }
    }
}

/// A reference as typed on the command line, `[profile:]ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The profile; `None` selects the command's profile.
    pub profile: Option<String>,
    /// The file.
    pub reference: Ref,
}

impl Address {
    /// The profile, if the address denotes all files of a profile: `PROFILE:`.
    pub fn whole_profile(&self) -> Option<&str> {
        let is_whole = matches!(&self.reference, Ref::Any(text) if text.is_empty());
        self.profile.as_deref().filter(|_| is_whole)
    }

    /// Parses `[profile:][id:|name:]text`. A prefix is a profile only if `is_profile` returns true for it, so
    /// `a:b.txt` can be a name.
    ///
    /// An object address such as `s3://BUCKET/KEY` has the profile `s3://BUCKET`, and `s3://BUCKET/PREFIX/` denotes all
    /// objects of the profile with this name.
    pub fn parse(text: &str, is_profile: impl Fn(&str) -> bool) -> Self {
        if let Some((profile, key)) = objects(text)
            && is_profile(profile)
        {
            return match key {
                Key::Whole(key) => {
                    Self { profile: Some(profile.to_owned()), reference: Ref::Any(key.to_owned()) }
                }
                Key::Reference(rest) => {
                    Self { profile: Some(profile.to_owned()), reference: Ref::parse(rest) }
                }
            };
        }
        let (profile, rest) = match text.split_once(':') {
            Some((prefix, rest)) if is_profile(prefix) => (Some(prefix.to_owned()), rest),
            _ => (None, text),
        };
        Self { profile, reference: Ref::parse(rest) }
    }
}

/// The text after the profile of an object address.
enum Key<'a> {
    /// A key, or empty for all objects.
    Whole(&'a str),
    /// A reference, which may start with `id:` or `name:`.
    Reference(&'a str),
}

/// The profile and the rest of an object address: `s3://BUCKET/KEY`, `s3://BUCKET/PREFIX/`, or a profile of this form
/// followed by `:` and a reference. `None` if the text is not an object address.
fn objects(text: &str) -> Option<(&str, Key<'_>)> {
    let start = text.find("://")? + "://".len();
    if let Some(at) = text[start..].find("/:") {
        let (profile, rest) = text.split_at(start + at + 1);
        return Some((profile, Key::Reference(&rest[1..])));
    }
    let Some(at) = text[start..].find(['/', ':']) else { return Some((text, Key::Whole(""))) };
    let (profile, rest) = text.split_at(start + at);
    Some(match rest.strip_prefix('/') {
        None => (profile, Key::Reference(&rest[1..])),
        Some("") => (profile, Key::Whole("")),
        Some(key) if key.ends_with('/') => (text, Key::Whole("")),
        Some(key) => (profile, Key::Whole(key)),
    })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(profile), Ref::Any(key)) = (&self.profile, &self.reference)
            && profile.contains("://")
        {
            return write!(f, "{}/{key}", profile.trim_end_matches('/'));
        }
        if let Some(profile) = &self.profile {
            write!(f, "{profile}:")?;
        }
        match &self.reference {
            Ref::Any(text) => f.write_str(text),
            Ref::Id(text) => write!(f, "id:{text}"),
            Ref::Name(text) => write!(f, "name:{text}"),
        }
    }
}

/// Where a new file's content comes from. A source can be opened repeatedly, so each attempt can send it from the
/// start.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file on this machine.
    Path(PathBuf),
    /// A temporary file with a copy of standard input, deleted when the last reference is dropped.
    Spooled(Arc<crate::spool::Spool>),
    /// Bytes in memory.
    Bytes(bytes::Bytes),
    /// A file on a platform.
    Remote(Arc<dyn Remote>),
}

impl Source {
    /// The path of a local file, or the reference of a file on a platform. Reports and the ledger identify the source
    /// by it.
    pub fn place(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Remote(remote) => Some(remote.place()),
            Self::Spooled(_) | Self::Bytes(_) => None,
        }
    }
}

/// A file on a platform, as the source of an upload. Its content is downloaded while it is sent.
pub trait Remote: fmt::Debug + Send + Sync {
    /// The file.
    fn file(&self) -> &File;

    /// Its reference, `PROFILE:id:ID`.
    fn place(&self) -> &Path;

    /// The size in bytes, if known.
    fn size(&self) -> Option<u64>;

    /// Opens the content at byte `from`, and ends an earlier download. The reader blocks, so it must not be used on a
    /// thread that runs asynchronous code. It verifies the content at the end. Its errors wrap an error of this crate.
    fn open(&self, from: u64) -> io::Result<Box<dyn io::Read + Send>>;

    /// Ends the running download. The future completes once nothing of the download is left on the platform.
    fn close(&self) -> BoxFuture<'static, ()>;

    /// Downloads the content, so that it can be opened again without another download and its size is known. Blocks.
    fn spool(&self) -> io::Result<()>;
}

/// The clock. Tests set a fixed time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(pub Option<Timestamp>);

impl Clock {
    /// The current time.
    pub fn now(self) -> Timestamp {
        self.0.unwrap_or_else(Timestamp::now)
    }
}

/// Hashes a value for an in-memory set. The result can differ between versions of haul.
pub fn hash_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// [Hashes](hash_of) a name, with the same result for all its Unicode forms.
pub fn hash_of_name(name: &str) -> u64 {
    hash_of(&nfc(name))
}

/// Adds `duration` to `time`; saturates at the last representable second.
pub fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    let last = || Timestamp::from_second(Timestamp::MAX.as_second()).unwrap_or(Timestamp::MAX);
    time.checked_add(duration).unwrap_or_else(|_| last())
}

/// A file to upload.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The source of the content.
    pub source: Source,
    /// The name on the platform.
    pub name: String,
    /// Size in bytes at the time the upload was planned.
    pub size: u64,
    /// Media type.
    pub content_type: String,
    /// Purpose; `None` selects the platform's default.
    pub purpose: Option<String>,
    /// User-defined metadata.
    pub metadata: Object,
    /// Lifetime, counted from the upload.
    pub expires: Option<SignedDuration>,
    /// When replacing a file's content, whether the file keeps its name.
    pub keeps_name: bool,
    /// A value that the platform stores with the file, used to find an upload whose response was lost. Only providers
    /// for platforms with such a field send it.
    pub mark: Option<String>,
    /// SHA-256 of the content in hex. Only for platforms that ask for it before the content.
    pub sha256: Option<String>,
}

impl NewFile {
    /// Creates a file from bytes in memory.
    pub fn from_bytes(name: &str, content: impl Into<bytes::Bytes>) -> Self {
        let content = content.into();
        Self {
            name: name.to_owned(),
            size: content.len() as u64,
            source: Source::Bytes(content),
            content_type: "application/octet-stream".to_owned(),
            purpose: None,
            metadata: Object::new(),
            expires: None,
            keeps_name: false,
            mark: None,
            sha256: None,
        }
    }
}

/// A change to a file's properties. Properties that are `None` stay unchanged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// Metadata keys to set.
    pub set: Object,
    /// Metadata keys to remove.
    pub unset: Vec<String>,
    /// Whether to remove all keys that are not in `set`.
    pub replace: bool,
    /// A new name.
    pub name: Option<String>,
    /// A new media type.
    pub content_type: Option<String>,
    /// A new folder path.
    pub path: Option<String>,
}

impl Patch {
    /// Applies the patch to existing metadata.
    pub fn apply(&self, before: &Object) -> Object {
        let mut after = if self.replace { Object::new() } else { before.clone() };
        for (key, value) in &self.set {
            after.insert(key.clone(), value.clone());
        }
        after.retain(|key, _| !self.unset.contains(key));
        after
    }

    /// Whether the patch changes metadata.
    pub fn touches_metadata(&self) -> bool {
        self.replace || !self.set.is_empty() || !self.unset.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_prefix_is_a_profile_only_if_it_exists() {
        let known = |name: &str| name == "xai";
        let parse = |text| Address::parse(text, known);
        assert_eq!(
            parse("xai:f1"),
            Address { profile: Some("xai".into()), reference: Ref::Any("f1".into()) }
        );
        assert_eq!(parse("b:c.txt"), Address { profile: None, reference: Ref::Any("b:c.txt".into()) });
        assert_eq!(parse("xai:id:f1").reference, Ref::Id("f1".into()));
        assert_eq!(parse("name:xai:f1").reference, Ref::Name("xai:f1".into()));
        assert_eq!(parse("xai:name:a b").to_string(), "xai:name:a b");
    }

    #[test]
    fn an_object_address_contains_its_profile() {
        let known = |name: &str| ["s3://b", "s3://b/dir/", "work"].contains(&name);
        let any = |text: &str| Ref::Any(text.to_owned());
        for (text, profile, reference, shown) in [
            ("s3://b/a:b.txt", "s3://b", any("a:b.txt"), "s3://b/a:b.txt"),
            ("s3://b/dir/*.txt", "s3://b", any("dir/*.txt"), "s3://b/dir/*.txt"),
            ("s3://b", "s3://b", any(""), "s3://b/"),
            ("s3://b/", "s3://b", any(""), "s3://b/"),
            ("s3://b:", "s3://b", any(""), "s3://b/"),
            ("s3://b/dir/", "s3://b/dir/", any(""), "s3://b/dir/"),
            ("s3://b:id:dir/a", "s3://b", Ref::Id("dir/a".into()), "s3://b:id:dir/a"),
            ("s3://b/dir/:id:a/b", "s3://b/dir/", Ref::Id("a/b".into()), "s3://b/dir/:id:a/b"),
            ("s3://b/dir/:*", "s3://b/dir/", any("*"), "s3://b/dir/*"),
        ] {
            let parsed = Address::parse(text, known);
            assert_eq!((parsed.profile.as_deref(), &parsed.reference), (Some(profile), &reference), "{text}");
            assert_eq!(parsed.to_string(), shown);
        }
        let other = Address::parse("https://b/a", known);
        assert_eq!((other.profile, other.reference), (None, any("https://b/a")));
    }

    #[test]
    fn fields_match_the_json_keys() {
        let Value::Object(printed) = serde_json::to_value(File::default()).expect("a file serializes") else {
            panic!("a file is an object")
        };
        assert_eq!(printed.keys().collect::<Vec<_>>(), File::FIELDS);
    }

    #[test]
    fn a_patch_sets_unsets_and_replaces() {
        let object = |text: &str| serde_json::from_str::<Object>(text).expect("an object");
        let before = object(r#"{"a":1,"b":2}"#);
        let patch = Patch { set: object(r#"{"c":3}"#), unset: vec!["a".into()], ..Patch::default() };
        assert_eq!(patch.apply(&before), object(r#"{"b":2,"c":3}"#));
        let patch = Patch { set: object(r#"{"c":3}"#), replace: true, ..Patch::default() };
        assert_eq!(patch.apply(&before), object(r#"{"c":3}"#));
    }

    #[test]
    #[allow(clippy::unicode_not_nfc, reason = "names that are not")]
    fn all_spellings_of_a_name_match() {
        let (composed, decomposed, mixed) = ("\u{e9}\u{e9}", "e\u{301}e\u{301}", "\u{e9}e\u{301}");
        assert_eq!(spellings("a.txt"), ["a.txt"]);
        assert_eq!(spellings(composed), [composed, decomposed]);
        assert_eq!(spellings(decomposed), [decomposed, composed]);
        assert_eq!(spellings(mixed), [mixed, composed, decomposed]);
        assert!([composed, decomposed, mixed].iter().all(|name| names_match(name, composed)));
        // Compatibility forms and letter case make names different.
        assert!(!names_match("\u{fb01}", "fi") && !names_match("A", "a") && !names_match("e", composed));
    }
}
