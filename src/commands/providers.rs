//! `haul providers`

use std::collections::BTreeMap;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::human;
use crate::model::Object;
use crate::providers::{
    self, Capabilities, Download, Duplicates, NameLimit, Native, Op, Precision, REGISTRY, Spec, supports,
};
use crate::ui::Columns;

/// The arguments of `haul providers`.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Examples:\n  haul providers\n  haul providers xai\n  haul providers --json | jq '.[] | select(.link) | .name'"
)]
pub struct ProvidersArgs {
    /// Show details of this platform; on a terminal, only the differences are shown for its other dialects
    name: Option<String>,
}

const FIELDS: &[&str] = &[
    "name",
    "title",
    "upload",
    "download",
    "meta_set",
    "replace",
    "link",
    "expires",
    "checksums",
    "max_size",
    "filter",
    "sort",
];

pub(super) const COLUMNS: Columns = Columns {
    all: FIELDS,
    shown: &["name", "download", "meta_set", "replace", "link", "expires", "checksums", "max_size"],
    piped: None,
};

/// A platform's capabilities: a row of `haul providers`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "provider")]
pub struct Row {
    /// The name used in commands.
    pub name: &'static str,
    /// The full name.
    pub title: &'static str,
    /// Whether files can be uploaded.
    pub upload: bool,
    /// Whether files can be downloaded: `yes`, `signed links`, `some files`, `no`.
    pub download: &'static str,
    /// The properties that `meta set` can change.
    pub meta_set: Option<String>,
    /// Whether a file's content can be replaced under its id.
    pub replace: bool,
    /// Whether links can be created.
    pub link: bool,
    /// Whether a lifetime can be set when uploading.
    pub expires: bool,
    /// The checksums that the platform reports.
    pub checksums: Option<String>,
    /// The maximum size of a file, in bytes.
    pub max_size: Option<u64>,
    /// The fields that the platform can filter by.
    pub filter: Option<String>,
    /// The fields that the platform can sort by.
    pub sort: Option<String>,
}

impl Row {
    /// The row for a platform. Uploads, `meta set`, replacing, links and checksums are listed if at least one dialect
    /// supports them; the other fields describe the first dialect.
    pub fn of(spec: &'static Spec) -> Self {
        let any = |op| spec.dialects.iter().any(|dialect| supports(dialect.can, op));
        let cans = || spec.dialects.iter().map(|dialect| dialect.can);
        let can = spec.dialects[0].can;
        let mut meta = Vec::new();
        for able in cans().filter_map(|can| can.annotate) {
            for (word, yes) in [
                ("metadata", able.metadata && able.keys.is_empty()),
                ("name", able.name),
                ("type", able.content_type),
                ("path", able.path),
            ] {
                if yes && !meta.contains(&word) {
                    meta.push(word);
                }
            }
            meta.extend(able.keys.iter().filter(|key| !meta.contains(key)).copied().collect::<Vec<_>>());
        }
        let mut checksums: Vec<&str> = Vec::new();
        for sum in cans().flat_map(|can| can.checksums) {
            if !checksums.contains(sum) {
                checksums.push(sum);
            }
        }
        let mut filters: Vec<&str> = can.list.native.iter().map(|native| native.field).collect();
        filters.dedup();
        let joined = |words: &[&str]| (!words.is_empty()).then(|| words.join(", "));
        Self {
            name: spec.name,
            title: spec.title,
            upload: any(Op::Upload),
            download: match can.download {
                Download::Any => "yes",
                Download::SignedLinks => "signed links",
                Download::SomeFiles => "some files",
                Download::Never => "no",
            },
            meta_set: joined(&meta),
            replace: any(Op::Replace),
            link: any(Op::Link),
            expires: can.upload.lifetime.is_some(),
            checksums: joined(&checksums),
            max_size: can.upload.max_bytes,
            filter: joined(&filters),
            sort: joined(can.list.sort),
        }
    }
}

/// The platform table in Markdown, for the README.
pub fn table() -> String {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let or_no = |words: Option<String>| words.unwrap_or_else(|| "no".to_owned());
    let mut table = String::from(
        "| name | platform | download | `meta set` | replace | link | `--expires` | checksums | max size |\n\
        | --- | --- | --- | --- | --- | --- | --- | --- | ---: |\n",
    );
    for spec in REGISTRY {
        let row = Row::of(spec);
        let cells = [
            format!("`{}`", row.name),
            row.title.to_owned(),
            row.download.to_owned(),
            or_no(row.meta_set),
            yes(row.replace),
            yes(row.link),
            yes(row.expires),
            or_no(row.checksums),
            row.max_size.map_or_else(|| "not specified".to_owned(), human::size),
        ];
        table.extend(["| ", &cells.join(" | "), " |\n"]);
    }
    table
}

