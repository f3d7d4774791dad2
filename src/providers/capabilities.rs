//! What a platform can do, as a constant value, and how a "no" is said.

use jiff::SignedDuration;

use super::pushdown::Native;
use super::{REGISTRY, Sort, Spec};
use crate::error::{Error, Kind, Result, word};
use crate::http::RateLimit;
use crate::human;
use crate::model::NewFile;

/// An operation of [`Provider`](super::Provider).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// List files.
    List,
    /// Tell all about one.
    Stat,
    /// Upload.
    Upload,
    /// Delete.
    Delete,
    /// Fetch the bytes.
    Download,
    /// Change metadata, name, type or path.
    Annotate,
    /// New content under the same id.
    Replace,
    /// Make a link.
    Link,
    /// List a file's links.
    Links,
    /// Revoke a link.
    Unlink,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 10] = [
        Self::List,
        Self::Stat,
        Self::Upload,
        Self::Delete,
        Self::Download,
        Self::Annotate,
        Self::Replace,
        Self::Link,
        Self::Links,
        Self::Unlink,
    ];

    /// What the platform is said not to let a caller do: "PLATFORM does not let a caller …".
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::List => "list files",
            Self::Stat => "look at a file",
            Self::Upload => "upload a file",
            Self::Delete => "delete a file",
            Self::Download => "download an uploaded file",
            Self::Annotate => "change a file's metadata",
            Self::Replace => "replace a file's content",
            Self::Link => "make a link to a file",
            Self::Links => "list a file's links",
            Self::Unlink => "revoke a link",
        }
    }
}

/// What one dialect of a platform can do, and its limits.
#[derive(Debug)]
pub struct Capabilities {
    /// Uploads.
    pub upload: UploadAbility,
    /// Downloads.
    pub download: Download,
    /// Whether a download can start in the middle.
    pub ranges: bool,
    /// Listings.
    pub list: ListAbility,
    /// What `meta set` can change; None refuses it.
    pub annotate: Option<Annotate>,
    /// Links; None refuses them.
    pub link: Option<LinkAbility>,
    /// Whether a file's content can be replaced under its id.
    pub replace: bool,
    /// Which checksums it states: `blake3`, `sha256`, `md5`.
    pub checksums: &'static [&'static str],
    /// The keys of `--set` that scope files: workspace, team, project.
    pub scope: &'static [&'static str],
    /// The rate it publishes, which is kept to unasked.
    pub rate: Option<RateLimit>,
    /// What to do instead of an operation it lacks: a hint that can be typed, `{ref}` standing for the file.
    pub instead: &'static [(Op, &'static str)],
}

/// Limits of an upload.
#[derive(Debug)]
pub struct UploadAbility {
    /// Bytes a file at most: more is refused before a byte is sent.
    pub max_bytes: Option<u64>,
    /// Bytes from which the platform may refuse: a warning.
    pub warn_bytes: Option<u64>,
    /// Whether it takes an empty file.
    pub empty: bool,
    /// The longest name.
    pub name: NameLimit,
    /// Characters that a name must not have.
    pub forbidden: &'static [char],
    /// Whether control characters are forbidden in a name, too.
    pub forbids_control: bool,
    /// Whether a purpose can be given.
    pub purpose: bool,
    /// Words for the purpose, for help and completion; any word is sent.
    pub purposes: &'static [&'static str],
    /// What is sent when none is given.
    pub default_purpose: Option<&'static str>,
    /// Whether the user's own keys can be given.
    pub metadata: bool,
    /// The shortest and longest lifetime in seconds; None where none can be given.
    pub lifetime: Option<(i64, i64)>,
    /// Files that one request can carry.
    pub files_per_request: usize,
}

/// The longest name a platform takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameLimit {
    /// None known.
    Unlimited,
    /// So many bytes of UTF-8.
    Bytes(usize),
    /// So many characters.
    Characters(usize),
}

/// Who can download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Download {
    /// Any file.
    Any,
    /// Only with a signed link given by the user.
    SignedLinks,
    /// Never.
    Never,
}

/// How listings work.
#[derive(Debug)]
pub struct ListAbility {
    /// The largest page.
    pub max_page: u32,
    /// Fields that a listing states besides `id` and `name`: names of [`File::FIELDS`](crate::model::File::FIELDS), keys
    /// of objects such as `checksums.md5` and `extra.etag`, and the platform's own fields. In these null means unset; any
    /// other field is unknown.
    pub stated: &'static [&'static str],
    /// Comparisons the platform makes itself.
    pub native: &'static [Native],
    /// Fields it sorts by itself: `name` both ways, `+name` only ascending, `-name` only descending.
    pub sort: &'static [&'static str],
    /// Whether the newest come first unasked.
    pub newest_first: bool,
}

impl ListAbility {
    /// Whether it lists in that order by itself.
    pub fn sorts(&self, sort: &Sort) -> bool {
        let way = if sort.descending { '-' } else { '+' };
        self.sort.iter().any(|native| native.strip_prefix(way).unwrap_or(native) == sort.field)
    }
}

/// What can be changed about a file.
#[derive(Clone, Copy, Debug)]
pub struct Annotate {
    /// The user's metadata: any key.
    pub metadata: bool,
    /// The only metadata keys that can be set; empty for any.
    pub keys: &'static [&'static str],
    /// The name.
    pub name: bool,
    /// The media type.
    pub content_type: bool,
    /// The folder path.
    pub path: bool,
}

/// What links can do.
#[derive(Clone, Copy, Debug)]
pub struct LinkAbility {
    /// The shortest and longest lifetime in seconds; None where none can be given.
    pub lifetime: Option<(i64, i64)>,
    /// Whether a file's links can be listed.
    pub list: bool,
    /// Whether a link can be revoked.
    pub revoke: bool,
}

