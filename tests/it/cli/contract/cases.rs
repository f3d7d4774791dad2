//! The commands as data: arguments, input store, exit status, number and shape of the rows.

use haul::emulator::PLATFORMS;
use haul::providers::REGISTRY;

/// A command line and its expected results in every format.
pub struct Case {
    pub arguments: &'static [&'static str],
    /// The exit status, the same in each format.
    pub status: i32,
    pub rows: usize,
    /// The name of its rows in `haul.schema.json`.
    pub shape: &'static str,
    /// Fields whose values are the same in each run.
    pub fields: &'static str,
}

impl Case {
    /// Whether it may change local or remote files.
    pub fn changes(&self) -> bool {
        let only_looks = match self.arguments {
            ["ls" | "info" | "du" | "gc" | "providers" | "config" | "auth" | "serve", ..]
            | ["meta", "get", ..] => true,
            arguments => arguments.iter().any(|word| matches!(*word, "-n" | "--dry-run" | "--list")),
        };
        !only_looks
    }
}

const fn case(
    arguments: &'static [&'static str],
    status: i32,
    rows: usize,
    shape: &'static str,
    fields: &'static str,
) -> Case {
    Case { arguments, status, rows, shape, fields }
}

/// Commands on an empty store.
pub const NONE: &[Case] = &[
    case(&["ls"], 0, 0, "file", "name,size"),
    case(&["ls", "*.pdf", "--long"], 0, 0, "file", "name,size"),
    case(&["info", "*"], 3, 0, "file", "name,size"),
    case(&["get", "*", "-o", "to/"], 3, 0, "saved_file", "name,saved_to"),
    case(&["get", "*", "-o", "to/", "-n"], 3, 0, "saved_file", "name,saved_to"),
    case(&["cp", "local:", "to/"], 3, 0, "saved_file", "name,saved_to"),
    case(&["rm", "*", "--yes"], 3, 0, "deleted_file", "name,deleted"),
    case(&["du"], 0, 1, "usage", "files,bytes"),
    case(&["gc", "--older", "1h"], 0, 0, "collected_file", "name,deleted"),
    case(&["meta", "get", "*"], 3, 0, "file", "name,metadata"),
    case(&["meta", "set", "*", "a=b", "--yes"], 3, 0, "file", "name,metadata"),
    case(&["meta", "unset", "*", "a", "--yes"], 3, 0, "file", "name,metadata"),
    case(&["link", "*", "--yes"], 3, 0, "link", "expires_at,file.name"),
    case(&["link", "*", "--list"], 3, 0, "link", "expires_at,file.name"),
    case(&["upload", "--files-from", "/dev/null"], 0, 0, "uploaded_file", "name,size"),
    case(&["upload", "--files-from", "/dev/null", "-n"], 0, 0, "planned_file", "name,size"),
];

/// Commands on a store with one file named `one`.
pub const ONE: &[Case] = &[
    case(&["upload", "up.txt"], 0, 1, "uploaded_file", "name,size"),
    case(&["upload", "up.txt", "--if-exists", "skip"], 0, 1, "uploaded_file", "name,size"),
    case(&["upload", "up.txt", "--to", "one"], 0, 1, "uploaded_file", "name,size"),
    case(&["upload", "up.txt", "-n"], 0, 1, "planned_file", "id,name,size"),
    case(&["ls"], 0, 1, "file", "id,name,size,created_at"),
    case(&["ls", "--long"], 0, 1, "file", "name,metadata,expires_at"),
    case(&["info", "one"], 0, 1, "file", "id,name,checksums"),
    case(&["get", "one", "-o", "to/"], 0, 1, "saved_file", "name,saved_to"),
    case(&["get", "one", "-o", "to/", "--dry-run"], 0, 1, "saved_file", "name,saved_to"),
    case(&["cp", "local:one", "local:two"], 0, 1, "uploaded_file", "name,size"),
    case(&["cp", "local:one", "local:two", "-n"], 0, 1, "planned_file", "id,name,size"),
    case(&["cp", "up.txt", "local:"], 0, 1, "uploaded_file", "name,size"),
    case(&["cp", "local:one", "to/"], 0, 1, "saved_file", "name,saved_to"),
    case(&["rm", "one"], 0, 1, "deleted_file", "id,name,deleted"),
    case(&["du", "--by", "type"], 0, 1, "usage", "group,files"),
    case(&["sync", ".", "local:", "-n", "--include", "one"], 0, 1, "synced_file", "action,path"),
    case(&["gc", "--keep", "1"], 0, 0, "collected_file", "name,deleted"),
    case(&["rm", "one", "--dry-run"], 0, 1, "deleted_file", "id,name,deleted"),
    case(&["meta", "get", "one"], 0, 1, "file", "name,metadata"),
    case(&["meta", "set", "one", "a=b"], 0, 1, "file", "name,metadata.a"),
    case(&["meta", "set", "one", "a=b", "--dry-run"], 0, 1, "file", "name,metadata.a"),
    case(&["meta", "unset", "one", "a"], 0, 1, "file", "name,metadata"),
    case(&["link", "one"], 0, 1, "link", "expires_at,file.name"),
    case(&["link", "one", "--dry-run"], 0, 1, "file", "id,name"),
    case(&["link", "one", "--list"], 0, 0, "link", "expires_at,file.name"),
];

