//! Two local files with one target, on every platform: nothing is asked before they are refused.

use crate::hostile::world::{Dialect, LISTINGS, World};

fn world(dialect: &'static Dialect) -> World {
    let world = World::new(dialect, Vec::new());
    world.env.write("da/same.txt", "first");
    world.env.write("db/same.txt", "second");
    world.env.write("db/other.txt", "other");
    world
}

#[test]
fn two_files_of_one_name_are_refused_before_a_request() {
    for dialect in LISTINGS {
        let world = world(dialect);
        for arguments in [&["da/same.txt", "db/same.txt"][..], &["-r", "da", "db"], &["-r", ".", "--flat"]] {
            for mode in ["skip", "replace", "fail"] {
                let run = world.haul(&[&["upload", "--if-exists", mode], arguments].concat()).fails(2);
                assert!(
                    run.stderr().contains("have the same target: both would be called same.txt"),
                    "{run}"
                );
                let hint = format!("`haul upload -p {} ", dialect.provider);
                assert!(run.stderr().contains(&hint), "{run}");
            }
        }
        if dialect.provider == "activeloop" {
            let together = ["upload", "--together", "da/same.txt", "db/same.txt", "--if-exists", "skip"];
            world.haul(&together).fails(2);
        }
        assert_eq!(world.server.count(), 0, "{} {}", dialect.provider, dialect.name);
    }
}

/// A setting of Metorial's has it replace what is at a path of a store, whatever the names and the mode.
#[test]
fn two_files_for_one_path_of_a_store_are_refused_before_a_request() {
    let world = world(LISTINGS.iter().find(|dialect| dialect.name == "magnetar").unwrap());
    let upload = |path: &str, replace: &str, files: &[&str]| {
        let (path, replace) = (format!("path={path}"), format!("store_replace={replace}"));
        let set = ["upload", "--set", "store_id=st_1", "--set", &path, "--set", &replace];
        world.haul(&[&set, files].concat())
    };
    for mode in ["upload", "skip", "replace", "fail"] {
        let files = ["da/same.txt", "db/other.txt", "--if-exists", mode];
        let run = upload("docs/x.txt", "true", &files).fails(2);
        assert_eq!(
            run.stderr(),
            "error: da/same.txt and db/other.txt have the same target: docs/x.txt in the store st_1\n\
             hint: `--set store_replace=false` replaces nothing\n"
        );
    }
    upload("docs/", "true", &["da/same.txt", "db/same.txt"]).fails(2);
    assert_eq!(world.server.count(), 0);
    // The server knows no uploads: what counts is that it is asked.
    for (path, replace, files) in [
        ("docs/", "true", ["da/same.txt", "db/other.txt"]),
        ("docs/x.txt", "false", ["da/same.txt", "db/other.txt"]),
        ("docs/", "false", ["da/same.txt", "db/same.txt"]),
    ] {
        let before = world.server.count();
        let run = upload(path, replace, &files);
        assert!(run.status != 2 && world.server.count() > before, "{path} {replace}: {run}");
    }
}
