//! Vector stores: requests and responses, and the program on the emulator.

use std::sync::Arc;

use haul::filter::Filter;
use haul::model::{Clock, FileId};
use haul::providers::Query;
use haul::transfer::{Polling, wait_until_processed};
use serde_json::json;

use super::{FILE, list, open, serve};
use crate::find::support::haul;
use crate::platforms::openai::V1;
use crate::support::emulator::{Emulator, Setup};
use crate::support::rig::{Rig, TOKEN};
use crate::support::server::{Answer, Server};

const SET: &[(&str, &str)] = &[("vector_store", "vs_1")];
const ATTACHED: &str = r#"{"id":"file-1","object":"vector_store.file","created_at":9,"vector_store_id":"vs_1","status":"completed","usage_bytes":7,"last_error":null,"attributes":{}}"#;

#[tokio::test]
async fn attached_files_have_the_names_and_sizes_of_their_records() {
    let page = format!(
        r#"{{"object":"list","data":[{ATTACHED},{}],"has_more":false}}"#,
        ATTACHED.replace("file-1", "file-2")
    );
    let answer = move |_: usize, request: &crate::support::server::Request| match request.line().as_str() {
        "GET /files/file-1" => Answer::json(FILE),
        "GET /files/file-2" => Answer::json("{}").with_status(404),
        _ => Answer::json(&page),
    };
    let server = Server::new(answer);
    let provider = open("openai", &server, SET);
    let filter = Filter::parse("status = completed", jiff::Timestamp::UNIX_EPOCH).unwrap();
    let query = Query { filter: Some(filter), ..Query::default() };
    assert_eq!(list(&provider, query).await.unwrap(), ["file-1", "file-2"]);
    let files =
        provider.list(&Query { page_size: Some(2), ..Query::default() }, Some("file-0")).await.unwrap().files;
    assert_eq!(
        (files[0].name.as_str(), files[0].size, files[0].purpose.as_deref()),
        ("a.txt", Some(2), Some("batch"))
    );
    assert_eq!(
        (files[0].status.as_deref(), files[0].created_at.map(jiff::Timestamp::as_second)),
        (Some("completed"), Some(9))
    );
    assert_eq!(
        (files[0].extra["usage_bytes"].as_u64(), &files[0].extra["vector_store_id"]),
        (Some(7), &json!("vs_1"))
    );
    assert_eq!((files[1].name.as_str(), files[1].size), ("", None), "its record is gone");
    let lines = server.lines();
    assert_eq!(lines[0], "GET /vector_stores/vs_1/files?limit=100&filter=completed");
    assert!(lines.contains(&"GET /vector_stores/vs_1/files?limit=2&after=file-0".to_owned()), "{lines:?}");
    assert_eq!(
        lines.iter().filter(|line| *line == "GET /files/file-1").count(),
        1,
        "records are kept: {lines:?}"
    );
}

