//! Test data of each platform. The suites iterate over the registry and read here what neither [`Spec`] nor
//! [`Capabilities`] describes.
//!
//! A new platform needs a file with its [`Platform`], a `mod` line and a line in [`PLATFORMS`].

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod faults;
pub mod records;
pub mod soak;
pub mod wire;

pub mod activeloop;
pub mod anthropic;
pub mod ark;
pub mod azblob;
pub mod azure;
pub mod dashscope;
pub mod deepinfra;
pub mod deepseek;
pub mod gcs;
pub mod gemini;
pub mod groq;
pub mod llamacloud;
pub mod local;
pub mod metorial;
pub mod mistral;
pub mod moonshot;
pub mod novita;
pub mod openai;
pub mod openrouter;
pub mod perplexity;
pub mod replicate;
pub mod s3;
pub mod siliconflow;
pub mod together;
pub mod upstage;
pub mod xai;
pub mod zhipu;

mod complete;

use haul::emulator;
use haul::error::Kind;
use haul::providers::{Capabilities, Op, REGISTRY, Spec};

use crate::support::rig::Case;
use crate::support::sandbox::Run;

/// The test data of every platform.
pub static PLATFORMS: &[&Platform] = &[
    &local::PLATFORM,
    &replicate::PLATFORM,
    &activeloop::PLATFORM,
    &metorial::PLATFORM,
    &llamacloud::PLATFORM,
    &xai::PLATFORM,
    &anthropic::PLATFORM,
    &gemini::PLATFORM,
    &openai::PLATFORM,
    &azure::PLATFORM,
    &deepseek::PLATFORM,
    &groq::PLATFORM,
    &dashscope::PLATFORM,
    &openrouter::PLATFORM,
    &perplexity::PLATFORM,
    &moonshot::PLATFORM,
    &zhipu::PLATFORM,
    &upstage::PLATFORM,
    &deepinfra::PLATFORM,
    &novita::PLATFORM,
    &siliconflow::PLATFORM,
    &ark::PLATFORM,
    &mistral::PLATFORM,
    &together::PLATFORM,
    &s3::PLATFORM,
    &gcs::PLATFORM,
    &azblob::PLATFORM,
];

/// The reason for an omission or an exception.
pub type Reason = &'static str;

/// The test data of one platform.
#[derive(Debug)]
pub struct Platform {
    /// Its name in the registry.
    pub name: &'static str,
    /// Ways to open and serve it, at least one for each dialect. The suites run on each.
    pub cases: &'static [Case],
    /// Further cases, whose server does not support all operations of the dialect. Only the filter tests run on these.
    pub limited_cases: &'static [Case],
    /// Dialects without a case.
    pub no_case: &'static [(&'static str, Reason)],
    /// Behavior that neither its [`Spec`] nor its [`Capabilities`] describes.
    pub facts: Facts,
    /// Commands as users type them, and their results.
    pub commands: &'static [Typed],
    /// Its records in the emulator.
    pub records: records::Records,
    /// Filters on fields that only this platform has, and the exit code of `ls`. Accepted filters match no file.
    pub own_filters: &'static [(Case, &'static str, i32)],
    /// Filters and options on fields that the listings of a dialect omit.
    pub unstated: &'static [Unstated],
    /// Columns of the fault matrix.
    pub columns: &'static [faults::Column],
    /// Dialects without a column.
    pub no_column: &'static [(&'static str, Reason)],
    /// Cells of these columns that differ from the rule of their fault.
    pub exceptions: &'static [faults::Exception],
    /// Its wire format, for hostile servers.
    pub wire: Result<&'static wire::Dialect, Reason>,
    /// All formats of its listings, at least one for each dialect. Empty without a server.
    pub listings: &'static [wire::Dialect],
    /// Quirks of the emulator with the largest values that it accepts.
    pub extreme_quirks: &'static [&'static str],
    /// Its configuration in the soak test.
    pub soak: Result<soak::Soak, Reason>,
}