impl ProvidersArgs {
    /// Lists the platforms, or prints the datasheet of one.
    pub fn run(&self, ctx: &Context) -> Result<()> {
        let Some(name) = &self.name else {
            let mut rows = ctx.ui.rows(COLUMNS)?;
            for spec in REGISTRY {
                rows.push(&Row::of(spec))?;
            }
            return rows.finish();
        };
        let spec = providers::find(name).ok_or_else(|| {
            let names: Vec<&str> = REGISTRY.iter().map(|spec| spec.name).collect();
            Error::not_found(format!("unknown provider {name:?}"))
                .did_you_mean(name, names.iter().copied())
                .hint(format!("providers: {}", names.join(", ")))
        })?;
        let mut rows = ctx.ui.records(SHEET_COLUMNS)?;
        let sheets =
            spec.dialects.iter().map(|dialect| sheet(spec, dialect.name, dialect.title, dialect.can));
        if !ctx.ui.is_for_reading() {
            sheets.into_iter().try_for_each(|sheet| rows.push(&sheet))?;
            return rows.finish();
        }
        let json = |sheet: Sheet| serde_json::to_value(sheet).unwrap_or_default();
        let mut sheets = sheets.map(json);
        let mut first = sheets.next().unwrap_or_default();
        if spec.dialects.len() == 1 {
            first["dialect"] = Value::Null;
        }
        rows.push(&first)?;
        sheets.try_for_each(|sheet| rows.push(&differences(&first, sheet)))?;
        rows.finish()
    }
}

/// The fields in another dialect's datasheet that differ from the first dialect's. A list is shown as the items that it
/// adds and the items that it lacks.
fn differences(first: &Value, mut other: Value) -> Value {
    let Some(fields) = other.as_object_mut() else { return other };
    fields.retain(|name, value| name == "dialect" || *value != first[name]);
    for (name, value) in fields {
        match (&first[name.as_str()], &*value) {
            (_, Value::Null) => *value = "none".into(),
            (Value::Array(_), Value::Array(list)) if list.is_empty() => *value = "none".into(),
            (Value::Array(before), Value::Array(now)) => {
                let missing = |from: &[Value], list: &[Value]| {
                    let items = from.iter().filter(|item| !list.contains(item)).filter_map(Value::as_str);
                    items.collect::<Vec<_>>().join(", ")
                };
                let (more, less) = (missing(now, before), missing(before, now));
                let parts = [("also: ", more), ("without: ", less)];
                let parts = parts.iter().filter(|(_, items)| !items.is_empty());
                let parts: Vec<String> = parts.map(|(word, items)| format!("{word}{items}")).collect();
                *value = parts.join("; ").into();
            }
            _ => {}
        }
    }
    other
}

const SHEET_FIELDS: &[&str] = &[
    "name",
    "title",
    "dialect",
    "base_url",
    "upload_base_url",
    "docs_url",
    "token_variables",
    "base_url_variables",
    "settings",
    "operations",
    "max_size",
    "name_limit",
    "name_slash",
    "empty_files",
    "purposes",
    "default_purpose",
    "metadata",
    "lifetime",
    "download",
    "ranges",
    "files_per_page",
    "filter",
    "sort",
    "newest_first",
    "meta_set",
    "link_lifetime",
    "checksums",
    "duplicates",
    "rate",
];

pub(super) const SHEET_COLUMNS: Columns = Columns { all: SHEET_FIELDS, shown: SHEET_FIELDS, piped: None };

/// Lifetimes of at least this many seconds (one hundred years) count as unlimited.
const UNLIMITED: i64 = 100 * 365 * 86_400;

/// Describes a comparison that the platform evaluates, such as `created_at < <= > >= (approximately)`.
fn pushed_down(native: &Native) -> String {
    let ops: Vec<&str> = native.ops.iter().map(|op| op.symbol()).collect();
    let precision = match native.precision {
        Precision::Exact => "",
        Precision::Superset => " (approximately)",
    };
    format!("{} {}{precision}", native.field, ops.join(" "))
}