#[tokio::test]
async fn a_new_attachment_may_not_be_found_at_first() {
    let now = r#""created_at":1778414400"#;
    let new = ATTACHED.replace("completed", "in_progress").replace(r#""created_at":9"#, now);
    let failed = ATTACHED
        .replace("completed", "failed")
        .replace("null", r#"{"code":"invalid_file","message":"Too large."}"#);
    let missing = || Answer::json(r#"{"error":{"message":"No file found"}}"#).with_status(404);
    let server =
        Server::start([Answer::json(FILE), Answer::json(&new), missing(), missing(), Answer::json(&failed)]);
    let provider = open("openai", &server, SET);
    let collection = provider.collection().unwrap();
    let file = collection.all_files().stat(&FileId::from("file-1")).await.unwrap();
    let file = collection.attach(file, true).await.unwrap();
    assert_eq!((file.name.as_str(), file.status.as_deref()), ("a.txt", Some("in_progress")));
    let pause = std::time::Duration::from_millis(1);
    let polling = Polling { pauses: (pause, pause), ..Polling::default() };
    let error = wait_until_processed(&provider, file, polling).await.unwrap_err();
    assert_eq!(error.message(), "a.txt: openai failed to process it: failed");
    assert_eq!(error.causes(), ["Too large."]);
    let requests = server.requests();
    assert_eq!(
        (requests[1].line().as_str(), requests[1].json()),
        ("POST /vector_stores/vs_1/files", json!({"file_id": "file-1"}))
    );
    let beta = |request: &crate::support::server::Request| request.header("openai-beta").map(str::to_owned);
    assert_eq!((beta(&requests[0]), beta(&requests[1])), (None, Some("assistants=v2".to_owned())));
    assert_eq!(requests[4].line(), "GET /vector_stores/vs_1/files/file-1");
}

#[tokio::test]
async fn a_lost_answer_to_an_attachment_is_looked_up() {
    let server = Server::start([Answer::json(FILE), Answer::new(502, "bad gateway"), Answer::json(ATTACHED)]);
    let provider = open("openai", &server, SET);
    let collection = provider.collection().unwrap();
    let file = collection.all_files().stat(&FileId::from("file-1")).await.unwrap();
    let file = collection.attach(file, true).await.unwrap();
    assert_eq!(file.status.as_deref(), Some("completed"));
    // The file is a member now.
    collection.attach(file, false).await.unwrap();
    let expected =
        ["GET /files/file-1", "POST /vector_stores/vs_1/files", "GET /vector_stores/vs_1/files/file-1"];
    assert_eq!(server.lines(), expected);
    assert!(open("groq", &serve(&[]), &[]).collection().is_none());
}

fn with_faults(faults: &[&str]) -> (Rig, String) {
    let setup = Setup { faults, ..V1.setup(Clock(None)) };
    let rig = Rig::on(V1, Arc::new(Emulator::start(&setup)));
    let headers = [&format!("Authorization: Bearer {TOKEN}")[..], "Content-Type: application/json"];
    let store = rig.served.ask_bare("POST", "/openai/v1/vector_stores", &headers, b"{}").ok();
    for name in ["a.md", "b.xyz"] {
        std::fs::write(rig.served.home().join(name), name).unwrap();
    }
    (rig, format!("vector_store={}", store["id"].as_str().unwrap()))
}

fn posts(rig: &Rig) -> usize {
    rig.served.requests().iter().filter(|line| line.ends_with("POST /openai/v1/files")).count()
}

#[test]
fn files_are_uploaded_listed_and_removed_in_a_vector_store() {
    let (rig, set) = with_faults(&[]);
    let run = |arguments: &[&str]| haul(&rig, &[arguments, &["--set", &set]].concat());
    assert_eq!(haul(&rig, &["upload", "a.md"]).status, 0);
    let attached = run(&["upload", "a.md", "--wait", "--jsonl"]);
    assert_eq!(attached.status, 0, "{attached}");
    let row = &attached.rows()[0];
    assert_eq!(
        (&row["name"], &row["size"], &row["status"]),
        (&json!("a.md"), &json!(4), &json!("completed"))
    );
    let failed = run(&["upload", "b.xyz", "--wait"]);
    assert_eq!(failed.status, 8, "{failed}");
    assert!(failed.stderr().contains("openai failed to process it: failed"), "{failed}");
    assert!(failed.stderr().contains("The file type is not supported."), "{failed}");
    let listed = run(&["ls", "--fields", "name,size,status", "--sort", "name"]);
    assert_eq!(listed.stdout(), "a.md\t4\tcompleted\nb.xyz\t5\tfailed\n", "{listed}");
    assert_eq!(run(&["ls", "--filter", "status = failed", "--fields", "name"]).stdout(), "b.xyz\n");
    let again = run(&["upload", "a.md", "--if-exists", "update", "--compare", "size", "--jsonl"]);
    assert_eq!((again.status, &again.rows()[0]["id"]), (0, &row["id"]), "{again}");
    let dry = run(&["rm", "a.md", "--dry-run", "--jsonl"]);
    assert_eq!(
        (&dry.rows()[0]["deleted"], &dry.rows()[0]["detached_from"]),
        (&json!(false), &json!(null)),
        "{dry}"
    );
    let removed = run(&["rm", "a.md", "--jsonl"]);
    let (deleted, from) = (&removed.rows()[0]["deleted"], &removed.rows()[0]["detached_from"]);
    assert_eq!(
        (deleted, &format!("vector_store={}", from.as_str().unwrap())),
        (&json!(false), &set),
        "{removed}"
    );
    assert_eq!(run(&["ls", "--fields", "name"]).stdout(), "b.xyz\n");
    assert_eq!(
        haul(&rig, &["ls", "--fields", "name", "--sort", "name"]).stdout(),
        "a.md\na.md\nb.xyz\n",
        "nothing is deleted"
    );
}

#[test]
fn an_upload_into_an_unknown_vector_store_sends_no_file() {
    let (rig, _) = with_faults(&[]);
    rig.served.requests();
    let run = haul(&rig, &["upload", "a.md", "--set", "vector_store=vs_unknown"]);
    assert_eq!(run.status, 3, "{run}");
    assert!(run.stderr().contains("openai has no vector store vs_unknown"), "{run}");
    assert_eq!(posts(&rig), 0);
}

#[test]
fn a_file_that_is_not_attached_is_attached_by_the_same_command() {
    let (rig, set) = with_faults(&["fail=403 POST openai/v1/vector_stores/*/files times=1"]);
    let run = |arguments: &[&str]| haul(&rig, &[arguments, &["--set", &set]].concat());
    let failed = run(&["upload", "a.md"]);
    assert_eq!(failed.status, 4, "{failed}");
    let id = haul(&rig, &["ls", "--ids"]).stdout().trim().to_owned();
    let store = set.replace('=', " ").replace("vector_store ", "vector store ");
    assert!(
        failed.stderr().contains(&format!("a.md: uploaded as {id}, but not attached to {store}")),
        "{failed}"
    );
    assert!(failed.stderr().contains("run the same command again"), "{failed}");
    assert!(
        failed.stderr().contains(&format!("`haul rm -p openai id:{id} --set vector_store=`")),
        "{failed}"
    );
    assert_eq!(run(&["ls", "--ids"]).stdout(), "");
    rig.served.requests();
    let again = run(&["upload", "a.md", "--ids"]);
    assert_eq!((again.status, again.stdout().trim()), (0, &*id), "{again}");
    assert_eq!(posts(&rig), 0, "it is not sent again");
    assert_eq!(run(&["ls", "--ids"]).stdout().trim(), id);
}
