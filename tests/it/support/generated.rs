//! Generated files kept in the repository: compared, or written with `HAUL_TEST_BLESS=1`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn is_blessing() -> bool {
    std::env::var_os("HAUL_TEST_BLESS").is_some()
}

/// Compares a file with its generated content, or writes it.
pub fn agree(path: &Path, wanted: &str) {
    if is_blessing() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("create the folder");
        fs::write(path, wanted).expect("write the file");
        return;
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is out of date: `HAUL_TEST_BLESS=1 cargo test --test {}` writes it",
        path.display(),
        env!("CARGO_CRATE_NAME")
    );
}

/// Checks that a folder holds exactly these files.
pub fn agree_all(folder: &str, files: &[(String, String)]) {
    let folder = root().join(folder);
    let wanted: BTreeSet<&String> = files.iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !wanted.contains(&name) {
            assert!(is_blessing(), "{} is no longer generated", path.display());
            fs::remove_file(path).expect("remove the file");
        }
    }
    for (name, text) in files {
        agree(&folder.join(name), text);
    }
}
