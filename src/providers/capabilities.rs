//! The capabilities of platforms, defined as constants, and the errors for unsupported operations.

use std::time::Duration;

use jiff::SignedDuration;

use super::pushdown::Native;
use super::stated::states;
use super::{Provider, REGISTRY, Sort, Spec};
use crate::error::{Error, Kind, Result, word};
use crate::http::RateLimit;
use crate::human;
use crate::model::{File, NewFile};

/// An operation of [`Provider`](super::Provider).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// List files.
    List,
    /// Get a file's metadata.
    Stat,
    /// Upload a file.
    Upload,
    /// Delete a file.
    Delete,
    /// Download a file's content.
    Download,
    /// Change a file's metadata, name, type or path.
    Annotate,
    /// Replace a file's content while keeping its id.
    Replace,
    /// Create a link to a file.
    Link,
    /// List a file's links.
    Links,
    /// List the links of all files.
    AllLinks,
    /// Revoke a link.
    Unlink,
}

impl Op {
    /// All operations.
    pub const ALL: [Self; 11] = [
        Self::List,
        Self::Stat,
        Self::Upload,
        Self::Delete,
        Self::Download,
        Self::Annotate,
        Self::Replace,
        Self::Link,
        Self::Links,
        Self::AllLinks,
        Self::Unlink,
    ];

    /// The phrase that follows "PLATFORM cannot" in errors.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::List => "list files",
            Self::Stat => "get a file's metadata",
            Self::Upload => "upload a file",
            Self::Delete => "delete a file",
            Self::Download => "download an uploaded file",
            Self::Annotate => "change a file's metadata",
            Self::Replace => "replace a file's content",
            Self::Link => "create a link to a file",
            Self::Links => "list a file's links",
            Self::AllLinks => "list the links of all files",
            Self::Unlink => "revoke a link",
        }
    }
}

/// The capabilities and limits of a platform in one dialect.
#[derive(Debug)]
pub struct Capabilities {
    /// Uploads.
    pub upload: UploadAbility,
    /// Downloads.
    pub download: Download,
    /// Whether a download can start at any position.
    pub ranges: bool,
    /// Listings.
    pub list: ListAbility,
    /// The properties that `meta set` can change; `None` if it is not supported.
    pub annotate: Option<Annotate>,
    /// Links; `None` if they are not supported.
    pub link: Option<LinkAbility>,
    /// Whether a file can be deleted.
    pub delete: bool,
    /// Whether a file's content can be replaced while keeping its id.
    pub replace: bool,
    /// The checksums that the platform returns: `blake3`, `sha256`, `md5`.
    pub checksums: &'static [&'static str],
    /// The keys for `--set` that select the scope of files: workspace, team or project.
    pub scope: &'static [&'static str],
    /// Whether two files can have the same content.
    pub duplicates: Duplicates,
    /// How long a new file may be missing from listings. An upload whose response was lost is considered failed
    /// only after this time. Zero if a new file is listed immediately.
    pub appears_within: Duration,
    /// The published rate limit, which haul respects by default.
    pub rate: Option<RateLimit>,
    /// Hints for unsupported operations; `{ref}` stands for the file.
    pub instead: &'static [(Op, &'static str)],
}

/// Whether two files can have the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// Each upload creates a file.
    Possible,
    /// The platform asks for the [SHA-256](NewFile::sha256) of new content. If it already stores this content, the
    /// upload fails with the id of the [existing file](Error::existing), which may have another name.
    Never,
}

/// The published limits for all files together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The total size in bytes.
    pub bytes: Option<u64>,
    /// The number of files.
    pub files: Option<u64>,
    /// What the limits apply to, such as `project`.
    pub per: &'static str,
}

/// [`Capabilities::appears_within`] for platforms that document no delay.
pub const USUAL_DELAY: Duration = Duration::from_secs(5);

