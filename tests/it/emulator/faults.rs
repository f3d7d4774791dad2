//! Scripted faults, as a client receives them.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::emulator::support::{BEARER, Calls, SETUP, first_id};
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, FORM, form, noise, request};

fn with(faults: &[&str]) -> Emulator {
    Emulator::start(&Setup { faults, ..SETUP })
}

#[test]
fn refuse_answers_before_the_body_and_closes() {
    let server = with(&["refuse POST example/v1/files times=1 retry-after=7"]);
    let body = form(&[("name=\"file\"; filename=\"x\"", &noise(4_000_000))]);
    let whole = request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body);
    let mut stream = server.connect();
    // The response comes before any byte of the body is sent.
    stream.write_all(&whole[..whole.len() - body.len()]).unwrap();
    let answer = Answer::read(&mut stream, false).unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("7")));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.json()["detail"], "a scripted fault of the emulator");
    assert_eq!(server.upload("x", b"again").status, 200);
}

#[test]
fn fail_reads_all_and_stores_nothing() {
    let server = with(&["fail=507 POST times=1"]);
    assert_eq!(server.upload("x", &noise(1_000_000)).status, 507);
    assert_eq!(server.count(), 0);
    let line = server.logged();
    assert!(line["bytes_in"].as_u64() > Some(1_000_000), "{line}");
    assert_eq!((line["fault"].as_str(), line["status"].as_u64()), (Some("fail"), Some(507)));
}

#[test]
fn a_rate_limit_has_retry_after_in_either_form_or_not_at_all() {
    let server = with(&["429 nth=1", "429 times=1 retry-after=2", "429 times=1 retry-after=date:60"]);
    let ask = || server.ask("GET", "/example/v1/files", &[], b"");
    let first = ask();
    assert_eq!((first.status, first.header("retry-after")), (429, None));
    assert_eq!(ask().header("retry-after"), Some("2"));
    let third = ask();
    let date = third.header("retry-after").unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let wait = date.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((30..=60).contains(&wait), "{wait}");
    assert_eq!(ask().status, 200);
}

#[test]
fn html_is_the_error_page_of_a_proxy() {
    let server = with(&["html times=1"]);
    let answer = server.upload("x", b"content");
    assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html")));
    assert!(answer.body.starts_with(b"<html>"));
    assert_eq!(server.count(), 0);
}

#[test]
fn lose_carries_out_the_request_and_sends_no_response() {
    let server = with(&["lose POST example/v1/files times=1"]);
    let body = form(&[("name=\"file\"; filename=\"x\"", b"content")]);
    let lost = server.try_send(&request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body));
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(server.count(), 1);
    let line = server.logged();
    assert_eq!((line["fault"].as_str(), line["status"].is_null()), (Some("lose"), true), "{line}");
}

#[test]
fn reset_resets_the_connection() {
    let server = with(&["reset times=1"]);
    let reset = server.try_send(&request(server.address, "GET", "/example/v1/files", &[], b""));
    assert_eq!(reset.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.ask("GET", "/example/v1/files", &[], b"").status, 200);
}

#[test]
fn cut_sends_exactly_the_given_number_of_bytes() {
    let content = noise(2_500_000);
    for bytes in [0, 1, 70_000, 1_000_000, 2_499_999] {
        let server = with(&[&format!("cut={bytes} example/v1/files/*/content times=1")]);
        let path = format!("/example/v1/files/{}/content", first_id(&server.upload("x", &content)));
        let cut = server.try_send(&request(server.address, "GET", &path, &[], b"")).unwrap();
        assert!(!cut.whole && cut.body == content[..bytes], "{bytes}: {}", cut.body.len());
        assert_eq!(cut.header("content-length"), Some("2500000"));
        let whole = server.ask("GET", &path, &[], b"");
        assert!(whole.whole && whole.body == content);
    }
}

#[test]
fn a_cut_after_the_end_has_no_effect() {
    let server = with(&["cut=100 GET"]);
    let id = first_id(&server.upload("x", b"short"));
    assert_eq!(server.ask("GET", &format!("/example/v1/files/{id}/content"), &[], b"").body, b"short");
}

#[test]
fn a_truncated_json_body_is_a_complete_http_response() {
    let server = with(&["truncate-json GET times=1"]);
    server.upload("x", b"content");
    let half = server.ask("GET", "/example/v1/files", &[], b"");
    assert!(half.whole && serde_json::from_slice::<serde_json::Value>(&half.body).is_err(), "{half:?}");
    let whole = server.ask("GET", "/example/v1/files", &[], b"");
    assert_eq!(half.body, whole.body[..whole.body.len() / 2]);
}

#[test]
fn corruption_flips_one_bit_at_one_position() {
    let server = with(&["wrong-bytes=300000 **/content"]);
    let content = noise(600_000);
    let id = first_id(&server.upload("x", &content));
    let wrong = server.ask("GET", &format!("/example/v1/files/{id}/content"), &[], b"");
    let differ: Vec<_> = (0..content.len()).filter(|at| wrong.body[*at] != content[*at]).collect();
    assert!(wrong.whole && differ == [300_000], "{differ:?}");
    assert_eq!(wrong.header("content-length"), Some("600000"));
}

#[test]
fn ignore_range_sends_the_whole_content() {
    let faults = ["ignore-range nth=3"];
    let server = Emulator::start(&Setup { faults: &faults, quirks: &["ranges"], ..SETUP });
    let id = first_id(&server.upload("x", b"0123456789"));
    let ask = || server.ask("GET", &format!("/example/v1/files/{id}/content"), &["Range: bytes=3-"], b"");
    assert_eq!((ask().status, ask().status, ask().status), (206, 200, 206));
}

#[test]
fn slow_and_delay_wait_before_and_after() {
    let server = with(&["slow=300 GET", "delay=300 POST"]);
    let start = Instant::now();
    server.ask("GET", "/example/v1/files", &[], b"");
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut stream = server.connect();
    let body = form(&[("name=\"file\"; filename=\"x\"", b"content")]);
    let start = Instant::now();
    stream.write_all(&request(server.address, "POST", "/example/v1/files", &[FORM, BEARER], &body)).unwrap();
    assert!(crate::support::raw::within(|| server.count() == 1), "the request is executed first");
    assert_eq!(Answer::read(&mut stream, false).unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_dripping_response_is_slow_and_complete() {
    let server = with(&["drip=2000 **/content"]);
    let content = noise(1000);
    let id = first_id(&server.upload("x", &content));
    let start = Instant::now();
    let answer = server.ask("GET", &format!("/example/v1/files/{id}/content"), &[], b"");
    assert!(answer.whole && answer.body == content);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}

#[test]
fn faults_of_a_platform_served_alone_use_the_same_paths() {
    let server = Emulator::start(&Setup { faults: &["429 GET example/v1/files"], alone: true, ..SETUP });
    assert_eq!(server.ask("GET", "/v1/files", &[], b"").status, 429);
    assert_eq!(server.ask("GET", "/example/v1/files", &[], b"").status, 429);
}
