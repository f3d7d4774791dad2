//! The platforms, the verbs, and of each verb on each platform the request that faults spoil: its deed.

use haul::providers::Op;

use crate::support::rig::{Case, TOKEN as RIG_TOKEN};

pub const TOKEN: &str = RIG_TOKEN;

/// One platform in one dialect.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub case: Case,
}

/// Every provider in every dialect that makes requests of its own.
pub const COLUMNS: &[Column] = &[
    Column {
        name: "replicate",
        case: Case {
            quirks: &["replicate.ranges", "signing-secret=s3cret", "owner=acme"],
            set: &[("owner", "acme")],
            secrets: &[("signing_secret", "s3cret")],
            ..Case::of("replicate", "signed")
        },
    },
    Column {
        name: "activeloop",
        case: Case { quirks: &["activeloop.ranges"], ..Case::of("activeloop", "l0") },
    },
    Column { name: "metorial seed", case: metorial("seed", "metorial=seed") },
    Column { name: "metorial pulsar", case: metorial("pulsar", "metorial=pulsar") },
    Column { name: "metorial magnetar", case: metorial("magnetar", "metorial=magnetar") },
    Column { name: "llamacloud beta", case: Case::of("llamacloud", "beta") },
    Column { name: "llamacloud legacy", case: Case::of("llamacloud", "legacy") },
    Column { name: "xai openai", case: xai("openai", "xai=openai") },
    Column { name: "xai gateway", case: xai("gateway", "xai=gateway") },
    Column {
        name: "metorial presigned",
        case: Case { set: &[("via", "presigned")], ..metorial("magnetar", "metorial=magnetar") },
    },
    Column {
        name: "llamacloud presigned",
        case: Case { set: &[("via", "presigned")], ..Case::of("llamacloud", "legacy") },
    },
    Column { name: "xai chunks", case: Case { set: &[("via", "chunks")], ..xai("gateway", "xai=gateway") } },
];

/// Columns of another route for uploads alone.
const ROUTES: &[(&str, Deed)] = &[
    ("metorial presigned", step("PUT", "/metorial/file-uploads/*")),
    ("llamacloud presigned", step("PUT", "/llamacloud/_store/*")),
    (
        "xai chunks",
        Deed { class: Class::Send, method: "POST", path: "/xai/v1/files:uploadChunks", anonymous: false },
    ),
];

const fn step(method: &'static str, path: &'static str) -> Deed {
    Deed { class: Class::Step, method, path, anonymous: true }
}

/// The dialects that are no column, and why.
pub const NO_COLUMN: &[(&str, &str, &str)] = &[
    ("local", "store", "no network is between: disks that fail are tests/store and tests/hostile"),
    ("local", "served", "as `store`; its links are signed here, without a request"),
    ("replicate", "api", "the requests of `signed`; what it lacks it refuses before any request"),
    ("xai", "auto", "the requests of `openai`, and of `gateway` where only that has the thing"),
];

const fn metorial(dialect: &'static str, wire: &'static str) -> Case {
    Case { wire: Some(wire), ..Case::of("metorial", dialect) }
}

const fn xai(dialect: &'static str, wire: &'static str) -> Case {
    Case { wire: Some(wire), quirks: &["xai.ranges"], ..Case::of("xai", dialect) }
}

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Upload,
    /// `upload --if-exists skip` of what is there.
    Skip,
    /// `upload --if-exists replace` of what is there in another state.
    Replace,
    /// The same, spoiled in its last step: what is there in the old state is taken away.
    Retire,
    /// `upload --to`.
    To,
    Ls,
    Info,
    Get,
    /// The same, spoiled where it asks for a link to the content.
    Presign,
    /// `get -o -`.
    Stdout,
    Rm,
    Meta,
    Link,
    Revoke,
}