/// The base of a platform that `haul serve` does not emulate. Such platforms differ only in their names and in the
/// reasons why suites omit them.
const NOT_EMULATED: Platform = Platform {
    name: "",
    cases: &[],
    limited_cases: &[],
    no_case: &[],
    facts: Facts { signs_links: true, ..Facts::USUAL },
    commands: &[],
    records: records::Records::PLAIN,
    own_filters: &[],
    unstated: &[],
    columns: &[],
    no_column: &[],
    exceptions: &[],
    wire: Err(""),
    listings: &[],
    extreme_quirks: &[],
    soak: Err("it runs on the emulator, which does not have this platform"),
};

/// How a small file is sent in parts of 1 MiB.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The settings.
    pub set: &'static [(&'static str, &'static str)],
    /// The purpose, if the default one is not accepted.
    pub purpose: Option<&'static str>,
}

/// Behavior that differs between platforms.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// A metadata key that every dialect with metadata accepts.
    pub metadata_key: &'static str,
    /// The end of the error when a key cannot be removed, because the platform only merges metadata.
    pub unset_refusal: Option<&'static str>,
    /// Whether haul signs links itself, so that it can create a link to a missing file.
    pub signs_links: bool,
    /// The status of a deleted file, if the platform still returns its record.
    pub deleted_status: Option<&'static str>,
    /// Values of [`Case::wire`] whose server refuses every deletion.
    pub never_deletes: &'static [&'static str],
    /// Operations that the dialect `auto` supports and the server of a [`Case::wire`] does not, with the kind of the error.
    pub lacks: &'static [(&'static str, Op, Kind)],
    /// A case whose files stay in processing, if the platform processes files after the upload.
    pub processing: Option<Case>,
    /// Whether an id may end in any seven hexadecimal digits.
    pub hexadecimal_ids: bool,
    /// The number of requests needed to learn that no file has an id.
    pub id_lookups: usize,
    /// A quirk that makes the emulator accept only a single request, if the window of its rate limit can be set.
    pub one_request: Option<&'static str>,
    /// Whether listings contain sizes and times.
    pub lists_sizes_and_times: bool,
    /// How a small file is sent in parts, on a platform with parts of any size.
    pub parts: Option<Parts>,
    /// The body of its 429 response if the account has no quota left.
    pub no_quota: &'static str,
}

impl Facts {
    /// The behavior of most platforms.
    pub const USUAL: Self = Self {
        metadata_key: "author",
        unset_refusal: None,
        signs_links: false,
        deleted_status: None,
        never_deletes: &[],
        lacks: &[],
        processing: None,
        hexadecimal_ids: false,
        id_lookups: 1,
        one_request: None,
        lists_sizes_and_times: true,
        parts: None,
        // OpenAI's error, which most platforms use.
        no_quota: r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
    };
}

/// A command on a platform that has one file, `doc.pdf`; `@` stands for the file's id. Followed by the exit code and a part
/// of the output, from stdout if the command succeeds and from stderr otherwise.
pub type Typed = (Case, &'static str, i32, &'static str);

/// Filters and options that are refused because the dialect does not return the fields that they use.
#[derive(Clone, Copy, Debug)]
pub struct Unstated {
    pub case: Case,
    /// A part of the last hint of the error.
    pub hint: &'static str,
    /// Filters for every verb.
    pub filters: &'static [&'static str],
    /// Options of `ls`.
    pub options: &'static [&'static [&'static str]],
}

/// The platforms of the registry, in registry order.
pub fn all() -> impl Iterator<Item = &'static Platform> {
    REGISTRY.iter().map(|spec| of(spec.name))
}

/// The test data of a platform.
pub fn of(name: &str) -> &'static Platform {
    let known = PLATFORMS.iter().find(|platform| platform.name == name);
    known.unwrap_or_else(|| panic!("{name} is registered and has no tests/it/platforms/{name}.rs"))
}