/// The limits for uploads.
#[derive(Debug)]
pub struct UploadAbility {
    /// The maximum size of a file, in bytes. A larger file is rejected before anything is sent.
    pub max_bytes: Option<u64>,
    /// The size in bytes above which the platform may reject a file. Larger files cause a warning.
    pub warn_bytes: Option<u64>,
    /// Whether empty files are accepted.
    pub empty: bool,
    /// The maximum length of a name.
    pub name: NameLimit,
    /// Characters that a name must not contain.
    pub forbidden: &'static [char],
    /// Whether control characters are also forbidden in a name.
    pub forbids_control: bool,
    /// Whether a purpose can be set.
    pub purpose: bool,
    /// Purposes for help and completion. Other purposes are also sent.
    pub purposes: &'static [&'static str],
    /// The default purpose.
    pub default_purpose: Option<&'static str>,
    /// Whether custom metadata can be set.
    pub metadata: bool,
    /// The shortest and longest lifetime, in seconds; `None` if lifetimes are not supported.
    pub lifetime: Option<(i64, i64)>,
    /// The maximum number of files per request.
    pub files_per_request: usize,
    /// Whether the platform stores a [mark](NewFile::mark) with the file, so that
    /// [`find_marked`](super::Provider::find_marked) can find it.
    pub mark: bool,
}

/// The maximum length of a name on a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameLimit {
    /// There is no known limit.
    Unlimited,
    /// The maximum number of UTF-8 bytes.
    Bytes(usize),
    /// The maximum number of characters.
    Characters(usize),
}

/// How a platform treats `/` in the name of an uploaded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameSlash {
    /// The name is stored unchanged.
    Kept,
    /// Only the part after the last `/` is stored.
    Stripped,
    /// The upload is rejected.
    Refused,
}

impl NameSlash {
    /// The name on the platform for a path relative to a folder. Each `/` becomes `__` unless the platform keeps it.
    pub fn flatten(self, relative: String) -> String {
        match self {
            Self::Kept => relative,
            Self::Stripped | Self::Refused => relative.replace('/', "__"),
        }
    }

    /// The value printed by `haul providers NAME`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Stripped => "stripped",
            Self::Refused => "refused",
        }
    }
}

/// Which files can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Download {
    /// Any file.
    Any,
    /// Files can be downloaded only with a signed link provided by the user.
    SignedLinks,
    /// Some files, depending on their purpose or origin. [`File::downloadable`](crate::model::File::downloadable) is
    /// false for a file that is known not to be downloadable.
    SomeFiles,
    /// No files.
    Never,
}

/// What listings support.
#[derive(Debug)]
pub struct ListAbility {
    /// The maximum page size.
    pub max_page: u32,
    /// Fields that a listing returns in addition to `id` and `name`: names in
    /// [`File::FIELDS`](crate::model::File::FIELDS), keys of objects such as `checksums.md5` and `extra.etag`, and
    /// the platform's own fields. In these fields, null means unset; any other field is unknown.
    pub stated: &'static [&'static str],
    /// Comparisons that the platform evaluates.
    pub native: &'static [Native],
    /// Fields that the platform can sort by: `name` in both directions, `+name` only ascending, `-name` only
    /// descending.
    pub sort: &'static [&'static str],
    /// Whether the newest files come first by default.
    pub newest_first: bool,
}

impl ListAbility {
    /// Whether the platform can list in this order.
    pub fn sorts(&self, sort: &Sort) -> bool {
        let way = if sort.descending { '-' } else { '+' };
        self.sort.iter().any(|native| native.strip_prefix(way).unwrap_or(native) == sort.field)
    }
}

/// The file properties that can be changed.
#[derive(Clone, Copy, Debug)]
pub struct Annotate {
    /// Any key in the user's metadata.
    pub metadata: bool,
    /// If not empty, the only metadata keys that can be set.
    pub keys: &'static [&'static str],
    /// The name.
    pub name: bool,
    /// The media type.
    pub content_type: bool,
    /// The folder path.
    pub path: bool,
}

/// What links support.
#[derive(Clone, Copy, Debug)]
pub struct LinkAbility {
    /// The shortest and longest lifetime, in seconds; `None` if lifetimes are not supported.
    pub lifetime: Option<(i64, i64)>,
    /// Whether a file's links can be listed.
    pub list: bool,
    /// Whether the links of all files can be listed at once.
    pub list_all: bool,
    /// Whether a link can be revoked.
    pub revoke: bool,
    /// Whether a download requires a link, which anyone can use until it is revoked.
    pub for_downloads: bool,
}

/// Whether the platform supports the operation.
pub fn supports(can: &Capabilities, op: Op) -> bool {
    match op {
        Op::List | Op::Stat | Op::Upload => true,
        Op::Delete => can.delete,
        Op::Download => can.download != Download::Never,
        Op::Annotate => can.annotate.is_some(),
        Op::Replace => can.replace,
        Op::Link => can.link.is_some(),
        Op::Links => can.link.is_some_and(|link| link.list),
        Op::AllLinks => can.link.is_some_and(|link| link.list_all),
        Op::Unlink => can.link.is_some_and(|link| link.revoke),
    }
}

