//! The config file: TOML. Errors name the line; writing preserves comments and unknown keys.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Document, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::Origin;
use super::own::{items, path, put, put_items};
use crate::error::{Error, Result};
use crate::files::{self, Place};

/// The version of the format.
const VERSION: i64 = 1;

/// The shell that runs a `token_command` given as one line.
const SHELL: [&str; 2] = ["sh", "-c"];

/// The command that runs a line in the shell.
pub fn shell(line: &str) -> Vec<String> {
    SHELL.into_iter().chain([line]).map(str::to_owned).collect()
}

/// The line number, from 1, of the byte at `offset`.
fn line_at(text: &[u8], offset: usize) -> usize {
    1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

fn is_shared(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// The content of the config file.
#[derive(Default)]
pub struct File {
    /// The path; the file may not exist.
    pub path: PathBuf,
    /// The default profile.
    pub default_profile: Option<String>,
    /// The profiles by name.
    pub profiles: BTreeMap<String, Profile>,
    /// Whether users other than the owner can read the file.
    shared: bool,
    /// The file as it was read, with the position of each value.
    parsed: Option<Document<String>>,
    /// The file with its changes.
    document: DocumentMut,
}

/// One `[profiles.NAME]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The platform. Optional for a profile that is named after one.
    pub provider: Option<String>,
    /// The base URL of the API.
    pub base_url: Option<String>,
    /// The base URL of uploads.
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
    /// `[profiles.NAME.set]`, and the settings that are keys or tables of the profile itself.
    pub set: BTreeMap<String, String>,
}

/// Omits the values of `set`, some of which are secrets.
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

/// Omits the text.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("profiles", &self.profiles)
            .finish_non_exhaustive()
    }
}

impl File {
    /// Reads the file. A missing file is empty. Errors name the file and the line.
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
        Self::parse(path, text, is_shared(path))
    }

    fn parse(path: &Path, text: &str, shared: bool) -> Result<Self> {
        let place = |offset: Option<usize>| {
            format!("{}:{}", path.display(), line_at(text.as_bytes(), offset.unwrap_or_default()))
        };
        let placed: Document<String> = text.parse().map_err(|error: toml_edit::TomlError| {
            Error::usage(format!("{}: invalid TOML", place(error.span().map(|span| span.start))))
                .cause(error.message().to_owned())
        })?;
        let reader = Reader { place: &place, shared };
        let root = placed.as_table();
        if let Some(version) = reader.integer(root, "version")?.filter(|version| *version > VERSION) {
            let at = place(root.get("version").and_then(Item::span).map(|span| span.start));
            return Err(Error::usage(format!(
                "{at}: unsupported version {version}: this version of haul supports up to version {VERSION}"
            ))
            .hint("update haul, or use another file: `--config FILE`"));
        }
        let mut file = Self {
            path: path.to_owned(),
            default_profile: reader.text(root, "default_profile")?,
            profiles: BTreeMap::new(),
            shared,
            document: placed.clone().into_mut(),
            parsed: None,
        };
        for (name, item) in reader.table(root, "profiles")?.into_iter().flat_map(TableLike::iter) {
            let Some(table) = item.as_table_like() else {
                return Err(reader.mistake(item, &format!("profiles.{name} must be a table")));
            };
            file.profiles.insert(name.to_owned(), reader.profile(table)?);
        }
        file.parsed = Some(placed);
        Ok(file)
    }

    /// The file and line of the value at `keys`; the first line if the value does not exist.
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

    /// Whether users other than the owner can read the file.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Records the backend that stores a profile's token.
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
        // A login created the profile, which has no other use.
        if is_default && table.is_empty() {
            self.remove_profile(name);
        }
    }

    /// Writes a profile. Removes known keys that it does not set; keeps unknown keys.
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

    /// Removes a profile and returns whether it existed. The default is kept, because it may also name a built-in
    /// profile.
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

    /// Reads, changes and writes the file at `path`, under a lock.
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
        // The lock is on the folder, because each change replaces the file. If a folder cannot be locked, simultaneous
        // changes can be lost.
        let _lock = fs::File::open(&folder).and_then(|folder| folder.lock().map(|()| folder));
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

