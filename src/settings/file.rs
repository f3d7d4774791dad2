//! The config file, in TOML. Errors name the line; comments are preserved when the file is written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Document, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::own::{self, items, path, put, put_items};
use super::{Origin, check_reserved};
use crate::error::{Error, Result, word};
use crate::files::{self, Place};

/// The version of the file format.
const VERSION: i64 = 1;

/// The top-level keys.
const KEYS: &[&str] = &["version", "default_profile", "profiles"];

/// The keys of a profile.
const PROFILE_KEYS: &[&str] = &[
    "provider",
    "base_url",
    "upload_base_url",
    "dialect",
    "compare_limit",
    "appears_within",
    "token_command",
    "token_store",
    "set",
];

/// The shell that runs a `token_command` given as one line.
const SHELL: [&str; 2] = ["sh", "-c"];

/// The command that runs a line in a shell.
pub fn shell(line: &str) -> Vec<String> {
    SHELL.into_iter().chain([line]).map(str::to_owned).collect()
}

/// The line number, starting at 1, of the byte at `offset`.
fn line_at(text: &[u8], offset: usize) -> usize {
    1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// The permissions of users other than the owner, as in a file mode: 4 to read, 2 to write and 1 to execute.
fn others(path: &Path) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).map_or(0, |metadata| {
            let mode = metadata.permissions().mode();
            (mode >> 3 | mode) & 0o7
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        0
    }
}

/// The content of the config file.
#[derive(Default)]
pub struct File {
    /// The path. The file may not exist.
    pub path: PathBuf,
    /// The default profile.
    pub default_profile: Option<String>,
    /// The profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// The permissions of users other than the owner.
    others: u32,
    /// The file as it was read, with the position of each value.
    parsed: Option<Document<String>>,
    /// The file with pending changes.
    document: DocumentMut,
}

/// A table `[profiles.NAME]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The platform; optional if the profile is named after one.
    pub provider: Option<String>,
    /// The base URL of the API.
    pub base_url: Option<String>,
    /// The base URL for uploads.
    pub upload_base_url: Option<String>,
    /// The wire dialect.
    pub dialect: Option<String>,
    /// Maximum total size of downloads made to compare files, such as `1GB`.
    pub compare_limit: Option<String>,
    /// How long a new file may be missing from listings, such as `30s`.
    pub appears_within: Option<String>,
    /// A command that prints the token, as one shell line or a list of words.
    pub token_command: Option<Vec<String>>,
    /// The backend that stores the token, recorded by `auth login`.
    pub token_store: Option<String>,
    /// The entries of `[profiles.NAME.set]`, and the settings stored as keys or tables of the profile itself.
    pub set: BTreeMap<String, String>,
}

/// Omits the values in `set`, some of which are secrets.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("provider", &self.provider)
            .field("base_url", &self.base_url)
            .field("token_store", &self.token_store)
            .field("set", &self.set.keys())
            .finish_non_exhaustive()
    }
}

/// Omits the text, which can contain secrets.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("profiles", &self.profiles)
            .finish_non_exhaustive()
    }
}

