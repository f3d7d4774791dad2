//! Platforms by hand: a server that answers in a platform's wire format with whatever values a test wants, which no
//! honest server and so no emulator would send.

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

/// A token that may be seen in the `Authorization` of the platform's own origin and nowhere else.
pub const TOKEN: &str = "tok_canary_4f1c9a7e";

/// The dialects of platforms with a server.
pub fn dialects() -> impl Iterator<Item = &'static Dialect> {
    all().filter_map(|platform| platform.wire.ok()).filter(|dialect| dialect.replies.is_some())
}

/// Every way in which a platform lists, dialect by dialect.
pub fn listings() -> impl Iterator<Item = &'static Dialect> {
    all().flat_map(|platform| platform.listings)
}

/// A platform that needs no settings, serves the bytes itself and has links.
pub fn plain() -> &'static Dialect {
    let is_plain =
        |dialect: &&Dialect| dialect.set.is_empty() && dialect.links && fetch(dialect) == Fetch::Direct;
    dialects().find(is_plain).expect("a plain platform")
}

/// How a platform's files are downloaded.
pub fn fetch(dialect: &Dialect) -> Fetch {
    dialect.replies().fetch
}

/// A file as the server tells of it. Each value is JSON text that goes out as it is.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub name: String,
    pub size: String,
    /// Further members, each with a comma before it.
    pub more: String,
    pub content: Vec<u8>,
}

impl Told {
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

    /// With further members, as JSON text.
    pub fn and(mut self, members: &str) -> Self {
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
    /// How the program is told of it.
    pub fn case(&self) -> Case {
        Case { set: self.set, ..Case::of(self.provider, self.name) }
    }

    pub fn replies(&self) -> &Replies {
        self.replies.as_ref().expect("a platform with a server")
    }

    /// The capabilities of this dialect; for `auto`, of the platform's first one.
    pub fn can(&self) -> &'static Capabilities {
        let dialects = haul::providers::find(self.provider).unwrap().dialects;
        dialects.iter().find(|dialect| dialect.name == self.name).unwrap_or(&dialects[0]).can
    }

