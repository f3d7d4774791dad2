//! `haul du`

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures_util::stream;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::batch::{self, BatchArgs, JobsArgs, Labels};
use super::report::{Entry, Outcome, Reported};
use super::select::{combine, glob_of, read_references};
use crate::context::Context;
use crate::error::{Error, Result, word};
use crate::human;
use crate::model::File;
use crate::providers::{Listing, Provider, Query, Quota, require_stated, states};
use crate::ui::Columns;

/// The arguments of `haul du`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:\n  \
    haul du\n  \
    haul du xai: openai:\n  \
    haul du openai: --by purpose\n  \
    haul du gemini: --by expiry\n  \
    haul du --by month --filter 'size > 1MB' --json")]
pub struct DuArgs {
    /// What to measure, as `[PROFILE:]PATTERN`; `PROFILE:` is all files of a profile, and `-` reads from standard input
    /// [default: the current profile]
    #[arg(value_name = "REF")]
    refs: Vec<String>,
    /// Measure groups of files separately
    #[arg(long, value_name = "GROUP")]
    by: Option<By>,
    /// Only files that match this expression (`haul help filters`)
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    filter: Option<String>,
}

/// The property that groups files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// The purpose
    Purpose,
    /// The media type
    Type,
    /// The month of creation (UTC)
    Month,
    /// The status
    Status,
    /// The name up to its first `/`
    Prefix,
    /// The time until the file expires
    Expiry,
}

/// The upper limits of the groups of `--by expiry`, in hours.
const EXPIRY: [(i64, &str); 3] = [(24, "within 24 h"), (7 * 24, "within 7 d"), (30 * 24, "within 30 d")];

impl By {
    /// The field of a file that decides its group.
    fn field(self) -> &'static str {
        match self {
            Self::Purpose => "purpose",
            Self::Type => "content_type",
            Self::Month => "created_at",
            Self::Status => "status",
            Self::Prefix => "name",
            Self::Expiry => "expires_at",
        }
    }

    /// The group of a file, with a number that sorts groups; `None` if the file lacks the property.
    fn group(self, file: &File, now: Timestamp) -> Option<(usize, String)> {
        let text = |text: &str| Some((0, text.to_owned()));
        match self {
            Self::Purpose => text(file.purpose.as_deref()?),
            Self::Type => text(file.content_type.as_deref()?.split(';').next()?.trim_end()),
            Self::Status => text(file.status.as_deref()?),
            Self::Prefix => text(&file.name[..=file.name.find('/')?]),
            Self::Month => text(&file.created_at?.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()),
            Self::Expiry => {
                let left = file.expires_at?.duration_since(now);
                let mut limits = EXPIRY.iter().enumerate();
                let limit = limits.find(|(_, (hours, _))| left <= SignedDuration::from_hours(*hours));
                let (rank, label) =
                    limit.map_or((EXPIRY.len(), "later"), |(rank, (_, label))| (rank, *label));
                Some((rank, label.to_owned()))
            }
        }
    }
}

const FIELDS: [&str; 12] = [
    "profile",
    "group",
    "files",
    "bytes",
    "unsized_files",
    "oldest_at",
    "newest_at",
    "expiring_files",
    "first_expires_at",
    "quota",
    "quota_bytes",
    "quota_files",
];

/// The columns of groups of files.
pub(super) const GROUP_COLUMNS: Columns = Columns {
    all: &FIELDS,
    shown: &["profile", "group", "files", "bytes", "oldest_at", "newest_at", "first_expires_at"],
    piped: None,
};

/// The columns without groups.
pub(super) const COLUMNS: Columns = Columns {
    shown: &["profile", "files", "bytes", "quota", "oldest_at", "newest_at", "first_expires_at"],
    ..GROUP_COLUMNS
};

/// The files of one group on one profile.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "usage")]
pub(super) struct Usage {
    /// The profile.
    profile: String,
    /// The value of the property that `--by` names; null without `--by` and for files without this property.
    group: Option<String>,
    /// The number of files.
    files: u64,
    /// The sum of the known sizes in bytes; null if no size is known.
    bytes: Option<u64>,
    /// The number of files of unknown size.
    unsized_files: u64,
    /// The creation time of the oldest file, UTC; null if unknown.
    oldest_at: Option<Timestamp>,
    /// The creation time of the newest file, UTC; null if unknown.
    newest_at: Option<Timestamp>,
    /// The number of files with an expiry; null if the listing does not return expiries.
    expiring_files: Option<u64>,
    /// The earliest expiry, UTC; null if no file expires.
    first_expires_at: Option<Timestamp>,
    /// The used part of the published quota as text, such as `1.2 GB / 20.0 GB per project`; null unless all files of the
    /// profile are measured together.
    quota: Option<String>,
    /// The published limit for the size of all files in bytes; null if there is none.
    quota_bytes: Option<u64>,
    /// The published limit for the number of files; null if there is none.
    quota_files: Option<u64>,
}

impl Usage {
    fn add(&mut self, file: &File) {
        let earlier = |one: Option<Timestamp>, other| one.into_iter().chain(other).min();
        self.files += 1;
        match file.size {
            Some(size) => self.bytes = Some(self.bytes.unwrap_or_default().saturating_add(size)),
            None => self.unsized_files += 1,
        }
        self.oldest_at = earlier(self.oldest_at, file.created_at);
        self.newest_at = self.newest_at.into_iter().chain(file.created_at).max();
        *self.expiring_files.get_or_insert_default() += u64::from(file.expires_at.is_some());
        self.first_expires_at = earlier(self.first_expires_at, file.expires_at);
    }