/// Rejects an unsupported operation before doing any work. `about` is the file as the user would type it, for use in
/// hints.
pub fn require(provider: &dyn Provider, op: Op, about: &str) -> Result<()> {
    let (spec, can) = (provider.spec(), provider.capabilities());
    if supports(can, op) { Ok(()) } else { Err(refusal_with(spec, can, op, about, provider.profile())) }
}

/// Rejects the download of a file that the platform is known not to return, without sending a request.
pub fn require_download(provider: &dyn Provider, file: &File) -> Result<()> {
    let can = provider.capabilities();
    if can.download != Download::SomeFiles || file.downloadable != Some(false) {
        return Ok(());
    }
    let platform = provider.spec().name;
    let error = match &file.purpose {
        Some(purpose) => format!("{platform} does not allow downloading files with the purpose {purpose}"),
        None => format!("{platform} does not allow downloading this file"),
    };
    let about = format!("id:{}", file.id);
    let hints = instead(can, Op::Download, &about, provider.profile());
    let mut error = hints.fold(Error::new(Kind::Unsupported, error), Error::hint);
    if states(provider.stated(), "downloadable") {
        let profile = word(provider.profile());
        error = error.hint(format!(
            "to list the files that can be downloaded: `haul ls -p {profile} --filter downloadable=true`"
        ));
    }
    Err(error.hint("to try anyway: `--force`"))
}

/// The platform's hints for an unsupported operation. Their commands name the profile.
fn instead(can: &Capabilities, op: Op, about: &str, profile: &str) -> impl Iterator<Item = String> {
    let hints = can.instead.iter().filter(move |(for_op, _)| *for_op == op);
    hints.map(move |(_, hint)| with_profile(hint, about, profile))
}

/// A hint whose commands name the file and the profile.
fn with_profile(hint: &str, about: &str, profile: &str) -> String {
    let is_named = about.strip_prefix(profile).is_some_and(|rest| rest.starts_with(':'));
    let mut commands = hint.split("`haul ");
    let text = commands.next().unwrap_or_default().to_owned();
    let text = commands.fold(text, |text, command| match command.split_once(' ') {
        Some((verb, rest)) if !(is_named && rest.contains("{ref}")) => {
            format!("{text}`haul {verb} -p {} {rest}", word(profile))
        }
        _ => format!("{text}`haul {command}"),
    });
    text.replace("{ref}", &word(about))
}

/// The error for an unsupported operation, with the hints of the platform's first dialect. For `about`, see
/// [`require`].
pub(super) fn refusal(spec: &'static Spec, op: Op, about: &str, profile: &str) -> Error {
    refusal_with(spec, spec.dialects[0].can, op, about, profile)
}

/// The error for an unsupported operation of one dialect. For `about`, see [`require`].
pub(super) fn refusal_with(
    spec: &'static Spec,
    can: &Capabilities,
    op: Op,
    about: &str,
    profile: &str,
) -> Error {
    let error = Error::new(Kind::Unsupported, format!("{} cannot {}", spec.name, op.phrase()));
    let error = instead(can, op, about, profile).fold(error, Error::hint);
    // A platform is not suggested for downloads if they require a signed link.
    let by_link = |can: &Capabilities| op == Op::Download && can.download == Download::SignedLinks;
    suggest_providers(error, spec, |can| supports(can, op) && !by_link(can))
}

/// Adds a hint that names the other platforms that have a dialect for which `is_able` is true.
fn suggest_providers(error: Error, spec: &Spec, is_able: impl Fn(&Capabilities) -> bool) -> Error {
    let others = REGISTRY.iter().filter(|other| other.name != spec.name);
    let able = others.filter(|other| other.dialects.iter().any(|dialect| is_able(dialect.can)));
    let able: Vec<&str> = able.map(|other| other.name).collect();
    if able.is_empty() { error } else { error.hint(format!("supported by: {}", able.join(", "))) }
}

