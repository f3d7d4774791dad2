//! Handwritten servers in a platform's wire format. They send values that a real server, and therefore the emulator,
//! never sends.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use haul::providers::Capabilities;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::platforms::all;
pub use crate::platforms::wire::{Cursor, Dialect, Fetch, Replies};
use crate::support::rig::Case;
use crate::support::sandbox::{Run, Sandbox};
use crate::support::server::{Answer, Request, Server};
use crate::support::terminal::On;

/// A token that may appear only in `Authorization` headers to the platform's own origin.
pub const TOKEN: &str = "tok_canary_4f1c9a7e";

/// The dialects that have a server.
pub fn dialects() -> impl Iterator<Item = &'static Dialect> {
    all().filter_map(|platform| platform.wire.ok()).filter(|dialect| dialect.replies.is_some())
}

/// Every dialect with a listing.
pub fn listings() -> impl Iterator<Item = &'static Dialect> {
    all().flat_map(|platform| platform.listings)
}

/// A dialect that requires no settings, serves content itself and has links.
pub fn plain() -> &'static Dialect {
    let is_plain =
        |dialect: &&Dialect| dialect.set.is_empty() && dialect.links && fetch(dialect) == Fetch::Direct;
    dialects().find(is_plain).expect("a plain platform")
}

/// The kind of a dialect's downloads.
pub fn fetch(dialect: &Dialect) -> Fetch {
    dialect.replies().fetch
}

/// A file in the server's responses. The values are JSON text, sent verbatim.
#[derive(Clone, Debug)]
pub struct FakeFile {
    pub id: String,
    pub name: String,
    pub size: String,
    /// More members, each preceded by a comma.
    pub more: String,
    pub content: Vec<u8>,
}

impl FakeFile {
    /// A file whose content is its id.
    pub fn new(id: &str, name: &str) -> Self {
        let content = id.as_bytes().to_vec();
        Self {
            id: json!(id).to_string(),
            name: json!(name).to_string(),
            size: content.len().to_string(),
            more: String::new(),
            content,
        }
    }

    /// Sets more members, as JSON text.
    pub fn with_members(mut self, members: &str) -> Self {
        self.more = format!(",{members}");
        self
    }

    fn id_text(&self) -> String {
        match serde_json::from_str(&self.id) {
            Ok(Value::String(id)) => id,
            _ => self.id.clone(),
        }
    }
}

impl Dialect {
    /// The settings of the program for this dialect.
    pub fn case(&self) -> Case {
        Case { set: self.set, ..Case::of(self.provider, self.name) }
    }

    pub fn replies(&self) -> &Replies {
        self.replies.as_ref().expect("a platform with a server")
    }

    /// The capabilities of this dialect, or of the platform's first one for `auto`.
    pub fn can(&self) -> &'static Capabilities {
        let dialects = haul::providers::find(self.provider).unwrap().dialects;
        dialects.iter().find(|dialect| dialect.name == self.name).unwrap_or(&dialects[0]).can
    }

    pub fn file(&self, file: &FakeFile) -> String {
        let [id, name, size] = self.replies().keys;
        let FakeFile { id: i, name: n, size: s, more, .. } = file;
        format!(r#"{{"{id}":{i},"{name}":{n},"{size}":{s}{more}}}"#)
    }

    pub fn page(&self, files: &[FakeFile], next: Option<&str>) -> String {
        let items: Vec<String> = files.iter().map(|file| self.file(file)).collect();
        (self.replies().page)(&items.join(","), next)
    }
}

/// The operation that a request selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    List,
    Stat(String),
    Delete(String),
    /// The content.
    Content(String),
    /// A link, or a presigned URL of the content.
    Link(String),
    Unlink,
    Other,
}

/// Returns a response that overrides the regular one, if any. The `usize` is the number of the request, from 0.
type Override = dyn Fn(&Action, usize, &Request) -> Option<Answer> + Send + Sync;

