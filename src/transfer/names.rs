//! Converts names from a server into safe local paths.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Windows device names, which are reserved with any extension.
const RESERVED: [&str; 30] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
    "com¹", "com²", "com³", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "lpt¹",
    "lpt²", "lpt³", "conin$", "conout$",
];

/// Maximum length of a file name on common file systems, in bytes.
pub(super) const LONGEST: usize = 255;
/// Maximum length of a path on common systems, leaving room for `.part` and other suffixes.
const LONGEST_PATH: usize = 4_000;

/// A relative path from a name on the server. Each component is made safe; `.`, `..` and empty components are
/// removed. Returns `None` if nothing is left.
pub fn safe_path(name: &str) -> Option<PathBuf> {
    let path: PathBuf = name.split(['/', '\\']).filter_map(safe_component).collect();
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    (inside && path != Path::new("")).then_some(path)
}

/// Joins `folder` and `relative` (from [`safe_path`]). A symbolic link below the folder is an error; the folder
/// itself may be one because the user named it.
pub fn inside(folder: &Path, relative: &Path) -> Result<PathBuf> {
    let bytes = relative.as_os_str().len();
    if bytes > LONGEST_PATH {
        // Printing the whole name would fill the screen.
        let start: String = relative.to_string_lossy().chars().take(40).collect();
        return Err(Error::failed(format!("{start}…: the name is too long for a file ({bytes} bytes)"))
            .hint("choose another path: `-o FILE`"));
    }
    let mut path = folder.to_owned();
    let parents = relative.parent().into_iter().flat_map(Path::components);
    for part in parents {
        path.push(part);
        if path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
            return Err(Error::failed(format!(
                "{}: is a symbolic link; haul does not write through links",
                path.display()
            ))
            .hint("choose another path: `-o FILE`"));
        }
    }
    Ok(folder.join(relative))
}

/// The last usable component of a name on the server, made safe. Returns `None` if no component is usable.
pub fn base_name(name: &str) -> Option<PathBuf> {
    name.rsplit(['/', '\\']).find_map(safe_component).map(PathBuf::from)
}

/// Inserts a mark into the name in `path`, before the extension: `name (mark).txt`.
pub fn marked(path: &Path, mark: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = split(&name);
    let room = LONGEST.saturating_sub(mark.len() + extension.len() + " ()".len());
    path.with_file_name(format!("{} ({mark}){extension}", start(stem, room)))
}

fn safe_component(part: &str) -> Option<String> {
    let mut safe: String = part
        .chars()
        .map(|c| if c.is_control() || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c })
        .collect();
    // A name that consists of dots and spaces may refer to another folder, here or on Windows.
    if safe.chars().all(|c| c == '.' || c == ' ') {
        return None;
    }
    // Shorten first, because the result can be a device name.
    safe = shorten(safe);
    let stem = safe.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if RESERVED.contains(&stem.as_str()) {
        safe.insert(0, '_');
        safe = shorten(safe);
    }
    // Windows drops trailing dots and spaces, so two names would refer to the same file.
    let end = safe.trim_end_matches(['.', ' ']).len();
    let dropped = safe.len() - end;
    safe.replace_range(end.., &"_".repeat(dropped));
    Some(safe)
}

/// Shortens a name that is too long but keeps a short extension.
fn shorten(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let (stem, extension) = split(&name);
    format!("{}{extension}", start(stem, LONGEST - extension.len()))
}

/// Splits a name into its stem and a short extension with its dot.
fn split(name: &str) -> (&str, &str) {
    let dot = name.rfind('.').filter(|dot| *dot > 0 && name.len() - dot <= 17);
    name.split_at(dot.unwrap_or(name.len()))
}

/// The longest prefix of `text` with at most `length` bytes.
fn start(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside() {
        let safe = |name: &str| safe_path(name).map(|path| path.display().to_string());
        assert_eq!(safe("sub/a.md").as_deref(), Some("sub/a.md"));
        assert_eq!(safe("../../etc/passwd").as_deref(), Some("etc/passwd"));
        assert_eq!(safe("/etc/passwd").as_deref(), Some("etc/passwd"));
        assert_eq!(safe("C:\\windows\\x").as_deref(), Some("C_/windows/x"));
        assert_eq!(safe("a\0b\nc\u{1b}[31m").as_deref(), Some("a_b_c_[31m"));
        assert_eq!(safe("NUL.txt").as_deref(), Some("_NUL.txt"));
        assert_eq!(safe("com¹.txt").as_deref(), Some("_com¹.txt"));
        assert_eq!(safe("a. ").as_deref(), Some("a__"));
        let device = safe(&format!("CON{}0. A", " ".repeat(LONGEST))).unwrap();
        assert!(
            device.starts_with("_CON ") && device.len() <= LONGEST && safe(&device) == Some(device.clone())
        );
        assert_eq!(safe(".."), None);
        assert_eq!(safe(""), None);
        assert_eq!(base_name("sub/..").map(|p| p.display().to_string()).as_deref(), Some("sub"));
        assert!(safe(&"x".repeat(100_000)).is_some_and(|name| name.len() <= LONGEST));
    }

    #[test]
    fn a_mark_precedes_the_extension() {
        let with = |name: &str, mark: &str| marked(Path::new(name), mark).display().to_string();
        assert_eq!(with("a/b.c/report.txt", "f1"), "a/b.c/report (f1).txt");
        assert_eq!(with("report", "f1"), "report (f1)");
        assert_eq!(with(".env", "f1"), ".env (f1)");
        let long = with(&format!("{}.txt", "é".repeat(125)), "f1 2");
        assert!(long.len() <= LONGEST && long.ends_with("é (f1 2).txt"), "{long}");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_below_the_folder() {
        let home = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (home.path().join("folder"), home.path().join("elsewhere"));
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("sub/out")).unwrap();
        std::os::unix::fs::symlink(&folder, home.path().join("named")).unwrap();
        assert!(inside(&folder, Path::new("sub/out/a")).is_err());
        assert_eq!(inside(&folder, Path::new("sub/new/a")).unwrap(), folder.join("sub/new/a"));
        assert!(inside(&home.path().join("named"), Path::new("sub/a")).is_ok());
    }
}