/// Commands on a store with 130 files, which are also in `docs/`. Commands that change many files are tested with
/// the hostile names; here they would only add disk time.
pub const MANY: &[Case] = &[
    case(&["upload", "-r", "docs", "-n"], 0, 130, "planned_file", "name,size"),
    case(&["ls"], 0, 130, "file", "id,name,size"),
    case(&["ls", "--sort", "name", "--limit", "105"], 0, 105, "file", "id,name,size"),
    case(&["info", "*"], 0, 130, "file", "id,name"),
    case(&["get", "*", "-o", "to/", "-n"], 0, 130, "saved_file", "id,name,saved_to"),
    case(&["meta", "get", "*"], 0, 130, "file", "id,name,metadata"),
    case(&["rm", "*", "-n"], 0, 130, "deleted_file", "id,name,deleted"),
    case(&["link", "*", "-n"], 0, 130, "file", "id,name"),
];

/// Commands on a store of files with hostile names. `hard/` holds those that the disk accepts.
pub const HOSTILE: &[Case] = &[
    case(&["upload", "-r", "hard"], 0, super::world::ON_DISK, "uploaded_file", "name,size"),
    case(&["upload", "-r", "hard", "-n"], 0, super::world::ON_DISK, "planned_file", "name,size"),
    case(&["ls"], 0, super::world::NAMES.len(), "file", "id,name,size,metadata"),
    case(&["ls", "--long"], 0, super::world::NAMES.len(), "file", "name,content_type,purpose,path"),
    case(&["info", "*"], 0, super::world::NAMES.len(), "file", "id,name,metadata"),
    case(&["get", "*", "-o", "to/", "-n"], 0, super::world::NAMES.len(), "saved_file", "name,saved_to"),
    case(&["get", "*", "-o", "to/"], 0, super::world::NAMES.len(), "saved_file", "name,saved_to"),
    case(&["rm", "*", "--dry-run"], 0, super::world::NAMES.len(), "deleted_file", "id,name,deleted"),
    case(&["rm", "*", "--yes"], 0, super::world::NAMES.len(), "deleted_file", "id,name,deleted"),
    case(&["meta", "get", "*"], 0, super::world::NAMES.len(), "file", "name,metadata"),
    case(
        &["meta", "set", "*", "k\u{1b}[2J=v\n\u{202e}", "--yes"],
        0,
        super::world::NAMES.len(),
        "file",
        "name,metadata",
    ),
    case(
        &["meta", "unset", "*", "h\u{1b}]0;x\u{7}", "--yes"],
        0,
        super::world::NAMES.len(),
        "file",
        "name,metadata",
    ),
    case(&["link", "*", "--yes"], 0, super::world::NAMES.len(), "link", "expires_at,file.name"),
    case(&["info", "no\u{1b}c\nsuch\u{202e}"], 3, 0, "file", "name"),
    case(&["upload", "no\u{1b}c\nsuch\u{202e}"], 3, 0, "file", "name"),
    case(&["ls", "--filter", "na\u{1b}[2J = 1"], 2, 0, "file", "name"),
    case(&["ls", "-p", "no\u{1b}[2J\nsuch"], 2, 0, "file", "name"),
    case(&["ls", "--set", "\u{1b}[2J=1"], 2, 0, "file", "name"),
    case(&["ls", "--bo\u{1b}[2Jgus"], 2, 0, "file", "name"),
    case(&["l\u{1b}[2Js"], 2, 0, "file", "name"),
];

