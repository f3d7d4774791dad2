//! `man/`, `completions/` and the marked parts of the README are what the code would write.
//!
//! `HAUL_BLESS=1 cargo test --test generated` writes them.

mod blessed;

use std::fs;

use blessed::{agree, agree_all, root};
use haul::commands::{completions, providers};
use haul::manual;

#[test]
fn man_pages() {
    let pages = manual::pages().expect("man pages");
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["haul.1", "haul-upload.1", "haul-meta-set.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(pages.iter().all(|(_, text)| text.contains(".SH \"EXIT STATUS\"")));
    agree_all("man", &pages);
}

#[test]
fn completion_scripts() {
    let files = completions::files().expect("scripts");
    let files: Vec<_> = files.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    agree_all("completions", &files);
}

#[test]
fn parts_of_the_readme() {
    let path = root().join("README.md");
    let mut text = fs::read_to_string(&path).expect("a README");
    for (mark, part) in [("providers", providers::table()), ("exit-codes", manual::exit_code_table())] {
        let begin = format!("<!-- generated: {mark} -->\n");
        let start = text.find(&begin).unwrap_or_else(|| panic!("README.md has no {begin}")) + begin.len();
        let end = start + text[start..].find("<!-- end -->").expect("an end");
        text.replace_range(start..end, &part);
    }
    agree(&path, &text);
}