/// The details of one of a platform's dialects.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "datasheet")]
pub(super) struct Sheet {
    /// The name used in commands.
    name: &'static str,
    /// The full name.
    title: &'static str,
    /// The wire dialect and its description.
    dialect: String,
    /// The default base URL; null if no network is used.
    base_url: Option<&'static str>,
    /// The base URL for uploads, if different.
    upload_base_url: Option<&'static str>,
    /// The platform's documentation.
    docs_url: Option<&'static str>,
    /// The environment variables for the token.
    token_variables: &'static [&'static str],
    /// The vendor's own environment variables for the base URL.
    base_url_variables: &'static [&'static str],
    /// The keys for `--set`, with descriptions.
    #[schemars(with = "BTreeMap<String, String>")]
    settings: Object,
    /// The operations that the platform supports.
    operations: Vec<&'static str>,
    /// The maximum size of a file, in bytes.
    max_size: Option<u64>,
    /// The maximum length of a name.
    name_limit: Option<String>,
    /// How the platform treats `/` in the name of an uploaded file: `kept`, `stripped`, `refused`.
    name_slash: &'static str,
    /// Whether empty files are accepted.
    empty_files: bool,
    /// The values for `--purpose`; empty if the platform has no purposes or accepts any value.
    purposes: &'static [&'static str],
    /// The default purpose.
    default_purpose: Option<&'static str>,
    /// Whether metadata can be set when uploading.
    metadata: bool,
    /// The range of lifetimes for a file.
    lifetime: Option<String>,
    /// Whether files can be downloaded: `yes`, `signed links`, `some files`, `no`.
    download: &'static str,
    /// Whether part of a file can be downloaded.
    ranges: bool,
    /// The maximum number of files per page of a listing.
    files_per_page: u32,
    /// The comparisons that the platform evaluates. After an approximate one, haul removes the files that do not match.
    filter: Vec<String>,
    /// The fields that the platform can sort by.
    sort: &'static [&'static str],
    /// Whether listings start with the newest file.
    newest_first: bool,
    /// The properties that `meta set` can change.
    meta_set: Option<String>,
    /// The range of lifetimes for a link.
    link_lifetime: Option<String>,
    /// The checksums that the platform reports.
    checksums: &'static [&'static str],
    /// `never` if the platform stores equal content once; null if each upload creates a file.
    duplicates: Option<&'static str>,
    /// The published rate limit.
    rate: Option<String>,
}

fn sheet(spec: &'static Spec, dialect: &str, dialect_title: &str, can: &'static Capabilities) -> Sheet {
    let row = Row::of(spec);
    let seconds = |count: i64| human::duration(std::time::Duration::from_secs(count.unsigned_abs()));
    let span = |lifetime: Option<(i64, i64)>| {
        lifetime.map(|(min, max)| {
            if max >= UNLIMITED {
                format!("at least {}", seconds(min))
            } else {
                format!("{} to {}", seconds(min), seconds(max))
            }
        })
    };
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    Sheet {
        name: spec.name,
        title: spec.title,
        dialect: format!("{dialect}: {dialect_title}"),
        base_url: some(spec.base_url),
        upload_base_url: spec.upload_base_url,
        docs_url: some(spec.docs_url),
        token_variables: spec.token_variables,
        base_url_variables: spec.base_url_variables,
        settings: spec.settings.iter().map(|setting| (setting.key.to_owned(), setting.help.into())).collect(),
        operations: Op::ALL.into_iter().filter(|op| supports(can, *op)).map(Op::phrase).collect(),
        max_size: can.upload.max_bytes,
        name_limit: match can.upload.name {
            NameLimit::Unlimited => None,
            NameLimit::Bytes(max) => Some(format!("{max} bytes")),
            NameLimit::Characters(max) => Some(format!("{max} characters")),
        },
        name_slash: spec.name_slash.word(),
        empty_files: can.upload.empty,
        purposes: can.upload.purposes,
        default_purpose: can.upload.default_purpose,
        metadata: can.upload.metadata,
        lifetime: span(can.upload.lifetime),
        download: row.download,
        ranges: can.ranges,
        files_per_page: can.list.max_page,
        filter: can.list.native.iter().map(pushed_down).collect(),
        sort: can.list.sort,
        newest_first: can.list.newest_first,
        meta_set: row.meta_set,
        link_lifetime: span(can.link.and_then(|link| link.lifetime)),
        checksums: can.checksums,
        duplicates: (can.duplicates == Duplicates::Never).then_some("never"),
        rate: can.rate.map(|rate| format!("{} requests per {}", rate.requests, human::duration(rate.per))),
    }
}