    /// The used part of a quota.
    fn used_of(&self, quota: Quota) -> String {
        let at_least = if self.unsized_files > 0 { "at least " } else { "" };
        let used = human::size(self.bytes.unwrap_or_default());
        let bytes = quota.bytes.map(|bytes| format!("{at_least}{used} / {}", human::size(bytes)));
        let files = quota.files.map(|files| format!("{} / {}", self.files, human::count(files, "file")));
        let parts: Vec<String> = bytes.into_iter().chain(files).collect();
        format!("{} per {}", parts.join(", "), quota.per)
    }
}

/// A listing to measure.
struct Part {
    reference: String,
    provider: Arc<dyn Provider>,
    listing: Listing,
    /// Whether the listing contains all files.
    is_whole: bool,
}

impl Reported for Part {
    fn entries(&self) -> Vec<Entry> {
        Vec::new()
    }
}

impl DuArgs {
    /// Prints the number, size and age of files.
    pub async fn run(self, ctx: &Context) -> Result<()> {
        let refs = match self.refs.as_slice() {
            [] => vec![None],
            refs => read_references(ctx, refs).await?.into_iter().map(Some).collect(),
        };
        let parts: Vec<Result<Part>> = refs.into_iter().map(|text| self.part(ctx, text.as_deref())).collect();
        let now = ctx.clock.now();
        let rows = ctx.ui.rows(if self.by.is_some() { GROUP_COLUMNS } else { COLUMNS })?;
        batch::run(
            ctx,
            &BatchArgs { jobs: JobsArgs::ONE, ..BatchArgs::default() },
            Labels::of("measured").without_summary(),
            stream::iter(parts),
            async |part: Part| measure(ctx, part, self.by, now).await,
            rows,
            |rows, groups| {
                for group in groups {
                    rows.push(&group)?;
                }
                rows.flush()?;
                Ok(vec![Outcome::Done(None)])
            },
        )
        .await
    }

    /// The listing for a reference or, without one, for the current profile.
    fn part(&self, ctx: &Context, text: Option<&str>) -> Result<Part> {
        let about = |error: Error| text.iter().fold(error, |error, text| error.about(*text));
        let address = text.map(|text| ctx.address(text));
        let (profile, glob) = match &address {
            None => (None, None),
            Some(address) => match (address.whole_profile(), glob_of(address)) {
                (Some(profile), _) => (Some(profile), None),
                (None, Some(glob)) => (address.profile.as_deref(), Some(glob)),
                (None, None) => {
                    let text = text.unwrap_or_default();
                    let hint = format!("for all files of a profile: `haul du {}`", word(&format!("{text}:")));
                    let error = Error::usage(format!("{text}: not a profile or a pattern")).about(text);
                    return Err(if ctx.profile(Some(text)).is_ok() {
                        error.hint(hint)
                    } else {
                        error.hint("specify a profile, such as `local:`, or a pattern, such as `'*.pdf'`")
                    });
                }
            },
        };
        let provider = ctx.open(profile)?;
        let filter = combine(ctx, provider.spec(), self.filter.as_deref(), glob).map_err(about)?;
        if let Some(by) = self.by {
            require_stated(provider.as_ref(), by.field(), "group by it").map_err(about)?;
        }
        let is_whole = filter.is_none();
        let query = Query { filter, ..Query::default() };
        let listing = Listing::new(Arc::clone(&provider), query, None).map_err(about)?;
        let reference = text.map_or_else(|| format!("{}:", provider.profile()), str::to_owned);
        Ok(Part { reference, provider, listing, is_whole })
    }
}

/// Reads a listing and totals its files by group.
async fn measure(ctx: &Context, part: Part, by: Option<By>, now: Timestamp) -> Result<Vec<Usage>> {
    let Part { reference, provider, mut listing, is_whole } = part;
    let about = |error: Error| error.about(reference.as_str());
    let mut groups: BTreeMap<Option<(usize, String)>, Usage> = BTreeMap::new();
    if by.is_none() {
        groups.insert(None, Usage::default());
    }
    while let Some(files) = ctx.interrupt.until_cancelled(listing.next()).await.map_err(about)? {
        for file in &files {
            let group = by.and_then(|by| by.group(file, now));
            groups.entry(group).or_default().add(file);
        }
    }
    if let Some(by) = by {
        // The server may have responded in a dialect that returns fewer fields.
        require_stated(provider.as_ref(), by.field(), "group by it").map_err(about)?;
    }
    let profile = provider.profile();
    if groups.is_empty() {
        let none =
            if is_whole { format!("no files on {profile}") } else { format!("no file on {profile} matches") };
        ctx.ui.note(&none);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // Files without the property come last.
    groups.sort_by_key(|(group, _)| group.is_none());
    let returns_expiry = states(provider.stated(), "expires_at");
    let quota = provider.quota().filter(|_| is_whole && by.is_none());
    let named = |(group, usage): (Option<(usize, String)>, Usage)| Usage {
        profile: profile.to_owned(),
        quota: quota.map(|quota| usage.used_of(quota)),
        quota_bytes: quota.and_then(|quota| quota.bytes),
        quota_files: quota.and_then(|quota| quota.files),
        group: group.map(|(_, label)| label),
        expiring_files: returns_expiry.then(|| usage.expiring_files.unwrap_or_default()),
        ..usage
    };
    Ok(groups.into_iter().map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_used_in_part() {
        let usage = Usage { files: 3, bytes: Some(1_200_000_000), ..Usage::default() };
        let quota = Quota { bytes: Some(10_000_000_000), files: Some(1_000), per: "user" };
        assert_eq!(usage.used_of(quota), "1.2 GB / 10.0 GB, 3 / 1000 files per user");
        let unknown = Usage { unsized_files: 1, ..usage };
        let quota = Quota { files: None, ..quota };
        assert_eq!(unknown.used_of(quota), "at least 1.2 GB / 10.0 GB per user");
    }
}
