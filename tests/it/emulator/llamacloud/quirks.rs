//! Every quirk, scripted faults, and a server for trying the official clients by hand.

use std::io::Read;

use haul::emulator::Options;
use haul::model::Clock;
use serde_json::{Value, json};

use crate::emulator::llamacloud::support::{BETA, Calls, LEGACY, Refusal, SHORT, setup, start, with};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{FORM, form, keys};

fn id(file: &Value) -> &str {
    file["id"].as_str().unwrap()
}

#[test]
fn strict_seed_adds_the_long_fields() {
    let server = with(&["strict-seed"]);
    let file = server.upload("a.txt", "user_data", b"hello");
    let added =
        ["created_at", "data_source_id", "file_size", "permission_info", "resource_info", "updated_at"];
    assert_eq!(keys(&file), [&SHORT[..], &added].concat());
    assert_eq!(
        (&file["file_size"], &file["created_at"]),
        (&json!(5), &json!(crate::emulator::llamacloud::support::NOW))
    );
    assert_eq!(server.get(BETA).json()["items"][0], file);
}

#[test]
fn dfl_ids_work_in_both_generations() {
    let server = with(&["dfl-ids"]);
    let file = server.upload("a.txt", "user_data", b"x");
    assert!(id(&file).starts_with("dfl-") && id(&file).len() == 40, "{file}");
    assert_eq!(server.get(&format!("{LEGACY}/{}", id(&file))).json()["file_size"], 1);
    let link = server.get(&format!("{BETA}/{}/content", id(&file))).json();
    assert_eq!(server.fetch(&link, &[]).body, b"x");
}

#[test]
fn the_older_orders_can_be_enabled() {
    let server = with(&["old-order-by"]);
    for name in ["b", "c", "a"] {
        server.upload(name, "user_data", name.as_bytes());
    }
    let names = |order: &str| -> String {
        let page = server.get(&format!("{BETA}?order_by={order}")).json();
        page["items"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect()
    };
    assert_eq!(names("name%20desc"), "cba");
    assert_eq!(names("name,id"), "abc");
    assert_eq!(names("name%20ASC"), "abc");
    let wrong = server.get(&format!("{BETA}?order_by=purpose")).invalid();
    assert_eq!(wrong, [(json!(["query", "order_by"]), json!("value_error"))]);
}

#[test]
fn the_route_for_one_file_can_be_disabled() {
    let server = with(&["no-retrieve"]);
    let file = server.upload("a", "user_data", b"x");
    let path = format!("{BETA}/{}", id(&file));
    assert_eq!(server.get(&path).refused(405), "Method Not Allowed");
    assert_eq!(server.get(&format!("{BETA}?file_ids={}", id(&file))).json()["items"][0], file);
    assert_eq!(server.ask("DELETE", &path, &[], b"").status, 204);
}

#[test]
fn external_ids_can_be_unique() {
    let body = form(&[
        ("name=\"purpose\"", b"user_data"),
        ("name=\"external_file_id\"", b"ext"),
        ("name=\"file\"; filename=\"a\"", b"x"),
    ]);
    let upload = |server: &Emulator| server.ask("POST", BETA, &[FORM], &body);
    let free = start();
    assert_eq!((upload(&free).status, upload(&free).status), (200, 200));

    let server = with(&["unique-external-id"]);
    let first = upload(&server).json();
    upload(&server).refused(409);
    server.json("PUT", LEGACY, &json!({ "name": "a", "external_file_id": "ext" })).refused(409);
    let legacy = form(&[("name=\"upload_file\"; filename=\"a\"", b"x")]);
    server.ask("POST", &format!("{LEGACY}?external_file_id=ext"), &[FORM], &legacy).refused(409);
    server.upload("a", "user_data", b"x");
    server.ask("DELETE", &format!("{BETA}/{}", id(&first)), &[], b"");
    assert_eq!(upload(&server).status, 200);
}

#[test]
fn projects_see_only_their_own_files() {
    let (one, two) = ("99999999-2222-4333-8444-555555555551", "99999999-2222-4333-8444-555555555552");
    let server = with(&[&format!("projects={one},{}", two.to_uppercase())]);
    let file = server.upload("a", "user_data", b"x");
    assert_eq!(file["project_id"], one);
    let path = format!("{BETA}/{}", id(&file));
    assert_eq!(server.get(&format!("{path}?project_id={one}")).json(), file);
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("GET", format!("{path}/content")),
        ("GET", format!("{LEGACY}/{}", id(&file))),
    ] {
        server.ask(method, &format!("{path}?project_id={two}"), &[], b"").refused(404);
    }
    assert_eq!(server.get(&format!("{BETA}?project_id={two}")).json()["items"], json!([]));
    assert_eq!(server.get(&format!("{LEGACY}?project_id={two}")).json(), json!([]));
    assert_eq!(server.get(LEGACY).json()[0]["id"], file["id"]);
    server.get(&format!("{BETA}?project_id={}", crate::emulator::llamacloud::support::PROJECT)).refused(403);
}