impl Verb {
    pub const ALL: [Self; 14] = [
        Self::Upload,
        Self::Skip,
        Self::Replace,
        Self::Retire,
        Self::To,
        Self::Ls,
        Self::Info,
        Self::Get,
        Self::Presign,
        Self::Stdout,
        Self::Rm,
        Self::Meta,
        Self::Link,
        Self::Revoke,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Skip => "upload --if-exists skip",
            Self::Replace => "upload --if-exists replace",
            Self::Retire => "upload --if-exists replace (rm)",
            Self::To => "upload --to",
            Self::Ls => "ls",
            Self::Info => "info",
            Self::Get => "get",
            Self::Presign => "get (link)",
            Self::Stdout => "get -o -",
            Self::Rm => "rm",
            Self::Meta => "meta set",
            Self::Link => "link",
            Self::Revoke => "link --revoke",
        }
    }

    /// What a platform must be able to do for it.
    pub const fn needs(self) -> Op {
        match self {
            Self::Upload | Self::Skip | Self::Replace => Op::Upload,
            Self::To => Op::Replace,
            Self::Ls => Op::List,
            Self::Info => Op::Stat,
            Self::Get | Self::Presign | Self::Stdout => Op::Download,
            Self::Rm | Self::Retire => Op::Delete,
            Self::Meta => Op::Annotate,
            Self::Link => Op::Link,
            Self::Revoke => Op::Unlink,
        }
    }

    /// Whether a file is there before.
    pub const fn finds_a_file(self) -> bool {
        !matches!(self, Self::Upload)
    }

    /// Whether it sends content.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Upload | Self::Replace | Self::Retire | Self::To)
    }
}

/// What sort of request a deed is: what may be done when it fails depends on nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks for JSON.
    Read,
    /// Fetches content to a file.
    Content,
    /// Fetches content to standard output.
    Stdout,
    /// Takes something away.
    Delete,
    /// Uploads: twice would be two files.
    Send,
    /// Puts content in the place of another: twice is the same as once.
    Place,
    /// Brings the bytes of an upload that another request ends: twice is the same as once.
    Step,
    /// Changes something: twice is the same as once.
    Put,
    /// Makes or ends something that twice would not be the same as once.
    Make,
}

/// The request that faults spoil.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    pub class: Class,
    pub method: &'static str,
    pub path: &'static str,
    /// Whether it must go without the token.
    pub anonymous: bool,
}

/// Why a verb has no deed on a platform.
pub type Reason = &'static str;

/// Why a column of another route for uploads has but one verb.
pub const ROUTE: Reason = "another route for uploads alone: the rest is as without it";
pub const REFUSED: Reason = "refused before any request: the platform cannot";

