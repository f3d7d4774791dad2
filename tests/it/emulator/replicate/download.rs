//! Signed links.

use super::Calls as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use haul::emulator::Signer;

use crate::emulator::replicate::{SETUP, TOKEN, refused};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::{Answer, noise};

const SECRET: &str = "local-signing-secret";
const NOW: &str = "2024-02-21T11:00:00Z";
/// The expiry of the documented example, nearly an hour in the future.
const EXPIRY: i64 = 1_708_515_345;
const QUIRKS: &[&str] = &["signing-secret=local-signing-secret", "owner=mattt"];

fn server(quirks: &[&str]) -> Emulator {
    Emulator::start(&Setup { quirks: &[QUIRKS, quirks].concat(), clock: clock(NOW), ..SETUP })
}

/// A signature, percent-encoded `times` times.
fn signature(owner: &str, id: &str, expiry: i64, times: usize) -> String {
    let bytes = Signer::with_key(SECRET.as_bytes()).sign(&format!("{owner} {id} {expiry}"));
    (0..times).fold(STANDARD.encode(bytes), |text, _| {
        text.replace('%', "%25").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
    })
}

fn query(owner: &str, id: &str, expiry: i64) -> String {
    format!("expiry={expiry}&owner={owner}&signature={}", signature(owner, id, expiry, 1))
}

impl Emulator {
    fn download(&self, id: &str, query: &str, headers: &[&str]) -> Answer {
        self.ask("GET", &format!("/replicate/v1/files/{id}/download?{query}"), headers, b"")
    }
}

#[test]
fn a_link_needs_no_token() {
    let server = server(&[]);
    let content = noise(3_000_000);
    let id = server.file("a", &content);
    let etag = server.call("GET", &format!("/v1/files/{id}")).json()["etag"].as_str().unwrap().to_owned();
    for (times, token) in
        [(1, None), (1, Some(TOKEN)), (2, None), (0, Some("Authorization: Bearer nonsense"))]
    {
        let query =
            format!("expiry={EXPIRY}&owner=mattt&signature={}", signature("mattt", &id, EXPIRY, times));
        let answer = server.download(&id, &query, token.as_slice());
        assert_eq!(answer.status, 200, "{query} {token:?}");
        assert!(answer.body == content);
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("content-length"), Some("3000000"));
        assert_eq!(answer.header("etag"), Some(format!("\"{etag}\"").as_str()));
        assert_eq!((answer.header("location"), answer.header("accept-ranges")), (None, None));
    }
    let empty = server.file("empty", b"");
    let answer = server.download(&empty, &query("mattt", &empty, EXPIRY), &[]);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
}

#[test]
fn the_contract_s_vector_has_the_right_signature() {
    let vector = "H+ubBSURpGllqUrZ/zbzlHSGD1CUjVnS8cwnXjfyhzE=";
    assert_eq!(signature("mattt", "cneqzikepnug6xezperrr4z55o", EXPIRY, 0), vector);
    let answer = server(&[]).download(
        "cneqzikepnug6xezperrr4z55o",
        &query("mattt", "cneqzikepnug6xezperrr4z55o", EXPIRY),
        &[],
    );
    refused(&answer, 404, "File not found");
    assert_eq!(answer.header("x-emulator-reason"), Some("no such file"));
}

#[test]
fn refusals_differ_only_in_the_reason() {
    let server = server(&[]);
    let (id, other) = (server.file("a", b"x"), server.file("b", b"y"));
    let past = 1_708_513_199;
    for (query, reason) in [
        (query("mattt", &other, EXPIRY), "wrong signature"),
        (query("mattt", &id, EXPIRY).replace("owner=mattt", "owner=eve"), "wrong signature"),
        (query("mattt", &id, past).replace(&past.to_string(), &EXPIRY.to_string()), "wrong signature"),
        (format!("expiry={EXPIRY}&owner=mattt&signature=x"), "wrong signature"),
        (query("eve", &id, EXPIRY), "wrong owner"),
        (query("mattt", &id, past), "expired link"),
    ] {
        let answer = server.download(&id, &query, &[TOKEN]);
        refused(&answer, 404, "File not found");
        assert_eq!(answer.text(), r#"{"detail":"File not found"}"#);
        assert_eq!(answer.header("x-emulator-reason"), Some(reason), "{query}");
    }
    for missing in ["owner", "expiry", "signature"] {
        let query = query("mattt", &id, EXPIRY).replace(&format!("{missing}="), "x=");
        assert_eq!(server.download(&id, &query, &[]).expect(400)["status"], 400, "{missing}");
    }
    let query = query("mattt", &id, EXPIRY);
    assert_eq!(server.download(&id, &query.replace("expiry=1", "expiry=x"), &[]).status, 400);
    server.call("DELETE", &format!("/v1/files/{id}"));
    refused(&server.download(&id, &query, &[]), 404, "File not found");
}

#[test]
fn a_link_is_invalid_after_the_deletion_of_its_file() {
    let server = server(&[]);
    let id = server.file("a", b"x");
    let server = server.again(&Setup { quirks: QUIRKS, clock: clock("2024-02-22T11:00:01Z"), ..SETUP });
    refused(&server.download(&id, &query("mattt", &id, EXPIRY + 100_000), &[]), 404, "File not found");
}

#[test]
fn without_a_secret_no_link_can_be_signed() {
    let server = Emulator::start(&Setup { quirks: &["owner=mattt"], clock: clock(NOW), ..SETUP });
    let id = server.file("a", b"x");
    refused(&server.download(&id, &query("mattt", &id, EXPIRY), &[TOKEN]), 404, "File not found");
}

#[test]
fn ranges_can_be_enabled() {
    let range: &[&str] = &["Range: bytes=2-3"];
    for (quirks, status, body) in [([].as_slice(), 200, "0123456789"), (&["replicate.ranges"], 206, "23")] {
        let server = server(quirks);
        let id = server.file("a", b"0123456789");
        let answer = server.download(&id, &query("mattt", &id, EXPIRY), range);
        assert_eq!((answer.status, answer.text().as_str()), (status, body));
    }
}

#[test]
fn the_account_names_the_owner() {
    let account = server(&[]).call("GET", "/v1/account").expect(200);
    assert_eq!((account["type"].as_str(), account["username"].as_str()), (Some("user"), Some("mattt")));
    assert_eq!(Emulator::start(&SETUP).call("GET", "/v1/account").json()["username"], "local-user");
    assert_eq!(server(&[]).ask("GET", "/replicate/v1/account", &[], b"").status, 401);
}

#[test]
fn damaged_content_is_an_error() {
    let server = server(&[]);
    let id = server.file("a", b"hello");
    assert_eq!(server.damage(), 1);
    assert_eq!(server.download(&id, &query("mattt", &id, EXPIRY), &[]).status, 500);
}