#[test]
fn retention_can_be_set() {
    let server = with(&["retention=user_data:1, extract:24"]);
    assert_eq!(server.upload("a", "user_data", b"x")["expires_at"], "2026-01-02T04:04:05Z");
    assert_eq!(server.upload("a", "extract", b"x")["expires_at"], "2026-01-03T03:04:05Z");
    assert_eq!(server.upload("a", "parse", b"x")["expires_at"], json!(null));
    // The file expires immediately.
    let server = with(&["retention=parse:0"]);
    let file = server.upload("a", "parse", b"x");
    server.get(&format!("{BETA}/{}", id(&file))).refused(404);
    assert_eq!(server.get(BETA).json()["items"], json!([]));
}

#[test]
fn uploads_can_be_limited() {
    let server = with(&["rate-limit=3/3600"]);
    for _ in 0..2 {
        server.upload("a", "user_data", b"x");
    }
    let legacy = form(&[("name=\"upload_file\"; filename=\"a\"", b"x")]);
    assert_eq!(server.ask("POST", LEGACY, &[FORM], &legacy).status, 200, "both routes count together");
    let refused = server.try_upload("a", "user_data", b"x");
    refused.refused(429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(server.get(BETA).json()["items"].as_array().unwrap().len(), 3, "nothing else is limited");

    let server = with(&["rate-limit=0/3600", "no-retry-after"]);
    let refused = server.try_upload("a", "user_data", b"x");
    refused.refused(429);
    assert_eq!(refused.header("retry-after"), None);
}

#[test]
fn the_first_links_can_be_stale() {
    let server = with(&["stale-links=2"]);
    let path = format!("{BETA}/{}/content", id(&server.upload("a", "user_data", b"x")));
    let fetched = || server.fetch(&server.get(&path).json(), &[]);
    fetched().refused_by_bucket(403, "AccessDenied");
    fetched().refused_by_bucket(403, "AccessDenied");
    assert_eq!(fetched().body, b"x");
}

#[test]
fn presigned_uploads_can_be_forms() {
    let server = with(&["form-upload"]);
    let presigned = server.json("PUT", LEGACY, &json!({ "name": "a.txt" })).json();
    let fields = presigned["form_fields"].as_object().unwrap().clone();
    let url = server.path(&presigned["url"]);
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"x\"", b"hello");
    let post = |change: Option<(&str, &str)>, file_first: bool| {
        let texts = fields.iter().map(|(name, value)| {
            let changed = change.filter(|(changed, _)| changed == name).map(|(_, value)| value);
            (format!("name=\"{name}\""), changed.unwrap_or(value.as_str().unwrap()).to_owned())
        });
        let texts: Vec<_> = texts.collect();
        let mut parts: Vec<(&str, &[u8])> =
            texts.iter().map(|(head, value)| (head.as_str(), value.as_bytes())).collect();
        parts.insert(if file_first { 0 } else { parts.len() }, file);
        server.ask_bare("POST", &url, &[FORM], &form(&parts))
    };
    post(None, true).refused_by_bucket(403, "AccessDenied");
    post(Some(("key", "11111111-2222-4333-8444-555555555555")), false)
        .refused_by_bucket(403, "SignatureDoesNotMatch");
    post(Some(("x-amz-expires", "9999")), false).refused_by_bucket(403, "SignatureDoesNotMatch");
    assert_eq!(server.get(LEGACY).json(), json!([]));
    assert_eq!(post(None, false).status, 204);
    let file = server.get(&format!("{LEGACY}/{}", presigned["file_id"].as_str().unwrap())).json();
    assert_eq!((&file["name"], &file["file_size"]), (&json!("a.txt"), &json!(5)));
    // The signature of a form gives no access to the content.
    let [date, expires, signature] =
        ["x-amz-date", "x-amz-expires", "x-amz-signature"].map(|name| fields[name].as_str().unwrap());
    let query = format!("X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-Signature={signature}");
    let object = format!("{url}/{}?{query}", presigned["file_id"].as_str().unwrap());
    server.ask_bare("POST", &object, &[], b"").refused_by_bucket(403, "AccessDenied");
    let no_file = server.ask_bare("POST", &url, &[FORM], &form(&[("name=\"key\"", b"x")]));
    no_file.refused_by_bucket(400, "InvalidArgument");
}