/// The deed of a verb on a platform.
pub fn deed(column: &Column, verb: Verb) -> Result<Deed, Reason> {
    if let Some((_, deed)) = ROUTES.iter().find(|(name, _)| *name == column.name) {
        return if verb == Verb::Upload { Ok(*deed) } else { Err(ROUTE) };
    }
    let of = |class, method, path| Ok(Deed { class, method, path, anonymous: false });
    let without_token = |class, path| Ok(Deed { class, method: "GET", path, anonymous: true });
    let fetch = if verb == Verb::Stdout { Class::Stdout } else { Class::Content };
    let (all, one) = match column.name {
        "replicate" => ("/replicate/v1/files", "/replicate/v1/files/*"),
        "activeloop" => ("/activeloop/files", "/activeloop/files/*"),
        "llamacloud beta" => ("/llamacloud/api/v1/beta/files", "/llamacloud/api/v1/beta/files/*"),
        "llamacloud legacy" => ("/llamacloud/api/v1/files", "/llamacloud/api/v1/files/*"),
        "xai openai" | "xai gateway" => ("/xai/v1/files", "/xai/v1/files/*"),
        _ => ("/metorial/files", "/metorial/files/*"),
    };
    match (verb, column.name) {
        (Verb::Rm, "metorial pulsar") => Err("this dialect's server refuses to delete at all"),
        (Verb::Replace, "metorial pulsar") => Err("as rm, which is its last step"),
        (Verb::Retire, "metorial pulsar") => Err("as rm, which it is"),
        (Verb::Retire, "xai gateway") => Err("the content is replaced in its place: nothing is taken away"),
        (Verb::Replace | Verb::To, "xai gateway") => of(Class::Place, "PUT", one),
        (Verb::Upload | Verb::Replace, _) => of(Class::Send, "POST", all),
        (Verb::Skip | Verb::Ls, _) => of(Class::Read, "GET", all),
        (Verb::Info, _) => of(Class::Read, "GET", one),
        (Verb::Get | Verb::Stdout, "replicate") => without_token(fetch, "/replicate/v1/files/*/download"),
        (Verb::Get | Verb::Stdout, "activeloop") => of(fetch, "GET", "/activeloop/files/*/content"),
        (Verb::Get | Verb::Stdout, "xai openai" | "xai gateway") => {
            of(fetch, "GET", "/xai/v1/files/*/content")
        }
        (Verb::Get | Verb::Stdout, "llamacloud beta" | "llamacloud legacy") => {
            without_token(fetch, "/llamacloud/_store/*")
        }
        (Verb::Get | Verb::Stdout, "metorial magnetar") => without_token(fetch, "/metorial/files/*/*"),
        (Verb::Get | Verb::Stdout, _) => without_token(fetch, "/metorial/files/retrieve/*/*"),
        (Verb::Presign | Verb::Link, "replicate") => Err("a link is signed here: no request makes it"),
        (Verb::Presign | Verb::Link, "llamacloud beta") => {
            of(Class::Read, "GET", "/llamacloud/api/v1/beta/files/*/content")
        }
        (Verb::Presign | Verb::Link, "llamacloud legacy") => {
            of(Class::Read, "GET", "/llamacloud/api/v1/files/*/content")
        }
        (Verb::Presign, "metorial magnetar") => of(Class::Put, "POST", "/metorial/file-links"),
        (Verb::Presign, "metorial seed" | "metorial pulsar") => {
            of(Class::Put, "POST", "/metorial/files/*/links")
        }
        (Verb::Presign, _) => Err("the platform gives the bytes itself, without a link"),
        (Verb::Rm | Verb::Retire, _) => of(Class::Delete, "DELETE", one),
        (Verb::Meta, "activeloop") => of(Class::Put, "PUT", "/activeloop/files/*/metadata"),
        (Verb::Meta, "xai gateway") => of(Class::Put, "PUT", one),
        (Verb::Meta, "metorial pulsar") => of(Class::Put, "PATCH", one),
        (Verb::Link, "xai openai") => of(Class::Put, "POST", "/xai/v1/files/*/public-url"),
        (Verb::Link, "xai gateway") => of(Class::Put, "POST", "/xai/v1/files:download"),
        (Verb::Revoke, "xai openai") => of(Class::Make, "POST", "/xai/v1/files/*/public-url/revoke"),
        (Verb::Link, "metorial magnetar") => of(Class::Make, "POST", "/metorial/file-links"),
        (Verb::Revoke, "metorial magnetar") => of(Class::Delete, "DELETE", "/metorial/file-links/*"),
        (Verb::Link, "metorial seed" | "metorial pulsar") => {
            of(Class::Make, "POST", "/metorial/files/*/links")
        }
        (Verb::Revoke, "metorial seed" | "metorial pulsar") => {
            of(Class::Delete, "DELETE", "/metorial/files/*/links/*")
        }
        (Verb::To | Verb::Meta | Verb::Link | Verb::Revoke, _) => Err(REFUSED),
    }
}

/// What the program is called with. The file is `name`, which the platform knows by `id`.
pub fn arguments(column: &Column, verb: Verb, name: &str, id: &str) -> Vec<String> {
    let reference = format!("id:{id}");
    let words: Vec<&str> = match verb {
        Verb::Upload => vec!["upload", name],
        Verb::Skip => vec!["upload", name, "--if-exists", "skip"],
        Verb::Replace | Verb::Retire => vec!["upload", name, "--if-exists", "replace"],
        Verb::To => vec!["upload", name, "--to", &reference],
        Verb::Ls => vec!["ls", name],
        Verb::Info => vec!["info", &reference],
        Verb::Get | Verb::Presign => vec!["get", &reference],
        Verb::Stdout => vec!["get", &reference, "-o", "-"],
        Verb::Rm => vec!["rm", &reference, "--yes"],
        Verb::Meta if column.case.provider == "xai" => {
            vec!["meta", "set", &reference, "--type", "text/x-changed"]
        }
        Verb::Meta => vec!["meta", "set", &reference, "title=changed"],
        Verb::Link => vec!["link", &reference],
        Verb::Revoke => vec!["link", &reference, "--revoke"],
    };
    words.into_iter().map(str::to_owned).collect()
}