impl File {
    /// Reads the file. A missing file counts as empty. Errors name the file and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(
                    Error::usage(format!("{}: cannot read the config file", path.display())).caused_by(error)
                );
            }
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let line = line_at(&bytes, error.valid_up_to());
            Error::usage(format!("{}:{line}: invalid UTF-8", path.display()))
        })?;
        Self::parse(path, text, others(path))
    }

    fn parse(path: &Path, text: &str, others: u32) -> Result<Self> {
        let place = |offset: Option<usize>| {
            format!("{}:{}", path.display(), line_at(text.as_bytes(), offset.unwrap_or_default()))
        };
        let placed: Document<String> = text.parse().map_err(|error: toml_edit::TomlError| {
            Error::usage(format!("{}: invalid TOML", place(error.span().map(|span| span.start))))
                .cause(error.message().to_owned())
        })?;
        let reader = Reader { place: &place, shared: others != 0 };
        let root = placed.as_table();
        if let Some(version) = reader.integer(root, "version")?.filter(|version| *version > VERSION) {
            let at = place(root.get("version").and_then(Item::span).map(|span| span.start));
            return Err(Error::usage(format!(
                "{at}: unsupported version {version}: this version of haul supports up to version {VERSION}"
            ))
            .hint("update haul, or use another file: `--config FILE`"));
        }
        reader.known(root, KEYS, "")?;
        let mut file = Self {
            path: path.to_owned(),
            default_profile: reader.text(root, "default_profile")?,
            profiles: BTreeMap::new(),
            others,
            document: placed.clone().into_mut(),
            parsed: None,
        };
        let profiles = reader.table(root, "profiles")?.into_iter();
        for (profiles, name, item) in
            profiles.flat_map(|all| all.iter().map(move |(name, item)| (all, name, item)))
        {
            check_reserved(name, &format!("{}: ", reader.place_of(profiles, name)))?;
            let Some(table) = item.as_table_like() else {
                return Err(reader.mistake(item, &format!("profiles.{name} must be a table")));
            };
            file.profiles.insert(name.to_owned(), reader.profile(name, table)?);
        }
        file.parsed = Some(placed);
        Ok(file)
    }

    /// The file and line of the value at `keys`, or the first line if the value does not exist.
    pub fn origin(&self, keys: &[&str]) -> Origin {
        Origin::File(self.path.clone(), self.line(keys).unwrap_or(1))
    }

    /// The file and line of a platform's setting.
    pub fn origin_of_setting(&self, profile: &str, key: &str) -> Origin {
        let mut keys = vec!["profiles", profile, "set", key];
        if self.line(&keys).is_none() {
            keys.truncate(2);
            keys.extend(path(key));
        }
        self.origin(&keys)
    }

    fn line(&self, keys: &[&str]) -> Option<usize> {
        let parsed = self.parsed.as_ref()?;
        let (last, tables) = keys.split_last()?;
        let mut table: &dyn TableLike = parsed.as_table();
        for key in tables {
            table = table.get(key)?.as_table_like()?;
        }
        let start = table.get(last)?.span()?.start;
        Some(line_at(parsed.raw().as_bytes(), start))
    }

    /// Whether users other than the owner have any permission for the file.
    pub fn is_shared(&self) -> bool {
        self.others != 0
    }

    /// Whether users other than the owner can write the file.
    pub fn is_writable_by_others(&self) -> bool {
        self.others & 0o2 != 0
    }

    /// Records the backend that stores a profile's token. `None` removes the record, and a profile that has no other
    /// content.
    pub fn set_token_store(&mut self, name: &str, store: Option<&str>) {
        if let Some(store) = store {
            put(table_of(self.profile_item(name)), "token_store", Some(store.into()));
            self.profiles.entry(name.to_owned()).or_default().token_store = Some(store.to_owned());
            return;
        }
        let Some(profile) = self.profiles.get_mut(name) else { return };
        profile.token_store = None;
        let is_default = *profile == Profile::default();
        let table = table_of(self.profile_item(name));
        table.remove("token_store");
        // The profile was created by a login and has no other content.
        if is_default && table.is_empty() {
            self.remove_profile(name);
        }
    }

    /// Writes a profile and removes the keys that are not set in it.
    pub fn put_profile(&mut self, name: &str, profile: Profile) {
        let item = self.profile_item(name);
        let table = table_of(item);
        let mut set = |key: &str, text: Option<&String>| put(table, key, text.map(Into::into));
        set("provider", profile.provider.as_ref());
        set("base_url", profile.base_url.as_ref());
        set("upload_base_url", profile.upload_base_url.as_ref());
        set("dialect", profile.dialect.as_ref());
        set("compare_limit", profile.compare_limit.as_ref());
        set("appears_within", profile.appears_within.as_ref());
        set("token_store", profile.token_store.as_ref());
        let command = profile.token_command.as_ref().map(|words| match words.as_slice() {
            [shell, flag, line] if [shell, flag] == SHELL => line.into(),
            words => Value::Array(words.iter().collect()),
        });
        put(table, "token_command", command);
        let set = put_items(table, &profile.set);
        if set.is_empty() {
            table.remove("set");
        } else {
            let inner = table_of(child(item, "set"));
            let gone: Vec<String> = inner.iter().map(|(key, _)| key.to_owned()).collect();
            for key in gone.iter().filter(|key| !set.contains_key(*key)) {
                inner.remove(key);
            }
            for (key, text) in &set {
                put(inner, key, Some(text.into()));
            }
        }
        self.profiles.insert(name.to_owned(), profile);
    }

    /// Removes a profile and returns whether it existed. The default profile is not changed because it may also name
    /// a built-in profile.
    pub fn remove_profile(&mut self, name: &str) -> bool {
        if let Some(profiles) = self.document.get_mut("profiles").and_then(Item::as_table_like_mut) {
            profiles.remove(name);
        }
        self.profiles.remove(name).is_some()
    }

    /// Sets the default profile.
    pub fn set_default(&mut self, name: Option<&str>) {
        put(self.document.as_table_mut(), "default_profile", name.map(Value::from));
        self.default_profile = name.map(str::to_owned);
    }

    /// Reads, changes and writes the file at `path` while holding a lock.
    pub fn edit(path: &Path, change: impl FnOnce(&mut Self)) -> Result<()> {
        let folder = match files::place(path) {
            Ok(Place::File(path)) => files::folder_of(&path).to_owned(),
            Ok(Place::Stream) => {
                return Err(Error::usage(format!("{}: not a regular file", path.display()))
                    .hint("use another config file: `--config FILE`"));
            }
            Err(error) => return Err(Error::io("write", path, error)),
        };
        fs::create_dir_all(&folder).map_err(|error| Error::io("create the directory", &folder, error))?;
        // Lock the folder, because each change replaces the file. If a folder cannot be locked, concurrent changes
        // can be lost.
        let _lock = fs::File::open(&folder).map(files::Locked::wait);
        let mut file = Self::read(path)?;
        change(&mut file);
        file.write()
    }

    /// Writes the file.
    fn write(&self) -> Result<()> {
        let text = self.document.to_string();
        let written = files::replace(&self.path, text.trim_start_matches('\n').as_bytes(), false);
        written.map_err(|error| Error::io("write", &self.path, error))
    }

    fn profile_item(&mut self, name: &str) -> &mut Item {
        let profiles = self.document.entry("profiles").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        child(profiles, name)
    }
}

