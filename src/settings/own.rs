//! Platform settings that the config file may also contain as keys and tables of a profile, outside its `set` table.

use std::collections::BTreeMap;

use toml_edit::{Item, TableLike, Value};

/// Keys of a profile that are platform settings.
const KEYS: [&str; 10] = [
    "auth_header",
    "download",
    "bucket",
    "account",
    "prefix",
    "region",
    "addressing",
    "aws_profile",
    "metadata",
    "conditional",
];
/// Tables of a profile whose entries are platform settings named `TABLE.KEY`.
const TABLES: [&str; 2] = ["headers", "query"];

/// The platform settings in a profile's keys and tables.
pub(super) fn items(profile: &dyn TableLike) -> Vec<(String, &Item)> {
    let mut items: Vec<(String, &Item)> =
        KEYS.iter().filter_map(|key| Some(((*key).to_owned(), profile.get(key)?))).collect();
    for name in TABLES {
        let Some(item) = profile.get(name) else { continue };
        match item.as_table_like() {
            Some(table) => items.extend(table.iter().map(|(key, item)| (format!("{name}.{key}"), item))),
            // No platform has a setting with this name, so it is reported as unknown.
            None => items.push((name.to_owned(), item)),
        }
    }
    items
}

/// The names of the keys and tables that can contain platform settings.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().chain(TABLES)
}

/// The path of a setting below its profile.
pub(super) fn path(setting: &str) -> Vec<&str> {
    setting.split_once('.').map_or_else(|| vec![setting], |(table, key)| vec![table, key])
}

/// Updates the keys and table entries that the profile already has, or removes them if they are not in `set`. Returns
/// the other settings.
pub(super) fn put_items(
    profile: &mut dyn TableLike,
    set: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut rest = set.clone();
    for key in KEYS {
        if profile.contains_key(key) {
            put(profile, key, rest.remove(key).map(Into::into));
        }
    }
    for name in TABLES {
        let Some(table) = profile.get_mut(name).and_then(Item::as_table_like_mut) else { continue };
        let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
        for key in keys {
            put(table, &key, rest.remove(&format!("{name}.{key}")).map(Into::into));
        }
    }
    rest
}

/// Sets the value of `key` and keeps the comment after it. `None` removes the key.
pub(super) fn put(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    let Some(mut new) = new else { return drop(table.remove(key)) };
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stay_where_they_are_written() {
        let text = "auth_header = \"a\" # ours\n\n[headers]\nx-a = \"1\"\nx-b = \"2\"\n";
        let mut document: toml_edit::DocumentMut = text.parse().unwrap();
        let found: Vec<String> = items(document.as_table()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, ["auth_header", "headers.x-a", "headers.x-b"]);
        let set = [("auth_header", "b"), ("headers.x-a", "3"), ("project", "p")];
        let set = set.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let rest = put_items(document.as_table_mut(), &set);
        assert_eq!(rest, [("project".to_owned(), "p".to_owned())].into());
        assert_eq!(document.to_string(), "auth_header = \"b\" # ours\n\n[headers]\nx-a = \"3\"\n");
        assert_eq!((path("headers.x-a"), path("project")), (vec!["headers", "x-a"], vec!["project"]));
    }
}