#[test]
fn scripted_faults_have_the_services_messages() {
    let faults = [
        "refuse=409 DELETE llamacloud/api/v1/beta/files/*",
        "refuse=413 POST llamacloud/api/v1/beta/files",
        "fail=500 GET llamacloud/api/v1/beta/files times=1",
        "html=502 GET llamacloud/api/v1/beta/files",
        "ignore-range GET llamacloud/_store/*",
    ];
    let server = Emulator::start(&Setup { faults: &faults, ..setup() });
    server.ask("DELETE", &format!("{BETA}/x"), &[], b"").refused(409);
    server.try_upload("a", "user_data", b"x").refused(413);
    server.get(BETA).refused(500);
    let page = server.get(BETA);
    assert_eq!((page.status, page.header("content-type")), (502, Some("text/html")));
    let file = form(&[("name=\"upload_file\"; filename=\"a\"", b"0123")]);
    let file = server.ask("POST", LEGACY, &[FORM], &file).json();
    let link = server.get(&format!("{BETA}/{}/content", id(&file))).json();
    let whole = server.fetch(&link, &["Range: bytes=2-"]);
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123"));
}

#[test]
fn clients_get_the_address_from_variables() {
    let options = Options::default();
    let variables = options.variables("127.0.0.1:8787".parse().unwrap());
    for (name, value) in
        [("LLAMA_CLOUD_BASE_URL", "http://127.0.0.1:8787/llamacloud"), ("LLAMA_CLOUD_API_KEY", "any-token")]
    {
        assert!(variables.contains(&(name.to_owned(), value.to_owned())), "{variables:?}");
    }
}

/// `cargo test --test it -- --ignored --nocapture by_hand` serves until its standard input ends.
#[test]
#[ignore = "for trying clients by hand"]
#[allow(clippy::print_stdout)] // The address is for the person who runs this.
fn by_hand() {
    let quirks = std::env::var("QUIRKS").unwrap_or_default();
    let quirks: Vec<_> = quirks.split_whitespace().collect();
    let token = std::env::var("TOKEN").ok();
    let server = Emulator::start(&Setup {
        quirks: &quirks,
        token: token.as_deref(),
        clock: Clock::default(),
        ..setup()
    });
    println!("http://{}/llamacloud", server.address);
    let _ = std::io::stdin().read(&mut [0]);
}