/// Whether the operation is there at all.
pub fn supports(can: &Capabilities, op: Op) -> bool {
    match op {
        Op::List | Op::Stat | Op::Upload | Op::Delete => true,
        Op::Download => can.download != Download::Never,
        Op::Annotate => can.annotate.is_some(),
        Op::Replace => can.replace,
        Op::Link => can.link.is_some(),
        Op::Links => can.link.is_some_and(|link| link.list),
        Op::Unlink => can.link.is_some_and(|link| link.revoke),
    }
}

/// Refuses an operation that the platform does not have, before any work. `about` is the file as the user would type
/// it, for the hints.
pub fn require(spec: &'static Spec, can: &Capabilities, op: Op, about: &str) -> Result<()> {
    if supports(can, op) { Ok(()) } else { Err(refusal_with(spec, can, op, about)) }
}

/// The refusal: what the platform lacks, what to do instead, and who can. `about` is as for [`require`].
pub(super) fn refusal(spec: &'static Spec, op: Op, about: &str) -> Error {
    refusal_with(spec, spec.dialects[0].can, op, about)
}

fn refusal_with(spec: &'static Spec, can: &Capabilities, op: Op, about: &str) -> Error {
    let mut error =
        Error::new(Kind::Unsupported, format!("{} does not let a caller {}", spec.name, op.phrase()));
    for (_, hint) in can.instead.iter().filter(|(for_op, _)| *for_op == op) {
        error = error.hint(hint.replace("{ref}", &word(about)));
    }
    // A platform that needs a signed link for its own downloads is not suggested for them.
    let by_link = |can: &Capabilities| op == Op::Download && can.download == Download::SignedLinks;
    suggest_providers(error, spec, |can| supports(can, op) && !by_link(can))
}

/// Adds a hint that names the other platforms with a dialect that `is_able`.
fn suggest_providers(error: Error, spec: &Spec, is_able: impl Fn(&Capabilities) -> bool) -> Error {
    let others = REGISTRY.iter().filter(|other| other.name != spec.name);
    let able = others.filter(|other| other.dialects.iter().any(|dialect| is_able(dialect.can)));
    let able: Vec<&str> = able.map(|other| other.name).collect();
    if able.is_empty() { error } else { error.hint(format!("providers that can: {}", able.join(", "))) }
}

/// Refuses a file that is over one of the platform's limits or has an option that it has no place for, before a byte
/// is sent.
pub fn require_upload(spec: &'static Spec, can: &Capabilities, file: &NewFile) -> Result<()> {
    let limits = &can.upload;
    let refuse = |message: String| Err(Error::new(Kind::Unsupported, message).about(file.name.clone()));
    let (name, platform) = (&file.name, spec.name);
    if let Some(max) = limits.max_bytes.filter(|max| file.size > *max) {
        return refuse(format!(
            "{name} is {}; {platform} takes at most {} a file",
            human::size(file.size),
            human::size(max)
        ));
    }
    if file.size == 0 && !limits.empty {
        return refuse(format!("{name} is empty; {platform} takes no empty files"));
    }
    let over = match limits.name {
        NameLimit::Unlimited => None,
        NameLimit::Bytes(max) => {
            (name.len() > max).then(|| format!("{} bytes long; {platform} takes at most {max}", name.len()))
        }
        NameLimit::Characters(max) => {
            let count = name.chars().count();
            (count > max).then(|| format!("{count} characters long; {platform} takes at most {max}"))
        }
    };
    if let Some(over) = over {
        return refuse(format!("the name {name:?} is {over}"));
    }
    let bad = |c: char| limits.forbidden.contains(&c) || (limits.forbids_control && c.is_control());
    if let Some(c) = name.chars().find(|c| bad(*c)) {
        return refuse(format!("the name {name:?} has the character {c:?}, which {platform} does not take"))
            .map_err(|error| error.hint("`--name NAME` gives it another name"));
    }
    if file.purpose.is_some() && !limits.purpose {
        return refuse(format!("{platform} has no place for a purpose"))
            .map_err(|error| error.hint("leave out `--purpose`"));
    }
    if !file.metadata.is_empty() && !limits.metadata {
        return refuse(format!("{platform} has no place for metadata"))
            .map_err(|error| error.hint("leave out `--metadata`"));
    }
    check_lifetime(platform, "a file", limits.lifetime, file.expires)
}

/// Refuses a lifetime that the platform does not take. `what` is `a file` or `a link`.
pub fn check_lifetime(
    platform: &str,
    what: &str,
    allowed: Option<(i64, i64)>,
    wished: Option<SignedDuration>,
) -> Result<()> {
    let Some(wished) = wished else { return Ok(()) };
    let Some((min, max)) = allowed else {
        return Err(Error::new(Kind::Unsupported, format!("{platform} has no lifetime for {what}"))
            .hint("leave out `--expires`"));
    };
    let seconds = wished.as_secs();
    if seconds < min || seconds > max {
        let span = |seconds| format!("{:#}", SignedDuration::from_secs(seconds));
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "a lifetime of {}; {platform} takes {} to {} for {what}",
                span(seconds),
                span(min),
                span(max)
            ),
        ));
    }
    Ok(())
}

/// Refuses to send several files in one request where the platform takes one.
pub fn require_together(spec: &Spec, can: &Capabilities) -> Result<()> {
    if can.upload.files_per_request > 1 { Ok(()) } else { Err(not_together(spec)) }
}

pub(super) fn not_together(spec: &Spec) -> Error {
    let error = Error::new(Kind::Unsupported, format!("{} takes one file a request", spec.name))
        .hint("leave out `--together`");
    suggest_providers(error, spec, |can| can.upload.files_per_request > 1)
}