/// The table under `key`. A new table has the same style as its parent.
fn child<'a>(parent: &'a mut Item, key: &str) -> &'a mut Item {
    let inline = parent.is_inline_table();
    let new = || if inline { toml_edit::value(InlineTable::new()) } else { Item::Table(Table::new()) };
    table_of(parent).entry(key).or_insert_with(new)
}

/// An item that is known to be a table.
fn table_of(item: &mut Item) -> &mut dyn TableLike {
    item.as_table_like_mut().expect("checked when the file was read")
}

/// Reads values. Errors name the line.
struct Reader<'a> {
    place: &'a dyn Fn(Option<usize>) -> String,
    shared: bool,
}

impl Reader<'_> {
    fn mistake(&self, item: &Item, what: &str) -> Error {
        Error::usage(format!("{}: {what}", (self.place)(item.span().map(|span| span.start))))
    }

    /// The path of the file and the line of a key.
    fn place_of(&self, table: &dyn TableLike, key: &str) -> String {
        let found = table.get_key_value(key);
        let span = found.and_then(|(key, item)| key.span().or_else(|| item.span()));
        (self.place)(span.map(|span| span.start))
    }

    /// Checks that a table has only the keys in `keys`. `inside` describes the table in the error.
    fn known(&self, table: &dyn TableLike, keys: &[&str], inside: &str) -> Result<()> {
        for (key, _) in table.iter() {
            if !keys.contains(&key) {
                let place = self.place_of(table, key);
                return Err(Error::usage(format!("{place}: unknown key {key:?}{inside}"))
                    .did_you_mean(key, keys.iter().copied())
                    .hint(format!("keys: {}", keys.join(", "))));
            }
        }
        Ok(())
    }

    fn text(&self, table: &dyn TableLike, key: &str) -> Result<Option<String>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        match item.as_str() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.mistake(item, &format!("{key} must be a string"))),
        }
    }

    fn integer(&self, table: &dyn TableLike, key: &str) -> Result<Option<i64>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        item.as_integer().map(Some).ok_or_else(|| self.mistake(item, &format!("{key} must be an integer")))
    }

    fn table<'t>(&self, table: &'t dyn TableLike, key: &str) -> Result<Option<&'t dyn TableLike>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        item.as_table_like().map(Some).ok_or_else(|| self.mistake(item, &format!("{key} must be a table")))
    }

    fn words(&self, table: &dyn TableLike, key: &str) -> Result<Option<Vec<String>>> {
        let Some(item) = table.get(key) else { return Ok(None) };
        if let Some(line) = item.as_str() {
            return Ok(Some(shell(line)));
        }
        let words = item
            .as_array()
            .and_then(|words| words.iter().map(|word| word.as_str().map(str::to_owned)).collect());
        match words {
            Some(words) => Ok(Some(words)),
            None => Err(self.mistake(item, &format!("{key} must be a string or an array of strings"))),
        }
    }

    fn profile(&self, name: &str, table: &dyn TableLike) -> Result<Profile> {
        if let Some(item) = table.get("token") {
            let (what, hint) = if self.shared {
                (
                    "tokens are not allowed in the config file, and other users can access this file",
                    "remove the line and replace the token: it may have leaked",
                )
            } else {
                ("tokens are not allowed in the config file", "remove the line")
            };
            return Err(self.mistake(item, what).hint(hint).hint(format!(
                "store the token with `haul auth login {}`, or set `token_command`",
                word(name)
            )));
        }
        let keys: Vec<&str> = PROFILE_KEYS.iter().copied().chain(own::names()).collect();
        self.known(table, &keys, &format!(" in profile {name}"))?;
        let mut set = BTreeMap::new();
        let mut items = items(table);
        let entries = self.table(table, "set")?.into_iter().flat_map(TableLike::iter);
        items.extend(entries.map(|(key, item)| (key.to_owned(), item)));
        for (key, item) in items {
            let text = match item.as_value() {
                Some(toml_edit::Value::String(text)) => text.value().clone(),
                Some(toml_edit::Value::Integer(number)) => number.value().to_string(),
                Some(toml_edit::Value::Boolean(yes)) => yes.value().to_string(),
                _ => {
                    return Err(
                        self.mistake(item, &format!("{key} must be a string, an integer or a boolean"))
                    );
                }
            };
            set.insert(key, text);
        }
        Ok(Profile {
            provider: self.text(table, "provider")?,
            base_url: self.text(table, "base_url")?,
            upload_base_url: self.text(table, "upload_base_url")?,
            dialect: self.text(table, "dialect")?,
            compare_limit: self.text(table, "compare_limit")?,
            appears_within: self.text(table, "appears_within")?,
            token_command: self.words(table, "token_command")?,
            token_store: self.text(table, "token_store")?,
            set,
        })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
