//! Requests captured from real clients, byte for byte except for host and length.

use serde_json::{Value, json};

use crate::emulator::activeloop::{setup, upload};
use crate::support::emulator::{Emulator, Setup};

const OPENAI: &str = "Host: 127.0.0.1:8476
Accept-Encoding: gzip, deflate
Connection: keep-alive
authorization: Bearer al_fake_token_for_local_test
accept: application/json
user-agent: OpenAI/Python 3.54.0
x-stainless-lang: python
x-stainless-package-version: 3.54.0
x-stainless-os: Linux
x-stainless-arch: x64
x-stainless-runtime: CPython
x-stainless-runtime-version: 3.11.7
x-stainless-async: false
x-stainless-retry-count: 0
x-stainless-read-timeout: 600";

const CREATE: &str = r#"Content-Type: multipart/form-data; boundary=15e7fa6b1c8efe6f547556cdf1f36621

--15e7fa6b1c8efe6f547556cdf1f36621
Content-Disposition: form-data; name="purpose"

user_data
--15e7fa6b1c8efe6f547556cdf1f36621
Content-Disposition: form-data; name="workspace"

default
--15e7fa6b1c8efe6f547556cdf1f36621
Content-Disposition: form-data; name="metadata"

{"author": "hegel"}
--15e7fa6b1c8efe6f547556cdf1f36621
Content-Disposition: form-data; name="instructions"

extract dates
--15e7fa6b1c8efe6f547556cdf1f36621
Content-Disposition: form-data; name="file"; filename="hello.txt"
Content-Type: text/plain

Hello, world!
--15e7fa6b1c8efe6f547556cdf1f36621--
"#;

const CREATE_UNICODE: &str = r#"Content-Type: multipart/form-data; boundary=fc01dc54d4daf1ab646056a1348fdbdb

--fc01dc54d4daf1ab646056a1348fdbdb
Content-Disposition: form-data; name="purpose"

user_data
--fc01dc54d4daf1ab646056a1348fdbdb
Content-Disposition: form-data; name="file"; filename="naïve %22q%22 日本.pdf"
Content-Type: application/pdf

Hello, world!
--fc01dc54d4daf1ab646056a1348fdbdb--
"#;

const REQUESTS: &str = r#"POST /files HTTP/1.1
Host: 127.0.0.1:8476
User-Agent: python-requests/2.34.2
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
Authorization: Bearer al_fake_token_for_local_test
Content-Type: multipart/form-data; boundary=0135af0873793a7f9d6a6ac522a34ec9

--0135af0873793a7f9d6a6ac522a34ec9
Content-Disposition: form-data; name="workspace"

default
--0135af0873793a7f9d6a6ac522a34ec9
Content-Disposition: form-data; name="metadata"

{"author": "hegel"}
--0135af0873793a7f9d6a6ac522a34ec9
Content-Disposition: form-data; name="file"; filename="a.pdf"

Hello, world!
--0135af0873793a7f9d6a6ac522a34ec9
Content-Disposition: form-data; name="file"; filename="b.pdf"

Hello, world!
--0135af0873793a7f9d6a6ac522a34ec9--
"#;

const CURL: &str = r#"POST /files HTTP/1.1
Host: 127.0.0.1:8481
User-Agent: curl/7.88.1
Accept: */*
Authorization: Bearer al_fake_token_for_local_test
Content-Type: multipart/form-data; boundary=------------------------4166b4bacad4e4d8

--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="file"; filename="hello.txt"
Content-Type: text/plain

Hello, world!
--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="file"; filename="noext"
Content-Type: application/octet-stream

x
--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="purpose"

user_data
--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="workspace"

default
--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="metadata"

{"author":"hegel"}
--------------------------4166b4bacad4e4d8
Content-Disposition: form-data; name="instructions"

extract the year
--------------------------4166b4bacad4e4d8--
"#;

fn start() -> Emulator {
    Emulator::start(&Setup { token: None, ..setup() })
}

#[test]
fn the_openai_python_client() {
    let server = start();
    let ask = |line: &str, rest: &str| server.replay(&format!("{line} HTTP/1.1\n{OPENAI}\n{rest}"));
    let first = ask("POST /files", CREATE).ok();
    assert_eq!((&first["filename"], &first["bytes"]), (&json!("hello.txt"), &json!(13)));
    assert_eq!((&first["metadata"], &first["purpose"]), (&json!({"author": "hegel"}), &json!("user_data")));
    let unicode = ask("POST /files", CREATE_UNICODE).ok();
    assert_eq!((&unicode["filename"], &unicode["metadata"]), (&json!("naïve \"q\" 日本.pdf"), &Value::Null));
    let second = ask("POST /files", CREATE).ok();
    let list = "GET /files?limit=1&order=desc&purpose=user_data&workspace=default&filter=metadata.author+%3D%3D+%27hegel%27";
    let page = ask(list, "\n").ok();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (1, &json!(true)));
    let after = page["last_id"].as_str().unwrap();
    let page = ask(&format!("{list}&after={after}"), "\n").ok();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (1, &json!(false)));
    assert!([&first["id"], &second["id"]].contains(&&page["data"][0]["id"]));
    let path = format!("/files/{}", first["id"].as_str().unwrap());
    assert_eq!(ask(&format!("GET {path}?workspace=default"), "\n").ok(), first);
    let content = server.replay(&format!(
        "GET {path}/content?workspace=default HTTP/1.1\n{}\n\n",
        OPENAI.replace("application/json", "application/binary")
    ));
    assert_eq!(content.text(), "Hello, world!");
    let update = ask(
        &format!("PUT {path}/metadata?workspace=default"),
        "content-type: application/json\n\n{\"author\":\"kant\",\"instructions\":\"add year\"}",
    )
    .ok();
    assert_eq!(update["metadata"], json!({"author": "kant"}));
    let delete = || ask(&format!("DELETE {path}?workspace=default"), "content-type: application/json\n\n");
    assert_eq!(delete().ok()["deleted"], true);
    assert_eq!(delete().status, 404);
}

#[test]
fn requests_uploads_two_files_without_a_type() {
    let both = start().replay(REQUESTS).ok();
    let names: Vec<_> = both.as_array().unwrap().iter().map(|file| &file["filename"]).collect();
    assert_eq!(names, ["a.pdf", "b.pdf"]);
}

#[test]
fn curl_sends_its_fields_after_the_files() {
    let server = start();
    let both = server.replay(CURL).ok();
    let second = &both[1];
    assert_eq!((&second["filename"], &second["metadata"]["author"]), (&json!("noext"), &json!("hegel")));
    assert_eq!(upload(&server, "x", b"", &[]).len(), 32);
}