/// The table under `key`. A new table has the style of its parent.
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

    fn profile(&self, table: &dyn TableLike) -> Result<Profile> {
        if let Some(item) = table.get("token") {
            let (what, hint) = if self.shared {
                (
                    "tokens are not allowed in the config file, and other users can read this file",
                    "remove the line and replace the token: it may have leaked",
                )
            } else {
                ("tokens are not allowed in the config file", "remove the line")
            };
            return Err(self
                .mistake(item, what)
                .hint(hint)
                .hint("store the token with `haul auth login`, or set `token_command`"));
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::property::holds;

    fn parse(text: &str) -> Result<File> {
        File::parse(Path::new("config.toml"), text, false)
    }

    #[test]
    fn mistakes_name_the_line() {
        let message = |text: &str| parse(text).expect_err("a mistake").message().to_owned();
        assert_eq!(message("a = 1\nb = = 2\n"), "config.toml:2: invalid TOML");
        assert_eq!(message("\n\ndefault_profile = 3"), "config.toml:3: default_profile must be a string");
        assert_eq!(
            message("[profiles.w]\nprovider = 'xai'\ntoken = 't'"),
            "config.toml:3: tokens are not allowed in the config file"
        );
        assert_eq!(
            message("version = 2"),
            "config.toml:1: unsupported version 2: this version of haul supports up to version 1"
        );
    }

    #[test]
    fn a_profile_on_one_line_keeps_its_form_and_its_comment() {
        let mut file = parse("[profiles]\nw = { provider = \"xai\" } # mine\n").expect("valid");
        file.set_token_store("w", Some("keyring"));
        let text = file.document.to_string();
        assert!(text.contains("# mine") && !text.contains("[profiles.w]"), "{text}");
        assert_eq!(parse(&text).expect("valid").profiles["w"].token_store.as_deref(), Some("keyring"));
    }

    #[test]
    fn writing_keeps_comments_and_unknown_keys() {
        let mut file = parse("# mine\n[profiles.w]\nprovider = \"xai\" # here\nother = 1\n").expect("valid");
        let mut profile = file.profiles["w"].clone();
        profile.set.insert("team_id".to_owned(), "t1".to_owned());
        file.put_profile("w", profile.clone());
        file.set_default(Some("w"));
        let text = file.document.to_string();
        for kept in ["# mine", "# here", "other = 1", "team_id = \"t1\"", "default_profile = \"w\""] {
            assert!(text.contains(kept), "{kept} is missing from\n{text}");
        }
        assert_eq!(parse(&text).expect("valid").profiles["w"], profile);
    }

    const NAMES: [&str; 6] = ["w", "xai", "a.b", "a b", "é", ""];

    /// Texts that resemble a config file.
    fn soup() -> impl Strategy<Value = String> {
        const PARTS: &[&str] = &[
            "[profiles.w]",
            "[profiles]",
            "[[profiles]]",
            "[profiles.w.set]",
            "profiles.w.provider",
            "profiles",
            "provider",
            "default_profile",
            "version",
            "token_command",
            "token",
            "set",
            " = ",
            "=",
            "\"xai\"",
            "'xai'",
            "1",
            "99",
            "true",
            "{ a = { provider = 'x' } }",
            "[",
            "]",
            "{",
            "}",
            "[\"a\", 1]",
            "\n",
            "\n",
            "\n",
            "# c\n",
            "\r\n",
            "\"\"\"",
            "\\",
            "1979-05-27",
            "é",
            "\0",
            "\u{feff}",
            ".",
            "\"a b\"",
        ];
        let part =
            prop_oneof![15 => prop::sample::select(PARTS).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            8 => prop::collection::vec(part, 0..14).prop_map(|parts| parts.concat()),
            1 => any::<String>(),
        ]
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z0-9_-]{1,6}",
            prop::sample::select(
                &["", "a\"b", "a'b", "a\\b", "a\nb", "\u{1b}[31m", "'''", "é", "# no comment", "a=b"][..]
            )
            .prop_map(str::to_owned),
            any::<String>(),
        ]
    }

    fn profile() -> impl Strategy<Value = Profile> {
        let maybe = || prop::option::of(word());
        let command =
            prop_oneof![word().prop_map(|line| super::shell(&line)), prop::collection::vec(word(), 0..4),];
        let set = prop::collection::btree_map(word(), word(), 0..3);
        let limits = (maybe(), maybe());
        (maybe(), maybe(), maybe(), maybe(), limits, prop::option::of(command), maybe(), set).prop_map(
            |(provider, base_url, upload_base_url, dialect, limits, token_command, token_store, set)| {
                Profile {
                    compare_limit: limits.0,
                    appears_within: limits.1,
                    provider,
                    base_url,
                    upload_base_url,
                    dialect,
                    token_command,
                    token_store,
                    set,
                }
            },
        )
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Put(usize, Profile),
        Remove(usize),
        Default(Option<usize>),
        Store(usize, Option<String>),
    }

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let name = || 0..NAMES.len();
        let edit = prop_oneof![
            3 => (name(), profile()).prop_map(|(name, profile)| Edit::Put(name, profile)),
            2 => name().prop_map(Edit::Remove),
            1 => prop::option::of(name()).prop_map(Edit::Default),
            1 => (name(), prop::option::of(word())).prop_map(|(name, store)| Edit::Store(name, store)),
        ];
        prop::collection::vec(edit, 1..8)
    }

    /// A realistic file: profiles as different kinds of tables, with numbered comments.
    fn written() -> impl Strategy<Value = String> {
        let table = |name: usize, style: usize| {
            let key = toml_edit::Key::new(NAMES[name]).to_string();
            match style {
                0 => format!(
                    "# before {key}\n[profiles.{key}] # after {key}\nprovider = \"xai\" # first\n# inside\nunknown = 1\n"
                ),
                1 => {
                    format!(
                        "[profiles.{key}]\nset = {{ team = \"t\", n = 3 }}\n\n[profiles.{key}.set2]\nx = 1\n"
                    )
                }
                2 => format!(
                    "[profiles.{key}]\nprovider='xai'\n[profiles.{key}.set]\n# of set\nteam = \"t\" # team\n"
                ),
                _ => format!("[profiles]\n{key} = {{ provider = \"xai\", other = [1, 2] }} # inline\n"),
            }
        };
        let tables = prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..4);
        (tables, prop::collection::vec(0usize..3, 4), any::<bool>(), any::<bool>()).prop_map(
            move |(names, styles, head, inline)| {
                let mut text = if head {
                    "# top\nversion = 1 # v\ndefault_profile = \"w\" # d\n\n# of mine\nmine = true\n"
                } else {
                    ""
                }
                .to_owned();
                if inline && names.len() == 1 {
                    return text + &table(names[0], 3);
                }
                for (name, style) in names.iter().zip(styles) {
                    text.push_str(&table(*name, style));
                }
                text + "\n[other]\n# of other\nkey = \"value\"\n# the end\n"
            },
        )
    }

    #[test]
    fn properties_invalid_text_is_an_error_with_a_line() {
        holds("config: invalid text is an error with a line", (soup(), edits()), |(text, edits)| {
            match parse(&text) {
                Err(error) => {
                    prop_assert_eq!(error.kind(), crate::error::Kind::Usage);
                    let rest = error.message().strip_prefix("config.toml:").unwrap_or_default();
                    let line =
                        rest.split(':').next().and_then(|line| line.parse::<usize>().ok()).unwrap_or(0);
                    prop_assert!((1..=text.split('\n').count()).contains(&line), "{}", error);
                }
                // A file that can be read can be changed and read again.
                Ok(file) => drop(changed(file, &edits)?),
            }
            Ok(())
        });
    }

    /// Makes the changes and checks that the written text agrees with the value.
    fn changed(mut file: File, edits: &[Edit]) -> Result<String, TestCaseError> {
        let mut profiles: BTreeMap<String, Profile> = file.profiles.clone();
        let mut default = file.default_profile.clone();
        for edit in edits {
            match edit {
                Edit::Put(name, profile) => {
                    file.put_profile(NAMES[*name], profile.clone());
                    profiles.insert(NAMES[*name].to_owned(), profile.clone());
                }
                Edit::Remove(name) => {
                    prop_assert_eq!(
                        file.remove_profile(NAMES[*name]),
                        profiles.remove(NAMES[*name]).is_some()
                    );
                }
                Edit::Default(name) => {
                    default = name.map(|name| NAMES[name].to_owned());
                    file.set_default(default.as_deref());
                }
                Edit::Store(name, store) => {
                    file.set_token_store(NAMES[*name], store.as_deref());
                    if store.is_some() || profiles.contains_key(NAMES[*name]) {
                        profiles.entry(NAMES[*name].to_owned()).or_default().token_store.clone_from(store);
                    }
                    // A profile that only a login created is removed with it.
                    let kept = file.profiles.contains_key(NAMES[*name]);
                    profiles.retain(|other, profile| {
                        other != NAMES[*name] || kept || *profile != Profile::default()
                    });
                }
            }
        }
        let text = file.document.to_string().trim_start_matches('\n').to_owned();
        let again = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert!(file.profiles == profiles, "{:?}\n{:?}", file.profiles, profiles);
        prop_assert!(again.profiles == profiles, "{}\n{:?}\n{:?}", text, again.profiles, profiles);
        prop_assert_eq!(&again.default_profile, &default, "{}", text);
        Ok(text)
    }

    #[test]
    fn properties_changes_keep_comments_and_unknown_keys() {
        holds("config: changes keep comments and unknown keys", (written(), edits()), |(text, edits)| {
            let file = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            let after = changed(file, &edits)?;
            let touched = |name: &str, edit: &Edit| match edit {
                Edit::Put(at, _) | Edit::Remove(at) | Edit::Store(at, _) => NAMES[*at] == name,
                Edit::Default(_) => false,
            };
            let removed = edits.iter().any(|edit| matches!(edit, Edit::Remove(_)));
            for kept in ["# top", "# of mine", "mine = true", "# of other", "# the end", "key = \"value\""] {
                prop_assert!(
                    !text.contains(kept) || after.contains(kept),
                    "{} is gone:\n{}\n{}",
                    kept,
                    text,
                    after
                );
            }
            // A profile keeps its comments unless it was removed; an unchanged profile keeps every line.
            for name in NAMES {
                let key = toml_edit::Key::new(name).to_string();
                let named = edits.iter().any(|edit| touched(name, edit));
                for kept in [format!("# before {key}\n"), format!("[profiles.{key}] # after {key}\n")] {
                    let may_go = removed && named;
                    prop_assert!(
                        may_go || !text.contains(&kept) || after.contains(&kept),
                        "{} is gone:\n{}\n{}",
                        kept,
                        text,
                        after
                    );
                }
            }
            if !removed {
                for kept in
                    ["# inside", "unknown = 1", "# inline", "other = [1, 2]", "x = 1", "version = 1 # v"]
                {
                    prop_assert!(
                        !text.contains(kept) || after.contains(kept),
                        "{} is gone:\n{}\n{}",
                        kept,
                        text,
                        after
                    );
                }
            }
            Ok(())
        });
    }
}
