//! Requests captured from the official clients, each in a file of `captured/` with line feeds for CR LF. Ids,
//! cursors and signatures are replaced with those of this server.

use super::Calls as _;
use serde_json::{Value, json};

use crate::emulator::replicate::{SETUP, refused};
use crate::support::clock;
use crate::support::emulator::{Emulator, Setup};
use crate::support::raw::Answer;

/// A time long before the captured links expire.
const NOW: &str = "2024-02-21T11:00:00Z";

fn server(quirks: &[&str], faults: &[&str]) -> Emulator {
    Emulator::start(&Setup { alone: true, quirks, faults, clock: clock(NOW), ..SETUP })
}

fn sent(name: &str) -> String {
    let path = format!("{}/tests/it/emulator/replicate/captured/{name}.http", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_clients_upload() {
    let quotes = "naïve \"q\" 日本.bin";
    let number = json!({"customer_reference_id": 123});
    let text = json!({"customer_reference_id": "123", "tags": ["a", "b"]});
    let (plain, octets, zip) = ("text/plain", "application/octet-stream", "application/zip");
    let server = server(&[], &[]);
    for (request, name, content_type, metadata, size) in [
        ("python-1.0.7.create", "hello.txt", plain, &number, 13),
        ("python-1.0.7.create-with-quotes", "naïve résumé \"q\" 日本.bin", zip, &json!({}), 13),
        ("python-1.0.7.create-unnamed", "file", octets, &json!({}), 3),
        ("python-1.0.7.create-renamed", "hello.txt", plain, &json!({}), 13),
        ("python-2.0.0b4.create", "example.zip", zip, &text, 13),
        ("python-2.0.0b4.create-with-quotes", quotes, zip, &json!({}), 13),
        ("python-2.0.0b4.create-bytes", "upload", octets, &json!({}), 9),
        ("node-1.4.0.create", "hello.txt", plain, &number, 13),
        ("node-1.4.0.create-with-quotes", quotes, zip, &json!({}), 13),
        ("node-1.4.0.create-buffer", "buffer_1795277532839", octets, &json!({}), 3),
        ("stainless-0.9.0.create", "example.zip", zip, &text, 13),
        ("curl.create", "example.zip", zip, &number, 13),
        ("curl.create-with-title", "hello.txt", "application/octet-stream;title=hello.txt", &json!({}), 13),
        ("reqwest.create-with-quotes", quotes, zip, &number, 13),
    ] {
        let file = server.replay(&sent(request)).expect(201);
        assert_eq!(file["name"], name, "{request}");
        assert_eq!(file["content_type"], content_type, "{request}");
        assert_eq!(&file["metadata"], metadata, "{request}");
        assert_eq!(file["size"], size, "{request}");
        let id = file["id"].as_str().unwrap();
        assert_eq!(file["urls"]["get"], format!("http://{}/v1/files/{id}", server.address));
    }
}

#[test]
fn the_clients_list_get_and_delete() {
    for client in ["python-1.0.7", "python-2.0.0b4", "node-1.4.0", "stainless-0.9.0", "curl"] {
        let server = server(&["page-size=1"], &[]);
        let (one, two) = (server.file("1", b"x"), server.file("2", b"x"));
        let all = |page: &Value| {
            let results = page["results"].as_array().unwrap();
            results.iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let mut seen = Vec::new();
        let list = if ["stainless-0.9.0", "curl"].contains(&client) { "node-1.4.0" } else { client };
        let page = server.replay(&sent(&format!("{list}.list"))).expect(200);
        seen.extend(all(&page));
        // The captures of the other clients have no second page.
        let second = if ["python-1.0.7", "curl"].contains(&client) { "python-2.0.0b4" } else { client };
        let next = server.path(&page["next"]);
        let page = sent(&format!("{second}.list-second-page")).replace("/v1/files?cursor=cD0x", &next);
        seen.extend(all(&server.replay(&page).expect(200)));
        seen.sort_unstable();
        let mut both = vec![one.clone(), two];
        both.sort_unstable();
        assert_eq!(seen, both, "{client}");
        let of_one = |action: &str| {
            let request = sent(&format!("{client}.{action}"));
            let request = request.replace("/NGZi ", "/cneqzikepnug6xezperrr4z55o ");
            server.replay(&request.replace("cneqzikepnug6xezperrr4z55o", &one))
        };
        if !["stainless-0.9.0", "curl"].contains(&client) {
            assert_eq!(of_one("get").expect(200)["id"], one.as_str());
        }
        assert_eq!(of_one("delete").status, 204, "{client}");
        refused(&of_one("delete"), 404, "File not found");
    }
}

#[test]
fn the_clients_download() {
    let server = server(&["signing-secret=local-signing-secret", "owner=mattt"], &[]);
    let id = server.file("a", b"Hello, world!");
    let signature = {
        use base64::Engine;
        let signer = haul::emulator::Signer::with_key(b"local-signing-secret");
        let bytes = signer.sign(&format!("mattt {id} 1708515345"));
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
    };
    for client in ["python-2.0.0b4", "stainless-0.9.0", "curl"] {
        let request = sent(&format!("{client}.download"));
        refused(&server.replay(&request), 404, "File not found");
        let request = request.replace("cneqzikepnug6xezperrr4z55o", &id);
        let forged: Answer = server.replay(&request);
        assert_eq!(forged.header("x-emulator-reason"), Some("wrong signature"));
        let request = request.replace("zuoghqlrcnw8YHywkpaXQlHsVhWen%2FDZ4aal76dLiOo%3D", &signature);
        let answer = server.replay(&request);
        assert_eq!((answer.status, answer.text().as_str()), (200, "Hello, world!"), "{client}");
    }
}

#[test]
fn the_python_client_retries_after_a_429() {
    let server = server(&[], &["429 times=1 retry-after=1"]);
    let request = sent("python-2.0.0b4.retry-after-a-429");
    let first = server.replay(&request.replace("retry-count: 1", "retry-count: 0"));
    assert_eq!((first.status, first.header("retry-after")), (429, Some("1")));
    refused(&server.replay(&request), 404, "File not found");
}
