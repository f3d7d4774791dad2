//! Local paths for names returned by a server.

use std::path::{Component, Path, PathBuf};

use haul::transfer::{base_name, safe_path};
use proptest::prelude::*;

use crate::properties::holds::holds;

/// Names that Windows reserves for devices, with any extension.
const DEVICES: [&str; 12] =
    ["CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "COM¹", "LPT³", "CONIN$", "CONOUT$", "con", "Nul"];

/// Parts with a special meaning on some system.
const SPECIAL: &[&str] = &[
    "..",
    ".",
    "/",
    "\\",
    "//",
    ":",
    "C:",
    "\0",
    "\n",
    "\u{1b}[31m",
    " ",
    ". ",
    ".part",
    "a",
    "é",
    "\u{202e}",
    "*",
    "?",
    "\"",
    "<",
    ">",
    "|",
    "~",
    "-",
    "%2e%2e",
    "．．",
    "／",
    ".txt",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "x",
];

/// A part of a name.
fn part() -> impl Strategy<Value = String> {
    let devices = prop::sample::select(&DEVICES[..]).prop_map(str::to_owned);
    prop_oneof![
        6 => prop::sample::select(SPECIAL).prop_map(str::to_owned),
        1 => devices,
        1 => (1usize..300, "[xé日😀. ]").prop_map(|(count, c)| c.repeat(count)),
        1 => any::<String>(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 0..10).prop_map(|parts| parts.concat())
}

/// Checks that a component is a valid file name on all common systems.
fn check(component: &str) -> Result<(), TestCaseError> {
    prop_assert!(!component.is_empty() && component.len() <= 255, "{} bytes", component.len());
    prop_assert!(
        !component.contains(|c: char| c.is_control() || "/\\:*?\"<>|".contains(c)),
        "{:?}",
        component
    );
    prop_assert!(!component.ends_with(['.', ' ']), "Windows removes the end of {:?}", component);
    let stem = component.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    let device = DEVICES.iter().any(|device| stem == *device);
    prop_assert!(!device, "{:?} is a device", component);
    Ok(())
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn paths_stay_in_the_folder_and_are_valid_on_every_system() {
    holds("names: paths stay in the folder and are valid", name(), |name| {
        for path in [safe_path(&name), base_name(&name)].into_iter().flatten() {
            prop_assert!(path.is_relative() && path != PathBuf::new());
            for component in path.components() {
                let Component::Normal(component) = component else {
                    return Err(TestCaseError::fail(format!("{component:?} in {}", path.display())));
                };
                check(component.to_str().unwrap())?;
            }
            let below = Path::new("/chosen").join(&path);
            prop_assert!(below.starts_with("/chosen"), "{}", below.display());
        }
        Ok(())
    });
}

#[test]
fn safe_paths_are_unchanged() {
    holds("names: idempotent", name(), |name| {
        for (made, again) in [
            (safe_path(&name), safe_path(&name).and_then(|path| safe_path(&text(&path)))),
            (base_name(&name), base_name(&name).and_then(|path| base_name(&text(&path)))),
        ] {
            prop_assert_eq!(made, again);
        }
        Ok(())
    });
}

#[test]
fn the_last_part_of_a_path_is_the_base_name() {
    holds("names: the base name is the last part of the path", name(), |name| {
        let last = safe_path(&name).and_then(|path| path.file_name().map(PathBuf::from));
        prop_assert_eq!(base_name(&name), last, "{:?}", name);
        Ok(())
    });
}
