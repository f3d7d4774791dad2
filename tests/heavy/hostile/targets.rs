//! Two local files with one target, on every platform: refused before any request.

use crate::hostile::world::{Dialect, World, listings};

fn world(dialect: &'static Dialect) -> World {
    let world = World::new(dialect, Vec::new());
    world.env.write("da/same.txt", "first");
    world.env.write("db/same.txt", "second");
    world.env.write("db/other.txt", "other");
    world
}

#[test]
fn files_with_one_target_are_refused_before_a_request() {
    for dialect in listings() {
        let world = world(dialect);
        for arguments in [&["da/same.txt", "db/same.txt"][..], &["-r", "da", "db"], &["-r", ".", "--flat"]] {
            for mode in ["skip", "replace", "fail"] {
                let run = world.haul(&[&["upload", "--if-exists", mode], arguments].concat()).fails(2);
                assert!(
                    run.stderr().contains("have the same target: both would have the name same.txt"),
                    "{run}"
                );
                let hint = format!("`haul upload -p {} ", dialect.provider);
                assert!(run.stderr().contains(&hint), "{run}");
            }
        }
        if dialect.can().upload.files_per_request > 1 {
            let together = ["upload", "--together", "da/same.txt", "db/same.txt", "--if-exists", "skip"];
            world.haul(&together).fails(2);
        }
        assert_eq!(world.server.count(), 0, "{} {}", dialect.provider, dialect.name);
    }
}
