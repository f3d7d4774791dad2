//! Two local files with one target in a store.

use crate::platforms::metorial::MAGNETAR;
use crate::support::rig::TOKEN;
use crate::support::sandbox::Sandbox;
use crate::support::server::{Answer, Server};

/// With `store_replace`, Metorial replaces the file at the same path of a store, whatever the names and the mode.
#[test]
fn two_files_for_one_path_of_a_store_are_refused_before_a_request() {
    // The response does not matter; the test counts the requests.
    let server = Server::new(|_, _| Answer::json(r#"{"error":"no such file"}"#).with_status(404));
    let mut env = Sandbox::new();
    for (path, content) in [("da/same.txt", "first"), ("db/same.txt", "second"), ("db/other.txt", "other")] {
        env.write(path, content);
    }
    env.use_platform(&MAGNETAR, server.url.as_str().trim_end_matches('/'), TOKEN);
    env.set("HAUL_RETRIES", "0");
    let upload = |path: &str, replace: &str, files: &[&str]| {
        let (path, replace) = (format!("path={path}"), format!("store_replace={replace}"));
        let set = ["upload", "--set", "store_id=st_1", "--set", &path, "--set", &replace];
        env.haul([&set, files].concat())
    };
    for mode in ["upload", "skip", "replace", "fail"] {
        let files = ["da/same.txt", "db/other.txt", "--if-exists", mode];
        let run = upload("docs/x.txt", "true", &files).fails(2);
        assert_eq!(
            run.stderr(),
            "error: da/same.txt and db/other.txt have the same target: docs/x.txt in the store st_1\n\
             hint: to keep the existing file: `--set store_replace=false`\n"
        );
    }
    upload("docs/", "true", &["da/same.txt", "db/same.txt"]).fails(2);
    assert_eq!(server.count(), 0);
    for (path, replace, files) in [
        ("docs/", "true", ["da/same.txt", "db/other.txt"]),
        ("docs/x.txt", "false", ["da/same.txt", "db/other.txt"]),
        ("docs/", "false", ["da/same.txt", "db/same.txt"]),
    ] {
        let before = server.count();
        let run = upload(path, replace, &files);
        assert!((0..=9).contains(&run.status) && !run.stderr().contains(TOKEN), "{run}");
        assert!(run.status != 2 && server.count() > before, "{path} {replace}: {run}");
    }
}