/// Commands that fail, entirely or in part, on a store with one file named `one`. Profile `far` has no token.
pub const FAILING: &[Case] = &[
    case(&["upload", "up.txt", "nope"], 3, 1, "uploaded_file", "name,size"),
    case(&["upload", "up.txt", "nope", "-n"], 3, 1, "planned_file", "name,size"),
    case(&["upload", "nope", "."], 1, 0, "uploaded_file", "name,size"),
    case(&["upload", "nope"], 3, 0, "uploaded_file", "name,size"),
    case(&["upload"], 2, 0, "uploaded_file", "name,size"),
    case(&["upload", "-r", "empty"], 3, 0, "uploaded_file", "name,size"),
    case(&["upload", "-r", "empty", "-n"], 3, 0, "planned_file", "name,size"),
    case(&["ls", "--filter", "size >"], 2, 0, "file", "name"),
    case(&["ls", "--sort", "nmae"], 2, 0, "file", "name"),
    case(&["ls", "-p", "nowhere"], 2, 0, "file", "name"),
    case(&["ls", "-p", "far"], 4, 0, "file", "name"),
    case(&["info", "one", "nope"], 3, 1, "file", "name"),
    case(&["info", "nope", "nada"], 3, 0, "file", "name"),
    case(&["get", "one", "nope", "-o", "to/"], 3, 1, "saved_file", "name,saved_to"),
    case(&["get", "one", "nope", "-o", "to/", "-n"], 3, 1, "saved_file", "name,saved_to"),
    case(&["get", "one", "-o", "up.txt"], 1, 0, "saved_file", "name"),
    case(&["get", "one", "-o", "up.txt", "-n"], 1, 0, "saved_file", "name"),
    case(&["cp", "local:one", "local:"], 2, 0, "uploaded_file", "name,size"),
    case(&["cp", "local:one", "local:nope", "local:"], 2, 0, "uploaded_file", "name,size"),
    case(&["cp", "one", "two"], 2, 0, "uploaded_file", "name,size"),
    case(&["cp", "one"], 2, 0, "uploaded_file", "name,size"),
    case(&["cp", "local:nope", "local:two"], 3, 0, "uploaded_file", "name,size"),
    case(&["rm", "one", "nope"], 3, 1, "deleted_file", "name,deleted"),
    case(&["rm", "one", "nope", "-n"], 3, 1, "deleted_file", "name,deleted"),
    case(&["meta", "get", "one", "nope"], 3, 1, "file", "name"),
    case(&["meta", "set", "nope", "a=b"], 3, 0, "file", "name"),
    case(&["meta", "set", "one", "a"], 2, 0, "file", "name"),
    case(&["meta", "unset", "nope", "a"], 3, 0, "file", "name"),
    case(&["link", "one", "nope"], 3, 1, "link", "file.name"),
    case(&["link", "one", "nope", "--list"], 3, 0, "link", "file.name"),
    case(&["link", "one", "--expires", "1h"], 5, 0, "link", "file.name"),
    case(&["link", "one", "--revoke"], 3, 0, "link", "file.name"),
    case(&["providers", "nowhere"], 3, 0, "provider", "name"),
    case(&["profile", "rm", "nowhere"], 2, 0, "profile", "name"),
    case(&["auth", "status", "nowhere"], 2, 0, "token_status", "profile"),
    case(&["auth", "status", "far"], 4, 1, "token_status", "profile,status"),
    case(&["config", "show", "-p", "nowhere"], 2, 0, "setting", "setting"),
    case(&["serve", "--only", "nowhere"], 2, 0, "server", "url"),
];

/// Commands about haul itself. One of the profiles has settings with control characters.
pub fn itself() -> Vec<Case> {
    let platforms = REGISTRY.len();
    let mut cases = vec![
        case(&["providers"], 0, platforms, "provider", "name,download,max_size"),
        case(&["profile", "ls"], 0, platforms + 1, "profile", "name,provider,base_url,set"),
        case(&["profile", "default"], 0, 1, "profile", "name,default"),
        case(&["profile", "rm", "work"], 0, 1, "profile", "name,set"),
        case(&["auth", "status", "--offline"], 0, platforms + 1, "token_status", "profile,status,source"),
        case(&["config", "show", "-p", "work"], 0, 12, "setting", "setting,value"),
    ];
    for spec in REGISTRY {
        let sheet = vec!["providers", spec.name].leak();
        cases.push(case(sheet, 0, spec.dialects.len(), "datasheet", "name,dialect,operations"));
    }
    for platform in PLATFORMS {
        let quirks = vec!["serve", "--quirks", "--only", platform.name].leak();
        cases.push(case(quirks, 0, platform.quirks.len(), "quirk", "platform,quirk,value"));
    }
    cases
}
