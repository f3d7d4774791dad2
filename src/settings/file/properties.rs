//! Property tests for the config file.

use proptest::prelude::*;

use super::*;
use crate::property::holds;

fn parse(text: &str) -> Result<File> {
    File::parse(Path::new("config.toml"), text, 0)
}

const NAMES: [&str; 6] = ["w", "xai", "a.b", "a b", "é", ""];

/// Text that resembles a config file.
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
    let part = prop_oneof![15 => prop::sample::select(PARTS).prop_map(str::to_owned), 1 => any::<String>()];
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
        |(provider, base_url, upload_base_url, dialect, limits, token_command, token_store, set)| Profile {
            compare_limit: limits.0,
            appears_within: limits.1,
            provider,
            base_url,
            upload_base_url,
            dialect,
            token_command,
            token_store,
            set,
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

/// A realistic file: profiles written as different kinds of tables, with numbered comments.
fn written() -> impl Strategy<Value = String> {
    let table = |name: usize, style: usize| {
        let key = toml_edit::Key::new(NAMES[name]).to_string();
        match style {
            0 => format!("# before {key}\n[profiles.{key}] # after {key}\nprovider = \"xai\" # first\n"),
            1 => {
                format!("[profiles.{key}]\nset = {{ team = \"t\", n = 3 }}\n")
            }
            2 => format!(
                "[profiles.{key}]\nprovider='xai'\n[profiles.{key}.set]\n# of set\nteam = \"t\" # team\n"
            ),
            _ => format!("[profiles]\n{key} = {{ provider = \"xai\", token_command = [\"a\"] }} # inline\n"),
        }
    };
    let tables = prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..4);
    (tables, prop::collection::vec(0usize..3, 4), any::<bool>(), any::<bool>()).prop_map(
        move |(names, styles, head, inline)| {
            let mut text =
                if head { "# top\nversion = 1 # v\ndefault_profile = \"w\" # d\n\n" } else { "" }.to_owned();
            if inline && names.len() == 1 {
                return text + &table(names[0], 3);
            }
            for (name, style) in names.iter().zip(styles) {
                text.push_str(&table(*name, style));
            }
            text + "\n# the end\n"
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
                let line = rest.split(':').next().and_then(|line| line.parse::<usize>().ok()).unwrap_or(0);
                prop_assert!((1..=text.split('\n').count()).contains(&line), "{}", error);
            }
            // A file that can be read can be changed and read again.
            Ok(file) => drop(changed(file, &edits)?),
        }
        Ok(())
    });
}

/// Makes the changes and checks that the written text matches the value.
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
                prop_assert_eq!(file.remove_profile(NAMES[*name]), profiles.remove(NAMES[*name]).is_some());
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
                // A profile that exists only because of a login is removed along with its `token_store`.
                let kept = file.profiles.contains_key(NAMES[*name]);
                profiles
                    .retain(|other, profile| other != NAMES[*name] || kept || *profile != Profile::default());
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
fn properties_changes_keep_comments() {
    holds("config: changes keep comments", (written(), edits()), |(text, edits)| {
        let file = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let after = changed(file, &edits)?;
        let touched = |name: &str, edit: &Edit| match edit {
            Edit::Put(at, _) | Edit::Remove(at) | Edit::Store(at, _) => NAMES[*at] == name,
            Edit::Default(_) => false,
        };
        let removed = edits.iter().any(|edit| matches!(edit, Edit::Remove(_)));
        for kept in ["# top", "# the end"] {
            prop_assert!(
                !text.contains(kept) || after.contains(kept),
                "{} is gone:\n{}\n{}",
                kept,
                text,
                after
            );
        }
        // A profile keeps its comments unless it is removed; an unchanged profile keeps every line.
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
            for kept in ["# inline", "version = 1 # v"] {
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