    pub fn file(&self, told: &Told) -> String {
        let [id, name, size] = self.replies().keys;
        let Told { id: i, name: n, size: s, more, .. } = told;
        format!(r#"{{"{id}":{i},"{name}":{n},"{size}":{s}{more}}}"#)
    }

    pub fn page(&self, files: &[Told], next: Option<&str>) -> String {
        let items: Vec<String> = files.iter().map(|told| self.file(told)).collect();
        (self.replies().page)(&items.join(","), next)
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    List,
    Stat(String),
    Delete(String),
    /// The bytes themselves.
    Bytes(String),
    /// A link, or what leads to the bytes.
    Link(String),
    Unlink,
    Other,
}

/// Something else than the honest answer, by the number of the request.
type Twist = dyn Fn(&Ask, usize, &Request) -> Option<Answer> + Send + Sync;

/// A platform by hand and a sandbox to reach it from.
pub struct World {
    pub dialect: &'static Dialect,
    pub server: Server,
    pub env: Sandbox,
    files: Arc<Mutex<Vec<Told>>>,
}

impl World {
    pub fn new(dialect: &'static Dialect, files: Vec<Told>) -> Self {
        Self::twisted(dialect, files, |_, _, _| None)
    }

    /// One where `twist` answers in the place of the platform wherever it likes.
    pub fn twisted(
        dialect: &'static Dialect,
        files: Vec<Told>,
        twist: impl Fn(&Ask, usize, &Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let files = Arc::new(Mutex::new(files));
        let (there, twist) = (Arc::clone(&files), Box::new(twist) as Box<Twist>);
        let server = Server::new(move |number, seen| {
            let ask = ask_of(dialect, seen);
            twist(&ask, number, seen)
                .unwrap_or_else(|| answer(dialect, &mut there.lock().unwrap(), &ask, seen))
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
        sane(&format!("{} {arguments:?}", self.dialect.provider), self.env.haul(arguments))
    }

    /// Runs it on a terminal, and looks at every byte that the terminal was sent. A question is answered with no.
    pub fn terminal(&self, arguments: &[&str]) -> Run {
        let mut command = self.env.command();
        command.args(arguments).args(["--progress", "never"]);
        let what = format!("{} {arguments:?}", self.dialect.provider);
        let run = sane(&what, self.env.terminal_of(command, 100, "n\n", On::All));
        if let Some(bad) = steering(&run.stdout()) {
            panic!("{what}: the terminal was sent {bad:?}\n{run}");
        }
        run
    }

    /// Has the platform tell of these files.
    pub fn tell(&self, files: Vec<Told>) {
        if self.dialect.replies.is_none() {
            for told in files {
                fs::write(self.env.root().join("content"), &told.content).unwrap();
                let name: String = serde_json::from_str(&told.name).unwrap();
                self.env.haul(["upload", "../content", &format!("--name={name}")]).ok();
            }
            return;
        }
        *self.files.lock().unwrap() = files;
    }

    /// The ids of the files that are left on the platform.
    pub fn left(&self) -> Vec<String> {
        if self.dialect.replies.is_none() {
            return self.env.ids();
        }
        self.files.lock().unwrap().iter().map(Told::id_text).collect()
    }

    /// How many requests of this method came.
    pub fn asked(&self, method: &str) -> usize {
        self.server.requests().iter().filter(|seen| seen.head.starts_with(method)).count()
    }
}

/// Every run, whatever the server did: no panic, no signal, an exit code of the table, no token.
pub fn sane(what: &str, run: Run) -> Run {
    let text = format!("{}{}", run.stdout(), run.stderr());
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{what}: {run}");
    assert!(!text.contains(TOKEN), "{what} shows the token: {run}");
    assert!((0..=9).contains(&run.status) || run.status == 130, "{what}: {run}");
    run
}

/// The first thing in what a terminal was sent that steers it and is not the program's own colour.
fn steering(screen: &str) -> Option<String> {
    let mut rest = screen.to_owned();
    // The colours that the program uses, and no others.
    for own in ["0", "1", "2", "31", "32", "33", "36", "1;31", "1;33", "1;36", "1;32"] {
        rest = rest.replace(&format!("\u{1b}[{own}m"), "");
    }
    let steers = |c: &char| {
        // What ends the records of `--print0` shows nothing.
        (c.is_control() && !matches!(c, '\n' | '\0'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let at = rest.chars().position(|c| steers(&c))?;
    Some(rest.chars().skip(at.saturating_sub(10)).take(30).collect())
}

fn ask_of(dialect: &Dialect, seen: &Request) -> Ask {
    let method = seen.head.split(' ').next().unwrap_or_default();
    let path = seen.target.split('?').next().unwrap_or_default();
    let text = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    if let Some(id) = path.strip_prefix("/bytes/") {
        return Ask::Bytes(text(id));
    }
    let replies = dialect.replies();
    let Some(below) = path.strip_prefix(replies.files) else { return Ask::Other };
    let parts: Vec<&str> = below.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", [""]) | ("POST", ["", "query"]) => Ask::List,
        ("GET", ["", id]) => Ask::Stat(text(id)),
        ("DELETE", ["", id]) => Ask::Delete(text(id)),
        ("GET", ["", id, word]) if *word == replies.content => match replies.fetch {
            Fetch::Presigned => Ask::Link(text(id)),
            Fetch::Direct | Fetch::Link => Ask::Bytes(text(id)),
        },
        ("POST", ["", id, word]) if *word == replies.links => Ask::Link(text(id)),
        ("DELETE", ["", _, word, _]) if *word == replies.links => Ask::Unlink,
        _ => Ask::Other,
    }
}

/// What an honest server would say, had it such files.
fn answer(dialect: &Dialect, files: &mut Vec<Told>, ask: &Ask, seen: &Request) -> Answer {
    let find = |id: &str| files.iter().position(|told| told.id_text() == id);
    let missing = || json_answer(404, r#"{"detail":"no such file","error":"no such file"}"#);
    match ask {
        Ask::List => json_answer(200, dialect.page(files, None)),
        Ask::Stat(id) => find(id).map_or_else(missing, |at| json_answer(200, dialect.file(&files[at]))),
        Ask::Delete(id) => match find(id) {
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
        Ask::Bytes(id) => find(id).map_or_else(missing, |at| {
            Answer::status(200, &[("Content-Type", "application/octet-stream")], &files[at].content)
        }),
        Ask::Link(id) => find(id).map_or_else(missing, |_| {
            let host = seen.header("host").unwrap_or_default();
            let encoded = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC);
            let url = format!("http://{host}/bytes/{encoded}");
            json_answer(200, json!({"id": "link_1", "url": url, "public_url": url}).to_string())
        }),
        Ask::Unlink => json_answer(200, "{}"),
        Ask::Other => missing(),
    }
}

pub fn json_answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
    Answer::status(status, &[("Content-Type", "application/json")], body)
}

/// Everything below a folder but `except`: names, kinds and contents.
pub fn snapshot(folder: &Path, except: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    fn walk(path: &Path, except: &[PathBuf], into: &mut BTreeMap<PathBuf, String>) {
        if except.iter().any(|other| other == path) {
            return;
        }
        let found = fs::symlink_metadata(path).unwrap();
        let what = if found.is_symlink() {
            format!("link to {}", fs::read_link(path).unwrap().display())
        } else if found.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), except, into);
            }
            "folder".to_owned()
        } else {
            format!("file of {:?}", fs::read(path).unwrap())
        };
        into.insert(path.to_owned(), what);
    }
    let mut all = BTreeMap::new();
    walk(folder, except, &mut all);
    all
}