/// Rejects a file that exceeds one of the platform's limits or has an unsupported option, before anything is sent.
pub fn require_upload(spec: &'static Spec, can: &Capabilities, file: &NewFile) -> Result<()> {
    let limits = &can.upload;
    let refuse = |message: String| Err(Error::new(Kind::Unsupported, message).about(file.name.clone()));
    let (name, platform) = (&file.name, spec.name);
    if let Some(max) = limits.max_bytes.filter(|max| file.size > *max) {
        return refuse(format!(
            "{name} is {}; {platform} accepts at most {} per file",
            human::size(file.size),
            human::size(max)
        ));
    }
    if file.size == 0 && !limits.empty {
        return refuse(format!("{name} is empty; {platform} does not accept empty files"));
    }
    let over = match limits.name {
        NameLimit::Unlimited => None,
        NameLimit::Bytes(max) => {
            (name.len() > max).then(|| format!("{} bytes long; {platform} accepts at most {max}", name.len()))
        }
        NameLimit::Characters(max) => {
            let count = name.chars().count();
            (count > max).then(|| format!("{count} characters long; {platform} accepts at most {max}"))
        }
    };
    if let Some(over) = over {
        return refuse(format!("the name {name:?} is {over}"));
    }
    let bad = |c: char| limits.forbidden.contains(&c) || (limits.forbids_control && c.is_control());
    if let Some(c) = name.chars().find(|c| bad(*c)) {
        return refuse(format!("the name {name:?} contains {c:?}, which {platform} does not accept"))
            .map_err(|error| error.hint("choose another name: `--name NAME`"));
    }
    if spec.name_slash != NameSlash::Kept && name.contains('/') {
        let effect = if spec.name_slash == NameSlash::Stripped {
            "removes the part before"
        } else {
            "does not accept"
        };
        let other = NameSlash::Refused.flatten(name.clone());
        return refuse(format!("the name {name:?} contains '/'; {platform} {effect} it"))
            .map_err(|error| error.hint(format!("choose another name: `--name {}`", word(&other))));
    }
    if file.purpose.is_some() && !limits.purpose {
        return refuse(format!("{platform} does not support purposes"))
            .map_err(|error| error.hint("remove `--purpose`"));
    }
    if !file.metadata.is_empty() && !limits.metadata {
        return refuse(format!("{platform} does not support metadata"))
            .map_err(|error| error.hint("remove `--metadata`"));
    }
    check_lifetime(platform, "a file", limits.lifetime, file.expires)
}

/// Rejects a lifetime that the platform does not support. `what` is `a file` or `a link`.
pub fn check_lifetime(
    platform: &str,
    what: &str,
    allowed: Option<(i64, i64)>,
    requested: Option<SignedDuration>,
) -> Result<()> {
    let Some(requested) = requested else { return Ok(()) };
    let Some((min, max)) = allowed else {
        return Err(Error::new(
            Kind::Unsupported,
            format!("{platform} does not support a lifetime for {what}"),
        )
        .hint("remove `--expires`"));
    };
    let seconds = requested.as_secs();
    if seconds < min || seconds > max {
        let span = |seconds| format!("{:#}", SignedDuration::from_secs(seconds));
        return Err(Error::new(
            Kind::Unsupported,
            format!(
                "a lifetime of {} is out of range; {platform} accepts {} to {} for {what}",
                span(seconds),
                span(min),
                span(max)
            ),
        ));
    }
    Ok(())
}

/// Rejects several files in one request if the platform accepts only one per request.
pub fn require_together(spec: &Spec, can: &Capabilities) -> Result<()> {
    if can.upload.files_per_request > 1 { Ok(()) } else { Err(not_together(spec)) }
}

pub(super) fn not_together(spec: &Spec) -> Error {
    let error = Error::new(Kind::Unsupported, format!("{} accepts one file per request", spec.name))
        .hint("remove `--together`");
    suggest_providers(error, spec, |can| can.upload.files_per_request > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_hints_name_the_profile() {
        let hint = "to use another name: `haul rm {ref}`, then `haul upload FILE --name NAME`";
        let hint = |about| with_profile(hint, about, "my files");
        let unnamed = "to use another name: `haul rm -p 'my files' a.txt`, \
                       then `haul upload -p 'my files' FILE --name NAME`";
        assert_eq!(hint("a.txt"), unnamed);
        let named = "to use another name: `haul rm 'my files:a.txt'`, \
                     then `haul upload -p 'my files' FILE --name NAME`";
        assert_eq!(hint("my files:a.txt"), named);
    }

    #[test]
    fn only_listings_over_a_network_can_lag_behind() {
        for spec in REGISTRY {
            for dialect in spec.dialects {
                let delay = dialect.can.appears_within;
                assert_eq!(delay.is_zero(), spec.base_url.is_empty(), "{} {}", spec.name, dialect.name);
                assert!(delay <= Duration::from_mins(10), "{} {}", spec.name, dialect.name);
            }
        }
    }
}