/// A handwritten server, and a sandbox that uses it.
pub struct World {
    pub dialect: &'static Dialect,
    pub server: Server,
    pub env: Sandbox,
    files: Arc<Mutex<Vec<FakeFile>>>,
}

impl World {
    pub fn new(dialect: &'static Dialect, files: Vec<FakeFile>) -> Self {
        Self::with_override(dialect, files, |_, _, _| None)
    }

    /// A world in which a response of `respond` takes precedence over the regular one.
    pub fn with_override(
        dialect: &'static Dialect,
        files: Vec<FakeFile>,
        respond: impl Fn(&Action, usize, &Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let files = Arc::new(Mutex::new(files));
        let (stored, respond) = (Arc::clone(&files), Box::new(respond) as Box<Override>);
        let server = Server::new(move |number, seen| {
            let action = action_of(dialect, seen);
            respond(&action, number, seen)
                .unwrap_or_else(|| answer(dialect, &mut stored.lock().unwrap(), &action, seen))
        });
        let mut env = Sandbox::new();
        let Some(replies) = &dialect.replies else {
            return Self { dialect, server, env, files };
        };
        let base = format!("{}{}", server.url.as_str().trim_end_matches('/'), replies.base);
        env.use_platform(&dialect.case(), &base, TOKEN);
        env.set("HAUL_RETRIES", "0");
        Self { dialect, server, env, files }
    }

    pub fn haul(&self, arguments: &[&str]) -> Run {
        checked(&format!("{} {arguments:?}", self.dialect.provider), self.env.haul(arguments))
    }

    /// Runs the program on a terminal and checks every byte sent to it. Answers a question with no.
    pub fn terminal(&self, arguments: &[&str]) -> Run {
        let mut command = self.env.command();
        command.args(arguments).args(["--progress", "never"]);
        let context = format!("{} {arguments:?}", self.dialect.provider);
        let run = checked(&context, self.env.terminal_of(command, 100, "n\n", On::All));
        if let Some(bad) = control_sequence(&run.stdout()) {
            panic!("{context}: the terminal was sent {bad:?}\n{run}");
        }
        run
    }

    /// Replaces the files of the platform.
    pub fn set_files(&self, files: Vec<FakeFile>) {
        if self.dialect.replies.is_none() {
            for file in files {
                fs::write(self.env.root().join("content"), &file.content).unwrap();
                let name: String = serde_json::from_str(&file.name).unwrap();
                self.env.haul(["upload", "../content", &format!("--name={name}")]).ok();
            }
            return;
        }
        *self.files.lock().unwrap() = files;
    }

    /// The ids of the platform's files.
    pub fn remaining_ids(&self) -> Vec<String> {
        if self.dialect.replies.is_none() {
            return self.env.ids();
        }
        self.files.lock().unwrap().iter().map(FakeFile::id_text).collect()
    }

    /// The number of requests with this method.
    pub fn request_count(&self, method: &str) -> usize {
        self.server.requests().iter().filter(|seen| seen.head.starts_with(method)).count()
    }
}

/// Checks the invariants of every run: no panic, no signal, a documented exit code, no token in the output.
pub fn checked(context: &str, run: Run) -> Run {
    let text = format!("{}{}", run.stdout(), run.stderr());
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{context}: {run}");
    assert!(!text.contains(TOKEN), "{context} shows the token: {run}");
    assert!((0..=9).contains(&run.status) || run.status == 130, "{context}: {run}");
    run
}

/// The first control character in a terminal's input, with its surroundings, except the program's own colors.
fn control_sequence(screen: &str) -> Option<String> {
    let mut rest = screen.to_owned();
    // The colors that the program uses.
    for own in ["0", "1", "2", "31", "32", "33", "36", "1;31", "1;33", "1;36", "1;32"] {
        rest = rest.replace(&format!("\u{1b}[{own}m"), "");
    }
    let controls = |c: &char| {
        // NUL ends the records of `--print0` and is invisible.
        (c.is_control() && !matches!(c, '\n' | '\0'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let at = rest.chars().position(|c| controls(&c))?;
    Some(rest.chars().skip(at.saturating_sub(10)).take(30).collect())
}

fn action_of(dialect: &Dialect, seen: &Request) -> Action {
    let method = seen.head.split(' ').next().unwrap_or_default();
    let path = seen.target.split('?').next().unwrap_or_default();
    let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    if let Some(id) = path.strip_prefix("/bytes/") {
        return Action::Content(text(id));
    }
    let replies = dialect.replies();
    let Some(below) = path.strip_prefix(replies.files) else { return Action::Other };
    let parts: Vec<&str> = below.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", [""]) | ("POST", ["", "query"]) => Action::List,
        // The action may be a part of the last segment.
        ("GET", ["", word]) if replies.content.starts_with(':') && word.ends_with(replies.content) => {
            Action::Content(text(word.trim_end_matches(replies.content)))
        }
        ("GET", ["", id]) => Action::Stat(text(id)),
        ("DELETE", ["", id]) => Action::Delete(text(id)),
        ("GET", ["", id, word]) if *word == replies.content => match replies.fetch {
            Fetch::Presigned => Action::Link(text(id)),
            Fetch::Direct | Fetch::Link => Action::Content(text(id)),
        },
        ("POST", ["", id, word]) if *word == replies.links => Action::Link(text(id)),
        ("GET", ["", id, word]) if *word == replies.links && replies.fetch == Fetch::Direct => {
            Action::Link(text(id))
        }
        ("DELETE", ["", _, word, _]) if *word == replies.links => Action::Unlink,
        _ => Action::Other,
    }
}

/// The response of a regular server with these files.
fn answer(dialect: &Dialect, files: &mut Vec<FakeFile>, action: &Action, seen: &Request) -> Answer {
    let find = |id: &str| files.iter().position(|file| file.id_text() == id);
    let missing = || json_answer(404, r#"{"detail":"no such file","error":"no such file"}"#);
    match action {
        Action::List => json_answer(200, dialect.page(files, None)),
        Action::Stat(id) => find(id).map_or_else(missing, |at| json_answer(200, dialect.file(&files[at]))),
        Action::Delete(id) => match find(id) {
            None => missing(),
            Some(at) => {
                files.remove(at);
                if dialect.replies().silent_delete {
                    Answer::status(204, &[], "")
                } else {
                    json_answer(200, json!({"id": id, "deleted": true}).to_string())
                }
            }
        },
        Action::Content(id) => find(id).map_or_else(missing, |at| {
            Answer::status(200, &[("Content-Type", "application/octet-stream")], &files[at].content)
        }),
        Action::Link(id) => find(id).map_or_else(missing, |_| {
            let host = seen.header("host").unwrap_or_default();
            let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
            let url = format!("http://{host}/bytes/{encoded}");
            json_answer(200, json!({"id": "link_1", "url": url, "public_url": url}).to_string())
        }),
        Action::Unlink => json_answer(200, "{}"),
        Action::Other => missing(),
    }
}

pub fn json_answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
    Answer::status(status, &[("Content-Type", "application/json")], body)
}

/// The names, kinds and contents of all entries below a folder, without those in `except`.
pub fn snapshot(folder: &Path, except: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    fn walk(path: &Path, except: &[PathBuf], into: &mut BTreeMap<PathBuf, String>) {
        if except.iter().any(|other| other == path) {
            return;
        }
        let found = fs::symlink_metadata(path).unwrap();
        let entry = if found.is_symlink() {
            format!("link to {}", fs::read_link(path).unwrap().display())
        } else if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), except, into);
            }
            "folder".to_owned()
        } else {
            format!("file of {:?}", fs::read(path).unwrap())
        };
        into.insert(path.to_owned(), entry);
    }
    let mut all = BTreeMap::new();
    walk(folder, except, &mut all);
    all
}