/// Every case of every platform.
pub fn cases() -> impl Iterator<Item = Case> {
    all().flat_map(|platform| platform.cases).copied()
}

/// Like [`cases`], plus the cases whose server does not support all operations of the dialect.
pub fn filter_cases() -> impl Iterator<Item = Case> {
    all().flat_map(|platform| platform.cases.iter().chain(platform.limited_cases)).copied()
}

/// One case for each dialect in the registry.
pub fn dialects() -> impl Iterator<Item = Case> {
    let first = |spec: &Spec, dialect: &str| of(spec.name).cases.iter().find(|case| case.dialect == dialect);
    REGISTRY
        .iter()
        .flat_map(move |spec| spec.dialects.iter().filter_map(move |it| first(spec, it.name)))
        .copied()
}

/// The platforms that `haul serve` emulates.
pub fn served() -> impl Iterator<Item = (&'static Platform, &'static emulator::Platform)> {
    all().filter_map(move |platform| Some((platform, emulated(platform.name)?)))
}

/// Any emulated platform.
pub fn remote() -> &'static Platform {
    served().next().expect("a platform with a server").0
}

/// Replaces the names after `label` with a placeholder, if they are those of all platforms that `is_listed` selects.
pub fn without_names(run: &Run, label: &str, is_listed: impl Fn(&Spec) -> bool) -> String {
    let names: Vec<&str> = REGISTRY.iter().filter(|spec| is_listed(spec)).map(|spec| spec.name).collect();
    let list = format!("{label}: {}\n", names.join(", "));
    format!("{run}\n").replace(&list, &format!("{label}: [platforms]\n"))
}

/// The same for the hint that lists the other platforms with a dialect that `is_able` selects.
pub fn without_able(run: &Run, name: &str, is_able: impl Fn(&Capabilities) -> bool) -> String {
    let is_able = |spec: &Spec| spec.dialects.iter().any(|dialect| is_able(dialect.can));
    without_names(run, "supported by", |spec| spec.name != name && is_able(spec))
}

/// Collects the platforms that a test runs on. Panics if there are none, because the test would check nothing.
#[track_caller]
pub fn some<T>(found: impl Iterator<Item = T>) -> Vec<T> {
    let found: Vec<T> = found.collect();
    assert!(!found.is_empty(), "no platform for this test");
    found
}

/// The cases of platforms that `haul serve` does not emulate, but for which the tests have their own server.
pub static ON_OWN_SERVERS: &[Case] = &[s3::S3];

pub fn emulated(name: &str) -> Option<&'static emulator::Platform> {
    emulator::PLATFORMS.iter().copied().find(|platform| platform.name == name)
}

impl Platform {
    pub fn spec(&self) -> &'static Spec {
        haul::providers::find(self.name).expect("a provider of the registry")
    }
}

impl Case {
    /// The capabilities of the case's dialect.
    pub fn can(&self) -> &'static Capabilities {
        let dialect = self.spec().dialects.iter().find(|dialect| dialect.name == self.dialect);
        dialect.unwrap_or_else(|| panic!("{} has no dialect {}", self.provider, self.dialect)).can
    }

    /// The facts of the case's platform.
    pub fn facts(&self) -> &'static Facts {
        &of(self.provider).facts
    }

    /// The name in failure messages.
    pub fn name(&self) -> String {
        let Self { provider, dialect, .. } = self;
        match self.wire {
            Some(wire) if wire != format!("{provider}={dialect}") => {
                format!("{provider} {dialect} on {wire}")
            }
            _ => format!("{provider} {dialect}"),
        }
    }

    /// Whether the platform is reached over a network.
    pub fn is_remote(&self) -> bool {
        emulated(self.provider).is_some() || ON_OWN_SERVERS.iter().any(|case| case.provider == self.provider)
    }

    /// Whether its server deletes files.
    pub fn deletes(&self) -> bool {
        !self.wire.is_some_and(|wire| self.facts().never_deletes.contains(&wire))
    }
}
